//! Bytes at relative paths: the little that a store needs of a disk, or later of an object storage.
//!
//! Storage has never heard of a checkpoint. Every implementation passes the suite in `tests/storage.rs`.

use std::fmt;
use std::io;
use std::ops::Range;

use bytes::Bytes;

use crate::values::relpath::RelPath;

pub mod durable;
pub mod local;
pub mod memory;

/// How the names of files and directories begin that are being written, or were when their writer died. No name of a
/// store begins so.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// A place that keeps bytes under relative paths.
///
/// What is read is never cached. All calls may come from several threads at once. No symbolic link below the place is
/// followed: a path that leads through one, or through a file, fails with [`StorageError::NotADirectory`]. A file that has a second name elsewhere is
/// read, and replaced by one of its own where something is written to it.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Returns what to call this place in messages: a directory's path.
    fn place(&self) -> String;

    /// Returns all bytes at `path`.
    ///
    /// Fails with [`StorageError::TooLarge`], before it allocates, when there are more than `limit`; with
    /// [`StorageError::NotFound`] when there is no such name; with [`StorageError::NotAFile`] when it is a directory,
    /// a symbolic link, a device or a FIFO, which are never read or waited for.
    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError>;

    /// Returns the bytes in `range`, or fewer where the file ends before it does.
    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// Hands the first `limit` bytes at `path` to `visit`, or all where there are fewer, a piece at a time, and returns how many these were.
    ///
    /// Takes memory for one piece. Fails as [`Storage::get`] does, but for the limit; some pieces may have been handed out before.
    fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        // For storages that can no better: a piece is one request.
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

    /// Creates `path` with `bytes`, and its directories, only if no such name exists.
    ///
    /// After a crash at any time the name is absent or complete; once [`Storage::sync`] has returned it is there for
    /// good. Fails with [`StorageError::Exists`] when the name is taken, whatever its content.
    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError>;

    /// Creates the directory `path` holding `files`, all of it or nothing, and only if no such name exists.
    ///
    /// On return it is there for good. After a crash the directory is absent or complete.
    /// Fails with [`StorageError::Exists`] when the name is taken.
    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError>;

    /// Puts `bytes` at `path`, in place of the file that is there.
    ///
    /// On return they are there for good; after a crash it is the old or the new, whole.
    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError>;

    /// Appends `bytes` to the file at `path`, which is made, with its directories, when it is not there.
    ///
    /// On return the bytes are there for good. An error or a crash may leave some of them, or a longer file of the same beginning.
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        // For storages that can not: whoever appends keeps its files small.
        let mut all = match self.get(path, u64::MAX) {
            Ok(found) => found.to_vec(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        all.extend_from_slice(bytes);
        self.replace(path, &all)
    }

    /// Renames a file or directory within the storage, for good on return, and makes the directories that lead to
    /// `to`. After a crash it has the old name, the new one or both.
    ///
    /// Fails with [`StorageError::NotFound`] when there is no `from`, with [`StorageError::Exists`] when `to` is
    /// taken.
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError>;

    /// Returns what stands directly in the directory `dir`, or in the root, sorted by name. A directory that is not
    /// there is empty.
    ///
    /// Names of things being written are among them, see [`TEMPORARY_PREFIX`]. Fails with
    /// [`StorageError::NotADirectory`] when `dir` is something else.
    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError>;

    /// Deletes the file at `path`, or the symbolic link itself.
    ///
    /// Fails with [`StorageError::NotFound`] when it is not there, with [`StorageError::NotAFile`] when it is a
    /// directory.
    fn delete(&self, path: &RelPath) -> Result<(), StorageError>;

    /// Deletes the directory at `path` and the files in it. A crash may leave some of the files.
    ///
    /// Fails with [`StorageError::NotFound`] when it is not there, and when it holds a directory.
    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError>;

    /// Makes the file at `path` as new as one that was just created, see [`Entry::modified_seconds`]. It need not last.
    ///
    /// Fails with [`StorageError::NotFound`] when it is not there.
    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        // Enough for a storage that does not know times.
        self.size(path).map(drop)
    }

    /// Makes everything last that was created or deleted so far, and every name that [`Storage::create`] found taken.
    fn sync(&self) -> Result<(), StorageError>;

    /// Makes the names in the directory `dir`, or in the root, last as they are, whoever made or removed them: another process may have died
    /// before it flushed them. A directory that is not there is no error.
    fn settle(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        // Enough for a storage on which everything lasts.
        let _ = dir;
        Ok(())
    }

    /// Takes the place for what it is now. One that was gone may have come back on another disk; until this is called it
    /// counts as gone, so that nothing is written in a wrong place, such as below a mount point that has lost its disk.
    fn reopen(&self) {}

    /// Takes the lock file at `path` for as long as the guard lives, or this process does, and writes `holder` into
    /// it.
    ///
    /// Fails with [`StorageError::Held`] when somebody else has it, in this process or another. A dead process never
    /// holds a lock. The file stays when the lock is let go. Where there is no room for `holder`, the lock is taken
    /// without it.
    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError>;
}

/// Holds a lock until it is dropped.
pub trait LockGuard: Send + fmt::Debug {}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, as found on disk; what is no UTF-8 is replaced, and no [`RelPath`] can be made of it.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes, for a file.
    pub bytes: u64,
    /// When it was last changed, in seconds since 1970, where the storage knows.
    pub modified_seconds: Option<i64>,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a device, a FIFO or a socket.
    Other,
}

/// What went wrong at a path.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is nothing of that name.
    #[error("`{path}` is not there")]
    NotFound {
        /// The path, with the place.
        path: String,
    },
    /// The name is taken.
    #[error("`{path}` exists already")]
    Exists {
        /// The path, with the place.
        path: String,
    },
    /// It is not a regular file.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// The path, with the place.
        path: String,
    },
    /// It, or something on the way to a path, is not a directory.
    #[error("`{path}` is not a directory")]
    NotADirectory {
        /// What is not one, with the place.
        path: String,
    },
    /// It is larger than the caller allows.
    #[error("`{path}` has {found} bytes, expected at most {limit}")]
    TooLarge {
        /// The path, with the place.
        path: String,
        /// The caller's limit in bytes.
        limit: u64,
        /// Its size in bytes.
        found: u64,
    },
    /// The place itself was there before, and is not any more.
    #[error("`{path}` is gone, or another directory is in its place")]
    Gone {
        /// The place.
        path: String,
    },
    /// The lock is taken.
    #[error("`{path}` is locked by {holder}")]
    Held {
        /// The path, with the place.
        path: String,
        /// Who holds it, in its own words.
        holder: String,
    },
    /// The system said no.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried: `read`, `write`, `flush`, `list`, `delete`, `rename`, `lock`.
        action: &'static str,
        /// The path, with the place.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StorageError {
    /// Tells whether the error is that there is no such name.
    pub fn is_not_found(&self) -> bool {
        matches!(self, StorageError::NotFound { .. })
    }

    /// Returns what it is about, with the place.
    pub fn path(&self) -> &str {
        match self {
            StorageError::NotFound { path }
            | StorageError::Gone { path }
            | StorageError::Exists { path }
            | StorageError::NotAFile { path }
            | StorageError::NotADirectory { path }
            | StorageError::TooLarge { path, .. }
            | StorageError::Held { path, .. }
            | StorageError::Io { path, .. } => path,
        }
    }

    /// Tells whether the error is that there is no room left.
    pub fn is_full(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, StorageError::Io { source, .. } if full(source.kind()))
    }

    /// Tells whether the error is that the name is taken.
    pub fn is_exists(&self) -> bool {
        matches!(self, StorageError::Exists { .. })
    }
}
