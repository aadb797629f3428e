//! Attributes of container instances: what agents tell, and what users add to place tasks by.

use std::collections::BTreeMap;

use capstan_model::Hex32;
use capstan_shapes::{Refusal, ecs as shapes};

use super::cluster::{self, bad_token, invalid, page_size};
use super::container_instance::{self, find_instance};
use super::{ContainerInstance, InstanceIndex, InstanceStatus, Name};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Attributes of a user's own on one resource, and in one call (ECS guide, service-quotas; ECS model PutAttributes).
const CUSTOM_MAX: usize = 10;
/// Characters of a name or a value (ECS model, Attribute).
const LENGTH_MAX: usize = 128;
/// Names that belong to ECS and its agents.
const RESERVED: [&str; 2] = ["ecs.", "com.amazonaws.ecs."];

/// Attributes as rows keep them.
pub(super) fn read(given: &[shapes::Attribute]) -> Result<BTreeMap<String, Option<String>>, Refusal> {
    let mut read = BTreeMap::new();
    for attribute in given {
        check(attribute)?;
        let value = attribute.value.clone().filter(|value| !value.is_empty());
        read.insert(attribute.name.clone(), value);
    }
    Ok(read)
}

/// The form of names and values (ECS model, Attribute).
fn check(attribute: &shapes::Attribute) -> Result<(), Refusal> {
    let only =
        |text: &str, others: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    let name = &attribute.name;
    if name.is_empty() || name.len() > LENGTH_MAX || !only(name, "-_/\\.") {
        return Err(invalid(format!(
            "Invalid attribute name \"{name}\": it takes 1 to {LENGTH_MAX} letters, digits, hyphens, underscores, \
             slashes, backslashes or periods."
        )));
    }
    let value = attribute.value.as_deref().unwrap_or_default();
    if value.len() > LENGTH_MAX || !only(value, "-_.@/\\: ") || value != value.trim() {
        return Err(invalid(format!(
            "Invalid value \"{value}\" of attribute {name}: it takes up to {LENGTH_MAX} letters, digits, hyphens, \
             underscores, periods, at signs, slashes, backslashes, colons or spaces, and no space at an end."
        )));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|prefix| name.starts_with(prefix))
}

/// The instance that an attribute of a call belongs to.
fn target(cx: &Engine, cluster: &Name, attribute: &shapes::Attribute) -> Result<Hex32, Refusal> {
    let Some(given) = attribute.target_id.as_deref().filter(|given| !given.is_empty()) else {
        return Err(invalid("The targetId of an attribute must be given."));
    };
    if attribute.target_type.is_none() && !given.starts_with("arn:") {
        return Err(invalid("The targetType of an attribute must be given with a target's short id."));
    }
    let found = find_instance(cx, cluster, given).and_then(|id| cx.ecs.instances.get(&id));
    found.filter(|row| row.status != InstanceStatus::Inactive).map(|row| row.id).ok_or_else(|| {
        let arn = container_instance::arn_of(cx, cluster, given);
        Refusal::of(
            &shapes::TARGET_NOT_FOUND_EXCEPTION,
            format!(
                "The specified target wasn't found. You can view your available container instances with \
                     ListContainerInstances. Target: {arn}"
            ),
        )
    })
}

/// The changes of a call, by instance; refused as a whole.
fn targets<'a>(
    cx: &Engine,
    cluster: &Name,
    given: &'a [shapes::Attribute],
) -> Result<BTreeMap<Hex32, Vec<&'a shapes::Attribute>>, Refusal> {
    if given.is_empty() {
        return Err(invalid("Attributes cannot be empty."));
    }
    if given.len() > CUSTOM_MAX {
        return Err(invalid(format!("Attributes cannot have more than {CUSTOM_MAX} elements.")));
    }
    let mut by_target: BTreeMap<Hex32, Vec<&shapes::Attribute>> = BTreeMap::new();
    for attribute in given {
        check(attribute)?;
        if is_reserved(&attribute.name) {
            let name = &attribute.name;
            return Err(invalid(format!("Attribute {name} belongs to Amazon ECS and cannot be changed.")));
        }
        by_target.entry(target(cx, cluster, attribute)?).or_default().push(attribute);
    }
    Ok(by_target)
}

fn shown(cx: &Engine, row: &ContainerInstance, name: &str, value: Option<String>) -> shapes::Attribute {
    shapes::Attribute {
        name: name.to_owned(),
        value,
        target_type: None,
        target_id: Some(container_instance::arn(cx, &row.cluster, row.id)),
    }
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutAttributesRequest,
) -> Result<shapes::PutAttributesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let targets = targets(cx, &cluster, &request.attributes)?;
    for (id, put) in &targets {
        let Some(row) = cx.ecs.instances.get(id) else { continue };
        let mut names: Vec<&String> = row.attributes.keys().filter(|name| !is_reserved(name)).collect();
        names.extend(put.iter().map(|attribute| &attribute.name));
        names.sort_unstable();
        names.dedup();
        if names.len() > CUSTOM_MAX {
            let arn = container_instance::arn(cx, &cluster, *id);
            return Err(Refusal::of(
                &shapes::ATTRIBUTE_LIMIT_EXCEEDED_EXCEPTION,
                format!(
                    "You can apply up to {CUSTOM_MAX} custom attributes for each resource. Target: {arn}"
                ),
            ));
        }
    }
    let mut done = Vec::new();
    for (id, put) in targets {
        let put: BTreeMap<String, Option<String>> = put
            .into_iter()
            .map(|attribute| {
                (attribute.name.clone(), attribute.value.clone().filter(|value| !value.is_empty()))
            })
            .collect();
        container_instance::change(cx, id, |row| row.attributes.extend(put.clone()));
        container_instance::has_room(cx, id);
        if let Some(row) = cx.ecs.instances.get(&id) {
            done.extend(put.iter().map(|(name, value)| shown(cx, row, name, value.clone())));
        }
    }
    Ok(shapes::PutAttributesResponse { attributes: Some(done) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteAttributesRequest,
) -> Result<shapes::DeleteAttributesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let mut done = Vec::new();
    for (id, deleted) in targets(cx, &cluster, &request.attributes)? {
        let mut gone = BTreeMap::new();
        container_instance::change(cx, id, |row| {
            for attribute in deleted {
                if let Some((name, value)) = row.attributes.remove_entry(&attribute.name) {
                    gone.insert(name, value);
                }
            }
        });
        container_instance::has_room(cx, id);
        if let Some(row) = cx.ecs.instances.get(&id) {
            done.extend(gone.into_iter().map(|(name, value)| shown(cx, row, &name, value)));
        }
    }
    Ok(shapes::DeleteAttributesResponse { attributes: Some(done) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListAttributesRequest,
) -> Result<shapes::ListAttributesResponse, Refusal> {
    let cluster = cluster::find_cluster(cx, request.cluster.as_deref())?;
    let size = page_size(request.max_results, 100)?;
    let (name, value) = (request.attribute_name.as_deref(), request.attribute_value.as_deref());
    if value.is_some() && name.is_none() {
        return Err(invalid("An attribute name must be given with an attribute value."));
    }
    let index = InstanceIndex::Cluster(cluster.clone());
    let all = cx.ecs.instances.by(&index).flat_map(|row| {
        let wanted = row.attributes.iter().filter(move |(found, held)| {
            name.is_none_or(|name| name == *found) && value.is_none_or(|value| Some(value) == held.as_deref())
        });
        wanted.map(move |(name, value)| (row, name, value))
    });
    let key = |(row, name, _): &(&ContainerInstance, &String, &Option<String>)| format!("{} {name}", row.id);
    let page = page(all, key, request.next_token.as_deref(), size).map_err(|()| bad_token())?;
    let items = page.items.into_iter().map(|(row, name, value)| shown(cx, row, name, value.clone()));
    Ok(shapes::ListAttributesResponse { attributes: Some(items.collect()), next_token: page.next })
}
