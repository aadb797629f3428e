//! What a target gets of an event: all of it, a constant, a part, or a text made of its parts (EventBridge guide,
//! eb-transform-target-input).

use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::events as shapes;
use serde_json::{Value as Json, json};

/// What is known beside the event: the reserved variables of templates.
pub(super) struct Context<'a> {
    pub(super) rule_arn: &'a str,
    pub(super) rule_name: &'a str,
    /// When EventBridge got the event.
    pub(super) ingested_at: Time,
}

/// The payload for a target.
pub(super) fn render(target: &shapes::Target, event: &Json, context: &Context<'_>) -> String {
    if let Some(input) = &target.input {
        return input.clone();
    }
    if let Some(path) = &target.input_path {
        let found = Path::parse(path).and_then(|path| path.find(event));
        return found.unwrap_or(Json::Null).to_string();
    }
    match &target.input_transformer {
        Some(transformer) => transform(transformer, event, context),
        None => event.to_string(),
    }
}

/// Why a target's input is refused.
pub(super) fn check(target: &shapes::Target) -> Result<(), String> {
    let id = &target.id;
    let given = [target.input.is_some(), target.input_path.is_some(), target.input_transformer.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(format!(
            "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        ));
    }
    if let Some(input) = &target.input
        && serde_json::from_str::<Json>(input).is_err()
    {
        return Err(format!("JSON syntax error in input for target {id}"));
    }
    if let Some(path) = &target.input_path
        && Path::parse(path).is_none()
    {
        return Err(format!("Invalid InputPath for target {id}."));
    }
    let Some(transformer) = &target.input_transformer else { return Ok(()) };
    let paths = transformer.input_paths_map.clone().unwrap_or_default();
    for (name, path) in &paths {
        if name.to_lowercase().starts_with("aws.") {
            return Err(format!(
                "Invalid InputPathsMap for target {id}: the key {name} begins with AWS, which is reserved."
            ));
        }
        if Path::parse(path).is_none() {
            return Err(format!("Invalid InputPathsMap for target {id}: {path} is not a JSON path."));
        }
    }
    let mut fault = None;
    let sample = fill(&transformer.input_template, &mut |name, quoted| {
        if !paths.contains_key(name) && !RESERVED.contains(&name) {
            fault = Some(format!("InputTemplate for target {id} contains invalid placeholder {name}."));
        } else if quoted && name == EVENT_JSON {
            fault = Some(format!(
                "InputTemplate for target {id} uses <{EVENT_JSON}> inside quotes; it is a JSON value."
            ));
        }
        (if quoted { "x" } else { "1" }).to_owned()
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let is_json = serde_json::Deserializer::from_str(&sample).into_iter::<Json>().all(|part| part.is_ok());
    if is_json {
        Ok(())
    } else {
        Err(format!("Invalid InputTemplate for target {id}: it is neither JSON nor quoted text."))
    }
}

const RULE_ARN: &str = "aws.events.rule-arn";
const RULE_NAME: &str = "aws.events.rule-name";
const INGESTION_TIME: &str = "aws.events.event.ingestion-time";
/// The event without its detail.
const EVENT: &str = "aws.events.event";
const EVENT_JSON: &str = "aws.events.event.json";
const RESERVED: [&str; 5] = [RULE_ARN, RULE_NAME, INGESTION_TIME, EVENT, EVENT_JSON];

fn transform(transformer: &shapes::InputTransformer, event: &Json, context: &Context<'_>) -> String {
    let none = BTreeMap::new();
    let paths = transformer.input_paths_map.as_ref().unwrap_or(&none);
    fill(&transformer.input_template, &mut |name, quoted| {
        let value = match name {
            RULE_ARN => Some(json!(context.rule_arn)),
            RULE_NAME => Some(json!(context.rule_name)),
            INGESTION_TIME => Some(json!(context.ingested_at.iso_millis())),
            EVENT => {
                let mut event = event.clone();
                if let Some(members) = event.as_object_mut() {
                    members.shift_remove("detail");
                }
                Some(event)
            }
            EVENT_JSON => Some(event.clone()),
            _ => paths.get(name).and_then(|path| Path::parse(path)?.find(event)),
        };
        match value {
            None => String::new(),
            // Inside quotes a text stands as it is: EventBridge does not escape it.
            Some(Json::String(text)) if quoted => text,
            Some(value) => value.to_string(),
        }
    })
}

/// The template with each `<name>` replaced. `value` is told the name and whether it stands inside quotes.
fn fill(template: &str, value: &mut dyn FnMut(&str, bool) -> String) -> String {
    let mut filled = String::with_capacity(template.len());
    let (mut rest, mut quoted) = (template, false);
    while let Some(at) = rest.find(['<', '"', '\\']) {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('<')
            && let Some((name, after)) = after.split_once('>')
            && is_name(name)
        {
            filled.push_str(&value(name, quoted));
            rest = after;
            continue;
        }
        let escape = quoted && rest.starts_with('\\');
        quoted ^= rest.starts_with('"');
        let len = if escape { 1 + rest[1..].chars().next().map_or(0, char::len_utf8) } else { 1 };
        filled.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    filled.push_str(rest);
    filled
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '$' | '@'))
}

/// A JSON path as EventBridge takes it: `$`, `$.detail.a-b`, `$.resources[0]`, `$.detail['x y']`, `$.a[*].b`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    All,
}

impl Path {
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                match name {
                    "" => return None,
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Member(name.to_owned())),
                }
                rest = &after[end..];
            } else {
                let after = rest.strip_prefix('[')?;
                let (inside, after) = match after.chars().next()? {
                    quote @ ('\'' | '"') => {
                        let (name, after) = after[1..].split_once(quote)?;
                        (Step::Member(name.to_owned()), after.strip_prefix(']')?)
                    }
                    _ => {
                        let (inside, after) = after.split_once(']')?;
                        let step = if inside == "*" { Step::All } else { Step::Item(inside.parse().ok()?) };
                        (step, after)
                    }
                };
                steps.push(inside);
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// What stands there; a path with a wildcard gives an array of all.
    fn find(&self, value: &Json) -> Option<Json> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found
                .into_iter()
                .flat_map(|value| match step {
                    Step::Member(name) => value.get(name).into_iter().collect::<Vec<_>>(),
                    Step::Item(index) => value.get(index).into_iter().collect(),
                    Step::All => match value {
                        Json::Array(items) => items.iter().collect(),
                        Json::Object(members) => members.values().collect(),
                        _ => Vec::new(),
                    },
                })
                .collect();
        }
        if self.0.contains(&Step::All) {
            return Some(found.into_iter().cloned().collect());
        }
        found.first().map(|value| (*value).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Json {
        json!({
            "version": "0",
            "source": "aws.ec2",
            "resources": ["arn:1", "arn:2"],
            "detail": { "instance-id": "i-1", "state": "running", "n": 5, "tags": { "a": "x \"y\"" }, "none": null,
                        "list": [{ "k": 1 }, { "k": 2 }] },
        })
    }

    fn rendered(target: shapes::Target) -> String {
        let context = Context { rule_arn: "arn:rule", rule_name: "rule", ingested_at: Time::from_secs(0) };
        render(&target, &event(), &context)
    }

    #[test]
    fn parts_of_the_event() {
        let check = |path: &str, expect: &str| {
            let target = shapes::Target { input_path: Some(path.to_owned()), ..Default::default() };
            assert_eq!(rendered(target), expect, "{path}");
        };
        check("$", &event().to_string());
        check("$.source", "\"aws.ec2\"");
        check("$.detail.instance-id", "\"i-1\"");
        check("$.detail['instance-id']", "\"i-1\"");
        check("$.resources[1]", "\"arn:2\"");
        check("$.resources[7]", "null");
        check("$.detail.nothing", "null");
        check("$.detail.list[*].k", "[1,2]");
        check("$.detail.tags", "{\"a\":\"x \\\"y\\\"\"}");
    }

    #[test]
    fn templates() {
        let check = |template: &str, expect: &str| {
            let paths = [
                ("id", "$.detail.instance-id"),
                ("state", "$.detail.state"),
                ("n", "$.detail.n"),
                ("tags", "$.detail.tags"),
                ("text", "$.detail.tags.a"),
                ("missing", "$.detail.missing"),
            ];
            let paths = paths.map(|(name, path)| (name.to_owned(), path.to_owned()));
            let transformer = shapes::InputTransformer {
                input_paths_map: Some(BTreeMap::from(paths)),
                input_template: template.to_owned(),
            };
            let target = shapes::Target { input_transformer: Some(transformer), ..Default::default() };
            assert_eq!(check(&target), Ok(()), "{template}");
            assert_eq!(rendered(target), expect, "{template}");
        };
        check("\"<id> is <state>\"", "\"i-1 is running\"");
        check("\"<id> is <state>\"\n\"and <n>\"", "\"i-1 is running\"\n\"and 5\"");
        check(
            r#"{"id": <id>, "n": <n>, "tags": <tags>}"#,
            r#"{"id": "i-1", "n": 5, "tags": {"a":"x \"y\""}}"#,
        );
        check(r#"{"is":"<id>: <n>"}"#, r#"{"is":"i-1: 5"}"#);
        check(r#"{"is":"<text>"}"#, r#"{"is":"x "y""}"#);
        check(r#"{"is":"\"<id>\" <"}"#, r#"{"is":"\"i-1\" <"}"#);
        check(r#"{"is":"<missing>"}"#, r#"{"is":""}"#);
        check(
            r#"{"rule": <aws.events.rule-arn>, "of":"<aws.events.rule-name>"}"#,
            r#"{"rule": "arn:rule", "of":"rule"}"#,
        );
        check("<aws.events.event.ingestion-time>", "\"1970-01-01T00:00:00.000Z\"");
        check("<aws.events.event>", r#"{"version":"0","source":"aws.ec2","resources":["arn:1","arn:2"]}"#);
        check("{\"all\":<aws.events.event.json>}", &format!("{{\"all\":{}}}", event()));
    }

    #[test]
    fn inputs_that_are_refused() {
        let check = |target: shapes::Target, expect: &str| {
            let why = check(&target).err().unwrap_or_default();
            assert!(why.starts_with(expect), "{target:?}: {why}");
        };
        let base = || shapes::Target { id: "t".to_owned(), ..Default::default() };
        let input = |text: &str| shapes::Target { input: Some(text.to_owned()), ..base() };
        check(input("{"), "JSON syntax error in input for target t");
        check(shapes::Target { input_path: Some("$".into()), ..input("{}") }, "Only one of Input");
        for path in ["", "detail", "$detail", "$.", "$.a[", "$.a[x]", "$['a"] {
            check(
                shapes::Target { input_path: Some(path.into()), ..base() },
                "Invalid InputPath for target t.",
            );
        }
        let template = |text: &str| {
            let transformer =
                shapes::InputTransformer { input_template: text.to_owned(), ..Default::default() };
            shapes::Target { input_transformer: Some(transformer), ..base() }
        };
        check(template("no quotes"), "Invalid InputTemplate for target t");
        check(template("\"<who>\""), "InputTemplate for target t contains invalid placeholder who.");
        check(template("\"<aws.events.event.json>\""), "InputTemplate for target t uses");
    }
}
