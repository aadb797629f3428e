//! An engine and its surroundings, moved through virtual time.

use capstan_check::Checker;
use capstan_engine::{Caller, Config, Effect, Engine, Input, Outcome};
use capstan_model::{Span, Time};
use capstan_shapes::{Call, Refusal, Request, Response};

use crate::{Profile, VirtualHosts};

/// What is around an engine: it carries out effects, and things happen in it.
pub trait Surroundings {
    /// When something happens next by itself.
    fn next(&self) -> Option<Time>;

    /// Carries out an effect, or begins to.
    fn take(&mut self, now: Time, engine: &Engine, effect: Effect);

    /// What happens at `now` or before, the earliest first, as an input for the engine. `None` when nothing does.
    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input>;
}

/// An engine with its surroundings: virtual ones unless the live driver puts real ones in their place.
#[derive(Debug)]
pub struct World<S = VirtualHosts> {
    engine: Engine,
    hosts: S,
    now: Time,
    /// Steps of the engine so far.
    steps: u64,
    checker: Option<Checker>,
    trace: Option<Vec<String>>,
}

impl World {
    /// Begins at `start` with an empty account and virtual hosts.
    pub fn new(config: Config, profile: Profile, start: Time) -> Self {
        let hosts = VirtualHosts::new(config.seed, profile);
        Self::with(Engine::new(config, start), hosts)
    }
}

impl<S: Surroundings> World<S> {
    /// Puts an engine into surroundings.
    pub fn with(engine: Engine, hosts: S) -> Self {
        let now = engine.now();
        Self { engine, hosts, now, steps: 0, checker: None, trace: None }
    }

    pub fn surroundings(&mut self) -> (&Engine, &mut S) {
        (&self.engine, &mut self.hosts)
    }

    /// Has every invariant of crate `check` hold after every step; a violation panics and names the seed.
    pub fn checked(mut self) -> Self {
        self.checker = Some(Checker::default());
        self
    }

    /// Keeps a line for every call, effect and changed row.
    pub fn traced(mut self) -> Self {
        self.engine.record(true);
        self.trace = Some(Vec::new());
        self
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn now(&self) -> Time {
        self.now
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What [`World::traced`] kept.
    pub fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// A user's call, now.
    pub fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let response = self.request(request.into())?;
        Ok(C::output(response).expect("the engine answers with the operation's own response"))
    }

    /// The same without a type.
    pub fn request(&mut self, request: Request) -> Result<Response, Refusal> {
        self.request_as(Caller::User { access_key: "test".to_owned() }, request)
    }

    /// A call by anybody, now.
    pub fn request_as(&mut self, caller: Caller, request: Request) -> Result<Response, Refusal> {
        let outcome = self.step(Input::Call { caller, request: Box::new(request) });
        outcome.reply.expect("a call has a reply")
    }

    /// Something happens outside that the virtual hosts would not do by themselves.
    pub fn input(&mut self, input: Input) -> Outcome {
        self.step(input)
    }

    /// When something happens next, in the engine or around it.
    pub fn next(&self) -> Option<Time> {
        [self.engine.next_deadline(), self.hosts.next()].into_iter().flatten().min()
    }

    pub fn advance(&mut self, span: Span) {
        self.advance_to(self.now + span);
    }

    /// Everything that falls due until then happens, each at its own time.
    pub fn advance_to(&mut self, until: Time) {
        loop {
            let (engine, hosts) = (self.engine.next_deadline(), self.hosts.next());
            let Some(next) = [engine, hosts].into_iter().flatten().min().filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            // At one moment the engine's own deadlines come first: what a host does then meets their result.
            let engine_first = engine.is_some_and(|at| at <= self.now);
            let input = if engine_first { None } else { self.hosts.pop(self.now, &self.engine) };
            let _ = self.step(input.unwrap_or(Input::Time));
        }
        self.now = self.now.max(until);
        let _ = self.step(Input::Time);
    }

    fn step(&mut self, input: Input) -> Outcome {
        self.steps += 1;
        let mut outcome = self.engine.step(self.now, input);
        if let Some(trace) = &mut self.trace {
            let now = self.now;
            trace.extend(outcome.calls.iter().map(|call| format!("{now} {call:?}")));
            trace.extend(outcome.effects.iter().map(|effect| format!("{now} {effect:?}")));
            trace.extend(
                outcome.changes.iter().map(|change| format!("{now} {} {}", change.table, change.key)),
            );
        }
        for effect in std::mem::take(&mut outcome.effects) {
            self.hosts.take(self.now, &self.engine, effect);
        }
        if let Some(checker) = &mut self.checker {
            let violations = checker.observe(&self.engine);
            assert!(
                violations.is_empty(),
                "seed {}: at {}: {violations:#?}",
                self.engine.config().seed,
                self.now
            );
        }
        outcome
    }
}
