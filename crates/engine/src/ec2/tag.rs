//! Tags.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    CreateTagsRequest, CreateTagsResponse, DeleteTagsRequest, DeleteTagsResponse, DescribeTagsRequest,
    DescribeTagsResponse, Tag, TagDescription, TagSpecification,
};

use crate::kernel::Effect;
use crate::{Caller, Engine};

use super::filter::{Filters, TAGS};
use super::network::resource::{Resource as _, Tagged as _};
use super::{KeyPair, Tags, at_least_five, dry_run, instance, invalid, launch_template, page_of};

/// Tags that a resource can have, those of AWS not counted (EC2 guide, tag-restrictions).
const TAGS_MAX: usize = 50;

/// The tags of a request by resource type. Other types than `allowed` are refused.
pub(super) fn of_specifications(
    caller: &Caller,
    specifications: Option<Vec<TagSpecification>>,
    allowed: &[&'static str],
) -> Result<BTreeMap<&'static str, Tags>, Refusal> {
    let mut found: BTreeMap<&'static str, Tags> = BTreeMap::new();
    for specification in specifications.into_iter().flatten() {
        let kind = specification.resource_type.unwrap_or_default();
        let Some(kind) = allowed.iter().find(|each| **each == kind) else {
            return Err(invalid(format!(
                "'{kind}' is not a valid taggable resource type for this operation."
            )));
        };
        let tags = found.entry(kind).or_default();
        tags.extend(checked(caller, specification.tags.unwrap_or_default())?);
        limit(tags)?;
    }
    Ok(found)
}

/// The tags of a request, held against AWS's restrictions.
pub(super) fn checked(caller: &Caller, tags: Vec<Tag>) -> Result<Tags, Refusal> {
    let mut found = Tags::new();
    for tag in tags {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if key.is_empty() {
            return Err(invalid("Tag key cannot be empty"));
        }
        if reserved(&key) && !matches!(caller, Caller::Service(_)) {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        if key.chars().count() > 127 {
            return Err(invalid("Tag key exceeds the maximum length of 127 characters"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("Tag value exceeds the maximum length of 256 characters"));
        }
        found.insert(key, value);
    }
    Ok(found)
}

/// Refuses more tags than a resource can have.
pub(super) fn limit(tags: &Tags) -> Result<(), Refusal> {
    if tags.keys().filter(|key| !reserved(key)).count() > TAGS_MAX {
        return Err(Refusal::new(
            "TagLimitExceeded",
            format!("The maximum number of Tags for a resource has been reached: {TAGS_MAX}."),
        ));
    }
    Ok(())
}

pub(super) fn reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// As describe calls list them; nothing when there are none.
pub(super) fn listed(tags: &Tags) -> Option<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag { key: Some(key.clone()), value: Some(value.clone()) };
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateTagsRequest,
) -> Result<CreateTagsResponse, Refusal> {
    let added = checked(caller, request.tags)?;
    for id in &request.resources {
        let mut tags = tags_of(cx, id)?.clone();
        tags.extend(added.clone());
        limit(&tags)?;
    }
    dry_run(request.dry_run)?;
    for id in &request.resources {
        change(cx, id, |tags| tags.extend(added.clone()));
    }
    Ok(CreateTagsResponse {})
}

/// Without tags in the request, all that are the user's go; with a value, a tag goes only if it has that value.
pub(super) fn delete(
    cx: &mut Engine,
    caller: &Caller,
    request: DeleteTagsRequest,
) -> Result<DeleteTagsResponse, Refusal> {
    let gone = request.tags.unwrap_or_default();
    let is_service = matches!(caller, Caller::Service(_));
    if !is_service && gone.iter().filter_map(|tag| tag.key.as_deref()).any(reserved) {
        return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use"));
    }
    for id in &request.resources {
        tags_of(cx, id)?;
    }
    dry_run(request.dry_run)?;
    let goes = |key: &str, value: &str| {
        if gone.is_empty() {
            return !reserved(key);
        }
        gone.iter().any(|tag| {
            tag.key.as_deref() == Some(key) && tag.value.as_deref().is_none_or(|wanted| wanted == value)
        })
    };
    for id in &request.resources {
        change(cx, id, |tags| tags.retain(|key, value| !goes(key, value)));
    }
    Ok(DeleteTagsResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeTagsRequest,
) -> Result<DescribeTagsResponse, Refusal> {
    dry_run(request.dry_run)?;
    at_least_five(request.max_results)?;
    let filters =
        Filters::new(request.filters.as_ref(), &["key", "resource-id", "resource-type", "value", TAGS])?;
    let mut found: Vec<(String, &'static str, &String, &String)> = Vec::new();
    let ec2 = &cx.ec2;
    let mut resources: Vec<(String, &'static str, &Tags)> = Vec::new();
    resources.extend(ec2.instances.iter().map(|each| (each.id.to_string(), "instance", &each.tags)));
    let templates = ec2.launch_templates.iter();
    resources.extend(templates.map(|each| (each.id.clone(), "launch-template", &each.tags)));
    ec2.key_pairs.each(&mut |id, tags| resources.push((id.to_owned(), KeyPair::KIND, tags)));
    for table in ec2.network.tables() {
        table.each(&mut |id, tags| resources.push((id.to_owned(), table.kind(), tags)));
    }
    for (id, kind, tags) in resources {
        for (key, value) in tags {
            let this = Tags::from([(key.clone(), value.clone())]);
            let fits = filters.fit(&this, |name, put| match name {
                "key" => put(key),
                "resource-id" => put(&id),
                "resource-type" => put(kind),
                "value" => put(value),
                _ => {}
            });
            if fits {
                found.push((id.clone(), kind, key, value));
            }
        }
    }
    let order = |(id, _, key, _): &(String, &'static str, &String, &String)| format!("{id}/{key}");
    found.sort_by_cached_key(order);
    let page = page_of(found, order, request.next_token.as_deref(), request.max_results)?;
    let described = |(id, kind, key, value): (String, &'static str, &String, &String)| TagDescription {
        key: Some(key.clone()),
        resource_id: Some(id),
        resource_type: Some(kind.into()),
        value: Some(value.clone()),
    };
    Ok(DescribeTagsResponse {
        next_token: page.next,
        tags: Some(page.items.into_iter().map(described).collect()),
    })
}

/// The tags of the resource of that id, whatever its kind.
fn tags_of<'a>(cx: &'a Engine, id: &String) -> Result<&'a Tags, Refusal> {
    let ec2 = &cx.ec2;
    match id.split_once('-').map_or("", |(prefix, _)| prefix) {
        "i" => {
            let found = instance::existing(cx, std::slice::from_ref(id))?;
            Ok(&ec2.instances.get(&found[0]).expect("it has just been found").tags)
        }
        "lt" => launch_template::find(ec2, Some(id), None).map(|each| &each.tags),
        "key" => ec2.key_pairs.tags(id),
        prefix => match ec2.network.tables().into_iter().find(|table| table.prefix() == prefix) {
            Some(table) => table.tags(id),
            None => Err(Refusal::new("InvalidID", format!("The ID '{id}' is not valid"))),
        },
    }
}

/// Changes the tags of a resource that [`tags_of`] has found.
fn change(cx: &mut Engine, id: &String, change: impl Fn(&mut Tags)) {
    if let Some(instance) = id.parse().ok().filter(|id| cx.ec2.instances.contains(id)) {
        if let Some(mut row) = cx.ec2.instances.edit(&instance) {
            change(&mut row.tags);
        }
        return cx.effect(Effect::InstanceMetadata { instance });
    }
    if let Some(mut row) = cx.ec2.launch_templates.edit(id) {
        return change(&mut row.tags);
    }
    cx.ec2.key_pairs.change_tags(id, &mut |tags| change(tags));
    for table in cx.ec2.network.tables_mut() {
        table.change_tags(id, &mut |tags| change(tags));
    }
}
