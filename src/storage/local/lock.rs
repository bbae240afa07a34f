//! Lock files.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::storage::LockGuard;
use crate::storage::error::StorageError;
use crate::storage::local::directory::temporary_name;
use crate::storage::local::root::{Root, split};
use crate::values::relpath::RelPath;

const LOCK: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The most that is read of a lock file, in bytes.
const MAX_HOLDER_BYTES: usize = 4096;
/// How often a lock file is opened again that was replaced while it was being opened.
const MAX_REPLACED_LOCKS: usize = 8;

/// Whether others may have a lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockMode {
    Exclusive,
    Shared,
}

impl LockMode {
    fn try_lock(self, file: &File) -> Result<(), TryLockError> {
        match self {
            LockMode::Exclusive => file.try_lock(),
            LockMode::Shared => file.try_lock_shared(),
        }
    }

    fn lock(self, file: &File) -> io::Result<()> {
        match self {
            LockMode::Exclusive => file.lock(),
            LockMode::Shared => file.lock_shared(),
        }
    }
}

/// Holds a lock file open. The system releases the lock when the file is closed, also when the process dies.
#[derive(Debug)]
pub(super) struct LocalLock {
    file: File,
}

impl LockGuard for LocalLock {}

impl Drop for LocalLock {
    fn drop(&mut self) {
        // A program that is just starting may still have the file open for a moment.
        let _ = self.file.unlock();
    }
}

impl LocalLock {
    /// Takes the lock file at `path`, which is in `dir`, and writes `holder` into it.
    pub(super) fn take(
        root: &Root,
        dir: BorrowedFd<'_>,
        path: &RelPath,
        holder: &str,
        mode: LockMode,
    ) -> Result<LocalLock, StorageError> {
        let file = lock_file(root, dir, path, mode)?;
        // Truncated last, so that a concurrent reader never finds it empty. It need not survive a crash of the machine.
        let written = file.write_all_at(holder.as_bytes(), 0).and_then(|()| file.set_len(holder.len() as u64));
        match written.map_err(|source| root.failed("lock", path.as_str(), source)) {
            Err(error) if !error.is_full() => Err(error),
            // A full disk must not keep anyone from cleaning it up; a later caller just does not learn who holds the
            // lock.
            _ => Ok(LocalLock { file }),
        }
    }
}

/// Who holds a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// In its own words; of several, one of them.
    pub name: String,
    /// Whether others may have the lock at the same time.
    pub is_shared: bool,
}

/// Returns who holds the lock file at `path`. The lock is tried only briefly.
///
/// Fails if that cannot be found out, for instance because the file system has no locks.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    // Opening a pipe would wait for its writer.
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    }
    let mut file = File::open(path)?;
    let mut text = String::new();
    (&mut file).take(MAX_HOLDER_BYTES as u64).read_to_string(&mut text)?;
    let held = |is_shared| Ok(Some(Holder { name: text.trim().to_owned(), is_shared }));
    match file.try_lock_shared() {
        _ if text.is_empty() => Ok(None),
        // Nobody has it alone; several may have it together.
        Ok(()) => match file.unlock().map(|()| file.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => held(true),
            _ => Ok(None),
        },
        Err(TryLockError::WouldBlock) => held(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens and locks the file at `path`, so that the file of that name is the locked one and has no other name.
fn lock_file(root: &Root, dir: BorrowedFd<'_>, path: &RelPath, mode: LockMode) -> Result<File, StorageError> {
    let failed = |source: io::Error| root.failed("lock", path.as_str(), source);
    let name = split(path).1;
    let mut replaced = 0;
    loop {
        let opened = rustix::fs::openat(dir, name, LOCK, Mode::from_raw_mode(0o666));
        let file = File::from(opened.map_err(|source| failed(source.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(StorageError::NotAFile { path: root.shown(path.as_str()) });
        }
        match mode.try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::Held { path: root.shown(path.as_str()), holder: read_holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Another process may have put a new file in its place since it was opened, as `unshared_lock` does.
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(now) if (now.st_dev, now.st_ino) == (found.dev(), found.ino()) => {}
            // Some network file systems do not give a file the same number twice.
            Ok(_) | Err(Errno::NOENT) if replaced < MAX_REPLACED_LOCKS => {
                replaced += 1;
                continue;
            }
            Ok(_) | Err(Errno::NOENT) => return Ok(file),
            Err(source) => return Err(failed(source.into())),
        }
        if found.nlink() == 1 {
            return Ok(file);
        }
        // It has the bytes of another file too, as in a copy of the store made with hard links.
        return unshared_lock(root, dir, path, mode);
    }
}

/// Replaces the lock file at `path`, which has other names and which the caller has locked, by an empty locked one.
fn unshared_lock(root: &Root, dir: BorrowedFd<'_>, path: &RelPath, mode: LockMode) -> Result<File, StorageError> {
    let failed = |source: io::Error| root.failed("lock", path.as_str(), source);
    let temporary = temporary_name();
    let opened = rustix::fs::openat(dir, temporary.as_str(), LOCK.union(OFlags::EXCL), Mode::from_raw_mode(0o666));
    let file = File::from(opened.map_err(|source| failed(source.into()))?);
    let placed = mode.lock(&file).and_then(|()| Ok(rustix::fs::renameat(dir, temporary.as_str(), dir, split(path).1)?));
    placed.map_err(|source| {
        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
        failed(source)
    })?;
    Ok(file)
}

fn read_holder(file: &File) -> String {
    let mut bytes = vec![0; MAX_HOLDER_BYTES];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..count]);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { "another process".to_owned() } else { text }
}
