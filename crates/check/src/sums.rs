//! What metrics tell is what there is: the sums that tables keep, counted again row by row.

use std::collections::BTreeMap;

use capstan_engine::Engine;
use capstan_engine::autoscaling::{GroupInstanceIndex, LifecycleState};
use capstan_engine::ecs::{InstanceIndex, InstanceStatus, TaskIndex, TaskStatus, TaskSums};

use crate::Violation;

pub(crate) fn all(engine: &Engine, found: &mut Vec<Violation>) {
    services(engine, found);
    clusters(engine, found);
    groups(engine, found);
}

fn services(engine: &Engine, found: &mut Vec<Violation>) {
    let tasks = engine.ecs().tasks();
    let mut counted = BTreeMap::<_, (i64, i64, i64)>::new();
    for task in tasks.iter().filter(|task| task.status != TaskStatus::Stopped) {
        let Some(service) = &task.service else { continue };
        let (pending, running, memory) = counted.entry(service).or_default();
        *pending += i64::from(task.status < TaskStatus::Running);
        *running += i64::from(task.status == TaskStatus::Running || task.status == TaskStatus::Deactivating);
        *memory += task.instance.map_or(0, |_| task.needs.resources.memory);
    }
    for service in engine.ecs().services().iter() {
        let sums = TaskSums::of(tasks, &TaskIndex::Service(service.key.clone()));
        let kept = (sums.pending, sums.running, sums.memory);
        let counted = counted.get(&service.key).copied().unwrap_or_default();
        if kept != counted {
            let subject = format!("service {}", service.key.name);
            found.push(Violation::new(
                subject,
                format!("sums of its tasks say {kept:?}, its tasks {counted:?}"),
            ));
        }
    }
}

fn clusters(engine: &Engine, found: &mut Vec<Violation>) {
    let instances = engine.ecs().instances();
    let mut counted = BTreeMap::<_, (i64, i64)>::new();
    for instance in instances.iter().filter(|instance| instance.status != InstanceStatus::Inactive) {
        let (registered, left) = counted.entry(&instance.cluster).or_default();
        *registered += instance.registered.cpu;
        *left += instance.remaining.cpu;
    }
    for cluster in engine.ecs().clusters().iter() {
        let [registered, _, left, ..] = instances.sum(&InstanceIndex::Cluster(cluster.name.clone()));
        let counted = counted.get(&cluster.name).copied().unwrap_or_default();
        if (registered, left) != counted {
            let broken = format!("sums say {registered} CPU units with {left} left, instances {counted:?}");
            found.push(Violation::new(format!("cluster {}", cluster.name), broken));
        }
    }
}

fn groups(engine: &Engine, found: &mut Vec<Violation>) {
    let instances = engine.autoscaling().instances();
    for group in engine.autoscaling().groups().iter() {
        let index = GroupInstanceIndex::Group(group.name.clone());
        let sums = instances.sum(&index);
        let in_service = instances.by(&index).filter(|row| row.state == LifecycleState::InService).count();
        let weight: i64 = instances.by(&index).map(|row| row.weight).sum();
        if (usize::try_from(sums[0]), sums[8]) != (Ok(in_service), weight) {
            let broken =
                format!("sums say {sums:?}, its instances {in_service} in service of weight {weight}");
            found.push(Violation::new(format!("Auto Scaling group {}", group.name), broken));
        }
    }
}
