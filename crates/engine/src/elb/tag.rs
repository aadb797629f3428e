//! Tags of load balancers, target groups, listeners and rules.

use std::sync::Arc;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::{ListenerIndex, Name, Tags};
use super::validation;
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

/// Tags of a request, each key once.
pub(super) fn read(caller: &Caller, tags: Option<Vec<shapes::Tag>>) -> Result<Tags, Refusal> {
    let mut read = Tags::new();
    for tag in tags.unwrap_or_default() {
        if !caller.may_tag(&tag.key) {
            return Err(validation(format!(
                "The tag key '{}' begins with 'aws:', which is reserved",
                tag.key
            )));
        }
        if read.contains_key(&tag.key) {
            let message = format!("A tag key was specified more than once: '{}'", tag.key);
            return Err(Refusal::of(&shapes::DUPLICATE_TAG_KEYS_EXCEPTION, message));
        }
        read.insert(tag.key, tag.value.unwrap_or_default());
    }
    check_count(&read)?;
    Ok(read)
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    let message = format!("The maximum number of tags, '{TAGS_MAX}', has been reached");
    Err(Refusal::of(&shapes::TOO_MANY_TAGS_EXCEPTION, message))
}

/// The listener whose default rule has that ARN.
fn default_rule(cx: &Engine, arn: &Name) -> Option<Name> {
    cx.elb.listeners.by(&ListenerIndex::DefaultRule(arn.clone())).next().map(|listener| listener.arn.clone())
}

fn tags_of<'a>(cx: &'a Engine, arn: &Name) -> Result<&'a Tags, Refusal> {
    let elb = &cx.elb;
    let by_rule = || elb.listeners.get(&default_rule(cx, arn)?).map(|row| &row.default_rule_tags);
    let found = elb.load_balancers.get(arn).map(|row| &row.tags);
    let found = found.or_else(|| elb.target_groups.get(arn).map(|row| &row.tags));
    let found = found.or_else(|| elb.listeners.get(arn).map(|row| &row.tags));
    let found = found.or_else(|| elb.rules.get(arn).map(|row| &row.tags)).or_else(by_rule);
    found.ok_or_else(|| {
        if arn.contains(":targetgroup/") {
            Refusal::of(&shapes::TARGET_GROUP_NOT_FOUND_EXCEPTION, "One or more target groups not found")
        } else if arn.contains(":listener/") {
            Refusal::of(&shapes::LISTENER_NOT_FOUND_EXCEPTION, "One or more listeners not found")
        } else if arn.contains(":listener-rule/") {
            Refusal::of(&shapes::RULE_NOT_FOUND_EXCEPTION, "One or more rules not found")
        } else if arn.contains(":loadbalancer/") {
            Refusal::of(&shapes::LOAD_BALANCER_NOT_FOUND_EXCEPTION, "One or more load balancers not found")
        } else {
            validation(format!("'{arn}' is not a valid load balancer, target group, listener or rule ARN"))
        }
    })
}

fn set(cx: &mut Engine, arn: &Name, tags: Tags) {
    let by_rule = default_rule(cx, arn);
    let elb = &mut cx.elb;
    if let Some(mut row) = elb.load_balancers.edit(arn) {
        row.tags = tags;
    } else if let Some(mut row) = elb.target_groups.edit(arn) {
        row.tags = tags;
    } else if let Some(mut row) = elb.listeners.edit(arn) {
        row.tags = tags;
    } else if let Some(mut row) = elb.rules.edit(arn) {
        row.tags = tags;
    } else if let Some(listener) = by_rule
        && let Some(mut row) = elb.listeners.edit(&listener)
    {
        row.default_rule_tags = tags;
    }
}

/// Changes the tags of all the resources, or of none when one of them is wrong.
fn change(cx: &mut Engine, arns: Vec<String>, change: impl Fn(&mut Tags)) -> Result<(), Refusal> {
    let mut changed = Vec::new();
    for arn in arns.into_iter().map(Arc::<str>::from) {
        let mut tags = tags_of(cx, &arn)?.clone();
        change(&mut tags);
        check_count(&tags)?;
        changed.push((arn, tags));
    }
    for (arn, tags) in changed {
        set(cx, &arn, tags);
    }
    Ok(())
}

pub(super) fn add(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::AddTagsRequest,
) -> Result<shapes::AddTagsResponse, Refusal> {
    let more = read(caller, Some(request.tags))?;
    change(cx, request.resource_arns, |tags| tags.extend(more.clone()))?;
    Ok(shapes::AddTagsResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::RemoveTagsRequest,
) -> Result<shapes::RemoveTagsResponse, Refusal> {
    change(cx, request.resource_arns, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))?;
    Ok(shapes::RemoveTagsResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeTagsRequest,
) -> Result<shapes::DescribeTagsResponse, Refusal> {
    let mut told = Vec::new();
    for arn in request.resource_arns.into_iter().map(Arc::<str>::from) {
        let tags = tags_of(cx, &arn)?.iter();
        let tags = tags.map(|(key, value)| shapes::Tag { key: key.clone(), value: Some(value.clone()) });
        told.push(shapes::TagDescription { resource_arn: Some(arn.to_string()), tags: Some(tags.collect()) });
    }
    Ok(shapes::DescribeTagsResponse { tag_descriptions: Some(told) })
}
