//! Rows of task definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Resources, Time};
use capstan_shapes::ecs as shapes;

use super::*;
use crate::kernel::{NoIndex, Row};

/// Family and revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskDefinitionKey {
    pub family: Name,
    pub revision: i32,
}

#[derive(Clone, Debug)]
pub struct TaskDefinition {
    pub key: TaskDefinitionKey,
    /// As registered, with the defaults that ECS fills in; described as it stands.
    pub shape: Arc<shapes::TaskDefinition>,
    /// What a task of it takes by itself, overrides aside.
    pub needs: TaskNeeds,
    pub tags: BTreeMap<String, String>,
    /// When a revision in deletion is looked at again, to go if nothing uses it.
    pub forget_at: Option<Time>,
}

/// A family of task definitions: it knows the revision numbers that are used up.
#[derive(Clone, Debug)]
pub struct Family {
    pub name: Name,
    pub latest: i32,
}

impl Row for Family {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.families";
    fn key(&self) -> Name {
        self.name.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// What placement asks of an instance for one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskNeeds {
    pub resources: Resources,
    /// Fixed host ports.
    pub tcp_ports: BTreeSet<u16>,
    pub udp_ports: BTreeSet<u16>,
    /// Attributes that the instance must have (`requiresAttributes`), name and value when one is asked for.
    pub attributes: BTreeMap<String, Option<String>>,
    /// `awsvpc`: one network interface.
    pub interface: bool,
}

impl Row for TaskDefinition {
    type Key = TaskDefinitionKey;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.task_definitions";
    fn key(&self) -> TaskDefinitionKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        let active = self.shape.status == Some(shapes::TaskDefinitionStatus::Active);
        active.then(|| format!("{}:{}", self.key.family, self.key.revision))
    }
    fn deadline(&self) -> Option<Time> {
        self.forget_at
    }
}
