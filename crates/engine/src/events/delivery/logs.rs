//! Targets that are log groups: a stream of its own for each event (observed).

use capstan_model::Time;
use capstan_shapes::logs as shapes;
use serde_json::Value as Json;

use super::Failure;
use crate::events::rows::Delivery;
use crate::events::rule;
use crate::{Caller, Engine, logs};

/// Writes the payload with the event's time. A log group's resource policy has to let EventBridge do so.
pub(super) fn put(cx: &mut Engine, delivery: &Delivery, resource: &str) -> Result<(), Failure> {
    let arn = &delivery.target.arn;
    let group = resource.strip_prefix("log-group:").map(|name| name.strip_suffix(":*").unwrap_or(name));
    let group = group.ok_or_else(|| Failure::no_resource(format!("{arn} is not a log group.")))?.to_owned();
    let rule_arn = rule::arn(cx, &delivery.rule);
    let is_allowed = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
        .iter()
        .any(|service| logs::may_write(cx, service, &group, Some(&rule_arn)));
    if !is_allowed {
        let message = format!(
            "No log resource policy lets events.amazonaws.com or delivery.logs.amazonaws.com write to {group}."
        );
        return Err(Failure { code: "NO_PERMISSIONS", message, passes: false });
    }
    let (time, message) = entry(delivery)?;
    let stream = cx.chance.uuid("events.log-stream");
    let create =
        shapes::CreateLogStreamRequest { log_group_name: group.clone(), log_stream_name: stream.clone() };
    cx.call(Caller::EVENTS, create).map_err(|refusal| Failure::of(&refusal))?;
    let request = shapes::PutLogEventsRequest {
        log_group_name: group,
        log_stream_name: stream,
        log_events: vec![shapes::InputLogEvent { timestamp: time.as_millis(), message }],
        ..Default::default()
    };
    cx.call(Caller::EVENTS, request).map_err(|refusal| Failure::of(&refusal))?;
    Ok(())
}

/// What a transformer makes has to be `{"timestamp":<…>,"message":<…>}` (EventBridge guide, eb-targets).
fn entry(delivery: &Delivery) -> Result<(Time, String), Failure> {
    if delivery.target.input_transformer.is_none() {
        return Ok((delivery.time, delivery.payload.clone()));
    }
    let json: Json = serde_json::from_str(&delivery.payload).unwrap_or_default();
    let time = match &json["timestamp"] {
        Json::Number(number) => number.as_i64().map(Time::from_millis),
        Json::String(text) => Time::parse_iso(text).or_else(|| text.parse().ok().map(Time::from_millis)),
        _ => None,
    };
    let message = match &json["message"] {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    };
    time.zip(message).ok_or_else(|| Failure {
        code: "INVALID_JSON",
        message: "The input of a log group is {\"timestamp\": <time>, \"message\": <text>}.".to_owned(),
        passes: false,
    })
}
