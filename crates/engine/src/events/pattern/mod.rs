//! Event patterns: what of an event a rule asks for (EventBridge guide, eb-create-pattern and its operators).
//!
//! Fields of a pattern are joined by AND, the items of a field's array by OR, and what a pattern does not name does not
//! matter. An array in the event counts as each of its items; several fields under an array of objects have to be met
//! by one and the same object.

mod cidr;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::{Number, Value as Json};

use cidr::Cidr;
pub(super) use parse::Invalid;

/// A pattern that has been read.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    root: Fields,
}

#[derive(Clone, Debug, Default)]
struct Fields {
    named: Vec<(String, Field)>,
    /// `$or`: one alternative of each list has to match.
    either: Vec<Vec<Self>>,
}

#[derive(Clone, Debug)]
enum Field {
    Nested(Fields),
    Leaf(Vec<Test>),
}

/// One item of a leaf's array.
#[derive(Clone, Debug)]
enum Test {
    /// The same text, number (as it is written: 300 is not 300.0), flag or null.
    Equals(Json),
    Text(TextTest),
    /// `anything-but`: none of them.
    Not(Vec<Self>),
    Numeric(Vec<(Comparison, f64)>),
    Cidr(Cidr),
    Exists(bool),
}

#[derive(Clone, Debug)]
enum TextTest {
    Prefix(String),
    Suffix(String),
    /// These three hold their text in lower case.
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    EqualsIgnoringCase(String),
    /// The texts between the asterisks.
    Wildcard(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A value of an event that is neither object nor array.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a Number),
    Text(&'a str),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        parse::pattern(text)
    }

    pub(crate) fn matches(&self, event: &Json) -> bool {
        self.root.matches(event, &[event])
    }

    /// Whether an event of that source and detail-type could match, whatever else it holds.
    pub(super) fn could_match(&self, source: &str, detail_type: &str) -> bool {
        self.root.could_match(&[("source", source), ("detail-type", detail_type)])
    }
}

impl Fields {
    /// `all`: every object that stands where `value` stands, when an array holds several.
    fn matches(&self, value: &Json, all: &[&Json]) -> bool {
        self.named.iter().all(|(name, field)| field.matches(value.get(name), name, all))
            && self.either.iter().all(|either| either.iter().any(|fields| fields.matches(value, all)))
    }

    fn could_match(&self, known: &[(&str, &str)]) -> bool {
        let leaf = |name: &str, field: &Field| match (known.iter().find(|(other, _)| *other == name), field) {
            (Some((_, text)), Field::Leaf(tests)) => tests.iter().any(|test| test.passes(Scalar::Text(text))),
            (Some(_), Field::Nested(_)) => false,
            (None, _) => true,
        };
        self.named.iter().all(|(name, field)| leaf(name, field))
            && self.either.iter().all(|either| either.iter().any(|fields| fields.could_match(known)))
    }
}

impl Field {
    fn matches(&self, value: Option<&Json>, name: &str, all: &[&Json]) -> bool {
        match self {
            Self::Nested(fields) => {
                let mut own = Vec::new();
                value.into_iter().for_each(|value| objects(value, &mut own));
                let mut others = Vec::new();
                all.iter()
                    .filter_map(|parent| parent.get(name))
                    .for_each(|value| objects(value, &mut others));
                // Where there is no object, only what shall not exist can match.
                if own.is_empty() {
                    return fields.matches(&Json::Null, &others);
                }
                own.into_iter().any(|object| fields.matches(object, &others))
            }
            Self::Leaf(tests) => {
                let mut own = Vec::new();
                value.into_iter().for_each(|value| scalars(value, &mut own));
                tests.iter().any(|test| match test {
                    Test::Exists(false) => {
                        let mut others = Vec::new();
                        all.iter()
                            .filter_map(|parent| parent.get(name))
                            .for_each(|value| scalars(value, &mut others));
                        others.is_empty()
                    }
                    _ => own.iter().any(|value| test.passes(*value)),
                })
            }
        }
    }
}

fn objects<'a>(value: &'a Json, found: &mut Vec<&'a Json>) {
    match value {
        Json::Object(_) => found.push(value),
        Json::Array(items) => items.iter().for_each(|item| objects(item, found)),
        _ => {}
    }
}

fn scalars<'a>(value: &'a Json, found: &mut Vec<Scalar<'a>>) {
    match value {
        Json::Object(_) => {}
        Json::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Json::Null => found.push(Scalar::Null),
        Json::Bool(flag) => found.push(Scalar::Bool(*flag)),
        Json::Number(number) => found.push(Scalar::Number(number)),
        Json::String(text) => found.push(Scalar::Text(text)),
    }
}

impl Test {
    fn passes(&self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Equals(Json::Null), Scalar::Null) => true,
            (Self::Equals(Json::Bool(a)), Scalar::Bool(b)) => *a == b,
            (Self::Equals(Json::Number(a)), Scalar::Number(b)) => a == b,
            (Self::Equals(Json::String(a)), Scalar::Text(b)) => a == b,
            (Self::Text(test), Scalar::Text(text)) => test.passes(text),
            (Self::Not(tests), _) => !tests.iter().any(|test| test.passes(value)),
            (Self::Numeric(bounds), Scalar::Number(number)) => {
                // EventBridge itself compares doubles.
                let holds =
                    |number: f64| bounds.iter().all(|(comparison, bound)| comparison.holds(number, *bound));
                number.as_f64().is_some_and(holds)
            }
            (Self::Cidr(cidr), Scalar::Text(text)) => cidr.contains(text),
            (Self::Exists(true), _) => true,
            _ => false,
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Equal => number == bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Greater => number > bound,
        }
    }
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::PrefixIgnoringCase(prefix) => text.to_lowercase().starts_with(prefix.as_str()),
            Self::SuffixIgnoringCase(suffix) => text.to_lowercase().ends_with(suffix.as_str()),
            Self::EqualsIgnoringCase(other) => text.to_lowercase() == *other,
            Self::Wildcard(pieces) => wildcard(pieces, text),
        }
    }
}

/// The first and the last piece stand at the ends, each other one at the first place where it is found.
fn wildcard(pieces: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece.as_str()) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last.as_str())
}
