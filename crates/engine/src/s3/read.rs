//! Objects: read, whole or in part, when conditions hold.

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Blob, Refusal, s3 as shapes};
use shapes::ChecksumAlgorithm as Algorithm;

use super::bucket::owned;
use super::checksum::show_checksum;
use super::error::{
    invalid_argument, invalid_request, method_not_allowed, no_such_key, no_such_version, precondition_failed,
};
use super::{Content, Object, quoted};
use crate::{Caller, Engine};

const PARTS_PAGE: i32 = 1000;

/// The version that a request means, which has content.
pub(super) fn found<'a>(
    cx: &'a Engine,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(&'a Object, &'a Content), Refusal> {
    let (bucket, name): (Arc<str>, Arc<str>) = (bucket.into(), key.into());
    let object = match version {
        None => cx.s3.latest(&bucket, &name).ok_or_else(|| no_such_key(key))?,
        Some(id) => {
            let found = cx.s3.versions(&bucket, &name).find(|object| &*object.version == id);
            found.ok_or_else(|| no_such_version(key, id))?
        }
    };
    match (&object.content, version) {
        (Some(content), _) => Ok((object, content)),
        // A delete marker: named, it is there but nothing to read.
        (None, Some(_)) => Err(method_not_allowed()),
        (None, None) => Err(no_such_key(key)),
    }
}

/// The version id as clients are told it: buckets that never had versions tell none.
pub(super) fn shown_version(cx: &Engine, object: &Object) -> Option<String> {
    let bucket = cx.s3.buckets.get(&object.bucket)?;
    bucket.versioning.map(|_| object.version.to_string())
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetObjectRequest,
) -> Result<shapes::GetObjectResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (object, content) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    let conditions = Conditions {
        if_match: request.if_match.as_deref(),
        if_none_match: request.if_none_match.as_deref(),
        if_modified_since: request.if_modified_since,
        if_unmodified_since: request.if_unmodified_since,
    };
    conditions.check(object, content)?;
    let slice = Slice::of(content, request.range.as_deref(), request.part_number)?;
    let traits = content.traits.clone();
    let mut response = shapes::GetObjectResponse {
        // Shares the object's bytes.
        body: Some(Blob(content.body.slice(slice.from..slice.to))),
        accept_ranges: Some("bytes".to_owned()),
        last_modified: Some(object.modified),
        content_length: Some((slice.to - slice.from) as i64),
        e_tag: quoted(&content.etag),
        version_id: shown_version(cx, object),
        cache_control: request.response_cache_control.or(traits.cache_control),
        content_disposition: request.response_content_disposition.or(traits.content_disposition),
        content_encoding: request.response_content_encoding.or(traits.content_encoding),
        content_language: request.response_content_language.or(traits.content_language),
        content_range: slice.range,
        content_type: request.response_content_type.or(traits.content_type).or_else(default_type),
        expires: request.response_expires.map(Time::iso_secs).or(traits.expires),
        website_redirect_location: traits.website_redirect,
        server_side_encryption: Some(traits.encryption),
        metadata: (!traits.metadata.is_empty()).then_some(traits.metadata),
        ssekms_key_id: traits.kms_key,
        bucket_key_enabled: traits.bucket_key,
        storage_class: traits.storage_class.filter(|class| *class != shapes::StorageClass::Standard),
        parts_count: slice.parts_count,
        tag_count: (!content.tags.is_empty()).then_some(content.tags.len() as i32),
        ..shapes::GetObjectResponse::default()
    };
    if request.checksum_mode.is_some() && slice.is_whole {
        show_checksum!(response, &content.checksum);
        response.checksum_type = Some(content.checksum.kind);
    }
    Ok(response)
}

pub(super) fn head(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::HeadObjectRequest,
) -> Result<shapes::HeadObjectResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (object, content) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    let conditions = Conditions {
        if_match: request.if_match.as_deref(),
        if_none_match: request.if_none_match.as_deref(),
        if_modified_since: request.if_modified_since,
        if_unmodified_since: request.if_unmodified_since,
    };
    conditions.check(object, content)?;
    let slice = Slice::of(content, request.range.as_deref(), request.part_number)?;
    let traits = content.traits.clone();
    let mut response = shapes::HeadObjectResponse {
        accept_ranges: Some("bytes".to_owned()),
        last_modified: Some(object.modified),
        content_length: Some((slice.to - slice.from) as i64),
        e_tag: quoted(&content.etag),
        version_id: shown_version(cx, object),
        cache_control: request.response_cache_control.or(traits.cache_control),
        content_disposition: request.response_content_disposition.or(traits.content_disposition),
        content_encoding: request.response_content_encoding.or(traits.content_encoding),
        content_language: request.response_content_language.or(traits.content_language),
        content_range: slice.range,
        content_type: request.response_content_type.or(traits.content_type).or_else(default_type),
        expires: request.response_expires.map(Time::iso_secs).or(traits.expires),
        website_redirect_location: traits.website_redirect,
        server_side_encryption: Some(traits.encryption),
        metadata: (!traits.metadata.is_empty()).then_some(traits.metadata),
        ssekms_key_id: traits.kms_key,
        bucket_key_enabled: traits.bucket_key,
        storage_class: traits.storage_class.filter(|class| *class != shapes::StorageClass::Standard),
        parts_count: slice.parts_count,
        tag_count: (!content.tags.is_empty()).then_some(content.tags.len() as i32),
        ..shapes::HeadObjectResponse::default()
    };
    if request.checksum_mode.is_some() && slice.is_whole {
        show_checksum!(response, &content.checksum);
        response.checksum_type = Some(content.checksum.kind);
    }
    Ok(response)
}

/// What S3 calls a body of which nobody said what it is.
fn default_type() -> Option<String> {
    Some("binary/octet-stream".to_owned())
}

/// Conditional headers (RFC 9110; S3 API reference, GetObject).
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
    pub(super) if_modified_since: Option<Time>,
    pub(super) if_unmodified_since: Option<Time>,
}

impl Conditions<'_> {
    pub(super) fn check(&self, object: &Object, content: &Content) -> Result<(), Refusal> {
        let modified = object.modified.floor(Span::from_secs(1));
        let fits = |etags: &str| {
            etags.split(',').any(|etag| {
                let etag = etag.trim().trim_start_matches("W/").trim_matches('"');
                etag == "*" || etag == &*content.etag
            })
        };
        match (self.if_match, self.if_unmodified_since) {
            (Some(etags), _) if !fits(etags) => return Err(precondition_failed("If-Match")),
            (None, Some(time)) if modified > time => return Err(precondition_failed("If-Unmodified-Since")),
            _ => {}
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(etags), _) => fits(etags),
            (None, Some(time)) => modified <= time,
            (None, None) => false,
        };
        if unchanged {
            return Err(Refusal::new("NotModified", "Not Modified").with_status(304));
        }
        Ok(())
    }
}

/// The bytes that a request asks for.
struct Slice {
    from: usize,
    to: usize,
    /// `Content-Range`, when it is not simply the whole.
    range: Option<String>,
    parts_count: Option<i32>,
    is_whole: bool,
}

impl Slice {
    fn of(content: &Content, range: Option<&str>, part: Option<i32>) -> Result<Self, Refusal> {
        let length = content.body.len();
        let whole = Self { from: 0, to: length, range: None, parts_count: None, is_whole: true };
        let shown = |from: usize, to: usize| (to > from).then(|| format!("bytes {from}-{}/{length}", to - 1));
        match (range, part) {
            (Some(_), Some(_)) => {
                Err(invalid_request("Cannot specify both Range header and partNumber query parameter"))
            }
            (None, None) => Ok(whole),
            (None, Some(part)) => {
                let (from, to) = part_bytes(content, part)?;
                let parts_count = (!content.parts.is_empty()).then_some(content.parts.len() as i32);
                Ok(Self {
                    from,
                    to,
                    range: shown(from, to),
                    parts_count,
                    is_whole: from == 0 && to == length,
                })
            }
            (Some(text), None) => match parse_range(text, length) {
                Range::Ignored => Ok(whole),
                Range::Bytes(from, to) => {
                    Ok(Self { from, to, range: shown(from, to), parts_count: None, is_whole: false })
                }
                Range::Unsatisfiable => {
                    Err(Refusal::new("InvalidRange", "The requested range is not satisfiable")
                        .with_status(416)
                        .with_member("RangeRequested", vec![text.to_owned()])
                        .with_member("ActualObjectSize", vec![length.to_string()]))
                }
            },
        }
    }
}

/// Where a part lies in the whole. An object that came in one piece is its own only part.
fn part_bytes(content: &Content, part: i32) -> Result<(usize, usize), Refusal> {
    if content.parts.is_empty() && part == 1 {
        return Ok((0, content.body.len()));
    }
    let mut from = 0;
    for (number, piece) in &content.parts {
        let to = from + piece.bytes as usize;
        if *number == part {
            return Ok((from, to));
        }
        from = to;
    }
    Err(Refusal::new("InvalidPartNumber", "The requested partnumber is not satisfiable")
        .with_status(416)
        .with_member("PartNumberRequested", vec![part.to_string()])
        .with_member("ActualPartCount", vec![content.parts.len().max(1).to_string()]))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first byte to before the second.
    Bytes(usize, usize),
    /// Not a single range of bytes: the whole is answered (RFC 9110).
    Ignored,
    Unsatisfiable,
}

pub(super) fn range_of_copy(text: &str, length: usize) -> Option<(usize, usize)> {
    match parse_range(text, length) {
        Range::Bytes(from, to) => Some((from, to)),
        Range::Ignored | Range::Unsatisfiable => None,
    }
}

fn parse_range(text: &str, length: usize) -> Range {
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Range::Ignored;
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    match (first.trim(), last.trim()) {
        ("", "") => Range::Ignored,
        ("", last) => match number(last) {
            None => Range::Ignored,
            Some(0) => Range::Unsatisfiable,
            Some(_) if length == 0 => Range::Unsatisfiable,
            Some(count) => Range::Bytes(length.saturating_sub(count), length),
        },
        (first, last) => match (number(first), number(last)) {
            (None, _) => Range::Ignored,
            (Some(first), _) if first >= length => Range::Unsatisfiable,
            (Some(first), None) if last.is_empty() => Range::Bytes(first, length),
            (Some(_), None) => Range::Ignored,
            (Some(first), Some(last)) if last < first => Range::Ignored,
            (Some(first), Some(last)) => Range::Bytes(first, length.min(last.saturating_add(1))),
        },
    }
}

pub(super) fn attributes(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetObjectAttributesRequest,
) -> Result<shapes::GetObjectAttributesResponse, Refusal> {
    use shapes::ObjectAttributes as Attribute;
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (object, content) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    let wants = |attribute: Attribute| request.object_attributes.contains(&attribute);
    let mut checksum =
        shapes::Checksum { checksum_type: Some(content.checksum.kind), ..shapes::Checksum::default() };
    show_checksum!(checksum, &content.checksum);
    let max = request.max_parts.unwrap_or(PARTS_PAGE).min(PARTS_PAGE);
    if max < 0 {
        return Err(invalid_argument(
            "Argument max-parts must be an integer between 0 and 2147483647",
            "max-parts",
            &max.to_string(),
        ));
    }
    let parts = (!content.parts.is_empty() && wants(Attribute::ObjectParts))
        .then(|| parts(content, request.part_number_marker.unwrap_or_default(), max));
    Ok(shapes::GetObjectAttributesResponse {
        last_modified: Some(object.modified),
        version_id: shown_version(cx, object),
        e_tag: wants(Attribute::ETag).then(|| content.etag.to_string()),
        checksum: wants(Attribute::Checksum).then_some(checksum),
        object_parts: parts,
        storage_class: wants(Attribute::StorageClass)
            .then(|| content.traits.storage_class.unwrap_or_default()),
        object_size: wants(Attribute::ObjectSize).then_some(content.body.len() as i64),
        ..shapes::GetObjectAttributesResponse::default()
    })
}

fn parts(content: &Content, marker: i32, max: i32) -> shapes::GetObjectAttributesParts {
    let after = content.parts.iter().filter(|(number, _)| *number > marker);
    let mut shown: Vec<shapes::ObjectPart> = after
        .map(|(number, piece)| {
            let mut part = shapes::ObjectPart {
                part_number: Some(*number),
                size: Some(piece.bytes as i64),
                ..shapes::ObjectPart::default()
            };
            show_checksum!(part, &piece.checksum);
            part
        })
        .collect();
    let is_truncated = shown.len() > max as usize;
    shown.truncate(max as usize);
    shapes::GetObjectAttributesParts {
        total_parts_count: Some(content.parts.len() as i32),
        part_number_marker: Some(marker),
        next_part_number_marker: shown.last().and_then(|part| part.part_number).or(Some(0)),
        max_parts: Some(max),
        is_truncated: Some(is_truncated),
        parts: Some(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, length: usize, expect: Range| {
            assert_eq!(parse_range(text, length), expect, "{text} of {length}");
        };
        check("bytes=0-0", 10, Range::Bytes(0, 1));
        check("bytes=2-5", 10, Range::Bytes(2, 6));
        check("bytes=5-", 10, Range::Bytes(5, 10));
        check("bytes=5-99", 10, Range::Bytes(5, 10));
        check("bytes=-3", 10, Range::Bytes(7, 10));
        check("bytes=-30", 10, Range::Bytes(0, 10));
        check("bytes=10-", 10, Range::Unsatisfiable);
        check("bytes=-0", 10, Range::Unsatisfiable);
        check("bytes=0-", 0, Range::Unsatisfiable);
        check("bytes=-1", 0, Range::Unsatisfiable);
        for ignored in
            ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5", "bytes=1-x"]
        {
            check(ignored, 10, Range::Ignored);
        }
        check("bytes=0-18446744073709551615", 10, Range::Bytes(0, 10));
    }
}
