//! Spot Instances: the requests behind them, and how EC2 takes them back.

mod interruption;
mod request;
mod rows;

pub(crate) use interruption::interrupt;
pub(super) use interruption::{due, evicted};
pub(super) use request::{
    cancel, describe, ended, evaluate, fulfilled, request, request_id, stopped as request_stopped,
};
pub use rows::*;
