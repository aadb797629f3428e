//! GetMetricWidgetImage: a widget as a picture.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_report::{Chart, Color, Horizontal, Series, View, number};
use capstan_shapes::{Blob, Refusal, cloudwatch as shapes};

use super::super::findings::{Findings, Node};
use super::super::rows::MetricId;
use super::super::series::Window;
use super::super::statistic::Statistic;
use super::super::{describe, reason, validation};
use super::{Row, What, Widget, read};
use crate::{Caller, Engine};

/// Of one image (CloudWatch API reference, GetMetricWidgetImage).
const METRICS_MAX: usize = 100;
const BYTES_MAX: usize = 100 * 1024;
/// What a widget without a start shows.
const SHOWN: Span = Span::from_hours(3);
/// So many points are drawn of one metric; longer ranges want a longer period.
const POINTS_MAX: i64 = 100_800;

const ALARM: Color = Color::rgb(0xd13212);

pub(in super::super) fn image(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::GetMetricWidgetImageRequest,
) -> Result<shapes::GetMetricWidgetImageResponse, Refusal> {
    match request.output_format.as_deref() {
        None | Some("png") => {}
        Some("image/png") => {
            return Err(validation(
                "The value image/png for parameter OutputFormat is not supported: ask for png, which answers with the image in the member MetricWidgetImage.",
            ));
        }
        Some(other) => {
            return Err(validation(format!(
                "The value {other} for parameter OutputFormat is invalid. Use png."
            )));
        }
    }
    if request.metric_widget.len() > BYTES_MAX {
        return Err(validation(format!(
            "The parameter MetricWidget must not be longer than {BYTES_MAX} bytes."
        )));
    }
    let json = serde_json::from_str(&request.metric_widget).map_err(|error| {
        validation(format!("The parameter MetricWidget must be a valid JSON object: {error}"))
    })?;
    let node = Node::root(&json);
    let mut findings = Findings::default();
    node.object(&mut findings);
    let widget = read(cx.now, &node, &mut findings);
    if let Some(wrong) = findings.errors.first() {
        let place = if wrong.path.is_empty() { String::new() } else { format!("{}: ", wrong.path) };
        return Err(validation(format!("The parameter MetricWidget is invalid: {place}{}", wrong.message)));
    }
    if widget.rows.len() > METRICS_MAX {
        return Err(validation(format!("An image can have at most {METRICS_MAX} metrics.")));
    }
    let png = chart(cx, widget)?.png();
    let png = png.ok_or_else(|| validation("The image has no pixels: give width and height."))?;
    Ok(shapes::GetMetricWidgetImageResponse { metric_widget_image: Some(Blob(png)) })
}

/// One line of the image: what it shows and how.
struct Line {
    row: Row,
    metric: Arc<MetricId>,
    statistic: Statistic,
    period: Span,
}

fn chart(cx: &Engine, widget: Widget) -> Result<Chart, Refusal> {
    let to = widget.end.unwrap_or(cx.now);
    let from = widget.start.unwrap_or(to - SHOWN);
    if from >= to {
        return Err(validation("The widget's start must be before its end."));
    }
    let mut chart = Chart::over_time(widget.width, widget.height, from, to);
    if let capstan_report::XScale::Time { offset_minutes, .. } = &mut chart.x {
        *offset_minutes = widget.timezone;
    }
    let (stat, period) = (widget.stat, widget.period);
    let mut lines = Vec::new();
    for row in widget.rows.into_iter().filter(|row| row.visible) {
        match &row.what {
            What::Metric(id) => {
                let (metric, text) = (Arc::new(id.clone()), row.stat.as_ref().unwrap_or(&stat));
                let Some(statistic) = Statistic::parse(text) else { continue };
                let period = Span::from_secs(row.period.unwrap_or(period));
                lines.push(Line { row, metric, statistic, period });
            }
            What::Expression(expression) => {
                chart.notes.push(format!("Not drawn, as metric math is not built: {expression}"));
            }
        }
    }
    chart.horizontal = widget.horizontal;
    for arn in &widget.alarms {
        add_alarm(cx, arn, &mut lines, &mut chart);
    }
    let labels = labels(&lines);
    for (line, label) in lines.iter().zip(labels) {
        if (to - from).as_micros() / line.period.as_micros() > POINTS_MAX {
            return Err(validation(format!(
                "The widget asks for more than {POINTS_MAX} points of {label}: use a longer period."
            )));
        }
        let points = points(cx, line, from, to);
        let label =
            line.row.label.as_ref().map_or_else(|| label.clone(), |given| filled(given, &label, &points));
        chart.series.push(Series {
            color: line.row.color,
            right: line.row.right,
            gap: Some(line.period.as_micros() as f64 * 1.5e-6),
            ..Series::line(label, points)
        });
    }
    chart.title = widget.title;
    chart.view = widget.view;
    chart.stacked = widget.stacked && widget.view == View::Lines;
    chart.left = widget.left;
    chart.right = widget.right;
    chart.vertical = widget.vertical;
    chart.legend = widget.legend;
    chart.theme = widget.theme;
    Ok(chart)
}

/// An alarm's threshold as a line, and its metric unless that is there already.
fn add_alarm(cx: &Engine, arn: &str, lines: &mut Vec<Line>, chart: &mut Chart) {
    let alarms = &cx.cloudwatch.alarms;
    let Some(alarm) = alarms.iter().find(|alarm| describe::arn(cx, &alarm.name) == arn) else {
        chart.notes.push(format!("There is no alarm {arn}"));
        return;
    };
    let settings = &alarm.settings;
    let (metric, statistic) = (settings.metric.clone(), settings.statistic.clone());
    let same = |line: &Line| line.metric == metric && line.statistic == statistic;
    let right = match lines.iter().find(|line| same(line)) {
        Some(line) => line.row.right,
        None => {
            let what = What::Metric((*metric).clone());
            let (label, color, stat, period) = (None, None, None, None);
            let row = Row { what, label, color, right: false, visible: true, stat, period };
            lines.push(Line { row, metric, statistic, period: settings.period });
            false
        }
    };
    let minutes = settings.period.as_secs() * i64::from(settings.evaluation_periods) / 60;
    let label = format!(
        "{}: {} {} {} for {} datapoints within {minutes} minute{}",
        alarm.name,
        settings.metric.name,
        reason::sign(settings.comparison),
        number(settings.threshold),
        alarm.datapoints_to_alarm(),
        if minutes == 1 { "" } else { "s" }
    );
    chart.horizontal.push(Horizontal {
        value: settings.threshold,
        label,
        color: Some(ALARM),
        right,
        ..Horizontal::default()
    });
}

fn points(cx: &Engine, line: &Line, from: Time, to: Time) -> Vec<(f64, f64)> {
    let window = Window {
        now: cx.now,
        from: from.floor(line.period),
        to,
        period: line.period,
        unit: None,
        by_unit: false,
        with_values: line.statistic.needs_values(),
    };
    let Some(series) = cx.cloudwatch.series.get(&line.metric) else { return Vec::new() };
    let buckets = series.tiers.buckets(&window);
    let value = |point: &super::super::Point| {
        Some((point.start.as_micros() as f64 / 1e6, line.statistic.of(&point.set)?))
    };
    buckets.iter().filter_map(value).collect()
}

/// What the legend tells of each line: the metric's name, and what else tells it from the others.
fn labels(lines: &[Line]) -> Vec<String> {
    let differs = |of: &dyn Fn(&Line) -> String| {
        let mut all = lines.iter().map(of);
        let first = all.next();
        all.any(|other| Some(other) != first)
    };
    let dimensions = |line: &Line| {
        // Values that all lines share tell nothing.
        let shared =
            |pair: &(String, String)| lines.iter().all(|other| other.metric.dimensions.contains(pair));
        let own = line.metric.dimensions.iter().filter(|pair| !shared(pair));
        own.map(|(_, value)| value.clone()).collect::<Vec<_>>().join(" ")
    };
    let names = differs(&|line| line.metric.name.clone());
    let stats = differs(&|line| line.statistic.name().to_owned());
    let label = |line: &Line| {
        let own = dimensions(line);
        let mut parts = Vec::new();
        if !own.is_empty() {
            parts.push(own);
        }
        if names || parts.is_empty() {
            parts.push(line.metric.name.clone());
        }
        if stats {
            parts.push(line.statistic.name().to_owned());
        }
        parts.join(" ")
    };
    lines.iter().map(label).collect()
}

/// A label with its dynamic parts filled in (CloudWatch guide, graph-dynamic-labels): `${LAST}`, `${MAX}` …
fn filled(given: &str, label: &str, points: &[(f64, f64)]) -> String {
    if !given.contains("${") {
        return given.to_owned();
    }
    let values = || points.iter().map(|(_, value)| *value);
    let told = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let sum: f64 = values().sum();
    let some = |value: f64| (!points.is_empty()).then_some(value);
    let parts = [
        ("${LABEL}", label.to_owned()),
        ("${AVG}", told(some(sum / points.len() as f64))),
        ("${SUM}", told(some(sum))),
        ("${MIN}", told(values().reduce(f64::min))),
        ("${MAX}", told(values().reduce(f64::max))),
        ("${FIRST}", told(values().next())),
        ("${LAST}", told(points.last().map(|(_, value)| *value))),
        ("${DATAPOINT_COUNT}", points.len().to_string()),
    ];
    parts.into_iter().fold(given.to_owned(), |text, (part, value)| text.replace(part, &value))
}
