//! Roles that are linked to a service: their names and policies are the service's.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, iam as shapes};
use serde_json::json;

use super::identity::Kind;
use super::rows::folded;
use super::{Deletion, Identity, Role, invalid_input, no_entity, role};
use crate::{Caller, Engine};

/// Services, what their roles' names end with and the policies attached to them (each service's guide, service-linked
/// roles).
const SERVICES: &[(&str, &str, &str)] = &[
    ("autoscaling.amazonaws.com", "AutoScaling", "AutoScalingServiceRolePolicy"),
    ("ec2fleet.amazonaws.com", "EC2Fleet", "AWSEC2FleetServiceRolePolicy"),
    ("ecs.amazonaws.com", "ECS", "AmazonECSServiceRolePolicy"),
    (
        "ecs.application-autoscaling.amazonaws.com",
        "ApplicationAutoScaling_ECSService",
        "AWSApplicationAutoscalingECSServicePolicy",
    ),
    (
        "elasticloadbalancing.amazonaws.com",
        "ElasticLoadBalancing",
        "AWSElasticLoadBalancingServiceRolePolicy",
    ),
    ("events.amazonaws.com", "CloudWatchEvents", "CloudWatchEventsServiceRolePolicy"),
    ("fis.amazonaws.com", "FIS", "AmazonFISServiceRolePolicy"),
    ("spot.amazonaws.com", "EC2Spot", "AWSEC2SpotServiceRolePolicy"),
    ("spotfleet.amazonaws.com", "EC2SpotFleet", "AWSEC2SpotFleetServiceRolePolicy"),
];

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateServiceLinkedRoleRequest,
) -> Result<shapes::CreateServiceLinkedRoleResponse, Refusal> {
    let service = request.aws_service_name;
    let Some((_, name, policy)) = SERVICES.iter().find(|(known, _, _)| *known == service) else {
        let known: Vec<&str> = SERVICES.iter().map(|(name, _, _)| *name).collect();
        return Err(invalid_input(format!(
            "There is no service-linked role for {service} here. Services that have one: {}.",
            known.join(", ")
        )));
    };
    let name = match request.custom_suffix.as_deref() {
        None => format!("AWSServiceRoleFor{name}"),
        Some(suffix) if service == "autoscaling.amazonaws.com" => format!("AWSServiceRoleFor{name}_{suffix}"),
        Some(_) => return Err(invalid_input(format!("Custom suffix is not allowed for {service}"))),
    };
    if cx.iam.roles.contains(&folded(&name)) {
        return Err(invalid_input(format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        )));
    }
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": { "Service": [service] } }],
    });
    let path = format!("/aws-service-role/{service}/");
    let row = Role {
        trust: trust.to_string(),
        description: request.description,
        session_seconds_max: 3600,
        linked_to: Some(service),
        identity: Identity {
            arn: super::arn(cx, "role", &path, &name),
            name,
            path,
            id: String::new(),
            created: cx.now,
            tags: BTreeMap::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::from([format!("arn:aws:iam::aws:policy/aws-service-role/{policy}")]),
            boundary: None,
        },
    };
    Ok(shapes::CreateServiceLinkedRoleResponse { role: Some(role::insert(cx, row)?) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteServiceLinkedRoleRequest,
) -> Result<shapes::DeleteServiceLinkedRoleResponse, Refusal> {
    let linked = role::find(cx, &request.role_name)?.linked_to.clone();
    let service = linked.ok_or_else(|| Kind::Role.not_found(&request.role_name))?;
    let uuid = cx.chance.uuid("iam.deletion");
    let id = format!("task/aws-service-role/{service}/{}/{uuid}", request.role_name);
    cx.iam.roles.remove(&folded(&request.role_name));
    cx.iam.deletions.insert(Deletion { id: id.clone() });
    Ok(shapes::DeleteServiceLinkedRoleResponse { deletion_task_id: id })
}

pub(super) fn deletion_status(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetServiceLinkedRoleDeletionStatusRequest,
) -> Result<shapes::GetServiceLinkedRoleDeletionStatusResponse, Refusal> {
    if !cx.iam.deletions.contains(&request.deletion_task_id) {
        return Err(no_entity(format!("Deletion task {} cannot be found.", request.deletion_task_id)));
    }
    let status = shapes::DeletionTaskStatusType::Succeeded;
    Ok(shapes::GetServiceLinkedRoleDeletionStatusResponse { status, reason: None })
}
