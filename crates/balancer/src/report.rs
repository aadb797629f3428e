//! What the balancer tells its driver.

use std::net::SocketAddr;

/// Something that happened in the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The load balancer now answers on this listener port at `address` (another port than `port` when that one is
    /// mapped or could not be bound).
    ListenerBound { load_balancer_arn: String, port: u16, address: SocketAddr },
    /// The listener port could not be opened; it is tried again from time to time and reported when that changes.
    ListenerFailed { load_balancer_arn: String, port: u16, reason: String },
    /// A target changed its health, or the reason for being unhealthy.
    TargetHealth { target_group_arn: String, target_id: String, port: u16, health: Health },
}

/// The outcome of health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Unhealthy {
        /// `TargetHealth.Reason`.
        reason: &'static str,
        /// `TargetHealth.Description`.
        description: String,
    },
}
