//! Rules of security groups. They are kept and told; nothing here holds packets against them.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupEgressResponse,
    AuthorizeSecurityGroupIngressRequest, AuthorizeSecurityGroupIngressResponse,
    DescribeSecurityGroupRulesRequest, DescribeSecurityGroupRulesResponse, IpPermission, IpRange, Ipv6Range,
    ModifySecurityGroupRulesRequest, ModifySecurityGroupRulesResponse, PrefixListId, ReferencedSecurityGroup,
    RevokeSecurityGroupEgressRequest, RevokeSecurityGroupEgressResponse, RevokeSecurityGroupIngressRequest,
    RevokeSecurityGroupIngressResponse, RevokedSecurityGroupRule, SecurityGroupRuleDescription,
    UpdateSecurityGroupRuleDescriptionsEgressRequest, UpdateSecurityGroupRuleDescriptionsEgressResponse,
    UpdateSecurityGroupRuleDescriptionsIngressRequest, UpdateSecurityGroupRuleDescriptionsIngressResponse,
    UserIdGroupPair,
};

use super::resource::find;
use super::{Peer, RuleIndex, SecurityGroup, SecurityGroupRule, ask, cidr, security_group, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, invalid, missing, tag};
use crate::{Caller, Engine};

/// Rules in one direction of a group, counted by peer (VPC guide, amazon-vpc-limits: the default quota).
const RULES_MAX: usize = 60;

/// What a rule says, without who it belongs to: what tells two rules apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Terms {
    protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    peer: Peer,
}

impl Terms {
    fn of(rule: &SecurityGroupRule) -> Self {
        Self {
            protocol: rule.protocol.clone(),
            from_port: rule.from_port,
            to_port: rule.to_port,
            peer: rule.peer.clone(),
        }
    }
}

/// All traffic out, which every new group allows.
pub(super) fn insert_way_out(cx: &mut Engine, group: &str) {
    insert(cx, group, true, all(Peer::Ipv4("0.0.0.0/0".into())), None, Tags::new());
}

/// The rules of a VPC's default group.
pub(super) fn insert_default(cx: &mut Engine, group: &str) {
    insert(cx, group, false, all(Peer::Group(group.to_owned())), None, Tags::new());
    insert_way_out(cx, group);
}

fn all(peer: Peer) -> Terms {
    Terms { protocol: "-1".into(), from_port: None, to_port: None, peer }
}

fn insert(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    terms: Terms,
    description: Option<String>,
    tags: Tags,
) -> String {
    let id = draw_id(cx, "sgr", "ec2.security-group-rule-id");
    cx.ec2.network.rules.insert(SecurityGroupRule {
        id: id.clone(),
        group: group.to_owned(),
        egress,
        protocol: terms.protocol,
        from_port: terms.from_port,
        to_port: terms.to_port,
        peer: terms.peer,
        description,
        tags,
    });
    id
}

fn rules_of<'a>(cx: &'a Engine, group: &str, egress: bool) -> impl Iterator<Item = &'a SecurityGroupRule> {
    let rules = cx.ec2.network.rules.by(&RuleIndex::Group(group.to_owned()));
    rules.filter(move |rule| rule.egress == egress)
}

/// The rules that permissions stand for: one for each peer.
fn read(
    cx: &Engine,
    group: &SecurityGroup,
    permissions: Vec<IpPermission>,
) -> Result<Vec<(Terms, Option<String>)>, Refusal> {
    let mut found = Vec::new();
    for permission in permissions {
        let protocol = permission.ip_protocol.as_deref().ok_or_else(|| missing("ipProtocol"))?;
        let (protocol, from_port, to_port) = ports(protocol, permission.from_port, permission.to_port)?;
        let mut peers: Vec<(Peer, Option<String>)> = Vec::new();
        for range in permission.ip_ranges.into_iter().flatten() {
            let text = range.cidr_ip.ok_or_else(|| missing("cidrIp"))?;
            peers.push((Peer::Ipv4(cidr::exact(&text)?), range.description));
        }
        for range in permission.ipv6_ranges.into_iter().flatten() {
            let text = range.cidr_ipv6.ok_or_else(|| missing("cidrIpv6"))?;
            peers.push((Peer::Ipv6(cidr::exact_v6(&text)?), range.description));
        }
        for list in permission.prefix_list_ids.into_iter().flatten() {
            let id = list.prefix_list_id.ok_or_else(|| missing("prefixListId"))?;
            peers.push((Peer::PrefixList(id), list.description));
        }
        for pair in permission.user_id_group_pairs.into_iter().flatten() {
            let peer = peer_group(cx, group, pair.group_id.as_deref(), pair.group_name.as_deref())?;
            peers.push((peer, pair.description));
        }
        if peers.is_empty() {
            return Err(missing("ipRanges, ipv6Ranges, prefixListIds or groups"));
        }
        for (peer, description) in peers {
            found.push((Terms { protocol: protocol.clone(), from_port, to_port, peer }, description));
        }
    }
    Ok(found)
}

/// A group as a peer: it must be in the same VPC.
fn peer_group(
    cx: &Engine,
    group: &SecurityGroup,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<Peer, Refusal> {
    let peer = match (id, name) {
        (Some(id), _) => cx.ec2.network.security_group(id)?,
        (None, Some(name)) => security_group::in_vpc(cx, &group.vpc, name).ok_or_else(|| {
            Refusal::new("InvalidGroup.NotFound", format!("The security group '{name}' does not exist"))
        })?,
        (None, None) => return Err(missing("groupId")),
    };
    if peer.vpc != group.vpc {
        return Err(Refusal::new(
            "InvalidGroup.NotFound",
            "You have specified two resources that belong to different networks.",
        ));
    }
    Ok(Peer::Group(peer.id.clone()))
}

/// Protocol and ports as EC2 keeps them: well-known protocols by name, no ports with those that have none.
fn ports(
    protocol: &str,
    from: Option<i32>,
    to: Option<i32>,
) -> Result<(String, Option<i32>, Option<i32>), Refusal> {
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "all" | "-1" => return Ok(("-1".into(), None, None)),
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        number => match number.parse::<u8>() {
            Ok(number) => return Ok((number.to_string(), None, None)),
            Err(_) => {
                return Err(invalid(format!(
                    "Invalid value '{protocol}' for IP protocol. Unknown protocol."
                )));
            }
        },
    };
    if protocol.starts_with("icmp") {
        let code = |value: Option<i32>| value.unwrap_or(-1);
        let (kind, code) = (code(from), code(to));
        if !(-1..=255).contains(&kind) || !(-1..=255).contains(&code) {
            return Err(invalid(format!("ICMP code ({code}) out of range")));
        }
        return Ok((protocol.into(), Some(kind), Some(code)));
    }
    let (Some(from), Some(to)) = (from, to) else {
        return Err(invalid(
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
        ));
    };
    if (from, to) == (-1, -1) {
        return Ok((protocol.into(), Some(0), Some(65_535)));
    }
    if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) || from > to {
        return Err(invalid(format!("Invalid {} port range ({from}:{to})", protocol.to_uppercase())));
    }
    Ok((protocol.into(), Some(from), Some(to)))
}

/// Permissions as a list, also from the older members that say a single one.
fn given(
    permissions: Option<Vec<IpPermission>>,
    protocol: Option<String>,
    ports: (Option<i32>, Option<i32>),
    cidr: Option<String>,
    group_name: Option<String>,
) -> Vec<IpPermission> {
    let mut permissions = permissions.unwrap_or_default();
    if protocol.is_some() || cidr.is_some() || group_name.is_some() {
        permissions.push(IpPermission {
            // A group alone lets all of its traffic in.
            ip_protocol: protocol.or_else(|| group_name.is_some().then(|| "-1".into())),
            from_port: ports.0,
            to_port: ports.1,
            ip_ranges: cidr.map(|cidr_ip| vec![IpRange { cidr_ip: Some(cidr_ip), description: None }]),
            user_id_group_pairs: group_name
                .map(|name| vec![UserIdGroupPair { group_name: Some(name), ..UserIdGroupPair::default() }]),
            ..IpPermission::default()
        });
    }
    permissions
}

/// Puts rules in a group; what they became.
fn authorize(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    permissions: Vec<IpPermission>,
    tags: &Tags,
    asked_only: Option<bool>,
) -> Result<Vec<ec2::SecurityGroupRule>, Refusal> {
    if permissions.is_empty() {
        return Err(missing("ipPermissions"));
    }
    let group = cx.ec2.network.security_group(group)?;
    let rules = read(cx, group, permissions)?;
    let known: Vec<Terms> = rules_of(cx, &group.id, egress).map(Terms::of).collect();
    for (at, (terms, _)) in rules.iter().enumerate() {
        if rules[..at].iter().any(|(other, _)| other == terms) {
            return Err(invalid("The same permission must not appear multiple times"));
        }
        if known.contains(terms) {
            return Err(Refusal::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule \"{}\" already exists", spoken(terms)),
            ));
        }
    }
    if known.len() + rules.len() > RULES_MAX {
        return Err(Refusal::new(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    let id = group.id.clone();
    dry_run(asked_only)?;
    let mut told = Vec::new();
    for (terms, description) in rules {
        let rule = insert(cx, &id, egress, terms, description, tags.clone());
        told.push(described(cx, find(&cx.ec2.network.rules, &rule)?));
    }
    Ok(told)
}

/// `peer: 10.0.0.0/16, TCP, from port: 80, to port: 80, ALLOW`, as EC2's messages tell a rule.
fn spoken(terms: &Terms) -> String {
    let peer = match &terms.peer {
        Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::PrefixList(text) | Peer::Group(text) => text,
    };
    let protocol = if terms.protocol == "-1" { "ALL".into() } else { terms.protocol.to_uppercase() };
    let ports = match (terms.from_port, terms.to_port) {
        (Some(from), Some(to)) => format!(", from port: {from}, to port: {to}"),
        _ => String::new(),
    };
    format!("peer: {peer}, {protocol}{ports}, ALLOW")
}

pub(in crate::ec2) fn authorize_ingress(
    cx: &mut Engine,
    caller: &Caller,
    request: AuthorizeSecurityGroupIngressRequest,
) -> Result<AuthorizeSecurityGroupIngressResponse, Refusal> {
    let group = security_group::given(cx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let group = group.id.clone();
    let tags = tags_of::<SecurityGroupRule>(caller, request.tag_specifications)?;
    let permissions = given(
        request.ip_permissions,
        request.ip_protocol,
        (request.from_port, request.to_port),
        request.cidr_ip,
        request.source_security_group_name,
    );
    let rules = authorize(cx, &group, false, permissions, &tags, request.dry_run)?;
    Ok(AuthorizeSecurityGroupIngressResponse { r#return: Some(true), security_group_rules: Some(rules) })
}

pub(in crate::ec2) fn authorize_egress(
    cx: &mut Engine,
    caller: &Caller,
    request: AuthorizeSecurityGroupEgressRequest,
) -> Result<AuthorizeSecurityGroupEgressResponse, Refusal> {
    let tags = tags_of::<SecurityGroupRule>(caller, request.tag_specifications)?;
    let permissions = given(
        request.ip_permissions,
        request.ip_protocol,
        (request.from_port, request.to_port),
        request.cidr_ip,
        request.source_security_group_name,
    );
    let rules = authorize(cx, &request.group_id, true, permissions, &tags, request.dry_run)?;
    Ok(AuthorizeSecurityGroupEgressResponse { r#return: Some(true), security_group_rules: Some(rules) })
}

/// The rules of a group that ids or permissions name; ids.
fn named(
    cx: &Engine,
    group: &SecurityGroup,
    egress: bool,
    ids: &[String],
    permissions: Vec<IpPermission>,
) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    for id in ids {
        let rule = find(&cx.ec2.network.rules, id)?;
        if rule.group != group.id || rule.egress != egress {
            return Err(Refusal::new(
                "InvalidSecurityGroupRuleId.NotFound",
                format!(
                    "The security group rule ID '{id}' does not exist in the security group '{}'",
                    group.id
                ),
            ));
        }
        found.push(id.clone());
    }
    for (terms, _) in read(cx, group, permissions)? {
        let rule = rules_of(cx, &group.id, egress).find(|rule| Terms::of(rule) == terms);
        let rule = rule.ok_or_else(|| {
            Refusal::new(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            )
        })?;
        found.push(rule.id.clone());
    }
    if found.is_empty() {
        return Err(missing("ipPermissions or securityGroupRuleIds"));
    }
    Ok(found)
}

/// Takes rules away; what they were.
fn revoke(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    ids: Option<Vec<String>>,
    permissions: Vec<IpPermission>,
    asked_only: Option<bool>,
) -> Result<Vec<RevokedSecurityGroupRule>, Refusal> {
    let group = cx.ec2.network.security_group(group)?;
    let rules = named(cx, group, egress, &ids.unwrap_or_default(), permissions)?;
    dry_run(asked_only)?;
    let mut told = Vec::new();
    for id in rules {
        let Some(rule) = cx.ec2.network.rules.remove(&id) else { continue };
        let rule = described(cx, &rule);
        told.push(RevokedSecurityGroupRule {
            security_group_rule_id: rule.security_group_rule_id,
            group_id: rule.group_id,
            is_egress: rule.is_egress,
            ip_protocol: rule.ip_protocol,
            from_port: rule.from_port,
            to_port: rule.to_port,
            cidr_ipv4: rule.cidr_ipv4,
            cidr_ipv6: rule.cidr_ipv6,
            prefix_list_id: rule.prefix_list_id,
            referenced_group_id: rule.referenced_group_info.and_then(|info| info.group_id),
            description: rule.description,
        });
    }
    Ok(told)
}

pub(in crate::ec2) fn revoke_ingress(
    cx: &mut Engine,
    _caller: &Caller,
    request: RevokeSecurityGroupIngressRequest,
) -> Result<RevokeSecurityGroupIngressResponse, Refusal> {
    let group = security_group::given(cx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let group = group.id.clone();
    let permissions = given(
        request.ip_permissions,
        request.ip_protocol,
        (request.from_port, request.to_port),
        request.cidr_ip,
        request.source_security_group_name,
    );
    let rules = revoke(cx, &group, false, request.security_group_rule_ids, permissions, request.dry_run)?;
    Ok(RevokeSecurityGroupIngressResponse {
        r#return: Some(true),
        unknown_ip_permissions: None,
        revoked_security_group_rules: Some(rules),
    })
}

pub(in crate::ec2) fn revoke_egress(
    cx: &mut Engine,
    _caller: &Caller,
    request: RevokeSecurityGroupEgressRequest,
) -> Result<RevokeSecurityGroupEgressResponse, Refusal> {
    let permissions = given(
        request.ip_permissions,
        request.ip_protocol,
        (request.from_port, request.to_port),
        request.cidr_ip,
        request.source_security_group_name,
    );
    let rules =
        revoke(cx, &request.group_id, true, request.security_group_rule_ids, permissions, request.dry_run)?;
    Ok(RevokeSecurityGroupEgressResponse {
        r#return: Some(true),
        unknown_ip_permissions: None,
        revoked_security_group_rules: Some(rules),
    })
}

/// Gives rules other descriptions; one that is not said is taken away.
fn describe_anew(
    cx: &mut Engine,
    group: &str,
    egress: bool,
    permissions: Option<Vec<IpPermission>>,
    descriptions: Option<Vec<SecurityGroupRuleDescription>>,
) -> Result<(), Refusal> {
    let group = cx.ec2.network.security_group(group)?;
    let mut new: Vec<(String, Option<String>)> = Vec::new();
    for given in descriptions.into_iter().flatten() {
        let id = given.security_group_rule_id.ok_or_else(|| missing("securityGroupRuleId"))?;
        named(cx, group, egress, std::slice::from_ref(&id), Vec::new())?;
        new.push((id, given.description));
    }
    let permissions = permissions.unwrap_or_default();
    if !permissions.is_empty() {
        let said = read(cx, group, permissions.clone())?;
        let ids = named(cx, group, egress, &[], permissions)?;
        new.extend(ids.into_iter().zip(said).map(|(id, (_, description))| (id, description)));
    }
    if new.is_empty() {
        return Err(missing("ipPermissions or securityGroupRuleDescriptions"));
    }
    for (id, description) in new {
        if let Some(mut rule) = cx.ec2.network.rules.edit(&id) {
            rule.description = description;
        }
    }
    Ok(())
}

pub(in crate::ec2) fn update_ingress_descriptions(
    cx: &mut Engine,
    _caller: &Caller,
    request: UpdateSecurityGroupRuleDescriptionsIngressRequest,
) -> Result<UpdateSecurityGroupRuleDescriptionsIngressResponse, Refusal> {
    dry_run(request.dry_run)?;
    let group = security_group::given(cx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let group = group.id.clone();
    describe_anew(cx, &group, false, request.ip_permissions, request.security_group_rule_descriptions)?;
    Ok(UpdateSecurityGroupRuleDescriptionsIngressResponse { r#return: Some(true) })
}

pub(in crate::ec2) fn update_egress_descriptions(
    cx: &mut Engine,
    _caller: &Caller,
    request: UpdateSecurityGroupRuleDescriptionsEgressRequest,
) -> Result<UpdateSecurityGroupRuleDescriptionsEgressResponse, Refusal> {
    dry_run(request.dry_run)?;
    let group = security_group::given(cx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let group = group.id.clone();
    describe_anew(cx, &group, true, request.ip_permissions, request.security_group_rule_descriptions)?;
    Ok(UpdateSecurityGroupRuleDescriptionsEgressResponse { r#return: Some(true) })
}

pub(in crate::ec2) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifySecurityGroupRulesRequest,
) -> Result<ModifySecurityGroupRulesResponse, Refusal> {
    let group = cx.ec2.network.security_group(&request.group_id)?;
    let mut changes = Vec::new();
    for update in request.security_group_rules {
        let id = update.security_group_rule_id;
        let rule = find(&cx.ec2.network.rules, &id)?;
        named(cx, group, rule.egress, std::slice::from_ref(&id), Vec::new())?;
        let new = update.security_group_rule.ok_or_else(|| missing("securityGroupRule"))?;
        let protocol = new.ip_protocol.as_deref().ok_or_else(|| missing("ipProtocol"))?;
        let (protocol, from_port, to_port) = ports(protocol, new.from_port, new.to_port)?;
        let peer = match (new.cidr_ipv4, new.cidr_ipv6, new.prefix_list_id, new.referenced_group_id) {
            (Some(text), None, None, None) => Peer::Ipv4(cidr::exact(&text)?),
            (None, Some(text), None, None) => Peer::Ipv6(cidr::exact_v6(&text)?),
            (None, None, Some(id), None) => Peer::PrefixList(id),
            (None, None, None, Some(id)) => peer_group(cx, group, Some(&id), None)?,
            _ => {
                return Err(Refusal::new(
                    "InvalidParameterCombination",
                    "Exactly one of cidrIpv4, cidrIpv6, prefixListId and referencedGroupId must be given",
                ));
            }
        };
        let terms = Terms { protocol, from_port, to_port, peer };
        let mut others = rules_of(cx, &group.id, rule.egress).filter(|other| other.id != id);
        if others.any(|other| Terms::of(other) == terms) {
            return Err(Refusal::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule \"{}\" already exists", spoken(&terms)),
            ));
        }
        changes.push((id, terms, new.description));
    }
    dry_run(request.dry_run)?;
    for (id, terms, description) in changes {
        if let Some(mut rule) = cx.ec2.network.rules.edit(&id) {
            rule.protocol = terms.protocol;
            rule.from_port = terms.from_port;
            rule.to_port = terms.to_port;
            rule.peer = terms.peer;
            rule.description = description;
        }
    }
    Ok(ModifySecurityGroupRulesResponse { r#return: Some(true) })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSecurityGroupRulesRequest,
) -> Result<DescribeSecurityGroupRulesResponse, Refusal> {
    let known = ["group-id", "security-group-rule-id", TAGS];
    let asked = ask!(request, security_group_rule_ids, filters);
    let page = select(&cx.ec2.network.rules, &asked, &known, |rule, name, put| match name {
        "group-id" => put(&rule.group),
        "security-group-rule-id" => put(&rule.id),
        _ => {}
    })?;
    Ok(DescribeSecurityGroupRulesResponse {
        security_group_rules: Some(page.items.into_iter().map(|rule| described(cx, rule)).collect()),
        next_token: page.next,
    })
}

fn described(cx: &Engine, rule: &SecurityGroupRule) -> ec2::SecurityGroupRule {
    let mut described = ec2::SecurityGroupRule {
        security_group_rule_id: Some(rule.id.clone()),
        group_id: Some(rule.group.clone()),
        group_owner_id: Some(cx.config.account.clone()),
        is_egress: Some(rule.egress),
        ip_protocol: Some(rule.protocol.clone()),
        // Here, unlike in permissions, all ports are -1.
        from_port: rule.from_port.or(Some(-1)),
        to_port: rule.to_port.or(Some(-1)),
        description: rule.description.clone(),
        tags: Some(tag::listed(&rule.tags).unwrap_or_default()),
        security_group_rule_arn: Some(cx.arn("ec2", format_args!("security-group-rule/{}", rule.id))),
        ..ec2::SecurityGroupRule::default()
    };
    match rule.peer.clone() {
        Peer::Ipv4(text) => described.cidr_ipv4 = Some(text),
        Peer::Ipv6(text) => described.cidr_ipv6 = Some(text),
        Peer::PrefixList(id) => described.prefix_list_id = Some(id),
        Peer::Group(id) => {
            described.referenced_group_info = Some(ReferencedSecurityGroup {
                group_id: Some(id),
                user_id: Some(cx.config.account.clone()),
                ..ReferencedSecurityGroup::default()
            });
        }
    }
    described
}

/// Rules of one direction as a group's description has them: those with the same protocol and ports together.
pub(super) fn permissions(cx: &Engine, rules: &[&SecurityGroupRule], egress: bool) -> Vec<IpPermission> {
    type Ports<'a> = (&'a str, Option<i32>, Option<i32>);
    let mut together: BTreeMap<Ports<'_>, Vec<&SecurityGroupRule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.egress == egress) {
        together.entry((&rule.protocol, rule.from_port, rule.to_port)).or_default().push(rule);
    }
    let mut permissions = Vec::new();
    for ((protocol, from_port, to_port), mut rules) in together {
        rules.sort_by(|a, b| a.peer.cmp(&b.peer));
        let mut permission = IpPermission {
            ip_protocol: Some(protocol.to_owned()),
            from_port,
            to_port,
            user_id_group_pairs: Some(Vec::new()),
            ip_ranges: Some(Vec::new()),
            ipv6_ranges: Some(Vec::new()),
            prefix_list_ids: Some(Vec::new()),
        };
        for rule in rules {
            let description = rule.description.clone();
            match rule.peer.clone() {
                Peer::Ipv4(text) => permission
                    .ip_ranges
                    .get_or_insert_default()
                    .push(IpRange { description, cidr_ip: Some(text) }),
                Peer::Ipv6(text) => permission
                    .ipv6_ranges
                    .get_or_insert_default()
                    .push(Ipv6Range { description, cidr_ipv6: Some(text) }),
                Peer::PrefixList(id) => permission
                    .prefix_list_ids
                    .get_or_insert_default()
                    .push(PrefixListId { description, prefix_list_id: Some(id) }),
                Peer::Group(id) => {
                    permission.user_id_group_pairs.get_or_insert_default().push(UserIdGroupPair {
                        description,
                        user_id: Some(cx.config.account.clone()),
                        group_id: Some(id),
                        ..UserIdGroupPair::default()
                    });
                }
            }
        }
        permissions.push(permission);
    }
    permissions
}

/// What a filter `ip-permission.MEMBER` finds at a rule.
pub(super) fn member(cx: &Engine, rule: &SecurityGroupRule, member: &str, put: &mut dyn FnMut(&str)) {
    match (member, &rule.peer) {
        ("protocol", _) => put(&rule.protocol),
        ("from-port", _) => rule.from_port.iter().for_each(|port| put(&port.to_string())),
        ("to-port", _) => rule.to_port.iter().for_each(|port| put(&port.to_string())),
        ("cidr", Peer::Ipv4(text))
        | ("ipv6-cidr", Peer::Ipv6(text))
        | ("prefix-list-id", Peer::PrefixList(text))
        | ("group-id", Peer::Group(text)) => put(text),
        ("group-name", Peer::Group(id)) => {
            cx.ec2.network.security_groups.get(id).iter().for_each(|group| put(&group.name));
        }
        ("user-id", Peer::Group(_)) => put(&cx.config.account),
        _ => {}
    }
}
