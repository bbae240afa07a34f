//! Reads the state and the positions of a checkpoint back into memory.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::format::index::IndexRow;
use crate::format::manifest::Manifest;
use crate::format::rows::RowCodec;
use crate::format::{index, positions};
use crate::job::definition::definition;
use crate::job::{FieldPath, JobSpec};
use crate::runner::error::{CheckpointError, ResumeError, RunError};
use crate::runner::lineage::{Lineage, OlderPositions};
use crate::runner::options::Share;
use crate::runner::resumable::{chains, check_tasks, fits};
use crate::runner::resume::damaged::DamagedCheckpoint;
use crate::runner::resume::load::{Left, load, load_all};
use crate::runner::state::shard::Shard;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;
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
    /// What one of several workers has. Only these shards are read, and not those that are in memory; the others are empty.
    pub share: Option<&'a Share>,
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
    if let Some(share) = share {
        share.kept.retain(&chains, &manifest.columns);
    }
    // Another worker has the others.
    let is_own = |base: &IndexRow| share.is_none_or(|share| share.partitions.contains(&base.shard));
    let is_kept = |base: &IndexRow| share.is_some_and(|share| share.kept.has(base.shard));
    let is_to_load = |chain: &&[IndexRow]| chain.first().is_some_and(|base| is_own(base) && !is_kept(base));
    let to_load = Left::of(chains.iter().map(Vec::as_slice).filter(is_to_load), left);
    let shards = load_all(threads, ranks, &chains, |chain| {
        let Some(base) = chain.first().filter(|base| is_own(base)) else { return Ok(Shard::new(&codec)) };
        match share.and_then(|share| share.kept.take(base.shard)) {
            Some(kept) => Ok(kept),
            None => load(store, manifest, &codec, &partitions, chain).inspect(|_| to_load.done(chain)),
        }
    })?;
    share.iter().for_each(|share| share.kept.drop_others(&BTreeSet::new()));
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
