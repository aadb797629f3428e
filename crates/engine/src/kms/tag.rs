//! Tags of keys.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, kms as shapes};

use super::{edit, find, listed};
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

pub(super) fn extend(
    caller: &Caller,
    all: &mut BTreeMap<String, String>,
    tags: Vec<shapes::Tag>,
) -> Result<(), Refusal> {
    if tags.iter().any(|tag| !caller.may_tag(&tag.tag_key)) {
        return Err(Refusal::of(
            &shapes::TAG_EXCEPTION,
            "aws: prefixed tag key names are not allowed for external use.",
        ));
    }
    let new = tags.iter().filter(|tag| !all.contains_key(&tag.tag_key)).count();
    if all.len() + new > TAGS_MAX {
        return Err(Refusal::of(&shapes::TAG_EXCEPTION, "Too many tags"));
    }
    all.extend(tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)));
    Ok(())
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    extend(caller, &mut edit(cx, &request.key_id)?.tags, request.tags)?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    edit(cx, &request.key_id)?.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListResourceTagsRequest,
) -> Result<shapes::ListResourceTagsResponse, Refusal> {
    let tags = find(cx, &request.key_id)?.tags.iter();
    let page = listed(tags, |(key, _)| (*key).clone(), request.marker, request.limit, 50)?;
    let shown =
        |(key, value): (&String, &String)| shapes::Tag { tag_key: key.clone(), tag_value: value.clone() };
    Ok(shapes::ListResourceTagsResponse {
        tags: Some(page.items.into_iter().map(shown).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}
