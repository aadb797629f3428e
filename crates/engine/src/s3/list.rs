//! Listings of keys: prefix, delimiter, pages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;
use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::invalid_argument;
use super::{Content, Object, owner, quoted, shown_key};
use crate::{Caller, Engine};

/// Keys and common prefixes of one answer.
pub(super) const PAGE_MAX: i32 = 1000;

/// What a listing asks for.
pub(super) struct Wanted<'a> {
    pub(super) prefix: &'a str,
    /// Empty: none.
    pub(super) delimiter: &'a str,
    /// Only keys, and common prefixes, after this one.
    pub(super) after: &'a str,
    pub(super) max: usize,
}

/// One page.
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    pub(super) prefixes: Vec<String>,
    /// The last key or common prefix of the page, when there is more.
    pub(super) next: Option<String>,
}

impl<T> Listing<T> {
    /// Of entries in the order of their keys, all beginning with the prefix: the next one after a key, which the caller looks
    /// up anew, so that what lies below a common prefix is passed over at once.
    pub(super) fn of(wanted: &Wanted<'_>, mut next: impl FnMut(&str, bool) -> Option<(Arc<str>, T)>) -> Self {
        let mut listing = Self { items: Vec::new(), prefixes: Vec::new(), next: None };
        let (mut at, mut inclusive) = (wanted.after.to_owned(), wanted.after.is_empty());
        if &*at < wanted.prefix {
            (at, inclusive) = (wanted.prefix.to_owned(), true);
        }
        let mut last: Option<String> = None;
        while let Some((key, item)) = next(&at, inclusive) {
            let Some(rest) = key.strip_prefix(wanted.prefix) else { break };
            let end = if wanted.delimiter.is_empty() { None } else { rest.find(wanted.delimiter) };
            let common = end.map(|end| &key[..wanted.prefix.len() + end + wanted.delimiter.len()]);
            if let Some(common) = common
                && (common == wanted.after || last.as_deref() == Some(common))
            {
                (at, inclusive) = (past(common), true);
                continue;
            }
            if listing.items.len() + listing.prefixes.len() == wanted.max {
                listing.next = last;
                return listing;
            }
            match common {
                Some(common) => {
                    listing.prefixes.push(common.to_owned());
                    last = Some(common.to_owned());
                    (at, inclusive) = (past(common), true);
                }
                None => {
                    listing.items.push(item);
                    last = Some(key.to_string());
                    (at, inclusive) = (key.to_string(), false);
                }
            }
        }
        listing
    }
}

/// The first text that comes after everything that begins with `prefix`. No character is after U+10FFFF.
fn past(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

pub(super) fn max_keys(given: Option<i32>, name: &str) -> Result<usize, Refusal> {
    match given.unwrap_or(PAGE_MAX) {
        max @ 0.. => Ok(max.min(PAGE_MAX) as usize),
        max => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(invalid_argument(message, name, &max.to_string()))
        }
    }
}

fn listing<'a>(cx: &'a Engine, bucket: &Arc<str>, wanted: &Wanted<'_>) -> Listing<(&'a Object, &'a Content)> {
    if wanted.max == 0 {
        return Listing { items: Vec::new(), prefixes: Vec::new(), next: None };
    }
    Listing::of(wanted, |at, inclusive| {
        let mut seen: Option<&Arc<str>> = None;
        let mut objects = cx.s3.objects_from(bucket, at).filter(|object| inclusive || &*object.name != at);
        objects.find_map(|object| {
            // Only the newest version of a key counts, and only when it is no delete marker.
            let is_newest = seen != Some(&object.name);
            seen = Some(&object.name);
            let content = object.content.as_ref().filter(|_| is_newest)?;
            Some((Arc::clone(&object.name), (object, content)))
        })
    })
}

fn shown(
    (object, content): (&Object, &Content),
    encoding: Option<shapes::EncodingType>,
    owner: Option<&shapes::Owner>,
) -> shapes::Object {
    let class = content.traits.storage_class.unwrap_or_default().as_str();
    shapes::Object {
        key: Some(shown_key(&object.name, encoding)),
        last_modified: Some(object.modified),
        e_tag: quoted(&content.etag),
        checksum_algorithm: Some(vec![content.checksum.algorithm]),
        checksum_type: Some(content.checksum.kind),
        size: Some(content.body.len() as i64),
        storage_class: shapes::ObjectStorageClass::parse(class),
        owner: owner.cloned(),
        restore_status: None,
    }
}

pub(super) fn common_prefixes(
    prefixes: Vec<String>,
    encoding: Option<shapes::EncodingType>,
) -> Option<Vec<shapes::CommonPrefix>> {
    let shown = |prefix: String| shapes::CommonPrefix { prefix: Some(shown_key(&prefix, encoding)) };
    Some(prefixes.into_iter().map(shown).collect())
}

pub(super) fn objects_v2(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListObjectsV2Request,
) -> Result<shapes::ListObjectsV2Response, Refusal> {
    let bucket = Arc::clone(&owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?.name);
    let token = match &request.continuation_token {
        Some(token) => {
            let key = TOKEN.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(key.ok_or_else(|| {
                invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
            })?)
        }
        None => None,
    };
    let wanted = Wanted {
        prefix: request.prefix.as_deref().unwrap_or_default(),
        delimiter: request.delimiter.as_deref().unwrap_or_default(),
        after: token.as_deref().or(request.start_after.as_deref()).unwrap_or_default(),
        max: max_keys(request.max_keys, "max-keys")?,
    };
    let listing = listing(cx, &bucket, &wanted);
    let encoding = request.encoding_type;
    let count = listing.items.len() + listing.prefixes.len();
    let owner = request.fetch_owner.filter(|fetch| *fetch).map(|_| owner(cx));
    let next = listing.next.map(|key| TOKEN.encode(key));
    let contents = listing.items.into_iter().map(|item| shown(item, encoding, owner.as_ref())).collect();
    Ok(shapes::ListObjectsV2Response {
        is_truncated: Some(next.is_some()),
        contents: Some(contents),
        name: Some(bucket.to_string()),
        max_keys: Some(wanted.max as i32),
        prefix: Some(shown_key(request.prefix.as_deref().unwrap_or_default(), encoding)),
        delimiter: request.delimiter.as_deref().map(|delimiter| shown_key(delimiter, encoding)),
        common_prefixes: common_prefixes(listing.prefixes, encoding),
        encoding_type: encoding,
        key_count: Some(count as i32),
        continuation_token: request.continuation_token,
        next_continuation_token: next,
        start_after: request.start_after.map(|key| shown_key(&key, encoding)),
        request_charged: None,
    })
}

pub(super) fn objects(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListObjectsRequest,
) -> Result<shapes::ListObjectsResponse, Refusal> {
    let bucket = Arc::clone(&owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?.name);
    let wanted = Wanted {
        prefix: request.prefix.as_deref().unwrap_or_default(),
        delimiter: request.delimiter.as_deref().unwrap_or_default(),
        after: request.marker.as_deref().unwrap_or_default(),
        max: max_keys(request.max_keys, "max-keys")?,
    };
    let listing = listing(cx, &bucket, &wanted);
    let encoding = request.encoding_type;
    let owner = owner(cx);
    let is_truncated = listing.next.is_some();
    // Without a delimiter clients go on from the last key (S3 API reference, ListObjects).
    let next_marker =
        listing.next.filter(|_| request.delimiter.is_some()).map(|key| shown_key(&key, encoding));
    let contents = listing.items.into_iter().map(|item| shown(item, encoding, Some(&owner))).collect();
    Ok(shapes::ListObjectsResponse {
        is_truncated: Some(is_truncated),
        marker: Some(shown_key(request.marker.as_deref().unwrap_or_default(), encoding)),
        next_marker,
        contents: Some(contents),
        name: Some(bucket.to_string()),
        prefix: Some(shown_key(request.prefix.as_deref().unwrap_or_default(), encoding)),
        delimiter: request.delimiter.as_deref().map(|delimiter| shown_key(delimiter, encoding)),
        max_keys: Some(wanted.max as i32),
        common_prefixes: common_prefixes(listing.prefixes, encoding),
        encoding_type: encoding,
        request_charged: None,
    })
}
