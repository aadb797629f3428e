//! Application Auto Scaling: scalable targets with their scheduled actions, and scaling policies.

use capstan_shapes::Refusal;
use capstan_shapes::application_autoscaling as shapes;
use serde_json::{Map, Value as Json};
use shapes::{ScalableDimension, ServiceNamespace};

use super::super::resource::{Handler, Progress, Resource, always, call, shape_of};
use super::common::{already_exists, attributes, or_undo};
use crate::Engine;
use crate::application_autoscaling::{Name, PolicyIndex};

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::ApplicationAutoScaling::ScalableTarget",
        inert: None,
        create: create_target,
        update: update_target,
        delete: delete_target,
        stable: always,
        attributes: |_, resource| attributes([("Id", resource.physical_id.clone())]),
    },
    Handler {
        type_name: "AWS::ApplicationAutoScaling::ScalingPolicy",
        inert: None,
        create: create_policy,
        update: |cx, _, new| {
            let name = policy_name(&new.physical_id).to_owned();
            put_policy(cx, new, name).map(drop)
        },
        delete: delete_policy,
        stable: always,
        attributes: |_, resource| attributes([("Arn", resource.physical_id.clone())]),
    },
];

// Scalable targets. The physical id is `RESOURCE|DIMENSION|NAMESPACE`.

fn create_target(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::RegisterScalableTargetRequest = resource.request(&[])?;
    let id = format!("{}|{}|{}", request.resource_id, request.scalable_dimension, request.service_namespace);
    let of = Name::from(request.resource_id.as_str());
    if cx.application_autoscaling().targets().contains(&of) {
        return Err(already_exists("AWS::ApplicationAutoScaling::ScalableTarget", "Id", &id));
    }
    request.tags = None;
    call(cx, request)?;
    let target = Resource { physical_id: id.clone(), ..resource.clone() };
    let scheduled = scheduled_actions(&target).try_for_each(|action| put_action(cx, &target, action));
    or_undo(cx, scheduled, |cx| {
        let _ = delete_target(cx, &target);
    })?;
    Ok(id)
}

fn scheduled_actions(resource: &Resource) -> impl Iterator<Item = &Json> {
    resource.get("ScheduledActions").and_then(Json::as_array).into_iter().flatten()
}

fn put_action(cx: &mut Engine, target: &Resource, action: &Json) -> Result<(), Refusal> {
    let mut members = action.as_object().cloned().unwrap_or_default();
    for (name, value) in of_target(target) {
        members.insert(name.to_owned(), value);
    }
    let request: shapes::PutScheduledActionRequest =
        shape_of(&shapes::PUT_SCHEDULED_ACTION_REQUEST, &Json::Object(members))?;
    call(cx, request).map(drop)
}

/// The three members that name a scalable target.
fn of_target(target: &Resource) -> Map<String, Json> {
    let names = ["ResourceId", "ScalableDimension", "ServiceNamespace"];
    let parts = target.physical_id.split('|').map(|part| Json::String(part.to_owned()));
    names.into_iter().map(str::to_owned).zip(parts).collect()
}

fn update_target(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let mut request: shapes::RegisterScalableTargetRequest = new.request(&[])?;
    request.tags = None;
    // What was suspended and is not mentioned any more goes on.
    if old.get("SuspendedState").is_some() && request.suspended_state.is_none() {
        request.suspended_state = Some(shapes::SuspendedState {
            dynamic_scaling_in_suspended: Some(false),
            dynamic_scaling_out_suspended: Some(false),
            scheduled_scaling_suspended: Some(false),
        });
    }
    call(cx, request)?;
    let name = |action: &Json| action["ScheduledActionName"].as_str().unwrap_or_default().to_owned();
    // A changed action is made anew: what an update leaves out would stay as it was.
    let kept: Vec<&Json> = scheduled_actions(new).collect();
    for action in scheduled_actions(old).filter(|action| !kept.contains(action)) {
        let mut members = of_target(new);
        members.insert("ScheduledActionName".to_owned(), Json::String(name(action)));
        let request: shapes::DeleteScheduledActionRequest =
            shape_of(&shapes::DELETE_SCHEDULED_ACTION_REQUEST, &Json::Object(members))?;
        call(cx, request)?;
    }
    let before: Vec<&Json> = scheduled_actions(old).collect();
    for action in scheduled_actions(new).filter(|action| !before.contains(action)) {
        put_action(cx, new, action)?;
    }
    Ok(())
}

fn delete_target(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let id = resource.physical_id.split('|').next().unwrap_or_default().to_owned();
    // A service that is gone has taken it along.
    if cx.application_autoscaling().targets().contains(&Name::from(id.as_str())) {
        let request = shapes::DeregisterScalableTargetRequest {
            service_namespace: ServiceNamespace::Ecs,
            resource_id: id,
            scalable_dimension: ScalableDimension::EcsServiceDesiredCount,
        };
        call(cx, request)?;
    }
    Ok(Progress::Done)
}

// Scaling policies

/// `…:scalingPolicy:UUID:resource/ecs/RESOURCE:policyName/NAME`
fn policy_name(arn: &str) -> &str {
    arn.split_once(":policyName/").map_or(arn, |(_, name)| name)
}

/// The properties with the target that `ScalingTargetId` names.
fn policy_request(resource: &Resource) -> Result<shapes::PutScalingPolicyRequest, Refusal> {
    let mut resource = resource.clone();
    if let Some(id) = resource.text("ScalingTargetId").map(str::to_owned) {
        for (name, value) in of_target(&Resource { physical_id: id, ..Resource::default() }) {
            resource.properties.insert(name, value);
        }
    }
    resource.request(&[])
}

fn create_policy(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "PolicyName", 256);
    let request = policy_request(resource)?;
    let key = (Name::from(request.resource_id.as_str()), Name::from(name.as_str()));
    if let Some(policy) = cx.application_autoscaling().policies().get(&key) {
        let type_name = "AWS::ApplicationAutoScaling::ScalingPolicy";
        return Err(already_exists(type_name, "Arn", &policy.arn));
    }
    put_policy(cx, resource, name)
}

fn put_policy(cx: &mut Engine, resource: &Resource, name: String) -> Result<String, Refusal> {
    let mut request = policy_request(resource)?;
    request.policy_name = name;
    Ok(call(cx, request)?.policy_arn)
}

fn delete_policy(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let index = PolicyIndex::Arn(resource.physical_id.as_str().into());
    let policy = cx.application_autoscaling().policies().by(&index).next();
    if let Some(policy) = policy {
        let request = shapes::DeleteScalingPolicyRequest {
            policy_name: policy.name.to_string(),
            service_namespace: ServiceNamespace::Ecs,
            resource_id: policy.resource.to_string(),
            scalable_dimension: ScalableDimension::EcsServiceDesiredCount,
        };
        call(cx, request)?;
    }
    Ok(Progress::Done)
}
