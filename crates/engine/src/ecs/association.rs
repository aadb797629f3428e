//! Providers in clusters: PutClusterCapacityProviders, and what ECS makes on the groups.

use capstan_model::Span;
use capstan_shapes::{Refusal, autoscaling, ecs as shapes};

use super::cluster::{find_cluster, invalid};
use super::{Association, Cluster, Name, ServiceIndex, StrategyItem, TaskIndex, capacity_provider};
use super::{cluster, managed_draining, managed_scaling};
use crate::{Caller, Engine};

/// How long attachments are in progress (our choice; AWS takes from seconds to a minute).
const ATTACHED_AFTER: Span = Span::from_secs(5);
/// On Auto Scaling groups that ECS scales.
const MANAGED_TAG: &str = "AmazonECSManaged";

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutClusterCapacityProvidersRequest,
) -> Result<shapes::PutClusterCapacityProvidersResponse, Refusal> {
    let name = find_cluster(cx, Some(&request.cluster))?;
    check_not_busy(cx, &name)?;
    let wanted =
        Wanted::check(cx, &name, &request.capacity_providers, &request.default_capacity_provider_strategy)?;
    let current = cx.ecs.clusters.get(&name).map(|cluster| cluster.capacity_providers.clone());
    for removed in current.unwrap_or_default() {
        if !wanted.providers.contains(&removed) && in_use(cx, &name, &removed) {
            return Err(Refusal::of(
                &shapes::RESOURCE_IN_USE_EXCEPTION,
                "The specified capacity provider is in use and cannot be removed.",
            ));
        }
    }
    attach(cx, &name, wanted);
    let cluster = cluster::describe_one(cx, &name, &cluster::ALL_FIELDS);
    Ok(shapes::PutClusterCapacityProvidersResponse { cluster })
}

/// Refuses while attachments of the cluster are being made or taken down.
pub(super) fn check_not_busy(cx: &Engine, cluster: &Name) -> Result<(), Refusal> {
    let busy = cx.ecs.clusters.get(cluster).and_then(|cluster| cluster.attachments_busy_until);
    if busy.is_none() {
        return Ok(());
    }
    Err(Refusal::of(
        &shapes::UPDATE_IN_PROGRESS_EXCEPTION,
        "The specified cluster is in a busy state. Cluster attachments must be in UPDATE_COMPLETE or UPDATE_FAILED \
         state before they can be updated. Wait and try again.",
    ))
}

/// Providers and default strategy that a cluster is to have.
pub(super) struct Wanted {
    pub(super) providers: Vec<Name>,
    pub(super) strategy: Vec<StrategyItem>,
}

impl Wanted {
    pub(super) fn check(
        cx: &Engine,
        cluster: &Name,
        providers: &[String],
        strategy: &[shapes::CapacityProviderStrategyItem],
    ) -> Result<Self, Refusal> {
        let mut names: Vec<Name> = Vec::new();
        for given in providers {
            let name = capacity_provider::find_active(cx, given)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > capacity_provider::PER_CLUSTER_MAX {
            return Err(invalid("The maximum number of capacity providers per cluster has been exceeded."));
        }
        for name in &names {
            let scaling = cx.ecs.providers.get(name).and_then(super::Provider::scaling);
            let elsewhere = cx.ecs.associations.by(name).any(|association| association.cluster != *cluster);
            if scaling.is_some() && elsewhere {
                return Err(one_cluster(name));
            }
        }
        let strategy = capacity_provider::check_items(cx, &names, strategy)?;
        Ok(Self { providers: names, strategy })
    }
}

/// Managed scaling serves one cluster at a time (ECS guide 2023, cluster-auto-scaling). The wording is ours.
pub(super) fn one_cluster(provider: &Name) -> Refusal {
    Refusal::of(
        &shapes::CLIENT_EXCEPTION,
        format!(
            "The capacity provider {provider} uses managed scaling and can be associated with only one cluster at a \
             time. Remove it from the other cluster or disable managed scaling and try again."
        ),
    )
}

fn in_use(cx: &Engine, cluster: &Name, provider: &Name) -> bool {
    let mut services = cx.ecs.services.by(&ServiceIndex::Cluster(cluster.clone()));
    cx.ecs.tasks.count_by(&TaskIndex::Provider(cluster.clone(), provider.clone())) > 0
        || services.any(|service| capacity_provider::uses(service, provider))
}

/// Makes the cluster's providers and default strategy those wanted, and starts the time of being busy.
pub(super) fn attach(cx: &mut Engine, cluster: &Name, wanted: Wanted) {
    let busy_until = cx.now + ATTACHED_AFTER;
    let Some(mut row) = cx.ecs.clusters.edit(cluster) else { return };
    let before = std::mem::replace(&mut row.capacity_providers, wanted.providers.clone());
    row.default_strategy = wanted.strategy;
    row.attachments_ever = true;
    row.attachments_busy_until = Some(busy_until);
    row.attachments_failed = None;
    drop(row);
    for removed in before.iter().filter(|name| !wanted.providers.contains(name)) {
        detach(cx, cluster, removed);
    }
    for provider in &wanted.providers {
        if let Err(refusal) = sync(cx, cluster, provider)
            && let Some(mut row) = cx.ecs.clusters.edit(cluster)
        {
            row.attachments_failed = Some(refusal.to_string());
        }
    }
}

/// Takes down what ECS made on the provider's group for this cluster.
pub(super) fn detach(cx: &mut Engine, cluster: &Name, provider: &Name) {
    let key = (cluster.clone(), provider.clone());
    let Some(association) = cx.ecs.associations.remove(&key) else { return };
    let group = cx.ecs.providers.get(provider).and_then(|provider| provider.group());
    let Some(group) = group.map(|group| group.group_name.clone()) else { return };
    if association.draining_attachment.is_some() {
        delete_hook(cx, &association, &group);
    }
    if let Some(policy) = association.policy_name {
        delete_policy(cx, &group, policy);
    }
}

/// Makes policy, hook and tag on the provider's group such as the provider's settings ask for.
pub(super) fn sync(cx: &mut Engine, cluster: &Name, provider: &Name) -> Result<(), Refusal> {
    let key = (cluster.clone(), provider.clone());
    let Some(row) = cx.ecs.providers.get(provider) else { return Ok(()) };
    let (group, scaling) = (row.group().cloned(), row.scaling());
    let mut association = cx.ecs.associations.get(&key).cloned().unwrap_or_else(|| Association {
        cluster: cluster.clone(),
        provider: provider.clone(),
        policy_name: None,
        policy_attachment: None,
        draining_attachment: None,
        next_report: None,
        report: None,
    });
    let Some(group) = group else {
        cx.ecs.associations.insert(association);
        return Ok(());
    };
    let outcome = sync_group(cx, &mut association, &group, scaling);
    cx.ecs.associations.insert(association);
    outcome
}

fn sync_group(
    cx: &mut Engine,
    association: &mut Association,
    group: &super::GroupProvider,
    scaling: Option<super::ManagedScaling>,
) -> Result<(), Refusal> {
    let group_name = &group.group_name;
    if scaling.is_none() {
        if let Some(policy) = association.policy_name.take() {
            delete_policy(cx, group_name, policy);
        }
        association.policy_attachment = None;
        association.next_report = None;
        association.report = None;
    }
    if !group.managed_draining && association.draining_attachment.take().is_some() {
        delete_hook(cx, association, group_name);
    }
    if let Some(scaling) = scaling {
        tag_group(cx, group_name)?;
        let policy = match &association.policy_name {
            Some(name) => name.clone(),
            None => format!("ECSManagedAutoScalingPolicy-{}", cx.chance.uuid("ecs.scaling-policy")),
        };
        put_policy(cx, association, group_name, &policy, scaling)?;
        if association.policy_name.is_none() {
            association.policy_name = Some(policy);
            association.policy_attachment = Some(cx.chance.uuid("ecs.attachment"));
            association.next_report = Some(managed_scaling::next_minute(cx));
        }
    }
    if group.managed_draining {
        put_hook(cx, group_name)?;
        if association.draining_attachment.is_none() {
            managed_draining::put_rule(cx)?;
            association.draining_attachment = Some(cx.chance.uuid("ecs.attachment"));
        }
    }
    Ok(())
}

/// ECS marks the groups that it manages, and their instances (ECS guide 2023, cluster-auto-scaling). A tag that is there
/// keeps its value (our reading: Terraform's documentation sets `true` and finds no drift).
fn tag_group(cx: &mut Engine, group: &str) -> Result<(), Refusal> {
    let is_tagged = |row: &crate::autoscaling::Group| row.tags.contains_key(MANAGED_TAG);
    if cx.autoscaling.groups().get(&Name::from(group)).is_some_and(is_tagged) {
        return Ok(());
    }
    let tag = autoscaling::Tag {
        resource_id: Some(group.to_owned()),
        resource_type: Some("auto-scaling-group".to_owned()),
        key: MANAGED_TAG.to_owned(),
        value: Some(String::new()),
        propagate_at_launch: Some(true),
    };
    cx.call(Caller::ECS, autoscaling::CreateOrUpdateTagsRequest { tags: vec![tag] }).map(drop)
}

/// The policy as exported ones look: Average of the reservation, target capacity, no limit to scale-in.
fn put_policy(
    cx: &mut Engine,
    association: &Association,
    group: &str,
    policy: &str,
    scaling: super::ManagedScaling,
) -> Result<(), Refusal> {
    let dimension = |name: &str, value: &Name| autoscaling::MetricDimension {
        name: name.to_owned(),
        value: value.to_string(),
    };
    let metric = autoscaling::CustomizedMetricSpecification {
        metric_name: Some(managed_scaling::METRIC.to_owned()),
        namespace: Some(managed_scaling::NAMESPACE.to_owned()),
        dimensions: Some(vec![
            dimension("CapacityProviderName", &association.provider),
            dimension("ClusterName", &association.cluster),
        ]),
        statistic: Some(autoscaling::MetricStatistic::Average),
        ..Default::default()
    };
    #[allow(clippy::cast_precision_loss, reason = "the target is at most 100")]
    let target = scaling.target_capacity as f64;
    let request = autoscaling::PutScalingPolicyRequest {
        auto_scaling_group_name: group.to_owned(),
        policy_name: policy.to_owned(),
        policy_type: Some("TargetTrackingScaling".to_owned()),
        estimated_instance_warmup: i32::try_from(scaling.warmup).ok(),
        target_tracking_configuration: Some(autoscaling::TargetTrackingConfiguration {
            customized_metric_specification: Some(metric),
            target_value: target,
            disable_scale_in: Some(false),
            ..Default::default()
        }),
        ..Default::default()
    };
    cx.call(Caller::ECS, request).map(drop)
}

/// Deleting the policy deletes its alarms. A group that is gone has taken the policy with it.
fn delete_policy(cx: &mut Engine, group: &str, policy_name: String) {
    let auto_scaling_group_name = Some(group.to_owned());
    let _gone =
        cx.call(Caller::ECS, autoscaling::DeletePolicyRequest { auto_scaling_group_name, policy_name });
}

fn put_hook(cx: &mut Engine, group: &str) -> Result<(), Refusal> {
    let request = autoscaling::PutLifecycleHookRequest {
        lifecycle_hook_name: managed_draining::HOOK.to_owned(),
        auto_scaling_group_name: group.to_owned(),
        lifecycle_transition: Some(managed_draining::TRANSITION.to_owned()),
        heartbeat_timeout: i32::try_from(managed_draining::HEARTBEAT.as_secs()).ok(),
        default_result: Some("CONTINUE".to_owned()),
        ..Default::default()
    };
    cx.call(Caller::ECS, request).map(drop)
}

/// Deletes the hook unless another cluster still needs it on the group.
fn delete_hook(cx: &mut Engine, association: &Association, group: &str) {
    let needs =
        |other: &Association| other.cluster != association.cluster && other.draining_attachment.is_some();
    if cx.ecs.associations.by(&association.provider).any(needs) {
        return;
    }
    let request = autoscaling::DeleteLifecycleHookRequest {
        lifecycle_hook_name: managed_draining::HOOK.to_owned(),
        auto_scaling_group_name: group.to_owned(),
    };
    let _gone = cx.call(Caller::ECS, request);
    let drains = |other: &Association| {
        other.draining_attachment.is_some()
            && (&other.cluster, &other.provider) != (&association.cluster, &association.provider)
    };
    if !cx.ecs.associations.iter().any(drains) {
        managed_draining::delete_rule(cx);
    }
}

/// What DescribeClusters shows of the attachments (AWS SDK code examples).
pub(super) fn attachments(cx: &Engine, cluster: &Cluster) -> Vec<shapes::Attachment> {
    let busy = cluster.attachments_busy_until.is_some();
    let status = if busy { "PRECREATED" } else { "CREATED" };
    let pair = |name: &str, value: &str| shapes::KeyValuePair {
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
    };
    let mut shown = Vec::new();
    for provider in &cluster.capacity_providers {
        let Some(association) = cx.ecs.associations.get(&(cluster.name.clone(), provider.clone())) else {
            continue;
        };
        let policy = association.policy_name.as_deref();
        let made = [
            (&association.policy_attachment, "as_policy", "scalingPolicyName", policy),
            (
                &association.draining_attachment,
                "managed_draining",
                "autoScalingLifecycleHookName",
                Some(managed_draining::HOOK),
            ),
        ];
        for (id, r#type, detail, value) in made {
            let (Some(id), Some(value)) = (id, value) else { continue };
            shown.push(shapes::Attachment {
                id: Some(id.clone()),
                r#type: Some(r#type.to_owned()),
                status: Some(status.to_owned()),
                details: Some(vec![pair("capacityProviderName", provider), pair(detail, value)]),
            });
        }
    }
    shown
}

/// `attachmentsStatus`; `None` when the cluster never had providers.
pub(super) fn status(cluster: &Cluster) -> Option<&'static str> {
    if !cluster.attachments_ever {
        return None;
    }
    Some(match (cluster.attachments_busy_until, &cluster.attachments_failed) {
        (Some(_), _) => "UPDATE_IN_PROGRESS",
        (None, Some(_)) => "UPDATE_FAILED",
        (None, None) => "UPDATE_COMPLETE",
    })
}
