//! What handlers of many services need.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use serde_json::{Map, Value as Json};

use super::super::resource::{Progress, Resource, random_suffix};
use crate::Engine;

/// An answer as progress: done, or not yet when it was refused with one of those codes, which time or another deletion
/// will cure.
pub(super) fn until<T>(answer: Result<T, Refusal>, cured: &[&str]) -> Result<Progress, Refusal> {
    match answer {
        Ok(_) => Ok(Progress::Done),
        Err(refusal) if cured.contains(&&*refusal.code) => Ok(Progress::InProgress),
        Err(refusal) => Err(refusal),
    }
}

pub(super) fn done_if(done: bool) -> Progress {
    if done { Progress::Done } else { Progress::InProgress }
}

/// What `GetAtt` gives.
pub(super) fn attributes<const N: usize>(pairs: [(&str, String); N]) -> Map<String, Json> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Json::String(value))).collect()
}

/// Tags that came or changed, and keys that went.
pub(super) fn tag_changes(old: &Resource, new: &Resource) -> (BTreeMap<String, String>, Vec<String>) {
    let (old, new) = (old.all_tags(), new.all_tags());
    let gone = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    let set = new.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect();
    (set, gone)
}

/// `new`, with an empty list for each list that the template does not have any more: a request that leaves a member out
/// changes nothing.
pub(super) fn cleared(old: &Resource, new: &Resource) -> Resource {
    let mut cleared = new.clone();
    for (name, value) in &old.properties {
        if value.is_array() && !cleared.properties.contains_key(name) {
            cleared.properties.insert(name.clone(), Json::Array(Vec::new()));
        }
    }
    cleared
}

/// Whether the property changed.
pub(super) fn changed(old: &Resource, new: &Resource, property: &str) -> bool {
    old.get(property) != new.get(property)
}

pub(super) fn any_changed(old: &Resource, new: &Resource, properties: &[&str]) -> bool {
    properties.iter().any(|property| changed(old, new, property))
}

/// The texts of a list property.
pub(super) fn texts(resource: &Resource, property: &str) -> Vec<String> {
    let items = resource.get(property).and_then(Json::as_array);
    items.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The name is taken: the calls that would adopt or overwrite what is there are not made.
pub(super) fn already_exists(type_name: &str, property: &str, value: &str) -> Refusal {
    let message = format!(
        "Resource of type '{type_name}' with identifier '{{\"/properties/{property}\":\"{value}\"}}' already exists."
    );
    Refusal::new("AlreadyExists", message)
}

/// The outcome of a later step of a create; when it failed, what the first step made is taken back.
pub(super) fn or_undo(
    cx: &mut Engine,
    outcome: Result<(), Refusal>,
    undo: impl FnOnce(&mut Engine),
) -> Result<(), Refusal> {
    if outcome.is_err() {
        undo(cx);
    }
    outcome
}

/// Names of load balancers and target groups have 32 characters at most: CloudFormation takes 5 of the stack's name, 5 of
/// the logical id and 12 of its own (observed).
pub(super) fn short_name(cx: &mut Engine, resource: &Resource) -> String {
    if let Some(name) = resource.text("Name") {
        return name.to_owned();
    }
    let five = |text: &str| text.chars().take(5).collect::<String>();
    let (stack, logical) = (five(&resource.stack_name), five(&resource.logical_id));
    format!("{stack}-{logical}-{}", random_suffix(cx))
}
