//! What is wrong with JSON that describes dashboards and widgets, and where.
//!
//! AWS's checks read like those of a JSON schema: a path (`/widgets/0/properties/region`) and a sentence. What would keep a
//! dashboard from being shown is an error; the rest is a warning, with which the dashboard is stored all the same.

use serde_json::{Map, Value as Json};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// `/widgets/0/x`; empty for the whole.
    pub(super) path: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl Findings {
    pub(super) fn error(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(Finding { path: path.to_owned(), message: message.into() });
    }

    pub(super) fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Finding { path: path.to_owned(), message: message.into() });
    }
}

/// A JSON value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) path: String,
    pub(super) value: &'a Json,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Json) -> Self {
        Self { path: String::new(), value }
    }

    /// The object that it must be.
    pub(super) fn object(&self, findings: &mut Findings) -> Option<&'a Map<String, Json>> {
        let object = self.value.as_object();
        if object.is_none() {
            findings.error(&self.path, "Should be object");
        }
        object
    }

    pub(super) fn member(&self, name: &str) -> Option<Self> {
        let value = self.value.as_object()?.get(name)?;
        Some(Self { path: format!("{}/{name}", self.path), value })
    }

    pub(super) fn required(&self, name: &str, findings: &mut Findings) -> Option<Self> {
        let member = self.member(name);
        if member.is_none() && self.value.is_object() {
            findings.error(&self.path, format!("Should have required property '{name}'"));
        }
        member
    }

    /// Warns of members that nobody knows.
    pub(super) fn known(&self, names: &[&str], findings: &mut Findings) {
        for name in self.value.as_object().into_iter().flat_map(Map::keys) {
            if !names.contains(&name.as_str()) {
                let message = format!("Should NOT have additional properties ({name})");
                findings.warn(&self.path, message);
            }
        }
    }

    /// The items of the array that it must be, at most `max`.
    pub(super) fn items(&self, max: usize, findings: &mut Findings) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            findings.error(&self.path, "Should be array");
            return Vec::new();
        };
        if items.len() > max {
            findings.error(&self.path, format!("Should NOT have more than {max} items"));
        }
        let item = |(index, value)| Self { path: format!("{}/{index}", self.path), value };
        items.iter().take(max).enumerate().map(item).collect()
    }

    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            findings.error(&self.path, "Should be string");
        }
        text
    }

    pub(super) fn flag(&self, findings: &mut Findings) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            findings.error(&self.path, "Should be boolean");
        }
        flag
    }

    pub(super) fn number(&self, findings: &mut Findings) -> Option<f64> {
        let number = self.value.as_f64();
        if number.is_none() {
            findings.error(&self.path, "Should be number");
        }
        number
    }

    /// A whole number between two.
    pub(super) fn integer(&self, from: i64, to: i64, findings: &mut Findings) -> Option<i64> {
        let Some(number) = self.value.as_i64() else {
            findings.error(&self.path, "Should be integer");
            return None;
        };
        if number < from {
            findings.error(&self.path, format!("Should be >= {from}"));
            return None;
        }
        if number > to {
            findings.error(&self.path, format!("Should be <= {to}"));
            return None;
        }
        Some(number)
    }

    pub(super) fn one_of(&self, values: &[&str], findings: &mut Findings) -> Option<&'a str> {
        let text = self.text(findings)?;
        if values.contains(&text) {
            return Some(text);
        }
        let values = values.join(", ");
        findings.error(&self.path, format!("Should be equal to one of the allowed values ({values})"));
        None
    }
}
