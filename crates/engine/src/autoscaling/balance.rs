//! Balance of zones (ASG guide, AZRebalance) and of purchase options (mixed instances groups): launches where there is
//! too little first, then takes out where there is too much.

use std::collections::BTreeMap;

use super::capacity::{self, Order};
use super::rows::{Group, Name};
use super::{activity, scaling};
use crate::Engine;

/// Asks for a look at the balance: zones or the instances distribution changed, or a user took an instance out.
pub(super) fn want(cx: &mut Engine, group: &Name) {
    let now = cx.now;
    if let Some(mut row) = cx.autoscaling.groups.edit(group) {
        row.balance_wanted = true;
        row.reconcile_at = Some(row.reconcile_at.map_or(now, |before| before.min(now)));
    }
}

/// Launches above the desired capacity while zones are out of balance, one instance at a time (the guide allows a tenth
/// of the group's maximum, and at least one). The surplus goes when the new instance is in service.
pub(super) fn check(cx: &mut Engine, name: &Name) {
    let Some(group) = cx.autoscaling.groups.get(name).filter(|group| group.balance_wanted) else { return };
    if group.is_suspended("AZRebalance") || group.is_suspended("Launch") || group.deleting {
        return;
    }
    let group = group.clone();
    // A move is under way, or the group has other work to do first: this is looked at again after it.
    let units: i64 = capacity::current(cx, name).map(|row| row.weight).sum();
    let settled = units == group.desired && capacity::current(cx, name).all(|row| row.in_service.is_some());
    if !settled {
        return;
    }
    let Some(cause) = purchase_options(cx, &group).or_else(|| imbalance(cx, &group)) else {
        if let Some(mut row) = cx.autoscaling.groups.edit(name) {
            row.balance_wanted = false;
        }
        return;
    };
    let cause = activity::cause(&[activity::sentence(cx.now, cause)]);
    let order = Order {
        desired: group.desired + 1,
        replacing: 0,
        growth: cause.clone(),
        replacement: cause,
        warmup: None,
        extra: true,
    };
    if capacity::launch(cx, &group, order).is_err()
        && let Some(mut row) = cx.autoscaling.groups.edit(name)
    {
        // One failed attempt is enough: the next event asks again.
        row.balance_wanted = false;
    }
}

/// The clause that tells that On-Demand and Spot do not stand to each other as the group's distribution says, if a move
/// can mend it. AWS's words are not known; these are ours.
fn purchase_options(cx: &Engine, group: &Group) -> Option<String> {
    let distribution = &group.mixed()?.distribution;
    let rows = || capacity::current(cx, &group.name);
    let is: i64 = rows().filter(|row| !row.spot).map(|row| row.weight).sum();
    let shall = scaling::on_demand_target(group.desired, distribution.base, distribution.percent);
    let largest = rows().map(|row| row.weight).max()?;
    // Too much of one option, and an instance of it that may go. Weights can leave a remainder smaller than an instance.
    let surplus_is_spot = is < shall;
    let can_go = rows().any(|row| row.spot == surplus_is_spot && !row.protected);
    ((is - shall).abs() >= largest && can_go).then(|| {
        format!(
            "an instance was launched to aid in balancing purchase options: the group had {is} On-Demand capacity units of \
             {shall}."
        )
    })
}

/// The clause that tells of the imbalance, if there is one that a launch can mend.
fn imbalance(cx: &Engine, group: &Group) -> Option<String> {
    let mut counts: BTreeMap<Name, (usize, usize)> = BTreeMap::new();
    for zone in &group.zones {
        counts.insert(zone.name.clone(), (0, 0));
    }
    for row in capacity::current(cx, &group.name) {
        let (all, free) = counts.entry(row.zone.clone()).or_default();
        *all += 1;
        *free += usize::from(!row.protected);
    }
    let invalid: Vec<_> =
        counts.iter().filter(|(zone, (_, free))| group.zone(zone).is_none() && *free > 0).collect();
    if !invalid.is_empty() {
        let names: Vec<&str> = invalid.iter().map(|(zone, _)| &***zone).collect();
        let numbers: Vec<String> = invalid.iter().map(|(_, (all, _))| all.to_string()).collect();
        return Some(format!(
            "invalid availability zones {} had {} instances respectively. An instance was launched to aid in migrating \
             instances from these zones to valid ones",
            names.join(" "),
            numbers.join(" ")
        ));
    }
    let usable = super::zones::usable(cx, group);
    counts.retain(|zone, _| usable.contains(zone));
    let least = counts.values().map(|(all, _)| *all).min()?;
    let most = counts.values().filter(|(_, free)| *free > 0).map(|(all, _)| *all).max()?;
    if most < least + 2 {
        return None;
    }
    let names: Vec<&str> = counts.keys().map(|zone| &**zone).collect();
    let numbers: Vec<String> = counts.values().map(|(all, _)| all.to_string()).collect();
    Some(format!(
        "availability zones {} had {} instances respectively. An instance was launched to aid in balancing the group's \
         zones.",
        names.join(" "),
        numbers.join(" ")
    ))
}
