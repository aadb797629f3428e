//! Reading metrics: GetMetricStatistics and GetMetricData.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::math::Math;
use super::rows::{MetricId, Source};
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
    let math = Math::read("MetricDataQueries", request.metric_data_queries)?;
    let newest_first = request.scan_by.unwrap_or_default() == shapes::ScanBy::TimestampDescending;
    let answers = math.answers(cx, request.start_time, request.end_time);
    let mut points: Vec<(usize, usize, Time, f64)> = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let mut values = answer.points.clone();
        if newest_first {
            values.reverse();
        }
        points.extend(values.into_iter().enumerate().map(|(at, (start, value))| (index, at, start, value)));
    }
    let size = usize::try_from(size).unwrap_or(1);
    let key = |(query, at, ..): &(usize, usize, Time, f64)| format!("{query:06}-{at:012}");
    let page = page(points, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    let first = page.items.first().map(|point| point.0);
    let last = page.items.last().map(|point| point.0);
    let continued = request.next_token.is_some();
    let results = answers.into_iter().enumerate().filter_map(|(index, answer)| {
        // Later pages tell only of the queries whose points they hold.
        if continued && !(first..=last).contains(&Some(index)) {
            return None;
        }
        let ours = || page.items.iter().filter(|point| point.0 == index);
        let cut = page.next.is_some() && last.is_none_or(|last| index >= last);
        Some(shapes::MetricDataResult {
            id: Some(answer.id),
            label: Some(answer.label),
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

/// What a `MetricStat` asks for.
pub(super) fn source(path: &str, stat: &shapes::MetricStat) -> Result<Source, Refusal> {
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
    let Some(period) = period(stat.period) else {
        return Err(validation(format!(
            "The parameter {path}.MetricStat.Period must be 1, 5, 10, 20, 30, or any multiple of 60."
        )));
    };
    let metric = Arc::new(MetricId::of(namespace, name, metric.dimensions));
    Ok(Source { metric, statistic, period, unit: stat.unit })
}

/// The periods of a metric that have points, oldest first.
pub(super) fn buckets(cx: &Engine, source: &Source, from: Time, to: Time) -> Vec<Point> {
    let window = Window {
        now: cx.now,
        from,
        to,
        period: source.period,
        unit: source.unit,
        by_unit: false,
        with_values: source.statistic.needs_values(),
    };
    let series = cx.cloudwatch.series.get(&source.metric);
    series.map(|series| series.tiers.buckets(&window)).unwrap_or_default()
}
