//! Managed draining: instances that Auto Scaling is about to end are drained first.

use capstan_model::Span;

/// The lifecycle hook that ECS puts on a provider's group (AWS SDK code examples).
pub(super) const HOOK: &str = "ecs-managed-draining-termination-hook";
pub(super) const TRANSITION: &str = "autoscaling:EC2_INSTANCE_TERMINATING";
pub(super) const HEARTBEAT: Span = Span::from_secs(3600);

/// The instance has lost its last task.
pub(super) fn instance_emptied(_cx: &mut crate::Engine, _instance: capstan_model::Hex32) {}
