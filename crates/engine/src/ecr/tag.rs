//! Tags of repositories.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_shapes::{Refusal, ecr as shapes};

use super::of_arn;
use crate::{Caller, Engine};

/// ECR User Guide, tag restrictions.
const TAGS_MAX: usize = 50;

/// The tags with more of them.
pub(super) fn checked(
    caller: &Caller,
    mut tags: BTreeMap<String, String>,
    more: Vec<shapes::Tag>,
) -> Result<BTreeMap<String, String>, Refusal> {
    for tag in more {
        if tag.key.is_empty() || tag.key.len() > 128 || tag.value.len() > 256 || !caller.may_tag(&tag.key) {
            let message = format!(
                "Invalid parameter at 'tags': the tag {} has no key of 1 to 128 and a value of 0 to 256 characters, or \
                 its key begins with aws:",
                tag.key
            );
            return Err(Refusal::of(&shapes::INVALID_TAG_PARAMETER_EXCEPTION, message));
        }
        tags.insert(tag.key, tag.value);
    }
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > TAGS_MAX {
        let message = format!("A repository has at most {TAGS_MAX} tags");
        return Err(Refusal::of(&shapes::TOO_MANY_TAGS_EXCEPTION, message));
    }
    Ok(tags)
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    let row = of_arn(cx, &request.resource_arn)?;
    let name = Arc::clone(&row.name);
    let tags = checked(caller, row.tags.clone(), request.tags)?;
    if let Some(mut row) = cx.ecr.repositories.edit(&name) {
        row.tags = tags;
    }
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    let name = Arc::clone(&of_arn(cx, &request.resource_arn)?.name);
    if let Some(mut row) = cx.ecr.repositories.edit(&name) {
        row.tags.retain(|key, _| !request.tag_keys.contains(key));
    }
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let tags = of_arn(cx, &request.resource_arn)?.tags.clone();
    let tags = tags.into_iter().map(|(key, value)| shapes::Tag { key, value });
    Ok(shapes::ListTagsForResourceResponse { tags: Some(tags.collect()) })
}
