//! The threads that do the work: each takes blocks apart for all, and applies records to the shards that it owns.
//!
//! Every shard applies its records in the order of the blocks, so the result does not depend on which thread parses what or when.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select};
use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::shard_of;
use crate::format::manifest::Routing;
use crate::format::rows::RowCodec;
use crate::input::Block;
use crate::input::record::{BadRecord, Extractor, Field, Filter, RecordPlace};
use crate::input::roster::Roster;
use crate::job::OnError;
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::pipeline::run::{Event, Observer};
use crate::runner::process::exec;
use crate::runner::process::exec::{ExecPlan, Link};
use crate::runner::process::processor::{Context, ProcessError, Processor};
use crate::runner::process::time_plan::TimePlan;
use crate::runner::state::shard::{Shard, Snapshot};

mod program;
mod timed;

pub use crate::runner::checkpoint::slots::{Room, Rooms};
pub use timed::{BlockTime, Timed};

/// What all workers of a run share.
#[derive(Debug)]
pub struct Plan {
    /// What is done with each record.
    pub processor: Arc<dyn Processor>,
    /// How the values of its rows are packed.
    pub codec: RowCodec,
    /// How many fields it wants, which come first among those of a record.
    pub field_count: usize,
    /// The program that applies records instead, where the job has one.
    pub exec: Option<ExecPlan>,
    /// Which records are kept.
    pub filter: Option<Filter>,
    /// Where the filter's fields stand among those of a record.
    pub filter_fields: Range<usize>,
    /// How a record finds its task.
    pub route: Route,
    /// The number of tasks.
    pub tasks: u32,
    /// The number of shards.
    pub shards: u32,
    /// Which shards are taken first, in mode priority.
    pub priorities: Option<Arc<Priorities>>,
    /// What shards apply again that were taken at an older cut than others, if any.
    pub replay: Option<Replay>,
    /// Whether all rows are taken at each cut, whatever has changed.
    pub takes_all: bool,
    /// The number of workers; worker w owns the shards s with s modulo workers = w.
    pub workers: usize,
    /// What happens to bad records.
    pub on_error: OnError,
    /// What happens by the time of the records.
    pub timing: Option<TimePlan>,
}

/// How a record finds its task.
#[derive(Debug)]
pub enum Route {
    /// By the hash of a key, the field at this place of a record.
    Key(usize),
    /// By its partition.
    Partition(Arc<Roster>),
}

/// The shards that a cut takes: all of them when there is no list. One in which nothing has changed is taken in any case.
pub type Chosen = Option<Arc<[bool]>>;

/// What some shards apply again after the run has gone on from a checkpoint in which they are older than others.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// For each partition the offset of the newest cut: from there on every shard applies everything.
    pub until: Vec<u64>,
    /// For each partition the records before the place where it is read from.
    pub records: Vec<u64>,
    /// For each shard and partition the offset from which on it applies records.
    pub from: Vec<Vec<u64>>,
}

impl Replay {
    /// Tells whether a record that begins at `offset` of a partition comes after the newest cut.
    fn is_over(&self, partition: u32, offset: u64) -> bool {
        self.until.get(partition as usize).is_none_or(|until| offset >= *until)
    }

    /// Tells whether a shard has applied a record already.
    fn has_applied(&self, shard: usize, partition: u32, offset: u64) -> bool {
        let from = self.from.get(shard).and_then(|from| from.get(partition as usize));
        from.is_some_and(|from| offset < *from)
    }
}

/// What the workers do, for anyone to look at while they do it.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: AtomicU64,
    /// Keys in the state.
    pub keys: AtomicU64,
    /// Bytes that the state takes in memory.
    pub memory_bytes: AtomicU64,
    /// Bytes in memory that the shards have emitted since the last cut.
    pub emitted_bytes: AtomicU64,
    /// Bytes of rows that changed since each shard was last taken, in mode priority.
    pub shards: Vec<AtomicU64>,
    /// Set when all workers are to return at once, for one that is waiting for its program.
    pub aborting: AtomicBool,
    /// Records of this run that came after all their windows were closed.
    pub late: AtomicU64,
}

/// What some shards hold.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    changed_bytes: u64,
    keys: u64,
    memory_bytes: u64,
    emitted_bytes: u64,
}

impl Gauges {
    /// Moves the sums by what changed. What became less is added as well: the sums wrap around, and so come out right.
    fn add(&self, now: Load, before: Load) {
        let add = |gauge: &AtomicU64, now: u64, before: u64| {
            if now != before {
                gauge.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
            }
        };
        add(&self.changed_bytes, now.changed_bytes, before.changed_bytes);
        add(&self.keys, now.keys, before.keys);
        add(&self.memory_bytes, now.memory_bytes, before.memory_bytes);
        add(&self.emitted_bytes, now.emitted_bytes, before.emitted_bytes);
    }
}

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

/// A bad record.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its number within the block, from 0.
    pub index: u64,
    /// The offset of its first byte in the partition.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its bytes; only their beginning when the run ends with it.
    pub bytes: Vec<u8>,
}

/// The rows of a shard for a cut, on their way to the checkpointer.
#[derive(Debug)]
pub struct ShardSnapshot {
    /// The shard.
    pub shard: u32,
    /// The cut.
    pub cut: u64,
    /// Its rows; nothing when the cut leaves the shard out.
    pub snapshot: Option<Snapshot>,
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

/// A place in the bounded number of blocks that are under way; free again when the last worker has applied its part.
#[derive(Debug)]
pub struct Ticket(Sender<()>);

impl Ticket {
    /// Makes a ticket that gives its place back to `permits`.
    pub fn new(permits: Sender<()>) -> Ticket {
        Ticket(permits)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The reader may be gone already: then nobody needs the place.
        let _ = self.0.send(());
    }
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

/// The ends of the channels that a worker holds.
#[derive(Debug)]
pub struct Lines {
    /// Blocks to parse, for whoever comes first.
    pub blocks: Receiver<(Block, Arc<Ticket>)>,
    /// Buffers of parsed blocks, for the reader to fill again.
    pub buffers: Buffers,
    /// What is for this worker.
    pub inbox: Receiver<Message>,
    /// What is for each worker, this one included.
    pub peers: Vec<Sender<Message>>,
    /// To the thread that directs the run.
    pub events: Sender<Event>,
    /// To the checkpointer.
    pub snapshots: Sender<ShardSnapshot>,
    /// What may be on its way to it: the rows of a large state never are all at once.
    pub rooms: Rooms,
}

/// One of the threads.
pub struct Worker<'a> {
    plan: &'a Plan,
    gauges: &'a Gauges,
    observer: &'a dyn Observer,
    lines: Lines,
    extractor: Extractor,
    /// The program that applies records, once it is started, where the job has one.
    program: Option<Link<'a>>,
    /// The shards that it owns: shard number and shard, ascending.
    shards: Vec<(u32, Shard)>,
    /// The next block to apply.
    next: u64,
    /// Blocks that came before their turn.
    early: BTreeMap<u64, Updates>,
    /// The number of the next cut, and whether the input has ended there.
    cut: Option<(u64, bool)>,
    timed: Option<Timed>,
    /// The shards that the cut takes.
    chosen: Chosen,
    snapshotting: Option<Snapshotting>,
    /// Buffers that were applied.
    spare: Vec<Vec<u8>>,
}

/// What a block has for a worker.
#[derive(Debug)]
struct Updates {
    bytes: Vec<u8>,
    time: Option<Arc<BlockTime>>,
    ticket: Arc<Ticket>,
}

/// A cut whose rows are still being taken.
#[derive(Debug)]
struct Snapshotting {
    cut: u64,
    pause_micros: u64,
    /// The next of the worker's shards to take.
    next_shard: usize,
    /// For the shard that is being taken.
    room: Option<Room>,
    /// The worker's shards that the cut leaves out.
    left_out: Vec<u32>,
}

/// Rows that are taken between two blocks.
const SLICE_ROWS: usize = 4096;

/// Bytes of a bad record that an error shows.
const SHOWN_BYTES: usize = 200;

/// Where a worker begins.
#[derive(Debug)]
pub struct Start {
    /// The shards that it owns: shard number and shard, ascending.
    pub shards: Vec<(u32, Shard)>,
    /// Its first block.
    pub next: u64,
    /// For a job that goes by time.
    pub timed: Option<Timed>,
}

impl<'a> Worker<'a> {
    /// Makes a worker that begins at `start`.
    pub fn new(
        plan: &'a Plan,
        gauges: &'a Gauges,
        observer: &'a dyn Observer,
        lines: Lines,
        extractor: Extractor,
        start: Start,
    ) -> Worker<'a> {
        let Start { shards, next, timed } = start;
        let worker = Worker {
            plan,
            gauges,
            observer,
            lines,
            extractor,
            program: None,
            shards,
            next,
            early: BTreeMap::new(),
            cut: None,
            timed,
            chosen: None,
            snapshotting: None,
            spare: Vec::new(),
        };
        gauges.add(worker.load(), Load::default());
        worker.tell_keys();
        worker
    }

    /// Works until it is told to finish, and returns the shards.
    pub fn run(mut self) -> Vec<(u32, Shard)> {
        let mut blocks = self.lines.blocks.clone();
        let mut finishing = false;
        if !self.start_program() {
            return self.shards;
        }
        let program = self.program.as_ref();
        let (answers, mut said) = program.map_or_else(|| (never(), never()), |link| (link.answers(), link.said()));
        loop {
            while let Ok(incoming) = answers.try_recv() {
                if !self.take_answer(incoming) {
                    return self.shards;
                }
            }
            said.try_iter().for_each(|line| self.tell(line));
            while let Ok(message) = self.lines.inbox.try_recv() {
                match message {
                    Message::Updates { number, bytes, time, ticket } => {
                        self.early.insert(number, Updates { bytes, time, ticket });
                    }
                    Message::Cut { number, chosen, ended } => {
                        (self.cut, self.chosen) = (Some((number, ended)), chosen);
                    }
                    Message::Finish => finishing = true,
                    Message::Abort => return self.shards,
                }
            }
            if !self.apply_ready() || !self.tend_program() {
                return self.shards;
            }
            let waits_for_checkpointer = self.take_slice();
            let is_done = self.early.is_empty() && self.cut.is_none() && self.snapshotting.is_none();
            if finishing && is_done && self.is_program_idle() {
                self.close_program();
                return self.shards;
            }
            if let Ok((block, ticket)) = blocks.try_recv() {
                self.parse(block, ticket);
                continue;
            }
            if self.snapshotting.is_some() && !waits_for_checkpointer {
                continue;
            }
            // Nothing to do: wait for whatever comes first. The inbox is only looked at, and emptied above.
            let wait = match &self.program {
                _ if waits_for_checkpointer => crossbeam_channel::after(PATIENCE),
                Some(_) => crossbeam_channel::after(PROGRAM_PATIENCE),
                None => never(),
            };
            select! {
                recv(self.lines.inbox) -> message => match message {
                    Ok(Message::Updates { number, bytes, time, ticket }) => {
                        self.early.insert(number, Updates { bytes, time, ticket });
                    }
                    Ok(Message::Cut { number, chosen, ended }) => {
                        (self.cut, self.chosen) = (Some((number, ended)), chosen);
                    }
                    Ok(Message::Finish) => finishing = true,
                    Ok(Message::Abort) | Err(_) => return self.shards,
                },
                recv(blocks) -> block => match block {
                    Ok((block, ticket)) => self.parse(block, ticket),
                    Err(_) => blocks = never(),
                },
                recv(answers) -> incoming => {
                    // Nothing comes any more only after what says so.
                    if incoming.is_ok_and(|incoming| !self.take_answer(incoming)) {
                        return self.shards;
                    }
                }
                recv(said) -> line => match line {
                    Ok(line) => self.tell(line),
                    Err(_) => said = never(),
                },
                recv(wait) -> _ => {}
            }
        }
    }

    /// Takes a block apart and sends every worker the records for its shards.
    ///
    /// A record is a [`Head`], the key, and what [`Processor::pack`] made.
    fn parse(&mut self, block: Block, ticket: Arc<Ticket>) {
        let plan = self.plan;
        let mut account = Account {
            number: block.number,
            stream: block.stream,
            end_offset: block.end_offset,
            records: 0,
            skipped: 0,
            dead: Vec::new(),
            fatal: None,
            time: None,
            released: block.released.clone(),
        };
        let mut updates: Vec<Vec<u8>> = (0..plan.workers).map(|_| self.spare.pop().unwrap_or_default()).collect();
        let mut last_bad = None;
        let replay = plan.replay.as_ref().filter(|replay| !replay.is_over(block.stream, block.offset));
        // A job without a key: the name and the task of the block's partition.
        let own = match &plan.route {
            Route::Key(_) => None,
            Route::Partition(roster) => Some(roster.entry(block.partition)),
        };
        let own = own.as_ref().map(|(name, task)| (&**name, *task));
        account.records = self.extractor.each(&block, |place, fields| {
            let result = fields.and_then(|fields| match &mut self.timed {
                Some(timed) => {
                    let time = plan.route_timed(timed, own, &block, place, fields, &mut updates)?;
                    account.time = account.time.max(time);
                    Ok(())
                }
                None => plan.route(own, &block, place, fields, replay, &mut updates),
            });
            let Err(bad) = result else { return true };
            // A line of words can be bad once only.
            if last_bad.replace(place.index) == Some(place.index) {
                return true;
            }
            if replay.is_some_and(|replay| !replay.is_over(block.partition, block.offset + place.at as u64)) {
                // It was counted when the newest cut was taken.
                return true;
            }
            account.reject(&plan.on_error, block.offset, place, bad)
        });
        let time = self.timed.as_ref().map(|_| Arc::new(BlockTime::new(&account)));
        let _ = self.lines.events.send(Event::Parsed(account));
        for (peer, bytes) in self.lines.peers.iter().zip(updates) {
            let (number, time, ticket) = (block.number, time.clone(), Arc::clone(&ticket));
            let _ = peer.send(Message::Updates { number, bytes, time, ticket });
        }
        self.lines.buffers.put(block.bytes);
    }

    /// Applies what has come in its turn; freezes the shards when a cut is reached. Returns false when the run can not go on.
    fn apply_ready(&mut self) -> bool {
        loop {
            if let Some((number, ended)) = self.cut.take_if(|(number, _)| *number == self.next) {
                if ended {
                    self.end();
                }
                if self.program.is_none() {
                    self.freeze(number, Duration::ZERO);
                } else if !self.ask_for_cut(number, ended) {
                    return false;
                }
            }
            if self.program.as_ref().is_some_and(|link| !link.has_room()) {
                return true;
            }
            let Some(Updates { bytes, time, ticket }) = self.early.remove(&self.next) else { return true };
            let applied = match &time {
                _ if self.program.is_some() => {
                    if !self.send_batch(&bytes, ticket) {
                        return false;
                    }
                    Ok(())
                }
                None => self.apply(&bytes),
                Some(time) => self.apply_timed(&bytes, time),
            };
            if let Err(event) = applied {
                let _ = self.lines.events.send(*event);
                return false;
            }
            self.next += 1;
            if self.spare.len() < 2 * self.plan.workers {
                let mut bytes = bytes;
                bytes.clear();
                self.spare.push(bytes);
            }
            // A cut's rows are taken a slice for each block, so that they are out before long and no block waits long.
            self.take_slice();
        }
    }

    fn apply(&mut self, mut bytes: &[u8]) -> Result<(), Box<Event>> {
        let by_key = self.plan.priorities.as_ref().filter(|priorities| priorities.looks_at_keys());
        let before = self.load();
        let mut result = Ok(());
        let mut heads = [Head::default(); GROUP];
        'block: while !bytes.is_empty() {
            let count = self.look_ahead(bytes, &mut heads);
            for head in &heads[..count] {
                let (key, arguments, rest) = head.split(bytes);
                let (number, shard) = &mut self.shards[head.place as usize];
                let keys = shard.keys();
                let mut row = shard.row(head.hash, key);
                if let Err(error) = self.plan.processor.apply(arguments, &mut row, &mut Context::new(key)) {
                    result = Err(unapplied(error, key));
                    break 'block;
                }
                if let Some(priorities) = by_key
                    && shard.keys() != keys
                {
                    priorities.see(*number, key);
                }
                bytes = rest;
            }
        }
        self.gauges.add(self.load(), before);
        self.tell_changes();
        result
    }

    /// Tells how much has changed in each shard, where that is asked for.
    pub(crate) fn tell_changes(&self) {
        for (number, shard) in &self.shards {
            if let Some(gauge) = self.gauges.shards.get(*number as usize) {
                gauge.store(shard.changed_bytes(), Ordering::Relaxed);
            }
        }
    }

    /// Tells the classes by key which keys there are.
    fn tell_keys(&self) {
        let Some(priorities) = self.plan.priorities.as_ref().filter(|priorities| priorities.looks_at_keys()) else {
            return;
        };
        for (number, shard) in &self.shards {
            shard.indices().for_each(|index| priorities.see(*number, shard.key(index)));
        }
    }

    /// Looks at the places of several records before any is applied: the waits for memory overlap. Returns how many heads there are.
    #[inline]
    fn look_ahead(&self, bytes: &[u8], heads: &mut [Head; GROUP]) -> usize {
        let mut ahead = bytes;
        let mut count = 0;
        let mut seen = 0;
        while count < GROUP && !ahead.is_empty() {
            let head = Head::unpack(ahead);
            seen ^= self.shards[head.place as usize].1.glance(head.hash);
            heads[count] = head;
            count += 1;
            ahead = &ahead[head.record_bytes as usize..];
        }
        for head in &heads[..count] {
            seen ^= u64::from(self.shards[head.place as usize].1.look(head.hash));
        }
        std::hint::black_box(seen);
        count
    }

    /// Returns what the shards hold.
    fn load(&self) -> Load {
        self.shards.iter().fold(Load::default(), |sum, (_, shard)| Load {
            changed_bytes: sum.changed_bytes + shard.changed_bytes(),
            keys: sum.keys + shard.keys(),
            memory_bytes: sum.memory_bytes + shard.memory_bytes(),
            emitted_bytes: sum.emitted_bytes + shard.emitted_bytes(),
        })
    }

    /// Takes some rows of a cut. Returns true when the checkpointer has to make room first.
    fn take_slice(&mut self) -> bool {
        let Some(snapshotting) = &mut self.snapshotting else { return false };
        let plan = self.plan;
        let mut budget = SLICE_ROWS;
        loop {
            let Some((shard, rows)) = self.shards.get_mut(snapshotting.next_shard) else {
                self.snapshotting = None;
                return false;
            };
            if budget == 0 {
                return false;
            }
            let is_left_out = snapshotting.left_out.contains(shard);
            if !is_left_out && snapshotting.room.is_none() {
                snapshotting.room = self.lines.rooms.take(rows.frozen_bytes());
                if snapshotting.room.is_none() {
                    return true;
                }
            }
            let snapshot = match is_left_out {
                true => None,
                false => match rows.take(budget, |key| plan.task_of(key)) {
                    Some(snapshot) => Some(snapshot),
                    None => return false,
                },
            };
            let snapshot = snapshot.map(|mut snapshot| {
                if plan.exec.is_some() {
                    snapshot.rows.split_tasks();
                }
                budget = budget.saturating_sub(snapshot.rows.len());
                snapshot
            });
            snapshotting.next_shard += 1;
            // When the checkpointer is gone, the run is being aborted.
            let _ = self.lines.snapshots.send(ShardSnapshot {
                shard: *shard,
                cut: snapshotting.cut,
                snapshot,
                pause_micros: snapshotting.pause_micros,
                room: snapshotting.room.take(),
            });
        }
    }
}

/// How long a worker with nothing else to do waits before it asks again whether the checkpointer has room.
const PATIENCE: std::time::Duration = std::time::Duration::from_micros(500);

/// How long one that has a program waits before it looks after it.
const PROGRAM_PATIENCE: std::time::Duration = std::time::Duration::from_millis(20);

/// Records whose places are looked at together.
const GROUP: usize = 16;

/// What stands before a packed record.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// The key's hash.
    hash: u64,
    /// The shard's place at its owner.
    place: u32,
    /// The key's length.
    key_bytes: u32,
    /// The length of all: head, key and arguments.
    record_bytes: u32,
}

const HEAD_BYTES: usize = 20;

impl Head {
    #[inline]
    fn pack(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.place.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.key_bytes.to_le_bytes());
        bytes[16..].copy_from_slice(&self.record_bytes.to_le_bytes());
        bytes
    }

    #[inline]
    fn unpack(packed: &[u8]) -> Head {
        let head: &[u8; HEAD_BYTES] = packed.first_chunk().expect("a record has a head");
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        Head {
            hash: u64::from_le_bytes(head[..8].try_into().expect("eight bytes")),
            place: number(8),
            key_bytes: number(12),
            record_bytes: number(16),
        }
    }

    /// Splits the record that this is the head of off `bytes`: its key, what was packed behind it, and the records after it.
    #[inline]
    fn split<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
        let (record, rest) = bytes.split_at(self.record_bytes as usize);
        let (key, packed) = record[HEAD_BYTES..].split_at(self.key_bytes as usize);
        (key, packed, rest)
    }
}

/// Says which key's record could not be applied.
fn unapplied(error: ProcessError, key: &[u8]) -> Box<Event> {
    Box::new(Event::Unapplied(error, String::from_utf8_lossy(key).into_owned()))
}

/// The name and the task of a block's partition, in a job without a key.
type Own<'a> = Option<(&'a str, u32)>;

impl Plan {
    /// Packs one record for the worker that owns its key, if the filter keeps it.
    #[inline]
    fn route(
        &self,
        own: Own<'_>,
        block: &Block,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        replay: Option<&Replay>,
        updates: &mut [Vec<u8>],
    ) -> Result<(), BadRecord> {
        if !self.keeps(fields)? {
            return Ok(());
        }
        let (key, task) = self.key_of(own, fields)?;
        if let Some(replay) = replay {
            let task = task.unwrap_or_else(|| self.task_of_hash(xxh3_64(key.as_bytes())));
            let shard = shard_of(task, self.tasks, self.shards) as usize;
            if replay.has_applied(shard, block.stream, block.offset + place.at as u64) {
                return Ok(());
            }
        }
        if let Some(exec) = &self.exec {
            let task = task.unwrap_or_else(|| self.task_of_hash(xxh3_64(key.as_bytes())));
            let update = &mut updates[shard_of(task, self.tasks, self.shards) as usize % self.workers];
            let start = update.len();
            return exec.push(update, block, place, fields, task).inspect_err(|_| update.truncate(start));
        }
        self.push(key.as_bytes(), task, updates, |update| self.processor.pack(&fields[..self.field_count], update))
    }

    /// Tells whether the filter keeps a record.
    #[inline]
    fn keeps(&self, fields: &[Field<'_>]) -> Result<bool, BadRecord> {
        match &self.filter {
            Some(filter) => filter.keeps(&fields[self.filter_fields.clone()]),
            None => Ok(true),
        }
    }

    /// Returns the key of a record, and its task when that does not follow from the key.
    #[inline]
    fn key_of<'f>(&'f self, own: Own<'f>, fields: &'f [Field<'_>]) -> Result<(&'f str, Option<u32>), BadRecord> {
        match &self.route {
            Route::Key(place) => Ok((key_text(&fields[*place])?, None)),
            Route::Partition(_) => {
                let (name, task) = own.expect("a block of a job without a key has a partition of the roster");
                Ok((name, Some(task)))
            }
        }
    }

    /// Appends a record of the row `key` to the updates of the row's owner; `pack` appends what is behind the key.
    #[inline]
    fn push(
        &self,
        key: &[u8],
        task: Option<u32>,
        updates: &mut [Vec<u8>],
        pack: impl FnOnce(&mut Vec<u8>) -> Result<(), BadRecord>,
    ) -> Result<(), BadRecord> {
        let hash = xxh3_64(key);
        let task = task.unwrap_or_else(|| self.task_of_hash(hash));
        let shard = shard_of(task, self.tasks, self.shards);
        // One division of 32 bits gives both.
        let (worker, place) = (shard % self.workers as u32, shard / self.workers as u32);
        let update = &mut updates[worker as usize];
        let start = update.len();
        update.extend_from_slice(&[0; HEAD_BYTES]);
        update.extend_from_slice(key);
        if let Err(bad) = pack(update) {
            update.truncate(start);
            return Err(bad);
        }
        let head = Head { hash, place, key_bytes: key.len() as u32, record_bytes: (update.len() - start) as u32 };
        update[start..start + HEAD_BYTES].copy_from_slice(&head.pack());
        Ok(())
    }

    #[inline]
    fn task_of_hash(&self, hash: u64) -> u32 {
        (hash % u64::from(self.tasks)) as u32
    }

    /// Returns how keys find their task, as a manifest says it.
    pub fn routing(&self) -> Routing {
        match &self.route {
            _ if self.exec.is_some() => Routing::Program,
            Route::Key(_) => Routing::KeyHash,
            Route::Partition { .. } => Routing::Partition,
        }
    }

    /// Returns the task of a key.
    pub fn task_of(&self, key: &[u8]) -> u32 {
        self.task_of_hashed(key, xxh3_64(key))
    }

    /// Returns the task of a key whose XXH3-64 is `hash`.
    pub fn task_of_hashed(&self, key: &[u8], hash: u64) -> u32 {
        if self.exec.is_some() {
            return exec::split_key(key).0;
        }
        match &self.route {
            Route::Key(_) => self.task_of_hash(hash),
            Route::Partition(roster) => {
                let name = std::str::from_utf8(key).expect("the name of a partition is text");
                roster.task(name).expect("the keys of a job without one are its partitions")
            }
        }
    }
}

#[inline]
fn key_text<'f>(field: &'f Field<'_>) -> Result<&'f str, BadRecord> {
    let refuse = |reason: &str| Err(BadRecord { reason: format!("the key {reason}") });
    match field {
        Field::Text(text) => Ok(text),
        Field::Number(text) => Ok(text),
        Field::Bool(true) => Ok("true"),
        Field::Bool(false) => Ok("false"),
        Field::Missing => refuse("field is missing or null"),
        Field::Json(_) => refuse("is an object or a list, expected text, a number or a bool"),
    }
}

impl Account {
    /// Notes a bad record. Returns false when the run ends with it.
    #[cold]
    fn reject(&mut self, on_error: &OnError, block_offset: u64, place: RecordPlace<'_>, bad: BadRecord) -> bool {
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
