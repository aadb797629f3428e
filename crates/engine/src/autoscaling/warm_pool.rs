//! Warm pools: kept and described; no instance is ever prepared.

use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::{group, invalid};
use crate::{Caller, Engine};

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutWarmPoolRequest,
) -> Result<shapes::PutWarmPoolResponse, Refusal> {
    let row = group::find(cx, &request.auto_scaling_group_name)?;
    let (name, before) = (row.name.clone(), row.warm_pool.clone().unwrap_or_default());
    // -1 takes a value back (API reference, PutWarmPool).
    let prepared = request.max_group_prepared_capacity.or(before.max_group_prepared_capacity);
    let pool = shapes::WarmPoolConfiguration {
        max_group_prepared_capacity: prepared.filter(|capacity| *capacity >= 0),
        min_size: Some(request.min_size.or(before.min_size).unwrap_or(0)),
        pool_state: Some(request.pool_state.or(before.pool_state).unwrap_or(shapes::WarmPoolState::Stopped)),
        status: None,
        instance_reuse_policy: request.instance_reuse_policy.or(before.instance_reuse_policy),
    };
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.warm_pool = Some(pool);
    }
    Ok(shapes::PutWarmPoolResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeWarmPoolRequest,
) -> Result<shapes::DescribeWarmPoolResponse, Refusal> {
    if request.next_token.is_some() {
        return Err(super::invalid_token());
    }
    let row = group::find(cx, &request.auto_scaling_group_name)?;
    Ok(shapes::DescribeWarmPoolResponse {
        warm_pool_configuration: row.warm_pool.clone(),
        instances: Some(Vec::new()),
        next_token: None,
    })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteWarmPoolRequest,
) -> Result<shapes::DeleteWarmPoolResponse, Refusal> {
    let row = group::find(cx, &request.auto_scaling_group_name)?;
    let name = row.name.clone();
    if row.warm_pool.is_none() {
        return Err(invalid(format!("No warm pool found for Auto Scaling group {name}.")));
    }
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.warm_pool = None;
    }
    Ok(shapes::DeleteWarmPoolResponse {})
}
