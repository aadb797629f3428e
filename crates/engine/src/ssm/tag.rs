//! Tags of parameters.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, ssm as shapes};
use shapes::ResourceTypeForTagging as Kind;

use crate::kernel::Edit;
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

pub(super) fn extend(
    caller: &Caller,
    all: &mut BTreeMap<String, String>,
    tags: Vec<shapes::Tag>,
) -> Result<(), Refusal> {
    if tags.iter().any(|tag| !caller.may_tag(&tag.key)) {
        return Err(super::invalid("aws: prefixed tag key names are not allowed for external use."));
    }
    let new = tags.iter().filter(|tag| !all.contains_key(&tag.key)).count();
    if all.len() + new > TAGS_MAX {
        return Err(Refusal::of(
            &shapes::TOO_MANY_TAGS_ERROR,
            format!("The number of tags has reached the maximum limit: {TAGS_MAX}."),
        ));
    }
    all.extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
    Ok(())
}

/// Parameters are all that has tags here.
fn edit<'a>(cx: &'a mut Engine, kind: Kind, id: &str) -> Result<Edit<'a, super::Parameter>, Refusal> {
    if kind != Kind::Parameter {
        return Err(Refusal::of(
            &shapes::INVALID_RESOURCE_TYPE,
            format!("The resource type {kind} is not valid here: Parameter is."),
        ));
    }
    cx.ssm.parameters.edit(&id.to_owned()).ok_or_else(|| {
        Refusal::of(
            &shapes::INVALID_RESOURCE_ID,
            format!("The resource ID \"{id}\" is not valid. Verify the ID and try again."),
        )
    })
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::AddTagsToResourceRequest,
) -> Result<shapes::AddTagsToResourceResponse, Refusal> {
    extend(caller, &mut edit(cx, request.resource_type, &request.resource_id)?.tags, request.tags)?;
    Ok(shapes::AddTagsToResourceResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::RemoveTagsFromResourceRequest,
) -> Result<shapes::RemoveTagsFromResourceResponse, Refusal> {
    let mut row = edit(cx, request.resource_type, &request.resource_id)?;
    row.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(shapes::RemoveTagsFromResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let row = edit(cx, request.resource_type, &request.resource_id)?;
    let tags = row.tags.iter().map(|(key, value)| shapes::Tag { key: key.clone(), value: value.clone() });
    Ok(shapes::ListTagsForResourceResponse { tag_list: Some(tags.collect()) })
}
