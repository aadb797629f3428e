//! Suspending and resuming the processes of a group (ASG guide, as-suspend-resume-processes).

use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::{capacity, health, invalid};
use crate::{Caller, Engine};

/// Processes, as DescribeScalingProcessTypes lists them.
pub(super) const PROCESSES: &[&str] = &[
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

/// The processes meant: those named, or all of them.
fn meant(names: Option<Vec<String>>) -> Result<Vec<String>, Refusal> {
    let names = names.unwrap_or_default();
    if names.is_empty() {
        return Ok(PROCESSES.iter().map(|&name| name.to_owned()).collect());
    }
    match names.iter().find(|name| !PROCESSES.contains(&name.as_str())) {
        Some(bad) => Err(invalid(format!(
            "{bad} is not a valid scaling process. Valid values are: {}",
            PROCESSES.join(", ")
        ))),
        None => Ok(names),
    }
}

pub(super) fn suspend(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SuspendProcessesRequest,
) -> Result<shapes::SuspendProcessesResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let names = meant(request.scaling_processes)?;
    let reason = format!("User suspended at {}", cx.now.iso_secs());
    if let Some(mut row) = cx.autoscaling.groups.edit(&group) {
        for name in names {
            row.suspended.entry(name).or_insert_with(|| reason.clone());
        }
    }
    Ok(shapes::SuspendProcessesResponse {})
}

pub(super) fn resume(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ResumeProcessesRequest,
) -> Result<shapes::ResumeProcessesResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let names = meant(request.scaling_processes)?;
    if let Some(mut row) = cx.autoscaling.groups.edit(&group) {
        row.suspended.retain(|process, _| !names.contains(process));
    }
    // What had to wait happens now. Instances that came while AddToLoadBalancer was suspended stay unregistered.
    health::look_again(cx, &group);
    capacity::request(cx, &group, None);
    Ok(shapes::ResumeProcessesResponse {})
}
