//! Scaling policies.

use capstan_model::{Span, Time};
use capstan_shapes::autoscaling as shapes;

use super::Name;
use crate::kernel::Row;

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAlarm {
    pub name: String,
    pub arn: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub kind: AdjustmentKind,
    /// The least change in instances, for percentages.
    pub min_magnitude: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdjustmentKind {
    ChangeInCapacity,
    ExactCapacity,
    PercentChangeInCapacity,
}

impl AdjustmentKind {
    pub const ALL: [Self; 3] = [Self::ChangeInCapacity, Self::ExactCapacity, Self::PercentChangeInCapacity];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangeInCapacity => "ChangeInCapacity",
            Self::ExactCapacity => "ExactCapacity",
            Self::PercentChangeInCapacity => "PercentChangeInCapacity",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}

/// One step of a step policy; bounds are distances from the alarm's threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Millionths; `None` is minus infinity.
    pub lower: Option<i64>,
    /// Millionths; `None` is infinity.
    pub upper: Option<i64>,
    pub amount: i64,
    /// As given.
    pub shape: shapes::StepAdjustment,
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
