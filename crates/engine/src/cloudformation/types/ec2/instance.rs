//! Instances.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_model::InstanceId;
use capstan_shapes::ec2::{self as shapes, InstanceStateName};
use capstan_shapes::{Blob, Refusal};
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Handler, Progress, Resource, call, shape_of};
use super::super::common::{attributes, changed, texts};
use super::{flag, specification, update_tags};
use crate::Engine;
use crate::ec2::Instance;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::EC2::Instance",
    inert: None,
    create,
    update,
    delete,
    stable,
    attributes: read,
}];

fn row<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a Instance> {
    let id: InstanceId = resource.physical_id.parse().ok()?;
    cx.ec2().instances().get(&id)
}

/// RunInstances says these in other words.
const OTHERWISE: &[&str] =
    &["CreditSpecification", "IamInstanceProfile", "Monitoring", "NetworkInterfaces", "Tags", "Volumes"];

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    if resource.get("Volumes").and_then(Json::as_array).is_some_and(|volumes| !volumes.is_empty()) {
        return Err(Refusal::new("UnsupportedOperation", "There are no volumes to attach here."));
    }
    let mut plain = resource.clone();
    plain.properties.retain(|name, _| !OTHERWISE.contains(&name.as_str()));
    let mut request: shapes::RunInstancesRequest = plain.request(&[])?;
    request.min_count = 1;
    request.max_count = 1;
    request.client_token = Some(resource.request_token.clone());
    request.tag_specifications = specification("instance", resource);
    let texts = |property: &str| resource.text(property).map(str::to_owned);
    if let Some(name) = texts("IamInstanceProfile") {
        request.iam_instance_profile =
            Some(shapes::IamInstanceProfileSpecification { name: Some(name), arn: None });
    }
    if let Some(enabled) = flag(resource, "Monitoring") {
        request.monitoring = Some(shapes::RunInstancesMonitoringEnabled { enabled });
    }
    if let Some(zone) = texts("AvailabilityZone") {
        request.placement.get_or_insert_default().availability_zone = Some(zone);
    }
    let interfaces = resource.get("NetworkInterfaces").and_then(Json::as_array);
    if let Some(interfaces) = interfaces.filter(|list| !list.is_empty()) {
        let mut told = Vec::new();
        for interface in interfaces {
            // `GroupSet` is what the API calls `Groups`.
            let mut interface = interface.clone();
            if let Some(members) = interface.as_object_mut()
                && let Some(groups) = members.remove("GroupSet")
            {
                members.insert("Groups".to_owned(), groups);
            }
            let schema = &shapes::INSTANCE_NETWORK_INTERFACE_SPECIFICATION;
            told.push(shape_of(schema, &interface)?);
        }
        request.network_interfaces = Some(told);
    }
    let made = call(cx, request)?.instances.unwrap_or_default().into_iter().next();
    let id = made.and_then(|instance| instance.instance_id).unwrap_or_default();
    if flag(resource, "SourceDestCheck") == Some(false) {
        modify(cx, &id, |request| request.source_dest_check = super::value(false))?;
    }
    Ok(id)
}

fn modify(
    cx: &mut Engine,
    id: &str,
    set: impl FnOnce(&mut shapes::ModifyInstanceAttributeRequest),
) -> Result<(), Refusal> {
    let mut request =
        shapes::ModifyInstanceAttributeRequest { instance_id: id.to_owned(), ..Default::default() };
    set(&mut request);
    call(cx, request).map(drop)
}

/// The user data as the instance shall have it.
fn user_data(resource: &Resource) -> Option<Vec<u8>> {
    let text: String = resource.text("UserData")?.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

/// What an instance must be stopped for: its type and its user data (CloudFormation guide, AWS::EC2::Instance: some
/// interruptions).
fn differs(row: &Instance, resource: &Resource) -> bool {
    let kind = resource.text("InstanceType").is_some_and(|name| *row.instance_type.name != *name);
    let wanted = user_data(resource);
    let data = wanted.is_some_and(|data| row.user_data.as_deref().map(str::as_bytes) != Some(&data[..]));
    kind || data
}

/// What an update of an instance can do here.
const UPDATED: &[&str] = &[
    "DisableApiTermination",
    "EbsOptimized",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "SecurityGroupIds",
    "SourceDestCheck",
    "Tags",
    "UserData",
];

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let names: BTreeSet<&String> = old.properties.keys().chain(new.properties.keys()).collect();
    let other = names.into_iter().find(|name| changed(old, new, name) && !UPDATED.contains(&name.as_str()));
    if let Some(name) = other {
        return Err(Refusal::new(
            "UnsupportedOperation",
            format!("The property {name} of an instance cannot be changed in place here."),
        ));
    }
    let id = new.physical_id.clone();
    if changed(old, new, "DisableApiTermination") {
        let on = flag(new, "DisableApiTermination").unwrap_or(false);
        modify(cx, &id, |request| request.disable_api_termination = super::value(on))?;
    }
    if changed(old, new, "SourceDestCheck") {
        let on = flag(new, "SourceDestCheck").unwrap_or(true);
        modify(cx, &id, |request| request.source_dest_check = super::value(on))?;
    }
    if changed(old, new, "EbsOptimized") {
        let on = flag(new, "EbsOptimized").unwrap_or(false);
        modify(cx, &id, |request| request.ebs_optimized = super::value(on))?;
    }
    if changed(old, new, "InstanceInitiatedShutdownBehavior") {
        let value = new.text("InstanceInitiatedShutdownBehavior").unwrap_or("stop").to_owned();
        let value = Some(shapes::AttributeValue { value: Some(value) });
        modify(cx, &id, |request| request.instance_initiated_shutdown_behavior = value)?;
    }
    if changed(old, new, "SecurityGroupIds") {
        let groups = Some(texts(new, "SecurityGroupIds"));
        modify(cx, &id, |request| request.groups = groups)?;
    }
    update_tags(cx, old, new)?;
    let running = row(cx, new).filter(|row| row.is_alive() && differs(row, new)).is_some();
    if running {
        let request = shapes::StopInstancesRequest {
            instance_ids: vec![new.physical_id.clone()],
            ..Default::default()
        };
        call(cx, request)?;
    }
    Ok(())
}

/// Running; on its way there a stopped instance becomes what the template wants.
fn stable(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(row) = row(cx, resource) else {
        return Err(Refusal::new("InvalidInstanceID.NotFound", "The instance has gone."));
    };
    match row.state {
        InstanceStateName::Running => Ok(Progress::Done),
        InstanceStateName::Pending | InstanceStateName::Stopping => Ok(Progress::InProgress),
        InstanceStateName::ShuttingDown | InstanceStateName::Terminated => {
            let reason = row.state_reason.as_ref().map(|reason| reason.message.clone());
            Err(Refusal::new(
                "NotStabilized",
                format!("Instance {} failed to launch: {}", row.id, reason.unwrap_or_default()),
            ))
        }
        InstanceStateName::Stopped => {
            // Somebody else's stop is left alone.
            if !differs(row, resource) {
                return Ok(Progress::Done);
            }
            let id = resource.physical_id.clone();
            if let Some(kind) = resource.text("InstanceType") {
                let value = Some(shapes::AttributeValue { value: Some(kind.to_owned()) });
                modify(cx, &id, |request| request.instance_type = value)?;
            }
            if let Some(data) = user_data(resource) {
                let value = Some(shapes::BlobAttributeValue { value: Some(Blob(data.into())) });
                modify(cx, &id, |request| request.user_data = value)?;
            }
            call(cx, shapes::StartInstancesRequest { instance_ids: vec![id], ..Default::default() })?;
            Ok(Progress::InProgress)
        }
    }
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(row) = row(cx, resource) else { return Ok(Progress::Done) };
    match row.state {
        InstanceStateName::Terminated => Ok(Progress::Done),
        InstanceStateName::ShuttingDown => Ok(Progress::InProgress),
        _ => {
            let instance_ids = vec![resource.physical_id.clone()];
            call(cx, shapes::TerminateInstancesRequest { instance_ids, ..Default::default() })?;
            Ok(Progress::InProgress)
        }
    }
}

fn read(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let request = shapes::DescribeInstancesRequest {
        instance_ids: Some(vec![resource.physical_id.clone()]),
        ..Default::default()
    };
    let told = call(cx, request).ok().and_then(|told| told.reservations?.into_iter().next());
    let Some(told) = told.and_then(|reservation| reservation.instances?.into_iter().next()) else {
        return Map::new();
    };
    let zone = told.placement.and_then(|placement| placement.availability_zone);
    let mut attributes = attributes([
        ("AvailabilityZone", zone.unwrap_or_default()),
        ("InstanceId", resource.physical_id.clone()),
        ("PrivateDnsName", told.private_dns_name.unwrap_or_default()),
        ("PrivateIp", told.private_ip_address.unwrap_or_default()),
        ("PublicDnsName", told.public_dns_name.unwrap_or_default()),
        ("PublicIp", told.public_ip_address.unwrap_or_default()),
        ("VpcId", told.vpc_id.unwrap_or_default()),
    ]);
    if let Some(state) = told.state {
        let name = state.name.map(|name| name.as_str());
        attributes.insert("State".to_owned(), json!({ "Code": state.code, "Name": name }));
    }
    attributes
}
