//! Messages are given out, hidden for a while, and deleted by who received them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, sqs as shapes};
use shapes::{MessageAttributeValue, MessageSystemAttributeName as SystemName};

use super::{Message, Queue, arn, digest, in_range, invalid_value, key, no_queue};
use crate::{Caller, Engine};

/// Messages of a standard queue that may be in flight (Developer Guide, quotas).
const IN_FLIGHT_MAX: usize = 120_000;
/// From the receive on, however often it is changed (API reference, ChangeMessageVisibility).
const VISIBILITY_MAX: Span = Span::from_hours(12);

pub(super) fn receive(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ReceiveMessageRequest,
) -> Result<shapes::ReceiveMessageResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let max = in_range(request.max_number_of_messages, "MaxNumberOfMessages", 1..=10)?.unwrap_or(1);
    let visibility = in_range(request.visibility_timeout, "VisibilityTimeout", 0..=43_200)?;
    in_range(request.wait_time_seconds, "WaitTimeSeconds", 0..=20)?;
    super::message::expire(cx, &name);
    let now = cx.now;
    let queue = cx.sqs.queues.get(&name).ok_or_else(no_queue)?;
    let in_flight = queue.visible.range((now + Span::from_micros(1), 0)..).count();
    if in_flight >= IN_FLIGHT_MAX {
        return Err(Refusal::of(
            &shapes::OVER_LIMIT,
            format!("Too many messages in flight: a standard queue has at most {IN_FLIGHT_MAX}."),
        ));
    }
    let system: Vec<SystemName> = {
        let older = request.attribute_names.unwrap_or_default();
        let older = older.iter().filter_map(|name| SystemName::parse(name.as_str()));
        older.chain(request.message_system_attribute_names.unwrap_or_default()).collect()
    };
    let wanted = request.message_attribute_names.unwrap_or_default();
    let taken = take(cx, &name, usize::try_from(max).unwrap_or(1), visibility.map(i64::from));
    let messages: Vec<shapes::Message> =
        taken.iter().map(|message| shown(&name, message, &system, &wanted)).collect();
    // No message at all is no empty list.
    Ok(shapes::ReceiveMessageResponse { messages: Some(messages).filter(|messages| !messages.is_empty()) })
}

/// Up to `max` messages, hidden from now on; those received too often go to the dead-letter queue instead.
fn take(cx: &mut Engine, name: &Arc<str>, max: usize, visibility: Option<i64>) -> Vec<Message> {
    let now = cx.now;
    let Some(queue) = cx.sqs.queues.get(name) else { return Vec::new() };
    let redrive = queue.settings.redrive.clone().filter(|redrive| cx.sqs.queues.contains(&redrive.queue));
    let source = redrive.as_ref().map(|_| arn(cx, name));
    let sqs = &mut cx.sqs;
    let Some(mut row) = sqs.queues.edit(name) else { return Vec::new() };
    let hidden_until = now + Span::from_secs(visibility.unwrap_or(row.settings.visibility_seconds));
    let (mut taken, mut dead) = (Vec::new(), Vec::new());
    // Chosen before any is touched: with a timeout of 0 they are visible again at once.
    let ready: Vec<u64> = row.visible.range(..=(now, u64::MAX)).map(|(_, serial)| *serial).collect();
    for serial in ready {
        if taken.len() >= max {
            break;
        }
        let is_dead = row
            .messages
            .get(&serial)
            .zip(redrive.as_ref())
            .is_some_and(|(message, redrive)| message.receive_count >= redrive.receives_max);
        if is_dead {
            dead.extend(row.take(serial));
            continue;
        }
        sqs.serial += 1;
        let receipt = sqs.serial;
        if let Some(message) = row.show_at(serial, hidden_until) {
            message.receive_count += 1;
            message.first_received.get_or_insert(now);
            message.received = Some((now, receipt));
            taken.push(message.clone());
        }
    }
    row.traffic.received += taken.len() as u64;
    row.traffic.empty_receives += u64::from(taken.is_empty());
    drop(row);
    if let Some(redrive) = redrive
        && let Some(mut row) = sqs.queues.edit(&redrive.queue)
    {
        for message in dead {
            // It keeps its age: a standard queue's dead letters expire as if they had stayed (Developer Guide).
            row.add(Message {
                arrived: now,
                visible_at: now,
                received: None,
                dead_letter_source: source.clone(),
                ..message
            });
        }
    }
    taken
}

fn shown(queue: &str, message: &Message, system: &[SystemName], wanted: &[String]) -> shapes::Message {
    let all = system.contains(&SystemName::All);
    let mut attributes = BTreeMap::new();
    let mut put = |name: SystemName, value: Option<String>| {
        if let Some(value) = value.filter(|_| all || system.contains(&name)) {
            attributes.insert(name.as_str().to_owned(), value);
        }
    };
    put(SystemName::SenderId, Some(message.sender_id.clone()));
    put(SystemName::SentTimestamp, Some(message.sent.as_millis().to_string()));
    put(SystemName::ApproximateReceiveCount, Some(message.receive_count.to_string()));
    let first = message.first_received.map(|time| time.as_millis().to_string());
    put(SystemName::ApproximateFirstReceiveTimestamp, first);
    put(SystemName::AWSTraceHeader, message.trace_header.clone());
    put(SystemName::DeadLetterQueueSourceArn, message.dead_letter_source.clone());
    let chosen: BTreeMap<String, MessageAttributeValue> = message
        .attributes
        .iter()
        .filter(|(name, _)| is_wanted(wanted, name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (_, receipt) = message.received.unwrap_or((Time::ZERO, 0));
    shapes::Message {
        message_id: Some(message.id.clone()),
        receipt_handle: Some(handle(queue, message.serial, receipt)),
        md5_of_body: Some(digest::of_text(&message.body)),
        body: Some(message.body.to_string()),
        attributes: Some(attributes).filter(|map| !map.is_empty()),
        md5_of_message_attributes: digest::of_attributes(&chosen),
        message_attributes: Some(chosen).filter(|map| !map.is_empty()),
    }
}

/// `All` and `.*` want everything, `foo.*` what begins so.
fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == "All" || wanted == name,
    })
}

/// Opaque to clients; a new one for each receive.
fn handle(queue: &str, serial: u64, receipt: u64) -> String {
    BASE64.encode(format!("{serial:020} {receipt:020} {queue}"))
}

/// Message and receive of a handle of this queue.
fn read_handle(queue: &str, text: &str) -> Result<(u64, u64), Refusal> {
    let read = || {
        let plain = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
        let mut parts = plain.splitn(3, ' ');
        let (serial, receipt) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (parts.next()? == queue).then_some((serial, receipt))
    };
    read().ok_or_else(|| {
        Refusal::of(
            &shapes::RECEIPT_HANDLE_IS_INVALID,
            format!("The input receipt handle \"{text}\" is not a valid receipt handle."),
        )
    })
}

/// The message, if the handle is that of its latest receive.
fn received(queue: &Queue, (serial, receipt): (u64, u64)) -> Option<&Message> {
    let message = queue.messages.get(&serial)?;
    message.received.filter(|(_, latest)| *latest == receipt).map(|_| message)
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteMessageRequest,
) -> Result<shapes::DeleteMessageResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    delete_one(cx, &name, &request.receipt_handle)?;
    Ok(shapes::DeleteMessageResponse {})
}

/// Succeeds as well for a message that is gone, and for a handle older than its latest one, which deletes nothing (API
/// reference, DeleteMessage).
pub(super) fn delete_one(cx: &mut Engine, name: &Arc<str>, text: &str) -> Result<(), Refusal> {
    let handle = read_handle(name, text)?;
    let queue = cx.sqs.queues.get(name).ok_or_else(no_queue)?;
    if received(queue, handle).is_some() {
        let sqs = &mut cx.sqs;
        if let Some(mut row) = sqs.queues.edit(name)
            && let Some(message) = row.take(handle.0)
        {
            row.traffic.deleted += 1;
            sqs.stored_bytes -= message.bytes();
        }
    }
    Ok(())
}

pub(super) fn change_visibility(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ChangeMessageVisibilityRequest,
) -> Result<shapes::ChangeMessageVisibilityResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    change_one(cx, &name, &request.receipt_handle, Some(request.visibility_timeout))?;
    Ok(shapes::ChangeMessageVisibilityResponse {})
}

pub(super) fn change_one(
    cx: &mut Engine,
    name: &Arc<str>,
    text: &str,
    seconds: Option<i32>,
) -> Result<(), Refusal> {
    let handle = read_handle(name, text)?;
    let seconds = in_range(seconds, "VisibilityTimeout", 0..=43_200)?
        .ok_or_else(|| super::missing("VisibilityTimeout"))?;
    let now = cx.now;
    let queue = cx.sqs.queues.get(name).ok_or_else(no_queue)?;
    let message = received(queue, handle).filter(|message| message.is_in_flight(now));
    let message = message.ok_or_else(|| {
        Refusal::of(
            &shapes::MESSAGE_NOT_INFLIGHT,
            format!(
                "Value {text} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."
            ),
        )
    })?;
    let until = now + Span::from_secs(i64::from(seconds));
    if message.received.is_some_and(|(since, _)| until - since > VISIBILITY_MAX) {
        return Err(invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]."
        )));
    }
    let mut row = cx.sqs.queues.edit(name).ok_or_else(no_queue)?;
    row.show_at(handle.0, until);
    Ok(())
}
