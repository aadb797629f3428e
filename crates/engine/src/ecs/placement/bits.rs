//! Sets of small numbers, a bit each: sixty-four instances a step.

/// A set of slots. Words that are missing at the end are empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn put(&mut self, slot: usize, on: bool) {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        if on {
            if self.0.len() <= word {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= bit;
        } else if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(super) fn has(&self, slot: usize) -> bool {
        self.0.get(slot / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Keeps what is also in the other.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Drops what is in the other.
    pub(super) fn drop(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }

    /// What is in both, when there is anything.
    pub(super) fn both(&self, other: &Self) -> Option<Self> {
        let mut words: Vec<u64> = Vec::new();
        let mut any = 0;
        words.extend(self.0.iter().zip(&other.0).map(|(a, b)| {
            any |= a & b;
            a & b
        }));
        (any != 0).then_some(Self(words))
    }

    /// What is here and not in the other, when there is anything.
    pub(super) fn without(&self, other: &Self) -> Option<Self> {
        let mut words = self.clone();
        words.drop(other);
        (!words.is_empty()).then_some(words)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn first(&self) -> Option<usize> {
        let at = self.0.iter().position(|word| *word != 0)?;
        Some(at * 64 + self.0[at].trailing_zeros() as usize)
    }

    /// The member that has `n` smaller ones.
    pub(super) fn nth(&self, n: usize) -> Option<usize> {
        let mut left = n;
        for (at, word) in self.0.iter().enumerate() {
            let here = word.count_ones() as usize;
            if left < here {
                let mut word = *word;
                for _ in 0..left {
                    word &= word - 1;
                }
                return Some(at * 64 + word.trailing_zeros() as usize);
            }
            left -= here;
        }
        None
    }

    /// Members in rising order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(slots: I) -> Self {
        let mut bits = Self::default();
        for slot in slots {
            bits.put(slot, true);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(a in prop::collection::btree_set(0..300usize, 0..40), b in prop::collection::btree_set(0..300usize, 0..40)) {
            let (x, y): (Bits, Bits) = (a.iter().copied().collect(), b.iter().copied().collect());
            let list = |bits: &Bits| bits.iter().collect::<Vec<_>>();
            let set = |found: BTreeSet<usize>| found.into_iter().collect::<Vec<_>>();
            let check = |change: fn(&mut Bits, &Bits), expect: BTreeSet<usize>| {
                let mut bits = x.clone();
                change(&mut bits, &y);
                prop_assert_eq!(bits.iter().collect::<Vec<_>>(), set(expect));
                Ok(())
            };
            check(Bits::keep, &a & &b)?;
            check(Bits::drop, &a - &b)?;
            check(Bits::add, &a | &b)?;
            prop_assert_eq!(x.both(&y).map(|bits| list(&bits)).unwrap_or_default(), set(&a & &b));
            prop_assert_eq!(x.without(&y).map(|bits| list(&bits)).unwrap_or_default(), set(&a - &b));
            prop_assert_eq!(x.meets(&y), !a.is_disjoint(&b));
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.is_empty(), a.is_empty());
            prop_assert_eq!(x.first(), a.first().copied());
            for n in 0..=a.len() {
                prop_assert_eq!(x.nth(n), a.iter().nth(n).copied());
            }
        }
    }
}
