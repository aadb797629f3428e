//! Scaling activities: the record of what a group did and why (ASG guide, as-verify-scaling-activity).

use capstan_model::{Span, Time};
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::{Refusal, autoscaling};

use super::rows::{Activity, ActivityIndex, ActivityKey, Group, Name, ScalingActivityStatusCode as Code};
use super::{event, invalid, invalid_token};
use crate::kernel::page;
use crate::{Caller, Engine};

/// DescribeScalingActivities tells of the last six weeks.
const KEPT: Span = Span::from_hours(6 * 7 * 24);

/// The model's limit for a cause.
const CAUSE_MAX: usize = 1023;

/// Sentences of a cause are joined so, and so is the status reason to a description.
const JOINT: &str = "  ";

/// `At <time> <clause>`: one sentence of a cause.
pub(super) fn sentence(now: Time, clause: impl std::fmt::Display) -> String {
    format!("At {} {clause}", now.iso_secs())
}

/// A cause out of its sentences, cut at the model's limit.
pub(super) fn cause(sentences: &[String]) -> Name {
    let mut text = sentences.join(JOINT);
    if text.len() > CAUSE_MAX {
        let end = (0..=CAUSE_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
    text.into()
}

/// `Details`: JSON in a string.
pub(super) fn details(subnet: Option<&str>, zone: &str) -> String {
    match subnet {
        Some(subnet) => format!(r#"{{"Subnet ID":"{subnet}","Availability Zone":"{zone}"}}"#),
        None => format!(r#"{{"Availability Zone":"{zone}"}}"#),
    }
}

/// Begins an activity.
pub(super) fn begin(
    cx: &mut Engine,
    group: &Group,
    description: String,
    cause: Name,
    details: String,
) -> ActivityKey {
    let id = cx.chance.uuid("autoscaling.activity-id");
    let first = ActivityKey { group: group.name.clone(), number: 0 };
    let last = ActivityKey { number: u64::MAX, ..first.clone() };
    let number =
        cx.autoscaling.activities.range(first..=last).next_back().map_or(0, |row| row.key.number + 1);
    let key = ActivityKey { group: group.name.clone(), number };
    cx.autoscaling.activities.insert(Activity {
        key: key.clone(),
        id,
        group_arn: group.arn.clone(),
        description,
        cause,
        started: cx.now,
        ended: None,
        code: Code::InProgress,
        message: None,
        progress: 0,
        details,
        warm_at: None,
        forget_at: None,
    });
    key
}

/// An activity in progress comes to another stage.
pub(super) fn stage(cx: &mut Engine, key: &ActivityKey, code: Code) {
    let Some(mut row) = cx.autoscaling.activities.edit(key) else { return };
    row.code = code;
    row.progress = match code {
        Code::PreInService => 30,
        Code::WaitingForELBConnectionDraining => 50,
        Code::MidLifecycleAction | Code::WaitingForInstanceWarmup => 60,
        _ => row.progress,
    };
}

/// The instance is in service, but the activity lasts until it is warm.
pub(super) fn warm_up(cx: &mut Engine, key: &ActivityKey, until: Time) {
    stage(cx, key, Code::WaitingForInstanceWarmup);
    if let Some(mut row) = cx.autoscaling.activities.edit(key) {
        row.warm_at = Some(until);
    }
    event::launched(cx, key);
}

/// Ends an activity that is still in progress.
pub(super) fn end(cx: &mut Engine, key: &ActivityKey, code: Code, message: Option<String>) {
    let now = cx.now;
    let Some(mut row) = cx.autoscaling.activities.edit(key) else { return };
    if row.ended.is_some() {
        return;
    }
    let was_warming = row.warm_at.is_some();
    row.code = code;
    row.message = message;
    row.progress = 100;
    row.ended = Some(now);
    row.warm_at = None;
    row.forget_at = Some(now + KEPT);
    drop(row);
    event::activity_ended(cx, key, was_warming);
}

/// A launch that failed before there was an instance.
pub(super) fn launch_failed(cx: &mut Engine, group: &Group, cause: Name, details: String, message: String) {
    let description = format!("Launching a new EC2 instance.{JOINT}Status Reason: {message}");
    let key = begin(cx, group, description, cause, details);
    end(cx, &key, Code::Failed, Some(message));
}

/// The first activity that is due: its warm-up is over, or it is old enough to be forgotten.
pub(super) fn due(cx: &mut Engine, key: &ActivityKey) {
    let Some(row) = cx.autoscaling.activities.get(key) else { return };
    if row.warm_at.is_some() {
        end(cx, key, Code::Successful, None);
    } else {
        cx.autoscaling.activities.remove(key);
    }
}

/// An activity as the API tells it.
pub(super) fn shape(cx: &Engine, row: &Activity) -> shapes::Activity {
    let alive = cx.autoscaling.groups.get(&row.key.group).is_some_and(|group| group.arn == row.group_arn);
    shapes::Activity {
        activity_id: row.id.clone(),
        auto_scaling_group_name: row.key.group.to_string(),
        description: Some(row.description.clone()),
        cause: row.cause.to_string(),
        start_time: row.started,
        // AWS tells ends in whole seconds.
        end_time: row.ended.map(|at| at.floor(Span::from_secs(1)).max(row.started)),
        status_code: row.code,
        status_message: row.message.clone(),
        progress: Some(row.progress),
        details: Some(row.details.clone()),
        auto_scaling_group_state: (!alive).then(|| "Deleted".to_owned()),
        auto_scaling_group_arn: Some(row.group_arn.to_string()),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeScalingActivitiesRequest,
) -> Result<shapes::DescribeScalingActivitiesResponse, Refusal> {
    let deleted_too = request.include_deleted_groups.unwrap_or(false);
    let room = &cx.autoscaling;
    let group = request.auto_scaling_group_name.as_deref();
    if let Some(name) = group
        && !deleted_too
    {
        super::group::find(cx, name)?;
    }
    let after_and_before = time_filters(request.filters.as_deref().unwrap_or_default())?;
    let ids = request.activity_ids.unwrap_or_default();
    let mut rows: Vec<&Activity> = if ids.is_empty() {
        match group {
            Some(name) => {
                let first = ActivityKey { group: name.into(), number: 0 };
                let last = ActivityKey { number: u64::MAX, ..first.clone() };
                room.activities.range(first..=last).collect()
            }
            None => room.activities.iter().collect(),
        }
    } else {
        ids.iter().flat_map(|id| room.activities.by(&ActivityIndex::Id(id.clone()))).collect()
    };
    rows.retain(|row| {
        let alive = room.groups.get(&row.key.group).is_some_and(|group| group.arn == row.group_arn);
        group.is_none_or(|name| *row.key.group == *name)
            && (alive || deleted_too)
            && after_and_before.0.is_none_or(|after| row.started > after)
            && after_and_before.1.is_none_or(|before| row.started < before)
    });
    rows.sort_by_cached_key(|row| order(row));
    let size = usize::try_from(request.max_records.unwrap_or(100)).unwrap_or(100).min(100);
    let page =
        page(rows, |row| order(row), request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    Ok(autoscaling::DescribeScalingActivitiesResponse {
        activities: page.items.into_iter().map(|row| shape(cx, row)).collect(),
        next_token: page.next,
    })
}

/// In progress first, then newest first.
fn order(row: &Activity) -> String {
    let newest_first = i64::MAX - row.started.as_micros();
    format!(
        "{}{newest_first:019}{}{:020}",
        u8::from(row.ended.is_some()),
        row.key.group,
        u64::MAX - row.key.number
    )
}

fn time_filters(filters: &[shapes::Filter]) -> Result<(Option<Time>, Option<Time>), Refusal> {
    let (mut after, mut before) = (None, None);
    for filter in filters {
        let value = filter.values.as_deref().unwrap_or_default().first();
        let time = value.and_then(|text| Time::parse_iso(text));
        let slot = match filter.name.as_deref() {
            Some("StartTimeLowerBound") => &mut after,
            Some("StartTimeUpperBound") => &mut before,
            Some("Status") => return Err(invalid("The filter Status is not supported for this operation.")),
            other => {
                return Err(invalid(format!(
                    "The filter name {} is not valid; use StartTimeLowerBound or StartTimeUpperBound.",
                    other.unwrap_or("(none)")
                )));
            }
        };
        *slot = Some(time.ok_or_else(|| invalid("The filter's value is not a time in ISO 8601."))?);
    }
    Ok((after, before))
}
