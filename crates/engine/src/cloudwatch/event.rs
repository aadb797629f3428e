//! What CloudWatch tells EventBridge (spec cloudwatch.md §3; CloudWatch guide, cloudwatch-and-eventbridge).

use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::cloudwatch as shapes;
use serde_json::{Value as Json, json};

use super::describe;
use super::rows::{Alarm, AlarmSettings, MetricId, Watched};
use crate::Engine;
use crate::ec2::digest;
use crate::events::{Published, publish};

const SOURCE: &str = "aws.cloudwatch";

/// The alarm was in the state of `before` and is in another one now.
pub(super) fn state_changed(cx: &mut Engine, name: &Arc<str>, before: &Alarm) {
    publish(cx, SOURCE, "CloudWatch Alarm State Change", |cx| {
        let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return Published::default() };
        let mut configuration = json!({ "metrics": metrics(&alarm.settings) });
        if let Some(description) = &alarm.settings.description {
            configuration["description"] = description.as_str().into();
        }
        let detail = json!({
            "alarmName": &**name,
            "configuration": configuration,
            "previousState": state(before),
            "state": state(alarm),
        });
        Published { resources: vec![describe::arn(cx, name)], detail, time: None }
    });
}

/// The alarm was put or switched. `before` is what it was and since when; `None` for a new one.
pub(super) fn configured(cx: &mut Engine, name: &Arc<str>, before: Option<(AlarmSettings, Time)>) {
    let operation = if before.is_some() { "update" } else { "create" };
    tell_configuration(cx, name, operation, before);
}

/// The alarm is about to be deleted.
pub(super) fn deleted(cx: &mut Engine, name: &Arc<str>) {
    tell_configuration(cx, name, "delete", None);
}

fn tell_configuration(
    cx: &mut Engine,
    name: &Arc<str>,
    operation: &str,
    before: Option<(AlarmSettings, Time)>,
) {
    publish(cx, SOURCE, "CloudWatch Alarm Configuration Change", |cx| {
        let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return Published::default() };
        let mut detail = json!({
            "alarmName": &**name,
            "operation": operation,
            "state": { "timestamp": moment(alarm.updated_at), "value": alarm.state.as_str() },
            "configuration": configuration(name, &alarm.settings, alarm.configured_at),
        });
        if let Some((settings, configured_at)) = &before {
            detail["previousConfiguration"] = configuration(name, settings, *configured_at);
        }
        Published { resources: vec![describe::arn(cx, name)], detail, time: None }
    });
}

fn configuration(name: &str, settings: &AlarmSettings, configured_at: Time) -> Json {
    let mut shown = json!({
        "alarmName": name,
        "actionsEnabled": settings.actions_enabled,
        "timestamp": moment(configured_at),
        "okActions": settings.ok_actions,
        "alarmActions": settings.alarm_actions,
        "insufficientDataActions": settings.insufficient_data_actions,
        "evaluationPeriods": settings.evaluation_periods,
        "threshold": settings.threshold,
        "comparisonOperator": settings.comparison.as_str(),
        "metrics": metrics(settings),
    });
    if let Some(description) = &settings.description {
        shown["description"] = description.as_str().into();
    }
    if let Some(datapoints) = settings.datapoints_to_alarm {
        shown["datapointsToAlarm"] = datapoints.into();
    }
    if let Some(missing) = settings.treat_missing_data {
        shown["treatMissingData"] = missing.as_str().into();
    }
    shown
}

/// An alarm on one metric shows it as a query whose id AWS makes up; ours follows from the metric.
pub(super) fn metrics(settings: &AlarmSettings) -> Json {
    let source = match &settings.watched {
        Watched::Metric(source) => source,
        Watched::Queries(math) => return math.given().iter().map(query).collect(),
    };
    let id = uuid(&format!("{:?} {:?} {:?}", source.metric, source.period, source.statistic));
    let (period, stat) = (source.period.as_secs(), source.statistic.name());
    json!([{ "id": id, "metricStat": metric_stat(&source.metric, period, stat), "returnData": true }])
}

fn query(query: &shapes::MetricDataQuery) -> Json {
    let mut shown = json!({ "id": query.id });
    if let Some(label) = &query.label {
        shown["label"] = label.as_str().into();
    }
    if let Some(expression) = &query.expression {
        shown["expression"] = expression.as_str().into();
    }
    if let Some(stat) = &query.metric_stat {
        let metric = stat.metric.clone();
        let (namespace, name) =
            (metric.namespace.unwrap_or_default(), metric.metric_name.unwrap_or_default());
        let metric = MetricId::of(namespace, name, metric.dimensions);
        shown["metricStat"] = metric_stat(&metric, stat.period.into(), &stat.stat);
    }
    shown["returnData"] = query.return_data.unwrap_or(true).into();
    shown
}

fn metric_stat(metric: &MetricId, period: i64, stat: &str) -> Json {
    let dimensions: serde_json::Map<String, Json> =
        metric.dimensions.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "metric": { "dimensions": dimensions, "name": metric.name, "namespace": metric.namespace },
        "period": period,
        "stat": stat,
    })
}

/// A text in the form of a UUID that stands for another text.
fn uuid(text: &str) -> String {
    let (high, low) = (digest(text.bytes()), digest(text.bytes().rev()));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn state(alarm: &Alarm) -> Json {
    let mut shown = json!({ "reason": alarm.reason });
    if let Some(data) = &alarm.reason_data {
        shown["reasonData"] = data.as_str().into();
    }
    shown["timestamp"] = moment(alarm.updated_at).into();
    shown["value"] = alarm.state.as_str().into();
    shown
}

/// `2019-10-02T17:04:40.989+0000`
pub(super) fn moment(time: Time) -> String {
    format!("{}+0000", time.iso_millis().trim_end_matches('Z'))
}
