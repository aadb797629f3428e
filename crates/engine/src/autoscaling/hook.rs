//! Lifecycle hooks: instances that wait for somebody's work before they go on (ASG guide, lifecycle-hooks).
//!
//! All hooks of a transition run at once; the instance goes on when each has its result. ABANDON ends the others.

use capstan_model::{InstanceId, Span};
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::{Refusal, autoscaling};

use super::rows::{Hook, HookResult, LifecycleAction, Name, ScalingActivityStatusCode as Code, Transition};
use super::{activity, capacity, event, invalid, lifecycle};
use crate::kernel::Event;
use crate::{Caller, Engine};

/// Hooks of a group (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 50;

/// `HeartbeatTimeout` in seconds.
const HEARTBEAT: std::ops::RangeInclusive<i32> = 30..=7200;
const HEARTBEAT_DEFAULT: Span = Span::from_secs(3600);

/// Begins the transition's hooks for an instance; `false` when the group has none.
pub(super) fn begin(cx: &mut Engine, id: InstanceId, transition: Transition) -> bool {
    let Some(row) = cx.autoscaling.instances.get(&id) else { return false };
    let group = row.group.clone();
    let hooks: Vec<Hook> =
        cx.autoscaling.hooks.by(&group).filter(|hook| hook.transition == transition).cloned().collect();
    for hook in &hooks {
        let token = cx.chance.uuid("autoscaling.lifecycle-action-token");
        cx.autoscaling.actions.insert(LifecycleAction {
            instance: id,
            hook: hook.name.clone(),
            group: group.clone(),
            token: token.clone(),
            transition,
            heartbeat: hook.heartbeat,
            default_result: hook.default_result,
            expires_at: cx.now + hook.heartbeat,
            latest: cx.now + hook.global_timeout(),
        });
        event::lifecycle_action(cx, hook, id, &token);
        cx.announce(Event::LifecycleAction {
            group: group.to_string(),
            instance: id,
            hook: hook.name.to_string(),
            token,
            transition: transition.as_str(),
        });
    }
    !hooks.is_empty()
}

/// Drops what an instance waits for.
pub(super) fn forget(cx: &mut Engine, id: InstanceId) {
    for key in keys_of(cx, id) {
        cx.autoscaling.actions.remove(&key);
    }
}

fn keys_of(cx: &Engine, id: InstanceId) -> Vec<(InstanceId, Name)> {
    let first = (id, Name::from(""));
    cx.autoscaling
        .actions
        .range(first..)
        .take_while(|row| row.instance == id)
        .map(|row| (id, row.hook.clone()))
        .collect()
}

/// An action whose time has run out takes its default result.
pub(super) fn due(cx: &mut Engine, key: &(InstanceId, Name)) {
    let Some(action) = cx.autoscaling.actions.get(key).cloned() else { return };
    settle(cx, &action, action.default_result, "Heartbeat Timeout");
}

fn settle(cx: &mut Engine, action: &LifecycleAction, result: HookResult, why: &str) {
    let id = action.instance;
    cx.autoscaling.actions.remove(&(id, action.hook.clone()));
    match (action.transition, result) {
        (Transition::Launching, HookResult::Abandon) => {
            forget(cx, id);
            let launch = cx.autoscaling.instances.get(&id).and_then(|row| row.activity.clone());
            if let Some(key) = launch {
                let message = format!(
                    "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {} was \
                     abandoned: {why}",
                    action.token
                );
                activity::end(cx, &key, Code::Cancelled, Some(message));
            }
            let clause = "an instance was taken out of service in response to a launch failure.";
            let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
            lifecycle::terminate(cx, id, cause, lifecycle::Exit::Forced);
            capacity::request(cx, &action.group, None);
        }
        (Transition::Launching, HookResult::Continue) => {
            if keys_of(cx, id).is_empty() {
                lifecycle::into_service(cx, id);
            }
        }
        (Transition::Terminating, result) => {
            if result == HookResult::Abandon {
                forget(cx, id);
            }
            if keys_of(cx, id).is_empty() {
                lifecycle::end(cx, id);
            }
        }
    }
}

/// What a hook needs, as given to PutLifecycleHook or with a new group.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) transition: Option<String>,
    pub(super) heartbeat: Option<i32>,
    pub(super) default_result: Option<String>,
    pub(super) notification_target_arn: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) notification_metadata: Option<String>,
}

impl From<shapes::LifecycleHookSpecification> for Given {
    fn from(given: shapes::LifecycleHookSpecification) -> Self {
        Self {
            name: given.lifecycle_hook_name,
            transition: Some(given.lifecycle_transition),
            heartbeat: given.heartbeat_timeout,
            default_result: given.default_result,
            notification_target_arn: given.notification_target_arn,
            role_arn: given.role_arn,
            notification_metadata: given.notification_metadata,
        }
    }
}

/// A hook out of what was given; what is left out comes from the hook `before`, then from the API's defaults.
pub(super) fn read(group: &Name, given: Given, before: Option<&Hook>) -> Result<Hook, Refusal> {
    let transition = match given.transition.as_deref() {
        Some(text) => Transition::parse(text).ok_or_else(|| {
            invalid(format!(
                "{text} is not a valid lifecycle transition. Valid values are: {}, {}",
                Transition::Launching.as_str(),
                Transition::Terminating.as_str()
            ))
        })?,
        None => before.map(|before| before.transition).ok_or_else(|| {
            invalid("LifecycleTransition is required when a new lifecycle hook is created.")
        })?,
    };
    let heartbeat = match given.heartbeat {
        Some(secs) if HEARTBEAT.contains(&secs) => Span::from_secs(secs.into()),
        Some(_) => {
            return Err(invalid(format!(
                "Heartbeat timeout must be between {} and {} seconds",
                HEARTBEAT.start(),
                HEARTBEAT.end()
            )));
        }
        None => before.map_or(HEARTBEAT_DEFAULT, |before| before.heartbeat),
    };
    let default_result = match given.default_result.as_deref() {
        Some(text) => HookResult::parse(text).ok_or_else(|| bad_result(text))?,
        None => before.map_or(HookResult::Abandon, |before| before.default_result),
    };
    Ok(Hook {
        group: group.clone(),
        name: given.name.into(),
        transition,
        heartbeat,
        default_result,
        // An empty target ARN takes a target back.
        notification_target_arn: given
            .notification_target_arn
            .or_else(|| before.and_then(|before| before.notification_target_arn.clone()))
            .filter(|arn| !arn.is_empty()),
        role_arn: given.role_arn.or_else(|| before.and_then(|before| before.role_arn.clone())),
        notification_metadata: given
            .notification_metadata
            .or_else(|| before.and_then(|before| before.notification_metadata.clone())),
    })
}

fn bad_result(text: &str) -> Refusal {
    invalid(format!("{text} is not a valid lifecycle action result. Valid values are: CONTINUE, ABANDON"))
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutLifecycleHookRequest,
) -> Result<shapes::PutLifecycleHookResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let before = cx.autoscaling.hooks.get(&(group.clone(), request.lifecycle_hook_name.as_str().into()));
    if before.is_none() && cx.autoscaling.hooks.count_by(&group) >= PER_GROUP_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!(
                "The number of lifecycle hooks of group {group} would exceed the limit of {PER_GROUP_MAX}."
            ),
        ));
    }
    let given = Given {
        name: request.lifecycle_hook_name,
        transition: request.lifecycle_transition,
        heartbeat: request.heartbeat_timeout,
        default_result: request.default_result,
        notification_target_arn: request.notification_target_arn,
        role_arn: request.role_arn,
        notification_metadata: request.notification_metadata,
    };
    let hook = read(&group, given, before)?;
    cx.autoscaling.hooks.insert(hook);
    Ok(shapes::PutLifecycleHookResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeLifecycleHooksRequest,
) -> Result<shapes::DescribeLifecycleHooksResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let names = request.lifecycle_hook_names.unwrap_or_default();
    let hooks = cx.autoscaling.hooks.by(&group);
    let hooks = hooks.filter(|hook| names.is_empty() || names.iter().any(|name| **name == *hook.name));
    Ok(shapes::DescribeLifecycleHooksResponse { lifecycle_hooks: Some(hooks.map(shape).collect()) })
}

fn shape(hook: &Hook) -> shapes::LifecycleHook {
    shapes::LifecycleHook {
        lifecycle_hook_name: Some(hook.name.to_string()),
        auto_scaling_group_name: Some(hook.group.to_string()),
        lifecycle_transition: Some(hook.transition.as_str().to_owned()),
        notification_target_arn: hook.notification_target_arn.clone(),
        role_arn: hook.role_arn.clone(),
        notification_metadata: hook.notification_metadata.clone(),
        heartbeat_timeout: Some(super::number(hook.heartbeat.as_secs())),
        global_timeout: Some(super::number(hook.global_timeout().as_secs())),
        default_result: Some(hook.default_result.as_str().to_owned()),
    }
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteLifecycleHookRequest,
) -> Result<shapes::DeleteLifecycleHookResponse, Refusal> {
    let group = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let key = (group.clone(), Name::from(request.lifecycle_hook_name.as_str()));
    if cx.autoscaling.hooks.remove(&key).is_none() {
        return Err(no_hook(&group, &key.1));
    }
    // Instances that wait in the hook: launches are abandoned, terminations go on (DeleteLifecycleHook).
    let waiting: Vec<LifecycleAction> = cx
        .autoscaling
        .actions
        .iter()
        .filter(|row| row.group == group && row.hook == key.1)
        .cloned()
        .collect();
    for action in waiting {
        let result = match action.transition {
            Transition::Launching => HookResult::Abandon,
            Transition::Terminating => HookResult::Continue,
        };
        settle(cx, &action, result, "Lifecycle Hook Deleted");
    }
    Ok(shapes::DeleteLifecycleHookResponse {})
}

fn no_hook(group: &str, hook: &str) -> Refusal {
    invalid(format!("No Lifecycle Hook found with name {hook} for group {group}"))
}

/// The action that a request means, by its token or its instance.
fn action(
    cx: &Engine,
    group: &str,
    hook: &str,
    token: Option<&str>,
    instance: Option<&str>,
) -> Result<LifecycleAction, Refusal> {
    let group = super::group::find(cx, group)?.name.clone();
    if cx.autoscaling.hooks.get(&(group.clone(), hook.into())).is_none() {
        return Err(no_hook(&group, hook));
    }
    let found = match (token, instance) {
        (Some(token), _) => cx.autoscaling.actions.by(&token.to_owned()).next(),
        (None, Some(instance)) => {
            instance.parse().ok().and_then(|id| cx.autoscaling.actions.get(&(id, hook.into())))
        }
        (None, None) => {
            return Err(invalid("Either LifecycleActionToken or InstanceId is required."));
        }
    };
    found.filter(|row| row.group == group && *row.hook == *hook).cloned().ok_or_else(|| {
        invalid(match token {
            Some(token) => format!("No active Lifecycle Action found with token {token}"),
            None => {
                format!("No active Lifecycle Action found with instance ID {}", instance.unwrap_or_default())
            }
        })
    })
}

pub(super) fn complete(
    cx: &mut Engine,
    _caller: &Caller,
    request: autoscaling::CompleteLifecycleActionRequest,
) -> Result<autoscaling::CompleteLifecycleActionResponse, Refusal> {
    let result = HookResult::parse(&request.lifecycle_action_result)
        .ok_or_else(|| bad_result(&request.lifecycle_action_result))?;
    let action = action(
        cx,
        &request.auto_scaling_group_name,
        &request.lifecycle_hook_name,
        request.lifecycle_action_token.as_deref(),
        request.instance_id.as_deref(),
    )?;
    settle(cx, &action, result, "Lifecycle Action Completed with ABANDON Result");
    Ok(autoscaling::CompleteLifecycleActionResponse {})
}

pub(super) fn heartbeat(
    cx: &mut Engine,
    _caller: &Caller,
    request: autoscaling::RecordLifecycleActionHeartbeatRequest,
) -> Result<autoscaling::RecordLifecycleActionHeartbeatResponse, Refusal> {
    let action = action(
        cx,
        &request.auto_scaling_group_name,
        &request.lifecycle_hook_name,
        request.lifecycle_action_token.as_deref(),
        request.instance_id.as_deref(),
    )?;
    let now = cx.now;
    if let Some(mut row) = cx.autoscaling.actions.edit(&(action.instance, action.hook.clone())) {
        row.expires_at = (now + row.heartbeat).min(row.latest);
    }
    Ok(autoscaling::RecordLifecycleActionHeartbeatResponse {})
}
