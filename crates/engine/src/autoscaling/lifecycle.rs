//! An instance's way through a group (ASG guide, ec2-auto-scaling-lifecycle).
//!
//! In: `Pending` until EC2 says `running`, launch hooks, registration with the target groups, `InService`.
//! Out: `Terminating`, draining from the target groups, termination hooks, EC2's termination, gone.

use capstan_model::{InstanceId, Span};
use capstan_shapes::{ec2, elbv2};

use super::rows::{
    ActivityKey, GroupInstance, GroupInstanceIndex, LifecycleState as State, Name, Risk,
    ScalingActivityStatusCode as Code, TargetGroup, Transition, Warmup,
};
use super::{activity, capacity, hook};
use crate::kernel::Effect;
use crate::{Caller, Engine};

/// Draining is given up after the longest deregistration delay that a target group can have.
const DRAINING_MAX: Span = Span::from_secs(3600);

/// EC2 reports the instance as running: it goes on to launch hooks, or into service.
pub(super) fn running(cx: &mut Engine, id: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    if row.state != State::Pending {
        return;
    }
    let (activity, hooks) = (row.activity.clone(), row.hooks);
    if hooks && hook::begin(cx, id, Transition::Launching) {
        set_state(cx, id, State::PendingWait);
        if let Some(key) = &activity {
            activity::stage(cx, key, Code::MidLifecycleAction);
        }
    } else {
        into_service(cx, id);
    }
}

/// Launch hooks are done, or there are none.
pub(super) fn into_service(cx: &mut Engine, id: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    let (group_name, warmup, launched) = (row.group.clone(), row.warmup, row.launched);
    let (activity, moves) = (row.activity.clone(), row.moves);
    let Some(group) = cx.autoscaling.groups.get(&group_name) else { return };
    let to_balancer = !group.is_suspended("AddToLoadBalancer");
    let target_groups: Vec<String> = group.target_groups.iter().map(|each| each.arn.clone()).collect();
    if to_balancer {
        for arn in target_groups {
            register(cx, id, &arn);
        }
    }
    let now = cx.now;
    let warm_at =
        warmup.map(|Warmup { span, from_launch }| if from_launch { launched + span } else { now + span });
    {
        let mut row = cx.autoscaling.instances.edit(&id).expect("the instance was there");
        row.state = State::InService;
        row.in_service = Some(now);
        row.moves = None;
    }
    cx.effect(Effect::InstanceMetadata { instance: id });
    match (activity, warm_at) {
        // The activity stays with the instance: it ends with the warm-up, or when the instance leaves before.
        (Some(key), Some(until)) if until > now => activity::warm_up(cx, &key, until),
        _ => finish(cx, id),
    }
    if let Some(victim) = moves {
        let risky = |row: &GroupInstance| row.risk != Risk::None;
        if cx.autoscaling.instances.get(&victim).is_some_and(risky) {
            super::rebalance::arrived(cx, victim);
        } else {
            super::balance::arrived(cx, id, victim);
        }
    } else if cx.autoscaling.groups.get(&group_name).is_some_and(|group| group.balance_wanted) {
        super::balance::want(cx, &group_name);
    }
}

/// How an instance is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Drained first, then through the termination hooks.
    Orderly,
    /// Without waiting for anything: a forced deletion, or an instance that never was in service.
    Forced,
}

/// Takes an instance out; gives the activity that does.
pub(super) fn terminate(cx: &mut Engine, id: InstanceId, cause: Name, exit: Exit) -> Option<ActivityKey> {
    let row = cx.autoscaling.instances.get(&id)?.clone();
    let group = cx.autoscaling.groups.get(&row.group)?.clone();
    hook::forget(cx, id);
    if row.state == State::InService {
        finish(cx, id);
    } else if let Some(key) = &row.activity {
        activity::end(cx, key, Code::Cancelled, None);
    }
    super::rebalance::left(cx, id);
    let details = activity::details(row.subnet.as_deref(), &row.zone);
    let key = activity::begin(cx, &group, format!("Terminating EC2 instance: {id}"), cause, details);
    {
        let mut row = cx.autoscaling.instances.edit(&id)?;
        row.state = State::Terminating;
        row.activity = Some(key.clone());
        row.hooks = exit == Exit::Orderly;
        row.moves = None;
        row.check_at = None;
    }
    cx.effect(Effect::InstanceMetadata { instance: id });
    let drains = exit == Exit::Orderly && !row.is_gone();
    deregister_all(cx, id, drains);
    Some(key)
}

/// Takes the instance out of all its target groups. With `wait` it drains first; without, it goes on at once.
pub(super) fn deregister_all(cx: &mut Engine, id: InstanceId, wait: bool) {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    let (targets, activity): (Vec<String>, _) = (row.targets.keys().cloned().collect(), row.activity.clone());
    for arn in targets {
        deregister(cx, id, &arn, wait);
    }
    let give_up = cx.now + DRAINING_MAX;
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    if row.draining.is_empty() {
        drop(row);
        drained(cx, id);
        return;
    }
    row.check_at = Some(give_up);
    drop(row);
    if let Some(key) = &activity {
        activity::stage(cx, key, Code::WaitingForELBConnectionDraining);
    }
}

/// No target group holds the instance any more: it goes on with what it was on the way to.
pub(super) fn drained(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    row.draining.clear();
    row.check_at = None;
    let (state, activity, hooks) = (row.state, row.activity.clone(), row.hooks);
    drop(row);
    match state {
        State::Terminating => {
            if hooks && hook::begin(cx, id, Transition::Terminating) {
                set_state(cx, id, State::TerminatingWait);
                if let Some(key) = &activity {
                    activity::stage(cx, key, Code::MidLifecycleAction);
                }
            } else {
                end(cx, id);
            }
        }
        State::EnteringStandby => {
            set_state(cx, id, State::Standby);
            finish(cx, id);
        }
        State::Detaching => {
            finish(cx, id);
            cx.autoscaling.instances.remove(&id);
            untag(cx, id);
        }
        _ => {}
    }
}

/// Ends an instance whose hooks are done: EC2 terminates it.
pub(super) fn end(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    if row.state == State::TerminatingWait {
        row.state = State::TerminatingProceed;
    }
    let (ec2_state, activity) = (row.ec2_state, row.activity.clone());
    // Nothing is waited for any more but EC2.
    row.check_at = None;
    drop(row);
    if let Some(key) = &activity {
        activity::stage(cx, key, Code::InProgress);
    }
    if ec2_state == "terminated" {
        return gone(cx, id);
    }
    let request = ec2::TerminateInstancesRequest { instance_ids: vec![id.to_string()], ..Default::default() };
    match cx.call(Caller::AUTOSCALING, request) {
        Ok(_) => {}
        // EC2 does not know it any more.
        Err(refusal) if refusal.code == "InvalidInstanceID.NotFound" => gone(cx, id),
        Err(refusal) => {
            if let Some(key) = &activity {
                activity::end(cx, key, Code::Failed, Some(refusal.message));
            }
        }
    }
}

/// A forced deletion: an instance that is on its way out waits for nothing any more.
pub(super) fn hurry(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    let asked = row.draining.is_empty() && row.state != State::TerminatingWait;
    row.draining.clear();
    row.hooks = false;
    drop(row);
    hook::forget(cx, id);
    // Without draining and hooks EC2 has been asked already.
    if !asked {
        end(cx, id);
    }
}

/// EC2 has terminated an instance that was on its way out.
pub(super) fn gone(cx: &mut Engine, id: InstanceId) {
    hook::forget(cx, id);
    finish(cx, id);
    let Some(row) = cx.autoscaling.instances.remove(&id) else { return };
    let left = cx.autoscaling.instances.count_by(&GroupInstanceIndex::Group(row.group.clone()));
    if left == 0 && cx.autoscaling.groups.get(&row.group).is_some_and(|group| group.deleting) {
        super::group::forget(cx, &row.group);
    }
}

/// EC2 announces a state. An instance that goes down though its group did not ask for it is found by the next health
/// check.
pub(super) fn ec2_state(cx: &mut Engine, id: InstanceId, state: &'static str) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    row.ec2_state = state;
    if row.is_terminating() {
        let (draining, waiting) = (!row.draining.is_empty(), row.state == State::TerminatingWait);
        drop(row);
        if draining && state == "terminated" {
            // Nothing is left to drain.
            drained(cx, id);
        } else if state == "terminated" && !waiting {
            gone(cx, id);
        }
        return;
    }
    if row.is_gone() {
        let checked = matches!(row.state, State::InService) || row.is_current();
        drop(row);
        if checked {
            super::health::schedule(cx, id);
        }
        return;
    }
    drop(row);
    if state == "running" {
        running(cx, id);
    }
}

/// A target's state changed, or it left its target group.
pub(super) fn target_state(cx: &mut Engine, arn: &str, target: &str, state: &str) {
    let Ok(id) = target.parse::<InstanceId>() else { return };
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    let group = row.group.clone();
    if state == "unused" {
        let done = row.draining.remove(arn) && row.draining.is_empty();
        drop(row);
        if done {
            drained(cx, id);
        }
        return;
    }
    let Some(failing) = row.targets.get_mut(arn) else { return };
    let now_failing = state == "unhealthy";
    let changed = *failing != now_failing;
    *failing = now_failing;
    drop(row);
    if state == "healthy" {
        let is_new = |each: &&TargetGroup| each.arn == arn && !each.in_service;
        let known = cx.autoscaling.groups.get(&group);
        if known.is_some_and(|group| group.target_groups.iter().any(|each| is_new(&each)))
            && let Some(mut group) = cx.autoscaling.groups.edit(&group)
        {
            group
                .target_groups
                .iter_mut()
                .filter(|each| each.arn == arn)
                .for_each(|each| each.in_service = true);
        }
    }
    if changed && now_failing {
        super::health::target_failing(cx, id);
    }
}

/// Registers an instance with a target group. A group that is gone is passed over: the launch must not hang on it.
pub(super) fn register(cx: &mut Engine, id: InstanceId, arn: &str) {
    let request =
        elbv2::RegisterTargetsRequest { target_group_arn: arn.to_owned(), targets: vec![target(id)] };
    if cx.call(Caller::AUTOSCALING, request).is_ok()
        && let Some(mut row) = cx.autoscaling.instances.edit(&id)
    {
        row.targets.insert(arn.to_owned(), false);
        row.draining.remove(arn);
    }
}

/// Takes an instance out of a target group; with `wait` it counts as draining until the balancer says otherwise.
pub(super) fn deregister(cx: &mut Engine, id: InstanceId, arn: &str, wait: bool) {
    let request =
        elbv2::DeregisterTargetsRequest { target_group_arn: arn.to_owned(), targets: vec![target(id)] };
    let done = cx.call(Caller::AUTOSCALING, request).is_ok();
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    row.targets.remove(arn);
    if done && wait {
        row.draining.insert(arn.to_owned());
    }
}

fn target(id: InstanceId) -> elbv2::TargetDescription {
    elbv2::TargetDescription { id: id.to_string(), ..Default::default() }
}

fn set_state(cx: &mut Engine, id: InstanceId, state: State) {
    if let Some(mut row) = cx.autoscaling.instances.edit(&id) {
        row.state = state;
    }
}

/// Ends the instance's activity well.
pub(super) fn finish(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    let activity = row.activity.take();
    drop(row);
    if let Some(key) = activity {
        activity::end(cx, &key, Code::Successful, None);
    }
}

/// A detached instance no longer says that it belongs to a group.
fn untag(cx: &mut Engine, id: InstanceId) {
    let tag = ec2::Tag { key: Some(capacity::GROUP_TAG.to_owned()), value: None };
    let request = ec2::DeleteTagsRequest {
        resources: vec![id.to_string()],
        tags: Some(vec![tag]),
        ..Default::default()
    };
    // An instance that EC2 has forgotten has no tags either.
    let _ = cx.call(Caller::AUTOSCALING, request);
}
