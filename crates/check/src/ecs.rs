//! Invariants of ECS.

use std::collections::BTreeMap;

use capstan_engine::Engine;
use capstan_engine::ecs::{
    Desired, InstanceStatus, ServiceKey, ServiceStatus, Standing, TaskIndex, TaskStatus, standing,
};
use capstan_model::{Hex32, Resources};
use capstan_shapes::ecs::TaskStopCode;

use crate::Violation;

/// PROVISIONING tasks in a cluster (ECS guide, service-quotas).
const PROVISIONING_MAX: usize = 500;

/// What an instance has left is what it registered less what its tasks take, and never below zero.
pub(crate) fn instances(engine: &Engine, found: &mut Vec<Violation>) {
    for instance in engine.ecs().instances().iter() {
        let tasks = engine.ecs().tasks().by(&TaskIndex::Instance(instance.id));
        let taken = tasks.fold(Resources::default(), |sum, task| sum + task.needs.resources);
        let subject = || format!("container instance {}", instance.id);
        if instance.status != InstanceStatus::Inactive && instance.remaining != instance.registered - taken {
            let broken = format!(
                "has {:?} left of {:?}, its tasks take {taken:?}",
                instance.remaining, instance.registered
            );
            found.push(Violation::new(subject(), broken));
        }
        if instance.remaining.cpu < 0 || instance.remaining.memory < 0 {
            found.push(Violation::new(subject(), format!("is overcommitted: {:?} left", instance.remaining)));
        }
        if instance.status == InstanceStatus::Inactive
            && engine.ecs().tasks().count_by(&TaskIndex::Instance(instance.id)) > 0
        {
            found.push(Violation::new(subject(), "is INACTIVE and still has tasks"));
        }
    }
}

/// No more tasks wait for capacity than ECS allows.
pub(crate) fn waiting(engine: &Engine, found: &mut Vec<Violation>) {
    for cluster in engine.ecs().clusters().iter() {
        let tasks = engine.ecs().tasks().by(&TaskIndex::Cluster(cluster.name.clone()));
        let waiting = tasks.filter(|task| task.status == TaskStatus::Provisioning).count();
        if waiting > PROVISIONING_MAX {
            found.push(Violation::new(
                format!("cluster {}", cluster.name),
                format!("{waiting} tasks are PROVISIONING"),
            ));
        }
    }
}

/// A task goes forward only, its version with it; where it is agrees with how far it is.
pub(crate) fn tasks(
    engine: &Engine,
    before: &BTreeMap<Hex32, (TaskStatus, i64)>,
    found: &mut Vec<Violation>,
) -> BTreeMap<Hex32, (TaskStatus, i64)> {
    let mut now = BTreeMap::new();
    for task in engine.ecs().tasks().iter() {
        let subject = || format!("task {}", task.id);
        if let Some((status, version)) = before.get(&task.id) {
            if task.status < *status {
                found.push(Violation::new(
                    subject(),
                    format!("went back from {status:?} to {:?}", task.status),
                ));
            }
            if task.version < *version || task.status != *status && task.version == *version {
                found.push(Violation::new(subject(), format!("changed without a new version ({version})")));
            }
        }
        if task.status > TaskStatus::Provisioning
            && task.status < TaskStatus::Stopped
            && task.instance.is_none()
        {
            found.push(Violation::new(subject(), format!("is {:?} on no instance", task.status)));
        }
        if task.status == TaskStatus::Stopped
            && (task.desired == Desired::Running || task.stop_code.is_none())
        {
            found.push(Violation::new(subject(), "has stopped without a reason"));
        }
        if task.status < TaskStatus::Running && !task.targets.is_empty() {
            found.push(Violation::new(subject(), "has targets before it runs"));
        }
        now.insert(task.id, (task.status, task.version));
    }
    now
}

/// The scheduler leaves no service outside its bounds by its own doing: it starts nothing above the maximum, and stops no
/// healthy task when that leaves less than the minimum (ECS model DeploymentConfiguration).
pub(crate) fn services(
    engine: &Engine,
    before: &BTreeMap<ServiceKey, Standing>,
    found: &mut Vec<Violation>,
) -> BTreeMap<ServiceKey, Standing> {
    let mut now = BTreeMap::new();
    let replicas =
        engine.ecs().services().iter().filter(|row| row.status == ServiceStatus::Active && !row.daemon);
    for service in replicas {
        let after = standing(engine, service);
        if let Some(before) = before.get(&service.key) {
            let subject = || format!("service {}", service.key.name);
            if after.alive > after.upper && after.alive > before.alive {
                found.push(Violation::new(
                    subject(),
                    format!("grew to {} tasks above its maximum {}", after.alive, after.upper),
                ));
            }
            let by_scheduler = |id: &&Hex32| {
                engine.ecs().tasks().get(id).is_some_and(|task| {
                    task.desired == Desired::Stopped
                        && task.stop_code == Some(TaskStopCode::ServiceSchedulerInitiated)
                        && task.unhealthy.is_none()
                })
            };
            let stopped = before.healthy.iter().filter(by_scheduler).count();
            let healthy = i64::try_from(after.healthy.len()).unwrap_or(i64::MAX);
            let others_left =
                before.healthy.iter().filter(|id| !after.healthy.contains(id)).count() > stopped;
            if stopped > 0 && healthy < after.lower && !others_left {
                let broken = format!(
                    "stopped {stopped} healthy tasks and has {healthy} left of at least {}",
                    after.lower
                );
                found.push(Violation::new(subject(), broken));
            }
        }
        now.insert(service.key.clone(), after);
    }
    now
}
