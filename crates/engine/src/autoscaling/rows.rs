//! The rows of the Auto Scaling tables.

mod launch_configuration;
mod policy;
mod scheduled_action;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{InstanceId, MicroDollars, Span, Time};
use capstan_shapes::autoscaling as shapes;

pub use capstan_shapes::autoscaling::{LifecycleState, ScalingActivityStatusCode};
pub use launch_configuration::LaunchConfiguration;
pub use policy::*;
pub use scheduled_action::{Notification, ScheduledAction};

use super::decision::Decision;
use crate::kernel::{Amounts, NoIndex, Row};

/// A name that many rows carry: groups, zones, instance types.
pub type Name = Arc<str>;

/// An Auto Scaling group. Capacity is in units: instances, or what `WeightedCapacity` makes of them.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:autoScalingGroup:UUID:autoScalingGroupName/NAME`
    pub arn: Name,
    pub created: Time,
    pub min: i64,
    pub max: i64,
    pub desired: i64,
    pub source: Source,
    /// Where it launches, in the order of their names.
    pub zones: Vec<Zone>,
    /// As given: subnet ids with commas between.
    pub vpc_zone_identifier: Option<String>,
    /// `EC2`, `ELB`, or several with commas between, as given. EC2's checks are always on.
    pub health_check_type: String,
    pub health_check_grace: Span,
    pub default_cooldown: Span,
    pub default_instance_warmup: Option<Span>,
    /// As given; `Default` when none were.
    pub termination_policies: Vec<String>,
    pub new_instances_protected: bool,
    pub target_groups: Vec<TargetGroup>,
    /// Process name to the reason of its suspension.
    pub suspended: BTreeMap<String, String>,
    pub tags: BTreeMap<String, GroupTag>,
    /// Metrics that EnableMetricsCollection has switched on.
    pub metrics: BTreeSet<String>,
    /// Deleted by force; its instances are on their way out. Status `Delete in progress`.
    pub deleting: bool,
    pub settings: Settings,
    /// Kept as it was put; nothing is in it.
    pub warm_pool: Option<shapes::WarmPoolConfiguration>,
    /// When desired and actual capacity are compared next: at once after a change, minutes later after a failed launch.
    pub reconcile_at: Option<Time>,
    /// When the balance of zones is looked at again, because one of them had no room.
    pub balance_at: Option<Time>,
    /// The next minute at which group metrics are put.
    pub metrics_at: Option<Time>,
    /// Sentences that tell why the comparison was asked for; the first part of the next activities' causes.
    pub triggers: Vec<String>,
    /// The warm-up that the policy behind the latest trigger gives to what is launched for it.
    pub launch_warmup: Option<Warmup>,
    /// Unhealthy instances that were taken out of service and wait for their replacement.
    pub replacements: i64,
    /// An event of the group asks whether its zones are still in balance.
    pub balance_wanted: bool,
    /// End of the cooldown of the latest simple scaling.
    pub cooldown_until: Option<Time>,
    /// What scaling decided last, and why.
    pub decision: Option<Decision>,
}

impl Group {
    pub fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains_key(process)
    }

    /// Whether health checks of that type count (`EC2` always does).
    pub fn checks(&self, health_check: &str) -> bool {
        health_check == "EC2" || self.health_check_type.split(',').any(|each| each.trim() == health_check)
    }

    pub fn mixed(&self) -> Option<&MixedPolicy> {
        match &self.source {
            Source::Mixed(policy) => Some(policy),
            Source::Configuration(_) | Source::Template(_) => None,
        }
    }

    pub(super) fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| &*zone.name == name)
    }
}

impl Row for Group {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "autoscaling.groups";
    fn key(&self) -> Name {
        self.name.clone()
    }
    fn deadline(&self) -> Option<Time> {
        [self.reconcile_at, self.metrics_at, self.balance_at].into_iter().flatten().min()
    }
}

/// Settings that are described as they were given; those that decide nothing are in `INERT`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub capacity_rebalance: Option<bool>,
    pub placement_group: Option<String>,
    pub service_linked_role_arn: Option<String>,
    pub max_instance_lifetime: Option<i32>,
    pub context: Option<String>,
    pub desired_capacity_type: Option<String>,
    pub instance_maintenance_policy: Option<shapes::InstanceMaintenancePolicy>,
    pub zone_distribution: Option<shapes::AvailabilityZoneDistribution>,
    pub zone_impairment_policy: Option<shapes::AvailabilityZoneImpairmentPolicy>,
    pub capacity_reservation: Option<shapes::CapacityReservationSpecification>,
    pub instance_lifecycle_policy: Option<shapes::InstanceLifecyclePolicy>,
    pub deletion_protection: Option<shapes::DeletionProtection>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTag {
    pub value: String,
    pub propagate: bool,
}

/// A zone with the group's subnets in it; no subnets means the zone's default subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: Name,
    pub subnets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    pub arn: String,
    /// Whether a target of this group was healthy in it once: `InService` instead of `Added`.
    pub in_service: bool,
}

/// What a group launches from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A launch configuration.
    Configuration(Name),
    Mixed(MixedPolicy),
    Template(TemplateSpec),
}

impl Source {
    pub fn template(&self) -> Option<&TemplateSpec> {
        match self {
            Self::Configuration(_) => None,
            Self::Mixed(policy) => Some(&policy.template),
            Self::Template(template) => Some(template),
        }
    }
}

/// What an instance was launched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A launch configuration.
    Configuration(Name),
    /// With the numeric version.
    Template(Arc<TemplateSpec>),
}

impl Origin {
    pub fn configuration(&self) -> Option<&Name> {
        match self {
            Self::Configuration(name) => Some(name),
            Self::Template(_) => None,
        }
    }

    pub fn template(&self) -> Option<&TemplateSpec> {
        match self {
            Self::Configuration(_) => None,
            Self::Template(spec) => Some(spec),
        }
    }
}

/// A launch template, by both its names, and a version: a number, `$Latest` or `$Default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateSpec {
    pub id: String,
    pub name: String,
    pub version: String,
}

/// A MixedInstancesPolicy with the defaults of the API filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedPolicy {
    pub template: TemplateSpec,
    pub overrides: Vec<Override>,
    pub distribution: Distribution,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    pub instance_type: Option<Name>,
    pub template: Option<TemplateSpec>,
    pub image_id: Option<String>,
    /// 1–999; `None` counts as 1.
    pub weight: Option<i64>,
    pub requirements: Option<Box<shapes::InstanceRequirements>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub on_demand_strategy: OnDemandStrategy,
    /// Capacity units that are On-Demand before the percentage counts.
    pub base: i64,
    /// 0–100.
    pub percent: i64,
    pub spot_strategy: SpotStrategy,
    /// Pools in each zone that `lowest-price` spreads over.
    pub spot_pools: i64,
    /// `None` means the On-Demand price.
    pub spot_max_price: Option<MicroDollars>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDemandStrategy {
    LowestPrice,
    Prioritized,
}

impl OnDemandStrategy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LowestPrice => "lowest-price",
            Self::Prioritized => "prioritized",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpotStrategy {
    CapacityOptimized,
    CapacityOptimizedPrioritized,
    LowestPrice,
    PriceCapacityOptimized,
}

impl SpotStrategy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CapacityOptimized => "capacity-optimized",
            Self::CapacityOptimizedPrioritized => "capacity-optimized-prioritized",
            Self::LowestPrice => "lowest-price",
            Self::PriceCapacityOptimized => "price-capacity-optimized",
        }
    }
}

/// How long a new instance warms up, and from when that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    pub span: Span,
    /// From the launch (ECS managed scaling), else from InService (timelines, B1 #14).
    pub from_launch: bool,
}

/// An instance of a group.
#[derive(Clone, Debug)]
pub struct GroupInstance {
    pub id: InstanceId,
    pub group: Name,
    pub state: LifecycleState,
    pub health: Health,
    pub zone: Name,
    pub subnet: Option<Name>,
    pub instance_type: Name,
    pub image_id: Option<Name>,
    /// What it was launched from; `None` for an attached instance.
    pub origin: Option<Origin>,
    /// Capacity units.
    pub weight: i64,
    /// Whether the group has weights at all (then `WeightedCapacity` is described).
    pub weighted: bool,
    pub spot: bool,
    /// Protected from scale-in; counts from InService on.
    pub protected: bool,
    pub launched: Time,
    pub in_service: Option<Time>,
    pub warmup: Option<Warmup>,
    /// What EC2 said last: `pending`, `running`, `shutting-down` …
    pub ec2_state: &'static str,
    /// Target groups (ARNs) it is registered with, and whether their checks fail.
    pub targets: BTreeMap<String, bool>,
    /// Target groups it still drains from.
    pub draining: BTreeSet<String>,
    /// The activity that brings it in or out.
    pub activity: Option<ActivityKey>,
    /// Launched above the desired capacity to take the place of that instance; not yet in service.
    pub moves: Option<InstanceId>,
    /// What EC2 has said about its future; looked at only where the group rebalances its capacity.
    pub risk: Risk,
    /// Whether lifecycle hooks run for the transition that it is in (not for standby, attach or forced deletion).
    pub hooks: bool,
    /// When its health is looked at, or when draining is given up.
    pub check_at: Option<Time>,
}

/// How sure it is that EC2 takes a Spot Instance back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    None,
    /// EC2 recommends to leave it.
    Recommendation,
    /// It will be gone within two minutes.
    Notice,
}

/// `HealthStatus`, and what found the instance unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    /// EC2 does not say `running`.
    UnhealthyEc2,
    /// The load balancer's check fails.
    UnhealthyElb,
    /// SetInstanceHealth said so.
    UnhealthyUser,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::UnhealthyEc2 | Self::UnhealthyElb | Self::UnhealthyUser => "Unhealthy",
        }
    }
}

impl GroupInstance {
    /// Whether it counts towards the desired capacity: on its way in, or in service.
    pub fn is_current(&self) -> bool {
        matches!(
            self.state,
            LifecycleState::Pending
                | LifecycleState::PendingWait
                | LifecycleState::PendingProceed
                | LifecycleState::InService
        )
    }

    pub fn is_terminating(&self) -> bool {
        matches!(
            self.state,
            LifecycleState::Terminating
                | LifecycleState::TerminatingWait
                | LifecycleState::TerminatingProceed
                | LifecycleState::Terminated
        )
    }

    /// EC2 has taken it down, or is about to.
    pub fn is_gone(&self) -> bool {
        !matches!(self.ec2_state, "pending" | "running")
    }

    /// Whether it is too young for a policy with that warm-up.
    pub fn is_warming(&self, warmup: Warmup, now: Time) -> bool {
        if warmup.from_launch {
            return now - self.launched < warmup.span;
        }
        match self.in_service {
            Some(since) => now - since < warmup.span,
            None => true,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupInstanceIndex {
    /// Current Spot Instances that EC2 may take back soon, where the group rebalances its capacity.
    AtRisk(Name),
    /// On its way in, or in service: what is compared with the desired capacity.
    Current(Name),
    /// All instances of the group, whatever their state.
    Group(Name),
    InService(Name),
    /// Launched to take the place of that instance.
    Successor(InstanceId),
    Unhealthy(Name),
}

impl Row for GroupInstance {
    type Key = InstanceId;
    type Index = GroupInstanceIndex;
    const TABLE: &'static str = "autoscaling.instances";
    fn key(&self) -> InstanceId {
        self.id
    }

    fn resource(&self) -> Option<String> {
        Some(self.id.to_string())
    }
    fn deadline(&self) -> Option<Time> {
        self.check_at
    }
    fn index(&self, put: &mut dyn FnMut(GroupInstanceIndex)) {
        put(GroupInstanceIndex::Group(self.group.clone()));
        if self.is_current() {
            put(GroupInstanceIndex::Current(self.group.clone()));
            if self.health != Health::Healthy {
                put(GroupInstanceIndex::Unhealthy(self.group.clone()));
            }
            if self.risk != Risk::None {
                put(GroupInstanceIndex::AtRisk(self.group.clone()));
            }
            if let Some(old) = self.moves {
                put(GroupInstanceIndex::Successor(old));
            }
        }
        if self.state == LifecycleState::InService {
            put(GroupInstanceIndex::InService(self.group.clone()));
        }
    }
    /// Of a group, instances and units of capacity in turn: in service, pending, in standby, terminating, and the
    /// capacity of all.
    fn amounts(&self, put: &mut dyn FnMut(GroupInstanceIndex, Amounts)) {
        let mut amounts = Amounts::default();
        let stage = match self.state {
            LifecycleState::InService => Some(0),
            _ if self.is_current() => Some(2),
            LifecycleState::Standby | LifecycleState::EnteringStandby => Some(4),
            _ if self.is_terminating() => Some(6),
            _ => None,
        };
        if let Some(stage) = stage {
            amounts[stage] = 1;
            amounts[stage + 1] = self.weight;
        }
        amounts[8] = self.weight;
        put(GroupInstanceIndex::Group(self.group.clone()), amounts);
    }
}

/// Group, and a number that grows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityKey {
    pub group: Name,
    pub number: u64,
}

/// A scaling activity.
#[derive(Clone, Debug)]
pub struct Activity {
    pub key: ActivityKey,
    /// A UUID.
    pub id: String,
    pub group_arn: Name,
    pub description: String,
    pub cause: Name,
    pub started: Time,
    pub ended: Option<Time>,
    pub code: ScalingActivityStatusCode,
    pub message: Option<String>,
    /// 0–100.
    pub progress: i32,
    /// JSON in a string.
    pub details: String,
    /// While it waits for the instance's warm-up: when that ends.
    pub warm_at: Option<Time>,
    /// When an ended activity is forgotten: six weeks later.
    pub forget_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActivityIndex {
    Id(String),
    InProgress(Name),
}

impl Row for Activity {
    type Key = ActivityKey;
    type Index = ActivityIndex;
    const TABLE: &'static str = "autoscaling.activities";
    fn key(&self) -> ActivityKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        self.warm_at.or(self.forget_at)
    }
    fn index(&self, put: &mut dyn FnMut(ActivityIndex)) {
        put(ActivityIndex::Id(self.id.clone()));
        if self.ended.is_none() {
            put(ActivityIndex::InProgress(self.key.group.clone()));
        }
    }
}

/// A lifecycle hook, with the defaults of the API filled in.
#[derive(Clone, Debug)]
pub struct Hook {
    pub group: Name,
    pub name: Name,
    pub transition: Transition,
    pub heartbeat: Span,
    pub default_result: HookResult,
    pub notification_target_arn: Option<String>,
    pub role_arn: Option<String>,
    pub notification_metadata: Option<String>,
}

impl Hook {
    /// The longest that heartbeats can keep an instance waiting: the smaller of 48 h and 100 heartbeat timeouts
    /// (PutLifecycleHook).
    pub fn global_timeout(&self) -> Span {
        Span::from_hours(48).min(self.heartbeat * 100)
    }
}

impl Row for Hook {
    type Key = (Name, Name);
    /// The group.
    type Index = Name;
    const TABLE: &'static str = "autoscaling.hooks";
    fn key(&self) -> (Name, Name) {
        (self.group.clone(), self.name.clone())
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.group, self.name))
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.group.clone());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transition {
    Launching,
    Terminating,
}

impl Transition {
    pub const ALL: [Self; 2] = [Self::Launching, Self::Terminating];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookResult {
    Abandon,
    Continue,
}

impl HookResult {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abandon => "ABANDON",
            Self::Continue => "CONTINUE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Abandon, Self::Continue].into_iter().find(|each| each.as_str() == text)
    }
}

/// An instance that waits for CompleteLifecycleAction, once for each hook.
#[derive(Clone, Debug)]
pub struct LifecycleAction {
    pub instance: InstanceId,
    pub hook: Name,
    pub group: Name,
    /// A UUID.
    pub token: String,
    pub transition: Transition,
    pub heartbeat: Span,
    pub default_result: HookResult,
    /// When the default result counts; a heartbeat moves it on, up to `latest`.
    pub expires_at: Time,
    pub latest: Time,
}

impl Row for LifecycleAction {
    type Key = (InstanceId, Name);
    /// The token.
    type Index = String;
    const TABLE: &'static str = "autoscaling.lifecycle_actions";
    fn key(&self) -> (InstanceId, Name) {
        (self.instance, self.hook.clone())
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.expires_at)
    }
    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.token.clone());
    }
}
