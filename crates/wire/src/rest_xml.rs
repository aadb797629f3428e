//! restXml, which S3 speaks: members in path, query and headers, and a body that is an XML document or an object's bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use capstan_model::Time;
use capstan_shapes::{Kind, Member, Operation, Place, Refusal, Schema, Service, TimeFormat, Value};

use crate::form::Node;
use crate::xml::{Names, Writer, is_attribute};
use crate::xml_tree::Element;
use crate::{Answer, RequestId, Route, http_date, query, rest};

/// A document that cannot be read, in S3's words.
pub(crate) fn malformed() -> Refusal {
    Refusal::new(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

/// The ids that S3 answers with, refused or not.
pub(crate) fn ids(id: RequestId) -> Vec<(Cow<'static, str>, String)> {
    let request = format!("{:016X}", id.0 as u64);
    let host = BASE64.encode([id.0.to_be_bytes(), id.0.to_le_bytes()].concat());
    vec![("x-amz-request-id".into(), request), ("x-amz-id-2".into(), host)]
}

pub(crate) fn decode(route: &Route, body: &Bytes) -> Result<Value, Refusal> {
    let Kind::Record { members } = &route.operation.input.kind else { return Err(malformed()) };
    let rest = route.service.rest(route.operation.name);
    let payload = rest.map_or("", |rest| rest.payload);
    let mut values: Vec<Option<Value>> = vec![None; members.len()];
    for (member, value) in members.iter().zip(&mut values).filter(|(member, _)| member.name == payload) {
        *value = match &member.schema.kind {
            Kind::Blob { .. } => Some(Value::Blob(body.clone())),
            _ if body.trim_ascii().is_empty() => None,
            Kind::Text { .. } => {
                let text = std::str::from_utf8(body).map_err(|_| malformed())?;
                Some(Value::Text(text.to_owned()))
            }
            _ => Some(read(member.schema, &Element::parse(body)?)?),
        };
    }
    let mut value = Value::Record(values);
    rest::put_bound(members, &mut value, &route.bound, &|message| Refusal::new("InvalidArgument", message))?;
    Ok(value)
}

/// Elements that the schema does not have are ignored.
fn read(schema: &Schema, element: &Element) -> Result<Value, Refusal> {
    match &schema.kind {
        Kind::Record { members } => {
            let values = members.iter().map(|member| read_member(member, element));
            Ok(Value::Record(values.collect::<Result<_, _>>()?))
        }
        Kind::List { member, name, .. } => {
            let items = element.children.iter().filter(|child| child.name == *name);
            Ok(Value::List(items.map(|item| read(member, item)).collect::<Result<_, _>>()?))
        }
        // No document of S3 has a map.
        Kind::Map { .. } => Err(malformed()),
        Kind::Text { .. } => Ok(Value::Text(element.text.clone())),
        _ => {
            let node = Node { text: Some(element.text.trim()), ..Node::default() };
            query::scalar(schema, &node, &element.name).map_err(|_| malformed())
        }
    }
}

fn read_member(member: &Member, element: &Element) -> Result<Option<Value>, Refusal> {
    if is_attribute(member) {
        let text = element.attributes.iter().find(|(name, _)| name == member.wire);
        return Ok(text.map(|(_, text)| Value::Text(text.clone())));
    }
    match &member.schema.kind {
        Kind::List { member: item, flat: true, .. } => {
            let items = element.children.iter().filter(|child| child.name == member.wire);
            let items: Vec<Value> = items.map(|child| read(item, child)).collect::<Result<_, _>>()?;
            Ok((!items.is_empty()).then_some(Value::List(items)))
        }
        _ => element.child(member.wire).map(|child| read(member.schema, child)).transpose(),
    }
}

pub(crate) fn encode(service: &Service, operation: &Operation, id: RequestId, value: &Value) -> Answer {
    let mut answer = Answer { status: 200, content_type: "".into(), headers: ids(id), body: Bytes::new() };
    let (Kind::Record { members }, Value::Record(values), Some(rest)) =
        (&operation.output.kind, value, service.rest(operation.name))
    else {
        return answer;
    };
    answer.status = rest.status;
    let place =
        |member: &Member| rest.output.iter().find(|(name, _)| *name == member.name).map(|(_, place)| *place);
    let (bound, inside): (Vec<_>, Vec<_>) =
        members.iter().zip(values).partition(|(member, _)| place(member).is_some());
    if !rest.output_payload.is_empty() {
        let payload = inside.iter().find(|(member, _)| member.name == rest.output_payload);
        match payload {
            Some((_, Some(Value::Blob(bytes)))) => answer.body = bytes.clone(),
            Some((_, Some(Value::Text(text)))) => {
                answer.body = text.clone().into();
                answer.content_type = "application/json".into();
            }
            Some((member, Some(value))) => {
                document(&mut answer, service, member.wire, |xml| xml.content(member.schema, value));
            }
            _ => {}
        }
    } else if !inside.is_empty() {
        document(&mut answer, service, operation.result_wrapper, |xml| {
            for (member, value) in &inside {
                match value {
                    // The root of GetBucketLocation is its only member.
                    Some(value) if member.wire == operation.result_wrapper => {
                        xml.content(member.schema, value)
                    }
                    Some(value) => xml.element(member.wire, member.schema, value),
                    None => {}
                }
            }
        });
    }
    for (member, value) in bound {
        let Some(value) = value else { continue };
        match (place(member), value) {
            (Some(Place::Headers), Value::Map(entries)) => {
                for (key, text) in entries {
                    let name = format!("{}{}", member.wire, key).to_ascii_lowercase();
                    answer.headers.push((name.into(), shown(member.schema, text)));
                }
            }
            // The server tells the length of the body that it sends; without one this is the object's.
            _ if member.wire == "Content-Length" && rest.method != "HEAD" => {}
            _ if member.wire == "Content-Type" => answer.content_type = shown(member.schema, value).into(),
            _ => {
                if member.wire == "Content-Range" {
                    answer.status = 206;
                }
                answer.headers.push((member.wire.to_ascii_lowercase().into(), shown(member.schema, value)));
            }
        }
    }
    answer
}

fn document(answer: &mut Answer, service: &Service, root: &str, content: impl FnOnce(&mut Writer<'_>)) {
    let mut body = Vec::with_capacity(1024);
    let mut xml = Writer::new(&mut body, Names::Rest);
    xml.declaration();
    xml.open_in(root, service.xmlns);
    content(&mut xml);
    xml.close(root);
    answer.body = body.into();
    answer.content_type = "application/xml".into();
}

/// A value as a header carries it.
fn shown(schema: &Schema, value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Time(time) => shown_time(schema, *time),
        // The model has no other in a header.
        _ => String::new(),
    }
}

fn shown_time(schema: &Schema, time: Time) -> String {
    match schema.kind {
        Kind::Time { format: TimeFormat::Iso8601 } => time.iso_millis(),
        _ => http_date::write(time),
    }
}
