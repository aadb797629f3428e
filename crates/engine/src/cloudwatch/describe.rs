//! Describing alarms.

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::rows::{Alarm, MetricId, Watched};
use super::statistic::Statistic;
use super::{CompositeAlarm, composite, invalid_token, validation};
use crate::kernel::page;
use crate::{Caller, Engine};

const PAGE: i32 = 50;

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeAlarmsRequest,
) -> Result<shapes::DescribeAlarmsResponse, Refusal> {
    if request.alarm_names.is_some() && request.alarm_name_prefix.is_some() {
        return Err(validation(
            "The parameters AlarmNames and AlarmNamePrefix cannot be specified together.",
        ));
    }
    if request.children_of_alarm_name.is_some() && request.parents_of_alarm_name.is_some() {
        return Err(validation(
            "The parameters ChildrenOfAlarmName and ParentsOfAlarmName cannot be specified together.",
        ));
    }
    // Metric alarms only, unless the request says otherwise (API reference, DescribeAlarms).
    let types = request.alarm_types.as_deref().unwrap_or(&[shapes::AlarmType::MetricAlarm]);
    let names: Option<BTreeSet<Arc<str>>> =
        request.alarm_names.as_ref().map(|names| names.iter().map(|name| Arc::from(name.as_str())).collect());
    let mut related: Option<BTreeSet<Arc<str>>> = None;
    if let Some(parent) = &request.children_of_alarm_name {
        let parent = cx.cloudwatch.composites.get(&Arc::from(parent.as_str()));
        related = Some(parent.map(|row| row.settings.expression.alarms()).unwrap_or_default());
    } else if let Some(child) = &request.parents_of_alarm_name {
        related = Some(cx.cloudwatch.composites.keys_by(&Arc::from(child.as_str())).into_iter().collect());
    }
    let wanted = |alarm: &Told<'_>| {
        let (name, state) = (alarm.name(), alarm.state());
        types.contains(&alarm.kind())
            && names.as_ref().is_none_or(|names| names.contains(name))
            && related.as_ref().is_none_or(|related| related.contains(name))
            && request.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && request.state_value.is_none_or(|wanted| wanted == state)
            && request.action_prefix.as_ref().is_none_or(|prefix| alarm.has_action(prefix))
    };
    let metric = cx.cloudwatch.alarms.iter().map(Told::Metric);
    let composite = cx.cloudwatch.composites.iter().map(Told::Composite);
    let mut chosen: Vec<Told<'_>> = metric.chain(composite).filter(wanted).collect();
    chosen.sort_by(|a, b| a.name().cmp(b.name()));
    let size = usize::try_from(request.max_records.unwrap_or(PAGE)).unwrap_or(1);
    let page = page(chosen, |alarm| alarm.name().to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    let (mut metric_alarms, mut composite_alarms) = (Vec::new(), Vec::new());
    for alarm in page.items {
        match alarm {
            Told::Metric(alarm) => metric_alarms.push(shown(cx, alarm)),
            Told::Composite(alarm) => composite_alarms.push(composite::shown(cx, alarm)),
        }
    }
    Ok(shapes::DescribeAlarmsResponse {
        composite_alarms: Some(composite_alarms),
        metric_alarms: Some(metric_alarms),
        next_token: page.next,
    })
}

/// An alarm of either kind.
enum Told<'a> {
    Metric(&'a Alarm),
    Composite(&'a CompositeAlarm),
}

impl Told<'_> {
    fn name(&self) -> &Arc<str> {
        match self {
            Self::Metric(alarm) => &alarm.name,
            Self::Composite(alarm) => &alarm.name,
        }
    }

    fn kind(&self) -> shapes::AlarmType {
        match self {
            Self::Metric(_) => shapes::AlarmType::MetricAlarm,
            Self::Composite(_) => shapes::AlarmType::CompositeAlarm,
        }
    }

    fn state(&self) -> shapes::StateValue {
        match self {
            Self::Metric(alarm) => alarm.state,
            Self::Composite(alarm) => alarm.state,
        }
    }

    fn has_action(&self, prefix: &str) -> bool {
        let [ok, alarm, lacking] = match self {
            Self::Metric(alarm) => {
                let settings = &alarm.settings;
                [&settings.ok_actions, &settings.alarm_actions, &settings.insufficient_data_actions]
            }
            Self::Composite(alarm) => {
                let settings = &alarm.settings;
                [&settings.ok_actions, &settings.alarm_actions, &settings.insufficient_data_actions]
            }
        };
        ok.iter().chain(alarm).chain(lacking).any(|action| action.starts_with(prefix))
    }
}

pub(super) fn describe_for_metric(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeAlarmsForMetricRequest,
) -> Result<shapes::DescribeAlarmsForMetricResponse, Refusal> {
    let id = Arc::new(MetricId::of(request.namespace, request.metric_name, request.dimensions));
    let wanted = |alarm: &&Alarm| {
        // An alarm on metric math is not one on its metrics.
        let Some(source) = alarm.settings.watched.metric() else { return false };
        let simple = match &source.statistic {
            Statistic::Simple(simple) => Some(*simple),
            Statistic::Extended(..) => None,
        };
        request.statistic.is_none_or(|statistic| simple == Some(statistic))
            && request.extended_statistic.as_ref().is_none_or(|text| text == source.statistic.name())
            && request.period.is_none_or(|period| i64::from(period) == source.period.as_secs())
            && request.unit.is_none_or(|unit| source.unit == Some(unit))
    };
    let alarms = cx.cloudwatch.alarms.by(&id).filter(wanted).map(|alarm| shown(cx, alarm));
    Ok(shapes::DescribeAlarmsForMetricResponse { metric_alarms: Some(alarms.collect()) })
}

pub(super) fn arn(cx: &Engine, alarm: &str) -> String {
    cx.arn("cloudwatch", format_args!("alarm:{alarm}"))
}

pub(super) fn shown(cx: &Engine, alarm: &Alarm) -> shapes::MetricAlarm {
    let settings = &alarm.settings;
    let mut told = shapes::MetricAlarm {
        alarm_name: Some(alarm.name.to_string()),
        alarm_arn: Some(arn(cx, &alarm.name)),
        alarm_description: settings.description.clone(),
        alarm_configuration_updated_timestamp: Some(alarm.configured_at),
        actions_enabled: Some(settings.actions_enabled),
        ok_actions: Some(settings.ok_actions.clone()),
        alarm_actions: Some(settings.alarm_actions.clone()),
        insufficient_data_actions: Some(settings.insufficient_data_actions.clone()),
        state_value: Some(alarm.state),
        state_reason: Some(alarm.reason.clone()),
        state_reason_data: alarm.reason_data.clone(),
        state_updated_timestamp: Some(alarm.updated_at),
        state_transitioned_timestamp: Some(alarm.transitioned_at),
        evaluation_periods: Some(settings.evaluation_periods),
        datapoints_to_alarm: settings.datapoints_to_alarm,
        threshold: Some(settings.threshold),
        comparison_operator: Some(settings.comparison),
        treat_missing_data: settings.treat_missing_data.map(|missing| missing.as_str().to_owned()),
        evaluate_low_sample_count_percentile: settings
            .ignore_low_samples
            .map(|ignore| if ignore { "ignore" } else { "evaluate" }.to_owned()),
        ..shapes::MetricAlarm::default()
    };
    let source = match &settings.watched {
        Watched::Metric(source) => source,
        Watched::Queries(math) => {
            told.metrics = Some(math.given().iter().map(with_return).collect());
            return told;
        }
    };
    told.metric_name = Some(source.metric.name.clone());
    told.namespace = Some(source.metric.namespace.clone());
    told.dimensions = Some(source.metric.shown_dimensions());
    told.period = i32::try_from(source.period.as_secs()).ok();
    told.unit = source.unit;
    match &source.statistic {
        Statistic::Simple(simple) => told.statistic = Some(*simple),
        Statistic::Extended(text, _) => told.extended_statistic = Some(text.clone()),
    }
    told
}

/// A query with what it left out.
fn with_return(query: &shapes::MetricDataQuery) -> shapes::MetricDataQuery {
    let mut shown = query.clone();
    shown.return_data.get_or_insert(true);
    if let Some(stat) = &mut shown.metric_stat {
        stat.metric.dimensions.get_or_insert_default();
    }
    shown
}
