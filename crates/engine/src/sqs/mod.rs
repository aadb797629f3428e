//! Simple Queue Service: standard queues.
//!
//! Messages live in memory, at most [`STORED_BYTES_MAX`] of them; sending more is refused. A receive answers at once: who
//! drives the engine may hold a long poll back while [`Sqs::ready_at`] says that there is nothing to give
//! ([`long_poll`]).

mod attributes;
mod batch;
mod digest;
mod message;
mod metrics;
mod permission;
mod queue;
mod receive;
mod rows;
mod send;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use capstan_model::{Arn, Span, Time};
use capstan_shapes::{Refusal, sqs};

use crate::kernel::{Table, dispatch, tables};
use crate::policy::{Access, Policy, is_allowed};
use crate::{Caller, Engine};

pub use attributes::{Redrive, RedrivePermission, Settings};
pub use rows::{Counts, DeletedQueue, Message, Queue, Traffic};

/// Bodies and attributes of all queues' messages together.
pub const STORED_BYTES_MAX: u64 = 256 << 20;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateQueue.Attributes.KmsDataKeyReusePeriodSeconds", "kept and shown; nothing is encrypted"),
    ("CreateQueue.Attributes.KmsMasterKeyId", "kept and shown; nothing is encrypted"),
    ("CreateQueue.Attributes.SqsManagedSseEnabled", "kept and shown; nothing is encrypted"),
    (
        "CreateQueue.Attributes.Policy",
        "says which services may send; the account's own callers may do everything",
    ),
    (
        "SendMessage.MessageBody",
        "all queues together keep 256 MiB of messages in memory; beyond that sending is refused with RequestThrottled",
    ),
    (
        "SendMessage.MessageGroupId",
        "fair queues are not played: messages of all groups are given out in their order",
    ),
    ("ReceiveMessage.ReceiveRequestAttemptId", "FIFO queues are not built"),
];

/// The tables of SQS.
#[derive(Clone, Debug, Default)]
pub struct Sqs {
    queues: Table<Queue>,
    /// Names that cannot be used again yet.
    deleted: Table<DeletedQueue>,
    /// Messages that ever came, and receives that ever were: neither number comes twice.
    serial: u64,
    stored_bytes: u64,
}

impl Sqs {
    pub fn queues(&self) -> &Table<Queue> {
        &self.queues
    }

    /// When the queue has a message to give, as far as can be told now: in the past when it has one already, `None` when
    /// it has none at all. A queue that does not exist is ready to say so.
    pub fn ready_at(&self, queue: &str) -> Option<Time> {
        match self.queues.get(&Arc::from(queue)) {
            Some(row) => row.visible.first().map(|(time, _)| *time),
            None => Some(Time::ZERO),
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.queues.next_due(), self.deleted.next_due()].into_iter().flatten().min()
    }
}

tables!(Sqs { queues, deleted });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: sqs::Request,
) -> Result<sqs::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, sqs {
        AddPermission => permission::add,
        ChangeMessageVisibility => receive::change_visibility,
        ChangeMessageVisibilityBatch => batch::change_visibility,
        CreateQueue => queue::create,
        DeleteMessage => receive::delete,
        DeleteMessageBatch => batch::delete,
        DeleteQueue => queue::delete,
        GetQueueAttributes => attributes::get,
        GetQueueUrl => queue::url_of,
        ListDeadLetterSourceQueues => queue::list_sources,
        ListQueueTags => queue::list_tags,
        ListQueues => queue::list,
        PurgeQueue => queue::purge,
        ReceiveMessage => receive::receive,
        RemovePermission => permission::remove,
        SendMessage => send::send,
        SendMessageBatch => batch::send,
        SetQueueAttributes => attributes::set,
        TagQueue => queue::tag,
        UntagQueue => queue::untag,
    }))
}

pub(crate) fn on_due(cx: &mut Engine) {
    let now = cx.now;
    if let Some((time, name)) = cx.sqs.deleted.first_due()
        && time <= now
    {
        cx.sqs.deleted.remove(&name);
    } else if let Some((time, name)) = cx.sqs.queues.first_due()
        && time <= now
    {
        if cx.sqs.queues.get(&name).is_some_and(|queue| queue.measured_at == Some(time)) {
            metrics::on_due(cx, &name);
        } else {
            message::expire(cx, &name);
        }
    }
}

/// A receive that waits for a message (Developer Guide, short and long polling).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongPoll {
    pub queue: String,
    /// How long an empty answer may be held back: 1 to 20 seconds.
    pub wait: Span,
}

/// The long poll that a request is, if it is one.
pub fn long_poll(cx: &Engine, request: &capstan_shapes::Request) -> Option<LongPoll> {
    let capstan_shapes::Request::Sqs(sqs::Request::ReceiveMessage(request)) = request else { return None };
    let queue = named(cx, &request.queue_url).ok()?;
    let seconds = request.wait_time_seconds.map_or(queue.settings.wait_seconds, i64::from);
    let wait = Span::from_secs(seconds);
    (1..=20).contains(&seconds).then(|| LongPoll { queue: queue.name.to_string(), wait })
}

/// Whether the queue's policy lets a service send to it on behalf of `source_arn` (the ARN of an EventBridge rule, for
/// instance). `false` when there is no such queue.
pub(crate) fn may_send(cx: &Engine, service: &str, queue_arn: &str, source_arn: Option<&str>) -> bool {
    let Some(queue) = of_arn(cx, queue_arn) else { return false };
    let policy = queue.settings.policy.as_deref().and_then(|text| Policy::parse(text).ok());
    let account = cx.config.account.as_str();
    let access = Access { service, action: "sqs:SendMessage", resources: &[queue_arn], source_arn, account };
    is_allowed(policy, &access)
}

/// The URL of the queue with that ARN, when it exists.
pub(crate) fn url_of_arn(cx: &Engine, arn: &str) -> Option<String> {
    of_arn(cx, arn).map(|queue| url(cx, &queue.name))
}

fn of_arn<'a>(cx: &'a Engine, text: &str) -> Option<&'a Queue> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "sqs" && arn.region == cx.config.region.name)?;
    (arn.account == cx.config.account).then(|| cx.sqs.queues.get(&Arc::from(arn.resource))).flatten()
}

fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("sqs", name)
}

/// `http://host:port/ACCOUNT/NAME`
fn url(cx: &Engine, name: &str) -> String {
    format!("{}/{}/{name}", cx.config.endpoint, cx.config.account)
}

/// The queue of a URL. Its path counts, whatever name the client has for this host.
fn named<'a>(cx: &'a Engine, url: &str) -> Result<&'a Queue, Refusal> {
    let path =
        url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let mut parts = path.trim_start_matches('/').split('/');
    let (Some(account), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Refusal::of(
            &sqs::INVALID_ADDRESS,
            format!("The address {url} is not valid for this endpoint: a queue URL ends with /ACCOUNT/NAME."),
        ));
    };
    let queue = cx.sqs.queues.get(&Arc::from(name)).filter(|_| account == cx.config.account);
    queue.ok_or_else(no_queue)
}

/// The queue that a call is about; the call keeps it active.
fn key(cx: &mut Engine, url: &str) -> Result<Arc<str>, Refusal> {
    let name = named(cx, url).map(|queue| Arc::clone(&queue.name))?;
    metrics::touch(cx, &name);
    Ok(name)
}

fn no_queue() -> Refusal {
    Refusal::of(&sqs::QUEUE_DOES_NOT_EXIST, "The specified queue does not exist.")
}

/// Codes that the model does not list keep their old name for older clients and have a longer one in JSON.
fn invalid_value(message: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::new("InvalidParameterValue", message);
    refusal.shape = "InvalidParameterValueException".into();
    refusal
}

fn missing(name: &str) -> Refusal {
    let mut refusal =
        Refusal::new("MissingParameter", format!("The request must contain the parameter {name}."));
    refusal.shape = "MissingRequiredParameterException".into();
    refusal
}

/// A number of a request that must lie in a range.
fn in_range(
    value: Option<i32>,
    name: &str,
    range: std::ops::RangeInclusive<i32>,
) -> Result<Option<i32>, Refusal> {
    match value {
        Some(value) if !range.contains(&value) => Err(invalid_value(format!(
            "Value {value} for parameter {name} is invalid. Reason: Must be between {} and {}, if provided.",
            range.start(),
            range.end()
        ))),
        _ => Ok(value),
    }
}
