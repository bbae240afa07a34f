//! The thread that directs a run: starts the others, decides when a checkpoint is due, and ends.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select_biased, unbounded};
use jiff::Timestamp;

use crate::format::FORMAT;
use crate::format::layout::ObjectName;
use crate::format::manifest::{Manifest, Mode, Output, Routing, StoreFile, Trigger};
use crate::format::positions::PositionRow;
use crate::id::{Sequence, StoreId};
use crate::runner::aggregate::{Overflow, Program};
use crate::runner::checkpointer::{Checkpointer, Cut, Done, Facts, Lineage, Standing};
use crate::runner::dead_letter::{DeadLetterFile, append_line};
use crate::runner::error::RunError;
use crate::runner::input::{self, Block, BlockReader, Compression, InputError, Partition, Place};
use crate::runner::left_behind::{self, Abandoned};
use crate::runner::output::{self, OutputPlan};
use crate::runner::pruner::Pruner;
use crate::runner::record::{Extractor, Filter, sample};
use crate::runner::recover::{self, Recovered};
use crate::runner::spec::{self, AggregateFunction, FieldPath, InputFormat, JobSpec, OnError, OutputFormat};
use crate::runner::state::Shard;
use crate::runner::trigger::{self, Policy, Seen};
use crate::runner::worker::{Account, Buffers, Gauges, Lines, Message, Plan, Route, Ticket, Worker};
use crate::storage::Storage;
use crate::storage::local::LocalStorage;
use crate::store::{Store, StoreError, StoreLock, StoreNote};
use crate::value::ColumnType;

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
    /// Names a store that is created.
    pub random: [u8; 16],
}

/// What somebody outside asks of a run, at any time.
#[derive(Debug, Default)]
pub struct Control {
    /// Take a last checkpoint and end.
    pub stop: Arc<AtomicBool>,
    /// Take a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
}

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
    /// The rules of the job file could not be applied to the checkpoints.
    NotPruned {
        /// Why.
        reason: String,
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
    /// Bytes of input applied since the job began, after decompression.
    pub input_bytes: u64,
    /// Bytes of input in all, where that is known.
    pub total_bytes: Option<u64>,
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
#[derive(Debug, Clone)]
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
    /// The files that it published.
    pub outputs: Vec<Output>,
    /// Replicas that do not have the latest checkpoint.
    pub replicas_behind: Vec<String>,
}

/// What the threads tell the one that directs.
#[derive(Debug)]
pub enum Event {
    /// A block was parsed.
    Parsed(Account),
    /// A sum left its bounds, in a record of this key.
    Overflow(Overflow, String),
    /// The reader told the workers of a cut, before it handed out the block of this number.
    Cut(u64, Vec<Place>),
    /// There are no more blocks.
    Ended,
    /// The input failed.
    Input(InputError),
    /// There is something to tell about the replicas.
    Replica(StoreNote),
    /// A checkpoint was committed, or could not be; nothing when there was nothing new since the latest.
    Checkpoint(Result<Option<Box<Done>>, Box<RunError>>),
    /// A thread panicked.
    Panicked,
}

/// What the reader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// Announce a cut before the next block.
    Cut,
    /// Announce a cut and hand out no more blocks.
    CutAndStop,
}

/// Blocks that are under way at any time, for each worker.
const BLOCKS_PER_WORKER: usize = 4;
/// Snapshots of shards on their way to the checkpointer.
const SNAPSHOTS_UNDER_WAY: usize = 2;
/// The most shards that a job has.
const MAX_SHARDS: u32 = 16;
/// Records that are looked at to tell the types of fields.
const SAMPLE_RECORDS: u64 = 1000;
/// So many bytes of dead letters are written at once when there are no checkpoints.
const DEAD_LINES_BYTES: usize = 1 << 20;
/// How often triggers are looked at and the status is told.
const TICK: Duration = Duration::from_millis(50);
/// How long a run that is asked to stop waits for an input that does not answer.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the job to the end of its input, or until `control` says stop.
///
/// On an error everything that was committed is untouched, and the next run goes on from there.
pub fn run(job: &JobSpec, options: &Options, control: &Control, observer: &dyn Observer) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let output = output_plan(job);
    // Mistakes in the job file come first: they leave no store behind.
    let filter = match &job.filter {
        None => None,
        Some(expression) => {
            let filter = Filter::new(expression).map_err(|reason| RunError::Filter { reason })?;
            let untyped = matches!(job.input.format, InputFormat::Csv { .. });
            Some(if untyped { filter.with_numbers_in_text() } else { filter })
        }
    };
    let partitions: Arc<[Partition]> = input::partitions(&job.input, &job.base)?.into();
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
        if let Some(output) = output.as_ref().filter(|output| output.path.exists()) {
            return Err(RunError::CheckpointsMissing { place, output: output.path.display().to_string() });
        }
        if options.must_resume {
            return Err(RunError::NothingToResume { place });
        }
    }
    let workers = options.threads.max(1);
    let resumed = match &opened {
        None => None,
        Some((store, _)) => recover::resume(store, options.latest_good, workers, |sequence, old| {
            let differences = spec::differences(old, &with_types(job, old));
            if differences.is_empty() { Ok(()) } else { Err(RunError::Unfit { sequence, differences }) }
        })?,
    };
    // The definition in the checkpoint has the types that its run found out, which this one goes on with.
    let mut job = resumed.as_ref().map_or_else(|| job.clone(), |resumed| with_types(job, &resumed.definition));
    let (recovered, left_behind) = match resumed {
        None => (None, Vec::new()),
        Some(resumed) => (Some(resumed.recovered), resumed.left_behind),
    };
    if let (Some((store, _)), Some(recovered), false) = (&opened, &recovered, left_behind.is_empty()) {
        // A prune knows that a run needs the latest checkpoint, not that it has gone back to an older one.
        let objects: Vec<ObjectName> = recovered.lineage.objects.iter().copied().collect();
        store.take_over(&objects)?;
    }
    let last = recovered.as_ref().and_then(|recovered| recovered.lineage.last.clone());
    resolve_types(&mut job, &partitions, observer)?;
    let types: HashMap<FieldPath, ColumnType> = job.input.types.iter().cloned().collect();
    let program = Program::new(&job.aggregates, &job.input.format, |field| types[field]);

    let (sequence, outputs) = match &last {
        None => (None, &[][..]),
        Some(last) => (Some(last.manifest.sequence), &last.manifest.outputs[..]),
    };
    if let (Some(last), false) = (&last, left_behind.is_empty()) {
        left_behind::go_back(&last.manifest, &left_behind, output.as_ref(), observer)?;
    }
    if let Some(plan) = &output {
        let named = outputs.iter().find(|named| named.path == plan.name);
        if output::recover(named, &plan.path, sequence)? {
            let named = named.expect("what was published is what the checkpoint names");
            observer.event(&RunEvent::Published {
                path: plan.path.display().to_string(),
                rows: named.rows,
                bytes: named.bytes,
            });
        }
    }
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
    let run = Run { job: &job, control, observer, clock, holder, partitions, output, begun, left_behind };
    let mut summary = run.go(program, filter, workers, opened, recovered)?;
    if let Some(store) = &store {
        // One that was lost in the last checkpoint, or came back after it, gets a last chance.
        store.catch_up();
        summary.replicas_behind = store.lost().into_iter().map(|(place, _)| place).collect();
    }
    tell_notes();
    Ok(summary)
}

/// Returns `job` with the types of fields that `old` knows besides.
fn with_types(job: &JobSpec, old: &JobSpec) -> JobSpec {
    let mut job = job.clone();
    let known: Vec<_> = job.input.types.iter().map(|(field, _)| field.clone()).collect();
    job.input.types.extend(old.input.types.iter().filter(|(field, _)| !known.contains(field)).cloned());
    job
}

fn output_plan(job: &JobSpec) -> Option<OutputPlan> {
    let output = job.output.as_ref()?;
    let ending = match output.format {
        OutputFormat::Json => "jsonl",
        OutputFormat::Csv => "csv",
    };
    let name = output.files.join(format!("{}.{ending}", job.job));
    let key_name = match &job.key {
        Some(key) => key.names.last().expect("a path has a name").clone(),
        None => "partition".to_owned(),
    };
    let path = job.resolve(&name);
    Some(OutputPlan { name: name.display().to_string(), path, format: output.format, key_name })
}

/// Refuses a job that would read what it writes, or write two things to one file.
fn check_paths(job: &JobSpec, output: Option<&OutputPlan>) -> Result<(), RunError> {
    let dead_letter = match &job.input.on_error {
        OnError::DeadLetter(path) => Some(path.as_path()),
        OnError::Fail | OnError::Skip => None,
    };
    let same = |path: &Path, first, second| Err(RunError::SamePath { path: path.display().to_string(), first, second });
    if let (Some(output), Some(dead_letter)) = (output, dead_letter)
        && output.path.components().eq(job.resolve(dead_letter).components())
    {
        return same(dead_letter, "the output", "the dead-letter file");
    }
    let is_input = |path: &Path| input::is_input(&job.input, &job.base, path);
    match (output, dead_letter) {
        (Some(output), _) if is_input(Path::new(&output.name)) => same(&output.path, "an input", "the output"),
        (_, Some(dead_letter)) if is_input(dead_letter) => same(dead_letter, "an input", "the dead-letter file"),
        _ => Ok(()),
    }
}

/// Opens the job's store for writing in all its places, or creates it. A store that should be there and is not is an
/// error; one of which only replicas are left is filled from them.
fn open_store(job: &JobSpec, options: &Options, output: Option<&OutputPlan>) -> Result<(Store, StoreLock), RunError> {
    let checkpoint = &job.checkpoint;
    let paths: Vec<PathBuf> =
        std::iter::once(&checkpoint.store).chain(&checkpoint.replicas).map(|path| job.resolve(path)).collect();
    let absolute = absolute_places(&paths)?;
    let places: Vec<Arc<dyn Storage>> =
        paths.iter().map(|path| Arc::new(LocalStorage::new(path.clone())) as Arc<dyn Storage>).collect();
    for place in &places {
        if let Ok(store) = Store::open(vec![Arc::clone(place)])
            && store.file.job != job.job
        {
            let (expected, found) = (job.job.clone(), store.file.job.clone());
            return Err(RunError::OtherJob { place: store.place(), expected, found });
        }
    }
    let open = || Store::open_for_writing(places.clone(), checkpoint.min_copies, &options.holder);
    let (store, lock) = match open() {
        Err(StoreError::NoStore { place }) => {
            if let Some(output) = output.filter(|output| output.path.exists()) {
                return Err(RunError::StoreMissing { place, output: output.path.display().to_string() });
            }
            if options.must_resume {
                return Err(RunError::NothingToResume { place });
            }
            let file = StoreFile {
                format: FORMAT,
                store: StoreId::new(options.random),
                job: job.job.clone(),
                created: (options.clock)(),
            };
            Store::create(places[..1].to_vec(), file)?;
            let opened = open()?;
            // That the others were no stores before is no news.
            opened.0.take_notes();
            opened
        }
        opened => opened?,
    };
    store.set_places(absolute)?;
    Ok((store, lock))
}

/// Returns the paths as they are to be found from anywhere: absolute, and through symbolic links as far as they exist.
fn absolute_places(paths: &[PathBuf]) -> Result<Vec<String>, RunError> {
    let mut places: Vec<String> = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let real = path.ancestors().find_map(|above| {
            let rest = path.strip_prefix(above).ok()?;
            Some(std::fs::canonicalize(above).ok()?.join(rest))
        });
        let place = real.unwrap_or(path).display().to_string();
        let place = place.trim_end_matches('/').to_owned();
        if let Some(first) = places.iter().position(|other| *other == place) {
            let shown = |number: usize| paths[number].display().to_string();
            return Err(StoreError::SamePlace { place: shown(number), other: shown(first) }.into());
        }
        places.push(place);
    }
    Ok(places)
}

/// Gives every field whose type matters one: from the job file, or else from the first records.
fn resolve_types(job: &mut JobSpec, partitions: &Arc<[Partition]>, observer: &dyn Observer) -> Result<(), RunError> {
    use AggregateFunction::{First, Last, Max, Min};
    let mut wanted: Vec<(FieldPath, Option<&'static str>)> = Vec::new();
    for aggregate in &job.aggregates {
        let compares = match aggregate.function {
            Min => Some("min"),
            Max => Some("max"),
            First | Last => None,
            _ => continue,
        };
        wanted.extend(aggregate.field.clone().map(|field| (field, compares)));
        wanted.extend(aggregate.by.clone().map(|by| (by, Some("by"))));
    }
    let known = |job: &JobSpec, field: &FieldPath| job.input.types.iter().any(|(known, _)| known == field);
    wanted.retain(|(field, _)| !known(job, field));
    let fields: Vec<FieldPath> = wanted.iter().map(|(field, _)| field.clone()).collect();
    let seen = sample(&job.input, partitions, &fields, SAMPLE_RECORDS)?;
    for ((field, compares), seen) in wanted.into_iter().zip(seen) {
        let column_type = match (seen, compares) {
            (Some(ColumnType::Json), Some(function)) => {
                return Err(RunError::MixedTypes { function, field: field.to_string() });
            }
            (Some(ColumnType::Bool), Some(function)) => {
                return Err(RunError::Unordered { function, field: field.to_string() });
            }
            (Some(seen), _) => seen,
            (None, compares) => {
                let assumed = if compares.is_some() { ColumnType::Number } else { ColumnType::Text };
                if !known(job, &field) {
                    observer.event(&RunEvent::TypeAssumed { field: field.to_string(), column_type: assumed });
                }
                assumed
            }
        };
        if !known(job, &field) {
            job.input.types.push((field, column_type));
        }
    }
    Ok(())
}

/// What does not change while a run goes on.
struct Run<'a> {
    job: &'a JobSpec,
    control: &'a Control,
    observer: &'a dyn Observer,
    clock: fn() -> Timestamp,
    holder: &'a str,
    partitions: Arc<[Partition]>,
    output: Option<OutputPlan>,
    begun: Instant,
    left_behind: Vec<Sequence>,
}

impl Run<'_> {
    fn go(
        &self,
        program: Program,
        filter: Option<Filter>,
        workers: usize,
        opened: Option<(Store, StoreLock)>,
        recovered: Option<Recovered>,
    ) -> Result<Summary, RunError> {
        let job = self.job;
        let (mut shards, lineage) = match recovered {
            Some(Recovered { shards, lineage }) => (shards, lineage),
            None => (Vec::new(), Lineage::default()),
        };
        let plan = self.plan(program, filter, workers, &lineage, shards.len() as u32)?;
        if let Some(last) = &lineage.last {
            fits(&last.manifest, &plan)?;
        }
        shards.resize_with(plan.shards as usize, || Shard::new(plan.program.codec()));
        let facts = Facts {
            job: job.job.clone(),
            definition: job.definition(),
            mode: Mode::Elided,
            tasks: plan.tasks,
            shards: plan.shards,
            routing: if job.key.is_some() { Routing::KeyHash } else { Routing::Partition },
            columns: plan.program.codec().columns().to_vec(),
            block_bytes: input::BLOCK_BYTES,
        };
        let dead_letter = match &job.input.on_error {
            OnError::DeadLetter(path) => {
                let committed = lineage.last.as_ref().and_then(|last| last.manifest.dead_letter.as_ref());
                Some(DeadLetterFile::open(&path.display().to_string(), &job.resolve(path), committed)?)
            }
            OnError::Fail | OnError::Skip => None,
        };
        let next_block = lineage.last.as_ref().map_or(0, |last| last.manifest.block);
        let start: Vec<_> = lineage.positions.values().cloned().collect();
        let reader = self.prove(start, next_block)?;
        let mut director = Director::new(self, &plan, &lineage, &reader);

        let gauges = Gauges::default();
        let (event_sender, events) = unbounded();
        let (command_sender, commands) = unbounded();
        let (permit_sender, permits) = unbounded();
        let (block_sender, blocks) = unbounded();
        let buffers = Buffers::default();
        let (snapshot_sender, snapshots) = bounded(SNAPSHOTS_UNDER_WAY);
        let (cut_sender, cuts) = unbounded();
        let (inbox_senders, inboxes): (Vec<_>, Vec<_>) = (0..plan.workers).map(|_| unbounded()).unzip();
        for _ in 0..BLOCKS_PER_WORKER * plan.workers {
            let _ = permit_sender.send(());
        }

        let reading = Reading {
            reader,
            commands,
            permits,
            permit_sender,
            buffers: buffers.clone(),
            blocks: block_sender,
            inboxes: inbox_senders.clone(),
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
                };
                let extractor = Extractor::new(&job.input.format, &self.fields(&plan), job.input.max_record_bytes);
                let worker = Worker::new(&plan, &gauges, lines, extractor, shards, next_block);
                let guard = PanicGuard(event_sender.clone());
                handles.push(scope.spawn(move || {
                    let _guard = guard;
                    worker.run()
                }));
            }
            drop(snapshot_sender);
            let mut checkpointing = None;
            if let Some((store, _)) = &opened {
                let checkpointer =
                    Checkpointer::new(store.clone(), facts, Arc::clone(&self.partitions), lineage, dead_letter);
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
            director.commands = Some(command_sender);
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
                director.finish(end, &shards, &plan.program, &events)
            };
            // A panic here must not leave the others waiting for ever.
            let result = catch_unwind(AssertUnwindSafe(&mut work)).unwrap_or(Err(RunError::Panicked));
            // Whatever happened: let every thread go. One that panicked has said so, and the run ends with an error.
            for inbox in &inbox_senders {
                let _ = inbox.send(Message::Abort);
            }
            director.cuts = None;
            director.commands = None;
            director.commits = None;
            for handle in handles {
                let _ = handle.join();
            }
            if let Some(handle) = checkpointing {
                let _ = handle.join();
            }
            let pruned = pruner.map_or(Ok(0), |pruner| pruner.join()).map_err(|_| RunError::Panicked)?;
            result.map(|summary| Summary { pruned, ..summary })
        })
    }

    /// Makes the reader, which proves that the input is the one that was read. A read that never returns must not keep the run from ending.
    fn prove(&self, start: Vec<PositionRow>, next_block: u64) -> Result<BlockReader, RunError> {
        let (sender, receiver) = bounded(1);
        let (input, partitions) = (self.job.input.clone(), Arc::clone(&self.partitions));
        std::thread::spawn(move || {
            let _ = sender.send(BlockReader::new(&input, partitions, &start, next_block));
        });
        let mut stopping: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(reader) => return Ok(reader?),
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stopping.is_none() && self.control.stop.load(Ordering::Relaxed) {
                stopping = Some(Instant::now());
            }
            if stopping.is_some_and(|since| since.elapsed() > STOP_PATIENCE) {
                return Err(RunError::Interrupted);
            }
        }
    }

    /// Lays down how records are routed. A job without a key has a task for each partition that it ever had.
    fn plan(
        &self,
        program: Program,
        filter: Option<Filter>,
        workers: usize,
        lineage: &Lineage,
        shards: u32,
    ) -> Result<Plan, RunError> {
        let job = self.job;
        let (route, tasks) = match &job.key {
            Some(_) => (Route::Key(program.fields().len()), job.tasks),
            None => {
                let mut tasks: HashMap<String, u32> =
                    lineage.positions.values().filter_map(|row| Some((row.partition.clone(), row.task?))).collect();
                let mut next = tasks.values().max().map_or(0, |last| last + 1);
                let mut partitions = Vec::with_capacity(self.partitions.len());
                for partition in self.partitions.iter() {
                    let task = *tasks.entry(partition.name.clone()).or_insert_with(|| {
                        next += 1;
                        next - 1
                    });
                    partitions.push((partition.name.clone(), task));
                }
                if let Some(last) = &lineage.last
                    && next > last.manifest.tasks
                {
                    return Err(RunError::PartitionsAdded { tasks: last.manifest.tasks, found: next });
                }
                (Route::Partition { partitions, tasks }, next.max(1))
            }
        };
        let shards = if shards > 0 { shards } else { tasks.min(MAX_SHARDS) };
        let key_fields = usize::from(job.key.is_some());
        let filter_start = program.fields().len() + key_fields;
        let filter_fields = filter_start..filter_start + filter.as_ref().map_or(0, |filter| filter.fields().len());
        Ok(Plan {
            program,
            filter,
            filter_fields,
            route,
            tasks,
            shards,
            workers: workers.min(shards as usize),
            on_error: job.input.on_error.clone(),
        })
    }

    /// Returns the fields that are taken out of each record: the program's, the key, the filter's.
    fn fields(&self, plan: &Plan) -> Vec<FieldPath> {
        let mut fields = plan.program.fields().to_vec();
        fields.extend(self.job.key.clone());
        fields.extend(plan.filter.iter().flat_map(|filter| filter.fields().to_vec()));
        fields
    }
}

/// Fails when a manifest says something else of the state than the definition in the same checkpoint.
fn fits(manifest: &Manifest, plan: &Plan) -> Result<(), RunError> {
    let keyed = matches!(plan.route, Route::Key(_));
    let reason = if manifest.columns != plan.program.codec().columns() {
        "its columns are not those of the job in it".to_owned()
    } else if manifest.tasks != plan.tasks {
        format!("it has {} tasks, the job in it {}", manifest.tasks, plan.tasks)
    } else if keyed != (manifest.routing == Routing::KeyHash) {
        "its routing is not that of the job in it".to_owned()
    } else if manifest.block_bytes != input::BLOCK_BYTES {
        format!("its input is cut into blocks of {} bytes, not {}", manifest.block_bytes, input::BLOCK_BYTES)
    } else {
        return Ok(());
    };
    Err(RunError::Inconsistent { sequence: manifest.sequence, reason })
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

/// The thread that reads.
struct Reading {
    reader: BlockReader,
    commands: Receiver<Command>,
    permits: Receiver<()>,
    permit_sender: Sender<()>,
    buffers: Buffers,
    blocks: Sender<(Block, Arc<Ticket>)>,
    inboxes: Vec<Sender<Message>>,
    events: Sender<Event>,
}

impl Reading {
    /// Hands out blocks until there are no more, then only follows commands; returns when nobody is there to give any.
    fn run(mut self) {
        let mut permits = self.permits.clone();
        loop {
            // A command comes before the next block: a cut is announced as soon as it can be.
            select_biased! {
                recv(self.commands) -> command => match command {
                    Err(_) => return,
                    Ok(command) => {
                        self.cut();
                        if command == Command::CutAndStop {
                            permits = crossbeam_channel::never();
                        }
                    }
                },
                recv(permits) -> _ => {
                    let buffer = self.buffers.take();
                    match self.reader.next(buffer) {
                        Ok(Some(block)) => {
                            let ticket = Arc::new(Ticket::new(self.permit_sender.clone()));
                            let _ = self.blocks.send((block, ticket));
                        }
                        ended => {
                            permits = crossbeam_channel::never();
                            let event = ended.err().map_or(Event::Ended, Event::Input);
                            let _ = self.events.send(event);
                        }
                    }
                }
            }
        }
    }

    fn cut(&mut self) {
        let number = self.reader.next_number();
        // The workers hear of the cut before the block of its number is handed out, and so before any of them can apply it.
        for inbox in &self.inboxes {
            let _ = inbox.send(Message::Cut(number));
        }
        let _ = self.events.send(Event::Cut(number, self.reader.places()));
    }
}

/// How the directing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The input was read to its end.
    Input,
    /// Somebody asked to stop.
    Stop,
}

/// A cut that was asked for.
struct Asked {
    trigger: Trigger,
    begun: Instant,
    /// Its number and places, once the reader has announced it.
    announced: Option<(u64, Vec<Place>)>,
}

/// What the directing thread knows.
struct Director<'a> {
    run: &'a Run<'a>,
    commands: Option<Sender<Command>>,
    cuts: Option<Sender<Cut>>,
    /// Takes a notice of each commit, where checkpoints are pruned.
    commits: Option<Sender<()>>,
    tasks: Option<Vec<u32>>,
    policy: Policy,
    /// The next block to account for, and those that came before their turn.
    next: u64,
    early: BTreeMap<u64, Account>,
    /// Bytes and records applied, by partition.
    offsets: Vec<u64>,
    records: Vec<u64>,
    /// Sums over the job and at the start of the run.
    records_in_all: u64,
    records_before: u64,
    bytes_in_all: u64,
    bytes_before: u64,
    skipped_in_all: u64,
    skipped_before: u64,
    dead_lines: Vec<u8>,
    /// Where they go when no checkpoint takes them along.
    dead_letter: Option<DeadLetterFile>,
    asked: Option<Asked>,
    /// Whether a checkpoint is under way.
    busy: bool,
    /// A cut at the end that is complete, and waits for the outputs.
    last_cut: Option<Cut>,
    /// The latest checkpoint: block, end of input, outputs and number.
    latest: Option<(u64, bool, Vec<Output>, Sequence)>,
    last_cut_at: Instant,
    started: Instant,
    done: Vec<Done>,
    last_done: Option<(Sequence, Instant, Duration)>,
    resumed_from: Option<Sequence>,
    /// The highest number that is taken.
    newest: Option<Sequence>,
    total_bytes: Option<u64>,
}

impl<'a> Director<'a> {
    fn new(run: &'a Run<'a>, plan: &Plan, lineage: &Lineage, reader: &BlockReader) -> Director<'a> {
        let manifest = lineage.last.as_ref().map(|last| &last.manifest);
        let position = |partition: &Partition| lineage.positions.get(&partition.name);
        let offsets: Vec<u64> = reader.places().iter().map(|place| place.offset).collect();
        let records: Vec<u64> = run.partitions.iter().map(|p| position(p).map_or(0, |row| row.record)).collect();
        let records_in_all = records.iter().sum();
        let bytes_in_all = offsets.iter().sum();
        let skipped_in_all = manifest.map_or(0, |manifest| manifest.totals.skipped);
        let plain = |partition: &&Partition| partition.compression == Compression::None;
        let total_bytes = run.partitions.iter().all(|partition| plain(&partition)).then_some(());
        let total_bytes =
            total_bytes.and_then(|()| run.partitions.iter().map(|partition| partition.file_bytes).sum::<Option<u64>>());
        let now = Instant::now();
        Director {
            run,
            commands: None,
            cuts: None,
            commits: None,
            tasks: match &plan.route {
                Route::Key(_) => None,
                Route::Partition { partitions, .. } => Some(partitions.iter().map(|(_, task)| *task).collect()),
            },
            policy: Policy { schedule: run.job.checkpoint.schedule, state_bytes: run.job.checkpoint.state_bytes },
            next: reader.next_number(),
            early: BTreeMap::new(),
            offsets,
            records,
            records_in_all,
            records_before: records_in_all,
            bytes_in_all,
            bytes_before: bytes_in_all,
            skipped_in_all,
            skipped_before: skipped_in_all,
            dead_lines: Vec::new(),
            dead_letter: None,
            asked: None,
            busy: false,
            last_cut: None,
            latest: manifest.map(|m| (m.block, m.ended, m.outputs.clone(), m.sequence)),
            last_cut_at: now,
            started: now,
            done: Vec::new(),
            last_done: None,
            resumed_from: manifest.map(|manifest| manifest.sequence),
            newest: lineage.newest,
            total_bytes,
        }
    }

    /// Directs until the input has ended or somebody asks to stop, and the last cut is complete.
    fn direct(&mut self, events: &Receiver<Event>, gauges: &Gauges) -> Result<End, RunError> {
        let control = self.run.control;
        let mut input_ended = false;
        let mut stopping: Option<Instant> = None;
        let mut next_tick = Instant::now();
        loop {
            match events.recv_deadline(next_tick) {
                Ok(Event::Ended) => input_ended = true,
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
                Err(RecvTimeoutError::Timeout) => {
                    next_tick = Instant::now() + TICK;
                    self.run.observer.status(&self.status(gauges));
                }
            }
            if control.stop.load(Ordering::Relaxed) && stopping.is_none() {
                stopping = Some(Instant::now());
            }
            if let Some(cut) = &self.last_cut {
                return Ok(if cut.ended { End::Input } else { End::Stop });
            }
            let waits = self.asked.is_none() && !self.busy;
            if waits && input_ended {
                self.ask(Trigger::EndOfInput, Command::Cut);
            } else if waits && stopping.is_some() {
                self.ask(Trigger::Shutdown, Command::CutAndStop);
            } else if waits && self.cuts.is_some() {
                let seen = Seen {
                    since_last: self.last_cut_at.elapsed(),
                    changed_bytes: gauges.changed_bytes.load(Ordering::Relaxed),
                    requested: control.checkpoint.swap(false, Ordering::Relaxed),
                };
                if let Some(trigger) = trigger::due(&self.policy, &seen) {
                    self.ask(trigger, Command::Cut);
                }
            }
            let unanswered = self.asked.as_ref().filter(|asked| asked.announced.is_none());
            if let (Some(since), Some(asked)) = (stopping, unanswered)
                && since.max(asked.begun).elapsed() > STOP_PATIENCE
            {
                return Err(RunError::Interrupted);
            }
        }
    }

    fn ask(&mut self, trigger: Trigger, command: Command) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
        self.asked = Some(Asked { trigger, begun: Instant::now(), announced: None });
    }

    fn take(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Parsed(account) => {
                self.early.insert(account.number, account);
                self.account()?;
            }
            Event::Cut(number, places) => {
                let asked = self.asked.as_mut().expect("a cut is announced when it was asked for");
                asked.announced = Some((number, places));
                self.account()?;
            }
            Event::Replica(note) => self.run.observer.event(&RunEvent::Replica(note)),
            Event::Checkpoint(result) => {
                self.busy = false;
                if let Some(done) = result.map_err(|error| *error)? {
                    self.committed(*done);
                }
            }
            Event::Overflow(overflow, key) => return Err(RunError::Overflow { reason: overflow.to_string(), key }),
            Event::Input(error) => return Err(error.into()),
            Event::Panicked => return Err(RunError::Panicked),
            Event::Ended => {}
        }
        Ok(())
    }

    /// Accounts for the blocks whose turn it is, up to a cut that waits; then the cut.
    fn account(&mut self) -> Result<(), RunError> {
        loop {
            if let Some(asked) = &self.asked
                && asked.announced.as_ref().is_some_and(|(number, _)| *number == self.next)
            {
                self.cut();
            }
            let Some(account) = self.early.remove(&self.next) else { return Ok(()) };
            let partition = account.partition as usize;
            let name = &self.run.partitions[partition].name;
            let first_record = self.records[partition];
            if let Some(rejected) = account.fatal {
                return Err(RunError::BadRecord {
                    partition: name.clone(),
                    offset: rejected.offset,
                    record: first_record + rejected.index,
                    reason: rejected.reason,
                    beginning: String::from_utf8_lossy(&rejected.bytes).into_owned(),
                });
            }
            for rejected in &account.dead {
                append_line(&mut self.dead_lines, name, first_record, rejected);
            }
            self.next += 1;
            self.records[partition] += account.records;
            self.records_in_all += account.records;
            self.bytes_in_all += account.end_offset.saturating_sub(self.offsets[partition]);
            self.offsets[partition] = account.end_offset;
            self.skipped_in_all += account.skipped;
            if let Some(file) = &mut self.dead_letter
                && self.dead_lines.len() >= DEAD_LINES_BYTES
            {
                file.append(&std::mem::take(&mut self.dead_lines))?;
            }
        }
    }

    /// Completes the cut that was asked for. All blocks before it are accounted for, none behind it.
    fn cut(&mut self) {
        let Asked { trigger, begun, announced } = self.asked.take().expect("a cut was asked for");
        let (number, places) = announced.expect("the cut was announced");
        let at_end = matches!(trigger, Trigger::EndOfInput | Trigger::Shutdown);
        let standings = places.into_iter().zip(&self.records);
        let cut = Cut {
            number,
            created: (self.run.clock)(),
            begun,
            trigger,
            ended: trigger == Trigger::EndOfInput,
            standings: standings.map(|(place, &record)| Standing { place, record }).collect(),
            tasks: self.tasks.clone(),
            skipped: self.skipped_in_all,
            dead_lines: std::mem::take(&mut self.dead_lines),
            outputs: Vec::new(),
        };
        self.last_cut_at = begun;
        if at_end {
            self.last_cut = Some(cut);
        } else {
            self.send(cut);
        }
    }

    fn send(&mut self, cut: Cut) {
        if let Some(cuts) = &self.cuts {
            let _ = cuts.send(cut);
            self.busy = true;
        }
    }

    fn committed(&mut self, done: Done) {
        let manifest = &done.committed.manifest;
        self.latest = Some((manifest.block, manifest.ended, manifest.outputs.clone(), manifest.sequence));
        self.newest = Some(manifest.sequence);
        self.last_done = Some((manifest.sequence, Instant::now(), Duration::from_micros(done.total_micros)));
        self.run.observer.event(&RunEvent::Committed(Box::new(done.clone())));
        self.done.push(done);
        if let Some(commits) = &self.commits {
            // One notice that waits is as good as two.
            let _ = commits.try_send(());
        }
    }

    /// Makes the last checkpoint, if there is anything new, and publishes the output, once the workers have returned their shards.
    fn finish(
        &mut self,
        end: End,
        shards: &[(u32, Shard)],
        program: &Program,
        events: &Receiver<Event>,
    ) -> Result<Summary, RunError> {
        let mut cut = self.last_cut.take().expect("a run ends with a cut");
        let sequence = self.newest.map_or(Sequence::FIRST, Sequence::next);
        let output = self.run.output.as_ref().filter(|_| end == End::Input);
        let program_output = match output {
            None => None,
            Some(plan) => Some((plan, output::stage(plan, sequence, shards, program)?)),
        };
        cut.outputs = program_output.iter().map(|(_, output)| output.clone()).collect();
        // After going back there is something to commit in any case: else the next run would find the damaged one again.
        let went_back = self.newest != self.latest.as_ref().map(|(_, _, _, sequence)| *sequence);
        let is_new = self.latest.as_ref().is_none_or(|(block, ended, outputs, _)| {
            went_back || *block != cut.number || (cut.ended && (!ended || *outputs != cut.outputs))
        });
        let outputs = cut.outputs.clone();
        if let Some(file) = &mut self.dead_letter {
            file.append(&cut.dead_lines)?;
        }
        if is_new && self.cuts.is_some() {
            self.send(cut);
            while self.busy {
                match events.recv() {
                    Ok(event) => self.take(event)?,
                    Err(_) => return Err(RunError::Panicked),
                }
            }
        }
        if let Some((plan, output)) = program_output {
            output::publish(&plan.path, sequence)?;
            self.run.observer.event(&RunEvent::Published {
                path: plan.path.display().to_string(),
                rows: output.rows,
                bytes: output.bytes,
            });
        }
        let mut pauses_micros: Vec<u64> =
            self.done.iter().map(|done| done.committed.manifest.timings.pause_micros).collect();
        pauses_micros.sort_unstable();
        Ok(Summary {
            resumed_from: self.resumed_from,
            left_behind: self.run.left_behind.clone(),
            latest: self.latest.as_ref().map(|(_, _, _, sequence)| *sequence),
            records: self.records_in_all - self.records_before,
            records_in_all: self.records_in_all,
            skipped: self.skipped_in_all - self.skipped_before,
            skipped_in_all: self.skipped_in_all,
            input_bytes: self.bytes_in_all - self.bytes_before,
            keys: shards.iter().map(|(_, shard)| shard.keys()).sum(),
            checkpoints: self.done.len() as u64,
            pruned: 0,
            checkpoint_bytes: self.done.iter().map(|done| done.committed.manifest.totals.new_bytes).sum(),
            pauses_micros,
            loading: self.started - self.run.begun,
            elapsed: self.started.elapsed(),
            ended: end == End::Input,
            outputs,
            replicas_behind: Vec::new(),
        })
    }

    fn status(&self, gauges: &Gauges) -> Status {
        Status {
            records: self.records_in_all,
            records_of_run: self.records_in_all - self.records_before,
            input_bytes: self.bytes_in_all,
            total_bytes: self.total_bytes,
            keys: gauges.keys.load(Ordering::Relaxed),
            memory_bytes: gauges.memory_bytes.load(Ordering::Relaxed),
            checkpoints: self.done.len() as u64,
            last: self.last_done,
            elapsed: self.started.elapsed(),
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
        };
        let result = run(&job, &options, &Control::default(), &Panicking);
        assert!(matches!(result, Err(RunError::Panicked)));
    }
}
