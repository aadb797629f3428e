//! Objects: stored.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};
use shapes::ChecksumAlgorithm as Algorithm;

use super::bucket::owned;
use super::checksum::{body, given_checksums, of_upload, show_checksum};
use super::error::{invalid_argument, invalid_request, no_such_key, precondition_failed};
use super::{
    Bucket, Content, NULL_VERSION, Object, STORED_BYTES_MAX, Traits, acl, checksum, lifecycle, quoted,
    tagging,
};
use crate::{Caller, Engine};

/// Bytes of a key, in UTF-8 (S3 User Guide, object key names).
const KEY_BYTES_MAX: usize = 1024;
/// Of names and values of user-defined metadata (S3 User Guide).
const METADATA_BYTES_MAX: usize = 2048;

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutObjectRequest,
) -> Result<shapes::PutObjectResponse, Refusal> {
    if let Some(answer) =
        crate::cloudformation::receive(cx, &request.bucket, &request.key, &body(&request.body))
    {
        return answer.map(|()| shapes::PutObjectResponse::default());
    }
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    if request.write_offset_bytes.is_some() {
        let message = "Appending to objects is for directory buckets, which are not built.";
        return Err(Refusal::new("NotImplemented", message).with_status(501));
    }
    check_key(&request.key)?;
    check_metadata(request.metadata.as_ref())?;
    let tags = tagging::of_header(request.tagging.as_deref())?;
    check_conditions(
        cx,
        bucket,
        &request.key,
        request.if_match.as_deref(),
        request.if_none_match.as_deref(),
    )?;
    let body = body(&request.body);
    let given = given_checksums!(request);
    let digests = of_upload(&body, request.content_md5.as_deref(), &given, request.checksum_algorithm)?;
    let (etag, checksum) = (digests.etag, digests.checksum);
    let mut traits = Traits {
        cache_control: request.cache_control,
        content_disposition: request.content_disposition,
        content_encoding: request.content_encoding,
        content_language: request.content_language,
        content_type: request.content_type,
        expires: request.expires,
        metadata: request.metadata.unwrap_or_default(),
        website_redirect: request.website_redirect_location,
        storage_class: request.storage_class,
        acl: acl::canned_object(cx, request.acl),
        ..Traits::default()
    };
    encrypt(
        &mut traits,
        bucket,
        request.server_side_encryption,
        request.ssekms_key_id,
        request.bucket_key_enabled,
    );
    let mut response = shapes::PutObjectResponse {
        e_tag: quoted(&etag),
        checksum_type: Some(checksum.kind),
        server_side_encryption: Some(traits.encryption),
        ssekms_key_id: traits.kms_key.clone(),
        bucket_key_enabled: traits.bucket_key,
        ..shapes::PutObjectResponse::default()
    };
    show_checksum!(response, &checksum);
    let content = Content { body, etag: etag.into(), checksum, parts: Vec::new(), traits, tags };
    let stored = store(cx, &request.bucket, &request.key, Some(content))?;
    response.version_id = stored.version;
    Ok(response)
}

/// How an object is encrypted: as the request says, or as its bucket does (S3 User Guide, default encryption).
pub(super) fn encrypt(
    traits: &mut Traits,
    bucket: &Bucket,
    asked: Option<shapes::ServerSideEncryption>,
    key: Option<String>,
    bucket_key: Option<bool>,
) {
    let rule = bucket.settings.encryption.rules.first();
    let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
    traits.encryption = asked.or_else(|| default.map(|default| default.sse_algorithm)).unwrap_or_default();
    if traits.encryption == shapes::ServerSideEncryption::Aes256 {
        return;
    }
    let of_bucket =
        || default.filter(|_| asked.is_none()).and_then(|default| default.kms_master_key_id.clone());
    traits.kms_key = key.or_else(of_bucket);
    let bucket_key = bucket_key.or_else(|| rule.and_then(|rule| rule.bucket_key_enabled));
    traits.bucket_key = bucket_key.filter(|enabled| *enabled);
}

pub(super) fn check_key(key: &str) -> Result<(), Refusal> {
    if key.len() > KEY_BYTES_MAX {
        let refusal = Refusal::new("KeyTooLongError", "Your key is too long");
        return Err(refusal
            .with_member("Size", vec![key.len().to_string()])
            .with_member("MaxSizeAllowed", vec![KEY_BYTES_MAX.to_string()]));
    }
    Ok(())
}

pub(super) fn check_metadata(
    metadata: Option<&std::collections::BTreeMap<String, String>>,
) -> Result<(), Refusal> {
    let bytes: usize = metadata.into_iter().flatten().map(|(name, text)| name.len() + text.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(Refusal::new("MetadataTooLarge", message)
            .with_member("Size", vec![bytes.to_string()])
            .with_member("MaxSizeAllowed", vec![METADATA_BYTES_MAX.to_string()]));
    }
    Ok(())
}

/// Conditional writes: only over the object with that ETag, or only where there is none (S3 User Guide).
pub(super) fn check_conditions(
    cx: &Engine,
    bucket: &Bucket,
    key: &str,
    if_match: Option<&str>,
    if_none_match: Option<&str>,
) -> Result<(), Refusal> {
    if if_match.is_some() && if_none_match.is_some() {
        return Err(invalid_request("If-Match and If-None-Match cannot both be given."));
    }
    let there = cx.s3.latest(&bucket.name, &Arc::from(key)).and_then(|object| object.content.as_ref());
    match (if_none_match, if_match) {
        (Some("*"), _) if there.is_some() => Err(precondition_failed("If-None-Match")),
        (Some("*"), _) | (None, None) => Ok(()),
        (Some(other), _) => Err(invalid_argument(
            "A header you provided implies functionality that is not implemented",
            "If-None-Match",
            other,
        )
        .with_status(501)),
        (None, Some(etag)) => match there {
            None => Err(no_such_key(key)),
            Some(content) if content.etag.as_ref() == etag.trim_matches('"') => Ok(()),
            Some(_) => Err(precondition_failed("If-Match")),
        },
    }
}

/// What storing has led to.
pub(super) struct Stored {
    /// As the client is told: `None` in a bucket without versions.
    pub(super) version: Option<String>,
}

/// Stores a version of an object, or a delete marker, as the bucket's versioning says. The bucket exists.
pub(super) fn store(
    cx: &mut Engine,
    bucket: &str,
    key: &str,
    content: Option<Content>,
) -> Result<Stored, Refusal> {
    let (bucket, name): (Arc<str>, Arc<str>) = (bucket.into(), key.into());
    let versioning = cx.s3.buckets.get(&bucket).and_then(|row| row.versioning);
    let bytes = content.as_ref().map_or(0, |content| content.body.len() as u64);
    let is_versioned = versioning == Some(shapes::BucketVersioningStatus::Enabled);
    // Without versions the new one takes the place of the one before.
    let replaced: Vec<_> = if is_versioned {
        Vec::new()
    } else {
        let before = cx.s3.versions(&bucket, &name).filter(|object| &*object.version == NULL_VERSION);
        before.map(|object| (crate::kernel::Row::key(object), object.bytes())).collect()
    };
    let freed: u64 = replaced.iter().map(|(_, bytes)| bytes).sum();
    reserve(cx, bytes, freed)?;
    for (key, _) in &replaced {
        cx.s3.remove_object(key);
    }
    let version: Arc<str> = if is_versioned {
        checksum::hex(&cx.chance.u128("s3.version-id").to_be_bytes()).into()
    } else {
        NULL_VERSION.into()
    };
    cx.s3.serial += 1;
    cx.s3.stored_bytes += bytes;
    let object = Object {
        bucket: Arc::clone(&bucket),
        name: Arc::clone(&name),
        serial: cx.s3.serial,
        version: Arc::clone(&version),
        modified: cx.now,
        content,
        expires: None,
    };
    cx.s3.objects.insert(object);
    lifecycle::set_deadlines(cx, &bucket, &name);
    Ok(Stored { version: versioning.map(|_| version.to_string()) })
}

/// Whether so many bytes more can be kept once others are gone.
pub(super) fn reserve(cx: &Engine, bytes: u64, freed: u64) -> Result<(), Refusal> {
    if cx.s3.stored_bytes - freed.min(cx.s3.stored_bytes) + bytes > STORED_BYTES_MAX {
        let message = format!(
            "All buckets together keep at most {STORED_BYTES_MAX} bytes in memory. Delete objects to make room."
        );
        return Err(Refusal::new("InsufficientStorage", message).with_status(507));
    }
    Ok(())
}
