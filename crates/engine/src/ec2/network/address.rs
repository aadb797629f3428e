//! Public addresses: Elastic IP addresses, and what instances get at launch.

use std::net::Ipv4Addr;

use capstan_model::InstanceId;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AddressAttribute, AllocateAddressRequest, AllocateAddressResponse, AssociateAddressRequest,
    AssociateAddressResponse, DescribeAddressesAttributeRequest, DescribeAddressesAttributeResponse,
    DescribeAddressesRequest, DescribeAddressesResponse, DisassociateAddressRequest,
    DisassociateAddressResponse, DomainType, InstanceStateName, NetworkInterfaceAssociation,
    ReleaseAddressRequest, ReleaseAddressResponse,
};

use super::resource::find;
use super::{Address, AddressAssociation, Ask, gateway, interface, listed, route_table, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{Instance, InstanceIndex, draw_id, dry_run, instance, invalid, missing};
use crate::{Caller, Engine};

/// Public addresses come from 198.18.0.0/15, which RFC 2544 sets aside for benchmarks: they are nobody's.
const BASE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const COUNT: u32 = 1 << 17;

/// A public address that nothing has; `None` when all are taken.
pub(in crate::ec2) fn draw(cx: &mut Engine) -> Option<Ipv4Addr> {
    let start = u32::try_from(cx.chance.below("ec2.public-address", COUNT.into())).unwrap_or_default();
    let taken = |address: &Ipv4Addr| {
        cx.ec2.instances.count_by(&InstanceIndex::PublicAddress(*address)) > 0
            || cx.ec2.network.addresses.iter().any(|row| row.ip == *address)
    };
    let nth = |n: u32| Ipv4Addr::from_bits(BASE.to_bits() + n);
    (0..COUNT).map(|step| nth((start + step) % COUNT)).find(|address| !taken(address))
}

/// The name that resolves to a public address, when the VPC gives names (VPC guide, vpc-dns).
fn public_dns_name(cx: &Engine, vpc: &str, address: Ipv4Addr) -> String {
    if !cx.ec2.network.vpcs.get(&vpc.to_owned()).is_some_and(|vpc| vpc.dns_hostnames) {
        return String::new();
    }
    let host = address.to_string().replace('.', "-");
    match cx.config.region.name {
        "us-east-1" => format!("ec2-{host}.compute-1.amazonaws.com"),
        region => format!("ec2-{host}.{region}.compute.amazonaws.com"),
    }
}

/// The Elastic IP address of an interface.
fn of_interface<'a>(cx: &'a Engine, id: &str) -> Option<&'a Address> {
    let is = |association: &AddressAssociation| association.interface == id;
    cx.ec2.network.addresses.iter().find(|row| row.association.as_ref().is_some_and(is))
}

/// How an interface that is no instance's is known outside.
pub(super) fn association_of(cx: &Engine, id: &str) -> Option<NetworkInterfaceAssociation> {
    let address = of_interface(cx, id)?;
    let vpc = cx.ec2.network.interfaces.get(&id.to_owned()).map_or("", |row| &row.vpc);
    Some(told(cx, vpc, address.ip, Some(address)))
}

/// How an instance is known outside: by its Elastic IP address, else by the one that it got at launch.
pub(in crate::ec2) fn association_of_instance(
    cx: &Engine,
    row: &Instance,
) -> Option<NetworkInterfaceAssociation> {
    if row.state == InstanceStateName::Terminated {
        return None;
    }
    let elastic = of_interface(cx, &instance::interface_id(row));
    let ip = elastic.map(|address| address.ip).or(row.public_ip)?;
    Some(told(cx, &row.vpc, ip, elastic))
}

fn told(cx: &Engine, vpc: &str, ip: Ipv4Addr, elastic: Option<&Address>) -> NetworkInterfaceAssociation {
    NetworkInterfaceAssociation {
        allocation_id: elastic.map(|address| address.id.clone()),
        association_id: elastic.and_then(|address| Some(address.association.as_ref()?.id.clone())),
        ip_owner_id: Some(elastic.map_or_else(|| "amazon".to_owned(), |_| cx.config.account.clone())),
        public_dns_name: Some(public_dns_name(cx, vpc, ip)),
        public_ip: Some(ip.to_string()),
        ..NetworkInterfaceAssociation::default()
    }
}

/// Whether something in the VPC is known outside.
pub(super) fn any_public(cx: &Engine, vpc: &str) -> bool {
    let network = &cx.ec2.network;
    let elastic = network.addresses.iter().filter_map(|row| row.association.as_ref()).any(|association| {
        let id = &association.interface;
        interface::of_id(cx, id).is_ok_and(|found| found.vpc == vpc)
    });
    elastic
        || cx.ec2.instances.iter().any(|row| {
            row.vpc == vpc && row.public_ip.is_some() && row.state != InstanceStateName::Terminated
        })
}

pub(in crate::ec2) fn allocate(
    cx: &mut Engine,
    caller: &Caller,
    request: AllocateAddressRequest,
) -> Result<AllocateAddressResponse, Refusal> {
    if request.domain == Some(DomainType::Standard) {
        return Err(Refusal::new("UnsupportedOperation", "There is no EC2-Classic; use the domain 'vpc'."));
    }
    let own = [&request.address, &request.customer_owned_ipv4_pool, &request.ipam_pool_id];
    let pool = request.public_ipv4_pool.as_deref().is_some_and(|pool| pool != "amazon");
    if pool || own.into_iter().any(|value| value.is_some()) {
        return Err(Refusal::new(
            "UnsupportedOperation",
            "Addresses come from Amazon's pool here; name no address and no other pool.",
        ));
    }
    let tags = tags_of::<Address>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let ip = draw(cx).ok_or_else(|| {
        Refusal::new(
            "InsufficientAddressCapacity",
            "Not enough addresses are available to satisfy the request.",
        )
    })?;
    let id = draw_id(cx, "eipalloc", "ec2.allocation-id");
    cx.ec2.network.addresses.insert(Address { id: id.clone(), ip, association: None, tags });
    Ok(AllocateAddressResponse {
        allocation_id: Some(id),
        public_ipv4_pool: Some("amazon".into()),
        network_border_group: Some(cx.config.region.name.into()),
        domain: Some(DomainType::Vpc),
        public_ip: Some(ip.to_string()),
        ..AllocateAddressResponse::default()
    })
}

/// The address that a request names by its allocation or itself.
fn named<'a>(cx: &'a Engine, id: Option<&str>, ip: Option<&str>) -> Result<&'a Address, Refusal> {
    match (id, ip) {
        (Some(id), _) => find(&cx.ec2.network.addresses, id),
        (None, Some(text)) => by_ip(cx, text),
        (None, None) => Err(missing("AllocationId")),
    }
}

fn by_ip<'a>(cx: &'a Engine, text: &str) -> Result<&'a Address, Refusal> {
    let mut addresses = cx.ec2.network.addresses.iter();
    addresses
        .find(|row| row.ip.to_string() == text)
        .ok_or_else(|| Refusal::new("InvalidAddress.NotFound", format!("Address '{text}' not found.")))
}

pub(in crate::ec2) fn associate(
    cx: &mut Engine,
    _caller: &Caller,
    request: AssociateAddressRequest,
) -> Result<AssociateAddressResponse, Refusal> {
    let address = named(cx, request.allocation_id.as_deref(), request.public_ip.as_deref())?;
    let target = match (&request.instance_id, &request.network_interface_id) {
        (Some(id), None) => {
            let found = instance::existing(cx, std::slice::from_ref(id))?;
            let row = cx.ec2.instances.get(&found[0]).expect("it has just been found");
            let settled = matches!(row.state, InstanceStateName::Running | InstanceStateName::Stopped);
            if !settled {
                return Err(Refusal::new(
                    "InvalidInstanceID",
                    format!("The {} instance '{id}' is not in a valid state for this operation.", row.state),
                ));
            }
            instance::interface_id(row)
        }
        (None, Some(id)) => id.clone(),
        (None, None) => return Err(missing("InstanceId or NetworkInterfaceId")),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "You may specify an instance ID or a network interface ID, but not both.",
            ));
        }
    };
    let found = interface::of_id(cx, &target)?;
    let private = found.private_ip.to_string();
    if let Some(other) = request.private_ip_address.filter(|text| *text != private) {
        return Err(invalid(format!("Address {other} is not assigned to the network interface {target}")));
    }
    if gateway::of_vpc(cx, &found.vpc).is_none() {
        return Err(Refusal::new(
            "Gateway.NotAttached",
            format!("Network {} is not attached to any internet gateway", found.vpc),
        ));
    }
    if let Some(association) = &address.association {
        if association.interface == target {
            return Ok(AssociateAddressResponse { association_id: Some(association.id.clone()) });
        }
        if request.allow_reassociation == Some(false) || request.allow_reassociation.is_none() {
            return Err(Refusal::new(
                "Resource.AlreadyAssociated",
                format!("resource {} is already associated with associate-id {}", address.id, association.id),
            ));
        }
    }
    let id = address.id.clone();
    if let Some(other) = of_interface(cx, &target)
        && request.allow_reassociation != Some(true)
    {
        return Err(Refusal::new(
            "Resource.AlreadyAssociated",
            format!("resource {target} is already associated with address {}", other.ip),
        ));
    }
    dry_run(request.dry_run)?;
    release_from(cx, &target);
    let association = tie(cx, &id, &target, found);
    Ok(AssociateAddressResponse { association_id: Some(association) })
}

/// Associates an address with an interface; the association.
pub(super) fn tie(cx: &mut Engine, id: &str, target: &str, found: interface::Found) -> String {
    let association = draw_id(cx, "eipassoc", "ec2.address-association-id");
    if let Some(mut row) = cx.ec2.network.addresses.edit(&id.to_owned()) {
        row.association = Some(AddressAssociation {
            id: association.clone(),
            interface: target.to_owned(),
            instance: found.instance,
            private_ip: found.private_ip,
        });
    }
    // The Elastic IP address takes the place of the one of the launch, which does not come back (EC2 guide, Elastic IP
    // addresses).
    if let Some(mut row) = found.instance.and_then(|id| cx.ec2.instances.edit(&id)) {
        row.public_ip = None;
    }
    association
}

pub(in crate::ec2) fn disassociate(
    cx: &mut Engine,
    _caller: &Caller,
    request: DisassociateAddressRequest,
) -> Result<DisassociateAddressResponse, Refusal> {
    let address = match (&request.association_id, &request.public_ip) {
        (Some(id), _) => {
            let is = |row: &&Address| row.association.as_ref().is_some_and(|each| each.id == *id);
            let found = cx.ec2.network.addresses.iter().find(is);
            found.ok_or_else(|| route_table::no_association(id))?
        }
        (None, Some(text)) => by_ip(cx, text)?,
        (None, None) => return Err(missing("AssociationId")),
    };
    let id = address.id.clone();
    let target = address.association.as_ref().map(|association| association.interface.clone());
    let requester = target.and_then(|id| cx.ec2.network.interfaces.get(&id)?.requester.clone());
    if requester.is_some() {
        return Err(Refusal::new(
            "AuthFailure",
            "You do not have permission to access the specified resource.",
        ));
    }
    dry_run(request.dry_run)?;
    if let Some(mut row) = cx.ec2.network.addresses.edit(&id) {
        row.association = None;
    }
    Ok(DisassociateAddressResponse {})
}

/// Takes the Elastic IP address from an interface that has one.
pub(super) fn release_from(cx: &mut Engine, interface: &str) {
    let Some(id) = of_interface(cx, interface).map(|row| row.id.clone()) else { return };
    if let Some(mut row) = cx.ec2.network.addresses.edit(&id) {
        row.association = None;
    }
}

/// Whether an instance has an Elastic IP address.
pub(in crate::ec2) fn is_elastic(cx: &Engine, id: InstanceId) -> bool {
    let interface = cx.ec2.instances.get(&id).map(instance::interface_id);
    interface.is_some_and(|interface| of_interface(cx, &interface).is_some())
}

/// An instance has ended: its address is free for others.
pub(in crate::ec2) fn instance_gone(cx: &mut Engine, id: InstanceId) {
    if cx.ec2.network.addresses.is_empty() {
        return;
    }
    let Some(interface) = cx.ec2.instances.get(&id).map(instance::interface_id) else { return };
    release_from(cx, &interface);
}

pub(in crate::ec2) fn release(
    cx: &mut Engine,
    _caller: &Caller,
    request: ReleaseAddressRequest,
) -> Result<ReleaseAddressResponse, Refusal> {
    let address = named(cx, request.allocation_id.as_deref(), request.public_ip.as_deref())?;
    if address.association.is_some() {
        return Err(Refusal::new("InvalidIPAddress.InUse", format!("Address {} is in use.", address.ip)));
    }
    let id = address.id.clone();
    dry_run(request.dry_run)?;
    cx.ec2.network.addresses.remove(&id);
    Ok(ReleaseAddressResponse {})
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeAddressesRequest,
) -> Result<DescribeAddressesResponse, Refusal> {
    let ips = request.public_ips.unwrap_or_default();
    for text in &ips {
        by_ip(cx, text)?;
    }
    let asked = Ask {
        dry_run: request.dry_run,
        ids: request.allocation_ids.as_ref(),
        filters: request.filters.as_ref(),
        next_token: None,
        max_results: None,
    };
    let region = cx.config.region.name;
    let account = &cx.config.account;
    let page = select(&cx.ec2.network.addresses, &asked, FILTERS, |row, name, put| {
        let association = row.association.as_ref();
        match (name, association) {
            ("allocation-id", _) => put(&row.id),
            ("association-id", Some(association)) => put(&association.id),
            ("domain", _) => put("vpc"),
            ("instance-id", Some(association)) => {
                association.instance.iter().for_each(|id| put(&id.to_string()));
            }
            ("network-border-group", _) => put(region),
            ("network-interface-id", Some(association)) => put(&association.interface),
            ("network-interface-owner-id", Some(_)) => put(account),
            ("private-ip-address", Some(association)) => put(&association.private_ip.to_string()),
            ("public-ip", _) => put(&row.ip.to_string()),
            _ => {}
        }
    })?;
    let wanted = |row: &&Address| ips.is_empty() || ips.contains(&row.ip.to_string());
    let addresses = page.items.into_iter().filter(wanted).map(|row| described(cx, row));
    Ok(DescribeAddressesResponse { addresses: Some(addresses.collect()) })
}

fn described(cx: &Engine, row: &Address) -> ec2::Address {
    let association = row.association.as_ref();
    ec2::Address {
        allocation_id: Some(row.id.clone()),
        association_id: association.map(|each| each.id.clone()),
        domain: Some(DomainType::Vpc),
        network_interface_id: association.map(|each| each.interface.clone()),
        network_interface_owner_id: association.map(|_| cx.config.account.clone()),
        private_ip_address: association.map(|each| each.private_ip.to_string()),
        tags: listed(&row.tags),
        public_ipv4_pool: Some("amazon".into()),
        network_border_group: Some(cx.config.region.name.into()),
        instance_id: association.and_then(|each| each.instance).map(|id| id.to_string()),
        public_ip: Some(row.ip.to_string()),
        ..ec2::Address::default()
    }
}

const FILTERS: &[&str] = &[
    "allocation-id",
    "association-id",
    "domain",
    "instance-id",
    "network-border-group",
    "network-interface-id",
    "network-interface-owner-id",
    "private-ip-address",
    "public-ip",
    TAGS,
];

/// Attributes of addresses: names for the way back, which nothing here sets.
pub(in crate::ec2) fn describe_attributes(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeAddressesAttributeRequest,
) -> Result<DescribeAddressesAttributeResponse, Refusal> {
    let asked = Ask {
        dry_run: request.dry_run,
        ids: request.allocation_ids.as_ref(),
        filters: None,
        next_token: request.next_token.as_deref(),
        max_results: None,
    };
    let page = select(&cx.ec2.network.addresses, &asked, &[], |_, _, _| {})?;
    let page = crate::ec2::page_of(page.items, |row| row.id.clone(), None, request.max_results)?;
    let told = |row: &Address| AddressAttribute {
        public_ip: Some(row.ip.to_string()),
        allocation_id: Some(row.id.clone()),
        ..AddressAttribute::default()
    };
    Ok(DescribeAddressesAttributeResponse {
        addresses: Some(page.items.into_iter().map(told).collect()),
        next_token: page.next,
    })
}
