//! `Fn::ForEach` of `AWS::LanguageExtensions`: loops in Resources, Outputs, Conditions and the properties of a resource are
//! written out before anything else is read.

use crate::TemplateError;
use crate::node::{Entry, Node, Value, add};

const PREFIX: &str = "Fn::ForEach::";

/// Writes out the loops of a template.
pub(crate) fn expand(root: &mut Node) -> Result<(), TemplateError> {
    let Value::Map(sections) = &mut root.value else { return Ok(()) };
    for section in sections {
        if !matches!(section.key.as_str(), "Resources" | "Outputs" | "Conditions") {
            continue;
        }
        let Value::Map(entries) = &mut section.node.value else { continue };
        *entries = expanded(std::mem::take(entries)).map_err(|error| error.within(section.key.as_str()))?;
        if section.key != "Resources" {
            continue;
        }
        for resource in entries {
            let Value::Map(attributes) = &mut resource.node.value else { continue };
            for attribute in attributes.iter_mut().filter(|it| it.key == "Properties") {
                inside(&mut attribute.node).map_err(|error| {
                    error.within("Properties").within(resource.key.as_str()).within("Resources")
                })?;
            }
        }
    }
    Ok(())
}

fn inside(node: &mut Node) -> Result<(), TemplateError> {
    match &mut node.value {
        Value::Map(entries) => {
            *entries = expanded(std::mem::take(entries))?;
            entries.iter_mut().try_for_each(|entry| inside(&mut entry.node))
        }
        Value::List(items) => items.iter_mut().try_for_each(inside),
        _ => Ok(()),
    }
}

fn expanded(entries: Vec<Entry>) -> Result<Vec<Entry>, TemplateError> {
    let mut result = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.key.starts_with(PREFIX) {
            for entry in repeated(&entry).map_err(|error| error.within(entry.key.as_str()))? {
                add(&mut result, entry)?;
            }
        } else {
            add(&mut result, entry)?;
        }
    }
    Ok(result)
}

fn repeated(each: &Entry) -> Result<Vec<Entry>, TemplateError> {
    let wrong = |message: &str| {
        TemplateError::new(format!("Template error: {}: {message}", each.key)).on_line(each.line)
    };
    let form = "Fn::ForEach requires a list with an identifier, a collection and an object";
    let [identifier, collection, body] = each.node.as_list().unwrap_or_default() else {
        return Err(wrong(form));
    };
    let (Some(identifier), Some(body)) = (identifier.as_text(), body.as_map()) else {
        return Err(wrong(form));
    };
    let Some(collection) = collection.as_list() else {
        return Err(wrong(
            "the collection must be a list written in the template; functions there are not supported here",
        ));
    };
    let mut result = Vec::new();
    for item in collection {
        let value = item.scalar().ok_or_else(|| wrong("every value of the collection must be a string"))?;
        let loop_ = Loop { identifier, value: &value };
        for entry in body {
            result.push(loop_.entry(entry));
        }
    }
    expanded(result)
}

/// One round.
struct Loop<'a> {
    identifier: &'a str,
    value: &'a str,
}

impl Loop<'_> {
    fn entry(&self, entry: &Entry) -> Entry {
        Entry { key: self.text(&entry.key), line: entry.line, node: self.node(&entry.node) }
    }

    fn node(&self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Text(text) => Value::Text(self.text(text)),
            Value::List(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if entry.key == "Ref" && entry.node.as_text() == Some(self.identifier) => {
                    Value::Text(self.value.to_owned())
                }
                entries => Value::Map(entries.iter().map(|entry| self.entry(entry)).collect()),
            },
            value => value.clone(),
        };
        Node { line: node.line, value }
    }

    /// `&{X}` is `${X}` without the characters that logical ids cannot have.
    fn text(&self, text: &str) -> String {
        let plain = self.value.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        text.replace(&format!("${{{}}}", self.identifier), self.value)
            .replace(&format!("&{{{}}}", self.identifier), &plain)
    }
}
