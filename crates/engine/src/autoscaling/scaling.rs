//! The arithmetic of scaling policies: pure functions over integers.
//!
//! Metric values arrive as floats, as CloudWatch publishes them. `kernel::millionths` makes integers of them once; from
//! there on only integers decide.

use super::rows::{Adjustment, AdjustmentKind, Step};

/// `ceil(capacity × metric / target)`, the metric taken as the least value that rounds to its millionths: two thirds of
/// three instances are two, although 66.666667 × 3 is above 200.
fn proportional(capacity: i64, metric: i64, target: i64) -> i64 {
    let halves = (2 * i128::from(metric) - 1).max(0) * i128::from(capacity);
    let target = 2 * i128::from(target.max(1));
    i64::try_from((halves + target - 1) / target).unwrap_or(i64::MAX)
}

/// A group as target tracking sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Capacity in service that the metric speaks of.
    pub(super) running: i64,
    pub(super) desired: i64,
    pub(super) min: i64,
    pub(super) max: i64,
}

/// ECS managed scaling, out: `ceil(max(N, 1) × metric / target)` within the group's maximum. From nothing it is always
/// two instances (ECS guide, managed-scaling-behavior), whatever the target.
pub(super) fn ecs_out(size: Size, metric: i64, target: i64) -> i64 {
    let wanted = if size.running == 0 { 2 } else { proportional(size.running, metric, target) };
    wanted.min(size.max).max(size.desired)
}

/// ECS managed scaling, in: each minute half of the gap, rounded up, at least one instance and less than half of the
/// group (ECS guide, managed-scaling-behavior: "at least one instance and less than 50 %"). An idle provider (metric 0) with a target below 100 % rests
/// at two instances: that is the spare room that it promises (our reading).
pub(super) fn ecs_in(size: Size, metric: i64, target: i64) -> i64 {
    let floor = if metric <= 0 && target < 100_000_000 { size.min.max(2) } else { size.min };
    let need = proportional(size.running, metric, target).max(floor).min(size.running);
    let gap = size.running - need;
    let less_than_half = ((size.running - 1) / 2).max(1);
    (size.running - ((gap + 1) / 2).min(less_than_half)).min(size.desired)
}

/// Target tracking, out: the capacity at which the metric would be at the target, rounded up
/// (ASG guide, as-scaling-target-tracking: 150 for each of 10 instances against a target of 100 asks for 15).
pub(super) fn tracking_out(size: Size, metric: i64, target: i64) -> i64 {
    proportional(size.running.max(1), metric, target).min(size.max).max(size.desired)
}

/// Target tracking, in: the least capacity that keeps the predicted metric at or below the target.
pub(super) fn tracking_in(size: Size, metric: i64, target: i64) -> i64 {
    proportional(size.running, metric, target).max(size.min).min(size.desired)
}

/// The capacity after an adjustment, before the group's limits (ASG guide, as-scaling-simple-step: percentages above
/// one round down, between zero and one to one, and alike below zero; then the least magnitude applies).
pub(super) fn adjusted(adjustment: Adjustment, amount: i64, current: i64) -> i64 {
    match adjustment.kind {
        AdjustmentKind::ChangeInCapacity => current.saturating_add(amount),
        AdjustmentKind::ExactCapacity => amount.max(0),
        AdjustmentKind::PercentChangeInCapacity => {
            let hundredths = i128::from(current) * i128::from(amount);
            let change = match hundredths {
                0 => 0,
                1..100 => 1,
                -99..0 => -1,
                _ => i64::try_from(hundredths / 100).unwrap_or(if amount > 0 { i64::MAX } else { i64::MIN }),
            };
            let least = adjustment.min_magnitude.unwrap_or(0);
            let change = match change.signum() {
                1 => change.max(least),
                -1 => change.min(-least),
                _ => 0,
            };
            current.saturating_add(change)
        }
    }
}

/// The step for a breach: above the threshold lower bounds are included and upper ones not, below it the other way
/// round.
pub(super) fn step_for(steps: &[Step], breach: i64) -> Option<&Step> {
    steps.iter().find(|step| {
        let (lower, upper) = (step.lower, step.upper);
        if breach >= 0 {
            lower.is_none_or(|lower| breach >= lower) && upper.is_none_or(|upper| breach < upper)
        } else {
            lower.is_none_or(|lower| breach > lower) && upper.is_none_or(|upper| breach <= upper)
        }
    })
}

/// On-Demand units of a capacity: the base, and above it the percentage, fractions up in favour of On-Demand
/// (ASG guide, mixed instances groups).
pub(super) fn on_demand_target(capacity: i64, base: i64, percent: i64) -> i64 {
    let above = (capacity - base).max(0);
    capacity.min(base) + (above * percent + 99) / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::millionths;
    use proptest::prelude::*;

    fn size(running: i64, desired: i64) -> Size {
        Size { running, desired, min: 0, max: 100_000 }
    }

    /// As ECS publishes it.
    fn reservation(needed: i64, running: i64) -> i64 {
        millionths(if running == 0 { 200.0 } else { needed as f64 / running as f64 * 100.0 })
    }

    #[test]
    fn published_values_become_integers() {
        let check = |value: f64, expect: i64| assert_eq!(millionths(value), expect, "{value}");
        check(0.0, 0);
        check(200.0, 200_000_000);
        check(400.0 / 3.0, 133_333_333);
        check(200.0 / 3.0, 66_666_667);
        check(-0.000_000_4, 0);
        check(f64::NAN, 0);
        check(f64::INFINITY, i64::MAX);
    }

    #[test]
    fn ecs_scale_out_follows_the_worked_examples() {
        let check = |running, desired, metric, target, expect| {
            let found = ecs_out(size(running, desired), millionths(metric), millionths(target));
            assert_eq!(found, expect, "N {running} desired {desired} metric {metric} target {target}");
        };
        // From nothing, whatever the target.
        check(0, 0, 200.0, 100.0, 2);
        check(0, 0, 200.0, 80.0, 2);
        check(0, 0, 100.0, 80.0, 2);
        check(0, 5, 200.0, 80.0, 5);
        // The table for target 100.
        check(2, 2, 150.0, 100.0, 3);
        check(3, 3, 400.0 / 3.0, 100.0, 4);
        // The table for target 80.
        check(2, 2, 150.0, 80.0, 4);
        check(4, 4, 100.0, 80.0, 5);
        check(5, 5, 80.0, 80.0, 5);
        // The record of the FIS page: 4 instances, 7 needed.
        check(4, 4, 175.0, 100.0, 7);
        // N = 2, M = 4.
        check(2, 2, 200.0, 100.0, 4);
        // Without a warm-up the 250 of the second minute would ask for five.
        check(2, 2, 250.0, 100.0, 5);
        assert_eq!(ecs_out(Size { running: 2, desired: 2, min: 0, max: 3 }, 250_000_000, 100_000_000), 3);
        assert_eq!(ecs_out(Size { running: 0, desired: 0, min: 0, max: 1 }, 200_000_000, 100_000_000), 1);
    }

    /// Minute by minute until nothing changes.
    fn scale_in(mut running: i64, needed: i64, target: i64, min: i64) -> Vec<i64> {
        let mut path = vec![running];
        loop {
            let size = Size { running, desired: running, min, max: 100_000 };
            let next = ecs_in(size, reservation(needed, running), target);
            if next == running {
                return path;
            }
            running = next;
            path.push(running);
        }
    }

    #[test]
    fn ecs_scale_in_closes_half_of_the_gap() {
        let check = |running, needed, target, min, expect: &[i64]| {
            assert_eq!(scale_in(running, needed, target, min), expect, "{running} → {needed} at {target}");
        };
        check(7, 4, 100_000_000, 0, &[7, 5, 4]);
        // 334 → 34 in nine steps (150, 75, 38, 19, 9, 5, 2, 1, 1).
        check(334, 34, 100_000_000, 0, &[334, 184, 109, 71, 52, 43, 38, 36, 35, 34]);
        check(3, 0, 100_000_000, 0, &[3, 2, 1, 0]);
        check(3, 0, 100_000_000, 2, &[3, 2]);
        // An idle provider with spare room promised rests at two.
        check(5, 0, 80_000_000, 0, &[5, 3, 2]);
        check(1, 0, 80_000_000, 0, &[1]);
        check(5, 0, 80_000_000, 4, &[5, 4]);
        // ceil(4 × 75 / 80) = 4: the alarm stays, nothing changes.
        check(4, 3, 80_000_000, 0, &[4]);
    }

    #[test]
    fn tracking_rounds_in_favour_of_capacity() {
        let sized = |running| Size { running, desired: running, min: 1, max: 50 };
        assert_eq!(tracking_out(sized(10), millionths(150.0), millionths(100.0)), 15);
        assert_eq!(tracking_out(sized(1), millionths(76.0), millionths(50.0)), 2);
        assert_eq!(tracking_out(sized(40), millionths(150.0), millionths(100.0)), 50);
        assert_eq!(tracking_in(sized(10), millionths(45.0), millionths(50.0)), 9);
        assert_eq!(tracking_in(sized(2), millionths(40.0), millionths(50.0)), 2);
        assert_eq!(tracking_in(sized(2), millionths(0.0), millionths(50.0)), 1);
    }

    #[test]
    fn adjustments_round_as_documented() {
        let check = |kind, amount, min_magnitude, current, expect| {
            let found = adjusted(Adjustment { kind, min_magnitude }, amount, current);
            assert_eq!(found, expect, "{kind:?} {amount} of {current}");
        };
        use AdjustmentKind::{ChangeInCapacity, ExactCapacity, PercentChangeInCapacity};
        check(ChangeInCapacity, 2, None, 3, 5);
        check(ChangeInCapacity, -2, None, 3, 1);
        check(ExactCapacity, 4, None, 10, 4);
        check(PercentChangeInCapacity, 127, None, 10, 22);
        check(PercentChangeInCapacity, 5, None, 10, 11);
        check(PercentChangeInCapacity, -5, None, 10, 9);
        check(PercentChangeInCapacity, -67, None, 10, 4);
        check(PercentChangeInCapacity, 10, Some(3), 10, 13);
        check(PercentChangeInCapacity, -10, Some(3), 10, 7);
        check(PercentChangeInCapacity, 10, None, 0, 0);
    }

    fn step(lower: Option<i64>, upper: Option<i64>, amount: i64) -> Step {
        Step {
            lower: lower.map(|bound| bound * 1_000_000),
            upper: upper.map(|bound| bound * 1_000_000),
            amount,
            shape: capstan_shapes::autoscaling::StepAdjustment::default(),
        }
    }

    #[test]
    fn steps_play_the_guides_example() {
        let out = [step(Some(0), Some(10), 0), step(Some(10), Some(20), 10), step(Some(20), None, 30)];
        let scale_in =
            [step(Some(-10), Some(0), 0), step(Some(-20), Some(-10), -10), step(None, Some(-20), -30)];
        let percent = Adjustment { kind: AdjustmentKind::PercentChangeInCapacity, min_magnitude: None };
        let mut capacity = 10;
        for (steps, value, expect) in
            [(&out, 60, 11), (&out, 70, 14), (&scale_in, 40, 13), (&scale_in, 30, 10)]
        {
            let amount = step_for(steps, (value - 50) * 1_000_000).map_or(0, |step| step.amount);
            capacity = adjusted(percent, amount, capacity);
            assert_eq!(capacity, expect, "at {value}");
        }
    }

    #[test]
    fn on_demand_gets_the_fractions() {
        let check = |capacity, base, percent, expect| {
            assert_eq!(on_demand_target(capacity, base, percent), expect, "{capacity} {base} {percent}");
        };
        for (total, above) in [(10, 0), (20, 5), (30, 10), (40, 15)] {
            check(total, 10, 50, 10 + above);
        }
        check(10, 12, 0, 10);
        check(20, 12, 0, 12);
        check(3, 0, 50, 2);
        check(3, 0, 100, 3);
        check(3, 0, 0, 0);
    }

    proptest! {
        #[test]
        fn ecs_in_never_takes_half_and_never_passes_the_need(
            running in 1i64..5_000, needed in 0i64..5_000, min in 0i64..100
        ) {
            let needed = needed.min(running);
            let metric = reservation(needed, running);
            let next = ecs_in(Size { running, desired: running, min, max: 10_000 }, metric, 100_000_000);
            prop_assert!(next <= running && next >= needed);
            prop_assert!(next >= min.min(running));
            prop_assert!(running - next <= 1 || 2 * (running - next) < running);
            // Where there is a gap, it gets smaller.
            prop_assert!(next < running || needed.max(min) >= running);
        }

        #[test]
        fn tracking_stays_inside_the_limits(
            running in 0i64..1_000, metric in 0i64..1_000_000_000, target in 1i64..1_000_000_000
        ) {
            let size = Size { running, desired: running, min: 0, max: 1_000 };
            for found in [tracking_out(size, metric, target), ecs_out(size, metric, target)] {
                prop_assert!(found >= running && found <= 1_000);
            }
            for found in [tracking_in(size, metric, target), ecs_in(size, metric, target)] {
                prop_assert!(found <= running && found >= 0);
            }
        }
    }
}
