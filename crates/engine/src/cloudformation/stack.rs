//! CreateStack, UpdateStack, and what else is set on a stack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    ALREADY_EXISTS_EXCEPTION, CreateStackRequest, CreateStackResponse, OnFailure, OperationEntry,
    OperationType, StackStatus, UpdateStackRequest, UpdateStackResponse, UpdateTerminationProtectionRequest,
    UpdateTerminationProtectionResponse,
};

use super::definition::{Prepared, Wanted, invalid, prepare};
use super::rows::{Operation, OperationKind, Phase, Settings, Stack, StackId, StackIndex};
use super::{deploy, operation, policy};
use crate::{Caller, Engine};

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: CreateStackRequest,
) -> Result<CreateStackResponse, Refusal> {
    name_is_free(cx, &request.stack_name)?;
    if request.disable_rollback.is_some() && request.on_failure.is_some() {
        return Err(invalid("Only one of DisableRollback and OnFailure may be specified."));
    }
    let policy = policy::given(cx, request.stack_policy_body, request.stack_policy_url.as_deref())?;
    let id = new_id(cx, &request.stack_name);
    let arns = request.notification_arns.unwrap_or_default();
    let capabilities = request.capabilities.unwrap_or_default();
    let wanted = Wanted {
        template_body: request.template_body,
        template_url: request.template_url,
        use_previous_template: false,
        parameters: request.parameters,
        tags: Some(request.tags.unwrap_or_default()),
        capabilities: capabilities.clone(),
        notification_arns: arns.clone(),
    };
    let prepared = prepare(cx, &id, &request.stack_name, None, wanted)?;
    let settings = Settings {
        capabilities,
        disable_rollback: request.disable_rollback == Some(true)
            || request.on_failure == Some(OnFailure::DoNothing),
        delete_on_failure: request.on_failure == Some(OnFailure::Delete),
        notification_arns: arns,
        role_arn: request.role_arn,
        rollback_configuration: request.rollback_configuration,
        termination_protection: request.enable_termination_protection == Some(true),
        timeout: request.timeout_in_minutes,
        policy,
        policy_during_update: None,
    };
    insert(cx, &id, &request.stack_name, settings);
    let operation_id = operation::deploy(
        cx,
        &id,
        OperationKind::Create,
        Phase::Deploy,
        prepared,
        request.client_request_token,
    )?;
    Ok(CreateStackResponse { stack_id: Some(id.to_string()), operation_id: Some(operation_id) })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: UpdateStackRequest,
) -> Result<UpdateStackResponse, Refusal> {
    let id = live(cx, &request.stack_name)?;
    let Some(stack) = cx.cloudformation.stacks.get(&id) else { return Err(unknown(&request.stack_name)) };
    let policy = policy::given(cx, request.stack_policy_body, request.stack_policy_url.as_deref())?;
    let during = policy::given(
        cx,
        request.stack_policy_during_update_body,
        request.stack_policy_during_update_url.as_deref(),
    )?;
    updatable(stack)?;
    let arns = request.notification_arns.unwrap_or_else(|| stack.settings.notification_arns.clone());
    let wanted = Wanted {
        template_body: request.template_body,
        template_url: request.template_url,
        use_previous_template: request.use_previous_template == Some(true),
        parameters: request.parameters,
        tags: request.tags,
        capabilities: request.capabilities.clone().unwrap_or_default(),
        notification_arns: arns.clone(),
    };
    let prepared = prepare(cx, &id, &stack.name, Some(stack), wanted)?;
    if !differs(cx, stack, &prepared)? {
        return Err(invalid("No updates are to be performed."));
    }
    if let Some(mut stack) = cx.cloudformation.stacks.edit(&id) {
        let settings = &mut stack.settings;
        settings.capabilities = request.capabilities.unwrap_or_default();
        settings.notification_arns = arns;
        settings.disable_rollback = request.disable_rollback == Some(true);
        if request.role_arn.is_some() {
            settings.role_arn = request.role_arn;
        }
        if request.rollback_configuration.is_some() {
            settings.rollback_configuration = request.rollback_configuration;
        }
        if policy.is_some() {
            settings.policy = policy;
        }
        settings.policy_during_update = during;
    }
    let operation_id = operation::deploy(
        cx,
        &id,
        OperationKind::Update,
        Phase::Deploy,
        prepared,
        request.client_request_token,
    )?;
    Ok(UpdateStackResponse { stack_id: Some(id.to_string()), operation_id: Some(operation_id) })
}

/// Whether deploying the definition would change anything: resources, outputs or tags.
pub(super) fn differs(cx: &Engine, stack: &Stack, prepared: &Prepared) -> Result<bool, Refusal> {
    let Some(current) = &stack.definition else { return Ok(true) };
    if current.tags != prepared.definition.tags {
        return Ok(true);
    }
    deploy::differs(cx, &stack.id, prepared)
}

/// Refuses while something else is done to the stack, and in states from which no update leads on.
pub(super) fn updatable(stack: &Stack) -> Result<(), Refusal> {
    match stack.status {
        StackStatus::CreateComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateRollbackComplete
        | StackStatus::UpdateFailed
        | StackStatus::CreateFailed
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete => Ok(()),
        status => Err(invalid(format!("Stack:{} is in {status} state and can not be updated.", stack.id))),
    }
}

pub(super) fn protect(
    cx: &mut Engine,
    _caller: &Caller,
    request: UpdateTerminationProtectionRequest,
) -> Result<UpdateTerminationProtectionResponse, Refusal> {
    let id = live(cx, &request.stack_name)?;
    if let Some(mut stack) = cx.cloudformation.stacks.edit(&id) {
        stack.settings.termination_protection = request.enable_termination_protection;
    }
    Ok(UpdateTerminationProtectionResponse { stack_id: Some(id.to_string()) })
}

/// Puts a stack in that has nothing yet.
pub(super) fn insert(cx: &mut Engine, id: &StackId, name: &str, settings: Settings) {
    let created = cx.now;
    cx.cloudformation.stacks.insert(Stack {
        id: StackId::clone(id),
        name: name.to_owned(),
        status: StackStatus::ReviewInProgress,
        status_reason: None,
        created,
        updated: None,
        deleted: None,
        definition: None,
        stable: None,
        settings,
        outputs: Vec::new(),
        imports: BTreeSet::new(),
        change_set: None,
        last_operations: Vec::new(),
        operation: None,
        events: 0,
    });
}

/// Puts an operation in that only deletes.
pub(super) fn start_cleanup(
    cx: &mut Engine,
    id: &StackId,
    kind: OperationKind,
    token: Option<String>,
    skip: BTreeSet<String>,
) {
    let operation_id = cx.chance.uuid("cloudformation.operation");
    let now = cx.now;
    let Some(mut stack) = cx.cloudformation.stacks.edit(id) else { return };
    let entry =
        if kind == OperationKind::Delete { OperationType::DeleteStack } else { OperationType::Rollback };
    stack.last_operations =
        vec![OperationEntry { operation_type: Some(entry), operation_id: Some(operation_id.clone()) }];
    stack.operation = Some(Box::new(Operation {
        kind,
        phase: Phase::Cleanup,
        id: operation_id,
        token,
        template: Arc::default(),
        conditions: BTreeMap::new(),
        pending: BTreeSet::new(),
        dependencies: BTreeMap::new(),
        failed: Vec::new(),
        doomed: Vec::new(),
        stop: None,
        until: None,
        skip,
        look_at: now,
    }));
}

/// Forgets a stack that was deleted long ago, with its history.
pub(super) fn forget(cx: &mut Engine, id: &StackId) {
    let resources: Vec<_> = operation::resources(cx, id).map(|row| row.logical_id.clone()).collect();
    for logical_id in resources {
        cx.cloudformation.resources.remove(&(StackId::clone(id), logical_id));
    }
    let events = cx.cloudformation.stacks.remove(id).map_or(0, |stack| stack.events);
    for number in 1..=events {
        cx.cloudformation.events.remove(&(StackId::clone(id), number));
    }
}

/// `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID`
pub(super) fn new_id(cx: &mut Engine, name: &str) -> StackId {
    let uuid = cx.chance.uuid("cloudformation.stack");
    cx.arn("cloudformation", format!("stack/{name}/{uuid}")).into()
}

pub(super) fn name_is_free(cx: &Engine, name: &str) -> Result<(), Refusal> {
    match by_name(cx, name) {
        Some(_) => Err(Refusal::of(&ALREADY_EXISTS_EXCEPTION, format!("Stack [{name}] already exists"))),
        None => Ok(()),
    }
}

/// The stack that has that name now.
pub(super) fn by_name<'a>(cx: &'a Engine, name: &str) -> Option<&'a Stack> {
    cx.cloudformation.stacks.by(&StackIndex::Name(name.to_owned())).next()
}

/// The stack of that name or ARN; a deleted one only by its ARN.
pub(super) fn find(cx: &Engine, name_or_id: &str) -> Option<StackId> {
    if name_or_id.starts_with("arn:") {
        return cx
            .cloudformation
            .stacks
            .get(&StackId::from(name_or_id))
            .map(|stack| StackId::clone(&stack.id));
    }
    by_name(cx, name_or_id).map(|stack| StackId::clone(&stack.id))
}

/// The stack of that name or ARN, if it is not deleted.
pub(super) fn live(cx: &Engine, name_or_id: &str) -> Result<StackId, Refusal> {
    find(cx, name_or_id)
        .filter(|id| cx.cloudformation.stacks.get(id).is_some_and(Stack::is_live))
        .ok_or_else(|| unknown(name_or_id))
}

/// The words that clients look for when they ask whether a stack exists.
pub(super) fn unknown(name_or_id: &str) -> Refusal {
    invalid(format!("Stack with id {name_or_id} does not exist"))
}
