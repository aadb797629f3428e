//! The agent of one container instance: drives the state machines of its tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use capstan_model::{InstanceId, Resources};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::event::{Event, TaskStateChange, TaskStatus};
use crate::machine::{Action, Input, Limits, Machine};
use crate::runtime::Runtime;
use crate::spec::TaskSpec;

/// Tasks that are over are remembered, so that late orders about them are understood; this many for each instance.
const STOPPED_TASKS_KEPT: usize = 1_000;
/// Real time that a process always has between SIGTERM and SIGKILL, however fast the clock runs.
const LEAST_STOP_TIMEOUT: Duration = Duration::from_millis(100);
/// Real time that a health check always has.
const LEAST_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct InstanceOptions {
    pub instance: InstanceId,
    /// Divides every wait; 1 is real time. Stop time-outs never fall below 100 ms and health checks below 1 s of real
    /// time, since processes do not run faster.
    pub time_scale: u32,
    /// `ECS_CONTAINER_STOP_TIMEOUT`; less than 1 s counts as 1 s (agent, config).
    pub stop_timeout: Duration,
}

impl InstanceOptions {
    /// The stock agent's defaults.
    pub const fn new(instance: InstanceId) -> Self {
        Self { instance, time_scale: 1, stop_timeout: Duration::from_secs(30) }
    }
}

/// An order to an agent. Safe to repeat: what is already done or on its way is not done again.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a task. For a known task: ignored in the same generation, refused in an older one; in a newer one the agent
    /// reports where the task stands.
    RunTask(Box<TaskSpec>),
    /// Stop a task, by ARN. One that is over or unknown is answered STOPPED. Refused in a generation older than the
    /// task's.
    StopTask { task: String, generation: u64, reason: Option<String> },
    /// The instance shuts down in order: all tasks are stopped and reported, then the agent ends.
    Shutdown,
    /// The instance loses its power: everything is killed at once, nothing is reported, the agent ends.
    Kill,
}

/// What the tasks of an instance take, as their definitions say. Counted, not enforced: an instance is a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tasks: usize,
    pub resources: Resources,
}

/// The handle of an agent. Dropping it is [`Command::Kill`].
#[derive(Debug)]
pub struct Agent {
    commands: mpsc::UnboundedSender<Command>,
    usage: watch::Receiver<Usage>,
}

impl Agent {
    /// Starts the agent on the tokio runtime around it. Agents may share one event channel; the events of one task keep
    /// their order.
    pub fn start(options: InstanceOptions, runtime: Runtime, events: mpsc::UnboundedSender<Event>) -> Self {
        runtime.power_on(options.instance);
        let (commands, orders) = mpsc::unbounded_channel();
        let (reports, inbox) = mpsc::unbounded_channel();
        let (published, usage) = watch::channel(Usage::default());
        let scale = options.time_scale.max(1);
        let driver = Driver {
            limits: Limits {
                stop_timeout: options.stop_timeout.max(Duration::from_secs(1)),
                least_stop_timeout: LEAST_STOP_TIMEOUT * scale,
            },
            instance: options.instance,
            scale,
            origin: Instant::now(),
            runtime,
            events,
            reports,
            machines: BTreeMap::new(),
            over: VecDeque::new(),
            closing: false,
            published,
        };
        tokio::spawn(driver.run(orders, inbox));
        Self { commands, usage }
    }

    /// Gives an order; without effect once the agent has ended.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    pub fn usage(&self) -> Usage {
        *self.usage.borrow()
    }

    /// Whether the agent has ended, after [`Command::Shutdown`] or [`Command::Kill`], and nothing of it runs.
    pub fn has_ended(&self) -> bool {
        self.usage.has_changed().is_err()
    }

    /// Answers when the agent has ended, after [`Command::Shutdown`] or [`Command::Kill`], and nothing of it runs.
    pub async fn ended(&mut self) {
        while self.usage.changed().await.is_ok() {}
    }
}

/// News from a container, for the machine of its task.
type Report = (String, Input);

struct Driver {
    instance: InstanceId,
    limits: Limits,
    scale: u32,
    origin: Instant,
    runtime: Runtime,
    events: mpsc::UnboundedSender<Event>,
    reports: mpsc::UnboundedSender<Report>,
    machines: BTreeMap<String, Task>,
    /// Tasks that are over, oldest first.
    over: VecDeque<String>,
    closing: bool,
    published: watch::Sender<Usage>,
}

enum Task {
    Known(Box<Machine>),
    /// Told to stop before it was told to run.
    Refused {
        generation: u64,
    },
}

impl Driver {
    async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Command>,
        mut inbox: mpsc::UnboundedReceiver<Report>,
    ) {
        while !(self.closing && self.machines().all(Machine::is_over)) {
            let deadline = self.machines().filter_map(Machine::next_deadline).min();
            let wake = deadline.map(|at| self.real(at));
            let at_deadline = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Orders first: after a `Kill` nothing is reported.
                biased;
                order = orders.recv() => match order {
                    Some(Command::RunTask(spec)) => self.run_task(Arc::new(*spec)),
                    Some(Command::StopTask { task, generation, reason }) => {
                        self.stop_task(task, generation, reason);
                    }
                    Some(Command::Shutdown) => self.shut_down(),
                    Some(Command::Kill) | None => {
                        self.runtime.kill_instance(self.instance).await;
                        break;
                    }
                },
                Some((task, input)) = inbox.recv() => self.step(&task, input),
                () = at_deadline => self.tick(),
            }
        }
        for machine in self.machines().filter(|machine| !machine.is_over()) {
            self.runtime.close(&machine.spec().arn);
        }
    }

    fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().filter_map(|task| match task {
            Task::Known(machine) => Some(&**machine),
            Task::Refused { .. } => None,
        })
    }

    /// ECS time since the agent started.
    fn now(&self) -> Duration {
        self.origin.elapsed() * self.scale
    }

    /// The real moment of an ECS time, not before it.
    fn real(&self, at: Duration) -> Instant {
        self.origin + at / self.scale + Duration::from_nanos(1)
    }

    fn run_task(&mut self, spec: Arc<TaskSpec>) {
        let task = spec.arn.clone();
        let generation = spec.generation;
        match self.machines.get(&task) {
            Some(Task::Known(machine)) if generation > machine.generation() => {
                return self.step(&task, Input::Restate { generation });
            }
            Some(Task::Known(machine)) => {
                let known = machine.generation();
                return tracing::debug!(%task, generation, known, "not run again");
            }
            Some(Task::Refused { generation: stopped }) if generation <= *stopped => {
                return tracing::debug!(%task, generation, stopped, "not run: it was stopped before");
            }
            Some(Task::Refused { .. }) | None => {}
        }
        if spec.instance != self.instance {
            let reason = format!("The task was sent to {}, not to {}.", self.instance, spec.instance);
            return self.report_unknown(task, generation, Some(reason));
        }
        if self.closing {
            return self.report_unknown(task, generation, Some(self.host_ends()));
        }
        let machine = Box::new(Machine::new(spec, self.limits));
        self.machines.insert(task.clone(), Task::Known(machine));
        self.step(&task, Input::Tick);
    }

    fn stop_task(&mut self, task: String, generation: u64, reason: Option<String>) {
        match self.machines.get_mut(&task) {
            Some(Task::Known(machine)) if generation < machine.generation() => {
                let known = machine.generation();
                tracing::debug!(%task, generation, known, "not stopped: the order is stale");
            }
            Some(Task::Known(machine)) => {
                machine.adopt(generation);
                let over = machine.is_over();
                self.step(&task, if over { Input::Restate { generation } } else { Input::Stop { reason } });
            }
            Some(Task::Refused { generation: known }) if generation < *known => {}
            Some(Task::Refused { .. }) | None => {
                let refused = Task::Refused { generation };
                if self.machines.insert(task.clone(), refused).is_none() {
                    self.remember(task.clone());
                }
                self.report_unknown(task, generation, reason);
            }
        }
    }

    fn shut_down(&mut self) {
        self.closing = true;
        let tasks: Vec<String> = self.machines().map(|machine| machine.spec().arn.clone()).collect();
        for task in tasks {
            self.step(&task, Input::Stop { reason: Some(self.host_ends()) });
        }
    }

    /// ECS guide, stopped-task-error-codes.
    fn host_ends(&self) -> String {
        format!("Host EC2 (instance {}) terminated.", self.instance)
    }

    fn tick(&mut self) {
        let now = self.now();
        let due: Vec<String> = self
            .machines()
            .filter(|machine| machine.next_deadline().is_some_and(|at| at <= now))
            .map(|machine| machine.spec().arn.clone())
            .collect();
        for task in due {
            self.step(&task, Input::Tick);
        }
    }

    fn step(&mut self, task: &str, input: Input) {
        let now = self.now();
        let Some(Task::Known(machine)) = self.machines.get_mut(task) else { return };
        let was_over = machine.is_over();
        let actions = machine.step(now, input);
        let over = machine.is_over() && !was_over;
        let spec = machine.spec().clone();
        for action in actions {
            let Some(Task::Known(machine)) = self.machines.get(task) else { return };
            match action {
                Action::Start { container } => self.start(spec.clone(), container),
                Action::Probe { container, run } => self.probe(spec.clone(), container, run),
                Action::Terminate { container } => {
                    machine.runtime_id(container).into_iter().for_each(|id| self.runtime.terminate(id));
                }
                Action::Kill { container } => {
                    machine.runtime_id(container).into_iter().for_each(|id| self.runtime.kill(id));
                }
                Action::Report(event) => {
                    // Before the report, so that whoever reads it finds the room already counted.
                    self.publish_usage();
                    let _ = self.events.send(event);
                }
            }
        }
        if over {
            self.runtime.close(task);
            self.remember(task.to_owned());
        }
    }

    fn start(&self, spec: Arc<TaskSpec>, container: usize) {
        let (runtime, reports) = (self.runtime.clone(), self.reports.clone());
        tokio::spawn(async move {
            let report = |input| {
                let _ = reports.send((spec.arn.clone(), input));
            };
            let started = match runtime.start(&spec, container).await {
                Ok(started) => started,
                Err(error) => return report(Input::StartFailed { container, error: error.to_string() }),
            };
            // The runtime's last handle must not be this one, which waits for a container to end.
            drop(runtime);
            let (runtime_id, bindings) = (started.runtime_id, started.bindings);
            report(Input::Started { container, runtime_id, bindings });
            if let Ok(exit) = started.exit.await {
                report(Input::Exited { container, exit });
            }
        });
    }

    fn probe(&self, spec: Arc<TaskSpec>, container: usize, run: u32) {
        let (runtime, reports) = (self.runtime.clone(), self.reports.clone());
        let check = spec.containers[container].health_check.as_ref();
        let timeout = check.map_or(Duration::ZERO, |check| check.timeout) / self.scale;
        tokio::spawn(async move {
            let passed = runtime.probe(&spec, container, timeout.max(LEAST_PROBE_TIMEOUT)).await;
            let _ = reports.send((spec.arn.clone(), Input::Probed { container, run, passed }));
        });
    }

    fn remember(&mut self, task: String) {
        self.over.push_back(task);
        if self.over.len() > STOPPED_TASKS_KEPT
            && let Some(oldest) = self.over.pop_front()
        {
            self.machines.remove(&oldest);
        }
    }

    fn publish_usage(&self) {
        let mut usage = Usage::default();
        for machine in self.machines().filter(|machine| !machine.is_over()) {
            usage.tasks += 1;
            usage.resources = usage.resources + machine.spec().resources();
        }
        self.published.send_if_modified(|before| std::mem::replace(before, usage) != usage);
    }

    /// STOPPED for a task that never ran here.
    fn report_unknown(&self, task: String, generation: u64, reason: Option<String>) {
        let _ = self.events.send(Event::Task(TaskStateChange {
            instance: self.instance,
            task,
            generation,
            status: TaskStatus::Stopped,
            containers: Vec::new(),
            reason,
            stop_code: None,
        }));
    }
}
