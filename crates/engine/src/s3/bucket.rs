//! Buckets: made, found, listed, deleted.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};

use super::error::{invalid_argument, no_such_bucket};
use super::{Bucket, Settings, acl, owner, tagging};
use crate::kernel::page;
use crate::{Caller, Engine};

/// S3 API reference, ListBuckets.
const PAGE_MAX: i32 = 10_000;

/// The row of a bucket.
pub(super) fn named<'a>(cx: &'a Engine, name: &str) -> Result<&'a Bucket, Refusal> {
    cx.s3.buckets.get(&Arc::from(name)).ok_or_else(|| no_such_bucket(name))
}

/// The same where the request says whose it believes it to be.
pub(super) fn owned<'a>(cx: &'a Engine, name: &str, owner: Option<&str>) -> Result<&'a Bucket, Refusal> {
    let bucket = named(cx, name)?;
    match owner {
        Some(owner) if owner != cx.config.account => {
            Err(Refusal::new("AccessDenied", "Access Denied").with_status(403))
        }
        _ => Ok(bucket),
    }
}

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateBucketRequest,
) -> Result<shapes::CreateBucketResponse, Refusal> {
    let name: Arc<str> = request.bucket.as_str().into();
    if !is_name(&name) {
        return Err(Refusal::new("InvalidBucketName", "The specified bucket is not valid.")
            .with_member("BucketName", vec![name.to_string()]));
    }
    let configuration = request.create_bucket_configuration.unwrap_or_default();
    if configuration.location.is_some() || configuration.bucket.is_some() {
        let message = "Directory buckets are not built: leave Location and Bucket out of the configuration.";
        return Err(Refusal::new("NotImplemented", message).with_status(501));
    }
    let home = cx.config.region.name;
    let region = match configuration.location_constraint {
        Some(shapes::BucketLocationConstraint::Eu) => "eu-west-1",
        Some(region) => region.as_str(),
        None => "us-east-1",
    };
    // The endpoint of us-east-1 makes buckets anywhere, any other only in its own region.
    if region != home && home != "us-east-1" {
        let named = configuration.location_constraint.map_or("unspecified", |_| region);
        let message = format!(
            "The {named} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        return Err(Refusal::new("IllegalLocationConstraintException", message));
    }
    if let Some(there) = cx.s3.buckets.get(&name) {
        // In us-east-1 creating a bucket again succeeds (S3 API reference, BucketAlreadyOwnedByYou).
        if home == "us-east-1" && there.region == region {
            return Ok(created(&name));
        }
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refusal::of(&shapes::BUCKET_ALREADY_OWNED_BY_YOU, message)
            .with_member("BucketName", vec![name.to_string()]));
    }
    let tags = configuration.tags.unwrap_or_default();
    tagging::check(&tags, tagging::OF_BUCKET)?;
    let mut settings = Settings::fresh(request.object_ownership, request.object_lock_enabled_for_bucket);
    settings.acl = acl::canned_bucket(cx, request.acl);
    settings.tags = (!tags.is_empty()).then_some(tags);
    let versioning = settings.object_lock.as_ref().map(|_| shapes::BucketVersioningStatus::Enabled);
    let bucket =
        Bucket { name: Arc::clone(&name), created: cx.now, region: region.to_owned(), versioning, settings };
    cx.s3.buckets.insert(bucket);
    Ok(created(&name))
}

fn created(name: &str) -> shapes::CreateBucketResponse {
    shapes::CreateBucketResponse { location: Some(format!("/{name}")), bucket_arn: Some(arn(name)) }
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// 3 to 63 lower-case letters, digits, dots and hyphens, no address, letter or digit at both ends (S3 User Guide, bucket
/// naming rules).
fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&c| plain(c) || c == b'.' || c == b'-')
        && bytes.first().is_some_and(|&c| plain(c))
        && bytes.last().is_some_and(|&c| plain(c))
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !name.starts_with("xn--")
        && !name.ends_with("-s3alias")
}

pub(super) fn head(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::HeadBucketRequest,
) -> Result<shapes::HeadBucketResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    Ok(shapes::HeadBucketResponse {
        bucket_arn: Some(arn(&bucket.name)),
        bucket_region: Some(bucket.region.clone()),
        access_point_alias: Some(false),
        ..shapes::HeadBucketResponse::default()
    })
}

pub(super) fn location(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetBucketLocationRequest,
) -> Result<shapes::GetBucketLocationResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    // Of us-east-1 the answer is empty.
    let location_constraint = shapes::BucketLocationConstraint::parse(&bucket.region);
    Ok(shapes::GetBucketLocationResponse { location_constraint })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListBucketsRequest,
) -> Result<shapes::ListBucketsResponse, Refusal> {
    let size = request.max_buckets.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&size) {
        let message = "Argument max-buckets must be an integer between 1 and 10000.";
        return Err(invalid_argument(message, "max-buckets", &size.to_string()));
    }
    let prefix = request.prefix.clone().unwrap_or_default();
    let wanted = cx.s3.buckets.iter().filter(|bucket| bucket.name.starts_with(&prefix));
    let wanted =
        wanted.filter(|bucket| request.bucket_region.as_ref().is_none_or(|region| *region == bucket.region));
    let token = request.continuation_token.as_deref();
    let page = page(wanted, |bucket| bucket.name.to_string(), token, size as usize).map_err(|()| {
        let message = "The continuation token provided is incorrect";
        invalid_argument(message, "continuation-token", token.unwrap_or_default())
    })?;
    let shown = |bucket: &Bucket| shapes::Bucket {
        name: Some(bucket.name.to_string()),
        creation_date: Some(bucket.created),
        // Only a paginated request is told more (S3 API reference).
        bucket_region: (request.max_buckets.is_some() || token.is_some()).then(|| bucket.region.clone()),
        bucket_arn: Some(arn(&bucket.name)),
    };
    Ok(shapes::ListBucketsResponse {
        buckets: Some(page.items.into_iter().map(shown).collect()),
        owner: Some(owner(cx)),
        continuation_token: page.next,
        prefix: request.prefix,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteBucketRequest,
) -> Result<shapes::DeleteBucketResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let name = Arc::clone(&bucket.name);
    if cx.s3.objects_from(&name, "").next().is_some() {
        let message = if bucket.versioning.is_some() {
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        } else {
            "The bucket you tried to delete is not empty"
        };
        return Err(Refusal::new("BucketNotEmpty", message)
            .with_status(409)
            .with_member("BucketName", vec![name.to_string()]));
    }
    super::upload::abort_all(cx, &name);
    cx.s3.buckets.remove(&name);
    Ok(shapes::DeleteBucketResponse {})
}
