//! Fault Injection Service: experiments that take capacity away on purpose.

use capstan_shapes::{Refusal, fis};

use crate::{Caller, Engine};

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: fis::Request,
) -> Result<fis::Response, Refusal> {
    let message = format!("The operation {} of fis is not built yet.", request.operation().name);
    Err(Refusal::new("NotImplemented", message).with_status(501))
}
