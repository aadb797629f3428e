//! Instance profiles: what an instance gets its role by.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, iam as shapes};

use super::rows::folded;
use super::{InstanceProfile, already_exists, arn, conflict, listed, no_entity, path, role, tag, unique_id};
use crate::{Caller, Engine};

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateInstanceProfileRequest,
) -> Result<shapes::CreateInstanceProfileResponse, Refusal> {
    let path = path(request.path)?;
    let name = request.instance_profile_name;
    if cx.iam.instance_profiles.contains(&folded(&name)) {
        return Err(already_exists(format!("Instance Profile {name} already exists.")));
    }
    let tags = tag::of(caller, request.tags)?;
    let row = InstanceProfile {
        arn: arn(cx, "instance-profile", &path, &name),
        id: unique_id(cx, "AIPA"),
        name,
        path,
        created: cx.now,
        tags,
        role: None,
    };
    let instance_profile = shown(cx, &row);
    cx.iam.instance_profiles.insert(row);
    Ok(shapes::CreateInstanceProfileResponse { instance_profile })
}

fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a InstanceProfile, Refusal> {
    cx.iam.instance_profiles.get(&folded(name)).ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> Refusal {
    no_entity(format!("Instance Profile {name} cannot be found."))
}

fn shown(cx: &Engine, row: &InstanceProfile) -> shapes::InstanceProfile {
    shapes::InstanceProfile { tags: tag::member(&row.tags), ..brief(cx, row) }
}

/// As lists show it: without tags (API reference, ListInstanceProfiles).
fn brief(cx: &Engine, row: &InstanceProfile) -> shapes::InstanceProfile {
    let role = row.role.as_ref().and_then(|role| cx.iam.roles.get(role));
    shapes::InstanceProfile {
        path: row.path.clone(),
        instance_profile_name: row.name.clone(),
        instance_profile_id: row.id.clone(),
        arn: row.arn.clone(),
        create_date: row.created,
        roles: role.map(role::brief).into_iter().collect(),
        tags: None,
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetInstanceProfileRequest,
) -> Result<shapes::GetInstanceProfileResponse, Refusal> {
    let row = find(cx, &request.instance_profile_name)?;
    Ok(shapes::GetInstanceProfileResponse { instance_profile: shown(cx, row) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListInstanceProfilesRequest,
) -> Result<shapes::ListInstanceProfilesResponse, Refusal> {
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let rows = cx.iam.instance_profiles.iter().filter(|row| row.path.starts_with(prefix));
    let page = listed(rows, |row| folded(&row.name), request.marker, request.max_items)?;
    Ok(shapes::ListInstanceProfilesResponse {
        instance_profiles: page.items.into_iter().map(|row| brief(cx, row)).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn list_for_role(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListInstanceProfilesForRoleRequest,
) -> Result<shapes::ListInstanceProfilesForRoleResponse, Refusal> {
    let role = folded(&role::find(cx, &request.role_name)?.identity.name);
    let rows = cx.iam.instance_profiles.by(&role);
    let page = listed(rows, |row| folded(&row.name), request.marker, request.max_items)?;
    Ok(shapes::ListInstanceProfilesForRoleResponse {
        instance_profiles: page.items.into_iter().map(|row| brief(cx, row)).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteInstanceProfileRequest,
) -> Result<shapes::DeleteInstanceProfileResponse, Refusal> {
    if find(cx, &request.instance_profile_name)?.role.is_some() {
        return Err(conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    cx.iam.instance_profiles.remove(&folded(&request.instance_profile_name));
    Ok(shapes::DeleteInstanceProfileResponse {})
}

pub(super) fn add_role(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AddRoleToInstanceProfileRequest,
) -> Result<shapes::AddRoleToInstanceProfileResponse, Refusal> {
    let profile = find(cx, &request.instance_profile_name)?;
    let role = role::find(cx, &request.role_name)?;
    // An instance profile holds one role, and that cannot be raised (IAM guide, quotas).
    if profile.role.is_some() {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
        ));
    }
    if role.linked_to.is_some() {
        role::modifiable(cx, &request.role_name)?;
    }
    let role = folded(&request.role_name);
    if let Some(mut profile) = cx.iam.instance_profiles.edit(&folded(&request.instance_profile_name)) {
        profile.role = Some(role);
    }
    Ok(shapes::AddRoleToInstanceProfileResponse {})
}

pub(super) fn remove_role(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::RemoveRoleFromInstanceProfileRequest,
) -> Result<shapes::RemoveRoleFromInstanceProfileResponse, Refusal> {
    let profile = find(cx, &request.instance_profile_name)?;
    let role = folded(&role::find(cx, &request.role_name)?.identity.name);
    if profile.role.as_ref() != Some(&role) {
        return Err(no_entity(format!(
            "The role with name {} cannot be found in instance profile {}.",
            request.role_name, profile.name
        )));
    }
    if let Some(mut profile) = cx.iam.instance_profiles.edit(&folded(&request.instance_profile_name)) {
        profile.role = None;
    }
    Ok(shapes::RemoveRoleFromInstanceProfileResponse {})
}

pub(super) fn tags<'a>(cx: &'a Engine, name: &str) -> Result<&'a BTreeMap<String, String>, Refusal> {
    Ok(&find(cx, name)?.tags)
}

pub(super) fn change_tags(
    cx: &mut Engine,
    name: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    change(&mut cx.iam.instance_profiles.edit(&folded(name)).ok_or_else(|| not_found(name))?.tags)
}
