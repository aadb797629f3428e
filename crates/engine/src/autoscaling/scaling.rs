//! The arithmetic that is Auto Scaling's own: ECS managed scaling, and the split between On-Demand and Spot.

use crate::scaling::{Size, proportional};

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
        fn ecs_out_stays_inside_the_limits(
            running in 0i64..1_000, metric in 0i64..1_000_000_000, target in 1i64..1_000_000_000
        ) {
            let size = Size { running, desired: running, min: 0, max: 1_000 };
            let found = ecs_out(size, metric, target);
            prop_assert!(found >= running && found <= 1_000);
            let found = ecs_in(size, metric, target);
            prop_assert!(found <= running && found >= 0);
        }
    }
}
