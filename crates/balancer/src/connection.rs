//! One connection to a target: sockets, buffers, and the state of being idle or in use.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::group::GroupState;
use crate::target::{Registration, TargetState};

/// Room for the head of an ordinary answer; grows up to the limit for answer heads.
const INPUT_BYTES: usize = 8 * 1024;
/// A piece of a large body.
const BODY_PIECE_BYTES: usize = 64 * 1024;
/// The way to the target and back within a region: a reset that is on its way is here by then.
const BOUNCES_WITHIN: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(15)];

/// A connection to a target. HTTP/1.1, one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    address: SocketAddr,
    /// Served a request before: the target may close it at any moment without being at fault.
    pub(crate) reused: bool,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) deadline: Deadline,
    idle_since: Instant,
    /// Fires when the target is gone and this connection must not go on.
    cut: oneshot::Receiver<()>,
    _registration: Registration,
    _counted: Counted,
}

impl Connection {
    pub(crate) async fn open(
        target: &Arc<TargetState>,
        address: SocketAddr,
        group: &Arc<GroupState>,
        shard: usize,
    ) -> io::Result<Box<Self>> {
        let (registration, cut) = target.register()?;
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Box::new(Self {
            socket,
            address,
            reused: false,
            input: Input::default(),
            output: Output::default(),
            deadline: Deadline::after(Duration::from_secs(60)),
            idle_since: Instant::now(),
            cut,
            _registration: registration,
            _counted: Counted::new(group, shard),
        }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    pub(crate) fn rest(&mut self, now: Instant) {
        self.idle_since = now;
        self.reused = true;
    }

    /// Nothing arrived while it was idle: neither its end nor bytes nobody asked for. Costs no system call unless
    /// something did arrive.
    pub(crate) fn is_quiet(&self) -> bool {
        let nothing = self.socket.try_read(&mut [0]);
        self.input.is_empty() && nothing.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// After the target closed its side: whether what was sent came back as a reset, which may take another moment.
    pub(crate) async fn is_bounced(&self) -> bool {
        let bounced = || !matches!(self.socket.take_error(), Ok(None));
        for pause in BOUNCES_WITHIN {
            if bounced() {
                return true;
            }
            tokio::time::sleep(pause).await;
        }
        bounced()
    }

    /// Writes what stands in `output`.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); 3];
            let count = self.output.slices(&mut slices);
            let socket = Pin::new(&mut self.socket);
            let written = if count == 1 {
                ready!(socket.poll_write(cx, &slices[0]))?
            } else {
                ready!(socket.poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more into `input`; zero means that the target closed its side.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        let mut room = ReadBuf::new(self.input.room());
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.input.end += read;
        Poll::Ready(Ok(read))
    }

    /// Reads a piece of at most `limit` bytes that does not pass through `input`, which must be empty.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>, limit: u64) -> Poll<io::Result<Bytes>> {
        self.poll_cut(cx)?;
        // Only now is it worth a buffer: wait for readiness first.
        ready!(self.socket.poll_read_ready(cx))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(BODY_PIECE_BYTES);
        let mut piece = BytesMut::with_capacity(limit);
        loop {
            match self.socket.try_read_buf(&mut (&mut piece).limit(limit)) {
                Ok(_) => return Poll::Ready(Ok(piece.freeze())),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.socket.poll_read_ready(cx))?,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// An error once the target is gone from the snapshot.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.cut).poll(cx) {
            Poll::Ready(_) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

/// After an upgrade the connection is a plain stream of bytes.
impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        if !self.input.is_empty() {
            let early = self.input.bytes();
            let count = early.len().min(buf.remaining());
            buf.put_slice(&early[..count]);
            self.input.consume(count);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Bytes read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Takes at most `limit` bytes out.
    pub(crate) fn take(&mut self, limit: u64) -> Bytes {
        let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.end - self.start);
        let taken = Bytes::copy_from_slice(&self.bytes()[..count]);
        self.consume(count);
        taken
    }

    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize((self.buffer.len() * 2).max(INPUT_BYTES), 0);
            }
        }
        &mut self.buffer[self.end..]
    }
}

/// Bytes to write: some head, then a piece of body without copying it, then the end of its chunk.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Written by the encoder while the rest is empty.
    pub(crate) head: Vec<u8>,
    written: usize,
    data: Bytes,
    tail: &'static [u8],
    /// How many pieces went out since the request began.
    pub(crate) writes: u32,
}

impl Output {
    /// Forgets what was not written and begins with a new head.
    pub(crate) fn reset(&mut self) {
        self.head.clear();
        self.written = 0;
        self.data = Bytes::new();
        self.tail = &[];
        self.writes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.head.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Adds a piece of body behind the head; the piece before it must be written.
    pub(crate) fn push(&mut self, data: Bytes, tail: &'static [u8]) {
        debug_assert!(self.data.is_empty() && self.tail.is_empty(), "a piece is still being written");
        (self.data, self.tail) = (data, tail);
    }

    /// The head buffer for adding to it, emptied first if it was written.
    pub(crate) fn head(&mut self) -> &mut Vec<u8> {
        if self.written == self.head.len() {
            self.head.clear();
            self.written = 0;
        }
        &mut self.head
    }

    /// Whether a piece of body waits to be written.
    pub(crate) fn has_piece(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty()
    }

    fn slices<'a>(&'a self, out: &mut [io::IoSlice<'a>; 3]) -> usize {
        let mut count = 0;
        for part in [&self.head[self.written..], &self.data, self.tail] {
            if !part.is_empty() {
                out[count] = io::IoSlice::new(part);
                count += 1;
            }
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.writes = self.writes.saturating_add(1);
        let head = count.min(self.head.len() - self.written);
        self.written += head;
        count -= head;
        let data = count.min(self.data.len());
        self.data.advance(data);
        self.tail = &self.tail[count - data..];
    }
}

/// Counts a connection to a target as open while it lives.
struct Counted {
    group: Arc<GroupState>,
    shard: usize,
}

impl Counted {
    fn new(group: &Arc<GroupState>, shard: usize) -> Self {
        let counters = &group.counters[shard];
        counters.new_connections.fetch_add(1, Relaxed);
        counters.active_connections.fetch_add(1, Relaxed);
        Self { group: Arc::clone(group), shard }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.group.counters[self.shard].active_connections.fetch_sub(1, Relaxed);
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A connection and the target's end of it.
    async fn pair() -> (Box<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (target, group) = (TargetState::new("t", 1, 1), GroupState::new("tg", 1));
        let opening = Connection::open(&target, address, &group, 0);
        let (connection, accepted) = tokio::join!(opening, listener.accept());
        (connection.expect("connect"), accepted.expect("accept").0)
    }

    async fn send_and_read(connection: &mut Connection) -> usize {
        connection.output.head.extend_from_slice(b"request");
        poll_fn(|cx| connection.poll_flush(cx)).await.expect("written");
        poll_fn(|cx| connection.poll_fill(cx)).await.expect("read")
    }

    #[tokio::test]
    async fn what_a_closed_target_gets_comes_back() {
        let (mut connection, target) = pair().await;
        drop(target);
        assert_eq!(send_and_read(&mut connection).await, 0);
        assert!(connection.is_bounced().await);
        assert_eq!(connection.output.writes, 1);
    }

    #[tokio::test]
    async fn what_was_read_does_not_come_back() {
        let (mut connection, mut target) = pair().await;
        let reading = async {
            target.read_exact(&mut [0; 7]).await.expect("request");
            drop(target);
        };
        let (read, ()) = tokio::join!(send_and_read(&mut connection), reading);
        assert_eq!(read, 0);
        assert!(!connection.is_bounced().await);
    }
}
