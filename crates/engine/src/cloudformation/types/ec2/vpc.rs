//! VPCs, their further blocks, subnets and internet gateways.

use capstan_shapes::Refusal;
use capstan_shapes::ec2 as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, never, no_attributes};
use super::super::common::{attributes, changed, or_undo};
use super::{NO_PACKETS, flag, id_as, specification, update_tags, value};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::EC2::InternetGateway",
        inert: NO_PACKETS,
        create: create_gateway,
        update: update_tags,
        delete: delete_gateway,
        stable: always,
        attributes: |_, resource| id_as(resource, "InternetGatewayId"),
    },
    Handler {
        type_name: "AWS::EC2::Subnet",
        inert: None,
        create: create_subnet,
        update: update_subnet,
        delete: delete_subnet,
        stable: always,
        attributes: subnet_attributes,
    },
    Handler {
        type_name: "AWS::EC2::VPC",
        inert: None,
        create: create_vpc,
        update: update_vpc,
        delete: delete_vpc,
        stable: always,
        attributes: vpc_attributes,
    },
    Handler {
        type_name: "AWS::EC2::VPCCidrBlock",
        inert: None,
        create: create_block,
        update: never,
        delete: delete_block,
        stable: always,
        attributes: |_, resource| {
            let vpc = resource.text("VpcId").unwrap_or_default().to_owned();
            attributes([("Id", resource.physical_id.clone()), ("VpcId", vpc)])
        },
    },
    Handler {
        type_name: "AWS::EC2::VPCGatewayAttachment",
        inert: NO_PACKETS,
        create: attach,
        update: update_attachment,
        delete: |cx, resource| detach(cx, resource).map(|()| Progress::Done),
        stable: always,
        attributes: no_attributes,
    },
];

fn create_vpc(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateVpcRequest = resource.request(&[])?;
    request.tag_specifications = specification("vpc", resource);
    let id = call(cx, request)?.vpc.and_then(|vpc| vpc.vpc_id).unwrap_or_default();
    let outcome = set_dns(cx, resource, &id);
    or_undo(cx, outcome, |cx| {
        let _gone = call(cx, shapes::DeleteVpcRequest { vpc_id: id.clone(), dry_run: None });
    })?;
    Ok(id)
}

/// What only a call of its own sets. Without the properties: names are resolved, and hosts have none (CloudFormation
/// guide, AWS::EC2::VPC).
fn set_dns(cx: &mut Engine, resource: &Resource, vpc_id: &str) -> Result<(), Refusal> {
    let base = || shapes::ModifyVpcAttributeRequest {
        vpc_id: vpc_id.to_owned(),
        enable_dns_hostnames: None,
        enable_dns_support: None,
        enable_network_address_usage_metrics: None,
    };
    let support = flag(resource, "EnableDnsSupport").unwrap_or(true);
    let hostnames = flag(resource, "EnableDnsHostnames").unwrap_or(false);
    call(cx, shapes::ModifyVpcAttributeRequest { enable_dns_support: value(support), ..base() })?;
    call(cx, shapes::ModifyVpcAttributeRequest { enable_dns_hostnames: value(hostnames), ..base() })?;
    Ok(())
}

fn update_vpc(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if changed(old, new, "InstanceTenancy") {
        return Err(Refusal::new("UnsupportedOperation", "The tenancy of a VPC cannot be changed here."));
    }
    set_dns(cx, new, &new.physical_id)?;
    update_tags(cx, old, new)
}

fn delete_vpc(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteVpcRequest { vpc_id: resource.physical_id.clone(), dry_run: None })?;
    Ok(Progress::Done)
}

fn vpc_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let network = cx.ec2().network();
    let Some(vpc) = network.vpcs().get(&resource.physical_id) else { return Map::new() };
    let group = network.security_groups().iter().find(|row| row.vpc == vpc.id && row.name == "default");
    let acl = network.acls().iter().find(|row| row.vpc == vpc.id && row.is_default);
    let blocks: Vec<&String> = vpc.blocks.iter().map(|block| &block.association).collect();
    let mut attributes = attributes([
        ("CidrBlock", vpc.cidr().to_string()),
        ("DefaultNetworkAcl", acl.map(|row| row.id.clone()).unwrap_or_default()),
        ("DefaultSecurityGroup", group.map(|row| row.id.clone()).unwrap_or_default()),
        ("VpcId", vpc.id.clone()),
    ]);
    attributes.insert("CidrBlockAssociations".to_owned(), json!(blocks));
    attributes.insert("Ipv6CidrBlocks".to_owned(), json!([]));
    attributes
}

fn create_block(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request: shapes::AssociateVpcCidrBlockRequest = resource.request(&[])?;
    let association = call(cx, request)?.cidr_block_association;
    Ok(association.and_then(|association| association.association_id).unwrap_or_default())
}

fn delete_block(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let association_id = resource.physical_id.clone();
    call(cx, shapes::DisassociateVpcCidrBlockRequest { association_id })?;
    Ok(Progress::Done)
}

fn create_subnet(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateSubnetRequest = resource.request(&[])?;
    request.tag_specifications = specification("subnet", resource);
    let id = call(cx, request)?.subnet.and_then(|subnet| subnet.subnet_id).unwrap_or_default();
    let outcome = set_subnet(cx, resource, &id);
    or_undo(cx, outcome, |cx| {
        let _gone = call(cx, shapes::DeleteSubnetRequest { subnet_id: id.clone(), dry_run: None });
    })?;
    Ok(id)
}

/// What only a call of its own sets.
fn set_subnet(cx: &mut Engine, resource: &Resource, id: &str) -> Result<(), Refusal> {
    let names = resource.get("PrivateDnsNameOptionsOnLaunch");
    let of_names = |member: &str| names.and_then(|names| names.get(member));
    let hostnames = of_names("HostnameType").and_then(Json::as_str);
    let flag_of = |member: &str| of_names(member).and_then(Json::as_bool).and_then(value);
    let request = shapes::ModifySubnetAttributeRequest {
        subnet_id: id.to_owned(),
        map_public_ip_on_launch: value(flag(resource, "MapPublicIpOnLaunch").unwrap_or(false)),
        assign_ipv6_address_on_creation: flag(resource, "AssignIpv6AddressOnCreation").and_then(value),
        enable_dns64: flag(resource, "EnableDns64").and_then(value),
        private_dns_hostname_type_on_launch: hostnames.and_then(shapes::HostnameType::parse),
        enable_resource_name_dns_a_record_on_launch: flag_of("EnableResourceNameDnsARecord"),
        enable_resource_name_dns_aaaa_record_on_launch: flag_of("EnableResourceNameDnsAAAARecord"),
        ..Default::default()
    };
    call(cx, request).map(drop)
}

fn update_subnet(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    set_subnet(cx, new, &new.physical_id)?;
    update_tags(cx, old, new)
}

fn delete_subnet(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteSubnetRequest { subnet_id: resource.physical_id.clone(), dry_run: None })?;
    Ok(Progress::Done)
}

fn subnet_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(subnet) = cx.ec2().subnets().get(&resource.physical_id) else { return Map::new() };
    let mut attributes = attributes([
        ("AvailabilityZone", subnet.zone.name.to_owned()),
        ("AvailabilityZoneId", subnet.zone.id.to_owned()),
        ("CidrBlock", subnet.cidr.to_string()),
        ("NetworkAclAssociationId", subnet.network_acl_association.clone()),
        ("SubnetId", subnet.id.clone()),
        ("VpcId", subnet.vpc.clone()),
    ]);
    attributes.insert("Ipv6CidrBlocks".to_owned(), json!([]));
    attributes
}

fn create_gateway(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let tag_specifications = specification("internet-gateway", resource);
    let made = call(cx, shapes::CreateInternetGatewayRequest { tag_specifications, dry_run: None })?;
    Ok(made.internet_gateway.and_then(|gateway| gateway.internet_gateway_id).unwrap_or_default())
}

fn delete_gateway(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let internet_gateway_id = resource.physical_id.clone();
    call(cx, shapes::DeleteInternetGatewayRequest { internet_gateway_id, dry_run: None })?;
    Ok(Progress::Done)
}

fn attach(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    if resource.get("VpnGatewayId").is_some() {
        return Err(Refusal::new("UnsupportedOperation", "There are no virtual private gateways here."));
    }
    let request: shapes::AttachInternetGatewayRequest = resource.request(&[])?;
    let vpc = request.vpc_id.clone();
    call(cx, request)?;
    Ok(format!("IGW|{vpc}"))
}

fn detach(cx: &mut Engine, resource: &Resource) -> Result<(), Refusal> {
    let request: shapes::DetachInternetGatewayRequest = resource.request(&[])?;
    match call(cx, request) {
        Err(refusal) if refusal.code != "Gateway.NotAttached" => Err(refusal),
        _ => Ok(()),
    }
}

fn update_attachment(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    detach(cx, old)?;
    attach(cx, new).map(drop)
}
