//! Target groups and their attributes.

use std::sync::Arc;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::attributes::{Attributes, Owner};
use super::rows::{ListenerIndex, Name, ProtocolVersion, RuleIndex, TargetGroup, TargetIndex};
use super::{
    check_name, group_changed, health_check, hex_id, invalid_configuration, invalid_marker, network, tag,
    validation,
};
use crate::kernel::page;
use crate::{Caller, Engine};

/// In a region (ALB quotas).
const GROUPS_MAX: usize = 3_000;
const PAGE: i32 = 400;

/// The group of that ARN, or AWS's refusal.
pub(super) fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a TargetGroup, Refusal> {
    cx.elb.target_groups.get(&Arc::from(arn)).ok_or_else(not_found)
}

fn not_found() -> Refusal {
    Refusal::of(&shapes::TARGET_GROUP_NOT_FOUND_EXCEPTION, "One or more target groups not found")
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateTargetGroupRequest,
) -> Result<shapes::CreateTargetGroupResponse, Refusal> {
    let name = request.name;
    check_name("Target group name", &name)?;
    let target_type = request.target_type.unwrap_or_default();
    if !matches!(target_type, shapes::TargetTypeEnum::Instance | shapes::TargetTypeEnum::Ip) {
        return Err(invalid_configuration(format!(
            "Target groups with target type '{target_type}' are not built yet; use 'instance' or 'ip'"
        )));
    }
    let protocol = request.protocol.ok_or_else(|| validation("A protocol must be specified"))?;
    if !matches!(protocol, shapes::ProtocolEnum::Http | shapes::ProtocolEnum::Https) {
        return Err(invalid_configuration(format!(
            "Target groups with protocol '{protocol}' belong to Network and Gateway Load Balancers, which are not built yet; use 'HTTP' or 'HTTPS'"
        )));
    }
    let port = request.port.ok_or_else(|| validation("A port must be specified"))?;
    let vpc = request.vpc_id.ok_or_else(|| validation("A VPC ID must be specified"))?;
    network::check_vpc(cx, &vpc)?;
    let protocol_version = match request.protocol_version.as_deref() {
        // Terraform sends an empty text for a version that is not configured (observed).
        None | Some("" | "HTTP1") => ProtocolVersion::Http1,
        Some("HTTP2") => ProtocolVersion::Http2,
        Some("GRPC") => ProtocolVersion::Grpc,
        Some(other) => {
            return Err(validation(format!(
                "Protocol version '{other}' must be one of 'HTTP1, HTTP2, GRPC'"
            )));
        }
    };
    let settings = health_check::Settings {
        protocol: request.health_check_protocol,
        port: request.health_check_port,
        enabled: request.health_check_enabled,
        path: request.health_check_path,
        interval: request.health_check_interval_seconds,
        timeout: request.health_check_timeout_seconds,
        healthy_threshold: request.healthy_threshold_count,
        unhealthy_threshold: request.unhealthy_threshold_count,
        matcher: request.matcher,
    };
    let check = health_check::apply(&health_check::defaults(protocol_version), protocol_version, settings)?;
    let tags = tag::read(caller, request.tags)?;
    let mut group = TargetGroup {
        arn: Arc::from(""),
        name,
        protocol,
        protocol_version,
        port: u16::try_from(port).map_err(|_| validation(format!("The port '{port}' is not valid")))?,
        vpc,
        target_type,
        health_check: check,
        attributes: Attributes::defaults(Owner::TargetGroup),
        tags,
    };
    if let Some(known) = cx.elb.target_groups.by(&group.name).next() {
        // The same call again gives the same group.
        let same = known.protocol == group.protocol
            && known.protocol_version == group.protocol_version
            && known.port == group.port
            && known.vpc == group.vpc
            && known.target_type == group.target_type
            && known.health_check == group.health_check;
        if same {
            return Ok(shapes::CreateTargetGroupResponse { target_groups: Some(vec![shown(cx, known)]) });
        }
        let message =
            format!("A target group with the same name '{}' exists, but with different settings", group.name);
        return Err(Refusal::of(&shapes::DUPLICATE_TARGET_GROUP_NAME_EXCEPTION, message));
    }
    if cx.elb.target_groups.len() >= GROUPS_MAX {
        let message = "The maximum number of target groups has been reached";
        return Err(Refusal::of(&shapes::TOO_MANY_TARGET_GROUPS_EXCEPTION, message));
    }
    let id = hex_id(cx, "elb.target-group-id");
    group.arn = cx.arn("elasticloadbalancing", format_args!("targetgroup/{}/{id}", group.name)).into();
    let told = shown(cx, &group);
    let arn = group.arn.clone();
    cx.elb.target_groups.insert(group);
    group_changed(cx, &arn);
    Ok(shapes::CreateTargetGroupResponse { target_groups: Some(vec![told]) })
}

pub(super) fn shown(cx: &Engine, group: &TargetGroup) -> shapes::TargetGroup {
    let check = &group.health_check;
    let grpc = group.protocol_version == ProtocolVersion::Grpc;
    let codes = Some(check.matcher.clone());
    shapes::TargetGroup {
        target_group_arn: Some(group.arn.to_string()),
        target_group_name: Some(group.name.clone()),
        protocol: Some(group.protocol),
        port: Some(i32::from(group.port)),
        vpc_id: Some(group.vpc.clone()),
        health_check_protocol: Some(check.protocol),
        health_check_port: Some(
            check.port.map_or_else(|| "traffic-port".to_owned(), |port| port.to_string()),
        ),
        health_check_enabled: Some(true),
        health_check_interval_seconds: Some(check.interval),
        health_check_timeout_seconds: Some(check.timeout),
        healthy_threshold_count: Some(check.healthy_threshold),
        unhealthy_threshold_count: Some(check.unhealthy_threshold),
        health_check_path: Some(check.path.clone()),
        matcher: Some(if grpc {
            shapes::Matcher { http_code: None, grpc_code: codes }
        } else {
            shapes::Matcher { http_code: codes, grpc_code: None }
        }),
        load_balancer_arns: Some(
            cx.elb
                .load_balancer_of(&group.arn)
                .map(|balancer| balancer.arn.to_string())
                .into_iter()
                .collect(),
        ),
        target_type: Some(group.target_type),
        protocol_version: Some(group.protocol_version.as_str().to_owned()),
        ip_address_type: Some(shapes::TargetGroupIpAddressTypeEnum::Ipv4),
        target_control_port: None,
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeTargetGroupsRequest,
) -> Result<shapes::DescribeTargetGroupsResponse, Refusal> {
    let selectors =
        [request.load_balancer_arn.is_some(), request.target_group_arns.is_some(), request.names.is_some()];
    if selectors.into_iter().filter(|given| *given).count() > 1 {
        return Err(validation(
            "Only one of the load balancer ARN, the target group ARNs and the target group names can be specified",
        ));
    }
    let table = &cx.elb.target_groups;
    let mut chosen: Vec<&TargetGroup> = Vec::new();
    if let Some(arn) = &request.load_balancer_arn {
        let balancer = super::load_balancer::find(cx, arn)?;
        let mut used = super::action::used_groups(cx, balancer);
        used.sort_unstable();
        used.dedup();
        chosen.extend(used.iter().filter_map(|arn| table.get(arn)));
    } else if let Some(arns) = &request.target_group_arns {
        for arn in arns {
            chosen.push(find(cx, arn)?);
        }
    } else if let Some(names) = &request.names {
        for name in names {
            chosen.push(table.by(name).next().ok_or_else(not_found)?);
        }
    } else {
        chosen.extend(table.iter());
    }
    chosen.sort_by(|a, b| a.arn.cmp(&b.arn));
    chosen.dedup_by(|a, b| a.arn == b.arn);
    let size = usize::try_from(request.page_size.unwrap_or(PAGE)).unwrap_or(1);
    let page = page(chosen, |group| group.arn.to_string(), request.marker.as_deref(), size)
        .map_err(|()| invalid_marker())?;
    Ok(shapes::DescribeTargetGroupsResponse {
        target_groups: Some(page.items.into_iter().map(|group| shown(cx, group)).collect()),
        next_marker: page.next,
    })
}

pub(super) fn modify(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyTargetGroupRequest,
) -> Result<shapes::ModifyTargetGroupResponse, Refusal> {
    let group = find(cx, &request.target_group_arn)?;
    let arn = group.arn.clone();
    let settings = health_check::Settings {
        protocol: request.health_check_protocol,
        port: request.health_check_port,
        enabled: request.health_check_enabled,
        path: request.health_check_path,
        interval: request.health_check_interval_seconds,
        timeout: request.health_check_timeout_seconds,
        healthy_threshold: request.healthy_threshold_count,
        unhealthy_threshold: request.unhealthy_threshold_count,
        matcher: request.matcher,
    };
    let check = health_check::apply(&group.health_check, group.protocol_version, settings)?;
    if let Some(mut group) = cx.elb.target_groups.edit(&arn) {
        group.health_check = check;
    }
    group_changed(cx, &arn);
    let group = find(cx, &arn)?;
    Ok(shapes::ModifyTargetGroupResponse { target_groups: Some(vec![shown(cx, group)]) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteTargetGroupRequest,
) -> Result<shapes::DeleteTargetGroupResponse, Refusal> {
    let arn: Name = Arc::from(request.target_group_arn);
    let used = cx.elb.listeners.count_by(&ListenerIndex::TargetGroup(arn.clone()))
        + cx.elb.rules.count_by(&RuleIndex::TargetGroup(arn.clone()));
    if used > 0 {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(Refusal::of(&shapes::RESOURCE_IN_USE_EXCEPTION, message));
    }
    // Deleting what is not there succeeds: the model lists no error for it.
    if cx.elb.target_groups.remove(&arn).is_some() {
        for key in cx.elb.targets.keys_by(&TargetIndex::Group(arn.clone())) {
            super::target::remove(cx, &key);
        }
        group_changed(cx, &arn);
    }
    Ok(shapes::DeleteTargetGroupResponse {})
}

pub(super) fn describe_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeTargetGroupAttributesRequest,
) -> Result<shapes::DescribeTargetGroupAttributesResponse, Refusal> {
    let group = find(cx, &request.target_group_arn)?;
    Ok(shapes::DescribeTargetGroupAttributesResponse {
        attributes: Some(shown_attributes(&group.attributes)),
    })
}

pub(super) fn modify_attributes(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyTargetGroupAttributesRequest,
) -> Result<shapes::ModifyTargetGroupAttributesResponse, Refusal> {
    let group = find(cx, &request.target_group_arn)?;
    let arn = group.arn.clone();
    let mut attributes = group.attributes.clone();
    let pairs = request.attributes.into_iter().map(|attribute| (attribute.key, attribute.value)).collect();
    attributes.change(Owner::TargetGroup, pairs)?;
    let told = shown_attributes(&attributes);
    if let Some(mut group) = cx.elb.target_groups.edit(&arn) {
        group.attributes = attributes;
    }
    group_changed(cx, &arn);
    Ok(shapes::ModifyTargetGroupAttributesResponse { attributes: Some(told) })
}

fn shown_attributes(attributes: &Attributes) -> Vec<shapes::TargetGroupAttribute> {
    let shown = |(key, value): (&str, &str)| shapes::TargetGroupAttribute {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    attributes.iter().map(shown).collect()
}
