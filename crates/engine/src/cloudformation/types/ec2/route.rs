//! Route tables, routes, associations, and NAT gateways.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{self as shapes, NatGatewayState};
use serde_json::{Map, Value as Json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, never};
use super::super::common::{attributes, changed, done_if};
use super::{NO_PACKETS, id_as, specification, update_tags};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::EC2::NatGateway",
        inert: NO_PACKETS,
        create: create_nat,
        update: update_nat,
        delete: delete_nat,
        stable: stable_nat,
        attributes: nat_attributes,
    },
    Handler {
        type_name: "AWS::EC2::Route",
        inert: NO_PACKETS,
        create: create_route,
        update: |cx, _, new| {
            let request: shapes::ReplaceRouteRequest = new.request(&[])?;
            call(cx, request).map(drop)
        },
        delete: delete_route,
        stable: always,
        attributes: |_, resource| {
            let destination = resource.physical_id.split_once('|').map_or("", |(_, destination)| destination);
            attributes([("CidrBlock", destination.to_owned())])
        },
    },
    Handler {
        type_name: "AWS::EC2::RouteTable",
        inert: NO_PACKETS,
        create: create_table,
        update: update_tags,
        delete: delete_table,
        stable: always,
        attributes: |_, resource| id_as(resource, "RouteTableId"),
    },
    Handler {
        type_name: "AWS::EC2::SubnetRouteTableAssociation",
        inert: NO_PACKETS,
        create: associate,
        update: never,
        delete: disassociate,
        stable: always,
        attributes: |_, resource| id_as(resource, "Id"),
    },
];

fn create_table(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateRouteTableRequest = resource.request(&[])?;
    request.tag_specifications = specification("route-table", resource);
    request.client_token = Some(resource.request_token.clone());
    let made = call(cx, request)?.route_table;
    Ok(made.and_then(|table| table.route_table_id).unwrap_or_default())
}

fn delete_table(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let route_table_id = resource.physical_id.clone();
    call(cx, shapes::DeleteRouteTableRequest { route_table_id, dry_run: None })?;
    Ok(Progress::Done)
}

/// Where a route leads, as the template says it.
fn destination(resource: &Resource) -> &str {
    ["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"]
        .into_iter()
        .find_map(|property| resource.text(property))
        .unwrap_or_default()
}

fn create_route(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request: shapes::CreateRouteRequest = resource.request(&[])?;
    let table = request.route_table_id.clone();
    call(cx, request)?;
    Ok(format!("{table}|{}", destination(resource)))
}

fn delete_route(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let request: shapes::DeleteRouteRequest = resource.request(&[])?;
    call(cx, request)?;
    Ok(Progress::Done)
}

fn associate(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request: shapes::AssociateRouteTableRequest = resource.request(&[])?;
    Ok(call(cx, request)?.association_id.unwrap_or_default())
}

fn disassociate(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let association_id = resource.physical_id.clone();
    call(cx, shapes::DisassociateRouteTableRequest { association_id, dry_run: None })?;
    Ok(Progress::Done)
}

fn create_nat(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateNatGatewayRequest = resource.request(&[])?;
    request.tag_specifications = specification("natgateway", resource);
    request.client_token = Some(resource.request_token.clone());
    let made = call(cx, request)?.nat_gateway;
    Ok(made.and_then(|gateway| gateway.nat_gateway_id).unwrap_or_default())
}

fn update_nat(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let secondary =
        ["SecondaryAllocationIds", "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount"];
    if secondary.iter().any(|property| changed(old, new, property)) {
        return Err(Refusal::new("UnsupportedOperation", "NAT gateways have one private address here."));
    }
    update_tags(cx, old, new)
}

fn stable_nat(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(row) = cx.ec2().network().nat_gateways().get(&resource.physical_id) else {
        return Ok(Progress::Done);
    };
    match &row.failure {
        Some((code, message)) => Err(Refusal::new(code.clone(), message.clone())),
        None => Ok(done_if(row.state != NatGatewayState::Pending)),
    }
}

/// Asks for the end once, then waits for it: the address stays in use until then.
fn delete_nat(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let row = cx.ec2().network().nat_gateways().get(&resource.physical_id);
    match row.map(|row| row.state) {
        None | Some(NatGatewayState::Deleted | NatGatewayState::Failed) => Ok(Progress::Done),
        Some(NatGatewayState::Deleting) => Ok(Progress::InProgress),
        Some(NatGatewayState::Pending | NatGatewayState::Available) => {
            let nat_gateway_id = resource.physical_id.clone();
            call(cx, shapes::DeleteNatGatewayRequest { nat_gateway_id, dry_run: None })?;
            Ok(Progress::InProgress)
        }
    }
}

fn nat_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let row = cx.ec2().network().nat_gateways().get(&resource.physical_id);
    let interface = row.map(|row| row.interface.clone()).unwrap_or_default();
    attributes([("EniId", interface), ("NatGatewayId", resource.physical_id.clone())])
}
