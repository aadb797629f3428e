//! Holding a value against its schema: presence, lengths, ranges, patterns, enums.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::{Kind, Member, Schema, Value};

/// A constraint that a request breaks, and where.
#[derive(Clone, Debug)]
pub struct Violation {
    /// From the request down to the value.
    pub path: Vec<Step>,
    /// What stands there, as text; `None` for a member that is missing.
    pub value: Option<String>,
    pub constraint: Constraint,
}

/// One step of the way to a value.
#[derive(Clone, Debug)]
pub enum Step {
    Member(&'static Member),
    /// Item of a list, counted from 1.
    Item(usize),
    Key(String),
}

#[derive(Clone, Debug)]
pub enum Constraint {
    Enum(&'static [&'static str]),
    /// An item of a list breaks a constraint of the items' schema; the value is the whole list.
    Items(&'static Schema),
    /// The same for a map's keys.
    Keys(&'static Schema),
    MaxLength(i64),
    MaxValue(i64),
    MinLength(i64),
    MinValue(i64),
    Pattern(&'static str),
    Required,
    /// As `Items`, for a map's values.
    Values(&'static Schema),
}

/// Every constraint of `schema` that `value` breaks, in the order of the members.
pub fn check(schema: &'static Schema, value: &Value) -> Vec<Violation> {
    let mut walk = Walk { path: Vec::new(), found: Vec::new() };
    walk.value(schema, value);
    walk.found
}

/// A [`Step`] that costs nothing to take.
#[derive(Clone, Copy)]
enum At<'a> {
    Member(&'static Member),
    Item(usize),
    Key(&'a str),
}

struct Walk<'a> {
    path: Vec<At<'a>>,
    found: Vec<Violation>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'static Schema, value: &'a Value) {
        for constraint in broken(schema, value).into_iter().flatten() {
            self.report(Some(shown(value)), constraint);
        }
        match (&schema.kind, value) {
            (Kind::Record { members }, Value::Record(values)) => {
                for (index, member) in members.iter().enumerate() {
                    self.path.push(At::Member(member));
                    match values.get(index).and_then(Option::as_ref) {
                        Some(value) => self.value(member.schema, value),
                        None if member.required => self.report(None, Constraint::Required),
                        None => {}
                    }
                    self.path.pop();
                }
            }
            (Kind::List { member, .. }, Value::List(items)) if is_scalar(member) => {
                let breaks = items.iter().any(|item| is_broken(&broken(member, item)));
                if breaks {
                    self.report(Some(shown(value)), Constraint::Items(member));
                }
            }
            (Kind::List { member, .. }, Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(At::Item(index + 1));
                    self.value(member, item);
                    self.path.pop();
                }
            }
            (Kind::Map { key, value: item_schema, .. }, Value::Map(items)) => {
                if items.keys().any(|name| is_broken(&broken_text(key, name))) {
                    self.report(Some(shown(value)), Constraint::Keys(key));
                }
                if is_scalar(item_schema) {
                    if items.values().any(|item| is_broken(&broken(item_schema, item))) {
                        self.report(Some(shown(value)), Constraint::Values(item_schema));
                    }
                    return;
                }
                for (name, item) in items {
                    self.path.push(At::Key(name));
                    self.value(item_schema, item);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    fn report(&mut self, value: Option<String>, constraint: Constraint) {
        let path = self.path.iter().map(|at| match *at {
            At::Member(member) => Step::Member(member),
            At::Item(number) => Step::Item(number),
            At::Key(name) => Step::Key(name.to_owned()),
        });
        self.found.push(Violation { path: path.collect(), value, constraint });
    }
}

fn is_scalar(schema: &Schema) -> bool {
    !matches!(schema.kind, Kind::List { .. } | Kind::Map { .. } | Kind::Record { .. })
}

/// Constraints that one value breaks: a text may break its pattern and its length, nothing breaks more than two.
type Broken = [Option<Constraint>; 2];

fn is_broken(constraints: &Broken) -> bool {
    constraints.iter().any(Option::is_some)
}

/// The constraints of the value itself that it breaks; what it contains is not looked at.
fn broken(schema: &'static Schema, value: &Value) -> Broken {
    let one = match (&schema.kind, value) {
        (Kind::Text { .. }, Value::Text(text)) => return broken_text(schema, text),
        (Kind::List { min, max, .. }, Value::List(items)) => length(items.len(), *min, *max),
        (Kind::Blob { min, max }, Value::Blob(bytes)) => length(bytes.len(), *min, *max),
        (Kind::Int { min, max, .. }, Value::Int(number)) => {
            let low = min.filter(|min| number < min).map(Constraint::MinValue);
            low.or_else(|| max.filter(|max| number > max).map(Constraint::MaxValue))
        }
        (Kind::Float { min, max }, Value::Float(number)) => {
            // A published constraint on a published float; the comparison decides only what is refused.
            let low = min.filter(|min| *number < *min as f64).map(Constraint::MinValue);
            low.or_else(|| max.filter(|max| *number > *max as f64).map(Constraint::MaxValue))
        }
        _ => None,
    };
    [one, None]
}

/// The pattern first, as AWS tells them.
fn broken_text(schema: &'static Schema, text: &str) -> Broken {
    let Kind::Text { min, max, pattern, values } = &schema.kind else { return [None, None] };
    if !values.is_empty() {
        return [(!values.contains(&text)).then_some(Constraint::Enum(values)), None];
    }
    let unlike = !pattern.is_empty() && !matches(pattern, text);
    let is_bounded = min.is_some() || max.is_some();
    let length = if is_bounded { length(text.chars().count(), *min, *max) } else { None };
    [unlike.then_some(Constraint::Pattern(pattern)), length]
}

fn length(size: usize, min: Option<i64>, max: Option<i64>) -> Option<Constraint> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let short = min.filter(|min| size < *min).map(Constraint::MinLength);
    short.or_else(|| max.filter(|max| size > *max).map(Constraint::MaxLength))
}

/// A value as AWS prints it inside a constraint message: `[a, b]` for lists, `{a=b}` for maps.
fn shown(value: &Value) -> String {
    match value {
        Value::Blob(_) => "java.nio.HeapByteBuffer".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Int(number) => number.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(items) => {
            let pairs = items.iter().map(|(key, item)| format!("{key}={}", shown(item)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Record(members) => {
            format!("[{}]", members.iter().flatten().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Text(text) => text.clone(),
        Value::Time(time) => time.iso_millis(),
    }
}

thread_local! {
    /// Each thread compiles a pattern once: no lock on the way of a request. `None` for one that cannot be read.
    static PATTERNS: RefCell<BTreeMap<&'static str, Option<Regex>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether the whole of `text` matches. A pattern that the engine cannot read (look-around, Java classes) constrains
/// nothing; the generator leaves those out, and a test holds it to that.
fn matches(pattern: &'static str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        let regex = patterns.entry(pattern).or_insert_with(|| Regex::new(&format!("^(?:{pattern})$")).ok());
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(schema: &'static Schema, depth: usize, found: &mut Vec<&'static str>) {
        if depth == 0 {
            return;
        }
        match &schema.kind {
            Kind::Text { pattern, .. } if !pattern.is_empty() => found.push(pattern),
            Kind::Record { members } => {
                members.iter().for_each(|member| patterns(member.schema, depth - 1, found));
            }
            Kind::List { member, .. } => patterns(member, depth - 1, found),
            Kind::Map { key, value, .. } => {
                patterns(key, depth - 1, found);
                patterns(value, depth - 1, found);
            }
            _ => {}
        }
    }

    #[test]
    fn every_pattern_can_be_read() {
        let mut found = Vec::new();
        for operation in crate::SERVICES.iter().flat_map(|service| service.operations) {
            patterns(operation.input, 12, &mut found);
        }
        for resource_type in crate::RESOURCE_TYPES {
            patterns(resource_type.properties, 12, &mut found);
        }
        assert!(!found.is_empty());
        found.retain(|pattern| Regex::new(&format!("^(?:{pattern})$")).is_err());
        assert!(found.is_empty(), "{found:#?}");
    }
}
