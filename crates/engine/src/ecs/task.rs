//! RunTask, StartTask, StopTask, DescribeTasks, ListTasks and the agent's reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Arn, Hex32, Span};
use capstan_shapes::Refusal;
use capstan_shapes::ecs::{self as shapes, LaunchType, TaskStopCode};

use super::cluster::{self, bad_token, invalid, missing, page_size};
use super::lifecycle::{self, PROVISIONING_MAX, Report, Seed};
use super::placement::{self, Unplaced};
use super::{
    Container, ContainerStatus, Desired, Name, RunToken, StopFlow, StrategyItem, Task, TaskDefinition,
    TaskIndex, TaskNeeds, TaskStatus, capacity_provider, container_instance, strategy, tags, task_definition,
};
use crate::kernel::page;
use crate::{Caller, Engine};

/// RunTask starts at most so many (ECS model RunTaskRequest.count).
const RUN_TASK_MAX: i32 = 10;
/// How long a client token is remembered (our reading; AWS names no time).
const TOKEN_LASTS: Span = Span::from_hours(24);

pub(super) fn client(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::CLIENT_EXCEPTION, message)
}

/// Tasks without an instance of their own have nobody to run them here.
pub(super) fn refuse_fargate(launch_type: Option<LaunchType>) -> Result<(), Refusal> {
    match launch_type {
        None | Some(LaunchType::Ec2) => Ok(()),
        Some(other) => Err(Refusal::of(
            &shapes::UNSUPPORTED_FEATURE_EXCEPTION,
            format!(
                "Capstan does not run tasks with launch type {other}; use EC2 or a capacity provider over an Auto Scaling group. See /_capstan/coverage."
            ),
        )),
    }
}

/// The same for a strategy of FARGATE providers.
pub(super) fn refuse_fargate_strategy(cx: &Engine, strategy: &[StrategyItem]) -> Result<(), Refusal> {
    let fargate = strategy
        .iter()
        .any(|item| cx.ecs.providers.get(&item.provider).is_some_and(|provider| provider.group().is_none()));
    refuse_fargate(fargate.then_some(LaunchType::Fargate))
}

/// The strategy of a request: its own, else the cluster's default when neither it nor a launch type is given.
pub(super) fn strategy_of(
    cx: &Engine,
    cluster: &Name,
    launch_type: Option<LaunchType>,
    asked: Option<&[shapes::CapacityProviderStrategyItem]>,
) -> Result<Vec<StrategyItem>, Refusal> {
    let asked = asked.filter(|items| !items.is_empty());
    if launch_type.is_some() && asked.is_some() {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    match asked {
        Some(items) => capacity_provider::check_strategy(cx, cluster, items),
        None if launch_type.is_some() => Ok(Vec::new()),
        None => Ok(cx.ecs.clusters.get(cluster).map(|row| row.default_strategy.clone()).unwrap_or_default()),
    }
}

pub(super) fn run(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RunTaskRequest,
) -> Result<shapes::RunTaskResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let count = request.count.unwrap_or(1);
    if !(1..=RUN_TASK_MAX).contains(&count) {
        return Err(invalid(format!("count must be between 1 and {RUN_TASK_MAX}.")));
    }
    if let Some(answer) = repeated(cx, &cluster, &request)? {
        return Ok(answer);
    }
    let asked = Arc::new(request.clone());
    refuse_fargate(request.launch_type)?;
    let strategy =
        strategy_of(cx, &cluster, request.launch_type, request.capacity_provider_strategy.as_deref())?;
    refuse_fargate_strategy(cx, &strategy)?;
    capacity_provider::check_total(&strategy, i64::from(count))?;
    let definition = task_definition::find_active(cx, &request.task_definition)?;
    let seed = seed_of_request(
        cx,
        caller,
        cluster.clone(),
        &definition,
        Asked {
            group: request.group,
            started_by: request.started_by,
            overrides: request.overrides,
            constraints: request.placement_constraints,
            strategy: request.placement_strategy,
            network: request.network_configuration,
            execute: request.enable_execute_command,
            propagate: request.propagate_tags,
            tags: request.tags,
        },
    )?;
    let launch_type = strategy.is_empty().then_some(LaunchType::Ec2);
    let shares: Vec<(Option<Name>, i64)> = if strategy.is_empty() {
        vec![(None, i64::from(count))]
    } else {
        let split = strategy::split(&strategy, i64::from(count));
        strategy.iter().map(|item| Some(item.provider.clone())).zip(split).collect()
    };
    let waiting = lifecycle::waiting_count(cx, &cluster);
    let may_wait =
        shares.iter().any(|(provider, share)| *share > 0 && lifecycle::may_wait(cx, provider.as_ref()));
    if may_wait && waiting + usize::try_from(count).unwrap_or_default() > PROVISIONING_MAX {
        return Err(client(
            "The limit on the number of tasks in the PROVISIONING state was exceeded. Wait and try again.",
        ));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for (provider, share) in shares {
        for _ in 0..share {
            let seed = Seed { provider: provider.clone(), launch_type, ..seed.clone() };
            match lifecycle::find_place(cx, &seed) {
                Ok(placed) => {
                    let id = lifecycle::create(cx, seed);
                    lifecycle::assign(cx, id, &placed);
                    tasks.push(id);
                }
                Err(unplaced) if lifecycle::may_wait(cx, provider.as_ref()) => {
                    let id = lifecycle::create(cx, seed);
                    lifecycle::wait(cx, id, unplaced.reason());
                    tasks.push(id);
                }
                Err(unplaced) => failures.push(failure(cx, &cluster, &unplaced)),
            }
        }
    }
    if let Some(token) = asked.client_token.clone().filter(|_| !tasks.is_empty()) {
        let forget_at = cx.now + TOKEN_LASTS;
        cx.ecs.run_tokens.insert(RunToken {
            cluster,
            token,
            request: asked,
            tasks: tasks.clone(),
            forget_at,
        });
    }
    Ok(shapes::RunTaskResponse { tasks: Some(described(cx, &tasks)), failures: Some(failures) })
}

fn described(cx: &Engine, ids: &[Hex32]) -> Vec<shapes::Task> {
    ids.iter().filter_map(|id| cx.ecs.tasks.get(id)).map(|task| describe_one(cx, task, true)).collect()
}

/// The answer to a request that was made before with the same client token; a conflict when the requests differ.
fn repeated(
    cx: &Engine,
    cluster: &Name,
    request: &shapes::RunTaskRequest,
) -> Result<Option<shapes::RunTaskResponse>, Refusal> {
    let Some(token) = request.client_token.clone() else { return Ok(None) };
    let Some(row) = cx.ecs.run_tokens.get(&(cluster.clone(), token)) else { return Ok(None) };
    if *row.request != *request {
        let tasks = row.tasks.iter().map(|id| arn(cx, cluster, *id)).collect();
        let message = "The request's client token was used before with different parameters.";
        return Err(Refusal::of(&shapes::CONFLICT_EXCEPTION, message).with_member("resourceIds", tasks));
    }
    Ok(Some(shapes::RunTaskResponse { tasks: Some(described(cx, &row.tasks)), failures: Some(Vec::new()) }))
}

fn failure(cx: &Engine, cluster: &Name, unplaced: &Unplaced) -> shapes::Failure {
    let arn = unplaced.instance().map(|id| container_instance::arn(cx, cluster, id));
    shapes::Failure { arn, reason: Some(unplaced.reason()), detail: None }
}

/// What RunTask, StartTask and services say about the tasks that they start.
struct Asked {
    group: Option<String>,
    started_by: Option<String>,
    overrides: Option<shapes::TaskOverride>,
    constraints: Option<Vec<shapes::PlacementConstraint>>,
    strategy: Option<Vec<shapes::PlacementStrategy>>,
    network: Option<shapes::NetworkConfiguration>,
    execute: Option<bool>,
    propagate: Option<shapes::PropagateTags>,
    tags: Option<Vec<shapes::Tag>>,
}

fn seed_of_request(
    cx: &Engine,
    caller: &Caller,
    cluster: Name,
    definition: &TaskDefinition,
    asked: Asked,
) -> Result<Seed, Refusal> {
    let family = &definition.key.family;
    let group = asked.group.unwrap_or_else(|| format!("family:{family}"));
    if group.starts_with("service:") {
        return Err(invalid("Group names beginning with 'service:' are reserved for tasks of services."));
    }
    if definition.needs.interface && asked.network.is_none() {
        return Err(invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    check_overrides(definition, asked.overrides.as_ref())?;
    placement::check_rules(
        asked.constraints.as_deref().unwrap_or_default(),
        asked.strategy.as_deref().unwrap_or_default(),
    )?;
    let mut tags = BTreeMap::new();
    if asked.propagate == Some(shapes::PropagateTags::TaskDefinition) {
        tags.extend(definition.tags.clone());
    }
    tags.extend(tags::check(caller, asked.tags.as_deref().unwrap_or_default())?);
    let _ = cx;
    Ok(Seed {
        cluster,
        definition: definition.key.clone(),
        group: group.into(),
        started_by: asked.started_by.map(Into::into),
        service: None,
        deployment: 0,
        launch_type: None,
        provider: None,
        needs: Arc::new(needs(definition, asked.overrides.as_ref())),
        overrides: asked.overrides.map(Arc::new),
        constraints: asked.constraints.unwrap_or_default(),
        strategy: asked.strategy.unwrap_or_default(),
        network: asked.network.map(Arc::new),
        enable_execute_command: asked.execute.unwrap_or(false),
        tags,
    })
}

fn check_overrides(
    definition: &TaskDefinition,
    overrides: Option<&shapes::TaskOverride>,
) -> Result<(), Refusal> {
    let containers = definition.shape.container_definitions.as_deref().unwrap_or_default();
    for entry in overrides.iter().flat_map(|overrides| overrides.container_overrides.iter().flatten()) {
        let known = containers.iter().any(|container| container.name == entry.name);
        if !known {
            let name = entry.name.as_deref().unwrap_or_default();
            return Err(invalid(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
    }
    Ok(())
}

/// What a task needs once its overrides are applied: a task-level size replaces everything, container sizes replace
/// their container's part.
pub(super) fn needs(definition: &TaskDefinition, overrides: Option<&shapes::TaskOverride>) -> TaskNeeds {
    let mut needs = definition.needs.clone();
    let Some(overrides) = overrides else { return needs };
    let shape = &definition.shape;
    for entry in overrides.container_overrides.iter().flatten() {
        let of_definition = shape.container_definitions.iter().flatten().find(|c| c.name == entry.name);
        let Some(container) = of_definition else { continue };
        if shape.cpu.is_none() {
            let before = container.cpu.unwrap_or_default();
            needs.resources.cpu += i64::from(entry.cpu.unwrap_or(before) - before);
        }
        if shape.memory.is_none() {
            let before = container.memory_reservation.or(container.memory).unwrap_or_default();
            let after = entry.memory_reservation.or(entry.memory).unwrap_or(before);
            needs.resources.memory += i64::from(after - before);
        }
    }
    let size = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    needs.resources.cpu = size(&overrides.cpu).unwrap_or(needs.resources.cpu);
    needs.resources.memory = size(&overrides.memory).unwrap_or(needs.resources.memory);
    needs
}

pub(super) fn start(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::StartTaskRequest,
) -> Result<shapes::StartTaskResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    if request.container_instances.is_empty() || request.container_instances.len() > 10 {
        return Err(invalid("You can specify between 1 and 10 container instances."));
    }
    let definition = task_definition::find_active(cx, &request.task_definition)?;
    let seed = seed_of_request(
        cx,
        caller,
        cluster.clone(),
        &definition,
        Asked {
            group: request.group,
            started_by: request.started_by,
            overrides: request.overrides,
            constraints: None,
            strategy: None,
            network: request.network_configuration,
            execute: request.enable_execute_command,
            propagate: request.propagate_tags,
            tags: request.tags,
        },
    )?;
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for instance in &request.container_instances {
        let Some(id) = container_instance::find_instance(cx, &cluster, instance) else {
            failures.push(missing(container_instance::arn_of(cx, &cluster, instance)));
            continue;
        };
        // StartTask bypasses the scheduler: only what the instance itself cannot hold is refused (spec ecs.md §9).
        match placement::fits(cx, id, &seed.needs, &[], &seed.group) {
            Ok(placed) => {
                let task = lifecycle::create(cx, Seed { launch_type: Some(LaunchType::Ec2), ..seed.clone() });
                lifecycle::assign(cx, task, &placed);
                tasks.push(task);
            }
            Err(unplaced) => failures.push(failure(cx, &cluster, &unplaced)),
        }
    }
    Ok(shapes::StartTaskResponse { tasks: Some(described(cx, &tasks)), failures: Some(failures) })
}

pub(super) fn stop(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::StopTaskRequest,
) -> Result<shapes::StopTaskResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let id =
        find(cx, &cluster, &request.task).ok_or_else(|| invalid("The referenced task was not found."))?;
    let reason = request.reason.unwrap_or_else(|| "Task stopped by user".to_owned());
    lifecycle::stop(cx, id, TaskStopCode::UserInitiated, &reason, StopFlow::Direct);
    let task = cx.ecs.tasks.get(&id).map(|task| describe_one(cx, task, true));
    Ok(shapes::StopTaskResponse { task })
}

/// The task of that id or ARN in the cluster.
pub(super) fn find(cx: &Engine, cluster: &Name, text: &str) -> Option<Hex32> {
    let id = match Arn::parse(text) {
        Some(arn) => {
            let rest = arn.after("task")?;
            // Short ARNs have no cluster in them.
            let (of_cluster, id) = rest.split_once('/').unwrap_or((cluster, rest));
            if of_cluster != &**cluster {
                return None;
            }
            id
        }
        None => text,
    };
    let id: Hex32 = id.parse().ok()?;
    cx.ecs.tasks.get(&id).filter(|task| task.cluster == *cluster).map(|task| task.id)
}

pub(super) fn arn(cx: &Engine, cluster: &Name, id: Hex32) -> String {
    cx.arn("ecs", format_args!("task/{cluster}/{id}"))
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeTasksRequest,
) -> Result<shapes::DescribeTasksResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    if request.tasks.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if request.tasks.len() > 100 {
        return Err(invalid("Tasks cannot have more than 100 elements."));
    }
    let with_tags = request.include.is_some_and(|include| include.contains(&shapes::TaskField::Tags));
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for text in &request.tasks {
        match find(cx, &cluster, text).and_then(|id| cx.ecs.tasks.get(&id)) {
            Some(task) => tasks.push(describe_one(cx, task, with_tags)),
            None => {
                let arn = if text.starts_with("arn:") {
                    text.clone()
                } else {
                    cx.arn("ecs", format_args!("task/{cluster}/{text}"))
                };
                failures.push(missing(arn));
            }
        }
    }
    Ok(shapes::DescribeTasksResponse { tasks: Some(tasks), failures: Some(failures) })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListTasksRequest,
) -> Result<shapes::ListTasksResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let service = match request.service_name.as_deref() {
        Some(name) => Some(super::service::find(cx, &cluster, name)?),
        None => None,
    };
    let instance = match request.container_instance.as_deref() {
        Some(text) => Some(
            container_instance::find_instance(cx, &cluster, text)
                .ok_or_else(|| invalid("The referenced container instance was not found."))?,
        ),
        None => None,
    };
    let desired = match request.desired_status {
        None | Some(shapes::DesiredStatus::Running) => Desired::Running,
        Some(shapes::DesiredStatus::Stopped) => Desired::Stopped,
        // ECS never sets a task's desired status to PENDING (ECS model ListTasksRequest.desiredStatus).
        Some(shapes::DesiredStatus::Pending) => {
            return Ok(shapes::ListTasksResponse { task_arns: Some(Vec::new()), next_token: None });
        }
    };
    let family = request.family.as_deref();
    let started_by = request.started_by.as_deref();
    let wanted = |task: &&Task| {
        task.desired == desired
            && service.as_ref().is_none_or(|service| task.service.as_ref() == Some(service))
            && instance.is_none_or(|instance| task.instance == Some(instance))
            && family.is_none_or(|family| &*task.definition.family == family)
            && started_by.is_none_or(|by| started_by_of(task).as_deref() == Some(by))
            && request.launch_type.is_none_or(|launch| task.launch_type == Some(launch))
    };
    let size = page_size(request.max_results, 100)?;
    let rows = cx.ecs.tasks.by(&TaskIndex::Cluster(cluster.clone())).filter(wanted);
    let page = page(rows, |task| task.id.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| bad_token())?;
    let arns = page.items.iter().map(|task| arn(cx, &cluster, task.id)).collect();
    Ok(shapes::ListTasksResponse { task_arns: Some(arns), next_token: page.next })
}

fn started_by_of(task: &Task) -> Option<String> {
    match &task.started_by {
        Some(by) => Some(by.to_string()),
        None if task.deployment != 0 => Some(format!("ecs-svc/{:019}", task.deployment)),
        None => None,
    }
}

pub(super) fn describe_one(cx: &Engine, task: &Task, with_tags: bool) -> shapes::Task {
    let cluster_arn = cx.arn("ecs", format_args!("cluster/{}", task.cluster));
    let task_arn = arn(cx, &task.cluster, task.id);
    let definition = cx.ecs.task_definitions.get(&task.definition);
    let mut attachments = Vec::new();
    if let Some(ip) = &task.ip {
        let detail = |name: &str, value: String| shapes::KeyValuePair {
            name: Some(name.to_owned()),
            value: Some(value),
        };
        attachments.push(shapes::Attachment {
            id: Some(interface_attachment(task)),
            r#type: Some("ElasticNetworkInterface".to_owned()),
            status: Some(if task.status == TaskStatus::Stopped { "DELETED" } else { "ATTACHED" }.to_owned()),
            details: Some(vec![
                detail("subnetId", task.subnet.clone().unwrap_or_default()),
                detail("networkInterfaceId", format!("eni-{:017x}", task.id.0 & ((1 << 68) - 1))),
                detail("privateIPv4Address", ip.clone()),
            ]),
        });
    }
    let agent = task.instance.and_then(|id| cx.ecs.instances.get(&id));
    shapes::Task {
        attachments: Some(attachments),
        attributes: Some(
            definition.and_then(|d| d.shape.runtime_platform.as_ref()?.cpu_architecture).map_or(
                Vec::new(),
                |arch| {
                    vec![shapes::Attribute {
                        name: "ecs.cpu-architecture".to_owned(),
                        value: Some(arch.as_str().to_lowercase()),
                        ..Default::default()
                    }]
                },
            ),
        ),
        availability_zone: task.zone.as_deref().map(str::to_owned),
        capacity_provider_name: task.provider.as_deref().map(str::to_owned),
        cluster_arn: Some(cluster_arn),
        connectivity: agent.map(|row| {
            if row.agent_connected {
                shapes::Connectivity::Connected
            } else {
                shapes::Connectivity::Disconnected
            }
        }),
        connectivity_at: agent.map(|_| task.pull_started_at.unwrap_or(task.created_at)),
        container_instance_arn: task.instance.map(|id| container_instance::arn(cx, &task.cluster, id)),
        containers: Some(
            task.containers
                .iter()
                .map(|container| describe_container(cx, task, definition, container))
                .collect(),
        ),
        cpu: Some(task.needs.resources.cpu.to_string()),
        created_at: Some(task.created_at),
        desired_status: Some(
            match task.desired {
                Desired::Running => "RUNNING",
                Desired::Stopped => "STOPPED",
            }
            .to_owned(),
        ),
        enable_execute_command: Some(task.enable_execute_command),
        execution_stopped_at: task.execution_stopped_at,
        group: Some(task.group.to_string()),
        health_status: Some(health(task)),
        last_status: Some(task.status.as_str().to_owned()),
        launch_type: task.launch_type.or_else(|| task.provider.is_none().then_some(LaunchType::Ec2)),
        memory: Some(task.needs.resources.memory.to_string()),
        overrides: Some(overrides(task)),
        pull_started_at: task.pull_started_at,
        pull_stopped_at: task.pull_stopped_at,
        started_at: task.started_at,
        started_by: started_by_of(task),
        stop_code: task.stop_code,
        stopped_at: task.stopped_at,
        stopped_reason: task.stopped_reason.clone(),
        stopping_at: task.stopping_at,
        tags: Some(if with_tags { tags::shown(&task.tags) } else { Vec::new() }),
        task_arn: Some(task_arn),
        task_definition_arn: Some(task_definition::arn(cx, &task.definition)),
        version: Some(task.version),
        ..Default::default()
    }
}

fn interface_attachment(task: &Task) -> String {
    let hex = format!("{:032x}", task.id.0.rotate_left(64));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A task's overrides as they are described: every container is named.
fn overrides(task: &Task) -> shapes::TaskOverride {
    let mut overrides = task.overrides.as_deref().cloned().unwrap_or_default();
    let mut containers = overrides.container_overrides.take().unwrap_or_default();
    for container in &task.containers {
        if !containers.iter().any(|entry| entry.name.as_deref() == Some(container.name.as_str())) {
            containers
                .push(shapes::ContainerOverride { name: Some(container.name.clone()), ..Default::default() });
        }
    }
    overrides.container_overrides = Some(containers);
    overrides.inference_accelerator_overrides.get_or_insert_default();
    overrides
}

/// Any essential container UNHEALTHY → UNHEALTHY; else any UNKNOWN → UNKNOWN (ECS model HealthCheck).
pub(super) fn health(task: &Task) -> shapes::HealthStatus {
    let checked = task
        .containers
        .iter()
        .filter(|container| container.essential)
        .filter_map(|container| container.healthy);
    let mut status = None;
    for healthy in checked {
        let one = match healthy {
            Some(false) => return shapes::HealthStatus::Unhealthy,
            None => shapes::HealthStatus::Unknown,
            Some(true) => shapes::HealthStatus::Healthy,
        };
        status = Some(if status == Some(shapes::HealthStatus::Unknown) {
            shapes::HealthStatus::Unknown
        } else {
            one
        });
    }
    status.unwrap_or(shapes::HealthStatus::Unknown)
}

fn describe_container(
    cx: &Engine,
    task: &Task,
    definition: Option<&TaskDefinition>,
    container: &Container,
) -> shapes::Container {
    let of_definition = definition
        .into_iter()
        .flat_map(|definition| definition.shape.container_definitions.iter().flatten())
        .find(|d| d.name.as_deref() == Some(container.name.as_str()));
    let bindings = container.bindings.iter().map(|binding| shapes::NetworkBinding {
        bind_ip: Some(binding.bind_ip.clone()),
        container_port: Some(i32::from(binding.container_port)),
        host_port: Some(i32::from(binding.host_port)),
        protocol: Some(if binding.udp {
            shapes::TransportProtocol::Udp
        } else {
            shapes::TransportProtocol::Tcp
        }),
        ..Default::default()
    });
    let interfaces = task.ip.iter().map(|ip| shapes::NetworkInterface {
        attachment_id: Some(interface_attachment(task)),
        private_ipv4_address: Some(ip.clone()),
        ..Default::default()
    });
    shapes::Container {
        container_arn: Some(
            cx.arn("ecs", format_args!("container/{}/{}/{}", task.cluster, task.id, container.id)),
        ),
        task_arn: Some(arn(cx, &task.cluster, task.id)),
        name: Some(container.name.clone()),
        image: of_definition.and_then(|d| d.image.clone()),
        image_digest: container.image_digest.clone(),
        runtime_id: container.runtime_id.clone(),
        last_status: Some(
            match container.status {
                ContainerStatus::Pending => "PENDING",
                ContainerStatus::Running => "RUNNING",
                ContainerStatus::Stopped => "STOPPED",
            }
            .to_owned(),
        ),
        exit_code: container.exit_code,
        reason: container.reason.clone(),
        network_bindings: Some(bindings.collect()),
        network_interfaces: Some(interfaces.collect()),
        health_status: Some(match container.healthy {
            Some(Some(true)) => shapes::HealthStatus::Healthy,
            Some(Some(false)) => shapes::HealthStatus::Unhealthy,
            _ => shapes::HealthStatus::Unknown,
        }),
        cpu: Some(of_definition.and_then(|d| d.cpu).unwrap_or_default().to_string()),
        memory: of_definition.and_then(|d| d.memory).map(|n| n.to_string()),
        memory_reservation: of_definition.and_then(|d| d.memory_reservation).map(|n| n.to_string()),
        ..Default::default()
    }
}

/// Who may report about a task: the agent of the instance that it is on, or a user who plays one.
fn reported(
    cx: &Engine,
    caller: &Caller,
    cluster: Option<&str>,
    task: Option<&str>,
) -> Result<Option<Hex32>, Refusal> {
    let cluster = cluster::find_cluster(cx, cluster)?;
    let Some(id) = task.and_then(|text| find(cx, &cluster, text)) else { return Ok(None) };
    if let Caller::Agent(agent) = caller {
        let row = cx.ecs.tasks.get(&id).and_then(|task| cx.ecs.instances.get(&task.instance?));
        if row.and_then(|row| row.ec2_instance) != Some(*agent) {
            // Stale work: the task is no longer this agent's.
            return Ok(None);
        }
    }
    Ok(Some(id))
}

pub(super) fn submit_task(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::SubmitTaskStateChangeRequest,
) -> Result<shapes::SubmitTaskStateChangeResponse, Refusal> {
    // A report about a task that ECS no longer knows is acknowledged, so that the agent forgets it too.
    if let Some(id) = reported(cx, caller, request.cluster.as_deref(), request.task.as_deref())? {
        let report = Report {
            status: request.status.as_deref().and_then(lifecycle::container_status),
            reason: request.reason,
            containers: request.containers.unwrap_or_default(),
            pull_started_at: request.pull_started_at,
            pull_stopped_at: request.pull_stopped_at,
            execution_stopped_at: request.execution_stopped_at,
        };
        lifecycle::report(cx, id, report);
    }
    Ok(shapes::SubmitTaskStateChangeResponse { acknowledgment: Some("ACK".to_owned()) })
}

pub(super) fn submit_container(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::SubmitContainerStateChangeRequest,
) -> Result<shapes::SubmitContainerStateChangeResponse, Refusal> {
    if let Some(id) = reported(cx, caller, request.cluster.as_deref(), request.task.as_deref())? {
        let change = shapes::ContainerStateChange {
            container_name: request.container_name,
            runtime_id: request.runtime_id,
            status: request.status,
            exit_code: request.exit_code,
            reason: request.reason,
            network_bindings: request.network_bindings,
            image_digest: None,
        };
        let report = Report {
            status: None,
            reason: None,
            containers: vec![change],
            pull_started_at: None,
            pull_stopped_at: None,
            execution_stopped_at: None,
        };
        lifecycle::report(cx, id, report);
    }
    Ok(shapes::SubmitContainerStateChangeResponse { acknowledgment: Some("ACK".to_owned()) })
}
