//! Copies of objects, which share their bytes with the original.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};
use shapes::ChecksumAlgorithm as Algorithm;

use super::bucket::{named, owned};
use super::checksum::{self, Checksum, show_checksum};
use super::error::{invalid_argument, invalid_request};
use super::object::{check_conditions, check_key, check_metadata, encrypt, store};
use super::read::{Conditions, found, range_of_copy, shown_version};
use super::{Content, Object, Part, acl, quoted, tagging, upload};
use crate::{Caller, Engine};

/// What is to be copied: `BUCKET/KEY?versionId=ID`, percent-encoded.
struct Source {
    bucket: String,
    key: String,
    version: Option<String>,
}

impl Source {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            invalid_argument(message, "x-amz-copy-source", text)
        };
        let (path, version) = match text.rsplit_once("?versionId=") {
            Some((path, version)) => (path, Some(version.to_owned())),
            None => (text, None),
        };
        let path = percent_decoded(path.trim_start_matches('/')).ok_or_else(wrong)?;
        let (bucket, key) = path.split_once('/').filter(|(_, key)| !key.is_empty()).ok_or_else(wrong)?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }

    fn found<'a>(&self, cx: &'a Engine) -> Result<(&'a Object, &'a Content), Refusal> {
        named(cx, &self.bucket)?;
        found(cx, &self.bucket, &self.key, self.version.as_deref())
    }
}

/// `%XX` is a byte. `None` when it is not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

/// Of a copy a source that has not changed is a failed condition too (S3 API reference, CopyObject).
fn unmodified(refusal: Refusal) -> Refusal {
    if refusal.status == 304 {
        super::error::precondition_failed("x-amz-copy-source-If-None-Match")
    } else {
        refusal
    }
}

pub(super) fn object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CopyObjectRequest,
) -> Result<shapes::CopyObjectResponse, Refusal> {
    use shapes::{MetadataDirective, TaggingDirective};
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    check_key(&request.key)?;
    let source = Source::parse(&request.copy_source)?;
    let (from, content) = source.found(cx)?;
    let conditions = Conditions {
        if_match: request.copy_source_if_match.as_deref(),
        if_none_match: request.copy_source_if_none_match.as_deref(),
        if_modified_since: request.copy_source_if_modified_since,
        if_unmodified_since: request.copy_source_if_unmodified_since,
    };
    conditions.check(from, content).map_err(unmodified)?;
    check_conditions(
        cx,
        bucket,
        &request.key,
        request.if_match.as_deref(),
        request.if_none_match.as_deref(),
    )?;
    let replaces = request.metadata_directive == Some(MetadataDirective::Replace);
    let changes = replaces
        || request.storage_class.is_some()
        || request.server_side_encryption.is_some()
        || request.website_redirect_location.is_some()
        || source.version.is_some()
        || request.checksum_algorithm.is_some();
    if source.bucket == request.bucket && source.key == request.key && !changes {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the \
                       object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(invalid_request(message));
    }
    let mut traits = content.traits.clone();
    if replaces {
        check_metadata(request.metadata.as_ref())?;
        traits.cache_control = request.cache_control;
        traits.content_disposition = request.content_disposition;
        traits.content_encoding = request.content_encoding;
        traits.content_language = request.content_language;
        traits.content_type = request.content_type;
        traits.expires = request.expires;
        traits.metadata = request.metadata.unwrap_or_default();
    }
    // These are never copied.
    traits.acl = acl::canned_object(cx, request.acl);
    traits.storage_class = request.storage_class;
    traits.website_redirect = request.website_redirect_location;
    (traits.kms_key, traits.bucket_key) = (None, None);
    encrypt(
        &mut traits,
        bucket,
        request.server_side_encryption,
        request.ssekms_key_id,
        request.bucket_key_enabled,
    );
    let tags = match request.tagging_directive {
        Some(TaggingDirective::Replace) => tagging::of_header(request.tagging.as_deref())?,
        _ => content.tags.clone(),
    };
    let body = content.body.clone();
    let checksum = match request.checksum_algorithm {
        Some(algorithm) if algorithm != content.checksum.algorithm => Checksum::of(algorithm, &body)?,
        // What was put together of parts is one piece now.
        _ if !content.parts.is_empty() => Checksum::of(content.checksum.algorithm, &body)?,
        _ => content.checksum.clone(),
    };
    let etag: Arc<str> =
        if content.parts.is_empty() { Arc::clone(&content.etag) } else { checksum::etag(&body).into() };
    let source_version = shown_version(cx, from);
    let mut result = shapes::CopyObjectResult {
        e_tag: quoted(&etag),
        last_modified: Some(cx.now),
        checksum_type: Some(checksum.kind),
        ..shapes::CopyObjectResult::default()
    };
    show_checksum!(result, &checksum);
    let mut response = shapes::CopyObjectResponse {
        copy_object_result: Some(result),
        copy_source_version_id: source_version,
        server_side_encryption: Some(traits.encryption),
        ssekms_key_id: traits.kms_key.clone(),
        bucket_key_enabled: traits.bucket_key,
        ..shapes::CopyObjectResponse::default()
    };
    let copy = Content { body, etag, checksum, parts: Vec::new(), traits, tags };
    response.version_id = store(cx, &request.bucket, &request.key, Some(copy))?.version;
    Ok(response)
}

pub(super) fn part(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UploadPartCopyRequest,
) -> Result<shapes::UploadPartCopyResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let source = Source::parse(&request.copy_source)?;
    let (from, content) = source.found(cx)?;
    let conditions = Conditions {
        if_match: request.copy_source_if_match.as_deref(),
        if_none_match: request.copy_source_if_none_match.as_deref(),
        if_modified_since: request.copy_source_if_modified_since,
        if_unmodified_since: request.copy_source_if_unmodified_since,
    };
    conditions.check(from, content).map_err(unmodified)?;
    let body = match &request.copy_source_range {
        None => content.body.clone(),
        Some(text) => {
            let range = range_of_copy(text, content.body.len());
            let wrong = || {
                invalid_argument(
                    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
                    "x-amz-copy-source-range",
                    text,
                )
            };
            let (from, to) = range.ok_or_else(wrong)?;
            content.body.slice(from..to)
        }
    };
    let upload = upload::named(cx, &request.bucket, &request.key, &request.upload_id)?;
    let shows_checksum = upload.algorithm.is_some();
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64nvme);
    let traits = upload.traits.clone();
    let source_version = shown_version(cx, from);
    let checksum = Checksum::of(algorithm, &body)?;
    let part = Part { etag: checksum::etag(&body).into(), body, checksum, modified: cx.now };
    let mut result = shapes::CopyPartResult {
        e_tag: quoted(&part.etag),
        last_modified: Some(part.modified),
        ..shapes::CopyPartResult::default()
    };
    if shows_checksum {
        show_checksum!(result, &part.checksum);
    }
    upload::put_part(cx, &request.bucket, &request.key, &request.upload_id, request.part_number, part)?;
    Ok(shapes::UploadPartCopyResponse {
        copy_source_version_id: source_version,
        copy_part_result: Some(result),
        server_side_encryption: Some(traits.encryption),
        ssekms_key_id: traits.kms_key,
        bucket_key_enabled: traits.bucket_key,
        ..shapes::UploadPartCopyResponse::default()
    })
}
