//! awsQuery: form requests with `A.member.1.B`, answers in XML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Kind, Operation, Refusal, Schema, Service, Value};

use crate::RequestId;
use crate::form::{Form, Node, malformed};
use crate::http_date;
use crate::xml::{self, Names, Writer};

pub(crate) fn decode(schema: &Schema, form: &Form) -> Result<Value, Refusal> {
    read(schema, &form.tree()?, "")
}

/// `at`: the parameter's name, for messages. Names that the schema does not have are ignored, as AWS does.
fn read(schema: &Schema, node: &Node<'_>, at: &str) -> Result<Value, Refusal> {
    match &schema.kind {
        Kind::Record { members } => {
            let values = members.iter().map(|member| {
                let name = xml::member_name(member);
                let child = node.children.get(name);
                child.map(|child| read(member.schema, child, name)).transpose()
            });
            Ok(Value::Record(values.collect::<Result<_, _>>()?))
        }
        Kind::List { member, name, flat, .. } => {
            let list = if *flat { Some(node) } else { node.children.get(name) };
            let values = numbered(list, at)?.into_iter().map(|(_, item)| read(member, item, at));
            Ok(Value::List(values.collect::<Result<_, _>>()?))
        }
        Kind::Map { key, value, key_name, value_name, flat } => {
            let map = if *flat { Some(node) } else { node.children.get("entry") };
            let pairs = numbered(map, at)?.into_iter().map(|(_, entry)| {
                let name = entry.children.get(key_name);
                let name = name.ok_or_else(|| malformed(format!("An entry of {at} has no {key_name}.")))?;
                let Value::Text(name) = scalar(key, name, at)? else {
                    return Err(malformed(format!("A key of {at} is no text.")));
                };
                let item = entry.children.get(value_name);
                let item = item.ok_or_else(|| malformed(format!("An entry of {at} has no {value_name}.")))?;
                Ok((name, read(value, item, at)?))
            });
            Ok(Value::Map(pairs.collect::<Result<_, _>>()?))
        }
        _ => scalar(schema, node, at),
    }
}

/// None at all means an empty list, which clients send as `A=`.
fn numbered<'a, 'b>(node: Option<&'b Node<'a>>, at: &str) -> Result<Vec<(u32, &'b Node<'a>)>, Refusal> {
    let Some(node) = node else { return Ok(Vec::new()) };
    node.numbered().map_err(|name| malformed(format!("{name} is no position in the list {at}.")))
}

/// Text, numbers, times: what a form carries as one value. `at` is the parameter's name.
pub(crate) fn scalar(schema: &Schema, node: &Node<'_>, at: &str) -> Result<Value, Refusal> {
    let Some(text) = node.text else {
        return Err(malformed("Start of structure or map found where not expected."));
    };
    let wrong = |kind: &str| malformed(format!("{text} is not a valid {kind} for {at}."));
    let value = match &schema.kind {
        Kind::Bool if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Kind::Bool if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        Kind::Bool => return Err(wrong("boolean")),
        Kind::Int { long, .. } => {
            let number: Option<i64> = text.parse().ok();
            match number.filter(|number| *long || i32::try_from(*number).is_ok()) {
                Some(number) => Value::Int(number),
                None => return Err(wrong(if *long { "long" } else { "integer" })),
            }
        }
        Kind::Float { .. } => Value::Float(text.parse().map_err(|_| wrong("double"))?),
        Kind::Time { .. } => {
            // Some clients send epoch seconds.
            let epoch = || text.parse().ok().map(Time::from_secs);
            let time = Time::parse_iso(text).or_else(epoch).or_else(|| http_date::read(text));
            Value::Time(time.ok_or_else(|| wrong("timestamp"))?)
        }
        Kind::Blob { .. } => Value::Blob(BASE64.decode(text).map_err(|_| wrong("base64 text"))?.into()),
        _ => Value::Text(text.to_owned()),
    };
    Ok(value)
}

pub(crate) fn encode(
    service: &Service,
    operation: &Operation,
    id: RequestId,
    value: &Value,
    out: &mut Vec<u8>,
) {
    let mut xml = Writer::new(out, Names::Query);
    let root = format!("{}Response", operation.name);
    xml.open_in(&root, service.xmlns);
    if !operation.result_wrapper.is_empty() {
        xml.element(operation.result_wrapper, operation.output, value);
    }
    xml.open("ResponseMetadata");
    xml.text("RequestId", &id.to_string());
    xml.close("ResponseMetadata");
    xml.close(&root);
}
