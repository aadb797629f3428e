//! Stack policies: which resources updates must not touch.

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    GetStackPolicyRequest, GetStackPolicyResponse, SetStackPolicyRequest, SetStackPolicyResponse,
};
use serde_json::Value as Json;

use super::rows::StackId;
use super::{definition, stack};
use crate::policy::is_like;
use crate::{Caller, Engine};

/// What an update does to a resource, as policies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Modify,
    Replace,
    Delete,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetStackPolicyRequest,
) -> Result<GetStackPolicyResponse, Refusal> {
    let id = stack::live(cx, &request.stack_name)?;
    let stack_policy_body = cx.cloudformation.stacks.get(&id).and_then(|stack| stack.settings.policy.clone());
    Ok(GetStackPolicyResponse { stack_policy_body })
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: SetStackPolicyRequest,
) -> Result<SetStackPolicyResponse, Refusal> {
    let id = stack::live(cx, &request.stack_name)?;
    let policy = given(cx, request.stack_policy_body, request.stack_policy_url.as_deref())?;
    if let Some(mut stack) = cx.cloudformation.stacks.edit(&id) {
        stack.settings.policy = policy;
    }
    Ok(SetStackPolicyResponse {})
}

/// The policy of a request, if it has one.
pub(super) fn given(cx: &Engine, body: Option<String>, url: Option<&str>) -> Result<Option<String>, Refusal> {
    let text = match (body, url) {
        (None, None) => return Ok(None),
        (body, url) => super::source::text(cx, body, url, None)?,
    };
    let document: Json = serde_json::from_str(&text).map_err(|error| {
        definition::invalid(format!("Error validating stack policy: Invalid JSON: {error}"))
    })?;
    if !document.get("Statement").is_some_and(|statements| statements.is_array() || statements.is_object()) {
        return Err(definition::invalid(
            "Error validating stack policy: Invalid stack policy: it has no Statement",
        ));
    }
    Ok(Some(text.to_string()))
}

/// Why the stack's policy forbids that to be done to the resource; `None` when it does not. With a policy everything is
/// forbidden that no statement allows; a denial wins (CloudFormation guide, stack policies).
pub(super) fn forbids(
    cx: &Engine,
    id: &StackId,
    logical_id: &str,
    resource_type: &str,
    action: Action,
) -> Option<String> {
    let settings = &cx.cloudformation.stacks.get(id)?.settings;
    let text = settings.policy_during_update.as_ref().or(settings.policy.as_ref())?;
    let policy: Json = serde_json::from_str(text).ok()?;
    let one = |value: &Json| match value {
        Json::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let mut allowed = false;
    for (at, statement) in one(policy.get("Statement")?).iter().enumerate() {
        let matches = |name: &str, text: &str| {
            statement.get(name).map(|value| {
                one(value).iter().any(|pattern| is_like(pattern.as_str().unwrap_or_default(), text))
            })
        };
        let resource = format!("LogicalResourceId/{logical_id}");
        let applies = matches("Action", action.as_str())
            .unwrap_or_else(|| !matches("NotAction", action.as_str()).unwrap_or(true))
            && matches("Resource", &resource)
                .unwrap_or_else(|| !matches("NotResource", &resource).unwrap_or(true))
            && condition_holds(statement, resource_type);
        if !applies {
            continue;
        }
        if statement.get("Effect").is_some_and(|effect| effect == "Deny") {
            return Some(format!(
                "Action denied by stack policy: Statement [#{}] does not allow [{}] for resource [{resource}]",
                at + 1,
                action.as_str()
            ));
        }
        allowed = true;
    }
    (!allowed).then(|| {
        format!(
            "Action denied by stack policy: no statement allows [{}] for resource [LogicalResourceId/{logical_id}]",
            action.as_str()
        )
    })
}

/// `Condition: {StringEquals | StringLike: {ResourceType: […]}}`, the only one there is.
fn condition_holds(statement: &Json, resource_type: &str) -> bool {
    let Some(condition) = statement.get("Condition").and_then(Json::as_object) else { return true };
    condition.values().all(|operands| {
        operands.get("ResourceType").is_none_or(|types| match types {
            Json::Array(items) => {
                items.iter().any(|pattern| is_like(pattern.as_str().unwrap_or_default(), resource_type))
            }
            pattern => is_like(pattern.as_str().unwrap_or_default(), resource_type),
        })
    })
}
