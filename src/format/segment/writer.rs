//! Writing a segment.

use crate::format::owner::Owner;
use crate::format::parquet::columns::{PendingRows, table_columns};
use crate::format::parquet::writer::TableWriter;
use crate::format::rows::{Row, RowCodec};
use crate::values::value::Column;

/// What a segment contains, collected while it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentStats {
    /// Tombstones included.
    pub rows: u64,
    pub tombstones: u64,
    /// By bytes, of all tasks.
    pub smallest_key: String,
    /// By bytes, of all tasks.
    pub largest_key: String,
}

/// Writes rows, which must come in ascending order of task and key, into one segment in memory.
#[derive(Debug)]
pub struct SegmentWriter {
    pub(super) codec: RowCodec,
    pub(super) table: TableWriter,
    pending: PendingRows,
    stats: SegmentStats,
    /// The task of the last row. Its key is separate, so that it needs no allocation per row.
    last_task: Option<u32>,
    last_key: Vec<u8>,
}

impl SegmentWriter {
    /// Starts a segment whose values have `columns`.
    pub fn new(columns: &[Column]) -> SegmentWriter {
        SegmentWriter::new_of(columns, &Owner::default())
    }

    /// Does the same for a segment of `owner`.
    pub fn new_of(columns: &[Column], owner: &Owner) -> SegmentWriter {
        SegmentWriter {
            codec: RowCodec::new(columns.to_vec()),
            table: TableWriter::new_of(&table_columns(columns), 2, owner),
            pending: PendingRows::new(columns),
            stats: SegmentStats::default(),
            last_task: None,
            last_key: Vec::new(),
        }
    }

    /// Appends a row, whose value is packed by the [`RowCodec`] of the same columns.
    ///
    /// # Panics
    ///
    /// Panics if the row is not after the one before it, if its key is not UTF-8, or if its key or a value is longer
    /// than [`MAX_VALUE_BYTES`](crate::format::limits::MAX_VALUE_BYTES).
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

    /// Returns the Parquet file and what it contains. Equal rows give equal bytes.
    pub fn finish(mut self) -> (Vec<u8>, SegmentStats) {
        self.end_task();
        if !self.pending.is_empty() {
            self.table.write(self.pending.take());
        }
        (self.table.finish(), self.stats)
    }

    /// Within a task keys ascend, so only its first row can have the smallest key.
    fn begin_task(&mut self, row: Row<'_>) {
        if self.last_task.is_none() || row.key < self.stats.smallest_key.as_bytes() {
            self.stats.smallest_key = utf8(row.key);
        }
        self.end_task();
        self.last_task = Some(row.task);
    }

    /// And only its last row can have the largest key.
    fn end_task(&mut self) {
        if self.last_key.as_slice() > self.stats.largest_key.as_bytes() {
            self.stats.largest_key = utf8(&self.last_key);
        }
    }
}

fn utf8(key: &[u8]) -> String {
    std::str::from_utf8(key).expect("keys are UTF-8").to_owned()
}
