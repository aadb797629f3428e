//! Why a task waits or runs where it does, what a service is doing, and how full a provider is.

use capstan_model::Hex32;

use super::{Association, Rollout, Service, Task, TaskIndex, TaskStatus, leaving};
use crate::{Engine, Explanation};

/// The explanation of the task, service, EC2 instance or provider of that name.
pub(crate) fn explain(cx: &Engine, name: &str) -> Option<Explanation> {
    if let Some(task) = name.parse::<Hex32>().ok().and_then(|id| cx.ecs.tasks.get(&id)) {
        return Some(Explanation { kind: "task", subject: name.to_owned(), why: task_why(cx, task) });
    }
    if let Some(service) = cx.ecs.services.iter().find(|service| &*service.key.name == name) {
        return Some(Explanation {
            kind: "service",
            subject: name.to_owned(),
            why: service_why(cx, service),
        });
    }
    if let Some(instance) = name.parse().ok().and_then(|id| cx.ec2.instances().get(&id)) {
        let why = leaving::instance_why(cx, instance);
        return Some(Explanation { kind: "instance", subject: name.to_owned(), why });
    }
    let provider = cx.ecs.providers.get(&name.into())?;
    let mut why = Vec::new();
    for association in cx.ecs.associations.by(&provider.name) {
        why.extend(association_why(cx, association));
    }
    if provider.scaling().is_none() {
        why.push("Managed scaling is off: ECS does not change its group, and tasks that find no place fail instead of waiting.".to_owned());
    }
    if let Some(group) = provider.group() {
        why.extend(crate::explain::group(cx, &group.group_name).into_iter().flat_map(|group| group.why));
    }
    Some(Explanation { kind: "capacity provider", subject: name.to_owned(), why })
}

fn task_why(cx: &Engine, task: &Task) -> Vec<String> {
    let mut why =
        vec![format!("It is {} since its latest change (version {}).", task.status.as_str(), task.version)];
    if let Some(waiting) = &task.waiting {
        let minutes = (cx.now - waiting.since).as_secs() / 60;
        why.push(format!(
            "It waits for capacity for {minutes} min: {}. It gives up at {}.",
            waiting.reason,
            waiting.until.iso_secs()
        ));
    }
    if let Some(because) = &task.placed_because {
        why.push(format!("It was placed because {because}."));
    }
    why.extend(leaving::task_why(cx, task));
    if let Some(unhealthy) = &task.unhealthy {
        why.push(format!("It is being replaced: {unhealthy}."));
    }
    if let (Some(code), Some(reason)) = (task.stop_code, &task.stopped_reason) {
        why.push(format!("It stops or has stopped: {code}, {reason}."));
    }
    why
}

fn service_why(cx: &Engine, service: &Service) -> Vec<String> {
    let mut why = Vec::new();
    let tasks: Vec<&Task> = cx.ecs.tasks.by(&TaskIndex::Service(service.key.clone())).collect();
    let count = |status: TaskStatus| tasks.iter().filter(|task| task.status == status).count();
    why.push(format!(
        "It wants {} tasks; {} run, {} wait for capacity, {} are starting, {} leave their load balancer.",
        service.desired,
        count(TaskStatus::Running),
        count(TaskStatus::Provisioning),
        count(TaskStatus::Pending),
        count(TaskStatus::Deactivating),
    ));
    let (lower, upper) = super::deployment::bounds::bounds(
        service.desired,
        service.minimum_healthy_percent,
        service.maximum_percent,
    );
    why.push(format!(
        "Its bounds are {lower} healthy to {upper} in all (minimum {} %, maximum {} %).",
        service.minimum_healthy_percent, service.maximum_percent
    ));
    why.extend(leaving::service_why(cx, service));
    for deployment in &service.deployments {
        let state = match deployment.rollout {
            Rollout::InProgress => "in progress",
            Rollout::Completed => "completed",
            Rollout::Failed => "failed",
        };
        let shares = super::strategy::split(&deployment.strategy, service.desired);
        let split: Vec<String> = deployment
            .strategy
            .iter()
            .zip(shares)
            .map(|(item, share)| format!("{share} on {}", item.provider))
            .collect();
        let split = if split.is_empty() {
            String::new()
        } else {
            format!("; its strategy asks for {}", split.join(" and "))
        };
        why.push(format!("Deployment ecs-svc/{:019} is {state}{split}.", deployment.id));
    }
    if let Some((until, delay)) = service.throttle {
        why.push(format!(
            "Starts failed in a row: the next one waits until {} ({delay} s).",
            until.iso_secs()
        ));
    }
    if let Some((_, again)) = service.unplaced {
        why.push(format!(
            "A task found no place; the next try is at {} or when something changes.",
            again.max(cx.now).iso_secs()
        ));
    }
    why.extend(
        service
            .events
            .front()
            .map(|event| format!("Latest event, {}: {}", event.at.iso_secs(), event.message)),
    );
    why
}

fn association_why(cx: &Engine, association: &Association) -> Option<String> {
    let report = association.report.as_ref()?;
    let waiting = TaskIndex::Waiting(association.cluster.clone(), Some(association.provider.clone()));
    Some(format!(
        "In cluster {} its reservation was {}.{:03} % at {} (needed {}, in service {}): {}. Tasks that wait now: {}.",
        association.cluster,
        report.milli_percent / 1000,
        report.milli_percent % 1000,
        report.at.iso_secs(),
        report.needed,
        report.running,
        report.because,
        cx.ecs.tasks.count_by(&waiting),
    ))
}
