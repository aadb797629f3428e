//! Networks: VPCs and what stands in them.
//!
//! Nothing here moves packets: tasks run on this machine whatever their subnet's routes and their groups' rules say. What
//! acts are places and addresses: a subnet has a zone and a range, and what is launched in it has an address from there.

pub(super) mod address;
mod cidr;
pub(super) mod dhcp_options;
pub(super) mod endpoint;
pub(super) mod gateway;
pub(super) mod interface;
pub(super) mod nat_gateway;
pub(super) mod network_acl;
pub(super) mod prefix_list;
pub(super) mod resource;
pub(super) mod route;
pub(super) mod route_table;
mod rows;
pub(super) mod rule;
pub(super) mod security_group;
pub(super) mod subnet;
pub(super) mod vpc;

use std::net::Ipv4Addr;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{Tag, TagSpecification, Tenancy};

use crate::kernel::{Table, tables};
use crate::{Caller, Engine};

use super::{Ec2, InstanceIndex, Tags, tag};

pub use cidr::Cidr;
pub use rows::*;

use resource::{Ask, Resource, Tagged, ask, select};

/// The tables of networks.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub(super) vpcs: Table<Vpc>,
    pub(super) subnets: Table<Subnet>,
    pub(super) security_groups: Table<SecurityGroup>,
    pub(super) rules: Table<SecurityGroupRule>,
    pub(super) gateways: Table<InternetGateway>,
    pub(super) route_tables: Table<RouteTable>,
    pub(super) addresses: Table<Address>,
    pub(super) nat_gateways: Table<NatGateway>,
    pub(super) interfaces: Table<NetworkInterface>,
    pub(super) acls: Table<NetworkAcl>,
    pub(super) dhcp_options: Table<DhcpOptions>,
    pub(super) endpoints: Table<VpcEndpoint>,
}

tables!(Network {
    vpcs,
    subnets,
    security_groups,
    rules,
    gateways,
    route_tables,
    addresses,
    nat_gateways,
    interfaces,
    acls,
    dhcp_options,
    endpoints,
});

impl Network {
    /// Every table, by what its rows have in common.
    pub(super) fn tables(&self) -> [&dyn Tagged; 12] {
        [
            &self.vpcs,
            &self.subnets,
            &self.security_groups,
            &self.rules,
            &self.gateways,
            &self.route_tables,
            &self.addresses,
            &self.nat_gateways,
            &self.interfaces,
            &self.acls,
            &self.dhcp_options,
            &self.endpoints,
        ]
    }

    pub(super) fn tables_mut(&mut self) -> [&mut dyn Tagged; 12] {
        [
            &mut self.vpcs,
            &mut self.subnets,
            &mut self.security_groups,
            &mut self.rules,
            &mut self.gateways,
            &mut self.route_tables,
            &mut self.addresses,
            &mut self.nat_gateways,
            &mut self.interfaces,
            &mut self.acls,
            &mut self.dhcp_options,
            &mut self.endpoints,
        ]
    }

    pub fn vpcs(&self) -> &Table<Vpc> {
        &self.vpcs
    }

    pub fn subnets(&self) -> &Table<Subnet> {
        &self.subnets
    }

    pub fn security_groups(&self) -> &Table<SecurityGroup> {
        &self.security_groups
    }

    /// Rules of security groups.
    pub fn rules(&self) -> &Table<SecurityGroupRule> {
        &self.rules
    }

    /// Elastic IP addresses.
    pub fn addresses(&self) -> &Table<Address> {
        &self.addresses
    }

    pub fn nat_gateways(&self) -> &Table<NatGateway> {
        &self.nat_gateways
    }

    /// Network interfaces that are no instance's first one.
    pub fn interfaces(&self) -> &Table<NetworkInterface> {
        &self.interfaces
    }

    /// Network ACLs.
    pub fn acls(&self) -> &Table<NetworkAcl> {
        &self.acls
    }

    /// VPC endpoints.
    pub fn endpoints(&self) -> &Table<VpcEndpoint> {
        &self.endpoints
    }

    /// The row of that id, or EC2's refusal.
    pub(super) fn vpc(&self, id: &str) -> Result<&Vpc, Refusal> {
        resource::find(&self.vpcs, id)
    }

    pub(super) fn subnet(&self, id: &str) -> Result<&Subnet, Refusal> {
        resource::find(&self.subnets, id)
    }

    pub(super) fn security_group(&self, id: &str) -> Result<&SecurityGroup, Refusal> {
        resource::find(&self.security_groups, id)
    }
}

/// The default VPC has 172.31.0.0/16, its subnets one /20 each (VPC guide, default-vpc-components).
const BASE: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 0);
const SUBNET_PREFIX: u32 = 20;

/// Puts the default VPC in, with a subnet in each zone and a way out.
pub(super) fn start(cx: &mut Engine) {
    let draft = vpc::Draft {
        cidr: Cidr { base: BASE, prefix: 16 },
        tenancy: Tenancy::Default,
        is_default: true,
        tags: Tags::new(),
    };
    let vpc = vpc::insert(cx, draft);
    let acl = network_acl::default_of(cx, &vpc);
    for (at, zone) in (0..).zip(cx.config.region.zones) {
        let base = Ipv4Addr::from_bits(BASE.to_bits() + (at << (32 - SUBNET_PREFIX)));
        let draft = subnet::Draft {
            vpc: vpc.clone(),
            zone,
            cidr: Cidr { base, prefix: SUBNET_PREFIX },
            is_default: true,
            tags: Tags::new(),
            acl: &acl,
        };
        subnet::insert(cx, draft);
    }
    vpc::insert_default_group(cx, &vpc);
    gateway::insert_default(cx, &vpc);
}

impl Ec2 {
    /// Addresses of the subnet that nothing has.
    pub fn free_addresses(&self, subnet: &Subnet) -> u32 {
        let instances = self.instances.count_by(&InstanceIndex::Subnet(subnet.id.clone()));
        let others = self.network.interfaces.count_by(&InterfaceIndex::Subnet(subnet.id.clone()));
        subnet.usable_addresses().saturating_sub(u32::try_from(instances + others).unwrap_or(u32::MAX))
    }

    /// The default subnet of the zone of that name.
    pub fn default_subnet(&self, zone: &str) -> Option<&Subnet> {
        self.network.subnets.iter().find(|subnet| subnet.default_for_zone && subnet.zone.name == zone)
    }

    /// The default VPC, which users can delete.
    pub fn default_vpc(&self) -> Option<&Vpc> {
        self.network.vpcs.iter().find(|vpc| vpc.is_default)
    }
}

/// Refuses to delete what others need.
fn in_use(noun: &str, id: &str) -> Refusal {
    Refusal::new("DependencyViolation", format!("The {noun} '{id}' has dependencies and cannot be deleted."))
}

/// `true` and `false`, as filters write them.
fn yes(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The tags that a request gives to the one resource that it makes.
fn tags_of<R: Resource>(
    caller: &Caller,
    specifications: Option<Vec<TagSpecification>>,
) -> Result<Tags, Refusal> {
    let found = tag::of_specifications(caller, specifications, &[R::KIND])?;
    Ok(found.into_values().next().unwrap_or_default())
}

/// Tags as most of these describe calls list them: an empty list when there are none.
fn listed(tags: &Tags) -> Option<Vec<Tag>> {
    Some(tag::listed(tags).unwrap_or_default())
}
