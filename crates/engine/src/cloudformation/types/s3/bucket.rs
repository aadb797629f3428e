//! AWS::S3::Bucket.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::s3 as shapes;
use serde_json::{Map, Value as Json};

use super::super::super::resource::{Progress, Resource, call};
use super::super::common::{already_exists, attributes as pairs, or_undo, tag_changes};
use super::property;
use crate::Engine;

/// S3 User Guide, bucket naming rules.
const NAME_MAX: usize = 63;

pub(super) fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    property::check(resource)?;
    let name = match resource.text("BucketName") {
        Some(name) => name.to_owned(),
        // Names that CloudFormation makes are brought to what S3 takes.
        None => resource.name(cx, "BucketName", NAME_MAX).to_ascii_lowercase(),
    };
    if cx.s3().buckets().contains(&name.as_str().into()) {
        return Err(already_exists("AWS::S3::Bucket", "BucketName", &name));
    }
    let region = shapes::BucketLocationConstraint::parse(cx.config().region.name);
    let configuration = region.map(|region| shapes::CreateBucketConfiguration {
        location_constraint: Some(region),
        ..shapes::CreateBucketConfiguration::default()
    });
    let request = shapes::CreateBucketRequest {
        bucket: name.clone(),
        create_bucket_configuration: configuration,
        object_lock_enabled_for_bucket: resource.get("ObjectLockEnabled").and_then(Json::as_bool),
        ..shapes::CreateBucketRequest::default()
    };
    call(cx, request)?;
    let outcome = tag(cx, &name, resource).and_then(|()| property::apply(cx, &name, None, resource));
    or_undo(cx, outcome, |cx| {
        let _ = call(cx, shapes::DeleteBucketRequest { bucket: name.clone(), ..Default::default() });
    })?;
    Ok(name)
}

fn tag(cx: &mut Engine, bucket: &str, resource: &Resource) -> Result<(), Refusal> {
    let tags = resource.all_tags();
    let bucket = bucket.to_owned();
    if tags.is_empty() {
        return call(cx, shapes::DeleteBucketTaggingRequest { bucket, ..Default::default() }).map(drop);
    }
    let tag_set = tags.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
    let tagging = shapes::Tagging { tag_set };
    call(cx, shapes::PutBucketTaggingRequest { bucket, tagging, ..Default::default() }).map(drop)
}

pub(super) fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    property::check(new)?;
    let (set, gone) = tag_changes(old, new);
    if !set.is_empty() || !gone.is_empty() {
        tag(cx, &new.physical_id, new)?;
    }
    property::apply(cx, &new.physical_id, Some(old), new)
}

/// A bucket with objects in it stays, and says so.
pub(super) fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let bucket = resource.physical_id.clone();
    if cx.s3().buckets().contains(&Arc::from(bucket.as_str())) {
        call(cx, shapes::DeleteBucketRequest { bucket, ..Default::default() })?;
    }
    Ok(Progress::Done)
}

/// Regions whose website endpoints have a dash before the region (AWS general reference, S3 website endpoints).
const DASHED: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "eu-west-1",
    "sa-east-1",
];

pub(super) fn attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let (name, region) = (&resource.physical_id, cx.config().region.name);
    let mark = if DASHED.contains(&region) { '-' } else { '.' };
    pairs([
        ("Arn", format!("arn:aws:s3:::{name}")),
        ("DomainName", format!("{name}.s3.amazonaws.com")),
        ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
        ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
        ("WebsiteURL", format!("http://{name}.s3-website{mark}{region}.amazonaws.com")),
    ])
}
