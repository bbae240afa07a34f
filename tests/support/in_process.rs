//! Whole runs without a process of their own, whose checkpoints are in memory: for tests with thousands of runs.

use std::path::Path;
use std::sync::Arc;

use ckpt::format::rows::RowCodec;
use ckpt::job::JobSpec;
use ckpt::ops::copy;
use ckpt::runner::error::RunError;
use ckpt::runner::observer::{Observer, RunEvent, Status, Summary};
use ckpt::runner::options::{Control, Options};
use ckpt::runner::process::aggregate::Program;
use ckpt::runner::process::processor::Processors;
use ckpt::runner::process::processor_rows::ProcessorRows;
use ckpt::runner::run;
use ckpt::runner::storage_opener::StorageOpener;
use ckpt::runner::wall_clock::WallClock;
use ckpt::shape::RowShape;
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::error_chain::in_one_line;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::value::{Column, ColumnType};
use jiff::Timestamp;

/// What a run reports, without anyone listening.
struct Silence;

impl Observer for Silence {
    fn event(&self, _: &RunEvent) {}

    fn status(&self, _: &Status) {}
}

/// Runs the job `text`, whose file would be in `directory`, to the end of its input. Its store is `store`.
pub fn run_in_memory(directory: &Path, text: &str, store: &MemoryStorage) -> Result<Summary, RunError> {
    run_with(directory, text, store, Processors::default(), false)
}

fn run_with(
    directory: &Path,
    text: &str,
    store: &MemoryStorage,
    processors: Processors,
    must_resume: bool,
) -> Result<Summary, RunError> {
    let job = JobSpec::from_bytes(text.as_bytes(), &directory.join("job.yaml")).expect("a job");
    let store = store.clone();
    let options = Options {
        threads: 1,
        must_resume,
        latest_good: false,
        holder: "a test".to_owned(),
        clock: WallClock::new(Timestamp::now),
        random: [7; 16],
        processors,
        storages: StorageOpener::new(move |_| Arc::new(store.clone()) as Arc<dyn Storage>),
        environment: Vec::new(),
        share: None,
        assumed_output: None,
    };
    run(&job, &options, &Control::default(), &Silence)
}

/// Resumes the job `text` from each checkpoint of `store` alone, and passes to `check` the number of the checkpoint and
/// the store at the end of the input. Panics if a run does not accept its checkpoint.
///
/// `text` has no replicas. The input is in `directory`, or its path is absolute; what the runs publish goes to
/// `directory`.
pub fn resume_from_each(
    store: &Store,
    directory: &Path,
    text: &str,
    processors: &Processors,
    check: impl Fn(Sequence, &Store),
) {
    for sequence in store.sequences().expect("listed") {
        let alone = MemoryStorage::new();
        let plan = copy::plan(store, &[sequence], Arc::new(alone.clone())).expect("planned");
        copy::apply(store, &plan, Timestamp::now(), "a test", &Silent).expect("copied");
        if let Err(error) = run_with(directory, text, &alone, processors.clone(), true) {
            panic!("no run resumes from checkpoint {}: {}", sequence.0, in_one_line(&error));
        }
        check(sequence, &Store::open(vec![Arc::new(alone)]).expect("a store"));
    }
}

/// Returns the form of the files of changes of `job`, whose key is `k`, with aggregates of inputs of `column_type`.
pub fn shape_of_changes(job: &JobSpec, column_type: ColumnType, columns: Vec<Column>, has_task: bool) -> RowShape {
    let program = Program::new(&job.aggregates, &job.input, |_| column_type);
    RowShape {
        output: Arc::new(ProcessorRows(Arc::new(program))),
        codec: RowCodec::new(columns),
        windows: None,
        parts: None,
        key_name: "k".to_owned(),
        has_task,
        has_change: true,
        having: None,
    }
}
