//! CloudWatch Logs: log groups and resource policies.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::logs as shapes;
use serde_json::Value as Json;

use super::super::resource::{Handler, Progress, Resource, always, call, no_attributes};
use super::common::{already_exists, attributes, changed, or_undo, tag_changes};
use crate::Engine;
use crate::logs::PolicyKey;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::Logs::LogGroup",
        inert: None,
        create: create_group,
        update: update_group,
        delete: delete_group,
        stable: always,
        attributes: |cx, resource| attributes([("Arn", format!("{}:*", arn(cx, &resource.physical_id)))]),
    },
    Handler {
        type_name: "AWS::Logs::ResourcePolicy",
        inert: None,
        create: create_policy,
        update: |cx, _, new| put_policy(cx, new),
        delete: delete_policy,
        stable: always,
        attributes: no_attributes,
    },
];

fn arn(cx: &Engine, group: &str) -> String {
    cx.arn("logs", format_args!("log-group:{group}"))
}

fn create_group(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "LogGroupName", 512);
    let mut request: shapes::CreateLogGroupRequest = without_tags(resource).request(&[])?;
    request.log_group_name.clone_from(&name);
    request.tags = Some(resource.all_tags()).filter(|tags| !tags.is_empty());
    call(cx, request)?;
    let outcome = put_retention(cx, resource, &name);
    or_undo(cx, outcome, |cx| {
        let _gone = call(cx, shapes::DeleteLogGroupRequest { log_group_name: name.clone() });
    })?;
    Ok(name)
}

/// The request has tags as a map.
fn without_tags(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    resource.properties.shift_remove("Tags");
    resource
}

fn put_retention(cx: &mut Engine, resource: &Resource, name: &str) -> Result<(), Refusal> {
    let Some(days) = resource.get("RetentionInDays").and_then(Json::as_i64) else { return Ok(()) };
    let retention_in_days = i32::try_from(days).unwrap_or(i32::MAX);
    let log_group_name = name.to_owned();
    call(cx, shapes::PutRetentionPolicyRequest { log_group_name, retention_in_days }).map(drop)
}

fn update_group(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if changed(old, new, "RetentionInDays") {
        if new.get("RetentionInDays").is_some() {
            put_retention(cx, new, &new.physical_id)?;
        } else {
            call(cx, shapes::DeleteRetentionPolicyRequest { log_group_name: new.physical_id.clone() })?;
        }
    }
    let (tags, gone) = tag_changes(old, new);
    let resource_arn = arn(cx, &new.physical_id);
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: gone })?;
    }
    if !tags.is_empty() {
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

fn delete_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if cx.logs().groups().contains(&Arc::from(resource.physical_id.as_str())) {
        call(cx, shapes::DeleteLogGroupRequest { log_group_name: resource.physical_id.clone() })?;
    }
    Ok(Progress::Done)
}

fn policy_key(resource: &Resource) -> PolicyKey {
    PolicyKey::Account(resource.text("PolicyName").unwrap_or_default().to_owned())
}

fn create_policy(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.text("PolicyName").unwrap_or_default();
    if cx.logs().policies().contains(&policy_key(resource)) {
        return Err(already_exists("AWS::Logs::ResourcePolicy", "PolicyName", name));
    }
    put_policy(cx, resource)?;
    Ok(name.to_owned())
}

fn put_policy(cx: &mut Engine, resource: &Resource) -> Result<(), Refusal> {
    let request: shapes::PutResourcePolicyRequest = resource.request(&[])?;
    call(cx, request).map(drop)
}

fn delete_policy(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if cx.logs().policies().contains(&policy_key(resource)) {
        let policy_name = Some(resource.physical_id.clone());
        call(cx, shapes::DeleteResourcePolicyRequest { policy_name, ..Default::default() })?;
    }
    Ok(Progress::Done)
}
