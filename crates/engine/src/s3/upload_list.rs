//! Listings of uploads that are under way, and of their parts.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};
use shapes::ChecksumAlgorithm as Algorithm;

use super::bucket::owned;
use super::checksum::show_checksum;
use super::list::{PAGE_MAX, common_prefixes, max_keys};
use super::{Upload, owner, quoted, shown_key, upload};
use crate::{Caller, Engine};

pub(super) fn parts(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListPartsRequest,
) -> Result<shapes::ListPartsResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let upload = upload::named(cx, &request.bucket, &request.key, &request.upload_id)?;
    let max = max_keys(request.max_parts, "max-parts")?.min(PAGE_MAX as usize);
    let marker = request.part_number_marker.unwrap_or_default();
    let mut after = upload.parts.range(marker.saturating_add(1)..);
    let shown: Vec<shapes::Part> = after
        .by_ref()
        .take(max)
        .map(|(number, part)| {
            let mut shown = shapes::Part {
                part_number: Some(*number),
                last_modified: Some(part.modified),
                e_tag: quoted(&part.etag),
                size: Some(part.body.len() as i64),
                ..shapes::Part::default()
            };
            if upload.algorithm.is_some() {
                show_checksum!(shown, &part.checksum);
            }
            shown
        })
        .collect();
    let owner = owner(cx);
    Ok(shapes::ListPartsResponse {
        bucket: Some(request.bucket),
        key: Some(request.key),
        upload_id: Some(request.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: shown.last().and_then(|part| part.part_number).or(Some(0)),
        max_parts: Some(max as i32),
        is_truncated: Some(after.next().is_some()),
        parts: Some(shown),
        initiator: Some(shapes::Initiator { id: owner.id.clone(), display_name: None }),
        owner: Some(owner),
        storage_class: Some(upload.traits.storage_class.unwrap_or_default()),
        checksum_algorithm: upload.algorithm,
        checksum_type: upload.algorithm.map(|_| upload.checksum_type),
        ..shapes::ListPartsResponse::default()
    })
}

pub(super) fn uploads(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListMultipartUploadsRequest,
) -> Result<shapes::ListMultipartUploadsResponse, Refusal> {
    let bucket = Arc::clone(&owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?.name);
    let max = max_keys(request.max_uploads, "max-uploads")?;
    let (marker, id_marker) = (request.key_marker.as_deref(), request.upload_id_marker.as_deref());
    let prefix = request.prefix.as_deref().unwrap_or_default();
    let delimiter = request.delimiter.as_deref().unwrap_or_default();
    let encoding = request.encoding_type;
    let owner = owner(cx);
    let (mut uploads, mut prefixes) = (Vec::new(), Vec::<String>::new());
    let mut last: Option<(String, Option<String>)> = None;
    let mut is_truncated = false;
    // In the order of keys, and of ids below the same key.
    for upload in cx.s3.uploads.iter().filter(|upload| upload.bucket == bucket) {
        let after = match (marker, id_marker) {
            (None, _) => true,
            (Some(key), Some(id)) => (&*upload.name, &*upload.id) > (key, id),
            (Some(key), None) => &*upload.name > key,
        };
        let Some(rest) = upload.name.strip_prefix(prefix).filter(|_| after) else { continue };
        let end = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        let common = end.map(|end| &upload.name[..prefix.len() + end + delimiter.len()]);
        if let Some(common) = common
            && (Some(common) == marker || prefixes.last().is_some_and(|before| before == common))
        {
            continue;
        }
        if uploads.len() + prefixes.len() == max {
            is_truncated = max > 0;
            break;
        }
        match common {
            Some(common) => {
                prefixes.push(common.to_owned());
                last = Some((common.to_owned(), None));
            }
            None => {
                last = Some((upload.name.to_string(), Some(upload.id.to_string())));
                uploads.push(shown(upload, encoding, &owner));
            }
        }
    }
    let (next_key, next_id) = last.filter(|_| is_truncated).map_or((None, None), |(key, id)| (Some(key), id));
    Ok(shapes::ListMultipartUploadsResponse {
        bucket: Some(request.bucket),
        key_marker: Some(shown_key(marker.unwrap_or_default(), encoding)),
        upload_id_marker: Some(id_marker.unwrap_or_default().to_owned()),
        next_key_marker: next_key.map(|key| shown_key(&key, encoding)),
        prefix: Some(shown_key(prefix, encoding)),
        delimiter: request.delimiter.as_deref().map(|delimiter| shown_key(delimiter, encoding)),
        next_upload_id_marker: next_id,
        max_uploads: Some(max as i32),
        is_truncated: Some(is_truncated),
        uploads: Some(uploads),
        common_prefixes: common_prefixes(prefixes, encoding),
        encoding_type: encoding,
        request_charged: None,
    })
}

fn shown(
    upload: &Upload,
    encoding: Option<shapes::EncodingType>,
    owner: &shapes::Owner,
) -> shapes::MultipartUpload {
    shapes::MultipartUpload {
        upload_id: Some(upload.id.to_string()),
        key: Some(shown_key(&upload.name, encoding)),
        initiated: Some(upload.initiated),
        storage_class: Some(upload.traits.storage_class.unwrap_or_default()),
        owner: Some(owner.clone()),
        initiator: Some(shapes::Initiator { id: owner.id.clone(), display_name: None }),
        checksum_algorithm: upload.algorithm,
        checksum_type: upload.algorithm.map(|_| upload.checksum_type),
    }
}
