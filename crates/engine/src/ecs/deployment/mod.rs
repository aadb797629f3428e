//! The service scheduler: one pass looks at a service as it is and moves it one step towards what it should be.
//!
//! A pass is cheap to repeat and asks nobody what happened: whatever changed a service's tasks pokes it, and the pass
//! decides from the rows alone. Reports that come in bursts are gathered for a moment, so that one event tells of all of
//! them as on AWS.

pub(super) mod bounds;
mod breaker;
pub(super) mod events;
mod picture;
mod settle;
mod start;
mod stop;

use std::collections::BTreeMap;

use capstan_model::{Hex32, Span, Time};
use capstan_shapes::ecs::TaskStopCode;
use serde_json::Map;

use super::event::{self, Kind};
use super::{
    Desired, Name, Rollout, ServiceKey, ServiceStatus, StopFlow, TaskIndex, TaskStatus, daemon, lifecycle,
};
use crate::Engine;
use bounds::{Counts, Plan};
use breaker::trip_breaker;
use picture::{Failing, Picture, kind, look};
use settle::settle;
use start::start;
use stop::{drain, retire, scale_in};

pub use picture::{Standing, standing};
pub(super) use start::seed;
pub(super) use stop::stop_all;

/// Tasks that start running within this time are registered together (our reading of "registered 3 targets").
const GATHER: Span = Span::from_secs(2);
/// Longest delay between starts that keep failing: 27 min (ECS guide, service-throttle-logic).
const THROTTLE_MAX: i64 = 27 * 60;
/// How long a deleted service is still described (our reading).
const FORGET_AFTER: Span = Span::from_hours(1);

/// Why tasks of a service are stopped when the scheduler itself decides it.
pub(super) fn scaling_reason(deployment: u64) -> String {
    format!("Scaling activity initiated by (deployment ecs-svc/{deployment:019})")
}

/// Has the scheduler look at the service in this very moment.
pub(super) fn poke(cx: &mut Engine, key: &ServiceKey) {
    poke_in(cx, key, Span::ZERO);
}

fn poke_in(cx: &mut Engine, key: &ServiceKey, span: Span) {
    let at = cx.now + span;
    // A deleted service wakes once more, to be forgotten; its last tasks are heard of before that.
    let is_there = |service: &super::Service| service.status != ServiceStatus::Inactive;
    if cx.ecs.services.get(key).is_some_and(is_there)
        && let Some(mut service) = cx.ecs.services.edit(key)
    {
        service.wakes_at = Some(service.wakes_at.map_or(at, |wakes| wakes.min(at)));
    }
}

/// Services of a cluster that found no place try again: something changed.
pub(super) fn poke_unplaced(cx: &mut Engine, cluster: &Name) {
    let index = super::ServiceIndex::Cluster(cluster.clone());
    let keys: Vec<ServiceKey> = cx
        .ecs
        .services
        .by(&index)
        .filter(|service| service.unplaced.is_some() || service.daemon)
        .map(|service| service.key.clone())
        .collect();
    for key in keys {
        if let Some(mut service) = cx.ecs.services.edit(&key) {
            service.unplaced = service.unplaced.map(|(since, _)| (since, Time::ZERO));
        }
        poke(cx, &key);
    }
}

/// A task of the service has begun to run.
pub(super) fn task_running(cx: &mut Engine, key: &ServiceKey, id: Hex32) {
    let Some(task) = cx.ecs.tasks.get(&id) else { return };
    let (deployment, checked) = (task.deployment, task.health_checked);
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    service.throttle = None;
    for own in service.deployments.iter_mut().filter(|own| own.id == deployment) {
        own.ran = true;
    }
    let unchecked = !checked && service.load_balancers.is_empty();
    drop(service);
    // With nothing to register and nothing that checks it, the task matters next when it comes of age.
    poke_in(cx, key, if unchecked { picture::of_age(cx.now) - cx.now } else { GATHER });
}

/// A task's health or one of its targets has changed.
pub(super) fn target_changed(cx: &mut Engine, key: &ServiceKey, _id: Hex32) {
    poke_in(cx, key, GATHER);
}

/// A task of a draining instance has left its target groups and was told to stop.
pub(super) fn drained(cx: &mut Engine, key: &ServiceKey, id: Hex32) {
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.told_stopped.push(id);
    }
    poke(cx, key);
}

/// A task has left its target groups; a deployment may end with it.
pub(super) fn left(cx: &mut Engine, key: &ServiceKey) {
    if cx.ecs.services.get(key).is_some_and(|service| service.deployments.len() > 1) {
        poke(cx, key);
    }
}

/// A task has stopped, whoever wanted it.
pub(super) fn task_stopped(cx: &mut Engine, key: &ServiceKey, id: Hex32, ran: bool) {
    let Some(task) = cx.ecs.tasks.get(&id) else { return };
    let failed = !ran && task.stop_code == Some(TaskStopCode::TaskFailedToStart);
    let ordered = task.stop_code == Some(TaskStopCode::ServiceSchedulerInitiated);
    let (deployment, now) = (task.deployment, cx.now);
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    if ordered && service.status == ServiceStatus::Active && !service.daemon {
        // The scheduler has reckoned without the task since it ordered the stop.
        return;
    }
    let Some(own) = service.deployments.iter_mut().find(|own| own.id == deployment) else {
        drop(service);
        return poke(cx, key);
    };
    if failed {
        own.failed_tasks += 1;
        own.updated_at = now;
        // Two failures are tried again at once; then the delay doubles (our reading of "increasing").
        let delay = match own.failed_tasks {
            ..=2 => 0,
            n => (10 << (n - 3).min(10)).min(THROTTLE_MAX),
        };
        service.throttle = (delay > 0).then_some((now + Span::from_secs(delay), delay));
    }
    drop(service);
    poke(cx, key);
}

/// One pass.
pub(super) fn pass(cx: &mut Engine, key: &ServiceKey) {
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.wakes_at = None;
    }
    let Some(service) = cx.ecs.services.get(key) else { return };
    match service.status {
        ServiceStatus::Inactive => {
            cx.ecs.services.remove(key);
            return;
        }
        ServiceStatus::Draining => return take_down(cx, key),
        ServiceStatus::Active => {}
    }
    let is_daemon = service.daemon;
    tell_stopped(cx, key);
    let mut picture = match cx.ecs.services.get(key) {
        Some(service) => look(cx, service),
        None => return,
    };
    let mut changed = register_running(cx, key, &picture);
    changed |= mark_sick(cx, key, &mut picture);
    if is_daemon {
        daemon::pass(cx, key);
        changed = true;
    } else {
        changed |= trip_breaker(cx, key);
        look_again(cx, key, &mut picture, &mut changed);
        changed |= replicas(cx, key, &picture);
    }
    look_again(cx, key, &mut picture, &mut changed);
    settle(cx, key, &picture);
}

/// A look costs as much as there are tasks: only when the pass itself has changed something.
fn look_again(cx: &Engine, key: &ServiceKey, picture: &mut Picture, changed: &mut bool) {
    if let Some(service) = cx.ecs.services.get(key).filter(|_| std::mem::take(changed)) {
        *picture = look(cx, service);
    }
}

/// A deleted service: all of its tasks stop, then it is INACTIVE.
fn take_down(cx: &mut Engine, key: &ServiceKey) {
    tell_stopped(cx, key);
    let primary =
        cx.ecs.services.get(key).and_then(|service| service.deployments.first()).map_or(0, |d| d.id);
    let alive: Vec<Hex32> = cx
        .ecs
        .tasks
        .by(&TaskIndex::Service(key.clone()))
        .filter(|t| t.desired == Desired::Running)
        .map(|t| t.id)
        .collect();
    stop_all(
        cx,
        key,
        &alive,
        TaskStopCode::ServiceSchedulerInitiated,
        &scaling_reason(primary),
        StopFlow::Direct,
    );
    let busy =
        cx.ecs.tasks.by(&TaskIndex::Service(key.clone())).any(|task| task.status < TaskStatus::Stopping);
    if !busy {
        let forget = cx.now + FORGET_AFTER;
        if let Some(mut service) = cx.ecs.services.edit(key) {
            service.status = ServiceStatus::Inactive;
            service.wakes_at = Some(forget);
        }
    }
}

/// "has stopped" for tasks of draining instances, all that left together in one event.
fn tell_stopped(cx: &mut Engine, key: &ServiceKey) {
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    let stopped = std::mem::take(&mut service.told_stopped);
    drop(service);
    if !stopped.is_empty() {
        events::tell(cx, key, &events::stopped_running(&stopped));
        unsettle(cx, key);
    }
}

/// Tells whether any was registered.
fn register_running(cx: &mut Engine, key: &ServiceKey, picture: &Picture) -> bool {
    let mut counts: BTreeMap<Name, usize> = BTreeMap::new();
    for id in &picture.unregistered {
        for group in lifecycle::register(cx, *id) {
            *counts.entry(group).or_default() += 1;
        }
    }
    for (group, count) in &counts {
        events::tell(cx, key, &events::registered(*count, group));
    }
    !counts.is_empty()
}

/// Tasks that fail their health checks beyond the grace period are replaced. Tells whether there are any.
fn mark_sick(cx: &mut Engine, key: &ServiceKey, picture: &mut Picture) -> bool {
    let failing = std::mem::take(&mut picture.failing);
    let found = !failing.is_empty();
    for (id, failing) in failing {
        let (message, reason) = match failing {
            Failing::Container => {
                (events::unhealthy_container(id), "Task failed container health checks".to_owned())
            }
            Failing::Target { group, id: target, port } => {
                let why = target_reason(cx, &group, &target, port);
                let reason = format!("Task failed ELB health checks in (target-group {group})");
                (events::unhealthy_target(id, port, &group, &why), reason)
            }
        };
        events::tell(cx, key, &message);
        let mut deployment = 0;
        if let Some(mut task) = cx.ecs.tasks.edit(&id) {
            task.unhealthy = Some(reason);
            deployment = task.deployment;
        }
        if let Some(mut service) = cx.ecs.services.edit(key) {
            for own in service
                .deployments
                .iter_mut()
                .filter(|own| own.id == deployment && own.rollout == Rollout::InProgress)
            {
                own.failed_tasks += 1;
            }
        }
    }
    found
}

/// What the load balancer says about the target, as the event quotes it.
fn target_reason(cx: &Engine, group: &Name, target: &Name, port: u16) -> String {
    let description = crate::elb::health_description(cx, group, target, port);
    description.unwrap_or_else(|| "Health checks failed".to_owned())
}

/// Starts and stops what the plan says; tells whether there was anything.
fn replicas(cx: &mut Engine, key: &ServiceKey, picture: &Picture) -> bool {
    let Some(service) = cx.ecs.services.get(key) else { return false };
    let Some(primary) = service.deployments.first().cloned() else { return false };
    let (lower, upper) =
        bounds::bounds(service.desired, service.minimum_healthy_percent, service.maximum_percent);
    let throttled = service.throttle.is_some_and(|(until, _)| cx.now < until);
    let unplaced = service.unplaced.is_some_and(|(_, again)| cx.now < again);
    let counts = Counts {
        desired: service.desired,
        lower,
        upper,
        good: kind(&picture.good),
        old: kind(&picture.old),
        draining: kind(&picture.draining),
        sick: i64::try_from(picture.sick.len()).unwrap_or(i64::MAX),
        may_start: primary.rollout != Rollout::Failed && !throttled && !unplaced,
        starved: service.unplaced.is_some(),
    };
    let plan = bounds::plan(&counts);
    if throttled
        && service.throttle.is_some_and(|(_, delay)| delay >= 60)
        && events::tell_once(cx, key, events::THROTTLED)
    {
        event::service_action(cx, key, Kind::Warn, "SERVICE_TASK_START_IMPAIRED", |_| Map::new());
    }
    if plan.stuck {
        events::tell_once(cx, key, events::STUCK);
    }
    if plan == (Plan { stuck: plan.stuck, ..Plan::default() }) {
        return false;
    }
    // AWS tells of the targets that leave before it tells of the tasks that replace them (spec observed.md §1).
    drain(cx, key, picture, &plan, &primary);
    scale_in(cx, key, picture, &plan, &primary);
    start(cx, key, plan.start, &primary, picture);
    retire(cx, key, picture, &plan, &primary);
    true
}

/// Something is under way again.
fn unsettle(cx: &mut Engine, key: &ServiceKey) {
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.steady = false;
        service.steady_at = None;
    }
}
