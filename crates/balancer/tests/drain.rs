//! Targets that drain, leave and come back under load: no request is lost.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use capstan_balancer::snapshot::Target;
use capstan_balancer::{Health, Options, Report};
use support::backend::Backend;
use support::client::Client;
use support::{Fixture, PATIENCE, checked_group, group, options, serving};

/// Clients that ask one request after the other on a kept connection.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: tokio::task::JoinSet<()>,
}

impl Load {
    async fn start(fixture: &mut Fixture, clients: usize) -> Self {
        let address = fixture.address().await;
        let mut load =
            Self { stop: Arc::default(), answered: Arc::default(), clients: tokio::task::JoinSet::new() };
        for n in 0..clients {
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            load.clients.spawn(async move {
                let mut client = Client::connect(address).await;
                while !stop.load(SeqCst) {
                    let answer = if n % 2 == 0 {
                        client.get("/").await
                    } else {
                        client
                            .send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
                            .await
                    };
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        load
    }

    /// Waits until this many more requests are answered.
    async fn more(&self, count: usize) {
        let until = self.answered.load(SeqCst) + count;
        let reached = async {
            while self.answered.load(SeqCst) < until {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("answers");
    }

    async fn finish(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no request lost");
        }
    }
}

fn draining(backend: &Backend) -> Target {
    Target { draining: true, ..backend.target() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_targets_come_and_go() {
    let mut backends = vec![Backend::http("0").await, Backend::http("1").await];
    let mut fixture = Fixture::start(serving(group(&[&backends[0], &backends[1]])));
    let load = Load::start(&mut fixture, 16).await;
    for round in 0..10 {
        load.more(100).await;
        // A new target takes over from the oldest one: it drains, finishes, leaves the snapshot, and stops.
        let new = Backend::http("new").await;
        let old = backends.remove(0);
        fixture.change(|s| {
            s.target_groups[0].targets = vec![draining(&old), backends[0].target(), new.target()]
        });
        fixture.in_flight(&old, 0).await;
        let seen = old.state.requests();
        load.more(100).await;
        assert_eq!(old.state.requests(), seen, "round {round}: a request to a draining target");
        fixture.change(|s| {
            s.target_groups[0].targets.remove(0);
        });
        drop(old);
        backends.push(new);
    }
    load.finish().await;
    let counters = fixture.counters("lb");
    assert_eq!((counters.httpcode_elb_5xx, counters.target_connection_error_count), (0, 0), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_a_target_stops_listening() {
    let (stays, stops) = (Backend::http("stays").await, Backend::http("stops").await);
    let mut fixture = Fixture::start(serving(group(&[&stays])));
    let load = Load::start(&mut fixture, 4).await;
    load.more(50).await;
    // Registered, but not listening any more.
    stops.stop().await;
    fixture.change(|s| s.target_groups[0].targets.push(stops.target()));
    load.more(200).await;
    load.finish().await;
    assert!(fixture.counters("tg").target_connection_error_count > 0);
}

#[tokio::test]
async fn requests_in_flight_finish_on_a_draining_target() {
    let (old, new) = (Backend::http("old").await, Backend::http("new").await);
    let mut fixture = Fixture::start(serving(group(&[&old])));
    let mut client = fixture.client().await;
    client.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&old, 1).await;
    fixture.change(|s| s.target_groups[0].targets = vec![draining(&old), new.target()]);
    let mut other = fixture.client().await;
    for _ in 0..10 {
        assert_eq!(other.get("/").await.text(), "new");
    }
    assert_eq!(fixture.handle.in_flight("tg", &old.id(), old.port()), 1);
    old.state.release.add_permits(1);
    assert_eq!(client.answer(true).await.text(), "old");
    fixture.in_flight(&old, 0).await;
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn requests_on_a_target_that_left_are_cut() {
    let (old, new) = (Backend::http("old").await, Backend::http("new").await);
    let mut fixture = Fixture::start(serving(group(&[&old])));
    let mut client = fixture.client().await;
    // On a connection that served before: it must not be taken for a dead idle one and repeated.
    assert_eq!(client.get("/").await.text(), "old");
    client.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&old, 1).await;
    // The second one has arrived.
    while old.state.requests() < 2 {
        tokio::task::yield_now().await;
    }
    fixture.change(|s| s.target_groups[0].targets = vec![new.target()]);
    assert_eq!(client.answer(true).await.status, 502);
    assert_eq!(client.get("/").await.text(), "new");
    assert_eq!(fixture.handle.in_flight("tg", &old.id(), old.port()), 0);
}

#[tokio::test]
async fn idle_connections_to_a_draining_target_are_closed() {
    let closed = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&closed);
    let old = Backend::each_connection(move |mut stream, _| {
        let closed = Arc::clone(&notify);
        async move {
            support::backend::read_head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.expect("write");
            assert_eq!(support::backend::read_head(&mut stream).await, "");
            closed.notify_one();
        }
    })
    .await;
    let mut fixture = Fixture::start(serving(group(&[&old])));
    assert_eq!(fixture.client().await.get("/").await.status, 200);
    fixture.change(|s| s.target_groups[0].targets = vec![draining(&old)]);
    tokio::time::timeout(PATIENCE, closed.notified()).await.expect("closed");
}

#[tokio::test]
async fn a_target_registered_again_starts_over() {
    let (a, b) = (Backend::http("a").await, Backend::http("b").await);
    let mut fixture = Fixture::start(serving(checked_group(&[&a, &b])));
    fixture.healthy(&a).await;
    fixture.healthy(&b).await;
    fixture.change(|s| s.target_groups[0].targets = vec![draining(&a), b.target()]);
    a.state.health.store(500, SeqCst);
    fixture.change(|s| s.target_groups[0].targets = vec![a.target(), b.target()]);
    // `initial` again: no requests before a check says so.
    let mut client = fixture.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "b");
    }
    fixture.until(&a, |health| *health != Health::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_finishes_what_was_begun() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let address = fixture.address().await;
    let mut idle = fixture.client().await;
    assert_eq!(idle.get("/").await.status, 200);
    let mut busy = fixture.client().await;
    busy.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&backend, 1).await;
    // Accepted or still waiting to be: connections made before the shutdown get their answer.
    let mut late = Client::connect(address).await;
    let handle = fixture.handle.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    let answer = late.get("/").await;
    assert_eq!(answer.status, 200);
    assert!(idle.is_closed().await);
    assert!(!shutdown.is_finished(), "a request is in flight");
    backend.state.release.add_permits(1);
    let answer = busy.answer(true).await;
    assert_eq!((answer.status, answer.text()), (200, "a"));
    assert!(busy.is_closed().await);
    tokio::time::timeout(PATIENCE, shutdown).await.expect("in time").expect("no panic");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "still listening");
    fixture.handle.shutdown().await;
}

#[tokio::test]
async fn shutdown_is_bounded() {
    let backend = Backend::http("a").await;
    let brief = Options { shutdown_grace: Duration::from_millis(50), ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), brief);
    let mut client = fixture.client().await;
    client.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&backend, 1).await;
    tokio::time::timeout(PATIENCE, fixture.handle.shutdown()).await.expect("bounded");
    assert!(client.try_answer(true).await.map_or(true, |answer| answer.status == 502));
}

#[tokio::test]
async fn a_closed_listener_lets_its_clients_go() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let address = fixture.address().await;
    let mut client = fixture.client().await;
    assert_eq!(client.get("/").await.status, 200);
    fixture.change(|s| s.load_balancers[0].listeners.clear());
    assert!(client.is_closed().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    fixture.change(|s| s.load_balancers = serving(group(&[])).load_balancers);
    let report = fixture.next_report().await;
    assert!(matches!(report, Report::ListenerBound { .. }), "{report:?}");
    assert_eq!(fixture.client().await.get("/").await.status, 200);
}
