//! Elastic Load Balancing: load balancers, target groups, listeners and rules.

use capstan_shapes::Refusal;
use capstan_shapes::elbv2 as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::resource::{Handler, Progress, Resource, always, call, scalar};
use super::common::{
    already_exists, any_changed, attributes, changed, done_if, or_undo, short_name, tag_changes, until,
};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::ElasticLoadBalancingV2::Listener",
        inert: None,
        create: create_listener,
        update: update_listener,
        delete: delete_listener,
        stable: always,
        attributes: |_, resource| attributes([("ListenerArn", resource.physical_id.clone())]),
    },
    Handler {
        type_name: "AWS::ElasticLoadBalancingV2::ListenerRule",
        inert: None,
        create: create_rule,
        update: update_rule,
        delete: delete_rule,
        stable: always,
        attributes: |_, resource| {
            let mut attributes = attributes([("RuleArn", resource.physical_id.clone())]);
            attributes.insert("IsDefault".to_owned(), Json::Bool(false));
            attributes
        },
    },
    Handler {
        type_name: "AWS::ElasticLoadBalancingV2::LoadBalancer",
        inert: None,
        create: create_load_balancer,
        update: update_load_balancer,
        delete: delete_load_balancer,
        stable: stable_load_balancer,
        attributes: load_balancer_attributes,
    },
    Handler {
        type_name: "AWS::ElasticLoadBalancingV2::TargetGroup",
        inert: None,
        create: create_target_group,
        update: update_target_group,
        delete: delete_target_group,
        stable: always,
        attributes: target_group_attributes,
    },
];

fn tags(resource: &Resource) -> Option<Vec<shapes::Tag>> {
    let tag = |(key, value)| shapes::Tag { key, value: Some(value) };
    Some(resource.all_tags().into_iter().map(tag).collect::<Vec<_>>()).filter(|tags| !tags.is_empty())
}

fn retag(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let (set, gone) = tag_changes(old, new);
    let resource_arns = vec![new.physical_id.clone()];
    if !gone.is_empty() {
        let resource_arns = resource_arns.clone();
        call(cx, shapes::RemoveTagsRequest { resource_arns, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(|(key, value)| shapes::Tag { key, value: Some(value) }).collect();
        call(cx, shapes::AddTagsRequest { resource_arns, tags })?;
    }
    Ok(())
}

/// Keys and values of `LoadBalancerAttributes` and the like.
fn pairs(resource: &Resource, property: &str) -> Vec<(Option<String>, Option<String>)> {
    let items = resource.get(property).and_then(Json::as_array).into_iter().flatten();
    items.map(|item| (item.get("Key").map(scalar), item.get("Value").map(scalar))).collect()
}

// Load balancers

fn create_load_balancer(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = short_name(cx, resource);
    if cx.elb().load_balancers().by(&name).next().is_some() {
        return Err(already_exists("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name", &name));
    }
    let mut request: shapes::CreateLoadBalancerRequest = resource.request(&[])?;
    request.name = name;
    request.tags = tags(resource);
    let made = call(cx, request)?.load_balancers.unwrap_or_default().into_iter().next();
    let arn = made.and_then(|made| made.load_balancer_arn).unwrap_or_default();
    let outcome = modify_load_balancer(cx, resource, &arn);
    or_undo(cx, outcome, |cx| {
        let _gone = call(cx, shapes::DeleteLoadBalancerRequest { load_balancer_arn: arn.clone() });
    })?;
    Ok(arn)
}

fn modify_load_balancer(cx: &mut Engine, resource: &Resource, arn: &str) -> Result<(), Refusal> {
    let pairs = pairs(resource, "LoadBalancerAttributes").into_iter();
    let attributes: Vec<_> = pairs.map(|(key, value)| shapes::LoadBalancerAttribute { key, value }).collect();
    if attributes.is_empty() {
        return Ok(());
    }
    let load_balancer_arn = arn.to_owned();
    call(cx, shapes::ModifyLoadBalancerAttributesRequest { load_balancer_arn, attributes }).map(drop)
}

fn update_load_balancer(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let arn = new.physical_id.clone();
    if any_changed(old, new, &["Subnets", "SubnetMappings", "IpAddressType", "EnablePrefixForIpv6SourceNat"])
    {
        let mut request: shapes::SetSubnetsRequest = new.request(&[])?;
        request.load_balancer_arn.clone_from(&arn);
        request.ip_address_type.get_or_insert(shapes::IpAddressType::Ipv4);
        call(cx, request)?;
    }
    if changed(old, new, "SecurityGroups") && new.get("SecurityGroups").is_some() {
        let mut request: shapes::SetSecurityGroupsRequest = new.request(&[])?;
        request.load_balancer_arn.clone_from(&arn);
        call(cx, request)?;
    }
    if changed(old, new, "LoadBalancerAttributes") {
        modify_load_balancer(cx, new, &arn)?;
    }
    retag(cx, old, new)
}

fn load_balancer<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a crate::elb::LoadBalancer> {
    cx.elb().load_balancers().get(&resource.physical_id.as_str().into())
}

fn stable_load_balancer(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let provisioning = load_balancer(cx, resource).and_then(|row| row.active_at);
    Ok(done_if(provisioning.is_none_or(|active_at| active_at <= cx.now)))
}

fn delete_load_balancer(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let load_balancer_arn = resource.physical_id.clone();
    call(cx, shapes::DeleteLoadBalancerRequest { load_balancer_arn })?;
    Ok(Progress::Done)
}

fn load_balancer_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let request = shapes::DescribeLoadBalancersRequest {
        load_balancer_arns: Some(vec![resource.physical_id.clone()]),
        ..Default::default()
    };
    let told = call(cx, request).ok().and_then(|told| told.load_balancers?.into_iter().next());
    let Some(told) = told else { return Map::new() };
    let arn = resource.physical_id.clone();
    let full_name = arn.split_once(":loadbalancer/").map_or(arn.as_str(), |(_, name)| name).to_owned();
    let mut attributes = attributes([
        ("CanonicalHostedZoneID", told.canonical_hosted_zone_id.unwrap_or_default()),
        ("DNSName", told.dns_name.unwrap_or_default()),
        ("LoadBalancerArn", arn),
        ("LoadBalancerFullName", full_name),
        ("LoadBalancerName", told.load_balancer_name.unwrap_or_default()),
    ]);
    attributes.insert("SecurityGroups".to_owned(), json!(told.security_groups.unwrap_or_default()));
    attributes
}

// Target groups

fn create_target_group(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = short_name(cx, resource);
    if cx.elb().target_groups().by(&name).next().is_some() {
        return Err(already_exists("AWS::ElasticLoadBalancingV2::TargetGroup", "Name", &name));
    }
    let mut request: shapes::CreateTargetGroupRequest = resource.request(&[])?;
    request.name = name;
    request.tags = tags(resource);
    let made = call(cx, request)?.target_groups.unwrap_or_default().into_iter().next();
    let arn = made.and_then(|made| made.target_group_arn).unwrap_or_default();
    let outcome = modify_target_group(cx, resource, &arn).and_then(|()| {
        let targets = targets(resource)?;
        register(cx, &arn, targets)
    });
    or_undo(cx, outcome, |cx| {
        let _gone = call(cx, shapes::DeleteTargetGroupRequest { target_group_arn: arn.clone() });
    })?;
    Ok(arn)
}

fn modify_target_group(cx: &mut Engine, resource: &Resource, arn: &str) -> Result<(), Refusal> {
    let pairs = pairs(resource, "TargetGroupAttributes").into_iter();
    let attributes: Vec<_> = pairs.map(|(key, value)| shapes::TargetGroupAttribute { key, value }).collect();
    if attributes.is_empty() {
        return Ok(());
    }
    let target_group_arn = arn.to_owned();
    call(cx, shapes::ModifyTargetGroupAttributesRequest { target_group_arn, attributes }).map(drop)
}

fn targets(resource: &Resource) -> Result<Vec<shapes::TargetDescription>, Refusal> {
    if resource.get("Targets").is_none() {
        return Ok(Vec::new());
    }
    let request: shapes::RegisterTargetsRequest = resource.request(&[])?;
    Ok(request.targets)
}

fn register(cx: &mut Engine, arn: &str, targets: Vec<shapes::TargetDescription>) -> Result<(), Refusal> {
    if targets.is_empty() {
        return Ok(());
    }
    let target_group_arn = arn.to_owned();
    call(cx, shapes::RegisterTargetsRequest { target_group_arn, targets }).map(drop)
}

/// What a health check property that is gone goes back to (API reference, CreateTargetGroup).
const HEALTH_CHECK: &[(&str, &str)] = &[
    ("HealthCheckEnabled", "true"),
    ("HealthCheckIntervalSeconds", "30"),
    ("HealthCheckPath", "/"),
    ("HealthCheckPort", "traffic-port"),
    ("HealthCheckProtocol", "HTTP"),
    ("HealthCheckTimeoutSeconds", "5"),
    ("HealthyThresholdCount", "5"),
    ("UnhealthyThresholdCount", "2"),
];

fn update_target_group(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let arn = new.physical_id.clone();
    let mut wanted = new.clone();
    for (property, default) in HEALTH_CHECK {
        if old.get(property).is_some() && new.get(property).is_none() {
            wanted.properties.insert((*property).to_owned(), json!(default));
        }
    }
    if HEALTH_CHECK.iter().any(|(property, _)| changed(old, new, property)) || changed(old, new, "Matcher") {
        let mut request: shapes::ModifyTargetGroupRequest = wanted.request(&[])?;
        request.target_group_arn.clone_from(&arn);
        call(cx, request)?;
    }
    if changed(old, new, "TargetGroupAttributes") {
        modify_target_group(cx, new, &arn)?;
    }
    let (before, after) = (targets(old)?, targets(new)?);
    let gone: Vec<_> = before.iter().filter(|target| !after.contains(target)).cloned().collect();
    if !gone.is_empty() {
        let target_group_arn = arn.clone();
        call(cx, shapes::DeregisterTargetsRequest { target_group_arn, targets: gone })?;
    }
    register(cx, &arn, after.into_iter().filter(|target| !before.contains(target)).collect())?;
    retag(cx, old, new)
}

fn delete_target_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let target_group_arn = resource.physical_id.clone();
    until(call(cx, shapes::DeleteTargetGroupRequest { target_group_arn }), &["ResourceInUse"])
}

fn target_group_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let arn = resource.physical_id.clone();
    let request = shapes::DescribeTargetGroupsRequest {
        target_group_arns: Some(vec![arn.clone()]),
        ..Default::default()
    };
    let told = call(cx, request).ok().and_then(|told| told.target_groups?.into_iter().next());
    let Some(told) = told else { return Map::new() };
    let full_name = arn.rsplit_once(':').map_or(arn.as_str(), |(_, name)| name).to_owned();
    let mut attributes = attributes([
        ("TargetGroupArn", arn),
        ("TargetGroupFullName", full_name),
        ("TargetGroupName", told.target_group_name.unwrap_or_default()),
    ]);
    attributes.insert("LoadBalancerArns".to_owned(), json!(told.load_balancer_arns.unwrap_or_default()));
    attributes
}

// Listeners

fn create_listener(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateListenerRequest = resource.request(&[])?;
    request.tags = tags(resource);
    let balancer = request.load_balancer_arn.as_str().into();
    if cx.elb().listeners_of(&balancer).any(|listener| Some(i32::from(listener.port)) == request.port) {
        let message = "A listener already exists on this port for this load balancer";
        return Err(Refusal::of(&shapes::DUPLICATE_LISTENER_EXCEPTION, message));
    }
    let made = call(cx, request)?.listeners.unwrap_or_default().into_iter().next();
    Ok(made.and_then(|made| made.listener_arn).unwrap_or_default())
}

fn update_listener(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let settings = [
        "Port",
        "Protocol",
        "SslPolicy",
        "Certificates",
        "DefaultActions",
        "AlpnPolicy",
        "MutualAuthentication",
    ];
    if any_changed(old, new, &settings) {
        let mut request: shapes::ModifyListenerRequest = new.request(&[])?;
        request.listener_arn.clone_from(&new.physical_id);
        call(cx, request)?;
    }
    retag(cx, old, new)
}

fn delete_listener(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let listener_arn = resource.physical_id.clone();
    until(call(cx, shapes::DeleteListenerRequest { listener_arn }), &["ResourceInUse"])
}

// Rules

fn create_rule(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateRuleRequest = resource.request(&[])?;
    request.tags = tags(resource);
    let made = call(cx, request)?.rules.unwrap_or_default().into_iter().next();
    Ok(made.and_then(|made| made.rule_arn).unwrap_or_default())
}

fn update_rule(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if any_changed(old, new, &["Conditions", "Actions", "Transforms"]) {
        let mut request: shapes::ModifyRuleRequest = new.request(&[])?;
        request.rule_arn.clone_from(&new.physical_id);
        call(cx, request)?;
    }
    if changed(old, new, "Priority") {
        let mut pair: shapes::RulePriorityPair = super::super::resource::shape_of(
            &shapes::RULE_PRIORITY_PAIR,
            &json!({"Priority": new.get("Priority")}),
        )?;
        pair.rule_arn = Some(new.physical_id.clone());
        call(cx, shapes::SetRulePrioritiesRequest { rule_priorities: vec![pair] })?;
    }
    retag(cx, old, new)
}

fn delete_rule(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let rule_arn = resource.physical_id.clone();
    call(cx, shapes::DeleteRuleRequest { rule_arn })?;
    Ok(Progress::Done)
}
