//! Which instance a scale-in takes (ASG guide, ec2-auto-scaling-termination-policies).
//!
//! The zone with the most instances comes first, whatever the policies; in a mixed group before that the purchase
//! option of which there is too much. Protected instances are never taken. Where the guide says "at random", the order
//! of the ids decides: they are random already.

use std::collections::BTreeMap;

use capstan_model::{InstanceId, Span, Time};

use super::allocation::Fleet;
use super::rows::{Group, GroupInstance};

/// Termination policies, as DescribeTerminationPolicyTypes lists them.
pub(super) const TYPES: &[&str] = &[
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
];

/// The policy of that name, `DEFAULT` in any case included; `None` when there is none.
pub(super) fn policy(name: &str) -> Option<&'static str> {
    TYPES.iter().copied().find(|each| each.eq_ignore_ascii_case(name))
}

/// The next instance to go, or `None` when all that may go are protected. `current` are the instances that count
/// towards the desired capacity, `fitting` those of them that may go.
pub(super) fn victim(
    group: &Group,
    current_version: Option<&str>,
    current: &[&GroupInstance],
    fitting: &[&GroupInstance],
    fleet: &mut Fleet<'_>,
    now: Time,
) -> Option<InstanceId> {
    let mut unprotected: Vec<&GroupInstance> =
        fitting.iter().copied().filter(|each| !each.protected).collect();
    let mut counted: Vec<&GroupInstance> = current.to_vec();
    if group.mixed().is_some() {
        // Too much Spot goes before too much On-Demand unless On-Demand itself is above its share.
        let spot = fleet.on_demand_missing(group.desired) >= 0;
        if unprotected.iter().any(|each| each.spot == spot) {
            unprotected.retain(|each| each.spot == spot);
            counted.retain(|each| each.spot == spot);
        }
    }
    // Instances in zones that the group has left go first of all.
    if unprotected.iter().any(|each| group.zone(&each.zone).is_none()) {
        unprotected.retain(|each| group.zone(&each.zone).is_none());
    }
    let mut in_zone: BTreeMap<&str, usize> = BTreeMap::new();
    for each in &counted {
        *in_zone.entry(&each.zone).or_default() += 1;
    }
    let most = unprotected.iter().map(|each| in_zone[&*each.zone]).max()?;
    unprotected.retain(|each| in_zone[&*each.zone] == most);
    let mut left = unprotected;
    let named = group.termination_policies.iter().filter_map(|name| policy(name));
    for name in named.chain(["Default"]) {
        if left.len() > 1 {
            left = filter(name, group, current_version, left, fleet, now);
        }
    }
    left.iter().map(|each| each.id).min()
}

/// Those of the instances that the policy would take first.
fn filter<'a>(
    policy: &str,
    group: &Group,
    current_version: Option<&str>,
    left: Vec<&'a GroupInstance>,
    fleet: &mut Fleet<'_>,
    now: Time,
) -> Vec<&'a GroupInstance> {
    match policy {
        "NewestInstance" => least(left, |each| std::cmp::Reverse(each.launched)),
        "OldestInstance" => least(left, |each| each.launched),
        "ClosestToNextInstanceHour" => least(left, |each| to_next_hour(each, now)),
        "AllocationStrategy" => least_mut(left, |each| {
            std::cmp::Reverse(fleet.standing(&each.zone, &each.instance_type, each.spot))
        }),
        "OldestLaunchTemplate" => oldest_template(left, group, current_version),
        // There are no launch configurations: the policy takes nobody before others.
        "OldestLaunchConfiguration" => left,
        _ => {
            let left = if group.mixed().is_some() {
                filter("AllocationStrategy", group, current_version, left, fleet, now)
            } else {
                left
            };
            let left = oldest_template(left, group, current_version);
            filter("ClosestToNextInstanceHour", group, current_version, left, fleet, now)
        }
    }
}

/// Instances of other templates than the group's, then those of its oldest version. Attached instances, which have no
/// template of their own, are among the others.
fn oldest_template<'a>(
    left: Vec<&'a GroupInstance>,
    group: &Group,
    current_version: Option<&str>,
) -> Vec<&'a GroupInstance> {
    let id = &group.source.template().id;
    let current = current_version.and_then(|version| version.parse::<i64>().ok()).unwrap_or(i64::MAX);
    least(left, |each| match &each.template {
        Some(template) if template.id == *id => {
            let version = template.version.parse::<i64>().unwrap_or(current);
            (1, version)
        }
        _ => (0, 0),
    })
}

/// Time until the instance has run another whole hour.
fn to_next_hour(each: &GroupInstance, now: Time) -> i64 {
    let hour = Span::from_hours(1).as_micros();
    let age = (now - each.launched).as_micros().max(0);
    // Whole minutes: instances of one launch are alike.
    (hour - age % hour) / Span::from_mins(1).as_micros()
}

fn least<K: Ord>(left: Vec<&GroupInstance>, key: impl Fn(&GroupInstance) -> K) -> Vec<&GroupInstance> {
    least_mut(left, key)
}

fn least_mut<K: Ord>(
    left: Vec<&GroupInstance>,
    mut key: impl FnMut(&GroupInstance) -> K,
) -> Vec<&GroupInstance> {
    let keyed: Vec<(K, &GroupInstance)> = left.into_iter().map(|each| (key(each), each)).collect();
    let mut best: Vec<&GroupInstance> = Vec::new();
    let mut best_key: Option<&K> = None;
    for (key, each) in &keyed {
        match best_key.map(|best| key.cmp(best)) {
            Some(std::cmp::Ordering::Greater) => {}
            Some(std::cmp::Ordering::Equal) => best.push(each),
            Some(std::cmp::Ordering::Less) | None => {
                best = vec![each];
                best_key = Some(key);
            }
        }
    }
    best
}
