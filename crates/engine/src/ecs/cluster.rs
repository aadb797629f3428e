//! Clusters.

use std::collections::BTreeMap;

use capstan_model::Arn;
use capstan_shapes::{Refusal, ecs as shapes};

use super::association::{self, Wanted};
use super::{Cluster, ClusterStatus, InstanceIndex, Name, ProviderKind, ServiceIndex, ServiceStatus};
use super::{StrategyItem, TaskIndex, TaskStatus, metrics, settings, tags};
use crate::kernel::page;
use crate::{Caller, Engine};

/// The cluster that calls mean when they name none.
pub(super) const DEFAULT: &str = "default";

/// Clusters per account and region (ECS guide, service-quotas).
const MAX: usize = 10_000;

/// The cluster that a call means: a name, an ARN, or `default` when there is none. It must not be deleted.
pub(super) fn find_cluster(cx: &Engine, given: Option<&str>) -> Result<Name, Refusal> {
    let cluster =
        name_of(cx, given.unwrap_or(DEFAULT)).and_then(|name| cx.ecs.clusters.get(&Name::from(name)));
    match cluster {
        None => Err(Refusal::of(&shapes::CLUSTER_NOT_FOUND_EXCEPTION, "Cluster not found.")),
        Some(cluster) if cluster.status == ClusterStatus::Inactive => {
            Err(Refusal::of(&shapes::CLUSTER_NOT_FOUND_EXCEPTION, "The referenced cluster was inactive."))
        }
        Some(cluster) => Ok(cluster.name.clone()),
    }
}

/// The name in a name or in an ARN of this account and region; `None` when it is another thing's ARN.
fn name_of<'a>(cx: &Engine, given: &'a str) -> Option<&'a str> {
    if !given.starts_with("arn:") {
        return Some(given);
    }
    let arn = Arn::parse(given)?;
    let here =
        arn.service == "ecs" && arn.region == cx.config.region.name && arn.account == cx.config.account;
    here.then_some(arn)?.after("cluster")
}

pub(super) fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("ecs", format_args!("cluster/{name}"))
}

/// Refuses the request with code InvalidParameterException.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::INVALID_PARAMETER_EXCEPTION, message)
}

/// The entry of `failures` for what a describe call did not find.
pub(super) fn missing(arn: String) -> shapes::Failure {
    shapes::Failure { arn: Some(arn), reason: Some("MISSING".to_owned()), detail: None }
}

/// The answer to a `nextToken` that is not ours.
pub(super) fn bad_token() -> Refusal {
    invalid("Invalid token")
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateClusterRequest,
) -> Result<shapes::CreateClusterResponse, Refusal> {
    let name = request.cluster_name.as_deref().unwrap_or(DEFAULT);
    check_name(name)?;
    let name = Name::from(name);
    let tags = tags::check(caller, request.tags.as_deref().unwrap_or_default())?;
    let default_settings = default_settings(cx);
    let settings = merge_settings(default_settings, request.settings.as_deref().unwrap_or_default())?;
    let strategy = request.default_capacity_provider_strategy.unwrap_or_default();
    let wanted = Wanted::check(cx, &name, &request.capacity_providers.unwrap_or_default(), &strategy)?;
    let cluster = Cluster {
        name: name.clone(),
        status: ClusterStatus::Active,
        settings,
        configuration: request.configuration,
        service_connect_defaults: request.service_connect_defaults.map(connect_defaults),
        capacity_providers: Vec::new(),
        default_strategy: Vec::new(),
        attachments_busy_until: None,
        attachments_failed: None,
        attachments_ever: false,
        tags,
    };
    match cx.ecs.clusters.get(&name).filter(|cluster| cluster.status != ClusterStatus::Inactive) {
        // A call again with the same arguments answers with what there is.
        Some(existing) => check_same(existing, &cluster, &wanted)?,
        None => {
            let alive = cx.ecs.clusters.iter().filter(|cluster| cluster.status != ClusterStatus::Inactive);
            if alive.count() >= MAX {
                return Err(Refusal::of(
                    &shapes::CLIENT_EXCEPTION,
                    format!("The limit of {MAX} clusters is reached. Delete clusters and try again."),
                ));
            }
            cx.ecs.clusters.insert(cluster);
            metrics::watch(cx, &name);
            if !wanted.providers.is_empty() {
                association::attach(cx, &name, wanted);
                if let Some(mut cluster) = cx.ecs.clusters.edit(&name) {
                    cluster.status = ClusterStatus::Provisioning;
                }
            }
        }
    }
    let cluster = describe_one(cx, &name, &ALL_FIELDS);
    Ok(shapes::CreateClusterResponse { cluster })
}

/// CreateCluster for a cluster that exists must not ask for something else.
fn check_same(existing: &Cluster, asked: &Cluster, wanted: &Wanted) -> Result<(), Refusal> {
    let others = !wanted.providers.is_empty() && wanted.providers != existing.capacity_providers
        || !wanted.strategy.is_empty() && wanted.strategy != existing.default_strategy
        || asked.configuration.is_some() && asked.configuration != existing.configuration
        || !asked.tags.is_empty() && asked.tags != existing.tags;
    if others {
        return Err(invalid(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        ));
    }
    Ok(())
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateClusterRequest,
) -> Result<shapes::UpdateClusterResponse, Refusal> {
    let name = find_cluster(cx, Some(&request.cluster))?;
    change_settings(cx, &name, request.settings.as_deref().unwrap_or_default())?;
    if let Some(mut cluster) = cx.ecs.clusters.edit(&name) {
        if request.configuration.is_some() {
            cluster.configuration = request.configuration;
        }
        if let Some(defaults) = request.service_connect_defaults {
            cluster.service_connect_defaults = Some(connect_defaults(defaults));
        }
    }
    Ok(shapes::UpdateClusterResponse { cluster: describe_one(cx, &name, &ALL_FIELDS) })
}

pub(super) fn update_settings(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateClusterSettingsRequest,
) -> Result<shapes::UpdateClusterSettingsResponse, Refusal> {
    let name = find_cluster(cx, Some(&request.cluster))?;
    change_settings(cx, &name, &request.settings)?;
    Ok(shapes::UpdateClusterSettingsResponse { cluster: describe_one(cx, &name, &ALL_FIELDS) })
}

fn change_settings(cx: &mut Engine, name: &Name, given: &[shapes::ClusterSetting]) -> Result<(), Refusal> {
    let Some(cluster) = cx.ecs.clusters.get(name) else { return Ok(()) };
    let settings = merge_settings(cluster.settings.clone(), given)?;
    if let Some(mut cluster) = cx.ecs.clusters.edit(name) {
        cluster.settings = settings;
    }
    metrics::watch(cx, name);
    Ok(())
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteClusterRequest,
) -> Result<shapes::DeleteClusterResponse, Refusal> {
    let name = find_cluster(cx, Some(&request.cluster))?;
    association::check_not_busy(cx, &name)?;
    if instances(cx, &name) > 0 {
        return Err(Refusal::of(
            &shapes::CLUSTER_CONTAINS_CONTAINER_INSTANCES_EXCEPTION,
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        ));
    }
    let services = ServiceIndex::Cluster(name.clone());
    if cx.ecs.services.by(&services).any(|service| service.status == ServiceStatus::Active) {
        return Err(Refusal::of(
            &shapes::CLUSTER_CONTAINS_SERVICES_EXCEPTION,
            "The Cluster cannot be deleted while Services are active.",
        ));
    }
    let tasks = TaskIndex::Cluster(name.clone());
    if cx.ecs.tasks.by(&tasks).any(|task| task.status != TaskStatus::Stopped) {
        return Err(Refusal::of(
            &shapes::CLUSTER_CONTAINS_TASKS_EXCEPTION,
            "The Cluster cannot be deleted while Tasks are active.",
        ));
    }
    // Deleting the cluster disassociates its providers (ECS model, DeleteCapacityProvider).
    let providers = match cx.ecs.clusters.edit(&name) {
        Some(mut cluster) => {
            cluster.status = ClusterStatus::Inactive;
            cluster.default_strategy.clear();
            std::mem::take(&mut cluster.capacity_providers)
        }
        None => Vec::new(),
    };
    for provider in providers {
        association::detach(cx, &name, &provider);
    }
    Ok(shapes::DeleteClusterResponse { cluster: describe_one(cx, &name, &ALL_FIELDS) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListClustersRequest,
) -> Result<shapes::ListClustersResponse, Refusal> {
    let size = page_size(request.max_results, 100)?;
    let alive = cx.ecs.clusters.iter().filter(|cluster| cluster.status != ClusterStatus::Inactive);
    let page = page(alive, |cluster| cluster.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| bad_token())?;
    let arns = page.items.iter().map(|cluster| arn(cx, &cluster.name)).collect();
    Ok(shapes::ListClustersResponse { cluster_arns: Some(arns), next_token: page.next })
}

/// `maxResults` of a list call: 1 to 100.
pub(super) fn page_size(given: Option<i32>, default: usize) -> Result<usize, Refusal> {
    let size = given.map_or(Some(default), |size| usize::try_from(size).ok());
    size.filter(|size| (1..=100).contains(size))
        .ok_or_else(|| invalid("maxResults must be between 1 and 100."))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 255 || !name.chars().all(plain) {
        return Err(invalid(format!(
            "Invalid cluster name {name:?}: a name has up to 255 letters, digits, hyphens and underscores."
        )));
    }
    Ok(())
}

fn connect_defaults(
    given: shapes::ClusterServiceConnectDefaultsRequest,
) -> shapes::ClusterServiceConnectDefaults {
    let namespace = Some(given.namespace).filter(|namespace| !namespace.is_empty());
    shapes::ClusterServiceConnectDefaults { namespace }
}

/// What a new cluster has unless it is told otherwise: the account's setting.
fn default_settings(cx: &Engine) -> Vec<shapes::ClusterSetting> {
    let name = Some(shapes::ClusterSettingName::ContainerInsights);
    let value = settings::effective(cx, shapes::SettingName::ContainerInsights);
    vec![shapes::ClusterSetting { name, value: Some(value) }]
}

fn merge_settings(
    mut settings: Vec<shapes::ClusterSetting>,
    given: &[shapes::ClusterSetting],
) -> Result<Vec<shapes::ClusterSetting>, Refusal> {
    for setting in given {
        let value = setting.value.as_deref().unwrap_or_default();
        if !["enabled", "disabled", "enhanced"].contains(&value) {
            return Err(invalid(format!(
                "Invalid value {value:?} for the setting containerInsights: use enabled, disabled or enhanced."
            )));
        }
        if let Some(slot) = settings.iter_mut().find(|slot| slot.name == setting.name) {
            slot.value = Some(value.to_owned());
        }
    }
    Ok(settings)
}

/// What calls that change a cluster answer with.
pub(super) const ALL_FIELDS: [shapes::ClusterField; 4] = [
    shapes::ClusterField::Attachments,
    shapes::ClusterField::Configurations,
    shapes::ClusterField::Settings,
    shapes::ClusterField::Tags,
];

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeClustersRequest,
) -> Result<shapes::DescribeClustersResponse, Refusal> {
    let asked =
        request.clusters.filter(|asked| !asked.is_empty()).unwrap_or_else(|| vec![DEFAULT.to_owned()]);
    if asked.len() > 100 {
        return Err(invalid("Clusters cannot have more than 100 elements."));
    }
    let include = request.include.unwrap_or_default();
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for given in asked {
        match name_of(cx, &given).and_then(|name| describe_one(cx, &Name::from(name), &include)) {
            Some(cluster) => clusters.push(cluster),
            None => {
                let arn = if given.starts_with("arn:") { given } else { arn(cx, &given) };
                failures.push(missing(arn));
            }
        }
    }
    Ok(shapes::DescribeClustersResponse { clusters: Some(clusters), failures: Some(failures) })
}

/// The cluster as the API shows it, with the fields that are shown only when asked for.
pub(super) fn describe_one(
    cx: &Engine,
    name: &Name,
    include: &[shapes::ClusterField],
) -> Option<shapes::Cluster> {
    use shapes::ClusterField as Field;
    let row = cx.ecs.clusters.get(name)?;
    let counts = count(cx, name);
    let with = |field| include.contains(&field);
    let as_int = |count: usize| Some(i32::try_from(count).unwrap_or(i32::MAX));
    Some(shapes::Cluster {
        cluster_arn: Some(arn(cx, name)),
        cluster_name: Some(name.to_string()),
        configuration: row.configuration.clone().filter(|_| with(Field::Configurations)),
        status: Some(status_name(row.status).to_owned()),
        registered_container_instances_count: as_int(instances(cx, name)),
        running_tasks_count: as_int(counts.running.values().sum()),
        pending_tasks_count: as_int(counts.pending.values().sum()),
        active_services_count: as_int(counts.active.values().sum()),
        statistics: Some(if with(Field::Statistics) { counts.statistics() } else { Vec::new() }),
        tags: Some(if with(Field::Tags) { tags::shown(&row.tags) } else { Vec::new() }),
        settings: Some(if with(Field::Settings) { row.settings.clone() } else { Vec::new() }),
        capacity_providers: Some(row.capacity_providers.iter().map(ToString::to_string).collect()),
        default_capacity_provider_strategy: Some(row.default_strategy.iter().map(strategy_item).collect()),
        attachments: with(Field::Attachments).then(|| association::attachments(cx, row)),
        attachments_status: association::status(row).filter(|_| with(Field::Attachments)).map(str::to_owned),
        service_connect_defaults: row.service_connect_defaults.clone(),
    })
}

fn status_name(status: ClusterStatus) -> &'static str {
    match status {
        ClusterStatus::Provisioning => "PROVISIONING",
        ClusterStatus::Active => "ACTIVE",
        ClusterStatus::Inactive => "INACTIVE",
    }
}

/// A strategy item as the API shows it.
pub(super) fn strategy_item(item: &StrategyItem) -> shapes::CapacityProviderStrategyItem {
    shapes::CapacityProviderStrategyItem {
        capacity_provider: item.provider.to_string(),
        weight: i32::try_from(item.weight).ok(),
        base: i32::try_from(item.base).ok(),
    }
}

/// Container instances that are ACTIVE or DRAINING.
fn instances(cx: &Engine, cluster: &Name) -> usize {
    cx.ecs.instances.count_by(&InstanceIndex::Cluster(cluster.clone()))
}

/// What STATISTICS tells apart, in its order.
const LAUNCH_KINDS: [&str; 3] = ["EC2", "Fargate", "External"];

#[derive(Default)]
struct Counts {
    /// By launch kind.
    running: BTreeMap<&'static str, usize>,
    pending: BTreeMap<&'static str, usize>,
    active: BTreeMap<&'static str, usize>,
    draining: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn statistics(&self) -> Vec<shapes::KeyValuePair> {
        let rows = [
            ("running", &self.running, "TasksCount"),
            ("pending", &self.pending, "TasksCount"),
            ("active", &self.active, "ServiceCount"),
            ("draining", &self.draining, "ServiceCount"),
        ];
        let pair = |(state, counts, what): (&str, &BTreeMap<&str, usize>, &str), kind: &str| {
            let count = counts.get(kind).copied().unwrap_or_default();
            shapes::KeyValuePair {
                name: Some(format!("{state}{kind}{what}")),
                value: Some(count.to_string()),
            }
        };
        rows.into_iter().flat_map(|row| LAUNCH_KINDS.map(|kind| pair(row, kind))).collect()
    }
}

fn count(cx: &Engine, cluster: &Name) -> Counts {
    let mut counts = Counts::default();
    for task in cx.ecs.tasks.by(&TaskIndex::Cluster(cluster.clone())) {
        let table = match task.status {
            TaskStatus::Running => &mut counts.running,
            TaskStatus::Provisioning | TaskStatus::Pending | TaskStatus::Activating => &mut counts.pending,
            _ => continue,
        };
        *table.entry(launch_kind(cx, task.launch_type, task.provider.as_ref())).or_default() += 1;
    }
    for service in cx.ecs.services.by(&ServiceIndex::Cluster(cluster.clone())) {
        let table = match service.status {
            ServiceStatus::Active => &mut counts.active,
            ServiceStatus::Draining => &mut counts.draining,
            ServiceStatus::Inactive => continue,
        };
        let primary = service.deployments.first();
        let provider = primary.and_then(|primary| primary.strategy.first()).map(|item| &item.provider);
        let launch_type = primary.and_then(|primary| primary.launch_type);
        *table.entry(launch_kind(cx, launch_type, provider)).or_default() += 1;
    }
    counts
}

fn launch_kind(
    cx: &Engine,
    launch_type: Option<shapes::LaunchType>,
    provider: Option<&Name>,
) -> &'static str {
    let kind = provider.and_then(|name| cx.ecs.providers.get(name)).map(|provider| &provider.kind);
    match (launch_type, kind) {
        (_, Some(ProviderKind::Fargate | ProviderKind::FargateSpot))
        | (Some(shapes::LaunchType::Fargate), _) => "Fargate",
        (Some(shapes::LaunchType::External), _) => "External",
        _ => "EC2",
    }
}

/// The attachments have been made or taken down.
pub(super) fn on_due(cx: &mut Engine, name: &Name) {
    if let Some(mut cluster) = cx.ecs.clusters.edit(name) {
        cluster.attachments_busy_until = None;
        if cluster.status == ClusterStatus::Provisioning {
            cluster.status = ClusterStatus::Active;
        }
    }
}
