//! EC2.

use capstan_model::Time;
use capstan_shapes::{Refusal, ec2};

use crate::{Caller, Engine};

#[derive(Clone, Debug, Default)]
pub struct Ec2 {}

impl Ec2 {
    pub(crate) fn next_due(&self) -> Option<Time> {
        None
    }

    pub(crate) fn record_changes(&mut self, _on: bool) {}

    pub(crate) fn take_changed(&mut self, _put: &mut dyn FnMut(&'static str, String)) {}
}

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: ec2::Request,
) -> Result<ec2::Response, Refusal> {
    Err(Refusal::new("NotImplemented", format!("{} is not built yet", request.operation().name))
        .with_status(501))
}

/// Does what is due first.
pub(crate) fn on_due(_cx: &mut Engine) {}

/// What every account has from its first day: the default VPC with a subnet in each zone.
pub(crate) fn start(_cx: &mut Engine) {}

pub(crate) fn instance_running(_cx: &mut Engine, _instance: capstan_model::InstanceId) {}

pub(crate) fn instance_terminated(_cx: &mut Engine, _instance: capstan_model::InstanceId) {}
