//! Reserved concurrency.

use capstan_shapes::{Refusal, lambda as shapes};

use super::{edit, find};
use crate::{Caller, Engine};

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutFunctionConcurrencyRequest,
) -> Result<shapes::PutFunctionConcurrencyResponse, Refusal> {
    let reserved = Some(request.reserved_concurrent_executions);
    edit(cx, &request.function_name)?.reserved_concurrency = reserved;
    Ok(shapes::PutFunctionConcurrencyResponse { reserved_concurrent_executions: reserved })
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetFunctionConcurrencyRequest,
) -> Result<shapes::GetFunctionConcurrencyResponse, Refusal> {
    let reserved_concurrent_executions = find(cx, &request.function_name)?.reserved_concurrency;
    Ok(shapes::GetFunctionConcurrencyResponse { reserved_concurrent_executions })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteFunctionConcurrencyRequest,
) -> Result<shapes::DeleteFunctionConcurrencyResponse, Refusal> {
    edit(cx, &request.function_name)?.reserved_concurrency = None;
    Ok(shapes::DeleteFunctionConcurrencyResponse {})
}
