//! A target as the data plane sees it: what survives one snapshot after the other.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::connection::Connection;

/// Idle connections kept for each worker and target; more are closed after use.
const IDLE_MAX: usize = 1024;

/// Runtime state of one (target group, target id, port).
#[derive(Debug)]
pub(crate) struct TargetState {
    pub(crate) id: String,
    pub(crate) port: u16,
    /// Requests that hold this target. Raised *before* `closed` is read, so that whoever sets `closed` and then reads
    /// zero knows that no request is on its way: hence the sequentially consistent order of both.
    in_flight: AtomicUsize,
    /// Draining or gone: takes no new request and keeps no idle connection.
    closed: AtomicBool,
    /// Gone from the snapshot: what is still in flight is cut.
    gone: AtomicBool,
    /// Idle connections of each worker. A worker touches only its own, so the locks are free unless a target closes.
    #[expect(clippy::vec_box, reason = "connections move on and off for each request and are large")]
    idle: Box<[Mutex<Vec<Box<Connection>>>]>,
    /// All open connections, to be cut when the target is gone.
    open: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    next_connection: AtomicU64,
}

impl TargetState {
    pub(crate) fn new(id: &str, port: u16, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            port,
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            idle: std::iter::repeat_with(Mutex::default).take(shards).collect(),
            open: Mutex::default(),
            next_connection: AtomicU64::new(0),
        })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Holds the target for a request; `None` when it takes no more.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let held = InFlight(Arc::clone(self));
        (!self.is_closed()).then_some(held)
    }

    /// Takes new requests again, after a draining target was registered once more.
    pub(crate) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Takes no new requests from now on; those in flight go on.
    pub(crate) fn close(&self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.forget_idle();
        }
    }

    /// Cuts what is still in flight.
    pub(crate) fn cut(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.close();
        for cut in std::mem::take(&mut *lock(&self.open)).into_values() {
            // An error means that the connection ended just now.
            let _ = cut.send(());
        }
    }

    fn forget_idle(&self) {
        for shard in &self.idle {
            let idle = std::mem::take(&mut *lock(shard));
            drop(idle);
        }
    }

    /// An idle connection to `address` that still looks alive, the most recently used first.
    pub(crate) fn check_out(
        &self,
        shard: usize,
        address: SocketAddr,
        idle_timeout: Duration,
    ) -> Option<Box<Connection>> {
        loop {
            let connection = lock(&self.idle[shard]).pop()?;
            if connection.address() == address
                && connection.idle_for(Instant::now()) < idle_timeout
                && connection.is_quiet()
            {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, unless the target is closed.
    pub(crate) fn check_in(&self, shard: usize, mut connection: Box<Connection>) {
        connection.rest(Instant::now());
        let mut idle = lock(&self.idle[shard]);
        // Read under the lock: `close` sets the flag first and empties the lists afterwards.
        if !self.is_closed() && idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    /// Closes connections that have been idle for too long or were closed by the target.
    pub(crate) fn sweep(&self, idle_timeout: Duration, now: Instant) {
        for shard in &self.idle {
            let mut idle = lock(shard);
            let (keep, drop_these) = std::mem::take(&mut *idle)
                .into_iter()
                .partition(|c| c.idle_for(now) < idle_timeout && c.is_quiet());
            *idle = keep;
            drop(idle);
            drop::<Vec<_>>(drop_these);
        }
    }

    /// Makes a new connection known; the receiver fires when it is to be cut.
    pub(crate) fn register(self: &Arc<Self>) -> io::Result<(Registration, oneshot::Receiver<()>)> {
        let key = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let (cut, receiver) = oneshot::channel();
        lock(&self.open).insert(key, cut);
        let registration = Registration { target: Arc::clone(self), key };
        // Read after the entry is there: `cut` sets the flag first and looks for entries afterwards.
        if self.is_gone() {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok((registration, receiver))
        }
    }
}

/// Keeps a connection known to its target; dropped with it.
#[derive(Debug)]
pub(crate) struct Registration {
    target: Arc<TargetState>,
    key: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.target.open).remove(&self.key);
    }
}

/// A request that holds a target.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<TargetState>);

impl InFlight {
    pub(crate) fn target(&self) -> &Arc<TargetState> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Locks even after a panic elsewhere: every critical section here leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
