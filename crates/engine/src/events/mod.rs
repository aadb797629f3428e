//! EventBridge: buses, rules on them, and the targets that matching events go to.
//!
//! Rooms tell what happened through [`publish`]. The event is made only when an enabled rule could want it, and it is
//! matched and delivered after the room that published it has finished.

mod bus;
mod pattern;
mod rows;

use capstan_model::Time;
use capstan_shapes::{Refusal, events};
use serde_json::Value as Json;

use crate::kernel::{Table, dispatch};
use crate::{Caller, Engine};

pub use rows::Bus;

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[];

/// The tables of EventBridge.
#[derive(Clone, Debug, Default)]
pub struct Events {
    buses: Table<Bus>,
}

impl Events {
    pub fn buses(&self) -> &Table<Bus> {
        &self.buses
    }

    pub(crate) fn record_changes(&mut self, on: bool) {
        self.buses.record_changes(on);
    }

    pub(crate) fn take_changed(&mut self, put: &mut dyn FnMut(&'static str, String)) {
        self.buses.take_changed(put);
    }

    /// Whether some enabled rule of the default bus could match an event of that source and detail-type.
    fn wants(&self, _source: &str, _detail_type: &str) -> bool {
        false
    }
}

/// What happened, as its service tells it: the part of an event that is not envelope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// ARNs.
    pub(crate) resources: Vec<String>,
    /// An object.
    pub(crate) detail: Json,
    /// When it happened; `None` is now.
    pub(crate) time: Option<Time>,
}

/// An AWS service tells the default bus what happened. `event` runs only when an enabled rule could want it, so a world
/// without rules pays one look at an empty list. Delivery happens after the room at work has finished.
pub(crate) fn publish(
    cx: &mut Engine,
    source: &'static str,
    detail_type: &'static str,
    event: impl FnOnce(&Engine) -> Published,
) {
    if cx.events.wants(source, detail_type) {
        let _ = event(cx);
    }
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: events::Request,
) -> Result<events::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, events {
        DescribeEventBus => bus::describe,
        ListEventBuses => bus::list,
    }))
}

/// Every account has the default bus.
pub(crate) fn start(cx: &mut Engine) {
    bus::start(cx);
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::of(&events::RESOURCE_NOT_FOUND_EXCEPTION, message)
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", message)
}

fn invalid_token() -> Refusal {
    validation("The NextToken is not one that was given. Take it from the answer before.")
}
