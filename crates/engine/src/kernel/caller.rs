//! Who makes an API call.

use capstan_model::InstanceId;

/// The identity behind a call. CloudTrail shows a service as `invokedBy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The agent on an instance.
    Agent(InstanceId),
    /// An AWS service on the user's behalf: `autoscaling.amazonaws.com`.
    Service(&'static str),
    /// Whoever holds the access key.
    User { access_key: String },
}

impl Caller {
    pub const APPLICATION_AUTOSCALING: Self = Self::Service("application-autoscaling.amazonaws.com");
    pub const AUTOSCALING: Self = Self::Service("autoscaling.amazonaws.com");
    pub const CLOUDFORMATION: Self = Self::Service("cloudformation.amazonaws.com");
    pub const CLOUDWATCH: Self = Self::Service("cloudwatch.amazonaws.com");
    pub const EC2_FLEET: Self = Self::Service("ec2fleet.amazonaws.com");
    pub const ECS: Self = Self::Service("ecs.amazonaws.com");
    pub const ELB: Self = Self::Service("elasticloadbalancing.amazonaws.com");
    pub const EVENTS: Self = Self::Service("events.amazonaws.com");
    pub const FIS: Self = Self::Service("fis.amazonaws.com");
    pub const SPOT: Self = Self::Service("spot.amazonaws.com");

    /// Whether it may set a tag of that key. Keys that begin with `aws:` are kept for services (Tagging guide, limits);
    /// they set them on the user's behalf.
    pub(crate) fn may_tag(&self, key: &str) -> bool {
        let reserved = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        !reserved || matches!(self, Self::Service(_))
    }
}
