//! LookupEvents.

use capstan_model::Time;
use capstan_shapes::{Refusal, cloudtrail as shapes};
use shapes::{LookupAttribute, LookupAttributeKey};

use super::{AGE_MAX, Record, record, resource};
use crate::{Caller, Engine};

const RESULTS: usize = 50;
/// Records that one call looks at when it has to read each for its resources: a page may end before it is full.
const SEARCH_MAX: usize = 10_000;

pub(super) fn lookup(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::LookupEventsRequest,
) -> Result<shapes::LookupEventsResponse, Refusal> {
    if request.start_time.zip(request.end_time).is_some_and(|(start, end)| start > end) {
        return Err(Refusal::of(
            &shapes::INVALID_TIME_RANGE_EXCEPTION,
            "The start time is after the end time. Give a start time that comes before the end time.",
        ));
    }
    let attributes = request.lookup_attributes.as_deref().unwrap_or_default();
    let attribute = match attributes {
        [] => None,
        [one] => Some(one),
        _ => {
            return Err(Refusal::of(
                &shapes::INVALID_LOOKUP_ATTRIBUTES_EXCEPTION,
                "You can give at most one lookup attribute.",
            ));
        }
    };
    let asked = asked(&request);
    let before = match request.next_token.as_deref() {
        None => u64::MAX,
        Some(token) => {
            read_token(token).filter(|(_, of)| *of == asked).map(|(before, _)| before).ok_or_else(|| {
                Refusal::of(
                    &shapes::INVALID_NEXT_TOKEN_EXCEPTION,
                    "The token is not valid, or it was given out for a call with other parameters.",
                )
            })?
        }
    };
    if request.event_category.is_some() {
        return Ok(shapes::LookupEventsResponse { events: Some(Vec::new()), next_token: None });
    }
    let size = request.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(RESULTS);
    let start = request.start_time.unwrap_or(Time::ZERO).max(cx.now - AGE_MAX);
    // Whole seconds: an event of the end's second belongs to it.
    let end = request.end_time.map(|end| end.as_secs());
    let mut events = Vec::new();
    let mut next_token = None;
    // The newest first. Both time and serial rise along the ring.
    let newest_first = cx.cloudtrail.records.iter().rev().skip_while(|record| record.serial >= before);
    let in_time = newest_first
        .skip_while(|record| end.is_some_and(|end| record.time.as_secs() > end))
        .take_while(|record| record.time.as_secs() >= start.as_secs());
    for (searched, record) in in_time.enumerate() {
        if events.len() >= size || searched >= SEARCH_MAX {
            next_token = Some(token(record.serial + 1, asked));
            break;
        }
        if attribute.is_none_or(|attribute| has(cx, record, attribute)) {
            events.push(shown(cx, record));
        }
    }
    Ok(shapes::LookupEventsResponse { events: Some(events), next_token })
}

fn has(cx: &Engine, record: &Record, attribute: &LookupAttribute) -> bool {
    let value = attribute.attribute_value.as_str();
    let any = |named: &dyn Fn(&shapes::Resource) -> Option<&str>| {
        resource::resources(record).iter().any(|resource| named(resource) == Some(value))
    };
    match attribute.attribute_key {
        LookupAttributeKey::EventId => record.event_id(cx.config.seed) == value,
        LookupAttributeKey::EventName => record.name() == value,
        LookupAttributeKey::ReadOnly => text(record.is_read_only()) == value,
        LookupAttributeKey::Username => record.username(cx).as_deref() == Some(value),
        LookupAttributeKey::ResourceType => any(&|resource| resource.resource_type.as_deref()),
        LookupAttributeKey::ResourceName => any(&|resource| resource.resource_name.as_deref()),
        LookupAttributeKey::EventSource => record.source() == value,
        LookupAttributeKey::AccessKeyId => record.access_key() == Some(value),
    }
}

fn text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn shown(cx: &Engine, record: &Record) -> shapes::Event {
    shapes::Event {
        event_id: Some(record.event_id(cx.config.seed)),
        event_name: Some(record.name().to_owned()),
        read_only: Some(text(record.is_read_only()).to_owned()),
        access_key_id: record.access_key().map(str::to_owned),
        event_time: Some(Time::from_secs(record.time.as_secs())),
        event_source: Some(record.source()),
        username: record.username(cx),
        resources: Some(resource::resources(record)),
        cloud_trail_event: Some(record::json(cx, record).to_string()),
    }
}

/// Which parameters a token belongs to.
fn asked(request: &shapes::LookupEventsRequest) -> u64 {
    let parameters =
        (&request.lookup_attributes, request.start_time, request.end_time, request.event_category);
    crate::ec2::digest(format!("{parameters:?}").bytes())
}

fn token(before: u64, asked: u64) -> String {
    format!("{before:016x}{asked:016x}")
}

fn read_token(token: &str) -> Option<(u64, u64)> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (before, asked) = (token.get(..16)?, token.get(16..)?);
    (asked.len() == 16).then_some((hex(before)?, hex(asked)?))
}
