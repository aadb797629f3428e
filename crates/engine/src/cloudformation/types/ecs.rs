//! ECS.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::ecs as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::resource::{Handler, Progress, Resource, always, call, no_attributes, shape_of};
use super::common::{any_changed, attributes, changed, cleared, done_if, tag_changes, until};
use crate::Engine;
use crate::ecs::{Cluster, ClusterStatus, Name, Rollout, Service, ServiceKey, ServiceStatus, TaskIndex};

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::ECS::CapacityProvider",
        inert: None,
        create: create_provider,
        update: update_provider,
        delete: delete_provider,
        stable: stable_provider,
        attributes: no_attributes,
    },
    Handler {
        type_name: "AWS::ECS::Cluster",
        inert: None,
        create: create_cluster,
        update: update_cluster,
        delete: delete_cluster,
        stable: stable_cluster,
        attributes: |cx, resource| {
            attributes([("Arn", cx.arn("ecs", format_args!("cluster/{}", resource.physical_id)))])
        },
    },
    Handler {
        type_name: "AWS::ECS::ClusterCapacityProviderAssociations",
        inert: None,
        create: create_associations,
        update: |_, _, _| Ok(()),
        delete: delete_associations,
        stable: associate,
        attributes: no_attributes,
    },
    Handler {
        type_name: "AWS::ECS::Service",
        inert: None,
        create: create_service,
        update: update_service,
        delete: delete_service,
        stable: stable_service,
        attributes: |_, resource| {
            attributes([
                ("Name", after_slash(&resource.physical_id).to_owned()),
                ("ServiceArn", resource.physical_id.clone()),
            ])
        },
    },
    Handler {
        type_name: "AWS::ECS::TaskDefinition",
        inert: None,
        create: create_task_definition,
        update: |cx, old, new| retag(cx, old, new, new.physical_id.clone()),
        delete: delete_task_definition,
        stable: always,
        attributes: |_, resource| attributes([("TaskDefinitionArn", resource.physical_id.clone())]),
    },
];

/// The name at the end of an ARN, or the name itself.
fn after_slash(text: &str) -> &str {
    text.rsplit_once('/').map_or(text, |(_, name)| name)
}

fn tags(resource: &Resource) -> Option<Vec<shapes::Tag>> {
    let tag = |(key, value)| shapes::Tag { key: Some(key), value: Some(value) };
    Some(resource.all_tags().into_iter().map(tag).collect::<Vec<_>>()).filter(|tags| !tags.is_empty())
}

fn retag(cx: &mut Engine, old: &Resource, new: &Resource, resource_arn: String) -> Result<(), Refusal> {
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tag = |(key, value)| shapes::Tag { key: Some(key), value: Some(value) };
        let tags = set.into_iter().map(tag).collect();
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

// Clusters

fn create_cluster(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "ClusterName", 255);
    let exists = cx.ecs().clusters().get(&Name::from(name.as_str()));
    // CreateCluster would give the one that is there.
    if exists.is_some_and(|cluster| cluster.status != ClusterStatus::Inactive) {
        let message = format!(
            "Resource of type 'AWS::ECS::Cluster' with identifier '{{\"/properties/ClusterName\":\"{name}\"}}' already exists."
        );
        return Err(Refusal::new("AlreadyExists", message));
    }
    let mut request: shapes::CreateClusterRequest = resource.request(&[("ClusterSettings", "settings")])?;
    request.cluster_name = Some(name.clone());
    request.tags = tags(resource);
    call(cx, request)?;
    Ok(name)
}

fn update_cluster(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if any_changed(old, new, &["ClusterSettings", "Configuration", "ServiceConnectDefaults"]) {
        let mut request: shapes::UpdateClusterRequest = new.request(&[("ClusterSettings", "settings")])?;
        request.cluster.clone_from(&new.physical_id);
        if new.get("ClusterSettings").is_none() && old.get("ClusterSettings").is_some() {
            let settings = json!([{"name": "containerInsights", "value": "disabled"}]);
            request.settings = shape_member(&settings)?;
        }
        if new.get("ServiceConnectDefaults").is_none() && old.get("ServiceConnectDefaults").is_some() {
            let namespace = String::new();
            request.service_connect_defaults =
                Some(shapes::ClusterServiceConnectDefaultsRequest { namespace });
        }
        call(cx, request)?;
    }
    let arn = cx.arn("ecs", format_args!("cluster/{}", new.physical_id));
    retag(cx, old, new, arn)
    // Providers are brought to the template by `stable`: a cluster that is busy takes none.
}

fn shape_member(json: &Json) -> Result<Option<Vec<shapes::ClusterSetting>>, Refusal> {
    let items = json.as_array().into_iter().flatten();
    items.map(|item| shape_of(&shapes::CLUSTER_SETTING, item)).collect::<Result<Vec<_>, _>>().map(Some)
}

fn stable_cluster(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let named = ["CapacityProviders", "DefaultCapacityProviderStrategy"];
    if named.iter().any(|property| resource.get(property).is_some()) {
        return put_providers(cx, resource, &resource.physical_id);
    }
    let cluster = cx.ecs().clusters().get(&Name::from(resource.physical_id.as_str()));
    Ok(done_if(cluster.is_none_or(is_settled)))
}

fn is_settled(cluster: &Cluster) -> bool {
    cluster.attachments_busy_until.is_none() && cluster.status != ClusterStatus::Provisioning
}

fn delete_cluster(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let cluster = resource.physical_id.clone();
    until(
        call(cx, shapes::DeleteClusterRequest { cluster }),
        &[
            "ClusterContainsContainerInstancesException",
            "ClusterContainsServicesException",
            "ClusterContainsTasksException",
            "ClusterContainsCapacityProviderException",
            "UpdateInProgressException",
        ],
    )
}

// Capacity providers of a cluster

fn create_associations(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let cluster = after_slash(resource.text("Cluster").unwrap_or_default()).to_owned();
    put_providers(cx, resource, &cluster)?;
    Ok(cluster)
}

fn associate(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    put_providers(cx, resource, &resource.physical_id)
}

fn delete_associations(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let name = Name::from(resource.physical_id.as_str());
    let cluster = cx.ecs().clusters().get(&name);
    if cluster.is_none_or(|cluster| cluster.status == ClusterStatus::Inactive) {
        return Ok(Progress::Done);
    }
    let empty = Resource {
        properties: Map::from_iter([
            ("CapacityProviders".to_owned(), json!([])),
            ("DefaultCapacityProviderStrategy".to_owned(), json!([])),
        ]),
        ..resource.clone()
    };
    put_providers(cx, &empty, &resource.physical_id)
}

/// Brings the cluster's providers to what the properties say, as soon as the cluster takes them.
fn put_providers(cx: &mut Engine, resource: &Resource, cluster: &str) -> Result<Progress, Refusal> {
    let mut request: shapes::PutClusterCapacityProvidersRequest = resource.request(&[])?;
    request.cluster = cluster.to_owned();
    if let Some(row) = cx.ecs().clusters().get(&Name::from(cluster)) {
        let short = |names: &[String]| -> Vec<String> {
            let mut names: Vec<String> = names.iter().map(|name| after_slash(name).to_owned()).collect();
            names.sort();
            names
        };
        let mut there: Vec<String> = row.capacity_providers.iter().map(ToString::to_string).collect();
        there.sort();
        let strategy =
            row.default_strategy.iter().map(|item| (item.provider.to_string(), item.weight, item.base));
        let wanted = request.default_capacity_provider_strategy.iter().map(|item| {
            let number = |value: Option<i32>| i64::from(value.unwrap_or_default());
            let provider = after_slash(&item.capacity_provider).to_owned();
            (provider, number(item.weight), number(item.base))
        });
        if there == short(&request.capacity_providers) && strategy.eq(wanted) {
            if let Some(reason) = row.attachments_failed.clone().filter(|_| is_settled(row)) {
                return Err(Refusal::new("GeneralServiceException", reason));
            }
            return Ok(done_if(is_settled(row)));
        }
    }
    match call(cx, request.clone()) {
        Err(refusal)
            if refusal.code == "ResourceInUseException" && !request.capacity_providers.is_empty() =>
        {
            keep_used(cx, request)
        }
        answer => {
            until(answer, &["UpdateInProgressException", "ResourceInUseException"])?;
            Ok(Progress::InProgress)
        }
    }
}

/// Services that an update moves to another provider move after the cluster has it: what they use until then stays with the
/// cluster, and leaves it when the provider itself is deleted.
fn keep_used(
    cx: &mut Engine,
    mut request: shapes::PutClusterCapacityProvidersRequest,
) -> Result<Progress, Refusal> {
    let Some(row) = cx.ecs().clusters().get(&Name::from(request.cluster.as_str())) else {
        return Ok(Progress::InProgress);
    };
    let wanted: Vec<String> =
        request.capacity_providers.iter().map(|name| after_slash(name).to_owned()).collect();
    let there: Vec<String> = row.capacity_providers.iter().map(ToString::to_string).collect();
    let defaults = row.default_strategy.iter().map(|item| item.provider.to_string());
    let wanted_defaults = request.default_capacity_provider_strategy.iter();
    let same_defaults =
        defaults.eq(wanted_defaults.map(|item| after_slash(&item.capacity_provider).to_owned()));
    if same_defaults && wanted.iter().all(|name| there.contains(name)) {
        return Ok(done_if(is_settled(row)));
    }
    let kept = there.into_iter().filter(|name| !wanted.contains(name));
    request.capacity_providers.extend(kept);
    until(call(cx, request), &["UpdateInProgressException"])?;
    Ok(Progress::InProgress)
}

/// Takes a provider that is to be deleted away from the clusters that still list it.
fn dissociate(cx: &mut Engine, provider: &str) -> Result<(), Refusal> {
    let lists = |cluster: &&Cluster| cluster.capacity_providers.iter().any(|name| name.as_ref() == provider);
    let requests: Vec<_> = cx
        .ecs()
        .clusters()
        .iter()
        .filter(|cluster| cluster.status != ClusterStatus::Inactive)
        .filter(lists)
        .filter(|cluster| !cluster.default_strategy.iter().any(|item| item.provider.as_ref() == provider))
        .map(|cluster| shapes::PutClusterCapacityProvidersRequest {
            cluster: cluster.name.to_string(),
            capacity_providers: cluster
                .capacity_providers
                .iter()
                .filter(|name| name.as_ref() != provider)
                .map(ToString::to_string)
                .collect(),
            default_capacity_provider_strategy: cluster
                .default_strategy
                .iter()
                .map(|item| shapes::CapacityProviderStrategyItem {
                    capacity_provider: item.provider.to_string(),
                    weight: i32::try_from(item.weight).ok(),
                    base: i32::try_from(item.base).ok(),
                })
                .collect(),
        })
        .collect();
    for request in requests {
        until(call(cx, request), &["UpdateInProgressException", "ResourceInUseException"])?;
    }
    Ok(())
}

// Capacity providers

fn create_provider(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "Name", 255);
    let mut request: shapes::CreateCapacityProviderRequest =
        resource.request(&[("ClusterName", "cluster")])?;
    request.name.clone_from(&name);
    request.tags = tags(resource);
    call(cx, request)?;
    Ok(name)
}

fn update_provider(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if changed(old, new, "AutoScalingGroupProvider") {
        let mut request: shapes::UpdateCapacityProviderRequest =
            new.request(&[("ClusterName", "cluster")])?;
        request.name.clone_from(&new.physical_id);
        // What the template does not have any more is as if it had never been there.
        if let Some(provider) = &mut request.auto_scaling_group_provider {
            provider.managed_scaling.get_or_insert_with(|| shapes::ManagedScaling {
                status: Some(shapes::ManagedScalingStatus::Disabled),
                ..Default::default()
            });
            provider
                .managed_termination_protection
                .get_or_insert(shapes::ManagedTerminationProtection::Disabled);
            provider.managed_draining.get_or_insert(shapes::ManagedDraining::Enabled);
        }
        call(cx, request)?;
    }
    let arn = cx.arn("ecs", format_args!("capacity-provider/{}", new.physical_id));
    retag(cx, old, new, arn)
}

fn stable_provider(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let provider = cx.ecs().providers().get(&Name::from(resource.physical_id.as_str()));
    Ok(done_if(provider.is_none_or(|provider| provider.settles_at.is_none())))
}

fn delete_provider(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let provider = cx.ecs().providers().get(&Name::from(resource.physical_id.as_str()));
    match provider {
        None => return Ok(Progress::Done),
        Some(provider) if provider.status == shapes::CapacityProviderStatus::Inactive => {
            return Ok(Progress::Done);
        }
        Some(provider) if provider.settles_at.is_some() => return Ok(Progress::InProgress),
        Some(_) => {}
    }
    let capacity_provider = resource.physical_id.clone();
    let request = shapes::DeleteCapacityProviderRequest { capacity_provider, cluster: None };
    // `ClientException`: a service or a cluster still uses it.
    if until(call(cx, request), &["ClientException", "UpdateInProgressException"])? == Progress::InProgress {
        dissociate(cx, &resource.physical_id)?;
    }
    Ok(Progress::InProgress)
}

// Task definitions

fn create_task_definition(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut resource = resource.clone();
    if let Some(Json::Object(proxy)) = resource.properties.get_mut("ProxyConfiguration")
        && let Some(properties) = proxy.shift_remove("ProxyConfigurationProperties")
    {
        proxy.insert("properties".to_owned(), properties);
    }
    let family = resource.name(cx, "Family", 255);
    let mut request: shapes::RegisterTaskDefinitionRequest = resource.request(&[])?;
    request.family = family;
    request.tags = tags(&resource);
    let definition = call(cx, request)?.task_definition.unwrap_or_default();
    Ok(definition.task_definition_arn.unwrap_or_default())
}

fn delete_task_definition(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let name = after_slash(&resource.physical_id);
    let there = name.split_once(':').and_then(|(family, revision)| {
        let key = crate::ecs::TaskDefinitionKey { family: family.into(), revision: revision.parse().ok()? };
        cx.ecs().task_definitions().get(&key)
    });
    let active = there.is_some_and(|row| row.shape.status == Some(shapes::TaskDefinitionStatus::Active));
    if active {
        let task_definition = resource.physical_id.clone();
        call(cx, shapes::DeregisterTaskDefinitionRequest { task_definition })?;
    }
    Ok(Progress::Done)
}

// Services

/// From the last change; then CloudFormation gives up (ECS guide, service deployments with CloudFormation).
const STEADY_WITHIN: Span = Span::from_hours(3);

const SERVICE_NAMES: &[(&str, &str)] = &[("PlacementStrategies", "placementStrategy")];

fn create_service(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "ServiceName", 255);
    let mut request: shapes::CreateServiceRequest = resource.request(SERVICE_NAMES)?;
    request.service_name = name;
    request.client_token = Some(resource.request_token.clone());
    request.tags = tags(resource);
    let daemon = request.scheduling_strategy == Some(shapes::SchedulingStrategy::Daemon);
    if !daemon {
        // Of a new service that says nothing (CloudFormation guide, AWS::ECS::Service).
        request.desired_count.get_or_insert(1);
    }
    let service = call(cx, request)?.service.unwrap_or_default();
    Ok(service.service_arn.unwrap_or_default())
}

/// Which service an ARN means: `…:service/CLUSTER/NAME`.
fn service_key(arn: &str) -> Option<ServiceKey> {
    let (_, path) = arn.split_once(":service/")?;
    let (cluster, name) = path.split_once('/')?;
    Some(ServiceKey { cluster: cluster.into(), name: name.into() })
}

fn service<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a Service> {
    cx.ecs().services().get(&service_key(&resource.physical_id)?)
}

fn cluster_of(resource: &Resource) -> Option<String> {
    service_key(&resource.physical_id).map(|key| key.cluster.to_string())
}

fn update_service(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let only_tags = old
        .properties
        .iter()
        .filter(|(name, _)| *name != "Tags")
        .eq(new.properties.iter().filter(|(name, _)| *name != "Tags"));
    if !only_tags {
        let mut full = cleared(old, new);
        let forced = full.properties.shift_remove("ForceNewDeployment");
        let mut request: shapes::UpdateServiceRequest = full.request(SERVICE_NAMES)?;
        request.service.clone_from(&new.physical_id);
        request.cluster = cluster_of(new);
        let asked = forced.as_ref().and_then(|force| force.get("EnableForceNewDeployment"))
            == Some(&Json::Bool(true));
        // A change of where tasks go needs a new deployment.
        let moved = changed(old, new, "CapacityProviderStrategy") || changed(old, new, "LaunchType");
        let force = (asked && changed(old, new, "ForceNewDeployment")) || moved;
        request.force_new_deployment = force.then_some(true);
        if !moved {
            request.capacity_provider_strategy = None;
        }
        call(cx, request)?;
    }
    retag(cx, old, new, new.physical_id.clone())
}

fn stable_service(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(service) = service(cx, resource) else {
        return Err(Refusal::new("NotFound", format!("Service {} does not exist.", resource.physical_id)));
    };
    let last_event = service.events.front().map(|event| event.message.clone()).unwrap_or_default();
    let failed = |code: &'static str, why: String| {
        let told = if last_event.is_empty() { String::new() } else { format!(" Last event: {last_event}") };
        Err(Refusal::new(code, format!("{why}{told}")))
    };
    let Some(primary) = service.deployments.first() else { return Ok(Progress::InProgress) };
    let definition = cx.arn(
        "ecs",
        format_args!("task-definition/{}:{}", primary.definition.family, primary.definition.revision),
    );
    let wanted = resource.text("TaskDefinition").unwrap_or_default();
    let of_template = definition == wanted
        || after_slash(&definition) == wanted
        || !after_slash(wanted).contains(':') && *primary.definition.family == *after_slash(wanted);
    if primary.rollout == Rollout::Failed || (primary.rollback && !of_template) {
        let why = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.";
        return failed("GeneralServiceException", why.to_owned());
    }
    let running = cx.ecs().tasks().by(&TaskIndex::Service(service.key.clone()));
    let (mut running, mut other) = running.fold((0, 0), |(running, other), task| {
        let runs = task.status == crate::ecs::TaskStatus::Running && task.deployment == primary.id;
        (running + i64::from(runs), other + i64::from(!runs))
    });
    if service.daemon {
        (running, other) = (service.desired, 0);
    }
    let completed = primary.rollout == Rollout::Completed && service.deployments.len() == 1;
    if completed && running == service.desired && other == 0 {
        return Ok(Progress::Done);
    }
    if cx.now - primary.created_at.max(primary.updated_at) >= STEADY_WITHIN {
        let why = format!("Service {} did not stabilize.", resource.physical_id);
        return failed("NotStabilized", why);
    }
    Ok(Progress::InProgress)
}

fn delete_service(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(service) = service(cx, resource) else { return Ok(Progress::Done) };
    match service.status {
        ServiceStatus::Inactive => {
            let index = TaskIndex::Service(service.key.clone());
            Ok(done_if(cx.ecs().tasks().count_by(&index) == 0))
        }
        ServiceStatus::Draining => Ok(Progress::InProgress),
        ServiceStatus::Active => {
            let (service, cluster) = (resource.physical_id.clone(), cluster_of(resource));
            call(cx, shapes::DeleteServiceRequest { cluster, service, force: Some(true) })?;
            Ok(Progress::InProgress)
        }
    }
}
