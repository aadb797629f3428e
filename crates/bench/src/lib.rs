//! Benchmarks against the budgets of the design, side by side with a peer in one run on one machine.

pub mod day;
pub mod placement;

use capstan_model::Time;

/// 2026-01-01T00:00:00Z: when simulated worlds begin.
pub(crate) const START: Time = Time::from_secs(1_767_225_600);
