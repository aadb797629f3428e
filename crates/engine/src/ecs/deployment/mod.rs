//! The service scheduler: one pass looks at a service as it is and moves it one step towards what it should be.
//!
//! A pass is cheap to repeat and asks nobody what happened: whatever changed a service's tasks pokes it, and the pass
//! decides from the rows alone. Reports that come in bursts are gathered for a moment, so that one event tells of all of
//! them as on AWS.

pub(super) mod bounds;
pub(super) mod events;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Hex32, Span, Time};
use capstan_shapes::ecs::{HealthStatus, LaunchType, PropagateTags, TaskStopCode};

use super::lifecycle::{self, PROVISIONING_MAX, Seed};
use super::strategy::{most_above, most_below, split};
use super::{
    Deployment, Desired, InstanceIndex, Name, Protection, Rollout, Service, ServiceKey, ServiceStatus,
    StopFlow, TargetState, Task, TaskIndex, TaskStatus, daemon, draining, placement, protection, task,
};
use crate::Engine;
use bounds::{Counts, Kind, Plan};

/// RUNNING for so long counts as healthy where nothing checks the task (ECS model DeploymentConfiguration).
const HEALTHY_AFTER: Span = Span::from_secs(40);
/// Tasks that start running within this time are registered together (our reading of "registered 3 targets").
const GATHER: Span = Span::from_secs(2);
/// From the last stop to "steady state": +101 s and +110 s (spec observed.md §1).
const STEADY_AFTER: Span = Span::from_secs(8);
/// The steady state is told again so often (observed).
const STEADY_AGAIN: Span = Span::from_hours(6);
/// Starts a minute (ECS guide, service-quotas).
const LAUNCHES_PER_MINUTE: i64 = 500;
/// Tries to place after a failure: for the first 50 s every 10 s, then every 5 min (observed: spec ecs.md §8.5).
const PLACE_AGAIN_SOON: Span = Span::from_secs(10);
const PLACE_AGAIN_LATER: Span = Span::from_mins(5);
const PLACE_SOON_FOR: Span = Span::from_secs(50);
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
    if let Some(mut service) = cx.ecs.services.edit(key) {
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
    let deployment = cx.ecs.tasks.get(&id).map(|task| task.deployment);
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.throttle = None;
        for own in service.deployments.iter_mut().filter(|own| Some(own.id) == deployment) {
            own.ran = true;
        }
    }
    poke_in(cx, key, GATHER);
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

/// What a pass sees of a service's tasks; each list in the order of ids.
#[derive(Default)]
struct Picture {
    good: Vec<Seen>,
    old: Vec<Seen>,
    draining: Vec<Seen>,
    sick: Vec<Seen>,
    /// RUNNING, with load balancers, not registered yet.
    unregistered: Vec<Hex32>,
    /// Newly found to fail their health checks.
    failing: Vec<(Hex32, Failing)>,
    /// On their way out, and the scheduler has not told that they stopped.
    leaving: bool,
    /// Deployments of tasks that leave their load balancer.
    retiring: Vec<u64>,
    /// When something becomes true by time alone.
    next: Option<Time>,
    /// When the first protection from scale-in ends.
    protected_until: Option<Time>,
}

/// A task that is wanted.
#[derive(Clone, Copy)]
struct Seen {
    id: Hex32,
    deployment: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not RUNNING yet.
    Waiting,
    /// RUNNING, not counted as healthy yet.
    Unready,
    Healthy,
}

enum Failing {
    Container,
    Target { group: Name, id: Name, port: u16 },
}

impl Picture {
    fn at(&mut self, time: Time) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }

    fn wanted(&self) -> impl Iterator<Item = &Seen> {
        [&self.good, &self.old, &self.draining, &self.sick].into_iter().flatten()
    }
}

fn kind(tasks: &[Seen]) -> Kind {
    let mut kind = Kind::default();
    for task in tasks {
        match task.stage {
            Stage::Waiting => kind.waiting += 1,
            Stage::Unready => kind.unready += 1,
            Stage::Healthy => kind.healthy += 1,
        }
    }
    kind
}

/// How a service stands against its bounds, for those who check it from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub lower: i64,
    pub upper: i64,
    /// Tasks that are wanted: PROVISIONING to RUNNING.
    pub alive: i64,
    /// Those of them that count as healthy.
    pub healthy: BTreeSet<Hex32>,
}

/// Where the service stands now.
pub fn standing(cx: &Engine, service: &Service) -> Standing {
    let picture = look(cx, service);
    let (lower, upper) =
        bounds::bounds(service.desired, service.minimum_healthy_percent, service.maximum_percent);
    let alive = i64::try_from(picture.wanted().count()).unwrap_or(i64::MAX);
    let healthy = picture.wanted().filter(|task| task.stage == Stage::Healthy).map(|task| task.id).collect();
    Standing { lower, upper, alive, healthy }
}

fn look(cx: &Engine, service: &Service) -> Picture {
    let mut picture = Picture::default();
    let primary = service.deployments.first().map(|deployment| deployment.id);
    let groups = service.load_balancers.iter().filter(|lb| lb.target_group_arn.is_some()).count();
    let of_cluster = InstanceIndex::Draining(service.key.cluster.clone());
    let draining_instances: Vec<Hex32> = cx.ecs.instances.by(&of_cluster).map(|row| row.id).collect();
    for task in cx.ecs.tasks.by(&TaskIndex::Service(service.key.clone())) {
        if let Some(Protection { until }) = task.protection.filter(|protection| protection.until > cx.now) {
            picture.protected_until = Some(picture.protected_until.map_or(until, |first| first.min(until)));
        }
        if task.desired == Desired::Stopped {
            if task.status == TaskStatus::Deactivating {
                picture.leaving |= task.stopping == Some(StopFlow::Draining);
                picture.retiring.push(task.deployment);
            }
            continue;
        }
        let stage = match draining::waits_to_start(task.status) {
            true => Stage::Waiting,
            false => {
                if groups > 0 && task.targets.is_empty() {
                    picture.unregistered.push(task.id);
                }
                look_at_health(cx.now, service, groups, task, &mut picture)
            }
        };
        let drains = task.instance.is_some_and(|id| draining_instances.binary_search(&id).is_ok());
        let list = match () {
            () if task.unhealthy.is_some() => &mut picture.sick,
            () if drains => &mut picture.draining,
            () if Some(task.deployment) == primary => &mut picture.good,
            () => &mut picture.old,
        };
        list.push(Seen { id: task.id, deployment: task.deployment, stage });
    }
    picture
}

fn look_at_health(now: Time, service: &Service, groups: usize, task: &Task, picture: &mut Picture) -> Stage {
    let started = task.started_at.unwrap_or(now);
    let checked = task.containers.iter().any(|container| container.essential && container.healthy.is_some());
    let status = if checked { task::health(task) } else { HealthStatus::Unknown };
    let target = task.targets.iter().find(|target| target.state == TargetState::Unhealthy);
    let failing = match target {
        Some(t) => Some(Failing::Target { group: t.group.clone(), id: t.id.clone(), port: t.port }),
        None if checked && status == HealthStatus::Unhealthy => Some(Failing::Container),
        None => None,
    };
    if let Some(failing) = failing {
        let grace_ends = started + Span::from_secs(service.health_grace.unwrap_or_default());
        if now < grace_ends {
            picture.at(grace_ends);
        } else if task.unhealthy.is_none() {
            picture.failing.push((task.id, failing));
        }
        return Stage::Unready;
    }
    let in_service = groups == 0
        || task.targets.len() >= groups
            && task.targets.iter().all(|target| target.state == TargetState::Healthy);
    let container_ok = !checked || status == HealthStatus::Healthy;
    let of_age = of_age(started);
    let aged = groups > 0 || checked || now >= of_age;
    if !aged {
        picture.at(of_age);
    }
    if in_service && container_ok && aged && task.unhealthy.is_none() {
        Stage::Healthy
    } else {
        Stage::Unready
    }
}

/// When a task that nothing checks counts as healthy: on the whole second, so that tasks that started together come of
/// age together.
fn of_age(started: Time) -> Time {
    let age = started + HEALTHY_AFTER;
    let second = age.floor(Span::from_secs(1));
    if second == age { age } else { second + Span::from_secs(1) }
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

/// How many consecutive failures trip the circuit breaker: half of the desired count, 3–200 (ECS guide,
/// deployment-circuit-breaker).
pub(super) fn breaker_threshold(desired: i64) -> i64 {
    ((desired + 1) / 2).clamp(3, 200)
}

/// Tells whether it tripped.
fn trip_breaker(cx: &mut Engine, key: &ServiceKey) -> bool {
    let now = cx.now;
    let Some(service) = cx.ecs.services.get(key) else { return false };
    let Some((true, rollback)) = service.circuit_breaker else { return false };
    let Some(primary) = service.deployments.first() else { return false };
    if primary.rollout != Rollout::InProgress || primary.failed_tasks < breaker_threshold(service.desired) {
        return false;
    }
    let failed = primary.id;
    let back_to = service.completed.clone().filter(|completed| rollback && completed.id != failed);
    if let Some(mut service) = cx.ecs.services.edit(key) {
        let primary = &mut service.deployments[0];
        primary.rollout = Rollout::Failed;
        primary.rollout_reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        primary.updated_at = now;
        service.throttle = None;
    }
    events::tell(cx, key, &events::failed(failed));
    let Some(mut back_to) = back_to else { return true };
    events::tell(cx, key, &events::rolling_back(back_to.id));
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.deployments.retain(|deployment| deployment.id != back_to.id);
        for deployment in &mut service.deployments {
            deployment.primary = false;
        }
        back_to.primary = true;
        back_to.rollback = true;
        back_to.rollout = Rollout::InProgress;
        back_to.rollout_reason = format!(
            "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/{:019}.",
            back_to.id
        );
        back_to.updated_at = now;
        back_to.failed_tasks = 0;
        service.deployments.insert(0, back_to);
    }
    true
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
    if throttled && service.throttle.is_some_and(|(_, delay)| delay >= 60) {
        events::tell_once(cx, key, events::THROTTLED);
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

/// Tasks on draining instances: targets leave, the stop follows.
fn drain(cx: &mut Engine, key: &ServiceKey, picture: &Picture, plan: &Plan, primary: &Deployment) {
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
fn scale_in(cx: &mut Engine, key: &ServiceKey, picture: &Picture, plan: &Plan, primary: &Deployment) {
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

/// Good tasks of each item of the strategy (one list when there is no strategy). Tasks of providers that are no longer
/// in it count for nobody and stay until a deployment replaces them.
fn by_provider(cx: &Engine, primary: &Deployment, good: &[Seen]) -> Vec<Vec<Hex32>> {
    if primary.strategy.is_empty() {
        return vec![good.iter().map(|task| task.id).collect()];
    }
    let mut lists: Vec<Vec<Hex32>> = primary.strategy.iter().map(|_| Vec::new()).collect();
    for Seen { id, .. } in good {
        let provider = cx.ecs.tasks.get(id).and_then(|task| task.provider.clone());
        if let Some(at) = primary.strategy.iter().position(|item| Some(&item.provider) == provider.as_ref()) {
            lists[at].push(*id);
        }
    }
    lists
}

fn shares(primary: &Deployment, desired: i64) -> Vec<i64> {
    if primary.strategy.is_empty() { vec![desired] } else { split(&primary.strategy, desired) }
}

/// Starts up to `count` tasks, each on the provider most below its share.
fn start(cx: &mut Engine, key: &ServiceKey, count: i64, primary: &Deployment, picture: &Picture) {
    let minute = cx.now.floor(Span::from_mins(1));
    let Some(service) = cx.ecs.services.get(key) else { return };
    let launched = if service.launches.0 == minute { service.launches.1 } else { 0 };
    let count = count.min(LAUNCHES_PER_MINUTE - launched);
    if count <= 0 {
        return;
    }
    let desired = service.desired;
    let shares = shares(primary, desired);
    let lists = by_provider(cx, primary, &picture.good);
    let mut have: Vec<i64> = lists.iter().map(|ids| i64::try_from(ids.len()).unwrap_or_default()).collect();
    let Some(seed) = seed(cx, key, primary) else { return };
    let mut waiting = lifecycle::waiting_count(cx, &key.cluster);
    let (mut started, mut closed, mut unplaced) = (Vec::new(), vec![false; have.len()], None);
    for _ in 0..count {
        // A provider that has no place for one has none for the next.
        let open: Vec<i64> = shares
            .iter()
            .enumerate()
            .map(|(at, share)| if closed[at] { i64::MIN / 2 } else { *share })
            .collect();
        let Some(at) = most_below(&open, &have) else { break };
        let seed =
            Seed { provider: primary.strategy.get(at).map(|item| item.provider.clone()), ..seed.clone() };
        let may_wait = lifecycle::may_wait(cx, seed.provider.as_ref());
        match lifecycle::find_place(cx, &seed) {
            Ok(placed) => {
                let id = lifecycle::create(cx, seed);
                lifecycle::assign(cx, id, &placed);
                started.push(id);
                have[at] += 1;
            }
            Err(why) if may_wait && waiting < PROVISIONING_MAX => {
                let id = lifecycle::create(cx, seed);
                lifecycle::wait(cx, id, why.reason());
                waiting += 1;
                started.push(id);
                have[at] += 1;
            }
            Err(_) if may_wait => {
                events::tell_once(cx, key, events::PROVISIONING_LIMIT);
                closed[at] = true;
                unplaced.get_or_insert(String::new());
            }
            Err(why) => {
                closed[at] = true;
                unplaced = Some(why.sentence());
            }
        }
    }
    let now = cx.now;
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.launches = (minute, launched + i64::try_from(started.len()).unwrap_or_default());
        service.unplaced = unplaced.as_ref().map(|_| {
            let since = service.unplaced.map_or(now, |(since, _)| since);
            let gap = if now - since < PLACE_SOON_FOR { PLACE_AGAIN_SOON } else { PLACE_AGAIN_LATER };
            (since, now + gap)
        });
    }
    if !started.is_empty() {
        let unhealthy = i64::try_from(picture.sick.len().min(started.len())).unwrap_or_default();
        events::tell(cx, key, &events::started(&started, unhealthy));
        unsettle(cx, key);
    }
    if let Some(why) = unplaced.filter(|why| !why.is_empty()) {
        events::tell_once(cx, key, &events::unplaced(&why));
        unsettle(cx, key);
    }
}

/// What a service's next task is made of.
pub(super) fn seed(cx: &Engine, key: &ServiceKey, deployment: &Deployment) -> Option<Seed> {
    let service = cx.ecs.services.get(key)?;
    let definition = cx.ecs.task_definitions.get(&deployment.definition)?;
    let mut tags = match service.propagate_tags {
        Some(PropagateTags::TaskDefinition) => definition.tags.clone(),
        Some(PropagateTags::Service) => service.tags.clone(),
        _ => BTreeMap::new(),
    };
    if service.enable_ecs_managed_tags {
        tags.insert("aws:ecs:clusterName".to_owned(), key.cluster.to_string());
        tags.insert("aws:ecs:serviceName".to_owned(), key.name.to_string());
    }
    Some(Seed {
        cluster: key.cluster.clone(),
        definition: deployment.definition.clone(),
        group: format!("service:{}", key.name).into(),
        started_by: None,
        service: Some(key.clone()),
        deployment: deployment.id,
        launch_type: deployment
            .strategy
            .is_empty()
            .then_some(deployment.launch_type.unwrap_or(LaunchType::Ec2)),
        provider: None,
        needs: Arc::new(definition.needs.clone()),
        overrides: None,
        constraints: service.placement_constraints.clone(),
        strategy: service.placement_strategy.clone(),
        network: deployment.network.clone(),
        enable_execute_command: service.enable_execute_command,
        tags,
    })
}

/// Old deployments' tasks and sick ones go as far as the plan says.
fn retire(cx: &mut Engine, key: &ServiceKey, picture: &Picture, plan: &Plan, primary: &Deployment) {
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
pub(super) fn stop_all(
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

/// Something is under way again.
fn unsettle(cx: &mut Engine, key: &ServiceKey) {
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.steady = false;
        service.steady_at = None;
    }
}

/// Whether the deployment is complete, whether the service is steady, and when to look again.
fn settle(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let now = cx.now;
    let Some(service) = cx.ecs.services.get(key) else { return };
    let Some(primary) = service.deployments.first() else { return };
    // An old deployment lasts until its last task has left its load balancer (spec observed.md §1: two deployments, one
    // running task each, 95 s after the update).
    let retiring = picture.retiring.iter().any(|deployment| *deployment != primary.id);
    let all_good = !retiring
        && i64::try_from(picture.good.len()).unwrap_or_default() == service.desired
        && picture.good.iter().all(|task| task.stage == Stage::Healthy)
        && picture.old.is_empty()
        && picture.sick.is_empty()
        && picture.draining.is_empty();
    let completes = all_good && primary.rollout == Rollout::InProgress;
    let primary = primary.id;
    if completes {
        if let Some(mut service) = cx.ecs.services.edit(key) {
            service.deployments.truncate(1);
            let own = &mut service.deployments[0];
            own.rollout = Rollout::Completed;
            own.rollout_reason = format!("ECS deployment ecs-svc/{primary:019} completed.");
            own.updated_at = now;
            own.failed_tasks = 0;
            service.completed = Some(service.deployments[0].clone());
            service.throttle = None;
            service.steady_at = Some(now);
        }
        events::tell(cx, key, &events::completed(primary));
    }
    forget_empty_deployments(cx, key, picture);

    let mut wakes = picture.next;
    let mut at = |time: Time| wakes = Some(wakes.map_or(time, |next| next.min(time)));
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    let mut tell_steady = false;
    if all_good && !picture.leaving && picture.unregistered.is_empty() {
        match service.steady_at {
            Some(due) if due <= now => {
                tell_steady = true;
                service.steady = true;
                service.steady_at = Some(now + STEADY_AGAIN);
                at(now + STEADY_AGAIN);
            }
            Some(due) => at(due),
            None => {
                service.steady_at = Some(now + STEADY_AFTER);
                at(now + STEADY_AFTER);
            }
        }
    } else {
        service.steady = false;
        service.steady_at = None;
    }
    if let Some((until, _)) = service.throttle.filter(|(until, _)| *until > now) {
        at(until);
    }
    if let Some((_, again)) = service.unplaced {
        at(again.max(now + Span::from_secs(1)));
    }
    let short = i64::try_from(picture.good.len()).unwrap_or_default() < service.desired;
    if short
        && service.launches.0 == now.floor(Span::from_mins(1))
        && service.launches.1 >= LAUNCHES_PER_MINUTE
    {
        at(now.next_multiple(Span::from_mins(1)));
    }
    // A task that stays although it should go may be protected: look again when protections end.
    if let Some(time) = wakes {
        service.wakes_at = Some(service.wakes_at.map_or(time, |wakes| wakes.min(time)));
    }
    drop(service);
    if tell_steady {
        events::tell(cx, key, events::STEADY);
    }
    wake_at_protection_end(cx, key, picture);
}

/// Deployments that are not PRIMARY and have no task left vanish from the list (ECS model Deployment).
fn forget_empty_deployments(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let Some(service) = cx.ecs.services.get(key).filter(|service| service.deployments.len() > 1) else {
        return;
    };
    let wanted = picture.wanted().map(|task| task.deployment);
    let alive: BTreeSet<u64> = wanted.chain(picture.retiring.iter().copied()).collect();
    if service.deployments.iter().skip(1).all(|deployment| alive.contains(&deployment.id)) {
        return;
    }
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.deployments.retain(|deployment| deployment.primary || alive.contains(&deployment.id));
    }
}

fn wake_at_protection_end(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let Some(service) = cx.ecs.services.get(key) else { return };
    if service.steady {
        return;
    }
    if let Some(end) = picture.protected_until {
        poke_in(cx, key, end - cx.now);
    }
}
