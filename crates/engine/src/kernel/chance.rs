//! Chance as a seeded tree: one stream for each purpose, so that one draw more for one purpose moves no other.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// All randomness of an engine. Purposes are named like tables: `ec2.instance-id`.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: u64,
    streams: BTreeMap<&'static str, ChaCha8Rng>,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { seed, streams: BTreeMap::new() }
    }

    fn stream(&mut self, purpose: &'static str) -> &mut ChaCha8Rng {
        let seed = self.seed;
        self.streams.entry(purpose).or_insert_with(|| {
            // FNV-1a over the purpose picks the ChaCha stream; the seed is the key. Both are specified bytes.
            let stream = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            rng
        })
    }

    pub fn u64(&mut self, purpose: &'static str) -> u64 {
        self.stream(purpose).next_u64()
    }

    pub fn u128(&mut self, purpose: &'static str) -> u128 {
        let stream = self.stream(purpose);
        u128::from(stream.next_u64()) << 64 | u128::from(stream.next_u64())
    }

    /// A number below `n` (> 0). The bias of the multiply-shift is under 2⁻³² for the sizes used here.
    pub fn below(&mut self, purpose: &'static str, n: u64) -> u64 {
        assert!(n > 0, "a draw from nothing for {purpose}");
        u64::try_from((u128::from(self.u64(purpose)) * u128::from(n)) >> 64).unwrap_or_default()
    }

    /// A version-4 UUID.
    pub fn uuid(&mut self, purpose: &'static str) -> String {
        let bits = self.u128(purpose);
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let mut text = String::with_capacity(36);
        for (at, byte) in bits.to_be_bytes().into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 0xf] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_do_not_move_each_other() {
        let (mut a, mut b) = (Chance::new(7), Chance::new(7));
        let _ = b.u64("ecs.task-id");
        assert_eq!(a.u128("ec2.instance-id"), b.u128("ec2.instance-id"));
        assert_ne!(a.u64("ecs.task-id"), b.u64("ecs.task-id"));
        assert_ne!(Chance::new(8).u64("ecs.task-id"), Chance::new(7).u64("ecs.task-id"));
    }

    #[test]
    fn uuids_look_like_uuids() {
        let uuid = Chance::new(1).uuid("test");
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
}
