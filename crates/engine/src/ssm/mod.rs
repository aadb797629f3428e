//! Systems Manager parameters.

use capstan_shapes::{Refusal, ssm};

use crate::{Caller, Engine};

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: ssm::Request,
) -> Result<ssm::Response, Refusal> {
    Err(Refusal::new("NotImplemented", format!("{} is not built yet", request.operation().name))
        .with_status(501))
}
