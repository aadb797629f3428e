//! The HTTP data plane: listeners, rules, target groups, health checks, draining.
//!
//! A [`Snapshot`] says what to serve. [`Handle::apply`] swaps it in; what happens meanwhile (health, connections,
//! requests in flight, counters) survives the swap. The balancer knows nothing of the control plane: it keeps serving
//! the last snapshot when nobody sends another, and tells what it sees by [`Report`]s and [`Counters`].
//!
//! # Threads
//!
//! A worker for each core has a single-threaded runtime; a connection stays on its worker from the first byte to the
//! last, together with the connections to targets that it uses. One more thread opens listeners, accepts, and checks
//! health.
//!
//! # What is promised
//!
//! - Once `apply` returned, no new request goes to a target that is draining or no longer there; one that waits for its
//!   connection to be made goes elsewhere. A request in flight on a draining target runs to its end; on a target that is
//!   no longer there it is cut and answered 502.
//! - A request is tried again, elsewhere if possible, a few times at most: when no connection could be made; when the
//!   connection ended before the first byte of an answer and the method is idempotent; when an idle connection was
//!   found dead and the target cannot have read the request. What was sent must be at hand for that, so bodies of more
//!   than 64 KiB are sent once.

mod body;
mod chunked;
mod connection;
mod control;
mod counters;
mod deadline;
mod exchange;
mod forward;
mod front;
mod group;
mod health;
mod listener;
mod matcher;
mod pages;
mod pick;
mod proxy;
mod redirect;
mod report;
mod request_head;
mod response_head;
mod rules;
mod shared;
pub mod snapshot;
mod stream;
mod table;
mod target;
mod trace;
mod tunnel;
mod upload;
mod worker;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::{mpsc, oneshot};

pub use body::Body;
pub use counters::{Counters, ResponseTimes, TargetInFlight};
pub use report::{Health, Report};
pub use snapshot::Snapshot;

use control::{Command, Control};
use front::Client;
use listener::{Binding, Listeners};
use shared::{Context, Shared};
use worker::Workers;

/// How a balancer runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where listener ports are opened.
    pub listen_ip: IpAddr,
    /// Listener port → port to open in its place; 0 means any free one.
    pub ports: BTreeMap<u16, u16>,
    /// When a listener port cannot be opened (a privileged one, or one in use), the port this much above it is tried.
    pub port_offset: Option<u16>,
    /// Every timer runs this many times faster; 1 is real time.
    pub time_scale: u32,
    /// However fast time runs, real sockets are waited for at least this long: targets and networks do not speed up.
    pub io_timeout_min: Duration,
    /// Worker threads; 0 means one for each core.
    pub workers: usize,
    /// How long a shutdown waits for requests in flight.
    pub shutdown_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: BTreeMap::new(),
            port_offset: None,
            time_scale: 1,
            io_timeout_min: Duration::from_secs(1),
            workers: 0,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

/// Why a balancer could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("time_scale is 0; use 1 for real time")]
    TimeScale,
    #[error("failed to start the balancer's threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// The data plane.
#[derive(Debug)]
pub struct Balancer;

impl Balancer {
    /// Starts the threads. Nothing is served before the first snapshot.
    pub fn start(options: Options, reports: mpsc::UnboundedSender<Report>) -> Result<Handle, Error> {
        if options.time_scale == 0 {
            return Err(Error::TimeScale);
        }
        let count = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let shared = Shared::new(count + 1, options.time_scale, options.io_timeout_min, reports);
        let (workers, workers_ended) = Workers::start(count, &shared)?;
        let workers = Arc::new(workers);
        let binding =
            Binding { ip: options.listen_ip, ports: options.ports, port_offset: options.port_offset };
        let listeners = Listeners::new(Arc::clone(&shared), Arc::clone(&workers), binding);
        let (sender, commands) = mpsc::unbounded_channel();
        let control = Control { shared: Arc::clone(&shared), listeners, workers, workers_ended, commands };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        std::thread::Builder::new()
            .name("balancer-control".into())
            .spawn(move || runtime.block_on(control.run()))?;
        Ok(Handle {
            gateway: Context { shared: Arc::clone(&shared), shard: count },
            shared,
            commands: sender,
            shutdown_grace: options.shutdown_grace,
        })
    }
}

/// The way to a running balancer. When the last clone is dropped, the balancer stops at once.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    gateway: Context,
    commands: mpsc::UnboundedSender<Command>,
    shutdown_grace: Duration,
}

/// A load balancer that answers to a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerName {
    pub arn: String,
    pub name: String,
    pub dns_name: String,
}

impl Handle {
    /// Serves a new snapshot. On return no new request goes to a target that is draining or left; listeners and health
    /// checks follow a moment later and report.
    pub fn apply(&self, snapshot: &Snapshot) {
        self.shared.apply(snapshot);
        // Fails only after a shutdown.
        let _ = self.commands.send(Command::Reconcile);
    }

    /// Requests in flight on a target; 0 when it is not registered.
    pub fn in_flight(&self, target_group_arn: &str, target_id: &str, port: u16) -> usize {
        let target = self.shared.group(target_group_arn).and_then(|group| group.target(target_id, port));
        target.map_or(0, |target| target.in_flight())
    }

    /// What was counted since the last call: a row for each load balancer and one for each target group.
    pub fn take_counters(&self) -> Vec<Counters> {
        self.shared.take_counters()
    }

    /// The load balancer that answers to a `Host` value, with or without a port.
    pub fn load_balancer_for_host(&self, host: &str) -> Option<LoadBalancerName> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.shared.table.load().named(name.as_bytes()).map(|route| LoadBalancerName {
            arn: route.state.arn.clone(),
            name: route.name.clone(),
            dns_name: route.dns_name.clone(),
        })
    }

    /// Answers a request that came in at the gateway for the load balancer that its `Host` names, as its lowest HTTP
    /// listener would. Must be called from a tokio runtime; upgrades need a connection that is served with them.
    pub async fn serve(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        proxy::handle(&self.gateway, &Client::new(peer, None), request).await
    }

    /// Stops accepting, lets requests in flight finish (for the `shutdown_grace`), and returns when all threads are
    /// done with their connections.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Shutdown { grace: self.shutdown_grace, done }).is_ok() {
            let _ = finished.await;
        }
    }
}
