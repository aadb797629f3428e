//! Tags of functions.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, lambda as shapes};

use super::{edit, find, invalid};
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

pub(super) fn check(caller: &Caller, tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    match tags.keys().all(|key| caller.may_tag(key)) {
        true => Ok(()),
        false => Err(invalid("aws: prefixed tag key names are not allowed for external use.")),
    }
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    check(caller, &request.tags)?;
    let mut row = edit(cx, &request.resource)?;
    let new = request.tags.keys().filter(|key| !row.tags.contains_key(*key)).count();
    if row.tags.len() + new > TAGS_MAX {
        return Err(invalid(format!("A function can have no more than {TAGS_MAX} tags.")));
    }
    row.tags.extend(request.tags);
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    edit(cx, &request.resource)?.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsRequest,
) -> Result<shapes::ListTagsResponse, Refusal> {
    Ok(shapes::ListTagsResponse { tags: Some(find(cx, &request.resource)?.tags.clone()) })
}
