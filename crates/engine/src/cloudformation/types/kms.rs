//! KMS's resource types.

use capstan_shapes::{Refusal, kms as shapes};
use serde_json::{Map, Value as Json};

use super::common::{attributes, changed, tag_changes};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, no_attributes, scalar};

const INERT: &str = "stored and read back; nothing is encrypted";

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::KMS::Alias",
        inert: Some(INERT),
        create: create_alias,
        update: update_alias,
        delete: delete_alias,
        stable: always,
        attributes: no_attributes,
    },
    Handler {
        type_name: "AWS::KMS::Key",
        inert: Some(INERT),
        create: create_key,
        update: update_key,
        delete: delete_key,
        stable: always,
        attributes: key_attributes,
    },
];

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<shapes::Tag> {
    tags.into_iter().map(|(tag_key, tag_value)| shapes::Tag { tag_key, tag_value }).collect()
}

fn flag(resource: &Resource, property: &str, usual: bool) -> bool {
    resource.get(property).map_or(usual, |value| scalar(value) == "true")
}

fn create_key(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateKeyRequest = resource.request(&[("KeyPolicy", "Policy"), ("Tags", "")])?;
    request.tags = Some(tags(resource.all_tags())).filter(|tags| !tags.is_empty());
    let id = call(cx, request)?.key_metadata.map(|key| key.key_id).unwrap_or_default();
    if let Err(refusal) = put_switches(cx, &id, None, resource) {
        let key_id = id.clone();
        let _ = call(cx, shapes::ScheduleKeyDeletionRequest { key_id, pending_window_in_days: Some(7) });
        return Err(refusal);
    }
    Ok(id)
}

/// Rotation can only be set while the key is enabled.
fn put_switches(cx: &mut Engine, id: &str, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    let key_id = id.to_owned();
    let was = |property: &str, usual: bool| old.map_or(usual, |old| flag(old, property, usual));
    let (enabled, rotates) = (flag(new, "Enabled", true), flag(new, "EnableKeyRotation", false));
    if enabled && !was("Enabled", true) {
        call(cx, shapes::EnableKeyRequest { key_id: key_id.clone() })?;
    }
    let period = |resource: &Resource| resource.get("RotationPeriodInDays").and_then(Json::as_i64);
    let rotated = was("EnableKeyRotation", false);
    if rotates && (!rotated || old.is_some_and(|old| period(old) != period(new))) {
        let rotation_period_in_days = period(new).and_then(|days| i32::try_from(days).ok());
        call(cx, shapes::EnableKeyRotationRequest { key_id: key_id.clone(), rotation_period_in_days })?;
    }
    if rotated && !rotates {
        call(cx, shapes::DisableKeyRotationRequest { key_id: key_id.clone() })?;
    }
    if !enabled && was("Enabled", true) {
        call(cx, shapes::DisableKeyRequest { key_id })?;
    }
    Ok(())
}

fn update_key(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let key_id = &new.physical_id;
    for property in ["KeySpec", "KeyUsage", "MultiRegion", "Origin"] {
        if changed(old, new, property) {
            return Err(Refusal::new(
                "NotUpdatable",
                format!("You cannot change the {property} of a KMS key."),
            ));
        }
    }
    if changed(old, new, "Description") {
        let description = new.text("Description").unwrap_or_default().to_owned();
        call(cx, shapes::UpdateKeyDescriptionRequest { key_id: key_id.clone(), description })?;
    }
    if changed(old, new, "KeyPolicy")
        && let Some(policy) = new.get("KeyPolicy").map(scalar)
    {
        let request = shapes::PutKeyPolicyRequest { key_id: key_id.clone(), policy, ..Default::default() };
        call(cx, request)?;
    }
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagResourceRequest { key_id: key_id.clone(), tag_keys: gone })?;
    }
    if !set.is_empty() {
        call(cx, shapes::TagResourceRequest { key_id: key_id.clone(), tags: tags(set) })?;
    }
    put_switches(cx, key_id, Some(old), new)
}

/// The key stays for its waiting period, as on AWS; the resource is done when that has begun.
fn delete_key(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let days = resource.get("PendingWindowInDays").and_then(Json::as_i64);
    let request = shapes::ScheduleKeyDeletionRequest {
        key_id: resource.physical_id.clone(),
        pending_window_in_days: days.and_then(|days| i32::try_from(days).ok()),
    };
    if cx.kms.keys().get(&resource.physical_id).is_some_and(|key| key.deletion.is_none()) {
        call(cx, request)?;
    }
    Ok(Progress::Done)
}

fn key_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.kms.keys().get(&resource.physical_id) else { return Map::new() };
    attributes([("Arn", row.arn.clone()), ("KeyId", row.id.clone())])
}

fn create_alias(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request: shapes::CreateAliasRequest = resource.request(&[])?;
    let name = request.alias_name.clone();
    call(cx, request)?;
    Ok(name)
}

fn update_alias(cx: &mut Engine, _: &Resource, new: &Resource) -> Result<(), Refusal> {
    let request: shapes::UpdateAliasRequest = new.request(&[])?;
    call(cx, request).map(drop)
}

fn delete_alias(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteAliasRequest { alias_name: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}
