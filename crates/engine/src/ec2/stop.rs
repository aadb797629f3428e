//! StopInstances, StartInstances and RebootInstances: an instance without its machine keeps its id, address and row (EC2 guide,
//! Stop_Start).

use std::collections::BTreeSet;

use capstan_model::InstanceId;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    InstanceStateChange, InstanceStateName, RebootInstancesRequest, RebootInstancesResponse,
    SpotInstanceType, StartInstancesRequest, StartInstancesResponse, StopInstancesRequest,
    StopInstancesResponse,
};

use super::instance::{announce, existing, gmt, state};
use super::{Instance, StateReason, dry_run, instance, missing, network, spot};
use crate::kernel::Effect;
use crate::{Caller, Engine, fis};

pub(super) fn stop(
    cx: &mut Engine,
    caller: &Caller,
    request: StopInstancesRequest,
) -> Result<StopInstancesResponse, Refusal> {
    if request.instance_ids.is_empty() {
        return Err(missing("InstanceId"));
    }
    let ids = existing(cx, &request.instance_ids)?;
    for id in &ids {
        let row = cx.ec2.instances.get(id).expect("the ids have been looked up");
        if row.stop_protection && instance::is_user(caller) && row.is_alive() {
            return Err(Refusal::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try \
                     again."
                ),
            ));
        }
        if matches!(row.state, InstanceStateName::ShuttingDown | InstanceStateName::Terminated) {
            return Err(incorrect(row, "stopped"));
        }
        if request.hibernate == Some(true) {
            return Err(Refusal::new(
                "UnsupportedHibernationConfiguration",
                format!("The instance '{id}' is not enabled for hibernation."),
            ));
        }
        if is_one_time(cx, row) {
            return Err(Refusal::new(
                "UnsupportedOperation",
                format!(
                    "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance \
                     request. You can only stop Spot Instances associated with persistent Spot Instance requests."
                ),
            ));
        }
    }
    dry_run(request.dry_run)?;
    let stopping_instances = ids.into_iter().map(|id| changed(cx, id, stop_one)).collect();
    Ok(StopInstancesResponse { stopping_instances: Some(stopping_instances) })
}

fn is_one_time(cx: &Engine, row: &Instance) -> bool {
    let request = row.spot.as_ref().and_then(|spot| cx.ec2.spot_requests.get(&spot.request));
    request.is_some_and(|request| request.kind == SpotInstanceType::OneTime)
}

fn incorrect(row: &Instance, verb: &str) -> Refusal {
    Refusal::new(
        "IncorrectInstanceState",
        format!(
            "This instance '{}' is not in a state from which it can be {verb}: it is '{}'.",
            row.id,
            row.state.as_str()
        ),
    )
}

/// Does something to an instance and tells its state before and after.
fn changed(cx: &mut Engine, id: InstanceId, change: fn(&mut Engine, InstanceId)) -> InstanceStateChange {
    let of = |cx: &Engine| cx.ec2.instances.get(&id).map(|row| state(row.state));
    let previous_state = of(cx);
    change(cx, id);
    InstanceStateChange { instance_id: Some(id.to_string()), current_state: of(cx), previous_state }
}

fn stop_one(cx: &mut Engine, id: InstanceId) {
    let now = cx.now;
    let Some(mut row) = cx.ec2.instances.edit(&id) else { return };
    if !row.is_alive() {
        return;
    }
    row.ended("Client.UserInitiatedShutdown", "User initiated shutdown");
    row.transition_reason = format!("User initiated ({})", gmt(now));
    drop(row);
    begin(cx, id);
}

/// The machine is taken away; the reason is set already.
pub(super) fn begin(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.ec2.instances.edit(&id) else { return };
    row.state = InstanceStateName::Stopping;
    drop(row);
    announce(cx, id, InstanceStateName::Stopping);
    cx.effect(Effect::StopInstance { instance: id });
}

/// The machine is away: `stopping` → `stopped`.
pub(crate) fn instance_stopped(cx: &mut Engine, id: InstanceId) {
    let Some(mut row) = cx.ec2.instances.edit(&id) else { return };
    let rebooted = std::mem::take(&mut row.rebooting) && row.state == InstanceStateName::Running;
    if rebooted {
        drop(row);
        cx.effect(Effect::LaunchInstance { instance: id });
        return;
    }
    if row.state != InstanceStateName::Stopping {
        return;
    }
    row.state = InstanceStateName::Stopped;
    row.running_at = None;
    row.public_ip = None;
    let spot = row.spot.as_mut().map(|spot| (spot.request.clone(), spot.interruption.take()));
    drop(row);
    if let Some((request, interruption)) = spot {
        spot::request_stopped(cx, &request, interruption.map(|interruption| interruption.cause));
    }
    announce(cx, id, InstanceStateName::Stopped);
}

/// The machine goes and comes back while the instance stays `running` (EC2 guide, ec2-instance-reboot): what ran there is
/// gone, its agent registers again.
pub(super) fn reboot(
    cx: &mut Engine,
    _caller: &Caller,
    request: RebootInstancesRequest,
) -> Result<RebootInstancesResponse, Refusal> {
    if request.instance_ids.is_empty() {
        return Err(missing("InstanceId"));
    }
    let ids = existing(cx, &request.instance_ids)?;
    for id in &ids {
        let row = cx.ec2.instances.get(id).expect("the ids have been looked up");
        if row.state != InstanceStateName::Running {
            return Err(incorrect(row, "rebooted"));
        }
    }
    dry_run(request.dry_run)?;
    for instance in ids {
        let Some(mut row) = cx.ec2.instances.edit(&instance) else { continue };
        if !std::mem::replace(&mut row.rebooting, true) {
            drop(row);
            cx.effect(Effect::StopInstance { instance });
        }
    }
    Ok(RebootInstancesResponse {})
}

pub(super) fn start(
    cx: &mut Engine,
    caller: &Caller,
    request: StartInstancesRequest,
) -> Result<StartInstancesResponse, Refusal> {
    if request.instance_ids.is_empty() {
        return Err(missing("InstanceId"));
    }
    let ids = existing(cx, &request.instance_ids)?;
    for id in &ids {
        let row = cx.ec2.instances.get(id).expect("the ids have been looked up");
        if !row.is_alive() && row.state != InstanceStateName::Stopped {
            return Err(incorrect(row, "started"));
        }
        if row.is_spot() && !row.is_alive() && spot::spare(cx, row.pool()) == Some(0) {
            return Err(spot::no_capacity());
        }
    }
    dry_run(request.dry_run)?;
    let zones: BTreeSet<&str> =
        ids.iter().filter_map(|id| cx.ec2.instances.get(id)).map(|row| row.zone.name).collect();
    for zone in zones {
        fis::capacity_error(cx, caller, zone, None)?;
    }
    let starting_instances = ids.into_iter().map(|id| changed(cx, id, start_one)).collect();
    Ok(StartInstancesResponse { starting_instances: Some(starting_instances) })
}

/// A stopped instance gets a machine again.
pub(super) fn start_one(cx: &mut Engine, id: InstanceId) {
    let now = cx.now;
    let Some(mut row) = cx.ec2.instances.edit(&id) else { return };
    if row.state != InstanceStateName::Stopped {
        return;
    }
    row.state = InstanceStateName::Pending;
    row.state_reason = Some(StateReason { code: "pending".into(), message: "pending".into() });
    row.transition_reason.clear();
    // The launch time is that of the latest start (EC2 model Instance).
    row.launched_at = now;
    if let Some(spot) = &mut row.spot {
        spot.recommended_at = None;
    }
    let pool = row.is_spot().then(|| row.pool());
    let wants_public_ip = row.wants_public_ip;
    drop(row);
    if wants_public_ip && !network::address::is_elastic(cx, id) {
        let address = network::address::draw(cx);
        if let Some(mut row) = cx.ec2.instances.edit(&id) {
            row.public_ip = address;
        }
    }
    if let Some(pool) = pool {
        spot::fulfilled(cx, id, SpotInstanceType::Persistent, None);
        spot::used(cx, pool);
    }
    announce(cx, id, InstanceStateName::Pending);
    cx.effect(Effect::LaunchInstance { instance: id });
}
