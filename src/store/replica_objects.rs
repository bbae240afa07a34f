//! The objects of a replica: how they are read, written, and replaced when they are damaged.

use std::io;

use bytes::Bytes;

use crate::format::layout::{self, ObjectName};
use crate::format::manifest::ObjectRef;
use crate::storage::{FileSystem, LockGuard, StorageError};
use crate::store::error::StoreError;
use crate::store::replica::Replica;
use crate::values::digest::{Digest, Hasher};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// How often `put` replaces a damaged object before it gives up: other writers may be replacing it as well.
const MAX_PUT_ATTEMPTS: u32 = 5;

/// How long before the latest checkpoint an object may have been put in object storage so that it is certain, without a look,
/// that no prune deletes it, in seconds. Prunes spare five minutes: the clocks of the servers of a bucket may differ.
const SPARED_SECONDS: i64 = 60;

impl Replica {
    /// Returns an object whose bytes are what its name promises, whatever its size. Memory is bounded by the size of
    /// the file.
    ///
    /// Fails if the object was not read: it may be intact.
    pub fn intact_object(&self, object: ObjectName) -> Result<Option<Bytes>, StoreError> {
        let path = object.path();
        match self.storage().size(&path).and_then(|size| self.storage().get(&path, size)) {
            Ok(bytes) => Ok((Digest::of(&bytes) == object.digest).then_some(bytes)),
            Err(error) if error.is_inconclusive() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Reads an object and verifies it.
    pub(super) fn object(&self, object: ObjectRef) -> Result<Bytes, StoreError> {
        let path = object.object.path();
        let bytes = match self.storage().get_known(&path, object.bytes, object.object.digest) {
            Err(StorageError::TooLarge { found, .. }) => return Err(self.damaged(object, None, found)),
            read => read?,
        };
        self.check_bytes(object, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Hands the bytes of an object to `visit`, one piece after another, and verifies them meanwhile: they are those of
    /// the object only if this succeeds.
    pub(super) fn scan_object(&self, object: ObjectRef, visit: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        // What is fetched may also come from a cache or from another bucket.
        if self.is_remote() {
            visit(&self.object(object)?);
            return Ok(());
        }
        let path = object.object.path();
        let found_bytes = self.storage().size(&path)?;
        if found_bytes > object.bytes {
            return Err(self.damaged(object, None, found_bytes));
        }
        let mut hasher = Hasher::new();
        // The file may grow while it is read.
        let read = self.storage().scan(&path, object.bytes.saturating_add(1), &mut |piece| {
            hasher.update(piece);
            visit(piece);
        })?;
        self.check_bytes(object, hasher.finish(), read)
    }

    fn check_bytes(&self, object: ObjectRef, found: Digest, found_bytes: u64) -> Result<(), StoreError> {
        match found == object.object.digest && found_bytes == object.bytes {
            true => Ok(()),
            false => Err(self.damaged(object, Some(found), found_bytes)),
        }
    }

    fn damaged(&self, object: ObjectRef, found: Option<Digest>, found_bytes: u64) -> StoreError {
        StoreError::Damaged {
            path: self.shown(&object.object.path()),
            expected: object.object.digest,
            expected_bytes: object.bytes,
            found,
            found_bytes,
        }
    }

    /// Fails if an object is missing or has another size.
    pub(super) fn check_size(&self, object: ObjectRef) -> Result<(), StoreError> {
        let path = object.object.path();
        match self.storage().size(&path)? {
            found_bytes if found_bytes == object.bytes => Ok(()),
            found_bytes => Err(self.damaged(object, None, found_bytes)),
        }
    }

    /// Writes an object unless it exists and is intact, and tells whether it did.
    pub(super) fn put(&self, object: ObjectName, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = object.path();
        for _ in 0..MAX_PUT_ATTEMPTS {
            match self.storage().create(&path, bytes) {
                Ok(()) => return Ok(true),
                Err(StorageError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if self.is_object(&path, bytes)? {
                if self.is_remote() {
                    // Written again, it is as new as one that was just written.
                    self.storage().replace(&path, bytes)?;
                    return Ok(false);
                }
                if self.take_over(object)? {
                    return Ok(false);
                }
            } else {
                return self.replace_damaged(object, bytes);
            }
        }
        Err(StorageError::Exists { path: self.shown(&path) }.into())
    }

    /// Tells whether the file at `path` has these bytes. It may also be damaged, not a file, or gone.
    fn is_object(&self, path: &RelPath, bytes: &[u8]) -> Result<bool, StoreError> {
        match self.storage().get(path, bytes.len() as u64) {
            Err(error) if error.is_refusal() => Err(error.into()),
            found => Ok(found.is_ok_and(|found| found == bytes)),
        }
    }

    /// Writes an object in the place of a damaged or missing one, which is moved to `damaged/`. Tells whether it did: an
    /// object that another process has replaced meanwhile stays as it is.
    pub fn replace_damaged(&self, object: ObjectName, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = object.path();
        let _lock = self.lock_objects()?;
        if self.is_object(&path, bytes)? {
            return Ok(false);
        }
        let Some(file_system) = self.storage().file_system() else {
            self.keep_copy(&path, |number| layout::damaged(object, number))?;
            self.storage().replace(&path, bytes)?;
            return Ok(true);
        };
        Replica::set_aside(file_system, &path, |number| layout::damaged(object, number))?;
        match self.storage().create(&path, bytes) {
            // On a file system without locks, another process was faster.
            Err(StorageError::Exists { .. }) if self.is_object(&path, bytes)? => Ok(false),
            created => Ok(created.map(|()| true)?),
        }
    }

    /// Makes an object, which is about to be needed, as new as one that was just written: a prune that runs at the same
    /// time deletes only older ones. Tells whether the object exists.
    pub(super) fn take_over(&self, object: ObjectName) -> Result<bool, StoreError> {
        let path = object.path();
        let Some(file_system) = self.storage().file_system() else {
            // There a commit proves that what it builds on still exists, see `Store::adopt`.
            return match self.storage().size(&path) {
                Err(error) if error.is_inconclusive() => Err(error.into()),
                found => Ok(found.is_ok()),
            };
        };
        let _lock = self.lock_objects()?;
        match file_system.touch(&path) {
            Ok(()) => Ok(true),
            Err(StorageError::NotFound { .. } | StorageError::NotAFile { .. }) => Ok(false),
            // The file of another user, which this one may only replace.
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                let Some(bytes) = self.intact_object(object)? else { return Ok(false) };
                self.storage().replace(&path, &bytes)?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an object that is about to be needed as new as one that was just written, and fails if it is missing or has
    /// another size.
    pub(super) fn keep(&self, object: ObjectRef) -> Result<(), StoreError> {
        self.take_over(object.object)?;
        self.check_size(object)
    }

    /// Tells whether no prune in object storage can have deleted, or can still delete, what was put after checkpoint `since`
    /// was committed, as long as there is no newer checkpoint than now. All times are those of the server.
    pub(super) fn spares_since(&self, since: Sequence) -> Result<bool, StoreError> {
        let times = self.times_after(Sequence(since.0 - 1))?;
        let (Some(Some(then)), Some((_, Some(newest)))) = (times.get(&since), times.last_key_value()) else {
            return Ok(false);
        };
        // A manifest that was repaired or copied since is newer than those after it, and says nothing.
        Ok(times.values().is_sorted() && newest - then < SPARED_SECONDS)
    }

    /// Keeps objects from being deleted while one is taken over, and vice versa: see `ObjectsLock`.
    pub(super) fn lock_objects(&self) -> Result<Option<Box<dyn LockGuard>>, StoreError> {
        self.objects_lock().take(|name| self.lock(&layout::objects_lock_file(), name))
    }

    /// Moves the file at `path`, if it exists, to the first name of `name_of` that is free, where somebody can examine it.
    pub(crate) fn set_aside(
        file_system: &dyn FileSystem,
        path: &RelPath,
        name_of: impl Fn(u32) -> RelPath,
    ) -> Result<(), StoreError> {
        let mut number = 1;
        loop {
            match file_system.rename(path, &name_of(number)) {
                Err(StorageError::Exists { .. }) if number < u32::MAX => number += 1,
                Err(StorageError::NotFound { .. }) => return Ok(()),
                renamed => return Ok(renamed?),
            }
        }
    }

    /// Copies the file at `path`, if it exists, to the first name of `name_of` that is free, where somebody can examine
    /// it. One that nobody can read any more is skipped. Fails if it was not read, although it may be readable.
    pub(crate) fn keep_copy(&self, path: &RelPath, name_of: impl Fn(u32) -> RelPath) -> Result<(), StoreError> {
        let bytes = match self.storage().size(path).and_then(|size| self.storage().get(path, size)) {
            Ok(bytes) => bytes,
            Err(error @ StorageError::TooLarge { .. }) => return Err(error.into()),
            Err(error) if error.is_inconclusive() => return Err(error.into()),
            Err(_) => return Ok(()),
        };
        let mut number = 1;
        loop {
            match self.storage().create(&name_of(number), &bytes) {
                Err(StorageError::Exists { .. }) if number < u32::MAX => number += 1,
                created => return Ok(created?),
            }
        }
    }
}
