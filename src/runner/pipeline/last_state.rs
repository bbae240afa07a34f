//! The state in memory at the end of an attempt, which the next one need not load.

use crate::format::index::IndexRow;
use crate::runner::checkpoint::group::OwnCommit;
use crate::runner::options::Share;
use crate::runner::state::shard::Shard;

/// What the threads that apply records have returned at the end.
pub(crate) struct LastState {
    /// The number of the last cut.
    pub(crate) cut: Option<u64>,
    pub(crate) shards: Vec<(u32, Shard)>,
}

impl LastState {
    /// Keeps the shards of `share`, if they are what the worker has committed last.
    pub(crate) fn keep(self, own: &OwnCommit, share: &Share) {
        if self.cut == Some(own.cut) {
            keep(self.shards, &own.chains, share);
        }
    }
}

/// Keeps those of `shards` that are in `share`. Their rows are those of `chains`.
pub(crate) fn keep(shards: impl IntoIterator<Item = (u32, Shard)>, chains: &[Vec<IndexRow>], share: &Share) {
    for (number, shard) in shards {
        if let Some(chain) = chains.get(number as usize).filter(|_| share.partitions.contains(&number)) {
            share.kept.keep(number, chain, shard);
        }
    }
}
