//! Stopping a service's tasks: draining, scale-in, what a deployment replaces, and what is told of it.

use std::collections::BTreeMap;

use capstan_model::Hex32;
use capstan_shapes::ecs::TaskStopCode;

use super::super::strategy::most_above;
use super::super::{Deployment, Name, ServiceKey, StopFlow, draining, lifecycle, placement, protection};
use super::bounds::{Kind, Plan};
use super::picture::{Picture, Seen, Stage};
use super::start::{by_provider, shares};
use super::{events, scaling_reason, unsettle};
use crate::Engine;

/// Tasks on draining instances: targets leave, the stop follows.
pub(super) fn drain(cx: &mut Engine, key: &ServiceKey, picture: &Picture, plan: &Plan, primary: &Deployment) {
    let ids = pick(picture.draining.iter(), plan.draining);
    stop_all(
        cx,
        key,
        &ids,
        TaskStopCode::ServiceSchedulerInitiated,
        &scaling_reason(primary.id),
        StopFlow::Draining,
    );
}

/// The first tasks of each kind.
fn pick<'a>(tasks: impl Iterator<Item = &'a Seen>, kind: Kind) -> Vec<Hex32> {
    let (mut left, mut picked) = (kind, Vec::new());
    for task in tasks {
        let slot = match task.stage {
            Stage::Healthy => &mut left.healthy,
            Stage::Waiting => &mut left.waiting,
            Stage::Unready => &mut left.unready,
        };
        if *slot > 0 {
            *slot -= 1;
            picked.push(task.id);
        }
    }
    picked
}

/// Too many good tasks: the provider most above its share gives one up, then the order of spec ecs.md §8.6.
pub(super) fn scale_in(
    cx: &mut Engine,
    key: &ServiceKey,
    picture: &Picture,
    plan: &Plan,
    primary: &Deployment,
) {
    let (mut unready, mut healthy) = (plan.surplus_unready, plan.surplus_healthy);
    if unready + healthy == 0 {
        return;
    }
    let Some(service) = cx.ecs.services.get(key) else { return };
    let (desired, rules) = (service.desired, service.placement_strategy.clone());
    let mut by_provider = by_provider(cx, primary, &picture.good);
    let shares = shares(primary, desired);
    let (mut stops, mut protected) = (Vec::new(), 0);
    let stage = |id: &Hex32| {
        let at = picture.good.binary_search_by_key(id, |task| task.id);
        at.map_or(Stage::Unready, |at| picture.good[at].stage)
    };
    while unready + healthy > 0 {
        let have: Vec<i64> =
            by_provider.iter().map(|ids| i64::try_from(ids.len()).unwrap_or_default()).collect();
        let Some(at) = most_above(&shares, &have) else { break };
        let able = |id: &Hex32| {
            if stage(id) == Stage::Healthy { healthy > 0 } else { unready > 0 || healthy > 0 }
        };
        let free: Vec<Hex32> = by_provider[at]
            .iter()
            .copied()
            .filter(|id| cx.ecs.tasks.get(id).is_some_and(|task| !protection::holds(task, cx.now)))
            .collect();
        if free.is_empty() {
            protected += by_provider[at].len();
            break;
        }
        let waiting: Vec<Hex32> = free.iter().copied().filter(|id| stage(id) == Stage::Waiting).collect();
        let candidates: Vec<Hex32> = if waiting.is_empty() { free } else { waiting };
        let candidates: Vec<Hex32> = candidates.into_iter().filter(able).collect();
        if candidates.is_empty() {
            break;
        }
        let id = placement::choose_stop(cx, &candidates, &rules, &stops);
        by_provider[at].retain(|other| *other != id);
        if stage(&id) == Stage::Healthy || unready == 0 {
            healthy -= 1;
        } else {
            unready -= 1;
        }
        stops.push(id);
    }
    if protected > 0 {
        events::tell_once(cx, key, &events::protected(primary.id, protected));
    }
    let reason = scaling_reason(primary.id);
    stop_all(cx, key, &stops, TaskStopCode::ServiceSchedulerInitiated, &reason, StopFlow::Direct);
}

/// Old deployments' tasks and sick ones go as far as the plan says.
pub(super) fn retire(
    cx: &mut Engine,
    key: &ServiceKey,
    picture: &Picture,
    plan: &Plan,
    primary: &Deployment,
) {
    let reason = scaling_reason(primary.id);
    let free = picture.old.iter().filter(|old| {
        // Draining and health know no protection; deployments do.
        cx.ecs.tasks.get(&old.id).is_some_and(|task| !protection::holds(task, cx.now))
    });
    let old = pick(free, plan.old);
    stop_all(cx, key, &old, TaskStopCode::ServiceSchedulerInitiated, &reason, StopFlow::Direct);
    for Seen { id, .. } in picture.sick.iter().copied().take(usize::try_from(plan.sick).unwrap_or_default()) {
        let reason = cx.ecs.tasks.get(&id).and_then(|task| task.unhealthy.clone()).unwrap_or_default();
        stop_all(cx, key, &[id], TaskStopCode::ServiceSchedulerInitiated, &reason, StopFlow::Direct);
    }
}

/// Stops tasks and tells of it: "has stopped" first, or "deregistered" first when an instance drains.
pub(in crate::ecs) fn stop_all(
    cx: &mut Engine,
    key: &ServiceKey,
    ids: &[Hex32],
    code: TaskStopCode,
    reason: &str,
    flow: StopFlow,
) {
    let (mut running, mut pending, mut draining) = (Vec::new(), 0, 0);
    let mut groups: BTreeMap<Name, usize> = BTreeMap::new();
    for id in ids {
        let Some(task) = cx.ecs.tasks.get(id) else { continue };
        if draining::waits_to_start(task.status) {
            pending += 1;
        } else {
            running.push(*id);
        }
        for target in &task.targets {
            *groups.entry(target.group.clone()).or_default() += 1;
        }
        draining += usize::from(!task.targets.is_empty());
        lifecycle::stop(cx, *id, code, reason, flow);
    }
    if pending > 0 {
        events::tell(cx, key, &events::stopped_pending(pending));
    }
    // A draining task without targets was told to stop already, by way of `drained`.
    if flow == StopFlow::Direct && !running.is_empty() {
        events::tell(cx, key, &events::stopped_running(&running));
    }
    for (group, count) in groups {
        events::tell(cx, key, &events::deregistered(count, &group));
    }
    if draining > 0 {
        events::tell(cx, key, &events::begun_draining(draining));
    }
    if !ids.is_empty() {
        unsettle(cx, key);
    }
}
