//! Metric math through the API: queries over queries, and alarms on them.

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch as shapes;

use crate::testing::{ok, pass, refused};
use crate::{Config, Engine};

fn metric(id: &str, name: &str, returned: bool) -> shapes::MetricDataQuery {
    shapes::MetricDataQuery {
        id: id.to_owned(),
        metric_stat: Some(shapes::MetricStat {
            metric: shapes::Metric {
                namespace: Some("N".to_owned()),
                metric_name: Some(name.to_owned()),
                dimensions: None,
            },
            period: 60,
            stat: "Sum".to_owned(),
            unit: None,
        }),
        return_data: Some(returned),
        ..shapes::MetricDataQuery::default()
    }
}

fn expression(id: &str, text: &str) -> shapes::MetricDataQuery {
    shapes::MetricDataQuery {
        id: id.to_owned(),
        expression: Some(text.to_owned()),
        ..shapes::MetricDataQuery::default()
    }
}

fn put(engine: &mut Engine, name: &str, value: f64) {
    let datum = shapes::MetricDatum {
        metric_name: name.to_owned(),
        value: Some(value),
        ..shapes::MetricDatum::default()
    };
    ok(
        engine,
        shapes::PutMetricDataRequest {
            namespace: "N".to_owned(),
            metric_data: Some(vec![datum]),
            ..shapes::PutMetricDataRequest::default()
        },
    );
}

fn data(engine: &mut Engine, queries: Vec<shapes::MetricDataQuery>) -> Vec<(String, String, Vec<f64>)> {
    let request = shapes::GetMetricDataRequest {
        metric_data_queries: queries,
        start_time: Time::from_secs(6_000),
        end_time: Time::from_secs(6_240),
        scan_by: Some(shapes::ScanBy::TimestampAscending),
        ..shapes::GetMetricDataRequest::default()
    };
    let results = ok(engine, request).metric_data_results.unwrap_or_default().into_iter();
    let told = |result: shapes::MetricDataResult| {
        let (id, label) = (result.id.unwrap_or_default(), result.label.unwrap_or_default());
        (id, label, result.values.unwrap_or_default())
    };
    results.map(told).collect()
}

fn world() -> Engine {
    let mut engine = Engine::new(Config::new(7), Time::from_secs(6_000));
    for (jobs, workers) in [(100.0, Some(2.0)), (90.0, Some(0.0)), (80.0, None), (70.0, Some(7.0))] {
        put(&mut engine, "jobs", jobs);
        if let Some(workers) = workers {
            put(&mut engine, "workers", workers);
        }
        pass(&mut engine, Span::from_mins(1));
    }
    engine
}

#[test]
fn expressions_answer_get_metric_data() {
    let mut engine = world();
    let queries = |text: &str| {
        vec![metric("m1", "jobs", false), metric("m2", "workers", false), expression("e1", text)]
    };
    let mut check = |text: &str, expect: &[(&str, &[f64])]| {
        let found = data(&mut engine, queries(text));
        let found: Vec<(&str, &[f64])> =
            found.iter().map(|(_, label, values)| (label.as_str(), values.as_slice())).collect();
        assert_eq!(found, expect, "{text}");
    };
    check("m1 / m2", &[("e1", &[50.0, 10.0])]);
    check("IF(m2 > 0, m1 / m2, m1)", &[("e1", &[50.0, 90.0, 80.0, 10.0])]);
    check("FILL(m2, 0)", &[("e1", &[2.0, 0.0, 0.0, 7.0])]);
    check("METRICS() * 2", &[("jobs", &[200.0, 180.0, 160.0, 140.0]), ("workers", &[4.0, 0.0, 14.0])]);
    check("TIME_SERIES(SUM(m1))", &[("e1", &[340.0, 340.0, 340.0, 340.0])]);
    let mut named = expression("e2", "e1 + 1");
    named.label = Some("One more".to_owned());
    let found = data(&mut engine, vec![metric("m1", "jobs", true), expression("e1", "m1 / 10"), named]);
    let ids: Vec<&str> = found.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids, ["m1", "e1", "e2"]);
    assert_eq!(found[2], ("e2".to_owned(), "One more".to_owned(), vec![11.0, 10.0, 9.0, 8.0]));
}

#[test]
fn expressions_are_held_to_their_rules() {
    let mut engine = world();
    let mut check = |queries: Vec<shapes::MetricDataQuery>, message: &str| {
        let request = shapes::GetMetricDataRequest {
            metric_data_queries: queries,
            start_time: Time::from_secs(6_000),
            end_time: Time::from_secs(6_240),
            ..shapes::GetMetricDataRequest::default()
        };
        refused(&mut engine, request, "ValidationError", message);
    };
    check(vec![expression("e1", "m1 +")], "Error in expression 'e1': the expression ends too early");
    check(vec![expression("e1", "m1")], "no query with the id m1");
    check(vec![expression("e1", "e2"), expression("e2", "e1")], "depends on itself");
    check(vec![metric("m1", "jobs", true), expression("e1", "SUM(m1)")], "TIME_SERIES");
    check(vec![expression("e1", "SEARCH('{N} jobs', 'Sum')")], "Capstan has no SEARCH");
    check(vec![metric("m1", "jobs", true), metric("m1", "workers", true)], "not unique: m1");
    let mut both = metric("m1", "jobs", true);
    both.expression = Some("1".to_owned());
    check(vec![both], "mutually exclusive");
}

fn alarm(queries: Vec<shapes::MetricDataQuery>) -> shapes::PutMetricAlarmRequest {
    shapes::PutMetricAlarmRequest {
        alarm_name: "backlog".to_owned(),
        metrics: Some(queries),
        evaluation_periods: Some(1),
        threshold: Some(20.0),
        comparison_operator: Some(shapes::ComparisonOperator::GreaterThanThreshold),
        ..shapes::PutMetricAlarmRequest::default()
    }
}

#[test]
fn alarms_watch_expressions() {
    let mut engine = Engine::new(Config::new(7), Time::from_secs(6_000));
    let queries = |text: &str| {
        vec![metric("m1", "jobs", false), metric("m2", "workers", false), expression("e1", text)]
    };
    ok(&mut engine, alarm(queries("m1 / m2")));
    let mut minute = |jobs: f64, workers: Option<f64>| {
        put(&mut engine, "jobs", jobs);
        if let Some(workers) = workers {
            put(&mut engine, "workers", workers);
        }
        pass(&mut engine, Span::from_mins(1));
        let alarm =
            engine.cloudwatch().alarm("backlog").map(|alarm| (alarm.state.as_str(), alarm.reason.clone()));
        alarm.unwrap_or_default()
    };
    let (state, reason) = minute(100.0, Some(2.0));
    assert_eq!(state, "ALARM");
    assert!(reason.contains("1 datapoint [50.0 ("), "{reason}");
    assert_eq!(minute(30.0, Some(2.0)).0, "OK");
    // Nothing works, so there is nothing to divide by: no data, however long the queue.
    for _ in 0..2 {
        minute(1_000.0, Some(0.0));
    }
    assert_eq!(minute(1_000.0, Some(0.0)).0, "INSUFFICIENT_DATA");
    let described = ok(&mut engine, shapes::DescribeAlarmsRequest::default());
    let metrics = described.metric_alarms.unwrap_or_default().remove(0).metrics.unwrap_or_default();
    assert_eq!(metrics.len(), 3);
    assert_eq!(metrics[2].expression.as_deref(), Some("m1 / m2"));
    let two = vec![metric("m1", "jobs", true), metric("m2", "workers", true)];
    refused(&mut engine, alarm(two), "ValidationError", "exactly one element");
    let several = vec![metric("m1", "jobs", false), expression("e1", "METRICS()")];
    refused(&mut engine, alarm(several), "ValidationError", "an alarm watches one");
    let many: Vec<_> = (0..11).map(|n| metric(&format!("m{n}"), "jobs", n == 0)).collect();
    refused(&mut engine, alarm(many), "ValidationError", "10 metrics at most");
}
