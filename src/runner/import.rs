//! The first checkpoint of a job whose state another program has made.

use crate::format::FORMAT;
use crate::format::index::{self, IndexRow, SegmentKind};
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{Manifest, Mode, ObjectRef, Routing, Tables, Timings, Totals, Trigger};
use crate::format::owner::Owner;
use crate::format::positions::{self, PositionRow};
use crate::format::rows::{Row, RowCodec};
use crate::format::segment::SegmentWriter;
use crate::input;
use crate::job::JobSpec;
use crate::job::state_columns::state_columns;
use crate::runner::checkpoint::proof::{TableBytes, prove};
use crate::runner::error::RunError;
use crate::runner::options::Options;
use crate::runner::output::plans::OutputPlans;
use crate::runner::pipeline::operation::run_name;
use crate::runner::pipeline::paths::check_paths;
use crate::runner::pipeline::prepare::{Places, open_store};
use crate::store::{Committed, Created, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::value::{Column, ColumnType, Value};

/// Why no checkpoint was made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("state can only be imported into a job with {expected}")]
    Job { expected: &'static str },
    #[error("the type of the field `{field}` is not known")]
    Type { field: String },
    #[error("store `{place}` already has checkpoints")]
    NotEmpty { place: String },
    #[error("expected the state of {expected} partitions, as many as topic `{topic}` has, found {found}")]
    Partitions { topic: String, expected: u32, found: usize },
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What one partition brings along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedPartition {
    /// The offset of the last message that is part of the state; nothing if none is.
    pub last: Option<u64>,
    /// Keys and their values, one for each column of the state. Sorted by the bytes of the keys, each once.
    pub rows: Vec<(String, Vec<Value>)>,
}

/// The checkpoint that was made.
#[derive(Debug, Clone)]
pub struct Imported {
    pub place: String,
    pub committed: Committed,
    /// Where each partition is read next, in the order of their numbers.
    pub positions: Vec<PositionRow>,
}

/// Returns the columns of the state of a job. Fails if state cannot be imported into it.
pub fn columns(job: &JobSpec) -> Result<Vec<Column>, ImportError> {
    let expect = |is_so: bool, expected| if is_so { Ok(()) } else { Err(ImportError::Job { expected }) };
    expect(job.input.topic.is_some() && job.is_partitioned, "`input: kafka` and `tasks: partitions`")?;
    expect(!job.aggregates.is_empty(), "`process: aggregate`")?;
    expect(job.window.is_none() && job.ttl.is_none(), "neither `window` nor `ttl`")?;
    expect(job.checkpoint.enabled, "checkpoints")?;
    let kept = job.aggregates.iter().flat_map(|aggregate| aggregate.kept_fields());
    let is_known = |field: &_| job.input.types.iter().any(|(known, _)| known == field);
    if let Some(field) = kept.into_iter().find(|field| !is_known(*field)) {
        return Err(ImportError::Type { field: field.to_string() });
    }
    let type_of = |field: &_| {
        let known = job.input.types.iter().find(|(known, _)| known == field);
        known.map_or(ColumnType::Text, |(_, column_type)| *column_type)
    };
    let columns: Vec<Column> = state_columns(&job.aggregates, type_of).into_iter().flatten().collect();
    let has_sketch = columns.iter().any(|column| column.estimate.is_some());
    expect(!has_sketch, "neither `approx_distinct` nor `approx_quantile`")?;
    Ok(columns)
}

/// Returns how many partitions the topic of `job` has. Fails if its store has checkpoints, or if the job is one that
/// [`columns`] refuses.
pub fn partition_count(job: &JobSpec, options: &Options) -> Result<u32, ImportError> {
    columns(job)?;
    refuse_checkpoints(job, options)?;
    let topic = job.input.topic.as_ref().expect("it reads a topic");
    Ok(input::partition_count(topic, &job.base).map_err(RunError::from)?)
}

/// Makes the first checkpoint of the store of `job`, with the state and the positions of `partitions`, one for each
/// partition of its topic. `ckpt run` resumes from it.
///
/// Fails if the store has a checkpoint, or if the topic does not have what comes next. Then nothing is committed.
pub fn import(job: &JobSpec, options: &Options, partitions: &[ImportedPartition]) -> Result<Imported, ImportError> {
    let count = partition_count(job, options)?;
    let topic = job.input.topic.as_ref().expect("it reads a topic");
    if partitions.len() != count as usize {
        let topic = topic.topic.clone();
        return Err(ImportError::Partitions { topic, expected: count, found: partitions.len() });
    }
    let last: Vec<Option<u64>> = partitions.iter().map(|partition| partition.last).collect();
    let positions = input::adopt(topic, &job.base, &last).map_err(RunError::from)?;
    let outputs = OutputPlans::new(job, false).map_err(RunError::from)?;
    check_paths(job, &outputs)?;
    let (store, _lock) = open_store(job, options, &outputs)?;
    if has_checkpoints(&store)? {
        return Err(ImportError::NotEmpty { place: store.place() });
    }
    let mut created = Created::default();
    let committed = commit(&store, job, options, partitions, &positions, &mut created);
    if committed.is_err() && store.sequences().is_ok_and(|sequences| sequences.is_empty()) {
        store.discard(created);
    }
    Ok(Imported { place: store.place(), committed: committed?, positions })
}

/// Fails if there is a store and it has checkpoints, or had some. Writes nothing.
fn refuse_checkpoints(job: &JobSpec, options: &Options) -> Result<(), ImportError> {
    let places = Places::of(job, &options.storages)?;
    match places.examine(job) {
        Ok(store) if has_checkpoints(&store)? => Err(ImportError::NotEmpty { place: store.place() }),
        Err(error @ RunError::Store(StoreError::CheckpointsLost { .. })) => Err(error.into()),
        // What else is wrong with it is found out when it is opened for writing.
        _ => Ok(()),
    }
}

fn has_checkpoints(store: &Store) -> Result<bool, RunError> {
    Ok(!store.sequences()?.is_empty())
}

fn commit(
    store: &Store,
    job: &JobSpec,
    options: &Options,
    partitions: &[ImportedPartition],
    positions: &[PositionRow],
    created: &mut Created,
) -> Result<Committed, ImportError> {
    let begun = std::time::Instant::now();
    let columns = columns(job)?;
    let seed = xxhash_rust::xxh3::xxh3_64(&options.random);
    let owner = Owner {
        checkpoint: (job.checkpoint.mode == Mode::Scheduled).then_some(Sequence::FIRST),
        attempt: store.is_remote().then(|| format!("{}-{}", run_name(seed), Sequence::FIRST)),
    };
    let mut index_rows = Vec::new();
    for (number, partition) in (0..).zip(partitions) {
        index_rows.extend(put_segment(store, number, &partition.rows, &columns, &owner, created)?);
    }
    let bytes = TableBytes {
        index: index::encode_of(&index_rows, &owner).into(),
        positions: positions::encode_of(positions, &owner).into(),
        job: (job.definition() + &owner.comment()).into(),
    };
    let objects = [
        (&*bytes.index, ObjectKind::Parquet),
        (&*bytes.positions, ObjectKind::Parquet),
        (&*bytes.job, ObjectKind::Yaml),
    ];
    let put = store.put_all_noted(&objects, created).map_err(RunError::from)?;
    store.sync().map_err(RunError::from)?;
    let tasks = u32::try_from(partitions.len()).expect("there are fewer partitions than 2^32");
    let keys = partitions.iter().map(|partition| partition.rows.len() as u64).sum();
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut manifest = Manifest {
        format: FORMAT,
        job: job.job.clone(),
        store: store.file.store.clone(),
        sequence: Sequence::FIRST,
        parent: None,
        created: options.clock.now(),
        mode: job.checkpoint.mode,
        trigger: Trigger::Request,
        ended: false,
        restored_from: None,
        worker: None,
        tasks,
        shards: tasks,
        routing: Routing::KeyedPartition,
        block: 0,
        older_cuts: Vec::new(),
        block_bytes: input::BLOCK_BYTES,
        key: job.key_shape(),
        columns,
        timings: Timings { write_micros: micros, ..Timings::default() },
        totals: Totals { keys, changed_keys: keys, partitions: positions.len() as u64, ..Totals::default() },
        outputs: Vec::new(),
        dead_letter: None,
        late_records: None,
        messages: None,
        tables: Tables { index: put[0], positions: put[1], job: put[2] },
    };
    let objects = manifest.objects(&index_rows);
    manifest.totals.bytes = objects.iter().map(|object| object.bytes).sum();
    manifest.totals.new_bytes = manifest.totals.bytes;
    prove(&manifest, bytes)?;
    let names: Vec<ObjectName> = objects.iter().map(|object| object.object).collect();
    Ok(store.commit(&manifest, &names).map_err(RunError::from)?)
}

/// Writes the rows of a partition, if it has some.
fn put_segment(
    store: &Store,
    task: u32,
    rows: &[(String, Vec<Value>)],
    columns: &[Column],
    owner: &Owner,
    created: &mut Created,
) -> Result<Option<IndexRow>, RunError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let codec = RowCodec::new(columns.to_vec());
    let mut writer = SegmentWriter::new_of(columns, owner);
    let mut packed = Vec::new();
    for (key, values) in rows {
        packed.clear();
        codec.pack(values, &mut packed);
        writer.push(Row { task, key: key.as_bytes(), value: Some(&packed) });
    }
    let (bytes, stats) = writer.finish();
    let ObjectRef { object, bytes } = store.put_noted(&bytes, ObjectKind::Parquet, created)?;
    Ok(Some(IndexRow {
        shard: task,
        level: 0,
        first_task: task,
        last_task: task,
        cut: 0,
        kind: SegmentKind::Base,
        object,
        bytes,
        rows: stats.rows,
        tombstones: stats.tombstones,
        smallest_key: stats.smallest_key,
        largest_key: stats.largest_key,
    }))
}
