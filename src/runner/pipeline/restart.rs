//! Runs that begin again from the latest checkpoint after a program has failed.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::format::manifest::Totals;
use crate::job::JobSpec;
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent, Status, Summary};
use crate::runner::options::{Control, Options, TICK};
use crate::runner::pipeline::attempt::attempt;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::lock::lock;

/// The longest wait before a restart.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Runs the job to the end of its input, or until `control` asks it to stop.
///
/// An error leaves committed checkpoints untouched, and the next run resumes from the latest. If a program fails and
/// the job has restarts left, the run itself resumes from there. A restart is like a new process after the old one was
/// killed: nothing is left of the failed attempt except what it has committed. The count of restarts starts over after
/// each checkpoint.
pub fn run(job: &JobSpec, options: &Options, control: &Control, observer: &dyn Observer) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let tally = Tally { observer, totals: Mutex::default() };
    let mut options = options.clone();
    let mut restarts = 0;
    let mut restarts_in_all: u32 = 0;
    loop {
        let error = match attempt(job, &options, control, &tally, restarts_in_all) {
            Ok(summary) if restarts_in_all == 0 => return Ok(summary),
            Ok(summary) => return Ok(tally.whole(summary, begun, restarts_in_all.into())),
            Err(error) => error,
        };
        show_traceback(&error, observer);
        if tally.take_committed() {
            restarts = 0;
        }
        let Some(exec) = job.exec.as_ref().filter(|exec| may_restart(&error) && exec.restarts > 0) else {
            return Err(error);
        };
        if control.stop.load(Ordering::Relaxed) {
            return Err(error);
        }
        // Without a checkpoint, the input must be read again from its beginning; standard input cannot be.
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
        // Only the first attempt must find a checkpoint.
        options.must_resume = false;
    }
}

/// Shows where a program has failed. Several programs may fail at once, for the same reason; the run has one error.
fn show_traceback(error: &RunError, observer: &dyn Observer) {
    let RunError::Program { program, worker, failure } = error else { return };
    let ProgramFailure::Reported { traceback: Some(traceback), .. } = &**failure else { return };
    for line in traceback.lines() {
        let (program, line) = (program.clone(), line.to_owned());
        observer.event(&RunEvent::ProgramSaid { program, worker: *worker, line });
    }
}

/// Returns whether another attempt may not fail in the same way.
fn may_restart(error: &RunError) -> bool {
    matches!(error, RunError::Program { failure, .. } if !matches!(**failure, ProgramFailure::Start { .. }))
}

/// Passes on what an attempt reports, and keeps what the summary of all attempts needs.
struct Tally<'a> {
    observer: &'a dyn Observer,
    totals: Mutex<AttemptTotals>,
}

/// What is kept of all attempts.
#[derive(Default)]
struct AttemptTotals {
    /// The checkpoint that the first attempt resumed from, and what it counts.
    first: Option<(Option<Sequence>, Totals)>,
    checkpoints: u64,
    checkpoint_bytes: u64,
    pauses_micros: Vec<u64>,
    /// Whether a checkpoint was committed since this was last checked.
    committed: bool,
}

impl Observer for Tally<'_> {
    fn event(&self, event: &RunEvent) {
        {
            let mut totals = lock(&self.totals);
            match event {
                RunEvent::Fresh { .. } => _ = totals.first.get_or_insert_with(Default::default),
                RunEvent::Resumed { sequence, totals: resumed, .. } => {
                    totals.first.get_or_insert((Some(*sequence), *resumed));
                }
                RunEvent::Committed(done) => {
                    let manifest = &done.committed.manifest;
                    totals.committed = true;
                    totals.checkpoints += 1;
                    totals.checkpoint_bytes += manifest.totals.new_bytes;
                    totals.pauses_micros.push(manifest.timings.pause_micros);
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
        std::mem::take(&mut lock(&self.totals).committed)
    }

    /// Returns the summary of all attempts. `last` is that of the last one.
    fn whole(&self, last: Summary, begun: Instant, restarts: u64) -> Summary {
        let mut totals = lock(&self.totals);
        let (resumed_from, before) = totals.first.unwrap_or_default();
        let mut pauses_micros = std::mem::take(&mut totals.pauses_micros);
        pauses_micros.sort_unstable();
        Summary {
            restarts,
            resumed_from,
            records: last.records_in_all.saturating_sub(before.records),
            skipped: last.skipped_in_all.saturating_sub(before.skipped),
            late: last.late_in_all.saturating_sub(before.late),
            checkpoints: totals.checkpoints,
            checkpoint_bytes: totals.checkpoint_bytes,
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
    use crate::runner::wall_clock::WallClock;

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
            clock: WallClock::new(Timestamp::now),
            random: [1; 16],
            environment: Vec::new(),
            share: None,
            assumed_output: None,
            processors: Processors::default(),
            storages: StorageOpener::default(),
        };
        let result = run(&job, &options, &Control::default(), &Panicking);
        assert!(matches!(result, Err(RunError::Panicked)));
    }
}
