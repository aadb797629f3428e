//! What becomes of requests in flight when a task leaves its load balancer: what the delays allow, and why some are lost.
//!
//! In order, a task's targets are deregistered, requests in flight finish within the deregistration delay, then the
//! containers get SIGTERM, and SIGKILL after their stop timeout (ALB guide, deregistration delay; ECS model StopTask). A
//! load balancer answers a request that is cut off by 502, and one to a machine that answers no more by 502 or 504 (ALB
//! guide, load-balancer-troubleshooting).

use capstan_model::{Span, Time};

use super::lifecycle::STOP_AFTER_DRAINING;
use super::{Name, Service, StopFlow, Task, TaskIndex, TaskStatus};
use crate::Engine;
use crate::ec2::{self, NOTICE};

/// Where a container names no stop timeout and its agent neither (agent, agent/config).
const STOP_TIMEOUT: Span = Span::from_secs(30);

/// The longest deregistration delay of these target groups, and its group.
fn delay<'a>(cx: &Engine, groups: impl Iterator<Item = &'a str>) -> Option<(Span, String)> {
    let of_group = |arn: &str| {
        let group = cx.elb.target_groups().get(&Name::from(arn))?;
        let delay = Span::from_secs(group.attributes.number("deregistration_delay.timeout_seconds"));
        // …:targetgroup/NAME/ID
        Some((delay, arn.split('/').nth(1).unwrap_or(arn).to_owned()))
    };
    groups.filter_map(of_group).max()
}

fn delay_of(cx: &Engine, service: &Service) -> Option<(Span, String)> {
    delay(cx, service.load_balancers.iter().filter_map(|balancer| balancer.target_group_arn.as_deref()))
}

fn host<'a>(cx: &'a Engine, task: &Task) -> Option<&'a ec2::Instance> {
    let instance = cx.ecs.instances.get(&task.instance?)?.ec2_instance?;
    cx.ec2.instances().get(&instance)
}

/// What a task's way out means for its requests.
pub(super) fn task_why(cx: &Engine, task: &Task) -> Vec<String> {
    let service = task.service.as_ref().and_then(|key| cx.ecs.services.get(key));
    let Some((delay, group)) = service.and_then(|service| delay_of(cx, service)) else { return Vec::new() };
    let gone_at = host(cx, task).and_then(|host| Some(host.spot.as_ref()?.instance_action()?.1));
    let mut why = Vec::new();
    match (task.status, task.stopping_at) {
        (TaskStatus::Deactivating, Some(since)) => {
            let until = since + delay;
            why.push(format!(
                "It gets no new requests; those in flight have until {} (deregistration delay of {}, {} s). One that \
                 takes longer is cut off then, and its client gets a 502.",
                until.iso_secs(),
                group,
                delay.as_secs()
            ));
            if let Some(gone_at) = gone_at.filter(|gone_at| *gone_at < until) {
                why.push(too_late(gone_at));
            }
        }
        (TaskStatus::Stopped, Some(since)) => why.extend(ended(cx, task, since, delay, &group)),
        (status, None) if status < TaskStatus::Deactivating => {
            if let Some(gone_at) = gone_at {
                why.push(format!(
                    "Spot takes its instance back at {}. It still gets requests: it is stopped when its service's \
                     bounds allow it, or ends with the instance.",
                    gone_at.iso_secs()
                ));
            }
        }
        _ => {}
    }
    why
}

fn too_late(gone_at: Time) -> String {
    format!(
        "Its instance is gone before that, at {}: requests still in flight then get a 502 or 504. A deregistration delay \
         well below the {} s of a Spot notice avoids it.",
        gone_at.iso_secs(),
        NOTICE.as_secs()
    )
}

/// A stopped task that did not have what its requests were promised.
fn ended(cx: &Engine, task: &Task, since: Time, delay: Span, group: &str) -> Option<String> {
    let stopped = task.stopped_at?;
    let ran = task.started_at.is_some();
    let host_is_gone = host(cx, task).is_none_or(|host| !host.is_alive());
    match task.stopping {
        Some(StopFlow::Draining | StopFlow::Direct) if ran && stopped < since + delay => Some(format!(
            "It ended {} s after it began to leave {group}, before the deregistration delay of {} s was over{}: requests \
             still in flight then got a 502 or 504.",
            (stopped - since).as_secs(),
            delay.as_secs(),
            if host_is_gone { ", because its instance was gone" } else { "" }
        )),
        None if ran && host_is_gone => Some(format!(
            "Its instance ended while it was a target of {group}, without draining first: requests in flight then got \
             a 502 or 504."
        )),
        None if ran => Some(format!(
            "It exited by itself while it was a target of {group}: requests in flight then got a 502."
        )),
        _ => None,
    }
}

/// What a service's settings mean for requests in flight, and what the tasks of the last hour lost.
pub(super) fn service_why(cx: &Engine, service: &Service) -> Vec<String> {
    let Some((delay, group)) = delay_of(cx, service) else { return Vec::new() };
    let mut why: Vec<String> = does_not_fit(cx, service, delay, &group).into_iter().collect();
    // Stopped tasks are remembered for an hour.
    let of_cluster = cx.ecs.tasks.by(&TaskIndex::Cluster(service.key.cluster.clone()));
    let stopped = of_cluster
        .filter(|task| task.status == TaskStatus::Stopped && task.service.as_ref() == Some(&service.key));
    let cut = stopped.filter_map(|task| {
        let told = ended(cx, task, task.stopping_at?, delay, &group)?;
        Some((task.stopped_at?, task.id, told))
    });
    let cut: Vec<_> = cut.collect();
    if let Some((at, task, told)) = cut.iter().max() {
        why.push(format!(
            "In the last hour {} of its tasks ended with less time for requests in flight than promised, the latest \
             (task {task}) at {}: {told}",
            cut.len(),
            at.iso_secs()
        ));
    }
    why
}

/// Whether an orderly stop fits into a Spot notice, for a service with tasks on Spot Instances.
fn does_not_fit(cx: &Engine, service: &Service, delay: Span, group: &str) -> Option<String> {
    let mut tasks = cx.ecs.tasks.by(&TaskIndex::Service(service.key.clone()));
    let on_spot = tasks.find(|task| host(cx, task).is_some_and(ec2::Instance::is_spot))?;
    let definition = cx.ecs.task_definitions.get(&on_spot.definition)?;
    let containers = definition.shape.container_definitions.iter().flatten();
    let timeout = containers
        .map(|container| container.stop_timeout.map_or(STOP_TIMEOUT, |secs| Span::from_secs(secs.into())))
        .max()?;
    let needs = delay + STOP_AFTER_DRAINING + timeout;
    (needs > NOTICE).then(|| {
        let (delay_secs, notice) = (delay.as_secs(), NOTICE.as_secs());
        let lost = if delay > NOTICE {
            format!("requests that are in flight after {notice} s are lost with a 502 or 504")
        } else {
            "its containers may be killed before they have stopped in order".to_owned()
        };
        format!(
            "On Spot Instances it needs up to {} s to leave (deregistration delay of {group} {delay_secs} s, stop timeout \
             {} s), and a Spot notice gives {notice} s: {lost}.",
            needs.as_secs(),
            timeout.as_secs()
        )
    })
}

/// An instance: how it will end, and what still runs on it.
pub(super) fn instance_why(cx: &Engine, instance: &ec2::Instance) -> Vec<String> {
    let mut why = vec![format!(
        "It is {}, {} in {}, launched at {}.",
        instance.state.as_str(),
        if instance.is_spot() { "a Spot Instance" } else { "On-Demand" },
        instance.zone.name,
        instance.launched_at.iso_secs()
    )];
    why.extend(instance.state_reason.iter().map(|reason| format!("{}.", reason.message)));
    let spot = instance.spot.as_ref();
    if let Some(at) = spot.and_then(|spot| spot.recommended_at) {
        why.push(format!("EC2 recommended at {} to replace it.", at.iso_secs()));
    }
    let notice = spot.and_then(|spot| spot.instance_action());
    if let Some((action, at)) = notice {
        why.push(format!("Spot's notice: {action} at {}.", at.iso_secs()));
    }
    let of_host = cx.ecs.instances.by(&super::InstanceIndex::Ec2(instance.id));
    for row in of_host {
        let tasks: Vec<&Task> = cx.ecs.tasks.by(&TaskIndex::Instance(row.id)).collect();
        let leaving = tasks.iter().filter(|task| task.status >= TaskStatus::Deactivating).count();
        why.push(format!(
            "In cluster {} it is {} with {} tasks, of which {leaving} are leaving.",
            row.cluster,
            row.status.as_str(),
            tasks.len(),
        ));
        let Some((_, gone_at)) = notice else { continue };
        let late = tasks.iter().filter(|task| {
            let service = task.service.as_ref().and_then(|key| cx.ecs.services.get(key));
            let delay = service.and_then(|service| delay_of(cx, service));
            let from = task.stopping_at.unwrap_or(cx.now);
            delay.is_some_and(|(delay, _)| from + delay > gone_at)
        });
        match late.count() {
            0 => {}
            count => why.push(format!(
                "{count} of them cannot wait for requests in flight as long as their deregistration delay says: {}",
                too_late(gone_at)
            )),
        }
        if row.status == super::InstanceStatus::Active && !instance.drains_on_notice() {
            why.push(
                "Nothing drains it: its agent does not watch for notices (ECS_ENABLE_SPOT_INSTANCE_DRAINING) and its \
                 capacity provider has no managed draining."
                    .to_owned(),
            );
        }
    }
    why
}
