//! Resource types that behave as their properties say.

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Progress, Resource};
use crate::Engine;

/// `Test::Thing::One` and `Two` have the properties `Takes` and `GoesIn` (seconds until it is stable and gone), `Fail`
/// (`create`, `update`, `delete`, `stable`) and any others.
pub(in super::super) const HANDLERS: &[Handler] = &[thing("Test::Thing::One"), thing("Test::Thing::Two")];

const fn thing(type_name: &'static str) -> Handler {
    Handler { type_name, inert: None, create, update, delete, stable, attributes }
}

fn fails(resource: &Resource, when: &str) -> Result<(), Refusal> {
    match resource.text("Fail") {
        Some(fail) if fail == when => Err(Refusal::new("Broken", format!("{when} is broken"))),
        _ => Ok(()),
    }
}

/// The physical id tells when it was made.
fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    fails(resource, "create")?;
    Ok(format!("{}-{}", resource.logical_id.to_lowercase(), cx.now.as_micros() / 1_000_000))
}

fn update(_: &mut Engine, _: &Resource, new: &Resource) -> Result<(), Refusal> {
    fails(new, "update")
}

fn waited(cx: &Engine, resource: &Resource, property: &str) -> Progress {
    let seconds = resource.get(property).and_then(Json::as_i64).unwrap_or_default();
    let made = resource.physical_id.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let ready = Time::from_secs(made) + Span::from_secs(seconds);
    if cx.now >= ready { Progress::Done } else { Progress::InProgress }
}

fn stable(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let progress = waited(cx, resource, "Takes");
    if progress == Progress::Done {
        fails(resource, "stable")?;
    }
    Ok(progress)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    fails(resource, "delete")?;
    Ok(waited(cx, resource, "GoesIn"))
}

fn attributes(_: &mut Engine, resource: &Resource) -> Map<String, Json> {
    Map::from_iter([("Arn".to_owned(), format!("arn:{}", resource.physical_id).into())])
}
