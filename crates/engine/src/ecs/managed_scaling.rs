//! Managed scaling: how full a provider's group is, told to CloudWatch once a minute.

use capstan_model::{Span, Time};

use crate::Engine;

pub(super) const NAMESPACE: &str = "AWS/ECS/ManagedScaling";
pub(super) const METRIC: &str = "CapacityProviderReservation";

/// The next whole minute after now.
pub(super) fn next_minute(cx: &Engine) -> Time {
    cx.now.next_multiple(Span::from_mins(1))
}

/// The instance has lost its last task: protection from scale-in may go.
pub(super) fn instance_emptied(_cx: &mut Engine, _instance: capstan_model::Hex32) {}

/// A task was placed on the instance: protection from scale-in is on again.
pub(super) fn instance_filled(_cx: &mut Engine, _instance: capstan_model::InstanceId) {}
