//! The rows of EC2.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use capstan_market::Pool;
use capstan_model::catalogue::InstanceType;
use capstan_model::{AvailabilityZone, InstanceId, Time};
use capstan_shapes::ec2::{InstanceMetadataOptionsResponse, InstanceStateName, ResponseLaunchTemplateData};

use crate::kernel::{NoIndex, Row};

use super::spot::{Spot, Stage};
use super::{Release, RootVolume, user_data};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The tag by which an instance belongs to an Auto Scaling group.
pub const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// A virtual machine, from its launch until about an hour after its end.
#[derive(Clone, Debug)]
pub struct Instance {
    pub id: InstanceId,
    /// `r-…`: what one RunInstances call launched.
    pub reservation: String,
    /// Place in the reservation, from 0.
    pub launch_index: u32,
    /// Set when a service made the call, as Auto Scaling does.
    pub requester: Option<String>,
    pub client_token: Option<String>,
    /// Tells another request with the same client token from a repetition.
    pub request_digest: u64,
    pub instance_type: &'static InstanceType,
    pub image: String,
    /// What the image holds.
    pub(super) release: &'static Release,
    pub zone: &'static AvailabilityZone,
    pub vpc: String,
    pub subnet: String,
    /// In the subnet. Free again once the instance is `terminated`.
    pub private_ip: Ipv4Addr,
    /// Ids.
    pub security_groups: Vec<String>,
    pub launched_at: Time,
    /// When it came to `running`.
    pub running_at: Option<Time>,
    pub state: InstanceStateName,
    pub state_reason: Option<StateReason>,
    /// `User initiated (2026-01-31 12:00:00 GMT)`, else empty.
    pub transition_reason: String,
    /// `None`: On-Demand.
    pub spot: Option<Spot>,
    /// The template it came from.
    pub launch_template: Option<LaunchedFrom>,
    /// As the instance reads it (not base64).
    pub user_data: Option<Arc<str>>,
    pub tags: Tags,
    pub key_name: Option<String>,
    /// ARN.
    pub instance_profile: Option<String>,
    pub metadata_options: InstanceMetadataOptionsResponse,
    /// RebootInstances took its machine away to bring it back.
    pub rebooting: bool,
    /// Detailed monitoring.
    pub monitoring: bool,
    pub ebs_optimized: bool,
    /// DisableApiTermination: a user's TerminateInstances is refused.
    pub termination_protection: bool,
    /// DisableApiStop: a user's StopInstances is refused.
    pub stop_protection: bool,
    /// What a shutdown from inside is meant to do; otherwise it stops.
    pub ends_on_shutdown: bool,
    pub root: RootVolume,
    /// Whether its interface takes only packets to or from itself.
    pub source_dest_check: bool,
    /// Given at launch; an Elastic IP address takes its place.
    pub public_ip: Option<Ipv4Addr>,
    /// Whether it was launched to have a public address, which a start gives it anew.
    pub wants_public_ip: bool,
    /// Hex parts of `eni-`, `eni-attach-` and `vol-`.
    pub network_interface: u64,
    pub attachment: u64,
    pub volume: u64,
    /// When a terminated instance is no longer described.
    pub forget_at: Option<Time>,
}

/// Why an instance is in its state (spot.md §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReason {
    /// `Client.UserInitiatedShutdown`
    pub code: String,
    pub message: String,
}

/// A launch template and its version at the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchedFrom {
    pub id: String,
    pub version: i64,
}

/// What instances can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceIndex {
    /// A private address in use in a VPC.
    Address(String, Ipv4Addr),
    ClientToken(String),
    /// A public address in use.
    PublicAddress(Ipv4Addr),
    /// The Auto Scaling group named by the tag [`GROUP_TAG`], terminated instances included.
    Group(String),
    /// Spot Instances that take capacity of that pool: `pending` and `running` ones.
    Pool(Pool),
    State(InstanceStateName),
    /// Instances that hold an address of that subnet.
    Subnet(String),
    /// The name of a zone.
    Zone(&'static str),
}

impl Instance {
    pub fn is_spot(&self) -> bool {
        self.spot.is_some()
    }

    /// `spot` or `on-demand`, as the instance's metadata says it.
    pub fn lifecycle(&self) -> &'static str {
        if self.is_spot() { "spot" } else { "on-demand" }
    }

    /// Its type and zone.
    pub fn pool(&self) -> Pool {
        Pool { instance_type: self.instance_type, zone: self.zone }
    }

    /// `pending` or `running`.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, InstanceStateName::Pending | InstanceStateName::Running)
    }

    /// The Auto Scaling group that it belongs to.
    pub fn group(&self) -> Option<&str> {
        self.tags.get(GROUP_TAG).map(String::as_str)
    }

    /// Whether an ECS agent comes up with the instance: the image has it, or user data installs it (ECS guide,
    /// manually launching an instance with the agent).
    pub fn runs_ecs_agent(&self) -> bool {
        let installs = |text: &str| {
            ["ecs-init", "amazon-ecs-agent", "install ecs", "enable ecs"]
                .iter()
                .any(|word| text.contains(word))
        };
        self.release.ecs.is_some() || self.user_data.as_deref().is_some_and(installs)
    }

    /// Whether its agent drains itself when EC2 takes the instance back: `ECS_ENABLE_SPOT_INSTANCE_DRAINING`, off unless
    /// set (ECS guide, container-instance-spot).
    pub fn drains_on_notice(&self) -> bool {
        let config = self.agent_config();
        let value = config.get("ECS_ENABLE_SPOT_INSTANCE_DRAINING");
        // Go's ParseBool, which the stock agent uses.
        value.is_some_and(|value| matches!(&**value, "1" | "t" | "T" | "TRUE" | "true" | "True"))
    }

    /// The settings of the ECS agent: what user data writes to `/etc/ecs/ecs.config`, with ECS_CLUSTER always set
    /// (ECS guide, ecs-agent-config: it is `default` unless told).
    pub fn agent_config(&self) -> BTreeMap<String, String> {
        let mut config = self.user_data.as_deref().map(user_data::ecs_config).unwrap_or_default();
        config.entry("ECS_CLUSTER".to_owned()).or_insert_with(|| "default".to_owned());
        config
    }
}

impl Row for Instance {
    type Key = InstanceId;
    type Index = InstanceIndex;
    const TABLE: &'static str = "ec2.instances";

    fn key(&self) -> InstanceId {
        self.id
    }

    fn resource(&self) -> Option<String> {
        (self.state != InstanceStateName::Terminated).then(|| self.id.to_string())
    }

    fn deadline(&self) -> Option<Time> {
        let interruption = self.spot.as_ref().and_then(|spot| spot.interruption);
        // One that ended or stops for another reason is not taken back any more.
        let interruption = interruption.filter(|interruption| match interruption.stage {
            Stage::Evicted => self.state == InstanceStateName::ShuttingDown,
            Stage::Planned | Stage::Noticed => self.is_alive(),
        });
        self.forget_at.or_else(|| interruption.map(|interruption| interruption.due_at()))
    }

    fn index(&self, put: &mut dyn FnMut(InstanceIndex)) {
        put(InstanceIndex::State(self.state));
        put(InstanceIndex::Zone(self.zone.name));
        if let Some(group) = self.group() {
            put(InstanceIndex::Group(group.to_owned()));
        }
        if let Some(token) = &self.client_token {
            put(InstanceIndex::ClientToken(token.clone()));
        }
        if self.is_spot() && self.is_alive() {
            put(InstanceIndex::Pool(self.pool()));
        }
        if self.state != InstanceStateName::Terminated {
            put(InstanceIndex::Address(self.vpc.clone(), self.private_ip));
            put(InstanceIndex::Subnet(self.subnet.clone()));
            self.public_ip.into_iter().for_each(|address| put(InstanceIndex::PublicAddress(address)));
        }
    }
}

/// A launch template without its versions.
#[derive(Clone, Debug)]
pub struct LaunchTemplate {
    /// `lt-…`
    pub id: String,
    pub name: String,
    pub created_at: Time,
    /// ARN of who created it.
    pub created_by: String,
    pub default_version: i64,
    /// The highest that exists.
    pub latest_version: i64,
    /// Numbers given so far; a number never comes again.
    pub versions_made: i64,
    pub client_token: Option<String>,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaunchTemplateIndex {
    ClientToken(String),
    Name(String),
}

impl Row for LaunchTemplate {
    type Key = String;
    type Index = LaunchTemplateIndex;
    const TABLE: &'static str = "ec2.launch-templates";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn index(&self, put: &mut dyn FnMut(LaunchTemplateIndex)) {
        put(LaunchTemplateIndex::Name(self.name.clone()));
        if let Some(token) = &self.client_token {
            put(LaunchTemplateIndex::ClientToken(token.clone()));
        }
    }
}

/// A version of a launch template; never changed.
#[derive(Clone, Debug)]
pub struct LaunchTemplateVersion {
    pub template: String,
    /// From 1.
    pub version: i64,
    pub description: Option<String>,
    pub created_at: Time,
    pub created_by: String,
    pub client_token: Option<String>,
    pub data: ResponseLaunchTemplateData,
}

impl Row for LaunchTemplateVersion {
    type Key = (String, i64);
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.launch-template-versions";

    fn key(&self) -> (String, i64) {
        (self.template.clone(), self.version)
    }

    fn resource(&self) -> Option<String> {
        None
    }
}
