//! Versions of managed policies.

use capstan_shapes::{Refusal, iam as shapes};

use super::policy::{check_document, check_own, find, not_found, of_aws};
use super::{ManagedPolicy, Version, conflict, document, listed, no_entity};
use crate::kernel::Edit;
use crate::{Caller, Engine};

/// Versions that are kept of one policy (IAM guide, versioning of managed policies).
const VERSIONS_MAX: usize = 5;

/// The number in `v3`.
fn number(row: &ManagedPolicy, id: &str) -> Result<u32, Refusal> {
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number.filter(|number| row.versions.contains_key(number)).ok_or_else(|| no_version(&row.arn, id))
}

fn no_version(arn: &str, id: &str) -> Refusal {
    no_entity(format!("Policy {arn} version {id} does not exist or is not attachable."))
}

fn shown(row: &ManagedPolicy, number: u32, version: &Version) -> shapes::PolicyVersion {
    shapes::PolicyVersion {
        document: None,
        version_id: Some(format!("v{number}")),
        is_default_version: Some(number == row.default_version),
        create_date: Some(version.created),
    }
}

fn edit<'a>(cx: &'a mut Engine, arn: &str) -> Result<Edit<'a, ManagedPolicy>, Refusal> {
    check_own(arn)?;
    cx.iam.policies.edit(&arn.to_owned()).ok_or_else(|| not_found(arn))
}

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreatePolicyVersionRequest,
) -> Result<shapes::CreatePolicyVersionResponse, Refusal> {
    check_own(&request.policy_arn)?;
    find(cx, &request.policy_arn)?;
    check_document(&request.policy_document)?;
    let now = cx.now;
    let mut row = edit(cx, &request.policy_arn)?;
    if row.versions.len() >= VERSIONS_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!(
                "A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you must delete an existing version."
            ),
        ));
    }
    row.versions_ever += 1;
    let number = row.versions_ever;
    let version = Version { document: request.policy_document, created: now };
    row.versions.insert(number, version.clone());
    row.updated = now;
    if request.set_as_default == Some(true) {
        row.default_version = number;
    }
    Ok(shapes::CreatePolicyVersionResponse { policy_version: Some(shown(&row, number, &version)) })
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetPolicyVersionRequest,
) -> Result<shapes::GetPolicyVersionResponse, Refusal> {
    if of_aws(&request.policy_arn).is_some() {
        return Err(Refusal::new(
            "NotImplemented",
            format!(
                "The document of the AWS managed policy {} is not known here: only its ARN is.",
                request.policy_arn
            ),
        )
        .with_status(501));
    }
    let row = find(cx, &request.policy_arn)?;
    let number = number(row, &request.version_id)?;
    let policy_version = row.versions.get(&number).map(|version| shapes::PolicyVersion {
        document: Some(document::encoded(&version.document)),
        ..shown(row, number, version)
    });
    Ok(shapes::GetPolicyVersionResponse { policy_version })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListPolicyVersionsRequest,
) -> Result<shapes::ListPolicyVersionsResponse, Refusal> {
    let row = find(cx, &request.policy_arn)?;
    let versions = row.versions.iter().rev().map(|(number, version)| shown(row, *number, version));
    let key = |version: &shapes::PolicyVersion| version.version_id.clone().unwrap_or_default();
    let page = listed(versions, key, request.marker, request.max_items)?;
    Ok(shapes::ListPolicyVersionsResponse {
        is_truncated: Some(page.next.is_some()),
        versions: Some(page.items),
        marker: page.next,
    })
}

pub(super) fn set_default(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetDefaultPolicyVersionRequest,
) -> Result<shapes::SetDefaultPolicyVersionResponse, Refusal> {
    let now = cx.now;
    let mut row = edit(cx, &request.policy_arn)?;
    row.default_version = number(&row, &request.version_id)?;
    row.updated = now;
    Ok(shapes::SetDefaultPolicyVersionResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeletePolicyVersionRequest,
) -> Result<shapes::DeletePolicyVersionResponse, Refusal> {
    let mut row = edit(cx, &request.policy_arn)?;
    let number = number(&row, &request.version_id)?;
    if number == row.default_version {
        return Err(conflict("Cannot delete the default version of a policy."));
    }
    row.versions.remove(&number);
    Ok(shapes::DeletePolicyVersionResponse {})
}
