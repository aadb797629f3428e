//! EventBridge: buses, rules on them, and the targets that matching events go to.
//!
//! Rooms tell what happened through [`publish`]. The event is made only when an enabled rule could want it; it is matched
//! at once and delivered half a second later, when the room that published it has long finished.

mod bus;
mod delivery;
mod entry;
mod input;
pub(crate) mod pattern;
mod rows;
mod rule;
mod tag;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::{Refusal, events};
use serde_json::Value as Json;

use crate::kernel::{Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub(crate) use bus::start;
pub use rows::{Bus, Delivery, Rule, RuleIndex, RuleKey};

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[
    ("CreateEventBus.DeadLetterConfig", "it is for events that cannot be decrypted; nothing is encrypted"),
    ("CreateEventBus.KmsKeyIdentifier", "nothing is encrypted"),
    ("CreateEventBus.LogConfig", "a bus writes no logs of its own; AWS/Events metrics count what rules do"),
    ("PutEvents.Entries.TraceHeader", "nothing is traced"),
    ("PutEvents.EndpointId", "there are no global endpoints; the entries go to the bus here"),
    ("PutRule.RoleArn", "there are no IAM roles"),
    (
        "PutTargets.Targets.Arn",
        "CloudWatch Logs groups, SQS queues, ECS clusters and event buses get events. Targets of other services are kept; each event for one counts as FailedInvocations and goes to its dead-letter queue with NO_RESOURCE",
    ),
    ("PutTargets.Targets.AppSyncParameters", "there is no such target"),
    ("PutTargets.Targets.BatchParameters", "there is no such target"),
    ("PutTargets.Targets.HttpParameters", "there is no such target"),
    ("PutTargets.Targets.KinesisParameters", "there is no such target"),
    ("PutTargets.Targets.RedshiftDataParameters", "there is no such target"),
    (
        "PutTargets.Targets.RoleArn",
        "there are no IAM roles; resource policies of queues and log groups do count",
    ),
    ("PutTargets.Targets.RunCommandParameters", "there is no such target"),
    ("PutTargets.Targets.SageMakerPipelineParameters", "there is no such target"),
];

/// The tables of EventBridge.
#[derive(Clone, Debug, Default)]
pub struct Events {
    buses: Table<Bus>,
    rules: Table<Rule>,
    deliveries: Table<Delivery>,
    delivery_serial: u64,
    /// `default`, at hand for every event.
    default_bus: Arc<str>,
}

impl Events {
    pub fn buses(&self) -> &Table<Bus> {
        &self.buses
    }

    pub fn rules(&self) -> &Table<Rule> {
        &self.rules
    }

    /// What is on its way to a target.
    pub fn deliveries(&self) -> &Table<Delivery> {
        &self.deliveries
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.rules.next_due(), self.deliveries.next_due()].into_iter().flatten().min()
    }

    /// Whether an enabled rule of the default bus could match an event of that source and detail-type.
    pub(crate) fn wants(&self, source: &str, detail_type: &str) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let could = |rule: &Rule| {
            rule.pattern.as_ref().is_some_and(|pattern| pattern.could_match(source, detail_type))
        };
        self.rules.by(&RuleIndex::Listening(self.default_bus.clone())).any(could)
    }
}

tables!(Events { buses, rules, deliveries });

/// What happened, as its service tells it: the part of an event that is not envelope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// ARNs.
    pub(crate) resources: Vec<String>,
    /// An object.
    pub(crate) detail: Json,
    /// When it happened; `None` is now.
    pub(crate) time: Option<Time>,
}

/// An AWS service tells the default bus what happened. `event` runs only when an enabled rule could want it, so a world
/// without rules pays one look at an empty table.
pub(crate) fn publish(
    cx: &mut Engine,
    source: &str,
    detail_type: &str,
    event: impl FnOnce(&Engine) -> Published,
) {
    if !cx.events.wants(source, detail_type) {
        return;
    }
    let Published { resources, detail, time } = event(cx);
    let time = time.unwrap_or(cx.now);
    let (event, _) = entry::event(cx, entry::Envelope { source, detail_type, time, resources, detail });
    let bus = cx.events.default_bus.clone();
    delivery::route(cx, &bus, &event, time, false);
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: events::Request,
) -> Result<events::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, events {
        CreateEventBus => bus::create,
        DeleteEventBus => bus::delete,
        DeleteRule => rule::delete,
        DescribeEventBus => bus::describe,
        DescribeRule => rule::describe,
        DisableRule => rule::disable,
        EnableRule => rule::enable,
        ListEventBuses => bus::list,
        ListRuleNamesByTarget => target::list_rule_names,
        ListRules => rule::list,
        ListTagsForResource => tag::list,
        ListTargetsByRule => target::list,
        PutEvents => entry::put,
        PutRule => rule::put,
        PutTargets => target::put,
        RemoveTargets => target::remove,
        TagResource => tag::tag,
        TestEventPattern => entry::test_pattern,
        UntagResource => tag::untag,
        UpdateEventBus => bus::update,
    }))
}

/// Does what is due first.
pub(crate) fn on_due(cx: &mut Engine) {
    let Some(time) = cx.events.next_due() else { return };
    if let Some((_, key)) = cx.events.rules.first_due().filter(|(at, _)| *at == time) {
        delivery::fire(cx, &key);
    } else if let Some((_, serial)) = cx.events.deliveries.first_due().filter(|(at, _)| *at == time) {
        delivery::deliver(cx, serial);
    }
}

const PAGE: usize = 100;

fn page_of<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    limit: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let invalid = || validation("The NextToken is not one that was given. Take it from the answer before.");
    page(items, key, token, size).map_err(|()| invalid())
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::of(&events::RESOURCE_NOT_FOUND_EXCEPTION, message)
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", message)
}

fn limit_exceeded() -> Refusal {
    let message = "The requested resource exceeds the maximum number allowed.";
    Refusal::of(&events::LIMIT_EXCEEDED_EXCEPTION, message)
}
