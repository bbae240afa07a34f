//! Shards that stay in memory while a worker has no run that uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::runner::state::shard::Shard;
use crate::values::lock::lock;
use crate::values::value::Column;

/// Shards in memory, each with the segments in the store that have the same rows.
///
/// The name of a segment has the digest of its bytes. So whatever has happened to the store since, a checkpoint that has
/// these segments for the shard has these rows.
#[derive(Debug, Default)]
pub struct KeptShards(Mutex<BTreeMap<u32, KeptShard>>);

#[derive(Debug)]
struct KeptShard {
    segments: Vec<ObjectName>,
    shard: Shard,
}

impl KeptShards {
    /// Keeps a shard whose rows are those of `chain`, unless it has changes that no checkpoint has, or no segments.
    pub fn keep(&self, number: u32, chain: &[IndexRow], shard: Shard) {
        if shard.is_settled() && !chain.is_empty() {
            lock(&self.0).insert(number, KeptShard { segments: names(chain), shard });
        }
    }

    /// Drops the shards that a checkpoint with these `chains` and `columns` does not have.
    pub fn retain(&self, chains: &[Vec<IndexRow>], columns: &[Column]) {
        lock(&self.0).retain(|number, kept| {
            let chain = chains.get(*number as usize);
            chain.is_some_and(|chain| names(chain) == kept.segments) && kept.shard.columns() == columns
        });
    }

    /// Drops the shards that are not `wanted`.
    pub fn drop_others(&self, wanted: &BTreeSet<u32>) {
        lock(&self.0).retain(|number, _| wanted.contains(number));
    }

    /// Returns whether a shard is there.
    pub fn has(&self, number: u32) -> bool {
        lock(&self.0).contains_key(&number)
    }

    /// Takes a shard, if it is there.
    pub fn take(&self, number: u32) -> Option<Shard> {
        lock(&self.0).remove(&number).map(|kept| kept.shard)
    }
}

fn names(chain: &[IndexRow]) -> Vec<ObjectName> {
    chain.iter().map(|row| row.object).collect()
}
