//! Spot Instances: the requests behind them, the pools they are in, and how EC2 takes them back.

mod allocation;
mod interruption;
mod placement_score;
mod pool;
mod price;
mod request;
mod rows;

pub(crate) use allocation::{Offer, Preference, Quotes, depth, order};
pub(crate) use interruption::interrupt;
pub(super) use interruption::{due, evicted};
pub(super) use placement_score::scores;
pub use pool::PoolInUse;
pub(super) use pool::{look, no_capacity, spare, used};
pub(super) use price::history;
pub(super) use request::{
    cancel, describe, ended, evaluate, fulfilled, request, request_id, stopped as request_stopped,
};
pub use rows::*;
