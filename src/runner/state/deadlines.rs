//! Rows with a deadline: windows that close and keys that expire.
//!
//! Rows are kept in buckets by deadline. A row is armed once. When its bucket is due, the caller looks at the row and
//! either removes it or arms it again because its deadline has moved in the meantime. So a record that postpones a
//! deadline costs nothing here.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Deadlines {
    buckets: BTreeMap<i64, Vec<u32>>,
    /// The deadline of the bucket that each row counts in, by row number; [`NONE`] for rows in no bucket.
    armed: Vec<i64>,
}

const NONE: i64 = i64::MAX;

impl Deadlines {
    /// Puts a row into the bucket of `deadline`.
    pub fn arm(&mut self, row: usize, deadline: i64) {
        if row >= self.armed.len() {
            self.armed.resize(row + 1, NONE);
        }
        if self.armed[row] != deadline {
            self.armed[row] = deadline;
            self.buckets.entry(deadline).or_default().push(u32::try_from(row).expect("fewer than 2^32 rows"));
        }
    }

    /// Forgets a row that is removed.
    pub fn disarm(&mut self, row: usize) {
        if let Some(armed) = self.armed.get_mut(row) {
            *armed = NONE;
        }
    }

    /// Takes the first bucket whose deadline is at or before `now`. Returns its deadline and its rows.
    pub fn due(&mut self, now: i64) -> Option<(i64, Vec<u32>)> {
        let first = self.buckets.first_entry().filter(|first| *first.key() <= now)?;
        let (deadline, mut rows) = first.remove_entry();
        rows.retain(|&row| {
            let armed = &mut self.armed[row as usize];
            // A row that is in the bucket twice is found once; a row that was removed, not at all.
            std::mem::replace(armed, if *armed == deadline { NONE } else { *armed }) == deadline
        });
        Some((deadline, rows))
    }

    pub fn memory_bytes(&self) -> usize {
        self.armed.capacity() * (size_of::<i64>() + size_of::<u32>()) + self.buckets.len() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_comes_once_in_the_order_of_the_deadlines() {
        let mut deadlines = Deadlines::default();
        for (row, deadline) in [(0, 30), (5, 10), (2, 10), (3, 20)] {
            deadlines.arm(row, deadline);
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
