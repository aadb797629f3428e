//! S3's refusals (S3 API reference, error responses).

use capstan_shapes::{Refusal, s3 as shapes};

pub(super) fn no_such_bucket(name: &str) -> Refusal {
    Refusal::of(&shapes::NO_SUCH_BUCKET, "The specified bucket does not exist")
        .with_member("BucketName", vec![name.to_owned()])
}

pub(super) fn no_such_key(key: &str) -> Refusal {
    Refusal::of(&shapes::NO_SUCH_KEY, "The specified key does not exist.")
        .with_member("Key", vec![key.to_owned()])
}

pub(super) fn no_such_version(key: &str, version: &str) -> Refusal {
    Refusal::new("NoSuchVersion", "The specified version does not exist.")
        .with_status(404)
        .with_member("Key", vec![key.to_owned()])
        .with_member("VersionId", vec![version.to_owned()])
}

pub(super) fn no_such_upload(id: &str) -> Refusal {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
                   or completed.";
    Refusal::of(&shapes::NO_SUCH_UPLOAD, message).with_member("UploadId", vec![id.to_owned()])
}

pub(super) fn method_not_allowed() -> Refusal {
    Refusal::new("MethodNotAllowed", "The specified method is not allowed against this resource.")
        .with_status(405)
}

pub(super) fn precondition_failed(condition: &str) -> Refusal {
    Refusal::new("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        .with_status(412)
        .with_member("Condition", vec![condition.to_owned()])
}

pub(super) fn invalid_argument(message: impl Into<String>, name: &str, value: &str) -> Refusal {
    Refusal::new("InvalidArgument", message)
        .with_member("ArgumentName", vec![name.to_owned()])
        .with_member("ArgumentValue", vec![value.to_owned()])
}

pub(super) fn invalid_request(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidRequest", message)
}

pub(super) fn malformed() -> Refusal {
    Refusal::new(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

/// A setting that a bucket does not have; each has a code of its own.
pub(super) fn not_configured(code: &'static str, message: &'static str, bucket: &str) -> Refusal {
    Refusal::new(code, message).with_status(404).with_member("BucketName", vec![bucket.to_owned()])
}
