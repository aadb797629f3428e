//! Tags of log groups, by the operations of today and by the older ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_shapes::{Refusal, logs as shapes};

use super::group::of_arn;
use super::{group, invalid, no_group};
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

fn add(
    cx: &mut Engine,
    group: &Arc<str>,
    tags: BTreeMap<String, String>,
    too_many: impl FnOnce(String) -> Refusal,
) -> Result<(), Refusal> {
    let mut row = cx.logs.groups.edit(group).ok_or_else(no_group)?;
    let new = tags.keys().filter(|key| !row.tags.contains_key(*key)).count();
    if row.tags.len() + new > TAGS_MAX {
        return Err(too_many(format!("A log group can have no more than {TAGS_MAX} tags.")));
    }
    row.tags.extend(tags);
    Ok(())
}

fn remove(cx: &mut Engine, group: &Arc<str>, keys: &[String]) -> Result<(), Refusal> {
    cx.logs.groups.edit(group).ok_or_else(no_group)?.tags.retain(|key, _| !keys.contains(key));
    Ok(())
}

pub(super) fn tag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    let group = of_arn(cx, &request.resource_arn)?;
    add(cx, &group, request.tags, |message| {
        Refusal::of(&shapes::TOO_MANY_TAGS_EXCEPTION, message)
            .with_member("resourceName", vec![request.resource_arn.clone()])
    })?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    let group = of_arn(cx, &request.resource_arn)?;
    remove(cx, &group, &request.tag_keys)?;
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let name = of_arn(cx, &request.resource_arn)?;
    Ok(shapes::ListTagsForResourceResponse { tags: Some(group(cx, &name)?.tags.clone()) })
}

pub(super) fn tag_group(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::TagLogGroupRequest,
) -> Result<shapes::TagLogGroupResponse, Refusal> {
    add(cx, &request.log_group_name.into(), request.tags, invalid)?;
    Ok(shapes::TagLogGroupResponse {})
}

pub(super) fn untag_group(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagLogGroupRequest,
) -> Result<shapes::UntagLogGroupResponse, Refusal> {
    remove(cx, &request.log_group_name.into(), &request.tags)?;
    Ok(shapes::UntagLogGroupResponse {})
}

pub(super) fn list_of_group(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsLogGroupRequest,
) -> Result<shapes::ListTagsLogGroupResponse, Refusal> {
    let row = group(cx, &request.log_group_name)?;
    Ok(shapes::ListTagsLogGroupResponse { tags: Some(row.tags.clone()) })
}
