//! A load generator: keep-alive connections that each send one request after the other and time every answer.
//!
//! It speaks raw HTTP/1.1 over TCP, because on a machine with few cores a generator that works costs the server its
//! share. Servers that close the connection after each answer (Werkzeug's does) are met with a new one, and the time of
//! connecting counts as theirs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers larger than this are none that a benchmark asks for.
const ANSWER_MAX: usize = 1 << 20;

/// One request of the awsJson protocol for ECS, as it goes over the wire.
pub fn ecs_request(server: SocketAddr, operation: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: AmazonEC2ContainerServiceV20141113.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecs/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={:064}\r\nContent-Length: {length}\r\n\r\n{body}",
        0
    )
    .into_bytes()
}

/// What the connections saw together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub per_second: f64,
    /// Half of the answers took no longer, and 99 of 100.
    pub p50: Duration,
    pub p99: Duration,
    pub answers: usize,
    /// Answers other than 200, and connections that broke.
    pub failed: usize,
}

/// Sends that request over so many connections for a while, after a warm-up that is not measured.
pub async fn run(server: SocketAddr, request: &[u8], connections: usize, span: Duration) -> Load {
    let begin = Instant::now() + span / 5;
    let end = begin + span;
    let clients: Vec<_> =
        (0..connections).map(|_| tokio::spawn(client(server, request.to_vec(), begin, end))).collect();
    let (mut times, mut failed) = (Vec::new(), 0);
    for client in clients {
        let (own, own_failed) = client.await.unwrap_or((Vec::new(), 1));
        times.extend(own);
        failed += own_failed;
    }
    times.sort_unstable();
    let answers = times.len();
    let at = |percent: usize| times.get((answers * percent / 100).min(answers.saturating_sub(1))).copied();
    Load {
        per_second: answers as f64 / span.as_secs_f64(),
        p50: at(50).unwrap_or_default(),
        p99: at(99).unwrap_or_default(),
        answers,
        failed,
    }
}

/// One connection's measured times, and how many requests failed.
async fn client(
    server: SocketAddr,
    request: Vec<u8>,
    begin: Instant,
    end: Instant,
) -> (Vec<Duration>, usize) {
    let (mut times, mut failed, mut connection) = (Vec::new(), 0, None);
    loop {
        let start = Instant::now();
        if start >= end {
            return (times, failed);
        }
        let answered = exchange(&mut connection, server, &request).await;
        let now = Instant::now();
        match answered {
            Ok(200) if start >= begin && now < end => times.push(now - start),
            Ok(200) => {}
            Ok(_) => failed += 1,
            Err(_) => {
                failed += 1;
                connection = None;
            }
        }
    }
}

/// Sends a request and reads the answer to its end; gives the status. The connection is kept if the server keeps it.
async fn exchange(
    connection: &mut Option<TcpStream>,
    server: SocketAddr,
    request: &[u8],
) -> std::io::Result<u16> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    stream.write_all(request).await?;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match Head::read(&buffer) {
            Some(head) if buffer.len() >= head.ends_at + head.length => {
                if head.keeps {
                    *connection = Some(stream);
                }
                return Ok(head.status);
            }
            _ if buffer.len() > ANSWER_MAX => return Err(std::io::ErrorKind::InvalidData.into()),
            _ => {}
        }
    }
}

/// What is needed of an answer's head.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    ends_at: usize,
    /// Bytes of the body.
    length: usize,
    keeps: bool,
}

impl Head {
    /// `None` while it is not whole, or cannot be read.
    fn read(bytes: &[u8]) -> Option<Self> {
        let ends_at = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..ends_at]).ok()?;
        let mut lines = text.split("\r\n");
        let (version, rest) = lines.next()?.split_once(' ')?;
        let status = rest.get(..3)?.parse().ok()?;
        let mut head = Self { status, ends_at, length: 0, keeps: version == "HTTP/1.1" };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("connection") {
                head.keeps = value.eq_ignore_ascii_case("keep-alive");
            }
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heads() {
        let check = |text: &str, expect: Option<(u16, usize, usize, bool)>| {
            let head = Head::read(text.as_bytes()).map(|h| (h.status, h.ends_at, h.length, h.keeps));
            assert_eq!(head, expect, "{text:?}");
        };
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Some((200, 38, 2, true)));
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", Some((200, 57, 2, false)));
        check("HTTP/1.0 404 Not Found\r\n\r\n", Some((404, 26, 0, false)));
        check("HTTP/1.1 200 OK\r\ncontent-", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", None);
        check("", None);
    }

    #[tokio::test]
    async fn counts_answers_and_failures() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 4096];
                let _read = stream.read(&mut bytes).await;
                let _sent = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                    .await;
            }
        });
        let request = ecs_request(server, "DescribeClusters", "{}");
        let load = run(server, &request, 2, Duration::from_millis(50)).await;
        assert!(load.answers > 0 && load.failed == 0, "{load:?}");
        assert!(load.p50 <= load.p99);
    }
}
