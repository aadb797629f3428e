//! Target tracking: the capacity at which a metric would be at its target.

use capstan_model::{Span, Time};

/// Alarms repeat their actions every minute: a wish that is older was not repeated.
pub(crate) const WISH_LASTS: Span = Span::from_mins(1);

/// `ceil(capacity × metric / target)`, the metric taken as the least value that rounds to its millionths: two thirds of
/// three instances are two, although 66.666667 × 3 is above 200.
pub(crate) fn proportional(capacity: i64, metric: i64, target: i64) -> i64 {
    let halves = (2 * i128::from(metric) - 1).max(0) * i128::from(capacity);
    let target = 2 * i128::from(target.max(1));
    i64::try_from((halves + target - 1) / target).unwrap_or(i64::MAX)
}

/// A group or a service as target tracking sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Capacity in service that the metric speaks of.
    pub(crate) running: i64,
    pub(crate) desired: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

/// Out: the capacity at which the metric would be at the target, rounded up
/// (ASG guide, as-scaling-target-tracking: 150 for each of 10 instances against a target of 100 asks for 15).
pub(crate) fn tracking_out(size: Size, metric: i64, target: i64) -> i64 {
    proportional(size.running.max(1), metric, target).min(size.max).max(size.desired)
}

/// In: the least capacity that keeps the predicted metric at or below the target.
pub(crate) fn tracking_in(size: Size, metric: i64, target: i64) -> i64 {
    proportional(size.running, metric, target).max(size.min).min(size.desired)
}

/// Another target tracking policy that scales the same thing in.
pub(crate) struct Peer<N> {
    pub(crate) name: N,
    /// The smaller capacity that it asked for last, and when.
    pub(crate) wish: Option<(Time, i64)>,
}

/// The capacity that all target tracking policies can do with; `Err` names one that does not want to scale in (ASG guide,
/// as-scaling-target-tracking: in only if all agree; the largest capacity counts).
pub(crate) fn agreed<N>(now: Time, wish: i64, others: impl IntoIterator<Item = Peer<N>>) -> Result<i64, N> {
    let mut to = wish;
    for other in others {
        match other.wish {
            Some((at, wish)) if now - at <= WISH_LASTS => to = to.max(wish),
            _ => return Err(other.name),
        }
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::millionths;
    use proptest::prelude::*;

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
    fn in_only_when_all_agree() {
        let now = Time::from_secs(1_000);
        let peer = |name, wish: Option<(i64, i64)>| Peer {
            name,
            wish: wish.map(|(secs, to)| (Time::from_secs(secs), to)),
        };
        assert_eq!(agreed::<&str>(now, 3, []), Ok(3));
        assert_eq!(agreed(now, 3, [peer("a", Some((960, 5))), peer("b", Some((1_000, 2)))]), Ok(5));
        assert_eq!(agreed(now, 3, [peer("a", Some((900, 2)))]), Err("a"));
        assert_eq!(agreed(now, 3, [peer("a", Some((1_000, 2))), peer("b", None)]), Err("b"));
    }

    proptest! {
        #[test]
        fn tracking_stays_inside_the_limits(
            running in 0i64..1_000, metric in 0i64..1_000_000_000, target in 1i64..1_000_000_000
        ) {
            let size = Size { running, desired: running, min: 0, max: 1_000 };
            let out = tracking_out(size, metric, target);
            prop_assert!(out >= running && out <= 1_000);
            let found = tracking_in(size, metric, target);
            prop_assert!(found <= running && found >= 0);
        }
    }
}
