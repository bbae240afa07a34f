//! `ckpt copy`: brings checkpoints into another copy of the store, as they are.
//!
//! Checkpoints are copied one after another by their numbers, each with its objects first, so that whatever stops the work leaves
//! the copy whole, and the next one goes on from there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::ops::read::{ReadError, Snapshot};
use crate::storage::{Storage, StorageError, TEMPORARY_PREFIX};
use crate::store::records::history::{EventCheckpoint, EventKind, NewEvent};
use crate::store::{Committed, Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;

/// Checkpoints whose tables are in memory at once.
const SNAPSHOTS_AT_ONCE: usize = 256;

/// Why nothing, or no more, could be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store that is copied to could not be read or written.
    #[error("cannot copy to `{place}`")]
    Target {
        /// The store.
        place: String,
        /// What happened.
        source: Box<StoreError>,
    },
    /// What is to be copied to is a store of its own.
    #[error("`{place}` is no copy of this store: its {field} is {found}, expected {expected}")]
    OtherStore {
        /// The store that is copied to.
        place: String,
        /// `store` or `job`.
        field: &'static str,
        /// What the store that is copied from says.
        expected: String,
        /// What the other says.
        found: String,
    },
    /// What is to be copied to holds something else.
    #[error("`{place}` is neither a store nor empty: it holds `{name}`")]
    Taken {
        /// The directory.
        place: String,
        /// Something in it.
        name: String,
    },
    /// Both have a checkpoint of this number, and these are not the same.
    #[error("checkpoint {} is another one in `{place}`: its manifest has SHA-256 {found}, expected {expected}", .sequence.0)]
    Diverged {
        /// The number.
        sequence: Sequence,
        /// The store that is copied to.
        place: String,
        /// The SHA-256 of the manifest that was to be copied.
        expected: Digest,
        /// The SHA-256 of the manifest that is there.
        found: Digest,
    },
}

/// What is to be done with one checkpoint.
#[derive(Debug)]
pub enum Step {
    /// It is not there: it is copied, with the objects that are not there either.
    Copy {
        /// The checkpoint.
        committed: Box<Committed>,
        /// The objects that neither the copy nor a checkpoint before this one has.
        missing_objects: u64,
        /// Their sizes, in bytes.
        missing_bytes: u64,
    },
    /// The same checkpoint is there.
    Present,
    /// It can not be read where it is, and is left out.
    Unreadable(ReadError),
}

/// A copy that has not been made.
#[derive(Debug)]
pub struct CopyPlan {
    /// The storage that is copied to.
    pub target: Arc<dyn Storage>,
    /// The store that is there; nothing when it is to be created.
    pub existing: Option<Store>,
    /// What is to be done with each checkpoint, ascending.
    pub steps: BTreeMap<Sequence, Step>,
    /// The objects of committed checkpoints that are there already, of those that are needed.
    there: HashSet<ObjectName>,
}

impl CopyPlan {
    /// Returns the number of checkpoints, of objects and of bytes to copy.
    pub fn totals(&self) -> (u64, u64, u64) {
        self.steps.values().fold((0, 0, 0), |totals, step| match step {
            Step::Copy { missing_objects, missing_bytes, .. } => {
                (totals.0 + 1, totals.1 + missing_objects, totals.2 + missing_bytes)
            }
            Step::Present | Step::Unreadable(_) => totals,
        })
    }
}

/// What was copied.
#[derive(Debug, Default)]
pub struct Copied {
    /// The checkpoints, ascending.
    pub checkpoints: Vec<Sequence>,
    /// The objects that were written.
    pub objects: u64,
    /// Their sizes, in bytes.
    pub bytes: u64,
    /// The checkpoints that were left out, because they could not be read, ascending.
    pub unreadable: BTreeMap<Sequence, ReadError>,
}

/// Plans to copy the checkpoints `sequences` of `source` to the store at `target`, or to a new one there.
///
/// Writes nothing. Fails with [`CopyError::Diverged`] when one of the numbers is taken by another checkpoint.
pub fn plan(source: &Store, sequences: &[Sequence], target: Arc<dyn Storage>) -> Result<CopyPlan, CopyError> {
    let existing = open(source, &target)?;
    let failed = |error: StoreError| CopyError::Target { place: target.place(), source: Box::new(error) };
    let taken: HashSet<Sequence> = match &existing {
        None => HashSet::new(),
        Some(store) => store.sequences().map_err(failed)?.into_iter().collect(),
    };
    let mut sequences = sequences.to_vec();
    sequences.sort_unstable();
    sequences.dedup();
    let mut steps = BTreeMap::new();
    let mut needed: Vec<(Committed, Vec<ObjectRef>)> = Vec::new();
    for batch in sequences.chunks(SNAPSHOTS_AT_ONCE) {
        let looked = parallel::map(batch, |&sequence| match existing.as_ref().filter(|_| taken.contains(&sequence)) {
            Some(store) => compare(source, store, sequence).map(Looked::Done),
            None => Ok(match Snapshot::open(source, sequence) {
                Ok(snapshot) => Looked::Needed(snapshot.objects(), Box::new(snapshot.committed)),
                Err(error) => Looked::Done(Step::Unreadable(error)),
            }),
        });
        for (&sequence, looked) in batch.iter().zip(looked) {
            match looked? {
                Looked::Done(step) => drop(steps.insert(sequence, step)),
                Looked::Needed(objects, committed) => needed.push((*committed, objects)),
            }
        }
    }
    let mut there = HashSet::new();
    if let (Some(store), false) = (&existing, needed.is_empty()) {
        let wanted: BTreeMap<ObjectName, u64> =
            needed.iter().flat_map(|(_, objects)| objects).map(|object| (object.object, object.bytes)).collect();
        there = vouched(store, taken.into_iter().collect(), &wanted).map_err(failed)?;
    }
    let mut planned = there.clone();
    for (committed, objects) in needed {
        let missing = objects.iter().filter(|object| planned.insert(object.object));
        let (missing_objects, missing_bytes) =
            missing.fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.bytes));
        let sequence = committed.manifest.sequence;
        steps.insert(sequence, Step::Copy { committed: Box::new(committed), missing_objects, missing_bytes });
    }
    Ok(CopyPlan { target, existing, steps, there })
}

/// What a look at one checkpoint gave.
enum Looked {
    Done(Step),
    Needed(Vec<ObjectRef>, Box<Committed>),
}

/// Opens the store at `target` if there is one, and makes sure that it is a copy of `source`.
fn open(source: &Store, target: &Arc<dyn Storage>) -> Result<Option<Store>, CopyError> {
    let place = target.place();
    let failed = |error: StoreError| CopyError::Target { place: target.place(), source: Box::new(error) };
    let store = match Store::open(vec![Arc::clone(target)]) {
        Err(StoreError::NoStore { .. }) => {
            let entries = target.list(None).map_err(|error| failed(error.into()))?;
            let foreign = entries.into_iter().find(|entry| !entry.name.starts_with(TEMPORARY_PREFIX));
            return foreign.map_or(Ok(None), |entry| Err(CopyError::Taken { place, name: entry.name }));
        }
        opened => opened.map_err(failed)?,
    };
    let (here, other) = (&source.file, &store.file);
    for (field, expected, found) in
        [("store", here.store.as_str(), other.store.as_str()), ("job", &here.job, &other.job)]
    {
        if expected != found {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            return Err(CopyError::OtherStore { place, field, expected, found });
        }
    }
    Ok(Some(store))
}

/// Compares a checkpoint with the one of the same number in the copy.
fn compare(source: &Store, target: &Store, sequence: Sequence) -> Result<Step, CopyError> {
    let there = target
        .manifest(sequence)
        .map_err(|error| CopyError::Target { place: target.place(), source: Box::new(error) })?;
    match source.manifest(sequence) {
        Err(error) => Ok(Step::Unreadable(error.into())),
        Ok(here) if here.sha256 == there.sha256 => Ok(Step::Present),
        Ok(here) => {
            Err(CopyError::Diverged { sequence, place: target.place(), expected: here.sha256, found: there.sha256 })
        }
    }
}

/// Returns those of `wanted` that a committed checkpoint of `target` needs, and that are there with their size.
///
/// What is there and nobody needs may be left from a copy that was cut short before it was flushed: it is put again.
fn vouched(
    target: &Store,
    mut sequences: Vec<Sequence>,
    wanted: &BTreeMap<ObjectName, u64>,
) -> Result<HashSet<ObjectName>, StoreError> {
    // The newest have most of what is wanted.
    sequences.sort_unstable_by(|a, b| b.cmp(a));
    let mut named = HashSet::new();
    for batch in sequences.chunks(SNAPSHOTS_AT_ONCE) {
        if named.len() == wanted.len() {
            break;
        }
        let snapshots = parallel::map(batch, |&sequence| Snapshot::open(target, sequence).map(|read| read.objects()));
        let objects = snapshots.into_iter().flatten().flatten().map(|object| object.object);
        named.extend(objects.filter(|object| wanted.contains_key(object)));
    }
    let named: Vec<ObjectName> = named.into_iter().collect();
    let sizes = parallel::map(&named, |object| target.replicas[0].size(&object.path()));
    let mut there = HashSet::new();
    for (object, size) in named.into_iter().zip(sizes) {
        match size {
            Ok(bytes) if wanted.get(&object) == Some(&bytes) => drop(there.insert(object)),
            Err(error @ StorageError::Io { .. }) => return Err(error.into()),
            // Missing, or cut short: it is put again.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(there)
}

/// Copies what `plan` says, at `now`. `holder` says who has the copy for writing.
///
/// Every byte is verified on its way. A checkpoint that turns out to be damaged where it is read is left out, and the others are
/// copied. `progress` is told of bytes. Stopped anywhere, the copy holds some of the checkpoints, each whole.
pub fn apply(
    source: &Store,
    plan: &CopyPlan,
    now: Timestamp,
    holder: &str,
    progress: &dyn Progress,
) -> Result<Copied, CopyError> {
    let failed = |error: StoreError| CopyError::Target { place: plan.target.place(), source: Box::new(error) };
    progress.start(plan.totals().2);
    let mut copied = Copied::default();
    if plan.totals().0 == 0 {
        // A copy that was killed at its very end may have left names that are not flushed.
        plan.existing.as_ref().map_or(Ok(()), Store::settle).map_err(failed)?;
        return Ok(copied);
    }
    let target = match &plan.existing {
        Some(store) => store.clone(),
        None => Store::create(vec![Arc::clone(&plan.target)], source.file.clone()).map_err(failed)?,
    };
    let _lock = target.lock(holder).map_err(failed)?;
    // Objects that are there are relied on: nobody may prune them before the checkpoints that need them are committed.
    let _prune_lock = target.lock_prune(holder).map_err(failed)?;
    let mut there = still_there(&target, &plan.there).map_err(failed)?;
    for (&sequence, step) in &plan.steps {
        let Step::Copy { committed, .. } = step else { continue };
        note_parent(&target, committed, now).map_err(failed)?;
        match copy_one(source, &target, committed, &mut there, progress) {
            Ok((objects, bytes)) => {
                copied.checkpoints.push(sequence);
                copied.objects += objects;
                copied.bytes += bytes;
            }
            Err(Failure::Read(error)) => drop(copied.unreadable.insert(sequence, error)),
            Err(Failure::Write(error)) => return Err(failed(error)),
            Err(Failure::Taken) => {
                // Somebody else has copied it, or it is another one.
                if let Step::Unreadable(error) = compare(source, &target, sequence)? {
                    copied.unreadable.insert(sequence, error);
                }
            }
        }
    }
    Ok(copied)
}

/// Returns those of `objects` that were not pruned since the plan was made.
fn still_there(target: &Store, objects: &HashSet<ObjectName>) -> Result<HashSet<ObjectName>, StoreError> {
    let objects: Vec<ObjectName> = objects.iter().copied().collect();
    let sizes = parallel::map(&objects, |object| target.replicas[0].size(&object.path()));
    let mut there = HashSet::new();
    for (object, size) in objects.into_iter().zip(sizes) {
        match size {
            Ok(_) => drop(there.insert(object)),
            Err(error @ StorageError::Io { .. }) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(there)
}

/// Notes in the history of the copy that the parent of a checkpoint is left out, so that nobody takes it for lost.
fn note_parent(target: &Store, committed: &Committed, now: Timestamp) -> Result<(), StoreError> {
    let Some(parent) = committed.manifest.parent else { return Ok(()) };
    if target.sequences()?.binary_search(&parent.sequence).is_ok()
        || target.history()?.departures().of(parent.sequence).is_some()
    {
        return Ok(());
    }
    let left_out = EventCheckpoint { sequence: parent.sequence, sha256: parent.sha256, time: None };
    target.record(&NewEvent {
        time: now,
        kind: EventKind::LeftOut,
        policy: None,
        checkpoints: vec![left_out],
        files: None,
        bytes: 0,
    })
}

/// Why a checkpoint was not copied.
enum Failure {
    Read(ReadError),
    Write(StoreError),
    Taken,
}

/// Copies one checkpoint. Returns the number and the bytes of the objects that were written.
fn copy_one(
    source: &Store,
    target: &Store,
    committed: &Committed,
    there: &mut HashSet<ObjectName>,
    progress: &dyn Progress,
) -> Result<(u64, u64), Failure> {
    let read = |error: StoreError| Failure::Read(error.into());
    let sequence = committed.manifest.sequence;
    let manifest = source.manifest_bytes(committed).map_err(read)?;
    let objects = Snapshot::of(source, committed.clone()).map_err(Failure::Read)?.objects();
    let missing: Vec<ObjectRef> = objects.iter().copied().filter(|object| !there.contains(&object.object)).collect();
    let written = parallel::map(&missing, |&object| {
        let bytes = source.object(object).map_err(read)?;
        let put = target.put(&bytes, object.object.kind).map_err(Failure::Write)?;
        progress.advance(object.bytes);
        Ok(put.new)
    });
    let mut new = (0, 0);
    for (object, written) in missing.iter().zip(written) {
        if written? {
            new = (new.0 + 1, new.1 + object.bytes);
        }
    }
    let names: Vec<ObjectName> = objects.iter().map(|object| object.object).collect();
    match target.adopt(sequence, &manifest, &names) {
        Ok(_) => {}
        Err(StoreError::NumberTaken { .. }) => return Err(Failure::Taken),
        Err(error) => return Err(Failure::Write(error)),
    }
    there.extend(names);
    Ok(new)
}
