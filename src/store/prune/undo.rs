//! Brings back what the last prune removed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::format::layout;
use crate::store::error::StoreError;
use crate::store::prune::error::PruneError;
use crate::store::prune::moves::bring_back;
use crate::store::prune::survey::Survey;
use crate::store::records::history::{EventKind, NewEvent};
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// The checkpoints that will be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoPlan {
    /// When they were pruned.
    pub pruned: Timestamp,
    /// Ascending, each with the SHA-256 of its manifest.
    pub checkpoints: Vec<(Sequence, Digest)>,
}

/// Plans to bring back what the last prune removed, as far as it still exists.
///
/// Fails with [`PruneError::NothingToUndo`] if nothing of it exists, with [`PruneError::ObjectsGone`] if objects are
/// gone, with [`StoreError::NumberTaken`] if there is another checkpoint with one of the numbers, and with
/// [`StoreError::Diverged`] if replicas diverged.
pub fn plan_undo(store: &Store, progress: &dyn Progress) -> Result<UndoPlan, PruneError> {
    store.check_undivided()?;
    let mut survey = Survey::list(store)?;
    let waiting = survey.pruned();
    let history = store.history()?;
    let mut pruned = history.events.iter().rev().filter(|event| event.event == EventKind::Pruned);
    let last = pruned.find(|event| event.checkpoints.iter().any(|checkpoint| waiting.contains(&checkpoint.sequence)));
    let Some(time) = last.map(|event| event.time) else {
        return Err(PruneError::NothingToUndo { place: store.place() });
    };
    // A prune of many checkpoints is several events with the same time.
    let events = history.events.iter().filter(|event| event.event == EventKind::Pruned && event.time == time);
    let of_events = events.flat_map(|event| event.checkpoints.iter().map(|checkpoint| checkpoint.sequence));
    let sequences: BTreeSet<Sequence> = of_events.filter(|sequence| waiting.contains(sequence)).collect();
    let live = survey.live_sequences();
    let sequences: Vec<Sequence> = sequences.into_iter().collect();
    progress.start(sequences.len() as u64);
    let read = survey.checkpoints(store, &sequences, layout::pruned_dir, progress)?;
    for pruned in read.iter().filter(|pruned| live.contains(&pruned.sequence)) {
        // An undo that was stopped may have brought it back in some replicas.
        if !store.manifest(pruned.sequence).is_ok_and(|live| live.sha256 == pruned.sha256) {
            return Err(StoreError::NumberTaken { sequence: pruned.sequence }.into());
        }
    }
    if let Some(torn) = read.iter().find(|checkpoint| !checkpoint.is_whole) {
        let missing = torn.needs.iter().filter(|&&number| !survey.objects.exists[number as usize]).count() as u64;
        return Err(PruneError::ObjectsGone { sequence: torn.sequence, missing });
    }
    Ok(UndoPlan { pruned: time, checkpoints: read.iter().map(|read| (read.sequence, read.sha256)).collect() })
}

/// Makes durable what an undo that died has brought back, where [`plan_undo`] finds nothing else. `holder` says who
/// does it.
pub fn settle_undo(store: &Store, holder: &str) -> Result<(), PruneError> {
    // Taking the lock flushes the names that its previous holder may have left unflushed.
    store.lock_prune(holder)?;
    Ok(())
}

/// Brings back the checkpoints of `plan` at `now`. `holder` says who does it.
///
/// Fails with [`PruneError::Moved`] if the plan no longer fits the store. If it is stopped, the next one continues.
pub fn apply_undo(
    store: &Store,
    plan: &UndoPlan,
    holder: &str,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<(), PruneError> {
    let _lock = store.lock_prune(holder)?;
    if plan_undo(store, progress)? != *plan {
        return Err(PruneError::Moved { reason: "another process pruned it".to_owned() });
    }
    let event = NewEvent::of_checkpoints(now, EventKind::Undone, plan.checkpoints.iter().copied());
    let is_remote = store.is_remote();
    if is_remote {
        // A process that deletes them records that first as well: the first of the two events decides.
        store.record(&event)?;
        let sequences: Vec<Sequence> = plan.checkpoints.iter().map(|(sequence, _)| *sequence).collect();
        if let Some(&sequence) = store.history()?.overruled(&sequences, EventKind::Undone).first() {
            return Err(PruneError::ObjectsGone { sequence, missing: 1 });
        }
    }
    store.on_each_replica(|replica| {
        plan.checkpoints.iter().try_for_each(|&(sequence, _)| Ok(bring_back(replica, sequence)?))
    })?;
    store.complete(plan.checkpoints.iter().map(|&(sequence, _)| sequence))?;
    // Afterwards: until a checkpoint is back, only the history explains why it is missing.
    if is_remote {
        return Ok(());
    }
    match store.record(&event) {
        // An existing checkpoint needs no explanation.
        Err(error) if error.is_full() => {}
        recorded => recorded?,
    }
    Ok(())
}
