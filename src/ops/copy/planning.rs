//! Plans a copy.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::ops::copy::compare::{check_undivided, compare, left_out};
use crate::ops::copy::error::CopyError;
use crate::ops::copy::plan::{CopyPlan, Step};
use crate::ops::read::Snapshot;
use crate::storage::place;
use crate::storage::{Entry, EntryKind, Storage, TEMPORARY_PREFIX};
use crate::store::enclosing::outer_store;
use crate::store::records::pins::Pin;
use crate::store::{Committed, LOST_AND_FOUND, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::url::is_url;

/// Checkpoints whose tables are in memory at once.
const SNAPSHOTS_AT_ONCE: usize = 256;

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
/// the system refuses to read a checkpoint, or if there is none to copy because they were lost.
pub fn plan(source: &Store, sequences: &[Sequence], target: Arc<dyn Storage>) -> Result<CopyPlan, CopyError> {
    if sequences.is_empty() {
        source.check_not_lost().map_err(|error| CopyError::Source(error.into()))?;
    }
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
            let is_own = |entry: &Entry| {
                let is_of_mount = entry.name == LOST_AND_FOUND && entry.kind == EntryKind::Directory;
                is_of_mount || entry.name.starts_with(TEMPORARY_PREFIX)
            };
            let foreign = entries.into_iter().find(|entry| !is_own(entry));
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
