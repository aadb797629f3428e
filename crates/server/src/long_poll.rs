//! Receives that wait for a message: held back here, because the engine answers at once.
//!
//! A call is let go when its queue has something to give, when its time is over, or when the server stops. Under a manual
//! clock nothing is held, since time would not pass for it.

use capstan_engine::{Caller, Engine, sqs};
use capstan_model::Time;
use capstan_shapes::{Refusal, Request, Response};
use tokio::sync::oneshot;

/// A call and the way back to who made it.
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) request: Box<Request>,
    pub(crate) reply: oneshot::Sender<Result<Response, Refusal>>,
}

/// Calls that are held back, in the order in which they came.
pub(crate) struct LongPolls {
    waiting: Vec<Waiting>,
    /// Whether calls are held at all.
    open: bool,
}

struct Waiting {
    call: Call,
    queue: String,
    until: Time,
}

impl LongPolls {
    pub(crate) fn new(open: bool) -> Self {
        Self { waiting: Vec::new(), open }
    }

    /// Holds the call back, or gives it back when it is to be made at once.
    pub(crate) fn hold(&mut self, engine: &Engine, now: Time, call: Call) -> Option<Call> {
        if !self.open {
            return Some(call);
        }
        let Some(poll) = sqs::long_poll(engine, &call.request) else { return Some(call) };
        if is_ready(engine, now, &poll.queue) {
            return Some(call);
        }
        self.waiting.push(Waiting { call, queue: poll.queue, until: now + poll.wait });
        None
    }

    /// The first call that waits no longer. Making it may leave nothing for the next one, so each is asked for by itself.
    pub(crate) fn due(&mut self, engine: &Engine, now: Time) -> Option<Call> {
        // A client that has gone must not take a message.
        self.waiting.retain(|waiting| !waiting.call.reply.is_closed());
        let due =
            |waiting: &Waiting| !self.open || waiting.until <= now || is_ready(engine, now, &waiting.queue);
        let at = self.waiting.iter().position(due)?;
        Some(self.waiting.remove(at).call)
    }

    /// When to look again if nothing else happens.
    pub(crate) fn next(&self, engine: &Engine) -> Option<Time> {
        let times = self.waiting.iter().map(|waiting| {
            engine.sqs().ready_at(&waiting.queue).map_or(waiting.until, |ready| ready.min(waiting.until))
        });
        times.min()
    }

    /// From now on nothing is held, and what was is due.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }
}

fn is_ready(engine: &Engine, now: Time, queue: &str) -> bool {
    engine.sqs().ready_at(queue).is_some_and(|ready| ready <= now)
}
