//! How the instances of a group follow an update of it (CloudFormation guide, UpdatePolicy AutoScalingRollingUpdate).
//!
//! Batch by batch: the group grows where it would fall below its minimum, obsolete instances are terminated, and their
//! successors are waited for. It goes on with each look at the resource.

use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::cloudformation::ResourceStatus;
use serde_json::Value as Json;

use super::resource::{Progress, Resource, call, scalar};
use super::rows::StackId;
use super::{deploy, signal, types};
use crate::Engine;
use crate::autoscaling::{Group, GroupInstance, GroupInstanceIndex, Name, Origin};
use crate::kernel::{NoIndex, Row};

/// A rolling update under way.
#[derive(Clone, Debug)]
pub(super) struct RollingUpdate {
    pub(super) stack: StackId,
    pub(super) logical_id: String,
    /// Instances that are still to go, the oldest first.
    pub(super) obsolete: Vec<InstanceId>,
    /// How many there were.
    pub(super) total: usize,
    /// Minimum and desired capacity that the group has when all is over; `None` until the first look.
    pub(super) sizes: Option<(i64, i64)>,
    /// Processes that are suspended as long.
    pub(super) suspended: Vec<String>,
    pub(super) batch: Option<Batch>,
}

/// A batch whose end is waited for.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) since: Time,
    pub(super) leaving: Vec<InstanceId>,
    /// New instances that come with it.
    pub(super) coming: usize,
    /// Whether events have told that those leaving are gone.
    pub(super) told: bool,
}

impl Row for RollingUpdate {
    type Key = (StackId, String);
    type Index = NoIndex;
    const TABLE: &'static str = "cloudformation.rolling_updates";

    fn key(&self) -> (StackId, String) {
        (StackId::clone(&self.stack), self.logical_id.clone())
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// What the policy says, with the guide's defaults.
struct Policy {
    min_in_service: i64,
    batch: usize,
    pause: Span,
    /// As it was written.
    pause_text: String,
    signals: bool,
    /// Of the signals of a batch, 0–100.
    successful_percent: usize,
    /// Of the desired capacity, 0–100.
    active_percent: i64,
}

fn policy_of(resource: &Resource) -> Option<&Json> {
    resource.update_policy.get("AutoScalingRollingUpdate").filter(|policy| policy.is_object())
}

impl Policy {
    fn read(json: &Json) -> Self {
        let number = |name: &str| json.get(name).map(scalar).and_then(|text| text.parse::<i64>().ok());
        let signals = json.get("WaitOnResourceSignals").is_some_and(|flag| scalar(flag) == "true");
        let pause_text = json.get("PauseTime").map(scalar);
        let pause_text = pause_text.unwrap_or_else(|| if signals { "PT5M" } else { "PT0S" }.to_owned());
        let percent = |name: &str| number(name).unwrap_or(100).clamp(0, 100);
        Self {
            min_in_service: number("MinInstancesInService").unwrap_or(0),
            batch: number("MaxBatchSize").and_then(|size| usize::try_from(size).ok()).unwrap_or(1).max(1),
            pause: signal::duration(&pause_text).unwrap_or(Span::ZERO),
            pause_text,
            signals,
            successful_percent: usize::try_from(percent("MinSuccessfulInstancesPercent")).unwrap_or(100),
            active_percent: percent("MinActiveInstancesPercent"),
        }
    }
}

/// What instances are launched from, and where: a change of these makes them obsolete.
const SOURCES: &[&str] = &["LaunchConfigurationName", "LaunchTemplate", "MixedInstancesPolicy"];
const PLACES: &[&str] = &["VPCZoneIdentifier", "AvailabilityZones", "AvailabilityZoneIds"];

fn key(resource: &Resource) -> (StackId, String) {
    (StackId::from(resource.stack_id.as_str()), resource.logical_id.clone())
}

fn group<'a>(cx: &'a Engine, resource: &Resource) -> Option<&'a Group> {
    cx.autoscaling().groups().get(&Name::from(resource.physical_id.as_str()))
}

/// Remembers which instances an update is about to make obsolete. Called before the group is changed.
pub(super) fn begin(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    abandon(cx, new)?;
    let Some(json) = policy_of(new) else { return Ok(()) };
    let policy = Policy::read(json);
    let changed = |name: &&&str| old.get(name) != new.get(name);
    let sources = SOURCES.iter().any(|name| changed(&name));
    let places = PLACES.iter().any(|name| changed(&name));
    let Some(row) = group(cx, new).filter(|_| sources || places) else { return Ok(()) };
    let subnets: Vec<&str> = new
        .get("VPCZoneIdentifier")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let template = new.get("LaunchTemplate");
    // An instance that was launched from what the group goes to already: a way back leaves it.
    let is_of_template = |instance: &GroupInstance| {
        let (Some(wanted), Some(used)) = (template, instance.origin.as_ref().and_then(Origin::template))
        else {
            return false;
        };
        let said = |name: &str| wanted.get(name).map(scalar);
        said("Version").is_some_and(|version| version == used.version)
            && said("LaunchTemplateId").is_none_or(|id| id == used.id)
            && said("LaunchTemplateName").is_none_or(|name| name == used.name)
    };
    let is_obsolete = |instance: &&GroupInstance| {
        let stays = instance.subnet.as_ref().is_some_and(|subnet| subnets.contains(&&**subnet));
        instance.is_current() && ((sources && !is_of_template(instance)) || (places && !stays))
    };
    let of_group = cx.autoscaling().instances().by(&GroupInstanceIndex::Group(row.name.clone()));
    let mut obsolete: Vec<(Time, InstanceId)> =
        of_group.filter(is_obsolete).map(|instance| (instance.launched, instance.id)).collect();
    if obsolete.is_empty() {
        return Ok(());
    }
    let max = new.get("MaxSize").map(scalar).and_then(|text| text.parse().ok()).unwrap_or(row.max);
    if policy.min_in_service >= max {
        return Err(Refusal::new(
            "InvalidRequest",
            format!(
                "The rolling update's MinInstancesInService, {}, must be less than the group's MaxSize, {max}.",
                policy.min_in_service
            ),
        ));
    }
    let processes = json.get("SuspendProcesses").and_then(Json::as_array).into_iter().flatten();
    let suspended: Vec<String> = processes.map(scalar).filter(|process| !row.is_suspended(process)).collect();
    if !suspended.is_empty() {
        let request = shapes::SuspendProcessesRequest {
            auto_scaling_group_name: new.physical_id.clone(),
            scaling_processes: Some(suspended.clone()),
        };
        call(cx, request)?;
    }
    obsolete.sort();
    let (stack, logical_id) = key(new);
    cx.cloudformation.rolling_updates.insert(RollingUpdate {
        stack,
        logical_id,
        total: obsolete.len(),
        obsolete: obsolete.into_iter().map(|(_, id)| id).collect(),
        sizes: None,
        suspended,
        batch: None,
    });
    Ok(())
}

/// Ends a rolling update where it is: sizes and processes are as they were before.
fn abandon(cx: &mut Engine, resource: &Resource) -> Result<(), Refusal> {
    match cx.cloudformation.rolling_updates.remove(&key(resource)) {
        Some(row) if group(cx, resource).is_some() => restore(cx, resource, &row),
        _ => Ok(()),
    }
}

/// The group is about to be deleted.
pub(super) fn forget(cx: &mut Engine, resource: &Resource) {
    cx.cloudformation.rolling_updates.remove(&key(resource));
}

fn restore(cx: &mut Engine, resource: &Resource, row: &RollingUpdate) -> Result<(), Refusal> {
    if let Some((min, desired)) = row.sizes {
        resize(cx, resource, min, Some(desired))?;
    }
    if !row.suspended.is_empty() {
        let request = shapes::ResumeProcessesRequest {
            auto_scaling_group_name: resource.physical_id.clone(),
            scaling_processes: Some(row.suspended.clone()),
        };
        call(cx, request)?;
    }
    Ok(())
}

fn resize(cx: &mut Engine, resource: &Resource, min: i64, desired: Option<i64>) -> Result<(), Refusal> {
    let Some(group) = group(cx, resource) else { return Ok(()) };
    if group.min == min && desired.is_none_or(|desired| desired == group.desired) {
        return Ok(());
    }
    let request = shapes::UpdateAutoScalingGroupRequest {
        auto_scaling_group_name: resource.physical_id.clone(),
        min_size: i32::try_from(min).ok(),
        desired_capacity: desired.and_then(|desired| i32::try_from(desired).ok()),
        ..Default::default()
    };
    call(cx, request).map(drop)
}

/// One look: goes on as far as it can.
pub(super) fn stable(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    while let Some(row) = cx.cloudformation.rolling_updates.get(&key(resource)).cloned() {
        let Some(json) = policy_of(resource) else { break };
        let Some(found) = group(cx, resource).cloned() else {
            return Err(Refusal::new("NotFound", format!("Group {} does not exist.", resource.physical_id)));
        };
        let (policy, mut row) = (Policy::read(json), row);
        if row.sizes.is_none() {
            row.sizes = Some((found.min, found.desired));
            initiated(cx, resource, &policy, row.total);
        }
        let moved = match row.batch.take() {
            Some(batch) => settle(cx, resource, &policy, &found, &mut row, batch)?,
            None if is_over(cx, &mut row) => {
                restore(cx, resource, &row)?;
                cx.cloudformation.rolling_updates.remove(&key(resource));
                return Ok(Progress::Done);
            }
            None => next(cx, resource, &policy, &found, &mut row)?,
        };
        cx.cloudformation.rolling_updates.insert(row);
        if !moved {
            return Ok(Progress::InProgress);
        }
    }
    Ok(Progress::Done)
}

/// Whether no obsolete instance is left.
fn is_over(cx: &Engine, row: &mut RollingUpdate) -> bool {
    let instances = cx.autoscaling().instances();
    row.obsolete.retain(|id| instances.get(id).is_some_and(|instance| !instance.is_terminating()));
    row.obsolete.is_empty()
}

fn tell(cx: &mut Engine, resource: &Resource, reason: String) {
    let (stack, logical_id) = key(resource);
    let physical_id = resource.physical_id.clone();
    deploy::set(cx, &stack, &logical_id, &physical_id, ResourceStatus::UpdateInProgress, Some(reason));
}

fn initiated(cx: &mut Engine, resource: &Resource, policy: &Policy, total: usize) {
    let mut reason = format!(
        "Rolling update initiated. Terminating {total} obsolete instance(s) in batches of {}, while keeping at least {} instance(s) in service.",
        policy.batch, policy.min_in_service
    );
    if policy.signals {
        reason.push_str(&format!(
            " Waiting on resource signals with a timeout of {} when new instances are added to the autoscaling group.",
            policy.pause_text
        ));
    }
    tell(cx, resource, reason);
}

fn in_service(cx: &Engine, group: &Group) -> i64 {
    let index = GroupInstanceIndex::InService(group.name.clone());
    cx.autoscaling().instances().by(&index).map(|instance| instance.weight).sum()
}

/// Begins with the next batch. `false` while it has to wait.
fn next(
    cx: &mut Engine,
    resource: &Resource,
    policy: &Policy,
    group: &Group,
    row: &mut RollingUpdate,
) -> Result<bool, Refusal> {
    let now = cx.now;
    let size = policy.batch.min(row.obsolete.len());
    let weight = |cx: &Engine, id: &InstanceId| {
        cx.autoscaling().instances().get(id).map_or(0, |instance| instance.weight)
    };
    let leaving: Vec<(InstanceId, i64)> =
        row.obsolete[..size].iter().map(|id| (*id, weight(cx, id))).collect();
    let units: i64 = leaving.iter().map(|(_, weight)| weight).sum();
    let in_service = in_service(cx, group);
    if in_service - units < policy.min_in_service {
        let target = (policy.min_in_service + units).min(group.max);
        if target > group.desired {
            resize(cx, resource, target, Some(target))?;
            tell(
                cx,
                resource,
                format!("Temporarily setting autoscaling group MinSize and DesiredCapacity to {target}."),
            );
            let coming = usize::try_from(target - group.desired).unwrap_or_default();
            row.batch = Some(Batch { since: now, leaving: Vec::new(), coming, told: true });
            return Ok(true);
        }
        if in_service < group.desired {
            return fails(cx, group).map_or(Ok(false), Err);
        }
    }
    let (min, desired) = row.sizes.unwrap_or((group.min, group.desired));
    // With the last batch the group shrinks back.
    let mut surplus = if size == row.obsolete.len() { group.desired - desired } else { 0 };
    if surplus > 0 {
        resize(cx, resource, min, None)?;
    }
    let mut coming = 0;
    for (id, weight) in &leaving {
        let shrinks = surplus >= *weight && surplus > 0;
        if shrinks {
            surplus -= weight;
        } else {
            coming += 1;
        }
        let request = shapes::TerminateInstanceInAutoScalingGroupRequest {
            instance_id: id.to_string(),
            should_decrement_desired_capacity: shrinks,
        };
        call(cx, request)?;
    }
    let leaving: Vec<InstanceId> = leaving.into_iter().map(|(id, _)| id).collect();
    let reason =
        format!("Terminating instance(s) {}; replacing with {coming} new instance(s).", listed(&leaving));
    tell(cx, resource, reason);
    row.obsolete.drain(..size);
    row.batch = Some(Batch { since: now, leaving, coming, told: false });
    Ok(true)
}

/// `[i-1,i-2]`
fn listed(ids: &[InstanceId]) -> String {
    format!("[{}]", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn fails(cx: &Engine, group: &Group) -> Option<Refusal> {
    let reason = types::failing_group(cx, group)?;
    let message = format!("Group did not stabilize. The last scaling activity failed: {reason}");
    Some(Refusal::new("NotStabilized", message))
}

/// Waits for the end of a batch. `false` while it has to.
fn settle(
    cx: &mut Engine,
    resource: &Resource,
    policy: &Policy,
    group: &Group,
    row: &mut RollingUpdate,
    mut batch: Batch,
) -> Result<bool, Refusal> {
    let instances = cx.autoscaling().instances();
    if batch.leaving.iter().any(|id| instances.contains(id)) {
        row.batch = Some(batch);
        return Ok(false);
    }
    if !batch.told {
        batch.told = true;
        let progress = (row.total - row.obsolete.len()) * 100 / row.total.max(1);
        let gone = listed(&batch.leaving);
        tell(cx, resource, format!("Successfully terminated instance(s) {gone} (Progress {progress}%)."));
        if policy.signals && batch.coming > 0 {
            tell(cx, resource, waiting(policy, batch.coming));
        }
    }
    let waits = if batch.coming > 0 && policy.signals {
        !signalled(cx, resource, policy, &batch)?
    } else {
        batch.coming > 0 && cx.now - batch.since < policy.pause
    };
    if waits || in_service(cx, group) * 100 < group.desired * policy.active_percent {
        if let Some(refusal) = fails(cx, group) {
            return Err(refusal);
        }
        row.batch = Some(batch);
        return Ok(false);
    }
    Ok(true)
}

fn waiting(policy: &Policy, coming: usize) -> String {
    let pause = &policy.pause_text;
    format!(
        "New instance(s) added to autoscaling group - Waiting on {coming} resource signal(s) with a timeout of {pause}."
    )
}

/// Whether the batch's new instances have sent their signals.
fn signalled(cx: &Engine, resource: &Resource, policy: &Policy, batch: &Batch) -> Result<bool, Refusal> {
    let (stack, logical_id) = key(resource);
    let (good, bad) = signal::count(cx, &stack, &logical_id, batch.since);
    let needed = (batch.coming * policy.successful_percent).div_ceil(100);
    if good >= needed {
        return Ok(true);
    }
    if cx.now - batch.since < policy.pause && bad <= batch.coming - needed {
        return Ok(false);
    }
    Err(Refusal::new(
        "NotStabilized",
        format!(
            "Received {good} SUCCESS signal(s) out of {}. Unable to satisfy {}% MinSuccessfulInstancesPercent requirement",
            batch.coming, policy.successful_percent
        ),
    ))
}
