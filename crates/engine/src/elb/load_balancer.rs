//! Load balancers: names, subnets, security groups, attributes.

use std::sync::Arc;

use capstan_model::Span;
use capstan_shapes::{Refusal, elbv2 as shapes};

use super::attributes::{Attributes, Owner};
use super::rows::{ListenerIndex, LoadBalancer, LoadBalancerSubnet, Name};
use super::{
    action, changed, check_name, hex_id, interface, invalid_configuration, invalid_marker, listener, metrics,
    network, tag, target, validation,
};
use crate::kernel::page;
use crate::{Caller, Engine};

/// In a region (ALB quotas).
const BALANCERS_MAX: usize = 50;
const PAGE: i32 = 400;

/// From `provisioning` to `active`. On AWS it takes minutes of which nothing is documented; here a listener opens at once,
/// so a client that waits need not wait long. Ours.
const PROVISIONING: Span = Span::from_secs(2);

/// AWS tells the zone of its DNS service; there is none here, and the value is the one of us-east-1 everywhere.
const HOSTED_ZONE: &str = "Z35SXDOTRQ7X7K";

/// The load balancer of that ARN, or AWS's refusal.
pub(super) fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a LoadBalancer, Refusal> {
    cx.elb.load_balancers.get(&Arc::from(arn)).ok_or_else(not_found)
}

fn not_found() -> Refusal {
    Refusal::of(&shapes::LOAD_BALANCER_NOT_FOUND_EXCEPTION, "One or more load balancers not found")
}

/// It has become `active`, or a minute of its metrics is over.
pub(super) fn due(cx: &mut Engine, arn: &Name) {
    let now = cx.now;
    let Some(mut balancer) = cx.elb.load_balancers.edit(arn) else { return };
    balancer.measured_at = Some(now.next_multiple(metrics::MINUTE));
    let begins = balancer.active_at.take().is_some();
    drop(balancer);
    if begins {
        changed(cx);
    } else {
        metrics::put_minute(cx, arn);
    }
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateLoadBalancerRequest,
) -> Result<shapes::CreateLoadBalancerResponse, Refusal> {
    let name = request.name;
    check_name("The load balancer name", &name)?;
    if name.starts_with("internal-") {
        return Err(validation(format!("The load balancer name '{name}' cannot begin with 'internal-'")));
    }
    let kind = request.r#type.unwrap_or_default();
    if kind != shapes::LoadBalancerTypeEnum::Application {
        return Err(invalid_configuration(format!(
            "Load balancers of type '{kind}' are not built yet; use 'application'"
        )));
    }
    let (vpc, subnets) = network::subnets(cx, &subnet_ids(request.subnets, request.subnet_mappings)?)?;
    let security_groups = network::security_groups(cx, &vpc, request.security_groups)?;
    let scheme = request.scheme.unwrap_or_default();
    let ip_address_type = request.ip_address_type.unwrap_or_default();
    let tags = tag::read(caller, request.tags)?;
    if let Some(known) = cx.elb.load_balancers.by(&name).next() {
        // The same call again gives the same load balancer.
        let same = known.scheme == scheme
            && known.subnets == subnets
            && known.security_groups == security_groups
            && known.ip_address_type == ip_address_type;
        if same {
            return Ok(shapes::CreateLoadBalancerResponse { load_balancers: Some(vec![shown(known)]) });
        }
        let message =
            format!("A load balancer with the same name '{name}' exists, but with different settings");
        return Err(Refusal::of(&shapes::DUPLICATE_LOAD_BALANCER_NAME_EXCEPTION, message));
    }
    if cx.elb.load_balancers.len() >= BALANCERS_MAX {
        let message = "The maximum number of load balancers has been reached";
        return Err(Refusal::of(&shapes::TOO_MANY_LOAD_BALANCERS_EXCEPTION, message));
    }
    let id = hex_id(cx, "elb.load-balancer-id");
    let number = 100_000_000 + cx.chance.below("elb.dns-number", 1_900_000_000);
    let prefix = if scheme == shapes::LoadBalancerSchemeEnum::Internal { "internal-" } else { "" };
    let row = LoadBalancer {
        arn: cx.arn("elasticloadbalancing", format_args!("loadbalancer/app/{name}/{id}")).into(),
        dns_name: format!("{prefix}{name}-{number}.{}.elb.localhost", cx.config.region.name),
        name,
        created_at: cx.now,
        scheme,
        vpc,
        subnets,
        security_groups,
        interfaces: Default::default(),
        ip_address_type,
        attributes: Attributes::defaults(Owner::LoadBalancer),
        active_at: Some(cx.now + PROVISIONING),
        measured_at: None,
        tags,
    };
    let (arn, told) = (row.arn.clone(), shown(&row));
    cx.elb.load_balancers.insert(row);
    interface::settle(cx, &arn);
    changed(cx);
    Ok(shapes::CreateLoadBalancerResponse { load_balancers: Some(vec![told]) })
}

fn subnet_ids(
    subnets: Option<Vec<String>>,
    mappings: Option<Vec<shapes::SubnetMapping>>,
) -> Result<Vec<String>, Refusal> {
    let (subnets, mappings) = (subnets.unwrap_or_default(), mappings.unwrap_or_default());
    if !subnets.is_empty() && !mappings.is_empty() {
        return Err(validation("You can specify either subnets or subnet mappings, but not both"));
    }
    for mapping in &mappings {
        let fixed = [
            &mapping.allocation_id,
            &mapping.private_i_pv4_address,
            &mapping.i_pv6_address,
            &mapping.source_nat_ipv6_prefix,
        ];
        if fixed.into_iter().any(Option::is_some) {
            return Err(invalid_configuration(
                "Addresses of subnet mappings cannot be specified for load balancers with type 'application'",
            ));
        }
    }
    Ok(subnets.into_iter().chain(mappings.into_iter().filter_map(|mapping| mapping.subnet_id)).collect())
}

fn shown(balancer: &LoadBalancer) -> shapes::LoadBalancer {
    let code = if balancer.is_active() {
        shapes::LoadBalancerStateEnum::Active
    } else {
        shapes::LoadBalancerStateEnum::Provisioning
    };
    shapes::LoadBalancer {
        load_balancer_arn: Some(balancer.arn.to_string()),
        dns_name: Some(balancer.dns_name.clone()),
        canonical_hosted_zone_id: Some(HOSTED_ZONE.to_owned()),
        created_time: Some(balancer.created_at),
        load_balancer_name: Some(balancer.name.clone()),
        scheme: Some(balancer.scheme),
        vpc_id: Some(balancer.vpc.clone()),
        state: Some(shapes::LoadBalancerState { code: Some(code), reason: None }),
        r#type: Some(shapes::LoadBalancerTypeEnum::Application),
        availability_zones: Some(shown_zones(&balancer.subnets)),
        security_groups: Some(balancer.security_groups.clone()),
        ip_address_type: Some(balancer.ip_address_type),
        ..shapes::LoadBalancer::default()
    }
}

fn shown_zones(subnets: &[LoadBalancerSubnet]) -> Vec<shapes::AvailabilityZone> {
    let shown = |subnet: &LoadBalancerSubnet| shapes::AvailabilityZone {
        zone_name: Some(subnet.zone.clone()),
        subnet_id: Some(subnet.subnet.clone()),
        load_balancer_addresses: Some(Vec::new()),
        ..shapes::AvailabilityZone::default()
    };
    subnets.iter().map(shown).collect()
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeLoadBalancersRequest,
) -> Result<shapes::DescribeLoadBalancersResponse, Refusal> {
    if request.load_balancer_arns.is_some() && request.names.is_some() {
        return Err(validation(
            "Load balancer names and load balancer ARNs cannot be specified at the same time",
        ));
    }
    let table = &cx.elb.load_balancers;
    let mut chosen: Vec<&LoadBalancer> = Vec::new();
    if let Some(arns) = &request.load_balancer_arns {
        for arn in arns {
            chosen.push(find(cx, arn)?);
        }
    } else if let Some(names) = &request.names {
        for name in names {
            let found = table.by(name).next();
            chosen.push(found.ok_or_else(|| {
                let message = format!("Load balancers '[{name}]' not found");
                Refusal::of(&shapes::LOAD_BALANCER_NOT_FOUND_EXCEPTION, message)
            })?);
        }
    } else {
        chosen.extend(table.iter());
    }
    chosen.sort_by(|a, b| a.arn.cmp(&b.arn));
    chosen.dedup_by(|a, b| a.arn == b.arn);
    let size = usize::try_from(request.page_size.unwrap_or(PAGE)).unwrap_or(1);
    let page = page(chosen, |balancer| balancer.arn.to_string(), request.marker.as_deref(), size)
        .map_err(|()| invalid_marker())?;
    Ok(shapes::DescribeLoadBalancersResponse {
        load_balancers: Some(page.items.into_iter().map(shown).collect()),
        next_marker: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteLoadBalancerRequest,
) -> Result<shapes::DeleteLoadBalancerResponse, Refusal> {
    // Deleting what is not there succeeds (API reference, DeleteLoadBalancer).
    let Ok(balancer) = find(cx, &request.load_balancer_arn) else {
        return Ok(shapes::DeleteLoadBalancerResponse {});
    };
    let arn = balancer.arn.clone();
    if balancer.attributes.is_on("deletion_protection.enabled") {
        let message =
            format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(Refusal::of(&shapes::OPERATION_NOT_PERMITTED_EXCEPTION, message));
    }
    let groups = groups(cx, &arn);
    for listener in cx.elb.listeners.keys_by(&ListenerIndex::LoadBalancer(arn.clone())) {
        listener::remove(cx, &listener);
    }
    if let Some(row) = cx.elb.load_balancers.remove(&arn) {
        row.interfaces.into_values().for_each(|id| interface::delete(cx, id));
    }
    for group in groups {
        target::refresh(cx, &group);
    }
    changed(cx);
    Ok(shapes::DeleteLoadBalancerResponse {})
}

/// The groups that it forwards to, each once.
fn groups(cx: &Engine, arn: &Name) -> Vec<Name> {
    let mut groups =
        cx.elb.load_balancers.get(arn).map(|row| action::used_groups(cx, row)).unwrap_or_default();
    groups.sort_unstable();
    groups.dedup();
    groups
}

pub(super) fn set_subnets(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::SetSubnetsRequest,
) -> Result<shapes::SetSubnetsResponse, Refusal> {
    let balancer = find(cx, &request.load_balancer_arn)?;
    let arn = balancer.arn.clone();
    let (vpc, subnets) = network::subnets(cx, &subnet_ids(request.subnets, request.subnet_mappings)?)?;
    if vpc != balancer.vpc {
        let message = format!("The subnets are not in the VPC '{}' of the load balancer", balancer.vpc);
        return Err(Refusal::of(&shapes::INVALID_SUBNET_EXCEPTION, message));
    }
    let ip_address_type = request.ip_address_type.unwrap_or(balancer.ip_address_type);
    let zones = shown_zones(&subnets);
    if let Some(mut balancer) = cx.elb.load_balancers.edit(&arn) {
        balancer.subnets = subnets;
        balancer.ip_address_type = ip_address_type;
    }
    interface::settle(cx, &arn);
    for group in groups(cx, &arn) {
        target::refresh(cx, &group);
    }
    changed(cx);
    Ok(shapes::SetSubnetsResponse {
        availability_zones: Some(zones),
        ip_address_type: Some(ip_address_type),
        enable_prefix_for_ipv6_source_nat: None,
    })
}

pub(super) fn set_security_groups(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::SetSecurityGroupsRequest,
) -> Result<shapes::SetSecurityGroupsResponse, Refusal> {
    let balancer = find(cx, &request.load_balancer_arn)?;
    let arn = balancer.arn.clone();
    if request.security_groups.is_empty() {
        return Err(invalid_configuration("At least one security group must be specified"));
    }
    let security_groups = network::security_groups(cx, &balancer.vpc, Some(request.security_groups))?;
    if let Some(mut balancer) = cx.elb.load_balancers.edit(&arn) {
        balancer.security_groups.clone_from(&security_groups);
    }
    interface::settle(cx, &arn);
    Ok(shapes::SetSecurityGroupsResponse {
        security_group_ids: Some(security_groups),
        enforce_security_group_inbound_rules_on_private_link_traffic: None,
    })
}

pub(super) fn describe_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeLoadBalancerAttributesRequest,
) -> Result<shapes::DescribeLoadBalancerAttributesResponse, Refusal> {
    let balancer = find(cx, &request.load_balancer_arn)?;
    Ok(shapes::DescribeLoadBalancerAttributesResponse {
        attributes: Some(shown_attributes(&balancer.attributes)),
    })
}

pub(super) fn modify_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyLoadBalancerAttributesRequest,
) -> Result<shapes::ModifyLoadBalancerAttributesResponse, Refusal> {
    let balancer = find(cx, &request.load_balancer_arn)?;
    let arn = balancer.arn.clone();
    let mut attributes = balancer.attributes.clone();
    let pairs = request.attributes.into_iter().map(|attribute| (attribute.key, attribute.value)).collect();
    attributes.change(Owner::LoadBalancer, pairs)?;
    let told = shown_attributes(&attributes);
    if let Some(mut balancer) = cx.elb.load_balancers.edit(&arn) {
        balancer.attributes = attributes;
    }
    changed(cx);
    Ok(shapes::ModifyLoadBalancerAttributesResponse { attributes: Some(told) })
}

/// No load balancer has reserved capacity: reserving is not built, and whoever asks what is reserved (Terraform does with
/// each read) hears that nothing is.
pub(super) fn describe_capacity_reservation(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeCapacityReservationRequest,
) -> Result<shapes::DescribeCapacityReservationResponse, Refusal> {
    find(cx, &request.load_balancer_arn)?;
    Ok(shapes::DescribeCapacityReservationResponse::default())
}

fn shown_attributes(attributes: &Attributes) -> Vec<shapes::LoadBalancerAttribute> {
    let shown = |(key, value): (&str, &str)| shapes::LoadBalancerAttribute {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    attributes.iter().map(shown).collect()
}
