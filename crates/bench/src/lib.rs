//! Benchmarks against the budgets of the design, side by side with a peer in one run on one machine.
//!
//! [`placement`], [`stacks`] and [`day`] measure the engine in this process; [`load`] and [`server`] measure whole servers, ours and
//! moto's, with the same requests; [`proxy`] measures the balancer beside other proxies.

pub mod day;
pub mod load;
pub mod placement;
pub mod proxy;
pub mod server;
pub mod stacks;
pub mod table;

use capstan_model::Time;

/// 2026-01-01T00:00:00Z: when simulated worlds begin.
pub(crate) const START: Time = Time::from_secs(1_767_225_600);
