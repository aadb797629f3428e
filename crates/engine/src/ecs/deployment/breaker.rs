//! The deployment circuit breaker: consecutive failures end a deployment, and may roll it back.

use serde_json::Map;

use super::super::{Rollout, ServiceKey};
use super::events;
use crate::Engine;
use crate::ecs::event::{self, Kind};

/// How many consecutive failures trip the circuit breaker: half of the desired count, 3–200 (ECS guide,
/// deployment-circuit-breaker).
fn breaker_threshold(desired: i64) -> i64 {
    ((desired + 1) / 2).clamp(3, 200)
}

/// Tells whether it tripped.
pub(super) fn trip_breaker(cx: &mut Engine, key: &ServiceKey) -> bool {
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
    let reason = "ECS deployment circuit breaker: task failed to start.";
    event::deployment(cx, key, Kind::Error, "SERVICE_DEPLOYMENT_FAILED", failed, reason);
    event::service_action(cx, key, Kind::Error, "SERVICE_DEPLOYMENT_FAILED", |_| Map::new());
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
    event::deployment_began(cx, key);
    true
}
