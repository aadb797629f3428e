//! Task definitions: families and their revisions.

mod check;
mod requirements;
mod size;

use std::sync::Arc;

use capstan_model::{Arn, Span};
use capstan_shapes::{Refusal, ecs as shapes};

use super::cluster::{bad_token, invalid, page_size};
use super::{Family, Name, ServiceStatus, TaskDefinition, TaskDefinitionKey, TaskStatus, tags};
use crate::kernel::page;
use crate::{Caller, Engine};
use shapes::{TaskDefinitionFamilyStatus as FamilyStatus, TaskDefinitionStatus as Status};

/// Revisions of a family (ECS guide, service-quotas).
const REVISIONS_MAX: i32 = 1_000_000;

/// After that a deletion is looked at again: it ends when nothing uses the revision any more. The period is ours.
const DELETED_AFTER: Span = Span::from_hours(1);

pub(super) fn arn(cx: &Engine, key: &TaskDefinitionKey) -> String {
    cx.arn("ecs", format_args!("task-definition/{}:{}", key.family, key.revision))
}

/// The revision that a family (its latest ACTIVE one), `family:revision` or an ARN means, whatever its status.
pub(super) fn find(cx: &Engine, given: &str) -> Option<TaskDefinitionKey> {
    let name = match Arn::parse(given) {
        Some(arn) if arn.service == "ecs" => arn.after("task-definition")?,
        Some(_) => return None,
        None => given,
    };
    let row = match name.split_once(':') {
        Some((family, revision)) => {
            let key = TaskDefinitionKey { family: family.into(), revision: revision.parse().ok()? };
            cx.ecs.task_definitions.get(&key)?
        }
        None => {
            revisions(cx, &Name::from(name)).rev().find(|row| row.shape.status == Some(Status::Active))?
        }
    };
    Some(row.key.clone())
}

/// The revision that new tasks and services mean: it must be ACTIVE.
pub(super) fn find_active(cx: &Engine, given: &str) -> Result<TaskDefinition, Refusal> {
    let row = find(cx, given).and_then(|key| cx.ecs.task_definitions.get(&key));
    let row = row.ok_or_else(|| client("TaskDefinition not found."))?;
    if row.shape.status != Some(Status::Active) {
        return Err(client("TaskDefinition is inactive"));
    }
    Ok(row.clone())
}

fn client(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::CLIENT_EXCEPTION, message)
}

/// The revisions of a family, oldest first.
fn revisions<'a>(
    cx: &'a Engine,
    family: &Name,
) -> impl DoubleEndedIterator<Item = &'a TaskDefinition> + use<'a> {
    let at = |revision| TaskDefinitionKey { family: family.clone(), revision };
    cx.ecs.task_definitions.range(at(0)..=at(i32::MAX))
}

pub(super) fn register(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RegisterTaskDefinitionRequest,
) -> Result<shapes::RegisterTaskDefinitionResponse, Refusal> {
    let tags = tags::check(caller, request.tags.as_deref().unwrap_or_default())?;
    let mut shape = check::check(request)?;
    size::check(&shape)?;
    let family = Name::from(shape.family.as_deref().unwrap_or_default());
    let latest = cx.ecs.families.get(&family).map_or(0, |family| family.latest);
    if latest >= REVISIONS_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("The family {family} has its {REVISIONS_MAX} revisions. Use another family."),
        ));
    }
    let key = TaskDefinitionKey { family, revision: latest + 1 };
    shape.task_definition_arn = Some(arn(cx, &key));
    shape.revision = Some(key.revision);
    shape.status = Some(Status::Active);
    shape.registered_at = Some(cx.now);
    shape.registered_by = Some(match caller {
        Caller::Service(name) => (*name).to_owned(),
        Caller::User { .. } | Caller::Agent(_) => format!("arn:aws:iam::{}:root", cx.config.account),
    });
    let attributes = requirements::attributes(&shape);
    shape.requires_attributes = Some(attributes.iter().map(|name| requirements::shown(name)).collect());
    let needs = requirements::needs(&shape, attributes);
    cx.ecs.families.insert(Family { name: key.family.clone(), latest: key.revision });
    let row = TaskDefinition { key, shape: Arc::new(shape), needs, tags, forget_at: None };
    let answer = shapes::RegisterTaskDefinitionResponse {
        task_definition: Some((*row.shape).clone()),
        tags: Some(tags::shown(&row.tags)),
    };
    cx.ecs.task_definitions.insert(row);
    Ok(answer)
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeTaskDefinitionRequest,
) -> Result<shapes::DescribeTaskDefinitionResponse, Refusal> {
    let key = find(cx, &request.task_definition);
    let row = key.and_then(|key| cx.ecs.task_definitions.get(&key));
    let row = row.ok_or_else(|| client("Unable to describe task definition."))?;
    let with_tags = request.include.unwrap_or_default().contains(&shapes::TaskDefinitionField::Tags);
    Ok(shapes::DescribeTaskDefinitionResponse {
        task_definition: Some((*row.shape).clone()),
        tags: with_tags.then(|| tags::shown(&row.tags)),
    })
}

const MISSING: &str =
    "The specified task definition does not exist. Specify a valid account, family, revision and try again.";

/// A revision for calls that change it: `family:revision` or an ARN, not a family alone.
fn find_revision(cx: &Engine, given: &str) -> Result<TaskDefinitionKey, Refusal> {
    let name = given.rsplit_once('/').map_or(given, |(_, name)| name);
    match name.split_once(':') {
        None => return Err(client("Revision is missing.")),
        Some((_, revision)) if revision.parse::<i32>().is_err() => {
            return Err(client(format!("Invalid revision number. Number: {revision}")));
        }
        Some(_) => {}
    }
    find(cx, given).ok_or_else(|| client(MISSING))
}

pub(super) fn deregister(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeregisterTaskDefinitionRequest,
) -> Result<shapes::DeregisterTaskDefinitionResponse, Refusal> {
    let key = find_revision(cx, &request.task_definition)?;
    let now = cx.now;
    let mut row = cx.ecs.task_definitions.edit(&key).ok_or_else(|| client(MISSING))?;
    if row.shape.status == Some(Status::DeleteInProgress) {
        return Err(client("The specified task definition is in DELETE_IN_PROGRESS status."));
    }
    let shape = Arc::make_mut(&mut row.shape);
    shape.status = Some(Status::Inactive);
    shape.deregistered_at.get_or_insert(now);
    Ok(shapes::DeregisterTaskDefinitionResponse { task_definition: Some(shape.clone()) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteTaskDefinitionsRequest,
) -> Result<shapes::DeleteTaskDefinitionsResponse, Refusal> {
    if request.task_definitions.is_empty() || request.task_definitions.len() > 10 {
        return Err(invalid("taskDefinitions must have between 1 and 10 elements."));
    }
    let now = cx.now;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for given in request.task_definitions {
        let mut fail = |reason: String| {
            let arn = Some(given.clone());
            failures.push(shapes::Failure { arn, reason: Some(reason), detail: None });
        };
        let key = match find_revision(cx, &given) {
            Ok(key) => key,
            Err(refusal) => {
                fail(refusal.message);
                continue;
            }
        };
        let Some(mut row) = cx.ecs.task_definitions.edit(&key) else { continue };
        if row.shape.status == Some(Status::Active) {
            fail(
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
                    .to_owned(),
            );
            continue;
        }
        row.forget_at.get_or_insert(now + DELETED_AFTER);
        let shape = Arc::make_mut(&mut row.shape);
        shape.status = Some(Status::DeleteInProgress);
        shape.delete_requested_at.get_or_insert(now);
        deleted.push(shape.clone());
    }
    Ok(shapes::DeleteTaskDefinitionsResponse { task_definitions: Some(deleted), failures: Some(failures) })
}

/// A revision in deletion goes when no task and no service refers to it.
pub(super) fn on_due(cx: &mut Engine, key: &TaskDefinitionKey) {
    let by_task =
        cx.ecs.tasks.iter().any(|task| task.definition == *key && task.status != TaskStatus::Stopped);
    let by_service = cx.ecs.services.iter().any(|service| {
        let named = service.deployments.iter().any(|deployment| deployment.definition == *key);
        named && service.status != ServiceStatus::Inactive
    });
    if !by_task && !by_service {
        cx.ecs.task_definitions.remove(key);
        return;
    }
    let again = cx.now + DELETED_AFTER;
    if let Some(mut row) = cx.ecs.task_definitions.edit(key) {
        row.forget_at = Some(again);
    }
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTaskDefinitionsRequest,
) -> Result<shapes::ListTaskDefinitionsResponse, Refusal> {
    let status = request.status.unwrap_or(Status::Active);
    let size = page_size(request.max_results, 100)?;
    let wanted = |row: &&TaskDefinition| row.shape.status == Some(status);
    // Despite its name, familyPrefix is the whole name here (ECS model, ListTaskDefinitions).
    let mut rows: Vec<&TaskDefinition> = match &request.family_prefix {
        Some(family) => revisions(cx, &Name::from(family.as_str())).filter(wanted).collect(),
        None => cx.ecs.task_definitions.iter().filter(wanted).collect(),
    };
    let descending = request.sort == Some(shapes::SortOrder::Desc);
    if descending {
        rows.reverse();
    }
    let key = |row: &&TaskDefinition| {
        let key = format!("{}\u{1}{:07}", row.key.family, row.key.revision);
        if descending { reversed(&key) } else { key }
    };
    let page = page(rows, key, request.next_token.as_deref(), size).map_err(|()| bad_token())?;
    let arns = page.items.iter().map(|row| arn(cx, &row.key)).collect();
    Ok(shapes::ListTaskDefinitionsResponse { task_definition_arns: Some(arns), next_token: page.next })
}

/// A key that sorts the other way round.
fn reversed(key: &str) -> String {
    key.bytes().map(|byte| format!("{:02x}", !byte)).chain(["~".to_owned()]).collect()
}

pub(super) fn list_families(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTaskDefinitionFamiliesRequest,
) -> Result<shapes::ListTaskDefinitionFamiliesResponse, Refusal> {
    let size = page_size(request.max_results, 100)?;
    let prefix = request.family_prefix.unwrap_or_default();
    let status = request.status.unwrap_or(FamilyStatus::Active);
    let wanted = |family: &&Family| {
        let mut rows = revisions(cx, &family.name);
        family.name.starts_with(&prefix)
            && match status {
                FamilyStatus::All => rows.next().is_some(),
                FamilyStatus::Active => rows.any(|row| row.shape.status == Some(Status::Active)),
                FamilyStatus::Inactive => {
                    let mut rows = rows.peekable();
                    rows.peek().is_some() && rows.all(|row| row.shape.status != Some(Status::Active))
                }
            }
    };
    let families = cx.ecs.families.iter().filter(wanted).map(|family| family.name.to_string());
    let page =
        page(families, String::clone, request.next_token.as_deref(), size).map_err(|()| bad_token())?;
    Ok(shapes::ListTaskDefinitionFamiliesResponse { families: Some(page.items), next_token: page.next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversed_keys_sort_the_other_way_round() {
        let mut keys = ["web\u{1}0000002", "web\u{1}0000010", "we\u{1}0000001", "weba\u{1}0000001"];
        keys.sort_unstable();
        let turned: Vec<String> = keys.iter().map(|key| reversed(key)).collect();
        let mut sorted = turned.clone();
        sorted.sort();
        sorted.reverse();
        assert_eq!(turned, sorted);
    }
}
