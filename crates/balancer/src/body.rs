//! The bodies of answers: the load balancer's own, and those streamed from a target.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::chunked::Chunked;
use crate::connection::Connection;
use crate::front::Busy;
use crate::response_head::BodyKind;
use crate::target::InFlight;
use crate::upload::Upload;

/// The body of an answer.
#[derive(Debug)]
pub struct Body {
    kind: Kind,
    /// Keeps the client's connection busy until the answer is complete.
    busy: Option<Busy>,
}

#[derive(Debug)]
enum Kind {
    Full(Option<Bytes>),
    Streamed(Box<Streamed>),
}

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full(Some(bytes).filter(|b| !b.is_empty())), busy: None }
    }

    pub(crate) fn streamed(streamed: Streamed) -> Self {
        Self { kind: Kind::Streamed(Box::new(streamed)), busy: None }
    }

    pub(crate) fn hold(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Kind::Streamed(streamed) => streamed.poll_data(cx).map(|data| data.map(|d| d.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Streamed(streamed) => streamed.source.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Streamed(streamed) => match streamed.framing {
                Framing::Length(left) => SizeHint::with_exact(left),
                Framing::Chunked(_) | Framing::UntilClose => SizeHint::default(),
            },
        }
    }
}

/// A body that still comes from a target.
#[derive(Debug)]
pub(crate) struct Streamed {
    framing: Framing,
    /// The rest of the request, when the answer began before its end.
    upload: Option<Upload>,
    idle_timeout: Duration,
    keep_alive: bool,
    shard: usize,
    /// `None` once the body is complete.
    source: Option<(Box<Connection>, InFlight)>,
}

#[derive(Debug)]
enum Framing {
    Chunked(Chunked),
    Length(u64),
    UntilClose,
}

/// What a streamed body is made of.
pub(crate) struct StreamedParts {
    pub(crate) connection: Box<Connection>,
    pub(crate) held: InFlight,
    pub(crate) kind: BodyKind,
    pub(crate) keep_alive: bool,
    pub(crate) upload: Option<Upload>,
    pub(crate) idle_timeout: Duration,
    pub(crate) shard: usize,
}

impl Streamed {
    pub(crate) fn new(parts: StreamedParts) -> Self {
        let framing = match parts.kind {
            BodyKind::Chunked => Framing::Chunked(Chunked::default()),
            BodyKind::Length(length) => Framing::Length(length),
            BodyKind::UntilClose => Framing::UntilClose,
        };
        Self {
            framing,
            upload: parts.upload,
            idle_timeout: parts.idle_timeout,
            keep_alive: parts.keep_alive,
            shard: parts.shard,
            source: Some((parts.connection, parts.held)),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        let Some((connection, _)) = &mut self.source else { return Poll::Ready(None) };
        if let Some(upload) = &mut self.upload {
            let mut moved = false;
            match upload.poll(cx, connection, &mut moved) {
                Poll::Ready(outcome) => {
                    // A target that does not want the rest may say so by closing: its answer stands.
                    self.keep_alive &= outcome.is_ok();
                    self.upload = None;
                }
                Poll::Pending if moved => connection.deadline.set(Instant::now() + self.idle_timeout),
                Poll::Pending => {}
            }
        }
        let outcome = match self.framing.poll(cx, connection) {
            Poll::Pending => {
                ready!(connection.deadline.poll(cx));
                Err(io::ErrorKind::TimedOut.into())
            }
            Poll::Ready(outcome) => outcome,
        };
        match outcome {
            Ok(Some(data)) => {
                connection.deadline.set(Instant::now() + self.idle_timeout);
                if self.framing.is_complete() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(data)))
            }
            Ok(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Err(error) => {
                self.source = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Gives the connection back as soon as the target is done with it.
    fn finish(&mut self) {
        let Some((connection, held)) = self.source.take() else { return };
        if self.keep_alive && self.upload.is_none() {
            held.target().check_in(self.shard, connection);
        }
    }
}

impl Framing {
    fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// The next piece; `None` at the end.
    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<io::Result<Option<Bytes>>> {
        match self {
            Self::Chunked(chunked) => chunked.poll(cx, connection),
            Self::Length(0) => Poll::Ready(Ok(None)),
            Self::Length(left) => {
                let piece = ready!(piece(cx, connection, *left))?;
                if piece.is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                *left -= piece.len() as u64;
                Poll::Ready(Ok(Some(piece)))
            }
            Self::UntilClose => {
                let piece = ready!(piece(cx, connection, u64::MAX))?;
                Poll::Ready(Ok(Some(piece).filter(|p| !p.is_empty())))
            }
        }
    }
}

/// What was read already, else what comes next; empty at the end of the connection.
fn piece(cx: &mut Context<'_>, connection: &mut Connection, limit: u64) -> Poll<io::Result<Bytes>> {
    if connection.input.is_empty() {
        connection.poll_piece(cx, limit)
    } else {
        Poll::Ready(Ok(connection.input.take(limit)))
    }
}
