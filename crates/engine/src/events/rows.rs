//! The rows of the EventBridge tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::events as shapes;
use serde_json::Value as Json;

use super::pattern::Pattern;
use crate::kernel::{NoIndex, Row};
use crate::schedule::Schedule;

/// An event bus. Services put their events on `default`.
#[derive(Clone, Debug)]
pub struct Bus {
    pub name: Arc<str>,
    pub description: Option<String>,
    pub kms_key: Option<String>,
    pub dead_letter: Option<shapes::DeadLetterConfig>,
    pub log: Option<shapes::LogConfig>,
    pub tags: BTreeMap<String, String>,
    pub created_at: Time,
    pub modified_at: Time,
}

impl Row for Bus {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "events.buses";
    fn key(&self) -> Arc<str> {
        self.name.clone()
    }
}

/// Rules are named within their bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    pub bus: Arc<str>,
    pub name: Arc<str>,
}

/// A rule and its targets.
#[derive(Clone, Debug)]
pub struct Rule {
    pub key: RuleKey,
    pub state: shapes::RuleState,
    /// As it was given.
    pub event_pattern: Option<String>,
    pub(super) pattern: Option<Arc<Pattern>>,
    /// As it was given.
    pub schedule_expression: Option<String>,
    pub schedule: Option<Schedule>,
    pub description: Option<String>,
    pub role_arn: Option<String>,
    /// The service that made it and alone may change it: `ecs.amazonaws.com`.
    pub managed_by: Option<&'static str>,
    pub tags: BTreeMap<String, String>,
    /// By their ids.
    pub targets: BTreeMap<String, Arc<shapes::Target>>,
    /// From when a rate counts: when the rule was last put or enabled.
    pub began_at: Time,
    /// When the schedule is due next.
    pub fires_at: Option<Time>,
}

impl Rule {
    pub fn is_enabled(&self) -> bool {
        self.state != shapes::RuleState::Disabled
    }

    /// Counts its schedule from now on.
    pub(super) fn begin(&mut self, now: Time) {
        self.began_at = now;
        let schedule = self.schedule.as_ref().filter(|_| self.is_enabled());
        self.fires_at = schedule.and_then(|schedule| schedule.next(now, now));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleIndex {
    /// Every rule of a bus.
    Bus(Arc<str>),
    /// Enabled rules with a pattern on a bus. Not those that a service manages: it hears what it needs from the kernel.
    Listening(Arc<str>),
}

impl Row for Rule {
    type Key = RuleKey;
    type Index = RuleIndex;
    const TABLE: &'static str = "events.rules";
    fn key(&self) -> RuleKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.key.bus, self.key.name))
    }
    fn deadline(&self) -> Option<Time> {
        self.fires_at
    }
    fn index(&self, put: &mut dyn FnMut(RuleIndex)) {
        put(RuleIndex::Bus(self.key.bus.clone()));
        if self.is_enabled() && self.pattern.is_some() && self.managed_by.is_none() {
            put(RuleIndex::Listening(self.key.bus.clone()));
        }
    }
}

/// An event on its way to a target.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Deliveries of one moment happen in this order.
    pub serial: u64,
    pub rule: RuleKey,
    /// As it was when the rule matched.
    pub target: Arc<shapes::Target>,
    pub event: Arc<Json>,
    /// What the target gets.
    pub payload: String,
    /// The event's own time.
    pub time: Time,
    /// It came from another bus.
    pub forwarded: bool,
    pub accepted_at: Time,
    /// How often it was tried again.
    pub retries: i32,
    pub due_at: Time,
}

impl Row for Delivery {
    type Key = u64;
    type Index = NoIndex;
    const TABLE: &'static str = "events.deliveries";
    fn key(&self) -> u64 {
        self.serial
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.due_at)
    }
}
