//! The room as its callers see it: calls, virtual time, answers.

mod clusters;
mod instances;
mod strategies;
mod tags;
mod task_definitions;

use capstan_model::{Span, Time};
use capstan_shapes::{Call, Refusal};

use crate::{Caller, Config, Engine, Input};

/// An account of its own.
struct Account {
    engine: Engine,
}

impl Account {
    fn new() -> Self {
        let start = Time::from_civil(2026, 3, 1, 12, 0, 0).expect("a date");
        Self { engine: Engine::new(Config::new(1), start) }
    }

    fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let caller = Caller::User { access_key: "test".to_owned() };
        let input = Input::Call { caller, request: Box::new(request.into()) };
        let reply = self.engine.step(self.engine.now(), input).reply.expect("a call is answered");
        reply.map(|response| C::output(response).expect("its own operation's response"))
    }

    #[track_caller]
    fn done<C: Call>(&mut self, request: C) -> C::Output {
        self.call(request).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    /// `Code: message` of a call that must be refused.
    #[track_caller]
    fn refused<C: Call>(&mut self, request: C) -> String {
        match self.call(request) {
            Ok(_) => panic!("was not refused"),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn pass(&mut self, span: Span) {
        let _outcome = self.engine.step(self.engine.now() + span, Input::Time);
    }
}

/// Texts as the lists of a request have them.
fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
