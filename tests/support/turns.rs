//! Processes that take turns on one storage: each makes as many calls as it is granted, and sleeps before the next one.
//!
//! A process can die while it sleeps, and some of its calls can get no answer: they never arrived, they happened, or they
//! arrive when other processes have had a turn.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use ckpt::format::layout;
use ckpt::storage::{BucketFault, Entry, FileSystem, LockGuard, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// More calls than any process makes.
pub const ALL: u64 = u64::MAX / 2;

/// What becomes of a call that gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It happens.
    Unanswered,
    /// It happens after the next turn of another process.
    Late,
}

/// Calls that get no answer: the first one has this fate, the others are lost. Calls are counted from 0.
#[derive(Debug, Clone)]
pub struct Outage {
    pub calls: Range<u64>,
    pub fate: Fate,
}

/// A process. A clone is the same process.
#[derive(Clone)]
pub struct Process(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    granted: u64,
    calls: u64,
    /// Threads of the process that sleep.
    asleep: u64,
    /// Calls that are being made.
    active: u64,
    /// How often it has got a turn.
    turns: u64,
    /// Whether it waits for a lock that another process has.
    is_stuck: bool,
    has_ended: bool,
    is_dead: bool,
    outage: Option<Outage>,
    late: Vec<Box<dyn FnOnce() + Send>>,
}

impl Process {
    /// Starts a process that does `work` on `storage` once it gets turns.
    pub fn start(
        storage: Arc<dyn Storage>,
        outage: Option<Outage>,
        work: impl FnOnce(Arc<dyn Storage>) + Send + 'static,
    ) -> (Process, JoinHandle<()>) {
        let process = Process(Arc::new((Mutex::new(State { outage, ..State::default() }), Condvar::new())));
        let own: Arc<dyn Storage> = Arc::new(Shared { inner: storage, process: process.clone() });
        let ending = Ending(process.clone());
        let thread = thread::spawn(move || {
            let _ending = ending;
            work(own);
        });
        (process, thread)
    }

    /// Lets it make `calls` calls, unless it ends or has to wait for another process before.
    pub fn run(&self, calls: u64) {
        let mut state = self.state();
        state.granted = state.calls.saturating_add(calls);
        state.turns += 1;
        state.is_stuck = false;
        self.0.1.notify_all();
        let is_over = |state: &State| {
            let sleeps = state.calls >= state.granted && state.asleep > 0 && state.active == 0;
            state.has_ended || state.is_stuck || sleeps
        };
        while !is_over(&state) {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.granted = state.calls;
    }

    /// Lets it die: none of its later calls happens.
    pub fn kill(&self) {
        self.state().is_dead = true;
        self.run(ALL);
    }

    /// Lets its late calls happen.
    pub fn deliver(&self) {
        let late = std::mem::take(&mut self.state().late);
        late.into_iter().for_each(|call| call());
    }

    pub fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// Returns how many calls it has made.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. Returns what becomes of the call; nothing if it is answered.
    fn begin(&self) -> Option<Fate> {
        let mut state = self.state();
        while state.calls >= state.granted && !state.is_dead {
            state.asleep += 1;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
        let number = state.calls;
        state.calls += 1;
        state.active += 1;
        if state.is_dead {
            return Some(Fate::Lost);
        }
        let outage = state.outage.as_ref().filter(|outage| outage.calls.contains(&number))?;
        Some(if number == outage.calls.start { outage.fate } else { Fate::Lost })
    }

    fn end(&self) {
        self.state().active -= 1;
        self.0.1.notify_all();
    }

    /// Sleeps until it gets another turn, because another process has a lock.
    fn wait_for_others(&self) {
        let mut state = self.state();
        let turns = state.turns;
        state.is_stuck = true;
        self.0.1.notify_all();
        while state.turns == turns && !state.is_dead {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}

/// Notes that the process has ended when it is dropped, even if it panics.
struct Ending(Process);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state().has_ended = true;
        self.0.0.1.notify_all();
    }
}

/// The storage as one process sees it.
#[derive(Debug)]
struct Shared {
    inner: Arc<dyn Storage>,
    process: Process,
}

impl Shared {
    /// Makes a call that changes nothing.
    fn read<T>(&self, act: impl FnOnce(&dyn Storage) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let fate = self.process.begin();
        let done = if fate.is_none() { act(&*self.inner) } else { Err(self.unanswered()) };
        self.process.end();
        done
    }

    fn write(
        &self,
        act: impl FnOnce(&dyn Storage) -> Result<(), StorageError> + Send + 'static,
    ) -> Result<(), StorageError> {
        let fate = self.process.begin();
        let done = match fate {
            None => act(&*self.inner),
            Some(Fate::Unanswered) => act(&*self.inner).and(Err(self.unanswered())),
            Some(Fate::Late) => {
                let inner = Arc::clone(&self.inner);
                self.process.state().late.push(Box::new(move || drop(act(&*inner))));
                Err(self.unanswered())
            }
            Some(Fate::Lost) => Err(self.unanswered()),
        };
        self.process.end();
        done
    }

    fn unanswered(&self) -> StorageError {
        let (action, path) = ("use", self.inner.place());
        match self.inner.file_system() {
            None => StorageError::Bucket { action, path, fault: BucketFault::TimedOut, source: None },
            Some(_) => StorageError::Io { action, path, source: io::Error::other("no answer") },
        }
    }

    fn files(&self) -> &dyn FileSystem {
        self.inner.file_system().expect("a file system")
    }

    fn take_lock(
        &self,
        path: &RelPath,
        take: impl Fn() -> Result<Box<dyn LockGuard>, StorageError>,
    ) -> Result<Box<dyn LockGuard>, StorageError> {
        loop {
            match self.read(|_| take()) {
                // It is never held for long, but its holder may be asleep.
                Err(StorageError::Held { .. }) if *path == layout::objects_lock_file() => {
                    self.process.wait_for_others();
                }
                taken => return taken,
            }
        }
    }
}

impl Storage for Shared {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        self.read(|inner| inner.get(path, limit))
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.read(|inner| inner.get_range(path, range))
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.read(|inner| inner.size(path))
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (path, bytes) = (path.clone(), bytes.to_vec());
        self.write(move |inner| inner.create(&path, &bytes))
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let path = path.clone();
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        self.write(move |inner| {
            let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &**bytes)).collect();
            inner.create_dir(&path, &files)
        })
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let (path, bytes) = (path.clone(), bytes.to_vec());
        self.write(move |inner| inner.replace(&path, &bytes))
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        self.read(|inner| inner.list(dir))
    }

    fn list_dirs(&self, dir: &RelPath, root: &str) -> Result<Vec<Entry>, StorageError> {
        self.read(|inner| inner.list_dirs(dir, root))
    }

    fn list_dirs_after(&self, dir: &RelPath, root: &str, after: &str) -> Result<Vec<Entry>, StorageError> {
        self.read(|inner| inner.list_dirs_after(dir, root, after))
    }

    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        self.read(|inner| inner.list_deep(dir))
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        let path = path.clone();
        self.write(move |inner| inner.delete(&path))
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        if self.inner.file_system().is_some() {
            let path = path.clone();
            return self.write(move |inner| inner.delete_dir(&path));
        }
        // In object storage it is a call for each file.
        let files = self.list_deep(path)?;
        files.iter().filter_map(|entry| path.join(&entry.name).ok()).try_for_each(|file| self.delete(&file))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.read(|inner| inner.sync())
    }

    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        self.read(|inner| inner.sync_dir(dir))
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        self.inner.file_system().map(|_| self as &dyn FileSystem)
    }
}

impl FileSystem for Shared {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.read(|_| self.files().append(path, bytes))
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        self.read(|_| self.files().rename(from, to))
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        self.read(|_| self.files().touch(path))
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        self.take_lock(path, || self.files().lock(path, holder))
    }

    fn lock_shared(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        self.take_lock(path, || self.files().lock_shared(path, holder))
    }
}
