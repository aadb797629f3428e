//! What a task of a definition asks of the instance that it is placed on.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Resources;
use capstan_shapes::ecs as shapes;

use super::super::TaskNeeds;
use shapes::{ContainerDefinition, NetworkMode, TaskDefinition};

/// An attribute as `requiresAttributes` shows it.
pub(super) fn shown(name: &str) -> shapes::Attribute {
    shapes::Attribute { name: name.to_owned(), value: None, target_type: None, target_id: None }
}

fn containers(definition: &TaskDefinition) -> &[ContainerDefinition] {
    definition.container_definitions.as_deref().unwrap_or_default()
}

/// The capabilities that the features of the definition ask for, by the names under which agents register them.
pub(super) fn attributes(definition: &TaskDefinition) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut docker = |version: &str| format!("com.amazonaws.ecs.capability.docker-remote-api.{version}");
    let host = definition.network_mode == Some(NetworkMode::Host);
    if definition.network_mode == Some(NetworkMode::Awsvpc) {
        found.insert("ecs.capability.task-eni".to_owned());
        found.insert(docker("1.18"));
    }
    if definition.task_role_arn.is_some() {
        let suffix = if host { "-network-host" } else { "" };
        found.insert(format!("com.amazonaws.ecs.capability.task-iam-role{suffix}"));
        found.insert(docker("1.17"));
    }
    if definition.pid_mode.is_some() || definition.ipc_mode.is_some() {
        found.insert("ecs.capability.pid-ipc-namespace-sharing".to_owned());
    }
    if definition.proxy_configuration.is_some() {
        found.insert("ecs.capability.aws-appmesh".to_owned());
    }
    for volume in definition.volumes.as_deref().unwrap_or_default() {
        if let Some(efs) = &volume.efs_volume_configuration {
            found.insert("ecs.capability.efs".to_owned());
            found.insert(docker("1.25"));
            if efs.authorization_config.is_some() {
                found.insert("ecs.capability.efsAuth".to_owned());
            }
        }
        if let Some(driver) = &volume.docker_volume_configuration {
            let driver = driver.driver.as_deref().unwrap_or("local");
            found.insert(format!("ecs.capability.docker-plugin.{driver}"));
            found.insert(docker("1.25"));
        }
    }
    let execution_role = definition.execution_role_arn.is_some();
    for container in containers(definition) {
        of_container(container, execution_role, &mut docker, &mut found);
    }
    found
}

fn of_container(
    container: &ContainerDefinition,
    execution_role: bool,
    docker: &mut dyn FnMut(&str) -> String,
    found: &mut BTreeSet<String>,
) {
    let image = container.image.as_deref().unwrap_or_default();
    if image.contains(".dkr.ecr.") {
        found.insert("com.amazonaws.ecs.capability.ecr-auth".to_owned());
        found.insert(docker("1.19"));
        if execution_role {
            found.insert("ecs.capability.execution-role-ecr-pull".to_owned());
        }
    }
    if let Some(log) = &container.log_configuration {
        let driver = log.log_driver;
        found.insert(format!("com.amazonaws.ecs.capability.logging-driver.{driver}"));
        found.insert(docker(if driver == shapes::LogDriver::Awslogs { "1.19" } else { "1.18" }));
        if driver == shapes::LogDriver::Awslogs && execution_role {
            found.insert("ecs.capability.execution-role-awslogs".to_owned());
        }
        secrets(log.secret_options.as_deref().unwrap_or_default(), "bootstrap.log-driver", found);
    }
    secrets(container.secrets.as_deref().unwrap_or_default(), "environment-variables", found);
    if container.privileged == Some(true) {
        found.insert("com.amazonaws.ecs.capability.privileged-container".to_owned());
    }
    if container.memory_reservation.is_some() {
        found.insert(docker("1.21"));
    }
    if container.health_check.is_some() {
        found.insert("ecs.capability.container-health-check".to_owned());
        found.insert(docker("1.24"));
    }
    if container.depends_on.as_ref().is_some_and(|depends| !depends.is_empty()) {
        found.insert("ecs.capability.container-ordering".to_owned());
    }
    if container.restart_policy.as_ref().is_some_and(|policy| policy.enabled) {
        found.insert("ecs.capability.container-restart-policy".to_owned());
    }
    if container.repository_credentials.is_some() {
        found.insert("ecs.capability.private-registry-authentication.secretsmanager".to_owned());
    }
    if container.environment_files.as_ref().is_some_and(|files| !files.is_empty()) {
        found.insert("ecs.capability.env-files.s3".to_owned());
    }
    if let Some(firelens) = &container.firelens_configuration {
        found.insert(format!("ecs.capability.firelens.{}", firelens.r#type));
    }
    let ports = container.port_mappings.as_deref().unwrap_or_default();
    if ports.iter().any(|port| port.container_port_range.is_some()) {
        found.insert("ecs.capability.network.container-port-range".to_owned());
    }
}

fn secrets(secrets: &[shapes::Secret], purpose: &str, found: &mut BTreeSet<String>) {
    for secret in secrets {
        let kind = if secret.value_from.contains(":secretsmanager:") { "asm" } else { "ssm" };
        found.insert(format!("ecs.capability.secrets.{kind}.{purpose}"));
    }
}

/// What placement counts for one task: the task's own CPU and memory if it has them, else the sum over its containers,
/// where `memoryReservation` counts before `memory` (ECS model ContainerDefinition).
pub(super) fn needs(definition: &TaskDefinition, attributes: BTreeSet<String>) -> TaskNeeds {
    let sum = |of: &dyn Fn(&ContainerDefinition) -> Option<i32>| -> i64 {
        containers(definition).iter().filter_map(of).map(i64::from).sum()
    };
    let own = |value: &Option<String>| value.as_deref().and_then(|value| value.parse::<i64>().ok());
    let cpu = own(&definition.cpu).unwrap_or_else(|| sum(&|container| container.cpu));
    let memory = own(&definition.memory)
        .unwrap_or_else(|| sum(&|container| container.memory_reservation.or(container.memory)));
    let interface = definition.network_mode == Some(NetworkMode::Awsvpc);
    let (mut tcp_ports, mut udp_ports) = (BTreeSet::new(), BTreeSet::new());
    for container in containers(definition) {
        for mapping in container.port_mappings.as_deref().unwrap_or_default() {
            let port = mapping.host_port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
            // A task with its own interface takes no port of the host; port 0 is given by the host.
            if port == 0 || interface {
                continue;
            }
            match mapping.protocol {
                Some(shapes::TransportProtocol::Udp) => udp_ports.insert(port),
                Some(shapes::TransportProtocol::Tcp) | None => tcp_ports.insert(port),
            };
        }
    }
    let mut attributes: BTreeMap<String, Option<String>> =
        attributes.into_iter().map(|name| (name, None)).collect();
    let platform = definition.runtime_platform.as_ref();
    if let Some(architecture) = platform.and_then(|platform| platform.cpu_architecture) {
        let value = match architecture {
            shapes::CPUArchitecture::X8664 => "x86_64",
            shapes::CPUArchitecture::Arm64 => "arm64",
        };
        attributes.insert("ecs.cpu-architecture".to_owned(), Some(value.to_owned()));
    }
    TaskNeeds { resources: Resources { cpu, memory }, tcp_ports, udp_ports, attributes, interface }
}
