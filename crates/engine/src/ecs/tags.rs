//! Tags of ECS resources.

use std::collections::BTreeMap;

use capstan_model::{Arn, Hex32};
use capstan_shapes::{Refusal, ecs as shapes};

use super::cluster::invalid;
use super::{Name, ServiceKey, TaskDefinitionKey, capacity_provider, cluster, task_definition};
use crate::{Caller, Engine};

/// Tags on one resource (ECS guide, service-quotas).
pub(super) const MAX: usize = 50;

/// The tags of a request as rows keep them.
pub(super) fn check(caller: &Caller, given: &[shapes::Tag]) -> Result<BTreeMap<String, String>, Refusal> {
    if given.len() > MAX {
        return Err(invalid(format!("Tags cannot have more than {MAX} elements.")));
    }
    let mut tags = BTreeMap::new();
    for tag in given {
        let key = tag.key.as_deref().unwrap_or_default();
        if key.is_empty() {
            return Err(invalid("Tag keys must not be blank."));
        }
        if !caller.may_tag(key) {
            return Err(invalid("Tag keys must not start with the reserved prefix aws:."));
        }
        if tags.insert(key.to_owned(), tag.value.clone().unwrap_or_default()).is_some() {
            return Err(invalid(format!("Duplicate tag keys are not allowed: {key}.")));
        }
    }
    Ok(tags)
}

/// Tags as the API shows them.
pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<shapes::Tag> {
    let shown = tags.iter().map(|(key, value)| (key.clone(), value.clone()));
    shown.map(|(key, value)| shapes::Tag { key: Some(key), value: Some(value) }).collect()
}

/// A resource that carries tags.
enum Resource {
    CapacityProvider(Name),
    Cluster(Name),
    ContainerInstance(Hex32),
    Service(ServiceKey),
    Task(Hex32),
    TaskDefinition(TaskDefinitionKey),
}

type Tags = BTreeMap<String, String>;

impl Resource {
    /// The resource that an ARN means; it must exist.
    fn find(cx: &Engine, given: &str) -> Result<Self, Refusal> {
        let arn = Arn::parse(given).filter(|arn| {
            arn.service == "ecs" && arn.region == cx.config.region.name && arn.account == cx.config.account
        });
        let (kind, rest) = arn.and_then(|arn| arn.resource.split_once('/')).ok_or_else(|| {
            invalid(format!(
                "The specified ARN is not one of an ECS resource of this account and region: {given}"
            ))
        })?;
        let resource = match kind {
            "cluster" => return cluster::find_cluster(cx, Some(given)).map(Self::Cluster),
            "capacity-provider" => capacity_provider::find(cx, given).map(Self::CapacityProvider),
            "task-definition" => task_definition::find(cx, given).map(Self::TaskDefinition),
            "container-instance" | "service" | "task" => {
                let (cluster, id) = rest
                    .split_once('/')
                    .ok_or_else(|| invalid("Long arn format must be used for tagging operations"))?;
                let cluster = cluster::find_cluster(cx, Some(cluster))?;
                match kind {
                    "service" => Some(Self::Service(ServiceKey { cluster, name: id.into() })),
                    "task" => id.parse().ok().map(Self::Task),
                    _ => id.parse().ok().map(Self::ContainerInstance),
                }
            }
            _ => return Err(invalid(format!("Resources of the kind {kind} cannot be tagged."))),
        };
        resource.filter(|resource| resource.tags(cx).is_some()).ok_or_else(|| {
            Refusal::of(
                &shapes::RESOURCE_NOT_FOUND_EXCEPTION,
                "The specified resource was not found. Verify the resource ARN and try again.",
            )
        })
    }

    fn tags<'a>(&self, cx: &'a Engine) -> Option<&'a Tags> {
        Some(match self {
            Self::CapacityProvider(name) => &cx.ecs.providers.get(name)?.tags,
            Self::Cluster(name) => &cx.ecs.clusters.get(name)?.tags,
            Self::ContainerInstance(id) => &cx.ecs.instances.get(id)?.tags,
            Self::Service(key) => &cx.ecs.services.get(key)?.tags,
            Self::Task(id) => &cx.ecs.tasks.get(id)?.tags,
            Self::TaskDefinition(key) => &cx.ecs.task_definitions.get(key)?.tags,
        })
    }

    fn set_tags(&self, cx: &mut Engine, tags: Tags) {
        fn set<R: crate::kernel::Row>(
            table: &mut crate::kernel::Table<R>,
            key: &R::Key,
            set: impl FnOnce(&mut R),
        ) {
            if let Some(mut row) = table.edit(key) {
                set(&mut row);
            }
        }
        match self {
            Self::CapacityProvider(name) => set(&mut cx.ecs.providers, name, |row| row.tags = tags),
            Self::Cluster(name) => set(&mut cx.ecs.clusters, name, |row| row.tags = tags),
            Self::ContainerInstance(id) => set(&mut cx.ecs.instances, id, |row| row.tags = tags),
            Self::Service(key) => set(&mut cx.ecs.services, key, |row| row.tags = tags),
            Self::Task(id) => set(&mut cx.ecs.tasks, id, |row| row.tags = tags),
            Self::TaskDefinition(key) => set(&mut cx.ecs.task_definitions, key, |row| row.tags = tags),
        }
    }
}

pub(super) fn tag(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::TagResourceRequest,
) -> Result<shapes::TagResourceResponse, Refusal> {
    let resource = Resource::find(cx, &request.resource_arn)?;
    let given = check(caller, &request.tags)?;
    let mut tags = resource.tags(cx).cloned().unwrap_or_default();
    tags.extend(given);
    if tags.len() > MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_EXCEPTION,
            format!("A resource cannot have more than {MAX} tags. Remove some and try again."),
        ));
    }
    resource.set_tags(cx, tags);
    Ok(shapes::TagResourceResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagResourceRequest,
) -> Result<shapes::UntagResourceResponse, Refusal> {
    let resource = Resource::find(cx, &request.resource_arn)?;
    let mut tags = resource.tags(cx).cloned().unwrap_or_default();
    for key in &request.tag_keys {
        tags.remove(key);
    }
    resource.set_tags(cx, tags);
    Ok(shapes::UntagResourceResponse {})
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTagsForResourceRequest,
) -> Result<shapes::ListTagsForResourceResponse, Refusal> {
    let resource = Resource::find(cx, &request.resource_arn)?;
    Ok(shapes::ListTagsForResourceResponse { tags: resource.tags(cx).map(shown) })
}
