//! Target groups of a group: its instances are their targets.

use capstan_shapes::autoscaling as shapes;
use capstan_shapes::{Refusal, elbv2};

use super::rows::{GroupInstanceIndex, Name, TargetGroup};
use super::{invalid, invalid_token, lifecycle};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Target groups of a group (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 50;

/// Refuses ARNs that are not target groups of this account.
pub(super) fn check(cx: &mut Engine, arns: &[String]) -> Result<(), Refusal> {
    if arns.is_empty() {
        return Ok(());
    }
    let request =
        elbv2::DescribeTargetGroupsRequest { target_group_arns: Some(arns.to_vec()), ..Default::default() };
    cx.call(Caller::AUTOSCALING, request).map_err(|_| {
        invalid("Provided Target Groups may not be valid. Please ensure they exist and try again.")
    })?;
    Ok(())
}

/// The target groups among traffic sources, which are the newer way to name them.
pub(super) fn of_sources(
    sources: Option<&[shapes::TrafficSourceIdentifier]>,
) -> Result<Vec<String>, Refusal> {
    let sources = sources.unwrap_or_default().iter();
    sources
        .map(|source| match source.r#type.as_deref() {
            None | Some("elbv2") => Ok(source.identifier.clone()),
            Some(other) => {
                Err(invalid(format!("The traffic source type {other} is not available. Use elbv2.")))
            }
        })
        .collect()
}

pub(super) fn attach(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AttachLoadBalancerTargetGroupsRequest,
) -> Result<shapes::AttachLoadBalancerTargetGroupsResponse, Refusal> {
    let name = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    check(cx, &request.target_group_arns)?;
    let mut added = Vec::new();
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        for arn in request.target_group_arns {
            if !row.target_groups.iter().any(|each| each.arn == arn) {
                row.target_groups.push(TargetGroup { arn: arn.clone(), in_service: false });
                added.push(arn);
            }
        }
        if row.target_groups.len() > PER_GROUP_MAX {
            row.target_groups.retain(|each| !added.contains(&each.arn));
            return Err(Refusal::of(
                &shapes::LIMIT_EXCEEDED_FAULT,
                format!("The number of target groups of {name} would exceed the limit of {PER_GROUP_MAX}."),
            ));
        }
    }
    if !cx.autoscaling.groups.get(&name).is_some_and(|group| group.is_suspended("AddToLoadBalancer")) {
        for id in in_service(cx, &name) {
            for arn in &added {
                lifecycle::register(cx, id, arn);
            }
        }
    }
    Ok(shapes::AttachLoadBalancerTargetGroupsResponse {})
}

fn in_service(cx: &Engine, group: &Name) -> Vec<capstan_model::InstanceId> {
    cx.autoscaling.instances.keys_by(&GroupInstanceIndex::InService(group.clone()))
}

pub(super) fn detach(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DetachLoadBalancerTargetGroupsRequest,
) -> Result<shapes::DetachLoadBalancerTargetGroupsResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?;
    let name = group.name.clone();
    let known = |arn: &String| group.target_groups.iter().any(|each| each.arn == *arn);
    if let Some(arn) = request.target_group_arns.iter().find(|arn| !known(arn)) {
        return Err(invalid(format!("Trying to remove Target Groups that are not part of the group: {arn}")));
    }
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.target_groups.retain(|each| !request.target_group_arns.contains(&each.arn));
    }
    for id in in_service(cx, &name) {
        for arn in &request.target_group_arns {
            if cx.autoscaling.instances.get(&id).is_some_and(|row| row.targets.contains_key(arn)) {
                lifecycle::deregister(cx, id, arn, false);
            }
        }
    }
    Ok(shapes::DetachLoadBalancerTargetGroupsResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeLoadBalancerTargetGroupsRequest,
) -> Result<shapes::DescribeLoadBalancerTargetGroupsResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?;
    let size = usize::try_from(request.max_records.unwrap_or(100)).unwrap_or(100).min(100);
    let mut states: Vec<shapes::LoadBalancerTargetGroupState> = group
        .target_groups
        .iter()
        .map(|each| shapes::LoadBalancerTargetGroupState {
            load_balancer_target_group_arn: Some(each.arn.clone()),
            state: Some(if each.in_service { "InService" } else { "Added" }.to_owned()),
        })
        .collect();
    states.sort_by(|a, b| a.load_balancer_target_group_arn.cmp(&b.load_balancer_target_group_arn));
    let key = |state: &shapes::LoadBalancerTargetGroupState| {
        state.load_balancer_target_group_arn.clone().unwrap_or_default()
    };
    let page = page(states, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    Ok(shapes::DescribeLoadBalancerTargetGroupsResponse {
        load_balancer_target_groups: Some(page.items),
        next_token: page.next,
    })
}
