//! VPC endpoints. Services answer on this machine whatever leads to them; an endpoint has its interfaces and its routes.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, CreateVpcEndpointRequest, CreateVpcEndpointResponse, DeleteVpcEndpointsRequest,
    DeleteVpcEndpointsResponse, DescribeVpcEndpointsRequest, DescribeVpcEndpointsResponse, DnsEntry,
    DnsOptions, DnsRecordIpType, IpAddressType, ModifyVpcEndpointRequest, ModifyVpcEndpointResponse,
    NetworkInterfaceType, SecurityGroupIdentifier, State, UnsuccessfulItem, UnsuccessfulItemError,
    VpcEndpointType,
};

use super::resource::{find, repeated};
use super::{Subnet, VpcEndpoint, ask, interface, listed, prefix_list, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, digest, draw_id, dry_run, invalid, missing};
use crate::{Caller, Engine};

/// Our reading: interfaces take AWS a minute or more; there is nothing to build here.
const BUILDS: Span = Span::from_secs(5);
const ENDS: Span = Span::from_secs(5);

/// What an endpoint allows unless it is told (VPC guide, endpoint policies).
const ALL_ALLOWED: &str = r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// Where the names of interface endpoints are (Route 53).
const HOSTED_ZONE: &str = "Z7HUB22UULQXV";

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateVpcEndpointRequest,
) -> Result<CreateVpcEndpointResponse, Refusal> {
    let client_token = request.client_token;
    if let Some(made) = repeated(&cx.ec2.network.endpoints, client_token.as_ref()) {
        return Ok(CreateVpcEndpointResponse { vpc_endpoint: Some(described(cx, made)), client_token });
    }
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?.id.clone();
    let kind = request.vpc_endpoint_type.unwrap_or(VpcEndpointType::Gateway);
    if !matches!(kind, VpcEndpointType::Gateway | VpcEndpointType::Interface) {
        return Err(Refusal::new(
            "UnsupportedOperation",
            format!("There are no endpoints of type {kind} here."),
        ));
    }
    if request.ip_address_type.is_some_and(|kind| kind != IpAddressType::Ipv4) {
        super::vpc::no_ipv6(true)?;
    }
    let service = request.service_name.ok_or_else(|| missing("ServiceName"))?;
    let local = service.strip_prefix(&format!("com.amazonaws.{}.", cx.config.region.name));
    let known = match kind {
        VpcEndpointType::Gateway => local.is_some_and(|name| prefix_list::SERVICES.contains(&name)),
        _ => local.is_some_and(|name| !name.is_empty()),
    };
    if !known {
        return Err(Refusal::new(
            "InvalidServiceName",
            format!("The Vpc Endpoint Service '{service}' does not exist"),
        ));
    }
    let (tables, subnets, groups) = (
        request.route_table_ids.unwrap_or_default(),
        request.subnet_ids.unwrap_or_default(),
        request.security_group_ids.unwrap_or_default(),
    );
    fits(kind, &tables, &subnets, &groups)?;
    for table in &tables {
        let table = find(&cx.ec2.network.route_tables, table)?;
        same_vpc(&vpc, &table.vpc, &table.id)?;
    }
    let rows = rows(cx, &vpc, &subnets)?;
    let groups = match kind {
        VpcEndpointType::Gateway => Vec::new(),
        _ => interface::groups(cx, &vpc, Some(groups))?,
    };
    let tags = tags_of::<VpcEndpoint>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let mut row = VpcEndpoint {
        id: draw_id(cx, "vpce", "ec2.vpc-endpoint-id"),
        vpc,
        kind,
        service,
        state: State::Available,
        policy: request.policy_document.filter(|text| !text.is_empty()).unwrap_or_else(|| ALL_ALLOWED.into()),
        route_tables: tables,
        interfaces: Vec::new(),
        groups,
        private_dns: kind == VpcEndpointType::Interface && request.private_dns_enabled.unwrap_or(true),
        created_at: cx.now,
        due_at: None,
        client_token: client_token.clone(),
        tags,
    };
    if kind == VpcEndpointType::Interface {
        row.state = State::Pending;
        row.due_at = Some(cx.now + BUILDS);
    }
    for subnet in rows {
        join(cx, &mut row, &subnet)?;
    }
    let told = described(cx, &row);
    cx.ec2.network.endpoints.insert(row);
    Ok(CreateVpcEndpointResponse { vpc_endpoint: Some(told), client_token })
}

/// Gateways stand in route tables, interfaces in subnets.
fn fits(
    kind: VpcEndpointType,
    tables: &[String],
    subnets: &[String],
    groups: &[String],
) -> Result<(), Refusal> {
    let clash = match kind {
        VpcEndpointType::Gateway if !subnets.is_empty() => Some("Subnets"),
        VpcEndpointType::Gateway if !groups.is_empty() => Some("Security groups"),
        VpcEndpointType::Interface if !tables.is_empty() => Some("Route table IDs"),
        _ => None,
    };
    match clash {
        Some(what) => Err(Refusal::new(
            "InvalidParameter",
            format!("{what} are not supported for {kind} VPC Endpoint."),
        )),
        None => Ok(()),
    }
}

fn same_vpc(vpc: &str, other: &str, id: &str) -> Result<(), Refusal> {
    if vpc == other {
        return Ok(());
    }
    Err(invalid(format!("{id} and the endpoint belong to different networks ({vpc})")))
}

/// Subnets of the VPC, each in a zone of its own.
fn rows(cx: &Engine, vpc: &str, ids: &[String]) -> Result<Vec<Subnet>, Refusal> {
    let mut found: Vec<Subnet> = Vec::new();
    for id in ids {
        let subnet = cx.ec2.network.subnet(id)?;
        same_vpc(vpc, &subnet.vpc, id)?;
        if found.iter().any(|other| other.zone == subnet.zone) {
            return Err(Refusal::new(
                "DuplicateSubnetsInSameZone",
                format!("Found another VPC endpoint subnet in the availability zone of {id}."),
            ));
        }
        found.push(subnet.clone());
    }
    Ok(found)
}

/// Gives the endpoint an interface in a subnet.
fn join(cx: &mut Engine, row: &mut VpcEndpoint, subnet: &Subnet) -> Result<(), Refusal> {
    let address = interface::free_address(cx, subnet, "ec2.interface-address");
    let draft = interface::Draft {
        private_ip: address.ok_or_else(|| interface::no_address(&subnet.id))?,
        subnet,
        description: format!("VPC Endpoint Interface {}", row.id),
        groups: row.groups.clone(),
        kind: NetworkInterfaceType::VpcEndpoint,
        requester: Some("amazon-vpce".into()),
        client_token: None,
        tags: Tags::new(),
    };
    let id = interface::insert(cx, draft);
    row.interfaces.push((subnet.id.clone(), id));
    Ok(())
}

pub(in crate::ec2) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifyVpcEndpointRequest,
) -> Result<ModifyVpcEndpointResponse, Refusal> {
    let mut row = find(&cx.ec2.network.endpoints, &request.vpc_endpoint_id)?.clone();
    let (tables, subnets, groups) = (
        request.add_route_table_ids.unwrap_or_default(),
        request.add_subnet_ids.unwrap_or_default(),
        request.add_security_group_ids.unwrap_or_default(),
    );
    fits(row.kind, &tables, &subnets, &groups)?;
    for table in tables {
        let found = find(&cx.ec2.network.route_tables, &table)?;
        same_vpc(&row.vpc, &found.vpc, &table)?;
        if !row.route_tables.contains(&table) {
            row.route_tables.push(table);
        }
    }
    let gone = request.remove_route_table_ids.unwrap_or_default();
    row.route_tables.retain(|id| !gone.contains(id));
    if !groups.is_empty() {
        for group in interface::groups(cx, &row.vpc, Some(groups))? {
            if !row.groups.contains(&group) {
                row.groups.push(group);
            }
        }
    }
    let gone = request.remove_security_group_ids.unwrap_or_default();
    row.groups.retain(|id| !gone.contains(id));
    let left = request.remove_subnet_ids.unwrap_or_default();
    let mut stand: Vec<String> = row.interfaces.iter().map(|(subnet, _)| subnet.clone()).collect();
    stand.retain(|id| !left.contains(id));
    stand.extend(subnets.iter().filter(|id| !row.interfaces.iter().any(|(of, _)| of == *id)).cloned());
    let stand = rows(cx, &row.vpc, &stand)?;
    if request.reset_policy == Some(true) {
        row.policy = ALL_ALLOWED.into();
    }
    row.policy = request.policy_document.filter(|text| !text.is_empty()).unwrap_or(row.policy);
    row.private_dns = request.private_dns_enabled.unwrap_or(row.private_dns);
    dry_run(request.dry_run)?;
    for (subnet, interface) in std::mem::take(&mut row.interfaces) {
        if left.contains(&subnet) {
            interface::remove(cx, &interface);
        } else {
            if let Some(mut interface) = cx.ec2.network.interfaces.edit(&interface) {
                interface.groups.clone_from(&row.groups);
            }
            row.interfaces.push((subnet, interface));
        }
    }
    for subnet in stand {
        if !row.interfaces.iter().any(|(of, _)| *of == subnet.id) {
            join(cx, &mut row, &subnet)?;
        }
    }
    cx.ec2.network.endpoints.insert(row);
    Ok(ModifyVpcEndpointResponse { r#return: Some(true) })
}

/// What cannot be deleted is told in the answer.
pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteVpcEndpointsRequest,
) -> Result<DeleteVpcEndpointsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let due = cx.now + ENDS;
    let mut unsuccessful = Vec::new();
    for id in request.vpc_endpoint_ids {
        match find(&cx.ec2.network.endpoints, &id) {
            Ok(_) => {
                if let Some(mut row) = cx.ec2.network.endpoints.edit(&id) {
                    row.state = State::Deleting;
                    row.due_at = Some(due);
                }
            }
            Err(refusal) => unsuccessful.push(UnsuccessfulItem {
                error: Some(UnsuccessfulItemError {
                    code: Some(refusal.code.into_owned()),
                    message: Some(refusal.message),
                }),
                resource_id: Some(id),
            }),
        }
    }
    Ok(DeleteVpcEndpointsResponse { unsuccessful: Some(unsuccessful) })
}

/// An endpoint is ready, or gone.
pub(in crate::ec2) fn due(cx: &mut Engine, id: &str) {
    let id = id.to_owned();
    let Some(mut row) = cx.ec2.network.endpoints.edit(&id) else { return };
    row.due_at = None;
    if row.state != State::Deleting {
        row.state = State::Available;
        return;
    }
    drop(row);
    let row = cx.ec2.network.endpoints.remove(&id);
    for (_, interface) in row.into_iter().flat_map(|row| row.interfaces) {
        interface::remove(cx, &interface);
    }
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVpcEndpointsRequest,
) -> Result<DescribeVpcEndpointsResponse, Refusal> {
    let known = [
        "ip-address-type",
        "service-name",
        "vpc-endpoint-id",
        "vpc-endpoint-state",
        "vpc-endpoint-type",
        "vpc-id",
        TAGS,
    ];
    let asked = ask!(request, vpc_endpoint_ids, filters);
    let page = select(&cx.ec2.network.endpoints, &asked, &known, |row, name, put| match name {
        "ip-address-type" => put("ipv4"),
        "service-name" => put(&row.service),
        "vpc-endpoint-id" => put(&row.id),
        "vpc-endpoint-state" => put(row.state.as_str()),
        "vpc-endpoint-type" => put(row.kind.as_str()),
        "vpc-id" => put(&row.vpc),
        _ => {}
    })?;
    Ok(DescribeVpcEndpointsResponse {
        vpc_endpoints: Some(page.items.into_iter().map(|row| described(cx, row)).collect()),
        next_token: page.next,
    })
}

fn described(cx: &Engine, row: &VpcEndpoint) -> ec2::VpcEndpoint {
    let interface = row.kind == VpcEndpointType::Interface;
    let group = |id: &String| SecurityGroupIdentifier {
        group_id: Some(id.clone()),
        group_name: cx.ec2.network.security_groups.get(id).map(|group| group.name.clone()),
    };
    ec2::VpcEndpoint {
        vpc_endpoint_id: Some(row.id.clone()),
        vpc_endpoint_type: Some(row.kind),
        vpc_id: Some(row.vpc.clone()),
        service_name: Some(row.service.clone()),
        state: Some(row.state),
        policy_document: Some(row.policy.clone()),
        route_table_ids: Some(row.route_tables.clone()),
        subnet_ids: Some(row.interfaces.iter().map(|(subnet, _)| subnet.clone()).collect()),
        groups: Some(row.groups.iter().map(group).collect()),
        ip_address_type: Some(IpAddressType::Ipv4),
        dns_options: Some(DnsOptions {
            dns_record_ip_type: Some(if interface {
                DnsRecordIpType::Ipv4
            } else {
                DnsRecordIpType::ServiceDefined
            }),
            ..DnsOptions::default()
        }),
        private_dns_enabled: Some(row.private_dns),
        requester_managed: Some(false),
        network_interface_ids: Some(row.interfaces.iter().map(|(_, id)| id.clone()).collect()),
        dns_entries: Some(if interface { dns_entries(cx, row) } else { Vec::new() }),
        creation_timestamp: Some(row.created_at),
        tags: listed(&row.tags),
        owner_id: Some(cx.config.account.clone()),
        service_region: Some(cx.config.region.name.into()),
        ..ec2::VpcEndpoint::default()
    }
}

/// The names of an interface endpoint: its own, one for each zone, and the service's when it is private.
fn dns_entries(cx: &Engine, row: &VpcEndpoint) -> Vec<DnsEntry> {
    let region = cx.config.region.name;
    let service = row.service.rsplit('.').next().unwrap_or_default();
    let stem = format!("{}-{:08x}", row.id, digest(row.id.bytes()) >> 32);
    let entry = |name: String, zone: Option<&str>| DnsEntry {
        dns_name: Some(name),
        hosted_zone_id: zone.map(str::to_owned),
    };
    let mut entries = vec![entry(format!("{stem}.{service}.{region}.vpce.amazonaws.com"), Some(HOSTED_ZONE))];
    for (subnet, _) in &row.interfaces {
        let zone = cx.ec2.network.subnets.get(subnet).map_or("", |subnet| subnet.zone.name);
        let name = format!("{stem}-{zone}.{service}.{region}.vpce.amazonaws.com");
        entries.push(entry(name, Some(HOSTED_ZONE)));
    }
    if row.private_dns {
        entries.push(entry(format!("{service}.{region}.amazonaws.com"), None));
    }
    entries
}
