//! The request's body on its way to the target.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

use crate::connection::Connection;
use crate::request_head::chunk_size;

/// What is kept of a body to send it once more, when a connection turns out to be dead before the answer began.
const REPLAY_MAX_BYTES: usize = 64 * 1024;

/// A body being sent. Nothing is read from the client before the piece before it has been written.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Incoming,
    chunked: bool,
    /// The client's last piece was taken.
    ended: bool,
    /// What was taken, while it can be replayed.
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// More was taken than is kept.
    overflowed: bool,
    /// Pieces of `kept` already sent on the present connection.
    sent: usize,
    /// The closing chunk was written on the present connection.
    closed: bool,
}

/// Which side failed.
#[derive(Debug)]
pub(crate) enum UploadError {
    Client,
    Target,
}

impl Upload {
    pub(crate) fn new(body: Incoming, chunked: bool) -> Self {
        Self {
            body,
            chunked,
            ended: false,
            kept: Vec::new(),
            kept_bytes: 0,
            overflowed: false,
            sent: 0,
            closed: false,
        }
    }

    /// Whether the whole of it can be sent again on another connection.
    pub(crate) fn is_replayable(&self) -> bool {
        !self.overflowed
    }

    /// Whether nothing of it has been taken from the client.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.overflowed && self.kept.is_empty() && !self.ended
    }

    /// Begins again on another connection.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
        self.closed = false;
    }

    /// Gives up replaying: the answer has begun.
    pub(crate) fn forget(&mut self) {
        self.overflowed = true;
        // In the middle of a replay the rest is still to be sent.
        self.kept.drain(..self.sent);
        self.sent = 0;
    }

    /// Sends on; ready when all is written. Reports progress through `moved`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        moved: &mut bool,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            if connection.output.has_piece() || self.is_written() {
                ready!(connection.poll_flush(cx)).map_err(|_| UploadError::Target)?;
            }
            if self.is_written() {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(piece) = self.poll_piece(cx) else {
                // The head goes out even while the client has not sent any of the body.
                ready!(connection.poll_flush(cx)).map_err(|_| UploadError::Target)?;
                return Poll::Pending;
            };
            *moved = true;
            match piece? {
                Some(piece) if self.chunked => {
                    chunk_size(connection.output.head(), piece.len());
                    connection.output.push(piece, b"\r\n");
                }
                Some(piece) => connection.output.push(piece, b""),
                None => {
                    self.closed = true;
                    if self.chunked {
                        connection.output.push(Bytes::new(), b"0\r\n\r\n");
                    }
                }
            }
        }
    }

    fn is_written(&self) -> bool {
        self.closed
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, UploadError>> {
        if let Some(piece) = self.kept.get(self.sent) {
            self.sent += 1;
            return Poll::Ready(Ok(Some(piece.clone())));
        }
        while !self.ended {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.ended = true,
                Some(Err(_)) => return Poll::Ready(Err(UploadError::Client)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => {
                        self.keep(&piece);
                        return Poll::Ready(Ok(Some(piece)));
                    }
                    // Trailers are not forwarded.
                    Err(_) => {}
                },
            }
        }
        Poll::Ready(Ok(None))
    }

    fn keep(&mut self, piece: &Bytes) {
        if self.overflowed {
            return;
        }
        if self.kept_bytes + piece.len() > REPLAY_MAX_BYTES {
            return self.forget();
        }
        self.kept_bytes += piece.len();
        self.kept.push(piece.clone());
        self.sent += 1;
    }
}
