//! The virtual driver: the same engine as live, with a queue of events in the place of hosts, agents and health checks.
//!
//! [`World`] holds an engine and its [`VirtualHosts`] and moves both through virtual time. The hosts do what real ones do:
//! they boot, their agents register through the ECS API, start and stop tasks and report. How long each takes is drawn
//! from a [`Profile`]. The same seed and the same calls give the same bytes.

mod faults;
mod hosts;
mod profile;
mod registration;
mod world;

pub use faults::{FaultRates, FaultyHosts};
pub use hosts::VirtualHosts;
pub use profile::{Profile, Range};
pub use registration::registration;
pub use world::{Surroundings, World};
