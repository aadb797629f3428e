//! Rows of tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Hex32, Time};
use capstan_shapes::ecs as shapes;

use super::*;
use crate::kernel::{Amounts, NoIndex, Row, Table};

/// `lastStatus`, in the order of a task's life (spec ecs.md §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl TaskStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Desired {
    Running,
    Stopped,
}

/// Who a service task belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    pub cluster: Name,
    pub name: Name,
}

/// A container of a task.
#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    /// uuid
    pub id: String,
    pub status: ContainerStatus,
    pub essential: bool,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub runtime_id: Option<String>,
    pub image_digest: Option<String>,
    pub bindings: Vec<Binding>,
    /// `None`: the container has no health check.
    pub healthy: Option<Option<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerStatus {
    Pending,
    Running,
    Stopped,
}

/// A port that the agent has bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub bind_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    pub udp: bool,
}

/// Why a task is not on an instance yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub since: Time,
    /// When ECS gives up (spec timelines.md B1 row 15: 30 minutes).
    pub until: Time,
    /// `RESOURCE:CPU`, `EMPTY CAPACITY PROVIDER` …: what the latest try found.
    pub reason: String,
}

/// Task scale-in protection until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    pub until: Time,
}

/// What a task uses, as the runtime that runs it has measured it; virtual tasks use nothing that could be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Thousandths of a CPU unit (1,024,000 = one CPU busy all the time), on average since the measurement before.
    pub cpu_milli_units: i64,
    /// Resident memory of its processes.
    pub memory_kib: i64,
}

#[derive(Clone, Debug)]
// The scheduler looks at all tasks of a service at a time: what it asks stands together, on few cache lines.
#[repr(C)]
pub struct Task {
    pub desired: Desired,
    pub status: TaskStatus,
    /// How it is being stopped.
    pub stopping: Option<StopFlow>,
    /// Whether an essential container has a health check.
    pub health_checked: bool,
    /// Its service's deployment (`ecs-svc/…` number); 0 without a service.
    pub deployment: u64,
    pub id: Hex32,
    pub instance: Option<Hex32>,
    pub protection: Option<Protection>,
    pub started_at: Option<Time>,
    /// Why the service replaces it: what failed its health checks.
    pub unhealthy: Option<String>,
    /// Its targets in the service's target groups, from registration until deregistration is over.
    pub targets: Vec<TaskTarget>,
    pub provider: Option<Name>,
    pub cluster: Name,
    pub definition: TaskDefinitionKey,
    pub needs: Arc<TaskNeeds>,
    pub group: Name,
    pub started_by: Option<Name>,
    /// The service that it belongs to.
    pub service: Option<ServiceKey>,
    pub launch_type: Option<shapes::LaunchType>,
    pub zone: Option<Name>,
    pub waiting: Option<Waiting>,
    pub containers: Vec<Container>,
    pub overrides: Option<Arc<shapes::TaskOverride>>,
    pub placement_constraints: Vec<shapes::PlacementConstraint>,
    pub placement_strategy: Vec<shapes::PlacementStrategy>,
    pub network: Option<Arc<shapes::NetworkConfiguration>>,
    /// Private address of an `awsvpc` task.
    pub ip: Option<String>,
    pub subnet: Option<String>,
    pub enable_execute_command: bool,
    pub created_at: Time,
    pub pull_started_at: Option<Time>,
    pub pull_stopped_at: Option<Time>,
    pub stopping_at: Option<Time>,
    pub stopped_at: Option<Time>,
    pub execution_stopped_at: Option<Time>,
    pub stop_code: Option<shapes::TaskStopCode>,
    pub stopped_reason: Option<String>,
    /// When something happens to the task by itself: provisioning gives up, deregistration ends, a stopped task is forgotten.
    pub wakes_at: Option<Time>,
    /// Rises with each start order; reports with another are stale.
    pub generation: u64,
    /// Rises by one for each change that emits an event.
    pub version: i64,
    pub tags: BTreeMap<String, String>,
    /// Why it was placed where it is.
    pub placed_because: Option<String>,
    pub usage: Option<Usage>,
}

/// A target that stands for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskTarget {
    /// ARN of the target group.
    pub group: Name,
    /// Instance id or address.
    pub id: Name,
    pub port: u16,
    pub state: TargetState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

/// The two orders in which AWS stops a service's task (spec observed.md §1, timelines.md A9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopFlow {
    /// Its instance drains: targets leave first; "has stopped" is told when that is over.
    Draining,
    /// Scale-in, deployment, health, user: "has stopped" is told at once.
    Direct,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskIndex {
    /// Every task of a cluster that is not forgotten.
    Cluster(Name),
    /// Tasks of a service that are not STOPPED.
    Service(ServiceKey),
    /// Tasks on a container instance that are not STOPPED.
    Instance(Hex32),
    /// PROVISIONING tasks of a cluster for one provider (`None`: no provider).
    Waiting(Name, Option<Name>),
    /// Tasks of a provider in a cluster that are not STOPPED.
    Provider(Name, Name),
    /// A target group's ARN, target id and port.
    Target(Name, Name, u16),
    /// Tasks of a group (`service:web`, `family:batch`) in a cluster that are not STOPPED.
    Group(Name, Name),
}

impl Row for Task {
    type Key = Hex32;
    type Index = TaskIndex;
    const TABLE: &'static str = "ecs.tasks";
    fn key(&self) -> Hex32 {
        self.id
    }

    fn resource(&self) -> Option<String> {
        (self.status != TaskStatus::Stopped).then(|| self.id.to_string())
    }
    fn deadline(&self) -> Option<Time> {
        self.wakes_at
    }
    fn index(&self, put: &mut dyn FnMut(TaskIndex)) {
        put(TaskIndex::Cluster(self.cluster.clone()));
        if self.status == TaskStatus::Stopped {
            return;
        }
        put(TaskIndex::Group(self.cluster.clone(), self.group.clone()));
        if let Some(service) = &self.service {
            put(TaskIndex::Service(service.clone()));
        }
        if let Some(instance) = self.instance {
            put(TaskIndex::Instance(instance));
        }
        if let Some(provider) = &self.provider {
            put(TaskIndex::Provider(self.cluster.clone(), provider.clone()));
        }
        for target in &self.targets {
            put(TaskIndex::Target(target.group.clone(), target.id.clone(), target.port));
        }
        if self.waiting.is_some() {
            put(TaskIndex::Waiting(self.cluster.clone(), self.provider.clone()));
        }
    }
    /// See [`TaskSums`]. Tasks without a service add to their cluster's sums only when their use is known.
    fn amounts(&self, put: &mut dyn FnMut(TaskIndex, Amounts)) {
        if self.status == TaskStatus::Stopped || (self.service.is_none() && self.usage.is_none()) {
            return;
        }
        let placed = i64::from(self.instance.is_some());
        let needs = self.needs.resources;
        let usage = self.usage.unwrap_or_default();
        let amounts = [
            i64::from(self.status < TaskStatus::Running),
            i64::from(matches!(self.status, TaskStatus::Running | TaskStatus::Deactivating)),
            needs.cpu * placed,
            needs.memory * placed,
            i64::from(self.usage.is_some()),
            usage.cpu_milli_units,
            usage.memory_kib,
            0,
            0,
            0,
        ];
        if let Some(service) = &self.service {
            put(TaskIndex::Service(service.clone()), amounts);
        }
        if self.usage.is_some() {
            put(TaskIndex::Cluster(self.cluster.clone()), amounts);
        }
    }
}

/// Sums over the tasks of a service that are not STOPPED; or over those of a cluster whose use is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskSums {
    /// Not RUNNING yet.
    pub pending: i64,
    /// RUNNING, those that leave their load balancer included.
    pub running: i64,
    /// CPU units and MiB that tasks hold of their instances.
    pub cpu: i64,
    pub memory: i64,
    /// Tasks whose use is known, and what they use.
    pub measured: i64,
    pub used: Usage,
}

impl TaskSums {
    pub fn of(tasks: &Table<Task>, index: &TaskIndex) -> Self {
        let [pending, running, cpu, memory, measured, cpu_milli_units, memory_kib, ..] = tasks.sum(index);
        Self { pending, running, cpu, memory, measured, used: Usage { cpu_milli_units, memory_kib } }
    }
}

/// A RunTask with a client token: repeated, it gives the same tasks (ECS model RunTaskRequest.clientToken).
#[derive(Clone, Debug)]
pub struct RunToken {
    pub cluster: Name,
    pub token: String,
    pub request: Arc<shapes::RunTaskRequest>,
    pub tasks: Vec<Hex32>,
    pub forget_at: Time,
}

impl Row for RunToken {
    type Key = (Name, String);
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.run_tokens";
    fn key(&self) -> Self::Key {
        (self.cluster.clone(), self.token.clone())
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.forget_at)
    }
}
