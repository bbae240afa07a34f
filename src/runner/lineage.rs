//! What the next checkpoint continues from.

use std::collections::{BTreeMap, HashSet};

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::manifest::OlderCut;
use crate::format::positions::PositionRow;
use crate::store::Committed;
use crate::values::id::Sequence;

/// What the next checkpoint goes on from.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// The checkpoint that the next one changes.
    pub last: Option<Committed>,
    /// The highest number that is taken: that of `last`, unless the run has gone back behind a damaged checkpoint.
    pub newest: Option<Sequence>,
    /// The chain of each shard.
    pub chains: Vec<Vec<IndexRow>>,
    /// The keys of each shard.
    pub keys: Vec<u64>,
    /// The positions, by partition.
    pub positions: BTreeMap<String, PositionRow>,
    /// The older cuts that some shards still have, ascending.
    pub older: Vec<OlderPositions>,
    /// The objects of the latest checkpoint.
    pub objects: HashSet<ObjectName>,
    /// Whether the state is laid out otherwise than in `last`: the next checkpoint has to be made, though no record was applied.
    pub is_relaid: bool,
}

/// An older cut, with its positions.
#[derive(Debug, Clone)]
pub struct OlderPositions {
    /// The cut, and the shards that have it.
    pub cut: OlderCut,
    /// The positions, by partition.
    pub positions: BTreeMap<String, PositionRow>,
}

impl Lineage {
    /// Returns the cut that a shard has.
    pub fn cut_of(&self, shard: u32) -> u64 {
        let older = self.older.iter().find(|older| older.cut.shards.contains(&shard));
        let newest = || self.last.as_ref().map_or(0, |last| last.manifest.block);
        older.map_or_else(newest, |older| older.cut.block)
    }
}
