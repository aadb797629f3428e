//! Scaling policies.

use capstan_model::{Span, Time};
use capstan_shapes::autoscaling as shapes;

use super::Name;
use crate::kernel::Row;
pub use crate::scaling::{Adjustment, AdjustmentKind, OwnAlarm, Step};

/// A scaling policy.
#[derive(Clone, Debug)]
pub struct Policy {
    pub group: Name,
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:scalingPolicy:UUID:autoScalingGroupName/GROUP:policyName/NAME`
    pub arn: Name,
    pub enabled: bool,
    pub kind: PolicyKind,
}

#[derive(Clone, Debug)]
pub enum PolicyKind {
    /// Kept and described; forecasts are not made.
    Predictive(Box<shapes::PredictiveScalingConfiguration>),
    Simple {
        adjustment: Adjustment,
        amount: i64,
        cooldown: Option<Span>,
    },
    Step {
        adjustment: Adjustment,
        steps: Vec<Step>,
        aggregation: String,
        warmup: Option<Span>,
    },
    TargetTracking(Box<TargetTracking>),
}

#[derive(Clone, Debug)]
pub struct TargetTracking {
    pub configuration: shapes::TargetTrackingConfiguration,
    /// Millionths of the metric's unit.
    pub target: i64,
    pub scale_in: bool,
    pub warmup: Option<Span>,
    /// ECS managed scaling: its own alarms and arithmetic (ECS guide, managed-scaling-behavior).
    pub managed_by_ecs: bool,
    pub alarm_high: OwnAlarm,
    pub alarm_low: OwnAlarm,
    /// The smaller capacity that the policy asked for last, and when; alarms repeat it every minute.
    pub scale_in_wish: Option<(Time, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyIndex {
    Arn(Name),
    Group(Name),
}

impl Row for Policy {
    type Key = (Name, Name);
    type Index = PolicyIndex;
    const TABLE: &'static str = "autoscaling.policies";
    fn key(&self) -> (Name, Name) {
        (self.group.clone(), self.name.clone())
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.group, self.name))
    }
    fn index(&self, put: &mut dyn FnMut(PolicyIndex)) {
        put(PolicyIndex::Arn(self.arn.clone()));
        put(PolicyIndex::Group(self.group.clone()));
    }
}
