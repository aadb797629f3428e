//! The tree that both notations are read into.

use serde_json::{Map, Number, Value as Json};

use crate::TemplateError;

/// Nesting that no template needs; deeper ones are refused before they can exhaust the stack.
pub(crate) const DEEPEST: usize = 100;

/// A value with the line it begins on, 1-based.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number whose text is the canonical one; every other spelling stays a text, so that `1.10` is not lost.
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A member of a map, in the template's order; keys are unique.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        Self { line, value: Value::Text(text.into()) }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The member of that name, of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// A scalar as the text that CloudFormation takes it for.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(bool) => Json::Bool(*bool),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// CloudFormation takes no null anywhere in a template.
    pub(crate) fn refuse_nulls(&self, path: &mut Vec<String>) -> Result<(), TemplateError> {
        let mut inside = |segment: String, node: &Self| {
            path.push(segment);
            let result = node.refuse_nulls(path);
            path.pop();
            result
        };
        match &self.value {
            Value::Null => {
                let place = path.iter().map(|segment| format!("/{segment}")).collect::<String>();
                let place = if place.is_empty() { "/".to_owned() } else { place };
                Err(TemplateError::whole(format!(
                    "[{place}] 'null' values are not allowed in templates (line {})",
                    self.line
                )))
            }
            Value::List(items) => {
                items.iter().enumerate().try_for_each(|(index, node)| inside(index.to_string(), node))
            }
            Value::Map(entries) => {
                entries.iter().try_for_each(|entry| inside(entry.key.clone(), &entry.node))
            }
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => Ok(()),
        }
    }
}

/// Adds a member; a name that is there already is refused, because one of the two would be lost in silence.
pub(crate) fn add(entries: &mut Vec<Entry>, entry: Entry) -> Result<(), TemplateError> {
    if let Some(first) = entries.iter().find(|it| it.key == entry.key) {
        return Err(TemplateError::new(format!(
            "Template format error: duplicate key '{}', first defined on line {}",
            entry.key, first.line
        ))
        .on_line(entry.line));
    }
    entries.push(entry);
    Ok(())
}

/// A number as written, if that is how the number is written anyway.
pub(crate) fn canonical_number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number = serde_json::from_str::<Number>(text).ok()?;
    (number.to_string() == text).then_some(number)
}
