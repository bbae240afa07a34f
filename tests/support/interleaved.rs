//! A storage whose process is stopped at one of its calls while another process does all of its work.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ckpt::format::layout;
use ckpt::storage::{Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// What the other process does.
type Work = Box<dyn FnOnce() + Send>;

/// A process that is stopped once. A clone is the same process.
#[derive(Clone)]
pub struct Stopped(Arc<State>);

struct State {
    at: u64,
    calls: AtomicU64,
    work: Mutex<Option<Work>>,
}

impl Stopped {
    /// Makes a process that does `work` before its call number `at`, counted from 0 over all its storages.
    pub fn at(at: u64, work: impl FnOnce() + Send + 'static) -> Stopped {
        Stopped(Arc::new(State { at, calls: AtomicU64::new(0), work: Mutex::new(Some(Box::new(work))) }))
    }

    /// Returns how many calls it has made.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Wraps a storage as this process sees it.
    pub fn open<S: Storage + 'static>(&self, inner: S) -> Arc<dyn Storage> {
        Arc::new(Interleaved { inner, process: Some(self.clone()), refused: Refused::Nothing })
    }

    fn call(&self) {
        if self.0.calls.fetch_add(1, Ordering::Relaxed) == self.0.at {
            let work = self.0.work.lock().unwrap_or_else(PoisonError::into_inner).take();
            work.into_iter().for_each(|work| work());
        }
    }
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopped")
    }
}

/// Wraps a storage for the other process. `objects.lock` is never waited for: its holder is stopped.
pub fn impatient<S: Storage + 'static>(inner: S) -> Arc<dyn Storage> {
    Arc::new(Interleaved { inner, process: None, refused: Refused::Nothing })
}

/// Wraps a storage whose file `path` the system refuses to read.
pub fn unreadable<S: Storage + 'static>(inner: S, path: RelPath) -> Arc<dyn Storage> {
    Arc::new(Interleaved { inner, process: None, refused: Refused::Read(path) })
}

/// Wraps a storage whose files another user owns, so that their times cannot be changed.
pub fn not_owned<S: Storage + 'static>(inner: S) -> Arc<dyn Storage> {
    Arc::new(Interleaved { inner, process: None, refused: Refused::Touch })
}

/// What the system refuses.
#[derive(Debug)]
enum Refused {
    Nothing,
    Read(RelPath),
    Touch,
}

#[derive(Debug)]
struct Interleaved<S> {
    inner: S,
    process: Option<Stopped>,
    refused: Refused,
}

impl<S: Storage> Interleaved<S> {
    fn inner(&self) -> &S {
        self.process.iter().for_each(Stopped::call);
        &self.inner
    }
}

impl<S: Storage> Storage for Interleaved<S> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        if matches!(&self.refused, Refused::Read(refused) if refused == path) {
            return Err(denied("read", path));
        }
        self.inner().get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.inner().get_range(path, range)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.inner().size(path)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner().create(path, bytes)
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        self.inner().create_dir(path, files)
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner().replace(path, bytes)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.inner().list(dir)
    }

    fn list_dirs(&self, dir: &RelPath, root: &str) -> Result<Vec<Entry>, StorageError> {
        self.inner().list_dirs(dir, root)
    }

    fn list_dirs_after(&self, dir: &RelPath, root: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
        self.inner().list_dirs_after(dir, root, after)
    }

    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        self.inner().list_deep(dir)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.inner().delete(path)
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        self.inner().delete_dir(path)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner().sync()
    }

    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        self.inner().sync_dir(dir)
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl<S: Storage> FileSystem for Interleaved<S> {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner().file_system().expect("a file system").append(path, bytes)
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        self.inner().file_system().expect("a file system").rename(from, to)
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        if matches!(self.refused, Refused::Touch) {
            return Err(denied("write", path));
        }
        self.inner().file_system().expect("a file system").touch(path)
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        match self.inner().file_system().expect("a file system").lock(path, holder) {
            Err(StorageError::Held { path: shown, .. })
                if self.process.is_none() && *path == layout::objects_lock_file() =>
            {
                Err(StorageError::Io { action: "lock", path: shown, source: io::Error::other("its holder is stopped") })
            }
            taken => taken,
        }
    }
}

fn denied(action: &'static str, path: &RelPath) -> StorageError {
    StorageError::Io { action, path: path.to_string(), source: io::ErrorKind::PermissionDenied.into() }
}
