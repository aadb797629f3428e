//! Security Token Service.

use capstan_shapes::{Refusal, sts};

use crate::{Caller, Engine};

pub(crate) fn handle(
    _cx: &mut Engine,
    _caller: &Caller,
    request: sts::Request,
) -> Result<sts::Response, Refusal> {
    Err(Refusal::new("NotImplemented", format!("{} is not built yet", request.operation().name))
        .with_status(501))
}
