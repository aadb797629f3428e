//! Chance that needs no memory: numbers that belong to a key, and staircases of them over time.

use capstan_model::{Span, Time};

/// FNV-1a over texts, with a separator after each: what stands for a pool, a zone or a region.
pub(crate) fn key(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A number for the words: the finaliser of SplitMix64, once for each.
pub(crate) fn draw(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |state, word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// A number from `low` to `high`, both included.
pub(crate) fn between(draw: u64, low: i64, high: i64) -> i64 {
    let width = u128::from((high - low).unsigned_abs()) + 1;
    low + i64::try_from((u128::from(draw) * width) >> 64).unwrap_or_default()
}

/// Standard normal, nearly, in thousandths: the sum of four even draws of 16 bits has a deviation of 37,837.
pub(crate) fn normal(draw: u64) -> i64 {
    let sum: i64 = (0..4).map(|part| i64::try_from(draw >> (16 * part) & 0xffff).unwrap_or_default()).sum();
    (sum - 2 * 65_535) * 1000 / 37_837
}

/// The number of the period of that length that a moment lies in, and how far into it the moment is.
pub(crate) fn period(at: Time, length: Span) -> (u64, i64) {
    let (at, length) = (at.as_micros(), length.as_micros());
    (at.div_euclid(length).cast_unsigned(), at.rem_euclid(length))
}
