//! Identity and Access Management: roles, users, groups, policies and instance profiles.
//!
//! Everything is stored and read back; what policies say is not enforced. IAM is one for all regions: its ARNs name none.

mod access_key;
mod document;
mod group;
mod identity;
mod instance_profile;
mod policy;
mod role;
mod rows;
mod service_linked;
mod tag;
#[cfg(test)]
mod tests;
mod user;
mod version;

use capstan_model::Arn;
use capstan_shapes::{Refusal, iam};

use crate::kernel::{Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub(crate) use access_key::secret;
use rows::folded;
pub use rows::{
    AccessKey, Deletion, Group, Identity, InstanceProfile, Login, ManagedPolicy, Role, User, Version,
};

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    (
        "AttachRolePolicy.PolicyArn",
        "policies are kept and shown, not enforced; any well-formed name of an AWS managed policy is taken, and its document is not known",
    ),
    (
        "CreateAccessKey.UserName",
        "the key names its user to GetCallerIdentity and in trails; signatures are not checked",
    ),
    (
        "CreateInstanceProfile.InstanceProfileName",
        "RunInstances, launch templates and configurations take any profile; that it exists is not checked",
    ),
    ("CreateLoginProfile.Password", "there is no console: the password is not kept"),
    ("CreatePolicy.PolicyDocument", "kept and shown, not enforced"),
    (
        "CreateRole.AssumeRolePolicyDocument",
        "kept and shown, not enforced: whoever holds a key may assume the role",
    ),
    ("CreateRole.PermissionsBoundary", "kept and shown, not enforced"),
    (
        "CreateServiceLinkedRole.AWSServiceName",
        "services act without their roles, and deleting one is never refused for its use",
    ),
    ("CreateUser.PermissionsBoundary", "kept and shown, not enforced"),
    ("PutGroupPolicy.PolicyDocument", "kept and shown, not enforced"),
    ("PutRolePolicy.PolicyDocument", "kept and shown, not enforced"),
    ("PutUserPolicy.PolicyDocument", "kept and shown, not enforced"),
];

/// The tables of IAM.
#[derive(Clone, Debug, Default)]
pub struct Iam {
    access_keys: Table<AccessKey>,
    deletions: Table<Deletion>,
    groups: Table<Group>,
    instance_profiles: Table<InstanceProfile>,
    policies: Table<ManagedPolicy>,
    roles: Table<Role>,
    users: Table<User>,
}

impl Iam {
    pub fn access_keys(&self) -> &Table<AccessKey> {
        &self.access_keys
    }

    pub fn groups(&self) -> &Table<Group> {
        &self.groups
    }

    pub fn instance_profiles(&self) -> &Table<InstanceProfile> {
        &self.instance_profiles
    }

    pub fn policies(&self) -> &Table<ManagedPolicy> {
        &self.policies
    }

    pub fn roles(&self) -> &Table<Role> {
        &self.roles
    }

    pub fn users(&self) -> &Table<User> {
        &self.users
    }

    /// The role of that name or ARN.
    pub fn role(&self, name_or_arn: &str) -> Option<&Role> {
        let row = self.roles.get(&folded(name_of(name_or_arn, "role")?))?;
        (row.identity.arn == name_or_arn || !name_or_arn.contains(':')).then_some(row)
    }

    /// The instance profile of that name or ARN.
    pub fn instance_profile(&self, name_or_arn: &str) -> Option<&InstanceProfile> {
        let row = self.instance_profiles.get(&folded(name_of(name_or_arn, "instance-profile")?))?;
        (row.arn == name_or_arn || !name_or_arn.contains(':')).then_some(row)
    }
}

tables!(Iam { access_keys, deletions, groups, instance_profiles, policies, roles, users });

/// The last part of an ARN of that kind, or the name itself.
fn name_of<'a>(name_or_arn: &'a str, kind: &str) -> Option<&'a str> {
    match Arn::parse(name_or_arn) {
        Some(arn) if arn.service == "iam" => arn.after(kind)?.rsplit('/').next(),
        Some(_) => None,
        None => Some(name_or_arn),
    }
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: iam::Request,
) -> Result<iam::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, iam {
        AddRoleToInstanceProfile => instance_profile::add_role,
        AddUserToGroup => group::add_user,
        AttachGroupPolicy => identity::of_group::attach,
        AttachRolePolicy => identity::of_role::attach,
        AttachUserPolicy => identity::of_user::attach,
        CreateAccessKey => access_key::create,
        CreateGroup => group::create,
        CreateInstanceProfile => instance_profile::create,
        CreateLoginProfile => user::create_login,
        CreatePolicy => policy::create,
        CreatePolicyVersion => version::create,
        CreateRole => role::create,
        CreateServiceLinkedRole => service_linked::create,
        CreateUser => user::create,
        DeleteAccessKey => access_key::delete,
        DeleteGroup => group::delete,
        DeleteGroupPolicy => identity::of_group::delete,
        DeleteInstanceProfile => instance_profile::delete,
        DeleteLoginProfile => user::delete_login,
        DeletePolicy => policy::delete,
        DeletePolicyVersion => version::delete,
        DeleteRole => role::delete,
        DeleteRolePermissionsBoundary => identity::delete_role_boundary,
        DeleteRolePolicy => identity::of_role::delete,
        DeleteServiceLinkedRole => service_linked::delete,
        DeleteUser => user::delete,
        DeleteUserPermissionsBoundary => identity::delete_user_boundary,
        DeleteUserPolicy => identity::of_user::delete,
        DetachGroupPolicy => identity::of_group::detach,
        DetachRolePolicy => identity::of_role::detach,
        DetachUserPolicy => identity::of_user::detach,
        GetGroup => group::get,
        GetGroupPolicy => identity::of_group::get,
        GetInstanceProfile => instance_profile::get,
        GetLoginProfile => user::get_login,
        GetPolicy => policy::get,
        GetPolicyVersion => version::get,
        GetRole => role::get,
        GetRolePolicy => identity::of_role::get,
        GetServiceLinkedRoleDeletionStatus => service_linked::deletion_status,
        GetUser => user::get,
        GetUserPolicy => identity::of_user::get,
        ListAccessKeys => access_key::list,
        ListAttachedGroupPolicies => identity::of_group::list_attached,
        ListAttachedRolePolicies => identity::of_role::list_attached,
        ListAttachedUserPolicies => identity::of_user::list_attached,
        ListEntitiesForPolicy => policy::list_entities,
        ListGroupPolicies => identity::of_group::list,
        ListGroups => group::list,
        ListGroupsForUser => group::list_for_user,
        ListInstanceProfileTags => tag::of_instance_profile::list,
        ListInstanceProfiles => instance_profile::list,
        ListInstanceProfilesForRole => instance_profile::list_for_role,
        ListPolicies => policy::list,
        ListPolicyTags => tag::of_policy::list,
        ListPolicyVersions => version::list,
        ListRolePolicies => identity::of_role::list,
        ListRoleTags => tag::of_role::list,
        ListRoles => role::list,
        ListUserPolicies => identity::of_user::list,
        ListUserTags => tag::of_user::list,
        ListUsers => user::list,
        PutGroupPolicy => identity::of_group::put,
        PutRolePermissionsBoundary => identity::put_role_boundary,
        PutRolePolicy => identity::of_role::put,
        PutUserPermissionsBoundary => identity::put_user_boundary,
        PutUserPolicy => identity::of_user::put,
        RemoveRoleFromInstanceProfile => instance_profile::remove_role,
        RemoveUserFromGroup => group::remove_user,
        SetDefaultPolicyVersion => version::set_default,
        TagInstanceProfile => tag::of_instance_profile::tag,
        TagPolicy => tag::of_policy::tag,
        TagRole => tag::of_role::tag,
        TagUser => tag::of_user::tag,
        UntagInstanceProfile => tag::of_instance_profile::untag,
        UntagPolicy => tag::of_policy::untag,
        UntagRole => tag::of_role::untag,
        UntagUser => tag::of_user::untag,
        UpdateAccessKey => access_key::update,
        UpdateAssumeRolePolicy => role::update_trust,
        UpdateGroup => group::update,
        UpdateLoginProfile => user::update_login,
        UpdateRole => role::update,
        UpdateRoleDescription => role::update_description,
        UpdateUser => user::update,
    }))
}

/// Refuses what is no policy of permissions.
pub(crate) fn check_policy(document: &str) -> Result<(), Refusal> {
    document::check(document, document::Purpose::Permission)
}

/// `arn:aws:iam::ACCOUNT:KIND/PATH/NAME`
fn arn(cx: &Engine, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{}:{kind}{path}{name}", cx.config.account)
}

/// A unique id (IAM guide, reference of identifiers): a prefix that tells the kind, then 17 letters and digits.
fn unique_id(cx: &mut Engine, prefix: &str) -> String {
    code(prefix, 17, cx.chance.u128("iam.unique-id"))
}

/// `length` characters of the alphabet of base32, 5 bits each.
pub(crate) fn code(prefix: &str, length: usize, bits: u128) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let characters = (0..length).map(|at| char::from(ALPHABET[(bits >> (at * 5)) as usize & 31]));
    prefix.chars().chain(characters).collect()
}

fn no_entity(message: impl Into<String>) -> Refusal {
    Refusal::of(&iam::NO_SUCH_ENTITY_EXCEPTION, message)
}

fn already_exists(message: impl Into<String>) -> Refusal {
    Refusal::of(&iam::ENTITY_ALREADY_EXISTS_EXCEPTION, message)
}

fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::of(&iam::DELETE_CONFLICT_EXCEPTION, message)
}

fn invalid_input(message: impl Into<String>) -> Refusal {
    Refusal::of(&iam::INVALID_INPUT_EXCEPTION, message)
}

/// The path of a request: `/` when none is given.
fn path(given: Option<String>) -> Result<String, Refusal> {
    let path = given.unwrap_or_else(|| "/".to_owned());
    let is_plain = path.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if !(path.starts_with('/') && path.ends_with('/') && is_plain) {
        return Err(Refusal::new(
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
        ));
    }
    Ok(path)
}

/// A page of up to `max` items, 100 where the request does not say (API reference, MaxItems).
fn listed<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    marker: Option<String>,
    max: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(100);
    page(items, key, marker.as_deref(), size).map_err(|()| Refusal::new("ValidationError", "Invalid Marker."))
}
