//! Alarms: putting, deleting, forcing a state, switching actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::math::Math;
use super::rows::{Alarm, AlarmSettings, MetricId, MissingData, Source, Watched};
use super::statistic::{Extended, Statistic};
use super::{composite, evaluation, event, history, json, tag, validation};
use crate::{Caller, Engine};

/// Alarms in a region (CloudWatch quotas).
pub(super) const ALARMS_MAX: usize = 5_000;
/// Metrics of an alarm on metric math (CloudWatch guide, alarms on metric math).
const METRICS_MAX: usize = 10;
const DAY: Span = Span::from_hours(24);

/// The state of an alarm that was never evaluated.
const UNCHECKED: &str = "Unchecked: Initial alarm creation";

pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    mut request: shapes::PutMetricAlarmRequest,
) -> Result<shapes::PutMetricAlarmResponse, Refusal> {
    let name: Arc<str> = Arc::from(std::mem::take(&mut request.alarm_name));
    if cx.cloudwatch.composites.contains(&name) {
        return Err(validation(format!("A composite alarm with the name {name} exists already.")));
    }
    let mut tags = BTreeMap::new();
    tag::add(caller, &mut tags, request.tags.take().unwrap_or_default())?;
    let settings = settings(request)?;
    let now = cx.now;
    let evaluates_at = next_evaluation(now, &settings);
    let before = if let Some(mut alarm) = cx.cloudwatch.alarms.edit(&name) {
        // An update leaves the state and the tags as they are.
        alarm.evaluates_at = evaluates_at;
        let before = std::mem::replace(&mut alarm.settings, settings);
        Some((before, std::mem::replace(&mut alarm.configured_at, now)))
    } else {
        if cx.cloudwatch.alarms.len() >= ALARMS_MAX {
            let message = format!("The maximum limit of {ALARMS_MAX} alarms is exceeded.");
            return Err(Refusal::of(&shapes::LIMIT_EXCEEDED_FAULT, message));
        }
        cx.cloudwatch.alarms.insert(Alarm {
            name: name.clone(),
            settings,
            configured_at: now,
            state: shapes::StateValue::InsufficientData,
            reason: UNCHECKED.to_owned(),
            reason_data: None,
            updated_at: now,
            transitioned_at: now,
            evaluates_at,
            tags,
        });
        None
    };
    history::configuration(cx, &name, if before.is_some() { "Update" } else { "Create" });
    event::configured(cx, &name, before);
    Ok(shapes::PutMetricAlarmResponse {})
}

/// Each whole minute; each ten seconds for periods under a minute; each hour when the window is longer than a day.
pub(super) fn next_evaluation(now: Time, settings: &AlarmSettings) -> Time {
    now.next_multiple(if settings.period < Span::from_mins(1) {
        Span::from_secs(10)
    } else if settings.period * i64::from(settings.evaluation_periods) > DAY {
        Span::from_hours(1)
    } else {
        Span::from_mins(1)
    })
}

fn settings(request: shapes::PutMetricAlarmRequest) -> Result<AlarmSettings, Refusal> {
    for (set, member) in [
        (request.evaluation_criteria.is_some(), "EvaluationCriteria"),
        (request.evaluation_interval.is_some(), "EvaluationInterval"),
    ] {
        if set {
            return Err(validation(format!(
                "{member}: PromQL alarms are not built yet. Put an alarm on a metric."
            )));
        }
    }
    use shapes::ComparisonOperator as Operator;
    let comparison = request.comparison_operator.ok_or_else(|| required("ComparisonOperator"))?;
    let banded = matches!(
        comparison,
        Operator::LessThanLowerOrGreaterThanUpperThreshold
            | Operator::LessThanLowerThreshold
            | Operator::GreaterThanUpperThreshold
    );
    if request.threshold_metric_id.is_some() || banded {
        return Err(validation(
            "Anomaly detection alarms are not built yet. Use a Threshold and one of GreaterThanOrEqualToThreshold, GreaterThanThreshold, LessThanThreshold, LessThanOrEqualToThreshold.",
        ));
    }
    let threshold = request.threshold.filter(|threshold| threshold.is_finite());
    let threshold = threshold.ok_or_else(|| required("Threshold"))?;
    let evaluation_periods = request.evaluation_periods.ok_or_else(|| required("EvaluationPeriods"))?;
    if request.datapoints_to_alarm.is_some_and(|m| m > evaluation_periods) {
        return Err(validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods."));
    }
    let treat_missing_data = match &request.treat_missing_data {
        None => None,
        Some(text) => Some(MissingData::parse(text).ok_or_else(|| {
            validation(format!(
                "Option {text} is not supported for TreatMissingData. Use breaching, notBreaching, ignore or missing."
            ))
        })?),
    };
    let ignore_low_samples = match request.evaluate_low_sample_count_percentile.as_deref() {
        None => None,
        Some("evaluate") => Some(false),
        Some("ignore") => Some(true),
        Some(other) => {
            return Err(validation(format!(
                "Option {other} is not supported for EvaluateLowSampleCountPercentile. Use evaluate or ignore."
            )));
        }
    };
    let (watched, period) = match request.metrics {
        Some(queries) => {
            let beside = request.metric_name.is_some()
                || request.namespace.is_some()
                || request.statistic.is_some()
                || request.extended_statistic.is_some()
                || request.dimensions.is_some()
                || request.period.is_some()
                || request.unit.is_some();
            if beside {
                return Err(validation(
                    "Metrics list cannot be specified together with MetricName, Namespace, Statistic, ExtendedStatistic, Dimensions, Period or Unit.",
                ));
            }
            watched_queries(queries)?
        }
        None => {
            let statistic = statistic(request.statistic, request.extended_statistic)?;
            let metric = MetricId::of(
                request.namespace.ok_or_else(|| required("Namespace"))?,
                request.metric_name.ok_or_else(|| required("MetricName"))?,
                request.dimensions,
            );
            let secs = request.period.ok_or_else(|| required("Period"))?;
            let (period, metric) = (Span::from_secs(secs.into()), Arc::new(metric));
            (Watched::Metric(Source { metric, statistic, period, unit: request.unit }), period)
        }
    };
    let settings = AlarmSettings {
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        ok_actions: actions(request.ok_actions)?,
        alarm_actions: actions(request.alarm_actions)?,
        insufficient_data_actions: actions(request.insufficient_data_actions)?,
        watched,
        period: check_period(period, evaluation_periods)?,
        evaluation_periods,
        datapoints_to_alarm: request.datapoints_to_alarm,
        threshold,
        comparison,
        treat_missing_data,
        ignore_low_samples,
    };
    Ok(settings)
}

fn watched_queries(queries: Vec<shapes::MetricDataQuery>) -> Result<(Watched, Span), Refusal> {
    let math = Math::read("Metrics", queries)?;
    if math.metrics().count() > METRICS_MAX {
        return Err(validation(format!("Metrics can name {METRICS_MAX} metrics at most.")));
    }
    let period = math.single().map_err(|wrong| validation(format!("Invalid metrics list: {wrong}.")))?;
    Ok((Watched::Queries(Box::new(math)), period))
}

fn statistic(simple: Option<shapes::Statistic>, extended: Option<String>) -> Result<Statistic, Refusal> {
    match (simple, extended) {
        (Some(simple), None) => Ok(Statistic::Simple(simple)),
        (None, Some(text)) => {
            let unknown =
                || validation(format!("The value {text} for parameter ExtendedStatistic is not supported."));
            let parsed = Extended::parse(&text).ok_or_else(unknown)?;
            Ok(Statistic::Extended(text, parsed))
        }
        _ => Err(validation(
            "Exactly one of the parameters Statistic and ExtendedStatistic must be specified.",
        )),
    }
}

fn check_period(period: Span, evaluation_periods: i32) -> Result<Span, Refusal> {
    let secs = period.as_secs();
    if !(matches!(secs, 10 | 20 | 30) || secs % 60 == 0) {
        return Err(validation("Period must be 10, 20, 30 or a multiple of 60."));
    }
    let window = secs * i64::from(evaluation_periods);
    if secs < 3_600 && window > 86_400 {
        return Err(validation(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        ));
    }
    if window > 7 * 86_400 {
        return Err(validation(
            "Metrics cannot be checked across more than seven days (EvaluationPeriods * Period must be <= 604800).",
        ));
    }
    Ok(period)
}

pub(super) fn actions(arns: Option<Vec<String>>) -> Result<Vec<String>, Refusal> {
    let arns = arns.unwrap_or_default();
    match arns.iter().find(|arn| !arn.starts_with("arn:")) {
        Some(arn) => Err(validation(format!("Invalid arn syntax: {arn}"))),
        None => Ok(arns),
    }
}

fn required(member: &str) -> Refusal {
    validation(format!("The parameter {member} is required."))
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteAlarmsRequest,
) -> Result<shapes::DeleteAlarmsResponse, Refusal> {
    let names = existing(cx, request.alarm_names)?;
    for name in names {
        if cx.cloudwatch.composites.contains(&name) {
            composite::remove(cx, &name);
            continue;
        }
        history::configuration(cx, &name, "Delete");
        event::deleted(cx, &name);
        cx.cloudwatch.alarms.remove(&name);
    }
    Ok(shapes::DeleteAlarmsResponse {})
}

/// The names, if all of them are alarms: an error changes nothing.
fn existing(cx: &Engine, names: Vec<String>) -> Result<Vec<Arc<str>>, Refusal> {
    let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
    match names.iter().find(|name| !exists(cx, name)) {
        Some(missing) => Err(not_found(missing)),
        None => Ok(names),
    }
}

fn exists(cx: &Engine, name: &Arc<str>) -> bool {
    cx.cloudwatch.alarms.contains(name) || cx.cloudwatch.composites.contains(name)
}

fn not_found(name: &str) -> Refusal {
    Refusal::of(&shapes::RESOURCE_NOT_FOUND, format!("Alarm {name} does not exist"))
}

pub(super) fn set_state(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::SetAlarmStateRequest,
) -> Result<shapes::SetAlarmStateResponse, Refusal> {
    let name: Arc<str> = Arc::from(request.alarm_name);
    if !exists(cx, &name) {
        return Err(not_found(&name));
    }
    if request.state_reason_data.as_ref().is_some_and(|data| !json::is_valid(data)) {
        let message = "StateReasonData was not syntactically valid JSON";
        return Err(Refusal::of(&shapes::INVALID_FORMAT_FAULT, message));
    }
    if cx.cloudwatch.composites.contains(&name) {
        composite::set(cx, &name, request.state_value, request.state_reason, request.state_reason_data);
        return Ok(shapes::SetAlarmStateResponse {});
    }
    evaluation::set(cx, &name, request.state_value, request.state_reason, request.state_reason_data, None);
    Ok(shapes::SetAlarmStateResponse {})
}

pub(super) fn enable_actions(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::EnableAlarmActionsRequest,
) -> Result<shapes::EnableAlarmActionsResponse, Refusal> {
    switch_actions(cx, request.alarm_names, true);
    Ok(shapes::EnableAlarmActionsResponse {})
}

pub(super) fn disable_actions(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DisableAlarmActionsRequest,
) -> Result<shapes::DisableAlarmActionsResponse, Refusal> {
    switch_actions(cx, request.alarm_names, false);
    Ok(shapes::DisableAlarmActionsResponse {})
}

/// Names without an alarm are passed over: the model lists no error for them.
fn switch_actions(cx: &mut Engine, names: Vec<String>, enabled: bool) {
    let now = cx.now;
    for name in names.into_iter().map(Arc::<str>::from) {
        let Some(mut alarm) = cx.cloudwatch.alarms.edit(&name) else {
            composite::switch_actions(cx, &name, enabled);
            continue;
        };
        if alarm.settings.actions_enabled == enabled {
            continue;
        }
        let mut before = alarm.settings.clone();
        before.actions_enabled = !enabled;
        alarm.settings.actions_enabled = enabled;
        let before = (before, std::mem::replace(&mut alarm.configured_at, now));
        drop(alarm);
        history::configuration(cx, &name, "Update");
        event::configured(cx, &name, Some(before));
    }
}
