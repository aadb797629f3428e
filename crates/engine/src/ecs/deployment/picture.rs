//! What a pass sees of a service's tasks: where each stands, and what counts as healthy.

use std::collections::BTreeSet;

use capstan_model::{Hex32, Span, Time};
use capstan_shapes::ecs::HealthStatus;

use super::super::{
    Desired, InstanceIndex, Name, Protection, Service, StopFlow, TargetState, Task, TaskIndex, TaskStatus,
    draining, task,
};
use super::bounds::{self, Kind};
use crate::Engine;

/// RUNNING for so long counts as healthy where nothing checks the task (ECS model DeploymentConfiguration).
const HEALTHY_AFTER: Span = Span::from_secs(40);

/// What a pass sees of a service's tasks; each list in the order of ids.
#[derive(Default)]
pub(super) struct Picture {
    pub(super) good: Vec<Seen>,
    pub(super) old: Vec<Seen>,
    pub(super) draining: Vec<Seen>,
    pub(super) sick: Vec<Seen>,
    /// RUNNING, with load balancers, not registered yet.
    pub(super) unregistered: Vec<Hex32>,
    /// Newly found to fail their health checks.
    pub(super) failing: Vec<(Hex32, Failing)>,
    /// On their way out, and the scheduler has not told that they stopped.
    pub(super) leaving: bool,
    /// Deployments of tasks that leave their load balancer.
    pub(super) retiring: Vec<u64>,
    /// When something becomes true by time alone.
    pub(super) next: Option<Time>,
    /// When the first protection from scale-in ends.
    pub(super) protected_until: Option<Time>,
}

/// A task that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) id: Hex32,
    pub(super) deployment: u64,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not RUNNING yet.
    Waiting,
    /// RUNNING, not counted as healthy yet.
    Unready,
    Healthy,
}

pub(super) enum Failing {
    Container,
    Target { group: Name, id: Name, port: u16 },
}

impl Picture {
    pub(super) fn at(&mut self, time: Time) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &Seen> {
        [&self.good, &self.old, &self.draining, &self.sick].into_iter().flatten()
    }
}

pub(super) fn kind(tasks: &[Seen]) -> Kind {
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

pub(super) fn look(cx: &Engine, service: &Service) -> Picture {
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
    let checked = task.health_checked;
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
pub(super) fn of_age(started: Time) -> Time {
    let age = started + HEALTHY_AFTER;
    let second = age.floor(Span::from_secs(1));
    if second == age { age } else { second + Span::from_secs(1) }
}
