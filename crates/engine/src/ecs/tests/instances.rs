use capstan_model::{InstanceId, Span};
use capstan_shapes::ec2;
use capstan_shapes::ecs as shapes;

use super::{Account, texts};
use crate::ecs::{GroupProvider, Name, Provider, ProviderKind};
use crate::{Caller, Fact, Input};

const HOST: &str = "i-0000000000000abcd";

fn amount(name: &str, value: i32) -> shapes::Resource {
    shapes::Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: Some(value),
        ..Default::default()
    }
}

fn ports(name: &str, ports: &[&str]) -> shapes::Resource {
    shapes::Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        string_set_value: Some(texts(ports)),
        ..Default::default()
    }
}

fn attribute(name: &str, value: Option<&str>) -> shapes::Attribute {
    shapes::Attribute { name: name.to_owned(), value: value.map(str::to_owned), ..Default::default() }
}

fn document(host: &str, instance_type: &str) -> String {
    format!(
        "{{\"instanceId\":\"{host}\",\"availabilityZone\":\"us-east-1b\",\"instanceType\":\"{instance_type}\",\
         \"imageId\":\"ami-1\",\"architecture\":\"x86_64\",\"region\":\"us-east-1\",\"privateIp\":null}}"
    )
}

fn register(host: &str) -> shapes::RegisterContainerInstanceRequest {
    shapes::RegisterContainerInstanceRequest {
        instance_identity_document: Some(document(host, "m5.large")),
        total_resources: Some(vec![
            amount("CPU", 2048),
            amount("MEMORY", 7680),
            ports("PORTS", &["22", "2375", "51678"]),
            ports("PORTS_UDP", &[]),
        ]),
        attributes: Some(vec![
            attribute("ecs.os-type", Some("linux")),
            attribute("ecs.capability.task-eni", None),
            attribute("stack", Some("prod blue")),
        ]),
        ..Default::default()
    }
}

fn account() -> Account {
    let mut account = Account::new();
    account.done(shapes::CreateClusterRequest::default());
    account
}

#[track_caller]
fn registered(account: &mut Account, host: &str) -> shapes::ContainerInstance {
    account.done(register(host)).container_instance.expect("the instance")
}

fn arn(instance: &shapes::ContainerInstance) -> String {
    instance.container_instance_arn.clone().expect("an ARN")
}

fn describe(account: &mut Account, given: &str) -> shapes::ContainerInstance {
    use shapes::ContainerInstanceField as Field;
    let found = account.done(shapes::DescribeContainerInstancesRequest {
        container_instances: texts(&[given]),
        include: Some(vec![Field::Tags, Field::ContainerInstanceHealth]),
        ..Default::default()
    });
    found.container_instances.unwrap_or_default().pop().expect("the instance")
}

fn list(account: &mut Account, filter: &str) -> usize {
    let request =
        shapes::ListContainerInstancesRequest { filter: Some(filter.to_owned()), ..Default::default() };
    account.done(request).container_instance_arns.unwrap_or_default().len()
}

/// A task on the instance, by StartTask.
fn start_task(account: &mut Account, instance: &str) -> shapes::Task {
    account.done(shapes::RegisterTaskDefinitionRequest {
        family: "job".to_owned(),
        container_definitions: vec![shapes::ContainerDefinition {
            name: Some("c".to_owned()),
            image: Some("busybox".to_owned()),
            cpu: Some(256),
            memory: Some(512),
            port_mappings: Some(vec![shapes::PortMapping {
                container_port: Some(80),
                host_port: Some(8080),
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ..Default::default()
    });
    let started = account.done(shapes::StartTaskRequest {
        container_instances: texts(&[instance]),
        task_definition: "job".to_owned(),
        ..Default::default()
    });
    assert_eq!(started.failures, Some(Vec::new()));
    started.tasks.unwrap_or_default().pop().expect("the task")
}

fn resource(resources: &Option<Vec<shapes::Resource>>, name: &str) -> (i32, Vec<String>) {
    let found = resources.iter().flatten().find(|resource| resource.name.as_deref() == Some(name));
    let found = found.unwrap_or_else(|| panic!("no {name}"));
    (found.integer_value.unwrap_or_default(), found.string_set_value.clone().unwrap_or_default())
}

#[test]
fn an_agent_registers() {
    let mut account = account();
    let instance = registered(&mut account, HOST);
    assert!(arn(&instance).starts_with("arn:aws:ecs:us-east-1:000000000000:container-instance/default/"));
    assert_eq!(instance.ec2_instance_id.as_deref(), Some(HOST));
    assert_eq!(instance.status.as_deref(), Some("ACTIVE"));
    assert_eq!((instance.agent_connected, instance.version), (Some(true), Some(1)));
    assert_eq!(instance.capacity_provider_name, None);
    let attributes: Vec<(&str, Option<&str>)> = instance
        .attributes
        .iter()
        .flatten()
        .map(|attribute| (attribute.name.as_str(), attribute.value.as_deref()))
        .collect();
    let expect = [
        ("ecs.ami-id", Some("ami-1")),
        ("ecs.availability-zone", Some("us-east-1b")),
        ("ecs.capability.task-eni", None),
        ("ecs.cpu-architecture", Some("x86_64")),
        ("ecs.instance-type", Some("m5.large")),
        ("ecs.os-type", Some("linux")),
        ("stack", Some("prod blue")),
    ];
    assert_eq!(attributes, expect);
    assert_eq!(resource(&instance.registered_resources, "CPU").0, 2048);
    assert_eq!(resource(&instance.remaining_resources, "MEMORY").0, 7680);
    assert_eq!(resource(&instance.remaining_resources, "PORTS").1, ["22", "2375", "51678"]);
    assert_eq!(arn(&registered(&mut account, HOST)), arn(&instance), "the same machine is the same instance");
    assert_eq!(list(&mut account, "attribute:stack == 'prod blue' and runningTasksCount == 0"), 1);
    assert_eq!(list(&mut account, "attribute:ecs.instance-type =~ t3.*"), 0);
}

#[test]
fn registrations_that_are_refused() {
    let mut account = account();
    let mut check = |change: fn(&mut shapes::RegisterContainerInstanceRequest), expect: &str| {
        let mut request = register(HOST);
        change(&mut request);
        let refusal = account.refused(request);
        assert!(refusal.contains(expect), "{refusal}");
    };
    check(|request| request.cluster = Some("nowhere".into()), "ClusterNotFoundException: Cluster not found.");
    check(
        |request| request.total_resources = None,
        "InvalidParameterException: totalResources must tell CPU.",
    );
    check(
        |request| request.total_resources = Some(vec![amount("CPU", 1), amount("MEMORY", -5)]),
        "InvalidParameterException: -5 is not a valid amount of MEMORY.",
    );
    check(|request| request.instance_identity_document = Some("{".into()), "identity document is not valid");
    check(|request| request.instance_identity_document = Some("[]".into()), "identity document is not valid");
    check(
        |request| request.attributes = Some(vec![attribute("a b", None)]),
        "Invalid attribute name \"a b\"",
    );
    check(|request| request.attributes = Some(vec![attribute("a", Some(" b"))]), "Invalid value \" b\"");
    check(|request| request.container_instance_arn = Some("x".into()), "ClientException: The referenced");
}

#[test]
fn an_agent_that_starts_again() {
    let mut account = account();
    let instance = registered(&mut account, HOST);
    start_task(&mut account, &arn(&instance));
    let mut request = register(HOST);
    request.container_instance_arn = Some(arn(&instance));
    request.total_resources =
        Some(vec![amount("CPU", 2048), amount("MEMORY", 7000), ports("PORTS", &["22"])]);
    let again = account.done(request.clone()).container_instance.expect("the instance");
    assert_eq!(arn(&again), arn(&instance));
    assert!(again.version > instance.version);
    assert_eq!(resource(&again.remaining_resources, "CPU").0, 2048 - 256);
    assert_eq!(resource(&again.remaining_resources, "MEMORY").0, 7000 - 512);
    assert_eq!(resource(&again.remaining_resources, "PORTS").1, ["22", "8080"]);
    request.instance_identity_document = Some(document(HOST, "m5.xlarge"));
    let refusal = account.refused(request);
    assert!(
        refusal.starts_with("ClientException: Container instance type changes are not supported."),
        "{refusal}"
    );
    assert!(refusal.ends_with("was previously registered as m5.large."), "{refusal}");
}

#[test]
fn tasks_take_and_give_back() {
    let mut account = account();
    let instance = registered(&mut account, HOST);
    let task = start_task(&mut account, &arn(&instance));
    let found = describe(&mut account, &arn(&instance));
    assert_eq!(resource(&found.remaining_resources, "CPU").0, 2048 - 256);
    assert_eq!(resource(&found.remaining_resources, "PORTS").1, ["22", "2375", "8080", "51678"]);
    assert_eq!((found.running_tasks_count, found.pending_tasks_count), (Some(1), Some(1)));
    assert_eq!(list(&mut account, "task:group == family:job"), 1);
    account.done(shapes::SubmitTaskStateChangeRequest {
        task: task.task_arn,
        status: Some("STOPPED".to_owned()),
        ..Default::default()
    });
    let found = describe(&mut account, &arn(&instance));
    assert_eq!(found.remaining_resources, instance.remaining_resources);
    assert_eq!((found.running_tasks_count, found.pending_tasks_count), (Some(0), Some(0)));
    assert_eq!(list(&mut account, "task:group == family:job"), 0);
}

#[test]
fn states() {
    let mut account = account();
    let instance = registered(&mut account, HOST);
    let mut update = |given: &[&str], status| {
        account.call(shapes::UpdateContainerInstancesStateRequest {
            container_instances: texts(given),
            status,
            ..Default::default()
        })
    };
    use shapes::ContainerInstanceStatus as Status;
    let arn = arn(&instance);
    let (_, id) = arn.rsplit_once('/').expect("an id");
    let unknown = "0".repeat(32);
    let answer = update(&[id, &unknown], Status::Draining).expect("done");
    let status = |answer: &shapes::UpdateContainerInstancesStateResponse| {
        let instances = answer.container_instances.clone().unwrap_or_default();
        instances.iter().map(|instance| instance.status.clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(status(&answer), ["DRAINING"]);
    let failure = &answer.failures.expect("failures")[0];
    assert_eq!(failure.reason.as_deref(), Some("MISSING"));
    let missing = format!("arn:aws:ecs:us-east-1:000000000000:container-instance/default/{unknown}");
    assert_eq!(failure.arn.as_deref(), Some(missing.as_str()));
    assert_eq!(status(&update(&[&arn], Status::Active).expect("done")), ["ACTIVE"]);
    let refusal = update(&[id], Status::Registering).expect_err("not a state to ask for").to_string();
    assert!(refusal.contains("should be one of [ACTIVE, DRAINING]"), "{refusal}");
    let refusal = update(&[id; 11], Status::Active).expect_err("too many").to_string();
    assert!(refusal.contains("more than 10"), "{refusal}");
    assert!(update(&[], Status::Active).is_err());
    account.done(shapes::DeregisterContainerInstanceRequest {
        container_instance: arn.clone(),
        ..Default::default()
    });
    let answer = account.done(shapes::UpdateContainerInstancesStateRequest {
        container_instances: vec![arn],
        status: Status::Draining,
        ..Default::default()
    });
    assert_eq!(answer.failures.expect("failures")[0].reason.as_deref(), Some("INACTIVE"));
}

#[test]
fn deregistration_by_hand() {
    let mut account = account();
    let instance = registered(&mut account, HOST);
    let task = start_task(&mut account, &arn(&instance));
    let request = |force| shapes::DeregisterContainerInstanceRequest {
        cluster: None,
        container_instance: arn(&instance),
        force,
    };
    let refusal = account.refused(request(None));
    assert_eq!(refusal, "InvalidParameterException: Found running tasks on the instance.");
    let gone = account.done(request(Some(true))).container_instance.expect("the instance");
    assert_eq!(gone.status.as_deref(), Some("INACTIVE"));
    assert_eq!(gone.remaining_resources, instance.remaining_resources);
    let tasks = vec![task.task_arn.expect("an ARN")];
    let task = account.done(shapes::DescribeTasksRequest { tasks, ..Default::default() }).tasks;
    let task = task.unwrap_or_default().pop().expect("the task");
    assert_eq!(task.last_status.as_deref(), Some("STOPPED"));
    assert_eq!(task.stopped_reason.as_deref(), Some("Container instance deregistration forced by user"));
    assert_eq!(list(&mut account, ""), 0);
    assert_eq!(describe(&mut account, &arn(&instance)).status.as_deref(), Some("INACTIVE"));
    let again = registered(&mut account, HOST);
    assert_ne!(arn(&again), arn(&instance), "a deregistered instance registers as a new one");
    let mut known = register(HOST);
    known.container_instance_arn = Some(arn(&instance));
    assert!(account.refused(known).contains("is INACTIVE"));
    account.pass(Span::from_mins(61));
    let missing = account.done(shapes::DescribeContainerInstancesRequest {
        container_instances: vec![arn(&instance)],
        ..Default::default()
    });
    assert_eq!(missing.failures.expect("failures")[0].reason.as_deref(), Some("MISSING"));
}

#[test]
fn agents_come_and_go() {
    let mut account = account();
    let instance = arn(&registered(&mut account, HOST));
    let host: InstanceId = HOST.parse().expect("an id");
    let connected = |account: &mut Account, connected: bool| {
        let fact = Fact::AgentConnection { instance: host, connected };
        let _outcome = account.engine.step(account.engine.now(), Input::Fact(fact));
    };
    let seen = |account: &mut Account| describe(account, &instance).agent_connected;
    connected(&mut account, false);
    account.pass(Span::from_secs(20));
    connected(&mut account, true);
    account.pass(Span::from_secs(60));
    assert_eq!(seen(&mut account), Some(true), "it was back in time");
    connected(&mut account, false);
    account.pass(Span::from_secs(29));
    assert_eq!(seen(&mut account), Some(true));
    account.pass(Span::from_secs(1));
    assert_eq!(seen(&mut account), Some(false));
    connected(&mut account, true);
    assert_eq!(seen(&mut account), Some(true));
}

/// A machine of an Auto Scaling group, as Auto Scaling launches it.
fn launch(account: &mut Account, group: &str) -> String {
    let image = crate::ec2::releases()[0].id("us-east-1");
    let tag = ec2::Tag { key: Some("aws:autoscaling:groupName".into()), value: Some(group.into()) };
    let request = ec2::RunInstancesRequest {
        image_id: Some(image),
        instance_type: Some("m5.large".into()),
        min_count: 1,
        max_count: 1,
        tag_specifications: Some(vec![ec2::TagSpecification {
            resource_type: Some("instance".to_owned()),
            tags: Some(vec![tag]),
        }]),
        ..Default::default()
    };
    let input = Input::Call { caller: Caller::AUTOSCALING, request: Box::new(request.into()) };
    let reply = account.engine.step(account.engine.now(), input).reply.expect("an answer");
    let Ok(capstan_shapes::Response::Ec2(ec2::Response::RunInstances(launched))) = reply else {
        panic!("{reply:?}");
    };
    launched.instances.unwrap_or_default()[0].instance_id.clone().expect("an id")
}

#[test]
fn instances_of_a_group_belong_to_its_provider() {
    let mut account = account();
    for (name, group) in [("od", "group-od"), ("spot", "group-spot")] {
        account.engine.ecs.providers.insert(Provider {
            name: Name::from(name),
            kind: ProviderKind::AutoScalingGroup(GroupProvider {
                group_name: group.to_owned(),
                group_arn: format!("arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:x:autoScalingGroupName/{group}"),
                managed_scaling: None,
                termination_protection: false,
                managed_draining: false,
            }),
            status: shapes::CapacityProviderStatus::Active,
            update_status: None,
            settles_at: None,
            pending: None,
            tags: Default::default(),
        });
    }
    account.engine.ecs.clusters.edit(&Name::from("default")).expect("the cluster").capacity_providers =
        vec![Name::from("od")];
    let (od, spot) = (launch(&mut account, "group-od"), launch(&mut account, "group-spot"));
    assert_eq!(registered(&mut account, &od).capacity_provider_name.as_deref(), Some("od"));
    let other = registered(&mut account, &spot);
    assert_eq!(other.capacity_provider_name, None, "the cluster does not use that provider");

    // An agent that is known by its credentials only.
    account.done(shapes::DeregisterContainerInstanceRequest {
        container_instance: arn(&other),
        ..Default::default()
    });
    let request =
        shapes::RegisterContainerInstanceRequest { instance_identity_document: None, ..register(&spot) };
    let caller = Caller::Agent(spot.parse().expect("an id"));
    let input = Input::Call { caller, request: Box::new(request.into()) };
    assert!(matches!(account.engine.step(account.engine.now(), input).reply, Some(Ok(_))));
    assert_eq!(list(&mut account, &format!("ec2InstanceId == {spot}")), 1);
    assert_eq!(list(&mut account, "attribute:ecs.instance-type == m5.large"), 2);

    // Terminating the machine deregisters the instance.
    account.done(ec2::TerminateInstancesRequest { instance_ids: vec![od.clone()], ..Default::default() });
    let instances = account.engine.ecs().instances().iter();
    let gone = instances.filter(|row| row.ec2_instance == od.parse().ok()).map(|row| row.status.as_str());
    assert_eq!(gone.collect::<Vec<_>>(), ["INACTIVE"]);
}

#[test]
fn lists_come_in_pages() {
    let mut account = account();
    let mut expect: Vec<String> =
        (1..=25).map(|n| arn(&registered(&mut account, &format!("i-{n:017x}")))).collect();
    expect.sort_unstable();
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request = shapes::ListContainerInstancesRequest {
            max_results: Some(10),
            next_token: token,
            ..Default::default()
        };
        let page = account.done(request);
        seen.extend(page.container_instance_arns.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, expect);
    let request = |filter: Option<&str>, token: Option<&str>, max| shapes::ListContainerInstancesRequest {
        filter: filter.map(str::to_owned),
        next_token: token.map(str::to_owned),
        max_results: max,
        ..Default::default()
    };
    assert!(account.refused(request(None, Some("x"), None)).starts_with("InvalidParameterException"));
    assert!(account.refused(request(None, None, Some(101))).starts_with("InvalidParameterException"));
    let refusal = account.refused(request(Some("zone == a"), None, None));
    assert!(refusal.starts_with("InvalidParameterException: Invalid query \"zone == a\""), "{refusal}");
}

#[test]
fn attributes_of_a_users_own() {
    let mut account = account();
    let instance = arn(&registered(&mut account, HOST));
    let on = |target: &str, name: &str, value: Option<&str>| shapes::Attribute {
        target_id: Some(target.to_owned()),
        ..attribute(name, value)
    };
    let put = |attributes: Vec<shapes::Attribute>| shapes::PutAttributesRequest { cluster: None, attributes };
    let done = account.done(put(vec![on(&instance, "color", Some("red")), on(&instance, "hot", None)]));
    assert_eq!(done.attributes.unwrap_or_default().len(), 2);
    assert_eq!(list(&mut account, "attribute:color == red and attribute:hot exists"), 1);
    let (_, id) = instance.rsplit_once('/').expect("an id");
    let refusal = account.refused(put(vec![on(id, "color", None)]));
    assert!(refusal.contains("targetType"), "{refusal}");
    let short = shapes::Attribute {
        target_type: Some(shapes::TargetType::ContainerInstance),
        ..on(id, "color", Some("blue"))
    };
    account.done(put(vec![short]));
    let refusal = account.refused(put(vec![on(&instance, "ecs.ami-id", Some("x"))]));
    assert!(refusal.contains("belongs to Amazon ECS"), "{refusal}");
    let unknown = instance.replace(id, &"0".repeat(32));
    let refusal = account.refused(put(vec![on(&unknown, "color", None)]));
    assert!(refusal.starts_with("TargetNotFoundException"), "{refusal}");
    // stack, color and hot are there; seven more fit.
    let more = |range: std::ops::Range<u32>| range.map(|n| on(&instance, &format!("a{n}"), None)).collect();
    account.done(put(more(0..7)));
    let refusal = account.refused(put(more(7..8)));
    assert!(refusal.starts_with("AttributeLimitExceededException"), "{refusal}");
    let listed = account.done(shapes::ListAttributesRequest {
        target_type: shapes::TargetType::ContainerInstance,
        attribute_name: Some("color".to_owned()),
        ..Default::default()
    });
    let listed = listed.attributes.unwrap_or_default();
    assert_eq!(listed, [on(&instance, "color", Some("blue"))]);
    let deleted = account.done(shapes::DeleteAttributesRequest { cluster: None, attributes: more(0..9) });
    assert_eq!(deleted.attributes.unwrap_or_default().len(), 7, "those that were there");
    assert_eq!(list(&mut account, "attribute:a3 exists"), 0);
}

#[test]
fn agents_learn_where_to_keep_in_touch() {
    let found = account().done(shapes::DiscoverPollEndpointRequest::default());
    assert_eq!(found.endpoint.as_deref(), Some("http://127.0.0.1:4566/acs"));
    assert_eq!(found.telemetry_endpoint.as_deref(), Some("http://127.0.0.1:4566/tcs"));
}
