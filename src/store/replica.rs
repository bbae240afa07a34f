//! One copy of a store, which knows nothing of the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;

use crate::format::error::ManifestError;
use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, PRUNED, SUMS_FILE};
use crate::format::manifest::Manifest;
use crate::format::store_file::StoreFile;
use crate::storage::{FileSystem, LockGuard, Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::objects_lock::ObjectsLock;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::relpath::RelPath;

/// Numbers below this one begin with a zero in a name, so all larger ones come after them in a listing.
const LISTED_IN_ORDER: Sequence = Sequence(10_000_000);

/// One copy of a store.
#[derive(Debug, Clone)]
pub struct Replica {
    storage: Arc<dyn Storage>,
    objects_lock: ObjectsLock,
}

impl Replica {
    pub fn new(storage: Arc<dyn Storage>) -> Replica {
        Replica { storage, objects_lock: ObjectsLock::default() }
    }

    pub(super) fn objects_lock(&self) -> &ObjectsLock {
        &self.objects_lock
    }

    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Tells whether the replica is in object storage, where nothing is locked or renamed.
    pub fn is_remote(&self) -> bool {
        self.storage.file_system().is_none()
    }

    /// Returns where the replica is, for messages.
    pub fn place(&self) -> String {
        self.storage.place()
    }

    /// Returns all bytes of a file, see [`Storage::get`].
    pub fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.storage.get(path, limit)
    }

    /// Returns the size of a file in bytes.
    pub fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.storage.size(path)
    }

    /// Returns the numbers of the checkpoints, ascending: on a file system of their directories, with a manifest or
    /// without.
    ///
    /// In object storage a pruned checkpoint is also in `pruned/` until it is deleted.
    pub fn sequences(&self) -> Result<Vec<Sequence>, StoreError> {
        let mut sequences = self.sequences_in(CHECKPOINTS)?;
        if self.is_remote() && !sequences.is_empty() {
            let pruned = self.sequences_in(PRUNED)?;
            sequences.retain(|sequence| pruned.binary_search(sequence).is_err());
        }
        Ok(sequences)
    }

    /// Returns the numbers that directories in `directory` have, ascending.
    pub(super) fn sequences_in(&self, directory: &'static str) -> Result<Vec<Sequence>, StoreError> {
        let directory = layout::directory(directory);
        let directories = self.storage.list_dirs(&directory, MANIFEST_FILE)?;
        let mut sequences: Vec<Sequence> = directories.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// Returns whether a checkpoint with a number above `sequence` is in `checkpoints/`.
    pub(super) fn has_newer(&self, sequence: Sequence) -> Result<bool, StoreError> {
        Ok(self.newest_after(sequence)?.is_some())
    }

    /// Returns the highest number in `checkpoints/`, if it is above `sequence`.
    pub(super) fn newest_after(&self, sequence: Sequence) -> Result<Option<Sequence>, StoreError> {
        Ok(self.times_after(sequence)?.into_keys().next_back())
    }

    /// Returns the numbers above `sequence` in `checkpoints/`, with the times at which they were committed, in seconds by the
    /// clock of the storage.
    pub(super) fn times_after(&self, sequence: Sequence) -> Result<BTreeMap<Sequence, Option<i64>>, StoreError> {
        let directory = layout::directory(CHECKPOINTS);
        // Nine digits may come before eight.
        let after = if sequence < LISTED_IN_ORDER { sequence.to_string() } else { String::new() };
        let directories = self.storage.list_dirs_after(&directory, MANIFEST_FILE, &after)?;
        let numbers = directories.iter().filter_map(|entry| Some((entry.name.parse().ok()?, entry.modified_seconds)));
        Ok(numbers.filter(|(number, _)| *number > sequence).collect())
    }

    /// Reads `store.yaml`.
    pub(super) fn store_file(&self) -> Result<StoreFile, StoreError> {
        let path = layout::store_file();
        let bytes = match self.storage.get(&path, Manifest::MAX_BYTES) {
            Err(StorageError::NotFound { .. }) => return Err(StoreError::NoStore { place: self.place() }),
            read => self.bounded(&path, read)?,
        };
        StoreFile::from_yaml(&bytes).map_err(|source| self.unreadable(&path, source))
    }

    /// Checks that `file`, which was found here, is of the store that `expected` describes.
    pub(super) fn check_store_file(&self, expected: &StoreFile, file: &StoreFile) -> Result<(), StoreError> {
        self.check(&layout::store_file(), "store", &expected.store, &file.store)?;
        self.check(&layout::store_file(), "job", &expected.job, &file.job)
    }

    /// Fails if anything is in the place of `store.yaml`.
    pub(super) fn check_no_store(&self) -> Result<(), StoreError> {
        match self.storage.size(&layout::store_file()) {
            // A store that has lost only this file must not get another identity than its checkpoints have.
            Err(StorageError::NotFound { .. }) if self.sequences()?.is_empty() => Ok(()),
            Err(StorageError::NotFound { .. }) => Err(StoreError::StoreFileGone { place: self.place() }),
            Err(error @ StorageError::NotADirectory { .. }) => Err(error.into()),
            Err(error) if error.is_refusal() => Err(error.into()),
            _ => Err(StoreError::StoreExists { place: self.place() }),
        }
    }

    /// Writes `store.yaml`, durably.
    pub(super) fn create_store(&self, file: &StoreFile) -> Result<(), StoreError> {
        match self.storage.create(&layout::store_file(), file.to_yaml().as_bytes()) {
            Err(StorageError::Exists { .. }) => Err(StoreError::StoreExists { place: self.place() }),
            created => Ok(created.and_then(|()| self.storage.sync())?),
        }
    }

    /// Takes the lock file at `path`, see [`FileSystem::lock`]. Returns nothing where
    /// there are no locks.
    pub(super) fn lock(&self, path: &RelPath, holder: &str) -> Result<Option<Box<dyn LockGuard>>, StorageError> {
        self.lock_with(|file_system| file_system.lock(path, holder))
    }

    /// Takes the lock file at `path` together with others, see [`FileSystem::lock_shared`].
    pub(super) fn lock_shared(&self, path: &RelPath, holder: &str) -> Result<Option<Box<dyn LockGuard>>, StorageError> {
        self.lock_with(|file_system| file_system.lock_shared(path, holder))
    }

    fn lock_with(
        &self,
        take: impl Fn(&dyn FileSystem) -> Result<Box<dyn LockGuard>, StorageError>,
    ) -> Result<Option<Box<dyn LockGuard>>, StorageError> {
        let Some(file_system) = self.storage.file_system() else { return Ok(None) };
        match take(file_system) {
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::Unsupported => Ok(None),
            locked => locked.map(Some),
        }
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.storage.sync()?)
    }

    /// Fails if the checkpoint exists.
    pub(super) fn check_free(&self, sequence: Sequence) -> Result<(), StoreError> {
        match self.storage.size(&layout::manifest(sequence)) {
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(StoreError::NumberTaken { sequence }),
        }
    }

    /// Puts the directory of a checkpoint in place, durably.
    pub(super) fn commit(&self, sequence: Sequence, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        self.storage.create_dir(&layout::checkpoint_dir(sequence), files)
    }

    /// Does the same where other workers may commit at the same time. Fails with [`StoreError::NumberTaken`] if the number
    /// was used before, even if its checkpoint was pruned since.
    ///
    /// The latest checkpoint is never pruned, and workers commit one after another. So a number after that of the latest
    /// is free, and was never used.
    pub(super) fn commit_after_all(&self, sequence: Sequence, files: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let _lock = self.lock_objects()?;
        match self.has_newer(Sequence(sequence.0 - 1))? {
            true => Err(StoreError::NumberTaken { sequence }),
            false => Ok(self.commit(sequence, files)?),
        }
    }

    /// Does the same as [`Replica::commit`], and in object storage returns whether a checkpoint with a higher number exists now, see
    /// [`Replica::has_newer`].
    pub(super) fn commit_and_look(&self, sequence: Sequence, manifest: &[u8], sums: &[u8]) -> Result<bool, StoreError> {
        let (root, sums) = ((MANIFEST_FILE, manifest), (SUMS_FILE, sums));
        if !self.is_remote() {
            return Ok(self.commit(sequence, &[root, sums]).map(|()| false)?);
        }
        self.commit(sequence, &[root])?;
        // Both come after the manifest, and share a round trip.
        let write_sums = || self.storage.replace(&layout::sums(sequence), sums.1);
        let (written, has_newer) = parallel::both(write_sums, || self.has_newer(sequence));
        written?;
        has_newer
    }

    /// Fails if `found`, which `path` says, is not `expected`.
    fn check<T: PartialEq + fmt::Display>(
        &self,
        path: &RelPath,
        field: &'static str,
        expected: &T,
        found: &T,
    ) -> Result<(), StoreError> {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(StoreError::Mismatch { path: self.shown(path), field, expected, found })
    }

    /// Turns the storage's refusal of a document that is too large into the format's.
    pub(super) fn bounded(&self, path: &RelPath, read: Result<Bytes, StorageError>) -> Result<Bytes, StoreError> {
        match read {
            Err(StorageError::TooLarge { limit, found, .. }) => {
                Err(self.unreadable(path, ManifestError::TooLarge { limit, found }))
            }
            read => Ok(read?),
        }
    }

    pub(super) fn unreadable(&self, path: &RelPath, source: ManifestError) -> StoreError {
        StoreError::Manifest { path: self.shown(path), source }
    }

    /// Returns a path with the replica's place, for messages.
    pub(super) fn shown(&self, path: &RelPath) -> String {
        format!("{}/{path}", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::MemoryStorage;

    #[test]
    fn a_newer_checkpoint_is_found_whatever_the_length_of_its_number() {
        let numbers = [42, 9_999_999, 10_000_000, 99_999_999, 100_000_000].map(Sequence);
        for latest in 1..numbers.len() {
            let storage = MemoryStorage::new();
            for &number in &numbers[..=latest] {
                storage.create_dir(&layout::checkpoint_dir(number), &[(MANIFEST_FILE, b"x")]).unwrap();
            }
            let replica = Replica::new(Arc::new(storage));
            for &number in &numbers[..=latest] {
                let newest = Some(numbers[latest]).filter(|newest| *newest > number);
                assert_eq!(replica.newest_after(number).unwrap(), newest, "{number}");
            }
        }
    }
}
