//! Container instances: what a cluster knows of the machines that its agents run on (spec ecs.md §6).

mod registration;
mod show;

use capstan_model::{Arn, Hex32, InstanceId, Span};
use capstan_shapes::{Refusal, ecs as shapes};

use super::cluster::{self, bad_token, invalid, page_size};
use super::query::Expression;
use super::{
    ContainerInstance, InstanceIndex, InstanceStatus, Name, TaskIndex, draining, event, lifecycle, placement,
};
use crate::kernel::page;
use crate::{Caller, Engine};

pub(super) use registration::register;
pub(super) use show::describe_one;

/// How long a deregistered instance can still be described.
const FORGET_AFTER: Span = Span::from_hours(1);
/// An agent that loses its connection may be back at once (it reconnects several times an hour by itself); only after so
/// long is it told as disconnected (spec timelines.md B1 row 18, our reading).
const DISCONNECT_GRACE: Span = Span::from_secs(30);
/// Instances in one DescribeContainerInstances (ECS guide, service-quotas).
const DESCRIBE_MAX: usize = 100;
/// Instances in one UpdateContainerInstancesState (ECS model).
const UPDATE_MAX: usize = 10;

/// The instance that a call means by an id or an ARN, INACTIVE ones included.
pub(super) fn find_instance(cx: &Engine, cluster: &Name, given: &str) -> Option<Hex32> {
    let id = if given.starts_with("arn:") {
        let arn = Arn::parse(given)?;
        let here =
            arn.service == "ecs" && arn.region == cx.config.region.name && arn.account == cx.config.account;
        let resource = here.then_some(arn)?.after("container-instance")?;
        match resource.split_once('/') {
            Some((name, id)) => (name == &**cluster).then_some(id)?,
            // The short form of ARNs has no cluster.
            None => resource,
        }
    } else {
        given
    };
    let id: Hex32 = id.parse().ok()?;
    let row = cx.ecs.instances.get(&id)?;
    (row.cluster == *cluster).then_some(id)
}

pub(super) fn arn(cx: &Engine, cluster: &str, id: Hex32) -> String {
    cx.arn("ecs", format_args!("container-instance/{cluster}/{id}"))
}

/// The ARN for what a call gave, whether there is such an instance or not.
pub(super) fn arn_of(cx: &Engine, cluster: &str, given: &str) -> String {
    if given.starts_with("arn:") {
        return given.to_owned();
    }
    cx.arn("ecs", format_args!("container-instance/{cluster}/{given}"))
}

/// Changes an instance's row: its version rises, and placement learns of it.
pub(super) fn change(cx: &mut Engine, id: Hex32, change: impl FnOnce(&mut ContainerInstance)) {
    if let Some(mut row) = cx.ecs.instances.edit(&id) {
        change(&mut row);
        row.version += 1;
    }
    placement::instance_changed(cx, id);
    event::instance_changed(cx, id);
}

/// The instance may take tasks that wait.
pub(super) fn has_room(cx: &mut Engine, id: Hex32) {
    let Some(row) = cx.ecs.instances.get(&id) else { return };
    if row.status == InstanceStatus::Active && row.agent_connected {
        let (cluster, provider) = (row.cluster.clone(), row.provider.clone());
        lifecycle::instance_joined(cx, cluster, provider);
    }
}

pub(super) fn deregister(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeregisterContainerInstanceRequest,
) -> Result<shapes::DeregisterContainerInstanceResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let id = find_instance(cx, &cluster, &request.container_instance)
        .ok_or_else(|| invalid("The referenced container instance was not found."))?;
    if cx.ecs.instances.get(&id).is_some_and(|row| row.status == InstanceStatus::Inactive) {
        return Err(invalid("The referenced container instance is INACTIVE."));
    }
    if request.force != Some(true) && cx.ecs.tasks.count_by(&TaskIndex::Instance(id)) > 0 {
        return Err(invalid("Found running tasks on the instance."));
    }
    retire(cx, id, "Container instance deregistration forced by user", shapes::TaskStopCode::UserInitiated);
    let container_instance = cx.ecs.instances.get(&id).map(|row| describe_one(cx, row, &[]));
    Ok(shapes::DeregisterContainerInstanceResponse { container_instance })
}

/// Takes an instance out of its cluster. Tasks on it are lost with that reason.
fn retire(cx: &mut Engine, id: Hex32, reason: &str, code: shapes::TaskStopCode) {
    let forget_at = cx.now + FORGET_AFTER;
    change(cx, id, |row| {
        row.status = InstanceStatus::Inactive;
        row.agent_connected = false;
        row.disconnects_at = None;
        row.forget_at = Some(forget_at);
    });
    lifecycle::instance_lost(cx, id, reason, code);
}

/// An EC2 instance changed its state. Terminating it deregisters its container instance; stopping it does not (ECS model,
/// DeregisterContainerInstance).
pub(super) fn host_state(cx: &mut Engine, instance: InstanceId, state: &str) {
    if !matches!(state, "shutting-down" | "terminated") {
        return;
    }
    for id in cx.ecs.instances.keys_by(&InstanceIndex::Ec2(instance)) {
        let reason = format!("Host EC2 (instance {instance}) terminated.");
        retire(cx, id, &reason, shapes::TaskStopCode::TerminationNotice);
    }
}

/// The agent's connection came or went.
pub(super) fn agent_connection(cx: &mut Engine, instance: InstanceId, connected: bool) {
    let disconnects_at = cx.now + DISCONNECT_GRACE;
    for id in cx.ecs.instances.keys_by(&InstanceIndex::Ec2(instance)) {
        let Some(mut row) = cx.ecs.instances.edit(&id) else { continue };
        let was_connected = row.agent_connected;
        row.disconnects_at =
            (was_connected && !connected).then_some(row.disconnects_at.unwrap_or(disconnects_at));
        drop(row);
        if connected && !was_connected {
            change(cx, id, |row| row.agent_connected = true);
            has_room(cx, id);
        }
    }
}

/// An instance's deadline: it is forgotten, or its agent did not come back.
pub(super) fn on_due(cx: &mut Engine, id: Hex32) {
    let Some(row) = cx.ecs.instances.get(&id) else { return };
    if row.forget_at.is_some_and(|at| at <= cx.now) {
        cx.ecs.instances.remove(&id);
        placement::instance_changed(cx, id);
    } else if row.disconnects_at.is_some_and(|at| at <= cx.now) {
        change(cx, id, |row| {
            row.agent_connected = false;
            row.disconnects_at = None;
        });
    }
}

pub(super) fn update_state(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateContainerInstancesStateRequest,
) -> Result<shapes::UpdateContainerInstancesStateResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let status = match request.status {
        shapes::ContainerInstanceStatus::Active => InstanceStatus::Active,
        shapes::ContainerInstanceStatus::Draining => InstanceStatus::Draining,
        _ => return Err(invalid("Container instance status should be one of [ACTIVE, DRAINING].")),
    };
    check_count(&request.container_instances, UPDATE_MAX)?;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for given in &request.container_instances {
        let found = find_instance(cx, &cluster, given);
        let before = found.and_then(|id| cx.ecs.instances.get(&id)).map(|row| row.status);
        match (found, before) {
            (Some(id), Some(InstanceStatus::Active | InstanceStatus::Draining)) => {
                set_status(cx, id, status);
                done.push(id);
            }
            (Some(_), Some(InstanceStatus::Inactive)) => {
                failures.push(failure(arn_of(cx, &cluster, given), "INACTIVE"));
            }
            _ => failures.push(failure(arn_of(cx, &cluster, given), "MISSING")),
        }
    }
    let described =
        done.iter().filter_map(|id| cx.ecs.instances.get(id)).map(|row| describe_one(cx, row, &[]));
    Ok(shapes::UpdateContainerInstancesStateResponse {
        container_instances: Some(described.collect()),
        failures: Some(failures),
    })
}

/// ACTIVE ⇄ DRAINING, for whoever asks: the API, and managed draining. Nothing happens when it is so already.
pub(super) fn set_status(cx: &mut Engine, id: Hex32, status: InstanceStatus) {
    let Some(row) = cx.ecs.instances.get(&id) else { return };
    if row.status == status || row.status == InstanceStatus::Inactive {
        return;
    }
    change(cx, id, |row| row.status = status);
    match status {
        InstanceStatus::Active => draining::ended(cx, id),
        InstanceStatus::Draining => draining::started(cx, id),
        InstanceStatus::Inactive => {}
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeContainerInstancesRequest,
) -> Result<shapes::DescribeContainerInstancesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    check_count(&request.container_instances, DESCRIBE_MAX)?;
    let include = request.include.unwrap_or_default();
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for given in &request.container_instances {
        match find_instance(cx, &cluster, given).and_then(|id| cx.ecs.instances.get(&id)) {
            Some(row) => shown.push(describe_one(cx, row, &include)),
            None => failures.push(failure(arn_of(cx, &cluster, given), "MISSING")),
        }
    }
    Ok(shapes::DescribeContainerInstancesResponse {
        container_instances: Some(shown),
        failures: Some(failures),
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListContainerInstancesRequest,
) -> Result<shapes::ListContainerInstancesResponse, Refusal> {
    use shapes::ContainerInstanceStatus as Status;
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let size = page_size(request.max_results, 100)?;
    let filter = match request.filter.as_deref().filter(|filter| !filter.is_empty()) {
        Some(text) => Some(Expression::parse(text).map_err(|invalid| invalid.refusal(text))?),
        None => None,
    };
    let wanted = |row: &&ContainerInstance| match (request.status, row.status) {
        (None, InstanceStatus::Active | InstanceStatus::Draining)
        | (Some(Status::Active), InstanceStatus::Active)
        | (Some(Status::Draining), InstanceStatus::Draining) => {
            filter.as_ref().is_none_or(|filter| filter.holds(&cx.ecs, row))
        }
        _ => false,
    };
    let index = InstanceIndex::Cluster(cluster.clone());
    let rows = cx.ecs.instances.by(&index).filter(wanted);
    let page = page(rows, |row| row.id.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| bad_token())?;
    let arns = page.items.iter().map(|row| arn(cx, &cluster, row.id)).collect();
    Ok(shapes::ListContainerInstancesResponse { container_instance_arns: Some(arns), next_token: page.next })
}

fn check_count(given: &[String], max: usize) -> Result<(), Refusal> {
    if given.is_empty() {
        return Err(invalid("Container instances cannot be empty."));
    }
    if given.len() > max {
        return Err(invalid(format!("Container instances cannot have more than {max} elements.")));
    }
    Ok(())
}

fn failure(arn: String, reason: &str) -> shapes::Failure {
    shapes::Failure { arn: Some(arn), reason: Some(reason.to_owned()), detail: None }
}
