//! The thread that directs a run: starts the others, decides when a checkpoint is due, and ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};
use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::format::manifest::{DeadLetter, Manifest, Mode};
use crate::format::positions::PositionRow;
use crate::format::rows::RowCodec;
use crate::input;
use crate::input::record::{Extractor, Filter};
use crate::input::roster::{Roster, StreamNames};
use crate::input::{BlockReader, FollowReader, InputError, Partition, Reader, Stand};
use crate::job;
use crate::job::{Effect, Emit, FieldPath, InputFormat, JobSpec, OnError, OnLate, TtlSpec};
use crate::runner::checkpoint::checkpointer::{Checkpointer, Facts, Lineage, Outcome};
use crate::runner::checkpoint::priority::Priorities;
use crate::runner::checkpoint::pruner::Pruner;
use crate::runner::checkpoint::requests::Requests;
use crate::runner::error::RunError;
use crate::runner::job_paths::Places;
use crate::runner::output::dead_letter::{DeadLetterFile, RollBack};
use crate::runner::output::plan::{OutputPlan, RowShape};
use crate::runner::output::publisher::Publisher;
use crate::runner::pipeline::worker::{
    Account, Buffers, Gauges, Lines, Message, Plan, Replay, Rooms, Route, Start, Timed, Worker,
};
use crate::runner::process::aggregate::Program;
use crate::runner::process::exec::{ExecPlan, Mirror};
use crate::runner::process::processor::{ProcessError, Processor, Processors};
use crate::runner::process::time_plan::TimePlan;
use crate::runner::process::watermark::Clock;
use crate::runner::process::window::Windows;
use crate::runner::resume::damaged;
use crate::runner::resume::outputs;
use crate::runner::resume::recover;
use crate::runner::resume::recover::Recovered;
use crate::runner::state::late::LateRecord;
use crate::runner::state::shard::Shard;
use crate::store::{Store, StoreLock, StoreNote};
use crate::values::id::Sequence;
use crate::values::value::ColumnType;

pub use crate::runner::observer::{Observer, PublishedChanges, RunEvent, Status, Summary};
use crate::runner::pipeline::director::Director;
pub use crate::runner::pipeline::director::Stream;
use crate::runner::pipeline::gate::{Gate, Reading};
use crate::runner::pipeline::prepare::{check_paths, open_store, resolve_types, with_types};
pub use crate::runner::pipeline::restart::run;

/// What a run needs to know besides the job.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of threads that parse and apply, at least 1.
    pub threads: usize,
    /// Whether a run that finds no checkpoint is an error.
    pub must_resume: bool,
    /// Whether a latest checkpoint that is damaged is left behind for the newest that is intact; else it is an error.
    pub latest_good: bool,
    /// Who holds the store while it runs, for the next one to be told.
    pub holder: String,
    /// Gives the time.
    pub clock: fn() -> Timestamp,
    /// Names a store that is created, and tells this run from others.
    pub random: [u8; 16],
    /// What jobs with `process: native:` may name.
    pub processors: Processors,
    /// How the places of the store are reached.
    pub places: Places,
    /// Variables that the programs of the job find in their environment besides.
    pub environment: Vec<(OsString, OsString)>,
}

/// What somebody outside asks of a run, at any time.
#[derive(Debug, Default)]
pub struct Control {
    /// Take a last checkpoint and end.
    pub stop: Arc<AtomicBool>,
    /// Take a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
}

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

/// Blocks that are under way at any time, for each worker.
const BLOCKS_PER_WORKER: usize = 4;
/// The most threads that encode shards for a checkpoint. Each holds the rows of one, of [`MAX_SHARDS`], a second time.
const MAX_ENCODERS: usize = 3;
/// The most shards that a job has.
const MAX_SHARDS: u32 = 16;
/// Records that are looked at to tell the types of fields.
pub(crate) const SAMPLE_RECORDS: u64 = 1000;
/// So many bytes of dead letters are written at once when there are no checkpoints.
pub(crate) const DEAD_LINES_BYTES: usize = 1 << 20;
/// A checkpoint is due when the rows that wait to be published take so much memory.
pub(crate) const MAX_EMITTED_BYTES: u64 = 64 << 20;
/// How often triggers are looked at and the status is told.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Runs the job once.
pub(crate) fn attempt(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let output = OutputPlan::new(job);
    // Mistakes in the job file come first: they leave no store behind.
    let filter = match &job.filter {
        None => None,
        Some(expression) => {
            let filter = Filter::new(expression).map_err(|reason| RunError::Filter { reason })?;
            let untyped = matches!(job.input.format, InputFormat::Csv { .. });
            Some(if untyped { filter.with_numbers_in_text() } else { filter })
        }
    };
    let native = job.native.as_ref().map(|name| options.processors.make(name, job)).transpose();
    let native = native.map_err(|reason| RunError::Processor { reason })?;
    let list = if job.input.follow { input::present } else { input::partitions };
    let partitions: Arc<[Partition]> = list(&job.input, &job.base)?.into();
    check_paths(job, output.as_ref())?;
    let opened = if job.checkpoint.enabled { Some(open_store(job, options, output.as_ref())?) } else { None };
    let store = opened.as_ref().map(|(store, _)| store.clone());
    let tell_notes = || {
        let notes = store.as_ref().map(Store::take_notes).unwrap_or_default();
        notes.into_iter().for_each(|note| observer.event(&RunEvent::Replica(note)));
    };
    tell_notes();
    if let Some((store, _)) = &opened
        && store.sequences()?.is_empty()
    {
        let place = store.place();
        if let Some(published) = output.as_ref().and_then(OutputPlan::published) {
            return Err(RunError::CheckpointsMissing { place, output: published.display().to_string() });
        }
        if options.must_resume {
            return Err(RunError::NothingToResume { place });
        }
    }
    let workers = options.threads.max(1);
    let resumed = match &opened {
        None => None,
        Some((store, _)) => {
            recover::resume(store, options.latest_good, workers, job.checkpoint.priority.as_ref(), |sequence, old| {
                let mut differences = job::differences(old, &with_types(job, old));
                differences.retain(|difference| difference.effect() == Effect::Unfit);
                if differences.is_empty() { Ok(()) } else { Err(RunError::Unfit { sequence, differences }) }
            })?
        }
    };
    // The definition in the checkpoint has the types that its run found out, which this one goes on with.
    let mut plans: Vec<OutputPlan> = output.iter().cloned().collect();
    if let Some(resumed) = &resumed {
        let before = JobSpec { base: job.base.clone(), ..resumed.definition.clone() };
        plans.extend(OutputPlan::new(&before).filter(|before| Some(before) != output.as_ref()));
    }
    let mut job = resumed.as_ref().map_or_else(|| job.clone(), |resumed| with_types(job, &resumed.definition));
    let (recovered, definition, left_behind) = match resumed {
        None => (None, None, Vec::new()),
        Some(resumed) => (Some(resumed.recovered), Some(resumed.definition), resumed.left_behind),
    };
    if let (Some((store, _)), Some(recovered), false) = (&opened, &recovered, left_behind.is_empty()) {
        // A prune knows that a run needs the latest checkpoint, not that it has gone back to an older one.
        let objects: Vec<ObjectName> = recovered.lineage.objects.iter().copied().collect();
        store.take_over(&objects)?;
    }
    let last = recovered.as_ref().and_then(|recovered| recovered.lineage.last.clone());
    resolve_types(&mut job, &partitions, observer)?;
    let types: HashMap<FieldPath, ColumnType> = job.input.types.iter().cloned().collect();
    let processor: Arc<dyn Processor> = match (&job.exec, native) {
        (_, Some(native)) => native,
        (None, None) => Arc::new(Program::new(&job.aggregates, &job.input.format, |field| types[field])),
        (Some(_), None) => Arc::new(Mirror::new(&job.input.format)),
    };
    let exec = job.exec.as_ref().map(|exec| ExecPlan::new(&job, exec, &options.environment));

    if let (Some(last), false) = (&last, left_behind.is_empty()) {
        damaged::go_back(&last.manifest, &left_behind, output.as_ref(), observer)?;
    }
    let newest = recovered.as_ref().and_then(|recovered| recovered.lineage.newest);
    outputs::settle(store.as_ref(), last.as_ref().map(|last| &last.manifest), newest, &plans, observer)?;
    let store_place = opened.as_ref().map(|(store, _)| store.place());
    match &last {
        None => observer.event(&RunEvent::Fresh { store: store_place }),
        Some(last) => observer.event(&RunEvent::Resumed {
            store: store_place.unwrap_or_default(),
            sequence: last.manifest.sequence,
            created: last.manifest.created,
            records: last.manifest.totals.records,
            keys: last.manifest.totals.keys,
        }),
    }
    tell_notes();
    let left_behind = left_behind.into_iter().map(|left| left.sequence).collect();
    let (clock, holder) = (options.clock, options.holder.as_str());
    let seed = xxhash_rust::xxh3::xxh3_64(&options.random);
    let run = Run {
        job: &job,
        control,
        observer,
        clock,
        seed,
        holder,
        partitions,
        output,
        begun,
        left_behind,
        threads: workers,
    };
    let mut summary = run.go(processor, exec, filter, opened, recovered.zip(definition))?;
    if let Some(store) = &store {
        // One that was lost in the last checkpoint, or came back after it, gets a last chance.
        store.catch_up();
        summary.replicas_behind = store.lost().into_iter().map(|(place, _)| place).collect();
    }
    tell_notes();
    Ok(summary)
}

/// What does not change while a run goes on.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) control: &'a Control,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) clock: fn() -> Timestamp,
    /// Drawn anew for each run.
    pub(crate) seed: u64,
    holder: &'a str,
    pub(crate) partitions: Arc<[Partition]>,
    pub(crate) output: Option<OutputPlan>,
    pub(crate) begun: Instant,
    pub(crate) left_behind: Vec<Sequence>,
    pub(crate) threads: usize,
}

impl Run<'_> {
    fn go(
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
                let Recovered { shards, lineage } = self.adapt(recovered, &definition, &plan)?;
                (shards, lineage)
            }
        };
        if let (Some(timing), Some(last)) = (&plan.timing, &lineage.last) {
            let inconsistent = |reason| RunError::Inconsistent { sequence: last.manifest.sequence, reason };
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
                && let Some((sequence, aside)) = roll_back.apply(&name, &path, committed, part)?
            {
                let (path, aside) = (path.display().to_string(), aside.display().to_string());
                self.observer.event(&RunEvent::Withdrawn { sequence, path, aside });
            }
            DeadLetterFile::open(&name, &path, committed)
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
            return Err(RunError::SeveralCuts { sequence: last.manifest.sequence });
        }
        let roster = match &plan.route {
            Route::Key(_) => None,
            Route::Partition(roster) => Some(Arc::clone(roster)),
        };
        let start = start(&lineage, &self.partitions);
        plan.replay = replay(&lineage, &start, &self.partitions, plan.shards);
        if let (Some(_), Some(last)) = (&plan.replay, &lineage.last) {
            if plan.timing.is_some() || plan.exec.is_some() {
                return Err(RunError::SeveralCuts { sequence: last.manifest.sequence });
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
            left_behind: self.left_behind.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Panicking;

    impl Observer for Panicking {
        fn event(&self, _: &RunEvent) {}

        fn status(&self, _: &Status) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_panic_of_the_directing_thread_ends_the_run_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.jsonl"), "{\"k\":1}\n".repeat(100_000)).unwrap();
        let text = "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\n";
        let job = JobSpec::from_bytes(text.as_bytes(), &dir.path().join("job.yaml")).unwrap();
        let options = Options {
            threads: 2,
            latest_good: false,
            must_resume: false,
            holder: "a test".to_owned(),
            clock: Timestamp::now,
            random: [1; 16],
            environment: Vec::new(),
            processors: Processors::default(),
            places: Places::default(),
        };
        let result = run(&job, &options, &Control::default(), &Panicking);
        assert!(matches!(result, Err(RunError::Panicked)));
    }
}
