//! A directory of the local file system.
//!
//! New bytes are written aside under a name that begins with [`TEMPORARY_PREFIX`](super::TEMPORARY_PREFIX), flushed,
//! and put in place by a rename that refuses a taken name. What is aside after a crash is never read, and may be
//! deleted when no run holds the lock.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write as _};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use walkdir::WalkDir;

use crate::storage::local::directory::{
    DIRECTORY, READ, flush_directory, open_beneath, remove_directory, rename_new, temporary_name, write_new,
    write_new_directory,
};
use crate::storage::{Entry, EntryKind, LockGuard, Storage, StorageError};
use crate::values::relpath::RelPath;

mod directory;

const LOCK: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const APPEND: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::CREATE)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The most that is read of a lock file, in bytes.
const MAX_HOLDER_BYTES: usize = 4096;
/// How often a lock file that was replaced while it was opened is opened again.
const MAX_REPLACED_LOCKS: usize = 8;
/// The largest file with other names that is copied before something is appended to it, in bytes.
const MAX_UNSHARED_BYTES: u64 = 64 << 20;

/// Keeps bytes in files below a directory, which is made when the first is created.
///
/// The directory itself may be a symbolic link; no symbolic link inside it is followed. Once it has been there it is
/// never made again, and no other directory is taken for it: it may be on a disk that was taken away, and comes back.
#[derive(Debug)]
pub struct LocalStorage {
    root: PathBuf,
    /// The root as it was when it was there first. It is kept open: some file systems give a directory that nobody has open another number.
    rooted: Mutex<Option<OwnedFd>>,
    directories: Mutex<Directories>,
    /// Held while directories are flushed, so that who comes second returns only when the first is done.
    flushing: Mutex<()>,
}

/// So much is read at once where a file is gone through: little enough to stay in a core's own cache until it has been looked at.
const PIECE_BYTES: u64 = 256 << 10;

/// The directories, relative to the root, that need a flush or have had one; the empty path is the root.
#[derive(Debug, Default)]
struct Directories {
    /// Those whose entries may not be on disk yet.
    touched: BTreeSet<String>,
    /// Those flushed at least once by this process. An earlier process may have died between making a directory and
    /// flushing its parent, so the first use of a directory flushes all that lead to it, whoever made them.
    settled: BTreeSet<String>,
}

impl LocalStorage {
    /// Makes a storage of the directory `root`, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> LocalStorage {
        LocalStorage {
            root: root.into(),
            rooted: Mutex::default(),
            directories: Mutex::default(),
            flushing: Mutex::default(),
        }
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn on_disk(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    fn shown(&self, path: &str) -> String {
        self.on_disk(path).display().to_string()
    }

    fn directories(&self) -> MutexGuard<'_, Directories> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns what the system said about `path` into the error that callers tell apart.
    fn failed(&self, action: &'static str, path: &str, source: impl Into<io::Error>) -> StorageError {
        let source = source.into();
        let shown = self.shown(path);
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::STALE) if self.is_gone() => StorageError::Gone { path: self.shown("") },
            Some(Errno::NOENT) => StorageError::NotFound { path: shown },
            Some(Errno::EXIST | Errno::NOTEMPTY) => StorageError::Exists { path: shown },
            Some(Errno::ISDIR | Errno::NXIO) => StorageError::NotAFile { path: shown },
            Some(Errno::LOOP | Errno::NOTDIR) => match self.first_non_directory(path) {
                Some(path) => StorageError::NotADirectory { path },
                None => StorageError::NotAFile { path: shown },
            },
            _ => StorageError::Io { action, path: shown, source },
        }
    }

    /// Does the same for `dir`, which should be a directory.
    fn failed_dir(&self, action: &'static str, dir: &str, source: impl Into<io::Error>) -> StorageError {
        match self.failed(action, dir, source) {
            StorageError::NotAFile { path } => StorageError::NotADirectory { path },
            error => error,
        }
    }

    /// Returns the first on the way to `path` that should be a directory and is something else.
    fn first_non_directory(&self, path: &str) -> Option<String> {
        if !fs::metadata(&self.root).is_ok_and(|found| found.is_dir()) {
            return Some(self.shown(""));
        }
        ancestors(path)
            .find(|way| !fs::symlink_metadata(self.on_disk(way)).is_ok_and(|found| found.is_dir()))
            .map(|way| self.shown(way))
    }

    fn open_root(&self) -> Result<OwnedFd, Errno> {
        // Unlike everything below it, the root may be a symbolic link.
        let opened = rustix::fs::open(&self.root, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty());
        let opened = opened?;
        let mut rooted = self.rooted();
        let known = match &mut *rooted {
            Some(known) => known,
            none => none.insert(rustix::io::fcntl_dupfd_cloexec(&opened, 0)?),
        };
        match identity(&rustix::fs::fstat(&*known)?) == identity(&rustix::fs::fstat(&opened)?) {
            true => Ok(opened),
            // What the system itself says of a directory on a server that has another one by now.
            false => Err(Errno::STALE),
        }
    }

    fn rooted(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.rooted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the root has been there, and is not any more.
    fn is_gone(&self) -> bool {
        let rooted = self.rooted();
        let Some(known) = rooted.as_ref().and_then(|known| rustix::fs::fstat(known).ok()) else {
            return rooted.is_some();
        };
        !rustix::fs::stat(&self.root).is_ok_and(|found| identity(&found) == identity(&known))
    }

    fn open_dir(&self, action: &'static str, dir: &str) -> Result<OwnedFd, StorageError> {
        self.open_root()
            .and_then(|root| if dir.is_empty() { Ok(root) } else { open_beneath(root.as_fd(), dir, DIRECTORY) })
            .map_err(|source| self.failed_dir(action, dir, source))
    }

    /// Opens the directory that `path` is in.
    fn open_parent(&self, action: &'static str, path: &RelPath) -> Result<OwnedFd, StorageError> {
        self.open_dir(action, split(path).0).map_err(|error| match error {
            StorageError::NotFound { .. } => self.failed(action, path.as_str(), Errno::NOENT),
            error => error,
        })
    }

    /// Opens the file at `path` for reading, if it is one, and returns its size as well.
    fn open_file(&self, path: &RelPath) -> Result<(File, u64), StorageError> {
        let failed = |source| self.failed("read", path.as_str(), source);
        let opened = self.open_root().and_then(|root| open_beneath(root.as_fd(), path.as_str(), READ));
        let file = File::from(opened.map_err(|source| failed(source.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(StorageError::NotAFile { path: self.shown(path.as_str()) });
        }
        Ok((file, found.len()))
    }

    /// Opens the directory `dir` after making what is missing of it.
    fn make_dir(&self, action: &'static str, dir: &str) -> Result<OwnedFd, StorageError> {
        let root = match self.open_root() {
            Err(Errno::NOENT) if self.rooted().is_none() => self.make_root().and_then(|()| Ok(self.open_root()?)),
            opened => opened.map_err(io::Error::from),
        };
        let mut opened = root.map_err(|source| self.failed_dir(action, "", source))?;
        if dir.is_empty() {
            return Ok(opened);
        }
        match open_beneath(opened.as_fd(), dir, DIRECTORY) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(|source| self.failed_dir(action, dir, source)),
        }
        for way in ancestors(dir).chain([dir]) {
            let (parent, name) = way.rsplit_once('/').unwrap_or(("", way));
            match rustix::fs::mkdirat(&opened, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => self.touch(parent),
                Err(Errno::EXIST) => {}
                Err(source) => return Err(self.failed_dir(action, way, source)),
            }
            opened = rustix::fs::openat(&opened, name, DIRECTORY, Mode::empty())
                .map_err(|source| self.failed_dir(action, way, source))?;
        }
        Ok(opened)
    }

    /// Makes the root and what is missing above it, for good on return.
    fn make_root(&self) -> io::Result<()> {
        let missing: Vec<&Path> = self
            .root
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && fs::metadata(path).is_err())
            .collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            flush_directory(File::open(parent)?.as_fd())?;
        }
        Ok(())
    }

    /// Remembers that the entries of `dir` have to be flushed, and that `dir` itself has to last.
    fn touch(&self, dir: &str) {
        let mut directories = self.directories();
        for way in [""].into_iter().chain(ancestors(dir)) {
            if !directories.settled.contains(way) {
                directories.touched.insert(way.to_owned());
            }
        }
        directories.touched.insert(dir.to_owned());
    }

    /// Flushes those of `dirs` that are touched.
    fn flush(&self, dirs: impl IntoIterator<Item = String>) -> Result<(), StorageError> {
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        for dir in dirs {
            // Taken out before the flush: what is created meanwhile puts it back.
            if !self.directories().touched.remove(&dir) {
                continue;
            }
            let flushed = match self.open_dir("flush", &dir) {
                Ok(opened) => flush_directory(opened.as_fd()).map_err(|source| self.failed_dir("flush", &dir, source)),
                // Deleted since, which touched its parent.
                Err(StorageError::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            let mut directories = self.directories();
            if let Err(error) = flushed {
                directories.touched.insert(dir);
                return Err(error);
            }
            directories.settled.insert(dir);
        }
        Ok(())
    }

    /// Makes the entries of `dir` last, and `dir` itself.
    fn flush_now(&self, dir: &str) -> Result<(), StorageError> {
        self.touch(dir);
        self.flush([""].into_iter().chain(ancestors(dir)).chain([dir]).map(str::to_owned))
    }

    /// Writes `bytes` to a new temporary file in `dir`, flushes it, and returns its name.
    fn write_aside(&self, dir: BorrowedFd<'_>, path: &RelPath, bytes: &[u8]) -> Result<String, StorageError> {
        let name = temporary_name();
        write_new(dir, &name, bytes).map_err(|source| {
            let _ = rustix::fs::unlinkat(dir, name.as_str(), AtFlags::empty());
            self.failed("write", path.as_str(), source)
        })?;
        Ok(name)
    }

    /// Puts an empty lock file that is locked in the place of the one at `path`, which has other names elsewhere and is locked by the caller.
    fn unshared_lock(&self, dir: BorrowedFd<'_>, path: &RelPath) -> Result<File, StorageError> {
        let failed = |source: io::Error| self.failed("lock", path.as_str(), source);
        let aside = temporary_name();
        let opened = rustix::fs::openat(dir, aside.as_str(), LOCK.union(OFlags::EXCL), Mode::from_raw_mode(0o666));
        let file = File::from(opened.map_err(|source| failed(source.into()))?);
        let placed = file.lock().and_then(|()| Ok(rustix::fs::renameat(dir, aside.as_str(), dir, split(path).1)?));
        placed.map_err(|source| {
            let _ = rustix::fs::unlinkat(dir, aside.as_str(), AtFlags::empty());
            failed(source)
        })?;
        Ok(file)
    }

    /// Returns the names in `dir` as the system has them.
    fn names(&self, dir: &str) -> Result<Vec<walkdir::DirEntry>, walkdir::Error> {
        WalkDir::new(self.on_disk(dir))
            .min_depth(1)
            .max_depth(1)
            .follow_links(false)
            .follow_root_links(dir.is_empty())
            .into_iter()
            .collect()
    }
}

impl Storage for LocalStorage {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        let (file, found) = self.open_file(path)?;
        let too_large = |found| StorageError::TooLarge { path: self.shown(path.as_str()), limit, found };
        if found > limit {
            return Err(too_large(found));
        }
        let failed = |source: io::Error| self.failed("read", path.as_str(), source);
        let mut bytes = reserve(found).map_err(failed)?;
        // The file may grow while it is read.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        let read = bytes.len() as u64;
        if read > limit { Err(too_large(read)) } else { Ok(bytes.into()) }
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let (file, size) = self.open_file(path)?;
        let failed = |source: io::Error| self.failed("read", path.as_str(), source);
        let length = range.end.min(size).saturating_sub(range.start);
        let mut bytes = reserve(length).map_err(failed)?;
        bytes.resize(length as usize, 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], range.start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    fn scan(&self, path: &RelPath, limit: u64, visit: &mut dyn FnMut(&[u8])) -> Result<u64, StorageError> {
        let (mut file, size) = self.open_file(path)?;
        let failed = |source: io::Error| self.failed("read", path.as_str(), source);
        let piece_bytes = size.min(limit).clamp(1, PIECE_BYTES);
        let mut piece = reserve(piece_bytes).map_err(failed)?;
        piece.resize(piece_bytes as usize, 0);
        let mut at = 0;
        while at < limit {
            let wanted = piece_bytes.min(limit - at) as usize;
            match file.read(&mut piece[..wanted]) {
                Ok(0) => break,
                Ok(count) => {
                    visit(&piece[..count]);
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(at)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.open_file(path).map(|(_, size)| size)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        // The name may be there because of a process that died before it flushed the directory.
        self.touch(parent);
        if rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StorageError::Exists { path: self.shown(path.as_str()) });
        }
        let aside = self.write_aside(dir.as_fd(), path, bytes)?;
        let renamed = rename_new(dir.as_fd(), &aside, dir.as_fd(), name);
        self.touch(parent);
        renamed.map_err(|source| {
            let _ = rustix::fs::unlinkat(&dir, aside.as_str(), AtFlags::empty());
            self.failed("write", path.as_str(), source)
        })
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let failed = |source: io::Error| self.failed("write", path.as_str(), source);
        if files.iter().any(|(name, _)| name.contains('/') || path.join(name).is_err()) {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        if rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StorageError::Exists { path: self.shown(path.as_str()) });
        }
        let aside = temporary_name();
        let placed = write_new_directory(dir.as_fd(), &aside, files)
            .and_then(|()| Ok(rename_new(dir.as_fd(), &aside, dir.as_fd(), name)?));
        if let Err(source) = placed {
            remove_directory(dir.as_fd(), &aside, files);
            return Err(failed(source));
        }
        self.flush_now(parent)
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        let aside = self.write_aside(dir.as_fd(), path, bytes)?;
        if let Err(source) = rustix::fs::renameat(&dir, aside.as_str(), &dir, name) {
            let _ = rustix::fs::unlinkat(&dir, aside.as_str(), AtFlags::empty());
            return Err(self.failed("write", path.as_str(), source));
        }
        self.flush_now(parent)
    }

    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let failed = |source: io::Error| self.failed("write", path.as_str(), source);
        let (parent, name) = split(path);
        let dir = self.make_dir("write", parent)?;
        let is_new = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).is_err();
        let opened = rustix::fs::openat(&dir, name, APPEND, Mode::from_raw_mode(0o666));
        let mut file = File::from(opened.map_err(|source| failed(source.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(StorageError::NotAFile { path: self.shown(path.as_str()) });
        }
        if found.nlink() > 1 {
            // Its bytes are those of another file as well, which must stay as it is.
            let mut all = self.get(path, MAX_UNSHARED_BYTES)?.to_vec();
            all.extend_from_slice(bytes);
            return self.replace(path, &all);
        }
        file.write_all(bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        if is_new { self.flush_now(parent) } else { Ok(()) }
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let ((from_parent, from_name), (to_parent, to_name)) = (split(from), split(to));
        let failed = |source: Errno| self.failed("rename", from.as_str(), source);
        let from_dir = self.open_parent("rename", from)?;
        rustix::fs::statat(&from_dir, from_name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let to_dir = self.make_dir("rename", to_parent)?;
        rename_new(from_dir.as_fd(), from_name, to_dir.as_fd(), to_name).map_err(|source| match source {
            Errno::EXIST | Errno::NOTEMPTY => self.failed("rename", to.as_str(), source),
            source => failed(source),
        })?;
        // The new name before the old one goes: a crash between the two must not lose both.
        self.flush_now(to_parent)?;
        self.flush_now(from_parent)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let dir = dir.map_or("", RelPath::as_str);
        // Refuses symbolic links on the way, which walkdir would follow.
        match self.open_dir("list", dir) {
            Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
            opened => opened?,
        };
        let gone = |error: &walkdir::Error| error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound);
        let found = match self.names(dir) {
            Err(error) if gone(&error) => return Ok(Vec::new()),
            found => found.map_err(|error| self.failed("list", dir, io::Error::from(error)))?,
        };
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            match entry.metadata() {
                Ok(metadata) => entries.push(Entry {
                    name: entry.file_name().to_string_lossy().into_owned(),
                    kind: kind(&metadata),
                    bytes: if metadata.is_file() { metadata.len() } else { 0 },
                    modified_seconds: modified_seconds(&metadata),
                }),
                // Deleted since it was listed.
                Err(error) if gone(&error) => {}
                Err(error) => return Err(self.failed("list", dir, io::Error::from(error))),
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let failed = |source: Errno| self.failed("delete", path.as_str(), source);
        let dir = self.open_parent("delete", path)?;
        let found = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(failed(Errno::ISDIR));
        }
        rustix::fs::unlinkat(&dir, name, AtFlags::empty()).map_err(failed)?;
        self.touch(parent);
        Ok(())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        let (parent, name) = split(path);
        let failed = |source: io::Error| self.failed("delete", path.as_str(), source);
        let dir = self.open_dir("delete", path.as_str())?;
        for entry in self.names(path.as_str()).map_err(|error| failed(error.into()))? {
            match rustix::fs::unlinkat(&dir, entry.file_name(), AtFlags::empty()) {
                Err(Errno::NOENT) => {}
                result => result.map_err(|source| {
                    self.failed("delete", &format!("{path}/{}", entry.file_name().to_string_lossy()), source)
                })?,
            }
        }
        let above = self.open_parent("delete", path)?;
        rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR).map_err(|source| failed(source.into()))?;
        self.touch(parent);
        Ok(())
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        let failed = |source: Errno| self.failed("write", path.as_str(), source);
        let (parent, name) = split(path);
        let dir = self.open_dir("write", parent).map_err(|error| match error {
            StorageError::NotFound { .. } => self.failed("write", path.as_str(), Errno::NOENT),
            error => error,
        })?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: now };
        rustix::fs::utimensat(&dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
    }

    fn sync(&self) -> Result<(), StorageError> {
        let touched = self.directories().touched.clone();
        self.flush(touched)
    }

    fn settle(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        self.flush_now(dir.map_or("", RelPath::as_str))
    }

    fn reopen(&self) {
        *self.rooted() = None;
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let failed = |source: io::Error| self.failed("lock", path.as_str(), source);
        let (parent, name) = split(path);
        let dir = self.make_dir("lock", parent)?;
        let mut replaced = 0;
        let file = loop {
            let opened = rustix::fs::openat(&dir, name, LOCK, Mode::from_raw_mode(0o666));
            let file = File::from(opened.map_err(|source| failed(source.into()))?);
            let found = file.metadata().map_err(failed)?;
            if !found.is_file() {
                return Err(StorageError::NotAFile { path: self.shown(path.as_str()) });
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(StorageError::Held { path: self.shown(path.as_str()), holder: read_holder(&file) });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Somebody may have put another file in its place since it was opened, as below.
            match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(now) if (now.st_dev, now.st_ino) == (found.dev(), found.ino()) => {}
                // Some network file systems do not number files the same twice.
                Ok(_) | Err(Errno::NOENT) if replaced < MAX_REPLACED_LOCKS => {
                    replaced += 1;
                    continue;
                }
                Ok(_) | Err(Errno::NOENT) => break file,
                Err(source) => return Err(failed(source.into())),
            }
            if found.nlink() == 1 {
                break file;
            }
            // Its bytes are those of another file as well, such as a copy of the store made with hard links, or one that has nothing to do with it.
            break self.unshared_lock(dir.as_fd(), path)?;
        };
        // Shortened last, so that who reads meanwhile never finds it empty. It need not outlive a crash of the
        // machine.
        match file.write_all_at(holder.as_bytes(), 0).and_then(|()| file.set_len(holder.len() as u64)).map_err(failed) {
            Err(error) if !error.is_full() => Err(error),
            // A full disk must not keep anybody from cleaning it up; who comes second only does not learn who was first.
            _ => Ok(Box::new(LocalLock { file })),
        }
    }
}

/// Returns what tells a file or directory from all others.
fn identity(found: &rustix::fs::Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

/// Holds a lock file open; the system lets go of the lock when it is closed, also by the death of the process.
#[derive(Debug)]
struct LocalLock {
    file: File,
}

impl LockGuard for LocalLock {}

impl Drop for LocalLock {
    fn drop(&mut self) {
        // A program that is just being started may still have the file open for a moment.
        let _ = self.file.unlock();
    }
}

/// Returns the directories that lead to `path`, the outermost first, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Returns the directory of `path`, empty for the root, and the name in it.
fn split(path: &RelPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}

/// Returns an empty vector with room for `size` bytes, or an error where aborting would be the alternative.
fn reserve(size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(bytes)
}

fn read_holder(file: &File) -> String {
    let mut bytes = vec![0; MAX_HOLDER_BYTES];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..count]);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { "another process".to_owned() } else { text }
}

fn kind(metadata: &fs::Metadata) -> EntryKind {
    match metadata.file_type() {
        file_type if file_type.is_file() => EntryKind::File,
        file_type if file_type.is_dir() => EntryKind::Directory,
        _ => EntryKind::Other,
    }
}

fn modified_seconds(metadata: &fs::Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|seconds| -seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn the_first_use_of_a_directory_flushes_all_that_lead_to_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let storage = LocalStorage::new(dir.path());
        storage.create(&path("a/b/one"), b"1").unwrap();
        let touched = || storage.directories().touched.iter().cloned().collect::<Vec<_>>();
        assert_eq!(touched(), ["", "a", "a/b"]);
        storage.sync().unwrap();
        assert!(touched().is_empty());
        storage.create(&path("a/b/two"), b"2").unwrap();
        assert_eq!(touched(), ["a/b"], "the others are known to last");
        storage.sync().unwrap();
        assert!(storage.create(&path("a/b/two"), b"2").unwrap_err().is_exists());
        assert_eq!(touched(), ["a/b"], "who finds a name may rely on it after a sync");
        storage.create_dir(&path("c/d"), &[("x", b"x")]).unwrap();
        assert_eq!(touched(), ["a/b"], "a directory lasts on return");
        assert!(storage.directories().settled.contains("c"));
        storage.settle(Some(&path("x"))).unwrap();
        storage.settle(Some(&path("a"))).unwrap();
        assert!(storage.directories().settled.contains("a") && !storage.root().join("x").exists());
    }

    #[test]
    fn what_fails_leaves_nothing_aside() {
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
