//! A deadline that is moved at every byte and costs a timer only when it comes near.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Moving it stores an instant; the timer itself is set anew only when it fires too early.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, sleep: Box::pin(tokio::time::sleep(timeout)) }
    }

    pub(crate) fn set(&mut self, at: Instant) {
        if at < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(at.into());
        }
        self.at = at;
    }

    /// Ready when the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline().into_std() >= self.at {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.at.into());
        }
    }
}
