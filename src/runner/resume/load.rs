//! Loads shards from their segments, several at a time.

use std::collections::HashMap;
use std::sync::Mutex;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::IndexRow;
use crate::format::manifest::{Manifest, Routing};
use crate::format::row_batch::RowBatch;
use crate::format::rows::{Row, RowCodec};
use crate::format::segment::SegmentReader;
use crate::format::segment::merge::Merge;
use crate::runner::error::{CheckpointError, RunError};
use crate::runner::state::shard::Shard;
use crate::shape::task_key::shard_key;
use crate::store::Store;
use crate::values::lock::lock;

/// What is left to load: the shards, and the bytes of their segments.
pub(super) struct Left<'a> {
    numbers: Mutex<(u64, u64)>,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl<'a> Left<'a> {
    /// Counts the shards with these chains.
    pub(super) fn of<'c>(
        chains: impl Iterator<Item = &'c [IndexRow]>,
        tell: &'a (dyn Fn(u64, u64) + Sync),
    ) -> Left<'a> {
        let (shards, bytes) =
            chains.fold((0, 0), |(shards, bytes), chain| (shards + 1, u64::saturating_add(bytes, size(chain))));
        tell(shards, bytes);
        Left { numbers: Mutex::new((shards, bytes)), tell }
    }

    /// Notes that a shard is loaded.
    pub(super) fn done(&self, chain: &[IndexRow]) {
        let mut numbers = lock(&self.numbers);
        *numbers = (numbers.0.saturating_sub(1), numbers.1.saturating_sub(size(chain)));
        (self.tell)(numbers.0, numbers.1);
    }
}

/// Returns the size of the segments, which may be anything in a forged index.
fn size(chain: &[IndexRow]) -> u64 {
    chain.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
}

/// Loads all shards on `threads` threads, in the order of their `ranks`.
pub(super) fn load_all<T: Send>(
    threads: usize,
    ranks: &[usize],
    chains: &[Vec<IndexRow>],
    load: impl Fn(&[IndexRow]) -> Result<T, RunError> + Sync,
) -> Result<Vec<T>, RunError> {
    let threads = threads.max(1);
    let mut shards: Vec<Option<Result<T, RunError>>> = chains.iter().map(|_| None).collect();
    let mut order: Vec<(usize, _)> = (0..).zip(shards.iter_mut().zip(chains)).collect();
    order.sort_by_key(|(shard, _)| ranks.get(*shard).copied());
    let mut lanes: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, (_, slot_and_chain)) in order.into_iter().enumerate() {
        lanes[i % threads].push(slot_and_chain);
    }
    std::thread::scope(|scope| {
        for lane in lanes {
            let load = &load;
            scope.spawn(move || {
                for (slot, chain) in lane {
                    *slot = Some(load(chain));
                }
            });
        }
    });
    shards.into_iter().map(|shard| shard.expect("every shard was loaded")).collect()
}

/// The number of rows that are added to a shard at once.
const PENDING_ROWS: usize = 256;

/// Loads one shard. `partitions` are the tasks of the partitions, for a job without a key.
pub(super) fn load(
    store: &Store,
    manifest: &Manifest,
    codec: &RowCodec,
    partitions: &HashMap<&[u8], u32>,
    chain: &[IndexRow],
) -> Result<Shard, RunError> {
    let mut shard = Shard::new(codec);
    let Some(base) = chain.first() else { return Ok(shard) };
    shard.set_stored();
    let mut sources = Vec::new();
    for segment in chain {
        let bytes = store.object(segment.object_ref())?;
        sources.push(SegmentReader::open(bytes, codec.columns()).map_err(RunError::table(segment.object))?);
    }
    let is_ours = |row: Row<'_>, hash: u64| {
        let routed = match manifest.routing {
            Routing::Partition => partitions.get(row.key) == Some(&row.task),
            Routing::Program | Routing::KeyedPartition => true,
            Routing::KeyHash => hash % u64::from(manifest.tasks) == u64::from(row.task),
        };
        routed && (base.first_task..=base.last_task).contains(&row.task)
    };
    let mut wrong = None;
    let mut pending = RowBatch::new();
    let mut hashes: Vec<u64> = Vec::with_capacity(PENDING_ROWS);
    let mut load_pending = |pending: &mut RowBatch, hashes: &mut Vec<u64>| {
        hashes.iter().for_each(|hash| shard.fetch_entry(*hash));
        // A merge returns each key once.
        let is_read = pending.iter().zip(&*hashes).all(|(row, &hash)| {
            let value = row.value.expect("only rows with a value are pending");
            shard.load_new(hash, row.key, value)
        });
        pending.clear();
        hashes.clear();
        is_read
    };
    let is_program = manifest.routing == Routing::Program;
    let merged = Merge::new(sources).for_each(|row| {
        let Some(packed) = row.value else { return true };
        let program_key = is_program.then(|| shard_key(row.task, row.key));
        let key = program_key.as_deref().unwrap_or(row.key);
        let hash = xxh3_64(key);
        if !is_ours(row, hash) {
            wrong = Some("a row is in a task that its key does not belong to");
            return false;
        }
        if manifest.key.as_ref().is_some_and(|shape| shape.split(row.key).is_none()) {
            wrong = Some("a key does not have the parts of the job's key");
            return false;
        }
        pending.push(row.task, key, Some(packed));
        hashes.push(hash);
        if hashes.len() == PENDING_ROWS && !load_pending(&mut pending, &mut hashes) {
            wrong = Some("a sketch cannot be read");
        }
        wrong.is_none()
    });
    if merged.is_ok() && wrong.is_none() && !load_pending(&mut pending, &mut hashes) {
        wrong = Some("a sketch cannot be read");
    }
    merged.map_err(RunError::table(base.object))?;
    match wrong {
        None => Ok(shard),
        Some(reason) => Err(CheckpointError::Inconsistent {
            sequence: manifest.sequence,
            reason: format!("shard {}: {reason}", base.shard),
        }
        .into()),
    }
}
