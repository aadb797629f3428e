//! Uploads in parts (S3 User Guide, "Uploading and copying objects using multipart upload").

use std::sync::Arc;

use bytes::Bytes;
use capstan_shapes::{Refusal, s3 as shapes};
use shapes::ChecksumAlgorithm as Algorithm;
use shapes::ChecksumType;

use super::bucket::owned;
use super::checksum::{self, Checksum, body, given_checksums, of_upload, show_checksum};
use super::error::{invalid_argument, invalid_request, malformed, no_such_upload};
use super::object::{check_conditions, check_key, check_metadata, encrypt, reserve, store};
use super::{Content, Part, Piece, Traits, Upload, acl, lifecycle, quoted, tagging};
use crate::{Caller, Engine};

/// Every part but the last has at least so many bytes (S3 User Guide, multipart upload limits).
const PART_BYTES_MIN: usize = 5 << 20;
pub(super) const PART_MAX: i32 = 10_000;

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateMultipartUploadRequest,
) -> Result<shapes::CreateMultipartUploadResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    check_key(&request.key)?;
    check_metadata(request.metadata.as_ref())?;
    let tags = tagging::of_header(request.tagging.as_deref())?;
    let algorithm = request.checksum_algorithm;
    let checksum_type = type_of(algorithm, request.checksum_type)?;
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
    let name = Arc::clone(&bucket.name);
    let id: Arc<str> = checksum::hex(&cx.chance.u128("s3.upload-id").to_be_bytes()).into();
    let response = shapes::CreateMultipartUploadResponse {
        bucket: Some(name.to_string()),
        key: Some(request.key.clone()),
        upload_id: Some(id.to_string()),
        server_side_encryption: Some(traits.encryption),
        ssekms_key_id: traits.kms_key.clone(),
        bucket_key_enabled: traits.bucket_key,
        checksum_algorithm: algorithm,
        checksum_type: algorithm.map(|_| checksum_type),
        ..shapes::CreateMultipartUploadResponse::default()
    };
    let mut upload = Upload {
        bucket: name,
        name: request.key.into(),
        id,
        initiated: cx.now,
        traits,
        tags,
        algorithm,
        checksum_type,
        parts: std::collections::BTreeMap::new(),
        aborts: None,
    };
    upload.aborts = lifecycle::abort_at(cx, &upload);
    cx.s3.uploads.insert(upload);
    Ok(response)
}

/// What the object's checksum will be of: CRC64NVME only of the whole, SHA only of the parts, other CRCs as the client says
/// and of the parts when it says nothing (S3 User Guide, "Checking object integrity").
fn type_of(algorithm: Option<Algorithm>, asked: Option<ChecksumType>) -> Result<ChecksumType, Refusal> {
    let (allowed, default): (&[ChecksumType], _) = match algorithm {
        None | Some(Algorithm::Crc64nvme) => (&[ChecksumType::FullObject], ChecksumType::FullObject),
        Some(Algorithm::Crc32 | Algorithm::Crc32c) => {
            (&[ChecksumType::FullObject, ChecksumType::Composite], ChecksumType::Composite)
        }
        Some(other @ (Algorithm::Xxhash64 | Algorithm::Xxhash3 | Algorithm::Xxhash128)) => {
            return Err(checksum::not_built(other));
        }
        Some(_) => (&[ChecksumType::Composite], ChecksumType::Composite),
    };
    match asked {
        Some(asked) if !allowed.contains(&asked) => {
            let algorithm = algorithm.map_or("null", Algorithm::as_str).to_ascii_lowercase();
            let message =
                format!("The {asked} checksum type cannot be used with the {algorithm} checksum algorithm.");
            Err(invalid_request(message))
        }
        asked => Ok(asked.unwrap_or(default)),
    }
}

/// The row of an upload.
pub(super) fn named<'a>(cx: &'a Engine, bucket: &str, key: &str, id: &str) -> Result<&'a Upload, Refusal> {
    let row = (Arc::from(bucket), Arc::from(key), Arc::from(id));
    cx.s3.uploads.get(&row).ok_or_else(|| no_such_upload(id))
}

pub(super) fn part(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UploadPartRequest,
) -> Result<shapes::UploadPartResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let upload = named(cx, &request.bucket, &request.key, &request.upload_id)?;
    let encryption = (upload.traits.encryption, upload.traits.kms_key.clone(), upload.traits.bucket_key);
    let body = body(&request.body);
    let given = given_checksums!(request);
    let digests = of_upload(&body, request.content_md5.as_deref(), &given, request.checksum_algorithm)?;
    let part = Part { body, etag: digests.etag.into(), checksum: digests.checksum, modified: cx.now };
    let (etag, checksum) = (Arc::clone(&part.etag), part.checksum.clone());
    put_part(cx, &request.bucket, &request.key, &request.upload_id, request.part_number, part)?;
    let mut response = shapes::UploadPartResponse {
        e_tag: quoted(&etag),
        server_side_encryption: Some(encryption.0),
        ssekms_key_id: encryption.1,
        bucket_key_enabled: encryption.2,
        ..shapes::UploadPartResponse::default()
    };
    show_checksum!(response, &checksum);
    Ok(response)
}

/// Puts a part in the place of the one of that number.
pub(super) fn put_part(
    cx: &mut Engine,
    bucket: &str,
    key: &str,
    id: &str,
    number: i32,
    part: Part,
) -> Result<(), Refusal> {
    if !(1..=PART_MAX).contains(&number) {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(invalid_argument(message, "partNumber", &number.to_string()));
    }
    let upload = named(cx, bucket, key, id)?;
    let expected = upload.algorithm.unwrap_or(Algorithm::Crc64nvme);
    let mut part = part;
    if part.checksum.algorithm != expected {
        if upload.algorithm.is_some() && part.checksum.algorithm != Algorithm::Crc64nvme {
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                expected.as_str().to_ascii_lowercase(),
                part.checksum.algorithm.as_str().to_ascii_lowercase()
            );
            return Err(invalid_request(message));
        }
        // The client has named none of this upload's algorithm.
        part.checksum = Checksum::of(expected, &part.body)?;
    }
    let before = upload.parts.get(&number).map_or(0, |part| part.body.len() as u64);
    let bytes = part.body.len() as u64;
    reserve(cx, bytes, before)?;
    let row = (Arc::from(bucket), Arc::from(key), Arc::from(id));
    if let Some(mut upload) = cx.s3.uploads.edit(&row) {
        upload.parts.insert(number, part);
    }
    cx.s3.stored_bytes = cx.s3.stored_bytes - before + bytes;
    Ok(())
}

pub(super) fn complete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CompleteMultipartUploadRequest,
) -> Result<shapes::CompleteMultipartUploadResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let upload = named(cx, &request.bucket, &request.key, &request.upload_id)?;
    let wanted =
        request.multipart_upload.as_ref().and_then(|wanted| wanted.parts.as_deref()).unwrap_or_default();
    if wanted.is_empty() {
        return Err(malformed());
    }
    let (if_match, if_none_match) = (request.if_match.as_deref(), request.if_none_match.as_deref());
    check_conditions(cx, bucket, &request.key, if_match, if_none_match)?;
    let chosen = chosen(upload, wanted)?;
    let bytes: usize = chosen.iter().map(|(_, part)| part.body.len()).sum();
    if request.mpu_object_size.is_some_and(|size| size != bytes as i64) {
        let message = "The provided 'x-amz-mp-object-size' header value does not match what was computed";
        return Err(invalid_request(message));
    }
    let of_parts: Vec<(&Checksum, u64)> =
        chosen.iter().map(|(_, part)| (&part.checksum, part.body.len() as u64)).collect();
    let checksum = checksum::of_parts(upload.checksum_type, &of_parts)?;
    check_whole(&request, &checksum)?;
    let etag = checksum::etag_of_parts(chosen.iter().map(|(_, part)| &*part.etag));
    // One part is shared; more are joined, once for the object's whole life.
    let whole: Bytes = match &chosen[..] {
        [(_, part)] => part.body.clone(),
        parts => {
            let mut whole = Vec::with_capacity(bytes);
            parts.iter().for_each(|(_, part)| whole.extend_from_slice(&part.body));
            whole.into()
        }
    };
    let piece = |part: &Part| Piece { bytes: part.body.len() as u64, checksum: part.checksum.clone() };
    let content = Content {
        body: whole,
        etag: etag.as_str().into(),
        checksum: checksum.clone(),
        parts: chosen.iter().map(|(number, part)| (*number, piece(part))).collect(),
        traits: upload.traits.clone(),
        tags: upload.tags.clone(),
    };
    let mut response = shapes::CompleteMultipartUploadResponse {
        location: Some(format!("{}/{}/{}", cx.config.endpoint, request.bucket, request.key)),
        bucket: Some(request.bucket.clone()),
        key: Some(request.key.clone()),
        e_tag: quoted(&etag),
        checksum_type: Some(checksum.kind),
        server_side_encryption: Some(content.traits.encryption),
        ssekms_key_id: content.traits.kms_key.clone(),
        bucket_key_enabled: content.traits.bucket_key,
        ..shapes::CompleteMultipartUploadResponse::default()
    };
    show_checksum!(response, &checksum);
    remove(cx, &request.bucket, &request.key, &request.upload_id);
    response.version_id = store(cx, &request.bucket, &request.key, Some(content))?.version;
    Ok(response)
}

/// The parts that the list names, in its order, which must be ascending.
fn chosen<'a>(upload: &'a Upload, wanted: &[shapes::CompletedPart]) -> Result<Vec<(i32, &'a Part)>, Refusal> {
    let mut chosen: Vec<(i32, &Part)> = Vec::with_capacity(wanted.len());
    for item in wanted {
        let number = item.part_number.ok_or_else(malformed)?;
        if chosen.last().is_some_and(|(before, _)| *before >= number) {
            let message =
                "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(Refusal::new("InvalidPartOrder", message));
        }
        let etag = item.e_tag.as_deref().map(|etag| etag.trim_matches('"'));
        let sent = given_checksums!(item);
        let part = upload.parts.get(&number).filter(|part| {
            let same = |(algorithm, text): &(Algorithm, String)| {
                *algorithm != part.checksum.algorithm || *text == part.checksum.text
            };
            etag == Some(&*part.etag) && sent.iter().all(same)
        });
        let Some(part) = part else {
            let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or \
                           the specified entity tag may not match the part's entity tag.";
            return Err(Refusal::new("InvalidPart", message)
                .with_member("UploadId", vec![upload.id.to_string()])
                .with_member("PartNumber", vec![number.to_string()])
                .with_member("ETag", vec![etag.unwrap_or_default().to_owned()]));
        };
        chosen.push((number, part));
    }
    let all_but_last = chosen.len().saturating_sub(1);
    if let Some((number, part)) =
        chosen[..all_but_last].iter().find(|(_, part)| part.body.len() < PART_BYTES_MIN)
    {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(Refusal::new("EntityTooSmall", message)
            .with_member("ProposedSize", vec![part.body.len().to_string()])
            .with_member("MinSizeAllowed", vec![PART_BYTES_MIN.to_string()])
            .with_member("PartNumber", vec![number.to_string()]));
    }
    Ok(chosen)
}

/// Whether the object's checksum is what the client believes it to be.
fn check_whole(request: &shapes::CompleteMultipartUploadRequest, checksum: &Checksum) -> Result<(), Refusal> {
    if request.checksum_type.is_some_and(|kind| kind != checksum.kind) {
        return Err(invalid_request("The upload was created with another checksum type."));
    }
    for (algorithm, text) in given_checksums!(*request) {
        // Composite checksums come with or without the number of parts.
        let plain = checksum.text.split('-').next().unwrap_or_default();
        if algorithm == checksum.algorithm && text != checksum.text && text != plain {
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(Refusal::new("BadDigest", message));
        }
    }
    Ok(())
}

pub(super) fn abort(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AbortMultipartUploadRequest,
) -> Result<shapes::AbortMultipartUploadResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    named(cx, &request.bucket, &request.key, &request.upload_id)?;
    remove(cx, &request.bucket, &request.key, &request.upload_id);
    Ok(shapes::AbortMultipartUploadResponse::default())
}

/// Ends an upload and lets its parts go.
pub(super) fn remove(cx: &mut Engine, bucket: &str, key: &str, id: &str) {
    let row = (Arc::from(bucket), Arc::from(key), Arc::from(id));
    if let Some(upload) = cx.s3.uploads.remove(&row) {
        cx.s3.stored_bytes -= upload.parts.values().map(|part| part.body.len() as u64).sum::<u64>();
    }
}

/// Ends every upload of a bucket that goes.
pub(super) fn abort_all(cx: &mut Engine, bucket: &Arc<str>) {
    let of_bucket = cx.s3.uploads.iter().filter(|upload| upload.bucket == *bucket);
    let found: Vec<_> = of_bucket.map(|upload| (Arc::clone(&upload.name), Arc::clone(&upload.id))).collect();
    for (name, id) in found {
        remove(cx, bucket, &name, &id);
    }
}
