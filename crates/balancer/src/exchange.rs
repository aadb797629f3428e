//! One request and the head of its answer on one connection.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};

use crate::connection::Connection;
use crate::response_head::{self, HeadError, ResponseHead};
use crate::upload::{Upload, UploadError};

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client broke off while sending.
    Client,
    /// The target ended the connection; `None` when its answer had begun.
    Closed(Option<Silence>),
    /// The answer makes no sense or its head is too large.
    Malformed,
    /// Nothing moved for the idle timeout.
    Timeout,
}

/// How a connection ended before the first byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// In good order.
    End,
    Reset,
}

/// What came of it.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    /// The whole request was sent; otherwise the upload has to be driven on beside the answer's body.
    pub(crate) sent: bool,
    /// From the end of sending (or its beginning, when the answer was faster) to the answer's head.
    pub(crate) took: Duration,
}

/// Sends what stands in the connection's output and the upload behind it, and waits for the head of the answer.
pub(crate) async fn exchange(
    connection: &mut Connection,
    upload: &mut Option<Upload>,
    method: &Method,
    idle_timeout: Duration,
) -> Result<Answer, Failure> {
    let began = Instant::now();
    connection.deadline.set(began + idle_timeout);
    let mut state = Exchange {
        connection,
        upload,
        method,
        idle_timeout,
        began,
        sent_at: None,
        answering: false,
        broken: false,
    };
    poll_fn(|cx| state.poll(cx)).await
}

struct Exchange<'a> {
    connection: &'a mut Connection,
    upload: &'a mut Option<Upload>,
    method: &'a Method,
    idle_timeout: Duration,
    began: Instant,
    sent_at: Option<Instant>,
    /// An interim answer came.
    answering: bool,
    /// Sending failed: there may be an answer all the same, such as a 413.
    broken: bool,
}

impl Exchange<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failure>> {
        if self.sent_at.is_none() && !self.broken {
            self.poll_send(cx)?;
        }
        if let Poll::Ready(outcome) = self.poll_head(cx) {
            return Poll::Ready(outcome);
        }
        self.connection.deadline.poll(cx).map(|()| Err(Failure::Timeout))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let mut moved = false;
        let sent = match self.upload {
            Some(upload) => upload.poll(cx, self.connection, &mut moved),
            None => self.connection.poll_flush(cx).map_err(|_| UploadError::Target),
        };
        match sent {
            Poll::Ready(Ok(())) if self.upload.is_none() => self.sent_at = Some(self.began),
            Poll::Ready(Ok(())) => {
                let now = Instant::now();
                self.sent_at = Some(now);
                self.connection.deadline.set(now + self.idle_timeout);
            }
            Poll::Ready(Err(UploadError::Client)) => return Err(Failure::Client),
            Poll::Ready(Err(UploadError::Target)) => self.broken = true,
            Poll::Pending if moved => self.connection.deadline.set(Instant::now() + self.idle_timeout),
            Poll::Pending => {}
        }
        Ok(())
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failure>> {
        loop {
            match self.connection.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.closed(Silence::End))),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(self.closed(Silence::Reset))),
                Poll::Ready(Ok(_)) => {}
            }
            if let Some(outcome) = self.parse() {
                return Poll::Ready(outcome);
            }
        }
    }

    fn closed(&self, how: Silence) -> Failure {
        Failure::Closed((self.connection.input.is_empty() && !self.answering).then_some(how))
    }

    fn parse(&mut self) -> Option<Result<Answer, Failure>> {
        loop {
            match response_head::parse(self.connection.input.bytes(), self.method) {
                Ok(None) => return None,
                Err(HeadError::Malformed | HeadError::TooLarge) => return Some(Err(Failure::Malformed)),
                Ok(Some((head, length))) => {
                    self.connection.input.consume(length);
                    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                        // Interim answers are not forwarded; `100 Continue` was given by the load balancer itself.
                        self.answering = true;
                        if self.connection.input.is_empty() {
                            return None;
                        }
                        continue;
                    }
                    let since = self.sent_at.unwrap_or(self.began);
                    return Some(Ok(Answer { head, sent: self.sent_at.is_some(), took: since.elapsed() }));
                }
            }
        }
    }
}
