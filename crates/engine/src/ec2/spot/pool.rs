//! Pools that hold Spot Instances: looked at when their capacity, price or risk changes, and at no other time.
//!
//! Where a pool holds less than runs in it, EC2 takes instances back; where its price rises above what an instance pays at
//! most, that one (EC2 guide, spot-interruptions). Whom it takes is not documented; here ids decide, which are random.

use capstan_market::{Market, Pool};
use capstan_model::{InstanceId, MicroDollars, Time};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::InstanceStateName;

use super::interruption::recommend_rebalance;
use super::{Cause, interrupt};
use crate::Engine;
use crate::ec2::{Instance, InstanceIndex};
use crate::kernel::{NoIndex, Row};

/// A pool with Spot Instances in it, and when it changes next.
#[derive(Clone, Debug)]
pub struct PoolInUse {
    pub pool: Pool,
    pub capacity_at: Option<Time>,
    pub price_at: Option<Time>,
    pub recommendation_at: Option<Time>,
}

impl Row for PoolInUse {
    type Key = Pool;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.spot-pools";

    fn key(&self) -> Pool {
        self.pool
    }

    fn resource(&self) -> Option<String> {
        None
    }

    fn deadline(&self) -> Option<Time> {
        [self.capacity_at, self.price_at, self.recommendation_at].into_iter().flatten().min()
    }
}

/// Spot Instances that take capacity of the pool. One that has its notice still does.
fn held(cx: &Engine, pool: Pool) -> u32 {
    u32::try_from(cx.ec2.instances.count_by(&InstanceIndex::Pool(pool))).unwrap_or(u32::MAX)
}

/// How many more the pool can hold now; `None`: as many as one likes.
pub(in crate::ec2) fn spare(cx: &Engine, pool: Pool) -> Option<u32> {
    let capacity = cx.config.market.capacity(pool, cx.now)?;
    Some(capacity.saturating_sub(held(cx, pool)))
}

/// EC2's refusal where a pool has no room.
pub(in crate::ec2) fn no_capacity() -> Refusal {
    Refusal::new(
        "InsufficientInstanceCapacity",
        "There is no Spot capacity available that matches your request.",
    )
}

/// A Spot Instance was launched in the pool: from now on the pool is looked at.
pub(in crate::ec2) fn used(cx: &mut Engine, pool: Pool) {
    if !matches!(cx.config.market, Market::Calm) && !cx.ec2.spot_pools.contains(&pool) {
        let row = PoolInUse { pool, capacity_at: None, price_at: None, recommendation_at: None };
        cx.ec2.spot_pools.insert(row);
        schedule(cx, pool);
    }
}

/// Asks the market for the next changes, of those that are not known. It looks two days ahead for recommendations, and is
/// asked again at each other change, several times a day.
fn schedule(cx: &mut Engine, pool: Pool) {
    let (now, market) = (cx.now, &cx.config.market);
    let Some(mut row) = cx.ec2.spot_pools.edit(&pool) else { return };
    let due = |at: Option<Time>| at.is_none_or(|at| at <= now);
    if due(row.capacity_at) {
        row.capacity_at = market.next_change(pool, now);
    }
    if due(row.price_at) {
        row.price_at = market.next_price_change(pool, now);
    }
    if due(row.recommendation_at) {
        row.recommendation_at = market.next_recommendation(pool, now);
    }
}

/// The pool has changed.
pub(in crate::ec2) fn look(cx: &mut Engine, pool: Pool) {
    let now = cx.now;
    let running = cx.ec2.instances.keys_by(&InstanceIndex::Pool(pool));
    let waiting = waiting(cx, pool);
    if running.is_empty() && waiting.is_empty() {
        cx.ec2.spot_pools.remove(&pool);
        return;
    }
    let recommended = cx.ec2.spot_pools.get(&pool).and_then(|row| row.recommendation_at);
    let stays = |cx: &Engine, id: &InstanceId| {
        let spot = cx.ec2.instances.get(id).and_then(|row| row.spot.as_ref());
        spot.is_some_and(|spot| spot.interruption.is_none())
    };
    let price = cx.config.market.price(pool, now);
    for id in &running {
        if stays(cx, id) && too_dear(cx, *id, price) {
            interrupt(cx, *id, now, false, Cause::Price);
        }
    }
    if let Some(capacity) = cx.config.market.capacity(pool, now) {
        let staying: Vec<InstanceId> = running.iter().copied().filter(|id| stays(cx, id)).collect();
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        for id in staying.into_iter().skip(capacity) {
            interrupt(cx, id, now, false, Cause::Capacity);
        }
    }
    if recommended.is_some_and(|at| at <= now) {
        for id in running.into_iter().filter(|id| stays(cx, id)).collect::<Vec<_>>() {
            recommend_rebalance(cx, id);
        }
    }
    for id in waiting {
        let stopped = cx.ec2.instances.get(&id).is_some_and(|row| row.state == InstanceStateName::Stopped);
        if stopped && spare(cx, pool) != Some(0) && !too_dear(cx, id, price) {
            crate::ec2::stop::start_one(cx, id);
        }
    }
    schedule(cx, pool);
}

/// Instances that EC2 has stopped, and starts again when it can (EC2 guide, stop-spot-instances).
fn waiting(cx: &Engine, pool: Pool) -> Vec<InstanceId> {
    let taken = |row: &&Instance| {
        let request = row.spot.as_ref().and_then(|spot| cx.ec2.spot_requests.get(&spot.request));
        let status = request.map(|request| request.status);
        let theirs = ["instance-stopped-no-capacity", "instance-stopped-by-price", "marked-for-stop"];
        row.is_spot() && row.pool() == pool && status.is_some_and(|status| theirs.contains(&status))
    };
    let states = [InstanceStateName::Stopping, InstanceStateName::Stopped].map(InstanceIndex::State);
    states.iter().flat_map(|state| cx.ec2.instances.by(state)).filter(taken).map(|row| row.id).collect()
}

fn too_dear(cx: &Engine, id: InstanceId, price: Option<MicroDollars>) -> bool {
    let max_price = cx.ec2.instances.get(&id).and_then(|row| row.spot.as_ref()?.max_price);
    matches!((max_price, price), (Some(max_price), Some(price)) if price > max_price)
}
