//! Step adjustments (ASG guide, as-scaling-simple-step; Application Auto Scaling guide, step scaling policies).

use crate::kernel::millionths;

/// Steps of a policy (quotas of both services).
const STEPS_MAX: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjustment {
    pub kind: AdjustmentKind,
    /// The least change of capacity, for percentages.
    pub min_magnitude: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdjustmentKind {
    ChangeInCapacity,
    ExactCapacity,
    PercentChangeInCapacity,
}

impl AdjustmentKind {
    pub const ALL: [Self; 3] = [Self::ChangeInCapacity, Self::ExactCapacity, Self::PercentChangeInCapacity];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangeInCapacity => "ChangeInCapacity",
            Self::ExactCapacity => "ExactCapacity",
            Self::PercentChangeInCapacity => "PercentChangeInCapacity",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}

/// One step of a step policy; bounds are distances from the alarm's threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Millionths; `None` is minus infinity.
    pub lower: Option<i64>,
    /// Millionths; `None` is infinity.
    pub upper: Option<i64>,
    pub amount: i64,
}

impl Step {
    pub(crate) fn new(lower: Option<f64>, upper: Option<f64>, amount: i32) -> Self {
        Self { lower: lower.map(millionths), upper: upper.map(millionths), amount: amount.into() }
    }

    /// The bounds as the APIs show them.
    pub(crate) fn bounds(&self) -> (Option<f64>, Option<f64>) {
        let shown = |bound: i64| bound as f64 / 1_000_000.0;
        (self.lower.map(shown), self.upper.map(shown))
    }
}

/// Steps in order: no gap, no overlap, at most one open end on each side. `Err` tells what is wrong.
pub(crate) fn read(given: impl IntoIterator<Item = Step>) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = given.into_iter().collect();
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(format!("A policy of type StepScaling needs from 1 to {STEPS_MAX} StepAdjustments"));
    }
    steps.sort_by_key(|step| step.lower.unwrap_or(i64::MIN));
    for step in &steps {
        let empty = matches!((step.lower, step.upper), (Some(lower), Some(upper)) if lower >= upper);
        if empty || (step.lower.is_none() && step.upper.is_none()) {
            return Err("Each StepAdjustment needs bounds, the lower one below the upper one".to_owned());
        }
    }
    for pair in steps.windows(2) {
        match (pair[0].upper, pair[1].lower) {
            (Some(upper), Some(lower)) if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => {
                return Err("There is a gap between the StepAdjustments".to_owned());
            }
            _ => return Err("The StepAdjustments overlap".to_owned()),
        }
    }
    let (first, last) = (&steps[0], &steps[steps.len() - 1]);
    if first.lower.is_some_and(|lower| lower < 0) {
        return Err("With a negative lower bound, one step must have no lower bound".to_owned());
    }
    if last.upper.is_some_and(|upper| upper > 0) {
        return Err("With a positive upper bound, one step must have no upper bound".to_owned());
    }
    Ok(steps)
}

/// The capacity after an adjustment, before the limits: percentages above one round down, between zero and one to one,
/// and alike below zero; then the least magnitude applies.
pub(crate) fn adjusted(adjustment: Adjustment, amount: i64, current: i64) -> i64 {
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
/// round. A metric just at the threshold counts as above it, unless only steps below reach there: those of a policy whose
/// alarm compares with "less than or equal" (the ECS guide's scale-in steps end at 0; our reading).
pub(crate) fn step_for(steps: &[Step], breach: i64) -> Option<&Step> {
    let above = |step: &&Step| {
        step.lower.is_none_or(|lower| breach >= lower) && step.upper.is_none_or(|upper| breach < upper)
    };
    let below = |step: &&Step| {
        step.lower.is_none_or(|lower| breach > lower) && step.upper.is_none_or(|upper| breach <= upper)
    };
    match breach {
        0 => steps.iter().find(above).or_else(|| steps.iter().find(below)),
        1.. => steps.iter().find(above),
        _ => steps.iter().find(below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn step(lower: Option<i32>, upper: Option<i32>, amount: i32) -> Step {
        Step::new(lower.map(f64::from), upper.map(f64::from), amount)
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
    fn at_the_threshold_the_step_that_reaches_there_is_taken() {
        let check = |steps: &[Step], expect: Option<i64>| {
            assert_eq!(step_for(steps, 0).map(|step| step.amount), expect, "{steps:?}");
        };
        check(&[step(None, Some(0), -1)], Some(-1));
        check(&[step(Some(0), None, 1)], Some(1));
        check(&[step(None, Some(0), -1), step(Some(0), None, 1)], Some(1));
        check(&[step(None, Some(-5), -2), step(Some(-5), Some(0), -1)], Some(-1));
        check(&[step(Some(5), None, 1)], None);
    }

    #[test]
    fn steps_that_do_not_fit_together_are_refused() {
        let check = |steps: &[Step], wrong: &str| match read(steps.iter().copied()) {
            Ok(_) => assert_eq!(wrong, "", "{steps:?}"),
            Err(why) => assert!(!wrong.is_empty() && why.contains(wrong), "{steps:?}: {why}"),
        };
        check(&[step(Some(0), None, 1)], "");
        check(&[step(Some(10), None, 2), step(Some(0), Some(10), 1)], "");
        check(&[], "from 1 to 20");
        check(&[step(None, None, 1)], "needs bounds");
        check(&[step(Some(5), Some(5), 1)], "needs bounds");
        check(&[step(Some(0), Some(5), 1), step(Some(6), None, 1)], "gap");
        check(&[step(Some(0), Some(5), 1), step(Some(4), None, 1)], "overlap");
        check(&[step(Some(-5), Some(0), -1)], "negative lower bound");
        check(&[step(Some(0), Some(5), 1)], "positive upper bound");
        assert_eq!(step(Some(0), None, 1).bounds(), (Some(0.0), None));
        assert_eq!(Step::new(Some(0.1), Some(2.5), 1).bounds(), (Some(0.1), Some(2.5)));
    }
}
