//! Routes of route tables. They are kept and told; nothing follows them.

use capstan_model::InstanceId;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    CREATE_ROUTE_REQUEST, CreateRouteRequest, CreateRouteResponse, DeleteRouteRequest, DeleteRouteResponse,
    InstanceStateName, NatGatewayState, REPLACE_ROUTE_REQUEST, ReplaceRouteRequest, ReplaceRouteResponse,
    Route, RouteOrigin, RouteState,
};

use super::resource::find;
use super::{Cidr, InternetGateway, RouteTable, RouteTarget, cidr, gateway, prefix_list, vpc};
use crate::ec2::{dry_run, instance, invalid, missing};
use crate::kernel::recast;
use crate::{Caller, Engine};

/// The destination of a request, as the table keeps it.
fn destination(cidr: Option<&str>, ipv6: Option<&str>, prefix_list: Option<&str>) -> Result<String, Refusal> {
    match (cidr, ipv6, prefix_list) {
        (Some(text), None, None) => Ok(cidr::read(text, "destinationCidrBlock")?.to_string()),
        (None, Some(_), None) => vpc::no_ipv6(true).map(|()| String::new()),
        (None, None, Some(id)) => Ok(id.to_owned()),
        (None, None, None) => Err(missing("destinationCidrBlock")),
        _ => Err(Refusal::new(
            "InvalidParameterCombination",
            "Exactly one of destinationCidrBlock, destinationIpv6CidrBlock and destinationPrefixListId must be given",
        )),
    }
}

/// The target that the request names, held against what there is.
fn target(cx: &Engine, given: &CreateRouteRequest, table: &RouteTable) -> Result<RouteTarget, Refusal> {
    let others = [
        ("carrier gateways", &given.carrier_gateway_id),
        ("core networks", &given.core_network_arn),
        ("egress-only internet gateways", &given.egress_only_internet_gateway_id),
        ("local gateways", &given.local_gateway_id),
        ("ODB networks", &given.odb_network_arn),
        ("transit gateways", &given.transit_gateway_id),
        ("Gateway Load Balancer endpoints", &given.vpc_endpoint_id),
        ("VPC peering connections", &given.vpc_peering_connection_id),
    ];
    if let Some((kind, _)) = others.into_iter().find(|(_, id)| id.is_some()) {
        return Err(Refusal::new("UnsupportedOperation", format!("There are no {kind} here.")));
    }
    let network = &cx.ec2.network;
    let named = [&given.gateway_id, &given.instance_id, &given.nat_gateway_id, &given.network_interface_id];
    if named.into_iter().flatten().count() != 1 {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, \
             vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId or instanceId",
        ));
    }
    let elsewhere = |id: &str| {
        invalid(format!("route table {} and network gateway {id} belong to different networks", table.id))
    };
    if let Some(id) = &given.gateway_id {
        let gateway: &InternetGateway = find(&network.gateways, id)?;
        if gateway.vpc.as_deref() != Some(&table.vpc) {
            return Err(elsewhere(id));
        }
        return Ok(RouteTarget::Gateway(id.clone()));
    }
    if let Some(id) = &given.nat_gateway_id {
        let nat = find(&network.nat_gateways, id)?;
        if nat.vpc != table.vpc {
            return Err(elsewhere(id));
        }
        return Ok(RouteTarget::NatGateway(id.clone()));
    }
    if let Some(id) = &given.instance_id {
        instance::existing(cx, std::slice::from_ref(id))?;
        return Ok(RouteTarget::Instance(id.clone()));
    }
    let id = given.network_interface_id.clone().unwrap_or_default();
    super::interface::of_id(cx, &id)?;
    Ok(RouteTarget::NetworkInterface(id))
}

/// Whether the table's VPC has the destination itself.
fn is_local(cx: &Engine, table: &RouteTable, destination: &str) -> bool {
    let blocks = cx.ec2.network.vpcs.get(&table.vpc).map_or(&[][..], |vpc| &vpc.blocks);
    Cidr::parse(destination).is_some_and(|cidr| blocks.iter().any(|block| block.cidr == cidr))
}

fn no_route(table: &str, destination: &str) -> Refusal {
    Refusal::new(
        "InvalidRoute.NotFound",
        format!("no route with destination-cidr-block {destination} in route table {table}"),
    )
}

/// The destination and the target of a request.
fn read(
    cx: &Engine,
    given: &CreateRouteRequest,
    table: &RouteTable,
) -> Result<(String, RouteTarget), Refusal> {
    let destination = destination(
        given.destination_cidr_block.as_deref(),
        given.destination_ipv6_cidr_block.as_deref(),
        given.destination_prefix_list_id.as_deref(),
    )?;
    Ok((destination, target(cx, given, table)?))
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: CreateRouteRequest,
) -> Result<CreateRouteResponse, Refusal> {
    let table = find(&cx.ec2.network.route_tables, &request.route_table_id)?;
    let (destination, target) = read(cx, &request, table)?;
    let same = table.routes.get(&destination) == Some(&target);
    if !same && (table.routes.contains_key(&destination) || is_local(cx, table, &destination)) {
        return Err(Refusal::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    dry_run(request.dry_run)?;
    if let Some(mut table) = cx.ec2.network.route_tables.edit(&request.route_table_id) {
        table.routes.insert(destination, target);
    }
    Ok(CreateRouteResponse { r#return: Some(true) })
}

pub(in crate::ec2) fn replace(
    cx: &mut Engine,
    _caller: &Caller,
    request: ReplaceRouteRequest,
) -> Result<ReplaceRouteResponse, Refusal> {
    if request.local_target == Some(true) {
        return Err(Refusal::new("UnsupportedOperation", "Local routes cannot be replaced here."));
    }
    // But for that, both requests say the same.
    let request: CreateRouteRequest = recast(request, &REPLACE_ROUTE_REQUEST, &CREATE_ROUTE_REQUEST);
    let table = find(&cx.ec2.network.route_tables, &request.route_table_id)?;
    let (destination, target) = read(cx, &request, table)?;
    if !table.routes.contains_key(&destination) {
        return Err(no_route(&request.route_table_id, &destination));
    }
    dry_run(request.dry_run)?;
    if let Some(mut table) = cx.ec2.network.route_tables.edit(&request.route_table_id) {
        table.routes.insert(destination, target);
    }
    Ok(ReplaceRouteResponse {})
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteRouteRequest,
) -> Result<DeleteRouteResponse, Refusal> {
    let table = find(&cx.ec2.network.route_tables, &request.route_table_id)?;
    let destination = destination(
        request.destination_cidr_block.as_deref(),
        request.destination_ipv6_cidr_block.as_deref(),
        request.destination_prefix_list_id.as_deref(),
    )?;
    if is_local(cx, table, &destination) {
        return Err(invalid(format!(
            "cannot remove local route {destination} in route table {}",
            request.route_table_id
        )));
    }
    if !table.routes.contains_key(&destination) {
        return Err(no_route(&request.route_table_id, &destination));
    }
    dry_run(request.dry_run)?;
    if let Some(mut table) = cx.ec2.network.route_tables.edit(&request.route_table_id) {
        table.routes.remove(&destination);
    }
    Ok(DeleteRouteResponse {})
}

/// The table's routes: what is local to the VPC first.
pub(super) fn described(cx: &Engine, table: &RouteTable) -> Vec<Route> {
    let blocks = cx.ec2.network.vpcs.get(&table.vpc).map_or(&[][..], |vpc| &vpc.blocks);
    let local = blocks.iter().map(|block| Route {
        destination_cidr_block: Some(block.cidr.to_string()),
        gateway_id: Some("local".into()),
        origin: Some(RouteOrigin::CreateRouteTable),
        state: Some(RouteState::Active),
        ..Route::default()
    });
    let own = table.routes.iter().map(|(destination, target)| {
        let state =
            if leads_somewhere(cx, table, target) { RouteState::Active } else { RouteState::Blackhole };
        let mut route =
            Route { origin: Some(RouteOrigin::CreateRoute), state: Some(state), ..Route::default() };
        if destination.starts_with("pl-") {
            route.destination_prefix_list_id = Some(destination.clone());
        } else {
            route.destination_cidr_block = Some(destination.clone());
        }
        match target {
            RouteTarget::Gateway(id) => route.gateway_id = Some(id.clone()),
            RouteTarget::NatGateway(id) => route.nat_gateway_id = Some(id.clone()),
            RouteTarget::NetworkInterface(id) => route.network_interface_id = Some(id.clone()),
            RouteTarget::Instance(id) => {
                let instance = id.parse().ok().and_then(|id: InstanceId| cx.ec2.instances.get(&id));
                route.instance_id = Some(id.clone());
                route.instance_owner_id = Some(cx.config.account.clone());
                route.network_interface_id = instance.map(instance::interface_id);
            }
        }
        route
    });
    let endpoints = cx.ec2.network.endpoints.iter().filter(|row| row.route_tables.contains(&table.id));
    let endpoints = endpoints.map(|row| Route {
        destination_prefix_list_id: Some(prefix_list::id_of(&row.service)),
        gateway_id: Some(row.id.clone()),
        origin: Some(RouteOrigin::CreateRoute),
        state: Some(RouteState::Active),
        ..Route::default()
    });
    local.chain(own).chain(endpoints).collect()
}

/// Whether a target is there and serves the table's VPC; a route to another one is a black hole (VPC guide, route
/// tables).
fn leads_somewhere(cx: &Engine, table: &RouteTable, target: &RouteTarget) -> bool {
    match target {
        RouteTarget::Gateway(id) => gateway::of_vpc(cx, &table.vpc).is_some_and(|gateway| gateway.id == *id),
        RouteTarget::NatGateway(id) => cx
            .ec2
            .network
            .nat_gateways
            .get(id)
            .is_some_and(|nat| matches!(nat.state, NatGatewayState::Pending | NatGatewayState::Available)),
        RouteTarget::Instance(id) => {
            let instance = id.parse().ok().and_then(|id: InstanceId| cx.ec2.instances.get(&id));
            instance.is_some_and(|instance| instance.state == InstanceStateName::Running)
        }
        RouteTarget::NetworkInterface(id) => super::interface::of_id(cx, id).is_ok(),
    }
}
