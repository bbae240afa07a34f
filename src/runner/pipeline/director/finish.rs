//! The end of a run: the last checkpoint, the output, and the summary.

use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;

use crate::format::manifest::Output;
use crate::job::Emit;
use crate::runner::error::RunError;
use crate::runner::messages::{Cut, ThreadEvent};
use crate::runner::observer::{RunEvent, Summary};
use crate::runner::output::final_file;
use crate::runner::output::plan::OutputPlan;
use crate::runner::pipeline::director::direct::{Director, End};
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::spawn::in_deep_pool;
use crate::runner::state::shard::Shard;
use crate::values::id::Sequence;

impl Director<'_> {
    /// Makes the last checkpoint, if anything is new, and publishes the output, once the workers have returned their
    /// shards.
    pub(crate) fn finish(
        &mut self,
        end: End,
        shards: &[(u32, Shard)],
        plan: &Plan,
        events: &Receiver<ThreadEvent>,
        gauges: &Gauges,
    ) -> Result<Summary, RunError> {
        let mut cut = self.last_cut.take().expect("a run ends with a cut");
        let sequence = self.checkpoints.newest.map_or(Sequence::FIRST, Sequence::next);
        let is_final = |output: &&OutputPlan| end == End::Input && output.emit == Emit::Final;
        let staged = match self.run.outputs.rows.as_ref().filter(is_final) {
            None => None,
            Some(output) => {
                let shape = self.run.shape(plan);
                Some(in_deep_pool(plan.workers, || final_file::stage(output, &shape, sequence, shards))?)
            }
        };
        cut.sequence = staged.as_ref().map(|_| sequence);
        cut.outputs = staged.iter().map(|staged| staged.output.clone()).collect();
        let outputs = cut.outputs.clone();
        self.run.observer.status(&self.status(gauges));
        self.make_last_checkpoint(cut, staged.is_some(), events)?;
        if let Some(bad) = self.accounts.fatal.take() {
            return Err(bad.into());
        }
        if let Some(staged) = staged {
            staged.publish()?;
            let Output { rows, bytes, .. } = staged.output;
            self.run.observer.event(&RunEvent::Published { path: staged.shown(), rows, bytes });
        }
        let keys = shards.iter().map(|(_, shard)| shard.keys()).sum();
        Ok(Summary { keys, ended: end == End::Input, outputs, ..self.summary(gauges) })
    }

    /// Makes the checkpoint of the last cut and waits for it, if anything is new.
    fn make_last_checkpoint(
        &mut self,
        cut: Cut,
        has_output: bool,
        events: &Receiver<ThreadEvent>,
    ) -> Result<(), RunError> {
        self.checkpoints.at_end = true;
        // What is new of one of several workers, its checkpointer knows: others have moved the numbers in the store.
        let is_shared = self.run.share.is_some();
        let is_new = !self.is_cut_short && (self.makes_up || is_shared || self.checkpoints.is_new(&cut, has_output));
        if let Some(file) = &mut self.accounts.dead_letter {
            file.append(&cut.dead_lines)?;
        }
        match self.threads.cuts.as_ref().filter(|_| is_new) {
            None => {
                self.answer_elided();
                if self.threads.cuts.is_some() && !self.is_cut_short {
                    self.run.observer.event(&RunEvent::CheckpointElided { cause: cut.trigger });
                }
            }
            Some(cuts) => self.checkpoints.start(cut, cuts),
        }
        while self.checkpoints.busy {
            let event = events.recv().map_err(|_| RunError::Panicked)?;
            self.take(event)?;
        }
        Ok(())
    }

    /// Returns the summary, but for what the shards and the output say.
    fn summary(&self, gauges: &Gauges) -> Summary {
        let (sums, before) = (self.accounts.sums, self.accounts.before);
        let late = gauges.late.load(Ordering::Relaxed);
        let manifests = || self.checkpoints.done.iter().map(|done| &done.committed.manifest);
        let mut pauses_micros: Vec<u64> = manifests().map(|manifest| manifest.timings.pause_micros).collect();
        pauses_micros.sort_unstable();
        Summary {
            resumed_from: self.checkpoints.resumed_from,
            skipped_checkpoints: self.run.skipped_checkpoints.clone(),
            latest: self.checkpoints.latest_sequence(),
            records: sums.records - before.records,
            records_in_all: sums.records,
            skipped: sums.skipped - before.skipped,
            skipped_in_all: sums.skipped,
            late,
            late_in_all: self.late_before + late,
            early: self.accounts.early.records,
            bad_reasons: self.accounts.reasons.sorted(),
            input_bytes: sums.input_bytes - before.input_bytes,
            checkpoints: self.checkpoints.done.len() as u64,
            checkpoint_bytes: manifests().map(|manifest| manifest.totals.new_bytes).sum(),
            pauses_micros,
            loading: self.started - self.run.begun,
            elapsed: self.started.elapsed(),
            changes: self.checkpoints.changes,
            ..Summary::default()
        }
    }
}
