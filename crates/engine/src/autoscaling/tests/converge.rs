//! Whatever is done to a group, it comes to rest at its desired capacity once it is left alone.

use proptest::prelude::*;

use super::*;

/// One thing done to a group; numbers pick an instance or a size.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Abandon,
    Continue,
    Desire(i32),
    Detach(usize, bool),
    ExitStandby(usize),
    Hook(bool),
    Lose(usize),
    Protect(usize, bool),
    Resume,
    Sick(usize),
    Standby(usize, bool),
    Suspend(usize),
    Terminate(usize, bool),
    Wait(i64),
    Zones(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = 0usize..8;
    prop_oneof![
        1 => Just(Deed::Abandon),
        2 => Just(Deed::Continue),
        4 => (0i32..8).prop_map(Deed::Desire),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, decrement)| Deed::Detach(at, decrement)),
        1 => at.clone().prop_map(Deed::ExitStandby),
        1 => any::<bool>().prop_map(Deed::Hook),
        2 => at.clone().prop_map(Deed::Lose),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, on)| Deed::Protect(at, on)),
        1 => Just(Deed::Resume),
        1 => at.clone().prop_map(Deed::Sick),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, decrement)| Deed::Standby(at, decrement)),
        1 => at.clone().prop_map(Deed::Suspend),
        2 => (at, any::<bool>()).prop_map(|(at, decrement)| Deed::Terminate(at, decrement)),
        6 => (1i64..200).prop_map(Deed::Wait),
        1 => (0usize..3).prop_map(Deed::Zones),
    ]
}

const ZONES: [&[&str]; 3] =
    [&["us-east-1a"], &["us-east-1a", "us-east-1b"], &["us-east-1a", "us-east-1b", "us-east-1c"]];

/// Does it. What the group refuses in the state that it is in is refused; that is an answer too.
fn act(world: &mut World, deed: Deed) {
    let ids: Vec<String> = world.instances().iter().map(|row| row.id.to_string()).collect();
    let pick = |at: usize| ids.get(at % ids.len().max(1)).cloned().unwrap_or_default();
    let group = || "g".to_owned();
    let finish = |world: &mut World, result: &str| {
        let Some(action) = world.engine.autoscaling().actions().iter().next() else { return };
        let request = shapes::CompleteLifecycleActionRequest {
            lifecycle_hook_name: action.hook.to_string(),
            auto_scaling_group_name: "g".into(),
            lifecycle_action_token: Some(action.token.clone()),
            lifecycle_action_result: result.into(),
            instance_id: None,
        };
        world.call(request).unwrap();
    };
    match deed {
        Deed::Abandon => finish(world, "ABANDON"),
        Deed::Continue => finish(world, "CONTINUE"),
        Deed::Desire(desired) => world.desire(desired),
        Deed::Detach(at, should_decrement_desired_capacity) => {
            let _ = world.call(shapes::DetachInstancesRequest {
                instance_ids: Some(vec![pick(at)]),
                auto_scaling_group_name: group(),
                should_decrement_desired_capacity,
            });
        }
        Deed::ExitStandby(at) => {
            let _ = world.call(shapes::ExitStandbyRequest {
                instance_ids: Some(vec![pick(at)]),
                auto_scaling_group_name: group(),
            });
        }
        Deed::Hook(launching) => {
            let transition = if launching { "LAUNCHING" } else { "TERMINATING" };
            let request = shapes::PutLifecycleHookRequest {
                lifecycle_hook_name: transition.into(),
                auto_scaling_group_name: group(),
                lifecycle_transition: Some(format!("autoscaling:EC2_INSTANCE_{transition}")),
                heartbeat_timeout: Some(60),
                default_result: Some("CONTINUE".into()),
                ..Default::default()
            };
            world.call(request).unwrap();
        }
        Deed::Lose(at) => {
            if let Ok(id) = pick(at).parse() {
                world.lose(id);
            }
        }
        Deed::Protect(at, protected_from_scale_in) => {
            let _ = world.call(shapes::SetInstanceProtectionRequest {
                instance_ids: vec![pick(at)],
                auto_scaling_group_name: group(),
                protected_from_scale_in,
            });
        }
        Deed::Resume => resume(world),
        Deed::Sick(at) => {
            let _ = world.call(shapes::SetInstanceHealthRequest {
                instance_id: pick(at),
                health_status: "Unhealthy".into(),
                should_respect_grace_period: Some(false),
            });
        }
        Deed::Standby(at, should_decrement_desired_capacity) => {
            let _ = world.call(shapes::EnterStandbyRequest {
                instance_ids: Some(vec![pick(at)]),
                auto_scaling_group_name: group(),
                should_decrement_desired_capacity,
            });
        }
        Deed::Suspend(at) => {
            let processes = crate::autoscaling::suspend::PROCESSES;
            let request = shapes::SuspendProcessesRequest {
                auto_scaling_group_name: group(),
                scaling_processes: Some(vec![processes[at % processes.len()].to_owned()]),
            };
            world.call(request).unwrap();
        }
        Deed::Terminate(at, should_decrement_desired_capacity) => {
            let _ = world.call(shapes::TerminateInstanceInAutoScalingGroupRequest {
                instance_id: pick(at),
                should_decrement_desired_capacity,
            });
        }
        Deed::Wait(secs) => world.secs(secs),
        Deed::Zones(at) => {
            let request = shapes::UpdateAutoScalingGroupRequest {
                auto_scaling_group_name: group(),
                availability_zones: Some(ZONES[at].iter().map(|&zone| zone.to_owned()).collect()),
                ..Default::default()
            };
            world.call(request).unwrap();
        }
    }
}

fn resume(world: &mut World) {
    let request =
        shapes::ResumeProcessesRequest { auto_scaling_group_name: "g".into(), scaling_processes: None };
    world.call(request).unwrap();
}

/// Lifts every protection and suspension, and waits.
fn leave_alone(world: &mut World) {
    resume(world);
    for id in world.instances().iter().map(|row| row.id.to_string()).collect::<Vec<_>>() {
        let request = shapes::SetInstanceProtectionRequest {
            instance_ids: vec![id],
            auto_scaling_group_name: "g".into(),
            protected_from_scale_in: false,
        };
        world.call(request).unwrap();
    }
    world.mins(120);
}

fn check(mixed: bool, deeds: &[Deed]) {
    let mut world = World::new();
    let mut request = create_request(0, 8, 2);
    if mixed {
        request.mixed_instances_policy = Some(shapes::MixedInstancesPolicy {
            launch_template: Some(shapes::LaunchTemplate {
                launch_template_specification: request.launch_template.take(),
                overrides: None,
            }),
            instances_distribution: Some(shapes::InstancesDistribution {
                on_demand_base_capacity: Some(1),
                on_demand_percentage_above_base_capacity: Some(50),
                ..Default::default()
            }),
        });
    }
    world.call(request).unwrap();
    for deed in deeds {
        act(&mut world, *deed);
        let group = world.group();
        assert!((group.min..=group.max).contains(&group.desired), "desired {}", group.desired);
    }
    leave_alone(&mut world);
    let desired = world.group().desired;
    let rows = world.instances();
    for row in &rows {
        let rests = matches!(row.state.as_str(), "InService" | "Standby");
        assert!(rests, "{} rests in {}", row.id, row.state);
        let alive = row.state.as_str() == "Standby" || !row.is_gone();
        assert!(alive, "{} is dead and was not replaced", row.id);
    }
    let in_service = rows.iter().filter(|row| row.state.as_str() == "InService").count();
    assert_eq!(i64::try_from(in_service).unwrap(), desired, "{}", world.states());
    for activity in world.activities() {
        assert!(activity.ended.is_some(), "{} never ended", activity.description);
    }
    assert!(world.engine.autoscaling().actions().is_empty(), "somebody still waits in a hook");
    // Policies look at one purchase option of a mixed group only; other groups stay spread.
    let spread = zones_of(&world);
    let (least, most) = (spread.iter().min().unwrap(), spread.iter().max().unwrap());
    assert!(mixed || most - least <= 2, "{}", world.zones());
}

/// Instances in service by zone of the group.
fn zones_of(world: &World) -> Vec<usize> {
    let rows = world.instances();
    let count = |zone: &str| {
        rows.iter().filter(|row| row.state.as_str() == "InService" && &*row.zone == zone).count()
    };
    world.group().zones.iter().map(|zone| count(&zone.name)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_group_comes_to_rest(mixed: bool, deeds in proptest::collection::vec(deed(), 1..40)) {
        check(mixed, &deeds);
    }
}
