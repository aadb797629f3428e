//! Tags of groups.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::rows::{Group, GroupTag, Name};
use super::{invalid, invalid_token};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Tags of a group.
const PER_GROUP_MAX: usize = 50;

const RESOURCE_TYPE: &str = "auto-scaling-group";

/// The tags that a new group is given.
pub(super) fn read_for_group(
    caller: &Caller,
    name: &str,
    given: &[shapes::Tag],
) -> Result<BTreeMap<String, GroupTag>, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in given {
        if tag.resource_id.as_deref().is_some_and(|id| id != name) {
            return Err(invalid(format!(
                "The ResourceId {} of a tag is not the name of the group, {name}.",
                tag.resource_id.as_deref().unwrap_or_default()
            )));
        }
        put(caller, &mut tags, tag)?;
    }
    Ok(tags)
}

fn put(caller: &Caller, tags: &mut BTreeMap<String, GroupTag>, tag: &shapes::Tag) -> Result<(), Refusal> {
    if !caller.may_tag(&tag.key) {
        return Err(invalid(format!("Tag keys must not begin with aws:, as {} does.", tag.key)));
    }
    let value = tag.value.clone().unwrap_or_default();
    tags.insert(tag.key.clone(), GroupTag { value, propagate: tag.propagate_at_launch.unwrap_or(false) });
    if tags.len() > PER_GROUP_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!("An Auto Scaling group can have {PER_GROUP_MAX} tags."),
        ));
    }
    Ok(())
}

/// The group that a tag names.
fn group_of(cx: &Engine, tag: &shapes::Tag) -> Result<Name, Refusal> {
    if tag.resource_type.as_deref().is_some_and(|kind| kind != RESOURCE_TYPE) {
        return Err(invalid(format!("Valid values for ResourceType are: {RESOURCE_TYPE}")));
    }
    let name = tag.resource_id.as_deref().ok_or_else(|| invalid("ResourceId is required."))?;
    Ok(super::group::find(cx, name)?.name.clone())
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateOrUpdateTagsRequest,
) -> Result<shapes::CreateOrUpdateTagsResponse, Refusal> {
    let mut changed: BTreeMap<Name, BTreeMap<String, GroupTag>> = BTreeMap::new();
    for tag in &request.tags {
        let name = group_of(cx, tag)?;
        let tags = match changed.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let tags = cx.autoscaling.groups.get(entry.key()).map(|group| group.tags.clone());
                entry.insert(tags.unwrap_or_default())
            }
        };
        put(caller, tags, tag)?;
    }
    // All or nothing: groups change only when every tag was good.
    for (name, tags) in changed {
        if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
            row.tags = tags;
        }
    }
    Ok(shapes::CreateOrUpdateTagsResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteTagsRequest,
) -> Result<shapes::DeleteTagsResponse, Refusal> {
    let named: Vec<(Name, &shapes::Tag)> =
        request.tags.iter().map(|tag| Ok((group_of(cx, tag)?, tag))).collect::<Result<_, Refusal>>()?;
    for (name, tag) in named {
        if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
            // A value, when given, must be the tag's.
            let matches = row
                .tags
                .get(&tag.key)
                .is_some_and(|found| tag.value.as_ref().is_none_or(|value| *value == found.value));
            if matches {
                row.tags.remove(&tag.key);
            }
        }
    }
    Ok(shapes::DeleteTagsResponse {})
}

pub(super) fn shapes_of(group: &Group) -> Vec<shapes::TagDescription> {
    let shape = |(key, tag): (&String, &GroupTag)| shapes::TagDescription {
        resource_id: Some(group.name.to_string()),
        resource_type: Some(RESOURCE_TYPE.to_owned()),
        key: Some(key.clone()),
        value: Some(tag.value.clone()),
        propagate_at_launch: Some(tag.propagate),
    };
    group.tags.iter().map(shape).collect()
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeTagsRequest,
) -> Result<shapes::DescribeTagsResponse, Refusal> {
    let filters = request.filters.unwrap_or_default();
    for filter in &filters {
        if !matches!(
            filter.name.as_deref(),
            Some("auto-scaling-group" | "key" | "value" | "propagate-at-launch")
        ) {
            return Err(invalid(format!(
                "Filter type {} is not correct. Allowed Filter types are: auto-scaling-group key value \
                 propagate-at-launch",
                filter.name.as_deref().unwrap_or_default()
            )));
        }
    }
    let passes = |tag: &shapes::TagDescription| {
        filters.iter().all(|filter| {
            let text = match filter.name.as_deref() {
                Some("auto-scaling-group") => tag.resource_id.clone(),
                Some("key") => tag.key.clone(),
                Some("value") => tag.value.clone(),
                _ => tag.propagate_at_launch.map(|propagate| propagate.to_string()),
            };
            let text = text.unwrap_or_default();
            filter.values.iter().flatten().any(|value| {
                *value == text
                    || filter.name.as_deref() == Some("propagate-at-launch")
                        && value.eq_ignore_ascii_case(&text)
            })
        })
    };
    let tags = cx.autoscaling.groups.iter().flat_map(shapes_of).filter(passes);
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    // A character that no name may hold keeps the order of the keys that of the groups and their tags.
    let key = |tag: &shapes::TagDescription| {
        format!(
            "{}\u{1}{}",
            tag.resource_id.as_deref().unwrap_or_default(),
            tag.key.as_deref().unwrap_or_default()
        )
    };
    let page = page(tags, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    Ok(shapes::DescribeTagsResponse { tags: Some(page.items), next_token: page.next })
}

/// Whether a filter is one of DescribeAutoScalingGroups.
pub(super) fn is_group_filter(filter: &shapes::Filter) -> bool {
    filter
        .name
        .as_deref()
        .is_some_and(|name| matches!(name, "tag-key" | "tag-value") || name.starts_with("tag:"))
}

/// Whether a group passes all filters of DescribeAutoScalingGroups.
pub(super) fn group_passes(group: &Group, filters: &[shapes::Filter]) -> bool {
    filters.iter().all(|filter| {
        let has = |text: &str| filter.values.iter().flatten().any(|value| value == text);
        match filter.name.as_deref() {
            Some("tag-key") => group.tags.keys().any(|key| has(key)),
            Some("tag-value") => group.tags.values().any(|tag| has(&tag.value)),
            Some(name) => {
                let key = name.strip_prefix("tag:").unwrap_or_default();
                group.tags.get(key).is_some_and(|tag| has(&tag.value))
            }
            None => false,
        }
    })
}
