//! A directory of the local file system.
//!
//! New bytes are written under a temporary name that begins with [`TEMPORARY_PREFIX`](super::TEMPORARY_PREFIX),
//! flushed, and put in place by a rename that refuses a taken name. Temporary files that a crash leaves behind are
//! never read, and may be deleted while no run holds the lock.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use crate::storage::local::directory::{remove_directory, temporary_name, write_new, write_new_directory};
use crate::storage::local::flush::Flusher;
use crate::storage::local::lock::{LocalLock, LockMode};
use crate::storage::local::root::{Root, split};
use crate::storage::rename::rename_new;
use crate::storage::{Entry, EntryKind, FileSystem, LockGuard, Storage, StorageError};
use crate::values::relpath::RelPath;

mod directory;
mod flush;
mod list;
mod lock;
mod read;
mod root;

pub use lock::holder;

const APPEND: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::CREATE)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The largest file with other names that is copied before something is appended to it, in bytes.
const MAX_UNSHARED_BYTES: u64 = 64 << 20;

/// Keeps bytes in files below a directory, which is created with the first of them.
///
/// The directory itself may be a symbolic link; no symbolic link inside it is followed. Once it has existed it is never
/// created again, and no other directory is accepted in its place: it may be on a disk that was removed and will come
/// back.
#[derive(Debug)]
pub struct LocalStorage {
    root: Root,
    flusher: Flusher,
}

impl LocalStorage {
    /// Returns a storage for the directory `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> LocalStorage {
        LocalStorage { root: Root::new(root.into()), flusher: Flusher::default() }
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    #[cfg(test)]
    fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    fn make_dir(&self, action: &'static str, dir: &str) -> Result<OwnedFd, StorageError> {
        self.flusher.make_dir(&self.root, action, dir)
    }

    /// Writes `bytes` to a new temporary file in `dir`, flushes it, and returns its name.
    fn write_temporary(&self, dir: BorrowedFd<'_>, path: &RelPath, bytes: &[u8]) -> Result<String, StorageError> {
        let name = temporary_name();
        write_new(dir, &name, bytes).map_err(|source| {
            let _ = rustix::fs::unlinkat(dir, name.as_str(), AtFlags::empty());
            self.root.failed("write", path.as_str(), source)
        })?;
        Ok(name)
    }
}

impl Storage for LocalStorage {
    fn place(&self) -> String {
        self.root.path().display().to_string()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        read::whole(&self.root, path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        read::range(&self.root, path, range)
    }

    fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        read::scan(&self.root, path, limit, visit)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.root.open_file(path).map(|(_, size)| size)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        // The name may exist because of a process that died before it flushed the directory.
        self.flusher.touch(parent);
        if rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StorageError::Exists { path: self.root.shown(path.as_str()) });
        }
        let temporary = self.write_temporary(dir.as_fd(), path, bytes)?;
        let renamed = rename_new(dir.as_fd(), temporary.as_ref(), dir.as_fd(), name.as_ref());
        self.flusher.touch(parent);
        renamed.map_err(|source| {
            let _ = rustix::fs::unlinkat(&dir, temporary.as_str(), AtFlags::empty());
            self.root.failed("write", path.as_str(), source)
        })
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let failed = |source: io::Error| self.root.failed("write", path.as_str(), source);
        if files.iter().any(|(name, _)| name.contains('/') || path.join(name).is_err()) {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        if rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StorageError::Exists { path: self.root.shown(path.as_str()) });
        }
        let temporary = temporary_name();
        let placed = write_new_directory(dir.as_fd(), &temporary, files)
            .and_then(|()| Ok(rename_new(dir.as_fd(), temporary.as_ref(), dir.as_fd(), name.as_ref())?));
        if let Err(source) = placed {
            remove_directory(dir.as_fd(), &temporary, files);
            return Err(failed(source));
        }
        self.flusher.flush_now(&self.root, parent)
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        let temporary = self.write_temporary(dir.as_fd(), path, bytes)?;
        if let Err(source) = rustix::fs::renameat(&dir, temporary.as_str(), &dir, name) {
            let _ = rustix::fs::unlinkat(&dir, temporary.as_str(), AtFlags::empty());
            return Err(self.root.failed("write", path.as_str(), source));
        }
        self.flusher.flush_now(&self.root, parent)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        list::entries(&self.root, dir.map_or("", RelPath::as_str), "")
    }

    fn list_dirs_after(&self, dir: &RelPath, _root: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
        let mut directories = list::entries(&self.root, dir.as_str(), after)?;
        directories.retain(|entry| entry.kind == EntryKind::Directory);
        Ok(directories)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let failed = |source: Errno| self.root.failed("delete", path.as_str(), source);
        let dir = self.root.open_parent("delete", path)?;
        let found = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(failed(Errno::ISDIR));
        }
        rustix::fs::unlinkat(&dir, name, AtFlags::empty()).map_err(failed)?;
        self.flusher.touch(parent);
        Ok(())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let failed = |source: io::Error| self.root.failed("delete", path.as_str(), source);
        let dir = self.root.open_dir("delete", path.as_str())?;
        for name in list::names(dir.as_fd()).map_err(|error| failed(error.into()))? {
            match rustix::fs::unlinkat(&dir, name.as_c_str(), AtFlags::empty()) {
                Err(Errno::NOENT) => {}
                result => result.map_err(|source| {
                    self.root.failed("delete", &format!("{path}/{}", name.to_string_lossy()), source)
                })?,
            }
        }
        let above = self.root.open_parent("delete", path)?;
        rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR).map_err(|source| failed(source.into()))?;
        self.flusher.touch(parent);
        Ok(())
    }

    fn check_writable(&self) -> Result<(), StorageError> {
        let existing = self.root.path().ancestors().find(|path| path.exists());
        // A relative path whose first name does not exist is created in the current directory.
        let path = existing.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::accessat(rustix::fs::CWD, path, access, AtFlags::EACCESS)
            .map_err(|source| self.root.failed("write", "", source))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.flusher.flush_all(&self.root)
    }

    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        self.flusher.flush_now(&self.root, dir.map_or("", RelPath::as_str))
    }

    fn reopen(&self) {
        self.root.reopen();
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        Some(self)
    }
}

impl FileSystem for LocalStorage {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let failed = |source: io::Error| self.root.failed("write", path.as_str(), source);
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        let is_new = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_err();
        let opened = rustix::fs::openat(&dir, name, APPEND, Mode::from_raw_mode(0o666));
        let mut file = File::from(opened.map_err(|source| failed(source.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(StorageError::NotAFile { path: self.root.shown(path.as_str()) });
        }
        if found.nlink() > 1 {
            // It has the bytes of another file too, which must stay as it is.
            let mut all = self.get(path, MAX_UNSHARED_BYTES)?.to_vec();
            all.extend_from_slice(bytes);
            return self.replace(path, &all);
        }
        file.write_all(bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        if is_new { self.flusher.flush_now(&self.root, parent) } else { Ok(()) }
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let ((from_parent, from_name), (to_parent, to_name)) = (split(from), split(to));
        let failed = |source: Errno| self.root.failed("rename", from.as_str(), source);
        let from_dir = self.root.open_parent("rename", from)?;
        rustix::fs::statat(&from_dir, from_name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let to_dir = self.make_dir("rename", to_parent)?;
        rename_new(from_dir.as_fd(), from_name.as_ref(), to_dir.as_fd(), to_name.as_ref()).map_err(|source| {
            match source {
                Errno::EXIST | Errno::NOTEMPTY => self.root.failed("rename", to.as_str(), source),
                source => failed(source),
            }
        })?;
        // The new name before the old one is gone: a crash between the two must not lose both.
        self.flusher.flush_now(&self.root, to_parent)?;
        self.flusher.flush_now(&self.root, from_parent)
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        let failed = |source: Errno| self.root.failed("write", path.as_str(), source);
        let (parent, name) = split(path);
        let dir = self.root.open_dir("write", parent).map_err(|error| match error {
            StorageError::NotFound { .. } => self.root.failed("write", path.as_str(), Errno::NOENT),
            error => error,
        })?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // A user with write access who does not own the file is allowed to set only both times at once.
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(&dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let dir = self.make_dir("lock", split(path).0)?;
        Ok(Box::new(LocalLock::take(&self.root, dir.as_fd(), path, holder, LockMode::Exclusive)?))
    }

    fn lock_shared(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let dir = self.make_dir("lock", split(path).0)?;
        Ok(Box::new(LocalLock::take(&self.root, dir.as_fd(), path, holder, LockMode::Shared)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn a_failure_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(dir.path().join("not/there/yet"));
        storage.create_dir(&path("taken"), &[("x", b"x")]).unwrap();
        assert!(storage.replace(&path("taken"), b"file").is_err());
        assert!(storage.create_dir(&path("new"), &[("x", b"1"), ("x", b"2")]).is_err());
        assert!(storage.create_dir(&path("new"), &[("../x", b"1")]).is_err());
        assert!(storage.create_dir(&path("new"), &[("y/x", b"1")]).is_err());
        let names: Vec<_> = storage.list(None).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["taken"]);
    }
}
