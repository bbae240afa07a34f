//! Rows with a deadline: the windows that close, the keys that expire.
//!
//! The places of rows stand in buckets by their deadline. A row is armed once; when its bucket is due, whoever asked looks at the row, removes it, or arms it anew
//! because its deadline has moved since. So a record that puts a deadline off costs nothing here.

use std::collections::BTreeMap;

/// The deadlines of a shard's rows.
#[derive(Debug, Default)]
pub struct Deadlines {
    buckets: BTreeMap<i64, Vec<u32>>,
    /// By place: the bucket in which the row counts; [`NONE`] when in none.
    armed: Vec<i64>,
}

const NONE: i64 = i64::MAX;

impl Deadlines {
    /// Puts the row at `place` in the bucket of `deadline`.
    pub fn arm(&mut self, place: usize, deadline: i64) {
        if place >= self.armed.len() {
            self.armed.resize(place + 1, NONE);
        }
        if self.armed[place] != deadline {
            self.armed[place] = deadline;
            self.buckets.entry(deadline).or_default().push(u32::try_from(place).expect("fewer than 2^32 rows"));
        }
    }

    /// Forgets the row at `place`, which is removed.
    pub fn disarm(&mut self, place: usize) {
        if let Some(armed) = self.armed.get_mut(place) {
            *armed = NONE;
        }
    }

    /// Takes out the rows of the first bucket whose deadline is not after `now`, with its deadline. Nothing when there is no such bucket.
    pub fn due(&mut self, now: i64) -> Option<(i64, Vec<u32>)> {
        let first = self.buckets.first_entry().filter(|first| *first.key() <= now)?;
        let (deadline, mut places) = first.remove_entry();
        places.retain(|&place| {
            let armed = &mut self.armed[place as usize];
            // One that stands here twice, or was removed, is found once, or not at all.
            std::mem::replace(armed, if *armed == deadline { NONE } else { *armed }) == deadline
        });
        Some((deadline, places))
    }

    /// Returns the memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.armed.capacity() * (size_of::<i64>() + size_of::<u32>()) + self.buckets.len() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_deadlines_each_once() {
        let mut deadlines = Deadlines::default();
        for (place, deadline) in [(0, 30), (5, 10), (2, 10), (3, 20)] {
            deadlines.arm(place, deadline);
        }
        deadlines.arm(2, 10);
        assert_eq!(deadlines.due(9), None);
        assert_eq!(deadlines.due(25), Some((10, vec![5, 2])));
        deadlines.disarm(3);
        assert_eq!(deadlines.due(25), Some((20, vec![])), "it was removed");
        deadlines.arm(3, 30);
        deadlines.disarm(3);
        deadlines.arm(3, 30);
        assert_eq!(deadlines.due(25), None);
        assert_eq!(deadlines.due(30), Some((30, vec![0, 3])));
        assert_eq!(deadlines.due(i64::MAX - 1), None);
        deadlines.disarm(100);
    }
}
