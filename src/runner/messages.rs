//! What the threads of a run send each other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use crate::format::manifest::{Output, Trigger};
use crate::input::record::{BadRecord, RecordPlace};
use crate::input::{InputError, Stand};
use crate::job::OnError;
use crate::runner::checkpoint::slots::Room;
use crate::runner::error::RunError;
use crate::runner::observer::Done;
use crate::runner::process::processor::ProcessError;
use crate::runner::rejected::{LateRecord, Rejected};
use crate::runner::state::frozen::FrozenRows;
use crate::runner::ticket::Ticket;
use crate::store::StoreNote;
use crate::values::id::Sequence;

/// What the threads tell the one that directs.
#[derive(Debug)]
pub enum Event {
    /// A block was parsed.
    Parsed(Account),
    /// A record of this key could not be applied.
    Unapplied(ProcessError, String),
    /// A worker can not go on.
    Failed(Box<RunError>),
    /// A record came after all its windows were closed, and the job does not go on with that.
    Late(Box<LateRecord>),
    /// The reader has opened a file, and will hand out blocks of it as those of the next stream.
    Opened(Stream),
    /// There are no more blocks.
    Ended,
    /// The input failed.
    Input(InputError),
    /// There is something to tell about the replicas.
    Replica(StoreNote),
    /// What became of an attempt to make a checkpoint.
    Checkpoint(Outcome),
    /// A thread panicked.
    Panicked,
}

/// The shards that a cut takes: all of them when there is no list. One in which nothing has changed is taken in any case.
pub type Chosen = Option<Arc<[bool]>>;

/// What came of parsing a block.
#[derive(Debug)]
pub struct Account {
    /// The block's number.
    pub number: u64,
    /// What its records are counted with, as [`Block::stream`].
    pub stream: u32,
    /// The offset behind it in its file.
    pub end_offset: u64,
    /// Records in it, bad ones included.
    pub records: u64,
    /// Bad records that were left out.
    pub skipped: u64,
    /// The bad records that go to the dead-letter file.
    pub dead: Vec<Rejected>,
    /// The bad record that ends the run.
    pub fatal: Option<Rejected>,
    /// The largest time of its records, in milliseconds, for a job that goes by time.
    pub time: Option<i64>,
    /// As [`Block::released`].
    pub released: Vec<u32>,
}

/// The rows of a shard for a cut, on their way to the checkpointer.
#[derive(Debug)]
pub struct ShardSnapshot {
    /// The shard.
    pub shard: u32,
    /// The cut.
    pub cut: u64,
    /// Its rows; nothing when the cut leaves the shard out.
    pub snapshot: Option<FrozenRows>,
    /// How long the worker stood still for all of its shards, in microseconds.
    pub pause_micros: u64,
    /// Held until the rows are written.
    pub room: Option<Room>,
}

/// What reaches a worker from the others.
#[derive(Debug)]
pub enum Message {
    /// The records of a block that are for its shards.
    Updates {
        /// The block's number.
        number: u64,
        /// The records, packed.
        bytes: Vec<u8>,
        /// What the block says of time, for a job that goes by it.
        time: Option<Arc<BlockTime>>,
        /// Dropped when they are applied.
        ticket: Arc<Ticket>,
    },
    /// Freeze the shards once every block before this number is applied.
    Cut {
        /// The number.
        number: u64,
        /// Those that are taken.
        chosen: Chosen,
        /// Whether the input has ended there: all windows close first.
        ended: bool,
    },
    /// Return the shards once everything that was sent before is done.
    Finish,
    /// Return at once.
    Abort,
}

/// Buffers to use again, the last one first: it is the one that a cache is most likely to hold.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// Puts a buffer back as it is.
    pub fn put(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// Returns the buffer that was put back last, or an empty one.
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

impl Account {
    /// Notes a bad record. Returns false when the run ends with it.
    #[cold]
    pub(crate) fn reject(
        &mut self,
        on_error: &OnError,
        block_offset: u64,
        place: RecordPlace<'_>,
        bad: BadRecord,
    ) -> bool {
        let rejected = |bytes: &[u8]| Rejected {
            index: place.index,
            offset: block_offset + place.at as u64,
            reason: bad.reason.clone(),
            bytes: bytes.to_vec(),
        };
        self.skipped += 1;
        match on_error {
            OnError::Skip => true,
            OnError::DeadLetter(_) => {
                self.dead.push(rejected(place.bytes));
                true
            }
            OnError::Fail => {
                self.fatal = Some(rejected(&place.bytes[..place.bytes.len().min(SHOWN_BYTES)]));
                false
            }
        }
    }
}

/// What a block says of time.
#[derive(Debug)]
pub struct BlockTime {
    pub(crate) stream: u32,
    /// Records in it, bad ones included.
    pub(crate) records: u64,
    pub(crate) largest: Option<i64>,
    pub(crate) released: Vec<u32>,
}

impl BlockTime {
    /// Takes out of an account what it says of time.
    pub(crate) fn new(account: &Account) -> BlockTime {
        let released = account.released.clone();
        BlockTime { stream: account.stream, records: account.records, largest: account.time, released }
    }
}

/// What was applied of one file.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The partition that it belongs to.
    pub name: Arc<str>,
    /// Bytes.
    pub offset: u64,
    /// Records.
    pub records: u64,
    /// Bytes and records that the checkpoint has counted, some of which may be read again.
    pub counted_offset: u64,
    /// The same of records.
    pub counted_records: u64,
}

impl Stream {
    /// Makes the stream of a file that stands there.
    pub(crate) fn new(stand: &Stand) -> Stream {
        let (offset, records) = (stand.place.offset, stand.record);
        Stream { name: stand.logical().into(), offset, records, counted_offset: offset, counted_records: records }
    }
}

/// Where one file of the input stands at a cut.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The file, bytes, and whether it has ended.
    pub stand: Stand,
    /// Its task, for a job without a key.
    pub task: Option<u32>,
    /// Records.
    pub record: u64,
    /// The largest time of its records, in milliseconds, for a job that goes by time.
    pub event_time: Option<i64>,
}

/// What was applied of files that no position names any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Bytes of input.
    pub input_bytes: u64,
    /// Records.
    pub records: u64,
}

/// A cut, as the directing thread knows it once all blocks before it are accounted for.
#[derive(Debug)]
pub struct Cut {
    /// The block number.
    pub number: u64,
    /// When it was taken.
    pub created: Timestamp,
    /// The same, for measuring.
    pub begun: Instant,
    /// What caused it.
    pub trigger: Trigger,
    /// Whether the input had been read to its end.
    pub ended: bool,
    /// Where the files stand.
    pub standings: Vec<Standing>,
    /// The time before which no more records are expected, in milliseconds, for a job that goes by time.
    pub watermark: Option<i64>,
    /// What was applied of others.
    pub past: Past,
    /// Bad records left out since the job began.
    pub skipped: u64,
    /// Lines for the dead-letter file.
    pub dead_lines: Vec<u8>,
    /// The files that the checkpoint publishes.
    pub outputs: Vec<Output>,
    /// The number that these were written aside for.
    pub sequence: Option<Sequence>,
}

/// What became of an attempt to make a checkpoint.
#[derive(Debug)]
pub enum Outcome {
    /// It was committed.
    Committed(Box<Done>),
    /// An earlier one, whose commit was told to have failed, is there all the same. The attempt goes on.
    Found(Box<Done>),
    /// There was nothing new since the latest checkpoint.
    Elided,
    /// It could not be made. What it took is kept for the next attempt.
    Failed(Box<RunError>),
}

/// Bytes of a bad record that an error shows.
pub(crate) const SHOWN_BYTES: usize = 200;
