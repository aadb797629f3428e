//! Rows of SQS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::sqs::MessageAttributeValue;

use super::Settings;
use crate::kernel::{NoIndex, Row};

/// Expired messages are taken away at whole minutes; nobody receives them before that either.
const SWEEP: Span = Span::from_mins(1);

#[derive(Clone, Debug)]
pub struct Queue {
    pub name: Arc<str>,
    pub created: Time,
    pub modified: Time,
    pub settings: Settings,
    pub tags: BTreeMap<String, String>,
    pub purged: Option<Time>,
    /// By serial number.
    pub messages: BTreeMap<u64, Message>,
    /// When each message can be received next, and its serial.
    pub visible: BTreeSet<(Time, u64)>,
    /// When each message was sent, and its serial.
    pub sent: BTreeSet<(Time, u64)>,
    /// Of bodies and attributes.
    pub bytes: u64,
    /// Of the present minute.
    pub traffic: Traffic,
    /// Until then metrics are published each minute, because of the latest call to the queue.
    pub active_until: Time,
    /// When the next metrics go out; `None` while the queue is inactive.
    pub measured_at: Option<Time>,
}

/// What happened to a queue in a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages that were sent, by their size in bytes.
    pub sent: BTreeMap<u64, u64>,
    pub received: u64,
    pub deleted: u64,
    pub empty_receives: u64,
}

/// Messages of a queue by what can be done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They can be received.
    pub visible: u64,
    /// They were received, and their visibility timeout is not over.
    pub in_flight: u64,
    /// They were sent with a delay that is not over.
    pub delayed: u64,
}

impl Queue {
    pub fn counts(&self, now: Time) -> Counts {
        let mut counts = Counts::default();
        for message in self.messages.values() {
            match (message.visible_at <= now, message.received) {
                (true, _) => counts.visible += 1,
                (false, Some(_)) => counts.in_flight += 1,
                (false, None) => counts.delayed += 1,
            }
        }
        counts
    }

    /// Messages sent before this moment have expired.
    pub fn kept_since(&self, now: Time) -> Time {
        now - Span::from_secs(self.settings.retention_seconds)
    }

    pub(super) fn add(&mut self, message: Message) {
        self.bytes += message.bytes();
        self.visible.insert((message.visible_at, message.serial));
        self.sent.insert((message.sent, message.serial));
        self.messages.insert(message.serial, message);
    }

    pub(super) fn take(&mut self, serial: u64) -> Option<Message> {
        let message = self.messages.remove(&serial)?;
        self.bytes -= message.bytes();
        self.visible.remove(&(message.visible_at, serial));
        self.sent.remove(&(message.sent, serial));
        Some(message)
    }

    /// Moves the moment from which a message can be received.
    pub(super) fn show_at(&mut self, serial: u64, at: Time) -> Option<&mut Message> {
        let message = self.messages.get_mut(&serial)?;
        self.visible.remove(&(message.visible_at, serial));
        self.visible.insert((at, serial));
        message.visible_at = at;
        Some(message)
    }
}

impl Row for Queue {
    type Key = Arc<str>;
    /// The name of the dead-letter queue.
    type Index = Arc<str>;
    const TABLE: &'static str = "sqs.queues";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn deadline(&self) -> Option<Time> {
        // The sweep removes what was sent before the cut, hence a little later than the very moment.
        let sweep = self.sent.first().map(|(oldest, _)| {
            (*oldest + Span::from_secs(self.settings.retention_seconds)).next_multiple(SWEEP)
                + Span::from_micros(1)
        });
        sweep.into_iter().chain(self.measured_at).min()
    }

    fn index(&self, put: &mut dyn FnMut(Arc<str>)) {
        if let Some(redrive) = &self.settings.redrive {
            put(Arc::clone(&redrive.queue));
        }
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub serial: u64,
    pub id: String,
    pub body: Arc<str>,
    pub attributes: BTreeMap<String, MessageAttributeValue>,
    /// `AWSTraceHeader`
    pub trace_header: Option<String>,
    pub sender_id: String,
    pub sent: Time,
    /// When it came into this queue: later than it was sent, in a dead-letter queue.
    pub arrived: Time,
    pub visible_at: Time,
    pub first_received: Option<Time>,
    /// The latest receive: its moment and the number in its receipt handle.
    pub received: Option<(Time, u64)>,
    pub receive_count: u32,
    /// ARN of the queue that it came from, in a dead-letter queue.
    pub dead_letter_source: Option<String>,
}

impl Message {
    /// Body and attributes with their names and types, as the limit counts them (Developer Guide, message quotas).
    pub fn bytes(&self) -> u64 {
        super::send::bytes(&self.body, &self.attributes)
    }

    /// Somebody has received it and its visibility timeout is not over.
    pub fn is_in_flight(&self, now: Time) -> bool {
        self.visible_at > now && self.received.is_some()
    }
}

/// The name of a queue that was deleted: for 60 seconds no other one can have it.
#[derive(Clone, Debug)]
pub struct DeletedQueue {
    pub name: Arc<str>,
    pub free_at: Time,
}

impl Row for DeletedQueue {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "sqs.deleted";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn resource(&self) -> Option<String> {
        None
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.free_at)
    }
}
