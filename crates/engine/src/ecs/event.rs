//! What ECS tells EventBridge (spec ecs.md §10; ECS guide, ecs_cwe_events and its pages).

use capstan_model::Hex32;
use capstan_shapes::ecs as shapes;
use serde_json::{Map, Value as Json, json};

use super::{Deployment, InstanceIndex, InstanceStatus, ServiceKey, capacity_provider, cluster, service};
use super::{container_instance, task};
use crate::Engine;
use crate::events::{Published, publish};
use crate::kernel::json;

const SOURCE: &str = "aws.ecs";
/// An event names at most so many instances that could not take a task (our reading).
const INSTANCES_MAX: usize = 10;

/// The task has changed: its state, a container's, or the state that is desired. Its version tells events apart.
pub(super) fn task_changed(cx: &mut Engine, id: Hex32) {
    publish(cx, SOURCE, "ECS Task State Change", |cx| {
        let Some(row) = cx.ecs.tasks.get(&id) else { return Published::default() };
        let mut shown = task::describe_one(cx, row, false);
        shown.tags = None;
        let resources = shown.task_arn.iter().cloned().collect();
        Published { resources, detail: detail(cx, json::json(&shapes::TASK, shown)), time: None }
    });
}

/// The container instance has changed: tasks placed or stopped there, its status, its agent.
pub(super) fn instance_changed(cx: &mut Engine, id: Hex32) {
    publish(cx, SOURCE, "ECS Container Instance State Change", |cx| {
        let Some(row) = cx.ecs.instances.get(&id) else { return Published::default() };
        let mut shown = container_instance::describe_one(cx, row, &[]);
        (shown.tags, shown.attachments) = (None, None);
        for resource in
            [&mut shown.registered_resources, &mut shown.remaining_resources].into_iter().flatten().flatten()
        {
            // Events show the value of the resource's own type only.
            (resource.double_value, resource.long_value) = (None, None);
            if resource.string_set_value.is_some() {
                resource.integer_value = None;
            }
        }
        let resources = shown.container_instance_arn.iter().cloned().collect();
        let mut detail = detail(cx, json::json(&shapes::CONTAINER_INSTANCE, shown));
        detail["clusterArn"] = cluster::arn(cx, &row.cluster).into();
        Published { resources, detail, time: None }
    });
}

/// The description with the moment at which it held, in the order of its names.
fn detail(cx: &Engine, mut described: Json) -> Json {
    described["updatedAt"] = cx.now.iso_millis().into();
    described.sort_all_objects();
    described
}

/// A `ServiceAction`'s kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Info,
    Warn,
    Error,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// What the service scheduler did or could not do. `more` gives the members that this kind of event adds.
pub(super) fn service_action(
    cx: &mut Engine,
    key: &ServiceKey,
    kind: Kind,
    name: &str,
    more: impl FnOnce(&Engine) -> Map<String, Json>,
) {
    publish(cx, SOURCE, "ECS Service Action", |cx| {
        let mut detail = json!({
            "eventType": kind.as_str(),
            "eventName": name,
            "clusterArn": cluster::arn(cx, &key.cluster),
        });
        for (member, value) in more(cx) {
            detail[member] = value;
        }
        detail["createdAt"] = cx.now.iso_millis().into();
        Published { resources: vec![service::arn(cx, key)], detail, time: None }
    });
}

/// The service is steady, and so are the providers that its tasks are on.
pub(super) fn steady(cx: &mut Engine, key: &ServiceKey) {
    service_action(cx, key, Kind::Info, "SERVICE_STEADY_STATE", |_| Map::new());
    let uses_providers = |deployment: &Deployment| !deployment.strategy.is_empty();
    let service = cx.ecs.services.get(key);
    if service.and_then(|service| service.deployments.first()).is_some_and(uses_providers) {
        service_action(cx, key, Kind::Info, "CAPACITY_PROVIDER_STEADY_STATE", |cx| places(cx, key));
    }
}

/// A task of the service found no place; `reason` is `RESOURCE:CPU` and the like.
pub(super) fn unplaced(cx: &mut Engine, key: &ServiceKey, reason: &str) {
    service_action(cx, key, Kind::Error, "SERVICE_TASK_PLACEMENT_FAILURE", |cx| {
        let mut more = places(cx, key);
        more.insert("reason".to_owned(), reason.into());
        more
    });
}

/// `capacityProviderArns` of a service with a strategy, `containerInstanceArns` of another.
fn places(cx: &Engine, key: &ServiceKey) -> Map<String, Json> {
    let mut more = Map::new();
    let service = cx.ecs.services.get(key);
    let deployment = service.and_then(|service| service.deployments.first());
    let providers: Vec<String> = deployment
        .iter()
        .flat_map(|deployment| &deployment.strategy)
        .map(|item| capacity_provider::arn(cx, &item.provider))
        .collect();
    if providers.is_empty() {
        let rows = cx.ecs.instances.by(&InstanceIndex::Cluster(key.cluster.clone()));
        let active = rows.filter(|row| row.status == InstanceStatus::Active).take(INSTANCES_MAX);
        let arns = active.map(|row| container_instance::arn(cx, &row.cluster, row.id));
        more.insert("containerInstanceArns".to_owned(), arns.collect::<Vec<_>>().into());
    } else {
        more.insert("capacityProviderArns".to_owned(), providers.into());
    }
    more
}

/// A deployment has begun, was completed, has failed, or is what a failed one is rolled back to.
pub(super) fn deployment(cx: &mut Engine, key: &ServiceKey, kind: Kind, name: &str, id: u64, reason: &str) {
    publish(cx, SOURCE, "ECS Deployment State Change", |cx| Published {
        resources: vec![service::arn(cx, key)],
        detail: json!({
            "eventType": kind.as_str(),
            "eventName": name,
            "deploymentId": format!("ecs-svc/{id:019}"),
            "updatedAt": cx.now.iso_millis(),
            "reason": reason,
        }),
        time: None,
    });
}

/// The latest deployment of the service has begun.
pub(super) fn deployment_began(cx: &mut Engine, key: &ServiceKey) {
    let Some(own) = cx.ecs.services.get(key).and_then(|service| service.deployments.first()) else { return };
    let (id, reason) = (own.id, own.rollout_reason.clone());
    deployment(cx, key, Kind::Info, "SERVICE_DEPLOYMENT_IN_PROGRESS", id, &reason);
}
