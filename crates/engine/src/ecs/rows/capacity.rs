//! Rows of clusters, capacity providers and what ties them together.

use std::collections::BTreeMap;

use capstan_model::{InstanceId, Time};
use capstan_shapes::ecs as shapes;

use super::*;
use crate::kernel::{NoIndex, Row};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterStatus {
    /// Created with capacity providers that are still being attached.
    Provisioning,
    Active,
    /// Deleted; still described for a while.
    Inactive,
}

#[derive(Clone, Debug)]
pub struct Cluster {
    pub name: Name,
    pub status: ClusterStatus,
    pub settings: Vec<shapes::ClusterSetting>,
    pub configuration: Option<shapes::ClusterConfiguration>,
    pub service_connect_defaults: Option<shapes::ClusterServiceConnectDefaults>,
    pub capacity_providers: Vec<Name>,
    pub default_strategy: Vec<StrategyItem>,
    /// While attachments are made or taken down: when that ends. `None` = `UPDATE_COMPLETE` (or nothing attached).
    pub attachments_busy_until: Option<Time>,
    /// Why the latest update of the attachments failed.
    pub attachments_failed: Option<String>,
    /// Whether PutClusterCapacityProviders was ever called (then `attachmentsStatus` is shown).
    pub attachments_ever: bool,
    pub tags: BTreeMap<String, String>,
}

impl Cluster {
    /// Whether CloudWatch Container Insights are on, enhanced or not.
    pub fn insights(&self) -> bool {
        let on = |setting: &shapes::ClusterSetting| {
            setting.name == Some(shapes::ClusterSettingName::ContainerInsights)
                && matches!(setting.value.as_deref(), Some("enabled" | "enhanced"))
        };
        self.status != ClusterStatus::Inactive && self.settings.iter().any(on)
    }
}

impl Row for Cluster {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.clusters";
    fn key(&self) -> Name {
        self.name.clone()
    }

    fn resource(&self) -> Option<String> {
        (self.status != ClusterStatus::Inactive).then(|| self.name.to_string())
    }
    fn deadline(&self) -> Option<Time> {
        self.attachments_busy_until
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Over an Auto Scaling group.
    AutoScalingGroup(GroupProvider),
    Fargate,
    FargateSpot,
}

/// The settings of a provider over a group, defaults filled in (spec ecs.md §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupProvider {
    pub group_name: String,
    pub group_arn: String,
    /// As the caller gave it (an ARN or a bare name); described as the ARN.
    pub managed_scaling: Option<ManagedScaling>,
    pub termination_protection: bool,
    pub managed_draining: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagedScaling {
    pub enabled: bool,
    /// 1–100 %.
    pub target_capacity: i64,
    pub minimum_step: i64,
    pub maximum_step: i64,
    /// Seconds.
    pub warmup: i64,
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub name: Name,
    pub kind: ProviderKind,
    pub status: shapes::CapacityProviderStatus,
    pub update_status: Option<shapes::CapacityProviderUpdateStatus>,
    /// The settings that an update in progress asks for.
    pub pending: Option<GroupProvider>,
    /// When an update or deletion in progress completes, and when a deleted provider is forgotten.
    pub settles_at: Option<Time>,
    pub tags: BTreeMap<String, String>,
}

impl Provider {
    pub fn group(&self) -> Option<&GroupProvider> {
        match &self.kind {
            ProviderKind::AutoScalingGroup(group) => Some(group),
            ProviderKind::Fargate | ProviderKind::FargateSpot => None,
        }
    }

    /// The managed scaling settings, when they are on.
    pub fn scaling(&self) -> Option<ManagedScaling> {
        self.group()?.managed_scaling.filter(|scaling| scaling.enabled)
    }
}

impl Row for Provider {
    type Key = Name;
    /// The group's name.
    type Index = String;
    const TABLE: &'static str = "ecs.capacity_providers";
    fn key(&self) -> Name {
        self.name.clone()
    }

    fn resource(&self) -> Option<String> {
        (self.status != shapes::CapacityProviderStatus::Inactive).then(|| self.name.to_string())
    }
    fn deadline(&self) -> Option<Time> {
        self.settles_at
    }
    fn index(&self, put: &mut dyn FnMut(String)) {
        if let Some(group) = self.group() {
            put(group.group_name.clone());
        }
    }
}

/// A provider in a cluster: what ECS made on its group, and the managed scaling loop.
#[derive(Clone, Debug)]
pub struct Association {
    pub cluster: Name,
    pub provider: Name,
    /// `ECSManagedAutoScalingPolicy-<uuid>`, when managed scaling is on.
    pub policy_name: Option<String>,
    /// Attachment ids (uuid) of the policy and of the draining hook.
    pub policy_attachment: Option<String>,
    pub draining_attachment: Option<String>,
    /// Next minute at which the reservation is published.
    pub next_report: Option<Time>,
    /// The latest report, for `explain`.
    pub report: Option<ReservationReport>,
}

/// Why the reservation is what it is (spec ecs.md §4.1–4.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ReservationReport {
    pub at: Time,
    /// Instances needed.
    pub needed: i64,
    /// Instances in service in the group.
    pub running: i64,
    /// Reservation in thousandths of a percent.
    pub milli_percent: i64,
    pub waiting_tasks: i64,
    /// In words: which case of the rule applied.
    pub because: String,
}

impl Row for Association {
    type Key = (Name, Name);
    /// The provider.
    type Index = Name;
    const TABLE: &'static str = "ecs.associations";
    fn key(&self) -> (Name, Name) {
        (self.cluster.clone(), self.provider.clone())
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}", self.cluster, self.provider))
    }
    fn deadline(&self) -> Option<Time> {
        self.next_report
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.provider.clone());
    }
}

/// A cluster whose metrics are published once a minute.
#[derive(Clone, Debug)]
pub struct MetricReport {
    pub cluster: Name,
    /// The next whole minute.
    pub at: Time,
}

impl Row for MetricReport {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.metric_reports";
    fn key(&self) -> Name {
        self.cluster.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.at)
    }
}

/// An instance that waits in Auto Scaling's termination hook until its tasks are gone (managed draining).
#[derive(Clone, Debug)]
pub struct ManagedDrain {
    pub instance: InstanceId,
    /// The Auto Scaling group.
    pub group: String,
    /// Of the lifecycle action.
    pub token: String,
    pub since: Time,
    /// When the next heartbeat is recorded, or the drain is given up.
    pub heartbeat_at: Time,
}

impl Row for ManagedDrain {
    type Key = InstanceId;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.managed_drains";
    fn key(&self) -> InstanceId {
        self.instance
    }

    fn resource(&self) -> Option<String> {
        None
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.heartbeat_at)
    }
}
