//! Subnets: ranges of a VPC's addresses, each in one zone.

use capstan_model::AvailabilityZone;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AttributeBooleanValue, CreateSubnetRequest, CreateSubnetResponse, DeleteSubnetRequest,
    DeleteSubnetResponse, DescribeSubnetsRequest, DescribeSubnetsResponse, HostnameType,
    ModifySubnetAttributeRequest, ModifySubnetAttributeResponse, SubnetState,
};

use super::resource::Resource;
use super::{Cidr, InterfaceIndex, Subnet, cidr, in_use, network_acl, tags_of, vpc, yes};
use crate::ec2::filter::{Filters, TAGS};
use crate::ec2::{InstanceIndex, Tags, at_least_five, draw_id, dry_run, invalid, missing, page_of, tag};
use crate::{Caller, Engine};

/// What makes a subnet.
pub(super) struct Draft<'a> {
    pub(super) vpc: String,
    pub(super) zone: &'static AvailabilityZone,
    pub(super) cidr: Cidr,
    /// The zone's default subnet.
    pub(super) is_default: bool,
    pub(super) tags: Tags,
    pub(super) acl: &'a str,
}

/// Puts a subnet in, under its VPC's default network ACL; the id.
pub(super) fn insert(cx: &mut Engine, draft: Draft<'_>) -> String {
    let id = draw_id(cx, "subnet", "ec2.subnet-id");
    let subnet = Subnet {
        id: id.clone(),
        vpc: draft.vpc,
        zone: draft.zone,
        cidr: draft.cidr,
        default_for_zone: draft.is_default,
        public_addresses: draft.is_default,
        hostname_type: HostnameType::IpName,
        resource_name_a_record: false,
        route_table: None,
        network_acl: draft.acl.to_owned(),
        network_acl_association: draw_id(cx, "aclassoc", "ec2.network-acl-association-id"),
        tags: draft.tags,
    };
    cx.ec2.network.subnets.insert(subnet);
    id
}

pub(in crate::ec2) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateSubnetRequest,
) -> Result<CreateSubnetResponse, Refusal> {
    let ipv6 = request.ipv6_cidr_block.is_some()
        || request.ipv6_native == Some(true)
        || request.ipv6_ipam_pool_id.is_some();
    vpc::no_ipv6(ipv6)?;
    vpc::no_pools(request.ipv4_ipam_pool_id.is_some())?;
    if request.outpost_arn.is_some() {
        return Err(Refusal::new("UnsupportedOperation", "There are no Outposts here."));
    }
    let network = &cx.ec2.network;
    let vpc = network.vpc(&request.vpc_id)?;
    let text = request.cidr_block.as_deref().ok_or_else(|| missing("cidrBlock"))?;
    let cidr = cidr::read(text, "cidrBlock")?;
    let inside = vpc.blocks.iter().any(|block| block.cidr.covers(&cidr));
    if !(16..=28).contains(&cidr.prefix) || !inside {
        return Err(Refusal::new("InvalidSubnet.Range", format!("The CIDR '{text}' is invalid.")));
    }
    if network.subnets.iter().any(|other| other.vpc == vpc.id && other.cidr.overlaps(&cidr)) {
        return Err(Refusal::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{text}' conflicts with another subnet"),
        ));
    }
    let vpc = vpc.id.clone();
    let zone = zone(cx, request.availability_zone.as_deref(), request.availability_zone_id.as_deref(), &vpc)?;
    let acl = network_acl::default_of(cx, &vpc);
    let tags = tags_of::<Subnet>(caller, request.tag_specifications)?;
    dry_run(request.dry_run)?;
    let id = insert(cx, Draft { vpc, zone, cidr, is_default: false, tags, acl: &acl });
    Ok(CreateSubnetResponse { subnet: Some(described(cx, cx.ec2.network.subnet(&id)?)) })
}

/// The zone that the request names, else the one where the VPC has fewest subnets (AWS selects one; our reading).
fn zone(
    cx: &Engine,
    name: Option<&str>,
    id: Option<&str>,
    vpc: &str,
) -> Result<&'static AvailabilityZone, Refusal> {
    let zones = cx.config.region.zones;
    let set = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    match (set(name), set(id)) {
        (Some(_), Some(_)) => Err(Refusal::new(
            "InvalidParameterCombination",
            "The parameters availabilityZone and availabilityZoneId cannot be used together",
        )),
        (Some(text), None) | (None, Some(text)) => {
            zones.iter().find(|zone| zone.name == text || zone.id == text).ok_or_else(|| {
                let known: Vec<&str> = zones.iter().map(|zone| zone.name).collect();
                invalid(format!(
                    "Value ({text}) for parameter availabilityZone is invalid. Subnets can currently only be created \
                     in the following availability zones: {}.",
                    known.join(", ")
                ))
            })
        }
        (None, None) => {
            let has = |zone: &&AvailabilityZone| {
                cx.ec2.network.subnets.iter().filter(|each| each.vpc == vpc && each.zone == *zone).count()
            };
            Ok(zones.iter().min_by_key(has).expect("a region has zones"))
        }
    }
}

pub(in crate::ec2) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteSubnetRequest,
) -> Result<DeleteSubnetResponse, Refusal> {
    let id = cx.ec2.network.subnet(&request.subnet_id)?.id.clone();
    let instances = cx.ec2.instances.count_by(&InstanceIndex::Subnet(id.clone()));
    let interfaces = cx.ec2.network.interfaces.count_by(&InterfaceIndex::Subnet(id.clone()));
    if instances + interfaces > 0 {
        return Err(in_use(Subnet::NOUN, &id));
    }
    dry_run(request.dry_run)?;
    cx.ec2.network.subnets.remove(&id);
    Ok(DeleteSubnetResponse {})
}

pub(in crate::ec2) fn modify(
    cx: &mut Engine,
    _caller: &Caller,
    request: ModifySubnetAttributeRequest,
) -> Result<ModifySubnetAttributeResponse, Refusal> {
    let set = |value: Option<AttributeBooleanValue>| value.and_then(|value| value.value);
    let ipv6 = [
        request.assign_ipv6_address_on_creation,
        request.enable_dns64,
        request.enable_resource_name_dns_aaaa_record_on_launch,
    ];
    vpc::no_ipv6(ipv6.into_iter().any(|value| set(value) == Some(true)))?;
    let outposts = request.customer_owned_ipv4_pool.is_some()
        || set(request.map_customer_owned_ip_on_launch) == Some(true)
        || request.enable_lni_at_device_index.is_some();
    if outposts {
        return Err(Refusal::new("UnsupportedOperation", "There are no Outposts here."));
    }
    let id = cx.ec2.network.subnet(&request.subnet_id)?.id.clone();
    if let Some(mut subnet) = cx.ec2.network.subnets.edit(&id) {
        subnet.public_addresses = set(request.map_public_ip_on_launch).unwrap_or(subnet.public_addresses);
        subnet.hostname_type = request.private_dns_hostname_type_on_launch.unwrap_or(subnet.hostname_type);
        subnet.resource_name_a_record =
            set(request.enable_resource_name_dns_a_record_on_launch).unwrap_or(subnet.resource_name_a_record);
    }
    Ok(ModifySubnetAttributeResponse {})
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeSubnetsRequest,
) -> Result<DescribeSubnetsResponse, Refusal> {
    dry_run(request.dry_run)?;
    at_least_five(request.max_results)?;
    let filters = Filters::new(request.filters.as_ref(), SUBNET_FILTERS)?;
    let ids = request.subnet_ids.unwrap_or_default();
    for id in &ids {
        cx.ec2.network.subnet(id)?;
    }
    let fits = |subnet: &&Subnet| {
        (ids.is_empty() || ids.contains(&subnet.id))
            && filters.fit(&subnet.tags, |name, put| fields(cx, subnet, name, put))
    };
    // Not by id: by zone.
    let mut fitting: Vec<&Subnet> = cx.ec2.network.subnets.iter().filter(fits).collect();
    let key = |subnet: &&Subnet| format!("{}/{}", subnet.zone.name, subnet.id);
    fitting.sort_by_cached_key(key);
    let page = page_of(fitting, key, request.next_token.as_deref(), request.max_results)?;
    Ok(DescribeSubnetsResponse {
        subnets: Some(page.items.into_iter().map(|subnet| described(cx, subnet)).collect()),
        next_token: page.next,
    })
}

fn arn(cx: &Engine, subnet: &Subnet) -> String {
    cx.arn("ec2", format_args!("subnet/{}", subnet.id))
}

fn fields(cx: &Engine, subnet: &Subnet, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "availability-zone" | "availabilityZone" => put(subnet.zone.name),
        "availability-zone-id" | "availabilityZoneId" => put(subnet.zone.id),
        "available-ip-address-count" => put(&cx.ec2.free_addresses(subnet).to_string()),
        "cidr" | "cidr-block" | "cidrBlock" => put(&subnet.cidr.to_string()),
        "default-for-az" | "defaultForAz" => put(yes(subnet.default_for_zone)),
        "ipv6-native" | "map-customer-owned-ip-on-launch" | "enable-dns64" => put("false"),
        "map-public-ip-on-launch" => put(yes(subnet.public_addresses)),
        "owner-id" => put(&cx.config.account),
        "private-dns-name-options-on-launch.hostname-type" => put(subnet.hostname_type.as_str()),
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record" => {
            put(yes(subnet.resource_name_a_record));
        }
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => put("false"),
        "state" => put("available"),
        "subnet-arn" => put(&arn(cx, subnet)),
        "subnet-id" => put(&subnet.id),
        "vpc-id" => put(&subnet.vpc),
        _ => {}
    }
}

fn described(cx: &Engine, subnet: &Subnet) -> ec2::Subnet {
    ec2::Subnet {
        availability_zone_id: Some(subnet.zone.id.into()),
        map_customer_owned_ip_on_launch: Some(false),
        owner_id: Some(cx.config.account.clone()),
        assign_ipv6_address_on_creation: Some(false),
        ipv6_cidr_block_association_set: Some(Vec::new()),
        tags: tag::listed(&subnet.tags),
        subnet_arn: Some(arn(cx, subnet)),
        enable_dns64: Some(false),
        ipv6_native: Some(false),
        private_dns_name_options_on_launch: Some(ec2::PrivateDnsNameOptionsOnLaunch {
            hostname_type: Some(subnet.hostname_type),
            enable_resource_name_dns_a_record: Some(subnet.resource_name_a_record),
            enable_resource_name_dns_aaaa_record: Some(false),
        }),
        subnet_id: Some(subnet.id.clone()),
        state: Some(SubnetState::Available),
        vpc_id: Some(subnet.vpc.clone()),
        cidr_block: Some(subnet.cidr.to_string()),
        available_ip_address_count: i32::try_from(cx.ec2.free_addresses(subnet)).ok(),
        availability_zone: Some(subnet.zone.name.into()),
        default_for_az: Some(subnet.default_for_zone),
        map_public_ip_on_launch: Some(subnet.public_addresses),
        ..Default::default()
    }
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
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
    "private-dns-name-options-on-launch.hostname-type",
    "state",
    "subnet-arn",
    "subnet-id",
    "vpc-id",
    TAGS,
];
