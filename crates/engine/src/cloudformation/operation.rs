//! An operation on a stack, from its begin to its end, by repeated looks.
//!
//! Create, update and delete are one machine: a *deployment* brings resources to what a template wants, a *rollback* brings
//! an update's resources back to what the previous template wanted, and a *clean-up* deletes what is then left over. What
//! the end is called follows from the status that the stack has when the clean-up is done.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{OperationEntry, OperationType, StackStatus};

use super::definition::Prepared;
use super::rows::{Doom, Doomed, Operation, OperationKind, Phase, StackId, StackResource};
use super::{change_set, cleanup, definition, deploy, event};
use crate::Engine;

/// How often CloudFormation looks whether a resource has become stable or has gone (our reading).
const LOOK_EVERY: Span = Span::from_secs(1);

/// Begins to create or update the stack, or to bring it back.
pub(super) fn deploy(
    cx: &mut Engine,
    id: &StackId,
    kind: OperationKind,
    phase: Phase,
    prepared: Prepared,
    token: Option<String>,
) -> Result<String, Refusal> {
    let operation_id = cx.chance.uuid("cloudformation.operation");
    let dependencies = dependencies(&prepared)?;
    let now = cx.now;
    let Some(mut stack) = cx.cloudformation.stacks.edit(id) else {
        return Err(definition::invalid(format!("Stack with id {id} does not exist")));
    };
    stack.definition = Some(prepared.definition);
    let update = kind == OperationKind::Update;
    if update {
        stack.updated = Some(now);
    }
    let timeout = stack.settings.timeout.filter(|_| !update);
    stack.operation = Some(Box::new(Operation {
        kind,
        phase,
        id: operation_id.clone(),
        token,
        template: prepared.template,
        conditions: prepared.conditions,
        pending: dependencies.keys().cloned().collect(),
        dependencies,
        failed: Vec::new(),
        doomed: Vec::new(),
        stop: None,
        until: timeout.map(|minutes| now + Span::from_mins(i64::from(minutes))),
        skip: BTreeSet::new(),
        look_at: now,
    }));
    let entry = if update { OperationType::UpdateStack } else { OperationType::CreateStack };
    stack.last_operations =
        vec![OperationEntry { operation_type: Some(entry), operation_id: Some(operation_id.clone()) }];
    drop(stack);
    change_set::outdate(cx, id);
    let status = match (kind, phase) {
        (OperationKind::Create, _) => StackStatus::CreateInProgress,
        (_, Phase::Rollback) => StackStatus::UpdateRollbackInProgress,
        _ => StackStatus::UpdateInProgress,
    };
    event::stack(cx, id, status, Some("User Initiated".to_owned()));
    Ok(operation_id)
}

/// The resources that exist under the definition's conditions, each with what it needs first.
pub(super) fn dependencies(prepared: &Prepared) -> Result<BTreeMap<String, BTreeSet<String>>, Refusal> {
    let dependencies = prepared.template.dependencies(&prepared.conditions).map_err(definition::refusal)?;
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    Ok(dependencies.into_iter().map(|(name, needs)| (name.to_owned(), owned(needs))).collect())
}

/// One look: everything that can be done now is done.
pub(super) fn advance(cx: &mut Engine, id: &StackId) {
    while let Some(operation) = of(cx, id) {
        let moved = match operation.phase {
            Phase::Deploy | Phase::Rollback => deploy::pass(cx, id),
            Phase::Cleanup => cleanup::pass(cx, id),
        };
        if !moved {
            break;
        }
    }
    let next = cx.now + LOOK_EVERY;
    edit(cx, id, |operation| operation.look_at = next);
}

/// Ends the operation with that status.
pub(super) fn end(cx: &mut Engine, id: &StackId, status: StackStatus, reason: Option<String>) {
    event::stack(cx, id, status, reason);
    // A failed update that was left as it is can still be rolled back.
    if status != StackStatus::UpdateFailed {
        let touched: Vec<String> =
            resources(cx, id).filter(|row| row.before.is_some()).map(|row| row.logical_id.clone()).collect();
        for logical_id in touched {
            if let Some(mut row) = cx.cloudformation.resources.edit(&(StackId::clone(id), logical_id)) {
                row.before = None;
            }
        }
    }
    let now = cx.now;
    if let Some(mut stack) = cx.cloudformation.stacks.edit(id) {
        stack.operation = None;
        stack.settings.policy_during_update = None;
        let stable = matches!(
            status,
            StackStatus::CreateComplete | StackStatus::UpdateComplete | StackStatus::UpdateRollbackComplete
        );
        if stable {
            stack.stable = stack.definition.clone();
        }
        if status == StackStatus::DeleteComplete {
            stack.deleted = Some(now);
        }
    }
    change_set::ended(cx, id, status);
}

/// Everything of the stack that stands is to be deleted.
pub(super) fn doom_all(cx: &mut Engine, id: &StackId) {
    let doomed: Vec<Doomed> = resources(cx, id)
        .filter_map(|row| {
            let (logical_id, made) = (row.logical_id.clone(), row.made.clone()?);
            Some(Doomed { logical_id, made, state: Doom::Waiting })
        })
        .collect();
    edit(cx, id, |operation| {
        operation.doomed = doomed;
        operation.pending.clear();
        operation.phase = Phase::Cleanup;
    });
}

pub(super) fn of<'a>(cx: &'a Engine, id: &StackId) -> Option<&'a Operation> {
    cx.cloudformation.stacks.get(id)?.operation.as_deref()
}

pub(super) fn edit(cx: &mut Engine, id: &StackId, change: impl FnOnce(&mut Operation)) {
    if let Some(mut stack) = cx.cloudformation.stacks.edit(id)
        && let Some(operation) = stack.operation.as_deref_mut()
    {
        change(operation);
    }
}

/// The stack's resources, by logical id.
pub(super) fn resources<'a>(
    cx: &'a Engine,
    id: &StackId,
) -> impl Iterator<Item = &'a StackResource> + use<'a> {
    let first = (StackId::clone(id), String::new());
    let id = StackId::clone(id);
    cx.cloudformation.resources.range(first..).take_while(move |row| row.stack == id)
}

/// Whether the operation has run out of time.
pub(super) fn is_late(operation: &Operation, now: Time) -> bool {
    operation.phase == Phase::Deploy && operation.until.is_some_and(|until| until <= now)
}
