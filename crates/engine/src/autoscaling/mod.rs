//! EC2 Auto Scaling.

use capstan_model::Time;
use capstan_shapes::{Refusal, autoscaling};

use crate::kernel::Event;
use crate::{Caller, Engine};

#[derive(Clone, Debug, Default)]
pub struct AutoScaling {}

impl AutoScaling {
    pub(crate) fn next_due(&self) -> Option<Time> {
        None
    }

    pub(crate) fn record_changes(&mut self, _on: bool) {}

    pub(crate) fn take_changed(&mut self, _put: &mut dyn FnMut(&'static str, String)) {}
}

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: autoscaling::Request,
) -> Result<autoscaling::Response, Refusal> {
    Err(Refusal::new("NotImplemented", format!("{} is not built yet", request.operation().name))
        .with_status(501))
}

/// Does what is due first.
pub(crate) fn on_due(_cx: &mut Engine) {}

pub(crate) fn on_event(_cx: &mut Engine, _event: &Event) {}
