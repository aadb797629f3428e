//! Instances as slices of this host: one agent each, containers as plain processes, targets behind a real balancer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use capstan_agent::metadata::Tokens;
use capstan_agent::{AddressBook, Agent, Command, InstanceOptions, ProcessRuntime, TaskSpec};
use capstan_balancer::{Balancer, Handle};
use capstan_engine::ecs::{InstanceIndex, TaskIndex};
use capstan_engine::{Caller, Effect, Engine, Fact, HealthReport, Input};
use capstan_model::{Hex32, InstanceId, Span, Time};
use capstan_shapes::ecs as shapes;
use capstan_simulator::{Surroundings, registration};
use tokio::sync::mpsc;

use crate::clock::Running;
use crate::slice::Slice;
use crate::{Control, Error, Options, balancing, log_driver, usage};

/// A slice boots at once; a moment of the engine's time is left so that `pending` can be seen (ours).
const BOOT: Span = Span::from_secs(2);
/// From `running` to the agent's registration.
const AGENT: Span = Span::from_secs(3);
const SHUT_DOWN: Span = Span::from_secs(2);
/// An instance that still dies is looked at again so much later.
const DYING: Span = Span::from_millis(100);
/// Credentials of an instance's role are renewed long before they end.
const RENEWAL: Span = Span::from_hours(1);

pub(crate) struct ProcessHosts {
    runtime: capstan_agent::Runtime,
    addresses: AddressBook,
    slices: BTreeMap<InstanceId, Slice>,
    /// Agents of instances that lost their power, until nothing of them runs.
    dying: BTreeMap<InstanceId, Agent>,
    tokens: Tokens,
    clock: Running,
    /// Set by `connect`.
    control: Option<Control>,
    balancer: Arc<Handle>,
    time_scale: u32,
    queue: BTreeMap<(Time, u64), Happening>,
    decided: u64,
    events: mpsc::UnboundedSender<capstan_agent::Event>,
    /// Taken by `connect`.
    reports: Option<Reports>,
    /// What load balancers serve has changed since the latest snapshot.
    stale: bool,
}

struct Reports {
    agents: mpsc::UnboundedReceiver<capstan_agent::Event>,
    balancer: mpsc::UnboundedReceiver<capstan_balancer::Report>,
    /// For the `awslogs` driver.
    printed: mpsc::Receiver<capstan_agent::ForwardedLine>,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    AgentGone(InstanceId),
    AgentRegisters(InstanceId),
    CredentialsAge(InstanceId),
    InstanceGone(InstanceId),
    InstanceRuns(InstanceId),
    InstanceStopped(InstanceId),
}

impl std::fmt::Debug for ProcessHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessHosts")
            .field("slices", &self.slices.len())
            .field("queue", &self.queue)
            .finish()
    }
}

impl ProcessHosts {
    pub(crate) fn new(options: &Options, clock: &Running, tokens: &Tokens) -> Result<Self, Error> {
        let addresses = AddressBook::default();
        let runtime = capstan_agent::Options {
            capstan_exe: options.capstan_exe.clone(),
            state_dir: None,
            // Tasks find the API as the user's own shell does.
            environment: vec![("AWS_ENDPOINT_URL".to_owned(), options.config.endpoint.clone())],
        };
        let runtime = ProcessRuntime::new(runtime, addresses.clone()).map_err(Error::Runtime)?;
        let (lines, printed) = mpsc::channel(log_driver::LINES_MAX);
        runtime.forward_logs(lines);
        let runtime = capstan_agent::Runtime::Process(runtime);
        let time_scale = clock.clock().scale();
        let balancer = capstan_balancer::Options {
            time_scale,
            port_offset: Some(options.port_offset),
            ..capstan_balancer::Options::default()
        };
        let (reports, from_balancer) = mpsc::unbounded_channel();
        let balancer = Arc::new(Balancer::start(balancer, reports)?);
        let (events, from_agents) = mpsc::unbounded_channel();
        Ok(Self {
            runtime,
            addresses,
            slices: BTreeMap::new(),
            dying: BTreeMap::new(),
            tokens: tokens.clone(),
            clock: *clock,
            control: None,
            balancer,
            time_scale,
            queue: BTreeMap::new(),
            decided: 0,
            events,
            reports: Some(Reports { agents: from_agents, balancer: from_balancer, printed }),
            stale: false,
        })
    }

    pub(crate) fn balancer(&self) -> Arc<Handle> {
        self.balancer.clone()
    }

    /// Reports of agents and of the balancer go to the engine.
    pub(crate) fn connect(&mut self, control: Control) {
        let Some(Reports { mut agents, mut balancer, printed }) = self.reports.take() else { return };
        self.control = Some(control.clone());
        tokio::spawn(usage::report(self.runtime.clone(), control.clone()));
        tokio::spawn(log_driver::run(control.clone(), self.clock, printed));
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = agents.recv() => match event {
                        Some(event) => agent_inputs(event).into_iter().for_each(|input| control.input(input)),
                        None => return,
                    },
                    Some(report) = balancer.recv() => {
                        if let Some(fact) = balancer_fact(report) {
                            control.input(Input::Fact(fact));
                        }
                    }
                }
            }
        });
    }

    fn decide(&mut self, at: Time, happening: Happening) {
        self.decided += 1;
        self.queue.insert((at, self.decided), happening);
    }

    /// A new snapshot, when something has changed.
    pub(crate) fn flush(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.stale) {
            self.balancer.apply(&balancing::snapshot(engine, &self.addresses));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.slices.clear();
        let (runtime, balancer) = (self.runtime.clone(), self.balancer.clone());
        let (done, ended) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            runtime.shutdown().await;
            let _ = tokio::time::timeout(Duration::from_secs(5), balancer.shutdown()).await;
            let _ = done.send(());
        });
        let _ = ended.recv();
    }

    fn order(&self, instance: InstanceId, command: Command) {
        if let Some(agent) = self.slices.get(&instance).and_then(|slice| slice.agent.as_ref()) {
            agent.send(command);
        }
    }

    /// Takes the power from an instance: no new request goes there any more, then all that runs there is killed at once.
    fn power_off(&mut self, engine: &Engine, instance: InstanceId) {
        self.stale = true;
        self.flush(engine);
        // The agent hears of it first: it shall not report what dies now.
        if let Some(agent) = self.slices.remove(&instance).and_then(|slice| slice.agent) {
            agent.send(Command::Kill);
            self.dying.insert(instance, agent);
        }
        self.runtime.power_off(instance);
    }

    /// Whether nothing runs on an instance that has lost its power; if something does, it is looked at again later.
    fn is_dead(&mut self, now: Time, instance: InstanceId, again: Happening) -> bool {
        if self.dying.get(&instance).is_some_and(|agent| !agent.has_ended()) {
            self.decide(now + DYING, again);
            return false;
        }
        self.dying.remove(&instance);
        true
    }

    /// The agent of an instance comes up and registers.
    fn register(&mut self, engine: &Engine, instance: InstanceId) -> Option<Input> {
        let request = registration(engine, instance)?;
        let mut options = InstanceOptions { time_scale: self.time_scale, ..InstanceOptions::new(instance) };
        if let Some(timeout) = stop_timeout(engine, instance) {
            options.stop_timeout = timeout;
        }
        let agent = Agent::start(options, self.runtime.clone(), self.events.clone());
        for lost in lost_tasks(engine, instance) {
            agent.send(lost);
        }
        let slice = self.slices.entry(instance).or_default();
        slice.agent = Some(agent);
        let watches = engine.ec2().instances().get(&instance).is_some_and(|row| row.drains_on_notice());
        if let (true, Some(control)) = (watches, &self.control) {
            slice.watch(instance, control.clone(), self.time_scale);
        }
        Some(Input::Call { caller: Caller::Agent(instance), request: Box::new(request.into()) })
    }
}

impl Surroundings for ProcessHosts {
    fn next(&self) -> Option<Time> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    fn take(&mut self, now: Time, engine: &Engine, effect: Effect) {
        match effect {
            Effect::LaunchInstance { instance } => {
                self.decide(now + BOOT, Happening::InstanceRuns(instance));
                self.decide(now + BOOT + AGENT, Happening::AgentRegisters(instance));
            }
            Effect::InstanceMetadata { instance } => {
                if let Some(slice) = self.slices.get(&instance) {
                    slice.refresh(engine, instance);
                }
            }
            Effect::StopInstance { instance } => {
                self.power_off(engine, instance);
                self.decide(now, Happening::AgentGone(instance));
                self.decide(now + SHUT_DOWN, Happening::InstanceStopped(instance));
            }
            Effect::TerminateInstance { instance } => {
                self.power_off(engine, instance);
                self.decide(now + SHUT_DOWN, Happening::InstanceGone(instance));
            }
            Effect::RunTask { instance, task, generation } => {
                if let Some(mut spec) = task_spec(engine, instance, task, generation) {
                    spec.metadata_endpoint = self.slices.get(&instance).and_then(Slice::metadata_endpoint);
                    self.order(instance, Command::RunTask(Box::new(spec)));
                }
            }
            Effect::StopTask { instance, task, generation } => {
                // No target may get a request after its task was told to stop.
                self.flush(engine);
                if let Some(row) = engine.ecs().tasks().get(&task) {
                    let (arn, reason) =
                        (engine.ecs().task_arn(engine.config(), row), row.stopped_reason.clone());
                    self.order(instance, Command::StopTask { task: arn, generation, reason });
                }
            }
            Effect::LoadBalancing { .. } => self.stale = true,
        }
    }

    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input> {
        loop {
            let entry = self.queue.first_entry()?;
            if entry.key().0 > now {
                return None;
            }
            let alive = |instance: &InstanceId| {
                engine.ec2().instances().get(instance).is_some_and(capstan_engine::ec2::Instance::is_alive)
            };
            let happening = entry.remove();
            match happening {
                Happening::AgentGone(instance) => {
                    return Some(Input::Fact(Fact::AgentConnection { instance, connected: false }));
                }
                Happening::InstanceGone(instance) => {
                    if self.is_dead(now, instance, happening) {
                        return Some(Input::Fact(Fact::InstanceTerminated { instance }));
                    }
                }
                Happening::InstanceStopped(instance) => {
                    if self.is_dead(now, instance, happening) {
                        return Some(Input::Fact(Fact::InstanceStopped { instance }));
                    }
                }
                Happening::InstanceRuns(instance) if alive(&instance) => {
                    let slice = Slice::boot(engine, instance, self.tokens.clone(), self.clock);
                    self.slices.insert(instance, slice);
                    self.decide(now + RENEWAL, Happening::CredentialsAge(instance));
                    return Some(Input::Fact(Fact::InstanceRunning { instance }));
                }
                Happening::AgentRegisters(instance) if alive(&instance) => {
                    if let Some(input) = self.register(engine, instance) {
                        return Some(input);
                    }
                }
                Happening::CredentialsAge(instance) => {
                    if let Some(slice) = self.slices.get(&instance) {
                        slice.refresh(engine, instance);
                        self.decide(now + RENEWAL, happening);
                    }
                }
                Happening::InstanceRuns(_) | Happening::AgentRegisters(_) => {}
            }
        }
    }
}

/// Orders about tasks that ECS believes to be on an instance whose agent starts: they went with the instance's power, and
/// the agent will say so.
fn lost_tasks(engine: &Engine, instance: InstanceId) -> Vec<Command> {
    let of_host = engine.ecs().instances().by(&InstanceIndex::Ec2(instance));
    let tasks = of_host.flat_map(|row| engine.ecs().tasks().by(&TaskIndex::Instance(row.id)));
    let order = |task: &capstan_engine::ecs::Task| Command::StopTask {
        task: engine.ecs().task_arn(engine.config(), task),
        generation: task.generation,
        reason: None,
    };
    tasks.map(order).collect()
}

/// `ECS_CONTAINER_STOP_TIMEOUT` of the instance's agent: seconds, or with a unit as Go writes it (`30s`, `2m`).
fn stop_timeout(engine: &Engine, instance: InstanceId) -> Option<Duration> {
    let config = engine.ec2().instances().get(&instance)?.agent_config();
    let text = config.get("ECS_CONTAINER_STOP_TIMEOUT")?;
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * unit))
}

/// What an agent is to run, from the task's row and its definition.
fn task_spec(engine: &Engine, instance: InstanceId, id: Hex32, generation: u64) -> Option<TaskSpec> {
    let task = engine.ecs().tasks().get(&id)?;
    let definition = engine.ecs().task_definitions().get(&task.definition)?;
    let size = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    let overrides = task.overrides.as_deref();
    let containers = definition.shape.container_definitions.iter().flatten();
    let row = engine.ec2().instances().get(&instance);
    Some(TaskSpec {
        arn: engine.ecs().task_arn(engine.config(), task),
        family: task.definition.family.to_string(),
        revision: u32::try_from(task.definition.revision).unwrap_or_default(),
        cluster: task.cluster.to_string(),
        service: task.service.as_ref().map(|service| service.name.to_string()).unwrap_or_default(),
        instance,
        availability_zone: task.zone.as_deref().unwrap_or_default().to_owned(),
        capacity_provider: task.provider.as_deref().unwrap_or_default().to_owned(),
        lifecycle: row.map_or("", capstan_engine::ec2::Instance::lifecycle).to_owned(),
        private_ip: task.ip.as_deref().and_then(|ip| ip.parse().ok()),
        metadata_endpoint: None,
        cpu: overrides.and_then(|o| size(&o.cpu)).or_else(|| size(&definition.shape.cpu)),
        memory: overrides.and_then(|o| size(&o.memory)).or_else(|| size(&definition.shape.memory)),
        containers: containers
            .map(|container| capstan_agent::ContainerSpec {
                log_destination: log_driver::destination(container, &id.to_string()),
                ..container_spec(container, overrides)
            })
            .collect(),
        generation,
    })
}

fn container_spec(
    container: &shapes::ContainerDefinition,
    overrides: Option<&shapes::TaskOverride>,
) -> capstan_agent::ContainerSpec {
    let own = overrides.and_then(|overrides| {
        overrides.container_overrides.as_ref()?.iter().find(|entry| entry.name == container.name)
    });
    let seconds = |value: Option<i32>| value.and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs);
    let pairs = |list: Option<&Vec<shapes::KeyValuePair>>| -> Vec<(String, String)> {
        let pair =
            |pair: &shapes::KeyValuePair| Some((pair.name.clone()?, pair.value.clone().unwrap_or_default()));
        list.into_iter().flatten().filter_map(pair).collect()
    };
    let mut environment = pairs(container.environment.as_ref());
    environment.extend(pairs(own.and_then(|own| own.environment.as_ref())));
    let port = |value: Option<i32>| value.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let mappings = container.port_mappings.iter().flatten().map(|mapping| capstan_agent::PortMapping {
        container_port: port(mapping.container_port),
        host_port: port(mapping.host_port),
        protocol: match mapping.protocol {
            Some(shapes::TransportProtocol::Udp) => capstan_agent::Protocol::Udp,
            _ => capstan_agent::Protocol::Tcp,
        },
        name: mapping.name.clone(),
    });
    let depends_on = container.depends_on.iter().flatten().map(|dependency| capstan_agent::Dependency {
        container_name: dependency.container_name.clone(),
        condition: match dependency.condition {
            shapes::ContainerCondition::Start => capstan_agent::Condition::Start,
            shapes::ContainerCondition::Complete => capstan_agent::Condition::Complete,
            shapes::ContainerCondition::Success => capstan_agent::Condition::Success,
            shapes::ContainerCondition::Healthy => capstan_agent::Condition::Healthy,
        },
    });
    let or =
        |value: Option<i32>, default: u64| seconds(value).unwrap_or_else(|| Duration::from_secs(default));
    capstan_agent::ContainerSpec {
        entry_point: container.entry_point.clone().unwrap_or_default(),
        command: own
            .and_then(|own| own.command.clone())
            .or_else(|| container.command.clone())
            .unwrap_or_default(),
        environment,
        working_directory: container.working_directory.clone(),
        cpu: i64::from(own.and_then(|own| own.cpu).or(container.cpu).unwrap_or_default()),
        memory: own.and_then(|own| own.memory).or(container.memory).map(i64::from),
        memory_reservation: own
            .and_then(|own| own.memory_reservation)
            .or(container.memory_reservation)
            .map(i64::from),
        essential: container.essential.unwrap_or(true),
        port_mappings: mappings.collect(),
        stop_timeout: seconds(container.stop_timeout),
        start_timeout: seconds(container.start_timeout),
        // Defaults of ECS model HealthCheck.
        health_check: container.health_check.as_ref().map(|check| capstan_agent::HealthCheck {
            command: check.command.clone(),
            interval: or(check.interval, 30),
            timeout: or(check.timeout, 5),
            retries: u32::try_from(check.retries.unwrap_or(3)).unwrap_or(3),
            start_period: or(check.start_period, 0),
        }),
        depends_on: depends_on.collect(),
        restart_policy: container.restart_policy.as_ref().filter(|policy| policy.enabled).map(|policy| {
            capstan_agent::RestartPolicy {
                ignored_exit_codes: policy.ignored_exit_codes.clone().unwrap_or_default(),
                attempt_period: or(policy.restart_attempt_period, 300),
            }
        }),
        ..capstan_agent::ContainerSpec::new(
            container.name.clone().unwrap_or_default(),
            container.image.clone().unwrap_or_default(),
        )
    }
}

/// An agent's event as the API calls that it stands for; health goes by a fact, as the stock agent's telemetry does.
fn agent_inputs(event: capstan_agent::Event) -> Vec<Input> {
    let (instance, task, containers) = match &event {
        capstan_agent::Event::Task(change) => {
            (change.instance, change.task.clone(), change.containers.clone())
        }
        capstan_agent::Event::Container(change) => {
            (change.instance, change.task.clone(), vec![change.container.clone()])
        }
    };
    let cluster = task.rsplit('/').nth(1).map(str::to_owned);
    let id = task.rsplit('/').next().and_then(|id| id.parse::<Hex32>().ok());
    let (status, reason) = match &event {
        capstan_agent::Event::Task(change) => {
            (Some(change.status.as_str().to_owned()), change.reason.clone())
        }
        capstan_agent::Event::Container(_) => (None, None),
    };
    let mut inputs = Vec::new();
    let request = shapes::SubmitTaskStateChangeRequest {
        cluster,
        task: Some(task),
        status,
        reason,
        containers: Some(containers.iter().map(container_change).collect()),
        ..shapes::SubmitTaskStateChangeRequest::default()
    };
    inputs.push(Input::Call { caller: Caller::Agent(instance), request: Box::new(request.into()) });
    for container in containers {
        let healthy = match container.health {
            capstan_agent::HealthStatus::Healthy => true,
            capstan_agent::HealthStatus::Unhealthy => false,
            capstan_agent::HealthStatus::Unknown => continue,
        };
        let Some(task) = id else { continue };
        inputs.push(Input::Fact(Fact::ContainerHealth { task, container: container.name, healthy }));
    }
    inputs
}

fn container_change(container: &capstan_agent::ContainerState) -> shapes::ContainerStateChange {
    let bindings = container.network_bindings.iter().map(|binding| shapes::NetworkBinding {
        bind_ip: Some(binding.bind_ip.clone()),
        container_port: Some(i32::from(binding.container_port)),
        host_port: Some(i32::from(binding.host_port)),
        protocol: shapes::TransportProtocol::parse(binding.protocol.as_str()),
        ..shapes::NetworkBinding::default()
    });
    shapes::ContainerStateChange {
        container_name: Some(container.name.clone()),
        runtime_id: container.runtime_id.clone(),
        status: Some(container.status.as_str().to_owned()),
        exit_code: container.exit_code,
        reason: container.reason.clone(),
        network_bindings: Some(bindings.collect()),
        ..shapes::ContainerStateChange::default()
    }
}

fn balancer_fact(report: capstan_balancer::Report) -> Option<Fact> {
    use capstan_balancer::{Health, Report};
    match report {
        Report::TargetHealth { target_group_arn, target_id, port, health } => {
            let health = match health {
                Health::Healthy => HealthReport::Healthy,
                Health::Unhealthy { reason, description } => {
                    HealthReport::Unhealthy { reason: reason.to_owned(), description }
                }
            };
            Some(Fact::TargetHealth { target_group: target_group_arn, target: target_id, port, health })
        }
        Report::ListenerBound { load_balancer_arn, port, address } => {
            tracing::info!(load_balancer_arn, port, %address, "load balancer answers");
            None
        }
        Report::ListenerFailed { load_balancer_arn, port, reason } => {
            tracing::warn!(
                load_balancer_arn,
                port,
                reason,
                "load balancer cannot listen; it is reached by its name at the API's port"
            );
            None
        }
    }
}
