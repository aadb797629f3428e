//! Templates: what is refused, and what is shown.

use capstan_shapes::fis::{
    self, CreateExperimentTemplateRequest, CreateExperimentTemplateStopConditionInput,
    GetExperimentTemplateRequest, UpdateExperimentTemplateRequest,
};

use super::{Account, Target, action, interruption, tagged, wait};

const SPOT: &str = "aws:ec2:spot-instance";

#[test]
fn wrong_templates_are_refused_by_name() {
    let mut account = Account::new();
    let good = account.template(&[("T", tagged(SPOT, "a", "ALL"))], &[("A", interruption("PT2M"))]);
    let mut check = |change: &dyn Fn(&mut CreateExperimentTemplateRequest), expect: &str| {
        let mut request = good.clone();
        change(&mut request);
        assert_eq!(account.refused(request), expect);
    };
    let targets = |request: &mut CreateExperimentTemplateRequest, target: Target| {
        request.targets = Some([("T".to_owned(), target)].into());
    };
    let set = |request: &mut CreateExperimentTemplateRequest, name: &str, does| {
        request.actions.insert(name.to_owned(), does);
    };
    check(
        &|request| set(request, "A", action("aws:ec2:terminate-instances", &[], "SpotInstances=T", &[])),
        "ValidationException: Unexpected target \"SpotInstances\" found in action \"A\".",
    );
    check(
        &|request| {
            let arn = "arn:aws:ec2:us-east-1:000000000000:instance/i-00000000000000000";
            targets(
                request,
                Target { resource_arns: Some(vec![arn.to_owned()]), ..tagged(SPOT, "a", "ALL") },
            );
        },
        "ValidationException: You cannot specify both resource ARNs and resource tags for target T.",
    );
    check(
        &|request| targets(request, tagged("aws:iam:role", "a", "ALL")),
        "ValidationException: TargetResourceType aws:iam:role requires resourceArns.",
    );
    check(
        &|request| targets(request, tagged("aws:rds:db", "a", "ALL")),
        "ValidationException: Target \"T\" has the unknown resource type aws:rds:db.",
    );
    check(
        &|request| targets(request, tagged("aws:ec2:instance", "a", "ALL")),
        "ValidationException: Target \"T\" of action \"A\" must be of the resource type aws:ec2:spot-instance, not \
         aws:ec2:instance.",
    );
    check(
        &|request| targets(request, tagged(SPOT, "a", "PERCENT(0)")),
        "ValidationException: Target \"T\" has the invalid selection mode PERCENT(0). Give ALL, COUNT(n) or PERCENT(n).",
    );
    check(
        &|request| targets(request, Target { resource_tags: None, ..tagged(SPOT, "a", "ALL") }),
        "ValidationException: You must specify resource ARNs, resource tags, filters or parameters for target T.",
    );
    check(
        &|request| set(request, "A", interruption("PT1M")),
        "ValidationException: Invalid value \"PT1M\" for parameter \"durationBeforeInterruption\" in action \"A\": give \
         an ISO 8601 duration from 2 to 15 minutes, such as PT2M.",
    );
    check(
        &|request| set(request, "A", action(INTERRUPT, &[], "SpotInstances=T", &[])),
        "ValidationException: Missing parameter \"durationBeforeInterruption\" in action \"A\".",
    );
    check(
        &|request| set(request, "A", action(INTERRUPT, &[("duration", "PT2M")], "SpotInstances=T", &[])),
        "ValidationException: Unexpected parameter \"duration\" found in action \"A\".",
    );
    check(
        &|request| set(request, "A", action(INTERRUPT, &[("durationBeforeInterruption", "PT2M")], "", &[])),
        "ValidationException: Missing target \"SpotInstances\" in action \"A\".",
    );
    check(
        &|request| set(request, "B", action("aws:ecs:task-cpu-stress", &[], "", &[])),
        "ValidationException: Action \"B\" has the unknown action id aws:ecs:task-cpu-stress. ListActions tells those \
         there are.",
    );
    check(
        &|request| set(request, "B", wait("PT1M", &["C"])),
        "ValidationException: Action \"B\" starts after the action \"C\", which does not exist.",
    );
    check(
        &|request| {
            set(request, "B", wait("PT1M", &["C"]));
            set(request, "C", wait("PT1M", &["B"]));
        },
        "ValidationException: Action \"B\" waits for itself by startAfter.",
    );
    check(
        &|request| (0..11).for_each(|n| set(request, &format!("W{n}"), wait("PT1M", &["A"]))),
        "ServiceQuotaExceededException: At most 10 actions can run in parallel.",
    );
    check(
        &|request| (0..20).for_each(|n| set(request, &format!("W{n}"), wait("PT1M", &[]))),
        "ServiceQuotaExceededException: An experiment template can have at most 20 actions.",
    );
    check(
        &|request| request.stop_conditions.clear(),
        "ValidationException: The experiment template must have a stop condition; its source may be none.",
    );
    check(
        &|request| {
            request.stop_conditions = vec![CreateExperimentTemplateStopConditionInput {
                source: "aws:cloudwatch:alarm".to_owned(),
                value: Some("arn:aws:sns:us-east-1:000000000000:topic".to_owned()),
            }];
        },
        "ValidationException: The stop condition arn:aws:sns:us-east-1:000000000000:topic is not the ARN of a CloudWatch \
         alarm.",
    );
}

const INTERRUPT: &str = "aws:ec2:send-spot-instance-interruptions";

#[test]
fn what_was_given_is_shown() {
    let mut account = Account::new();
    let mut request =
        account.template(&[("T", tagged(SPOT, "a", "COUNT(3)"))], &[("A", interruption("PT2M"))]);
    request.tags = Some([("team".to_owned(), "x".to_owned())].into());
    let id = account.create(request.clone());
    assert!(id.starts_with("EXT") && id.len() == 17, "{id}");
    assert_eq!(account.create(request.clone()), id, "the client token makes one");
    let mut other = request;
    other.description = "another".to_owned();
    assert_eq!(
        account.refused(other),
        "ConflictException: Another experiment template was created with this client token."
    );
    let shown = account.done(GetExperimentTemplateRequest { id: id.clone() }).experiment_template.unwrap();
    assert_eq!(shown.arn, Some(format!("arn:aws:fis:us-east-1:000000000000:experiment-template/{id}")));
    assert_eq!(shown.targets.unwrap()["T"].selection_mode.as_deref(), Some("COUNT(3)"));
    let options = shown.experiment_options.unwrap();
    assert_eq!(options.empty_target_resolution_mode, Some(fis::EmptyTargetResolutionMode::Fail));
    assert_eq!(options.account_targeting, Some(fis::AccountTargeting::SingleAccount));

    account.secs(60);
    let change = UpdateExperimentTemplateRequest {
        id: id.clone(),
        description: Some("changed".to_owned()),
        experiment_options: Some(fis::UpdateExperimentTemplateExperimentOptionsInput {
            empty_target_resolution_mode: Some(fis::EmptyTargetResolutionMode::Skip),
        }),
        ..Default::default()
    };
    let shown = account.done(change).experiment_template.unwrap();
    assert_eq!(shown.description.as_deref(), Some("changed"));
    assert_eq!(shown.actions.unwrap()["A"].action_id.as_deref(), Some(INTERRUPT));
    assert!(shown.last_update_time > shown.creation_time);
    let options = shown.experiment_options.unwrap();
    assert_eq!(options.empty_target_resolution_mode, Some(fis::EmptyTargetResolutionMode::Skip));
    assert_eq!(options.account_targeting, Some(fis::AccountTargeting::SingleAccount));

    account.done(fis::DeleteExperimentTemplateRequest { id: id.clone() });
    let gone = account.refused(GetExperimentTemplateRequest { id: id.clone() });
    assert_eq!(gone, format!("ResourceNotFoundException: There is no experiment template {id}."));
}

#[test]
fn tags_come_and_go() {
    let mut account = Account::new();
    let request = account.template(&[], &[("A", wait("PT1M", &[]))]);
    let template = account.create(request);
    let request = account.start_request(&template);
    let experiment = account.done(request).experiment.unwrap().arn.unwrap();
    let template = format!("arn:aws:fis:us-east-1:000000000000:experiment-template/{template}");
    for resource_arn in [template, experiment] {
        let tags = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
        account.done(fis::TagResourceRequest { resource_arn: resource_arn.clone(), tags: tags.into() });
        let tag_keys = Some(vec!["a".to_owned()]);
        account.done(fis::UntagResourceRequest { resource_arn: resource_arn.clone(), tag_keys });
        let left = account.done(fis::ListTagsForResourceRequest { resource_arn }).tags.unwrap();
        assert_eq!(left, [("b".to_owned(), "2".to_owned())].into());
    }
}

/// Every action that is listed can be described, and its target's type too.
#[test]
fn the_catalogue_is_whole() {
    let mut account = Account::new();
    let actions = account.done(fis::ListActionsRequest::default()).actions.unwrap();
    let ids: Vec<String> = actions.iter().filter_map(|action| action.id.clone()).collect();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(ids, sorted);
    for id in ids {
        let action = account.done(fis::GetActionRequest { id: id.clone() }).action.unwrap();
        for target in action.targets.unwrap().into_values() {
            let resource_type = target.resource_type.unwrap();
            account.done(fis::GetTargetResourceTypeRequest { resource_type });
        }
    }
    let types = account.done(fis::ListTargetResourceTypesRequest { max_results: Some(3), next_token: None });
    assert_eq!(types.target_resource_types.unwrap().len(), 3);
    assert!(types.next_token.is_some());
}
