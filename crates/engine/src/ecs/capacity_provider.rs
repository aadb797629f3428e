//! Capacity providers: over an Auto Scaling group, and the two built in ones of Fargate.

use std::collections::BTreeSet;

use capstan_model::{Arn, Span};
use capstan_shapes::{Refusal, autoscaling, ecs as shapes};

use super::cluster::invalid;
use super::{
    GroupProvider, ManagedScaling, Name, Provider, ProviderKind, ServiceStatus, StrategyItem, association,
    tags,
};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Capacity providers in a cluster or a strategy (ECS guide, service-quotas).
pub(super) const PER_CLUSTER_MAX: usize = 20;

/// How long an update or a deletion is in progress (our choice; AWS takes some seconds).
const SETTLES_AFTER: Span = Span::from_secs(5);

/// How long a deleted provider is still described (our choice; observed: until some time after it is INACTIVE).
const FORGOTTEN_AFTER: Span = Span::from_hours(1);

pub(super) const FARGATE: &str = "FARGATE";
pub(super) const FARGATE_SPOT: &str = "FARGATE_SPOT";

/// FARGATE and FARGATE_SPOT exist in every account (ECS guide, fargate-capacity-providers).
pub(super) fn start(cx: &mut Engine) {
    for (name, kind) in [(FARGATE, ProviderKind::Fargate), (FARGATE_SPOT, ProviderKind::FargateSpot)] {
        cx.ecs.providers.insert(Provider {
            name: name.into(),
            kind,
            status: shapes::CapacityProviderStatus::Active,
            update_status: None,
            pending: None,
            settles_at: None,
            tags: std::collections::BTreeMap::new(),
        });
    }
}

/// The provider that a short name or an ARN means, deleted ones included.
pub(super) fn find(cx: &Engine, given: &str) -> Option<Name> {
    let name = match Arn::parse(given) {
        Some(arn) if arn.service == "ecs" => arn.after("capacity-provider")?,
        Some(_) => return None,
        None => given,
    };
    cx.ecs.providers.get(&Name::from(name)).map(|provider| provider.name.clone())
}

pub(super) fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("ecs", format_args!("capacity-provider/{name}"))
}

/// The provider that a short name or an ARN means, when tasks can be given to it.
pub(super) fn find_active(cx: &Engine, given: &str) -> Result<Name, Refusal> {
    let name = find(cx, given);
    let usable = name.filter(|name| is_active(cx, name));
    usable.ok_or_else(|| {
        invalid(
            "The specified capacity provider was not found. Specify a valid capacity provider and try again.",
        )
    })
}

fn is_active(cx: &Engine, name: &Name) -> bool {
    use shapes::CapacityProviderUpdateStatus as Update;
    cx.ecs.providers.get(name).is_some_and(|provider| {
        let active = provider.status == shapes::CapacityProviderStatus::Active;
        active && provider.update_status != Some(Update::DeleteInProgress)
    })
}

/// A strategy that RunTask, CreateService or UpdateService gives for tasks of the cluster, with its defaults filled in
/// (ECS model, CapacityProviderStrategyItem). How many tasks there are is held against it by [`check_total`].
pub(super) fn check_strategy(
    cx: &Engine,
    cluster: &Name,
    items: &[shapes::CapacityProviderStrategyItem],
) -> Result<Vec<StrategyItem>, Refusal> {
    let associated = cx.ecs.clusters.get(cluster).map(|cluster| &cluster.capacity_providers[..]);
    let strategy = check_items(cx, associated.unwrap_or_default(), items)?;
    if strategy.len() > 1 {
        check_weights(&strategy)?;
    }
    Ok(strategy)
}

/// A strategy that is to place `total` tasks: all weights 0 leave tasks without a provider, unless the base of a single
/// item takes them all (our reading).
pub(super) fn check_total(strategy: &[StrategyItem], total: i64) -> Result<(), Refusal> {
    match strategy {
        [] => Ok(()),
        [single] if single.base >= total => Ok(()),
        several => check_weights(several),
    }
}

fn check_weights(strategy: &[StrategyItem]) -> Result<(), Refusal> {
    if strategy.iter().any(|item| item.weight > 0) {
        return Ok(());
    }
    Err(invalid(
        "There are no capacity providers with a weight value greater than zero defined in the capacity provider \
         strategy. At least one capacity provider must have a weight value greater than zero specified. Specify a \
         valid capacity provider strategy and try again.",
    ))
}

/// The rules that hold for every strategy, a cluster's default included. `associated` are the cluster's providers.
pub(super) fn check_items(
    cx: &Engine,
    associated: &[Name],
    items: &[shapes::CapacityProviderStrategyItem],
) -> Result<Vec<StrategyItem>, Refusal> {
    if items.len() > PER_CLUSTER_MAX {
        return Err(invalid("The maximum number of capacity providers per strategy has been exceeded."));
    }
    let mut strategy: Vec<StrategyItem> = Vec::with_capacity(items.len());
    for item in items {
        let provider = find(cx, &item.capacity_provider).filter(|name| associated.contains(name));
        let Some(provider) = provider.filter(|name| is_active(cx, name)) else {
            return Err(invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated \
                 with the cluster. Associate the capacity provider with the cluster or specify a valid capacity \
                 provider and try again.",
            ));
        };
        if strategy.iter().any(|other| other.provider == provider) {
            return Err(invalid(format!(
                "A capacity provider strategy cannot contain the same capacity provider more than once: {provider}."
            )));
        }
        let (weight, base) = (item.weight.unwrap_or_default(), item.base.unwrap_or_default());
        strategy.push(StrategyItem { provider, weight: weight.into(), base: base.into() });
    }
    let families: BTreeSet<bool> =
        strategy.iter().filter_map(|item| is_fargate(cx, &item.provider)).collect();
    if families.len() > 1 {
        return Err(invalid(
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and \
             Fargate providers. Specify one or the other and try again.",
        ));
    }
    if strategy.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(invalid(
            "The specified capacity provider strategy cannot contain more than one capacity provider with a base \
             value greater than zero. Specify a valid capacity provider strategy and try again.",
        ));
    }
    Ok(strategy)
}

/// Whether the provider is one of Fargate's; `None` when there is no such provider.
pub(super) fn is_fargate(cx: &Engine, name: &Name) -> Option<bool> {
    Some(cx.ecs.providers.get(name)?.group().is_none())
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateCapacityProviderRequest,
) -> Result<shapes::CreateCapacityProviderResponse, Refusal> {
    check_name(&request.name)?;
    if request.managed_instances_provider.is_some() {
        return Err(Refusal::of(
            &shapes::UNSUPPORTED_FEATURE_EXCEPTION,
            "Managed Instances providers are not supported here. Give an autoScalingGroupProvider.",
        ));
    }
    let Some(given) = request.auto_scaling_group_provider else {
        return Err(invalid(
            "A capacity provider needs an autoScalingGroupProvider. Specify one and try again.",
        ));
    };
    let tags = tags::check(caller, request.tags.as_deref().unwrap_or_default())?;
    let name = Name::from(request.name);
    let exists = cx.ecs.providers.get(&name);
    if exists.is_some_and(|provider| provider.status != shapes::CapacityProviderStatus::Inactive) {
        return Err(Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The specified capacity provider already exists. To change the configuration of an existing capacity \
             provider, update the capacity provider.",
        ));
    }
    let group = describe_group(cx, &given.auto_scaling_group_arn)?;
    let group_name = group.auto_scaling_group_name.clone();
    let of_group = cx.ecs.providers.by(&group_name);
    if of_group.into_iter().any(|other| other.status != shapes::CapacityProviderStatus::Inactive) {
        return Err(Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a \
             unique Auto Scaling group ARN and try again.",
        ));
    }
    let settings = shapes::AutoScalingGroupProviderUpdate {
        managed_scaling: given.managed_scaling,
        managed_termination_protection: given.managed_termination_protection,
        managed_draining: given.managed_draining,
    };
    let fresh = GroupProvider {
        group_arn: group.auto_scaling_group_arn.clone().unwrap_or(given.auto_scaling_group_arn),
        group_name,
        managed_scaling: Some(SCALING_OFF),
        termination_protection: false,
        managed_draining: true,
    };
    let provider = merge(fresh, &settings)?;
    check_protection(&provider, &group)?;
    cx.ecs.providers.insert(Provider {
        name: name.clone(),
        kind: ProviderKind::AutoScalingGroup(provider),
        status: shapes::CapacityProviderStatus::Active,
        update_status: None,
        pending: None,
        settles_at: None,
        tags,
    });
    Ok(shapes::CreateCapacityProviderResponse { capacity_provider: describe_one(cx, &name, true) })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(invalid("CapacityProvider name must not be blank"));
    }
    let plain = name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let lower = name.to_ascii_lowercase();
    if !plain || ["aws", "ecs", "fargate"].iter().any(|reserved| lower.starts_with(reserved)) {
        return Err(invalid(
            "The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters \
             (upper and lowercase), numbers, underscores, and hyphens. The name cannot be prefixed with \"aws\", \
             \"ecs\", or \"fargate\". Specify a valid name and try again.",
        ));
    }
    Ok(())
}

/// The group that an ARN or a bare name means, as Auto Scaling describes it to ECS.
fn describe_group(cx: &mut Engine, given: &str) -> Result<autoscaling::AutoScalingGroup, Refusal> {
    let name = match Arn::parse(given) {
        Some(_) => given.rsplit_once("autoScalingGroupName/").map_or(given, |(_, name)| name),
        None => given,
    };
    let request = autoscaling::DescribeAutoScalingGroupsRequest {
        auto_scaling_group_names: Some(vec![name.to_owned()]),
        ..Default::default()
    };
    let groups = cx.call(Caller::ECS, request)?.auto_scaling_groups;
    groups.into_iter().next().ok_or_else(|| {
        Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The specified Auto Scaling group ARN is invalid or the group does not exist. Specify a valid Auto \
             Scaling group ARN and try again.",
        )
    })
}

/// What a provider has when managed scaling is not mentioned (ECS model ManagedScaling; off by our reading).
const SCALING_OFF: ManagedScaling = ManagedScaling {
    enabled: false,
    target_capacity: 100,
    minimum_step: 1,
    maximum_step: 10_000,
    warmup: 300,
};

/// The provider with those settings changed that the update names.
fn merge(
    mut provider: GroupProvider,
    update: &shapes::AutoScalingGroupProviderUpdate,
) -> Result<GroupProvider, Refusal> {
    if let Some(given) = &update.managed_scaling {
        let scaling = provider.managed_scaling.get_or_insert(SCALING_OFF);
        let set = |field: &mut i64, value: Option<i32>| *field = value.map_or(*field, i64::from);
        if let Some(status) = given.status {
            scaling.enabled = status == shapes::ManagedScalingStatus::Enabled;
        }
        set(&mut scaling.target_capacity, given.target_capacity);
        set(&mut scaling.minimum_step, given.minimum_scaling_step_size);
        set(&mut scaling.maximum_step, given.maximum_scaling_step_size);
        set(&mut scaling.warmup, given.instance_warmup_period);
        if scaling.minimum_step > scaling.maximum_step {
            return Err(invalid(
                "The managed scaling minimumScalingStepSize must not be greater than the maximumScalingStepSize.",
            ));
        }
    }
    if let Some(protection) = update.managed_termination_protection {
        provider.termination_protection = protection == shapes::ManagedTerminationProtection::Enabled;
    }
    if let Some(draining) = update.managed_draining {
        provider.managed_draining = draining == shapes::ManagedDraining::Enabled;
    }
    Ok(provider)
}

/// Managed termination protection needs the group's instances to start protected (ECS guide,
/// managed-termination-protection), those that it has already included.
fn check_protection(provider: &GroupProvider, group: &autoscaling::AutoScalingGroup) -> Result<(), Refusal> {
    let protects = group.new_instances_protected_from_scale_in == Some(true);
    if provider.termination_protection && !protects {
        return Err(Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The managed termination protection setting for the capacity provider is invalid. To enable managed \
             termination protection for a capacity provider, the Auto Scaling group must have instance protection \
             from scale in enabled.",
        ));
    }
    Ok(())
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateCapacityProviderRequest,
) -> Result<shapes::UpdateCapacityProviderResponse, Refusal> {
    if request.name.is_empty() {
        return Err(invalid("A name is required when updating a capacity provider"));
    }
    let name = find_existing(cx, &request.name)?;
    let provider = &cx.ecs.providers.get(&name).expect("found above");
    let Some(group) = provider.pending.clone().or_else(|| provider.group().cloned()) else {
        return Err(invalid("The specified capacity provider is reserved and cannot be updated."));
    };
    let Some(update) = request.auto_scaling_group_provider else {
        return Err(invalid("An update of a capacity provider needs its autoScalingGroupProvider settings."));
    };
    let merged = merge(group, &update)?;
    if merged.termination_protection {
        let group = describe_group(cx, &merged.group_name)?;
        check_protection(&merged, &group)?;
    }
    let on = merged.managed_scaling.is_some_and(|scaling| scaling.enabled);
    if on && cx.ecs.associations.count_by(&name) > 1 {
        return Err(association::one_cluster(&name));
    }
    let settles_at = cx.now + SETTLES_AFTER;
    if let Some(mut provider) = cx.ecs.providers.edit(&name) {
        provider.pending = Some(merged);
        provider.update_status = Some(shapes::CapacityProviderUpdateStatus::UpdateInProgress);
        provider.settles_at = Some(settles_at);
    }
    Ok(shapes::UpdateCapacityProviderResponse { capacity_provider: describe_one(cx, &name, true) })
}

fn find_existing(cx: &Engine, given: &str) -> Result<Name, Refusal> {
    let missing = || {
        Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The specified capacity provider does not exist. Specify a valid name or ARN and try again.",
        )
    };
    let name = find(cx, given).ok_or_else(missing)?;
    if is_active(cx, &name) { Ok(name) } else { Err(missing()) }
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteCapacityProviderRequest,
) -> Result<shapes::DeleteCapacityProviderResponse, Refusal> {
    let name = find_existing(cx, &request.capacity_provider)?;
    if is_fargate(cx, &name) == Some(true) {
        return Err(invalid(format!(
            "The {name} capacity provider is reserved and cannot be deleted. You can disassociate it from a cluster \
             with PutClusterCapacityProviders."
        )));
    }
    if let Some(association) = cx.ecs.associations.by(&name).next() {
        let cluster = &association.cluster;
        return Err(Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            format!(
                "The capacity provider cannot be deleted because it is associated with cluster: {cluster}. Remove \
                 the capacity provider from the cluster and try again."
            ),
        ));
    }
    if cx.ecs.services.iter().any(|service| uses(service, &name)) {
        return Err(Refusal::of(
            &shapes::CLIENT_EXCEPTION,
            "The specified capacity provider is in use and cannot be removed.",
        ));
    }
    let settles_at = cx.now + SETTLES_AFTER;
    if let Some(mut provider) = cx.ecs.providers.edit(&name) {
        provider.update_status = Some(shapes::CapacityProviderUpdateStatus::DeleteInProgress);
        provider.settles_at = Some(settles_at);
    }
    Ok(shapes::DeleteCapacityProviderResponse { capacity_provider: describe_one(cx, &name, true) })
}

/// Whether the strategy of one of the service's deployments names the provider.
pub(super) fn uses(service: &super::Service, provider: &Name) -> bool {
    let named = |item: &StrategyItem| item.provider == *provider;
    service.status != ServiceStatus::Inactive
        && service.deployments.iter().any(|deployment| deployment.strategy.iter().any(named))
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeCapacityProvidersRequest,
) -> Result<shapes::DescribeCapacityProvidersResponse, Refusal> {
    let with_tags = request.include.unwrap_or_default().contains(&shapes::CapacityProviderField::Tags);
    if let Some(cluster) = &request.cluster {
        super::cluster::find_cluster(cx, Some(cluster))?;
    }
    let mut failures = Vec::new();
    let mut names: Vec<Name> = Vec::new();
    match request.capacity_providers.filter(|asked| !asked.is_empty()) {
        None => names.extend(cx.ecs.providers.iter().map(|provider| provider.name.clone())),
        Some(asked) if asked.len() > 100 => {
            return Err(invalid("capacityProviders cannot have more than 100 elements."));
        }
        Some(asked) => {
            for given in asked {
                match find(cx, &given) {
                    Some(name) => names.push(name),
                    None => failures.push(super::cluster::missing(match given.starts_with("arn:") {
                        true => given,
                        false => arn(cx, &given),
                    })),
                }
            }
            names.sort();
            names.dedup();
        }
    }
    let size = request.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(10);
    if !(1..=10).contains(&size) {
        return Err(invalid("maxResults must be between 1 and 10."));
    }
    let page = page(names, ToString::to_string, request.next_token.as_deref(), size)
        .map_err(|()| super::cluster::bad_token())?;
    let described = page.items.iter().filter_map(|name| describe_one(cx, name, with_tags)).collect();
    Ok(shapes::DescribeCapacityProvidersResponse {
        capacity_providers: Some(described),
        failures: Some(failures),
        next_token: page.next,
    })
}

fn describe_one(cx: &Engine, name: &Name, with_tags: bool) -> Option<shapes::CapacityProvider> {
    let provider = cx.ecs.providers.get(name)?;
    Some(shapes::CapacityProvider {
        capacity_provider_arn: Some(arn(cx, name)),
        name: Some(name.to_string()),
        cluster: None,
        status: Some(provider.status),
        auto_scaling_group_provider: provider.group().map(describe_settings),
        managed_instances_provider: None,
        update_status: provider.update_status,
        update_status_reason: None,
        tags: Some(if with_tags { tags::shown(&provider.tags) } else { Vec::new() }),
        r#type: Some(match provider.kind {
            ProviderKind::AutoScalingGroup(_) => shapes::CapacityProviderType::Ec2Autoscaling,
            ProviderKind::Fargate => shapes::CapacityProviderType::Fargate,
            ProviderKind::FargateSpot => shapes::CapacityProviderType::FargateSpot,
        }),
    })
}

fn describe_settings(provider: &GroupProvider) -> shapes::AutoScalingGroupProvider {
    use shapes::{ManagedDraining, ManagedScalingStatus, ManagedTerminationProtection};
    let int = |value: i64| i32::try_from(value).ok();
    let scaling = provider.managed_scaling.map(|scaling| shapes::ManagedScaling {
        status: Some(match scaling.enabled {
            true => ManagedScalingStatus::Enabled,
            false => ManagedScalingStatus::Disabled,
        }),
        target_capacity: int(scaling.target_capacity),
        minimum_scaling_step_size: int(scaling.minimum_step),
        maximum_scaling_step_size: int(scaling.maximum_step),
        instance_warmup_period: int(scaling.warmup),
    });
    shapes::AutoScalingGroupProvider {
        auto_scaling_group_arn: provider.group_arn.clone(),
        managed_scaling: scaling,
        managed_termination_protection: Some(match provider.termination_protection {
            true => ManagedTerminationProtection::Enabled,
            false => ManagedTerminationProtection::Disabled,
        }),
        managed_draining: Some(match provider.managed_draining {
            true => ManagedDraining::Enabled,
            false => ManagedDraining::Disabled,
        }),
    }
}

/// An update or a deletion has come to its end, or a deleted provider is forgotten.
pub(super) fn on_due(cx: &mut Engine, name: &Name) {
    use shapes::{CapacityProviderStatus as Status, CapacityProviderUpdateStatus as Update};
    let now = cx.now;
    let Some(mut provider) = cx.ecs.providers.edit(name) else { return };
    if provider.status == Status::Inactive {
        drop(provider);
        cx.ecs.providers.remove(name);
        return;
    }
    provider.settles_at = None;
    if provider.update_status == Some(Update::DeleteInProgress) {
        provider.status = Status::Inactive;
        provider.update_status = Some(Update::DeleteComplete);
        provider.settles_at = Some(now + FORGOTTEN_AFTER);
        return;
    }
    if let Some(pending) = provider.pending.take() {
        provider.kind = ProviderKind::AutoScalingGroup(pending);
    }
    drop(provider);
    let clusters: Vec<Name> = cx.ecs.associations.by(name).map(|row| row.cluster.clone()).collect();
    let failed = clusters.iter().any(|cluster| association::sync(cx, cluster, name).is_err());
    if let Some(mut provider) = cx.ecs.providers.edit(name) {
        provider.update_status = Some(if failed { Update::UpdateFailed } else { Update::UpdateComplete });
    }
}
