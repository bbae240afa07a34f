//! One writer at a time.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::format::layout::{LOCK_FILE, PRUNE_LOCK_FILE};
use crate::relpath::RelPath;
use crate::storage::{LockGuard, StorageError};
use crate::store::{Store, StoreError};

/// How long [`Store::lock_prune`] waits for others, who are mostly done in a moment.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps other runs from writing to the store until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    /// The locks, one a replica that has locks.
    pub guards: Vec<Box<dyn LockGuard>>,
}

impl Store {
    /// Takes the store for writing, in every replica. `holder` says who and since when, for whoever comes next.
    ///
    /// Fails with [`StoreError::Busy`] when another run has it, and then holds nothing. A replica whose file system
    /// has no locks is passed over: there the commit alone, which refuses a taken number, keeps runs apart.
    pub fn lock(&self, holder: &str) -> Result<StoreLock, StoreError> {
        let path = RelPath::new(LOCK_FILE).expect("the name is plain");
        let mut guards = Vec::new();
        for storage in &self.replicas {
            match storage.lock(&path, holder) {
                Ok(guard) => guards.push(guard),
                Err(StorageError::Held { holder, .. }) => {
                    return Err(StoreError::Busy { place: storage.place(), holder });
                }
                Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::Unsupported => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(StoreLock { guards })
    }

    /// Takes the right to remove checkpoints and objects, to put checkpoints back and to set pins, in every replica.
    ///
    /// It stands beside [`Store::lock`]: a job may run and commit meanwhile. Who commits a checkpoint of objects that
    /// are only old ones, as a restore does, holds both, so that none of them is deleted before the commit. Fails with
    /// [`StoreError::Busy`] when somebody else has it for longer than a few seconds.
    pub fn lock_prune(&self, holder: &str) -> Result<StoreLock, StoreError> {
        let path = RelPath::new(PRUNE_LOCK_FILE).expect("the name is plain");
        let begun = Instant::now();
        let mut guards = Vec::new();
        for storage in &self.replicas {
            loop {
                match storage.lock(&path, holder) {
                    Ok(guard) => guards.push(guard),
                    Err(StorageError::Held { .. }) if begun.elapsed() < PATIENCE => {
                        thread::sleep(PAUSE);
                        continue;
                    }
                    Err(StorageError::Held { holder, .. }) => {
                        return Err(StoreError::Busy { place: storage.place(), holder });
                    }
                    Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::Unsupported => {}
                    // Not even room for the name of the lock: what two delete is deleted all the same.
                    Err(error) if error.is_full() => {}
                    Err(error) => return Err(error.into()),
                }
                break;
            }
        }
        Ok(StoreLock { guards })
    }
}
