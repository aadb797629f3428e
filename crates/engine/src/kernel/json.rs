//! Between shapes and JSON documents: what events and trails show of a shape, and what they bring back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Kind, Schema, Shape, Value};
use serde_json::{Map, Value as Json};

/// A shape as events show it: members by their names, moments as `2018-06-18T22:28:28.123Z`.
pub(crate) fn json(schema: &Schema, shape: impl Shape) -> Json {
    shape.write().map_or(Json::Null, |value| of_value(schema, value))
}

/// The same for a value that is not typed.
pub(crate) fn of_value(schema: &Schema, value: Value) -> Json {
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            let mut map = Map::new();
            for (member, value) in members.iter().zip(values) {
                if let Some(value) = value {
                    map.insert(member.name.to_owned(), of_value(member.schema, value));
                }
            }
            Json::Object(map)
        }
        (Kind::List { member, .. }, Value::List(items)) => {
            items.into_iter().map(|item| of_value(member, item)).collect()
        }
        (Kind::Map { value, .. }, Value::Map(items)) => {
            Json::Object(items.into_iter().map(|(key, item)| (key, of_value(value, item))).collect())
        }
        (_, Value::Blob(bytes)) => Json::String(BASE64.encode(bytes)),
        (_, Value::Bool(flag)) => Json::Bool(flag),
        (_, Value::Float(number)) => Json::from(number),
        (_, Value::Int(number)) => Json::from(number),
        (_, Value::Text(text)) => Json::String(text),
        (_, Value::Time(time)) => Json::String(time.iso_millis()),
        // A value that is not of its schema can only be our own mistake.
        (_, Value::Record(_) | Value::List(_) | Value::Map(_)) => Json::Null,
    }
}

/// A document that holds something of another type than its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// The shape that a document holds. Members that the shape does not have are ignored.
pub(crate) fn shape<S: Shape>(schema: &Schema, json: Json) -> Result<S, Unfit> {
    Ok(S::read(to_value(schema, json)?))
}

fn to_value(schema: &Schema, json: Json) -> Result<Option<Value>, Unfit> {
    Ok(Some(match (&schema.kind, json) {
        (_, Json::Null) => return Ok(None),
        (Kind::Record { members }, Json::Object(mut map)) => {
            let values = members.iter().map(|member| match map.get_mut(member.name) {
                Some(json) => to_value(member.schema, json.take()),
                None => Ok(None),
            });
            Value::Record(values.collect::<Result<_, _>>()?)
        }
        (Kind::List { member, .. }, Json::Array(items)) => {
            let values = items.into_iter().filter_map(|json| to_value(member, json).transpose());
            Value::List(values.collect::<Result<_, _>>()?)
        }
        (Kind::Map { value, .. }, Json::Object(map)) => {
            let values = map.into_iter().filter_map(|(key, json)| match to_value(value, json) {
                Ok(item) => item.map(|item| Ok((key, item))),
                Err(unfit) => Some(Err(unfit)),
            });
            Value::Map(values.collect::<Result<_, _>>()?)
        }
        (Kind::Text { .. }, Json::String(text)) => Value::Text(text),
        (Kind::Bool, Json::Bool(flag)) => Value::Bool(flag),
        (Kind::Int { .. }, Json::Number(number)) => Value::Int(number.as_i64().ok_or(Unfit)?),
        (Kind::Float { .. }, Json::Number(number)) => Value::Float(number.as_f64().ok_or(Unfit)?),
        (Kind::Blob { .. }, Json::String(text)) => {
            Value::Blob(BASE64.decode(text).map_err(|_| Unfit)?.into())
        }
        (Kind::Time { .. }, Json::Number(number)) => {
            Value::Time(Time::from_secs(number.as_i64().ok_or(Unfit)?))
        }
        (Kind::Time { .. }, Json::String(text)) => Value::Time(Time::parse_iso(&text).ok_or(Unfit)?),
        _ => return Err(Unfit),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_shapes::ecs;

    #[test]
    fn shapes_go_to_documents_and_back() {
        let task = ecs::Task {
            task_arn: Some("arn".to_owned()),
            created_at: Some(Time::from_millis(1_500)),
            version: Some(3),
            containers: Some(vec![ecs::Container { exit_code: Some(137), ..Default::default() }]),
            ..Default::default()
        };
        let document = json(&ecs::TASK, task.clone());
        assert_eq!(
            document,
            serde_json::json!({
                "containers": [{ "exitCode": 137 }],
                "createdAt": "1970-01-01T00:00:01.500Z",
                "taskArn": "arn",
                "version": 3,
            })
        );
        assert_eq!(shape::<ecs::Task>(&ecs::TASK, document), Ok(task));
    }

    #[test]
    fn documents_that_do_not_fit_are_told() {
        let check = |text: &str, fits: bool| {
            let document = serde_json::from_str(text).unwrap_or_default();
            assert_eq!(shape::<ecs::TaskOverride>(&ecs::TASK_OVERRIDE, document).is_ok(), fits, "{text}");
        };
        check(r#"{"containerOverrides":[{"name":"web","command":["a"],"unknown":1}],"cpu":null}"#, true);
        check(r#"{"containerOverrides":{}}"#, false);
        check(r#"{"containerOverrides":[{"name":5}]}"#, false);
        check(r#"{"cpu":5}"#, false);
        check("[]", false);
    }
}
