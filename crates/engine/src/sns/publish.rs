//! Publishing: a message goes to every queue that subscribes to its topic, wants it and lets SNS send.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, sns as shapes, sqs as queue};
use serde_json::{Map, Value as Json, json};

use super::{Subscription, invalid, topic};
use crate::events::pattern::Pattern;
use crate::{Caller, Engine, sqs};

/// Body and attributes together (SNS guide, quotas).
const MESSAGE_BYTES_MAX: usize = 262_144;

pub(super) fn publish(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PublishRequest,
) -> Result<shapes::PublishResponse, Refusal> {
    let Some(arn) = request.topic_arn.as_ref().or(request.target_arn.as_ref()) else {
        return Err(invalid("TopicArn or TargetArn Reason: no value for required parameter"));
    };
    let topic = topic::find(cx, arn)?.arn.clone();
    if request.message.is_empty() {
        return Err(invalid("Empty message"));
    }
    let attributes = request.message_attributes.unwrap_or_default();
    let size: usize = request.message.len()
        + attributes.iter().map(|(name, value)| name.len() + text(value).map_or(0, str::len)).sum::<usize>();
    if size > MESSAGE_BYTES_MAX {
        return Err(invalid("Message too long"));
    }
    let is_subject = |text: &str| !text.is_empty() && text.len() <= 100 && !text.contains(['\n', '\r']);
    if request.subject.as_deref().is_some_and(|subject| !is_subject(subject)) {
        return Err(invalid("Subject"));
    }
    for (name, value) in &attributes {
        if text(value).is_none() && value.binary_value.is_none() {
            return Err(Refusal::of(
                &shapes::INVALID_PARAMETER_VALUE_EXCEPTION,
                format!(
                    "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{}'.",
                    value.data_type
                ),
            ));
        }
    }
    let by_protocol = match request.message_structure.as_deref() {
        None | Some("") => None,
        Some("json") => Some(by_protocol(&request.message)?),
        Some(_) => return Err(invalid("MessageStructure")),
    };
    let message_id = cx.chance.uuid("sns.message-id");
    let subscriptions: Vec<Subscription> = cx.sns.subscriptions.by(&topic).cloned().collect();
    for subscription in subscriptions.iter().filter(|each| each.protocol == "sqs") {
        let message = match &by_protocol {
            Some(all) => {
                all.get("sqs").or_else(|| all.get("default")).and_then(Json::as_str).unwrap_or_default()
            }
            None => &request.message,
        };
        if wants(subscription, message, &attributes) {
            let subject = request.subject.as_deref();
            deliver(cx, subscription, &message_id, subject, message, &attributes);
        }
    }
    Ok(shapes::PublishResponse { message_id: Some(message_id), sequence_number: None })
}

fn text(value: &shapes::MessageAttributeValue) -> Option<&str> {
    value.string_value.as_deref().filter(|text| !text.is_empty())
}

/// Messages for each protocol, and one for all others.
fn by_protocol(message: &str) -> Result<Map<String, Json>, Refusal> {
    match serde_json::from_str(message) {
        Ok(Json::Object(all)) if all.get("default").is_some_and(Json::is_string) => Ok(all),
        Ok(Json::Object(_)) => Err(invalid("Message Structure - No default entry in JSON message body")),
        _ => Err(invalid("Message Structure - JSON message body failed to parse")),
    }
}

/// Whether the filter policy lets the message through (SNS guide, filter policies: the operators are EventBridge's).
fn wants(
    subscription: &Subscription,
    message: &str,
    attributes: &BTreeMap<String, shapes::MessageAttributeValue>,
) -> bool {
    let policy = subscription.attributes.get("FilterPolicy").map(|policy| Pattern::parse(policy));
    let Some(policy) = policy else { return true };
    let scope = subscription.attributes.get("FilterPolicyScope").map(String::as_str);
    let seen = match scope {
        Some("MessageBody") => serde_json::from_str(message).unwrap_or(Json::Null),
        _ => {
            let value = |value: &shapes::MessageAttributeValue| {
                let text = text(value).unwrap_or_default();
                match value.data_type.split('.').next() {
                    Some("Number") => serde_json::from_str(text).unwrap_or(Json::Null),
                    _ if value.data_type == "String.Array" => {
                        serde_json::from_str(text).unwrap_or(Json::Null)
                    }
                    _ => Json::from(text),
                }
            };
            Json::Object(attributes.iter().map(|(name, each)| (name.clone(), value(each))).collect())
        }
    };
    policy.is_ok_and(|policy| policy.matches(&seen))
}

/// Sends to the queue. A queue that is gone or does not let SNS send gets nothing.
fn deliver(
    cx: &mut Engine,
    subscription: &Subscription,
    message_id: &str,
    subject: Option<&str>,
    message: &str,
    attributes: &BTreeMap<String, shapes::MessageAttributeValue>,
) {
    let Some(queue_url) = sqs::url_of_arn(cx, &subscription.endpoint) else { return };
    if !sqs::may_send(cx, "sns.amazonaws.com", &subscription.endpoint, Some(&subscription.topic)) {
        return;
    }
    let raw = subscription.attributes.get("RawMessageDelivery").is_some_and(|raw| raw == "true");
    let (message_body, message_attributes) = match raw {
        true => {
            let attribute = |value: &shapes::MessageAttributeValue| queue::MessageAttributeValue {
                data_type: value.data_type.clone(),
                string_value: value.string_value.clone(),
                binary_value: value.binary_value.clone(),
                ..Default::default()
            };
            let all = attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
            (message.to_owned(), Some(all).filter(|all: &BTreeMap<_, _>| !all.is_empty()))
        }
        false => (envelope(cx, subscription, message_id, subject, message, attributes), None),
    };
    let request =
        queue::SendMessageRequest { queue_url, message_body, message_attributes, ..Default::default() };
    // SNS retries and then gives up; a queue that is full stays so here.
    let _ = cx.call(Caller::Service("sns.amazonaws.com"), request);
}

/// What a queue gets that does not ask for raw messages (SNS guide, message formats), without a signature.
fn envelope(
    cx: &Engine,
    subscription: &Subscription,
    message_id: &str,
    subject: Option<&str>,
    message: &str,
    attributes: &BTreeMap<String, shapes::MessageAttributeValue>,
) -> String {
    let mut envelope = json!({
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic,
    });
    if let Some(subject) = subject {
        envelope["Subject"] = subject.into();
    }
    envelope["Message"] = message.into();
    envelope["Timestamp"] = cx.now.iso_millis().into();
    envelope["UnsubscribeURL"] =
        format!("{}/?Action=Unsubscribe&SubscriptionArn={}", cx.config.endpoint, subscription.arn).into();
    if !attributes.is_empty() {
        let shown = |value: &shapes::MessageAttributeValue| json!({ "Type": value.data_type, "Value": value.string_value });
        let all: Map<String, Json> =
            attributes.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
        envelope["MessageAttributes"] = Json::Object(all);
    }
    envelope.to_string()
}
