//! Managed policies: those of the account, and those of AWS that are known by their ARNs.
//!
//! AWS's own policies are not kept: any well-formed ARN in the account `aws` names one. Lists show those that are attached
//! somewhere.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Arn, Time};
use capstan_shapes::{Refusal, iam as shapes};
use shapes::{EntityType, PolicyScopeType, PolicyUsageType};

use super::document::{self, Purpose};
use super::rows::folded;
use super::{
    Identity, ManagedPolicy, Version, already_exists, arn, code, conflict, invalid_input, listed, no_entity,
    path, tag, unique_id,
};
use crate::ec2::digest;
use crate::{Caller, Engine};

/// Characters of one version (IAM guide, quotas).
const DOCUMENT_MAX: usize = 6_144;
/// When AWS made most of its policies (observed): 2015-02-06T18:40:00Z.
const AWS_CREATED: Time = Time::from_secs(1_423_248_000);

/// Whether the ARN is that of a policy, whosever.
pub(super) fn check_arn(text: &str) -> Result<(), Refusal> {
    let parsed = Arn::parse(text).filter(|arn| arn.service == "iam" && arn.after("policy").is_some());
    parsed.map(drop).ok_or_else(|| invalid_input(format!("ARN {text} is not valid.")))
}

/// Path and name of a policy that AWS manages.
pub(super) fn of_aws(text: &str) -> Option<(String, &str)> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "iam" && arn.account == "aws")?;
    let whole = arn.resource.strip_prefix("policy")?;
    let (path, name) = whole.split_at(whole.rfind('/')? + 1);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then(|| (path.to_owned(), name))
}

/// `/` or `/service-role/` of a policy's ARN.
pub(super) fn path_of(arn: &str) -> &str {
    let path = arn.split_once(":policy").map_or("/", |(_, rest)| rest);
    &path[..path.rfind('/').map_or(path.len(), |at| at + 1)]
}

pub(super) fn check_attachable(cx: &Engine, arn: &str) -> Result<(), Refusal> {
    check_arn(arn)?;
    if of_aws(arn).is_none() && !cx.iam.policies.contains(&arn.to_owned()) {
        return Err(no_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    Ok(())
}

/// A policy of the account.
pub(super) fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a ManagedPolicy, Refusal> {
    check_arn(arn)?;
    cx.iam.policies.get(&arn.to_owned()).ok_or_else(|| not_found(arn))
}

pub(super) fn not_found(arn: &str) -> Refusal {
    no_entity(format!("Policy {arn} was not found."))
}

pub(super) fn check_document(text: &str) -> Result<(), Refusal> {
    document::check(text, Purpose::Permission)?;
    if document::size(text) > DOCUMENT_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("Cannot exceed quota for PolicySize: {DOCUMENT_MAX}"),
        ));
    }
    Ok(())
}

/// A policy that AWS manages is not the account's to change.
pub(super) fn check_own(arn: &str) -> Result<(), Refusal> {
    check_arn(arn)?;
    match of_aws(arn) {
        Some(_) => Err(Refusal::new(
            "AccessDenied",
            format!("The policy {arn} is managed by AWS and cannot be changed."),
        )
        .with_status(403)),
        None => Ok(()),
    }
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreatePolicyRequest,
) -> Result<shapes::CreatePolicyResponse, Refusal> {
    let path = path(request.path)?;
    let name = request.policy_name;
    check_document(&request.policy_document)?;
    let tags = tag::of(caller, request.tags)?;
    if cx.iam.policies.iter().any(|row| folded(&row.name) == folded(&name)) {
        return Err(already_exists(format!(
            "A policy called {name} already exists. Duplicate names are not allowed."
        )));
    }
    let version = Version { document: request.policy_document, created: cx.now };
    let row = ManagedPolicy {
        arn: arn(cx, "policy", &path, &name),
        id: unique_id(cx, "ANPA"),
        name,
        path,
        description: request.description,
        created: cx.now,
        updated: cx.now,
        tags,
        versions: BTreeMap::from([(1, version)]),
        default_version: 1,
        versions_ever: 1,
    };
    // What CreatePolicy answers has no description (observed).
    let policy = Some(brief(cx, &row));
    cx.iam.policies.insert(row);
    Ok(shapes::CreatePolicyResponse { policy })
}

fn attachments(cx: &Engine, arn: &str) -> usize {
    let key = arn.to_owned();
    cx.iam.roles.count_by(&key) + cx.iam.users.count_by(&key) + cx.iam.groups.count_by(&key)
}

fn boundaries(cx: &Engine, arn: &str) -> usize {
    let is = |identity: &Identity| identity.boundary.as_deref() == Some(arn);
    cx.iam.roles.iter().filter(|row| is(&row.identity)).count()
        + cx.iam.users.iter().filter(|row| is(&row.identity)).count()
}

fn count(n: usize) -> Option<i32> {
    Some(i32::try_from(n).unwrap_or(i32::MAX))
}

/// As lists show it: without description and tags.
fn brief(cx: &Engine, row: &ManagedPolicy) -> shapes::Policy {
    shapes::Policy {
        policy_name: Some(row.name.clone()),
        policy_id: Some(row.id.clone()),
        arn: Some(row.arn.clone()),
        path: Some(row.path.clone()),
        default_version_id: Some(format!("v{}", row.default_version)),
        attachment_count: count(attachments(cx, &row.arn)),
        permissions_boundary_usage_count: count(boundaries(cx, &row.arn)),
        is_attachable: Some(true),
        create_date: Some(row.created),
        update_date: Some(row.updated),
        ..shapes::Policy::default()
    }
}

fn aws_shown(cx: &Engine, arn: &str) -> Option<shapes::Policy> {
    let (path, name) = of_aws(arn)?;
    let bits = u128::from(digest(arn.bytes())) << 64 | u128::from(digest(arn.bytes().rev()));
    Some(shapes::Policy {
        policy_name: Some(name.to_owned()),
        policy_id: Some(code("ANPA", 17, bits)),
        arn: Some(arn.to_owned()),
        path: Some(path),
        default_version_id: Some("v1".to_owned()),
        attachment_count: count(attachments(cx, arn)),
        permissions_boundary_usage_count: count(boundaries(cx, arn)),
        is_attachable: Some(true),
        create_date: Some(AWS_CREATED),
        update_date: Some(AWS_CREATED),
        ..shapes::Policy::default()
    })
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetPolicyRequest,
) -> Result<shapes::GetPolicyResponse, Refusal> {
    if let Some(policy) = aws_shown(cx, &request.policy_arn) {
        return Ok(shapes::GetPolicyResponse { policy: Some(policy) });
    }
    let row = find(cx, &request.policy_arn)?;
    let policy = shapes::Policy {
        description: row.description.clone(),
        tags: tag::member(&row.tags),
        ..brief(cx, row)
    };
    Ok(shapes::GetPolicyResponse { policy: Some(policy) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListPoliciesRequest,
) -> Result<shapes::ListPoliciesResponse, Refusal> {
    let scope = request.scope.unwrap_or(PolicyScopeType::All);
    let mut policies = Vec::new();
    if scope != PolicyScopeType::Aws {
        policies.extend(cx.iam.policies.iter().map(|row| brief(cx, row)));
    }
    if scope != PolicyScopeType::Local {
        let in_use: BTreeSet<&String> = identities(cx)
            .flat_map(|(_, identity)| identity.attached.iter().chain(&identity.boundary))
            .collect();
        policies.extend(in_use.into_iter().filter_map(|arn| aws_shown(cx, arn)));
    }
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    policies.retain(|policy| {
        let attached = policy.attachment_count != Some(0);
        let bounds = policy.permissions_boundary_usage_count != Some(0);
        policy.path.as_deref().is_some_and(|path| path.starts_with(prefix))
            && (request.only_attached != Some(true) || attached)
            && match request.policy_usage_filter {
                None => true,
                Some(PolicyUsageType::PermissionsPolicy) => attached,
                Some(PolicyUsageType::PermissionsBoundary) => bounds,
            }
    });
    let key = |policy: &shapes::Policy| policy.arn.clone().unwrap_or_default();
    let page = listed(policies, key, request.marker, request.max_items)?;
    Ok(shapes::ListPoliciesResponse {
        is_truncated: Some(page.next.is_some()),
        policies: Some(page.items),
        marker: page.next,
    })
}

/// Every identity, and what it is.
fn identities(cx: &Engine) -> impl Iterator<Item = (EntityType, &Identity)> {
    let groups = cx.iam.groups.iter().map(|row| (EntityType::Group, &row.identity));
    let roles = cx.iam.roles.iter().map(|row| (EntityType::Role, &row.identity));
    let users = cx.iam.users.iter().map(|row| (EntityType::User, &row.identity));
    groups.chain(users).chain(roles)
}

pub(super) fn list_entities(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListEntitiesForPolicyRequest,
) -> Result<shapes::ListEntitiesForPolicyResponse, Refusal> {
    let arn = &request.policy_arn;
    if of_aws(arn).is_none() {
        find(cx, arn)?;
    }
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let uses = |identity: &Identity| match request.policy_usage_filter {
        Some(PolicyUsageType::PermissionsBoundary) => identity.boundary.as_ref() == Some(arn),
        Some(PolicyUsageType::PermissionsPolicy) => identity.attached.contains(arn),
        None => identity.attached.contains(arn) || identity.boundary.as_ref() == Some(arn),
    };
    let found = identities(cx).filter(|(kind, identity)| {
        request.entity_filter.is_none_or(|filter| filter == *kind)
            && identity.path.starts_with(prefix)
            && uses(identity)
    });
    let page = listed(found, |(_, identity)| identity.id.clone(), request.marker, request.max_items)?;
    let of = |wanted: EntityType| {
        let items = page.items.iter().filter(move |(kind, _)| *kind == wanted);
        items.map(|(_, identity)| (Some(identity.name.clone()), Some(identity.id.clone())))
    };
    Ok(shapes::ListEntitiesForPolicyResponse {
        policy_groups: Some(
            of(EntityType::Group)
                .map(|(group_name, group_id)| shapes::PolicyGroup { group_name, group_id })
                .collect(),
        ),
        policy_users: Some(
            of(EntityType::User)
                .map(|(user_name, user_id)| shapes::PolicyUser { user_name, user_id })
                .collect(),
        ),
        policy_roles: Some(
            of(EntityType::Role)
                .map(|(role_name, role_id)| shapes::PolicyRole { role_name, role_id })
                .collect(),
        ),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeletePolicyRequest,
) -> Result<shapes::DeletePolicyResponse, Refusal> {
    let arn = request.policy_arn;
    check_own(&arn)?;
    let row = find(cx, &arn)?;
    if attachments(cx, &arn) + boundaries(cx, &arn) > 0 {
        return Err(conflict("Cannot delete a policy attached to entities."));
    }
    if row.versions.len() > 1 {
        return Err(conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        ));
    }
    cx.iam.policies.remove(&arn);
    Ok(shapes::DeletePolicyResponse {})
}

/// Those of AWS's policies are none.
pub(super) fn tags<'a>(cx: &'a Engine, arn: &str) -> Result<&'a BTreeMap<String, String>, Refusal> {
    Ok(&find(cx, arn)?.tags)
}

pub(super) fn change_tags(
    cx: &mut Engine,
    arn: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    check_own(arn)?;
    change(&mut cx.iam.policies.edit(&arn.to_owned()).ok_or_else(|| not_found(arn))?.tags)
}
