//! The desired count: set by UpdateService, held within a target's limits.

use capstan_shapes::ecs as shapes;

use super::rows::{CountChange, Name};
use super::{activity, number, target};
use crate::{Caller, Engine};

/// Sets the desired count, and keeps an activity about it. Whether ECS took it.
pub(super) fn set(cx: &mut Engine, resource: &Name, to: i64, cause: String) -> bool {
    let Some(row) = cx.application_autoscaling.targets.get(resource) else { return false };
    let (min, max) = (row.min, row.max);
    let Some(service) = target::service(cx, resource) else { return false };
    let change = CountChange { from: service.desired, to, min, max };
    let request = shapes::UpdateServiceRequest {
        cluster: Some(service.key.cluster.to_string()),
        service: service.key.name.to_string(),
        desired_count: Some(number(to)),
        ..Default::default()
    };
    match cx.call(Caller::APPLICATION_AUTOSCALING, request) {
        Ok(_) => {
            activity::begin(cx, resource, cause, change);
            true
        }
        Err(refusal) => {
            activity::failed(cx, resource, cause, to, &refusal.message);
            false
        }
    }
}

/// Brings a count that lies outside the limits to the nearer one, at once and whatever cooldown there is.
pub(super) fn hold(cx: &mut Engine, resource: &Name) {
    let Some(row) = cx.application_autoscaling.targets.get(resource) else { return };
    let (min, max) = (row.min, row.max);
    let Some(desired) = target::service(cx, resource).map(|service| service.desired) else { return };
    if desired < min {
        set(cx, resource, min, format!("minimum capacity was set to {min}"));
    } else if desired > max {
        set(cx, resource, max, format!("maximum capacity was set to {max}"));
    }
}
