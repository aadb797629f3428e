//! A client that writes what it is given and reads one answer after the other.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use super::PATIENCE;

/// One connection, HTTP/1.1.
pub(crate) struct Client {
    pub(crate) stream: BufStream<TcpStream>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufStream::new(TcpStream::connect(address).await.expect("connect")) }
    }

    /// Sends a GET; the answer.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await
    }

    pub(crate) async fn get_host(&mut self, host: &str, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
    }

    /// Sends these bytes; the answer to them.
    pub(crate) async fn send(&mut self, request: &str) -> Answer {
        self.write(request.as_bytes()).await;
        self.answer(!request.starts_with("HEAD")).await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("write");
        self.stream.flush().await.expect("flush");
    }

    /// Reads an answer.
    pub(crate) async fn answer(&mut self, with_body: bool) -> Answer {
        let answer = self.try_answer(with_body);
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
    }

    pub(crate) async fn try_answer(&mut self, with_body: bool) -> std::io::Result<Answer> {
        let head = self.head().await?;
        let status =
            head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status in {head:?}"));
        let mut answer = Answer { status, head, body: Vec::new() };
        if !with_body || matches!(status, 204 | 304) || status < 200 {
            return Ok(answer);
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().expect("a length")];
            self.stream.read_exact(&mut answer.body).await?;
        } else if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend(chunk);
            }
        } else {
            self.stream.read_to_end(&mut answer.body).await?;
        }
        Ok(answer)
    }

    pub(crate) async fn head(&mut self) -> std::io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        Ok(String::from_utf8(head).expect("UTF-8"))
    }

    /// The next chunk of a chunked body; `None` for the last.
    pub(crate) async fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.stream.read_u8().await?);
        }
        let size = std::str::from_utf8(&line).expect("UTF-8").trim_end();
        let mut chunk = vec![0; usize::from_str_radix(size, 16).expect("a size")];
        self.stream.read_exact(&mut chunk).await?;
        self.stream.read_exact(&mut [0; 2]).await?;
        Ok(Some(chunk).filter(|c| !c.is_empty()))
    }

    /// Whether the other side closed without sending anything more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut [0])).await.expect("the end in time");
        matches!(read, Ok(0) | Err(_))
    }
}
