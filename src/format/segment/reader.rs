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

    fn next_keys(&mut self) -> Option<Result<KeyBatch, TableError>> {
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
