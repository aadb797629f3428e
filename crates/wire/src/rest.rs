//! restJson1: the operation by method and path, members in path, query, headers and a JSON body.

use capstan_shapes::{Kind, Member, Place, Refusal, Rest, Schema, Service, Value};

use crate::form::{Form, Node, percent_decoded};
use crate::{Incoming, json, query};

/// The texts of the members that travel outside the body, by the model's name.
pub type Bound = Vec<(&'static str, Vec<String>)>;

/// The operation that method and path mean, and the texts in its path, query and headers.
pub(crate) fn find(
    service: &'static Service,
    request: &Incoming<'_>,
) -> Option<Result<(&'static Rest, Bound), Refusal>> {
    let of_method = service.rest.iter().filter(|rest| rest.method == request.method);
    let mut matching = of_method.filter_map(|rest| Some((rest, labels(rest.path, request.path)?)));
    matching.next().map(|(rest, labels)| Ok((rest, bound(service, rest, &labels, request)?)))
}

/// The parts of a path that stand where the pattern has names in braces; `None` when it is another path. A label is never
/// empty.
fn labels<'a>(pattern: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut found = Vec::new();
    let mut parts = path.split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(_) if part.is_empty() => return None,
            Some(name) => found.push((name, part)),
            None if part == expected => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(found)
}

fn bound(
    service: &Service,
    rest: &'static Rest,
    labels: &[(&str, &str)],
    request: &Incoming<'_>,
) -> Result<Bound, Refusal> {
    let form = Form::parse(request.query.as_bytes())?;
    let input = service.operation(rest.operation).map(|operation| operation.input);
    let mut bound = Vec::new();
    for (name, place) in rest.bound {
        let Some(member) = input.and_then(|input| member(input, name)) else { continue };
        let texts = match place {
            Place::Path => {
                let label = labels.iter().find(|(label, _)| *label == member.wire).map(|(_, text)| *text);
                let text = label.and_then(|text| percent_decoded(text.as_bytes(), false));
                let malformed = || json::mismatch(format!("The path's {} is not UTF-8.", member.wire));
                vec![text.ok_or_else(malformed)?]
            }
            Place::Query => form.all(member.wire).map(str::to_owned).collect(),
            Place::Header => {
                (request.header)(&member.wire.to_ascii_lowercase()).map(str::to_owned).into_iter().collect()
            }
        };
        bound.push((*name, texts));
    }
    Ok(bound)
}

fn member<'a>(schema: &'a Schema, name: &str) -> Option<&'a Member> {
    match &schema.kind {
        Kind::Record { members } => members.iter().find(|member| member.name == name),
        _ => None,
    }
}

/// A member that is bound elsewhere is not taken from the body.
pub(crate) fn decode(schema: &Schema, bound: &Bound, body: &[u8]) -> Result<Value, Refusal> {
    let mut value = json::decode(schema, body)?;
    if let (Kind::Record { members }, Value::Record(values)) = (&schema.kind, &mut value) {
        for (name, texts) in bound {
            let places = members.iter().zip(values.iter_mut());
            for (member, place) in places.filter(|(member, _)| member.name == *name) {
                *place = text_value(member, texts)?;
            }
        }
    }
    Ok(value)
}

fn text_value(member: &Member, texts: &[String]) -> Result<Option<Value>, Refusal> {
    let one = |schema: &Schema, text: &String| {
        let node = Node { text: Some(text), ..Node::default() };
        query::scalar(schema, &node, member.wire).map_err(|refusal| json::mismatch(refusal.message))
    };
    match (&member.schema.kind, texts) {
        (_, []) => Ok(None),
        (Kind::List { member: item, .. }, texts) => {
            let items = texts.iter().map(|text| one(item, text));
            Ok(Some(Value::List(items.collect::<Result<_, _>>()?)))
        }
        (_, [text, ..]) => one(member.schema, text).map(Some),
    }
}
