//! Namespaces.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, servicediscovery as shapes};
use shapes::{NamespaceFilterName as Filter, NamespaceType, OperationType};

use super::{Namespace, id, invalid, listed, operation, tag};
use crate::{Caller, Engine};

/// Seconds that negative answers are kept, where the request does not say (observed).
const SOA_TTL: i64 = 15;

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreatePrivateDnsNamespaceRequest,
) -> Result<shapes::CreatePrivateDnsNamespaceResponse, Refusal> {
    let same = |row: &&Namespace| row.name == request.name && row.vpc == request.vpc;
    if let Some(row) = cx.servicediscovery.namespaces.iter().find(same) {
        let again =
            request.creator_request_id.is_some() && row.creator_request_id == request.creator_request_id;
        let (shape, message) = match again {
            true => (
                &shapes::DUPLICATE_REQUEST,
                "Another operation of the type CreateNamespace has this creator request id.",
            ),
            false => {
                (&shapes::NAMESPACE_ALREADY_EXISTS, "Namespace with the same name already exists in the VPC.")
            }
        };
        return Err(Refusal::of(shape, message));
    }
    if request.vpc.is_empty() {
        return Err(invalid("A private namespace needs a VPC."));
    }
    let mut tags = BTreeMap::new();
    tag::extend(caller, &mut tags, request.tags.unwrap_or_default())?;
    let id = id(cx, "ns-", 16);
    let hosted_zone = crate::iam::code("Z", 20, cx.chance.u128("servicediscovery.zone"));
    let row = Namespace {
        arn: cx.arn("servicediscovery", format_args!("namespace/{id}")),
        id: id.clone(),
        name: request.name,
        description: request.description,
        vpc: request.vpc,
        hosted_zone,
        soa_ttl: request.properties.map_or(SOA_TTL, |properties| properties.dns_properties.soa.ttl),
        created: cx.now,
        creator_request_id: request.creator_request_id,
        tags,
    };
    cx.servicediscovery.namespaces.insert(row);
    let operation_id = operation::done(cx, OperationType::CreateNamespace, ("NAMESPACE", id));
    Ok(shapes::CreatePrivateDnsNamespaceResponse { operation_id: Some(operation_id) })
}

fn not_found(id: &str) -> Refusal {
    Refusal::of(&shapes::NAMESPACE_NOT_FOUND, format!("Can't find namespace with id {id}."))
}

/// The namespace of an id or ARN.
pub(super) fn find<'a>(cx: &'a Engine, id: &str) -> Result<&'a Namespace, Refusal> {
    let bare = id.rsplit('/').next().unwrap_or(id);
    let row = cx.servicediscovery.namespaces.get(&bare.to_owned());
    row.filter(|row| row.id == id || row.arn == id).ok_or_else(|| not_found(id))
}

fn properties(row: &Namespace) -> shapes::NamespaceProperties {
    shapes::NamespaceProperties {
        dns_properties: Some(shapes::DnsProperties {
            hosted_zone_id: Some(row.hosted_zone.clone()),
            soa: Some(shapes::SOA { ttl: row.soa_ttl }),
        }),
        http_properties: Some(shapes::HttpProperties { http_name: Some(row.name.clone()) }),
    }
}

fn services(cx: &Engine, row: &Namespace) -> Option<i32> {
    i32::try_from(cx.servicediscovery.services.count_by(&row.id)).ok()
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetNamespaceRequest,
) -> Result<shapes::GetNamespaceResponse, Refusal> {
    let row = find(cx, &request.id)?;
    let namespace = shapes::Namespace {
        id: Some(row.id.clone()),
        arn: Some(row.arn.clone()),
        resource_owner: Some(cx.config.account.clone()),
        name: Some(row.name.clone()),
        r#type: Some(NamespaceType::DnsPrivate),
        description: row.description.clone(),
        service_count: services(cx, row),
        properties: Some(properties(row)),
        create_date: Some(row.created),
        creator_request_id: row.creator_request_id.clone(),
    };
    Ok(shapes::GetNamespaceResponse { namespace: Some(namespace) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListNamespacesRequest,
) -> Result<shapes::ListNamespacesResponse, Refusal> {
    let filters = request.filters.unwrap_or_default();
    let fits = |row: &&Namespace| {
        filters.iter().all(|filter| match filter.name {
            Filter::Type => filter.values.iter().any(|kind| kind == NamespaceType::DnsPrivate.as_str()),
            Filter::Name | Filter::HttpName => filter.values.contains(&row.name),
            Filter::ResourceOwner => filter.values.iter().any(|owner| owner == "SELF"),
        })
    };
    let rows = cx.servicediscovery.namespaces.iter().filter(fits);
    let page = listed(rows, |row| row.id.clone(), request.next_token.as_deref(), request.max_results)?;
    let shown = |row: &Namespace| shapes::NamespaceSummary {
        id: Some(row.id.clone()),
        arn: Some(row.arn.clone()),
        resource_owner: Some(cx.config.account.clone()),
        name: Some(row.name.clone()),
        r#type: Some(NamespaceType::DnsPrivate),
        description: row.description.clone(),
        service_count: services(cx, row),
        properties: Some(properties(row)),
        create_date: Some(row.created),
    };
    Ok(shapes::ListNamespacesResponse {
        namespaces: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdatePrivateDnsNamespaceRequest,
) -> Result<shapes::UpdatePrivateDnsNamespaceResponse, Refusal> {
    let id = find(cx, &request.id)?.id.clone();
    if let Some(mut row) = cx.servicediscovery.namespaces.edit(&id) {
        if let Some(description) = request.namespace.description {
            row.description = Some(description);
        }
        if let Some(properties) = request.namespace.properties {
            row.soa_ttl = properties.dns_properties.soa.ttl;
        }
    }
    let operation_id = operation::done(cx, OperationType::UpdateNamespace, ("NAMESPACE", id));
    Ok(shapes::UpdatePrivateDnsNamespaceResponse { operation_id: Some(operation_id) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteNamespaceRequest,
) -> Result<shapes::DeleteNamespaceResponse, Refusal> {
    let id = find(cx, &request.id)?.id.clone();
    if cx.servicediscovery.services.count_by(&id) > 0 {
        return Err(Refusal::of(
            &shapes::RESOURCE_IN_USE,
            format!("Namespace {id} has services associated with it: delete them first."),
        ));
    }
    cx.servicediscovery.namespaces.remove(&id);
    let operation_id = operation::done(cx, OperationType::DeleteNamespace, ("NAMESPACE", id));
    Ok(shapes::DeleteNamespaceResponse { operation_id: Some(operation_id) })
}
