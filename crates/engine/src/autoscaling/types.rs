//! What the service itself is: its lists of types, and the account's limits.

use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::rows::{AdjustmentKind, Transition};
use super::{group, launch_configuration, number, suspend, termination};
use crate::{Caller, Engine};

pub(super) fn limits(
    cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeAccountLimitsRequest,
) -> Result<shapes::DescribeAccountLimitsResponse, Refusal> {
    let count = |n: usize| number(i64::try_from(n).unwrap_or(i64::MAX));
    Ok(shapes::DescribeAccountLimitsResponse {
        max_number_of_auto_scaling_groups: Some(count(group::PER_REGION_MAX)),
        max_number_of_launch_configurations: Some(count(launch_configuration::PER_REGION_MAX)),
        number_of_auto_scaling_groups: Some(count(cx.autoscaling.groups.len())),
        number_of_launch_configurations: Some(count(cx.autoscaling.launch_configurations.len())),
    })
}

pub(super) fn adjustment(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeAdjustmentTypesRequest,
) -> Result<shapes::DescribeAdjustmentTypesResponse, Refusal> {
    let types = AdjustmentKind::ALL.into_iter();
    let types = types.map(|kind| shapes::AdjustmentType { adjustment_type: Some(kind.as_str().to_owned()) });
    Ok(shapes::DescribeAdjustmentTypesResponse { adjustment_types: Some(types.collect()) })
}

pub(super) fn lifecycle_hook(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeLifecycleHookTypesRequest,
) -> Result<shapes::DescribeLifecycleHookTypesResponse, Refusal> {
    let types = Transition::ALL.into_iter().map(|each| each.as_str().to_owned());
    Ok(shapes::DescribeLifecycleHookTypesResponse { lifecycle_hook_types: Some(types.collect()) })
}

pub(super) fn process(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeScalingProcessTypesRequest,
) -> Result<shapes::DescribeScalingProcessTypesResponse, Refusal> {
    let types = suspend::PROCESSES.iter().map(|&name| shapes::ProcessType { process_name: name.to_owned() });
    Ok(shapes::DescribeScalingProcessTypesResponse { processes: Some(types.collect()) })
}

pub(super) fn termination_policy(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeTerminationPolicyTypesRequest,
) -> Result<shapes::DescribeTerminationPolicyTypesResponse, Refusal> {
    let types = termination::TYPES.iter().map(|&name| name.to_owned());
    Ok(shapes::DescribeTerminationPolicyTypesResponse { termination_policy_types: Some(types.collect()) })
}
