//! Log streams.

use std::collections::VecDeque;
use std::sync::Arc;

use capstan_shapes::{Refusal, logs as shapes};

use super::{LogStream, group, invalid, invalid_token, named_group, no_stream, put, size};
use crate::kernel::page;
use crate::{Caller, Engine};

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateLogStreamRequest,
) -> Result<shapes::CreateLogStreamResponse, Refusal> {
    let group = Arc::clone(&group(cx, &request.log_group_name)?.name);
    let key = (group, Arc::from(request.log_stream_name));
    if cx.logs.streams.contains(&key) {
        return Err(Refusal::of(
            &shapes::RESOURCE_ALREADY_EXISTS_EXCEPTION,
            "The specified log stream already exists",
        ));
    }
    let created = cx.now;
    let (group, name) = key;
    cx.logs.streams.insert(LogStream {
        group,
        name,
        created,
        last_ingested: None,
        events: VecDeque::new(),
        bytes: 0,
        expires: None,
    });
    Ok(shapes::CreateLogStreamResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteLogStreamRequest,
) -> Result<shapes::DeleteLogStreamResponse, Refusal> {
    let group = Arc::clone(&group(cx, &request.log_group_name)?.name);
    let key = (group, Arc::from(request.log_stream_name));
    if !put::remove_stream(cx, &key) {
        return Err(no_stream());
    }
    Ok(shapes::DeleteLogStreamResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeLogStreamsRequest,
) -> Result<shapes::DescribeLogStreamsResponse, Refusal> {
    let group = named_group(cx, request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    let by_time = request.order_by == Some(shapes::OrderBy::LastEventTime);
    if by_time && request.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let last_event = |row: &LogStream| row.events.back().map_or(0, |event| event.timestamp);
    let mut found: Vec<&LogStream> =
        cx.logs.streams_of(&group).filter(|row| row.name.starts_with(prefix.as_str())).collect();
    if by_time {
        // By name among those of one moment: the sort is stable.
        found.sort_by_key(|row| last_event(row));
    }
    if request.descending == Some(true) {
        found.reverse();
    }
    let key = |row: &&LogStream| match by_time {
        true => format!("{:020}/{}", last_event(row), row.name),
        false => row.name.to_string(),
    };
    let size = size(request.limit, 50);
    let page = page(found, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    let log_streams = page.items.into_iter().map(|row| shown(cx, row)).collect();
    Ok(shapes::DescribeLogStreamsResponse { log_streams: Some(log_streams), next_token: page.next })
}

fn shown(cx: &Engine, row: &LogStream) -> shapes::LogStream {
    shapes::LogStream {
        log_stream_name: Some(row.name.to_string()),
        creation_time: Some(row.created.as_millis()),
        first_event_timestamp: row.events.front().map(|event| event.timestamp),
        last_event_timestamp: row.events.back().map(|event| event.timestamp),
        last_ingestion_time: row.last_ingested.map(|time| time.as_millis()),
        upload_sequence_token: row.last_ingested.map(|_| put::sequence_token(row)),
        arn: Some(cx.arn("logs", format_args!("log-group:{}:log-stream:{}", row.group, row.name))),
        // The service reports zero for streams since 2019 (API reference, LogStream).
        stored_bytes: Some(0),
    }
}
