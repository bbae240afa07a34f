//! What the next checkpoint continues from.

use std::collections::{BTreeMap, HashSet};

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::manifest::OlderCut;
use crate::format::positions::PositionRow;
use crate::store::Committed;
use crate::values::id::Sequence;

/// What the next checkpoint continues from.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// The checkpoint that the next one builds on.
    pub last: Option<Committed>,
    /// The highest number in use: that of `last`, unless the run has skipped damaged checkpoints, or a replica that is
    /// away has newer ones.
    pub newest: Option<Sequence>,
    /// The segments of each shard, the base first.
    pub chains: Vec<Vec<IndexRow>>,
    /// The number of keys in each shard.
    pub keys: Vec<u64>,
    /// The positions, by partition.
    pub positions: BTreeMap<String, PositionRow>,
    /// The cuts of shards that are older than the newest, ascending.
    pub older: Vec<OlderPositions>,
    /// The objects of the latest checkpoint.
    pub objects: HashSet<ObjectName>,
    /// Whether the layout of the state differs from `last`, so that the next checkpoint is needed even if no record was
    /// applied.
    pub is_relaid: bool,
    /// Whether the run has skipped damaged checkpoints.
    pub has_skipped: bool,
}

/// An older cut and its positions.
#[derive(Debug, Clone)]
pub struct OlderPositions {
    /// The cut and the shards that are at it.
    pub cut: OlderCut,
    /// The positions, by partition.
    pub positions: BTreeMap<String, PositionRow>,
}

impl Lineage {
    /// Returns the position of each partition at the newest cut. A partition that some shards have not applied up to
    /// there was not read to its end.
    pub fn newest_positions(&self) -> Vec<PositionRow> {
        let is_behind = |older: &OlderPositions, row: &PositionRow| {
            older.positions.get(&row.partition).map_or(0, |older| older.offset) < row.offset
        };
        let newest = self.positions.values().map(|row| {
            let is_applied = !self.older.iter().any(|older| is_behind(older, row));
            PositionRow { ended: row.ended && is_applied, inode: row.inode.filter(|_| is_applied), ..row.clone() }
        });
        newest.collect()
    }

    /// Returns the cut that a shard is at.
    pub fn cut_of(&self, shard: u32) -> u64 {
        let older = self.older.iter().find(|older| older.cut.shards.contains(&shard));
        let newest = || self.last.as_ref().map_or(0, |last| last.manifest.block);
        older.map_or_else(newest, |older| older.cut.block)
    }
}
