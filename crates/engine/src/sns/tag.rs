//! Tags of topics.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, sns as shapes};

use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

fn no_topic() -> Refusal {
    Refusal::of(&shapes::RESOURCE_NOT_FOUND_EXCEPTION, "Resource does not exist")
}

pub(super) fn extend(
    caller: &Caller,
    all: &mut BTreeMap<String, String>,
    tags: Vec<shapes::Tag>,
) -> Result<(), Refusal> {
    if tags.iter().any(|tag| !caller.may_tag(&tag.key)) {
        return Err(super::invalid(
            "Tags Reason: aws: prefixed tag key names are not allowed for external use.",
        ));
    }
    let new = tags.iter().filter(|tag| !all.contains_key(&tag.key)).count();
    if all.len() + new > TAGS_MAX {
        return Err(Refusal::of(
            &shapes::TAG_LIMIT_EXCEEDED_EXCEPTION,
            "Could not complete request: tag quota of per resource exceeded",
        ));
    }
    all.extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
    Ok(())
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    let mut row = cx.sns.topics.edit(&request.resource_arn).ok_or_else(no_topic)?;
    extend(caller, &mut row.tags, request.tags)?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    let mut row = cx.sns.topics.edit(&request.resource_arn).ok_or_else(no_topic)?;
    row.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let row = cx.sns.topics.get(&request.resource_arn).ok_or_else(no_topic)?;
    let tags = row.tags.iter().map(|(key, value)| shapes::Tag { key: key.clone(), value: value.clone() });
    Ok(shapes::ListTagsForResourceResponse { tags: Some(tags.collect()) })
}
