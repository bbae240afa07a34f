//! Runs that begin again from the latest checkpoint after a program has failed.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::job::JobSpec;
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent, Status, Summary};
use crate::runner::options::{Control, Options, TICK};
use crate::runner::pipeline::attempt::attempt;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// The longest wait before a restart.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Runs the job to the end of its input, or until `control` says stop.
///
/// On an error everything that was committed is untouched, and the next run goes on from there. When a program fails, and the job has restarts left,
/// the run itself goes on from there. A restart is as good as the run of a process that was killed: nothing is left of the attempt before but what was
/// committed. The restarts are counted anew after each checkpoint.
pub fn run(job: &JobSpec, options: &Options, control: &Control, observer: &dyn Observer) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let tally = Tally { observer, seen: Mutex::default() };
    let mut options = options.clone();
    let mut restarts = 0;
    let mut restarts_in_all = 0;
    loop {
        let error = match attempt(job, &options, control, &tally) {
            Ok(summary) if restarts_in_all == 0 => return Ok(summary),
            Ok(summary) => return Ok(tally.whole(summary, begun, restarts_in_all)),
            Err(error) => error,
        };
        if tally.take_committed() {
            restarts = 0;
        }
        let Some(exec) = job.exec.as_ref().filter(|exec| may_restart(&error) && exec.restarts > 0) else {
            return Err(error);
        };
        if control.stop.load(Ordering::Relaxed) {
            return Err(error);
        }
        // What nothing was committed of can only be read again from its beginning; standard input can not.
        if !job.checkpoint.enabled || job.input.files.iter().any(|file| file == "-") {
            return Err(RunError::NoRestart { source: Box::new(error) });
        }
        if restarts >= exec.restarts {
            return Err(RunError::RestartsSpent { restarts, source: Box::new(error) });
        }
        let wait = exec.backoff.saturating_mul(1 << restarts.min(20)).min(MAX_WAIT);
        restarts += 1;
        restarts_in_all += 1;
        observer.event(&RunEvent::Restarting {
            reason: in_one_line(&error),
            wait,
            restart: restarts,
            of: exec.restarts,
        });
        let since = Instant::now();
        while since.elapsed() < wait {
            if control.stop.load(Ordering::Relaxed) {
                return Err(error);
            }
            std::thread::sleep(TICK.min(wait));
        }
        // The first attempt has gone back, if it had to. That there is a checkpoint was asked of it alone.
        options.must_resume = false;
    }
}

/// Tells whether the failure is one that another attempt may not have.
fn may_restart(error: &RunError) -> bool {
    matches!(error, RunError::Program { failure, .. } if !matches!(failure, ProgramFailure::Start { .. }))
}

/// Passes on what an attempt tells, and keeps what the summary of all attempts needs.
struct Tally<'a> {
    observer: &'a dyn Observer,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Of the first attempt: the checkpoint that it went on from, and its records.
    first: Option<(Option<Sequence>, u64)>,
    /// Of all attempts.
    checkpoints: u64,
    checkpoint_bytes: u64,
    pauses_micros: Vec<u64>,
    /// Whether a checkpoint was committed since it was last asked.
    committed: bool,
}

impl Observer for Tally<'_> {
    fn event(&self, event: &RunEvent) {
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                RunEvent::Fresh { .. } => _ = seen.first.get_or_insert((None, 0)),
                RunEvent::Resumed { sequence, records, .. } => {
                    seen.first.get_or_insert((Some(*sequence), *records));
                }
                RunEvent::Committed(done) => {
                    let manifest = &done.committed.manifest;
                    seen.committed = true;
                    seen.checkpoints += 1;
                    seen.checkpoint_bytes += manifest.totals.new_bytes;
                    seen.pauses_micros.push(manifest.timings.pause_micros);
                }
                _ => {}
            }
        }
        self.observer.event(event);
    }

    fn status(&self, status: &Status) {
        self.observer.status(status);
    }
}

impl Tally<'_> {
    fn take_committed(&self) -> bool {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).committed)
    }

    /// Returns the summary of all attempts. `last` is that of the last one.
    fn whole(&self, last: Summary, begun: Instant, restarts: u64) -> Summary {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (resumed_from, records_before) = seen.first.unwrap_or_default();
        let mut pauses_micros = std::mem::take(&mut seen.pauses_micros);
        pauses_micros.sort_unstable();
        Summary {
            restarts,
            resumed_from,
            records: last.records_in_all.saturating_sub(records_before),
            checkpoints: seen.checkpoints,
            checkpoint_bytes: seen.checkpoint_bytes,
            pauses_micros,
            elapsed: begun.elapsed().saturating_sub(last.loading),
            ..last
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::runner::process::processor::Processors;
    use crate::runner::storage_opener::StorageOpener;

    struct Panicking;

    impl Observer for Panicking {
        fn event(&self, _: &RunEvent) {}

        fn status(&self, _: &Status) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_panic_of_the_directing_thread_ends_the_run_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.jsonl"), "{\"k\":1}\n".repeat(100_000)).unwrap();
        let text = "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\n";
        let job = JobSpec::from_bytes(text.as_bytes(), &dir.path().join("job.yaml")).unwrap();
        let options = Options {
            threads: 2,
            latest_good: false,
            must_resume: false,
            holder: "a test".to_owned(),
            clock: Timestamp::now,
            random: [1; 16],
            environment: Vec::new(),
            processors: Processors::default(),
            storages: StorageOpener::default(),
        };
        let result = run(&job, &options, &Control::default(), &Panicking);
        assert!(matches!(result, Err(RunError::Panicked)));
    }
}
