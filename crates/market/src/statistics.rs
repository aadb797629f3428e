//! What a model's pools do, in the figures that were taken from public records of real ones (spot.md §5, §9, §10).
//!
//! Floats are for telling only: nothing here decides.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use capstan_model::{Span, Time};

use crate::{Market, Model, Pool};

/// Where and when the figures are taken: sixty pools of five scarce types, as those of the records, in three regions, from
/// the first of a month on.
const TYPES: [&str; 5] = ["c5.9xlarge", "m5.8xlarge", "m5a.16xlarge", "m6i.16xlarge", "r5.16xlarge"];
/// Types that most people use, for the figure of the Spot Instance Advisor.
const USUAL_TYPES: [&str; 4] = ["c5.xlarge", "m5.large", "m5a.large", "r5.large"];
/// Longer than what the records cover; the advisor counts by the month.
const MONTH: Span = Span::from_hours(30 * 24);
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "us-west-2"];
const START: Time = Time::from_secs(1_767_225_600);

/// What the records count a pool in.
const NODES: u32 = 16;
/// How often the records look.
const TICK: Span = Span::from_mins(5);
/// Interruptions this close together count as one.
const TOGETHER: Span = Span::from_mins(3);
/// How long one sample of recommendations lasts, as in the record.
const SAMPLE: Span = Span::from_hours(17);

/// Least, middle and greatest of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub greatest: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        match (figures.first(), figures.get(figures.len() / 2), figures.last()) {
            (Some(&least), Some(&median), Some(&greatest)) => Self { least, median, greatest },
            _ => Self::default(),
        }
    }
}

/// The figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    pub pools: usize,
    pub pool_days: i64,
    /// Share of the time in which a pool holds one instance.
    pub availability: Spread,
    /// Medians of the pools' runs, in hours.
    pub up_hours: Spread,
    pub down_hours: Spread,
    /// Correlation of availability between zones, one type: means over the pairs of zones of a region, by type and region;
    /// and between regions, by type.
    pub zone_correlation: Spread,
    pub region_correlation: Spread,
    /// Of interrupted instances, the share that had company within three minutes in its pool.
    pub together: f64,
    /// Of a pool that holds 16: nodes lost in a drop, and the share of drops that leave none.
    pub drop_nodes: f64,
    pub drops_to_zero: f64,
    /// Instances observed for 17 hours or until their interruption, by what they got: a recommendation before their notice,
    /// a recommendation only, a notice only; in shares of those that got any.
    pub both: f64,
    pub recommendation_only: f64,
    pub notice_only: f64,
    /// Share of months in which an instance of a usual type (`*.large`, `*.xlarge`) is interrupted, over its pools.
    pub monthly: f64,
    /// Spot price over On-Demand price, at each setting of a price.
    pub price_ratio: Spread,
    /// Dearest over cheapest zone of a type in a region, daily.
    pub zone_price_ratio: Spread,
    /// A price over the one before it: how much one setting moves it.
    pub price_step: Spread,
    /// Settings of a price each day.
    pub price_changes_daily: f64,
}

/// The pools that are measured, by region and type.
pub fn pools() -> Vec<Pool> {
    pools_of(&TYPES)
}

fn pools_of(types: &[&str]) -> Vec<Pool> {
    let mut found = Vec::new();
    for region in REGIONS {
        let zones = capstan_model::region(region).map_or(&[][..], |region| region.zones);
        for kind in types {
            found.extend(zones.iter().filter_map(|zone| Pool::find(kind, zone.name)));
        }
    }
    found
}

/// A pool's share of its size over the time: each change with its moment.
fn shares(model: &Model, pool: Pool, days: i64) -> Vec<(Time, u32)> {
    let end = START + Span::from_hours(24 * days);
    let mut found = vec![(START, model.share(pool, START))];
    let mut at = START;
    while let Some(next) = model.next_change(pool, at).filter(|next| *next < end) {
        found.push((next, model.share(pool, next)));
        at = next;
    }
    found
}

/// Takes the figures of so many days of every pool under that seed.
pub fn measure(seed: u64, days: i64) -> Statistics {
    let model = Model::new(seed);
    let market = Market::Model(model);
    let end = START + Span::from_hours(24 * days);
    let pools = pools();
    let mut ticks: BTreeMap<(&str, &str), Vec<Vec<bool>>> = BTreeMap::new();
    let (mut availability, mut up, mut down) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dropped, mut drops, mut to_zero) = (0_u64, 0_u64, 0_u64);
    let (mut interrupted, mut in_company) = (0_u64, 0_u64);
    let mut signals = [0_u64; 3];
    let (mut ratios, mut steps) = (Vec::new(), Vec::new());
    for &pool in &pools {
        let shares = shares(&model, pool, days);
        let (runs_up, runs_down) = runs(&shares, end);
        let hours = |runs: &[Span]| runs.iter().map(|run| run.as_secs() as f64 / 3600.0).collect::<Vec<_>>();
        availability.push(hours(&runs_up).iter().sum::<f64>() / (24 * days) as f64);
        up.push(Spread::of(hours(&runs_up)).median);
        down.push(Spread::of(hours(&runs_down)).median);
        let region = capstan_model::zone(pool.zone.name).map_or("", |(region, _)| region.name);
        ticks.entry((&pool.instance_type.name, region)).or_default().push(sampled(&shares, end));
        for loss in losses(&shares) {
            drops += 1;
            dropped += u64::from(loss.nodes);
            to_zero += u64::from(loss.left == 0);
            interrupted += u64::from(loss.nodes);
            in_company += if loss.nodes > 1 || loss.company { u64::from(loss.nodes) } else { 0 };
        }
        count_signals(&market, pool, &shares, end, &mut signals);
        let on_demand = pool.on_demand_price().map_or(1, |price| price.0) as f64;
        let prices = market.prices(pool, START, end);
        ratios.extend(prices.iter().map(|(_, price)| price.0 as f64 / on_demand));
        steps.extend(prices.windows(2).map(|pair| pair[1].1.0 as f64 / pair[0].1.0 as f64));
    }
    let signalled = signals.iter().sum::<u64>().max(1) as f64;
    let price_changes = steps.len();
    Statistics {
        pools: pools.len(),
        pool_days: days * pools.len() as i64,
        availability: Spread::of(availability),
        up_hours: Spread::of(up),
        down_hours: Spread::of(down),
        zone_correlation: Spread::of(ticks.values().map(|zones| mean_correlation(zones, zones)).collect()),
        region_correlation: Spread::of(between_regions(&ticks)),
        together: in_company as f64 / interrupted.max(1) as f64,
        drop_nodes: dropped as f64 / drops.max(1) as f64,
        drops_to_zero: to_zero as f64 / drops.max(1) as f64,
        both: signals[0] as f64 / signalled,
        recommendation_only: signals[1] as f64 / signalled,
        notice_only: signals[2] as f64 / signalled,
        monthly: interrupted_months(&model, days),
        price_ratio: Spread::of(ratios),
        zone_price_ratio: Spread::of(zone_prices(&market, &pools, days)),
        price_step: Spread::of(steps),
        price_changes_daily: price_changes as f64 / (days * pools.len() as i64) as f64,
    }
}

/// Of so many days' instances of usual types, the share that loses its pool, scaled to a month: an instance that is taken
/// is counted once. Such pools are deep: fewer than three months of them say nothing.
fn interrupted_months(model: &Model, days: i64) -> f64 {
    let days = days.max(90);
    let pools = pools_of(&USUAL_TYPES);
    let end = START + Span::from_hours(24 * days);
    let mut kept = 0.0;
    for pool in &pools {
        let taken = shares(model, *pool, days).iter().any(|(_, share)| *share == 0);
        kept += if taken { 0.0 } else { 1.0 };
    }
    let months = (end - START).as_secs() as f64 / MONTH.as_secs() as f64;
    1.0 - (kept / pools.len() as f64).powf(1.0 / months)
}

/// Lengths of the times with and without capacity. The first and the last are cut off by the period and left out, unless
/// they are all there is.
fn runs(shares: &[(Time, u32)], end: Time) -> (Vec<Span>, Vec<Span>) {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut since = shares[0].0;
    let mut state = shares[0].1 > 0;
    for (time, share) in shares.iter().skip(1).chain([&(end, u32::MAX)]) {
        if (*share > 0) != state || *time == end {
            if state {
                up.push(*time - since)
            } else {
                down.push(*time - since)
            }
            (since, state) = (*time, *share > 0);
        }
    }
    (up, down)
}

fn sampled(shares: &[(Time, u32)], end: Time) -> Vec<bool> {
    let mut found = Vec::new();
    let (mut at, mut row) = (START, 0);
    while at < end {
        while shares.get(row + 1).is_some_and(|(time, _)| *time <= at) {
            row += 1;
        }
        found.push(shares[row].1 > 0);
        at += TICK;
    }
    found
}

/// What a pool of 16 nodes, all taken, loses.
struct Loss {
    nodes: u32,
    left: u32,
    /// Whether the pool lost something else within three minutes.
    company: bool,
}

fn losses(shares: &[(Time, u32)]) -> Vec<Loss> {
    let nodes = |share: u32| NODES * share / 1000;
    let mut found: Vec<(Time, Loss)> = Vec::new();
    for pair in shares.windows(2) {
        let (before, after) = (nodes(pair[0].1), nodes(pair[1].1));
        if after < before {
            let at = pair[1].0;
            let mut company = false;
            if let Some((earlier, loss)) = found.last_mut()
                && at - *earlier <= TOGETHER
            {
                loss.company = true;
                company = true;
            }
            found.push((at, Loss { nodes: before - after, left: after, company }));
        }
    }
    found.into_iter().map(|(_, loss)| loss).collect()
}

/// Follows one instance of the pool after the other: from when there is capacity until it is interrupted or the sample of
/// 17 hours is over.
fn count_signals(market: &Market, pool: Pool, shares: &[(Time, u32)], end: Time, signals: &mut [u64; 3]) {
    let mut sample = START;
    while sample + SAMPLE <= end {
        let (from, to) = (sample, sample + SAMPLE);
        sample = to;
        let in_force = shares.partition_point(|(time, _)| *time <= from).saturating_sub(1);
        let mut rest = shares[in_force..].iter().filter(|(time, _)| *time < to);
        let Some(launched) = rest.find(|(_, share)| *share > 0).map(|(time, _)| (*time).max(from)) else {
            continue;
        };
        let notice = rest.find(|(_, share)| *share == 0).map(|(time, _)| *time);
        let until = notice.unwrap_or(to);
        let recommended = market.next_recommendation(pool, launched).is_some_and(|time| time < until);
        match (recommended, notice.is_some()) {
            (true, true) => signals[0] += 1,
            (true, false) => signals[1] += 1,
            (false, true) => signals[2] += 1,
            (false, false) => {}
        }
    }
}

fn correlation(a: &[bool], b: &[bool]) -> Option<f64> {
    let n = a.len().min(b.len()) as f64;
    let count =
        |hit: &dyn Fn(bool, bool) -> bool| a.iter().zip(b).filter(|(a, b)| hit(**a, **b)).count() as f64;
    let (of_a, of_b, both) = (count(&|a, _| a) / n, count(&|_, b| b) / n, count(&|a, b| a && b) / n);
    let deviation = (of_a * (1.0 - of_a) * of_b * (1.0 - of_b)).sqrt();
    (deviation > 0.0).then(|| (both - of_a * of_b) / deviation)
}

/// The mean over all pairs of different pools.
fn mean_correlation(some: &[Vec<bool>], others: &[Vec<bool>]) -> f64 {
    let same = std::ptr::eq(some, others);
    let mut found = Vec::new();
    for (i, a) in some.iter().enumerate() {
        for (j, b) in others.iter().enumerate() {
            if !same || i < j {
                found.extend(correlation(a, b));
            }
        }
    }
    found.iter().sum::<f64>() / found.len().max(1) as f64
}

fn between_regions(ticks: &BTreeMap<(&str, &str), Vec<Vec<bool>>>) -> Vec<f64> {
    let mut found = Vec::new();
    for ((kind, region), pools) in ticks {
        for ((_, other), others) in ticks.iter().filter(|((each, _), _)| each == kind) {
            if region < other {
                found.push(mean_correlation(pools, others));
            }
        }
    }
    found
}

fn zone_prices(market: &Market, pools: &[Pool], days: i64) -> Vec<f64> {
    let mut found = Vec::new();
    for day in 0..days {
        let at = START + Span::from_hours(24 * day);
        let mut by_type: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
        for pool in pools {
            let region = capstan_model::zone(pool.zone.name).map_or("", |(region, _)| region.name);
            let price = market.price(*pool, at).map_or(0, |price| price.0) as f64;
            by_type.entry((&pool.instance_type.name, region)).or_default().push(price);
        }
        found.extend(by_type.values().map(|prices| {
            let spread = Spread::of(prices.clone());
            spread.greatest / spread.least
        }));
    }
    found
}

/// The figures beside those of the records, as a Markdown table.
pub fn table(figures: &Statistics) -> String {
    let spread = |of: Spread| format!("{:.2} – **{:.2}** – {:.2}", of.least, of.median, of.greatest);
    let rows: [(&str, String, &str); 15] = [
        (
            "availability of one instance, by pool",
            spread(figures.availability),
            ".64 / .85 / .94 (r5.16xlarge)",
        ),
        ("median run with capacity, hours, by pool", spread(figures.up_hours), ".27 / .42 / 3.8"),
        ("median run without, hours, by pool", spread(figures.down_hours), ".12 / .14 / .15"),
        (
            "correlation of availability between zones, one type",
            spread(figures.zone_correlation),
            ".25 – .59",
        ),
        ("correlation between regions", spread(figures.region_correlation), ".03 – .27"),
        (
            "interrupted with company in the pool within 3 minutes",
            format!("{:.1} %", 100.0 * figures.together),
            "> 90 %",
        ),
        ("nodes of 16 that a drop takes", format!("{:.1}", figures.drop_nodes), "6.7 – 11.1"),
        ("drops that leave none", format!("{:.0} %", 100.0 * figures.drops_to_zero), "36 – 72 %"),
        (
            "notices with a recommendation before",
            format!("{:.0} %", 100.0 * figures.both / (figures.both + figures.notice_only)),
            "60 % (9 of 15)",
        ),
        (
            "recommendation and notice / recommendation only / notice only, of those with any in 17 hours",
            format!(
                "{:.0} / {:.0} / {:.0} %",
                100.0 * figures.both,
                100.0 * figures.recommendation_only,
                100.0 * figures.notice_only
            ),
            "25 / 58 / 17 % (9, 21, 6 nodes)",
        ),
        (
            "months in which an instance of a usual type (`*.large`, `*.xlarge`) is interrupted",
            format!("{:.0} %", 100.0 * figures.monthly),
            "buckets from < 5 % to > 20 % (Spot Instance Advisor)",
        ),
        ("Spot price over On-Demand", spread(figures.price_ratio), ".30 – .59 (one .68); bounds .10 and 1"),
        ("dearest over cheapest zone of a type", spread(figures.zone_price_ratio), "1.1 – 1.35, up to 1.6"),
        ("a price over the one before it", spread(figures.price_step), "gradual"),
        ("changes of a price each day", format!("{:.1}", figures.price_changes_daily), "–"),
    ];
    let mut text =
        String::from("| figure | model (least – **median** – greatest) | records |\n| --- | --- | --- |\n");
    for (name, of_model, of_records) in rows {
        let _ = writeln!(text, "| {name} | {of_model} | {of_records} |");
    }
    text
}

/// The figures and some days of a few pools, as an SVG picture.
pub fn picture(seed: u64, figures: &Statistics) -> String {
    crate::plot::picture(seed, figures, START)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bands of the records, a little wider at the ends: a week of sixty pools is less than they saw.
    #[test]
    fn the_model_does_what_the_records_show() {
        for seed in [1, 20, 300] {
            let found = measure(seed, 7);
            let within = |name: &str, figure: f64, low: f64, high: f64| {
                assert!((low..=high).contains(&figure), "{name} {figure} under seed {seed}");
            };
            within("availability", found.availability.median, 0.64, 0.94);
            within("least availability", found.availability.least, 0.4, 0.9);
            within("up", found.up_hours.median, 0.27, 3.8);
            within("down", found.down_hours.median, 0.12, 0.15);
            within("zones", found.zone_correlation.median, 0.25, 0.59);
            within("least of zones", found.zone_correlation.least, 0.1, 0.59);
            within("regions", found.region_correlation.median, -0.05, 0.27);
            within("together", found.together, 0.9, 1.0);
            within("nodes", found.drop_nodes, 6.7, 11.1);
            within("to zero", found.drops_to_zero, 0.36, 0.72);
            within("warned", found.both / (found.both + found.notice_only), 0.4, 0.8);
            within("months", found.monthly, 0.02, 0.35);
            within("price", found.price_ratio.median, 0.30, 0.59);
            within("cheapest", found.price_ratio.least, 0.1, 1.0);
            within("dearest", found.price_ratio.greatest, 0.1, 1.0);
            within("zone prices", found.zone_price_ratio.median, 1.05, 1.6);
            within("a fall", found.price_step.least, 0.8, 1.0);
            within("a rise", found.price_step.greatest, 1.0, 1.25);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let render = |seed| picture(seed, &measure(seed, 1));
        assert_eq!(render(5), render(5));
        assert_ne!(render(5), render(6));
    }
}
