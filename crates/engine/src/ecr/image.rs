//! Images, of which there are none: every list is empty, and whoever asks for one by name is told so.

use capstan_shapes::{Refusal, ecr as shapes};

use super::named;
use crate::{Caller, Engine};

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListImagesRequest,
) -> Result<shapes::ListImagesResponse, Refusal> {
    named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    Ok(shapes::ListImagesResponse { image_ids: Some(Vec::new()), next_token: None })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeImagesRequest,
) -> Result<shapes::DescribeImagesResponse, Refusal> {
    named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    if let Some(image) = request.image_ids.unwrap_or_default().first() {
        let message = format!(
            "The image with imageId {} does not exist within the repository with name '{}' in the registry with id '{}'",
            text(image),
            request.repository_name,
            cx.config.account
        );
        return Err(Refusal::of(&shapes::IMAGE_NOT_FOUND_EXCEPTION, message));
    }
    Ok(shapes::DescribeImagesResponse { image_details: Some(Vec::new()), next_token: None })
}

fn text(image: &shapes::ImageIdentifier) -> String {
    let part =
        |text: &Option<String>| text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("'{text}'"));
    format!("{{imageDigest:{}, imageTag:{}}}", part(&image.image_digest), part(&image.image_tag))
}

pub(super) fn batch_get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::BatchGetImageRequest,
) -> Result<shapes::BatchGetImageResponse, Refusal> {
    named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let failures = request.image_ids.into_iter().map(|image| {
        let is_named = image.image_digest.is_some() || image.image_tag.is_some();
        let (code, reason) = if is_named {
            (shapes::ImageFailureCode::ImageNotFound, "Requested image not found")
        } else {
            (
                shapes::ImageFailureCode::MissingDigestAndTag,
                "Invalid request parameters: both tag and digest cannot be null",
            )
        };
        shapes::ImageFailure {
            image_id: Some(image),
            failure_code: Some(code),
            failure_reason: Some(reason.to_owned()),
        }
    });
    Ok(shapes::BatchGetImageResponse { images: Some(Vec::new()), failures: Some(failures.collect()) })
}
