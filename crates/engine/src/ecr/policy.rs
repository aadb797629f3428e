//! Repository policies and lifecycle policies: kept as they came.

use std::sync::Arc;

use capstan_shapes::{Refusal, ecr as shapes};
use serde_json::Value as Json;

use super::{Repository, invalid, named};
use crate::policy::Policy;
use crate::{Caller, Engine};

fn no_policy(cx: &Engine, name: &str) -> Refusal {
    let message = format!(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{}'",
        cx.config.account
    );
    Refusal::of(&shapes::REPOSITORY_POLICY_NOT_FOUND_EXCEPTION, message)
}

fn no_lifecycle(cx: &Engine, name: &str) -> Refusal {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{}'",
        cx.config.account
    );
    Refusal::of(&shapes::LIFECYCLE_POLICY_NOT_FOUND_EXCEPTION, message)
}

fn edit(cx: &mut Engine, name: &Arc<str>, change: impl FnOnce(&mut Repository)) {
    if let Some(mut row) = cx.ecr.repositories.edit(name) {
        change(&mut row);
    }
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetRepositoryPolicyRequest,
) -> Result<shapes::SetRepositoryPolicyResponse, Refusal> {
    let name = Arc::clone(&named(cx, request.registry_id.as_deref(), &request.repository_name)?.name);
    if let Err(why) = Policy::parse(&request.policy_text) {
        return Err(invalid(format!(
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided': {why}"
        )));
    }
    edit(cx, &name, |row| row.policy = Some(request.policy_text.clone()));
    Ok(shapes::SetRepositoryPolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        policy_text: Some(request.policy_text),
    })
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetRepositoryPolicyRequest,
) -> Result<shapes::GetRepositoryPolicyResponse, Refusal> {
    let row = named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let policy = row.policy.clone().ok_or_else(|| no_policy(cx, &row.name))?;
    Ok(shapes::GetRepositoryPolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(row.name.to_string()),
        policy_text: Some(policy),
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteRepositoryPolicyRequest,
) -> Result<shapes::DeleteRepositoryPolicyResponse, Refusal> {
    let row = named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let (name, policy) = (Arc::clone(&row.name), row.policy.clone().ok_or_else(|| no_policy(cx, &row.name))?);
    edit(cx, &name, |row| row.policy = None);
    Ok(shapes::DeleteRepositoryPolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        policy_text: Some(policy),
    })
}

/// The document's shape (ECR User Guide, lifecycle policies): rules with a priority of their own, a selection and an action.
fn check_lifecycle(text: &str) -> Result<(), String> {
    let json: Json = serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let rules = json["rules"].as_array().filter(|rules| !rules.is_empty()).ok_or("it has no rules")?;
    let mut priorities = std::collections::BTreeSet::new();
    for rule in rules {
        let priority = rule["rulePriority"].as_u64().filter(|priority| *priority > 0);
        let priority = priority.ok_or("a rule has no rulePriority above 0")?;
        if !priorities.insert(priority) {
            return Err(format!("the rulePriority {priority} occurs twice"));
        }
        if !rule["selection"].is_object() {
            return Err(format!("the rule {priority} has no selection"));
        }
        if rule["action"]["type"].as_str().is_none() {
            return Err(format!("the rule {priority} has no action with a type"));
        }
    }
    Ok(())
}

pub(super) fn put_lifecycle(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutLifecyclePolicyRequest,
) -> Result<shapes::PutLifecyclePolicyResponse, Refusal> {
    let name = Arc::clone(&named(cx, request.registry_id.as_deref(), &request.repository_name)?.name);
    if let Err(why) = check_lifecycle(&request.lifecycle_policy_text) {
        return Err(invalid(format!(
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: {why}'"
        )));
    }
    edit(cx, &name, |row| row.lifecycle = Some(request.lifecycle_policy_text.clone()));
    Ok(shapes::PutLifecyclePolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        lifecycle_policy_text: Some(request.lifecycle_policy_text),
    })
}

pub(super) fn get_lifecycle(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetLifecyclePolicyRequest,
) -> Result<shapes::GetLifecyclePolicyResponse, Refusal> {
    let row = named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let policy = row.lifecycle.clone().ok_or_else(|| no_lifecycle(cx, &row.name))?;
    Ok(shapes::GetLifecyclePolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(row.name.to_string()),
        lifecycle_policy_text: Some(policy),
        last_evaluated_at: None,
    })
}

pub(super) fn delete_lifecycle(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteLifecyclePolicyRequest,
) -> Result<shapes::DeleteLifecyclePolicyResponse, Refusal> {
    let row = named(cx, request.registry_id.as_deref(), &request.repository_name)?;
    let name = Arc::clone(&row.name);
    let policy = row.lifecycle.clone().ok_or_else(|| no_lifecycle(cx, &name))?;
    edit(cx, &name, |row| row.lifecycle = None);
    Ok(shapes::DeleteLifecyclePolicyResponse {
        registry_id: Some(cx.config.account.clone()),
        repository_name: Some(name.to_string()),
        lifecycle_policy_text: Some(policy),
        last_evaluated_at: None,
    })
}
