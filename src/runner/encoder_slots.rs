//! Encoder slots: they limit how many shards are held twice in memory during a checkpoint.

use std::sync::{Arc, Mutex};

use crate::values::lock::lock;

/// Limits the rows that were taken for a checkpoint and are not written yet, so that a checkpoint does not double the
/// memory of a large state.
#[derive(Debug, Clone)]
pub struct EncoderSlots {
    count: usize,
    held: Arc<Mutex<Held>>,
}

/// What was taken and is not written yet.
#[derive(Debug, Default)]
struct Held {
    shards: usize,
    bytes: u64,
}

/// Up to this many bytes may be taken of any number of shards.
const SMALL_BYTES: u64 = 16 << 20;

impl EncoderSlots {
    /// Makes slots for `count` shards of any size.
    pub fn new(count: usize) -> EncoderSlots {
        EncoderSlots { count, held: Arc::default() }
    }

    /// Takes a slot for a shard of about `bytes`, if one is free.
    pub fn take(&self, bytes: u64) -> Option<EncoderSlot> {
        let mut held = lock(&self.held);
        if held.shards >= self.count && held.bytes + bytes > SMALL_BYTES {
            return None;
        }
        held.shards += 1;
        held.bytes += bytes;
        Some(EncoderSlot { held: Arc::clone(&self.held), bytes })
    }
}

/// Permission to hold one shard twice in memory, returned when dropped.
#[derive(Debug)]
pub struct EncoderSlot {
    held: Arc<Mutex<Held>>,
    bytes: u64,
}

impl Drop for EncoderSlot {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.shards -= 1;
        held.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_large_shards_get_a_slot_and_any_number_of_small_ones() {
        let slots = EncoderSlots::new(2);
        let small: Vec<Option<EncoderSlot>> = (0..100).map(|_| slots.take(1000)).collect();
        assert!(small.iter().all(Option::is_some));
        assert!(slots.take(SMALL_BYTES).is_none());
        drop(small);
        let first = slots.take(1 << 40);
        let second = slots.take(1 << 40);
        assert!(first.is_some() && second.is_some() && slots.take(0).is_none());
        drop(first);
        assert!(slots.take(1 << 40).is_some());
    }
}
