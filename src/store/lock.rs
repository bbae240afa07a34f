//! One writer at a time.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::format::layout::{self, CHECKPOINTS, HISTORY, PINS, PRUNED};
use crate::storage::local;
use crate::storage::{LockGuard, Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::store::lease;
use crate::store::objects_lock::Report;
use crate::store::replica::Replica;
use crate::store::store::Store;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

const PAUSE: Duration = Duration::from_millis(20);

/// How long a run tries to get its lock. A command that looks whether a run is writing has it for a moment, and so has a program
/// that a run has just started when it was killed.
const RUN_PATIENCE: Duration = Duration::from_secs(1);

/// The longest name of a holder that is read, in bytes.
const MAX_HOLDER_BYTES: u64 = 4096;

/// Keeps other runs from writing to the store until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    /// One for each replica that has locks.
    pub guards: Vec<Box<dyn LockGuard>>,
}

impl Store {
    /// Locks the store for writing, in every replica that is not lost. `holder` says who and since when, for messages
    /// of later callers.
    ///
    /// Fails with [`StoreError::Busy`] if another run has it for longer than a second, and then holds nothing. A replica whose file system has
    /// no locks is skipped: there only the commit, which refuses a taken number, keeps runs apart. Fails with
    /// [`StoreError::SamePlace`] if two replicas turn out to be the same directory.
    pub fn lock(&self, holder: &str) -> Result<StoreLock, StoreError> {
        self.lock_by(holder, |replica| replica.lock(&layout::lock_file(), holder))
    }

    /// Does the same for one of several workers, which keep each other from nothing but the same number.
    pub fn lock_shared(&self, holder: &str) -> Result<StoreLock, StoreError> {
        self.lock_by(holder, |replica| replica.lock_shared(&layout::lock_file(), holder))
    }

    fn lock_by(
        &self,
        holder: &str,
        take: impl Fn(&Replica) -> Result<Option<Box<dyn LockGuard>>, StorageError>,
    ) -> Result<StoreLock, StoreError> {
        let begun = Instant::now();
        loop {
            match self.try_lock_by(holder, &take) {
                Err(StoreError::Busy { .. }) if begun.elapsed() < RUN_PATIENCE => thread::sleep(PAUSE),
                locked => return locked,
            }
        }
    }

    fn try_lock_by(
        &self,
        holder: &str,
        take: impl Fn(&Replica) -> Result<Option<Box<dyn LockGuard>>, StorageError>,
    ) -> Result<StoreLock, StoreError> {
        let mut guards = Vec::new();
        let mut first = None;
        for index in self.sound() {
            let replica = &self.replicas[index];
            let (storage, place) = (replica.storage(), replica.place());
            match (take(replica), &first) {
                // Where there are no locks, only the commit keeps runs apart.
                (Ok(None), _) => match storage.probe() {
                    Ok(()) => guards.extend(self.announce(index, holder)),
                    Err(error) if self.replicas.len() == 1 => return Err(error.into()),
                    Err(error) => self.lose(index, &error.into()),
                },
                (Ok(Some(guard)), _) => match flush_names(storage.as_ref(), &[CHECKPOINTS]) {
                    Ok(()) => {
                        guards.push(guard);
                        first.get_or_insert(place);
                    }
                    Err(error) if self.replicas.len() == 1 => return Err(error.into()),
                    Err(error) => self.lose(index, &error.into()),
                },
                // Holders are unique: it was locked a moment ago, as another replica.
                (Err(StorageError::Held { holder: found, .. }), Some(other)) if found == holder => {
                    return Err(StoreError::SamePlace { place, other: other.clone() });
                }
                (Err(StorageError::Held { holder, .. }), _) => return Err(StoreError::Busy { place, holder }),
                (Err(error), _) if self.replicas.len() == 1 => return Err(error.into()),
                (Err(error), _) => self.lose(index, &error.into()),
            }
        }
        self.check_copies(self.sound().len())?;
        self.health.set_holder(holder);
        self.replicas.iter().for_each(|replica| replica.objects_lock().name(holder));
        Ok(StoreLock { guards })
    }

    /// Writes into a replica without locks who is about to write to it, so that a run whose number is taken can say by
    /// whom. The name is removed with the guard.
    fn announce(&self, index: usize, holder: &str) -> Option<Box<dyn LockGuard>> {
        let storage = self.replicas[index].storage();
        if !self.replicas[index].is_remote() {
            return None;
        }
        self.health.set_rival(read_holder(storage.as_ref()).filter(|found| found != holder));
        // It only informs.
        storage.replace(&layout::lock_file(), holder.as_bytes()).ok()?;
        Some(Box::new(Announcement { storage: storage.clone(), holder: holder.to_owned() }))
    }

    /// Returns the error of a number that is taken, which names the other writer where there are no locks.
    pub fn taken(&self, sequence: Sequence) -> StoreError {
        let without_locks = (0..self.replicas.len()).find(|&index| self.replicas[index].is_remote());
        without_locks.map_or(StoreError::NumberTaken { sequence }, |index| self.taken_in(index, sequence))
    }

    /// Does the same for a number that is taken in replica `index`.
    pub(super) fn taken_in(&self, index: usize, sequence: Sequence) -> StoreError {
        let storage = self.replicas[index].storage();
        let Some(own) = self.health.holder().filter(|_| self.replicas[index].is_remote()) else {
            return StoreError::NumberTaken { sequence };
        };
        let found = read_holder(storage.as_ref()).filter(|found| *found != own);
        match found.or_else(|| self.health.rival()) {
            Some(holder) => StoreError::Overtaken { place: storage.place(), sequence, holder },
            None => StoreError::NumberTaken { sequence },
        }
    }

    /// Locks a replica that was missing when the store was locked, for as long as any clone of this store lives.
    pub(super) fn lock_again(&self, index: usize) -> Result<(), StoreError> {
        let Some(holder) = self.health.holder() else { return Ok(()) };
        match self.replicas[index].lock(&layout::lock_file(), &holder) {
            Ok(Some(guard)) => self.health.keep_lock(index, guard),
            Ok(None) => self.replicas[index].storage().probe()?,
            // Only its name was gone: the lock is still ours.
            Err(StorageError::Held { holder: found, .. }) if found == holder => {}
            Err(StorageError::Held { holder, .. }) => {
                return Err(StoreError::Busy { place: self.replicas[index].place(), holder });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes the right to remove checkpoints and objects, to bring checkpoints back, to copy checkpoints from one
    /// replica to another and to set pins, in every replica that can be written to. One that cannot is lost.
    ///
    /// It is independent of [`Store::lock`]: a job may run and commit meanwhile. A caller that commits a checkpoint of
    /// old objects, as a restore does, holds both, so that none of them is deleted before the commit. Fails with
    /// [`StoreError::Busy`] if another process holds it for longer than a few seconds.
    pub fn lock_prune(&self, holder: &str) -> Result<StoreLock, StoreError> {
        self.lock_prune_in(&self.sound(), None, holder)
    }

    /// Does the same in the replicas with these indexes. Fails if `required`, which may be a lost one, cannot be
    /// locked.
    pub(super) fn lock_prune_in(
        &self,
        indexes: &[usize],
        required: Option<usize>,
        holder: &str,
    ) -> Result<StoreLock, StoreError> {
        let begun = Instant::now();
        let mut guards = Vec::new();
        // All processes take the locks in the same order, so that no two wait for each other.
        for &index in self.order.iter().filter(|index| indexes.contains(index)) {
            match self.lock_prune_of(index, holder, begun) {
                Ok(guard) => guards.extend(guard),
                Err(error @ StoreError::Busy { .. }) => return Err(error),
                Err(error) if required == Some(index) => return Err(error),
                Err(error) => self.lose_unless_last(index, error)?,
            }
        }
        Ok(StoreLock { guards })
    }

    /// Returns nothing if the replica has no locks, or no space for one.
    fn lock_prune_of(
        &self,
        index: usize,
        holder: &str,
        begun: Instant,
    ) -> Result<Option<Box<dyn LockGuard>>, StoreError> {
        let storage = self.replicas[index].storage().as_ref();
        self.replicas[index].objects_lock().name(holder);
        loop {
            let replica = &self.replicas[index];
            let taken = match replica.is_remote() {
                // What is written under the lease relies on conditions too.
                true => replica
                    .storage()
                    .probe()
                    .and_then(|()| lease::take(replica.storage(), &layout::prune_lock_file(), holder).map(Some)),
                false => replica.lock(&layout::prune_lock_file(), holder),
            };
            match taken {
                Ok(Some(guard)) => {
                    flush_names(storage, &[CHECKPOINTS, PRUNED, PINS, HISTORY])?;
                    return Ok(Some(guard));
                }
                Ok(None) => return Ok(None),
                Err(StorageError::Held { .. }) if begun.elapsed() < self.patience => thread::sleep(PAUSE),
                Err(StorageError::Held { holder, .. }) => {
                    return Err(StoreError::Busy { place: storage.place(), holder });
                }
                // Not even space for the name of the lock: two prunes at once delete the same things.
                Err(error) if error.is_full() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets `report` have a note when one of several workers waits for longer than a few seconds for a process that removes
    /// or takes over objects, or commits.
    pub fn report_waits(&self, report: impl Fn(StoreNote) + Send + Sync + 'static) {
        let report: Report = Arc::new(report);
        self.replicas.iter().for_each(|replica| replica.objects_lock().report_to(&report));
    }

    /// Tells whether the run that named itself `holder` still holds the store; nothing if that is unknown.
    pub fn is_held_by(&self, holder: &str) -> Option<bool> {
        let answers: Vec<Option<bool>> = self.replicas.iter().map(|replica| is_held(replica, holder)).collect();
        // It holds all replicas that it could reach.
        let is_held = answers.contains(&Some(true));
        (is_held || !answers.contains(&None)).then_some(is_held)
    }

    /// Flushes the names of existing checkpoints, for callers that rely on them without taking a lock: the process that
    /// committed them may have died before it did.
    pub fn flush_checkpoints(&self) -> Result<(), StoreError> {
        self.on_sound(|_, replica| Ok(flush_names(replica.storage().as_ref(), &[CHECKPOINTS])?)).map(drop)
    }
}

/// The name of a writer in a replica without locks.
#[derive(Debug)]
struct Announcement {
    storage: Arc<dyn Storage>,
    holder: String,
}

impl LockGuard for Announcement {}

impl Drop for Announcement {
    fn drop(&mut self) {
        if read_holder(self.storage.as_ref()).is_some_and(|found| found == self.holder) {
            let _ = self.storage.delete(&layout::lock_file());
        }
    }
}

/// Tells whether `holder` holds a replica; nothing if that is unknown.
fn is_held(replica: &Replica, holder: &str) -> Option<bool> {
    if replica.is_remote() {
        // Nothing is locked there, but the process may be on this machine.
        return lease::is_alive(holder);
    }
    let found = local::holder(&Path::new(&replica.place()).join(layout::LOCK_FILE));
    found.ok().map(|found| found.is_some_and(|found| found.name == holder))
}

/// Returns who wrote the lock file of a storage.
pub(super) fn read_holder(storage: &dyn Storage) -> Option<String> {
    let bytes = storage.get(&layout::lock_file(), MAX_HOLDER_BYTES).ok()?;
    let text: String = String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Flushes the names in the root and in `directories`: an earlier holder of the lock may have died before it did.
fn flush_names(storage: &dyn Storage, directories: &[&str]) -> Result<(), StorageError> {
    storage.sync_dir(None)?;
    let mut paths = directories.iter().map(|directory| RelPath::new(*directory).expect("the name is plain"));
    paths.try_for_each(|path| storage.sync_dir(Some(&path)))
}
