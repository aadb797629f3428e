//! Internet gateways.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AttachInternetGatewayRequest, AttachInternetGatewayResponse, AttachmentStatus,
    CreateInternetGatewayRequest, CreateInternetGatewayResponse, DeleteInternetGatewayRequest,
    DeleteInternetGatewayResponse, DescribeInternetGatewaysRequest, DescribeInternetGatewaysResponse,
    DetachInternetGatewayRequest, DetachInternetGatewayResponse, InternetGatewayAttachment,
};

use super::resource::{Resource, find};
use super::{InternetGateway, RouteTarget, address, ask, in_use, listed, select, tags_of};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, invalid};
use crate::{Caller, Engine};

/// The gateway of the default VPC, and the route to it.
pub(super) fn insert_default(cx: &mut Engine, vpc: &str) {
    let id = draw_id(cx, "igw", "ec2.internet-gateway-id");
    let gateway = InternetGateway { id: id.clone(), vpc: Some(vpc.to_owned()), tags: Tags::new() };
    let network = &mut cx.ec2.network;
    network.gateways.insert(gateway);
    let main = network.vpcs.get(&vpc.to_owned()).map(|vpc| vpc.main_route_table.table.clone());
    if let Some(mut table) = main.and_then(|main| network.route_tables.edit(&main)) {
        table.routes.insert("0.0.0.0/0".into(), RouteTarget::Gateway(id));
    }
}

/// The gateway that is attached to the VPC.
pub(super) fn of_vpc<'a>(cx: &'a Engine, vpc: &str) -> Option<&'a InternetGateway> {
    cx.ec2.network.gateways.iter().find(|gateway| gateway.vpc.as_deref() == Some(vpc))
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateInternetGatewayRequest,
) -> Result<CreateInternetGatewayResponse, Refusal> {
    let tags = tags_of::<InternetGateway>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let gateway = InternetGateway { id: draw_id(cx, "igw", "ec2.internet-gateway-id"), vpc: None, tags };
    let told = described(cx, &gateway);
    cx.ec2.network.gateways.insert(gateway);
    Ok(CreateInternetGatewayResponse { internet_gateway: Some(told) })
}

pub(in crate::ec2) fn attach(
    cx: &mut Engine,
    _caller: &Caller,
    request: AttachInternetGatewayRequest,
) -> Result<AttachInternetGatewayResponse, Refusal> {
    let id = request.internet_gateway_id;
    let gateway = find(&cx.ec2.network.gateways, &id)?;
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?.id.clone();
    if let Some(other) = &gateway.vpc {
        return Err(Refusal::new(
            "Resource.AlreadyAssociated",
            format!("resource {id} is already attached to network {other}"),
        ));
    }
    if of_vpc(cx, &vpc).is_some() {
        return Err(invalid(format!("Network {vpc} already has an internet gateway attached")));
    }
    dry_run(request.dry_run)?;
    if let Some(mut gateway) = cx.ec2.network.gateways.edit(&id) {
        gateway.vpc = Some(vpc);
    }
    Ok(AttachInternetGatewayResponse {})
}

pub(in crate::ec2) fn detach(
    cx: &mut Engine,
    _caller: &Caller,
    request: DetachInternetGatewayRequest,
) -> Result<DetachInternetGatewayResponse, Refusal> {
    let id = request.internet_gateway_id;
    let gateway = find(&cx.ec2.network.gateways, &id)?;
    let vpc = request.vpc_id;
    if gateway.vpc.as_deref() != Some(&vpc) {
        return Err(Refusal::new(
            "Gateway.NotAttached",
            format!("resource {id} is not attached to network {vpc}"),
        ));
    }
    if address::any_public(cx, &vpc) {
        return Err(Refusal::new(
            "DependencyViolation",
            format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before \
                 detaching the gateway."
            ),
        ));
    }
    dry_run(request.dry_run)?;
    if let Some(mut gateway) = cx.ec2.network.gateways.edit(&id) {
        gateway.vpc = None;
    }
    Ok(DetachInternetGatewayResponse {})
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteInternetGatewayRequest,
) -> Result<DeleteInternetGatewayResponse, Refusal> {
    let id = request.internet_gateway_id;
    if find(&cx.ec2.network.gateways, &id)?.vpc.is_some() {
        return Err(in_use(InternetGateway::NOUN, &id));
    }
    dry_run(request.dry_run)?;
    cx.ec2.network.gateways.remove(&id);
    Ok(DeleteInternetGatewayResponse {})
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInternetGatewaysRequest,
) -> Result<DescribeInternetGatewaysResponse, Refusal> {
    let account = &cx.config.account;
    let known = ["attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id", TAGS];
    let asked = ask!(request, internet_gateway_ids, filters);
    let page = select(&cx.ec2.network.gateways, &asked, &known, |gateway, name, put| match name {
        "attachment.state" if gateway.vpc.is_some() => put("available"),
        "attachment.vpc-id" => gateway.vpc.iter().for_each(|vpc| put(vpc)),
        "internet-gateway-id" => put(&gateway.id),
        "owner-id" => put(account),
        _ => {}
    })?;
    Ok(DescribeInternetGatewaysResponse {
        internet_gateways: Some(page.items.into_iter().map(|gateway| described(cx, gateway)).collect()),
        next_token: page.next,
    })
}

fn described(cx: &Engine, gateway: &InternetGateway) -> ec2::InternetGateway {
    let attachment = |vpc: &String| InternetGatewayAttachment {
        state: Some(AttachmentStatus::Available),
        vpc_id: Some(vpc.clone()),
    };
    ec2::InternetGateway {
        attachments: Some(gateway.vpc.iter().map(attachment).collect()),
        internet_gateway_id: Some(gateway.id.clone()),
        owner_id: Some(cx.config.account.clone()),
        tags: listed(&gateway.tags),
    }
}
