//! The commit: from written segments to a checkpoint.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::Sender;

use crate::format::index::IndexRow;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{
    DeadLetter, Manifest, ObjectRef, Output, Parent, StagedMessages, Tables, Timings, Totals,
};
use crate::format::positions::PositionRow;
use crate::format::{FORMAT, index, positions};
use crate::runner::checkpoint::attempt::{AttemptTimes, micros};
use crate::runner::checkpoint::batch::is_batch_complete;
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::checkpoint::proof::{TableBytes, prove};
use crate::runner::checkpoint::uncertain::UncertainCommit;
use crate::runner::error::RunError;
use crate::runner::lineage::{Lineage, OlderPositions};
use crate::runner::messages::{Cut, ThreadEvent};
use crate::runner::observer::Done;
use crate::runner::output::changes::ShardChanges;
use crate::runner::output::error::OutputError;
use crate::runner::output::lines::LineOutput;
use crate::runner::output::plan::Staged;
use crate::store::{Committed, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// The files outside the store that belong to the checkpoint.
struct OutsideFiles {
    outputs: Vec<Output>,
    /// Those of them that the checkpointer publishes.
    staged: Vec<Staged>,
    dead_letter: Option<DeadLetter>,
    late_records: Option<DeadLetter>,
    /// Late records since the job began.
    late: u64,
}

/// The rows of the checkpoint's tables.
struct TableRows {
    index: Vec<IndexRow>,
    /// The positions at the checkpoint's own cut, sorted by partition.
    newest: Vec<PositionRow>,
    older: Vec<OlderPositions>,
}

impl Checkpointer {
    /// Commits the drafts as the checkpoint of `cut`. One of several workers tries until no other is faster.
    pub(super) fn commit(
        &mut self,
        cut: &Cut,
        times: &mut AttemptTimes,
        events: &Sender<ThreadEvent>,
    ) -> Result<Done, RunError> {
        if self.group.is_none() {
            return self.commit_next(cut, times);
        }
        let mut is_first = true;
        loop {
            self.facts.check_time(times.begun)?;
            let is_rebased = self.rebase()?;
            if is_rebased {
                self.keep_new_objects()?;
            }
            if !self.follows_messages(events)? {
                continue;
            }
            self.follow_files(events)?;
            self.group.iter_mut().for_each(|group| group.begin(cut));
            match self.commit_next(cut, times) {
                // Unless the number is still free for those who look, another worker was faster.
                Err(RunError::Store(error)) if error.is_taken() && (is_rebased || is_first) => {}
                // It has published under the number already.
                Err(RunError::Output(OutputError::Taken { .. })) if self.is_overtaken()? => {}
                committed => return committed,
            }
            is_first = false;
        }
    }

    /// Makes the new segments as new as what is written now: a prune deletes what is older than the latest checkpoint and
    /// in none. Fails with [`RunError::Outpaced`] if one is gone already.
    fn keep_new_objects(&mut self) -> Result<(), RunError> {
        let all = self.chains_to_commit();
        let is_new = |row: &&IndexRow| !self.lineage.objects.contains(&row.object);
        let new: Vec<ObjectRef> = all.iter().flatten().filter(is_new).map(IndexRow::object_ref).collect();
        self.store.keep(&new, self.put_since).map_err(|error| self.unless_outpaced(error))?;
        // It is written again.
        self.definition = None;
        Ok(())
    }

    /// Reads an object that is in no checkpoint yet. Fails with [`RunError::Outpaced`] if other workers have pruned it.
    pub(super) fn new_object(&self, object: ObjectRef) -> Result<Bytes, RunError> {
        self.store.object(object).map_err(|error| self.unless_outpaced(error))
    }

    /// Returns `error`, by which an object that is in no checkpoint yet was not found or read, or [`RunError::Outpaced`] if
    /// other workers have pruned it.
    fn unless_outpaced(&self, error: StoreError) -> RunError {
        match (&self.group, self.lineage.newest) {
            (Some(group), Some(sequence)) if error.is_not_found() => {
                RunError::Outpaced { sequence, has_committed: group.has_committed }
            }
            _ => error.into(),
        }
    }

    /// Commits the drafts under the next number.
    fn commit_next(&mut self, cut: &Cut, times: &mut AttemptTimes) -> Result<Done, RunError> {
        let sequence = self.next_sequence();
        if let Some(expected) = cut.sequence.filter(|expected| *expected != sequence) {
            // Its outputs were staged for that number.
            return Err(StoreError::NumberTaken { sequence: expected }.into());
        }
        let files = self.write_files(cut, sequence)?;
        self.cuts.make_rows(&self.lineage)?;
        let chains = self.chains_to_commit();
        let rows = TableRows {
            index: chains.iter().flatten().cloned().collect(),
            newest: self.positions_to_commit(self.cuts.rows(cut.number), cut),
            older: match self.group {
                Some(_) => Vec::new(),
                None => self.cuts.older(cut.number, self.drafts.iter().map(|draft| draft.cut)),
            },
        };
        let messages = self.put_messages(sequence)?;
        let (tables, bytes) = self.put_tables(&rows)?;
        let mut objects: HashMap<ObjectName, u64> = rows.index.iter().map(|row| (row.object, row.bytes)).collect();
        objects.extend([tables.index, tables.positions, tables.job].map(|table| (table.object, table.bytes)));
        objects.extend(messages.iter().map(|messages| (messages.object, messages.bytes)));
        self.store.sync()?;
        times.written = Some(Instant::now());
        let mut manifest = self.manifest(cut, sequence, times, &rows, tables);
        self.count_objects(&mut manifest.totals, &objects);
        manifest.totals.late = files.late;
        self.add_totals_of_others(&mut manifest, &rows.newest, cut);
        // One of several workers ends the batch if it is the last one.
        manifest.ended &= self.group.is_none() || is_batch_complete(&rows.newest);
        self.check_max_bad(&manifest.totals)?;
        manifest.outputs = files.outputs;
        manifest.messages = messages;
        (manifest.dead_letter, manifest.late_records) = (files.dead_letter, files.late_records);
        self.keep_lines_of_run_alone(&mut manifest);
        let after = Lineage {
            newest: Some(sequence),
            last: None,
            chains,
            keys: self.drafts.iter().map(|draft| draft.keys).collect(),
            positions: rows.newest.into_iter().map(|row| (row.partition.clone(), row)).collect(),
            older: rows.older,
            objects: objects.into_keys().collect(),
            is_relaid: false,
            has_skipped: false,
        };
        self.facts.check_time(times.begun)?;
        prove(&manifest, bytes)?;
        self.commit_manifest(manifest, after, files.staged, cut.begun)
    }

    /// Appends to the dead-letter files and stages the output files.
    fn write_files(&mut self, cut: &Cut, sequence: Sequence) -> Result<OutsideFiles, RunError> {
        if let Some(dead) = &mut self.publisher.dead {
            dead.add(&self.dead_lines)?;
            self.dead_lines.clear();
        }
        let late = self.lineage.last.as_ref().map_or(0, |last| last.manifest.totals.late);
        let late = late + self.drafts.iter().map(|draft| draft.changes.late_count()).sum::<u64>();
        let late_records = self.drafts.iter_mut().flat_map(|draft| draft.changes.take_late()).collect();
        self.publisher.add_late(late_records)?;
        let file = |lines: &Option<LineOutput>| lines.as_ref().and_then(LineOutput::file);
        let (dead_letter, late_records) = (file(&self.publisher.dead), file(&self.publisher.late));
        let staged = self.publisher.stage(sequence, self.drafts.iter().map(|draft| &draft.changes))?;
        let outputs = cut.outputs.iter().chain(staged.iter().map(|staged| &staged.output)).cloned().collect();
        Ok(OutsideFiles { outputs, staged, dead_letter, late_records, late })
    }

    /// Stages the messages of the next checkpoint in the store, if there are any.
    fn put_messages(&mut self, sequence: Sequence) -> Result<Option<StagedMessages>, RunError> {
        let owner = self.owner();
        let changes = self.drafts.iter().map(|draft| &draft.changes);
        let staged = self.publisher.stage_messages(&owner, changes)?;
        let (Some((table, rows)), Some((outlet, _))) = (staged, &self.publisher.topic) else { return Ok(None) };
        let (topic, after) = (outlet.topic().to_owned(), outlet.sent_number());
        let put = self.put(&table, ObjectKind::Parquet)?;
        Ok(Some(StagedMessages { topic, checkpoint: sequence, after, rows, object: put.object, bytes: put.bytes }))
    }

    /// Writes the tables, and the job's definition unless it was written before. Also returns their bytes.
    fn put_tables(&mut self, rows: &TableRows) -> Result<(Tables, TableBytes), RunError> {
        // Checkpoints share the definition, if they share anything.
        let written = self.definition.clone().filter(|_| !self.facts.takes_all());
        let definition = match &written {
            Some((_, text)) => text.clone(),
            None => self.facts.definition.clone() + &self.owner().comment(),
        };
        let older = rows.older.iter().flat_map(|older| older.positions.values());
        let position_rows: Vec<PositionRow> = older.chain(&rows.newest).cloned().collect();
        let owner = self.owner();
        let bytes = TableBytes {
            index: index::encode_of(&rows.index, &owner).into(),
            positions: positions::encode_of(&position_rows, &owner).into(),
            job: definition.clone().into(),
        };
        let mut objects = vec![(&*bytes.index, ObjectKind::Parquet), (&*bytes.positions, ObjectKind::Parquet)];
        if written.is_none() {
            objects.push((&*bytes.job, ObjectKind::Yaml));
        }
        let put = self.store.put_all_noted(&objects, &mut self.unnamed)?;
        let job = put.get(2).copied().or(written.map(|(object, _)| object)).expect("it is written now or was before");
        self.definition = Some((job, definition));
        Ok((Tables { index: put[0], positions: put[1], job }, bytes))
    }

    /// Makes the manifest, but for the sizes of objects and for the files outside the store.
    fn manifest(
        &self,
        cut: &Cut,
        sequence: Sequence,
        times: &AttemptTimes,
        rows: &TableRows,
        tables: Tables,
    ) -> Manifest {
        let facts = &self.facts;
        let taken = times.taken.unwrap_or(cut.begun);
        let written = times.written.unwrap_or(taken);
        let last = self.lineage.last.as_ref();
        Manifest {
            format: FORMAT,
            job: facts.job.clone(),
            store: self.store.file.store.clone(),
            sequence,
            parent: last.map(|last| Parent { sequence: last.manifest.sequence, sha256: last.sha256 }),
            created: cut.created,
            mode: facts.mode,
            trigger: cut.trigger,
            ended: cut.ended,
            restored_from: None,
            worker: self.group.as_ref().map(|group| group.worker.clone()),
            tasks: facts.tasks,
            shards: facts.shards,
            routing: facts.routing,
            block: self.block_of(cut.number),
            older_cuts: rows.older.iter().map(|older| older.cut.clone()).collect(),
            block_bytes: facts.block_bytes,
            key: facts.key.clone(),
            columns: facts.columns.clone(),
            timings: Timings {
                pause_micros: times.pause_micros,
                snapshot_micros: micros(cut.begun, taken),
                write_micros: micros(taken, written),
            },
            totals: Totals {
                keys: self.drafts.iter().map(|draft| draft.keys).sum(),
                changed_keys: self.changed_keys,
                partitions: rows.newest.len() as u64,
                input_bytes: cut.past.input_bytes + rows.newest.iter().map(|row| row.offset).sum::<u64>(),
                records: cut.past.records + rows.newest.iter().map(|row| row.record).sum::<u64>(),
                skipped: cut.skipped,
                past_input_bytes: cut.past.input_bytes,
                past_records: cut.past.records,
                ..Totals::default()
            },
            outputs: Vec::new(),
            dead_letter: None,
            late_records: None,
            messages: None,
            tables,
        }
    }

    fn count_objects(&self, totals: &mut Totals, objects: &HashMap<ObjectName, u64>) {
        let is_new = |object: &ObjectName| !self.lineage.objects.contains(object);
        totals.bytes = objects.values().sum();
        totals.new_bytes = objects.iter().filter(|(name, _)| is_new(name)).map(|(_, bytes)| bytes).sum();
    }

    /// Commits the manifest and continues from `after`, which lacks only the committed checkpoint.
    fn commit_manifest(
        &mut self,
        manifest: Manifest,
        mut after: Lineage,
        staged: Vec<Staged>,
        begun: Instant,
    ) -> Result<Done, RunError> {
        let sequence = manifest.sequence;
        let names: Vec<ObjectName> = after.objects.iter().copied().collect();
        let changes: Vec<ShardChanges> =
            self.drafts.iter_mut().map(|draft| std::mem::take(&mut draft.changes)).collect();
        let committed = self.store.commit(&manifest, &names);
        let total_micros = micros(begun, Instant::now());
        match committed {
            Ok(committed) => {
                (self.unpublished, self.published) = (staged, Some(committed.sha256));
                after.last = Some(committed);
                self.publisher.committed(false);
                Ok(self.continue_from(after, total_micros))
            }
            // Another process has taken the number. The changes are part of the next try.
            Err(error) if error.is_taken() => {
                self.drafts.iter_mut().zip(changes).for_each(|(draft, changes)| draft.changes = changes);
                Err(error.into())
            }
            // The checkpoint may exist all the same.
            Err(error) => {
                let sha256 = Digest::of(manifest.to_yaml().as_bytes());
                after.last = Some(Committed { manifest, sha256 });
                let uncertain = UncertainCommit { sequence, sha256, after, total_micros, staged, changes };
                self.uncertain = Some(Box::new(uncertain));
                self.publisher.committed(true);
                Err(error.into())
            }
        }
    }
}
