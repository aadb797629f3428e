//! CloudWatch: metrics, alarms on them, dashboards and pictures of them.
//!
//! Points are stamped with the start of their period and an alarm looks at periods that have ended. Alarms are evaluated
//! at whole minutes; what the state means for Auto Scaling goes out as [`Event::AlarmAction`](crate::kernel::Event).

mod alarm;
mod composite;
mod dashboard;
mod describe;
mod evaluation;
mod event;
mod findings;
mod history;
mod json;
mod math;
mod metric;
mod query;
mod reason;
mod rows;
mod rule_expression;
mod series;
mod statistic;
mod tag;
#[cfg(test)]
mod tests;
mod widget;

use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::{Refusal, cloudwatch};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub use composite::{CompositeAlarm, CompositeSettings};
pub use math::Math;
pub(crate) use metric::{has_point, put, put_set};
pub use rows::{
    Alarm, AlarmSettings, Dashboard, HistoryItem, MetricId, MissingData, Series, Source, Watched,
};
pub use series::{Point, StatisticSet};
pub use statistic::Statistic;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("GetMetricWidgetImage.MetricWidget", "liveData, region and accountId have no effect"),
    ("GetMetricData.LabelOptions", "labels are given back as they are; dynamic labels are not filled in"),
    ("ListMetrics.IncludeLinkedAccounts", "there is one account"),
    ("ListMetrics.OwningAccount", "there is one account"),
    (
        "PutMetricAlarm.AlarmActions",
        "actions other than Auto Scaling policies are only told in the alarm's history; so with OKActions and InsufficientDataActions",
    ),
    (
        "PutCompositeAlarm.ActionsSuppressor",
        "actions are only told in the history, so nothing has to be suppressed; so with its wait and extension periods",
    ),
    (
        "PutCompositeAlarm.AlarmActions",
        "actions are only told in the alarm's history; so with OKActions and InsufficientDataActions",
    ),
    ("PutMetricData.EntityMetricData.Entity", "the metrics count; the entity is not kept"),
    ("PutMetricData.StrictEntityValidation", "entities are not kept"),
];

/// The tables of CloudWatch.
#[derive(Clone, Debug, Default)]
pub struct CloudWatch {
    series: Table<Series>,
    alarms: Table<Alarm>,
    composites: Table<CompositeAlarm>,
    dashboards: Table<Dashboard>,
    history: Table<HistoryItem>,
    /// Items of history written so far.
    history_serial: u64,
}

impl CloudWatch {
    pub fn series(&self) -> &Table<Series> {
        &self.series
    }

    pub fn alarms(&self) -> &Table<Alarm> {
        &self.alarms
    }

    pub fn alarm(&self, name: &str) -> Option<&Alarm> {
        self.alarms.get(&Arc::from(name))
    }

    pub fn composite_alarms(&self) -> &Table<CompositeAlarm> {
        &self.composites
    }

    pub fn dashboards(&self) -> &Table<Dashboard> {
        &self.dashboards
    }

    pub fn history(&self) -> &Table<HistoryItem> {
        &self.history
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.series.next_due(), self.alarms.next_due(), self.history.next_due()].into_iter().flatten().min()
    }
}

tables!(CloudWatch { series, alarms, composites, dashboards, history });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: cloudwatch::Request,
) -> Result<cloudwatch::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, cloudwatch {
        DeleteAlarms => alarm::delete,
        DeleteDashboards => dashboard::delete,
        DescribeAlarmHistory => history::describe,
        DescribeAlarms => describe::describe,
        DescribeAlarmsForMetric => describe::describe_for_metric,
        DisableAlarmActions => alarm::disable_actions,
        EnableAlarmActions => alarm::enable_actions,
        GetDashboard => dashboard::get,
        GetMetricData => query::data,
        GetMetricStatistics => query::statistics,
        GetMetricWidgetImage => widget::image,
        ListDashboards => dashboard::list,
        ListMetrics => metric::list,
        ListTagsForResource => tag::list,
        PutCompositeAlarm => composite::put,
        PutDashboard => dashboard::put,
        PutMetricAlarm => alarm::put,
        PutMetricData => metric::put_data,
        SetAlarmState => alarm::set_state,
        TagResource => tag::tag,
        UntagResource => tag::untag,
    }))
}

/// Does what is due first.
pub(crate) fn on_due(cx: &mut Engine) {
    let now = cx.now;
    if let Some((time, name)) = cx.cloudwatch.alarms.first_due()
        && time <= now
    {
        evaluation::evaluate(cx, &name);
    } else if let Some((time, key)) = cx.cloudwatch.history.first_due()
        && time <= now
    {
        cx.cloudwatch.history.remove(&key);
    } else if let Some((time, id)) = cx.cloudwatch.series.first_due()
        && time <= now
    {
        metric::forget(cx, &id);
    }
}

fn invalid_value(message: impl Into<String>) -> Refusal {
    Refusal::of(&cloudwatch::INVALID_PARAMETER_VALUE_EXCEPTION, message)
}

fn invalid_combination(message: impl Into<String>) -> Refusal {
    Refusal::of(&cloudwatch::INVALID_PARAMETER_COMBINATION_EXCEPTION, message)
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

fn invalid_token() -> Refusal {
    Refusal::of(&cloudwatch::INVALID_NEXT_TOKEN, "The next token specified is invalid.")
}
