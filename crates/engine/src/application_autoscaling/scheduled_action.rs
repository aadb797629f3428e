//! Scheduled actions: limits that are set at certain times (Application Auto Scaling guide, scheduled scaling).

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, application_autoscaling as shapes};
use shapes::{ScalableDimension, ServiceNamespace};

use super::rows::{Name, ScheduledAction};
use super::{
    activity, capacity, check_scaled, limit_exceeded, number, object_not_found, page_of, target, validation,
};
use crate::schedule::{Schedule, Zone};
use crate::{Caller, Engine};

/// Scheduled actions of a target (Application Auto Scaling quotas).
const PER_TARGET_MAX: usize = 200;

/// When the action happens next after `now`.
fn next(action: &ScheduledAction, now: Time) -> Option<Time> {
    let zone = action.timezone.as_deref().map_or(Some(Zone::UTC), Zone::named)?;
    let since = action.start.unwrap_or(action.created);
    // What falls on the very start counts.
    let after = action.start.map_or(now, |start| now.max(start - Span::from_micros(1)));
    let at = action.schedule.next_in(&zone, since, after)?;
    action.end.is_none_or(|end| at <= end).then_some(at)
}

pub(super) fn put(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::PutScheduledActionRequest,
) -> Result<shapes::PutScheduledActionResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let resource = target::find(cx, &request.resource_id)?.resource.clone();
    let name: Name = request.scheduled_action_name.as_str().into();
    let room = &cx.application_autoscaling;
    let before = room.scheduled_actions.get(&(resource.clone(), name.clone())).cloned();
    if before.is_none() && room.scheduled_actions.count_by(&resource) >= PER_TARGET_MAX {
        return Err(limit_exceeded(format!(
            "A scalable target can have {PER_TARGET_MAX} scheduled actions."
        )));
    }
    // What an update leaves out stays as it is.
    let expression = request.schedule.or_else(|| before.as_ref().map(|before| before.expression.clone()));
    let expression =
        expression.ok_or_else(|| validation("Schedule is required for a new scheduled action"))?;
    let schedule = Schedule::parse(&expression).ok_or_else(|| {
        validation(format!(
            "Schedule is not valid: {expression}. Use at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(minutes hours day-of-month month day-of-week year)"
        ))
    })?;
    let timezone = request.timezone.or_else(|| before.as_ref().and_then(|before| before.timezone.clone()));
    if let Some(name) = timezone.as_deref().filter(|name| Zone::named(name).is_none()) {
        return Err(validation(format!(
            "Timezone {name} is not one that Capstan knows: use a name such as Europe/Berlin, UTC, or a fixed offset such as Etc/GMT+5"
        )));
    }
    let start = request.start_time.or_else(|| before.as_ref().and_then(|before| before.start));
    let end = request.end_time.or_else(|| before.as_ref().and_then(|before| before.end));
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err(validation("StartTime must be before EndTime"));
    }
    let (min, max) = match request.scalable_target_action {
        Some(action) => (action.min_capacity.map(i64::from), action.max_capacity.map(i64::from)),
        None => before.as_ref().map(|before| (before.min, before.max)).unwrap_or_default(),
    };
    if min.is_none() && max.is_none() {
        return Err(validation("ScalableTargetAction needs MinCapacity, MaxCapacity or both"));
    }
    if [min, max].into_iter().flatten().any(|limit| limit < 0) {
        return Err(validation("MinCapacity and MaxCapacity must not be negative"));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(validation("Maximum capacity cannot be less than minimum capacity"));
    }
    let (arn, created) = match before {
        Some(before) => (before.arn, before.created),
        None => {
            let uuid = cx.chance.uuid("application-autoscaling.scheduled-action-id");
            let path = format!("scheduledAction:{uuid}:resource/ecs/{resource}:scheduledActionName/{name}");
            (cx.arn("autoscaling", path).into(), cx.now)
        }
    };
    let mut action = ScheduledAction {
        resource,
        name,
        arn,
        created,
        expression,
        schedule,
        timezone,
        start,
        end,
        min,
        max,
        fires_at: None,
    };
    action.fires_at = next(&action, cx.now);
    if action.fires_at.is_none() {
        return Err(validation(format!("Schedule {} has no time in the future", action.expression)));
    }
    cx.application_autoscaling.scheduled_actions.insert(action);
    Ok(shapes::PutScheduledActionResponse {})
}

/// The action happens: the limits are set, and the count is brought within them. Cooldowns do not matter.
pub(super) fn due(cx: &mut Engine, key: &(Name, Name)) {
    let now = cx.now;
    let Some(mut row) = cx.application_autoscaling.scheduled_actions.edit(key) else { return };
    row.fires_at = next(&row, now);
    let action = row.clone();
    drop(row);
    let resource = &action.resource;
    let Some(target) = cx.application_autoscaling.targets.get(resource) else { return };
    if target.suspended.scheduled {
        return;
    }
    let (min, max) = (action.min.unwrap_or(target.min), action.max.unwrap_or(target.max));
    let cause = format!("scheduled action name {} was triggered", action.name);
    if min > max {
        let wrong = "Maximum capacity cannot be less than minimum capacity";
        return activity::limits(cx, resource, cause, min, max, Some(wrong));
    }
    if let Some(mut target) = cx.application_autoscaling.targets.edit(resource) {
        (target.min, target.max) = (min, max);
    }
    activity::limits(cx, resource, cause, min, max, None);
    capacity::hold(cx, resource);
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteScheduledActionRequest,
) -> Result<shapes::DeleteScheduledActionResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let key = (Name::from(request.resource_id.as_str()), Name::from(request.scheduled_action_name.as_str()));
    match cx.application_autoscaling.scheduled_actions.remove(&key) {
        Some(_) => Ok(shapes::DeleteScheduledActionResponse {}),
        None => {
            let what = format!("scheduled action {} found", request.scheduled_action_name);
            Err(object_not_found(&what, &request.resource_id))
        }
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeScheduledActionsRequest,
) -> Result<shapes::DescribeScheduledActionsResponse, Refusal> {
    check_scaled(request.service_namespace, request.scalable_dimension)?;
    let names = request.scheduled_action_names.unwrap_or_default();
    let wanted = |action: &&ScheduledAction| {
        request.resource_id.as_deref().is_none_or(|id| *id == *action.resource)
            && (names.is_empty() || names.iter().any(|name| **name == *action.name))
    };
    let rows = cx.application_autoscaling.scheduled_actions.iter().filter(wanted);
    // A character that no name may hold keeps the order of the keys that of the table.
    let key = |action: &&ScheduledAction| format!("{}\u{1}{}", action.resource, action.name);
    let page = page_of(rows, key, request.next_token.as_deref(), request.max_results)?;
    Ok(shapes::DescribeScheduledActionsResponse {
        scheduled_actions: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

fn shape(action: &ScheduledAction) -> shapes::ScheduledAction {
    shapes::ScheduledAction {
        scheduled_action_name: action.name.to_string(),
        scheduled_action_arn: action.arn.to_string(),
        service_namespace: ServiceNamespace::Ecs,
        schedule: action.expression.clone(),
        timezone: action.timezone.clone(),
        resource_id: action.resource.to_string(),
        scalable_dimension: Some(ScalableDimension::EcsServiceDesiredCount),
        start_time: action.start,
        end_time: action.end,
        scalable_target_action: Some(shapes::ScalableTargetAction {
            min_capacity: action.min.map(number),
            max_capacity: action.max.map(number),
        }),
        creation_time: action.created,
    }
}
