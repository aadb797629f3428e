//! What rooms tell each other without calling: what AWS's services learn by events.
//!
//! A room announces; the engine passes the event on after the room that announced it has finished, so that no room is
//! entered while it is at work. A room that does not care ignores it.

use capstan_model::{InstanceId, Time};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// An alarm's state changed its value: `OK`, `ALARM`, `INSUFFICIENT_DATA`.
    AlarmState { alarm: String, state: &'static str },
    /// CloudWatch carries out an alarm's action on a scaling policy: at each transition to the state, and every minute
    /// while it lasts (CloudWatch guide, alarm actions of Auto Scaling).
    AlarmAction {
        /// ARN of the policy.
        action: String,
        alarm: String,
        /// `ALARM`, `OK`, `INSUFFICIENT_DATA`
        state: &'static str,
        threshold: f64,
        /// The newest datapoint that the alarm looked at.
        value: Option<f64>,
    },
    /// An EC2 instance changed its state (`pending`, `running`, `shutting-down`, `terminated` …).
    InstanceState { instance: InstanceId, state: &'static str },
    /// An instance of a group waits in `Pending:Wait` or `Terminating:Wait` for CompleteLifecycleAction.
    LifecycleAction {
        group: String,
        instance: InstanceId,
        hook: String,
        token: String,
        transition: &'static str,
    },
    /// EC2 says that a Spot Instance is at elevated risk of interruption (EC2 guide, rebalance-recommendations).
    RebalanceRecommendation { instance: InstanceId },
    /// The notice: EC2 takes the Spot Instance back then. `action` is `terminate`, `stop` or `hibernate`.
    SpotInterruption { instance: InstanceId, action: &'static str, gone_at: Time },
    /// An interrupted Spot Instance has ended (CloudTrail's BidEvictedEvent).
    SpotInstanceEvicted { instance: InstanceId },
    /// An ECS service was deleted; its tasks may still be on their way out.
    ServiceDeleted { cluster: String, service: String },
    /// A Spot request has got its instance.
    SpotRequestFulfilled { request: String, instance: InstanceId },
    /// A target's health changed, or it left its group when its deregistration delay was over (`state` `unused`).
    TargetState { target_group: String, target: String, port: u16, state: &'static str },
}
