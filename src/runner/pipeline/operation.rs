//! Logs in the store how a run starts, what it resumes from, and how it ends.

use std::sync::Mutex;
use std::time::Instant;

use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent, Status, Summary};
use crate::runner::options::Options;
use crate::runner::wall_clock::WallClock;
use crate::store::Store;
use crate::store::records::operations::{OperationKind, OperationLog, RunEnd};
use crate::values::error_chain::in_one_line;
use crate::values::lock::lock;

/// Returns the name of a run, 16 hexadecimal digits, in the logs of the store and in its objects.
pub(crate) fn run_name(seed: u64) -> String {
    format!("{seed:016x}")
}

/// Passes on what a run reports, and logs what belongs in the history of the store, if there is one.
pub(super) struct LoggingObserver<'a> {
    observer: &'a dyn Observer,
    clock: WallClock,
    begun: Instant,
    log: Option<Mutex<OperationLog>>,
}

impl<'a> LoggingObserver<'a> {
    /// Logs that the run named `run`, which has been restarted `restart` times, has `store`.
    pub(super) fn start(
        observer: &'a dyn Observer,
        options: &Options,
        store: Option<&Store>,
        run: String,
        restart: u32,
    ) -> LoggingObserver<'a> {
        let log = store.map(|store| Mutex::new(OperationLog::open(store, Some(run), restart)));
        let logging = LoggingObserver { observer, clock: options.clock.clone(), begun: Instant::now(), log };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        logging.add(OperationKind::Started { holder: options.holder.clone(), version });
        logging
    }

    /// Logs how the run ended. The caller still holds the store.
    pub(super) fn end(&self, outcome: &Result<Summary, RunError>) {
        // A server that has just been waited for is not waited for once more.
        if outcome.as_ref().is_err_and(RunError::is_unreachable) {
            return;
        }
        let elapsed_micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.add(match outcome {
            Err(error) => OperationKind::Failed { error: in_one_line(error), elapsed_micros },
            Ok(Summary { ended, latest, records, checkpoints, .. }) => {
                let (latest, records, checkpoints) = (*latest, *records, *checkpoints);
                let end = RunEnd { latest, records, checkpoints, elapsed_micros };
                if *ended { OperationKind::Ended(end) } else { OperationKind::Stopped(end) }
            }
        });
    }

    fn add(&self, what: OperationKind) {
        if let Some(log) = &self.log {
            lock(log).add(self.clock.now(), what);
        }
    }
}

impl Observer for LoggingObserver<'_> {
    fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Fresh { .. } => self.add(OperationKind::FromScratch),
            RunEvent::Resumed { sequence, totals, .. } => {
                self.add(OperationKind::Resumed { sequence: *sequence, records: totals.records });
            }
            RunEvent::WentBack { sequence, skipped, .. } => {
                let skipped = skipped.iter().map(|skipped| skipped.sequence).collect();
                self.add(OperationKind::WentBack { sequence: *sequence, skipped });
            }
            RunEvent::Rerouted { content, old_tasks, new_tasks } => {
                self.add(OperationKind::Rerouted { keys: content.keys, old_tasks: *old_tasks, new_tasks: *new_tasks })
            }
            _ => {}
        }
        self.observer.event(event);
    }

    fn status(&self, status: &Status) {
        self.observer.status(status);
    }
}
