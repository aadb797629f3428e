//! The client's half of the REST protocols.

use std::fmt::Write as _;

use bytes::Bytes;
use capstan_shapes::{Kind, Member, Place, Rest, Schema, Service, Value};

use crate::xml::{Names, Writer, is_attribute};
use crate::{Incoming, Route, json, route};

pub(super) struct RestRequest {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl RestRequest {
    /// The request, and the value as it can carry it: a label is never empty, an empty list in a query is none.
    pub(super) fn new(rest: &'static Rest, schema: &Schema, value: Value, xml: bool) -> (Self, Value) {
        let (Kind::Record { members }, Value::Record(mut values)) = (&schema.kind, value) else {
            panic!("an input that is no record")
        };
        let mut request = Self {
            method: rest.method,
            path: rest.path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
        };
        for requirement in rest.requires.iter().filter(|requirement| requirement.literal) {
            let _ = write!(request.query, "&{}={}", requirement.name, requirement.text);
        }
        let mut in_body = values.clone();
        for (at, member) in members.iter().enumerate() {
            let bound = rest.bound.iter().find(|(name, _)| *name == member.name);
            let Some((_, place)) = bound else { continue };
            in_body[at] = None;
            if let (Place::Header, Kind::List { .. }, Some(list)) =
                (place, &member.schema.kind, &mut values[at])
            {
                // Commas part the items, and space around them does not count.
                *list = Value::List(vec![Value::Text("a".to_owned()), Value::Text("b".to_owned())]);
            }
            let required = rest.requires.iter().any(|requirement| requirement.name == member.wire);
            if required && values[at].is_none() {
                values[at] = Some(match member.schema.kind {
                    Kind::Int { .. } => Value::Int(1),
                    Kind::List { .. } => Value::List(vec![Value::Text("a".to_owned())]),
                    _ => Value::Text("a".to_owned()),
                });
            }
            if let (Place::Headers, Some(Value::Map(entries))) = (place, &values[at]) {
                for (key, text) in entries {
                    let name = format!("{}{key}", member.wire);
                    request.headers.extend(texts(text).into_iter().map(|text| (name.clone(), text)));
                }
                if entries.is_empty() {
                    values[at] = None;
                }
                continue;
            }
            let mut sent = values[at].as_ref().map_or_else(Vec::new, texts);
            if *place == Place::Header && matches!(member.schema.kind, Kind::List { .. }) && !sent.is_empty()
            {
                sent = vec![sent.join(", ")];
            }
            if *place == Place::Path && sent.first().is_none_or(String::is_empty) {
                sent = vec!["a".to_owned()];
                values[at] = Some(Value::Text("a".to_owned()));
            }
            if sent.is_empty() {
                values[at] = None;
            }
            for text in sent {
                match place {
                    Place::Path => {
                        for label in [format!("{{{}}}", member.wire), format!("{{{}+}}", member.wire)] {
                            request.path = request.path.replace(&label, &encoded(&text));
                        }
                    }
                    Place::Query => {
                        let _ = write!(request.query, "&{}={}", member.wire, encoded(&text));
                    }
                    Place::Header => request.headers.push((member.wire.to_ascii_lowercase(), text)),
                    Place::Headers => {}
                }
            }
        }
        if !xml {
            let mut body = Vec::new();
            json::encode(schema, &Value::Record(in_body), &mut body);
            request.body = body.into();
            return (request, Value::Record(values));
        }
        for (member, value) in members.iter().zip(&mut values) {
            if member.name == rest.payload {
                *value = request.put_payload(member, value.take());
            } else if rest.bound.iter().all(|(name, _)| *name != member.name) {
                *value = None;
            }
        }
        (request, Value::Record(values))
    }

    /// Gives the payload as the body carries it.
    fn put_payload(&mut self, member: &Member, value: Option<Value>) -> Option<Value> {
        match (&member.schema.kind, value) {
            (Kind::Blob { .. }, value) => {
                let Some(Value::Blob(bytes)) = value else { return Some(Value::Blob(Bytes::new())) };
                self.body = bytes.clone();
                Some(Value::Blob(bytes))
            }
            (_, None) => None,
            (_, Some(Value::Text(text))) => {
                self.body = text.clone().into();
                (!text.trim().is_empty()).then_some(Value::Text(text))
            }
            (_, Some(value)) => {
                let value = as_document(member.schema, value);
                let mut body = Vec::new();
                let mut xml = Writer::new(&mut body, Names::Rest);
                xml.declaration();
                xml.element(member.wire, member.schema, &value);
                self.body = body.into();
                Some(value)
            }
        }
    }

    pub(super) fn route(&self, service: &Service) -> Route {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=A/1/r/{}/aws4_request", service.signing);
        let header = |name: &str| match name {
            "authorization" => Some(authorization.as_str()),
            _ => self.headers.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str()),
        };
        let prefixed = |prefix: &str| {
            let pairs =
                self.headers.iter().filter_map(|(name, text)| Some((name.strip_prefix(prefix)?, text)));
            pairs.map(|(name, text)| (name.to_owned(), text.clone())).collect()
        };
        let request = Incoming {
            headers: &prefixed,
            method: self.method,
            path: &self.path,
            query: &self.query,
            header: &header,
            body: &self.body,
        };
        route(&request)
            .unwrap_or_else(|unrouted| panic!("{} {}: {}", self.method, self.path, unrouted.refusal))
    }
}

/// The value as an XML document carries it: no empty flattened list, and nothing odd in an attribute.
pub(super) fn as_document(schema: &Schema, value: Value) -> Value {
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            let values =
                members.iter().zip(values).map(|(member, value)| match (&member.schema.kind, value?) {
                    (Kind::List { flat: true, .. }, Value::List(items)) if items.is_empty() => None,
                    (_, Value::Text(_)) if is_attribute(member) => Some(Value::Text("Group".to_owned())),
                    (_, value) => Some(as_document(member.schema, value)),
                });
            Value::Record(values.collect())
        }
        (Kind::List { member, .. }, Value::List(items)) => {
            Value::List(items.into_iter().map(|item| as_document(member, item)).collect())
        }
        (_, value) => value,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().flat_map(texts).collect(),
        Value::Text(text) => vec![text.clone()],
        Value::Int(number) => vec![number.to_string()],
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Time(time) => vec![time.iso_secs()],
        other => panic!("{other:?} in a path or query"),
    }
}

fn encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}
