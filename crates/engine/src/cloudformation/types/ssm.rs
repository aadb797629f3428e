//! Systems Manager's resource types.

use capstan_shapes::{Refusal, ssm as shapes};
use serde_json::{Map, Value as Json};

use super::common::{any_changed, attributes, tag_changes};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, random_suffix};

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::SSM::Parameter",
    inert: None,
    create,
    update,
    delete,
    stable: always,
    attributes: of,
}];

/// Without tags: the template has a map of them, the request a list.
fn request(resource: &Resource) -> Result<shapes::PutParameterRequest, Refusal> {
    resource.request(&[("Tags", "")])
}

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request = request(resource)?;
    // Generated names of parameters begin with CFN, not with the stack's name (observed).
    let name = match resource.text("Name") {
        Some(name) => name.to_owned(),
        None => format!("CFN-{}-{}", resource.logical_id, random_suffix(cx)),
    };
    request.name = name.clone();
    request.tags = Some(tags(resource.all_tags())).filter(|tags| !tags.is_empty());
    call(cx, request)?;
    Ok(name)
}

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<shapes::Tag> {
    tags.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect()
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    const VALUES: [&str; 7] =
        ["AllowedPattern", "DataType", "Description", "Policies", "Tier", "Type", "Value"];
    if any_changed(old, new, &VALUES) {
        let mut request = request(new)?;
        request.name = new.physical_id.clone();
        request.overwrite = Some(true);
        // What is left out of a request stays as it was.
        request.description = Some(request.description.unwrap_or_default());
        call(cx, request)?;
    }
    let (set, gone) = tag_changes(old, new);
    let (resource_type, resource_id) = (shapes::ResourceTypeForTagging::Parameter, &new.physical_id);
    if !gone.is_empty() {
        let resource_id = resource_id.clone();
        call(cx, shapes::RemoveTagsFromResourceRequest { resource_type, resource_id, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let resource_id = resource_id.clone();
        call(cx, shapes::AddTagsToResourceRequest { resource_type, resource_id, tags: tags(set) })?;
    }
    Ok(())
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteParameterRequest { name: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}

fn of(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.ssm.parameters().get(&resource.physical_id) else { return Map::new() };
    let (_, version) = row.newest();
    attributes([("Type", version.r#type.to_string()), ("Value", version.value.clone())])
}
