//! Roles, users and groups, with the policies that they hold.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, iam as shapes};
use serde_json::{Map, Value as Json};

use super::{INERT, or_absent};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, scalar};
use crate::cloudformation::types::common::{attributes, changed, or_undo, tag_changes, texts};
use crate::iam::Identity;

pub(super) const GROUP: Handler = Handler {
    type_name: "AWS::IAM::Group",
    inert: Some(INERT),
    create: create_group,
    update: update_group,
    delete: delete_group,
    stable: always,
    attributes: |cx, resource| arn_of(cx.iam.groups().get(&key(resource)).map(|row| &row.identity)),
};

pub(super) const ROLE: Handler = Handler {
    type_name: "AWS::IAM::Role",
    inert: Some(INERT),
    create: create_role,
    update: update_role,
    delete: delete_role,
    stable: always,
    attributes: role_attributes,
};

pub(super) const USER: Handler = Handler {
    type_name: "AWS::IAM::User",
    inert: Some(INERT),
    create: create_user,
    update: update_user,
    delete: delete_user,
    stable: always,
    attributes: |cx, resource| arn_of(cx.iam.users().get(&key(resource)).map(|row| &row.identity)),
};

/// Roles, users and groups are found by their names in lower case.
fn key(resource: &Resource) -> String {
    resource.physical_id.to_lowercase()
}

fn arn_of(identity: Option<&Identity>) -> Map<String, Json> {
    identity.map(|identity| attributes([("Arn", identity.arn.clone())])).unwrap_or_default()
}

fn role_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let role = cx.iam.role(&resource.physical_id).map(|role| &role.identity);
    role.map(|role| attributes([("Arn", role.arn.clone()), ("RoleId", role.id.clone())])).unwrap_or_default()
}

/// How the policies of one kind of identity are changed.
pub(super) struct Verbs {
    /// By name and document.
    pub(super) put: fn(&mut Engine, &str, &str, String) -> Result<(), Refusal>,
    pub(super) delete: fn(&mut Engine, &str, &str) -> Result<(), Refusal>,
    /// By ARN.
    pub(super) attach: fn(&mut Engine, &str, &str) -> Result<(), Refusal>,
    pub(super) detach: fn(&mut Engine, &str, &str) -> Result<(), Refusal>,
}

macro_rules! verbs {
    ($constant:ident: $name:ident, $Put:ident, $Delete:ident, $Attach:ident, $Detach:ident) => {
        pub(super) const $constant: Verbs = Verbs {
            put: |cx, name, policy, document| {
                let request = shapes::$Put {
                    $name: name.to_owned(),
                    policy_name: policy.to_owned(),
                    policy_document: document,
                };
                call(cx, request).map(drop)
            },
            delete: |cx, name, policy| {
                let request = shapes::$Delete { $name: name.to_owned(), policy_name: policy.to_owned() };
                or_absent(call(cx, request))
            },
            attach: |cx, name, arn| {
                let request = shapes::$Attach { $name: name.to_owned(), policy_arn: arn.to_owned() };
                call(cx, request).map(drop)
            },
            detach: |cx, name, arn| {
                let request = shapes::$Detach { $name: name.to_owned(), policy_arn: arn.to_owned() };
                or_absent(call(cx, request))
            },
        };
    };
}

verbs!(OF_GROUP: group_name,
    PutGroupPolicyRequest, DeleteGroupPolicyRequest, AttachGroupPolicyRequest, DetachGroupPolicyRequest);
verbs!(OF_ROLE: role_name,
    PutRolePolicyRequest, DeleteRolePolicyRequest, AttachRolePolicyRequest, DetachRolePolicyRequest);
verbs!(OF_USER: user_name,
    PutUserPolicyRequest, DeleteUserPolicyRequest, AttachUserPolicyRequest, DetachUserPolicyRequest);

/// The property `Policies`: documents by name.
fn inline(resource: &Resource) -> BTreeMap<String, String> {
    let policies = resource.get("Policies").and_then(Json::as_array).into_iter().flatten();
    policies
        .filter_map(|policy| Some((scalar(policy.get("PolicyName")?), scalar(policy.get("PolicyDocument")?))))
        .collect()
}

fn managed(resource: &Resource) -> BTreeSet<String> {
    texts(resource, "ManagedPolicyArns").into_iter().collect()
}

/// Brings the policies of an identity from the old properties (none when it is new) to the new ones.
fn put_policies(
    cx: &mut Engine,
    verbs: &Verbs,
    name: &str,
    old: Option<&Resource>,
    new: &Resource,
) -> Result<(), Refusal> {
    let (arns, documents) = (managed(new), inline(new));
    let (old_arns, old_documents) =
        (old.map(managed).unwrap_or_default(), old.map(inline).unwrap_or_default());
    for arn in old_arns.difference(&arns) {
        (verbs.detach)(cx, name, arn)?;
    }
    for policy in old_documents.keys().filter(|policy| !documents.contains_key(*policy)) {
        (verbs.delete)(cx, name, policy)?;
    }
    for arn in arns.difference(&old_arns) {
        (verbs.attach)(cx, name, arn)?;
    }
    for (policy, document) in documents {
        if old_documents.get(&policy) != Some(&document) {
            (verbs.put)(cx, name, &policy, document)?;
        }
    }
    Ok(())
}

/// Takes every policy away from an identity, whoever gave it: CloudFormation does so before it deletes one.
fn strip(cx: &mut Engine, verbs: &Verbs, identity: Option<Identity>) -> Result<(), Refusal> {
    let Some(identity) = identity else { return Ok(()) };
    for arn in &identity.attached {
        (verbs.detach)(cx, &identity.name, arn)?;
    }
    for policy in identity.inline.keys() {
        (verbs.delete)(cx, &identity.name, policy)?;
    }
    Ok(())
}

fn iam_tags(tags: BTreeMap<String, String>) -> Vec<shapes::Tag> {
    tags.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect()
}

/// Takes back what a create has made.
fn undo(cx: &mut Engine, name: &str, delete: fn(&mut Engine, &Resource) -> Result<Progress, Refusal>) {
    let made = Resource { physical_id: name.to_owned(), ..Resource::default() };
    // The refusal to tell is that of the create.
    let _ = delete(cx, &made);
}

fn create_role(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateRoleRequest = resource.request(&[])?;
    let name = resource.name(cx, "RoleName", 64);
    request.role_name = name.clone();
    request.tags = Some(iam_tags(resource.all_tags())).filter(|tags| !tags.is_empty());
    call(cx, request)?;
    let policies = put_policies(cx, &OF_ROLE, &name, None, resource);
    or_undo(cx, policies, |cx| undo(cx, &name, delete_role))?;
    Ok(name)
}

fn update_role(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let name = new.physical_id.clone();
    if changed(old, new, "AssumeRolePolicyDocument") {
        let request: shapes::CreateRoleRequest = new.request(&[])?;
        let policy_document = request.assume_role_policy_document;
        call(cx, shapes::UpdateAssumeRolePolicyRequest { role_name: name.clone(), policy_document })?;
    }
    if changed(old, new, "Description") || changed(old, new, "MaxSessionDuration") {
        let request: shapes::CreateRoleRequest = new.request(&[])?;
        let request = shapes::UpdateRoleRequest {
            role_name: name.clone(),
            description: Some(request.description.unwrap_or_default()),
            max_session_duration: Some(request.max_session_duration.unwrap_or(3600)),
        };
        call(cx, request)?;
    }
    if changed(old, new, "PermissionsBoundary") {
        match new.text("PermissionsBoundary") {
            Some(arn) => {
                let permissions_boundary = arn.to_owned();
                let role_name = name.clone();
                call(cx, shapes::PutRolePermissionsBoundaryRequest { role_name, permissions_boundary })?;
            }
            None => {
                let role_name = name.clone();
                or_absent(call(cx, shapes::DeleteRolePermissionsBoundaryRequest { role_name }))?;
            }
        }
    }
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagRoleRequest { role_name: name.clone(), tag_keys: gone })?;
    }
    if !set.is_empty() {
        call(cx, shapes::TagRoleRequest { role_name: name.clone(), tags: iam_tags(set) })?;
    }
    put_policies(cx, &OF_ROLE, &name, Some(old), new)
}

fn delete_role(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let name = &resource.physical_id;
    let identity = cx.iam.role(name).map(|role| role.identity.clone());
    strip(cx, &OF_ROLE, identity)?;
    call(cx, shapes::DeleteRoleRequest { role_name: name.clone() })?;
    Ok(Progress::Done)
}

fn create_user(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateUserRequest = resource.request(&[])?;
    let name = resource.name(cx, "UserName", 64);
    request.user_name = name.clone();
    request.tags = Some(iam_tags(resource.all_tags())).filter(|tags| !tags.is_empty());
    call(cx, request)?;
    let rest = put_policies(cx, &OF_USER, &name, None, resource)
        .and_then(|()| put_groups(cx, &name, None, resource))
        .and_then(|()| put_login(cx, &name, None, resource));
    or_undo(cx, rest, |cx| undo(cx, &name, delete_user))?;
    Ok(name)
}

fn put_groups(cx: &mut Engine, name: &str, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    let groups = texts(new, "Groups");
    let before = old.map(|old| texts(old, "Groups")).unwrap_or_default();
    for group in before.iter().filter(|group| !groups.contains(group)) {
        let request =
            shapes::RemoveUserFromGroupRequest { group_name: group.clone(), user_name: name.to_owned() };
        or_absent(call(cx, request))?;
    }
    for group in groups.into_iter().filter(|group| !before.contains(group)) {
        call(cx, shapes::AddUserToGroupRequest { group_name: group, user_name: name.to_owned() })?;
    }
    Ok(())
}

fn put_login(cx: &mut Engine, name: &str, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    let before = old.and_then(|old| old.get("LoginProfile"));
    let user_name = name.to_owned();
    match new.get("LoginProfile") {
        after if after == before => Ok(()),
        None => or_absent(call(cx, shapes::DeleteLoginProfileRequest { user_name: Some(user_name) })),
        Some(login) => {
            let password = login.get("Password").map(scalar);
            let password_reset_required = login.get("PasswordResetRequired").and_then(Json::as_bool);
            match before {
                None => {
                    let user_name = Some(user_name);
                    let request =
                        shapes::CreateLoginProfileRequest { user_name, password, password_reset_required };
                    call(cx, request).map(drop)
                }
                Some(_) => {
                    let request =
                        shapes::UpdateLoginProfileRequest { user_name, password, password_reset_required };
                    call(cx, request).map(drop)
                }
            }
        }
    }
}

fn update_user(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let user_name = new.physical_id.clone();
    if changed(old, new, "Path") {
        let new_path = Some(new.text("Path").unwrap_or("/").to_owned());
        let request =
            shapes::UpdateUserRequest { user_name: user_name.clone(), new_path, new_user_name: None };
        call(cx, request)?;
    }
    if changed(old, new, "PermissionsBoundary") {
        let user_name = user_name.clone();
        match new.text("PermissionsBoundary").map(str::to_owned) {
            Some(permissions_boundary) => {
                call(cx, shapes::PutUserPermissionsBoundaryRequest { user_name, permissions_boundary })?;
            }
            None => or_absent(call(cx, shapes::DeleteUserPermissionsBoundaryRequest { user_name }))?,
        }
    }
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagUserRequest { user_name: user_name.clone(), tag_keys: gone })?;
    }
    if !set.is_empty() {
        call(cx, shapes::TagUserRequest { user_name: user_name.clone(), tags: iam_tags(set) })?;
    }
    put_policies(cx, &OF_USER, &user_name, Some(old), new)?;
    put_groups(cx, &user_name, Some(old), new)?;
    put_login(cx, &user_name, Some(old), new)
}

/// A user goes out of its groups and loses its password first; access keys are not the stack's, and keep it.
fn delete_user(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let user_name = resource.physical_id.clone();
    let Some(user) = cx.iam.users().get(&key(resource)).cloned() else { return Ok(Progress::Done) };
    for group_name in &user.groups {
        let (group_name, user_name) = (group_name.clone(), user_name.clone());
        or_absent(call(cx, shapes::RemoveUserFromGroupRequest { group_name, user_name }))?;
    }
    if user.login.is_some() {
        call(cx, shapes::DeleteLoginProfileRequest { user_name: Some(user_name.clone()) })?;
    }
    strip(cx, &OF_USER, Some(user.identity))?;
    call(cx, shapes::DeleteUserRequest { user_name })?;
    Ok(Progress::Done)
}

fn create_group(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateGroupRequest = resource.request(&[])?;
    let name = resource.name(cx, "GroupName", 128);
    request.group_name = name.clone();
    call(cx, request)?;
    let policies = put_policies(cx, &OF_GROUP, &name, None, resource);
    or_undo(cx, policies, |cx| undo(cx, &name, delete_group))?;
    Ok(name)
}

fn update_group(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let group_name = new.physical_id.clone();
    if changed(old, new, "Path") {
        let new_path = Some(new.text("Path").unwrap_or("/").to_owned());
        let group_name = group_name.clone();
        call(cx, shapes::UpdateGroupRequest { group_name, new_path, new_group_name: None })?;
    }
    put_policies(cx, &OF_GROUP, &group_name, Some(old), new)
}

fn delete_group(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let identity = cx.iam.groups().get(&key(resource)).map(|row| row.identity.clone());
    strip(cx, &OF_GROUP, identity)?;
    call(cx, shapes::DeleteGroupRequest { group_name: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}
