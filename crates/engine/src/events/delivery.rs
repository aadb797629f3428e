//! From an event to the targets of the rules that match it.

use std::sync::Arc;

use capstan_model::{Arn, Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::events as shapes;
use serde_json::{Value as Json, json};

use super::input::{self, Context};
use super::rows::{Delivery, RuleIndex, RuleKey};
use super::{bus, entry, rule};
use crate::{Engine, cloudwatch};

mod ecs;
mod logs;
mod sqs;

/// From an event to its targets (EventBridge FAQ: typically about half a second).
const LATENCY: Span = Span::from_millis(500);
/// The policy of targets that give none (EventBridge model, RetryPolicy).
const RETRIES: i32 = 185;
const AGE_MAX: Span = Span::from_hours(24);
/// Our reading of "exponential back-off and jitter": 1 s, 2 s, 4 s … up to ten minutes, each shortened by up to a half.
const BACK_OFF_MAX: Span = Span::from_mins(10);

/// Deliveries that may wait at a time; one more that fails is given up, so that a target that never works fills no memory.
const WAITING_MAX: usize = 10_000;

const API_CALL: &str = "AWS API Call via CloudTrail";

/// Why a target did not get an event.
pub(super) struct Failure {
    /// `NO_RESOURCE`, `NO_PERMISSIONS` …
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Trying again may help.
    pub(super) passes: bool,
}

impl Failure {
    pub(super) fn no_resource(message: impl Into<String>) -> Self {
        Self { code: "NO_RESOURCE", message: message.into(), passes: false }
    }

    /// What a target's service says.
    pub(super) fn of(refusal: &Refusal) -> Self {
        let code = refusal.code.as_ref();
        let is = |texts: &[&str]| texts.iter().any(|text| code.contains(text));
        let (code, passes) = if is(&["AccessDenied", "NotAuthorized"]) {
            ("NO_PERMISSIONS", false)
        } else if is(&["NotFound", "NonExistent", "DoesNotExist", "NotExist"]) {
            ("NO_RESOURCE", false)
        } else if is(&["Throttl", "LimitExceeded"]) {
            ("THROTTLING", true)
        } else {
            ("SDK_CLIENT_ERROR", false)
        };
        Self { code, message: refusal.to_string(), passes }
    }
}

/// Matches the event against the rules of the bus and sends it on its way.
pub(super) fn route(cx: &mut Engine, bus: &Arc<str>, event: &Arc<Json>, time: Time, forwarded: bool) {
    // Rules hear of calls that only read when they ask for all management events (EventBridge guide, eb-cloudtrail).
    let reads = event["detail-type"] == API_CALL && event["detail"]["readOnly"] == true;
    let wants_reads = shapes::RuleState::EnabledWithAllCloudtrailManagementEvents;
    let rules = cx.events.rules.by(&RuleIndex::Listening(bus.clone()));
    let matching = rules.filter(|rule| {
        (!reads || rule.state == wants_reads)
            && rule.pattern.as_ref().is_some_and(|pattern| pattern.matches(event))
    });
    let keys: Vec<RuleKey> = matching.map(|rule| rule.key.clone()).collect();
    if keys.is_empty() {
        return;
    }
    count(cx, "MatchedEvents", bus, None);
    for key in keys {
        trigger(cx, &key, event, time, forwarded);
    }
}

/// Sends an event to every target of the rule.
fn trigger(cx: &mut Engine, key: &RuleKey, event: &Arc<Json>, time: Time, forwarded: bool) {
    let Some(row) = cx.events.rules.get(key) else { return };
    let targets: Vec<Arc<shapes::Target>> = row.targets.values().cloned().collect();
    let (now, rule_arn) = (cx.now, rule::arn(cx, key));
    let context = Context { rule_arn: &rule_arn, rule_name: &key.name, ingested_at: now };
    count(cx, "TriggeredRules", &key.bus, Some(&key.name));
    for target in targets {
        let payload = input::render(&target, event, &context);
        cx.events.delivery_serial += 1;
        let serial = cx.events.delivery_serial;
        cx.events.deliveries.insert(Delivery {
            serial,
            rule: key.clone(),
            target,
            event: event.clone(),
            payload,
            time,
            forwarded,
            accepted_at: now,
            retries: 0,
            due_at: now + LATENCY,
        });
    }
}

/// The rule's schedule is due.
pub(super) fn fire(cx: &mut Engine, key: &RuleKey) {
    let now = cx.now;
    if let Some(mut row) = cx.events.rules.edit(key) {
        row.fires_at = row.schedule.as_ref().and_then(|schedule| schedule.next(row.began_at, now));
    }
    let envelope = entry::Envelope {
        source: "aws.events",
        detail_type: "Scheduled Event",
        time: now,
        resources: vec![rule::arn(cx, key)],
        detail: json!({}),
    };
    let (event, _) = entry::event(cx, envelope);
    trigger(cx, key, &event, now, false);
}

/// Tries a delivery; one that failed is tried again, or goes to the dead-letter queue.
pub(super) fn deliver(cx: &mut Engine, serial: u64) {
    let Some(delivery) = cx.events.deliveries.remove(&serial) else { return };
    let (bus, name) = (delivery.rule.bus.clone(), delivery.rule.name.clone());
    if delivery.retries == 0 {
        count(cx, "Invocations", &bus, Some(&name));
    } else {
        count(cx, "RetryInvocationAttempts", &bus, Some(&name));
    }
    let Err(failure) = carry_out(cx, &delivery) else { return };
    let exhausted = match failure.passes {
        true => match try_again(cx, &delivery) {
            None => return,
            Some(condition) => Some(condition),
        },
        false => None,
    };
    count(cx, "FailedInvocations", &bus, Some(&name));
    let config = delivery.target.dead_letter_config.as_ref();
    let Some(queue) = config.and_then(|config| config.arn.clone()) else { return };
    let metric = match send_to_dead_letters(cx, &queue, &delivery, &failure, exhausted) {
        Ok(()) => "InvocationsSentToDlq",
        Err(_) => "InvocationsFailedToBeSentToDlq",
    };
    count(cx, metric, &bus, Some(&name));
}

/// Puts the delivery off; the exhausted condition when it may not be tried again.
fn try_again(cx: &mut Engine, delivery: &Delivery) -> Option<&'static str> {
    let policy = delivery.target.retry_policy.as_ref();
    let retries_max = policy.and_then(|policy| policy.maximum_retry_attempts).unwrap_or(RETRIES);
    let age_max = policy.and_then(|policy| policy.maximum_event_age_in_seconds);
    let age_max = age_max.map_or(AGE_MAX, |secs| Span::from_secs(i64::from(secs)));
    if delivery.retries >= retries_max || cx.events.deliveries.len() >= WAITING_MAX {
        return Some("MaximumRetryAttempts");
    }
    let doublings = u32::try_from(delivery.retries.clamp(0, 20)).unwrap_or_default();
    let wait = (Span::from_secs(1) * (1_i64 << doublings)).min(BACK_OFF_MAX);
    let half = u64::try_from(wait.as_micros() / 2).unwrap_or_default();
    let jitter = i64::try_from(cx.chance.below("events.retry", half + 1)).unwrap_or_default();
    let due_at = cx.now + wait - Span::from_micros(jitter);
    if due_at - delivery.accepted_at > age_max {
        return Some("MaximumEventAgeInSeconds");
    }
    cx.events.deliveries.insert(Delivery { retries: delivery.retries + 1, due_at, ..delivery.clone() });
    None
}

fn carry_out(cx: &mut Engine, delivery: &Delivery) -> Result<(), Failure> {
    let Some(arn) = Arn::parse(&delivery.target.arn) else {
        return Err(Failure::no_resource(format!("{} is not an ARN.", delivery.target.arn)));
    };
    if arn.region != cx.config.region.name || arn.account != cx.config.account {
        let message =
            format!("{} is in another region or account; Capstan has one of each.", delivery.target.arn);
        return Err(Failure::no_resource(message));
    }
    match arn.service {
        "ecs" => ecs::run_task(cx, delivery),
        "logs" => logs::put(cx, delivery, arn.resource),
        "sqs" => sqs::put(cx, delivery),
        "events" => match arn.resource.strip_prefix("event-bus/") {
            Some(name) => forward(cx, delivery, &Arc::from(name)),
            None => Err(Failure::no_resource(format!("{} is not an event bus.", delivery.target.arn))),
        },
        service => Err(Failure::no_resource(format!("Capstan has no target of the service {service}."))),
    }
}

/// To another bus of the account. What came from a bus goes to no third one (EventBridge guide, eb-bus-to-bus).
fn forward(cx: &mut Engine, delivery: &Delivery, to: &Arc<str>) -> Result<(), Failure> {
    if !cx.events.buses.contains(to) {
        return Err(Failure::no_resource(format!("Event bus {to} does not exist.")));
    }
    if !delivery.forwarded {
        route(cx, to, &delivery.event, delivery.time, true);
    }
    Ok(())
}

/// The event goes to the target's dead-letter queue, with attributes that tell why (EventBridge guide, eb-rule-dlq).
fn send_to_dead_letters(
    cx: &mut Engine,
    queue: &str,
    delivery: &Delivery,
    failure: &Failure,
    exhausted: Option<&str>,
) -> Result<(), Failure> {
    let mut attributes = vec![
        ("RULE_ARN", rule::arn(cx, &delivery.rule)),
        ("TARGET_ARN", delivery.target.arn.clone()),
        ("ERROR_CODE", failure.code.to_owned()),
        ("ERROR_MESSAGE", failure.message.clone()),
    ];
    if let Some(condition) = exhausted {
        attributes.push(("EXHAUSTED_RETRY_CONDITION", condition.to_owned()));
        attributes.push(("RETRY_ATTEMPTS", delivery.retries.to_string()));
    }
    sqs::send(cx, queue, &delivery.rule, delivery.event.to_string(), None, attributes)
}

/// One more, for CloudWatch's `AWS/Events`.
fn count(cx: &mut Engine, metric: &str, bus: &str, rule: Option<&str>) {
    let mut dimensions = Vec::new();
    if bus != bus::DEFAULT {
        dimensions.push(("EventBusName", bus));
    }
    dimensions.extend(rule.map(|rule| ("RuleName", rule)));
    let minute = cx.now.floor(Span::from_mins(1));
    cloudwatch::put(cx, "AWS/Events", metric, &dimensions, 1.0, minute);
}
