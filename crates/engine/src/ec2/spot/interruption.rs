//! How EC2 takes a Spot Instance back (EC2 guide, spot-interruptions and rebalance-recommendations; spec spot.md §5).
//!
//! At the notice the request's status flips, the instance's metadata tells action and time, and the event goes out; the
//! instance runs on for two minutes. Then it is gone, whatever it does: no lifecycle hook, no protection and no
//! suspended process keeps it.

use capstan_model::{InstanceId, Time};
use capstan_shapes::ec2::{InstanceInterruptionBehavior as Behavior, InstanceStateName};

use super::{Cause, EVICTION, Interruption, NOTICE, Stage, request};
use crate::Engine;
use crate::kernel::{Effect, Event};

/// Plans the interruption of a running Spot Instance: the notice at that time (at once, when it is past), the end two
/// minutes later. `recommend`: with a rebalance recommendation now. Instances that are no Spot Instances, do not run or are
/// being taken back already stay as they are.
pub(crate) fn interrupt(cx: &mut Engine, id: InstanceId, notice_at: Time, recommend: bool, cause: Cause) {
    let now = cx.now;
    let notice_at = notice_at.max(now);
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    if !instance.is_alive() {
        return;
    }
    let Some(spot) = &mut instance.spot else { return };
    if spot.interruption.is_some() {
        return;
    }
    // Hibernation starts with the notice (EC2 guide, hibernate-spot-instances).
    let hibernates = spot.interruption_behavior == Behavior::Hibernate;
    let gone_at = if hibernates { notice_at } else { notice_at + NOTICE };
    spot.interruption = Some(Interruption { cause, notice_at, gone_at, stage: Stage::Planned });
    let recommend = recommend && spot.recommended_at.is_none();
    drop(instance);
    if recommend {
        recommend_rebalance(cx, id);
    }
    if notice_at == now {
        notice(cx, id);
    }
}

/// Tells that the instance is at elevated risk. Once told, it stays told.
pub(crate) fn recommend_rebalance(cx: &mut Engine, id: InstanceId) {
    let now = cx.now;
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    let alive = instance.is_alive();
    let Some(spot) = instance.spot.as_mut().filter(|spot| alive && spot.recommended_at.is_none()) else {
        return;
    };
    spot.recommended_at = Some(now);
    drop(instance);
    cx.announce(Event::RebalanceRecommendation { instance: id });
    cx.effect(Effect::InstanceMetadata { instance: id });
}

/// The next stage of an interruption has its time.
pub(in crate::ec2) fn due(cx: &mut Engine, id: InstanceId) {
    let Some(instance) = cx.ec2.instances.get(&id) else { return };
    match instance.spot.as_ref().and_then(|spot| spot.interruption).map(|interruption| interruption.stage) {
        Some(Stage::Planned) => notice(cx, id),
        Some(Stage::Noticed) => end(cx, id),
        // The driver has not told in time: the instance is gone all the same.
        Some(Stage::Evicted) => crate::ec2::instance_terminated(cx, id),
        None => {}
    }
}

fn notice(cx: &mut Engine, id: InstanceId) {
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    let Some(spot) = &mut instance.spot else { return };
    let Some(interruption) = &mut spot.interruption else { return };
    interruption.stage = Stage::Noticed;
    let (behavior, cause, gone_at) = (spot.interruption_behavior, interruption.cause, interruption.gone_at);
    let request = spot.request.clone();
    drop(instance);
    request::noticed(cx, &request, behavior, cause);
    cx.announce(Event::SpotInterruption { instance: id, action: action(behavior), gone_at });
    cx.effect(Effect::InstanceMetadata { instance: id });
}

/// The two minutes are over.
fn end(cx: &mut Engine, id: InstanceId) {
    let Some(mut instance) = cx.ec2.instances.edit(&id) else { return };
    let Some(spot) = &mut instance.spot else { return };
    let behavior = spot.interruption_behavior;
    if behavior == Behavior::Terminate {
        if let Some(interruption) = &mut spot.interruption {
            interruption.stage = Stage::Evicted;
        }
        instance.state = InstanceStateName::ShuttingDown;
        instance.ended("Server.SpotInstanceTermination", "Spot instance termination");
        drop(instance);
        cx.announce(Event::InstanceState { instance: id, state: InstanceStateName::ShuttingDown.as_str() });
        cx.effect(Effect::TerminateInstance { instance: id });
    } else {
        instance.ended("Server.SpotInstanceShutdown", "Spot instance shutdown");
        drop(instance);
        crate::ec2::stop::begin(cx, id);
    }
}

/// An interrupted instance has ended: EC2 says so (EC2 guide, bidevictedevent).
pub(in crate::ec2) fn evicted(cx: &mut Engine, id: InstanceId) {
    cx.announce(Event::SpotInstanceEvicted { instance: id });
}

/// `terminate`, `stop` or `hibernate`, as the notice says it.
fn action(behavior: Behavior) -> &'static str {
    match behavior {
        Behavior::Hibernate => "hibernate",
        Behavior::Stop => "stop",
        Behavior::Terminate => "terminate",
    }
}

impl Interruption {
    /// When the next thing happens.
    pub(in crate::ec2) fn due_at(&self) -> Time {
        match self.stage {
            Stage::Planned => self.notice_at,
            Stage::Noticed => self.gone_at,
            Stage::Evicted => self.gone_at + EVICTION,
        }
    }
}

impl crate::ec2::Spot {
    /// What the instance's metadata says at `spot/instance-action`: `terminate`, `stop` or `hibernate`, and when. `None`
    /// until the notice.
    pub fn instance_action(&self) -> Option<(&'static str, Time)> {
        let interruption = self.interruption.filter(|interruption| interruption.stage >= Stage::Noticed)?;
        Some((action(self.interruption_behavior), interruption.gone_at))
    }
}
