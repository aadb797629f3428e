//! Custom::S3AutoDeleteObjects, which CDK puts into templates for buckets with `autoDeleteObjects`. On AWS a Lambda function
//! of CDK's empties the bucket before it is deleted; here it is built in, and the function is not run.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::s3 as shapes;

use super::super::super::resource::{Progress, Resource, call};
use crate::Engine;

/// Objects of one call (S3 API reference, DeleteObjects).
const KEYS_MAX: usize = 1000;
/// A bucket is emptied only while it has this tag: CDK takes it away together with the option, and the objects stay.
const TAG: &str = "aws-cdk:auto-delete-objects";

pub(super) fn create(cx: &mut Engine, _resource: &Resource) -> Result<String, Refusal> {
    Ok(cx.chance.uuid("cloudformation.s3-auto-delete"))
}

/// With another bucket the one before is emptied.
pub(super) fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if old.text("BucketName") == new.text("BucketName") {
        return Ok(());
    }
    while empty(cx, old.text("BucketName").unwrap_or_default())? == Progress::InProgress {}
    Ok(())
}

pub(super) fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    empty(cx, resource.text("BucketName").unwrap_or_default())
}

/// Deletes up to a thousand versions; done when there are no more.
fn empty(cx: &mut Engine, bucket: &str) -> Result<Progress, Refusal> {
    let row = cx.s3().buckets().get(&Arc::from(bucket));
    let tags = row.and_then(|row| row.settings.tags.as_ref());
    let may = tags.is_some_and(|tags| tags.iter().any(|tag| tag.key == TAG && tag.value == "true"));
    if !may {
        return Ok(Progress::Done);
    }
    let list = shapes::ListObjectVersionsRequest {
        bucket: bucket.to_owned(),
        max_keys: Some(KEYS_MAX as i32),
        ..Default::default()
    };
    let page = call(cx, list)?;
    let versions = page.versions.unwrap_or_default().into_iter().map(|row| (row.key, row.version_id));
    let markers = page.delete_markers.unwrap_or_default().into_iter().map(|row| (row.key, row.version_id));
    let objects: Vec<shapes::ObjectIdentifier> = versions
        .chain(markers)
        .map(|(key, version_id)| shapes::ObjectIdentifier {
            key: key.unwrap_or_default(),
            version_id,
            ..Default::default()
        })
        .collect();
    if objects.is_empty() {
        return Ok(Progress::Done);
    }
    let delete = shapes::Delete { objects, quiet: Some(true) };
    call(cx, shapes::DeleteObjectsRequest { bucket: bucket.to_owned(), delete, ..Default::default() })?;
    Ok(if page.is_truncated == Some(true) { Progress::InProgress } else { Progress::Done })
}
