//! Hosts that are not there: what an instance, its agent and a health checker would do, as timed inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_engine::ecs::{InstanceIndex, InstanceStatus, TaskIndex};
use capstan_engine::kernel::Chance;
use capstan_engine::{Caller, Effect, Engine, Fact, HealthReport, Input};
use capstan_model::{Hex32, InstanceId, Span, Time};
use capstan_shapes::Request;
use capstan_shapes::ecs::{
    ContainerInstanceStatus, ContainerStateChange, NetworkBinding, SubmitTaskStateChangeRequest,
    TransportProtocol, UpdateContainerInstancesStateRequest,
};

use crate::{Profile, Range, Surroundings, registration};

/// Between two looks of an agent at its Spot notice (spec ecs.md §7).
const SPOT_POLL: Span = Span::from_secs(1);

/// First of the ports that bridge tasks get on a host (Linux, ip_local_port_range).
const FIRST_DYNAMIC_PORT: u16 = 32_768;

/// Everything outside the engine, in virtual time.
#[derive(Clone, Debug)]
pub struct VirtualHosts {
    profile: Profile,
    chance: Chance,
    /// What will happen: by time, then in the order in which it was decided.
    queue: BTreeMap<(Time, u64), Happening>,
    decided: u64,
    hosts: BTreeMap<InstanceId, Host>,
    /// Targets that were seen `initial` and have a check on its way.
    checked: BTreeSet<(String, String, u16)>,
}

#[derive(Clone, Debug, Default)]
struct Host {
    /// Tasks that were ordered and have not stopped; whether each runs.
    tasks: BTreeMap<Hex32, bool>,
    next_port: u16,
    /// Its agent has seen a Spot notice.
    noticed: bool,
}

#[derive(Clone, Debug)]
enum Happening {
    AgentDrains(InstanceId),
    AgentGone(InstanceId),
    AgentRegisters(InstanceId),
    ContainerChecked(InstanceId, Hex32, String),
    InstanceGone(InstanceId),
    InstanceRuns(InstanceId),
    InstanceStopped(InstanceId),
    TargetChecked { target_group: String, target: String, port: u16 },
    TaskRuns(InstanceId, Hex32),
    TaskStopped(InstanceId, Hex32),
}

impl VirtualHosts {
    /// Chance comes from a stream of its own under the seed.
    pub fn new(seed: u64, profile: Profile) -> Self {
        Self {
            profile,
            chance: Chance::new(seed ^ 0x686f_7374_7321),
            queue: BTreeMap::new(),
            decided: 0,
            hosts: BTreeMap::new(),
            checked: BTreeSet::new(),
        }
    }

    fn decide(&mut self, at: Time, happening: Happening) {
        self.decided += 1;
        self.queue.insert((at, self.decided), happening);
    }

    fn carry_out(&mut self, now: Time, engine: &Engine, effect: Effect) {
        let profile = self.profile;
        match effect {
            Effect::LaunchInstance { instance } => {
                let runs = now + profile.boot.draw(&mut self.chance, "hosts.boot");
                let registers = runs + profile.agent.draw(&mut self.chance, "hosts.agent");
                self.hosts.insert(instance, Host { next_port: FIRST_DYNAMIC_PORT, ..Host::default() });
                self.decide(runs, Happening::InstanceRuns(instance));
                self.decide(registers, Happening::AgentRegisters(instance));
            }
            Effect::InstanceMetadata { instance } => {
                // The stock agent looks once a second (spec ecs.md §7).
                let watches = draining_agent(engine, instance);
                let host = self.hosts.get_mut(&instance).filter(|host| watches && !host.noticed);
                if let Some(host) = host {
                    host.noticed = true;
                    let poll = Range::millis(0, 1_000).draw(&mut self.chance, "hosts.spot-poll");
                    self.decide(now + poll, Happening::AgentDrains(instance));
                }
            }
            Effect::StopInstance { instance } => {
                self.hosts.remove(&instance);
                self.decide(now, Happening::AgentGone(instance));
                let stopped = now + profile.shut_down.draw(&mut self.chance, "hosts.shut-down");
                self.decide(stopped, Happening::InstanceStopped(instance));
            }
            Effect::TerminateInstance { instance } => {
                // Whatever ran there is gone at once; nobody reports it.
                self.hosts.remove(&instance);
                let gone = now + profile.shut_down.draw(&mut self.chance, "hosts.shut-down");
                self.decide(gone, Happening::InstanceGone(instance));
            }
            Effect::RunTask { instance, task, .. } => {
                let Some(host) = self.hosts.get_mut(&instance) else { return };
                // A repeated order changes nothing.
                if host.tasks.insert(task, false).is_none() {
                    let at = now + profile.task_start.draw(&mut self.chance, "hosts.task-start");
                    self.decide(at, Happening::TaskRuns(instance, task));
                }
            }
            Effect::StopTask { instance, task, .. } => {
                let at = now + profile.task_stop.draw(&mut self.chance, "hosts.task-stop");
                self.decide(at, Happening::TaskStopped(instance, task));
            }
            Effect::LoadBalancing { target_group } => {
                self.check_targets(now, engine, target_group.as_deref())
            }
        }
    }

    /// New targets of the group (of every group, when none is named) get their first health check.
    fn check_targets(&mut self, now: Time, engine: &Engine, group: Option<&str>) {
        for (group, target, port) in unchecked(engine, group) {
            if self.checked.insert((group.clone(), target.clone(), port)) {
                let at = now + self.profile.first_check.draw(&mut self.chance, "hosts.first-check");
                self.decide(at, Happening::TargetChecked { target_group: group, target, port });
            }
        }
    }

    fn happen(&mut self, now: Time, engine: &Engine, happening: Happening) -> Option<Input> {
        let call = |instance, request: Request| Input::Call {
            caller: Caller::Agent(instance),
            request: Box::new(request),
        };
        match happening {
            Happening::InstanceRuns(instance) => {
                self.hosts.get(&instance)?;
                Some(Input::Fact(Fact::InstanceRunning { instance }))
            }
            Happening::AgentDrains(instance) => {
                self.hosts.get(&instance)?;
                let (drain, again) = drain_itself(engine, instance)?;
                if again {
                    self.decide(now + SPOT_POLL, Happening::AgentDrains(instance));
                }
                Some(call(instance, drain?.into()))
            }
            Happening::AgentGone(instance) => {
                Some(Input::Fact(Fact::AgentConnection { instance, connected: false }))
            }
            Happening::AgentRegisters(instance) => {
                self.hosts.get(&instance)?;
                // A machine that was stopped comes back without the tasks that ran on it.
                for task in lost_tasks(engine, instance) {
                    self.decide(now, Happening::TaskStopped(instance, task));
                }
                Some(call(instance, registration(engine, instance)?.into()))
            }
            Happening::ContainerChecked(instance, task, container) => {
                let runs = self.hosts.get(&instance)?.tasks.get(&task) == Some(&true);
                runs.then_some(Input::Fact(Fact::ContainerHealth { task, container, healthy: true }))
            }
            Happening::InstanceGone(instance) => Some(Input::Fact(Fact::InstanceTerminated { instance })),
            Happening::InstanceStopped(instance) => Some(Input::Fact(Fact::InstanceStopped { instance })),
            Happening::TaskRuns(instance, task) => {
                let host = self.hosts.get_mut(&instance)?;
                *host.tasks.get_mut(&task)? = true;
                let report = report(engine, task, "RUNNING", None, &mut host.next_port)?;
                for (container, after) in container_checks(engine, task) {
                    self.decide(now + after, Happening::ContainerChecked(instance, task, container));
                }
                Some(call(instance, report.into()))
            }
            Happening::TaskStopped(instance, task) => {
                let host = self.hosts.get_mut(&instance)?;
                // A task that never ran has no exit code; one that is unknown here is reported all the same.
                let ran = host.tasks.remove(&task).unwrap_or(false);
                let report = report(engine, task, "STOPPED", ran.then_some(0), &mut host.next_port)?;
                Some(call(instance, report.into()))
            }
            Happening::TargetChecked { target_group, target, port } => {
                self.checked.remove(&(target_group.clone(), target.clone(), port));
                let health = HealthReport::Healthy;
                Some(Input::Fact(Fact::TargetHealth { target_group, target, port, health }))
            }
        }
    }
}

impl Surroundings for VirtualHosts {
    fn next(&self) -> Option<Time> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    fn take(&mut self, now: Time, engine: &Engine, effect: Effect) {
        self.carry_out(now, engine, effect);
    }

    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input> {
        loop {
            let entry = self.queue.first_entry()?;
            if entry.key().0 > now {
                return None;
            }
            let happening = entry.remove();
            // Some things do not happen after all: the instance they were to happen on is gone.
            if let Some(input) = self.happen(now, engine, happening) {
                return Some(input);
            }
        }
    }
}

/// Whether the instance's agent watches for Spot notices and its metadata tells one.
fn draining_agent(engine: &Engine, instance: InstanceId) -> bool {
    let row = engine.ec2().instances().get(&instance);
    row.is_some_and(|row| {
        let told = row.spot.as_ref().is_some_and(|spot| spot.instance_action().is_some());
        told && row.runs_ecs_agent() && row.drains_on_notice()
    })
}

/// What the agent asks for when it has seen a notice, and whether it has to ask again. `None`: there is nothing to drain.
fn drain_itself(
    engine: &Engine,
    instance: InstanceId,
) -> Option<(Option<UpdateContainerInstancesStateRequest>, bool)> {
    let row = engine.ec2().instances().get(&instance).filter(|row| row.is_alive())?;
    let mut of_host = engine.ecs().instances().by(&InstanceIndex::Ec2(row.id));
    // An agent that has not registered yet goes on trying.
    let Some(own) = of_host.next() else { return Some((None, true)) };
    let request = UpdateContainerInstancesStateRequest {
        cluster: Some(own.cluster.to_string()),
        container_instances: vec![own.id.to_string()],
        status: ContainerInstanceStatus::Draining,
    };
    (own.status == InstanceStatus::Active).then_some((Some(request), false))
}

/// Tasks that ECS believes to be on an instance whose agent starts.
fn lost_tasks(engine: &Engine, instance: InstanceId) -> Vec<Hex32> {
    let of_host = engine.ecs().instances().by(&InstanceIndex::Ec2(instance));
    of_host.flat_map(|row| engine.ecs().tasks().keys_by(&TaskIndex::Instance(row.id))).collect()
}

/// Targets that nobody has checked yet: group, id, port.
fn unchecked(engine: &Engine, group: Option<&str>) -> Vec<(String, String, u16)> {
    let elb = engine.elb();
    let groups: Vec<Arc<str>> = match group {
        Some(group) => vec![group.into()],
        None => elb.target_groups().iter().map(|row| row.arn.clone()).collect(),
    };
    let targets = groups.iter().flat_map(|group| elb.unchecked_targets_of(group));
    targets.map(|target| (target.target_group.to_string(), target.id.clone(), target.port)).collect()
}

/// Containers of a task that have a health check, and when the first one is over (after one interval; ECS model
/// HealthCheck, 30 s unless told).
fn container_checks(engine: &Engine, id: Hex32) -> Vec<(String, Span)> {
    let task = engine.ecs().tasks().get(&id);
    let definition = task.and_then(|task| engine.ecs().task_definitions().get(&task.definition));
    let containers = definition.into_iter().flat_map(|row| row.shape.container_definitions.iter().flatten());
    let checked = containers.filter_map(|container| {
        let interval = container.health_check.as_ref()?.interval.unwrap_or(30);
        Some((container.name.clone()?, Span::from_secs(i64::from(interval))))
    });
    checked.collect()
}

/// An agent's report about a task.
fn report(
    engine: &Engine,
    id: Hex32,
    status: &str,
    exit_code: Option<i32>,
    next_port: &mut u16,
) -> Option<SubmitTaskStateChangeRequest> {
    let task = engine.ecs().tasks().get(&id)?;
    let definition = engine.ecs().task_definitions().get(&task.definition)?;
    let mut containers = Vec::new();
    for container in &task.containers {
        let of_definition = definition.shape.container_definitions.iter().flatten();
        let mappings = of_definition
            .filter(|d| d.name.as_deref() == Some(container.name.as_str()))
            .flat_map(|d| d.port_mappings.iter().flatten());
        let bindings = mappings.map(|mapping| {
            let host_port = match mapping.host_port.unwrap_or(0) {
                0 if task.ip.is_some() => mapping.container_port.unwrap_or(0),
                0 => {
                    *next_port = next_port.checked_add(1).unwrap_or(FIRST_DYNAMIC_PORT + 1);
                    i32::from(*next_port)
                }
                fixed => fixed,
            };
            NetworkBinding {
                bind_ip: Some("0.0.0.0".to_owned()),
                container_port: mapping.container_port,
                host_port: Some(host_port),
                protocol: Some(mapping.protocol.unwrap_or(TransportProtocol::Tcp)),
                ..NetworkBinding::default()
            }
        });
        let bindings = if status == "RUNNING" { bindings.collect() } else { Vec::new() };
        containers.push(ContainerStateChange {
            container_name: Some(container.name.clone()),
            status: Some(status.to_owned()),
            runtime_id: Some(format!("{:032x}{:032x}", id.0, id.0.rotate_left(17))),
            exit_code,
            network_bindings: Some(bindings),
            ..ContainerStateChange::default()
        });
    }
    let now = engine.now();
    Some(SubmitTaskStateChangeRequest {
        cluster: Some(task.cluster.to_string()),
        task: Some(engine.ecs().task_arn(engine.config(), task)),
        status: Some(status.to_owned()),
        containers: Some(containers),
        pull_started_at: Some(task.pull_started_at.unwrap_or(task.created_at)),
        pull_stopped_at: Some(task.pull_stopped_at.unwrap_or(now)),
        ..SubmitTaskStateChangeRequest::default()
    })
}
