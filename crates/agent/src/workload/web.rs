//! `capstan web`: a small HTTP/1.1 server that says which task it is, and can be slow, failing, or dying on request. It
//! ends so that no request is lost: see [`HELP`].

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::web_body::Answer;
pub use super::web_options::{HELP, Health, Identity, Options, UsageError};
use super::web_options::{duration, status};

/// The server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {cause}; choose another with --port or PORT")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("cannot watch for SIGTERM: {0}")]
    Signal(std::io::Error),
}

/// Serves until SIGTERM or SIGINT, or until `exit_after`. Answers the exit code of the process. A tokio runtime of one
/// thread is enough, and light when a host runs many.
///
/// # Errors
/// The address is not free, or not of this host.
pub async fn run(options: Options) -> Result<u8, Error> {
    // First of all, so that a stop while starting is an orderly one too.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let told_to_stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(told_to_stop);
    let exit_after = options.exit_after;
    let exit = async {
        match exit_after {
            Some(after) => sleep(after).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(exit);

    let exit_code = options.exit_code;
    if !options.start_delay.is_zero() {
        say(format_args!("capstan web waits {:?} before it listens", options.start_delay));
    }
    tokio::select! {
        () = sleep(options.start_delay) => {}
        () = &mut told_to_stop => return Ok(0),
        () = &mut exit => return Ok(exit_code),
    }
    let address = SocketAddr::from((options.host, options.port));
    let failed = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    say(format_args!("capstan web listens on http://{}", listener.local_addr().map_err(failed)?));
    let server = Arc::new(Server::new(options));
    tokio::select! {
        () = server.accept(&listener) => {}
        () = &mut told_to_stop => {}
        () = &mut exit => return Ok(exit_code),
    }
    say(format_args!("capstan web was told to stop; it finishes what is on its way"));
    tokio::select! {
        () = server.finish(listener) => {}
        () = &mut exit => return Ok(exit_code),
    }
    say(format_args!("capstan web answered {} requests", server.answered.load(Ordering::Relaxed)));
    Ok(0)
}

/// A line for the task's log; a closed stdout is no reason to stop serving.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[derive(Debug)]
struct Server {
    options: Options,
    /// The two forms of the answer, made once.
    text: Bytes,
    json: Bytes,
    since: Instant,
    stopping: AtomicBool,
    /// Requests being answered.
    in_flight: AtomicUsize,
    answered: AtomicU64,
    health_checks: AtomicU64,
    /// Told when an answer has been written or a connection came or went, while stopping.
    stirred: Notify,
    /// True: connections that are idle close.
    close: watch::Sender<bool>,
    connections: AtomicUsize,
}

/// What a request asks for beside its path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    delay: Option<Duration>,
    status: Option<u16>,
    size: Option<u64>,
}

impl Server {
    fn new(options: Options) -> Self {
        Self {
            text: text(&options.identity).into(),
            json: json(&options.identity).into(),
            options,
            since: Instant::now(),
            stopping: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            health_checks: AtomicU64::new(0),
            stirred: Notify::new(),
            close: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
        }
    }

    /// Never ends.
    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.connect(stream),
                Err(error) => {
                    // Out of descriptors, most likely; it passes when connections close.
                    tracing::warn!(%error, "accept");
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let server = self.clone();
        server.connections.fetch_add(1, Ordering::Relaxed);
        server.stirred.notify_one();
        let mut close = self.close.subscribe();
        tokio::spawn(async move {
            let service = service_fn(|request| server.serve(request));
            let connection = hyper::server::conn::http1::Builder::new()
                // An idle connection stays: closing it would race with the balancer's next request.
                .header_read_timeout(None)
                .half_close(true)
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let done = tokio::select! {
                done = &mut connection => Some(done),
                _ = close.wait_for(|close| *close) => None,
            };
            if done.is_none() {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
            server.connections.fetch_sub(1, Ordering::Relaxed);
            server.stirred.notify_one();
        });
    }

    /// Goes on serving until it was quiet for a while: nothing in flight and nothing new. Then closes the connections
    /// that stayed idle.
    async fn finish(self: &Arc<Self>, listener: TcpListener) {
        self.stopping.store(true, Ordering::Relaxed);
        let last = Instant::now() + self.options.grace;
        let quiet = async {
            loop {
                let stirred = timeout(self.options.quiet, self.stirred.notified()).await.is_ok();
                if !stirred && self.in_flight.load(Ordering::Relaxed) == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = self.accept(&listener) => {}
            () = quiet => {}
            () = sleep_until(last) => {}
        }
        drop(listener);
        self.close.send_replace(true);
        let closed = async {
            while self.connections.load(Ordering::Relaxed) > 0 {
                self.stirred.notified().await;
            }
        };
        // Whoever does not read its answer is not waited for.
        let _ = tokio::time::timeout_at(last.max(Instant::now() + self.options.quiet), closed).await;
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Answer>, hyper::Error> {
        let flight = Flight::begin(self);
        let (parts, mut body) = request.into_parts();
        // An upload is read to its end, so that the connection can go on.
        while let Some(frame) = body.frame().await {
            frame?;
        }
        let mut response = match wishes(parts.uri.query().unwrap_or_default()) {
            Ok(wishes) => self.answer(&parts, wishes).await,
            Err(what) => {
                let mut response = Response::new(Answer::Text(format!("{what}\n").into()));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
            }
        };
        if self.stopping.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        drop(flight);
        Ok(response)
    }

    async fn answer(&self, parts: &hyper::http::request::Parts, wishes: Wishes) -> Response<Answer> {
        let is_health = parts.uri.path() == "/health";
        let delay = wishes.delay.unwrap_or(if is_health { Duration::ZERO } else { self.options.delay });
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let failing = self.options.fail_after.is_some_and(|after| self.since.elapsed() >= after);
        let status = match wishes.status {
            Some(status) => status,
            None if failing => 503,
            None if is_health => self.health(),
            None => 200,
        };
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        let (kind, body) = if let Some(size) = wishes.size {
            (HeaderValue::from_static("application/octet-stream"), Answer::Filler(size))
        } else if is_health {
            let word = if status < 400 { "ok\n" } else { "failing\n" };
            (plain, Answer::Text(Bytes::from_static(word.as_bytes())))
        } else if accepts_json(parts) {
            (HeaderValue::from_static("application/json"), Answer::Text(self.json.clone()))
        } else {
            (plain, Answer::Text(self.text.clone()))
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    fn health(&self) -> u16 {
        match self.options.health {
            Health::Ok => 200,
            Health::Status(status) => status,
            Health::Flaky if self.health_checks.fetch_add(1, Ordering::Relaxed) % 2 == 1 => 503,
            Health::Flaky => 200,
        }
    }
}

/// Counts a request while it is being answered, also when its connection breaks.
struct Flight<'a>(&'a Server);

impl<'a> Flight<'a> {
    fn begin(server: &'a Server) -> Self {
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(server)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.0.stopping.load(Ordering::Relaxed) {
            self.0.stirred.notify_one();
        }
    }
}

fn accepts_json(parts: &hyper::http::request::Parts) -> bool {
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

/// Reads a query; other names than ours are left to whoever sent them.
fn wishes(query: &str) -> Result<Wishes, String> {
    fn read<T>(name: &str, value: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        read(value).map(Some).ok_or_else(|| format!("?{name}={value}: cannot read the value"))
    }
    let mut wishes = Wishes::default();
    for pair in query.split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("delay", value) => wishes.delay = read("delay", value, duration)?,
            ("status", value) => wishes.status = read("status", value, status)?,
            ("size", value) => wishes.size = read("size", value, |text| text.parse().ok())?,
            _ => {}
        }
    }
    Ok(wishes)
}

fn text(identity: &Identity) -> String {
    let lines: String = identity
        .pairs()
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}\n"))
        .collect();
    if lines.is_empty() { "capstan web, not in a task\n".into() } else { lines }
}

fn json(identity: &Identity) -> String {
    let members: Vec<String> =
        identity.pairs().iter().map(|(name, value)| format!("\"{name}\":\"{}\"", escape(value))).collect();
    format!("{{{}}}\n", members.join(","))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c < ' ' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let check = |query: &str, expect: Result<Wishes, &str>| {
            assert_eq!(wishes(query), expect.map_err(str::to_owned), "{query}");
        };
        check("", Ok(Wishes::default()));
        check("a=b&c", Ok(Wishes::default()));
        check(
            "delay=250ms&status=503&size=10",
            Ok(Wishes { delay: Some(Duration::from_millis(250)), status: Some(503), size: Some(10) }),
        );
        check("status=100", Err("?status=100: cannot read the value"));
        check("status=abc", Err("?status=abc: cannot read the value"));
        check("size=-1", Err("?size=-1: cannot read the value"));
        check("delay", Err("?delay=: cannot read the value"));
    }

    #[test]
    fn json_is_escaped() {
        let identity = Identity { task_id: "a\"b\\c\nd".into(), ..Identity::default() };
        assert!(json(&identity).starts_with("{\"task\":\"a\\\"b\\\\c\\u000ad\",\"taskArn\":\"\","));
        assert_eq!(text(&Identity::default()), "capstan web, not in a task\n");
    }
}
