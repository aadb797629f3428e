//! Tags of roles, users, policies and instance profiles.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, iam as shapes};

use super::{instance_profile, listed, policy, role, user};
use crate::{Caller, Engine};

const TAGS_MAX: usize = 50;

/// Tags of a request that makes something.
pub(super) fn of(
    caller: &Caller,
    tags: Option<Vec<shapes::Tag>>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut all = BTreeMap::new();
    add(caller, &mut all, tags.unwrap_or_default())?;
    Ok(all)
}

/// A key that is given twice in one request is refused; one that is there already gets the new value.
pub(super) fn add(
    caller: &Caller,
    all: &mut BTreeMap<String, String>,
    tags: Vec<shapes::Tag>,
) -> Result<(), Refusal> {
    if tags.iter().any(|tag| !caller.may_tag(&tag.key)) {
        return Err(Refusal::of(
            &shapes::INVALID_INPUT_EXCEPTION,
            "aws: prefixed tag key names are not allowed for external use.",
        ));
    }
    let mut keys: Vec<String> = tags.iter().map(|tag| tag.key.to_lowercase()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < tags.len() {
        return Err(Refusal::of(
            &shapes::INVALID_INPUT_EXCEPTION,
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ));
    }
    let new = tags.iter().filter(|tag| !all.contains_key(&tag.key)).count();
    if all.len() + new > TAGS_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("The number of tags has reached the maximum limit: {TAGS_MAX}."),
        ));
    }
    all.extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
    Ok(())
}

pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<shapes::Tag> {
    tags.iter().map(|(key, value)| shapes::Tag { key: key.clone(), value: value.clone() }).collect()
}

/// As a member that is left out when there is nothing.
pub(super) fn member(tags: &BTreeMap<String, String>) -> Option<Vec<shapes::Tag>> {
    Some(shown(tags)).filter(|tags| !tags.is_empty())
}

/// The three operations on the tags of one kind of thing: `$read` and `$change` reach them by the request's `$name`.
macro_rules! tags_of {
    ($kind:ident: $name:ident, $read:path, $change:path,
     $Tag:ident $Tagged:ident, $Untag:ident $Untagged:ident, $List:ident $Listed:ident) => {
        pub(super) mod $kind {
            use super::*;

            pub(in crate::iam) fn tag(
                cx: &mut Engine,
                caller: &Caller,
                request: shapes::$Tag,
            ) -> Result<shapes::$Tagged, Refusal> {
                $change(cx, &request.$name, |tags| add(caller, tags, request.tags))?;
                Ok(shapes::$Tagged {})
            }

            pub(in crate::iam) fn untag(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$Untag,
            ) -> Result<shapes::$Untagged, Refusal> {
                $change(cx, &request.$name, |tags| {
                    tags.retain(|key, _| !request.tag_keys.contains(key));
                    Ok(())
                })?;
                Ok(shapes::$Untagged {})
            }

            pub(in crate::iam) fn list(
                cx: &mut Engine,
                _caller: &Caller,
                request: shapes::$List,
            ) -> Result<shapes::$Listed, Refusal> {
                let tags = shown($read(cx, &request.$name)?);
                let page = listed(tags, |tag| tag.key.clone(), request.marker, request.max_items)?;
                Ok(shapes::$Listed {
                    is_truncated: Some(page.next.is_some()),
                    tags: page.items,
                    marker: page.next,
                })
            }
        }
    };
}

tags_of!(of_instance_profile: instance_profile_name, instance_profile::tags, instance_profile::change_tags,
    TagInstanceProfileRequest TagInstanceProfileResponse,
    UntagInstanceProfileRequest UntagInstanceProfileResponse,
    ListInstanceProfileTagsRequest ListInstanceProfileTagsResponse);
tags_of!(of_policy: policy_arn, policy::tags, policy::change_tags,
    TagPolicyRequest TagPolicyResponse,
    UntagPolicyRequest UntagPolicyResponse,
    ListPolicyTagsRequest ListPolicyTagsResponse);
tags_of!(of_role: role_name, role::tags, role::change_tags,
    TagRoleRequest TagRoleResponse,
    UntagRoleRequest UntagRoleResponse,
    ListRoleTagsRequest ListRoleTagsResponse);
tags_of!(of_user: user_name, user::tags, user::change_tags,
    TagUserRequest TagUserResponse,
    UntagUserRequest UntagUserResponse,
    ListUserTagsRequest ListUserTagsResponse);
