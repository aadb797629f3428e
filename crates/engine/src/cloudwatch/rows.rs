//! The rows of the CloudWatch tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch as shapes;

use super::math::Math;
use super::series::{RETENTION, Tiers};
use super::statistic::Statistic;
use crate::kernel::{NoIndex, Row};

/// What names a metric: namespace, name and the dimensions in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    pub namespace: String,
    pub name: String,
    pub dimensions: Vec<(String, String)>,
}

impl MetricId {
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let mut dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        dimensions.sort_unstable();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    pub(super) fn of(namespace: String, name: String, dimensions: Option<Vec<shapes::Dimension>>) -> Self {
        let mut dimensions: Vec<_> =
            dimensions.unwrap_or_default().into_iter().map(|d| (d.name, d.value)).collect();
        dimensions.sort_unstable();
        Self { namespace, name, dimensions }
    }

    pub(super) fn shown_dimensions(&self) -> Vec<shapes::Dimension> {
        let shown =
            |(name, value): &(String, String)| shapes::Dimension { name: name.clone(), value: value.clone() };
        self.dimensions.iter().map(shown).collect()
    }

    pub(super) fn shown(&self) -> shapes::Metric {
        shapes::Metric {
            namespace: Some(self.namespace.clone()),
            metric_name: Some(self.name.clone()),
            dimensions: Some(self.shown_dimensions()),
        }
    }
}

/// The points of one metric.
#[derive(Clone, Debug)]
pub struct Series {
    pub id: Arc<MetricId>,
    pub tiers: Tiers,
    /// Start of the newest point.
    pub newest: Time,
    /// When to look whether anything is left of it.
    pub forget_at: Time,
}

impl Series {
    pub(super) fn new(id: Arc<MetricId>, at: Time) -> Self {
        Self { id, tiers: Tiers::default(), newest: at, forget_at: at + RETENTION }
    }
}

impl Row for Series {
    type Key = Arc<MetricId>;
    type Index = NoIndex;
    const TABLE: &'static str = "cloudwatch.series";
    fn key(&self) -> Arc<MetricId> {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.forget_at)
    }
}

/// How an alarm takes periods without a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingData {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl MissingData {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "missing" => Self::Missing,
            "ignore" => Self::Ignore,
            "breaching" => Self::Breaching,
            "notBreaching" => Self::NotBreaching,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// What PutMetricAlarm sets.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmSettings {
    pub description: Option<String>,
    pub actions_enabled: bool,
    /// ARNs, up to five for each state.
    pub ok_actions: Vec<String>,
    pub alarm_actions: Vec<String>,
    pub insufficient_data_actions: Vec<String>,
    pub watched: Watched,
    /// 10 s, 20 s, 30 s or whole minutes.
    pub period: Span,
    /// N of "M out of N".
    pub evaluation_periods: i32,
    /// M of "M out of N"; `None` means N and shortens the reason texts.
    pub datapoints_to_alarm: Option<i32>,
    pub threshold: f64,
    pub comparison: shapes::ComparisonOperator,
    /// `None` means `missing`.
    pub treat_missing_data: Option<MissingData>,
    /// EvaluateLowSampleCountPercentile is `ignore`; `None` when it was not given.
    pub ignore_low_samples: Option<bool>,
}

/// A metric and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub metric: Arc<MetricId>,
    pub statistic: Statistic,
    pub period: Span,
    /// Only points of that unit; `None` takes all.
    pub unit: Option<shapes::StandardUnit>,
}

/// What an alarm looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    Metric(Source),
    /// `Metrics`: queries of which one returns data.
    Queries(Box<Math>),
}

impl Watched {
    /// The metric, when there is only one and nothing is calculated.
    pub fn metric(&self) -> Option<&Source> {
        match self {
            Self::Metric(source) => Some(source),
            Self::Queries(math) => math.only_metric(),
        }
    }
}

/// An alarm on a metric or on what is made of several.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub name: Arc<str>,
    pub settings: AlarmSettings,
    pub configured_at: Time,
    pub state: shapes::StateValue,
    pub reason: String,
    pub reason_data: Option<String>,
    /// When the state was last set, be it to the same value.
    pub updated_at: Time,
    /// When the state last changed its value.
    pub transitioned_at: Time,
    pub evaluates_at: Time,
    pub tags: BTreeMap<String, String>,
}

impl Alarm {
    /// M of "M out of N".
    pub fn datapoints_to_alarm(&self) -> i32 {
        self.settings.datapoints_to_alarm.unwrap_or(self.settings.evaluation_periods)
    }

    /// Actions for the state that the alarm is in; none while actions are disabled.
    pub fn actions(&self) -> &[String] {
        let settings = &self.settings;
        if !settings.actions_enabled {
            return &[];
        }
        match self.state {
            shapes::StateValue::Alarm => &settings.alarm_actions,
            shapes::StateValue::Ok => &settings.ok_actions,
            shapes::StateValue::InsufficientData => &settings.insufficient_data_actions,
        }
    }
}

impl Row for Alarm {
    type Key = Arc<str>;
    type Index = Arc<MetricId>;
    const TABLE: &'static str = "cloudwatch.alarms";
    fn key(&self) -> Arc<str> {
        self.name.clone()
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.evaluates_at)
    }
    fn index(&self, put: &mut dyn FnMut(Arc<MetricId>)) {
        match &self.settings.watched {
            Watched::Metric(source) => put(source.metric.clone()),
            Watched::Queries(math) => math.metrics().for_each(|metric| put(metric.clone())),
        }
    }
}

/// One line of an alarm's history; outlives the alarm.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    pub at: Time,
    /// Tells items of one moment apart.
    pub serial: u64,
    pub alarm: Arc<str>,
    pub alarm_type: shapes::AlarmType,
    pub kind: shapes::HistoryItemType,
    pub summary: String,
    /// JSON.
    pub data: String,
    /// When it is forgotten.
    pub expires_at: Time,
}

impl Row for HistoryItem {
    type Key = (Time, u64);
    type Index = Arc<str>;
    const TABLE: &'static str = "cloudwatch.alarm_history";
    fn key(&self) -> (Time, u64) {
        (self.at, self.serial)
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.expires_at)
    }
    fn index(&self, put: &mut dyn FnMut(Arc<str>)) {
        put(self.alarm.clone());
    }
}

/// A dashboard: a document of widgets.
#[derive(Clone, Debug)]
pub struct Dashboard {
    pub name: Arc<str>,
    /// JSON, as it was put.
    pub body: String,
    pub modified_at: Time,
    pub tags: BTreeMap<String, String>,
}

impl Row for Dashboard {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "cloudwatch.dashboards";
    fn key(&self) -> Arc<str> {
        self.name.clone()
    }
}
