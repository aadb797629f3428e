//! Targets that misbehave: what is safe to send once more is, and nothing else.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstan_balancer::Options;
use capstan_balancer::snapshot::Target;
use support::backend::{Backend, Hung, read_head, read_request, refusing, reset};
use support::client::Client;
use support::{Fixture, group, options, serving, target};
use tokio::io::AsyncWriteExt;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a target does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misbehaviour {
    /// Reads the request and closes.
    Closes,
    /// Reads the request and resets the connection.
    Resets,
    /// Closes without reading, which the client's side sees as a reset.
    Ignores,
    /// Sends the beginning of an answer and closes.
    Stutters,
    /// Sends an interim answer and closes.
    Continues,
}
use Misbehaviour::{Closes, Continues, Ignores, Resets, Stutters};

impl Misbehaviour {
    async fn carry_out(self, mut stream: tokio::net::TcpStream) {
        if self == Ignores {
            let _ = stream.readable().await;
            return;
        }
        read_request(&mut stream).await;
        match self {
            Resets => reset(stream),
            Stutters => stream.write_all(b"HTTP/1.1 200 O").await.expect("write"),
            Continues => stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.expect("write"),
            Closes | Ignores => {}
        }
    }
}

/// A target that answers so many requests of each connection and then misbehaves.
async fn bad(misbehaviour: Misbehaviour, good_requests: usize) -> Backend {
    Backend::each_connection(move |mut stream, state| async move {
        for _ in 0..good_requests {
            read_request(&mut stream).await;
            stream.write_all(OK).await.expect("write");
        }
        if matches!(stream.peek(&mut [0]).await, Ok(1)) {
            state.requests.fetch_add(1, SeqCst);
            misbehaviour.carry_out(stream).await;
        }
    })
    .await
}

const REQUESTS: [(&str, &str); 8] = [
    ("GET", ""),
    ("HEAD", ""),
    ("OPTIONS", ""),
    ("DELETE", ""),
    ("PUT", "abc"),
    ("POST", ""),
    ("POST", "abc"),
    ("PATCH", "abc"),
];

fn request(method: &str, body: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn answers_that_never_began_are_asked_for_elsewhere() {
    for misbehaviour in [Closes, Resets, Ignores, Stutters, Continues] {
        for (method, body) in REQUESTS {
            let bad = bad(misbehaviour, 0).await;
            let good = Backend::http("good").await;
            let mut fixture = Fixture::start(serving(group(&[&bad, &good])));
            let answer = fixture.client().await.send(&request(method, body)).await;
            let began = matches!(misbehaviour, Stutters | Continues);
            let repeated = !began && !matches!(method, "POST" | "PATCH");
            assert_eq!(
                (answer.status, bad.state.requests(), good.state.requests()),
                if repeated { (200, 1, 1) } else { (502, 1, 0) },
                "{method} {body:?}, target {misbehaviour:?}"
            );
            let counters = fixture.counters("lb");
            assert_eq!((counters.request_count, counters.httpcode_elb_502), (1, u64::from(!repeated)));
        }
    }
}

#[tokio::test]
async fn a_closing_race_costs_no_idempotent_request() {
    // On a connection that served before. What was sent is repeated only if that does no harm.
    for (misbehaviour, method, body, repeated) in [
        (Ignores, "GET", "", true),
        (Ignores, "POST", "", false),
        (Ignores, "POST", "abc", false),
        (Closes, "PUT", "abc", true),
        (Closes, "POST", "", false),
        (Closes, "POST", "abc", false),
    ] {
        let bad = bad(misbehaviour, 1).await;
        let mut fixture = Fixture::start(serving(group(&[&bad])));
        let mut client = fixture.client().await;
        assert_eq!(client.get("/").await.text(), "ok");
        // The only target: it is asked again, on a connection of its own.
        let answer = client.send(&request(method, body)).await;
        let expected = if repeated { 200 } else { 502 };
        assert_eq!(answer.status, expected, "{method} {body:?}, target {misbehaviour:?}");
        assert_eq!(bad.state.connections.load(SeqCst), 1 + usize::from(repeated));
    }
}

#[tokio::test]
async fn a_request_that_brings_targets_down_does_not_reach_all_of_them() {
    let mut backends = Vec::new();
    for _ in 0..6 {
        backends.push(bad(Closes, 0).await);
    }
    let mut fixture = Fixture::start(serving(group(&backends.iter().collect::<Vec<_>>())));
    assert_eq!(fixture.client().await.get("/").await.status, 502);
    let mut seen: Vec<usize> = backends.iter().map(|backend| backend.state.requests()).collect();
    seen.sort_unstable();
    assert_eq!(seen, [0, 0, 0, 1, 1, 1]);
    // The only target gets it as often.
    let only = bad(Closes, 0).await;
    fixture.change(|s| s.target_groups[0].targets = vec![only.target()]);
    assert_eq!(fixture.client().await.get("/").await.status, 502);
    assert_eq!(only.state.requests(), 3);
}

#[tokio::test]
async fn refusals_do_not_count_as_sent() {
    let good = Backend::http("good").await;
    let mut tg = group(&[]);
    for _ in 0..6 {
        tg.targets.push(target(refusing().await));
    }
    tg.targets.push(good.target());
    let mut fixture = Fixture::start(serving(tg));
    let answer = fixture.client().await.send(&request("POST", "abc")).await;
    assert_eq!((answer.status, good.state.requests()), (200, 1));
    assert_eq!(fixture.counters("tg").target_connection_error_count, 6);
}

#[tokio::test]
async fn large_bodies_are_sent_once() {
    let bad = bad(Closes, 0).await;
    let good = Backend::http("good").await;
    let mut fixture = Fixture::start(serving(group(&[&bad, &good])));
    let mut client = fixture.client().await;
    assert_eq!(client.send(&request("PUT", &"x".repeat(100_000))).await.status, 502);
    assert_eq!((bad.state.requests(), good.state.requests()), (1, 0));
}

#[tokio::test]
async fn bodies_on_their_way_are_repeated_whole() {
    // The target ends while the client is still sending: the rest follows what is kept.
    let bad = Backend::each_connection(|mut stream, state| async move {
        read_head(&mut stream).await;
        let mut part = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut part).await.expect("part");
        state.requests.fetch_add(1, SeqCst);
    })
    .await;
    let good = Backend::http("good").await;
    let mut fixture = Fixture::start(serving(group(&[&bad, &good])));
    let mut client = fixture.client().await;
    client.write(b"PUT /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc").await;
    fixture.in_flight(&good, 1).await;
    client.write(b"def").await;
    assert_eq!(client.answer(true).await.text(), "abcdef");
    assert_eq!((bad.state.requests(), good.state.requests()), (1, 1));
}

#[tokio::test]
async fn a_target_that_ends_while_it_drains_loses_no_idempotent_request() {
    let old = Backend::each_connection(|mut stream, state| async move {
        read_request(&mut stream).await;
        state.requests.fetch_add(1, SeqCst);
        let _released = state.release.acquire().await;
    })
    .await;
    let new = Backend::http("new").await;
    let mut fixture = Fixture::start(serving(group(&[&old])));
    let mut client = fixture.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&old, 1).await;
    fixture.change(|s| {
        s.target_groups[0].targets = vec![Target { draining: true, ..old.target() }, new.target()];
    });
    old.state.release.add_permits(1);
    assert_eq!(client.answer(true).await.text(), "new");
}

#[tokio::test]
async fn an_instance_that_is_gone_loses_no_idempotent_request() {
    let gone = Backend::http("gone").await;
    let mut fixture = Fixture::start(serving(group(&[&gone])));
    let other = Backend::http("other").await;
    let mut client = fixture.client().await;
    client.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&gone, 1).await;
    // Registered still, and nowhere to be reached.
    fixture.change(|s| {
        s.target_groups[0].targets = vec![Target { address: None, ..gone.target() }, other.target()];
    });
    other.state.release.add_permits(1);
    gone.stop().await;
    assert_eq!(client.answer(true).await.text(), "other");
}

#[tokio::test]
async fn what_waits_for_a_connection_does_not_go_to_a_draining_target() {
    let hung = Hung::start().await;
    let new = Backend::http("new").await;
    let mut fixture = Fixture::start(serving(group(&[])));
    fixture.change(|s| s.target_groups[0].targets = vec![target(hung.address)]);
    let mut client = fixture.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let (id, port) = (hung.address.ip().to_string(), hung.address.port());
    while fixture.handle.in_flight("tg", &id, port) == 0 {
        tokio::task::yield_now().await;
    }
    fixture.change(|s| {
        s.target_groups[0].targets = vec![Target { draining: true, ..target(hung.address) }, new.target()];
    });
    // Now it takes connections; the one of the request comes to nothing.
    let seen = hung.serve();
    assert_eq!(client.answer(true).await.text(), "new");
    assert_eq!(seen.load(SeqCst), 0);
}

#[tokio::test]
async fn connections_that_are_not_made_are_504() {
    let hung = Hung::start().await;
    let fast = Options { time_scale: 1000, io_timeout_min: Duration::from_millis(100), ..options() };
    let mut fixture = Fixture::with(serving(group(&[])), fast);
    fixture.change(|s| s.target_groups[0].targets = vec![target(hung.address)]);
    assert_eq!(fixture.client().await.get("/").await.status, 504);
    let counters = fixture.counters("lb");
    assert_eq!((counters.httpcode_elb_504, counters.target_connection_error_count), (1, 1));
}

/// What each target of [`any_mixture_of_misbehaviour`] does with a request: a number for (request, target).
fn fate(seed: u64, request: u64, target: u64) -> Option<Misbehaviour> {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (request << 8) ^ target;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    match (mixed ^ (mixed >> 31)) % 8 {
        0 => Some(Closes),
        1 => Some(Resets),
        2 => Some(Ignores),
        _ => None,
    }
}

/// Whatever targets do: a request that must not be done twice is done once at most, none goes to a target a second time,
/// and what may be repeated fails only when it was sent as often as is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_mixture_of_misbehaviour() {
    const TARGETS: u64 = 5;
    const REQUESTS: u64 = 60;
    for seed in 0..8u64 {
        // Request → the targets that read it, in order.
        let read: Arc<Mutex<BTreeMap<u64, Vec<u64>>>> = Arc::default();
        let mut backends = Vec::new();
        for number in 0..TARGETS {
            let read = Arc::clone(&read);
            let backend = Backend::each_connection(move |mut stream, _| {
                let read = Arc::clone(&read);
                async move {
                    loop {
                        // The path is the request's number; looking at it is not reading it.
                        let mut peeked = [0; 32];
                        let Ok(count @ 1..) = stream.peek(&mut peeked).await else { return };
                        let text = String::from_utf8_lossy(&peeked[..count]);
                        let path = text.split(' ').nth(1).unwrap_or_default();
                        let id =
                            path.trim_start_matches('/').parse().expect("a number in the first 32 bytes");
                        let fate = fate(seed, id, number);
                        if fate != Some(Ignores) {
                            read_request(&mut stream).await;
                            read.lock().expect("lock").entry(id).or_default().push(number);
                        }
                        match fate {
                            None => stream.write_all(OK).await.expect("write"),
                            Some(Resets) => return reset(stream),
                            Some(_) => return,
                        }
                    }
                }
            });
            backends.push(backend.await);
        }
        let mut fixture = Fixture::start(serving(group(&backends.iter().collect::<Vec<_>>())));
        let address = fixture.address().await;
        let mut clients = tokio::task::JoinSet::new();
        for first in 0..4 {
            clients.spawn(async move {
                let mut client = Client::connect(address).await;
                let mut answers = Vec::new();
                for id in (first..REQUESTS).step_by(4) {
                    let (method, body) =
                        [("GET", ""), ("PUT", "abc"), ("POST", ""), ("POST", "abc")][id as usize / 4 % 4];
                    let length = body.len();
                    let text = format!(
                        "{method} /{id} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    answers.push((id, method, client.send(&text).await.status));
                }
                answers
            });
        }
        while let Some(answers) = clients.join_next().await {
            for (id, method, status) in answers.expect("no client fails") {
                let readers = read.lock().expect("lock").get(&id).cloned().unwrap_or_default();
                let mut distinct = readers.clone();
                distinct.sort_unstable();
                distinct.dedup();
                let told = format!("seed {seed}, {method} /{id}: {status}, read by {readers:?}");
                assert_eq!(distinct.len(), readers.len(), "twice to one target: {told}");
                let answered = readers.last().is_some_and(|last| fate(seed, id, *last).is_none());
                assert_eq!(status == 200, answered, "{told}");
                if method == "POST" {
                    assert!(readers.len() <= 1, "{told}");
                } else if status != 200 {
                    assert_eq!(status, 502, "{told}");
                    let failing = (0..TARGETS).filter(|t| fate(seed, id, *t).is_some()).count();
                    assert!(failing >= 3, "given up too early: {told}");
                }
            }
        }
    }
}
