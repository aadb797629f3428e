//! Reading events: one stream by pages in both directions, a group by a pattern.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, logs as shapes};

use super::pattern::Pattern;
use super::{
    EVENT_OVERHEAD_BYTES, LogEvent, LogStream, invalid, invalid_token, named_group, no_stream, size,
};
use crate::{Caller, Engine};

/// Of a page (API reference, GetLogEvents and FilterLogEvents).
const PAGE_EVENTS_MAX: usize = 10_000;
const PAGE_BYTES_MAX: u64 = 1_048_576;
/// Message bytes that one FilterLogEvents looks at before it answers with a token, perhaps on an empty page; so a search
/// in much does not keep everybody else waiting.
const SEARCH_BYTES_MAX: u64 = 16 << 20;
/// How long the tokens of GetLogEvents may be used (API reference).
const TOKEN_AGE_MAX: Span = Span::from_hours(24);

/// A place among events: [`LogEvent::place`].
type Place = (i64, u64);

/// Counts the bytes of a page.
#[derive(Default)]
struct PageBytes(u64);

impl PageBytes {
    /// Whether an event still has room; the first one always has.
    fn admits(&mut self, event: &LogEvent) -> bool {
        let is_first = self.0 == 0;
        self.0 += event.message.len() as u64 + EVENT_OVERHEAD_BYTES;
        is_first || self.0 <= PAGE_BYTES_MAX
    }
}

/// The first place that may be read: neither before `start` (milliseconds, inclusive) nor expired.
fn first_place(cx: &Engine, group: &Arc<str>, start: Option<i64>) -> Place {
    let kept = cx.logs.groups.get(group).and_then(|row| row.kept_since(cx.now));
    (start.unwrap_or(0).max(kept.map_or(0, Time::as_millis)), 0)
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetLogEventsRequest,
) -> Result<shapes::GetLogEventsResponse, Refusal> {
    let group = named_group(cx, request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    let key = (Arc::clone(&group), Arc::from(request.log_stream_name.as_str()));
    let stream = cx.logs.streams.get(&key).ok_or_else(no_stream)?;
    check_times(request.start_time, request.end_time)?;
    let first = first_place(cx, &group, request.start_time);
    let end = request.end_time.map_or((i64::MAX, u64::MAX), |end| (end, 0));
    let at = |place: Place| stream.events.partition_point(|event| event.place() < place);
    let (from, to) = (at(first), at(end).max(at(first)));
    let limit = size(request.limit, PAGE_EVENTS_MAX);
    let token = request.next_token.as_deref().map(|text| Token::parse(text, cx.now)).transpose()?;
    // Where the page begins when it is read forward, or ends when it is read backward.
    let (forward, cursor) = match token {
        Some(Token { forward: true, place }) => (true, at(place).clamp(from, to)),
        Some(Token { forward: false, place }) => (false, at(place).clamp(from, to)),
        None if request.start_from_head == Some(true) => (true, from),
        None => (false, to),
    };
    let mut bytes = PageBytes::default();
    let range = if forward {
        let events = stream.events.range(cursor..to).take(limit);
        cursor..cursor + events.take_while(|event| bytes.admits(event)).count()
    } else {
        let events = stream.events.range(from..cursor).rev().take(limit);
        cursor - events.take_while(|event| bytes.admits(event)).count()..cursor
    };
    let page: Vec<&LogEvent> = stream.events.range(range).collect();
    // A page that is empty gives the token back that asked for it: the end of the stream in that direction.
    let sent = request.next_token.filter(|_| page.is_empty());
    let asked = token.map(|token| token.place);
    let after = page.last().map(|event| (event.timestamp, event.serial + 1));
    let before = page.first().map(|event| event.place());
    let edge = || if forward { last_place(stream, to).unwrap_or(first) } else { first };
    let fresh =
        |forward, place: Option<Place>| Token { forward, place: place.or(asked).unwrap_or_else(edge) };
    let (mut next_forward, mut next_backward) =
        (fresh(true, after).text(cx.now), fresh(false, before).text(cx.now));
    match sent {
        Some(sent) if forward => next_forward = sent,
        Some(sent) => next_backward = sent,
        None => {}
    }
    let events = page.into_iter().map(|event| shapes::OutputLogEvent {
        timestamp: Some(event.timestamp),
        message: Some(event.message.to_string()),
        ingestion_time: Some(event.ingested.as_millis()),
    });
    Ok(shapes::GetLogEventsResponse {
        events: Some(events.collect()),
        next_forward_token: Some(next_forward),
        next_backward_token: Some(next_backward),
    })
}

/// The place after the events before index `to`.
fn last_place(stream: &LogStream, to: usize) -> Option<Place> {
    let last = stream.events.get(to.checked_sub(1)?)?;
    Some((last.timestamp, last.serial + 1))
}

/// `f/…` reads on from a place, `b/…` reads what is before it.
#[derive(Clone, Copy)]
struct Token {
    forward: bool,
    place: Place,
}

impl Token {
    fn text(self, now: Time) -> String {
        let direction = if self.forward { 'f' } else { 'b' };
        let (timestamp, serial) = self.place;
        format!("{direction}/{timestamp:020}{serial:020}/{:x}", now.as_secs())
    }

    fn parse(text: &str, now: Time) -> Result<Self, Refusal> {
        let read = || {
            let (direction, rest) = text.split_once('/')?;
            let forward = match direction {
                "f" => true,
                "b" => false,
                _ => return None,
            };
            let (place, given) = rest.split_once('/')?;
            let place = (place.get(..20)?.parse().ok()?, place.get(20..)?.parse().ok()?);
            let given =
                Time::from_secs(i64::from_str_radix(given, 16).ok().filter(|secs| secs.abs() < 1 << 40)?);
            Some((Self { forward, place }, given))
        };
        let (token, given) = read().ok_or_else(invalid_token)?;
        if given + TOKEN_AGE_MAX < now {
            return Err(invalid("The specified nextToken has expired: tokens hold for 24 hours."));
        }
        Ok(token)
    }
}

fn check_times(start: Option<i64>, end: Option<i64>) -> Result<(), Refusal> {
    match (start, end) {
        (Some(start), Some(end)) if end < start => {
            Err(invalid("The specified start time is later than the specified end time."))
        }
        _ => Ok(()),
    }
}

pub(super) fn filter(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::FilterLogEventsRequest,
) -> Result<shapes::FilterLogEventsResponse, Refusal> {
    let group = named_group(cx, request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    if request.log_stream_names.is_some() && request.log_stream_name_prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix cannot be given both."));
    }
    check_times(request.start_time, request.end_time)?;
    let pattern = Pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())
        .map_err(|why| invalid(format!("Invalid filter pattern: {why}.")))?;
    let streams = searched(cx, &group, &request)?;
    let from = match request.next_token.as_deref() {
        Some(token) => parse_place(token).ok_or_else(invalid_token)?,
        None => (0, 0),
    };
    let from = from.max(first_place(cx, &group, request.start_time));
    let end = request.end_time.unwrap_or(i64::MAX);
    let limit = size(request.limit, PAGE_EVENTS_MAX);

    // The streams' next events, the earliest on top.
    let mut next: BinaryHeap<Reverse<(Place, usize, usize)>> = BinaryHeap::with_capacity(streams.len());
    let look = |next: &mut BinaryHeap<_>, stream: usize, index: usize| {
        let event = streams[stream].events.get(index).filter(|event| event.timestamp <= end);
        if let Some(event) = event {
            next.push(Reverse((event.place(), stream, index)));
        }
    };
    for (stream, row) in streams.iter().enumerate() {
        look(&mut next, stream, row.events.partition_point(|event| event.place() < from));
    }
    let (mut events, mut bytes, mut searched) = (Vec::new(), PageBytes::default(), 0);
    let mut next_token = None;
    while let Some(Reverse((place, stream, index))) = next.pop() {
        let row = streams[stream];
        let event = &row.events[index];
        if events.len() >= limit || searched > SEARCH_BYTES_MAX {
            next_token = Some(place_text(place));
            break;
        }
        searched += event.bytes();
        if pattern.matches(&event.message) {
            if !bytes.admits(event) {
                next_token = Some(place_text(place));
                break;
            }
            events.push(shapes::FilteredLogEvent {
                log_stream_name: Some(row.name.to_string()),
                timestamp: Some(event.timestamp),
                message: Some(event.message.to_string()),
                ingestion_time: Some(event.ingested.as_millis()),
                event_id: Some(event.id()),
            });
        }
        look(&mut next, stream, index + 1);
    }
    Ok(shapes::FilterLogEventsResponse {
        events: Some(events),
        // Always empty (API reference).
        searched_log_streams: Some(Vec::new()),
        next_token,
    })
}

fn searched<'a>(
    cx: &'a Engine,
    group: &Arc<str>,
    request: &shapes::FilterLogEventsRequest,
) -> Result<Vec<&'a LogStream>, Refusal> {
    let Some(names) = &request.log_stream_names else {
        let prefix = request.log_stream_name_prefix.as_deref().unwrap_or_default();
        return Ok(cx.logs.streams_of(group).filter(|row| row.name.starts_with(prefix)).collect());
    };
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let stream =
        |name: &str| cx.logs.streams.get(&(Arc::clone(group), Arc::from(name))).ok_or_else(no_stream);
    names.into_iter().map(stream).collect()
}

/// Opaque to clients.
fn place_text((timestamp, serial): Place) -> String {
    format!("Bx{timestamp:020}{serial:020}")
}

fn parse_place(token: &str) -> Option<Place> {
    let digits = token.strip_prefix("Bx")?;
    Some((digits.get(..20)?.parse().ok()?, digits.get(20..)?.parse().ok()?))
}
