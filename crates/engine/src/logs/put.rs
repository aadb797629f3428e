//! Events come in, and go when they have expired or when there are too many of them.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, logs as shapes};

use super::{EVENT_OVERHEAD_BYTES, LogEvent, LogStream, STORED_BYTES_MAX, group, invalid, no_stream};
use crate::{Caller, Engine};

/// Of one request, counted as [`LogEvent::bytes`] (API reference, PutLogEvents).
const BATCH_BYTES_MAX: u64 = 1_048_576;
/// Of one event's message and its 26 bytes (API reference, PutLogEvents; 256 KiB until 2025).
const EVENT_BYTES_MAX: u64 = 1_048_576;
const BATCH_SPAN_MAX: Span = Span::from_hours(24);
const TOO_OLD: Span = Span::from_hours(14 * 24);
const TOO_NEW: Span = Span::from_hours(2);
/// Expired events are taken away at whole hours; no reader sees them before that either.
const SWEEP: Span = Span::from_hours(1);

pub(super) type StreamKey = (Arc<str>, Arc<str>);

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutLogEventsRequest,
) -> Result<shapes::PutLogEventsResponse, Refusal> {
    let now = cx.now;
    let row = group(cx, &request.log_group_name)?;
    let kept_since = row.kept_since(now);
    let key = (Arc::clone(&row.name), Arc::from(request.log_stream_name));
    if !cx.logs.streams.contains(&key) {
        return Err(no_stream());
    }
    check_batch(&request.log_events)?;
    let verdict = judge(&request.log_events, now, kept_since);
    let logs = &mut cx.logs;
    let mut stream = logs.streams.edit(&key).ok_or_else(no_stream)?;
    stream.last_ingested = Some(now);
    let mut added = 0;
    for event in request.log_events.into_iter().skip(verdict.first).take(verdict.count) {
        logs.serial += 1;
        let message = event.message.into_boxed_str();
        let event = LogEvent { timestamp: event.timestamp, serial: logs.serial, ingested: now, message };
        added += event.bytes();
        // Mostly at the end.
        let at = stream.events.partition_point(|other| other.timestamp <= event.timestamp);
        stream.events.insert(at, event);
    }
    stream.bytes += added;
    let next_sequence_token = Some(sequence_token(&stream));
    drop(stream);
    cx.logs.stored_bytes += added;
    schedule_expiry(cx, &key);
    bound(cx);
    Ok(shapes::PutLogEventsResponse {
        next_sequence_token,
        rejected_log_events_info: verdict.rejected,
        rejected_entity_info: None,
    })
}

/// Tokens are given out and not asked for since 2023.
pub(super) fn sequence_token(stream: &LogStream) -> String {
    let newest = stream.events.iter().next_back().map_or(0, |event| event.serial);
    format!("49{newest:054}")
}

/// What makes a whole request wrong.
fn check_batch(events: &[shapes::InputLogEvent]) -> Result<(), Refusal> {
    let mut bytes = 0;
    for event in events {
        let of_event = event.message.len() as u64 + EVENT_OVERHEAD_BYTES;
        if of_event > EVENT_BYTES_MAX {
            return Err(invalid(format!(
                "Log event too large: {of_event} bytes exceeds limit of {EVENT_BYTES_MAX}"
            )));
        }
        bytes += of_event;
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let span =
        events.last().zip(events.first()).map(|(last, first)| last.timestamp.saturating_sub(first.timestamp));
    if span.is_some_and(|span| span > BATCH_SPAN_MAX.as_millis()) {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

/// Which of a request's events are taken.
struct Verdict {
    first: usize,
    count: usize,
    rejected: Option<shapes::RejectedLogEventsInfo>,
}

/// Events come in order, so those that are too old stand at the start and those that are too new at the end. The end
/// indexes are exclusive, the start index is inclusive (API reference, RejectedLogEventsInfo).
fn judge(events: &[shapes::InputLogEvent], now: Time, kept_since: Option<Time>) -> Verdict {
    let before = |limit: Time| events.partition_point(|event| event.timestamp < limit.as_millis());
    let too_old = before(now - TOO_OLD);
    let expired = kept_since.map_or(0, before);
    let too_new = events.partition_point(|event| event.timestamp <= (now + TOO_NEW).as_millis());
    // An event that is both counts as expired only when the retention is what keeps it out.
    let first = too_old.max(expired);
    let index = |at: usize| i32::try_from(at).ok();
    let rejected = shapes::RejectedLogEventsInfo {
        too_new_log_event_start_index: index(too_new).filter(|_| too_new < events.len()),
        too_old_log_event_end_index: index(too_old).filter(|_| too_old > 0),
        expired_log_event_end_index: index(expired).filter(|_| expired > too_old),
    };
    let any = rejected != shapes::RejectedLogEventsInfo::default();
    Verdict { first, count: too_new.saturating_sub(first), rejected: any.then_some(rejected) }
}

/// Says when the stream's first event will have expired.
pub(super) fn schedule_expiry(cx: &mut Engine, key: &StreamKey) {
    let retention = cx.logs.groups.get(&key.0).and_then(|group| group.retention_days);
    let retention = retention.map(|days| Span::from_hours(24 * i64::from(days)));
    let Some(row) = cx.logs.streams.get(key) else { return };
    let expires = row.events.front().zip(retention).map(|(first, retention)| {
        let expired = Time::from_millis(first.timestamp) + retention;
        expired.max(cx.now).next_multiple(SWEEP)
    });
    if row.expires != expires
        && let Some(mut row) = cx.logs.streams.edit(key)
    {
        row.expires = expires;
    }
}

/// Takes away what has expired of a stream.
pub(super) fn expire(cx: &mut Engine, key: &StreamKey) {
    let kept_since = cx.logs.groups.get(&key.0).and_then(|group| group.kept_since(cx.now));
    let logs = &mut cx.logs;
    if let Some(mut row) = logs.streams.edit(key) {
        while let Some(first) = row.events.front()
            && kept_since.is_some_and(|since| first.timestamp < since.as_millis())
        {
            let bytes = first.bytes();
            row.bytes -= bytes;
            logs.stored_bytes -= bytes;
            row.events.pop_front();
        }
        row.expires = None;
    }
    schedule_expiry(cx, key);
}

/// Lets the oldest events go until there is room.
fn bound(cx: &mut Engine) {
    while cx.logs.stored_bytes > STORED_BYTES_MAX {
        let logs = &mut cx.logs;
        let Some(&oldest) = logs.streams.indexes_from(i64::MIN).next() else { return };
        let Some(key) = logs.streams.by(&oldest).next().map(crate::kernel::Row::key) else { return };
        let Some(mut row) = logs.streams.edit(&key) else { return };
        // The next stream may be older from its second event on; at this many that is no matter.
        for _ in 0..row.events.len().div_ceil(64) {
            let Some(event) = row.events.pop_front() else { break };
            row.bytes -= event.bytes();
            logs.stored_bytes -= event.bytes();
        }
        drop(row);
        schedule_expiry(cx, &key);
    }
}

/// Whether there was such a stream.
pub(super) fn remove_stream(cx: &mut Engine, key: &StreamKey) -> bool {
    let Some(row) = cx.logs.streams.remove(key) else { return false };
    cx.logs.stored_bytes -= row.bytes;
    true
}
