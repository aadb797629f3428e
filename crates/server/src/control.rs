//! The engine thread: one loop that takes messages in batches, steps the engine and carries out its effects.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use capstan_engine::{Caller, Engine, Fact, Input};
use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::{Refusal, Request, Response};
use capstan_simulator::World;
use tokio::sync::oneshot;

use crate::Error;
use crate::clock::Running;
use crate::hosts::Hosts;
use crate::long_poll::{Call, LongPolls};

/// Messages of one batch; then effects that were gathered go out.
const BATCH_MAX: usize = 512;
/// However far the next deadline is, the loop looks at its clock so often.
const SLEEP_MAX: Duration = Duration::from_secs(60);

type Look = Box<dyn FnOnce(&Engine) + Send>;

pub(crate) enum Message {
    Advance {
        span: Span,
        done: oneshot::Sender<Time>,
    },
    Call(Call),
    /// Answers the receives that wait for messages, and lets none wait any more.
    EndLongPolls,
    Input(Input),
    Look(Look),
    Stop(oneshot::Sender<()>),
}

/// The way to the engine thread. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Control {
    messages: Sender<Message>,
    manual: bool,
}

impl Control {
    /// Makes an API call. When the engine is stopping, the answer is a refusal to that effect.
    pub async fn call(&self, caller: Caller, request: Request) -> Result<Response, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(Message::Call(Call { caller, request: Box::new(request), reply }));
        match (sent, answer.await) {
            (Ok(()), Ok(answer)) => answer,
            _ => Err(Refusal::new("ServiceUnavailable", "Capstan is shutting down.").with_status(503)),
        }
    }

    /// Reads from the engine's state; `None` when the engine is stopping.
    pub async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Option<T> {
        let (put, got) = oneshot::channel();
        let look: Look = Box::new(move |engine| drop(put.send(read(engine))));
        self.messages.send(Message::Look(look)).ok()?;
        got.await.ok()
    }

    /// Moves a manual clock, and answers with the new time when all that falls due has happened. `None` when the clock
    /// is not manual or the engine is stopping.
    pub async fn advance(&self, span: Span) -> Option<Time> {
        if !self.manual {
            return None;
        }
        let (done, moved) = oneshot::channel();
        self.messages.send(Message::Advance { span, done }).ok()?;
        moved.await.ok()
    }

    /// EC2 takes that Spot Instance back, with the notice of two minutes, as when its pool has no capacity left.
    pub fn interrupt(&self, instance: InstanceId) {
        self.input(Input::Fact(Fact::SpotInterruption { instance }));
    }

    /// Tells the engine what happened outside.
    pub(crate) fn input(&self, input: Input) {
        let _ = self.messages.send(Message::Input(input));
    }

    /// Those who wait for messages need not be waited for.
    pub(crate) fn end_long_polls(&self) {
        let _ = self.messages.send(Message::EndLongPolls);
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.messages.send(Message::Stop(done)).is_ok() {
            let _ = stopped.await;
        }
    }
}

/// Starts the thread. Also gives the balancer, when there is one, for requests that come by the gateway's port.
pub(crate) fn start(
    engine: Engine,
    mut hosts: Hosts,
    clock: Running,
) -> Result<(Control, Option<Arc<capstan_balancer::Handle>>), Error> {
    let (sender, messages) = channel();
    let control = Control { messages: sender, manual: clock.clock().is_manual() };
    hosts.connect(&control);
    let balancer = hosts.balancer();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("engine".to_owned());
    let run = move || {
        // Agents and balancers start tasks on the runtime.
        let _entered = runtime.enter();
        let long_polls = LongPolls::new(!clock.clock().is_manual());
        Loop { world: World::with(engine, hosts), clock, messages, long_polls }.run();
    };
    thread.spawn(run).map_err(Error::Thread)?;
    Ok((control, balancer))
}

struct Loop {
    world: World<Hosts>,
    clock: Running,
    messages: Receiver<Message>,
    long_polls: LongPolls,
}

impl Loop {
    fn run(mut self) {
        loop {
            let Some(first) = self.wait() else { return };
            self.catch_up();
            let mut batch = first;
            for _ in 0..BATCH_MAX {
                let Some(message) = batch.take().or_else(|| self.messages.try_recv().ok()) else { break };
                if let Message::Stop(done) = message {
                    let (_, hosts) = self.world.surroundings();
                    hosts.stop();
                    let _ = done.send(());
                    return;
                }
                self.take(message);
            }
            while let Some(call) = self.long_polls.due(self.world.engine(), self.world.now()) {
                self.make(call);
            }
            let (engine, hosts) = self.world.surroundings();
            hosts.flush(engine);
        }
    }

    /// Sleeps until a message comes or something is due. `None` when nobody can send messages any more.
    fn wait(&mut self) -> Option<Option<Message>> {
        let next = [self.world.next(), self.long_polls.next(self.world.engine())].into_iter().flatten().min();
        let until_due = next.and_then(|time| self.clock.until(time));
        let sleep = until_due.map_or(SLEEP_MAX, |sleep| sleep.min(SLEEP_MAX));
        match self.messages.recv_timeout(sleep) {
            Ok(message) => Some(Some(message)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// What is due happens before anything new does. A manual clock stands still.
    fn catch_up(&mut self) {
        let now = self.clock.now().max(self.world.now());
        self.world.advance_to(now);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Advance { span, done } => {
                self.world.advance(span);
                let _ = done.send(self.world.now());
            }
            Message::Call(call) => {
                let now = self.world.now();
                if let Some(call) = self.long_polls.hold(self.world.engine(), now, call) {
                    self.make(call);
                }
            }
            Message::EndLongPolls => self.long_polls.close(),
            Message::Input(input) => {
                let _ = self.world.input(input);
            }
            Message::Look(look) => look(self.world.engine()),
            Message::Stop(_) => {}
        }
    }
    fn make(&mut self, call: Call) {
        let answer = self.world.request_as(call.caller, *call.request);
        // The client may have gone; what it asked for has happened all the same.
        let _ = call.reply.send(answer);
    }
}
