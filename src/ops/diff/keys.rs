//! Compares the keys of two checkpoints.

use crate::ops::diff::change::{Change, KeyTotals};
use crate::ops::diff::comparison::Comparison;
use crate::ops::diff::{rerouted, shard};
use crate::ops::read::ReadError;
use crate::values::progress::Progress;

impl Comparison {
    /// Passes every key in scope that differs to `visit`, until there are no more or it returns false, and returns the
    /// totals of those passed.
    ///
    /// Keys come in the order of the new checkpoint: by task, then by the bytes of the key. Memory is bounded by the
    /// objects of one shard per thread and the keys that are looked up in them; with another routing by
    /// [`Limits::window_rows`](crate::ops::diff::Limits::window_rows).
    pub fn changes(
        &self,
        progress: &dyn Progress,
        mut visit: impl FnMut(Change<'_>) -> bool,
    ) -> Result<KeyTotals, ReadError> {
        let mut totals = KeyTotals::default();
        let mut counted = |change: Change<'_>| {
            totals.keys.count(change.kind());
            totals.tasks.entry(change.task).or_default().count(change.kind());
            visit(change)
        };
        let segment_bytes = if self.same_layout() {
            shard::compare(self, progress, &mut counted)?
        } else {
            rerouted::compare(self, progress, &mut counted)?
        };
        totals.bytes_read =
            [self.old.table_bytes(), self.new.table_bytes(), segment_bytes].into_iter().fold(0, u64::saturating_add);
        Ok(totals)
    }
}
