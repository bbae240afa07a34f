//! The directory of a storage, and opening what is in it without following any symbolic link.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::storage::durable::make_directory;
use crate::storage::error::StorageError;
use crate::storage::local::directory::{DIRECTORY, READ, open_beneath};
use crate::values::lock::lock;
use crate::values::relpath::RelPath;

/// The root of a storage.
///
/// The root may be a symbolic link. Once it has existed it is never created again, and no other directory is accepted
/// in its place: it may be on a disk that was removed and will come back.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    /// The root as it was when it was first seen. It stays open: some file systems give a directory that nobody has
    /// open another number.
    known: Mutex<Option<OwnedFd>>,
}

impl Root {
    pub(super) fn new(path: PathBuf) -> Root {
        Root { path, known: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets which directory the root was.
    pub(super) fn reopen(&self) {
        *self.known() = None;
    }

    pub(super) fn on_disk(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(path) }
    }

    /// Returns what messages call `path`.
    pub(super) fn shown(&self, path: &str) -> String {
        self.on_disk(path).display().to_string()
    }

    fn known(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        lock(&self.known)
    }

    /// Opens the root itself.
    pub(super) fn open(&self) -> Result<OwnedFd, Errno> {
        // Unlike everything below it, the root may be a symbolic link.
        let opened = rustix::fs::open(&self.path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?;
        let mut known = self.known();
        let known = match &mut *known {
            Some(known) => known,
            none => none.insert(rustix::io::fcntl_dupfd_cloexec(&opened, 0)?),
        };
        if identity(&rustix::fs::fstat(&*known)?) == identity(&rustix::fs::fstat(&opened)?) {
            Ok(opened)
        } else {
            // The system itself says this about a directory that a server has replaced.
            Err(Errno::STALE)
        }
    }

    /// Opens the root after creating it, with the directories above it, if it has never existed.
    pub(super) fn open_or_make(&self) -> io::Result<OwnedFd> {
        match self.open() {
            Err(Errno::NOENT) if self.known().is_none() => {
                make_directory(&self.path)?;
                Ok(self.open()?)
            }
            opened => Ok(opened?),
        }
    }

    /// Returns whether the root existed and no longer does.
    fn is_gone(&self) -> bool {
        let known = self.known();
        let Some(found) = known.as_ref().and_then(|known| rustix::fs::fstat(known).ok()) else {
            return known.is_some();
        };
        !rustix::fs::stat(&self.path).is_ok_and(|now| identity(&now) == identity(&found))
    }

    /// Returns whether the root is a symbolic link to something that does not exist, perhaps not mounted.
    fn leads_nowhere(&self) -> bool {
        self.path.is_symlink() && matches!(self.path.try_exists(), Ok(false))
    }

    pub(super) fn open_dir(&self, action: &'static str, dir: &str) -> Result<OwnedFd, StorageError> {
        self.open()
            .and_then(|root| if dir.is_empty() { Ok(root) } else { open_beneath(root.as_fd(), dir, DIRECTORY) })
            .map_err(|source| self.failed_dir(action, dir, source))
    }

    /// Opens the directory that `path` is in. Without it there is no `path` either, and the error says so.
    pub(super) fn open_parent(&self, action: &'static str, path: &RelPath) -> Result<OwnedFd, StorageError> {
        self.open_dir(action, split(path).0).map_err(|error| match error {
            StorageError::NotFound { .. } => self.failed(action, path.as_str(), Errno::NOENT),
            error => error,
        })
    }

    /// Opens the regular file at `path` for reading, and returns its size as well.
    pub(super) fn open_file(&self, path: &RelPath) -> Result<(File, u64), StorageError> {
        let failed = |source| self.failed("read", path.as_str(), source);
        let opened = self.open().and_then(|root| open_beneath(root.as_fd(), path.as_str(), READ));
        let file = File::from(opened.map_err(|source| failed(source.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(StorageError::NotAFile { path: self.shown(path.as_str()) });
        }
        Ok((file, found.len()))
    }

    /// Turns what the system said about `path` into an error that callers can tell from others.
    pub(super) fn failed(&self, action: &'static str, path: &str, source: impl Into<io::Error>) -> StorageError {
        let source = source.into();
        let shown = self.shown(path);
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::STALE) if self.is_gone() || self.leads_nowhere() => {
                StorageError::Gone { path: self.shown("") }
            }
            Some(Errno::NOENT) => StorageError::NotFound { path: shown },
            Some(Errno::EXIST | Errno::NOTEMPTY) => StorageError::Exists { path: shown },
            Some(Errno::ISDIR | Errno::NXIO) => StorageError::NotAFile { path: shown },
            Some(Errno::LOOP | Errno::NOTDIR) => match self.first_non_directory(path) {
                Some(path) if is_link(&path) => StorageError::Link { path },
                Some(path) => StorageError::NotADirectory { path },
                None => StorageError::NotAFile { path: shown },
            },
            _ => StorageError::Io { action, path: shown, source },
        }
    }

    /// Does the same for `dir`, which should be a directory.
    pub(super) fn failed_dir(&self, action: &'static str, dir: &str, source: impl Into<io::Error>) -> StorageError {
        match self.failed(action, dir, source) {
            StorageError::NotAFile { path } if is_link(&path) => StorageError::Link { path },
            StorageError::NotAFile { path } => StorageError::NotADirectory { path },
            error => error,
        }
    }

    /// Returns the first name on the way to `path` that should be a directory and is not.
    fn first_non_directory(&self, path: &str) -> Option<String> {
        if !fs::metadata(&self.path).is_ok_and(|found| found.is_dir()) {
            return Some(self.shown(""));
        }
        ancestors(path)
            .find(|way| !fs::symlink_metadata(self.on_disk(way)).is_ok_and(|found| found.is_dir()))
            .map(|way| self.shown(way))
    }
}

/// Tells whether `path` is a symbolic link to a directory: one that leads elsewhere is damage like any other.
fn is_link(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) && fs::metadata(path).is_ok_and(|it| it.is_dir())
}

/// Returns what distinguishes a file or directory from all others.
fn identity(found: &rustix::fs::Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

/// Returns the directories that lead to `path`, the outermost first, without the root.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Returns the directory of `path`, which is empty for the root, and the name in it.
pub(super) fn split(path: &RelPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}
