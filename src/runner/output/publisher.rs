//! What each checkpoint writes outside the store: its file of changes, and the late records.

use std::sync::Arc;

use crate::format::manifest::{DeadLetter, Output};
use crate::input::StreamNames;
use crate::job::Emit;
use crate::runner::output::changes::{ShardChanges, stage_changes};
use crate::runner::output::dead_letter::{DeadLetterFile, append_line};
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::shape::RowShape;
use crate::runner::rejected::LateRecord;
use crate::values::id::Sequence;

/// Writes and publishes the files of changes and of late records.
#[derive(Debug)]
pub struct Publisher {
    /// Where files of changes go, if the job has any.
    pub changes: Option<(OutputPlan, RowShape)>,
    /// Where late records go, if they are kept.
    pub late: Option<DeadLetterFile>,
    /// The names of the partitions that records come from, by stream.
    pub names: Arc<StreamNames>,
}

impl Publisher {
    /// Returns whether the changed rows of shards are published, rather than only what they emit.
    pub fn wants_rows(&self) -> bool {
        self.changes.as_ref().is_some_and(|(plan, shape)| plan.emit == Emit::Changes && shape.windows.is_none())
    }

    /// Stages the file of checkpoint `sequence`. Returns `None` if there is nothing to write.
    pub fn stage<'a>(
        &self,
        sequence: Sequence,
        shards: impl Iterator<Item = &'a ShardChanges>,
    ) -> Result<Option<Output>, OutputError> {
        let Some((plan, shape)) = &self.changes else { return Ok(None) };
        stage_changes(plan, shape, sequence, &shards.collect::<Vec<_>>())
    }

    /// Renames the file of checkpoint `sequence`, which is committed, into place.
    pub fn publish(&self, sequence: Sequence) -> Result<(), OutputError> {
        match &self.changes {
            Some((plan, _)) => plan.publish(sequence),
            None => Ok(()),
        }
    }

    /// Appends late records to their file in the order of the input. Returns how much of the file belongs to the next
    /// checkpoint.
    pub fn append_late(&mut self, mut records: Vec<LateRecord>) -> Result<Option<DeadLetter>, OutputError> {
        let Some(file) = &mut self.late else { return Ok(None) };
        records.sort_by_key(|record| (record.block, record.rejected.index));
        let mut lines = Vec::new();
        for LateRecord { stream, first_record, rejected, .. } in &records {
            append_line(&mut lines, &self.names.get(*stream), *first_record, rejected);
        }
        Ok(Some(DeadLetter { path: file.name().to_owned(), bytes: file.append(&lines)? }))
    }
}
