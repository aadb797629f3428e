//! Targets: an ordinary HTTP server with a switchable health, and raw ones that follow a script.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use bytes::Bytes;
use capstan_balancer::snapshot::Target;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// A listening target; it stops when dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    task: AbortHandle,
}

/// What tests look at and turn.
pub(crate) struct State {
    /// Requests that arrived, without health checks.
    pub(crate) requests: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// The status of `/health`.
    pub(crate) health: AtomicU16,
    /// Requests for `/hold` take a permit each before they are answered.
    pub(crate) release: Semaphore,
}

impl State {
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Backend {
    /// Answers with its name; `/echo` with the request's body, `/head` with the request's head, `/hold` when released.
    pub(crate) async fn http(name: &'static str) -> Self {
        Self::each_connection(move |stream, state| async move {
            let service = service_fn(|request| answer(name, Arc::clone(&state), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
        .await
    }

    /// Runs a script for each connection.
    pub(crate) async fn each_connection<F, R>(script: F) -> Self
    where
        F: Fn(TcpStream, Arc<State>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(State {
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            health: AtomicU16::new(200),
            release: Semaphore::new(0),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(script(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    /// Reads a request's head on each connection and answers with these bytes, then ends the connection.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::each_connection(move |mut stream, state| {
            let bytes = Arc::clone(&bytes);
            async move {
                read_head(&mut stream).await;
                state.requests.fetch_add(1, Ordering::SeqCst);
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await;
            }
        })
        .await
    }

    pub(crate) fn id(&self) -> String {
        self.address.ip().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn target(&self) -> Target {
        super::target(self.address)
    }

    /// Stops listening and resets what is open; returns once connections are refused.
    pub(crate) async fn stop(&self) {
        self.task.abort();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address at which nobody listens.
pub(crate) async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    listener.local_addr().expect("address")
}

/// Reads up to the end of a request's head; the head, or what there was of it.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("UTF-8")
}

/// Reads a request with its body, if it has a length.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let head = read_head(stream).await;
    let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok();
    let mut body = vec![0; head.lines().find_map(length).unwrap_or(0)];
    stream.read_exact(&mut body).await.expect("the request's body");
    head
}

/// Ends a connection by a reset, whatever was read of it.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
}

/// An address whose connections are neither made nor refused.
pub(crate) struct Hung {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    /// They fill the queue of the listener.
    _waiting: Vec<TcpStream>,
}

impl Hung {
    pub(crate) async fn start() -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
        socket.listen(0).expect("listen");
        socket.set_nonblocking(true).expect("nonblocking");
        let listener = TcpListener::from_std(socket.into()).expect("listener");
        let address = listener.local_addr().expect("address");
        let mut waiting = Vec::new();
        // On this host a connection is made at once or not at all.
        let patience = std::time::Duration::from_millis(200);
        while let Ok(made) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
            waiting.push(made.expect("a connection"));
        }
        Self { address, listener, _waiting: waiting }
    }

    /// Takes connections from now on; counts the bytes that come by them.
    pub(crate) fn serve(self) -> Arc<AtomicUsize> {
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        tokio::spawn(async move {
            let _waiting = self._waiting;
            loop {
                let (mut stream, _) = self.listener.accept().await.expect("accept");
                let seen = Arc::clone(&counted);
                tokio::spawn(async move {
                    while stream.read_u8().await.is_ok() {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        seen
    }
}

async fn answer(
    name: &'static str,
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let full = |text: String| Full::new(Bytes::from(text)).map_err(|e| match e {}).boxed();
    if request.uri().path() == "/health" {
        let mut response = Response::new(full(String::new()));
        *response.status_mut() = state.health.load(Ordering::SeqCst).try_into().expect("a status");
        return Ok(response);
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    Ok(Response::new(match request.uri().path() {
        "/echo" => request.into_body().boxed(),
        "/head" => full(format!("{} {}\n{:#?}", request.method(), request.uri(), request.headers())),
        "/hold" => {
            state.release.acquire().await.expect("open").forget();
            full(name.to_owned())
        }
        _ => full(name.to_owned()),
    }))
}
