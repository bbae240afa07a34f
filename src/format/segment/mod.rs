//! Segments: sorted, immutable Parquet tables of a shard's rows.

pub mod keys;
pub mod merge;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::format::parquet::columns::{BatchRows, PendingRows, table_columns, task_and_key};
use crate::format::parquet::table::{TableReader, TableWriter};
use crate::format::rows::{Row, RowBatch, RowCodec};
use crate::format::segment::keys::{KeyBatch, KeyReader};
use crate::values::id::Sequence;
use crate::values::value::Column;

/// The longest key and the longest text, JSON or sketch value, in bytes.
pub const MAX_VALUE_BYTES: usize = 32 << 20;

/// A Parquet table that is not what its place in a store asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It can not be read as Parquet, or claims sizes that its bytes can not hold.
    #[error("is no readable Parquet table: {reason}")]
    Unreadable {
        /// What the reader saw.
        reason: String,
    },
    /// It has other columns than it should.
    #[error("expected columns {expected}, found {found}")]
    Columns {
        /// Names and types, as SQL writes them.
        expected: String,
        /// The same of what is there.
        found: String,
    },
    /// A row is not what the format allows.
    #[error("row {row}: {reason}")]
    Row {
        /// The row, from 0.
        row: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a segment holds, gathered while it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentStats {
    /// Rows, tombstones included.
    pub rows: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// The smallest key by bytes.
    pub smallest_key: String,
    /// The largest key by bytes.
    pub largest_key: String,
}

/// Writes rows, given in ascending order of task and key, into one segment held in memory.
#[derive(Debug)]
pub struct SegmentWriter {
    codec: RowCodec,
    table: TableWriter,
    pending: PendingRows,
    stats: SegmentStats,
    /// The task and key of the last row; the key stands alone to spare an allocation a row.
    last_task: Option<u32>,
    last_key: Vec<u8>,
}

impl SegmentWriter {
    /// Starts a segment whose values have `columns`.
    pub fn new(columns: &[Column]) -> SegmentWriter {
        SegmentWriter::new_of(columns, None)
    }

    /// Starts a segment that belongs to one checkpoint alone, if `checkpoint` names it: it has other bytes than one of the same rows in another.
    pub fn new_of(columns: &[Column], checkpoint: Option<Sequence>) -> SegmentWriter {
        SegmentWriter {
            codec: RowCodec::new(columns.to_vec()),
            table: TableWriter::new_of(&table_columns(columns), 2, checkpoint),
            pending: PendingRows::new(columns),
            stats: SegmentStats::default(),
            last_task: None,
            last_key: Vec::new(),
        }
    }

    /// Appends a row; its value is packed by the [`crate::format::rows::RowCodec`] of the same columns.
    ///
    /// # Panics
    ///
    /// When the row is not after the one before it, its key is not UTF-8, or its key or a value is longer than [`MAX_VALUE_BYTES`].
    #[inline]
    pub fn push(&mut self, row: Row<'_>) {
        if self.last_task == Some(row.task) {
            assert!(self.last_key.as_slice() < row.key, "rows are pushed in ascending order");
        } else {
            assert!(self.last_task < Some(row.task), "rows are pushed in ascending order");
            self.begin_task(row);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(row.key);
        self.stats.rows += 1;
        self.stats.tombstones += u64::from(row.value.is_none());
        self.pending.push(&self.codec, row);
        if self.pending.is_full() {
            self.table.write(self.pending.take());
        }
    }

    /// Returns the bytes of the Parquet file, the same for the same rows, and what it holds.
    pub fn finish(mut self) -> (Vec<u8>, SegmentStats) {
        self.end_task();
        if !self.pending.is_empty() {
            self.table.write(self.pending.take());
        }
        (self.table.finish(), self.stats)
    }

    /// Within a task keys ascend, so its first row alone can have the smallest key.
    fn begin_task(&mut self, row: Row<'_>) {
        if self.last_task.is_none() || row.key < self.stats.smallest_key.as_bytes() {
            self.stats.smallest_key = utf8(row.key);
        }
        self.end_task();
        self.last_task = Some(row.task);
    }

    /// And its last row alone the largest.
    fn end_task(&mut self) {
        if self.last_key.as_slice() > self.stats.largest_key.as_bytes() {
            self.stats.largest_key = utf8(&self.last_key);
        }
    }
}

fn utf8(key: &[u8]) -> String {
    std::str::from_utf8(key).expect("keys are UTF-8").to_owned()
}

/// Reads a segment in batches.
#[derive(Debug)]
pub struct SegmentReader {
    table: TableReader,
    codec: RowCodec,
    /// The task and key of the last row.
    last: Option<(u32, String)>,
    failed: bool,
}

impl SegmentReader {
    /// Opens a segment whose values have `columns`.
    ///
    /// Fails when its columns are others. Memory is bounded by the size of `bytes` and of one batch, whatever the file claims.
    pub fn open(bytes: Bytes, columns: &[Column]) -> Result<SegmentReader, TableError> {
        let table = TableReader::open(bytes, table_columns(columns))?;
        Ok(SegmentReader { table, codec: RowCodec::new(columns.to_vec()), last: None, failed: false })
    }

    /// Returns how many rows the file says that it has.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Returns the number of the checkpoint that the segment belongs to alone, as the file says it.
    pub fn owner(&self) -> Option<&str> {
        self.table.owner()
    }

    /// Leaves out what is quickly seen to hold no row of `task`; rows of other tasks may still come.
    ///
    /// What is left out is not checked, and is told by the file's own statistics: for looking at a task, not for proving anything.
    pub fn skip_to_task(mut self, task: u32) -> SegmentReader {
        self.table.retain_groups(|group| may_hold(group, task));
        self
    }

    /// Looks `keys` up, which ascend by task and key, and hands each row that is there to `visit`: the place of its key in `keys`, and its packed
    /// value, nothing for a tombstone.
    ///
    /// Of all other rows only the task and the key are decoded, or nothing where the file's own statistics leave no room for any of the keys. What is
    /// passed over is not checked: for looking at keys, not for proving anything.
    pub fn find(
        mut self,
        keys: &[(u32, &[u8])],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), TableError> {
        self.table.retain_groups(|group| may_hold_any(group, keys));
        let places = RefCell::new(VecDeque::new());
        let mut next = 0;
        let mut last: Option<(u32, String)> = None;
        let choose = |first_row: u64, batch: &RecordBatch, chosen: &mut Vec<usize>| {
            let (tasks, names) = task_and_key(batch);
            let mut before = last.as_ref().map(|(task, key)| (*task, key.as_bytes()));
            for row in 0..batch.num_rows() {
                let here = (tasks.value(row), names.value(row).as_bytes());
                if before >= Some(here) {
                    return Err(out_of_order(first_row + row as u64));
                }
                before = Some(here);
                while keys.get(next).is_some_and(|key| *key < here) {
                    next += 1;
                }
                if keys.get(next) == Some(&here) {
                    chosen.push(row);
                    places.borrow_mut().push_back(next);
                }
            }
            last = before.map(|(task, key)| (task, String::from_utf8_lossy(key).into_owned()));
            Ok(())
        };
        let mut packed = Vec::new();
        let take = |numbers: &[u64], batch: &RecordBatch| {
            let rows = BatchRows::new(batch);
            rows.check(0).map_err(|error| match error {
                TableError::Row { row, reason } => TableError::Row { row: numbers[row as usize], reason },
                other => other,
            })?;
            for row in 0..batch.num_rows() {
                let place = places.borrow_mut().pop_front().expect("a place for each row that was chosen");
                packed.clear();
                rows.pack(&self.codec, row, &mut packed);
                visit(place, (!rows.deleted.value(row)).then_some(packed.as_slice()));
            }
            Ok(())
        };
        self.table.select(2, choose, take)
    }

    /// Leaves the values out of what is read; they are checked all the same.
    pub fn into_keys(self) -> KeyReader {
        KeyReader(self)
    }

    /// Returns the next rows as columns, checked.
    fn next_checked(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let Some((first_row, batch)) = self.table.next_batch()? else { return Ok(None) };
        let rows = BatchRows::new(&batch);
        rows.check(first_row)?;
        let mut last = self.last.as_ref().map(|(task, key)| (*task, key.as_bytes()));
        for row in 0..batch.num_rows() {
            let here = (rows.tasks.value(row), rows.keys.value(row).as_bytes());
            if last >= Some(here) {
                return Err(out_of_order(first_row + row as u64));
            }
            last = Some(here);
        }
        let end = batch.num_rows() - 1;
        self.last = Some((rows.tasks.value(end), rows.keys.value(end).to_owned()));
        Ok(Some(batch))
    }

    /// Returns what `take` makes of the next rows; after an error there is nothing more.
    fn next_with<T>(&mut self, take: impl FnOnce(&RowCodec, &RecordBatch) -> T) -> Option<Result<T, TableError>> {
        if self.failed {
            return None;
        }
        let batch = self.next_checked().transpose()?;
        self.failed = batch.is_err();
        Some(batch.map(|batch| take(&self.codec, &batch)))
    }

    pub(crate) fn next_keys(&mut self) -> Option<Result<KeyBatch, TableError>> {
        self.next_with(|_, batch| {
            let rows = BatchRows::new(batch);
            KeyBatch::new(rows.tasks.clone(), rows.keys.clone(), rows.deleted.clone())
        })
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RowBatch, TableError>;

    /// Returns the next rows, at most 8,192. Fails when a row is not after the one before it, a key is missing, or a value is not packable.
    ///
    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(|codec, batch| {
            let rows = BatchRows::new(batch);
            let mut packed = RowBatch::new();
            for row in 0..batch.num_rows() {
                let (task, key) = (rows.tasks.value(row), rows.keys.value(row).as_bytes());
                packed.push_with(task, key, !rows.deleted.value(row), |bytes| rows.pack(codec, row, bytes));
            }
            packed
        })
    }
}

/// Tells whether the statistics of `group` leave room for rows of `task`.
fn may_hold(group: &RowGroupMetaData, task: u32) -> bool {
    tasks_of(group).is_none_or(|tasks| tasks.contains(&task))
}

/// Tells the same of any of `keys`, which ascend.
fn may_hold_any(group: &RowGroupMetaData, keys: &[(u32, &[u8])]) -> bool {
    let Some(tasks) = tasks_of(group) else { return true };
    let from = keys.partition_point(|(task, _)| task < tasks.start());
    let mut in_tasks = keys[from..].iter().take_while(|(task, _)| task <= tasks.end());
    match group.columns().get(1).and_then(|column| column.statistics()) {
        // The bounds may be shorter than the keys, and are bounds all the same.
        Some(Statistics::ByteArray(names)) => match (names.min_bytes_opt(), names.max_bytes_opt()) {
            (Some(smallest), Some(largest)) => in_tasks.any(|(_, key)| smallest <= *key && *key <= largest),
            _ => in_tasks.next().is_some(),
        },
        _ => in_tasks.next().is_some(),
    }
}

/// Returns the tasks that `group` has rows of by its statistics, the first and the last.
fn tasks_of(group: &RowGroupMetaData) -> Option<RangeInclusive<u32>> {
    let Some(Statistics::Int32(tasks)) = group.columns().first()?.statistics() else { return None };
    // Parquet keeps an unsigned integer in a signed one of the same bits.
    Some(*tasks.min_opt()? as u32..=*tasks.max_opt()? as u32)
}

fn out_of_order(row: u64) -> TableError {
    TableError::Row { row, reason: "is not after the row before it by task and key".to_owned() }
}

#[cfg(test)]
mod tests;
