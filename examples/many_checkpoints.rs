//! Makes a store with many checkpoints, to measure with:
//!
//!     cargo run --release --example many_checkpoints -- /tmp/many 10000
//!     time ckpt list /tmp/many
//!     time ckpt prune /tmp/many --keep-daily 7 --dry-run
//!
//! It looks like the store of a job with sixteen shards that takes a checkpoint every minute. Each checkpoint changes a
//! few shards, chains are folded when they have sixteen segments, and neighbors share most objects.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::{ObjectKind, ObjectName};
use ckpt::format::manifest::{Manifest, Mode, Parent, Routing, Tables, Timings, Totals, Trigger};
use ckpt::format::positions::{self, PositionRow};
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
/// Shards that each checkpoint changes.
const CHANGED_SHARDS: u64 = 4;
const LONGEST_CHAIN: usize = 16;
/// Checkpoints in memory at a time.
const BATCH: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: many_checkpoints DIRECTORY [COUNT]")?);
    let count: u64 = arguments.next().map_or(Ok(10_000), |count| count.parse())?;
    fs::create_dir(&directory)?;
    let mut maker = Maker::new()?;
    for number in 1..=count {
        maker.commit(number)?;
        if number % BATCH == 0 || number == count {
            maker.spill(&directory)?;
        }
    }
    Ok(())
}

struct Maker {
    storage: MemoryStorage,
    store: Store,
    codec: RowCodec,
    chains: Vec<Vec<IndexRow>>,
    parent: Option<Parent>,
}

impl Maker {
    fn new() -> Result<Maker, Box<dyn Error>> {
        let storage = MemoryStorage::new();
        let file = StoreFile { format: 1, store: StoreId::new([5; 16]), job: "many".to_owned(), created: created(0)? };
        Ok(Maker {
            store: Store::create(vec![Arc::new(storage.clone())], file)?,
            storage,
            codec: RowCodec::new(vec![Column::new("clicks", ColumnType::Int)]),
            chains: vec![Vec::new(); SHARDS as usize],
            parent: None,
        })
    }

    fn commit(&mut self, number: u64) -> Result<(), Box<dyn Error>> {
        let mut new_bytes = 0;
        for shard in 0..SHARDS {
            let changes = (u64::from(shard) + number) % u64::from(SHARDS) < CHANGED_SHARDS;
            if number == 1 || changes {
                new_bytes += self.write_segment(shard, number)?;
            }
        }
        let rows: Vec<IndexRow> = self.chains.iter().flatten().cloned().collect();
        let position = PositionRow {
            partition: "data/clicks.jsonl".to_owned(),
            task: None,
            cut: number,
            offset: number * 4_096,
            record: number * 100,
            ended: false,
            file_bytes: None,
            fingerprint: Digest::of(&number.to_le_bytes()),
            event_time: None,
            watermark: None,
            generation_of: None,
            inode: None,
            etag: None,
            stored_fingerprint: None,
            message: None,
            committed: None,
        };
        let put = |bytes: &[u8], kind| self.store.put(bytes, kind).map(|put| put.object);
        let tables = Tables {
            index: put(&index::encode(&rows), ObjectKind::Parquet)?,
            positions: put(&positions::encode(&[position]), ObjectKind::Parquet)?,
            job: put(b"job: many\ninput: data/clicks.jsonl\n", ObjectKind::Yaml)?,
        };
        let of_tables = tables.index.bytes + tables.positions.bytes + tables.job.bytes;
        let manifest = Manifest {
            format: 1,
            job: "many".to_owned(),
            store: self.store.file.store.clone(),
            sequence: Sequence(number),
            parent: self.parent,
            created: created(number)?,
            mode: Mode::Elided,
            trigger: Trigger::Schedule,
            ended: false,
            restored_from: None,
            worker: None,
            tasks: TASKS,
            shards: SHARDS,
            routing: Routing::KeyHash,
            block: number,
            older_cuts: Vec::new(),
            block_bytes: 262_144,
            key: None,
            columns: self.codec.columns().to_vec(),
            timings: Timings::default(),
            totals: Totals {
                keys: u64::from(SHARDS),
                changed_keys: CHANGED_SHARDS,
                bytes: rows.iter().map(|row| row.bytes).sum::<u64>() + of_tables,
                new_bytes: new_bytes + of_tables,
                partitions: 1,
                input_bytes: number * 4_096,
                records: number * 100,
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

    /// Adds a segment with one row to a shard's chain, or starts a new chain with it, and returns its size.
    fn write_segment(&mut self, shard: u32, number: u64) -> Result<u64, Box<dyn Error>> {
        let chain = &mut self.chains[shard as usize];
        if chain.len() == LONGEST_CHAIN {
            chain.clear();
        }
        let (first_task, last_task) = index::tasks_of(shard, TASKS, SHARDS);
        let mut value = Vec::new();
        self.codec.pack(&[Value::Int(number as i64)], &mut value);
        let mut writer = SegmentWriter::new(self.codec.columns());
        let key = key_of(shard);
        let task = index::task_of_key(key.as_bytes(), TASKS);
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

/// Returns the only key of a shard.
fn key_of(shard: u32) -> String {
    let shard_of = |key: &String| index::shard_of(index::task_of_key(key.as_bytes(), TASKS), TASKS, SHARDS);
    (0..).map(|number| format!("user {number}")).find(|key| shard_of(key) == shard).expect("every shard has keys")
}

fn created(number: u64) -> Result<Timestamp, Box<dyn Error>> {
    let first: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    Ok(first.checked_add(SignedDuration::from_mins(i64::try_from(number)?))?)
}
