//! A storage that stops working after a number of calls, or that has little room.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use ckpt::storage::{Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// Wraps another storage. A clone is the same storage.
#[derive(Debug, Clone)]
pub struct Failing<S> {
    inner: S,
    /// The calls made so far, and the number that succeed.
    calls: Arc<AtomicU64>,
    limit: u64,
    /// The first failing call, and how many fail.
    gap: Option<(u64, u64)>,
    /// Whether a failing call takes effect all the same.
    late: bool,
    /// The number of files and directories that fit.
    room: Option<Arc<AtomicI64>>,
    /// The file that cannot be read.
    refused: Option<&'static str>,
}

impl<S: Storage> Failing<S> {
    /// Wraps `inner` and lets every call through.
    pub fn new(inner: S) -> Failing<S> {
        Failing { inner, calls: Arc::default(), limit: u64::MAX, gap: None, late: false, room: None, refused: None }
    }

    /// Makes every call after the first `calls` fail, as if the process had been killed.
    pub fn fail_after(mut self, calls: u64) -> Failing<S> {
        self.limit = calls;
        self
    }

    /// Wraps another storage of the same process, which stops with this one.
    pub fn beside(&self, inner: S) -> Failing<S> {
        let calls = Arc::clone(&self.calls);
        let (room, refused) = (self.room.clone(), self.refused);
        Failing { inner, calls, limit: self.limit, gap: self.gap, late: self.late, room, refused }
    }

    /// Makes `count` calls fail after the first `calls`, and lets the rest through.
    pub fn fail_between(mut self, calls: u64, count: u64) -> Failing<S> {
        self.gap = Some((calls, count));
        self
    }

    /// Makes checkpoints that are committed by a failing call appear all the same.
    pub fn late(mut self) -> Failing<S> {
        self.late = true;
        self
    }

    /// Leaves room for `files` more files and directories. Deleting frees room.
    pub fn room(mut self, files: i64) -> Failing<S> {
        self.room = Some(Arc::new(AtomicI64::new(files)));
        self
    }

    /// Makes every call for the file at `path` fail.
    pub fn refuse(mut self, path: &'static str) -> Failing<S> {
        self.refused = Some(path);
        self
    }

    /// Returns how many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn call(&self, action: &'static str, path: &str) -> Result<(), StorageError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let is_in_gap = self.gap.is_some_and(|(first, count)| (first..first + count).contains(&call));
        if call < self.limit && !is_in_gap && self.refused != Some(path) {
            return Ok(());
        }
        Err(StorageError::Io { action, path: path.to_owned(), source: io::Error::other("stopped") })
    }

    fn take(&self, files: i64, path: &RelPath) -> Result<(), StorageError> {
        let Some(room) = &self.room else { return Ok(()) };
        if room.load(Ordering::Relaxed) < files {
            let source = io::ErrorKind::StorageFull.into();
            return Err(StorageError::Io { action: "write", path: path.to_string(), source });
        }
        room.fetch_sub(files, Ordering::Relaxed);
        Ok(())
    }

    fn free(&self, files: i64) {
        if let Some(room) = &self.room {
            room.fetch_add(files, Ordering::Relaxed);
        }
    }
}

impl<S: Storage> Storage for Failing<S> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.call("read", path.as_str())?;
        self.inner.get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.call("read", path.as_str())?;
        self.inner.get_range(path, range)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.call("read", path.as_str())?;
        self.inner.size(path)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.call("write", path.as_str())?;
        self.take(1, path)?;
        self.inner.create(path, bytes)
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        if let Err(error) = self.call("write", path.as_str()) {
            if self.late {
                self.inner.create_dir(path, files)?;
            }
            return Err(error);
        }
        self.take(1 + files.len() as i64, path)?;
        self.inner.create_dir(path, files)
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.call("write", path.as_str())?;
        self.take(1, path)?;
        self.inner.replace(path, bytes)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.call("list", dir.map_or("", RelPath::as_str))?;
        self.inner.list(dir)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.call("delete", path.as_str())?;
        self.inner.delete(path)?;
        self.free(1);
        Ok(())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        self.call("delete", path.as_str())?;
        let files = self.inner.list(Some(path))?.len() as i64;
        self.inner.delete_dir(path)?;
        self.free(1 + files);
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.call("flush", "")?;
        self.inner.sync()
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl<S: Storage> FileSystem for Failing<S> {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.call("write", path.as_str())?;
        self.inner.file_system().expect("a file system").append(path, bytes)
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        self.call("rename", from.as_str())?;
        self.inner.file_system().expect("a file system").rename(from, to)
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        self.call("write", path.as_str())?;
        self.inner.file_system().expect("a file system").touch(path)
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        self.call("lock", path.as_str())?;
        self.inner.file_system().expect("a file system").lock(path, holder)
    }
}

#[test]
fn a_failing_storage_stops_after_the_given_number_of_calls() {
    let path = |text: &str| RelPath::new(text).expect("plain");
    let storage = Failing::new(ckpt::storage::memory::MemoryStorage::new()).fail_after(2).room(1);
    storage.create(&path("a"), b"1").expect("the first call");
    assert!(storage.create(&path("b"), b"2").expect_err("no room").is_full());
    assert!(!storage.delete(&path("a")).expect_err("the third call").is_full());
    assert_eq!(storage.calls(), 3);
}
