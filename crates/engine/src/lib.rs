//! The engine: one state machine, one room per AWS service.
//!
//! [`Engine::step`] is the one door: it takes the time and an input and gives an outcome. It is synchronous and total, and
//! it sees no clock, no entropy, no file and no socket. The same seed and the same inputs give the same bytes.
//!
//! A room owns its tables and is the only one to change them (their fields are private to its module). A room may read
//! its neighbours; to change one it makes the API call that AWS documents it making ([`Engine::call`]).

mod config;
mod engine;
mod explain;
pub mod kernel;
pub mod kms;
pub mod lambda;
mod policy;
pub mod scaling;
pub mod schedule;

pub mod application_autoscaling;
pub mod autoscaling;
pub mod cloudformation;
pub mod cloudtrail;
pub mod cloudwatch;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod elb;
pub mod events;
pub mod fis;
pub mod iam;
pub mod logs;
pub mod s3;
pub mod servicediscovery;
pub mod sns;
pub mod sqs;
pub mod ssm;
pub mod sts;

#[cfg(test)]
mod testing;

pub use config::Config;
pub use engine::{CallRecord, Change, Engine, Input, Outcome};
pub use explain::{Explanation, inert};
pub use kernel::{Caller, Effect, Fact, HealthReport, ResponseTimes, Traffic};
