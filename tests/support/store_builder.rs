//! Genuine stores without a run: the code that a run uses writes every file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::ObjectKind;
use ckpt::format::manifest::{Manifest, Mode, ObjectRef, Parent, Routing, Tables, Timings, Totals, Trigger};
use ckpt::format::positions::{self, PositionRow};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::SegmentWriter;
use ckpt::format::sketch::Sketch;
use ckpt::format::store_file::StoreFile;
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use ckpt::store::records::attempts::{Attempt, AttemptOutcome};
use ckpt::values::decimal::Decimal;
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::value::{Column, ColumnType, Value};
use jiff::{SignedDuration, Timestamp};

use crate::support::Env;

/// The job definition in a store with a key, 8 tasks and the usual columns.
pub const JOB: &str = "job: clicks
input: {files: data/clicks.jsonl, types: {city: text}}
key: user
tasks: 8
process: {aggregate: {clicks: count, spent: sum(spent), city: last(city), pages: approx_distinct(pages)}}
";

/// The size of a record of the pretended input.
const RECORD_BYTES: u64 = 40;

/// A change to one key: its new number of clicks, or `None` to delete it.
pub type Change<'a> = (&'a str, Option<i64>);

/// Changed rows by task and key; `None` for a deleted row.
pub type ChangedRows = BTreeMap<(u32, String), Option<Vec<Value>>>;

/// A store, and what a run would remember about it.
pub struct StoreBuilder {
    pub store: Store,
    tasks: u32,
    shards: u32,
    routing: Routing,
    codec: RowCodec,
    state: BTreeMap<(u32, String), Vec<Value>>,
    chains: BTreeMap<u32, Vec<IndexRow>>,
    parent: Option<Parent>,
    old_objects: Vec<ObjectRef>,
    records: BTreeMap<String, u64>,
    block: u64,
    values: ValuesOf,
}

/// Makes the values of a key from its number of clicks.
type ValuesOf = Box<dyn Fn(&str, i64) -> Vec<Value>>;

/// A checkpoint that is not committed yet: a test may make it wrong.
pub struct Draft {
    /// The manifest, except for `tables`.
    pub manifest: Manifest,
    pub index: Vec<IndexRow>,
    pub positions: Vec<PositionRow>,
    /// The job definition.
    pub job: Vec<u8>,
}

impl StoreBuilder {
    /// Creates the store of a job with a key, 8 tasks and 3 shards.
    pub fn keyed(path: &Path) -> StoreBuilder {
        StoreBuilder::create(path, 8, 3, Routing::KeyHash)
    }

    /// Creates the store of a job without a key, whose partitions are `p0` to `p7`.
    pub fn unkeyed(path: &Path) -> StoreBuilder {
        StoreBuilder::create(path, 8, 3, Routing::Partition)
    }

    /// Creates the store of a job whose tasks are the 3 partitions of the topic `clicks`.
    pub fn partitioned(path: &Path) -> StoreBuilder {
        StoreBuilder::create(path, 3, 3, Routing::KeyedPartition)
    }

    pub fn create(path: &Path, tasks: u32, shards: u32, routing: Routing) -> StoreBuilder {
        StoreBuilder::on(vec![Arc::new(LocalStorage::new(path.to_owned()))], tasks, shards, routing)
    }

    /// Creates a store in `replicas`.
    pub fn on(replicas: Vec<Arc<dyn Storage>>, tasks: u32, shards: u32, routing: Routing) -> StoreBuilder {
        let file = StoreFile { format: 1, store: StoreId::new([7; 16]), job: "clicks".to_owned(), created: created(0) };
        let columns = vec![
            Column::new("clicks", ColumnType::Int),
            Column::new("spent", ColumnType::Number),
            Column::new("city", ColumnType::Text),
            Column::new("pages", ColumnType::Sketch),
        ];
        StoreBuilder {
            store: Store::create(replicas, file).expect("created"),
            tasks,
            shards,
            routing,
            codec: RowCodec::new(columns),
            state: BTreeMap::new(),
            chains: BTreeMap::new(),
            parent: None,
            old_objects: Vec::new(),
            records: BTreeMap::new(),
            block: 0,
            values: Box::new(values),
        }
    }

    /// Gives the state other columns, whose values `value_of` makes from the column's name and the number of clicks.
    pub fn with_columns(mut self, columns: Vec<Column>, value_of: fn(&str, i64) -> Value) -> StoreBuilder {
        self.codec = RowCodec::new(columns.clone());
        self.values = Box::new(move |_, clicks| columns.iter().map(|column| value_of(&column.name, clicks)).collect());
        self
    }

    /// Returns the definition of the job that has this state.
    fn job(&self) -> String {
        let columns = self.codec.columns();
        let kept: Vec<&Column> = columns
            .iter()
            .filter(|column| {
                !matches!(column.column_type, ColumnType::Int | ColumnType::Sketch | ColumnType::Quantiles)
            })
            .filter(|column| column.estimate.is_none())
            .filter(|column| column.name != "spent")
            .collect();
        let types: Vec<String> =
            kept.iter().map(|column| format!("{}: {}", column.name, column.column_type.name())).collect();
        let aggregates: Vec<String> = columns
            .iter()
            .filter(|column| !column.is_estimated(columns))
            .map(|column| match (&*column.name, column.column_type) {
                (name, ColumnType::Number) if column.estimate.is_some() => {
                    format!("{name}: \"approx_quantile({name}, 0.5)\"")
                }
                (name, ColumnType::Int) if column.estimate.is_some() => format!("{name}: approx_distinct({name})"),
                (name, ColumnType::Int) => format!("{name}: count"),
                (name, ColumnType::Sketch) => format!("{name}: approx_distinct({name})"),
                ("spent", _) => "spent: sum(spent)".to_owned(),
                (name, _) => format!("{name}: last({name})"),
            })
            .collect();
        let key = match self.routing {
            Routing::Partition => String::new(),
            Routing::KeyedPartition => "key: user\ntasks: partitions\n".to_owned(),
            Routing::KeyHash | Routing::Program => format!("key: user\ntasks: {}\n", self.tasks),
        };
        let input = match self.routing {
            Routing::KeyedPartition => "kafka: {brokers: 'localhost:9092', topic: clicks}, format: json",
            _ => "files: data/clicks.jsonl",
        };
        format!(
            "job: clicks\ninput: {{{input}, types: {{{}}}}}\n{key}process: {{aggregate: {{{}}}}}\n",
            types.join(", "),
            aggregates.join(", ")
        )
    }

    /// Commits a checkpoint that applies `changes` to the previous one.
    pub fn commit(&mut self, changes: &[Change<'_>]) -> Sequence {
        let draft = self.draft(changes);
        self.commit_draft(draft)
    }

    /// Makes the next checkpoint write a new base for every shard, as folding does.
    pub fn restart(&mut self) {
        self.chains.clear();
        for shard in 0..self.shards {
            let (first, last) = index::tasks_of(shard, self.tasks, self.shards);
            let of_shard = self.state.range((first, String::new())..(last + 1, String::new()));
            let rows: BTreeMap<_, _> = of_shard.map(|(key, values)| (key.clone(), Some(values.clone()))).collect();
            if !rows.is_empty() {
                self.write_segment(shard, &rows);
            }
        }
    }

    /// Writes the segments of a checkpoint and returns the rest of it.
    pub fn draft(&mut self, changes: &[Change<'_>]) -> Draft {
        let mut by_shard: BTreeMap<u32, ChangedRows> = BTreeMap::new();
        for (key, clicks) in changes {
            let task = self.task(key);
            let values = clicks.map(|clicks| (self.values)(key, clicks));
            let shard = index::shard_of(task, self.tasks, self.shards);
            by_shard.entry(shard).or_default().insert((task, (*key).to_owned()), values);
        }
        self.block += 1;
        for (shard, rows) in by_shard {
            self.write_segment(shard, &rows);
            for (key, values) in rows {
                match values {
                    Some(values) => self.state.insert(key, values),
                    None => self.state.remove(&key),
                };
            }
        }
        let index: Vec<IndexRow> = self.chains.values().flatten().cloned().collect();
        let positions = self.positions(changes);
        let sequence = self.parent.map_or(Sequence::FIRST, |parent| parent.sequence.next());
        let job = self.job();
        let object = self.store.put(job.as_bytes(), ObjectKind::Yaml).expect("put").object;
        let manifest = Manifest {
            format: 1,
            job: "clicks".to_owned(),
            store: self.store.file.store.clone(),
            sequence,
            parent: self.parent,
            created: created(sequence.0),
            mode: Mode::Elided,
            trigger: Trigger::Schedule,
            ended: false,
            restored_from: None,
            worker: None,
            tasks: self.tasks,
            shards: self.shards,
            routing: self.routing,
            block: self.block,
            older_cuts: Vec::new(),
            block_bytes: 262_144,
            key: None,
            columns: self.codec.columns().to_vec(),
            timings: Timings { pause_micros: 850, snapshot_micros: 12_400, write_micros: 310_250 },
            totals: Totals {
                keys: self.state.len() as u64,
                changed_keys: changes.len() as u64,
                bytes: 0,
                new_bytes: 0,
                partitions: positions.len() as u64,
                input_bytes: positions.iter().map(|row| row.offset).sum(),
                records: positions.iter().map(|row| row.record).sum(),
                skipped: 0,
                ..Totals::default()
            },
            outputs: Vec::new(),
            dead_letter: None,
            late_records: None,
            messages: None,
            tables: Tables { index: object, positions: object, job: object },
        };
        Draft { manifest, index, positions, job: job.into_bytes() }
    }

    /// Writes the tables of a draft and commits it. Byte totals that are zero are filled in.
    pub fn commit_draft(&mut self, draft: Draft) -> Sequence {
        let put = |bytes: &[u8], kind| self.store.put(bytes, kind).expect("put").object;
        let tables = Tables {
            index: put(&index::encode(&draft.index), ObjectKind::Parquet),
            positions: put(&positions::encode(&draft.positions), ObjectKind::Parquet),
            job: put(&draft.job, ObjectKind::Yaml),
        };
        let mut manifest = Manifest { tables, ..draft.manifest };
        let objects = manifest.objects(&draft.index);
        let new = objects.iter().filter(|object| !self.old_objects.contains(object));
        if manifest.totals.bytes == 0 {
            manifest.totals.new_bytes = new.map(|object| object.bytes).sum();
            manifest.totals.bytes = objects.iter().map(|object| object.bytes).sum();
        }
        let names: Vec<_> = objects.iter().map(|object| object.object).collect();
        let committed = self.store.commit(&manifest, &names).expect("committed");
        self.parent = Some(Parent { sequence: manifest.sequence, sha256: committed.sha256 });
        self.old_objects = objects;
        manifest.sequence
    }

    /// Returns the task of a key.
    pub fn task(&self, key: &str) -> u32 {
        match self.routing {
            Routing::KeyHash => index::task_of_key(key.as_bytes(), self.tasks),
            Routing::Partition => key.strip_prefix('p').and_then(|task| task.parse().ok()).expect("a partition's name"),
            // In these tests, the keys of a program's task or of a partition begin with its number.
            Routing::Program | Routing::KeyedPartition => {
                key.split(':').next().and_then(|task| task.parse().ok()).expect("a task's number")
            }
        }
    }

    /// Returns the state, by task and key.
    pub fn state(&self) -> &BTreeMap<(u32, String), Vec<Value>> {
        &self.state
    }

    /// Adds a segment to a shard's chain: a base when the chain is empty.
    pub fn write_segment(&mut self, shard: u32, rows: &ChangedRows) {
        let mut writer = SegmentWriter::new(self.codec.columns());
        let mut packed = Vec::new();
        for ((task, key), values) in rows {
            packed.clear();
            if let Some(values) = values {
                self.codec.pack(values, &mut packed);
            }
            let value = values.as_ref().map(|_| packed.as_slice());
            writer.push(Row { task: *task, key: key.as_bytes(), value });
        }
        let (bytes, stats) = writer.finish();
        let object = self.store.put(&bytes, ObjectKind::Parquet).expect("put").object;
        let (first_task, last_task) = index::tasks_of(shard, self.tasks, self.shards);
        let chain = self.chains.entry(shard).or_default();
        chain.push(IndexRow {
            shard,
            level: chain.len() as u32,
            first_task,
            last_task,
            cut: self.block,
            kind: if chain.is_empty() { SegmentKind::Base } else { SegmentKind::Delta },
            object: object.object,
            bytes: object.bytes,
            rows: stats.rows,
            tombstones: stats.tombstones,
            smallest_key: stats.smallest_key,
            largest_key: stats.largest_key,
        });
    }

    fn positions(&mut self, changes: &[Change<'_>]) -> Vec<PositionRow> {
        for (key, _) in changes {
            let partition = match self.routing {
                Routing::KeyHash | Routing::Program => "data/clicks.jsonl".to_owned(),
                Routing::Partition => (*key).to_owned(),
                Routing::KeyedPartition => format!("clicks/{}", self.task(key)),
            };
            *self.records.entry(partition).or_default() += 1;
        }
        let task_of = |partition: &str| match self.routing {
            Routing::KeyHash | Routing::Program => None,
            Routing::Partition => Some(self.task(partition)),
            Routing::KeyedPartition => partition.strip_prefix("clicks/").and_then(|number| number.parse().ok()),
        };
        let records = self.records.iter();
        records
            .map(|(partition, records)| PositionRow {
                task: task_of(partition),
                cut: self.block,
                offset: records * RECORD_BYTES,
                record: *records,
                file_bytes: Some(1_000_000),
                ..PositionRow::at_start(partition.clone(), Digest::of(&records.to_le_bytes()))
            })
            .collect()
    }
}

/// Returns the values of a key: every column is set except the city of keys that begin with `x`.
pub fn values(key: &str, clicks: i64) -> Vec<Value> {
    let spent = Decimal::parse(format!("{clicks}.25").as_bytes()).expect("a number");
    let city = if key.starts_with('x') { Value::Null } else { Value::Text(format!("city of {key}")) };
    vec![Value::Int(clicks), Value::Number(spent), city, Value::Sketch(Sketch::default().to_bytes())]
}

/// Returns when checkpoint `number` was created: ten minutes after the previous one.
fn created(number: u64) -> Timestamp {
    let first: Timestamp = "2026-11-22T14:00:00Z".parse().expect("a time");
    first + SignedDuration::from_mins(10 * i64::try_from(number).expect("a small number"))
}

/// Returns an environment with the store `s` of [`three_checkpoints`], half an hour after the last of them.
pub fn with_three_checkpoints() -> Env {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    three_checkpoints(&env.path("s"));
    env
}

/// Builds the store that most tests look at: three checkpoints of a job with a key, with deltas and a tombstone.
///
/// After the third, the keys are ann, bob, cyd (changed), eve, fay and xan; dan is gone.
pub fn three_checkpoints(path: &Path) -> StoreBuilder {
    let mut builder = StoreBuilder::keyed(path);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder
}

/// Returns an attempt at `time` that found nothing to write.
pub fn attempt(time: Timestamp) -> Attempt {
    Attempt {
        number: 0,
        time,
        run: String::new(),
        trigger: Trigger::Schedule,
        outcome: AttemptOutcome::Elided,
        sequence: None,
        pause_micros: 1,
        snapshot_micros: 2,
        write_micros: 3,
        commit_micros: 4,
        new_bytes: 5,
        error: None,
    }
}
