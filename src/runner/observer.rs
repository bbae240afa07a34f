//! What a run reports while it runs, and what it has done when it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::format::manifest::{Output, StagedMessages, Totals, Trigger};
use crate::input::InputNote;
pub use crate::input::PartitionLag;
use crate::runner::bad_reasons::BadReason;
use crate::runner::state::content::Content;
use crate::store::{Committed, StoreNote};
use crate::values::id::Sequence;
use crate::values::value::ColumnType;

/// Receives the reports of a run.
pub trait Observer: Sync {
    fn event(&self, event: &RunEvent);
    /// Called several times a second.
    fn status(&self, status: &Status);
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The run does something else now. It is nothing that people have to be told.
    Stage(Stage),
    /// The run starts without a checkpoint.
    Fresh {
        /// `None` if checkpoints are disabled.
        store: Option<String>,
    },
    /// The run resumes from a checkpoint.
    Resumed {
        store: String,
        sequence: Sequence,
        /// When its cut was taken.
        created: Timestamp,
        /// What it counts.
        totals: Totals,
    },
    /// The latest checkpoints are damaged, and the run resumes from an older one.
    WentBack {
        sequence: Sequence,
        /// When its cut was taken.
        created: Timestamp,
        /// The number of records that it had applied.
        records: u64,
        /// The newest first.
        skipped: Vec<SkippedCheckpoint>,
    },
    /// A file of an abandoned checkpoint was moved out of the way.
    Superseded {
        sequence: Sequence,
        /// Where the file was.
        path: String,
        /// Where it is now.
        moved_to: String,
    },
    /// An output file exists, and it is unknown whether a skipped checkpoint has published it.
    PerhapsPublished {
        /// The checkpoint, whose manifest cannot be read.
        sequence: Sequence,
        /// The output file, which stays where it is.
        path: String,
    },
    /// The state was routed to another number of tasks.
    Rerouted {
        /// The content of the state, which is the same before and after.
        content: Content,
        old_tasks: u32,
        new_tasks: u32,
    },
    /// An aggregate is new: it is empty for existing keys and counts from now on.
    AggregateAdded {
        name: String,
        /// The number of records that were applied without it.
        record: u64,
    },
    /// An aggregate is gone from the job file. What it has counted is dropped.
    AggregateRemoved {
        name: String,
    },
    /// None of the first records has the field, so it is assumed to have this type.
    TypeAssumed {
        field: String,
        column_type: ColumnType,
    },
    /// The group of workers has given this one partitions of the topic, or others than before.
    Assigned {
        /// Their numbers, ascending.
        partitions: Vec<u32>,
    },
    /// One of several workers reads a batch: up to the same ends as the others.
    Batch {
        /// Whether no checkpoint has the ends yet.
        is_new: bool,
        /// How many offsets of all partitions are not in the checkpoint that it resumes from, if that is known.
        left: Option<u64>,
    },
    /// One of several workers has read its partitions to the ends of the batch, and waits for the others.
    BatchWaits {
        /// How many partitions are not at their ends in the latest checkpoint.
        left: u64,
        /// The partitions of all workers.
        of: u64,
    },
    /// Another worker has committed what this one has. It resumes from there.
    Overtaken {
        reason: String,
    },
    /// No record before the first checkpoint has this field of the job.
    AbsentField {
        field: String,
        /// The number of records so far.
        records: u64,
    },
    /// A partition has its first record that is too far ahead of the others to move the watermark.
    EarlyRecord {
        partition: String,
        /// The largest time of the records that were read together.
        time: Option<Timestamp>,
    },
    /// A file of the input is gone, or was replaced.
    Input(InputNote),
    /// A replica was lost or has caught up, or a file was read from another replica.
    Replica(StoreNote),
    Committed(Box<Done>),
    /// An attempt at a checkpoint failed, which the job tolerates. The next checkpoint includes its changes.
    CheckpointFailed {
        cause: Trigger,
        /// The number of attempts that have failed in a row.
        failures: u32,
        /// The number of attempts that may fail in a row.
        tolerated: u32,
        reason: String,
    },
    /// A checkpoint was due, but nothing had changed since the latest.
    CheckpointElided {
        cause: Trigger,
    },
    /// The retention policy of the job file could not be applied.
    NotPruned {
        reason: String,
    },
    /// A program of the job wrote a line to its standard error.
    ProgramSaid {
        program: String,
        /// The number of the worker, from 0.
        worker: usize,
        /// The line, or a part of a long line.
        line: String,
    },
    /// A program of the job failed, and the run starts again from its latest checkpoint.
    Restarting {
        reason: String,
        /// The wait before the restart.
        wait: Duration,
        /// The number of the restart since the last checkpoint, from 1.
        restart: u32,
        /// The maximum number of restarts.
        of: u32,
    },
    /// The topic of the output has messages of a checkpoint from which the state does not descend anymore.
    OutputAbandoned {
        topic: String,
        sequence: Sequence,
    },
    /// An output file was renamed into place, or a topic got messages.
    Published {
        /// The file, or `kafka:TOPIC`.
        path: String,
        rows: u64,
        bytes: u64,
    },
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// One of several workers waits until the group says what it has.
    Joining,
    /// The group has given no partitions to the worker.
    Idle,
    /// The worker has read its partitions to the ends of the batch, and others have not.
    Waiting,
    /// The store and the input are being opened.
    Opening,
    /// The state of the latest checkpoint is being loaded.
    Restoring {
        /// The shards that are left.
        shards: u64,
        /// The size of their segments.
        bytes: u64,
    },
    /// Records are read and applied.
    Reading,
    /// The last checkpoint and the output are being made.
    Ending,
}

impl RunEvent {
    /// Returns the event that messages are in their topic.
    pub fn sent(messages: &StagedMessages) -> RunEvent {
        let (path, rows, bytes) = (format!("kafka:{}", messages.topic), messages.rows, messages.bytes);
        RunEvent::Published { path, rows, bytes }
    }
}

/// The progress of a run.
#[derive(Debug, Clone)]
pub struct Status {
    /// Records applied since the job began, including skipped ones.
    pub records: u64,
    pub records_of_run: u64,
    /// Bad records skipped in this run.
    pub skipped_of_run: u64,
    /// Late records of this run.
    pub late_of_run: u64,
    /// In milliseconds since 1970, for a job that uses event time.
    pub watermark: Option<i64>,
    /// Bytes of input applied since the job began, after decompression.
    pub input_bytes: u64,
    pub input_bytes_of_run: u64,
    /// Total bytes of input, if known.
    pub total_bytes: Option<u64>,
    /// Bytes of input in files that are not applied yet, if known.
    pub lag_bytes: Option<u64>,
    /// How many messages of each partition of a topic are not read yet, as far as is known.
    pub partition_lags: Arc<[PartitionLag]>,
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: u64,
    pub keys: u64,
    /// Memory of the state in bytes, without text and sketches.
    pub memory_bytes: u64,
    /// Checkpoints committed in this run.
    pub checkpoints: u64,
    /// The last checkpoint of this run, when it was committed, and how long it took.
    pub last: Option<(Sequence, Instant, Duration)>,
    /// How long the run has been reading input.
    pub elapsed: Duration,
}

/// What a run has done.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub resumed_from: Option<Sequence>,
    /// The damaged checkpoints that the run skipped, the newest first.
    pub skipped_checkpoints: Vec<Sequence>,
    /// The latest checkpoint when the run ended.
    pub latest: Option<Sequence>,
    /// Records that were applied, including skipped ones.
    pub records: u64,
    /// Records that were applied since the job began.
    pub records_in_all: u64,
    /// Bad records that were skipped.
    pub skipped: u64,
    /// Bad records that were skipped since the job began.
    pub skipped_in_all: u64,
    /// Why the bad records of this run were skipped, the most frequent reason first.
    pub bad_reasons: Vec<BadReason>,
    /// Bytes of input that were applied, after decompression.
    pub input_bytes: u64,
    /// Keys in the state when the run ended.
    pub keys: u64,
    /// Checkpoints that were committed.
    pub checkpoints: u64,
    /// Bytes of new objects in these checkpoints.
    pub checkpoint_bytes: u64,
    /// How often the run started again after a program had failed.
    pub restarts: u64,
    /// Checkpoints that the retention policy of the job file removed.
    pub pruned: u64,
    /// For each checkpoint the longest pause of a worker in microseconds, ascending.
    pub pauses_micros: Vec<u64>,
    /// The time before the first block, in which the state was loaded.
    pub loading: Duration,
    /// The time from the first block to the end.
    pub elapsed: Duration,
    /// Whether the input was read to its end.
    pub ended: bool,
    /// Late records of this run.
    pub late: u64,
    /// Late records since the job began.
    pub late_in_all: u64,
    /// Records of this run that are too far ahead of the others to move the watermark.
    pub early: u64,
    /// The files that were published at the end.
    pub outputs: Vec<Output>,
    /// The files of changes that were published by checkpoints.
    pub changes: PublishedChanges,
    /// Fields of the job that no record of this run had.
    pub absent_fields: Vec<String>,
    /// The replicas that do not have the latest checkpoint.
    pub replicas_behind: Vec<String>,
}

/// The totals of the files of changes that were published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedChanges {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// A checkpoint that was committed, and how long that took.
#[derive(Debug, Clone)]
pub struct Done {
    pub committed: Committed,
    /// The time from the cut to the commit, in microseconds.
    pub total_micros: u64,
}

/// A damaged checkpoint that was skipped.
#[derive(Debug, Clone)]
pub struct SkippedCheckpoint {
    pub sequence: Sequence,
    /// Why it cannot be used.
    pub reason: String,
    /// When its cut was taken, if its manifest can be read.
    pub created: Option<Timestamp>,
    /// The number of records that it had applied, if its manifest can be read.
    pub records: Option<u64>,
}
