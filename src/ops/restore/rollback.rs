//! Rolling back: makes an old checkpoint's content the newest one.

use jiff::Timestamp;

use crate::format::layout::{self, ObjectKind, ObjectName};
use crate::format::manifest::{Manifest, ObjectRef, Parent, Timings, Totals, Trigger};
use crate::format::owner::Owner;
use crate::format::positions::{self, PositionRow};
use crate::input::PrefixDigest;
use crate::ops::read::Snapshot;
use crate::ops::restore::error::RestoreError;
use crate::store::records::time::in_milliseconds;
use crate::store::{Committed, Replica, Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::random::random;

/// A rollback that has not been applied.
#[derive(Debug, Clone)]
pub struct RollbackPlan {
    /// The manifest that is to be committed.
    pub manifest: Manifest,
    /// The old checkpoint.
    pub snapshot: Snapshot,
    /// The checkpoint that the job would otherwise resume from.
    pub latest: Parent,
    /// Its manifest; nothing if that is damaged.
    pub latest_manifest: Option<Manifest>,
    /// The positions that are chosen by hand.
    pub seeks: Vec<Seek>,
    /// The partitions that are let go.
    pub forgotten: Vec<Forgotten>,
    /// The new positions table, if it differs from the old one.
    positions: Option<Vec<u8>>,
}

/// A position that is chosen by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seek {
    /// The position in the old checkpoint.
    pub old: PositionRow,
    /// The position in the new checkpoint.
    pub new: PositionRow,
}

/// A partition that is let go. The state keeps what was applied of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    pub partition: String,
    /// The records of it that were applied.
    pub records: u64,
    /// The records that some shards of an older cut have not applied, and never will.
    pub missing_records: u64,
}

/// What is changed by hand in the positions of an old checkpoint.
#[derive(Debug, Clone, Default)]
pub struct PositionChanges {
    /// New positions. Each replaces the old checkpoint's position in its partition, and keeps that one's task and cut.
    pub seeks: Vec<PositionRow>,
    /// Partitions that lose their positions.
    pub forget: Vec<String>,
}

/// Plans to commit, at `now`, a checkpoint with the content of checkpoint `sequence`.
///
/// `changes` are made to its positions. The state is not changed. The latest checkpoint may be damaged, as long as it
/// has a manifest that can be named as the parent. Fails with [`RestoreError::AlreadyLatest`] if `sequence` is the latest
/// and nothing is changed, and with [`RestoreError::NoPartition`] for a partition that the checkpoint does not have.
pub fn plan_rollback(
    store: &Store,
    sequence: Sequence,
    changes: PositionChanges,
    now: Timestamp,
) -> Result<RollbackPlan, RestoreError> {
    let snapshot = Snapshot::open(store, sequence)?;
    let own = Parent { sequence, sha256: snapshot.committed.sha256 };
    let latest = latest(store)?.unwrap_or(own);
    let is_changed = !changes.seeks.is_empty() || !changes.forget.is_empty();
    if latest.sequence == sequence && !is_changed {
        return Err(RestoreError::AlreadyLatest { sequence });
    }
    let old = snapshot.manifest();
    let manifest = Manifest {
        sequence: store.newest_number()?.unwrap_or(latest.sequence).next(),
        parent: Some(latest),
        created: in_milliseconds(now),
        trigger: Trigger::Restore,
        restored_from: Some(sequence),
        worker: None,
        timings: Timings::default(),
        totals: Totals { changed_keys: 0, new_bytes: 0, ..old.totals },
        outputs: Vec::new(),
        ..old.clone()
    };
    let latest_manifest = store.manifest(latest.sequence).ok().map(|committed| committed.manifest);
    let (seeks, forgotten) = (Vec::new(), Vec::new());
    let mut plan = RollbackPlan { manifest, snapshot, latest, latest_manifest, seeks, forgotten, positions: None };
    if is_changed {
        let mut rows = plan.snapshot.positions(store)?;
        plan.seek(&mut rows, changes.seeks)?;
        for partition in changes.forget {
            plan.forget(&mut rows, partition)?;
        }
        // Without locks, what this writes must not be what somebody else wrote and a prune is about to delete.
        let attempt = || format!("{:016x}{:016x}-{}", random(), random(), plan.manifest.sequence);
        let owner = Owner { checkpoint: None, attempt: store.is_remote().then(attempt) };
        plan.set_positions(rows, &owner);
    }
    Ok(plan)
}

impl RollbackPlan {
    /// Replaces positions of the old checkpoint by `positions`.
    fn seek(&mut self, rows: &mut [PositionRow], positions: Vec<PositionRow>) -> Result<(), RestoreError> {
        for position in positions {
            let mut of_partition = rows.iter_mut().filter(|row| row.partition == position.partition).peekable();
            if of_partition.peek().is_none() {
                return Err(RestoreError::NoPartition { partition: position.partition });
            }
            for row in of_partition {
                let kept = row.clone();
                let (event_time, watermark) = (kept.event_time, kept.watermark);
                let new = PositionRow { task: kept.task, cut: kept.cut, event_time, watermark, ..position.clone() };
                self.seeks.push(Seek { old: std::mem::replace(row, new.clone()), new });
            }
            // If there are several cuts, people care about the newest position.
            self.seeks.dedup_by(|newer, older| {
                let is_same = newer.new.partition == older.new.partition;
                if is_same {
                    std::mem::swap(newer, older);
                }
                is_same
            });
        }
        Ok(())
    }

    /// Removes the positions of a partition. Its records and bytes are in the totals as those of the past.
    ///
    /// A job without a key has a task for the partition, which a position at its beginning keeps.
    fn forget(&mut self, rows: &mut Vec<PositionRow>, partition: String) -> Result<(), RestoreError> {
        let is_of = |row: &PositionRow| row.partition == partition || row.logical() == partition;
        let of_partition: Vec<PositionRow> = rows.iter().filter(|row| is_of(row)).cloned().collect();
        if of_partition.is_empty() {
            return Err(RestoreError::NoPartition { partition });
        }
        let sum = |cut: u64, of: fn(&PositionRow) -> u64| -> u64 {
            of_partition.iter().filter(|row| row.cut == cut).map(of).fold(0, u64::saturating_add)
        };
        let manifest = &mut self.manifest;
        let records = sum(manifest.block, |row| row.record);
        let totals = &mut manifest.totals;
        totals.past_records = totals.past_records.saturating_add(records);
        totals.past_input_bytes = totals.past_input_bytes.saturating_add(sum(manifest.block, |row| row.offset));
        let applied = manifest.older_cuts.iter().map(|cut| sum(cut.block, |row| row.record)).min().unwrap_or(records);
        rows.retain(|row| !is_of(row));
        let task = of_partition.iter().find_map(|row| row.task);
        rows.extend(task.map(|task| unread(&partition, task, manifest.block, &of_partition[0])));
        self.forgotten.push(Forgotten { partition, records, missing_records: records.saturating_sub(applied) });
        Ok(())
    }

    /// Makes `rows` the positions of the new checkpoint.
    fn set_positions(&mut self, mut rows: Vec<PositionRow>, owner: &Owner) {
        rows.sort_by(|a, b| (&a.partition, a.cut).cmp(&(&b.partition, b.cut)));
        let bytes = positions::encode_of(&rows, owner);
        let name = ObjectName { digest: Digest::of(&bytes), kind: ObjectKind::Parquet };
        let object = ObjectRef { object: name, bytes: bytes.len() as u64 };
        let manifest = &mut self.manifest;
        if object != manifest.tables.positions {
            manifest.totals.new_bytes = object.bytes;
        }
        manifest.tables.positions = object;
        manifest.ended = rows.iter().all(|row| row.ended);
        // If there are several cuts, the newest row of a partition is the last.
        let newest = rows.chunk_by(|a, b| a.partition == b.partition).filter_map(<[PositionRow]>::last);
        let sum = |of: fn(&PositionRow) -> u64| newest.clone().map(of).fold(0, u64::saturating_add);
        let totals = &mut manifest.totals;
        totals.input_bytes = sum(|row| row.offset).saturating_add(totals.past_input_bytes);
        totals.records = sum(|row| row.record).saturating_add(totals.past_records);
        totals.partitions = newest.clone().count() as u64;
        for cut in &mut manifest.older_cuts {
            let records = rows.iter().filter(|row| row.cut == cut.block).map(|row| row.record);
            cut.records = records.fold(totals.past_records, u64::saturating_add);
        }
        manifest.totals.bytes = manifest.objects(&self.snapshot.index).iter().map(|object| object.bytes).sum();
        self.positions = Some(bytes);
    }
}

/// Returns the position of a partition of which nothing was read, and that need not exist.
fn unread(partition: &str, task: u32, cut: u64, old: &PositionRow) -> PositionRow {
    PositionRow {
        task: Some(task),
        cut,
        ended: true,
        file_bytes: old.file_bytes.map(|_| 0),
        watermark: old.watermark,
        ..PositionRow::at_start(partition.to_owned(), PrefixDigest::at_start(partition).finish())
    }
}

/// Verifies every byte of the old checkpoint, then commits the checkpoint of `plan`.
///
/// Locks the store for writing; `holder` says who does it. Fails with [`RestoreError::Moved`] if the plan is out of
/// date.
pub fn apply_rollback(
    store: &Store,
    plan: &RollbackPlan,
    holder: &str,
    progress: &dyn Progress,
) -> Result<Committed, RestoreError> {
    let _lock = store.lock(holder)?;
    // A run that died may have committed the latest checkpoint to some replicas only: below the new checkpoint the
    // others would never get it.
    store.make_equal()?;
    // The objects are old, of a checkpoint that a prune could be removing.
    let _prune_lock = store.lock_prune(holder)?;
    match latest(store)? {
        Some(found) if found != plan.latest => return Err(RestoreError::Moved { latest: found.sequence }),
        _ => {}
    }
    let sequence = plan.snapshot.committed.manifest.sequence;
    if !store.sequences()?.contains(&sequence) {
        return Err(StoreError::NoCheckpoint { place: store.place(), sequence }.into());
    }
    let objects = plan.snapshot.objects();
    progress.start(objects.iter().map(|object| object.bytes).sum());
    let outcomes = parallel::map_on(store.object_readers(), &objects, |object| {
        let outcome = store.object(*object).map(drop);
        progress.advance(object.bytes);
        outcome
    });
    outcomes.into_iter().collect::<Result<(), StoreError>>()?;
    let old: Vec<ObjectName> = objects.iter().map(|object| object.object).collect();
    store.take_over(&old)?;
    if let Some(positions) = &plan.positions {
        store.put(positions, ObjectKind::Parquet)?;
    }
    let objects = plan.manifest.objects(&plan.snapshot.index);
    let names: Vec<ObjectName> = objects.iter().map(|object| object.object).collect();
    Ok(store.commit(&plan.manifest, &names)?)
}

/// Returns the newest checkpoint by its directory, with the SHA-256 of its manifest as it is, damaged or not.
fn latest(store: &Store) -> Result<Option<Parent>, StoreError> {
    let Some(sequence) = store.sequences()?.pop() else { return Ok(None) };
    match store.manifest(sequence) {
        Ok(committed) => return Ok(Some(Parent { sequence, sha256: committed.sha256 })),
        Err(error) if error.is_inconclusive() => return Err(error),
        Err(_) => {}
    }
    // A replica that is behind does not have it.
    let read = |replica: &Replica| replica.get(&layout::manifest(sequence), Manifest::MAX_BYTES);
    let mut damaged = store.replicas().iter().map(read);
    let bytes = damaged.find(|read| !matches!(read, Err(error) if error.is_not_found()));
    let bytes = bytes.unwrap_or_else(|| read(&store.replicas()[0]))?;
    Ok(Some(Parent { sequence, sha256: Digest::of(&bytes) }))
}
