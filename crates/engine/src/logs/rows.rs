//! Rows of CloudWatch Logs. Times of events are milliseconds since 1970, as the API has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::logs::LogGroupClass;

use super::EVENT_OVERHEAD_BYTES;
use crate::kernel::{NoIndex, Row};

#[derive(Clone, Debug)]
pub struct LogGroup {
    pub name: Arc<str>,
    pub created: Time,
    /// `None`: events never expire.
    pub retention_days: Option<i32>,
    pub class: LogGroupClass,
    pub kms_key: Option<String>,
    pub deletion_protection: bool,
    pub tags: BTreeMap<String, String>,
}

impl LogGroup {
    /// Events before this moment have expired; `None` when none ever does.
    pub fn kept_since(&self, now: Time) -> Option<Time> {
        self.retention_days.map(|days| now - Span::from_hours(24 * i64::from(days)))
    }
}

impl Row for LogGroup {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "logs.groups";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// One event of a stream.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// When it happened, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its place among all events that ever came.
    pub serial: u64,
    pub ingested: Time,
    pub message: Box<str>,
}

impl LogEvent {
    /// Events are read in this order.
    pub fn place(&self) -> (i64, u64) {
        (self.timestamp, self.serial)
    }

    /// As the service counts them.
    pub fn bytes(&self) -> u64 {
        self.message.len() as u64 + EVENT_OVERHEAD_BYTES
    }

    /// 56 digits, as CloudWatch Logs has them.
    pub fn id(&self) -> String {
        let place = u128::from(self.timestamp.unsigned_abs()) << 64 | u128::from(self.serial);
        format!("{place:056}")
    }
}

#[derive(Clone, Debug)]
pub struct LogStream {
    pub group: Arc<str>,
    pub name: Arc<str>,
    pub created: Time,
    pub last_ingested: Option<Time>,
    /// In the order of [`LogEvent::place`].
    pub events: VecDeque<LogEvent>,
    /// Of `events`.
    pub bytes: u64,
    /// When events will have expired that are to be taken away.
    pub expires: Option<Time>,
}

impl Row for LogStream {
    type Key = (Arc<str>, Arc<str>);
    /// The timestamp of the first event.
    type Index = i64;
    const TABLE: &'static str = "logs.streams";

    fn key(&self) -> Self::Key {
        (Arc::clone(&self.group), Arc::clone(&self.name))
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.group, self.name))
    }

    fn deadline(&self) -> Option<Time> {
        self.expires
    }

    fn index(&self, put: &mut dyn FnMut(i64)) {
        if let Some(first) = self.events.front() {
            put(first.timestamp);
        }
    }
}

/// Whose policy it is: the account's, by name, or one log group's, by ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKey {
    Account(String),
    Resource(String),
}

#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    pub key: PolicyKey,
    pub name: String,
    /// As it was put.
    pub document: String,
    pub updated: Time,
    pub revision: String,
}

impl Row for ResourcePolicy {
    type Key = PolicyKey;
    type Index = NoIndex;
    const TABLE: &'static str = "logs.policies";

    fn key(&self) -> PolicyKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        let (PolicyKey::Account(name) | PolicyKey::Resource(name)) = &self.key();
        Some(name.clone())
    }
}
