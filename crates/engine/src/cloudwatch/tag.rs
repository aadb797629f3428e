//! Tags of alarms and dashboards.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Arn;
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::invalid_value;
use crate::{Caller, Engine};

pub(super) const MAX: usize = 50;

type Tags = BTreeMap<String, String>;

/// What has tags.
enum Tagged {
    /// `arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME`
    Alarm(Arc<str>),
    Composite(Arc<str>),
    /// `arn:aws:cloudwatch::ACCOUNT:dashboard/NAME`
    Dashboard(Arc<str>),
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    change(cx, &request.resource_arn, |tags| add(caller, tags, request.tags))?;
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _: &Caller,
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
    _: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let tags = match find(cx, &request.resource_arn)? {
        Tagged::Alarm(name) => cx.cloudwatch.alarms.get(&name).map(|alarm| &alarm.tags),
        Tagged::Composite(name) => cx.cloudwatch.composites.get(&name).map(|alarm| &alarm.tags),
        Tagged::Dashboard(name) => cx.cloudwatch.dashboards.get(&name).map(|dashboard| &dashboard.tags),
    };
    let shown = |(key, value): (&String, &String)| shapes::Tag { key: key.clone(), value: value.clone() };
    let tags = tags.into_iter().flatten().map(shown).collect();
    Ok(shapes::ListTagsForResourceResponse { tags: Some(tags) })
}

fn change(
    cx: &mut Engine,
    arn: &str,
    change: impl FnOnce(&mut Tags) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match find(cx, arn)? {
        Tagged::Alarm(name) => match cx.cloudwatch.alarms.edit(&name) {
            Some(mut alarm) => {
                let mut tags = alarm.tags.clone();
                change(&mut tags)?;
                alarm.tags = tags;
                Ok(())
            }
            None => Ok(()),
        },
        Tagged::Composite(name) => match cx.cloudwatch.composites.edit(&name) {
            Some(mut alarm) => {
                let mut tags = alarm.tags.clone();
                change(&mut tags)?;
                alarm.tags = tags;
                Ok(())
            }
            None => Ok(()),
        },
        Tagged::Dashboard(name) => match cx.cloudwatch.dashboards.edit(&name) {
            Some(mut dashboard) => {
                let mut tags = dashboard.tags.clone();
                change(&mut tags)?;
                dashboard.tags = tags;
                Ok(())
            }
            None => Ok(()),
        },
    }
}

pub(super) fn add(caller: &Caller, tags: &mut Tags, more: Vec<shapes::Tag>) -> Result<(), Refusal> {
    for tag in more {
        if !caller.may_tag(&tag.key) {
            return Err(invalid_value(format!(
                "The tag key {} begins with aws:, which is reserved for AWS.",
                tag.key
            )));
        }
        tags.insert(tag.key, tag.value);
    }
    if tags.len() > MAX {
        return Err(invalid_value(format!("A resource can have at most {MAX} tags.")));
    }
    Ok(())
}

fn find(cx: &Engine, arn: &str) -> Result<Tagged, Refusal> {
    let parsed = Arn::parse(arn).filter(|arn| arn.service == "cloudwatch");
    let missing = |what: &str, name: &str| {
        Refusal::of(&shapes::RESOURCE_NOT_FOUND_EXCEPTION, format!("{what} {name} does not exist"))
    };
    if let Some(name) = parsed.and_then(|arn| arn.resource.strip_prefix("alarm:")) {
        let name: Arc<str> = Arc::from(name);
        return match cx.cloudwatch.alarms.contains(&name) {
            true => Ok(Tagged::Alarm(name)),
            false if cx.cloudwatch.composites.contains(&name) => Ok(Tagged::Composite(name)),
            false => Err(missing("Alarm", &name)),
        };
    }
    if let Some(name) = parsed.and_then(|arn| arn.after("dashboard")) {
        let name: Arc<str> = Arc::from(name);
        return match cx.cloudwatch.dashboards.contains(&name) {
            true => Ok(Tagged::Dashboard(name)),
            false => Err(missing("Dashboard", &name)),
        };
    }
    Err(invalid_value(format!(
        "The value {arn} for parameter ResourceARN is not the ARN of an alarm or a dashboard."
    )))
}
