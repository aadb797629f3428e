//! How the instances of a group follow an update of it (UpdatePolicy AutoScalingRollingUpdate).

use capstan_shapes::Refusal;

use super::resource::{Progress, Resource};
use crate::Engine;

pub(super) fn begin(_: &mut Engine, _: &Resource, _: &Resource) {}

pub(super) fn stable(_: &mut Engine, _: &Resource) -> Result<Progress, Refusal> {
    Ok(Progress::Done)
}

pub(super) fn forget(_: &mut Engine, _: &Resource) {}
