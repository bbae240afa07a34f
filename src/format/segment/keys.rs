//! The keys of segments without their values, and how many of a chain's keys are live.

use std::ops::Range;

use arrow_array::{BooleanArray, StringArray, UInt32Array};

use crate::format::error::TableError;
use crate::format::rows::Row;
use crate::format::segment::merge::{SortedRows, Versions};

/// The tasks and keys of some rows, and which rows are tombstones.
#[derive(Debug, Clone)]
pub struct KeyBatch {
    tasks: UInt32Array,
    keys: StringArray,
    deleted: BooleanArray,
    has_bad_sketch: bool,
}

impl Default for KeyBatch {
    fn default() -> KeyBatch {
        KeyBatch::new(Vec::<u32>::new().into(), Vec::<&str>::new().into(), Vec::<bool>::new().into())
    }
}

impl KeyBatch {
    pub(crate) fn new(tasks: UInt32Array, keys: StringArray, deleted: BooleanArray) -> KeyBatch {
        KeyBatch { tasks, keys, deleted, has_bad_sketch: false }
    }

    pub(crate) fn with_bad_sketch(self, has_bad_sketch: bool) -> KeyBatch {
        KeyBatch { has_bad_sketch, ..self }
    }

    /// Returns whether the value of a row has a sketch that cannot be read, or an estimate that is not that of its
    /// sketch.
    pub fn has_bad_sketch(&self) -> bool {
        self.has_bad_sketch
    }

    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn tombstones(&self) -> usize {
        self.deleted.true_count()
    }

    #[inline]
    pub fn key(&self, index: usize) -> &[u8] {
        self.keys.value(index).as_bytes()
    }

    /// Returns each task with its rows, in order.
    pub fn runs(&self) -> impl Iterator<Item = (u32, Range<usize>)> {
        let mut end = 0;
        self.tasks.values().chunk_by(|a, b| a == b).map(move |run| {
            let start = end;
            end += run.len();
            (run[0], start..end)
        })
    }

    #[inline]
    fn sort_key(&self, index: usize) -> (u32, &[u8]) {
        (self.tasks.value(index), self.key(index))
    }
}

impl SortedRows for KeyBatch {
    #[inline]
    fn row_count(&self) -> usize {
        self.len()
    }

    /// A row that is not a tombstone has an empty value.
    #[inline]
    fn row_at(&self, index: usize) -> Row<'_> {
        let (task, key) = self.sort_key(index);
        Row { task, key, value: (!self.deleted.value(index)).then_some(&[]) }
    }
}

/// Counts the live keys of a chain: `base` has the keys of the oldest segment, `deltas` those of the others, oldest
/// first.
///
/// Returns the count for the base alone, for the base and the first delta, and so on. Reads all of them to the end.
pub fn count_live<S>(base: S, deltas: Vec<S>) -> Result<Vec<u64>, TableError>
where
    S: Iterator<Item = Result<KeyBatch, TableError>>,
{
    let mut base = Seeker::new(base)?;
    // How many more keys are live at a level than at the level before.
    let mut steps = vec![0i64; deltas.len()];
    let mut deltas = Versions::new(deltas)?;
    let mut versions = Vec::new();
    while let Some(row) = deltas.row() {
        let mut is_live = base.seek((row.task, row.key))?;
        versions.clear();
        deltas.advance(|delta, is_live| versions.push((delta, is_live)))?;
        for &(delta, comes_alive) in versions.iter().rev() {
            steps[delta] += i64::from(comes_alive) - i64::from(is_live);
            is_live = comes_alive;
        }
    }
    while base.next_batch()? {}
    let mut counts = vec![base.live];
    for step in steps {
        counts.push(counts[counts.len() - 1].saturating_add_signed(step));
    }
    Ok(counts)
}

/// Searches the keys of a segment in ascending order, skipping any number of them.
struct Seeker<S> {
    source: S,
    batch: KeyBatch,
    at: usize,
    /// Keys in the batches so far that are not tombstones.
    live: u64,
}

impl<S: Iterator<Item = Result<KeyBatch, TableError>>> Seeker<S> {
    fn new(source: S) -> Result<Seeker<S>, TableError> {
        let mut seeker = Seeker { source, batch: KeyBatch::default(), at: 0, live: 0 };
        seeker.next_batch()?;
        Ok(seeker)
    }

    fn next_batch(&mut self) -> Result<bool, TableError> {
        let Some(batch) = self.source.next().transpose()? else {
            self.at = self.batch.len();
            return Ok(false);
        };
        self.live += (batch.len() - batch.tombstones()) as u64;
        self.batch = batch;
        self.at = 0;
        Ok(true)
    }

    /// Moves to the first row that is not before `wanted`, and returns whether it is that one and not a tombstone.
    fn seek(&mut self, wanted: (u32, &[u8])) -> Result<bool, TableError> {
        while self.batch.is_empty() || self.batch.sort_key(self.batch.len() - 1) < wanted {
            if !self.next_batch()? {
                return Ok(false);
            }
        }
        // In steps that double, then by halves: near keys are found quickly, and far ones too.
        let (mut before, mut step) = (self.at, 1);
        while self.batch.sort_key((before + step).min(self.batch.len() - 1)) < wanted {
            before += step;
            step *= 2;
        }
        let (mut low, mut high) = (before, (before + step).min(self.batch.len() - 1));
        while low < high {
            let middle = low.midpoint(high);
            if self.batch.sort_key(middle) < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.at = low;
        Ok(self.batch.sort_key(low) == wanted && !self.batch.deleted.value(low))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys by task, and whether each is live.
    type Keys = BTreeMap<(u32, String), bool>;

    fn batches(keys: &Keys, size: usize) -> std::vec::IntoIter<Result<KeyBatch, TableError>> {
        let rows: Vec<_> = keys.iter().collect();
        let batch = |rows: &[(&(u32, String), &bool)]| {
            Ok(KeyBatch::new(
                rows.iter().map(|((task, _), _)| *task).collect::<Vec<_>>().into(),
                rows.iter().map(|((_, key), _)| key.as_str()).collect::<Vec<_>>().into(),
                rows.iter().map(|(_, is_live)| !**is_live).collect::<Vec<_>>().into(),
            ))
        };
        rows.chunks(size).map(batch).collect::<Vec<_>>().into_iter()
    }

    fn any_keys(most: usize) -> impl Strategy<Value = Keys> {
        prop::collection::btree_map((0u32..3, "[a-d]{0,4}"), any::<bool>(), 0..most)
    }

    proptest! {
        #[test]
        fn as_many_keys_are_live_as_when_the_segments_are_laid_over_each_other(
            base in any_keys(200),
            deltas in prop::collection::vec(any_keys(40), 0..5),
            size in 1usize..50,
        ) {
            let mut model = Keys::new();
            let expected: Vec<u64> = [&base]
                .into_iter()
                .chain(&deltas)
                .map(|level| {
                    model.extend(level.clone());
                    model.values().filter(|is_live| **is_live).count() as u64
                })
                .collect();
            let deltas = deltas.iter().map(|delta| batches(delta, size)).collect();
            prop_assert_eq!(count_live(batches(&base, size), deltas), Ok(expected));
        }
    }

    #[test]
    fn an_error_of_any_segment_is_found_wherever_it_is() {
        let keys: Keys = (0..10).map(|n| ((0, format!("{n}")), true)).collect();
        let error = TableError::Row { row: 9, reason: "is bad".to_owned() };
        let bad = || batches(&keys, 3).chain([Err(error.clone())]).collect::<Vec<_>>().into_iter();
        let first: Keys = keys.clone().into_iter().take(1).collect();
        assert_eq!(count_live(bad(), Vec::new()), Err(error.clone()));
        assert_eq!(count_live(bad(), vec![batches(&first, 3)]), Err(error.clone()));
        assert_eq!(count_live(batches(&first, 3), vec![bad()]), Err(error));
    }

    #[test]
    fn runs_are_of_one_task_each() {
        let batch = KeyBatch::new(vec![1, 1, 4].into(), vec!["a", "b", "a"].into(), vec![false; 3].into());
        assert_eq!(batch.runs().collect::<Vec<_>>(), [(1, 0..2), (4, 2..3)]);
        assert_eq!(KeyBatch::default().runs().count(), 0);
    }
}
