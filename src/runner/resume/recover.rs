//! Reads the state and the positions of a checkpoint back into memory.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::IndexRow;
use crate::format::manifest::{Manifest, Routing};
use crate::format::row_batch::RowBatch;
use crate::format::rows::Row;
use crate::format::rows::RowCodec;
use crate::format::segment::SegmentReader;
use crate::format::segment::merge::Merge;
use crate::format::{index, positions};
use crate::job::definition::definition;
use crate::job::{FieldPath, JobSpec};
use crate::runner::error::{CheckpointError, ResumeError, RunError};
use crate::runner::lineage::{Lineage, OlderPositions};
use crate::runner::resumable::{chains, check_tasks, fits};
use crate::runner::resume::damaged::DamagedCheckpoint;
use crate::runner::state::shard::Shard;
use crate::shape::task_key::shard_key;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;
use crate::values::lock::lock;
use crate::values::value::ColumnType;

/// The state of a checkpoint in memory.
#[derive(Debug)]
pub struct Recovered {
    /// The shards, in order.
    pub shards: Vec<Shard>,
    /// What the next checkpoint continues from.
    pub lineage: Lineage,
}

/// How state is read.
#[derive(Clone, Copy)]
pub struct Effort<'a> {
    /// How many shards are read at a time, in object storage some more.
    pub threads: usize,
    /// The only shards that are read, for one of several workers. The others are empty.
    pub share: Option<&'a BTreeSet<u32>>,
    /// Is told how many shards, and how many bytes of segments, are left to read.
    pub left: &'a (dyn Fn(u64, u64) + Sync),
}

/// What a run resumes from.
#[derive(Debug)]
pub struct Resumed {
    pub recovered: Recovered,
    /// The definition of the job that wrote the state.
    pub definition: JobSpec,
    /// The types that were assumed for fields that have no value in the state. The definition lacks them.
    pub undecided: Vec<(FieldPath, ColumnType)>,
    /// The newer checkpoints, which are damaged, the newest first.
    pub damaged: Vec<DamagedCheckpoint>,
}

/// Reads the latest checkpoint. Returns `None` if there is none.
///
/// If the checkpoint is damaged, fails with [`ResumeError::LatestDamaged`]. With `latest_good`, it reads the newest
/// intact checkpoint instead, and fails with [`ResumeError::NoneIntact`] if there is none. It never skips a checkpoint
/// that the system refuses to read, which may be intact. If another process commits meanwhile, which may have pruned what is
/// being read, it begins again with the newest. `check` says whether the job
/// fits a definition, before the state is read. `ranks` returns a rank for each shard of a checkpoint; shards are
/// loaded in the order of their ranks.
pub fn resume(
    store: &Store,
    latest_good: bool,
    effort: Effort<'_>,
    ranks: impl Fn(&Manifest) -> Vec<usize>,
    check: impl Fn(Sequence, &JobSpec) -> Result<(), RunError>,
) -> Result<Option<Resumed>, RunError> {
    let mut sequences = store.sequences()?;
    if sequences.is_empty() {
        return Ok(None);
    }
    let mut damaged = Vec::new();
    let mut next = sequences.len();
    while let Some(&sequence) = next.checked_sub(1).and_then(|last| sequences.get(last)) {
        next -= 1;
        let manifest = store.manifest(sequence);
        let readable = manifest.as_ref().ok().map(|committed| committed.manifest.clone());
        let read = manifest.map_err(RunError::from).and_then(|committed| {
            let definition = definition(store, &committed)?;
            fits(&committed.manifest, &definition)?;
            check(sequence, &definition)?;
            let ranks = ranks(&committed.manifest);
            Ok((definition, recover_in_order(store, committed, effort, &ranks)?))
        });
        let error = match read {
            Ok((definition, mut recovered)) => {
                recovered.lineage.newest = store.newest_number()?;
                recovered.lineage.has_skipped = !damaged.is_empty();
                return Ok(Some(Resumed { recovered, definition, undecided: Vec::new(), damaged }));
            }
            Err(error) => error,
        };
        if let Ok(now) = store.sequences()
            && now.last() > sequences.last()
        {
            (damaged, next, sequences) = (Vec::new(), now.len(), now);
            continue;
        }
        let is_damaged = error.is_damage() || (latest_good && error.is_unreadable());
        if !is_damaged {
            return Err(error);
        }
        if !latest_good {
            return Err(ResumeError::LatestDamaged { sequence, source: Box::new(error) }.into());
        }
        damaged.push(DamagedCheckpoint { sequence, manifest: readable, error });
    }
    let causes = damaged.into_iter().map(|damaged| (damaged.sequence, damaged.error)).collect();
    Err(ResumeError::NoneIntact { place: store.place(), causes }.into())
}

/// Reads the state of a checkpoint, `threads` shards at a time, in object storage some more. Verifies every byte that it reads.
pub fn recover(store: &Store, committed: Committed, threads: usize) -> Result<Recovered, RunError> {
    recover_in_order(store, committed, Effort { threads, share: None, left: &|_, _| {} }, &[])
}

/// Like [`recover`], but loads the shards in the order of their `ranks`.
fn recover_in_order(
    store: &Store,
    committed: Committed,
    Effort { threads, share, left }: Effort<'_>,
    ranks: &[usize],
) -> Result<Recovered, RunError> {
    let manifest = &committed.manifest;
    let inconsistent =
        |reason: String| RunError::from(CheckpointError::Inconsistent { sequence: manifest.sequence, reason });
    let tables = &manifest.tables;
    let rows = index::decode(store.object(tables.index)?).map_err(RunError::table(tables.index.object))?;
    let position_rows =
        positions::decode(store.object(tables.positions)?).map_err(RunError::table(tables.positions.object))?;
    let mut objects: HashSet<_> = manifest.own_objects().map(|own| own.object).collect();
    objects.extend(rows.iter().map(|row| row.object));
    let chains = chains(manifest, rows)?;
    // Object storage is waited for most of the time.
    let threads = if store.is_remote() { threads.max(store.object_readers()) } else { threads };
    check_tasks(manifest, &position_rows)?;
    let known = position_rows.iter().filter_map(|row| Some((row.logical().as_bytes(), row.task?)));
    let partitions: HashMap<&[u8], u32> = known.collect();
    let codec = RowCodec::new(manifest.columns.clone());
    // Another worker has the others.
    let is_own = |chain: &[IndexRow]| chain.first().is_some_and(|base| share.is_none_or(|it| it.contains(&base.shard)));
    let to_load = Left::of(chains.iter().map(Vec::as_slice).filter(|chain| is_own(chain)), left);
    let shards = load_all(threads, ranks, &chains, |chain| match is_own(chain) {
        false => Ok(Shard::new(&codec)),
        true => load(store, manifest, &codec, &partitions, chain).inspect(|_| to_load.done(chain)),
    })?;
    let keys: Vec<u64> = shards.iter().map(Shard::keys).collect();
    let found: u64 = keys.iter().sum();
    if share.is_none() && found != manifest.totals.keys {
        return Err(inconsistent(format!("it has {found} keys, its manifest says {}", manifest.totals.keys)));
    }
    let older = manifest.older_cuts.iter().map(|cut| {
        let rows = position_rows.iter().filter(|row| row.cut == cut.block);
        OlderPositions { cut: cut.clone(), positions: rows.map(|row| (row.partition.clone(), row.clone())).collect() }
    });
    let older = older.collect();
    // The rows of a partition are sorted by cut, so the newest remains.
    let positions = position_rows.into_iter().map(|row| (row.partition.clone(), row)).collect();
    let newest = Some(committed.manifest.sequence);
    let (last, is_relaid, has_skipped) = (Some(committed), false, false);
    let lineage = Lineage { newest, last, chains, keys, positions, older, objects, is_relaid, has_skipped };
    Ok(Recovered { shards, lineage })
}

/// What is left to load: the shards, and the bytes of their segments.
struct Left<'a> {
    numbers: Mutex<(u64, u64)>,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl<'a> Left<'a> {
    /// Counts the shards with these chains.
    fn of<'c>(chains: impl Iterator<Item = &'c [IndexRow]>, tell: &'a (dyn Fn(u64, u64) + Sync)) -> Left<'a> {
        let (shards, bytes) =
            chains.fold((0, 0), |(shards, bytes), chain| (shards + 1, u64::saturating_add(bytes, size(chain))));
        tell(shards, bytes);
        Left { numbers: Mutex::new((shards, bytes)), tell }
    }

    /// Notes that a shard is loaded.
    fn done(&self, chain: &[IndexRow]) {
        let mut numbers = lock(&self.numbers);
        *numbers = (numbers.0.saturating_sub(1), numbers.1.saturating_sub(size(chain)));
        (self.tell)(numbers.0, numbers.1);
    }
}

/// Returns the size of the segments, which may be anything in a forged index.
fn size(chain: &[IndexRow]) -> u64 {
    chain.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
}

/// Loads all shards on `threads` threads, in the order of their `ranks`.
fn load_all(
    threads: usize,
    ranks: &[usize],
    chains: &[Vec<IndexRow>],
    load: impl Fn(&[IndexRow]) -> Result<Shard, RunError> + Sync,
) -> Result<Vec<Shard>, RunError> {
    let threads = threads.max(1);
    let mut shards: Vec<Option<Result<Shard, RunError>>> = chains.iter().map(|_| None).collect();
    let mut order: Vec<(usize, _)> = (0..).zip(shards.iter_mut().zip(chains)).collect();
    order.sort_by_key(|(shard, _)| ranks.get(*shard).copied());
    let mut lanes: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, (_, slot_and_chain)) in order.into_iter().enumerate() {
        lanes[i % threads].push(slot_and_chain);
    }
    std::thread::scope(|scope| {
        for lane in lanes {
            let load = &load;
            scope.spawn(move || {
                for (slot, chain) in lane {
                    *slot = Some(load(chain));
                }
            });
        }
    });
    shards.into_iter().map(|shard| shard.expect("every shard was loaded")).collect()
}

/// The number of rows that are added to a shard at once.
const PENDING_ROWS: usize = 256;

/// Loads one shard. `partitions` are the tasks of the partitions, for a job without a key.
fn load(
    store: &Store,
    manifest: &Manifest,
    codec: &RowCodec,
    partitions: &HashMap<&[u8], u32>,
    chain: &[IndexRow],
) -> Result<Shard, RunError> {
    let mut shard = Shard::new(codec);
    let Some(base) = chain.first() else { return Ok(shard) };
    shard.set_stored();
    let mut sources = Vec::new();
    for segment in chain {
        let bytes = store.object(segment.object_ref())?;
        sources.push(SegmentReader::open(bytes, codec.columns()).map_err(RunError::table(segment.object))?);
    }
    let is_ours = |row: Row<'_>, hash: u64| {
        let routed = match manifest.routing {
            Routing::Partition => partitions.get(row.key) == Some(&row.task),
            Routing::Program | Routing::KeyedPartition => true,
            Routing::KeyHash => hash % u64::from(manifest.tasks) == u64::from(row.task),
        };
        routed && (base.first_task..=base.last_task).contains(&row.task)
    };
    let mut wrong = None;
    let mut pending = RowBatch::new();
    let mut hashes: Vec<u64> = Vec::with_capacity(PENDING_ROWS);
    let mut load_pending = |pending: &mut RowBatch, hashes: &mut Vec<u64>| {
        // All rows at once, so that the processor waits for many table entries at the same time.
        std::hint::black_box(hashes.iter().fold(0, |seen, &hash| seen ^ shard.glance(hash)));
        // A merge returns each key once.
        let is_read = pending.iter().zip(&*hashes).all(|(row, &hash)| {
            let value = row.value.expect("only rows with a value are pending");
            shard.load_new(hash, row.key, value)
        });
        pending.clear();
        hashes.clear();
        is_read
    };
    let is_program = manifest.routing == Routing::Program;
    let merged = Merge::new(sources).for_each(|row| {
        let Some(packed) = row.value else { return true };
        let program_key = is_program.then(|| shard_key(row.task, row.key));
        let key = program_key.as_deref().unwrap_or(row.key);
        let hash = xxh3_64(key);
        if !is_ours(row, hash) {
            wrong = Some("a row is in a task that its key does not belong to");
            return false;
        }
        if manifest.key.as_ref().is_some_and(|shape| shape.split(row.key).is_none()) {
            wrong = Some("a key does not have the parts of the job's key");
            return false;
        }
        pending.push(row.task, key, Some(packed));
        hashes.push(hash);
        if hashes.len() == PENDING_ROWS && !load_pending(&mut pending, &mut hashes) {
            wrong = Some("a sketch cannot be read");
        }
        wrong.is_none()
    });
    if merged.is_ok() && wrong.is_none() && !load_pending(&mut pending, &mut hashes) {
        wrong = Some("a sketch cannot be read");
    }
    merged.map_err(RunError::table(base.object))?;
    match wrong {
        None => Ok(shard),
        Some(reason) => Err(CheckpointError::Inconsistent {
            sequence: manifest.sequence,
            reason: format!("shard {}: {reason}", base.shard),
        }
        .into()),
    }
}
