//! What the agent of an instance tells ECS when it registers (spec ecs-agent-protocol.md §2, ecs.md §6.1).

use capstan_engine::Engine;
use capstan_engine::ec2::{DOCKER_VERSION, ECS_AGENT_VERSION, identity_document};
use capstan_model::InstanceId;
use capstan_shapes::ecs::{Attribute, RegisterContainerInstanceRequest, Resource, VersionInfo};

/// Ports that the agent and Docker keep for themselves (ECS model Resource; spec ecs.md §6.1).
const RESERVED_PORTS: [&str; 5] = ["22", "2375", "2376", "51678", "51679"];

/// Attributes without a value that the stock agent sends and task definitions ask for.
const CAPABILITIES: [&str; 33] = [
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.docker-remote-api.1.17",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.19",
    "com.amazonaws.ecs.capability.docker-remote-api.1.20",
    "com.amazonaws.ecs.capability.docker-remote-api.1.21",
    "com.amazonaws.ecs.capability.docker-remote-api.1.22",
    "com.amazonaws.ecs.capability.docker-remote-api.1.23",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.25",
    "com.amazonaws.ecs.capability.docker-remote-api.1.28",
    "com.amazonaws.ecs.capability.docker-remote-api.1.29",
    "com.amazonaws.ecs.capability.docker-remote-api.1.30",
    "com.amazonaws.ecs.capability.docker-remote-api.1.32",
    "com.amazonaws.ecs.capability.logging-driver.json-file",
    "com.amazonaws.ecs.capability.logging-driver.none",
    "com.amazonaws.ecs.capability.logging-driver.syslog",
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.task-eni",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.container-ordering",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.container-health-check",
    "ecs.capability.secrets.ssm.environment-variables",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.private-registry-authentication.secretsmanager",
    "ecs.capability.pid-ipc-namespace-sharing",
    "ecs.capability.env-files.s3",
    "ecs.capability.container-restart-policy",
];

/// The request of that instance's agent; `None` when there is no such instance, or no agent on it.
pub fn registration(engine: &Engine, instance: InstanceId) -> Option<RegisterContainerInstanceRequest> {
    let row = engine.ec2().instances().get(&instance).filter(|row| row.runs_ecs_agent())?;
    let config = row.agent_config();
    let kind = row.instance_type;
    let document = identity_document(engine, row);
    let attribute = |name: &str, value: Option<&str>| Attribute {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        ..Attribute::default()
    };
    let mut attributes: Vec<Attribute> = CAPABILITIES.iter().map(|name| attribute(name, None)).collect();
    attributes.extend([
        attribute("ecs.os-type", Some("linux")),
        attribute("ecs.os-family", Some("LINUX")),
        attribute("ecs.vpc-id", Some(&row.vpc)),
        attribute("ecs.subnet-id", Some(&row.subnet)),
    ]);
    attributes.extend(instance_attributes(config.get("ECS_INSTANCE_ATTRIBUTES").map_or("", String::as_str)));
    let reserved: i64 = config.get("ECS_RESERVED_MEMORY").and_then(|text| text.parse().ok()).unwrap_or(0);
    let integer = |name: &str, value: i64| Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: i32::try_from(value).ok(),
        double_value: Some(0.0),
        long_value: Some(0),
        string_set_value: None,
    };
    let set = |name: &str, values: &[&str]| Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        integer_value: Some(0),
        double_value: Some(0.0),
        long_value: Some(0),
        string_set_value: Some(values.iter().map(|value| (*value).to_owned()).collect()),
    };
    Some(RegisterContainerInstanceRequest {
        cluster: config.get("ECS_CLUSTER").cloned(),
        instance_identity_document: Some(document),
        instance_identity_document_signature: Some(String::new()),
        total_resources: Some(vec![
            integer("CPU", i64::from(kind.vcpus) * 1024),
            integer("MEMORY", i64::from(kind.registered_memory()) - reserved),
            set("PORTS", &RESERVED_PORTS),
            set("PORTS_UDP", &[]),
        ]),
        version_info: Some(VersionInfo {
            agent_version: Some(ECS_AGENT_VERSION.to_owned()),
            agent_hash: Some("8dfceca".to_owned()),
            docker_version: Some(format!("DockerVersion: {DOCKER_VERSION}")),
        }),
        attributes: Some(attributes),
        ..RegisterContainerInstanceRequest::default()
    })
}

/// `ECS_INSTANCE_ATTRIBUTES`: a JSON object of strings, read without a JSON parser of its own: names and values hold
/// no quotes (spec ecs.md §6: `[A-Za-z0-9-_/.]` and `[A-Za-z0-9-_.@/: ]`).
fn instance_attributes(text: &str) -> Vec<Attribute> {
    let mut strings = text.split('"').skip(1).step_by(2);
    let mut attributes = Vec::new();
    while let (Some(name), Some(value)) = (strings.next(), strings.next()) {
        attributes.push(Attribute {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Attribute::default()
        });
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_instance_attributes() {
        let read = |text: &str| -> Vec<(String, Option<String>)> {
            instance_attributes(text).into_iter().map(|a| (a.name, a.value)).collect()
        };
        let expect =
            vec![("stack".to_owned(), Some("blue".to_owned())), ("disk".to_owned(), Some("ssd".to_owned()))];
        assert_eq!(read(r#"{"stack": "blue", "disk":"ssd"}"#), expect);
        assert_eq!(read(""), []);
        assert_eq!(read(r#"{"odd"}"#), []);
    }
}
