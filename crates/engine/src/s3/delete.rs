//! Objects: deleted, or hidden by a delete marker (S3 User Guide, "Deleting object versions").

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::{malformed, no_such_key, precondition_failed};
use super::{Object, object};
use crate::kernel::Row as _;
use crate::{Caller, Engine};

/// Keys of one DeleteObjects (S3 API reference).
const KEYS_MAX: usize = 1000;

/// What is to be deleted, and on which conditions.
struct Wanted<'a> {
    key: &'a str,
    version: Option<&'a str>,
    etag: Option<&'a str>,
    modified: Option<Time>,
    bytes: Option<i64>,
}

/// What deleting has done.
struct Done {
    /// Whether a delete marker was made or removed.
    marker: bool,
    version: Option<String>,
}

pub(super) fn object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteObjectRequest,
) -> Result<shapes::DeleteObjectResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let wanted = Wanted {
        key: &request.key,
        version: request.version_id.as_deref(),
        etag: request.if_match.as_deref(),
        modified: request.if_match_last_modified_time,
        bytes: request.if_match_size,
    };
    let done = delete(cx, &request.bucket, &wanted)?;
    Ok(shapes::DeleteObjectResponse {
        delete_marker: done.marker.then_some(true),
        version_id: done.version,
        request_charged: None,
    })
}

pub(super) fn objects(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteObjectsRequest,
) -> Result<shapes::DeleteObjectsResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let objects = request.delete.objects;
    if objects.is_empty() || objects.len() > KEYS_MAX {
        return Err(malformed());
    }
    let quiet = request.delete.quiet == Some(true);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for item in objects {
        let wanted = Wanted {
            key: &item.key,
            version: item.version_id.as_deref(),
            etag: item.e_tag.as_deref(),
            modified: item.last_modified_time,
            bytes: item.size,
        };
        match delete(cx, &request.bucket, &wanted) {
            Ok(_) if quiet => {}
            Ok(done) => deleted.push(shapes::DeletedObject {
                delete_marker: done.marker.then_some(true),
                delete_marker_version_id: done.version.filter(|_| done.marker),
                version_id: item.version_id,
                key: Some(item.key),
            }),
            Err(refusal) => errors.push(shapes::Error {
                key: Some(item.key),
                version_id: item.version_id,
                code: Some(refusal.code.into_owned()),
                message: Some(refusal.message),
            }),
        }
    }
    Ok(shapes::DeleteObjectsResponse { deleted: Some(deleted), request_charged: None, errors: Some(errors) })
}

fn delete(cx: &mut Engine, bucket: &str, wanted: &Wanted<'_>) -> Result<Done, Refusal> {
    let (bucket, key): (Arc<str>, Arc<str>) = (bucket.into(), wanted.key.into());
    let versioning = cx.s3.buckets.get(&bucket).and_then(|row| row.versioning);
    let found = match wanted.version {
        Some(version) => cx.s3.versions(&bucket, &key).find(|object| &*object.version == version),
        None => cx.s3.latest(&bucket, &key),
    };
    check_conditions(found, wanted)?;
    match (wanted.version, versioning) {
        (Some(version), _) => {
            // What is gone already is no error.
            let found = found.map(|object| (object.key(), object.content.is_none()));
            if let Some((row, _)) = &found {
                cx.s3.remove_object(row);
                super::lifecycle::set_deadlines(cx, &bucket, &key);
            }
            let marker = found.is_some_and(|(_, marker)| marker);
            Ok(Done { marker, version: Some(version.to_owned()) })
        }
        (None, None) => {
            if let Some(row) = found.map(Object::key) {
                cx.s3.remove_object(&row);
            }
            Ok(Done { marker: false, version: None })
        }
        (None, Some(_)) => {
            let stored = object::store(cx, &bucket, &key, None)?;
            Ok(Done { marker: true, version: stored.version })
        }
    }
}

fn check_conditions(found: Option<&Object>, wanted: &Wanted<'_>) -> Result<(), Refusal> {
    if wanted.etag.is_none() && wanted.modified.is_none() && wanted.bytes.is_none() {
        return Ok(());
    }
    let there = found.and_then(|object| Some((object, object.content.as_ref()?)));
    let Some((object, content)) = there else { return Err(no_such_key(wanted.key)) };
    let etag_fits = wanted.etag.is_none_or(|etag| etag == "*" || etag.trim_matches('"') == &*content.etag);
    let whole_second = object.modified.floor(Span::from_secs(1));
    let time_fits = wanted.modified.is_none_or(|time| time == whole_second || time == object.modified);
    let size_fits = wanted.bytes.is_none_or(|bytes| bytes == content.body.len() as i64);
    if etag_fits && time_fits && size_fits { Ok(()) } else { Err(precondition_failed("If-Match")) }
}
