//! Rows of CloudFormation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::cloudformation::{
    Capability, Change, ChangeSetStatus, ExecutionStatus, OnStackFailure, OperationEntry, ResourceStatus,
    RollbackConfiguration, StackStatus,
};
use capstan_template::{Arguments, DeletionPolicy, Template};
use serde_json::{Map, Value as Json};

use crate::kernel::Row;

/// Deleted stacks are described, by their ARN, for so long (CloudFormation guide, deleted stacks).
const DELETED_KEPT: Span = Span::from_hours(90 * 24);

/// ARN of a stack.
pub type StackId = Arc<str>;

/// What somebody wants a stack to be: a template, and what fills it in.
#[derive(Clone, Debug)]
pub struct Definition {
    /// As it was sent.
    pub text: Arc<str>,
    pub description: Option<String>,
    pub arguments: Arguments,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub struct Stack {
    pub id: StackId,
    pub name: String,
    pub status: StackStatus,
    pub status_reason: Option<String>,
    pub created: Time,
    pub updated: Option<Time>,
    pub deleted: Option<Time>,
    /// What is deployed, or was last tried; empty while the stack is only a change set's.
    pub definition: Option<Definition>,
    /// What was deployed last without failing: what a rollback goes back to.
    pub stable: Option<Definition>,
    pub settings: Settings,
    pub outputs: Vec<Output>,
    /// Names of other stacks' exports that the template uses.
    pub imports: BTreeSet<String>,
    /// ARN of the change set that was executed last.
    pub change_set: Option<String>,
    pub last_operations: Vec<OperationEntry>,
    /// What is being done to it.
    pub operation: Option<Box<Operation>>,
    /// Events that ever were.
    pub events: u32,
}

impl Stack {
    /// Whether its name is taken: a deleted stack's is free.
    pub fn is_live(&self) -> bool {
        self.status != StackStatus::DeleteComplete
    }
}

/// ARN of a change set.
pub(super) type ChangeSetId = Arc<str>;

/// A definition that was shown, to be deployed or not.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    pub id: ChangeSetId,
    pub name: String,
    pub stack: StackId,
    pub created: Time,
    pub status: ChangeSetStatus,
    pub reason: Option<String>,
    pub execution: ExecutionStatus,
    pub description: Option<String>,
    pub definition: Definition,
    /// What the stack's settings become.
    pub settings: Settings,
    pub on_failure: Option<OnStackFailure>,
    pub include_nested_stacks: bool,
    /// With everything that IncludePropertyValues shows.
    pub changes: Vec<Change>,
    /// The caller's, against making it twice.
    pub token: Option<String>,
}

/// What a change set can be found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeSetIndex {
    Stack(StackId),
    Name(StackId, String),
}

impl Row for ChangeSet {
    type Key = ChangeSetId;
    type Index = ChangeSetIndex;
    const TABLE: &'static str = "cloudformation.change_sets";

    fn key(&self) -> ChangeSetId {
        Arc::clone(&self.id)
    }

    fn index(&self, put: &mut dyn FnMut(ChangeSetIndex)) {
        put(ChangeSetIndex::Stack(Arc::clone(&self.stack)));
        put(ChangeSetIndex::Name(Arc::clone(&self.stack), self.name.clone()));
    }
}

/// What callers say about a stack besides its template.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub capabilities: Vec<Capability>,
    /// A create or update that fails stays as it is.
    pub disable_rollback: bool,
    /// A create that fails deletes the stack.
    pub delete_on_failure: bool,
    pub notification_arns: Vec<String>,
    pub role_arn: Option<String>,
    pub rollback_configuration: Option<RollbackConfiguration>,
    pub termination_protection: bool,
    /// Minutes.
    pub timeout: Option<i32>,
    /// JSON: what updates must not touch.
    pub policy: Option<String>,
    /// JSON: instead of the policy, for the update that is under way.
    pub policy_during_update: Option<String>,
}

/// A value that a stack tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub key: String,
    pub value: String,
    pub description: Option<String>,
    /// Under which name other stacks import it.
    pub export: Option<String>,
}

/// What a stack can be found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StackIndex {
    /// Name of a stack that is not deleted.
    Name(String),
    Export(String),
    Import(String),
}

impl Row for Stack {
    type Key = StackId;
    type Index = StackIndex;
    const TABLE: &'static str = "cloudformation.stacks";

    fn key(&self) -> StackId {
        Arc::clone(&self.id)
    }

    fn deadline(&self) -> Option<Time> {
        match &self.operation {
            Some(operation) => Some(operation.look_at),
            None => self.deleted.map(|deleted| deleted + DELETED_KEPT),
        }
    }

    fn resource(&self) -> Option<String> {
        self.is_live().then(|| self.name.clone())
    }

    fn index(&self, put: &mut dyn FnMut(StackIndex)) {
        if !self.is_live() {
            return;
        }
        put(StackIndex::Name(self.name.clone()));
        for export in self.outputs.iter().filter_map(|output| output.export.clone()) {
            put(StackIndex::Export(export));
        }
        for import in &self.imports {
            put(StackIndex::Import(import.clone()));
        }
    }
}

/// What is being done to a stack.
#[derive(Clone, Debug)]
pub struct Operation {
    pub kind: OperationKind,
    pub phase: Phase,
    pub id: String,
    /// The caller's token, shown with each event.
    pub token: Option<String>,
    /// Towards which resources are brought.
    pub template: Arc<Template>,
    pub conditions: BTreeMap<String, bool>,
    /// Resources that were not looked at yet.
    pub pending: BTreeSet<String>,
    /// The resources that exist under the conditions, each with what it needs first.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
    /// Resources that failed, in order, and whether they were to be created.
    pub failed: Vec<(String, Failed)>,
    /// What is to be deleted.
    pub doomed: Vec<Doomed>,
    /// Somebody called CancelUpdateStack, or time is up: why.
    pub stop: Option<String>,
    /// When a create takes too long.
    pub until: Option<Time>,
    /// Logical ids that a rollback leaves as they are, or that a delete keeps.
    pub skip: BTreeSet<String>,
    pub look_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resources are created and updated, dependencies first.
    Deploy,
    /// An update's resources are brought back.
    Rollback,
    /// What the deployment, the rollback or the deletion leaves over is deleted, dependents first.
    Cleanup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Create,
    Update,
}

/// Something that was made and shall go.
#[derive(Clone, Debug)]
pub struct Doomed {
    pub logical_id: String,
    pub made: Made,
    pub state: Doom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    /// Until what depends on it has gone.
    Waiting,
    /// Its deletion began then.
    Deleting(Time),
    /// Deleted, or kept on purpose.
    Gone,
    Failed,
}

/// A resource of a stack, in whatever state.
#[derive(Clone, Debug)]
pub struct StackResource {
    pub stack: StackId,
    pub logical_id: String,
    /// As the template says.
    pub resource_type: String,
    pub status: ResourceStatus,
    pub reason: Option<String>,
    pub changed: Time,
    /// What stands.
    pub made: Option<Made>,
    /// What stood before the running update touched it.
    pub before: Option<Before>,
    pub work: Option<Work>,
    /// JSON of the template's `Metadata`.
    pub metadata: Option<Json>,
}

/// A physical resource, and what it was made of.
#[derive(Clone, Debug)]
pub struct Made {
    pub resource_type: String,
    pub physical_id: String,
    pub properties: Map<String, Json>,
    pub attributes: Map<String, Json>,
    /// The stack's tags.
    pub tags: BTreeMap<String, String>,
    /// Logical ids.
    pub depends_on: BTreeSet<String>,
    pub deletion_policy: DeletionPolicy,
    pub update_replace_policy: DeletionPolicy,
    pub creation_policy: Json,
    pub update_policy: Json,
    pub token: String,
    /// The properties as events show them: JSON.
    pub shown: Arc<str>,
    /// Whether it is known to be as `properties` say: not while an update is under way, and not after it has failed.
    pub certain: bool,
}

/// What an update found when it began with a resource.
#[derive(Clone, Debug)]
pub enum Before {
    Nothing,
    /// It is being changed in place.
    Updated(Box<Made>),
    /// A new one takes its place.
    Replaced(Box<Made>),
}

/// A create or update under way: the calls were made, the resource is not stable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub what: Failed,
    pub since: Time,
}

impl Row for StackResource {
    type Key = (StackId, String);
    /// The physical id.
    type Index = String;
    const TABLE: &'static str = "cloudformation.resources";

    fn key(&self) -> (StackId, String) {
        (Arc::clone(&self.stack), self.logical_id.clone())
    }

    fn resource(&self) -> Option<String> {
        let made = self.made.as_ref()?;
        let stack = self.stack.rsplit('/').nth(1)?;
        Some(format!("{stack}/{}: {}", self.logical_id, made.physical_id))
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        if let Some(made) = &self.made {
            put(made.physical_id.clone());
        }
    }
}

/// One line of a stack's history.
#[derive(Clone, Debug)]
pub struct StackEvent {
    pub stack: StackId,
    /// Counted from 1.
    pub number: u32,
    pub id: String,
    pub time: Time,
    pub logical_id: String,
    pub physical_id: String,
    pub resource_type: String,
    pub status: ResourceStatus,
    pub reason: Option<String>,
    /// JSON.
    pub properties: Option<Arc<str>>,
    pub token: Option<String>,
    pub operation: Option<String>,
}

impl Row for StackEvent {
    type Key = (StackId, u32);
    type Index = crate::kernel::NoIndex;
    const TABLE: &'static str = "cloudformation.events";

    fn key(&self) -> (StackId, u32) {
        (Arc::clone(&self.stack), self.number)
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// What SignalResource said about a resource.
#[derive(Clone, Debug)]
pub struct Signal {
    pub stack: StackId,
    pub logical_id: String,
    /// Of the sender: an instance id, usually.
    pub unique_id: String,
    pub success: bool,
    /// What a wait condition's signal brought.
    pub data: Option<String>,
    pub reason: Option<String>,
    pub time: Time,
}

impl Row for Signal {
    type Key = (StackId, String, String);
    type Index = crate::kernel::NoIndex;
    const TABLE: &'static str = "cloudformation.signals";

    fn key(&self) -> (StackId, String, String) {
        (Arc::clone(&self.stack), self.logical_id.clone(), self.unique_id.clone())
    }

    fn resource(&self) -> Option<String> {
        None
    }
}
