//! What runs containers. The agent asks it to open a task, to start, signal and probe its containers, and to close the
//! task again; everything else (order, time-outs, health, reports) is the agent's.

pub(crate) mod process;
mod program;
mod sweep;
pub(crate) mod usage;
mod watchdog;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use capstan_model::InstanceId;
use tokio::sync::oneshot;

use crate::event::NetworkBinding;
use crate::logs::LogLine;
use crate::runtime::process::ProcessRuntime;
use crate::runtime::usage::Used;
use crate::spec::TaskSpec;

/// The runtimes of a host: a closed set, so that a call is a `match` and not a vtable. Clones share one runtime.
#[derive(Clone, Debug)]
pub enum Runtime {
    Process(ProcessRuntime),
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Unique on this host; a new one for each start.
    pub runtime_id: String,
    /// What to report; empty for a task with its own interface.
    pub bindings: Vec<NetworkBinding>,
    /// Answers when the container is gone, with everything that it had started and all that it printed.
    pub exit: oneshot::Receiver<Exit>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 128 + n for a death by signal n.
    pub code: i32,
    pub reason: Option<String>,
}

/// Why a container did not start; the text is the container's `reason` as ECS words it: a category, then the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("CannotPullContainerError: {0}")]
    CannotPull(String),
    #[error("CannotStartContainerError: {0}")]
    CannotStart(String),
    /// The instance was killed, or the runtime was shut down.
    #[error("CannotStartContainerError: the instance is gone")]
    Gone,
}

impl Runtime {
    /// Starts container number `index` of the task.
    pub(crate) async fn start(&self, task: &Arc<TaskSpec>, index: usize) -> Result<Started, StartError> {
        match self {
            Self::Process(runtime) => runtime.start(task, index).await,
        }
    }

    /// SIGTERM to a container; nothing when it is gone.
    pub(crate) fn terminate(&self, runtime_id: &str) {
        match self {
            Self::Process(runtime) => runtime.terminate(runtime_id),
        }
    }

    /// SIGKILL to a container and all in it; nothing when it is gone.
    pub(crate) fn kill(&self, runtime_id: &str) {
        match self {
            Self::Process(runtime) => runtime.kill(runtime_id),
        }
    }

    /// Runs the container's health check once; whether it passed within the time (real, not bent).
    pub(crate) async fn probe(&self, task: &Arc<TaskSpec>, index: usize, timeout: Duration) -> bool {
        match self {
            Self::Process(runtime) => runtime.probe(task, index, timeout).await,
        }
    }

    /// Forgets a task whose containers are all gone; its logs stay readable for a while.
    pub(crate) fn close(&self, task: &str) {
        match self {
            Self::Process(runtime) => runtime.close(task),
        }
    }

    /// Lets an instance run things, again if its power was off.
    pub(crate) fn power_on(&self, instance: InstanceId) {
        match self {
            Self::Process(runtime) => runtime.power_on(instance),
        }
    }

    /// Takes the power from an instance: what runs there has been killed when this returns, whatever it does with signals,
    /// and nothing is started there any more. The instance's agent sees to the rest; see [`Agent::has_ended`].
    ///
    /// [`Agent::has_ended`]: crate::Agent::has_ended
    pub fn power_off(&self, instance: InstanceId) {
        match self {
            Self::Process(runtime) => runtime.power_off(instance),
        }
    }

    /// Takes the power from an instance, and answers when nothing is left.
    pub(crate) async fn kill_instance(&self, instance: InstanceId) {
        match self {
            Self::Process(runtime) => runtime.kill_instance(instance).await,
        }
    }

    /// Kills everything and starts nothing any more. Answers when nothing is left. For the end of the host; agents that
    /// still run report what they see.
    pub async fn shutdown(&self) {
        match self {
            Self::Process(runtime) => runtime.shutdown().await,
        }
    }

    /// What the processes of each task use, health checks included; by the tasks' ARNs. Blocks while it reads `/proc`.
    pub fn used(&self) -> BTreeMap<String, Used> {
        match self {
            Self::Process(runtime) => runtime.used(),
        }
    }

    /// The latest lines that a container printed, oldest first; `None` when it never started or was long ago.
    /// `task` is the ARN.
    pub fn logs(&self, task: &str, container: &str) -> Option<Vec<LogLine>> {
        match self {
            Self::Process(runtime) => runtime.logs(task, container),
        }
    }
}
