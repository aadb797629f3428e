//! ec2Query: form requests with `A.1.B`, answers in XML without a wrapper.

use capstan_shapes::{Kind, Operation, Refusal, Schema, Service, Value};

use crate::RequestId;
use crate::form::{Form, Node};
use crate::query::scalar;
use crate::xml::{Names, Writer};

pub(crate) fn decode(schema: &Schema, form: &Form) -> Result<Value, Refusal> {
    read(schema, &form.tree()?, &mut String::new())
}

/// `at`: the parameter's whole name, for messages.
fn read(schema: &Schema, node: &Node<'_>, at: &mut String) -> Result<Value, Refusal> {
    match &schema.kind {
        Kind::Record { members } => {
            for name in node.children.keys() {
                if !members.iter().any(|member| member.ec2 == *name) {
                    let name = if at.is_empty() { (*name).to_owned() } else { format!("{at}.{name}") };
                    return Err(unknown(&name));
                }
            }
            let values = members.iter().map(|member| {
                let Some(child) = node.children.get(member.ec2) else { return Ok(None) };
                let mark = at.len();
                if mark > 0 {
                    at.push('.');
                }
                at.push_str(member.ec2);
                let value = read(member.schema, child, at)?;
                at.truncate(mark);
                Ok(Some(value))
            });
            Ok(Value::Record(values.collect::<Result<_, _>>()?))
        }
        Kind::List { member, .. } => {
            let items = node.numbered().map_err(|name| unknown(&format!("{at}.{name}")))?;
            let values = items.into_iter().map(|(number, item)| {
                let mark = at.len();
                at.push_str(&format!(".{number}"));
                let value = read(member, item, at)?;
                at.truncate(mark);
                Ok(value)
            });
            Ok(Value::List(values.collect::<Result<_, _>>()?))
        }
        // The protocol has no maps, and EC2's model none.
        Kind::Map { .. } => Err(unknown(at)),
        _ => scalar(schema, node, at).map_err(|_| {
            let text = node.text.unwrap_or_default();
            Refusal::new(
                "InvalidParameterValue",
                format!("Value ({text}) for parameter {at} is invalid. {}", expected(&schema.kind)),
            )
        }),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new("UnknownParameter", format!("The parameter {name} is not recognized"))
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Blob { .. } => "Expecting base64 text.",
        Kind::Bool => "Expecting true or false.",
        Kind::Float { .. } => "Expecting a number.",
        Kind::Int { .. } => "Expecting an integer.",
        Kind::Time { .. } => "Expecting a timestamp such as 2018-06-18T22:28:28Z.",
        _ => "Expecting a single value.",
    }
}

pub(crate) fn encode(
    service: &Service,
    operation: &Operation,
    id: RequestId,
    value: &Value,
    out: &mut Vec<u8>,
) {
    let mut xml = Writer::new(out, Names::Ec2);
    let root = format!("{}Response", operation.name);
    xml.declaration();
    xml.open_in(&root, &format!("{}/", service.xmlns.trim_end_matches('/')));
    xml.text("requestId", &id.to_string());
    xml.content(operation.output, value);
    xml.close(&root);
}
