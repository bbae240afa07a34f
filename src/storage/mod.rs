//! Bytes at relative paths: the little that a store needs of a disk or of object storage.
//!
//! Storage has never heard of a checkpoint. Every implementation passes the suite in `tests/storage.rs`.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::values::digest::Digest;
use crate::values::relpath::RelPath;

#[cfg(feature = "s3")]
pub mod bucket;
pub mod cache;
#[cfg(feature = "s3")]
mod copies;
pub mod durable;
pub mod error;
pub mod local;
pub mod memory;
pub mod place;
pub mod real_path;
#[cfg(feature = "s3")]
pub mod remote;
pub mod rename;
pub mod unusable;

pub use error::{BucketFault, StorageError};

/// How the names of temporary files and directories begin: those that are being written, or were when their writer
/// died. No name in a store begins so.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// A place that keeps bytes under relative paths.
///
/// Nothing that is read is cached, unless somebody asked for that, see [`place::open_cached`]. All methods may be called from several threads at once. No symbolic link below the
/// place is followed: a path that leads through one, or through a file, fails with [`StorageError::Link`] or
/// [`StorageError::NotADirectory`]. A
/// file that also has a name elsewhere can be read; writing to it replaces it by a file of its own.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Returns what messages call this place, such as the path of a directory.
    fn place(&self) -> String;

    /// Returns all bytes at `path`.
    ///
    /// Fails with [`StorageError::TooLarge`], before it allocates, if there are more than `limit`; with
    /// [`StorageError::NotFound`] if no such name exists; with [`StorageError::NotAFile`] for a directory, a symbolic
    /// link, a device or a FIFO, which are never read or waited for.
    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError>;

    /// Returns all bytes at `path`, which should have this SHA-256, as [`Storage::get`] does. A storage may return bytes
    /// with that SHA-256 from elsewhere, even if the file is damaged or missing.
    fn get_known(&self, path: &RelPath, limit: u64, sha256: Digest) -> Result<Bytes, StorageError> {
        let _ = sha256;
        self.get(path, limit)
    }

    /// Returns whether [`Storage::get`] answers without waiting for a server, as far as is known.
    fn is_at_hand(&self, path: &RelPath) -> bool {
        let _ = path;
        true
    }

    /// Returns the bytes in `range`, or fewer if the file ends before.
    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// Returns the last `bytes` bytes, or all if there are fewer.
    fn get_end(&self, path: &RelPath, bytes: u64) -> Result<Bytes, StorageError> {
        let size = self.size(path)?;
        self.get_range(path, size.saturating_sub(bytes)..size)
    }

    /// Hands up to `limit` bytes at `path` to `visit`, one piece after another, and returns how many there were.
    ///
    /// Takes memory for one piece. Fails as [`Storage::get`] does, except for the limit; `visit` may have got some
    /// pieces before.
    fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        // Fallback for storages without a cheaper way: one request per piece.
        const PIECE_BYTES: u64 = 1 << 20;
        let mut at = 0;
        loop {
            let piece = self.get_range(path, at..limit.min(at + PIECE_BYTES))?;
            if piece.is_empty() {
                return Ok(at);
            }
            visit(&piece);
            at += piece.len() as u64;
        }
    }

    /// Returns the size of the file at `path` in bytes.
    fn size(&self, path: &RelPath) -> Result<u64, StorageError>;

    /// Creates `path` with `bytes`, and the directories that lead to it, only if no such name exists.
    ///
    /// After a crash the name is either absent or complete; it is durable once [`Storage::sync`] has returned. Fails
    /// with [`StorageError::Exists`] if the name is taken, whatever its content.
    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError>;

    /// Creates the directory `path` with `files` in it, only if no such name exists. The first file is its root.
    ///
    /// It is durable on return. A file system puts it in place in one step: after a crash the directory is either absent
    /// or complete. In object storage it exists once its root does, and the other files follow: a crash may leave it
    /// without some of them. Fails with [`StorageError::Exists`] if the name is taken, and with
    /// [`StorageError::Unsettled`] if object storage does not say whether the root was created.
    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        // Where there are no directories.
        let outside = || StorageError::NotADirectory { path: format!("{}/{path}", self.place()) };
        let inside = |name: &str| path.join(name).ok().filter(|_| !name.contains('/')).ok_or_else(outside);
        let names = files.iter().map(|(name, _)| inside(name)).collect::<Result<Vec<RelPath>, _>>()?;
        for (number, (name, (_, bytes))) in names.iter().zip(files).enumerate() {
            if number == 0 { self.create(name, bytes) } else { self.replace(name, bytes) }?;
        }
        Ok(())
    }

    /// Writes `bytes` to `path`, replacing the file of that name.
    ///
    /// They are durable on return. After a crash the file is the old one or the new one, whole.
    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError>;

    /// Returns the entries of the directory `dir`, or of the root, sorted by name. A directory that does not exist is
    /// empty.
    ///
    /// Includes temporary names, see [`TEMPORARY_PREFIX`]. Fails with [`StorageError::Link`] if `dir` is a
    /// symbolic link, and with [`StorageError::NotADirectory`] if it is something else.
    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError>;

    /// Returns the directories in `dir` that exist, sorted by name: in object storage those with the file `root`, and its
    /// size and time.
    fn list_dirs(&self, dir: &RelPath, root: &str) -> Result<Vec<Entry>, StorageError> {
        if self.file_system().is_some() {
            let mut entries = self.list(Some(dir))?;
            entries.retain(|entry| entry.kind == EntryKind::Directory);
            return Ok(entries);
        }
        Ok(directories_of(self.list_deep(dir)?, root))
    }

    /// Returns those of [`Storage::list_dirs`] whose names come after `after`, by the order of their bytes. Object storage
    /// does not list the others, and a directory on a disk does not look at them.
    fn list_dirs_after(&self, dir: &RelPath, root: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
        let mut directories = self.list_dirs(dir, root)?;
        directories.retain(|entry| entry.name.as_str() > after);
        Ok(directories)
    }

    /// Returns all files below the directory `dir`, in no order, each named by its path from there.
    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        let mut files = Vec::new();
        for entry in self.list(Some(dir))? {
            match (entry.kind, dir.join(&entry.name)) {
                (EntryKind::File, _) => files.push(entry),
                (EntryKind::Directory, Ok(below)) => files.extend(self.list_deep(&below)?.into_iter().map(|inner| {
                    let name = format!("{}/{}", entry.name, inner.name);
                    Entry { name, ..inner }
                })),
                _ => {}
            }
        }
        Ok(files)
    }

    /// Deletes the file at `path`, or the symbolic link itself.
    ///
    /// Fails with [`StorageError::NotFound`] if it does not exist, which object storage does not notice, and with
    /// [`StorageError::NotAFile`] if it is a directory.
    fn delete(&self, path: &RelPath) -> Result<(), StorageError>;

    /// Deletes the files at `paths`, in object storage several at once. Those that do not exist are skipped.
    ///
    /// After an error, some of the others may be deleted.
    fn delete_all(&self, paths: &[RelPath]) -> Result<(), StorageError> {
        for path in paths {
            match self.delete(path) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Deletes the directory at `path` and the files in it. A crash may leave some of the files.
    ///
    /// Fails with [`StorageError::NotFound`] if it does not exist, which object storage does not notice. On a file system,
    /// also fails if it contains a directory.
    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        // Where there are no directories.
        let files = self.list_deep(path)?;
        self.delete_all(&files.iter().filter_map(|entry| path.join(&entry.name).ok()).collect::<Vec<_>>())
    }

    /// Fails if this user cannot write to the place: it is mounted read-only, or the permissions do not allow it. Writes
    /// nothing. A place that does not exist can be written to if it can be created.
    fn check_writable(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Proves, by writing, that the place keeps the promise of [`Storage::create`]: some servers ignore the condition. A
    /// writer calls it before it relies on the place.
    fn probe(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Flushes everything that was created or deleted so far, and every name that [`Storage::create`] found taken.
    fn sync(&self) -> Result<(), StorageError>;

    /// Flushes the names in the directory `dir`, or in the root, even those that another process created or deleted: it
    /// may have died before it flushed them. It is not an error if the directory does not exist.
    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        // Enough for a storage on which everything is durable at once.
        let _ = dir;
        Ok(())
    }

    /// Returns what this place can do besides, if it is a file system. Object storage is not one.
    fn file_system(&self) -> Option<&dyn FileSystem> {
        None
    }

    /// Accepts the place as it is now.
    ///
    /// A place that was gone may have come back on another disk. Until this is called it counts as gone, so that
    /// nothing is written to a wrong place, such as below a mount point without its disk.
    fn reopen(&self) {}
}

/// What only a file system does in one step. In object storage nothing is renamed, appended to or locked, and no time is
/// set: what needs one of these is done in another way there, see `docs/decisions/`.
pub trait FileSystem: Storage {
    /// Appends `bytes` to the file at `path`, which is created, with the directories that lead to it, if it does not
    /// exist.
    ///
    /// The bytes are durable on return. An error or a crash may leave some of them, or a longer file that begins with
    /// them.
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        // Enough for a storage in memory.
        let mut all = match self.get(path, u64::MAX) {
            Ok(found) => found.to_vec(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        all.extend_from_slice(bytes);
        self.replace(path, &all)
    }

    /// Renames a file or directory, and creates the directories that lead to `to`.
    ///
    /// The rename is durable on return. After a crash it has the old name, the new one or both. Fails with
    /// [`StorageError::NotFound`] if `from` does not exist, and with [`StorageError::Exists`] if `to` is taken.
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError>;

    /// Makes the file at `path` as new as a file created now, see [`Entry::modified_seconds`]. That need not be
    /// durable.
    ///
    /// Fails with [`StorageError::NotFound`] if it does not exist.
    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        // Enough for a storage without times.
        self.size(path).map(drop)
    }

    /// Takes the lock file at `path` until the guard is dropped or this process ends, and writes `holder` into it.
    ///
    /// Fails with [`StorageError::Held`] if someone else has it, in this process or in another. A dead process never
    /// holds a lock. The file stays when the lock is released. If there is no room for `holder`, the lock is taken
    /// without it.
    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError>;

    /// Does the same together with others: fails only if someone has taken it with [`FileSystem::lock`].
    fn lock_shared(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        // For a storage that only one process uses.
        self.lock(path, holder)
    }
}

/// Returns the directories that have a file `root`, sorted by name, with its size and time.
fn directories_of(files: Vec<Entry>, root: &str) -> Vec<Entry> {
    let directories = files.into_iter().filter_map(|entry| {
        let name = entry.name.strip_suffix(root)?.strip_suffix('/').filter(|name| !name.contains('/'))?;
        Some(Entry { name: name.to_owned(), kind: EntryKind::Directory, ..entry })
    });
    let mut directories: Vec<Entry> = directories.collect();
    directories.sort_unstable();
    directories
}

/// Holds a lock until it is dropped.
pub trait LockGuard: Send + fmt::Debug {}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name on disk, with `\xNN` in place of each byte that is not UTF-8. No [`RelPath`] has such a name.
    pub name: String,
    pub kind: EntryKind,
    /// The size of a file, otherwise 0.
    pub bytes: u64,
    /// When it was last changed, in seconds since 1970, if the storage knows.
    pub modified_seconds: Option<i64>,
}

impl Entry {
    /// Returns whether the name is one that a storage may have given to something that it was writing.
    pub fn has_temporary_name(&self) -> bool {
        self.name.starts_with(TEMPORARY_PREFIX) && RelPath::new(self.name.as_str()).is_ok()
    }
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    Directory,
    /// A symbolic link, a device, a FIFO or a socket.
    Other,
}
