//! Reading metrics: GetMetricStatistics and GetMetricData.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::rows::MetricId;
use super::series::{Point, Window};
use super::statistic::{Extended, Statistic, of_simple};
use super::{invalid_combination, invalid_token, invalid_value, validation};
use crate::kernel::page;
use crate::{Caller, Engine};

/// GetMetricStatistics tells so many points at most.
const STATISTICS_POINTS_MAX: i64 = 1_440;
const QUERIES_MAX: usize = 500;
/// GetMetricData: points in one answer.
const DATA_POINTS_MAX: i32 = 100_800;

/// Periods that AWS takes: 1, 5, 10, 20 or 30 s, and whole minutes.
pub(super) fn period(secs: i32) -> Option<Span> {
    let fits = matches!(secs, 1 | 5 | 10 | 20 | 30) || (secs > 0 && secs % 60 == 0);
    fits.then(|| Span::from_secs(i64::from(secs)))
}

/// The finest resolution that is kept for points of that age.
fn resolution(age: Span) -> Span {
    let days = |days: i64| Span::from_hours(days * 24);
    if age < days(15) {
        Span::from_mins(1)
    } else if age < days(63) {
        Span::from_mins(5)
    } else {
        Span::from_hours(1)
    }
}

pub(super) fn statistics(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::GetMetricStatisticsRequest,
) -> Result<shapes::GetMetricStatisticsResponse, Refusal> {
    let simple = request.statistics.unwrap_or_default();
    let mut extended = Vec::new();
    for text in request.extended_statistics.unwrap_or_default() {
        let Some(statistic) = Extended::parse(&text) else {
            return Err(invalid_value(format!(
                "The value {text} for parameter ExtendedStatistics is not supported."
            )));
        };
        extended.push(Statistic::Extended(text, statistic));
    }
    if simple.is_empty() && extended.is_empty() {
        return Err(invalid_combination(
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        ));
    }
    let Some(period) = period(request.period) else {
        return Err(invalid_value("The parameter Period must be 1, 5, 10, 20, 30, or any multiple of 60."));
    };
    if request.start_time >= request.end_time {
        return Err(invalid_value("The parameter StartTime must be less than the parameter EndTime."));
    }
    // The start is rounded down, the more the older it is; periods are counted from it.
    let age = cx.now - request.start_time;
    let rounding = if period < Span::from_mins(1) { period } else { resolution(age) };
    let from = request.start_time.floor(rounding);
    let points = ((request.end_time - from).as_micros() - 1) / period.as_micros() + 1;
    if points > STATISTICS_POINTS_MAX {
        return Err(invalid_combination(format!(
            "You have requested up to {} datapoints, which exceeds the limit of {}. You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
            grouped(points),
            grouped(STATISTICS_POINTS_MAX)
        )));
    }
    let id = Arc::new(MetricId::of(request.namespace, request.metric_name, request.dimensions));
    let window = Window {
        now: cx.now,
        from,
        to: request.end_time,
        period,
        unit: request.unit,
        by_unit: true,
        with_values: !extended.is_empty(),
    };
    let buckets = cx.cloudwatch.series.get(&id).map(|series| series.tiers.buckets(&window));
    let shown = |point: Point| {
        let mut told = shapes::Datapoint {
            timestamp: Some(point.start),
            unit: Some(point.unit),
            ..shapes::Datapoint::default()
        };
        for statistic in &simple {
            let value = Some(of_simple(*statistic, &point.set));
            match statistic {
                shapes::Statistic::SampleCount => told.sample_count = value,
                shapes::Statistic::Average => told.average = value,
                shapes::Statistic::Sum => told.sum = value,
                shapes::Statistic::Minimum => told.minimum = value,
                shapes::Statistic::Maximum => told.maximum = value,
            }
        }
        let values = extended
            .iter()
            .filter_map(|statistic| Some((statistic.name().to_owned(), statistic.of(&point.set)?)));
        told.extended_statistics = (!extended.is_empty()).then(|| values.collect());
        told
    };
    Ok(shapes::GetMetricStatisticsResponse {
        label: Some(id.name.clone()),
        datapoints: Some(buckets.unwrap_or_default().into_iter().map(shown).collect()),
    })
}

/// `2,880`
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// One query of GetMetricData, checked.
struct Query {
    id: String,
    label: String,
    metric: Arc<MetricId>,
    statistic: Statistic,
    period: Span,
    unit: Option<shapes::StandardUnit>,
}

pub(super) fn data(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::GetMetricDataRequest,
) -> Result<shapes::GetMetricDataResponse, Refusal> {
    if request.metric_data_queries.is_empty() {
        return Err(validation("The parameter MetricDataQueries is required."));
    }
    if request.metric_data_queries.len() > QUERIES_MAX {
        return Err(validation(format!(
            "The collection MetricDataQueries must not have a size greater than {QUERIES_MAX}."
        )));
    }
    if request.start_time >= request.end_time {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    let size = request.max_datapoints.unwrap_or(DATA_POINTS_MAX);
    if !(1..=DATA_POINTS_MAX).contains(&size) {
        return Err(validation(format!(
            "The parameter MaxDatapoints must be between 1 and {DATA_POINTS_MAX}."
        )));
    }
    let mut ids: Vec<String> = Vec::new();
    let mut queries = Vec::new();
    for (index, query) in request.metric_data_queries.into_iter().enumerate() {
        let path = format!("MetricDataQueries.member.{}", index + 1);
        let returned = query.return_data.unwrap_or(true);
        let query = check(&path, query)?;
        if ids.contains(&query.id) {
            return Err(validation(format!(
                "The values for parameter id in MetricDataQueries are not unique: {}",
                query.id
            )));
        }
        ids.push(query.id.clone());
        if returned {
            queries.push(query);
        }
    }
    let newest_first = request.scan_by.unwrap_or_default() == shapes::ScanBy::TimestampDescending;
    let mut points: Vec<(usize, usize, Time, f64)> = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let window = Window {
            now: cx.now,
            from: request.start_time.floor(query.period),
            to: request.end_time,
            period: query.period,
            unit: query.unit,
            by_unit: false,
            with_values: query.statistic.needs_values(),
        };
        let series = cx.cloudwatch.series.get(&query.metric);
        let mut buckets = series.map(|series| series.tiers.buckets(&window)).unwrap_or_default();
        if newest_first {
            buckets.reverse();
        }
        let values = buckets.iter().filter_map(|point| Some((point.start, query.statistic.of(&point.set)?)));
        points.extend(values.enumerate().map(|(at, (start, value))| (index, at, start, value)));
    }
    let size = usize::try_from(size).unwrap_or(1);
    let key = |(query, at, ..): &(usize, usize, Time, f64)| format!("{query:06}-{at:012}");
    let page = page(points, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    let first = page.items.first().map(|point| point.0);
    let last = page.items.last().map(|point| point.0);
    let continued = request.next_token.is_some();
    let results = queries.into_iter().enumerate().filter_map(|(index, query)| {
        // Later pages tell only of the queries whose points they hold.
        if continued && !(first..=last).contains(&Some(index)) {
            return None;
        }
        let ours = || page.items.iter().filter(|point| point.0 == index);
        let cut = page.next.is_some() && last.is_none_or(|last| index >= last);
        Some(shapes::MetricDataResult {
            id: Some(query.id),
            label: Some(query.label),
            timestamps: Some(ours().map(|point| point.2).collect()),
            values: Some(ours().map(|point| point.3).collect()),
            status_code: Some(if cut {
                shapes::StatusCode::PartialData
            } else {
                shapes::StatusCode::Complete
            }),
            messages: None,
        })
    });
    Ok(shapes::GetMetricDataResponse {
        metric_data_results: Some(results.collect()),
        next_token: page.next,
        messages: Some(Vec::new()),
    })
}

fn check(path: &str, query: shapes::MetricDataQuery) -> Result<Query, Refusal> {
    check_id(path, &query.id)?;
    let Some(stat) = query.metric_stat else {
        return Err(no_math(path, query.expression.as_deref()));
    };
    if query.expression.is_some() {
        return Err(validation(format!(
            "The parameters {path}.MetricStat and {path}.Expression are mutually exclusive and you have specified both."
        )));
    }
    let (metric, statistic) = check_stat(path, &stat)?;
    let Some(period) = period(stat.period) else {
        return Err(validation(format!(
            "The parameter {path}.MetricStat.Period must be 1, 5, 10, 20, 30, or any multiple of 60."
        )));
    };
    let label = query.label.unwrap_or_else(|| metric.name.clone());
    Ok(Query { id: query.id, label, metric: Arc::new(metric), statistic, period, unit: stat.unit })
}

/// A lower-case letter, then letters, digits and underscores.
pub(super) fn check_id(path: &str, id: &str) -> Result<(), Refusal> {
    let fits = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        return Ok(());
    }
    Err(validation(format!(
        "The value {id} for parameter {path}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
    )))
}

/// The metric and statistic of a `MetricStat`.
pub(super) fn check_stat(path: &str, stat: &shapes::MetricStat) -> Result<(MetricId, Statistic), Refusal> {
    let metric = stat.metric.clone();
    let (Some(namespace), Some(name)) = (metric.namespace, metric.metric_name) else {
        return Err(validation(format!(
            "The parameters {path}.MetricStat.Metric.Namespace and {path}.MetricStat.Metric.MetricName are required."
        )));
    };
    let Some(statistic) = Statistic::parse(&stat.stat) else {
        return Err(validation(format!(
            "The value {} for parameter {path}.MetricStat.Stat is not supported.",
            stat.stat
        )));
    };
    Ok((MetricId::of(namespace, name, metric.dimensions), statistic))
}

pub(super) fn no_math(path: &str, expression: Option<&str>) -> Refusal {
    match expression {
        Some(expression) => validation(format!(
            "{path}.Expression: metric math is not built yet, so {expression} cannot be evaluated. Ask for the metrics by MetricStat."
        )),
        None => {
            validation(format!("One of the parameters {path}.MetricStat and {path}.Expression is required."))
        }
    }
}
