//! The first workshop page in virtual time (spec observed.md §1).

mod support;

use capstan_engine::ecs::TaskStatus;
use capstan_model::Span;
use capstan_shapes::ecs;
use support::*;

/// Service events, oldest first, as offsets in seconds from `since`.
fn events_since(world: &mut capstan_simulator::World, since: capstan_model::Time) -> Vec<(i64, String)> {
    let events = describe(world).events.unwrap_or_default();
    let mut told: Vec<(i64, String)> = events
        .into_iter()
        .filter_map(|event| Some((event.created_at?, event.message?)))
        .filter(|(at, _)| *at >= since)
        .map(|(at, message)| ((at - since).as_secs(), message))
        .collect();
    told.reverse();
    told
}

#[test]
fn the_page_from_two_providers_to_twenty_tasks_and_back() {
    let mut world = world(7).checked();
    workshop(&mut world);
    world.advance(Span::from_mins(10));

    // 4 instances, 2 for each provider; one task.
    assert_eq!((instances(&world, ON_DEMAND), instances(&world, SPOT)), (2, 2));
    assert_eq!(running(&world), [(ON_DEMAND.to_owned(), 1)]);

    update(&mut world, |request| {
        request.capacity_provider_strategy = Some(vec![item(ON_DEMAND, 1, 1), item(SPOT, 0, 1)]);
        request.force_new_deployment = Some(true);
        request.desired_count = Some(20);
    });
    world.advance(Span::from_mins(15));
    let split = [(ON_DEMAND.to_owned(), 11), (SPOT.to_owned(), 9)];
    assert_eq!(running(&world), split, "{:#?}", describe(&mut world).events);
    let zones: std::collections::BTreeSet<_> = world
        .engine()
        .ecs()
        .tasks()
        .iter()
        .filter(|task| task.status == TaskStatus::Running)
        .filter_map(|task| task.zone.clone())
        .collect();
    assert_eq!(zones.len(), 3, "{zones:?}");
    let service = describe(&mut world);
    assert_eq!(service.deployments.as_ref().map(Vec::len), Some(1));
    assert_eq!((service.running_count, service.desired_count), (Some(20), Some(20)));

    // An instance with three tasks is drained.
    let tasks_on = |world: &capstan_simulator::World, id| {
        world.engine().ecs().tasks().by(&capstan_engine::ecs::TaskIndex::Instance(id)).count()
    };
    let ids: Vec<_> = world.engine().ecs().instances().iter().map(|row| row.id).collect();
    let drained = ids.into_iter().max_by_key(|id| tasks_on(&world, *id)).expect("an instance");
    let count = tasks_on(&world, drained);
    let started = world.now();
    world
        .call(ecs::UpdateContainerInstancesStateRequest {
            cluster: Some(CLUSTER.to_owned()),
            container_instances: vec![drained.to_string()],
            status: ecs::ContainerInstanceStatus::Draining,
        })
        .expect("draining");
    world.advance(Span::from_mins(3));
    let events = events_since(&mut world, started);
    let at = |what: &str| {
        let found = events.iter().find(|(_, message)| message.contains(what));
        found.unwrap_or_else(|| panic!("no event says {what}: {events:#?}")).0
    };
    assert_eq!(at(&format!("deregistered {count} targets in (target-group")), 0);
    assert_eq!(at(&format!("has begun draining connections on {count} tasks.")), 0);
    assert_eq!(at(&format!("has started {count} tasks:")), 0);
    assert!(
        (10..=17).contains(&at(&format!(") registered {count} targets in (target-group"))),
        "{events:#?}"
    );
    assert!((99..=104).contains(&at(&format!("has stopped {count} running tasks:"))), "{events:#?}");
    assert!((107..=114).contains(&at("has reached a steady state.")), "{events:#?}");
    let told: Vec<&str> = events.iter().map(|(_, message)| message.as_str()).collect();
    for (message, what) in told.iter().zip([
        "deregistered",
        "has begun",
        "has started",
        "registered",
        "has stopped",
        "has reached",
    ]) {
        assert!(message.contains(&format!(") {what}")), "{told:#?}");
    }

    world
        .call(ecs::UpdateContainerInstancesStateRequest {
            cluster: Some(CLUSTER.to_owned()),
            container_instances: vec![drained.to_string()],
            status: ecs::ContainerInstanceStatus::Active,
        })
        .expect("active again");
    update(&mut world, |request| request.desired_count = Some(1));
    world.advance(Span::from_mins(14));
    world.advance(Span::from_mins(16));
    assert_eq!(running(&world), [(ON_DEMAND.to_owned(), 1)]);
    assert_eq!((instances(&world, ON_DEMAND), instances(&world, SPOT)), (2, 2));

    // Scale-in waits for 15 minutes below the target, which begin after the latest scale-out.
    for group in ["ondemand", "spot"] {
        let request = capstan_shapes::autoscaling::DescribeScalingActivitiesRequest {
            auto_scaling_group_name: Some(group.to_owned()),
            ..Default::default()
        };
        let activities = world.call(request).expect("activities").activities;
        let starts = |what: &str| {
            let of_kind = activities.iter().filter(|activity| {
                activity.description.as_deref().is_some_and(|text| text.starts_with(what))
            });
            of_kind.map(|activity| activity.start_time).collect::<Vec<_>>()
        };
        let (launched, ended) = (starts("Launching"), starts("Terminating"));
        assert!(!ended.is_empty(), "{group} never scaled in");
        let wait = *ended.iter().min().expect("an end") - *launched.iter().max().expect("a launch");
        assert!(wait >= Span::from_mins(15), "{group} scaled in {wait} after its latest scale-out");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed| {
        let mut world = world(seed).traced();
        workshop(&mut world);
        world.advance(Span::from_mins(10));
        update(&mut world, |request| request.desired_count = Some(20));
        world.advance(Span::from_mins(20));
        world.trace().join("\n")
    };
    let (one, two, other) = (trace(3), trace(3), trace(4));
    assert!(one == two, "two runs with seed 3 differ");
    assert_ne!(one, other);
    assert!(one.lines().count() > 500, "the trace is too short to say anything");
}
