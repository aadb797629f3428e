//! Rows of container instances.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Hex32, InstanceId, Resources, Time};

use super::*;
use crate::kernel::{Amounts, Row};

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

    fn resource(&self) -> Option<String> {
        (self.status != InstanceStatus::Inactive).then(|| self.id.to_string())
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
    /// Of a cluster, as its index counts them: CPU units and MiB registered, then those that are left.
    fn amounts(&self, put: &mut dyn FnMut(InstanceIndex, Amounts)) {
        if self.status != InstanceStatus::Inactive {
            let (all, left) = (self.registered, self.remaining);
            let amounts = [all.cpu, all.memory, left.cpu, left.memory, 0, 0, 0, 0, 0, 0];
            put(InstanceIndex::Cluster(self.cluster.clone()), amounts);
        }
    }
}
