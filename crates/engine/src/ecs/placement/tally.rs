//! How many tasks of one kind are where.

use std::collections::BTreeMap;

use super::bits::Bits;

/// Tasks of a group (or of all) by slot, kept so that the slots with the fewest are found at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<usize, u32>,
    /// Slots with at least one.
    some: Bits,
    /// Slots by their count, 0 left out.
    by_count: BTreeMap<u32, Bits>,
}

impl Tally {
    pub(super) fn count(&self, slot: usize) -> u32 {
        self.counts.get(&slot).copied().unwrap_or(0)
    }

    pub(super) fn some(&self) -> &Bits {
        &self.some
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        self.counts.iter().map(|(slot, count)| (*slot, *count))
    }

    pub(super) fn rise(&mut self, slot: usize) {
        let before = self.count(slot);
        self.set(slot, before, before + 1);
    }

    pub(super) fn fall(&mut self, slot: usize) {
        let before = self.count(slot);
        assert!(before > 0, "a task leaves a place where none is counted");
        self.set(slot, before, before - 1);
    }

    fn set(&mut self, slot: usize, before: u32, after: u32) {
        if let Some(bits) = self.by_count.get_mut(&before) {
            bits.put(slot, false);
            if bits.is_empty() {
                self.by_count.remove(&before);
            }
        }
        if after > 0 {
            self.by_count.entry(after).or_default().put(slot, true);
            self.counts.insert(slot, after);
        } else {
            self.counts.remove(&slot);
        }
        self.some.put(slot, after > 0);
    }

    /// Those of `among` with the fewest tasks, and how many that is. `among` must not be empty.
    pub(super) fn fewest(&self, among: &Bits) -> (u32, Bits) {
        if let Some(none) = among.without(&self.some) {
            return (0, none);
        }
        let found = self.by_count.iter().find_map(|(count, bits)| Some((*count, among.both(bits)?)));
        found.expect("a slot with a task is among those of its count")
    }
}
