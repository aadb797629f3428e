//! A balancer on ephemeral ports, targets that do as they are told, and a client that shows every byte.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod backend;
pub(crate) mod client;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use capstan_balancer::snapshot::{
    Action, HealthCheck, Listener, ListenerProtocol, LoadBalancer, LoadBalancerAttributes, Rule, Target,
    TargetGroup, WeightedTargetGroup,
};
use capstan_balancer::{Balancer, Counters, Handle, Health, Options, Report, Snapshot};
use tokio::sync::mpsc;

use backend::Backend;
use client::Client;

/// Nothing here takes long; what takes this long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running balancer and what it serves.
pub(crate) struct Fixture {
    pub(crate) handle: Handle,
    pub(crate) snapshot: Snapshot,
    reports: mpsc::UnboundedReceiver<Report>,
    bound: BTreeMap<(String, u16), SocketAddr>,
    health: BTreeMap<(String, u16), Health>,
}

impl Fixture {
    pub(crate) fn start(snapshot: Snapshot) -> Self {
        Self::with(snapshot, options())
    }

    pub(crate) fn with(snapshot: Snapshot, options: Options) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let handle = Balancer::start(options, sender).expect("start");
        handle.apply(&snapshot);
        Self { handle, snapshot, reports, bound: BTreeMap::new(), health: BTreeMap::new() }
    }

    /// Changes the snapshot and applies it.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.handle.apply(&self.snapshot);
    }

    pub(crate) async fn next_report(&mut self) -> Report {
        let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await.expect("a report in time");
        let report = report.expect("the balancer runs");
        match &report {
            Report::ListenerBound { load_balancer_arn, port, address } => {
                self.bound.insert((load_balancer_arn.clone(), *port), *address);
            }
            Report::ListenerFailed { .. } => {}
            Report::TargetHealth { target_id, port, health, .. } => {
                self.health.insert((target_id.clone(), *port), health.clone());
            }
        }
        report
    }

    /// Where the load balancer `lb` answers.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        self.address_of("lb", 80).await
    }

    pub(crate) async fn address_of(&mut self, name: &str, port: u16) -> SocketAddr {
        let key = (name.to_owned(), port);
        while !self.bound.contains_key(&key) {
            self.next_report().await;
        }
        self.bound[&key]
    }

    pub(crate) async fn client(&mut self) -> Client {
        Client::connect(self.address().await).await
    }

    /// Waits until the checks found the target healthy.
    pub(crate) async fn healthy(&mut self, backend: &Backend) {
        self.until(backend, |health| *health == Health::Healthy).await;
    }

    pub(crate) async fn until(&mut self, backend: &Backend, is: impl Fn(&Health) -> bool) -> Health {
        let key = (backend.id(), backend.port());
        loop {
            if let Some(health) = self.health.get(&key)
                && is(health)
            {
                return health.clone();
            }
            self.next_report().await;
        }
    }

    /// Waits until so many requests are in flight on a target; the balancer has no event for it.
    pub(crate) async fn in_flight(&self, backend: &Backend, count: usize) {
        let reached = async {
            // A request that still waits for its connection may go elsewhere: the backend has it when it says so.
            while self.handle.in_flight("tg", &backend.id(), backend.port()) != count
                || backend.state.requests() < count
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("requests in flight");
    }

    /// The counters of a load balancer or a target group since the last time.
    pub(crate) fn counters(&self, arn: &str) -> Counters {
        let of = |row: &Counters| {
            row.target_group_arn.as_deref().or(row.load_balancer_arn.as_deref()) == Some(arn)
        };
        self.handle.take_counters().into_iter().find(of).expect("a row for the ARN")
    }
}

/// Two workers, fast timers, and real waits as short as a loaded machine allows.
pub(crate) fn options() -> Options {
    Options {
        ports: BTreeMap::from([(80, 0), (81, 0)]),
        workers: 2,
        time_scale: 100,
        io_timeout_min: Duration::from_secs(5),
        shutdown_grace: PATIENCE,
        ..Options::default()
    }
}

/// The load balancer `lb` on port 80 that forwards to `group`.
pub(crate) fn serving(group: TargetGroup) -> Snapshot {
    Snapshot { load_balancers: vec![load_balancer("lb", forward(&group.arn))], target_groups: vec![group] }
}

pub(crate) fn load_balancer(name: &str, default_action: Action) -> LoadBalancer {
    LoadBalancer {
        name: name.into(),
        arn: name.into(),
        dns_name: format!("{name}-1.us-east-1.elb.localhost"),
        attributes: LoadBalancerAttributes::default(),
        listeners: vec![listener(80, default_action)],
    }
}

pub(crate) fn listener(port: u16, default_action: Action) -> Listener {
    Listener { port, protocol: ListenerProtocol::Http, default_action, rules: Vec::new() }
}

pub(crate) fn rule(priority: u32, condition: capstan_balancer::snapshot::Condition, action: Action) -> Rule {
    Rule { priority, conditions: vec![condition], action }
}

pub(crate) fn forward(arn: &str) -> Action {
    Action::Forward(vec![WeightedTargetGroup { target_group_arn: arn.into(), weight: 1 }])
}

pub(crate) fn fixed(body: &str) -> Action {
    Action::FixedResponse { status_code: 200, content_type: None, message_body: Some(body.into()) }
}

/// The target group `tg`, whose targets count as healthy unchecked.
pub(crate) fn group(targets: &[&Backend]) -> TargetGroup {
    TargetGroup {
        health_check: HealthCheck { enabled: false, ..HealthCheck::default() },
        targets: targets.iter().map(|backend| backend.target()).collect(),
        ..TargetGroup::new("tg")
    }
}

/// The same with checks of `/health` as often as they come.
pub(crate) fn checked_group(targets: &[&Backend]) -> TargetGroup {
    let health_check = HealthCheck {
        path: "/health".into(),
        interval_seconds: 5,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        ..HealthCheck::default()
    };
    TargetGroup { health_check, ..group(targets) }
}

/// A target at an address.
pub(crate) fn target(address: SocketAddr) -> Target {
    Target {
        id: address.ip().to_string(),
        port: address.port(),
        availability_zone: None,
        address: Some(address),
        draining: false,
    }
}
