//! What an agent reports. Each event is one `SubmitTaskStateChange` or `SubmitContainerStateChange`.

use capstan_model::InstanceId;

use crate::spec::Protocol;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The task changed its status; its containers ride along, as they do in the stock agent.
    Task(TaskStateChange),
    /// A container started, stopped or changed its health while its task did not change.
    Container(ContainerStateChange),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStateChange {
    pub instance: InstanceId,
    /// Task ARN.
    pub task: String,
    pub generation: u64,
    pub status: TaskStatus,
    pub containers: Vec<ContainerState>,
    pub reason: Option<String>,
    /// Why it stopped, where the agent is the one to know. `None` when it was told to stop.
    pub stop_code: Option<StopCode>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStateChange {
    pub instance: InstanceId,
    /// Task ARN.
    pub task: String,
    pub generation: u64,
    pub container: ContainerState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    pub name: String,
    /// `None` until it was started.
    pub runtime_id: Option<String>,
    pub status: ContainerStatus,
    /// 128 + n for a death by signal n. `None` for a container that never ran.
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// Empty for a task with its own interface (`awsvpc`).
    pub network_bindings: Vec<NetworkBinding>,
    pub health: HealthStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkBinding {
    /// `0.0.0.0`, as ECS reports it; the real socket is in the address book.
    pub bind_ip: String,
    pub container_port: u16,
    /// The declared host port, or the one that was chosen.
    pub host_port: u16,
    pub protocol: Protocol,
}

/// What the agent may say about a task. The finer states are the control plane's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    Pending,
    Running,
    Stopped,
}

impl TaskStatus {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerStatus {
    Pending,
    Running,
    Stopped,
}

impl ContainerStatus {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// No health check, or none has decided yet.
    Unknown,
    Healthy,
    Unhealthy,
}

impl HealthStatus {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
        }
    }
}

/// The stop codes that an agent can know (ECS model, TaskStopCode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCode {
    TaskFailedToStart,
    EssentialContainerExited,
}

impl StopCode {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::EssentialContainerExited => "EssentialContainerExited",
        }
    }
}
