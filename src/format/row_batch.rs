//! Many rows in a few allocations.

use prefetch_index::prefetch_index;

use crate::format::rows::{Change, Row};
use crate::values::prefix::{first_bytes, shared_bytes};

/// Many rows in a few allocations.
#[derive(Debug, Clone, Default)]
pub struct RowBatch {
    bytes: Vec<u8>,
    rows: Vec<RowEntry>,
}

/// Where in `bytes` a row's key begins, which its value follows.
#[derive(Debug, Clone, Copy)]
struct RowEntry {
    at: usize,
    task: u32,
    key_bytes: u32,
    /// The value's size plus one; zero for a tombstone.
    value_bytes_plus_one: u32,
    change: Change,
}

/// How many rows before its turn a row is fetched into the cache.
const LOOK_AHEAD_ROWS: usize = 16;

impl RowBatch {
    pub fn new() -> RowBatch {
        RowBatch::default()
    }

    /// Reserves memory for `rows` more rows, whose keys and values take `bytes`.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.rows.reserve(rows);
        self.bytes.reserve(bytes);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the memory that the rows take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<RowEntry>()
    }

    /// Appends a row. A tombstone has no `value`.
    pub fn push(&mut self, task: u32, key: &[u8], value: Option<&[u8]>) {
        self.push_with(task, key, value.is_some(), |bytes| {
            if let Some(value) = value {
                bytes.extend_from_slice(value);
            }
        });
    }

    /// Appends a row whose value `write` appends to the bytes that it gets, or a tombstone if `has_value` is false.
    #[inline]
    pub fn push_with(&mut self, task: u32, key: &[u8], has_value: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_changed(task, key, Change::None, has_value, write);
    }

    /// Appends a row as [`RowBatch::push_with`] does, and how it changed.
    #[inline]
    pub fn push_changed(
        &mut self,
        task: u32,
        key: &[u8],
        change: Change,
        has_value: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        let value_bytes_plus_one = if has_value {
            write(&mut self.bytes);
            u32::try_from(self.bytes.len() - value_at + 1).expect("a value is below 4 GiB")
        } else {
            0
        };
        let key_bytes = u32::try_from(key.len()).expect("a key is below 4 GiB");
        self.rows.push(RowEntry { at, task, key_bytes, value_bytes_plus_one, change });
    }

    #[inline]
    pub fn row(&self, index: usize) -> Row<'_> {
        self.entry_row(&self.rows[index])
    }

    /// Returns how row `index` changed.
    #[inline]
    pub fn change(&self, index: usize) -> Change {
        self.rows[index].change
    }

    #[inline]
    fn entry_row(&self, entry: &RowEntry) -> Row<'_> {
        let value_at = entry.at + entry.key_bytes as usize;
        let key = &self.bytes[entry.at..value_at];
        let value = (entry.value_bytes_plus_one > 0)
            .then(|| &self.bytes[value_at..value_at + entry.value_bytes_plus_one as usize - 1]);
        Row { task: entry.task, key, value }
    }

    /// Iterates over the rows in their current order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // Sorted rows are scattered over the bytes.
        self.rows.iter().enumerate().map(|(index, entry)| {
            if let Some(ahead) = self.rows.get(index + LOOK_AHEAD_ROWS) {
                prefetch_index(&self.bytes, ahead.at);
            }
            self.entry_row(entry)
        })
    }

    /// Sorts the rows by task and key. Rows with the same key stay in the order in which they were pushed.
    pub fn sort(&mut self) {
        let key = |index: u128| self.entry_row(&self.rows[index as u32 as usize]).key;
        let rows = u32::try_from(self.rows.len()).expect("a batch holds fewer than 2^32 rows");
        let shared = shared_bytes(self.rows.iter().map(|entry| self.entry_row(entry).key));
        // One number per row: its task, eight bytes of its key after the shared prefix, and its index.
        let number = |(index, entry): (u32, &RowEntry)| {
            let eight = first_bytes(&self.entry_row(entry).key[shared..]);
            u128::from(entry.task) << 96 | u128::from(eight) << 32 | u128::from(index)
        };
        let mut order: Vec<u128> = (0..rows).zip(&self.rows).map(number).collect();
        order.sort_unstable();
        for same in order.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|same| same.len() > 1) {
            same.sort_by(|a, b| key(*a).cmp(key(*b)));
        }
        self.rows = order.into_iter().map(|index| self.rows[index as u32 as usize]).collect();
    }

    /// Sets the task of every row to `task_of` its key.
    pub fn set_tasks(&mut self, task_of: impl Fn(&[u8]) -> u32) {
        for entry in &mut self.rows {
            entry.task = task_of(&self.bytes[entry.at..entry.at + entry.key_bytes as usize]);
        }
    }

    /// Appends the rows of another batch, and how they changed.
    pub fn append(&mut self, other: &RowBatch) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.rows.extend(other.rows.iter().map(|entry| RowEntry { at: entry.at + shift, ..*entry }));
    }

    /// Removes the first four bytes of every key and makes them, big-endian, the task of the row.
    ///
    /// # Panics
    ///
    /// Panics if a key is shorter.
    pub fn split_tasks(&mut self) {
        for entry in &mut self.rows {
            let key = &self.bytes[entry.at..entry.at + entry.key_bytes as usize];
            entry.task = u32::from_be_bytes(*key.first_chunk().expect("a key begins with its task"));
            entry.at += size_of::<u32>();
            entry.key_bytes -= size_of::<u32>() as u32;
        }
    }

    /// Removes all rows, but keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_sort_as_their_tasks_and_keys_do(
            shared in "[ab]{0,12}",
            rows in prop::collection::vec((0..3u32, "[\\x00ab]{0,12}"), 0..60),
        ) {
            let mut batch = RowBatch::new();
            let mut expected: Vec<(u32, String, u8)> = Vec::new();
            for (number, (task, key)) in (0..).zip(rows) {
                let key = format!("{shared}{key}");
                batch.push(task, key.as_bytes(), Some(&[number]));
                expected.push((task, key, number));
            }
            batch.sort();
            expected.sort();
            let rows = batch.iter().map(|row| {
                (row.task, String::from_utf8(row.key.to_vec()).unwrap(), row.value.unwrap()[0])
            });
            prop_assert_eq!(rows.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn rows_sort_by_task_then_by_the_bytes_of_the_key() {
        let mut batch = RowBatch::new();
        for (task, key, value) in [
            (2, "a", Some("1")),
            (1, "longer-than-8-b", None),
            (1, "longer-than-8-a", Some("")),
            (1, "b", Some("x")),
            (1, "b\0", Some("y")),
            (1, "b", Some("z")),
        ] {
            batch.push(task, key.as_bytes(), value.map(str::as_bytes));
        }
        batch.sort();
        let rows: Vec<_> = batch
            .iter()
            .map(|row| {
                (row.task, std::str::from_utf8(row.key).unwrap(), row.value.map(|v| std::str::from_utf8(v).unwrap()))
            })
            .collect();
        assert_eq!(
            rows,
            [
                (1, "b", Some("x")),
                (1, "b", Some("z")),
                (1, "b\0", Some("y")),
                (1, "longer-than-8-a", Some("")),
                (1, "longer-than-8-b", None),
                (2, "a", Some("1"))
            ]
        );
    }
}
