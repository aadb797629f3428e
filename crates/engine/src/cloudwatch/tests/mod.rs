//! The room from outside: calls, facts and time in, answers and alarm actions out.

mod dashboards;
mod math;

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch as shapes;

use super::put;
use crate::testing::{call, ok, pass, refused};
use crate::{Config, Engine, Input};

const START: Time = Time::from_secs(1_700_000_040);
const POLICY: &str =
    "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:autoScalingGroupName/g:policyName/p";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:topic";

fn engine() -> Engine {
    Engine::new(Config::new(1), START)
}

fn alarm(name: &str) -> shapes::PutMetricAlarmRequest {
    shapes::PutMetricAlarmRequest {
        alarm_name: name.to_owned(),
        namespace: Some("AWS/ECS/ManagedScaling".to_owned()),
        metric_name: Some("CapacityProviderReservation".to_owned()),
        dimensions: Some(vec![dimension("CapacityProviderName", "cp"), dimension("ClusterName", "c")]),
        statistic: Some(shapes::Statistic::Average),
        period: Some(60),
        evaluation_periods: Some(1),
        threshold: Some(80.0),
        comparison_operator: Some(shapes::ComparisonOperator::GreaterThanThreshold),
        alarm_actions: Some(vec![POLICY.to_owned(), TOPIC.to_owned()]),
        ..shapes::PutMetricAlarmRequest::default()
    }
}

fn dimension(name: &str, value: &str) -> shapes::Dimension {
    shapes::Dimension { name: name.to_owned(), value: value.to_owned() }
}

/// Publishes the value of the minute that has just ended, then lets the alarms look at it.
fn minute(engine: &mut Engine, value: Option<f64>) {
    let now = engine.now().next_multiple(Span::from_mins(1));
    let _ = engine.step(now - Span::from_micros(1), Input::Time);
    if let Some(value) = value {
        let dimensions = [("ClusterName", "c"), ("CapacityProviderName", "cp")];
        let at = now - Span::from_mins(1);
        put(engine, "AWS/ECS/ManagedScaling", "CapacityProviderReservation", &dimensions, value, at);
    }
    let _ = engine.step(now, Input::Time);
}

fn described(engine: &mut Engine, name: &str) -> shapes::MetricAlarm {
    let request = shapes::DescribeAlarmsRequest {
        alarm_names: Some(vec![name.to_owned()]),
        ..shapes::DescribeAlarmsRequest::default()
    };
    ok(engine, request).metric_alarms.unwrap().remove(0)
}

#[test]
fn an_alarm_goes_off_in_the_minute_of_its_metric() {
    let mut engine = engine();
    ok(&mut engine, shapes::PutMetricAlarmRequest { datapoints_to_alarm: Some(1), ..alarm("high") });
    let new = described(&mut engine, "high");
    assert_eq!(new.state_reason.as_deref(), Some("Unchecked: Initial alarm creation"));
    assert_eq!(new.alarm_arn.as_deref(), Some("arn:aws:cloudwatch:us-east-1:000000000000:alarm:high"));
    minute(&mut engine, Some(80.0));
    assert_eq!(described(&mut engine, "high").state_value, Some(shapes::StateValue::Ok));
    minute(&mut engine, Some(200.0));
    let told = described(&mut engine, "high");
    assert_eq!(told.state_value, Some(shapes::StateValue::Alarm));
    assert_eq!(
        told.state_reason.as_deref(),
        Some(
            "Threshold Crossed: 1 out of the last 1 datapoints [200.0 (14/11/23 22:15:00)] was greater than the threshold (80.0) (minimum 1 datapoint for OK -> ALARM transition)."
        )
    );
    assert_eq!(
        told.state_reason_data.as_deref(),
        Some(
            r#"{"version":"1.0","queryDate":"2023-11-14T22:16:00.000+0000","startDate":"2023-11-14T22:15:00.000+0000","statistic":"Average","period":60,"recentDatapoints":[200.0],"threshold":80.0,"evaluatedDatapoints":[{"timestamp":"2023-11-14T22:15:00.000+0000","sampleCount":1.0,"value":200.0}]}"#
        )
    );
    assert_eq!(told.state_transitioned_timestamp, Some(engine.now()));
    minute(&mut engine, Some(100.0));
    minute(&mut engine, Some(60.5));
    assert_eq!(
        described(&mut engine, "high").state_reason.as_deref(),
        Some(
            "Threshold Crossed: 1 out of the last 1 datapoints [60.5 (14/11/23 22:17:00)] was not greater than the threshold (80.0) (minimum 1 datapoint for ALARM -> OK transition)."
        )
    );
    let history = ok(
        &mut engine,
        shapes::DescribeAlarmHistoryRequest {
            alarm_name: Some("high".to_owned()),
            ..shapes::DescribeAlarmHistoryRequest::default()
        },
    );
    let items = history.alarm_history_items.unwrap();
    let summaries: Vec<_> = items.iter().map(|item| item.history_summary.clone().unwrap()).collect();
    let failed = format!(
        "Failed to execute action {TOPIC}. Received error: \"Capstan carries out Auto Scaling policies only\""
    );
    assert_eq!(
        summaries,
        [
            "Alarm updated from ALARM to OK",
            &failed,
            &format!("Successfully executed action {POLICY}"),
            "Alarm updated from OK to ALARM",
            "Alarm updated from INSUFFICIENT_DATA to OK",
            "Alarm \"high\" created",
        ]
    );
    assert!(items.iter().all(|item| super::json::is_valid(item.history_data.as_deref().unwrap())));
}

#[test]
fn fifteen_points_below_take_fifteen_minutes() {
    let mut engine = engine();
    ok(
        &mut engine,
        shapes::PutMetricAlarmRequest {
            evaluation_periods: Some(15),
            comparison_operator: Some(shapes::ComparisonOperator::LessThanThreshold),
            ..alarm("low")
        },
    );
    for _ in 0..14 {
        minute(&mut engine, Some(57.25));
        assert_eq!(described(&mut engine, "low").state_value, Some(shapes::StateValue::InsufficientData));
    }
    minute(&mut engine, Some(57.25));
    let told = described(&mut engine, "low");
    assert_eq!(told.state_value, Some(shapes::StateValue::Alarm));
    let reason = told.state_reason.unwrap();
    assert!(
        reason.starts_with(
            "Threshold Crossed: 15 datapoints were less than the threshold (80.0). The most recent datapoints which crossed the threshold: [57.25 (14/11/23 22:28:00), 57.25 ("
        ),
        "{reason}"
    );
    assert!(super::json::is_valid(&told.state_reason_data.unwrap()));
    // The metric stops: the last points are looked at for a while, then nothing is known.
    for _ in 0..16 {
        minute(&mut engine, None);
        assert_eq!(described(&mut engine, "low").state_value, Some(shapes::StateValue::Alarm));
    }
    minute(&mut engine, None);
    let told = described(&mut engine, "low");
    assert_eq!(told.state_reason.as_deref(), Some("Insufficient Data: 15 datapoints were unknown."));
}

#[test]
fn missing_data_is_told_in_the_reason() {
    let mut engine = engine();
    let missing = |name: &str, treat: &str| shapes::PutMetricAlarmRequest {
        treat_missing_data: Some(treat.to_owned()),
        ..alarm(name)
    };
    ok(&mut engine, missing("b", "breaching"));
    ok(&mut engine, missing("n", "notBreaching"));
    minute(&mut engine, None);
    assert_eq!(
        described(&mut engine, "b").state_reason.as_deref(),
        Some(
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching]."
        )
    );
    assert_eq!(described(&mut engine, "n").state_value, Some(shapes::StateValue::Ok));
}

#[test]
fn a_forced_state_holds_until_the_next_evaluation() {
    let mut engine = engine();
    ok(&mut engine, alarm("high"));
    minute(&mut engine, Some(10.0));
    let force = |data: Option<&str>, name: &str| shapes::SetAlarmStateRequest {
        alarm_name: name.to_owned(),
        state_value: shapes::StateValue::Alarm,
        state_reason: "test".to_owned(),
        state_reason_data: data.map(str::to_owned),
    };
    refused(&mut engine, force(Some("{"), "high"), "InvalidFormat", "JSON");
    refused(&mut engine, force(None, "other"), "ResourceNotFound", "other");
    ok(&mut engine, force(Some("{}"), "high"));
    assert_eq!(described(&mut engine, "high").state_value, Some(shapes::StateValue::Alarm));
    pass(&mut engine, Span::from_secs(59));
    assert_eq!(described(&mut engine, "high").state_value, Some(shapes::StateValue::Alarm));
    pass(&mut engine, Span::from_secs(1));
    assert_eq!(described(&mut engine, "high").state_value, Some(shapes::StateValue::Ok));
}

#[test]
fn alarms_are_held_to_their_rules() {
    let mut engine = engine();
    let mut check = |change: &dyn Fn(&mut shapes::PutMetricAlarmRequest), message: &str| {
        let mut request = alarm("a");
        change(&mut request);
        refused(&mut engine, request, "ValidationError", message);
    };
    check(&|a| a.period = Some(45), "Period must be 10, 20, 30 or a multiple of 60.");
    check(&|a| a.evaluation_periods = Some(1441), "more than a day");
    check(&|a| (a.period, a.evaluation_periods) = (Some(86_400), Some(8)), "seven days");
    check(&|a| a.datapoints_to_alarm = Some(2), "DatapointsToAlarm");
    check(&|a| a.statistic = None, "Exactly one of");
    check(&|a| a.extended_statistic = Some("p99".to_owned()), "Exactly one of");
    check(&|a| a.threshold = None, "Threshold is required");
    check(&|a| a.metric_name = None, "MetricName is required");
    check(&|a| a.treat_missing_data = Some("no".to_owned()), "TreatMissingData");
    check(&|a| a.ok_actions = Some(vec!["x".to_owned()]), "Invalid arn syntax: x");
    check(&|a| a.metrics = Some(Vec::new()), "Metrics list cannot");
    let math = shapes::MetricDataQuery {
        id: "e1".to_owned(),
        expression: Some("SUM(METRICS())".to_owned()),
        ..shapes::MetricDataQuery::default()
    };
    let bare = |queries: Vec<shapes::MetricDataQuery>| shapes::PutMetricAlarmRequest {
        alarm_name: "a".to_owned(),
        metrics: Some(queries),
        evaluation_periods: Some(1),
        threshold: Some(1.0),
        comparison_operator: Some(shapes::ComparisonOperator::LessThanThreshold),
        ..shapes::PutMetricAlarmRequest::default()
    };
    refused(&mut engine, bare(vec![math]), "ValidationError", "names no metric");
    let query = shapes::MetricDataQuery {
        id: "m1".to_owned(),
        metric_stat: Some(shapes::MetricStat {
            metric: shapes::Metric {
                namespace: Some("n".to_owned()),
                metric_name: Some("m".to_owned()),
                dimensions: None,
            },
            period: 60,
            stat: "p90".to_owned(),
            unit: None,
        }),
        ..shapes::MetricDataQuery::default()
    };
    ok(&mut engine, bare(vec![query]));
    assert_eq!(described(&mut engine, "a").metrics.map(|metrics| metrics.len()), Some(1));
}

#[test]
fn alarms_are_found_and_paged() {
    let mut engine = engine();
    for n in 0..7 {
        ok(&mut engine, alarm(&format!("TargetTracking-{n}")));
    }
    ok(&mut engine, shapes::PutMetricAlarmRequest { alarm_actions: None, ..alarm("other") });
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = shapes::DescribeAlarmsRequest {
            alarm_name_prefix: Some("TargetTracking-".to_owned()),
            action_prefix: Some("arn:aws:autoscaling".to_owned()),
            state_value: Some(shapes::StateValue::InsufficientData),
            max_records: Some(3),
            next_token: token,
            ..shapes::DescribeAlarmsRequest::default()
        };
        let page = ok(&mut engine, request);
        names.extend(page.metric_alarms.unwrap().into_iter().map(|alarm| alarm.alarm_name.unwrap()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, (0..7).map(|n| format!("TargetTracking-{n}")).collect::<Vec<_>>());
    let for_metric = shapes::DescribeAlarmsForMetricRequest {
        namespace: "AWS/ECS/ManagedScaling".to_owned(),
        metric_name: "CapacityProviderReservation".to_owned(),
        dimensions: alarm("x").dimensions,
        ..shapes::DescribeAlarmsForMetricRequest::default()
    };
    assert_eq!(ok(&mut engine, for_metric).metric_alarms.unwrap().len(), 8);
    let names = |names: &[&str]| shapes::DeleteAlarmsRequest {
        alarm_names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    refused(&mut engine, names(&["other", "none"]), "ResourceNotFound", "none");
    ok(&mut engine, names(&["other"]));
    assert_eq!(engine.cloudwatch().alarms().len(), 7);
    let arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:TargetTracking-0".to_owned();
    let tags = vec![shapes::Tag { key: "k".to_owned(), value: "v".to_owned() }];
    ok(&mut engine, shapes::TagResourceRequest { resource_arn: arn.clone(), tags: tags.clone() });
    let list = shapes::ListTagsForResourceRequest { resource_arn: arn.clone() };
    assert_eq!(ok(&mut engine, list.clone()).tags, Some(tags));
    ok(&mut engine, shapes::UntagResourceRequest { resource_arn: arn, tag_keys: vec!["k".to_owned()] });
    assert_eq!(ok(&mut engine, list).tags, Some(Vec::new()));
}

fn datum(value: f64, ago: Span) -> shapes::MetricDatum {
    shapes::MetricDatum {
        metric_name: "m".to_owned(),
        timestamp: Some(START - ago),
        value: Some(value),
        ..shapes::MetricDatum::default()
    }
}

fn data(namespace: &str, data: Vec<shapes::MetricDatum>) -> shapes::PutMetricDataRequest {
    shapes::PutMetricDataRequest {
        namespace: namespace.to_owned(),
        metric_data: Some(data),
        ..shapes::PutMetricDataRequest::default()
    }
}

#[test]
fn what_is_put_can_be_asked_for() {
    let mut engine = engine();
    let mut many = datum(0.0, Span::from_mins(1));
    (many.value, many.values, many.counts) = (None, Some(vec![4.0, 8.0]), Some(vec![3.0, 1.0]));
    let points = vec![datum(2.0, Span::from_mins(3)), datum(4.0, Span::from_mins(3)), many];
    ok(&mut engine, data("n", points));
    let query = shapes::GetMetricStatisticsRequest {
        namespace: "n".to_owned(),
        metric_name: "m".to_owned(),
        start_time: START - Span::from_mins(10),
        end_time: START,
        period: 60,
        statistics: Some(vec![shapes::Statistic::Average, shapes::Statistic::SampleCount]),
        extended_statistics: Some(vec!["p50".to_owned(), "p99".to_owned()]),
        ..shapes::GetMetricStatisticsRequest::default()
    };
    let told = ok(&mut engine, query.clone()).datapoints.unwrap();
    let brief: Vec<_> = told.iter().map(|p| (p.timestamp.unwrap(), p.average, p.sample_count)).collect();
    assert_eq!(
        brief,
        [
            (START - Span::from_mins(3), Some(3.0), Some(2.0)),
            (START - Span::from_mins(1), Some(5.0), Some(4.0))
        ]
    );
    assert_eq!(told[1].extended_statistics.as_ref().unwrap()["p50"], 4.0);
    assert_eq!(told[1].extended_statistics.as_ref().unwrap()["p99"], 8.0);
    let bytes =
        shapes::GetMetricStatisticsRequest { unit: Some(shapes::StandardUnit::Bytes), ..query.clone() };
    assert_eq!(ok(&mut engine, bytes).datapoints, Some(Vec::new()));
    let long =
        shapes::GetMetricStatisticsRequest { start_time: START - Span::from_hours(48), ..query.clone() };
    refused(
        &mut engine,
        long,
        "InvalidParameterCombination",
        "You have requested up to 2,880 datapoints, which exceeds the limit of 1,440.",
    );
    let odd = shapes::GetMetricStatisticsRequest { period: 61, ..query.clone() };
    refused(&mut engine, odd, "InvalidParameterValue", "Period");
    let backwards = shapes::GetMetricStatisticsRequest { end_time: query.start_time, ..query };
    refused(&mut engine, backwards, "InvalidParameterValue", "StartTime");

    let stat = |stat: &str| shapes::MetricStat {
        metric: shapes::Metric {
            namespace: Some("n".to_owned()),
            metric_name: Some("m".to_owned()),
            dimensions: None,
        },
        period: 60,
        stat: stat.to_owned(),
        unit: None,
    };
    let query = |id: &str, text: &str| shapes::MetricDataQuery {
        id: id.to_owned(),
        metric_stat: Some(stat(text)),
        ..shapes::MetricDataQuery::default()
    };
    let mut token = None;
    let mut values = Vec::new();
    loop {
        let request = shapes::GetMetricDataRequest {
            metric_data_queries: vec![query("a", "Sum"), query("b", "Maximum")],
            start_time: START - Span::from_mins(10),
            end_time: START,
            max_datapoints: Some(3),
            next_token: token,
            ..shapes::GetMetricDataRequest::default()
        };
        let page = ok(&mut engine, request);
        for result in page.metric_data_results.unwrap() {
            let id = result.id.unwrap();
            values.extend(result.values.unwrap().into_iter().map(|value| (id.clone(), value)));
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let expect = [("a", 20.0), ("a", 6.0), ("b", 8.0), ("b", 4.0)];
    assert_eq!(values, expect.map(|(id, value)| (id.to_owned(), value)));
    let metrics = ok(&mut engine, shapes::ListMetricsRequest::default()).metrics.unwrap();
    assert_eq!(metrics.len(), 1);
    pass(&mut engine, Span::from_hours(4));
    let recent = shapes::ListMetricsRequest {
        recently_active: Some(shapes::RecentlyActive::Pt3h),
        ..shapes::ListMetricsRequest::default()
    };
    assert_eq!(ok(&mut engine, recent).metrics, Some(Vec::new()));
}

#[test]
fn metric_data_is_held_to_its_rules() {
    let mut engine = engine();
    let good = || datum(1.0, Span::ZERO);
    let mut check = |datum: shapes::MetricDatum, code: &str, message: &str| {
        refused(&mut engine, data("n", vec![good(), datum]), code, message);
        assert!(engine.cloudwatch().series().is_empty(), "a call puts all or nothing");
    };
    check(
        datum(f64::NAN, Span::ZERO),
        "InvalidParameterValue",
        "The value NaN for parameter MetricData.member.2.Value",
    );
    check(datum(1e109, Span::ZERO), "InvalidParameterValue", "is invalid");
    check(datum(1.0, Span::from_hours(15 * 24)), "InvalidParameterValue", "two weeks in the past");
    check(datum(1.0, Span::from_hours(-3)), "InvalidParameterValue", "two hours in the future");
    check(shapes::MetricDatum { value: None, ..good() }, "MissingParameter", "MetricData.member.2.Value");
    check(
        shapes::MetricDatum { values: Some(vec![1.0]), ..good() },
        "InvalidParameterCombination",
        "mutually exclusive",
    );
    check(
        shapes::MetricDatum { value: None, values: Some(vec![1.0]), counts: Some(Vec::new()), ..good() },
        "InvalidParameterValue",
        "must be of the same size",
    );
    check(
        shapes::MetricDatum { value: None, values: Some(vec![1.0; 151]), ..good() },
        "InvalidParameterValue",
        "must not have a size greater than 150",
    );
    check(
        shapes::MetricDatum { storage_resolution: Some(5), ..good() },
        "InvalidParameterValue",
        "StorageResolution",
    );
    refused(
        &mut engine,
        data("AWS/EC2", vec![good()]),
        "InvalidParameterValue",
        "The value AWS/EC2 for parameter Namespace is invalid.",
    );
    refused(&mut engine, data("n", Vec::new()), "MissingParameter", "MetricData");
    refused(&mut engine, data("n", vec![good(); 1001]), "InvalidParameterValue", "greater than 1000");
}
