//! A task's way from PROVISIONING to STOPPED (spec ecs.md §5), whoever asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_model::{Hex32, Span, Time};
use capstan_shapes::ecs as shapes;
use capstan_shapes::{ecs::TaskStopCode, elbv2};

use super::placement::{self, PlaceRequest, Placed};
use super::{
    Binding, Container, ContainerStatus, Desired, InstanceStatus, Name, ProviderKind, ServiceKey, StopFlow,
    TargetState, Task, TaskDefinition, TaskDefinitionKey, TaskIndex, TaskNeeds, TaskStatus, TaskTarget,
    Waiting, deployment, event, managed_draining,
};
use crate::kernel::{Effect, Event};
use crate::{Caller, Engine};

/// How long a task may wait for capacity (spec timelines.md B1 row 15).
pub(super) const PROVISIONING_TIMEOUT: Span = Span::from_mins(30);
/// At most so many PROVISIONING tasks in a cluster (ECS guide, service-quotas).
pub(super) const PROVISIONING_MAX: usize = 500;
/// Stopped tasks stay describable for at least an hour (ECS model, DescribeTasks).
const FORGET_AFTER: Span = Span::from_hours(1);
/// From the end of deregistration to the stop: 90 s delay, stopped at +101 s (spec observed.md §1).
pub(super) const STOP_AFTER_DRAINING: Span = Span::from_secs(11);

/// What a new task is made of.
#[derive(Clone)]
pub(super) struct Seed {
    pub(super) cluster: Name,
    pub(super) definition: TaskDefinitionKey,
    pub(super) group: Name,
    pub(super) started_by: Option<Name>,
    pub(super) service: Option<ServiceKey>,
    pub(super) deployment: u64,
    pub(super) launch_type: Option<shapes::LaunchType>,
    pub(super) provider: Option<Name>,
    pub(super) needs: Arc<TaskNeeds>,
    pub(super) overrides: Option<Arc<shapes::TaskOverride>>,
    pub(super) constraints: Vec<shapes::PlacementConstraint>,
    pub(super) strategy: Vec<shapes::PlacementStrategy>,
    pub(super) network: Option<Arc<shapes::NetworkConfiguration>>,
    pub(super) enable_execute_command: bool,
    pub(super) tags: std::collections::BTreeMap<String, String>,
}

/// Makes a PROVISIONING task that is on no instance yet.
pub(super) fn create(cx: &mut Engine, seed: Seed) -> Hex32 {
    let id = Hex32(cx.chance.u128("ecs.task-id"));
    let shape = cx.ecs.task_definitions.get(&seed.definition).map(|definition| definition.shape.clone());
    let mut containers = Vec::new();
    for definition in shape.iter().flat_map(|shape| shape.container_definitions.iter().flatten()) {
        containers.push(Container {
            name: definition.name.clone().unwrap_or_default(),
            id: cx.chance.uuid("ecs.container-id"),
            status: ContainerStatus::Pending,
            essential: definition.essential.unwrap_or(true),
            exit_code: None,
            reason: None,
            runtime_id: None,
            image_digest: None,
            bindings: Vec::new(),
            healthy: definition.health_check.as_ref().map(|_| None),
        });
    }
    let now = cx.now;
    let health_checked =
        containers.iter().any(|container| container.essential && container.healthy.is_some());
    cx.ecs.tasks.insert(Task {
        id,
        health_checked,
        cluster: seed.cluster,
        definition: seed.definition,
        needs: seed.needs,
        group: seed.group,
        started_by: seed.started_by,
        service: seed.service,
        deployment: seed.deployment,
        launch_type: seed.launch_type,
        provider: seed.provider,
        instance: None,
        zone: None,
        status: TaskStatus::Provisioning,
        desired: Desired::Running,
        waiting: None,
        containers,
        overrides: seed.overrides,
        placement_constraints: seed.constraints,
        placement_strategy: seed.strategy,
        network: seed.network,
        ip: None,
        subnet: None,
        enable_execute_command: seed.enable_execute_command,
        created_at: now,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        stopped_at: None,
        execution_stopped_at: None,
        stop_code: None,
        stopped_reason: None,
        protection: None,
        wakes_at: None,
        generation: 0,
        version: 1,
        targets: Vec::new(),
        stopping: None,
        unhealthy: None,
        tags: seed.tags,
        placed_because: None,
        usage: None,
    });
    event::task_changed(cx, id);
    id
}

/// All constraints of a task: its definition's and its own.
pub(super) fn constraints(
    definition: &TaskDefinition,
    own: &[shapes::PlacementConstraint],
) -> Vec<shapes::PlacementConstraint> {
    let of_definition = definition.shape.placement_constraints.iter().flatten().map(|constraint| {
        shapes::PlacementConstraint {
            r#type: Some(shapes::PlacementConstraintType::MemberOf),
            expression: constraint.expression.clone(),
        }
    });
    of_definition.chain(own.iter().cloned()).collect()
}

/// Looks for a place by the task's own settings; takes nothing.
pub(super) fn find_place(cx: &mut Engine, seed: &Seed) -> Result<Placed, placement::Unplaced> {
    let Some(definition) = cx.ecs.task_definitions.get(&seed.definition) else {
        return Err(placement::Unplaced::no_definition());
    };
    let constraints = constraints(definition, &seed.constraints);
    let request = PlaceRequest {
        cluster: seed.cluster.clone(),
        provider: seed.provider.clone(),
        needs: seed.needs.clone(),
        group: seed.group.clone(),
        service: seed.service.clone(),
        constraints,
        strategy: seed.strategy.clone(),
    };
    placement::place(cx, &request)
}

/// Puts a task on an instance and orders its start.
pub(super) fn assign(cx: &mut Engine, id: Hex32, placed: &Placed) {
    let ip = interface_address(cx, id);
    let Some(instance) = cx.ecs.instances.get(&placed.instance) else { return };
    let (zone, ec2_instance) = (instance.zone.clone(), instance.ec2_instance);
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    task.instance = Some(placed.instance);
    task.zone = Some(zone);
    task.status = TaskStatus::Pending;
    task.waiting = None;
    task.wakes_at = None;
    task.generation += 1;
    task.version += 1;
    task.placed_because = Some(placed.because.to_string());
    if let Some((ip, subnet)) = ip {
        task.ip = Some(ip);
        task.subnet = subnet;
    }
    let generation = task.generation;
    drop(task);
    placement::take(cx, placed.instance, id);
    super::managed_scaling::task_placed(cx, placed.instance);
    event::task_changed(cx, id);
    event::instance_changed(cx, placed.instance);
    if let Some(instance) = ec2_instance {
        cx.effect(Effect::RunTask { instance, task: id, generation });
    }
}

/// An address for an `awsvpc` task, in the subnet that it asks for.
fn interface_address(cx: &mut Engine, id: Hex32) -> Option<(String, Option<String>)> {
    let task = cx.ecs.tasks.get(&id)?;
    if !task.needs.interface {
        return None;
    }
    let configuration = task.network.as_ref()?.awsvpc_configuration.as_ref()?;
    let subnet = configuration.subnets.first().cloned();
    let host = cx.chance.below("ecs.task-address", 1 << 15);
    let own = subnet.as_ref().and_then(|id| cx.ec2.subnets().get(id)).filter(|row| !row.default_for_zone);
    let address = match own {
        Some(own) => own.task_address(host).to_string(),
        // Our reading: the second half of the default VPC's addresses is for tasks, so that none meets an instance's.
        None => format!("172.31.{}.{}", 128 + (host >> 8), host & 0xff),
    };
    Some((address, subnet))
}

/// Lets a task wait for capacity.
pub(super) fn wait(cx: &mut Engine, id: Hex32, reason: String) {
    let now = cx.now;
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    let (since, until) = match &task.waiting {
        Some(waiting) => (waiting.since, waiting.until),
        None => (now, now + PROVISIONING_TIMEOUT),
    };
    task.waiting = Some(Waiting { since, until, reason });
    task.wakes_at = Some(until);
}

/// How many tasks of the cluster wait for capacity.
pub(super) fn waiting_count(cx: &Engine, cluster: &Name) -> usize {
    let from = TaskIndex::Waiting(cluster.clone(), None);
    let of_cluster = |index: &&TaskIndex| matches!(index, TaskIndex::Waiting(name, _) if name == cluster);
    let indexes = cx.ecs.tasks.indexes_from(from).take_while(of_cluster);
    indexes.map(|index| cx.ecs.tasks.count_by(index)).sum()
}

/// Instances that register within this time get waiting tasks together, so that the first one does not take all of
/// them (waiting tasks are looked at about every 15 s: spec ecs.md §3.1, observed).
const GATHER_INSTANCES: Span = Span::from_secs(10);

/// Something that may make room happened; tasks that wait are tried again at the end of this moment.
pub(super) fn capacity_changed(cx: &mut Engine, cluster: Name, provider: Option<Name>) {
    retry_at(cx, cluster, provider, Span::ZERO);
}

/// A new instance may take tasks that wait.
pub(super) fn instance_joined(cx: &mut Engine, cluster: Name, provider: Option<Name>) {
    retry_at(cx, cluster, provider, GATHER_INSTANCES);
}

fn retry_at(cx: &mut Engine, cluster: Name, provider: Option<Name>, after: Span) {
    let at = cx.now + after;
    let mut put = |provider: Option<Name>| {
        let entry = cx.ecs.retry.entry((cluster.clone(), provider)).or_insert(at);
        *entry = at.min(*entry);
    };
    put(None);
    if provider.is_some() {
        put(provider);
    }
}

/// Tries again to place what waits, in the order of age; what needs the same as one that just found no place is not
/// tried again.
pub(super) fn retry_waiting(cx: &mut Engine) {
    let due = cx.ecs.retry.iter().find(|(_, at)| **at <= cx.now).map(|(place, _)| place.clone());
    let Some((cluster, provider)) = due else { return };
    cx.ecs.retry.remove(&(cluster.clone(), provider.clone()));
    let index = TaskIndex::Waiting(cluster.clone(), provider.clone());
    let mut waiting: Vec<(Time, Hex32)> =
        cx.ecs.tasks.by(&index).map(|task| (task.created_at, task.id)).collect();
    waiting.sort_unstable();
    let mut hopeless: BTreeSet<(Arc<TaskNeeds>, Name)> = BTreeSet::new();
    for (_, id) in waiting {
        let Some(task) = cx.ecs.tasks.get(&id) else { continue };
        let like = (task.needs.clone(), task.group.clone());
        if hopeless.contains(&like) {
            continue;
        }
        let seed = seed_of(task);
        match find_place(cx, &seed) {
            Ok(placed) => assign(cx, id, &placed),
            Err(unplaced) => {
                wait(cx, id, unplaced.reason());
                hopeless.insert(like);
            }
        }
    }
    deployment::poke_unplaced(cx, &cluster);
}

/// What a waiting task was made of, as far as placement asks.
fn seed_of(task: &Task) -> Seed {
    Seed {
        cluster: task.cluster.clone(),
        definition: task.definition.clone(),
        group: task.group.clone(),
        started_by: task.started_by.clone(),
        service: task.service.clone(),
        deployment: task.deployment,
        launch_type: task.launch_type,
        provider: task.provider.clone(),
        needs: task.needs.clone(),
        overrides: None,
        constraints: task.placement_constraints.clone(),
        strategy: task.placement_strategy.clone(),
        network: None,
        enable_execute_command: task.enable_execute_command,
        tags: Default::default(),
    }
}

/// Whether a provider's tasks may wait for capacity: managed scaling is on (spec ecs.md §3.1).
pub(super) fn may_wait(cx: &Engine, provider: Option<&Name>) -> bool {
    let Some(provider) = provider.and_then(|name| cx.ecs.providers.get(name)) else { return false };
    match provider.kind {
        ProviderKind::AutoScalingGroup(_) => provider.scaling().is_some(),
        ProviderKind::Fargate | ProviderKind::FargateSpot => false,
    }
}

/// Stops a task: its targets leave first, then the agent is told. A task that is being stopped already stays so.
pub(super) fn stop(cx: &mut Engine, id: Hex32, code: TaskStopCode, reason: &str, flow: StopFlow) {
    let now = cx.now;
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    if task.desired == Desired::Stopped {
        return;
    }
    task.desired = Desired::Stopped;
    task.stop_code = Some(code);
    task.stopped_reason = Some(reason.to_owned());
    task.stopping_at = Some(now);
    task.stopping = Some(flow);
    task.version += 1;
    task.wakes_at = None;
    let (on_instance, has_targets) = (task.instance.is_some(), !task.targets.is_empty());
    if has_targets {
        task.status = TaskStatus::Deactivating;
    }
    drop(task);
    event::task_changed(cx, id);
    placement::leave(cx, id);
    match (on_instance, has_targets) {
        (false, _) => finish(cx, id),
        (true, true) => deregister(cx, id),
        (true, false) => order_stop(cx, id),
    }
}

/// Tells the agent to stop the task's containers.
fn order_stop(cx: &mut Engine, id: Hex32) {
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    task.status = TaskStatus::Stopping;
    task.version += 1;
    task.wakes_at = None;
    let (instance, generation, service) = (task.instance, task.generation, task.service.clone());
    let told_now = task.stopping == Some(StopFlow::Draining);
    drop(task);
    event::task_changed(cx, id);
    let host = instance.and_then(|instance| cx.ecs.instances.get(&instance)).and_then(|row| row.ec2_instance);
    match host {
        Some(instance) => cx.effect(Effect::StopTask { instance, task: id, generation }),
        None => finish(cx, id),
    }
    match service {
        Some(service) if told_now => deployment::drained(cx, &service, id),
        Some(service) => deployment::left(cx, &service),
        None => {}
    }
}

/// The task has no container left anywhere.
pub(super) fn finish(cx: &mut Engine, id: Hex32) {
    let now = cx.now;
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    if task.status == TaskStatus::Stopped {
        return;
    }
    let ran = task.started_at.is_some();
    if task.stop_code.is_none() {
        task.stop_code =
            Some(if ran { TaskStopCode::EssentialContainerExited } else { TaskStopCode::TaskFailedToStart });
    }
    if task.stopped_reason.is_none() {
        task.stopped_reason = Some("Essential container in task exited".to_owned());
    }
    let instance = task.instance;
    let still_registered: Vec<TaskTarget> = std::mem::take(&mut task.targets);
    for container in &mut task.containers {
        container.status = ContainerStatus::Stopped;
    }
    drop(task);
    // While it still counts on its instance, so that what it held is known.
    if let Some(instance) = instance {
        placement::give_back(cx, instance, id);
    }
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    task.status = TaskStatus::Stopped;
    task.desired = Desired::Stopped;
    task.waiting = None;
    task.stopped_at = Some(now);
    task.stopping_at = task.stopping_at.or(Some(now));
    task.execution_stopped_at = task.execution_stopped_at.or_else(|| ran.then_some(now));
    task.wakes_at = Some(now + FORGET_AFTER);
    task.version += 1;
    let service = task.service.clone();
    let (cluster, provider) = (task.cluster.clone(), task.provider.clone());
    drop(task);
    leave_groups(cx, still_registered);
    event::task_changed(cx, id);
    if let Some(instance) = instance {
        event::instance_changed(cx, instance);
        capacity_changed(cx, cluster, provider);
        if cx.ecs.tasks.count_by(&TaskIndex::Instance(instance)) == 0 {
            managed_draining::instance_emptied(cx, instance);
        } else if cx.ecs.instances.get(&instance).is_some_and(|row| row.status == InstanceStatus::Draining) {
            super::daemon::last_on_instance(cx, instance);
        }
    }
    if let Some(service) = service {
        deployment::task_stopped(cx, &service, id, ran);
    }
}

/// The instance is gone, and the tasks on it with it.
pub(super) fn instance_lost(cx: &mut Engine, instance: Hex32, reason: &str, code: TaskStopCode) {
    for id in cx.ecs.tasks.keys_by(&TaskIndex::Instance(instance)) {
        if let Some(mut task) = cx.ecs.tasks.edit(&id).filter(|task| task.desired == Desired::Running) {
            task.desired = Desired::Stopped;
            task.stop_code = Some(code);
            task.stopped_reason = Some(reason.to_owned());
        }
        finish(cx, id);
    }
}

/// Registers a running task's targets in its service's target groups. Gives how many there were for each group.
pub(super) fn register(cx: &mut Engine, id: Hex32) -> Vec<Name> {
    let targets = targets_of(cx, id);
    let mut groups = Vec::new();
    for target in targets {
        let description = description(&target);
        let request = elbv2::RegisterTargetsRequest {
            target_group_arn: target.group.to_string(),
            targets: vec![description],
        };
        // A group that is gone registers nothing; the service goes on without it.
        if cx.call(Caller::ECS, request).is_ok() {
            groups.push(target.group.clone());
            if let Some(mut task) = cx.ecs.tasks.edit(&id) {
                task.targets.push(target);
            }
        }
    }
    groups
}

fn description(target: &TaskTarget) -> elbv2::TargetDescription {
    elbv2::TargetDescription {
        id: target.id.to_string(),
        port: Some(i32::from(target.port)),
        ..Default::default()
    }
}

/// The targets that a running task has by its service's load balancers and its bound ports.
fn targets_of(cx: &Engine, id: Hex32) -> Vec<TaskTarget> {
    let Some(task) = cx.ecs.tasks.get(&id) else { return Vec::new() };
    let Some(service) = task.service.as_ref().and_then(|key| cx.ecs.services.get(key)) else {
        return Vec::new();
    };
    let host =
        task.instance.and_then(|instance| cx.ecs.instances.get(&instance)).and_then(|row| row.ec2_instance);
    let mut targets = Vec::new();
    for load_balancer in &service.load_balancers {
        let Some(group) = &load_balancer.target_group_arn else { continue };
        let port = u16::try_from(load_balancer.container_port.unwrap_or_default()).unwrap_or_default();
        let container = task
            .containers
            .iter()
            .find(|container| Some(&container.name) == load_balancer.container_name.as_ref());
        let place = match &task.ip {
            Some(ip) => Some((ip.clone(), port)),
            None => {
                let binding = container
                    .and_then(|container| container.bindings.iter().find(|b| b.container_port == port));
                binding.and_then(|binding| Some((host?.to_string(), binding.host_port)))
            }
        };
        if let Some((id, port)) = place {
            targets.push(TaskTarget {
                group: group.as_str().into(),
                id: id.into(),
                port,
                state: TargetState::Initial,
            });
        }
    }
    targets
}

/// Takes a task's targets out of their groups; they drain until the deregistration delay is over.
fn deregister(cx: &mut Engine, id: Hex32) {
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    for target in &mut task.targets {
        target.state = TargetState::Draining;
    }
    let targets = task.targets.clone();
    drop(task);
    for target in targets {
        let request = elbv2::DeregisterTargetsRequest {
            target_group_arn: target.group.to_string(),
            targets: vec![description(&target)],
        };
        if cx.call(Caller::ECS, request).is_err() {
            target_left(cx, id, &target);
        }
    }
}

fn leave_groups(cx: &mut Engine, targets: Vec<TaskTarget>) {
    for target in targets {
        let request = elbv2::DeregisterTargetsRequest {
            target_group_arn: target.group.to_string(),
            targets: vec![description(&target)],
        };
        // The group may be gone already, and the target with it.
        let _ = cx.call(Caller::ECS, request);
    }
}

/// A target of a task has left its group for good.
fn target_left(cx: &mut Engine, id: Hex32, target: &TaskTarget) {
    let now = cx.now;
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    task.targets
        .retain(|other| (&other.group, &other.id, other.port) != (&target.group, &target.id, target.port));
    if !task.targets.is_empty() || task.status != TaskStatus::Deactivating {
        return;
    }
    if task.stopping == Some(StopFlow::Draining) {
        task.wakes_at = Some(now + STOP_AFTER_DRAINING);
        return;
    }
    drop(task);
    order_stop(cx, id);
}

/// The load balancer tells about a target (spec elb.md §4).
pub(super) fn on_target_state(cx: &mut Engine, event: &Event) {
    let Event::TargetState { target_group, target, port, state } = event else { return };
    let (group, target): (Name, Name) = (target_group.as_str().into(), target.as_str().into());
    let port = *port;
    for id in cx.ecs.tasks.keys_by(&TaskIndex::Target(group.clone(), target.clone(), port)) {
        let Some(mut task) = cx.ecs.tasks.edit(&id) else { continue };
        let Some(entry) =
            task.targets.iter_mut().find(|t| t.group == group && t.id == target && t.port == port)
        else {
            continue;
        };
        let state = match *state {
            "initial" => Some(TargetState::Initial),
            "healthy" => Some(TargetState::Healthy),
            "unhealthy" => Some(TargetState::Unhealthy),
            "draining" => Some(TargetState::Draining),
            _ => None,
        };
        match state {
            Some(_) if entry.state == TargetState::Draining => {}
            Some(state) => entry.state = state,
            None if entry.state == TargetState::Draining => {
                let left = entry.clone();
                drop(task);
                target_left(cx, id, &left);
                continue;
            }
            None => entry.state = TargetState::Initial,
        }
        let service = task.service.clone();
        drop(task);
        if let Some(service) = service {
            deployment::target_changed(cx, &service, id);
        }
    }
}

/// What fell due on a task's row.
pub(super) fn on_due(cx: &mut Engine, id: Hex32) {
    let Some(task) = cx.ecs.tasks.get(&id) else { return };
    if task.status == TaskStatus::Stopped {
        cx.ecs.tasks.remove(&id);
    } else if task.status == TaskStatus::Deactivating && task.targets.is_empty() {
        order_stop(cx, id);
    } else if let Some(waiting) = task.waiting.clone() {
        if let Some(mut task) = cx.ecs.tasks.edit(&id) {
            task.wakes_at = None;
            task.stop_code = Some(TaskStopCode::TaskFailedToStart);
            task.stopped_reason = Some(format!("TaskFailedToStart: {}", waiting.reason));
        }
        finish(cx, id);
    } else if let Some(mut task) = cx.ecs.tasks.edit(&id) {
        task.wakes_at = None;
    }
}

/// What an agent says about a task.
pub(super) struct Report {
    pub(super) status: Option<ContainerStatus>,
    pub(super) reason: Option<String>,
    pub(super) containers: Vec<shapes::ContainerStateChange>,
    pub(super) pull_started_at: Option<Time>,
    pub(super) pull_stopped_at: Option<Time>,
    pub(super) execution_stopped_at: Option<Time>,
}

/// Takes an agent's report. Late, repeated and reordered reports do no harm: a container goes forward only, and a
/// STOPPED task stays so.
pub(super) fn report(cx: &mut Engine, id: Hex32, report: Report) {
    let now = cx.now;
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    if task.status == TaskStatus::Stopped || task.instance.is_none() {
        return;
    }
    let before = task.version;
    task.pull_started_at = task.pull_started_at.or(report.pull_started_at);
    task.pull_stopped_at = task.pull_stopped_at.or(report.pull_stopped_at);
    task.execution_stopped_at = task.execution_stopped_at.or(report.execution_stopped_at);
    for change in report.containers {
        container_change(&mut task, change);
    }
    let runs = report.status == Some(ContainerStatus::Running) && task.status < TaskStatus::Running;
    let stopped = report.status == Some(ContainerStatus::Stopped);
    if runs {
        task.status = TaskStatus::Running;
        task.started_at = Some(now);
        task.version += 1;
    }
    if stopped {
        let ran = task.started_at.is_some();
        if task.stop_code.is_none() {
            let code =
                if ran { TaskStopCode::EssentialContainerExited } else { TaskStopCode::TaskFailedToStart };
            task.stop_code = Some(code);
            task.stopped_reason = report.reason.filter(|reason| !reason.is_empty());
        }
    }
    let changed = task.version != before;
    let service = task.service.clone();
    let bindings: Vec<Binding> = task.containers.iter().flat_map(|c| &c.bindings).cloned().collect();
    let instance = task.instance;
    drop(task);
    if let (false, Some(instance)) = (bindings.is_empty(), instance) {
        placement::bound(cx, instance, &bindings);
    }
    // An end is told by `finish`.
    if changed && !stopped {
        event::task_changed(cx, id);
    }
    if stopped {
        finish(cx, id);
    } else if let (true, Some(service)) = (runs, service) {
        deployment::task_running(cx, &service, id);
    }
}

/// One container of the report; a status never goes back.
pub(super) fn container_change(task: &mut Task, change: shapes::ContainerStateChange) {
    let Some(container) =
        task.containers.iter_mut().find(|c| Some(&c.name) == change.container_name.as_ref())
    else {
        return;
    };
    if let Some(status) = change.status.as_deref().and_then(container_status) {
        container.status = container.status.max(status);
    }
    container.exit_code = change.exit_code.or(container.exit_code);
    container.reason = change.reason.or_else(|| container.reason.take());
    container.runtime_id = change.runtime_id.or_else(|| container.runtime_id.take());
    container.image_digest = change.image_digest.or_else(|| container.image_digest.take());
    if let Some(bindings) = change.network_bindings.filter(|bindings| !bindings.is_empty()) {
        container.bindings = bindings.into_iter().filter_map(binding).collect();
    }
    task.version += 1;
}

pub(super) fn container_status(text: &str) -> Option<ContainerStatus> {
    match text {
        "PENDING" | "CREATED" | "PULLED" | "MANIFEST_PULLED" => Some(ContainerStatus::Pending),
        "RUNNING" | "RESOURCES_PROVISIONED" => Some(ContainerStatus::Running),
        "STOPPED" | "DEAD" => Some(ContainerStatus::Stopped),
        _ => None,
    }
}

fn binding(binding: shapes::NetworkBinding) -> Option<Binding> {
    let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
    Some(Binding {
        bind_ip: binding.bind_ip.unwrap_or_else(|| "0.0.0.0".to_owned()),
        container_port: port(binding.container_port)?,
        host_port: port(binding.host_port)?,
        udp: binding.protocol == Some(shapes::TransportProtocol::Udp),
    })
}

/// A container's own health check changed its mind (Fact; the stock agent tells it by telemetry).
pub(super) fn container_health(cx: &mut Engine, id: Hex32, container: &str, healthy: bool) {
    let Some(mut task) = cx.ecs.tasks.edit(&id) else { return };
    let Some(container) = task.containers.iter_mut().find(|c| c.name == container && c.healthy.is_some())
    else {
        return;
    };
    container.healthy = Some(Some(healthy));
    task.version += 1;
    let service = task.service.clone();
    drop(task);
    event::task_changed(cx, id);
    if let Some(service) = service {
        deployment::target_changed(cx, &service, id);
    }
}
