//! The Spot market: what a pool costs and how many instances it can hold, at any moment.
//!
//! A pool is an instance type in an Availability Zone. Everything here is a function of the seed (or the trace), the pool
//! and the time: nothing ticks, nothing is kept, and a pool that nobody uses costs nothing. Whoever holds instances asks
//! when the pool changes next ([`Market::next_change`]) and looks again then.

mod model;
mod noise;
mod plot;
pub mod statistics;
mod trace;

use capstan_model::catalogue::InstanceType;
use capstan_model::{AvailabilityZone, MicroDollars, Time};

pub use model::Model;
pub use trace::{Trace, TraceError};

/// A capacity pool: an instance type in a zone (EC2 guide, how-spot-instances-work).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub instance_type: &'static InstanceType,
    pub zone: &'static AvailabilityZone,
}

impl Pool {
    /// The pool of that type in that zone (name or id); `None` where Spot is not sold.
    pub fn find(instance_type: &str, zone: &str) -> Option<Self> {
        let instance_type = capstan_model::catalogue::instance_type(instance_type)?;
        let (_, zone) = capstan_model::zone(zone)?;
        let pool = Self { instance_type, zone };
        pool.listed_price().map(|_| pool)
    }

    /// What an hour of Linux usually costs here; `None` where Spot is not sold.
    pub fn listed_price(&self) -> Option<MicroDollars> {
        self.instance_type.spot_price(self.zone.name)
    }

    /// The On-Demand price of an hour, above which no Spot price goes (spot.md §9).
    pub fn on_demand_price(&self) -> Option<MicroDollars> {
        let (region, _) = capstan_model::zone(self.zone.name)?;
        self.instance_type.on_demand_price(region.name)
    }

    /// A price within the bounds that pools have been seen to keep: 10 % to 100 % of On-Demand, four decimals.
    fn bounded(&self, price: i64) -> MicroDollars {
        let MicroDollars(on_demand) = self.on_demand_price().unwrap_or(MicroDollars(price));
        let (low, high) = (up_to_step(on_demand / 10), on_demand);
        MicroDollars(((price + STEP / 2) / STEP * STEP).clamp(low.min(high), high))
    }

    fn order(&self) -> (&'static str, &'static str) {
        (self.instance_type.name.as_str(), self.zone.name)
    }
}

impl PartialOrd for Pool {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pool {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Prices have four decimals.
const STEP: i64 = 100;

fn up_to_step(micros: i64) -> i64 {
    (micros + STEP - 1) / STEP * STEP
}

/// Where prices and capacity come from.
#[derive(Clone, Debug, Default)]
pub enum Market {
    /// The catalogue's prices, and capacity for everybody: nothing happens unless somebody asks for it.
    #[default]
    Calm,
    /// Prices and capacity that come and go as they have been observed to.
    Model(Model),
    /// Prices and capacity out of a file.
    Trace(Trace),
}

impl Market {
    /// What an hour costs, in force at that moment; `None` where Spot is not sold.
    pub fn price(&self, pool: Pool, at: Time) -> Option<MicroDollars> {
        let listed = pool.listed_price()?;
        Some(match self {
            Self::Calm => listed,
            Self::Model(model) => model.price(pool, listed, at),
            Self::Trace(trace) => trace.price(pool, at).map_or(listed, |price| pool.bounded(price.0)),
        })
    }

    /// When the price changes next after that moment; `None` when it never does.
    pub fn next_price_change(&self, pool: Pool, after: Time) -> Option<Time> {
        let listed = pool.listed_price()?;
        match self {
            Self::Calm => None,
            Self::Model(model) => model.next_price_change(pool, listed, after),
            Self::Trace(trace) => trace.next_price_change(pool, after),
        }
    }

    /// Since when the price that is in force at that moment has been; `None` where that is not known: since ever.
    pub fn price_since(&self, pool: Pool, at: Time) -> Option<Time> {
        let listed = pool.listed_price()?;
        match self {
            Self::Calm => None,
            Self::Model(model) => Some(model.price_since(pool, listed, at)),
            Self::Trace(trace) => trace.price_since(pool, at),
        }
    }

    /// The prices in force in the period, each with its beginning, the first with `from`. Empty where Spot is not sold
    /// or the period is.
    pub fn prices(&self, pool: Pool, from: Time, to: Time) -> Vec<(Time, MicroDollars)> {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let Some(price) = self.price(pool, at) else { break };
            found.push((at, price));
            let Some(next) = self.next_price_change(pool, at) else { break };
            at = next;
        }
        found
    }

    /// How many Spot instances this account can hold in the pool at that moment; `None`: as many as it likes.
    /// 0 where Spot is not sold.
    pub fn capacity(&self, pool: Pool, at: Time) -> Option<u32> {
        if pool.listed_price().is_none() {
            return Some(0);
        }
        match self {
            Self::Calm => None,
            Self::Model(model) => Some(model.capacity(pool, at)),
            Self::Trace(trace) => trace.capacity(pool, at),
        }
    }

    /// When the capacity changes next after that moment; `None` when it never does.
    pub fn next_change(&self, pool: Pool, after: Time) -> Option<Time> {
        match self {
            _ if pool.listed_price().is_none() => None,
            Self::Calm => None,
            Self::Model(model) => model.next_change(pool, after),
            Self::Trace(trace) => trace.next_change(pool, after),
        }
    }

    /// When EC2 recommends next, after that moment, to leave the pool; `None` when it does not within two days.
    pub fn next_recommendation(&self, pool: Pool, after: Time) -> Option<Time> {
        match self {
            Self::Model(model) if pool.listed_price().is_some() => model.next_recommendation(pool, after),
            _ => None,
        }
    }
}
