//! The thread that directs a run: starts the others, decides when a checkpoint is due, and ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};
use jiff::Timestamp;

use crate::format::manifest::{DeadLetter, Manifest, Mode};
use crate::format::positions::PositionRow;
use crate::format::rows::RowCodec;
use crate::input;
use crate::input::record::{Extractor, Filter};
use crate::input::roster::{Roster, StreamNames};
use crate::input::{BlockReader, FollowReader, Partition, Reader, Stand};
use crate::job::{Emit, FieldPath, JobSpec, OnError, OnLate, TtlSpec};
use crate::runner::checkpoint::checkpointer::{Checkpointer, Facts};
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::checkpoint::pruner::Pruner;
use crate::runner::checkpoint::requests::Requests;
use crate::runner::checkpoint::slots::Rooms;
use crate::runner::error::{CheckpointError, ResumeError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::messages::{Buffers, Event, Message};
use crate::runner::observer::{Observer, RunEvent, Summary};
use crate::runner::options::{Control, TICK};
use crate::runner::output::dead_letter::{DeadLetterFile, RollBack};
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::publisher::Publisher;
use crate::runner::output::shape::RowShape;
use crate::runner::pipeline::director::Director;
use crate::runner::pipeline::gate::{Gate, Reading};
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::plan::{Plan, Replay, Route};
use crate::runner::pipeline::worker::timed::Timed;
use crate::runner::pipeline::worker::{Lines, Start, Worker};
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::processor::Processor;
use crate::runner::process::time_plan::TimePlan;
use crate::runner::process::watermark::Clock;
use crate::runner::process::window::Windows;
use crate::runner::resume::adapt::{NewLayout, adapt};
use crate::runner::resume::recover::Recovered;
use crate::runner::state::shard::Shard;
use crate::store::{Store, StoreLock};
use crate::values::id::Sequence;

/// Blocks that are under way at any time, for each worker.
const BLOCKS_PER_WORKER: usize = 4;
/// The most threads that encode shards for a checkpoint. Each holds the rows of one, of [`MAX_SHARDS`], a second time.
const MAX_ENCODERS: usize = 3;
/// The most shards that a job has.
const MAX_SHARDS: u32 = 16;

/// What does not change while a run goes on.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) control: &'a Control,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) clock: fn() -> Timestamp,
    /// Drawn anew for each run.
    pub(crate) seed: u64,
    pub(crate) holder: &'a str,
    pub(crate) partitions: Arc<[Partition]>,
    pub(crate) output: Option<OutputPlan>,
    pub(crate) begun: Instant,
    pub(crate) skipped_checkpoints: Vec<Sequence>,
    pub(crate) threads: usize,
}

impl Run<'_> {
    pub(crate) fn go(
        &self,
        processor: Arc<dyn Processor>,
        exec: Option<ExecPlan>,
        filter: Option<Filter>,
        opened: Option<(Store, StoreLock)>,
        recovered: Option<(Recovered, JobSpec)>,
    ) -> Result<Summary, RunError> {
        let job = self.job;
        let lineage = recovered.as_ref().map(|(recovered, _)| &recovered.lineage);
        let mut plan = self.plan(processor, exec, filter, lineage);
        let (mut shards, lineage) = match recovered {
            None => (Vec::new(), Lineage::default()),
            Some((recovered, definition)) => {
                let layout = NewLayout { job, codec: &plan.codec, tasks: plan.tasks, shards: plan.shards };
                let task_of = |key: &[u8], hash: u64| plan.task_of_hashed(key, hash);
                let adapted = adapt(recovered, &definition, &layout, task_of, self.threads, self.observer)?;
                let Recovered { shards, lineage } = adapted;
                (shards, lineage)
            }
        };
        if let (Some(timing), Some(last)) = (&plan.timing, &lineage.last) {
            let inconsistent = |reason| CheckpointError::Inconsistent { sequence: last.manifest.sequence, reason };
            shards.iter_mut().try_for_each(|shard| timing.arm(shard)).map_err(inconsistent)?;
        }
        shards.resize_with(plan.shards as usize, || Shard::new(&plan.codec));
        let facts = Facts {
            job: job.job.clone(),
            definition: job.definition(),
            mode: job.checkpoint.mode,
            tasks: plan.tasks,
            shards: plan.shards,
            routing: plan.routing(),
            columns: plan.codec.columns().to_vec(),
            block_bytes: input::BLOCK_BYTES,
            timeout: job.checkpoint.timeout,
            run: format!("{:016x}", self.seed),
            encoders: plan.workers.min(MAX_ENCODERS),
        };
        let last = lineage.last.as_ref().map(|last| &last.manifest);
        let roll_back = opened.as_ref().zip(last).and_then(|((store, _), last)| RollBack::find(store, last));
        let open = |path: &Path, part: fn(&Manifest) -> Option<&DeadLetter>| -> Result<DeadLetterFile, RunError> {
            let (name, path, committed) = (path.display().to_string(), job.resolve(path), last.and_then(part));
            if let Some(roll_back) = &roll_back
                && let Some((sequence, moved_to)) = roll_back.apply(&name, &path, committed, part)?
            {
                let (path, moved_to) = (path.display().to_string(), moved_to.display().to_string());
                self.observer.event(&RunEvent::Superseded { sequence, path, moved_to });
            }
            Ok(DeadLetterFile::open(&name, &path, committed)?)
        };
        let dead_letter = match &job.input.on_error {
            OnError::DeadLetter(path) => Some(open(path, |manifest| manifest.dead_letter.as_ref())?),
            OnError::Fail | OnError::Skip => None,
        };
        let late = match job.window.as_ref().map(|window| &window.on_late) {
            Some(OnLate::DeadLetter(path)) => Some(open(path, |manifest| manifest.late_records.as_ref())?),
            _ => None,
        };
        let next_block = lineage.last.as_ref().map_or(0, |last| last.manifest.block);
        if let (true, false, Some(last)) = (job.input.follow, lineage.older.is_empty(), &lineage.last) {
            return Err(ResumeError::SeveralCuts { sequence: last.manifest.sequence }.into());
        }
        let roster = match &plan.route {
            Route::Key(_) => None,
            Route::Partition(roster) => Some(Arc::clone(roster)),
        };
        let start = start(&lineage, &self.partitions);
        plan.replay = replay(&lineage, &start, &self.partitions, plan.shards);
        if let (Some(_), Some(last)) = (&plan.replay, &lineage.last) {
            if plan.timing.is_some() || plan.exec.is_some() {
                return Err(ResumeError::SeveralCuts { sequence: last.manifest.sequence }.into());
            }
            // What the newest cut has read is there as well.
            let plain = lineage.positions.values().filter(|row| row.partition != "-").cloned().collect();
            if self.prove(plain, next_block, roster.clone())?.is_none() {
                return Ok(self.stopped_early(&lineage));
            }
        }
        let Some(reader) = self.prove(start, next_block, roster.clone())? else {
            return Ok(self.stopped_early(&lineage));
        };
        let mut gauges = Gauges::default();
        if let Some(spec) = &job.checkpoint.priority {
            let task = |partition: &Partition| Some((partition.name.clone(), roster.as_ref()?.task(&partition.name)?));
            let partitions: Vec<_> = self.partitions.iter().filter_map(task).collect();
            plan.priorities = Some(Arc::new(Priorities::new(spec, plan.tasks, plan.shards, &partitions)));
            gauges.shards.resize_with(plan.shards as usize, Default::default);
        }
        let (mut plan, gauges) = (plan, gauges);
        let (event_sender, events) = unbounded();
        let (alive_sender, alive) = bounded(0);
        let (permit_sender, permits) = unbounded();
        let (block_sender, blocks) = unbounded();
        let buffers = Buffers::default();
        let (snapshot_sender, snapshots) = unbounded();
        let rooms = Rooms::new(facts.encoders);
        let (cut_sender, cuts) = unbounded();
        let (inbox_senders, inboxes): (Vec<_>, Vec<_>) = (0..plan.workers).map(|_| unbounded()).unzip();
        for _ in 0..BLOCKS_PER_WORKER * plan.workers {
            let _ = permit_sender.send(());
        }

        let stands = reader.stands();
        let names = Arc::new(StreamNames::new(stands.iter().map(Stand::logical)));
        if let Some(exec) = &mut plan.exec {
            exec.set_names(Arc::clone(&names));
        }
        let records: Vec<u64> = stands.iter().map(|stand| stand.record).collect();
        let clock = self.clock(&plan, &lineage, &stands);
        let gate = Arc::new(Gate::new(&reader, inbox_senders.clone(), event_sender.clone(), Arc::clone(&names)));
        let mut director = Director::new(self, &plan, &lineage, &reader, &gate, clock.clone());
        let reading = Reading {
            reader,
            gate: Arc::clone(&gate),
            alive,
            permits,
            permit_sender,
            buffers: buffers.clone(),
            blocks: block_sender,
            events: event_sender.clone(),
        };
        // Not scoped: a read that never returns must not keep the run from ending.
        let guard = PanicGuard(event_sender.clone());
        std::thread::spawn(move || {
            let _guard = guard;
            reading.run();
        });

        std::thread::scope(|scope| {
            let mut owned: Vec<Vec<(u32, Shard)>> = (0..plan.workers).map(|_| Vec::new()).collect();
            for (i, shard) in shards.into_iter().enumerate() {
                owned[i % plan.workers].push((i as u32, shard));
            }
            let mut handles = Vec::new();
            for (inbox, shards) in inboxes.into_iter().zip(owned) {
                let lines = Lines {
                    blocks: blocks.clone(),
                    buffers: buffers.clone(),
                    inbox,
                    peers: inbox_senders.clone(),
                    events: event_sender.clone(),
                    snapshots: snapshot_sender.clone(),
                    rooms: rooms.clone(),
                };
                let extractor = Extractor::new(&job.input.format, &self.fields(&plan), job.input.max_record_bytes);
                let timed = plan.timing.as_ref().zip(clock.clone());
                let timed = timed.map(|(timing, clock)| Timed::new(timing, clock, records.clone()));
                let start = Start { shards, next: next_block, timed };
                let worker = Worker::new(&plan, &gauges, self.observer, lines, extractor, start);
                let guard = PanicGuard(event_sender.clone());
                handles.push(scope.spawn(move || {
                    let _guard = guard;
                    worker.run()
                }));
            }
            drop(snapshot_sender);
            let mut checkpointing = None;
            if let Some((store, _)) = &opened {
                let changes = self.output.clone().filter(|output| output.emit.is_by_checkpoint());
                let changes = changes.map(|output| (output, self.shape(&plan)));
                let publisher = Publisher { changes, late, names };
                let checkpointer = Checkpointer::new(store.clone(), facts, lineage, dead_letter, publisher);
                let guard = PanicGuard(event_sender.clone());
                let sender = event_sender.clone();
                checkpointing = Some(scope.spawn(move || {
                    let _guard = guard;
                    checkpointer.run(&snapshots, &cuts, &sender);
                }));
                director.cuts = Some(cut_sender);
            } else {
                // Nobody takes snapshots, and none is asked for.
                drop((snapshots, cuts));
                director.dead_letter = dead_letter;
            }
            if let Some((store, _)) = &opened {
                let (requests, desk) = Requests::new(store.clone(), self.clock);
                scope.spawn(move || desk.run());
                director.requests = Some(requests);
            }
            let mut pruner = None;
            if let (Some((store, _)), Some(keep)) = (&opened, &job.checkpoint.keep) {
                let (sender, commits) = bounded(1);
                let (store, holder) = (store.clone(), self.holder.to_owned());
                let work = Pruner { store, keep: keep.clone(), holder, clock: self.clock, observer: self.observer };
                pruner = Some(scope.spawn(move || work.run(&commits)));
                director.commits = Some(sender);
            }

            let mut work = || {
                let end = director.direct(&events, &gauges)?;
                for inbox in &inbox_senders {
                    let _ = inbox.send(Message::Finish);
                }
                let mut shards = Vec::new();
                for handle in handles.drain(..) {
                    shards.extend(handle.join().map_err(|_| RunError::Panicked)?);
                }
                // What a worker could not apply it has told before it returned its shards.
                while let Ok(event) = events.try_recv() {
                    director.take(event)?;
                }
                director.finish(end, &shards, &plan, &events, &gauges)
            };
            // A panic here must not leave the others waiting for ever.
            let result = catch_unwind(AssertUnwindSafe(&mut work)).unwrap_or(Err(RunError::Panicked));
            gauges.aborting.store(true, Ordering::Relaxed);
            // Whatever happened: let every thread go. One that panicked has said so, and the run ends with an error.
            for inbox in &inbox_senders {
                let _ = inbox.send(Message::Abort);
            }
            director.cuts = None;
            drop(alive_sender);
            director.requests = None;
            for handle in handles {
                let _ = handle.join();
            }
            if let Some(handle) = checkpointing {
                let _ = handle.join();
            }
            // Nothing writes to the store any more: the last prune need not spare what a checkpoint might be about to name.
            director.commits = None;
            let pruned = pruner.map_or(Ok(0), |pruner| pruner.join()).map_err(|_| RunError::Panicked)?;
            result.map(|summary| Summary { pruned, ..summary })
        })
    }

    /// Makes the reader, which proves that the input is the one that was read. Returns nothing when somebody asks to stop
    /// before: a read that never returns must not keep the run from ending.
    fn prove(
        &self,
        start: Vec<PositionRow>,
        next_block: u64,
        roster: Option<Arc<Roster>>,
    ) -> Result<Option<Reader>, RunError> {
        let (sender, receiver) = bounded(1);
        let (input, base, partitions) = (self.job.input.clone(), self.job.base.clone(), Arc::clone(&self.partitions));
        std::thread::spawn(move || {
            let reader = match input.follow {
                false => {
                    let number = |partition: &Partition| roster.as_ref().map(|roster| roster.number(&partition.name));
                    let numbers = partitions.iter().map(number).map(Option::flatten).collect();
                    BlockReader::new(&input, partitions, &start, next_block)
                        .map(|reader| Reader::Bounded(reader, numbers))
                }
                true => FollowReader::new(&input, &base, &start, next_block, roster)
                    .map(|reader| Reader::Following(Box::new(reader))),
            };
            let _ = sender.send(reader);
        });
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(reader) => return Ok(Some(reader?)),
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
                Err(RecvTimeoutError::Timeout) if self.control.stop.load(Ordering::Relaxed) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Returns the summary of a run that was stopped before it had read anything: all is as the latest checkpoint says.
    fn stopped_early(&self, lineage: &Lineage) -> Summary {
        let manifest = lineage.last.as_ref().map(|last| &last.manifest);
        let sequence = manifest.map(|manifest| manifest.sequence);
        let totals = manifest.map(|manifest| manifest.totals).unwrap_or_default();
        Summary {
            resumed_from: sequence,
            skipped_checkpoints: self.skipped_checkpoints.clone(),
            latest: sequence,
            records_in_all: totals.records,
            skipped_in_all: totals.skipped,
            late_in_all: totals.late,
            keys: lineage.keys.iter().sum(),
            loading: self.begun.elapsed(),
            ..Summary::default()
        }
    }

    /// Lays down how records are routed. A job without a key has a task for each partition that it ever had.
    fn plan(
        &self,
        processor: Arc<dyn Processor>,
        exec: Option<ExecPlan>,
        filter: Option<Filter>,
        lineage: Option<&Lineage>,
    ) -> Plan {
        let job = self.job;
        let field_count = processor.fields().len();
        let (route, tasks) = match &job.key {
            Some(_) => (Route::Key(field_count), job.tasks),
            None => {
                let known = lineage.into_iter().flat_map(|lineage| lineage.positions.values());
                let known = known.filter_map(|row| Some((row.logical(), row.task?)));
                let new = self.partitions.iter().map(|partition| partition.name.as_str());
                let roster = Arc::new(Roster::new(known, new, job.input.follow));
                let tasks = roster.tasks();
                (Route::Partition(roster), tasks)
            }
        };
        let last = lineage.and_then(|lineage| lineage.last.as_ref()).map(|last| &last.manifest);
        let same = last.filter(|manifest| manifest.tasks == tasks);
        // What waits and what is taken are whole shards, so mode priority has more of them.
        let most = if job.checkpoint.mode == Mode::Priority { 4 * MAX_SHARDS } else { MAX_SHARDS };
        let shards = same.map_or_else(|| tasks.min(most), |manifest| manifest.shards);
        let key_fields = usize::from(job.key.is_some());
        let filter_start = field_count + key_fields;
        let filter_fields = filter_start..filter_start + filter.as_ref().map_or(0, |filter| filter.fields().len());
        let mut columns = processor.columns().to_vec();
        columns.extend(job.ttl.as_ref().map(|_| TtlSpec::column()));
        let codec = RowCodec::new(columns);
        Plan {
            timing: TimePlan::new(job, filter_fields.end, &codec),
            codec,
            processor,
            field_count,
            exec,
            filter,
            filter_fields,
            route,
            tasks,
            shards,
            priorities: None,
            replay: None,
            takes_all: job.checkpoint.mode == Mode::Scheduled,
            workers: self.threads.min(shards as usize),
            on_error: job.input.on_error.clone(),
        }
    }

    /// Returns the clock of a job that goes by time, as it was at the checkpoint that the run goes on from.
    fn clock(&self, plan: &Plan, lineage: &Lineage, stands: &[Stand]) -> Option<Clock> {
        let mut clock = plan.timing.as_ref()?.clock(stands.len());
        let watermark = lineage.positions.values().filter_map(|row| row.watermark).max();
        for (index, stand) in stands.iter().enumerate() {
            clock.resume(index, stand.event_time, stand.place.ended, watermark);
        }
        Some(clock)
    }

    /// Returns what the rows of the output look like.
    pub(crate) fn shape(&self, plan: &Plan) -> RowShape {
        let emit = self.output.as_ref().map(|output| output.emit);
        RowShape {
            processor: Arc::clone(&plan.processor),
            codec: plan.codec.clone(),
            windows: self.job.window.as_ref().map(Windows::new),
            key_name: self.job.key_name().to_owned(),
            has_change: emit == Some(Emit::Changes) && self.job.window.is_none(),
        }
    }

    /// Returns the fields that are taken out of each record: the processor's, the key, the filter's, the time.
    fn fields(&self, plan: &Plan) -> Vec<FieldPath> {
        let mut fields = plan.processor.fields().to_vec();
        fields.extend(self.job.key.clone());
        fields.extend(plan.filter.iter().flat_map(|filter| filter.fields().to_vec()));
        let windows = self.job.window.as_ref().map(|window| &window.time);
        fields.extend(windows.or(self.job.ttl.as_ref().map(|ttl| &ttl.time)).map(|time| time.field.clone()));
        fields
    }
}

/// Returns where the reader starts: at the smallest position of each partition over all cuts that shards have.
fn start(lineage: &Lineage, partitions: &[Partition]) -> Vec<PositionRow> {
    if lineage.older.is_empty() {
        return lineage.positions.values().cloned().collect();
    }
    let there: HashSet<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
    let mut start: Vec<PositionRow> = Vec::new();
    for (name, newest) in &lineage.positions {
        // One that is gone is told by the position of the newest cut.
        let older =
            lineage.older.iter().filter(|_| there.contains(name.as_str())).map(|older| older.positions.get(name));
        let smallest = older.min_by_key(|row| row.map_or(0, |row| row.offset));
        match smallest {
            Some(Some(older)) if older.offset < newest.offset => start.push(older.clone()),
            // A cut that does not know the partition: it is read from its beginning.
            Some(None) if newest.offset > 0 => {}
            _ => start.push(newest.clone()),
        }
    }
    start
}

/// Returns what shards apply again whose cut is older than the newest, if there are any.
fn replay(lineage: &Lineage, start: &[PositionRow], partitions: &[Partition], shards: u32) -> Option<Replay> {
    if lineage.older.is_empty() {
        return None;
    }
    let offsets = |positions: &BTreeMap<String, PositionRow>| -> Vec<u64> {
        partitions.iter().map(|it| positions.get(&it.name).map_or(0, |row| row.offset)).collect()
    };
    let until = offsets(&lineage.positions);
    let mut from = vec![until.clone(); shards as usize];
    for older in &lineage.older {
        let offsets = offsets(&older.positions);
        for shard in &older.cut.shards {
            if let Some(from) = from.get_mut(*shard as usize) {
                from.clone_from(&offsets);
            }
        }
    }
    let start: HashMap<&str, u64> = start.iter().map(|row| (row.partition.as_str(), row.record)).collect();
    let records = partitions.iter().map(|it| start.get(it.name.as_str()).copied().unwrap_or(0)).collect();
    Some(Replay { until, records, from })
}

/// Tells the directing thread when the thread that holds it panics.
struct PanicGuard(Sender<Event>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Event::Panicked);
        }
    }
}
