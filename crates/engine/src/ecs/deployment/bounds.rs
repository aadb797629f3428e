//! How many tasks a service may start and stop at once: pure arithmetic over counts (ECS model DeploymentConfiguration;
//! spec ecs.md §7 and §8.1).

/// The bounds of a service with `desired` tasks: `lower = ceil(desired × minimum / 100)`,
/// `upper = floor(desired × maximum / 100)`.
pub(in crate::ecs) fn bounds(desired: i64, minimum_percent: i64, maximum_percent: i64) -> (i64, i64) {
    let lower = (desired * minimum_percent + 99).div_euclid(100);
    let upper = (desired * maximum_percent).div_euclid(100);
    (lower, upper)
}

/// Tasks of one kind by how far they are. Only tasks that are wanted count, not those on their way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ecs) struct Kind {
    /// Not RUNNING yet.
    pub(in crate::ecs) waiting: i64,
    /// RUNNING, not counted as healthy yet.
    pub(in crate::ecs) unready: i64,
    pub(in crate::ecs) healthy: i64,
}

impl Kind {
    fn all(self) -> i64 {
        self.waiting + self.unready + self.healthy
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ecs) struct Counts {
    pub(in crate::ecs) desired: i64,
    pub(in crate::ecs) lower: i64,
    pub(in crate::ecs) upper: i64,
    /// Of the PRIMARY deployment, on instances that stay.
    pub(in crate::ecs) good: Kind,
    /// Of other deployments.
    pub(in crate::ecs) old: Kind,
    /// On instances that drain.
    pub(in crate::ecs) draining: Kind,
    /// Failed their health checks.
    pub(in crate::ecs) sick: i64,
    /// Whether the scheduler may start tasks now.
    pub(in crate::ecs) may_start: bool,
    /// Whether the latest start found no place, so that stopping an old task may make room.
    pub(in crate::ecs) starved: bool,
}

/// How many to start and to stop now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ecs) struct Plan {
    pub(in crate::ecs) start: i64,
    /// Of the good ones, above desired: not healthy ones, and healthy ones.
    pub(in crate::ecs) surplus_unready: i64,
    pub(in crate::ecs) surplus_healthy: i64,
    pub(in crate::ecs) old: Kind,
    pub(in crate::ecs) draining: Kind,
    pub(in crate::ecs) sick: i64,
    /// Something should start or stop, and the bounds allow neither.
    pub(in crate::ecs) stuck: bool,
}

/// What to do now. Starts keep the number of tasks at or below `upper`; stops keep the number of healthy ones at or
/// above `lower` (or where it is, when it is lower already).
pub(in crate::ecs) fn plan(counts: &Counts) -> Plan {
    let Counts { desired, lower, upper, good, old, draining, sick, may_start, starved } = *counts;
    let mut plan = Plan::default();

    // What does not run yet and is not to stay never served anybody.
    plan.old.waiting = old.waiting;
    plan.draining.waiting = draining.waiting;

    let mut healthy = good.healthy + old.healthy + draining.healthy;
    let spare = |healthy: i64| (healthy - lower).max(0);

    let surplus = (good.all() - desired).max(0);
    plan.surplus_unready = surplus.min(good.waiting + good.unready);
    plan.surplus_healthy = (surplus - plan.surplus_unready).min(spare(healthy));
    healthy -= plan.surplus_healthy;

    let alive = good.all() - plan.surplus_unready - plan.surplus_healthy
        + old.unready
        + old.healthy
        + draining.unready
        + draining.healthy
        + sick;
    let missing = (desired - good.all()).max(0);
    let room = (upper - alive).max(0);
    if may_start {
        plan.start = missing.min(room);
    }
    let blocked = missing - plan.start;

    // A draining instance is emptied as far as the minimum allows (spec observed.md §1: at once).
    plan.draining.healthy = draining.healthy.min(spare(healthy));
    healthy -= plan.draining.healthy;
    if healthy >= lower {
        plan.draining.unready = draining.unready;
    }

    // The sick: when enough others serve, or one at a time when no replacement can be started beside them.
    if good.healthy >= desired {
        plan.sick = sick;
    } else if blocked > 0 && room == 0 {
        plan.sick = sick.min(1);
    }

    // Old tasks go when new ones serve in their place; before that only to make room.
    let replaced = (healthy - desired).max(0);
    let make_room = if may_start && (blocked > 0 || starved) { blocked.max(i64::from(starved)) } else { 0 };
    plan.old.healthy = old.healthy.min((replaced + make_room).min(spare(healthy)));
    healthy -= plan.old.healthy;
    if healthy >= desired.max(lower) {
        plan.old.unready = old.unready;
    } else if healthy >= lower {
        plan.old.unready = old.unready.min((make_room - plan.old.healthy).max(0));
    }

    let stops =
        plan.surplus_unready + plan.surplus_healthy + plan.old.all() + plan.draining.all() + plan.sick;
    let leaving = old.all() + draining.all() + sick;
    let coming = good.waiting + good.unready + old.unready + draining.unready;
    plan.stuck = may_start && plan.start == 0 && stops == 0 && blocked > 0 && leaving > 0 && coming == 0;
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documented_examples() {
        assert_eq!(bounds(4, 50, 200), (2, 8));
        assert_eq!(bounds(2, 75, 200), (2, 4));
        assert_eq!(bounds(3, 100, 125), (3, 3));
        assert_eq!(bounds(0, 100, 200), (0, 0));
    }

    fn healthy(n: i64) -> Kind {
        Kind { healthy: n, ..Kind::default() }
    }

    #[test]
    fn draining_examples() {
        // Four tasks on a draining instance (ECS model UpdateContainerInstancesState).
        let check = |minimum, maximum, start, stop| {
            let (lower, upper) = bounds(4, minimum, maximum);
            let counts = Counts {
                desired: 4,
                lower,
                upper,
                draining: healthy(4),
                may_start: true,
                ..Counts::default()
            };
            let plan = plan(&counts);
            assert_eq!((plan.start, plan.draining.healthy), (start, stop), "min {minimum} max {maximum}");
            plan.stuck
        };
        assert!(!check(50, 200, 4, 2));
        assert!(!check(100, 200, 4, 0));
        assert!(!check(50, 100, 0, 2));
        assert!(check(100, 100, 0, 0));
    }

    #[test]
    fn rolling_update_starts_before_it_stops() {
        let (lower, upper) = bounds(10, 50, 200);
        let counts =
            Counts { desired: 10, lower, upper, old: healthy(10), may_start: true, ..Counts::default() };
        assert_eq!(plan(&counts), Plan { start: 10, ..Plan::default() });
        // No room above: old ones go first, down to the minimum.
        let (lower, upper) = bounds(10, 50, 100);
        let counts = Counts { lower, upper, ..counts };
        assert_eq!(plan(&counts), Plan { old: healthy(5), ..Plan::default() });
    }

    prop_compose! {
        fn any_kind()(waiting in 0i64..30, unready in 0i64..30, healthy in 0i64..60) -> Kind {
            Kind { waiting, unready, healthy }
        }
    }

    prop_compose! {
        fn any_counts()(
            desired in 0i64..60, minimum in 0i64..=100, more in 0i64..=100,
            good in any_kind(), old in any_kind(), draining in any_kind(),
            sick in 0i64..10, may_start in any::<bool>(), starved in any::<bool>(),
        ) -> Counts {
            let (lower, upper) = bounds(desired, minimum, 100 + more);
            Counts { desired, lower, upper, good, old, draining, sick, may_start, starved }
        }
    }

    fn alive(c: &Counts) -> i64 {
        c.good.all() + c.old.all() + c.draining.all() + c.sick
    }

    proptest! {
        #[test]
        fn never_leaves_the_bounds(counts in any_counts()) {
            let plan = plan(&counts);
            let stops = plan.surplus_unready + plan.surplus_healthy + plan.old.all() + plan.draining.all() + plan.sick;
            let after = alive(&counts) + plan.start - stops;
            if plan.start > 0 {
                prop_assert!(after <= counts.upper, "{plan:?}");
            }
            let healthy = counts.good.healthy + counts.old.healthy + counts.draining.healthy;
            let left = healthy - plan.surplus_healthy - plan.old.healthy - plan.draining.healthy;
            prop_assert!(left >= counts.lower.min(healthy), "{plan:?}");
            prop_assert!(plan.start <= counts.desired);
            for (stop, have) in [(plan.old, counts.old), (plan.draining, counts.draining)] {
                prop_assert!((0..=have.waiting).contains(&stop.waiting));
                prop_assert!((0..=have.unready).contains(&stop.unready));
                prop_assert!((0..=have.healthy).contains(&stop.healthy));
            }
            prop_assert!((0..=counts.sick).contains(&plan.sick));
        }

        /// Following the plan, with every started task becoming healthy in time, ends at the desired count whenever the
        /// bounds leave room to move.
        #[test]
        fn converges(start in any_counts()) {
            let mut counts = Counts { may_start: true, starved: false, ..start };
            prop_assume!(counts.upper > counts.desired || counts.lower < counts.desired || counts.desired == 0);
            for _ in 0..500 {
                let plan = plan(&counts);
                // Stop what the plan stops.
                let unready = plan.surplus_unready.min(counts.good.unready);
                counts.good.unready -= unready;
                counts.good.waiting -= plan.surplus_unready - unready;
                counts.good.healthy -= plan.surplus_healthy;
                for (kind, stop) in [(&mut counts.old, plan.old), (&mut counts.draining, plan.draining)] {
                    kind.waiting -= stop.waiting;
                    kind.unready -= stop.unready;
                    kind.healthy -= stop.healthy;
                }
                counts.sick -= plan.sick;
                // Time passes: everything that runs becomes healthy, what was started runs.
                for kind in [&mut counts.good, &mut counts.old, &mut counts.draining] {
                    kind.healthy += kind.unready;
                    kind.unready = kind.waiting;
                    kind.waiting = 0;
                }
                counts.good.waiting += plan.start;
            }
            prop_assert_eq!(counts.good, healthy(counts.desired), "{:?}", counts);
            prop_assert_eq!(counts.old.all() + counts.draining.all() + counts.sick, 0, "{:?}", counts);
        }
    }
}
