//! Merging a chain of segments into one sorted stream of rows.

use std::cmp::Ordering;

use crate::format::error::TableError;
use crate::format::row_batch::RowBatch;
use crate::format::rows::Row;

/// Rows in ascending order of task and key.
pub trait SortedRows: Default {
    fn row_count(&self) -> usize;

    fn row_at(&self, index: usize) -> Row<'_>;
}

impl SortedRows for RowBatch {
    #[inline]
    fn row_count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn row_at(&self, index: usize) -> Row<'_> {
        self.row(index)
    }
}

/// Merges sorted streams. If several have a key, the newest one wins.
///
/// Memory holds one batch per source.
pub struct Merge<S> {
    sources: Vec<S>,
}

impl<S: Iterator<Item = Result<RowBatch, TableError>>> Merge<S> {
    /// Takes `sources` from the oldest to the newest.
    pub fn new(sources: Vec<S>) -> Merge<S> {
        Merge { sources }
    }

    /// Hands every merged row, tombstones included, to `visit` in ascending order of task and key, until `visit`
    /// returns false.
    ///
    /// Stops at the first error of a source. The rows of a single source are passed on as they are.
    pub fn for_each(mut self, mut visit: impl FnMut(Row<'_>) -> bool) -> Result<(), TableError> {
        if self.sources.len() == 1 {
            for batch in self.sources.remove(0) {
                if !batch?.iter().all(&mut visit) {
                    break;
                }
            }
            return Ok(());
        }
        let mut cursor = Cursor::new(self.sources)?;
        while let Some(row) = cursor.row() {
            if !visit(row) {
                break;
            }
            cursor.advance()?;
        }
        Ok(())
    }
}

/// Steps through merged rows one by one, for walking several merges in parallel.
pub struct Cursor<S, B = RowBatch> {
    heap: Heap<S, B>,
}

impl<B: SortedRows, S: Iterator<Item = Result<B, TableError>>> Cursor<S, B> {
    /// Takes `sources` from the oldest to the newest, and starts at the first row.
    pub fn new(sources: Vec<S>) -> Result<Cursor<S, B>, TableError> {
        let mut cursor = Cursor { heap: Heap::new(sources)? };
        cursor.pass_older()?;
        Ok(cursor)
    }

    /// Returns the current row, which may be a tombstone, or nothing at the end.
    pub fn row(&self) -> Option<Row<'_>> {
        self.heap.entries.first().map(|entry| self.heap.row(entry))
    }

    /// Moves to the next row, if there is one.
    pub fn advance(&mut self) -> Result<(), TableError> {
        if !self.heap.entries.is_empty() {
            self.heap.advance(0)?;
        }
        self.pass_older()
    }

    /// Skips the rows that have the key of the first entry and are older.
    fn pass_older(&mut self) -> Result<(), TableError> {
        while let Some(second) = self.heap.same_key_as_first() {
            self.heap.advance(second)?;
        }
        Ok(())
    }
}

/// Steps through keys one by one, and reports the rows of each.
pub struct Versions<S, B = RowBatch> {
    heap: Heap<S, B>,
}

impl<B: SortedRows, S: Iterator<Item = Result<B, TableError>>> Versions<S, B> {
    /// Takes `sources` from the oldest to the newest, and starts at the first key.
    pub fn new(sources: Vec<S>) -> Result<Versions<S, B>, TableError> {
        Ok(Versions { heap: Heap::new(sources)? })
    }

    /// Returns the newest row of the current key, or nothing at the end.
    pub fn row(&self) -> Option<Row<'_>> {
        self.heap.entries.first().map(|entry| self.heap.row(entry))
    }

    /// Moves to the next key. Before, calls `report` for each row of the current one, newest first, with its source and
    /// whether it has a value.
    pub fn advance(&mut self, mut report: impl FnMut(usize, bool)) -> Result<(), TableError> {
        let Some(first) = self.heap.entries.first() else { return Ok(()) };
        report(first.source, self.heap.row(first).value.is_some());
        while let Some(second) = self.heap.same_key_as_first() {
            let entry = self.heap.entries[second];
            report(entry.source, self.heap.row(&entry).value.is_some());
            self.heap.advance(second)?;
        }
        self.heap.advance(0)
    }
}

/// The sources that have rows left, as a binary heap: the entry at `at` comes before its children at `2 * at + 1` and
/// `2 * at + 2`.
struct Heap<S, B> {
    entries: Vec<HeapEntry>,
    /// From the oldest to the newest.
    heads: Vec<Head<S, B>>,
}

/// A source in the heap.
#[derive(Clone, Copy)]
struct HeapEntry {
    /// The task and the first twelve bytes of the key, which nearly always decide the order.
    prefix: u128,
    source: usize,
}

/// A source and its current row.
struct Head<S, B> {
    source: S,
    batch: B,
    at: usize,
}

impl<B: SortedRows, S: Iterator<Item = Result<B, TableError>>> Heap<S, B> {
    fn new(sources: Vec<S>) -> Result<Heap<S, B>, TableError> {
        let heads = sources.into_iter().map(|source| Head { source, batch: B::default(), at: 0 }).collect();
        let mut heap = Heap { entries: Vec::new(), heads };
        for source in 0..heap.heads.len() {
            if heap.heads[source].fill()? {
                let prefix = prefix(heap.heads[source].batch.row_at(0));
                heap.entries.push(HeapEntry { prefix, source });
            }
        }
        for at in (0..heap.entries.len() / 2).rev() {
            heap.sift_down(at);
        }
        Ok(heap)
    }

    fn row(&self, entry: &HeapEntry) -> Row<'_> {
        let head = &self.heads[entry.source];
        head.batch.row_at(head.at)
    }

    fn compare_keys(&self, a: &HeapEntry, b: &HeapEntry) -> Ordering {
        a.prefix.cmp(&b.prefix).then_with(|| self.row(a).key.cmp(self.row(b).key))
    }

    /// Returns whether `a` comes before `b`. Of two rows with the same key the newer one comes first.
    fn is_before(&self, a: &HeapEntry, b: &HeapEntry) -> bool {
        match self.compare_keys(a, b) {
            Ordering::Less => true,
            Ordering::Equal => a.source > b.source,
            Ordering::Greater => false,
        }
    }

    /// Returns the index of the second entry if it has the key of the first, which is newer.
    fn same_key_as_first(&self) -> Option<usize> {
        let second = self.first_child(0)?;
        (self.compare_keys(&self.entries[0], &self.entries[second]) == Ordering::Equal).then_some(second)
    }

    /// Moves the source of the entry at `at` to its next row, and restores the order.
    fn advance(&mut self, at: usize) -> Result<(), TableError> {
        let source = self.entries[at].source;
        let head = &mut self.heads[source];
        head.at += 1;
        if head.at < head.batch.row_count() || head.fill()? {
            self.entries[at].prefix = prefix(head.batch.row_at(head.at));
            self.sift_down(at);
        } else {
            self.entries.swap_remove(at);
            // The entry from the end also comes after the parent of `at`, which is the first entry or below it.
            self.sift_down(at);
        }
        Ok(())
    }

    fn sift_down(&mut self, mut at: usize) {
        while let Some(child) = self.first_child(at) {
            if !self.is_before(&self.entries[child], &self.entries[at]) {
                return;
            }
            self.entries.swap(at, child);
            at = child;
        }
    }

    /// Returns the child of `at` that comes first.
    fn first_child(&self, at: usize) -> Option<usize> {
        let left = 2 * at + 1;
        let left_entry = self.entries.get(left)?;
        match self.entries.get(left + 1) {
            Some(right_entry) if self.is_before(right_entry, left_entry) => Some(left + 1),
            _ => Some(left),
        }
    }
}

impl<B: SortedRows, S: Iterator<Item = Result<B, TableError>>> Head<S, B> {
    /// Takes the next batch that has rows, and returns whether there is one.
    fn fill(&mut self) -> Result<bool, TableError> {
        self.at = 0;
        loop {
            match self.source.next() {
                None => return Ok(false),
                Some(batch) => self.batch = batch?,
            }
            if self.batch.row_count() > 0 {
                return Ok(true);
            }
        }
    }
}

/// Returns a number that sorts as task and key do, except for ties.
fn prefix(row: Row<'_>) -> u128 {
    let mut twelve = [0u8; 16];
    let length = row.key.len().min(12);
    twelve[4..4 + length].copy_from_slice(&row.key[..length]);
    u128::from(row.task) << 96 | u128::from_be_bytes(twelve)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Rows = Vec<(u32, String, Option<Vec<u8>>)>;
    type Model = BTreeMap<(u32, String), Option<Vec<u8>>>;
    type Batches = Vec<Result<RowBatch, TableError>>;

    /// Cuts sorted rows into batches of `size`, an empty one after each.
    fn batches(rows: &Model, size: usize) -> Batches {
        let rows: Vec<_> = rows.iter().collect();
        let mut batches = Batches::new();
        for rows in rows.chunks(size) {
            let mut batch = RowBatch::new();
            rows.iter().for_each(|((task, key), value)| batch.push(*task, key.as_bytes(), value.as_deref()));
            batches.extend([Ok(batch), Ok(RowBatch::new())]);
        }
        batches
    }

    fn merged(sources: Vec<Batches>) -> Result<Rows, TableError> {
        let mut rows = Vec::new();
        Merge::new(sources.into_iter().map(Vec::into_iter).collect()).for_each(|row| {
            let key = String::from_utf8(row.key.to_vec()).unwrap();
            rows.push((row.task, key, row.value.map(<[u8]>::to_vec)));
            true
        })?;
        Ok(rows)
    }

    proptest! {
        #[test]
        fn a_merge_equals_laying_the_sources_over_each_other(
            sources in prop::collection::vec(
                prop::collection::btree_map(
                    (0u32..3, "[ab\0]{0,3}|common-prefix-[ab]{0,3}"),
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..3)),
                    0..30,
                ),
                0..20,
            ),
            size in 1usize..8,
        ) {
            let mut model = Model::new();
            for source in &sources {
                model.extend(source.clone());
            }
            let expected: Rows = model.into_iter().map(|((task, key), value)| (task, key, value)).collect();
            let sources = sources.iter().map(|source| batches(source, size)).collect();
            prop_assert_eq!(merged(sources).unwrap(), expected);
        }
    }

    #[test]
    fn an_error_of_any_source_ends_the_merge() {
        let good = || batches(&BTreeMap::from([((0, "a".to_owned()), None), ((1, "b".to_owned()), None)]), 1);
        let error = TableError::Row { row: 1, reason: "is bad".to_owned() };
        let mut bad = good();
        bad[2] = Err(error.clone());
        assert_eq!(merged(vec![bad.clone()]), Err(error.clone()));
        assert_eq!(merged(vec![good(), bad.clone()]), Err(error.clone()));
        assert_eq!(merged(vec![bad, good()]), Err(error));
    }

    #[test]
    fn a_merge_stops_when_asked() {
        let rows = BTreeMap::from([((0, "a".to_owned()), None), ((0, "b".to_owned()), None)]);
        for sources in [vec![batches(&rows, 2)], vec![batches(&rows, 2), batches(&rows, 1)]] {
            let mut visited = 0;
            let merge = Merge::new(sources.into_iter().map(Vec::into_iter).collect());
            merge
                .for_each(|_| {
                    visited += 1;
                    false
                })
                .unwrap();
            assert_eq!(visited, 1);
        }
    }
}
