//! Which pool is the best: what Auto Scaling's and EC2 Fleet's allocation strategies have in common (EC2 guide,
//! ec2-fleet-allocation-strategy; ASG guide, allocation-strategies).

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use capstan_market::{Market, Pool};
use capstan_model::{MicroDollars, Time};

use crate::Engine;
use crate::ec2::InstanceIndex;

/// What a strategy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// The cheapest for a unit of weight.
    LowestPrice,
    /// The one with most spare capacity.
    Capacity,
    /// Of those with much spare capacity, the first in the list.
    CapacityPrioritized,
    /// Of those with much spare capacity, the cheapest.
    PriceAndCapacity,
    /// The first in the list.
    Priority,
}

/// A pool as a strategy sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// Of an hour; without one it is the last choice.
    pub(crate) price: Option<MicroDollars>,
    /// Capacity units of an instance, in any unit that all offers share.
    pub(crate) weight: i64,
    /// Instances that it can hold besides; `None`: as many as one likes.
    pub(crate) spare: Option<u32>,
    /// Place in the list of priorities.
    pub(crate) rank: usize,
    /// Decides between equals.
    pub(crate) name: &'a str,
}

impl Offer<'_> {
    fn by_price(&self, other: &Self) -> Ordering {
        let price = |each: &Self| i128::from(each.price.map_or(i64::MAX, |price| price.0));
        let (own, others) = (price(self) * i128::from(other.weight), price(other) * i128::from(self.weight));
        own.cmp(&others).then_with(|| self.name.cmp(other.name))
    }
}

/// How deep a pool is, 0 (empty) to 10 (512 instances and more, or unlimited). AWS tells no more than a placement score of
/// 1 to 10 either; that each step doubles the capacity is ours.
pub(crate) fn depth(spare: Option<u32>) -> u32 {
    spare.map_or(10, |spare| (u32::BITS - spare.leading_zeros()).min(10))
}

/// The offers by their places in the list, best first. Pools are alike in capacity when one is at most twice as deep as the
/// other (ours; AWS does not say).
pub(crate) fn order(preference: Preference, offers: &[Offer<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..offers.len()).collect();
    let deepest = offers.iter().map(|offer| depth(offer.spare)).max().unwrap_or(0);
    let shallow = |offer: &Offer<'_>| depth(offer.spare) == 0 || depth(offer.spare) + 1 < deepest;
    let by_depth =
        |offer: &Offer<'_>| (shallow(offer), Reverse(if shallow(offer) { depth(offer.spare) } else { 0 }));
    order.sort_by(|a, b| {
        let (a, b) = (&offers[*a], &offers[*b]);
        match preference {
            Preference::LowestPrice => a.by_price(b),
            Preference::Priority => a.rank.cmp(&b.rank),
            Preference::Capacity => {
                let most = |offer: &Offer<'_>| Reverse(offer.spare.unwrap_or(u32::MAX));
                // Of pools alike the one that the list names first, as the workshop's record shows (observed.md §1: m5.large).
                most(a).cmp(&most(b)).then(a.rank.cmp(&b.rank))
            }
            Preference::CapacityPrioritized => by_depth(a).cmp(&by_depth(b)).then(a.rank.cmp(&b.rank)),
            Preference::PriceAndCapacity => by_depth(a).cmp(&by_depth(b)).then_with(|| a.by_price(b)),
        }
    });
    order
}

/// The market as it is now, to be asked while instances are launched.
#[derive(Clone, Debug)]
pub(crate) struct Quotes {
    market: Market,
    now: Time,
    /// Instances in the pools that are in use.
    held: BTreeMap<Pool, u32>,
}

impl Quotes {
    pub(crate) fn new(cx: &Engine) -> Self {
        let held = cx.ec2.spot_pools.iter().map(|row| {
            let count = cx.ec2.instances.count_by(&InstanceIndex::Pool(row.pool));
            (row.pool, u32::try_from(count).unwrap_or(u32::MAX))
        });
        Self { held: held.collect(), market: cx.config.market.clone(), now: cx.now }
    }

    pub(crate) fn price(&self, pool: Pool) -> Option<MicroDollars> {
        self.market.price(pool, self.now)
    }

    pub(crate) fn spare(&self, pool: Pool) -> Option<u32> {
        let capacity = self.market.capacity(pool, self.now)?;
        Some(capacity.saturating_sub(self.held.get(&pool).copied().unwrap_or(0)))
    }

    /// A calm market for tests that have no engine.
    #[cfg(test)]
    pub(crate) fn calm() -> Self {
        Self { market: Market::Calm, now: Time::ZERO, held: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_look_at_price_capacity_and_priority() {
        // name, price, weight, spare
        let pools =
            [("a", 40, 1, 3), ("b", 70, 2, 600), ("c", 30, 1, 0), ("d", 36, 1, 300), ("e", 90, 1, 500)];
        let check = |preference, expect: &str| {
            let offers: Vec<Offer<'_>> = pools
                .iter()
                .enumerate()
                .map(|(rank, (name, price, weight, spare))| Offer {
                    price: Some(MicroDollars(*price)),
                    weight: *weight,
                    spare: Some(*spare),
                    rank: 10 - rank,
                    name,
                })
                .collect();
            let found: String = order(preference, &offers).into_iter().map(|at| pools[at].0).collect();
            assert_eq!(found, expect, "{preference:?}");
        };
        check(Preference::LowestPrice, "cbdae");
        check(Preference::Capacity, "bedac");
        check(Preference::CapacityPrioritized, "edbac");
        check(Preference::PriceAndCapacity, "bdeac");
        check(Preference::Priority, "edcba");
    }

    #[test]
    fn depth_doubles() {
        let cases = [(Some(0), 0), (Some(1), 1), (Some(3), 2), (Some(511), 9), (Some(512), 10), (None, 10)];
        for (spare, expect) in cases {
            assert_eq!(depth(spare), expect, "{spare:?}");
        }
    }
}
