//! The client's socket as hyper sees it: with the idle timeout, with the load balancer's own page for what could not be
//! parsed, and with an end that does not take the last answer away.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Task, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::deadline::Deadline;
use crate::front::FrontState;
use crate::pages;
use crate::proxy::{LINE_MAX_BYTES, is_known_coding};

/// What is kept of the head of a request, to tell what is wrong with it: the longest request line, and some headers.
const HEAD_KEPT_BYTES: usize = 2 * LINE_MAX_BYTES;
/// How long a client may go on sending what nobody reads, once its answer is out. Closing at once would reset the
/// connection, and a reset takes away an answer that the client has not read yet.
const LINGER: Duration = Duration::from_secs(2);
/// How a connection in HTTP/2 begins.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct FrontStream {
    io: TcpStream,
    state: Arc<FrontState>,
    idle_timeout: Duration,
    /// Moved at every byte.
    deadline: Deadline,
    /// The idle timeout passed once while a request was in progress.
    overdue: bool,
    /// Bytes that came before anybody owned them.
    early_bytes: u64,
    /// The beginning of the request that is coming in.
    head: Vec<u8>,
    http2: Http2,
    /// The connection ends although the client may send more.
    hasty: bool,
    /// Everything was said, and the client's end is awaited.
    lingers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http2 {
    Refused,
    /// If the connection begins with it.
    Allowed,
    Spoken,
}

impl FrontStream {
    pub(crate) fn new(io: TcpStream, state: Arc<FrontState>, idle_timeout: Duration, http2: bool) -> Self {
        Self {
            io,
            state,
            idle_timeout,
            deadline: Deadline::after(idle_timeout),
            overdue: false,
            early_bytes: 0,
            head: Vec::new(),
            http2: if http2 { Http2::Allowed } else { Http2::Refused },
            hasty: false,
            lingers: false,
        }
    }

    fn moved(&mut self, bytes: usize) {
        let known = self.state.idle_timeout_millis.load(Relaxed);
        if known > 0 {
            self.idle_timeout = Duration::from_millis(known);
        }
        self.deadline.set(Instant::now() + self.idle_timeout);
        self.overdue = false;
        let bytes = self.early_bytes + bytes as u64;
        self.early_bytes = if self.state.count_bytes(bytes) { 0 } else { bytes };
    }

    /// Keeps what belongs to the head of a request.
    fn keep(&mut self, bytes: &[u8]) {
        if self.http2 == Http2::Spoken || self.state.busy.load(Relaxed) > 0 {
            return;
        }
        if !self.state.unread.swap(true, Relaxed) {
            self.head.clear();
        }
        let room = HEAD_KEPT_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether part of a request came, and nobody answers it.
    fn is_mid_head(&self) -> bool {
        self.http2 != Http2::Spoken
            && self.state.busy.load(Relaxed) == 0
            && self.state.unread.load(Relaxed)
            // Some clients send a line end too many.
            && !self.head.trim_ascii().is_empty()
    }

    /// Answers what never became a request; the connection ends with it.
    fn refuse(&mut self, status: u16) {
        self.state.count(status);
        self.hasty = true;
        // Nothing else is being written, so there is room.
        if let Ok(bytes) = self.io.try_write(&pages::raw(status)) {
            self.state.count_bytes(bytes as u64);
        }
    }

    /// Ready when the connection has to end because nothing moved. A request in progress has an idle timeout of its
    /// own, towards the target; only a client that does not read its answer is left, and gets the same again.
    fn poll_idle(&mut self, cx: &mut Task<'_>) -> Poll<()> {
        ready!(self.deadline.poll(cx));
        if self.state.busy.load(Relaxed) > 0 {
            if !std::mem::replace(&mut self.overdue, true) {
                self.deadline.set(Instant::now() + self.idle_timeout);
                return self.deadline.poll(cx);
            }
        } else if self.is_mid_head() {
            self.refuse(408);
        }
        Poll::Ready(())
    }

    /// Whether these bytes are hyper's own answer to something it could not parse. Every other answer was announced.
    fn is_parse_error(&self, bytes: &[u8]) -> bool {
        let announced = self.state.answering.load(Relaxed) && self.state.answering.swap(false, Relaxed);
        !announced
            && self.http2 != Http2::Spoken
            && self.state.busy.load(Relaxed) == 0
            && bytes.len() <= 160
            && bytes.ends_with(b"\r\n\r\n")
            && [&b"HTTP/1.1 400 "[..], b"HTTP/1.1 414 ", b"HTTP/1.1 431 "]
                .iter()
                .any(|h| bytes.starts_with(h))
    }

    /// Reads on, for a while, what the client still sends; nobody looks at it.
    fn poll_linger(&mut self, cx: &mut Task<'_>) -> Poll<()> {
        let mut room = [MaybeUninit::uninit(); 4096];
        loop {
            let mut scratch = ReadBuf::uninit(&mut room);
            match Pin::new(&mut self.io).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(())) if !scratch.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.deadline.poll(cx),
            }
        }
    }
}

/// The status that tells what is wrong with the head of a request which could not be parsed (ALB guide,
/// load-balancer-troubleshooting).
fn fault(head: &[u8]) -> u16 {
    let head = head.trim_ascii_start();
    let mut lines = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let request = lines.next().unwrap_or_default();
    if request.len() > LINE_MAX_BYTES {
        return 414;
    }
    let version = request.rsplit(|b| *b == b' ').next().unwrap_or_default();
    if let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version
        && major.is_ascii_digit()
        && minor.is_ascii_digit()
        && !matches!((major, minor), (b'1', b'0' | b'1'))
    {
        return 505;
    }
    let coding = lines.find_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        line[..colon].eq_ignore_ascii_case(b"transfer-encoding").then(|| &line[colon + 1..])
    });
    if coding.is_some_and(|coding| !is_known_coding(coding)) { 501 } else { 400 }
}

impl AsyncRead for FrontStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // The end of the stream for hyper, and so of the connection.
        let Poll::Ready(outcome) = Pin::new(&mut self.io).poll_read(cx, buf) else {
            return self.poll_idle(cx).map(Ok);
        };
        let bytes = &buf.filled()[before..];
        if bytes.is_empty() {
            if outcome.is_ok() && self.is_mid_head() {
                let status = fault(&self.head);
                self.refuse(status);
            }
            return Poll::Ready(outcome);
        }
        self.moved(bytes.len());
        self.keep(bytes);
        if self.http2 != Http2::Spoken && self.head.starts_with(HTTP2_PREFACE) {
            if self.http2 == Http2::Refused {
                self.refuse(505);
                buf.set_filled(before);
                return Poll::Ready(Ok(()));
            }
            self.http2 = Http2::Spoken;
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for FrontStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_parse_error(buf) {
            let status = fault(&self.head);
            self.refuse(status);
            return Poll::Ready(Ok(buf.len()));
        }
        match Pin::new(&mut self.io).poll_write(cx, buf) {
            Poll::Ready(outcome) => {
                self.moved(*outcome.as_ref().unwrap_or(&0));
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        self.state.answering.store(false, Relaxed);
        match Pin::new(&mut self.io).poll_write_vectored(cx, bufs) {
            Poll::Ready(outcome) => {
                self.moved(*outcome.as_ref().unwrap_or(&0));
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_idle(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
        if self.hasty || self.state.hasty.load(Relaxed) {
            if !std::mem::replace(&mut self.lingers, true) {
                self.deadline.set(Instant::now() + LINGER);
            }
            ready!(self.poll_linger(cx));
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults() {
        let long = format!("GET /{} HTTP/1.1\r\n", "y".repeat(LINE_MAX_BYTES));
        for (head, expected) in [
            ("garbage", 400),
            ("\0\0\0", 400),
            ("", 400),
            ("GET /\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("\r\nGET / HTTP/1.2\r\n", 505),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING: gzip\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", 400),
            (&long, 414),
            (&long[..LINE_MAX_BYTES + 9], 414),
        ] {
            assert_eq!(fault(head.as_bytes()), expected, "{:?}", &head[..head.len().min(40)]);
        }
    }
}
