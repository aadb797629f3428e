//! Which instance a scale-in takes (ASG guide, ec2-auto-scaling-termination-policies).
//!
//! The zone with the most instances comes first, whatever the policies; in a mixed group before that the purchase
//! option of which there is too much. Protected instances are never taken. Where the guide says "at random", the order
//! of the ids decides: they are random already.

use std::collections::{BTreeMap, VecDeque};

use capstan_model::{Span, Time};

use super::allocation::Fleet;
use super::rows::{Group, GroupInstance, Name, Origin, Source};

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

/// A zone and, in a mixed group, a purchase option of it (`true` is Spot).
type Bucket = (Name, bool);

/// What policies make of an instance: the least goes first.
type Rank = Vec<i64>;

#[derive(Default)]
struct Waiting<'a> {
    /// How many instances count in the bucket.
    count: i64,
    /// Those of them that may go, first the first.
    line: VecDeque<(Rank, &'a GroupInstance)>,
}

/// A group's instances in the order in which they would go. What the policies look at does not change while instances
/// are chosen, so that the order is made once.
pub(super) struct Queue<'a> {
    /// Zones that the group still launches in.
    zones: Vec<Name>,
    mixed: bool,
    buckets: BTreeMap<Bucket, Waiting<'a>>,
}

impl<'a> Queue<'a> {
    /// `current` are the instances that count towards the desired capacity; those that `may_go` and are not protected
    /// can be chosen.
    pub(super) fn new(
        group: &Group,
        current_version: Option<&str>,
        current: &[&'a GroupInstance],
        may_go: impl Fn(&GroupInstance) -> bool,
        fleet: &mut Fleet<'_>,
        now: Time,
    ) -> Self {
        let mixed = group.mixed().is_some();
        let mut policies: Vec<&str> =
            group.termination_policies.iter().filter_map(|name| policy(name)).collect();
        policies.push("Default");
        let mut buckets: BTreeMap<Bucket, Waiting<'_>> = BTreeMap::new();
        for &each in current {
            let waiting = buckets.entry((each.zone.clone(), mixed && each.spot)).or_default();
            waiting.count += 1;
            if !each.protected && may_go(each) {
                let mut rank = Rank::new();
                for name in &policies {
                    put_rank(name, group, current_version, each, fleet, now, &mut rank);
                }
                waiting.line.push_back((rank, each));
            }
        }
        for waiting in buckets.values_mut() {
            let line = waiting.line.make_contiguous();
            line.sort_by(|(a, of_a), (b, of_b)| (a, of_a.id).cmp(&(b, of_b.id)));
        }
        let zones = group.zones.iter().map(|zone| zone.name.clone()).collect();
        Self { zones, mixed, buckets }
    }

    /// Takes the next instance out of the queue, of at most that many capacity units; `None` when no such instance may
    /// go. `on_demand_missing` says which purchase option there is too much of.
    pub(super) fn next(&mut self, on_demand_missing: i64, units_max: i64) -> Option<&'a GroupInstance> {
        // Too much Spot goes before too much On-Demand, unless On-Demand itself is above its share.
        let preferred = self.mixed && on_demand_missing >= 0;
        let options: &[bool] = match (self.mixed, preferred) {
            (false, _) => &[false],
            (true, true) => &[true, false],
            (true, false) => &[false, true],
        };
        let (bucket, at) = options.iter().find_map(|option| self.first(*option, units_max))?;
        let waiting = self.buckets.get_mut(&bucket)?;
        waiting.count -= 1;
        waiting.line.remove(at).map(|(_, instance)| instance)
    }

    /// The bucket of the next instance of that purchase option, and its place there.
    fn first(&self, option: bool, units_max: i64) -> Option<(Bucket, usize)> {
        let of_option = self.buckets.iter().filter(|((_, spot), _)| *spot == option);
        let heads = of_option.filter_map(|(bucket, waiting)| {
            let at = waiting.line.iter().position(|(_, each)| each.weight <= units_max)?;
            let (rank, instance) = &waiting.line[at];
            // Zones that the group has left come first of all, then the fullest.
            let order = (self.zones.contains(&bucket.0), -waiting.count, rank, instance.id);
            Some((order, (bucket.clone(), at)))
        });
        heads.min().map(|(_, found)| found)
    }
}

/// Adds what a policy makes of the instance.
fn put_rank(
    policy: &str,
    group: &Group,
    current_version: Option<&str>,
    each: &GroupInstance,
    fleet: &mut Fleet<'_>,
    now: Time,
    rank: &mut Rank,
) {
    match policy {
        "NewestInstance" => rank.push(-each.launched.as_micros()),
        "OldestInstance" => rank.push(each.launched.as_micros()),
        "ClosestToNextInstanceHour" => rank.push(to_next_hour(each, now)),
        "AllocationStrategy" => {
            let standing = fleet.standing(&each.zone, &each.instance_type, each.spot);
            rank.push(-i64::try_from(standing).unwrap_or(i64::MAX));
        }
        "OldestLaunchTemplate" => rank.extend(template_age(each, group, current_version)),
        "OldestLaunchConfiguration" => rank.push(configuration_age(each, group)),
        _ => {
            if group.mixed().is_some() {
                put_rank("AllocationStrategy", group, current_version, each, fleet, now, rank);
            }
            rank.extend(template_age(each, group, current_version));
            rank.push(to_next_hour(each, now));
        }
    }
}

/// Instances of other templates than the group's, then those of its oldest version. Attached instances, which have no
/// template of their own, are among the others.
fn template_age(each: &GroupInstance, group: &Group, current_version: Option<&str>) -> [i64; 2] {
    let current = current_version.and_then(|version| version.parse().ok()).unwrap_or(i64::MAX);
    match (each.origin.as_ref(), group.source.template()) {
        (Some(Origin::Template(template)), Some(own)) if template.id == own.id => {
            [1, template.version.parse().unwrap_or(current)]
        }
        // A launch configuration never changes: only which one it is counts.
        (Some(Origin::Configuration(_)), None) => [configuration_age(each, group), 0],
        _ => [0, 0],
    }
}

/// Instances of other launch configurations than the group's first.
fn configuration_age(each: &GroupInstance, group: &Group) -> i64 {
    let own = match (&each.origin, &group.source) {
        (Some(Origin::Configuration(name)), Source::Configuration(own)) => name == own,
        // A policy about launch configurations takes nobody else before others.
        (Some(Origin::Configuration(_)), _) => false,
        _ => true,
    };
    i64::from(own)
}

/// Whole minutes until the instance has run another hour: instances of one launch are alike.
fn to_next_hour(each: &GroupInstance, now: Time) -> i64 {
    let hour = Span::from_hours(1).as_micros();
    let age = (now - each.launched).as_micros().max(0);
    (hour - age % hour) / Span::from_mins(1).as_micros()
}
