//! Balance of zones (ASG guide, AZRebalance) and of purchase options (mixed instances groups): launches where there is
//! too little first, then takes out where there is too much.

use std::collections::BTreeMap;

use capstan_model::InstanceId;

use super::capacity::{self, Order, View};
use super::rows::{Group, GroupInstance, Name};
use super::{activity, lifecycle, scaling};
use crate::Engine;

/// Asks for a look at the balance: zones or the instances distribution changed, or a user took an instance out.
pub(super) fn want(cx: &mut Engine, group: &Name) {
    let now = cx.now;
    if let Some(mut row) = cx.autoscaling.groups.edit(group) {
        row.balance_wanted = true;
        row.reconcile_at = Some(row.reconcile_at.map_or(now, |before| before.min(now)));
    }
}

/// An instance that shall go, and what comes in its place.
struct Move {
    victim: InstanceId,
    /// The purchase option of its successor.
    spot: bool,
    clause: String,
}

/// Moves one instance if the group is out of balance: a successor is launched above the desired capacity (the guide
/// allows a tenth of the group's maximum, and at least one); when it is in service the instance goes.
pub(super) fn check(cx: &mut Engine, name: &Name) {
    let Some(group) = cx.autoscaling.groups.get(name).filter(|group| group.balance_wanted) else { return };
    let suspended = ["AZRebalance", "Launch", "Terminate"].iter().any(|process| group.is_suspended(process));
    if suspended || group.deleting {
        return;
    }
    let group = group.clone();
    let current: Vec<&GroupInstance> = capacity::current(cx, name).collect();
    let units: i64 = current.iter().map(|row| row.weight).sum();
    // A move is under way, or the group has other work to do first: this is looked at again after it.
    if units < group.desired || current.iter().any(|row| row.in_service.is_none() || row.is_gone()) {
        return;
    }
    let found = option_move(cx, &group, &current).or_else(|| zone_move(cx, &group, &current));
    let Some(Move { victim, spot, clause }) = found else { return stop(cx, name) };
    let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
    let order = Order {
        desired: units + 1,
        replacing: 0,
        growth: cause.clone(),
        replacement: cause,
        warmup: None,
        moves: Some((victim, spot)),
        avoid: Vec::new(),
        only_there: true,
    };
    if capacity::launch(cx, &group, order).is_err() {
        // One failed attempt is enough: the next event asks again.
        stop(cx, name);
    }
}

fn stop(cx: &mut Engine, name: &Name) {
    if let Some(mut row) = cx.autoscaling.groups.edit(name) {
        row.balance_wanted = false;
    }
}

/// The successor is in service: the instance that it takes the place of goes.
pub(super) fn arrived(cx: &mut Engine, id: InstanceId, victim: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    let (name, zone) = (row.group.clone(), row.zone.clone());
    let Some(group) = cx.autoscaling.groups.get(&name) else { return };
    let units: i64 = capacity::current(cx, &name).map(|row| row.weight).sum();
    let goes = cx.autoscaling.instances.get(&victim).filter(|row| {
        row.is_current()
            && !row.protected
            && units - row.weight >= group.desired
            && !group.is_suspended("Terminate")
    });
    if let Some(left) = goes.map(|row| units - row.weight) {
        let now = cx.now;
        let sentences = [
            format!(
                "instances were launched to balance instances in zones {zone} with other zones resulting in more than \
                 desired number of instances in the group."
            ),
            format!(
                "an instance was taken out of service in response to a difference between desired and actual capacity, \
                 shrinking the capacity from {units} to {left}."
            ),
            format!("instance {victim} was selected for termination."),
        ];
        let cause = activity::cause(&sentences.map(|clause| activity::sentence(now, clause)));
        lifecycle::terminate(cx, victim, cause, lifecycle::Exit::Orderly);
    }
    // If it may not go any more, ordinary scale-in takes another; and there may be more to balance.
    want(cx, &name);
}

/// Mends the share of On-Demand, when it is not what the group's distribution says. AWS's words are not known; the
/// clause is ours.
fn option_move(cx: &Engine, group: &Group, current: &[&GroupInstance]) -> Option<Move> {
    let distribution = &group.mixed()?.distribution;
    let is: i64 = current.iter().filter(|row| !row.spot).map(|row| row.weight).sum();
    let shall = scaling::on_demand_target(group.desired, distribution.base, distribution.percent);
    let largest = current.iter().map(|row| row.weight).max()?;
    // Weights can leave a remainder smaller than an instance.
    if (is - shall).abs() < largest {
        return None;
    }
    let surplus_is_spot = is < shall;
    let view = View::new(cx, group);
    let mut fleet = view.fleet(cx, current).purchase(Some(!surplus_is_spot));
    let missing = fleet.on_demand_missing(group.desired);
    let mut queue = view.queue(current, |row| row.spot == surplus_is_spot, &mut fleet);
    let victim = queue.next(missing, i64::MAX)?.id;
    fleet.next(fleet.capacity() + 1).ok()?;
    let clause = format!(
        "an instance was launched to aid in balancing purchase options: the group had {is} On-Demand capacity units of \
         {shall}."
    );
    Some(Move { victim, spot: !surplus_is_spot, clause })
}

/// Mends the spread over zones, when a launch can: out of zones that the group has left, or from the fullest zone to one
/// with at least two instances less.
fn zone_move(cx: &Engine, group: &Group, current: &[&GroupInstance]) -> Option<Move> {
    let mut counts: BTreeMap<Name, usize> =
        super::zones::usable(cx, group).into_iter().map(|zone| (zone, 0)).collect();
    for row in current {
        *counts.entry(row.zone.clone()).or_default() += 1;
    }
    let (invalid, valid): (Vec<_>, Vec<_>) = counts.iter().partition(|(zone, _)| group.zone(zone).is_none());
    let free = || current.iter().filter(|row| !row.protected);
    let leaving = free().any(|row| group.zone(&row.zone).is_none());
    let most = free().map(|row| counts[&row.zone]).max()?;
    let may_go = |row: &GroupInstance| match leaving {
        true => group.zone(&row.zone).is_none(),
        false => counts[&row.zone] == most,
    };
    let view = View::new(cx, group);
    let mut fleet = view.fleet(cx, current);
    let missing = fleet.on_demand_missing(group.desired);
    let victim = view.queue(current, may_go, &mut fleet).next(missing, i64::MAX)?;
    let mut fleet = fleet.purchase(Some(victim.spot));
    let place = fleet.next(fleet.capacity() + 1).ok()?;
    let there = counts.get(&group.zones[place.zone].name).copied().unwrap_or(0);
    if !leaving && most < there + 2 {
        return None;
    }
    let zones = if leaving { &invalid } else { &valid };
    let names: Vec<&str> = zones.iter().map(|(zone, _)| &***zone).collect();
    let numbers: Vec<String> = zones.iter().map(|(_, count)| count.to_string()).collect();
    let (names, numbers) = (names.join(" "), numbers.join(" "));
    let clause = if leaving {
        format!(
            "invalid availability zones {names} had {numbers} instances respectively. An instance was launched to aid in \
             migrating instances from these zones to valid ones"
        )
    } else {
        format!(
            "availability zones {names} had {numbers} instances respectively. An instance was launched to aid in balancing \
             the group's zones."
        )
    };
    Some(Move { victim: victim.id, spot: victim.spot, clause })
}
