//! Why a run ends with an error.

use std::io;
use std::time::Duration;

use crate::format::error::ManifestError;
use crate::format::error::TableError;
use crate::format::layout::ObjectName;
use crate::input::InputError;
use crate::input::record::FilterError;
use crate::job::definition::DefinitionError;
use crate::job::{Difference, JobFileError, MaxBad};
use crate::runner::bad_reasons::BadReason;
use crate::runner::output::error::OutputError;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::rejected::RecordOffset;
use crate::runner::state::content::ContentMismatch;
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::id::Sequence;
use crate::values::units::Span;

/// Why a run ended with an error. Committed checkpoints are unaffected.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("program `{program}` of worker {worker} failed")]
    Program {
        program: String,
        /// The number of the worker, from 0.
        worker: usize,
        #[source]
        failure: Box<ProgramFailure>,
    },
    /// A program failed, and the job may be restarted but cannot be.
    #[error("cannot restart the job: there is no checkpoint to resume from, or standard input cannot be read again")]
    NoRestart { source: Box<RunError> },
    #[error("the job has failed {} times without a checkpoint in between", .restarts + 1)]
    RestartsSpent { restarts: u32, source: Box<RunError> },
    /// An attempt to make a checkpoint took longer than the job file allows.
    #[error("the checkpoint was not finished within {}", Span(*.timeout))]
    CheckpointTimeout { timeout: Duration },
    /// A run could not resume from a checkpoint, which was therefore not committed. This is a bug.
    #[error("checkpoint {} was not committed, because no run could resume from it", .sequence.0)]
    NotResumable { sequence: Sequence, source: Box<RunError> },
    #[error("{failures} checkpoints in a row failed, but the job tolerates only {tolerated}")]
    TooManyFailures {
        failures: u32,
        tolerated: u32,
        /// Why the last of them failed.
        source: Box<RunError>,
    },
    /// Another worker has committed tasks that this one has.
    #[error("another worker has committed {} in checkpoint {}", counted_tasks(.tasks), .sequence.0)]
    Rival { sequence: Sequence, tasks: Vec<u32> },
    /// What this worker has written for its next checkpoint is gone.
    #[error("other workers committed checkpoint {} and pruned what this worker had written for its next checkpoint", .sequence.0)]
    Outpaced {
        /// The latest checkpoint.
        sequence: Sequence,
        /// Whether this worker has committed one since it was given its tasks.
        has_committed: bool,
    },
    /// The latest checkpoint is part of another batch than this worker reads, which another one has begun or completed.
    #[error("checkpoint {} is part of another batch", .sequence.0)]
    OtherBatch { sequence: Sequence },
    /// A restore has made the latest checkpoint. The files that the job has published have to be reconciled with it.
    #[error("checkpoint {} is a rollback", .sequence.0)]
    RolledBack { sequence: Sequence },
    #[error("cannot start a thread")]
    Thread { source: io::Error },
    /// A thread of the run panicked, which is a bug.
    #[error("a thread of the run panicked")]
    Panicked,
}

/// A mistake in the job file that only shows when the job is run.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("`where`: {0}")]
    Filter(FilterError),
    /// The job names a processor that is not built in, or that refuses the job.
    #[error("{reason}")]
    Processor { reason: String },
    /// The job would read a file that it writes, or write two things to one file.
    #[error("`{path}` cannot be both {first} and {second} of a job")]
    SamePath { path: String, first: &'static str, second: &'static str },
    #[error("the store of a job is a directory: `{path}` is not")]
    StoreNotADirectory { path: String },
    /// A store in several places lists them in a file of text.
    #[error("the path of a store with replicas must be UTF-8: `{path}` is not")]
    PlaceNotUtf8 { path: String },
    /// The job would write into a store, which only the store itself may do.
    #[error("{what} of a job cannot be in a store: `{path}` is in `{store}`")]
    InStore { what: &'static str, path: String, store: String },
    /// The job does something that cannot be divided between workers.
    #[error("a job of several workers cannot have {what}")]
    Worker { what: &'static str },
    /// A function that compares values was given a field whose values have different types.
    #[error("`{function}({field})`: `{field}` has values of several types in the first records")]
    MixedTypes { function: &'static str, field: String },
    /// A function that compares values was given a field whose values have no order.
    #[error("`{function}({field})`: `{field}` has bools in the first records, which have no order")]
    Unordered { function: &'static str, field: String },
}

/// Why the content of a checkpoint cannot be used, although its manifest can.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A table cannot be read, although its bytes are those that its name promises.
    #[error("cannot read object `{object}`")]
    Table { object: ObjectName, source: TableError },
    #[error("cannot read the job's definition in checkpoint {sequence}")]
    Definition { sequence: Sequence, source: JobFileError },
    /// Parts of the checkpoint contradict each other.
    #[error("checkpoint {sequence} is inconsistent: {reason}")]
    Inconsistent { sequence: Sequence, reason: String },
}

/// Why a run cannot resume.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The latest checkpoint is damaged, and the run may not skip it.
    #[error("cannot resume from checkpoint {}, the latest", .sequence.0)]
    LatestDamaged { sequence: Sequence, source: Box<RunError> },
    /// The run may skip damaged checkpoints, and there are no others.
    #[error("`{place}` has no intact checkpoint")]
    NoneIntact {
        place: String,
        /// What is wrong with each checkpoint, the newest first.
        causes: Vec<(Sequence, RunError)>,
    },
    /// Rows were lost on the way to another layout. The checkpoint is unaffected.
    #[error("cannot convert the state of checkpoint {sequence} to another layout")]
    Rerouting { sequence: Sequence, source: ContentMismatch },
    /// The job file no longer fits the state.
    #[error("the job file does not fit checkpoint {sequence}: {}", list(.differences))]
    Unfit { sequence: Sequence, differences: Vec<Difference> },
    /// The run must resume, and there is no checkpoint.
    #[error("`{place}` has no checkpoint to resume from")]
    NothingToResume { place: String },
    /// There is no store, but a file that the job has published.
    #[error("`{place}` is not a store, yet the published output `{output}` exists: the checkpoints are missing")]
    StoreMissing { place: String, output: String },
    /// The store is missing, but a file with dead letters or late records exists.
    #[error("`{place}` is not a store, yet `{file}` has records of an earlier run: the checkpoints are missing")]
    StoreOfLinesMissing { place: String, file: String },
    /// The store has no checkpoints, but there is a file that the job has published.
    #[error("`{place}` has no checkpoint, yet the published output `{output}` exists: the checkpoints are missing")]
    CheckpointsMissing { place: String, output: String },
    /// The store belongs to another job.
    #[error("`{place}` holds the checkpoints of job `{found}`, not of `{expected}`")]
    OtherJob { place: String, expected: String, found: String },
    /// The built-in processor of the job has other columns than the state.
    #[error("the columns of the state in checkpoint {sequence} are not those of the built-in processor")]
    NativeColumns { sequence: Sequence },
    /// The state needs another layout, which requires all shards to be at one cut.
    #[error(
        "the shards of checkpoint {} are at several cuts; a different task count or other aggregates need all shards at one",
        .sequence.0
    )]
    SeveralCuts { sequence: Sequence },
}

/// Why a record ended the run.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A bad record, with `on_error: fail`.
    #[error("bad record {record} of `{partition}` at {offset}: {reason}")]
    Bad {
        partition: String,
        offset: RecordOffset,
        /// The number of the record in the partition, from 0.
        record: u64,
        reason: String,
        beginning: String,
    },
    /// More records were bad than `on_error: max` allows.
    #[error("too many bad records: {skipped} of {records}, and `max` is {max}")]
    TooManyBad {
        /// Bad records since the job began.
        skipped: u64,
        /// Records since the job began.
        records: u64,
        max: MaxBad,
        /// Why those of this run are bad, the most frequent reason first.
        reasons: Vec<BadReason>,
    },
    /// A record arrived after all its windows had closed, with `on_late: fail`.
    #[error("late record {record} of `{partition}` at {offset}: {reason}")]
    Late {
        partition: String,
        offset: RecordOffset,
        /// The number of the record in the partition, from 0.
        record: u64,
        reason: String,
        beginning: String,
    },
    /// A record could not be applied, for example because a sum overflowed.
    #[error("{reason} for key `{key}`")]
    Unapplied { reason: String, key: String },
}

impl RunError {
    /// Returns whether the error means that a checkpoint is damaged. A store in a newer format is not damaged.
    pub fn is_damage(&self) -> bool {
        match self {
            RunError::Store(StoreError::Manifest { source, .. }) => !matches!(source, ManifestError::Format { .. }),
            RunError::Store(StoreError::Storage(error)) => matches!(
                error,
                StorageError::NotFound { .. }
                    | StorageError::NotAFile { .. }
                    | StorageError::NotADirectory { .. }
                    | StorageError::TooLarge { .. }
            ),
            RunError::Store(
                StoreError::Mismatch { .. }
                | StoreError::Damaged { .. }
                | StoreError::ManifestDamaged { .. }
                | StoreError::SumsDamaged { .. },
            ) => true,
            RunError::Checkpoint(_) => true,
            _ => false,
        }
    }

    /// Returns whether the disk cannot return the bytes of a file of the store, for instance because of a bad sector.
    pub fn is_unreadable(&self) -> bool {
        match self {
            RunError::Store(StoreError::Storage(error @ StorageError::Io { action: "read", .. })) => {
                !error.is_inconclusive()
            }
            _ => false,
        }
    }

    /// Returns whether the run has waited in vain for the server of its store.
    pub fn is_unreachable(&self) -> bool {
        match self {
            RunError::Store(StoreError::Storage(StorageError::Bucket { fault, .. })) => !fault.is_refusal(),
            RunError::TooManyFailures { source, .. } => source.is_unreachable(),
            _ => false,
        }
    }

    /// Returns whether another attempt at a checkpoint may succeed after one has failed with this error.
    pub fn may_pass(&self) -> bool {
        match self {
            RunError::Input(InputError::Object { .. }) => true,
            RunError::Store(error) => !matches!(
                error,
                StoreError::NumberTaken { .. }
                    | StoreError::Overtaken { .. }
                    | StoreError::Diverged { .. }
                    | StoreError::Unrelated { .. }
                    | StoreError::Busy { .. }
                    | StoreError::SamePlace { .. }
            ),
            RunError::Output(OutputError::Write { .. } | OutputError::DeadLetter { .. } | OutputError::Bucket(_)) => {
                true
            }
            RunError::Output(error) => error.may_pass(),
            RunError::CheckpointTimeout { .. } | RunError::Input(InputError::Read { .. }) => true,
            _ => false,
        }
    }

    /// Returns a function for `map_err` that adds the name of a table to its error.
    pub fn table(object: ObjectName) -> impl FnOnce(TableError) -> RunError {
        move |source| CheckpointError::Table { object, source }.into()
    }
}

impl From<DefinitionError> for RunError {
    fn from(error: DefinitionError) -> RunError {
        match error {
            DefinitionError::Store(error) => error.into(),
            DefinitionError::NotText { sequence } => {
                let reason = "the job's definition is not UTF-8".to_owned();
                CheckpointError::Inconsistent { sequence, reason }.into()
            }
            DefinitionError::Malformed { sequence, source } => CheckpointError::Definition { sequence, source }.into(),
        }
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ")
}

fn counted_tasks(tasks: &[u32]) -> String {
    let numbers: Vec<String> = tasks.iter().map(u32::to_string).collect();
    format!("task{} {}", if tasks.len() == 1 { "" } else { "s" }, numbers.join(", "))
}
