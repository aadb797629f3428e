//! Requests through the balancer: bodies, headers, retries, error pages.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use capstan_balancer::snapshot::Algorithm;
use capstan_balancer::{Options, Snapshot};
use support::backend::{Backend, read_head, refusing};
use support::client::Client;
use support::{Fixture, group, options, serving, target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

#[tokio::test]
async fn forwards_headers_and_bodies_on_kept_connections() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    let head = client
        .send("GET /head?q=1 HTTP/1.1\r\nHost: Test:80\r\nX-Mine: 1\r\nConnection: keep-alive\r\n\r\n")
        .await;
    for expected in [
        "GET /head?q=1\n",
        r#""host": "test:80""#,
        r#""x-forwarded-for": "127.0.0.1""#,
        r#""x-forwarded-proto": "http""#,
    ] {
        assert!(head.text().contains(expected), "{}", head.text());
    }
    assert!(head.text().contains(r#""x-mine": "1""#) && head.text().contains(r#""x-forwarded-port": "80""#));
    assert!(!head.text().contains("connection"), "{}", head.text());
    let echo = client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!((echo.status, echo.text()), (200, "hello"));
    let chunked = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(client.send(chunked).await.text(), "abcde");
    let expect = "PUT /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    client.write(expect.as_bytes()).await;
    assert_eq!(client.answer(false).await.status, 100);
    client.write(b"ok").await;
    assert_eq!(client.answer(true).await.text(), "ok");
    let head_only = client.send("HEAD /any HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!((head_only.status, head_only.header("content-length")), (200, Some("1")));
    assert_eq!(client.get("/").await.text(), "a");
    // One connection in front, one worker: one connection behind.
    assert_eq!((backend.state.requests(), backend.state.connections.load(SeqCst)), (6, 1));
    let counters = fixture.counters("lb");
    assert_eq!(
        (counters.request_count, counters.httpcode_target_2xx, counters.new_connection_count),
        (6, 6, 2)
    );
    assert_eq!((counters.target_response_time.count, counters.active_connection_count), (6, 2));
    assert_eq!(fixture.counters("tg").request_count, 0, "taken with the others");
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let address = fixture.address().await;
    let body: Vec<u8> = (0..5_000_000u32).map(|i| (i % 251) as u8).collect();
    for chunked in [false, true] {
        let client = Client::connect(address).await;
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let framing = if chunked {
            "Transfer-Encoding: chunked".into()
        } else {
            format!("Content-Length: {}", body.len())
        };
        let sent = body.clone();
        let sending = tokio::spawn(async move {
            let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{framing}\r\n\r\n");
            writer.write_all(head.as_bytes()).await.expect("head");
            if chunked {
                for piece in sent.chunks(70_001) {
                    writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.expect("size");
                    writer.write_all(piece).await.expect("chunk");
                    writer.write_all(b"\r\n").await.expect("end");
                }
                writer.write_all(b"0\r\n\r\n").await.expect("last chunk");
            } else {
                writer.write_all(&sent).await.expect("body");
            }
            writer.flush().await.expect("flush");
            writer
        });
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.expect("answer");
        let _writer = sending.await.expect("sent");
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        let got = if chunked { dechunked(&answer[head..]) } else { answer[head..].to_vec() };
        assert!(got == body, "{} bytes", got.len());
    }
}

fn dechunked(mut coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = coded.iter().position(|b| *b == b'\n').expect("a size line");
        let size = std::str::from_utf8(&coded[..end]).expect("UTF-8").trim();
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return body;
        }
        body.extend(&coded[end + 1..end + 1 + size]);
        coded = &coded[end + 1 + size + 2..];
    }
}

#[tokio::test]
async fn chunks_arrive_as_they_are_sent() {
    let more = Arc::new(Notify::new());
    let script = Arc::clone(&more);
    let backend = Backend::each_connection(move |mut stream, state| {
        let more = Arc::clone(&script);
        async move {
            read_head(&mut stream).await;
            state.requests.fetch_add(1, SeqCst);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                .await
                .expect("write");
            more.notified().await;
            stream.write_all(b"6;x=y\r\nsecond\r\n0\r\nTrailer: 1\r\n\r\n").await.expect("write");
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("write");
        }
    })
    .await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    client.head().await.expect("head");
    assert_eq!(client.chunk().await.expect("chunk").as_deref(), Some(&b"first"[..]));
    fixture.in_flight(&backend, 1).await;
    more.notify_one();
    assert_eq!(client.chunk().await.expect("chunk").as_deref(), Some(&b"second"[..]));
    assert_eq!(client.chunk().await.expect("chunk"), None);
    // The connection behind was given back in good order.
    assert_eq!(client.get("/").await.status, 204);
    assert_eq!(backend.state.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn refused_connections_are_retried_elsewhere() {
    let backend = Backend::http("alive").await;
    let mut tg = group(&[&backend]);
    tg.targets.push(target(refusing().await));
    tg.targets.push(target(refusing().await));
    let mut fixture = Fixture::start(serving(tg));
    let mut client = fixture.client().await;
    for _ in 0..12 {
        let answer = client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!((answer.status, answer.text()), (200, "hi"));
    }
    let counters = fixture.counters("tg");
    assert_eq!((counters.request_count, counters.httpcode_target_2xx), (12, 12));
    assert!(counters.target_connection_error_count >= 12, "{counters:?}");
}

#[tokio::test]
async fn bodies_that_break_off_break_off_in_front() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(client.try_answer(true).await.is_err());
    let until_close = Backend::answering("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    fixture.change(|s| s.target_groups[0].targets = vec![until_close.target()]);
    assert_eq!(fixture.client().await.get("/").await.text(), "all of it");
}

#[tokio::test]
async fn slow_clients_block_nobody() {
    let backend = Backend::http("a").await;
    let one_worker = Options { workers: 1, ..options() };
    let mut fixture = Fixture::with(serving(group(&[&backend])), one_worker);
    let address = fixture.address().await;
    let mut slow_sender = Client::connect(address).await;
    slow_sender.write(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nhal").await;
    let mut slow_reader = Client::connect(address).await;
    let body = "z".repeat(20_000_000);
    let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    slow_reader.write(head.as_bytes()).await;
    // Far more than all buffers between here and the target and back: stuck until somebody reads.
    let stuck = tokio::spawn(async move {
        slow_reader.write(body.as_bytes()).await;
        slow_reader
    });
    fixture.in_flight(&backend, 2).await;
    let mut client = Client::connect(address).await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.text(), "a");
    }
    assert!(!stuck.is_finished());
    stuck.abort();
    slow_sender.write(b"f.\n").await;
    assert_eq!(slow_sender.answer(true).await.text(), "half.\n");
}

#[tokio::test]
async fn http2_without_tls() {
    let backend = Backend::http("a").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let stream = tokio::net::TcpStream::connect(fixture.address().await).await.expect("connect");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("handshake");
    tokio::spawn(connection);
    let mut pending = Vec::new();
    for i in 0..20 {
        let request = hyper::Request::post("http://Test.example/echo")
            .header("cookie", "a=1")
            .body(http_body_util::Full::new(bytes::Bytes::from(format!("body {i}"))))
            .expect("request");
        pending.push(sender.send_request(request));
    }
    for (i, answer) in pending.into_iter().enumerate() {
        let body = http_body_util::BodyExt::collect(answer.await.expect("answer")).await.expect("body");
        assert_eq!(body.to_bytes(), format!("body {i}"));
    }
}

#[tokio::test]
async fn least_outstanding_avoids_busy_targets() {
    let (a, b) = (Backend::http("a").await, Backend::http("b").await);
    let mut tg = group(&[&a, &b]);
    tg.algorithm = Algorithm::LeastOutstandingRequests;
    let mut fixture = Fixture::start(Snapshot { ..serving(tg) });
    let mut holding = fixture.client().await;
    holding.write(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let busy = async {
        loop {
            for backend in [&a, &b] {
                if backend.state.requests() == 1 {
                    return backend;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let busy = tokio::time::timeout(support::PATIENCE, busy).await.expect("a busy target");
    let mut client = fixture.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(busy.state.requests(), 1);
    busy.state.release.add_permits(1);
    assert_eq!(holding.answer(true).await.status, 200);
}

#[tokio::test]
async fn connections_closed_while_idle_are_not_used() {
    let closed = Arc::new(Notify::new());
    let script = Arc::clone(&closed);
    let backend = Backend::each_connection(move |mut stream, _| {
        let closed = Arc::clone(&script);
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("write");
            drop(stream);
            closed.notify_one();
        }
    })
    .await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    for n in 1..=5 {
        // A POST would not be repeated.
        let answer = client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(answer.status, 200, "request {n}");
        tokio::time::timeout(support::PATIENCE, closed.notified()).await.expect("closed");
    }
    assert_eq!(backend.state.connections.load(SeqCst), 5);
}
