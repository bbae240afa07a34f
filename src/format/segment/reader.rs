//! Reading a segment: whole, by its keys, or only the rows of some keys.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::format::error::TableError;
use crate::format::parquet::columns::{BatchRows, table_columns, task_and_key};
use crate::format::parquet::reader::TableReader;
use crate::format::row_batch::RowBatch;
use crate::format::rows::RowCodec;
use crate::format::segment::keys::KeyBatch;
use crate::values::value::Column;

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
    /// Fails if it has other columns. Memory is limited to the size of `bytes` and of one batch, whatever the file
    /// claims.
    pub fn open(bytes: Bytes, columns: &[Column]) -> Result<SegmentReader, TableError> {
        let table = TableReader::open(bytes, table_columns(columns))?;
        Ok(SegmentReader { table, codec: RowCodec::new(columns.to_vec()), last: None, failed: false })
    }

    /// Returns the number of rows that the file claims.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Skips what quickly turns out to have no row of `task`. Rows of other tasks may still come.
    ///
    /// What is skipped is not checked, and the statistics of the file decide: this is for looking at a task, not for
    /// proof.
    pub fn skip_to_task(mut self, task: u32) -> SegmentReader {
        self.table.retain_groups(|group| may_hold(group, task));
        self
    }

    /// Looks up `keys`, which ascend by task and key.
    ///
    /// Calls `visit` for each row that exists with the index of its key in `keys` and its packed value, or nothing for
    /// a tombstone.
    ///
    /// Of other rows only the task and key are decoded, or nothing where the statistics of the file rule out all keys.
    /// What is skipped is not checked: this is for looking at keys, not for proof.
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
                let place = places.borrow_mut().pop_front().expect("one index per chosen row");
                packed.clear();
                rows.pack(&self.codec, row, &mut packed);
                visit(place, (!rows.deleted.value(row)).then_some(packed.as_slice()));
            }
            Ok(())
        };
        self.table.select(2, choose, take)
    }

    /// Reads keys without values. The values are still decoded and checked.
    pub fn into_keys(self) -> KeyReader {
        KeyReader(self)
    }

    /// Returns the next rows as columns, after checking them.
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

    /// Returns what `take` makes of the next rows. After an error there are none.
    fn next_with<T>(&mut self, take: impl FnOnce(&RowCodec, &RecordBatch) -> T) -> Option<Result<T, TableError>> {
        if self.failed {
            return None;
        }
        let batch = self.next_checked().transpose()?;
        self.failed = batch.is_err();
        Some(batch.map(|batch| take(&self.codec, &batch)))
    }

    fn next_keys(&mut self) -> Option<Result<KeyBatch, TableError>> {
        self.next_with(|codec, batch| {
            let rows = BatchRows::new(batch);
            KeyBatch::new(rows.tasks.clone(), rows.keys.clone(), rows.deleted.clone())
                .with_bad_sketch(rows.has_bad_sketch(codec))
        })
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RowBatch, TableError>;

    /// Returns the next rows, at most 8,192. Fails if a row is not after the one before it, or if a value is not
    /// allowed.
    ///
    /// After an error there are no more.
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

/// Reads the keys of a segment in batches.
#[derive(Debug)]
pub struct KeyReader(SegmentReader);

impl Iterator for KeyReader {
    type Item = Result<KeyBatch, TableError>;

    /// Returns the next keys, at most 8,192. Fails as [`SegmentReader`] does.
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_keys()
    }
}

/// Returns whether `group` may have rows of `task`, by its statistics.
fn may_hold(group: &RowGroupMetaData, task: u32) -> bool {
    tasks_of(group).is_none_or(|tasks| tasks.contains(&task))
}

/// Returns whether `group` may have any of `keys`, which ascend, by its statistics.
fn may_hold_any(group: &RowGroupMetaData, keys: &[(u32, &[u8])]) -> bool {
    let Some(tasks) = tasks_of(group) else { return true };
    let from = keys.partition_point(|(task, _)| task < tasks.start());
    let mut in_tasks = keys[from..].iter().take_while(|(task, _)| task <= tasks.end());
    match group.columns().get(1).and_then(|column| column.statistics()) {
        // The bounds may be shorter than the keys, but they are still bounds.
        Some(Statistics::ByteArray(names)) => match (names.min_bytes_opt(), names.max_bytes_opt()) {
            (Some(smallest), Some(largest)) => in_tasks.any(|(_, key)| smallest <= *key && *key <= largest),
            _ => in_tasks.next().is_some(),
        },
        _ => in_tasks.next().is_some(),
    }
}

/// Returns the first and last task of `group` by its statistics.
fn tasks_of(group: &RowGroupMetaData) -> Option<RangeInclusive<u32>> {
    let Some(Statistics::Int32(tasks)) = group.columns().first()?.statistics() else { return None };
    // Parquet stores an unsigned integer as the signed one with the same bits.
    Some(*tasks.min_opt()? as u32..=*tasks.max_opt()? as u32)
}

fn out_of_order(row: u64) -> TableError {
    TableError::Row { row, reason: "is not after the row before it by task and key".to_owned() }
}
