//! Scalable targets: registered, described, deregistered.

use capstan_model::Hex32;
use capstan_shapes::{Refusal, application_autoscaling as shapes};
use shapes::{ScalableDimension, ServiceNamespace};

use super::rows::{Name, ScalableTarget, Suspended};
use super::{
    capacity, check_scaled, limit_exceeded, number, object_not_found, page_of, policy, tag, validation,
};
use crate::ecs::{Service, ServiceKey, ServiceStatus};
use crate::{Caller, Engine};

/// Targets of ECS in a region (Application Auto Scaling quotas).
const TARGETS_MAX: usize = 3_000;

/// The service that a resource id names: `service/CLUSTER/SERVICE`.
pub(super) fn service<'a>(cx: &'a Engine, resource: &str) -> Option<&'a Service> {
    let (cluster, name) = resource.strip_prefix("service/")?.split_once('/')?;
    let service = cx.ecs.services().get(&ServiceKey { cluster: cluster.into(), name: name.into() })?;
    (service.status == ServiceStatus::Active).then_some(service)
}

/// The target of that resource, which must be registered.
pub(super) fn find<'a>(cx: &'a Engine, resource: &str) -> Result<&'a ScalableTarget, Refusal> {
    let target = cx.application_autoscaling.targets.get(&Name::from(resource));
    target.ok_or_else(|| object_not_found("scalable target registered", resource))
}

pub(super) fn register(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RegisterScalableTargetRequest,
) -> Result<shapes::RegisterScalableTargetResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let resource: Name = request.resource_id.as_str().into();
    let parts: Vec<&str> = resource.split('/').collect();
    if parts.len() != 3 || parts[0] != "service" || parts.contains(&"") {
        return Err(validation(format!(
            "Unsupported service namespace, resource type or scalable dimension: the resource ID of an ECS service is service/CLUSTER/SERVICE, not {resource}"
        )));
    }
    match service(cx, &resource) {
        None => return Err(validation(format!("ECS service doesn't exist: {resource}"))),
        Some(service) if service.daemon => {
            return Err(validation(format!(
                "ECS service {resource} has the DAEMON scheduling strategy: it has no desired count to scale"
            )));
        }
        Some(_) => {}
    }
    let before = cx.application_autoscaling.targets.get(&resource).cloned();
    let limit = |given: Option<i32>, before: Option<i64>, name: &str| match given.map(i64::from).or(before) {
        Some(limit) if limit < 0 => Err(validation(format!("{name} must not be negative"))),
        Some(limit) => Ok(limit),
        None => Err(validation(format!("{name} is required to register a new scalable target"))),
    };
    let min = limit(request.min_capacity, before.as_ref().map(|target| target.min), "MinCapacity")?;
    let max = limit(request.max_capacity, before.as_ref().map(|target| target.max), "MaxCapacity")?;
    if min > max {
        return Err(validation("Maximum capacity cannot be less than minimum capacity"));
    }
    let given = request.suspended_state.unwrap_or_default();
    let was = before.as_ref().map(|target| target.suspended).unwrap_or_default();
    let suspended = Suspended {
        scale_in: given.dynamic_scaling_in_suspended.unwrap_or(was.scale_in),
        scale_out: given.dynamic_scaling_out_suspended.unwrap_or(was.scale_out),
        scheduled: given.scheduled_scaling_suspended.unwrap_or(was.scheduled),
    };
    let target = match before {
        Some(before) => {
            // Tags are those of the first registration; TagResource changes them (API reference).
            if request.tags.is_some_and(|tags| !tags.is_empty()) {
                return Err(validation(
                    "Tags are set when a scalable target is registered first. Use TagResource to change them",
                ));
            }
            ScalableTarget { min, max, suspended, ..before }
        }
        None => {
            if cx.application_autoscaling.targets.len() >= TARGETS_MAX {
                return Err(limit_exceeded(format!("There can be {TARGETS_MAX} scalable targets.")));
            }
            let tags = request.tags.unwrap_or_default();
            tag::check(caller, &tags)?;
            // AWS's ids begin so for ECS.
            let id = format!("0ec5{}", Hex32(cx.chance.u128("application-autoscaling.target-id")));
            ScalableTarget {
                resource: resource.clone(),
                arn: cx.arn("application-autoscaling", format_args!("scalable-target/{id}")).into(),
                min,
                max,
                created: cx.now,
                suspended,
                tags,
                out_cooldown: None,
                in_cooldown: None,
                out_wish: None,
            }
        }
    };
    let arn = target.arn.to_string();
    cx.application_autoscaling.targets.insert(target);
    capacity::hold(cx, &resource);
    Ok(shapes::RegisterScalableTargetResponse { scalable_target_arn: Some(arn) })
}

pub(super) fn deregister(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeregisterScalableTargetRequest,
) -> Result<shapes::DeregisterScalableTargetResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let resource = find(cx, &request.resource_id)?.resource.clone();
    remove(cx, &resource);
    Ok(shapes::DeregisterScalableTargetResponse {})
}

/// Takes a target away with its policies, their alarms and its scheduled actions; its activities stay.
pub(super) fn remove(cx: &mut Engine, resource: &Name) {
    if cx.application_autoscaling.targets.remove(resource).is_none() {
        return;
    }
    policy::remove_all(cx, resource);
    let room = &mut cx.application_autoscaling;
    for key in room.scheduled_actions.keys_by(resource) {
        room.scheduled_actions.remove(&key);
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeScalableTargetsRequest,
) -> Result<shapes::DescribeScalableTargetsResponse, Refusal> {
    check_scaled(request.service_namespace, request.scalable_dimension)?;
    let ids = request.resource_ids.unwrap_or_default();
    let wanted = |target: &&ScalableTarget| ids.is_empty() || ids.iter().any(|id| **id == *target.resource);
    let rows = cx.application_autoscaling.targets.iter().filter(wanted);
    let page = page_of(
        rows,
        |target| target.resource.to_string(),
        request.next_token.as_deref(),
        request.max_results,
    )?;
    Ok(shapes::DescribeScalableTargetsResponse {
        scalable_targets: Some(page.items.into_iter().map(|target| shape(cx, target)).collect()),
        next_token: page.next,
    })
}

fn shape(cx: &Engine, target: &ScalableTarget) -> shapes::ScalableTarget {
    shapes::ScalableTarget {
        service_namespace: ServiceNamespace::Ecs,
        resource_id: target.resource.to_string(),
        scalable_dimension: ScalableDimension::EcsServiceDesiredCount,
        min_capacity: number(target.min),
        max_capacity: number(target.max),
        predicted_capacity: None,
        role_arn: format!(
            "arn:aws:iam::{}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
            cx.config.account
        ),
        creation_time: target.created,
        suspended_state: Some(shapes::SuspendedState {
            dynamic_scaling_in_suspended: Some(target.suspended.scale_in),
            dynamic_scaling_out_suspended: Some(target.suspended.scale_out),
            scheduled_scaling_suspended: Some(target.suspended.scheduled),
        }),
        scalable_target_arn: Some(target.arn.to_string()),
    }
}
