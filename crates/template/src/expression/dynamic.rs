//! Dynamic references: `{{resolve:ssm:NAME}}` and `{{resolve:ssm:NAME:VERSION}}` inside texts.

use serde_json::Value as Json;

use crate::{TemplateError, World};

const OPENING: &str = "{{resolve:";

/// Replaces them wherever they stand in a value.
pub(crate) fn replace(value: &mut Json, world: &dyn World) -> Result<(), TemplateError> {
    match value {
        Json::String(text) if text.contains(OPENING) => {
            *text = replaced(text, world)?;
            Ok(())
        }
        Json::Array(items) => items.iter_mut().enumerate().try_for_each(|(index, item)| {
            replace(item, world).map_err(|error| error.within(index.to_string()))
        }),
        Json::Object(members) => members.iter_mut().try_for_each(|(name, member)| {
            replace(member, world).map_err(|error| error.within(name.as_str()))
        }),
        _ => Ok(()),
    }
}

fn replaced(text: &str, world: &dyn World) -> Result<String, TemplateError> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        let Some(length) = rest[start..].find("}}") else { break };
        let reference = &rest[start + OPENING.len()..start + length];
        result.push_str(&rest[..start]);
        result.push_str(&look_up(reference, world)?);
        rest = &rest[start + length + 2..];
    }
    result.push_str(rest);
    Ok(result)
}

fn look_up(reference: &str, world: &dyn World) -> Result<String, TemplateError> {
    let (service, key) = reference.split_once(':').unwrap_or((reference, ""));
    match service {
        "ssm" => {
            let (name, version) = match key.rsplit_once(':') {
                Some((name, version)) => (name, Some(version)),
                None => (key, None),
            };
            world.ssm(name, version).ok_or_else(|| {
                TemplateError::new(format!(
                    "Unable to fetch parameters [{key}] from parameter store for this account."
                ))
            })
        }
        "ssm-secure" | "secretsmanager" => Err(TemplateError::new(format!(
            "Dynamic references to {service} are not supported here; {{{{resolve:ssm:NAME}}}} is"
        ))),
        _ => Err(TemplateError::new(format!(
            "Incorrect format is used in the following dynamic reference: [{{{{resolve:{reference}}}}}]"
        ))),
    }
}
