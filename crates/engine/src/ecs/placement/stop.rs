//! Which task goes when there are too many (spec ecs.md §8.6).

use std::collections::BTreeMap;

use capstan_model::Hex32;
use capstan_shapes::ecs as shapes;

use super::index::ZONE;
use super::place::{Step, step};
use crate::Engine;
use crate::ecs::Name;

/// The task to stop among `candidates` (tasks of one group, at least one): by spreading, from where most of the group's
/// tasks are, the zone first, then the instance; by packing, from where most would be left afterwards. `gone` are tasks
/// that are as good as stopped and no longer count. What is still equal is drawn (ECS guide, task-placement-strategies).
pub(in crate::ecs) fn choose_stop(
    cx: &mut Engine,
    candidates: &[Hex32],
    strategy: &[shapes::PlacementStrategy],
    gone: &[Hex32],
) -> Hex32 {
    let mut steps: Vec<Step<'_>> = strategy.iter().map(step).collect();
    if steps.is_empty() {
        steps.push(Step::SpreadAttribute(ZONE));
    }
    if steps.iter().any(|step| matches!(step, Step::SpreadAttribute(_))) {
        steps.push(Step::SpreadInstance);
    }
    let mut left = candidates.to_vec();
    for step in &steps {
        if left.len() > 1 {
            left = most(cx, step, left, gone);
        }
    }
    let drawn = match left.len() {
        0 | 1 => 0,
        n => cx.chance.below("ecs.placement.stop", n as u64),
    };
    left[usize::try_from(drawn).unwrap_or_default()]
}

/// Those candidates of which the step would take one first.
fn most(cx: &mut Engine, step: &Step<'_>, candidates: Vec<Hex32>, gone: &[Hex32]) -> Vec<Hex32> {
    let mut places = std::mem::take(&mut cx.ecs.places);
    let ecs = &cx.ecs;
    let instance = |task: &Hex32| ecs.tasks.get(task).and_then(|task| task.instance);
    let of = candidates.first().and_then(|id| ecs.tasks.get(id));
    let (cluster, group): (Name, Name) = of
        .map_or_else(|| (Name::from(""), Name::from("")), |task| (task.cluster.clone(), task.group.clone()));
    let map = places.map(ecs, &cluster);
    let slots: Vec<Option<usize>> =
        candidates.iter().map(|id| instance(id).and_then(|instance| map.slot(instance))).collect();
    let gone: Vec<usize> =
        gone.iter().filter_map(|id| instance(id).and_then(|instance| map.slot(instance))).collect();
    let weights: Vec<i64> = match step {
        Step::Random => vec![0; candidates.len()],
        Step::SpreadAttribute(attribute) => {
            let (partition, counts) = map.partition(ecs, attribute, &group);
            let mut minus: BTreeMap<usize, i64> = BTreeMap::new();
            for slot in &gone {
                *minus.entry(partition.value_at(*slot)).or_default() += 1;
            }
            let weight = |slot: usize| {
                let value = partition.value_at(slot);
                let count = counts.and_then(|counts| counts.get(value)).copied().unwrap_or(0);
                i64::from(count) - minus.get(&value).copied().unwrap_or(0)
            };
            slots.iter().map(|slot| slot.map_or(i64::MAX, weight)).collect()
        }
        Step::SpreadInstance => {
            let mut minus: BTreeMap<usize, i64> = BTreeMap::new();
            for slot in &gone {
                *minus.entry(*slot).or_default() += 1;
            }
            let spread = map.spread(&group);
            let weight = |slot: usize| {
                let count = spread.map_or(0, |spread| spread.tally.count(slot));
                i64::from(count) - minus.get(&slot).copied().unwrap_or(0)
            };
            slots.iter().map(|slot| slot.map_or(i64::MAX, weight)).collect()
        }
        Step::BinpackCpu | Step::BinpackMemory => {
            let after = |(id, slot): (&Hex32, &Option<usize>)| {
                let Some(slot) = slot else { return i64::MAX };
                let freed = ecs.tasks.get(id).map(|task| task.needs.resources).unwrap_or_default();
                let left = map.slots[*slot].remaining + freed;
                if matches!(step, Step::BinpackCpu) { left.cpu } else { left.memory }
            };
            candidates.iter().zip(&slots).map(after).collect()
        }
    };
    cx.ecs.places = places;
    let most = weights.iter().max().copied().unwrap_or_default();
    candidates.into_iter().zip(weights).filter(|(_, weight)| *weight == most).map(|(id, _)| id).collect()
}
