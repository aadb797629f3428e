//! Groups and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, iam as shapes};

use super::identity::{self, Kind};
use super::rows::folded;
use super::{Group, Identity, User, already_exists, arn, conflict, listed, path, unique_id, user};
use crate::{Caller, Engine};

/// Groups that one user can be in (IAM guide, quotas).
const GROUPS_OF_USER_MAX: usize = 10;

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateGroupRequest,
) -> Result<shapes::CreateGroupResponse, Refusal> {
    let path = path(request.path)?;
    let name = request.group_name;
    check_free(cx, &name)?;
    let row = Group {
        identity: Identity {
            arn: arn(cx, "group", &path, &name),
            id: unique_id(cx, "AGPA"),
            name,
            path,
            created: cx.now,
            tags: BTreeMap::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            boundary: None,
        },
    };
    let group = shown(&row);
    cx.iam.groups.insert(row);
    Ok(shapes::CreateGroupResponse { group })
}

fn check_free(cx: &Engine, name: &str) -> Result<(), Refusal> {
    match cx.iam.groups.contains(&folded(name)) {
        true => Err(already_exists(format!("Group with name {name} already exists."))),
        false => Ok(()),
    }
}

fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a Group, Refusal> {
    cx.iam.groups.get(&folded(name)).ok_or_else(|| Kind::Group.not_found(name))
}

fn shown(row: &Group) -> shapes::Group {
    let identity = &row.identity;
    shapes::Group {
        path: identity.path.clone(),
        group_name: identity.name.clone(),
        group_id: identity.id.clone(),
        arn: identity.arn.clone(),
        create_date: identity.created,
    }
}

/// Users of a group, in the order of their names.
fn members<'a>(cx: &'a Engine, group: &str) -> impl Iterator<Item = &'a User> + use<'a> {
    let key = folded(group);
    cx.iam.users.iter().filter(move |user| user.groups.contains(&key))
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetGroupRequest,
) -> Result<shapes::GetGroupResponse, Refusal> {
    let group = shown(find(cx, &request.group_name)?);
    let users = members(cx, &request.group_name);
    let page = listed(users, |row| folded(&row.identity.name), request.marker, request.max_items)?;
    Ok(shapes::GetGroupResponse {
        group,
        users: page.items.into_iter().map(user::brief).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListGroupsRequest,
) -> Result<shapes::ListGroupsResponse, Refusal> {
    let prefix = request.path_prefix.as_deref().unwrap_or("/");
    let groups = cx.iam.groups.iter().filter(|row| row.identity.path.starts_with(prefix));
    let page = listed(groups, |row| folded(&row.identity.name), request.marker, request.max_items)?;
    Ok(shapes::ListGroupsResponse {
        groups: page.items.into_iter().map(shown).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn list_for_user(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListGroupsForUserRequest,
) -> Result<shapes::ListGroupsForUserResponse, Refusal> {
    let names = &user::find(cx, &request.user_name)?.groups;
    let groups = names.iter().filter_map(|name| cx.iam.groups.get(name));
    let page = listed(groups, |row| folded(&row.identity.name), request.marker, request.max_items)?;
    Ok(shapes::ListGroupsForUserResponse {
        groups: page.items.into_iter().map(shown).collect(),
        is_truncated: Some(page.next.is_some()),
        marker: page.next,
    })
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateGroupRequest,
) -> Result<shapes::UpdateGroupResponse, Refusal> {
    let mut row = find(cx, &request.group_name)?.clone();
    let before = folded(&row.identity.name);
    if let Some(new) = request.new_path {
        row.identity.path = path(Some(new))?;
    }
    if let Some(name) = request.new_group_name {
        if folded(&name) != before {
            check_free(cx, &name)?;
        }
        row.identity.name = name;
    }
    row.identity.arn = arn(cx, "group", &row.identity.path, &row.identity.name);
    let names: Vec<String> = members(cx, &before).map(|user| folded(&user.identity.name)).collect();
    for name in names {
        if let Some(mut user) = cx.iam.users.edit(&name) {
            user.groups.remove(&before);
            user.groups.insert(folded(&row.identity.name));
        }
    }
    cx.iam.groups.remove(&before);
    cx.iam.groups.insert(row);
    Ok(shapes::UpdateGroupResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteGroupRequest,
) -> Result<shapes::DeleteGroupResponse, Refusal> {
    let row = find(cx, &request.group_name)?;
    if members(cx, &request.group_name).next().is_some() {
        return Err(conflict("Cannot delete entity, must remove users from group first."));
    }
    identity::check_bare(&row.identity)?;
    cx.iam.groups.remove(&folded(&request.group_name));
    Ok(shapes::DeleteGroupResponse {})
}

pub(super) fn add_user(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AddUserToGroupRequest,
) -> Result<shapes::AddUserToGroupResponse, Refusal> {
    let group = folded(&find(cx, &request.group_name)?.identity.name);
    let user = user::find(cx, &request.user_name)?;
    if !user.groups.contains(&group) && user.groups.len() >= GROUPS_OF_USER_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("Cannot exceed quota for GroupsPerUser: {GROUPS_OF_USER_MAX}"),
        ));
    }
    if let Some(mut user) = cx.iam.users.edit(&folded(&request.user_name)) {
        user.groups.insert(group);
    }
    Ok(shapes::AddUserToGroupResponse {})
}

pub(super) fn remove_user(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::RemoveUserFromGroupRequest,
) -> Result<shapes::RemoveUserFromGroupResponse, Refusal> {
    let group = folded(&find(cx, &request.group_name)?.identity.name);
    user::find(cx, &request.user_name)?;
    if let Some(mut user) = cx.iam.users.edit(&folded(&request.user_name)) {
        user.groups.remove(&group);
    }
    Ok(shapes::RemoveUserFromGroupResponse {})
}
