//! EC2 Auto Scaling: groups of instances, kept at a size that policies decide.
//!
//! Rows are in `rows`, one file for each subject beside it; [`AutoScaling`] owns the tables. The way of a change: a
//! request (`group`) or a policy (`alarm`, `scaling`) sets the desired capacity; `capacity` compares it with what there
//! is, launches by `allocation` and takes out by `termination`; `lifecycle` brings each instance in and out, through
//! `hook` and the target groups; `health` replaces what fails; `activity` keeps the record.

mod activity;
mod alarm;
mod allocation;
mod balance;
mod capacity;
mod decision;
mod event;
mod group;
mod health;
mod hook;
mod inert;
mod instance;
mod launch_configuration;
mod lifecycle;
mod metrics;
mod notification;
mod policy;
mod rebalance;
mod rows;
mod scaling;
mod scheduled_action;
mod suspend;
mod tag;
mod target_group;
mod template;
mod termination;
#[cfg(test)]
mod tests;
mod types;
mod warm_pool;
mod zones;

use capstan_model::Time;
use capstan_shapes::{Refusal, autoscaling};

use crate::kernel::{Event, Table, dispatch, tables};
use crate::{Caller, Engine};

pub use decision::{Decision, Verdict};
pub use inert::INERT;
pub use rows::*;

/// The tables of this room.
#[derive(Clone, Debug, Default)]
pub struct AutoScaling {
    actions: Table<LifecycleAction>,
    activities: Table<Activity>,
    groups: Table<Group>,
    hooks: Table<Hook>,
    instances: Table<GroupInstance>,
    launch_configurations: Table<LaunchConfiguration>,
    notifications: Table<Notification>,
    policies: Table<Policy>,
    scheduled_actions: Table<ScheduledAction>,
}

impl AutoScaling {
    /// Instances that wait in a lifecycle hook.
    pub fn actions(&self) -> &Table<LifecycleAction> {
        &self.actions
    }

    pub fn activities(&self) -> &Table<Activity> {
        &self.activities
    }

    pub fn groups(&self) -> &Table<Group> {
        &self.groups
    }

    pub fn hooks(&self) -> &Table<Hook> {
        &self.hooks
    }

    pub fn instances(&self) -> &Table<GroupInstance> {
        &self.instances
    }

    pub fn launch_configurations(&self) -> &Table<LaunchConfiguration> {
        &self.launch_configurations
    }

    pub fn notifications(&self) -> &Table<Notification> {
        &self.notifications
    }

    pub fn policies(&self) -> &Table<Policy> {
        &self.policies
    }

    pub fn scheduled_actions(&self) -> &Table<ScheduledAction> {
        &self.scheduled_actions
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let due = [
            self.actions.next_due(),
            self.activities.next_due(),
            self.groups.next_due(),
            self.instances.next_due(),
            self.scheduled_actions.next_due(),
        ];
        due.into_iter().flatten().min()
    }
}

tables!(AutoScaling {
    actions,
    activities,
    groups,
    hooks,
    instances,
    launch_configurations,
    notifications,
    policies,
    scheduled_actions
});

/// The names of the instance types that a group may launch, in the order of priority; empty when its launch template
/// is gone or names none.
pub fn instance_types(engine: &Engine, group: &Group) -> Vec<String> {
    template::types(engine, group)
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: autoscaling::Request,
) -> Result<autoscaling::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, autoscaling {
        AttachInstances => instance::attach,
        AttachLoadBalancerTargetGroups => target_group::attach,
        BatchDeleteScheduledAction => scheduled_action::delete_batch,
        BatchPutScheduledUpdateGroupAction => scheduled_action::put_batch,
        CompleteLifecycleAction => hook::complete,
        CreateAutoScalingGroup => group::create,
        CreateLaunchConfiguration => launch_configuration::create,
        CreateOrUpdateTags => tag::create,
        DeleteAutoScalingGroup => group::delete,
        DeleteLaunchConfiguration => launch_configuration::delete,
        DeleteLifecycleHook => hook::delete,
        DeleteNotificationConfiguration => notification::delete,
        DeletePolicy => policy::delete,
        DeleteScheduledAction => scheduled_action::delete,
        DeleteTags => tag::delete,
        DeleteWarmPool => warm_pool::delete,
        DescribeAccountLimits => types::limits,
        DescribeAdjustmentTypes => types::adjustment,
        DescribeAutoScalingGroups => group::describe,
        DescribeAutoScalingInstances => instance::describe,
        DescribeAutoScalingNotificationTypes => notification::types,
        DescribeLaunchConfigurations => launch_configuration::describe,
        DescribeLifecycleHookTypes => types::lifecycle_hook,
        DescribeLifecycleHooks => hook::describe,
        DescribeLoadBalancerTargetGroups => target_group::describe,
        DescribeNotificationConfigurations => notification::describe,
        DescribePolicies => policy::describe,
        DescribeScalingActivities => activity::describe,
        DescribeScalingProcessTypes => types::process,
        DescribeScheduledActions => scheduled_action::describe,
        DescribeTags => tag::describe,
        DescribeTerminationPolicyTypes => types::termination_policy,
        DescribeWarmPool => warm_pool::describe,
        DetachInstances => instance::detach,
        DetachLoadBalancerTargetGroups => target_group::detach,
        DisableMetricsCollection => metrics::disable,
        EnableMetricsCollection => metrics::enable,
        EnterStandby => instance::enter_standby,
        ExecutePolicy => alarm::execute,
        ExitStandby => instance::exit_standby,
        PutLifecycleHook => hook::put,
        PutNotificationConfiguration => notification::put,
        PutScalingPolicy => policy::put,
        PutScheduledUpdateGroupAction => scheduled_action::put,
        PutWarmPool => warm_pool::put,
        RecordLifecycleActionHeartbeat => hook::heartbeat,
        ResumeProcesses => suspend::resume,
        SetDesiredCapacity => group::set_desired,
        SetInstanceHealth => health::set,
        SetInstanceProtection => instance::protect,
        SuspendProcesses => suspend::suspend,
        TerminateInstanceInAutoScalingGroup => instance::terminate,
        UpdateAutoScalingGroup => group::update,
    }))
}

/// Does what is due first. At one moment instances and their hooks come before groups, so that a comparison sees what
/// has just changed.
pub(crate) fn on_due(cx: &mut Engine) {
    let Some(first) = cx.autoscaling.next_due() else { return };
    let room = &cx.autoscaling;
    if let Some((_, id)) = room.instances.first_due().filter(|(time, _)| *time == first) {
        health::due(cx, id);
    } else if let Some((_, key)) = room.actions.first_due().filter(|(time, _)| *time == first) {
        hook::due(cx, &key);
    } else if let Some((_, key)) = room.scheduled_actions.first_due().filter(|(time, _)| *time == first) {
        scheduled_action::due(cx, &key);
    } else if let Some((_, key)) = room.activities.first_due().filter(|(time, _)| *time == first) {
        activity::due(cx, &key);
    } else if let Some((_, name)) = room.groups.first_due() {
        group::due(cx, &name);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    match event {
        Event::AlarmAction { action, alarm, state, threshold, value } => {
            let action = alarm::Action { policy: action, alarm, state, threshold: *threshold, value: *value };
            alarm::act(cx, &action);
        }
        Event::InstanceState { instance, state } => lifecycle::ec2_state(cx, *instance, state),
        Event::TargetState { target_group, target, state, .. } => {
            lifecycle::target_state(cx, target_group, target, state);
        }
        Event::RebalanceRecommendation { instance } => {
            rebalance::at_risk(cx, *instance, Risk::Recommendation);
        }
        Event::SpotInterruption { instance, .. } => rebalance::at_risk(cx, *instance, Risk::Notice),
        Event::AlarmState { .. }
        | Event::LifecycleAction { .. }
        | Event::ServiceDeleted { .. }
        | Event::SpotInstanceEvicted { .. }
        | Event::SpotRequestFulfilled { .. } => {}
    }
}

/// Auto Scaling's answer to input that is wrong.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

fn invalid_token() -> Refusal {
    Refusal::of(&autoscaling::INVALID_NEXT_TOKEN, "The NextToken value is not valid.")
}

/// A count or a number of seconds as the API's integers have it.
fn number(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}
