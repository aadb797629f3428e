//! XML answers of the two query protocols and of REST.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::{Span, Time};
use capstan_shapes::{Kind, Member, Schema, TimeFormat, Value};

use crate::http_date;
use crate::json::non_finite;

/// How the two protocols differ in what they write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Query,
    Ec2,
    /// A flattened list's elements take the member's name, and a record may have attributes.
    Rest,
}

pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    names: Names,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, names: Names) -> Self {
        Self { out, names }
    }

    pub(crate) fn declaration(&mut self) {
        self.put("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn open(&mut self, name: &str) {
        self.put("<");
        self.put(name);
        self.put(">");
    }

    /// Opens the root element, in a namespace.
    pub(crate) fn open_in(&mut self, name: &str, namespace: &str) {
        self.put("<");
        self.put(name);
        self.put(" xmlns=\"");
        self.put(namespace);
        self.put("\">");
    }

    /// The only attribute that a model has is `xsi:type`.
    fn open_with_attributes(&mut self, name: &str, members: &[Member], values: &[Option<Value>]) {
        self.put("<");
        self.put(name);
        for (member, value) in members.iter().zip(values) {
            if let (true, Some(Value::Text(text))) = (is_attribute(member), value) {
                self.put(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ");
                self.put(member.wire);
                self.put("=\"");
                self.escaped(&text.replace('"', ""));
                self.put("\"");
            }
        }
        self.put(">");
    }

    pub(crate) fn close(&mut self, name: &str) {
        self.put("</");
        self.put(name);
        self.put(">");
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        self.escaped(text);
        self.close(name);
    }

    /// `<name>…</name>`; for a flattened list or map one such element for each item.
    pub(crate) fn element(&mut self, name: &str, schema: &Schema, value: &Value) {
        match (&schema.kind, value) {
            (Kind::Record { members }, Value::Record(values)) if self.names == Names::Rest => {
                self.open_with_attributes(name, members, values);
                self.content(schema, value);
                self.close(name);
            }
            (Kind::List { member, flat: true, .. }, Value::List(items)) => {
                items.iter().for_each(|item| self.element(name, member, item));
            }
            (Kind::Map { flat: true, .. }, Value::Map(_)) => self.entries(name, schema, value),
            _ => {
                self.open(name);
                self.content(schema, value);
                self.close(name);
            }
        }
    }

    /// What stands inside the element.
    pub(crate) fn content(&mut self, schema: &Schema, value: &Value) {
        match (&schema.kind, value) {
            (Kind::Record { members }, Value::Record(values)) => {
                for (member, value) in members.iter().zip(values) {
                    let Some(value) = value else { continue };
                    match self.names {
                        Names::Rest if is_attribute(member) => {}
                        Names::Rest => self.element(member.wire, member.schema, value),
                        Names::Query | Names::Ec2 => self.element(member_name(member), member.schema, value),
                    }
                }
            }
            (Kind::List { member, name, .. }, Value::List(items)) => {
                items.iter().for_each(|item| self.element(name, member, item));
            }
            (Kind::Map { .. }, Value::Map(_)) => self.entries("entry", schema, value),
            (_, Value::Text(text)) => self.escaped(text),
            (_, Value::Bool(flag)) => self.put(if *flag { "true" } else { "false" }),
            (_, Value::Int(number)) => self.put(&number.to_string()),
            (_, Value::Float(number)) if number.is_finite() => self.put(&format!("{number:?}")),
            (_, Value::Float(number)) => self.put(non_finite(*number)),
            (_, Value::Blob(bytes)) => self.put(&BASE64.encode(bytes)),
            (_, Value::Time(time)) => self.time(schema, *time),
            // A value that is not of its schema can only be our own mistake.
            (_, Value::Record(_) | Value::List(_) | Value::Map(_)) => {}
        }
    }

    fn entries(&mut self, name: &str, schema: &Schema, value: &Value) {
        let (Kind::Map { key, value: item_schema, key_name, value_name, .. }, Value::Map(items)) =
            (&schema.kind, value)
        else {
            return;
        };
        for (text, item) in items {
            self.open(name);
            self.element(key_name, key, &Value::Text(text.clone()));
            self.element(value_name, item_schema, item);
            self.close(name);
        }
    }

    /// ISO 8601. EC2 keeps whole seconds and prints `.000Z`, but for the times that its model calls
    /// `MillisecondDateTime`.
    fn time(&mut self, schema: &Schema, time: Time) {
        let shown = match schema.kind {
            Kind::Time { format: TimeFormat::UnixTimestamp } => time.as_secs().to_string(),
            Kind::Time { format: TimeFormat::HttpDate } => http_date::write(time),
            _ if self.names == Names::Ec2 && schema.name != "MillisecondDateTime" => {
                time.floor(Span::from_secs(1)).iso_millis()
            }
            _ => time.iso_millis(),
        };
        self.put(&shown);
    }

    fn escaped(&mut self, text: &str) {
        let mut from = 0;
        for (at, c) in text.char_indices() {
            let replacement = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                // Parsers would turn a bare carriage return into a newline.
                '\r' => "&#13;",
                '\t' | '\n' => continue,
                // XML 1.0 has no way to carry these.
                '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
                _ => continue,
            };
            self.put(&text[from..at]);
            self.put(replacement);
            from = at + c.len_utf8();
        }
        self.put(&text[from..]);
    }
}

/// An attribute of its record's element.
pub(crate) fn is_attribute(member: &Member) -> bool {
    member.wire.contains(':')
}

/// A flattened list takes the name of its items, when they have one of their own.
pub(crate) fn member_name(member: &Member) -> &'static str {
    match member.schema.kind {
        Kind::List { flat: true, name, .. } if name != "member" => name,
        _ => member.wire,
    }
}
