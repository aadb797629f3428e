//! Policies of keys: each has one, called `default`.

use capstan_shapes::{Refusal, kms as shapes};

use super::{edit, find, listed, not_found};
use crate::policy::Policy;
use crate::{Caller, Engine};

const NAME: &str = "default";

/// What a key gets that is made without a policy (KMS guide, default key policy).
pub(super) fn default(cx: &Engine) -> String {
    let account = &cx.config.account;
    format!(
        "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {{\n    \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {{\n      \"AWS\" : \"arn:aws:iam::{account}:root\"\n    }},\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  }} ]\n}}"
    )
}

pub(super) fn check(text: &str) -> Result<(), Refusal> {
    Policy::parse(text).map(drop).map_err(|why| {
        Refusal::of(&shapes::MALFORMED_POLICY_DOCUMENT_EXCEPTION, format!("Policy is not valid: {why}"))
    })
}

fn check_name(name: Option<&str>) -> Result<(), Refusal> {
    match name {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(not_found("No such policy exists")),
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetKeyPolicyRequest,
) -> Result<shapes::GetKeyPolicyResponse, Refusal> {
    let policy = find(cx, &request.key_id)?.policy.clone();
    check_name(request.policy_name.as_deref())?;
    Ok(shapes::GetKeyPolicyResponse { policy: Some(policy), policy_name: Some(NAME.to_owned()) })
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutKeyPolicyRequest,
) -> Result<shapes::PutKeyPolicyResponse, Refusal> {
    check_name(request.policy_name.as_deref())?;
    let mut row = edit(cx, &request.key_id)?;
    check(&request.policy)?;
    row.policy = request.policy;
    Ok(shapes::PutKeyPolicyResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListKeyPoliciesRequest,
) -> Result<shapes::ListKeyPoliciesResponse, Refusal> {
    find(cx, &request.key_id)?;
    let page = listed([NAME.to_owned()], String::clone, request.marker, request.limit, 100)?;
    Ok(shapes::ListKeyPoliciesResponse {
        policy_names: Some(page.items),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}
