//! The client's half of restJson1.

use std::fmt::Write as _;

use capstan_shapes::{Kind, Place, Rest, Schema, Service, Value};

use crate::{Incoming, Route, json, route};

pub(super) struct RestRequest {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl RestRequest {
    /// The request, and the value as it can carry it: a label is never empty, an empty list in a query is none.
    pub(super) fn new(rest: &'static Rest, schema: &Schema, value: Value) -> (Self, Value) {
        let (Kind::Record { members }, Value::Record(mut values)) = (&schema.kind, value) else {
            panic!("an input that is no record")
        };
        let mut request = Self {
            method: rest.method,
            path: rest.path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut in_body = values.clone();
        for (at, member) in members.iter().enumerate() {
            let bound = rest.bound.iter().find(|(name, _)| *name == member.name);
            let Some((_, place)) = bound else { continue };
            in_body[at] = None;
            let mut sent = values[at].as_ref().map_or_else(Vec::new, texts);
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
                        let label = format!("{{{}}}", member.wire);
                        request.path = request.path.replace(&label, &encoded(&text));
                    }
                    Place::Query => {
                        let _ = write!(request.query, "&{}={}", member.wire, encoded(&text));
                    }
                    Place::Header => request.headers.push((member.wire.to_ascii_lowercase(), text)),
                }
            }
        }
        json::encode(schema, &Value::Record(in_body), &mut request.body);
        (request, Value::Record(values))
    }

    pub(super) fn route(&self, service: &Service) -> Route {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=A/1/r/{}/aws4_request", service.signing);
        let header = |name: &str| match name {
            "authorization" => Some(authorization.as_str()),
            _ => self.headers.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str()),
        };
        let request = Incoming {
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
