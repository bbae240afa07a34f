//! What the workers hold and do, for other threads to read at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Sums over all workers.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: AtomicU64,
    /// Keys in the state.
    pub keys: AtomicU64,
    /// Bytes that the state takes in memory.
    pub memory_bytes: AtomicU64,
    /// Bytes in memory that the shards have emitted since the last cut.
    pub emitted_bytes: AtomicU64,
    /// Bytes of rows that changed since each shard was last taken, in mode priority.
    pub shards: Vec<AtomicU64>,
    /// Set when all workers are to return at once, for one that is waiting for its program.
    pub aborting: AtomicBool,
    /// Records of this run that came after all their windows were closed.
    pub late: AtomicU64,
}

/// What some shards hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    pub(crate) changed_bytes: u64,
    pub(crate) keys: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) emitted_bytes: u64,
}

impl Gauges {
    /// Adds the difference between two loads to the sums. A negative one wraps around, which adds up correctly.
    pub(crate) fn add(&self, now: Load, before: Load) {
        let add = |gauge: &AtomicU64, now: u64, before: u64| {
            if now != before {
                gauge.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
            }
        };
        add(&self.changed_bytes, now.changed_bytes, before.changed_bytes);
        add(&self.keys, now.keys, before.keys);
        add(&self.memory_bytes, now.memory_bytes, before.memory_bytes);
        add(&self.emitted_bytes, now.emitted_bytes, before.emitted_bytes);
    }
}
