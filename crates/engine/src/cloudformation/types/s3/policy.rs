//! AWS::S3::BucketPolicy.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::s3 as shapes;

use super::super::super::resource::{Progress, Resource, call, scalar};
use super::super::common::already_exists;
use crate::Engine;

pub(super) fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let bucket = resource.text("Bucket").unwrap_or_default().to_owned();
    let there = cx.s3().buckets().get(&Arc::from(bucket.as_str()));
    if there.is_some_and(|row| row.settings.policy.is_some()) {
        return Err(already_exists("AWS::S3::BucketPolicy", "Bucket", &bucket));
    }
    put(cx, &bucket, resource)?;
    Ok(bucket)
}

fn put(cx: &mut Engine, bucket: &str, resource: &Resource) -> Result<(), Refusal> {
    let policy = resource.get("PolicyDocument").map(scalar).unwrap_or_default();
    let request = shapes::PutBucketPolicyRequest { bucket: bucket.to_owned(), policy, ..Default::default() };
    call(cx, request).map(drop)
}

pub(super) fn update(cx: &mut Engine, _old: &Resource, new: &Resource) -> Result<(), Refusal> {
    put(cx, &new.physical_id, new)
}

pub(super) fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let bucket = resource.physical_id.clone();
    if cx.s3().buckets().contains(&Arc::from(bucket.as_str())) {
        call(cx, shapes::DeleteBucketPolicyRequest { bucket, ..Default::default() })?;
    }
    Ok(Progress::Done)
}
