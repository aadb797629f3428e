use capstan_model::{Resources, Span};
use capstan_shapes::ecs as shapes;
use shapes::{ContainerCondition, ContainerDefinition, NetworkMode, RegisterTaskDefinitionRequest};

use super::{Account, texts};
use crate::ecs::task_definition;

fn container(name: &str) -> ContainerDefinition {
    ContainerDefinition {
        name: Some(name.to_owned()),
        image: Some("capstan/web".to_owned()),
        cpu: Some(256),
        memory: Some(512),
        ..Default::default()
    }
}

fn port(container: i32, host: Option<i32>) -> shapes::PortMapping {
    shapes::PortMapping { container_port: Some(container), host_port: host, ..Default::default() }
}

fn with_ports(ports: &[(i32, Option<i32>)]) -> ContainerDefinition {
    let ports = ports.iter().map(|(container, host)| port(*container, *host)).collect();
    ContainerDefinition { port_mappings: Some(ports), ..container("web") }
}

fn depends(on: &[(&str, ContainerCondition)]) -> Option<Vec<shapes::ContainerDependency>> {
    let dependency = |(name, condition): &(&str, ContainerCondition)| shapes::ContainerDependency {
        container_name: (*name).to_owned(),
        condition: *condition,
    };
    Some(on.iter().map(dependency).collect())
}

fn register(containers: Vec<ContainerDefinition>) -> RegisterTaskDefinitionRequest {
    RegisterTaskDefinitionRequest {
        family: "web".to_owned(),
        container_definitions: containers,
        ..Default::default()
    }
}

fn deregister(account: &mut Account, given: &str) {
    account.done(shapes::DeregisterTaskDefinitionRequest { task_definition: given.to_owned() });
}

fn describe(given: &str) -> shapes::DescribeTaskDefinitionRequest {
    shapes::DescribeTaskDefinitionRequest { task_definition: given.to_owned(), include: None }
}

fn arns(account: &mut Account, status: shapes::TaskDefinitionStatus, sort: shapes::SortOrder) -> Vec<String> {
    let (mut seen, mut next_token) = (Vec::new(), None);
    loop {
        let page = account.done(shapes::ListTaskDefinitionsRequest {
            family_prefix: None,
            status: Some(status),
            sort: Some(sort),
            next_token,
            max_results: Some(2),
        });
        let arns = page.task_definition_arns.unwrap_or_default();
        seen.extend(arns.iter().filter_map(|arn| arn.rsplit('/').next().map(str::to_owned)));
        next_token = page.next_token;
        if next_token.is_none() {
            return seen;
        }
    }
}

#[test]
fn revisions_of_families() {
    use shapes::{SortOrder, TaskDefinitionFamilyStatus as FamilyStatus, TaskDefinitionStatus as Status};
    let mut account = Account::new();
    for family in ["web", "web", "web", "batch", "web-2"] {
        let request =
            RegisterTaskDefinitionRequest { family: family.to_owned(), ..register(vec![container("c")]) };
        account.done(request);
    }
    assert_eq!(
        arns(&mut account, Status::Active, SortOrder::Asc),
        ["batch:1", "web:1", "web:2", "web:3", "web-2:1"]
    );
    assert_eq!(
        arns(&mut account, Status::Active, SortOrder::Desc),
        ["web-2:1", "web:3", "web:2", "web:1", "batch:1"]
    );
    deregister(&mut account, "web:3");
    let revision = |account: &mut Account, given: &str| {
        account.done(describe(given)).task_definition.and_then(|found| found.revision)
    };
    assert_eq!(revision(&mut account, "web"), Some(2), "the latest active one");
    assert_eq!(revision(&mut account, "web:3"), Some(3));
    let arn = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1";
    assert_eq!(revision(&mut account, arn), Some(1));
    assert_eq!(account.refused(describe("none")), "ClientException: Unable to describe task definition.");
    assert_eq!(arns(&mut account, Status::Inactive, SortOrder::Asc), ["web:3"]);
    let found = task_definition::find_active(&account.engine, "web:3").map(|row| row.key.revision);
    assert_eq!(found.map_err(|refusal| refusal.message), Err("TaskDefinition is inactive".to_owned()));

    deregister(&mut account, "batch:1");
    let families = |account: &mut Account, status| {
        let request =
            shapes::ListTaskDefinitionFamiliesRequest { status: Some(status), ..Default::default() };
        account.done(request).families.unwrap_or_default()
    };
    assert_eq!(families(&mut account, FamilyStatus::Active), ["web", "web-2"]);
    assert_eq!(families(&mut account, FamilyStatus::Inactive), ["batch"]);
    assert_eq!(families(&mut account, FamilyStatus::All), ["batch", "web", "web-2"]);

    let delete = shapes::DeleteTaskDefinitionsRequest { task_definitions: texts(&["web:3", "web:2", "x:9"]) };
    let answer = account.done(delete);
    assert_eq!(answer.task_definitions.unwrap_or_default()[0].status, Some(Status::DeleteInProgress));
    let failures = answer.failures.unwrap_or_default();
    let failed: Vec<&str> = failures.iter().filter_map(|failure| failure.arn.as_deref()).collect();
    assert_eq!(failed, ["web:2", "x:9"]);
    account.pass(Span::from_hours(2));
    assert_eq!(account.refused(describe("web:3")), "ClientException: Unable to describe task definition.");
    let next = account.done(register(vec![container("c")])).task_definition.and_then(|found| found.revision);
    assert_eq!(next, Some(4), "numbers are not used again");
}

#[test]
fn defaults_and_needs() {
    let mut account = Account::new();
    let mut side = container("side");
    side.memory_reservation = Some(128);
    side.essential = Some(false);
    side.port_mappings = Some(vec![shapes::PortMapping {
        protocol: Some(shapes::TransportProtocol::Udp),
        ..port(53, Some(53))
    }]);
    let request = RegisterTaskDefinitionRequest {
        task_role_arn: Some("arn:aws:iam::000000000000:role/task".to_owned()),
        ..register(vec![with_ports(&[(80, None), (81, Some(8081))]), side])
    };
    let shape = account.done(request).task_definition.expect("the definition");
    let web = &shape.container_definitions.as_ref().expect("containers")[0];
    let mapping = &web.port_mappings.as_ref().expect("ports")[0];
    assert_eq!((mapping.host_port, mapping.protocol), (Some(0), Some(shapes::TransportProtocol::Tcp)));
    assert_eq!((web.essential, web.environment.as_deref()), (Some(true), Some(&[][..])));
    assert_eq!(
        shape.compatibilities,
        Some(vec![shapes::Compatibility::External, shapes::Compatibility::Ec2])
    );
    let attributes: Vec<String> =
        shape.requires_attributes.unwrap_or_default().into_iter().map(|attribute| attribute.name).collect();
    assert_eq!(
        attributes,
        [
            "com.amazonaws.ecs.capability.docker-remote-api.1.17",
            "com.amazonaws.ecs.capability.docker-remote-api.1.21",
            "com.amazonaws.ecs.capability.task-iam-role",
        ]
    );
    let needs = task_definition::find_active(&account.engine, "web").expect("the row").needs;
    assert_eq!(needs.resources, Resources { cpu: 512, memory: 640 });
    assert_eq!((needs.tcp_ports, needs.udp_ports), ([8081].into(), [53].into()));
    assert!(!needs.interface);

    let request = RegisterTaskDefinitionRequest {
        network_mode: Some(NetworkMode::Awsvpc),
        requires_compatibilities: Some(vec![shapes::Compatibility::Fargate]),
        cpu: Some(".5 vCPU".to_owned()),
        memory: Some("1 GB".to_owned()),
        ..register(vec![ContainerDefinition { cpu: None, memory: None, ..with_ports(&[(80, None)]) }])
    };
    let shape = account.done(request).task_definition.expect("the definition");
    assert_eq!((shape.cpu.as_deref(), shape.memory.as_deref()), (Some("512"), Some("1024")));
    let needs = task_definition::find_active(&account.engine, "web").expect("the row").needs;
    assert_eq!(needs.resources, Resources { cpu: 512, memory: 1024 });
    assert!(needs.interface && needs.tcp_ports.is_empty());
    assert!(needs.attributes.contains_key("ecs.capability.task-eni"));
}

#[test]
fn what_is_wrong_is_told() {
    let mut account = Account::new();
    let web = || container("web");
    let depending =
        |on: &[(&str, ContainerCondition)]| ContainerDefinition { depends_on: depends(on), ..web() };
    let side = || ContainerDefinition { essential: Some(false), ..container("side") };
    let in_mode = |mode, container| RegisterTaskDefinitionRequest {
        network_mode: Some(mode),
        ..register(vec![container])
    };
    let of_family =
        |family: &str| RegisterTaskDefinitionRequest { family: family.to_owned(), ..register(vec![web()]) };
    let sized = |cpu: &str, memory: &str| RegisterTaskDefinitionRequest {
        cpu: Some(cpu.to_owned()),
        memory: Some(memory.to_owned()),
        network_mode: Some(NetworkMode::Awsvpc),
        requires_compatibilities: Some(vec![shapes::Compatibility::Fargate]),
        ..register(vec![web()])
    };
    let log = shapes::LogConfiguration {
        log_driver: shapes::LogDriver::Awslogs,
        options: None,
        secret_options: None,
    };
    let mount = shapes::MountPoint { source_volume: Some("data".to_owned()), ..Default::default() };
    let circle = depends(&[("web", ContainerCondition::Start)]);
    let cases = [
        (of_family(""), "Family should not be null or empty."),
        (of_family("a b"), "Family contains invalid characters."),
        (register(Vec::new()), "Container list cannot be empty."),
        (register(vec![container("")]), "Container.name should not be null or empty."),
        (register(vec![container("a b")]), "Container.name contains invalid characters."),
        (
            register(vec![ContainerDefinition { image: None, ..web() }]),
            "Container.image should not be null or empty.",
        ),
        (register(vec![web(), web()]), "Duplicate container name 'web'."),
        (register(vec![side()]), "All tasks must have at least one essential container."),
        (
            register((0..11).map(|n| container(&format!("c{n}"))).collect()),
            "A task definition cannot have more than 10",
        ),
        (
            register(vec![ContainerDefinition { memory: None, ..web() }]),
            "Invalid setting for container 'web'. At least one of 'memory' or 'memoryReservation' must be specified.",
        ),
        (
            register(vec![ContainerDefinition { memory_reservation: Some(1024), ..web() }]),
            "Invalid 'memory' setting for container 'web'.",
        ),
        (register(vec![with_ports(&[(0, None)])]), "Invalid 'containerPort' setting for container 'web'."),
        (
            register(vec![with_ports(&[(80, Some(70_000))])]),
            "Invalid 'hostPort' setting for container 'web'.",
        ),
        (
            in_mode(NetworkMode::Awsvpc, with_ports(&[(80, Some(8080))])),
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            in_mode(NetworkMode::Host, with_ports(&[(80, Some(8080))])),
            "When networkMode=host, the host ports and container ports in port mappings must match.",
        ),
        (
            register(vec![with_ports(&[(80, Some(80)), (81, Some(80))])]),
            "TCP host port '80' is mapped multiple times in task.",
        ),
        (
            in_mode(NetworkMode::Awsvpc, ContainerDefinition { links: Some(texts(&["web"])), ..web() }),
            "Links are not supported when networkMode=awsvpc.",
        ),
        (
            register(vec![depending(&[("none", ContainerCondition::Start)])]),
            "Container 'web' depends on 'none'",
        ),
        (
            register(vec![depending(&[("two", ContainerCondition::Success)]), container("two")]),
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
        ),
        (
            register(vec![depending(&[("side", ContainerCondition::Healthy)]), side()]),
            "Container 'web' waits for 'side' to be HEALTHY",
        ),
        (
            register(vec![
                depending(&[("side", ContainerCondition::Start)]),
                ContainerDefinition { depends_on: circle, ..side() },
            ]),
            "The dependencies between containers have a cycle.",
        ),
        (
            register(vec![ContainerDefinition { log_configuration: Some(log), ..web() }]),
            "Log driver awslogs requires options: awslogs-region, awslogs-group",
        ),
        (
            register(vec![ContainerDefinition { mount_points: Some(vec![mount]), ..web() }]),
            "Unknown volume 'data'.",
        ),
        (
            register(vec![ContainerDefinition { command: Some(vec!["x".repeat(65_536)]), ..web() }]),
            "Actual length: '",
        ),
        (sized("256", "4096"), "No Fargate configuration exists for given values."),
        (sized("x", "512"), "Invalid 'cpu' setting for task."),
        (
            RegisterTaskDefinitionRequest { cpu: Some("128".to_owned()), ..register(vec![web()]) },
            "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.",
        ),
        (
            RegisterTaskDefinitionRequest { memory: Some("256".to_owned()), ..register(vec![web()]) },
            "The 'memory' setting for container is greater than for the task.",
        ),
        (
            RegisterTaskDefinitionRequest {
                requires_compatibilities: Some(vec![shapes::Compatibility::Fargate]),
                ..register(vec![web()])
            },
            "Fargate only supports network mode 'awsvpc'.",
        ),
    ];
    for (request, wanted) in cases {
        let refusal = account.refused(request);
        assert!(refusal.starts_with(&format!("ClientException: {wanted}")), "{wanted}\n  but: {refusal}");
    }
    let deregister =
        |given: &str| shapes::DeregisterTaskDefinitionRequest { task_definition: given.to_owned() };
    for (given, wanted) in [
        ("web", "ClientException: Revision is missing."),
        ("web:x", "ClientException: Invalid revision number. Number: x"),
        ("web:7", "ClientException: The specified task definition does not exist."),
    ] {
        let refusal = account.refused(deregister(given));
        assert!(refusal.starts_with(wanted), "{refusal}");
    }
}
