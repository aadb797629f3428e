//! Prices and capacity that move as public records of real pools do (spot.md §9 and §10).
//!
//! Scarcity is a sum of staircases: chance that is drawn anew every 7 minutes, every 40 minutes, … every four days, for the
//! world, the region, the type's family in the region, the zone, and the pool alone. Where a pool's scarcity passes its
//! limit, it loses most of its capacity at once, and what is common to pools makes them lose it together. The shares of
//! the parts are ours; they are set so that `statistics` finds what the records show.

use capstan_model::catalogue::InstanceType;
use capstan_model::{MicroDollars, Span, Time};

use crate::Pool;
use crate::noise::{between, draw, key, normal, period};

/// A market out of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    seed: u64,
    scarce: bool,
}

/// Whose scarcity it is, and its weight in thousandths: the square root of its share of the variance. Zones of a region
/// share 0.68 of it (availability then correlates by about 0.4), regions 0.12.
const SCOPES: [i64; 5] = [WORLD, REGION, FAMILY, ZONE, POOL];
const WORLD: i64 = 346;
const REGION: i64 = 469;
const FAMILY: i64 = 583;
const ZONE: i64 = 283;
const POOL: i64 = 490;

/// How long each part of the staircase lasts, in steps of the finest, and its weight in thousandths. Short steps make
/// the runs short, long ones make quiet days and bad days.
const SCALES: [(i64, i64); 5] = [(1, 560), (6, 500), (30, 440), (180, 390), (720, 290)];

/// The finest step, on average, and how much later than that each one may begin. The medians of the times without capacity are 7 to 9 minutes (spot.md §10).
const STEP: Span = Span::from_mins(7);
const STEP_JITTER: Span = Span::from_mins(4);

/// Purposes of draws that belong to a pool.
const LIMIT: u64 = 1;
const SIZE: u64 = 2;
const LEVEL: u64 = 3;
const REST: u64 = 4;
const PHASE: u64 = 5;
const PRICE: u64 = 6;
const PRICE_TIME: u64 = 7;
const RECOMMENDATION: u64 = 8;
const JITTER: u64 = 9;

/// Limits of scarcity, as normal quantiles in thousandths. Of scarce types: availability .74 to .94 in the long run, with the
/// good and bad weeks of a pool on both sides (.64 to .94 for r5.16xlarge, spot.md §10).
const SCARCE: (i64, i64) = (640, 1555);
/// Of types in between.
const MIDDLING: (i64, i64) = (1600, 3000);
/// Of deep ones: what holds a few instances is interrupted in less than 5 % to somewhat more than 20 % of months (the Spot
/// Instance Advisor's range, spot.md §6).
const DEEP: (i64, i64) = (3700, 4800);

/// How deep a type's pools are goes by the share of a host that an instance takes (ours; AWS publishes no depth).
fn limits(kind: &InstanceType) -> (i64, i64) {
    match kind.vcpus {
        _ if kind.gpus > 0 || kind.bare_metal => SCARCE,
        32.. => SCARCE,
        8..32 => MIDDLING,
        0..8 => DEEP,
    }
}

/// So far below the limit a pool has lost most of its capacity, but not all.
const PARTIAL: i64 = 330;

/// So long before a pool loses all its capacity EC2 recommends to leave it, if it does (17 minutes to 8 h 42 min, spot.md
/// §5), and of so many hundred such losses.
const FORESEEN: (Span, Span) = (Span::from_mins(17), Span::from_mins(8 * 60 + 42));
const FORESEEN_PERCENT: i64 = 85;

/// A pool's vCPUs: between 2^8 and 2^14, evenly by the exponent (ours; nobody publishes it).
const SIZE_BITS: (i64, i64) = (8, 13);

/// So many steps a pool keeps its usual level of capacity, 10 to 16 sixteenths of its size, and what is left of it after
/// most is lost, 1 to 8 sixteenths.
const LEVEL_STEPS: i64 = 50;

/// How far a search goes for a recommendation: a deep pool has none for months.
const RECOMMENDATIONS_AHEAD: Span = Span::from_hours(48);

/// How far a search goes for a change.
const YEAR: Span = Span::from_hours(366 * 24);

/// The price is set anew so often, on average; it follows a line between points so far apart.
const PRICE_STEP: Span = Span::from_hours(5);
const PRICE_JITTER: Span = Span::from_hours(4);
const PRICE_POINTS: Span = Span::from_hours(60);

/// What is drawn of a pool once.
struct Traits {
    /// Keys of world, region, family, zone, pool.
    scopes: [u64; 5],
    /// Where the steps begin in this pool: at about the same time all over the region.
    phase: Span,
    limit: i64,
}

/// How much of its capacity a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Usual,
    Partial,
    Nothing,
}

impl Model {
    /// Small types are deep pools, large ones, GPUs and bare metal are scarce.
    pub fn new(seed: u64) -> Self {
        Self { seed, scarce: false }
    }

    /// Every pool is as scarce as those of the records: for rehearsals that cannot wait for weeks.
    pub fn scarce(seed: u64) -> Self {
        Self { seed, scarce: true }
    }

    fn traits(&self, pool: Pool) -> Traits {
        let region = capstan_model::zone(pool.zone.name).map_or("", |(region, _)| region.name);
        let own = self.key(&[pool.zone.id, &pool.instance_type.name]);
        let scopes = [
            self.key(&["world"]),
            self.key(&[region]),
            self.key(&[region, pool.instance_type.family]),
            self.key(&[pool.zone.id]),
            own,
        ];
        let begin = between(draw(&[scopes[1], PHASE]), 0, STEP.as_micros());
        // A pool feels what is common up to two minutes later than another one.
        let delay = between(draw(&[own, PHASE]), 0, Span::from_mins(2).as_micros());
        let phase = Span::from_micros(begin + delay);
        let (low, high) = if self.scarce { SCARCE } else { limits(pool.instance_type) };
        Traits { scopes, phase, limit: between(draw(&[own, LIMIT]), low, high) }
    }

    fn key(&self, parts: &[&str]) -> u64 {
        draw(&[self.seed, key(parts)])
    }

    /// What the pool has of its size, in thousandths.
    pub(crate) fn share(&self, pool: Pool, at: Time) -> u32 {
        self.traits(pool).share(at)
    }

    pub(crate) fn capacity(&self, pool: Pool, at: Time) -> u32 {
        self.traits(pool).capacity(pool, at)
    }

    /// Never `None`: a model has no end. A pool whose capacity stays for a year is looked at then.
    pub(crate) fn next_change(&self, pool: Pool, after: Time) -> Option<Time> {
        let traits = self.traits(pool);
        let now = traits.capacity(pool, after);
        let end = after + YEAR;
        let mut at = after;
        while at < end {
            at = traits.next_step(at);
            if traits.capacity(pool, at) != now {
                return Some(at);
            }
        }
        Some(end)
    }

    /// A recommendation comes some time before most losses of all capacity, and when a pool loses much of it.
    pub(crate) fn next_recommendation(&self, pool: Pool, after: Time) -> Option<Time> {
        let traits = self.traits(pool);
        let end = after + RECOMMENDATIONS_AHEAD;
        // The run with capacity that the moment lies in, as far back as a recommendation can reach.
        let mut at = traits.next_step(after - FORESEEN.1);
        let mut since = Some(after - FORESEEN.1).filter(|since| traits.state(*since) != State::Nothing);
        let mut state = traits.state(after - FORESEEN.1);
        let mut warned = None;
        while at < end {
            let now = traits.state(at);
            match (state, now) {
                (State::Nothing, State::Usual | State::Partial) => since = Some(at),
                (State::Usual | State::Partial, State::Nothing) => {
                    let foreseen = since.and_then(|since| traits.foreseen(since, at));
                    let found = [foreseen, warned].into_iter().flatten().filter(|time| *time > after).min();
                    if found.is_some() {
                        return found;
                    }
                    since = None;
                }
                (State::Usual, State::Partial) if at > after && warned.is_none() => warned = Some(at),
                _ => {}
            }
            // What is recommended later than this cannot come before it.
            if let Some(found) = warned.filter(|time| at - *time > FORESEEN.1) {
                return Some(found);
            }
            state = now;
            at = traits.next_step(at);
        }
        warned
    }

    /// The moments at which prices are set: one in each period, at a place of its own.
    fn price_time(own: u64, block: u64) -> Time {
        let begin = Time::from_micros(PRICE_STEP.as_micros().wrapping_mul(block.cast_signed()));
        begin + Span::from_micros(between(draw(&[own, PRICE_TIME, block]), 0, PRICE_JITTER.as_micros()))
    }

    /// The period whose price is in force.
    fn price_block(own: u64, at: Time) -> u64 {
        let (block, _) = period(at, PRICE_STEP);
        if Self::price_time(own, block) <= at { block } else { block.wrapping_sub(1) }
    }

    pub(crate) fn price(&self, pool: Pool, listed: MicroDollars, at: Time) -> MicroDollars {
        let traits = self.traits(pool);
        Self::price_set(&traits, pool, listed, Self::price_block(traits.scopes[4], at))
    }

    fn price_set(traits: &Traits, pool: Pool, listed: MicroDollars, block: u64) -> MicroDollars {
        let set_at = Self::price_time(traits.scopes[4], block);
        // A tenth up or down with the family in the region, and the same again alone.
        let move_permille: i64 = [traits.scopes[2], traits.scopes[4]]
            .map(|scope| {
                let (point, into) = period(set_at, PRICE_POINTS);
                let of = |point: u64| normal(draw(&[scope, PRICE, point]));
                let (from, to) = (of(point), of(point.wrapping_add(1)));
                (from + (to - from) * (into / 1000) / PRICE_POINTS.as_millis()) / 10
            })
            .iter()
            .sum();
        pool.bounded(listed.0 * (1000 + move_permille) / 1000)
    }

    pub(crate) fn next_price_change(&self, pool: Pool, listed: MicroDollars, after: Time) -> Option<Time> {
        let traits = self.traits(pool);
        let block = Self::price_block(traits.scopes[4], after);
        let now = Self::price_set(&traits, pool, listed, block);
        // At a bound a price may rest for long.
        (1..2_000)
            .map(|step| block.wrapping_add(step))
            .find(|block| Self::price_set(&traits, pool, listed, *block) != now)
            .map(|block| Self::price_time(traits.scopes[4], block))
    }

    pub(crate) fn price_since(&self, pool: Pool, listed: MicroDollars, at: Time) -> Time {
        let traits = self.traits(pool);
        let block = Self::price_block(traits.scopes[4], at);
        let now = Self::price_set(&traits, pool, listed, block);
        let earlier = (0..2_000).map(|step| block.wrapping_sub(step));
        let same = earlier.take_while(|block| Self::price_set(&traits, pool, listed, *block) == now).last();
        Self::price_time(traits.scopes[4], same.unwrap_or(block))
    }
}

impl Traits {
    /// Scarcity in thousandths of its deviation.
    fn scarcity(&self, at: Time) -> i64 {
        let step = self.step(at);
        let mut sum = 0;
        for (scope, share) in self.scopes.iter().zip(SCOPES) {
            for (scale, (steps, weight)) in (0_u64..).zip(SCALES) {
                let block = step.div_euclid(steps).cast_unsigned();
                sum += share * weight * normal(draw(&[*scope, scale, block]));
            }
        }
        sum / 1_000_000
    }

    /// The beginning of a step in this pool.
    fn begin(&self, step: i64) -> Time {
        let jitter = draw(&[self.scopes[1], JITTER, step.cast_unsigned()]);
        let jitter = between(jitter, 0, STEP_JITTER.as_micros());
        Time::ZERO + STEP * step + self.phase + Span::from_micros(jitter)
    }

    /// The step that a moment lies in.
    fn step(&self, at: Time) -> i64 {
        let step = period(at - self.phase, STEP).0.cast_signed();
        if self.begin(step) <= at { step } else { step - 1 }
    }

    /// The next moment after that one at which the pool can change.
    fn next_step(&self, after: Time) -> Time {
        self.begin(self.step(after) + 1)
    }

    fn state(&self, at: Time) -> State {
        match self.limit - self.scarcity(at) {
            ..0 => State::Nothing,
            0..PARTIAL => State::Partial,
            _ => State::Usual,
        }
    }

    fn share(&self, at: Time) -> u32 {
        let own = self.scopes[4];
        let block = self.step(at).div_euclid(LEVEL_STEPS).cast_unsigned();
        let sixteenths = match self.state(at) {
            State::Nothing => 0,
            State::Partial => between(draw(&[own, REST, block]), 1, 8),
            State::Usual => between(draw(&[own, LEVEL, block]), 10, 16),
        };
        u32::try_from(sixteenths * 1000 / 16).unwrap_or_default()
    }

    /// Instances that the pool can hold at its best.
    fn size(&self, pool: Pool) -> u64 {
        let bits = draw(&[self.scopes[4], SIZE]);
        let exponent = between(bits, SIZE_BITS.0, SIZE_BITS.1);
        let fraction = between(bits.rotate_left(32), 0, 1 << exponent);
        let vcpus = ((1_i64 << exponent) + fraction).unsigned_abs();
        (vcpus / u64::from(pool.instance_type.vcpus.max(1))).max(1)
    }

    fn capacity(&self, pool: Pool, at: Time) -> u32 {
        let share = u64::from(self.share(at));
        // A small pool that has something left has an instance left.
        let least = u64::from(share > 0);
        u32::try_from((self.size(pool) * share / 1000).max(least)).unwrap_or(u32::MAX)
    }

    /// When EC2 recommends to leave a pool that has had capacity since then and will lose it at that moment: at a gap of
    /// 17 minutes doubled at random, as far as the run allows.
    fn foreseen(&self, since: Time, lost_at: Time) -> Option<Time> {
        let longest = (lost_at - since).min(FORESEEN.1).as_micros();
        let shortest = FORESEEN.0.as_micros();
        let bits = draw(&[self.scopes[4], RECOMMENDATION, lost_at.as_micros().cast_unsigned()]);
        if longest < shortest || between(bits, 1, 100) > FORESEEN_PERCENT {
            return None;
        }
        let doublings = i64::from((longest / shortest).ilog2());
        let gap = shortest << between(bits.rotate_left(16), 0, doublings);
        let gap = (gap + between(bits.rotate_left(32), 0, gap)).min(longest);
        Some(lost_at - Span::from_micros(gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Market;
    use proptest::prelude::*;

    const START: Time = Time::from_secs(1_767_225_600);

    fn pool(at: usize) -> Pool {
        let pools = crate::statistics::pools();
        pools[at % pools.len()]
    }

    proptest! {
        #[test]
        fn nothing_changes_between_two_changes(seed: u64, at: usize, hours in 0_i64..5_000, part in 0_i64..1_000) {
            let (market, pool) = (Market::Model(Model::new(seed)), pool(at));
            let now = START + Span::from_hours(hours);
            let next = market.next_change(pool, now).unwrap();
            prop_assert!(next > now);
            let between = now + Span::from_micros((next - now).as_micros() / 1_000 * part);
            prop_assert_eq!(market.capacity(pool, now), market.capacity(pool, between));
            prop_assert_ne!(market.capacity(pool, now), market.capacity(pool, next));
        }

        #[test]
        fn prices_keep_their_bounds_and_their_times(seed: u64, at: usize, hours in 0_i64..5_000) {
            let (market, pool) = (Market::Model(Model::new(seed)), pool(at));
            let now = START + Span::from_hours(hours);
            let on_demand = pool.on_demand_price().unwrap();
            let prices = market.prices(pool, now, now + Span::from_hours(72));
            prop_assert_eq!(prices[0], (now, market.price(pool, now).unwrap()));
            for (time, price) in &prices {
                prop_assert!(price.0 * 10 >= on_demand.0 && *price <= on_demand && price.0 % 100 == 0);
                prop_assert_eq!(market.price(pool, *time), Some(*price));
                prop_assert!(market.price_since(pool, *time).unwrap() <= *time);
            }
            for pair in prices.windows(2) {
                prop_assert_eq!(market.price_since(pool, pair[1].0), Some(pair[1].0));
                prop_assert!(pair[0].1 != pair[1].1);
            }
        }

        #[test]
        fn a_recommendation_is_ahead_and_always_the_same(seed: u64, at: usize, hours in 0_i64..1_000) {
            let (market, pool) = (Market::Model(Model::new(seed)), pool(at));
            let now = START + Span::from_hours(hours);
            let Some(next) = market.next_recommendation(pool, now) else { return Ok(()) };
            prop_assert!(next > now);
            let before = Span::from_micros((next - now).as_micros() / 2);
            prop_assert_eq!(market.next_recommendation(pool, now + before), Some(next));
        }
    }
}
