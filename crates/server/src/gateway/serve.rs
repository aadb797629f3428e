//! Accepting and serving connections.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::api::Shared;
use super::request_ids::RequestIds;
use super::{Backend, Limits};

/// The server of one port.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    pub limits: Limits,
}

impl Gateway {
    /// Serves HTTP/1.1 and HTTP/2 (with prior knowledge) until `stop` is ready; then lets running requests end.
    pub async fn serve<B: Backend>(self, listener: TcpListener, backend: B, stop: impl Future<Output = ()>) {
        let stop_timeout = self.limits.stop_timeout;
        let builder = Arc::new(builder(&self.limits));
        let shared = Arc::new(Shared { backend, limits: self.limits, ids: RequestIds::default() });
        let (stopping, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            match accepted {
                Ok((stream, source)) => {
                    let (builder, shared, stopped) = (builder.clone(), shared.clone(), stopped.clone());
                    connections.spawn(connection(stream, source, builder, shared, stopped));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors: the next attempt would fail at once, too.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        drop(stopping);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(stop_timeout, all).await.is_err() {
            tracing::warn!("connections are cut off: their requests did not end in time");
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        // Answers to pipelined requests leave together.
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(250)
        .keep_alive_interval(limits.head_timeout);
    builder
}

async fn connection<B: Backend>(
    stream: TcpStream,
    source: SocketAddr,
    builder: Arc<auto::Builder<TokioExecutor>>,
    shared: Arc<Shared<B>>,
    mut stopped: watch::Receiver<()>,
) {
    let ready = tokio::select! {
        ready = prepare(&stream, shared.limits.head_timeout) => ready,
        _ = stopped.changed() => return,
    };
    if ready.is_err() {
        return;
    }
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.handle(source, request).await) }
    });
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut until_stop = pin!(stopped.changed());
    let mut is_stopping = false;
    let served = poll_fn(|cx| {
        if !is_stopping && until_stop.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx)
    });
    if let Err(error) = served.await {
        // Clients go away as they like.
        tracing::debug!(%source, error, "a connection ended early");
    }
}

/// Waits for the first byte: which protocol a connection speaks is not known before, and only then do that protocol's
/// own time limits begin.
async fn prepare(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    tokio::time::timeout(timeout, stream.peek(&mut [0])).await??;
    Ok(())
}
