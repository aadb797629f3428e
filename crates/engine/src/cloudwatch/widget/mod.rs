//! Metric widgets: the JSON that dashboards hold and GetMetricWidgetImage takes (CloudWatch API reference,
//! Dashboard-Body-Structure and CloudWatch-Metric-Widget-Structure).

mod image;
mod moment;

use std::collections::BTreeSet;

use capstan_model::Time;
use capstan_report::{Axis, Color, Fill, Horizontal, Legend, Theme, Vertical, VerticalFill, View};
use serde_json::Value as Json;

use super::findings::{Findings, Node};
use super::query;
use super::rows::MetricId;
use super::statistic::Statistic;

pub(super) use image::image;
pub(super) use moment::Moment;

const METRICS_MAX: usize = 500;
const ANNOTATIONS_MAX: usize = 100;
/// Pixels of an image along each side (CloudWatch API reference, metric widget structure).
const SIDE_MAX: i64 = 2_000;
const WIDTH: u32 = 600;
const HEIGHT: u32 = 400;

const MEMBERS: [&str; 24] = [
    "accountId",
    "annotations",
    "end",
    "height",
    "legend",
    "liveData",
    "metrics",
    "period",
    "region",
    "setPeriodToTimeRange",
    "singleValueFullPrecision",
    "sparkline",
    "stacked",
    "start",
    "stat",
    "table",
    "theme",
    "timezone",
    "title",
    "trend",
    "view",
    "width",
    "yAxis",
    "labels",
];

/// A metric widget.
#[derive(Clone, Debug)]
pub(super) struct Widget {
    width: u32,
    height: u32,
    title: String,
    view: View,
    stacked: bool,
    /// Seconds.
    period: i64,
    stat: String,
    start: Option<Time>,
    end: Option<Time>,
    /// Minutes ahead of UTC.
    timezone: i32,
    rows: Vec<Row>,
    left: Axis,
    right: Axis,
    horizontal: Vec<Horizontal>,
    vertical: Vec<Vertical>,
    /// ARNs of alarms whose thresholds are shown.
    alarms: Vec<String>,
    legend: Legend,
    theme: Theme,
}

/// What a row of `metrics` shows.
#[derive(Clone, Debug)]
enum What {
    Metric(MetricId),
    /// Metric math.
    Expression(String),
}

/// A row of `metrics`.
#[derive(Clone, Debug)]
struct Row {
    what: What,
    /// By which expressions name it.
    id: Option<String>,
    label: Option<String>,
    color: Option<Color>,
    right: bool,
    visible: bool,
    stat: Option<String>,
    period: Option<i64>,
}

/// Reads the properties of a metric widget, and notes what is wrong with them.
pub(super) fn read(now: Time, node: &Node<'_>, findings: &mut Findings) -> Widget {
    node.known(&MEMBERS, findings);
    let side = |name: &str, default: u32, findings: &mut Findings| {
        let given = node.member(name).and_then(|side| side.integer(1, SIDE_MAX, findings));
        given.and_then(|side| u32::try_from(side).ok()).unwrap_or(default)
    };
    let (width, height) = (side("width", WIDTH, findings), side("height", HEIGHT, findings));
    let mut text = |name: &str| node.member(name).and_then(|member| member.text(findings)).map(str::to_owned);
    let title = text("title").unwrap_or_default();
    for ignored in ["region", "accountId"] {
        text(ignored);
    }
    let stat = stat(node, findings).unwrap_or_else(|| "Average".to_owned());
    let view = node.member("view").and_then(|view| {
        view.one_of(&["timeSeries", "singleValue", "gauge", "bar", "pie", "table"], findings)
    });
    let view = match view {
        Some("singleValue") => View::SingleValue,
        Some("gauge") => View::Gauge,
        Some("bar") => View::Bar,
        Some("pie") => View::Pie,
        Some("table") => View::Table,
        _ => View::Lines,
    };
    let theme = node.member("theme").and_then(|theme| theme.one_of(&["light", "dark"], findings));
    let position = node.member("legend").and_then(|legend| legend.member("position"));
    let position = position.and_then(|place| place.one_of(&["right", "bottom", "hidden"], findings));
    let axes = node.member("yAxis");
    let mut side = |name| axis(axes.as_ref().and_then(|axes| axes.member(name)), findings);
    let (left, right) = (side("left"), side("right"));
    let mut widget = Widget {
        width,
        height,
        title,
        view,
        stacked: node.member("stacked").and_then(|flag| flag.flag(findings)).unwrap_or(false),
        period: period(node, findings).unwrap_or(300),
        stat,
        start: node.member("start").and_then(|start| Moment::read(&start, now, findings)),
        end: node.member("end").and_then(|end| Moment::read(&end, now, findings)),
        timezone: timezone(node, findings),
        rows: node.member("metrics").map(|metrics| rows(&metrics, findings)).unwrap_or_default(),
        left,
        right,
        horizontal: Vec::new(),
        vertical: Vec::new(),
        alarms: Vec::new(),
        legend: match position {
            Some("right") => Legend::Right,
            Some("hidden") => Legend::Hidden,
            _ => Legend::Bottom,
        },
        theme: if theme == Some("dark") { Theme::Dark } else { Theme::Light },
    };
    if let Some(annotations) = node.member("annotations") {
        annotate(&mut widget, &annotations, findings);
    }
    widget
}

fn stat(node: &Node<'_>, findings: &mut Findings) -> Option<String> {
    let stat = node.member("stat")?;
    let text = stat.text(findings)?;
    if Statistic::parse(text).is_none() {
        findings.error(&stat.path, format!("The statistic {text} is not supported"));
        return None;
    }
    Some(text.to_owned())
}

fn period(node: &Node<'_>, findings: &mut Findings) -> Option<i64> {
    let period = node.member("period")?;
    let secs = period.integer(1, i64::from(i32::MAX), findings)?;
    if i32::try_from(secs).ok().and_then(query::period).is_none() {
        findings.error(&period.path, "Should be 1, 5, 10, 20, 30 or a multiple of 60");
        return None;
    }
    Some(secs)
}

/// `+0130` in minutes.
fn timezone(node: &Node<'_>, findings: &mut Findings) -> i32 {
    let Some(zone) = node.member("timezone") else { return 0 };
    let Some(text) = zone.text(findings) else { return 0 };
    let digits = |from: usize| text.get(from..from + 2).and_then(|part| part.parse::<i32>().ok());
    let signed = text.starts_with(['+', '-']) && text.len() == 5;
    match (digits(1), digits(3)) {
        (Some(hours @ 0..=14), Some(minutes @ 0..=59)) if signed => {
            let ahead = hours * 60 + minutes;
            if text.starts_with('-') { -ahead } else { ahead }
        }
        _ => {
            findings.error(&zone.path, "Should match pattern ^[+-]\\d{4}$");
            0
        }
    }
}

fn axis(node: Option<Node<'_>>, findings: &mut Findings) -> Axis {
    let Some(node) = node else { return Axis::default() };
    node.known(&["min", "max", "label", "showUnits"], findings);
    let mut end = |name| node.member(name).and_then(|end| end.number(findings));
    let (min, max) = (end("min"), end("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min >= max
    {
        findings.error(&node.path, "Should have a max that is greater than min");
    }
    let label = node.member("label").and_then(|label| label.text(findings)).map(str::to_owned);
    Axis { min, max, label }
}

fn rows(node: &Node<'_>, findings: &mut Findings) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut above: Vec<String> = Vec::new();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for row in node.items(METRICS_MAX, findings) {
        let items = row.items(2 + 2 * 30 + 1, findings);
        let mut names = Vec::new();
        let mut options = None;
        for item in &items {
            match item.value {
                Json::String(text) => names.push(text.clone()),
                Json::Object(_) if options.is_none() => options = Some(item.clone()),
                _ => findings.error(&item.path, "Should be string or object"),
            }
        }
        let names = written_out(&above, names);
        let expression = options
            .as_ref()
            .and_then(|options| options.member("expression"))
            .and_then(|expression| expression.text(findings));
        let what = match (expression, &names[..]) {
            (Some(expression), []) => What::Expression(expression.to_owned()),
            (None, [namespace, name, dimensions @ ..]) if dimensions.len() % 2 == 0 => {
                let dimensions: Vec<(&str, &str)> =
                    dimensions.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1])).collect();
                What::Metric(MetricId::new(namespace, name, &dimensions))
            }
            _ => {
                findings.error(
                    &row.path,
                    "Should be a namespace, a metric name and pairs of dimension names and values, or an expression",
                );
                continue;
            }
        };
        if expression.is_none() {
            above = names;
        }
        rows.push(with_options(what, options, &mut ids, findings));
    }
    rows
}

fn with_options(
    what: What,
    options: Option<Node<'_>>,
    ids: &mut BTreeSet<String>,
    findings: &mut Findings,
) -> Row {
    let mut row = Row {
        what,
        id: None,
        label: None,
        color: None,
        right: false,
        visible: true,
        stat: None,
        period: None,
    };
    let Some(options) = options else { return row };
    options.known(
        &["accountId", "color", "expression", "id", "label", "period", "region", "stat", "visible", "yAxis"],
        findings,
    );
    if let Some(id) = options.member("id")
        && let Some(text) = id.text(findings)
    {
        if query::check_id("", text).is_err() {
            findings.error(&id.path, "Should match pattern ^[a-z][a-zA-Z0-9_]*$");
        } else if !ids.insert(text.to_owned()) {
            findings.error(&id.path, format!("The id {text} is there already"));
        } else {
            row.id = Some(text.to_owned());
        }
    }
    row.label = options.member("label").and_then(|label| label.text(findings)).map(str::to_owned);
    row.color = color(&options, findings);
    let axis = options.member("yAxis").and_then(|axis| axis.one_of(&["left", "right"], findings));
    row.right = axis == Some("right");
    row.visible = options.member("visible").and_then(|flag| flag.flag(findings)).unwrap_or(true);
    row.stat = stat(&options, findings);
    row.period = period(&options, findings);
    row
}

/// `.` repeats what stands there in the row above; `...` repeats as much of it as is left out.
fn written_out(above: &[String], names: Vec<String>) -> Vec<String> {
    let shorthand = names.iter().position(|name| name == "...");
    let mut whole: Vec<String> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if Some(index) == shorthand {
            let after = names.len() - index - 1;
            let until = above.len().saturating_sub(after);
            whole.extend(above.iter().take(until).skip(whole.len()).cloned());
        } else if name == "."
            && let Some(same) = above.get(whole.len())
        {
            whole.push(same.clone());
        } else {
            whole.push(name.clone());
        }
    }
    whole
}

fn color(node: &Node<'_>, findings: &mut Findings) -> Option<Color> {
    let color = node.member("color")?;
    let text = color.text(findings)?;
    let parsed = Color::parse(text);
    if parsed.is_none() {
        findings.warn(&color.path, "Should match pattern ^#[0-9A-Fa-f]{6}$");
    }
    parsed
}

fn annotate(widget: &mut Widget, node: &Node<'_>, findings: &mut Findings) {
    node.known(&["horizontal", "vertical", "alarms"], findings);
    let mut list = |name: &str| match node.member(name) {
        Some(list) => list.items(ANNOTATIONS_MAX, findings),
        None => Vec::new(),
    };
    let (horizontal, vertical, alarms) = (list("horizontal"), list("vertical"), list("alarms"));
    for item in horizontal {
        match pair(&item) {
            Some([first, second]) => {
                let (line, other) = (horizontal_line(&first, findings), horizontal_line(&second, findings));
                if let (Some(mut line), Some(other)) = (line, other) {
                    line.fill = Fill::Between(other.value);
                    let labels = [std::mem::take(&mut line.label), other.label];
                    line.label = labels.into_iter().find(|label| !label.is_empty()).unwrap_or_default();
                    line.color = line.color.or(other.color);
                    widget.horizontal.push(line);
                }
            }
            None => widget.horizontal.extend(horizontal_line(&item, findings)),
        }
    }
    for item in vertical {
        match pair(&item) {
            Some([first, second]) => {
                let (line, other) = (vertical_line(&first, findings), vertical_line(&second, findings));
                if let (Some(mut line), Some(other)) = (line, other) {
                    line.fill = VerticalFill::Between(other.x);
                    widget.vertical.push(line);
                    // The line at the band's end has a label of its own.
                    let fill = VerticalFill::None;
                    widget.vertical.extend((!other.label.is_empty()).then_some(Vertical { fill, ..other }));
                }
            }
            None => widget.vertical.extend(vertical_line(&item, findings)),
        }
    }
    widget.alarms = alarms.iter().filter_map(|arn| arn.text(findings)).map(str::to_owned).collect();
}

/// The two ends of a band.
fn pair<'a>(node: &Node<'a>) -> Option<[Node<'a>; 2]> {
    let items = node.value.as_array().filter(|items| items.len() == 2)?;
    let item = |index: usize| Node { path: format!("{}/{index}", node.path), value: &items[index] };
    Some([item(0), item(1)])
}

fn visible(node: &Node<'_>, findings: &mut Findings) -> bool {
    node.member("visible").and_then(|flag| flag.flag(findings)).unwrap_or(true)
}

fn label(node: &Node<'_>, findings: &mut Findings) -> String {
    node.member("label").and_then(|label| label.text(findings)).unwrap_or_default().to_owned()
}

fn horizontal_line(node: &Node<'_>, findings: &mut Findings) -> Option<Horizontal> {
    node.object(findings)?;
    node.known(&["value", "label", "color", "fill", "visible", "yAxis"], findings);
    let value = node.required("value", findings)?.number(findings)?;
    let fill =
        node.member("fill").and_then(|fill| fill.one_of(&["above", "below", "between", "none"], findings));
    let axis = node.member("yAxis").and_then(|axis| axis.one_of(&["left", "right"], findings));
    let line = Horizontal {
        value,
        label: label(node, findings),
        color: color(node, findings),
        fill: match fill {
            Some("above") => Fill::Above,
            Some("below") => Fill::Below,
            _ => Fill::None,
        },
        right: axis == Some("right"),
    };
    visible(node, findings).then_some(line)
}

fn vertical_line(node: &Node<'_>, findings: &mut Findings) -> Option<Vertical> {
    node.object(findings)?;
    node.known(&["value", "label", "color", "fill", "visible"], findings);
    let value = node.required("value", findings)?;
    let Some(time) = Time::parse_iso(value.text(findings)?) else {
        findings.error(&value.path, "Should be an ISO 8601 timestamp");
        return None;
    };
    let fill =
        node.member("fill").and_then(|fill| fill.one_of(&["before", "after", "between", "none"], findings));
    let line = Vertical {
        x: time.as_micros() as f64 / 1e6,
        label: label(node, findings),
        color: color(node, findings),
        fill: match fill {
            Some("before") => VerticalFill::Before,
            Some("after") => VerticalFill::After,
            _ => VerticalFill::None,
        },
    };
    visible(node, findings).then_some(line)
}
