//! Metrics of `AWS/SQS` (Developer Guide, sqs-available-cloudwatch-metrics): each minute, of queues that are active.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch::StandardUnit as Unit;

use super::Queue;
use crate::Engine;
use crate::cloudwatch::{self, MetricId, StatisticSet};

const NAMESPACE: &str = "AWS/SQS";
const MINUTE: Span = Span::from_mins(1);
/// A queue is active for so long after any call to it (Developer Guide, monitoring with CloudWatch).
const ACTIVE: Span = Span::from_hours(6);
/// A message that was received so often and not deleted is not counted as the oldest one.
const POISONED_BY: u32 = 3;

/// A call to the queue: it is active from now on.
pub(super) fn touch(cx: &mut Engine, name: &Arc<str>) {
    let next = cx.now.next_multiple(MINUTE);
    let until = next + ACTIVE;
    if cx.sqs.queues.get(name).is_some_and(|queue| queue.active_until < until)
        && let Some(mut row) = cx.sqs.queues.edit(name)
    {
        row.active_until = until;
        row.measured_at.get_or_insert(next);
    }
}

/// Publishes the metrics of the minute that has just ended.
pub(super) fn on_due(cx: &mut Engine, name: &Arc<str>) {
    let now = cx.now;
    super::message::expire(cx, name);
    let Some(mut row) = cx.sqs.queues.edit(name) else { return };
    let data = measured(&row, now);
    row.traffic = super::Traffic::default();
    row.measured_at = Some(now.next_multiple(MINUTE)).filter(|next| *next <= row.active_until);
    drop(row);
    let minute = now.floor(MINUTE) - MINUTE;
    for (metric, unit, set) in data {
        let id = MetricId::new(NAMESPACE, metric, &[("QueueName", &**name)]);
        cloudwatch::put_set(cx, id, unit, set, minute);
    }
}

fn measured(queue: &Queue, now: Time) -> Vec<(&'static str, Unit, StatisticSet)> {
    let counts = queue.counts(now);
    let traffic = &queue.traffic;
    let in_line = |message: &&super::Message| message.receive_count < POISONED_BY;
    let oldest = queue.messages.values().filter(in_line).map(|message| message.arrived).min();
    let age = oldest.map_or(Span::ZERO, |arrived| now - arrived);
    let mut data: Vec<(&'static str, Unit, StatisticSet)> = [
        ("ApproximateNumberOfMessagesDelayed", counts.delayed),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight),
        ("ApproximateNumberOfMessagesVisible", counts.visible),
        ("NumberOfEmptyReceives", traffic.empty_receives),
        ("NumberOfMessagesDeleted", traffic.deleted),
        ("NumberOfMessagesReceived", traffic.received),
        ("NumberOfMessagesSent", traffic.sent.values().sum()),
    ]
    .into_iter()
    .map(|(metric, count)| (metric, Unit::Count, StatisticSet::of(count as f64)))
    .collect();
    data.push(("ApproximateAgeOfOldestMessage", Unit::Seconds, StatisticSet::of(age.as_secs() as f64)));
    let sizes = traffic.sent.iter().map(|(bytes, count)| (*bytes as f64, *count as f64));
    data.extend(StatisticSet::of_values(sizes).map(|set| ("SentMessageSize", Unit::Bytes, set)));
    data
}
