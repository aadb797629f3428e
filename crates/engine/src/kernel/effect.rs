//! What the engine asks of the world, and what the world tells the engine.

use capstan_model::{Hex32, InstanceId};

use crate::ecs::Usage;

/// Work for the driver: flat data, executed by one match at the edge. Each may be repeated or lost without harm: details
/// are read from the state ([`Engine::task_spec`](crate::Engine) and the rooms' views), and reports carry the generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Boot the instance: report [`Fact::InstanceRunning`], then let its agent register.
    LaunchInstance { instance: InstanceId },
    /// What the instance's metadata endpoint tells has changed.
    InstanceMetadata { instance: InstanceId },
    /// What load balancers serve has changed: listeners, rules, target groups or their targets.
    /// `target_group` is the ARN of the only group concerned, or `None` when it is more than one group's targets.
    LoadBalancing { target_group: Option<String> },
    /// Start the task's containers on that instance.
    RunTask { instance: InstanceId, task: Hex32, generation: u64 },
    /// Take the machine away from the instance, with everything that runs on it, at once; report
    /// [`Fact::InstanceStopped`]. [`Effect::LaunchInstance`] may bring it back.
    StopInstance { instance: InstanceId },
    /// Stop the task's containers: SIGTERM, stopTimeout, SIGKILL.
    StopTask { instance: InstanceId, task: Hex32, generation: u64 },
    /// End the instance and everything on it, at once; report [`Fact::InstanceTerminated`].
    TerminateInstance { instance: InstanceId },
}

/// What happened outside, told by the driver. Agents do not report by facts: they call the ECS API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The agent's connection came or went.
    AgentConnection { instance: InstanceId, connected: bool },
    /// A container's own health check changed its mind.
    ContainerHealth { task: Hex32, container: String, healthy: bool },
    /// The instance answers: `pending` → `running`.
    InstanceRunning { instance: InstanceId },
    /// The instance has no machine any more: `stopping` → `stopped`.
    InstanceStopped { instance: InstanceId },
    /// The instance is gone: `shutting-down` (or, when nobody asked, `running`) → `terminated`.
    InstanceTerminated { instance: InstanceId },
    /// EC2 takes a Spot Instance back now, with the two minutes' notice: the market outside, or whoever rehearses it.
    SpotInterruption { instance: InstanceId },
    /// What a task's processes use, measured by the runtime that runs them (ECS agents send it as telemetry).
    TaskUsage { task: Hex32, usage: Usage },
    /// A health check changed its mind about a target (elb.md §4).
    TargetHealth { target_group: String, target: String, port: u16, health: HealthReport },
    /// What load balancers served since the last time, told at the end of each minute in which something happened.
    Traffic(Vec<Traffic>),
}

/// What one load balancer, or one of its target groups, served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// ARN.
    pub load_balancer: String,
    /// ARN; `None` for what belongs to the load balancer as a whole.
    pub target_group: Option<String>,
    /// Metrics of `AWS/ApplicationELB` that count something, by name, and how much.
    pub counts: Vec<(&'static str, u64)>,
    pub response_times: ResponseTimes,
}

impl Traffic {
    pub(crate) fn count(&self, metric: &str) -> u64 {
        self.counts.iter().find(|(name, _)| *name == metric).map_or(0, |(_, count)| *count)
    }
}

/// How long targets took to begin their answers, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseTimes {
    pub count: u64,
    pub sum: u64,
    pub min: u64,
    pub max: u64,
    /// Times, ascending and a little too low, and how often each was seen.
    pub values: Vec<(u64, u64)>,
}

/// A health checker's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthReport {
    Healthy,
    /// With AWS's reason code (`Target.Timeout`) and description (`Request timed out`).
    Unhealthy {
        reason: String,
        description: String,
    },
}
