//! Reading patterns, and the reasons for which they are refused.

use serde_json::{Map, Value as Json};

use super::cidr::Cidr;
use super::{Comparison, Field, Fields, Pattern, Test, TextTest};

/// At most so many combinations of `$or` alternatives (EventBridge guide, eb-create-pattern-operators).
const COMBINATIONS_MAX: u64 = 1_000;
/// Numbers beyond are not compared exactly: ±2^53 (EventBridge guide 2026).
const NUMBER_MAX: f64 = 9_007_199_254_740_992.0;

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

fn invalid<T>(why: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(why.into()))
}

pub(super) fn pattern(text: &str) -> Result<Pattern, Invalid> {
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(e) => return invalid(format!("The pattern is not JSON: {e}")),
    };
    let Json::Object(map) = json else { return invalid("Filter is not an object") };
    let root = fields(&map)?;
    match combinations(&root) {
        Some(count) if count <= COMBINATIONS_MAX => Ok(Pattern { root }),
        _ => invalid(format!(
            "The $or alternatives make more than {COMBINATIONS_MAX} combinations. Use several rules."
        )),
    }
}

fn fields(map: &Map<String, Json>) -> Result<Fields, Invalid> {
    if map.is_empty() {
        return invalid("Empty objects are not allowed");
    }
    let mut found = Fields::default();
    for (name, value) in map {
        let field = match value {
            Json::Array(items) if name == "$or" && is_either(items) => {
                found.either.push(either(items)?);
                continue;
            }
            Json::Object(map) => Field::Nested(fields(map)?),
            Json::Array(items) => Field::Leaf(leaf(items)?),
            _ => return invalid(format!("\"{name}\" must be an object or an array")),
        };
        found.named.push((name.clone(), field));
    }
    Ok(found)
}

/// A field of the event may itself be called `$or`: with values or one operator, it is that field.
fn is_either(items: &[Json]) -> bool {
    items.len() > 1 && items.iter().all(Json::is_object)
}

fn either(items: &[Json]) -> Result<Vec<Fields>, Invalid> {
    items.iter().filter_map(Json::as_object).map(fields).collect()
}

fn combinations(fields: &Fields) -> Option<u64> {
    let mut count: u64 = 1;
    for (_, field) in &fields.named {
        if let Field::Nested(nested) = field {
            count = count.checked_mul(combinations(nested)?)?;
        }
    }
    for either in &fields.either {
        let mut sum: u64 = 0;
        for alternative in either {
            sum = sum.checked_add(combinations(alternative)?)?;
        }
        count = count.checked_mul(sum)?;
    }
    Some(count)
}

fn leaf(items: &[Json]) -> Result<Vec<Test>, Invalid> {
    if items.is_empty() {
        return invalid("Empty arrays are not allowed");
    }
    items.iter().map(test).collect()
}

fn test(item: &Json) -> Result<Test, Invalid> {
    match item {
        Json::Object(map) => operator(map),
        Json::Array(_) => invalid("Match value must be String, number, true, false, or null"),
        value => Ok(Test::Equals(value.clone())),
    }
}

/// The one member of an operator's object.
fn only(map: &Map<String, Json>) -> Result<(&str, &Json), Invalid> {
    let mut members = map.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (None, _) => invalid("Match expression name not found"),
        (Some(_), Some(_)) => invalid("Only one key allowed in match expression"),
    }
}

fn operator(map: &Map<String, Json>) -> Result<Test, Invalid> {
    let (name, value) = only(map)?;
    match name {
        "anything-but" => anything_but(value),
        "cidr" => match value.as_str().map(Cidr::parse) {
            Some(Ok(cidr)) => Ok(Test::Cidr(cidr)),
            Some(Err(why)) => invalid(why),
            None => invalid("prefix match pattern must be a string"),
        },
        "equals-ignore-case" | "prefix" | "suffix" | "wildcard" => Ok(Test::Text(text_test(name, value)?)),
        "exists" => match value {
            Json::Bool(exists) => Ok(Test::Exists(*exists)),
            _ => invalid("exists match pattern must be either true or false."),
        },
        "numeric" => numeric(value),
        other => invalid(format!("Unrecognized match type {other}")),
    }
}

fn text_test(name: &str, value: &Json) -> Result<TextTest, Invalid> {
    match (name, value) {
        ("equals-ignore-case", Json::String(text)) => Ok(TextTest::EqualsIgnoringCase(text.to_lowercase())),
        ("prefix", Json::String(text)) => Ok(TextTest::Prefix(text.clone())),
        ("suffix", Json::String(text)) => Ok(TextTest::Suffix(text.clone())),
        ("wildcard", Json::String(text)) => Ok(TextTest::Wildcard(pieces(text)?)),
        ("prefix" | "suffix", Json::Object(map)) => match only(map)? {
            ("equals-ignore-case", Json::String(text)) => {
                let text = text.to_lowercase();
                Ok(if name == "prefix" {
                    TextTest::PrefixIgnoringCase(text)
                } else {
                    TextTest::SuffixIgnoringCase(text)
                })
            }
            ("equals-ignore-case", _) => invalid("equals-ignore-case match pattern must be a string"),
            (other, _) => invalid(format!("Unsupported {name} pattern: {other}")),
        },
        _ => invalid(format!("{name} match pattern must be a string")),
    }
}

/// The texts between the asterisks. `\*` is an asterisk and `\\` a backslash.
fn pieces(text: &str) -> Result<Vec<String>, Invalid> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars().enumerate();
    let mut after_asterisk = false;
    while let Some((at, c)) = chars.next() {
        if c == '*' {
            if after_asterisk {
                return invalid(format!("Consecutive wildcard characters at pos {}", at - 1));
            }
            pieces.push(String::new());
            after_asterisk = true;
            continue;
        }
        after_asterisk = false;
        let c = match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('*' | '\\'))) => escaped,
                _ => return invalid(format!("Invalid escape character at pos {at}")),
            },
            c => c,
        };
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    Ok(pieces)
}

fn anything_but(value: &Json) -> Result<Test, Invalid> {
    match value {
        Json::String(_) | Json::Number(_) => Ok(Test::Not(vec![Test::Equals(value.clone())])),
        Json::Array(items) => {
            if items.is_empty() {
                return invalid("Empty arrays are not allowed");
            }
            if let Some(other) = items.iter().find(|item| !item.is_string() && !item.is_number()) {
                return invalid(format!("Inside anything but list, {} is not supported.", kind(other)));
            }
            if items.iter().any(Json::is_string) && items.iter().any(Json::is_number) {
                return invalid(
                    "Inside anything but list, either all values are number or string, mixed type is not supported",
                );
            }
            Ok(Test::Not(items.iter().cloned().map(Test::Equals).collect()))
        }
        Json::Object(map) => {
            let (name, value) = only(map)?;
            if !matches!(name, "equals-ignore-case" | "prefix" | "suffix" | "wildcard") {
                return invalid(format!("Unsupported anything-but pattern: {name}"));
            }
            let tests = match value {
                Json::Array(items) if items.is_empty() => return invalid("Empty arrays are not allowed"),
                Json::Array(items) => items.iter().map(|item| text_test(name, item)).collect(),
                value => text_test(name, value).map(|test| vec![test]),
            };
            Ok(Test::Not(tests?.into_iter().map(Test::Text).collect()))
        }
        _ => invalid("Value of anything-but must be an array or single string/number value."),
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Array(_) => "array",
        _ => "start of object",
    }
}

fn numeric(value: &Json) -> Result<Test, Invalid> {
    let Json::Array(items) = value else { return invalid("Value of numeric must be an array.") };
    let mut bounds = Vec::new();
    let mut items = items.iter();
    while let Some(item) = items.next() {
        let Some(operator) = item.as_str() else {
            return invalid(format!("Invalid member in numeric match: {item}"));
        };
        let comparison = match operator {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            "=" => Comparison::Equal,
            ">=" => Comparison::GreaterOrEqual,
            ">" => Comparison::Greater,
            other => return invalid(format!("Unrecognized numeric range operator: {other}")),
        };
        let bound = items.next().filter(|item| item.is_number()).and_then(Json::as_f64);
        let Some(bound) = bound else { return invalid(format!("Value of {operator} must be numeric")) };
        if bound.abs() > NUMBER_MAX {
            return invalid("Value must be between -9007199254740992 and 9007199254740992, inclusive");
        }
        bounds.push((comparison, bound));
    }
    let is_lower = |(comparison, _): &(Comparison, f64)| {
        matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual)
    };
    let is_upper = |(comparison, _): &(Comparison, f64)| {
        matches!(comparison, Comparison::Less | Comparison::LessOrEqual)
    };
    match &bounds[..] {
        [] => invalid("Invalid member in numeric match: ]"),
        [_] => Ok(Test::Numeric(bounds)),
        [lower, upper] if is_lower(lower) && is_upper(upper) => {
            if lower.1 >= upper.1 {
                return invalid("Bottom must be less than top");
            }
            Ok(Test::Numeric(bounds))
        }
        [_, _] => invalid("Bad numeric range operator: a range is a lower bound and then an upper bound"),
        _ => invalid("Too many terms in numeric range expression"),
    }
}
