//! Versioning, and the listing of versions.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::{invalid_argument, malformed};
use super::list::{common_prefixes, max_keys};
use super::{Object, owner, quoted, shown_key};
use crate::{Caller, Engine};

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetBucketVersioningRequest,
) -> Result<shapes::GetBucketVersioningResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    Ok(shapes::GetBucketVersioningResponse { status: bucket.versioning, mfa_delete: None })
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutBucketVersioningRequest,
) -> Result<shapes::PutBucketVersioningResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let status = request.versioning_configuration.status.ok_or_else(malformed)?;
    if bucket.settings.object_lock.is_some() && status == shapes::BucketVersioningStatus::Suspended {
        let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
        return Err(Refusal::new("InvalidBucketState", message).with_status(409));
    }
    if let Some(mut bucket) = cx.s3.buckets.edit(&Arc::from(request.bucket)) {
        bucket.versioning = Some(status);
    }
    Ok(shapes::PutBucketVersioningResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListObjectVersionsRequest,
) -> Result<shapes::ListObjectVersionsResponse, Refusal> {
    let bucket = Arc::clone(&owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?.name);
    let max = max_keys(request.max_keys, "max-keys")?;
    let (marker, version_marker) = (request.key_marker.as_deref(), request.version_id_marker.as_deref());
    if version_marker.is_some() && marker.is_none() {
        let message = "A version-id marker cannot be specified without a key marker.";
        return Err(invalid_argument(message, "version-id-marker", version_marker.unwrap_or_default()));
    }
    let prefix = request.prefix.as_deref().unwrap_or_default();
    let delimiter = request.delimiter.as_deref().unwrap_or_default();
    let encoding = request.encoding_type;
    let owner = owner(cx);
    let mut response = shapes::ListObjectVersionsResponse {
        is_truncated: Some(false),
        key_marker: Some(shown_key(marker.unwrap_or_default(), encoding)),
        version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
        name: Some(bucket.to_string()),
        prefix: Some(shown_key(prefix, encoding)),
        delimiter: request.delimiter.as_deref().map(|delimiter| shown_key(delimiter, encoding)),
        max_keys: Some(max as i32),
        encoding_type: encoding,
        ..shapes::ListObjectVersionsResponse::default()
    };
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::<String>::new());
    // The last thing on the page: a key and a version, or a common prefix.
    let mut last: Option<(String, Option<String>)> = None;
    let mut passed_marker = version_marker.is_none();
    let mut name_before: Option<&Arc<str>> = None;
    for object in cx.s3.objects_from(&bucket, marker.unwrap_or_default().max(prefix)) {
        let Some(rest) = object.name.strip_prefix(prefix) else { break };
        let is_latest = name_before != Some(&object.name);
        name_before = Some(&object.name);
        if Some(&*object.name) == marker {
            // Of the marker's key come those after the version marker; without one, none.
            let after = passed_marker && version_marker.is_some();
            passed_marker = passed_marker || Some(&*object.version) == version_marker;
            if !after {
                continue;
            }
        }
        let end = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        let common = end.map(|end| &object.name[..prefix.len() + end + delimiter.len()]);
        if let Some(common) = common
            && (Some(common) == marker || prefixes.last().is_some_and(|before| before == common))
        {
            continue;
        }
        if versions.len() + markers.len() + prefixes.len() == max {
            response.is_truncated = Some(max > 0);
            break;
        }
        match common {
            Some(common) => {
                prefixes.push(common.to_owned());
                last = Some((common.to_owned(), None));
            }
            None => {
                last = Some((object.name.to_string(), Some(object.version.to_string())));
                match shown(object, is_latest, encoding, &owner) {
                    Shown::Version(version) => versions.push(version),
                    Shown::Marker(marker) => markers.push(marker),
                }
            }
        }
    }
    if response.is_truncated == Some(true)
        && let Some((key, version)) = last
    {
        response.next_key_marker = Some(shown_key(&key, encoding));
        response.next_version_id_marker = version;
    }
    response.common_prefixes = common_prefixes(prefixes, encoding);
    response.versions = Some(versions);
    response.delete_markers = Some(markers);
    Ok(response)
}

enum Shown {
    Version(shapes::ObjectVersion),
    Marker(shapes::DeleteMarkerEntry),
}

fn shown(
    object: &Object,
    is_latest: bool,
    encoding: Option<shapes::EncodingType>,
    owner: &shapes::Owner,
) -> Shown {
    let key = Some(shown_key(&object.name, encoding));
    let version_id = Some(object.version.to_string());
    match &object.content {
        None => Shown::Marker(shapes::DeleteMarkerEntry {
            owner: Some(owner.clone()),
            key,
            version_id,
            is_latest: Some(is_latest),
            last_modified: Some(object.modified),
        }),
        Some(content) => Shown::Version(shapes::ObjectVersion {
            e_tag: quoted(&content.etag),
            checksum_algorithm: Some(vec![content.checksum.algorithm]),
            checksum_type: Some(content.checksum.kind),
            size: Some(content.body.len() as i64),
            storage_class: Some(shapes::ObjectVersionStorageClass::Standard),
            key,
            version_id,
            is_latest: Some(is_latest),
            last_modified: Some(object.modified),
            owner: Some(owner.clone()),
            restore_status: None,
        }),
    }
}
