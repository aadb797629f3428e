//! From the balancer's counters to what the engine makes metrics of.

use std::sync::Arc;

use capstan_balancer::{Counters, Handle};
use capstan_engine::{Fact, Input, ResponseTimes, Traffic};
use capstan_model::{Span, Time};

const MINUTE: Span = Span::from_mins(1);
/// So long before a minute ends its counters are read: alarms are evaluated at its end and shall see them.
const AHEAD: Span = Span::from_secs(1);

/// Reads the counters once a minute of the engine's clock.
pub(crate) struct Meter {
    balancer: Arc<Handle>,
    at: Time,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Meter {
    pub(crate) fn new(balancer: Arc<Handle>, now: Time) -> Self {
        Self { balancer, at: after(now) }
    }

    /// When the counters are read next.
    pub(crate) fn next(&self) -> Time {
        self.at
    }

    /// What was counted, when it is time and something was.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Input> {
        if now < self.at {
            return None;
        }
        self.at = after(now);
        let traffic: Vec<Traffic> = self.balancer.take_counters().into_iter().filter_map(traffic).collect();
        (!traffic.is_empty()).then_some(Input::Fact(Fact::Traffic(traffic)))
    }
}

fn after(now: Time) -> Time {
    (now + AHEAD).next_multiple(MINUTE) - AHEAD
}

/// `None` when nothing happened, or when the target group belongs to no load balancer any more.
fn traffic(row: Counters) -> Option<Traffic> {
    let mut counts = vec![
        ("RequestCount", row.request_count),
        ("HTTPCode_Target_2XX_Count", row.httpcode_target_2xx),
        ("HTTPCode_Target_3XX_Count", row.httpcode_target_3xx),
        ("HTTPCode_Target_4XX_Count", row.httpcode_target_4xx),
        ("HTTPCode_Target_5XX_Count", row.httpcode_target_5xx),
        ("TargetConnectionErrorCount", row.target_connection_error_count),
    ];
    if row.target_group_arn.is_some() {
        counts.push(("UnhealthyRoutingRequestCount", row.unhealthy_routing_request_count));
    } else {
        counts.extend([
            ("HTTPCode_ELB_3XX_Count", row.httpcode_elb_3xx),
            ("HTTPCode_ELB_4XX_Count", row.httpcode_elb_4xx),
            ("HTTPCode_ELB_5XX_Count", row.httpcode_elb_5xx),
            ("HTTPCode_ELB_500_Count", row.httpcode_elb_500),
            ("HTTPCode_ELB_502_Count", row.httpcode_elb_502),
            ("HTTPCode_ELB_503_Count", row.httpcode_elb_503),
            ("HTTPCode_ELB_504_Count", row.httpcode_elb_504),
            ("HTTP_Fixed_Response_Count", row.http_fixed_response_count),
            ("HTTP_Redirect_Count", row.http_redirect_count),
            ("NewConnectionCount", row.new_connection_count),
            ("ActiveConnectionCount", row.active_connection_count),
            ("ProcessedBytes", row.processed_bytes),
            ("RuleEvaluations", row.rule_evaluations),
            ("DroppedInvalidHeaderRequestCount", row.dropped_invalid_header_request_count),
        ]);
    }
    counts.retain(|(_, count)| *count > 0);
    let times = row.target_response_time;
    if counts.is_empty() && times.count == 0 {
        return None;
    }
    Some(Traffic {
        load_balancer: row.load_balancer_arn?,
        target_group: row.target_group_arn,
        counts,
        response_times: ResponseTimes {
            count: times.count,
            sum: times.sum_micros,
            min: times.min_micros,
            max: times.max_micros,
            values: times.values,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_a_second_before_the_minute_ends() {
        for (now, expected) in [(0, 59), (58, 59), (59, 119), (60, 119), (61, 119)] {
            assert_eq!(after(Time::from_secs(now)), Time::from_secs(expected), "{now}");
        }
    }

    #[test]
    fn rows_become_traffic_when_something_happened() {
        let of_balancer = Counters {
            load_balancer_arn: Some("lb".into()),
            request_count: 2,
            httpcode_elb_502: 1,
            ..Counters::default()
        };
        let told = traffic(of_balancer.clone()).expect("something");
        assert_eq!(told.counts, [("RequestCount", 2), ("HTTPCode_ELB_502_Count", 1)]);
        let of_group = Counters {
            target_group_arn: Some("tg".into()),
            unhealthy_routing_request_count: 1,
            ..of_balancer.clone()
        };
        let told = traffic(of_group).expect("something");
        assert_eq!(told.counts, [("RequestCount", 2), ("UnhealthyRoutingRequestCount", 1)]);
        assert_eq!(traffic(Counters { load_balancer_arn: Some("lb".into()), ..Counters::default() }), None);
        let unowned =
            Counters { load_balancer_arn: None, target_group_arn: Some("tg".into()), ..of_balancer };
        assert_eq!(traffic(unowned), None);
    }
}
