//! What each checkpoint writes outside the store: its file of changes, the dead letters and the late records.

use std::sync::Arc;
use std::time::Instant;

use crate::format::manifest::{Manifest, Output};
use crate::format::owner::Owner;
use crate::input::StreamNames;
use crate::job::Emit;
use crate::runner::output::changes::{ShardChanges, stage_changes};
use crate::runner::output::dead_letter::append_line;
use crate::runner::output::error::OutputError;
use crate::runner::output::lines::LineOutput;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::runner::output::shown::ShownRows;
use crate::runner::output::topic::{MessageRows, Outlet};
use crate::runner::rejected::LateRecord;
use crate::shape::RowShape;
use crate::values::id::{Sequence, StoreId};

/// Writes the files of changes, of dead letters and of late records.
#[derive(Debug)]
pub struct Publisher {
    /// Where files of changes go, if the job has any.
    pub changes: Option<(OutputPlan, RowShape)>,
    /// Where messages go instead, and what they are made of.
    pub topic: Option<(Outlet, MessageRows)>,
    /// Which rows their readers have, if `having` keeps others from them.
    pub shown: Option<ShownRows>,
    /// Where bad records go, if they are kept.
    pub dead: Option<LineOutput>,
    /// Where late records go, if they are kept.
    pub late: Option<LineOutput>,
    /// The names of the partitions that records come from, by stream.
    pub names: Arc<StreamNames>,
}

impl Publisher {
    /// Returns whether the changed rows of shards are published, rather than only what they emit.
    pub fn wants_rows(&self) -> bool {
        let files = self.changes.as_ref().map(|(plan, shape)| (plan.emit, shape));
        let messages = self.topic.as_ref().map(|(_, rows)| (rows.emit, &rows.shape));
        files.or(messages).is_some_and(|(emit, shape)| emit == Emit::Changes && shape.windows.is_none())
    }

    /// Returns the plans of the files that checkpoints publish.
    pub fn plans(&self) -> impl Iterator<Item = &OutputPlan> {
        let lines = [&self.dead, &self.late].into_iter().flatten().filter_map(LineOutput::plan);
        self.changes.iter().map(|(plan, _)| plan).chain(lines)
    }

    /// Makes sure that the files of the checkpoint of another worker are in place, and that nobody can publish them again.
    /// Returns those that this had to publish.
    pub fn follow(&self, store: &StoreId, last: &Manifest) -> Result<Vec<(String, Output)>, OutputError> {
        let (sequence, begun) = (last.sequence, Instant::now());
        let mut published = Vec::new();
        for output in &last.outputs {
            let Some(plan) = self.plans().find(|plan| plan.name(sequence) == output.path) else {
                return Err(OutputError::OtherFile { sequence, path: output.path.clone() });
            };
            if let Some(worker) = &last.worker {
                plan.check_sign(store, worker, sequence)?;
            }
            if plan.follow(output, sequence, begun)? {
                published.push((plan.shown(sequence), output.clone()));
            }
        }
        Ok(published)
    }

    /// Stages the files of checkpoint `sequence` that have anything in them.
    pub fn stage<'a>(
        &mut self,
        sequence: Sequence,
        shards: impl Iterator<Item = &'a ShardChanges>,
    ) -> Result<Vec<Staged>, OutputError> {
        let mut staged = Vec::new();
        if let Some((plan, shape)) = &self.changes {
            staged.extend(stage_changes(plan, shape, sequence, &shards.collect::<Vec<_>>(), self.shown.as_mut())?);
        }
        for lines in [&self.dead, &self.late].into_iter().flatten() {
            staged.extend(lines.stage(sequence)?);
        }
        Ok(staged)
    }

    /// Stages the messages of a checkpoint, as a table of `owner`. Returns its bytes and the number of messages, or nothing if
    /// there are none.
    pub fn stage_messages<'a>(
        &mut self,
        owner: &Owner,
        shards: impl Iterator<Item = &'a ShardChanges>,
    ) -> Result<Option<(Vec<u8>, u64)>, OutputError> {
        let Some((_, rows)) = &self.topic else { return Ok(None) };
        rows.stage(owner, &shards.collect::<Vec<_>>(), self.shown.as_mut())
    }

    /// Notes that the checkpoint of the staged files is committed, or, if it `may_be` only, that this is not known yet.
    pub fn committed(&mut self, may_be: bool) {
        for lines in [&mut self.dead, &mut self.late].into_iter().flatten() {
            lines.committed(may_be);
        }
        self.shown.iter_mut().for_each(|shown| shown.committed(may_be));
    }

    /// Notes whether the checkpoint exists of which that was not known.
    pub fn settle(&mut self, exists: bool) {
        for lines in [&mut self.dead, &mut self.late].into_iter().flatten() {
            lines.settle(exists);
        }
        self.shown.iter_mut().for_each(|shown| shown.settle(exists));
    }

    /// Adds late records for the next checkpoint, in the order of the input.
    pub fn add_late(&mut self, mut records: Vec<LateRecord>) -> Result<(), OutputError> {
        let Some(output) = &mut self.late else { return Ok(()) };
        records.sort_by_key(|record| (record.block, record.rejected.index));
        let mut lines = Vec::new();
        for LateRecord { stream, first_record, rejected, .. } in &records {
            append_line(&mut lines, &self.names.get(*stream), *first_record, rejected);
        }
        output.add(&lines)
    }
}
