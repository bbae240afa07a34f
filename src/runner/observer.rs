//! What a run tells those who watch it, and what it has done at its end.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::format::manifest::{Output, Trigger};
use crate::runner::state::content::Content;
use crate::store::{Committed, StoreNote};
use crate::values::id::Sequence;
use crate::values::value::ColumnType;

/// Is told what a run does.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &RunEvent);
    /// So it stands, several times a second.
    fn status(&self, status: &Status);
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The run begins from nothing.
    Fresh {
        /// The store; nothing when checkpoints are disabled.
        store: Option<String>,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The store.
        store: String,
        /// The checkpoint.
        sequence: Sequence,
        /// When its cut was taken.
        created: Timestamp,
        /// Records that it had applied.
        records: u64,
        /// Keys in its state.
        keys: u64,
    },
    /// The latest checkpoints are damaged, and the run goes on from an older one.
    WentBack {
        /// The checkpoint that it goes on from.
        sequence: Sequence,
        /// When its cut was taken.
        created: Timestamp,
        /// Records that it had applied.
        records: u64,
        /// The checkpoints that are left behind, the newest first.
        left_behind: Vec<Abandoned>,
    },
    /// An output file of a checkpoint that was left behind was moved aside.
    Withdrawn {
        /// The checkpoint.
        sequence: Sequence,
        /// Where the file was.
        path: String,
        /// Where it is now.
        aside: String,
    },
    /// It can not be told whether a checkpoint that was left behind has published what is there.
    PerhapsPublished {
        /// The checkpoint, whose manifest can not be read.
        sequence: Sequence,
        /// The output file, which is left where it is.
        path: String,
    },
    /// The state was routed to another number of tasks.
    Rerouted {
        /// Its keys and their digest, equal before and after.
        content: Content,
        /// The tasks of the checkpoint.
        old_tasks: u32,
        /// The tasks of the job.
        new_tasks: u32,
    },
    /// An aggregate is new: it is empty for the keys that are there, and counts from now on.
    AggregateAdded {
        /// The aggregate.
        name: String,
        /// How many records were applied before without it.
        record: u64,
    },
    /// An aggregate is gone from the job file: what it has counted is dropped.
    AggregateRemoved {
        /// The aggregate.
        name: String,
    },
    /// A field was in none of the first records: it is taken to have this type.
    TypeAssumed {
        /// The field.
        field: String,
        /// The type.
        column_type: ColumnType,
    },
    /// Something about the replicas: one was lost or has caught up, or a file was read from another one.
    Replica(StoreNote),
    /// A checkpoint was committed.
    Committed(Box<Done>),
    /// A checkpoint could not be made, which the job tolerates. The next one has what it should have had.
    CheckpointFailed {
        /// What had caused the attempt.
        cause: Trigger,
        /// How many failed in a row.
        failures: u32,
        /// How many may.
        tolerated: u32,
        /// Why.
        reason: String,
    },
    /// A checkpoint was due, and nothing had changed since the latest.
    CheckpointElided {
        /// What had caused the attempt.
        cause: Trigger,
    },
    /// The rules of the job file could not be applied to the checkpoints.
    NotPruned {
        /// Why.
        reason: String,
    },
    /// A program of the job wrote a line to its standard error.
    ProgramSaid {
        /// What it is called.
        program: String,
        /// Its worker, from 0.
        worker: usize,
        /// The line, or a part of it when it is long.
        line: String,
    },
    /// A program of the job has failed, and the run begins again from its latest checkpoint.
    Restarting {
        /// What has happened.
        reason: String,
        /// The wait before it.
        wait: Duration,
        /// Which restart it is since the last checkpoint, from 1.
        restart: u32,
        /// How many there may be.
        of: u32,
    },
    /// An output file was put in place.
    Published {
        /// The file.
        path: String,
        /// Its rows.
        rows: u64,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// How a run stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// Records applied since the job began, skipped ones included.
    pub records: u64,
    /// Records applied in this run.
    pub records_of_run: u64,
    /// Bad records left out in this run.
    pub skipped_of_run: u64,
    /// Records of this run that came after all their windows were closed.
    pub late_of_run: u64,
    /// The time before which no more records are expected, in milliseconds since 1970, for a job that goes by time.
    pub watermark: Option<i64>,
    /// Bytes of input applied since the job began, after decompression.
    pub input_bytes: u64,
    /// Bytes of input applied in this run.
    pub input_bytes_of_run: u64,
    /// Bytes of input in all, where that is known.
    pub total_bytes: Option<u64>,
    /// Bytes of input that lie in files and are not applied, where that is known: how far the run is behind.
    pub lag_bytes: Option<u64>,
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: u64,
    /// Keys in the state.
    pub keys: u64,
    /// Memory that the state takes, in bytes, without text and sketches.
    pub memory_bytes: u64,
    /// Checkpoints committed in this run.
    pub checkpoints: u64,
    /// The last checkpoint of this run, and when it was committed.
    pub last: Option<(Sequence, Instant, Duration)>,
    /// How long the run has been reading input.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The checkpoint that it went on from.
    pub resumed_from: Option<Sequence>,
    /// The damaged checkpoints that it has left behind, the newest first.
    pub left_behind: Vec<Sequence>,
    /// The latest checkpoint at its end.
    pub latest: Option<Sequence>,
    /// Records that it applied, skipped ones included.
    pub records: u64,
    /// Records applied since the job began.
    pub records_in_all: u64,
    /// Bad records that it left out.
    pub skipped: u64,
    /// Bad records left out since the job began.
    pub skipped_in_all: u64,
    /// Bytes of input that it applied, after decompression.
    pub input_bytes: u64,
    /// Keys in the state at its end.
    pub keys: u64,
    /// Checkpoints that it committed.
    pub checkpoints: u64,
    /// Bytes of new objects in them.
    pub checkpoint_bytes: u64,
    /// How often the run has begun again after a program had failed.
    pub restarts: u64,
    /// Checkpoints that were pruned by the rules of the job file.
    pub pruned: u64,
    /// The longest that any worker stood still for each of them, in microseconds, ascending.
    pub pauses_micros: Vec<u64>,
    /// From its start to the first block, in which the state was loaded.
    pub loading: Duration,
    /// From the first block to its end.
    pub elapsed: Duration,
    /// Whether the input was read to its end.
    pub ended: bool,
    /// Records of this run that came after all their windows were closed.
    pub late: u64,
    /// The same since the job began.
    pub late_in_all: u64,
    /// The files that it published at its end.
    pub outputs: Vec<Output>,
    /// The files of changes that its checkpoints published.
    pub changes: PublishedChanges,
    /// Replicas that do not have the latest checkpoint.
    pub replicas_behind: Vec<String>,
}

/// Files that checkpoints published, in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedChanges {
    /// How many.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A checkpoint that was committed, with what it took.
#[derive(Debug, Clone)]
pub struct Done {
    /// The checkpoint.
    pub committed: Committed,
    /// From the cut to the commit, in microseconds.
    pub total_micros: u64,
}

/// What a run tells of a checkpoint that it leaves behind.
#[derive(Debug, Clone)]
pub struct Abandoned {
    /// Its number.
    pub sequence: Sequence,
    /// Why it can not be used.
    pub reason: String,
    /// When its cut was taken; nothing when its manifest can not be read.
    pub created: Option<Timestamp>,
    /// Records that it had applied.
    pub records: Option<u64>,
}
