//! Does what a plan says, in the order that the module above explains.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, OBJECTS, ObjectName, PRUNED, SUMS_FILE};
use crate::storage::{EntryKind, Storage, StorageError, TEMPORARY_PREFIX};
use crate::store::prune::survey::{Around, Objects, Survey};
use crate::store::prune::{Earlier, Plan, PruneError, ReplicaPlan};
use crate::store::records::history::{EventCheckpoint, EventKind, NewEvent};
use crate::store::replica::Replica;
use crate::store::{Store, StoreError, StoreLock};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::{Progress, Silent};
use crate::values::relpath::RelPath;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Checkpoints that were pruned.
    pub checkpoints: u64,
    /// Checkpoints that were pruned before and are deleted now.
    pub expired: u64,
    /// Objects that were deleted, in all replicas.
    pub objects: u64,
    /// Temporary files and directories that were deleted, in all replicas.
    pub temporary: u64,
    /// Bytes that were freed, in all replicas.
    pub freed_bytes: u64,
    /// Objects and temporary files that stay because a running job may need them.
    pub spared: u64,
    /// Directories of deleted checkpoints that stay because something else lies in them.
    pub left: Vec<String>,
}

/// Does what `plan` says. `holder` says who does, for whoever waits; `progress` is told of objects.
///
/// Fails with [`PruneError::Moved`], before anything is changed, when the plan no longer fits the store. Checkpoints that
/// were committed meanwhile are kept. When it is stopped, by an error or otherwise, the next prune finishes it.
pub fn apply(store: &Store, plan: &Plan, holder: &str, progress: &dyn Progress) -> Result<Outcome, PruneError> {
    apply_beside(store, plan, holder, Writers::Unknown, progress)
}

/// Who may be writing to the store while it is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Perhaps a run, which then has the store's lock.
    Unknown,
    /// Nobody: the caller has the store's lock, and writes nothing until the prune is done.
    Nobody,
}

/// Does the same as [`apply`] for a caller who knows who writes: what is as new as the latest checkpoint goes as well when nobody does.
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
    if plan.removed().next().is_some() || plan.pruned.iter().any(Earlier::is_unknown) {
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
        Err(StoreError::Storage(error)) if error.is_full() => {}
        folded => folded?,
    }
    Ok(sweep.outcome)
}

/// Makes sure that the plan fits what is there, and returns what checkpoints need that were committed since.
fn check(store: &Store, plan: &Plan) -> Result<HashSet<ObjectName>, PruneError> {
    let moved = |reason: String| Err(PruneError::Moved { reason });
    let planned: BTreeSet<Sequence> = plan.checkpoints.iter().map(|checkpoint| checkpoint.sequence).collect();
    let there: BTreeSet<Sequence> = store.sequences()?.into_iter().collect();
    if let Some(gone) = planned.difference(&there).next() {
        return moved(format!("checkpoint {} is gone", gone.0));
    }
    let newer: Vec<Sequence> = there.difference(&planned).copied().collect();
    if let (Some(first), Some(latest)) = (newer.first(), planned.last())
        && first < latest
    {
        return moved(format!("checkpoint {} is back", first.0));
    }
    let pins = store.pins()?;
    if let Some(pinned) = plan.removed().find(|checkpoint| pins.contains_key(&checkpoint.sequence)) {
        return moved(format!("checkpoint {} is pinned", pinned.sequence.0));
    }
    for (storage, replica) in store.replicas.iter().zip(&plan.replicas) {
        if pruned_in(storage.as_ref())? != replica.pruned {
            return moved("somebody else pruned it".to_owned());
        }
    }
    needs_of(store, &newer)
}

fn pruned_in(storage: &dyn Storage) -> Result<BTreeSet<Sequence>, StorageError> {
    let directory = layout::directory(PRUNED);
    let entries = storage.list(Some(&directory))?;
    let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
    Ok(directories.filter_map(|entry| entry.name.parse().ok()).collect())
}

/// Returns the objects that checkpoints need.
fn needs_of(store: &Store, sequences: &[Sequence]) -> Result<HashSet<ObjectName>, PruneError> {
    if sequences.is_empty() {
        return Ok(HashSet::new());
    }
    let mut survey = Survey { objects: Objects::default(), live: Vec::new(), around: Vec::<Around>::new() };
    let read = survey.checkpoints(store, sequences, layout::checkpoint_dir, &Silent)?;
    let names = read.iter().flat_map(|checkpoint| &checkpoint.needs);
    Ok(names.map(|&number| survey.objects.names[number as usize]).collect())
}

/// What is being done.
struct Sweep<'a> {
    store: &'a Store,
    plan: &'a Plan,
    holder: &'a str,
    writers: Writers,
    progress: &'a dyn Progress,
    /// What checkpoints need that were committed after the plan was made.
    newer: HashSet<ObjectName>,
    outcome: Outcome,
}

impl Sweep<'_> {
    /// Deletes what needs no decision any more: checkpoints whose grace time is over, and leftovers.
    fn delete_due(&mut self) -> Result<(), PruneError> {
        let before = self.outcome.clone();
        let mut expired: BTreeSet<Sequence> = BTreeSet::new();
        for (storage, replica) in self.store.replicas.iter().zip(&self.plan.replicas) {
            let mut aside = Vec::new();
            for &sequence in &replica.due {
                let directory = layout::pruned_dir(sequence);
                if let Some(foreign) = foreign_in(storage.as_ref(), &directory)? {
                    self.outcome.left.push(foreign);
                    continue;
                }
                // In one step: half a checkpoint must not be taken for one that can be brought back.
                let to = aside_of(PRUNED, sequence);
                rename_over(storage.as_ref(), &directory, &to)?;
                aside.push(to);
                expired.insert(sequence);
            }
            self.delete_objects(storage.as_ref(), replica, &replica.leftover_objects)?;
            for directory in &aside {
                delete_directory(storage.as_ref(), directory)?;
            }
            self.delete_temporary(storage.as_ref(), replica)?;
            storage.sync()?;
        }
        self.outcome.expired = expired.len() as u64;
        let files = (self.outcome.objects - before.objects) + (self.outcome.temporary - before.temporary);
        if files > 0 {
            let event = NewEvent {
                time: self.plan.now,
                kind: EventKind::RemovedLeftovers,
                policy: None,
                checkpoints: Vec::new(),
                files: Some(files),
                bytes: self.outcome.freed_bytes - before.freed_bytes,
            };
            match self.store.record(&event) {
                // What no checkpoint needs can go without a note of it.
                Err(StoreError::Storage(error)) if error.is_full() => {}
                recorded => recorded?,
            }
        }
        Ok(())
    }

    /// Notes down what goes, renames it away, and without grace time deletes it.
    fn remove_checkpoints(&mut self) -> Result<(), PruneError> {
        let plan = self.plan;
        let mut aside: Vec<Vec<RelPath>> = vec![Vec::new(); plan.replicas.len()];
        let mut sacrificed = plan.removed().map(|checkpoint| checkpoint.sequence);
        while let Err(error) = self.store.record(&self.event()) {
            let full = matches!(&error, StoreError::Storage(error) if error.is_full());
            match sacrificed.next() {
                _ if !full => return Err(error.into()),
                _ if plan.has_grace() => return Err(PruneError::NoRoom { source: error }),
                None => return Err(error.into()),
                // The directory of a checkpoint that goes makes room for the note of it.
                Some(sequence) => {
                    for (storage, replica) in self.store.replicas.iter().zip(&plan.replicas) {
                        if replica.remove.contains(&sequence) {
                            let to = aside_of(CHECKPOINTS, sequence);
                            rename_over(storage.as_ref(), &layout::checkpoint_dir(sequence), &to)?;
                            delete_directory(storage.as_ref(), &to)?;
                            storage.sync()?;
                        }
                    }
                }
            }
        }
        for ((storage, replica), aside) in self.store.replicas.iter().zip(&plan.replicas).zip(&mut aside) {
            for &sequence in &replica.remove {
                let from = layout::checkpoint_dir(sequence);
                let to = match plan.has_grace() {
                    true => layout::pruned_dir(sequence),
                    false => aside_of(CHECKPOINTS, sequence),
                };
                rename_over(storage.as_ref(), &from, &to)?;
                aside.push(to);
            }
        }
        self.outcome.checkpoints = plan.removed().count() as u64;
        if plan.has_grace() {
            return Ok(());
        }
        for ((storage, replica), aside) in self.store.replicas.iter().zip(&plan.replicas).zip(&aside) {
            self.delete_objects(storage.as_ref(), replica, &replica.removed_objects)?;
            for directory in aside {
                match foreign_in(storage.as_ref(), directory)? {
                    None => delete_directory(storage.as_ref(), directory)?,
                    Some(foreign) => self.outcome.left.push(foreign),
                }
            }
            storage.sync()?;
        }
        Ok(())
    }

    /// Returns what goes, as the history notes it. What lies in `pruned/` without a note gets one, so that its grace time
    /// begins.
    fn event(&self) -> NewEvent {
        let plan = self.plan;
        let unknown = plan.pruned.iter().filter(|earlier| earlier.is_unknown());
        let unknown = unknown.filter_map(|earlier| Some((earlier.sequence, earlier.sha256?)));
        let removed = plan.removed().map(|checkpoint| (checkpoint.sequence, checkpoint.sha256));
        let all: BTreeMap<Sequence, Digest> = unknown.chain(removed).collect();
        let entry = |(sequence, sha256)| EventCheckpoint { sequence, sha256, time: None };
        NewEvent {
            time: plan.now,
            kind: EventKind::Pruned,
            policy: Some(plan.request.policy.to_string()),
            checkpoints: all.into_iter().map(entry).collect(),
            files: None,
            bytes: plan.removed_bytes(),
        }
    }

    /// Deletes those of `objects` that nothing needs, a directory at a time.
    fn delete_objects(
        &mut self,
        storage: &dyn Storage,
        replica: &ReplicaPlan,
        objects: &BTreeMap<ObjectName, u64>,
    ) -> Result<(), PruneError> {
        let mut fresh = BTreeMap::new();
        for (group, objects) in by_directory(objects) {
            self.delete_group(storage, &group, &objects, self.barrier(replica), &mut fresh)?;
        }
        if fresh.is_empty() {
            return Ok(());
        }
        // As new as the latest checkpoint: only when no job runs is it sure that none of them is for the next one.
        let Some(_lock) = self.lock_out_runs()? else {
            self.outcome.spared += fresh.len() as u64;
            return Ok(());
        };
        let since = self.committed_since()?;
        self.newer.extend(since);
        for (group, objects) in by_directory(&fresh) {
            self.delete_group(storage, &group, &objects, i64::MAX, &mut BTreeMap::new())?;
        }
        Ok(())
    }

    /// Deletes those of `objects`, all in the directory `group`, that nothing needs and that were written before
    /// `barrier`. The others are put into `fresh`.
    fn delete_group(
        &mut self,
        storage: &dyn Storage,
        group: &str,
        objects: &[(ObjectName, u64)],
        barrier: i64,
        fresh: &mut BTreeMap<ObjectName, u64>,
    ) -> Result<(), PruneError> {
        let directory = RelPath::new(format!("{OBJECTS}/{group}")).expect("digits are plain");
        let _lock = Replica::new(storage).lock_objects()?;
        // Anew: what a job has taken over since is new.
        let there: HashMap<String, Option<i64>> =
            storage.list(Some(&directory))?.into_iter().map(|entry| (entry.name, entry.modified_seconds)).collect();
        for &(name, bytes) in objects {
            let needed = self.newer.contains(&name) || self.plan.needed.contains(&name);
            let Some(modified) = there.get(&name.to_string()).filter(|_| !needed) else {
                self.progress.advance(1);
                continue;
            };
            if barrier < i64::MAX && modified.is_none_or(|modified| modified >= barrier) {
                fresh.insert(name, bytes);
                continue;
            }
            match storage.delete(&name.path()) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
            self.outcome.objects += 1;
            self.outcome.freed_bytes = self.outcome.freed_bytes.saturating_add(bytes);
            self.progress.advance(1);
        }
        Ok(())
    }

    /// Deletes temporary files and directories. One that can not be deleted is no reason to stop.
    fn delete_temporary(&mut self, storage: &dyn Storage, replica: &ReplicaPlan) -> Result<(), PruneError> {
        let barrier = self.barrier(replica);
        let is_fresh = |seconds: Option<i64>| seconds.is_none_or(|seconds| seconds >= barrier);
        let mut lock = None;
        for temporary in &replica.temporary {
            if is_fresh(temporary.modified_seconds) && lock.is_none() {
                lock = self.lock_out_runs()?;
                if lock.is_none() {
                    self.outcome.spared += 1;
                    continue;
                }
            }
            let deleted = match temporary.is_directory {
                true => storage.delete_dir(&temporary.path),
                false => storage.delete(&temporary.path),
            };
            if deleted.is_ok() {
                self.outcome.temporary += 1;
                self.outcome.freed_bytes = self.outcome.freed_bytes.saturating_add(temporary.bytes);
            }
        }
        Ok(())
    }

    /// Returns the second from which on things may belong to a running job, by the clock of the storage.
    fn barrier(&self, replica: &ReplicaPlan) -> i64 {
        match replica.newest_seconds {
            // A clock that went back since says nothing about what is new.
            Some(newest) if newest <= self.plan.now.as_second() => newest,
            _ => i64::MIN,
        }
    }

    /// Keeps runs out until what it returns is dropped. Nothing when one is writing.
    fn lock_out_runs(&self) -> Result<Option<NoRun>, PruneError> {
        if self.writers == Writers::Nobody {
            return Ok(Some(NoRun { _lock: None }));
        }
        match self.store.lock(self.holder) {
            Ok(lock) => Ok(Some(NoRun { _lock: Some(lock) })),
            Err(StoreError::Busy { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what checkpoints need that the plan does not know.
    fn committed_since(&self) -> Result<HashSet<ObjectName>, PruneError> {
        let planned: HashSet<Sequence> = self.plan.checkpoints.iter().map(|checkpoint| checkpoint.sequence).collect();
        let newer: Vec<Sequence> = self.store.sequences()?.into_iter().filter(|s| !planned.contains(s)).collect();
        needs_of(self.store, &newer)
    }
}

/// Shows that no run writes to the store as long as this lives.
struct NoRun {
    /// The store's lock, unless the caller has it.
    _lock: Option<StoreLock>,
}

/// Returns objects by the directory that they are in, which is named by the first two digits.
fn by_directory(objects: &BTreeMap<ObjectName, u64>) -> BTreeMap<String, Vec<(ObjectName, u64)>> {
    let mut groups: BTreeMap<String, Vec<(ObjectName, u64)>> = BTreeMap::new();
    for (&name, &bytes) in objects {
        groups.entry(name.to_string()[..2].to_owned()).or_default().push((name, bytes));
    }
    groups
}

/// Returns the name that a checkpoint's directory has in `directory` while it is being deleted.
fn aside_of(directory: &'static str, sequence: Sequence) -> RelPath {
    layout::directory(directory).join(&format!("{TEMPORARY_PREFIX}pruned-{sequence}")).expect("a plain name")
}

/// Renames a directory, in place of an older one of that name, which is of the same checkpoint. One that is gone already
/// was renamed by a prune that was stopped.
fn rename_over(storage: &dyn Storage, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
    match storage.rename(from, to) {
        Err(StorageError::Exists { .. }) => {
            delete_directory(storage, to)?;
            storage.rename(from, to)
        }
        Err(error) if error.is_not_found() => Ok(()),
        renamed => renamed,
    }
}

fn delete_directory(storage: &dyn Storage, directory: &RelPath) -> Result<(), StorageError> {
    match storage.delete_dir(directory) {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => deleted,
    }
}

/// Returns the path of something in a checkpoint's directory that is no part of it.
fn foreign_in(storage: &dyn Storage, directory: &RelPath) -> Result<Option<String>, StorageError> {
    let entries = storage.list(Some(directory))?;
    let foreign = entries
        .iter()
        .find(|entry| entry.kind != EntryKind::File || !matches!(entry.name.as_str(), MANIFEST_FILE | SUMS_FILE));
    Ok(foreign.map(|entry| format!("{directory}/{}", entry.name)))
}
