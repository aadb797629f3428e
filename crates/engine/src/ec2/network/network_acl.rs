//! Network ACLs. They are kept and told; nothing here holds packets against them.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, CREATE_NETWORK_ACL_ENTRY_REQUEST, CreateNetworkAclEntryRequest, CreateNetworkAclEntryResponse,
    CreateNetworkAclRequest, CreateNetworkAclResponse, DeleteNetworkAclEntryRequest,
    DeleteNetworkAclEntryResponse, DeleteNetworkAclRequest, DeleteNetworkAclResponse,
    DescribeNetworkAclsRequest, DescribeNetworkAclsResponse, NetworkAclAssociation, NetworkAclEntry,
    REPLACE_NETWORK_ACL_ENTRY_REQUEST, ReplaceNetworkAclAssociationRequest,
    ReplaceNetworkAclAssociationResponse, ReplaceNetworkAclEntryRequest, ReplaceNetworkAclEntryResponse,
    RuleAction,
};

use super::resource::{Resource, find, repeated};
use super::{AclEntry, NetworkAcl, Subnet, ask, cidr, in_use, listed, route_table, select, tags_of, yes};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, invalid, missing};
use crate::kernel::recast;
use crate::{Caller, Engine};

/// The highest number that users give; above it stands the entry that denies the rest (VPC guide, network ACL rules).
const NUMBER_MAX: i32 = 32_766;
const LAST: i32 = 32_767;

/// Puts an ACL in; the default one of a VPC lets everything pass, others nothing. The id.
pub(super) fn insert(
    cx: &mut Engine,
    vpc: &str,
    is_default: bool,
    client_token: Option<String>,
    tags: Tags,
) -> String {
    let entry = |action| AclEntry {
        action,
        protocol: "-1".into(),
        cidr: Some("0.0.0.0/0".into()),
        ipv6_cidr: None,
        ports: None,
        icmp: None,
    };
    let mut entries = BTreeMap::new();
    for egress in [false, true] {
        if is_default {
            entries.insert((egress, 100), entry(RuleAction::Allow));
        }
        entries.insert((egress, LAST), entry(RuleAction::Deny));
    }
    let id = draw_id(cx, "acl", "ec2.network-acl-id");
    let acl = NetworkAcl { id: id.clone(), vpc: vpc.to_owned(), is_default, entries, client_token, tags };
    cx.ec2.network.acls.insert(acl);
    id
}

/// The default ACL of a VPC.
pub(super) fn default_of(cx: &Engine, vpc: &str) -> String {
    let acl = cx.ec2.network.acls.iter().find(|acl| acl.vpc == vpc && acl.is_default);
    acl.map(|acl| acl.id.clone()).unwrap_or_default()
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateNetworkAclRequest,
) -> Result<CreateNetworkAclResponse, Refusal> {
    let client_token = request.client_token;
    if let Some(made) = repeated(&cx.ec2.network.acls, client_token.as_ref()) {
        return Ok(CreateNetworkAclResponse { network_acl: Some(described(cx, made)), client_token });
    }
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?.id.clone();
    let tags = tags_of::<NetworkAcl>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let id = insert(cx, &vpc, false, client_token.clone(), tags);
    let acl = find(&cx.ec2.network.acls, &id)?;
    Ok(CreateNetworkAclResponse { network_acl: Some(described(cx, acl)), client_token })
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteNetworkAclRequest,
) -> Result<DeleteNetworkAclResponse, Refusal> {
    let id = request.network_acl_id;
    let acl = find(&cx.ec2.network.acls, &id)?;
    if acl.is_default {
        return Err(invalid(format!("cannot delete default network ACL {id}")));
    }
    if subnets(cx, &id).next().is_some() {
        return Err(in_use(NetworkAcl::NOUN, &id));
    }
    dry_run(request.dry_run)?;
    cx.ec2.network.acls.remove(&id);
    Ok(DeleteNetworkAclResponse {})
}

fn subnets<'a>(cx: &'a Engine, acl: &'a str) -> impl Iterator<Item = &'a Subnet> {
    cx.ec2.network.subnets.iter().filter(move |subnet| subnet.network_acl == acl)
}

/// The entry of a request, held against what EC2 takes.
fn entry(request: &CreateNetworkAclEntryRequest) -> Result<AclEntry, Refusal> {
    if !(1..=NUMBER_MAX).contains(&request.rule_number) {
        return Err(invalid(format!(
            "Value ({}) for parameter ruleNumber is invalid. It must be between 1 and {NUMBER_MAX}.",
            request.rule_number
        )));
    }
    let protocol = match request.protocol.to_ascii_lowercase().as_str() {
        "all" | "-1" => "-1".to_owned(),
        "tcp" => "6".to_owned(),
        "udp" => "17".to_owned(),
        "icmp" => "1".to_owned(),
        number => match number.parse::<u8>() {
            Ok(number) => number.to_string(),
            Err(_) => {
                return Err(invalid(format!("Invalid value '{number}' for IP protocol. Unknown protocol.")));
            }
        },
    };
    let (cidr, ipv6_cidr) = match (&request.cidr_block, &request.ipv6_cidr_block) {
        (Some(text), None) => (Some(cidr::read(text, "cidrBlock")?.to_string()), None),
        (None, Some(text)) => (None, Some(cidr::exact_v6(text)?)),
        (None, None) => return Err(missing("cidrBlock")),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "Specify either cidrBlock or ipv6CidrBlock, not both",
            ));
        }
    };
    let with_ports = matches!(protocol.as_str(), "6" | "17");
    if with_ports && request.port_range.is_none() {
        return Err(missing("portRange"));
    }
    let icmp = matches!(protocol.as_str(), "1" | "58").then(|| request.icmp_type_code.clone()).flatten();
    Ok(AclEntry {
        action: request.rule_action,
        cidr,
        ipv6_cidr,
        ports: request.port_range.clone().filter(|_| with_ports),
        icmp,
        protocol,
    })
}

pub(in crate::ec2) fn create_entry(
    cx: &mut Engine,
    _caller: &Caller,
    request: CreateNetworkAclEntryRequest,
) -> Result<CreateNetworkAclEntryResponse, Refusal> {
    let acl = find(&cx.ec2.network.acls, &request.network_acl_id)?;
    let entry = entry(&request)?;
    let key = (request.egress, request.rule_number);
    if acl.entries.contains_key(&key) {
        return Err(Refusal::new(
            "NetworkAclEntryAlreadyExists",
            format!("The network acl entry identified by {} already exists.", request.rule_number),
        ));
    }
    dry_run(request.dry_run)?;
    if let Some(mut acl) = cx.ec2.network.acls.edit(&request.network_acl_id) {
        acl.entries.insert(key, entry);
    }
    Ok(CreateNetworkAclEntryResponse {})
}

fn no_entry(number: i32) -> Refusal {
    Refusal::new(
        "InvalidNetworkAclEntry.NotFound",
        format!("The network acl entry identified by {number} does not exist."),
    )
}

pub(in crate::ec2) fn replace_entry(
    cx: &mut Engine,
    _caller: &Caller,
    request: ReplaceNetworkAclEntryRequest,
) -> Result<ReplaceNetworkAclEntryResponse, Refusal> {
    let request: CreateNetworkAclEntryRequest =
        recast(request, &REPLACE_NETWORK_ACL_ENTRY_REQUEST, &CREATE_NETWORK_ACL_ENTRY_REQUEST);
    let acl = find(&cx.ec2.network.acls, &request.network_acl_id)?;
    let entry = entry(&request)?;
    let key = (request.egress, request.rule_number);
    if !acl.entries.contains_key(&key) {
        return Err(no_entry(request.rule_number));
    }
    dry_run(request.dry_run)?;
    if let Some(mut acl) = cx.ec2.network.acls.edit(&request.network_acl_id) {
        acl.entries.insert(key, entry);
    }
    Ok(ReplaceNetworkAclEntryResponse {})
}

pub(in crate::ec2) fn delete_entry(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteNetworkAclEntryRequest,
) -> Result<DeleteNetworkAclEntryResponse, Refusal> {
    let acl = find(&cx.ec2.network.acls, &request.network_acl_id)?;
    let key = (request.egress, request.rule_number);
    if request.rule_number == LAST || !acl.entries.contains_key(&key) {
        return Err(no_entry(request.rule_number));
    }
    dry_run(request.dry_run)?;
    if let Some(mut acl) = cx.ec2.network.acls.edit(&request.network_acl_id) {
        acl.entries.remove(&key);
    }
    Ok(DeleteNetworkAclEntryResponse {})
}

pub(in crate::ec2) fn replace_association(
    cx: &mut Engine,
    _caller: &Caller,
    request: ReplaceNetworkAclAssociationRequest,
) -> Result<ReplaceNetworkAclAssociationResponse, Refusal> {
    let id = request.association_id;
    let subnet = cx.ec2.network.subnets.iter().find(|subnet| subnet.network_acl_association == id);
    let subnet = subnet.ok_or_else(|| route_table::no_association(&id))?;
    let acl = find(&cx.ec2.network.acls, &request.network_acl_id)?;
    if acl.vpc != subnet.vpc {
        return Err(invalid(format!(
            "Network ACL {} and subnet {} belong to different networks",
            acl.id, subnet.id
        )));
    }
    let (acl, subnet) = (acl.id.clone(), subnet.id.clone());
    dry_run(request.dry_run)?;
    let association = draw_id(cx, "aclassoc", "ec2.network-acl-association-id");
    if let Some(mut subnet) = cx.ec2.network.subnets.edit(&subnet) {
        subnet.network_acl = acl;
        subnet.network_acl_association.clone_from(&association);
    }
    Ok(ReplaceNetworkAclAssociationResponse { new_association_id: Some(association) })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeNetworkAclsRequest,
) -> Result<DescribeNetworkAclsResponse, Refusal> {
    let asked = ask!(request, network_acl_ids, filters);
    let page = select(&cx.ec2.network.acls, &asked, FILTERS, |acl, name, put| fields(cx, acl, name, put))?;
    Ok(DescribeNetworkAclsResponse {
        network_acls: Some(page.items.into_iter().map(|acl| described(cx, acl)).collect()),
        next_token: page.next,
    })
}

fn fields(cx: &Engine, acl: &NetworkAcl, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "association.association-id" => {
            subnets(cx, &acl.id).for_each(|subnet| put(&subnet.network_acl_association));
        }
        "association.network-acl-id" => subnets(cx, &acl.id).for_each(|_| put(&acl.id)),
        "association.subnet-id" => subnets(cx, &acl.id).for_each(|subnet| put(&subnet.id)),
        "default" => put(yes(acl.is_default)),
        "network-acl-id" => put(&acl.id),
        "owner-id" => put(&cx.config.account),
        "vpc-id" => put(&acl.vpc),
        _ => {
            let Some(member) = name.strip_prefix("entry.") else { return };
            for ((egress, number), entry) in &acl.entries {
                match member {
                    "cidr" => entry.cidr.iter().for_each(|text| put(text)),
                    "ipv6-cidr" => entry.ipv6_cidr.iter().for_each(|text| put(text)),
                    "egress" => put(yes(*egress)),
                    "protocol" => put(&entry.protocol),
                    "rule-action" => put(entry.action.as_str()),
                    "rule-number" => put(&number.to_string()),
                    _ => {}
                }
            }
        }
    }
}

fn described(cx: &Engine, acl: &NetworkAcl) -> ec2::NetworkAcl {
    let association = |subnet: &Subnet| NetworkAclAssociation {
        network_acl_association_id: Some(subnet.network_acl_association.clone()),
        network_acl_id: Some(acl.id.clone()),
        subnet_id: Some(subnet.id.clone()),
    };
    let entry = |(&(egress, number), entry): (&(bool, i32), &AclEntry)| NetworkAclEntry {
        cidr_block: entry.cidr.clone(),
        egress: Some(egress),
        icmp_type_code: entry.icmp.clone(),
        ipv6_cidr_block: entry.ipv6_cidr.clone(),
        port_range: entry.ports.clone(),
        protocol: Some(entry.protocol.clone()),
        rule_action: Some(entry.action),
        rule_number: Some(number),
    };
    // Egress first, as EC2 lists them.
    let directions = [true, false]
        .into_iter()
        .flat_map(|direction| acl.entries.iter().filter(move |((egress, _), _)| *egress == direction));
    ec2::NetworkAcl {
        associations: Some(subnets(cx, &acl.id).map(association).collect()),
        entries: Some(directions.map(entry).collect()),
        is_default: Some(acl.is_default),
        network_acl_id: Some(acl.id.clone()),
        tags: listed(&acl.tags),
        vpc_id: Some(acl.vpc.clone()),
        owner_id: Some(cx.config.account.clone()),
    }
}

const FILTERS: &[&str] = &[
    "association.association-id",
    "association.network-acl-id",
    "association.subnet-id",
    "default",
    "entry.cidr",
    "entry.egress",
    "entry.icmp.code",
    "entry.icmp.type",
    "entry.ipv6-cidr",
    "entry.port-range.from",
    "entry.port-range.to",
    "entry.protocol",
    "entry.rule-action",
    "entry.rule-number",
    "network-acl-id",
    "owner-id",
    "vpc-id",
    TAGS,
];
