//! Key Management Service: keys and aliases by name. Nothing is encrypted with them.

mod alias;
mod key;
mod policy;
mod rotation;
mod rows;
mod tag;
#[cfg(test)]
mod tests;

use capstan_model::{Arn, Time};
use capstan_shapes::{Refusal, kms};

use crate::kernel::{Edit, Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use rows::{Alias, Key};

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateKey.BypassPolicyLockoutSafetyCheck", "policies are not enforced, so nobody can be locked out"),
    ("CreateKey.KeyUsage", "kept and shown; there are no operations that encrypt, sign or generate"),
    ("CreateKey.MultiRegion", "kept and shown; there are no other regions to have replicas in"),
    ("CreateKey.Origin", "kept and shown; key material is neither made nor imported"),
    ("CreateKey.Policy", "kept and shown, not enforced"),
    ("DescribeKey.GrantTokens", "there are no grants"),
    ("EnableKeyRotation.RotationPeriodInDays", "kept and shown; there is no key material to rotate"),
    ("PutKeyPolicy.BypassPolicyLockoutSafetyCheck", "policies are not enforced, so nobody can be locked out"),
    ("PutKeyPolicy.Policy", "kept and shown, not enforced"),
];

/// The tables of KMS.
#[derive(Clone, Debug, Default)]
pub struct Kms {
    keys: Table<Key>,
    aliases: Table<Alias>,
}

impl Kms {
    pub fn keys(&self) -> &Table<Key> {
        &self.keys
    }

    pub fn aliases(&self) -> &Table<Alias> {
        &self.aliases
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.keys.next_due()
    }
}

tables!(Kms { keys, aliases });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: kms::Request,
) -> Result<kms::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, kms {
        CancelKeyDeletion => key::cancel_deletion,
        CreateAlias => alias::create,
        CreateKey => key::create,
        DeleteAlias => alias::delete,
        DescribeKey => key::describe,
        DisableKey => key::disable,
        DisableKeyRotation => rotation::disable,
        EnableKey => key::enable,
        EnableKeyRotation => rotation::enable,
        GetKeyPolicy => policy::get,
        GetKeyRotationStatus => rotation::status,
        ListAliases => alias::list,
        ListKeyPolicies => policy::list,
        ListKeys => key::list,
        ListResourceTags => tag::list,
        PutKeyPolicy => policy::put,
        ScheduleKeyDeletion => key::schedule_deletion,
        TagResource => tag::add,
        UntagResource => tag::remove,
        UpdateAlias => alias::update,
        UpdateKeyDescription => key::describe_anew,
    }))
}

/// A key goes away, and its aliases with it.
pub(crate) fn on_due(cx: &mut Engine) {
    if let Some((time, id)) = cx.kms.keys.first_due()
        && time <= cx.now
    {
        for alias in cx.kms.aliases.keys_by(&id) {
            cx.kms.aliases.remove(&alias);
        }
        cx.kms.keys.remove(&id);
    }
}

/// The key of an id, ARN, alias or ARN of an alias.
fn find<'a>(cx: &'a Engine, text: &str) -> Result<&'a Key, Refusal> {
    let name = match Arn::parse(text) {
        Some(arn) if arn.service == "kms" && arn.region == cx.config.region.name => {
            arn.after("key").unwrap_or(arn.resource)
        }
        None if !text.starts_with("arn:") => text,
        _ => return Err(Refusal::of(&kms::INVALID_ARN_EXCEPTION, format!("Invalid arn {text}"))),
    };
    if name.starts_with("alias/") {
        let alias = cx.kms.aliases.get(&name.to_owned()).ok_or_else(|| alias::not_found(cx, name))?;
        return cx.kms.keys.get(&alias.target).ok_or_else(|| alias::not_found(cx, name));
    }
    cx.kms.keys.get(&name.to_owned()).ok_or_else(|| {
        let is_id = name.starts_with("mrk-") || name.len() == 36 && name.matches('-').count() == 4;
        let message = match is_id {
            true => format!("Key '{}' does not exist", cx.arn("kms", format_args!("key/{name}"))),
            false => format!("Invalid keyId '{text}'"),
        };
        not_found(message)
    })
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::of(&kms::NOT_FOUND_EXCEPTION, message)
}

/// A key to be changed, by id or ARN; not one that waits for its end.
fn edit<'a>(cx: &'a mut Engine, text: &str) -> Result<Edit<'a, Key>, Refusal> {
    let key = find(cx, text)?;
    if key.deletion.is_some() {
        return Err(invalid_state(format!("{} is pending deletion.", key.arn)));
    }
    let id = key.id.clone();
    cx.kms.keys.edit(&id).ok_or_else(|| not_found(format!("Invalid keyId '{text}'")))
}

fn invalid_state(message: impl Into<String>) -> Refusal {
    Refusal::of(&kms::KMS_INVALID_STATE_EXCEPTION, message)
}

/// A page of `limit` items, else of `usual`.
fn listed<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    marker: Option<String>,
    limit: Option<i32>,
    usual: usize,
) -> Result<Page<T>, Refusal> {
    let size = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usual);
    page(items, key, marker.as_deref(), size)
        .map_err(|()| Refusal::of(&kms::INVALID_MARKER_EXCEPTION, "The marker is not one that a list gave."))
}
