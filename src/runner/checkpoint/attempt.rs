//! The times of an attempt to make a checkpoint, and its line in the log of attempts.

use std::time::Instant;

use crate::runner::messages::{CheckpointOutcome, Cut};
use crate::store::records::attempts::{self, AttemptOutcome};
use crate::values::error_chain::in_one_line;

/// How long the parts of an attempt took, as far as it has come.
pub(super) struct AttemptTimes {
    pub(super) begun: Instant,
    /// When the last frozen shard arrived.
    pub(super) taken: Option<Instant>,
    /// When all objects were written and flushed.
    pub(super) written: Option<Instant>,
    /// The longest pause of any worker.
    pub(super) pause_micros: u64,
}

impl AttemptTimes {
    /// Starts the clock.
    pub(super) fn start() -> AttemptTimes {
        AttemptTimes { begun: Instant::now(), taken: None, written: None, pause_micros: 0 }
    }

    /// Makes the log entry of an attempt at `cut` that ended just now. The log adds its number and the run.
    pub(super) fn log_entry(&self, cut: &Cut, outcome: &CheckpointOutcome) -> attempts::Attempt {
        let (outcome, sequence, new_bytes, error) = match outcome {
            CheckpointOutcome::Committed(done) | CheckpointOutcome::Found(done) => {
                let manifest = &done.committed.manifest;
                (AttemptOutcome::Committed, Some(manifest.sequence), manifest.totals.new_bytes, None)
            }
            CheckpointOutcome::Elided => (AttemptOutcome::Elided, None, 0, None),
            CheckpointOutcome::Failed(error) => (AttemptOutcome::Failed, None, 0, Some(in_one_line(error.as_ref()))),
        };
        let now = Instant::now();
        let taken = self.taken.unwrap_or(now);
        let written = self.written.unwrap_or(now);
        attempts::Attempt {
            number: 0,
            time: cut.created,
            run: String::new(),
            trigger: cut.trigger,
            outcome,
            sequence,
            pause_micros: self.pause_micros,
            snapshot_micros: micros(cut.begun, taken),
            write_micros: micros(taken, written),
            commit_micros: micros(written, now),
            new_bytes,
            error,
        }
    }
}

/// Returns the microseconds from one instant to a later one.
pub(super) fn micros(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_micros() as u64
}
