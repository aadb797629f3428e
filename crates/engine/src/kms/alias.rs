//! Aliases: names of keys.

use capstan_shapes::{Refusal, kms as shapes};

use super::{Alias, edit, find, listed};
use crate::{Caller, Engine};

/// Aliases of one key (KMS guide, quotas).
const ALIASES_MAX: usize = 50;

fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("kms", name)
}

pub(super) fn not_found(cx: &Engine, name: &str) -> Refusal {
    super::not_found(format!("Alias {} is not found.", arn(cx, name)))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new("ValidationException", message));
    match name.strip_prefix("alias/") {
        None => invalid("Alias must start with the prefix \"alias/\"."),
        Some("") => invalid("Alias names have something after \"alias/\"."),
        Some(rest) if rest.starts_with("aws/") => Err(Refusal::new(
            "NotAuthorizedException",
            "Aliases that begin with \"alias/aws/\" are AWS's own.",
        )),
        Some(rest) if rest.contains(':') => Err(Refusal::of(
            &shapes::INVALID_ALIAS_NAME_EXCEPTION,
            format!("{name} contains invalid characters for an alias"),
        )),
        Some(_) => Ok(()),
    }
}

fn check_room(cx: &Engine, target: &str) -> Result<(), Refusal> {
    if cx.kms.aliases.count_by(&target.to_owned()) >= ALIASES_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("The key {target} has {ALIASES_MAX} aliases, as many as it can."),
        ));
    }
    Ok(())
}

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateAliasRequest,
) -> Result<shapes::CreateAliasResponse, Refusal> {
    let name = request.alias_name;
    check_name(&name)?;
    if cx.kms.aliases.contains(&name) {
        return Err(Refusal::of(
            &shapes::ALREADY_EXISTS_EXCEPTION,
            format!("An alias with the name {} already exists", arn(cx, &name)),
        ));
    }
    let target = edit(cx, &request.target_key_id)?.id.clone();
    check_room(cx, &target)?;
    cx.kms.aliases.insert(Alias { name, target, created: cx.now, updated: cx.now });
    Ok(shapes::CreateAliasResponse {})
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateAliasRequest,
) -> Result<shapes::UpdateAliasResponse, Refusal> {
    let name = request.alias_name;
    if !cx.kms.aliases.contains(&name) {
        return Err(not_found(cx, &name));
    }
    let target = edit(cx, &request.target_key_id)?.id.clone();
    check_room(cx, &target)?;
    let now = cx.now;
    if let Some(mut row) = cx.kms.aliases.edit(&name) {
        row.target = target;
        row.updated = now;
    }
    Ok(shapes::UpdateAliasResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteAliasRequest,
) -> Result<shapes::DeleteAliasResponse, Refusal> {
    cx.kms.aliases.remove(&request.alias_name).ok_or_else(|| not_found(cx, &request.alias_name))?;
    Ok(shapes::DeleteAliasResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListAliasesRequest,
) -> Result<shapes::ListAliasesResponse, Refusal> {
    let of = request.key_id.as_deref().map(|id| find(cx, id)).transpose()?.map(|key| &key.id);
    let rows = cx.kms.aliases.iter().filter(|row| of.is_none_or(|id| row.target == *id));
    let page = listed(rows, |row| row.name.clone(), request.marker, request.limit, 50)?;
    let shown = |row: &Alias| shapes::AliasListEntry {
        alias_name: Some(row.name.clone()),
        alias_arn: Some(arn(cx, &row.name)),
        target_key_id: Some(row.target.clone()),
        creation_date: Some(row.created),
        last_updated_date: Some(row.updated),
    };
    Ok(shapes::ListAliasesResponse {
        aliases: Some(page.items.into_iter().map(shown).collect()),
        truncated: Some(page.next.is_some()),
        next_marker: page.next,
    })
}
