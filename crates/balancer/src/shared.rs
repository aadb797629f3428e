//! What all workers, the listeners and the health checks share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};

use crate::counters::{self, Counters, TargetInFlight};
use crate::group::GroupState;
use crate::report::Report;
use crate::snapshot::{Snapshot, TargetGroup};
use crate::table::{LoadBalancerState, States, Table, groups_in_use};
use crate::target::lock;

/// TCP connections to targets must be there in this time (ALB guide, load-balancer-troubleshooting, HTTP 504).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Shared {
    pub(crate) table: ArcSwap<Table>,
    pub(crate) time_scale: u32,
    pub(crate) io_timeout_min: Duration,
    pub(crate) connect_timeout: Duration,
    /// Client connections and tunnels that are still alive.
    pub(crate) tasks: Tasks,
    reports: mpsc::UnboundedSender<Report>,
    /// One for each worker, and one for requests that the gateway hands over.
    shards: usize,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    snapshot: Snapshot,
    groups: BTreeMap<String, Arc<GroupState>>,
    load_balancers: BTreeMap<String, Arc<LoadBalancerState>>,
    /// What groups and load balancers had counted when they left.
    left: Vec<Counters>,
}

/// Target groups with and without a listener that sends requests to them.
#[derive(Default)]
pub(crate) struct GroupsByUse {
    pub(crate) used: Vec<(Arc<GroupState>, TargetGroup)>,
    pub(crate) unused: Vec<Arc<GroupState>>,
}

/// A worker's view: its shard is its own.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shard: usize,
}

impl Shared {
    pub(crate) fn new(
        shards: usize,
        time_scale: u32,
        io_timeout_min: Duration,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::default(),
            time_scale,
            io_timeout_min,
            connect_timeout: (CONNECT_TIMEOUT / time_scale).max(io_timeout_min),
            tasks: Tasks::default(),
            reports,
            shards,
            registry: Mutex::default(),
        })
    }

    pub(crate) fn report(&self, report: Report) {
        // A driver that does not listen any more does not want to know.
        let _ = self.reports.send(report);
    }

    /// Serves a new snapshot. On return no new request goes to a target that is draining or left.
    pub(crate) fn apply(&self, snapshot: &Snapshot) {
        let mut registry = lock(&self.registry);
        let registry = &mut *registry;
        let mut groups = std::mem::take(&mut registry.groups);
        for settings in &snapshot.target_groups {
            let group =
                groups.remove(&settings.arn).unwrap_or_else(|| GroupState::new(&settings.arn, self.shards));
            group.apply(settings, self.time_scale);
            registry.groups.insert(settings.arn.clone(), group);
        }
        let mut load_balancers = std::mem::take(&mut registry.load_balancers);
        for balancer in &snapshot.load_balancers {
            let state = load_balancers
                .remove(&balancer.arn)
                .unwrap_or_else(|| LoadBalancerState::new(&balancer.arn, self.shards));
            registry.load_balancers.insert(balancer.arn.clone(), state);
        }
        let table = States {
            groups: &registry.groups,
            load_balancers: &registry.load_balancers,
            time_scale: self.time_scale,
            io_timeout_min: self.io_timeout_min,
        }
        .compile(snapshot);
        self.table.store(Arc::new(table));
        for group in groups.into_values() {
            group.apply(&TargetGroup::new(group.arn.clone()), self.time_scale);
            registry.left.push(group_counters(&group));
        }
        registry.left.extend(load_balancers.into_values().map(|state| balancer_counters(&state)));
        registry.snapshot.clone_from(snapshot);
    }

    pub(crate) fn groups_by_use(&self) -> GroupsByUse {
        let registry = lock(&self.registry);
        let in_use = groups_in_use(&registry.snapshot);
        let mut groups = GroupsByUse::default();
        for settings in &registry.snapshot.target_groups {
            let Some(group) = registry.groups.get(&settings.arn) else { continue };
            if in_use.contains(settings.arn.as_str()) {
                groups.used.push((Arc::clone(group), settings.clone()));
            } else {
                groups.unused.push(Arc::clone(group));
            }
        }
        groups
    }

    /// Ports that listeners ask for with a protocol that is not served: (load balancer ARN, port).
    pub(crate) fn unserved_listeners(&self) -> Vec<(String, u16)> {
        let registry = lock(&self.registry);
        let balancers = registry.snapshot.load_balancers.iter();
        let unserved = balancers.flat_map(|balancer| {
            let listeners = balancer.listeners.iter();
            listeners
                .filter(|l| l.protocol != crate::snapshot::ListenerProtocol::Http)
                .map(|l| (balancer.arn.clone(), l.port))
        });
        unserved.collect()
    }

    pub(crate) fn group(&self, arn: &str) -> Option<Arc<GroupState>> {
        lock(&self.registry).groups.get(arn).cloned()
    }

    pub(crate) fn groups(&self) -> Vec<Arc<GroupState>> {
        lock(&self.registry).groups.values().cloned().collect()
    }

    pub(crate) fn take_counters(&self) -> Vec<Counters> {
        let mut registry = lock(&self.registry);
        let mut rows = std::mem::take(&mut registry.left);
        rows.extend(registry.load_balancers.values().map(|state| balancer_counters(state)));
        rows.extend(registry.groups.values().map(|group| group_counters(group)));
        // A connection to a target belongs to the load balancer too; a group has one at most.
        for balancer in &registry.snapshot.load_balancers {
            let only = Snapshot { load_balancers: vec![balancer.clone()], target_groups: Vec::new() };
            let groups = groups_in_use(&only);
            let of_group =
                |row: &&mut Counters| row.target_group_arn.as_deref().is_some_and(|arn| groups.contains(arn));
            let (mut new, mut active) = (0, 0);
            for row in rows.iter_mut().filter(of_group) {
                row.load_balancer_arn = Some(balancer.arn.clone());
                new += row.new_connection_count;
                active += row.active_connection_count;
            }
            let own = |row: &&mut Counters| {
                row.target_group_arn.is_none() && row.load_balancer_arn.as_deref() == Some(&balancer.arn)
            };
            if let Some(row) = rows.iter_mut().find(own) {
                row.new_connection_count += new;
                row.active_connection_count += active;
            }
        }
        rows
    }
}

fn balancer_counters(state: &LoadBalancerState) -> Counters {
    Counters { load_balancer_arn: Some(state.arn.clone()), ..counters::take(&state.counters) }
}

fn group_counters(group: &GroupState) -> Counters {
    let in_flight = |t: &Arc<crate::target::TargetState>| TargetInFlight {
        target_id: t.id.clone(),
        port: t.port,
        requests: t.in_flight(),
    };
    Counters {
        target_group_arn: Some(group.arn.clone()),
        in_flight: group.targets().iter().map(in_flight).collect(),
        ..counters::take(&group.counters)
    }
}

/// Counts tasks, so that a shutdown can wait for their end.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<TasksInner>);

#[derive(Default)]
struct TasksInner {
    count: AtomicUsize,
    none: Notify,
}

/// Held by a task while it lives.
pub(crate) struct Task(Arc<TasksInner>);

impl Tasks {
    pub(crate) fn enter(&self) -> Task {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Task(Arc::clone(&self.0))
    }

    /// Returns when no task is left.
    pub(crate) async fn ended(&self) {
        loop {
            let mut none = std::pin::pin!(self.0.none.notified());
            // Registered before the count is read, so that no end goes unseen.
            none.as_mut().enable();
            if self.0.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
