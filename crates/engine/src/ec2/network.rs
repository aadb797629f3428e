//! The default network: a VPC, a subnet in each zone, a security group.

use std::net::Ipv4Addr;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, DescribeSecurityGroupsRequest, DescribeSecurityGroupsResponse, DescribeSubnetsRequest,
    DescribeSubnetsResponse, DescribeVpcsRequest, DescribeVpcsResponse, IpPermission, IpRange, SubnetState,
    Tenancy, UserIdGroupPair, VpcCidrBlockAssociation, VpcCidrBlockState, VpcCidrBlockStateCode, VpcState,
};

use crate::{Caller, Engine};

use super::filter::{Filters, TAGS};
use super::{
    Ec2, InstanceIndex, SecurityGroup, Subnet, Tags, Vpc, at_least_five, draw_id, dry_run, page_of, tag,
};

/// The default VPC has 172.31.0.0/16, its subnets one /20 each (VPC guide, default-vpc-components).
const BASE: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 0);
const SUBNET_PREFIX: u32 = 20;

pub(super) fn start(cx: &mut Engine) {
    let vpc = Vpc {
        id: draw_id(cx, "vpc", "ec2.vpc-id"),
        cidr: format!("{BASE}/16"),
        cidr_association: draw_id(cx, "vpc-cidr-assoc", "ec2.vpc-cidr-association-id"),
        dhcp_options: draw_id(cx, "dopt", "ec2.dhcp-options-id"),
        is_default: true,
        tags: Tags::new(),
    };
    let mut base = BASE.to_bits();
    for zone in cx.config.region.zones {
        let subnet = Subnet {
            id: draw_id(cx, "subnet", "ec2.subnet-id"),
            vpc: vpc.id.clone(),
            zone,
            base: Ipv4Addr::from_bits(base),
            prefix: SUBNET_PREFIX,
            default_for_zone: true,
            tags: Tags::new(),
        };
        cx.ec2.subnets.insert(subnet);
        base += 1 << (32 - SUBNET_PREFIX);
    }
    let group = SecurityGroup {
        id: draw_id(cx, "sg", "ec2.security-group-id"),
        name: "default".into(),
        description: "default VPC security group".into(),
        vpc: vpc.id.clone(),
        tags: Tags::new(),
    };
    cx.ec2.security_groups.insert(group);
    cx.ec2.vpcs.insert(vpc);
}

impl Ec2 {
    /// Addresses of the subnet that no instance has.
    pub fn free_addresses(&self, subnet: &Subnet) -> u32 {
        let taken = self.instances.count_by(&InstanceIndex::Subnet(subnet.id.clone()));
        subnet.usable_addresses().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// The default subnet of the zone of that name.
    pub fn default_subnet(&self, zone: &str) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.default_for_zone && subnet.zone.name == zone)
    }
}

pub(super) fn no_subnet(id: &str) -> Refusal {
    Refusal::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
}

pub(super) fn no_vpc(id: &str) -> Refusal {
    Refusal::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

pub(super) fn no_security_group(id: &str) -> Refusal {
    if id.starts_with("sg-") {
        return Refusal::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"));
    }
    Refusal::new("InvalidGroupId.Malformed", format!("Invalid id: \"{id}\" (expecting \"sg-...\")"))
}

pub(super) fn describe_vpcs(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeVpcsRequest,
) -> Result<DescribeVpcsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), VPC_FILTERS)?;
    let ids = request.vpc_ids.unwrap_or_default();
    if let Some(id) = ids.iter().find(|id| !cx.ec2.vpcs.contains(id)) {
        return Err(no_vpc(id));
    }
    let account = &cx.config.account;
    let fitting = cx.ec2.vpcs.iter().filter(|vpc| {
        (ids.is_empty() || ids.contains(&vpc.id))
            && filters.fit(&vpc.tags, |name, put| match name {
                "cidr" | "cidr-block-association.cidr-block" => put(&vpc.cidr),
                "cidr-block-association.association-id" => put(&vpc.cidr_association),
                "cidr-block-association.state" => put("associated"),
                "dhcp-options-id" => put(&vpc.dhcp_options),
                "is-default" | "isDefault" => put(if vpc.is_default { "true" } else { "false" }),
                "owner-id" => put(account),
                "state" => put("available"),
                "vpc-id" => put(&vpc.id),
                _ => {}
            })
    });
    let page = page_of(fitting, |vpc| vpc.id.clone(), request.next_token.as_deref(), request.max_results)?;
    let described = |vpc: &Vpc| ec2::Vpc {
        owner_id: Some(account.clone()),
        instance_tenancy: Some(Tenancy::Default),
        cidr_block_association_set: Some(vec![VpcCidrBlockAssociation {
            association_id: Some(vpc.cidr_association.clone()),
            cidr_block: Some(vpc.cidr.clone()),
            cidr_block_state: Some(VpcCidrBlockState {
                state: Some(VpcCidrBlockStateCode::Associated),
                status_message: None,
            }),
        }]),
        is_default: Some(vpc.is_default),
        tags: tag::listed(&vpc.tags),
        vpc_id: Some(vpc.id.clone()),
        state: Some(VpcState::Available),
        cidr_block: Some(vpc.cidr.clone()),
        dhcp_options_id: Some(vpc.dhcp_options.clone()),
        ..Default::default()
    };
    Ok(DescribeVpcsResponse {
        vpcs: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
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

pub(super) fn describe_subnets(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSubnetsRequest,
) -> Result<DescribeSubnetsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), SUBNET_FILTERS)?;
    let ids = request.subnet_ids.unwrap_or_default();
    if let Some(id) = ids.iter().find(|id| !cx.ec2.subnets.contains(id)) {
        return Err(no_subnet(id));
    }
    let account = &cx.config.account;
    let arn = |subnet: &Subnet| cx.arn("ec2", format_args!("subnet/{}", subnet.id));
    let mut fitting: Vec<&Subnet> = cx
        .ec2
        .subnets
        .iter()
        .filter(|subnet| {
            (ids.is_empty() || ids.contains(&subnet.id))
                && filters.fit(&subnet.tags, |name, put| match name {
                    "availability-zone" | "availabilityZone" => put(subnet.zone.name),
                    "availability-zone-id" | "availabilityZoneId" => put(subnet.zone.id),
                    "available-ip-address-count" => put(&cx.ec2.free_addresses(subnet).to_string()),
                    "cidr" | "cidr-block" | "cidrBlock" => put(&subnet.cidr()),
                    "default-for-az" | "defaultForAz" => {
                        put(if subnet.default_for_zone { "true" } else { "false" })
                    }
                    "ipv6-native" | "map-customer-owned-ip-on-launch" | "enable-dns64" => put("false"),
                    "map-public-ip-on-launch" => put("true"),
                    "owner-id" => put(account),
                    "private-dns-name-options-on-launch.hostname-type" => put("ip-name"),
                    "state" => put("available"),
                    "subnet-arn" => put(&arn(subnet)),
                    "subnet-id" => put(&subnet.id),
                    "vpc-id" => put(&subnet.vpc),
                    _ => {}
                })
        })
        .collect();
    let key = |subnet: &&Subnet| format!("{}/{}", subnet.zone.name, subnet.id);
    fitting.sort_by_cached_key(key);
    let page = page_of(fitting, key, request.next_token.as_deref(), request.max_results)?;
    let described = |subnet: &Subnet| ec2::Subnet {
        availability_zone_id: Some(subnet.zone.id.into()),
        map_customer_owned_ip_on_launch: Some(false),
        owner_id: Some(account.clone()),
        assign_ipv6_address_on_creation: Some(false),
        tags: tag::listed(&subnet.tags),
        subnet_arn: Some(arn(subnet)),
        enable_dns64: Some(false),
        ipv6_native: Some(false),
        private_dns_name_options_on_launch: Some(ec2::PrivateDnsNameOptionsOnLaunch {
            hostname_type: Some(ec2::HostnameType::IpName),
            enable_resource_name_dns_a_record: Some(false),
            enable_resource_name_dns_aaaa_record: Some(false),
        }),
        subnet_id: Some(subnet.id.clone()),
        state: Some(SubnetState::Available),
        vpc_id: Some(subnet.vpc.clone()),
        cidr_block: Some(subnet.cidr()),
        available_ip_address_count: i32::try_from(cx.ec2.free_addresses(subnet)).ok(),
        availability_zone: Some(subnet.zone.name.into()),
        default_for_az: Some(subnet.default_for_zone),
        // As in every default subnet, and what tools tell public subnets by; no instance has a public address here.
        map_public_ip_on_launch: Some(true),
        ..Default::default()
    };
    Ok(DescribeSubnetsResponse {
        subnets: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

const SUBNET_FILTERS: &[&str] = &[
    "availability-zone",
    "availabilityZone",
    "availability-zone-id",
    "availabilityZoneId",
    "available-ip-address-count",
    "cidr",
    "cidr-block",
    "cidrBlock",
    "customer-owned-ipv4-pool",
    "default-for-az",
    "defaultForAz",
    "enable-dns64",
    "enable-lni-at-device-index",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.state",
    "ipv6-native",
    "map-customer-owned-ip-on-launch",
    "map-public-ip-on-launch",
    "outpost-arn",
    "owner-id",
    "private-dns-name-options-on-launch.hostname-type",
    "state",
    "subnet-arn",
    "subnet-id",
    "vpc-id",
    TAGS,
];

pub(super) fn describe_security_groups(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSecurityGroupsRequest,
) -> Result<DescribeSecurityGroupsResponse, Refusal> {
    dry_run(request.dry_run)?;
    at_least_five(request.max_results)?;
    let filters = Filters::new(request.filters.as_ref(), GROUP_FILTERS)?;
    let (ids, names) = (request.group_ids.unwrap_or_default(), request.group_names.unwrap_or_default());
    if let Some(id) = ids.iter().find(|id| !cx.ec2.security_groups.contains(id)) {
        return Err(no_security_group(id));
    }
    for name in &names {
        group_named(cx, name)?;
    }
    let account = &cx.config.account;
    let fitting = cx.ec2.security_groups.iter().filter(|group| {
        (ids.is_empty() || ids.contains(&group.id))
            && (names.is_empty() || names.contains(&group.name))
            && filters.fit(&group.tags, |name, put| match name {
                "description" => put(&group.description),
                "egress.ip-permission.cidr" => put("0.0.0.0/0"),
                "egress.ip-permission.protocol" | "ip-permission.protocol" => put("-1"),
                "group-id" | "ip-permission.group-id" => put(&group.id),
                "group-name" | "ip-permission.group-name" => put(&group.name),
                "ip-permission.user-id" | "owner-id" => put(account),
                "vpc-id" => put(&group.vpc),
                _ => {}
            })
    });
    let page =
        page_of(fitting, |group| group.id.clone(), request.next_token.as_deref(), request.max_results)?;
    let described = |group: &SecurityGroup| ec2::SecurityGroup {
        group_id: Some(group.id.clone()),
        ip_permissions_egress: Some(vec![IpPermission {
            ip_protocol: Some("-1".into()),
            ip_ranges: Some(vec![IpRange { description: None, cidr_ip: Some("0.0.0.0/0".into()) }]),
            ..Default::default()
        }]),
        tags: tag::listed(&group.tags),
        vpc_id: Some(group.vpc.clone()),
        security_group_arn: Some(cx.arn("ec2", format_args!("security-group/{}", group.id))),
        owner_id: Some(account.clone()),
        group_name: Some(group.name.clone()),
        description: Some(group.description.clone()),
        ip_permissions: Some(vec![IpPermission {
            ip_protocol: Some("-1".into()),
            user_id_group_pairs: Some(vec![UserIdGroupPair {
                user_id: Some(account.clone()),
                group_id: Some(group.id.clone()),
                ..Default::default()
            }]),
            ..Default::default()
        }]),
    };
    Ok(DescribeSecurityGroupsResponse {
        security_groups: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

/// The security group of that name in the default VPC.
pub(super) fn group_named<'a>(cx: &'a Engine, name: &str) -> Result<&'a SecurityGroup, Refusal> {
    cx.ec2.security_groups.iter().find(|group| group.name == name).ok_or_else(|| {
        let vpc = cx.ec2.vpcs.iter().find(|vpc| vpc.is_default).map_or("", |vpc| vpc.id.as_str());
        Refusal::new(
            "InvalidGroup.NotFound",
            format!("The security group '{name}' does not exist in default VPC '{vpc}'"),
        )
    })
}

const GROUP_FILTERS: &[&str] = &[
    "description",
    "egress.ip-permission.cidr",
    "egress.ip-permission.from-port",
    "egress.ip-permission.group-id",
    "egress.ip-permission.group-name",
    "egress.ip-permission.ipv6-cidr",
    "egress.ip-permission.prefix-list-id",
    "egress.ip-permission.protocol",
    "egress.ip-permission.to-port",
    "egress.ip-permission.user-id",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.group-name",
    "ip-permission.ipv6-cidr",
    "ip-permission.prefix-list-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "ip-permission.user-id",
    "owner-id",
    "vpc-id",
    TAGS,
];
