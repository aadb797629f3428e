//! What a resource type's handler is given and what it gives back.
//!
//! A handler makes plain calls to the other rooms, as any user could; the stack machine (`operation.rs`) says when.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Call, Kind, Refusal, Schema, Shape, Step, Value};
use serde_json::{Map, Value as Json};

use crate::{Caller, Engine};

/// A resource as its handler sees it: functions resolved, values brought to the types of the resource type's schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    /// ARN of the stack.
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) logical_id: String,
    /// What `Ref` gives; empty before the resource is created.
    pub(crate) physical_id: String,
    /// By the template's names.
    pub(crate) properties: Map<String, Json>,
    /// What `GetAtt` gives, as read when the resource last became stable.
    pub(crate) attributes: Map<String, Json>,
    /// The stack's tags, and `aws:cloudformation:stack-id`, `-name` and `logical-id`.
    pub(crate) tags: BTreeMap<String, String>,
    /// The same in every try to create this resource: for client tokens.
    pub(crate) request_token: String,
    /// Resolved; `Null` when the template gives none.
    pub(crate) creation_policy: Json,
    /// Resolved; `Null` when the template gives none.
    pub(crate) update_policy: Json,
}

/// How far a handler has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    /// Ask again in a second.
    InProgress,
}

/// What CloudFormation knows to do with one resource type.
pub(crate) struct Handler {
    /// `AWS::ECS::Cluster`
    pub(crate) type_name: &'static str,
    /// Why nothing acts behind it; `None` when something does.
    pub(crate) inert: Option<&'static str>,
    /// Gives the physical id at once; whether the resource is ready is for `stable` to say.
    pub(crate) create: fn(&mut Engine, &Resource) -> Result<String, Refusal>,
    /// From the old properties to the new; only for changes that need no replacement.
    pub(crate) update: fn(&mut Engine, &Resource, &Resource) -> Result<(), Refusal>,
    /// Called until it is done. What time or another deletion will cure is `InProgress`, no refusal; a refusal that says
    /// that the resource does not exist counts as done.
    pub(crate) delete: fn(&mut Engine, &Resource) -> Result<Progress, Refusal>,
    /// Called after `create` and `update` until it is done; see [`always`].
    pub(crate) stable: fn(&mut Engine, &Resource) -> Result<Progress, Refusal>,
    /// Read when the resource has become stable.
    pub(crate) attributes: fn(&mut Engine, &Resource) -> Map<String, Json>,
}

/// Stable as soon as its calls have been answered.
pub(crate) fn always(_: &mut Engine, _: &Resource) -> Result<Progress, Refusal> {
    Ok(Progress::Done)
}

/// For types without attributes.
pub(crate) fn no_attributes(_: &mut Engine, _: &Resource) -> Map<String, Json> {
    Map::new()
}

/// For types of which every change replaces.
pub(crate) fn never(_: &mut Engine, _: &Resource, new: &Resource) -> Result<(), Refusal> {
    Err(Refusal::new(
        "NotUpdatable",
        format!("The resource {} cannot be updated, only replaced.", new.logical_id),
    ))
}

impl Resource {
    pub(crate) fn get(&self, property: &str) -> Option<&Json> {
        self.properties.get(property).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, property: &str) -> Option<&str> {
        self.get(property)?.as_str()
    }

    /// What the property says, else a name that CloudFormation makes: `STACK-LOGICALID-` and 12 characters, the first part
    /// cut so that all is at most `max` long (CloudFormation guide, resource names).
    pub(crate) fn name(&self, cx: &mut Engine, property: &str, max: usize) -> String {
        match self.text(property) {
            Some(name) => name.to_owned(),
            None => {
                let suffix = random_suffix(cx);
                let stem: String = format!("{}-{}", self.stack_name, self.logical_id)
                    .chars()
                    .take(max.saturating_sub(suffix.len() + 1))
                    .collect();
                format!("{}-{suffix}", stem.trim_end_matches('-'))
            }
        }
    }

    /// The stack's tags under those of the property `Tags`, be it a list of keys and values or a map.
    pub(crate) fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        match self.get("Tags") {
            Some(Json::Array(items)) => tags.extend(items.iter().filter_map(|item| {
                let key = item.get("Key").or_else(|| item.get("key"))?;
                let value = item.get("Value").or_else(|| item.get("value"))?;
                Some((scalar(key), scalar(value)))
            })),
            Some(Json::Object(map)) => {
                tags.extend(map.iter().map(|(key, value)| (key.clone(), scalar(value))));
            }
            _ => {}
        }
        tags
    }

    /// The properties as a request. Members meet by name, whatever the case of the first letter; what the request does not
    /// have is dropped. `renames` are pairs of (the template's name, the member's name) of the outermost members.
    pub(crate) fn request<R: Call>(&self, renames: &[(&str, &str)]) -> Result<R, Refusal> {
        let mut properties = self.properties.clone();
        for (from, to) in renames {
            if let Some(value) = properties.shift_remove(*from) {
                properties.insert((*to).to_owned(), value);
            }
        }
        shape_of(R::INPUT, &Json::Object(properties))
    }
}

/// Twelve letters and digits, as CloudFormation ends the names that it makes.
pub(crate) fn random_suffix(cx: &mut Engine) -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let letter = |_| char::from(ALPHABET[cx.chance.below("cloudformation.name", 36) as usize]);
    (0..12).map(letter).collect()
}

/// A call to another room, held to its schema first as a user's call is.
pub(crate) fn call<C: Call + Clone>(cx: &mut Engine, request: C) -> Result<C::Output, Refusal> {
    if let Some(value) = request.clone().write()
        && let Some(violation) = capstan_shapes::check(C::INPUT, &value).into_iter().next()
    {
        let mut place = String::from("#");
        for step in &violation.path {
            match step {
                Step::Member(member) => place.push_str(&format!("/{}", member.name)),
                Step::Item(at) => place.push_str(&format!("/{}", at - 1)),
                Step::Key(key) => place.push_str(&format!("/{key}")),
            }
        }
        let value = violation.value.map_or_else(|| "nothing".to_owned(), |value| format!("'{value}'"));
        let (operation, constraint) = (C::OPERATION.name, violation.constraint);
        return Err(Refusal::new(
            "InvalidRequest",
            format!("{place}: {value} breaks a constraint of {operation}: {constraint:?}"),
        ));
    }
    cx.call(Caller::CLOUDFORMATION, request)
}

/// A shape of what the template says: members meet by name, whatever the case of the first letter; what the shape does not
/// have is dropped, texts and numbers change into each other. What is missing in it is for the handler to add: the
/// operation's own checks come with the call.
pub(crate) fn shape_of<S: Shape>(schema: &'static Schema, json: &Json) -> Result<S, Refusal> {
    Ok(S::read(value_of(schema, json)?))
}

fn value_of(schema: &'static Schema, json: &Json) -> Result<Option<Value>, Refusal> {
    let unfit = || {
        Refusal::new(
            "InvalidRequest",
            format!("{json} does not fit {}: another type is expected.", schema.name),
        )
    };
    Ok(Some(match (&schema.kind, json) {
        (_, Json::Null) => return Ok(None),
        (Kind::Record { members }, Json::Object(map)) => {
            let values = members.iter().map(|member| match lookup(map, member.name, member.wire) {
                Some(json) => value_of(member.schema, json),
                None => Ok(None),
            });
            Value::Record(values.collect::<Result<_, _>>()?)
        }
        (Kind::List { member, .. }, Json::Array(items)) => {
            let values = items.iter().filter_map(|json| value_of(member, json).transpose());
            Value::List(values.collect::<Result<_, _>>()?)
        }
        (Kind::Map { value, .. }, Json::Object(map)) => {
            let mut items = BTreeMap::new();
            for (key, json) in map {
                if let Some(item) = value_of(value, json)? {
                    items.insert(key.clone(), item);
                }
            }
            Value::Map(items)
        }
        // A policy document where the request wants its text.
        (Kind::Text { .. }, Json::Object(_) | Json::Array(_)) => Value::Text(json.to_string()),
        (Kind::Text { .. }, json) => Value::Text(scalar(json)),
        (Kind::Bool, Json::Bool(flag)) => Value::Bool(*flag),
        (Kind::Bool, Json::String(text)) => Value::Bool(text.parse().map_err(|_| unfit())?),
        (Kind::Int { .. }, json) => Value::Int(scalar(json).parse().map_err(|_| unfit())?),
        (Kind::Float { .. }, json) => Value::Float(scalar(json).parse().map_err(|_| unfit())?),
        (Kind::Blob { .. }, Json::String(text)) => {
            Value::Blob(BASE64.decode(text).map_err(|_| unfit())?.into())
        }
        (Kind::Time { .. }, Json::String(text)) => Value::Time(Time::parse_iso(text).ok_or_else(unfit)?),
        _ => return Err(unfit()),
    }))
}

/// `EFSVolumeConfiguration` meets `efsVolumeConfiguration`, too: letters count, not their case.
fn lookup<'a>(map: &'a Map<String, Json>, name: &str, wire: &str) -> Option<&'a Json> {
    let alike = |key: &str| key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case(wire);
    map.get(name).or_else(|| map.iter().find(|(key, _)| alike(key)).map(|(_, value)| value))
}

/// A number, flag or text as text.
pub(crate) fn scalar(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
