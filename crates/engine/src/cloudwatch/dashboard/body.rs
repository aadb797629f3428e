//! The check of a dashboard's body (CloudWatch API reference, Dashboard-Body-Structure; spec cloudwatch.md §5).

use capstan_model::Time;
use serde_json::Value as Json;

use super::super::findings::{Findings, Node};
use super::super::widget::{self, Moment};

const WIDGETS_MAX: usize = 500;
const VARIABLES_MAX: usize = 25;
const ALARMS_MAX: usize = 100;

/// What is wrong with the body.
pub(super) fn check(now: Time, body: &Json) -> Findings {
    let mut findings = Findings::default();
    let root = Node::root(body);
    if root.object(&mut findings).is_none() {
        return findings;
    }
    root.known(&["widgets", "variables", "start", "end", "periodOverride"], &mut findings);
    for (index, widget) in list(root.required("widgets", &mut findings), WIDGETS_MAX, &mut findings) {
        let _ = index;
        check_widget(now, &widget, &mut findings);
    }
    for (_, variable) in list(root.member("variables"), VARIABLES_MAX, &mut findings) {
        check_variable(&variable, &mut findings);
    }
    if let Some(period) = root.member("periodOverride") {
        period.one_of(&["auto", "inherit"], &mut findings);
    }
    let (start, end) = (root.member("start"), root.member("end"));
    if start.is_none() && end.is_some() {
        findings.error("", "Should have property start when property end is present");
    }
    for moment in [start, end].into_iter().flatten() {
        Moment::read(&moment, now, &mut findings);
    }
    findings
}

fn list<'a>(node: Option<Node<'a>>, max: usize, findings: &mut Findings) -> Vec<(usize, Node<'a>)> {
    node.map(|node| node.items(max, findings)).unwrap_or_default().into_iter().enumerate().collect()
}

fn check_widget(now: Time, node: &Node<'_>, findings: &mut Findings) {
    if node.object(findings).is_none() {
        return;
    }
    node.known(&["type", "x", "y", "width", "height", "properties"], findings);
    let kind = node.required("type", findings);
    let kind = kind.and_then(|kind| kind.one_of(&["metric", "text", "log", "alarm", "explorer"], findings));
    let (x, y) = (node.member("x"), node.member("y"));
    if x.is_some() != y.is_some() {
        let (has, lacks) = if x.is_some() { ("x", "y") } else { ("y", "x") };
        findings.error(&node.path, format!("Should have property {lacks} when property {has} is present"));
    }
    for (member, from, to) in [(x, 0, 23), (y, 0, i64::MAX)] {
        member.map(|member| member.integer(from, to, findings));
    }
    for (name, to) in [("width", 24), ("height", 1_000)] {
        node.member(name).map(|member| member.integer(1, to, findings));
    }
    let Some(properties) = node.required("properties", findings) else { return };
    if properties.object(findings).is_none() {
        return;
    }
    match kind {
        Some("metric") => check_metric(now, &properties, findings),
        Some("text") => {
            properties.known(&["markdown", "background"], findings);
            properties.required("markdown", findings).map(|markdown| markdown.text(findings));
        }
        Some("log") => {
            properties.known(
                &["region", "title", "query", "view", "stacked", "timezone", "accountId", "queryLanguage"],
                findings,
            );
            for name in ["region", "query"] {
                properties.required(name, findings).map(|member| member.text(findings));
            }
            if let Some(view) = properties.member("view") {
                view.one_of(&["table", "timeSeries", "bar", "pie"], findings);
            }
        }
        Some("alarm") => {
            properties.known(&["title", "alarms", "sortBy", "states"], findings);
            for (_, arn) in list(properties.required("alarms", findings), ALARMS_MAX, findings) {
                arn.text(findings);
            }
            if let Some(by) = properties.member("sortBy") {
                by.one_of(&["default", "stateUpdatedTimestamp", "timestamp"], findings);
            }
            for (_, state) in list(properties.member("states"), 3, findings) {
                state.one_of(&["OK", "ALARM", "INSUFFICIENT_DATA"], findings);
            }
        }
        // Explorers show what is tagged; their form is loose.
        _ => {}
    }
}

fn check_metric(now: Time, properties: &Node<'_>, findings: &mut Findings) {
    properties.required("region", findings).map(|region| region.text(findings));
    if properties.member("metrics").is_none() && properties.member("annotations").is_none() {
        findings.error(&properties.path, "Should have required property 'metrics'");
    }
    widget::read(now, properties, findings);
    let gauge = properties.member("view").is_some_and(|view| view.value == "gauge");
    if gauge {
        let left = properties.member("yAxis").and_then(|axis| axis.member("left"));
        match left {
            Some(left) => {
                ["min", "max"].map(|end| left.required(end, findings).is_some()).into_iter().for_each(drop)
            }
            None => findings
                .error(&properties.path, "Should have required property 'yAxis.left' when view is gauge"),
        }
    }
}

fn check_variable(node: &Node<'_>, findings: &mut Findings) {
    if node.object(findings).is_none() {
        return;
    }
    node.known(
        &[
            "type",
            "property",
            "pattern",
            "inputType",
            "id",
            "label",
            "values",
            "search",
            "populateFrom",
            "defaultValue",
            "visible",
        ],
        findings,
    );
    let kind =
        node.required("type", findings).and_then(|kind| kind.one_of(&["property", "pattern"], findings));
    if let Some(kind) = kind {
        node.required(kind, findings).map(|member| member.text(findings));
    }
    if let Some(input) = node.required("inputType", findings) {
        input.one_of(&["input", "select", "radio"], findings);
    }
    node.required("id", findings).map(|id| id.text(findings));
    if node.member("search").is_some() {
        node.required("populateFrom", findings).map(|from| from.text(findings));
    }
    if let Some(visible) = node.member("visible") {
        visible.flag(findings);
    }
}
