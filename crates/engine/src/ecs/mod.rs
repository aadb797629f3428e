//! Amazon ECS: clusters, capacity providers, container instances, tasks, services.
//!
//! Rows are in `rows`, one file for each subject beside it; [`Ecs`] owns the tables.

mod agent;
mod association;
mod attribute;
mod capacity_provider;
mod cluster;
mod container_instance;
mod daemon;
mod deployment;
mod draining;
mod event;
mod explain;
mod leaving;
mod lifecycle;
mod managed_draining;
mod managed_scaling;
mod metrics;
mod placement;
mod protection;
mod query;
mod rows;
mod service;
mod settings;
mod strategy;
mod tags;
mod task;
mod task_definition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use capstan_model::{Hex32, InstanceId, Time};
use capstan_shapes::{Refusal, ecs};

use crate::kernel::{Event, Table, dispatch, tables};
use crate::{Caller, Engine};

pub use deployment::{Standing, standing};
pub(crate) use explain::explain;
pub use rows::*;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    (
        "CreateCluster.settings",
        "containerInsights enhanced publishes what enabled does: nothing by task, container or instance; so with UpdateCluster and UpdateClusterSettings",
    ),
    ("CreateService.serviceRegistries", "service discovery is not built"),
    ("CreateService.serviceConnectConfiguration", "Service Connect is not built"),
    ("CreateService.volumeConfigurations", "volumes are not attached"),
    ("CreateService.vpcLatticeConfigurations", "VPC Lattice is not built"),
    (
        "CreateCapacityProvider.cluster",
        "it is for Managed Instances providers, which are not built; providers over groups belong to the account",
    ),
    (
        "DeleteCapacityProvider.cluster",
        "it is for Managed Instances providers, which are not built; providers over groups belong to the account",
    ),
    (
        "UpdateCapacityProvider.cluster",
        "it is for Managed Instances providers, which are not built; providers over groups belong to the account",
    ),
    ("CreateService.availabilityZoneRebalancing", "it is described; tasks are not moved between zones"),
    ("CreateService.deploymentConfiguration.alarms", "alarms do not end a deployment yet"),
    ("CreateService.enableExecuteCommand", "commands cannot be executed in containers"),
    ("RegisterContainerInstance.instanceIdentityDocumentSignature", "it is not verified"),
    ("RegisterContainerInstance.platformDevices", "GPUs are not counted"),
    (
        "RegisterTaskDefinition.containerDefinitions.logConfiguration",
        "the driver awslogs writes what processes print to its log group (without multi-line patterns); a group that is missing does not keep a task from starting, and the lines are dropped with a warning. Other drivers do nothing: the agent keeps the lines in files",
    ),
    ("RunTask.enableECSManagedTags", "tags of standalone tasks are the request's own"),
    ("RunTask.volumeConfigurations", "volumes are not attached"),
];

/// The tables of this room.
#[derive(Clone, Debug, Default)]
pub struct Ecs {
    clusters: Table<Cluster>,
    providers: Table<Provider>,
    associations: Table<Association>,
    drains: Table<ManagedDrain>,
    metric_reports: Table<MetricReport>,
    families: Table<Family>,
    task_definitions: Table<TaskDefinition>,
    instances: Table<ContainerInstance>,
    tasks: Table<Task>,
    services: Table<Service>,
    settings: Table<AccountSetting>,
    run_tokens: Table<RunToken>,
    /// Where waiting tasks are to be tried again, and when.
    retry: BTreeMap<(Name, Option<Name>), Time>,
    /// What managed scaling found out last; derived from the rows.
    reckonings: BTreeMap<(Name, Name), managed_scaling::Reckoning>,
    /// What placement keeps ready; derived from the rows.
    places: placement::Places,
}

impl Ecs {
    pub fn clusters(&self) -> &Table<Cluster> {
        &self.clusters
    }

    pub fn providers(&self) -> &Table<Provider> {
        &self.providers
    }

    pub fn associations(&self) -> &Table<Association> {
        &self.associations
    }

    pub fn task_definitions(&self) -> &Table<TaskDefinition> {
        &self.task_definitions
    }

    pub fn instances(&self) -> &Table<ContainerInstance> {
        &self.instances
    }

    pub fn tasks(&self) -> &Table<Task> {
        &self.tasks
    }

    pub fn services(&self) -> &Table<Service> {
        &self.services
    }

    /// `arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID`
    pub fn task_arn(&self, config: &crate::Config, task: &Task) -> String {
        let (region, account) = (config.region.name, &config.account);
        format!("arn:aws:ecs:{region}:{account}:task/{}/{}", task.cluster, task.id)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let due = [
            self.clusters.next_due(),
            self.providers.next_due(),
            self.associations.next_due(),
            self.drains.next_due(),
            self.metric_reports.next_due(),
            self.task_definitions.next_due(),
            self.instances.next_due(),
            self.tasks.next_due(),
            self.services.next_due(),
            self.run_tokens.next_due(),
            self.retry.values().min().copied(),
        ];
        due.into_iter().flatten().min()
    }
}

tables!(Ecs {
    clusters,
    providers,
    associations,
    drains,
    metric_reports,
    families,
    task_definitions,
    instances,
    tasks,
    services,
    settings,
    run_tokens
});

/// FARGATE and FARGATE_SPOT exist in every account (ECS guide, fargate-capacity-providers).
pub(crate) fn start(cx: &mut Engine) {
    capacity_provider::start(cx);
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: ecs::Request,
) -> Result<ecs::Response, Refusal> {
    // One operation a line, sorted.
    Ok(dispatch!(cx, caller, request, ecs {
        CreateCapacityProvider => capacity_provider::create,
        CreateCluster => cluster::create,
        CreateService => service::create,
        DeleteAccountSetting => settings::delete,
        DeleteAttributes => attribute::delete,
        DeleteCapacityProvider => capacity_provider::delete,
        DeleteCluster => cluster::delete,
        DeleteService => service::delete,
        DeleteTaskDefinitions => task_definition::delete,
        DeregisterContainerInstance => container_instance::deregister,
        DeregisterTaskDefinition => task_definition::deregister,
        DescribeCapacityProviders => capacity_provider::describe,
        DescribeClusters => cluster::describe,
        DescribeContainerInstances => container_instance::describe,
        DescribeServices => service::describe,
        DescribeTaskDefinition => task_definition::describe,
        DescribeTasks => task::describe,
        DiscoverPollEndpoint => agent::discover_poll_endpoint,
        GetTaskProtection => protection::get,
        ListAccountSettings => settings::list,
        ListAttributes => attribute::list,
        ListClusters => cluster::list,
        ListContainerInstances => container_instance::list,
        ListServices => service::list,
        ListTagsForResource => tags::list,
        ListTaskDefinitionFamilies => task_definition::list_families,
        ListTaskDefinitions => task_definition::list,
        ListTasks => task::list,
        PutAccountSetting => settings::put,
        PutAccountSettingDefault => settings::put_default,
        PutAttributes => attribute::put,
        PutClusterCapacityProviders => association::put,
        RegisterContainerInstance => container_instance::register,
        RegisterTaskDefinition => task_definition::register,
        RunTask => task::run,
        StartTask => task::start,
        StopTask => task::stop,
        SubmitContainerStateChange => task::submit_container,
        SubmitTaskStateChange => task::submit_task,
        TagResource => tags::tag,
        UntagResource => tags::untag,
        UpdateCapacityProvider => capacity_provider::update,
        UpdateCluster => cluster::update,
        UpdateClusterSettings => cluster::update_settings,
        UpdateContainerInstancesState => container_instance::update_state,
        UpdateService => service::update,
        UpdateTaskProtection => protection::update,
    }))
}

/// Does what is due first. At one moment the order counts: reservations come last, when tasks have been placed.
pub(crate) fn on_due(cx: &mut Engine) {
    let Some(time) = cx.ecs.next_due() else { return };
    fn first<K>(due: Option<(Time, K)>, time: Time) -> Option<K> {
        due.filter(|(at, _)| *at == time).map(|(_, key)| key)
    }
    if let Some(key) = first(cx.ecs.run_tokens.first_due(), time) {
        cx.ecs.run_tokens.remove(&key);
    } else if let Some(name) = first(cx.ecs.clusters.first_due(), time) {
        cluster::on_due(cx, &name);
    } else if let Some(name) = first(cx.ecs.providers.first_due(), time) {
        capacity_provider::on_due(cx, &name);
    } else if let Some(key) = first(cx.ecs.task_definitions.first_due(), time) {
        task_definition::on_due(cx, &key);
    } else if let Some(id) = first(cx.ecs.instances.first_due(), time) {
        container_instance::on_due(cx, id);
    } else if let Some(id) = first(cx.ecs.tasks.first_due(), time) {
        lifecycle::on_due(cx, id);
    } else if cx.ecs.retry.values().any(|at| *at <= time) {
        lifecycle::retry_waiting(cx);
    } else if let Some(key) = first(cx.ecs.services.first_due(), time) {
        deployment::pass(cx, &key);
    } else if let Some(instance) = first(cx.ecs.drains.first_due(), time) {
        managed_draining::on_due(cx, instance);
    } else if let Some(key) = first(cx.ecs.associations.first_due(), time) {
        managed_scaling::on_due(cx, &key);
    } else if let Some(cluster) = first(cx.ecs.metric_reports.first_due(), time) {
        metrics::on_due(cx, &cluster);
    }
}

pub(crate) fn agent_connection(cx: &mut Engine, instance: InstanceId, connected: bool) {
    container_instance::agent_connection(cx, instance, connected);
}

/// A runtime has measured what a task uses.
pub(crate) fn task_usage(cx: &mut Engine, task: Hex32, usage: Usage) {
    if let Some(mut task) = cx.ecs.tasks.edit(&task) {
        task.usage = Some(usage);
    }
}

/// A container's own health check changed its mind.
pub(crate) fn container_health(cx: &mut Engine, task: Hex32, container: &str, healthy: bool) {
    lifecycle::container_health(cx, task, container, healthy);
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    match event {
        Event::TargetState { .. } => lifecycle::on_target_state(cx, event),
        Event::InstanceState { instance, state } => {
            if *state == "terminated" {
                managed_draining::instance_terminated(cx, *instance);
            }
            container_instance::host_state(cx, *instance, state);
        }
        Event::LifecycleAction { group, instance, hook, token, transition: _ } => {
            managed_draining::on_lifecycle_action(cx, group, *instance, hook, token);
        }
        Event::SpotInterruption { instance, .. } => managed_draining::on_spot_notice(cx, *instance),
        Event::AlarmAction { .. }
        | Event::AlarmState { .. }
        | Event::ServiceDeleted { .. }
        | Event::RebalanceRecommendation { .. }
        | Event::SpotInstanceEvicted { .. }
        | Event::SpotRequestFulfilled { .. } => {}
    }
}
