//! `services[].events`: the texts that ECS writes (spec ecs.md §8.5), in one place.

use capstan_model::{Hex32, Span};

use crate::Engine;
use crate::ecs::{ServiceEvent, ServiceKey};

/// At most so many are kept and returned (ECS guide, service-event-messages).
const EVENTS_MAX: usize = 100;
/// The same complaint is not repeated within this time (ECS guide, service-event-messages).
const REPEAT_AFTER: Span = Span::from_hours(6);

/// Appends `(service NAME) …`.
pub(in crate::ecs) fn tell(cx: &mut Engine, key: &ServiceKey, message: &str) {
    let (id, at) = (cx.chance.uuid("ecs.service-event-id"), cx.now);
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    let message = format!("(service {}) {message}", key.name);
    service.events.push_front(ServiceEvent { id, at, message });
    service.events.truncate(EVENTS_MAX);
}

/// The same, unless it was told since the latest steady state and within six hours. Tells whether it did.
pub(in crate::ecs) fn tell_once(cx: &mut Engine, key: &ServiceKey, message: &str) -> bool {
    let now = cx.now;
    let told = cx.ecs.services.get(key).is_some_and(|service| {
        let whole = format!("(service {}) {message}", key.name);
        let fresh = service.events.iter().take_while(|event| now - event.at < REPEAT_AFTER);
        fresh.take_while(|event| !event.message.ends_with(STEADY)).any(|event| event.message == whole)
    });
    if !told {
        tell(cx, key, message);
    }
    !told
}

pub(in crate::ecs) const STEADY: &str = "has reached a steady state.";
pub(in crate::ecs) const STUCK: &str = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
pub(in crate::ecs) const PROVISIONING_LIMIT: &str =
    "was unable to place tasks in your cluster because the tasks provisioning capacity limit was exceeded.";
pub(in crate::ecs) const THROTTLED: &str = "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

/// ` (task a) (task b)`
fn tasks(ids: &[Hex32]) -> String {
    ids.iter().map(|id| format!(" (task {id})")).collect()
}

pub(in crate::ecs) fn started(ids: &[Hex32], replaced_unhealthy: i64) -> String {
    let mut text = format!("has started {} tasks:{}.", ids.len(), tasks(ids));
    if replaced_unhealthy > 0 {
        text.push_str(&format!(
            " Amazon ECS replaced {replaced_unhealthy} tasks due to an unhealthy status."
        ));
    }
    text
}

pub(in crate::ecs) fn stopped_running(ids: &[Hex32]) -> String {
    format!("has stopped {} running tasks:{}.", ids.len(), tasks(ids))
}

pub(in crate::ecs) fn stopped_pending(count: usize) -> String {
    format!("stopped {count} pending tasks.")
}

pub(in crate::ecs) fn registered(count: usize, group: &str) -> String {
    format!("registered {count} targets in (target-group {group})")
}

pub(in crate::ecs) fn deregistered(count: usize, group: &str) -> String {
    format!("deregistered {count} targets in (target-group {group})")
}

pub(in crate::ecs) fn begun_draining(count: usize) -> String {
    format!("has begun draining connections on {count} tasks.")
}

pub(in crate::ecs) fn completed(deployment: u64) -> String {
    format!("(deployment ecs-svc/{deployment:019}) deployment completed.")
}

pub(in crate::ecs) fn failed(deployment: u64) -> String {
    format!("(deployment ecs-svc/{deployment:019}) deployment failed: tasks failed to start.")
}

pub(in crate::ecs) fn rolling_back(deployment: u64) -> String {
    format!("rolling back to deployment ecs-svc/{deployment:019}.")
}

pub(in crate::ecs) fn unhealthy_target(task: Hex32, port: u16, group: &str, reason: &str) -> String {
    format!("(task {task}) (port {port}) is unhealthy in (target-group {group}) due to (reason {reason}).")
}

pub(in crate::ecs) fn unhealthy_container(task: Hex32) -> String {
    format!("(task {task}) failed container health checks.")
}

pub(in crate::ecs) fn protected(deployment: u64, count: usize) -> String {
    format!(
        "was unable to reach steady state because (taskSet ecs-svc/{deployment:019}) was unable to scale in due to (reason {count} tasks under protection)"
    )
}

/// `why`: the sentence of placement about the closest instance, or about there being none.
pub(in crate::ecs) fn unplaced(why: &str) -> String {
    format!(
        "was unable to place a task because no container instance met all of its requirements. Reason: {why} For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )
}
