//! A worker of the model: the real checkpointer, on records that the model makes up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use ckpt::format::index::SegmentKind;
use ckpt::format::manifest::{Mode, Routing, Trigger};
use ckpt::format::positions::MessagePosition;
use ckpt::format::row_batch::RowBatch;
use ckpt::format::rows::{Change, RowCodec};
use ckpt::input::Position;
use ckpt::input::partition::{Compression, Partition, Source};
use ckpt::input::prefix_digest::PrefixDigest;
use ckpt::runner::checkpoint::checkpointer::Checkpointer;
use ckpt::runner::checkpoint::group::OwnCommit;
use ckpt::runner::checkpoint::job_facts::JobFacts;
use ckpt::runner::error::RunError;
use ckpt::runner::lineage::Lineage;
use ckpt::runner::messages::{CheckpointOutcome, Cut, CutPosition, FrozenShard, PastInput, ThreadEvent};
use ckpt::runner::options::{NewBatch, Share};
use ckpt::runner::pipeline::batch::Batch;
use ckpt::runner::resume::recover::{Effort, resume};
use ckpt::runner::state::emitted::Emitted;
use ckpt::runner::state::frozen::FrozenRows;
use ckpt::runner::state::kept::KeptShards;
use ckpt::runner::state::shard::Shard;
use ckpt::storage::Storage;
use ckpt::store::{Store, StoreLock};
use ckpt::values::digest::Digest;
use ckpt::values::value::{Column, ColumnType, Value};
use crossbeam_channel::{Receiver, Sender, unbounded};
use jiff::Timestamp;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::files;

/// The partitions of the topic.
pub const PARTITIONS: u32 = 4;

/// How many records of each of its partitions a worker applies between two cuts.
const BATCH: u64 = 2;

/// The state of a partition: a value for each key.
pub type Rows = BTreeMap<String, i64>;

/// What the records do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Each adds one to the number of its key. A record that counts twice, or not at all, shows.
    Counting,
    /// Each sets its key to one of two values, in a state that is large besides, so that deltas repeat, byte for byte.
    Toggling,
}

impl Records {
    /// Applies record number `record` of `partition`, and returns the keys that it changes.
    fn apply(self, rows: &mut Rows, partition: u32, record: u64) -> Vec<String> {
        let own = i64::from(partition) * 1000;
        let number = i64::try_from(record).expect("few records");
        match self {
            Records::Counting => {
                let key = format!("k{}", record % 3);
                *rows.entry(key.clone()).or_insert(own) += 1;
                vec![key]
            }
            Records::Toggling if record == 0 => {
                let filling = (0..600).map(|i| (format!("f{i:03}"), own + i * i * 7919 % 100_003));
                rows.extend(filling);
                rows.keys().cloned().collect()
            }
            Records::Toggling => {
                let key = format!("t{}", record % 2);
                rows.insert(key.clone(), own + number / 2 % 2);
                vec![key]
            }
        }
    }

    /// Returns the keys that record number `record` of `partition` changes.
    pub fn changed_by(self, partition: u32, record: u64) -> Vec<String> {
        self.apply(&mut Rows::new(), partition, record)
    }

    /// Returns the state of `partition` after its first `offset` records.
    pub fn fold(self, partition: u32, offset: u64) -> Rows {
        let mut rows = Rows::new();
        for record in 0..offset {
            self.apply(&mut rows, partition, record);
        }
        rows
    }
}

/// A cut of a worker.
#[derive(Debug, Clone)]
pub struct KnownCut {
    /// The number of the checkpointer that it was given to.
    pub term: u64,
    /// How far each partition was applied.
    pub offsets: BTreeMap<u32, u64>,
}

/// What all workers of a play share: what is known about them, and a clock.
#[derive(Debug)]
pub struct Log {
    pub records: Records,
    /// Where the workers publish files, if they do.
    pub files: Option<TempDir>,
    /// If the workers read batches: how often one has asked where the topic ends, which grows meanwhile.
    pub asked: Option<AtomicU64>,
    /// By the worker's name and the time of the cut, which no two have alike.
    pub cuts: Mutex<BTreeMap<(String, i64), KnownCut>>,
    /// How many commits found that another worker has a task.
    pub rivals: AtomicI64,
    /// How many partitions were not loaded at a start, because the worker had them in memory.
    pub kept: AtomicU64,
    /// Why workers could not start or commit.
    pub failures: Mutex<Vec<RunError>>,
    terms: AtomicI64,
    clock: AtomicI64,
}

impl Log {
    pub fn new(records: Records, publishes: bool) -> Log {
        Log {
            records,
            files: publishes.then(|| tempfile::tempdir().expect("a directory")),
            asked: None,
            cuts: Mutex::default(),
            rivals: AtomicI64::new(0),
            kept: AtomicU64::new(0),
            failures: Mutex::default(),
            terms: AtomicI64::new(0),
            clock: AtomicI64::new(1_795_000_000_000),
        }
    }

    /// Returns the batch that a worker may begin that starts now, if the workers read batches.
    pub fn new_batch(&self, place: &Arc<dyn Storage>) -> Result<Option<Arc<NewBatch>>, RunError> {
        let Some(asked) = &self.asked else { return Ok(None) };
        let latest = Store::open(vec![Arc::clone(place)])?.latest()?.map(|latest| latest.manifest);
        let grown = 8 + 2 * asked.fetch_add(1, Ordering::SeqCst);
        // One partition gets nothing new.
        let ends = (0..PARTITIONS).map(|number| (number, if number == 3 { 6 } else { grown + u64::from(number % 2) }));
        let after = latest.filter(|latest| latest.ended).map(|latest| latest.sequence);
        Ok(Some(Arc::new(NewBatch { ends: ends.collect(), after })))
    }
}

/// A partition that a worker has.
#[derive(Debug, Default)]
struct Owned {
    rows: Rows,
    offset: u64,
    /// The keys that changed since the latest cut.
    changed: BTreeSet<String>,
    /// The late records since then.
    emitted: Emitted,
    is_stored: bool,
}

/// The outcome of a commit.
#[derive(Debug)]
pub enum Outcome {
    Committed,
    /// All partitions are at the ends of the batch.
    Complete,
    /// Another worker has a task.
    Rival,
    Failed,
}

/// A worker from its start until its share changes.
pub struct Term {
    name: String,
    log: Arc<Log>,
    number: u64,
    owned: BTreeMap<u32, Owned>,
    /// What it reads.
    batch: Batch,
    /// The number of its latest block.
    block: u64,
    frozen: Sender<FrozenShard>,
    cuts: Sender<Cut>,
    events: Receiver<ThreadEvent>,
    thread: Option<JoinHandle<Option<OwnCommit>>>,
    kept: Option<Arc<KeptShards>>,
    _lock: StoreLock,
}

pub fn columns() -> Vec<Column> {
    vec![Column::new("n", ColumnType::Int)]
}

/// Returns the rows that `for_each` of a shard hands out.
pub fn rows_of(shard: &Shard) -> Rows {
    let codec = RowCodec::new(columns());
    let mut rows = Rows::new();
    shard.for_each(|key, packed| {
        let [Value::Int(value)] = codec.unpack(packed)[..] else { panic!("one column") };
        rows.insert(String::from_utf8(key.to_vec()).expect("text"), value);
    });
    rows
}

/// Returns the largest time and the watermark of a partition before `offset`: each has its own.
pub fn times_at(partition: u32, offset: u64) -> [Option<i64>; 2] {
    let number = |offset: u64| i64::from(partition) * 1_000 + i64::try_from(offset).expect("few records");
    [offset.checked_sub(1).map(number), offset.checked_sub(5).map(number)]
}

/// Returns how many records of a partition before `offset` are late.
pub fn late_at(partition: u32, offset: u64) -> u64 {
    (0..offset).filter(|record| is_late(partition, *record)).count() as u64
}

fn is_late(partition: u32, record: u64) -> bool {
    (u64::from(partition) + record).is_multiple_of(3)
}

/// Returns the name of a partition.
pub fn name_of(partition: u32) -> String {
    format!("clicks/{partition}")
}

impl Term {
    /// Starts from the latest checkpoint. `share` are the partitions of one of several workers, and what it has in memory;
    /// without, it is a run alone.
    pub fn start(
        place: Arc<dyn Storage>,
        name: &str,
        share: Option<(&[u32], &Arc<KeptShards>)>,
        new: Option<&Arc<NewBatch>>,
        log: &Arc<Log>,
    ) -> Result<Term, RunError> {
        let number = u64::try_from(log.terms.fetch_add(1, Ordering::SeqCst)).expect("not negative");
        let holder = format!("{name} {number}");
        let (store, lock) = match share {
            Some(_) => Store::open_for_group(place, &holder)?,
            None => Store::open_for_writing(vec![place], 1, &holder)?,
        };
        let partitions: BTreeSet<u32> =
            share.map_or_else(|| (0..PARTITIONS).collect(), |(share, _)| share.iter().copied().collect());
        let share = share.map(|(_, kept)| {
            let (worker, partitions) = (name.to_owned(), partitions.clone());
            Share { worker, partitions, kept: Arc::clone(kept), batch: new.cloned() }
        });
        let to_load = AtomicU64::new(0);
        let left = |shards, _| _ = to_load.fetch_max(shards, Ordering::SeqCst);
        let effort = Effort { threads: 1, share: share.as_ref(), left: &left };
        let resumed = resume(&store, false, effort, |_| Vec::new(), |_, _| Ok(()))?;
        let recovered = resumed.map(|resumed| resumed.recovered);
        let lineage = recovered.as_ref().map_or_else(Lineage::default, |recovered| recovered.lineage.clone());
        let mut owned: BTreeMap<u32, Owned> = partitions.iter().map(|&number| (number, Owned::default())).collect();
        for (number, owned) in &mut owned {
            let Some(recovered) = &recovered else { continue };
            let position = lineage.positions.get(&name_of(*number));
            owned.offset = position.and_then(|row| row.message.as_ref()).map_or(0, |message| message.offset);
            owned.rows = rows_of(&recovered.shards[*number as usize]);
            assert_eq!(owned.rows, log.records.fold(*number, owned.offset), "{name} has {number} as of another offset");
            owned.is_stored = !lineage.chains[*number as usize].is_empty();
        }
        let stored = owned.values().filter(|owned| owned.is_stored).count() as u64;
        log.kept.fetch_add(stored - to_load.into_inner(), Ordering::SeqCst);
        let block = lineage.last.as_ref().map_or(0, |last| last.manifest.block);
        let kept = share.as_ref().map(|share| Arc::clone(&share.kept));
        let publisher = match &log.files {
            Some(dir) => files::begin(dir.path(), &store, &lineage, share.as_ref())?,
            None => files::none(),
        };
        let batch = Batch::of(new.map(|new| &**new), &lineage);
        let facts = JobFacts { batch: batch.ends().cloned(), ..facts(share, number) };
        let checkpointer = Checkpointer::new(store, facts, lineage, publisher);
        let ((frozen, frozen_receiver), (cuts, cut_receiver), (sender, events)) =
            (unbounded(), unbounded(), unbounded());
        let thread = thread::spawn(move || checkpointer.run(&frozen_receiver, &cut_receiver, &sender));
        let (name, log, thread) = (name.to_owned(), Arc::clone(log), Some(thread));
        Ok(Term { name, log, number, owned, batch, block, frozen, cuts, events, thread, kept, _lock: lock })
    }

    /// Applies the next records of each partition, up to its end if it has one, and commits.
    pub fn commit(&mut self) -> Outcome {
        if self.batch == Batch::Complete {
            return Outcome::Complete;
        }
        let end_of = |number: &u32| self.batch.ends().map_or(u64::MAX, |ends| ends[number]);
        for (&number, owned) in &mut self.owned {
            for _ in 0..BATCH.min(end_of(&number) - owned.offset) {
                let changed = self.log.records.apply(&mut owned.rows, number, owned.offset);
                owned.changed.extend(changed);
                if is_late(number, owned.offset) {
                    owned.emitted.push_late(None);
                }
                owned.offset += 1;
                self.block += 1;
            }
        }
        for number in 0..PARTITIONS {
            let rows = freeze(number, self.owned.get_mut(&number));
            let shard = FrozenShard { shard: number, cut: self.block, rows: Some(rows), pause_micros: 1, slot: None };
            self.frozen.send(shard).expect("sent");
        }
        let ended = self.owned.iter().all(|(number, owned)| owned.offset == end_of(number));
        let time = self.log.clock.fetch_add(1, Ordering::SeqCst);
        let offsets = self.owned.iter().map(|(&number, owned)| (number, owned.offset)).collect();
        let known = KnownCut { term: self.number, offsets };
        self.log.cuts.lock().expect("no panic").insert((self.name.clone(), time), known);
        let trigger = if ended { Trigger::EndOfInput } else { Trigger::Schedule };
        self.cuts.send(Cut { ended, trigger, ..self.cut(time) }).expect("sent");
        loop {
            match self.events.recv().expect("an outcome") {
                ThreadEvent::Checkpoint(CheckpointOutcome::Committed(_)) => return Outcome::Committed,
                ThreadEvent::Checkpoint(CheckpointOutcome::Failed(error)) => match *error {
                    RunError::Rival { .. }
                    | RunError::Outpaced { .. }
                    | RunError::OtherBatch { .. }
                    | RunError::RolledBack { .. } => {
                        self.log.rivals.fetch_add(1, Ordering::SeqCst);
                        return Outcome::Rival;
                    }
                    error => {
                        self.log.failures.lock().expect("no panic").push(error);
                        return Outcome::Failed;
                    }
                },
                ThreadEvent::Checkpoint(CheckpointOutcome::Elided) => {
                    assert!(ended, "there were new records");
                    return Outcome::Committed;
                }
                _ => {}
            }
        }
    }

    /// Keeps the partitions in memory as a worker does.
    fn keep(&mut self, own: &OwnCommit) {
        let Some(kept) = self.kept.take().filter(|_| own.cut == self.block) else { return };
        let codec = RowCodec::new(columns());
        for (&number, owned) in &self.owned {
            let mut shard = Shard::new(&codec);
            for (key, value) in &owned.rows {
                let mut packed = Vec::new();
                codec.pack(&[Value::Int(*value)], &mut packed);
                assert!(shard.load(xxh3_64(key.as_bytes()), key.as_bytes(), &packed), "there are no sketches");
            }
            kept.keep(number, &own.chains[number as usize], shard);
        }
    }

    fn cut(&self, time: i64) -> Cut {
        let position = |(&number, owned): (&u32, &Owned)| {
            let (name, source, compression) = (name_of(number), Source::Topic, Compression::None);
            let partition = Partition { name, source, compression, file_bytes: None, etag: None };
            let message = MessagePosition {
                topic_id: Some("t".to_owned()),
                offset: owned.offset,
                leader_epoch: None,
                proof_offset: owned.offset.checked_sub(1),
                batch_end: None,
            };
            let position = Position {
                partition: Arc::new(partition),
                generation_of: None,
                inode: None,
                message: Some(message),
                offset: owned.offset * 10,
                ended: false,
                stored: None,
                prefix: PrefixDigest::Finished(Digest::of(format!("{number} {}", owned.offset).as_bytes())),
                record: owned.offset,
                event_time: None,
            };
            let [event_time, watermark] = times_at(number, owned.offset);
            CutPosition { position, task: Some(number), record: owned.offset, event_time, watermark }
        };
        Cut {
            number: self.block,
            created: Timestamp::from_millisecond(time).expect("a time"),
            begun: Instant::now(),
            trigger: Trigger::Schedule,
            ended: false,
            positions: self.owned.iter().map(position).collect(),
            past: PastInput::default(),
            skipped: 0,
            dead_lines: Vec::new(),
            outputs: Vec::new(),
            sequence: None,
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        // The checkpointer ends when nothing more can come.
        self.frozen = unbounded().0;
        self.cuts = unbounded().0;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) if !thread::panicking() => std::panic::resume_unwind(panic),
            Some(Ok(Some(own))) => self.keep(&own),
            _ => {}
        }
    }
}

/// Returns the rows of a shard that changed since the latest cut. Those of a partition of another worker are empty, as a
/// worker has them.
fn freeze(number: u32, owned: Option<&mut Owned>) -> FrozenRows {
    let (mut rows, mut keys, mut kind) = (RowBatch::new(), 0, SegmentKind::Base);
    let mut emitted = Emitted::default();
    if let Some(owned) = owned {
        let codec = RowCodec::new(columns());
        for key in std::mem::take(&mut owned.changed) {
            let mut packed = Vec::new();
            codec.pack(&[Value::Int(owned.rows[&key])], &mut packed);
            let write = |bytes: &mut Vec<u8>| bytes.extend_from_slice(&packed);
            rows.push_changed(number, key.as_bytes(), Change::Update, true, write);
        }
        keys = owned.rows.len() as u64;
        emitted = std::mem::take(&mut owned.emitted);
        kind = if std::mem::replace(&mut owned.is_stored, true) { SegmentKind::Delta } else { SegmentKind::Base };
    }
    FrozenRows { rows, kind, keys, emitted }
}

/// The job of all workers.
pub const DEFINITION: &str = "job: j\ninput:\n  kafka: {brokers: 'b:9092', topic: clicks}\n  format: json\nkey: k\n\
                              tasks: partitions\nprocess: {aggregate: {n: count}}\n";

fn facts(share: Option<Share>, term: u64) -> JobFacts {
    JobFacts {
        job: "j".to_owned(),
        definition: DEFINITION.to_owned(),
        mode: Mode::Elided,
        tasks: PARTITIONS,
        shards: PARTITIONS,
        routing: Routing::KeyedPartition,
        key: None,
        columns: columns(),
        share,
        batch: None,
        max_bad: None,
        block_bytes: 256 * 1024,
        timeout: None,
        run: format!("{term:016x}"),
        encoders: 1,
    }
}
