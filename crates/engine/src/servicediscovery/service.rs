//! Services of namespaces.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, servicediscovery as shapes};
use shapes::{OperationType, RoutingPolicy, ServiceFilterName as Filter, ServiceType};

use super::{Service, id, invalid, listed, namespace, operation, tag};
use crate::{Caller, Engine};

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateServiceRequest,
) -> Result<shapes::CreateServiceResponse, Refusal> {
    // The namespace was once named with the DNS settings.
    let in_dns = request.dns_config.as_ref().and_then(|dns| dns.namespace_id.clone());
    let given = request.namespace_id.or(in_dns);
    let given = given.ok_or_else(|| invalid("A service needs the id of its namespace."))?;
    let namespace = namespace::find(cx, &given)?.id.clone();
    let same = |row: &&Service| row.name.eq_ignore_ascii_case(&request.name);
    if let Some(row) = cx.servicediscovery.services.by(&namespace).find(same) {
        return Err(Refusal::of(&shapes::SERVICE_ALREADY_EXISTS, "Service already exists.")
            .with_member("ServiceId", vec![row.id.clone()]));
    }
    if request.health_check_config.is_some() && request.health_check_custom_config.is_some() {
        return Err(invalid("A service has HealthCheckConfig or HealthCheckCustomConfig, not both."));
    }
    if request.health_check_config.is_some() {
        return Err(invalid("HealthCheckConfig is for services in public DNS namespaces."));
    }
    let mut tags = BTreeMap::new();
    tag::extend(caller, &mut tags, request.tags.unwrap_or_default())?;
    let dns = request.dns_config.map(|dns| shapes::DnsConfig {
        namespace_id: Some(namespace.clone()),
        routing_policy: dns.routing_policy.or(Some(RoutingPolicy::Multivalue)),
        dns_records: dns.dns_records,
    });
    let id = id(cx, "srv-", 16);
    let row = Service {
        arn: cx.arn("servicediscovery", format_args!("service/{id}")),
        id,
        name: request.name,
        namespace,
        description: request.description,
        kind: match (&dns, request.r#type) {
            (Some(_), None) => ServiceType::DnsHttp,
            _ => ServiceType::Http,
        },
        dns,
        health_check: request.health_check_config,
        custom_health_check: request.health_check_custom_config,
        created: cx.now,
        creator_request_id: request.creator_request_id,
        tags,
    };
    let service = Some(shown(cx, &row));
    cx.servicediscovery.services.insert(row);
    Ok(shapes::CreateServiceResponse { service })
}

/// The service of an id or ARN.
fn find<'a>(cx: &'a Engine, id: &str) -> Result<&'a Service, Refusal> {
    let bare = id.rsplit('/').next().unwrap_or(id);
    let row = cx.servicediscovery.services.get(&bare.to_owned());
    row.filter(|row| row.id == id || row.arn == id)
        .ok_or_else(|| Refusal::of(&shapes::SERVICE_NOT_FOUND, format!("Can't find service with id {id}.")))
}

fn shown(cx: &Engine, row: &Service) -> shapes::ServiceData {
    shapes::ServiceData {
        id: Some(row.id.clone()),
        arn: Some(row.arn.clone()),
        resource_owner: Some(cx.config.account.clone()),
        name: Some(row.name.clone()),
        namespace_id: Some(row.namespace.clone()),
        description: row.description.clone(),
        instance_count: Some(0),
        dns_config: row.dns.clone(),
        r#type: Some(row.kind),
        health_check_config: row.health_check.clone(),
        health_check_custom_config: row.custom_health_check.clone(),
        create_date: Some(row.created),
        creator_request_id: row.creator_request_id.clone(),
        created_by_account: Some(cx.config.account.clone()),
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetServiceRequest,
) -> Result<shapes::GetServiceResponse, Refusal> {
    Ok(shapes::GetServiceResponse { service: Some(shown(cx, find(cx, &request.id)?)) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListServicesRequest,
) -> Result<shapes::ListServicesResponse, Refusal> {
    let filters = request.filters.unwrap_or_default();
    let fits = |row: &&Service| {
        filters.iter().all(|filter| match filter.name {
            Filter::NamespaceId => filter.values.contains(&row.namespace),
            Filter::ResourceOwner => filter.values.iter().any(|owner| owner == "SELF"),
        })
    };
    let rows = cx.servicediscovery.services.iter().filter(fits);
    let page = listed(rows, |row| row.id.clone(), request.next_token.as_deref(), request.max_results)?;
    let summary = |row: &Service| shapes::ServiceSummary {
        id: Some(row.id.clone()),
        arn: Some(row.arn.clone()),
        resource_owner: Some(cx.config.account.clone()),
        name: Some(row.name.clone()),
        r#type: Some(row.kind),
        description: row.description.clone(),
        instance_count: Some(0),
        dns_config: row.dns.clone(),
        health_check_config: row.health_check.clone(),
        health_check_custom_config: row.custom_health_check.clone(),
        create_date: Some(row.created),
        created_by_account: Some(cx.config.account.clone()),
    };
    Ok(shapes::ListServicesResponse {
        services: Some(page.items.into_iter().map(summary).collect()),
        next_token: page.next,
    })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateServiceRequest,
) -> Result<shapes::UpdateServiceResponse, Refusal> {
    let id = find(cx, &request.id)?.id.clone();
    if request.service.health_check_config.is_some() {
        return Err(invalid("HealthCheckConfig is for services in public DNS namespaces."));
    }
    if let Some(mut row) = cx.servicediscovery.services.edit(&id) {
        if let Some(description) = request.service.description {
            row.description = Some(description);
        }
        // What a change leaves out of the DNS settings and checks goes away (API reference, UpdateService).
        match (request.service.dns_config, &mut row.dns) {
            (Some(change), Some(dns)) => dns.dns_records = change.dns_records,
            (Some(_), None) => return Err(invalid("The service has no DNS settings that could change.")),
            (None, dns) => *dns = None,
        }
    }
    let operation_id = operation::done(cx, OperationType::UpdateService, ("SERVICE", id));
    Ok(shapes::UpdateServiceResponse { operation_id: Some(operation_id) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteServiceRequest,
) -> Result<shapes::DeleteServiceResponse, Refusal> {
    let id = find(cx, &request.id)?.id.clone();
    cx.servicediscovery.services.remove(&id);
    Ok(shapes::DeleteServiceResponse {})
}
