//! Where the next instances go: On-Demand or Spot, zone, subnet, instance type.
//!
//! Zones are balanced first, then the strategy of the purchase option picks inside the zone (ASG guide,
//! allocation-strategies). Prices and spare capacity are the market's of the moment.

use std::collections::{BTreeMap, BTreeSet};

use capstan_market::Pool as SpotPool;
use capstan_model::{MicroDollars, catalogue};

use crate::ec2::{Offer, Preference, Quotes, depth, order};

use super::rows::{Distribution, GroupInstance, Name, OnDemandStrategy, SpotStrategy, Zone};
use super::scaling::on_demand_target;
use super::template::Candidate;

/// A pool: zone, candidate (both by their place in the lists) and whether it is Spot.
type Pool = (usize, usize, bool);

/// The group's instances by where and what they are, and where the next one shall go.
pub(super) struct Fleet<'a> {
    zones: &'a [Zone],
    candidates: &'a [Candidate],
    distribution: Option<&'a Distribution>,
    region: &'a str,
    quotes: Quotes,
    /// Capacity units in all, and those of them that are On-Demand.
    capacity: i64,
    on_demand: i64,
    /// Instances by zone: On-Demand, Spot.
    in_zone: Vec<[i64; 2]>,
    in_pool: BTreeMap<(usize, Name, bool), i64>,
    in_subnet: BTreeMap<String, i64>,
    /// The purchase option, where it is not the distribution's to decide.
    purchase: Option<bool>,
    /// A zone without room is waited for instead of passed over (`balanced-only`).
    balanced_only: bool,
    /// Instances of the whole account in each zone: what decides between zones that are even in the group (our reading of
    /// AWS's choice, which is random; so groups that begin together do not crowd the same zones).
    crowd: Vec<usize>,
    /// Pools that EC2 refused; they are left out.
    closed: BTreeSet<Pool>,
    /// Candidates by zone and purchase option, best first; made when first needed.
    order: BTreeMap<(usize, bool), Vec<usize>>,
}

/// Where one instance goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) zone: usize,
    pub(super) subnet: Option<String>,
    pub(super) candidate: usize,
    pub(super) spot: bool,
}

/// Why no pool is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoPool {
    /// EC2 refused every pool that there is.
    Closed,
    /// No zone of the group offers any of its types.
    NotOffered,
    /// The group's Spot price is below the price of every pool.
    PriceTooLow { bid: MicroDollars, needed: MicroDollars },
}

impl<'a> Fleet<'a> {
    pub(super) fn new(
        zones: &'a [Zone],
        candidates: &'a [Candidate],
        distribution: Option<&'a Distribution>,
        region: &'a str,
        quotes: Quotes,
        instances: impl Iterator<Item = &'a GroupInstance>,
    ) -> Self {
        let mut fleet = Self {
            zones,
            candidates,
            distribution,
            region,
            quotes,
            capacity: 0,
            on_demand: 0,
            in_zone: vec![[0; 2]; zones.len()],
            in_pool: BTreeMap::new(),
            in_subnet: BTreeMap::new(),
            purchase: None,
            balanced_only: false,
            crowd: vec![0; zones.len()],
            closed: BTreeSet::new(),
            order: BTreeMap::new(),
        };
        for each in instances {
            let zone = zones.iter().position(|zone| zone.name == each.zone);
            fleet.count(zone, each.subnet.as_deref(), each.instance_type.clone(), each.spot, each.weight);
        }
        fleet
    }

    /// Keeps to the balance of zones even where one has no room.
    pub(super) fn balanced_only(mut self, balanced_only: bool) -> Self {
        self.balanced_only = balanced_only;
        self
    }

    /// Counts the account's instances in each zone.
    pub(super) fn crowd(mut self, count: impl Fn(&str) -> usize) -> Self {
        self.crowd = self.zones.iter().map(|zone| count(&zone.name)).collect();
        self
    }

    /// Takes Spot (`true`) or On-Demand, whatever the distribution says.
    pub(super) fn purchase(mut self, spot: Option<bool>) -> Self {
        self.purchase = spot;
        self
    }

    /// Leaves Spot pools out: zone and instance type.
    pub(super) fn avoiding(mut self, pools: &[(Name, Name)]) -> Self {
        for (zone, candidate) in
            (0..self.zones.len()).flat_map(|zone| (0..self.candidates.len()).map(move |at| (zone, at)))
        {
            let (name, kind) = (&self.zones[zone].name, self.candidates[candidate].instance_type.as_ref());
            if pools.iter().any(|pool| pool.0 == *name && Some(&pool.1) == kind) {
                self.closed.insert((zone, candidate, true));
            }
        }
        self
    }

    pub(super) fn capacity(&self) -> i64 {
        self.capacity
    }

    /// On-Demand units that are still missing (or, negative, too many) at that desired capacity.
    pub(super) fn on_demand_missing(&self, desired: i64) -> i64 {
        match self.distribution {
            Some(distribution) => {
                on_demand_target(desired, distribution.base, distribution.percent) - self.on_demand
            }
            None => 0,
        }
    }

    fn count(
        &mut self,
        zone: Option<usize>,
        subnet: Option<&str>,
        instance_type: Name,
        spot: bool,
        weight: i64,
    ) {
        self.capacity += weight;
        self.on_demand += if spot { 0 } else { weight };
        let Some(zone) = zone else { return };
        self.in_zone[zone][usize::from(spot)] += 1;
        *self.in_pool.entry((zone, instance_type, spot)).or_default() += 1;
        if let Some(subnet) = subnet {
            *self.in_subnet.entry(subnet.to_owned()).or_default() += 1;
        }
    }

    /// Leaves a pool out from now on.
    pub(super) fn close(&mut self, place: &Place) {
        self.closed.insert((place.zone, place.candidate, place.spot));
        self.order.remove(&(place.zone, place.spot));
    }

    /// Takes back an instance that was counted by [`Fleet::next`] and did not come.
    pub(super) fn uncount(&mut self, place: &Place) {
        let candidate = &self.candidates[place.candidate];
        self.capacity -= candidate.weight;
        self.on_demand -= if place.spot { 0 } else { candidate.weight };
        self.in_zone[place.zone][usize::from(place.spot)] -= 1;
        *self.in_pool.entry((place.zone, type_name(candidate), place.spot)).or_default() -= 1;
        if let Some(subnet) = &place.subnet {
            *self.in_subnet.entry(subnet.clone()).or_default() -= 1;
        }
    }

    /// Takes back an instance that was counted at first and is on its way out.
    pub(super) fn leave(&mut self, instance: &GroupInstance) {
        self.capacity -= instance.weight;
        self.on_demand -= if instance.spot { 0 } else { instance.weight };
    }

    /// The place of the next instance on the way to that desired capacity, counted from now on.
    pub(super) fn next(&mut self, desired: i64) -> Result<Place, NoPool> {
        let spot = match self.distribution {
            Some(_) if self.purchase.is_some() => self.purchase == Some(true),
            Some(_) => self.on_demand_missing(desired) <= 0,
            None => self.candidates.first().is_some_and(|candidate| candidate.resolved.spot),
        };
        let mut zones: Vec<usize> = (0..self.zones.len()).filter(|&zone| self.is_open(zone, spot)).collect();
        zones.sort_by_key(|&zone| {
            let [on_demand, of_spot] = self.in_zone[zone];
            let of_option = self.in_zone[zone][usize::from(spot)];
            (on_demand + of_spot, of_option, self.crowd[zone], self.zones[zone].name.clone())
        });
        let Some(&zone) = zones.first() else { return Err(self.no_pool(spot)) };
        if self.ordered(zone, spot).is_empty() {
            return Err(NoPool::Closed);
        }
        let candidate = self.pick(zone, spot);
        let subnets = &self.zones[zone].subnets;
        let subnet = subnets.iter().min_by_key(|subnet| self.in_subnet.get(*subnet).copied().unwrap_or(0));
        let place = Place { zone, subnet: subnet.cloned(), candidate, spot };
        let (name, weight) = (type_name(&self.candidates[candidate]), self.candidates[candidate].weight);
        self.count(Some(zone), place.subnet.as_deref(), name, spot, weight);
        Ok(place)
    }

    fn is_open(&mut self, zone: usize, spot: bool) -> bool {
        let waits = || self.closed.iter().any(|pool| pool.0 == zone && pool.2 == spot);
        (self.balanced_only && waits()) || !self.ordered(zone, spot).is_empty()
    }

    fn pick(&mut self, zone: usize, spot: bool) -> usize {
        let spread = self.spread(spot);
        let best = self.ordered(zone, spot);
        let among: Vec<usize> = best.iter().take(spread).copied().collect();
        let count = |candidate: usize| {
            let name = type_name(&self.candidates[candidate]);
            self.in_pool.get(&(zone, name, spot)).copied().unwrap_or(0)
        };
        // The first of those with the fewest instances.
        among.into_iter().min_by_key(|&candidate| count(candidate)).expect("the zone has a pool")
    }

    /// Over how many of a zone's best pools the instances are spread.
    fn spread(&self, spot: bool) -> usize {
        match self.distribution {
            Some(distribution) if spot && distribution.spot_strategy == SpotStrategy::LowestPrice => {
                usize::try_from(distribution.spot_pools).unwrap_or(1).max(1)
            }
            _ => 1,
        }
    }

    /// How far a pool is from what the allocation strategy prefers: 0 is what it would launch now.
    pub(super) fn standing(&mut self, zone: &str, instance_type: &str, spot: bool) -> usize {
        let Some(zone) = self.zones.iter().position(|each| &*each.name == zone) else { return usize::MAX };
        let spread = self.spread(spot);
        let indifferent = self.distribution.is_some_and(|distribution| {
            spot && distribution.spot_strategy == SpotStrategy::CapacityOptimized
        });
        let order = self.ordered(zone, spot).to_vec();
        let at = order.into_iter().position(|candidate| {
            self.candidates[candidate].instance_type.as_deref().is_none_or(|name| name == instance_type)
        });
        match at {
            Some(at) if at < spread || indifferent => 0,
            Some(at) => at,
            None => usize::MAX,
        }
    }

    fn ordered(&mut self, zone: usize, spot: bool) -> &[usize] {
        if !self.order.contains_key(&(zone, spot)) {
            let order = self.order_of(zone, spot);
            self.order.insert((zone, spot), order);
        }
        &self.order[&(zone, spot)]
    }

    fn order_of(&self, zone: usize, spot: bool) -> Vec<usize> {
        let zone_name = &*self.zones[zone].name;
        let found: Vec<usize> = (0..self.candidates.len())
            .filter(|&candidate| {
                !self.closed.contains(&(zone, candidate, spot))
                    && self.offered(candidate, zone_name, spot)
                    && !(spot && self.too_dear(candidate, zone_name).is_some())
            })
            .collect();
        let Some(distribution) = self.distribution else { return found };
        let preference = match (spot, distribution.on_demand_strategy, distribution.spot_strategy) {
            (false, OnDemandStrategy::Prioritized, _) => Preference::Priority,
            (false, OnDemandStrategy::LowestPrice, _) | (true, _, SpotStrategy::LowestPrice) => {
                Preference::LowestPrice
            }
            (true, _, SpotStrategy::CapacityOptimized) => Preference::Capacity,
            (true, _, SpotStrategy::CapacityOptimizedPrioritized) => Preference::CapacityPrioritized,
            (true, _, SpotStrategy::PriceCapacityOptimized) => Preference::PriceAndCapacity,
        };
        let offer = |candidate: &usize| {
            let candidate = &self.candidates[*candidate];
            let name = candidate.instance_type.as_deref().unwrap_or_default();
            let pool = SpotPool::find(name, zone_name).filter(|_| spot);
            let on_demand = || catalogue::instance_type(name)?.on_demand_price(self.region);
            Offer {
                price: pool.map_or_else(on_demand, |pool| self.quotes.price(pool)),
                weight: candidate.weight,
                spare: pool.and_then(|pool| self.quotes.spare(pool)),
                rank: candidate.rank,
                name,
            }
        };
        let offers: Vec<Offer<'_>> = found.iter().map(offer).collect();
        let order = order(preference, &offers);
        order.into_iter().map(|at| found[at]).collect()
    }

    /// The Spot pool of a place.
    fn spot_pool(&self, zone: usize, candidate: usize) -> Option<SpotPool> {
        let name = self.candidates[candidate].instance_type.as_deref()?;
        SpotPool::find(name, &self.zones[zone].name)
    }

    /// How deep the pool of a place is (`ec2::depth`); On-Demand is as deep as can be.
    pub(super) fn depth(&self, place: &Place) -> u32 {
        let pool = self.spot_pool(place.zone, place.candidate).filter(|_| place.spot);
        depth(pool.and_then(|pool| self.quotes.spare(pool)))
    }

    /// Types that the catalogue does not know are EC2's to refuse.
    fn offered(&self, candidate: usize, zone: &str, spot: bool) -> bool {
        let candidate = &self.candidates[candidate];
        let kind = candidate.instance_type.as_deref().and_then(catalogue::instance_type);
        candidate.affordable[usize::from(spot)]
            && kind.is_none_or(|kind| kind.offered_in(zone) && (kind.spot || !spot))
    }

    /// The pool's price, when it is above what the group pays.
    fn too_dear(&self, candidate: usize, zone: &str) -> Option<MicroDollars> {
        let bid = self.distribution?.spot_max_price?;
        let pool = SpotPool::find(self.candidates[candidate].instance_type.as_deref()?, zone)?;
        self.quotes.price(pool).filter(|price| *price > bid)
    }

    fn no_pool(&self, spot: bool) -> NoPool {
        let pools = || {
            self.zones.iter().flat_map(|zone| {
                let offered = move |candidate: &usize| self.offered(*candidate, &zone.name, spot);
                (0..self.candidates.len()).filter(offered).map(move |candidate| (zone, candidate))
            })
        };
        if pools().next().is_none() {
            return NoPool::NotOffered;
        }
        let prices = pools().map(|(zone, candidate)| self.too_dear(candidate, &zone.name));
        let dear: Option<Vec<MicroDollars>> = prices.collect();
        let bid = self.distribution.and_then(|distribution| distribution.spot_max_price);
        match (spot, dear.and_then(|dear| dear.into_iter().min()), bid) {
            (true, Some(needed), Some(bid)) => NoPool::PriceTooLow { bid, needed },
            _ => NoPool::Closed,
        }
    }
}

fn type_name(candidate: &Candidate) -> Name {
    candidate.instance_type.clone().unwrap_or_else(|| Name::from(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscaling::rows::TemplateSpec;
    use crate::autoscaling::template::Resolved;

    fn candidates(types: &[(&str, i64)]) -> Vec<Candidate> {
        let spec = TemplateSpec { id: "lt-1".into(), name: "lt".into(), version: "1".into() };
        let resolved = Resolved::of(spec);
        types
            .iter()
            .enumerate()
            .map(|(rank, (name, weight))| Candidate {
                rank,
                resolved: resolved.clone(),
                instance_type: Some((*name).into()),
                image_id: None,
                weight: *weight,
                name_type: true,
                affordable: [true; 2],
            })
            .collect()
    }

    fn zones(names: &[&str]) -> Vec<Zone> {
        names.iter().map(|name| Zone { name: (*name).into(), subnets: Vec::new() }).collect()
    }

    fn distribution(base: i64, percent: i64, spot_strategy: SpotStrategy) -> Distribution {
        Distribution {
            on_demand_strategy: OnDemandStrategy::Prioritized,
            base,
            percent,
            spot_strategy,
            spot_pools: 2,
            spot_max_price: None,
        }
    }

    /// Launches up to the desired capacity; tells each place as `zone type purchase`.
    fn launch(
        types: &[(&str, i64)],
        distribution: &Distribution,
        zone_names: &[&str],
        desired: i64,
    ) -> Vec<String> {
        let (zones, candidates) = (zones(zone_names), candidates(types));
        let mut fleet = Fleet::new(
            &zones,
            &candidates,
            Some(distribution),
            "us-east-1",
            Quotes::calm(),
            std::iter::empty(),
        );
        let mut told = Vec::new();
        while fleet.capacity() < desired {
            let place = fleet.next(desired).unwrap();
            told.push(format!(
                "{} {} {}",
                zones[place.zone].name.trim_start_matches("us-east-1"),
                candidates[place.candidate].instance_type.as_deref().unwrap(),
                if place.spot { "spot" } else { "od" }
            ));
        }
        told
    }

    #[test]
    fn base_and_percentage_split_the_purchase_options() {
        let check = |base, percent, desired, expect| {
            let policy = distribution(base, percent, SpotStrategy::PriceCapacityOptimized);
            let told = launch(&[("m5.large", 1)], &policy, &["us-east-1a", "us-east-1b"], desired);
            assert_eq!(told.iter().filter(|place| place.ends_with("od")).count(), expect, "{base} {percent}");
        };
        check(10, 50, 20, 15);
        check(12, 0, 20, 12);
        check(12, 0, 10, 10);
        check(0, 50, 3, 2);
        check(0, 100, 4, 4);
        check(0, 0, 4, 0);
    }

    #[test]
    fn zones_are_filled_evenly_and_in_order() {
        let policy = distribution(0, 0, SpotStrategy::PriceCapacityOptimized);
        let told = launch(&[("m5.large", 1)], &policy, &["us-east-1a", "us-east-1b", "us-east-1c"], 5);
        let zones: String = told.iter().map(|place| &place[..1]).collect();
        assert_eq!(zones, "abcab");
        // m5 is not offered in us-east-1e.
        let told = launch(&[("m5.large", 1)], &policy, &["us-east-1a", "us-east-1e"], 2);
        assert!(told.iter().all(|place| place.starts_with('a')), "{told:?}");
    }

    #[test]
    fn strategies_pick_their_pools() {
        let types = [("m5n.large", 1), ("m5.large", 1), ("m5a.large", 1)];
        let check = |strategy, desired, expect: &[&str]| {
            let told = launch(&types, &distribution(0, 0, strategy), &["us-east-1d"], desired);
            assert_eq!(told, expect, "{strategy:?}");
        };
        // In us-east-1d (use1-az6) m5a costs 0.0291, m5 0.0373, m5n 0.0515.
        check(SpotStrategy::PriceCapacityOptimized, 2, &["d m5a.large spot", "d m5a.large spot"]);
        check(SpotStrategy::LowestPrice, 3, &["d m5a.large spot", "d m5.large spot", "d m5a.large spot"]);
        check(SpotStrategy::CapacityOptimizedPrioritized, 1, &["d m5n.large spot"]);
        check(SpotStrategy::CapacityOptimized, 1, &["d m5n.large spot"]);
        let on_demand = Distribution {
            on_demand_strategy: OnDemandStrategy::LowestPrice,
            ..distribution(1, 100, SpotStrategy::LowestPrice)
        };
        assert_eq!(launch(&types, &on_demand, &["us-east-1d"], 1), ["d m5a.large od"]);
        let prioritized = distribution(1, 100, SpotStrategy::LowestPrice);
        assert_eq!(launch(&types, &prioritized, &["us-east-1d"], 1), ["d m5n.large od"]);
    }

    #[test]
    fn weights_count_units_and_compare_prices_by_unit() {
        let policy = distribution(0, 0, SpotStrategy::PriceCapacityOptimized);
        // Eight times the weight for twice the price.
        let told = launch(&[("m5.large", 1), ("m5.xlarge", 8)], &policy, &["us-east-1a"], 9);
        assert_eq!(told, ["a m5.xlarge spot", "a m5.xlarge spot"]);
    }

    #[test]
    fn a_low_bid_is_told_apart_from_missing_capacity() {
        let policy = Distribution {
            spot_max_price: Some(MicroDollars(10_000)),
            ..distribution(0, 0, SpotStrategy::LowestPrice)
        };
        let (zones, candidates) = (zones(&["us-east-1d", "us-east-1e"]), candidates(&[("m5.large", 1)]));
        let mut fleet =
            Fleet::new(&zones, &candidates, Some(&policy), "us-east-1", Quotes::calm(), std::iter::empty());
        let expect = NoPool::PriceTooLow { bid: MicroDollars(10_000), needed: MicroDollars(37_300) };
        assert_eq!(fleet.next(1), Err(expect));
        let open = distribution(0, 0, SpotStrategy::LowestPrice);
        let mut fleet =
            Fleet::new(&zones, &candidates, Some(&open), "us-east-1", Quotes::calm(), std::iter::empty());
        let place = fleet.next(1).unwrap();
        fleet.uncount(&place);
        fleet.close(&place);
        assert_eq!(fleet.next(1), Err(NoPool::Closed));
        // Another zone takes over, unless the group wants its zones in balance at any price.
        let two = self::zones(&["us-east-1a", "us-east-1b"]);
        for (balanced_only, expect) in [(false, Ok(1)), (true, Err(NoPool::Closed))] {
            let fleet =
                Fleet::new(&two, &candidates, Some(&open), "us-east-1", Quotes::calm(), std::iter::empty());
            let mut fleet = fleet.balanced_only(balanced_only);
            let place = fleet.next(1).unwrap();
            fleet.uncount(&place);
            fleet.close(&place);
            assert_eq!(fleet.next(1).map(|place| place.zone), expect);
        }
        let only_e = self::zones(&["us-east-1e"]);
        let mut fleet =
            Fleet::new(&only_e, &candidates, Some(&open), "us-east-1", Quotes::calm(), std::iter::empty());
        assert_eq!(fleet.next(1), Err(NoPool::NotOffered));
    }
}
