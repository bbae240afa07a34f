//! What one of several workers keeps between its checkpoints.

use std::collections::BTreeSet;

use crate::format::index::IndexRow;
use crate::runner::lineage::Lineage;
use crate::runner::messages::Cut;
use crate::runner::options::Share;

/// What one of several workers keeps between its checkpoints.
///
/// It numbers its blocks alone, from the latest checkpoint that it has loaded. In the store, its cuts are moved by as many
/// blocks as others have committed since.
#[derive(Debug)]
pub(super) struct GroupCommit {
    /// The name of the worker.
    pub(super) worker: String,
    /// The shards that it has.
    pub(super) share: BTreeSet<u32>,
    /// The cut of its last checkpoint, in its own numbers.
    pub(super) own_cut: u64,
    /// What its numbers lack to those in the store.
    pub(super) shift: u64,
    /// The records that were skipped up to its last checkpoint, as it counts.
    pub(super) skipped: u64,
    /// The cut of the commit that is being made, and the records skipped before.
    pending: Option<(u64, u64)>,
    /// Whether it has committed a checkpoint since it was given its tasks.
    pub(super) has_committed: bool,
}

/// The state that a worker has committed last, or has loaded.
#[derive(Debug)]
pub struct OwnCommit {
    /// Its cut, in the worker's own numbers.
    pub cut: u64,
    /// The segments of each shard, the base first. Only those of the worker's own shards are what it has.
    pub chains: Vec<Vec<IndexRow>>,
}

impl GroupCommit {
    pub(super) fn new(share: Share, lineage: &Lineage) -> GroupCommit {
        let last = lineage.last.as_ref().map(|last| &last.manifest);
        let (own_cut, skipped) = last.map_or((0, 0), |last| (last.block, last.totals.skipped));
        let Share { worker, partitions: share, .. } = share;
        GroupCommit { worker, share, own_cut, shift: 0, skipped, pending: None, has_committed: false }
    }

    /// Notes that `cut` is being committed.
    pub(super) fn begin(&mut self, cut: &Cut) {
        self.pending = Some((cut.number, cut.skipped));
    }

    /// Notes that it is committed.
    pub(super) fn committed(&mut self) {
        if let Some((cut, skipped)) = self.pending.take() {
            (self.own_cut, self.skipped) = (cut, skipped);
            self.has_committed = true;
        }
    }
}
