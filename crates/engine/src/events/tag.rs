//! Tags of rules and event buses.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_shapes::{Refusal, events as shapes};

use super::rows::RuleKey;
use super::{bus, not_found, rule, validation};
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

/// Tags that a resource has with `more` on top.
pub(super) fn merged(
    caller: &Caller,
    tags: &BTreeMap<String, String>,
    more: Vec<shapes::Tag>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = tags.clone();
    for tag in more {
        if !caller.may_tag(&tag.key) {
            return Err(validation("Tag keys that begin with aws: are kept for AWS. Choose another key."));
        }
        tags.insert(tag.key, tag.value);
    }
    if tags.len() > TAGS_MAX {
        return Err(validation(format!("A resource has at most {TAGS_MAX} tags.")));
    }
    Ok(tags)
}

enum Resource {
    Bus(Arc<str>),
    Rule(RuleKey),
}

fn find(cx: &Engine, arn: &str) -> Result<Resource, Refusal> {
    let missing = |what: &str| Err(not_found(format!("{what} does not exist.")));
    if let Some(name) = arn.strip_prefix(&bus::arn(cx, "")) {
        let name: Arc<str> = Arc::from(name);
        return match cx.events.buses.contains(&name) {
            true => Ok(Resource::Bus(name)),
            false => missing(&format!("Event bus {name}")),
        };
    }
    let Some(path) = arn.strip_prefix(&cx.arn("events", "rule/")) else {
        return Err(validation(format!(
            "Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        )));
    };
    let (bus, name) = path.rsplit_once('/').unwrap_or((bus::DEFAULT, path));
    let key = RuleKey { bus: Arc::from(bus), name: Arc::from(name) };
    match cx.events.rules.contains(&key) {
        true => Ok(Resource::Rule(key)),
        false => missing(&format!("Rule {name}")),
    }
}

fn change(
    cx: &mut Engine,
    caller: &Caller,
    arn: &str,
    to: impl FnOnce(&BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal>,
) -> Result<(), Refusal> {
    match find(cx, arn)? {
        Resource::Bus(name) => {
            if let Some(mut bus) = cx.events.buses.edit(&name) {
                bus.tags = to(&bus.tags)?;
            }
        }
        Resource::Rule(key) => {
            rule::may_change(cx, caller, &key, false)?;
            if let Some(mut rule) = cx.events.rules.edit(&key) {
                rule.tags = to(&rule.tags)?;
            }
        }
    }
    Ok(())
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    change(cx, caller, &request.resource_arn, |tags| merged(caller, tags, request.tags))?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    change(cx, caller, &request.resource_arn, |tags| {
        let mut tags = tags.clone();
        tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(tags)
    })?;
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let tags = match find(cx, &request.resource_arn)? {
        Resource::Bus(name) => cx.events.buses.get(&name).map(|bus| &bus.tags),
        Resource::Rule(key) => cx.events.rules.get(&key).map(|rule| &rule.tags),
    };
    let shown = |(key, value): (&String, &String)| shapes::Tag { key: key.clone(), value: value.clone() };
    Ok(shapes::ListTagsForResourceResponse { tags: Some(tags.into_iter().flatten().map(shown).collect()) })
}
