//! Deletes objects and temporary files that no checkpoint needs, and spares those that a running job may need.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::format::layout::{OBJECTS, ObjectName};
use crate::store::error::StoreError;
use crate::store::lock::StoreLock;
use crate::store::prune::error::PruneError;
use crate::store::prune::replica_plan::ReplicaPlan;
use crate::store::prune::survey::objects_of;
use crate::store::prune::sweep::{Sweep, Writers};
use crate::store::replica::Replica;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// How much the clocks of the servers of a bucket may differ.
const SERVER_SKEW_SECONDS: i64 = 300;

impl Sweep<'_> {
    /// Deletes those of `objects` that nothing needs, one directory at a time.
    pub(super) fn delete_objects(
        &mut self,
        replica: &Replica,
        planned: &ReplicaPlan,
        objects: &BTreeMap<ObjectName, u64>,
    ) -> Result<(), PruneError> {
        let mut fresh = BTreeMap::new();
        for (group, objects) in by_directory(objects) {
            self.delete_group(replica, &group, &objects, self.barrier(replica, planned), &mut fresh)?;
        }
        if fresh.is_empty() {
            return Ok(());
        }
        // As new as the latest checkpoint: only if no job runs is it certain that none of them is for the next one.
        let Some(_lock) = self.lock_out_runs(replica)? else {
            self.outcome.spared += fresh.len() as u64;
            return Ok(());
        };
        let since = self.committed_since()?;
        self.newer.extend(since);
        for (group, objects) in by_directory(&fresh) {
            self.delete_group(replica, &group, &objects, i64::MAX, &mut BTreeMap::new())?;
        }
        Ok(())
    }

    /// Deletes those of `objects`, all in the directory `group`, that nothing needs and that were written before
    /// `barrier`. The newer ones are added to `fresh`.
    fn delete_group(
        &mut self,
        replica: &Replica,
        group: &str,
        objects: &[(ObjectName, u64)],
        barrier: i64,
        fresh: &mut BTreeMap<ObjectName, u64>,
    ) -> Result<(), PruneError> {
        let directory = RelPath::new(format!("{OBJECTS}/{group}")).expect("digits are plain");
        let _lock = replica.lock_objects()?;
        let storage = replica.storage();
        // List again: an object that a job has taken over since is new.
        let found: HashMap<String, Option<i64>> =
            storage.list(Some(&directory))?.into_iter().map(|entry| (entry.name, entry.modified_seconds)).collect();
        let mut unneeded = Vec::new();
        for &(name, bytes) in objects {
            let needed = self.newer.contains(&name) || self.plan.needed.contains(&name);
            let Some(modified) = found.get(&name.to_string()).filter(|_| !needed) else {
                self.progress.advance(1);
                continue;
            };
            if barrier < i64::MAX && modified.is_none_or(|modified| modified >= barrier) {
                fresh.insert(name, bytes);
                continue;
            }
            unneeded.push((name.path(), bytes));
        }
        let (paths, sizes): (Vec<RelPath>, Vec<u64>) = unneeded.into_iter().unzip();
        storage.delete_all(&paths)?;
        let deleted = paths.len() as u64;
        self.outcome.objects += deleted;
        self.outcome.freed_bytes = sizes.into_iter().fold(self.outcome.freed_bytes, u64::saturating_add);
        self.progress.advance(deleted);
        Ok(())
    }

    /// Deletes temporary files and directories. One that cannot be deleted is not a reason to stop.
    pub(super) fn delete_temporary(&mut self, replica: &Replica, planned: &ReplicaPlan) -> Result<(), PruneError> {
        let storage = replica.storage();
        let barrier = self.barrier(replica, planned);
        let is_fresh = |seconds: Option<i64>| seconds.is_none_or(|seconds| seconds >= barrier);
        let mut lock = None;
        for temporary in &planned.temporary {
            if is_fresh(temporary.modified_seconds) && lock.is_none() {
                lock = self.lock_out_runs(replica)?;
                if lock.is_none() {
                    self.outcome.spared += 1;
                    continue;
                }
            }
            let deleted = if temporary.is_directory {
                storage.delete_dir(&temporary.path)
            } else {
                storage.delete(&temporary.path)
            };
            if deleted.is_ok() {
                self.outcome.temporary += 1;
                self.outcome.freed_bytes = self.outcome.freed_bytes.saturating_add(temporary.bytes);
            }
        }
        Ok(())
    }

    /// Returns the second, by the clock of the storage, from which files may belong to a running job.
    fn barrier(&self, replica: &Replica, planned: &ReplicaPlan) -> i64 {
        match planned.newest_seconds {
            // Both times are of servers, which need not have the same clock.
            newest if replica.is_remote() => newest.map_or(i64::MIN, |newest| newest - SERVER_SKEW_SECONDS),
            // A clock that was set back since says nothing about what is new.
            Some(newest) if newest <= self.plan.now.as_second() => newest,
            _ => i64::MIN,
        }
    }

    /// Keeps runs out of `replica` until the returned guard is dropped. Returns nothing if a run is writing, or if that
    /// cannot be known.
    fn lock_out_runs(&self, replica: &Replica) -> Result<Option<NoRun>, PruneError> {
        if replica.is_remote() {
            return Ok(None);
        }
        if self.writers == Writers::Nobody {
            return Ok(Some(NoRun { _lock: None }));
        }
        match self.store.lock(self.holder) {
            Ok(lock) => Ok(Some(NoRun { _lock: Some(lock) })),
            Err(StoreError::Busy { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the objects of checkpoints that the plan does not know.
    pub(super) fn committed_since(&self) -> Result<HashSet<ObjectName>, PruneError> {
        let planned: HashSet<Sequence> = self.plan.checkpoints.iter().map(|checkpoint| checkpoint.sequence).collect();
        let newer: Vec<Sequence> = self.store.sequences()?.into_iter().filter(|s| !planned.contains(s)).collect();
        objects_of(self.store, &newer)
    }
}

/// Proves that no run writes to the store as long as it lives.
struct NoRun {
    /// The store's lock, unless the caller has it.
    _lock: Option<StoreLock>,
}

/// Groups objects by their directory, which is named by the first two digits.
fn by_directory(objects: &BTreeMap<ObjectName, u64>) -> BTreeMap<String, Vec<(ObjectName, u64)>> {
    let mut groups: BTreeMap<String, Vec<(ObjectName, u64)>> = BTreeMap::new();
    for (&name, &bytes) in objects {
        groups.entry(name.to_string()[..2].to_owned()).or_default().push((name, bytes));
    }
    groups
}
