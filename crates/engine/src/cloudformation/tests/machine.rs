//! The machine, with resources that behave as told.

use super::{check_history, create, delete, describe, engine, settle, update};
use crate::testing::refused;
use capstan_shapes::cloudformation::{
    CancelUpdateStackRequest, ContinueUpdateRollbackRequest, CreateStackRequest, DeleteStackRequest,
    OnFailure,
};

const TWO: &str = "
Resources:
  Late:
    Type: Test::Thing::One
    Properties: {Uses: !GetAtt Early.Arn}
  Early:
    Type: Test::Thing::One
    Properties: {Takes: 5}
Outputs:
  What: {Value: !Ref Late, Export: {Name: what}}
";

#[test]
fn resources_are_created_in_order_and_deleted_in_reverse() {
    let mut engine = engine();
    let id = create(&mut engine, "two", TWO);
    assert_eq!(settle(&mut engine, "two"), "CREATE_COMPLETE");
    let output = describe(&mut engine, "two").outputs.unwrap().remove(0);
    assert_eq!(output.export_name.as_deref(), Some("what"));
    assert_eq!(output.output_value.as_deref(), Some("late-1000005"));
    delete(&mut engine, "two");
    assert_eq!(settle(&mut engine, &id), "DELETE_COMPLETE");
    check_history(
        &mut engine,
        &id,
        "two CREATE_IN_PROGRESS stack User Initiated
         Early CREATE_IN_PROGRESS
         Early CREATE_IN_PROGRESS early-1000000 Resource creation Initiated
         Early CREATE_COMPLETE early-1000000
         Late CREATE_IN_PROGRESS
         Late CREATE_IN_PROGRESS late-1000005 Resource creation Initiated
         Late CREATE_COMPLETE late-1000005
         two CREATE_COMPLETE stack
         two DELETE_IN_PROGRESS stack User Initiated
         Late DELETE_IN_PROGRESS late-1000005
         Late DELETE_COMPLETE late-1000005
         Early DELETE_IN_PROGRESS early-1000000
         Early DELETE_COMPLETE early-1000000
         two DELETE_COMPLETE stack",
    );
}

const FAILS: &str = "
Resources:
  Good: {Type: Test::Thing::One, Properties: {GoesIn: 3}}
  Slow: {Type: Test::Thing::One, Properties: {Takes: 60}}
  Bad: {Type: Test::Thing::One, Properties: {Takes: 2, Fail: stable}, DependsOn: Good}
  Never: {Type: Test::Thing::One, DependsOn: [Bad, Slow]}
";

#[test]
fn a_failure_is_rolled_back() {
    let mut engine = engine();
    create(&mut engine, "fails", FAILS);
    assert_eq!(settle(&mut engine, "fails"), "ROLLBACK_COMPLETE");
    check_history(
        &mut engine,
        "fails",
        "fails CREATE_IN_PROGRESS stack User Initiated
         Good CREATE_IN_PROGRESS
         Good CREATE_IN_PROGRESS good-1000000 Resource creation Initiated
         Good CREATE_COMPLETE good-1000000
         Slow CREATE_IN_PROGRESS
         Slow CREATE_IN_PROGRESS slow-1000000 Resource creation Initiated
         Bad CREATE_IN_PROGRESS
         Bad CREATE_IN_PROGRESS bad-1000000 Resource creation Initiated
         Bad CREATE_FAILED bad-1000000 Resource handler returned message: \"stable is broken\" (HandlerErrorCode: InvalidRequest)
         Slow CREATE_FAILED slow-1000000 Resource creation cancelled
         fails ROLLBACK_IN_PROGRESS stack The following resource(s) failed to create: [Bad]. Rollback requested by user.
         Bad DELETE_IN_PROGRESS bad-1000000
         Bad DELETE_COMPLETE bad-1000000
         Good DELETE_IN_PROGRESS good-1000000
         Slow DELETE_IN_PROGRESS slow-1000000
         Slow DELETE_COMPLETE slow-1000000
         Good DELETE_COMPLETE good-1000000
         fails ROLLBACK_COMPLETE stack",
    );
    // What was rolled back can only be deleted.
    let again = CreateStackRequest {
        stack_name: "fails".to_owned(),
        template_body: Some(TWO.to_owned()),
        ..Default::default()
    };
    refused(&mut engine, again, "AlreadyExistsException", "Stack [fails] already exists");
    delete(&mut engine, "fails");
    let gone = super::DescribeStacksRequest { stack_name: Some("fails".to_owned()), next_token: None };
    refused(&mut engine, gone, "ValidationError", "Stack with id fails does not exist");
}

#[test]
fn what_a_failure_leads_to_is_the_callers_choice() {
    let mut engine = engine();
    let cases = [
        (OnFailure::DoNothing, "CREATE_FAILED"),
        (OnFailure::Delete, "DELETE_COMPLETE"),
        (OnFailure::Rollback, "ROLLBACK_COMPLETE"),
    ];
    for (on_failure, status) in cases {
        let request = CreateStackRequest {
            stack_name: format!("fails-{}", on_failure.as_str().replace('_', "-")),
            template_body: Some(FAILS.to_owned()),
            on_failure: Some(on_failure),
            ..Default::default()
        };
        let id = super::ok(&mut engine, request).stack_id.unwrap();
        assert_eq!(settle(&mut engine, &id), status);
    }
}

const BEFORE: &str = "
Resources:
  Kept: {Type: Test::Thing::One, Properties: {Size: 1}}
  Swapped: {Type: Test::Thing::One, Properties: {Of: !Ref Kept}}
  User: {Type: Test::Thing::One, Properties: {Uses: !Ref Swapped}}
  Gone: {Type: Test::Thing::One, Properties: {Uses: !Ref User}}
";

const AFTER: &str = "
Resources:
  Kept: {Type: Test::Thing::One, Properties: {Size: 2}}
  Swapped: {Type: Test::Thing::Two, Properties: {Of: !Ref Kept}}
  User: {Type: Test::Thing::One, Properties: {Uses: !Ref Swapped}}
  New: {Type: Test::Thing::One, Properties: {Uses: !Ref User}}
";

#[test]
fn an_update_changes_replaces_creates_and_deletes() {
    let mut engine = engine();
    create(&mut engine, "it", BEFORE);
    settle(&mut engine, "it");
    super::pass(&mut engine, super::Span::from_secs(100));
    let before = super::history(&mut engine, "it").lines().count();
    update(&mut engine, "it", AFTER);
    assert_eq!(settle(&mut engine, "it"), "UPDATE_COMPLETE");
    let found: Vec<String> =
        super::history(&mut engine, "it").lines().skip(before).map(str::to_owned).collect();
    let expected = "it UPDATE_IN_PROGRESS stack User Initiated
        Kept UPDATE_IN_PROGRESS kept-1000000
        Kept UPDATE_COMPLETE kept-1000000
        Swapped UPDATE_IN_PROGRESS swapped-1000000 Requested update requires the creation of a new physical resource; hence creating one.
        Swapped UPDATE_IN_PROGRESS swapped-1000100 Resource creation Initiated
        Swapped UPDATE_COMPLETE swapped-1000100
        User UPDATE_IN_PROGRESS user-1000000
        User UPDATE_COMPLETE user-1000000
        New CREATE_IN_PROGRESS
        New CREATE_IN_PROGRESS new-1000100 Resource creation Initiated
        New CREATE_COMPLETE new-1000100
        it UPDATE_COMPLETE_CLEANUP_IN_PROGRESS stack
        Gone DELETE_IN_PROGRESS gone-1000000
        Gone DELETE_COMPLETE gone-1000000
        Swapped DELETE_IN_PROGRESS swapped-1000000
        Swapped DELETE_COMPLETE swapped-1000000
        it UPDATE_COMPLETE stack";
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_update_that_fails_leaves_everything_as_it_was() {
    let mut engine = engine();
    create(&mut engine, "it", BEFORE);
    settle(&mut engine, "it");
    super::pass(&mut engine, super::Span::from_secs(100));
    let before = super::history(&mut engine, "it").lines().count();
    let broken = AFTER.replace("Uses: !Ref User", "Uses: !Ref User, Fail: create");
    update(&mut engine, "it", &broken);
    assert_eq!(settle(&mut engine, "it"), "UPDATE_ROLLBACK_COMPLETE");
    let found: Vec<String> =
        super::history(&mut engine, "it").lines().skip(before + 8).map(str::to_owned).collect();
    let found: Vec<&str> =
        found.iter().map(|line| line.split("(RequestToken").next().unwrap().trim()).collect();
    let expected = "New CREATE_IN_PROGRESS
        New CREATE_FAILED Resource handler returned message: \"create is broken\"
        it UPDATE_ROLLBACK_IN_PROGRESS stack The following resource(s) failed to create: [New].
        Swapped UPDATE_COMPLETE swapped-1000000
        Kept UPDATE_IN_PROGRESS kept-1000000
        Kept UPDATE_COMPLETE kept-1000000
        User UPDATE_IN_PROGRESS user-1000000
        User UPDATE_COMPLETE user-1000000
        it UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS stack
        Swapped DELETE_IN_PROGRESS swapped-1000100
        Swapped DELETE_COMPLETE swapped-1000100
        it UPDATE_ROLLBACK_COMPLETE stack";
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(found, expected);
    // And it can be updated again.
    update(&mut engine, "it", AFTER);
    assert_eq!(settle(&mut engine, "it"), "UPDATE_COMPLETE");
}

#[test]
fn a_rollback_that_fails_can_be_continued() {
    let mut engine = engine();
    let template = |size: u32, fail: &str| {
        format!(
            "Resources:\n  A: {{Type: Test::Thing::One, Properties: {{Size: {size}, Fail: {fail}}}}}\n  B: {{Type: Test::Thing::One, Properties: {{Size: {size}}}}}\n"
        )
    };
    // Neither the update nor the way back succeeds.
    create(&mut engine, "it", &template(1, "update"));
    settle(&mut engine, "it");
    update(&mut engine, "it", &template(2, "update"));
    assert_eq!(settle(&mut engine, "it"), "UPDATE_ROLLBACK_FAILED");
    let skip = |names: &[&str]| ContinueUpdateRollbackRequest {
        stack_name: "it".to_owned(),
        resources_to_skip: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Default::default()
    };
    refused(&mut engine, skip(&["C"]), "ValidationError", "Resource C does not exist");
    super::ok(&mut engine, skip(&[]));
    assert_eq!(settle(&mut engine, "it"), "UPDATE_ROLLBACK_FAILED");
    super::ok(&mut engine, skip(&["A"]));
    assert_eq!(settle(&mut engine, "it"), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn an_update_can_be_cancelled() {
    let mut engine = engine();
    let template = |size: u32| {
        format!(
            "Resources:\n  A: {{Type: Test::Thing::One, Properties: {{Size: {size}}}}}\n  B: {{Type: Test::Thing::Two, Properties: {{Takes: {size}}}, DependsOn: A}}\n"
        )
    };
    create(&mut engine, "it", &template(0));
    settle(&mut engine, "it");
    let cancel = || CancelUpdateStackRequest { stack_name: "it".to_owned(), client_request_token: None };
    refused(&mut engine, cancel(), "ValidationError", "CancelUpdateStack cannot be called");
    update(&mut engine, "it", &template(3_600));
    super::ok(&mut engine, cancel());
    assert_eq!(settle(&mut engine, "it"), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn a_delete_that_fails_can_be_run_again() {
    let mut engine = engine();
    let template = "Resources:\n  A: {Type: Test::Thing::One}\n  B: {Type: Test::Thing::One, Properties: {Fail: delete}, DependsOn: A}\n  C: {Type: Test::Thing::One}\n";
    let id = create(&mut engine, "it", template);
    settle(&mut engine, "it");
    for _ in 0..2 {
        delete(&mut engine, "it");
        assert_eq!(settle(&mut engine, "it"), "DELETE_FAILED");
        let reason = describe(&mut engine, "it").stack_status_reason.unwrap();
        assert_eq!(reason, "The following resource(s) failed to delete: [B]. ");
    }
    let retain = DeleteStackRequest {
        stack_name: "it".to_owned(),
        retain_resources: Some(vec!["B".to_owned()]),
        ..Default::default()
    };
    super::ok(&mut engine, retain);
    assert_eq!(settle(&mut engine, &id), "DELETE_COMPLETE");
    assert_eq!(engine.resources().get("cloudformation.resources"), None);
}

#[test]
fn exports_in_use_stay() {
    let mut engine = engine();
    create(&mut engine, "two", TWO);
    settle(&mut engine, "two");
    let user = "Resources:\n  A: {Type: Test::Thing::One, Properties: {Uses: !ImportValue what}}\n";
    create(&mut engine, "user", user);
    assert_eq!(settle(&mut engine, "user"), "CREATE_COMPLETE");
    delete(&mut engine, "two");
    assert_eq!(settle(&mut engine, "two"), "DELETE_FAILED");
    let reason = describe(&mut engine, "two").stack_status_reason.unwrap();
    assert_eq!(reason, "Export what cannot be deleted as it is in use by user. ");
    create(&mut engine, "other", &TWO.replace("Takes: 5", "Takes: 0"));
    assert_eq!(settle(&mut engine, "other"), "ROLLBACK_COMPLETE");
    delete(&mut engine, "user");
    delete(&mut engine, "two");
    super::pass(&mut engine, super::Span::from_secs(10));
    assert_eq!(engine.resources().get("cloudformation.stacks"), Some(&vec!["other".to_owned()]));
}

#[test]
fn types_that_are_not_built_are_refused_by_name_or_get_placeholders() {
    let template = "
Resources:
  Desk: {Type: AWS::Cloud9::EnvironmentEC2, Properties: {InstanceType: t3.small}}
  Mine: {Type: Custom::Mine, Properties: {ServiceToken: !GetAtt Desk.Arn}}
Outputs:
  Arn: {Value: !GetAtt Desk.Arn}
";
    let request = || CreateStackRequest {
        stack_name: "it".to_owned(),
        template_body: Some(template.to_owned()),
        ..Default::default()
    };
    let message = "Unrecognized resource types: [AWS::Cloud9::EnvironmentEC2]";
    refused(&mut engine(), request(), "ValidationError", message);
    let custom = CreateStackRequest {
        template_body: Some("Resources: {Mine: {Type: Custom::Mine}}".to_owned()),
        ..request()
    };
    refused(&mut engine(), custom, "ValidationError", "no behaviour is built in for [Custom::Mine]");
    let mut config = crate::Config::new(1);
    config.lenient_templates = true;
    let mut engine = crate::Engine::new(config, super::Time::from_secs(1_000_000));
    super::ok(&mut engine, request());
    assert_eq!(settle(&mut engine, "it"), "CREATE_COMPLETE");
    let value = describe(&mut engine, "it").outputs.unwrap().remove(0).output_value.unwrap();
    assert!(value.starts_with("it-Desk-") && value.ends_with(".Arn"), "{value}");
    delete(&mut engine, "it");
    assert!(!engine.resources().contains_key("cloudformation.stacks"));
}

#[test]
fn a_group_waits_for_the_signals_of_its_instances() {
    let template = |sends: &str| {
        format!(
            "
Resources:
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        InstanceType: t3.small
        ImageId: '{{{{resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id}}}}'
        UserData: !Base64 {{'Fn::Sub': '{sends}'}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy: {{ResourceSignal: {{Count: 2, Timeout: PT10M}}}}
    Properties:
      MinSize: 2
      MaxSize: 2
      AvailabilityZones: !GetAZs ''
      LaunchTemplate: {{LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}}
"
        )
    };
    let cases = [
        ("/opt/aws/bin/cfn-signal -e 0 --stack ${AWS::StackName} --resource Group", true),
        ("echo ready", false),
    ];
    for (sends, complete) in cases {
        let mut world = engine();
        create(&mut world, "it", &template(sends));
        super::start_instances(&mut world);
        assert_eq!(settle(&mut world, "it") == "CREATE_COMPLETE", complete, "{sends}");
    }
}
