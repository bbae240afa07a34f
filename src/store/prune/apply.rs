//! Does what a plan says, in the order that the module above explains.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::format::layout::{ObjectName, PRUNED};
use crate::store::prune::error::PruneError;
use crate::store::prune::plan::{Plan, PrunedEarlier};
use crate::store::prune::replica_plan::ReplicaPlan;
use crate::store::prune::survey::objects_of;
use crate::store::prune::sweep::{Outcome, Sweep, Writers};
use crate::store::store::Store;
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// Does what `plan` says. `holder` says who does it, for messages of processes that wait; `progress` counts objects.
///
/// Fails with [`PruneError::Moved`], before anything is changed, if the plan no longer fits the store. Checkpoints that
/// were committed meanwhile are kept. If it is stopped, by an error or otherwise, the next prune finishes it.
pub fn apply(store: &Store, plan: &Plan, holder: &str, progress: &dyn Progress) -> Result<Outcome, PruneError> {
    apply_beside(store, plan, holder, Writers::Unknown, progress)
}

/// Does the same as [`apply`] for a caller that knows who writes: if nobody does, files as new as the latest checkpoint
/// are deleted too.
pub fn apply_beside(
    store: &Store,
    plan: &Plan,
    holder: &str,
    writers: Writers,
    progress: &dyn Progress,
) -> Result<Outcome, PruneError> {
    let _lock = store.lock_prune(holder)?;
    let newer = check(store, plan)?;
    let mut sweep = Sweep { store, plan, holder, writers, progress, newer, outcome: Outcome::default() };
    let objects = |objects: fn(&ReplicaPlan) -> &BTreeMap<ObjectName, u64>| -> u64 {
        plan.replicas.iter().map(|replica| objects(replica).len() as u64).sum()
    };
    let at_once = if plan.has_grace() { 0 } else { objects(|replica| &replica.removed_objects) };
    progress.start(at_once + objects(|replica| &replica.leftover_objects));

    sweep.delete_due()?;
    if plan.removed().next().is_some() || plan.pruned.iter().any(PrunedEarlier::is_unrecorded) {
        sweep.remove_checkpoints()?;
    }
    let named: BTreeSet<Sequence> = plan
        .parents
        .iter()
        .copied()
        .chain(plan.pruned.iter().map(|earlier| earlier.sequence))
        .chain(plan.removed().map(|checkpoint| checkpoint.sequence))
        .collect();
    match store.fold_history(&named, plan.now) {
        Err(error) if error.is_full() => {}
        folded => folded?,
    }
    Ok(sweep.outcome)
}

/// Checks that the plan still fits the store, and returns the objects of checkpoints that were committed since.
fn check(store: &Store, plan: &Plan) -> Result<HashSet<ObjectName>, PruneError> {
    let moved = |reason: String| Err(PruneError::Moved { reason });
    store.check_undivided()?;
    let planned: BTreeSet<Sequence> = plan.checkpoints.iter().map(|checkpoint| checkpoint.sequence).collect();
    let existing: BTreeSet<Sequence> = store.sequences()?.into_iter().collect();
    if let Some(gone) = planned.difference(&existing).next() {
        return moved(format!("checkpoint {} is gone", gone.0));
    }
    let newer: Vec<Sequence> = existing.difference(&planned).copied().collect();
    if let (Some(first), Some(latest)) = (newer.first(), planned.last())
        && first < latest
    {
        return moved(format!("checkpoint {} is back", first.0));
    }
    let pins = store.pins()?;
    if let Some(pinned) = plan.removed().find(|checkpoint| pins.contains_key(&checkpoint.sequence)) {
        return moved(format!("checkpoint {} is pinned", pinned.sequence.0));
    }
    if let Some(newest) = newer.last().filter(|_| plan.removed().next().is_some())
        && store.manifest(*newest)?.manifest.restored_from.is_some()
    {
        return moved(format!("checkpoint {} is a rollback, which may need what was to be pruned", newest.0));
    }
    // Each replica by itself: what is deleted there was chosen by what it had.
    for index in store.sound() {
        let (replica, planned) = (&store.replicas[index], &plan.replicas[index]);
        let mut live = replica.sequences()?;
        live.retain(|sequence| newer.binary_search(sequence).is_err());
        if let Some(copied) = live.iter().find(|sequence| !planned.live.contains(sequence)) {
            return moved(format!("checkpoint {} was copied to `{}`", copied.0, replica.place()));
        }
        if live.len() < planned.live.len() || !replica.sequences_in(PRUNED)?.iter().eq(&planned.pruned) {
            return moved("another process pruned it".to_owned());
        }
    }
    objects_of(store, &newer)
}
