//! Capacity Rebalancing (ASG guide, ec2-auto-scaling-capacity-rebalancing): a Spot Instance at elevated risk is replaced
//! before EC2 takes it.
//!
//! At a rebalance recommendation a successor is launched above the desired capacity, if a pool without such a
//! recommendation is as deep as the one at risk; else the group waits, at the latest for the interruption notice, and then
//! takes any pool. When the successor is in service, the old instance goes in order: target groups and hooks first. AWS's
//! words for the causes are not known; these are ours.

use capstan_market::Pool;
use capstan_model::{InstanceId, Span};

use super::capacity::{self, Order, View};
use super::rows::{Group, GroupInstance, GroupInstanceIndex, Name, Risk};
use super::{activity, lifecycle};
use crate::Engine;
use crate::ec2::{Quotes, depth};

/// How often a group looks for a better pool while it has none.
const RETRY: Span = Span::from_mins(3);

const CLAUSE: &str = "in response to an EC2 Capacity Rebalance recommendation.";

/// EC2 recommends to leave, or has given notice.
pub(super) fn at_risk(cx: &mut Engine, id: InstanceId, risk: Risk) {
    let now = cx.now;
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    let name = row.group.clone();
    let group = cx.autoscaling.groups.get(&name);
    if group.is_none_or(|group| group.settings.capacity_rebalance != Some(true)) {
        return;
    }
    if let Some(mut row) = cx.autoscaling.instances.edit(&id) {
        row.risk = row.risk.max(risk);
    }
    if let Some(mut group) = cx.autoscaling.groups.edit(&name) {
        group.reconcile_at = Some(group.reconcile_at.map_or(now, |before| before.min(now)));
    }
}

/// Launches successors for instances at risk, as many as the group may have above its maximum: a tenth of its desired
/// capacity, at least one.
pub(super) fn check(cx: &mut Engine, name: &Name) {
    if cx.autoscaling.instances.count_by(&GroupInstanceIndex::AtRisk(name.clone())) == 0 {
        return;
    }
    let Some(group) = cx.autoscaling.groups.get(name).cloned() else { return };
    let rebalances = group.settings.capacity_rebalance == Some(true);
    if !rebalances || group.deleting || group.is_suspended("Launch") {
        return;
    }
    let mut waits = false;
    for id in cx.autoscaling.instances.keys_by(&GroupInstanceIndex::AtRisk(name.clone())) {
        let index = GroupInstanceIndex::Successor(id);
        if cx.autoscaling.instances.count_by(&index) == 0 {
            waits |= !replace(cx, &group, id);
        }
    }
    if waits {
        let again = cx.now + RETRY;
        if let Some(mut row) = cx.autoscaling.groups.edit(name) {
            row.reconcile_at = Some(row.reconcile_at.map_or(again, |before| before.min(again)));
        }
    }
}

/// Launches the successor of an instance; `false` when it has to wait.
fn replace(cx: &mut Engine, group: &Group, id: InstanceId) -> bool {
    let Some(old) = cx.autoscaling.instances.get(&id).cloned() else { return true };
    let current: Vec<&GroupInstance> = capacity::current(cx, &group.name).collect();
    let units: i64 = current.iter().map(|row| row.weight).sum();
    let ordinary: i64 = current.iter().filter(|row| row.moves.is_none()).map(|row| row.weight).sum();
    if ordinary < group.desired || units >= group.max.max(group.desired) + (group.desired / 10).max(1) {
        return false;
    }
    // A notice leaves no time to choose.
    let avoid: Vec<(Name, Name)> = if old.risk == Risk::Notice {
        Vec::new()
    } else {
        let risky = current.iter().filter(|row| row.risk != Risk::None);
        risky.map(|row| (row.zone.clone(), row.instance_type.clone())).collect()
    };
    if old.risk == Risk::Recommendation {
        let view = View::new(cx, group);
        let mut fleet = view.fleet(cx, &current).purchase(Some(true)).avoiding(&avoid);
        let found = fleet.next(fleet.capacity() + 1).map(|place| fleet.depth(&place));
        let quotes = Quotes::new(cx);
        let own = Pool::find(&old.instance_type, &old.zone).and_then(|pool| quotes.spare(pool));
        if !found.is_ok_and(|found| found >= depth(own)) {
            return false;
        }
    }
    let cause = activity::sentence(cx.now, format!("an instance was launched {CLAUSE}"));
    let cause = activity::cause(&[cause]);
    let order = Order {
        desired: units + 1,
        replacing: 0,
        growth: cause.clone(),
        replacement: cause,
        warmup: None,
        moves: Some((id, true)),
        avoid,
        only_there: false,
    };
    capacity::launch(cx, group, order).is_ok()
}

/// The successor is in service: the old instance goes, protected from scale-in or not.
pub(super) fn arrived(cx: &mut Engine, old: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&old).filter(|row| row.is_current()) else { return };
    let name = row.group.clone();
    if cx.autoscaling.groups.get(&name).is_some_and(|group| group.is_suspended("Terminate")) {
        return;
    }
    let cause = activity::sentence(cx.now, format!("an instance was taken out of service {CLAUSE}"));
    lifecycle::terminate(cx, old, activity::cause(&[cause]), lifecycle::Exit::Orderly);
    // Others may have waited for the room.
    capacity::request(cx, &name, None);
}

/// An instance is on its way out: who was launched in its place counts as any other from now on.
pub(super) fn left(cx: &mut Engine, old: InstanceId) {
    for id in cx.autoscaling.instances.keys_by(&GroupInstanceIndex::Successor(old)) {
        if let Some(mut row) = cx.autoscaling.instances.edit(&id) {
            row.moves = None;
        }
    }
}
