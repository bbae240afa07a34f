//! The positions of a checkpoint: a row a partition, as a Parquet table.

use crate::digest::Digest;
use crate::format::segment::TableError;

/// How far one partition has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// The partition's name: the path as the job file gives it, or `-` for standard input.
    pub partition: String,
    /// The partition's task, for a job without a key.
    pub task: Option<u32>,
    /// The cut that this position belongs to, a block number.
    pub cut: u64,
    /// Bytes applied, counted after decompression.
    pub offset: u64,
    /// Records applied, skipped ones included.
    pub record: u64,
    /// Whether the partition had been read to its end.
    pub ended: bool,
    /// The size of the file when the position was taken, in bytes as stored; nothing for standard input.
    pub file_bytes: Option<u64>,
    /// A digest of what lies before the position; `docs/format.md` says of which bytes.
    pub fingerprint: Digest,
}

/// Writes the table, sorted by partition and cut.
pub fn encode(rows: &[PositionRow]) -> Vec<u8> {
    let _ = rows;
    todo!()
}

/// Reads a table that [`encode`] wrote.
///
/// Fails when it is no such table or when its rows are not strictly sorted by partition and cut.
pub fn decode(bytes: bytes::Bytes) -> Result<Vec<PositionRow>, TableError> {
    let _ = bytes;
    todo!()
}
