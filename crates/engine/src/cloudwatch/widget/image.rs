//! GetMetricWidgetImage: a widget as a picture.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_report::{Chart, Color, Horizontal, Series, View, number};
use capstan_shapes::{Blob, Refusal, cloudwatch as shapes};

use super::super::findings::{Findings, Node};
use super::super::math::{Answer, Math};
use super::super::rows::{MetricId, Source};
use super::super::statistic::Statistic;
use super::super::{describe, query, reason, validation};
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
    Ok(shapes::GetMetricWidgetImageResponse { metric_widget_image: Some(Blob(png.into())) })
}

/// One line of the image: what it shows and how.
struct Line {
    row: Row,
    shown: Shown,
}

enum Shown {
    Metric(Source),
    /// What an expression gave.
    Answer(Answer),
}

impl Line {
    fn metric(&self) -> Option<&Source> {
        match &self.shown {
            Shown::Metric(source) => Some(source),
            Shown::Answer(_) => None,
        }
    }

    fn period(&self) -> Span {
        match &self.shown {
            Shown::Metric(source) => source.period,
            Shown::Answer(answer) => answer.period,
        }
    }
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
    let source = |row: &Row, id: &MetricId| {
        let statistic = Statistic::parse(row.stat.as_ref().unwrap_or(&widget.stat))?;
        let period = Span::from_secs(row.period.unwrap_or(widget.period));
        Some(Source { metric: Arc::new(id.clone()), statistic, period, unit: None })
    };
    // Rows without an id can be meant too, by METRICS().
    let id = |index: usize, row: &Row| row.id.clone().unwrap_or_else(|| format!("row {index}"));
    let (mut metrics, mut expressions) = (Vec::new(), Vec::new());
    for (index, row) in widget.rows.iter().enumerate() {
        match &row.what {
            What::Metric(metric) => {
                metrics.extend(source(row, metric).map(|source| (id(index, row), source)))
            }
            What::Expression(text) => expressions.push((id(index, row), text.clone())),
        }
    }
    let answers = match Math::of_widget(metrics, expressions) {
        Ok(math) => {
            within(math.finest(), from, to, "an expression")?;
            math.answers(cx, from, to)
        }
        Err(wrong) => {
            chart.notes.push(format!("Not drawn: {wrong}"));
            Vec::new()
        }
    };
    let mut lines = Vec::new();
    for (index, row) in widget.rows.iter().enumerate().filter(|(_, row)| row.visible) {
        match &row.what {
            What::Metric(metric) => {
                let shown = source(row, metric).map(Shown::Metric);
                lines.extend(shown.map(|shown| Line { row: row.clone(), shown }));
            }
            What::Expression(text) => {
                let (id, named) = (id(index, row), row.id.is_some());
                for answer in answers.iter().filter(|answer| answer.id == id) {
                    let mut answer = answer.clone();
                    if answer.label == id && !named {
                        answer.label = text.clone();
                    }
                    lines.push(Line { row: row.clone(), shown: Shown::Answer(answer) });
                }
            }
        }
    }
    chart.horizontal = widget.horizontal;
    for arn in &widget.alarms {
        add_alarm(cx, arn, &mut lines, &mut chart);
    }
    let labels = labels(&lines);
    for (line, label) in lines.iter().zip(labels) {
        within(line.period(), from, to, &label)?;
        let points = points(cx, line, from, to);
        let label =
            line.row.label.as_ref().map_or_else(|| label.clone(), |given| filled(given, &label, &points));
        chart.series.push(Series {
            color: line.row.color,
            right: line.row.right,
            gap: Some(line.period().as_micros() as f64 * 1.5e-6),
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

/// So many points of that period can be drawn.
fn within(period: Span, from: Time, to: Time, label: &str) -> Result<(), Refusal> {
    if (to - from).as_micros() / period.as_micros().max(1) <= POINTS_MAX {
        return Ok(());
    }
    Err(validation(format!(
        "The widget asks for more than {POINTS_MAX} points of {label}: use a longer period."
    )))
}

/// An alarm's threshold as a line, and its metric unless that is there already.
fn add_alarm(cx: &Engine, arn: &str, lines: &mut Vec<Line>, chart: &mut Chart) {
    let alarms = &cx.cloudwatch.alarms;
    let Some(alarm) = alarms.iter().find(|alarm| describe::arn(cx, &alarm.name) == arn) else {
        chart.notes.push(format!("There is no alarm {arn}"));
        return;
    };
    let settings = &alarm.settings;
    let (mut right, mut watched) = (false, "a metric math expression".to_owned());
    if let Some(source) = settings.watched.metric() {
        watched.clone_from(&source.metric.name);
        let same = |line: &&Line| {
            line.metric()
                .is_some_and(|other| other.metric == source.metric && other.statistic == source.statistic)
        };
        match lines.iter().find(same) {
            Some(line) => right = line.row.right,
            None => {
                let what = What::Metric((*source.metric).clone());
                let (id, label, color, stat, period) = (None, None, None, None, None);
                let row = Row { what, id, label, color, right: false, visible: true, stat, period };
                lines.push(Line { row, shown: Shown::Metric(source.clone()) });
            }
        }
    }
    let minutes = settings.period.as_secs() * i64::from(settings.evaluation_periods) / 60;
    let label = format!(
        "{}: {} {} {} for {} datapoints within {minutes} minute{}",
        alarm.name,
        watched,
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
    let seconds = |time: Time| time.as_micros() as f64 / 1e6;
    match &line.shown {
        Shown::Metric(source) => {
            let buckets = query::buckets(cx, source, from.floor(source.period), to).into_iter();
            buckets
                .filter_map(|point| Some((seconds(point.start), source.statistic.of(&point.set)?)))
                .collect()
        }
        Shown::Answer(answer) => {
            let points = answer.points.iter().filter(|(time, _)| *time < to);
            points.map(|(time, value)| (seconds(*time), *value)).collect()
        }
    }
}

/// What the legend tells of each line: the metric's name, and what else tells it from the others.
fn labels(lines: &[Line]) -> Vec<String> {
    let metrics: Vec<&Source> = lines.iter().filter_map(Line::metric).collect();
    let differs = |of: &dyn Fn(&Source) -> String| {
        let mut all = metrics.iter().map(|source| of(source));
        let first = all.next();
        all.any(|other| Some(other) != first)
    };
    let dimensions = |source: &Source| {
        // Values that all lines share tell nothing.
        let shared =
            |pair: &(String, String)| metrics.iter().all(|other| other.metric.dimensions.contains(pair));
        let own = source.metric.dimensions.iter().filter(|pair| !shared(pair));
        own.map(|(_, value)| value.clone()).collect::<Vec<_>>().join(" ")
    };
    let names = differs(&|source| source.metric.name.clone());
    let stats = differs(&|source| source.statistic.name().to_owned());
    let label = |line: &Line| {
        let source = match &line.shown {
            Shown::Metric(source) => source,
            Shown::Answer(answer) => return answer.label.clone(),
        };
        let own = dimensions(source);
        let mut parts = Vec::new();
        if !own.is_empty() {
            parts.push(own);
        }
        if names || parts.is_empty() {
            parts.push(source.metric.name.clone());
        }
        if stats {
            parts.push(source.statistic.name().to_owned());
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
