//! The state machine of one task: in goes what happened, out comes what to do.
//!
//! Time is an argument (ECS time since the agent started; the driver bends it), the next deadline an answer. Sources:
//! ECS model, ContainerDefinition and ContainerCondition; ECS guide, task-lifecycle-explanation; where neither says,
//! the behaviour of the stock agent.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{
    ContainerState, ContainerStateChange, ContainerStatus, Event, HealthStatus, NetworkBinding, StopCode,
    TaskStateChange, TaskStatus,
};
use crate::runtime::Exit;
use crate::spec::{Condition, ContainerSpec, TaskSpec};

/// The reason of a task whose essential container ended by itself.
const ESSENTIAL_EXITED: &str = "Essential container in task exited";

/// Something happened. Containers are named by their place in the task definition; `run` counts a container's starts, so
/// that news of an earlier start is not taken for news of the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing but time.
    Tick,
    Started {
        container: usize,
        runtime_id: String,
        bindings: Vec<NetworkBinding>,
    },
    StartFailed {
        container: usize,
        error: String,
    },
    Exited {
        container: usize,
        exit: Exit,
    },
    Probed {
        container: usize,
        run: u32,
        passed: bool,
    },
    Stop {
        reason: Option<String>,
    },
    /// The control plane asks again, in a newer generation: adopt it and say where the task stands.
    Restate {
        generation: u64,
    },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start { container: usize },
    Probe { container: usize, run: u32 },
    Terminate { container: usize },
    Kill { container: usize },
    Report(Event),
}

/// The instance's part of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `ECS_CONTAINER_STOP_TIMEOUT`.
    pub(crate) stop_timeout: Duration,
    /// No stop time-out is shorter: a real process needs a moment, however fast the clock runs.
    pub(crate) least_stop_timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Machine {
    spec: Arc<TaskSpec>,
    limits: Limits,
    generation: u64,
    containers: Vec<Slot>,
    /// For each container the places of those that depend on it.
    dependents: Vec<Vec<usize>>,
    stop: Option<StopCause>,
    /// What was reported last.
    status: Option<TaskStatus>,
    reported: Vec<ContainerState>,
    restate: bool,
}

#[derive(Debug)]
struct StopCause {
    reason: Option<String>,
    code: Option<StopCode>,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    runs: u32,
    runtime_id: Option<String>,
    bindings: Vec<NetworkBinding>,
    exit_code: Option<i32>,
    reason: Option<String>,
    health: HealthStatus,
    failures: u32,
    /// When it started for the first time.
    started_at: Option<Duration>,
    /// When it started last.
    run_since: Duration,
    next_probe: Option<Duration>,
    /// When SIGTERM turns into SIGKILL; set once SIGTERM was sent.
    kill_at: Option<Duration>,
    killed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Starting,
    Running,
    Stopped,
}

/// How a dependency stands.
enum Wait {
    Over,
    Until(Option<Duration>),
    Never(String),
}

impl Machine {
    pub(crate) fn new(spec: Arc<TaskSpec>, limits: Limits) -> Self {
        let place = |name: &str| spec.containers.iter().position(|c| c.name == name);
        let mut dependents = vec![Vec::new(); spec.containers.len()];
        for (index, container) in spec.containers.iter().enumerate() {
            for on in container.depends_on.iter().filter_map(|d| place(&d.container_name)) {
                dependents[on].push(index);
            }
        }
        let containers = spec.containers.iter().map(|_| Slot::new()).collect();
        Self {
            generation: spec.generation,
            spec,
            limits,
            containers,
            dependents,
            stop: None,
            status: None,
            reported: Vec::new(),
            restate: false,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Reports carry this generation from now on, unless a newer one is known.
    pub(crate) fn adopt(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    pub(crate) fn spec(&self) -> &Arc<TaskSpec> {
        &self.spec
    }

    pub(crate) fn runtime_id(&self, container: usize) -> Option<&str> {
        self.containers.get(container)?.runtime_id.as_deref()
    }

    /// Nothing of the task is left, and that has been reported.
    pub(crate) fn is_over(&self) -> bool {
        self.status == Some(TaskStatus::Stopped)
    }

    /// When to call again with [`Input::Tick`], if nothing else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let slots = self.containers.iter().filter(|slot| slot.phase == Phase::Running);
        let kills = slots.clone().filter(|slot| !slot.killed).filter_map(|slot| slot.kill_at);
        let probes = slots.filter(|_| self.stop.is_none()).filter_map(|slot| slot.next_probe);
        let waits = self
            .containers
            .iter()
            .zip(&self.spec.containers)
            .filter(|(slot, _)| slot.phase == Phase::Waiting && self.stop.is_none())
            .filter_map(|(_, container)| match self.wait(container, Duration::ZERO) {
                Wait::Until(deadline) => deadline,
                Wait::Over | Wait::Never(_) => None,
            });
        kills.chain(probes).chain(waits).min()
    }

    /// Takes one input; what to do about it, in order.
    #[must_use]
    pub(crate) fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Tick => {}
            Input::Started { container, runtime_id, bindings } => {
                self.started(now, container, runtime_id, bindings);
            }
            Input::StartFailed { container, error } => self.start_failed(container, error),
            Input::Exited { container, exit } => self.exited(now, container, &exit, &mut actions),
            Input::Probed { container, run, passed } => self.probed(now, container, run, passed),
            Input::Stop { reason } => self.stop(reason, None),
            Input::Restate { generation } => {
                self.adopt(generation);
                self.restate = true;
            }
        }
        if self.stop.is_none() {
            self.start_what_can(now, &mut actions);
            self.probe_what_is_due(now, &mut actions);
        }
        // Not `else`: starting may have found out that the task cannot go on.
        if self.stop.is_some() {
            self.stop_what_can(now, &mut actions);
        }
        self.report(&mut actions);
        actions
    }

    fn started(&mut self, now: Duration, container: usize, id: String, bindings: Vec<NetworkBinding>) {
        let Some(slot) = self.containers.get_mut(container) else { return };
        slot.phase = Phase::Running;
        slot.runtime_id = Some(id);
        slot.bindings = bindings;
        slot.exit_code = None;
        slot.started_at = slot.started_at.or(Some(now));
        slot.run_since = now;
        slot.health = HealthStatus::Unknown;
        slot.failures = 0;
        let check = self.spec.containers[container].health_check.as_ref().filter(|check| check.is_active());
        slot.next_probe = check.map(|check| now + check.interval);
    }

    fn start_failed(&mut self, container: usize, error: String) {
        let Some(slot) = self.containers.get_mut(container) else { return };
        slot.phase = Phase::Stopped;
        slot.reason = Some(error.clone());
        if self.spec.containers[container].essential {
            // A restart may fail too; the task as such had started then.
            let ran = self.status == Some(TaskStatus::Running);
            let code = if ran { StopCode::EssentialContainerExited } else { StopCode::TaskFailedToStart };
            self.stop(Some(error), Some(code));
        }
    }

    fn exited(&mut self, now: Duration, container: usize, exit: &Exit, actions: &mut Vec<Action>) {
        let Some(slot) = self.containers.get_mut(container) else { return };
        let spec = &self.spec.containers[container];
        slot.exit_code = Some(exit.code);
        slot.reason = exit.reason.clone();
        slot.next_probe = None;
        let again = spec.restart_policy.as_ref().is_some_and(|policy| {
            self.stop.is_none()
                && !policy.ignored_exit_codes.contains(&exit.code)
                && now.saturating_sub(slot.run_since) >= policy.attempt_period
        });
        if again {
            slot.start(container, actions);
            return;
        }
        slot.phase = Phase::Stopped;
        if spec.essential {
            self.stop(Some(ESSENTIAL_EXITED.into()), Some(StopCode::EssentialContainerExited));
        }
    }

    /// Counts as Docker does: a success ends the start period, failures within it do not count.
    fn probed(&mut self, now: Duration, container: usize, run: u32, passed: bool) {
        let Some(slot) = self.containers.get_mut(container) else { return };
        let Some(check) = &self.spec.containers[container].health_check else { return };
        if slot.runs != run || slot.phase != Phase::Running {
            return;
        }
        slot.next_probe = Some(now + check.interval);
        if passed {
            slot.failures = 0;
            slot.health = HealthStatus::Healthy;
            return;
        }
        let starting = slot.health == HealthStatus::Unknown && now < slot.run_since + check.start_period;
        if !starting {
            slot.failures = slot.failures.saturating_add(1);
            if slot.failures >= check.retries {
                slot.health = HealthStatus::Unhealthy;
            }
        }
    }

    /// The first cause stays.
    fn stop(&mut self, reason: Option<String>, code: Option<StopCode>) {
        if self.stop.is_none() {
            self.stop = Some(StopCause { reason, code });
        }
    }

    fn start_what_can(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for index in 0..self.containers.len() {
            if self.containers[index].phase != Phase::Waiting {
                continue;
            }
            match self.wait(&self.spec.containers[index], now) {
                Wait::Over => self.containers[index].start(index, actions),
                Wait::Until(_) => {}
                Wait::Never(why) => {
                    self.containers[index].reason = Some(why.clone());
                    return self.stop(Some(why), Some(StopCode::TaskFailedToStart));
                }
            }
        }
        let in_phase = |phase| self.containers.iter().filter(|slot| slot.phase == phase).count();
        let waiting = in_phase(Phase::Waiting);
        if waiting + in_phase(Phase::Stopped) < self.containers.len() {
            return;
        }
        if waiting > 0 || self.containers.is_empty() {
            let why = if waiting > 0 {
                "The dependsOn conditions of the task's containers wait for each other."
            } else {
                "The task has no containers."
            };
            self.stop(Some(why.into()), Some(StopCode::TaskFailedToStart));
        } else {
            // Only possible without an essential container, which task definitions must have.
            self.stop(Some(ESSENTIAL_EXITED.into()), Some(StopCode::EssentialContainerExited));
        }
    }

    /// How the dependencies of a container stand. Its own start time-out does not count: the time-out of the container
    /// that it waits for does (ECS model, ContainerDefinition.startTimeout).
    fn wait(&self, container: &ContainerSpec, now: Duration) -> Wait {
        let mut deadline: Option<Duration> = None;
        let mut waits = false;
        for dependency in &container.depends_on {
            let name = &dependency.container_name;
            let Some(place) = self.spec.containers.iter().position(|c| c.name == *name) else {
                return Wait::Never(format!(
                    "Container {} depends on {name}, which the task does not have.",
                    container.name
                ));
            };
            let (slot, on) = (&self.containers[place], &self.spec.containers[place]);
            let ran = slot.started_at.is_some();
            let stopped = slot.phase == Phase::Stopped;
            let (over, never) = match dependency.condition {
                Condition::Start => (ran, stopped && !ran),
                Condition::Complete => (ran && stopped, stopped && !ran),
                Condition::Success => (ran && stopped && slot.exit_code == Some(0), stopped),
                Condition::Healthy => {
                    let checked = on.health_check.as_ref().is_some_and(|check| check.is_active());
                    (
                        slot.phase == Phase::Running && slot.health == HealthStatus::Healthy,
                        stopped || !checked,
                    )
                }
            };
            if over {
                continue;
            }
            let condition = dependency.condition.as_str();
            let timeout = on.start_timeout.filter(|_| dependency.condition != Condition::Start);
            let give_up = slot.started_at.zip(timeout).map(|(since, timeout)| since + timeout);
            if never {
                let how = match slot.exit_code {
                    Some(code) => format!("it exited with code {code}"),
                    None if stopped => "it did not start".into(),
                    None => "it has no health check".into(),
                };
                return Wait::Never(format!(
                    "Container {} waits for {name} to reach {condition}, which cannot happen any more: {how}.",
                    container.name
                ));
            }
            if give_up.is_some_and(|at| at <= now) {
                return Wait::Never(format!(
                    "Container {} waited for {name} to reach {condition}, which did not happen within its start timeout \
                     of {} seconds.",
                    container.name,
                    timeout.unwrap_or_default().as_secs()
                ));
            }
            waits = true;
            deadline = [deadline, give_up].into_iter().flatten().min();
        }
        if waits { Wait::Until(deadline) } else { Wait::Over }
    }

    fn probe_what_is_due(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for (container, slot) in self.containers.iter_mut().enumerate() {
            if slot.phase == Phase::Running && slot.next_probe.is_some_and(|at| at <= now) {
                slot.next_probe = None;
                actions.push(Action::Probe { container, run: slot.runs });
            }
        }
    }

    /// A container is told to stop once all that depend on it have stopped.
    fn stop_what_can(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for slot in &mut self.containers {
            slot.next_probe = None;
            if slot.phase == Phase::Waiting {
                slot.phase = Phase::Stopped;
            }
        }
        for container in 0..self.containers.len() {
            let mut dependents = self.dependents[container].iter();
            let free = dependents.all(|index| self.containers[*index].phase == Phase::Stopped);
            let timeout = self.spec.containers[container].stop_timeout.unwrap_or(self.limits.stop_timeout);
            let slot = &mut self.containers[container];
            if slot.phase != Phase::Running {
                continue;
            }
            match slot.kill_at {
                None if free => {
                    slot.kill_at = Some(now + timeout.max(self.limits.least_stop_timeout));
                    actions.push(Action::Terminate { container });
                }
                Some(at) if at <= now && !slot.killed => {
                    slot.killed = true;
                    actions.push(Action::Kill { container });
                }
                None | Some(_) => {}
            }
        }
    }

    fn report(&mut self, actions: &mut Vec<Action>) {
        let states: Vec<ContainerState> =
            self.containers.iter().zip(&self.spec.containers).map(|(slot, spec)| slot.state(spec)).collect();
        let all = |test: fn(Phase) -> bool| self.containers.iter().all(|slot| test(slot.phase));
        let reached = if all(|phase| phase == Phase::Stopped) && self.stop.is_some() {
            TaskStatus::Stopped
        } else if all(|phase| matches!(phase, Phase::Running | Phase::Stopped)) && self.stop.is_none() {
            TaskStatus::Running
        } else {
            TaskStatus::Pending
        };
        // A restarting container does not take its task back.
        let status = self.status.map_or(reached, |before| before.max(reached));
        let instance = self.spec.instance;
        let task = || self.spec.arn.clone();
        if self.restate || self.status != Some(status) {
            let cause = self.stop.as_ref();
            actions.push(Action::Report(Event::Task(TaskStateChange {
                instance,
                task: task(),
                generation: self.generation,
                status,
                containers: states.clone(),
                reason: cause.and_then(|cause| cause.reason.clone()),
                stop_code: cause.and_then(|cause| cause.code),
            })));
        } else {
            let changed = states.iter().zip(&self.reported).filter(|(state, before)| state != before);
            for (container, _) in changed.filter(|(state, _)| state.status != ContainerStatus::Pending) {
                actions.push(Action::Report(Event::Container(ContainerStateChange {
                    instance,
                    task: task(),
                    generation: self.generation,
                    container: container.clone(),
                })));
            }
        }
        self.restate = false;
        self.status = Some(status);
        self.reported = states;
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            runs: 0,
            runtime_id: None,
            bindings: Vec::new(),
            exit_code: None,
            reason: None,
            health: HealthStatus::Unknown,
            failures: 0,
            started_at: None,
            run_since: Duration::ZERO,
            next_probe: None,
            kill_at: None,
            killed: false,
        }
    }

    fn start(&mut self, container: usize, actions: &mut Vec<Action>) {
        self.phase = Phase::Starting;
        self.runs += 1;
        actions.push(Action::Start { container });
    }

    fn state(&self, spec: &ContainerSpec) -> ContainerState {
        ContainerState {
            name: spec.name.clone(),
            runtime_id: self.runtime_id.clone(),
            status: match self.phase {
                Phase::Waiting | Phase::Starting => ContainerStatus::Pending,
                Phase::Running => ContainerStatus::Running,
                Phase::Stopped => ContainerStatus::Stopped,
            },
            exit_code: self.exit_code,
            reason: self.reason.clone(),
            network_bindings: self.bindings.clone(),
            health: self.health,
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod scripts;
