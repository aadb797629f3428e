//! What Auto Scaling tells EventBridge (spec autoscaling.md §11; ASG guide, ec2-auto-scaling-event-reference).

use capstan_model::InstanceId;
use serde_json::{Value as Json, json};

use super::rows::{Activity, ActivityKey, Hook, ScalingActivityStatusCode as Code, Transition};
use crate::Engine;
use crate::events::{Published, publish};

const SOURCE: &str = "aws.autoscaling";

/// An activity has ended. A launch that then waited for its warm-up was told of before.
pub(super) fn activity_ended(cx: &mut Engine, key: &ActivityKey, was_warming: bool) {
    let Some(row) = cx.autoscaling.activities.get(key) else { return };
    let done = row.code == Code::Successful;
    let detail_type = if row.description.starts_with("Launching") {
        match done {
            true if was_warming => return,
            true => "EC2 Instance Launch Successful",
            false => "EC2 Instance Launch Unsuccessful",
        }
    } else if row.description.starts_with("Terminating") {
        match done {
            true => "EC2 Instance Terminate Successful",
            false => "EC2 Instance Terminate Unsuccessful",
        }
    } else {
        return;
    };
    tell(cx, key, detail_type);
}

/// The instance is in service, although its activity lasts until it is warm.
pub(super) fn launched(cx: &mut Engine, key: &ActivityKey) {
    let launches = |row: &Activity| row.description.starts_with("Launching") && row.ended.is_none();
    if cx.autoscaling.activities.get(key).is_some_and(launches) {
        tell(cx, key, "EC2 Instance Launch Successful");
    }
}

fn tell(cx: &mut Engine, key: &ActivityKey, detail_type: &'static str) {
    publish(cx, SOURCE, detail_type, |cx| {
        let Some(row) = cx.autoscaling.activities.get(key) else { return Published::default() };
        let done = detail_type.ends_with(" Successful");
        let instance = row.description.rsplit(' ').find(|word| word.starts_with("i-")).unwrap_or_default();
        let mut resources = vec![row.group_arn.to_string()];
        if !instance.is_empty() {
            resources.push(cx.arn("ec2", format_args!("instance/{instance}")));
        }
        let mut detail = json!({
            // AWS says so of activities that succeed.
            "StatusCode": if done { "InProgress" } else { "Failed" },
            "Description": row.description,
            "AutoScalingGroupName": row.key.group.as_ref(),
            "ActivityId": row.id,
            "Details": serde_json::from_str::<Json>(&row.details).unwrap_or_default(),
            "RequestId": row.id,
            "StatusMessage": row.message.as_deref().unwrap_or_default(),
            "EndTime": cx.now.iso_secs(),
            "EC2InstanceId": instance,
            "StartTime": row.started.iso_secs(),
            "Cause": row.cause.as_ref(),
        });
        if let (false, Some(members)) = (done, detail.as_object_mut()) {
            members.shift_remove("Description");
        }
        Published { resources, detail, time: None }
    });
}

/// An instance waits for whoever completes the hook's action.
pub(super) fn lifecycle_action(cx: &mut Engine, hook: &Hook, instance: InstanceId, token: &str) {
    let (detail_type, origin, destination) = match hook.transition {
        Transition::Launching => ("EC2 Instance-launch Lifecycle Action", "EC2", "AutoScalingGroup"),
        Transition::Terminating => ("EC2 Instance-terminate Lifecycle Action", "AutoScalingGroup", "EC2"),
    };
    publish(cx, SOURCE, detail_type, |cx| {
        let group = cx.autoscaling.groups.get(&hook.group);
        let mut detail = json!({
            "LifecycleActionToken": token,
            "AutoScalingGroupName": hook.group.as_ref(),
            "LifecycleHookName": hook.name.as_ref(),
            "EC2InstanceId": instance.to_string(),
            "LifecycleTransition": hook.transition.as_str(),
        });
        if let Some(metadata) = &hook.notification_metadata {
            detail["NotificationMetadata"] = metadata.as_str().into();
        }
        detail["Origin"] = origin.into();
        detail["Destination"] = destination.into();
        Published { resources: group.iter().map(|group| group.arn.to_string()).collect(), detail, time: None }
    });
}
