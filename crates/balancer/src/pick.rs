//! Choosing a target of a group for one request.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::group::{Candidate, GroupState, Plan};
use crate::snapshot::Algorithm;
use crate::target::{InFlight, TargetState};

/// A target chosen for a request and held by it.
pub(crate) struct Picked {
    pub(crate) held: InFlight,
    pub(crate) address: SocketAddr,
    /// Too few targets were healthy, so that all of them get requests.
    pub(crate) failed_open: bool,
}

/// Picks and holds a target, by preference none of `tried`; `None` when the group has none.
pub(crate) fn pick(group: &GroupState, tried: &[Arc<TargetState>]) -> Option<Picked> {
    let plan = group.plan.load();
    let turn = group.turn.fetch_add(1, Relaxed);
    let zone = plan.zones.get(turn.checked_rem(plan.zones.len())?)?;
    let first = choose(&plan, zone, turn / plan.zones.len())?;
    let fresh = |c: &Candidate| !tried.iter().any(|t| Arc::ptr_eq(t, &c.state));
    // From the chosen one on, then the other zones, then those tried before.
    let in_order = || zone[first..].iter().chain(&zone[..first]).chain(plan.zones.iter().flatten());
    let hold = |c: &Candidate| {
        c.state.hold().map(|held| Picked { held, address: c.address, failed_open: c.failed_open })
    };
    let picked = in_order().filter(|c| fresh(c)).find_map(hold);
    if picked.is_some() || !tried.is_empty() {
        return picked.or_else(|| in_order().find_map(hold));
    }
    drop(plan);
    // All of them closed since the plan was read: the next plan is there already.
    let plan = group.plan.load();
    plan.zones.iter().flatten().find_map(hold)
}

/// Index of the preferred candidate of a zone.
fn choose(plan: &Plan, zone: &[Candidate], turn: usize) -> Option<usize> {
    if zone.is_empty() {
        return None;
    }
    Some(match plan.algorithm {
        Algorithm::LeastOutstandingRequests => least_outstanding(zone, turn % zone.len()),
        Algorithm::RoundRobin if plan.slow_start.is_zero() => turn % zone.len(),
        Algorithm::RoundRobin => ramping(zone, turn % zone.len(), plan.slow_start),
        Algorithm::WeightedRandom => usize::try_from(random() % zone.len() as u64).unwrap_or(0),
    })
}

/// The fewest requests in flight; ties go round.
fn least_outstanding(zone: &[Candidate], start: usize) -> usize {
    let after = (start..zone.len()).chain(0..start);
    after.min_by_key(|&i| zone[i].state.in_flight()).unwrap_or(start)
}

/// Passes over a target in slow start with the probability of the share it does not have yet.
fn ramping(zone: &[Candidate], start: usize, slow_start: Duration) -> usize {
    let mut now = None;
    let takes = |candidate: &Candidate, now: &mut Option<Instant>| {
        let Some(began) = candidate.ramp else { return true };
        let elapsed = now.get_or_insert_with(Instant::now).duration_since(began);
        elapsed >= slow_start || u128::from(random() >> 32) * slow_start.as_nanos() < elapsed.as_nanos() << 32
    };
    (start..zone.len()).chain(0..start).find(|&i| takes(&zone[i], &mut now)).unwrap_or(start)
}

/// Spreads `turn` evenly over `[0, total)`: neighbours land far apart, and any run of turns has close to its shares.
pub(crate) fn spread(turn: usize, total: u64) -> u64 {
    // The golden ratio in 64 bits: a Weyl sequence.
    let fraction = (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (fraction * total) >> 32
}

/// A pseudo-random number (splitmix64), seeded for each thread by the standard library's hash keys. Fit for
/// spreading load and for trace ids, not for secrets.
pub(crate) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0u8));
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetState;

    fn candidate(ramp: Option<Instant>) -> Candidate {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        Candidate { state: TargetState::new("t", 1, 1), address, ramp, failed_open: false }
    }

    #[test]
    fn weights_are_met_in_any_run() {
        for (weights, run) in
            [(vec![90, 10], 100), (vec![1, 1], 10), (vec![999, 1], 5000), (vec![1, 2, 3, 4, 5], 150)]
        {
            let total: u64 = weights.iter().sum();
            for begin in [0, 7, usize::MAX - 50] {
                let mut got = vec![0u64; weights.len()];
                for turn in (0..run).map(|i| begin.wrapping_add(i)) {
                    let mut at = spread(turn, total);
                    let index = weights
                        .iter()
                        .position(|w| {
                            at < *w || {
                                at -= w;
                                false
                            }
                        })
                        .expect("below the total");
                    got[index] += 1;
                }
                for (got, weight) in got.iter().zip(&weights) {
                    let exact = weight * run as u64 / total;
                    assert!(got.abs_diff(exact) <= 3, "{weights:?}: {got} for {exact} of {run} from {begin}");
                }
            }
        }
    }

    #[test]
    fn a_ramping_target_gets_its_share_of_the_time() {
        let hour = Duration::from_secs(3600);
        let now = Instant::now();
        let half = now.checked_sub(hour / 2).expect("an instant");
        for (ramp, low, high) in [(None, 1000, 1000), (Some(half), 400, 600), (Some(now), 0, 20)] {
            let zone = [candidate(None), candidate(ramp)];
            let got = (0..1000).filter(|_| ramping(&zone, 1, hour) == 1).count();
            assert!((low..=high).contains(&got), "{got} of 1000");
        }
    }

    #[test]
    fn closed_targets_are_not_held() {
        let target = TargetState::new("t", 1, 1);
        let held = target.hold().expect("open");
        target.close();
        assert!(target.hold().is_none());
        assert_eq!(target.in_flight(), 1);
        drop(held);
        assert_eq!(target.in_flight(), 0);
        target.reopen();
        assert!(target.hold().is_some());
    }
}
