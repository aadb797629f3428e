//! Policies at work: what an alarm's action makes of the desired count (Application Auto Scaling guide, target tracking and
//! step scaling policies; spec application-autoscaling.md §2).

use capstan_model::Span;

use super::rows::{
    NotScaled, OutCooldown, OutWish, Policy, PolicyIndex, PolicyKind, ScalableTarget, StepScaling,
    TargetTracking,
};
use super::{activity, capacity, target};
use crate::Engine;
use crate::ecs::{Rollout, Service};
use crate::kernel::millionths;
use crate::scaling::{self, Peer, Size};

/// An alarm's action on a scaling policy.
pub(super) struct Action<'a> {
    /// ARN of the policy.
    pub(super) policy: &'a str,
    pub(super) alarm: &'a str,
    pub(super) state: &'a str,
    pub(super) threshold: f64,
    pub(super) value: Option<f64>,
}

/// The count that a policy asks for, before the maximum (out) or after the minimum (in).
enum Wish {
    Out(i64),
    In(i64),
    None,
}

/// CloudWatch carries out an alarm's action.
pub(super) fn act(cx: &mut Engine, action: &Action<'_>) {
    let index = PolicyIndex::Arn(action.policy.into());
    let Some(policy) = cx.application_autoscaling.policies.by(&index).next().cloned() else { return };
    let Some(target) = cx.application_autoscaling.targets.get(&policy.resource).cloned() else { return };
    let Some(service) = target::service(cx, &policy.resource) else { return };
    let (current, deploying) = (service.desired, is_deploying(service));
    let scaling = Scaling { target: &target, policy: &policy, current, deploying, action };
    let wish = match &policy.kind {
        PolicyKind::Step(step) => scaling.step(cx, step),
        PolicyKind::TargetTracking(tracking) => scaling.track(cx, tracking),
    };
    match wish {
        Wish::Out(to) => scaling.scale_out(cx, to),
        Wish::In(to) => scaling.scale_in(cx, to),
        Wish::None => {}
    }
}

/// While a deployment is in progress ECS scales out only (ECS guide, service auto scaling).
fn is_deploying(service: &Service) -> bool {
    service.deployments.len() > 1
        || service.deployments.first().is_some_and(|deployment| deployment.rollout == Rollout::InProgress)
}

/// One action of one policy.
struct Scaling<'a> {
    target: &'a ScalableTarget,
    policy: &'a Policy,
    /// The desired count.
    current: i64,
    deploying: bool,
    action: &'a Action<'a>,
}

impl Scaling<'_> {
    /// Within the cooldown of a scale-out capacity is counted from before it: what it added is present already, and only
    /// a larger scale-out adds to it.
    fn base(&self, cx: &Engine, capacity: i64) -> i64 {
        match self.target.out_cooldown {
            Some(cooldown) if cooldown.until > cx.now => capacity.min(cooldown.from),
            _ => capacity,
        }
    }

    fn step(&self, cx: &Engine, step: &StepScaling) -> Wish {
        let Some(value) = self.action.value else { return Wish::None };
        let breach = millionths(value) - millionths(self.action.threshold);
        let Some(found) = scaling::step_for(&step.steps, breach) else { return Wish::None };
        let plain = scaling::adjusted(step.adjustment, found.amount, self.current);
        if plain < self.current {
            return Wish::In(plain);
        }
        Wish::Out(scaling::adjusted(step.adjustment, found.amount, self.base(cx, self.current)))
    }

    fn track(&self, cx: &mut Engine, tracking: &TargetTracking) -> Wish {
        let Some(value) = self.action.value.filter(|_| self.action.state == "ALARM") else {
            return Wish::None;
        };
        let metric = millionths(value);
        // The metric speaks of the tasks that run, be they fewer than desired.
        let running = activity::running(cx, &self.target.resource);
        let size = Size { running, desired: self.current, min: self.target.min, max: i64::MAX };
        if self.action.alarm == tracking.alarm_high.name {
            let size = Size { running: self.base(cx, running), ..size };
            Wish::Out(scaling::tracking_out(size, metric, tracking.target))
        } else if self.action.alarm == tracking.alarm_low.name && tracking.scale_in {
            let wish = scaling::tracking_in(size, metric, tracking.target);
            let key = (self.policy.resource.clone(), self.policy.name.clone());
            let now = cx.now;
            if let Some(mut row) = cx.application_autoscaling.policies.edit(&key)
                && let PolicyKind::TargetTracking(tracking) = &mut row.kind
            {
                tracking.scale_in_wish = Some((now, wish));
            }
            Wish::In(wish)
        } else {
            Wish::None
        }
    }

    fn scale_out(&self, cx: &mut Engine, wanted: i64) {
        let ScalableTarget { resource, max, suspended, .. } = self.target;
        if suspended.scale_out {
            return;
        }
        let to = wanted.min(*max);
        let wish = OutWish { policy: self.policy.name.clone(), at: cx.now, to };
        if let Some(mut row) = cx.application_autoscaling.targets.edit(resource) {
            row.out_wish = Some(wish);
        }
        if to <= self.current {
            let code = if self.current >= *max { "AlreadyAtMaxCapacity" } else { "AlreadyAtDesiredCapacity" };
            return self.not_scaled(cx, code);
        }
        if !capacity::set(cx, resource, to, self.cause()) {
            return;
        }
        let now = cx.now;
        if let Some(mut row) = cx.application_autoscaling.targets.edit(resource) {
            let lasting = row.out_cooldown.filter(|cooldown| cooldown.until > now);
            let from = lasting.map_or(self.current, |cooldown| cooldown.from.min(self.current));
            row.out_cooldown = Some(OutCooldown { until: now + self.cooldown(true), from });
            // A scale-out ends the cooldown of a scale-in.
            row.in_cooldown = None;
        }
    }

    fn scale_in(&self, cx: &mut Engine, wanted: i64) {
        let ScalableTarget { resource, min, suspended, in_cooldown, .. } = self.target;
        if suspended.scale_in {
            return;
        }
        if self.current <= *min {
            return self.not_scaled(cx, "AlreadyAtMinCapacity");
        }
        if self.deploying {
            return self.not_scaled(cx, "TargetServicePutResourceAsUnscalable");
        }
        if in_cooldown.is_some_and(|until| until > cx.now) || self.is_outbid(cx) {
            return;
        }
        let wanted = wanted.max(*min);
        if wanted >= self.current {
            // With one task less the metric would be above the target again.
            return self.not_scaled(cx, "AutoScalingAnticipatedFlapping");
        }
        let to = match self.policy.kind {
            PolicyKind::Step(_) => wanted,
            PolicyKind::TargetTracking(_) => match self.agreed(cx, wanted) {
                Some(to) if to < self.current => to,
                _ => return,
            },
        };
        if !capacity::set(cx, resource, to, self.cause()) {
            return;
        }
        let until = cx.now + self.cooldown(false);
        if let Some(mut row) = cx.application_autoscaling.targets.edit(resource) {
            row.in_cooldown = Some(until);
            row.out_cooldown = None;
        }
    }

    /// Whether another policy wants what there is, or more: where policies disagree the largest capacity counts.
    fn is_outbid(&self, cx: &Engine) -> bool {
        self.target.out_wish.as_ref().is_some_and(|wish| {
            wish.policy != self.policy.name
                && cx.now - wish.at <= scaling::WISH_LASTS
                && wish.to >= self.current
        })
    }

    /// The count that all target tracking policies of the service can do with; `None` while one wants to keep what
    /// there is.
    fn agreed(&self, cx: &Engine, wanted: i64) -> Option<i64> {
        let index = PolicyIndex::Resource(self.policy.resource.clone());
        let others = cx.application_autoscaling.policies.by(&index);
        let peers = others.filter_map(|other| match &other.kind {
            PolicyKind::TargetTracking(tracking) if other.name != self.policy.name && tracking.scale_in => {
                Some(Peer { name: (), wish: tracking.scale_in_wish })
            }
            _ => None,
        });
        scaling::agreed(cx.now, wanted, peers).ok()
    }

    fn cooldown(&self, out: bool) -> Span {
        match &self.policy.kind {
            PolicyKind::Step(step) => step.cooldown,
            PolicyKind::TargetTracking(tracking) if out => tracking.out_cooldown,
            PolicyKind::TargetTracking(tracking) => tracking.in_cooldown,
        }
    }

    fn cause(&self) -> String {
        let Action { alarm, state, .. } = self.action;
        format!("monitor alarm {alarm} in state {state} triggered policy {}", self.policy.name)
    }

    fn not_scaled(&self, cx: &mut Engine, code: &'static str) {
        let ScalableTarget { resource, min, max, .. } = self.target;
        let policy = self.policy.name.clone();
        let why = NotScaled { code, policy, current: self.current, min: *min, max: *max };
        activity::not_scaled(cx, resource, self.cause(), why);
    }
}
