//! The rows of a shard that a cut has frozen.

use crate::format::index::SegmentKind;
use crate::format::row_batch::RowBatch;
use crate::format::rows::Change;
use crate::format::rows::Row;
use crate::runner::state::bitmap::Bitmap;
use crate::runner::state::emitted::Emitted;

/// The changed rows of a shard at a cut.
#[derive(Debug)]
pub struct FrozenRows {
    /// The rows in no order, each with its change since the previous cut. A base holds all rows of the shard, a delta
    /// only the changed ones. Both hold tombstones of the deleted rows.
    pub rows: RowBatch,
    pub kind: SegmentKind,
    /// The number of keys in the shard at the cut.
    pub keys: u64,
    /// What the shard has emitted since the previous cut.
    pub emitted: Emitted,
}

impl FrozenRows {
    /// Merges the rows of a cut with those of the next cut of the same shard. A row that was inserted and deleted in
    /// between is left out.
    ///
    /// The rows of both must be sorted; the rows of the result are.
    pub fn followed_by(self, newer: FrozenRows) -> FrozenRows {
        let is_kept = |row: Row<'_>, change| row.value.is_some() || change != Change::None;
        let rows = merge_changes(&self.rows, &newer.rows, is_kept);
        let is_base = self.kind == SegmentKind::Base || newer.kind == SegmentKind::Base;
        let kind = if is_base { SegmentKind::Base } else { SegmentKind::Delta };
        let mut emitted = self.emitted;
        emitted.append(newer.emitted);
        FrozenRows { rows, kind, keys: newer.keys, emitted }
    }
}

/// Merges the sorted rows of a cut with those of a later cut. The result has the rows for which `is_kept` returns true,
/// each with its change over both.
pub(crate) fn merge_changes(older: &RowBatch, newer: &RowBatch, is_kept: impl Fn(Row<'_>, Change) -> bool) -> RowBatch {
    let mut merged = RowBatch::new();
    let mut push = |row: Row<'_>, change: Change| {
        if is_kept(row, change) {
            let value = row.value;
            merged.push_changed(row.task, row.key, change, value.is_some(), |bytes| {
                bytes.extend_from_slice(value.unwrap_or_default());
            });
        }
    };
    let mut rest = older.iter().enumerate().peekable();
    for (place, row) in newer.iter().enumerate() {
        while let Some((at, before)) = rest.next_if(|(_, before)| before.sort_key() < row.sort_key()) {
            push(before, older.change(at));
        }
        let same = rest.next_if(|(_, before)| before.sort_key() == row.sort_key());
        let before = same.map_or(Change::None, |(at, _)| older.change(at));
        push(row, before.then(newer.change(place)));
    }
    rest.for_each(|(at, before)| push(before, older.change(at)));
    merged
}

/// What a shard still has to copy for a cut.
#[derive(Debug)]
pub(super) struct RowsToTake {
    /// The rows that are not copied yet.
    pub(super) rows: Bitmap,
    /// The rows that had changed since the previous cut.
    pub(super) dirty: Bitmap,
    /// Those of them that did not exist at the previous cut.
    pub(super) new: Bitmap,
    pub(super) next_word: usize,
    pub(super) taken: RowBatch,
    pub(super) kind: SegmentKind,
    pub(super) keys: u64,
    pub(super) emitted: Emitted,
}

impl RowsToTake {
    /// Returns how row `index` changed between the previous cut and this one.
    pub(super) fn change(&self, index: usize) -> Change {
        match (self.dirty.has(index), self.new.has(index)) {
            (false, _) => Change::None,
            (true, true) => Change::Insert,
            (true, false) => Change::Update,
        }
    }
}
