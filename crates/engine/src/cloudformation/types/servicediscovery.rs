//! Cloud Map's resource types.

use capstan_shapes::{Refusal, servicediscovery as shapes};
use serde_json::{Map, Value as Json};

use super::common::{any_changed, attributes, tag_changes, until};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, shape_of};

const INERT: &str = "stored and read back; nothing is registered and no name is resolved";

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::ServiceDiscovery::PrivateDnsNamespace",
        inert: Some(INERT),
        create: create_namespace,
        update: update_namespace,
        delete: delete_namespace,
        stable: always,
        attributes: namespace_attributes,
    },
    Handler {
        type_name: "AWS::ServiceDiscovery::Service",
        inert: Some(INERT),
        create: create_service,
        update: update_service,
        delete: delete_service,
        stable: always,
        attributes: service_attributes,
    },
];

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<shapes::Tag> {
    tags.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect()
}

fn retag(cx: &mut Engine, arn: Option<String>, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let Some(resource_arn) = arn else { return Ok(()) };
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagResourceRequest { resource_arn: resource_arn.clone(), tag_keys: gone })?;
    }
    if !set.is_empty() {
        call(cx, shapes::TagResourceRequest { resource_arn, tags: tags(set) })?;
    }
    Ok(())
}

fn create_namespace(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreatePrivateDnsNamespaceRequest = resource.request(&[("Tags", "")])?;
    request.tags = Some(tags(resource.all_tags()));
    request.creator_request_id = Some(resource.request_token.clone());
    let operation_id = call(cx, request)?.operation_id.unwrap_or_default();
    let operation = call(cx, shapes::GetOperationRequest { operation_id, owner_account: None })?.operation;
    let targets = operation.and_then(|operation| operation.targets).unwrap_or_default();
    Ok(targets.into_values().next().unwrap_or_default())
}

fn update_namespace(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if any_changed(old, new, &["Description", "Properties"]) {
        let mut namespace: shapes::PrivateDnsNamespaceChange =
            shape_of(&shapes::PRIVATE_DNS_NAMESPACE_CHANGE, &Json::Object(new.properties.clone()))?;
        namespace.description = Some(namespace.description.unwrap_or_default());
        let request = shapes::UpdatePrivateDnsNamespaceRequest {
            id: new.physical_id.clone(),
            updater_request_id: None,
            namespace,
        };
        call(cx, request)?;
    }
    let arn = cx.servicediscovery.namespaces().get(&new.physical_id).map(|row| row.arn.clone());
    retag(cx, arn, old, new)
}

/// Services that are being deleted elsewhere keep it for a while.
fn delete_namespace(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let request = shapes::DeleteNamespaceRequest { id: resource.physical_id.clone() };
    until(call(cx, request), &["ResourceInUse"])
}

fn namespace_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.servicediscovery.namespaces().get(&resource.physical_id) else { return Map::new() };
    attributes([("Arn", row.arn.clone()), ("HostedZoneId", row.hosted_zone.clone()), ("Id", row.id.clone())])
}

fn create_service(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateServiceRequest = resource.request(&[("Tags", "")])?;
    request.name = resource.name(cx, "Name", 63);
    request.tags = Some(tags(resource.all_tags()));
    request.creator_request_id = Some(resource.request_token.clone());
    Ok(call(cx, request)?.service.and_then(|service| service.id).unwrap_or_default())
}

fn update_service(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if any_changed(old, new, &["Description", "DnsConfig", "HealthCheckConfig"]) {
        let mut service: shapes::ServiceChange =
            shape_of(&shapes::SERVICE_CHANGE, &Json::Object(new.properties.clone()))?;
        service.description = Some(service.description.unwrap_or_default());
        call(cx, shapes::UpdateServiceRequest { id: new.physical_id.clone(), service })?;
    }
    let arn = cx.servicediscovery.services().get(&new.physical_id).map(|row| row.arn.clone());
    retag(cx, arn, old, new)
}

fn delete_service(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let request = shapes::DeleteServiceRequest { id: resource.physical_id.clone() };
    until(call(cx, request), &["ResourceInUse"])
}

fn service_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.servicediscovery.services().get(&resource.physical_id) else { return Map::new() };
    attributes([("Arn", row.arn.clone()), ("Id", row.id.clone()), ("Name", row.name.clone())])
}
