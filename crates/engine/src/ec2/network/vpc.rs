//! VPCs and the ranges of addresses that they have.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AssociateVpcCidrBlockRequest, AssociateVpcCidrBlockResponse, AttributeBooleanValue,
    CreateVpcRequest, CreateVpcResponse, DeleteVpcRequest, DeleteVpcResponse, DescribeVpcAttributeRequest,
    DescribeVpcAttributeResponse, DescribeVpcsRequest, DescribeVpcsResponse, DisassociateVpcCidrBlockRequest,
    DisassociateVpcCidrBlockResponse, ModifyVpcAttributeRequest, ModifyVpcAttributeResponse, NatGatewayState,
    Tenancy, VpcAttributeName, VpcCidrBlockAssociation, VpcCidrBlockState, VpcCidrBlockStateCode, VpcState,
};

use super::{
    Cidr, DhcpOptions, RouteTableUse, Vpc, VpcBlock, ask, cidr, in_use, network_acl, route_table, rule,
    security_group, select, tags_of, yes,
};
use crate::ec2::filter::TAGS;
use crate::ec2::{Tags, draw_id, dry_run, missing, tag};
use crate::{Caller, Engine};

/// Blocks that a VPC can have (VPC guide, amazon-vpc-limits: the default quota).
const BLOCKS_MAX: usize = 5;

/// What makes a VPC, besides what AWS puts in each.
pub(super) struct Draft {
    pub(super) cidr: Cidr,
    pub(super) tenancy: Tenancy,
    pub(super) is_default: bool,
    pub(super) tags: Tags,
}

/// Puts a VPC in with its main route table and its default network ACL; the id.
pub(super) fn insert(cx: &mut Engine, draft: Draft) -> String {
    let id = draw_id(cx, "vpc", "ec2.vpc-id");
    let block = VpcBlock {
        association: draw_id(cx, "vpc-cidr-assoc", "ec2.vpc-cidr-association-id"),
        cidr: draft.cidr,
    };
    let known = cx.ec2.network.dhcp_options.iter().next().map(|options| options.id.clone());
    let dhcp_options = match known {
        Some(id) => id,
        None => {
            let id = draw_id(cx, "dopt", "ec2.dhcp-options-id");
            cx.ec2.network.dhcp_options.insert(DhcpOptions { id: id.clone(), tags: Tags::new() });
            id
        }
    };
    let main_route_table = RouteTableUse {
        association: draw_id(cx, "rtbassoc", "ec2.route-table-association-id"),
        table: route_table::insert(cx, &id, None, Tags::new()),
    };
    network_acl::insert(cx, &id, true, None, Tags::new());
    cx.ec2.network.vpcs.insert(Vpc {
        id: id.clone(),
        blocks: vec![block],
        dhcp_options,
        tenancy: draft.tenancy,
        is_default: draft.is_default,
        dns_support: true,
        // Off unless it is the default VPC (API reference, ModifyVpcAttribute).
        dns_hostnames: draft.is_default,
        usage_metrics: false,
        main_route_table,
        tags: draft.tags,
    });
    id
}

/// The group of whatever names none: all traffic in from itself, all traffic out (VPC guide, default-security-group).
pub(super) fn insert_default_group(cx: &mut Engine, vpc: &str) {
    let id = security_group::insert(cx, vpc, "default", "default VPC security group", Tags::new());
    rule::insert_default(cx, &id);
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateVpcRequest,
) -> Result<CreateVpcResponse, Refusal> {
    let ipv6 = request.amazon_provided_ipv6_cidr_block == Some(true)
        || request.ipv6_cidr_block.is_some()
        || request.ipv6_pool.is_some()
        || request.ipv6_ipam_pool_id.is_some();
    no_ipv6(ipv6)?;
    no_pools(request.ipv4_ipam_pool_id.is_some())?;
    let text = request.cidr_block.as_deref().ok_or_else(|| missing("cidrBlock"))?;
    let cidr = block(text)?;
    let tenancy = request.instance_tenancy.unwrap_or(Tenancy::Default);
    let tags = tags_of::<Vpc>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let id = insert(cx, Draft { cidr, tenancy, is_default: false, tags });
    insert_default_group(cx, &id);
    Ok(CreateVpcResponse { vpc: Some(described(cx, cx.ec2.network.vpc(&id)?)) })
}

/// A block of a VPC: between a /16 and a /28 (VPC guide, vpc-cidr-blocks).
fn block(text: &str) -> Result<Cidr, Refusal> {
    let cidr = cidr::read(text, "cidrBlock")?;
    if !(16..=28).contains(&cidr.prefix) {
        return Err(Refusal::new("InvalidVpc.Range", format!("The CIDR '{text}' is invalid.")));
    }
    Ok(cidr)
}

pub(super) fn no_ipv6(asked: bool) -> Result<(), Refusal> {
    if asked {
        return Err(Refusal::new("UnsupportedOperation", "The networks here have no IPv6 addresses."));
    }
    Ok(())
}

pub(super) fn no_pools(asked: bool) -> Result<(), Refusal> {
    if asked {
        return Err(Refusal::new(
            "UnsupportedOperation",
            "There are no IPAM pools here; name the CIDR block itself.",
        ));
    }
    Ok(())
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteVpcRequest,
) -> Result<DeleteVpcResponse, Refusal> {
    let id = request.vpc_id;
    let network = &cx.ec2.network;
    let main = network.vpc(&id)?.main_route_table.table.clone();
    let needed = network.subnets.iter().any(|row| row.vpc == id)
        || network.gateways.iter().any(|row| row.vpc.as_deref() == Some(&id))
        || network.route_tables.iter().any(|row| row.vpc == id && row.id != main)
        || network.security_groups.iter().any(|row| row.vpc == id && row.name != "default")
        || network.acls.iter().any(|row| row.vpc == id && !row.is_default)
        || network.endpoints.iter().any(|row| row.vpc == id)
        || network.nat_gateways.iter().any(|row| row.vpc == id && row.state != NatGatewayState::Deleted);
    if needed {
        return Err(in_use("vpc", &id));
    }
    dry_run(request.dry_run)?;
    let groups: Vec<String> =
        network.security_groups.iter().filter(|row| row.vpc == id).map(|row| row.id.clone()).collect();
    for group in groups {
        security_group::remove(cx, &group);
    }
    let network = &mut cx.ec2.network;
    let acls: Vec<String> =
        network.acls.iter().filter(|row| row.vpc == id).map(|row| row.id.clone()).collect();
    for acl in acls {
        network.acls.remove(&acl);
    }
    network.route_tables.remove(&main);
    network.vpcs.remove(&id);
    Ok(DeleteVpcResponse {})
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVpcsRequest,
) -> Result<DescribeVpcsResponse, Refusal> {
    let account = &cx.config.account;
    let asked = ask!(request, vpc_ids, filters);
    let page = select(&cx.ec2.network.vpcs, &asked, VPC_FILTERS, |vpc, name, put| match name {
        "cidr" => put(&vpc.cidr().to_string()),
        "cidr-block-association.cidr-block" => {
            vpc.blocks.iter().for_each(|block| put(&block.cidr.to_string()));
        }
        "cidr-block-association.association-id" => {
            vpc.blocks.iter().for_each(|block| put(&block.association));
        }
        "cidr-block-association.state" => put("associated"),
        "dhcp-options-id" => put(&vpc.dhcp_options),
        "is-default" | "isDefault" => put(yes(vpc.is_default)),
        "owner-id" => put(account),
        "state" => put("available"),
        "vpc-id" => put(&vpc.id),
        _ => {}
    })?;
    Ok(DescribeVpcsResponse {
        vpcs: Some(page.items.into_iter().map(|vpc| described(cx, vpc)).collect()),
        next_token: page.next,
    })
}

fn described(cx: &Engine, vpc: &Vpc) -> ec2::Vpc {
    ec2::Vpc {
        owner_id: Some(cx.config.account.clone()),
        instance_tenancy: Some(vpc.tenancy),
        cidr_block_association_set: Some(vpc.blocks.iter().map(|block| told(block, true)).collect()),
        is_default: Some(vpc.is_default),
        tags: tag::listed(&vpc.tags),
        vpc_id: Some(vpc.id.clone()),
        state: Some(VpcState::Available),
        cidr_block: Some(vpc.cidr().to_string()),
        dhcp_options_id: Some(vpc.dhcp_options.clone()),
        ..Default::default()
    }
}

fn told(block: &VpcBlock, associated: bool) -> VpcCidrBlockAssociation {
    let state = match associated {
        true => VpcCidrBlockStateCode::Associated,
        false => VpcCidrBlockStateCode::Disassociating,
    };
    VpcCidrBlockAssociation {
        association_id: Some(block.association.clone()),
        cidr_block: Some(block.cidr.to_string()),
        cidr_block_state: Some(VpcCidrBlockState { state: Some(state), status_message: None }),
    }
}

const VPC_FILTERS: &[&str] = &[
    "cidr",
    "cidr-block-association.association-id",
    "cidr-block-association.cidr-block",
    "cidr-block-association.state",
    "dhcp-options-id",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.ipv6-pool",
    "ipv6-cidr-block-association.state",
    "is-default",
    "isDefault",
    "owner-id",
    "state",
    "vpc-id",
    TAGS,
];

pub(in crate::ec2) fn describe_attribute(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVpcAttributeRequest,
) -> Result<DescribeVpcAttributeResponse, Refusal> {
    dry_run(request.dry_run)?;
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?;
    let mut response = DescribeVpcAttributeResponse {
        vpc_id: Some(vpc.id.clone()),
        ..DescribeVpcAttributeResponse::default()
    };
    let value = |value| Some(AttributeBooleanValue { value: Some(value) });
    match request.attribute {
        VpcAttributeName::EnableDnsSupport => response.enable_dns_support = value(vpc.dns_support),
        VpcAttributeName::EnableDnsHostnames => response.enable_dns_hostnames = value(vpc.dns_hostnames),
        VpcAttributeName::EnableNetworkAddressUsageMetrics => {
            response.enable_network_address_usage_metrics = value(vpc.usage_metrics);
        }
    }
    Ok(response)
}

pub(in crate::ec2) fn modify_attribute(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifyVpcAttributeRequest,
) -> Result<ModifyVpcAttributeResponse, Refusal> {
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?;
    let set = |value: Option<AttributeBooleanValue>| value.and_then(|value| value.value);
    let support = set(request.enable_dns_support);
    let hostnames = set(request.enable_dns_hostnames);
    let metrics = set(request.enable_network_address_usage_metrics);
    match [support, hostnames, metrics].into_iter().flatten().count() {
        0 => return Err(missing("enableDnsSupport, enableDnsHostnames or enableNetworkAddressUsageMetrics")),
        1 => {}
        _ => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified: give one attribute in each request",
            ));
        }
    }
    let id = vpc.id.clone();
    if let Some(mut vpc) = cx.ec2.network.vpcs.edit(&id) {
        vpc.dns_support = support.unwrap_or(vpc.dns_support);
        vpc.dns_hostnames = hostnames.unwrap_or(vpc.dns_hostnames);
        vpc.usage_metrics = metrics.unwrap_or(vpc.usage_metrics);
    }
    Ok(ModifyVpcAttributeResponse {})
}

pub(in crate::ec2) fn associate_block(
    cx: &mut Engine,
    _caller: &Caller,
    request: AssociateVpcCidrBlockRequest,
) -> Result<AssociateVpcCidrBlockResponse, Refusal> {
    let ipv6 = request.amazon_provided_ipv6_cidr_block == Some(true)
        || request.ipv6_cidr_block.is_some()
        || request.ipv6_pool.is_some()
        || request.ipv6_ipam_pool_id.is_some();
    no_ipv6(ipv6)?;
    no_pools(request.ipv4_ipam_pool_id.is_some())?;
    let vpc = cx.ec2.network.vpc(&request.vpc_id)?;
    let text = request.cidr_block.as_deref().ok_or_else(|| missing("cidrBlock"))?;
    let cidr = block(text)?;
    if vpc.blocks.iter().any(|block| block.cidr.overlaps(&cidr)) {
        return Err(Refusal::new(
            "InvalidVpc.Range",
            format!("The CIDR '{text}' conflicts with another CIDR block of the vpc '{}'", vpc.id),
        ));
    }
    if vpc.blocks.len() >= BLOCKS_MAX {
        return Err(Refusal::new(
            "CidrBlockLimitExceeded",
            format!("This network '{}' has met its maximum number of allowed CIDRs: {BLOCKS_MAX}", vpc.id),
        ));
    }
    let id = vpc.id.clone();
    let association = draw_id(cx, "vpc-cidr-assoc", "ec2.vpc-cidr-association-id");
    let block = VpcBlock { association, cidr };
    let associated = told(&block, true);
    if let Some(mut vpc) = cx.ec2.network.vpcs.edit(&id) {
        vpc.blocks.push(block);
    }
    Ok(AssociateVpcCidrBlockResponse {
        cidr_block_association: Some(associated),
        vpc_id: Some(id),
        ..AssociateVpcCidrBlockResponse::default()
    })
}

pub(in crate::ec2) fn disassociate_block(
    cx: &mut Engine,
    _caller: &Caller,
    request: DisassociateVpcCidrBlockRequest,
) -> Result<DisassociateVpcCidrBlockResponse, Refusal> {
    let wanted = request.association_id;
    let network = &cx.ec2.network;
    let found = network.vpcs.iter().find_map(|vpc| {
        let at = vpc.blocks.iter().position(|block| block.association == wanted)?;
        Some((vpc, at))
    });
    let Some((vpc, at)) = found else {
        return Err(Refusal::new(
            "InvalidVpcCidrBlockAssociationID.NotFound",
            format!("The vpc CIDR block association ID '{wanted}' does not exist"),
        ));
    };
    if at == 0 {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!(
                "The vpc CIDR block with association ID {wanted} may not be disassociated. It is the primary IPv4 CIDR block of the VPC"
            ),
        ));
    }
    let cidr = vpc.blocks[at].cidr;
    if network.subnets.iter().any(|subnet| subnet.vpc == vpc.id && cidr.covers(&subnet.cidr)) {
        return Err(Refusal::new(
            "InvalidCidrBlock.InUse",
            format!("The vpc {} currently has a subnet within CIDR block {cidr}", vpc.id),
        ));
    }
    let id = vpc.id.clone();
    let told = told(&vpc.blocks[at], false);
    if let Some(mut vpc) = cx.ec2.network.vpcs.edit(&id) {
        vpc.blocks.remove(at);
    }
    Ok(DisassociateVpcCidrBlockResponse {
        cidr_block_association: Some(told),
        vpc_id: Some(id),
        ..DisassociateVpcCidrBlockResponse::default()
    })
}
