//! The threads that do the work: each takes blocks apart for all, and applies records to the shards that it owns.
//!
//! Every shard applies its records in the order of the blocks, so the result does not depend on which thread parses what or when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select};

use crate::input::Block;
use crate::input::record::Extractor;
use crate::runner::checkpoint::slots::{Room, Rooms};
use crate::runner::messages::BlockTime;
use crate::runner::observer::Observer;
use crate::runner::pipeline::gauges::{Gauges, Load};
use crate::runner::pipeline::plan::{Plan, Route};
use crate::runner::pipeline::worker::head::Head;
use crate::runner::pipeline::worker::timed::Timed;
use crate::runner::process::exec::link::Link;
use crate::runner::process::processor::{Context, ProcessError};
use crate::runner::state::shard::Shard;

use crate::runner::messages::{Account, Buffers, Chosen, Event, Message, ShardSnapshot};
use crate::runner::ticket::Ticket;

pub mod head;
mod program;
pub(crate) mod timed;

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
        let (answers, mut said) =
            program.map_or_else(|| (never(), never()), |link| (link.answers(), link.stderr_lines()));
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

/// Says which key's record could not be applied.
fn unapplied(error: ProcessError, key: &[u8]) -> Box<Event> {
    Box::new(Event::Unapplied(error, String::from_utf8_lossy(key).into_owned()))
}
