//! Whole runs without a process of their own, whose checkpoints are in memory: for tests with thousands of runs.

use std::path::Path;
use std::sync::Arc;

use ckpt::job::JobSpec;
use ckpt::runner::error::RunError;
use ckpt::runner::observer::{Observer, RunEvent, Status, Summary};
use ckpt::runner::options::{Control, Options};
use ckpt::runner::process::processor::Processors;
use ckpt::runner::run;
use ckpt::runner::storage_opener::StorageOpener;
use ckpt::runner::wall_clock::WallClock;
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use jiff::Timestamp;

/// What a run reports, without anyone listening.
struct Silence;

impl Observer for Silence {
    fn event(&self, _: &RunEvent) {}

    fn status(&self, _: &Status) {}
}

/// Runs the job `text`, whose file would be in `directory`, to the end of its input. Its store is `store`.
pub fn run_in_memory(directory: &Path, text: &str, store: &MemoryStorage) -> Result<Summary, RunError> {
    let job = JobSpec::from_bytes(text.as_bytes(), &directory.join("job.yaml")).expect("a job");
    let store = store.clone();
    let options = Options {
        threads: 1,
        must_resume: false,
        latest_good: false,
        holder: "a test".to_owned(),
        clock: WallClock::new(Timestamp::now),
        random: [7; 16],
        processors: Processors::default(),
        storages: StorageOpener::new(move |_| Arc::new(store.clone()) as Arc<dyn Storage>),
        environment: Vec::new(),
    };
    run(&job, &options, &Control::default(), &Silence)
}
