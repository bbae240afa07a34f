//! Reading: what is committed, from the first replica that has it whole.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::format::manifest::ObjectRef;
use crate::id::Sequence;
use crate::store::replica::Replica;
use crate::store::{Committed, Store, StoreError, each};

impl Store {
    /// Returns the numbers of the committed checkpoints, ascending. What is no checkpoint directory is passed over.
    ///
    /// A checkpoint that any replica has is committed.
    pub fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        let found = each(&self.replicas, |replica| replica.sequences())?;
        Ok(found.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Reads the manifest of checkpoint `sequence` and checks that it is as it was committed, and of this store and
    /// number.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] when no replica has a directory of that number. A directory without a
    /// manifest is damage: a [`StoreError::Storage`] that it is not there.
    pub fn manifest(&self, sequence: Sequence) -> Result<Committed, StoreError> {
        match self.first_good(|replica| replica.manifest(&self.file, sequence)) {
            Err(error) if error.is_not_found() && !self.sequences()?.contains(&sequence) => {
                Err(StoreError::NoCheckpoint { place: self.place(), sequence })
            }
            read => read,
        }
    }

    /// Returns the bytes of the manifest that `committed` was read from.
    ///
    /// Fails with [`StoreError::ManifestDamaged`] when they have been changed since.
    pub fn manifest_bytes(&self, committed: &Committed) -> Result<Bytes, StoreError> {
        self.first_good(|replica| replica.manifest_bytes(committed))
    }

    /// Returns the newest committed checkpoint, or nothing when there is none. One that can not be read is an error,
    /// never passed over.
    pub fn latest(&self) -> Result<Option<Committed>, StoreError> {
        self.sequences()?.last().map(|&newest| self.manifest(newest)).transpose()
    }

    /// Returns the bytes of `object`, verified.
    ///
    /// Fails with [`StoreError::Damaged`] when they are not what its name and size promise, before reading more than
    /// the size. Memory is bounded by the size of the file that is there, whatever size is promised.
    pub fn object(&self, object: ObjectRef) -> Result<Bytes, StoreError> {
        self.first_good(|replica| replica.object(object))
    }

    /// Asks one replica after the other. When none has a good answer, the first error counts that says more than that
    /// there is nothing.
    fn first_good<T>(&self, read: impl Fn(Replica<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut worst: Option<StoreError> = None;
        for replica in self.replicas() {
            match read(replica) {
                Ok(good) => return Ok(good),
                Err(error) if worst.as_ref().is_none_or(StoreError::is_not_found) => {
                    worst = Some(worst.filter(|_| error.is_not_found()).unwrap_or(error));
                }
                Err(_) => {}
            }
        }
        Err(worst.expect("a store has at least one replica"))
    }
}
