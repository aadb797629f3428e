//! What stands for a resource type that Capstan does not have, where templates are taken leniently.

use capstan_shapes::Refusal;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Progress, Resource, always, random_suffix};
use crate::Engine;

/// Keeps the properties with the stack, and makes nothing.
pub(crate) static PLACEHOLDER: Handler = Handler {
    type_name: "",
    inert: Some("a placeholder in the stack: nothing is made"),
    create,
    update: |_, _, _| Ok(()),
    delete: |_, _| Ok(Progress::Done),
    stable: always,
    attributes,
};

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    Ok(format!("{}-{}-{}", resource.stack_name, resource.logical_id, random_suffix(cx)))
}

/// Any attribute that a template asks for is a text with its name; see [`attribute`].
fn attributes(_: &mut Engine, _: &Resource) -> Map<String, Json> {
    Map::new()
}

/// What `GetAtt` of a placeholder gives.
pub(crate) fn attribute(physical_id: &str, name: &str) -> Json {
    format!("{physical_id}.{name}").into()
}
