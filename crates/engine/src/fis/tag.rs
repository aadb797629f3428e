//! Tags of experiment templates and experiments.

use std::collections::BTreeMap;

use capstan_model::Arn;
use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};

use super::{invalid, not_found};
use crate::{Caller, Engine};

type Tags = BTreeMap<String, String>;

/// Tags on one resource (AWS, tagging).
const TAGS_MAX: usize = 50;

pub(super) fn check<'a>(
    caller: &Caller,
    tags: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), Refusal> {
    let mut count = 0;
    for (key, _) in tags {
        if key.is_empty() || !caller.may_tag(key) {
            return Err(invalid(format!(
                "The tag key \"{key}\" is empty, or begins with the reserved aws:."
            )));
        }
        count += 1;
    }
    if count > TAGS_MAX {
        return Err(invalid(format!("A resource cannot have more than {TAGS_MAX} tags.")));
    }
    Ok(())
}

/// Changes or reads the tags of what the ARN means.
fn with<T>(
    cx: &mut Engine,
    given: &str,
    read: impl FnOnce(&mut Tags) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let missing = || not_found("resource", given);
    let here = |arn: &Arn<'_>| {
        arn.service == "fis" && arn.region == cx.config.region.name && arn.account == cx.config.account
    };
    let arn = Arn::parse(given).filter(here).ok_or_else(missing)?;
    if let Some(id) = arn.after("experiment-template") {
        let mut row = cx.fis.templates.edit(&id.to_owned()).ok_or_else(missing)?;
        return read(row.document.tags.get_or_insert_default());
    }
    let id = arn.after("experiment").ok_or_else(missing)?;
    let mut row = cx.fis.experiments.edit(&id.to_owned()).ok_or_else(missing)?;
    read(row.document.tags.get_or_insert_default())
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: TagResourceRequest,
) -> Result<TagResourceResponse, Refusal> {
    with(cx, &request.resource_arn, |tags| {
        let mut all = tags.clone();
        all.extend(request.tags);
        check(caller, all.iter())?;
        *tags = all;
        Ok(TagResourceResponse {})
    })
}

/// Without keys, all tags go (our reading of an optional list).
pub(super) fn untag(
    cx: &mut Engine,
    _: &Caller,
    request: UntagResourceRequest,
) -> Result<UntagResourceResponse, Refusal> {
    with(cx, &request.resource_arn, |tags| {
        match &request.tag_keys {
            Some(keys) => tags.retain(|key, _| !keys.contains(key)),
            None => tags.clear(),
        }
        Ok(UntagResourceResponse {})
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, Refusal> {
    let tags = with(cx, &request.resource_arn, |tags| Ok(tags.clone()))?;
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}
