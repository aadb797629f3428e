//! Starting a service's tasks: how many on which provider, and what they are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Hex32, Span};
use capstan_shapes::ecs::{LaunchType, PropagateTags};

use super::super::lifecycle::{self, PROVISIONING_MAX, Seed};
use super::super::strategy::{most_below, split};
use super::super::{Deployment, ServiceKey, event};
use super::picture::{Picture, Seen};
use super::{events, unsettle};
use crate::Engine;

/// Starts a minute (ECS guide, service-quotas).
pub(super) const LAUNCHES_PER_MINUTE: i64 = 500;
/// Tries to place after a failure: for the first 50 s every 10 s, then every 5 min (observed: spec ecs.md §8.5).
const PLACE_AGAIN_SOON: Span = Span::from_secs(10);
const PLACE_AGAIN_LATER: Span = Span::from_mins(5);
const PLACE_SOON_FOR: Span = Span::from_secs(50);

/// Good tasks of each item of the strategy (one list when there is no strategy). Tasks of providers that are no longer
/// in it count for nobody and stay until a deployment replaces them.
pub(super) fn by_provider(cx: &Engine, primary: &Deployment, good: &[Seen]) -> Vec<Vec<Hex32>> {
    if primary.strategy.is_empty() {
        return vec![good.iter().map(|task| task.id).collect()];
    }
    let mut lists: Vec<Vec<Hex32>> = primary.strategy.iter().map(|_| Vec::new()).collect();
    for Seen { id, .. } in good {
        let provider = cx.ecs.tasks.get(id).and_then(|task| task.provider.clone());
        if let Some(at) = primary.strategy.iter().position(|item| Some(&item.provider) == provider.as_ref()) {
            lists[at].push(*id);
        }
    }
    lists
}

pub(super) fn shares(primary: &Deployment, desired: i64) -> Vec<i64> {
    if primary.strategy.is_empty() { vec![desired] } else { split(&primary.strategy, desired) }
}

/// Starts up to `count` tasks, each on the provider most below its share.
pub(super) fn start(cx: &mut Engine, key: &ServiceKey, count: i64, primary: &Deployment, picture: &Picture) {
    let minute = cx.now.floor(Span::from_mins(1));
    let Some(service) = cx.ecs.services.get(key) else { return };
    let launched = if service.launches.0 == minute { service.launches.1 } else { 0 };
    let count = count.min(LAUNCHES_PER_MINUTE - launched);
    if count <= 0 {
        return;
    }
    let desired = service.desired;
    let shares = shares(primary, desired);
    let lists = by_provider(cx, primary, &picture.good);
    let mut have: Vec<i64> = lists.iter().map(|ids| i64::try_from(ids.len()).unwrap_or_default()).collect();
    let Some(seed) = seed(cx, key, primary) else { return };
    let mut waiting = lifecycle::waiting_count(cx, &key.cluster);
    let (mut started, mut closed, mut unplaced) = (Vec::new(), vec![false; have.len()], None);
    let mut lack = String::new();
    for _ in 0..count {
        // A provider that has no place for one has none for the next.
        let open: Vec<i64> = shares
            .iter()
            .enumerate()
            .map(|(at, share)| if closed[at] { i64::MIN / 2 } else { *share })
            .collect();
        let Some(at) = most_below(&open, &have) else { break };
        let seed =
            Seed { provider: primary.strategy.get(at).map(|item| item.provider.clone()), ..seed.clone() };
        let may_wait = lifecycle::may_wait(cx, seed.provider.as_ref());
        match lifecycle::find_place(cx, &seed) {
            Ok(placed) => {
                let id = lifecycle::create(cx, seed);
                lifecycle::assign(cx, id, &placed);
                started.push(id);
                have[at] += 1;
            }
            Err(why) if may_wait && waiting < PROVISIONING_MAX => {
                let id = lifecycle::create(cx, seed);
                lifecycle::wait(cx, id, why.reason());
                waiting += 1;
                started.push(id);
                have[at] += 1;
            }
            Err(_) if may_wait => {
                events::tell_once(cx, key, events::PROVISIONING_LIMIT);
                closed[at] = true;
                unplaced.get_or_insert(String::new());
            }
            Err(why) => {
                closed[at] = true;
                lack = why.reason();
                unplaced = Some(why.sentence());
            }
        }
    }
    let now = cx.now;
    if let Some(mut service) = cx.ecs.services.edit(key) {
        service.launches = (minute, launched + i64::try_from(started.len()).unwrap_or_default());
        service.unplaced = unplaced.as_ref().map(|_| {
            let since = service.unplaced.map_or(now, |(since, _)| since);
            let gap = if now - since < PLACE_SOON_FOR { PLACE_AGAIN_SOON } else { PLACE_AGAIN_LATER };
            (since, now + gap)
        });
    }
    if !started.is_empty() {
        let unhealthy = i64::try_from(picture.sick.len().min(started.len())).unwrap_or_default();
        events::tell(cx, key, &events::started(&started, unhealthy));
        unsettle(cx, key);
    }
    if let Some(why) = unplaced.filter(|why| !why.is_empty()) {
        if events::tell_once(cx, key, &events::unplaced(&why)) {
            event::unplaced(cx, key, &lack);
        }
        unsettle(cx, key);
    }
}

/// What a service's next task is made of.
pub(in crate::ecs) fn seed(cx: &Engine, key: &ServiceKey, deployment: &Deployment) -> Option<Seed> {
    let service = cx.ecs.services.get(key)?;
    let definition = cx.ecs.task_definitions.get(&deployment.definition)?;
    let mut tags = match service.propagate_tags {
        Some(PropagateTags::TaskDefinition) => definition.tags.clone(),
        Some(PropagateTags::Service) => service.tags.clone(),
        _ => BTreeMap::new(),
    };
    if service.enable_ecs_managed_tags {
        tags.insert("aws:ecs:clusterName".to_owned(), key.cluster.to_string());
        tags.insert("aws:ecs:serviceName".to_owned(), key.name.to_string());
    }
    Some(Seed {
        cluster: key.cluster.clone(),
        definition: deployment.definition.clone(),
        group: format!("service:{}", key.name).into(),
        started_by: None,
        service: Some(key.clone()),
        deployment: deployment.id,
        launch_type: deployment
            .strategy
            .is_empty()
            .then_some(deployment.launch_type.unwrap_or(LaunchType::Ec2)),
        provider: None,
        needs: Arc::new(definition.needs.clone()),
        overrides: None,
        constraints: service.placement_constraints.clone(),
        strategy: service.placement_strategy.clone(),
        network: deployment.network.clone(),
        enable_execute_command: service.enable_execute_command,
        tags,
    })
}
