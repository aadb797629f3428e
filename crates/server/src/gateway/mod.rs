//! The HTTP front: one port for every service. Bytes become typed requests here, and answers bytes.
//!
//! A request is decoded on the task of its connection, handed to the [`Backend`], and its answer is encoded on the same
//! task; so a slow client or a large body holds up nobody else.

mod api;
mod body;
mod coverage;
mod request_ids;
mod serve;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use capstan_shapes::{Refusal, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

pub use capstan_wire::RequestId;
pub use coverage::Coverage;
pub use serve::Gateway;

/// Who calls, as far as the request tells. Nothing in here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Of the signature; `None` when the request is not signed.
    pub access_key: Option<String>,
    /// Of the signature's credential scope: `us-east-1`.
    pub region: Option<String>,
    pub source: SocketAddr,
    /// Empty when the client tells none.
    pub user_agent: String,
}

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response's body: whole, as the API's are, or streamed.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What stands behind the gateway.
pub trait Backend: Clone + Send + Sync + 'static {
    /// An API call. The request has passed its schema.
    fn call(
        &self,
        caller: Caller,
        request: Request,
    ) -> impl Future<Output = (RequestId, Result<Response, Refusal>)> + Send;

    /// Everything that is no API call: paths that start with `/_`, hosts of load balancers
    /// (`*.elb.localhost`), upgrades, browsers. The body is not read yet.
    fn other(
        &self,
        source: SocketAddr,
        request: hyper::Request<Incoming>,
    ) -> impl Future<Output = hyper::Response<Body>> + Send;
}

/// What a client may ask for, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of an API call's body, also after decompression.
    pub body_bytes: usize,
    /// Of a request to S3; larger objects come in parts.
    pub object_bytes: usize,
    /// Of a request's head, and of what is buffered of a connection.
    pub head_bytes: usize,
    pub headers: usize,
    /// From the start of a connection, or from the first byte of a later request, to the end of its head. Idle
    /// connections are closed after the same time.
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    /// For running requests, once the gateway stops.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A mebibyte of log events or messages, and what JSON and base64 add to it.
            body_bytes: 4 << 20,
            // Clients upload in parts from 8 or 16 MiB on; S3's own limit of 5 GiB would have to fit in memory.
            object_bytes: 100 << 20,
            head_bytes: 64 << 10,
            headers: 100,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// A body that is there as a whole.
pub fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
