use super::{TaskDefinition, TaskDefinitionKey};
use crate::Engine;
use capstan_shapes::Refusal;
pub(super) fn find_active(_: &Engine, _: &str) -> Result<TaskDefinition, Refusal> {
    Err(Refusal::new("x", "y"))
}
pub(super) fn arn(_: &Engine, _: &TaskDefinitionKey) -> String {
    String::new()
}
