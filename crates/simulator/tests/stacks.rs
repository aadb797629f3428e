//! Stacks of clusters, groups and services in virtual time: they come up, change and go with all that they hold.

mod support;

use std::collections::BTreeMap;

use capstan_engine::autoscaling::GroupInstanceIndex;
use capstan_model::Span;
use capstan_shapes::cloudformation as shapes;
use capstan_shapes::{ec2, ecs};
use capstan_simulator::World;
use support::world;

const TEMPLATE: &str = include_str!("stacks/service.yaml");

/// Template parameters over those of the world: its VPC, subnets and a launch template for instances of the cluster.
fn parameters(world: &mut World, changed: &[(&str, &str)]) -> Vec<shapes::Parameter> {
    let subnets = support::subnets(world);
    let vpc = world.engine().ec2().vpcs().iter().next().map(|vpc| vpc.id.clone()).unwrap_or_default();
    let template = world.engine().ec2().launch_templates().iter().next().map(|row| row.id.clone());
    let template = template.unwrap_or_default();
    let mut values = BTreeMap::from([
        ("Vpc", vpc.as_str()),
        ("Subnets", subnets.as_str()),
        ("Template", template.as_str()),
    ]);
    values.extend(changed.iter().copied());
    let parameter = |(key, value): (&str, &str)| shapes::Parameter {
        parameter_key: Some(key.to_owned()),
        parameter_value: Some(value.to_owned()),
        ..Default::default()
    };
    values.into_iter().map(parameter).collect()
}

fn create(world: &mut World, template: &str, changed: &[(&str, &str)]) {
    support::launch_template(world, "demo", "t3.small");
    let parameters = Some(parameters(world, changed));
    let request = shapes::CreateStackRequest {
        stack_name: "demo".to_owned(),
        template_body: Some(template.to_owned()),
        parameters,
        ..Default::default()
    };
    world.call(request).expect("a stack");
}

fn update(world: &mut World, template: &str, changed: &[(&str, &str)]) {
    let parameters = Some(parameters(world, changed));
    let request = shapes::UpdateStackRequest {
        stack_name: "demo".to_owned(),
        template_body: Some(template.to_owned()),
        parameters,
        ..Default::default()
    };
    world.call(request).expect("an update");
}

fn describe(world: &mut World) -> Option<shapes::Stack> {
    let request = shapes::DescribeStacksRequest { stack_name: Some("demo".to_owned()), next_token: None };
    world.call(request).ok()?.stacks?.into_iter().next()
}

fn outputs(world: &mut World) -> BTreeMap<String, String> {
    let outputs = describe(world).and_then(|stack| stack.outputs).unwrap_or_default().into_iter();
    outputs.map(|output| (output.output_key.unwrap(), output.output_value.unwrap())).collect()
}

/// Every event, the oldest first.
fn history(world: &mut World) -> String {
    let mut events = Vec::new();
    let mut next_token = None;
    loop {
        let request = shapes::DescribeStackEventsRequest { stack_name: "demo".to_owned(), next_token };
        let Ok(page) = world.call(request) else { break };
        events.extend(page.stack_events.unwrap_or_default());
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    let line = |event: shapes::StackEvent| {
        let at = event.timestamp.iso_secs();
        let status = event.resource_status.unwrap_or_default();
        let (id, reason) =
            (event.logical_resource_id.unwrap_or_default(), event.resource_status_reason.unwrap_or_default());
        format!("{at} {id} {status} {reason}\n")
    };
    events.into_iter().rev().map(line).collect()
}

/// Waits, at most four hours, until nothing is done to the stack any more.
fn settle(world: &mut World, expected: &str) {
    let mut status = String::new();
    for _ in 0..1_440 {
        let Some(stack) = describe(world) else {
            assert_eq!(expected, "DELETE_COMPLETE");
            return;
        };
        status = stack.stack_status.as_str().to_owned();
        if !status.ends_with("IN_PROGRESS") {
            break;
        }
        world.advance(Span::from_secs(10));
    }
    assert_eq!(status, expected, "{}", history(world));
}

fn service(world: &mut World) -> ecs::ServiceData {
    let name = outputs(world)["ServiceName"].clone();
    let request = ecs::DescribeServicesRequest {
        cluster: Some(support::CLUSTER.to_owned()),
        services: vec![name],
        include: Some(vec![ecs::ServiceField::Tags]),
    };
    world.call(request).expect("services").services.unwrap_or_default().remove(0)
}

fn nothing_is_left(world: &World) {
    let engine = world.engine();
    let services = engine
        .ecs()
        .services()
        .iter()
        .filter(|row| row.status != capstan_engine::ecs::ServiceStatus::Inactive);
    assert_eq!(services.count(), 0);
    let clusters = engine
        .ecs()
        .clusters()
        .iter()
        .filter(|row| row.status != capstan_engine::ecs::ClusterStatus::Inactive);
    assert_eq!(clusters.count(), 0);
    assert_eq!(
        engine
            .ecs()
            .providers()
            .iter()
            .filter(|row| row.group().is_some() && row.status == ecs::CapacityProviderStatus::Active)
            .count(),
        0
    );
    assert_eq!(engine.autoscaling().groups().len(), 0);
    assert_eq!(engine.autoscaling().hooks().len(), 0);
    assert_eq!(engine.autoscaling().policies().len(), 0);
    let instances = engine.ec2().instances().iter().filter(|instance| instance.is_alive());
    assert_eq!(instances.count(), 0);
    let elb = engine.elb();
    let counts =
        [elb.load_balancers().len(), elb.listeners().len(), elb.rules().len(), elb.target_groups().len()];
    assert_eq!(counts, [0; 4]);
    assert_eq!(engine.cloudwatch().alarms().len(), 0);
}

#[test]
fn a_service_behind_a_balancer_comes_up_changes_and_goes() {
    let mut world = world(3).checked();
    create(&mut world, TEMPLATE, &[]);
    settle(&mut world, "CREATE_COMPLETE");
    let made = outputs(&mut world);
    assert!(made["TargetGroup"].contains(":targetgroup/demo-Targe-"), "{made:?}");
    assert_eq!(made["TargetGroupName"].len(), "demo-Targe-".len() + 12);
    assert!(made["Balancer"].ends_with(".elb.localhost"), "{made:?}");
    let first = service(&mut world);
    assert_eq!((first.desired_count, first.running_count), (Some(3), Some(3)));
    let weights: Vec<_> = first.capacity_provider_strategy.clone().unwrap_or_default();
    assert_eq!(weights.len(), 1);
    let tags: Vec<_> = first.tags.clone().unwrap_or_default().into_iter().filter_map(|tag| tag.key).collect();
    assert_eq!(tags, ["team"]);
    let engine = world.engine();
    let group = engine.autoscaling().groups().iter().next().expect("a group");
    assert!(group.tags["aws:cloudformation:stack-name"].propagate);
    assert!(group.new_instances_protected);

    // A new revision rolls out in place.
    update(&mut world, TEMPLATE, &[("Version", "two")]);
    settle(&mut world, "UPDATE_COMPLETE");
    let second = service(&mut world);
    assert_eq!(second.service_arn, first.service_arn);
    assert_ne!(second.task_definition, first.task_definition);
    assert_eq!(second.running_count, Some(3));
    assert_eq!(second.deployments.map(|deployments| deployments.len()), Some(1));

    // Settings of the balancer, the provider and the count change in place.
    let next = TEMPLATE
        .replace("TargetCapacity: 100", "TargetCapacity: 80")
        .replace("DesiredCount: 3", "DesiredCount: 2")
        .replace("HealthCheckIntervalSeconds: 10", "HealthCheckIntervalSeconds: 15")
        .replace("Value: \"5\"", "Value: \"9\"")
        .replace("Priority: 10", "Priority: 20")
        .replace("MaxSize: \"4\"", "MaxSize: \"5\"");
    update(&mut world, &next, &[("Version", "two")]);
    settle(&mut world, "UPDATE_COMPLETE");
    assert_eq!(outputs(&mut world), made);
    let engine = world.engine();
    let provider = engine.ecs().providers().iter().find_map(|row| row.scaling()).expect("managed scaling");
    assert_eq!(provider.target_capacity, 80);
    let target_group = engine.elb().target_groups().iter().next().expect("a target group");
    assert_eq!(target_group.health_check.interval, 15);
    assert_eq!(engine.elb().rules().iter().map(|rule| rule.priority).collect::<Vec<_>>(), [20]);
    assert_eq!(engine.autoscaling().groups().iter().map(|group| group.max).collect::<Vec<_>>(), [5]);
    assert_eq!(service(&mut world).running_count, Some(2));

    // A target group of another port is another one; listener, rule and service follow.
    let next = next.replace("Port: 8080 # of targets", "Port: 8081");
    update(&mut world, &next, &[("Version", "two")]);
    settle(&mut world, "UPDATE_COMPLETE");
    assert_ne!(outputs(&mut world)["TargetGroup"], made["TargetGroup"]);
    assert_eq!(world.engine().elb().target_groups().len(), 1);
    assert_eq!(service(&mut world).running_count, Some(2));

    world
        .call(shapes::DeleteStackRequest { stack_name: "demo".to_owned(), ..Default::default() })
        .expect("a delete");
    settle(&mut world, "DELETE_COMPLETE");
    world.advance(Span::from_mins(2));
    nothing_is_left(&world);
    // Clients that wait for INACTIVE see it, though tasks have ended since.
    assert_eq!(world.engine().ecs().services().len(), 1);
    world.advance(Span::from_hours(1));
    assert_eq!(world.engine().ecs().services().len(), 0);
}

#[test]
fn a_provider_in_use_is_replaced() {
    let mut world = world(3).checked();
    create(&mut world, TEMPLATE, &[]);
    settle(&mut world, "CREATE_COMPLETE");
    let before = service(&mut world);
    let strategy = |service: &ecs::ServiceData| -> Vec<String> {
        let items = service.capacity_provider_strategy.iter().flatten();
        items.map(|item| item.capacity_provider.clone()).collect()
    };
    // Another group needs another provider; the cluster and the service move to it before the old ones go.
    let other = TEMPLATE.replace("MinSize: \"0\"", "AutoScalingGroupName: other\n      MinSize: \"0\"");
    update(&mut world, &other, &[]);
    settle(&mut world, "UPDATE_COMPLETE");
    let after = service(&mut world);
    assert_eq!(after.service_arn, before.service_arn);
    assert_ne!(strategy(&after), strategy(&before));
    assert_eq!(after.running_count, Some(3));
    let groups: Vec<String> =
        world.engine().autoscaling().groups().iter().map(|group| group.name.to_string()).collect();
    assert_eq!(groups, ["other"]);
    let active = world
        .engine()
        .ecs()
        .providers()
        .iter()
        .filter(|row| row.scaling().is_some() && row.status == ecs::CapacityProviderStatus::Active);
    assert_eq!(active.count(), 1);
    world
        .call(shapes::DeleteStackRequest { stack_name: "demo".to_owned(), ..Default::default() })
        .expect("a delete");
    settle(&mut world, "DELETE_COMPLETE");
    world.advance(Span::from_mins(2));
    nothing_is_left(&world);
}

/// Containers of every task on an instance exit.
fn end_tasks(world: &mut World) {
    let engine = world.engine();
    let calls: Vec<_> = engine
        .ecs()
        .tasks()
        .iter()
        .filter(|task| task.status < capstan_engine::ecs::TaskStatus::Stopped)
        .filter_map(|task| {
            let instance = engine.ecs().instances().get(&task.instance?)?.ec2_instance?;
            let request = ecs::SubmitTaskStateChangeRequest {
                cluster: Some(task.cluster.to_string()),
                task: Some(engine.ecs().task_arn(engine.config(), task)),
                status: Some("STOPPED".to_owned()),
                reason: Some("Essential container in task exited".to_owned()),
                ..Default::default()
            };
            Some((instance, request))
        })
        .collect();
    for (instance, request) in calls {
        let caller = capstan_engine::Caller::Agent(instance);
        world.request_as(caller, request.into()).expect("a report");
    }
}

#[test]
fn a_service_that_fails_is_told_with_its_last_event() {
    let mut world = world(4).checked();
    create(&mut world, TEMPLATE, &[]);
    for _ in 0..720 {
        end_tasks(&mut world);
        world.advance(Span::from_secs(5));
    }
    settle(&mut world, "ROLLBACK_COMPLETE");
    let told = history(&mut world);
    assert!(told.contains("ECS Deployment Circuit Breaker was triggered"), "{told}");
    assert!(told.contains("Last event: (service demo-Service-"), "{told}");
    nothing_is_left(&world);
}

/// A group with that update policy, in JSON.
fn group_template(policy: &str) -> String {
    format!(
        r#"
Parameters:
  Vpc: {{Type: String}}
  Subnets: {{Type: List<AWS::EC2::Subnet::Id>}}
  Template: {{Type: String}}
  TemplateVersion: {{Type: String, Default: "1"}}
Resources:
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    UpdatePolicy: {policy}
    Properties:
      MinSize: 2
      MaxSize: 6
      DesiredCapacity: 3
      VPCZoneIdentifier: !Ref Subnets
      LaunchTemplate: {{LaunchTemplateId: !Ref Template, Version: !Ref TemplateVersion}}
Outputs:
  Name: {{Value: !Ref Group}}
"#
    )
}

fn second_version(world: &mut World) {
    let request = ec2::CreateLaunchTemplateVersionRequest {
        launch_template_name: Some("demo".to_owned()),
        source_version: Some("1".to_owned()),
        launch_template_data: ec2::RequestLaunchTemplateData {
            instance_type: Some("t3.medium".to_owned()),
            ..Default::default()
        },
        ..Default::default()
    };
    world.call(request).expect("a version");
}

/// Types of the group's instances in service, sorted.
fn in_service(world: &World) -> Vec<String> {
    let engine = world.engine();
    let group = engine.autoscaling().groups().iter().next().expect("a group");
    let index = GroupInstanceIndex::InService(group.name.clone());
    let mut types: Vec<String> =
        engine.autoscaling().instances().by(&index).map(|row| row.instance_type.to_string()).collect();
    types.sort();
    types
}

/// Follows an update to its end, looking every two seconds.
fn follow(world: &mut World, expected: &str, mut look: impl FnMut(&mut World)) {
    for _ in 0..7_200 {
        look(world);
        let status = describe(world).map(|stack| stack.stack_status.as_str().to_owned());
        if status.as_deref().is_none_or(|status| !status.ends_with("IN_PROGRESS")) {
            assert_eq!(status.as_deref(), Some(expected), "{}", history(world));
            return;
        }
        world.advance(Span::from_secs(2));
    }
    panic!("no end: {}", history(world));
}

#[test]
fn groups_roll_over_and_keep_their_minimum() {
    let check = |policy: &str, least: usize, words: &[&str]| {
        let mut world = world(5).checked();
        let template = group_template(policy);
        create(&mut world, &template, &[]);
        settle(&mut world, "CREATE_COMPLETE");
        assert_eq!(in_service(&world), ["t3.small"; 3]);
        second_version(&mut world);
        update(&mut world, &template, &[("TemplateVersion", "2")]);
        let mut suspended = false;
        follow(&mut world, "UPDATE_COMPLETE", |world| {
            assert!(in_service(world).len() >= least, "{policy}: {}", history(world));
            suspended |=
                world.engine().autoscaling().groups().iter().any(|group| group.is_suspended("AZRebalance"));
        });
        world.advance(Span::from_mins(5));
        assert_eq!(in_service(&world), ["t3.medium"; 3], "{policy}");
        let group = world.engine().autoscaling().groups().iter().next().expect("a group");
        assert_eq!((group.min, group.max, group.desired), (2, 6, 3), "{policy}");
        assert!(suspended && group.suspended.is_empty(), "{policy}");
        let told = history(&mut world);
        for words in words {
            assert!(told.contains(words), "{policy}: {words}: {told}");
        }
        world
            .call(shapes::DeleteStackRequest { stack_name: "demo".to_owned(), ..Default::default() })
            .expect("a delete");
        settle(&mut world, "DELETE_COMPLETE");
        assert_eq!(world.engine().autoscaling().groups().len(), 0);
    };
    let rolling = |settings: &str| {
        format!("{{AutoScalingRollingUpdate: {{SuspendProcesses: [AZRebalance], {settings}}}}}")
    };
    check(
        &rolling("MinInstancesInService: 2, MaxBatchSize: 1"),
        2,
        &[
            "Rolling update initiated. Terminating 3 obsolete instance(s) in batches of 1, while keeping at least 2 instance(s) in service.",
            "; replacing with 1 new instance(s).",
            "(Progress 33%).",
            "(Progress 100%).",
        ],
    );
    check(
        &rolling("MinInstancesInService: 3, MaxBatchSize: \"2\", PauseTime: PT2M"),
        3,
        &["Temporarily setting autoscaling group MinSize and DesiredCapacity to 5."],
    );
    check(&rolling("MaxBatchSize: 3"), 0, &["in batches of 3, while keeping at least 0", "(Progress 100%)."]);
}

#[test]
fn new_instances_signal_their_group() {
    let policy = "{AutoScalingRollingUpdate: {MinInstancesInService: 1, MaxBatchSize: 3, WaitOnResourceSignals: true, PauseTime: PT10M}}";
    let template = group_template(policy);
    for signals in [true, false] {
        let mut world = world(6).checked();
        create(&mut world, &template, &[]);
        settle(&mut world, "CREATE_COMPLETE");
        second_version(&mut world);
        update(&mut world, &template, &[("TemplateVersion", "2")]);
        let mut told = std::collections::BTreeSet::new();
        // Without signals the way back waits for some, too (CloudFormation guide).
        let end = if signals { "UPDATE_COMPLETE" } else { "UPDATE_ROLLBACK_FAILED" };
        follow(&mut world, end, |world| {
            let fresh = world
                .engine()
                .autoscaling()
                .instances()
                .iter()
                .filter(|row| &*row.instance_type == "t3.medium");
            let fresh: Vec<String> = fresh.map(|row| row.id.to_string()).collect();
            for unique_id in fresh.into_iter().filter(|id| signals && told.insert(id.clone())) {
                let request = shapes::SignalResourceRequest {
                    stack_name: "demo".to_owned(),
                    logical_resource_id: "Group".to_owned(),
                    unique_id,
                    status: shapes::ResourceSignalStatus::Success,
                };
                world.call(request).expect("a signal");
            }
        });
        let told = history(&mut world);
        assert!(told.contains("Waiting on resource signals with a timeout of PT10M"), "{told}");
        let failed = told.contains("Unable to satisfy 100% MinSuccessfulInstancesPercent requirement");
        assert_eq!(failed, !signals, "{told}");
    }
}

#[test]
fn sizes_that_the_template_does_not_change_are_left_alone() {
    let check = |policy: &str, desired: i64| {
        let mut world = world(7).checked();
        let template = group_template(policy);
        create(&mut world, &template, &[]);
        settle(&mut world, "CREATE_COMPLETE");
        let name = outputs(&mut world)["Name"].clone();
        let request = capstan_shapes::autoscaling::SetDesiredCapacityRequest {
            auto_scaling_group_name: name,
            desired_capacity: 5,
            honor_cooldown: None,
        };
        world.call(request).expect("a size");
        update(&mut world, &template.replace("MaxSize: 6", "MaxSize: 6\n      Cooldown: 60"), &[]);
        settle(&mut world, "UPDATE_COMPLETE");
        let group = world.engine().autoscaling().groups().iter().next().expect("a group");
        assert_eq!(group.desired, desired, "{policy}");
    };
    check("{AutoScalingScheduledAction: {IgnoreUnmodifiedGroupSizeProperties: true}}", 5);
    check("{AutoScalingScheduledAction: {IgnoreUnmodifiedGroupSizeProperties: false}}", 3);
}
