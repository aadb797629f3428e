//! Whatever happens, in whatever order: a world that obeys the machine's actions at random speed, and rules that no step
//! may break.

use proptest::prelude::*;

use super::*;
use crate::spec::{Dependency, HealthCheck, RestartPolicy};
use capstan_model::InstanceId;

/// What a real host would know about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Real {
    Never,
    Starting,
    Runs { told: bool, killed: bool },
    Gone,
}

fn specs() -> impl Strategy<Value = TaskSpec> {
    let condition = prop_oneof![
        Just(Condition::Start),
        Just(Condition::Complete),
        Just(Condition::Success),
        Just(Condition::Healthy)
    ];
    let dependencies = prop::collection::vec((0usize..5, condition), 0..3);
    let container = (any::<bool>(), dependencies, any::<bool>(), any::<bool>(), prop::option::of(1u64..50));
    prop::collection::vec(container, 0..5).prop_map(|containers| TaskSpec {
        arn: "task/t".into(),
        family: "f".into(),
        revision: 1,
        cluster: "c".into(),
        service: String::new(),
        instance: InstanceId(1),
        availability_zone: String::new(),
        capacity_provider: String::new(),
        lifecycle: String::new(),
        private_ip: None,
        metadata_endpoint: None,
        cpu: None,
        memory: None,
        generation: 1,
        containers: containers
            .into_iter()
            .enumerate()
            .map(|(index, (essential, dependencies, checked, restarts, start_timeout))| ContainerSpec {
                essential,
                // Mostly on earlier ones, sometimes in circles or on one that is not there.
                depends_on: dependencies
                    .into_iter()
                    .map(|(on, condition)| Dependency { container_name: format!("c{on}"), condition })
                    .collect(),
                health_check: checked.then(|| HealthCheck {
                    command: vec!["CMD".into(), "true".into()],
                    interval: Duration::from_secs(10),
                    timeout: Duration::from_secs(5),
                    retries: 2,
                    start_period: Duration::from_secs(3),
                }),
                restart_policy: restarts.then(|| RestartPolicy {
                    ignored_exit_codes: vec![0],
                    attempt_period: Duration::from_secs(20),
                }),
                start_timeout: start_timeout.map(Duration::from_secs),
                ..ContainerSpec::new(format!("c{index}"), "image")
            })
            .collect(),
    })
}

struct World {
    machine: Machine,
    now: Duration,
    real: Vec<Real>,
    /// Health checks that run: container and run.
    probes: Vec<(usize, u32)>,

    last: Option<TaskStatus>,
}

impl World {
    fn step(&mut self, input: Input) {
        for action in self.machine.step(self.now, input) {
            self.obey(action);
        }
    }

    fn obey(&mut self, action: Action) {
        assert!(self.last != Some(TaskStatus::Stopped), "after the end: {action:?}");
        match action {
            Action::Start { container } => {
                assert!(
                    matches!(self.real[container], Real::Never | Real::Gone),
                    "{:?}",
                    self.real[container]
                );
                self.real[container] = Real::Starting;
            }
            Action::Terminate { container } => {
                let Real::Runs { told: false, killed: false } = self.real[container] else {
                    panic!("TERM for {:?}", self.real[container])
                };
                self.real[container] = Real::Runs { told: true, killed: false };
                let dependents =
                    self.machine.dependents[container].iter().filter(|other| **other != container);
                for other in dependents {
                    assert!(!matches!(self.real[*other], Real::Runs { .. }), "stopped before its dependents");
                }
            }
            Action::Kill { container } => {
                let Real::Runs { told: true, killed: false } = self.real[container] else {
                    panic!("KILL for {:?}", self.real[container])
                };
                self.real[container] = Real::Runs { told: true, killed: true };
            }
            Action::Probe { container, run } => {
                assert!(matches!(self.real[container], Real::Runs { told: false, .. }));
                assert!(!self.probes.contains(&(container, run)), "two at once");
                self.probes.push((container, run));
            }
            Action::Report(Event::Container(change)) => {
                assert_ne!(change.container.status, ContainerStatus::Pending);
            }
            Action::Report(Event::Task(change)) => {
                assert!(self.last.is_none_or(|last| last < change.status), "{:?} → {change:?}", self.last);
                if change.status == TaskStatus::Stopped {
                    let left =
                        self.real.iter().any(|real| matches!(real, Real::Starting | Real::Runs { .. }));
                    assert!(!left, "something is left: {:?}", self.real);
                    assert!(change.reason.is_some() && self.machine.is_over());
                }
                self.last = Some(change.status);
            }
        }
    }

    /// The world does one thing, which the number chooses.
    fn happen(&mut self, choice: u32) {
        let container = (choice as usize / 8) % self.real.len().max(1);
        let code = i32::from(choice & 64 != 0);
        match (choice % 8, self.real.get(container).copied()) {
            (0..=2, Some(Real::Starting)) => {
                if choice & 0x380 == 0 {
                    self.real[container] = Real::Gone;
                    self.step(Input::StartFailed { container, error: "no".into() });
                } else {
                    self.real[container] = Real::Runs { told: false, killed: false };
                    let runtime_id = format!("{choice}");
                    self.step(Input::Started { container, runtime_id, bindings: Vec::new() });
                }
            }
            (1, Some(Real::Runs { .. })) => self.exit(container, code),
            (2, Some(Real::Runs { told: true, .. })) => self.exit(container, 143),
            (3 | 4, _) if !self.probes.is_empty() => {
                let (container, run) = self.probes.remove(choice as usize / 8 % self.probes.len());
                self.step(Input::Probed { container, run, passed: code == 0 });
            }
            (5, _) => {
                self.now += Duration::from_secs(u64::from(choice / 8 % 30));
                self.step(Input::Tick);
            }
            (6, _) if choice & 0x3f8 == 0 => {
                self.step(Input::Stop { reason: Some("told to".into()) });
            }
            _ => {
                if let Some(at) = self.machine.next_deadline() {
                    self.now = self.now.max(at);
                    self.step(Input::Tick);
                    let next = self.machine.next_deadline();
                    assert!(next.is_none_or(|next| next > at), "a deadline that does not go: {at:?}");
                }
            }
        }
    }

    fn exit(&mut self, container: usize, code: i32) {
        self.real[container] = Real::Gone;
        self.step(Input::Exited { container, exit: Exit { code, reason: None } });
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_rules(spec in specs(), choices in prop::collection::vec(any::<u32>(), 0..200)) {
        let limits =
            Limits { stop_timeout: Duration::from_secs(30), least_stop_timeout: Duration::from_secs(1) };
        let real = vec![Real::Never; spec.containers.len()];
        let mut world = World {
            machine: Machine::new(Arc::new(spec), limits),
            now: Duration::ZERO,
            real,
            probes: Vec::new(),

            last: None,
        };
        world.step(Input::Tick);
        for choice in choices {
            world.happen(choice);
        }
        // Then it is told to stop, and the world hurries: it must end, by its own deadlines alone.
        if !world.machine.is_over() {
            world.step(Input::Stop { reason: Some("told to".into()) });
        }
        for _ in 0..100 {
            for container in 0..world.real.len() {
                match world.real[container] {
                    Real::Starting => {
                        world.real[container] = Real::Runs { told: false, killed: false };
                        world.step(Input::Started { container, runtime_id: "r".into(), bindings: Vec::new() });
                    }
                    Real::Runs { killed: true, .. } => world.exit(container, 137),
                    Real::Never | Real::Runs { .. } | Real::Gone => {}
                }
            }
            let Some(at) = world.machine.next_deadline() else { break };
            world.now = world.now.max(at);
            world.step(Input::Tick);
        }
        prop_assert!(world.machine.is_over(), "{:?}", world.machine);
    }
}
