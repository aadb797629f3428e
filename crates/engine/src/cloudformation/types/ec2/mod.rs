//! Amazon EC2: networks, launch templates and instances.

mod access;
mod address;
mod endpoint;
mod instance;
mod launch_template;
mod route;
mod vpc;

use capstan_shapes::Refusal;
use capstan_shapes::ec2 as shapes;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Resource, call};
use super::common::tag_changes;
use crate::Engine;

pub(super) const ACCESS: &[Handler] = access::HANDLERS;
pub(super) const ADDRESSES: &[Handler] = address::HANDLERS;
pub(super) const ENDPOINTS: &[Handler] = endpoint::HANDLERS;
pub(super) const INSTANCES: &[Handler] = instance::HANDLERS;
pub(super) const LAUNCH_TEMPLATES: &[Handler] = launch_template::HANDLERS;
pub(super) const ROUTES: &[Handler] = route::HANDLERS;
pub(super) const VPCS: &[Handler] = vpc::HANDLERS;

/// Why nothing acts behind what says where packets go.
const NO_PACKETS: Option<&str> =
    Some("kept and told; no packet is held against it: tasks run on this machine");

/// The tags of what is made, as requests take them.
fn specification(kind: &str, resource: &Resource) -> Option<Vec<shapes::TagSpecification>> {
    let tags: Vec<shapes::Tag> = resource.all_tags().into_iter().map(tag).collect();
    (!tags.is_empty())
        .then(|| vec![shapes::TagSpecification { resource_type: Some(kind.to_owned()), tags: Some(tags) }])
}

fn tag((key, value): (String, String)) -> shapes::Tag {
    shapes::Tag { key: Some(key), value: Some(value) }
}

/// Brings the tags of the resource of that id to what is wanted.
fn retag(cx: &mut Engine, old: &Resource, new: &Resource, id: &str) -> Result<(), Refusal> {
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        let tags = gone.into_iter().map(|key| shapes::Tag { key: Some(key), value: None }).collect();
        let request =
            shapes::DeleteTagsRequest { resources: vec![id.to_owned()], tags: Some(tags), dry_run: None };
        call(cx, request)?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(tag).collect();
        call(cx, shapes::CreateTagsRequest { resources: vec![id.to_owned()], tags, dry_run: None })?;
    }
    Ok(())
}

/// For types that only their tags can change of.
fn update_tags(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    retag(cx, old, new, &new.physical_id)
}

/// A flag of the template.
fn flag(resource: &Resource, property: &str) -> Option<bool> {
    match resource.get(property)? {
        Json::Bool(flag) => Some(*flag),
        other => other.as_str()?.parse().ok(),
    }
}

fn value(flag: bool) -> Option<shapes::AttributeBooleanValue> {
    Some(shapes::AttributeBooleanValue { value: Some(flag) })
}

/// The physical id as the only attribute, of that name.
fn id_as(resource: &Resource, name: &str) -> Map<String, Json> {
    super::common::attributes([(name, resource.physical_id.clone())])
}
