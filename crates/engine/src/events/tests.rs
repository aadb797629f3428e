//! Rules, targets and deliveries through the one door.

use capstan_model::{Span, Time};
use capstan_shapes::events as shapes;
use capstan_shapes::{Call, Refusal, cloudwatch, ecs, logs, sqs};
use serde_json::{Value as Json, json};

use proptest::prelude::*;

use super::input::{self, Context};
use super::pattern::Pattern;
use super::{Published, publish};
use crate::schedule::Schedule;
use crate::{Caller, Config, Engine, Input};

fn engine() -> Engine {
    Engine::new(Config::new(7), Time::from_secs(1_767_225_600))
}

fn call<C: Call>(cx: &mut Engine, request: C) -> Result<C::Output, Refusal> {
    let caller = Caller::User { access_key: "test".to_owned() };
    let input = Input::Call { caller, request: Box::new(request.into()) };
    let reply = cx.step(cx.now, input).reply.expect("a call is answered")?;
    Ok(C::output(reply).expect("its own operation's response"))
}

fn ok<C: Call>(cx: &mut Engine, request: C) -> C::Output {
    call(cx, request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn refused<C: Call>(cx: &mut Engine, request: C) -> String {
    match call(cx, request) {
        Ok(_) => panic!("{} is taken", C::OPERATION.name),
        Err(refusal) => refusal.to_string(),
    }
}

fn pass(cx: &mut Engine, span: Span) {
    let _ = cx.step(cx.now + span, Input::Time);
}

fn put_rule(cx: &mut Engine, name: &str, pattern: &str) {
    let request = shapes::PutRuleRequest {
        name: name.to_owned(),
        event_pattern: Some(pattern.to_owned()),
        ..Default::default()
    };
    ok(cx, request);
}

fn target(arn: &str) -> shapes::Target {
    shapes::Target { id: "t".to_owned(), arn: arn.to_owned(), ..Default::default() }
}

fn put_target(cx: &mut Engine, rule: &str, target: shapes::Target) {
    let request =
        shapes::PutTargetsRequest { rule: rule.to_owned(), targets: vec![target], ..Default::default() };
    assert_eq!(ok(cx, request).failed_entry_count, Some(0));
}

fn put_events(cx: &mut Engine, entries: &[(&str, &str, &str)]) -> shapes::PutEventsResponse {
    let entry = |(source, detail_type, detail): &(&str, &str, &str)| shapes::PutEventsRequestEntry {
        source: Some((*source).to_owned()),
        detail_type: Some((*detail_type).to_owned()),
        detail: Some((*detail).to_owned()),
        ..Default::default()
    };
    ok(cx, shapes::PutEventsRequest { entries: entries.iter().map(entry).collect(), endpoint_id: None })
}

const GROUP: &str = "/aws/events/test";
const GROUP_ARN: &str = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/test";

fn log_group(cx: &mut Engine, allowed: bool) {
    ok(cx, logs::CreateLogGroupRequest { log_group_name: GROUP.to_owned(), ..Default::default() });
    if allowed {
        let document = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"] },
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*",
        }] });
        let request = logs::PutResourcePolicyRequest {
            policy_name: Some("events".to_owned()),
            policy_document: Some(document.to_string()),
            ..Default::default()
        };
        ok(cx, request);
    }
}

/// Messages of the group, and how many streams it has.
fn logged(cx: &mut Engine) -> (Vec<String>, usize) {
    let request =
        logs::FilterLogEventsRequest { log_group_name: Some(GROUP.to_owned()), ..Default::default() };
    let events = ok(cx, request).events.unwrap_or_default();
    let request =
        logs::DescribeLogStreamsRequest { log_group_name: Some(GROUP.to_owned()), ..Default::default() };
    let streams = ok(cx, request).log_streams.unwrap_or_default();
    for stream in &streams {
        assert_eq!(stream.log_stream_name.as_deref().map(str::len), Some(36));
    }
    (events.into_iter().filter_map(|event| event.message).collect(), streams.len())
}

/// The sum of an `AWS/Events` metric of a rule.
fn counted(cx: &mut Engine, metric: &str, rule: &str) -> f64 {
    let dimension = cloudwatch::Dimension { name: "RuleName".to_owned(), value: rule.to_owned() };
    let request = cloudwatch::GetMetricStatisticsRequest {
        namespace: "AWS/Events".to_owned(),
        metric_name: metric.to_owned(),
        dimensions: Some(vec![dimension]),
        start_time: cx.now - Span::from_hours(1),
        end_time: cx.now + Span::from_hours(1),
        period: 3_600,
        statistics: Some(vec![cloudwatch::Statistic::Sum]),
        ..Default::default()
    };
    let points = ok(cx, request).datapoints.unwrap_or_default();
    points.iter().filter_map(|point| point.sum).sum()
}

#[test]
fn an_event_of_a_service_is_logged_whole() {
    let cx = &mut engine();
    log_group(cx, true);
    put_rule(cx, "spot", r#"{"source":["aws.ec2"],"detail":{"instance-action":["terminate"]}}"#);
    put_target(cx, "spot", target(GROUP_ARN));
    let warn = |cx: &mut Engine, action: &str| {
        publish(cx, "aws.ec2", "EC2 Spot Instance Interruption Warning", |_| Published {
            resources: vec!["arn:aws:ec2:us-east-1a:instance/i-1".to_owned()],
            detail: json!({ "instance-id": "i-1", "instance-action": action }),
            time: None,
        });
    };
    warn(cx, "terminate");
    warn(cx, "stop");
    warn(cx, "terminate");
    assert_eq!(logged(cx), (vec![], 0));
    pass(cx, Span::from_secs(1));
    let (messages, streams) = logged(cx);
    assert_eq!((messages.len(), streams), (2, 2));
    let mut event: Json = serde_json::from_str(&messages[0]).unwrap_or_default();
    let id = event["id"].take();
    assert_eq!(id.as_str().map(str::len), Some(36));
    assert_eq!(
        event.to_string(),
        r#"{"version":"0","id":null,"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1a:instance/i-1"],"detail":{"instance-id":"i-1","instance-action":"terminate"}}"#
    );
    assert_eq!(counted(cx, "Invocations", "spot"), 2.0);
    assert_eq!(counted(cx, "TriggeredRules", "spot"), 2.0);
    assert_eq!(counted(cx, "FailedInvocations", "spot"), 0.0);
}

#[test]
fn events_are_made_only_when_somebody_wants_them() {
    let cx = &mut engine();
    let made = |cx: &mut Engine| {
        let mut made = false;
        publish(cx, "aws.ecs", "ECS Task State Change", |_| {
            made = true;
            Published::default()
        });
        made
    };
    assert!(!made(cx));
    put_rule(cx, "other", r#"{"source":["aws.ec2"]}"#);
    assert!(!made(cx));
    put_rule(cx, "tasks", r#"{"source":["aws.ecs"],"detail-type":["ECS Task State Change"]}"#);
    assert!(made(cx));
    ok(cx, shapes::DisableRuleRequest { name: "tasks".to_owned(), event_bus_name: None });
    assert!(!made(cx));
}

#[test]
fn a_log_group_without_a_policy_gets_nothing() {
    let cx = &mut engine();
    log_group(cx, false);
    put_rule(cx, "r", r#"{"source":["mine"]}"#);
    put_target(cx, "r", target(&format!("{GROUP_ARN}:*")));
    put_events(cx, &[("mine", "x", "{}")]);
    pass(cx, Span::from_secs(1));
    assert_eq!(logged(cx), (vec![], 0));
    assert_eq!(counted(cx, "FailedInvocations", "r"), 1.0);
    assert!(cx.events().deliveries().is_empty());
}

#[test]
fn a_transformed_event_is_logged_at_its_time() {
    let cx = &mut engine();
    log_group(cx, true);
    put_rule(cx, "r", r#"{"source":["mine"]}"#);
    let paths =
        [("at", "$.time"), ("n", "$.detail.n")].map(|(name, path)| (name.to_owned(), path.to_owned()));
    let with = |template: &str| shapes::Target {
        input_transformer: Some(shapes::InputTransformer {
            input_paths_map: Some(paths.clone().into()),
            input_template: template.to_owned(),
        }),
        ..target(GROUP_ARN)
    };
    put_target(cx, "r", with(r#"{"timestamp":<at>,"message":"n is <n>"}"#));
    put_events(cx, &[("mine", "x", r#"{"n":5}"#)]);
    pass(cx, Span::from_secs(1));
    assert_eq!(logged(cx), (vec!["n is 5".to_owned()], 1));
    put_target(cx, "r", with(r#"{"message":"n is <n>"}"#));
    put_events(cx, &[("mine", "x", r#"{"n":6}"#)]);
    pass(cx, Span::from_secs(1));
    assert_eq!(logged(cx).0.len(), 1);
    assert_eq!(counted(cx, "FailedInvocations", "r"), 1.0);
}

/// A queue that EventBridge may send to; its ARN.
fn queue(cx: &mut Engine, name: &str, allowed: bool) -> String {
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" }, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": { "ArnLike": { "aws:SourceArn": "arn:aws:events:us-east-1:000000000000:rule/*" } },
    }] });
    let attributes = allowed.then(|| [("Policy".to_owned(), policy.to_string())].into());
    let request = sqs::CreateQueueRequest { queue_name: name.to_owned(), attributes, ..Default::default() };
    ok(cx, request);
    arn
}

fn received(cx: &mut Engine, name: &str) -> Vec<sqs::Message> {
    let request = sqs::GetQueueUrlRequest { queue_name: name.to_owned(), ..Default::default() };
    let queue_url = ok(cx, request).queue_url.unwrap_or_default();
    let request = sqs::ReceiveMessageRequest {
        queue_url,
        max_number_of_messages: Some(10),
        message_attribute_names: Some(vec!["All".to_owned()]),
        ..Default::default()
    };
    ok(cx, request).messages.unwrap_or_default()
}

#[test]
fn queues_get_what_the_input_says() {
    let cx = &mut engine();
    let arn = queue(cx, "q", true);
    put_rule(cx, "r", r#"{"source":["mine"]}"#);
    let mut sends = target(&arn);
    sends.input_path = Some("$.detail".to_owned());
    put_target(cx, "r", sends);
    put_events(cx, &[("mine", "x", r#"{"n":5}"#)]);
    pass(cx, Span::from_secs(1));
    let bodies: Vec<_> = received(cx, "q").into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, [r#"{"n":5}"#]);
}

#[test]
fn what_cannot_be_delivered_is_a_dead_letter() {
    let cx = &mut engine();
    let letters = queue(cx, "letters", true);
    let closed = queue(cx, "closed", false);
    put_rule(cx, "r", r#"{"source":["mine"]}"#);
    let check = |cx: &mut Engine, arn: &str, code: &str| {
        let dead_letter_config = Some(shapes::DeadLetterConfig { arn: Some(letters.clone()) });
        put_target(cx, "r", shapes::Target { dead_letter_config, ..target(arn) });
        put_events(cx, &[("mine", "x", r#"{"n":5}"#)]);
        pass(cx, Span::from_secs(1));
        let [message] = &received(cx, "letters")[..] else { panic!("{arn}: one letter") };
        let event: Json =
            serde_json::from_str(message.body.as_deref().unwrap_or_default()).unwrap_or_default();
        assert_eq!(event["detail"]["n"], 5);
        let attributes = message.message_attributes.clone().unwrap_or_default();
        let value = |name: &str| attributes.get(name).and_then(|value| value.string_value.as_deref());
        assert_eq!(value("RULE_ARN"), Some("arn:aws:events:us-east-1:000000000000:rule/r"));
        assert_eq!((value("TARGET_ARN"), value("ERROR_CODE")), (Some(arn), Some(code)));
        assert!(value("ERROR_MESSAGE").is_some());
        assert_eq!((value("RETRY_ATTEMPTS"), value("EXHAUSTED_RETRY_CONDITION")), (None, None));
    };
    check(cx, "arn:aws:sqs:us-east-1:000000000000:none", "NO_RESOURCE");
    check(cx, &closed, "NO_PERMISSIONS");
    check(cx, GROUP_ARN, "NO_PERMISSIONS");
    check(cx, "arn:aws:lambda:us-east-1:000000000000:function:f", "NO_RESOURCE");
    assert_eq!(counted(cx, "InvocationsSentToDlq", "r"), 4.0);
    assert!(received(cx, "closed").is_empty());
}

#[test]
fn schedules_fire() {
    let cx = &mut engine();
    log_group(cx, true);
    let rule = |expression: &str| shapes::PutRuleRequest {
        name: "r".to_owned(),
        schedule_expression: Some(expression.to_owned()),
        ..Default::default()
    };
    let arn = ok(cx, rule("rate(5 minutes)")).rule_arn.unwrap_or_default();
    put_target(cx, "r", target(GROUP_ARN));
    pass(cx, Span::from_mins(11));
    let (messages, _) = logged(cx);
    assert_eq!(messages.len(), 2);
    let event: Json = serde_json::from_str(&messages[1]).unwrap_or_default();
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(event["time"], "2026-01-01T00:10:00Z");
    assert_eq!(event["resources"], json!([arn]));
    ok(cx, shapes::DisableRuleRequest { name: "r".to_owned(), event_bus_name: None });
    pass(cx, Span::from_hours(1));
    assert_eq!(logged(cx).0.len(), 2);
    ok(cx, rule("cron(30 1 * * ? *)"));
    pass(cx, Span::from_hours(1));
    assert_eq!(logged(cx).0.len(), 3);
    assert_eq!(
        refused(cx, rule("rate(5 minute)")),
        "ValidationException: Parameter ScheduleExpression is not valid."
    );
}

#[test]
fn buses_pass_events_on_once() {
    let cx = &mut engine();
    log_group(cx, true);
    for name in ["a", "b"] {
        ok(cx, shapes::CreateEventBusRequest { name: name.to_owned(), ..Default::default() });
    }
    let arn = |bus: &str| format!("arn:aws:events:us-east-1:000000000000:event-bus/{bus}");
    for (bus, to) in
        [("default", arn("a")), ("a", arn("b")), ("a", GROUP_ARN.into()), ("b", GROUP_ARN.into())]
    {
        let name = if to == GROUP_ARN { "log" } else { "on" };
        let request = shapes::PutRuleRequest {
            name: name.to_owned(),
            event_bus_name: Some(bus.to_owned()),
            event_pattern: Some(r#"{"source":["mine"]}"#.to_owned()),
            ..Default::default()
        };
        ok(cx, request);
        let request = shapes::PutTargetsRequest {
            rule: name.to_owned(),
            event_bus_name: Some(bus.to_owned()),
            targets: vec![target(&to)],
        };
        ok(cx, request);
    }
    put_events(cx, &[("mine", "x", "{}")]);
    pass(cx, Span::from_secs(5));
    // From `default` to `a`, and no further.
    assert_eq!(logged(cx).0.len(), 1);
    let scheduled = shapes::PutRuleRequest {
        name: "s".to_owned(),
        event_bus_name: Some("a".to_owned()),
        schedule_expression: Some("rate(1 day)".to_owned()),
        ..Default::default()
    };
    assert!(refused(cx, scheduled).contains("only on the default event bus"));
    let delete = |name: &str| shapes::DeleteEventBusRequest { name: name.to_owned() };
    assert!(refused(cx, delete("a")).contains("has rules"));
    assert!(refused(cx, delete("default")).contains("Cannot delete event bus default."));
    ok(cx, delete("none"));
}

#[test]
fn tasks_are_run() {
    let cx = &mut engine();
    let container = ecs::ContainerDefinition {
        name: Some("web".to_owned()),
        image: Some("i".to_owned()),
        memory: Some(64),
        ..Default::default()
    };
    ok(cx, ecs::CreateClusterRequest { cluster_name: Some("c".to_owned()), ..Default::default() });
    ok(
        cx,
        ecs::RegisterTaskDefinitionRequest {
            family: "f".to_owned(),
            container_definitions: vec![container],
            ..Default::default()
        },
    );
    put_rule(cx, "r", r#"{"source":["mine"]}"#);
    let mut runs = target("arn:aws:ecs:us-east-1:000000000000:cluster/c");
    let request = |target: &shapes::Target| shapes::PutTargetsRequest {
        rule: "r".to_owned(),
        targets: vec![target.clone()],
        ..Default::default()
    };
    assert!(refused(cx, request(&runs)).contains("EcsParameters must be specified"));
    runs.ecs_parameters = Some(shapes::EcsParameters {
        task_definition_arn: "arn:aws:ecs:us-east-1:000000000000:task-definition/f:1".to_owned(),
        ..Default::default()
    });
    assert!(refused(cx, request(&runs)).contains("RoleArn is required"));
    runs.role_arn = Some("arn:aws:iam::000000000000:role/ecsEventsRole".to_owned());
    runs.retry_policy =
        Some(shapes::RetryPolicy { maximum_retry_attempts: Some(3), maximum_event_age_in_seconds: None });
    runs.dead_letter_config = Some(shapes::DeadLetterConfig { arn: Some(queue(cx, "letters", true)) });
    put_target(cx, "r", runs);
    put_events(cx, &[("mine", "x", "{}")]);
    pass(cx, Span::from_mins(1));
    // A cluster without an instance is the request's fault.
    assert_eq!(counted(cx, "FailedInvocations", "r"), 1.0);
    assert_eq!(exhausted(cx), [(None, None)]);
    let amount = |name: &str, value: i32| ecs::Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: Some(value),
        ..Default::default()
    };
    ok(
        cx,
        ecs::RegisterContainerInstanceRequest {
            cluster: Some("c".to_owned()),
            total_resources: Some(vec![amount("CPU", 1_024), amount("MEMORY", 100)]),
            ..Default::default()
        },
    );
    put_events(cx, &[("mine", "x", "{}")]);
    pass(cx, Span::from_secs(1));
    let started = ecs::ListTasksRequest {
        cluster: Some("c".to_owned()),
        started_by: Some("events-rule/r".to_owned()),
        ..Default::default()
    };
    assert_eq!(ok(cx, started.clone()).task_arns.map(|arns| arns.len()), Some(1));
    // There is no room for a second one: EventBridge tries again and gives up.
    put_events(cx, &[("mine", "x", "{}")]);
    pass(cx, Span::from_mins(1));
    assert_eq!(ok(cx, started).task_arns.map(|arns| arns.len()), Some(1));
    assert_eq!(counted(cx, "Invocations", "r"), 3.0);
    assert_eq!(counted(cx, "RetryInvocationAttempts", "r"), 3.0);
    assert_eq!(counted(cx, "FailedInvocations", "r"), 2.0);
    assert_eq!(exhausted(cx), [(Some("3".to_owned()), Some("MaximumRetryAttempts".to_owned()))]);
}

/// How often the letters' events were tried again, and what ended that. Letters are taken out.
fn exhausted(cx: &mut Engine) -> Vec<(Option<String>, Option<String>)> {
    let letters = received(cx, "letters");
    let queue_url =
        ok(cx, sqs::GetQueueUrlRequest { queue_name: "letters".to_owned(), ..Default::default() });
    let queue_url = queue_url.queue_url.unwrap_or_default();
    let mut found = Vec::new();
    for letter in letters {
        let receipt_handle = letter.receipt_handle.unwrap_or_default();
        ok(cx, sqs::DeleteMessageRequest { queue_url: queue_url.clone(), receipt_handle });
        let attributes = letter.message_attributes.unwrap_or_default();
        let value = |name: &str| attributes.get(name).and_then(|value| value.string_value.clone());
        found.push((value("RETRY_ATTEMPTS"), value("EXHAUSTED_RETRY_CONDITION")));
    }
    found
}

#[test]
fn calls_reach_rules_by_way_of_the_trail() {
    let mut config = Config::new(7);
    config.trail = true;
    let cx = &mut Engine::new(config, Time::from_secs(1_767_225_600));
    log_group(cx, true);
    put_rule(
        cx,
        "calls",
        r#"{"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventSource":["ecs.amazonaws.com"]}}"#,
    );
    put_target(cx, "calls", target(GROUP_ARN));
    let names = |cx: &mut Engine| -> Vec<String> {
        pass(cx, Span::from_secs(1));
        let events = logged(cx).0.into_iter().map(|message| serde_json::from_str::<Json>(&message));
        events.flatten().filter_map(|event| Some(event["detail"]["eventName"].as_str()?.to_owned())).collect()
    };
    ok(cx, ecs::CreateClusterRequest { cluster_name: Some("c".to_owned()), ..Default::default() });
    ok(cx, ecs::DescribeClustersRequest::default());
    // Calls that only read are for rules that ask for all management events.
    assert_eq!(names(cx), ["CreateCluster"]);
    let all = shapes::PutRuleRequest {
        name: "calls".to_owned(),
        event_pattern: Some(r#"{"source":["aws.ecs"]}"#.to_owned()),
        state: Some(shapes::RuleState::EnabledWithAllCloudtrailManagementEvents),
        ..Default::default()
    };
    ok(cx, all);
    ok(cx, ecs::DescribeClustersRequest::default());
    assert_eq!(names(cx), ["CreateCluster", "DescribeClusters"]);
}

#[test]
fn entries_are_taken_one_by_one() {
    let cx = &mut engine();
    let answer = put_events(
        cx,
        &[
            ("mine", "x", "{}"),
            ("aws.ec2", "x", "{}"),
            ("mine", "x", "[]"),
            ("mine", "", "{}"),
            ("", "x", "{}"),
        ],
    );
    let codes: Vec<_> = answer.entries.iter().flatten().map(|entry| entry.error_code.as_deref()).collect();
    assert_eq!(answer.failed_entry_count, Some(4));
    assert_eq!(
        codes,
        [
            None,
            Some("NotAuthorizedForSourceException"),
            Some("MalformedDetail"),
            Some("InvalidArgument"),
            Some("InvalidArgument")
        ]
    );
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024));
    let entry = shapes::PutEventsRequestEntry { detail: Some(large), ..Default::default() };
    let request = shapes::PutEventsRequest { entries: vec![entry], endpoint_id: None };
    assert!(refused(cx, request).contains("Total size of the entries"));
}

#[test]
fn a_second_put_replaces_a_rule() {
    let cx = &mut engine();
    let tag = shapes::Tag { key: "k".to_owned(), value: "v".to_owned() };
    let request = shapes::PutRuleRequest {
        name: "r".to_owned(),
        event_pattern: Some(r#"{"source":["a"]}"#.to_owned()),
        description: Some("first".to_owned()),
        tags: Some(vec![tag.clone()]),
        ..Default::default()
    };
    let arn = ok(cx, request).rule_arn.unwrap_or_default();
    assert_eq!(arn, "arn:aws:events:us-east-1:000000000000:rule/r");
    put_target(cx, "r", target(GROUP_ARN));
    put_rule(cx, "r", r#"{"source":["b"]}"#);
    let described = ok(cx, shapes::DescribeRuleRequest { name: "r".to_owned(), event_bus_name: None });
    assert_eq!((described.description, described.managed_by), (None, None));
    assert_eq!(described.event_pattern.as_deref(), Some(r#"{"source":["b"]}"#));
    let tags = ok(cx, shapes::ListTagsForResourceRequest { resource_arn: arn }).tags;
    assert_eq!(tags, Some(vec![tag]));
    let delete = shapes::DeleteRuleRequest { name: "r".to_owned(), ..Default::default() };
    assert!(refused(cx, delete.clone()).contains("it has targets"));
    ok(
        cx,
        shapes::RemoveTargetsRequest {
            rule: "r".to_owned(),
            ids: vec!["t".to_owned()],
            ..Default::default()
        },
    );
    ok(cx, delete.clone());
    ok(cx, delete);
    let targets = |count: usize| shapes::PutTargetsRequest {
        rule: "r".to_owned(),
        targets: (0..count).map(|n| shapes::Target { id: format!("t{n}"), ..target(GROUP_ARN) }).collect(),
        ..Default::default()
    };
    assert!(refused(cx, targets(1)).starts_with("ResourceNotFoundException"));
    put_rule(cx, "r", r#"{"source":["b"]}"#);
    ok(cx, targets(5));
    assert!(refused(cx, targets(6)).starts_with("LimitExceededException"));
}

#[test]
fn rules_of_services_are_theirs() {
    let cx = &mut engine();
    let request = shapes::PutRuleRequest {
        name: "managed".to_owned(),
        event_pattern: Some(r#"{"source":["aws.autoscaling"]}"#.to_owned()),
        ..Default::default()
    };
    assert!(cx.call(Caller::ECS, request.clone()).is_ok());
    let described = ok(cx, shapes::DescribeRuleRequest { name: "managed".to_owned(), event_bus_name: None });
    assert_eq!(described.managed_by.as_deref(), Some("ecs.amazonaws.com"));
    assert!(refused(cx, request).starts_with("ManagedRuleException"));
    let disable = shapes::DisableRuleRequest { name: "managed".to_owned(), event_bus_name: None };
    assert!(refused(cx, disable).starts_with("ManagedRuleException"));
    let delete =
        |force| shapes::DeleteRuleRequest { name: "managed".to_owned(), force, ..Default::default() };
    assert!(refused(cx, delete(None)).starts_with("ManagedRuleException"));
    ok(cx, delete(Some(true)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever texts come in, they are read or refused.
    #[test]
    fn no_text_is_too_strange(
        text in r#"[\[\]{}"':,*\\\\<>$./()?#a-cLWü0-9 -]{0,40}"#,
        operator in prop::sample::select(vec!["prefix", "wildcard", "cidr", "numeric", "anything-but", "exists"]),
    ) {
        let _ = Pattern::parse(&text);
        let leaf = json!({ "a": [{ operator: text }] });
        if let Ok(pattern) = Pattern::parse(&leaf.to_string()) {
            let _ = pattern.matches(&json!({ "a": text }));
        }
        let _ = Schedule::parse(&format!("cron({text})"));
        let _ = Schedule::parse(&format!("rate({text})"));
        let transformer = shapes::InputTransformer {
            input_paths_map: Some([("a".to_owned(), text.clone())].into()),
            input_template: format!("<a>{text}"),
        };
        let target = shapes::Target { input_transformer: Some(transformer), ..Default::default() };
        let context = Context { rule_arn: "arn", rule_name: "r", ingested_at: Time::ZERO };
        let _ = input::check(&target);
        let _ = input::render(&target, &json!({ "a": [text] }), &context);
    }

    /// A schedule goes forward, and leaves out nothing that it names.
    #[test]
    fn schedules_go_forward(minute in 0..60_i64, every in 1..30_i64, secs in 0..4_000_000_000_i64) {
        let now = Time::from_secs(secs);
        let hourly = Schedule::parse(&format!("cron({minute} * * * ? *)"));
        let next = hourly.and_then(|schedule| schedule.next(Time::ZERO, now)).unwrap_or(Time::ZERO);
        prop_assert!(next > now && next - now <= Span::from_hours(1), "{now} {next}");
        prop_assert_eq!(i64::from(next.civil().4), minute);
        let unit = if every == 1 { "minute" } else { "minutes" };
        let rate = Schedule::parse(&format!("rate({every} {unit})"));
        let next = rate.and_then(|schedule| schedule.next(Time::ZERO, now)).unwrap_or(Time::ZERO);
        prop_assert!(next > now && next - now <= Span::from_mins(every), "{now} {next}");
    }
}
