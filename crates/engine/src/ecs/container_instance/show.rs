//! A container instance as the API shows it.

use std::collections::BTreeSet;

use capstan_model::Resources;
use capstan_shapes::ecs as shapes;

use crate::Engine;
use crate::ecs::{ContainerInstance, Desired, TaskIndex, TaskStatus, tags};

pub(in crate::ecs) fn describe_one(
    cx: &Engine,
    row: &ContainerInstance,
    include: &[shapes::ContainerInstanceField],
) -> shapes::ContainerInstance {
    let on_it = TaskIndex::Instance(row.id);
    let (mut running, mut pending) = (0, 0);
    for task in cx.ecs.tasks.by(&on_it) {
        running += i32::from(task.desired == Desired::Running);
        pending += i32::from(task.status == TaskStatus::Pending);
    }
    let (agent_version, agent_hash, docker_version) = &row.version_info;
    let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let with = |field| include.contains(&field);
    shapes::ContainerInstance {
        container_instance_arn: Some(super::arn(cx, &row.cluster, row.id)),
        ec2_instance_id: row.ec2_instance.map(|id| id.to_string()),
        capacity_provider_name: row.provider.as_deref().map(str::to_owned),
        version: Some(row.version),
        version_info: Some(shapes::VersionInfo {
            agent_version: known(agent_version),
            agent_hash: known(agent_hash),
            docker_version: known(docker_version),
        }),
        remaining_resources: Some(resources(row.remaining, &row.tcp_ports, &row.udp_ports)),
        registered_resources: Some(resources(
            row.registered,
            &row.registered_tcp_ports,
            &row.registered_udp_ports,
        )),
        status: Some(row.status.as_str().to_owned()),
        status_reason: None,
        agent_connected: Some(row.agent_connected),
        running_tasks_count: Some(running),
        pending_tasks_count: Some(pending),
        agent_update_status: None,
        attributes: Some(attributes(row)),
        registered_at: Some(row.registered_at),
        attachments: Some(Vec::new()),
        tags: Some(if with(shapes::ContainerInstanceField::Tags) {
            tags::shown(&row.tags)
        } else {
            Vec::new()
        }),
        health_status: with(shapes::ContainerInstanceField::ContainerInstanceHealth).then(|| health(cx, row)),
    }
}

fn attributes(row: &ContainerInstance) -> Vec<shapes::Attribute> {
    let shown = row.attributes.iter();
    shown
        .map(|(name, value)| shapes::Attribute {
            name: name.clone(),
            value: value.clone(),
            ..Default::default()
        })
        .collect()
}

/// The four resources in the order in which ECS shows them; each has every kind of value.
fn resources(amount: Resources, tcp: &BTreeSet<u16>, udp: &BTreeSet<u16>) -> Vec<shapes::Resource> {
    let integer = |name: &str, value: i64| shapes::Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        double_value: Some(0.0),
        long_value: Some(0),
        integer_value: Some(i32::try_from(value).unwrap_or(i32::MAX)),
        string_set_value: None,
    };
    let ports = |name: &str, ports: &BTreeSet<u16>| shapes::Resource {
        r#type: Some("STRINGSET".to_owned()),
        string_set_value: Some(ports.iter().map(ToString::to_string).collect()),
        ..integer(name, 0)
    };
    vec![
        integer("CPU", amount.cpu),
        integer("MEMORY", amount.memory),
        ports("PORTS", tcp),
        ports("PORTS_UDP", udp),
    ]
}

/// The container runtime is as healthy as the agent is in touch; there is no other source.
fn health(cx: &Engine, row: &ContainerInstance) -> shapes::ContainerInstanceHealthStatus {
    let state = if row.agent_connected {
        shapes::InstanceHealthCheckState::Ok
    } else {
        shapes::InstanceHealthCheckState::InsufficientData
    };
    shapes::ContainerInstanceHealthStatus {
        overall_status: Some(state),
        details: Some(vec![shapes::InstanceHealthCheckResult {
            r#type: Some(shapes::InstanceHealthCheckType::ContainerRuntime),
            status: Some(state),
            status_reason: None,
            last_updated: Some(cx.now),
            last_status_change: Some(row.registered_at),
        }]),
    }
}
