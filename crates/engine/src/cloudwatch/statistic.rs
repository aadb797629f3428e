//! Statistics: the five simple ones and the extended ones (CloudWatch guide, statistics definitions).

use capstan_shapes::cloudwatch as shapes;

use super::series::StatisticSet;

/// What is made of a period's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    Simple(shapes::Statistic),
    /// As it was written, and what it means.
    Extended(String, Extended),
}

/// A statistic over the part of the values between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extended {
    kind: ExtendedKind,
    low: Bound,
    high: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtendedKind {
    Percentile,
    TrimmedMean,
    TrimmedCount,
    TrimmedSum,
    WinsorizedMean,
    PercentileRank,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Percent(f64),
    Value(f64),
    Open,
}

impl Statistic {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match shapes::Statistic::parse(text) {
            Some(simple) => Some(Self::Simple(simple)),
            None => Some(Self::Extended(text.to_owned(), Extended::parse(text)?)),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Simple(simple) => simple.as_str(),
            Self::Extended(text, _) => text,
        }
    }

    pub(super) fn needs_values(&self) -> bool {
        matches!(self, Self::Extended(..))
    }

    /// `None` when the values are not known and the statistic needs them, or when the trimming leaves nothing.
    pub(super) fn of(&self, set: &StatisticSet) -> Option<f64> {
        match self {
            Self::Simple(simple) => Some(of_simple(*simple, set)),
            Self::Extended(_, extended) => extended.of(set),
        }
    }

    /// Whether so few samples tell little about this percentile (CloudWatch guide, percentile-based alarms and low
    /// data samples): fewer than 10/(1−p) above the middle, fewer than 10/p below.
    pub(super) fn is_low(&self, samples: f64) -> bool {
        let Self::Extended(_, Extended { kind: ExtendedKind::Percentile, high: Bound::Percent(percent), .. }) =
            self
        else {
            return false;
        };
        let share = if *percent >= 50.0 { 100.0 - percent } else { *percent };
        samples * share < 1_000.0
    }
}

pub(super) fn of_simple(statistic: shapes::Statistic, set: &StatisticSet) -> f64 {
    match statistic {
        shapes::Statistic::SampleCount => set.count,
        shapes::Statistic::Average => set.average(),
        shapes::Statistic::Sum => set.sum,
        shapes::Statistic::Minimum => set.min,
        shapes::Statistic::Maximum => set.max,
    }
}

impl Extended {
    /// `p99.9`, `tm90`, `TM(10%:90%)`, `PR(:300)`, `IQM`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if lower == "iqm" {
            let (low, high) = (Bound::Percent(25.0), Bound::Percent(75.0));
            return Some(Self { kind: ExtendedKind::TrimmedMean, low, high });
        }
        let kinds = [
            ("tm", ExtendedKind::TrimmedMean),
            ("tc", ExtendedKind::TrimmedCount),
            ("ts", ExtendedKind::TrimmedSum),
            ("wm", ExtendedKind::WinsorizedMean),
            ("pr", ExtendedKind::PercentileRank),
            ("p", ExtendedKind::Percentile),
        ];
        let (kind, rest) =
            kinds.into_iter().find_map(|(name, kind)| Some((kind, lower.strip_prefix(name)?)))?;
        let Some(range) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
            // A bare number cuts from above: tm90 leaves out the highest tenth.
            let high = Bound::Percent(percent(rest)?);
            return (kind != ExtendedKind::PercentileRank).then_some(Self { kind, low: Bound::Open, high });
        };
        let (low, high) = range.split_once(':')?;
        let (low, high) = (Bound::parse(low)?, Bound::parse(high)?);
        let fits = match (low, high) {
            (Bound::Open, Bound::Open) => false,
            (Bound::Percent(low), Bound::Percent(high)) => low < high,
            (Bound::Value(low), Bound::Value(high)) => low < high,
            // Mixing per cent and values in one range has no meaning.
            (Bound::Open, _) | (_, Bound::Open) => true,
            _ => false,
        };
        let ranked_by_percent = kind == ExtendedKind::PercentileRank
            && (matches!(low, Bound::Percent(_)) || matches!(high, Bound::Percent(_)));
        (fits && kind != ExtendedKind::Percentile && !ranked_by_percent).then_some(Self { kind, low, high })
    }

    fn of(&self, set: &StatisticSet) -> Option<f64> {
        let values = set.values()?;
        if let (ExtendedKind::Percentile, Bound::Percent(percent)) = (self.kind, self.high) {
            return Some(at_percent(&values, set.count, percent));
        }
        // How much of each value lies between the bounds, values in order.
        let mut below = 0.0;
        let mut inside: Vec<(f64, f64)> = Vec::with_capacity(values.len());
        for (value, count) in values.iter() {
            let (from, to) = (below, below + count);
            below = to;
            let low = match self.low {
                Bound::Percent(percent) => percent / 100.0 * set.count,
                Bound::Value(bound) if *value <= bound => continue,
                _ => 0.0,
            };
            let high = match self.high {
                Bound::Percent(percent) => percent / 100.0 * set.count,
                Bound::Value(bound) if *value > bound => continue,
                _ => set.count,
            };
            let part = to.min(high) - from.max(low);
            if part > 0.0 {
                inside.push((*value, part));
            }
        }
        let count: f64 = inside.iter().map(|(_, count)| count).sum();
        let sum: f64 = inside.iter().map(|(value, count)| value * count).sum();
        match self.kind {
            ExtendedKind::TrimmedCount => Some(count),
            ExtendedKind::PercentileRank => Some(count / set.count * 100.0),
            _ if inside.is_empty() => None,
            ExtendedKind::TrimmedSum => Some(sum),
            ExtendedKind::WinsorizedMean => {
                // What lies outside counts as the value at the bound.
                let (first, last) = (inside[0].0, inside[inside.len() - 1].0);
                let outside: f64 = values
                    .iter()
                    .map(|(value, count)| {
                        let kept = inside.iter().find(|(v, _)| v == value).map_or(0.0, |(_, part)| *part);
                        let bound = if *value <= first { first } else { last };
                        (count - kept) * bound
                    })
                    .sum();
                Some((sum + outside) / set.count)
            }
            ExtendedKind::TrimmedMean | ExtendedKind::Percentile => Some(sum / count),
        }
    }
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            _ if text.is_empty() => Some(Self::Open),
            Some(share) => percent(share).map(Self::Percent),
            None => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Self::Value),
        }
    }
}

/// 0–100 with at most ten decimals.
fn percent(text: &str) -> Option<f64> {
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && decimals <= 10;
    text.parse().ok().filter(|percent| plain && (0.0..=100.0).contains(percent))
}

/// The smallest value that so many per cent of all values do not exceed.
fn at_percent(values: &[(f64, f64)], total: f64, percent: f64) -> f64 {
    let mut seen = 0.0;
    for (value, count) in values {
        seen += count;
        if seen * 100.0 >= percent * total {
            return *value;
        }
    }
    values.last().map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_over_one_to_a_hundred() {
        let set = StatisticSet::of_values((1..=100).map(|n| (f64::from(n), 1.0))).unwrap();
        let check = |text: &str, expect: Option<f64>| {
            let value = Statistic::parse(text).and_then(|statistic| statistic.of(&set));
            assert_eq!(value, expect, "{text}");
        };
        check("Average", Some(50.5));
        check("Sum", Some(5050.0));
        check("Minimum", Some(1.0));
        check("Maximum", Some(100.0));
        check("SampleCount", Some(100.0));
        check("p0", Some(1.0));
        check("p50", Some(50.0));
        check("p99", Some(99.0));
        check("p99.9", Some(100.0));
        check("p100", Some(100.0));
        check("tm90", Some(45.5));
        check("TM(10%:90%)", Some(50.5));
        check("tm(10:20)", Some(15.5));
        check("tc90", Some(90.0));
        check("ts(:10%)", Some(55.0));
        check("IQM", Some(50.5));
        check("wm90", Some((45.5 * 90.0 + 90.0 * 10.0) / 100.0));
        check("PR(:30)", Some(30.0));
        check("pr(10:30)", Some(20.0));
        for wrong in [
            "",
            "p",
            "p101",
            "p-1",
            "pNaN",
            "tm",
            "tm(90%:10%)",
            "pr90",
            "pr(1%:2%)",
            "tm(:)",
            "average",
            "p1e1",
            "tm(1:2%)",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn percentiles_of_unknown_values_are_not_told() {
        let p50 = Statistic::parse("p50").unwrap();
        assert_eq!(p50.of(&StatisticSet::told(3.0, 6.0, 1.0, 3.0)), None);
        assert_eq!(p50.of(&StatisticSet::told(3.0, 6.0, 2.0, 2.0)), Some(2.0));
        assert!(p50.is_low(19.0) && !p50.is_low(20.0));
        let p99 = Statistic::parse("p99").unwrap();
        assert!(p99.is_low(999.0) && !p99.is_low(1000.0));
    }
}
