//! Tags of namespaces and services.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, servicediscovery as shapes};

use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

fn not_found(arn: &str) -> Refusal {
    Refusal::of(&shapes::RESOURCE_NOT_FOUND_EXCEPTION, format!("The resource {arn} was not found."))
}

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
            &shapes::TOO_MANY_TAGS_EXCEPTION,
            format!("A resource can have no more than {TAGS_MAX} tags."),
        ));
    }
    all.extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
    Ok(())
}

fn change(
    cx: &mut Engine,
    arn: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let id = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let room = &mut cx.servicediscovery;
    if let Some(mut row) = room.namespaces.edit(&id)
        && row.arn == arn
    {
        return change(&mut row.tags);
    }
    match room.services.edit(&id) {
        Some(mut row) if row.arn == arn => change(&mut row.tags),
        _ => Err(not_found(arn)),
    }
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    change(cx, &request.resource_arn, |tags| extend(caller, tags, request.tags))?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    change(cx, &request.resource_arn, |tags| {
        tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(())
    })?;
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let arn = &request.resource_arn;
    let id = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let room = &cx.servicediscovery;
    let of_namespace = room.namespaces.get(&id).filter(|row| row.arn == *arn).map(|row| &row.tags);
    let of_service = room.services.get(&id).filter(|row| row.arn == *arn).map(|row| &row.tags);
    let tags = of_namespace.or(of_service).ok_or_else(|| not_found(arn))?;
    let tags = tags.iter().map(|(key, value)| shapes::Tag { key: key.clone(), value: value.clone() });
    Ok(shapes::ListTagsForResourceResponse { tags: Some(tags.collect()) })
}
