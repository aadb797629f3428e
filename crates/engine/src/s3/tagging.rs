//! Tags of buckets and objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::copy::percent_decoded;
use super::error::not_configured;
use super::read::{found, shown_version};
use crate::kernel::Row as _;
use crate::{Caller, Engine};

/// How many tags a bucket and an object may have (S3 User Guide).
pub(super) const OF_BUCKET: usize = 50;
const OF_OBJECT: usize = 10;

pub(super) fn check(tags: &[shapes::Tag], max: usize) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new("InvalidTag", message));
    let mut keys = BTreeSet::new();
    for tag in tags {
        if tag.key.is_empty() || tag.key.chars().count() > 128 {
            return invalid("The TagKey you have provided is invalid");
        }
        if tag.value.chars().count() > 256 {
            return invalid("The TagValue you have provided is invalid");
        }
        if !keys.insert(&tag.key) {
            return invalid("Cannot provide multiple Tags with the same key");
        }
    }
    if tags.len() > max {
        let what = if max == OF_OBJECT { "Object" } else { "Bucket" };
        return Err(Refusal::new("BadRequest", format!("{what} tag count cannot be greater than {max}")));
    }
    Ok(())
}

/// `x-amz-tagging`: tags as a query string.
pub(super) fn of_header(text: Option<&str>) -> Result<Vec<shapes::Tag>, Refusal> {
    let text = text.unwrap_or_default();
    let mut tags = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
        let (Some(key), Some(value)) = (decoded(key), decoded(value)) else {
            let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                           without tag name duplicates.";
            return Err(super::error::invalid_argument(message, "x-amz-tagging", text));
        };
        tags.push(shapes::Tag { key, value });
    }
    check(&tags, OF_OBJECT)?;
    Ok(tags)
}

pub(super) fn get_bucket(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetBucketTaggingRequest,
) -> Result<shapes::GetBucketTaggingResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let tags = bucket.settings.tags.clone();
    let absent = || not_configured("NoSuchTagSet", "The TagSet does not exist", &request.bucket);
    Ok(shapes::GetBucketTaggingResponse { tag_set: tags.ok_or_else(absent)? })
}

pub(super) fn put_bucket(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutBucketTaggingRequest,
) -> Result<shapes::PutBucketTaggingResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let tags = request.tagging.tag_set;
    check(&tags, OF_BUCKET)?;
    if tags.iter().any(|tag| !caller.may_tag(&tag.key)) {
        return Err(Refusal::new("InvalidTag", "System tags cannot be added/updated by requester"));
    }
    if let Some(mut bucket) = cx.s3.buckets.edit(&Arc::from(request.bucket)) {
        bucket.settings.tags = (!tags.is_empty()).then_some(tags);
    }
    Ok(shapes::PutBucketTaggingResponse {})
}

pub(super) fn delete_bucket(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteBucketTaggingRequest,
) -> Result<shapes::DeleteBucketTaggingResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    if let Some(mut bucket) = cx.s3.buckets.edit(&Arc::from(request.bucket)) {
        bucket.settings.tags = None;
    }
    Ok(shapes::DeleteBucketTaggingResponse {})
}

pub(super) fn get_object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetObjectTaggingRequest,
) -> Result<shapes::GetObjectTaggingResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (object, content) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    Ok(shapes::GetObjectTaggingResponse {
        version_id: shown_version(cx, object),
        tag_set: content.tags.clone(),
    })
}

pub(super) fn put_object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutObjectTaggingRequest,
) -> Result<shapes::PutObjectTaggingResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let tags = request.tagging.tag_set;
    check(&tags, OF_OBJECT)?;
    let version_id = set(cx, &request.bucket, &request.key, request.version_id.as_deref(), tags)?;
    Ok(shapes::PutObjectTaggingResponse { version_id })
}

pub(super) fn delete_object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteObjectTaggingRequest,
) -> Result<shapes::DeleteObjectTaggingResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let version_id = set(cx, &request.bucket, &request.key, request.version_id.as_deref(), Vec::new())?;
    Ok(shapes::DeleteObjectTaggingResponse { version_id })
}

fn set(
    cx: &mut Engine,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    tags: Vec<shapes::Tag>,
) -> Result<Option<String>, Refusal> {
    let (object, _) = found(cx, bucket, key, version)?;
    let (row, shown) = (object.key(), shown_version(cx, object));
    if let Some(content) = cx.s3.objects.edit(&row).as_mut().and_then(|object| object.content.as_mut()) {
        content.tags = tags;
    }
    // Lifecycle rules may ask for tags.
    super::lifecycle::set_deadlines(cx, &row.0, &row.1);
    Ok(shown)
}
