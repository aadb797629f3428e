//! The rows of the Application Auto Scaling tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::application_autoscaling as shapes;

pub use shapes::ScalingActivityStatusCode;

use crate::kernel::{NoIndex, Row};
use crate::scaling::{Adjustment, OwnAlarm, Step};
use crate::schedule::Schedule;

pub type Name = Arc<str>;

/// A service whose desired count is scaled between two limits.
#[derive(Clone, Debug)]
pub struct ScalableTarget {
    /// `service/CLUSTER/SERVICE`
    pub resource: Name,
    /// `arn:aws:application-autoscaling:R:A:scalable-target/ID`
    pub arn: Name,
    pub min: i64,
    pub max: i64,
    pub created: Time,
    pub suspended: Suspended,
    pub tags: BTreeMap<String, String>,
    pub out_cooldown: Option<OutCooldown>,
    /// Until then no policy scales in.
    pub in_cooldown: Option<Time>,
    /// The latest wish to scale out, fulfilled or not.
    pub out_wish: Option<OutWish>,
}

/// What a policy wanted when its alarm went off; alarms repeat it every minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutWish {
    pub policy: Name,
    pub at: Time,
    /// The capacity asked for, within the maximum.
    pub to: i64,
}

/// What SuspendedState switches off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspended {
    pub scale_in: bool,
    pub scale_out: bool,
    pub scheduled: bool,
}

/// After a scale-out: until then only a larger one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutCooldown {
    pub until: Time,
    /// The capacity before it: what adjustments are counted from, so that nothing is added twice.
    pub from: i64,
}

impl Row for ScalableTarget {
    type Key = Name;
    /// The ARN.
    type Index = Name;
    const TABLE: &'static str = "application_autoscaling.targets";
    fn key(&self) -> Name {
        self.resource.clone()
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.arn.clone());
    }
}

/// A scaling policy.
#[derive(Clone, Debug)]
pub struct Policy {
    pub resource: Name,
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:scalingPolicy:UUID:resource/ecs/service/C/S:policyName/NAME`
    pub arn: Name,
    pub created: Time,
    pub kind: PolicyKind,
}

#[derive(Clone, Debug)]
pub enum PolicyKind {
    Step(StepScaling),
    TargetTracking(Box<TargetTracking>),
}

#[derive(Clone, Debug)]
pub struct StepScaling {
    pub adjustment: Adjustment,
    pub steps: Vec<Step>,
    pub cooldown: Span,
    /// As given.
    pub configuration: shapes::StepScalingPolicyConfiguration,
}

#[derive(Clone, Debug)]
pub struct TargetTracking {
    /// Millionths of the metric's unit.
    pub target: i64,
    pub scale_in: bool,
    pub out_cooldown: Span,
    pub in_cooldown: Span,
    pub alarm_high: OwnAlarm,
    pub alarm_low: OwnAlarm,
    /// The smaller capacity that the policy asked for last, and when; alarms repeat it every minute.
    pub scale_in_wish: Option<(Time, i64)>,
    /// As given.
    pub configuration: shapes::TargetTrackingScalingPolicyConfiguration,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyIndex {
    Arn(Name),
    Resource(Name),
}

impl Row for Policy {
    type Key = (Name, Name);
    type Index = PolicyIndex;
    const TABLE: &'static str = "application_autoscaling.policies";
    fn key(&self) -> (Name, Name) {
        (self.resource.clone(), self.name.clone())
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.resource, self.name))
    }
    fn index(&self, put: &mut dyn FnMut(PolicyIndex)) {
        put(PolicyIndex::Arn(self.arn.clone()));
        put(PolicyIndex::Resource(self.resource.clone()));
    }
}

/// Limits that are set at certain times.
#[derive(Clone, Debug)]
pub struct ScheduledAction {
    pub resource: Name,
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:scheduledAction:UUID:resource/ecs/service/C/S:scheduledActionName/NAME`
    pub arn: Name,
    pub created: Time,
    /// As written.
    pub expression: String,
    pub schedule: Schedule,
    /// As written; `None` is UTC.
    pub timezone: Option<String>,
    pub start: Option<Time>,
    pub end: Option<Time>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// `None` when it has happened for the last time.
    pub fires_at: Option<Time>,
}

impl Row for ScheduledAction {
    type Key = (Name, Name);
    /// The resource.
    type Index = Name;
    const TABLE: &'static str = "application_autoscaling.scheduled_actions";
    fn key(&self) -> (Name, Name) {
        (self.resource.clone(), self.name.clone())
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.resource, self.name))
    }
    fn deadline(&self) -> Option<Time> {
        self.fires_at
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.resource.clone());
    }
}

/// The resource, and a number that grows.
pub type ActivityKey = (Name, u64);

/// What was done to a resource, or why not.
#[derive(Clone, Debug)]
pub struct Activity {
    pub key: ActivityKey,
    /// A UUID.
    pub id: String,
    pub description: String,
    pub cause: String,
    pub started: Time,
    pub ended: Option<Time>,
    pub code: ScalingActivityStatusCode,
    pub message: Option<String>,
    /// Set for what was not scaled.
    pub not_scaled: Option<NotScaled>,
    /// Desired counts before and after, and the limits then.
    pub change: Option<CountChange>,
    /// When the service is looked at again.
    pub check_at: Option<Time>,
    pub forget_at: Time,
}

/// A change of the desired count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountChange {
    pub from: i64,
    pub to: i64,
    pub min: i64,
    pub max: i64,
}

/// Why a policy did not scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotScaled {
    /// `AlreadyAtMaxCapacity` …
    pub code: &'static str,
    pub policy: Name,
    pub current: i64,
    pub min: i64,
    pub max: i64,
}

impl Row for Activity {
    type Key = ActivityKey;
    type Index = NoIndex;
    const TABLE: &'static str = "application_autoscaling.activities";
    fn key(&self) -> ActivityKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.check_at.unwrap_or(self.forget_at))
    }
}
