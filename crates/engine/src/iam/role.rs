//! Roles.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, iam as shapes};

use super::document::{self, Purpose};
use super::identity::{self, Kind};
use super::rows::folded;
use super::{Identity, Role, already_exists, arn, conflict, listed, path, policy, tag, unique_id};
use crate::kernel::Edit;
use crate::{Caller, Engine};

/// Characters of a trust policy (IAM guide, quotas: the default).
const TRUST_MAX: usize = 2_048;

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateRoleRequest,
) -> Result<shapes::CreateRoleResponse, Refusal> {
    let path = path(request.path)?;
    if path.starts_with("/aws-service-role/") || request.role_name.starts_with("AWSServiceRoleFor") {
        return Err(Refusal::new(
            "AccessDenied",
            format!("The name {} and its path are reserved for roles that are linked to services; use CreateServiceLinkedRole.", request.role_name),
        )
        .with_status(403));
    }
    check_trust(&request.assume_role_policy_document)?;
    if let Some(arn) = &request.permissions_boundary {
        policy::check_attachable(cx, arn)?;
    }
    let row = Role {
        trust: request.assume_role_policy_document,
        description: request.description,
        session_seconds_max: request.max_session_duration.unwrap_or(3600),
        linked_to: None,
        identity: Identity {
            arn: arn(cx, "role", &path, &request.role_name),
            name: request.role_name,
            path,
            id: String::new(),
            created: cx.now,
            tags: tag::of(caller, request.tags)?,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            boundary: request.permissions_boundary,
        },
    };
    Ok(shapes::CreateRoleResponse { role: insert(cx, row)? })
}

/// Puts a new role in its table and gives it its id.
pub(super) fn insert(cx: &mut Engine, mut row: Role) -> Result<shapes::Role, Refusal> {
    let name = &row.identity.name;
    if cx.iam.roles.contains(&folded(name)) {
        return Err(already_exists(format!("Role with name {name} already exists.")));
    }
    row.identity.id = unique_id(cx, "AROA");
    let shown = shown(&row);
    cx.iam.roles.insert(row);
    Ok(shown)
}

fn check_trust(text: &str) -> Result<(), Refusal> {
    document::check(text, Purpose::Trust)?;
    if document::size(text) > TRUST_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("Cannot exceed quota for ACLSizePerRole: {TRUST_MAX}"),
        ));
    }
    Ok(())
}

pub(super) fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a Role, Refusal> {
    cx.iam.roles.get(&folded(name)).ok_or_else(|| Kind::Role.not_found(name))
}

/// A role that its user may change: not one that is linked to a service.
pub(super) fn modifiable<'a>(cx: &'a mut Engine, name: &str) -> Result<Edit<'a, Role>, Refusal> {
    if find(cx, name)?.linked_to.is_some() {
        return Err(Refusal::of(
            &shapes::UNMODIFIABLE_ENTITY_EXCEPTION,
            format!(
                "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            ),
        ));
    }
    cx.iam.roles.edit(&folded(name)).ok_or_else(|| Kind::Role.not_found(name))
}

/// As GetRole shows it.
pub(super) fn shown(row: &Role) -> shapes::Role {
    shapes::Role {
        permissions_boundary: identity::boundary(&row.identity),
        tags: tag::member(&row.identity.tags),
        ..brief(row)
    }
}

/// As lists show it: without boundary and tags (API reference, ListRoles).
pub(super) fn brief(row: &Role) -> shapes::Role {
    let identity = &row.identity;
    shapes::Role {
        path: identity.path.clone(),
        role_name: identity.name.clone(),
        role_id: identity.id.clone(),
        arn: identity.arn.clone(),
        create_date: identity.created,
        assume_role_policy_document: Some(document::encoded(&row.trust)),
        description: row.description.clone(),
        max_session_duration: Some(row.session_seconds_max),
        ..shapes::Role::default()
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetRoleRequest,
) -> Result<shapes::GetRoleResponse, Refusal> {
    Ok(shapes::GetRoleResponse { role: shown(find(cx, &request.role_name)?) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListRolesRequest,
) -> Result<shapes::ListRolesResponse, Refusal> {
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let roles = cx.iam.roles.iter().filter(|row| row.identity.path.starts_with(prefix));
    let page = listed(roles, |row| folded(&row.identity.name), request.marker, request.max_items)?;
    Ok(shapes::ListRolesResponse {
        roles: page.items.into_iter().map(brief).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateRoleRequest,
) -> Result<shapes::UpdateRoleResponse, Refusal> {
    let mut row = modifiable(cx, &request.role_name)?;
    if let Some(description) = request.description {
        row.description = Some(description).filter(|text| !text.is_empty());
    }
    row.session_seconds_max = request.max_session_duration.unwrap_or(row.session_seconds_max);
    Ok(shapes::UpdateRoleResponse {})
}

pub(super) fn update_description(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateRoleDescriptionRequest,
) -> Result<shapes::UpdateRoleDescriptionResponse, Refusal> {
    let mut row = modifiable(cx, &request.role_name)?;
    row.description = Some(request.description).filter(|text| !text.is_empty());
    Ok(shapes::UpdateRoleDescriptionResponse { role: Some(shown(&row)) })
}

pub(super) fn update_trust(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateAssumeRolePolicyRequest,
) -> Result<shapes::UpdateAssumeRolePolicyResponse, Refusal> {
    find(cx, &request.role_name)?;
    check_trust(&request.policy_document)?;
    modifiable(cx, &request.role_name)?.trust = request.policy_document;
    Ok(shapes::UpdateAssumeRolePolicyResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteRoleRequest,
) -> Result<shapes::DeleteRoleResponse, Refusal> {
    let key = folded(&request.role_name);
    if cx.iam.instance_profiles.count_by(&key) > 0 {
        return Err(conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    identity::check_bare(&modifiable(cx, &request.role_name)?.identity)?;
    cx.iam.roles.remove(&key);
    Ok(shapes::DeleteRoleResponse {})
}

pub(super) fn tags<'a>(cx: &'a Engine, name: &str) -> Result<&'a BTreeMap<String, String>, Refusal> {
    Ok(&find(cx, name)?.identity.tags)
}

pub(super) fn change_tags(
    cx: &mut Engine,
    name: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    identity::change(cx, Kind::Role, name, |identity| change(&mut identity.tags))
}
