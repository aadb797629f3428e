//! Clusters.

use std::collections::BTreeMap;

use capstan_model::Arn;
use capstan_shapes::{Refusal, ecs as shapes};

use super::{Cluster, ClusterStatus, Name, ProviderKind, StrategyItem, TaskStatus, tags};
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

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateClusterRequest,
) -> Result<shapes::CreateClusterResponse, Refusal> {
    let name = request.cluster_name.as_deref().unwrap_or(DEFAULT);
    check_name(name)?;
    let name = Name::from(name);
    let settings = check_settings(request.settings.as_deref().unwrap_or_default())?;
    let tags = tags::check(request.tags.as_deref().unwrap_or_default())?;
    let active = cx.ecs.clusters.iter().filter(|cluster| cluster.status != ClusterStatus::Inactive);
    if active.count() >= MAX {
        return Err(Refusal::of(&shapes::CLIENT_EXCEPTION, "Cluster quota exceeded. Delete some first."));
    }
    let existing = cx.ecs.clusters.get(&name).filter(|cluster| cluster.status != ClusterStatus::Inactive);
    if existing.is_none() {
        let service_connect_defaults = request.service_connect_defaults.map(connect_defaults);
        cx.ecs.clusters.insert(Cluster {
            name: name.clone(),
            status: ClusterStatus::Active,
            settings,
            configuration: request.configuration,
            service_connect_defaults,
            capacity_providers: Vec::new(),
            default_strategy: Vec::new(),
            attachments_busy_until: None,
            attachments_failed: None,
            attachments_ever: false,
            tags,
        });
    }
    let cluster = describe_one(cx, &name, &ALL_FIELDS);
    Ok(shapes::CreateClusterResponse { cluster })
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

/// The settings of a new cluster: those given, and the defaults of the rest.
fn check_settings(given: &[shapes::ClusterSetting]) -> Result<Vec<shapes::ClusterSetting>, Refusal> {
    let mut insights = "disabled".to_owned();
    for setting in given {
        let value = setting.value.as_deref().unwrap_or_default();
        if !["enabled", "disabled", "enhanced"].contains(&value) {
            return Err(invalid(format!(
                "Invalid value {value:?} for the setting containerInsights: use enabled, disabled or enhanced."
            )));
        }
        value.clone_into(&mut insights);
    }
    let name = Some(shapes::ClusterSettingName::ContainerInsights);
    Ok(vec![shapes::ClusterSetting { name, value: Some(insights) }])
}

const ALL_FIELDS: [shapes::ClusterField; 4] = [
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
                let reason = Some("MISSING".to_owned());
                failures.push(shapes::Failure { arn: Some(arn), reason, detail: None });
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
        attachments: None,
        attachments_status: None,
        service_connect_defaults: row.service_connect_defaults.clone(),
    })
}

fn status_name(status: ClusterStatus) -> &'static str {
    match status {
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
    cx.ecs.instances.count_by(&super::InstanceIndex::Cluster(cluster.clone()))
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
    for task in cx.ecs.tasks.by(&super::TaskIndex::Cluster(cluster.clone())) {
        let table = match task.status {
            TaskStatus::Running => &mut counts.running,
            TaskStatus::Provisioning | TaskStatus::Pending | TaskStatus::Activating => &mut counts.pending,
            _ => continue,
        };
        *table.entry(launch_kind(cx, task.launch_type, task.provider.as_ref())).or_default() += 1;
    }
    for service in cx.ecs.services.by(&super::ServiceIndex::Cluster(cluster.clone())) {
        let table = match service.status {
            super::ServiceStatus::Active => &mut counts.active,
            super::ServiceStatus::Draining => &mut counts.draining,
            super::ServiceStatus::Inactive => continue,
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
    }
}
