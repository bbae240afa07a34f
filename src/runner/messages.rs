//! What the threads of a run send each other.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;

use crate::format::manifest::{Output, Trigger};
use crate::input::record::{BadRecord, RecordPlace};
use crate::input::{InputError, InputNote, Position};
use crate::job::OnError;
use crate::runner::bad_reasons::BadReasons;
use crate::runner::encoder_slots::EncoderSlot;
use crate::runner::error::RunError;
use crate::runner::observer::Done;
use crate::runner::process::event_clock::Times;
use crate::runner::process::exec::sources::Sources;
use crate::runner::process::processor::ProcessError;
use crate::runner::rejected::{BlockAnswer, LateRecord, Rejected};
use crate::runner::state::frozen::FrozenRows;
use crate::runner::ticket::Ticket;
use crate::store::StoreNote;
use crate::values::id::Sequence;
use crate::values::lock::lock;

/// What the other threads report to the director.
#[derive(Debug)]
pub enum ThreadEvent {
    /// A block was parsed.
    Parsed(BlockAccount),
    /// A program has applied its records of a block.
    Answered(BlockAnswer),
    /// A record of this key could not be applied.
    Unapplied(ProcessError, String),
    /// A worker cannot continue.
    Failed(Box<RunError>),
    /// A record came after all its windows were closed, and the job fails on late records.
    Late(Box<LateRecord>),
    /// The reader has opened a file. The blocks of the file follow, under the next stream number.
    Opened(StreamProgress),
    /// There are no more blocks.
    Ended,
    /// The input failed.
    Input(InputError),
    /// A note about the input, for the observer.
    InputNote(InputNote),
    /// A note about the replicas, for the observer.
    Replica(StoreNote),
    /// A file of another worker's checkpoint was put in place.
    Published { path: String, output: Output },
    /// The outcome of an attempt to make a checkpoint.
    Checkpoint(CheckpointOutcome),
    /// A thread panicked.
    Panicked,
}

/// Which shards a cut takes: all of them if there is no list. An unchanged shard is taken in any case.
pub type ChosenShards = Option<Arc<[bool]>>;

/// What parsing found in a block.
#[derive(Debug)]
pub struct BlockAccount {
    pub number: u64,
    /// What its records are counted under, as [`crate::input::Block::stream`].
    pub stream: u32,
    /// The offset in the file behind the block.
    pub end_offset: u64,
    /// Bad records included.
    pub records: u64,
    /// Bad records that were left out.
    pub skipped: u64,
    /// The bad records that go to the dead-letter file.
    pub dead: Vec<Rejected>,
    /// Why records are bad.
    pub reasons: BadReasons<Rejected>,
    /// The bad record that ends the run.
    pub fatal: Option<Rejected>,
    /// The numbers of the bad records in the block, ascending.
    pub bad_indices: Vec<u64>,
    /// How many programs have been sent records of the block, and have not answered yet.
    pub unanswered: usize,
    /// The records that programs have rejected, in the order of their answers.
    pub answered: Vec<Rejected>,
    /// For a job with event time.
    pub time: Option<Arc<BlockTime>>,
}

/// What a block says about event time.
#[derive(Debug)]
pub struct BlockTime {
    pub(crate) stream: u32,
    /// Bad records included.
    pub(crate) records: u64,
    /// The times of its records, in milliseconds.
    pub(crate) times: Times,
    /// The streams that event time no longer waits for, as [`crate::input::Block::released`].
    pub(crate) released: Vec<u32>,
}

/// The changed rows of a shard at a cut, on their way to the checkpointer.
#[derive(Debug)]
pub struct FrozenShard {
    pub shard: u32,
    pub cut: u64,
    /// `None` if the cut leaves the shard out.
    pub rows: Option<FrozenRows>,
    /// How long the worker paused to freeze all of its shards, in microseconds.
    pub pause_micros: u64,
    /// Held until the rows are written.
    pub slot: Option<EncoderSlot>,
}

/// What a worker receives from the other threads.
#[derive(Debug)]
pub enum WorkerMessage {
    /// The records of a block that belong to the worker's shards.
    Updates(BlockUpdates),
    /// Freeze the shards once every block before the cut is applied.
    Cut(WorkerCut),
    /// Return the shards once everything sent before is done.
    Finish,
    /// Return at once.
    Abort,
}

/// The records of a block that belong to the shards of one worker.
#[derive(Debug)]
pub struct BlockUpdates {
    /// The block's number.
    pub number: u64,
    /// The packed records.
    pub bytes: Vec<u8>,
    /// Where they come from, if a program applies them.
    pub sources: Sources,
    /// Whether a bad record of the block ends the run. Then neither the block nor any later one is applied.
    pub ends_run: bool,
    /// For a job with event time.
    pub time: Option<Arc<BlockTime>>,
    /// Dropped once they are applied.
    pub ticket: Arc<Ticket>,
}

/// A cut, as the workers see it.
#[derive(Debug, Clone)]
pub struct WorkerCut {
    /// The block number.
    pub number: u64,
    pub chosen: ChosenShards,
    /// Whether the input ended there: then all windows close first.
    pub ended: bool,
}

/// Buffers to reuse, the most recent first: it is the most likely to be in a cache.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// Puts a buffer back as it is.
    pub fn put(&self, buffer: Vec<u8>) {
        lock(&self.0).push(buffer);
    }

    /// Returns the buffer that was put back last, or a new one.
    pub fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }
}

impl BlockAccount {
    /// Notes a bad record. Returns false if the run ends with it.
    #[cold]
    pub(crate) fn reject(&mut self, on_error: &OnError, place: RecordPlace<'_>, bad: BadRecord) -> bool {
        self.bad_indices.push(place.index);
        self.note_bad(on_error, &bad.reason, |most_bytes| Rejected {
            index: place.index,
            offset: place.offset,
            reason: bad.reason.clone(),
            bytes: place.bytes[..place.bytes.len().min(most_bytes)].to_vec(),
        })
    }

    /// Notes the records that programs have rejected, once all of them have answered.
    pub(crate) fn reject_answered(&mut self, on_error: &OnError) {
        let mut answered = std::mem::take(&mut self.answered);
        // A line of text with several words is counted as bad only once.
        answered.sort_by_key(|rejected| rejected.index);
        answered.dedup_by_key(|rejected| rejected.index);
        answered.retain(|rejected| self.bad_indices.binary_search(&rejected.index).is_err());
        for Rejected { index, offset, reason, bytes } in &answered {
            let goes_on = self.note_bad(on_error, reason, |most_bytes| {
                let bytes = bytes[..bytes.len().min(most_bytes)].to_vec();
                Rejected { index: *index, offset: *offset, reason: reason.clone(), bytes }
            });
            if !goes_on {
                return;
            }
        }
        self.dead.sort_by_key(|rejected| rejected.index);
    }

    /// Counts a bad record. `rejected` returns it with at most that many of its bytes. Returns false if the run ends
    /// with it.
    fn note_bad(&mut self, on_error: &OnError, reason: &str, rejected: impl Fn(usize) -> Rejected) -> bool {
        self.skipped += 1;
        if *on_error == OnError::Fail {
            self.fatal = Some(rejected(SHOWN_BYTES));
            return false;
        }
        self.reasons.count(reason, &rejected);
        if let OnError::DeadLetter(_) = on_error {
            self.dead.push(rejected(usize::MAX));
        }
        true
    }
}

/// How much of one file was applied.
#[derive(Debug, Clone)]
pub struct StreamProgress {
    /// The partition that the file belongs to.
    pub name: Arc<str>,
    /// Bytes.
    pub offset: u64,
    pub records: u64,
    /// Bytes that the checkpoint has counted; some of them may be read again.
    pub counted_offset: u64,
    /// Records that the checkpoint has counted.
    pub counted_records: u64,
}

impl StreamProgress {
    /// Makes the progress of a file that reading resumes at `position`.
    pub(crate) fn new(position: &Position) -> StreamProgress {
        let (offset, records) = (position.offset, position.record);
        let name = position.logical().into();
        StreamProgress { name, offset, records, counted_offset: offset, counted_records: records }
    }
}

/// The position of one file of the input at a cut.
#[derive(Debug, Clone)]
pub struct CutPosition {
    /// The file, the offset, and whether it has ended.
    pub position: Position,
    /// Its task, for a job without a key.
    pub task: Option<u32>,
    /// Records before the position.
    pub record: u64,
    /// The largest time of its records, in milliseconds, for a job with event time.
    pub event_time: Option<i64>,
    /// The time before which no more records of it are expected, in milliseconds, for a job with event time.
    pub watermark: Option<i64>,
}

/// What was applied of files that no longer have a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PastInput {
    pub input_bytes: u64,
    pub records: u64,
}

/// A cut, as the director knows it once all blocks before it are accounted for.
#[derive(Debug)]
pub struct Cut {
    /// The block number.
    pub number: u64,
    pub created: Timestamp,
    /// When it was taken, on the monotonic clock.
    pub begun: Instant,
    pub trigger: Trigger,
    /// Whether the input was read to its end.
    pub ended: bool,
    pub positions: Vec<CutPosition>,
    pub past: PastInput,
    /// Bad records left out since the job began.
    pub skipped: u64,
    /// Lines for the dead-letter file.
    pub dead_lines: Vec<u8>,
    /// The output files that the checkpoint publishes.
    pub outputs: Vec<Output>,
    /// The checkpoint number that these outputs were staged for.
    pub sequence: Option<Sequence>,
}

/// The outcome of an attempt to make a checkpoint.
#[derive(Debug)]
pub enum CheckpointOutcome {
    /// It was committed.
    Committed(Box<Done>),
    /// An earlier checkpoint, whose commit was reported as failed, exists after all. The attempt continues.
    Found(Box<Done>),
    /// Nothing has changed since the latest checkpoint.
    Elided,
    /// It failed. The rows it took are part of the next attempt.
    Failed(Box<RunError>),
}

/// Bytes of a bad record that an error shows.
const SHOWN_BYTES: usize = 200;
