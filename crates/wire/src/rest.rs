//! What the REST protocols have in common, and restJson1: the operation by method, path and query; members in path, query
//! and headers.

use capstan_shapes::{Kind, Member, Place, Protocol, Refusal, Requirement, Rest, Schema, Service, Value};

use crate::form::{Form, Node, percent_decoded};
use crate::{Incoming, json, query};

/// The texts of the members that travel outside the body, by the model's name; of a map key, value, key, value …
pub type Bound = Vec<(&'static str, Vec<String>)>;

/// The operation that a request means, and the texts in its path, query and headers. `path`: of the request, or what an
/// address by host makes of it. The operation may be one that is not built.
pub(crate) fn find(
    service: &'static Service,
    request: &Incoming<'_>,
    path: &str,
) -> Option<Result<(&'static Rest, Bound), Refusal>> {
    let form = match Form::parse(request.query.as_bytes()) {
        Ok(form) => form,
        Err(refusal) => return Some(Err(refusal)),
    };
    let mut best: Option<((bool, usize, bool), &'static Rest, Labels<'_>)> = None;
    for rest in service.rest.iter().filter(|rest| rest.method == request.method) {
        let Some(labels) = labels(rest.path, path) else { continue };
        let is_met = |requirement: &&Requirement| match requirement.place {
            Place::Header => (request.header)(&requirement.name.to_ascii_lowercase()).is_some(),
            _ => form
                .get(requirement.name)
                .is_some_and(|text| requirement.text.is_empty() || requirement.text == text),
        };
        let (met, unmet): (Vec<_>, Vec<_>) = rest.requires.iter().partition(is_met);
        if unmet.iter().any(|requirement| requirement.literal) {
            continue;
        }
        // Of two that a request may mean it means the one that asks for more of what is there.
        let rank = (unmet.is_empty(), met.len(), service.operation(rest.operation).is_some());
        if best.as_ref().is_none_or(|(of_best, ..)| rank > *of_best) {
            best = Some((rank, rest, labels));
        }
    }
    best.map(|(_, rest, labels)| Ok((rest, bound(service, rest, &labels, &form, request)?)))
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The parts of a path that stand where the pattern has names in braces; `None` when it is another path. A label is never
/// empty; one with a plus sign is all the rest.
fn labels<'a>(pattern: &'static str, path: &'a str) -> Option<Labels<'a>> {
    let mut found = Vec::new();
    let mut rest = Some(path);
    for expected in pattern.split('/') {
        let all = rest?;
        let name = expected.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        if let Some(name) = name.and_then(|name| name.strip_suffix('+')) {
            found.push((name, all));
            return (!all.is_empty()).then_some(found);
        }
        let (part, after) = match all.split_once('/') {
            Some((part, after)) => (part, Some(after)),
            None => (all, None),
        };
        rest = after;
        match name {
            Some(_) if part.is_empty() => return None,
            Some(name) => found.push((name, part)),
            None if part == expected => {}
            None => return None,
        }
    }
    rest.is_none().then_some(found)
}

fn bound(
    service: &Service,
    rest: &'static Rest,
    labels: &Labels<'_>,
    form: &Form,
    request: &Incoming<'_>,
) -> Result<Bound, Refusal> {
    let input = service.operation(rest.operation).map(|operation| operation.input);
    let is_xml = service.protocols.contains(&Protocol::RestXml);
    let mut bound = Vec::new();
    for (name, place) in rest.bound {
        let Some(member) = input.and_then(|input| member(input, name)) else { continue };
        let header = member.wire.to_ascii_lowercase();
        let texts = match place {
            Place::Path => {
                let label = labels.iter().find(|(label, _)| *label == member.wire).map(|(_, text)| *text);
                let text = label.and_then(|text| percent_decoded(text.as_bytes(), false));
                let malformed = || json::mismatch(format!("The path's {} is not UTF-8.", member.wire));
                vec![text.ok_or_else(malformed)?]
            }
            Place::Query => form.all(member.wire).map(str::to_owned).collect(),
            Place::Header => match (request.header)(&header) {
                Some(text) if matches!(member.schema.kind, Kind::List { .. }) => {
                    text.split(',').map(|part| part.trim().to_owned()).collect()
                }
                Some(text) => vec![text.to_owned()],
                // A presigned URL may carry headers in its query.
                None if is_xml && header.starts_with("x-amz-") => {
                    form.named(&header).map(|(_, text)| text.to_owned()).into_iter().collect()
                }
                None => Vec::new(),
            },
            Place::Headers => {
                let headers = (request.headers)(&header);
                let in_query = form.prefixed(&header).map(|(name, text)| (name, text.to_owned()));
                headers.into_iter().chain(in_query).flat_map(|(key, text)| [key, text]).collect()
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

/// restJson1. A member that is bound elsewhere is not taken from the body.
pub(crate) fn decode(schema: &Schema, bound: &Bound, body: &[u8]) -> Result<Value, Refusal> {
    let mut value = json::decode(schema, body)?;
    if let Kind::Record { members } = &schema.kind {
        put_bound(members, &mut value, bound, &|message| json::mismatch(message))?;
    }
    Ok(value)
}

/// Puts in what came outside the body. `wrong` makes a refusal of what is wrong with a text.
pub(crate) fn put_bound(
    members: &[Member],
    value: &mut Value,
    bound: &Bound,
    wrong: &dyn Fn(String) -> Refusal,
) -> Result<(), Refusal> {
    let Value::Record(values) = value else { return Ok(()) };
    for (name, texts) in bound {
        let places = members.iter().zip(values.iter_mut());
        for (member, place) in places.filter(|(member, _)| member.name == *name) {
            *place = text_value(member, texts, wrong)?;
        }
    }
    Ok(())
}

fn text_value(
    member: &Member,
    texts: &[String],
    wrong: &dyn Fn(String) -> Refusal,
) -> Result<Option<Value>, Refusal> {
    let one = |schema: &Schema, text: &String| {
        let node = Node { text: Some(text), ..Node::default() };
        query::scalar(schema, &node, member.wire).map_err(|refusal| wrong(refusal.message))
    };
    match (&member.schema.kind, texts) {
        (_, []) => Ok(None),
        (Kind::List { member: item, .. }, texts) => {
            let items = texts.iter().map(|text| one(item, text));
            Ok(Some(Value::List(items.collect::<Result<_, _>>()?)))
        }
        (Kind::Map { value: item, .. }, texts) => {
            let pairs = texts.chunks_exact(2).map(|pair| Ok((pair[0].clone(), one(item, &pair[1])?)));
            Ok(Some(Value::Map(pairs.collect::<Result<_, _>>()?)))
        }
        (_, [text, ..]) => one(member.schema, text).map(Some),
    }
}
