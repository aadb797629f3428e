//! Security groups; their rules are in `rule`.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, CreateSecurityGroupRequest, CreateSecurityGroupResponse, DeleteSecurityGroupRequest,
    DeleteSecurityGroupResponse, DescribeSecurityGroupsRequest, DescribeSecurityGroupsResponse,
    InstanceStateName,
};

use super::{InterfaceIndex, RuleIndex, SecurityGroup, SecurityGroupRule, ask, rule, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, invalid, missing, tag};
use crate::{Caller, Engine};

/// Puts a group without rules in; the id.
pub(super) fn insert(cx: &mut Engine, vpc: &str, name: &str, description: &str, tags: Tags) -> String {
    let id = draw_id(cx, "sg", "ec2.security-group-id");
    let group = SecurityGroup {
        id: id.clone(),
        name: name.to_owned(),
        description: description.to_owned(),
        vpc: vpc.to_owned(),
        tags,
    };
    cx.ec2.network.security_groups.insert(group);
    id
}

/// Takes a group away with its rules.
pub(super) fn remove(cx: &mut Engine, id: &str) {
    let network = &mut cx.ec2.network;
    for rule in network.rules.keys_by(&RuleIndex::Group(id.to_owned())) {
        network.rules.remove(&rule);
    }
    network.security_groups.remove(&id.to_owned());
}

/// The security group of that name in the default VPC.
pub(in crate::ec2) fn named<'a>(cx: &'a Engine, name: &str) -> Result<&'a SecurityGroup, Refusal> {
    let vpc = cx.ec2.default_vpc().map_or("", |vpc| vpc.id.as_str());
    in_vpc(cx, vpc, name).ok_or_else(|| {
        Refusal::new(
            "InvalidGroup.NotFound",
            format!("The security group '{name}' does not exist in default VPC '{vpc}'"),
        )
    })
}

/// The security group of that name in a VPC.
pub(in crate::ec2) fn in_vpc<'a>(cx: &'a Engine, vpc: &str, name: &str) -> Option<&'a SecurityGroup> {
    cx.ec2.network.security_groups.iter().find(|group| group.vpc == vpc && group.name == name)
}

/// The group that a request names by its id, or by its name in the default VPC.
pub(super) fn given<'a>(
    cx: &'a Engine,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<&'a SecurityGroup, Refusal> {
    match (id, name) {
        (Some(id), _) => cx.ec2.network.security_group(id),
        (None, Some(name)) => named(cx, name),
        (None, None) => Err(missing("groupName or groupId")),
    }
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateSecurityGroupRequest,
) -> Result<CreateSecurityGroupResponse, Refusal> {
    let name = request.group_name;
    text("GroupName", &name)?;
    text("GroupDescription", &request.description)?;
    if name.starts_with("sg-") {
        return Err(invalid(format!(
            "Invalid value '{name}' for groupName. Group names may not be in the format sg-*."
        )));
    }
    let vpc = match &request.vpc_id {
        Some(id) => cx.ec2.network.vpc(id)?.id.clone(),
        None => cx.ec2.default_vpc().map(|vpc| vpc.id.clone()).ok_or_else(no_default_vpc)?,
    };
    if name == "default" {
        return Err(invalid("Cannot use reserved security group name: default"));
    }
    if in_vpc(cx, &vpc, &name).is_some() {
        return Err(Refusal::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc}'"),
        ));
    }
    let tags = tags_of::<SecurityGroup>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let told = tag::listed(&tags);
    let id = insert(cx, &vpc, &name, &request.description, tags);
    rule::insert_way_out(cx, &id);
    Ok(CreateSecurityGroupResponse { security_group_arn: Some(arn(cx, &id)), group_id: Some(id), tags: told })
}

/// Names and descriptions of groups (API reference, CreateSecurityGroup).
fn text(parameter: &str, value: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if value.is_empty() {
        return Err(missing(parameter));
    }
    if !value.is_ascii() {
        return Err(invalid(format!(
            "Value ({value}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported."
        )));
    }
    if value.len() > 255 || !value.chars().all(allowed) {
        return Err(invalid(format!(
            "Value ({value}) for parameter {parameter} is invalid. Up to 255 characters of a-z, A-Z, 0-9, spaces and \
             ._-:/()#,@[]+=&;{{}}!$* are possible."
        )));
    }
    Ok(())
}

pub(in crate::ec2) fn no_default_vpc() -> Refusal {
    Refusal::new("VPCIdNotSpecified", "No default VPC for this user")
}

fn arn(cx: &Engine, id: &str) -> String {
    cx.arn("ec2", format_args!("security-group/{id}"))
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteSecurityGroupRequest,
) -> Result<DeleteSecurityGroupResponse, Refusal> {
    let group = given(cx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let id = group.id.clone();
    if group.name == "default" {
        return Err(Refusal::new(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        ));
    }
    if is_used(cx, &id) {
        return Err(Refusal::new("DependencyViolation", format!("resource {id} has a dependent object")));
    }
    dry_run(request.dry_run)?;
    remove(cx, &id);
    Ok(DeleteSecurityGroupResponse { r#return: Some(true), group_id: Some(id) })
}

/// Whether an interface is in the group, or a rule of another group names it.
fn is_used(cx: &Engine, id: &String) -> bool {
    let network = &cx.ec2.network;
    let mut rules = network.rules.by(&RuleIndex::Peer(id.clone()));
    network.interfaces.count_by(&InterfaceIndex::Group(id.clone())) > 0
        || rules.any(|rule| rule.group != *id)
        || cx.ec2.instances.iter().any(|instance| {
            instance.state != InstanceStateName::Terminated && instance.security_groups.contains(id)
        })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSecurityGroupsRequest,
) -> Result<DescribeSecurityGroupsResponse, Refusal> {
    let names = request.group_names.clone().unwrap_or_default();
    for name in &names {
        named(cx, name)?;
    }
    let default = cx.ec2.default_vpc().map(|vpc| vpc.id.as_str());
    let asked = ask!(request, group_ids, filters);
    let mut page = select(&cx.ec2.network.security_groups, &asked, FILTERS, |group, name, put| {
        fields(cx, group, name, put);
    })?;
    if !names.is_empty() {
        page.items.retain(|group| Some(group.vpc.as_str()) == default && names.contains(&group.name));
    }
    Ok(DescribeSecurityGroupsResponse {
        security_groups: Some(page.items.into_iter().map(|group| described(cx, group)).collect()),
        next_token: page.next,
    })
}

fn fields(cx: &Engine, group: &SecurityGroup, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "description" => put(&group.description),
        "group-id" => put(&group.id),
        "group-name" => put(&group.name),
        "owner-id" => put(&cx.config.account),
        "vpc-id" => put(&group.vpc),
        _ => {
            let egress = name.starts_with("egress.");
            let member = name.trim_start_matches("egress.").trim_start_matches("ip-permission.");
            let rules = cx.ec2.network.rules.by(&RuleIndex::Group(group.id.clone()));
            for row in rules.filter(|row| row.egress == egress) {
                rule::member(cx, row, member, put);
            }
        }
    }
}

fn described(cx: &Engine, group: &SecurityGroup) -> ec2::SecurityGroup {
    let rules: Vec<&SecurityGroupRule> =
        cx.ec2.network.rules.by(&RuleIndex::Group(group.id.clone())).collect();
    ec2::SecurityGroup {
        group_id: Some(group.id.clone()),
        ip_permissions_egress: Some(rule::permissions(cx, &rules, true)),
        tags: tag::listed(&group.tags),
        vpc_id: Some(group.vpc.clone()),
        security_group_arn: Some(arn(cx, &group.id)),
        owner_id: Some(cx.config.account.clone()),
        group_name: Some(group.name.clone()),
        description: Some(group.description.clone()),
        ip_permissions: Some(rule::permissions(cx, &rules, false)),
    }
}

const FILTERS: &[&str] = &[
    "description",
    "egress.ip-permission.cidr",
    "egress.ip-permission.from-port",
    "egress.ip-permission.group-id",
    "egress.ip-permission.group-name",
    "egress.ip-permission.ipv6-cidr",
    "egress.ip-permission.prefix-list-id",
    "egress.ip-permission.protocol",
    "egress.ip-permission.to-port",
    "egress.ip-permission.user-id",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.group-name",
    "ip-permission.ipv6-cidr",
    "ip-permission.prefix-list-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "ip-permission.user-id",
    "owner-id",
    "vpc-id",
    TAGS,
];
