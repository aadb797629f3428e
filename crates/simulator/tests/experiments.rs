//! Fault injection experiments on a stack that runs: drained instances, stopped tasks, groups without capacity, a zone
//! without power (spec timelines.md A5).

mod support;

use std::collections::BTreeMap;

use capstan_engine::ecs::{InstanceStatus, TaskStatus};
use capstan_model::Span;
use capstan_shapes::{autoscaling, ec2, fis};
use capstan_simulator::World;

use support::{CLUSTER, SERVICE, world};

const ZONE: &str = "eu-west-1a";

type Target = fis::CreateExperimentTemplateTargetInput;
type Action = fis::CreateExperimentTemplateActionInput;

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn target(resource_type: &str, parameters: &[(&str, &str)], tags: &[(&str, &str)], mode: &str) -> Target {
    Target {
        resource_type: resource_type.to_owned(),
        resource_tags: (!tags.is_empty()).then(|| texts(tags)),
        parameters: (!parameters.is_empty()).then(|| texts(parameters)),
        selection_mode: mode.to_owned(),
        ..Default::default()
    }
}

fn action(id: &str, parameters: &[(&str, &str)], key: &str, name: &str) -> Action {
    Action {
        action_id: id.to_owned(),
        parameters: Some(texts(parameters)),
        targets: Some(texts(&[(key, name)])),
        ..Default::default()
    }
}

/// Starts an experiment; its id.
fn start(world: &mut World, targets: &[(&str, Target)], actions: &[(&str, Action)]) -> String {
    let named = |(name, target): &(&str, Target)| ((*name).to_owned(), target.clone());
    let template = world.call(fis::CreateExperimentTemplateRequest {
        client_token: format!("template-{}", world.now()),
        description: "a test".to_owned(),
        stop_conditions: vec![fis::CreateExperimentTemplateStopConditionInput {
            source: "none".to_owned(),
            value: None,
        }],
        targets: Some(targets.iter().map(named).collect()),
        actions: actions.iter().map(|(name, action)| ((*name).to_owned(), action.clone())).collect(),
        role_arn: "arn:aws:iam::012345678910:role/fis".to_owned(),
        experiment_options: Some(fis::CreateExperimentTemplateExperimentOptionsInput {
            account_targeting: None,
            empty_target_resolution_mode: Some(fis::EmptyTargetResolutionMode::Skip),
        }),
        ..Default::default()
    });
    let template = template.expect("a template").experiment_template.and_then(|template| template.id);
    let experiment = world.call(fis::StartExperimentRequest {
        client_token: format!("experiment-{}", world.now()),
        experiment_template_id: template.expect("its id"),
        ..Default::default()
    });
    experiment.expect("an experiment").experiment.and_then(|experiment| experiment.id).expect("its id")
}

fn status(world: &mut World, id: &str) -> String {
    let experiment = world.call(fis::GetExperimentRequest { id: id.to_owned() }).expect("an experiment");
    let state = experiment.experiment.and_then(|experiment| experiment.state).expect("a state");
    format!(
        "{}: {}",
        state.status.map_or("", fis::ExperimentStatus::as_str),
        state.reason.unwrap_or_default()
    )
}

/// A cluster with one On-Demand group of `count` instances, and a service of three tasks to each.
fn stack(count: i32) -> World {
    let mut world = world(7);
    support::cluster(&mut world);
    support::group(&mut world, "ondemand", false, count, 20);
    support::provider(&mut world, support::ON_DEMAND, "ondemand", 100);
    support::put_providers(&mut world, &[support::ON_DEMAND], vec![support::item(support::ON_DEMAND, 0, 1)]);
    world.advance(Span::from_mins(5));
    let definition = support::task_definition(&mut world, "ecsdemo");
    support::service(&mut world, &definition, None, count * 3);
    world.advance(Span::from_mins(10));
    assert_eq!(running(&world), usize::try_from(count * 3).unwrap());
    world
}

fn running(world: &World) -> usize {
    world.engine().ecs().tasks().iter().filter(|task| task.status == TaskStatus::Running).count()
}

fn draining(world: &World) -> usize {
    let instances = world.engine().ecs().instances().iter();
    instances.filter(|row| row.status == InstanceStatus::Draining).count()
}

#[test]
fn container_instances_drain_and_come_back() {
    let check = |percentage: &str, expect: usize| {
        let mut world = stack(4);
        let tag = capstan_shapes::ecs::Tag { key: Some("fis".into()), value: Some("yes".into()) };
        let arn = "arn:aws:ecs:eu-west-1:012345678910:cluster/container-demo".to_owned();
        world
            .call(capstan_shapes::ecs::TagResourceRequest { resource_arn: arn, tags: vec![tag] })
            .expect("a tag");
        let parameters = [("drainagePercentage", percentage), ("duration", "PT10M")];
        let id = start(
            &mut world,
            &[("Cluster", target("aws:ecs:cluster", &[], &[("fis", "yes")], "ALL"))],
            &[("Drain", action("aws:ecs:drain-container-instances", &parameters, "Clusters", "Cluster"))],
        );
        world.advance(Span::from_secs(11));
        assert_eq!(draining(&world), expect, "{percentage}");
        world.advance(Span::from_mins(9));
        assert_eq!(draining(&world), expect, "{percentage}");
        assert_eq!(status(&mut world, &id), "running: Experiment is running.");
        world.advance(Span::from_secs(61));
        assert_eq!(draining(&world), 0, "{percentage}");
        assert_eq!(status(&mut world, &id), "completed: Experiment completed");
    };
    check("1", 1);
    check("50", 2);
    check("100", 4);
}

#[test]
fn stopped_tasks_are_replaced() {
    let mut world = stack(3);
    let before: Vec<_> = world.engine().ecs().tasks().iter().map(|task| task.id).collect();
    let tasks = target("aws:ecs:task", &[("cluster", CLUSTER), ("service", SERVICE)], &[], "PERCENT(50)");
    let id = start(&mut world, &[("T", tasks)], &[("Stop", action("aws:ecs:stop-task", &[], "Tasks", "T"))]);
    world.advance(Span::from_secs(12));
    assert_eq!(status(&mut world, &id), "completed: Experiment completed");
    let reason = format!("Stopped by the AWS FIS experiment {id}");
    let stopped = |world: &World| {
        let tasks = world.engine().ecs().tasks().iter();
        tasks.filter(|task| task.stopped_reason.as_deref() == Some(&reason)).count()
    };
    assert_eq!(stopped(&world), 4, "half of nine, rounded down");
    world.advance(Span::from_mins(5));
    assert_eq!(running(&world), 9);
    let new = world.engine().ecs().tasks().iter().filter(|task| !before.contains(&task.id)).count();
    assert_eq!(new, 4);
}

/// What ran on a rebooted instance is gone; its agent comes back and gets its share again.
#[test]
fn rebooted_instances_run_tasks_again() {
    let mut world = stack(3);
    let filter = fis::ExperimentTemplateTargetInputFilter {
        path: "State.Name".to_owned(),
        values: vec!["running".to_owned()],
    };
    let mut instances = target("aws:ec2:instance", &[], &[], "COUNT(1)");
    instances.filters = Some(vec![filter]);
    let reboot = action("aws:ec2:reboot-instances", &[], "Instances", "T");
    let id = start(&mut world, &[("T", instances)], &[("Reboot", reboot)]);
    let connected = |world: &World| {
        world.engine().ecs().instances().iter().filter(|instance| instance.agent_connected).count()
    };
    world.advance(Span::from_secs(12));
    assert_eq!(status(&mut world, &id), "completed: Experiment completed");
    world.advance(Span::from_mins(10));
    assert_eq!(by_zone(&world).values().sum::<usize>(), 3, "nothing was launched for it");
    assert_eq!(connected(&world), 3);
    assert_eq!(running(&world), 9);
    let tasks = world.engine().ecs().tasks().iter();
    assert_eq!(tasks.filter(|task| task.generation > 0 && task.stopped_at.is_some()).count(), 3);
}

/// Running instances of the group in each zone.
fn by_zone(world: &World) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for row in world.engine().ec2().instances().iter() {
        if row.state == ec2::InstanceStateName::Running {
            *counts.entry(row.zone.name).or_default() += 1;
        }
    }
    counts
}

/// The scenario of the FIS guide, az-availability-scenario, as far as there is something to act on.
#[test]
fn a_zone_loses_its_power() {
    let mut world = stack(6);
    assert_eq!(by_zone(&world)[ZONE], 2);
    let tag = |resource_id: &str, value: &str, propagate: bool| autoscaling::Tag {
        key: "AzImpairmentPower".to_owned(),
        value: Some(value.to_owned()),
        propagate_at_launch: Some(propagate),
        resource_id: Some(resource_id.to_owned()),
        resource_type: Some("auto-scaling-group".to_owned()),
    };
    let tags = vec![tag("ondemand", "IceAsg", true)];
    world.call(autoscaling::CreateOrUpdateTagsRequest { tags }).expect("tags of the group");
    let ids: Vec<String> = world.engine().ec2().instances().iter().map(|row| row.id.to_string()).collect();
    let tags = vec![ec2::Tag { key: Some("AzImpairmentPower".into()), value: Some("IceAsg".into()) }];
    world.call(ec2::CreateTagsRequest { resources: ids, tags, ..Default::default() }).expect("tags");

    let mut instances = target("aws:ec2:instance", &[], &[("AzImpairmentPower", "IceAsg")], "ALL");
    let filter = |path: &str, value: &str| fis::ExperimentTemplateTargetInputFilter {
        path: path.to_owned(),
        values: vec![value.to_owned()],
    };
    instances.filters =
        Some(vec![filter("State.Name", "running"), filter("Placement.AvailabilityZone", ZONE)]);
    let mut role = target("aws:iam:role", &[], &[], "ALL");
    role.resource_arns = Some(vec!["arn:aws:iam::012345678910:role/launches".to_owned()]);
    let targets = [
        ("ASG", target("aws:ec2:autoscaling-group", &[], &[("AzImpairmentPower", "IceAsg")], "ALL")),
        ("ASG-Instances", instances),
        ("Role", role),
        ("Subnets", target("aws:ec2:subnet", &[("availabilityZoneIdentifier", ZONE)], &[], "ALL")),
    ];
    let stop = [("completeIfInstancesTerminated", "true"), ("startInstancesAfterDuration", "PT30M")];
    let ice = [("availabilityZoneIdentifiers", ZONE), ("duration", "PT30M"), ("percentage", "100")];
    let network = [("duration", "PT2M"), ("scope", "all")];
    let actions = [
        ("Stop-ASG-Instances", action("aws:ec2:stop-instances", &stop, "Instances", "ASG-Instances")),
        (
            "Pause-Instance-Launches",
            action("aws:ec2:api-insufficient-instance-capacity-error", &ice, "Roles", "Role"),
        ),
        (
            "Pause-ASG-Scaling",
            action("aws:ec2:asg-insufficient-instance-capacity-error", &ice, "AutoScalingGroups", "ASG"),
        ),
        (
            "Pause-network-connectivity",
            action("aws:network:disrupt-connectivity", &network, "Subnets", "Subnets"),
        ),
    ];
    let id = start(&mut world, &targets, &actions);
    world.advance(Span::from_secs(15));
    assert_eq!(by_zone(&world).get(ZONE), None, "the zone is dark");

    // The group takes the stopped instances for unhealthy, ends them and launches elsewhere; the tasks follow.
    world.advance(Span::from_mins(20));
    assert_eq!(by_zone(&world).get(ZONE), None);
    assert_eq!(by_zone(&world).values().sum::<usize>(), 6);
    assert_eq!(running(&world), 18);

    world.advance(Span::from_mins(11));
    assert_eq!(status(&mut world, &id), "completed: Experiment completed");
    // AZRebalance goes back.
    world.advance(Span::from_mins(30));
    assert_eq!(by_zone(&world).get(ZONE), Some(&2), "{:?}", by_zone(&world));
    assert_eq!(running(&world), 18);
}
