//! The client's side: one connection, HTTP/1.1 or HTTP/2 over cleartext.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

use crate::listener::ListenerState;
use crate::proxy;
use crate::shared::Context;
use crate::stream::FrontStream;
use crate::table::{LoadBalancerState, Route};

/// Parallel requests on one HTTP/2 connection (ALB guide, load-balancer-listeners).
const STREAMS_MAX: u32 = 128;
/// A head of the largest size, and room to see that it is too large.
const HEAD_BUFFER_BYTES: usize = proxy::HEADERS_MAX_BYTES + 32 * 1024;
/// Between the last accept and the end of idle connections, so that a request that is on its way is still served.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// Serves a client's connection to its end.
pub(crate) async fn serve(
    context: Context,
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<ListenerState>,
) {
    let _task = context.shared.tasks.enter();
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let (idle_timeout, http2) = listener_settings(&context, listener.port);
    let client = Client::new(peer, Some(Arc::clone(&listener)));
    if let [only] = context.shared.table.load().on_port(listener.port) {
        client.belongs_to(only, context.shard);
    }
    let stream = FrontStream::new(stream, Arc::clone(&client.state), idle_timeout, http2);
    let service = service_fn(|request| {
        let (context, client) = (context.clone(), client.clone());
        async move {
            let busy = Busy::new(&client.state);
            let mut response = proxy::handle(&context, &client, request).await;
            response.body_mut().hold(busy);
            client.state.answering.store(true, Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(HEAD_BUFFER_BYTES);
    builder.http2().max_concurrent_streams(STREAMS_MAX);
    let builder = if http2 { builder } else { builder.http1_only() };
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut closing = listener.closing();
    tokio::select! {
        // An error is the client's end of the connection or its malformed request; both are answered by now.
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    // Requests are still served, each as the last one of its connection; then the idle ones end.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(SETTLE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// The longest idle timeout of the load balancers on a port (which of them is meant shows with the first request), and
/// whether one of them speaks HTTP/2.
fn listener_settings(context: &Context, port: u16) -> (Duration, bool) {
    let table = context.shared.table.load();
    let routes = table.on_port(port);
    let longest = routes.iter().map(|route| route.idle_timeout).max().unwrap_or(Duration::from_secs(60));
    (longest, routes.iter().any(|route| route.attributes.http2))
}

/// What is known about the sender of a request.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    /// `None` for requests that the gateway hands over.
    listener: Option<Arc<ListenerState>>,
    pub(crate) state: Arc<FrontState>,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr, listener: Option<Arc<ListenerState>>) -> Self {
        Self { peer, listener, state: Arc::new(FrontState::new()) }
    }

    pub(crate) fn listener_port(&self) -> Option<u16> {
        self.listener.as_ref().map(|l| l.port)
    }

    /// The connection's next answer is to be its last: the listener closes, or the connection is as old as
    /// `client_keep_alive` allows.
    pub(crate) fn is_to_close(&self, route: &Route) -> bool {
        let Some(listener) = &self.listener else { return false };
        listener.is_closing() || self.state.since.elapsed() >= route.client_keep_alive
    }

    /// Learns whose connection this is: at once when one load balancer listens there, else with the first request.
    pub(crate) fn belongs_to(&self, route: &Route, shard: usize) {
        if self.listener.is_none() {
            return;
        }
        self.state
            .idle_timeout_millis
            .store(u64::try_from(route.idle_timeout.as_millis()).unwrap_or(u64::MAX), Relaxed);
        self.state.owner.get_or_init(|| {
            let counters = &route.state.counters[shard];
            counters.new_connections.fetch_add(1, Relaxed);
            counters.active_connections.fetch_add(1, Relaxed);
            (Arc::clone(&route.state), shard)
        });
    }
}

/// What the stream and the requests on it tell each other.
pub(crate) struct FrontState {
    since: Instant,
    /// Requests that are not fully answered.
    pub(crate) busy: AtomicUsize,
    /// A request has begun to come in, and its head is not complete.
    pub(crate) unread: AtomicBool,
    /// The head of an answer goes out next.
    pub(crate) answering: AtomicBool,
    /// A request was answered before all of it was read.
    pub(crate) hasty: AtomicBool,
    /// Zero until the owner is known.
    pub(crate) idle_timeout_millis: AtomicU64,
    owner: OnceLock<(Arc<LoadBalancerState>, usize)>,
}

impl FrontState {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            busy: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            hasty: AtomicBool::new(false),
            idle_timeout_millis: AtomicU64::new(0),
            owner: OnceLock::new(),
        }
    }

    /// Counts an answer to something that never became a request.
    pub(crate) fn count(&self, status: u16) {
        if let Some((state, shard)) = self.owner.get() {
            state.counters[*shard].elb_answered(status);
        }
    }

    /// Counts bytes read or written; `false` while nobody owns them.
    pub(crate) fn count_bytes(&self, bytes: u64) -> bool {
        let owner = self.owner.get();
        if let Some((state, shard)) = owner {
            state.counters[*shard].processed_bytes.fetch_add(bytes, Relaxed);
        }
        owner.is_some()
    }
}

impl Drop for FrontState {
    fn drop(&mut self) {
        if let Some((state, shard)) = self.owner.get() {
            state.counters[*shard].active_connections.fetch_sub(1, Relaxed);
        }
    }
}

/// A request that is not fully answered.
pub(crate) struct Busy(Arc<FrontState>);

impl Busy {
    pub(crate) fn new(state: &Arc<FrontState>) -> Self {
        state.unread.store(false, Relaxed);
        state.busy.fetch_add(1, Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

impl std::fmt::Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Busy")
    }
}
