//! A storage on a simulated disk, with processes that can die at any call and a machine that can lose power.
//!
//! # The fault model
//!
//! A [`Disk`] keeps two views: what processes see, and what is durable. A change is seen at once, and stays *pending*
//! until it is durable. It becomes durable when the contract of [`Storage`] says so, and no sooner, so callers that
//! rely on more than the contract are found out:
//!
//! - [`Storage::create_dir`], [`Storage::replace`], [`Storage::append`] and [`Storage::rename`] are durable on return;
//! - [`Storage::create`], [`Storage::delete`] and [`Storage::delete_dir`] are durable once [`Storage::sync`] has
//!   returned **in the process that called them**, or in one that was told that the name is taken, or that called
//!   [`Storage::sync_dir`] for its directory. What another process left pending when it died is not flushed by the next
//!   one unless it asks for that;
//! - [`Storage::touch`] and the content of a lock file are never durable.
//!
//! A process can die at each call that changes something, at one of three [`Moment`]s: before the change, midway, or
//! when its effect is seen but not durable yet. Any one call can also fail, either without any effect or with one that
//! is seen but not flushed, and the disk can be full from some change onward.
//!
//! When only the process dies, the next one sees everything it did, plus a temporary file or half a line from the call
//! that was cut short. The locks of dead processes are free.
//!
//! When the power fails ([`Disk::after_power_failure`]), everything durable survives, and of the pending changes **any
//! subset, in any order**. One of them may survive in part, as far as the contract allows: the temporary file of a
//! creation, whole or torn; some of the files of a deleted directory; a part of what was appended, or its full length
//! with zeros at the end; both names of something that was renamed. Never: a torn file under its own name, half of a
//! directory that was created, a renamed file that is gone under both names (file systems with a journal rename in one
//! step).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ckpt::storage::{Entry, EntryKind, FileSystem, LockGuard, Storage, StorageError, TEMPORARY_PREFIX};
use ckpt::values::relpath::RelPath;

use super::random::Random;

/// A disk. A clone is the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    /// What processes see.
    seen: Tree,
    /// What a power failure leaves at the very least.
    lasting: Tree,
    /// The changes between the two, in order.
    pending: Vec<Pending>,
    /// Which process holds which lock.
    held: BTreeMap<String, (u64, String)>,
    /// Which processes share which lock.
    shared: BTreeMap<String, BTreeSet<u64>>,
    processes: u64,
    temporaries: u64,
    /// Where it is mounted, for messages.
    place: String,
}

type Tree = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Bytes),
    Directory,
}

/// Changes to names: the file that has the name afterwards, or nothing.
type Edits = Vec<(String, Option<Node>)>;

/// A change that may be lost.
#[derive(Debug, Clone)]
struct Pending {
    /// The processes whose `sync` makes it durable.
    by: BTreeSet<u64>,
    /// What a power failure may leave of it besides nothing; the last outcome is the complete change.
    outcomes: Vec<Edits>,
}

/// The point within a call at which a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before anything happened.
    Before,
    /// After something was begun, under a temporary name or, where the contract allows, in place.
    Midway,
    /// After the change, which is not flushed.
    Unflushed,
}

impl Moment {
    pub const ALL: [Moment; 3] = [Moment::Before, Moment::Midway, Moment::Unflushed];
}

/// What happens to a process. Calls and changes are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// It dies in this change: this call and all later ones fail.
    Die { change: u64, moment: Moment },
    /// This call fails, once; with `late` set, it takes effect all the same.
    Refuse { call: u64, late: bool },
    /// From this change onward, there is room for `files` more files and directories. Deleting frees room.
    Full { change: u64, room: i64 },
}

/// A process, which may use several disks.
#[derive(Debug, Clone, Default)]
pub struct Process(Arc<ProcessState>);

#[derive(Debug, Default)]
struct ProcessState {
    fault: Fault,
    calls: AtomicU64,
    changes: AtomicU64,
    is_dead: AtomicBool,
    room: AtomicI64,
    /// The call that the fault struck.
    struck: Mutex<Option<String>>,
}

impl Process {
    /// Starts a process that `fault` strikes.
    pub fn new(fault: Fault) -> Process {
        let room = match fault {
            Fault::Full { room, .. } => room,
            _ => 0,
        };
        Process(Arc::new(ProcessState { fault, room: AtomicI64::new(room), ..ProcessState::default() }))
    }

    /// Returns a process whose calls all fail: its disks are not mounted.
    pub fn unmounted() -> Process {
        let process = Process::default();
        process.0.is_dead.store(true, Ordering::Relaxed);
        process
    }

    /// Returns how many calls it has made.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Returns how many of them change something.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Returns the call that the fault struck, if it did.
    pub fn struck(&self) -> Option<String> {
        self.0.struck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn strike(&self, action: &'static str, path: &str) {
        let mut struck = self.0.struck.lock().unwrap_or_else(PoisonError::into_inner);
        struck.get_or_insert_with(|| format!("{action} {path}"));
    }

    /// Counts a call. Fails when this is the call to refuse, unless the call takes effect first.
    fn call(&self, action: &'static str, path: &str) -> Result<Done, StorageError> {
        let call = self.0.calls.fetch_add(1, Ordering::Relaxed);
        if self.0.is_dead.load(Ordering::Relaxed) {
            return Err(stopped(action, path));
        }
        match self.0.fault {
            Fault::Refuse { call: refused, late } if refused == call => {
                self.strike(action, path);
                if late { Ok(Done::ThenRefused) } else { Err(refused_call(action, path)) }
            }
            _ => Ok(Done::Whole),
        }
    }

    /// Counts a call that changes something, and takes up room for `files`.
    fn change(&self, action: &'static str, path: &str, files: i64) -> Result<Done, StorageError> {
        let done = self.call(action, path)?;
        let change = self.0.changes.fetch_add(1, Ordering::Relaxed);
        match self.0.fault {
            Fault::Die { change: last, moment } if last == change => {
                self.0.is_dead.store(true, Ordering::Relaxed);
                self.strike(action, path);
                match moment {
                    Moment::Before => Err(stopped(action, path)),
                    Moment::Midway => Ok(Done::Midway),
                    Moment::Unflushed => Ok(Done::Unflushed),
                }
            }
            // Another thread came later but was faster.
            Fault::Die { .. } if self.0.is_dead.load(Ordering::Relaxed) => Err(stopped(action, path)),
            Fault::Full { change: first, .. } if first <= change && files > 0 => {
                if self.0.room.fetch_sub(files, Ordering::Relaxed) < files {
                    self.0.room.fetch_add(files, Ordering::Relaxed);
                    self.strike(action, path);
                    let source = io::ErrorKind::StorageFull.into();
                    return Err(StorageError::Io { action: "write", path: path.to_owned(), source });
                }
                Ok(done)
            }
            _ => Ok(done),
        }
    }

    fn free(&self, files: i64) {
        self.0.room.fetch_add(files, Ordering::Relaxed);
    }
}

/// How far a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Whole,
    /// The process dies midway.
    Midway,
    /// The process dies when everything is seen and nothing is durable.
    Unflushed,
    /// It takes effect, and the caller is told that it failed.
    ThenRefused,
}

impl Done {
    fn answer(self, action: &'static str, path: &str) -> Result<(), StorageError> {
        match self {
            Done::Whole => Ok(()),
            Done::ThenRefused => Err(refused_call(action, path)),
            Done::Midway | Done::Unflushed => Err(stopped(action, path)),
        }
    }
}

fn stopped(action: &'static str, path: &str) -> StorageError {
    StorageError::Io { action, path: path.to_owned(), source: io::Error::other("the process is dead") }
}

fn refused_call(action: &'static str, path: &str) -> StorageError {
    StorageError::Io { action, path: path.to_owned(), source: io::Error::other("refused") }
}

/// How much of the pending changes a power failure leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    All,
    None,
    /// A part, chosen by a seed.
    Some(u64),
}

impl Disk {
    /// Makes an empty disk.
    pub fn new() -> Disk {
        Disk::at("disk")
    }

    /// Makes an empty disk that is mounted at `place`.
    pub fn at(place: &str) -> Disk {
        Disk(Arc::new(Mutex::new(State { place: place.to_owned(), ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the storage on this disk as `process` uses it.
    pub fn open(&self, process: &Process) -> SimulatedStorage {
        let mut state = self.state();
        state.processes += 1;
        SimulatedStorage { disk: self.clone(), id: state.processes, process: process.clone() }
    }

    /// Returns the storage for a process that no fault strikes.
    pub fn calm(&self) -> SimulatedStorage {
        self.open(&Process::default())
    }

    /// Returns the disk as it is once all processes are dead: an independent copy.
    pub fn after_death(&self) -> Disk {
        let state = State { held: BTreeMap::new(), shared: BTreeMap::new(), ..self.state().clone() };
        Disk(Arc::new(Mutex::new(state)))
    }

    /// Returns what a power failure leaves.
    pub fn after_power_failure(&self, survival: Survival) -> Disk {
        let state = self.state().clone();
        let mut tree = state.lasting;
        match survival {
            Survival::None => {}
            Survival::All => tree = state.seen,
            Survival::Some(seed) => {
                let mut random = Random(seed);
                let lost = [20, 50, 80][random.below(3) as usize];
                for pending in &state.pending {
                    if random.below(100) < lost {
                        continue;
                    }
                    // All of it as often as the other outcomes together.
                    let parts = pending.outcomes.len() as u64;
                    let chosen = if random.below(2) == 0 { parts - 1 } else { random.below(parts) };
                    apply(&mut tree, &pending.outcomes[chosen as usize]);
                }
            }
        }
        let State { temporaries, place, .. } = state;
        let rest = State { seen: tree.clone(), lasting: tree, temporaries, place, ..State::default() };
        Disk(Arc::new(Mutex::new(rest)))
    }

    /// Returns all files that processes see, by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let file = |(path, node): (&String, &Node)| match node {
            Node::File(bytes) => Some((path.clone(), bytes.to_vec())),
            Node::Directory => None,
        };
        state.seen.iter().filter_map(file).collect()
    }

    /// Replaces the bytes of a file or removes it, durably: what age or people do to a disk.
    pub fn damage(&self, path: &str, bytes: Option<&[u8]>) {
        let node = bytes.map(|bytes| Node::File(Bytes::copy_from_slice(bytes)));
        let mut state = self.state();
        state.pending.retain(|pending| !pending.touches(path));
        let edits = vec![(path.to_owned(), node)];
        apply(&mut state.seen, &edits);
        apply(&mut state.lasting, &edits);
    }
}

impl Pending {
    fn touches(&self, path: &str) -> bool {
        self.outcomes.iter().flatten().any(|(touched, _)| touched == path)
    }
}

/// Applies edits in order. A directory is removed only when it is empty.
fn apply(tree: &mut Tree, edits: &Edits) {
    for (path, node) in edits {
        match node {
            Some(node) => put(tree, path, node.clone()),
            None if matches!(tree.get(path), Some(Node::Directory)) && !below(tree, path).is_empty() => {}
            None => drop(tree.remove(path)),
        }
    }
}

fn put(tree: &mut Tree, path: &str, node: Node) {
    for way in ways(path) {
        tree.insert(way.to_owned(), Node::Directory);
    }
    tree.insert(path.to_owned(), node);
}

/// Returns the directories that lead to `path`.
fn ways(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Returns the paths below the directory `dir`; below the root when it is empty.
fn below(tree: &Tree, dir: &str) -> Vec<String> {
    let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
    tree.range(prefix.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&prefix)).cloned().collect()
}

impl State {
    /// Makes a change that is seen and may be lost. The last of `outcomes` is what is seen.
    fn change(&mut self, by: u64, outcomes: Vec<Edits>) {
        apply(&mut self.seen, outcomes.last().expect("there is one"));
        self.pending.push(Pending { by: BTreeSet::from([by]), outcomes });
    }

    /// Makes a change durably, along with the pending changes to the same names.
    fn change_for_good(&mut self, edits: Edits) {
        for (path, _) in &edits {
            self.pending.retain(|pending| !pending.touches(path));
        }
        apply(&mut self.seen, &edits);
        apply(&mut self.lasting, &edits);
    }

    /// Makes the change durable or pending, as far as the call gets. The last of `outcomes` is the complete change; a
    /// death midway leaves the first.
    fn change_durably(&mut self, by: u64, done: Done, mut outcomes: Vec<Edits>) {
        match done {
            Done::Whole => self.change_for_good(outcomes.pop().expect("there is one")),
            Done::Unflushed | Done::ThenRefused => self.change(by, outcomes),
            Done::Midway => self.change(by, vec![outcomes.swap_remove(0)]),
        }
    }

    /// Makes every change that is pending for `by` durable, along with whatever else is pending at the same names.
    fn sync(&mut self, by: u64) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for pending in self.pending.iter().filter(|pending| pending.by.contains(&by)) {
            names.extend(pending.outcomes.iter().flatten().map(|(path, _)| path.clone()));
        }
        let (settled, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.outcomes.iter().flatten().any(|(path, _)| names.contains(path)));
        self.pending = rest;
        for pending in settled {
            apply(&mut self.lasting, pending.outcomes.last().expect("there is one"));
        }
    }

    /// Makes the changes that are pending at `path` durable with the next sync of `by` too.
    fn share(&mut self, by: u64, path: &str) {
        for pending in self.pending.iter_mut().filter(|pending| pending.touches(path)) {
            pending.by.insert(by);
        }
    }

    fn temporary(&mut self, path: &str) -> String {
        self.temporaries += 1;
        let parent = path.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
        format!("{parent}{TEMPORARY_PREFIX}{}", self.temporaries)
    }

    fn node(&self, path: &RelPath) -> Result<&Node, StorageError> {
        if let Some(way) = ways(path.as_str()).find(|way| matches!(self.seen.get(*way), Some(Node::File(_)))) {
            return Err(StorageError::NotADirectory { path: shown(way) });
        }
        self.seen.get(path.as_str()).ok_or_else(|| StorageError::NotFound { path: shown(path.as_str()) })
    }

    fn file(&self, path: &RelPath) -> Result<&Bytes, StorageError> {
        match self.node(path)? {
            Node::File(bytes) => Ok(bytes),
            Node::Directory => Err(StorageError::NotAFile { path: shown(path.as_str()) }),
        }
    }

    /// Fails when `path` is not a file that can be written or created.
    fn check_writable(&self, path: &RelPath) -> Result<(), StorageError> {
        match self.file(path) {
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fails when `path` is taken, or cannot exist because something on the way is a file.
    fn check_free(&self, path: &RelPath) -> Result<(), StorageError> {
        match self.node(path) {
            Ok(_) => Err(StorageError::Exists { path: shown(path.as_str()) }),
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn shown(path: &str) -> String {
    format!("disk/{path}")
}

fn file(bytes: &[u8]) -> Option<Node> {
    Some(Node::File(Bytes::copy_from_slice(bytes)))
}

/// The storage on a [`Disk`], as one process uses it. A clone is the same process.
#[derive(Debug, Clone)]
pub struct SimulatedStorage {
    disk: Disk,
    id: u64,
    process: Process,
}

impl SimulatedStorage {
    /// Returns the bytes of a file, after counting the call.
    fn read(&self, path: &RelPath) -> Result<Bytes, StorageError> {
        let done = self.process.call("read", path.as_str())?;
        let bytes = self.disk.state().file(path)?.clone();
        done.answer("read", path.as_str()).map(|()| bytes)
    }
}

impl Storage for SimulatedStorage {
    fn place(&self) -> String {
        self.disk.state().place.clone()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        let bytes = self.read(path)?;
        let found = bytes.len() as u64;
        if found > limit {
            return Err(StorageError::TooLarge { path: shown(path.as_str()), limit, found });
        }
        Ok(bytes)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.read(path)?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(bytes.slice(start..end))
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        Ok(self.read(path)?.len() as u64)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        if let Err(error) = state.check_free(path) {
            self.process.call("create", path.as_str())?;
            state.share(self.id, path.as_str());
            return Err(error);
        }
        let done = self.process.change("create", path.as_str(), 1)?;
        let aside = state.temporary(path.as_str());
        let torn = vec![(aside.clone(), file(&bytes[..bytes.len() / 2]))];
        let whole = vec![(aside, file(bytes))];
        match done {
            Done::Midway => state.change(self.id, vec![torn]),
            _ => state.change(self.id, vec![torn, whole, vec![(path.to_string(), file(bytes))]]),
        }
        done.answer("create", path.as_str())
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        if let Err(error) = state.check_free(path) {
            self.process.call("create_dir", path.as_str())?;
            return Err(error);
        }
        if files.iter().any(|(name, _)| name.contains('/') || path.join(name).is_err()) {
            let source = io::ErrorKind::InvalidInput.into();
            return Err(StorageError::Io { action: "write", path: shown(path.as_str()), source });
        }
        let done = self.process.change("create_dir", path.as_str(), 1 + files.len() as i64)?;
        let aside = state.temporary(path.as_str());
        let mut torn = vec![(aside.clone(), Some(Node::Directory))];
        torn.extend(
            files.iter().take(1).map(|(name, bytes)| (format!("{aside}/{name}"), file(&bytes[..bytes.len() / 2]))),
        );
        let mut whole = vec![(path.to_string(), Some(Node::Directory))];
        whole.extend(files.iter().map(|(name, bytes)| (format!("{path}/{name}"), file(bytes))));
        state.change_durably(self.id, done, vec![torn, whole]);
        done.answer("create_dir", path.as_str())
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        state.check_writable(path)?;
        let done = self.process.change("replace", path.as_str(), 1)?;
        let torn = vec![(state.temporary(path.as_str()), file(&bytes[..bytes.len() / 2]))];
        state.change_durably(self.id, done, vec![torn, vec![(path.to_string(), file(bytes))]]);
        done.answer("replace", path.as_str())
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let shown_dir = dir.map_or("", RelPath::as_str);
        let done = self.process.call("list", shown_dir)?;
        let state = self.disk.state();
        if let Some(dir) = dir {
            match state.node(dir) {
                Ok(Node::Directory) => {}
                Ok(Node::File(_)) => return Err(StorageError::NotADirectory { path: shown(dir.as_str()) }),
                Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let mut entries = Vec::new();
        for path in below(&state.seen, shown_dir) {
            let name = &path[if shown_dir.is_empty() { 0 } else { shown_dir.len() + 1 }..];
            if name.contains('/') {
                continue;
            }
            let (kind, bytes) = match &state.seen[&path] {
                Node::File(bytes) => (EntryKind::File, bytes.len() as u64),
                Node::Directory => (EntryKind::Directory, 0),
            };
            entries.push(Entry { name: name.to_owned(), kind, bytes, modified_seconds: None });
        }
        entries.sort();
        done.answer("list", shown_dir).map(|()| entries)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        state.file(path)?;
        let done = self.process.change("delete", path.as_str(), 0)?;
        if done != Done::Midway {
            state.change(self.id, vec![vec![(path.to_string(), None)]]);
            self.process.free(1);
        }
        done.answer("delete", path.as_str())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        if let Node::File(_) = state.node(path)? {
            return Err(StorageError::NotADirectory { path: shown(path.as_str()) });
        }
        let inner = below(&state.seen, path.as_str());
        if let Some(inner) = inner.iter().find(|inner| matches!(state.seen[*inner], Node::Directory)) {
            return Err(StorageError::NotAFile { path: shown(inner) });
        }
        let done = self.process.change("delete_dir", path.as_str(), 0)?;
        let all: Edits = inner.iter().cloned().chain([path.to_string()]).map(|path| (path, None)).collect();
        let first: Edits = all.iter().take(1).cloned().collect();
        match done {
            Done::Midway => state.change(self.id, vec![first]),
            _ => {
                self.process.free(all.len() as i64);
                let last: Edits = all.iter().rev().skip(1).take(1).cloned().collect();
                state.change(self.id, vec![first, last, all]);
            }
        }
        done.answer("delete_dir", path.as_str())
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        let done = self.process.change("sync", "", 0)?;
        match done {
            Done::Whole => state.sync(self.id),
            // Every other one.
            Done::Midway | Done::Unflushed | Done::ThenRefused => {
                for pending in state.pending.iter_mut().filter(|pending| pending.by.contains(&self.id)).step_by(2) {
                    pending.by.insert(u64::MAX);
                }
                state.sync(u64::MAX);
            }
        }
        done.answer("sync", "")
    }

    fn sync_dir(&self, dir: Option<&RelPath>) -> Result<(), StorageError> {
        let shown_dir = dir.map_or("", RelPath::as_str);
        let done = self.process.change("sync_dir", shown_dir, 0)?;
        let mut state = self.disk.state();
        if done == Done::Whole {
            let is_entry = |path: &str| path.rsplit_once('/').map_or("", |(parent, _)| parent) == shown_dir;
            let id = state.processes + 1;
            state.processes = id;
            for pending in &mut state.pending {
                if pending.outcomes.iter().flatten().any(|(path, _)| is_entry(path)) {
                    pending.by.insert(id);
                }
            }
            state.sync(id);
        }
        done.answer("sync_dir", shown_dir)
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        Some(self)
    }
}

impl FileSystem for SimulatedStorage {
    fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        state.check_writable(path)?;
        let done = self.process.change("append", path.as_str(), 0)?;
        let old = state.file(path).map(|old| old.to_vec()).unwrap_or_default();
        let half = bytes.len() / 2;
        let part = [&old[..], &bytes[..half]].concat();
        let zeros = [&part[..], &vec![0; bytes.len() - half]].concat();
        let edits = |content: &[u8]| vec![(path.to_string(), file(content))];
        let outcomes = vec![edits(&part), edits(&zeros), edits(&[&old[..], bytes].concat())];
        state.change_durably(self.id, done, outcomes);
        done.answer("append", path.as_str())
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let mut state = self.disk.state();
        let node = state.node(from)?.clone();
        state.check_free(to)?;
        if to.as_str().strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            let source = io::ErrorKind::InvalidInput.into();
            return Err(StorageError::Io { action: "rename", path: shown(from.as_str()), source });
        }
        let done = self.process.change("rename", from.as_str(), 0)?;
        let inner = below(&state.seen, from.as_str());
        let new = |path: &str| format!("{to}{}", &path[from.as_str().len()..]);
        let mut copied = vec![(to.to_string(), Some(node))];
        copied.extend(inner.iter().map(|path| (new(path), state.seen.get(path).cloned())));
        let removed = inner.iter().rev().cloned().chain([from.to_string()]).map(|path| (path, None));
        let moved: Edits = copied.iter().cloned().chain(removed).collect();
        match done {
            Done::Whole => state.change_for_good(moved),
            // A process never sees both names, but a disk may have them.
            Done::Midway | Done::Unflushed | Done::ThenRefused => state.change(self.id, vec![copied, moved]),
        }
        done.answer("rename", from.as_str())
    }

    fn touch(&self, path: &RelPath) -> Result<(), StorageError> {
        let done = self.process.call("touch", path.as_str())?;
        self.disk.state().file(path)?;
        done.answer("touch", path.as_str())
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let done = self.process.call("lock", path.as_str())?;
        let mut state = self.disk.state();
        state.check_writable(path)?;
        if let Some((_, holder)) = state.held.get(path.as_str()) {
            return Err(StorageError::Held { path: shown(path.as_str()), holder: holder.clone() });
        }
        if state.shared.get(path.as_str()).is_some_and(|ids| !ids.is_empty()) {
            return Err(StorageError::Held { path: shown(path.as_str()), holder: "several processes".to_owned() });
        }
        done.answer("lock", path.as_str())?;
        state.held.insert(path.to_string(), (self.id, holder.to_owned()));
        let edits = |content: &[u8]| vec![(path.to_string(), file(content))];
        // No sync covers it: it need not be durable.
        state.change(u64::MAX - 1, vec![edits(b""), edits(holder.as_bytes())]);
        Ok(Box::new(SimulatedLock { disk: self.disk.clone(), path: path.to_string(), id: self.id }))
    }

    fn lock_shared(&self, path: &RelPath, _holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let done = self.process.call("lock", path.as_str())?;
        let mut state = self.disk.state();
        state.check_writable(path)?;
        if let Some((_, holder)) = state.held.get(path.as_str()) {
            return Err(StorageError::Held { path: shown(path.as_str()), holder: holder.clone() });
        }
        done.answer("lock", path.as_str())?;
        state.shared.entry(path.to_string()).or_default().insert(self.id);
        if !state.seen.contains_key(path.as_str()) {
            state.change(u64::MAX - 1, vec![vec![(path.to_string(), file(b""))]]);
        }
        Ok(Box::new(SimulatedLock { disk: self.disk.clone(), path: path.to_string(), id: self.id }))
    }
}

/// Releases a lock when dropped.
#[derive(Debug)]
struct SimulatedLock {
    disk: Disk,
    path: String,
    id: u64,
}

impl LockGuard for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.held.get(&self.path).is_some_and(|(id, _)| *id == self.id) {
            state.held.remove(&self.path);
        }
        if let Some(ids) = state.shared.get_mut(&self.path) {
            ids.remove(&self.id);
        }
    }
}
