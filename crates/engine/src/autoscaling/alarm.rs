//! Policies at work: what an alarm's action, or ExecutePolicy, makes of the desired capacity.

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::decision::Verdict;
use super::rows::{
    ActivityIndex, Adjustment, Group, GroupInstanceIndex, Name, Policy, PolicyIndex, PolicyKind, Step,
    TargetTracking, Warmup,
};
use super::scaling::{ecs_in, ecs_out};
use super::{capacity, invalid};
use crate::kernel::millionths;
use crate::scaling::{self, Peer, Size};
use crate::{Caller, Engine};

/// An alarm's action on a scaling policy.
pub(super) struct Action<'a> {
    /// ARN of the policy.
    pub(super) policy: &'a str,
    pub(super) alarm: &'a str,
    pub(super) state: &'a str,
    pub(super) threshold: f64,
    pub(super) value: Option<f64>,
}

/// CloudWatch carries out an alarm's action.
pub(super) fn act(cx: &mut Engine, action: &Action<'_>) {
    let Some(policy) = cx.autoscaling.policies.by(&PolicyIndex::Arn(action.policy.into())).next().cloned()
    else {
        return;
    };
    let Some(group) = cx.autoscaling.groups.get(&policy.group).filter(|group| !group.deleting).cloned()
    else {
        return;
    };
    if !policy.enabled {
        return;
    }
    if group.is_suspended("AlarmNotification") {
        let verdict = Verdict::Suspended { process: "AlarmNotification" };
        return capacity::decide(cx, &group.name, Some(policy.name), verdict);
    }
    let clause = format!(
        "a monitor alarm {} in state {} triggered policy {}",
        action.alarm, action.state, policy.name
    );
    match &policy.kind {
        PolicyKind::Predictive(_) => {}
        PolicyKind::Simple { .. } => {
            // A policy that is blocked waits for the alarm's next action.
            let _ = simple(cx, &group, &policy, &clause, true);
        }
        PolicyKind::Step { adjustment, steps, warmup, .. } => {
            let Some(value) = action.value else { return };
            let breach = millionths(value) - millionths(action.threshold);
            step(cx, &group, &policy, *adjustment, steps, *warmup, breach, &clause);
        }
        PolicyKind::TargetTracking(tracking) => {
            let Some(value) = action.value.filter(|_| action.state == "ALARM") else { return };
            if action.alarm == tracking.alarm_high.name {
                scale_out(cx, &group, &policy, tracking, millionths(value), &clause);
            } else if action.alarm == tracking.alarm_low.name {
                scale_in(cx, &group, &policy, tracking, millionths(value), &clause);
            }
        }
    }
}

/// The warm-up of a policy: its own, the group's default, or the group's cooldown.
fn warmup(group: &Group, own: Option<Span>, from_launch: bool) -> Warmup {
    let span = own.or(group.default_instance_warmup).unwrap_or(group.default_cooldown);
    Warmup { span, from_launch }
}

/// How long the youngest instance still warms up; `None` when all are warm.
fn warming(cx: &Engine, group: &Name, warmup: Warmup) -> Option<Span> {
    let left = |since: Time| warmup.span - (cx.now - since);
    capacity::current(cx, group)
        .filter(|row| row.is_warming(warmup, cx.now))
        .map(|row| match (warmup.from_launch, row.in_service) {
            (true, _) => left(row.launched),
            (false, Some(since)) => left(since),
            (false, None) => warmup.span,
        })
        .max()
}

/// Capacity units of the instances in service.
fn in_service(cx: &Engine, group: &Group) -> i64 {
    let index = GroupInstanceIndex::InService(group.name.clone());
    let weighted =
        group.mixed().is_some_and(|policy| policy.overrides.iter().any(|each| each.weight.is_some()));
    if weighted || group.settings.desired_capacity_type.is_some() {
        cx.autoscaling.instances.by(&index).map(|row| row.weight).sum()
    } else {
        i64::try_from(cx.autoscaling.instances.count_by(&index)).unwrap_or(i64::MAX)
    }
}

/// What the metric speaks of: ECS counts all instances in service, other metrics leave out what still warms up.
fn size(cx: &Engine, group: &Group, tracking: &TargetTracking, warmup: Warmup) -> Size {
    let running = if tracking.managed_by_ecs {
        in_service(cx, group)
    } else {
        capacity::current(cx, &group.name)
            .filter(|row| row.in_service.is_some() && !row.is_warming(warmup, cx.now))
            .map(|row| row.weight)
            .sum()
    };
    Size { running, desired: group.desired, min: group.min, max: group.max }
}

fn scale_out(
    cx: &mut Engine,
    group: &Group,
    policy: &Policy,
    tracking: &TargetTracking,
    metric: i64,
    clause: &str,
) {
    let warmup = warmup(group, tracking.warmup, tracking.managed_by_ecs);
    let size = size(cx, group, tracking, warmup);
    let formula = if tracking.managed_by_ecs { ecs_out } else { scaling::tracking_out };
    let to = formula(size, metric, tracking.target);
    let verdict = if to == group.desired {
        let wanted = formula(Size { max: i64::MAX, ..size }, metric, tracking.target);
        match wanted > to {
            true => Verdict::AtLimit { desired: to, wanted },
            false => Verdict::AlreadyThere { desired: to },
        }
    } else if group.is_suspended("Launch") {
        Verdict::Suspended { process: "Launch" }
    } else if let Some(left) = warming(cx, &group.name, warmup).filter(|_| tracking.managed_by_ecs) {
        // ECS waits for whatever is within its warm-up; elsewhere warming instances count as present (§7).
        Verdict::WarmingUp { scale_in: false, warmup: warmup.span, left }
    } else {
        let policy = (policy.name.clone(), Some(warmup));
        return capacity::set_desired(cx, &group.name, to, clause, Some(policy));
    };
    capacity::decide(cx, &group.name, Some(policy.name.clone()), verdict);
}

fn scale_in(
    cx: &mut Engine,
    group: &Group,
    policy: &Policy,
    tracking: &TargetTracking,
    metric: i64,
    clause: &str,
) {
    let name = Some(policy.name.clone());
    if !tracking.scale_in {
        return capacity::decide(cx, &group.name, name, Verdict::ScaleInDisabled);
    }
    let warmup = warmup(group, tracking.warmup, tracking.managed_by_ecs);
    let size = size(cx, group, tracking, warmup);
    let formula = if tracking.managed_by_ecs { ecs_in } else { scaling::tracking_in };
    let wish = formula(size, metric, tracking.target);
    let now = cx.now;
    if let Some(mut row) = cx.autoscaling.policies.edit(&(policy.group.clone(), policy.name.clone()))
        && let PolicyKind::TargetTracking(tracking) = &mut row.kind
    {
        tracking.scale_in_wish = Some((now, wish));
    }
    let verdict = if wish >= group.desired {
        Verdict::AlreadyThere { desired: group.desired }
    } else if group.is_suspended("Terminate") {
        Verdict::Suspended { process: "Terminate" }
    } else if let Some(left) = warming(cx, &group.name, warmup) {
        Verdict::WarmingUp { scale_in: true, warmup: warmup.span, left }
    } else {
        match agreed(cx, policy, wish) {
            Ok(to) if to < group.desired => {
                return capacity::set_desired(cx, &group.name, to, clause, Some((policy.name.clone(), None)));
            }
            Ok(_) => Verdict::AlreadyThere { desired: group.desired },
            Err(with) => Verdict::Disagreement { with, wanted: wish },
        }
    };
    capacity::decide(cx, &group.name, name, verdict);
}

/// The capacity that all target tracking policies of the group can do with; `Err` names one that does not want to
/// scale in.
fn agreed(cx: &Engine, policy: &Policy, wish: i64) -> Result<i64, Name> {
    let others = cx.autoscaling.policies.by(&PolicyIndex::Group(policy.group.clone()));
    let peers = others.filter_map(|other| match &other.kind {
        PolicyKind::TargetTracking(tracking) => {
            (other.name != policy.name && other.enabled && tracking.scale_in)
                .then(|| Peer { name: other.name.clone(), wish: tracking.scale_in_wish })
        }
        _ => None,
    });
    scaling::agreed(cx.now, wish, peers)
}

#[allow(clippy::too_many_arguments, reason = "the parts of one policy and one breach")]
fn step(
    cx: &mut Engine,
    group: &Group,
    policy: &Policy,
    adjustment: Adjustment,
    steps: &[Step],
    own_warmup: Option<Span>,
    breach: i64,
    clause: &str,
) {
    let name = Some(policy.name.clone());
    let amount = scaling::step_for(steps, breach).map(|step| step.amount);
    let warmup = warmup(group, own_warmup, false);
    let young: i64 = capacity::current(cx, &group.name)
        .filter(|row| row.is_warming(warmup, cx.now))
        .map(|row| row.weight)
        .sum();
    // Out: what still warms up is not counted, so that a breach of the same step launches nothing twice.
    let warm = (group.desired - young).max(0);
    let wanted = amount.map_or(group.desired, |amount| scaling::adjusted(adjustment, amount, warm));
    let wanted = if wanted >= warm {
        wanted.max(group.desired)
    } else {
        amount.map_or(group.desired, |amount| scaling::adjusted(adjustment, amount, group.desired))
    };
    let to = wanted.clamp(group.min, group.max);
    let verdict = if to == group.desired {
        match wanted == to {
            true => Verdict::AlreadyThere { desired: to },
            false => Verdict::AtLimit { desired: to, wanted },
        }
    } else if let Some(left) = warming(cx, &group.name, warmup).filter(|_| to < group.desired) {
        Verdict::WarmingUp { scale_in: true, warmup: warmup.span, left }
    } else {
        let policy = (policy.name.clone(), Some(warmup));
        return capacity::set_desired(cx, &group.name, to, clause, Some(policy));
    };
    capacity::decide(cx, &group.name, name, verdict);
}

/// Simple scaling: one adjustment, then nothing until its activities and the cooldown have ended. `Err` when it is
/// blocked by them.
fn simple(cx: &mut Engine, group: &Group, policy: &Policy, clause: &str, honor: bool) -> Result<(), Refusal> {
    let PolicyKind::Simple { adjustment, amount, cooldown } = &policy.kind else { return Ok(()) };
    let now = cx.now;
    let name = Some(policy.name.clone());
    if honor {
        let busy = cx.autoscaling.activities.by(&ActivityIndex::InProgress(group.name.clone())).next();
        if let Some(activity) = busy {
            let id = activity.id.clone();
            capacity::decide(cx, &group.name, name, Verdict::Busy { activity: id.clone() });
            return Err(in_progress(format!("Scaling activity {id} is in progress and blocks this action")));
        }
        if let Some(until) = group.cooldown_until.filter(|until| *until > now) {
            capacity::decide(cx, &group.name, name, Verdict::Cooldown { until });
            return Err(in_progress(format!(
                "The cooldown of AutoScalingGroup {} blocks this action until {}",
                group.name,
                until.iso_secs()
            )));
        }
    }
    let wanted = scaling::adjusted(*adjustment, *amount, group.desired);
    let to = wanted.clamp(group.min, group.max);
    if to == group.desired {
        let verdict = if wanted == to {
            Verdict::AlreadyThere { desired: to }
        } else {
            Verdict::AtLimit { desired: to, wanted }
        };
        capacity::decide(cx, &group.name, name, verdict);
        return Ok(());
    }
    let until = now + cooldown.unwrap_or(group.default_cooldown);
    if let Some(mut row) = cx.autoscaling.groups.edit(&group.name) {
        row.cooldown_until = Some(until);
    }
    capacity::set_desired(cx, &group.name, to, clause, Some((policy.name.clone(), None)));
    Ok(())
}

fn in_progress(message: String) -> Refusal {
    Refusal::of(&shapes::SCALING_ACTIVITY_IN_PROGRESS_FAULT, message)
}

pub(super) fn execute(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ExecutePolicyRequest,
) -> Result<shapes::ExecutePolicyResponse, Refusal> {
    let policy = super::policy::find(cx, request.auto_scaling_group_name.as_deref(), &request.policy_name)?;
    let group = super::group::find(cx, &policy.group)?.clone();
    let clause = format!("a user request executed policy {}", policy.name);
    match &policy.kind {
        PolicyKind::Simple { .. } => {
            simple(cx, &group, &policy, &clause, request.honor_cooldown.unwrap_or(false))?;
        }
        PolicyKind::Step { adjustment, steps, warmup, .. } => {
            let (Some(value), Some(threshold)) = (request.metric_value, request.breach_threshold) else {
                return Err(invalid(
                    "MetricValue and BreachThreshold are required for policies of type StepScaling",
                ));
            };
            let breach = millionths(value) - millionths(threshold);
            step(cx, &group, &policy, *adjustment, steps, *warmup, breach, &clause);
        }
        PolicyKind::Predictive(_) | PolicyKind::TargetTracking(_) => {
            return Err(invalid("Only policies of type SimpleScaling and StepScaling can be executed"));
        }
    }
    Ok(shapes::ExecutePolicyResponse {})
}
