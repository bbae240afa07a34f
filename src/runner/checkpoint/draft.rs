//! The shards of the next checkpoint, and the threads that encode them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::format::index::{IndexRow, SegmentKind, tasks_of};
use crate::format::manifest::ObjectRef;
use crate::format::rows::RowBatch;
use crate::format::segment::merge::Merge;
use crate::format::segment::{SegmentReader, SegmentStats, SegmentWriter, TableError};
use crate::runner::checkpoint::chain;
use crate::runner::checkpoint::chain::Fold;
use crate::runner::checkpoint::slots::Room;
use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::messages::ShardSnapshot;
use crate::runner::output::changes::ShardChanges;
use crate::runner::state::frozen::FrozenRows;
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::value::Column;

/// A shard as the next checkpoint will hold it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The cut that it was taken at.
    pub(crate) cut: u64,
    /// Its segments; the last ones may be in no checkpoint yet.
    pub(crate) chain: Vec<IndexRow>,
    pub(crate) keys: u64,
    /// Rows that are in no segment yet, and the cut that they are of.
    pub(crate) pending: Option<(FrozenRows, u64)>,
    /// What has changed and was emitted since the latest checkpoint.
    pub(crate) changes: ShardChanges,
}

impl Draft {
    /// Makes the drafts of all shards as `lineage` has them.
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

    /// Puts what was taken at a newer cut on top of what is pending.
    fn add(&mut self, cut: u64, snapshot: Option<FrozenRows>, wants_rows: bool) {
        let Some(mut snapshot) = snapshot else { return };
        self.cut = cut;
        self.keys = snapshot.keys;
        self.changes.add_emitted(std::mem::take(&mut snapshot.emitted));
        if snapshot.rows.is_empty() {
            if snapshot.kind == SegmentKind::Base {
                (self.chain, self.pending) = (Vec::new(), None);
            }
            return;
        }
        snapshot.rows.sort();
        if wants_rows {
            self.changes.add_rows(&snapshot.rows);
        }
        self.pending = Some(match self.pending.take() {
            None => (snapshot, cut),
            Some((older, _)) => (older.followed_by(snapshot), cut),
        });
    }

    /// Notes that the pending rows are in `segment`, which is `object` unless it has no rows. Returns how many rows were pending.
    pub(crate) fn write(&mut self, segment: Segment, object: Option<ObjectRef>) -> u64 {
        let Segment { shard, tasks, shards, from_level, kind, stats, .. } = segment;
        let (first_task, last_task) = tasks_of(shard, tasks, shards);
        let (rows, cut) = self.pending.take().map_or((0, self.cut), |(snapshot, cut)| (snapshot.rows.len(), cut));
        self.chain.truncate(from_level);
        self.chain.extend(object.map(|object| IndexRow {
            shard,
            level: from_level as u32,
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

/// What encodes the rows of shards; several threads share it.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    pub(crate) store: &'a Store,
    pub(crate) columns: &'a [Column],
    /// The checkpoint that segments belong to which it does not share.
    pub(crate) owner: Option<Sequence>,
    /// Whether changed rows are published.
    pub(crate) wants_rows: bool,
    pub(crate) tasks: u32,
    pub(crate) shards: u32,
    /// How many more shards may be folded to a new base.
    pub(crate) rebases_left: AtomicU32,
}

/// A shard to encode.
pub(crate) struct Work {
    pub(crate) draft: Draft,
    pub(crate) taken: ShardSnapshot,
    /// Whether there is still a checkpoint to make; else the rows are only kept.
    pub(crate) is_wanted: bool,
}

/// What came of it.
pub(crate) struct Encoded {
    pub(crate) shard: u32,
    pub(crate) draft: Draft,
    /// The pending rows, if there are any and they are wanted.
    pub(crate) segment: Result<Option<Segment>, RunError>,
    /// Free again when they are written.
    pub(crate) room: Option<Room>,
}

/// An encoded segment.
#[derive(Debug)]
pub(crate) struct Segment {
    shard: u32,
    tasks: u32,
    shards: u32,
    /// How many segments of the chain stay below it.
    from_level: usize,
    kind: SegmentKind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stats: SegmentStats,
}

/// What a thread made, or the panic that ended it.
pub(crate) struct Made(Result<Encoded, Box<dyn Any + Send>>);

impl Made {
    /// Returns what was made, or panics as the thread did.
    pub(crate) fn or_resume(self) -> Encoded {
        self.0.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Encoder<'_> {
    /// Sorts the rows of a shard, puts them on top of what is pending, and encodes that.
    pub(crate) fn work(&self, work: Work) -> Made {
        Made(catch_unwind(AssertUnwindSafe(|| {
            let Work { mut draft, taken: ShardSnapshot { shard, cut, snapshot, room, .. }, is_wanted } = work;
            draft.add(cut, snapshot, self.wants_rows);
            let segment = if is_wanted { self.encode(shard, &draft) } else { Ok(None) };
            Encoded { shard, draft, segment, room }
        })))
    }

    fn encode(&self, shard: u32, draft: &Draft) -> Result<Option<Segment>, RunError> {
        let Some((snapshot, _)) = &draft.pending else { return Ok(None) };
        let fold = match snapshot.kind {
            SegmentKind::Base => Fold::Rebase,
            SegmentKind::Delta => self.decide(draft, snapshot.rows.len()),
        };
        let from_level = match fold {
            Fold::Append => draft.chain.len(),
            Fold::Merge { from_level } => from_level,
            Fold::Rebase => 0,
        };
        let kind = if from_level == 0 { SegmentKind::Base } else { SegmentKind::Delta };
        let below = match snapshot.kind {
            SegmentKind::Base => &[][..],
            SegmentKind::Delta => &draft.chain[from_level..],
        };
        let (bytes, stats) = self.merge(below, &snapshot.rows, kind)?;
        Ok(Some(Segment { shard, tasks: self.tasks, shards: self.shards, from_level, kind, bytes, stats }))
    }

    /// Decides where a delta of `rows` goes.
    fn decide(&self, draft: &Draft, rows: usize) -> Fold {
        let sizes: Vec<u64> = draft.chain.iter().map(|segment| segment.bytes).collect();
        let new_bytes = estimate_bytes(&draft.chain, rows);
        let take_one = |left: u32| left.checked_sub(1);
        match chain::decide(&sizes, new_bytes, self.rebases_left.load(Ordering::Relaxed) > 0) {
            Fold::Rebase if self.rebases_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_err() => {
                // Another thread took the last one just now.
                chain::decide(&sizes, new_bytes, false)
            }
            fold => fold,
        }
    }

    /// Encodes sorted `rows` on top of the segments that are merged with them. A base has no tombstones.
    fn merge(
        &self,
        below: &[IndexRow],
        rows: &RowBatch,
        kind: SegmentKind,
    ) -> Result<(Vec<u8>, SegmentStats), RunError> {
        let mut writer = SegmentWriter::new_of(self.columns, self.owner);
        if below.is_empty() {
            for row in rows.iter().filter(|row| row.value.is_some() || kind == SegmentKind::Delta) {
                writer.push(row);
            }
            return Ok(writer.finish());
        }
        let mut sources: Vec<Box<dyn Iterator<Item = Result<RowBatch, TableError>>>> = Vec::new();
        for segment in below {
            let bytes = self.store.object(segment.object_ref())?;
            let reader = SegmentReader::open(bytes, self.columns).map_err(RunError::table(segment.object))?;
            sources.push(Box::new(reader));
        }
        sources.push(Box::new(std::iter::once(Ok(rows.clone()))));
        let merged = Merge::new(sources).for_each(|row| {
            if row.value.is_some() || kind == SegmentKind::Delta {
                writer.push(row);
            }
            true
        });
        merged.map_err(RunError::table(below[0].object))?;
        Ok(writer.finish())
    }
}

/// Estimates the size of a delta of `rows` from the sizes of what is there.
fn estimate_bytes(chain: &[IndexRow], rows: usize) -> u64 {
    let (bytes, stored) =
        chain.iter().fold((0, 0), |(bytes, rows), segment| (bytes + segment.bytes, rows + segment.rows));
    rows as u64 * bytes / stored.max(1)
}
