//! The clients: keep-alive connections to a load balancer that never pause, and what they count.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Each has one request at a time.
    pub(crate) connections: u32,
    /// From start to start of a connection's requests.
    pub(crate) pace: Duration,
    /// In turn, from another one on each connection.
    pub(crate) requests: &'static [Kind],
}

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Sends this body by POST, which nobody may send twice; `None` is a GET.
    pub(crate) post: Option<&'static str>,
    pub(crate) path: &'static str,
}

/// A GET of the front page.
pub(crate) const FRONT_PAGE: Kind = Kind { post: None, path: "/" };

impl Plan {
    /// Requests a second of all connections together, when none waits for an answer longer than its pace.
    pub(crate) fn per_second(self) -> u128 {
        1000 * u128::from(self.connections) / self.pace.as_millis().max(1)
    }
}

/// An answer that takes longer counts as a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Answered or failed.
    pub(crate) requests: u64,
    /// No connection, a broken connection, no answer in time, or a status other than 2xx.
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    /// How often each failure came.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) slowest: Duration,
    /// Tasks that answered since the latest [`Load::forget_tasks`].
    pub(crate) tasks: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct Load {
    counts: Arc<Mutex<Counts>>,
    stop: watch::Sender<bool>,
    connections: JoinSet<()>,
}

#[derive(Clone, Debug)]
struct Client {
    plan: Plan,
    address: SocketAddr,
    host: String,
    counts: Arc<Mutex<Counts>>,
}

impl Load {
    /// Starts to send requests for that host name. Dropping the load cuts it off; see [`Load::stop`].
    pub(crate) fn start(plan: Plan, address: SocketAddr, host: &str) -> Self {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        for number in 0..plan.connections {
            let client = Client { plan, address, host: host.to_owned(), counts: counts.clone() };
            connections.spawn(client.run(number, stopped.clone()));
        }
        Self { counts, stop, connections }
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// From now on count anew who answers.
    pub(crate) fn forget_tasks(&self) {
        lock(&self.counts).tasks.clear();
    }

    /// Ends when the requests on their way are answered.
    pub(crate) async fn stop(mut self) -> Counts {
        self.stop.send_replace(true);
        while self.connections.join_next().await.is_some() {}
        lock(&self.counts).clone()
    }
}

fn lock(counts: &Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    async fn run(self, number: u32, stopped: watch::Receiver<bool>) {
        let Plan { connections, pace, requests } = self.plan;
        // One after the other within a pace.
        tokio::time::sleep(pace * number / connections).await;
        let mut pace = tokio::time::interval(pace);
        // After a stall the pace goes on from there: no burst makes up for it.
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut connection = None;
        let from = usize::try_from(number).unwrap_or_default();
        for kind in requests.iter().cycle().skip(from % requests.len().max(1)) {
            if *stopped.borrow() {
                return;
            }
            pace.tick().await;
            let since = Instant::now();
            let told = tokio::time::timeout(PATIENCE, self.request(kind, &mut connection)).await;
            let told = told.unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())));
            if told.is_err() {
                connection = None;
            }
            self.count(told, since.elapsed());
        }
    }

    /// One request, on the connection if it is still open. Answers which task answered.
    async fn request(
        &self,
        kind: &Kind,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
    ) -> Result<String, String> {
        // The balancer may announce the end of a connection; a client then opens another.
        let open = match connection.take() {
            Some(mut open) => open.ready().await.is_ok().then_some(open),
            None => None,
        };
        let mut sender = match open {
            Some(open) => open,
            None => self.connect().await?,
        };
        let method = if kind.post.is_some() { Method::POST } else { Method::GET };
        let request = Request::builder()
            .method(method)
            .uri(kind.path)
            .header(header::HOST, &self.host)
            .header(header::ACCEPT, "application/json")
            .body(Full::from(kind.post.unwrap_or_default()))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        *connection = Some(sender);
        task(status, &body)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("no connection to {}: {error}", self.address);
        let stream = TcpStream::connect(self.address).await.map_err(|error| failed(&error))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Its errors come to light in the requests.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn count(&self, told: Result<String, String>, took: Duration) {
        let mut counts = lock(&self.counts);
        counts.requests += 1;
        counts.slowest = counts.slowest.max(took);
        match told {
            Ok(task) => drop(counts.tasks.insert(task)),
            Err(why) => {
                counts.failed += 1;
                *counts.failures.entry(why.clone()).or_default() += 1;
                let number = counts.requests;
                counts.first_failure.get_or_insert_with(|| format!("request {number}: {why}"));
            }
        }
    }
}

/// Which task gave that answer.
fn task(status: StatusCode, body: &[u8]) -> Result<String, String> {
    if !status.is_success() {
        return Err(format!("answered {status}"));
    }
    let answer: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("answered {status} with no JSON: {error}"))?;
    answer["task"].as_str().map(str::to_owned).ok_or_else(|| format!("answered {status} without a task"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_answers_from_failures() {
        let check = |status: u16, body: &str, expect: Result<&str, &str>| {
            let status = StatusCode::from_u16(status).expect("a status");
            let told = task(status, body.as_bytes());
            let matches = match (&told, expect) {
                (Ok(task), Ok(expect)) => task == expect,
                (Err(why), Err(part)) => why.contains(part),
                _ => false,
            };
            assert!(matches, "{status} {body}: {told:?}");
        };
        check(200, r#"{"task":"0a1b","taskArn":"arn"}"#, Ok("0a1b"));
        check(204, r#"{"task":"0a1b"}"#, Ok("0a1b"));
        check(502, r#"{"task":"0a1b"}"#, Err("502 Bad Gateway"));
        check(301, "", Err("301"));
        check(200, "capstan web", Err("no JSON"));
        check(200, "{}", Err("without a task"));
    }

    #[tokio::test]
    async fn counts_failed_connections() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = free.local_addr().expect("an address");
        drop(free);
        let plan = Plan { connections: 8, pace: Duration::from_millis(40), requests: &[FRONT_PAGE] };
        let load = Load::start(plan, address, "demo.elb.localhost");
        while load.counts().failed == 0 {
            tokio::task::yield_now().await;
        }
        let counts = load.stop().await;
        assert_eq!(counts.requests, counts.failed);
        assert!(counts.first_failure.is_some_and(|why| why.starts_with("request 1: no connection")));
    }
}
