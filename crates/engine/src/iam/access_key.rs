//! Access keys of users.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_shapes::{Refusal, iam as shapes};

use super::rows::folded;
use super::user::named_or_caller;
use super::{AccessKey, code, listed, no_entity};
use crate::{Caller, Engine};

/// Keys of one user (IAM guide, quotas).
const KEYS_MAX: usize = 2;

/// 40 characters that look like a secret key.
pub(crate) fn secret(cx: &mut Engine, purpose: &'static str) -> String {
    let mut bytes = cx.chance.u128(purpose).to_be_bytes().to_vec();
    bytes.extend(cx.chance.u128(purpose).to_be_bytes());
    BASE64.encode(&bytes[..30])
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateAccessKeyRequest,
) -> Result<shapes::CreateAccessKeyResponse, Refusal> {
    let name = named_or_caller(cx, caller, request.user_name.as_deref())?.identity.name.clone();
    if cx.iam.access_keys.count_by(&folded(&name)) >= KEYS_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_MAX}"),
        ));
    }
    let row = AccessKey {
        id: code("AKIA", 16, cx.chance.u128("iam.access-key")),
        user: folded(&name),
        status: shapes::StatusType::Active,
        created: cx.now,
    };
    let access_key = shapes::AccessKey {
        user_name: name,
        access_key_id: row.id.clone(),
        status: row.status,
        secret_access_key: secret(cx, "iam.secret-key"),
        create_date: Some(row.created),
    };
    cx.iam.access_keys.insert(row);
    Ok(shapes::CreateAccessKeyResponse { access_key })
}

pub(super) fn list(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::ListAccessKeysRequest,
) -> Result<shapes::ListAccessKeysResponse, Refusal> {
    let name = named_or_caller(cx, caller, request.user_name.as_deref())?.identity.name.clone();
    let keys = cx.iam.access_keys.by(&folded(&name));
    let page = listed(keys, |row| row.id.clone(), request.marker, request.max_items)?;
    let shown = |row: &AccessKey| shapes::AccessKeyMetadata {
        user_name: Some(name.clone()),
        access_key_id: Some(row.id.clone()),
        status: Some(row.status),
        create_date: Some(row.created),
    };
    Ok(shapes::ListAccessKeysResponse {
        access_key_metadata: page.items.into_iter().map(shown).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

/// The key, when it is of the user that the request names or of the caller.
fn check(cx: &Engine, caller: &Caller, user: Option<&str>, id: &str) -> Result<(), Refusal> {
    // A key of the account itself may name any key, as the root user may on AWS.
    let owner = match user {
        None => named_or_caller(cx, caller, None).ok(),
        Some(name) => Some(named_or_caller(cx, caller, Some(name))?),
    };
    let found = cx.iam.access_keys.get(&id.to_owned());
    let found = found.filter(|key| owner.is_none_or(|owner| folded(&owner.identity.name) == key.user));
    found.map(drop).ok_or_else(|| no_entity(format!("The Access Key with id {id} cannot be found.")))
}

pub(super) fn update(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::UpdateAccessKeyRequest,
) -> Result<shapes::UpdateAccessKeyResponse, Refusal> {
    check(cx, caller, request.user_name.as_deref(), &request.access_key_id)?;
    if let Some(mut key) = cx.iam.access_keys.edit(&request.access_key_id) {
        key.status = request.status;
    }
    Ok(shapes::UpdateAccessKeyResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::DeleteAccessKeyRequest,
) -> Result<shapes::DeleteAccessKeyResponse, Refusal> {
    check(cx, caller, request.user_name.as_deref(), &request.access_key_id)?;
    cx.iam.access_keys.remove(&request.access_key_id);
    Ok(shapes::DeleteAccessKeyResponse {})
}
