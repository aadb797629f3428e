//! The rows of the ECS tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Hex32, InstanceId, Resources, Time};
use capstan_shapes::ecs as shapes;

use crate::kernel::{NoIndex, Row};

/// A name that many rows carry: clusters, services, providers.
pub type Name = Arc<str>;

/// One item of a capacity provider strategy, with the defaults of the API filled in (weight 0, base 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyItem {
    pub provider: Name,
    pub weight: i64,
    pub base: i64,
}

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

impl Row for Cluster {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.clusters";
    fn key(&self) -> Name {
        self.name.clone()
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
    fn deadline(&self) -> Option<Time> {
        self.next_report
    }
    fn index(&self, put: &mut dyn FnMut(Name)) {
        put(self.provider.clone());
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
    fn deadline(&self) -> Option<Time> {
        Some(self.heartbeat_at)
    }
}

/// Family and revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskDefinitionKey {
    pub family: Name,
    pub revision: i32,
}

#[derive(Clone, Debug)]
pub struct TaskDefinition {
    pub key: TaskDefinitionKey,
    /// As registered, with the defaults that ECS fills in; described as it stands.
    pub shape: Arc<shapes::TaskDefinition>,
    /// What a task of it takes by itself, overrides aside.
    pub needs: TaskNeeds,
    pub tags: BTreeMap<String, String>,
    /// When a revision in deletion is looked at again, to go if nothing uses it.
    pub forget_at: Option<Time>,
}

/// A family of task definitions: it knows the revision numbers that are used up.
#[derive(Clone, Debug)]
pub struct Family {
    pub name: Name,
    pub latest: i32,
}

impl Row for Family {
    type Key = Name;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.families";
    fn key(&self) -> Name {
        self.name.clone()
    }
}

/// What placement asks of an instance for one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskNeeds {
    pub resources: Resources,
    /// Fixed host ports.
    pub tcp_ports: BTreeSet<u16>,
    pub udp_ports: BTreeSet<u16>,
    /// Attributes that the instance must have (`requiresAttributes`), name and value when one is asked for.
    pub attributes: BTreeMap<String, Option<String>>,
    /// `awsvpc`: one network interface.
    pub interface: bool,
}

impl Row for TaskDefinition {
    type Key = TaskDefinitionKey;
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.task_definitions";
    fn key(&self) -> TaskDefinitionKey {
        self.key.clone()
    }
    fn deadline(&self) -> Option<Time> {
        self.forget_at
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceStatus {
    Active,
    Draining,
    /// Deregistered; kept for a while so that its tasks can still be told about.
    Inactive,
}

impl InstanceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

#[derive(Clone, Debug)]
pub struct ContainerInstance {
    pub id: Hex32,
    /// The how-manieth registration it was: the order in which placement breaks ties.
    pub ordinal: u64,
    pub cluster: Name,
    pub ec2_instance: Option<InstanceId>,
    pub provider: Option<Name>,
    pub zone: Name,
    pub instance_type: String,
    pub status: InstanceStatus,
    pub agent_connected: bool,
    /// When an agent that has lost its connection is told as disconnected.
    pub disconnects_at: Option<Time>,
    /// `(agentVersion, agentHash, dockerVersion)`
    pub version_info: (String, String, String),
    pub registered: Resources,
    /// What is left; goes down at placement and up when a task has stopped.
    pub remaining: Resources,
    /// Ports in use: the agent's reserved ones and those of tasks.
    pub tcp_ports: BTreeSet<u16>,
    pub udp_ports: BTreeSet<u16>,
    pub registered_tcp_ports: BTreeSet<u16>,
    pub registered_udp_ports: BTreeSet<u16>,
    /// Network interfaces for `awsvpc` tasks: how many there may be, and are.
    pub interfaces_max: i64,
    pub interfaces: i64,
    pub attributes: BTreeMap<String, Option<String>>,
    pub registered_at: Time,
    /// When an inactive row is forgotten.
    pub forget_at: Option<Time>,
    pub version: i64,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceIndex {
    Cluster(Name),
    /// Cluster and provider, while ACTIVE or DRAINING.
    Provider(Name, Name),
    /// Cluster, while DRAINING.
    Draining(Name),
    Ec2(InstanceId),
}

impl Row for ContainerInstance {
    type Key = Hex32;
    type Index = InstanceIndex;
    const TABLE: &'static str = "ecs.container_instances";
    fn key(&self) -> Hex32 {
        self.id
    }
    fn deadline(&self) -> Option<Time> {
        [self.disconnects_at, self.forget_at].into_iter().flatten().min()
    }
    fn index(&self, put: &mut dyn FnMut(InstanceIndex)) {
        if self.status != InstanceStatus::Inactive {
            put(InstanceIndex::Cluster(self.cluster.clone()));
            if let Some(provider) = &self.provider {
                put(InstanceIndex::Provider(self.cluster.clone(), provider.clone()));
            }
            if self.status == InstanceStatus::Draining {
                put(InstanceIndex::Draining(self.cluster.clone()));
            }
            if let Some(instance) = self.ec2_instance {
                put(InstanceIndex::Ec2(instance));
            }
        }
    }
}

/// `lastStatus`, in the order of a task's life (spec ecs.md §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl TaskStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Desired {
    Running,
    Stopped,
}

/// Who a service task belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    pub cluster: Name,
    pub name: Name,
}

/// A container of a task.
#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    /// uuid
    pub id: String,
    pub status: ContainerStatus,
    pub essential: bool,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub runtime_id: Option<String>,
    pub image_digest: Option<String>,
    pub bindings: Vec<Binding>,
    /// `None`: the container has no health check.
    pub healthy: Option<Option<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerStatus {
    Pending,
    Running,
    Stopped,
}

/// A port that the agent has bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub bind_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    pub udp: bool,
}

/// Why a task is not on an instance yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub since: Time,
    /// When ECS gives up (spec timelines.md B1 row 15: 30 minutes).
    pub until: Time,
    /// `RESOURCE:CPU`, `EMPTY CAPACITY PROVIDER` …: what the latest try found.
    pub reason: String,
}

/// Task scale-in protection until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    pub until: Time,
}

#[derive(Clone, Debug)]
pub struct Task {
    pub id: Hex32,
    pub cluster: Name,
    pub definition: TaskDefinitionKey,
    pub needs: Arc<TaskNeeds>,
    pub group: Name,
    pub started_by: Option<Name>,
    /// The service that it belongs to, and the deployment (`ecs-svc/…` number).
    pub service: Option<ServiceKey>,
    pub deployment: u64,
    pub launch_type: Option<shapes::LaunchType>,
    pub provider: Option<Name>,
    pub instance: Option<Hex32>,
    pub zone: Option<Name>,
    pub status: TaskStatus,
    pub desired: Desired,
    pub waiting: Option<Waiting>,
    pub containers: Vec<Container>,
    pub overrides: Option<Arc<shapes::TaskOverride>>,
    pub placement_constraints: Vec<shapes::PlacementConstraint>,
    pub placement_strategy: Vec<shapes::PlacementStrategy>,
    pub network: Option<Arc<shapes::NetworkConfiguration>>,
    /// Private address of an `awsvpc` task.
    pub ip: Option<String>,
    pub subnet: Option<String>,
    pub enable_execute_command: bool,
    pub created_at: Time,
    pub pull_started_at: Option<Time>,
    pub pull_stopped_at: Option<Time>,
    pub started_at: Option<Time>,
    pub stopping_at: Option<Time>,
    pub stopped_at: Option<Time>,
    pub execution_stopped_at: Option<Time>,
    pub stop_code: Option<shapes::TaskStopCode>,
    pub stopped_reason: Option<String>,
    pub protection: Option<Protection>,
    /// When something happens to the task by itself: provisioning gives up, deregistration ends, a stopped task is forgotten.
    pub wakes_at: Option<Time>,
    /// Rises with each start order; reports with another are stale.
    pub generation: u64,
    /// Rises by one for each change that emits an event.
    pub version: i64,
    /// Its targets in the service's target groups, from registration until deregistration is over.
    pub targets: Vec<TaskTarget>,
    /// How it is being stopped.
    pub stopping: Option<StopFlow>,
    /// Why the service replaces it: what failed its health checks.
    pub unhealthy: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Why it was placed where it is.
    pub placed_because: Option<String>,
}

/// A target that stands for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskTarget {
    /// ARN of the target group.
    pub group: Name,
    /// Instance id or address.
    pub id: Name,
    pub port: u16,
    pub state: TargetState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

/// The two orders in which AWS stops a service's task (spec observed.md §1, timelines.md A9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopFlow {
    /// Its instance drains: targets leave first; "has stopped" is told when that is over.
    Draining,
    /// Scale-in, deployment, health, user: "has stopped" is told at once.
    Direct,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskIndex {
    /// Every task of a cluster that is not forgotten.
    Cluster(Name),
    /// Tasks of a service that are not STOPPED.
    Service(ServiceKey),
    /// Tasks on a container instance that are not STOPPED.
    Instance(Hex32),
    /// PROVISIONING tasks of a cluster for one provider (`None`: no provider).
    Waiting(Name, Option<Name>),
    /// Tasks of a provider in a cluster that are not STOPPED.
    Provider(Name, Name),
    /// A target group's ARN, target id and port.
    Target(Name, Name, u16),
    /// Tasks of a group (`service:web`, `family:batch`) in a cluster that are not STOPPED.
    Group(Name, Name),
}

impl Row for Task {
    type Key = Hex32;
    type Index = TaskIndex;
    const TABLE: &'static str = "ecs.tasks";
    fn key(&self) -> Hex32 {
        self.id
    }
    fn deadline(&self) -> Option<Time> {
        self.wakes_at
    }
    fn index(&self, put: &mut dyn FnMut(TaskIndex)) {
        put(TaskIndex::Cluster(self.cluster.clone()));
        if self.status == TaskStatus::Stopped {
            return;
        }
        put(TaskIndex::Group(self.cluster.clone(), self.group.clone()));
        if let Some(service) = &self.service {
            put(TaskIndex::Service(service.clone()));
        }
        if let Some(instance) = self.instance {
            put(TaskIndex::Instance(instance));
        }
        if let Some(provider) = &self.provider {
            put(TaskIndex::Provider(self.cluster.clone(), provider.clone()));
        }
        for target in &self.targets {
            put(TaskIndex::Target(target.group.clone(), target.id.clone(), target.port));
        }
        if self.waiting.is_some() {
            put(TaskIndex::Waiting(self.cluster.clone(), self.provider.clone()));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// One deployment of a service; the PRIMARY one stands first in its list.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The 19 digits of `ecs-svc/…`.
    pub id: u64,
    pub primary: bool,
    pub definition: TaskDefinitionKey,
    pub strategy: Vec<StrategyItem>,
    pub launch_type: Option<shapes::LaunchType>,
    pub network: Option<Arc<shapes::NetworkConfiguration>>,
    pub platform_version: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub rollout: Rollout,
    pub rollout_reason: String,
    /// Consecutive tasks that failed to start or to become healthy.
    pub failed_tasks: i64,
    /// Whether a rollback made it.
    pub rollback: bool,
    /// Whether one of its tasks ever ran; the circuit breaker's first stage ends with it.
    pub ran: bool,
}

/// One line of `services[].events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    pub id: String,
    pub at: Time,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Service {
    pub key: ServiceKey,
    pub status: ServiceStatus,
    pub daemon: bool,
    pub desired: i64,
    /// PRIMARY first, then the others, newest first.
    pub deployments: Vec<Deployment>,
    /// The latest deployment that completed, for rollback.
    pub completed: Option<Deployment>,
    /// Percent.
    pub minimum_healthy_percent: i64,
    pub maximum_percent: i64,
    pub circuit_breaker: Option<(bool, bool)>,
    /// What else the deployment configuration holds; described as it was given.
    pub deployment_configuration: shapes::DeploymentConfiguration,
    pub load_balancers: Vec<shapes::LoadBalancer>,
    pub placement_constraints: Vec<shapes::PlacementConstraint>,
    pub placement_strategy: Vec<shapes::PlacementStrategy>,
    /// Seconds.
    pub health_grace: Option<i64>,
    pub role_arn: Option<String>,
    pub scheduling: shapes::SchedulingStrategy,
    pub az_rebalancing: Option<shapes::AvailabilityZoneRebalancing>,
    pub enable_ecs_managed_tags: bool,
    pub enable_execute_command: bool,
    pub propagate_tags: Option<shapes::PropagateTags>,
    pub client_token: Option<String>,
    pub created_at: Time,
    /// Newest first, at most 100.
    pub events: std::collections::VecDeque<ServiceEvent>,
    /// Whether the service is known to be in its steady state.
    pub steady: bool,
    /// When the scheduler looks at the service again without being asked.
    pub wakes_at: Option<Time>,
    /// Back-off after tasks that never ran: next start not before, and the current delay in seconds.
    pub throttle: Option<(Time, i64)>,
    /// Back-off after a start that found no place: since when, and the next try.
    pub unplaced: Option<(Time, Time)>,
    /// Starts in the current minute (at most 500, ECS guide, service-quotas): the minute and how many.
    pub launches: (Time, i64),
    /// When the steady state will be told if nothing changes until then.
    pub steady_at: Option<Time>,
    /// Tasks of draining instances that were told to stop and of which no event has told yet.
    pub told_stopped: Vec<Hex32>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceIndex {
    Cluster(Name),
    /// DAEMON services of a cluster, deleted ones included.
    Daemon(Name),
    /// A target group's ARN.
    TargetGroup(String),
}

impl Row for Service {
    type Key = ServiceKey;
    type Index = ServiceIndex;
    const TABLE: &'static str = "ecs.services";
    fn key(&self) -> ServiceKey {
        self.key.clone()
    }
    fn deadline(&self) -> Option<Time> {
        self.wakes_at
    }
    fn index(&self, put: &mut dyn FnMut(ServiceIndex)) {
        if self.daemon {
            put(ServiceIndex::Daemon(self.key.cluster.clone()));
        }
        if self.status == ServiceStatus::Inactive {
            return;
        }
        put(ServiceIndex::Cluster(self.key.cluster.clone()));
        for load_balancer in &self.load_balancers {
            if let Some(group) = &load_balancer.target_group_arn {
                put(ServiceIndex::TargetGroup(group.clone()));
            }
        }
    }
}

/// `PutAccountSetting`: one value for each name and principal.
#[derive(Clone, Debug)]
pub struct AccountSetting {
    pub name: shapes::SettingName,
    pub value: String,
    /// ARN of the user, role or root that it holds for; `None` = by PutAccountSettingDefault, for everyone.
    pub principal: Option<String>,
}

impl Row for AccountSetting {
    type Key = (shapes::SettingName, Option<String>);
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.account_settings";
    fn key(&self) -> Self::Key {
        (self.name, self.principal.clone())
    }
}

/// A RunTask with a client token: repeated, it gives the same tasks (ECS model RunTaskRequest.clientToken).
#[derive(Clone, Debug)]
pub struct RunToken {
    pub cluster: Name,
    pub token: String,
    pub request: Arc<shapes::RunTaskRequest>,
    pub tasks: Vec<Hex32>,
    pub forget_at: Time,
}

impl Row for RunToken {
    type Key = (Name, String);
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.run_tokens";
    fn key(&self) -> Self::Key {
        (self.cluster.clone(), self.token.clone())
    }
    fn deadline(&self) -> Option<Time> {
        Some(self.forget_at)
    }
}
