//! Storages that let a writer make its changes exactly when a reader makes certain calls.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ckpt::storage::{Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// Stops a writer before each of its changes until it may continue.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    /// How many changes the writer may make.
    permits: u64,
    /// How many of its threads are about to make one.
    waiting: u32,
    is_done: bool,
}

/// More changes than any writer makes.
pub const ALL: u64 = 1 << 40;

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the writer make `count` changes, and returns when it has made them or has nothing left to do.
    pub fn advance(&self, count: u64) {
        let mut state = self.state();
        state.permits += count;
        self.0.1.notify_all();
        while !(state.is_done || state.waiting > 0 && state.permits == 0) {
            state = self.wait(state);
        }
    }

    /// Lets the writer make all of its changes, and does not wait for it.
    pub fn release(&self) {
        self.state().permits += ALL;
        self.0.1.notify_all();
    }

    /// Tells the reader that the writer has nothing left to do.
    pub fn finish(&self) {
        self.state().is_done = true;
        self.0.1.notify_all();
    }

    /// Waits before a change of the writer.
    fn step(&self) {
        let mut state = self.state();
        state.waiting += 1;
        self.0.1.notify_all();
        while state.permits == 0 {
            state = self.wait(state);
        }
        state.permits -= 1;
        state.waiting -= 1;
        // Another of its threads may wait, for which the reader would wait in vain.
        self.0.1.notify_all();
    }
}

/// When the writer makes its changes.
#[derive(Debug, Clone, Copy)]
pub enum Schedule {
    /// All of them before the reader's call with this number.
    AllAt(u64),
    /// One before each call of the reader, from this one onward.
    EachFrom(u64),
    /// The second number of them before the reader starts, and no more.
    Stopped(u64),
}

/// The calls of a reader, on all replicas together.
#[derive(Debug, Clone)]
pub struct Calls {
    pub made: Arc<AtomicU64>,
    pub pace: Option<(Pace, Schedule)>,
}

impl Calls {
    fn call(&self) {
        let call = self.made.fetch_add(1, Ordering::SeqCst);
        match &self.pace {
            Some((pace, Schedule::AllAt(at))) if call == *at => pace.advance(ALL),
            Some((pace, Schedule::EachFrom(first))) if call >= *first => pace.advance(1),
            _ => {}
        }
    }
}

/// A replica as one process uses it.
#[derive(Debug)]
pub struct Paced {
    pub inner: Arc<dyn Storage>,
    /// The reader's calls.
    pub calls: Option<Calls>,
    /// What the writer waits for.
    pub pace: Option<Pace>,
}

impl Paced {
    fn read(&self) {
        if let Some(calls) = &self.calls {
            calls.call();
        }
    }

    fn change(&self) {
        if let Some(pace) = &self.pace {
            pace.step();
        }
    }
}

impl Storage for Paced {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.read();
        self.inner.get(path, limit)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.read();
        self.inner.get_range(path, range)
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.read();
        self.inner.size(path)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.read();
        self.inner.list(dir)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.change();
        self.inner.create(path, bytes)
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        self.change();
        self.inner.create_dir(path, files)
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.change();
        self.inner.replace(path, bytes)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.change();
        self.inner.delete(path)
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        self.change();
        self.inner.delete_dir(path)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }

    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        self.inner.sync_dir(dir)
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl FileSystem for Paced {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.change();
        self.inner.file_system().expect("a file system").append(path, bytes)
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        self.change();
        self.inner.file_system().expect("a file system").rename(from, to)
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        self.change();
        self.inner.file_system().expect("a file system").touch(path)
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        self.change();
        self.inner.file_system().expect("a file system").lock(path, holder)
    }
}
