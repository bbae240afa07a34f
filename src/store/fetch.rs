//! Reading: what is committed, from the first replica that has it whole.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::format::manifest::ObjectRef;
use crate::store::replica::Replica;
use crate::store::{Committed, Store, StoreError, StoreNote};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

impl Store {
    /// Returns the numbers of the committed checkpoints, ascending. What is no checkpoint directory is passed over.
    ///
    /// A checkpoint that any replica has is committed. Fails when no replica can be listed.
    pub fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        let mut all = BTreeSet::new();
        let (mut failed, mut listed) = (Vec::new(), None);
        for index in self.reading_order() {
            match self.replica(index).sequences() {
                Ok(sequences) => {
                    all.extend(sequences);
                    listed.get_or_insert(index);
                }
                Err(error) => failed.push((index, error)),
            }
        }
        let Some(listed) = listed else {
            return Err(failed.swap_remove(0).1);
        };
        for (index, error) in failed {
            self.fell_back(index, &error, listed);
        }
        Ok(all.into_iter().collect())
    }

    /// Reads the manifest of checkpoint `sequence` and checks that it is as it was committed, and of this store and
    /// number.
    ///
    /// Fails with [`StoreError::NoCheckpoint`] when no replica has a directory of that number. A directory without a
    /// manifest is damage: a [`StoreError::Storage`] that it is not there.
    pub fn manifest(&self, sequence: Sequence) -> Result<Committed, StoreError> {
        // A replica that does not have the checkpoint yet is behind, not damaged.
        let read = |replica: Replica<'_>| match replica.manifest(&self.file, sequence) {
            Err(error) if error.is_not_found() && !replica.sequences()?.contains(&sequence) => {
                Err(StoreError::NoCheckpoint { place: self.place(), sequence })
            }
            read => read,
        };
        self.first_good(&self.reading_order(), read)
    }

    /// Returns the bytes of the manifest that `committed` was read from.
    ///
    /// Fails with [`StoreError::ManifestDamaged`] when they have been changed since.
    pub fn manifest_bytes(&self, committed: &Committed) -> Result<Bytes, StoreError> {
        self.first_good(&self.reading_order(), |replica| replica.manifest_bytes(committed))
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
        self.first_good(&self.reading_order(), |replica| replica.object(object))
    }

    /// Asks one of `replicas` after the other, and notes which could not answer. When none has a good answer, the
    /// first error counts that says more than that there is nothing.
    pub(super) fn first_good<T>(
        &self,
        replicas: &[usize],
        read: impl Fn(Replica<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut failed: Vec<(usize, StoreError)> = Vec::new();
        for &index in replicas {
            match read(self.replica(index)) {
                Ok(good) => {
                    for (other, error) in &failed {
                        self.fell_back(*other, error, index);
                    }
                    return Ok(good);
                }
                Err(error) => failed.push((index, error)),
            }
        }
        let absent = |error: &StoreError| error.is_not_found() || matches!(error, StoreError::NoCheckpoint { .. });
        // Damage says more than that a file is not there, and that more than that a checkpoint is not.
        let rank = |error: &StoreError| if error.is_not_found() { 1 } else { u8::from(absent(error)) * 2 };
        let worst = failed.into_iter().min_by_key(|(_, error)| rank(error)).map(|(_, error)| error);
        Err(worst.unwrap_or_else(|| StoreError::NoStore { place: self.place() }))
    }

    /// Notes that replica `index` failed where `other` did not. A replica that was lost or is behind has been told.
    fn fell_back(&self, index: usize, error: &StoreError, other: usize) {
        if self.health.lost(index).is_some() || matches!(error, StoreError::NoCheckpoint { .. }) {
            return;
        }
        let path = match error {
            StoreError::Damaged { path, .. }
            | StoreError::ManifestDamaged { path, .. }
            | StoreError::SumsDamaged { path }
            | StoreError::Manifest { path, .. }
            | StoreError::Mismatch { path, .. } => path.clone(),
            StoreError::Storage(error) => error.path().to_owned(),
            _ => self.replicas[index].place(),
        };
        let place = self.replicas[other].place();
        self.health.note(StoreNote::FellBack { path, reason: in_one_line(error), place });
    }
}
