//! Resource policies: which services may write to which groups.

use capstan_shapes::{Refusal, logs as shapes};

use super::group::{arn, of_arn};
use super::{PolicyKey, ResourcePolicy, invalid, invalid_token, size};
use crate::kernel::page;
use crate::policy::{Access, Policy};
use crate::{Caller, Engine};

/// Account policies of a region (CloudWatch Logs quotas).
const ACCOUNT_POLICIES_MAX: usize = 10;

/// Whether a service may create a stream in the group and put events there, on behalf of `source_arn` (the ARN of an
/// EventBridge rule, for instance). EventBridge delivers nothing without such a policy (observed).
pub(crate) fn may_write(cx: &Engine, service: &str, group: &str, source_arn: Option<&str>) -> bool {
    let of_group = arn(cx, group);
    let any_stream = format!("{of_group}:log-stream:any");
    let allows = |action: &str| {
        let account = cx.config.account.as_str();
        let access = Access { service, action, resources: &[&any_stream, &of_group], source_arn, account };
        let policies = cx.logs.policies.iter().filter(|row| match &row.key {
            PolicyKey::Account(_) => true,
            PolicyKey::Resource(arn) => *arn == of_group,
        });
        crate::policy::is_allowed(policies.filter_map(|row| Policy::parse(&row.document).ok()), &access)
    };
    allows("logs:CreateLogStream") && allows("logs:PutLogEvents")
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutResourcePolicyRequest,
) -> Result<shapes::PutResourcePolicyResponse, Refusal> {
    let key = key(cx, request.policy_name.as_deref(), request.resource_arn.as_deref())?;
    let document = request.policy_document.ok_or_else(|| invalid("policyDocument is required."))?;
    Policy::parse(&document).map_err(|why| invalid(format!("The policy document is invalid: {why}")))?;
    let before = cx.logs.policies.get(&key);
    check_revision(before, request.expected_revision_id.as_deref())?;
    let of_account = cx.logs.policies.iter().filter(|row| matches!(row.key, PolicyKey::Account(_))).count();
    if before.is_none() && matches!(key, PolicyKey::Account(_)) && of_account >= ACCOUNT_POLICIES_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!(
                "Resource limit exceeded: an account has at most {ACCOUNT_POLICIES_MAX} log resource policies."
            ),
        ));
    }
    let name = request.policy_name.unwrap_or_default();
    let revision = cx.chance.uuid("logs.policy-revision");
    let row = ResourcePolicy { key, name, document, updated: cx.now, revision: revision.clone() };
    let resource_policy = Some(shown(&row));
    cx.logs.policies.insert(row);
    Ok(shapes::PutResourcePolicyResponse { resource_policy, revision_id: Some(revision) })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeResourcePoliciesRequest,
) -> Result<shapes::DescribeResourcePoliciesResponse, Refusal> {
    use shapes::PolicyScope;
    let scope = match (request.policy_scope, &request.resource_arn) {
        (Some(scope), _) => scope,
        (None, Some(_)) => PolicyScope::Resource,
        (None, None) => PolicyScope::Account,
    };
    let resource = request.resource_arn.as_deref().map(|text| of_arn(cx, text)).transpose()?;
    let resource = resource.map(|name| arn(cx, &name));
    let found = cx.logs.policies.iter().filter(|row| match (&row.key, scope) {
        (PolicyKey::Account(_), PolicyScope::Account) => true,
        (PolicyKey::Resource(arn), PolicyScope::Resource) => {
            resource.as_ref().is_none_or(|wanted| arn == wanted)
        }
        _ => false,
    });
    let key = |row: &&ResourcePolicy| match &row.key {
        PolicyKey::Account(name) => name.clone(),
        PolicyKey::Resource(arn) => arn.clone(),
    };
    let page = page(found, key, request.next_token.as_deref(), size(request.limit, 50))
        .map_err(|()| invalid_token())?;
    let resource_policies = page.items.into_iter().map(shown).collect();
    Ok(shapes::DescribeResourcePoliciesResponse {
        resource_policies: Some(resource_policies),
        next_token: page.next,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteResourcePolicyRequest,
) -> Result<shapes::DeleteResourcePolicyResponse, Refusal> {
    let key = key(cx, request.policy_name.as_deref(), request.resource_arn.as_deref())?;
    let row = cx.logs.policies.get(&key).ok_or_else(|| {
        let name = request.policy_name.as_deref().or(request.resource_arn.as_deref()).unwrap_or_default();
        let message = format!("Policy with name [{name}] does not exist.");
        Refusal::of(&shapes::RESOURCE_NOT_FOUND_EXCEPTION, message)
    })?;
    check_revision(Some(row), request.expected_revision_id.as_deref())?;
    cx.logs.policies.remove(&key);
    Ok(shapes::DeleteResourcePolicyResponse {})
}

fn key(cx: &Engine, name: Option<&str>, resource: Option<&str>) -> Result<PolicyKey, Refusal> {
    match (name, resource) {
        (_, Some(text)) => Ok(PolicyKey::Resource(arn(cx, &of_arn(cx, text)?))),
        (Some(name), None) if !name.is_empty() => Ok(PolicyKey::Account(name.to_owned())),
        _ => Err(invalid("Give policyName, or resourceArn for a policy of one log group.")),
    }
}

/// A revision guards policies of a resource against lost updates.
fn check_revision(row: Option<&ResourcePolicy>, expected: Option<&str>) -> Result<(), Refusal> {
    match (row, expected) {
        (Some(row), Some(expected)) if row.revision != expected => Err(Refusal::of(
            &shapes::OPERATION_ABORTED_EXCEPTION,
            format!("The policy has revision {}, not {expected}: it was changed meanwhile.", row.revision),
        )),
        _ => Ok(()),
    }
}

fn shown(row: &ResourcePolicy) -> shapes::ResourcePolicy {
    let (scope, resource_arn) = match &row.key {
        PolicyKey::Account(_) => (shapes::PolicyScope::Account, None),
        PolicyKey::Resource(arn) => (shapes::PolicyScope::Resource, Some(arn.clone())),
    };
    shapes::ResourcePolicy {
        policy_name: Some(row.name.clone()).filter(|name| !name.is_empty()),
        policy_document: Some(row.document.clone()),
        last_updated_time: Some(row.updated.as_millis()),
        policy_scope: Some(scope),
        resource_arn,
        revision_id: Some(row.revision.clone()),
    }
}
