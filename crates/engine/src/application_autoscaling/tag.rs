//! Tags of scalable targets.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, application_autoscaling as shapes};

use super::rows::Name;
use super::validation;
use crate::{Caller, Engine};

/// Tags of a scalable target (API reference, TagResource).
const TAGS_MAX: usize = 50;

/// Keys that AWS keeps for itself, and how many there may be.
pub(super) fn check(caller: &Caller, tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if let Some(key) = tags.keys().find(|key| !caller.may_tag(key)) {
        return Err(validation(format!("Tag keys must not begin with aws:, as {key} does")));
    }
    if tags.len() > TAGS_MAX {
        let message = format!("A scalable target can have {TAGS_MAX} tags");
        return Err(Refusal::of(&shapes::TOO_MANY_TAGS_EXCEPTION, message));
    }
    Ok(())
}

fn find(cx: &Engine, arn: &str) -> Result<Name, Refusal> {
    let target = cx.application_autoscaling.targets.by(&Name::from(arn)).next();
    target.map(|target| target.resource.clone()).ok_or_else(|| {
        let message = format!("No scalable target found for resource ARN: {arn}");
        Refusal::of(&shapes::RESOURCE_NOT_FOUND_EXCEPTION, message)
    })
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    let resource = find(cx, &request.resource_arn)?;
    let target = cx.application_autoscaling.targets.get(&resource);
    let mut tags = target.map(|target| target.tags.clone()).unwrap_or_default();
    check(caller, &request.tags)?;
    tags.extend(request.tags);
    check(&Caller::APPLICATION_AUTOSCALING, &tags)?;
    if let Some(mut target) = cx.application_autoscaling.targets.edit(&resource) {
        target.tags = tags;
    }
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    let resource = find(cx, &request.resource_arn)?;
    if let Some(mut target) = cx.application_autoscaling.targets.edit(&resource) {
        target.tags.retain(|key, _| !request.tag_keys.contains(key));
    }
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let resource = find(cx, &request.resource_arn)?;
    let target = cx.application_autoscaling.targets.get(&resource);
    Ok(shapes::ListTagsForResourceResponse { tags: target.map(|target| target.tags.clone()) })
}
