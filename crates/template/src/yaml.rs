//! Templates in YAML, with lines and the short forms of functions.
//!
//! CloudFormation reads YAML 1.1 without aliases and merges. Scalars without quotes are null, a boolean (`yes`, `no`, `on`
//! and `off` among them), a number, or text; everything that YAML 1.1 would turn into something else again (dates, octal
//! and sexagesimal numbers) stays as written, because template values are texts in the end.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::TemplateError;
use crate::node::{DEEPEST, Entry, Node, Value, add, canonical_number};

pub(crate) fn read(text: &str) -> Result<Node, TemplateError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), at) if document.is_some() => return Err(malformed(at)),
            (
                event @ (Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_)),
                at,
            ) => document = Some(reader.node(event, at)?),
            _ => {}
        }
    }
    document.ok_or_else(|| TemplateError::whole("Template format error: unsupported structure."))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    depth: usize,
}

fn malformed(at: Marker) -> TemplateError {
    TemplateError::whole(format!(
        "Template format error: YAML not well-formed. (line {}, column {})",
        at.line(),
        at.col() + 1
    ))
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Marker), TemplateError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(malformed(*error.marker())),
            None => Ok((Event::StreamEnd, Marker::new(0, 1, 0))),
        }
    }

    fn node(&mut self, event: Event<'a>, at: Marker) -> Result<Node, TemplateError> {
        let line = at.line();
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(
                TemplateError::new("Template format error: the template is nested too deeply").on_line(line)
            );
        }
        let node = match event {
            Event::Scalar(text, style, _, tag) => match tag.as_deref() {
                Some(tag) if tag.is_yaml_core_schema() => {
                    Node { line, value: typed(&text, tag.suffix.as_str()).ok_or_else(|| malformed(at))? }
                }
                Some(tag) => short_form(tag, Node::text(line, text), line)?,
                None if style == ScalarStyle::Plain => Node { line, value: plain(&text) },
                None => Node::text(line, text),
            },
            Event::SequenceStart(_, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, at) => items.push(self.node(event, at)?),
                    }
                }
                tagged(tag.as_deref(), "seq", Node { line, value: Value::List(items) }, at)?
            }
            Event::MappingStart(_, tag) => {
                let mut entries = Vec::new();
                loop {
                    let (key, key_line) = match self.next()? {
                        (Event::MappingEnd, _) => break,
                        (Event::Scalar(key, _, _, None), at) => (key.into_owned(), at.line()),
                        (_, at) => return Err(malformed(at)),
                    };
                    let (event, at) = self.next()?;
                    let node = self.node(event, at)?;
                    add(&mut entries, Entry { key, line: key_line, node })?;
                }
                tagged(tag.as_deref(), "map", Node { line, value: Value::Map(entries) }, at)?
            }
            Event::Alias(_) => {
                return Err(TemplateError::new(
                    "Template error: YAML aliases are not allowed in CloudFormation templates",
                )
                .on_line(line));
            }
            _ => return Err(malformed(at)),
        };
        self.depth -= 1;
        Ok(node)
    }
}

fn tagged(tag: Option<&Tag>, core: &str, node: Node, at: Marker) -> Result<Node, TemplateError> {
    let line = node.line;
    match tag {
        None => Ok(node),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == core => Ok(node),
        Some(tag) if tag.is_yaml_core_schema() => Err(malformed(at)),
        Some(tag) => short_form(tag, node, line),
    }
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => canonical_number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

/// A scalar with one of YAML's own tags.
fn typed(text: &str, tag: &str) -> Option<Value> {
    match (tag, plain(text)) {
        ("str", _) => Some(Value::Text(text.to_owned())),
        ("int" | "float", value @ (Value::Number(_) | Value::Text(_)))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => Some(value),
        _ => None,
    }
}

/// `!Ref x` is `{Ref: x}`, `!GetAtt a.b` is `{Fn::GetAtt: [a, b]}`, `!Condition x` is `{Condition: x}`.
fn short_form(tag: &Tag, node: Node, line: usize) -> Result<Node, TemplateError> {
    let name = tag.suffix.as_str();
    if tag.handle != "!" || name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(
            TemplateError::new(format!("Template format error: unrecognised tag {tag}")).on_line(line)
        );
    }
    let (key, node) = match name {
        "Ref" | "Condition" => (name.to_owned(), node),
        "GetAtt" => {
            let split = node.as_text().and_then(|text| text.split_once('.'));
            let node = match split {
                Some((id, attribute)) => {
                    Node { line, value: Value::List(vec![Node::text(line, id), Node::text(line, attribute)]) }
                }
                None => node,
            };
            ("Fn::GetAtt".to_owned(), node)
        }
        _ => (format!("Fn::{name}"), node),
    };
    Ok(Node { line, value: Value::Map(vec![Entry { key, line, node }]) })
}
