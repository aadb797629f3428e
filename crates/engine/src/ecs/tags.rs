//! Tags of ECS resources.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, ecs as shapes};

use super::cluster::invalid;

/// Tags on one resource (ECS guide, service-quotas).
pub(super) const MAX: usize = 50;

/// The tags of a request as rows keep them.
pub(super) fn check(given: &[shapes::Tag]) -> Result<BTreeMap<String, String>, Refusal> {
    if given.len() > MAX {
        return Err(invalid(format!("Tags cannot have more than {MAX} elements.")));
    }
    let mut tags = BTreeMap::new();
    for tag in given {
        let key = tag.key.as_deref().unwrap_or_default();
        if key.is_empty() {
            return Err(invalid("Tag keys must not be blank."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys must not start with the reserved prefix aws:."));
        }
        if tags.insert(key.to_owned(), tag.value.clone().unwrap_or_default()).is_some() {
            return Err(invalid(format!("Duplicate tag keys are not allowed: {key}.")));
        }
    }
    Ok(tags)
}

/// Tags as the API shows them.
pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<shapes::Tag> {
    let shown = tags.iter().map(|(key, value)| (key.clone(), value.clone()));
    shown.map(|(key, value)| shapes::Tag { key: Some(key), value: Some(value) }).collect()
}
