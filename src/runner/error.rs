//! What can end a run.

use std::time::Duration;

use crate::format::error::ManifestError;
use crate::format::error::TableError;
use crate::format::layout::ObjectName;
use crate::input::InputError;
use crate::job::definition::DefinitionError;
use crate::job::{Difference, JobFileError};
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::state::content::Lost;
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::id::Sequence;
use crate::values::units::Span;

/// Why a run could not go on. What was committed before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The input, as a whole or one partition.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table of the latest checkpoint, whose bytes are what their name promises.
    #[error("cannot read object `{object}`")]
    Table {
        /// The object.
        object: ObjectName,
        /// What is wrong with it.
        source: TableError,
    },
    /// The definition in the latest checkpoint.
    #[error("cannot read the job's definition in checkpoint {sequence}")]
    Definition {
        /// The checkpoint.
        sequence: Sequence,
        /// What is wrong with it.
        source: JobFileError,
    },
    /// The state in a checkpoint is not what its manifest says.
    #[error("checkpoint {sequence} is not consistent: {reason}")]
    Inconsistent {
        /// The checkpoint.
        sequence: Sequence,
        /// What does not fit.
        reason: String,
    },
    /// The latest checkpoint is not what was committed, and the run was not told to go back behind it.
    #[error("checkpoint {}, the latest, can not be resumed from", .sequence.0)]
    LatestDamaged {
        /// The checkpoint.
        sequence: Sequence,
        /// What is wrong with it.
        source: Box<RunError>,
    },
    /// The run was told to go back, and there is nothing to go back to.
    #[error("`{place}` has no checkpoint that is intact")]
    NoneIntact {
        /// The store.
        place: String,
        /// What is wrong with each checkpoint, the newest first.
        causes: Vec<(Sequence, RunError)>,
    },
    /// Rows were lost on the way to other tasks.
    #[error("cannot put the state of checkpoint {sequence} into another layout")]
    Rerouting {
        /// The checkpoint, which is as it was.
        sequence: Sequence,
        /// What was and what is.
        source: Lost,
    },
    /// The job file no longer fits the state.
    #[error("the job file does not fit checkpoint {sequence}: {}", list(.differences))]
    Unfit {
        /// The checkpoint.
        sequence: Sequence,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// `--must-resume`, and there is no checkpoint.
    #[error("`{place}` has no checkpoint to resume from")]
    NothingToResume {
        /// The store.
        place: String,
    },
    /// There is no store, but there is what the job published.
    #[error("`{place}` is no store, but `{output}` is there, which this job publishes: its checkpoints are missing")]
    StoreMissing {
        /// Where the store should be.
        place: String,
        /// A published file.
        output: String,
    },
    /// There is a store without checkpoints, but there is what the job published.
    #[error(
        "`{place}` has no checkpoint, but `{output}` is there, which this job publishes: its checkpoints are missing"
    )]
    CheckpointsMissing {
        /// The store.
        place: String,
        /// A published file.
        output: String,
    },
    /// Fields of different types for a function that compares.
    #[error("`{function}({field})`: the first records hold values of several types in `{field}`")]
    MixedTypes {
        /// The function.
        function: &'static str,
        /// The field.
        field: String,
    },
    /// Fields without an order for a function that compares.
    #[error("`{function}({field})`: the first records hold bools in `{field}`, which have no order")]
    Unordered {
        /// The function.
        function: &'static str,
        /// The field.
        field: String,
    },
    /// A record came after all its windows were closed, and the job file says that the run ends then.
    #[error("late record {record} of `{partition}` at byte {offset}: {reason}")]
    LateRecord {
        /// The partition.
        partition: String,
        /// The offset of the record's first byte.
        offset: u64,
        /// The record's number in the partition, from 0.
        record: u64,
        /// How late it is.
        reason: String,
        /// How the record begins.
        beginning: String,
    },
    /// The expression of `where:` can not be used.
    #[error("`where`: {reason}")]
    Filter {
        /// What is wrong with it.
        reason: String,
    },
    /// A bad record, and `on_error: fail`.
    #[error("bad record {record} of `{partition}` at byte {offset}: {reason}")]
    BadRecord {
        /// The partition.
        partition: String,
        /// The offset of its first byte, after decompression.
        offset: u64,
        /// Its number in the partition, from 0.
        record: u64,
        /// What is wrong with it.
        reason: String,
        /// Its beginning.
        beginning: String,
    },
    /// A file that the job writes is one of its inputs, or both of its outputs.
    #[error("`{path}` can not be {first} and {second} of one job")]
    SamePath {
        /// The file.
        path: String,
        /// What it is.
        first: &'static str,
        /// What it is, too.
        second: &'static str,
    },
    /// The store is another job's.
    #[error("`{place}` holds the checkpoints of job `{found}`, not of `{expected}`")]
    OtherJob {
        /// The store.
        place: String,
        /// The job of the job file.
        expected: String,
        /// The job of the store.
        found: String,
    },
    /// A record could not be applied: a sum left its bounds, for instance.
    #[error("{reason} for key `{key}`")]
    Process {
        /// What went wrong.
        reason: String,
        /// The key.
        key: String,
    },
    /// The job wants a processor that is not built in, or that refuses it.
    #[error("{reason}")]
    Processor {
        /// What is wrong.
        reason: String,
    },
    /// A built-in processor has other columns than the state.
    #[error("the columns of the state in checkpoint {sequence} are not those of the built-in processor")]
    NativeColumns {
        /// The checkpoint.
        sequence: Sequence,
    },
    /// A program of the job.
    #[error("program `{program}` of worker {worker} failed")]
    Program {
        /// What it is called.
        program: String,
        /// Its worker, from 0.
        worker: usize,
        /// What it did wrong.
        #[source]
        failure: ProgramFailure,
    },
    /// A program has failed, and the job has restarts that can not be made.
    #[error(
        "the job can not be restarted: there is no checkpoint to go on from, or standard input can not be read again"
    )]
    NoRestart {
        /// What the program did wrong.
        source: Box<RunError>,
    },
    /// A program has failed again and again.
    #[error("the job has failed {} times without a checkpoint in between", .restarts + 1)]
    RestartsSpent {
        /// The restarts that were made.
        restarts: u32,
        /// What the program did wrong.
        source: Box<RunError>,
    },
    /// The dead-letter file.
    #[error("cannot write `{path}`")]
    DeadLetter {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Lines of the dead-letter file are gone.
    #[error("`{path}` has {found} bytes, the checkpoint counts {expected}")]
    DeadLetterShort {
        /// The file.
        path: String,
        /// What belongs to the checkpoint, in bytes.
        expected: u64,
        /// What there is, in bytes.
        found: u64,
    },
    /// What should become the dead-letter file is something else.
    #[error("`{path}` is there and is no dead-letter file: it is not overwritten")]
    DeadLetterTaken {
        /// The file.
        path: String,
    },
    /// An output file.
    #[error("cannot write output `{path}`")]
    Output {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state is to be laid out anew, and its shards are not at one cut.
    #[error("the shards of checkpoint {} are not at one cut, which another number of tasks or other aggregates need", .sequence.0)]
    SeveralCuts {
        /// The checkpoint.
        sequence: Sequence,
    },
    /// An attempt to make a checkpoint took longer than the job file allows.
    #[error("the checkpoint was not done within {}", Span(*.timeout))]
    CheckpointTimeout {
        /// `checkpoint.timeout`.
        timeout: Duration,
    },
    /// More checkpoints in a row could not be made than the job file tolerates.
    #[error("{failures} checkpoints in a row failed, the job tolerates {tolerated}")]
    TooManyFailures {
        /// How many failed.
        failures: u32,
        /// `checkpoint.tolerate`.
        tolerated: u32,
        /// Why the last one did.
        source: Box<RunError>,
    },
    /// A thread of the run panicked: a mistake in this program.
    #[error("a thread of the run failed")]
    Panicked,
}

impl RunError {
    /// Tells whether the error is that a checkpoint is not what was committed. A store of a newer format is not damaged.
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
            RunError::Table { .. } | RunError::Definition { .. } | RunError::Inconsistent { .. } => true,
            _ => false,
        }
    }

    /// Tells whether the error is that the system can not read a file of the store: a bad sector, or a passing trouble.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, RunError::Store(StoreError::Storage(StorageError::Io { action: "read", .. })))
    }

    /// Tells whether another attempt at a checkpoint may succeed where one has failed so.
    pub fn may_pass(&self) -> bool {
        match self {
            RunError::Store(error) => !matches!(
                error,
                StoreError::NumberTaken { .. }
                    | StoreError::Diverged { .. }
                    | StoreError::Busy { .. }
                    | StoreError::SamePlace { .. }
            ),
            RunError::DeadLetter { .. } | RunError::Output { .. } | RunError::CheckpointTimeout { .. } => true,
            RunError::Input(InputError::Read { .. }) => true,
            _ => false,
        }
    }

    /// Returns what turns a table's error into a run's, for `map_err`.
    pub fn table(object: ObjectName) -> impl FnOnce(TableError) -> RunError {
        move |source| RunError::Table { object, source }
    }
}

impl From<DefinitionError> for RunError {
    fn from(error: DefinitionError) -> RunError {
        match error {
            DefinitionError::Store(error) => error.into(),
            DefinitionError::NotText { sequence } => {
                RunError::Inconsistent { sequence, reason: "the job's definition is not UTF-8".to_owned() }
            }
            DefinitionError::Malformed { sequence, source } => RunError::Definition { sequence, source },
        }
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ")
}
