//! The rules of RegisterTaskDefinition, and the defaults that ECS fills in.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, ecs as shapes};

use super::super::query::Expression;
use super::client;
use shapes::{
    Compatibility, ContainerCondition, ContainerDefinition, LogDriver, NetworkMode, PortMapping,
    TransportProtocol,
};

/// Containers of a task definition (ECS guide, service-quotas).
const CONTAINERS_MAX: usize = 10;

/// The definition that the request asks for, without what registering gives it.
pub(super) fn check(
    request: shapes::RegisterTaskDefinitionRequest,
) -> Result<shapes::TaskDefinition, Refusal> {
    name("Family", &request.family)?;
    let network = request.network_mode;
    let requires = request.requires_compatibilities.unwrap_or_default();
    let cpu = request.cpu.as_deref().map(|given| size("cpu", given, "vcpu", 1)).transpose()?;
    let memory = request.memory.as_deref().map(|given| size("memory", given, "gb", 1)).transpose()?;
    let volumes = request.volumes.unwrap_or_default();
    let mut containers = request.container_definitions;
    check_containers(&containers)?;
    for container in &mut containers {
        check_container(container, memory)?;
        ports(container, network)?;
        fill(container);
        mounts(container, &volumes)?;
    }
    check_dependencies(&containers)?;
    check_host_ports(&containers, network)?;
    check_sums(&containers, cpu, memory)?;
    let constraints = request.placement_constraints.unwrap_or_default();
    check_constraints(&constraints)?;
    let compatibilities = compatibilities(network, cpu, memory, &requires)?;
    Ok(shapes::TaskDefinition {
        container_definitions: Some(containers),
        family: Some(request.family),
        task_role_arn: request.task_role_arn.filter(|role| !role.is_empty()),
        execution_role_arn: request.execution_role_arn.filter(|role| !role.is_empty()),
        network_mode: network,
        volumes: Some(volumes),
        placement_constraints: Some(constraints),
        compatibilities: Some(compatibilities),
        runtime_platform: request.runtime_platform,
        requires_compatibilities: Some(requires).filter(|requires| !requires.is_empty()),
        cpu: cpu.map(|cpu| cpu.to_string()),
        memory: memory.map(|memory| memory.to_string()),
        inference_accelerators: request.inference_accelerators,
        pid_mode: request.pid_mode,
        ipc_mode: request.ipc_mode,
        proxy_configuration: request.proxy_configuration,
        ephemeral_storage: request.ephemeral_storage,
        enable_fault_injection: request.enable_fault_injection,
        ..Default::default()
    })
}

/// Names of families and containers: up to 255 letters, digits, hyphens and underscores.
fn name(what: &str, given: &str) -> Result<(), Refusal> {
    if given.is_empty() {
        return Err(client(format!("{what} should not be null or empty.")));
    }
    if given.len() > 255 {
        return Err(client(format!("{what} is too long. Up to 255 characters are allowed.")));
    }
    if !given.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(client(format!("{what} contains invalid characters.")));
    }
    Ok(())
}

/// A task's `cpu` or `memory`: a whole number of units or MiB, or a decimal number of vCPU or GB, 1024 each.
fn size(what: &str, given: &str, unit: &str, minimum: i64) -> Result<i64, Refusal> {
    let refused = || {
        client(format!(
            "Invalid '{what}' setting for task. For more information, see the Troubleshooting section of the Amazon \
             ECS Developer Guide."
        ))
    };
    let text = given.trim().to_ascii_lowercase();
    let value = match text.strip_suffix(unit) {
        None => text.parse().map_err(|_| refused())?,
        Some(number) => {
            let number = number.trim_end();
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && part.len() <= 9;
            if number.is_empty() || number == "." || !digits(whole) || !digits(fraction) {
                return Err(refused());
            }
            let parse = |part: &str| if part.is_empty() { Ok(0) } else { part.parse::<i64>() };
            let scale = 10_i64.pow(u32::try_from(fraction.len()).unwrap_or_default());
            let (whole, fraction) =
                (parse(whole).map_err(|_| refused())?, parse(fraction).map_err(|_| refused())?);
            whole * 1024 + fraction * 1024 / scale
        }
    };
    let maximum = i64::from(i32::MAX);
    if (minimum..=maximum).contains(&value) { Ok(value) } else { Err(refused()) }
}

fn check_containers(containers: &[ContainerDefinition]) -> Result<(), Refusal> {
    if containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    if containers.len() > CONTAINERS_MAX {
        return Err(client(format!(
            "A task definition cannot have more than {CONTAINERS_MAX} containers. Split it into several."
        )));
    }
    let mut names = BTreeSet::new();
    for container in containers {
        let given = container.name.as_deref().unwrap_or_default();
        name("Container.name", given)?;
        if container.image.as_deref().unwrap_or_default().is_empty() {
            return Err(client("Container.image should not be null or empty."));
        }
        if !names.insert(given) {
            return Err(client(format!(
                "Duplicate container name '{given}'. Container names must be unique."
            )));
        }
    }
    if containers.iter().all(|container| container.essential == Some(false)) {
        return Err(client("All tasks must have at least one essential container."));
    }
    Ok(())
}

/// The smallest memory limit that Docker takes (ECS model ContainerDefinition.memory).
const MEMORY_MIN: i32 = 6;

fn check_container(container: &ContainerDefinition, task_memory: Option<i64>) -> Result<(), Refusal> {
    let name = container.name.as_deref().unwrap_or_default();
    let invalid = |setting: &str, why: &str| {
        client(format!("Invalid '{setting}' setting for container '{name}'. {why}"))
    };
    if container.cpu.is_some_and(|cpu| cpu < 0) {
        return Err(invalid("cpu", "It must not be negative."));
    }
    match (container.memory, container.memory_reservation) {
        (None, None) if task_memory.is_none() => {
            return Err(client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be \
                 specified."
            )));
        }
        (Some(memory), _) if memory < MEMORY_MIN => {
            return Err(invalid("memory", "At least 6 MiB are needed."));
        }
        (_, Some(reservation)) if reservation < MEMORY_MIN => {
            return Err(invalid("memoryReservation", "At least 6 MiB are needed."));
        }
        (Some(memory), Some(reservation)) if memory < reservation => {
            return Err(invalid("memory", "It must not be less than 'memoryReservation'."));
        }
        _ => {}
    }
    if let Some(check) = &container.health_check {
        if check.command.is_empty() {
            return Err(invalid("healthCheck", "Its command must not be empty."));
        }
        let within = |value: Option<i32>, low, high| value.is_none_or(|value| (low..=high).contains(&value));
        let fits = within(check.interval, 5, 300)
            && within(check.timeout, 2, 120)
            && within(check.retries, 1, 10)
            && within(check.start_period, 0, 300);
        if !fits {
            return Err(invalid(
                "healthCheck",
                "Its interval is 5 to 300 seconds, timeout 2 to 120, retries 1 to 10, startPeriod 0 to 300.",
            ));
        }
    }
    let attempt = container.restart_policy.as_ref().and_then(|policy| policy.restart_attempt_period);
    if attempt.is_some_and(|attempt| !(60..=1800).contains(&attempt)) {
        return Err(invalid("restartPolicy", "Its restartAttemptPeriod is 60 to 1800 seconds."));
    }
    if container.start_timeout.is_some_and(|timeout| timeout < 0) {
        return Err(invalid("startTimeout", "It must not be negative."));
    }
    if container.stop_timeout.is_some_and(|timeout| timeout < 0) {
        return Err(invalid("stopTimeout", "It must not be negative."));
    }
    check_logging(container)
}

fn check_logging(container: &ContainerDefinition) -> Result<(), Refusal> {
    let Some(log) = container.log_configuration.as_ref() else { return Ok(()) };
    if log.log_driver != LogDriver::Awslogs {
        return Ok(());
    }
    let given = |option: &str| log.options.as_ref().is_some_and(|options| options.contains_key(option));
    let missing: Vec<&str> =
        ["awslogs-region", "awslogs-group"].into_iter().filter(|option| !given(option)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(client(format!("Log driver awslogs requires options: {}", missing.join(", "))))
}

/// Checks the port mappings of a container and fills in protocol and host port.
fn ports(container: &mut ContainerDefinition, network: Option<NetworkMode>) -> Result<(), Refusal> {
    let name = container.name.clone().unwrap_or_default();
    let has_links = container.links.as_ref().is_some_and(|links| !links.is_empty());
    if has_links && network == Some(NetworkMode::Awsvpc) {
        return Err(client("Links are not supported when networkMode=awsvpc."));
    }
    let mappings = container.port_mappings.get_or_insert_default();
    if !mappings.is_empty() && network == Some(NetworkMode::None) {
        return Err(client("Port mappings are not supported when networkMode=none."));
    }
    for mapping in mappings {
        mapping.protocol.get_or_insert(TransportProtocol::Tcp);
        if mapping.container_port_range.is_some() {
            port_range(mapping, &name)?;
            continue;
        }
        let Some(port) = mapping.container_port.filter(|port| (1..=65535).contains(port)) else {
            return Err(client(format!("Invalid 'containerPort' setting for container '{name}'.")));
        };
        if mapping.host_port.is_some_and(|port| !(0..=65535).contains(&port)) {
            return Err(client(format!("Invalid 'hostPort' setting for container '{name}'.")));
        }
        match network {
            Some(mode @ (NetworkMode::Awsvpc | NetworkMode::Host)) => {
                if mapping.host_port.is_some_and(|host| host != port) {
                    return Err(client(format!(
                        "When networkMode={mode}, the host ports and container ports in port mappings must match."
                    )));
                }
                mapping.host_port = Some(port);
            }
            Some(NetworkMode::Bridge | NetworkMode::None) | None => {
                mapping.host_port.get_or_insert(0);
            }
        }
    }
    Ok(())
}

fn port_range(mapping: &PortMapping, name: &str) -> Result<(), Refusal> {
    let range = mapping.container_port_range.as_deref().unwrap_or_default();
    let ends = range.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let fits = ends.is_some_and(|(from, to): (u16, u16)| from > 0 && from <= to && to - from < 100);
    if !fits || mapping.container_port.is_some() || mapping.host_port.is_some() {
        return Err(client(format!(
            "Invalid 'containerPortRange' setting for container '{name}'. It is like 8000-8010, at most 100 ports, \
             without containerPort and hostPort."
        )));
    }
    Ok(())
}

/// No two containers of a task may have the same port of the host.
fn check_host_ports(containers: &[ContainerDefinition], network: Option<NetworkMode>) -> Result<(), Refusal> {
    if network == Some(NetworkMode::Awsvpc) {
        return Ok(());
    }
    let mut taken = BTreeSet::new();
    for mapping in containers.iter().flat_map(|container| container.port_mappings.iter().flatten()) {
        let (Some(port @ 1..), Some(protocol)) = (mapping.host_port, mapping.protocol) else { continue };
        if !taken.insert((protocol, port)) {
            let protocol = protocol.as_str().to_ascii_uppercase();
            return Err(client(format!("{protocol} host port '{port}' is mapped multiple times in task.")));
        }
    }
    Ok(())
}

/// What ECS shows of a container although nobody gave it.
fn fill(container: &mut ContainerDefinition) {
    container.cpu.get_or_insert(0);
    container.essential.get_or_insert(true);
    container.environment.get_or_insert_default();
    container.mount_points.get_or_insert_default();
    container.volumes_from.get_or_insert_default();
    container.system_controls.get_or_insert_default();
    if let Some(check) = &mut container.health_check {
        check.interval.get_or_insert(30);
        check.timeout.get_or_insert(5);
        check.retries.get_or_insert(3);
    }
    if let Some(policy) = &mut container.restart_policy {
        policy.restart_attempt_period.get_or_insert(300);
    }
}

fn mounts(container: &ContainerDefinition, volumes: &[shapes::Volume]) -> Result<(), Refusal> {
    for mount in container.mount_points.iter().flatten() {
        let known = volumes.iter().any(|volume| volume.name == mount.source_volume);
        if let Some(source) = mount.source_volume.as_deref().filter(|_| !known) {
            return Err(client(format!("Unknown volume '{source}'.")));
        }
    }
    Ok(())
}

/// Containers that are named by others must exist, can be waited for, and nobody may wait for itself.
fn check_dependencies(containers: &[ContainerDefinition]) -> Result<(), Refusal> {
    let by_name: BTreeMap<&str, &ContainerDefinition> =
        containers.iter().filter_map(|container| Some((container.name.as_deref()?, container))).collect();
    let unknown = |container: &str, other: &str, how: &str| {
        client(format!("Container '{container}' {how} '{other}', which is not a container of the task."))
    };
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, container) in &by_name {
        let waits = waits.entry(name).or_default();
        for dependency in container.depends_on.iter().flatten() {
            let other = dependency.container_name.as_str();
            let Some(target) = by_name.get(other) else { return Err(unknown(name, other, "depends on")) };
            waits.insert(other);
            match dependency.condition {
                ContainerCondition::Complete | ContainerCondition::Success
                    if target.essential != Some(false) =>
                {
                    return Err(client(
                        "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
                    ));
                }
                ContainerCondition::Healthy if target.health_check.is_none() => {
                    return Err(client(format!(
                        "Container '{name}' waits for '{other}' to be HEALTHY, but '{other}' has no health check."
                    )));
                }
                _ => {}
            }
        }
        for link in container.links.iter().flatten() {
            let other = link.split(':').next().unwrap_or_default();
            if !by_name.contains_key(other) {
                return Err(unknown(name, other, "links to"));
            }
            waits.insert(other);
        }
        for volumes in container.volumes_from.iter().flatten() {
            let other = volumes.source_container.as_deref().unwrap_or_default();
            if !by_name.contains_key(other) {
                return Err(unknown(name, other, "takes volumes from"));
            }
            waits.insert(other);
        }
    }
    // Take away containers that wait for nobody until none is left, or only circles are.
    while let Some(free) = waits.iter().find(|(_, waits)| waits.is_empty()).map(|(name, _)| *name) {
        waits.remove(free);
        for waits in waits.values_mut() {
            waits.remove(free);
        }
    }
    if waits.is_empty() {
        return Ok(());
    }
    let circle: Vec<&str> = waits.into_keys().collect();
    Err(client(format!(
        "The dependencies between containers have a cycle. Containers that can never start: {}.",
        circle.join(", ")
    )))
}

fn check_sums(
    containers: &[ContainerDefinition],
    cpu: Option<i64>,
    memory: Option<i64>,
) -> Result<(), Refusal> {
    let sum = |of: fn(&ContainerDefinition) -> Option<i32>| -> i64 {
        containers.iter().filter_map(of).map(i64::from).sum()
    };
    if cpu.is_some_and(|cpu| sum(|container| container.cpu) > cpu) {
        return Err(client(
            "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.",
        ));
    }
    let Some(memory) = memory else { return Ok(()) };
    if containers.iter().filter_map(|container| container.memory).any(|own| i64::from(own) > memory) {
        return Err(client("The 'memory' setting for container is greater than for the task."));
    }
    if sum(|container| container.memory_reservation) > memory {
        return Err(client(
            "The sum of all container 'memoryReservation' values cannot be greater than the value of the task 'memory'.",
        ));
    }
    Ok(())
}

fn check_constraints(constraints: &[shapes::TaskDefinitionPlacementConstraint]) -> Result<(), Refusal> {
    if constraints.len() > 10 {
        return Err(client("A task definition cannot have more than 10 placement constraints."));
    }
    for constraint in constraints {
        let expression = constraint.expression.as_deref().unwrap_or_default();
        Expression::parse(expression).map_err(|invalid| invalid.refusal(expression))?;
    }
    Ok(())
}

/// Where tasks of the definition can run. What `requiresCompatibilities` names must be among it.
fn compatibilities(
    network: Option<NetworkMode>,
    cpu: Option<i64>,
    memory: Option<i64>,
    requires: &[Compatibility],
) -> Result<Vec<Compatibility>, Refusal> {
    let awsvpc = network == Some(NetworkMode::Awsvpc);
    let sized = matches!((cpu, memory), (Some(cpu), Some(memory)) if fargate_has(cpu, memory));
    if requires.contains(&Compatibility::Fargate) {
        if !awsvpc {
            return Err(client("Fargate only supports network mode 'awsvpc'."));
        }
        for (what, given) in [("cpu", cpu), ("memory", memory)] {
            if given.is_none() {
                return Err(client(format!("Fargate requires that '{what}' be defined at the task level.")));
            }
        }
        if !sized {
            return Err(client("No Fargate configuration exists for given values."));
        }
    }
    if requires.contains(&Compatibility::External) && awsvpc {
        return Err(client("External instances do not support network mode 'awsvpc'."));
    }
    let mut found = vec![Compatibility::Ec2];
    if !awsvpc {
        found.insert(0, Compatibility::External);
    } else if sized {
        found.push(Compatibility::Fargate);
    }
    if requires.contains(&Compatibility::ManagedInstances) {
        found.push(Compatibility::ManagedInstances);
    }
    Ok(found)
}

/// Whether Fargate has that size (ECS guide, task-cpu-memory).
fn fargate_has(cpu: i64, memory: i64) -> bool {
    let (low, high, step) = match cpu {
        256 => return [512, 1024, 2048].contains(&memory),
        512 => (1024, 4096, 1024),
        1024 => (2048, 8192, 1024),
        2048 => (4096, 16_384, 1024),
        4096 => (8192, 30_720, 1024),
        8192 => (16_384, 61_440, 4096),
        16_384 => (32_768, 122_880, 8192),
        _ => return false,
    };
    (low..=high).contains(&memory) && memory % step == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_units_or_decimals_of_1024() {
        let cpu = |text: &str| size("cpu", text, "vcpu", 1).ok();
        let cases = [
            ("256", Some(256)),
            (".25 vCPU", Some(256)),
            ("1 vcpu", Some(1024)),
            ("0.5vCPU", Some(512)),
            ("0", None),
            ("-256", None),
            (". vCPU", None),
            ("vCPU", None),
            ("1.x vCPU", None),
            ("99999999999999999999", None),
            ("9999999999 vCPU", None),
        ];
        for (text, value) in cases {
            assert_eq!(cpu(text), value, "{text}");
        }
    }

    #[test]
    fn fargate_sizes() {
        for (cpu, memory, has) in [
            (256, 512, true),
            (256, 4096, false),
            (1024, 2048, true),
            (1024, 2500, false),
            (8192, 16_384, true),
            (300, 512, false),
        ] {
            assert_eq!(fargate_has(cpu, memory), has, "{cpu} {memory}");
        }
    }
}
