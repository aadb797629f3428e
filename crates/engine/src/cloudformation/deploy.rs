//! Resources are created and updated, dependencies first, independent ones side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_model::Span;
use capstan_shapes::cloudformation::{ResourceStatus, StackStatus};
use capstan_shapes::{Refusal, ResourceType, resource_type};
use capstan_template::{Declaration, Expression, Scope};
use serde_json::{Map, Value as Json};

use super::definition::Prepared;
use super::property::{self, PropertyChange, Recreation};
use super::resource::{Handler, Progress, Resource};
use super::rows::{Before, Doom, Doomed, Failed, Made, Phase, StackId, StackResource, Work};
use super::world::{Preview, StackWorld};
use super::{event, failure, operation, output, policy, rollback, signal, types};
use crate::Engine;

/// Resources that have not become stable by then have failed (the longest that CloudFormation waits for an ECS service).
const STABLE_WITHIN: Span = Span::from_hours(3);

/// What a template wants of a resource, resolved.
pub(super) struct Desired {
    pub(super) properties: Map<String, Json>,
    pub(super) metadata: Option<Json>,
    pub(super) creation_policy: Json,
    pub(super) update_policy: Json,
}

/// Goes once over what is under way and what can begin. `true` when something moved.
pub(super) fn pass(cx: &mut Engine, id: &StackId) -> bool {
    let mut moved = false;
    let working: Vec<String> = operation::resources(cx, id)
        .filter(|row| row.work.is_some())
        .map(|row| row.logical_id.clone())
        .collect();
    for logical_id in working {
        moved |= poll(cx, id, &logical_id);
    }
    let Some(operation) = operation::of(cx, id) else { return false };
    if operation::is_late(operation, cx.now) {
        operation::edit(cx, id, |operation| {
            operation
                .stop
                .get_or_insert_with(|| "Stack creation time exceeded the specified timeout.".to_owned());
        });
    }
    if has_failed(cx, id) {
        rollback::begin(cx, id);
        return true;
    }
    for logical_id in ready(cx, id) {
        start(cx, id, &logical_id);
        moved = true;
        if has_failed(cx, id) {
            rollback::begin(cx, id);
            return true;
        }
    }
    let Some(operation) = operation::of(cx, id) else { return moved };
    let works = operation::resources(cx, id).any(|row| row.work.is_some());
    if operation.pending.is_empty() && !works {
        match protected_removal(cx, id) {
            Some((logical_id, reason)) => fail(cx, id, &logical_id, Failed::Update, reason),
            None => finish(cx, id),
        }
        return true;
    }
    moved
}

/// A resource that the template does not have any more, and that the stack's policy keeps.
fn protected_removal(cx: &Engine, id: &StackId) -> Option<(String, String)> {
    let operation = operation::of(cx, id).filter(|operation| operation.phase == Phase::Deploy)?;
    let removed = operation::resources(cx, id)
        .filter(|row| row.made.is_some() && !operation.dependencies.contains_key(&row.logical_id));
    removed.into_iter().find_map(|row| {
        let action = policy::Action::Delete;
        let reason = policy::forbids(cx, id, &row.logical_id, &row.resource_type, action)?;
        Some((row.logical_id.clone(), reason))
    })
}

fn has_failed(cx: &Engine, id: &StackId) -> bool {
    operation::of(cx, id).is_some_and(|operation| {
        !operation.failed.is_empty() || (operation.phase == Phase::Deploy && operation.stop.is_some())
    })
}

/// Resources that wait for nothing any more, in the template's order.
fn ready(cx: &Engine, id: &StackId) -> Vec<String> {
    let Some(operation) = operation::of(cx, id) else { return Vec::new() };
    let working: BTreeSet<&str> = operation::resources(cx, id)
        .filter(|row| row.work.is_some())
        .map(|row| row.logical_id.as_str())
        .collect();
    let is_open = |need: &String| operation.pending.contains(need) || working.contains(need.as_str());
    let is_ready = |logical_id: &&str| {
        operation.pending.contains(*logical_id)
            && !operation.dependencies.get(*logical_id).is_some_and(|needs| needs.iter().any(is_open))
    };
    let declared = operation.template.resources.iter().map(|declaration| declaration.logical_id.as_str());
    declared.filter(is_ready).map(str::to_owned).collect()
}

/// Begins with a resource: nothing, a create, an update or a replacement.
fn start(cx: &mut Engine, id: &StackId, logical_id: &str) {
    operation::edit(cx, id, |operation| {
        operation.pending.remove(logical_id);
    });
    let Some(operation) = operation::of(cx, id) else { return };
    if operation.phase == Phase::Rollback && operation.skip.contains(logical_id) {
        return;
    }
    let template = Arc::clone(&operation.template);
    let Some(declaration) = template.resource(logical_id) else { return };
    let depends_on = operation.dependencies.get(logical_id).cloned().unwrap_or_default();
    let key = (StackId::clone(id), logical_id.to_owned());
    let made = cx.cloudformation.resources.get(&key).and_then(|row| row.made.clone());
    let handler = types::of(&declaration.resource_type);
    let desired = match desire(cx, id, declaration) {
        Ok(desired) => desired,
        Err(reason) => {
            let what = if made.is_some() { Failed::Update } else { Failed::Create };
            ensure_row(cx, id, declaration);
            return fail(cx, id, logical_id, what, reason);
        }
    };
    let tags = tags(cx, id);
    let shown = Json::Object(desired.properties.clone()).to_string().into();
    let fresh = Made {
        resource_type: declaration.resource_type.clone(),
        physical_id: String::new(),
        properties: desired.properties,
        attributes: Map::new(),
        tags,
        depends_on,
        deletion_policy: declaration.deletion_policy,
        update_replace_policy: declaration.update_replace_policy,
        creation_policy: desired.creation_policy,
        update_policy: desired.update_policy,
        token: String::new(),
        shown,
        certain: false,
    };
    match made {
        None => create(cx, id, declaration, handler, fresh, desired.metadata, None),
        Some(made) => change(cx, id, declaration, handler, made, fresh, desired.metadata),
    }
}

/// Brings what stands to what is wanted.
fn change(
    cx: &mut Engine,
    id: &StackId,
    declaration: &Declaration,
    handler: &'static Handler,
    made: Made,
    fresh: Made,
    metadata: Option<Json>,
) {
    let key = (StackId::clone(id), declaration.logical_id.clone());
    let schema = resource_type(&declaration.resource_type);
    let has_tags = schema.is_some_and(|schema| schema.tags.is_some());
    let same_type = made.resource_type == fresh.resource_type;
    let same = made.certain
        && same_type
        && made.properties == fresh.properties
        && (!has_tags || made.tags == fresh.tags);
    if same {
        let Some(mut row) = cx.cloudformation.resources.edit(&key) else { return };
        let metadata_changed = row.metadata != metadata;
        row.metadata = metadata;
        let was_updated = matches!(row.before, Some(Before::Updated(_)));
        let physical_id = made.physical_id.clone();
        // Policies and dependencies follow the template silently.
        row.made = Some(Made {
            physical_id: made.physical_id,
            attributes: made.attributes,
            token: made.token,
            properties: made.properties,
            certain: true,
            ..fresh
        });
        drop(row);
        if metadata_changed || was_updated {
            set(cx, id, &declaration.logical_id, &physical_id, ResourceStatus::UpdateInProgress, None);
            set(cx, id, &declaration.logical_id, &physical_id, ResourceStatus::UpdateComplete, None);
        }
        return;
    }
    let changes = schema
        .filter(|_| same_type)
        .map(|schema| (schema, property::replacement(schema, &made.properties, &fresh.properties)));
    let replaces = !same_type
        || changes.as_ref().is_some_and(|(schema, changes)| {
            property::replaces(schema, changes)
                || (will_replace(&fresh.update_policy) && has_conditional(changes))
        });
    let action = if replaces { policy::Action::Replace } else { policy::Action::Modify };
    let deploys = operation::of(cx, id).is_some_and(|operation| operation.phase == Phase::Deploy);
    if deploys
        && let Some(reason) =
            policy::forbids(cx, id, &declaration.logical_id, &declaration.resource_type, action)
    {
        return fail(cx, id, &declaration.logical_id, Failed::Update, reason);
    }
    if replaces {
        if let Some(name) = schema.filter(|_| same_type).and_then(|schema| kept_name(schema, &made, &fresh)) {
            let reason = format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} \
                 and update the stack again."
            );
            return fail(cx, id, &declaration.logical_id, Failed::Update, reason);
        }
        return create(cx, id, declaration, handler, fresh, metadata, Some(made));
    }
    let logical_id = declaration.logical_id.as_str();
    let physical_id = made.physical_id.clone();
    set(cx, id, logical_id, &physical_id, ResourceStatus::UpdateInProgress, None);
    let now = cx.now;
    let fresh = Made {
        physical_id: made.physical_id.clone(),
        attributes: made.attributes.clone(),
        token: made.token.clone(),
        ..fresh
    };
    let (old, new) = (view(cx, id, logical_id, &made), view(cx, id, logical_id, &fresh));
    if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
        if deploys && row.before.is_none() {
            row.before = Some(Before::Updated(Box::new(made)));
        }
        row.made = Some(fresh);
        row.metadata = metadata;
        row.work = Some(Work { what: Failed::Update, since: now });
    }
    match (handler.update)(cx, &old, &new) {
        Ok(()) => {
            poll(cx, id, logical_id);
        }
        Err(refusal) => {
            let reason = failure::reason(&refusal, &new.request_token);
            fail(cx, id, logical_id, Failed::Update, reason);
        }
    }
}

/// A group whose update policy wants a new group for changes that would otherwise go in place (CloudFormation guide,
/// AutoScalingReplacingUpdate).
pub(super) fn will_replace(update_policy: &Json) -> bool {
    let flag = update_policy.pointer("/AutoScalingReplacingUpdate/WillReplace");
    flag.is_some_and(|flag| flag == true || flag == "true")
}

pub(super) fn has_conditional(changes: &[PropertyChange]) -> bool {
    changes.iter().any(|change| change.recreation == Recreation::Conditionally)
}

/// The name that the template gives the resource and that its replacement would have, too.
fn kept_name(schema: &ResourceType, made: &Made, fresh: &Made) -> Option<String> {
    let is_kept = |name: &&'static str| {
        !schema.read_only.contains(name)
            && fresh.properties.get(*name).is_some_and(|value| made.properties.get(*name) == Some(value))
    };
    let named = !schema.identifier.is_empty() && schema.identifier.iter().all(is_kept);
    let name = fresh.properties.get(*schema.identifier.first()?)?;
    named.then(|| super::resource::scalar(name))
}

/// Creates a resource, in the place of `replaced` if there is one.
fn create(
    cx: &mut Engine,
    id: &StackId,
    declaration: &Declaration,
    handler: &'static Handler,
    fresh: Made,
    metadata: Option<Json>,
    replaced: Option<Made>,
) {
    let logical_id = declaration.logical_id.as_str();
    let key = (StackId::clone(id), logical_id.to_owned());
    let token = cx.chance.uuid("cloudformation.token");
    let fresh = Made { token, ..fresh };
    ensure_row(cx, id, declaration);
    let what = if replaced.is_some() { Failed::Update } else { Failed::Create };
    let status = match what {
        Failed::Create => ResourceStatus::CreateInProgress,
        Failed::Update => ResourceStatus::UpdateInProgress,
    };
    let deploys = operation::of(cx, id).is_some_and(|operation| operation.phase == Phase::Deploy);
    let old_id = replaced.as_ref().map(|made| made.physical_id.clone()).unwrap_or_default();
    let reason = replaced.as_ref().map(|_| {
        "Requested update requires the creation of a new physical resource; hence creating one.".to_owned()
    });
    set(cx, id, logical_id, &old_id, status, reason);
    // A rollback that replaces once more leaves over what the update had made.
    let doomed = replaced.clone().filter(|_| !deploys);
    if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
        row.resource_type.clone_from(&declaration.resource_type);
        row.metadata = metadata;
        row.made = None;
        if deploys {
            row.before = Some(match (row.before.take(), replaced) {
                // Updated in place before it was replaced within one operation: it does not happen twice.
                (Some(before), _) => before,
                (None, Some(made)) => Before::Replaced(Box::new(made)),
                (None, None) => Before::Nothing,
            });
        }
    }
    if let Some(made) = doomed {
        let doomed = Doomed { logical_id: logical_id.to_owned(), made, state: Doom::Waiting };
        operation::edit(cx, id, |operation| operation.doomed.push(doomed));
    }
    let resource = view(cx, id, logical_id, &fresh);
    match (handler.create)(cx, &resource) {
        Ok(physical_id) => {
            let now = cx.now;
            if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
                row.made = Some(Made { physical_id: physical_id.clone(), ..fresh });
                row.work = Some(Work { what, since: now });
            }
            let reason = "Resource creation Initiated".to_owned();
            set(cx, id, logical_id, &physical_id, status, Some(reason));
            poll(cx, id, logical_id);
        }
        Err(refusal) => {
            let reason = failure::reason(&refusal, &resource.request_token);
            fail(cx, id, logical_id, what, reason);
        }
    }
}

/// Asks whether a resource has become stable. `true` when it has, or has failed.
fn poll(cx: &mut Engine, id: &StackId, logical_id: &str) -> bool {
    let key = (StackId::clone(id), logical_id.to_owned());
    let Some(row) = cx.cloudformation.resources.get(&key) else { return false };
    let (Some(work), Some(made)) = (row.work, row.made.clone()) else { return false };
    let handler = types::of(&made.resource_type);
    let resource = view(cx, id, logical_id, &made);
    let progress = (handler.stable)(cx, &resource).and_then(|progress| match progress {
        Progress::Done if work.what == Failed::Create => signal::received(cx, id, &resource, work.since),
        progress => Ok(progress),
    });
    match progress {
        Ok(Progress::Done) => {
            let attributes = (handler.attributes)(cx, &resource);
            if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
                row.work = None;
                if let Some(made) = &mut row.made {
                    made.attributes = attributes;
                    made.certain = true;
                }
            }
            let status = match work.what {
                Failed::Create => ResourceStatus::CreateComplete,
                Failed::Update => ResourceStatus::UpdateComplete,
            };
            set(cx, id, logical_id, &made.physical_id, status, None);
            true
        }
        Ok(Progress::InProgress) if cx.now - work.since < STABLE_WITHIN => false,
        Ok(Progress::InProgress) => {
            let refusal = Refusal::new("NotStabilized", "Exceeded attempts to wait");
            fail(cx, id, logical_id, work.what, failure::reason(&refusal, &made.token));
            true
        }
        Err(refusal) => {
            fail(cx, id, logical_id, work.what, failure::reason(&refusal, &made.token));
            true
        }
    }
}

/// Writes down that a resource has failed; the next look follows it up.
fn fail(cx: &mut Engine, id: &StackId, logical_id: &str, what: Failed, reason: String) {
    let key = (StackId::clone(id), logical_id.to_owned());
    let mut physical_id = String::new();
    if let Some(mut row) = cx.cloudformation.resources.edit(&key) {
        row.work = None;
        physical_id = row.made.as_ref().map(|made| made.physical_id.clone()).unwrap_or_default();
    }
    let status = match what {
        Failed::Create => ResourceStatus::CreateFailed,
        Failed::Update => ResourceStatus::UpdateFailed,
    };
    set(cx, id, logical_id, &physical_id, status, Some(reason));
    operation::edit(cx, id, |operation| operation.failed.push((logical_id.to_owned(), what)));
}

/// Stops what is under way, in the middle of it.
pub(super) fn cancel_work(cx: &mut Engine, id: &StackId) {
    let working: Vec<(String, String, Failed)> = operation::resources(cx, id)
        .filter_map(|row| {
            let physical_id = row.made.as_ref().map(|made| made.physical_id.clone()).unwrap_or_default();
            Some((row.logical_id.clone(), physical_id, row.work?.what))
        })
        .collect();
    for (logical_id, physical_id, what) in working {
        if let Some(mut row) = cx.cloudformation.resources.edit(&(StackId::clone(id), logical_id.clone())) {
            row.work = None;
        }
        let (status, reason) = match what {
            Failed::Create => (ResourceStatus::CreateFailed, "Resource creation cancelled"),
            Failed::Update => (ResourceStatus::UpdateFailed, "Resource update cancelled"),
        };
        set(cx, id, &logical_id, &physical_id, status, Some(reason.to_owned()));
    }
}

/// Everything stands as the template wants it.
fn finish(cx: &mut Engine, id: &StackId) {
    let Some(operation) = operation::of(cx, id) else { return };
    let (kind, phase) = (operation.kind, operation.phase);
    if phase == Phase::Deploy
        && let Err(reason) = output::publish(cx, id)
    {
        operation::edit(cx, id, |operation| operation.stop = Some(reason));
        return rollback::begin(cx, id);
    }
    let status = match (kind, phase) {
        (super::rows::OperationKind::Create, _) => {
            return operation::end(cx, id, StackStatus::CreateComplete, None);
        }
        (_, Phase::Rollback) => StackStatus::UpdateRollbackCompleteCleanupInProgress,
        _ => StackStatus::UpdateCompleteCleanupInProgress,
    };
    doom_leftovers(cx, id);
    event::stack(cx, id, status, None);
    operation::edit(cx, id, |operation| operation.phase = Phase::Cleanup);
}

/// After a deployment or a rollback: what was replaced, and what the template does not have any more.
fn doom_leftovers(cx: &mut Engine, id: &StackId) {
    let Some(operation) = operation::of(cx, id) else { return };
    let wanted: BTreeSet<String> = operation.dependencies.keys().cloned().collect();
    let mut doomed = Vec::new();
    let rows: Vec<StackResource> = operation::resources(cx, id).cloned().collect();
    for row in rows {
        let logical_id = row.logical_id.clone();
        if let Some(Before::Replaced(made)) = row.before {
            // Its own policy, as the template that made it had it, says whether it goes.
            let made = Made { deletion_policy: made.update_replace_policy, ..*made };
            doomed.push(Doomed { logical_id: logical_id.clone(), made, state: Doom::Waiting });
        }
        if !wanted.contains(&logical_id)
            && let Some(made) = row.made
        {
            doomed.push(Doomed { logical_id: logical_id.clone(), made, state: Doom::Waiting });
        }
    }
    operation::edit(cx, id, |operation| operation.doomed.extend(doomed));
}

fn desire(cx: &Engine, id: &StackId, declaration: &Declaration) -> Result<Desired, String> {
    let stack = cx.cloudformation.stacks.get(id).ok_or("the stack has gone")?;
    let operation = stack.operation.as_deref().ok_or("the operation has gone")?;
    let definition = stack.definition.as_ref().ok_or("the stack has no definition")?;
    let world = StackWorld::new(cx, id, &stack.name, &stack.settings.notification_arns);
    let scope = Scope {
        template: &operation.template,
        arguments: &definition.arguments,
        conditions: &operation.conditions,
        world: &world,
    };
    resolve(declaration, &scope)
}

/// What the declaration says in that scope.
pub(super) fn resolve(declaration: &Declaration, scope: &Scope<'_>) -> Result<Desired, String> {
    let resolve = |expression: &Expression| expression.resolve(scope).map_err(|error| error.to_string());
    let properties = declaration.properties_in(scope).map_err(|error| error.to_string())?;
    let properties = match resource_type(&declaration.resource_type) {
        Some(schema) => property::coerce(schema, &declaration.logical_id, Json::Object(properties))?,
        None => properties,
    };
    let policy = |expression: Option<&Expression>| match expression {
        Some(expression) => resolve(expression).map(Option::unwrap_or_default),
        None => Ok(Json::Null),
    };
    Ok(Desired {
        properties,
        metadata: declaration.metadata.as_ref().map(resolve).transpose()?.flatten(),
        creation_policy: policy(declaration.creation_policy.as_ref())?,
        update_policy: policy(declaration.update_policy.as_ref())?,
    })
}

/// Whether deploying the definition would change a resource or an output of the stack.
pub(super) fn differs(cx: &Engine, id: &StackId, prepared: &Prepared) -> Result<bool, Refusal> {
    let Some(stack) = cx.cloudformation.stacks.get(id) else { return Ok(true) };
    let nothing = Preview::default();
    let world = StackWorld::new(cx, id, &stack.name, &stack.settings.notification_arns).preview(&nothing);
    let scope = prepared.scope(&world);
    let wanted = operation::dependencies(prepared)?;
    if operation::resources(cx, id).any(|row| row.made.is_some() && !wanted.contains_key(&row.logical_id)) {
        return Ok(true);
    }
    for declaration in &prepared.template.resources {
        if !wanted.contains_key(&declaration.logical_id) {
            continue;
        }
        let key = (StackId::clone(id), declaration.logical_id.clone());
        let Some(row) = cx.cloudformation.resources.get(&key) else { return Ok(true) };
        let Some(made) = &row.made else { return Ok(true) };
        // What cannot be resolved shall fail where people look for it: at the resource.
        let Ok(desired) = resolve(declaration, &scope) else { return Ok(true) };
        let same = made.certain
            && made.resource_type == declaration.resource_type
            && made.properties == desired.properties
            && row.metadata == desired.metadata
            && made.deletion_policy == declaration.deletion_policy
            && made.update_policy == desired.update_policy;
        if !same {
            return Ok(true);
        }
    }
    Ok(output::preview(prepared, &scope).is_none_or(|outputs| outputs != stack.outputs))
}

/// The resource as its handler sees it.
pub(super) fn view(cx: &Engine, id: &StackId, logical_id: &str, made: &Made) -> Resource {
    let name = cx.cloudformation.stacks.get(id).map(|stack| stack.name.clone()).unwrap_or_default();
    let mut tags = made.tags.clone();
    if resource_type(&made.resource_type).is_some_and(|schema| schema.system_tags) {
        tags.insert("aws:cloudformation:logical-id".to_owned(), logical_id.to_owned());
        tags.insert("aws:cloudformation:stack-id".to_owned(), id.to_string());
        tags.insert("aws:cloudformation:stack-name".to_owned(), name.clone());
    }
    Resource {
        stack_id: id.to_string(),
        stack_name: name,
        logical_id: logical_id.to_owned(),
        physical_id: made.physical_id.clone(),
        properties: made.properties.clone(),
        attributes: made.attributes.clone(),
        tags,
        request_token: made.token.clone(),
        creation_policy: made.creation_policy.clone(),
        update_policy: made.update_policy.clone(),
    }
}

fn tags(cx: &Engine, id: &StackId) -> std::collections::BTreeMap<String, String> {
    let stack = cx.cloudformation.stacks.get(id);
    stack.and_then(|stack| stack.definition.as_ref()).map(|it| it.tags.clone()).unwrap_or_default()
}

fn ensure_row(cx: &mut Engine, id: &StackId, declaration: &Declaration) {
    let key = (StackId::clone(id), declaration.logical_id.clone());
    if !cx.cloudformation.resources.contains(&key) {
        cx.cloudformation.resources.insert(StackResource {
            stack: key.0,
            logical_id: key.1,
            resource_type: declaration.resource_type.clone(),
            status: ResourceStatus::CreateInProgress,
            reason: None,
            changed: cx.now,
            made: None,
            before: None,
            work: None,
            metadata: None,
        });
    }
}

/// Gives a resource a status and tells of it.
pub(super) fn set(
    cx: &mut Engine,
    id: &StackId,
    logical_id: &str,
    physical_id: &str,
    status: ResourceStatus,
    reason: Option<String>,
) {
    let now = cx.now;
    let key = (StackId::clone(id), logical_id.to_owned());
    let Some(mut row) = cx.cloudformation.resources.edit(&key) else { return };
    row.status = status;
    row.reason.clone_from(&reason);
    row.changed = now;
    let resource_type = row.resource_type.clone();
    let properties = row.made.as_ref().map(|made| Arc::clone(&made.shown));
    drop(row);
    let happened = event::Happened {
        logical_id,
        physical_id,
        resource_type: &resource_type,
        status,
        reason,
        properties,
    };
    event::resource(cx, id, happened);
}
