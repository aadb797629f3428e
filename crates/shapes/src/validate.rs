//! Holding a value against its schema: presence, lengths, ranges, patterns, enums.

use crate::{Kind, Schema, Value};

/// A constraint that a request breaks, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Where, in the model's notation: `tags.1.member.key`.
    pub path: String,
    /// What stands there, as text; `None` for a member that is missing.
    pub value: Option<String>,
    pub constraint: Constraint,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    Enum(&'static [&'static str]),
    MaxLength(i64),
    MaxValue(i64),
    MinLength(i64),
    MinValue(i64),
    Pattern(&'static str),
    Required,
}

/// Every constraint of `schema` that `value` breaks, in the order of the members.
pub fn check(schema: &'static Schema, value: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    walk(schema, value, &mut String::new(), &mut found);
    found
}

fn walk(schema: &'static Schema, value: &Value, path: &mut String, found: &mut Vec<Violation>) {
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            for (index, member) in members.iter().enumerate() {
                let mark = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(member.wire);
                match values.get(index).and_then(Option::as_ref) {
                    Some(value) => walk(member.schema, value, path, found),
                    None if member.required => {
                        found.push(Violation {
                            path: path.clone(),
                            value: None,
                            constraint: Constraint::Required,
                        });
                    }
                    None => {}
                }
                path.truncate(mark);
            }
        }
        (Kind::List { member, min, max, .. }, Value::List(items)) => {
            bounds(length(items.len()), *min, *max, true, || shown(value), path, found);
            for (index, item) in items.iter().enumerate() {
                let mark = path.len();
                path.push_str(&format!(".{}.member", index + 1));
                walk(member, item, path, found);
                path.truncate(mark);
            }
        }
        (Kind::Map { key, value: item_schema, .. }, Value::Map(items)) => {
            for (name, item) in items {
                let mark = path.len();
                path.push('.');
                path.push_str(name);
                walk(key, &Value::Text(name.clone()), path, found);
                walk(item_schema, item, path, found);
                path.truncate(mark);
            }
        }
        (Kind::Text { min, max, pattern, values }, Value::Text(text)) => {
            if !values.is_empty() && !values.contains(&text.as_str()) {
                found.push(Violation {
                    path: path.clone(),
                    value: Some(text.clone()),
                    constraint: Constraint::Enum(values),
                });
                return;
            }
            bounds(length(text.chars().count()), *min, *max, true, || text.clone(), path, found);
            if !pattern.is_empty() && !matches(pattern, text) {
                found.push(Violation {
                    path: path.clone(),
                    value: Some(text.clone()),
                    constraint: Constraint::Pattern(pattern),
                });
            }
        }
        (Kind::Blob { min, max }, Value::Blob(bytes)) => {
            bounds(
                length(bytes.len()),
                *min,
                *max,
                true,
                || "java.nio.HeapByteBuffer".to_owned(),
                path,
                found,
            );
        }
        (Kind::Int { min, max, .. }, Value::Int(number)) => {
            bounds(*number, *min, *max, false, || number.to_string(), path, found);
        }
        (Kind::Float { min, max }, Value::Float(number)) => {
            // A published constraint on a published float; the comparison decides only what is refused.
            let low = min.filter(|min| *number < *min as f64).map(Constraint::MinValue);
            let high = max.filter(|max| *number > *max as f64).map(Constraint::MaxValue);
            if let Some(constraint) = low.or(high) {
                found.push(Violation { path: path.clone(), value: Some(number.to_string()), constraint });
            }
        }
        _ => {}
    }
}

fn bounds(
    size: i64,
    min: Option<i64>,
    max: Option<i64>,
    is_length: bool,
    text: impl Fn() -> String,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let constraint = match (min, max) {
        (Some(min), _) if size < min && is_length => Constraint::MinLength(min),
        (Some(min), _) if size < min => Constraint::MinValue(min),
        (_, Some(max)) if size > max && is_length => Constraint::MaxLength(max),
        (_, Some(max)) if size > max => Constraint::MaxValue(max),
        _ => return,
    };
    found.push(Violation { path: path.to_owned(), value: Some(text()), constraint });
}

/// A value as AWS prints it inside a constraint message: `[a, b]` for lists.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// Whether the whole of `text` matches. A pattern that the engine cannot read (look-around, Java classes) constrains
/// nothing; the generator leaves those out, and a test holds it to that.
fn matches(pattern: &'static str, text: &str) -> bool {
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).map_or(true, |regex| regex.is_match(text))
}
