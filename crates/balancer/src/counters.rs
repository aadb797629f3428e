//! Counters of load balancers and target groups, for the metrics of `AWS/ApplicationELB`.
//!
//! Each worker counts in a shard of its own, so that the hot path shares no cache line between cores.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Sub-buckets for each power of two of a response time: values are kept to within 1/16.
const SUB_BUCKETS: usize = 16;
const BUCKETS: usize = 32 * SUB_BUCKETS;

/// What one load balancer or target group counted since the last time (ALB guide, load-balancer-cloudwatch-metrics).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub load_balancer_arn: Option<String>,
    /// Set on the row of a target group; rows without it are those of a load balancer.
    pub target_group_arn: Option<String>,
    /// Requests for which a target was chosen.
    pub request_count: u64,
    pub httpcode_target_2xx: u64,
    pub httpcode_target_3xx: u64,
    pub httpcode_target_4xx: u64,
    pub httpcode_target_5xx: u64,
    /// Codes the load balancer made itself; rows of load balancers only, as the rest below.
    pub httpcode_elb_3xx: u64,
    pub httpcode_elb_4xx: u64,
    pub httpcode_elb_5xx: u64,
    pub httpcode_elb_500: u64,
    pub httpcode_elb_502: u64,
    pub httpcode_elb_503: u64,
    pub httpcode_elb_504: u64,
    pub http_fixed_response_count: u64,
    pub http_redirect_count: u64,
    /// Connections opened, by clients and to targets.
    pub new_connection_count: u64,
    /// Connections open now, from clients and to targets.
    pub active_connection_count: u64,
    pub target_connection_error_count: u64,
    /// Bytes of requests and answers with their heads, from and to clients; rows of load balancers only.
    pub processed_bytes: u64,
    /// Rules looked at without the default ones; rows of load balancers only.
    pub rule_evaluations: u64,
    /// Requests that lost a header for its name; rows of load balancers only.
    pub dropped_invalid_header_request_count: u64,
    /// Requests routed while too few targets were healthy; rows of target groups only.
    pub unhealthy_routing_request_count: u64,
    pub target_response_time: ResponseTimes,
    /// Requests in flight now for each target; rows of target groups only.
    pub in_flight: Vec<TargetInFlight>,
}

/// Requests in flight on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInFlight {
    pub target_id: String,
    pub port: u16,
    pub requests: usize,
}

/// Times from the end of sending a request until the target's answer began, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseTimes {
    pub count: u64,
    pub sum_micros: u64,
    pub min_micros: u64,
    pub max_micros: u64,
    /// Values (to within 1/16, microseconds) and how often each was seen, ascending: CloudWatch's `Values` and `Counts`.
    pub values: Vec<(u64, u64)>,
}

/// One worker's share. The alignment keeps two shards off one cache line (and its prefetched neighbour).
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) request_count: AtomicU64,
    target: [AtomicU64; 4],
    elb: [AtomicU64; 3],
    elb_500: AtomicU64,
    elb_502: AtomicU64,
    elb_503: AtomicU64,
    elb_504: AtomicU64,
    pub(crate) fixed_responses: AtomicU64,
    pub(crate) redirects: AtomicU64,
    pub(crate) new_connections: AtomicU64,
    pub(crate) active_connections: AtomicI64,
    pub(crate) connection_errors: AtomicU64,
    pub(crate) processed_bytes: AtomicU64,
    pub(crate) rule_evaluations: AtomicU64,
    pub(crate) dropped_headers: AtomicU64,
    pub(crate) unhealthy_routing: AtomicU64,
    times: Times,
}

struct Times {
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    buckets: Box<[AtomicU32]>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            buckets: std::iter::repeat_with(AtomicU32::default).take(BUCKETS).collect(),
        }
    }
}

impl Shard {
    pub(crate) fn target_answered(&self, status: u16, took: Duration) {
        if let Some(class) = (status / 100).checked_sub(2).and_then(|c| self.target.get(usize::from(c))) {
            class.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let times = &self.times;
        times.sum.fetch_add(micros, Relaxed);
        if micros < times.min.load(Relaxed) {
            times.min.fetch_min(micros, Relaxed);
        }
        if micros > times.max.load(Relaxed) {
            times.max.fetch_max(micros, Relaxed);
        }
        times.buckets[bucket(micros)].fetch_add(1, Relaxed);
    }

    pub(crate) fn elb_answered(&self, status: u16) {
        if let Some(class) = (status / 100).checked_sub(3).and_then(|c| self.elb.get(usize::from(c))) {
            class.fetch_add(1, Relaxed);
        }
        let exact = match status {
            500 => &self.elb_500,
            502 => &self.elb_502,
            503 => &self.elb_503,
            504 => &self.elb_504,
            _ => return,
        };
        exact.fetch_add(1, Relaxed);
    }
}

/// Takes what all shards counted and leaves zeros (open connections stay).
pub(crate) fn take(shards: &[Shard]) -> Counters {
    let sum = |field: fn(&Shard) -> &AtomicU64| shards.iter().map(|s| field(s).swap(0, Relaxed)).sum::<u64>();
    let active: i64 = shards.iter().map(|s| s.active_connections.load(Relaxed)).sum();
    Counters {
        load_balancer_arn: None,
        target_group_arn: None,
        request_count: sum(|s| &s.request_count),
        httpcode_target_2xx: sum(|s| &s.target[0]),
        httpcode_target_3xx: sum(|s| &s.target[1]),
        httpcode_target_4xx: sum(|s| &s.target[2]),
        httpcode_target_5xx: sum(|s| &s.target[3]),
        httpcode_elb_3xx: sum(|s| &s.elb[0]),
        httpcode_elb_4xx: sum(|s| &s.elb[1]),
        httpcode_elb_5xx: sum(|s| &s.elb[2]),
        httpcode_elb_500: sum(|s| &s.elb_500),
        httpcode_elb_502: sum(|s| &s.elb_502),
        httpcode_elb_503: sum(|s| &s.elb_503),
        httpcode_elb_504: sum(|s| &s.elb_504),
        http_fixed_response_count: sum(|s| &s.fixed_responses),
        http_redirect_count: sum(|s| &s.redirects),
        new_connection_count: sum(|s| &s.new_connections),
        active_connection_count: u64::try_from(active).unwrap_or(0),
        target_connection_error_count: sum(|s| &s.connection_errors),
        processed_bytes: sum(|s| &s.processed_bytes),
        rule_evaluations: sum(|s| &s.rule_evaluations),
        dropped_invalid_header_request_count: sum(|s| &s.dropped_headers),
        unhealthy_routing_request_count: sum(|s| &s.unhealthy_routing),
        target_response_time: take_times(shards),
        in_flight: Vec::new(),
    }
}

fn take_times(shards: &[Shard]) -> ResponseTimes {
    let mut out = ResponseTimes { min_micros: u64::MAX, ..ResponseTimes::default() };
    for shard in shards {
        out.sum_micros += shard.times.sum.swap(0, Relaxed);
        out.min_micros = out.min_micros.min(shard.times.min.swap(u64::MAX, Relaxed));
        out.max_micros = out.max_micros.max(shard.times.max.swap(0, Relaxed));
    }
    for index in 0..BUCKETS {
        let count: u64 = shards.iter().map(|s| u64::from(s.times.buckets[index].swap(0, Relaxed))).sum();
        if count > 0 {
            out.count += count;
            out.values.push((bucket_value(index), count));
        }
    }
    if out.min_micros == u64::MAX {
        out.min_micros = 0;
    }
    out
}

/// Log-linear: exact below 16 µs, then 16 steps for each doubling.
fn bucket(micros: u64) -> usize {
    let micros = usize::try_from(micros).unwrap_or(usize::MAX);
    if micros < SUB_BUCKETS {
        return micros;
    }
    let exponent = micros.ilog2() as usize - 4;
    let index = (exponent + 1) * SUB_BUCKETS + ((micros >> exponent) - SUB_BUCKETS);
    index.min(BUCKETS - 1)
}

fn bucket_value(index: usize) -> u64 {
    if index < SUB_BUCKETS {
        return index as u64;
    }
    let exponent = index / SUB_BUCKETS - 1;
    ((index % SUB_BUCKETS + SUB_BUCKETS) as u64) << exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_values_to_a_sixteenth() {
        let mut last = 0;
        for micros in (0..5_000u64).chain([10_000, 1_000_000, 60_000_000, 3_600_000_000]) {
            let value = bucket_value(bucket(micros));
            assert!(value <= micros && micros - value <= micros / 16, "{micros} became {value}");
            assert!(value >= last);
            last = value;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn taking_leaves_zeros() {
        let shards = [Shard::default(), Shard::default()];
        shards[0].target_answered(204, Duration::from_micros(10));
        shards[1].target_answered(503, Duration::from_micros(30));
        shards[1].elb_answered(502);
        shards[0].active_connections.fetch_add(2, Relaxed);
        shards[1].active_connections.fetch_sub(1, Relaxed);
        let taken = take(&shards);
        assert_eq!((taken.httpcode_target_2xx, taken.httpcode_target_5xx), (1, 1));
        assert_eq!(
            (taken.httpcode_elb_5xx, taken.httpcode_elb_502, taken.active_connection_count),
            (1, 1, 1)
        );
        let times = taken.target_response_time;
        assert_eq!((times.count, times.sum_micros, times.min_micros, times.max_micros), (2, 40, 10, 30));
        assert_eq!(times.values, [(10, 1), (30, 1)]);
        assert_eq!(take(&shards), Counters { active_connection_count: 1, ..Counters::default() });
    }
}
