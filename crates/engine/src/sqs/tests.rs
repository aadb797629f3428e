//! The room from outside: calls and time in, answers out.

use std::collections::BTreeMap;

use capstan_model::{Span, Time};
use capstan_shapes::{Blob, sqs as shapes};
use shapes::QueueAttributeName as Name;

use super::{long_poll, may_send};
use crate::testing::{ok, refused};
use crate::{Config, Engine, Input};

const START: Time = Time::from_secs(1_700_000_000);

fn engine() -> Engine {
    Engine::new(Config::new(1), START)
}

fn pass(engine: &mut Engine, seconds: i64) {
    let now = engine.now() + Span::from_secs(seconds);
    let _ = engine.step(now, Input::Time);
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn create_request(name: &str, attributes: &[(&str, &str)]) -> shapes::CreateQueueRequest {
    let attributes = Some(texts(attributes)).filter(|map| !map.is_empty());
    shapes::CreateQueueRequest { queue_name: name.to_owned(), attributes, tags: None }
}

fn create(engine: &mut Engine, name: &str, attributes: &[(&str, &str)]) -> String {
    ok(engine, create_request(name, attributes)).queue_url.expect("a URL")
}

fn send_request(url: &str, body: &str) -> shapes::SendMessageRequest {
    shapes::SendMessageRequest {
        queue_url: url.to_owned(),
        message_body: body.to_owned(),
        ..Default::default()
    }
}

fn send(engine: &mut Engine, url: &str, body: &str) {
    ok(engine, send_request(url, body));
}

fn receive_request(url: &str, max: i32) -> shapes::ReceiveMessageRequest {
    shapes::ReceiveMessageRequest {
        queue_url: url.to_owned(),
        max_number_of_messages: Some(max),
        message_system_attribute_names: Some(vec![shapes::MessageSystemAttributeName::All]),
        message_attribute_names: Some(vec!["All".to_owned()]),
        ..Default::default()
    }
}

fn receive(engine: &mut Engine, url: &str) -> Vec<shapes::Message> {
    ok(engine, receive_request(url, 10)).messages.unwrap_or_default()
}

fn bodies(messages: &[shapes::Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.body.as_deref()).collect()
}

fn handle(message: &shapes::Message) -> String {
    message.receipt_handle.clone().expect("a handle")
}

/// Visible, in flight, delayed.
fn counts(engine: &mut Engine, url: &str) -> [String; 3] {
    let request = shapes::GetQueueAttributesRequest {
        queue_url: url.to_owned(),
        attribute_names: Some(vec![Name::All]),
    };
    let attributes = ok(engine, request).attributes.expect("attributes");
    ["", "NotVisible", "Delayed"]
        .map(|which| attributes[&format!("ApproximateNumberOfMessages{which}")].clone())
}

#[test]
fn a_message_is_hidden_shown_again_and_deleted() {
    let engine = &mut engine();
    let url = create(engine, "q", &[]);
    assert_eq!(url, "http://127.0.0.1:4566/000000000000/q");
    send(engine, &url, "one");
    pass(engine, 1);
    send(engine, &url, "two");
    let first = receive(engine, &url);
    assert_eq!(bodies(&first), ["one", "two"]);
    assert_eq!(counts(engine, &url), ["0", "2", "0"]);
    assert!(receive(engine, &url).is_empty());
    let delete = |handle: &str| shapes::DeleteMessageRequest {
        queue_url: url.clone(),
        receipt_handle: handle.to_owned(),
    };
    ok(engine, delete(&handle(&first[0])));
    // Deleting what is gone is no error.
    ok(engine, delete(&handle(&first[0])));
    pass(engine, 30);
    let second = receive(engine, &url);
    assert_eq!(bodies(&second), ["two"]);
    let attributes = second[0].attributes.as_ref().expect("attributes");
    assert_eq!(attributes["ApproximateReceiveCount"], "2");
    assert_eq!(attributes["SentTimestamp"], "1700000001000");
    assert_eq!(attributes["ApproximateFirstReceiveTimestamp"], "1700000001000");
    assert_eq!(attributes["SenderId"], "000000000000");
    // The handle of the receive before does nothing any more.
    ok(engine, delete(&handle(&first[1])));
    assert_eq!(counts(engine, &url), ["0", "1", "0"]);
    ok(engine, delete(&handle(&second[0])));
    assert_eq!(counts(engine, &url), ["0", "0", "0"]);
    assert_eq!(engine.sqs().stored_bytes, 0);
    refused(engine, delete("nonsense"), "ReceiptHandleIsInvalid", "nonsense");
    let other = create(engine, "other", &[]);
    let elsewhere = shapes::DeleteMessageRequest { queue_url: other, receipt_handle: handle(&second[0]) };
    refused(engine, elsewhere, "ReceiptHandleIsInvalid", "not a valid receipt handle");
}

#[test]
fn visibility_can_be_changed() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("VisibilityTimeout", "10")]);
    send(engine, &url, "one");
    let message = receive(engine, &url).remove(0);
    let change = |seconds: i32| shapes::ChangeMessageVisibilityRequest {
        queue_url: url.clone(),
        receipt_handle: handle(&message),
        visibility_timeout: seconds,
    };
    ok(engine, change(100));
    pass(engine, 50);
    assert!(receive(engine, &url).is_empty());
    refused(engine, change(43_200), "InvalidParameterValue", "beyond the limit");
    refused(engine, change(43_201), "InvalidParameterValue", "between 0 and 43200");
    ok(engine, change(0));
    refused(engine, change(10), "AWS.SimpleQueueService.MessageNotInflight", "not available");
    let request = shapes::ReceiveMessageRequest { visibility_timeout: Some(0), ..receive_request(&url, 10) };
    assert_eq!(ok(engine, request).messages.map_or(0, |messages| messages.len()), 1);
    assert_eq!(receive(engine, &url).len(), 1);
}

#[test]
fn delays_and_retention() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("DelaySeconds", "5"), ("MessageRetentionPeriod", "60")]);
    send(engine, &url, "late");
    ok(engine, shapes::SendMessageRequest { delay_seconds: Some(0), ..send_request(&url, "now") });
    assert_eq!(counts(engine, &url), ["1", "0", "1"]);
    assert_eq!(bodies(&receive(engine, &url)), ["now"]);
    pass(engine, 5);
    assert_eq!(bodies(&receive(engine, &url)), ["late"]);
    pass(engine, 56);
    assert_eq!(counts(engine, &url), ["0", "0", "0"]);
    send(engine, &url, "again");
    // Long enough that the queue is not active any more either.
    pass(engine, 7 * 3600);
    assert_eq!((engine.sqs().stored_bytes, engine.sqs().next_due()), (0, None));
}

#[test]
fn what_is_received_too_often_goes_to_the_dead_letter_queue() {
    let engine = &mut engine();
    let dead = create(engine, "dead", &[]);
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"2"}}"#, arn("dead"));
    let url = create(engine, "q", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "1")]);
    send(engine, &url, "poison");
    for _ in 0..2 {
        assert_eq!(receive(engine, &url).len(), 1);
        pass(engine, 1);
    }
    assert!(receive(engine, &url).is_empty());
    assert_eq!(counts(engine, &url), ["0", "0", "0"]);
    let found = receive(engine, &dead).remove(0);
    let attributes = found.attributes.expect("attributes");
    assert_eq!(attributes["DeadLetterQueueSourceArn"], arn("q"));
    assert_eq!(attributes["ApproximateReceiveCount"], "3");
    assert_eq!(attributes["SentTimestamp"], "1700000000000");
    let sources = shapes::ListDeadLetterSourceQueuesRequest { queue_url: dead.clone(), ..Default::default() };
    assert_eq!(ok(engine, sources).queue_urls, [url.as_str()]);
    let set = |url: &str, name: &str, value: &str| shapes::SetQueueAttributesRequest {
        queue_url: url.to_owned(),
        attributes: texts(&[(name, value)]),
    };
    ok(engine, set(&dead, "RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#));
    refused(engine, set(&url, "RedrivePolicy", &policy), "InvalidParameterValue", "does not let");
    let by_queue = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#, arn("q"));
    ok(engine, set(&dead, "RedriveAllowPolicy", &by_queue));
    ok(engine, set(&url, "RedrivePolicy", &policy));
    let cases = [
        ("{", "not a valid JSON"),
        ("{}", "deadLetterTargetArn"),
        (r#"{"deadLetterTargetArn":"x"}"#, "maxReceiveCount"),
        (r#"{"deadLetterTargetArn":"x","maxReceiveCount":1001}"#, "between 1 and 1000"),
        (r#"{"deadLetterTargetArn":"x","maxReceiveCount":1}"#, "not the ARN"),
        (
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:no","maxReceiveCount":1}"#,
            "does not exist",
        ),
    ];
    for (text, message) in cases {
        refused(engine, set(&url, "RedrivePolicy", text), "InvalidParameterValue", message);
    }
    ok(engine, set(&url, "RedrivePolicy", ""));
}

#[test]
fn a_queue_is_made_once() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("VisibilityTimeout", "10")]);
    assert_eq!(create(engine, "q", &[]), url);
    assert_eq!(create(engine, "q", &[("VisibilityTimeout", "10"), ("DelaySeconds", "0")]), url);
    refused(
        engine,
        create_request("q", &[("VisibilityTimeout", "11")]),
        "QueueAlreadyExists",
        "a different value for attribute VisibilityTimeout",
    );
    let delete = || shapes::DeleteQueueRequest { queue_url: url.clone() };
    ok(engine, delete());
    refused(engine, delete(), "AWS.SimpleQueueService.NonExistentQueue", "does not exist");
    let again = create_request("q", &[]);
    refused(engine, again, "AWS.SimpleQueueService.QueueDeletedRecently", "wait 60 seconds");
    pass(engine, 60);
    create(engine, "q", &[]);
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 9] = [
        ("", &[], "InvalidParameterValue", "alphanumeric"),
        ("a b", &[], "InvalidParameterValue", "alphanumeric"),
        ("a.fifo", &[], "AWS.SimpleQueueService.UnsupportedOperation", "FIFO"),
        ("a", &[("FifoQueue", "true")], "AWS.SimpleQueueService.UnsupportedOperation", "FIFO"),
        ("a", &[("DelaySeconds", "901")], "InvalidAttributeValue", "DelaySeconds"),
        ("a", &[("MaximumMessageSize", "1")], "InvalidAttributeValue", "MaximumMessageSize"),
        ("a", &[("VisibilityTimeout", "x")], "InvalidAttributeValue", "VisibilityTimeout"),
        ("a", &[("Policy", "{")], "InvalidAttributeValue", "Policy"),
        ("a", &[("QueueArn", "x")], "InvalidAttributeName", "QueueArn"),
    ];
    for (name, attributes, code, message) in cases {
        refused(engine, create_request(name, attributes), code, message);
    }
}

#[test]
fn purging() {
    let engine = &mut engine();
    let url = create(engine, "q", &[]);
    send(engine, &url, "one");
    let purge = || shapes::PurgeQueueRequest { queue_url: url.clone() };
    ok(engine, purge());
    assert_eq!(counts(engine, &url), ["0", "0", "0"]);
    refused(engine, purge(), "AWS.SimpleQueueService.PurgeQueueInProgress", "every 60 seconds");
    pass(engine, 60);
    ok(engine, purge());
}

#[test]
fn messages_that_are_refused() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("MaximumMessageSize", "1024")]);
    let with = |name: &str, data_type: &str, text: Option<&str>, blob: Option<&[u8]>| {
        let value = shapes::MessageAttributeValue {
            data_type: data_type.to_owned(),
            string_value: text.map(str::to_owned),
            binary_value: blob.map(|bytes| Blob(bytes.to_vec().into())),
            ..Default::default()
        };
        let attributes = BTreeMap::from([(name.to_owned(), value)]);
        shapes::SendMessageRequest { message_attributes: Some(attributes), ..send_request(&url, "x") }
    };
    ok(engine, with("a", "Number.float", Some("1.5"), None));
    ok(engine, with("a", "Binary", None, Some(&[0])));
    let cases = [
        (send_request(&url, ""), "MissingParameter", "MessageBody"),
        (send_request(&url, "a\u{1}"), "InvalidMessageContents", "#x1"),
        (send_request(&url, &"x".repeat(1025)), "InvalidParameterValue", "shorter than 1024 bytes"),
        (
            shapes::SendMessageRequest { delay_seconds: Some(901), ..send_request(&url, "x") },
            "InvalidParameterValue",
            "between 0 and 900",
        ),
        (with("", "String", Some("x"), None), "InvalidParameterValue", "name"),
        (with("aws.x", "String", Some("x"), None), "InvalidParameterValue", "name"),
        (with("a", "Text", Some("x"), None), "InvalidParameterValue", "supported type prefixes"),
        (with("a", "String", None, None), "InvalidParameterValue", "non-empty value of type 'String'"),
        (with("a", "Number", Some("x"), None), "InvalidParameterValue", "to a number"),
        (with("a", "Binary", Some("x"), None), "InvalidParameterValue", "non-empty value of type 'Binary'"),
        (send_request("http://h/000000000000/no", "x"), "AWS.SimpleQueueService.NonExistentQueue", "exist"),
        (send_request("http://h/1/q", "x"), "AWS.SimpleQueueService.NonExistentQueue", "exist"),
        (send_request("q", "x"), "InvalidAddress", "/ACCOUNT/NAME"),
    ];
    for (request, code, message) in cases {
        refused(engine, request, code, message);
    }
}

#[test]
fn attributes_of_messages_are_chosen() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("VisibilityTimeout", "0")]);
    let text = |value: &str| shapes::MessageAttributeValue {
        data_type: "String".to_owned(),
        string_value: Some(value.to_owned()),
        ..Default::default()
    };
    let attributes = ["a", "b.x", "b.y"].map(|name| (name.to_owned(), text(name)));
    let request =
        shapes::SendMessageRequest { message_attributes: Some(attributes.into()), ..send_request(&url, "x") };
    let sent = ok(engine, request);
    let mut check = |wanted: &[&str], expect: &[&str]| {
        let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        let request = shapes::ReceiveMessageRequest {
            message_attribute_names: Some(wanted),
            ..receive_request(&url, 1)
        };
        let message = ok(engine, request).messages.expect("messages").remove(0);
        let found = message.message_attributes.unwrap_or_default();
        assert_eq!(found.keys().collect::<Vec<_>>(), expect);
        let whole = message.md5_of_message_attributes == sent.md5_of_message_attributes;
        assert_eq!(whole, expect.len() == 3, "{expect:?}");
    };
    check(&[], &[]);
    check(&["All"], &["a", "b.x", "b.y"]);
    check(&[".*"], &["a", "b.x", "b.y"]);
    check(&["b.*"], &["b.x", "b.y"]);
    check(&["a", "none"], &["a"]);
}

#[test]
fn batches() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("MaximumMessageSize", "1024")]);
    let entry = |id: &str, body: &str| shapes::SendMessageBatchRequestEntry {
        id: id.to_owned(),
        message_body: body.to_owned(),
        ..Default::default()
    };
    let request = |entries: Vec<shapes::SendMessageBatchRequestEntry>| shapes::SendMessageBatchRequest {
        queue_url: url.clone(),
        entries,
    };
    let sent = ok(engine, request(vec![entry("a", "one"), entry("b", &"x".repeat(2000)), entry("c", "two")]));
    assert_eq!(sent.successful.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!((sent.failed[0].id.as_str(), sent.failed[0].code.as_str()), ("b", "InvalidParameterValue"));
    let received = receive(engine, &url);
    assert_eq!(bodies(&received), ["one", "two"]);
    let deleted = ok(
        engine,
        shapes::DeleteMessageBatchRequest {
            queue_url: url.clone(),
            entries: vec![
                shapes::DeleteMessageBatchRequestEntry {
                    id: "a".into(),
                    receipt_handle: handle(&received[0]),
                },
                shapes::DeleteMessageBatchRequestEntry { id: "b".into(), receipt_handle: "x".into() },
            ],
        },
    );
    assert_eq!((deleted.successful.len(), deleted.failed[0].code.as_str()), (1, "ReceiptHandleIsInvalid"));
    let changed = ok(
        engine,
        shapes::ChangeMessageVisibilityBatchRequest {
            queue_url: url.clone(),
            entries: vec![shapes::ChangeMessageVisibilityBatchRequestEntry {
                id: "a".into(),
                receipt_handle: handle(&received[1]),
                visibility_timeout: Some(0),
            }],
        },
    );
    assert_eq!((changed.successful.len(), changed.failed.len()), (1, 0));
    assert_eq!(bodies(&receive(engine, &url)), ["two"]);
    let many = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    let big = (0..10).map(|n| entry(&n.to_string(), &"x".repeat(110_000))).collect();
    let cases = [
        (vec![], "EmptyBatchRequest"),
        (many, "TooManyEntriesInBatchRequest"),
        (vec![entry("a", "x"), entry("a", "x")], "BatchEntryIdsNotDistinct"),
        (vec![entry("a b", "x")], "InvalidBatchEntryId"),
        (big, "BatchRequestTooLong"),
    ];
    for (entries, code) in cases {
        refused(engine, request(entries), &format!("AWS.SimpleQueueService.{code}"), "");
    }
}

#[test]
fn who_may_send_and_who_waits() {
    let engine = &mut engine();
    let url = create(engine, "q", &[("ReceiveMessageWaitTimeSeconds", "7")]);
    let arn = "arn:aws:sqs:us-east-1:000000000000:q";
    let rule_arn = "arn:aws:events:us-east-1:000000000000:rule/r";
    let rule = Some(rule_arn);
    assert!(!may_send(engine, "events.amazonaws.com", arn, rule));
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":"events.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"{arn}","Condition":{{"ArnEquals":{{"aws:SourceArn":"{}"}}}}}}]}}"#,
        rule_arn
    );
    let attributes = texts(&[("Policy", &policy)]);
    ok(engine, shapes::SetQueueAttributesRequest { queue_url: url.clone(), attributes });
    assert!(may_send(engine, "events.amazonaws.com", arn, rule));
    assert!(!may_send(engine, "events.amazonaws.com", arn, None));
    assert!(!may_send(engine, "events.amazonaws.com", "arn:aws:sqs:us-east-1:000000000000:none", rule));

    let label = |actions: &[&str]| shapes::AddPermissionRequest {
        queue_url: url.clone(),
        label: "l".to_owned(),
        aws_account_ids: vec!["123456789012".to_owned()],
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
    };
    refused(engine, label(&["Fly"]), "InvalidParameterValue", "SQS:Fly");
    ok(engine, label(&["SendMessage"]));
    refused(engine, label(&["SendMessage"]), "InvalidParameterValue", "Already exists");
    let remove = || shapes::RemovePermissionRequest { queue_url: url.clone(), label: "l".to_owned() };
    ok(engine, remove());
    refused(engine, remove(), "InvalidParameterValue", "find label");
    assert!(may_send(engine, "events.amazonaws.com", arn, rule));

    let waits = |engine: &Engine, seconds: Option<i32>| {
        let request =
            shapes::ReceiveMessageRequest { wait_time_seconds: seconds, ..receive_request(&url, 1) };
        long_poll(engine, &request.into()).map(|poll| poll.wait.as_secs())
    };
    assert_eq!(
        [waits(engine, None), waits(engine, Some(0)), waits(engine, Some(20))],
        [Some(7), None, Some(20)]
    );
    assert_eq!(engine.sqs().ready_at("q"), None);
    ok(engine, shapes::SendMessageRequest { delay_seconds: Some(3), ..send_request(&url, "x") });
    assert_eq!(engine.sqs().ready_at("q"), Some(START + Span::from_secs(3)));
}

/// The maxima of a metric of the queue `work`, minute by minute.
fn metric(engine: &mut Engine, name: &str) -> Vec<f64> {
    use capstan_shapes::cloudwatch as cw;
    let request = cw::GetMetricStatisticsRequest {
        namespace: "AWS/SQS".to_owned(),
        metric_name: name.to_owned(),
        dimensions: Some(vec![cw::Dimension { name: "QueueName".to_owned(), value: "work".to_owned() }]),
        start_time: START.floor(Span::from_mins(1)),
        end_time: START + Span::from_hours(12),
        period: 60,
        statistics: Some(vec![cw::Statistic::Maximum]),
        ..Default::default()
    };
    let mut points = ok(engine, request).datapoints.unwrap_or_default();
    points.sort_by_key(|point| point.timestamp);
    points.into_iter().filter_map(|point| point.maximum).collect()
}

#[test]
fn an_active_queue_is_measured_each_minute() {
    let mut engine = engine();
    let url = create(&mut engine, "work", &[("VisibilityTimeout", "90")]);
    for body in ["a", "bb", "ccc"] {
        send(&mut engine, &url, body);
    }
    pass(&mut engine, 60);
    let received = receive(&mut engine, &url);
    assert_eq!(received.len(), 3);
    receive(&mut engine, &url);
    ok(
        &mut engine,
        shapes::DeleteMessageRequest { queue_url: url.clone(), receipt_handle: handle(&received[0]) },
    );
    pass(&mut engine, 120);
    for (name, values) in [
        ("ApproximateNumberOfMessagesVisible", [3.0, 0.0, 2.0]),
        ("ApproximateNumberOfMessagesNotVisible", [0.0, 2.0, 0.0]),
        ("ApproximateNumberOfMessagesDelayed", [0.0; 3]),
        ("ApproximateAgeOfOldestMessage", [40.0, 100.0, 160.0]),
        ("NumberOfMessagesSent", [3.0, 0.0, 0.0]),
        ("NumberOfMessagesReceived", [0.0, 3.0, 0.0]),
        ("NumberOfMessagesDeleted", [0.0, 1.0, 0.0]),
        ("NumberOfEmptyReceives", [0.0, 1.0, 0.0]),
    ] {
        assert_eq!(metric(&mut engine, name), values, "{name}");
    }
    assert_eq!(metric(&mut engine, "SentMessageSize"), [3.0]);
    // Six hours after the latest call it falls silent, until the next one.
    pass(&mut engine, 8 * 3_600);
    let silent = metric(&mut engine, "NumberOfMessagesSent").len();
    assert_eq!(silent, 1 + 1 + 6 * 60);
    send(&mut engine, &url, "d");
    pass(&mut engine, 60);
    assert_eq!(metric(&mut engine, "NumberOfMessagesSent").len(), silent + 1);
}
