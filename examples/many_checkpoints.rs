//! Makes a store with many checkpoints, to measure with:
//!
//!     cargo run --release --example many_checkpoints -- /tmp/many 10000
//!     time ckpt list /tmp/many
//!     time ckpt prune /tmp/many --keep-daily 7 --dry-run
//!     cargo run --release --example many_checkpoints -- /tmp/shared 10000 1000 30
//!
//! It looks like the store of a job with sixteen shards that takes a checkpoint every minute. Each checkpoint changes a
//! few shards, chains are folded when they have sixteen segments, and neighbors share most objects.
//!
//! With the numbers of partitions and of workers, it looks like that of a job whose partitions, each of them a shard, are
//! shared by these workers. They make checkpoints in turn, and each changes all shards of one worker. Chains have up to three
//! segments, as those of small shards have.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::{ObjectKind, ObjectName};
use ckpt::format::manifest::{Manifest, Mode, Parent, Routing, Tables, Timings, Totals, Trigger};
use ckpt::format::positions::{self, MessagePosition, PositionRow, WorkerCommit};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::SegmentWriter;
use ckpt::format::store_file::StoreFile;
use ckpt::storage::memory::MemoryStorage;
use ckpt::storage::{EntryKind, Storage};
use ckpt::store::Store;
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::relpath::RelPath;
use ckpt::values::value::{Column, ColumnType, Value};
use jiff::{SignedDuration, Timestamp};

const SHARDS: u32 = 16;
const TASKS: u32 = 64;
/// Checkpoints change a quarter of the shards of a job without workers.
const QUARTER: u64 = 4;
/// How long each worker waits between two of its checkpoints.
const INTERVAL_MILLIS: u64 = 10_000;
const LONGEST_CHAIN: usize = 16;
const LONGEST_CHAIN_OF_PARTITION: usize = 3;
/// Checkpoints in memory at a time.
const BATCH: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: many_checkpoints DIRECTORY [COUNT [PARTITIONS WORKERS]]";
    let directory = PathBuf::from(arguments.next().ok_or(usage)?);
    let count: u64 = arguments.next().map_or(Ok(10_000), |count| count.parse())?;
    let shape = match (arguments.next(), arguments.next()) {
        (None, _) => Shape { tasks: TASKS, shards: SHARDS, workers: None },
        (Some(partitions), workers) => {
            let partitions: u32 = partitions.parse()?;
            Shape { tasks: partitions, shards: partitions, workers: Some(workers.ok_or(usage)?.parse()?) }
        }
    };
    fs::create_dir(&directory)?;
    let mut maker = Maker::new(shape)?;
    for number in 1..=count {
        maker.commit(number)?;
        if number % BATCH == 0 || number == count {
            maker.spill(&directory)?;
        }
    }
    Ok(())
}

/// How the state of the job is divided.
#[derive(Clone, Copy)]
struct Shape {
    tasks: u32,
    shards: u32,
    workers: Option<u64>,
}

impl Shape {
    /// Returns whether checkpoint `number` changes a shard.
    fn changes(self, shard: u32, number: u64) -> bool {
        match self.workers {
            Some(workers) => (u64::from(shard) + number).is_multiple_of(workers),
            None => (u64::from(shard) + number) % u64::from(SHARDS) < u64::from(SHARDS) / QUARTER,
        }
    }

    /// Returns the only key of a shard, and its task.
    fn key_of(self, shard: u32) -> (u32, String) {
        if self.workers.is_some() {
            return (shard, format!("user {shard}"));
        }
        let keys = (0..).map(|number| format!("user {number}"));
        let with_tasks = keys.map(|key| (index::task_of_key(key.as_bytes(), self.tasks), key));
        let mut of_shard = with_tasks.filter(|(task, _)| index::shard_of(*task, self.tasks, self.shards) == shard);
        of_shard.next().expect("every shard has keys")
    }

    fn longest_chain(self) -> usize {
        if self.workers.is_some() { LONGEST_CHAIN_OF_PARTITION } else { LONGEST_CHAIN }
    }

    /// Returns when checkpoint `number` was made.
    fn created(self, number: u64) -> Result<Timestamp, Box<dyn Error>> {
        let first: Timestamp = "2026-01-01T00:00:00Z".parse()?;
        let interval = self.workers.map_or(60_000, |workers| INTERVAL_MILLIS / workers);
        Ok(first.checked_add(SignedDuration::from_millis(i64::try_from(number * interval)?))?)
    }

    /// Returns the name of the worker that makes checkpoint `number`, if one does.
    fn worker(self, number: u64) -> Option<String> {
        self.workers.map(|workers| format!("w{:02}", number % workers))
    }
}

struct Maker {
    shape: Shape,
    /// By partition.
    positions: BTreeMap<String, PositionRow>,
    storage: MemoryStorage,
    store: Store,
    codec: RowCodec,
    chains: Vec<Vec<IndexRow>>,
    parent: Option<Parent>,
}

impl Maker {
    fn new(shape: Shape) -> Result<Maker, Box<dyn Error>> {
        let storage = MemoryStorage::new();
        let file =
            StoreFile { format: 1, store: StoreId::new([5; 16]), job: "many".to_owned(), created: shape.created(0)? };
        Ok(Maker {
            shape,
            positions: BTreeMap::new(),
            store: Store::create(vec![Arc::new(storage.clone())], file)?,
            storage,
            codec: RowCodec::new(vec![Column::new("clicks", ColumnType::Int)]),
            chains: vec![Vec::new(); shape.shards as usize],
            parent: None,
        })
    }

    fn commit(&mut self, number: u64) -> Result<(), Box<dyn Error>> {
        let (mut new_bytes, mut changed_keys) = (0, 0);
        for shard in 0..self.shape.shards {
            if number == 1 || self.shape.changes(shard, number) {
                new_bytes += self.write_segment(shard, number)?;
                changed_keys += 1;
                if self.shape.workers.is_some() {
                    let row = self.position(format!("clicks/{shard}"), Some(shard), number)?;
                    self.positions.insert(row.partition.clone(), row);
                }
            }
        }
        if self.shape.workers.is_none() {
            let row = self.position("data/clicks.jsonl".to_owned(), None, number)?;
            self.positions.insert(row.partition.clone(), row);
        }
        self.positions.values_mut().for_each(|row| row.cut = number);
        let rows: Vec<IndexRow> = self.chains.iter().flatten().cloned().collect();
        let positions: Vec<PositionRow> = self.positions.values().cloned().collect();
        let put = |bytes: &[u8], kind| self.store.put(bytes, kind).map(|put| put.object);
        let tables = Tables {
            index: put(&index::encode(&rows), ObjectKind::Parquet)?,
            positions: put(&positions::encode(&positions), ObjectKind::Parquet)?,
            job: put(b"job: many\ninput: data/clicks.jsonl\n", ObjectKind::Yaml)?,
        };
        let of_tables = tables.index.bytes + tables.positions.bytes + tables.job.bytes;
        let (Shape { tasks, shards, .. }, partitions) = (self.shape, positions.len() as u64);
        let worker = self.shape.worker(number);
        let routing = if worker.is_some() { Routing::KeyedPartition } else { Routing::KeyHash };
        let manifest = Manifest {
            format: 1,
            job: "many".to_owned(),
            store: self.store.file.store.clone(),
            sequence: Sequence(number),
            parent: self.parent,
            created: self.shape.created(number)?,
            mode: Mode::Elided,
            trigger: Trigger::Schedule,
            ended: false,
            restored_from: None,
            worker,
            tasks,
            shards,
            routing,
            block: number,
            older_cuts: Vec::new(),
            block_bytes: 262_144,
            key: None,
            columns: self.codec.columns().to_vec(),
            timings: Timings::default(),
            totals: Totals {
                keys: u64::from(shards),
                changed_keys,
                bytes: rows.iter().map(|row| row.bytes).sum::<u64>() + of_tables,
                new_bytes: new_bytes + of_tables,
                partitions,
                input_bytes: positions.iter().map(|row| row.offset).sum(),
                records: positions.iter().map(|row| row.record).sum(),
                skipped: 0,
                ..Totals::default()
            },
            outputs: Vec::new(),
            dead_letter: None,
            late_records: None,
            messages: None,
            tables,
        };
        let objects: Vec<ObjectName> = rows.iter().map(|row| row.object).collect();
        let committed = self.store.commit(&manifest, &objects)?;
        self.parent = Some(Parent { sequence: Sequence(number), sha256: committed.sha256 });
        Ok(())
    }

    /// Returns where checkpoint `number`, which has a partition, has it.
    fn position(&self, partition: String, task: Option<u32>, number: u64) -> Result<PositionRow, Box<dyn Error>> {
        let (records, time) = (number * 100, self.shape.created(number)?.as_millisecond());
        let fingerprint = Digest::of(format!("{partition} {number}").as_bytes());
        let message = MessagePosition {
            topic_id: None,
            offset: records,
            leader_epoch: Some(0),
            proof_offset: Some(records - 1),
            batch_end: None,
        };
        Ok(PositionRow {
            task,
            cut: number,
            offset: number * 4_096,
            record: records,
            message: task.map(|_| message),
            committed: self.shape.worker(number).map(|worker| WorkerCommit { worker, time }),
            ..PositionRow::at_start(partition, fingerprint)
        })
    }

    /// Adds a segment with one row to a shard's chain, or starts a new chain with it, and returns its size.
    fn write_segment(&mut self, shard: u32, number: u64) -> Result<u64, Box<dyn Error>> {
        let chain = &mut self.chains[shard as usize];
        if chain.len() == self.shape.longest_chain() {
            chain.clear();
        }
        let (first_task, last_task) = index::tasks_of(shard, self.shape.tasks, self.shape.shards);
        let mut value = Vec::new();
        self.codec.pack(&[Value::Int(number as i64)], &mut value);
        let mut writer = SegmentWriter::new(self.codec.columns());
        let (task, key) = self.shape.key_of(shard);
        writer.push(Row { task, key: key.as_bytes(), value: Some(&value) });
        let (bytes, stats) = writer.finish();
        let object = self.store.put(&bytes, ObjectKind::Parquet)?.object;
        chain.push(IndexRow {
            shard,
            level: chain.len() as u32,
            first_task,
            last_task,
            cut: number,
            kind: if chain.is_empty() { SegmentKind::Base } else { SegmentKind::Delta },
            object: object.object,
            bytes: object.bytes,
            rows: stats.rows,
            tombstones: stats.tombstones,
            smallest_key: stats.smallest_key,
            largest_key: stats.largest_key,
        });
        Ok(object.bytes)
    }

    /// Moves the content of memory to disk, without the flushes that make a real commit durable.
    fn spill(&mut self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let mut directories = vec![None];
        while let Some(from) = directories.pop() {
            for entry in self.storage.list(from.as_ref())? {
                let path = match &from {
                    None => RelPath::new(entry.name)?,
                    Some(from) => from.join(&entry.name)?,
                };
                let on_disk = directory.join(path.as_str());
                if entry.kind == EntryKind::Directory {
                    fs::create_dir_all(on_disk)?;
                    directories.push(Some(path));
                } else {
                    fs::write(on_disk, self.storage.get(&path, u64::MAX)?)?;
                    self.storage.delete(&path)?;
                }
            }
        }
        // Start with an empty one again: a store in memory is fast only while it is small.
        self.storage = MemoryStorage::new();
        self.store = Store::create(vec![Arc::new(self.storage.clone())], self.store.file.clone())?;
        Ok(())
    }
}
