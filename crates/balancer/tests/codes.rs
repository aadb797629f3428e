//! Answers that the load balancer gives itself, code by code (ALB guide, load-balancer-troubleshooting).

mod support;

use std::time::Duration;

use capstan_balancer::Options;
use capstan_balancer::snapshot::ProtocolVersion;
use support::backend::{Backend, refusing};
use support::client::Client;
use support::{Fixture, group, options, serving, target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bad_targets_become_502() {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(33 * 1024));
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nConten",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        &large,
    ] {
        let backend = Backend::answering(answer).await;
        let mut fixture = Fixture::start(serving(group(&[&backend])));
        let mut client = fixture.client().await;
        let got = client.get("/").await;
        assert_eq!((got.status, got.header("server")), (502, Some("awselb/2.0")), "{answer:?}");
        assert!(got.text().contains("<title>502 Bad Gateway</title>"), "{}", got.text());
        let sent = if answer.is_empty() { 3 } else { 1 };
        assert_eq!(backend.state.requests(), sent, "{answer:?}");
        // The client's connection is as good as before.
        assert_eq!(client.get("/").await.status, 502);
        let counters = fixture.counters("lb");
        assert_eq!((counters.httpcode_elb_502, counters.httpcode_elb_5xx, counters.request_count), (2, 2, 2));
    }
    let mut tg = group(&[]);
    tg.targets.push(target(refusing().await));
    let mut fixture = Fixture::start(serving(tg));
    assert_eq!(fixture.client().await.get("/").await.status, 502);
}

#[tokio::test]
async fn no_targets_is_503() {
    let mut fixture = Fixture::start(serving(group(&[])));
    let mut client = fixture.client().await;
    let got = client.get("/").await;
    assert_eq!(got.status, 503);
    assert!(got.text().contains("<title>503 Service Temporarily Unavailable</title>"), "{}", got.text());
    let backend = Backend::http("a").await;
    fixture.change(|s| {
        s.target_groups[0].targets =
            vec![capstan_balancer::snapshot::Target { draining: true, ..backend.target() }]
    });
    assert_eq!(client.get("/").await.status, 503, "draining only");
    fixture.change(|s| {
        s.target_groups[0].targets =
            vec![capstan_balancer::snapshot::Target { address: None, ..backend.target() }]
    });
    assert_eq!(client.get("/").await.status, 503, "not reachable yet");
    let counters = fixture.counters("lb");
    assert_eq!((counters.httpcode_elb_503, counters.request_count), (3, 0));
    fixture.change(|s| s.target_groups[0].targets = vec![backend.target()]);
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn silence_is_504() {
    let backend = Backend::http("a").await;
    let fast = Options { time_scale: 1000, io_timeout_min: Duration::from_millis(100), ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), fast);
    let mut client = fixture.client().await;
    let got = client.get("/hold").await;
    assert_eq!(got.status, 504);
    assert!(got.text().contains("<title>504 Gateway Time-out</title>"), "{}", got.text());
    assert_eq!(fixture.counters("lb").httpcode_elb_504, 1);
}

#[tokio::test]
async fn idle_clients_are_let_go() {
    let backend = Backend::http("a").await;
    let fast = Options { time_scale: 1000, io_timeout_min: Duration::from_millis(700), ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), fast);
    let mut silent = fixture.client().await;
    let mut served = fixture.client().await;
    assert_eq!(served.get("/").await.status, 200);
    assert!(served.is_closed().await);
    assert!(silent.is_closed().await);
    let mut slow = fixture.client().await;
    slow.write(b"GET / HTTP/1.1\r\nHo").await;
    assert_eq!(slow.answer(true).await.status, 408);
    assert!(slow.is_closed().await);
}

#[tokio::test]
async fn refuses_what_load_balancers_refuse() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let address = fixture.address().await;
    let header =
        |size: usize| format!("GET / HTTP/1.1\r\nHost: test\r\nX-Large: {}\r\n\r\n", "y".repeat(size));
    let many = |count: usize| {
        let lines: String = (0..count).map(|i| format!("X-{i}: {}\r\n", "y".repeat(8000))).collect();
        format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
    };
    let xff = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {}\r\n\r\n", vec!["1.1.1.1"; count].join(","))
    };
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n".into(), 400),
        ("NOT A REQUEST\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("TRACE / HTTP/1.1\r\nHost: test\r\n\r\n".into(), 405),
        ("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(), 501),
        (format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "y".repeat(17_000)), 414),
        (header(15_000), 200),
        (header(17_000), 400),
        (header(200_000), 400),
        (many(7), 200),
        (many(9), 400),
        (xff(30), 200),
        (xff(31), 463),
        ("GET / HTTP/1.0\r\n\r\n".into(), 200),
        ("GET / HTTP/1.2\r\nHost: test\r\n\r\n".into(), 505),
        ("GET / HTTP/2.0\r\nHost: test\r\n\r\n".into(), 505),
        ("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\n\r\n".into(), 501),
        ("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n".into(), 400),
        ("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".into(), 400),
        ("CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n".into(), 405),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{3}\u{3}".into(), 400),
        ("\0".repeat(300_000), 400),
        ("y".repeat(300_000), 414),
    ] {
        let mut client = Client::connect(address).await;
        let (mut reader, mut writer) = tokio::io::split(&mut client.stream);
        // What is refused early may not be read to its end.
        let sending = async {
            let _ = writer.write_all(request.as_bytes()).await;
            let _ = writer.flush().await;
        };
        let mut status = [0; 12];
        let (_, read) = tokio::join!(sending, reader.read_exact(&mut status));
        read.unwrap_or_else(|e| panic!("{e} for {:?}", &request[..request.len().min(60)]));
        let status = String::from_utf8_lossy(&status);
        assert!(
            status.ends_with(&expected.to_string()),
            "{status} for {:?}",
            &request[..request.len().min(60)]
        );
    }
    let mut client = Client::connect(address).await;
    let page = client.send("GET / HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n").await;
    assert_eq!((page.status, page.header("server")), (400, Some("awselb/2.0")));
    assert!(page.text().contains("<title>400 Bad Request</title>"), "{}", page.text());
}

#[tokio::test]
async fn other_protocol_versions_are_464() {
    let backend = Backend::http("a").await;
    let tg = capstan_balancer::snapshot::TargetGroup {
        protocol_version: ProtocolVersion::Grpc,
        ..group(&[&backend])
    };
    let mut fixture = Fixture::start(serving(tg));
    assert_eq!(fixture.client().await.get("/").await.status, 464);
}

#[tokio::test]
async fn clients_that_leave_are_460() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    client.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    fixture.in_flight(&backend, 1).await;
    drop(client);
    fixture.in_flight(&backend, 0).await;
    assert_eq!(fixture.counters("lb").httpcode_elb_4xx, 1);
}

/// Everything that comes until the other side ends the connection.
async fn all(client: &mut Client) -> String {
    let mut bytes = Vec::new();
    let read = client.stream.read_to_end(&mut bytes);
    tokio::time::timeout(support::PATIENCE, read).await.expect("the end in time").expect("no reset");
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn what_is_not_http_gets_a_page() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    for garbage in ["garbage", "GET / HT", "\u{16}\u{3}\u{1}", "GET /\r\n"] {
        let mut client = fixture.client().await;
        client.write(garbage.as_bytes()).await;
        client.stream.get_mut().shutdown().await.expect("shutdown");
        let page = all(&mut client).await;
        assert!(
            page.starts_with("HTTP/1.1 400 Bad Request\r\nServer: awselb/2.0\r\n"),
            "{garbage:?}: {page}"
        );
        assert_eq!(fixture.counters("lb").httpcode_elb_4xx, 1, "{garbage:?}");
    }
    // Behind a request that is in order, even in one piece with it.
    let mut client = fixture.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\ngarbage\r\n\r\n").await;
    assert_eq!(client.answer(true).await.text(), "a");
    let page = client.answer(true).await;
    assert_eq!((page.status, page.header("server")), (400, Some("awselb/2.0")));
    assert!(client.is_closed().await);
    // A target's own answer is its own, however much it looks like one of those.
    let plain = Backend::answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    fixture.change(|s| s.target_groups[0].targets = vec![plain.target()]);
    let mut client = fixture.client().await;
    let answer = client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("server"), answer.text()), (400, None, ""));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn http2_without_tls_can_be_switched_off() {
    let backend = Backend::http("a").await;
    let mut snapshot = serving(group(&[&backend]));
    snapshot.load_balancers[0].attributes.http2 = false;
    let mut fixture = Fixture::start(snapshot);
    let mut client = fixture.client().await;
    let page = client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!((page.status, page.header("server")), (505, Some("awselb/2.0")));
}

#[tokio::test]
async fn refusals_reach_clients_that_are_still_sending() {
    let mut fixture = Fixture::start(serving(group(&[])));
    let address = fixture.address().await;
    let mut client = Client::connect(address).await;
    let (mut reader, mut writer) = tokio::io::split(&mut client.stream);
    let body = vec![b'x'; 1_000_000];
    let sending = async {
        let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
        writer.write_all(head.as_bytes()).await.expect("head");
        let _ = writer.write_all(&body).await;
        let _ = writer.flush().await;
    };
    let mut status = [0; 12];
    let (_, read) = tokio::join!(sending, reader.read_exact(&mut status));
    read.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 503");
}

#[tokio::test]
async fn bodies_that_fall_short_are_504() {
    let backend = Backend::http("a").await;
    let fast = Options { time_scale: 1000, io_timeout_min: Duration::from_millis(200), ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), fast);
    let mut client = fixture.client().await;
    client.write(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc").await;
    // The target would begin its answer with what there is.
    let answer = client.try_answer(true).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 504));
}

#[tokio::test]
async fn an_idle_connection_ends_without_a_page() {
    let backend = Backend::http("a").await;
    let fast = Options { time_scale: 1000, io_timeout_min: Duration::from_millis(300), ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), fast);
    let mut client = fixture.client().await;
    // The body comes in a piece of its own.
    client.write(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n").await;
    fixture.in_flight(&backend, 1).await;
    client.write(b"hello").await;
    assert_eq!(client.answer(true).await.text(), "hello");
    assert_eq!(all(&mut client).await, "");
    assert_eq!(fixture.counters("lb").httpcode_elb_4xx, 0);
}
