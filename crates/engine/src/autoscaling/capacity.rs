//! Desired against actual capacity: launches what is missing, takes out what is too much.
//!
//! A handler or a policy changes the desired capacity and asks for a comparison; the comparison is the group's next
//! deadline, so that it happens in the same moment but once, after everything else of that moment (`next_due`).

use std::collections::BTreeMap;

use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::autoscaling::CapacityDistributionStrategy;
use capstan_shapes::{Refusal, ec2};

use super::allocation::{Fleet, NoPool, Place};
use super::decision::{Decision, Verdict};
use super::rows::{
    Group, GroupInstance, GroupInstanceIndex, Health, LifecycleState as State, Name, Origin, Risk,
    ScalingActivityStatusCode as Code, Warmup,
};
use super::template::{self, Candidate};
use super::termination::Queue;
use super::{activity, balance, health, launch_configuration, lifecycle, rebalance};
use crate::ec2::{InstanceIndex, Quotes};
use crate::{Caller, Engine};

/// The tag by which an instance tells its group.
pub(super) const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// A failed launch is tried again (observed: one failed activity about every two to four minutes).
const RETRY: Span = Span::from_mins(3);

/// A zone that had no room is tried again after this, when the group is out of balance without it (ASG guide, AZRebalance:
/// "an AZ that lacked capacity recovered"; the time is ours).
const BALANCE_AGAIN: Span = Span::from_mins(5);

/// EC2's codes for a pool without room: another pool may have some.
const NO_ROOM: &[&str] = &[
    "InsufficientInstanceCapacity",
    "MaxSpotInstanceCountExceeded",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
];

const PROTECTED: &str =
    "Could not scale to desired capacity because all remaining instances are protected from scale-in.";

/// Asks for a comparison now. `trigger` is the sentence that tells why.
pub(super) fn request(cx: &mut Engine, group: &Name, trigger: Option<String>) {
    let now = cx.now;
    if let Some(mut row) = cx.autoscaling.groups.edit(group) {
        row.reconcile_at = Some(now);
        row.triggers.extend(trigger);
    }
}

/// Sets the desired capacity. `clause` is the first half of the reason: `a user request executed policy P`.
pub(super) fn set_desired(
    cx: &mut Engine,
    group: &Name,
    to: i64,
    clause: &str,
    policy: Option<(Name, Option<Warmup>)>,
) {
    let now = cx.now;
    let Some(mut row) = cx.autoscaling.groups.edit(group) else { return };
    let from = std::mem::replace(&mut row.desired, to);
    row.reconcile_at = Some(now);
    if from == to {
        return;
    }
    let (policy, warmup) = policy.map_or((None, None), |(policy, warmup)| (Some(policy), warmup));
    let clause = format!("{clause} changing the desired capacity from {from} to {to}.");
    row.triggers.push(activity::sentence(now, clause));
    row.launch_warmup = warmup;
    row.decision = Some(Decision { at: now, policy, verdict: Verdict::Changed { from, to } });
}

/// Keeps why nothing (more) was done. That a policy has nothing to ask for does not cover why the capacity that it asked
/// for before could not be had.
pub(super) fn decide(cx: &mut Engine, group: &Name, policy: Option<Name>, verdict: Verdict) {
    let at = cx.now;
    let Some(mut row) = cx.autoscaling.groups.edit(group) else { return };
    let nothing_new = matches!(verdict, Verdict::AlreadyThere { .. });
    if !(nothing_new && row.decision.as_ref().is_some_and(Decision::is_pending)) {
        row.decision = Some(Decision { at, policy, verdict });
    }
}

/// What the comparison was asked for with.
struct Ask {
    triggers: Vec<String>,
    warmup: Option<Warmup>,
    replacements: i64,
}

/// Compares, and acts on the difference.
pub(super) fn reconcile(cx: &mut Engine, name: &Name) {
    let Some(mut row) = cx.autoscaling.groups.edit(name) else { return };
    row.reconcile_at = None;
    if row.decision.as_ref().is_some_and(Decision::is_pending) {
        row.decision = None;
    }
    let ask = Ask {
        triggers: std::mem::take(&mut row.triggers),
        warmup: row.launch_warmup.take(),
        replacements: std::mem::take(&mut row.replacements),
    };
    let group = row.clone();
    drop(row);
    if group.deleting {
        return;
    }
    let current = capacity(cx, name);
    if current < group.desired {
        launch_missing(cx, &group, current, ask);
    } else if current > group.desired {
        shrink(cx, &group, ask);
    }
    rebalance::check(cx, name);
    balance::check(cx, name);
}

/// Capacity units on their way in or in service, without what was launched above the desired capacity for balance.
fn capacity(cx: &Engine, name: &Name) -> i64 {
    current(cx, name).filter(|row| row.moves.is_none()).map(|row| row.weight).sum()
}

pub(super) fn current<'a>(cx: &'a Engine, name: &Name) -> impl Iterator<Item = &'a GroupInstance> + use<'a> {
    cx.autoscaling.instances.by(&GroupInstanceIndex::Current(name.clone()))
}

fn launch_missing(cx: &mut Engine, group: &Group, current: i64, ask: Ask) {
    if group.is_suspended("Launch") {
        if let Some(mut row) = cx.autoscaling.groups.edit(&group.name) {
            // The replacements are still owed when launching is resumed.
            row.replacements = ask.replacements;
        }
        return decide(cx, &group.name, None, Verdict::Suspended { process: "Launch" });
    }
    let missing = group.desired - current;
    // Successors that are not in service yet come on top.
    let extra =
        self::current(cx, &group.name).filter(|row| row.moves.is_some()).map(|row| row.weight).sum::<i64>();
    let replacing = ask.replacements.min(missing);
    let mut sentences = ask.triggers;
    sentences.push(activity::sentence(
        cx.now,
        format!(
            "an instance was started in response to a difference between desired and actual capacity, increasing the \
             capacity from {current} to {}.",
            group.desired
        ),
    ));
    let growth = activity::cause(&sentences);
    let replacement = activity::cause(&[activity::sentence(cx.now, health::REPLACED)]);
    let warmup = ask.warmup.or_else(|| {
        let span = group.default_instance_warmup?;
        Some(Warmup { span, from_launch: false })
    });
    let order = Order {
        desired: group.desired + extra,
        replacing,
        growth,
        replacement,
        warmup,
        moves: None,
        avoid: Vec::new(),
        only_there: false,
    };
    if let Err(message) = launch(cx, group, order) {
        let retry_at = cx.now + RETRY;
        if let Some(mut row) = cx.autoscaling.groups.edit(&group.name) {
            row.reconcile_at = Some(row.reconcile_at.map_or(retry_at, |before| before.min(retry_at)));
            row.launch_warmup = row.launch_warmup.or(ask.warmup);
        }
        decide(cx, &group.name, None, Verdict::LaunchFailed { message, retry_at });
    }
}

/// What to launch, and how to tell of it.
pub(super) struct Order {
    /// Capacity to launch up to.
    pub(super) desired: i64,
    /// So many of the launches replace unhealthy instances; they have their own cause.
    pub(super) replacing: i64,
    pub(super) growth: Name,
    pub(super) replacement: Name,
    pub(super) warmup: Option<Warmup>,
    /// Above the desired capacity, to take the place of that instance; with the purchase option to launch.
    pub(super) moves: Option<(InstanceId, bool)>,
    /// Spot pools to leave out: zone and instance type.
    pub(super) avoid: Vec<(Name, Name)>,
    /// Where the first choice has no room, nothing is launched: elsewhere it would be of no use.
    pub(super) only_there: bool,
}

/// Launches up to the capacity asked for, pool by pool. `Err` is why some of it could not be had.
pub(super) fn launch(cx: &mut Engine, group: &Group, mut order: Order) -> Result<(), String> {
    let capacity_type = group.settings.desired_capacity_type.as_deref();
    let candidates = match template::candidates(cx, &group.source, capacity_type) {
        Ok(candidates) => candidates,
        Err(refusal) => return Err(failed(cx, group, &order, None, refusal.message)),
    };
    let region = cx.config.region.name;
    let distribution = group.mixed().map(|policy| &policy.distribution);
    // The rows of the moment: launches of this call are counted by the fleet itself.
    let instances: Vec<GroupInstance> = current(cx, &group.name).cloned().collect();
    let strategy =
        group.settings.zone_distribution.as_ref().and_then(|zones| zones.capacity_distribution_strategy);
    let mut fleet =
        Fleet::new(&group.zones, &candidates, distribution, region, Quotes::new(cx), instances.iter())
            .balanced_only(strategy == Some(CapacityDistributionStrategy::BalancedOnly))
            .crowd(|zone| in_zone(cx, zone))
            .purchase(order.moves.map(|(_, spot)| spot))
            .avoiding(&order.avoid);
    let mut refused: Option<(Place, Refusal)> = None;
    while fleet.capacity() < order.desired {
        let mut calls: BTreeMap<Place, i32> = BTreeMap::new();
        while fleet.capacity() < order.desired {
            match fleet.next(order.desired) {
                Ok(place) => *calls.entry(place).or_default() += 1,
                Err(no_pool) if calls.is_empty() => {
                    let message = no_pool_message(group, &candidates, no_pool, refused.as_ref());
                    let place = refused.map(|(place, _)| place);
                    return Err(failed(cx, group, &order, place.as_ref(), message));
                }
                Err(_) => break,
            }
        }
        for (place, count) in calls {
            let came = match run(cx, group, &candidates[place.candidate], &place, count) {
                Ok(instances) => {
                    let came = i32::try_from(instances.len()).unwrap_or(count);
                    for instance in instances {
                        launched(cx, group, &candidates[place.candidate], &place, instance, &mut order);
                    }
                    came
                }
                Err(refusal) if NO_ROOM.contains(&&*refusal.code) => {
                    if order.only_there {
                        look_at_balance_later(cx, group);
                        return Err(refusal.message);
                    }
                    refused = Some((place.clone(), refusal));
                    0
                }
                Err(refusal) => {
                    let message = format!("{} Launching EC2 instance failed.", refusal.message);
                    return Err(failed(cx, group, &order, Some(&place), message));
                }
            };
            for _ in came..count {
                fleet.uncount(&place);
            }
            if came < count {
                fleet.close(&place);
                look_at_balance_later(cx, group);
            }
        }
    }
    Ok(())
}

fn look_at_balance_later(cx: &mut Engine, group: &Group) {
    let at = cx.now + BALANCE_AGAIN;
    if group.zones.len() > 1
        && let Some(mut row) = cx.autoscaling.groups.edit(&group.name)
    {
        row.balance_at = Some(at);
    }
}

/// Records a failed launch; gives its message back.
fn failed(cx: &mut Engine, group: &Group, order: &Order, place: Option<&Place>, message: String) -> String {
    let zone = match place {
        Some(place) => group.zones.get(place.zone),
        None => group.zones.first(),
    };
    let subnet = place.and_then(|place| place.subnet.as_deref());
    let details = activity::details(subnet, zone.map_or("", |zone| &zone.name));
    let cause = if order.replacing > 0 { order.replacement.clone() } else { order.growth.clone() };
    activity::launch_failed(cx, group, cause, details, message.clone());
    message
}

fn no_pool_message(
    group: &Group,
    candidates: &[Candidate],
    no_pool: NoPool,
    refused: Option<&(Place, Refusal)>,
) -> String {
    const FAILED: &str = "Launching EC2 instance failed.";
    let types = || {
        let mut names: Vec<&str> =
            candidates.iter().filter_map(|candidate| candidate.instance_type.as_deref()).collect();
        names.dedup();
        names.join(", ")
    };
    let zones = || group.zones.iter().map(|zone| &*zone.name).collect::<Vec<_>>().join(", ");
    match no_pool {
        NoPool::PriceTooLow { bid, needed } => {
            format!(
                "Your Spot request price of {} is lower than the minimum required Spot request fulfillment price of \
                 {}. {FAILED}",
                bid.decimal(),
                needed.decimal()
            )
        }
        NoPool::NotOffered => format!(
            "Your requested instance type ({}) is not supported in your requested Availability Zone ({}). {FAILED}",
            types(),
            zones()
        ),
        NoPool::Closed => {
            let (spot, code, message) = match refused {
                Some((place, refusal)) => (place.spot, &*refusal.code, refusal.message.as_str()),
                None => (
                    false,
                    "InsufficientInstanceCapacity",
                    "There is no capacity available that matches your request.",
                ),
            };
            match (spot, group.mixed().is_some()) {
                (true, true) => format!("Could not launch Spot Instances. {code} - {message} {FAILED}"),
                (false, true) => format!("Could not launch On-Demand Instances. {code} - {message} {FAILED}"),
                (_, false) => format!("{message} {FAILED}"),
            }
        }
    }
}

fn run(
    cx: &mut Engine,
    group: &Group,
    candidate: &Candidate,
    place: &Place,
    count: i32,
) -> Result<Vec<ec2::Instance>, Refusal> {
    let mut tags = vec![ec2::Tag { key: Some(GROUP_TAG.to_owned()), value: Some(group.name.to_string()) }];
    let propagated = group.tags.iter().filter(|(_, tag)| tag.propagate);
    tags.extend(
        propagated.map(|(key, tag)| ec2::Tag { key: Some(key.clone()), value: Some(tag.value.clone()) }),
    );
    let zone = group.zones[place.zone].name.to_string();
    let market = (place.spot && group.mixed().is_some()).then(|| ec2::InstanceMarketOptionsRequest {
        market_type: Some(ec2::MarketType::Spot),
        spot_options: Some(ec2::SpotMarketOptions {
            max_price: group
                .mixed()
                .and_then(|policy| policy.distribution.spot_max_price)
                .map(|price| price.to_string()),
            spot_instance_type: Some(ec2::SpotInstanceType::OneTime),
            ..Default::default()
        }),
    });
    let base = match &candidate.resolved.origin {
        Origin::Template(spec) => ec2::RunInstancesRequest {
            launch_template: Some(ec2::LaunchTemplateSpecification {
                launch_template_id: Some(spec.id.clone()),
                launch_template_name: None,
                version: Some(spec.version.clone()),
            }),
            instance_type: candidate
                .instance_type
                .as_deref()
                .filter(|_| candidate.name_type)
                .map(str::to_owned),
            image_id: candidate.image_id.clone(),
            subnet_id: place.subnet.clone(),
            instance_market_options: market,
            ..Default::default()
        },
        Origin::Configuration(name) => {
            launch_configuration::instances(launch_configuration::find(cx, name)?, place.subnet.clone())
        }
    };
    let request = ec2::RunInstancesRequest {
        min_count: 1,
        max_count: count,
        placement: place.subnet.is_none().then(|| ec2::Placement {
            availability_zone: Some(zone),
            group_name: group.settings.placement_group.clone(),
            ..Default::default()
        }),
        tag_specifications: Some(vec![ec2::TagSpecification {
            resource_type: Some("instance".to_owned()),
            tags: Some(tags),
        }]),
        ..base
    };
    Ok(cx.call(Caller::AUTOSCALING, request)?.instances.unwrap_or_default())
}

/// Takes in what EC2 has launched.
fn launched(
    cx: &mut Engine,
    group: &Group,
    candidate: &Candidate,
    place: &Place,
    instance: ec2::Instance,
    order: &mut Order,
) {
    let Some(id) = instance.instance_id.as_deref().and_then(|text| text.parse::<InstanceId>().ok()) else {
        return;
    };
    let cause = if order.replacing > 0 { order.replacement.clone() } else { order.growth.clone() };
    order.replacing -= candidate.weight.min(order.replacing);
    let given_zone = instance.placement.and_then(|placement| placement.availability_zone);
    let zone = given_zone.map_or_else(|| group.zones[place.zone].name.clone(), Name::from);
    let details = activity::details(instance.subnet_id.as_deref(), &zone);
    let key = activity::begin(cx, group, format!("Launching a new EC2 instance: {id}"), cause, details);
    activity::stage(cx, &key, Code::PreInService);
    cx.autoscaling.instances.insert(GroupInstance {
        id,
        group: group.name.clone(),
        state: State::Pending,
        health: Health::Healthy,
        zone,
        subnet: instance.subnet_id.map(Name::from),
        instance_type: instance
            .instance_type
            .map(Name::from)
            .or_else(|| candidate.instance_type.clone())
            .unwrap_or_else(|| "".into()),
        image_id: instance.image_id.map(Name::from),
        origin: Some(candidate.resolved.origin.clone()),
        weight: candidate.weight,
        weighted: group
            .mixed()
            .is_some_and(|policy| policy.overrides.iter().any(|each| each.weight.is_some())),
        spot: instance.instance_lifecycle == Some(ec2::InstanceLifecycleType::Spot),
        protected: group.new_instances_protected,
        launched: instance.launch_time.unwrap_or(cx.now),
        in_service: None,
        warmup: order.warmup,
        ec2_state: "pending",
        targets: BTreeMap::new(),
        draining: std::collections::BTreeSet::new(),
        activity: Some(key),
        moves: order.moves.map(|(victim, _)| victim),
        risk: Risk::None,
        hooks: true,
        check_at: None,
    });
}

fn shrink(cx: &mut Engine, group: &Group, ask: Ask) {
    if group.is_suspended("Terminate") {
        return decide(cx, &group.name, None, Verdict::Suspended { process: "Terminate" });
    }
    let (victims, left) = victims(cx, group);
    let current = capacity(cx, &group.name);
    let mut sentences = ask.triggers;
    let by_request = !sentences.is_empty();
    if !victims.is_empty() {
        sentences.push(activity::sentence(
            cx.now,
            format!(
                "an instance was taken out of service in response to a difference between desired and actual capacity, \
                 shrinking the capacity from {current} to {left}."
            ),
        ));
        for id in &victims {
            let clause = format!("instance {id} was selected for termination.");
            sentences.push(activity::sentence(cx.now, clause));
        }
        let cause = activity::cause(&sentences);
        for id in &victims {
            lifecycle::terminate(cx, *id, cause.clone(), lifecycle::Exit::Orderly);
        }
    }
    let smallest = self::current(cx, &group.name).map(|row| row.weight).min();
    if smallest.is_some_and(|weight| left - weight >= group.desired) {
        decide(cx, &group.name, None, Verdict::Protected { surplus: left - group.desired });
        if by_request {
            let cause = activity::cause(&sentences);
            let key = activity::begin(cx, group, PROTECTED.to_owned(), cause, "{}".to_owned());
            activity::end(cx, &key, Code::Failed, Some(PROTECTED.to_owned()));
        }
    }
}

/// What termination policies and pools are judged by.
pub(super) struct View<'a> {
    group: &'a Group,
    candidates: Vec<Candidate>,
    /// The template's version that counts now.
    version: Option<String>,
    now: Time,
}

impl<'a> View<'a> {
    pub(super) fn new(cx: &Engine, group: &'a Group) -> Self {
        let capacity_type = group.settings.desired_capacity_type.as_deref();
        let version = group.source.template().and_then(|spec| template::resolve(cx, spec).ok());
        Self {
            group,
            // A template that is gone decides nothing here: then only what the instances themselves say counts.
            candidates: template::candidates(cx, &group.source, capacity_type).unwrap_or_default(),
            version: version.and_then(|resolved| Some(resolved.origin.template()?.version.clone())),
            now: cx.now,
        }
    }

    pub(super) fn fleet<'b>(&'b self, cx: &Engine, instances: &[&'b GroupInstance]) -> Fleet<'b> {
        let distribution = self.group.mixed().map(|policy| &policy.distribution);
        let region = cx.config.region.name;
        let instances = instances.iter().copied();
        Fleet::new(&self.group.zones, &self.candidates, distribution, region, Quotes::new(cx), instances)
    }

    /// The instances in the order in which the policies take them.
    pub(super) fn queue<'b>(
        &self,
        among: &[&'b GroupInstance],
        may_go: impl Fn(&GroupInstance) -> bool,
        fleet: &mut Fleet<'_>,
    ) -> Queue<'b> {
        Queue::new(self.group, self.version.as_deref(), among, may_go, fleet, self.now)
    }
}

/// The instances to take out, in the order in which they were chosen, and the capacity that is left after them.
fn victims(cx: &Engine, group: &Group) -> (Vec<InstanceId>, i64) {
    let view = View::new(cx, group);
    let among: Vec<&GroupInstance> = current(cx, &group.name).filter(|row| row.moves.is_none()).collect();
    let mut left: i64 = among.iter().map(|row| row.weight).sum();
    let mut fleet = view.fleet(cx, &among);
    let mut queue = view.queue(&among, |_| true, &mut fleet);
    let mut chosen = Vec::new();
    // With weights an instance may be more than the surplus: nothing goes that would undercut the desired capacity.
    while let Some(victim) = queue.next(fleet.on_demand_missing(group.desired), left - group.desired) {
        fleet.leave(victim);
        left -= victim.weight;
        chosen.push(victim.id);
    }
    (chosen, left)
}

/// Instances of the account in a zone, those that ended within the last hour included.
fn in_zone(cx: &Engine, zone: &str) -> usize {
    let known = capstan_model::zone(zone).map(|(_, zone)| zone.name);
    known.map_or(0, |name| cx.ec2.instances().count_by(&InstanceIndex::Zone(name)))
}
