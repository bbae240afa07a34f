//! Segments: sorted, immutable Parquet tables of a shard's rows.

use bytes::Bytes;

use crate::format::rows::{Row, RowBatch};
use crate::value::Column;

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
pub struct SegmentWriter;

impl SegmentWriter {
    /// Starts a segment whose values have `columns`.
    pub fn new(columns: &[Column]) -> SegmentWriter {
        let _ = columns;
        todo!()
    }

    /// Appends a row; its value is packed by the [`crate::format::rows::RowCodec`] of the same columns.
    ///
    /// # Panics
    ///
    /// When the row is not after the one before it.
    pub fn push(&mut self, row: Row<'_>) {
        let _ = row;
        todo!()
    }

    /// Returns the bytes of the Parquet file, the same for the same rows, and what it holds.
    pub fn finish(self) -> (Vec<u8>, SegmentStats) {
        todo!()
    }
}

/// Reads a segment in batches.
#[derive(Debug)]
pub struct SegmentReader;

impl SegmentReader {
    /// Opens a segment whose values have `columns`.
    ///
    /// Fails when its columns are others. Memory is bounded by the size of `bytes` and of one batch, whatever the file claims.
    pub fn open(bytes: Bytes, columns: &[Column]) -> Result<SegmentReader, TableError> {
        let _ = (bytes, columns);
        todo!()
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RowBatch, TableError>;

    /// Returns the next rows, at most 8,192. Fails when a row is not after the one before it, a key is missing, or a value is not packable.
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
