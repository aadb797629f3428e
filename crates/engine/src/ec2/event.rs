//! What EC2 tells EventBridge (spec spot.md §3; EC2 guide, spot-interruptions, rebalance-recommendations and
//! monitoring-instance-state-changes).

use capstan_model::InstanceId;
use serde_json::{Value as Json, json};

use crate::Engine;
use crate::events::{Published, publish};
use crate::kernel::Event;

/// Passes on what happened to instances and Spot requests.
pub(super) fn pass_on(cx: &mut Engine, event: &Event) {
    match event {
        Event::InstanceState { instance, state } => {
            let detail = || json!({ "instance-id": instance.to_string(), "state": state });
            tell(cx, "EC2 Instance State-change Notification", |cx| arn(cx, *instance), detail);
        }
        Event::RebalanceRecommendation { instance } => {
            let detail = || json!({ "instance-id": instance.to_string() });
            tell(cx, "EC2 Instance Rebalance Recommendation", |cx| arn_in_zone(cx, *instance), detail);
        }
        Event::SpotInterruption { instance, action, .. } => {
            let detail = || json!({ "instance-id": instance.to_string(), "instance-action": action });
            tell(cx, "EC2 Spot Instance Interruption Warning", |cx| arn_in_zone(cx, *instance), detail);
        }
        Event::SpotRequestFulfilled { request, instance } => {
            let detail =
                || json!({ "spot-instance-request-id": request, "instance-id": instance.to_string() });
            tell(cx, "EC2 Spot Instance Request Fulfillment", |cx| arn(cx, *instance), detail);
        }
        _ => {}
    }
}

fn tell(
    cx: &mut Engine,
    detail_type: &'static str,
    resource: impl FnOnce(&Engine) -> String,
    detail: impl FnOnce() -> Json,
) {
    publish(cx, "aws.ec2", detail_type, |cx| Published {
        resources: vec![resource(cx)],
        detail: detail(),
        time: None,
    });
}

fn arn(cx: &Engine, instance: InstanceId) -> String {
    cx.arn("ec2", format_args!("instance/{instance}"))
}

/// The ARN of Spot signals: the Availability Zone in the place of the region, and no account (observed).
fn arn_in_zone(cx: &Engine, instance: InstanceId) -> String {
    let zone = cx.ec2.instances().get(&instance).map(|row| row.zone.name);
    format!("arn:aws:ec2:{}:instance/{instance}", zone.unwrap_or(cx.config.region.name))
}
