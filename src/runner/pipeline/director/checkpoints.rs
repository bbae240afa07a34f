//! The checkpoints of a run, and the attempts at them.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::format::manifest::{Output, Trigger};
use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::messages::Cut;
use crate::runner::observer::{Done, PublishedChanges, RunEvent};
use crate::runner::pipeline::run::Run;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// What was committed, and the attempt that is being made.
pub(super) struct Checkpoints {
    /// The latest checkpoint.
    pub(super) latest: Option<Latest>,
    /// As [`Lineage::newest`].
    pub(super) newest: Option<Sequence>,
    /// As [`Lineage::is_relaid`], until a checkpoint is committed.
    pub(super) is_relaid: bool,
    /// As [`Lineage::has_skipped`], until a checkpoint is committed.
    has_skipped: bool,
    pub(super) resumed_from: Option<Sequence>,
    /// The checkpoints of this run.
    pub(super) done: Vec<Done>,
    /// The last of them, when it was committed, and how long it took.
    pub(super) last_done: Option<(Sequence, Instant, Duration)>,
    /// What they have published.
    pub(super) changes: PublishedChanges,
    /// Whether an attempt is being made.
    pub(super) busy: bool,
    /// What triggered it, or the one before.
    pub(super) attempted: Trigger,
    /// Whether it is the last one.
    pub(super) at_end: bool,
    /// Attempts that failed in a row.
    failures: u32,
}

/// The latest checkpoint.
pub(super) struct Latest {
    pub(super) sequence: Sequence,
    pub(super) block: u64,
    pub(super) ended: bool,
    pub(super) outputs: Vec<Output>,
}

impl Checkpoints {
    /// Makes the checkpoints of a run that continues from `lineage`.
    pub(super) fn new(lineage: &Lineage) -> Checkpoints {
        let latest = lineage.last.as_ref().map(|last| Latest {
            sequence: last.manifest.sequence,
            block: last.manifest.block,
            ended: last.manifest.ended,
            outputs: last.manifest.outputs.clone(),
        });
        Checkpoints {
            resumed_from: latest.as_ref().map(|latest| latest.sequence),
            latest,
            newest: lineage.newest,
            is_relaid: lineage.is_relaid,
            has_skipped: lineage.has_skipped,
            done: Vec::new(),
            last_done: None,
            changes: PublishedChanges::default(),
            busy: false,
            attempted: Trigger::Schedule,
            at_end: false,
            failures: 0,
        }
    }

    /// Returns the number of the latest checkpoint.
    pub(super) fn latest_sequence(&self) -> Option<Sequence> {
        self.latest.as_ref().map(|latest| latest.sequence)
    }

    /// Starts an attempt at `cut`.
    pub(super) fn start(&mut self, cut: Cut, cuts: &Sender<Cut>) {
        self.attempted = cut.trigger;
        let _ = cuts.send(cut);
        self.busy = true;
    }

    /// Notes that an attempt ended well.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts a failed attempt. Fails if the job does not tolerate it.
    pub(super) fn failed(&mut self, run: &Run<'_>, error: Box<RunError>) -> Result<(), RunError> {
        self.failures += 1;
        let tolerated = run.job.checkpoint.tolerate;
        if self.at_end || tolerated == 0 || !error.may_pass() {
            return Err(*error);
        }
        if self.failures > tolerated {
            return Err(RunError::TooManyFailures { failures: self.failures, tolerated, source: error });
        }
        let (cause, failures, reason) = (self.attempted, self.failures, in_one_line(error.as_ref()));
        run.observer.event(&RunEvent::CheckpointFailed { cause, failures, tolerated, reason });
        Ok(())
    }

    /// Notes a committed checkpoint, and reports it and the files of changes that it has published.
    pub(super) fn committed(&mut self, run: &Run<'_>, done: Done) {
        let manifest = &done.committed.manifest;
        self.latest = Some(Latest {
            sequence: manifest.sequence,
            block: manifest.block,
            ended: manifest.ended,
            outputs: manifest.outputs.clone(),
        });
        if let Some(plan) = run.outputs.rows.as_ref().filter(|plan| plan.emit.is_by_checkpoint()) {
            let name = plan.name(manifest.sequence);
            for output in manifest.outputs.iter().filter(|output| output.path == name) {
                self.changes.files += 1;
                self.changes.rows += output.rows;
                self.changes.bytes += output.bytes;
                let path = plan.shown(manifest.sequence);
                run.observer.event(&RunEvent::Published { path, rows: output.rows, bytes: output.bytes });
            }
        }
        if let Some(messages) = manifest.messages.as_ref().filter(|messages| messages.checkpoint == manifest.sequence) {
            self.changes.files += 1;
            self.changes.rows += messages.rows;
            self.changes.bytes += messages.bytes;
            run.observer.event(&RunEvent::sent(messages));
        }
        self.newest = Some(manifest.sequence);
        (self.is_relaid, self.has_skipped) = (false, false);
        self.last_done = Some((manifest.sequence, Instant::now(), Duration::from_micros(done.total_micros)));
        run.observer.event(&RunEvent::Committed(Box::new(done.clone())));
        self.done.push(done);
    }

    /// Returns whether the last cut has anything that the latest checkpoint does not have. `outputs` says whether the
    /// run publishes output files at its end.
    pub(super) fn is_new(&self, cut: &Cut, outputs: bool) -> bool {
        self.latest.as_ref().is_none_or(|latest| {
            let other_output = outputs && cut.outputs.iter().any(|output| !latest.outputs.contains(output));
            let is_end_new = cut.ended && (!latest.ended || other_output);
            // The checkpointer knows whether the latest checkpoint has those positions.
            let has_pending = cut.positions.iter().any(|cut| cut.position.has_pending_bytes());
            // Otherwise the next run would find the damaged checkpoints again.
            self.has_skipped || self.is_relaid || latest.block != cut.number || is_end_new || has_pending
        })
    }
}
