//! Amazon EC2: launch templates, instances, networks, images and instance types.
//!
//! Rows are in `rows`, one file for each subject beside it; [`Ec2`] owns the tables.

mod account;
mod bill;
mod event;
mod filter;
mod fleet;
mod image;
mod instance;
mod instance_attribute;
mod instance_type;
mod key_pair;
mod launch_template;
mod metadata;
mod network;
pub(crate) mod requirements;
mod rows;
mod run;
mod spot;
mod status;
mod stop;
mod tag;
#[cfg(test)]
mod tests;
mod user_data;
mod volume;
mod zone;

use capstan_model::Time;
use capstan_shapes::{Refusal, ec2};

use crate::kernel::{Event, Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use bill::{BillKey, BillLine, Meter, Sums, bill, total};
pub use fleet::Fleet;
pub(crate) use image::{AmazonLinux, Release, releases};
pub use image::{DOCKER_VERSION, ECS_AGENT_VERSION};
pub(crate) use instance::{instance_running, instance_terminated};
pub use key_pair::KeyPair;
pub use metadata::{identity_document, metadata};
pub use network::{
    AclEntry, Address, AddressAssociation, Cidr, DhcpOptions, InterfaceIndex, InternetGateway, NatGateway,
    Network, NetworkAcl, NetworkInterface, Peer, RouteTable, RouteTableUse, RouteTarget, RuleIndex,
    SecurityGroup, SecurityGroupRule, Subnet, Vpc, VpcBlock, VpcEndpoint,
};
pub use rows::*;
pub use spot::{Cause, Interruption, NOTICE, PoolInUse, Spot, SpotRequest, Stage};
pub(crate) use spot::{Offer, Preference, Quotes, depth, interrupt, order};
pub(crate) use stop::instance_stopped;
pub use user_data::{CfnSignal, cfn_signals, ecs_config};
pub use volume::RootVolume;

/// The tables of this room.
#[derive(Clone, Debug, Default)]
pub struct Ec2 {
    instances: Table<Instance>,
    launch_templates: Table<LaunchTemplate>,
    launch_template_versions: Table<LaunchTemplateVersion>,
    network: Network,
    key_pairs: Table<KeyPair>,
    spot_requests: Table<SpotRequest>,
    spot_pools: Table<PoolInUse>,
    fleets: Table<Fleet>,
    meters: Table<Meter>,
    bill: Table<BillLine>,
}

impl Ec2 {
    pub fn instances(&self) -> &Table<Instance> {
        &self.instances
    }

    pub fn launch_templates(&self) -> &Table<LaunchTemplate> {
        &self.launch_templates
    }

    /// By template id and version number.
    pub fn launch_template_versions(&self) -> &Table<LaunchTemplateVersion> {
        &self.launch_template_versions
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn key_pairs(&self) -> &Table<KeyPair> {
        &self.key_pairs
    }

    pub fn vpcs(&self) -> &Table<Vpc> {
        &self.network.vpcs
    }

    pub fn subnets(&self) -> &Table<Subnet> {
        &self.network.subnets
    }

    pub fn security_groups(&self) -> &Table<SecurityGroup> {
        &self.network.security_groups
    }

    /// The template of that id or name (one of them), or EC2's refusal.
    pub fn launch_template(&self, id: Option<&str>, name: Option<&str>) -> Result<&LaunchTemplate, Refusal> {
        launch_template::find(self, id, name)
    }

    /// The version that `$Default` (also when nothing is said), `$Latest` or a number means now, or EC2's refusal.
    pub fn launch_template_version(
        &self,
        template: &LaunchTemplate,
        version: Option<&str>,
    ) -> Result<&LaunchTemplateVersion, Refusal> {
        launch_template::version(self, template, version)
    }

    pub fn spot_requests(&self) -> &Table<SpotRequest> {
        &self.spot_requests
    }

    /// Pools with Spot Instances in them, when the market is not calm.
    pub fn spot_pools(&self) -> &Table<PoolInUse> {
        &self.spot_pools
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let due = [
            self.instances.next_due(),
            self.network.nat_gateways.next_due(),
            self.network.endpoints.next_due(),
            self.spot_pools.next_due(),
            self.spot_requests.next_due(),
        ];
        due.into_iter().flatten().min()
    }
}

tables!(Ec2 {
    instances,
    launch_templates,
    launch_template_versions,
    network,
    key_pairs,
    spot_requests,
    spot_pools,
    fleets,
    meters,
    bill
});

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: ec2::Request,
) -> Result<ec2::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, ec2 {
        AllocateAddress => network::address::allocate,
        AssociateAddress => network::address::associate,
        AssociateRouteTable => network::route_table::associate,
        AssociateVpcCidrBlock => network::vpc::associate_block,
        AttachInternetGateway => network::gateway::attach,
        AuthorizeSecurityGroupEgress => network::rule::authorize_egress,
        AuthorizeSecurityGroupIngress => network::rule::authorize_ingress,
        CancelSpotInstanceRequests => spot::cancel,
        CreateFleet => fleet::create,
        CreateInternetGateway => network::gateway::create,
        CreateKeyPair => key_pair::create,
        CreateLaunchTemplate => launch_template::create,
        CreateLaunchTemplateVersion => launch_template::create_version,
        CreateNatGateway => network::nat_gateway::create,
        CreateNetworkAcl => network::network_acl::create,
        CreateNetworkAclEntry => network::network_acl::create_entry,
        CreateNetworkInterface => network::interface::create,
        CreateRoute => network::route::create,
        CreateRouteTable => network::route_table::create,
        CreateSecurityGroup => network::security_group::create,
        CreateSubnet => network::subnet::create,
        CreateTags => tag::create,
        CreateVpc => network::vpc::create,
        CreateVpcEndpoint => network::endpoint::create,
        DeleteInternetGateway => network::gateway::delete,
        DeleteKeyPair => key_pair::delete,
        DeleteLaunchTemplate => launch_template::delete,
        DeleteLaunchTemplateVersions => launch_template::delete_versions,
        DeleteNatGateway => network::nat_gateway::delete,
        DeleteNetworkAcl => network::network_acl::delete,
        DeleteNetworkAclEntry => network::network_acl::delete_entry,
        DeleteNetworkInterface => network::interface::delete,
        DeleteRoute => network::route::delete,
        DeleteRouteTable => network::route_table::delete,
        DeleteSecurityGroup => network::security_group::delete,
        DeleteSubnet => network::subnet::delete,
        DeleteTags => tag::delete,
        DeleteVpc => network::vpc::delete,
        DeleteVpcEndpoints => network::endpoint::delete,
        DescribeAccountAttributes => account::describe_attributes,
        DescribeAddresses => network::address::describe,
        DescribeAddressesAttribute => network::address::describe_attributes,
        DescribeAvailabilityZones => zone::describe_availability_zones,
        DescribeDhcpOptions => network::dhcp_options::describe,
        DescribeFlowLogs => network::dhcp_options::describe_flow_logs,
        DescribeImages => image::describe,
        DescribeInstanceAttribute => instance_attribute::describe,
        DescribeInstanceCreditSpecifications => instance_attribute::describe_credits,
        DescribeInstanceStatus => status::describe,
        DescribeInstanceTypeOfferings => instance_type::describe_offerings,
        DescribeInstanceTypes => instance_type::describe,
        DescribeInstances => instance::describe,
        DescribeInternetGateways => network::gateway::describe,
        DescribeKeyPairs => key_pair::describe,
        DescribeLaunchTemplateVersions => launch_template::describe_versions,
        DescribeLaunchTemplates => launch_template::describe,
        DescribeManagedPrefixLists => network::prefix_list::describe_managed,
        DescribeNatGateways => network::nat_gateway::describe,
        DescribeNetworkAcls => network::network_acl::describe,
        DescribeNetworkInterfaces => network::interface::describe,
        DescribePrefixLists => network::prefix_list::describe,
        DescribeRegions => zone::describe_regions,
        DescribeRouteTables => network::route_table::describe,
        DescribeSecurityGroupRules => network::rule::describe,
        DescribeSecurityGroups => network::security_group::describe,
        DescribeSpotInstanceRequests => spot::describe,
        DescribeSpotPriceHistory => spot::history,
        DescribeSubnets => network::subnet::describe,
        DescribeTags => tag::describe,
        DescribeVolumes => volume::describe,
        DescribeVpcAttribute => network::vpc::describe_attribute,
        DescribeVpcEndpoints => network::endpoint::describe,
        DescribeVpcs => network::vpc::describe,
        DescribeVpnGateways => network::dhcp_options::describe_vpn_gateways,
        DetachInternetGateway => network::gateway::detach,
        DisassociateAddress => network::address::disassociate,
        DisassociateRouteTable => network::route_table::disassociate,
        DisassociateVpcCidrBlock => network::vpc::disassociate_block,
        GetSpotPlacementScores => spot::scores,
        ImportKeyPair => key_pair::import,
        ModifyInstanceAttribute => instance_attribute::modify,
        ModifyLaunchTemplate => launch_template::modify,
        ModifyNetworkInterfaceAttribute => network::interface::modify,
        ModifySecurityGroupRules => network::rule::modify,
        ModifySubnetAttribute => network::subnet::modify,
        ModifyVpcAttribute => network::vpc::modify_attribute,
        ModifyVpcEndpoint => network::endpoint::modify,
        RebootInstances => stop::reboot,
        ReleaseAddress => network::address::release,
        ReplaceNetworkAclAssociation => network::network_acl::replace_association,
        ReplaceNetworkAclEntry => network::network_acl::replace_entry,
        ReplaceRoute => network::route::replace,
        ReplaceRouteTableAssociation => network::route_table::replace_association,
        RequestSpotInstances => spot::request,
        RevokeSecurityGroupEgress => network::rule::revoke_egress,
        RevokeSecurityGroupIngress => network::rule::revoke_ingress,
        RunInstances => run::run_instances,
        StartInstances => stop::start,
        StopInstances => stop::stop,
        TerminateInstances => instance::terminate,
        UpdateSecurityGroupRuleDescriptionsEgress => network::rule::update_egress_descriptions,
        UpdateSecurityGroupRuleDescriptionsIngress => network::rule::update_ingress_descriptions,
    }))
}

/// Does what is due first: a terminated instance is forgotten, an interruption goes on, a pool has changed, a Spot request is
/// looked at, a NAT gateway or an
/// endpoint is ready or gone.
pub(crate) fn on_due(cx: &mut Engine) {
    let now = cx.now;
    if let Some((time, id)) = cx.ec2.instances.first_due()
        && time <= now
    {
        if cx.ec2.instances.get(&id).is_some_and(|row| row.forget_at.is_some()) {
            cx.ec2.instances.remove(&id);
        } else {
            spot::due(cx, id);
        }
    } else if let Some((time, pool)) = cx.ec2.spot_pools.first_due()
        && time <= now
    {
        spot::look(cx, pool);
    } else if let Some((time, id)) = cx.ec2.network.nat_gateways.first_due()
        && time <= now
    {
        network::nat_gateway::due(cx, &id);
    } else if let Some((time, id)) = cx.ec2.network.endpoints.first_due()
        && time <= now
    {
        network::endpoint::due(cx, &id);
    } else if let Some((_, id)) = cx.ec2.spot_requests.first_due() {
        spot::evaluate(cx, &id);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    event::pass_on(cx, event);
    if let Event::InstanceState { instance, state } = event {
        bill::instance_state(cx, *instance, state);
    }
}

/// What every account has from its first day: the default VPC with a subnet in each zone.
pub(crate) fn start(cx: &mut Engine) {
    network::start(cx);
}

/// An id with 17 digits as EC2 draws them nowadays, the first of them 0: `lt-0…`.
fn draw_id(cx: &mut Engine, prefix: &str, purpose: &'static str) -> String {
    format!("{prefix}-0{:016x}", cx.chance.u64(purpose))
}

/// ARN of whoever calls, as `createdBy` shows it.
fn creator(cx: &Engine, caller: &Caller) -> String {
    crate::sts::identity(cx, caller).1
}

/// FNV-1a: 64 bits that stand for the bytes.
pub(crate) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValue", message)
}

fn missing(parameter: &str) -> Refusal {
    Refusal::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
}

/// Refuses a request that asks only whether it would succeed; called where it would.
fn dry_run(asked: Option<bool>) -> Result<(), Refusal> {
    if asked == Some(true) {
        return Err(Refusal::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
            .with_status(412));
    }
    Ok(())
}

/// The page that a request asks for; all that is left when it does not say how many. Pages hold at most 1,000.
fn page_of<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    max_results: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = match max_results {
        None => usize::MAX,
        Some(size @ ..=0) => {
            return Err(invalid(format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than 0."
            )));
        }
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX).min(1000),
    };
    page(items, key, token, size)
        .map_err(|()| Refusal::new("InvalidNextToken", "The specified NextToken is not valid."))
}

/// Refuses pages smaller than five, which some describe calls do not make.
fn at_least_five(max_results: Option<i32>) -> Result<(), Refusal> {
    match max_results {
        Some(size @ ..5) => Err(invalid(format!(
            "Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than 5."
        ))),
        _ => Ok(()),
    }
}

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[
    (
        "CreateLaunchTemplate.LaunchTemplateData.*",
        "what RunInstances lists as without effect has none from a template either",
    ),
    ("CreateFleet.Context", "reserved by AWS"),
    ("CreateFleet.ExcessCapacityTerminationPolicy", "an instant fleet never changes"),
    ("CreateFleet.OnDemandOptions.CapacityReservationOptions", "there are no capacity reservations"),
    ("CreateFleet.ReplaceUnhealthyInstances", "an instant fleet never changes"),
    ("CreateFleet.ReservedCapacityOptions", "there are no capacity reservations"),
    ("CreateFleet.SpotOptions.MaintenanceStrategies", "an instant fleet never changes"),
    ("CreateFleet.TagSpecifications", "tags of other resources than the instances are not kept"),
    ("CreateFleet.TerminateInstancesWithExpiration", "an instant fleet never changes"),
    ("CreateFleet.ValidFrom", "an instant fleet is launched at once"),
    ("CreateFleet.ValidUntil", "an instant fleet is launched at once"),
    ("DescribeImages.ExecutableUsers", "every image here is public"),
    ("DescribeImages.IncludeDeprecated", "no image here is deprecated"),
    ("DescribeImages.IncludeDisabled", "no image here is disabled"),
    (
        "AllocateAddress.NetworkBorderGroup",
        "the region is one border group; the address is shown and nothing answers there",
    ),
    ("AssociateAddress", "shown; nothing answers at public addresses: tasks run on this machine"),
    (
        "AuthorizeSecurityGroupEgress",
        "rules are kept and no packet is held against them: tasks run on this machine",
    ),
    (
        "AuthorizeSecurityGroupIngress",
        "rules are kept and no packet is held against them: tasks run on this machine",
    ),
    ("CreateNatGateway", "the gateway has its addresses and its states; no packet goes through it"),
    ("CreateKeyPair", "the private key is noise: nothing listens for SSH"),
    ("CreateNetworkAclEntry", "entries are kept and no packet is held against them"),
    ("CreateNetworkInterface.ConnectionTrackingSpecification", "there are no connections to track"),
    ("CreateNetworkInterface.Operator", "not modelled"),
    ("CreateRoute", "routes are kept and no packet follows them"),
    ("CreateVpc.InstanceTenancy", "shown; there are no hosts to be alone on"),
    ("CreateVpc.VpcEncryptionControl", "no packet travels here"),
    (
        "ModifySubnetAttribute",
        "names and address settings are shown; only MapPublicIpOnLaunch gives addresses",
    ),
    ("ModifyVpcAttribute.EnableDnsSupport", "shown; there is no resolver"),
    ("ModifyVpcAttribute.EnableNetworkAddressUsageMetrics", "shown; the metrics are not published"),
    ("RunInstances.AdditionalInfo", "reserved by AWS"),
    (
        "RunInstances.BlockDeviceMappings",
        "instances have one root volume, told with its size and type; tasks write to this machine's disk",
    ),
    ("RunInstances.CapacityReservationSpecification", "there are no capacity reservations"),
    ("RunInstances.CpuOptions", "instances have the type's cores and threads"),
    ("RunInstances.CreditSpecification", "burstable types never run out of credits"),
    ("RequestSpotInstances.AvailabilityZoneGroup", "requests are fulfilled one by one"),
    ("RequestSpotInstances.LaunchGroup", "requests are fulfilled one by one"),
    (
        "RequestSpotInstances.LaunchSpecification.*",
        "what RunInstances lists as without effect has none from a Spot request either",
    ),
    ("RunInstances.ElasticGpuSpecification", "not modelled"),
    ("RunInstances.ElasticInferenceAccelerators", "not modelled"),
    ("RunInstances.EnablePrimaryIpv6", "the network has no IPv6"),
    ("RunInstances.EnclaveOptions", "not modelled"),
    ("RunInstances.HibernationOptions", "instances do not hibernate"),
    ("RunInstances.InstanceInitiatedShutdownBehavior", "shown; an instance that ends is terminated"),
    ("RunInstances.Ipv6AddressCount", "the network has no IPv6"),
    ("RunInstances.Ipv6Addresses", "the network has no IPv6"),
    ("RunInstances.KernelId", "not modelled"),
    ("RunInstances.KeyName", "shown; nothing listens for SSH, and a key pair of that name need not exist"),
    ("RunInstances.LicenseSpecifications", "not modelled"),
    ("RunInstances.MaintenanceOptions", "not modelled"),
    (
        "RunInstances.MetadataOptions.HttpPutResponseHopLimit",
        "shown; a task and its instance are one machine here, so no answer ever makes a second hop",
    ),
    ("RunInstances.MetadataOptions.HttpProtocolIpv6", "shown; the network has no IPv6"),
    ("RunInstances.Monitoring", "shown; EC2 publishes no metrics here"),
    (
        "RunInstances.NetworkInterfaces.AssociatePublicIpAddress",
        "the address is shown and nothing answers there: tasks run on this machine",
    ),
    ("RunInstances.NetworkPerformanceOptions", "not modelled"),
    ("RunInstances.Operator", "not modelled"),
    ("RunInstances.Placement.Tenancy", "not modelled, as are placement groups and hosts"),
    ("RunInstances.PrivateDnsNameOptions", "names follow the address"),
    ("RunInstances.RamdiskId", "not modelled"),
    ("RunInstances.SecondaryInterfaces", "not modelled"),
    ("RunInstances.TagSpecifications", "tags of other resources than the instance are not kept"),
    ("StartInstances.AdditionalInfo", "reserved by AWS"),
    ("StopInstances.Force", "instances always stop"),
    ("StopInstances.SkipOsShutdown", "instances stop at once"),
    ("TerminateInstances.Force", "instances always end"),
    ("TerminateInstances.SkipOsShutdown", "instances end at once"),
];
