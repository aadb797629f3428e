//! The client's side: one connection, HTTP/1.1 or HTTP/2 over cleartext.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::deadline::Deadline;
use crate::listener::ListenerState;
use crate::pages;
use crate::proxy;
use crate::shared::Context;
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
    let stream = FrontStream::new(stream, Arc::clone(&client.state), idle_timeout);
    let service = service_fn(|request| {
        let (context, client) = (context.clone(), client.clone());
        async move {
            let busy = Busy::new(&client.state);
            let mut response = proxy::handle(&context, &client, request).await;
            response.body_mut().hold(busy);
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

    /// Learns with the first request whose connection this is.
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
    busy: AtomicUsize,
    /// Bytes came in after the last request began.
    unread: AtomicBool,
    /// Zero until the first request.
    idle_timeout_millis: AtomicU64,
    owner: OnceLock<(Arc<LoadBalancerState>, usize)>,
}

impl FrontState {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            busy: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            idle_timeout_millis: AtomicU64::new(0),
            owner: OnceLock::new(),
        }
    }

    fn count(&self, status: u16) {
        if let Some((state, shard)) = self.owner.get() {
            state.counters[*shard].elb_answered(status);
        }
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

/// The client's socket, with the idle timeout, and with the load balancer's page for requests that hyper could not
/// parse and answers itself.
struct FrontStream {
    io: TcpStream,
    state: Arc<FrontState>,
    idle_timeout: Duration,
    /// Moved at every byte.
    deadline: Deadline,
    /// The idle timeout passed once while a request was in progress.
    overdue: bool,
}

impl FrontStream {
    fn new(io: TcpStream, state: Arc<FrontState>, idle_timeout: Duration) -> Self {
        Self { io, state, idle_timeout, deadline: Deadline::after(idle_timeout), overdue: false }
    }

    fn moved(&mut self) {
        let known = self.state.idle_timeout_millis.load(Relaxed);
        if known > 0 {
            self.idle_timeout = Duration::from_millis(known);
        }
        self.deadline.set(Instant::now() + self.idle_timeout);
        self.overdue = false;
    }

    /// Ready when the connection has to end because nothing moved. A request in progress has an idle timeout of its
    /// own, towards the target; only a client that does not read its answer is left, and gets the same again.
    fn poll_idle(&mut self, cx: &mut Task<'_>) -> Poll<()> {
        std::task::ready!(self.deadline.poll(cx));
        if self.state.busy.load(Relaxed) > 0 {
            if !std::mem::replace(&mut self.overdue, true) {
                self.deadline.set(Instant::now() + self.idle_timeout);
                return self.deadline.poll(cx);
            }
        } else if self.state.unread.load(Relaxed) {
            // Part of a request came, and then nothing more.
            self.state.count(408);
            let _ = self.io.try_write(&pages::raw(408));
        }
        Poll::Ready(())
    }

    /// Whether these bytes are hyper's own answer to something it could not parse, and with which page to replace it.
    fn parse_error(&self, bytes: &[u8]) -> Option<u16> {
        // Answers to requests are written after `unread` was cleared by the request.
        if !self.state.unread.load(Relaxed) || self.state.busy.load(Relaxed) > 0 || bytes.len() > 160 {
            return None;
        }
        let head = bytes.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5))?;
        match head {
            b"400" | b"431" => Some(400),
            b"414" => Some(414),
            _ => None,
        }
    }
}

impl AsyncRead for FrontStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(outcome) => {
                if buf.filled().len() > before {
                    self.state.unread.store(true, Relaxed);
                    self.moved();
                }
                Poll::Ready(outcome)
            }
            // The end of the stream for hyper, and so of the connection.
            Poll::Pending => self.poll_idle(cx).map(Ok),
        }
    }
}

impl AsyncWrite for FrontStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(status) = self.parse_error(buf) {
            self.state.count(status);
            let page = pages::raw(status);
            // Nothing else was written just before, so there is room; hyper closes the connection after it.
            return Pin::new(&mut self.io).poll_write(cx, &page).map(|outcome| outcome.map(|_| buf.len()));
        }
        match Pin::new(&mut self.io).poll_write(cx, buf) {
            Poll::Ready(outcome) => {
                self.moved();
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        match Pin::new(&mut self.io).poll_write_vectored(cx, bufs) {
            Poll::Ready(outcome) => {
                self.moved();
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
