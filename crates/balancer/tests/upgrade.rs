//! Upgraded connections: bytes pass both ways and the target stays in flight.

mod support;

use support::backend::{Backend, read_head};
use support::{Fixture, PATIENCE, group, serving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Answers with 101 and the first bytes in one write, then echoes.
async fn echo() -> Backend {
    Backend::each_connection(|mut stream, state| async move {
        let head = read_head(&mut stream).await;
        state.requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(
            head.contains("Connection: Upgrade\r\n") && head.contains("upgrade: websocket\r\n"),
            "{head}"
        );
        assert!(head.contains("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{head}");
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: x\r\n\r\nhello";
        stream.write_all(answer).await.expect("write");
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

#[tokio::test]
async fn bytes_pass_both_ways() {
    let backend = echo().await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    let answer = client.send(UPGRADE).await;
    assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some("x")));
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("Upgrade")));
    let mut hello = [0; 5];
    client.stream.read_exact(&mut hello).await.expect("hello");
    assert_eq!(&hello, b"hello");
    for message in [&b"\x81\x02hi"[..], b"\x88\x00"] {
        client.write(message).await;
        let mut back = vec![0; message.len()];
        client.stream.read_exact(&mut back).await.expect("echo");
        assert_eq!(back, message);
    }
    fixture.in_flight(&backend, 1).await;
    client.stream.shutdown().await.expect("shutdown");
    assert!(client.is_closed().await);
    fixture.in_flight(&backend, 0).await;
}

#[tokio::test]
async fn tunnels_end_with_their_target() {
    let backend = echo().await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    assert_eq!(client.send(UPGRADE).await.status, 101);
    client.stream.read_exact(&mut [0; 5]).await.expect("hello");
    fixture.in_flight(&backend, 1).await;
    fixture.change(|s| s.target_groups[0].targets.clear());
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_target_may_decline() {
    let backend = Backend::http("no").await;
    let mut fixture = Fixture::start(serving(group(&[&backend])));
    let mut client = fixture.client().await;
    let answer = client.send(UPGRADE).await;
    assert_eq!((answer.status, answer.text()), (200, "no"));
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn idle_tunnels_are_closed() {
    let backend = echo().await;
    let fast = capstan_balancer::Options {
        time_scale: 1000,
        io_timeout_min: std::time::Duration::from_millis(700),
        ..support::options()
    };
    let mut fixture = Fixture::with(serving(group(&[&backend])), fast);
    let mut client = fixture.client().await;
    assert_eq!(client.send(UPGRADE).await.status, 101);
    client.stream.read_exact(&mut [0; 5]).await.expect("hello");
    let closed = tokio::time::timeout(PATIENCE, client.is_closed()).await.expect("in time");
    assert!(closed, "and nothing was written into the tunnel");
}
