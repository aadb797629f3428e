//! What the services tell EventBridge while a stack lives, as its rules deliver it to log groups.

mod support;

use std::collections::BTreeMap;

use capstan_engine::{Fact, Input};
use capstan_model::Span;
use capstan_shapes::{events, logs};
use capstan_simulator::World;
use serde_json::Value as Json;
use support::*;

fn log_group(world: &mut World, name: &str) {
    let request = logs::CreateLogGroupRequest { log_group_name: name.to_owned(), ..Default::default() };
    world.call(request).expect("a log group");
}

fn rule(world: &mut World, name: &str, pattern: &str, group: &str) {
    let request = events::PutRuleRequest {
        name: name.to_owned(),
        event_pattern: Some(pattern.to_owned()),
        ..Default::default()
    };
    world.call(request).expect("a rule");
    let target = events::Target {
        id: "log".to_owned(),
        arn: format!("arn:aws:logs:eu-west-1:012345678910:log-group:{group}"),
        ..Default::default()
    };
    let request =
        events::PutTargetsRequest { rule: name.to_owned(), targets: vec![target], ..Default::default() };
    world.call(request).expect("a target");
}

/// The events in the group by their detail-types.
fn told(world: &mut World, group: &str) -> BTreeMap<String, Vec<Json>> {
    let mut told = BTreeMap::<String, Vec<Json>>::new();
    let mut token = None;
    loop {
        let request = logs::FilterLogEventsRequest {
            log_group_name: Some(group.to_owned()),
            next_token: token,
            ..Default::default()
        };
        let page = world.call(request).expect("log events");
        for event in page.events.unwrap_or_default() {
            let event: Json = serde_json::from_str(&event.message.unwrap_or_default()).expect("an event");
            let kind = event["detail-type"].as_str().unwrap_or_default().to_owned();
            told.entry(kind).or_default().push(event);
        }
        token = page.next_token;
        if token.is_none() {
            return told;
        }
    }
}

#[test]
fn services_tell_what_happens() {
    const ALL: &str = "/aws/events/all";
    const SPOTS: &str = "/aws/events/spotinterruptions";
    let mut world = world(5);
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com","delivery.logs.amazonaws.com"]},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:eu-west-1:012345678910:log-group:/aws/events/*:*"}]}"#;
    let request = logs::PutResourcePolicyRequest {
        policy_name: Some("TrustEventsToStoreLogEvents".to_owned()),
        policy_document: Some(policy.to_owned()),
        ..Default::default()
    };
    world.call(request).expect("a policy");
    log_group(&mut world, ALL);
    log_group(&mut world, SPOTS);
    rule(&mut world, "all", r#"{"source":[{"prefix":"aws."}]}"#, ALL);
    rule(
        &mut world,
        "spot",
        r#"{"source":["aws.ec2"],"detail-type":["EC2 Spot Instance Interruption Warning","EC2 Instance Rebalance Recommendation"]}"#,
        SPOTS,
    );
    workshop(&mut world);
    world.advance(Span::from_mins(15));
    update(&mut world, |request| {
        request.desired_count = Some(4);
        request.capacity_provider_strategy = Some(vec![item(ON_DEMAND, 1, 1), item(SPOT, 0, 1)]);
        request.force_new_deployment = Some(true);
    });
    world.advance(Span::from_mins(20));
    let spot = world.engine().ec2().instances().iter().find(|row| row.spot.is_some());
    let (spot, zone) = spot.map(|row| (row.id, row.zone.name)).expect("a Spot Instance");
    let _ = world.input(Input::Fact(Fact::SpotInterruption { instance: spot }));
    world.advance(Span::from_mins(20));
    update(&mut world, |request| request.desired_count = Some(1));
    world.advance(Span::from_hours(1));

    let of_spot = told(&mut world, SPOTS);
    let warnings = &of_spot["EC2 Spot Instance Interruption Warning"];
    assert_eq!(warnings.len(), 1);
    let warning = &warnings[0];
    assert_eq!(warning["resources"][0], format!("arn:aws:ec2:{zone}:instance/{spot}"));
    assert_eq!(
        warning["detail"],
        serde_json::json!({ "instance-id": spot.to_string(), "instance-action": "terminate" })
    );

    let all = told(&mut world, ALL);
    let counts: Vec<(&str, usize)> = all.iter().map(|(kind, events)| (kind.as_str(), events.len())).collect();
    for kind in [
        "CloudWatch Alarm Configuration Change",
        "CloudWatch Alarm State Change",
        "EC2 Instance Launch Successful",
        "EC2 Instance State-change Notification",
        "EC2 Instance Terminate Successful",
        "EC2 Instance-terminate Lifecycle Action",
        "EC2 Spot Instance Interruption Warning",
        "EC2 Spot Instance Request Fulfillment",
        "ECS Container Instance State Change",
        "ECS Deployment State Change",
        "ECS Service Action",
        "ECS Task State Change",
    ] {
        assert!(all.contains_key(kind), "{kind} is not among {counts:?}");
    }

    // A task's story in the order of its versions, which tell events apart.
    let mut stories = BTreeMap::<String, Vec<(i64, String)>>::new();
    for event in &all["ECS Task State Change"] {
        let detail = &event["detail"];
        assert_eq!(event["resources"][0], detail["taskArn"]);
        let task = detail["taskArn"].as_str().unwrap_or_default().to_owned();
        let status = detail["lastStatus"].as_str().unwrap_or_default().to_owned();
        stories.entry(task).or_default().push((detail["version"].as_i64().unwrap_or_default(), status));
    }
    let whole = ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"];
    let mut finished = 0;
    for (task, story) in &stories {
        assert!(story.is_sorted_by(|a, b| a.0 < b.0), "{task}: {story:?}");
        finished += usize::from(whole.iter().all(|status| story.iter().any(|(_, told)| told == status)));
    }
    assert!(finished >= 3, "{stories:?}");

    let instance = &all["ECS Container Instance State Change"][0]["detail"];
    assert!(instance["clusterArn"].as_str().is_some_and(|arn| arn.ends_with(CLUSTER)), "{instance}");
    assert_eq!(instance["registeredResources"][0]["name"], "CPU");
    assert!(instance["registeredResources"][0].get("longValue").is_none());

    let launch = &all["EC2 Instance Launch Successful"][0]["detail"];
    assert_eq!(launch["StatusCode"], "InProgress");
    assert!(launch["Details"]["Availability Zone"].is_string(), "{launch}");
    assert_eq!(launch["ActivityId"], launch["RequestId"]);

    let names = |kind: &str| -> Vec<String> {
        let names = all[kind].iter().filter_map(|event| event["detail"]["eventName"].as_str());
        names.map(str::to_owned).collect()
    };
    for name in ["SERVICE_STEADY_STATE", "CAPACITY_PROVIDER_STEADY_STATE"] {
        assert!(names("ECS Service Action").iter().any(|told| told == name), "{name}");
    }
    for name in ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"] {
        assert!(names("ECS Deployment State Change").iter().any(|told| told == name), "{name}");
    }

    let alarm = &all["CloudWatch Alarm State Change"][0]["detail"];
    assert!(alarm["configuration"]["metrics"][0]["metricStat"]["metric"]["name"].is_string(), "{alarm}");
    assert_ne!(alarm["state"]["value"], alarm["previousState"]["value"]);

    // ECS made a rule of its own, which users see and leave alone.
    let rules = world.call(events::ListRulesRequest::default()).expect("rules").rules.unwrap_or_default();
    let managed: Vec<_> = rules.iter().filter_map(|rule| rule.managed_by.as_deref()).collect();
    assert_eq!(managed, ["ecs.amazonaws.com"]);
}
