//! Messages come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Span;
use capstan_shapes::{Refusal, sqs as shapes};
use shapes::{MessageAttributeValue, MessageSystemAttributeValue, SendMessageBatchRequestEntry};

use super::{Message, STORED_BYTES_MAX, digest, in_range, invalid_value, key, missing, no_queue};
use crate::{Caller, Engine};

/// Developer Guide, message quotas.
const ATTRIBUTES_MAX: usize = 10;
const TRACE_HEADER: &str = "AWSTraceHeader";

type Attributes = BTreeMap<String, MessageAttributeValue>;

pub(super) fn send(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::SendMessageRequest,
) -> Result<shapes::SendMessageResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let entry = SendMessageBatchRequestEntry {
        id: String::new(),
        message_body: request.message_body,
        delay_seconds: request.delay_seconds,
        message_attributes: request.message_attributes,
        message_system_attributes: request.message_system_attributes,
        message_deduplication_id: request.message_deduplication_id,
        message_group_id: request.message_group_id,
    };
    let sent = put(cx, caller, &name, entry)?;
    Ok(shapes::SendMessageResponse {
        md5_of_message_body: Some(sent.md5_of_message_body),
        md5_of_message_attributes: sent.md5_of_message_attributes,
        md5_of_message_system_attributes: sent.md5_of_message_system_attributes,
        message_id: Some(sent.message_id),
        sequence_number: None,
    })
}

/// One message, of a batch or not.
pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    name: &Arc<str>,
    entry: SendMessageBatchRequestEntry,
) -> Result<shapes::SendMessageBatchResultEntry, Refusal> {
    let settings = &cx.sqs.queues.get(name).ok_or_else(no_queue)?.settings;
    let (delay, max) = (settings.delay_seconds, settings.message_bytes_max);
    let delay = in_range(entry.delay_seconds, "DelaySeconds", 0..=900)?.map_or(delay, i64::from);
    check_body(&entry.message_body)?;
    if entry.message_deduplication_id.is_some() {
        return Err(invalid_value(
            "The request includes a parameter that is not valid for this queue type: MessageDeduplicationId.",
        ));
    }
    let attributes = entry.message_attributes.unwrap_or_default();
    check_attributes(&attributes)?;
    let system = entry.message_system_attributes.unwrap_or_default();
    let system: Attributes = system.into_iter().map(|(name, value)| (name, plain(value))).collect();
    check_attributes(&system)?;
    let size = bytes(&entry.message_body, &attributes);
    if size > max.unsigned_abs() {
        return Err(invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {max} bytes."
        )));
    }
    if cx.sqs.stored_bytes + size > STORED_BYTES_MAX {
        return Err(Refusal::of(
            &shapes::REQUEST_THROTTLED,
            format!(
                "The queues hold {STORED_BYTES_MAX} bytes of messages, as many as they can: receive and delete some."
            ),
        ));
    }
    let id = cx.chance.uuid("sqs.message-id");
    let (sender_id, _) = crate::sts::identity(cx, caller);
    let now = cx.now;
    let sqs = &mut cx.sqs;
    sqs.serial += 1;
    sqs.stored_bytes += size;
    let message = Message {
        serial: sqs.serial,
        id: id.clone(),
        body: entry.message_body.into(),
        attributes,
        trace_header: system.get(TRACE_HEADER).and_then(|value| value.string_value.clone()),
        sender_id,
        sent: now,
        arrived: now,
        visible_at: now + Span::from_secs(delay),
        first_received: None,
        received: None,
        receive_count: 0,
        dead_letter_source: None,
    };
    let result = shapes::SendMessageBatchResultEntry {
        id: entry.id,
        message_id: id,
        md5_of_message_body: digest::of_text(&message.body),
        md5_of_message_attributes: digest::of_attributes(&message.attributes),
        md5_of_message_system_attributes: digest::of_attributes(&system),
        sequence_number: None,
    };
    let mut row = sqs.queues.edit(name).ok_or_else(no_queue)?;
    *row.traffic.sent.entry(size).or_default() += 1;
    row.add(message);
    Ok(result)
}

/// As the message quota counts: the body, and each attribute's name, type and value.
pub(super) fn bytes(body: &str, attributes: &Attributes) -> u64 {
    let of_attributes = attributes.iter().map(|(name, value)| {
        let text = value.string_value.as_deref().map_or(0, str::len);
        let blob = value.binary_value.as_ref().map_or(0, |blob| blob.0.len());
        (name.len() + value.data_type.len() + text + blob) as u64
    });
    body.len() as u64 + of_attributes.sum::<u64>()
}

fn check_body(body: &str) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(missing("MessageBody"));
    }
    let stray = body.chars().find(|c| {
        !matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    match stray {
        None => Ok(()),
        Some(c) => Err(Refusal::of(
            &shapes::INVALID_MESSAGE_CONTENTS,
            format!(
                "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                u32::from(c)
            ),
        )),
    }
}

/// Names, types and values of attributes (Developer Guide, message metadata).
fn check_attributes(attributes: &Attributes) -> Result<(), Refusal> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    for (name, value) in attributes {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
        let lower = name.to_ascii_lowercase();
        let reserved = name != TRACE_HEADER && (lower.starts_with("aws.") || lower.starts_with("amazon."));
        if !(1..=256).contains(&name.len()) || !name.chars().all(plain) || dots || reserved {
            return Err(invalid_value(format!(
                "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters."
            )));
        }
        let kind = value.data_type.split('.').next().unwrap_or_default();
        let is_given = match kind {
            "String" => value.string_value.as_ref().is_some_and(|text| !text.is_empty()),
            "Number" => {
                let number = value.string_value.as_deref().unwrap_or_default();
                if number.parse::<f64>().is_err() && !number.is_empty() {
                    return Err(invalid_value(format!(
                        "Can't cast the value of message (user) attribute '{name}' to a number."
                    )));
                }
                !number.is_empty()
            }
            "Binary" => value.binary_value.as_ref().is_some_and(|blob| !blob.0.is_empty()),
            _ => {
                return Err(invalid_value(format!(
                    "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String."
                )));
            }
        };
        if !is_given {
            return Err(invalid_value(format!(
                "The message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
            )));
        }
    }
    Ok(())
}

fn plain(value: MessageSystemAttributeValue) -> MessageAttributeValue {
    MessageAttributeValue {
        string_value: value.string_value,
        binary_value: value.binary_value,
        string_list_values: value.string_list_values,
        binary_list_values: value.binary_list_values,
        data_type: value.data_type,
    }
}
