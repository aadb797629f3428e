//! ECR: repositories.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::ecr as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::resource::{Handler, Progress, Resource, always, call, scalar, shape_of};
use super::common::{any_changed, attributes as pairs, changed, or_undo, tag_changes};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::ECR::Repository",
    inert: Some("kept and shown; there is no registry to push images to"),
    create,
    update,
    delete,
    stable: always,
    attributes,
}];

/// ECR User Guide, repository names.
const NAME_MAX: usize = 256;

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = match resource.text("RepositoryName") {
        Some(name) => name.to_owned(),
        None => resource.name(cx, "RepositoryName", NAME_MAX).to_ascii_lowercase(),
    };
    let mut request: shapes::CreateRepositoryRequest = shape_of(
        <shapes::CreateRepositoryRequest as capstan_shapes::Call>::INPUT,
        &json!({
            "repositoryName": name,
            "imageTagMutability": resource.get("ImageTagMutability"),
            "imageTagMutabilityExclusionFilters": filters(resource),
            "imageScanningConfiguration": resource.get("ImageScanningConfiguration"),
            "encryptionConfiguration": resource.get("EncryptionConfiguration"),
        }),
    )?;
    let tags = resource.all_tags().into_iter().map(|(key, value)| shapes::Tag { key, value });
    request.tags = Some(tags.collect());
    call(cx, request)?;
    let outcome = put_policies(cx, &name, None, resource);
    or_undo(cx, outcome, |cx| {
        let request = shapes::DeleteRepositoryRequest { repository_name: name.clone(), ..Default::default() };
        let _ = call(cx, request);
    })?;
    Ok(name)
}

/// The template's names are longer than the API's.
fn filters(resource: &Resource) -> Option<Json> {
    let items = resource.get("ImageTagMutabilityExclusionFilters")?.as_array()?;
    let filter = |item: &Json| {
        json!({
            "filterType": item["ImageTagMutabilityExclusionFilterType"],
            "filter": item["ImageTagMutabilityExclusionFilterValue"],
        })
    };
    Some(items.iter().map(filter).collect())
}

fn put_policies(cx: &mut Engine, name: &str, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    let repository_name = name.to_owned();
    let differs = |property: &str| old.is_none_or(|old| changed(old, new, property));
    if differs("RepositoryPolicyText") {
        let before = cx.ecr().repositories().get(&Arc::from(name)).is_some_and(|row| row.policy.is_some());
        match new.get("RepositoryPolicyText").map(scalar) {
            Some(policy_text) => {
                let repository_name = repository_name.clone();
                call(
                    cx,
                    shapes::SetRepositoryPolicyRequest { repository_name, policy_text, ..Default::default() },
                )?;
            }
            None if before => {
                let repository_name = repository_name.clone();
                call(cx, shapes::DeleteRepositoryPolicyRequest { repository_name, ..Default::default() })?;
            }
            None => {}
        }
    }
    if differs("LifecyclePolicy") {
        let before = cx.ecr().repositories().get(&Arc::from(name)).is_some_and(|row| row.lifecycle.is_some());
        let text =
            new.get("LifecyclePolicy").and_then(|policy| policy.get("LifecyclePolicyText")).map(scalar);
        match text {
            Some(lifecycle_policy_text) => {
                let request = shapes::PutLifecyclePolicyRequest {
                    repository_name,
                    lifecycle_policy_text,
                    ..Default::default()
                };
                call(cx, request)?;
            }
            None if before => {
                call(cx, shapes::DeleteLifecyclePolicyRequest { repository_name, ..Default::default() })?;
            }
            None => {}
        }
    }
    Ok(())
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let name = new.physical_id.clone();
    if any_changed(old, new, &["ImageTagMutability", "ImageTagMutabilityExclusionFilters"]) {
        let document = json!({
            "repositoryName": name,
            "imageTagMutability": new.text("ImageTagMutability").unwrap_or("MUTABLE"),
            "imageTagMutabilityExclusionFilters": filters(new),
        });
        let schema = <shapes::PutImageTagMutabilityRequest as capstan_shapes::Call>::INPUT;
        let request: shapes::PutImageTagMutabilityRequest = shape_of(schema, &document)?;
        call(cx, request)?;
    }
    if changed(old, new, "ImageScanningConfiguration") {
        let scanning = new.get("ImageScanningConfiguration").and_then(|scanning| scanning.get("ScanOnPush"));
        let scan_on_push = scanning.and_then(Json::as_bool).unwrap_or(false);
        let request = shapes::PutImageScanningConfigurationRequest {
            repository_name: name.clone(),
            image_scanning_configuration: shapes::ImageScanningConfiguration {
                scan_on_push: Some(scan_on_push),
            },
            ..Default::default()
        };
        call(cx, request)?;
    }
    put_policies(cx, &name, Some(old), new)?;
    let (set, gone) = tag_changes(old, new);
    let resource_arn = arn(cx, &name);
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if cx.ecr().repositories().contains(&Arc::from(resource.physical_id.as_str())) {
        let request = shapes::DeleteRepositoryRequest {
            repository_name: resource.physical_id.clone(),
            force: resource.get("EmptyOnDelete").and_then(Json::as_bool),
            ..Default::default()
        };
        call(cx, request)?;
    }
    Ok(Progress::Done)
}

fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("ecr", format_args!("repository/{name}"))
}

fn attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let (name, config) = (&resource.physical_id, cx.config());
    let uri = format!("{}.dkr.ecr.{}.amazonaws.com/{name}", config.account, config.region.name);
    pairs([("Arn", arn(cx, name)), ("RepositoryUri", uri)])
}
