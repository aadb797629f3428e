//! What roles, users and groups have in common: inline policies, attached policies and permissions boundaries.

use capstan_shapes::{Refusal, iam as shapes};

use super::document::{self, Purpose};
use super::rows::{Identity, folded};
use super::{listed, no_entity, policy, role};
use crate::{Caller, Engine};

/// Managed policies attached to one identity (IAM guide, quotas: default values).
const ATTACHED_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Group,
    Role,
    User,
}

impl Kind {
    /// `role`, as messages name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Role => "role",
            Self::User => "user",
        }
    }

    pub(super) fn not_found(self, name: &str) -> Refusal {
        no_entity(format!("The {} with name {name} cannot be found.", self.word()))
    }

    /// Characters of all inline policies of one identity together (IAM guide, quotas).
    fn inline_max(self) -> usize {
        match self {
            Self::Group => 5_120,
            Self::Role => 10_240,
            Self::User => 2_048,
        }
    }
}

pub(super) fn find<'a>(cx: &'a Engine, kind: Kind, name: &str) -> Result<&'a Identity, Refusal> {
    let key = folded(name);
    let found = match kind {
        Kind::Group => cx.iam.groups.get(&key).map(|row| &row.identity),
        Kind::Role => cx.iam.roles.get(&key).map(|row| &row.identity),
        Kind::User => cx.iam.users.get(&key).map(|row| &row.identity),
    };
    found.ok_or_else(|| kind.not_found(name))
}

/// Changes an identity, unless it is a role that only its service changes.
pub(super) fn change<T>(
    cx: &mut Engine,
    kind: Kind,
    name: &str,
    change: impl FnOnce(&mut Identity) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let (key, none) = (folded(name), || kind.not_found(name));
    match kind {
        Kind::Group => change(&mut cx.iam.groups.edit(&key).ok_or_else(none)?.identity),
        Kind::Role => change(&mut role::modifiable(cx, name)?.identity),
        Kind::User => change(&mut cx.iam.users.edit(&key).ok_or_else(none)?.identity),
    }
}

fn put_inline(cx: &mut Engine, kind: Kind, name: &str, policy: String, text: String) -> Result<(), Refusal> {
    find(cx, kind, name)?;
    document::check(&text, Purpose::Permission)?;
    change(cx, kind, name, |identity| {
        let others = identity.inline.iter().filter(|(other, _)| **other != policy);
        let size: usize = others.map(|(_, text)| document::size(text)).sum();
        if size + document::size(&text) > kind.inline_max() {
            return Err(Refusal::of(
                &shapes::LIMIT_EXCEEDED_EXCEPTION,
                format!(
                    "Maximum policy size of {} bytes exceeded for {} {name}",
                    kind.inline_max(),
                    kind.word()
                ),
            ));
        }
        identity.inline.insert(policy, text);
        Ok(())
    })
}

fn no_inline(kind: Kind, policy: &str) -> Refusal {
    no_entity(format!("The {} policy with name {policy} cannot be found.", kind.word()))
}

/// Its document, as IAM shows it.
fn get_inline(cx: &Engine, kind: Kind, name: &str, policy: &str) -> Result<String, Refusal> {
    let text = find(cx, kind, name)?.inline.get(policy).ok_or_else(|| no_inline(kind, policy))?;
    Ok(document::encoded(text))
}

fn delete_inline(cx: &mut Engine, kind: Kind, name: &str, policy: &str) -> Result<(), Refusal> {
    change(cx, kind, name, |identity| {
        identity.inline.remove(policy).map(drop).ok_or_else(|| no_inline(kind, policy))
    })
}

fn attach(cx: &mut Engine, kind: Kind, name: &str, arn: String) -> Result<(), Refusal> {
    find(cx, kind, name)?;
    policy::check_attachable(cx, &arn)?;
    change(cx, kind, name, |identity| {
        if !identity.attached.contains(&arn) && identity.attached.len() >= ATTACHED_MAX {
            let of = match kind {
                Kind::Group => "Group",
                Kind::Role => "Role",
                Kind::User => "User",
            };
            return Err(Refusal::of(
                &shapes::LIMIT_EXCEEDED_EXCEPTION,
                format!("Cannot exceed quota for PoliciesPer{of}: {ATTACHED_MAX}"),
            ));
        }
        identity.attached.insert(arn);
        Ok(())
    })
}

fn detach(cx: &mut Engine, kind: Kind, name: &str, arn: &str) -> Result<(), Refusal> {
    policy::check_arn(arn)?;
    change(cx, kind, name, |identity| {
        let removed = identity.attached.remove(arn);
        removed.then_some(()).ok_or_else(|| no_entity(format!("Policy {arn} was not found.")))
    })
}

fn attached(
    cx: &Engine,
    kind: Kind,
    name: &str,
    prefix: Option<&str>,
) -> Result<Vec<shapes::AttachedPolicy>, Refusal> {
    let arns = find(cx, kind, name)?.attached.iter();
    let fits = |arn: &&String| prefix.is_none_or(|prefix| policy::path_of(arn).starts_with(prefix));
    Ok(arns
        .filter(fits)
        .map(|arn| shapes::AttachedPolicy {
            policy_name: arn.rsplit('/').next().map(str::to_owned),
            policy_arn: Some(arn.clone()),
        })
        .collect())
}

/// The seven operations on the policies of one kind of identity.
macro_rules! policies_of {
    ($module:ident: $kind:expr, $name:ident,
     $Put:ident $PutDone:ident, $Get:ident $Got:ident, $List:ident $Listed:ident, $Delete:ident $Deleted:ident,
     $Attach:ident $AttachDone:ident, $Detach:ident $DetachDone:ident, $ListAttached:ident $ListedAttached:ident) => {
        pub(super) mod $module {
            use super::*;

            pub(in crate::iam) fn put(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Put,
            ) -> Result<shapes::$PutDone, Refusal> {
                put_inline(cx, $kind, &request.$name, request.policy_name, request.policy_document)?;
                Ok(shapes::$PutDone {})
            }

            pub(in crate::iam) fn get(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Get,
            ) -> Result<shapes::$Got, Refusal> {
                Ok(shapes::$Got {
                    policy_document: get_inline(cx, $kind, &request.$name, &request.policy_name)?,
                    $name: find(cx, $kind, &request.$name)?.name.clone(),
                    policy_name: request.policy_name,
                })
            }

            pub(in crate::iam) fn list(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$List,
            ) -> Result<shapes::$Listed, Refusal> {
                let names = find(cx, $kind, &request.$name)?.inline.keys().cloned();
                let page = listed(names, String::clone, request.marker, request.max_items)?;
                Ok(shapes::$Listed {
                    is_truncated: Some(page.next.is_some()),
                    policy_names: page.items,
                    marker: page.next,
                })
            }

            pub(in crate::iam) fn delete(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Delete,
            ) -> Result<shapes::$Deleted, Refusal> {
                delete_inline(cx, $kind, &request.$name, &request.policy_name)?;
                Ok(shapes::$Deleted {})
            }

            pub(in crate::iam) fn attach(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Attach,
            ) -> Result<shapes::$AttachDone, Refusal> {
                super::attach(cx, $kind, &request.$name, request.policy_arn)?;
                Ok(shapes::$AttachDone {})
            }

            pub(in crate::iam) fn detach(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Detach,
            ) -> Result<shapes::$DetachDone, Refusal> {
                super::detach(cx, $kind, &request.$name, &request.policy_arn)?;
                Ok(shapes::$DetachDone {})
            }

            pub(in crate::iam) fn list_attached(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$ListAttached,
            ) -> Result<shapes::$ListedAttached, Refusal> {
                let policies = attached(cx, $kind, &request.$name, request.path_prefix.as_deref())?;
                let key = |policy: &shapes::AttachedPolicy| policy.policy_arn.clone().unwrap_or_default();
                let page = listed(policies, key, request.marker, request.max_items)?;
                Ok(shapes::$ListedAttached {
                    is_truncated: Some(page.next.is_some()),
                    attached_policies: Some(page.items),
                    marker: page.next,
                })
            }
        }
    };
}

policies_of!(of_group: Kind::Group, group_name,
    PutGroupPolicyRequest PutGroupPolicyResponse, GetGroupPolicyRequest GetGroupPolicyResponse,
    ListGroupPoliciesRequest ListGroupPoliciesResponse, DeleteGroupPolicyRequest DeleteGroupPolicyResponse,
    AttachGroupPolicyRequest AttachGroupPolicyResponse, DetachGroupPolicyRequest DetachGroupPolicyResponse,
    ListAttachedGroupPoliciesRequest ListAttachedGroupPoliciesResponse);
policies_of!(of_role: Kind::Role, role_name,
    PutRolePolicyRequest PutRolePolicyResponse, GetRolePolicyRequest GetRolePolicyResponse,
    ListRolePoliciesRequest ListRolePoliciesResponse, DeleteRolePolicyRequest DeleteRolePolicyResponse,
    AttachRolePolicyRequest AttachRolePolicyResponse, DetachRolePolicyRequest DetachRolePolicyResponse,
    ListAttachedRolePoliciesRequest ListAttachedRolePoliciesResponse);
policies_of!(of_user: Kind::User, user_name,
    PutUserPolicyRequest PutUserPolicyResponse, GetUserPolicyRequest GetUserPolicyResponse,
    ListUserPoliciesRequest ListUserPoliciesResponse, DeleteUserPolicyRequest DeleteUserPolicyResponse,
    AttachUserPolicyRequest AttachUserPolicyResponse, DetachUserPolicyRequest DetachUserPolicyResponse,
    ListAttachedUserPoliciesRequest ListAttachedUserPoliciesResponse);

fn set_boundary(cx: &mut Engine, kind: Kind, name: &str, arn: Option<String>) -> Result<(), Refusal> {
    find(cx, kind, name)?;
    if let Some(arn) = &arn {
        policy::check_attachable(cx, arn)?;
    }
    change(cx, kind, name, |identity| {
        if arn.is_none() && identity.boundary.is_none() {
            let whose = match kind {
                Kind::User => "User",
                Kind::Role | Kind::Group => "Role",
            };
            return Err(no_entity(format!("{whose} {name} has no permissions boundary.")));
        }
        identity.boundary = arn;
        Ok(())
    })
}

pub(super) fn boundary(identity: &Identity) -> Option<shapes::AttachedPermissionsBoundary> {
    identity.boundary.clone().map(|arn| shapes::AttachedPermissionsBoundary {
        permissions_boundary_type: Some(shapes::PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy),
        permissions_boundary_arn: Some(arn),
    })
}

pub(super) fn put_role_boundary(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutRolePermissionsBoundaryRequest,
) -> Result<shapes::PutRolePermissionsBoundaryResponse, Refusal> {
    set_boundary(cx, Kind::Role, &request.role_name, Some(request.permissions_boundary))?;
    Ok(shapes::PutRolePermissionsBoundaryResponse {})
}

pub(super) fn delete_role_boundary(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteRolePermissionsBoundaryRequest,
) -> Result<shapes::DeleteRolePermissionsBoundaryResponse, Refusal> {
    set_boundary(cx, Kind::Role, &request.role_name, None)?;
    Ok(shapes::DeleteRolePermissionsBoundaryResponse {})
}

pub(super) fn put_user_boundary(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutUserPermissionsBoundaryRequest,
) -> Result<shapes::PutUserPermissionsBoundaryResponse, Refusal> {
    set_boundary(cx, Kind::User, &request.user_name, Some(request.permissions_boundary))?;
    Ok(shapes::PutUserPermissionsBoundaryResponse {})
}

pub(super) fn delete_user_boundary(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteUserPermissionsBoundaryRequest,
) -> Result<shapes::DeleteUserPermissionsBoundaryResponse, Refusal> {
    set_boundary(cx, Kind::User, &request.user_name, None)?;
    Ok(shapes::DeleteUserPermissionsBoundaryResponse {})
}

/// What stands in the way of deleting an identity.
pub(super) fn check_bare(identity: &Identity) -> Result<(), Refusal> {
    let conflict = |what: &str| Err(super::conflict(format!("Cannot delete entity, must {what} first.")));
    if !identity.attached.is_empty() {
        return conflict("detach all policies");
    }
    if !identity.inline.is_empty() {
        return conflict("delete policies");
    }
    Ok(())
}
