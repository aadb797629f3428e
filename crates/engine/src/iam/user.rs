//! Users and their passwords.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, iam as shapes};

use super::identity::{self, Kind};
use super::rows::folded;
use super::{
    Identity, Login, User, already_exists, arn, conflict, listed, no_entity, path, policy, tag, unique_id,
};
use crate::{Caller, Engine};

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateUserRequest,
) -> Result<shapes::CreateUserResponse, Refusal> {
    let path = path(request.path)?;
    let name = request.user_name;
    check_free(cx, &name)?;
    if let Some(arn) = &request.permissions_boundary {
        policy::check_attachable(cx, arn)?;
    }
    let tags = tag::of(caller, request.tags)?;
    let row = User {
        identity: Identity {
            arn: arn(cx, "user", &path, &name),
            id: unique_id(cx, "AIDA"),
            name,
            path,
            created: cx.now,
            tags,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            boundary: request.permissions_boundary,
        },
        groups: BTreeSet::new(),
        login: None,
    };
    let user = Some(shown(&row));
    cx.iam.users.insert(row);
    Ok(shapes::CreateUserResponse { user })
}

fn check_free(cx: &Engine, name: &str) -> Result<(), Refusal> {
    match cx.iam.users.contains(&folded(name)) {
        true => Err(already_exists(format!("User with name {name} already exists."))),
        false => Ok(()),
    }
}

pub(super) fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a User, Refusal> {
    cx.iam.users.get(&folded(name)).ok_or_else(|| Kind::User.not_found(name))
}

/// The user that a request names, else the one whose access key signed it.
pub(super) fn named_or_caller<'a>(
    cx: &'a Engine,
    caller: &Caller,
    name: Option<&str>,
) -> Result<&'a User, Refusal> {
    if let Some(name) = name {
        return find(cx, name);
    }
    let key = match caller {
        Caller::User { access_key } => cx.iam.access_keys.get(access_key),
        Caller::Agent(_) | Caller::Service(_) => None,
    };
    key.and_then(|key| cx.iam.users.get(&key.user)).ok_or_else(|| {
        Refusal::new("ValidationError", "Must specify userName when calling with non-User credentials")
    })
}

pub(super) fn shown(row: &User) -> shapes::User {
    shapes::User {
        permissions_boundary: identity::boundary(&row.identity),
        tags: tag::member(&row.identity.tags),
        ..brief(row)
    }
}

/// As lists show it: without boundary and tags (API reference, ListUsers).
pub(super) fn brief(row: &User) -> shapes::User {
    let identity = &row.identity;
    shapes::User {
        path: identity.path.clone(),
        user_name: identity.name.clone(),
        user_id: identity.id.clone(),
        arn: identity.arn.clone(),
        create_date: identity.created,
        ..shapes::User::default()
    }
}

pub(super) fn get(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::GetUserRequest,
) -> Result<shapes::GetUserResponse, Refusal> {
    let user = shown(named_or_caller(cx, caller, request.user_name.as_deref())?);
    Ok(shapes::GetUserResponse { user })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListUsersRequest,
) -> Result<shapes::ListUsersResponse, Refusal> {
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let users = cx.iam.users.iter().filter(|row| row.identity.path.starts_with(prefix));
    let page = listed(users, |row| folded(&row.identity.name), request.marker, request.max_items)?;
    Ok(shapes::ListUsersResponse {
        users: page.items.into_iter().map(brief).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateUserRequest,
) -> Result<shapes::UpdateUserResponse, Refusal> {
    let mut row = find(cx, &request.user_name)?.clone();
    let before = folded(&row.identity.name);
    if let Some(new) = request.new_path {
        row.identity.path = path(Some(new))?;
    }
    if let Some(name) = request.new_user_name {
        if folded(&name) != before {
            check_free(cx, &name)?;
        }
        row.identity.name = name;
    }
    row.identity.arn = arn(cx, "user", &row.identity.path, &row.identity.name);
    for key in cx.iam.access_keys.keys_by(&before) {
        if let Some(mut key) = cx.iam.access_keys.edit(&key) {
            key.user = folded(&row.identity.name);
        }
    }
    cx.iam.users.remove(&before);
    cx.iam.users.insert(row);
    Ok(shapes::UpdateUserResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteUserRequest,
) -> Result<shapes::DeleteUserResponse, Refusal> {
    let row = find(cx, &request.user_name)?;
    let key = folded(&request.user_name);
    let blocked = if row.login.is_some() {
        Some("delete login profile")
    } else if cx.iam.access_keys.count_by(&key) > 0 {
        Some("delete access keys")
    } else if !row.groups.is_empty() {
        Some("remove users from group")
    } else {
        None
    };
    if let Some(what) = blocked {
        return Err(conflict(format!("Cannot delete entity, must {what} first.")));
    }
    identity::check_bare(&row.identity)?;
    cx.iam.users.remove(&key);
    Ok(shapes::DeleteUserResponse {})
}

pub(super) fn tags<'a>(cx: &'a Engine, name: &str) -> Result<&'a BTreeMap<String, String>, Refusal> {
    Ok(&find(cx, name)?.identity.tags)
}

pub(super) fn change_tags(
    cx: &mut Engine,
    name: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    identity::change(cx, Kind::User, name, |identity| change(&mut identity.tags))
}

pub(super) fn create_login(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateLoginProfileRequest,
) -> Result<shapes::CreateLoginProfileResponse, Refusal> {
    let row = named_or_caller(cx, caller, request.user_name.as_deref())?;
    let name = row.identity.name.clone();
    if row.login.is_some() {
        return Err(already_exists(format!("Login Profile for user {name} already exists.")));
    }
    check_password(request.password.as_deref())?;
    let login = Login { created: cx.now, reset_required: request.password_reset_required.unwrap_or(false) };
    let login_profile = login_shown(&name, &login);
    if let Some(mut row) = cx.iam.users.edit(&folded(&name)) {
        row.login = Some(login);
    }
    Ok(shapes::CreateLoginProfileResponse { login_profile })
}

/// The policy of an account that has set none (IAM guide, password policy): 8 to 128 characters of three kinds.
fn check_password(password: Option<&str>) -> Result<(), Refusal> {
    let Some(password) = password else { return Ok(()) };
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_digit(),
        |c| "!@#$%^&*()_+-=[]{}|'".contains(c),
    ];
    let violation =
        |message: &str| Err(Refusal::of(&shapes::PASSWORD_POLICY_VIOLATION_EXCEPTION, message.to_owned()));
    if password.chars().count() < 8 {
        return violation("Password should have a minimum length of 8");
    }
    match kinds.iter().filter(|kind| password.chars().any(kind)).count() {
        ..3 => violation(
            "Password should have at least three of: uppercase letters, lowercase letters, numbers, symbols",
        ),
        _ => Ok(()),
    }
}

fn login_shown(name: &str, login: &Login) -> shapes::LoginProfile {
    shapes::LoginProfile {
        user_name: name.to_owned(),
        create_date: login.created,
        password_reset_required: Some(login.reset_required),
    }
}

fn no_login(name: &str) -> Refusal {
    no_entity(format!("Login Profile for User {name} cannot be found."))
}

pub(super) fn get_login(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::GetLoginProfileRequest,
) -> Result<shapes::GetLoginProfileResponse, Refusal> {
    let row = named_or_caller(cx, caller, request.user_name.as_deref())?;
    let login = row.login.as_ref().ok_or_else(|| no_login(&row.identity.name))?;
    Ok(shapes::GetLoginProfileResponse { login_profile: login_shown(&row.identity.name, login) })
}

pub(super) fn update_login(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateLoginProfileRequest,
) -> Result<shapes::UpdateLoginProfileResponse, Refusal> {
    find(cx, &request.user_name)?.login.as_ref().ok_or_else(|| no_login(&request.user_name))?;
    check_password(request.password.as_deref())?;
    let mut row = cx.iam.users.edit(&folded(&request.user_name));
    if let (Some(login), Some(required)) =
        (row.as_mut().and_then(|row| row.login.as_mut()), request.password_reset_required)
    {
        login.reset_required = required;
    }
    Ok(shapes::UpdateLoginProfileResponse {})
}

pub(super) fn delete_login(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::DeleteLoginProfileRequest,
) -> Result<shapes::DeleteLoginProfileResponse, Refusal> {
    let name = named_or_caller(cx, caller, request.user_name.as_deref())?.identity.name.clone();
    let row = cx.iam.users.edit(&folded(&name));
    row.and_then(|mut row| row.login.take()).ok_or_else(|| no_login(&name))?;
    Ok(shapes::DeleteLoginProfileResponse {})
}
