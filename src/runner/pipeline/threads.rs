//! The threads of a run: how they are connected, started, and ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::input::StreamNames;
use crate::input::record::Extractor;
use crate::input::{Block, Reader};
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::checkpoint::group::OwnCommit;
use crate::runner::checkpoint::job_facts::JobFacts;
use crate::runner::checkpoint::pruner::Pruner;
use crate::runner::checkpoint::requests::Requests;
use crate::runner::encoder_slots::EncoderSlots;
use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::messages::{Buffers, FrozenShard, ThreadEvent, WorkerMessage};
use crate::runner::observer::{RunEvent, Stage, Summary};
use crate::runner::output::lines::LineOutput;
use crate::runner::output::publisher::Publisher;
use crate::runner::output::shown::ShownRows;
use crate::runner::output::topic::{MessageRows, Outlet};
use crate::runner::pipeline::batch::Batch;
use crate::runner::pipeline::director::direct::Director;
use crate::runner::pipeline::gate::Gate;
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::last_state::LastState;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::read_thread::ReadThread;
use crate::runner::pipeline::run::Run;
use crate::runner::pipeline::spawn::{spawn, spawn_deep};
use crate::runner::pipeline::worker::route_timed::TimedState;
use crate::runner::pipeline::worker::thread::{Worker, WorkerChannels, WorkerStart};
use crate::runner::process::event_clock::EventClock;
use crate::runner::state::shard::Shard;
use crate::runner::ticket::Ticket;
use crate::store::Store;
use crate::store::records::requests::AnsweredPart;

/// Blocks in flight at any time, for each worker.
const BLOCKS_PER_WORKER: usize = 4;

/// What a run has before its first thread starts.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) gauges: Gauges,
    pub(crate) shards: Vec<Shard>,
    pub(crate) lineage: Lineage,
    pub(crate) facts: JobFacts,
    pub(super) batch: Batch,
    pub(crate) reader: Reader,
    pub(crate) names: Arc<StreamNames>,
    pub(crate) dead: Option<LineOutput>,
    pub(crate) late: Option<LineOutput>,
    pub(crate) shown: Option<ShownRows>,
    pub(crate) outlet: Option<Outlet>,
}

/// The thread of a worker, which returns the worker's shards.
type WorkerHandle<'scope> = ScopedJoinHandle<'scope, Vec<(u32, Shard)>>;

/// Runs all threads until the input ends or the run is asked to stop. Checkpoints go to `store`, if there is one.
pub(crate) fn run(run: &Run<'_>, prepared: Prepared, store: Option<&Store>) -> Result<Summary, RunError> {
    let Prepared { plan, gauges, shards, lineage, facts, batch, reader, names, dead, late, shown, outlet } = prepared;
    let (event_sender, events) = unbounded();
    let (block_sender, blocks) = unbounded();
    let (frozen_sender, frozen) = unbounded();
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..plan.workers).map(|_| unbounded()).unzip();
    let buffers = Buffers::default();
    let clock = run.event_clock(&plan, &lineage, &reader.positions());
    let gate = Arc::new(Gate::new(&reader, inboxes.clone(), event_sender.clone(), Arc::clone(&names)));
    // Objects of lines need checkpoints, which the job file is checked for.
    let (dead, own_dead_letter) = match dead {
        Some(LineOutput::File(file)) if store.is_none() => (None, Some(file)),
        dead => (dead, None),
    };
    let fields = run.fields(&plan);
    let watched = run.watched_fields(&plan);
    let sightings = Arc::clone(&watched.sightings);
    let mut director = Director::new(run, &plan, &lineage, (&reader, &*gate), clock.clone(), own_dead_letter, watched);
    director.begins_batch = matches!(batch, Batch::Open { is_new: true, .. });
    let starts = worker_starts(&plan, shards, &reader, clock);
    let slots = EncoderSlots::new(facts.encoders);
    let alive = spawn_reader(reader, &gate, plan.workers, &buffers, block_sender, &event_sender)?;
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        let mut store_threads = StoreHandles::default();
        let work = || {
            for (start, inbox) in starts.into_iter().zip(receivers) {
                let channels = WorkerChannels {
                    blocks: blocks.clone(),
                    buffers: buffers.clone(),
                    inbox,
                    peers: inboxes.clone(),
                    events: event_sender.clone(),
                    frozen: frozen_sender.clone(),
                    slots: slots.clone(),
                };
                let extractor = Extractor::of_input(&run.job.input, &fields).noting(Arc::clone(&sightings));
                let worker = Worker::new(&plan, &gauges, run.observer, channels, extractor, start);
                workers.push(spawn_deep(scope, guarded(&event_sender, move || worker.run()))?);
            }
            // The checkpointer ends when the workers have.
            drop(frozen_sender);
            // The buffers are not needed for the last checkpoint and the output.
            drop(buffers);
            if let Some(store) = store {
                let topic = outlet.map(|outlet| (outlet, MessageRows::new(run.job, run.shape(&plan))));
                let publisher = Publisher { shown, topic, ..publisher(run, &plan, dead, late, names) };
                let waits = event_sender.clone();
                store.report_waits(move |note| drop(waits.send(ThreadEvent::Replica(note))));
                let checkpointer = Checkpointer::new(store.clone(), facts, lineage, publisher);
                store_threads.spawn_checkpointer(scope, checkpointer, frozen, &event_sender, &mut director)?;
                store_threads.spawn_others(scope, run, store, plan.tasks, &mut director)?;
            } else {
                // Nobody writes what the workers freeze: dropped as it is sent, it holds no encoder slot.
                drop(frozen);
            }
            direct(&mut director, &mut workers, &inboxes, &events, &plan, &gauges)
        };
        // A failure or a panic here must not leave the threads that have started waiting forever.
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(RunError::Panicked));
        // Whatever happened: let every thread end. If one panicked, it has said so, and the result is an error.
        gauges.aborting.store(true, Ordering::Relaxed);
        for inbox in &inboxes {
            let _ = inbox.send(WorkerMessage::Abort);
        }
        director.threads.cuts = None;
        drop(alive);
        director.threads.requests = None;
        for worker in workers {
            let _ = worker.join();
        }
        let (own, pruned) = store_threads.end(&mut director)?;
        let (summary, last) = result?;
        if let (Some(share), Some(own)) = (run.share, own) {
            last.keep(&own, share);
        }
        Ok(Summary { pruned, absent_fields: director.watched.absent(), ..summary })
    })
}

/// Deals the shards to the workers.
fn worker_starts(plan: &Plan, shards: Vec<Shard>, reader: &Reader, clock: Option<EventClock>) -> Vec<WorkerStart> {
    let records: Vec<u64> = reader.positions().iter().map(|position| position.record).collect();
    let start = || {
        let timed = plan.timing.as_ref().zip(clock.clone());
        let timed = timed.map(|(timing, clock)| TimedState::new(timing, clock, records.clone()));
        WorkerStart { shards: Vec::new(), next: reader.next_number(), timed }
    };
    let mut starts: Vec<WorkerStart> = (0..plan.workers).map(|_| start()).collect();
    for (shard, number) in shards.into_iter().zip(0..) {
        starts[number as usize % plan.workers].shards.push((number, shard));
    }
    starts
}

/// Starts the thread that reads. It ends once the sender that is returned is dropped, or when its read returns.
fn spawn_reader(
    reader: Reader,
    gate: &Arc<Gate>,
    workers: usize,
    buffers: &Buffers,
    blocks: Sender<(Block, Arc<Ticket>)>,
    events: &Sender<ThreadEvent>,
) -> Result<Sender<()>, RunError> {
    let (alive_sender, alive) = bounded(0);
    let (permit_sender, permits) = unbounded();
    for _ in 0..BLOCKS_PER_WORKER * workers {
        let _ = permit_sender.send(());
    }
    let (gate, buffers) = (Arc::clone(gate), buffers.clone());
    let thread = ReadThread { reader, gate, alive, permits, permit_sender, buffers, blocks, events: events.clone() };
    // Not scoped: a read that never returns must not keep the run from ending.
    Builder::new().spawn(guarded(events, move || thread.run())).map_err(|source| RunError::Thread { source })?;
    Ok(alive_sender)
}

/// Returns what puts files outside the store with each checkpoint.
fn publisher(
    run: &Run<'_>,
    plan: &Plan,
    dead: Option<LineOutput>,
    late: Option<LineOutput>,
    names: Arc<StreamNames>,
) -> Publisher {
    let changes = run.outputs.rows.clone().filter(|output| output.emit.is_by_checkpoint());
    let changes = changes.map(|output| (output, run.shape(plan)));
    Publisher { changes, topic: None, shown: None, dead, late, names }
}

/// The threads that work on the store.
#[derive(Default)]
struct StoreHandles<'scope> {
    /// Returns what one of several workers has committed last.
    checkpointer: Option<ScopedJoinHandle<'scope, Option<OwnCommit>>>,
    /// Returns the number of checkpoints that it has pruned.
    pruner: Option<ScopedJoinHandle<'scope, u64>>,
}

impl<'scope> StoreHandles<'scope> {
    /// Starts the checkpointer, and gives the director its end.
    fn spawn_checkpointer(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        checkpointer: Checkpointer,
        frozen: Receiver<FrozenShard>,
        events: &Sender<ThreadEvent>,
        director: &mut Director<'_>,
    ) -> Result<(), RunError> {
        let (cut_sender, cuts) = unbounded();
        let sender = events.clone();
        self.checkpointer =
            Some(spawn_deep(scope, guarded(events, move || checkpointer.run(&frozen, &cuts, &sender)))?);
        director.threads.cuts = Some(cut_sender);
        Ok(())
    }

    /// Starts the thread that looks for requests, and the pruner if the job has keep rules. Gives the director its ends.
    fn spawn_others<'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        run: &'env Run<'_>,
        store: &Store,
        tasks: u32,
        director: &mut Director<'_>,
    ) -> Result<(), RunError> {
        let part = run.share.map(|share| AnsweredPart {
            worker: share.worker.clone(),
            tasks: share.partitions.clone(),
            of: tasks,
        });
        let (requests, poller) = Requests::new(store.clone(), run.clock.clone(), part);
        spawn(scope, move || poller.run())?;
        director.threads.requests = Some(requests);
        if let Some(keep) = run.job.checkpoint.keep.clone() {
            let (sender, commits) = bounded(1);
            let (store, holder) = (store.clone(), run.holder.to_owned());
            let (clock, is_shared) = (run.clock.clone(), run.share.is_some());
            let pruner = Pruner { store, keep, holder, clock, observer: run.observer, is_shared };
            self.pruner = Some(spawn(scope, move || pruner.run(&commits))?);
            director.threads.commits = Some(sender);
        }
        Ok(())
    }

    /// Waits for the threads to end, the pruner last. Returns what one of several workers has committed last, and the number
    /// of checkpoints that the pruner has pruned.
    fn end(self, director: &mut Director<'_>) -> Result<(Option<OwnCommit>, u64), RunError> {
        let own = self.checkpointer.and_then(|checkpointer| checkpointer.join().ok().flatten());
        // Nothing writes to the store any more: the last prune need not keep files that a checkpoint might need.
        director.threads.commits = None;
        let pruned = self.pruner.map_or(Ok(0), ScopedJoinHandle::join).map_err(|_| RunError::Panicked)?;
        Ok((own, pruned))
    }
}

/// Directs the run to its end: the last cut, then the shards of the workers, then the last checkpoint and the output. Also
/// returns the state at its end.
fn direct(
    director: &mut Director<'_>,
    workers: &mut Vec<WorkerHandle<'_>>,
    inboxes: &[Sender<WorkerMessage>],
    events: &Receiver<ThreadEvent>,
    plan: &Plan,
    gauges: &Gauges,
) -> Result<(Summary, LastState), RunError> {
    director.run.observer.event(&RunEvent::Stage(Stage::Reading));
    let end = director.direct(events, gauges)?;
    director.run.observer.event(&RunEvent::Stage(Stage::Ending));
    for inbox in inboxes {
        let _ = inbox.send(WorkerMessage::Finish);
    }
    let mut shards = Vec::new();
    for worker in workers.drain(..) {
        shards.extend(worker.join().map_err(|_| RunError::Panicked)?);
    }
    // A worker reports what it could not apply before it returns its shards.
    while let Ok(event) = events.try_recv() {
        director.take(event)?;
    }
    let cut = director.last_cut.as_ref().map(|cut| cut.number);
    let summary = director.finish(end, &shards, plan, events, gauges)?;
    Ok((summary, LastState { cut, shards }))
}

/// Makes the director learn of it if `work` panics.
fn guarded<T, F: FnOnce() -> T>(events: &Sender<ThreadEvent>, work: F) -> impl FnOnce() -> T + use<T, F> {
    let guard = PanicGuard(events.clone());
    move || {
        let _guard = guard;
        work()
    }
}

/// Reports a panic of the thread that drops it.
struct PanicGuard(Sender<ThreadEvent>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(ThreadEvent::Panicked);
        }
    }
}
