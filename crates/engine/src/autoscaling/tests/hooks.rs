use super::*;
use crate::autoscaling::LifecycleState;

fn hook(name: &str, transition: &str, heartbeat: i32) -> shapes::PutLifecycleHookRequest {
    shapes::PutLifecycleHookRequest {
        lifecycle_hook_name: name.into(),
        auto_scaling_group_name: "g".into(),
        lifecycle_transition: Some(format!("autoscaling:EC2_INSTANCE_{transition}")),
        heartbeat_timeout: Some(heartbeat),
        ..Default::default()
    }
}

fn complete(world: &World, result: &str) -> shapes::CompleteLifecycleActionRequest {
    let action = world.engine.autoscaling().actions().iter().next().unwrap();
    shapes::CompleteLifecycleActionRequest {
        lifecycle_hook_name: action.hook.to_string(),
        auto_scaling_group_name: "g".into(),
        lifecycle_action_token: Some(action.token.clone()),
        lifecycle_action_result: result.into(),
        instance_id: None,
    }
}

#[test]
fn a_launch_hook_holds_an_instance_until_it_is_completed() {
    let mut world = World::new();
    world.create(0, 10, 0);
    world.call(hook("boot", "LAUNCHING", 60)).unwrap();
    world.desire(1);
    world.secs(30);
    assert_eq!(world.states(), "Pending:Wait 1");
    assert!(world.told().starts_with("MidLifecycleAction"));
    world.call(complete(&world, "CONTINUE")).unwrap();
    assert_eq!(world.states(), "InService 1");
    // Without an answer the default result counts: the launch is abandoned and tried again.
    world.desire(2);
    world.secs(90);
    let abandoned = world.activities()[1];
    assert_eq!(abandoned.code, shapes::ScalingActivityStatusCode::Cancelled);
    let message = abandoned.message.as_deref().unwrap();
    assert!(
        message
            .starts_with("Instance failed to complete user's Lifecycle Action: Lifecycle Action with token")
    );
    assert!(message.ends_with("was abandoned: Heartbeat Timeout"));
    world.secs(30);
    assert_eq!(world.states(), "InService 1, Pending:Wait 1");
    world.call(complete(&world, "ABANDON")).unwrap();
    assert_eq!(world.states(), "InService 1, Pending 1, Terminating 1");
}

#[test]
fn a_termination_hook_delays_the_end() {
    let mut world = World::new();
    world.create(0, 10, 1);
    world.call(hook("drain", "TERMINATING", 100)).unwrap();
    world.call(hook("save", "TERMINATING", 100)).unwrap();
    world.mins(1);
    world.desire(0);
    assert_eq!(world.states(), "Terminating:Wait 1");
    let id = world.instances()[0].id;
    world.secs(90);
    let beat = shapes::RecordLifecycleActionHeartbeatRequest {
        lifecycle_hook_name: "drain".into(),
        auto_scaling_group_name: "g".into(),
        lifecycle_action_token: None,
        instance_id: Some(id.to_string()),
    };
    world.call(beat).unwrap();
    world.secs(20);
    // The other hook has timed out, and with ABANDON it ended both.
    assert_eq!(world.states(), "Terminating:Proceed 1");
    world.secs(20);
    assert_eq!(world.states(), "");
    assert!(world.told().starts_with("Successful"));
}

#[test]
fn both_hooks_must_be_done() {
    let mut world = World::new();
    world.create(0, 10, 1);
    world.call(hook("drain", "TERMINATING", 100)).unwrap();
    world.call(hook("save", "TERMINATING", 100)).unwrap();
    world.mins(1);
    world.desire(0);
    world.call(complete(&world, "CONTINUE")).unwrap();
    assert_eq!(world.instances()[0].state, LifecycleState::TerminatingWait);
    world.call(complete(&world, "CONTINUE")).unwrap();
    assert_eq!(world.instances()[0].state, LifecycleState::TerminatingProceed);
}

#[test]
fn a_hook_outlives_its_instance_but_not_its_ceiling() {
    let mut world = World::new();
    world.create(0, 10, 1);
    world.call(hook("drain", "TERMINATING", 30)).unwrap();
    world.mins(1);
    world.desire(0);
    let id = world.instances()[0].id;
    // EC2 is killed behind its back: the hook goes on until somebody answers.
    world.lose(id);
    for _ in 0..200 {
        world.secs(20);
        let beat = shapes::RecordLifecycleActionHeartbeatRequest {
            lifecycle_hook_name: "drain".into(),
            auto_scaling_group_name: "g".into(),
            lifecycle_action_token: None,
            instance_id: Some(id.to_string()),
        };
        if world.call(beat).is_err() {
            break;
        }
    }
    let waited = world.now - START;
    assert!(waited.as_secs() >= 60 + 3000 && waited.as_secs() < 60 + 3060, "{waited}");
    assert_eq!(world.states(), "");
}

#[test]
fn hooks_are_described_and_refused() {
    let mut world = World::new();
    world.create(0, 10, 0);
    world.call(hook("drain", "TERMINATING", 300)).unwrap();
    let ask = shapes::DescribeLifecycleHooksRequest {
        auto_scaling_group_name: "g".into(),
        lifecycle_hook_names: None,
    };
    let described = world.call(ask).unwrap().lifecycle_hooks.unwrap().remove(0);
    assert_eq!(described.global_timeout, Some(30_000));
    assert_eq!(described.default_result.as_deref(), Some("ABANDON"));
    assert_eq!(
        world.refused(hook("short", "TERMINATING", 5)),
        "ValidationError: Heartbeat timeout must be between 30 and 7200 seconds"
    );
    let unknown = shapes::CompleteLifecycleActionRequest {
        lifecycle_hook_name: "drain".into(),
        auto_scaling_group_name: "g".into(),
        lifecycle_action_token: Some("t".into()),
        lifecycle_action_result: "CONTINUE".into(),
        instance_id: None,
    };
    assert_eq!(world.refused(unknown), "ValidationError: No active Lifecycle Action found with token t");
    let delete = shapes::DeleteLifecycleHookRequest {
        lifecycle_hook_name: "drain".into(),
        auto_scaling_group_name: "g".into(),
    };
    world.call(delete.clone()).unwrap();
    assert!(world.refused(delete).contains("No Lifecycle Hook found"));
}
