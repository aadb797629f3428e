//! DAEMON services: exactly one task on each ACTIVE instance that fits (spec ecs.md §8.3).

use std::collections::BTreeSet;

use capstan_model::Hex32;
use capstan_shapes::ecs::TaskStopCode;

use super::deployment::{self, events};
use super::lifecycle::{self, Seed};
use super::{Desired, InstanceIndex, InstanceStatus, ServiceKey, StopFlow, TaskIndex, placement};
use crate::Engine;

/// Starts what is missing, stops what is too much, and computes the desired count.
pub(super) fn pass(cx: &mut Engine, key: &ServiceKey) {
    let Some(service) = cx.ecs.services.get(key) else { return };
    let Some(primary) = service.deployments.first().cloned() else { return };
    let Some(seed) = deployment::seed(cx, key, &primary) else { return };
    let Some(definition) = cx.ecs.task_definitions.get(&primary.definition) else { return };
    let constraints = lifecycle::constraints(definition, &seed.constraints);
    let instances: Vec<(Hex32, InstanceStatus)> = cx
        .ecs
        .instances
        .by(&InstanceIndex::Cluster(key.cluster.clone()))
        .filter(|row| seed_fits_provider(&primary.strategy, row.provider.as_ref()))
        .map(|row| (row.id, row.status))
        .collect();
    let (mut started, mut stops, mut desired) = (Vec::new(), Vec::new(), 0);
    let mut seen: BTreeSet<Hex32> = BTreeSet::new();
    for (instance, status) in instances {
        seen.insert(instance);
        let tasks: Vec<(Hex32, bool)> = cx
            .ecs
            .tasks
            .by(&TaskIndex::Instance(instance))
            .filter(|task| task.service.as_ref() == Some(key) && task.desired == Desired::Running)
            .map(|task| (task.id, task.deployment == primary.id && task.unhealthy.is_none()))
            .collect();
        if status != InstanceStatus::Active {
            // Stopped last, after the other tasks: `last_on_instance`.
            continue;
        }
        desired += 1;
        match tasks.as_slice() {
            [] => {
                let leaving = cx
                    .ecs
                    .tasks
                    .by(&TaskIndex::Instance(instance))
                    .any(|task| task.service.as_ref() == Some(key));
                if leaving {
                    // One at a time: maximumPercent is 100.
                    continue;
                }
                match placement::fits(cx, instance, &seed.needs, &constraints, &seed.group) {
                    Ok(placed) => {
                        let provider = cx.ecs.instances.get(&instance).and_then(|row| row.provider.clone());
                        let provider = provider.filter(|_| !primary.strategy.is_empty());
                        let id = lifecycle::create(cx, Seed { provider, ..seed.clone() });
                        lifecycle::assign(cx, id, &placed);
                        started.push(id);
                    }
                    Err(_) => desired -= 1,
                }
            }
            [(_, true)] => {}
            more => {
                let keep = more.iter().find(|(_, good)| *good).map(|(id, _)| *id);
                stops.extend(more.iter().map(|(id, _)| *id).filter(|id| Some(*id) != keep));
            }
        }
    }
    let reason = deployment::scaling_reason(primary.id);
    deployment::stop_all(cx, key, &stops, TaskStopCode::ServiceSchedulerInitiated, &reason, StopFlow::Direct);
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.desired = desired;
    }
    if !started.is_empty() {
        events::tell(cx, key, &events::started(&started, 0));
    }
}

fn seed_fits_provider(strategy: &[super::StrategyItem], provider: Option<&super::Name>) -> bool {
    strategy.is_empty() || strategy.iter().any(|item| Some(&item.provider) == provider)
}

/// An instance drains and a task has left it: when only daemons are left, they go too.
pub(super) fn last_on_instance(cx: &mut Engine, instance: Hex32) {
    let mut daemons = Vec::new();
    for task in cx.ecs.tasks.by(&TaskIndex::Instance(instance)) {
        let service = task.service.as_ref().and_then(|key| cx.ecs.services.get(key));
        match service {
            Some(service) if service.daemon => daemons.push((task.id, service.key.clone())),
            _ => return,
        }
    }
    for (id, key) in daemons {
        let primary =
            cx.ecs.services.get(&key).and_then(|service| service.deployments.first()).map_or(0, |d| d.id);
        let reason = deployment::scaling_reason(primary);
        deployment::stop_all(
            cx,
            &key,
            &[id],
            TaskStopCode::ServiceSchedulerInitiated,
            &reason,
            StopFlow::Draining,
        );
    }
}
