//! Labels of versions: each names one version of its parameter.

use capstan_shapes::{Refusal, ssm as shapes};

use super::not_found;
use crate::{Caller, Engine};

/// Labels of one version (Systems Manager guide, labels).
const LABELS_MAX: usize = 10;

fn is_valid(label: &str) -> bool {
    let lower = label.to_lowercase();
    label.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

fn no_version(name: &str, number: i64) -> Refusal {
    Refusal::of(
        &shapes::PARAMETER_VERSION_NOT_FOUND,
        format!(
            "Systems Manager could not find version {number} of {name}. Verify the version and try again."
        ),
    )
}

pub(super) fn add(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::LabelParameterVersionRequest,
) -> Result<shapes::LabelParameterVersionResponse, Refusal> {
    let name = request.name;
    let (labels, wrong): (Vec<String>, Vec<String>) =
        request.labels.into_iter().partition(|label| is_valid(label));
    let mut row = cx.ssm.parameters.edit(&name).ok_or_else(|| not_found(&name))?;
    let number = request.parameter_version.unwrap_or_else(|| row.newest().0);
    let version = row.versions.get(&number).ok_or_else(|| no_version(&name, number))?;
    let new = labels.iter().filter(|label| !version.labels.contains(*label)).count();
    if version.labels.len() + new > LABELS_MAX {
        return Err(Refusal::of(
            &shapes::PARAMETER_VERSION_LABEL_LIMIT_EXCEEDED,
            format!(
                "A parameter version can have a maximum of {LABELS_MAX} labels. Move one or more labels to another version and try again."
            ),
        ));
    }
    for (other, version) in &mut row.versions {
        match *other == number {
            true => version.labels.extend(labels.iter().cloned()),
            false => version.labels.retain(|label| !labels.contains(label)),
        }
    }
    Ok(shapes::LabelParameterVersionResponse { invalid_labels: Some(wrong), parameter_version: Some(number) })
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UnlabelParameterVersionRequest,
) -> Result<shapes::UnlabelParameterVersionResponse, Refusal> {
    let (name, number) = (request.name, request.parameter_version);
    let mut row = cx.ssm.parameters.edit(&name).ok_or_else(|| not_found(&name))?;
    let version = row.versions.get_mut(&number).ok_or_else(|| no_version(&name, number))?;
    let (removed, unknown): (Vec<String>, Vec<String>) =
        request.labels.into_iter().partition(|label| version.labels.remove(label));
    Ok(shapes::UnlabelParameterVersionResponse {
        removed_labels: Some(removed),
        invalid_labels: Some(unknown),
    })
}
