//! Scheduled actions and notification configurations.

use std::collections::BTreeSet;

use capstan_model::Time;

use super::Name;
use crate::kernel::{NoIndex, Row};
use crate::schedule::{Cron, Zone};

/// Sizes that a group is given at certain times.
#[derive(Clone, Debug)]
pub struct ScheduledAction {
    pub group: Name,
    pub name: Name,
    /// `arn:aws:autoscaling:R:A:scheduledUpdateGroupAction:UUID:autoScalingGroupName/GROUP:scheduledActionName/NAME`
    pub arn: Name,
    pub min: Option<i32>,
    pub max: Option<i32>,
    pub desired: Option<i32>,
    pub start: Option<Time>,
    pub end: Option<Time>,
    /// As written, and as read; `None` happens once.
    pub recurrence: Option<(String, Box<Cron>)>,
    /// As written, and as read.
    pub zone: Option<(String, Zone)>,
    pub fires_at: Time,
}

impl Row for ScheduledAction {
    type Key = (Name, Name);
    /// The group.
    type Index = Name;
    const TABLE: &'static str = "autoscaling.scheduled_actions";
    fn key(&self) -> (Name, Name) {
        (self.group.clone(), self.name.clone())
    }
    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.group, self.name))
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.fires_at)
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.group.clone());
    }
}

/// What of a group is to be told to a topic.
#[derive(Clone, Debug)]
pub struct Notification {
    pub group: Name,
    /// ARN.
    pub topic: Name,
    /// `autoscaling:EC2_INSTANCE_LAUNCH` …
    pub types: BTreeSet<String>,
}

impl Row for Notification {
    type Key = (Name, Name);
    type Index = NoIndex;
    const TABLE: &'static str = "autoscaling.notifications";
    fn key(&self) -> (Name, Name) {
        (self.group.clone(), self.topic.clone())
    }
    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.group, self.topic))
    }
}
