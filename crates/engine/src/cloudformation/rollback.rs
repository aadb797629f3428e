//! What a failure or a cancellation leads to.

use std::collections::BTreeSet;

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    CancelUpdateStackRequest, CancelUpdateStackResponse, ContinueUpdateRollbackRequest,
    ContinueUpdateRollbackResponse, ResourceStatus, RollbackStackRequest, RollbackStackResponse, StackStatus,
};

use super::rows::{Before, Doom, Doomed, Failed, Operation, OperationKind, Phase, StackId, StackResource};
use super::{definition, deploy, event, operation, stack};
use crate::{Caller, Engine};

/// A deployment has failed or was cancelled; a rollback has failed.
pub(super) fn begin(cx: &mut Engine, id: &StackId) {
    deploy::cancel_work(cx, id);
    let Some(row) = cx.cloudformation.stacks.get(id) else { return };
    let Some(operation) = row.operation.as_deref() else { return };
    let reason = reason(operation);
    match (operation.kind, operation.phase) {
        (_, Phase::Rollback) => {
            operation::end(cx, id, StackStatus::UpdateRollbackFailed, Some(reason));
        }
        (OperationKind::Create, _) if row.settings.disable_rollback => {
            operation::end(cx, id, StackStatus::CreateFailed, Some(reason));
        }
        (OperationKind::Create, _) if row.settings.delete_on_failure => {
            event::stack(cx, id, StackStatus::CreateFailed, Some(reason));
            event::stack(cx, id, StackStatus::DeleteInProgress, Some("Delete requested by user.".to_owned()));
            operation::doom_all(cx, id);
        }
        (OperationKind::Create, _) => {
            let reason = format!("{reason}Rollback requested by user.");
            event::stack(cx, id, StackStatus::RollbackInProgress, Some(reason));
            operation::doom_all(cx, id);
        }
        (_, _) if row.settings.disable_rollback => {
            operation::end(cx, id, StackStatus::UpdateFailed, Some(reason));
        }
        (_, _) => {
            event::stack(cx, id, StackStatus::UpdateRollbackInProgress, Some(reason));
            back(cx, id);
        }
    }
}

/// `The following resource(s) failed to create: [A, B]. The following resource(s) failed to update: [C]. `
fn reason(operation: &Operation) -> String {
    let mut text = String::new();
    if let Some(stop) = &operation.stop {
        text.push_str(stop);
        text.push(' ');
    }
    for (what, verb) in [(Failed::Create, "create"), (Failed::Update, "update")] {
        let failed: Vec<&str> = operation
            .failed
            .iter()
            .filter(|(_, failed)| *failed == what)
            .map(|(logical_id, _)| logical_id.as_str())
            .collect();
        if !failed.is_empty() {
            text.push_str(&format!("The following resource(s) failed to {verb}: [{}]. ", failed.join(", ")));
        }
    }
    text
}

/// Turns an update round: from here the previous definition is deployed again. What the update replaced comes back as it
/// was; what it created goes in the clean-up.
fn back(cx: &mut Engine, id: &StackId) {
    let Some(row) = cx.cloudformation.stacks.get(id) else { return };
    let (name, arns) = (row.name.clone(), row.settings.notification_arns.clone());
    let previous = row.stable.clone();
    let prepared = previous.map(|previous| definition::again(cx, id, &name, &arns, previous));
    // A definition that was deployed once has been parsed before.
    let Some(Ok(prepared)) = prepared else {
        return operation::end(cx, id, StackStatus::UpdateRollbackFailed, None);
    };
    let dependencies = operation::dependencies(&prepared).unwrap_or_default();
    let mut doomed = Vec::new();
    let rows: Vec<StackResource> = operation::resources(cx, id).cloned().collect();
    for row in rows {
        let key = (StackId::clone(id), row.logical_id.clone());
        let new =
            row.made.map(|made| Doomed { logical_id: row.logical_id.clone(), made, state: Doom::Waiting });
        match row.before {
            Some(Before::Replaced(old)) => {
                doomed.extend(new);
                let physical_id = old.physical_id.clone();
                if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
                    row.resource_type.clone_from(&old.resource_type);
                    row.made = Some(*old);
                    row.before = None;
                }
                deploy::set(cx, id, &row.logical_id, &physical_id, ResourceStatus::UpdateComplete, None);
            }
            // What never got a physical id leaves nothing to delete.
            Some(Before::Nothing) if new.is_none() => {
                cx.cloudformation.resources.remove(&key);
            }
            // The rest follows when the previous definition is deployed, or goes with what is left over.
            Some(Before::Nothing | Before::Updated(_)) | None => {}
        }
    }
    let Some(mut stack) = cx.cloudformation.stacks.edit(id) else { return };
    stack.definition = Some(prepared.definition);
    let Some(operation) = stack.operation.as_deref_mut() else { return };
    operation.phase = Phase::Rollback;
    operation.template = prepared.template;
    operation.conditions = prepared.conditions;
    operation.pending = dependencies.keys().cloned().collect();
    operation.dependencies = dependencies;
    operation.failed.clear();
    operation.stop = None;
    operation.doomed.extend(doomed);
}

pub(super) fn cancel(
    cx: &mut Engine,
    _caller: &Caller,
    request: CancelUpdateStackRequest,
) -> Result<CancelUpdateStackResponse, Refusal> {
    let id = stack::live(cx, &request.stack_name)?;
    let is_update =
        cx.cloudformation.stacks.get(&id).is_some_and(|stack| stack.status == StackStatus::UpdateInProgress);
    if !is_update {
        return Err(definition::invalid(
            "CancelUpdateStack cannot be called from current stack status; only a stack in UPDATE_IN_PROGRESS can \
             be cancelled",
        ));
    }
    let now = cx.now;
    operation::edit(cx, &id, |operation| {
        operation.stop = Some("User Initiated".to_owned());
        operation.look_at = now;
    });
    Ok(CancelUpdateStackResponse {})
}

pub(super) fn continue_rollback(
    cx: &mut Engine,
    _caller: &Caller,
    request: ContinueUpdateRollbackRequest,
) -> Result<ContinueUpdateRollbackResponse, Refusal> {
    let id = stack::live(cx, &request.stack_name)?;
    let status = cx.cloudformation.stacks.get(&id).map(|stack| stack.status);
    if status != Some(StackStatus::UpdateRollbackFailed) {
        return Err(definition::invalid(format!(
            "Stack:{id} is in {} state and can not be continued; only UPDATE_ROLLBACK_FAILED can.",
            status.map(StackStatus::as_str).unwrap_or_default()
        )));
    }
    let skip: BTreeSet<String> = request.resources_to_skip.into_iter().flatten().collect();
    if let Some(unknown) =
        skip.iter().find(|name| !operation::resources(cx, &id).any(|row| row.logical_id == **name))
    {
        return Err(definition::invalid(format!("Resource {unknown} does not exist in stack {id}")));
    }
    again(cx, &id, request.client_request_token, skip)?;
    Ok(ContinueUpdateRollbackResponse {})
}

pub(super) fn rollback(
    cx: &mut Engine,
    _caller: &Caller,
    request: RollbackStackRequest,
) -> Result<RollbackStackResponse, Refusal> {
    let id = stack::live(cx, &request.stack_name)?;
    let status = cx.cloudformation.stacks.get(&id).map(|stack| stack.status);
    match status {
        Some(StackStatus::CreateFailed) => {
            stack::start_cleanup(
                cx,
                &id,
                OperationKind::Create,
                request.client_request_token,
                BTreeSet::new(),
            );
            let reason = Some("User Initiated".to_owned());
            event::stack(cx, &id, StackStatus::RollbackInProgress, reason);
            operation::doom_all(cx, &id);
        }
        Some(StackStatus::UpdateFailed | StackStatus::UpdateRollbackFailed) => {
            again(cx, &id, request.client_request_token, BTreeSet::new())?;
        }
        _ => {
            return Err(definition::invalid(format!(
                "Stack:{id} is in {} state and can not be rolled back.",
                status.map(StackStatus::as_str).unwrap_or_default()
            )));
        }
    }
    Ok(RollbackStackResponse { stack_id: Some(id.to_string()), operation_id: None })
}

/// Brings the stack's resources to its last stable definition once more.
fn again(
    cx: &mut Engine,
    id: &StackId,
    token: Option<String>,
    skip: BTreeSet<String>,
) -> Result<(), Refusal> {
    let Some(row) = cx.cloudformation.stacks.get(id) else { return Ok(()) };
    let (name, arns) = (row.name.clone(), row.settings.notification_arns.clone());
    let stable = row.stable.clone().or_else(|| row.definition.clone());
    let Some(stable) = stable else {
        return Err(definition::invalid(format!(
            "Stack:{id} was never created: there is nothing to go back to."
        )));
    };
    let prepared = definition::again(cx, id, &name, &arns, stable)?;
    operation::deploy(cx, id, OperationKind::Update, Phase::Rollback, prepared, token)?;
    operation::edit(cx, id, |operation| operation.skip = skip);
    back(cx, id);
    Ok(())
}
