//! `ckpt copy`: copies checkpoints into another copy of the store, unchanged.
//!
//! Checkpoints are copied one after another by number, each with its objects first. Whatever stops the copy leaves the
//! target intact, and the next one continues.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::ops::read::{ReadError, Snapshot};
use crate::storage::place;
use crate::storage::{Storage, TEMPORARY_PREFIX};
use crate::store::enclosing::outer_store;
use crate::store::records::history::{EventKind, NewEvent};
use crate::store::records::pins::Pin;
use crate::store::{Committed, Replica, Store, StoreError, forks};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::url::is_url;

/// Checkpoints whose tables are in memory at once.
const SNAPSHOTS_AT_ONCE: usize = 256;

/// Why nothing, or nothing more, could be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target store could not be read or written.
    #[error("cannot copy to `{place}`")]
    Target { place: String, source: Box<StoreError> },
    /// The system refuses to read the source, which may be intact.
    #[error(transparent)]
    Source(ReadError),
    /// The source's replicas diverged, or it is unknown whether they or the target did.
    #[error(transparent)]
    SourceDiverged(Box<StoreError>),
    /// The target is another store.
    #[error("`{place}` is not a copy of this store: its {field} is {found}, expected {expected}")]
    OtherStore {
        place: String,
        /// `store` or `job`.
        field: &'static str,
        expected: String,
        found: String,
    },
    /// The target is inside of a store.
    #[error("`{}` is in the store `{}`", .path.display(), .store.display())]
    InStore { path: PathBuf, store: PathBuf },
    #[error("`{}` is not a directory", .path.display())]
    NotADirectory { path: PathBuf },
    /// The target holds something else.
    #[error("`{place}` is neither a store nor empty: it holds `{name}`")]
    Taken {
        place: String,
        /// Something in the directory.
        name: String,
    },
    /// The source and the target diverged, or have different checkpoints with the same number.
    #[error("checkpoint {} differs in `{place}`: its manifest has SHA-256 {found}, expected {expected}", .sequence.0)]
    Diverged {
        sequence: Sequence,
        place: String,
        /// The SHA-256 of the manifest in the source.
        expected: Digest,
        /// The SHA-256 of the manifest in the target.
        found: Digest,
    },
}

/// What is done with one checkpoint.
#[derive(Debug)]
pub enum Step {
    /// The target does not have it: it is copied, with its missing objects.
    Copy {
        committed: Box<Committed>,
        /// Objects that are neither in the target nor copied with an earlier checkpoint.
        missing_objects: u64,
        /// The total size of these objects.
        missing_bytes: u64,
    },
    /// The target has the same checkpoint.
    Present,
    /// It is damaged in the source, so it is left out.
    Unreadable(ReadError),
}

/// A copy that has not been applied.
#[derive(Debug)]
pub struct CopyPlan {
    pub target: Arc<dyn Storage>,
    /// The store at the target; nothing if it is to be created.
    pub existing: Option<Store>,
    /// What is done with each checkpoint, ascending.
    pub steps: BTreeMap<Sequence, Step>,
    /// The pins of these checkpoints that the target does not have, ascending.
    pub pins: Vec<Pin>,
    /// The needed objects that committed checkpoints in the target have already.
    there: HashSet<ObjectName>,
}

impl CopyPlan {
    /// Returns how many checkpoints, objects and bytes are to be copied.
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
    /// Ascending.
    pub checkpoints: Vec<Sequence>,
    /// How many objects were written.
    pub objects: u64,
    /// The total size of these objects.
    pub bytes: u64,
    /// The checkpoints that were pinned, ascending.
    pub pins: Vec<Sequence>,
    /// Checkpoints that were left out because they are damaged, ascending.
    pub unreadable: BTreeMap<Sequence, ReadError>,
    /// Checkpoints that were pruned in the source before they were copied, ascending.
    pub removed: Vec<Sequence>,
}

/// Returns the storage in the directory `path`, which need not exist.
///
/// Fails with [`CopyError::InStore`] if it is inside of another store, and with [`CopyError::NotADirectory`] if it, or
/// something on the way to it, is another kind of file.
pub fn target(path: &Path) -> Result<Arc<dyn Storage>, CopyError> {
    if is_url(path) {
        return Ok(place::open(path));
    }
    if let Some(store) = outer_store(path) {
        return Err(CopyError::InStore { path: path.to_owned(), store });
    }
    match path.ancestors().find(|above| above.exists()).filter(|above| !above.is_dir()) {
        Some(file) => Err(CopyError::NotADirectory { path: file.to_owned() }),
        None => Ok(place::open(path)),
    }
}

/// Plans to copy the checkpoints `sequences` of `source` to the store at `target`, or to a new store there.
///
/// Writes nothing. Checkpoints that are pruned in the source meanwhile get no step. Fails with [`CopyError::Diverged`] if another checkpoint has one of the numbers, or one of the
/// checkpoints comes after the point where the target and the source diverged, and with [`CopyError::Source`] if
/// the system refuses to read a checkpoint.
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
    check_undivided(source, existing.as_ref(), &sequences)?;
    let mut steps = BTreeMap::new();
    let mut needed: Vec<(Committed, Vec<ObjectRef>)> = Vec::new();
    for batch in sequences.chunks(SNAPSHOTS_AT_ONCE) {
        let looked = parallel::map_on(source.readers(), batch, |&sequence| {
            match existing.as_ref().filter(|_| taken.contains(&sequence)) {
                Some(store) => Ok(compare(source, store, sequence)?.map(Looked::Done)),
                None => match Snapshot::open(source, sequence) {
                    Ok(snapshot) => Ok(Some(Looked::Needed(snapshot.objects(), Box::new(snapshot.committed)))),
                    Err(error) => Ok(left_out(error)?.map(Looked::Done)),
                },
            }
        });
        for (&sequence, looked) in batch.iter().zip(looked) {
            match looked? {
                Some(Looked::Done(step)) => drop(steps.insert(sequence, step)),
                Some(Looked::Needed(objects, committed)) => needed.push((*committed, objects)),
                None => {}
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
    let pins = missing_pins(source, existing.as_ref(), &steps)?;
    Ok(CopyPlan { target, existing, steps, pins, there })
}

/// Returns the pins of the source that a copy should have and does not.
fn missing_pins(
    source: &Store,
    existing: Option<&Store>,
    steps: &BTreeMap<Sequence, Step>,
) -> Result<Vec<Pin>, CopyError> {
    let failed = |store: &Store, error| CopyError::Target { place: store.place(), source: Box::new(error) };
    let known = match existing {
        None => BTreeMap::new(),
        Some(store) => store.pins().map_err(|error| failed(store, error))?,
    };
    let mut pins = source.pins().map_err(|error| CopyError::Source(error.into()))?;
    let is_there = |sequence: &Sequence| matches!(steps.get(sequence), Some(Step::Copy { .. } | Step::Present));
    pins.retain(|sequence, _| is_there(sequence) && !known.contains_key(sequence));
    Ok(pins.into_values().collect())
}

/// What is known about one checkpoint.
enum Looked {
    Done(Step),
    Needed(Vec<ObjectRef>, Box<Committed>),
}

/// Opens the store at `target`, if there is one, and checks that it is a copy of `source`.
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

/// Checks that none of `sequences` belongs to one branch of a fork: between replicas of the source, or between them and
/// the target.
fn check_undivided(source: &Store, target: Option<&Store>, sequences: &[Sequence]) -> Result<(), CopyError> {
    let replicas: Vec<Replica> =
        source.replicas().iter().chain(target.into_iter().flat_map(Store::replicas)).cloned().collect();
    let forks = forks(&source.file, &replicas).map_err(|(_, error)| CopyError::SourceDiverged(Box::new(error)))?;
    let Some(fork) = forks.into_iter().find(|fork| sequences.iter().any(|&sequence| fork.divides(sequence))) else {
        return Ok(());
    };
    let [theirs, other] = &fork.branches;
    match (fork.sequence, theirs.sha256, other.sha256) {
        (Some(sequence), Some(expected), Some(found)) if target.is_some_and(|target| target.place() == other.place) => {
            Err(CopyError::Diverged { sequence, place: other.place.clone(), expected, found })
        }
        _ => Err(CopyError::SourceDiverged(Box::new(fork.error()))),
    }
}

/// Compares a checkpoint with the one in the target that has the same number. Returns nothing if it was pruned in the
/// source meanwhile.
fn compare(source: &Store, target: &Store, sequence: Sequence) -> Result<Option<Step>, CopyError> {
    let there = target
        .manifest(sequence)
        .map_err(|error| CopyError::Target { place: target.place(), source: Box::new(error) })?;
    match source.manifest(sequence) {
        Err(error) => left_out(error.into()),
        Ok(here) if here.sha256 == there.sha256 => Ok(Some(Step::Present)),
        Ok(here) => {
            Err(CopyError::Diverged { sequence, place: target.place(), expected: here.sha256, found: there.sha256 })
        }
    }
}

/// Leaves out a checkpoint that is damaged in the source, and passes over one that was pruned there meanwhile. One that
/// could not be read stops the copy.
fn left_out(error: ReadError) -> Result<Option<Step>, CopyError> {
    match error {
        error if error.is_inconclusive() => Err(CopyError::Source(error)),
        error if error.is_removed() => Ok(None),
        error => Ok(Some(Step::Unreadable(error))),
    }
}

/// Returns those of `wanted` that a committed checkpoint of `target` needs, and that exist with their size.
///
/// An object that no checkpoint needs may be left from an interrupted copy that was not flushed, so it is written
/// again.
fn vouched(
    target: &Store,
    mut sequences: Vec<Sequence>,
    wanted: &BTreeMap<ObjectName, u64>,
) -> Result<HashSet<ObjectName>, StoreError> {
    // The newest checkpoints have most of the wanted objects.
    sequences.sort_unstable_by(|a, b| b.cmp(a));
    let mut named = HashSet::new();
    for batch in sequences.chunks(SNAPSHOTS_AT_ONCE) {
        if named.len() == wanted.len() {
            break;
        }
        let snapshots = parallel::map_on(target.readers(), batch, |&sequence| {
            Snapshot::open(target, sequence).map(|read| read.objects())
        });
        let objects = snapshots.into_iter().flatten().flatten().map(|object| object.object);
        named.extend(objects.filter(|object| wanted.contains_key(object)));
    }
    let named: Vec<ObjectName> = named.into_iter().collect();
    let sizes = parallel::map_on(target.readers(), &named, |object| target.replicas()[0].size(&object.path()));
    let mut there = HashSet::new();
    for (object, size) in named.into_iter().zip(sizes) {
        match size {
            Ok(bytes) if wanted.get(&object) == Some(&bytes) => drop(there.insert(object)),
            Err(error) if error.is_refusal() => return Err(error.into()),
            // Missing or cut short: it is written again.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(there)
}

/// Copies what `plan` says, at `now`. `holder` says who locks the target.
///
/// Every byte is verified on its way. A checkpoint that turns out to be damaged in the source, or is pruned there
/// meanwhile, is left out, and the others are copied. `progress` counts bytes. If it is stopped, the target has some of the checkpoints, each of them
/// intact.
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
    if plan.totals().0 == 0 && plan.pins.is_empty() {
        // A copy that was killed at its very end may have left names that are not flushed.
        plan.existing.as_ref().map_or(Ok(()), Store::flush_checkpoints).map_err(failed)?;
        return Ok(copied);
    }
    let mut target = match &plan.existing {
        Some(store) => store.clone(),
        None => Store::create(vec![Arc::clone(&plan.target)], source.file.clone()).map_err(failed)?,
    };
    target.patience = source.patience;
    let _lock = target.lock(holder).map_err(failed)?;
    // The copy relies on existing objects: they must not be pruned before the checkpoints that need them are
    // committed.
    let _prune_lock = target.lock_prune(holder).map_err(failed)?;
    // A run may have committed to the target since the plan was made.
    let is_copy = |(&sequence, step)| matches!(step, &Step::Copy { .. }).then_some(sequence);
    let sequences: Vec<Sequence> = plan.steps.iter().filter_map(is_copy).collect();
    check_undivided(source, Some(&target), &sequences)?;
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
            Err(Failure::Read(error)) if error.is_inconclusive() => return Err(CopyError::Source(error)),
            Err(Failure::Read(error)) if error.is_removed() => copied.removed.push(sequence),
            Err(Failure::Read(error)) => drop(copied.unreadable.insert(sequence, error)),
            Err(Failure::Write(error)) => return Err(failed(error)),
            Err(Failure::Taken) => {
                // Another process copied it, or it is another checkpoint.
                if let Some(Step::Unreadable(error)) = compare(source, &target, sequence)? {
                    copied.unreadable.insert(sequence, error);
                }
            }
        }
    }
    for pin in &plan.pins {
        let existing = target.sequences().map_err(failed)?;
        if existing.binary_search(&pin.sequence).is_ok() {
            target.pin(pin.sequence, pin.reason.as_deref(), pin.created.unwrap_or(now)).map_err(failed)?;
            copied.pins.push(pin.sequence);
        }
    }
    Ok(copied)
}

/// Returns those of `objects` that were not pruned since the plan was made.
fn still_there(target: &Store, objects: &HashSet<ObjectName>) -> Result<HashSet<ObjectName>, StoreError> {
    let objects: Vec<ObjectName> = objects.iter().copied().collect();
    let sizes = parallel::map_on(target.readers(), &objects, |object| target.replicas()[0].size(&object.path()));
    let mut there = HashSet::new();
    for (object, size) in objects.into_iter().zip(sizes) {
        match size {
            Ok(_) => drop(there.insert(object)),
            Err(error) if error.is_refusal() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(there)
}

/// Records in the history of the target that the parent of a checkpoint is left out, so that it is not taken for lost.
fn note_parent(target: &Store, committed: &Committed, now: Timestamp) -> Result<(), StoreError> {
    let Some(parent) = committed.manifest.parent else { return Ok(()) };
    if target.sequences()?.binary_search(&parent.sequence).is_ok()
        || target.history()?.departures().of(parent.sequence).is_some()
    {
        return Ok(());
    }
    target.record(&NewEvent::of_checkpoints(now, EventKind::LeftOut, [(parent.sequence, parent.sha256)]))
}

/// Why a checkpoint was not copied.
enum Failure {
    Read(ReadError),
    Write(StoreError),
    Taken,
}

/// Copies one checkpoint. Returns the number and the total size of the objects that were written.
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
    let written = parallel::map_on(source.object_readers().max(target.object_readers()), &missing, |&object| {
        let bytes = source.object_of(sequence, object).map_err(read)?;
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
        Err(error) if error.is_taken() => return Err(Failure::Taken),
        Err(error) => return Err(Failure::Write(error)),
    }
    there.extend(names);
    Ok(new)
}
