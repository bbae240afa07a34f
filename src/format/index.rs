//! The index of a checkpoint: a row a segment, as a Parquet table.

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::format::segment::TableError;

/// What a segment holds of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// All rows.
    Base,
    /// Changed rows and tombstones, to be put on top of the segments before it.
    Delta,
}

/// One segment of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// The shard, from 0.
    pub shard: u32,
    /// Its place in the shard's chain: 0 is the base, higher ones go on top of lower ones.
    pub level: u32,
    /// The shard's first task.
    pub first_task: u32,
    /// The shard's last task.
    pub last_task: u32,
    /// The shard's cut: the segment with the highest level holds the state after all blocks before this one.
    pub cut: u64,
    /// Base or delta.
    pub kind: SegmentKind,
    /// The object.
    pub object: ObjectName,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its rows, tombstones included.
    pub rows: u64,
    /// Its tombstones.
    pub tombstones: u64,
    /// The smallest key in it by bytes, whatever the task.
    pub smallest_key: String,
    /// The largest key in it by bytes, whatever the task.
    pub largest_key: String,
}

impl IndexRow {
    /// Returns the object and its size.
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef { object: self.object, bytes: self.bytes }
    }
}

/// Returns the shard of `task`: shards are contiguous ranges of tasks whose sizes differ by at most one.
pub fn shard_of(task: u32, tasks: u32, shards: u32) -> u32 {
    (u64::from(task) * u64::from(shards) / u64::from(tasks)) as u32
}

/// Returns the first and the last task of `shard`.
pub fn tasks_of(shard: u32, tasks: u32, shards: u32) -> (u32, u32) {
    let first = |shard: u64| (shard * u64::from(tasks)).div_ceil(u64::from(shards)) as u32;
    (first(u64::from(shard)), first(u64::from(shard) + 1) - 1)
}

/// Returns the task that owns `key` in a job whose routing is by key: XXH3-64 of the key's bytes, modulo `tasks`, which is at least one.
pub fn task_of_key(key: &[u8], tasks: u32) -> u32 {
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(tasks)) as u32
}

/// Writes the table, sorted by shard and level.
pub fn encode(rows: &[IndexRow]) -> Vec<u8> {
    let _ = rows;
    todo!()
}

/// Reads a table that [`encode`] wrote.
///
/// Fails when it is no such table, when its rows are not sorted by shard and level, when a chain does not begin with a base at level 0 and go on with
/// deltas, or when two rows of a shard disagree about its tasks.
pub fn decode(bytes: bytes::Bytes) -> Result<Vec<IndexRow>, TableError> {
    let _ = bytes;
    todo!()
}
