//! Task scale-in protection (ECS model UpdateTaskProtection): holds off scale-in and deployments, nothing else.

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::ecs as shapes;

use super::cluster::{self, invalid, missing};
use super::{Desired, Name, Protection, Task, deployment, task};
use crate::{Caller, Engine};

/// Minutes (ECS model UpdateTaskProtectionRequest.expiresInMinutes).
const EXPIRES_DEFAULT: i32 = 120;

/// Whether the task is protected at that moment.
pub(super) fn holds(task: &Task, now: Time) -> bool {
    task.protection.is_some_and(|protection| now < protection.until)
}

pub(super) fn update(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::UpdateTaskProtectionRequest,
) -> Result<shapes::UpdateTaskProtectionResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, Some(&request.cluster))?;
    if request.tasks.is_empty() || request.tasks.len() > 10 {
        return Err(invalid("You can specify between 1 and 10 tasks."));
    }
    let minutes = request.expires_in_minutes.unwrap_or(EXPIRES_DEFAULT);
    if !(1..=2880).contains(&minutes) {
        return Err(invalid("expiresInMinutes must be between 1 and 2880."));
    }
    let until = cx.now + Span::from_mins(i64::from(minutes));
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for text in &request.tasks {
        match look(cx, &cluster, text) {
            Ok(task) => {
                let (id, service) = (task.id, task.service.clone());
                if let Some(mut task) = cx.ecs.tasks.edit(&id) {
                    task.protection = request.protection_enabled.then_some(Protection { until });
                }
                if let Some(service) = service {
                    deployment::poke(cx, &service);
                }
                done.extend(cx.ecs.tasks.get(&id).map(|task| describe(cx, task)));
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok(shapes::UpdateTaskProtectionResponse { protected_tasks: Some(done), failures: Some(failures) })
}

pub(super) fn get(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::GetTaskProtectionRequest,
) -> Result<shapes::GetTaskProtectionResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, Some(&request.cluster))?;
    let tasks = request.tasks.unwrap_or_default();
    if tasks.len() > 100 {
        return Err(invalid("Tasks cannot have more than 100 elements."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for text in &tasks {
        match look(cx, &cluster, text) {
            Ok(task) => found.push(describe(cx, task)),
            Err(failure) => failures.push(failure),
        }
    }
    if tasks.is_empty() {
        let all = cx.ecs.tasks.by(&super::TaskIndex::Cluster(cluster));
        found.extend(all.filter(|task| holds(task, cx.now)).map(|task| describe(cx, task)));
    }
    Ok(shapes::GetTaskProtectionResponse { protected_tasks: Some(found), failures: Some(failures) })
}

/// A service's task that runs; else the failure that says why not.
fn look<'a>(cx: &'a Engine, cluster: &Name, text: &str) -> Result<&'a Task, shapes::Failure> {
    let arn = if text.starts_with("arn:") {
        text.to_owned()
    } else {
        cx.arn("ecs", format_args!("task/{cluster}/{text}"))
    };
    let Some(task) = task::find(cx, cluster, text).and_then(|id| cx.ecs.tasks.get(&id)) else {
        return Err(missing(arn));
    };
    if task.service.is_none() || task.desired == Desired::Stopped {
        return Err(shapes::Failure {
            arn: Some(arn),
            reason: Some("TASK_NOT_VALID".to_owned()),
            detail: Some("Only running tasks of a service can be protected.".to_owned()),
        });
    }
    Ok(task)
}

fn describe(cx: &Engine, task: &Task) -> shapes::ProtectedTask {
    let protection = task.protection.filter(|_| holds(task, cx.now));
    shapes::ProtectedTask {
        task_arn: Some(task::arn(cx, &task.cluster, task.id)),
        protection_enabled: Some(protection.is_some()),
        expiration_date: protection.map(|protection| protection.until),
    }
}
