//! The routing table: a snapshot compiled for the request path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::counters::Shard;
use crate::group::GroupState;
use crate::pick::spread;
use crate::rules::{self, Facts, Rule};
use crate::snapshot::{self, ListenerProtocol, LoadBalancerAttributes, Redirect, Snapshot};

/// Runtime state of a load balancer: what survives one snapshot after the other.
pub(crate) struct LoadBalancerState {
    pub(crate) arn: String,
    pub(crate) counters: Box<[Shard]>,
}

impl LoadBalancerState {
    pub(crate) fn new(arn: &str, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            arn: arn.to_owned(),
            counters: std::iter::repeat_with(Shard::default).take(shards).collect(),
        })
    }
}

/// Everything a request needs to find its way.
#[derive(Default)]
pub(crate) struct Table {
    ports: BTreeMap<u16, Vec<Arc<Route>>>,
    /// The lowest HTTP listener of each load balancer, for requests that come in at the gateway.
    first: Vec<Arc<Route>>,
}

/// A listener of a load balancer.
pub(crate) struct Route {
    pub(crate) state: Arc<LoadBalancerState>,
    pub(crate) name: String,
    pub(crate) dns_name: String,
    pub(crate) port: u16,
    pub(crate) attributes: LoadBalancerAttributes,
    pub(crate) idle_timeout: Duration,
    pub(crate) client_keep_alive: Duration,
    rules: Vec<Rule<Action>>,
    default_action: Action,
}

/// An action with its target groups at hand.
pub(crate) enum Action {
    FixedResponse { status_code: u16, content_type: String, body: bytes::Bytes },
    Forward(Forward),
    Redirect(Redirect),
}

/// A choice among target groups by weight.
pub(crate) struct Forward {
    groups: Vec<(u64, Arc<GroupState>)>,
    total: u64,
    turn: AtomicUsize,
}

impl Forward {
    /// `None` when no group has any weight.
    pub(crate) fn choose(&self) -> Option<&Arc<GroupState>> {
        if let [(weight, group)] = &self.groups[..] {
            return (*weight > 0).then_some(group);
        }
        let mut at = spread(self.turn.fetch_add(1, Relaxed), self.total);
        for (weight, group) in &self.groups {
            if at < *weight {
                return Some(group);
            }
            at -= weight;
        }
        None
    }
}

impl Route {
    /// The action of the first rule that matches, else the default action; and how many rules were looked at, without
    /// the default one.
    pub(crate) fn action(&self, facts: &Facts<'_>) -> (&Action, u64) {
        match self.rules.iter().position(|rule| rule.matches(facts)) {
            Some(at) => (&self.rules[at].action, at as u64 + 1),
            None => (&self.default_action, self.rules.len() as u64),
        }
    }

    pub(crate) fn is_named(&self, host: &[u8]) -> bool {
        host.eq_ignore_ascii_case(self.dns_name.as_bytes())
    }
}

impl Table {
    /// The load balancer of a port that is meant by the host; one that is alone on its port is always meant.
    pub(crate) fn route(&self, port: u16, host: &[u8]) -> Option<&Arc<Route>> {
        match &self.ports.get(&port)?[..] {
            [route] => Some(route),
            routes => routes.iter().find(|route| route.is_named(host)),
        }
    }

    /// The load balancers on a port.
    pub(crate) fn on_port(&self, port: u16) -> &[Arc<Route>] {
        self.ports.get(&port).map_or(&[], |routes| &routes[..])
    }

    /// All ports and the load balancers on them.
    pub(crate) fn ports(&self) -> &BTreeMap<u16, Vec<Arc<Route>>> {
        &self.ports
    }

    /// The load balancer with this DNS name, at its lowest port.
    pub(crate) fn named(&self, host: &[u8]) -> Option<&Arc<Route>> {
        self.first.iter().find(|route| route.is_named(host))
    }
}

/// How compiling finds the state that belongs to an ARN.
pub(crate) struct States<'a> {
    pub(crate) groups: &'a BTreeMap<String, Arc<GroupState>>,
    pub(crate) load_balancers: &'a BTreeMap<String, Arc<LoadBalancerState>>,
    pub(crate) time_scale: u32,
    pub(crate) io_timeout_min: Duration,
}

impl States<'_> {
    pub(crate) fn compile(&self, snapshot: &Snapshot) -> Table {
        let mut table = Table::default();
        for balancer in &snapshot.load_balancers {
            let Some(state) = self.load_balancers.get(&balancer.arn) else { continue };
            let mut listeners: Vec<_> =
                balancer.listeners.iter().filter(|l| l.protocol == ListenerProtocol::Http).collect();
            listeners.sort_by_key(|l| l.port);
            for (index, listener) in listeners.into_iter().enumerate() {
                let route = Arc::new(self.route(balancer, listener, state));
                if index == 0 {
                    table.first.push(Arc::clone(&route));
                }
                table.ports.entry(listener.port).or_default().push(route);
            }
        }
        table
    }

    fn route(
        &self,
        balancer: &snapshot::LoadBalancer,
        listener: &snapshot::Listener,
        state: &Arc<LoadBalancerState>,
    ) -> Route {
        let mut rules: Vec<_> =
            listener.rules.iter().map(|rule| Rule::new(rule, self.action(&rule.action))).collect();
        rules::sort(&mut rules);
        let attributes = balancer.attributes.clone();
        let scaled = |seconds: u32| Duration::from_secs(u64::from(seconds)) / self.time_scale;
        Route {
            state: Arc::clone(state),
            name: balancer.name.clone(),
            dns_name: balancer.dns_name.clone(),
            port: listener.port,
            idle_timeout: scaled(attributes.idle_timeout_seconds).max(self.io_timeout_min),
            client_keep_alive: scaled(attributes.client_keep_alive_seconds).max(self.io_timeout_min),
            attributes,
            rules,
            default_action: self.action(&listener.default_action),
        }
    }

    fn action(&self, action: &snapshot::Action) -> Action {
        match action {
            snapshot::Action::FixedResponse { status_code, content_type, message_body } => {
                Action::FixedResponse {
                    status_code: *status_code,
                    content_type: content_type.clone().unwrap_or_else(|| "text/plain".into()),
                    body: message_body.clone().unwrap_or_default().into(),
                }
            }
            snapshot::Action::Forward(targets) => {
                let known = |t: &snapshot::WeightedTargetGroup| {
                    Some((u64::from(t.weight), Arc::clone(self.groups.get(&t.target_group_arn)?)))
                };
                let groups: Vec<_> = targets.iter().filter_map(known).collect();
                let total = groups.iter().map(|(weight, _)| weight).sum();
                Action::Forward(Forward { groups, total, turn: AtomicUsize::new(0) })
            }
            snapshot::Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
        }
    }
}

/// ARNs of all target groups that some listener sends requests to.
pub(crate) fn groups_in_use(snapshot: &Snapshot) -> std::collections::BTreeSet<&str> {
    let listeners = snapshot.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
    let actions = listeners.flat_map(|l| l.rules.iter().map(|r| &r.action).chain([&l.default_action]));
    actions
        .filter_map(|action| match action {
            snapshot::Action::Forward(groups) => Some(groups),
            snapshot::Action::FixedResponse { .. } | snapshot::Action::Redirect(_) => None,
        })
        .flatten()
        .map(|group| group.target_group_arn.as_str())
        .collect()
}
