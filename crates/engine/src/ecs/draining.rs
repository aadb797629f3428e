//! A container instance drains: what happens to the tasks on it (spec ecs.md §7).

use capstan_model::Hex32;

use super::{TaskIndex, TaskStatus, deployment, lifecycle, managed_draining};
use crate::Engine;

/// The instance has become DRAINING: service tasks that wait there are stopped at once; running ones are replaced by
/// their service within its bounds; standalone tasks stay.
pub(super) fn started(cx: &mut Engine, instance: Hex32) {
    let mut services = std::collections::BTreeSet::new();
    for id in cx.ecs.tasks.keys_by(&TaskIndex::Instance(instance)) {
        let Some(task) = cx.ecs.tasks.get(&id) else { continue };
        if let Some(service) = task.service.clone() {
            services.insert(service);
        }
    }
    for service in services {
        deployment::poke(cx, &service);
    }
    if cx.ecs.tasks.count_by(&TaskIndex::Instance(instance)) == 0 {
        managed_draining::instance_emptied(cx, instance);
    }
}

/// The instance is ACTIVE again: it counts, and tasks that wait may fit.
pub(super) fn ended(cx: &mut Engine, instance: Hex32) {
    let Some(row) = cx.ecs.instances.get(&instance) else { return };
    let (cluster, provider) = (row.cluster.clone(), row.provider.clone());
    lifecycle::capacity_changed(cx, cluster, provider);
    let services: std::collections::BTreeSet<_> =
        cx.ecs.tasks.by(&TaskIndex::Instance(instance)).filter_map(|task| task.service.clone()).collect();
    for service in services {
        deployment::poke(cx, &service);
    }
}

/// Whether a task may still be told to run there.
pub(super) fn waits_to_start(status: TaskStatus) -> bool {
    status < TaskStatus::Running
}
