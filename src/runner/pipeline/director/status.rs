//! The status of a run, for its observer.

use std::sync::atomic::Ordering;

use crate::runner::observer::Status;
use crate::runner::pipeline::director::direct::Director;
use crate::runner::pipeline::gauges::Gauges;

impl Director<'_> {
    /// Returns the status of the run now.
    pub(super) fn status(&self, gauges: &Gauges) -> Status {
        let (sums, before) = (self.accounts.sums, self.accounts.before);
        Status {
            records: sums.records,
            records_of_run: sums.records - before.records,
            skipped_of_run: sums.skipped - before.skipped,
            late_of_run: gauges.late.load(Ordering::Relaxed),
            watermark: self.accounts.watermark(),
            input_bytes: sums.input_bytes,
            input_bytes_of_run: sums.input_bytes - before.input_bytes,
            total_bytes: self.total_bytes,
            lag_bytes: match self.run.job.input.follow {
                // How many bytes of a topic are unread, only its brokers know.
                _ if self.run.job.input.topic.is_some() => None,
                true => Some(self.gate.unread_bytes()),
                false => self.total_bytes.map(|total| total.saturating_sub(sums.input_bytes)),
            },
            partition_lags: self.gate.partition_lags(),
            changed_bytes: gauges.changed_bytes.load(Ordering::Relaxed),
            keys: gauges.keys.load(Ordering::Relaxed),
            memory_bytes: gauges.memory_bytes.load(Ordering::Relaxed),
            checkpoints: self.checkpoints.done.len() as u64,
            last: self.checkpoints.last_done,
            elapsed: self.started.elapsed(),
        }
    }
}
