//! What users and faults do to a stack, at random; and what must be true when they stop.

use capstan_engine::ecs::{Desired, InstanceStatus};
use capstan_engine::kernel::Chance;
use capstan_model::Span;
use capstan_shapes::{ec2, ecs};
use capstan_simulator::{Surroundings, World};

use super::*;

/// One thing that somebody does.
pub(crate) fn act(world: &mut World<impl Surroundings>, chance: &mut Chance, definitions: &[String]) {
    let pick = |chance: &mut Chance, n: usize| {
        usize::try_from(chance.below("act.pick", n.max(1) as u64)).unwrap_or(0)
    };
    match chance.below("act.kind", 9) {
        0 | 1 => {
            let desired = i32::try_from(chance.below("act.desired", 25)).unwrap_or(0);
            update(world, |request| request.desired_count = Some(desired));
        }
        2 => update(world, |request| request.force_new_deployment = Some(true)),
        3 => {
            let definition = definitions[pick(chance, definitions.len())].clone();
            update(world, |request| request.task_definition = Some(definition));
        }
        4 => {
            let weight = i32::try_from(chance.below("act.weight", 4)).unwrap_or(0) + 1;
            update(world, |request| {
                request.capacity_provider_strategy = Some(vec![item(ON_DEMAND, 1, 1), item(SPOT, 0, weight)]);
                request.force_new_deployment = Some(true);
            });
        }
        5 => {
            let bounds = [(0, 100), (50, 100), (50, 150), (50, 200), (100, 150), (100, 200)];
            let (minimum, maximum) = bounds[pick(chance, bounds.len())];
            update(world, |request| {
                request.deployment_configuration = Some(ecs::DeploymentConfiguration {
                    minimum_healthy_percent: Some(minimum),
                    maximum_percent: Some(maximum),
                    ..Default::default()
                });
            });
        }
        6 => {
            // A user drains an instance, or takes it back.
            let rows: Vec<_> =
                world.engine().ecs().instances().iter().map(|row| (row.id, row.status)).collect();
            let live: Vec<_> =
                rows.into_iter().filter(|(_, status)| *status != InstanceStatus::Inactive).collect();
            if let Some((id, status)) = live.get(pick(chance, live.len())) {
                let status = match status {
                    InstanceStatus::Active => ecs::ContainerInstanceStatus::Draining,
                    _ => ecs::ContainerInstanceStatus::Active,
                };
                let request = ecs::UpdateContainerInstancesStateRequest {
                    cluster: Some(CLUSTER.to_owned()),
                    container_instances: vec![id.to_string()],
                    status,
                };
                world.call(request).expect("a new state");
            }
        }
        7 => {
            let tasks: Vec<_> = world
                .engine()
                .ecs()
                .tasks()
                .iter()
                .filter(|t| t.desired == Desired::Running)
                .map(|t| t.id)
                .collect();
            if let Some(id) = tasks.get(pick(chance, tasks.len())) {
                let request = ecs::StopTaskRequest {
                    cluster: Some(CLUSTER.to_owned()),
                    task: id.to_string(),
                    reason: None,
                };
                world.call(request).expect("a stopped task");
            }
        }
        _ => {
            let alive: Vec<_> = world
                .engine()
                .ec2()
                .instances()
                .iter()
                .filter(|row| row.is_alive())
                .map(|row| row.id)
                .collect();
            if let Some(id) = alive.get(pick(chance, alive.len())) {
                let request = ec2::TerminateInstancesRequest {
                    instance_ids: vec![id.to_string()],
                    ..Default::default()
                };
                world.call(request).expect("a terminated instance");
            }
        }
    }
}

/// Two providers and a service of three tasks, behind a load balancer or not; the task definitions to choose from.
pub(crate) fn build(world: &mut World<impl Surroundings>, balanced: bool) -> [String; 2] {
    cluster(world);
    group(world, "ondemand", false, 0, 30);
    group(world, "spot", true, 0, 30);
    provider(world, ON_DEMAND, "ondemand", 80);
    provider(world, SPOT, "spot", 100);
    put_providers(world, &[ON_DEMAND, SPOT], vec![item(ON_DEMAND, 1, 1), item(SPOT, 0, 1)]);
    world.advance(Span::from_mins(1));
    let definitions = [task_definition(world, "web"), task_definition(world, "web")];
    let target_group = balanced.then(|| load_balancer(world));
    service(world, &definitions[0], target_group.as_deref(), 3);
    definitions
}

/// Nobody does anything any more: within ninety minutes the service must have what it wants.
pub(crate) fn converge(world: &mut World<impl Surroundings>, seed: u64) {
    let drained: Vec<_> = world
        .engine()
        .ecs()
        .instances()
        .iter()
        .filter(|row| row.status == InstanceStatus::Draining)
        .map(|row| row.id)
        .collect();
    for id in drained {
        let request = ecs::UpdateContainerInstancesStateRequest {
            cluster: Some(CLUSTER.to_owned()),
            container_instances: vec![id.to_string()],
            status: ecs::ContainerInstanceStatus::Active,
        };
        // One that its group is taking away stays as it is.
        let _ = world.call(request);
    }
    update(world, |request| {
        request.deployment_configuration = Some(ecs::DeploymentConfiguration {
            minimum_healthy_percent: Some(50),
            maximum_percent: Some(200),
            ..Default::default()
        });
    });
    world.advance(Span::from_mins(90));
    let service = describe(world);
    let why = || world.engine().explain(SERVICE).map(|explanation| explanation.why);
    assert_eq!(service.running_count, service.desired_count, "seed {seed}: {:#?}", why());
    assert_eq!(service.deployments.as_ref().map(Vec::len), Some(1), "seed {seed}: {:#?}", why());
    let pending: usize = world.engine().ecs().tasks().iter().filter(|task| task.waiting.is_some()).count();
    assert_eq!(pending, 0, "seed {seed}: {:#?}", why());
}
