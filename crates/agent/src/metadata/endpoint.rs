//! The metadata endpoint of one instance: a loopback port of its own.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use capstan_model::{InstanceMetadata, Time};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Tokens, answer};

/// The engine's time.
pub type Now = Arc<dyn Fn() -> Time + Send + Sync>;

/// A running endpoint. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    view: watch::Sender<Arc<InstanceMetadata>>,
    /// Aborted on drop.
    _accepting: JoinSet<()>,
}

impl Endpoint {
    /// Opens a free port of 127.0.0.1. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The host has no port or descriptor left.
    pub fn start(view: InstanceMetadata, tokens: Tokens, now: Now) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let (view, views) = watch::channel(Arc::new(view));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, views, tokens, now));
        Ok(Self { address, view, _accepting: accepting })
    }

    /// `http://127.0.0.1:PORT`, as `AWS_EC2_METADATA_SERVICE_ENDPOINT` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with that from now on.
    pub fn show(&self, view: InstanceMetadata) {
        self.view.send_replace(Arc::new(view));
    }
}

async fn accept(
    listener: TcpListener,
    views: watch::Receiver<Arc<InstanceMetadata>>,
    tokens: Tokens,
    now: Now,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, views.clone(), tokens.clone(), now.clone()));
                }
                // Out of descriptors, most likely; it passes when connections close.
                Err(error) => {
                    tracing::warn!(%error, "metadata endpoint");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(stream: TcpStream, views: watch::Receiver<Arc<InstanceMetadata>>, tokens: Tokens, now: Now) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
        let view = views.borrow().clone();
        let told = answer(&view, &tokens, now(), request.method(), request.uri().path(), request.headers());
        Ok::<_, Infallible>(told.map(Full::new))
    });
    // A reader that goes away is no news.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
