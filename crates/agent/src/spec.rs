//! What to run, as plain data: the part of a `PayloadMessage` that an agent acts on.

use std::net::IpAddr;
use std::time::Duration;

use capstan_model::{InstanceId, Resources};

/// One task for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// The full task ARN; the id is its last part.
    pub arn: String,
    pub family: String,
    pub revision: u32,
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service, empty for a standalone task.
    pub service: String,
    pub instance: InstanceId,
    pub availability_zone: String,
    /// Name of the capacity provider, empty when the task has a launch type instead.
    pub capacity_provider: String,
    /// `spot`, `on-demand`, or empty when it is not known.
    pub lifecycle: String,
    /// The address of the task's own interface (`awsvpc`). `None` in the network modes that share the instance's ports.
    pub private_ip: Option<IpAddr>,
    /// Where the metadata service of the instance answers; told by `AWS_EC2_METADATA_SERVICE_ENDPOINT`, where SDKs look.
    pub metadata_endpoint: Option<String>,
    /// Task-level limits, in place of the sum over the containers when set.
    pub cpu: Option<i64>,
    pub memory: Option<i64>,
    pub containers: Vec<ContainerSpec>,
    /// Grows with every order about this task; reports carry it, and older orders are refused.
    pub generation: u64,
}

impl TaskSpec {
    /// The task id: what follows the last `/` of the ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }

    /// What the task takes from its instance (ECS model, TaskDefinition and ContainerDefinition): the task-level values
    /// where set, else the sum over the containers, where `memoryReservation` counts before `memory`.
    pub fn resources(&self) -> Resources {
        let sum = |part: fn(&ContainerSpec) -> i64| {
            self.containers.iter().map(part).fold(0i64, i64::saturating_add)
        };
        Resources {
            cpu: self.cpu.unwrap_or_else(|| sum(|c| c.cpu)),
            memory: self
                .memory
                .unwrap_or_else(|| sum(|c| c.memory_reservation.or(c.memory).unwrap_or_default())),
        }
    }
}

/// One container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    pub name: String,
    pub image: String,
    pub entry_point: Vec<String>,
    pub command: Vec<String>,
    /// In the order of the task definition; a later pair of the same name wins.
    pub environment: Vec<(String, String)>,
    pub working_directory: Option<String>,
    /// CPU units.
    pub cpu: i64,
    /// MiB.
    pub memory: Option<i64>,
    /// MiB.
    pub memory_reservation: Option<i64>,
    pub essential: bool,
    pub port_mappings: Vec<PortMapping>,
    /// From SIGTERM to SIGKILL. `None`: the instance's `ECS_CONTAINER_STOP_TIMEOUT`.
    pub stop_timeout: Option<Duration>,
    /// How long others wait for this one to reach COMPLETE, SUCCESS or HEALTHY, from its start. `None`: for ever.
    pub start_timeout: Option<Duration>,
    pub health_check: Option<HealthCheck>,
    pub depends_on: Vec<Dependency>,
    pub restart_policy: Option<RestartPolicy>,
    /// Where its lines go besides the agent's own files.
    pub log_destination: Option<LogDestination>,
}

impl ContainerSpec {
    /// An essential container without anything optional.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            entry_point: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            working_directory: None,
            cpu: 0,
            memory: None,
            memory_reservation: None,
            essential: true,
            port_mappings: Vec::new(),
            stop_timeout: None,
            start_timeout: None,
            health_check: None,
            depends_on: Vec::new(),
            restart_policy: None,
            log_destination: None,
        }
    }
}

/// A stream of CloudWatch Logs, as the driver `awslogs` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogDestination {
    pub group: String,
    pub stream: String,
    /// `awslogs-create-group`
    pub create_group: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    pub container_port: u16,
    /// 0: any free port, which is then reported.
    pub host_port: u16,
    pub protocol: Protocol,
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A container health check (ECS model, HealthCheck). The engine fills in the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["CMD", program, argument…]`, `["CMD-SHELL", line]`, or `["NONE"]`; anything else is read as `CMD`.
    pub command: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
    /// Failures in a row that make the container UNHEALTHY.
    pub retries: u32,
    /// Failures before this, counted from the start, are not counted, unless a check has succeeded already.
    pub start_period: Duration,
}

impl HealthCheck {
    /// Whether there is anything to run.
    pub fn is_active(&self) -> bool {
        !matches!(self.command.iter().map(String::as_str).collect::<Vec<_>>()[..], [] | ["NONE", ..])
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub container_name: String,
    pub condition: Condition,
}

/// ECS model, ContainerCondition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has been started.
    Start,
    /// It has run and stopped.
    Complete,
    /// It has run and stopped with exit code 0.
    Success,
    /// Its health check passes.
    Healthy,
}

impl Condition {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Success => "SUCCESS",
            Self::Healthy => "HEALTHY",
        }
    }
}

/// ECS model, ContainerRestartPolicy; present means enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    pub ignored_exit_codes: Vec<i32>,
    /// How long the container must have run before it is started again.
    pub attempt_period: Duration,
}
