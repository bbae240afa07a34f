//! Applies a copy.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::ops::copy::compare::{check_undivided, compare};
use crate::ops::copy::error::CopyError;
use crate::ops::copy::plan::{CopyPlan, Step};
use crate::ops::read::{ReadError, Snapshot};
use crate::store::records::history::{EventKind, NewEvent};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;

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
