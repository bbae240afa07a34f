//! Checkpoints of a batch of several workers, which all read up to the same ends.

use crate::format::positions::{PositionRow, batch_ends};
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::checkpoint::group::GroupCommit;
use crate::runner::error::{CheckpointError, RunError};
use crate::runner::messages::Cut;
use crate::values::id::Sequence;

impl Checkpointer {
    /// Returns whether the next checkpoint begins the batch of this worker.
    pub(super) fn begins_batch(&self) -> bool {
        self.facts.batch.is_some() && self.facts.batch != batch_ends(self.lineage.positions.values())
    }

    /// Returns whether the latest checkpoint lacks the ends of the batch, or that all tasks of `group` are at them by `cut`.
    pub(super) fn is_new_in_batch(&self, group: &GroupCommit, cut: &Cut) -> bool {
        let is_own = |row: &&PositionRow| row.task.is_some_and(|task| group.share.contains(&task));
        let ended = || self.lineage.positions.values().filter(is_own).filter(|row| row.ended).count();
        self.begins_batch() || (cut.ended && ended() < group.share.len())
    }

    /// Fails unless the checkpoint `sequence` of another worker, with these positions, has the ends that this one reads up
    /// to.
    pub(super) fn check_batch<'a>(
        &self,
        sequence: Sequence,
        positions: impl Iterator<Item = &'a PositionRow>,
    ) -> Result<(), RunError> {
        let theirs = batch_ends(positions);
        if self.facts.batch.is_some() {
            // Where nothing was committed before, it also says where the first messages are.
            let is_same = self.facts.batch == theirs && self.lineage.last.is_some();
            return if is_same { Ok(()) } else { Err(RunError::OtherBatch { sequence }) };
        }
        if theirs.is_some() && batch_ends(self.lineage.positions.values()).is_none() {
            let reason = "it is part of a batch (`until: latest`), and this worker follows the topic".to_owned();
            return Err(CheckpointError::Inconsistent { sequence, reason }.into());
        }
        Ok(())
    }

    /// Makes `rows`, the positions of the next checkpoint, say where the batch ends, if there is one.
    ///
    /// A checkpoint that begins a batch has all partitions: `all` are the positions at this worker's cut, and those that were
    /// never read are where the first message of the batch is. None of them counts as read to its end, until a worker says so
    /// that has closed its windows.
    pub(super) fn put_ends(&self, rows: &mut Vec<PositionRow>, all: &[PositionRow], group: &GroupCommit) {
        let is_own = |row: &PositionRow| row.task.is_some_and(|task| group.share.contains(&task));
        let begins = self.begins_batch();
        if begins {
            let known: Vec<Option<u32>> = rows.iter().map(|row| row.task).collect();
            rows.extend(all.iter().filter(|row| !known.contains(&row.task)).cloned());
        }
        for row in rows {
            row.ended &= is_own(row) || !begins;
            if let (Some(message), Some(task)) = (&mut row.message, row.task) {
                message.batch_end = self.facts.batch.as_ref().and_then(|ends| ends.get(&task)).copied();
            }
        }
    }
}

/// Returns whether a checkpoint with these positions, which are those of all partitions, has all of a batch.
pub(super) fn is_batch_complete(rows: &[PositionRow]) -> bool {
    rows.iter().all(|row| row.ended)
}
