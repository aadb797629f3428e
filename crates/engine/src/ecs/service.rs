//! CreateService, UpdateService, DescribeServices, ListServices, DeleteService.

use std::collections::VecDeque;
use std::sync::Arc;

use capstan_model::{Arn, Time};
use capstan_shapes::Refusal;
use capstan_shapes::ecs::{self as shapes, LaunchType, SchedulingStrategy};

use super::cluster::{self, bad_token, invalid, missing, page_size, strategy_item};
use super::task::{client, refuse_fargate, refuse_fargate_strategy, strategy_of};
use super::{
    Deployment, Name, Rollout, Service, ServiceIndex, ServiceKey, ServiceStatus, StrategyItem,
    TaskDefinition, TaskIndex, TaskStatus, capacity_provider, deployment, event, placement, tags,
    task_definition,
};
use crate::kernel::{Event, page};
use crate::{Caller, Engine};

/// Target groups of one service (ECS guide, service-quotas).
const TARGET_GROUPS_MAX: usize = 5;

fn not_found() -> Refusal {
    Refusal::of(&shapes::SERVICE_NOT_FOUND_EXCEPTION, "Service not found.")
}

/// The service of that name or ARN in the cluster, INACTIVE ones included.
pub(super) fn find(cx: &Engine, cluster: &Name, text: &str) -> Result<ServiceKey, Refusal> {
    let key = key_of(cluster, text);
    key.filter(|key| cx.ecs.services.contains(key)).ok_or_else(not_found)
}

fn key_of(cluster: &Name, text: &str) -> Option<ServiceKey> {
    let name = match Arn::parse(text) {
        Some(arn) => {
            let rest = arn.after("service")?;
            let (of_cluster, name) = rest.split_once('/').unwrap_or((cluster, rest));
            if of_cluster != &**cluster {
                return None;
            }
            name
        }
        None => text,
    };
    Some(ServiceKey { cluster: cluster.clone(), name: name.into() })
}

pub(super) fn arn(cx: &Engine, key: &ServiceKey) -> String {
    cx.arn("ecs", format_args!("service/{}/{}", key.cluster, key.name))
}

/// A number for `ecs-svc/…`: nineteen digits.
fn deployment_id(cx: &mut Engine) -> u64 {
    1_000_000_000_000_000_000 + cx.chance.below("ecs.deployment-id", 8_000_000_000_000_000_000)
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateServiceRequest,
) -> Result<shapes::CreateServiceResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    check_name(&request.service_name)?;
    let key = ServiceKey { cluster: cluster.clone(), name: request.service_name.as_str().into() };
    if let Some(existing) =
        cx.ecs.services.get(&key).filter(|service| service.status != ServiceStatus::Inactive)
    {
        let same = request.client_token.is_some() && existing.client_token == request.client_token;
        if same {
            return Ok(shapes::CreateServiceResponse { service: Some(describe_one(cx, existing, true)) });
        }
        return Err(invalid(match existing.status {
            ServiceStatus::Draining => "Unable to Start a service that is still Draining.",
            _ => "Creation of service was not idempotent.",
        }));
    }
    check_controller(request.deployment_controller.as_ref())?;
    let scheduling = request.scheduling_strategy.unwrap_or(SchedulingStrategy::Replica);
    let daemon = scheduling == SchedulingStrategy::Daemon;
    let desired = match (daemon, request.desired_count) {
        (true, None) => 0,
        (true, Some(_)) => {
            return Err(invalid(
                "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again.",
            ));
        }
        (false, None) => {
            return Err(invalid(
                "The desiredCount parameter is required when the scheduling strategy is REPLICA.",
            ));
        }
        (false, Some(count)) if count < 0 => {
            return Err(invalid("desiredCount must be greater than or equal to 0."));
        }
        (false, Some(count)) => i64::from(count),
    };
    refuse_fargate(request.launch_type)?;
    let strategy =
        strategy_of(cx, &cluster, request.launch_type, request.capacity_provider_strategy.as_deref())?;
    refuse_fargate_strategy(cx, &strategy)?;
    capacity_provider::check_total(&strategy, desired)?;
    let text =
        request.task_definition.as_deref().ok_or_else(|| invalid("TaskDefinition can not be blank."))?;
    let definition = task_definition::find_active(cx, text)?;
    let load_balancers = request.load_balancers.unwrap_or_default();
    check_load_balancers(cx, &definition, &load_balancers)?;
    check_network(&definition, request.network_configuration.as_ref())?;
    let constraints = request.placement_constraints.unwrap_or_default();
    let rules = request.placement_strategy.unwrap_or_default();
    placement::check_rules(&constraints, &rules)?;
    if daemon && !rules.is_empty() {
        return Err(invalid(
            "The daemon scheduling strategy does not support task placement strategies. Remove the placement strategies and try again.",
        ));
    }
    let grace = check_grace(request.health_check_grace_period_seconds, &load_balancers)?;
    let configuration = request.deployment_configuration.unwrap_or_default();
    let percents = percents(&configuration, daemon, None)?;
    let now = cx.now;
    let launch_type = strategy.is_empty().then_some(request.launch_type.unwrap_or(LaunchType::Ec2));
    let first = Deployment {
        id: deployment_id(cx),
        primary: true,
        definition: definition.key.clone(),
        strategy,
        launch_type,
        network: request.network_configuration.map(Arc::new),
        platform_version: request.platform_version,
        created_at: now,
        updated_at: now,
        rollout: Rollout::InProgress,
        rollout_reason: String::new(),
        failed_tasks: 0,
        rollback: false,
        ran: false,
    };
    let service = Service {
        key: key.clone(),
        status: ServiceStatus::Active,
        daemon,
        desired,
        deployments: vec![with_reason(first)],
        completed: None,
        minimum_healthy_percent: percents.0,
        maximum_percent: percents.1,
        circuit_breaker: breaker(&configuration),
        deployment_configuration: configuration,
        load_balancers,
        placement_constraints: constraints,
        placement_strategy: rules,
        health_grace: grace,
        role_arn: request.role,
        scheduling,
        az_rebalancing: request.availability_zone_rebalancing,
        enable_ecs_managed_tags: request.enable_ecs_managed_tags.unwrap_or(false),
        enable_execute_command: request.enable_execute_command.unwrap_or(false),
        propagate_tags: request.propagate_tags,
        client_token: request.client_token,
        created_at: now,
        events: VecDeque::new(),
        steady: false,
        wakes_at: Some(now),
        throttle: None,
        unplaced: None,
        launches: (Time::ZERO, 0),
        steady_at: None,
        told_stopped: Vec::new(),
        tags: tags::check(caller, request.tags.as_deref().unwrap_or_default())?,
    };
    cx.ecs.services.insert(service);
    event::deployment_began(cx, &key);
    let service = cx.ecs.services.get(&key).map(|service| describe_one(cx, service, true));
    Ok(shapes::CreateServiceResponse { service })
}

fn with_reason(mut deployment: Deployment) -> Deployment {
    deployment.rollout_reason = format!("ECS deployment ecs-svc/{:019} in progress.", deployment.id);
    deployment
}

/// Up to 255 letters of both cases, digits, underscores and hyphens (ECS model CreateServiceRequest.serviceName).
fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        Ok(())
    } else {
        Err(invalid(
            "Invalid service name. Service names can contain up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.",
        ))
    }
}

fn check_controller(controller: Option<&shapes::DeploymentController>) -> Result<(), Refusal> {
    match controller.map(|controller| controller.r#type) {
        None | Some(shapes::DeploymentControllerType::Ecs) => Ok(()),
        Some(other) => Err(Refusal::of(
            &shapes::UNSUPPORTED_FEATURE_EXCEPTION,
            format!(
                "Capstan does not run services with the {other} deployment controller; use ECS. See /_capstan/coverage."
            ),
        )),
    }
}

fn check_load_balancers(
    cx: &Engine,
    definition: &TaskDefinition,
    load_balancers: &[shapes::LoadBalancer],
) -> Result<(), Refusal> {
    if load_balancers.len() > TARGET_GROUPS_MAX {
        return Err(invalid("load balancers can have at most 5 items."));
    }
    for load_balancer in load_balancers {
        let Some(group) = &load_balancer.target_group_arn else {
            return Err(invalid(
                "Capstan balances through target groups only: targetGroupArn can not be blank.",
            ));
        };
        let Some(name) = &load_balancer.container_name else {
            return Err(invalid("Container name must be specified for a service with load balancers."));
        };
        let containers = definition.shape.container_definitions.as_deref().unwrap_or_default();
        let Some(container) = containers.iter().find(|container| container.name.as_ref() == Some(name))
        else {
            return Err(invalid(format!("The container {name} does not exist in the task definition.")));
        };
        let port = load_balancer.container_port;
        let maps = container.port_mappings.iter().flatten().any(|mapping| mapping.container_port == port);
        if !maps {
            let port = port.unwrap_or_default();
            return Err(invalid(format!(
                "The container {name} did not have a container port {port} defined."
            )));
        }
        if !crate::elb::target_group_exists(cx, group) {
            return Err(invalid(format!("The specified target group does not exist: {group}")));
        }
        if !crate::elb::target_group_in_use(cx, group) {
            return Err(invalid(format!(
                "The target group with targetGroupArn {group} does not have an associated load balancer."
            )));
        }
    }
    Ok(())
}

fn check_network(
    definition: &TaskDefinition,
    network: Option<&shapes::NetworkConfiguration>,
) -> Result<(), Refusal> {
    match (definition.needs.interface, network) {
        (true, None) => {
            Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."))
        }
        (false, Some(_)) => Err(invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        )),
        _ => Ok(()),
    }
}

fn check_grace(grace: Option<i32>, load_balancers: &[shapes::LoadBalancer]) -> Result<Option<i64>, Refusal> {
    match grace {
        Some(seconds) if seconds < 0 => {
            Err(invalid("healthCheckGracePeriodSeconds must be greater than or equal to 0."))
        }
        Some(_) if load_balancers.is_empty() => Err(invalid(
            "Health check grace period is only valid for services configured to use load balancers",
        )),
        Some(seconds) => Ok(Some(i64::from(seconds))),
        None => Ok((!load_balancers.is_empty()).then_some(0)),
    }
}

/// Minimum and maximum percent with their defaults: REPLICA 100 and 200, DAEMON 0 and 100 (spec ecs.md §8.1).
fn percents(
    configuration: &shapes::DeploymentConfiguration,
    daemon: bool,
    before: Option<(i64, i64)>,
) -> Result<(i64, i64), Refusal> {
    if !matches!(configuration.strategy, None | Some(shapes::DeploymentStrategy::Rolling)) {
        return Err(Refusal::of(
            &shapes::UNSUPPORTED_FEATURE_EXCEPTION,
            "Capstan runs ROLLING deployments; other deployment strategies are not built. See /_capstan/coverage.",
        ));
    }
    let (minimum, maximum) = before.unwrap_or(if daemon { (0, 100) } else { (100, 200) });
    let minimum = configuration.minimum_healthy_percent.map_or(minimum, i64::from);
    let maximum = configuration.maximum_percent.map_or(maximum, i64::from);
    if daemon && maximum != 100 {
        return Err(invalid(
            "The daemon scheduling strategy does not support values above 100 for maximumPercent.",
        ));
    }
    if !(0..=100).contains(&minimum) {
        return Err(invalid("minimumHealthyPercent must be between 0 and 100."));
    }
    if !(100..=10_000).contains(&maximum) {
        return Err(invalid("maximumPercent must be greater than or equal to 100."));
    }
    if minimum == 100 && maximum == 100 {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    Ok((minimum, maximum))
}

fn breaker(configuration: &shapes::DeploymentConfiguration) -> Option<(bool, bool)> {
    configuration.deployment_circuit_breaker.as_ref().map(|breaker| (breaker.enable, breaker.rollback))
}

pub(super) fn update(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::UpdateServiceRequest,
) -> Result<shapes::UpdateServiceResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let key = find(cx, &cluster, &request.service)?;
    let Some(service) = cx.ecs.services.get(&key) else { return Err(not_found()) };
    if service.status != ServiceStatus::Active {
        return Err(Refusal::of(&shapes::SERVICE_NOT_ACTIVE_EXCEPTION, "Service was not ACTIVE."));
    }
    let Some(primary) = service.deployments.first().cloned() else { return Err(not_found()) };
    let mut next = service.clone();

    check_controller(request.deployment_controller.as_ref())?;
    if let Some(count) = request.desired_count {
        if next.daemon {
            return Err(invalid(
                "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again.",
            ));
        }
        if count < 0 {
            return Err(invalid("desiredCount must be greater than or equal to 0."));
        }
        next.desired = i64::from(count);
    }
    let definition = match request.task_definition.as_deref() {
        Some(text) => task_definition::find_active(cx, text)?,
        None => cx
            .ecs
            .task_definitions
            .get(&primary.definition)
            .cloned()
            .ok_or_else(|| client("TaskDefinition is inactive"))?,
    };
    let force = request.force_new_deployment.unwrap_or(false);
    let mut deploys = force || definition.key != primary.definition;
    if let Some(load_balancers) = request.load_balancers {
        deploys |= load_balancers != next.load_balancers;
        next.load_balancers = load_balancers;
    }
    check_load_balancers(cx, &definition, &next.load_balancers)?;
    let mut network = primary.network.clone();
    if let Some(asked) = request.network_configuration {
        let asked = Some(Arc::new(asked));
        deploys |= asked != network;
        network = asked;
    }
    check_network(&definition, network.as_deref())?;
    if let Some(grace) = request.health_check_grace_period_seconds {
        next.health_grace = check_grace(Some(grace), &next.load_balancers)?;
    }
    if let Some(configuration) = request.deployment_configuration {
        let before = (next.minimum_healthy_percent, next.maximum_percent);
        (next.minimum_healthy_percent, next.maximum_percent) =
            percents(&configuration, next.daemon, Some(before))?;
        if configuration.deployment_circuit_breaker.is_some() {
            next.circuit_breaker = breaker(&configuration);
        }
        merge(&mut next.deployment_configuration, configuration);
    }
    if let Some(constraints) = request.placement_constraints {
        placement::check_rules(&constraints, &[])?;
        next.placement_constraints = constraints;
    }
    if let Some(rules) = request.placement_strategy {
        placement::check_rules(&[], &rules)?;
        next.placement_strategy = rules;
    }
    let mut strategy = primary.strategy.clone();
    let mut strategy_changed = false;
    if let Some(items) = &request.capacity_provider_strategy {
        // `[]` returns to the launch type or the cluster's default (spec ecs.md §2.4).
        let asked = if items.is_empty() {
            cx.ecs.clusters.get(&cluster).map(|row| row.default_strategy.clone()).unwrap_or_default()
        } else {
            capacity_provider::check_strategy(cx, &cluster, items)?
        };
        refuse_fargate_strategy(cx, &asked)?;
        strategy_changed = asked != strategy;
        strategy = asked;
    }
    if strategy_changed && !deploys {
        return Err(invalid(
            "When switching from launch type to capacity provider strategy on an existing service, or making a change to a capacity provider strategy on a service that is already using one, you must force a new deployment.",
        ));
    }
    next.az_rebalancing = request.availability_zone_rebalancing.or(next.az_rebalancing);
    next.enable_execute_command = request.enable_execute_command.unwrap_or(next.enable_execute_command);
    next.enable_ecs_managed_tags = request.enable_ecs_managed_tags.unwrap_or(next.enable_ecs_managed_tags);
    next.propagate_tags = request.propagate_tags.or(next.propagate_tags);
    let now = cx.now;
    if deploys {
        let launch_type = strategy.is_empty().then_some(primary.launch_type.unwrap_or(LaunchType::Ec2));
        let id = deployment_id(cx);
        for deployment in &mut next.deployments {
            deployment.primary = false;
        }
        let deployment = Deployment {
            id,
            primary: true,
            definition: definition.key,
            strategy,
            launch_type,
            network,
            platform_version: request.platform_version.or(primary.platform_version),
            created_at: now,
            updated_at: now,
            rollout: Rollout::InProgress,
            rollout_reason: String::new(),
            failed_tasks: 0,
            rollback: false,
            ran: false,
        };
        next.deployments.insert(0, with_reason(deployment));
        next.throttle = None;
        next.unplaced = None;
    } else if let Some(deployment) = next.deployments.first_mut() {
        deployment.updated_at = now;
    }
    next.steady = false;
    next.steady_at = None;
    cx.ecs.services.insert(next);
    if deploys {
        event::deployment_began(cx, &key);
    }
    deployment::poke(cx, &key);
    let service = cx.ecs.services.get(&key).map(|service| describe_one(cx, service, true));
    Ok(shapes::UpdateServiceResponse { service })
}

/// Members that the update names replace what was there.
fn merge(into: &mut shapes::DeploymentConfiguration, from: shapes::DeploymentConfiguration) {
    macro_rules! take {
        ($($member:ident),*) => { $(if from.$member.is_some() { into.$member = from.$member; })* };
    }
    take!(
        deployment_circuit_breaker,
        maximum_percent,
        minimum_healthy_percent,
        alarms,
        strategy,
        bake_time_in_minutes,
        lifecycle_hooks,
        linear_configuration,
        canary_configuration
    );
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteServiceRequest,
) -> Result<shapes::DeleteServiceResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let key = find(cx, &cluster, &request.service)?;
    let force = request.force.unwrap_or(false);
    let Some(service) = cx.ecs.services.get(&key).filter(|service| service.status != ServiceStatus::Inactive)
    else {
        return Err(not_found());
    };
    if !service.daemon && service.desired > 0 && !force {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    if let Some(mut service) = cx.ecs.services.edit(&key) {
        service.status = ServiceStatus::Draining;
        service.desired = 0;
    }
    let (cluster, service) = (key.cluster.to_string(), key.name.to_string());
    cx.announce(Event::ServiceDeleted { cluster, service });
    deployment::poke(cx, &key);
    let service = cx.ecs.services.get(&key).map(|service| describe_one(cx, service, true));
    Ok(shapes::DeleteServiceResponse { service })
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeServicesRequest,
) -> Result<shapes::DescribeServicesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    if request.services.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if request.services.len() > 10 {
        return Err(invalid("Services cannot have more than 10 elements."));
    }
    let with_tags = request.include.is_some_and(|include| include.contains(&shapes::ServiceField::Tags));
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for text in &request.services {
        match key_of(&cluster, text).and_then(|key| cx.ecs.services.get(&key)) {
            Some(service) => services.push(describe_one(cx, service, with_tags)),
            None => {
                let arn = if text.starts_with("arn:") {
                    text.clone()
                } else {
                    cx.arn("ecs", format_args!("service/{cluster}/{text}"))
                };
                failures.push(missing(arn));
            }
        }
    }
    Ok(shapes::DescribeServicesResponse { services: Some(services), failures: Some(failures) })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListServicesRequest,
) -> Result<shapes::ListServicesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let size = page_size(request.max_results, 10)?;
    let wanted = |service: &&Service| {
        let launch_type = service.deployments.first().and_then(|deployment| deployment.launch_type);
        request.launch_type.is_none_or(|asked| launch_type == Some(asked))
            && request.scheduling_strategy.is_none_or(|asked| service.scheduling == asked)
    };
    let rows = cx.ecs.services.by(&ServiceIndex::Cluster(cluster)).filter(wanted);
    let page = page(rows, |service| service.key.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| bad_token())?;
    let arns = page.items.iter().map(|service| arn(cx, &service.key)).collect();
    Ok(shapes::ListServicesResponse { service_arns: Some(arns), next_token: page.next })
}

fn write_strategy(strategy: &[StrategyItem]) -> Vec<shapes::CapacityProviderStrategyItem> {
    strategy.iter().map(strategy_item).collect()
}

fn count(n: usize) -> Option<i32> {
    Some(i32::try_from(n).unwrap_or(i32::MAX))
}

pub(super) fn describe_one(cx: &Engine, service: &Service, with_tags: bool) -> shapes::ServiceData {
    let tasks = cx.ecs.tasks.by(&TaskIndex::Service(service.key.clone()));
    let tasks: Vec<(TaskStatus, u64)> = tasks.map(|task| (task.status, task.deployment)).collect();
    let of = |deployment: Option<u64>, wanted: fn(TaskStatus) -> bool| {
        let wanted =
            |(status, of): &&(TaskStatus, u64)| wanted(*status) && deployment.is_none_or(|id| *of == id);
        tasks.iter().filter(wanted).count()
    };
    // A task that leaves its load balancer runs on until it is told to stop (spec observed.md §1).
    let running = |status| matches!(status, TaskStatus::Running | TaskStatus::Deactivating);
    let pending = |status| status < TaskStatus::Running;
    let primary = service.deployments.first();
    let deployments = service.deployments.iter().map(|deployment| {
        // Only the PRIMARY deployment is scaled to the desired count; the others keep what they have for now.
        let desired = match deployment.primary {
            true => service.desired,
            false => i64::try_from(of(Some(deployment.id), |status| status <= TaskStatus::Running))
                .unwrap_or_default(),
        };
        shapes::Deployment {
            id: Some(format!("ecs-svc/{:019}", deployment.id)),
            status: Some(if deployment.primary { "PRIMARY" } else { "ACTIVE" }.to_owned()),
            task_definition: Some(task_definition::arn(cx, &deployment.definition)),
            desired_count: i32::try_from(desired).ok(),
            pending_count: count(of(Some(deployment.id), pending)),
            running_count: count(of(Some(deployment.id), running)),
            failed_tasks: i32::try_from(deployment.failed_tasks).ok(),
            created_at: Some(deployment.created_at),
            updated_at: Some(deployment.updated_at),
            capacity_provider_strategy: (!deployment.strategy.is_empty())
                .then(|| write_strategy(&deployment.strategy)),
            launch_type: deployment.launch_type,
            platform_version: deployment.platform_version.clone(),
            network_configuration: deployment.network.as_deref().cloned(),
            rollout_state: Some(match deployment.rollout {
                Rollout::InProgress => shapes::DeploymentRolloutState::InProgress,
                Rollout::Completed => shapes::DeploymentRolloutState::Completed,
                Rollout::Failed => shapes::DeploymentRolloutState::Failed,
            }),
            rollout_state_reason: Some(deployment.rollout_reason.clone()),
            ..Default::default()
        }
    });
    let events = service.events.iter().map(|event| shapes::ServiceEvent {
        id: Some(event.id.clone()),
        created_at: Some(event.at),
        message: Some(event.message.clone()),
    });
    let mut configuration = service.deployment_configuration.clone();
    configuration.maximum_percent = i32::try_from(service.maximum_percent).ok();
    configuration.minimum_healthy_percent = i32::try_from(service.minimum_healthy_percent).ok();
    configuration
        .deployment_circuit_breaker
        .get_or_insert(shapes::DeploymentCircuitBreaker { enable: false, rollback: false });
    configuration.strategy.get_or_insert(shapes::DeploymentStrategy::Rolling);
    configuration.bake_time_in_minutes.get_or_insert(0);
    shapes::ServiceData {
        service_arn: Some(arn(cx, &service.key)),
        service_name: Some(service.key.name.to_string()),
        cluster_arn: Some(cx.arn("ecs", format_args!("cluster/{}", service.key.cluster))),
        load_balancers: Some(service.load_balancers.clone()),
        service_registries: Some(Vec::new()),
        status: Some(
            match service.status {
                ServiceStatus::Active => "ACTIVE",
                ServiceStatus::Draining => "DRAINING",
                ServiceStatus::Inactive => "INACTIVE",
            }
            .to_owned(),
        ),
        desired_count: i32::try_from(service.desired).ok(),
        running_count: count(of(None, running)),
        pending_count: count(of(None, pending)),
        launch_type: primary.and_then(|deployment| deployment.launch_type),
        capacity_provider_strategy: primary
            .filter(|d| !d.strategy.is_empty())
            .map(|d| write_strategy(&d.strategy)),
        platform_version: primary.and_then(|deployment| deployment.platform_version.clone()),
        task_definition: primary.map(|deployment| task_definition::arn(cx, &deployment.definition)),
        deployment_configuration: Some(configuration),
        deployments: Some(deployments.collect()),
        role_arn: service.role_arn.clone().or_else(|| {
            (!service.load_balancers.is_empty()).then(|| {
                format!(
                    "arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
                    cx.config.account
                )
            })
        }),
        events: Some(events.collect()),
        created_at: Some(service.created_at),
        placement_constraints: Some(service.placement_constraints.clone()),
        placement_strategy: Some(service.placement_strategy.clone()),
        network_configuration: primary.and_then(|deployment| deployment.network.as_deref().cloned()),
        health_check_grace_period_seconds: service.health_grace.and_then(|grace| i32::try_from(grace).ok()),
        scheduling_strategy: Some(service.scheduling),
        deployment_controller: Some(shapes::DeploymentController {
            r#type: shapes::DeploymentControllerType::Ecs,
        }),
        tags: with_tags.then(|| tags::shown(&service.tags)),
        created_by: Some(format!("arn:aws:iam::{}:root", cx.config.account)),
        enable_ecs_managed_tags: Some(service.enable_ecs_managed_tags),
        propagate_tags: Some(service.propagate_tags.unwrap_or(shapes::PropagateTags::None)),
        enable_execute_command: Some(service.enable_execute_command),
        availability_zone_rebalancing: Some(
            service.az_rebalancing.unwrap_or(shapes::AvailabilityZoneRebalancing::Disabled),
        ),
        ..Default::default()
    }
}
