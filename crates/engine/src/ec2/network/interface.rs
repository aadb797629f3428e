//! Network interfaces: every instance's first one, and those that users and services make.

use std::net::Ipv4Addr;

use capstan_model::InstanceId;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AttachmentStatus, CreateNetworkInterfaceRequest, CreateNetworkInterfaceResponse,
    DeleteNetworkInterfaceRequest, DeleteNetworkInterfaceResponse, DescribeNetworkInterfacesRequest,
    DescribeNetworkInterfacesResponse, GroupIdentifier, InstanceStateName,
    ModifyNetworkInterfaceAttributeRequest, ModifyNetworkInterfaceAttributeResponse,
    NetworkInterfaceAttachment, NetworkInterfacePrivateIpAddress, NetworkInterfaceStatus,
    NetworkInterfaceType,
};

use super::resource::{Resource, find, repeated};
use super::{InterfaceIndex, NetworkInterface, Subnet, address, listed, security_group, tags_of, vpc, yes};
use crate::ec2::filter::{Filters, TAGS};
use crate::ec2::{Instance, InstanceIndex, Tags, at_least_five, dry_run, instance, invalid, page_of};
use crate::{Caller, Engine};

/// What makes an interface.
pub(super) struct Draft<'a> {
    pub(super) subnet: &'a Subnet,
    pub(super) private_ip: Ipv4Addr,
    pub(super) description: String,
    pub(super) groups: Vec<String>,
    pub(super) kind: NetworkInterfaceType,
    pub(super) requester: Option<String>,
    pub(super) client_token: Option<String>,
    pub(super) tags: Tags,
}

/// Puts an interface in, in use when a service has asked for it; the id.
pub(super) fn insert(cx: &mut Engine, draft: Draft<'_>) -> String {
    // Instances draw theirs for another purpose; a prefix of its own keeps them apart.
    let id = format!("eni-1{:016x}", cx.chance.u64("ec2.service-interface-id"));
    let attachment = draft.requester.is_some().then(|| cx.chance.u64("ec2.service-attachment-id"));
    cx.ec2.network.interfaces.insert(NetworkInterface {
        id: id.clone(),
        vpc: draft.subnet.vpc.clone(),
        subnet: draft.subnet.id.clone(),
        private_ip: draft.private_ip,
        description: draft.description,
        groups: draft.groups,
        kind: draft.kind,
        requester: draft.requester,
        attachment,
        // What forwards for others must not check.
        source_dest_check: draft.kind != NetworkInterfaceType::NatGateway,
        created_at: cx.now,
        client_token: draft.client_token,
        tags: draft.tags,
    });
    id
}

/// Whether something in the VPC has that address.
pub(in crate::ec2) fn is_taken(cx: &Engine, vpc: &str, address: Ipv4Addr) -> bool {
    let instances = &cx.ec2.instances;
    instances.count_by(&InstanceIndex::Address(vpc.to_owned(), address)) > 0
        || cx.ec2.network.interfaces.count_by(&InterfaceIndex::Address(vpc.to_owned(), address)) > 0
}

/// A free address of a subnet, `None` when there is none: the next free one from a random place.
pub(in crate::ec2) fn free_address(
    cx: &mut Engine,
    subnet: &Subnet,
    purpose: &'static str,
) -> Option<Ipv4Addr> {
    let usable = subnet.usable_addresses();
    let start = u32::try_from(cx.chance.below(purpose, usable.into())).unwrap_or_default();
    let addresses = (0..usable).map(|step| subnet.address((start + step) % usable));
    addresses.into_iter().find(|address| !is_taken(cx, &subnet.vpc, *address))
}

/// The address that a request names, held against the subnet.
pub(in crate::ec2) fn named_address(cx: &Engine, subnet: &Subnet, text: &str) -> Result<Ipv4Addr, Refusal> {
    let address: Ipv4Addr =
        text.parse().map_err(|_| invalid(format!("Invalid value '{text}' for PrivateIpAddress.")))?;
    if !subnet.has(address) {
        return Err(invalid(format!("Address {address} does not fall within the subnet's address range")));
    }
    if is_taken(cx, &subnet.vpc, address) {
        return Err(Refusal::new("InvalidIPAddress.InUse", format!("Address {address} is in use.")));
    }
    Ok(address)
}

pub(in crate::ec2) fn no_address(subnet: &str) -> Refusal {
    Refusal::new(
        "InsufficientFreeAddressesInSubnet",
        format!(
            "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
        ),
    )
}

/// An interface as far as others need to know it.
pub(super) struct Found {
    pub(super) vpc: String,
    pub(super) private_ip: Ipv4Addr,
    /// Whose first interface it is.
    pub(super) instance: Option<InstanceId>,
}

/// The interface of that id, also an instance's.
pub(super) fn of_id(cx: &Engine, id: &str) -> Result<Found, Refusal> {
    if let Some(row) = cx.ec2.network.interfaces.get(&id.to_owned()) {
        return Ok(Found { vpc: row.vpc.clone(), private_ip: row.private_ip, instance: None });
    }
    let mut instances = cx.ec2.instances.iter().filter(|row| row.state != InstanceStateName::Terminated);
    let row = instances.find(|row| instance::interface_id(row) == id);
    let row = row.ok_or_else(|| NetworkInterface::absent(id))?;
    Ok(Found { vpc: row.vpc.clone(), private_ip: row.private_ip, instance: Some(row.id) })
}

/// Groups of a request: all in the VPC; its default group when there are none.
pub(in crate::ec2) fn groups(
    cx: &Engine,
    vpc: &str,
    ids: Option<Vec<String>>,
) -> Result<Vec<String>, Refusal> {
    let ids = ids.unwrap_or_default();
    for id in &ids {
        if cx.ec2.network.security_group(id)?.vpc != vpc {
            return Err(invalid(format!("Security group {id} and the subnet belong to different networks.")));
        }
    }
    if ids.is_empty() {
        return Ok(security_group::in_vpc(cx, vpc, "default")
            .map(|group| group.id.clone())
            .into_iter()
            .collect());
    }
    Ok(ids)
}

/// Elastic Load Balancing makes interfaces of its own, as AWS names it there.
fn requester(caller: &Caller) -> Option<String> {
    (*caller == Caller::ELB).then(|| "amazon-elb".to_owned())
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateNetworkInterfaceRequest,
) -> Result<CreateNetworkInterfaceResponse, Refusal> {
    let client_token = request.client_token;
    if let Some(made) = repeated(&cx.ec2.network.interfaces, client_token.as_ref()) {
        return Ok(CreateNetworkInterfaceResponse {
            network_interface: Some(described(cx, made)),
            client_token,
        });
    }
    let ipv6 = request.ipv6_address_count.is_some_and(|count| count > 0)
        || request.ipv6_addresses.is_some_and(|list| !list.is_empty())
        || request.ipv6_prefix_count.is_some_and(|count| count > 0)
        || request.ipv6_prefixes.is_some_and(|list| !list.is_empty());
    vpc::no_ipv6(ipv6)?;
    let several = request.secondary_private_ip_address_count.is_some_and(|count| count > 0)
        || request.private_ip_addresses.as_ref().is_some_and(|list| list.len() > 1)
        || request.ipv4_prefix_count.is_some_and(|count| count > 0)
        || request.ipv4_prefixes.is_some_and(|list| !list.is_empty());
    if several {
        return Err(Refusal::new(
            "UnsupportedOperation",
            "Network interfaces have one private address here.",
        ));
    }
    if let Some(kind) = request.interface_type {
        return Err(Refusal::new(
            "UnsupportedOperation",
            format!("There are no interfaces of type {kind} here."),
        ));
    }
    let subnet = cx.ec2.network.subnet(&request.subnet_id)?.clone();
    let groups = groups(cx, &subnet.vpc, request.groups)?;
    let listed = request.private_ip_addresses.into_iter().flatten().find_map(|each| each.private_ip_address);
    let wanted = request.private_ip_address.or(listed);
    let wanted = wanted.map(|text| named_address(cx, &subnet, &text)).transpose()?;
    let tags = tags_of::<NetworkInterface>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let address = wanted.or_else(|| free_address(cx, &subnet, "ec2.interface-address"));
    let draft = Draft {
        private_ip: address.ok_or_else(|| no_address(&subnet.id))?,
        subnet: &subnet,
        description: request.description.unwrap_or_default(),
        groups,
        kind: NetworkInterfaceType::Interface,
        requester: requester(caller),
        client_token: client_token.clone(),
        tags,
    };
    let id = insert(cx, draft);
    let row = find(&cx.ec2.network.interfaces, &id)?;
    Ok(CreateNetworkInterfaceResponse { network_interface: Some(described(cx, row)), client_token })
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    caller: &Caller,
    request: DeleteNetworkInterfaceRequest,
) -> Result<DeleteNetworkInterfaceResponse, Refusal> {
    let id = request.network_interface_id;
    let found = of_id(cx, &id)?;
    let row = cx.ec2.network.interfaces.get(&id);
    let of_another = row.is_some_and(|row| row.attachment.is_some() && row.requester != requester(caller));
    if found.instance.is_some() || of_another {
        return Err(Refusal::new(
            "InvalidParameterValue",
            format!("Network interface '{id}' is currently in use."),
        ));
    }
    dry_run(request.dry_run)?;
    remove(cx, &id);
    Ok(DeleteNetworkInterfaceResponse {})
}

/// Takes an interface away, and Elastic IP addresses from it.
pub(super) fn remove(cx: &mut Engine, id: &str) {
    address::release_from(cx, id);
    cx.ec2.network.interfaces.remove(&id.to_owned());
}

pub(in crate::ec2) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifyNetworkInterfaceAttributeRequest,
) -> Result<ModifyNetworkInterfaceAttributeResponse, Refusal> {
    let id = request.network_interface_id;
    let found = of_id(cx, &id)?;
    let groups = match request.groups {
        Some(ids) => Some(groups(cx, &found.vpc, Some(ids))?),
        None => None,
    };
    dry_run(request.dry_run)?;
    let check = request.source_dest_check.and_then(|value| value.value);
    if let Some(mut row) = found.instance.and_then(|id| cx.ec2.instances.edit(&id)) {
        if let Some(groups) = groups {
            row.security_groups = groups;
        }
        row.source_dest_check = check.unwrap_or(row.source_dest_check);
    } else if let Some(mut row) = cx.ec2.network.interfaces.edit(&id) {
        if let Some(groups) = groups {
            row.groups = groups;
        }
        if let Some(text) = request.description.and_then(|value| value.value) {
            row.description = text;
        }
        row.source_dest_check = check.unwrap_or(row.source_dest_check);
    }
    Ok(ModifyNetworkInterfaceAttributeResponse {})
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeNetworkInterfacesRequest,
) -> Result<DescribeNetworkInterfacesResponse, Refusal> {
    dry_run(request.dry_run)?;
    at_least_five(request.max_results)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let ids = request.network_interface_ids.unwrap_or_default();
    for id in &ids {
        of_id(cx, id)?;
    }
    let none = Tags::new();
    let here = |row: &&Instance| row.state != InstanceStateName::Terminated;
    let of_instances = cx.ec2.instances.iter().filter(here).map(|row| (of_instance(cx, row), &none));
    let others = cx.ec2.network.interfaces.iter().map(|row| (described(cx, row), &row.tags));
    let id = |interface: &ec2::NetworkInterface| interface.network_interface_id.clone().unwrap_or_default();
    let mut fitting: Vec<ec2::NetworkInterface> = of_instances
        .chain(others)
        .filter(|(row, _)| ids.is_empty() || ids.contains(&id(row)))
        .filter(|(row, tags)| filters.fit(tags, |name, put| fields(row, name, put)))
        .map(|(row, _)| row)
        .collect();
    fitting.sort_by_cached_key(id);
    let page = page_of(fitting, id, request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeNetworkInterfacesResponse { network_interfaces: Some(page.items), next_token: page.next })
}

fn fields(row: &ec2::NetworkInterface, name: &str, put: &mut dyn FnMut(&str)) {
    let attachment = row.attachment.as_ref();
    let association = row.association.as_ref();
    let text =
        |value: Option<&String>, put: &mut dyn FnMut(&str)| value.into_iter().for_each(|text| put(text));
    match name {
        "addresses.association.public-ip" | "association.public-ip" => {
            text(association.and_then(|each| each.public_ip.as_ref()), put);
        }
        "addresses.primary" => put("true"),
        "addresses.private-ip-address" | "private-ip-address" => text(row.private_ip_address.as_ref(), put),
        "association.allocation-id" => text(association.and_then(|each| each.allocation_id.as_ref()), put),
        "association.association-id" => text(association.and_then(|each| each.association_id.as_ref()), put),
        "association.ip-owner-id" | "addresses.association.owner-id" => {
            text(association.and_then(|each| each.ip_owner_id.as_ref()), put);
        }
        "association.public-dns-name" => {
            text(association.and_then(|each| each.public_dns_name.as_ref()), put)
        }
        "attachment.attachment-id" => text(attachment.and_then(|each| each.attachment_id.as_ref()), put),
        "attachment.instance-id" => text(attachment.and_then(|each| each.instance_id.as_ref()), put),
        "attachment.instance-owner-id" => {
            text(attachment.and_then(|each| each.instance_owner_id.as_ref()), put)
        }
        "attachment.status" => {
            attachment.and_then(|each| each.status).iter().for_each(|each| put(each.as_str()))
        }
        "attachment.device-index" => {
            attachment.and_then(|each| each.device_index).iter().for_each(|each| put(&each.to_string()));
        }
        "attachment.delete-on-termination" => {
            attachment.and_then(|each| each.delete_on_termination).iter().for_each(|each| put(yes(*each)));
        }
        "availability-zone" => text(row.availability_zone.as_ref(), put),
        "availability-zone-id" => text(row.availability_zone_id.as_ref(), put),
        "description" => text(row.description.as_ref(), put),
        "group-id" => row.groups.iter().flatten().for_each(|group| text(group.group_id.as_ref(), put)),
        "group-name" => row.groups.iter().flatten().for_each(|group| text(group.group_name.as_ref(), put)),
        "interface-type" => row.interface_type.iter().for_each(|kind| put(kind.as_str())),
        "mac-address" => text(row.mac_address.as_ref(), put),
        "network-interface-id" => text(row.network_interface_id.as_ref(), put),
        "owner-id" => text(row.owner_id.as_ref(), put),
        "private-dns-name" => text(row.private_dns_name.as_ref(), put),
        "requester-id" => text(row.requester_id.as_ref(), put),
        "requester-managed" => row.requester_managed.iter().for_each(|value| put(yes(*value))),
        "source-dest-check" => row.source_dest_check.iter().for_each(|value| put(yes(*value))),
        "status" => row.status.iter().for_each(|status| put(status.as_str())),
        "subnet-id" => text(row.subnet_id.as_ref(), put),
        "vpc-id" => text(row.vpc_id.as_ref(), put),
        _ => {}
    }
}

/// The groups of those ids with their names.
pub(in crate::ec2) fn identifiers(cx: &Engine, ids: &[String]) -> Vec<GroupIdentifier> {
    let groups = &cx.ec2.network.security_groups;
    let group = |id: &String| GroupIdentifier {
        group_id: Some(id.clone()),
        group_name: groups.get(id).map(|group| group.name.clone()),
    };
    ids.iter().map(group).collect()
}

/// What the interface of an instance is described as.
fn of_instance(cx: &Engine, row: &Instance) -> ec2::NetworkInterface {
    let name = instance::private_dns_name(cx, row.private_ip);
    let association = address::association_of_instance(cx, row);
    ec2::NetworkInterface {
        public_dns_name: association.as_ref().and_then(|each| each.public_dns_name.clone()),
        association: association.clone(),
        attachment: Some(NetworkInterfaceAttachment {
            attach_time: Some(row.launched_at),
            attachment_id: Some(format!("eni-attach-0{:016x}", row.attachment)),
            delete_on_termination: Some(true),
            device_index: Some(0),
            network_card_index: Some(0),
            instance_id: Some(row.id.to_string()),
            instance_owner_id: Some(cx.config.account.clone()),
            status: Some(instance::attachment_status(row)),
            ..NetworkInterfaceAttachment::default()
        }),
        availability_zone: Some(row.zone.name.into()),
        availability_zone_id: Some(row.zone.id.into()),
        description: Some(String::new()),
        groups: Some(identifiers(cx, &row.security_groups)),
        interface_type: Some(NetworkInterfaceType::Interface),
        ipv6_addresses: Some(Vec::new()),
        mac_address: Some(instance::mac_address(row)),
        network_interface_id: Some(instance::interface_id(row)),
        owner_id: Some(cx.config.account.clone()),
        private_dns_name: Some(name.clone()),
        private_ip_address: Some(row.private_ip.to_string()),
        private_ip_addresses: Some(vec![NetworkInterfacePrivateIpAddress {
            association,
            primary: Some(true),
            private_dns_name: Some(name),
            private_ip_address: Some(row.private_ip.to_string()),
        }]),
        requester_managed: Some(false),
        source_dest_check: Some(row.source_dest_check),
        status: Some(NetworkInterfaceStatus::InUse),
        subnet_id: Some(row.subnet.clone()),
        tag_set: Some(Vec::new()),
        vpc_id: Some(row.vpc.clone()),
        ..ec2::NetworkInterface::default()
    }
}

fn described(cx: &Engine, row: &NetworkInterface) -> ec2::NetworkInterface {
    let name = instance::private_dns_name(cx, row.private_ip);
    let association = address::association_of(cx, &row.id);
    let zone = cx.ec2.network.subnets.get(&row.subnet).map(|subnet| subnet.zone);
    let attachment = row.attachment.map(|attachment| NetworkInterfaceAttachment {
        attach_time: Some(row.created_at),
        attachment_id: Some(format!("ela-attach-0{attachment:016x}")),
        delete_on_termination: Some(false),
        device_index: Some(1),
        network_card_index: Some(0),
        instance_owner_id: row.requester.clone(),
        status: Some(AttachmentStatus::Attached),
        ..NetworkInterfaceAttachment::default()
    });
    let digest = crate::ec2::digest(row.id.bytes()).to_be_bytes();
    ec2::NetworkInterface {
        status: Some(match attachment {
            Some(_) => NetworkInterfaceStatus::InUse,
            None => NetworkInterfaceStatus::Available,
        }),
        public_dns_name: association.as_ref().and_then(|each| each.public_dns_name.clone()),
        association: association.clone(),
        attachment,
        availability_zone: zone.map(|zone| zone.name.into()),
        availability_zone_id: zone.map(|zone| zone.id.into()),
        description: Some(row.description.clone()),
        groups: Some(identifiers(cx, &row.groups)),
        interface_type: Some(row.kind),
        ipv6_addresses: Some(Vec::new()),
        mac_address: Some(format!(
            "02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            digest[0], digest[1], digest[2], digest[3], digest[4]
        )),
        network_interface_id: Some(row.id.clone()),
        owner_id: Some(cx.config.account.clone()),
        private_dns_name: Some(name.clone()),
        private_ip_address: Some(row.private_ip.to_string()),
        private_ip_addresses: Some(vec![NetworkInterfacePrivateIpAddress {
            association,
            primary: Some(true),
            private_dns_name: Some(name),
            private_ip_address: Some(row.private_ip.to_string()),
        }]),
        requester_id: row.requester.clone(),
        requester_managed: Some(row.requester.is_some()),
        source_dest_check: Some(row.source_dest_check),
        subnet_id: Some(row.subnet.clone()),
        tag_set: listed(&row.tags),
        vpc_id: Some(row.vpc.clone()),
        ..ec2::NetworkInterface::default()
    }
}

const FILTERS: &[&str] = &[
    "addresses.association.owner-id",
    "addresses.association.public-ip",
    "addresses.primary",
    "addresses.private-ip-address",
    "association.allocation-id",
    "association.association-id",
    "association.ip-owner-id",
    "association.public-dns-name",
    "association.public-ip",
    "attachment.attach-time",
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "ipv6-addresses.ipv6-address",
    "mac-address",
    "network-interface-id",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "vpc-id",
    TAGS,
];
