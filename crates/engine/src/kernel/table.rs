//! Tables: the only place where state lives, and the only way to change it.
//!
//! A table keeps its rows in key order, knows which rows changed (when somebody asks), and derives three things from the
//! rows themselves: the deadlines, the indexes and sums of what rows amount to. None is stored twice, so all can be
//! rebuilt from rows alone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use capstan_model::Time;

/// What a row amounts to in up to so many respects; each kind of row says which.
pub type Amounts = [i64; 10];

/// One kind of row.
pub trait Row: Clone + Debug + 'static {
    type Key: Ord + Clone + Debug;
    /// What the table can be asked for besides the key; [`NoIndex`] for nothing.
    type Index: Ord + Clone + Debug;
    /// `service.rows`, as a journal names it: `ecs.tasks`.
    const TABLE: &'static str;

    fn key(&self) -> Self::Key;

    /// What the row is called among all that exists ([`Table::tell`]); `None` when it is but a record of what is gone, or
    /// the room's own bookkeeping.
    fn resource(&self) -> Option<String> {
        Some(format!("{:?}", self.key()).trim_matches('"').to_owned())
    }

    /// When the row wants to be looked at again. The room moves it on or clears it each time.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// Gives every index entry of this row to `put`.
    fn index(&self, put: &mut dyn FnMut(Self::Index)) {
        let _ = put;
    }

    /// Gives `put` what the row adds to the sums of an index; see [`Table::sum`].
    fn amounts(&self, put: &mut dyn FnMut(Self::Index, Amounts)) {
        let _ = put;
    }
}

/// The index of a table that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoIndex {}

type Slot = u32;
type Index<R> = BTreeMap<<R as Row>::Index, BTreeMap<<R as Row>::Key, Slot>>;

/// Rows of one kind, in the order of their keys.
#[derive(Clone, Debug)]
pub struct Table<R: Row> {
    /// Where each row lies in `rows`.
    slots: BTreeMap<R::Key, Slot>,
    /// Boxed, so that rows stay where they are.
    rows: Vec<Option<Box<R>>>,
    /// Of rows that were removed.
    free: Vec<Slot>,
    due: BTreeSet<(Time, R::Key)>,
    /// With the slots at hand nobody searches for the rows that an index names.
    index: Index<R>,
    sums: BTreeMap<R::Index, Amounts>,
    /// Keys of rows that changed since the last [`Table::take_changed`]; `None` when nobody wants to know.
    changed: Option<BTreeSet<R::Key>>,
    revision: u64,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            rows: Vec::new(),
            free: Vec::new(),
            due: BTreeSet::new(),
            index: BTreeMap::new(),
            sums: BTreeMap::new(),
            changed: None,
            revision: 0,
        }
    }
}

impl<R: Row> Table<R> {
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.slots.get(key).map(|slot| self.at(*slot))
    }

    /// The row in a slot that some key or index names.
    fn at(&self, slot: Slot) -> &R {
        self.rows[slot as usize].as_deref().expect("named slots are taken")
    }

    pub fn contains(&self, key: &R::Key) -> bool {
        self.slots.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Rises with every change of a row. What was derived from the table holds as long as this stays.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// All rows in key order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &R> {
        self.slots.values().map(|slot| self.at(*slot))
    }

    /// Rows whose keys lie in the range, in key order.
    pub fn range(&self, range: impl std::ops::RangeBounds<R::Key>) -> impl DoubleEndedIterator<Item = &R> {
        self.slots.range(range).map(|(_, slot)| self.at(*slot))
    }

    /// Rows with that index entry, in key order.
    pub fn by<'a>(&'a self, index: &R::Index) -> impl DoubleEndedIterator<Item = &'a R> + use<'a, R> {
        self.index.get(index).into_iter().flatten().map(|(_, slot)| self.at(*slot))
    }

    /// Keys of the rows with that index entry; for loops that change the table on their way.
    pub fn keys_by(&self, index: &R::Index) -> Vec<R::Key> {
        self.index.get(index).into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }

    /// How many rows have that index entry.
    pub fn count_by(&self, index: &R::Index) -> usize {
        self.index.get(index).map_or(0, BTreeMap::len)
    }

    /// What the rows amount to together that gave amounts for that index: kept ready, so that nobody counts rows.
    pub fn sum(&self, index: &R::Index) -> Amounts {
        self.sums.get(index).copied().unwrap_or_default()
    }

    /// Index entries that some row has, in order, from `from` on.
    pub fn indexes_from(&self, from: R::Index) -> impl Iterator<Item = &R::Index> {
        self.index.range(from..).map(|(index, _)| index)
    }

    /// The earliest deadline and the row that has it.
    pub fn first_due(&self) -> Option<(Time, R::Key)> {
        self.due.first().cloned()
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(time, _)| *time)
    }

    /// Puts a row in, in the place of the one with the same key if there is one.
    pub(crate) fn insert(&mut self, row: R) {
        let key = row.key();
        self.revision += 1;
        self.mark(&key);
        let deadline = row.deadline();
        let mut entries = Vec::with_capacity(8);
        row.index(&mut |entry| entries.push(entry));
        row.amounts(&mut |index, amounts| add(&mut self.sums, index, &amounts, 1));
        let row = Some(Box::new(row));
        let slot = match self.slots.entry(key.clone()) {
            Entry::Occupied(entry) => {
                let slot = *entry.get();
                if let Some(before) = std::mem::replace(&mut self.rows[slot as usize], row) {
                    self.unlink(&key, &before);
                }
                slot
            }
            Entry::Vacant(entry) => {
                let slot = match self.free.pop() {
                    Some(slot) => {
                        self.rows[slot as usize] = row;
                        slot
                    }
                    None => {
                        self.rows.push(row);
                        Slot::try_from(self.rows.len() - 1).expect("fewer than 2^32 rows")
                    }
                };
                *entry.insert(slot)
            }
        };
        if let Some(time) = deadline {
            self.due.insert((time, key.clone()));
        }
        for entry in entries {
            self.index.entry(entry).or_default().insert(key.clone(), slot);
        }
    }

    pub(crate) fn remove(&mut self, key: &R::Key) -> Option<R> {
        let slot = self.slots.remove(key)?;
        let row = self.rows[slot as usize].take()?;
        self.free.push(slot);
        self.revision += 1;
        self.unlink(key, &row);
        self.mark(key);
        Some(*row)
    }

    /// Takes a row's deadline and index entries away.
    fn unlink(&mut self, key: &R::Key, row: &R) {
        if let Some(time) = row.deadline() {
            self.due.remove(&(time, key.clone()));
        }
        row.index(&mut |entry| drop_entry(&mut self.index, &entry, key));
        row.amounts(&mut |index, amounts| add(&mut self.sums, index, &amounts, -1));
    }

    /// A row to change; deadlines and indexes follow when the guard goes. The key must stay as it is.
    pub(crate) fn edit(&mut self, key: &R::Key) -> Option<Edit<'_, R>> {
        let slot = *self.slots.get(key)?;
        let row = self.rows[slot as usize].as_deref_mut()?;
        self.revision += 1;
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        // Few rows have more entries than this.
        let mut index_before = Vec::with_capacity(8);
        row.index(&mut |entry| index_before.push(entry));
        let deadline_before = row.deadline();
        let mut amounts_before = Vec::new();
        row.amounts(&mut |index, amounts| amounts_before.push((index, amounts)));
        Some(Edit {
            row,
            key: key.clone(),
            slot,
            deadline_before,
            index_before,
            amounts_before,
            due: &mut self.due,
            index: &mut self.index,
            sums: &mut self.sums,
        })
    }

    pub(crate) fn record_changes(&mut self, on: bool) {
        self.changed = on.then(BTreeSet::new);
    }

    /// Keys of the rows that changed since the last time, as text for a journal.
    pub(crate) fn take_changed(&mut self, put: &mut dyn FnMut(&'static str, String)) {
        let Some(changed) = &mut self.changed else { return };
        for key in std::mem::take(changed) {
            put(R::TABLE, format!("{key:?}"));
        }
    }

    /// Tells of what exists: the table and each row's name.
    pub(crate) fn tell(&self, put: &mut dyn FnMut(&'static str, String)) {
        self.iter().filter_map(Row::resource).for_each(|name| put(R::TABLE, name));
    }

    fn mark(&mut self, key: &R::Key) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
    }
}

/// What every room does with each of its tables: `tables!(Sqs { queues, deleted })`.
macro_rules! tables {
    ($room:ty { $($table:ident),+ $(,)? }) => {
        impl $room {
            pub(crate) fn record_changes(&mut self, on: bool) {
                $(self.$table.record_changes(on);)+
            }

            pub(crate) fn take_changed(&mut self, put: &mut dyn FnMut(&'static str, String)) {
                $(self.$table.take_changed(put);)+
            }

            /// Tells of what exists, by table.
            pub(crate) fn tell(&self, put: &mut dyn FnMut(&'static str, String)) {
                $(self.$table.tell(put);)+
            }
        }
    };
}
pub(crate) use tables;

fn drop_entry<I: Ord, K: Ord>(index: &mut BTreeMap<I, BTreeMap<K, Slot>>, entry: &I, key: &K) {
    if let Some(keys) = index.get_mut(entry) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(entry);
        }
    }
}

/// Adds the amounts to the sum of the index, or takes them away.
fn add<I: Ord + Clone>(sums: &mut BTreeMap<I, Amounts>, index: I, amounts: &Amounts, times: i64) {
    if *amounts == Amounts::default() {
        return;
    }
    let sum = sums.entry(index.clone()).or_default();
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum += amount * times;
    }
    if *sum == Amounts::default() {
        sums.remove(&index);
    }
}

/// A row being changed.
pub(crate) struct Edit<'a, R: Row> {
    row: &'a mut R,
    key: R::Key,
    slot: Slot,
    deadline_before: Option<Time>,
    index_before: Vec<R::Index>,
    amounts_before: Vec<(R::Index, Amounts)>,
    due: &'a mut BTreeSet<(Time, R::Key)>,
    index: &'a mut Index<R>,
    sums: &'a mut BTreeMap<R::Index, Amounts>,
}

impl<R: Row> Deref for Edit<'_, R> {
    type Target = R;
    fn deref(&self) -> &R {
        self.row
    }
}

impl<R: Row> DerefMut for Edit<'_, R> {
    fn deref_mut(&mut self) -> &mut R {
        self.row
    }
}

impl<R: Row> Drop for Edit<'_, R> {
    fn drop(&mut self) {
        let deadline = self.row.deadline();
        if deadline != self.deadline_before {
            if let Some(time) = self.deadline_before {
                self.due.remove(&(time, self.key.clone()));
            }
            if let Some(time) = deadline {
                self.due.insert((time, self.key.clone()));
            }
        }
        let mut unchanged = 0;
        let before = &self.amounts_before;
        let sums = &mut *self.sums;
        self.row.amounts(&mut |index, amounts| match before.get(unchanged) {
            Some(same) if *same == (index.clone(), amounts) => unchanged += 1,
            _ => add(sums, index, &amounts, 1),
        });
        for (index, amounts) in self.amounts_before.drain(..).skip(unchanged) {
            add(self.sums, index, &amounts, -1);
        }
        let mut index_after = Vec::with_capacity(self.index_before.len());
        self.row.index(&mut |entry| index_after.push(entry));
        if index_after == self.index_before {
            return;
        }
        for entry in &self.index_before {
            if !index_after.contains(entry) {
                drop_entry(self.index, entry, &self.key);
            }
        }
        for entry in index_after {
            if !self.index_before.contains(&entry) {
                self.index.entry(entry).or_default().insert(self.key.clone(), self.slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Egg {
        id: u8,
        boils_until: Option<Time>,
        pot: u8,
    }

    impl Row for Egg {
        type Key = u8;
        type Index = u8;
        const TABLE: &'static str = "kitchen.eggs";
        fn key(&self) -> u8 {
            self.id
        }
        fn deadline(&self) -> Option<Time> {
            self.boils_until
        }
        fn index(&self, put: &mut dyn FnMut(u8)) {
            put(self.pot);
        }
        fn amounts(&self, put: &mut dyn FnMut(u8, Amounts)) {
            let mut amounts = Amounts::default();
            amounts[0] = 1;
            amounts[1] = i64::from(self.id);
            put(self.pot, amounts);
        }
    }

    #[test]
    fn deadlines_and_indexes_follow_the_rows() {
        let mut table = Table::default();
        table.record_changes(true);
        for id in 0..4 {
            table.insert(Egg { id, boils_until: Some(Time::from_secs(i64::from(10 - id))), pot: id % 2 });
        }
        assert_eq!(table.first_due(), Some((Time::from_secs(7), 3)));
        assert_eq!(table.by(&1).map(|egg| egg.id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(table.sum(&1)[..2], [2, 4]);
        {
            let mut egg = table.edit(&3).unwrap();
            egg.pot = 0;
            egg.boils_until = None;
        }
        assert_eq!(table.first_due(), Some((Time::from_secs(8), 2)));
        assert_eq!(table.by(&0).map(|egg| egg.id).collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(table.count_by(&1), 1);
        assert_eq!((&table.sum(&0)[..2], &table.sum(&1)[..2]), (&[3, 5][..], &[1, 1][..]));
        table.insert(Egg { id: 1, boils_until: None, pot: 1 });
        assert_eq!(table.sum(&1)[..2], [1, 1]);
        table.remove(&1);
        assert!(!table.sums.contains_key(&1));
        assert_eq!(table.count_by(&1), 0);
        assert_eq!(table.indexes_from(0).collect::<Vec<_>>(), [&0]);
        let mut changed = Vec::new();
        table.take_changed(&mut |name, key| changed.push(format!("{name} {key}")));
        assert_eq!(changed, ["kitchen.eggs 0", "kitchen.eggs 1", "kitchen.eggs 2", "kitchen.eggs 3"]);
        let mut told = Vec::new();
        table.tell(&mut |name, egg| told.push(format!("{name} {egg}")));
        assert_eq!(told, ["kitchen.eggs 0", "kitchen.eggs 2", "kitchen.eggs 3"]);
    }

    #[test]
    fn what_is_found_by_an_index_are_the_rows_that_have_it() {
        let mut table: Table<Egg> = Table::default();
        for n in 0..400u32 {
            let (id, pot) = ((n * 7 % 13) as u8, (n * n % 4) as u8);
            match n % 5 {
                0 | 3 => drop(table.remove(&id)),
                1 => {
                    if let Some(mut egg) = table.edit(&id) {
                        egg.pot = pot;
                    }
                }
                _ => table.insert(Egg { id, boils_until: None, pot }),
            }
            for pot in 0..4 {
                let has: Vec<u8> = table.iter().filter(|egg| egg.pot == pot).map(|egg| egg.id).collect();
                assert_eq!(table.by(&pot).map(|egg| egg.id).collect::<Vec<_>>(), has, "after {n}");
                assert_eq!(table.keys_by(&pot), has);
                assert!(
                    has.is_sorted() && has.iter().all(|id| table.get(id).is_some_and(|egg| egg.id == *id))
                );
            }
        }
        assert_eq!(table.len(), table.iter().count());
    }
}
