//! A worker: what it holds, and its loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select};

use crate::input::Block;
use crate::input::record::Extractor;
use crate::runner::encoder_slots::{EncoderSlot, EncoderSlots};
use crate::runner::messages::{
    BlockUpdates, Buffers, ChosenShards, FrozenShard, ThreadEvent, WorkerCut, WorkerMessage,
};
use crate::runner::observer::Observer;
use crate::runner::pipeline::gauges::{Gauges, Load};
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::worker::route_timed::TimedState;
use crate::runner::process::exec::link::Link;
use crate::runner::state::shard::Shard;
use crate::runner::ticket::Ticket;

/// Breaks when the worker is to return its shards.
pub(super) type Flow = ControlFlow<()>;

/// The ends of the channels that a worker holds.
#[derive(Debug)]
pub struct WorkerChannels {
    /// Blocks to parse, shared by all workers.
    pub blocks: Receiver<(Block, Arc<Ticket>)>,
    /// Buffers of parsed blocks, for the reader to refill.
    pub buffers: Buffers,
    pub inbox: Receiver<WorkerMessage>,
    /// The inboxes of all workers, this one included.
    pub peers: Vec<Sender<WorkerMessage>>,
    /// To the director.
    pub events: Sender<ThreadEvent>,
    /// To the checkpointer.
    pub frozen: Sender<FrozenShard>,
    /// Limits the rows on their way to the checkpointer, so that a large state is never there as a whole.
    pub slots: EncoderSlots,
}

/// One of the threads.
pub struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) gauges: &'a Gauges,
    pub(super) observer: &'a dyn Observer,
    pub(super) channels: WorkerChannels,
    pub(super) extractor: Extractor,
    /// The running program that applies records, if the job has one.
    pub(super) program: Option<Link<'a>>,
    /// The shards that it owns, with their numbers, ascending.
    pub(super) shards: Vec<(u32, Shard)>,
    /// The next block to apply.
    pub(super) next: u64,
    /// Blocks that arrived before their turn.
    pub(super) early: BTreeMap<u64, BlockUpdates>,
    /// The next cut.
    pub(super) cut: Option<WorkerCut>,
    /// The shards that the newest cut takes.
    pub(super) chosen: ChosenShards,
    pub(super) freezing: Option<Freezing>,
    /// For a job with event time.
    pub(super) timed: Option<TimedState>,
    /// Whether to return once everything is applied.
    pub(super) is_finishing: bool,
    /// Buffers of applied records, for reuse.
    pub(super) spare: Vec<Vec<u8>>,
}

/// A cut whose rows are still being taken.
#[derive(Debug)]
pub(super) struct Freezing {
    pub(super) cut: u64,
    pub(super) pause_micros: u64,
    /// The next of the worker's shards to take.
    pub(super) next_shard: usize,
    /// For the shard that is being taken.
    pub(super) slot: Option<EncoderSlot>,
    /// The worker's shards that the cut leaves out.
    pub(super) left_out: Vec<u32>,
}

/// What a worker starts from.
#[derive(Debug)]
pub struct WorkerStart {
    /// The shards that it owns, with their numbers, ascending.
    pub shards: Vec<(u32, Shard)>,
    /// Its first block.
    pub next: u64,
    /// For a job with event time.
    pub timed: Option<TimedState>,
}

impl<'a> Worker<'a> {
    /// Makes a worker that starts from `start`.
    pub fn new(
        plan: &'a Plan,
        gauges: &'a Gauges,
        observer: &'a dyn Observer,
        channels: WorkerChannels,
        extractor: Extractor,
        start: WorkerStart,
    ) -> Worker<'a> {
        let WorkerStart { shards, next, timed } = start;
        let worker = Worker {
            plan,
            gauges,
            observer,
            channels,
            extractor,
            program: None,
            shards,
            next,
            early: BTreeMap::new(),
            cut: None,
            chosen: None,
            freezing: None,
            timed,
            is_finishing: false,
            spare: Vec::new(),
        };
        gauges.add(worker.load(), Load::default());
        worker.classify_keys();
        worker
    }

    /// Works until told to finish or to abort, and returns the shards.
    pub fn run(mut self) -> Vec<(u32, Shard)> {
        let _ = self.work();
        self.shards
    }

    fn work(&mut self) -> Flow {
        self.start_program()?;
        let mut blocks = self.channels.blocks.clone();
        let program = self.program.as_ref();
        let (answers, mut lines) =
            program.map_or_else(|| (never(), never()), |link| (link.answers(), link.stderr_lines()));
        loop {
            self.take_waiting(&answers, &lines)?;
            self.apply_ready()?;
            self.tend_program()?;
            let waits_for_slot = self.take_slice();
            if self.is_finished() {
                self.close_program();
                return Flow::Break(());
            }
            if let Ok((block, ticket)) = blocks.try_recv() {
                self.parse(block, ticket);
                continue;
            }
            if self.freezing.is_some() && !waits_for_slot {
                continue;
            }
            // Nothing to do: wait for whatever comes first.
            let wait = match &self.program {
                _ if waits_for_slot => crossbeam_channel::after(SLOT_PATIENCE),
                Some(_) => crossbeam_channel::after(PROGRAM_PATIENCE),
                None => never(),
            };
            select! {
                recv(self.channels.inbox) -> message => match message {
                    Ok(message) => self.take_message(message)?,
                    Err(_) => return Flow::Break(()),
                },
                recv(blocks) -> block => match block {
                    Ok((block, ticket)) => self.parse(block, ticket),
                    Err(_) => blocks = never(),
                },
                // The channel closes only after an explicit end message.
                recv(answers) -> answer => if let Ok(answer) = answer {
                    self.take_answer(answer)?;
                },
                recv(lines) -> line => match line {
                    Ok(line) => self.report_line(line),
                    Err(_) => lines = never(),
                },
                recv(wait) -> _ => {}
            }
        }
    }

    fn is_finished(&self) -> bool {
        let is_applied = self.early.is_empty() || self.is_held();
        let is_done = is_applied && self.cut.is_none() && self.freezing.is_none();
        self.is_finishing && is_done && self.is_program_idle()
    }
}

/// How long a worker with nothing else to do waits before it asks again for an encoder slot.
const SLOT_PATIENCE: Duration = Duration::from_micros(500);

/// How long a worker with a program waits before it looks after the program.
const PROGRAM_PATIENCE: Duration = Duration::from_millis(20);
