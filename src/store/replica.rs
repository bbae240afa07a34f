//! One of the places that a store is kept in, which knows nothing of the others.

use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use bytes::Bytes;

use crate::format::error::ManifestError;
use crate::format::layout::{self, CHECKPOINTS, MANIFEST_FILE, ObjectName, SUMS_FILE};
use crate::format::limits::MAX_SUMS_BYTES;
use crate::format::manifest::{Manifest, ObjectRef};
use crate::format::store_file::StoreFile;
use crate::storage::{EntryKind, LockGuard, Storage, StorageError};
use crate::store::{Committed, StoreError};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// How often a damaged object is set aside and written anew before a `put` gives up: others may be at it as well.
const MAX_PUT_ATTEMPTS: u32 = 5;

/// How long an object's taking over waits for a prune that deletes others.
const OBJECTS_PATIENCE: Duration = Duration::from_secs(60);
const OBJECTS_PAUSE: Duration = Duration::from_millis(2);

/// The two files of a checkpoint.
#[derive(Debug)]
pub(super) struct Root {
    /// The manifest.
    pub(super) committed: Committed,
    /// The bytes of `SHA256SUMS`.
    pub(super) sums: Bytes,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Replica<'a> {
    storage: &'a dyn Storage,
}

impl<'a> Replica<'a> {
    pub(super) fn new(storage: &'a dyn Storage) -> Replica<'a> {
        Replica { storage }
    }

    /// Returns what it stands on.
    pub(super) fn storage(self) -> &'a dyn Storage {
        self.storage
    }

    /// Reads `store.yaml`.
    pub(super) fn store_file(self) -> Result<StoreFile, StoreError> {
        let bytes = match self.storage.get(&layout::store_file(), Manifest::MAX_BYTES) {
            Err(StorageError::NotFound { .. }) => return Err(StoreError::NoStore { place: self.storage.place() }),
            read => self.bounded(&layout::store_file(), read)?,
        };
        StoreFile::from_yaml(&bytes).map_err(|source| self.unreadable(&layout::store_file(), source))
    }

    /// Fails when something is in the place of `store.yaml`.
    pub(super) fn check_no_store(self) -> Result<(), StoreError> {
        match self.storage.size(&layout::store_file()) {
            // A store that has lost only this file must not get another identity than its checkpoints have.
            Err(StorageError::NotFound { .. }) => match self.sequences()?.is_empty() {
                true => Ok(()),
                false => Err(StoreError::StoreFileGone { place: self.storage.place() }),
            },
            Err(error @ (StorageError::Io { .. } | StorageError::NotADirectory { .. })) => Err(error.into()),
            _ => Err(StoreError::StoreExists { place: self.storage.place() }),
        }
    }

    /// Writes `store.yaml`, for good.
    pub(super) fn create_store(self, file: &StoreFile) -> Result<(), StoreError> {
        match self.storage.create(&layout::store_file(), file.to_yaml().as_bytes()) {
            Err(StorageError::Exists { .. }) => Err(StoreError::StoreExists { place: self.storage.place() }),
            created => Ok(created.and_then(|()| self.storage.sync())?),
        }
    }

    /// Returns the numbers of the checkpoint directories, ascending.
    pub(super) fn sequences(self) -> Result<Vec<Sequence>, StoreError> {
        let checkpoints = layout::directory(CHECKPOINTS);
        let entries = self.storage.list(Some(&checkpoints))?;
        let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
        let mut sequences: Vec<Sequence> = directories.filter_map(|entry| entry.name.parse().ok()).collect();
        sequences.sort();
        Ok(sequences)
    }

    /// Reads a manifest and checks it against the last line of its `SHA256SUMS`, which is how a change of one that
    /// has no child shows.
    pub(super) fn manifest(self, file: &StoreFile, sequence: Sequence) -> Result<Committed, StoreError> {
        self.manifest_and_bytes(file, sequence).map(|(committed, _)| committed)
    }

    /// Does the same, and returns the bytes of the file as well.
    pub(super) fn manifest_and_bytes(
        self,
        file: &StoreFile,
        sequence: Sequence,
    ) -> Result<(Committed, Bytes), StoreError> {
        let path = layout::manifest(sequence);
        let bytes = self.bounded(&path, self.storage.get(&path, Manifest::MAX_BYTES))?;
        let (expected, found) = (self.manifest_sum(sequence)?, Digest::of(&bytes));
        if found != expected {
            return Err(StoreError::ManifestDamaged { path: self.shown(&path), expected, found });
        }
        let manifest = self.check_manifest(file, sequence, &bytes)?;
        Ok((Committed { manifest, sha256: found }, bytes))
    }

    /// Reads the bytes of a manifest that was read before.
    pub(super) fn manifest_bytes(self, committed: &Committed) -> Result<Bytes, StoreError> {
        let path = layout::manifest(committed.manifest.sequence);
        let bytes = self.bounded(&path, self.storage.get(&path, Manifest::MAX_BYTES))?;
        match Digest::of(&bytes) {
            found if found == committed.sha256 => Ok(bytes),
            found => Err(StoreError::ManifestDamaged { path: self.shown(&path), expected: committed.sha256, found }),
        }
    }

    /// Reads `bytes` as the manifest of checkpoint `sequence` of the store that `file` describes.
    pub(super) fn check_manifest(
        self,
        file: &StoreFile,
        sequence: Sequence,
        bytes: &[u8],
    ) -> Result<Manifest, StoreError> {
        let path = layout::manifest(sequence);
        let manifest = Manifest::from_yaml(bytes).map_err(|source| self.unreadable(&path, source))?;
        self.check(&path, "store", &file.store, &manifest.store)?;
        self.check(&path, "job", &file.job, &manifest.job)?;
        self.check(&path, "sequence", &sequence.0, &manifest.sequence.0)?;
        Ok(manifest)
    }

    /// Returns the SHA-256 that `SHA256SUMS` has for the manifest. Only the end is read: the list may be long.
    fn manifest_sum(self, sequence: Sequence) -> Result<Digest, StoreError> {
        let path = layout::sums(sequence);
        let size = self.storage.size(&path)?;
        let end = self.storage.get_range(&path, size.saturating_sub(layout::MANIFEST_SUM_BYTES + 1)..size)?;
        layout::parse_manifest_sum(&end).ok_or_else(|| StoreError::SumsDamaged { path: self.shown(&path) })
    }

    /// Reads an object and verifies it.
    pub(super) fn object(self, object: ObjectRef) -> Result<Bytes, StoreError> {
        let path = object.object.path();
        let damaged = |found, found_bytes| StoreError::Damaged {
            path: self.shown(&path),
            expected: object.object.digest,
            expected_bytes: object.bytes,
            found,
            found_bytes,
        };
        let bytes = match self.storage.get(&path, object.bytes) {
            Err(StorageError::TooLarge { found, .. }) => return Err(damaged(None, found)),
            read => read?,
        };
        let (found, found_bytes) = (Digest::of(&bytes), bytes.len() as u64);
        if found != object.object.digest || found_bytes != object.bytes {
            return Err(damaged(Some(found), found_bytes));
        }
        Ok(bytes)
    }

    /// Writes an object unless it is there and intact, and tells whether it did.
    pub(super) fn put(self, object: ObjectName, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = object.path();
        let mut attempt = 0;
        loop {
            match self.storage.create(&path, bytes) {
                Ok(()) => return Ok(true),
                Err(StorageError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            match self.storage.get(&path, bytes.len() as u64) {
                Ok(found) if found == bytes && self.take_over(&path)? => return Ok(false),
                Err(error @ StorageError::Io { .. }) => return Err(error.into()),
                // Damaged, no file at all, or gone since.
                _ => {}
            }
            attempt += 1;
            if attempt == MAX_PUT_ATTEMPTS {
                return Err(StorageError::Exists { path: self.shown(&path) }.into());
            }
            self.set_aside(object)?;
        }
    }

    /// Makes the object at `path`, which is about to be needed, as new as one that was just written: a prune beside
    /// this deletes only older ones. Tells whether it is there.
    pub(super) fn take_over(self, path: &RelPath) -> Result<bool, StoreError> {
        let _lock = self.lock_objects()?;
        match self.storage.touch(path) {
            Ok(()) => Ok(true),
            Err(StorageError::NotFound { .. } | StorageError::NotAFile { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps objects from being deleted while one is taken over, and the other way round. Nobody holds this for long.
    pub(super) fn lock_objects(self) -> Result<Option<Box<dyn LockGuard>>, StoreError> {
        let path = layout::objects_lock_file();
        let begun = Instant::now();
        loop {
            match self.storage.lock(&path, "") {
                Ok(guard) => return Ok(Some(guard)),
                Err(StorageError::Held { .. }) if begun.elapsed() < OBJECTS_PATIENCE => thread::sleep(OBJECTS_PAUSE),
                // No locks here, or no room for one: a prune leaves alone what a run may need by its age as well.
                Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::Unsupported => return Ok(None),
                Err(error) if error.is_full() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the manifest and the list of objects of checkpoint `sequence` in the directory `dir`, and checks that the
    /// one is what the other says.
    pub(super) fn root(self, file: &StoreFile, dir: &RelPath, sequence: Sequence) -> Result<Root, StoreError> {
        let path = layout::file_in(dir, MANIFEST_FILE);
        let bytes = self.bounded(&path, self.storage.get(&path, Manifest::MAX_BYTES))?;
        let sums_path = layout::file_in(dir, SUMS_FILE);
        let sums = self.storage.get(&sums_path, MAX_SUMS_BYTES)?;
        let damaged = || StoreError::SumsDamaged { path: self.shown(&sums_path) };
        let (expected, found) = (layout::parse_manifest_sum(&sums).ok_or_else(damaged)?, Digest::of(&bytes));
        if found != expected {
            return Err(StoreError::ManifestDamaged { path: self.shown(&path), expected, found });
        }
        let manifest = self.check_manifest(file, sequence, &bytes)?;
        Ok(Root { committed: Committed { manifest, sha256: found }, sums })
    }

    /// Moves what is in the place of `object` out of the way, and keeps it for whoever wants to know what happened.
    fn set_aside(self, object: ObjectName) -> Result<(), StoreError> {
        let mut number = 1;
        loop {
            match self.storage.rename(&object.path(), &layout::damaged(object, number)) {
                Err(StorageError::Exists { .. }) if number < u32::MAX => number += 1,
                Err(StorageError::NotFound { .. }) => return Ok(()),
                renamed => return Ok(renamed?),
            }
        }
    }

    pub(super) fn sync(self) -> Result<(), StoreError> {
        Ok(self.storage.sync()?)
    }

    /// Fails when the checkpoint is there.
    pub(super) fn check_free(self, sequence: Sequence) -> Result<(), StoreError> {
        match self.storage.size(&layout::manifest(sequence)) {
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(StoreError::NumberTaken { sequence }),
        }
    }

    /// Puts the directory of a checkpoint in place, for good.
    pub(super) fn commit(self, sequence: Sequence, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        self.storage.create_dir(&layout::checkpoint_dir(sequence), files)
    }

    /// Fails when `path` says something else than `expected`.
    pub(super) fn check<T: PartialEq + fmt::Display>(
        self,
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
    fn bounded(self, path: &RelPath, read: Result<Bytes, StorageError>) -> Result<Bytes, StoreError> {
        match read {
            Err(StorageError::TooLarge { limit, found, .. }) => {
                Err(self.unreadable(path, ManifestError::TooLarge { limit, found }))
            }
            read => Ok(read?),
        }
    }

    fn unreadable(self, path: &RelPath, source: ManifestError) -> StoreError {
        StoreError::Manifest { path: self.shown(path), source }
    }

    fn shown(self, path: &RelPath) -> String {
        format!("{}/{path}", self.storage.place())
    }
}
