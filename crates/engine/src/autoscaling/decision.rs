//! What scaling decided last for a group, and why: one value for the API, the console and `explain`.

use std::fmt;

use capstan_model::{Span, Time};

use super::rows::Name;

/// The latest decision about a group's capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Time,
    /// The policy that asked, when one did.
    pub policy: Option<Name>,
    pub verdict: Verdict,
}

/// What became of it. Capacity is in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The desired capacity already is what the policy asks for.
    AlreadyThere { desired: i64 },
    /// The group's maximum (or minimum) stands in the way.
    AtLimit { desired: i64, wanted: i64 },
    /// Simple scaling waits for an activity (its id) to end.
    Busy { activity: String },
    /// Simple scaling waits for the end of its cooldown.
    Cooldown { until: Time },
    /// The desired capacity was changed.
    Changed { from: i64, to: i64 },
    /// EC2 refused to launch; the group asks again.
    LaunchFailed { message: String, retry_at: Time },
    /// No instance may be taken: all that remain are protected from scale-in.
    Protected { surplus: i64 },
    /// Other target tracking policies do not agree to scale in.
    Disagreement { with: Name, wanted: i64 },
    /// The policy may not scale in.
    ScaleInDisabled,
    /// The process that would act is suspended.
    Suspended { process: &'static str },
    /// An instance is younger than the policy's warm-up.
    WarmingUp { scale_in: bool, warmup: Span, left: Span },
}

impl Decision {
    /// Whether the desired capacity could not be had: that holds until the group compares again.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.verdict, Verdict::LaunchFailed { .. } | Verdict::Protected { .. })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at.iso_secs())?;
        if let Some(policy) = &self.policy {
            write!(f, "policy {policy}: ")?;
        }
        self.verdict.fmt(f)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere { desired } => write!(f, "the desired capacity is {desired} already"),
            Self::AtLimit { desired, wanted } => {
                write!(f, "the desired capacity stays {desired}; {wanted} is outside the group's limits")
            }
            Self::Busy { activity } => write!(f, "blocked by the scaling activity {activity}"),
            Self::Cooldown { until } => write!(f, "blocked by the cooldown until {}", until.iso_secs()),
            Self::Changed { from, to } => write!(f, "the desired capacity went from {from} to {to}"),
            Self::LaunchFailed { message, retry_at } => {
                write!(f, "a launch failed ({message}); next attempt at {}", retry_at.iso_secs())
            }
            Self::Protected { surplus } => write!(
                f,
                "{surplus} more than desired, but all remaining instances are protected from scale-in"
            ),
            Self::Disagreement { with, wanted } => {
                write!(f, "scale-in to {wanted} waits until policy {with} agrees")
            }
            Self::ScaleInDisabled => f.write_str("the policy may not scale in (DisableScaleIn)"),
            Self::Suspended { process } => write!(f, "the process {process} is suspended"),
            Self::WarmingUp { scale_in, warmup, left } => write!(
                f,
                "{} is blocked: an instance is within its warm-up of {warmup} for {left} more",
                if *scale_in { "scale-in" } else { "scale-out" }
            ),
        }
    }
}
