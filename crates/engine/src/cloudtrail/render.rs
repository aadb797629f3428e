//! Requests and responses as CloudTrail shows them: members in lower camel case; EC2's in the form of its XML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Kind, Member, Request, Response, Schema, Value};
use serde_json::{Map, Value as Json, json};

/// What stands in the place of user data (CloudTrail guide, record contents).
const REMOVED: &str = "<sensitiveDataRemoved>";

/// `requestParameters`; null without any.
pub(super) fn request(request: &Request) -> Json {
    let (service, schema) = (request.service().name, request.operation().input);
    let mut json = Style::of(service).value(schema, request.clone().write());
    if service == "ec2" {
        gather_instances(&mut json);
    }
    null_if_empty(json)
}

/// `responseElements`; null without any.
pub(super) fn response(service: &str, response: &Response) -> Json {
    let schema = response.operation().output;
    null_if_empty(Style::of(service).value(schema, response.clone().write()))
}

fn null_if_empty(json: Json) -> Json {
    if json.as_object().is_some_and(Map::is_empty) { Json::Null } else { json }
}

/// EC2 puts the instances that a request is about, or what they are to be, into `instancesSet`.
fn gather_instances(json: &mut Json) {
    let Some(map) = json.as_object_mut() else { return };
    if let Some(ids) = map.remove("instanceIds") {
        let ids = ids.get("items").and_then(Json::as_array).cloned().unwrap_or_default();
        let items: Vec<Json> = ids.into_iter().map(|id| json!({ "instanceId": id })).collect();
        map.insert("instancesSet".to_owned(), json!({ "items": items }));
    } else if map.contains_key("minCount") {
        let wanted = ["imageId", "keyName", "minCount", "maxCount"];
        let item: Map<String, Json> =
            wanted.iter().filter_map(|name| Some(((*name).to_owned(), map.remove(*name)?))).collect();
        map.insert("instancesSet".to_owned(), json!({ "items": [item] }));
    }
}

/// How a service's shapes are written.
#[derive(Clone, Copy)]
enum Style {
    Ec2,
    Others,
}

impl Style {
    fn of(service: &str) -> Self {
        if service == "ec2" { Self::Ec2 } else { Self::Others }
    }

    fn name(self, member: &Member) -> String {
        match self {
            // In answers the wire name is the element's; requests have upper-case names on the wire.
            Self::Ec2 if member.wire.starts_with(|c: char| c.is_ascii_lowercase()) => member.wire.to_owned(),
            _ => {
                let mut chars = member.name.chars();
                chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
            }
        }
    }

    fn value(self, schema: &Schema, value: Value) -> Json {
        match (&schema.kind, value) {
            (Kind::Record { members }, Value::Record(values)) => {
                let mut map = Map::new();
                for (member, value) in members.iter().zip(values) {
                    let Some(value) = value else { continue };
                    let shown = match member.name {
                        "UserData" => REMOVED.into(),
                        _ => self.value(member.schema, value),
                    };
                    map.insert(self.name(member), shown);
                }
                Json::Object(map)
            }
            (Kind::List { member, .. }, Value::List(items)) => {
                let items: Json = items.into_iter().map(|item| self.value(member, item)).collect();
                match self {
                    Self::Ec2 => json!({ "items": items }),
                    Self::Others => items,
                }
            }
            (Kind::Map { value, .. }, Value::Map(items)) => {
                Json::Object(items.into_iter().map(|(key, item)| (key, self.value(value, item))).collect())
            }
            (_, Value::Blob(bytes)) => Json::String(BASE64.encode(bytes)),
            (_, Value::Bool(flag)) => flag.into(),
            (_, Value::Float(number)) => number.into(),
            (_, Value::Int(number)) => number.into(),
            (_, Value::Text(text)) => text.into(),
            (_, Value::Time(time)) => match self {
                Self::Ec2 => time.as_millis().into(),
                Self::Others => spelled(time).into(),
            },
            // A value that is not of its schema can only be our own mistake.
            (_, Value::Record(_) | Value::List(_) | Value::Map(_)) => Json::Null,
        }
    }
}

/// `Sep 27, 2022, 9:11:42 PM`
fn spelled(time: Time) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = time.civil();
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = (hour + 11) % 12 + 1;
    format!("{month} {day}, {year}, {hour}:{minute:02}:{second:02} {half}")
}
