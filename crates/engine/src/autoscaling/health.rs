//! Health checks and replacement (ASG guide, ec2-auto-scaling-health-checks).

use capstan_model::{InstanceId, Span};
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::{Refusal, ec2};

use super::rows::{
    GroupInstanceIndex, Health, LifecycleState as State, Name, ScalingActivityStatusCode as Code,
};
use super::{activity, invalid, lifecycle};
use crate::{Caller, Engine};

/// From EC2 taking an instance down to the health check that sees it (observed: about 45 s after a manual terminate).
pub(super) const CHECK_DELAY: Span = Span::from_secs(45);

/// From the health check's activity to the launch of the replacement (observed: 1 to 8 s).
const REPLACEMENT_DELAY: Span = Span::from_secs(2);

/// How often a replacement that has to wait is looked at again.
const RETRY: Span = Span::from_secs(60);

/// The next health check shall look at this instance.
pub(super) fn schedule(cx: &mut Engine, id: InstanceId) {
    let at = cx.now + CHECK_DELAY;
    if let Some(mut row) = cx.autoscaling.instances.edit(&id)
        && row.check_at.is_none_or(|before| before > at)
    {
        row.check_at = Some(at);
    }
}

/// A load balancer's check fails: it counts when the grace period is over.
pub(super) fn target_failing(cx: &mut Engine, id: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return };
    let Some(group) = cx.autoscaling.groups.get(&row.group) else { return };
    let Some(in_service) = row.in_service.filter(|_| row.state == State::InService) else { return };
    if !group.checks("ELB") {
        return;
    }
    let at = (in_service + group.health_check_grace).max(cx.now);
    if let Some(mut row) = cx.autoscaling.instances.edit(&id)
        && row.check_at.is_none_or(|before| before > at)
    {
        row.check_at = Some(at);
    }
}

/// The deadline of an instance: draining has taken too long, or its health is looked at.
pub(super) fn due(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.autoscaling.instances.edit(&id) else { return };
    row.check_at = None;
    if !row.draining.is_empty() {
        drop(row);
        return lifecycle::drained(cx, id);
    }
    if !row.is_current() {
        return;
    }
    let (group, gone, failing) =
        (row.group.clone(), row.is_gone(), row.targets.values().any(|failing| *failing));
    drop(row);
    let Some(group) = cx.autoscaling.groups.get(&group) else { return };
    // While health checks are suspended nothing is marked; resuming looks at every instance again.
    if !group.is_suspended("HealthCheck") {
        let found = match (gone, failing && group.checks("ELB")) {
            (true, _) => Health::UnhealthyEc2,
            (false, true) => Health::UnhealthyElb,
            (false, false) => Health::Healthy,
        };
        if let Some(mut row) = cx.autoscaling.instances.edit(&id)
            && found != Health::Healthy
        {
            row.health = found;
        }
    }
    replace(cx, id);
}

/// Looks at every instance of a group again, after a process was resumed.
pub(super) fn look_again(cx: &mut Engine, group: &Name) {
    for id in cx.autoscaling.instances.keys_by(&GroupInstanceIndex::Current(group.clone())) {
        let now = cx.now;
        if let Some(mut row) = cx.autoscaling.instances.edit(&id)
            && row.check_at.is_none()
        {
            let failing = row.is_gone() || row.targets.values().any(|failing| *failing);
            if failing || row.health != Health::Healthy {
                row.check_at = Some(now);
            }
        }
    }
}

/// Takes an unhealthy instance out of service, and asks for another.
fn replace(cx: &mut Engine, id: InstanceId) {
    let Some(row) = cx.autoscaling.instances.get(&id).cloned() else { return };
    let Some(group) = cx.autoscaling.groups.get(&row.group) else { return };
    if row.health == Health::Healthy
        || group.is_suspended("ReplaceUnhealthy")
        || group.is_suspended("Terminate")
        || group.deleting
    {
        return;
    }
    if row.health == Health::UnhealthyElb {
        // A tenth of the group at a time, and none while as many are missing already.
        let at_a_time = (group.desired / 10).max(1);
        let in_service = cx.autoscaling.instances.count_by(&GroupInstanceIndex::InService(row.group.clone()));
        let missing = group.desired - i64::try_from(in_service).unwrap_or(i64::MAX);
        if missing >= at_a_time {
            let again = cx.now + RETRY;
            if let Some(mut row) = cx.autoscaling.instances.edit(&id) {
                row.check_at = Some(again);
            }
            return;
        }
    }
    let clause = match row.health {
        Health::UnhealthyElb => {
            "an instance was taken out of service in response to an ELB system health check failure."
        }
        Health::UnhealthyUser => "an instance was taken out of service in response to a user health-check.",
        Health::Healthy | Health::UnhealthyEc2 => {
            "an instance was taken out of service in response to an EC2 health check indicating it has been \
             terminated or stopped."
        }
    };
    let launching = row.state != State::InService;
    if launching && let Some(key) = &row.activity {
        let reason = termination_reason(cx, id);
        let message = format!(
            "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: {reason}"
        );
        activity::end(cx, key, Code::Cancelled, Some(message));
    }
    let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
    let exit = if launching { lifecycle::Exit::Forced } else { lifecycle::Exit::Orderly };
    lifecycle::terminate(cx, id, cause, exit);
    let at = cx.now + REPLACEMENT_DELAY;
    if let Some(mut group) = cx.autoscaling.groups.edit(&row.group) {
        group.replacements += 1;
        group.reconcile_at = Some(group.reconcile_at.map_or(at, |before| before.min(at)));
    }
}

/// EC2's reason for the end of an instance: `Server.SpotInstanceTermination: Spot instance termination`.
fn termination_reason(cx: &mut Engine, id: InstanceId) -> String {
    let request =
        ec2::DescribeInstancesRequest { instance_ids: Some(vec![id.to_string()]), ..Default::default() };
    let reservations = cx.call(Caller::AUTOSCALING, request).ok().and_then(|reply| reply.reservations);
    let reason = reservations
        .into_iter()
        .flatten()
        .flat_map(|reservation| reservation.instances.unwrap_or_default())
        .find_map(|instance| instance.state_reason);
    reason
        .and_then(|reason| reason.message)
        .unwrap_or_else(|| "Client.InternalError: Client error on launch".to_owned())
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetInstanceHealthRequest,
) -> Result<shapes::SetInstanceHealthResponse, Refusal> {
    let id = super::instance::find(cx, &request.instance_id)?;
    let healthy = match request.health_status.as_str() {
        text if text.eq_ignore_ascii_case("Healthy") => true,
        text if text.eq_ignore_ascii_case("Unhealthy") => false,
        text => {
            return Err(invalid(format!(
                "{text} is not a valid health status. Valid values are: Healthy, Unhealthy"
            )));
        }
    };
    let now = cx.now;
    let row = cx.autoscaling.instances.get(&id).expect("the instance was found");
    let grace = cx.autoscaling.groups.get(&row.group).map_or(Span::ZERO, |group| group.health_check_grace);
    let respects = request.should_respect_grace_period.unwrap_or(true);
    if !healthy && respects && row.in_service.is_none_or(|since| now < since + grace) {
        // Inside the grace period a mark is passed over (SetInstanceHealth, ShouldRespectGracePeriod).
        return Ok(shapes::SetInstanceHealthResponse {});
    }
    let mut row = cx.autoscaling.instances.edit(&id).expect("the instance was found");
    row.health = if healthy { Health::Healthy } else { Health::UnhealthyUser };
    if !healthy && row.is_current() {
        row.check_at = Some(now);
    }
    drop(row);
    Ok(shapes::SetInstanceHealthResponse {})
}

/// What a replacement's launch is caused by.
pub(super) const REPLACED: &str =
    "an instance was launched in response to an unhealthy instance needing to be replaced.";
