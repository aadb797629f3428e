//! Rows of services and their deployments.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Hex32, Time};
use capstan_shapes::ecs as shapes;

use super::*;
use crate::kernel::Row;

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

    fn resource(&self) -> Option<String> {
        let exists = self.status != ServiceStatus::Inactive;
        exists.then(|| format!("{}/{}", self.key.cluster, self.key.name))
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
