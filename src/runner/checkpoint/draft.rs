//! The shards of the next checkpoint.

use crate::format::index::{IndexRow, SegmentKind};
use crate::format::manifest::ObjectRef;
use crate::format::segment::SegmentStats;
use crate::runner::lineage::Lineage;
use crate::runner::output::changes::ShardChanges;
use crate::runner::state::frozen::FrozenRows;

/// A shard as the next checkpoint will hold it, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The cut that it was taken at.
    pub(crate) cut: u64,
    /// Its segments; the last ones may not be in any checkpoint yet.
    pub(crate) chain: Vec<IndexRow>,
    pub(crate) keys: u64,
    /// Rows that are not in a segment yet, and their cut.
    pub(crate) pending: Option<(FrozenRows, u64)>,
    /// What was changed and emitted since the latest checkpoint.
    pub(crate) changes: ShardChanges,
}

impl Draft {
    /// Makes the drafts of all shards as they are in `lineage`.
    pub(crate) fn all_of(lineage: &Lineage) -> Vec<Draft> {
        let shards = (0..).zip(lineage.chains.iter().zip(&lineage.keys));
        let draft = |(shard, (chain, &keys)): (u32, (&Vec<IndexRow>, &u64))| Draft {
            cut: lineage.cut_of(shard),
            chain: chain.clone(),
            keys,
            pending: None,
            changes: ShardChanges::default(),
        };
        shards.map(draft).collect()
    }

    /// Puts the rows of a newer cut on top of the pending ones.
    pub(super) fn add(&mut self, cut: u64, frozen: Option<FrozenRows>, wants_rows: bool) {
        let Some(mut frozen) = frozen else { return };
        self.cut = cut;
        self.keys = frozen.keys;
        self.changes.add_emitted(std::mem::take(&mut frozen.emitted));
        if frozen.rows.is_empty() {
            if frozen.kind == SegmentKind::Base {
                (self.chain, self.pending) = (Vec::new(), None);
            }
            return;
        }
        frozen.rows.sort();
        if wants_rows {
            self.changes.add_rows(&frozen.rows);
        }
        self.pending = Some(match self.pending.take() {
            None => (frozen, cut),
            Some((older, _)) => (older.followed_by(frozen), cut),
        });
    }

    /// Notes that the pending rows are in `segment`, which is `object` unless it has no rows. Returns the number of
    /// rows that were pending.
    pub(crate) fn write(&mut self, segment: EncodedSegment, object: Option<ObjectRef>) -> u64 {
        let EncodedSegment { shard, tasks: (first_task, last_task), level, kind, stats, .. } = segment;
        let (rows, cut) = self.pending.take().map_or((0, self.cut), |(frozen, cut)| (frozen.rows.len(), cut));
        self.chain.truncate(level);
        self.chain.extend(object.map(|object| IndexRow {
            shard,
            level: level as u32,
            first_task,
            last_task,
            cut,
            kind,
            object: object.object,
            bytes: object.bytes,
            rows: stats.rows,
            tombstones: stats.tombstones,
            smallest_key: stats.smallest_key,
            largest_key: stats.largest_key,
        }));
        rows as u64
    }
}

/// The bytes of a shard's new segment, and what its row in the index says.
#[derive(Debug)]
pub(crate) struct EncodedSegment {
    pub(crate) shard: u32,
    /// The first and the last task of the shard.
    pub(crate) tasks: (u32, u32),
    /// Its place in the chain, whose segments from there on it replaces.
    pub(crate) level: usize,
    pub(crate) kind: SegmentKind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stats: SegmentStats,
}
