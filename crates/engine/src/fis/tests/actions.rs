//! Actions on EC2: instances that stop, end and start again, launches without capacity.

use capstan_model::Span;
use capstan_shapes::ec2::{self, InstanceStateName};
use capstan_shapes::fis;

use super::{Account, Target, action, tagged};
use crate::{Caller, Effect, Fact, Input};

const INSTANCE: &str = "aws:ec2:instance";

#[test]
fn instances_stop_and_start_again() {
    let mut account = Account::new();
    let ids = account.launch(3, false, "a");
    let stop =
        action("aws:ec2:stop-instances", &[("startInstancesAfterDuration", "PT5M")], "Instances=T", &[]);
    let template = account.template(&[("T", tagged(INSTANCE, "a", "COUNT(2)"))], &[("A", stop)]);
    let id = account.start(template);
    account.secs(11);
    assert_eq!(account.count_in(&ids, InstanceStateName::Stopped), 2);
    account.secs(299);
    assert_eq!(account.count_in(&ids, InstanceStateName::Stopped), 2);
    account.secs(1);
    assert_eq!(account.count_in(&ids, InstanceStateName::Running), 3);
    account.secs(1);
    assert_eq!(account.told(&id), "completed: Experiment completed");
}

/// What was terminated meanwhile cannot start: a failure, unless the action says otherwise.
#[test]
fn instances_that_ended_meanwhile() {
    let check = |lenient: &str, expect: &str| {
        let mut account = Account::new();
        let ids = account.launch(2, false, "a");
        let parameters =
            [("startInstancesAfterDuration", "PT5M"), ("completeIfInstancesTerminated", lenient)];
        let stop = action("aws:ec2:stop-instances", &parameters, "Instances=T", &[]);
        let template = account.template(&[("T", tagged(INSTANCE, "a", "ALL"))], &[("A", stop)]);
        let id = account.start(template);
        account.secs(60);
        account.done(ec2::TerminateInstancesRequest {
            instance_ids: vec![ids[0].clone()],
            ..Default::default()
        });
        account.secs(300);
        assert_eq!(account.told(&id), expect.replace("INSTANCE", &ids[0]));
        assert_eq!(account.state_of(&ids[1]), InstanceStateName::Running);
    };
    check("true", "completed: Experiment completed");
    check("false", "failed: Unable to start instances. Terminated meanwhile: INSTANCE");
}

#[test]
fn instances_are_terminated() {
    let mut account = Account::new();
    let ids = account.launch(4, false, "a");
    let terminate = action("aws:ec2:terminate-instances", &[], "Instances=T", &[]);
    let template = account.template(&[("T", tagged(INSTANCE, "a", "PERCENT(50)"))], &[("A", terminate)]);
    let id = account.start(template);
    account.secs(12);
    assert_eq!(account.count_in(&ids, InstanceStateName::Terminated), 2);
    assert_eq!(account.told(&id), "completed: Experiment completed");
}

/// The machine goes and comes back; the instance keeps its state, id and address.
#[test]
fn instances_are_rebooted() {
    let mut account = Account::new();
    let ids = account.launch(2, false, "a");
    let reboot = action("aws:ec2:reboot-instances", &[], "Instances=T", &[]);
    let template = account.template(&[("T", tagged(INSTANCE, "a", "COUNT(1)"))], &[("A", reboot)]);
    account.start(template);
    let mut effects = Vec::new();
    for _ in 0..12 {
        let now = account.now() + Span::from_secs(1);
        effects.extend(account.engine.step(now, Input::Time).effects);
    }
    let [Effect::StopInstance { instance }] = effects[..] else { panic!("{effects:?}") };
    let again = ec2::RebootInstancesRequest { instance_ids: ids.clone(), ..Default::default() };
    let both = account.engine.step(account.now(), user_call(again));
    assert_eq!(both.effects.len(), 1, "one is on its way already: {:?}", both.effects);
    let back = account.engine.step(account.now(), Input::Fact(Fact::InstanceStopped { instance }));
    assert_eq!(back.effects, [Effect::LaunchInstance { instance }]);
    let _ = account.engine.step(account.now(), Input::Fact(Fact::InstanceRunning { instance }));
    assert_eq!(account.count_in(&ids, InstanceStateName::Running), 2);

    account.done(ec2::StopInstancesRequest { instance_ids: vec![ids[0].clone()], ..Default::default() });
    let refused = account
        .refused(ec2::RebootInstancesRequest { instance_ids: vec![ids[0].clone()], ..Default::default() });
    assert!(refused.starts_with("IncorrectInstanceState: "), "{refused}");
}

fn user_call(request: ec2::RebootInstancesRequest) -> Input {
    let caller = Caller::User { access_key: "test".to_owned() };
    Input::Call { caller, request: Box::new(request.into()) }
}

/// The calls show who made them.
#[test]
fn calls_are_made_by_fis() {
    let mut account = Account::new();
    let _ids = account.launch(1, false, "a");
    let terminate = action("aws:ec2:terminate-instances", &[], "Instances=T", &[]);
    let template = account.template(&[("T", tagged(INSTANCE, "a", "ALL"))], &[("A", terminate)]);
    account.start(template);
    account.engine.record(true);
    let mut calls = Vec::new();
    for _ in 0..12 {
        let now = account.now() + Span::from_secs(1);
        calls.extend(account.engine.step(now, Input::Time).calls);
    }
    let made: Vec<(&str, bool)> =
        calls.iter().map(|call| (call.operation, call.caller == Caller::FIS)).collect();
    assert_eq!(made, [("DescribeInstances", true), ("TerminateInstances", true)]);
}

fn capacity_error(id: &str, target: &str, percentage: &str) -> super::Action {
    let parameters = [
        ("availabilityZoneIdentifiers", "us-east-1a, use1-az2"),
        ("duration", "PT10M"),
        ("percentage", percentage),
    ];
    action(id, &parameters, target, &[])
}

#[test]
fn launches_find_no_capacity_in_the_zones() {
    let mut account = Account::new();
    let roles = Target {
        resource_type: "aws:iam:role".to_owned(),
        resource_arns: Some(vec![super::ROLE.to_owned()]),
        selection_mode: "ALL".to_owned(),
        ..Default::default()
    };
    let error = capacity_error("aws:ec2:api-insufficient-instance-capacity-error", "Roles=T", "100");
    let template = account.template(&[("T", roles)], &[("A", error)]);
    let stopped = account.launch(1, false, "s");
    account.done(ec2::StopInstancesRequest { instance_ids: stopped.clone(), ..Default::default() });
    let id = account.start(template);
    let zone_of = |id: &str| {
        let zones = capstan_model::region("us-east-1").unwrap().zones;
        zones.iter().find(|zone| zone.id == id).unwrap().name
    };
    account.secs(10);
    assert!(account.launch_in(1, false, "a", "us-east-1a").is_ok(), "it has not begun");
    account.secs(1);
    for zone in ["us-east-1a", zone_of("use1-az2")] {
        let refusal = account.launch_in(1, false, "a", zone).unwrap_err();
        assert_eq!(refusal.code, "InsufficientInstanceCapacity", "{zone}");
    }
    assert!(account.launch_in(1, false, "a", "us-east-1f").is_ok());
    let start = ec2::StartInstancesRequest { instance_ids: stopped, ..Default::default() };
    assert!(account.refused(start.clone()).starts_with("InsufficientInstanceCapacity: "));
    let mut request = account.launch_request(1, false, "a", "us-east-1a");
    let tags = request.tag_specifications.as_mut().and_then(|all| all[0].tags.as_mut()).unwrap();
    tags.push(ec2::Tag { key: Some(crate::ec2::GROUP_TAG.to_owned()), value: Some("g".to_owned()) });
    assert!(account.call_as(Caller::AUTOSCALING, request).is_ok(), "groups are another action's");
    account.secs(600);
    assert_eq!(account.action_told(&id, "A"), "completed: Action was completed.");
    assert!(account.launch_in(1, false, "a", "us-east-1a").is_ok());
    account.done(start);
}

#[test]
fn a_percentage_of_the_launches_fails() {
    let mut account = Account::new();
    let roles = Target {
        resource_type: "aws:iam:role".to_owned(),
        resource_arns: Some(vec![super::ROLE.to_owned()]),
        selection_mode: "ALL".to_owned(),
        ..Default::default()
    };
    let error = capacity_error("aws:ec2:api-insufficient-instance-capacity-error", "Roles=T", "30");
    let template = account.template(&[("T", roles)], &[("A", error)]);
    account.start(template);
    account.secs(11);
    let failed = (0..400).filter(|_| account.launch_in(1, false, "a", "us-east-1a").is_err()).count();
    assert!((80..=160).contains(&failed), "{failed} of 400 at 30 %");
}

#[test]
fn connectivity_is_not_disrupted_and_says_so() {
    let mut account = Account::new();
    let subnets = Target {
        resource_type: "aws:ec2:subnet".to_owned(),
        parameters: Some([("availabilityZoneIdentifier".to_owned(), "us-east-1a".to_owned())].into()),
        selection_mode: "ALL".to_owned(),
        ..Default::default()
    };
    let parameters = [("duration", "PT2M"), ("scope", "all")];
    let disrupt = action("aws:network:disrupt-connectivity", &parameters, "Subnets=T", &[]);
    let template = account.template(&[("T", subnets)], &[("A", disrupt)]);
    let id = account.start(template);
    account.secs(11 + 120);
    assert_eq!(
        account.action_told(&id, "A"),
        "completed: Action was completed. No traffic was blocked: there is no network to disrupt."
    );
}

#[test]
fn experiments_are_listed_the_newest_first() {
    let mut account = Account::new();
    let request = account.template(&[], &[("A", super::wait("PT1M", &[]))]);
    let (first, second) = (account.start(request), {
        account.secs(5);
        let request = account.template(&[], &[("A", super::wait("PT1M", &[]))]);
        account.start(request)
    });
    let listed = account.done(fis::ListExperimentsRequest::default()).experiments.unwrap();
    let ids: Vec<String> = listed.into_iter().filter_map(|experiment| experiment.id).collect();
    assert_eq!(ids, [second, first.clone()]);
    let template = account.experiment(&first).experiment_template_id;
    let request = fis::ListExperimentsRequest { experiment_template_id: template, ..Default::default() };
    assert_eq!(account.done(request).experiments.unwrap().len(), 1);
}
