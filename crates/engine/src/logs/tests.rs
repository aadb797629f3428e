//! The room from outside: calls and time in, answers out.

use capstan_model::{Span, Time};
use capstan_shapes::logs as shapes;

use super::{STORED_BYTES_MAX, may_write};
use crate::testing::{ok, pass, refused};
use crate::{Config, Engine};

const START: Time = Time::from_secs(1_700_000_000);
const NOW: i64 = START.as_millis();
const HOUR: i64 = 3_600_000;

fn engine() -> Engine {
    let mut engine = Engine::new(Config::new(1), START);
    create(&mut engine, "g", &["s"]);
    engine
}

fn create(engine: &mut Engine, group: &str, streams: &[&str]) {
    if engine.logs().groups().get(&group.into()).is_none() {
        let log_group_name = group.to_owned();
        ok(engine, shapes::CreateLogGroupRequest { log_group_name, ..Default::default() });
    }
    for stream in streams {
        let request = shapes::CreateLogStreamRequest {
            log_group_name: group.to_owned(),
            log_stream_name: (*stream).to_owned(),
        };
        ok(engine, request);
    }
}

fn events(events: &[(i64, &str)]) -> Vec<shapes::InputLogEvent> {
    let event = |(timestamp, message): &(i64, &str)| shapes::InputLogEvent {
        timestamp: *timestamp,
        message: (*message).to_owned(),
    };
    events.iter().map(event).collect()
}

fn put_request(stream: &str, log_events: Vec<shapes::InputLogEvent>) -> shapes::PutLogEventsRequest {
    shapes::PutLogEventsRequest {
        log_group_name: "g".to_owned(),
        log_stream_name: stream.to_owned(),
        log_events,
        ..Default::default()
    }
}

fn put(engine: &mut Engine, stream: &str, list: &[(i64, &str)]) -> shapes::PutLogEventsResponse {
    ok(engine, put_request(stream, events(list)))
}

fn get_request() -> shapes::GetLogEventsRequest {
    shapes::GetLogEventsRequest {
        log_group_name: Some("g".to_owned()),
        log_stream_name: "s".to_owned(),
        ..Default::default()
    }
}

fn filter_request(pattern: &str) -> shapes::FilterLogEventsRequest {
    shapes::FilterLogEventsRequest {
        log_group_name: Some("g".to_owned()),
        filter_pattern: Some(pattern.to_owned()),
        ..Default::default()
    }
}

fn got(response: &shapes::GetLogEventsResponse) -> Vec<&str> {
    let events = response.events.as_deref().unwrap_or_default();
    events.iter().filter_map(|event| event.message.as_deref()).collect()
}

fn filtered(engine: &mut Engine, request: shapes::FilterLogEventsRequest) -> (Vec<String>, Option<String>) {
    let response = ok(engine, request);
    let messages = response.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
    (messages.collect(), response.next_token)
}

#[test]
fn batches_that_are_refused() {
    let engine = &mut engine();
    let big = "x".repeat(1_048_576 - 25);
    let half = "x".repeat(600_000);
    let cases: [(&[(i64, &str)], &str); 4] = [
        (&[(NOW, "b"), (NOW - 1, "a")], "chronological order"),
        (&[(NOW - 25 * HOUR, "a"), (NOW, "b")], "cannot span more than 24 hours"),
        (&[(NOW, &big)], "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        (&[(NOW, &half), (NOW, &half)], "Upload too large: 1200052 bytes exceeds limit of 1048576"),
    ];
    for (list, message) in cases {
        refused(engine, put_request("s", events(list)), "InvalidParameterException", message);
    }
    refused(engine, put_request("none", events(&[(NOW, "a")])), "ResourceNotFoundException", "stream");
    let elsewhere =
        shapes::PutLogEventsRequest { log_group_name: "none".to_owned(), ..put_request("s", Vec::new()) };
    refused(engine, elsewhere, "ResourceNotFoundException", "group");
}

#[test]
fn events_out_of_time_are_left_out() {
    let engine = &mut engine();
    let check = |engine: &mut Engine, list: &[i64], expect: (Option<i32>, Option<i32>, Option<i32>)| {
        let list: Vec<(i64, &str)> = list.iter().map(|hours| (NOW + hours * HOUR, "x")).collect();
        let info = put(engine, "s", &list).rejected_log_events_info.unwrap_or_default();
        let found = (
            info.too_old_log_event_end_index,
            info.expired_log_event_end_index,
            info.too_new_log_event_start_index,
        );
        assert_eq!(found, expect, "{list:?}");
    };
    check(engine, &[0], (None, None, None));
    check(engine, &[-1, 0, 2, 3], (None, None, Some(3)));
    check(engine, &[-14 * 24 - 2, -14 * 24 - 1, -14 * 24], (Some(2), None, None));
    check(engine, &[3, 4], (None, None, Some(0)));
    let request = shapes::PutRetentionPolicyRequest { log_group_name: "g".to_owned(), retention_in_days: 1 };
    ok(engine, request);
    check(engine, &[-25, -24, -1], (None, Some(1), None));
    check(engine, &[-14 * 24 - 1], (Some(1), None, None));
}

#[test]
fn retention_takes_events_away() {
    let engine = &mut engine();
    put(engine, "s", &[(NOW - HOUR, "old"), (NOW, "new")]);
    for days in [0, 2, 4000] {
        let request =
            shapes::PutRetentionPolicyRequest { log_group_name: "g".to_owned(), retention_in_days: days };
        refused(engine, request, "InvalidParameterException", "enum value set: [1, 3, 5");
    }
    let request = shapes::PutRetentionPolicyRequest { log_group_name: "g".to_owned(), retention_in_days: 1 };
    ok(engine, request);
    assert_eq!(got(&ok(engine, get_request())), ["old", "new"]);
    pass(engine, Span::from_hours(23) + Span::from_secs(1));
    assert_eq!(got(&ok(engine, get_request())), ["new"]);
    assert_eq!(filtered(engine, filter_request("")).0, ["new"]);
    pass(engine, Span::from_hours(2));
    assert_eq!(engine.logs().stored_bytes, 0);
    assert!(got(&ok(engine, get_request())).is_empty());
    ok(engine, shapes::DeleteRetentionPolicyRequest { log_group_name: "g".to_owned() });
    assert_eq!(engine.logs().next_due(), None);
}

#[test]
fn the_oldest_events_make_room() {
    let engine = &mut engine();
    create(engine, "other", &["t"]);
    let message = "x".repeat(1_000_000);
    let count = i64::try_from(STORED_BYTES_MAX / 1_000_000).unwrap() + 40;
    for n in 0..count {
        let group = if n % 2 == 0 { ("g", "s") } else { ("other", "t") };
        let request = shapes::PutLogEventsRequest {
            log_group_name: group.0.to_owned(),
            log_stream_name: group.1.to_owned(),
            log_events: events(&[(NOW + n, &message)]),
            ..Default::default()
        };
        ok(engine, request);
    }
    let logs = engine.logs();
    assert!(logs.stored_bytes <= STORED_BYTES_MAX, "{}", logs.stored_bytes);
    assert!(logs.stored_bytes > STORED_BYTES_MAX - (20 << 20), "{}", logs.stored_bytes);
    let bytes: u64 = logs.streams().iter().map(|stream| stream.bytes).sum();
    assert_eq!(bytes, logs.stored_bytes);
    for stream in logs.streams().iter() {
        let last = stream.events.back().map(|event| event.timestamp);
        assert!(last >= Some(NOW + count - 2), "{stream:?}");
    }
}

#[test]
fn one_stream_by_pages() {
    let engine = &mut engine();
    let messages: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    let list: Vec<(i64, &str)> =
        messages.iter().zip(0..).map(|(message, n)| (NOW - 100 + n / 2, message.as_str())).collect();
    put(engine, "s", &list);
    let page = |engine: &mut Engine, token: Option<String>, from_head: bool| {
        let start_from_head = Some(from_head);
        let request = shapes::GetLogEventsRequest {
            next_token: token,
            limit: Some(4),
            start_from_head,
            ..get_request()
        };
        ok(engine, request)
    };
    // The newest at first; backward from there, then forward again.
    let newest = page(engine, None, false);
    assert_eq!(got(&newest), ["m6", "m7", "m8", "m9"]);
    let before = page(engine, newest.next_backward_token.clone(), false);
    assert_eq!(got(&before), ["m2", "m3", "m4", "m5"]);
    let oldest = page(engine, before.next_backward_token.clone(), false);
    assert_eq!(got(&oldest), ["m0", "m1"]);
    let nothing = page(engine, oldest.next_backward_token.clone(), false);
    assert_eq!(nothing.next_backward_token, oldest.next_backward_token);
    assert!(got(&nothing).is_empty());
    let again = page(engine, nothing.next_forward_token, true);
    assert_eq!(got(&again), ["m0", "m1", "m2", "m3"]);
    // From the head, to the end, and on when something new comes.
    let mut token = None;
    let mut seen = Vec::new();
    loop {
        let read = page(engine, token.clone(), true);
        seen.extend(got(&read).into_iter().map(str::to_owned));
        if read.next_forward_token == token {
            break;
        }
        token = read.next_forward_token;
    }
    assert_eq!(seen, messages);
    put(engine, "s", &[(NOW, "late")]);
    let read = page(engine, token, true);
    assert_eq!(got(&read), ["late"]);
    // Back from the end: what has just been read.
    let end = page(engine, read.next_forward_token, true);
    assert!(got(&end).is_empty());
    let back = page(engine, end.next_backward_token, false);
    assert_eq!(got(&back), ["m7", "m8", "m9", "late"]);
    // The start is inclusive, the end is not.
    let window =
        shapes::GetLogEventsRequest { start_time: Some(NOW - 99), end_time: Some(NOW - 97), ..get_request() };
    assert_eq!(got(&ok(engine, window)), ["m2", "m3", "m4", "m5"]);
}

#[test]
fn tokens_that_are_no_tokens() {
    let engine = &mut engine();
    for token in
        ["", "x", "f/", "f/1", "f/1/2", "b/ü/1", "q/1/2", "f/0000000000000000000000000000000000000001/zz"]
    {
        let next_token = Some(token.to_owned());
        let request = shapes::GetLogEventsRequest { next_token: next_token.clone(), ..get_request() };
        refused(engine, request, "InvalidParameterException", "nextToken is invalid");
        let request = shapes::FilterLogEventsRequest { next_token, ..filter_request("") };
        refused(engine, request, "InvalidParameterException", "nextToken is invalid");
    }
    let empty = ok(engine, get_request());
    pass(engine, Span::from_hours(25));
    let request = shapes::GetLogEventsRequest { next_token: empty.next_forward_token, ..get_request() };
    refused(engine, request, "InvalidParameterException", "expired");
}

#[test]
fn an_empty_stream_can_be_followed() {
    let engine = &mut engine();
    let empty = ok(engine, get_request());
    put(engine, "s", &[(NOW, "first")]);
    let request = shapes::GetLogEventsRequest { next_token: empty.next_forward_token, ..get_request() };
    assert_eq!(got(&ok(engine, request)), ["first"]);
}

#[test]
fn a_group_by_pattern() {
    let engine = &mut engine();
    create(engine, "g", &["s2", "t"]);
    put(engine, "s", &[(NOW, "a ERROR"), (NOW + 2, "c ERROR"), (NOW + 4, "e")]);
    put(engine, "s2", &[(NOW + 1, "b ERROR"), (NOW + 3, "d")]);
    put(engine, "t", &[(NOW + 2, "f ERROR")]);
    let all = ["a ERROR", "b ERROR", "c ERROR", "f ERROR", "d", "e"];
    assert_eq!(filtered(engine, filter_request("")).0, all);
    assert_eq!(filtered(engine, filter_request("ERROR")).0, all[..4]);
    let with = |change: &dyn Fn(&mut shapes::FilterLogEventsRequest)| {
        let mut request = filter_request("");
        change(&mut request);
        request
    };
    let by_prefix = with(&|request| request.log_stream_name_prefix = Some("s".to_owned()));
    assert_eq!(filtered(engine, by_prefix).0, ["a ERROR", "b ERROR", "c ERROR", "d", "e"]);
    let by_name = with(&|request| request.log_stream_names = Some(vec!["t".to_owned(), "s2".to_owned()]));
    assert_eq!(filtered(engine, by_name).0, ["b ERROR", "f ERROR", "d"]);
    // Both ends are inclusive.
    let window = with(&|request| (request.start_time, request.end_time) = (Some(NOW + 1), Some(NOW + 2)));
    assert_eq!(filtered(engine, window).0, ["b ERROR", "c ERROR", "f ERROR"]);
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request =
            shapes::FilterLogEventsRequest { limit: Some(2), next_token: token, ..filter_request("") };
        let (page, next) = filtered(engine, request);
        assert!(page.len() <= 2);
        seen.extend(page);
        token = next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let both = with(&|request| {
        request.log_stream_names = Some(vec!["t".to_owned()]);
        request.log_stream_name_prefix = Some("t".to_owned());
    });
    refused(engine, both, "InvalidParameterException", "cannot be given both");
    refused(engine, filter_request("{ $.a"), "InvalidParameterException", "Invalid filter pattern");
    let twice = with(&|request| request.log_group_identifier = Some("g".to_owned()));
    refused(engine, twice, "InvalidParameterException", "not both");
    let by_arn = shapes::FilterLogEventsRequest {
        log_group_name: None,
        log_group_identifier: Some("arn:aws:logs:us-east-1:000000000000:log-group:g:*".to_owned()),
        ..filter_request("ERROR")
    };
    assert_eq!(filtered(engine, by_arn).0.len(), 4);
}

#[test]
fn streams_in_order() {
    let engine = &mut engine();
    create(engine, "g", &["b", "a"]);
    put(engine, "b", &[(NOW, "x")]);
    put(engine, "s", &[(NOW - 5, "x")]);
    let mut names = |request: shapes::DescribeLogStreamsRequest| {
        let request = shapes::DescribeLogStreamsRequest { log_group_name: Some("g".to_owned()), ..request };
        let streams = ok(engine, request).log_streams.unwrap_or_default();
        streams.into_iter().filter_map(|stream| stream.log_stream_name).collect::<Vec<_>>()
    };
    let request = shapes::DescribeLogStreamsRequest::default;
    let by_time =
        || shapes::DescribeLogStreamsRequest { order_by: Some(shapes::OrderBy::LastEventTime), ..request() };
    assert_eq!(names(request()), ["a", "b", "s"]);
    assert_eq!(
        names(shapes::DescribeLogStreamsRequest { descending: Some(true), ..request() }),
        ["s", "b", "a"]
    );
    assert_eq!(names(by_time()), ["a", "s", "b"]);
    let newest = shapes::DescribeLogStreamsRequest { descending: Some(true), limit: Some(1), ..by_time() };
    assert_eq!(names(newest), ["b"]);
    let request = shapes::DescribeLogStreamsRequest {
        log_group_name: Some("g".to_owned()),
        log_stream_name_prefix: Some("s".to_owned()),
        ..by_time()
    };
    refused(engine, request, "InvalidParameterException", "LastEventTime");
}

#[test]
fn what_goes_with_a_group() {
    let engine = &mut engine();
    put(engine, "s", &[(NOW, "four")]);
    create(engine, "g2", &["s"]);
    let described = ok(engine, shapes::DescribeLogGroupsRequest::default()).log_groups.unwrap_or_default();
    let shown: Vec<_> = described.iter().map(|group| (group.arn.as_deref(), group.stored_bytes)).collect();
    let arn = |name: &str| format!("arn:aws:logs:us-east-1:000000000000:log-group:{name}:*");
    assert_eq!(shown, [(Some(arn("g").as_str()), Some(30)), (Some(arn("g2").as_str()), Some(0))]);
    ok(engine, shapes::DeleteLogGroupRequest { log_group_name: "g".to_owned() });
    assert_eq!((engine.logs().streams().len(), engine.logs().stored_bytes), (1, 0));
    refused(engine, get_request(), "ResourceNotFoundException", "group");
    let guarded = shapes::CreateLogGroupRequest {
        log_group_name: "guarded".to_owned(),
        deletion_protection_enabled: Some(true),
        ..Default::default()
    };
    ok(engine, guarded);
    let delete = shapes::DeleteLogGroupRequest { log_group_name: "guarded".to_owned() };
    refused(engine, delete, "ValidationException", "protection");
}

#[test]
fn services_write_where_a_policy_lets_them() {
    let engine = &mut engine();
    create(engine, "/aws/events/spot", &[]);
    let may = |engine: &Engine, group: &str| may_write(engine, "events.amazonaws.com", group, None);
    assert!(!may(engine, "/aws/events/spot"));
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["delivery.logs.amazonaws.com","events.amazonaws.com"]},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/*:*"}]}"#;
    let put = |name: Option<&str>, resource: Option<&str>| shapes::PutResourcePolicyRequest {
        policy_name: name.map(str::to_owned),
        policy_document: Some(document.to_owned()),
        resource_arn: resource.map(str::to_owned),
        expected_revision_id: None,
    };
    ok(engine, put(Some("p"), None));
    assert!(may(engine, "/aws/events/spot"));
    assert!(!may(engine, "/other"));
    assert!(!may_write(engine, "sns.amazonaws.com", "/aws/events/spot", None));
    let bad =
        shapes::PutResourcePolicyRequest { policy_document: Some("{}".to_owned()), ..put(Some("q"), None) };
    refused(engine, bad, "InvalidParameterException", "no Statement");
    let delete =
        || shapes::DeleteResourcePolicyRequest { policy_name: Some("p".to_owned()), ..Default::default() };
    ok(engine, delete());
    refused(engine, delete(), "ResourceNotFoundException", "[p] does not exist");
    assert!(!may(engine, "/aws/events/spot"));
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/spot";
    ok(engine, put(None, Some(arn)));
    assert!(may(engine, "/aws/events/spot"));
    for n in 0..10 {
        ok(engine, put(Some(&n.to_string()), None));
    }
    refused(engine, put(Some("eleventh"), None), "LimitExceededException", "at most 10");
}
