//! One writer at a time.

use std::io;

use crate::format::layout::LOCK_FILE;
use crate::relpath::RelPath;
use crate::storage::{LockGuard, StorageError};
use crate::store::{Store, StoreError};

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
}
