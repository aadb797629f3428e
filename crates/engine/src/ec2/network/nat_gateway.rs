//! NAT gateways. They stand in their subnet with an address; nothing goes through them.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, ConnectivityType, CreateNatGatewayRequest, CreateNatGatewayResponse, DeleteNatGatewayRequest,
    DeleteNatGatewayResponse, DescribeNatGatewaysRequest, DescribeNatGatewaysResponse, NatGatewayAddress,
    NatGatewayAddressStatus, NatGatewayState, NetworkInterfaceType,
};

use super::resource::{Resource, find, repeated};
use super::{Ask, NatGateway, address, gateway, interface, listed, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{draw_id, dry_run, missing};
use crate::{Caller, Engine};

/// Our reading: AWS takes a minute or two for what is in either direction a matter of machines; here is nothing to build.
const BUILDS: Span = Span::from_secs(10);
const ENDS: Span = Span::from_secs(10);
/// How long a deleted one is still described (VPC guide, NAT gateways: about an hour).
const REMEMBERED: Span = Span::from_hours(1);

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateNatGatewayRequest,
) -> Result<CreateNatGatewayResponse, Refusal> {
    let client_token = request.client_token;
    if let Some(made) = repeated(&cx.ec2.network.nat_gateways, client_token.as_ref()) {
        return Ok(CreateNatGatewayResponse { nat_gateway: Some(described(cx, made)), client_token });
    }
    let several = request.secondary_allocation_ids.is_some_and(|list| !list.is_empty())
        || request.secondary_private_ip_addresses.is_some_and(|list| !list.is_empty())
        || request.secondary_private_ip_address_count.is_some_and(|count| count > 0);
    if several {
        return Err(Refusal::new("UnsupportedOperation", "NAT gateways have one private address here."));
    }
    if request.availability_mode.is_some_and(|mode| mode != ec2::AvailabilityMode::Zonal)
        || request.availability_zone_addresses.is_some_and(|list| !list.is_empty())
    {
        return Err(Refusal::new("UnsupportedOperation", "NAT gateways are zonal here: name a subnet."));
    }
    let subnet = request.subnet_id.as_deref().ok_or_else(|| missing("subnetId"))?;
    let subnet = cx.ec2.network.subnet(subnet)?.clone();
    let connectivity = request.connectivity_type.unwrap_or(ConnectivityType::Public);
    let allocation = match (connectivity, request.allocation_id) {
        (ConnectivityType::Private, Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "AllocationId must not be specified for a private NAT gateway.",
            ));
        }
        (ConnectivityType::Private, None) => None,
        (ConnectivityType::Public, None) => return Err(missing("AllocationId")),
        (ConnectivityType::Public, Some(id)) => {
            let address = find(&cx.ec2.network.addresses, &id)?;
            if let Some(association) = &address.association {
                return Err(Refusal::new(
                    "Resource.AlreadyAssociated",
                    format!("resource {id} is already associated with associate-id {}", association.id),
                ));
            }
            Some(id)
        }
    };
    let wanted = request.private_ip_address;
    let wanted = wanted.map(|text| interface::named_address(cx, &subnet, &text)).transpose()?;
    let tags = tags_of::<NatGateway>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let private_ip = wanted.or_else(|| interface::free_address(cx, &subnet, "ec2.interface-address"));
    let private_ip = private_ip.ok_or_else(|| interface::no_address(&subnet.id))?;
    let id = draw_id(cx, "nat", "ec2.nat-gateway-id");
    let draft = interface::Draft {
        subnet: &subnet,
        private_ip,
        description: format!("Interface for NAT Gateway {id}"),
        groups: Vec::new(),
        kind: NetworkInterfaceType::NatGateway,
        requester: Some("amazon-vpc-nat".into()),
        client_token: None,
        tags: Default::default(),
    };
    let interface = interface::insert(cx, draft);
    let mut public_ip = None;
    if let Some(allocation) = &allocation {
        let found = interface::Found { vpc: subnet.vpc.clone(), private_ip, instance: None };
        address::tie(cx, allocation, &interface, found);
        public_ip = find(&cx.ec2.network.addresses, allocation).ok().map(|row| row.ip);
    }
    let row = NatGateway {
        id,
        vpc: subnet.vpc,
        subnet: subnet.id,
        connectivity,
        state: NatGatewayState::Pending,
        failure: None,
        allocation,
        interface,
        private_ip,
        public_ip,
        created_at: cx.now,
        deleted_at: None,
        due_at: Some(cx.now + BUILDS),
        client_token: client_token.clone(),
        tags,
    };
    let told = described(cx, &row);
    cx.ec2.network.nat_gateways.insert(row);
    Ok(CreateNatGatewayResponse { nat_gateway: Some(told), client_token })
}

/// The next thing happens to a NAT gateway.
pub(in crate::ec2) fn due(cx: &mut Engine, id: &str) {
    let Some(row) = cx.ec2.network.nat_gateways.get(&id.to_owned()) else { return };
    let (state, interface) = (row.state, row.interface.clone());
    // Without a way out it cannot be built (VPC guide, NAT gateway creation fails).
    let stranded = row.connectivity == ConnectivityType::Public && gateway::of_vpc(cx, &row.vpc).is_none();
    let (vpc, now) = (row.vpc.clone(), cx.now);
    if state == NatGatewayState::Deleting || state == NatGatewayState::Pending && stranded {
        interface::remove(cx, &interface);
    }
    let Some(mut row) = cx.ec2.network.nat_gateways.edit(&id.to_owned()) else { return };
    row.due_at = None;
    match state {
        NatGatewayState::Pending if stranded => {
            row.state = NatGatewayState::Failed;
            let message = format!("Network {vpc} has no Internet gateway attached");
            row.failure = Some(("Gateway.NotAttached".into(), message));
            row.deleted_at = Some(now);
            row.due_at = Some(now + REMEMBERED);
        }
        NatGatewayState::Pending => row.state = NatGatewayState::Available,
        NatGatewayState::Deleting => {
            row.state = NatGatewayState::Deleted;
            row.deleted_at = Some(now);
            row.due_at = Some(now + REMEMBERED);
        }
        NatGatewayState::Available => {}
        NatGatewayState::Deleted | NatGatewayState::Failed => {
            drop(row);
            cx.ec2.network.nat_gateways.remove(&id.to_owned());
        }
    }
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteNatGatewayRequest,
) -> Result<DeleteNatGatewayResponse, Refusal> {
    let id = request.nat_gateway_id;
    let state = find(&cx.ec2.network.nat_gateways, &id)?.state;
    if state == NatGatewayState::Deleted {
        return Err(NatGateway::absent(&id));
    }
    dry_run(request.dry_run)?;
    let due = cx.now + ENDS;
    if let Some(mut row) = cx.ec2.network.nat_gateways.edit(&id)
        && matches!(state, NatGatewayState::Pending | NatGatewayState::Available)
    {
        row.state = NatGatewayState::Deleting;
        row.due_at = Some(due);
    }
    Ok(DeleteNatGatewayResponse { nat_gateway_id: Some(id) })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeNatGatewaysRequest,
) -> Result<DescribeNatGatewaysResponse, Refusal> {
    let asked = Ask {
        dry_run: request.dry_run,
        ids: request.nat_gateway_ids.as_ref(),
        filters: request.filter.as_ref(),
        next_token: request.next_token.as_deref(),
        max_results: request.max_results,
    };
    let known = ["nat-gateway-id", "state", "subnet-id", "vpc-id", TAGS];
    let page = select(&cx.ec2.network.nat_gateways, &asked, &known, |row, name, put| match name {
        "nat-gateway-id" => put(&row.id),
        "state" => put(row.state.as_str()),
        "subnet-id" => put(&row.subnet),
        "vpc-id" => put(&row.vpc),
        _ => {}
    })?;
    Ok(DescribeNatGatewaysResponse {
        nat_gateways: Some(page.items.into_iter().map(|row| described(cx, row)).collect()),
        next_token: page.next,
    })
}

fn described(cx: &Engine, row: &NatGateway) -> ec2::NatGateway {
    let association = address::association_of(cx, &row.interface).and_then(|each| each.association_id);
    let status = match row.state {
        NatGatewayState::Failed => NatGatewayAddressStatus::Failed,
        NatGatewayState::Pending => NatGatewayAddressStatus::Associating,
        _ => NatGatewayAddressStatus::Succeeded,
    };
    ec2::NatGateway {
        create_time: Some(row.created_at),
        delete_time: row.deleted_at,
        failure_code: row.failure.as_ref().map(|(code, _)| code.clone()),
        failure_message: row.failure.as_ref().map(|(_, message)| message.clone()),
        nat_gateway_addresses: Some(vec![NatGatewayAddress {
            allocation_id: row.allocation.clone(),
            association_id: association,
            network_interface_id: Some(row.interface.clone()),
            private_ip: Some(row.private_ip.to_string()),
            public_ip: row.public_ip.map(|ip| ip.to_string()),
            is_primary: Some(true),
            status: Some(status),
            ..NatGatewayAddress::default()
        }]),
        nat_gateway_id: Some(row.id.clone()),
        state: Some(row.state),
        subnet_id: Some(row.subnet.clone()),
        vpc_id: Some(row.vpc.clone()),
        tags: listed(&row.tags),
        connectivity_type: Some(row.connectivity),
        ..ec2::NatGateway::default()
    }
}
