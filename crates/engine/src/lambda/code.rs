//! The code of a function: what is shown of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_shapes::Refusal;
use capstan_shapes::lambda::FunctionCode;
use sha2::{Digest as _, Sha256};

use super::invalid;
use crate::Engine;

/// A deployment package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// Bytes.
    pub(super) size: i64,
    /// Base64.
    pub(super) sha256: String,
    pub(super) image: Option<String>,
}

/// Looks at the package, which must be there: bytes, an object in S3, or the name of an image.
pub(super) fn read(cx: &Engine, code: &FunctionCode) -> Result<Code, Refusal> {
    let of = |bytes: &[u8], size: usize, image: Option<String>| Code {
        size: i64::try_from(size).unwrap_or(i64::MAX),
        sha256: BASE64.encode(Sha256::digest(bytes)),
        image,
    };
    match code {
        FunctionCode { zip_file: Some(zip), s3_bucket: None, image_uri: None, .. } => {
            if !zip.0.starts_with(b"PK") {
                return Err(invalid(
                    "Could not unzip uploaded file. Please check your file, then try to upload again.",
                ));
            }
            Ok(of(&zip.0, zip.0.len(), None))
        }
        FunctionCode {
            zip_file: None, s3_bucket: Some(bucket), s3_key: Some(key), image_uri: None, ..
        } => {
            let object = cx.s3.object(bucket, key).ok_or_else(|| {
                invalid(format!(
                    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: There is no object {key} in the bucket {bucket}."
                ))
            })?;
            Ok(of(object, object.len(), None))
        }
        FunctionCode { zip_file: None, s3_bucket: None, image_uri: Some(image), .. } => {
            // The digest of an image is its registry's to tell; its name stands for it.
            Ok(of(image.as_bytes(), 0, Some(image.clone())))
        }
        _ => Err(invalid(
            "Please provide a source for function code: ZipFile, or S3Bucket and S3Key, or ImageUri.",
        )),
    }
}
