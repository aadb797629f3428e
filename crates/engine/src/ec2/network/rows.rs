//! The rows of networks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use capstan_model::{AvailabilityZone, InstanceId, Time};
use capstan_shapes::ec2::{
    ConnectivityType, HostnameType, IcmpTypeCode, NatGatewayState, NetworkInterfaceType, PortRange,
    RuleAction, State, Tenancy, VpcEndpointType,
};

use super::Cidr;
use crate::ec2::Tags;
use crate::kernel::{NoIndex, Row};

/// A virtual network.
#[derive(Clone, Debug)]
pub struct Vpc {
    pub id: String,
    /// The one that it was made with comes first.
    pub blocks: Vec<VpcBlock>,
    pub dhcp_options: String,
    pub tenancy: Tenancy,
    pub is_default: bool,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub usage_metrics: bool,
    /// Of subnets without a table of their own.
    pub main_route_table: RouteTableUse,
    pub tags: Tags,
}

/// A range of addresses that belongs to a VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcBlock {
    /// `vpc-cidr-assoc-…`
    pub association: String,
    pub cidr: Cidr,
}

/// What ties a route table to a subnet, or to a VPC as its main one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTableUse {
    /// `rtbassoc-…`
    pub association: String,
    pub table: String,
}

impl Vpc {
    /// The block that it was made with.
    pub fn cidr(&self) -> Cidr {
        self.blocks[0].cidr
    }
}

/// A range of a VPC's addresses in one zone.
#[derive(Clone, Debug)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub zone: &'static AvailabilityZone,
    pub cidr: Cidr,
    /// The zone's default subnet.
    pub default_for_zone: bool,
    /// Instances launched here get a public address unless they say otherwise (MapPublicIpOnLaunch).
    pub public_addresses: bool,
    pub hostname_type: HostnameType,
    pub resource_name_a_record: bool,
    /// Its own route table; `None`: the main one of the VPC.
    pub route_table: Option<RouteTableUse>,
    pub network_acl: String,
    /// `aclassoc-…`
    pub network_acl_association: String,
    pub tags: Tags,
}

impl Subnet {
    /// Addresses that interfaces can have: all but the four first and the last (VPC guide, subnet-sizing).
    pub fn usable_addresses(&self) -> u32 {
        u32::try_from(self.cidr.size() - 5).unwrap_or(u32::MAX)
    }

    /// The `n`th usable address, from 0.
    pub(in crate::ec2) fn address(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.cidr.base.to_bits() + 4 + n)
    }

    /// An address for a task: of the upper half, where instances are seldom (our reading).
    pub fn task_address(&self, draw: u64) -> Ipv4Addr {
        let usable = self.usable_addresses();
        let upper = u64::from(usable - usable / 2);
        self.address(usable / 2 + u32::try_from(draw % upper).unwrap_or_default())
    }

    /// Whether an interface can have that address here.
    pub(in crate::ec2) fn has(&self, address: Ipv4Addr) -> bool {
        let place = address.to_bits().checked_sub(self.cidr.base.to_bits() + 4);
        place.is_some_and(|n| n < self.usable_addresses())
    }
}

/// What leads out of a VPC.
#[derive(Clone, Debug)]
pub struct InternetGateway {
    pub id: String,
    pub vpc: Option<String>,
    pub tags: Tags,
}

/// Routes of subnets. What is local to the VPC follows from its blocks, what leads to an endpoint from the endpoint.
#[derive(Clone, Debug)]
pub struct RouteTable {
    pub id: String,
    pub vpc: String,
    /// By destination: a range of addresses or a prefix list.
    pub routes: BTreeMap<String, RouteTarget>,
    pub client_token: Option<String>,
    pub tags: Tags,
}

/// Where packets of a route go; an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// `igw-…`, `vgw-…`
    Gateway(String),
    Instance(String),
    NatGateway(String),
    NetworkInterface(String),
}

/// A security group without its rules.
#[derive(Clone, Debug)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub description: String,
    pub vpc: String,
    pub tags: Tags,
}

/// A rule of a security group.
#[derive(Clone, Debug)]
pub struct SecurityGroupRule {
    /// `sgr-…`
    pub id: String,
    pub group: String,
    pub egress: bool,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub protocol: String,
    /// The first port, or the type of ICMP; `None` for all.
    pub from_port: Option<i32>,
    /// The last port, or the code of ICMP.
    pub to_port: Option<i32>,
    pub peer: Peer,
    pub description: Option<String>,
    pub tags: Tags,
}

/// Whom a rule lets in, or out to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Ipv4(String),
    Ipv6(String),
    PrefixList(String),
    /// A security group's id.
    Group(String),
}

/// What rules can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleIndex {
    /// Rules of that group.
    Group(String),
    /// Rules that name that group as their peer.
    Peer(String),
}

/// An Elastic IP address.
#[derive(Clone, Debug)]
pub struct Address {
    /// `eipalloc-…`
    pub id: String,
    pub ip: Ipv4Addr,
    pub association: Option<AddressAssociation>,
    pub tags: Tags,
}

/// What an Elastic IP address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressAssociation {
    /// `eipassoc-…`
    pub id: String,
    pub interface: String,
    /// When the interface is an instance's.
    pub instance: Option<InstanceId>,
    pub private_ip: Ipv4Addr,
}

/// What lets instances of private subnets out.
#[derive(Clone, Debug)]
pub struct NatGateway {
    pub id: String,
    pub vpc: String,
    pub subnet: String,
    pub connectivity: ConnectivityType,
    pub state: NatGatewayState,
    /// Code and message, when it failed.
    pub failure: Option<(String, String)>,
    /// Of a public one.
    pub allocation: Option<String>,
    pub interface: String,
    pub private_ip: Ipv4Addr,
    /// Kept for what is described after the end.
    pub public_ip: Option<Ipv4Addr>,
    pub created_at: Time,
    pub deleted_at: Option<Time>,
    /// When its state changes next; at last it is forgotten.
    pub due_at: Option<Time>,
    pub client_token: Option<String>,
    pub tags: Tags,
}

/// A network interface other than an instance's first one, which the instance's row tells.
#[derive(Clone, Debug)]
pub struct NetworkInterface {
    pub id: String,
    pub vpc: String,
    pub subnet: String,
    pub private_ip: Ipv4Addr,
    pub description: String,
    pub groups: Vec<String>,
    pub kind: NetworkInterfaceType,
    /// The service that it belongs to: it is managed by its requester.
    pub requester: Option<String>,
    /// Hex part of `eni-attach-`, when it is in use.
    pub attachment: Option<u64>,
    pub source_dest_check: bool,
    pub created_at: Time,
    pub client_token: Option<String>,
    pub tags: Tags,
}

/// What interfaces can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceIndex {
    /// A private address in use in a VPC.
    Address(String, Ipv4Addr),
    Group(String),
    Subnet(String),
}

/// A network ACL.
#[derive(Clone, Debug)]
pub struct NetworkAcl {
    pub id: String,
    pub vpc: String,
    pub is_default: bool,
    /// By direction (`true`: egress) and number.
    pub entries: BTreeMap<(bool, i32), AclEntry>,
    pub client_token: Option<String>,
    pub tags: Tags,
}

/// A rule of a network ACL.
#[derive(Clone, Debug, PartialEq)]
pub struct AclEntry {
    pub action: RuleAction,
    /// A number, or `-1` for all.
    pub protocol: String,
    pub cidr: Option<String>,
    pub ipv6_cidr: Option<String>,
    pub ports: Option<PortRange>,
    pub icmp: Option<IcmpTypeCode>,
}

/// A way to a service from inside a VPC.
#[derive(Clone, Debug)]
pub struct VpcEndpoint {
    pub id: String,
    pub vpc: String,
    /// `Gateway` or `Interface`.
    pub kind: VpcEndpointType,
    /// `com.amazonaws.eu-west-1.s3`
    pub service: String,
    pub state: State,
    /// JSON; nothing is held against it.
    pub policy: String,
    /// Of a gateway.
    pub route_tables: Vec<String>,
    /// Of an interface endpoint: subnets and the interfaces in them.
    pub interfaces: Vec<(String, String)>,
    pub groups: Vec<String>,
    pub private_dns: bool,
    pub created_at: Time,
    /// When it becomes available, or is gone.
    pub due_at: Option<Time>,
    pub client_token: Option<String>,
    pub tags: Tags,
}

impl Row for VpcEndpoint {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.vpc-endpoints";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn deadline(&self) -> Option<Time> {
        self.due_at
    }
}

/// What instances are told by DHCP.
#[derive(Clone, Debug)]
pub struct DhcpOptions {
    pub id: String,
    pub tags: Tags,
}

/// Rows that an id finds, and nothing else.
macro_rules! by_id {
    ($($row:ident $table:literal,)*) => {$(
        impl Row for $row {
            type Key = String;
            type Index = NoIndex;
            const TABLE: &'static str = $table;

            fn key(&self) -> String {
                self.id.clone()
            }
        }
    )*};
}

by_id! {
    Address "ec2.addresses",
    DhcpOptions "ec2.dhcp-options",
    InternetGateway "ec2.internet-gateways",
    NetworkAcl "ec2.network-acls",
    RouteTable "ec2.route-tables",
    SecurityGroup "ec2.security-groups",
    Subnet "ec2.subnets",
    Vpc "ec2.vpcs",
}

impl Row for SecurityGroupRule {
    type Key = String;
    type Index = RuleIndex;
    const TABLE: &'static str = "ec2.security-group-rules";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn index(&self, put: &mut dyn FnMut(RuleIndex)) {
        put(RuleIndex::Group(self.group.clone()));
        if let Peer::Group(peer) = &self.peer {
            put(RuleIndex::Peer(peer.clone()));
        }
    }
}

impl Row for NatGateway {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.nat-gateways";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        let gone = matches!(self.state, NatGatewayState::Deleted | NatGatewayState::Failed);
        (!gone).then(|| self.id.clone())
    }

    fn deadline(&self) -> Option<Time> {
        self.due_at
    }
}

impl Row for NetworkInterface {
    type Key = String;
    type Index = InterfaceIndex;
    const TABLE: &'static str = "ec2.network-interfaces";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn index(&self, put: &mut dyn FnMut(InterfaceIndex)) {
        put(InterfaceIndex::Address(self.vpc.clone(), self.private_ip));
        put(InterfaceIndex::Subnet(self.subnet.clone()));
        self.groups.iter().for_each(|group| put(InterfaceIndex::Group(group.clone())));
    }
}
