//! The arithmetic of managed scaling: M, N and the reservation (ECS guide, managed-scaling-behavior).

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Resources;

use super::super::{ManagedScaling, TaskNeeds};

/// What an empty instance of some type holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) resources: Resources,
    /// Network interfaces for `awsvpc` tasks: those of the type less the primary one.
    pub(super) interfaces: i64,
}

/// The smallest and the largest of a group's instance types, each figure by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) smallest: Room,
    pub(super) largest: Room,
}

impl Types {
    /// `None` when there is no type.
    pub(super) fn of(rooms: impl IntoIterator<Item = Room>) -> Option<Self> {
        let pick = |a: Room, b: Room, choose: fn(i64, i64) -> i64| Room {
            resources: Resources {
                cpu: choose(a.resources.cpu, b.resources.cpu),
                memory: choose(a.resources.memory, b.resources.memory),
            },
            interfaces: choose(a.interfaces, b.interfaces),
        };
        let types = rooms.into_iter().map(|room| Self { smallest: room, largest: room });
        types.reduce(|a, b| Self {
            smallest: pick(a.smallest, b.smallest, i64::min),
            largest: pick(a.largest, b.largest, i64::max),
        })
    }
}

/// The requirements that make two waiting tasks alike. Attributes and other placement rules do not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Likeness {
    resources: Resources,
    tcp_ports: BTreeSet<u16>,
    udp_ports: BTreeSet<u16>,
    interface: bool,
}

impl Likeness {
    pub(super) fn of(needs: &TaskNeeds) -> Self {
        Self {
            resources: needs.resources,
            tcp_ports: needs.tcp_ports.clone(),
            udp_ports: needs.udp_ports.clone(),
            interface: needs.interface,
        }
    }

    fn fits(&self, room: Room) -> bool {
        self.resources.fits_in(room.resources) && (!self.interface || room.interfaces > 0)
    }

    /// How many fit on one empty instance; `None` = any number.
    fn per_instance(&self, room: Room) -> Option<i64> {
        let by_resources = self.resources.times_in(room.resources);
        // A port of the host serves one task.
        let by_ports = (!self.tcp_ports.is_empty() || !self.udp_ports.is_empty()).then_some(1);
        let by_interfaces = self.interface.then_some(room.interfaces);
        [by_resources, by_ports, by_interfaces].into_iter().flatten().min()
    }
}

/// Waiting tasks by what they need.
pub(super) type Waiting = BTreeMap<Likeness, i64>;

/// Instances that the waiting tasks need, the largest types empty; `None` when no group of them fits the smallest type.
/// Groups are looked at one by one, and the largest need counts: a lower bound.
pub(super) fn instances_for(waiting: &Waiting, types: Option<Types>) -> Option<i64> {
    let types = types?;
    let fitting = waiting.iter().filter(|(tasks, _)| tasks.fits(types.smallest));
    let needs = fitting.map(|(tasks, count)| match tasks.per_instance(types.largest) {
        None => (*count).min(1),
        Some(per_instance) => (count + per_instance - 1) / per_instance.max(1),
    });
    needs.max()
}

/// `k` within the step sizes: the minimum wins.
pub(super) fn step(k: i64, scaling: ManagedScaling) -> i64 {
    k.min(scaling.maximum_step).max(scaling.minimum_step)
}

/// What is published, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    /// M: instances needed.
    pub(super) needed: i64,
    /// The value as a ratio: percent is `100 × numerator / denominator`.
    pub(super) ratio: (i64, i64),
    pub(super) because: String,
}

impl Reservation {
    /// Thousandths of a percent, rounded down.
    pub(super) fn milli_percent(&self) -> i64 {
        let (numerator, denominator) = self.ratio;
        numerator * 100_000 / denominator
    }

    /// Percent, as CloudWatch gets it.
    #[allow(clippy::cast_precision_loss, reason = "counts of instances")]
    pub(super) fn percent(&self) -> f64 {
        let (numerator, denominator) = self.ratio;
        numerator as f64 / denominator as f64 * 100.0
    }
}

/// The reservation of a provider: `running` (N) instances are in service, `busy` of them run a task that is not a
/// daemon's (spec ecs.md §4.1 and §4.2, every case of the table).
pub(super) fn reservation(
    running: i64,
    busy: i64,
    waiting: &Waiting,
    types: Option<Types>,
    scaling: ManagedScaling,
) -> Reservation {
    let tasks: i64 = waiting.values().sum();
    let (needed, growth) = match (tasks > 0).then(|| instances_for(waiting, types)) {
        None => (busy, None),
        Some(None) => {
            let because = match types {
                None => format!("{tasks} waiting tasks, and no instance type is known for the group"),
                Some(_) => {
                    format!("none of the {tasks} waiting tasks fits the group's smallest instance type")
                }
            };
            let ratio = (scaling.target_capacity, 100);
            return Reservation { needed: running, ratio, because: format!("{because}: kept at the target") };
        }
        Some(Some(k)) => {
            let step = step(k, scaling);
            (running + step, Some((k, step)))
        }
    };
    let ratio = match (needed, running) {
        (0, 0) => (1, 1),
        (_, 0) => (2, 1),
        (needed, running) => (needed, running),
    };
    let because = match growth {
        Some((k, step)) => {
            let limited = if step == k { String::new() } else { format!(", by the step sizes {step}") };
            let first = if running == 0 { ": published as 200" } else { "" };
            format!(
                "{tasks} waiting tasks need {k} empty instances{limited}, beside {running} in service{first}"
            )
        }
        None if needed == 0 && running == 0 => "no task and no instance: published as 100".to_owned(),
        None => format!("no task waits; {busy} of {running} instances in service run tasks"),
    };
    Reservation { needed, ratio, because }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const M5_LARGE: Room = Room { resources: Resources { cpu: 2048, memory: 7680 }, interfaces: 2 };

    fn scaling(target_capacity: i64, minimum_step: i64, maximum_step: i64) -> ManagedScaling {
        ManagedScaling { enabled: true, target_capacity, minimum_step, maximum_step, warmup: 300 }
    }

    fn needs(cpu: i64, memory: i64) -> TaskNeeds {
        TaskNeeds { resources: Resources { cpu, memory }, ..TaskNeeds::default() }
    }

    fn waiting(groups: &[(TaskNeeds, i64)]) -> Waiting {
        groups.iter().map(|(needs, count)| (Likeness::of(needs), *count)).collect()
    }

    /// `(running, busy, waiting)` against M and thousandths of a percent.
    #[track_caller]
    fn check(state: (i64, i64, i64), needed: i64, milli_percent: i64) {
        let (running, busy, tasks) = state;
        let waiting = if tasks == 0 { Waiting::new() } else { waiting(&[(needs(256, 512), tasks)]) };
        let types = Types::of([M5_LARGE]);
        let found = reservation(running, busy, &waiting, types, scaling(100, 1, 10_000));
        assert_eq!(
            (found.needed, found.milli_percent()),
            (needed, milli_percent),
            "{state:?}: {}",
            found.because
        );
    }

    #[test]
    fn zero_to_twenty_tasks() {
        // spec/ecs.md §4.6, target 100, tick by tick.
        check((0, 0, 0), 0, 100_000);
        check((0, 0, 20), 3, 200_000);
        check((2, 0, 20), 5, 250_000);
        check((2, 2, 4), 3, 150_000);
        check((3, 2, 4), 4, 133_333);
        check((3, 3, 0), 3, 100_000);
        // Target 80: the same metric, other capacities.
        check((4, 2, 4), 5, 125_000);
        check((4, 3, 0), 3, 75_000);
        check((5, 4, 0), 4, 80_000);
        check((2, 0, 0), 0, 0);
    }

    #[test]
    fn the_record_of_an_interruption() {
        // spec/observed.md §2: tasks of 420/1680, four to an instance by CPU.
        let four = waiting(&[(needs(420, 1680), 11)]);
        let types = Types::of([M5_LARGE]);
        let check = |running, busy, waiting: &Waiting, milli_percent| {
            let found = reservation(running, busy, waiting, types, scaling(100, 1, 10_000));
            assert_eq!(found.milli_percent(), milli_percent, "{}", found.because);
        };
        check(4, 4, &four, 175_000);
        check(7, 4, &four, 142_857);
        check(7, 5, &Waiting::new(), 71_428);
        check(7, 4, &Waiting::new(), 57_142);
        check(5, 4, &Waiting::new(), 80_000);
        check(4, 4, &Waiting::new(), 100_000);
    }

    #[test]
    fn groups_guard_and_steps() {
        let types = Types::of([M5_LARGE]);
        let small = Room { resources: Resources { cpu: 1024, memory: 1955 }, interfaces: 1 };
        let mixed = Types::of([M5_LARGE, small]);
        let check = |groups: &[(TaskNeeds, i64)], types, k| {
            assert_eq!(instances_for(&waiting(groups), types), k, "{groups:?}");
        };
        check(&[(needs(256, 512), 9), (needs(2048, 100), 3)], types, Some(3));
        check(&[(needs(4096, 512), 1)], types, None);
        check(&[(needs(4096, 512), 5), (needs(256, 512), 1)], types, Some(1));
        // The guard takes the smallest type, the count the largest.
        check(&[(needs(2048, 512), 5)], mixed, None);
        check(&[(needs(1024, 512), 5)], mixed, Some(3));
        check(&[(TaskNeeds { tcp_ports: [80].into(), ..needs(1, 1) }, 4)], types, Some(4));
        check(&[(TaskNeeds { interface: true, ..needs(1, 1) }, 5)], types, Some(3));
        check(&[(TaskNeeds::default(), 500)], types, Some(1));
        check(&[(needs(1, 1), 1)], None, None);
        for (k, minimum, maximum, wanted) in [(3, 1, 10_000, 3), (3, 5, 10, 5), (30, 1, 10, 10), (1, 4, 2, 4)]
        {
            assert_eq!(step(k, scaling(100, minimum, maximum)), wanted);
        }
        let found = reservation(2, 1, &waiting(&[(needs(4096, 512), 1)]), types, scaling(80, 1, 10_000));
        assert_eq!(found.milli_percent(), 80_000, "stays at the target");
    }

    proptest! {
        #[test]
        fn growth_is_within_the_steps(
            running in 0..1000_i64,
            busy in 0..1000_i64,
            tasks in 0..500_i64,
            cpu in 1..4096_i64,
            memory in 1..8192_i64,
            target in 1..=100_i64,
            minimum in 1..100_i64,
            more in 0..1000_i64,
        ) {
            let busy = busy.min(running);
            let scaling = scaling(target, minimum, minimum + more);
            let waiting =
                if tasks == 0 { Waiting::new() } else { waiting(&[(needs(cpu, memory), tasks)]) };
            let types = Types::of([M5_LARGE]);
            let found = reservation(running, busy, &waiting, types, scaling);
            let fits = needs(cpu, memory).resources.fits_in(M5_LARGE.resources);
            if tasks == 0 {
                prop_assert_eq!(found.needed, busy);
                prop_assert!(found.milli_percent() <= 100_000);
            } else if fits {
                let growth = found.needed - running;
                prop_assert!((minimum..=minimum + more).contains(&growth));
                // Never asks for fewer than the unlimited bin-pack unless the maximum says so.
                let per_instance = needs(cpu, memory).resources.times_in(M5_LARGE.resources).unwrap();
                prop_assert!(growth * per_instance >= tasks || growth == minimum + more);
                prop_assert!(found.milli_percent() > 100_000);
            } else {
                prop_assert_eq!(found.milli_percent(), target * 1000);
            }
        }

        #[test]
        fn more_tasks_never_need_fewer_instances(tasks in 1..500_i64, cpu in 1..2048_i64, memory in 1..7680_i64) {
            let types = Types::of([M5_LARGE]);
            let count = |tasks| instances_for(&waiting(&[(needs(cpu, memory), tasks)]), types).unwrap();
            prop_assert!(count(tasks) <= count(tasks + 1));
            prop_assert!(count(tasks + 1) <= count(tasks) + 1);
        }
    }
}
