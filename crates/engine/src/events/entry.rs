//! Events that users bring: PutEvents and TestEventPattern.

use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::{Refusal, events as shapes};
use serde_json::{Value as Json, json};

use super::pattern::Pattern;
use super::{bus, delivery, rule, validation};
use crate::{Caller, Engine};

/// All entries of a call together, in bytes (EventBridge quotas).
const ENTRIES_SIZE_MAX: usize = 256 * 1024;
/// The members that every event has (EventBridge model, TestEventPattern).
const REQUIRED: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

/// What rules are matched against: the envelope around what happened.
pub(super) struct Envelope<'a> {
    pub(super) source: &'a str,
    pub(super) detail_type: &'a str,
    pub(super) time: Time,
    pub(super) resources: Vec<String>,
    pub(super) detail: Json,
}

/// The event and its id.
pub(super) fn event(cx: &mut Engine, envelope: Envelope<'_>) -> (Arc<Json>, String) {
    let id = cx.chance.uuid("events.event-id");
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": envelope.detail_type,
        "source": envelope.source,
        "account": cx.config.account,
        "time": envelope.time.iso_secs(),
        "region": cx.config.region.name,
        "resources": envelope.resources,
        "detail": envelope.detail,
    });
    (Arc::new(event), id)
}

/// Each entry is taken or refused by itself.
pub(super) fn put(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::PutEventsRequest,
) -> Result<shapes::PutEventsResponse, Refusal> {
    if request.entries.iter().map(size).sum::<usize>() >= ENTRIES_SIZE_MAX {
        return Err(validation("Total size of the entries in the request is over the limit."));
    }
    let mut entries = Vec::new();
    let mut failed = 0;
    for entry in request.entries {
        entries.push(match put_one(cx, entry) {
            Ok(id) => shapes::PutEventsResultEntry { event_id: Some(id), ..Default::default() },
            Err((code, message)) => {
                failed += 1;
                shapes::PutEventsResultEntry {
                    event_id: None,
                    error_code: Some(code.to_owned()),
                    error_message: Some(message),
                }
            }
        });
    }
    Ok(shapes::PutEventsResponse { failed_entry_count: Some(failed), entries: Some(entries) })
}

/// As AWS counts it: 14 bytes for a time, and every text (EventBridge guide, eb-putevents).
fn size(entry: &shapes::PutEventsRequestEntry) -> usize {
    let texts = [&entry.source, &entry.detail_type, &entry.detail];
    let texts = texts.into_iter().flatten().chain(entry.resources.iter().flatten());
    texts.map(String::len).sum::<usize>() + if entry.time.is_some() { 14 } else { 0 }
}

fn put_one(cx: &mut Engine, entry: shapes::PutEventsRequestEntry) -> Result<String, (&'static str, String)> {
    let given = |text: Option<String>, name: &str| {
        let missing = || {
            (
                "InvalidArgument",
                format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
            )
        };
        text.filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    let source = given(entry.source, "Source")?;
    let detail_type = given(entry.detail_type, "DetailType")?;
    let detail = given(entry.detail, "Detail")?;
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail: Json = serde_json::from_str(&detail)
        .ok()
        .filter(Json::is_object)
        .ok_or_else(|| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    let (now, bus) = (cx.now, bus::named(cx, entry.event_bus_name.as_deref()));
    let time = entry.time.unwrap_or(now);
    let envelope = Envelope {
        source: &source,
        detail_type: &detail_type,
        time,
        resources: entry.resources.unwrap_or_default(),
        detail,
    };
    // On a bus that does not exist, the event is taken and matches nothing.
    let (event, id) = event(cx, envelope);
    delivery::route(cx, &bus, &event, time, false);
    Ok(id)
}

pub(super) fn test_pattern(
    _: &mut Engine,
    _: &Caller,
    request: shapes::TestEventPatternRequest,
) -> Result<shapes::TestEventPatternResponse, Refusal> {
    let pattern = Pattern::parse(&request.event_pattern).map_err(rule::invalid_pattern)?;
    let invalid = |why: String| validation(format!("Parameter Event is not valid. Reason: {why}"));
    let event: Json =
        serde_json::from_str(&request.event).map_err(|e| invalid(format!("it is not JSON: {e}")))?;
    if !event.is_object() {
        return Err(invalid("it is not an object.".to_owned()));
    }
    if let Some(name) = REQUIRED.iter().find(|name| event.get(name).is_none_or(Json::is_null)) {
        return Err(invalid(format!("{name} is a required argument.")));
    }
    Ok(shapes::TestEventPatternResponse { result: Some(pattern.matches(&event)) })
}
