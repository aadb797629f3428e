//! Managed draining: instances that Auto Scaling is about to end are drained first (ECS guide,
//! managed-instance-draining).

use capstan_model::{Hex32, InstanceId, Span};
use capstan_shapes::{Refusal, autoscaling, ecs as shapes, events};

use super::{InstanceIndex, InstanceStatus, ManagedDrain, Name, ProviderKind, TaskIndex};
use crate::{Caller, Engine};

/// The lifecycle hook that ECS puts on a provider's group (AWS SDK code examples).
pub(super) const HOOK: &str = "ecs-managed-draining-termination-hook";
pub(super) const TRANSITION: &str = "autoscaling:EC2_INSTANCE_TERMINATING";
pub(super) const HEARTBEAT: Span = Span::from_secs(3600);

/// The rule by which ECS hears of instances that leave, in users' sight (ECS guide, managed-instance-draining; the role of
/// ECS lets it make rules whose names begin so). It has no target that a user could see: the kernel tells ECS.
const RULE: &str = "ecs-managed-draining";
const RULE_PATTERN: &str = r#"{"$or":[{"source":["aws.autoscaling"],"detail-type":["EC2 Instance-terminate Lifecycle Action"],"detail":{"LifecycleHookName":["ecs-managed-draining-termination-hook"]}},{"source":["aws.ec2"],"detail-type":["EC2 Spot Instance Interruption Warning"]}]}"#;

/// A heartbeat is recorded well before the hook's timeout (our choice).
const HEARTBEAT_EVERY: Span = Span::from_secs(1800);

/// No instance is kept longer, whatever runs on it (ECS guide, managed-instance-draining).
const LONGEST: Span = Span::from_hours(48);

/// Some provider has managed draining: ECS has its rule.
pub(super) fn put_rule(cx: &mut Engine) -> Result<(), Refusal> {
    let request = events::PutRuleRequest {
        name: RULE.to_owned(),
        event_pattern: Some(RULE_PATTERN.to_owned()),
        description: Some("This rule is used by Amazon ECS to drain instances before they end.".to_owned()),
        ..Default::default()
    };
    cx.call(Caller::ECS, request).map(drop)
}

/// No provider has managed draining any more. A user may have deleted the rule by force before.
pub(super) fn delete_rule(cx: &mut Engine) {
    let request = events::DeleteRuleRequest { name: RULE.to_owned(), ..Default::default() };
    let _gone = cx.call(Caller::ECS, request);
}

/// An instance of a provider's group waits in `Terminating:Wait` for our hook.
pub(super) fn on_lifecycle_action(
    cx: &mut Engine,
    group: &str,
    instance: InstanceId,
    hook: &str,
    token: &str,
) {
    if hook != HOOK {
        return;
    }
    let container_instances: Vec<(Hex32, Name, InstanceStatus)> = cx
        .ecs
        .instances
        .by(&InstanceIndex::Ec2(instance))
        .map(|row| (row.id, row.cluster.clone(), row.status))
        .collect();
    let now = cx.now;
    cx.ecs.drains.insert(ManagedDrain {
        instance,
        group: group.to_owned(),
        token: token.to_owned(),
        since: now,
        heartbeat_at: now + HEARTBEAT_EVERY,
    });
    for (id, cluster, status) in container_instances {
        if status == InstanceStatus::Active {
            drain(cx, id, &cluster);
        }
    }
    complete_when_empty(cx, instance);
}

/// EC2 takes an instance back in two minutes: on a provider with managed draining it drains, whether or not its agent
/// watches for notices (ECS guide, managed-instance-draining).
pub(super) fn on_spot_notice(cx: &mut Engine, instance: InstanceId) {
    let of_provider = |row: &super::ContainerInstance| {
        let provider = row.provider.as_ref().and_then(|name| cx.ecs.providers.get(name));
        provider.is_some_and(|provider| match &provider.kind {
            ProviderKind::AutoScalingGroup(group) => group.managed_draining,
            ProviderKind::Fargate | ProviderKind::FargateSpot => false,
        })
    };
    let active: Vec<(Hex32, Name)> = cx
        .ecs
        .instances
        .by(&InstanceIndex::Ec2(instance))
        .filter(|row| row.status == InstanceStatus::Active && of_provider(row))
        .map(|row| (row.id, row.cluster.clone()))
        .collect();
    for (id, cluster) in active {
        drain(cx, id, &cluster);
    }
}

fn drain(cx: &mut Engine, id: Hex32, cluster: &Name) {
    let request = shapes::UpdateContainerInstancesStateRequest {
        cluster: Some(cluster.to_string()),
        container_instances: vec![id.to_string()],
        status: shapes::ContainerInstanceStatus::Draining,
    };
    let _refused = cx.call(Caller::ECS, request);
}

/// The container instance has lost its last task.
pub(super) fn instance_emptied(cx: &mut Engine, container_instance: Hex32) {
    let instance = cx.ecs.instances.get(&container_instance).and_then(|row| row.ec2_instance);
    if let Some(instance) = instance {
        complete_when_empty(cx, instance);
    }
}

/// Lets Auto Scaling go on when nothing is left on the instance, in any cluster.
fn complete_when_empty(cx: &mut Engine, instance: InstanceId) {
    if !cx.ecs.drains.contains(&instance) {
        return;
    }
    let occupied = |row: &super::ContainerInstance| cx.ecs.tasks.count_by(&TaskIndex::Instance(row.id)) > 0;
    if !cx.ecs.instances.by(&InstanceIndex::Ec2(instance)).any(occupied) {
        complete(cx, instance);
    }
}

fn complete(cx: &mut Engine, instance: InstanceId) {
    let Some(drain) = cx.ecs.drains.remove(&instance) else { return };
    let request = autoscaling::CompleteLifecycleActionRequest {
        lifecycle_hook_name: HOOK.to_owned(),
        auto_scaling_group_name: drain.group,
        lifecycle_action_token: Some(drain.token),
        lifecycle_action_result: "CONTINUE".to_owned(),
        instance_id: Some(instance.to_string()),
    };
    // Refused when the action has ended without us: nothing is left to do then.
    let _ended = cx.call(Caller::ECS, request);
}

/// The instance is gone: nobody waits for it any more.
pub(super) fn instance_terminated(cx: &mut Engine, instance: InstanceId) {
    cx.ecs.drains.remove(&instance);
}

/// Time for a heartbeat, or for giving up.
pub(super) fn on_due(cx: &mut Engine, instance: InstanceId) {
    let now = cx.now;
    let Some(drain) = cx.ecs.drains.get(&instance) else { return };
    if now >= drain.since + LONGEST {
        complete(cx, instance);
        return;
    }
    let request = autoscaling::RecordLifecycleActionHeartbeatRequest {
        lifecycle_hook_name: HOOK.to_owned(),
        auto_scaling_group_name: drain.group.clone(),
        lifecycle_action_token: Some(drain.token.clone()),
        instance_id: Some(instance.to_string()),
    };
    if cx.call(Caller::ECS, request).is_err() {
        cx.ecs.drains.remove(&instance);
        return;
    }
    if let Some(mut drain) = cx.ecs.drains.edit(&instance) {
        drain.heartbeat_at = (now + HEARTBEAT_EVERY).min(drain.since + LONGEST);
    }
}
