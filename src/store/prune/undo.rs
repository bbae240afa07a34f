//! Brings back what the last prune removed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::format::layout;
use crate::store::prune::PruneError;
use crate::store::prune::survey::Survey;
use crate::store::records::history::{EventCheckpoint, EventKind, NewEvent};
use crate::store::{Store, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// What will be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoPlan {
    /// When it was pruned.
    pub pruned: Timestamp,
    /// The checkpoints, ascending, each with the SHA-256 of its manifest.
    pub checkpoints: Vec<(Sequence, Digest)>,
}

/// Plans to bring back what the last prune removed, as far as it is there.
///
/// Fails with [`PruneError::NothingToUndo`] when none of it is, with [`PruneError::ObjectsGone`] when objects are gone, and
/// with [`StoreError::NumberTaken`] when there is another checkpoint of one of the numbers.
pub fn plan_undo(store: &Store, progress: &dyn Progress) -> Result<UndoPlan, PruneError> {
    let mut survey = Survey::list(store)?;
    let there: BTreeSet<Sequence> = survey.around.iter().flat_map(|around| around.pruned.iter().copied()).collect();
    let history = store.history()?;
    let mut pruned = history.events.iter().rev().filter(|event| event.event == EventKind::Pruned);
    let last = pruned.find(|event| event.checkpoints.iter().any(|checkpoint| there.contains(&checkpoint.sequence)));
    let Some(time) = last.map(|event| event.time) else {
        return Err(PruneError::NothingToUndo { place: store.place() });
    };
    // A prune of many checkpoints is several events of one time.
    let events = history.events.iter().filter(|event| event.event == EventKind::Pruned && event.time == time);
    let of_events = events.flat_map(|event| event.checkpoints.iter().map(|checkpoint| checkpoint.sequence));
    let sequences: BTreeSet<Sequence> = of_events.filter(|sequence| there.contains(sequence)).collect();
    let live: BTreeSet<Sequence> = survey.around.iter().flat_map(|around| around.live.iter().copied()).collect();
    let sequences: Vec<Sequence> = sequences.into_iter().collect();
    progress.start(sequences.len() as u64);
    let read = survey.checkpoints(store, &sequences, layout::pruned_dir, progress)?;
    for pruned in read.iter().filter(|pruned| live.contains(&pruned.sequence)) {
        // An undo that was stopped has brought it back in some replicas.
        if !store.manifest(pruned.sequence).is_ok_and(|live| live.sha256 == pruned.sha256) {
            return Err(StoreError::NumberTaken { sequence: pruned.sequence }.into());
        }
    }
    if let Some(torn) = read.iter().find(|checkpoint| !checkpoint.is_whole) {
        let missing = torn.needs.iter().filter(|&&number| !survey.objects.is_there[number as usize]).count() as u64;
        return Err(PruneError::ObjectsGone { sequence: torn.sequence, missing });
    }
    Ok(UndoPlan { pruned: time, checkpoints: read.iter().map(|read| (read.sequence, read.sha256)).collect() })
}

/// Brings back what `plan` says, at `now`. `holder` says who does.
///
/// Fails with [`PruneError::Moved`] when the plan no longer fits the store. When it is stopped, the next one goes on.
pub fn apply_undo(
    store: &Store,
    plan: &UndoPlan,
    holder: &str,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<(), PruneError> {
    let _lock = store.lock_prune(holder)?;
    if plan_undo(store, progress)? != *plan {
        return Err(PruneError::Moved { reason: "somebody else pruned it".to_owned() });
    }
    for storage in &store.replicas {
        for &(sequence, _) in &plan.checkpoints {
            let pruned = layout::pruned_dir(sequence);
            match storage.rename(&pruned, &layout::checkpoint_dir(sequence)) {
                Err(error) if error.is_not_found() => {}
                // A power failure has left both names of the same checkpoint.
                Err(error) if error.is_exists() => storage.delete_dir(&pruned).and_then(|()| storage.sync())?,
                renamed => renamed?,
            }
        }
    }
    // Afterwards: until it is there, only the history explains why it is not.
    let entry = |&(sequence, sha256): &(Sequence, Digest)| EventCheckpoint { sequence, sha256, time: None };
    let event = NewEvent {
        time: now,
        kind: EventKind::Undone,
        policy: None,
        checkpoints: plan.checkpoints.iter().map(entry).collect(),
        files: None,
        bytes: 0,
    };
    match store.record(&event) {
        // What is there explains itself.
        Err(StoreError::Storage(error)) if error.is_full() => {}
        recorded => recorded?,
    }
    Ok(())
}
