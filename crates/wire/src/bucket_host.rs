//! S3's two ways to name a bucket: first in the path, or in front of the host (S3 User Guide, "Virtual hosting of buckets").

use std::borrow::Cow;

use crate::Incoming;

/// The bucket that the host names: `BUCKET.s3.REGION.amazonaws.com`, `BUCKET.s3.amazonaws.com`, `BUCKET.s3.localhost` and
/// `BUCKET.localhost`.
pub(crate) fn bucket<'a>(request: &Incoming<'a>) -> Option<&'a str> {
    let host = (request.header)("host")?;
    let host = host.split(':').next().unwrap_or_default();
    let bucket = if host.ends_with(".localhost") || host.ends_with(".amazonaws.com") {
        // The last one: a bucket's name may have dots.
        let of_s3 = [".s3.", ".s3-"].iter().filter_map(|mark| host.rfind(mark)).max();
        let plain = host.strip_suffix(".localhost").filter(|name| *name != "s3" && !name.starts_with("s3."));
        of_s3.map(|at| &host[..at]).or(plain)
    } else {
        None
    };
    bucket.filter(|bucket| !bucket.is_empty())
}

/// The path with the bucket in it, whichever way it was named; `/BUCKET/` is the bucket itself.
pub(crate) fn path<'a>(request: &Incoming<'a>) -> Cow<'a, str> {
    let path: Cow<'a, str> = match bucket(request) {
        Some(bucket) => format!("/{bucket}{}", request.path).into(),
        None => request.path.into(),
    };
    match path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(bucket) if !bucket.is_empty() && !bucket.contains('/') => format!("/{bucket}").into(),
        _ => path,
    }
}
