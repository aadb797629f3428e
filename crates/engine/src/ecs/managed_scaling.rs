//! Managed scaling: how full a provider's group is, told to CloudWatch once a minute.

use capstan_model::{Span, Time};

use crate::Engine;

pub(super) const NAMESPACE: &str = "AWS/ECS/ManagedScaling";
pub(super) const METRIC: &str = "CapacityProviderReservation";

/// The next whole minute after now.
pub(super) fn next_minute(cx: &Engine) -> Time {
    cx.now.next_multiple(Span::from_mins(1))
}
