//! Points of a metric: statistic sets in four resolutions, each kept for its time.
//!
//! A value goes into every resolution at once, so nothing has to be rolled up later: the finer points are forgotten first
//! and the coarser ones are already there. Memory is bounded by the retention (cloudwatch.md §1).

use std::borrow::Cow;
use std::collections::VecDeque;

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch::StandardUnit;

/// Resolution and how long points of it are kept, finest first (CloudWatch guide, metrics retention).
const TIERS: [(Span, Span); 4] = [
    (Span::from_secs(1), Span::from_hours(3)),
    (Span::from_mins(1), Span::from_hours(15 * 24)),
    (Span::from_mins(5), Span::from_hours(63 * 24)),
    (Span::from_hours(1), RETENTION),
];

/// Nothing is older.
pub(super) const RETENTION: Span = Span::from_hours(455 * 24);

/// A point keeps so many distinct values for percentiles. Beyond, neighbours are merged into the greater one.
const DISTINCT_VALUES_MAX: usize = 512;

/// What is known of the values of one period.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticSet {
    pub count: f64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    /// Distinct values in order, each with its count. `None` when they are all the same, or when they are not known
    /// because a statistic set was put: then there are no percentiles.
    values: Option<Box<[(f64, f64)]>>,
}

impl StatisticSet {
    pub(crate) fn of(value: f64) -> Self {
        Self { count: 1.0, sum: value, min: value, max: value, values: None }
    }

    /// A set whose values nobody told.
    pub(super) fn told(count: f64, sum: f64, min: f64, max: f64) -> Self {
        Self { count, sum, min, max, values: None }
    }

    /// Values with their counts, in any order; `None` when there is none.
    pub(crate) fn of_values(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut values: Vec<(f64, f64)> = values.into_iter().filter(|(_, count)| *count > 0.0).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (min, max) = (values.first()?.0, values.last()?.0);
        let mut set = Self { count: 0.0, sum: 0.0, min, max, values: None };
        for (value, count) in &values {
            set.count += count;
            set.sum += value * count;
        }
        set.keep(values);
        Some(set)
    }

    pub fn average(&self) -> f64 {
        self.sum / self.count
    }

    /// Distinct values in order with their counts, when they are known.
    pub(super) fn values(&self) -> Option<Cow<'_, [(f64, f64)]>> {
        match &self.values {
            Some(values) => Some(Cow::Borrowed(values)),
            None if self.min == self.max => Some(Cow::Owned(vec![(self.min, self.count)])),
            None => None,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let values = match (self.values(), other.values()) {
            (Some(ours), Some(theirs))
                if self.min != other.min || self.max != other.max || ours.len() > 1 =>
            {
                let mut both = Vec::with_capacity(ours.len() + theirs.len());
                both.extend_from_slice(&ours);
                both.extend_from_slice(&theirs);
                both.sort_by(|a, b| a.0.total_cmp(&b.0));
                Some(both)
            }
            _ => None,
        };
        self.merge_summary(other);
        match values {
            Some(values) => self.keep(values),
            None => self.values = None,
        }
    }

    /// Merges all but the values, for statistics that need none.
    fn merge_summary(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn keep(&mut self, mut sorted: Vec<(f64, f64)>) {
        sorted.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        while sorted.len() > DISTINCT_VALUES_MAX {
            let merged = sorted.chunks(2).map(|pair| {
                let last = pair[pair.len() - 1];
                (last.0, pair.iter().map(|(_, count)| count).sum())
            });
            sorted = merged.collect();
        }
        self.values = (sorted.len() > 1).then(|| sorted.into_boxed_slice());
    }
}

/// A statistic set and the period that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub start: Time,
    pub unit: StandardUnit,
    pub set: StatisticSet,
}

/// The points of one metric in each resolution, in the order of start and unit.
#[derive(Clone, Debug, Default)]
pub struct Tiers([VecDeque<Point>; 4]);

impl Tiers {
    /// Adds values of that moment. Only `high_resolution` ones can be asked for by periods under a minute.
    pub(super) fn put(
        &mut self,
        now: Time,
        at: Time,
        unit: StandardUnit,
        set: &StatisticSet,
        high_resolution: bool,
    ) {
        for (points, (resolution, kept)) in self.0.iter_mut().zip(TIERS).skip(usize::from(!high_resolution)) {
            let start = at.floor(resolution);
            if start + resolution <= now - kept {
                continue;
            }
            add(points, start, unit, set);
            while points.front().is_some_and(|point| point.start + resolution <= now - kept) {
                points.pop_front();
            }
        }
    }

    /// The points of a query with that period over `[from, to)`, in order: of each age the finest resolution that is
    /// still kept, as long as it divides the period.
    fn points(&self, now: Time, period: Span, from: Time, to: Time) -> impl Iterator<Item = &Point> {
        let mut parts: [Option<std::collections::vec_deque::Iter<'_, Point>>; 4] = [const { None }; 4];
        let mut to = to;
        for (tier, (resolution, kept)) in TIERS.into_iter().enumerate() {
            let divides = period.as_micros() % resolution.as_micros() == 0;
            // Minutes are told by the minute points, which hold the high-resolution values too.
            if !divides || (tier == 0 && period >= TIERS[1].0) {
                continue;
            }
            // The edge between two resolutions is one of the coarser, lest a coarse point tells again what finer ones told.
            let edge = match tier {
                0 => from.max(now - kept),
                3 => from,
                _ => from.max((now - kept).next_multiple(TIERS[tier + 1].0)),
            };
            if edge < to {
                let points = &self.0[tier];
                let first = points.partition_point(|point| point.start < edge);
                let end = points.partition_point(|point| point.start < to);
                parts[3 - tier] = Some(points.range(first..end));
                to = edge;
            }
        }
        parts.into_iter().flatten().flatten()
    }

    /// Buckets of one period each from `from` on, up to `to`, those that have points. `by_unit` keeps units apart.
    pub(super) fn buckets(&self, query: &Window) -> Vec<Point> {
        let mut buckets: Vec<Point> = Vec::new();
        for point in self.points(query.now, query.period, query.from, query.to) {
            if query.unit.is_some_and(|unit| unit != point.unit) {
                continue;
            }
            let into = (point.start - query.from).as_micros().rem_euclid(query.period.as_micros());
            let start = point.start - Span::from_micros(into);
            let same =
                |bucket: &&mut Point| bucket.start == start && (!query.by_unit || bucket.unit == point.unit);
            // Points come in order, so the bucket is among the last few: one for each unit.
            let found = buckets.iter_mut().rev().take_while(|bucket| bucket.start >= start).find(same);
            match found {
                Some(bucket) if query.with_values => bucket.set.merge(&point.set),
                Some(bucket) => bucket.set.merge_summary(&point.set),
                None => buckets.push(Point { start, ..point.clone() }),
            }
        }
        buckets
    }
}

/// What is asked of a series.
pub(super) struct Window {
    pub(super) now: Time,
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) period: Span,
    pub(super) unit: Option<StandardUnit>,
    /// Whether points of different units stay apart.
    pub(super) by_unit: bool,
    /// Whether percentiles are wanted.
    pub(super) with_values: bool,
}

fn add(points: &mut VecDeque<Point>, start: Time, unit: StandardUnit, set: &StatisticSet) {
    let key = (start, unit);
    let at = match points.back() {
        Some(last) if (last.start, last.unit) >= key => {
            points.partition_point(|point| (point.start, point.unit) < key)
        }
        _ => points.len(),
    };
    match points.get_mut(at) {
        Some(point) if (point.start, point.unit) == key => point.set.merge(set),
        _ => points.insert(at, Point { start, unit, set: set.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(now: Time, from: Time, to: Time, period: Span) -> Window {
        Window { now, from, to, period, unit: None, by_unit: false, with_values: true }
    }

    #[test]
    fn old_points_are_told_at_the_resolution_that_is_left() {
        let day = Span::from_hours(24);
        let mut tiers = Tiers::default();
        let mut now = Time::ZERO;
        while now < Time::ZERO + day * 80 {
            tiers.put(now, now, StandardUnit::Count, &StatisticSet::of(1.0), false);
            now += Span::from_mins(1);
        }
        let count = |from: Time, period: Span| -> (usize, f64) {
            let buckets = tiers.buckets(&window(now, from, now, period));
            (buckets.len(), buckets.iter().map(|bucket| bucket.set.count).sum())
        };
        assert_eq!(count(now - day, Span::from_mins(1)), (1440, 1440.0));
        assert_eq!(count(now - day * 14, Span::from_mins(1)).0, 14 * 1440);
        // Nothing of a minute's resolution is older than 15 days.
        assert_eq!(count(Time::ZERO, Span::from_mins(1)).0, 15 * 1440 - 5);
        assert_eq!(count(now - day * 60, Span::from_mins(5)), (60 * 288, 60.0 * 1440.0));
        assert_eq!(count(Time::ZERO, Span::from_hours(1)), (80 * 24, 80.0 * 1440.0));
        assert!(tiers.0[1].len() <= 15 * 1440 + 1);
        assert_eq!(tiers.0[0].len(), 0);
    }

    #[test]
    fn late_points_find_their_place() {
        let mut tiers = Tiers::default();
        let now = Time::from_secs(7200);
        for (secs, unit) in [
            (600, StandardUnit::Count),
            (60, StandardUnit::Count),
            (65, StandardUnit::Bytes),
            (61, StandardUnit::Count),
        ] {
            tiers.put(now, Time::from_secs(secs), unit, &StatisticSet::of(2.0), false);
        }
        let query = window(now, Time::ZERO, now, Span::from_mins(1));
        let told: Vec<_> = tiers.buckets(&query).iter().map(|b| (b.start.as_secs(), b.set.count)).collect();
        assert_eq!(told, [(60, 3.0), (600, 1.0)]);
        let apart = tiers.buckets(&Window { by_unit: true, ..query });
        assert_eq!(apart.len(), 3);
    }

    proptest! {
        #[test]
        fn merging_is_counting(values in proptest::collection::vec(0u32..2_000, 1..1_500)) {
            let mut set = StatisticSet::of(f64::from(values[0]));
            for value in &values[1..] {
                set.merge(&StatisticSet::of(f64::from(*value)));
            }
            let sum: u32 = values.iter().sum();
            prop_assert_eq!(set.sum, f64::from(sum));
            prop_assert_eq!(set.count, values.len() as f64);
            let told = set.values().expect("single values are known");
            prop_assert!(told.len() <= DISTINCT_VALUES_MAX);
            prop_assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert_eq!(told.iter().map(|(_, count)| count).sum::<f64>(), set.count);
            prop_assert_eq!(told.last().map(|last| last.0), Some(set.max));
        }
    }
}
