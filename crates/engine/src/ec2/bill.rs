//! What instances cost: every second in micro-dollars (EC2 guide, billing-for-interrupted-spot-instances; spot.md §6).
//!
//! An instance is charged from `running` until it leaves it, in whole seconds, for at least a minute. Spot costs the price in
//! force at each second. An instance that EC2 takes back within its first hour is free.

use std::collections::BTreeMap;

use capstan_market::{Market, Pool};
use capstan_model::{InstanceId, MicroDollars, Region, Span, Time};
use capstan_shapes::ec2::InstanceStateName;

use super::Instance;
use crate::Engine;
use crate::kernel::{NoIndex, Row};

/// The shortest time that is charged.
const SHORTEST: Span = Span::from_mins(1);
/// Interrupted within this, an instance is free.
const FREE_WHEN_TAKEN: Span = Span::from_hours(1);
/// Micro-dollars × microseconds that make a micro-dollar of an hourly price.
const HOUR_MICROS: i128 = 3_600_000_000;

/// What a line of the bill is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BillKey {
    /// The Auto Scaling group; `None` for instances outside groups.
    pub group: Option<String>,
    pub spot: bool,
    /// `m5.large`
    pub instance_type: &'static str,
}

/// Sums of a line. Costs are sums of hourly micro-dollars × microseconds, rounded when they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Times that an instance ran.
    pub runs: u64,
    /// Seconds charged.
    pub seconds: i64,
    /// Seconds free, because EC2 took the instance back within its first hour.
    pub free_seconds: i64,
    cost: i128,
    on_demand: i128,
}

impl Sums {
    pub fn cost(&self) -> MicroDollars {
        told(self.cost)
    }

    /// What the seconds, the free ones too, would have cost On-Demand.
    pub fn on_demand_cost(&self) -> MicroDollars {
        told(self.on_demand)
    }

    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.seconds += other.seconds;
        self.free_seconds += other.free_seconds;
        self.cost += other.cost;
        self.on_demand += other.on_demand;
    }
}

/// Rounds half up.
fn told(cost: i128) -> MicroDollars {
    MicroDollars(i64::try_from((cost + HOUR_MICROS / 2) / HOUR_MICROS).unwrap_or(i64::MAX))
}

/// What has ended, summed up: the ledger.
#[derive(Clone, Debug)]
pub struct BillLine {
    pub key: BillKey,
    pub sums: Sums,
}

impl Row for BillLine {
    type Key = BillKey;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.bill";

    fn key(&self) -> BillKey {
        self.key.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// An instance that runs and will be charged.
#[derive(Clone, Debug)]
pub struct Meter {
    pub instance: InstanceId,
    pub since: Time,
}

impl Row for Meter {
    type Key = InstanceId;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.meters";

    fn key(&self) -> InstanceId {
        self.instance
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// An instance has changed its state: it begins to cost, or stops to.
pub(super) fn instance_state(cx: &mut Engine, id: InstanceId, state: &str) {
    if state == InstanceStateName::Running.as_str() {
        let since = cx.now;
        cx.ec2.meters.insert(Meter { instance: id, since });
        return;
    }
    let Some(meter) = cx.ec2.meters.remove(&id) else { return };
    let Some(instance) = cx.ec2.instances.get(&id) else { return };
    let key = key(instance);
    let sums = charge(cx, instance, meter.since, cx.now, is_taken(instance));
    if let Some(mut line) = cx.ec2.bill.edit(&key) {
        line.sums.add(&sums);
    } else {
        cx.ec2.bill.insert(BillLine { key, sums });
    }
}

/// Whether EC2 ended the run.
fn is_taken(instance: &Instance) -> bool {
    let spot = instance.spot.as_ref().and_then(|spot| spot.interruption.map(|_| spot));
    spot.is_some()
        && (instance.is_evicted()
            || instance.state == InstanceStateName::Stopping && is_stopped_by_ec2(instance))
}

fn is_stopped_by_ec2(instance: &Instance) -> bool {
    instance.state_reason.as_ref().is_some_and(|reason| reason.code == "Server.SpotInstanceShutdown")
}

fn key(instance: &Instance) -> BillKey {
    BillKey {
        group: instance.group().map(str::to_owned),
        spot: instance.is_spot(),
        instance_type: &instance.instance_type.name,
    }
}

fn charge(cx: &Engine, instance: &Instance, since: Time, until: Time, taken: bool) -> Sums {
    let prices = Prices { market: &cx.config.market, region: cx.config.region, pool: instance.pool() };
    prices.charge(instance.is_spot(), since, until, taken)
}

struct Prices<'a> {
    market: &'a Market,
    region: &'static Region,
    pool: Pool,
}

impl Prices<'_> {
    fn charge(&self, spot: bool, since: Time, until: Time, taken: bool) -> Sums {
        let span = until - since;
        let whole = Span::from_secs((span.as_micros() + 999_999).div_euclid(1_000_000)).max(SHORTEST);
        let MicroDollars(hourly) =
            self.pool.instance_type.on_demand_price(self.region.name).unwrap_or_default();
        let on_demand = i128::from(hourly) * i128::from(whole.as_micros());
        if taken && span < FREE_WHEN_TAKEN {
            return Sums { runs: 1, free_seconds: whole.as_secs(), on_demand, ..Sums::default() };
        }
        let cost = if spot { self.spot(since, since + whole) } else { on_demand };
        Sums { runs: 1, seconds: whole.as_secs(), free_seconds: 0, cost, on_demand }
    }

    /// The price in force, piece by piece.
    fn spot(&self, since: Time, until: Time) -> i128 {
        let prices = self.market.prices(self.pool, since, until);
        let ends = prices.iter().skip(1).map(|(time, _)| *time).chain([until]);
        let pieces = prices.iter().zip(ends);
        pieces.map(|((from, price), to)| i128::from(price.0) * i128::from((to - *from).as_micros())).sum()
    }
}

/// The bill until now, what still runs included.
pub fn bill(engine: &Engine) -> BTreeMap<BillKey, Sums> {
    let mut lines: BTreeMap<BillKey, Sums> =
        engine.ec2.bill.iter().map(|line| (line.key.clone(), line.sums)).collect();
    for meter in engine.ec2.meters.iter() {
        let Some(instance) = engine.ec2.instances.get(&meter.instance) else { continue };
        let sums = charge(engine, instance, meter.since, engine.now, false);
        lines.entry(key(instance)).or_default().add(&sums);
    }
    lines
}

/// The sum of lines.
pub fn total<'a>(lines: impl IntoIterator<Item = &'a Sums>) -> Sums {
    lines.into_iter().fold(Sums::default(), |mut sum, line| {
        sum.add(line);
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_market::Trace;
    use proptest::prelude::*;

    const START: Time = Time::from_secs(1_767_225_600);

    fn charged(market: &Market, spot: bool, span: Span, taken: bool) -> Sums {
        let pool = Pool::find("m5.large", "us-east-1a").unwrap();
        let region = capstan_model::region("us-east-1").unwrap();
        Prices { market, region, pool }.charge(spot, START, START + span, taken)
    }

    #[test]
    fn seconds_cost_what_the_rules_say() {
        let text = "time,zone,type,price,capacity\n+0,us-east-1a,m5.large,0.0360,\n+1800,us-east-1a,m5.large,0.0720,\n";
        let market = Market::Trace(Trace::parse(text, START).unwrap());
        let check = |spot, span, taken, seconds, free, cost: i64| {
            let sums = charged(&market, spot, span, taken);
            assert_eq!(
                (sums.seconds, sums.free_seconds, sums.cost().0),
                (seconds, free, cost),
                "{spot} {span} {taken}"
            );
        };
        let (secs, millis) = (Span::from_secs, Span::from_millis);
        // 96,000 micro-dollars an hour.
        check(false, secs(3600), false, 3600, 0, 96_000);
        check(false, secs(1), false, 60, 0, 1_600);
        check(false, millis(90_001), false, 91, 0, 2_427);
        // Half an hour at 36,000, then at 72,000.
        check(true, secs(1800), false, 1800, 0, 18_000);
        check(true, secs(3600), false, 3600, 0, 54_000);
        check(true, secs(1830), false, 1830, 0, 18_600);
        check(true, secs(3599), true, 0, 3599, 0);
        check(true, secs(3600), true, 3600, 0, 54_000);
    }

    proptest! {
        #[test]
        fn a_run_costs_the_sum_of_its_parts(seed: u64, first in 60_i64..400_000, second in 60_i64..400_000) {
            let market = Market::Model(capstan_market::Model::new(seed));
            let pool = Pool::find("m5.large", "us-east-1a").unwrap();
            let region = capstan_model::region("us-east-1").unwrap();
            let prices = Prices { market: &market, region, pool };
            let middle = START + Span::from_secs(first);
            let end = middle + Span::from_secs(second);
            let whole = prices.charge(true, START, end, false);
            let mut parts = prices.charge(true, START, middle, false);
            parts.add(&prices.charge(true, middle, end, false));
            prop_assert_eq!((whole.seconds, whole.cost), (parts.seconds, parts.cost));
            prop_assert!(whole.cost <= whole.on_demand);
        }
    }
}
