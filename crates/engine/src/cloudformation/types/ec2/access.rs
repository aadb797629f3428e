//! Security groups with their rules, and network ACLs with their entries.

use capstan_shapes::Refusal;
use capstan_shapes::ec2 as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, never, scalar};
use super::super::common::{attributes, or_undo};
use super::{NO_PACKETS, flag, id_as, specification, update_tags};
use crate::Engine;
use crate::kernel::recast;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::EC2::NetworkAcl",
        inert: NO_PACKETS,
        create: create_acl,
        update: update_tags,
        delete: delete_acl,
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
    Handler {
        type_name: "AWS::EC2::NetworkAclEntry",
        inert: NO_PACKETS,
        create: |cx, resource| {
            let request = entry(resource)?;
            call(cx, request.clone())?;
            let direction = if request.egress { "egress" } else { "ingress" };
            Ok(format!("{}|{}|{direction}", request.network_acl_id, request.rule_number))
        },
        update: |cx, _, new| {
            let from = &shapes::CREATE_NETWORK_ACL_ENTRY_REQUEST;
            let to = &shapes::REPLACE_NETWORK_ACL_ENTRY_REQUEST;
            let request: shapes::ReplaceNetworkAclEntryRequest = recast(entry(new)?, from, to);
            call(cx, request).map(drop)
        },
        delete: |cx, resource| {
            let request = entry(resource)?;
            let request = shapes::DeleteNetworkAclEntryRequest {
                network_acl_id: request.network_acl_id,
                rule_number: request.rule_number,
                egress: request.egress,
                dry_run: None,
            };
            call(cx, request).map(|_| Progress::Done)
        },
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
    Handler {
        type_name: "AWS::EC2::SecurityGroup",
        inert: NO_PACKETS,
        create: create_group,
        update: update_group,
        delete: delete_group,
        stable: always,
        attributes: group_attributes,
    },
    Handler {
        type_name: "AWS::EC2::SecurityGroupEgress",
        inert: NO_PACKETS,
        create: |cx, resource| create_rule(cx, resource, true),
        update: |cx, _, new| update_rule(cx, new, true),
        delete: |cx, resource| delete_rule(cx, resource, true),
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
    Handler {
        type_name: "AWS::EC2::SecurityGroupIngress",
        inert: NO_PACKETS,
        create: |cx, resource| create_rule(cx, resource, false),
        update: |cx, _, new| update_rule(cx, new, false),
        delete: |cx, resource| delete_rule(cx, resource, false),
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
    Handler {
        type_name: "AWS::EC2::SubnetNetworkAclAssociation",
        inert: NO_PACKETS,
        create: associate_acl,
        update: never,
        delete: disassociate_acl,
        stable: always,
        attributes: |_, resource| id_as(resource, "AssociationId"),
    },
];

// Security groups

/// A rule of the template as EC2's calls take it.
fn permission(rule: &Json) -> Result<shapes::IpPermission, Refusal> {
    let text = |name: &str| rule.get(name).filter(|value| !value.is_null()).map(scalar);
    let number = |name: &str| text(name).and_then(|text| text.parse().ok());
    let description = text("Description");
    let mut permission = shapes::IpPermission {
        ip_protocol: text("IpProtocol"),
        from_port: number("FromPort"),
        to_port: number("ToPort"),
        ..Default::default()
    };
    let described = || description.clone();
    if let Some(cidr) = text("CidrIp") {
        let range = shapes::IpRange { cidr_ip: Some(cidr), description: described() };
        permission.ip_ranges = Some(vec![range]);
    }
    if let Some(cidr) = text("CidrIpv6") {
        let range = shapes::Ipv6Range { cidr_ipv6: Some(cidr), description: described() };
        permission.ipv6_ranges = Some(vec![range]);
    }
    if let Some(id) = text("SourcePrefixListId").or_else(|| text("DestinationPrefixListId")) {
        let list = shapes::PrefixListId { prefix_list_id: Some(id), description: described() };
        permission.prefix_list_ids = Some(vec![list]);
    }
    let group = text("SourceSecurityGroupId").or_else(|| text("DestinationSecurityGroupId"));
    let name = text("SourceSecurityGroupName");
    if group.is_some() || name.is_some() {
        permission.user_id_group_pairs = Some(vec![shapes::UserIdGroupPair {
            group_id: group,
            group_name: name,
            description,
            ..Default::default()
        }]);
    }
    Ok(permission)
}

fn permissions(rules: &[Json]) -> Result<Vec<shapes::IpPermission>, Refusal> {
    rules.iter().map(permission).collect()
}

fn authorize(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    permissions: Vec<shapes::IpPermission>,
) -> Result<Vec<shapes::SecurityGroupRule>, Refusal> {
    if permissions.is_empty() {
        return Ok(Vec::new());
    }
    let ip_permissions = Some(permissions);
    let made = if egress {
        let request = shapes::AuthorizeSecurityGroupEgressRequest {
            group_id: group.to_owned(),
            ip_permissions,
            ..Default::default()
        };
        call(cx, request)?.security_group_rules
    } else {
        let request = shapes::AuthorizeSecurityGroupIngressRequest {
            group_id: Some(group.to_owned()),
            ip_permissions,
            ..Default::default()
        };
        call(cx, request)?.security_group_rules
    };
    Ok(made.unwrap_or_default())
}

fn revoke(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    permissions: Vec<shapes::IpPermission>,
) -> Result<(), Refusal> {
    if permissions.is_empty() {
        return Ok(());
    }
    let ip_permissions = Some(permissions);
    if egress {
        let request = shapes::RevokeSecurityGroupEgressRequest {
            group_id: group.to_owned(),
            ip_permissions,
            ..Default::default()
        };
        call(cx, request).map(drop)
    } else {
        let request = shapes::RevokeSecurityGroupIngressRequest {
            group_id: Some(group.to_owned()),
            ip_permissions,
            ..Default::default()
        };
        call(cx, request).map(drop)
    }
}

/// The rules that the template wants in one direction. Without any going out, what every new group has stands
/// (CloudFormation guide, AWS::EC2::SecurityGroup).
fn wanted(resource: &Resource, egress: bool) -> Vec<Json> {
    let property = if egress { "SecurityGroupEgress" } else { "SecurityGroupIngress" };
    let rules = resource.get(property).and_then(Json::as_array).cloned().unwrap_or_default();
    if egress && rules.is_empty() {
        return vec![json!({ "IpProtocol": "-1", "CidrIp": "0.0.0.0/0" })];
    }
    rules
}

fn create_group(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request = shapes::CreateSecurityGroupRequest {
        description: resource.text("GroupDescription").unwrap_or_default().to_owned(),
        group_name: resource.name(cx, "GroupName", 255),
        vpc_id: resource.text("VpcId").map(str::to_owned),
        tag_specifications: specification("security-group", resource),
        dry_run: None,
    };
    let id = call(cx, request)?.group_id.unwrap_or_default();
    let mut bare = resource.clone();
    bare.properties.retain(|name, _| !name.starts_with("SecurityGroup"));
    let outcome = move_rules(cx, &bare, resource, &id);
    or_undo(cx, outcome, |cx| {
        let _gone = call(
            cx,
            shapes::DeleteSecurityGroupRequest {
                group_id: Some(id.clone()),
                group_name: None,
                dry_run: None,
            },
        );
    })?;
    Ok(id)
}

/// Takes away what the old properties say alone and adds what the new ones do.
fn move_rules(cx: &mut Engine, old: &Resource, new: &Resource, group: &str) -> Result<(), Refusal> {
    for egress in [false, true] {
        let (old, new) = (wanted(old, egress), wanted(new, egress));
        let gone: Vec<Json> = old.iter().filter(|rule| !new.contains(rule)).cloned().collect();
        let come: Vec<Json> = new.iter().filter(|rule| !old.contains(rule)).cloned().collect();
        for rule in permissions(&gone)? {
            match revoke(cx, group, egress, vec![rule]) {
                // Somebody else has taken it away.
                Err(refusal) if refusal.code != "InvalidPermission.NotFound" => return Err(refusal),
                _ => {}
            }
        }
        authorize(cx, group, egress, permissions(&come)?)?;
    }
    Ok(())
}

fn update_group(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    move_rules(cx, old, new, &new.physical_id)?;
    update_tags(cx, old, new)
}

fn delete_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let group_id = Some(resource.physical_id.clone());
    call(cx, shapes::DeleteSecurityGroupRequest { group_id, group_name: None, dry_run: None })?;
    Ok(Progress::Done)
}

fn group_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let row = cx.ec2().security_groups().get(&resource.physical_id);
    let vpc = row.map(|row| row.vpc.clone()).unwrap_or_default();
    let id = resource.physical_id.clone();
    attributes([("GroupId", id.clone()), ("Id", id), ("VpcId", vpc)])
}

fn create_rule(cx: &mut Engine, resource: &Resource, egress: bool) -> Result<String, Refusal> {
    let group = match (resource.text("GroupId"), resource.text("GroupName")) {
        (Some(id), _) => id.to_owned(),
        (None, Some(name)) => named(cx, name)?,
        (None, None) => {
            return Err(Refusal::new("InvalidRequest", "You must specify either GroupName or GroupId."));
        }
    };
    let rule = permission(&Json::Object(resource.properties.clone()))?;
    let made = authorize(cx, &group, egress, vec![rule])?;
    Ok(made.into_iter().next().and_then(|rule| rule.security_group_rule_id).unwrap_or_default())
}

/// The id of the group of that name in the default VPC.
fn named(cx: &mut Engine, name: &str) -> Result<String, Refusal> {
    let request = shapes::DescribeSecurityGroupsRequest {
        group_names: Some(vec![name.to_owned()]),
        ..Default::default()
    };
    let found = call(cx, request)?.security_groups.unwrap_or_default().into_iter().next();
    Ok(found.and_then(|group| group.group_id).unwrap_or_default())
}

/// Of a rule only the description can change.
fn update_rule(cx: &mut Engine, new: &Resource, egress: bool) -> Result<(), Refusal> {
    let Some(row) = cx.ec2().network().rules().get(&new.physical_id) else { return Ok(()) };
    let description = shapes::SecurityGroupRuleDescription {
        security_group_rule_id: Some(row.id.clone()),
        description: new.text("Description").map(str::to_owned),
    };
    let group_id = Some(row.group.clone());
    let security_group_rule_descriptions = Some(vec![description]);
    if egress {
        let request = shapes::UpdateSecurityGroupRuleDescriptionsEgressRequest {
            group_id,
            security_group_rule_descriptions,
            ..Default::default()
        };
        call(cx, request).map(drop)
    } else {
        let request = shapes::UpdateSecurityGroupRuleDescriptionsIngressRequest {
            group_id,
            security_group_rule_descriptions,
            ..Default::default()
        };
        call(cx, request).map(drop)
    }
}

fn delete_rule(cx: &mut Engine, resource: &Resource, egress: bool) -> Result<Progress, Refusal> {
    let Some(row) = cx.ec2().network().rules().get(&resource.physical_id) else { return Ok(Progress::Done) };
    let (group, ids) = (row.group.clone(), Some(vec![row.id.clone()]));
    if egress {
        let request = shapes::RevokeSecurityGroupEgressRequest {
            group_id: group,
            security_group_rule_ids: ids,
            ..Default::default()
        };
        call(cx, request)?;
    } else {
        let request = shapes::RevokeSecurityGroupIngressRequest {
            group_id: Some(group),
            security_group_rule_ids: ids,
            ..Default::default()
        };
        call(cx, request)?;
    }
    Ok(Progress::Done)
}

// Network ACLs

fn create_acl(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateNetworkAclRequest = resource.request(&[])?;
    request.tag_specifications = specification("network-acl", resource);
    request.client_token = Some(resource.request_token.clone());
    Ok(call(cx, request)?.network_acl.and_then(|acl| acl.network_acl_id).unwrap_or_default())
}

fn delete_acl(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let network_acl_id = resource.physical_id.clone();
    call(cx, shapes::DeleteNetworkAclRequest { network_acl_id, dry_run: None })?;
    Ok(Progress::Done)
}

fn entry(resource: &Resource) -> Result<shapes::CreateNetworkAclEntryRequest, Refusal> {
    let mut request: shapes::CreateNetworkAclEntryRequest = resource.request(&[("Icmp", "IcmpTypeCode")])?;
    request.egress = flag(resource, "Egress").unwrap_or(false);
    Ok(request)
}

fn associate_acl(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let subnet = resource.text("SubnetId").unwrap_or_default();
    let acl = resource.text("NetworkAclId").unwrap_or_default();
    replace_acl(cx, subnet, acl)
}

/// Puts a subnet under another ACL; the new association.
fn replace_acl(cx: &mut Engine, subnet: &str, acl: &str) -> Result<String, Refusal> {
    let Some(row) = cx.ec2().subnets().get(&subnet.to_owned()) else {
        return Err(Refusal::new(
            "InvalidSubnetID.NotFound",
            format!("The subnet ID '{subnet}' does not exist"),
        ));
    };
    let request = shapes::ReplaceNetworkAclAssociationRequest {
        association_id: row.network_acl_association.clone(),
        network_acl_id: acl.to_owned(),
        dry_run: None,
    };
    Ok(call(cx, request)?.new_association_id.unwrap_or_default())
}

/// The subnet falls back to the default ACL, unless it has another one by now.
fn disassociate_acl(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let network = cx.ec2().network();
    let Some(subnet) =
        network.subnets().iter().find(|row| row.network_acl_association == resource.physical_id)
    else {
        return Ok(Progress::Done);
    };
    let default = network.acls().iter().find(|acl| acl.vpc == subnet.vpc && acl.is_default);
    let (subnet, acl) = (subnet.id.clone(), default.map(|acl| acl.id.clone()).unwrap_or_default());
    replace_acl(cx, &subnet, &acl)?;
    Ok(Progress::Done)
}
