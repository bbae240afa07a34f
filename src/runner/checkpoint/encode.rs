//! How the rows of a shard are encoded for a checkpoint, by several threads.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::format::error::TableError;
use crate::format::index::{IndexRow, SegmentKind, tasks_of};
use crate::format::owner::Owner;
use crate::format::row_batch::RowBatch;
use crate::format::segment::SegmentReader;
use crate::format::segment::SegmentStats;
use crate::format::segment::SegmentWriter;
use crate::format::segment::merge::Merge;
use crate::runner::checkpoint::chain;
use crate::runner::checkpoint::chain::Fold;
use crate::runner::checkpoint::draft::{Draft, EncodedSegment};
use crate::runner::encoder_slots::EncoderSlot;
use crate::runner::error::RunError;
use crate::runner::messages::FrozenShard;
use crate::store::Store;
use crate::values::value::Column;

/// What encodes the rows of shards; the threads share it.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    pub(crate) store: &'a Store,
    pub(crate) columns: &'a [Column],
    /// Whom the segments belong to.
    pub(crate) owner: Owner,
    /// Whether changed rows are published.
    pub(crate) wants_rows: bool,
    pub(crate) tasks: u32,
    pub(crate) shards: u32,
    /// How many more shards may be folded into a new base.
    pub(crate) rebases_left: AtomicU32,
}

/// An encoded shard.
pub(crate) struct EncodedShard {
    pub(crate) shard: u32,
    pub(crate) draft: Draft,
    /// The pending rows of the draft, if there are any and they are wanted.
    pub(crate) segment: Result<Option<EncodedSegment>, RunError>,
    /// Returned once the segment is written.
    pub(crate) slot: Option<EncoderSlot>,
}

impl Encoder<'_> {
    /// Sorts the rows of a frozen shard, puts them on top of the pending ones of its draft, and encodes the result. If
    /// the checkpoint is not `wanted` any more, the rows are only kept.
    pub(crate) fn take(&self, mut draft: Draft, frozen: FrozenShard, wanted: bool) -> EncodedShard {
        let FrozenShard { shard, cut, rows, slot, .. } = frozen;
        draft.add(cut, rows, self.wants_rows);
        let segment = if wanted { self.encode(shard, &draft) } else { Ok(None) };
        EncodedShard { shard, draft, segment, slot }
    }

    fn encode(&self, shard: u32, draft: &Draft) -> Result<Option<EncodedSegment>, RunError> {
        let Some((pending, _)) = &draft.pending else { return Ok(None) };
        let fold = match pending.kind {
            SegmentKind::Base => Fold::Rebase,
            SegmentKind::Delta => self.decide(draft, pending.rows.len()),
        };
        let level = match fold {
            Fold::Append => draft.chain.len(),
            Fold::Merge { from_level } => from_level,
            Fold::Rebase => 0,
        };
        let kind = if level == 0 { SegmentKind::Base } else { SegmentKind::Delta };
        let below = match pending.kind {
            SegmentKind::Base => &[][..],
            SegmentKind::Delta => &draft.chain[level..],
        };
        let (bytes, stats) = self.merge(below, &pending.rows, kind)?;
        let tasks = tasks_of(shard, self.tasks, self.shards);
        Ok(Some(EncodedSegment { shard, tasks, level, kind, bytes, stats }))
    }

    /// Decides where a delta of `rows` rows goes.
    fn decide(&self, draft: &Draft, rows: usize) -> Fold {
        let sizes: Vec<u64> = draft.chain.iter().map(|segment| segment.bytes).collect();
        let new_bytes = estimate_bytes(&draft.chain, rows);
        let take_one = |left: u32| left.checked_sub(1);
        match chain::decide(&sizes, new_bytes, self.rebases_left.load(Ordering::Relaxed) > 0) {
            Fold::Rebase if self.rebases_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_err() => {
                // Another thread has just taken the last one.
                chain::decide(&sizes, new_bytes, false)
            }
            fold => fold,
        }
    }

    /// Encodes sorted `rows`, merged with the segments `below` them. A base has no tombstones.
    fn merge(
        &self,
        below: &[IndexRow],
        rows: &RowBatch,
        kind: SegmentKind,
    ) -> Result<(Vec<u8>, SegmentStats), RunError> {
        let mut writer = SegmentWriter::new_of(self.columns, &self.owner);
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

/// Estimates the size of a delta of `rows` rows from the segments of the chain.
fn estimate_bytes(chain: &[IndexRow], rows: usize) -> u64 {
    let (bytes, stored) =
        chain.iter().fold((0, 0), |(bytes, rows), segment| (bytes + segment.bytes, rows + segment.rows));
    rows as u64 * bytes / stored.max(1)
}
