//! How many shards may be held twice while a checkpoint is made.

use std::sync::{Arc, Mutex, PoisonError};

/// Bounds the rows that are taken for a checkpoint and not written yet, so that a checkpoint of a large state does not double it.
#[derive(Debug, Clone)]
pub struct Rooms {
    most: usize,
    held: Arc<Mutex<Held>>,
}

/// What is taken and not written.
#[derive(Debug, Default)]
struct Held {
    shards: usize,
    bytes: u64,
}

/// So many bytes may be taken of any number of shards.
const SMALL_BYTES: u64 = 16 << 20;

impl Rooms {
    /// Makes room for `most` shards of any size.
    pub fn new(most: usize) -> Rooms {
        Rooms { most, held: Arc::default() }
    }

    /// Takes room for a shard of about `bytes`, if there is.
    pub fn take(&self, bytes: u64) -> Option<Room> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.shards >= self.most && held.bytes + bytes > SMALL_BYTES {
            return None;
        }
        held.shards += 1;
        held.bytes += bytes;
        Some(Room { held: Arc::clone(&self.held), bytes })
    }
}

/// Room for a shard, free again when it is dropped.
#[derive(Debug)]
pub struct Room {
    held: Arc<Mutex<Held>>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.shards -= 1;
        held.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_some_shards_and_for_any_number_of_small_ones() {
        let rooms = Rooms::new(2);
        let small: Vec<Option<Room>> = (0..100).map(|_| rooms.take(1000)).collect();
        assert!(small.iter().all(Option::is_some));
        assert!(rooms.take(SMALL_BYTES).is_none());
        drop(small);
        let first = rooms.take(1 << 40);
        let second = rooms.take(1 << 40);
        assert!(first.is_some() && second.is_some() && rooms.take(0).is_none());
        drop(first);
        assert!(rooms.take(1 << 40).is_some());
    }
}
