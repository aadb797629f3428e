//! What placement keeps ready: for each cluster a numbered row of slots, and sets of slots for everything that is asked.
//!
//! All of it is derived from rows and can be dropped at any time; a cluster's map is built when it is first asked for.
//! Slots stand in the order of registration. A slot whose instance is gone stays empty until there are too many.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Hex32, Resources};

use super::bits::Bits;
use super::counts;
use super::tally::Tally;
use crate::ecs::query::{Comparison, Expression, TextMatch};
use crate::ecs::{
    ContainerInstance, Ecs, InstanceIndex, InstanceStatus, Name, TaskIndex, TaskNeeds, TaskStatus,
};

/// Sets kept for one kind of requirement; a cluster has fewer kinds of tasks than this.
const SETS_MAX: usize = 96;

/// The maps of all clusters.
#[derive(Clone, Debug, Default)]
pub(in crate::ecs) struct Places {
    maps: BTreeMap<Name, Map>,
    /// `None` until somebody asks.
    next_ordinal: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: Hex32,
    pub(super) remaining: Resources,
}

/// A cluster as placement sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub(super) slots: Vec<Slot>,
    slot_of: BTreeMap<Hex32, usize>,
    /// Slots whose instance is forgotten.
    empty: usize,
    /// ACTIVE instances; those among them whose agent is connected; those that are not INACTIVE.
    pub(super) active: Bits,
    pub(super) ready: Bits,
    live: Bits,
    pub(super) providers: BTreeMap<Name, Bits>,
    /// Room for one more network interface.
    pub(super) interface: Bits,
    /// By requirement, sets of the slots that meet it.
    pub(super) fits: Sets<Resources>,
    pub(super) tcp_free: Sets<u16>,
    pub(super) udp_free: Sets<u16>,
    pub(super) attributes: Sets<BTreeMap<String, Option<String>>>,
    expressions: Sets<String>,
    parsed: BTreeMap<String, Arc<Expression>>,
    /// Tasks on the slots that have not stopped, by group.
    present: BTreeMap<Name, Tally>,
    /// Tasks that count for spreading, by group and altogether.
    spread: BTreeMap<Name, Spread>,
    pub(super) all: Tally,
    /// The tasks that are in `present`, and whether they are in `spread` too.
    tasks: BTreeMap<Hex32, Counted>,
    partitions: Vec<Partition>,
    /// Slots by what is left of their CPU or memory; `None` until a strategy asks.
    by_cpu: Option<BTreeMap<i64, Bits>>,
    by_memory: Option<BTreeMap<i64, Bits>>,
}

#[derive(Clone, Debug)]
struct Counted {
    slot: usize,
    group: Name,
    spreads: bool,
}

/// A group's tasks by slot, and by value of each partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    pub(super) tally: Tally,
    by_value: Vec<Vec<u32>>,
}

/// The slots told apart by the value of an attribute; those without it are one part of their own.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    attribute: String,
    pub(super) values: Vec<Option<Name>>,
    pub(super) slots: Vec<Bits>,
    value_of: Vec<usize>,
}

/// Sets by what they are the answer to, the ones used last.
#[derive(Clone, Debug)]
pub(super) struct Sets<K> {
    sets: BTreeMap<K, (Bits, u64)>,
    uses: u64,
}

impl<K> Default for Sets<K> {
    fn default() -> Self {
        Self { sets: BTreeMap::new(), uses: 0 }
    }
}

impl<K: Ord + Clone> Sets<K> {
    fn get<Q: Ord + ?Sized + ToOwned<Owned = K>>(&mut self, key: &Q, build: impl FnOnce() -> Bits) -> &Bits
    where
        K: std::borrow::Borrow<Q>,
    {
        self.uses += 1;
        if !self.sets.contains_key(key) {
            if self.sets.len() >= SETS_MAX {
                let oldest = self.sets.values().map(|(_, used)| *used).min();
                self.sets.retain(|_, (_, used)| Some(*used) != oldest);
            }
            self.sets.insert(key.to_owned(), (build(), 0));
        }
        let (bits, used) = self.sets.get_mut(key).expect("just put in");
        *used = self.uses;
        bits
    }

    fn refresh(&mut self, slot: usize, holds: impl Fn(&K) -> bool) {
        for (key, (bits, _)) in &mut self.sets {
            bits.put(slot, holds(key));
        }
    }
}

impl Places {
    pub(super) fn next_ordinal(&mut self, ecs: &Ecs) -> u64 {
        let next = self
            .next_ordinal
            .unwrap_or_else(|| ecs.instances.iter().map(|row| row.ordinal + 1).max().unwrap_or(1));
        self.next_ordinal = Some(next + 1);
        next
    }

    /// The cluster's map, built from the rows when there is none.
    pub(super) fn map(&mut self, ecs: &Ecs, cluster: &Name) -> &mut Map {
        if !self.maps.contains_key(cluster) {
            self.maps.insert(cluster.clone(), Map::build(ecs, cluster));
        }
        self.maps.get_mut(cluster).expect("just put in")
    }

    pub(super) fn instance_changed(&mut self, ecs: &Ecs, instance: Hex32) {
        let Some(row) = ecs.instances.get(&instance) else {
            self.maps.retain(|_, map| {
                if let Some(slot) = map.slot_of.remove(&instance) {
                    map.forget(slot);
                }
                // A map of mostly empty slots is built anew when it is next asked for.
                map.empty <= 64 || map.empty * 2 <= map.slots.len()
            });
            return;
        };
        if let Some(map) = self.maps.get_mut(&row.cluster) {
            map.put(row);
        }
    }

    /// Resources, ports or interfaces of an instance changed by that much.
    pub(super) fn shares_changed(&mut self, ecs: &Ecs, instance: Hex32, share: &TaskNeeds) {
        let Some(row) = ecs.instances.get(&instance) else { return };
        let Some(map) = self.maps.get_mut(&row.cluster) else { return };
        let Some(slot) = map.slot_of.get(&instance).copied() else { return };
        map.put_remaining(slot, row.remaining);
        if !share.tcp_ports.is_empty() {
            map.tcp_free.refresh(slot, |port| !row.tcp_ports.contains(port));
        }
        if !share.udp_ports.is_empty() {
            map.udp_free.refresh(slot, |port| !row.udp_ports.contains(port));
        }
        if share.interface {
            map.interface.put(slot, row.interfaces < row.interfaces_max);
        }
    }

    /// A task came to an instance, or is to stop.
    pub(super) fn task_changed(&mut self, ecs: &Ecs, task: Hex32) {
        let Some(row) = ecs.tasks.get(&task) else { return };
        let Some(map) = self.maps.get_mut(&row.cluster) else { return };
        let Some(slot) = row.instance.and_then(|instance| map.slot_of.get(&instance).copied()) else {
            return;
        };
        let spreads = counts(row.status, row.desired);
        match map.tasks.get_mut(&task) {
            None => map.task_came(task, slot, row.group.clone(), spreads),
            Some(counted) if counted.spreads && !spreads => {
                counted.spreads = false;
                let group = counted.group.clone();
                map.spread_fall(&group, slot);
            }
            Some(_) => {}
        }
    }

    pub(super) fn task_gone(&mut self, ecs: &Ecs, task: Hex32) {
        let Some(row) = ecs.tasks.get(&task) else { return };
        let Some(map) = self.maps.get_mut(&row.cluster) else { return };
        let Some(Counted { slot, group, spreads }) = map.tasks.remove(&task) else { return };
        if let Some(tally) = map.present.get_mut(&group) {
            tally.fall(slot);
            if tally.is_empty() {
                map.present.remove(&group);
            }
        }
        if spreads {
            map.spread_fall(&group, slot);
        }
    }
}

impl Map {
    fn build(ecs: &Ecs, cluster: &Name) -> Self {
        let mut map = Self::default();
        let index = InstanceIndex::Cluster(cluster.clone());
        let mut rows: Vec<&ContainerInstance> = ecs.instances.by(&index).collect();
        rows.sort_by_key(|row| row.ordinal);
        for row in rows {
            map.put(row);
            for task in ecs.tasks.by(&TaskIndex::Instance(row.id)) {
                if task.status != TaskStatus::Stopped {
                    let slot = map.slot_of[&row.id];
                    map.task_came(task.id, slot, task.group.clone(), counts(task.status, task.desired));
                }
            }
        }
        map
    }

    /// Takes over a row: a new one in a new slot, a known one in its own.
    fn put(&mut self, row: &ContainerInstance) {
        let known = self.slot_of.get(&row.id).copied();
        if known.is_none() && row.status == InstanceStatus::Inactive {
            return;
        }
        let slot = known.unwrap_or_else(|| {
            self.slots.push(Slot { id: row.id, remaining: Resources::default() });
            self.slot_of.insert(row.id, self.slots.len() - 1);
            self.slots.len() - 1
        });
        let active = row.status == InstanceStatus::Active;
        self.active.put(slot, active);
        self.ready.put(slot, active && row.agent_connected);
        self.live.put(slot, row.status != InstanceStatus::Inactive);
        if let Some(provider) = &row.provider {
            self.providers.entry(provider.clone()).or_default().put(slot, true);
        }
        self.interface.put(slot, row.interfaces < row.interfaces_max);
        self.put_remaining(slot, row.remaining);
        self.tcp_free.refresh(slot, |port| !row.tcp_ports.contains(port));
        self.udp_free.refresh(slot, |port| !row.udp_ports.contains(port));
        self.attributes.refresh(slot, |wanted| has_attributes(row, wanted));
        let parsed = &self.parsed;
        self.expressions.refresh(slot, |text| parsed.get(text).is_some_and(|found| found.holds_alone(row)));
        for partition in &mut self.partitions {
            partition.grow(slot, row);
        }
        if self
            .partitions
            .iter()
            .any(|partition| partition.value(slot) != attribute_value(row, &partition.attribute))
        {
            // Counts by value would have to move with the instance; they are counted again when next asked for.
            self.partitions.clear();
            for spread in self.spread.values_mut() {
                spread.by_value.clear();
            }
        }
    }

    fn put_remaining(&mut self, slot: usize, remaining: Resources) {
        let before = std::mem::replace(&mut self.slots[slot].remaining, remaining);
        self.fits.refresh(slot, |needs| needs.fits_in(remaining));
        let orders = [
            (&mut self.by_cpu, before.cpu, remaining.cpu),
            (&mut self.by_memory, before.memory, remaining.memory),
        ];
        for (order, before, now) in orders {
            let Some(order) = order else { continue };
            if let Some(slots) = order.get_mut(&before) {
                slots.put(slot, false);
                if slots.is_empty() {
                    order.remove(&before);
                }
            }
            order.entry(now).or_default().put(slot, true);
        }
    }

    fn forget(&mut self, slot: usize) {
        self.empty += 1;
        for bits in [&mut self.active, &mut self.ready, &mut self.live] {
            bits.put(slot, false);
        }
    }

    fn task_came(&mut self, task: Hex32, slot: usize, group: Name, spreads: bool) {
        self.present.entry(group.clone()).or_default().rise(slot);
        if spreads {
            self.all.rise(slot);
            let spread = self.spread.entry(group.clone()).or_default();
            spread.tally.rise(slot);
            for (counts, partition) in spread.by_value.iter_mut().zip(&self.partitions) {
                // A value may have come with an instance that registered since.
                counts.resize(partition.values.len(), 0);
                counts[partition.value_of[slot]] += 1;
            }
        }
        self.tasks.insert(task, Counted { slot, group, spreads });
    }

    fn spread_fall(&mut self, group: &Name, slot: usize) {
        self.all.fall(slot);
        let Some(spread) = self.spread.get_mut(group) else { return };
        spread.tally.fall(slot);
        for (counts, partition) in spread.by_value.iter_mut().zip(&self.partitions) {
            counts[partition.value_of[slot]] -= 1;
        }
        if spread.tally.is_empty() {
            self.spread.remove(group);
        }
    }

    pub(super) fn slot(&self, instance: Hex32) -> Option<usize> {
        self.slot_of.get(&instance).copied()
    }

    pub(super) fn present(&self, group: &str) -> Option<&Tally> {
        self.present.get(group)
    }

    pub(super) fn spread(&self, group: &str) -> Option<&Spread> {
        self.spread.get(group)
    }

    pub(super) fn fits(&mut self, needs: Resources) -> &Bits {
        let slots = &self.slots;
        self.fits.get(&needs, || {
            slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| needs.fits_in(slot.remaining))
                .map(|(at, _)| at)
                .collect()
        })
    }

    pub(super) fn tcp_free(&mut self, ecs: &Ecs, port: u16) -> &Bits {
        let rows = rows(&self.slots, ecs);
        self.tcp_free.get(&port, || rows_where(rows, |row| !row.tcp_ports.contains(&port)))
    }

    pub(super) fn udp_free(&mut self, ecs: &Ecs, port: u16) -> &Bits {
        let rows = rows(&self.slots, ecs);
        self.udp_free.get(&port, || rows_where(rows, |row| !row.udp_ports.contains(&port)))
    }

    pub(super) fn with_attributes(&mut self, ecs: &Ecs, wanted: &BTreeMap<String, Option<String>>) -> &Bits {
        let rows = rows(&self.slots, ecs);
        self.attributes.get(wanted, || rows_where(rows, |row| has_attributes(row, wanted)))
    }

    /// The slots for which an expression holds; none when it cannot be read.
    pub(super) fn members(&mut self, ecs: &Ecs, text: &str) -> Bits {
        let Some(expression) = self.parse(text) else { return Bits::default() };
        if !expression.asks_tasks() {
            return self.members_alone(ecs, text, &expression);
        }
        self.members_of(ecs, &expression)
    }

    fn parse(&mut self, text: &str) -> Option<Arc<Expression>> {
        if let Some(found) = self.parsed.get(text) {
            return Some(found.clone());
        }
        let expression = Arc::new(Expression::parse(text).ok()?);
        if self.parsed.len() >= 4 * SETS_MAX {
            let kept = &self.expressions;
            self.parsed.retain(|text, _| kept.sets.contains_key(text));
        }
        self.parsed.insert(text.to_owned(), expression.clone());
        Some(expression)
    }

    /// For an expression that asks nothing of tasks: a set that is kept.
    fn members_alone(&mut self, ecs: &Ecs, text: &str, expression: &Expression) -> Bits {
        let rows = rows(&self.slots, ecs);
        self.expressions.get(text, || rows_where(rows, |row| expression.holds_alone(row))).clone()
    }

    /// For any expression: sets of its parts, joined.
    fn members_of(&mut self, ecs: &Ecs, expression: &Expression) -> Bits {
        if !expression.asks_tasks() {
            let text = expression.to_string();
            self.parse(&text);
            return self.members_alone(ecs, &text, expression);
        }
        match expression {
            Expression::And(parts) => {
                let mut joined = self.live.clone();
                for part in parts {
                    joined.keep(&self.members_of(ecs, part));
                }
                joined
            }
            Expression::Or(parts) => {
                let mut joined = Bits::default();
                for part in parts {
                    joined.add(&self.members_of(ecs, part));
                }
                joined
            }
            Expression::Not(part) => {
                let mut rest = self.live.clone();
                rest.drop(&self.members_of(ecs, part));
                rest
            }
            Expression::Compare(Comparison::TaskGroup(test)) => {
                let mut found = Bits::default();
                match &test.by {
                    TextMatch::Equals(group) => {
                        if let Some(tally) = self.present.get(group.as_str()) {
                            found.add(tally.some());
                        }
                    }
                    by => {
                        for (_, tally) in self.present.iter().filter(|(group, _)| by.holds(group)) {
                            found.add(tally.some());
                        }
                    }
                }
                if test.negative {
                    let mut rest = self.live.clone();
                    rest.drop(&found);
                    return rest;
                }
                found
            }
            // Nothing is kept by the number of running tasks.
            Expression::Compare(_) => rows_where(rows(&self.slots, ecs), |row| expression.holds(ecs, row)),
        }
    }

    /// The partition by that attribute, and the group's counts by its values.
    pub(super) fn partition(
        &mut self,
        ecs: &Ecs,
        attribute: &str,
        group: &str,
    ) -> (&Partition, Option<&[u32]>) {
        let at = match self.partitions.iter().position(|partition| partition.attribute == attribute) {
            Some(at) => at,
            None => {
                self.partitions.push(Partition::build(ecs, &self.slots, attribute));
                self.partitions.len() - 1
            }
        };
        if let Some(spread) = self.spread.get_mut(group) {
            while spread.by_value.len() <= at {
                let partition = &self.partitions[spread.by_value.len()];
                let mut counts = vec![0; partition.values.len()];
                for (slot, count) in spread.tally.iter() {
                    counts[partition.value_of[slot]] += count;
                }
                spread.by_value.push(counts);
            }
            spread.by_value[at].resize(self.partitions[at].values.len(), 0);
        }
        let counts = self.spread.get(group).map(|spread| spread.by_value[at].as_slice());
        (&self.partitions[at], counts)
    }

    /// Slots by what is left of their CPU or memory, least first.
    pub(super) fn order(&mut self, memory: bool) -> &BTreeMap<i64, Bits> {
        let slots = &self.slots;
        let order = if memory { &mut self.by_memory } else { &mut self.by_cpu };
        order.get_or_insert_with(|| {
            let mut order: BTreeMap<i64, Bits> = BTreeMap::new();
            for (at, slot) in slots.iter().enumerate() {
                let amount = if memory { slot.remaining.memory } else { slot.remaining.cpu };
                order.entry(amount).or_default().put(at, true);
            }
            order
        })
    }
}

impl Partition {
    fn build(ecs: &Ecs, slots: &[Slot], attribute: &str) -> Self {
        let mut partition = Self {
            attribute: attribute.to_owned(),
            values: Vec::new(),
            slots: Vec::new(),
            value_of: Vec::new(),
        };
        for (slot, Slot { id, .. }) in slots.iter().enumerate() {
            let value = ecs.instances.get(id).and_then(|row| attribute_value(row, attribute));
            partition.push(slot, value);
        }
        partition
    }

    /// A new slot at the end.
    fn grow(&mut self, slot: usize, row: &ContainerInstance) {
        if slot == self.value_of.len() {
            let value = attribute_value(row, &self.attribute);
            self.push(slot, value);
        }
    }

    fn push(&mut self, slot: usize, value: Option<&str>) {
        let at = self.values.iter().position(|found| found.as_deref() == value).unwrap_or_else(|| {
            self.values.push(value.map(Name::from));
            self.slots.push(Bits::default());
            self.values.len() - 1
        });
        self.slots[at].put(slot, true);
        self.value_of.push(at);
    }

    /// Which of the values a slot has.
    pub(super) fn value_at(&self, slot: usize) -> usize {
        self.value_of[slot]
    }

    fn value(&self, slot: usize) -> Option<&str> {
        self.values[self.value_of[slot]].as_deref()
    }
}

/// The attribute by which services are spread over zones.
pub(super) const ZONE: &str = "ecs.availability-zone";

fn attribute_value<'a>(row: &'a ContainerInstance, attribute: &str) -> Option<&'a str> {
    if attribute == ZONE {
        return Some(&row.zone);
    }
    row.attributes.get(attribute).map(|value| value.as_deref().unwrap_or_default())
}

/// Whether the instance has the attributes, with the values that are asked for.
pub(super) fn has_attributes(row: &ContainerInstance, wanted: &BTreeMap<String, Option<String>>) -> bool {
    wanted.iter().all(|(name, value)| match row.attributes.get(name) {
        None => false,
        Some(found) => value.is_none() || found == value,
    })
}

fn rows<'a>(slots: &'a [Slot], ecs: &'a Ecs) -> impl Iterator<Item = (usize, &'a ContainerInstance)> {
    let row = |(at, slot): (usize, &'a Slot)| Some((at, ecs.instances.get(&slot.id)?));
    slots.iter().enumerate().filter_map(row)
}

fn rows_where<'a>(
    rows: impl Iterator<Item = (usize, &'a ContainerInstance)>,
    holds: impl Fn(&ContainerInstance) -> bool,
) -> Bits {
    rows.filter(|(_, row)| holds(row)).map(|(at, _)| at).collect()
}
