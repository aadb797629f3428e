//! The end of a pass: whether the deployment is complete, the service steady, and when to look again.

use std::collections::BTreeSet;

use capstan_model::{Span, Time};

use super::super::{Rollout, ServiceKey};
use super::picture::{Picture, Stage};
use super::start::LAUNCHES_PER_MINUTE;
use super::{events, poke_in};
use crate::Engine;
use crate::ecs::event::{self, Kind};

/// From the last stop to "steady state": +101 s and +110 s (spec observed.md §1).
const STEADY_AFTER: Span = Span::from_secs(8);
/// The steady state is told again so often (observed).
const STEADY_AGAIN: Span = Span::from_hours(6);

/// Whether the deployment is complete, whether the service is steady, and when to look again.
pub(super) fn settle(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let now = cx.now;
    let Some(service) = cx.ecs.services.get(key) else { return };
    let Some(primary) = service.deployments.first() else { return };
    // An old deployment lasts until its last task has left its load balancer (spec observed.md §1: two deployments, one
    // running task each, 95 s after the update).
    let retiring = picture.retiring.iter().any(|deployment| *deployment != primary.id);
    let all_good = !retiring
        && i64::try_from(picture.good.len()).unwrap_or_default() == service.desired
        && picture.good.iter().all(|task| task.stage == Stage::Healthy)
        && picture.old.is_empty()
        && picture.sick.is_empty()
        && picture.draining.is_empty();
    let completes = all_good && primary.rollout == Rollout::InProgress;
    let primary = primary.id;
    if completes {
        if let Some(mut service) = cx.ecs.services.edit(key) {
            service.deployments.truncate(1);
            let own = &mut service.deployments[0];
            own.rollout = Rollout::Completed;
            own.rollout_reason = format!("ECS deployment ecs-svc/{primary:019} completed.");
            own.updated_at = now;
            own.failed_tasks = 0;
            service.completed = Some(service.deployments[0].clone());
            service.throttle = None;
            service.steady_at = Some(now);
        }
        events::tell(cx, key, &events::completed(primary));
        let reason = format!("ECS deployment ecs-svc/{primary:019} completed.");
        event::deployment(cx, key, Kind::Info, "SERVICE_DEPLOYMENT_COMPLETED", primary, &reason);
    }
    forget_empty_deployments(cx, key, picture);

    let mut wakes = picture.next;
    let mut at = |time: Time| wakes = Some(wakes.map_or(time, |next| next.min(time)));
    let Some(mut service) = cx.ecs.services.edit(key) else { return };
    let mut tell_steady = false;
    if all_good && !picture.leaving && picture.unregistered.is_empty() {
        match service.steady_at {
            Some(due) if due <= now => {
                tell_steady = true;
                service.steady = true;
                service.steady_at = Some(now + STEADY_AGAIN);
                at(now + STEADY_AGAIN);
            }
            Some(due) => at(due),
            None => {
                service.steady_at = Some(now + STEADY_AFTER);
                at(now + STEADY_AFTER);
            }
        }
    } else {
        service.steady = false;
        service.steady_at = None;
    }
    if let Some((until, _)) = service.throttle.filter(|(until, _)| *until > now) {
        at(until);
    }
    if let Some((_, again)) = service.unplaced {
        at(again.max(now + Span::from_secs(1)));
    }
    let short = i64::try_from(picture.good.len()).unwrap_or_default() < service.desired;
    if short
        && service.launches.0 == now.floor(Span::from_mins(1))
        && service.launches.1 >= LAUNCHES_PER_MINUTE
    {
        at(now.next_multiple(Span::from_mins(1)));
    }
    // A task that stays although it should go may be protected: look again when protections end.
    if let Some(time) = wakes {
        service.wakes_at = Some(service.wakes_at.map_or(time, |wakes| wakes.min(time)));
    }
    drop(service);
    if tell_steady {
        events::tell(cx, key, events::STEADY);
        event::steady(cx, key);
    }
    wake_at_protection_end(cx, key, picture);
}

/// Deployments that are not PRIMARY and have no task left vanish from the list (ECS model Deployment).
fn forget_empty_deployments(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let Some(service) = cx.ecs.services.get(key).filter(|service| service.deployments.len() > 1) else {
        return;
    };
    let wanted = picture.wanted().map(|task| task.deployment);
    let alive: BTreeSet<u64> = wanted.chain(picture.retiring.iter().copied()).collect();
    if service.deployments.iter().skip(1).all(|deployment| alive.contains(&deployment.id)) {
        return;
    }
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.deployments.retain(|deployment| deployment.primary || alive.contains(&deployment.id));
    }
}

fn wake_at_protection_end(cx: &mut Engine, key: &ServiceKey, picture: &Picture) {
    let Some(service) = cx.ecs.services.get(key) else { return };
    if service.steady {
        return;
    }
    if let Some(end) = picture.protected_until {
        poke_in(cx, key, end - cx.now);
    }
}
