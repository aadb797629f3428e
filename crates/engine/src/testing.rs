//! What tests of rooms have in common: calls and time in, answers out.

use capstan_model::Span;
use capstan_shapes::{Call, Refusal};

use crate::{Caller, Engine, Input};

/// A user's call, now.
pub(crate) fn call<C: Call>(engine: &mut Engine, request: C) -> Result<C::Output, Refusal> {
    let caller = Caller::User { access_key: "test".to_owned() };
    let now = engine.now();
    let outcome = engine.step(now, Input::Call { caller, request: Box::new(request.into()) });
    outcome.reply.expect("a call is answered").map(|response| C::output(response).expect("its own response"))
}

/// A call that must not be refused.
pub(crate) fn ok<C: Call>(engine: &mut Engine, request: C) -> C::Output {
    call(engine, request).unwrap_or_else(|refusal| panic!("{}: {refusal}", C::OPERATION.name))
}

/// A call that must be refused with that code, by a message with these words.
pub(crate) fn refused<C: Call>(engine: &mut Engine, request: C, code: &str, message: &str) {
    match call(engine, request) {
        Ok(_) => panic!("{} was not refused", C::OPERATION.name),
        Err(refusal) => {
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.message.contains(message), "{refusal} does not say {message}");
        }
    }
}

/// Lets time pass.
pub(crate) fn pass(engine: &mut Engine, span: Span) {
    let now = engine.now() + span;
    let _ = engine.step(now, Input::Time);
}
