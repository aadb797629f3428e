//! Scaling activities: what was done to a service and why, and what was not (Application Auto Scaling guide, describe
//! scaling activities; spec application-autoscaling.md §3).

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, application_autoscaling as shapes};
use serde_json::json;
use shapes::{ScalableDimension, ServiceNamespace};

use super::rows::{Activity, ActivityKey, CountChange, Name, NotScaled, ScalingActivityStatusCode as Code};
use super::{check_scaled, number, page_of, target};
use crate::ecs::{TaskIndex, TaskSums};
use crate::events::{Published, publish};
use crate::{Caller, Engine};

/// DescribeScalingActivities tells of the last six weeks.
const KEPT: Span = Span::from_hours(6 * 7 * 24);
/// How often a service is asked whether it has come to its count.
const CHECKED_EACH: Span = Span::from_secs(15);
/// A service that has not come to its count by then has not fulfilled the activity (our reading).
const FULFILLED_WITHIN: Span = Span::from_hours(1);

/// Tasks of a service that run.
pub(super) fn running(cx: &Engine, resource: &str) -> i64 {
    let Some(service) = target::service(cx, resource) else { return 0 };
    TaskSums::of(cx.ecs.tasks(), &TaskIndex::Service(service.key.clone())).running
}

struct New {
    description: String,
    cause: String,
    code: Code,
    message: Option<String>,
    not_scaled: Option<NotScaled>,
    change: Option<CountChange>,
}

fn add(cx: &mut Engine, resource: &Name, new: New) {
    let id = cx.chance.uuid("application-autoscaling.activity-id");
    let now = cx.now;
    let table = &mut cx.application_autoscaling.activities;
    let all = (resource.clone(), 0)..=(resource.clone(), u64::MAX);
    let number = table.range(all).next_back().map_or(0, |row| row.key.1 + 1);
    let open = new.code == Code::InProgress;
    table.insert(Activity {
        key: (resource.clone(), number),
        id,
        description: new.description,
        cause: new.cause,
        started: now,
        ended: (!open).then_some(now),
        code: new.code,
        message: new.message,
        not_scaled: new.not_scaled,
        change: new.change,
        check_at: open.then(|| now + CHECKED_EACH),
        forget_at: now + KEPT,
    });
}

/// The desired count was set; the activity lasts until ECS has come to it. It takes the place of one that still lasts.
pub(super) fn begin(cx: &mut Engine, resource: &Name, cause: String, change: CountChange) {
    end_open(cx, resource, Code::Overridden);
    let CountChange { to, .. } = change;
    let new = New {
        description: format!("Setting desired count to {to}."),
        cause,
        code: Code::InProgress,
        message: Some(format!(
            "Successfully set desired count to {to}. Waiting for change to be fulfilled by ecs."
        )),
        not_scaled: None,
        change: Some(change),
    };
    add(cx, resource, new);
}

/// UpdateService was refused.
pub(super) fn failed(cx: &mut Engine, resource: &Name, cause: String, to: i64, why: &str) {
    let new = New {
        description: format!("Setting desired count to {to}."),
        cause,
        code: Code::Failed,
        message: Some(format!("Failed to set desired count to {to}. Reason: {why}")),
        not_scaled: None,
        change: None,
    };
    add(cx, resource, new);
}

/// A scheduled action has set the limits, or could not.
pub(super) fn limits(
    cx: &mut Engine,
    resource: &Name,
    cause: String,
    min: i64,
    max: i64,
    wrong: Option<&str>,
) {
    let limits = format!("min capacity to {min} and max capacity to {max}");
    let (code, message) = match wrong {
        None => (Code::Successful, format!("Successfully set {limits}")),
        Some(why) => (Code::Failed, format!("Failed to set {limits}. Reason: {why}")),
    };
    let new = New {
        description: format!("Setting {limits}"),
        cause,
        code,
        message: Some(message),
        not_scaled: None,
        change: None,
    };
    add(cx, resource, new);
}

/// An alarm asked and nothing was scaled. Repeated by the alarm each minute, the same reason stands once.
pub(super) fn not_scaled(cx: &mut Engine, resource: &Name, cause: String, why: NotScaled) {
    let all = (resource.clone(), 0)..=(resource.clone(), u64::MAX);
    let table = &cx.application_autoscaling.activities;
    let same_policy = |row: &&Activity| match &row.not_scaled {
        Some(before) => before.policy == why.policy,
        None => row.change.is_some(),
    };
    let latest = table.range(all).rev().find(same_policy);
    if latest.and_then(|row| row.not_scaled.as_ref()) == Some(&why) {
        return;
    }
    let new = New {
        description: "Attempting to scale due to alarm triggered".to_owned(),
        cause,
        code: Code::Failed,
        message: None,
        not_scaled: Some(why),
        change: None,
    };
    add(cx, resource, new);
}

fn end_open(cx: &mut Engine, resource: &Name, code: Code) {
    let all = (resource.clone(), 0)..=(resource.clone(), u64::MAX);
    let table = &cx.application_autoscaling.activities;
    let open: Vec<ActivityKey> =
        table.range(all).rev().filter(|row| row.check_at.is_some()).map(|row| row.key.clone()).collect();
    for key in open {
        end(cx, &key, code, None);
    }
}

fn end(cx: &mut Engine, key: &ActivityKey, code: Code, message: Option<String>) {
    let now = cx.now;
    if let Some(mut row) = cx.application_autoscaling.activities.edit(key) {
        row.code = code;
        row.message = message.or_else(|| row.message.take());
        row.ended = Some(now);
        row.check_at = None;
    }
}

/// The first activity that is due: the service is looked at again, or the activity is old enough to be forgotten.
pub(super) fn due(cx: &mut Engine, key: &ActivityKey) {
    let now = cx.now;
    let Some(row) = cx.application_autoscaling.activities.get(key) else { return };
    let (Some(change), true) = (row.change, row.check_at.is_some()) else {
        cx.application_autoscaling.activities.remove(key);
        return;
    };
    let given_up = now - row.started >= FULFILLED_WITHIN;
    let there = target::service(cx, &key.0).is_some();
    let CountChange { to, .. } = change;
    if there && running(cx, &key.0) == to {
        let message =
            format!("Successfully set desired count to {to}. Change successfully fulfilled by ecs.");
        end(cx, key, Code::Successful, Some(message));
        tell(cx, key, change);
    } else if given_up || !there {
        let message = format!("Successfully set desired count to {to}. Change was not fulfilled by ecs.");
        end(cx, key, Code::Unfulfilled, Some(message));
    } else if let Some(mut row) = cx.application_autoscaling.activities.edit(key) {
        row.check_at = Some(now + CHECKED_EACH);
    }
}

/// EventBridge hears of a scale-out to the maximum only (spec §4).
fn tell(cx: &mut Engine, key: &ActivityKey, change: CountChange) {
    let CountChange { from, to, min, max } = change;
    if to <= from || to < max {
        return;
    }
    let detail_type = "Application Auto Scaling Scaling Activity State Change";
    publish(cx, "aws.application-autoscaling", detail_type, |cx| {
        let Some(row) = cx.application_autoscaling.activities.get(key) else { return Published::default() };
        let moment = |time: Option<Time>| time.map(Time::iso_millis);
        let detail = json!({
            "startTime": moment(Some(row.started)),
            "endTime": moment(row.ended),
            "newDesiredCapacity": to,
            "oldDesiredCapacity": from,
            "minCapacity": min,
            "maxCapacity": max,
            "resourceId": &*key.0,
            "scalableDimension": ScalableDimension::EcsServiceDesiredCount.as_str(),
            "serviceNamespace": ServiceNamespace::Ecs.as_str(),
            "statusCode": row.code.as_str(),
            "scaledToMax": true,
            "direction": "scale-out",
        });
        Published { resources: Vec::new(), detail, time: None }
    });
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeScalingActivitiesRequest,
) -> Result<shapes::DescribeScalingActivitiesResponse, Refusal> {
    check_scaled(request.service_namespace, request.scalable_dimension)?;
    let with_not_scaled = request.include_not_scaled_activities.unwrap_or(false);
    let wanted = |row: &&Activity| {
        request.resource_id.as_deref().is_none_or(|id| *id == *row.key.0)
            && (with_not_scaled || row.not_scaled.is_none())
    };
    let mut rows: Vec<&Activity> = cx.application_autoscaling.activities.iter().filter(wanted).collect();
    // The newest first.
    let order = |row: &&Activity| {
        let age = i64::MAX - row.started.as_micros();
        format!("{age:019}{}\u{1}{:020}", row.key.0, u64::MAX - row.key.1)
    };
    rows.sort_by_cached_key(order);
    let page = page_of(rows, order, request.next_token.as_deref(), request.max_results)?;
    Ok(shapes::DescribeScalingActivitiesResponse {
        scaling_activities: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

fn shape(row: &Activity) -> shapes::ScalingActivity {
    let reason = |why: &NotScaled| shapes::NotScaledReason {
        code: why.code.to_owned(),
        max_capacity: Some(number(why.max)),
        min_capacity: Some(number(why.min)),
        current_capacity: Some(number(why.current)),
    };
    shapes::ScalingActivity {
        activity_id: row.id.clone(),
        service_namespace: ServiceNamespace::Ecs,
        resource_id: row.key.0.to_string(),
        scalable_dimension: ScalableDimension::EcsServiceDesiredCount,
        description: row.description.clone(),
        cause: row.cause.clone(),
        start_time: row.started,
        end_time: row.ended,
        status_code: row.code,
        status_message: row.message.clone(),
        details: None,
        not_scaled_reasons: row.not_scaled.as_ref().map(|why| vec![reason(why)]),
    }
}
