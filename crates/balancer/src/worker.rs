//! Workers: a thread and a single-threaded runtime for each core, so that a connection's tasks never change cores.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::mpsc;

use crate::front;
use crate::listener::ListenerState;
use crate::shared::{Context, Shared};

/// A connection that was just accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<ListenerState>,
}

/// The way to the workers. They end when this is dropped.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    connections: Arc<AtomicUsize>,
    sender: mpsc::UnboundedSender<Accepted>,
}

impl Workers {
    /// Starts `count` workers. The receiver ends when all of them have ended.
    pub(crate) fn start(count: usize, shared: &Arc<Shared>) -> io::Result<(Self, mpsc::Receiver<()>)> {
        let (alive, ended) = mpsc::channel(1);
        let mut workers = Vec::with_capacity(count);
        for shard in 0..count {
            let (sender, receiver) = mpsc::unbounded_channel();
            let connections = Arc::new(AtomicUsize::new(0));
            let context = Context { shared: Arc::clone(shared), shard };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let (counter, alive) = (Arc::clone(&connections), alive.clone());
            std::thread::Builder::new().name(format!("balancer-{shard}")).spawn(move || {
                runtime.block_on(run(context, receiver, counter));
                drop(runtime);
                drop(alive);
            })?;
            workers.push(Worker { connections, sender });
        }
        Ok((Self(workers), ended))
    }

    /// Gives a connection to the worker that has the fewest.
    pub(crate) fn hand_over(&self, accepted: Accepted) {
        let Some(worker) = self.0.iter().min_by_key(|w| w.connections.load(Relaxed)) else { return };
        worker.connections.fetch_add(1, Relaxed);
        // Fails only when the worker's thread died, and then the connection closes.
        let _ = worker.sender.send(accepted);
    }
}

async fn run(
    context: Context,
    mut receiver: mpsc::UnboundedReceiver<Accepted>,
    connections: Arc<AtomicUsize>,
) {
    while let Some(Accepted { stream, peer, listener }) = receiver.recv().await {
        let served = Served(Arc::clone(&connections));
        match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => {
                let serving = front::serve(context.clone(), stream, peer, listener);
                tokio::spawn(async move {
                    let _served = served;
                    serving.await;
                });
            }
            Err(error) => tracing::warn!(%error, "failed to take over a connection"),
        }
    }
}

/// Counts a connection of a worker while it lives.
struct Served(Arc<AtomicUsize>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
