//! What is left over is deleted, dependents first, independent ones side by side.

use capstan_model::Span;
use capstan_shapes::cloudformation::{ResourceStatus, StackStatus};
use capstan_template::DeletionPolicy;

use super::resource::Progress;
use super::rows::{Doom, Doomed, OperationKind, StackId};
use super::{deploy, event, failure, operation, types};
use crate::Engine;

/// What has not gone by then fails to be deleted (our reading).
const GONE_WITHIN: Span = Span::from_hours(1);
/// How long a deletion is tried again while something uses the resource (our reading).
const IN_USE_WITHIN: Span = Span::from_mins(10);

/// Goes once over what is to be deleted. `true` when something moved.
pub(super) fn pass(cx: &mut Engine, id: &StackId) -> bool {
    let Some(operation) = operation::of(cx, id) else { return false };
    let count = operation.doomed.len();
    let mut moved = false;
    for at in 0..count {
        let Some(operation) = operation::of(cx, id) else { return moved };
        let doomed = &operation.doomed[at];
        match doomed.state {
            Doom::Deleting(_) => moved |= delete(cx, id, at),
            Doom::Waiting if is_free(&operation.doomed, at) => {
                begin(cx, id, at);
                moved = true;
            }
            Doom::Waiting | Doom::Failed | Doom::Gone => {}
        }
    }
    operation::edit(cx, id, |operation| operation.doomed.retain(|doomed| doomed.state != Doom::Gone));
    let Some(operation) = operation::of(cx, id) else { return moved };
    if !operation.doomed.iter().any(|doomed| matches!(doomed.state, Doom::Deleting(_))) && !moved {
        finish(cx, id);
        return true;
    }
    moved
}

/// Nothing that is still there was made with it.
fn is_free(doomed: &[Doomed], at: usize) -> bool {
    let logical_id = &doomed[at].logical_id;
    !doomed.iter().enumerate().any(|(other, row)| {
        other != at && row.state != Doom::Gone && row.made.depends_on.contains(logical_id)
    })
}

fn begin(cx: &mut Engine, id: &StackId, at: usize) {
    let Some(operation) = operation::of(cx, id) else { return };
    let doomed = operation.doomed[at].clone();
    let is_create = operation.kind == OperationKind::Create;
    let keeps = operation.skip.contains(&doomed.logical_id)
        || match doomed.made.deletion_policy {
            DeletionPolicy::Retain => true,
            // Kept, but not by the rollback of the operation that made it.
            DeletionPolicy::RetainExceptOnCreate => !is_create,
            DeletionPolicy::Delete | DeletionPolicy::Snapshot => false,
        };
    if keeps {
        tell(cx, id, &doomed, ResourceStatus::DeleteSkipped, None);
        leave(cx, id, &doomed);
        return set(cx, id, at, Doom::Gone);
    }
    tell(cx, id, &doomed, ResourceStatus::DeleteInProgress, None);
    let now = cx.now;
    set(cx, id, at, Doom::Deleting(now));
    delete(cx, id, at);
}

/// Asks the handler. `true` when the resource has gone or cannot be deleted.
fn delete(cx: &mut Engine, id: &StackId, at: usize) -> bool {
    let Some(operation) = operation::of(cx, id) else { return false };
    let doomed = operation.doomed[at].clone();
    let Doom::Deleting(since) = doomed.state else { return false };
    let waited = cx.now - since;
    let resource = deploy::view(cx, id, &doomed.logical_id, &doomed.made);
    let progress = match doomed.made.physical_id.as_str() {
        "" => Ok(Progress::Done),
        _ => (types::of(&doomed.made.resource_type).delete)(cx, &resource),
    };
    let reason = match progress {
        Ok(Progress::Done) => return gone(cx, id, at, &doomed),
        Err(refusal) if failure::is_absent(&refusal) => return gone(cx, id, at, &doomed),
        Ok(Progress::InProgress) if waited < GONE_WITHIN => return false,
        Ok(Progress::InProgress) => failure::not_stabilized(&doomed.made.token),
        Err(refusal) if failure::is_in_use(&refusal) && waited < IN_USE_WITHIN => return false,
        Err(refusal) => failure::reason(&refusal, &doomed.made.token),
    };
    tell(cx, id, &doomed, ResourceStatus::DeleteFailed, Some(reason));
    set(cx, id, at, Doom::Failed);
    true
}

fn gone(cx: &mut Engine, id: &StackId, at: usize, doomed: &Doomed) -> bool {
    tell(cx, id, doomed, ResourceStatus::DeleteComplete, None);
    leave(cx, id, doomed);
    set(cx, id, at, Doom::Gone);
    true
}

/// The stack does not have the resource any more.
fn leave(cx: &mut Engine, id: &StackId, doomed: &Doomed) {
    let key = (StackId::clone(id), doomed.logical_id.clone());
    if let Some(mut row) = cx.cloudformation.resources.edit(&key)
        && row.made.as_ref().is_some_and(|made| made.physical_id == doomed.made.physical_id)
    {
        row.made = None;
    }
}

fn set(cx: &mut Engine, id: &StackId, at: usize, state: Doom) {
    operation::edit(cx, id, |operation| operation.doomed[at].state = state);
}

/// Tells what happens to a doomed resource. The row follows only when it is about what stands under that name.
fn tell(cx: &mut Engine, id: &StackId, doomed: &Doomed, status: ResourceStatus, reason: Option<String>) {
    let now = cx.now;
    let key = (StackId::clone(id), doomed.logical_id.clone());
    if let Some(mut row) = cx.cloudformation.resources.edit(&key)
        && row.made.as_ref().is_none_or(|made| made.physical_id == doomed.made.physical_id)
    {
        row.status = status;
        row.reason.clone_from(&reason);
        row.changed = now;
    }
    let happened = event::Happened {
        logical_id: &doomed.logical_id,
        physical_id: &doomed.made.physical_id,
        resource_type: &doomed.made.resource_type,
        status,
        reason,
        properties: None,
    };
    event::resource(cx, id, happened);
}

/// Nothing more can be deleted. The status tells which clean-up it was.
fn finish(cx: &mut Engine, id: &StackId) {
    let Some(stack) = cx.cloudformation.stacks.get(id) else { return };
    let failed: Vec<&str> = stack
        .operation
        .iter()
        .flat_map(|operation| &operation.doomed)
        .filter(|doomed| doomed.state == Doom::Failed)
        .map(|doomed| doomed.logical_id.as_str())
        .collect();
    let complete = failed.is_empty();
    let reason =
        (!complete).then(|| format!("The following resource(s) failed to delete: [{}]. ", failed.join(", ")));
    let (status, reason) = match (stack.status, complete) {
        (StackStatus::DeleteInProgress, true) => (StackStatus::DeleteComplete, None),
        (StackStatus::DeleteInProgress, false) => (StackStatus::DeleteFailed, reason),
        (StackStatus::RollbackInProgress, true) => (StackStatus::RollbackComplete, None),
        (StackStatus::RollbackInProgress, false) => (StackStatus::RollbackFailed, reason),
        // What an update leaves over and cannot delete is forgotten, as CloudFormation does.
        (StackStatus::UpdateRollbackCompleteCleanupInProgress, _) => {
            (StackStatus::UpdateRollbackComplete, None)
        }
        _ => (StackStatus::UpdateComplete, None),
    };
    if matches!(status, StackStatus::UpdateComplete | StackStatus::UpdateRollbackComplete) {
        let wanted = stack.operation.iter().flat_map(|operation| operation.dependencies.keys());
        let wanted: std::collections::BTreeSet<String> = wanted.cloned().collect();
        let gone: Vec<String> = operation::resources(cx, id)
            .filter(|row| !wanted.contains(&row.logical_id))
            .map(|row| row.logical_id.clone())
            .collect();
        for logical_id in gone {
            cx.cloudformation.resources.remove(&(StackId::clone(id), logical_id));
        }
    }
    operation::end(cx, id, status, reason);
}
