//! Elastic Load Balancing v2.

use capstan_model::Time;
use capstan_shapes::{Refusal, elbv2};

use crate::kernel::Event;
use crate::{Caller, Engine};

#[derive(Clone, Debug, Default)]
pub struct Elb {}

impl Elb {
    pub(crate) fn next_due(&self) -> Option<Time> {
        None
    }

    pub(crate) fn record_changes(&mut self, _on: bool) {}

    pub(crate) fn take_changed(&mut self, _put: &mut dyn FnMut(&'static str, String)) {}
}

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: elbv2::Request,
) -> Result<elbv2::Response, Refusal> {
    Err(Refusal::new("NotImplemented", format!("{} is not built yet", request.operation().name))
        .with_status(501))
}

/// Does what is due first.
pub(crate) fn on_due(_cx: &mut Engine) {}

pub(crate) fn target_health(
    _cx: &mut Engine,
    _group: &str,
    _target: &str,
    _port: u16,
    _health: crate::HealthReport,
) {
}

pub(crate) fn on_event(_cx: &mut Engine, _event: &Event) {}
pub(crate) fn health_description(_: &Engine, _: &str, _: &str, _: u16) -> Option<String> {
    None
}
pub(crate) fn target_group_exists(_: &Engine, _: &str) -> bool {
    true
}
pub(crate) fn target_group_in_use(_: &Engine, _: &str) -> bool {
    true
}
