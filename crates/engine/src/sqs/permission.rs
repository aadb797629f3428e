//! Statements of a queue's policy, by label.

use capstan_shapes::{Refusal, sqs as shapes};
use serde_json::{Value as Json, json};

use super::{arn, attributes, invalid_value, key, named, no_queue};
use crate::{Caller, Engine};

const ACTIONS: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];

pub(super) fn add(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AddPermissionRequest,
) -> Result<shapes::AddPermissionResponse, Refusal> {
    let queue = named(cx, &request.queue_url)?;
    if request.actions.is_empty() || request.aws_account_ids.is_empty() {
        return Err(super::missing(if request.actions.is_empty() { "Actions" } else { "AWSAccountIds" }));
    }
    if let Some(action) = request.actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
        return Err(invalid_value(format!(
            "Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action."
        )));
    }
    let principals: Vec<String> =
        request.aws_account_ids.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let actions: Vec<String> = request.actions.iter().map(|action| format!("SQS:{action}")).collect();
    let arn = arn(cx, &queue.name);
    let statement = json!({
        "Sid": request.label,
        "Effect": "Allow",
        "Principal": { "AWS": principals },
        "Action": actions,
        "Resource": arn,
    });
    let policy =
        attributes::with_statement(queue.settings.policy.as_deref(), &arn, &request.label, statement);
    let policy = policy.ok_or_else(|| {
        invalid_value(format!(
            "Value {} for parameter Label is invalid. Reason: Already exists.",
            request.label
        ))
    })?;
    let name = key(cx, &request.queue_url)?;
    cx.sqs.queues.edit(&name).ok_or_else(no_queue)?.settings.policy = Some(policy);
    Ok(shapes::AddPermissionResponse {})
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::RemovePermissionRequest,
) -> Result<shapes::RemovePermissionResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let none = || {
        invalid_value(format!(
            "Value {} for parameter Label is invalid. Reason: can't find label on existing policy.",
            request.label
        ))
    };
    let mut row = cx.sqs.queues.edit(&name).ok_or_else(no_queue)?;
    let mut document: Json =
        row.settings.policy.as_deref().and_then(|text| serde_json::from_str(text).ok()).ok_or_else(none)?;
    let statements = document.get_mut("Statement").and_then(Json::as_array_mut).ok_or_else(none)?;
    let before = statements.len();
    statements.retain(|statement| statement.get("Sid").and_then(Json::as_str) != Some(&request.label));
    if statements.len() == before {
        return Err(none());
    }
    let is_empty = statements.is_empty();
    row.settings.policy = (!is_empty).then(|| document.to_string());
    Ok(shapes::RemovePermissionResponse {})
}
