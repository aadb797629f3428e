//! Instances of groups by request: describe, protect, terminate, attach, detach, standby.

use std::collections::BTreeMap;

use capstan_model::InstanceId;
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::{Refusal, ec2};

use super::lifecycle::{self, Exit};
use super::rows::{
    ActivityKey, Group, GroupInstance, GroupInstanceIndex, Health, LifecycleState as State, Name, Origin,
    Risk, ScalingActivityStatusCode as Code,
};
use super::{activity, balance, capacity, invalid, invalid_token, template, zones};
use crate::kernel::{Effect, page};
use crate::{Caller, Engine};

/// Instances that one request may attach, detach or move (model).
const PER_REQUEST_MAX: usize = 20;

/// The managed instance of that id.
pub(super) fn find(cx: &Engine, id: &str) -> Result<InstanceId, Refusal> {
    id.parse::<InstanceId>().ok().filter(|id| cx.autoscaling.instances.contains(id)).ok_or_else(|| {
        invalid(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
    })
}

/// The group's instances of those ids.
fn members(cx: &Engine, group: &str, ids: Option<Vec<String>>) -> Result<Vec<InstanceId>, Refusal> {
    let ids = ids.unwrap_or_default();
    if ids.len() > PER_REQUEST_MAX {
        return Err(invalid(format!("At most {PER_REQUEST_MAX} instances may be given in one request.")));
    }
    ids.iter()
        .map(|text| {
            let id = text.parse::<InstanceId>().ok();
            id.filter(|id| cx.autoscaling.instances.get(id).is_some_and(|row| *row.group == *group))
                .ok_or_else(|| {
                    invalid(format!("The instance {text} is not part of Auto Scaling group {group}."))
                })
        })
        .collect()
}

fn configuration_name(row: &GroupInstance) -> Option<String> {
    row.origin.as_ref().and_then(Origin::configuration).map(Name::to_string)
}

pub(super) fn shape(row: &GroupInstance) -> shapes::Instance {
    shapes::Instance {
        instance_id: row.id.to_string(),
        instance_type: Some(row.instance_type.to_string()),
        availability_zone: row.zone.to_string(),
        availability_zone_id: zones::id(&row.zone),
        lifecycle_state: row.state,
        health_status: row.health.as_str().to_owned(),
        launch_configuration_name: configuration_name(row),
        launch_template: row.origin.as_ref().and_then(Origin::template).map(template::spec_shape),
        image_id: row.image_id.as_deref().map(str::to_owned),
        protected_from_scale_in: row.protected,
        weighted_capacity: row.weighted.then(|| row.weight.to_string()),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeAutoScalingInstancesRequest,
) -> Result<shapes::DescribeAutoScalingInstancesResponse, Refusal> {
    let ids = request.instance_ids.unwrap_or_default();
    let rows: Vec<&GroupInstance> = if ids.is_empty() {
        cx.autoscaling.instances.iter().collect()
    } else {
        // Ids that no group has are left out, without an error.
        let mut known: Vec<InstanceId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        known.sort_unstable();
        known.dedup();
        known.iter().filter_map(|id| cx.autoscaling.instances.get(id)).collect()
    };
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(50);
    let page = page(rows, |row| row.id.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    let shapes = page.items.into_iter().map(|row| shapes::AutoScalingInstanceDetails {
        instance_id: row.id.to_string(),
        instance_type: Some(row.instance_type.to_string()),
        auto_scaling_group_name: row.group.to_string(),
        availability_zone: row.zone.to_string(),
        availability_zone_id: zones::id(&row.zone),
        lifecycle_state: row.state.as_str().to_owned(),
        // In upper case here, and only here.
        health_status: row.health.as_str().to_ascii_uppercase(),
        launch_configuration_name: configuration_name(row),
        launch_template: row.origin.as_ref().and_then(Origin::template).map(template::spec_shape),
        image_id: row.image_id.as_deref().map(str::to_owned),
        protected_from_scale_in: row.protected,
        weighted_capacity: row.weighted.then(|| row.weight.to_string()),
    });
    Ok(shapes::DescribeAutoScalingInstancesResponse {
        auto_scaling_instances: Some(shapes.collect()),
        next_token: page.next,
    })
}

pub(super) fn protect(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetInstanceProtectionRequest,
) -> Result<shapes::SetInstanceProtectionResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let ids = request.instance_ids.iter().map(|text| {
        let id = text.parse::<InstanceId>().ok();
        id.filter(|id| cx.autoscaling.instances.get(id).is_some_and(|row| row.group == group))
            .ok_or_else(|| invalid(format!("The instance {text} is not part of Auto Scaling group {group}.")))
    });
    let ids: Vec<InstanceId> = ids.collect::<Result<_, _>>()?;
    for id in ids {
        if let Some(mut row) = cx.autoscaling.instances.edit(&id) {
            row.protected = request.protected_from_scale_in;
        }
    }
    if !request.protected_from_scale_in {
        // A scale-in that found everybody protected goes on.
        capacity::request(cx, &group, None);
    }
    Ok(shapes::SetInstanceProtectionResponse {})
}

pub(super) fn terminate(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::TerminateInstanceInAutoScalingGroupRequest,
) -> Result<shapes::TerminateInstanceInAutoScalingGroupResponse, Refusal> {
    let id = find(cx, &request.instance_id)?;
    let row = cx.autoscaling.instances.get(&id).expect("the instance was found").clone();
    let group = group_of(cx, &row);
    if row.is_terminating() {
        // Asked for twice: the activity that is under way answers.
        let activity = row.activity.as_ref().and_then(|key| cx.autoscaling.activities.get(key));
        let activity = activity.map(|row| activity::shape(cx, row));
        return Ok(shapes::TerminateInstanceInAutoScalingGroupResponse { activity });
    }
    let decrement = request.should_decrement_desired_capacity;
    if decrement {
        refuse_below_min(&group, row.weight, "Terminating instance without replacement")?;
    }
    let before = in_group(cx, &group.name);
    let counted = if row.is_current() { row.weight } else { 0 };
    let clause = format!(
        "instance {id} was taken out of service in response to a user request, shrinking the capacity from {before} to \
         {}.",
        before - counted
    );
    if decrement && counted > 0 {
        lower_desired(cx, &group.name, counted);
    }
    let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
    let key = lifecycle::terminate(cx, id, cause, Exit::Orderly);
    balance::want(cx, &group.name);
    capacity::request(cx, &group.name, None);
    let activity = key.and_then(|key| told(cx, &key));
    Ok(shapes::TerminateInstanceInAutoScalingGroupResponse { activity })
}

fn told(cx: &Engine, key: &ActivityKey) -> Option<shapes::Activity> {
    cx.autoscaling.activities.get(key).map(|row| activity::shape(cx, row))
}

fn group_of(cx: &Engine, row: &GroupInstance) -> Group {
    cx.autoscaling.groups.get(&row.group).expect("an instance's group outlives it").clone()
}

/// Capacity units on their way in or in service.
fn in_group(cx: &Engine, group: &Name) -> i64 {
    capacity::current(cx, group).map(|row| row.weight).sum()
}

fn lower_desired(cx: &mut Engine, group: &Name, by: i64) {
    if let Some(mut row) = cx.autoscaling.groups.edit(group) {
        row.desired = (row.desired - by).max(0);
    }
}

fn refuse_below_min(group: &Group, by: i64, what: &str) -> Result<(), Refusal> {
    if group.desired - by >= group.min {
        return Ok(());
    }
    Err(invalid(format!(
        "Currently, desiredSize equals minSize ({}). {what} will violate group's min size constraint. Either set \
         shouldDecrementDesiredCapacity flag to false or lower group's min size.",
        group.min
    )))
}

pub(super) fn detach(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DetachInstancesRequest,
) -> Result<shapes::DetachInstancesResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.clone();
    let ids = members(cx, &group.name, request.instance_ids)?;
    let keys = leave(cx, &group, &ids, request.should_decrement_desired_capacity, Leave::Detach)?;
    Ok(shapes::DetachInstancesResponse {
        activities: Some(keys.iter().filter_map(|key| told(cx, key)).collect()),
    })
}

pub(super) fn enter_standby(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::EnterStandbyRequest,
) -> Result<shapes::EnterStandbyResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.clone();
    let ids = members(cx, &group.name, request.instance_ids)?;
    let keys = leave(cx, &group, &ids, request.should_decrement_desired_capacity, Leave::Standby)?;
    Ok(shapes::EnterStandbyResponse {
        activities: Some(keys.iter().filter_map(|key| told(cx, key)).collect()),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Detach,
    Standby,
}

/// Takes instances out of service without ending them.
fn leave(
    cx: &mut Engine,
    group: &Group,
    ids: &[InstanceId],
    decrement: bool,
    how: Leave,
) -> Result<Vec<ActivityKey>, Refusal> {
    let (mut weight, mut standing) = (0, Vec::new());
    for id in ids {
        let row = cx.autoscaling.instances.get(id).expect("the instance was found");
        let allowed = match how {
            Leave::Standby => row.state == State::InService,
            Leave::Detach => matches!(row.state, State::InService | State::Standby),
        };
        if !allowed {
            return Err(invalid(format!(
                "The instance {id} is not in {}. It is in {}.",
                if how == Leave::Standby { "InService" } else { "InService or Standby" },
                row.state
            )));
        }
        weight += if row.is_current() { row.weight } else { 0 };
        standing.push((*id, row.is_current(), row.weight));
    }
    if decrement {
        refuse_below_min(group, weight, "Moving instances out without replacement")?;
        lower_desired(cx, &group.name, weight);
    }
    let mut keys = Vec::new();
    for (id, counted, weight) in standing {
        let before = in_group(cx, &group.name);
        let after = before - if counted { weight } else { 0 };
        let (description, what, state) = match how {
            Leave::Detach => (format!("Detaching EC2 instance: {id}"), "detached", State::Detaching),
            Leave::Standby => {
                (format!("Moving EC2 instance to Standby: {id}"), "moved to standby", State::EnteringStandby)
            }
        };
        let clause = format!(
            "instance {id} was {what} in response to a user request, shrinking the capacity from {before} to {after}."
        );
        lifecycle::finish(cx, id);
        let row = cx.autoscaling.instances.get(&id).expect("the instance was found");
        let details = activity::details(row.subnet.as_deref(), &row.zone);
        let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
        let key = activity::begin(cx, group, description, cause, details);
        activity::stage(cx, &key, Code::InProgress);
        {
            let mut row = cx.autoscaling.instances.edit(&id).expect("the instance was found");
            row.state = state;
            row.activity = Some(key.clone());
            row.check_at = None;
        }
        keys.push(key);
        cx.effect(Effect::InstanceMetadata { instance: id });
        lifecycle::deregister_all(cx, id, true);
    }
    balance::want(cx, &group.name);
    capacity::request(cx, &group.name, None);
    Ok(keys)
}

pub(super) fn exit_standby(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ExitStandbyRequest,
) -> Result<shapes::ExitStandbyResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.clone();
    let ids = members(cx, &group.name, request.instance_ids)?;
    let mut weight = 0;
    for id in &ids {
        let row = cx.autoscaling.instances.get(id).expect("the instance was found");
        if row.state != State::Standby {
            return Err(invalid(format!("The instance {id} is not in Standby. It is in {}.", row.state)));
        }
        weight += row.weight;
    }
    raise_desired(cx, &group, weight)?;
    let mut activities = Vec::new();
    for id in ids {
        let before = in_group(cx, &group.name);
        let row = cx.autoscaling.instances.get(&id).expect("the instance was found").clone();
        let clause = format!(
            "instance {id} was moved out of standby in response to a user request, increasing the capacity from \
             {before} to {}.",
            before + row.weight
        );
        let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
        let details = activity::details(row.subnet.as_deref(), &row.zone);
        let description = format!("Moving EC2 instance out of Standby: {id}");
        let key = activity::begin(cx, &group, description, cause, details);
        activity::stage(cx, &key, Code::PreInService);
        activities.extend(told(cx, &key));
        come_back(cx, id, key);
    }
    Ok(shapes::ExitStandbyResponse { activities: Some(activities) })
}

/// Back into service without hooks; an instance that died meanwhile is found by its health check.
fn come_back(cx: &mut Engine, id: InstanceId, key: ActivityKey) {
    {
        let mut row = cx.autoscaling.instances.edit(&id).expect("the instance was found");
        row.state = State::Pending;
        row.activity = Some(key);
        row.hooks = false;
        row.warmup = None;
    }
    let row = cx.autoscaling.instances.get(&id).expect("the instance was found");
    if row.is_gone() {
        super::health::schedule(cx, id);
    } else {
        lifecycle::running(cx, id);
    }
}

/// The desired capacity grows by what a user brings in; the group's maximum must allow it.
fn raise_desired(cx: &mut Engine, group: &Group, by: i64) -> Result<(), Refusal> {
    if group.desired + by > group.max {
        return Err(invalid(format!(
            "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To bring in {by} more, the desired \
             capacity would be above the maximum.",
            group.name, group.min, group.max, group.desired
        )));
    }
    if let Some(mut row) = cx.autoscaling.groups.edit(&group.name) {
        row.desired += by;
    }
    Ok(())
}

pub(super) fn attach(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::AttachInstancesRequest,
) -> Result<shapes::AttachInstancesResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.clone();
    let ids = request.instance_ids.unwrap_or_default();
    if ids.len() > PER_REQUEST_MAX {
        return Err(invalid(format!("At most {PER_REQUEST_MAX} instances may be given in one request.")));
    }
    let mut found = Vec::new();
    for text in &ids {
        let unknown = || invalid(format!("Invalid Instance ID(s): [{text}] specified"));
        let id = text.parse::<InstanceId>().map_err(|_| unknown())?;
        if let Some(row) = cx.autoscaling.instances.get(&id) {
            return Err(invalid(format!(
                "The instance {id} is already part of Auto Scaling group:{}.",
                row.group
            )));
        }
        let ask =
            ec2::DescribeInstancesRequest { instance_ids: Some(vec![text.clone()]), ..Default::default() };
        let reservations = cx.call(Caller::AUTOSCALING, ask).map_err(|_| unknown())?.reservations;
        let mut instances =
            reservations.into_iter().flatten().flat_map(|each| each.instances.unwrap_or_default());
        let instance = instances.next().ok_or_else(unknown)?;
        let state = instance.state.as_ref().and_then(|state| state.name);
        if state != Some(ec2::InstanceStateName::Running) {
            return Err(invalid(format!(
                "Invalid Instance(s): [{text}]. The instance must be in running state."
            )));
        }
        let zone = instance.placement.as_ref().and_then(|placement| placement.availability_zone.clone());
        if zone.as_deref().is_none_or(|zone| group.zone(zone).is_none()) {
            return Err(invalid(format!(
                "The availability zone of the instance {text} does not match the Auto Scaling group's."
            )));
        }
        found.push((id, instance));
    }
    raise_desired(cx, &group, i64::try_from(found.len()).unwrap_or(i64::MAX))?;
    for (id, instance) in found {
        take_in(cx, &group, id, instance);
    }
    Ok(shapes::AttachInstancesResponse {})
}

fn take_in(cx: &mut Engine, group: &Group, id: InstanceId, instance: ec2::Instance) {
    let before = in_group(cx, &group.name);
    let zone: Name =
        instance.placement.and_then(|placement| placement.availability_zone).unwrap_or_default().into();
    let clause = format!(
        "instance {id} was attached in response to a user request, increasing the capacity from {before} to {}.",
        before + 1
    );
    let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
    let details = activity::details(instance.subnet_id.as_deref(), &zone);
    let key = activity::begin(cx, group, format!("Attaching an existing EC2 instance: {id}"), cause, details);
    activity::stage(cx, &key, Code::PreInService);
    cx.autoscaling.instances.insert(GroupInstance {
        id,
        group: group.name.clone(),
        state: State::Pending,
        health: Health::Healthy,
        zone,
        subnet: instance.subnet_id.map(Name::from),
        instance_type: instance.instance_type.unwrap_or_default().into(),
        image_id: instance.image_id.map(Name::from),
        origin: None,
        weight: 1,
        weighted: false,
        spot: instance.instance_lifecycle == Some(ec2::InstanceLifecycleType::Spot),
        protected: group.new_instances_protected,
        launched: instance.launch_time.unwrap_or(cx.now),
        in_service: None,
        warmup: None,
        ec2_state: "running",
        targets: BTreeMap::new(),
        draining: std::collections::BTreeSet::new(),
        activity: Some(key),
        moves: None,
        risk: Risk::None,
        hooks: false,
        check_at: None,
    });
    let tag = ec2::Tag { key: Some(capacity::GROUP_TAG.to_owned()), value: Some(group.name.to_string()) };
    let request =
        ec2::CreateTagsRequest { resources: vec![id.to_string()], tags: vec![tag], ..Default::default() };
    // The instance was described a moment ago; the tag is for its readers and holds nothing up.
    let _ = cx.call(Caller::AUTOSCALING, request);
    lifecycle::running(cx, id);
}

/// Ids of all instances of a group, whatever their state.
pub(super) fn all(cx: &Engine, group: &Name) -> Vec<InstanceId> {
    cx.autoscaling.instances.keys_by(&GroupInstanceIndex::Group(group.clone()))
}
