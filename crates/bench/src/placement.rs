//! How fast tasks find their places in a cluster of thousands of container instances. Nothing but the engine runs: no
//! gateway, no hosts.

use std::time::{Duration, Instant};

use capstan_engine::{Caller, Config, Effect, Engine, Input};
use capstan_model::Time;
use capstan_shapes::Call;
use capstan_shapes::ecs::{
    ContainerDefinition, CreateClusterRequest, CreateServiceRequest, RegisterContainerInstanceRequest,
    RegisterTaskDefinitionRequest, Resource, RunTaskRequest,
};

use crate::START;

const CLUSTER: &str = "bench";
/// Tasks in one RunTask (ECS model RunTaskRequest.count).
const TASKS_PER_CALL: usize = 10;
/// Tasks that a service may start within a minute (ECS guide, service-quotas).
const TASKS_PER_SERVICE: usize = 500;

/// Who asks for the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// RunTask, ten tasks a call, placed at random.
    RunTask,
    /// CreateService with 500 tasks each, spread over zones and then over instances.
    Service,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Tasks that were placed and whose start was ordered.
    pub tasks: usize,
    /// From the first call to the last answer.
    pub wall: Duration,
}

impl Placed {
    pub fn per_second(&self) -> f64 {
        self.tasks as f64 / self.wall.as_secs_f64()
    }
}

/// Registers that many container instances (m5.4xlarge, room for 15 tasks each) and places that many tasks on them.
pub fn run(path: Path, instances: usize, tasks: usize) -> Placed {
    let mut fleet = Fleet::new();
    fleet.call(CreateClusterRequest { cluster_name: Some(CLUSTER.to_owned()), ..Default::default() });
    fleet.call(task_definition());
    for number in 0..instances {
        fleet.call(registration(number));
    }
    // Requests are made before the clock runs, as a gateway would have decoded them.
    match path {
        Path::RunTask => fleet.measure((0..tasks / TASKS_PER_CALL).map(|_| run_task()).collect()),
        Path::Service => fleet.measure((0..tasks / TASKS_PER_SERVICE).map(service).collect()),
    }
}

struct Fleet {
    engine: Engine,
    started: usize,
}

impl Fleet {
    fn new() -> Self {
        Self { engine: Engine::new(Config::new(1), START), started: 0 }
    }

    fn call<C: Call>(&mut self, request: C) -> C::Output {
        let caller = Caller::User { access_key: "bench".to_owned() };
        let outcome = self.engine.step(START, Input::Call { caller, request: Box::new(request.into()) });
        let ordered = outcome.effects.iter().filter(|effect| matches!(effect, Effect::RunTask { .. }));
        self.started += ordered.count();
        let reply = outcome.reply.expect("a call has a reply");
        let response = reply.unwrap_or_else(|refusal| panic!("{refusal}"));
        C::output(response).expect("the answer is the operation's own")
    }

    fn measure<C: Call>(mut self, requests: Vec<C>) -> Placed {
        let start = Instant::now();
        for request in requests {
            self.call(request);
        }
        Placed { tasks: self.started, wall: start.elapsed() }
    }
}

fn task_definition() -> RegisterTaskDefinitionRequest {
    RegisterTaskDefinitionRequest {
        family: "task".to_owned(),
        container_definitions: vec![ContainerDefinition {
            name: Some("main".to_owned()),
            image: Some("busybox".to_owned()),
            cpu: Some(1024),
            memory: Some(4096),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn registration(number: usize) -> RegisterContainerInstanceRequest {
    let zone = ["a", "b", "c"][number % 3];
    let time = Time::iso_secs(START);
    let document = format!(
        "{{\"accountId\":\"000000000000\",\"architecture\":\"x86_64\",\"availabilityZone\":\"us-east-1{zone}\",\
         \"imageId\":\"ami-00000000000000001\",\"instanceId\":\"i-{number:017x}\",\"instanceType\":\"m5.4xlarge\",\
         \"pendingTime\":\"{time}\",\"privateIp\":\"172.31.0.10\",\"region\":\"us-east-1\",\"version\":\"2017-09-30\"}}"
    );
    let integer = |name: &str, value: i32| Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: Some(value),
        ..Default::default()
    };
    let ports = |name: &str, ports: &[&str]| Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        string_set_value: Some(ports.iter().map(|port| (*port).to_owned()).collect()),
        ..Default::default()
    };
    RegisterContainerInstanceRequest {
        cluster: Some(CLUSTER.to_owned()),
        instance_identity_document: Some(document),
        instance_identity_document_signature: Some(String::new()),
        total_resources: Some(vec![
            integer("CPU", 16 * 1024),
            integer("MEMORY", 61_600),
            ports("PORTS", &["22", "2375", "2376", "51678", "51679"]),
            ports("PORTS_UDP", &[]),
        ]),
        ..Default::default()
    }
}

fn run_task() -> RunTaskRequest {
    RunTaskRequest {
        cluster: Some(CLUSTER.to_owned()),
        task_definition: "task".to_owned(),
        count: i32::try_from(TASKS_PER_CALL).ok(),
        ..Default::default()
    }
}

fn service(number: usize) -> CreateServiceRequest {
    CreateServiceRequest {
        cluster: Some(CLUSTER.to_owned()),
        service_name: format!("service-{number}"),
        task_definition: Some("task".to_owned()),
        desired_count: i32::try_from(TASKS_PER_SERVICE).ok(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_finds_a_place() {
        for path in [Path::RunTask, Path::Service] {
            assert_eq!(run(path, 100, 1000).tasks, 1000, "{path:?}");
        }
    }
}
