//! Metrics of `AWS/ApplicationELB` (ALB guide, load-balancer-cloudwatch-metrics).
//!
//! How targets are is read from their table each minute. What was served is counted by the data plane, which is one node
//! for all zones: so only the counts of targets have the dimension `AvailabilityZone`.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch::StandardUnit as Unit;
use capstan_shapes::elbv2::TargetHealthStateEnum as State;

use super::attributes::Attributes;
use super::rows::{Name, TargetIndex};
use crate::Engine;
use crate::cloudwatch::{self, MetricId, StatisticSet};
use crate::kernel::{ResponseTimes, Traffic};

pub(super) const MINUTE: Span = Span::from_mins(1);
const NAMESPACE: &str = "AWS/ApplicationELB";

/// Of a load balancer's metrics, those that count events one by one: "Minimum, Maximum, and Average all return 1".
const BY_ONES: [&str; 2] = ["HTTPCode_", "RequestCount"];

/// Capacity units (Elastic Load Balancing pricing): one is so much of any of these.
const LCU_NEW_CONNECTIONS_PER_SECOND: f64 = 25.0;
const LCU_ACTIVE_CONNECTIONS: f64 = 3_000.0;
const LCU_BYTES_PER_HOUR: f64 = 1e9;
const LCU_RULES_PER_SECOND: f64 = 1_000.0;
/// Of each request.
const LCU_FREE_RULES: u64 = 10;

/// What an ARN's resource is called in dimensions: `app/NAME/ID`, `targetgroup/NAME/ID`.
fn label(arn: &str) -> &str {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}

fn put(cx: &mut Engine, metric: &str, dimensions: &[(&str, &str)], unit: Unit, set: StatisticSet, at: Time) {
    cloudwatch::put_set(cx, MetricId::new(NAMESPACE, metric, dimensions), unit, set, at);
}

/// The data plane tells what it counted in the present minute.
pub(crate) fn traffic(cx: &mut Engine, traffic: Vec<Traffic>) {
    let at = cx.now.floor(MINUTE);
    for served in traffic {
        let balancer = label(&served.load_balancer);
        let of_balancer = ("LoadBalancer", balancer);
        let group = served.target_group.as_deref();
        let dimensions: &[(&str, &str)] =
            &[of_balancer, ("TargetGroup", group.map_or("", label))][..1 + usize::from(group.is_some())];
        for (metric, count) in &served.counts {
            put_count(cx, metric, dimensions, *count, at);
        }
        if let Some(times) = seconds(&served.response_times) {
            put(cx, "TargetResponseTime", dimensions, Unit::Seconds, times, at);
        }
        match group {
            Some(group) => per_target(cx, balancer, group, served.count("RequestCount"), at),
            None => {
                let units = StatisticSet::of(consumed_units(&served));
                put(cx, "ConsumedLCUs", dimensions, Unit::Count, units, at);
            }
        }
    }
}

fn put_count(cx: &mut Engine, metric: &str, dimensions: &[(&str, &str)], count: u64, at: Time) {
    if count == 0 {
        return;
    }
    let unit = if metric == "ProcessedBytes" { Unit::Bytes } else { Unit::Count };
    let by_ones = BY_ONES.iter().any(|prefix| metric.starts_with(prefix));
    let set = if by_ones { StatisticSet::of_values([(1.0, count as f64)]) } else { None };
    put(cx, metric, dimensions, unit, set.unwrap_or_else(|| StatisticSet::of(count as f64)), at);
}

/// Requests of a minute by the targets that can have got them: an average, although its statistic is called `Sum`.
fn per_target(cx: &mut Engine, balancer: &str, group: &str, requests: u64, at: Time) {
    let counts = Counts::of(cx, &group.into());
    let targets = if counts.healthy() > 0 { counts.healthy() } else { counts.total() };
    let value = requests as f64 / targets.max(1) as f64;
    let (balancer, group) = (("LoadBalancer", balancer), ("TargetGroup", label(group)));
    for dimensions in [&[group][..], &[balancer, group]] {
        put(cx, "RequestCountPerTarget", dimensions, Unit::Count, StatisticSet::of(value), at);
    }
}

/// Exact minimum, maximum and sum, percentiles by the values.
fn seconds(times: &ResponseTimes) -> Option<StatisticSet> {
    let mut values = times.values.clone();
    // The greatest and the least stand for their ranges; with one range for all they need two values.
    if values.len() == 1 && times.min < times.max && times.count > 1 {
        values = vec![(times.min, 1), (times.max, times.count - 1)];
    }
    values.first_mut()?.0 = times.min;
    values.last_mut()?.0 = times.max;
    let mut set =
        StatisticSet::of_values(values.into_iter().map(|(micros, n)| (micros as f64 / 1e6, n as f64)))?;
    set.sum = times.sum as f64 / 1e6;
    Some(set)
}

fn consumed_units(served: &Traffic) -> f64 {
    let minute = 60.0;
    let free = served.count("RequestCount") * LCU_FREE_RULES;
    [
        served.count("NewConnectionCount") as f64 / minute / LCU_NEW_CONNECTIONS_PER_SECOND,
        served.count("ActiveConnectionCount") as f64 / LCU_ACTIVE_CONNECTIONS,
        served.count("ProcessedBytes") as f64 * minute / LCU_BYTES_PER_HOUR,
        served.count("RuleEvaluations").saturating_sub(free) as f64 / minute / LCU_RULES_PER_SECOND,
    ]
    .into_iter()
    .fold(0.0, f64::max)
}

/// Puts what is told of each minute, when one has ended: how many targets are healthy, and zeros for what is told although
/// nothing happened.
pub(super) fn put_minute(cx: &mut Engine, arn: &Name) {
    let at = cx.now - MINUTE;
    let balancer = ("LoadBalancer", label(arn));
    for metric in ["RequestCount", "ConsumedLCUs"] {
        put_zero(cx, metric, &[balancer], at);
    }
    let listeners = cx.elb.listeners_of(arn);
    let groups: BTreeSet<Name> = listeners
        .flat_map(|listener| {
            let rules = cx.elb.rules_of(&listener.arn).flat_map(|rule| rule.action.target_groups());
            listener.default_action.target_groups().chain(rules)
        })
        .cloned()
        .collect();
    for group in groups {
        let counts = Counts::of(cx, &group);
        if counts.total() == 0 {
            continue;
        }
        let named = ("TargetGroup", label(&group));
        put_zero(cx, "RequestCount", &[balancer, named], at);
        put_zero(cx, "RequestCountPerTarget", &[named], at);
        put_zero(cx, "RequestCountPerTarget", &[balancer, named], at);
        let Some(attributes) = cx.elb.target_groups.get(&group).map(|row| row.attributes.clone()) else {
            continue;
        };
        for (metric, value) in counts.shown(&attributes) {
            put(cx, metric, &[balancer, named], Unit::Count, StatisticSet::of(value as f64), at);
        }
        for (zone, [healthy, unhealthy]) in &counts.0 {
            let Some(zone) = zone else { continue };
            let dimensions = [("AvailabilityZone", zone.as_str()), balancer, named];
            for (metric, value) in [("HealthyHostCount", healthy), ("UnHealthyHostCount", unhealthy)] {
                put(cx, metric, &dimensions, Unit::Count, StatisticSet::of(*value as f64), at);
            }
        }
    }
}

fn put_zero(cx: &mut Engine, metric: &str, dimensions: &[(&str, &str)], at: Time) {
    let id = MetricId::new(NAMESPACE, metric, dimensions);
    if !cloudwatch::has_point(cx, id.clone(), at) {
        cloudwatch::put_set(cx, id, Unit::Count, StatisticSet::of(0.0), at);
    }
}

/// Targets of a group in each zone: healthy ones, and those that are to be healthy and are not.
struct Counts(BTreeMap<Option<String>, [usize; 2]>);

impl Counts {
    /// By the index: the targets themselves are not looked at.
    fn of(cx: &Engine, group: &Name) -> Self {
        let from = TargetIndex::Health(group.clone(), None, "");
        let mut zones = BTreeMap::new();
        for index in cx.elb.targets.indexes_from(from) {
            let TargetIndex::Health(of, zone, state) = index else { break };
            if of != group {
                break;
            }
            let column = match *state {
                state if state == State::Healthy.as_str() => 0,
                state if [State::Initial.as_str(), State::Unhealthy.as_str()].contains(&state) => 1,
                _ => continue,
            };
            let counts: &mut [usize; 2] = zones.entry(zone.clone()).or_default();
            counts[column] += cx.elb.targets.count_by(index);
        }
        Self(zones)
    }

    fn healthy(&self) -> usize {
        self.0.values().map(|[healthy, _]| healthy).sum()
    }

    fn total(&self) -> usize {
        self.0.values().flatten().sum()
    }

    /// Of the whole group: its targets, and zones above and below the minimum of healthy targets that name resolution
    /// and routing ask for.
    fn shown(&self, attributes: &Attributes) -> [(&'static str, usize); 6] {
        let zones_with = |purpose: &str| {
            let minimum = |unit: &str| {
                let key = format!("target_group_health.{purpose}.minimum_healthy_targets.{unit}");
                usize::try_from(attributes.number(&key)).unwrap_or(0)
            };
            let (count, percent) = (minimum("count"), minimum("percentage"));
            let enough = |zone: &&[usize; 2]| {
                let [healthy, unhealthy] = **zone;
                healthy >= count && healthy * 100 >= percent * (healthy + unhealthy)
            };
            self.0.values().filter(enough).count()
        };
        let zones = self.0.len();
        let (dns, routing) = (zones_with("dns_failover"), zones_with("unhealthy_state_routing"));
        [
            ("HealthyHostCount", self.healthy()),
            ("UnHealthyHostCount", self.total() - self.healthy()),
            ("HealthyStateDNS", dns),
            ("UnhealthyStateDNS", zones - dns),
            ("HealthyStateRouting", routing),
            ("UnhealthyStateRouting", zones - routing),
        ]
    }
}
