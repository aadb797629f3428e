//! Connections after an upgrade: bytes both ways until one side ends, nothing moves for the idle timeout, or the
//! target is gone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Connection;
use crate::front::Busy;
use crate::shared::Context;
use crate::target::InFlight;

/// Both ends of a tunnel.
pub(crate) struct Ends {
    pub(crate) client: OnUpgrade,
    /// Keeps the client's connection from being taken for idle.
    pub(crate) busy: Busy,
    pub(crate) target: Box<Connection>,
    /// The target stays in flight while the tunnel lives.
    pub(crate) held: InFlight,
}

/// Joins the client and the target once the 101 is out.
pub(crate) fn spawn(context: &Context, ends: Ends, idle_timeout: Duration) {
    let task = context.shared.tasks.enter();
    tokio::spawn(async move {
        let Ends { client, busy, mut target, held } = ends;
        let _kept = (task, busy, held);
        let Ok(upgraded) = client.await else { return };
        let moved = Moved::default();
        let mut client = Watched { io: TokioIo::new(upgraded), moved: moved.clone() };
        tokio::select! {
            // How it ended does not matter: both sides learn it by the end of their connection.
            _ = tokio::io::copy_bidirectional(&mut client, &mut target) => {}
            () = moved.idle(idle_timeout) => {}
        }
    });
}

/// When bytes last moved.
#[derive(Clone)]
struct Moved {
    origin: Instant,
    millis: Arc<AtomicU64>,
}

impl Default for Moved {
    fn default() -> Self {
        Self { origin: Instant::now(), millis: Arc::default() }
    }
}

impl Moved {
    fn now(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Relaxed);
    }

    /// Returns when nothing has moved for `timeout`.
    async fn idle(&self, timeout: Duration) {
        loop {
            let until = self.origin + Duration::from_millis(self.millis.load(Relaxed)) + timeout;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until.into()).await;
        }
    }
}

/// The client's side: what is read goes to the target, what is written comes from it, so both directions pass here.
struct Watched<T> {
    io: T,
    moved: Moved,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if outcome.is_ready() {
            self.moved.now();
        }
        outcome
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        if outcome.is_ready() {
            self.moved.now();
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
