//! Change sets: a definition that is shown before it is deployed.
//!
//! A change set is made in one go: its status is final when CreateChangeSet answers (our reading; nothing that clients can
//! see is different when the wait is zero).

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    ALREADY_EXISTS_EXCEPTION, CHANGE_SET_NOT_FOUND_EXCEPTION, Change, ChangeSetStatus, ChangeSetSummary,
    ChangeSetType, CreateChangeSetRequest, CreateChangeSetResponse, DeleteChangeSetRequest,
    DeleteChangeSetResponse, DescribeChangeSetRequest, DescribeChangeSetResponse, ExecuteChangeSetRequest,
    ExecuteChangeSetResponse, ExecutionStatus, INVALID_CHANGE_SET_STATUS_EXCEPTION, ListChangeSetsRequest,
    ListChangeSetsResponse, OnStackFailure, RollbackConfiguration, StackStatus, Tag,
};

use super::definition::{Prepared, Wanted, invalid};
use super::describe::{bad_token, parameter};
use super::rows::{ChangeSet, ChangeSetId, ChangeSetIndex, OperationKind, Phase, Settings, StackId};
use super::{definition, difference, event, operation, stack};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Changes or change sets in one answer (API reference).
const PAGE: usize = 100;

/// What clients compare with when a change set changes nothing.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a \
                          change set.";

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: CreateChangeSetRequest,
) -> Result<CreateChangeSetResponse, Refusal> {
    refuse_imports(&request)?;
    let name = request.change_set_name.clone();
    let kind = request.change_set_type.unwrap_or(ChangeSetType::Update);
    let found = stack::live(cx, &request.stack_name).ok();
    let current = found.as_ref().and_then(|id| cx.cloudformation.stacks.get(id));
    match (kind, current) {
        (ChangeSetType::Create, Some(stack)) if stack.status != StackStatus::ReviewInProgress => {
            return Err(invalid(format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
                stack.name
            )));
        }
        (ChangeSetType::Create, _) => {}
        (_, None) => return Err(no_stack(&request.stack_name)),
        (_, Some(stack)) => stack::updatable(stack)?,
    }
    if let Some(set) = current.and_then(|stack| by_name(cx, &stack.id, &name)) {
        if request.client_token.is_some() && set.token == request.client_token {
            return Ok(CreateChangeSetResponse {
                id: Some(set.id.to_string()),
                stack_id: Some(set.stack.to_string()),
            });
        }
        return Err(Refusal::of(&ALREADY_EXISTS_EXCEPTION, format!("ChangeSet {name} already exists")));
    }
    let stack_name = current.map_or_else(|| request.stack_name.clone(), |stack| stack.name.clone());
    let before = current.map(|stack| stack.settings.clone()).unwrap_or_default();
    let stack_id = match found {
        Some(id) => id,
        None => stack::new_id(cx, &stack_name),
    };
    let settings = Settings {
        capabilities: request.capabilities.unwrap_or_default(),
        disable_rollback: request.on_stack_failure == Some(OnStackFailure::DoNothing),
        delete_on_failure: request.on_stack_failure == Some(OnStackFailure::Delete),
        notification_arns: request.notification_arns.unwrap_or(before.notification_arns),
        role_arn: request.role_arn.or(before.role_arn),
        rollback_configuration: request.rollback_configuration.or(before.rollback_configuration),
        termination_protection: before.termination_protection,
        timeout: before.timeout,
        policy: before.policy,
        policy_during_update: None,
    };
    let wanted = Wanted {
        template_body: request.template_body,
        template_url: request.template_url,
        use_previous_template: request.use_previous_template == Some(true),
        parameters: request.parameters,
        tags: request.tags,
        capabilities: settings.capabilities.clone(),
        notification_arns: settings.notification_arns.clone(),
    };
    let current = cx.cloudformation.stacks.get(&stack_id);
    let prepared = definition::prepare(cx, &stack_id, &stack_name, current, wanted)?;
    if current.is_none() {
        stack::insert(cx, &stack_id, &stack_name, Settings::default());
        event::stack(cx, &stack_id, StackStatus::ReviewInProgress, Some("User Initiated".to_owned()));
    }
    let (status, reason, changes) = outcome(cx, &stack_id, &settings, &prepared);
    let uuid = cx.chance.uuid("cloudformation.change-set");
    let id = ChangeSetId::from(cx.arn("cloudformation", format!("changeSet/{name}/{uuid}")));
    let execution = match status {
        ChangeSetStatus::Failed => ExecutionStatus::Unavailable,
        _ => ExecutionStatus::Available,
    };
    let created = cx.now;
    cx.cloudformation.change_sets.insert(ChangeSet {
        id: ChangeSetId::clone(&id),
        name,
        stack: StackId::clone(&stack_id),
        created,
        status,
        reason,
        execution,
        description: request.description,
        definition: prepared.definition,
        settings,
        on_failure: request.on_stack_failure,
        include_nested_stacks: request.include_nested_stacks == Some(true),
        changes,
        token: request.client_token,
    });
    Ok(CreateChangeSetResponse { id: Some(id.to_string()), stack_id: Some(stack_id.to_string()) })
}

/// Bringing resources under a stack that it did not create is not done here.
fn refuse_imports(request: &CreateChangeSetRequest) -> Result<(), Refusal> {
    let refused = if request.change_set_type == Some(ChangeSetType::Import) {
        "ChangeSetType IMPORT"
    } else if request.resources_to_import.as_ref().is_some_and(|list| !list.is_empty()) {
        "ResourcesToImport"
    } else if request.deployment_mode.is_some() {
        "DeploymentMode"
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "{refused} is not supported here: stacks own the resources that they created, and nothing else. Use CREATE or UPDATE."
    )))
}

/// How the making of a change set ends.
fn outcome(
    cx: &Engine,
    stack: &StackId,
    settings: &Settings,
    prepared: &Prepared,
) -> (ChangeSetStatus, Option<String>, Vec<Change>) {
    let Some(row) = cx.cloudformation.stacks.get(stack) else {
        return (ChangeSetStatus::Failed, Some("the stack has gone".to_owned()), Vec::new());
    };
    let changes = difference::changes(cx, row, &settings.notification_arns, prepared);
    let differs = || stack::differs(cx, row, prepared).map_err(|refusal| refusal.message);
    match changes.and_then(|changes| Ok((!changes.is_empty() || differs()?, changes))) {
        Ok((true, changes)) => (ChangeSetStatus::CreateComplete, None, changes),
        Ok((false, changes)) => (ChangeSetStatus::Failed, Some(NO_CHANGES.to_owned()), changes),
        Err(reason) => (ChangeSetStatus::Failed, Some(reason), Vec::new()),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeChangeSetRequest,
) -> Result<DescribeChangeSetResponse, Refusal> {
    let set = existing(cx, &request.change_set_name, request.stack_name.as_deref())?;
    let position = |(at, _): &(usize, &Change)| format!("{at:06}");
    let page = page(set.changes.iter().enumerate(), position, request.next_token.as_deref(), PAGE)
        .map_err(bad_token)?;
    let with_values = request.include_property_values == Some(true);
    let change = |(_, change): (usize, &Change)| {
        if with_values { change.clone() } else { difference::without_values(change.clone()) }
    };
    let arguments = &set.definition.arguments.values;
    let tags = &set.definition.tags;
    Ok(DescribeChangeSetResponse {
        change_set_name: Some(set.name.clone()),
        change_set_id: Some(set.id.to_string()),
        stack_id: Some(set.stack.to_string()),
        stack_name: cx.cloudformation.stacks.get(&set.stack).map(|stack| stack.name.clone()),
        description: set.description.clone(),
        parameters: Some(arguments.iter().map(|(name, argument)| parameter(name, argument)).collect()),
        creation_time: Some(set.created),
        execution_status: Some(set.execution),
        status: Some(set.status),
        status_reason: set.reason.clone(),
        notification_arns: Some(set.settings.notification_arns.clone()),
        rollback_configuration: Some(
            set.settings.rollback_configuration.clone().unwrap_or_else(RollbackConfiguration::default),
        ),
        capabilities: Some(set.settings.capabilities.clone()),
        tags: Some(tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()),
        changes: Some(page.items.into_iter().map(change).collect()),
        next_token: page.next,
        include_nested_stacks: Some(set.include_nested_stacks),
        on_stack_failure: set.on_failure,
        import_existing_resources: Some(false),
        ..DescribeChangeSetResponse::default()
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: ListChangeSetsRequest,
) -> Result<ListChangeSetsResponse, Refusal> {
    let stack = stack::live(cx, &request.stack_name).map_err(|_| no_stack(&request.stack_name))?;
    let name = cx.cloudformation.stacks.get(&stack).map(|stack| stack.name.clone());
    let mut sets: Vec<&ChangeSet> = of_stack(cx, &stack).collect();
    sets.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let page =
        page(sets, |set| set.id.to_string(), request.next_token.as_deref(), PAGE).map_err(bad_token)?;
    let summary = |set: &ChangeSet| ChangeSetSummary {
        stack_id: Some(set.stack.to_string()),
        stack_name: name.clone(),
        change_set_id: Some(set.id.to_string()),
        change_set_name: Some(set.name.clone()),
        execution_status: Some(set.execution),
        status: Some(set.status),
        status_reason: set.reason.clone(),
        creation_time: Some(set.created),
        description: set.description.clone(),
        include_nested_stacks: Some(set.include_nested_stacks),
        import_existing_resources: Some(false),
        ..ChangeSetSummary::default()
    };
    Ok(ListChangeSetsResponse {
        summaries: Some(page.items.into_iter().map(summary).collect()),
        next_token: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: DeleteChangeSetRequest,
) -> Result<DeleteChangeSetResponse, Refusal> {
    let set = match existing(cx, &request.change_set_name, request.stack_name.as_deref()) {
        Ok(set) => set,
        // One that is not there is as good as deleted: clients delete before they create.
        Err(refusal) if refusal.code == CHANGE_SET_NOT_FOUND_EXCEPTION.code => {
            return Ok(DeleteChangeSetResponse {});
        }
        Err(refusal) => return Err(refusal),
    };
    if set.execution == ExecutionStatus::ExecuteInProgress {
        return Err(Refusal::of(
            &INVALID_CHANGE_SET_STATUS_EXCEPTION,
            format!(
                "ChangeSet [{}] cannot be deleted in its current execution status of [{}]",
                set.id, set.execution
            ),
        ));
    }
    let id = ChangeSetId::clone(&set.id);
    cx.cloudformation.change_sets.remove(&id);
    Ok(DeleteChangeSetResponse {})
}

pub(super) fn execute(
    cx: &mut Engine,
    _caller: &Caller,
    request: ExecuteChangeSetRequest,
) -> Result<ExecuteChangeSetResponse, Refusal> {
    let set = existing(cx, &request.change_set_name, request.stack_name.as_deref())?.clone();
    if set.execution != ExecutionStatus::Available {
        return Err(Refusal::of(
            &INVALID_CHANGE_SET_STATUS_EXCEPTION,
            format!(
                "ChangeSet [{}] cannot be executed in its current execution status of [{}]",
                set.id, set.execution
            ),
        ));
    }
    let Some(stack) = cx.cloudformation.stacks.get(&set.stack) else { return Err(no_stack(&set.stack)) };
    let creates = stack.status == StackStatus::ReviewInProgress;
    if !creates {
        stack::updatable(stack)?;
    }
    let name = stack.name.clone();
    let definition = set.definition.clone();
    let prepared = definition::again(cx, &set.stack, &name, &set.settings.notification_arns, definition)?;
    if let Some(mut stack) = cx.cloudformation.stacks.edit(&set.stack) {
        let now = &stack.settings;
        // What was set on the stack since the change set was made stays.
        stack.settings = Settings {
            disable_rollback: request.disable_rollback.unwrap_or(set.settings.disable_rollback),
            delete_on_failure: set.settings.delete_on_failure && creates,
            termination_protection: now.termination_protection,
            timeout: now.timeout,
            policy: now.policy.clone(),
            ..set.settings
        };
    }
    let kind = if creates { OperationKind::Create } else { OperationKind::Update };
    operation::deploy(cx, &set.stack, kind, Phase::Deploy, prepared, request.client_request_token)?;
    if let Some(mut stack) = cx.cloudformation.stacks.edit(&set.stack) {
        stack.change_set = Some(set.id.to_string());
    }
    // The others were made for a stack that is no more (API reference, ExecuteChangeSet).
    for other in ids_of_stack(cx, &set.stack) {
        if other != set.id {
            cx.cloudformation.change_sets.remove(&other);
        } else if let Some(mut row) = cx.cloudformation.change_sets.edit(&other) {
            row.execution = ExecutionStatus::ExecuteInProgress;
        }
    }
    Ok(ExecuteChangeSetResponse {})
}

/// A stack begins to change: change sets that were made for it as it was cannot be executed any more.
pub(super) fn outdate(cx: &mut Engine, stack: &StackId) {
    for id in ids_of_stack(cx, stack) {
        if let Some(mut set) = cx.cloudformation.change_sets.edit(&id)
            && set.execution == ExecutionStatus::Available
        {
            set.execution = ExecutionStatus::Obsolete;
        }
    }
}

/// An operation on the stack has ended with that status.
pub(super) fn ended(cx: &mut Engine, stack: &StackId, status: StackStatus) {
    for id in ids_of_stack(cx, stack) {
        if status == StackStatus::DeleteComplete {
            cx.cloudformation.change_sets.remove(&id);
        } else if let Some(mut set) = cx.cloudformation.change_sets.edit(&id)
            && set.execution == ExecutionStatus::ExecuteInProgress
        {
            set.execution = match status {
                StackStatus::CreateComplete | StackStatus::UpdateComplete => ExecutionStatus::ExecuteComplete,
                _ => ExecutionStatus::ExecuteFailed,
            };
        }
    }
}

/// The change set of that ARN, or of that name on that stack.
pub(super) fn existing<'a>(
    cx: &'a Engine,
    name_or_id: &str,
    stack: Option<&str>,
) -> Result<&'a ChangeSet, Refusal> {
    let absent =
        || Refusal::of(&CHANGE_SET_NOT_FOUND_EXCEPTION, format!("ChangeSet [{name_or_id}] does not exist"));
    if name_or_id.starts_with("arn:") {
        return cx.cloudformation.change_sets.get(&ChangeSetId::from(name_or_id)).ok_or_else(absent);
    }
    let Some(stack) = stack else {
        return Err(invalid("StackName must be specified if ChangeSetName is not specified as an ARN."));
    };
    let id = stack::live(cx, stack).map_err(|_| no_stack(stack))?;
    by_name(cx, &id, name_or_id).ok_or_else(absent)
}

fn by_name<'a>(cx: &'a Engine, stack: &StackId, name: &str) -> Option<&'a ChangeSet> {
    let index = ChangeSetIndex::Name(StackId::clone(stack), name.to_owned());
    cx.cloudformation.change_sets.by(&index).next()
}

fn of_stack<'a>(cx: &'a Engine, stack: &StackId) -> impl Iterator<Item = &'a ChangeSet> + use<'a> {
    cx.cloudformation.change_sets.by(&ChangeSetIndex::Stack(StackId::clone(stack)))
}

fn ids_of_stack(cx: &Engine, stack: &StackId) -> Vec<ChangeSetId> {
    of_stack(cx, stack).map(|set| ChangeSetId::clone(&set.id)).collect()
}

/// Other words than DescribeStacks has.
fn no_stack(name_or_id: &str) -> Refusal {
    invalid(format!("Stack [{name_or_id}] does not exist"))
}
