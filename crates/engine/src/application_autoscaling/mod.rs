//! Application Auto Scaling: the desired count of ECS services, kept between two limits by policies and schedules.
//!
//! The way of a change: an alarm runs a policy (`alarm`), a schedule comes due (`scheduled_action`) or a target's limits
//! are set (`target`); `capacity` calls UpdateService and `activity` keeps the record.

mod activity;
mod alarm;
mod capacity;
mod policy;
mod rows;
mod scheduled_action;
mod tag;
mod target;

use capstan_model::Time;
use capstan_shapes::{Refusal, application_autoscaling};

use crate::kernel::{Event, Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use rows::*;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    (
        "PutScalingPolicy.StepScalingPolicyConfiguration.MetricAggregationType",
        "steps take the alarm's newest datapoint",
    ),
    (
        "PutScheduledAction.Timezone",
        "about 150 IANA names with today's rules of summer time, and fixed offsets; others are refused by name",
    ),
    (
        "RegisterScalableTarget.RoleARN",
        "services are scaled by the service-linked role, as AWS does it, and roles are not checked",
    ),
    (
        "RegisterScalableTarget.ServiceNamespace",
        "only ecs (ecs:service:DesiredCount) is scaled; the other namespaces are refused by name",
    ),
];

/// The tables of this room.
#[derive(Clone, Debug, Default)]
pub struct ApplicationAutoScaling {
    activities: Table<Activity>,
    policies: Table<Policy>,
    scheduled_actions: Table<ScheduledAction>,
    targets: Table<ScalableTarget>,
}

impl ApplicationAutoScaling {
    pub fn activities(&self) -> &Table<Activity> {
        &self.activities
    }

    pub fn policies(&self) -> &Table<Policy> {
        &self.policies
    }

    pub fn scheduled_actions(&self) -> &Table<ScheduledAction> {
        &self.scheduled_actions
    }

    pub fn targets(&self) -> &Table<ScalableTarget> {
        &self.targets
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.activities.next_due(), self.scheduled_actions.next_due()].into_iter().flatten().min()
    }
}

tables!(ApplicationAutoScaling { activities, policies, scheduled_actions, targets });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: application_autoscaling::Request,
) -> Result<application_autoscaling::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, application_autoscaling {
        DeleteScalingPolicy => policy::delete,
        DeleteScheduledAction => scheduled_action::delete,
        DeregisterScalableTarget => target::deregister,
        DescribeScalableTargets => target::describe,
        DescribeScalingActivities => activity::describe,
        DescribeScalingPolicies => policy::describe,
        DescribeScheduledActions => scheduled_action::describe,
        ListTagsForResource => tag::list,
        PutScalingPolicy => policy::put,
        PutScheduledAction => scheduled_action::put,
        RegisterScalableTarget => target::register,
        TagResource => tag::tag,
        UntagResource => tag::untag,
    }))
}

/// Does what is due first.
pub(crate) fn on_due(cx: &mut Engine) {
    let Some(first) = cx.application_autoscaling.next_due() else { return };
    let room = &cx.application_autoscaling;
    if let Some((_, key)) = room.scheduled_actions.first_due().filter(|(time, _)| *time == first) {
        scheduled_action::due(cx, &key);
    } else if let Some((_, key)) = room.activities.first_due() {
        activity::due(cx, &key);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    match event {
        Event::AlarmAction { action, alarm, state, threshold, value } => {
            let action = alarm::Action { policy: action, alarm, state, threshold: *threshold, value: *value };
            alarm::act(cx, &action);
        }
        // A service takes its scalable target with it: nothing is left that could be scaled (our reading).
        Event::ServiceDeleted { cluster, service } => {
            target::remove(cx, &Name::from(format!("service/{cluster}/{service}")));
        }
        _ => {}
    }
}

/// The one dimension that is scaled here. Others are refused by name.
fn check_scaled(
    namespace: application_autoscaling::ServiceNamespace,
    dimension: Option<application_autoscaling::ScalableDimension>,
) -> Result<(), Refusal> {
    use application_autoscaling::{ScalableDimension, ServiceNamespace};
    if namespace != ServiceNamespace::Ecs {
        return Err(validation(format!(
            "Capstan scales ECS services only: the service namespace {namespace} is not built. See /_capstan/coverage."
        )));
    }
    match dimension {
        None | Some(ScalableDimension::EcsServiceDesiredCount) => Ok(()),
        Some(other) => Err(validation(format!(
            "Unsupported service namespace, resource type or scalable dimension: {namespace}, {other}. Use ecs:service:DesiredCount."
        ))),
    }
}

const PAGE_MAX: i32 = 50;

/// A page of a list, up to 50 long.
fn page_of<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    max: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = max.filter(|max| (1..=PAGE_MAX).contains(max)).unwrap_or(PAGE_MAX);
    page(items, key, token, usize::try_from(size).unwrap_or(1)).map_err(|()| {
        Refusal::of(&application_autoscaling::INVALID_NEXT_TOKEN_EXCEPTION, "The next token is not valid.")
    })
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::of(&application_autoscaling::VALIDATION_EXCEPTION, message)
}

fn limit_exceeded(message: impl Into<String>) -> Refusal {
    Refusal::of(&application_autoscaling::LIMIT_EXCEEDED_EXCEPTION, message)
}

/// `what` is `scalable target registered`, `scaling policy found` …
fn object_not_found(what: &str, resource: &str) -> Refusal {
    Refusal::of(
        &application_autoscaling::OBJECT_NOT_FOUND_EXCEPTION,
        format!(
            "No {what} for service namespace: ecs, resource ID: {resource}, scalable dimension: ecs:service:DesiredCount"
        ),
    )
}

/// A count as the API's integers have it.
fn number(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}
