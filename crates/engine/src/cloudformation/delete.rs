//! DeleteStack.

use std::collections::BTreeSet;

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{DeleteStackRequest, DeleteStackResponse, StackStatus};

use super::rows::OperationKind;
use super::{definition, event, operation, output, stack};
use crate::{Caller, Engine};

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteStackRequest,
) -> Result<DeleteStackResponse, Refusal> {
    // Deleting what does not exist, or not any more, is fine.
    let Some(id) = stack::find(cx, &request.stack_name) else { return Ok(DeleteStackResponse {}) };
    let Some(row) = cx.cloudformation.stacks.get(&id) else { return Ok(DeleteStackResponse {}) };
    if !row.is_live() || row.status == StackStatus::DeleteInProgress {
        return Ok(DeleteStackResponse {});
    }
    if row.settings.termination_protection {
        return Err(definition::invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            row.name
        )));
    }
    let retained: BTreeSet<String> = request.retain_resources.into_iter().flatten().collect();
    if !retained.is_empty() && row.status != StackStatus::DeleteFailed {
        return Err(definition::invalid(format!(
            "Invalid operation on stack [{id}]. RetainResources may be given only for a stack in DELETE_FAILED."
        )));
    }
    match row.status {
        // Only the operation that is under way may touch the resources.
        StackStatus::UpdateInProgress
        | StackStatus::UpdateCompleteCleanupInProgress
        | StackStatus::UpdateRollbackInProgress
        | StackStatus::UpdateRollbackCompleteCleanupInProgress => {
            return Err(definition::invalid(format!(
                "Stack [{}] cannot be deleted while in status {}",
                row.name, row.status
            )));
        }
        _ => {}
    }
    let exports: Vec<String> = row.outputs.iter().filter_map(|output| output.export.clone()).collect();
    if row.status == StackStatus::CreateInProgress {
        super::deploy::cancel_work(cx, &id);
    }
    stack::start_cleanup(cx, &id, OperationKind::Delete, request.client_request_token, retained);
    event::stack(cx, &id, StackStatus::DeleteInProgress, Some("User Initiated".to_owned()));
    match exports.iter().find_map(|export| output::in_use(cx, export, "deleted").err()) {
        Some(reason) => operation::end(cx, &id, StackStatus::DeleteFailed, Some(reason)),
        None => operation::doom_all(cx, &id),
    }
    Ok(DeleteStackResponse {})
}
