//! The policy of a function, statement by statement.

use capstan_shapes::{Refusal, lambda as shapes};
use serde_json::{Map, Value as Json, json};

use super::function::check_revision;
use super::{Function, arn, edit, find, name_of, not_found};
use crate::{Caller, Engine};

/// Bytes of a function's policy (Lambda guide, quotas).
const POLICY_MAX: usize = 20_480;

pub(super) fn add(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AddPermissionRequest,
) -> Result<shapes::AddPermissionResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    check_revision(request.revision_id.as_deref(), &row.policy_revision)?;
    let taken = |statement: &Json| statement["Sid"].as_str() == Some(&request.statement_id);
    if row.statements.iter().any(taken) {
        return Err(Refusal::of(
            &shapes::RESOURCE_CONFLICT_EXCEPTION,
            format!(
                "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                request.statement_id
            ),
        ));
    }
    let (_, in_name) = name_of(cx, &request.function_name)?;
    let resource = match request.qualifier.as_deref().or(in_name) {
        Some(qualifier) => format!("{}:{qualifier}", arn(cx, &row.name)),
        None => arn(cx, &row.name),
    };
    let principal = match request.principal.as_str() {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
        account if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => {
            json!({ "AWS": format!("arn:aws:iam::{account}:root") })
        }
        other => json!({ "AWS": other }),
    };
    let mut statement = json!({
        "Sid": request.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": request.action,
        "Resource": resource,
    });
    let mut conditions = Map::new();
    let mut condition = |operator: &str, key: &str, value: Option<String>| {
        if let Some(value) = value {
            conditions.entry(operator).or_insert_with(|| json!({}))[key] = value.into();
        }
    };
    condition("StringEquals", "AWS:SourceAccount", request.source_account);
    condition("StringEquals", "aws:PrincipalOrgID", request.principal_org_id);
    condition("StringEquals", "lambda:EventSourceToken", request.event_source_token);
    let url_auth = request.function_url_auth_type.map(|kind| kind.to_string());
    condition("StringEquals", "lambda:FunctionUrlAuthType", url_auth);
    let by_url = request.invoked_via_function_url.map(|flag| flag.to_string());
    condition("Bool", "lambda:InvokedViaFunctionUrl", by_url);
    condition("ArnLike", "AWS:SourceArn", request.source_arn);
    if !conditions.is_empty() {
        statement["Condition"] = Json::Object(conditions);
    }
    let size: usize = row.statements.iter().chain([&statement]).map(|each| each.to_string().len()).sum();
    if size > POLICY_MAX {
        return Err(Refusal::of(
            &shapes::POLICY_LENGTH_EXCEEDED_EXCEPTION,
            format!("The final policy size ({size}) is bigger than the limit ({POLICY_MAX})."),
        ));
    }
    let revision = cx.chance.uuid("lambda.revision");
    let text = statement.to_string();
    let mut row = edit(cx, &request.function_name)?;
    row.statements.push(statement);
    row.policy_revision = revision;
    Ok(shapes::AddPermissionResponse { statement: Some(text) })
}

pub(super) fn remove(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::RemovePermissionRequest,
) -> Result<shapes::RemovePermissionResponse, Refusal> {
    check_revision(request.revision_id.as_deref(), &find(cx, &request.function_name)?.policy_revision)?;
    let revision = cx.chance.uuid("lambda.revision");
    let mut row = edit(cx, &request.function_name)?;
    let is = |statement: &Json| statement["Sid"].as_str() == Some(&request.statement_id);
    let at = row.statements.iter().position(is).ok_or_else(|| {
        not_found(format!("Statement {} is not found in resource policy.", request.statement_id))
    })?;
    row.statements.remove(at);
    row.policy_revision = revision;
    Ok(shapes::RemovePermissionResponse {})
}

fn document(row: &Function) -> String {
    json!({ "Version": "2012-10-17", "Id": "default", "Statement": row.statements }).to_string()
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetPolicyRequest,
) -> Result<shapes::GetPolicyResponse, Refusal> {
    let row = find(cx, &request.function_name)?;
    if row.statements.is_empty() {
        return Err(not_found("The resource you requested does not exist."));
    }
    Ok(shapes::GetPolicyResponse {
        policy: Some(document(row)),
        revision_id: Some(row.policy_revision.clone()),
    })
}
