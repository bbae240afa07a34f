//! Removes checkpoints: records it, renames them away, and deletes those whose grace period is over.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, ObjectName, PRUNED, SUMS_FILE};
use crate::storage::{EntryKind, StorageError};
use crate::store::prune::error::PruneError;
use crate::store::prune::moves::{delete_directory, doom, doomed, hide};
use crate::store::prune::plan::Plan;
use crate::store::prune::replica_plan::ReplicaPlan;
use crate::store::prune::survey::objects_needed;
use crate::store::records::history::{EventKind, NewEvent};
use crate::store::replica::Replica;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;
use crate::values::relpath::RelPath;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Checkpoints that were pruned.
    pub checkpoints: u64,
    /// Checkpoints that were pruned before and were deleted now.
    pub expired: u64,
    /// Objects that were deleted, in all replicas.
    pub objects: u64,
    /// Temporary files and directories that were deleted, in all replicas.
    pub temporary: u64,
    /// Bytes that were freed, in all replicas.
    pub freed_bytes: u64,
    /// Objects and temporary files that were kept because a running job may need them.
    pub spared: u64,
    /// Strays in directories of deleted checkpoints, which keep these directories, each with its replica.
    pub left: Vec<String>,
}

/// Who may be writing to the store while it is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Possibly a run, which then has the store's lock.
    Unknown,
    /// Nobody: the caller has the store's lock and writes nothing until the prune is done.
    Nobody,
}

/// A prune in progress.
pub(super) struct Sweep<'a> {
    pub(super) store: &'a Store,
    pub(super) plan: &'a Plan,
    pub(super) holder: &'a str,
    pub(super) writers: Writers,
    pub(super) progress: &'a dyn Progress,
    /// The objects of checkpoints that were committed after the plan was made.
    pub(super) newer: HashSet<ObjectName>,
    pub(super) outcome: Outcome,
}

impl Sweep<'_> {
    /// Calls `act` with each replica that can be written to, as [`Store::on_each`] does.
    fn on_each(
        &mut self,
        mut act: impl FnMut(&mut Self, &Replica, &ReplicaPlan) -> Result<(), PruneError>,
    ) -> Result<(), PruneError> {
        let (store, plan) = (self.store, self.plan);
        for index in store.sound() {
            match act(self, &store.replicas[index], &plan.replicas[index]) {
                Err(PruneError::Store(error)) if error.is_refusal() => store.lose_unless_last(index, error)?,
                done => done?,
            }
        }
        Ok(())
    }

    /// Deletes what is already decided: checkpoints whose grace period is over, and leftovers.
    pub(super) fn delete_due(&mut self) -> Result<(), PruneError> {
        let before = self.outcome.clone();
        let due: BTreeSet<Sequence> =
            self.plan.replicas.iter().flat_map(|planned| planned.due.iter().copied()).collect();
        let kept = self.record_expiry(&due)?;
        let mut expired: BTreeSet<Sequence> = BTreeSet::new();
        self.on_each(|sweep, replica, planned| {
            let storage = replica.storage().as_ref();
            let mut doomed_here = Vec::new();
            for &sequence in planned.due.iter().filter(|sequence| !kept.contains(sequence)) {
                let directory = layout::pruned_dir(sequence);
                if let Some(stray) = stray_in(replica, &directory)? {
                    sweep.outcome.left.push(stray);
                    continue;
                }
                // In one step: half a checkpoint must not be taken for one that can be brought back.
                doom(replica, PRUNED, sequence)?;
                doomed_here.extend(doomed(replica, PRUNED, sequence));
                expired.insert(sequence);
            }
            sweep.look_again(replica, &kept)?;
            sweep.delete_objects(replica, planned, &planned.leftover_objects)?;
            for directory in &doomed_here {
                delete_directory(storage, directory)?;
            }
            sweep.delete_temporary(replica, planned)?;
            Ok(storage.sync()?)
        })?;
        self.outcome.expired = expired.len() as u64;
        let files = (self.outcome.objects - before.objects) + (self.outcome.temporary - before.temporary);
        if files > 0 {
            let event = NewEvent {
                files: Some(files),
                bytes: self.outcome.freed_bytes - before.freed_bytes,
                ..NewEvent::of_checkpoints(self.plan.now, EventKind::RemovedLeftovers, [])
            };
            match self.store.record(&event) {
                // Leftovers may go unrecorded.
                Err(error) if error.is_full() => {}
                recorded => recorded?,
            }
        }
        Ok(())
    }

    /// Records the removed checkpoints, renames them away, and without a grace period deletes them.
    pub(super) fn remove_checkpoints(&mut self) -> Result<(), PruneError> {
        self.record_removal()?;
        let has_grace = self.plan.has_grace();
        let all: BTreeSet<Sequence> = self.plan.removed().map(|checkpoint| checkpoint.sequence).collect();
        let kept = if has_grace { self.keep_pinned(&all)? } else { self.record_expiry(&all)? };
        let mut removed: BTreeSet<Sequence> = BTreeSet::new();
        self.on_each(|_, replica, planned| {
            for &sequence in planned.remove.iter().filter(|sequence| !kept.contains(sequence)) {
                if has_grace {
                    hide(replica, sequence)?;
                } else {
                    doom(replica, CHECKPOINTS, sequence)?;
                }
                removed.insert(sequence);
            }
            Ok(())
        })?;
        self.outcome.checkpoints = removed.len() as u64;
        if has_grace {
            return Ok(());
        }
        self.on_each(|sweep, replica, planned| {
            let storage = replica.storage().as_ref();
            sweep.look_again(replica, &kept)?;
            sweep.delete_objects(replica, planned, &planned.removed_objects)?;
            let remove = planned.remove.iter().filter(|sequence| !kept.contains(sequence));
            for directory in remove.filter_map(|&sequence| doomed(replica, CHECKPOINTS, sequence)) {
                match stray_in(replica, &directory)? {
                    None => delete_directory(storage, &directory)?,
                    Some(stray) => sweep.outcome.left.push(stray),
                }
            }
            Ok(storage.sync()?)
        })
    }

    /// Records what is removed. On a full disk, a prune without a grace period deletes directories of removed
    /// checkpoints until there is space for the event.
    fn record_removal(&self) -> Result<(), PruneError> {
        let plan = self.plan;
        let mut sacrificed = plan.removed().map(|checkpoint| checkpoint.sequence);
        while let Err(error) = self.store.record(&self.event()) {
            match sacrificed.next() {
                _ if !error.is_full() => return Err(error.into()),
                _ if plan.has_grace() => return Err(PruneError::NoRoom { source: error }),
                None => return Err(error.into()),
                Some(sequence) => {
                    for index in self.store.sound() {
                        let replica = &self.store.replicas[index];
                        if plan.replicas[index].remove.contains(&sequence) {
                            doom(replica, CHECKPOINTS, sequence)?;
                            if let Some(directory) = doomed(replica, CHECKPOINTS, sequence) {
                                delete_directory(replica.storage().as_ref(), &directory)?;
                            }
                            replica.sync()?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Records that pruned checkpoints are about to be deleted, where nothing is locked: from then on nobody brings them
    /// back. Returns those that somebody brought back or pinned before.
    fn record_expiry(&self, sequences: &BTreeSet<Sequence>) -> Result<BTreeSet<Sequence>, PruneError> {
        if sequences.is_empty() || !self.store.is_remote() {
            return Ok(BTreeSet::new());
        }
        self.record_what_became_of(sequences, EventKind::Expired)?;
        let mut kept = self.keep_pinned(sequences)?;
        let sequences: Vec<Sequence> = sequences.iter().copied().collect();
        kept.extend(self.store.history()?.overruled(&sequences, EventKind::Expired));
        Ok(kept)
    }

    /// Returns those of `sequences` that were pinned after the plan was made, where nothing is locked, and records that
    /// they stay. A process that pins one looks at the history afterwards, where the event of this prune is by now.
    fn keep_pinned(&self, sequences: &BTreeSet<Sequence>) -> Result<BTreeSet<Sequence>, PruneError> {
        if sequences.is_empty() || !self.store.is_remote() {
            return Ok(BTreeSet::new());
        }
        let pinned = self.store.pinned()?;
        let kept: BTreeSet<Sequence> = sequences.intersection(&pinned).copied().collect();
        if !kept.is_empty() {
            self.record_what_became_of(&kept, EventKind::Kept)?;
        }
        Ok(kept)
    }

    /// Records an event about `sequences`, which the history names since they were pruned.
    fn record_what_became_of(&self, sequences: &BTreeSet<Sequence>, kind: EventKind) -> Result<(), PruneError> {
        let departures = self.store.history()?.departures();
        let named = sequences.iter().filter_map(|&sequence| Some((sequence, departures.of(sequence)?.sha256?)));
        Ok(self.store.record(&NewEvent::of_checkpoints(self.plan.now, kind, named))?)
    }

    /// Learns again which objects are needed, where nothing is locked, after checkpoints were deleted and before their
    /// objects are: a restore may have committed a new checkpoint of them. The objects of those that are `kept` are
    /// needed as well.
    fn look_again(&mut self, replica: &Replica, kept: &BTreeSet<Sequence>) -> Result<(), PruneError> {
        if !replica.is_remote() {
            return Ok(());
        }
        let since = self.committed_since()?;
        self.newer.extend(since);
        for &sequence in kept {
            for directory in [layout::checkpoint_dir(sequence), layout::pruned_dir(sequence)] {
                match objects_needed(self.store, &directory, sequence) {
                    Ok(objects) => self.newer.extend(objects.iter().map(|object| object.object)),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Returns the event of the removal. Unrecorded checkpoints in `pruned/` are in it too, so that their grace period
    /// begins.
    fn event(&self) -> NewEvent {
        let plan = self.plan;
        let unrecorded = plan.pruned.iter().filter(|earlier| earlier.is_unrecorded());
        let unrecorded = unrecorded.filter_map(|earlier| Some((earlier.sequence, earlier.sha256?)));
        let removed = plan.removed().map(|checkpoint| (checkpoint.sequence, checkpoint.sha256));
        let all: BTreeMap<Sequence, Digest> = unrecorded.chain(removed).collect();
        NewEvent {
            policy: Some(plan.request.policy.to_string()),
            bytes: plan.removed_bytes(),
            ..NewEvent::of_checkpoints(plan.now, EventKind::Pruned, all)
        }
    }
}

/// Returns the path of something in a checkpoint's directory that is not part of it.
fn stray_in(replica: &Replica, directory: &RelPath) -> Result<Option<String>, StorageError> {
    let entries = replica.storage().list(Some(directory))?;
    let stray = entries
        .iter()
        .find(|entry| entry.kind != EntryKind::File || !matches!(entry.name.as_str(), MANIFEST_FILE | SUMS_FILE));
    Ok(stray.map(|entry| format!("{}/{directory}/{}", replica.place(), entry.name)))
}
