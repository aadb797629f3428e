//! Scheduled actions: sizes that a group is given at certain times (ASG guide, ec2-auto-scaling-scheduled-scaling).

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, autoscaling as shapes};

use super::rows::{Name, ScheduledAction};
use super::{group, invalid, invalid_token};
use crate::kernel::page;
use crate::schedule::{Cron, Zone};
use crate::{Caller, Engine};

/// Scheduled actions of a group (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 125;

/// When the action happens next after `now`; `None` when it has happened for the last time.
fn next(action: &ScheduledAction, now: Time) -> Option<Time> {
    let at = match &action.recurrence {
        None => action.start.filter(|start| *start > now)?,
        Some((_, cron)) => {
            let zone = action.zone.as_ref().map_or(Zone::UTC, |(_, zone)| *zone);
            // What falls on the very start counts.
            let after = action.start.map_or(now, |start| now.max(start - Span::from_micros(1)));
            cron.next_in(&zone, after)?
        }
    };
    action.end.is_none_or(|end| at <= end).then_some(at)
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutScheduledUpdateGroupActionRequest,
) -> Result<shapes::PutScheduledUpdateGroupActionResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let given = shapes::ScheduledUpdateGroupActionRequest {
        scheduled_action_name: request.scheduled_action_name,
        // `Time` is the older name of `StartTime`.
        start_time: request.start_time.or(request.time),
        end_time: request.end_time,
        recurrence: request.recurrence,
        min_size: request.min_size,
        max_size: request.max_size,
        desired_capacity: request.desired_capacity,
        time_zone: request.time_zone,
    };
    put_one(cx, &group, given)?;
    Ok(shapes::PutScheduledUpdateGroupActionResponse {})
}

fn put_one(
    cx: &mut Engine,
    group: &Name,
    given: shapes::ScheduledUpdateGroupActionRequest,
) -> Result<(), Refusal> {
    let key = (group.clone(), Name::from(given.scheduled_action_name.as_str()));
    let before = cx.autoscaling.scheduled_actions.get(&key).map(|action| action.arn.clone());
    if before.is_none() && cx.autoscaling.scheduled_actions.count_by(group) >= PER_GROUP_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!(
                "The number of scheduled actions of group {group} would exceed the limit of {PER_GROUP_MAX}."
            ),
        ));
    }
    if given.min_size.is_none() && given.max_size.is_none() && given.desired_capacity.is_none() {
        return Err(invalid(
            "At least one of MinSize, MaxSize and DesiredCapacity is required for a scheduled action.",
        ));
    }
    if let (Some(min), Some(max)) = (given.min_size, given.max_size)
        && min > max
    {
        return Err(invalid("Max bound, the MaxSize, must be greater than or equal to the MinSize."));
    }
    let recurrence = match given.recurrence.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let cron = Cron::parse_unix(&text);
            let cron = cron.ok_or_else(|| invalid(format!("Given recurrence string: {text} is invalid")))?;
            Some((text, Box::new(cron)))
        }
    };
    if recurrence.is_none() && given.start_time.is_none() {
        return Err(invalid("StartTime or Recurrence is required for a scheduled action."));
    }
    let zone = match given.time_zone.filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            let zone = Zone::named(&name).ok_or_else(|| {
                invalid(format!(
                    "TimeZone {name} is not one that Capstan knows: use a name such as Europe/Berlin, UTC, or a fixed offset such as Etc/GMT+5"
                ))
            })?;
            Some((name, zone))
        }
    };
    if given.start_time.is_some_and(|start| start <= cx.now) && recurrence.is_none() {
        return Err(invalid("Given start time is in the past"));
    }
    if let (Some(start), Some(end)) = (given.start_time, given.end_time)
        && end <= start
    {
        return Err(invalid("Given end time is before start time"));
    }
    let (group, name) = key;
    let arn = match before {
        Some(arn) => arn,
        None => {
            let uuid = cx.chance.uuid("autoscaling.scheduled-action-id");
            let path = format!(
                "scheduledUpdateGroupAction:{uuid}:autoScalingGroupName/{group}:scheduledActionName/{name}"
            );
            cx.arn("autoscaling", path).into()
        }
    };
    let mut action = ScheduledAction {
        group,
        name,
        arn,
        min: given.min_size,
        max: given.max_size,
        desired: given.desired_capacity,
        start: given.start_time,
        end: given.end_time,
        recurrence,
        zone,
        fires_at: cx.now,
    };
    action.fires_at = next(&action, cx.now)
        .ok_or_else(|| invalid("The scheduled action would never run: its end is before its first time"))?;
    cx.autoscaling.scheduled_actions.insert(action);
    Ok(())
}

/// The action happens: the group is updated as by a request. One that does not happen again is forgotten.
pub(super) fn due(cx: &mut Engine, key: &(Name, Name)) {
    let now = cx.now;
    let Some(action) = cx.autoscaling.scheduled_actions.get(key).cloned() else { return };
    match next(&action, now) {
        Some(at) => {
            if let Some(mut row) = cx.autoscaling.scheduled_actions.edit(key) {
                row.fires_at = at;
            }
        }
        None => {
            cx.autoscaling.scheduled_actions.remove(key);
        }
    }
    let Some(group) = cx.autoscaling.groups.get(&action.group) else { return };
    if group.deleting || group.is_suspended("ScheduledActions") {
        return;
    }
    // Limits that do not fit the others leave the group as it is, as a refused request would.
    let _ = group::resize(
        cx,
        &action.group,
        [action.min, action.max, action.desired],
        &format!("scheduled action {}", action.name),
    );
}

pub(super) fn put_batch(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::BatchPutScheduledUpdateGroupActionRequest,
) -> Result<shapes::BatchPutScheduledUpdateGroupActionResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let mut failed = Vec::new();
    for action in request.scheduled_update_group_actions {
        let name = action.scheduled_action_name.clone();
        if let Err(refusal) = put_one(cx, &group, action) {
            failed.push(failure(name, refusal));
        }
    }
    Ok(shapes::BatchPutScheduledUpdateGroupActionResponse {
        failed_scheduled_update_group_actions: Some(failed),
    })
}

fn failure(name: String, refusal: Refusal) -> shapes::FailedScheduledUpdateGroupActionRequest {
    shapes::FailedScheduledUpdateGroupActionRequest {
        scheduled_action_name: name,
        error_code: Some(refusal.code.into_owned()),
        error_message: Some(refusal.message),
    }
}

fn delete_one(cx: &mut Engine, group: &Name, name: &str) -> Result<(), Refusal> {
    match cx.autoscaling.scheduled_actions.remove(&(group.clone(), name.into())) {
        Some(_) => Ok(()),
        None => Err(invalid("Scheduled action name not found")),
    }
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteScheduledActionRequest,
) -> Result<shapes::DeleteScheduledActionResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    delete_one(cx, &group, &request.scheduled_action_name)?;
    Ok(shapes::DeleteScheduledActionResponse {})
}

pub(super) fn delete_batch(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::BatchDeleteScheduledActionRequest,
) -> Result<shapes::BatchDeleteScheduledActionResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let mut failed = Vec::new();
    for name in request.scheduled_action_names {
        if let Err(refusal) = delete_one(cx, &group, &name) {
            failed.push(failure(name, refusal));
        }
    }
    Ok(shapes::BatchDeleteScheduledActionResponse { failed_scheduled_actions: Some(failed) })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeScheduledActionsRequest,
) -> Result<shapes::DescribeScheduledActionsResponse, Refusal> {
    if let Some(name) = request.auto_scaling_group_name.as_deref() {
        group::find(cx, name)?;
    }
    let names = request.scheduled_action_names.unwrap_or_default();
    let wanted = |action: &&ScheduledAction| {
        request.auto_scaling_group_name.as_deref().is_none_or(|group| *group == *action.group)
            && (names.is_empty() || names.iter().any(|name| **name == *action.name))
            // Times count only where no names are given (API reference).
            && (!names.is_empty()
                || request.start_time.is_none_or(|from| action.fires_at >= from)
                    && request.end_time.is_none_or(|to| action.fires_at <= to))
    };
    let rows = cx.autoscaling.scheduled_actions.iter().filter(wanted);
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    // A character that no name may hold keeps the order of the keys that of the table.
    let key = |action: &&ScheduledAction| format!("{}\u{1}{}", action.group, action.name);
    let page = page(rows, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    Ok(shapes::DescribeScheduledActionsResponse {
        scheduled_update_group_actions: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

fn shape(action: &ScheduledAction) -> shapes::ScheduledUpdateGroupAction {
    // A recurring action tells when it happens next.
    let start = action.recurrence.as_ref().map_or(action.start, |_| Some(action.fires_at));
    shapes::ScheduledUpdateGroupAction {
        auto_scaling_group_name: Some(action.group.to_string()),
        scheduled_action_name: Some(action.name.to_string()),
        scheduled_action_arn: Some(action.arn.to_string()),
        time: start,
        start_time: start,
        end_time: action.end,
        recurrence: action.recurrence.as_ref().map(|(text, _)| text.clone()),
        min_size: action.min,
        max_size: action.max,
        desired_capacity: action.desired,
        time_zone: action.zone.as_ref().map(|(name, _)| name.clone()),
    }
}
