//! How large a definition is: the length of its JSON text.

use capstan_shapes::{Kind, Refusal, Schema, Shape, Value, ecs as shapes};

use super::client;

/// Bytes (ECS guide, service-quotas).
const MAX: usize = 64 * 1024;

pub(super) fn check(definition: &shapes::TaskDefinition) -> Result<(), Refusal> {
    let length = definition.clone().write().map_or(0, |value| length(&value, &shapes::TASK_DEFINITION));
    if length > MAX {
        return Err(client(format!("Actual length: '{length}'. Max allowed length is '{MAX}' bytes.")));
    }
    Ok(())
}

/// With brackets, quotes, colons and commas, without spaces. Text counts as it stands, unescaped.
fn length(value: &Value, schema: &Schema) -> usize {
    let listed =
        |lengths: &mut dyn Iterator<Item = usize>| 1 + lengths.map(|length| length + 1).sum::<usize>().max(1);
    let quoted = |text: &str| text.len() + 2;
    match (value, &schema.kind) {
        (Value::Record(values), Kind::Record { members }) => {
            let present =
                values.iter().zip(*members).filter_map(|(value, member)| Some((value.as_ref()?, member)));
            listed(&mut present.map(|(value, member)| quoted(member.wire) + 1 + length(value, member.schema)))
        }
        (Value::List(items), Kind::List { member, .. }) => {
            listed(&mut items.iter().map(|item| length(item, member)))
        }
        (Value::Map(items), Kind::Map { value, .. }) => {
            listed(&mut items.iter().map(|(key, item)| quoted(key) + 1 + length(item, value)))
        }
        (Value::Text(text), _) => quoted(text),
        (Value::Bool(flag), _) => {
            if *flag {
                4
            } else {
                5
            }
        }
        (Value::Int(number), _) => number.to_string().len(),
        (value, _) => format!("{value:?}").len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_json_would_take() {
        let check = |definition: shapes::TaskDefinition, json: &str| {
            let value = definition.write().expect("a record");
            assert_eq!(length(&value, &shapes::TASK_DEFINITION), json.len(), "{json}");
        };
        check(shapes::TaskDefinition::default(), "{}");
        let container = shapes::ContainerDefinition {
            name: Some("web".to_owned()),
            cpu: Some(256),
            essential: Some(true),
            docker_labels: Some([("a".to_owned(), "b".to_owned())].into()),
            links: Some(Vec::new()),
            ..Default::default()
        };
        check(
            shapes::TaskDefinition {
                container_definitions: Some(vec![container]),
                family: Some("f".to_owned()),
                ..Default::default()
            },
            r#"{"containerDefinitions":[{"name":"web","cpu":256,"links":[],"essential":true,"dockerLabels":{"a":"b"}}],"family":"f"}"#,
        );
    }
}
