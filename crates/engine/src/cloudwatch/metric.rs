//! Metrics: putting points and listing what there is.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::rows::{MetricId, Series};
use super::series::{RETENTION, StatisticSet};
use super::{invalid_combination, invalid_value};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Per PutMetricData call and per datum (CloudWatch quotas).
const DATA_MAX: usize = 1_000;
const VALUES_MAX: usize = 150;
/// 2^360: greater values are refused.
const VALUE_MAX: f64 = 2.348_542_582_773_833_4e108;
const OLDEST: Span = Span::from_hours(14 * 24);
const NEWEST: Span = Span::from_hours(2);

const LIST_PAGE: usize = 500;
/// ListMetrics tells metrics with points of the last two weeks.
const LISTED_FOR: Span = Span::from_hours(14 * 24);
const RECENTLY: Span = Span::from_hours(3);

/// An AWS service publishes one value of its own metric. `at` is the start of the minute that it describes.
pub(crate) fn put(
    cx: &mut Engine,
    namespace: &str,
    metric: &str,
    dimensions: &[(&str, &str)],
    value: f64,
    at: Time,
) {
    let id = MetricId::new(namespace, metric, dimensions);
    put_set(cx, id, shapes::StandardUnit::None, StatisticSet::of(value), at);
}

/// An AWS service publishes what it saw in a minute, of which `at` is the start.
pub(crate) fn put_set(
    cx: &mut Engine,
    id: MetricId,
    unit: shapes::StandardUnit,
    set: StatisticSet,
    at: Time,
) {
    store(cx, id, &Datum { at, unit, set, high_resolution: false });
}

/// Whether a service has published a point of its metric for that minute or a later one.
pub(crate) fn has_point(cx: &Engine, id: MetricId, at: Time) -> bool {
    cx.cloudwatch.series.get(&Arc::new(id)).is_some_and(|series| series.newest >= at)
}

struct Datum {
    at: Time,
    unit: shapes::StandardUnit,
    set: StatisticSet,
    high_resolution: bool,
}

fn store(cx: &mut Engine, id: MetricId, datum: &Datum) {
    let now = cx.now;
    let id = Arc::new(id);
    let table = &mut cx.cloudwatch.series;
    if !table.contains(&id) {
        table.insert(Series::new(id.clone(), datum.at));
    }
    if let Some(mut series) = table.edit(&id) {
        series.newest = series.newest.max(datum.at);
        series.tiers.put(now, datum.at, datum.unit, &datum.set, datum.high_resolution);
    }
}

/// Takes the series away when its newest point is past its time.
pub(super) fn forget(cx: &mut Engine, id: &Arc<MetricId>) {
    let table = &mut cx.cloudwatch.series;
    let Some(series) = table.get(id) else { return };
    let forget_at = series.newest + RETENTION;
    if forget_at <= cx.now {
        table.remove(id);
    } else if let Some(mut series) = table.edit(id) {
        series.forget_at = forget_at;
    }
}

pub(super) fn put_data(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutMetricDataRequest,
) -> Result<shapes::PutMetricDataResponse, Refusal> {
    let namespace = request.namespace;
    // AWS keeps these names for its own services, which publish through `put`.
    if namespace.starts_with("AWS/") && matches!(caller, Caller::User { .. } | Caller::Agent(_)) {
        return Err(invalid_value(format!("The value {namespace} for parameter Namespace is invalid.")));
    }
    let mut data = request.metric_data.unwrap_or_default();
    let entity_data = request.entity_metric_data.unwrap_or_default();
    data.extend(entity_data.into_iter().flat_map(|entity| entity.metric_data.unwrap_or_default()));
    if data.is_empty() {
        return Err(missing("The parameter MetricData is required."));
    }
    if data.len() > DATA_MAX {
        return Err(too_long("MetricData", DATA_MAX));
    }
    let now = cx.now;
    // All is checked before anything is stored: a call puts all of its data or none.
    let mut checked = Vec::with_capacity(data.len());
    for (index, datum) in data.into_iter().enumerate() {
        let path = format!("MetricData.member.{}", index + 1);
        checked.push(check(now, &path, &namespace, datum)?);
    }
    for (id, datum) in checked.into_iter().flatten() {
        store(cx, id, &datum);
    }
    Ok(shapes::PutMetricDataResponse {})
}

/// `None` for a datum that says nothing (no samples).
fn check(
    now: Time,
    path: &str,
    namespace: &str,
    datum: shapes::MetricDatum,
) -> Result<Option<(MetricId, Datum)>, Refusal> {
    let high_resolution = match datum.storage_resolution {
        None | Some(60) => false,
        Some(1) => true,
        Some(other) => {
            return Err(invalid_value(format!(
                "The value {other} for parameter {path}.StorageResolution is invalid. Use 1 or 60."
            )));
        }
    };
    let at = datum.timestamp.unwrap_or(now);
    if at < now - OLDEST {
        let rule = "must specify a time no more than two weeks in the past.";
        return Err(invalid_value(format!("The parameter {path}.Timestamp {rule}")));
    }
    if at > now + NEWEST {
        let rule = "must specify a time no more than two hours in the future.";
        return Err(invalid_value(format!("The parameter {path}.Timestamp {rule}")));
    }
    let dimensions = datum.dimensions.unwrap_or_default();
    let mut names: Vec<&str> = dimensions.iter().map(|d| d.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(invalid_value(format!(
            "The parameter {path}.Dimensions has the dimension {} more than once.",
            twice[0]
        )));
    }
    let exclusive = |one: &str, other: &str| {
        invalid_combination(format!(
            "The parameters {path}.{one} and {path}.{other} are mutually exclusive and you have specified both."
        ))
    };
    let set = match (datum.value, datum.values, datum.statistic_values) {
        (Some(_), Some(_), _) => return Err(exclusive("Value", "Values")),
        (Some(_), None, Some(_)) => return Err(exclusive("Value", "StatisticValues")),
        (None, Some(_), Some(_)) => return Err(exclusive("Values", "StatisticValues")),
        (Some(value), None, None) => {
            check_value(value, &format!("{path}.Value"))?;
            Some(StatisticSet::of(value))
        }
        (None, Some(values), None) => check_values(path, &values, datum.counts)?,
        (None, None, Some(told)) => {
            let members = [
                ("SampleCount", told.sample_count),
                ("Sum", told.sum),
                ("Minimum", told.minimum),
                ("Maximum", told.maximum),
            ];
            for (name, value) in members {
                check_value(value, &format!("{path}.StatisticValues.{name}"))?;
            }
            if told.sample_count < 0.0 {
                return Err(invalid_value(format!(
                    "The value {:?} for parameter {path}.StatisticValues.SampleCount is invalid.",
                    told.sample_count
                )));
            }
            if told.maximum < told.minimum {
                return Err(invalid_combination(format!(
                    "The parameter {path}.StatisticValues.Maximum must be greater than or equal to {path}.StatisticValues.Minimum."
                )));
            }
            let some = told.sample_count > 0.0;
            some.then(|| StatisticSet::told(told.sample_count, told.sum, told.minimum, told.maximum))
        }
        (None, None, None) => {
            return Err(missing(format!(
                "One of the parameters {path}.Value, {path}.Values and {path}.StatisticValues is required."
            )));
        }
    };
    let unit = datum.unit.unwrap_or(shapes::StandardUnit::None);
    let id = MetricId::of(namespace.to_owned(), datum.metric_name, Some(dimensions));
    Ok(set.map(|set| (id, Datum { at, unit, set, high_resolution })))
}

fn check_values(
    path: &str,
    values: &[f64],
    counts: Option<Vec<f64>>,
) -> Result<Option<StatisticSet>, Refusal> {
    if values.len() > VALUES_MAX {
        return Err(too_long(&format!("{path}.Values"), VALUES_MAX));
    }
    let counts = counts.unwrap_or_else(|| vec![1.0; values.len()]);
    if counts.len() != values.len() {
        return Err(invalid_value(format!(
            "The parameters {path}.Values and {path}.Counts must be of the same size."
        )));
    }
    for (index, (value, count)) in values.iter().zip(&counts).enumerate() {
        check_value(*value, &format!("{path}.Values.member.{}", index + 1))?;
        check_value(*count, &format!("{path}.Counts.member.{}", index + 1))?;
        if *count < 0.0 {
            return Err(invalid_value(format!(
                "The value {count:?} for parameter {path}.Counts.member.{} is invalid.",
                index + 1
            )));
        }
    }
    Ok(StatisticSet::of_values(values.iter().copied().zip(counts)))
}

fn check_value(value: f64, path: &str) -> Result<(), Refusal> {
    if value.is_finite() && value.abs() <= VALUE_MAX {
        return Ok(());
    }
    Err(invalid_value(format!("The value {value:?} for parameter {path} is invalid.")))
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::MISSING_REQUIRED_PARAMETER_EXCEPTION, message)
}

fn too_long(path: &str, max: usize) -> Refusal {
    invalid_value(format!("The collection {path} must not have a size greater than {max}."))
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListMetricsRequest,
) -> Result<shapes::ListMetricsResponse, Refusal> {
    let age = if request.recently_active.is_some() { RECENTLY } else { LISTED_FOR };
    let since = cx.now - age;
    let filters = request.dimensions.unwrap_or_default();
    let wanted = |series: &&Series| {
        let id = &series.id;
        let has = |filter: &shapes::DimensionFilter| {
            id.dimensions.iter().any(|(name, value)| {
                *name == filter.name && filter.value.as_ref().is_none_or(|wanted| wanted == value)
            })
        };
        series.newest >= since
            && request.namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace)
            && request.metric_name.as_ref().is_none_or(|name| *name == id.name)
            && filters.iter().all(has)
    };
    let series = cx.cloudwatch.series.iter().filter(wanted);
    // The key must sort as the rows do, so its parts are separated by what sorts before every character.
    let key = |series: &&Series| {
        let id = &series.id;
        let dimensions = id.dimensions.iter().map(|(name, value)| format!("\0{name}\0{value}"));
        format!("{}\0{}{}", id.namespace, id.name, dimensions.collect::<String>())
    };
    let page = page(series, key, request.next_token.as_deref(), LIST_PAGE)
        .map_err(|()| invalid_value("The value for parameter NextToken is invalid."))?;
    let metrics = page.items.into_iter().map(|series| series.id.shown()).collect();
    Ok(shapes::ListMetricsResponse {
        metrics: Some(metrics),
        next_token: page.next,
        ..shapes::ListMetricsResponse::default()
    })
}
