//! Simulated object storage, with answers that are lost and requests that arrive late.
//!
//! # The fault model
//!
//! Every write is one request: a create-if-absent, a put, or a delete. It happens in one step, as if at one moment
//! between the call and its answer, and what one process sees, all see. A process can get no answer to a request that
//! happened, to one that did not, and to one that happens later, when others have made some requests of their own. A
//! listing is as of one moment. Nothing is renamed, appended to or locked, there are no directories, and deleting a name
//! that does not exist succeeds. Times are of the server, in seconds that the test sets.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ckpt::storage::{BucketFault, Entry, EntryKind, Storage, StorageError};
use ckpt::values::relpath::RelPath;

/// Object storage. A clone is the same storage.
#[derive(Debug, Clone, Default)]
pub struct Objects(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    objects: BTreeMap<String, (Bytes, i64)>,
    seconds: i64,
    /// The name whose reads get no answer.
    silent: Option<String>,
    /// Requests that arrive late, each with the number of writes that come before.
    late: Vec<(u64, Request)>,
}

#[derive(Debug, Clone)]
enum Request {
    Create(String, Bytes),
    Put(String, Bytes),
    Delete(String),
}

/// What becomes of one write of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never reached the server, and the process has no answer.
    Lost,
    /// It happened, and the process has no answer.
    Unanswered,
    /// The process has no answer, and it happens after this many more writes.
    Late(u64),
}

/// A process that uses object storage, one of whose writes has a fate of its own. A clone is the same process.
#[derive(Debug, Clone)]
pub struct Client {
    objects: Objects,
    plan: Arc<Mutex<Plan>>,
}

/// How many writes a process has made, and which one has a fate of its own.
#[derive(Debug)]
struct Plan {
    writes: u64,
    fate: Option<(u64, Fate)>,
}

impl Objects {
    /// Returns a process whose write number `at`, counted from 0, has `fate`.
    pub fn client(&self, fate: Option<(u64, Fate)>) -> Client {
        Client { objects: self.clone(), plan: Arc::new(Mutex::new(Plan { writes: 0, fate })) }
    }

    /// Returns a copy that changes on its own.
    pub fn copied(&self) -> Objects {
        Objects(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Sets the clock of the server forward.
    pub fn pass(&self, seconds: i64) {
        self.state().seconds += seconds;
    }

    /// Lets reads of `name` get no answer.
    pub fn silence(&self, name: &RelPath) {
        self.state().silent = Some(name.to_string());
    }

    /// Lets everything arrive that is late.
    pub fn settle(&self) {
        let mut state = self.state();
        for (_, request) in std::mem::take(&mut state.late) {
            let _ = state.apply(request);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns whether the name was free, for a create.
    fn apply(&mut self, request: Request) -> bool {
        let seconds = self.seconds;
        match request {
            Request::Create(name, _) if self.objects.contains_key(&name) => return false,
            Request::Create(name, bytes) | Request::Put(name, bytes) => {
                drop(self.objects.insert(name, (bytes, seconds)))
            }
            Request::Delete(name) => drop(self.objects.remove(&name)),
        }
        true
    }

    fn write(&mut self, request: Request) -> bool {
        let free = self.apply(request);
        for (left, _) in &mut self.late {
            *left = left.saturating_sub(1);
        }
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|(left, _)| *left == 0);
        self.late = late;
        for (_, request) in due {
            let _ = self.apply(request);
        }
        free
    }
}

impl Client {
    /// Returns how many writes the process has made.
    pub fn writes(&self) -> u64 {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).writes
    }

    /// Makes a write. `Ok(false)` says that a created name is taken.
    fn write(&self, path: &RelPath, request: Request) -> Result<bool, StorageError> {
        let fate = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.writes += 1;
            let number = plan.writes - 1;
            plan.fate.filter(|(at, _)| *at == number).map(|(_, fate)| fate)
        };
        let mut state = self.objects.state();
        match fate {
            None => return Ok(state.write(request)),
            Some(Fate::Lost) => {}
            Some(Fate::Unanswered) => drop(state.write(request)),
            Some(Fate::Late(writes)) => state.late.push((writes, request)),
        }
        drop(state);
        Err(unanswered("write", path))
    }
}

fn unanswered(action: &'static str, path: &RelPath) -> StorageError {
    StorageError::Bucket { action, path: path.to_string(), fault: BucketFault::TimedOut, source: None }
}

impl Storage for Client {
    fn place(&self) -> String {
        "s3://simulated".to_owned()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        let bytes = self.object(path)?;
        match bytes.len() as u64 {
            found if found > limit => Err(StorageError::TooLarge { path: path.to_string(), limit, found }),
            _ => Ok(bytes),
        }
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.object(path)?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(bytes.slice(start..end))
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        self.object(path).map(|bytes| bytes.len() as u64)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let exists = || StorageError::Exists { path: path.to_string() };
        match self.write(path, Request::Create(path.to_string(), Bytes::copy_from_slice(bytes))) {
            Ok(true) => Ok(()),
            Ok(false) => Err(exists()),
            // As the client of real buckets settles what was not answered: it reads the name, and creates it again.
            Err(_) => match self.object(path) {
                Ok(found) if found == bytes => Ok(()),
                Ok(_) => Err(exists()),
                Err(_) => match self.write(path, Request::Create(path.to_string(), Bytes::copy_from_slice(bytes)))? {
                    true => Ok(()),
                    false if self.object(path)? == bytes => Ok(()),
                    false => Err(exists()),
                },
            },
        }
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(path, Request::Put(path.to_string(), Bytes::copy_from_slice(bytes))).map(drop)
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let prefix = dir.map_or(String::new(), |dir| format!("{dir}/"));
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (name, entry) in self.below(&prefix) {
            let (first, is_deep) = name.split_once('/').map_or((name.as_str(), false), |(first, _)| (first, true));
            let found = if is_deep {
                Entry { name: first.to_owned(), kind: EntryKind::Directory, bytes: 0, modified_seconds: None }
            } else {
                entry
            };
            entries.insert(first.to_owned(), found);
        }
        Ok(entries.into_values().collect())
    }

    fn list_deep(&self, dir: &RelPath) -> Result<Vec<Entry>, StorageError> {
        Ok(self.below(&format!("{dir}/")).into_iter().map(|(_, entry)| entry).collect())
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        self.write(path, Request::Delete(path.to_string())).map(drop)
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Client {
    fn object(&self, path: &RelPath) -> Result<Bytes, StorageError> {
        let state = self.objects.state();
        if state.silent.as_deref() == Some(path.as_str()) {
            return Err(unanswered("read", path));
        }
        let found = state.objects.get(path.as_str()).map(|(bytes, _)| bytes.clone());
        found.ok_or_else(|| StorageError::NotFound { path: format!("{}/{path}", self.place()) })
    }

    fn below(&self, prefix: &str) -> Vec<(String, Entry)> {
        let state = self.objects.state();
        let below = state.objects.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        let entries = below.map(|(name, (bytes, seconds))| {
            let name = name[prefix.len()..].to_owned();
            let (bytes, modified_seconds) = (bytes.len() as u64, Some(*seconds));
            (name.clone(), Entry { name, kind: EntryKind::File, bytes, modified_seconds })
        });
        entries.collect()
    }
}
