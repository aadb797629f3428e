//! Ids for requests that are refused before they reach the backend.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use capstan_wire::RequestId;

#[derive(Debug, Default)]
pub(super) struct RequestIds {
    /// Differs from run to run.
    keys: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    /// Looks like a UUID of version 4.
    pub(super) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let half = |side: u8| u128::from(self.keys.hash_one((count, side)));
        let version = 0x4 << 76;
        let variant = 0x2 << 62;
        let id = (half(0) << 64 | half(1)) & !(0xf << 76) & !(0x3 << 62);
        RequestId(id | version | variant)
    }
}
