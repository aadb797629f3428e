use super::{Name, ServiceKey, TaskNeeds};
use crate::Engine;
use capstan_model::Hex32;
use capstan_shapes::{Refusal, ecs as shapes};
use std::sync::Arc;
pub(super) struct PlaceRequest {
    pub(super) cluster: Name,
    pub(super) provider: Option<Name>,
    pub(super) needs: Arc<TaskNeeds>,
    pub(super) group: Name,
    pub(super) service: Option<ServiceKey>,
    pub(super) constraints: Vec<shapes::PlacementConstraint>,
    pub(super) strategy: Vec<shapes::PlacementStrategy>,
}
pub(super) struct Placed {
    pub(super) instance: Hex32,
    pub(super) because: String,
}
pub(super) struct Unplaced;
impl Unplaced {
    pub(super) fn reason(&self) -> String {
        String::new()
    }
    pub(super) fn sentence(&self) -> String {
        String::new()
    }
    pub(super) fn instance(&self) -> Option<Hex32> {
        None
    }
    pub(super) fn no_definition() -> Self {
        Self
    }
}
pub(super) fn place(_: &mut Engine, _: &PlaceRequest) -> Result<Placed, Unplaced> {
    Err(Unplaced)
}
pub(super) fn fits(
    _: &mut Engine,
    _: Hex32,
    _: &TaskNeeds,
    _: &[shapes::PlacementConstraint],
    _: &Name,
) -> Result<Placed, Unplaced> {
    Err(Unplaced)
}
pub(super) fn take(_: &mut Engine, _: Hex32, _: Hex32) {}
pub(super) fn give_back(_: &mut Engine, _: Hex32, _: Hex32) {}
pub(super) fn choose_stop(
    _: &mut Engine,
    c: &[Hex32],
    _: &[shapes::PlacementStrategy],
    _: &[Hex32],
) -> Hex32 {
    c[0]
}
pub(super) fn check_rules(
    _: &[shapes::PlacementConstraint],
    _: &[shapes::PlacementStrategy],
) -> Result<(), Refusal> {
    Ok(())
}
