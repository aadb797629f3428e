//! Listener sockets: one for each distinct port, opened and closed as snapshots ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::report::Report;
use crate::shared::Shared;
use crate::worker::{Accepted, Workers};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// When the process is out of descriptors, accepting again at once would only spin.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);

/// How ports are bound.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) ip: IpAddr,
    pub(crate) ports: BTreeMap<u16, u16>,
    pub(crate) port_offset: Option<u16>,
}

/// A listener port as its connections see it.
pub(crate) struct ListenerState {
    /// The port of the load balancers' listeners, which may not be the one that is bound.
    pub(crate) port: u16,
    closing: AtomicBool,
    watch: watch::Sender<bool>,
}

impl ListenerState {
    fn new(port: u16) -> Arc<Self> {
        Arc::new(Self { port, closing: AtomicBool::new(false), watch: watch::Sender::new(false) })
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.watch.subscribe()
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.watch.send_replace(true);
    }
}

/// All listener sockets.
pub(crate) struct Listeners {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    binding: Binding,
    open: BTreeMap<u16, Open>,
    /// What was reported last for each (load balancer ARN, port).
    told: BTreeMap<(String, u16), Result<SocketAddr, String>>,
}

struct Open {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Listeners {
    pub(crate) fn new(shared: Arc<Shared>, workers: Arc<Workers>, binding: Binding) -> Self {
        Self { shared, workers, binding, open: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Opens what is missing, closes what is left over, and reports changes.
    pub(crate) fn reconcile(&mut self) {
        let table = self.shared.table.load_full();
        self.open.retain(|port, open| {
            let keep = table.ports().contains_key(port);
            if !keep {
                open.stop.send_replace(true);
            }
            keep
        });
        let mut current = BTreeSet::new();
        for (port, routes) in table.ports() {
            let outcome = self.ensure_open(*port);
            for route in routes {
                current.insert((route.state.arn.clone(), *port));
                self.tell(&route.state.arn, *port, outcome.clone());
            }
        }
        for (arn, port) in self.shared.unserved_listeners() {
            let reason = "HTTPS listeners are not served; use an HTTP listener".to_owned();
            self.tell(&arn, port, Err(reason));
            current.insert((arn, port));
        }
        self.told.retain(|key, _| current.contains(key));
    }

    /// Whether a port waits for another try.
    pub(crate) fn has_failed(&self) -> bool {
        self.told.values().any(Result::is_err)
    }

    /// Stops accepting everywhere.
    pub(crate) fn close(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            open.stop.send_replace(true);
        }
    }

    fn tell(&mut self, arn: &str, port: u16, outcome: Result<SocketAddr, String>) {
        let key = (arn.to_owned(), port);
        if self.told.get(&key) == Some(&outcome) {
            return;
        }
        self.shared.report(match &outcome {
            Ok(address) => {
                Report::ListenerBound { load_balancer_arn: arn.to_owned(), port, address: *address }
            }
            Err(reason) => {
                Report::ListenerFailed { load_balancer_arn: arn.to_owned(), port, reason: reason.clone() }
            }
        });
        self.told.insert(key, outcome);
    }

    fn ensure_open(&mut self, port: u16) -> Result<SocketAddr, String> {
        if let Some(open) = self.open.get(&port) {
            return Ok(open.address);
        }
        let socket = self.binding.bind(port)?;
        let address = socket.local_addr().map_err(|e| e.to_string())?;
        let stop = watch::Sender::new(false);
        let acceptor =
            Acceptor { socket, state: ListenerState::new(port), workers: Arc::clone(&self.workers) };
        tokio::spawn(acceptor.run(stop.subscribe()));
        self.open.insert(port, Open { address, stop });
        Ok(address)
    }
}

impl Binding {
    /// Binds the port, or the one it is mapped to, or the one `port_offset` above it.
    fn bind(&self, port: u16) -> Result<TcpListener, String> {
        let first = SocketAddr::new(self.ip, self.ports.get(&port).copied().unwrap_or(port));
        let error = match listen(first) {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        let reason = format!("failed to listen on {first}: {error}");
        let Some(moved) = self.port_offset.and_then(|offset| port.checked_add(offset)) else {
            return Err(reason);
        };
        let second = SocketAddr::new(self.ip, moved);
        listen(second).map_err(|error| format!("{reason}; failed to listen on {second} instead: {error}"))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections and hands them to the workers.
struct Acceptor {
    socket: TcpListener,
    state: Arc<ListenerState>,
    workers: Arc<Workers>,
}

impl Acceptor {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = async {
            // The sender is dropped without a message only with the whole balancer.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            () = stopped => {}
            () = self.accept_forever() => {}
        }
        // Closing a listening socket resets what waits in its backlog, so that is taken in first.
        while let Poll::Ready(Ok(accepted)) = poll_fn(|cx| Poll::Ready(self.socket.poll_accept(cx))).await {
            self.hand_over(accepted);
        }
        self.state.close();
    }

    async fn accept_forever(&self) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => self.hand_over(accepted),
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(port = self.state.port, %error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                }
            }
        }
    }

    fn hand_over(&self, (stream, peer): (TcpStream, SocketAddr)) {
        // Out of this thread's runtime: the worker takes it into its own.
        match stream.into_std() {
            Ok(stream) => {
                self.workers.hand_over(Accepted { stream, peer, listener: Arc::clone(&self.state) })
            }
            Err(error) => tracing::warn!(%error, "failed to hand over a connection"),
        }
    }
}
