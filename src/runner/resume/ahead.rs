//! Loads what a worker was given while it still works on what it had.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::index;
use crate::format::index::IndexRow;
use crate::format::rows::RowCodec;
use crate::runner::error::RunError;
use crate::runner::resumable::chains;
use crate::runner::resume::load::{Left, load, load_all};
use crate::runner::state::kept::KeptShards;
use crate::store::Store;

/// How shards are loaded ahead.
#[derive(Clone, Copy)]
pub struct Ahead<'a> {
    /// Those that are wanted.
    pub shards: &'a BTreeSet<u32>,
    /// How many are read at a time.
    pub threads: usize,
    /// Is told how many shards, and how many bytes of segments, are left to read.
    pub left: &'a (dyn Fn(u64, u64) + Sync),
    /// Once it is set, no other shard is begun.
    pub stop: &'a AtomicBool,
}

/// Loads shards of the latest checkpoint into `kept`, and verifies every byte that it reads.
///
/// What is loaded counts only if the checkpoint that the worker resumes from later has the same segments. So it does no harm
/// if others commit or prune meanwhile.
pub fn load_ahead(store: &Store, ahead: Ahead<'_>, kept: &KeptShards) -> Result<(), RunError> {
    let Some(committed) = store.latest()? else { return Ok(()) };
    let manifest = &committed.manifest;
    let rows = store.object(manifest.tables.index)?;
    let rows = index::decode(rows).map_err(RunError::table(manifest.tables.index.object))?;
    let is_wanted = |chain: &Vec<IndexRow>| chain.first().is_some_and(|base| ahead.shards.contains(&base.shard));
    let wanted: Vec<Vec<IndexRow>> = chains(manifest, rows)?.into_iter().filter(is_wanted).collect();
    let (codec, partitions) = (RowCodec::new(manifest.columns.clone()), HashMap::new());
    let to_load = Left::of(wanted.iter().map(Vec::as_slice), ahead.left);
    let loaded = load_all(ahead.threads, &[], &wanted, |chain| {
        let Some(base) = chain.first().filter(|_| !ahead.stop.load(Ordering::Relaxed)) else { return Ok(()) };
        kept.keep(base.shard, chain, load(store, manifest, &codec, &partitions, chain)?);
        to_load.done(chain);
        Ok(())
    });
    loaded.map(drop)
}
