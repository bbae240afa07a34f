//! Logs of lines: what runs and repairs did, in files of `history/` that are only appended to.
//!
//! Each line is sealed JSON. In object storage, where files cannot grow, each process has its own files, which are
//! written again, longer. When a file is full, the next one is started; when there are many, the oldest is deleted. Logs
//! only explain: no checkpoint depends on them, and a line that cannot be read, such as the last line of a killed run,
//! is skipped.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::layout::{self, HISTORY};
use crate::format::sealed::Sealed;
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::store::Store;
use crate::values::parallel;
use crate::values::relpath::RelPath;

/// The size at which a file is full.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// How many files are kept: well over 100,000 lines.
pub const MAX_FILES: u64 = 32;

/// The same limits where a file cannot grow, and is written again for each line.
const MAX_REWRITTEN_BYTES: u64 = 64 << 10;
const MAX_REWRITTEN_FILES: u64 = 512;

/// The largest file that is read: a larger one was not written by this program.
pub const MAX_READ_BYTES: u64 = 4 * MAX_FILE_BYTES;

/// The longest error that is logged, in characters: longer than any that this program makes.
pub const MAX_ERROR_CHARS: usize = 16_000;

/// How often another number is tried for a file that another process has just started.
const MAX_NAMES: u32 = 8;

/// The logs of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// Attempts to make a checkpoint.
    Attempts,
    /// Runs and repairs.
    Operations,
}

/// How much of a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// The newest files only. Processes that write at the same time may each have one.
    Newest,
}

/// How many files are the newest.
const NEWEST_FILES: usize = 4;

impl LogKind {
    fn path(self, number: u64) -> RelPath {
        match self {
            LogKind::Attempts => layout::attempts(number),
            LogKind::Operations => layout::operations(number),
        }
    }

    fn parse(self, name: &str) -> Option<u64> {
        match self {
            LogKind::Attempts => layout::parse_attempts(name),
            LogKind::Operations => layout::parse_operations(name),
        }
    }
}

/// Writes a log.
#[derive(Debug)]
pub(super) struct LineLog {
    kind: LogKind,
    /// The file that is written to, and its size in bytes; the largest of all replicas.
    file: u64,
    bytes: u64,
    /// Whether a file may end in the middle of a line.
    torn: bool,
    /// The content of the file, if a replica is in object storage.
    lines: Option<Vec<u8>>,
}

impl LineLog {
    /// Continues a log of `store`. Calls `look` with each replica and the number of its newest file.
    pub(super) fn open(store: &Store, kind: LogKind, mut look: impl FnMut(&dyn Storage, u64)) -> LineLog {
        let mut log = LineLog { kind, file: 1, bytes: 0, torn: true, lines: None };
        for index in store.sound() {
            let storage = store.replicas[index].storage().as_ref();
            let newest = files(storage, kind).ok().and_then(|files| files.last_key_value().map(|(f, b)| (*f, *b)));
            let Some((file, bytes)) = newest else { continue };
            if (file, bytes) > (log.file, log.bytes) {
                (log.file, log.bytes) = (file, bytes);
            }
            look(storage, file);
        }
        if store.is_remote() {
            // What another process has written stays.
            log.file = log.file.saturating_add(u64::from(log.bytes > 0));
            (log.bytes, log.lines) = (0, Some(Vec::new()));
        }
        log
    }

    /// Adds a line in every replica that can be written to. Where that fails, the line is lost.
    pub(super) fn add<T: Serialize>(&mut self, store: &Store, value: &T) {
        let mut line = if self.torn && self.bytes > 0 { b"\n".to_vec() } else { Vec::new() };
        line.extend_from_slice(Sealed::write_line(value).as_bytes());
        line.push(b'\n');
        let (max_bytes, max_files) = match self.lines {
            None => (MAX_FILE_BYTES, MAX_FILES),
            Some(_) => (MAX_REWRITTEN_BYTES, MAX_REWRITTEN_FILES),
        };
        if self.bytes >= max_bytes {
            (self.file, self.bytes) = (self.file.saturating_add(1), 0);
            self.lines.iter_mut().for_each(Vec::clear);
        }
        self.bytes += line.len() as u64;
        self.torn = false;
        self.lines.iter_mut().for_each(|lines| lines.extend_from_slice(&line));
        let is_first = self.bytes == line.len() as u64;
        for index in store.sound() {
            let storage = store.replicas[index].storage().as_ref();
            let written = match storage.file_system() {
                Some(file_system) => file_system.append(&self.kind.path(self.file), &line),
                None if is_first => self.start_object(storage, &line),
                None => storage.replace(&self.kind.path(self.file), self.lines.as_deref().unwrap_or(&line)),
            };
            self.torn |= written.is_err();
            if is_first {
                drop_old(storage, self.kind, self.file, max_files);
            }
        }
    }

    /// Writes the first line of a file that cannot grow. Another process may have started one with the same number.
    fn start_object(&mut self, storage: &dyn Storage, line: &[u8]) -> Result<(), StorageError> {
        for _ in 1..MAX_NAMES {
            match storage.create(&self.kind.path(self.file), line) {
                Err(error) if error.is_exists() => self.file = self.file.saturating_add(1),
                created => return created,
            }
        }
        storage.create(&self.kind.path(self.file), line)
    }
}

/// Deletes the files that are too many once `newest` is started.
fn drop_old(storage: &dyn Storage, kind: LogKind, newest: u64, max_files: u64) {
    let files = files(storage, kind).unwrap_or_default();
    for old in files.keys().filter(|old| old.saturating_add(max_files) <= newest) {
        let _ = storage.delete(&kind.path(*old));
    }
}

/// Cuts the text of an error to [`MAX_ERROR_CHARS`].
pub(super) fn limited(error: String) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        None => error,
        Some((end, _)) => error[..end].to_owned(),
    }
}

/// Reads `extent` of a log in all replicas, and calls `take` with each line that is as it was written. Returns how many lines of a
/// replica cannot be read, at most. Fails if no replica can be listed.
pub(super) fn read_all<T>(
    store: &Store,
    kind: LogKind,
    extent: Extent,
    mut take: impl FnMut(T),
) -> Result<u64, StoreError>
where
    T: Serialize + DeserializeOwned,
{
    let mut unreadable = 0;
    let mut failed = Vec::new();
    for storage in store.storages() {
        match files(storage, kind) {
            Ok(files) => {
                let older = if extent == Extent::Whole { 0 } else { files.len().saturating_sub(NEWEST_FILES) };
                let files: Vec<u64> = files.into_keys().skip(older).collect();
                let get = |file: &u64| storage.get(&kind.path(*file), MAX_READ_BYTES);
                // Deleted since, or unreadable: its content is unknown.
                let got = parallel::map_on(store.readers_of(storage), &files, get).into_iter().flatten();
                let count: u64 = got.map(|bytes| take_all(&bytes, &mut take)).sum();
                unreadable = unreadable.max(count);
            }
            Err(error) => failed.push(error),
        }
    }
    if failed.len() == store.replicas.len() {
        return Err(failed.swap_remove(0).into());
    }
    Ok(unreadable)
}

impl Store {
    /// Returns the files of the history in all replicas that can be listed, with their sizes in bytes. Fails if there is
    /// none.
    pub fn history_files(&self) -> Result<BTreeSet<(String, u64)>, StoreError> {
        let directory = layout::directory(HISTORY);
        let mut all = BTreeSet::new();
        let mut failed = Vec::new();
        for storage in self.storages() {
            match storage.list(Some(&directory)) {
                Ok(entries) => all.extend(entries.into_iter().map(|entry| (entry.name, entry.bytes))),
                Err(error) => failed.push(error),
            }
        }
        if failed.len() == self.replicas.len() {
            return Err(failed.swap_remove(0).into());
        }
        Ok(all)
    }
}

/// Calls `take` with each line of a log of one replica that is as it was written. Fails if the replica cannot be listed,
/// or if the system refuses to read a file.
pub(in crate::store) fn read_known<T>(
    storage: &dyn Storage,
    kind: LogKind,
    mut take: impl FnMut(T),
) -> Result<(), StorageError>
where
    T: Serialize + DeserializeOwned,
{
    for file in files(storage, kind)?.into_keys() {
        match storage.get(&kind.path(file), MAX_READ_BYTES) {
            Ok(bytes) => drop(take_all(&bytes, &mut take)),
            Err(error) if error.is_inconclusive() => return Err(error),
            // Deleted since, or damaged.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Returns the files of a log, by number, with their sizes in bytes.
pub(in crate::store) fn files(storage: &dyn Storage, kind: LogKind) -> Result<BTreeMap<u64, u64>, StorageError> {
    let directory = layout::directory(HISTORY);
    let entries = storage.list(Some(&directory))?;
    let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
    Ok(files.filter_map(|entry| Some((kind.parse(&entry.name)?, entry.bytes))).collect())
}

/// Calls `take` with each line of a file that is as it was written. Returns how many lines are not.
pub(super) fn read<T>(storage: &dyn Storage, kind: LogKind, file: u64, take: impl FnMut(T)) -> u64
where
    T: Serialize + DeserializeOwned,
{
    // Deleted since, or unreadable: its content is unknown.
    storage.get(&kind.path(file), MAX_READ_BYTES).map_or(0, |bytes| take_all(&bytes, take))
}

/// Calls `take` with each line that is as it was written. Returns how many are not.
fn take_all<T: Serialize + DeserializeOwned>(bytes: &[u8], mut take: impl FnMut(T)) -> u64 {
    let mut unreadable = 0;
    for line in lines(bytes) {
        match parse(line) {
            Some(value) => take(value),
            None => unreadable += 1,
        }
    }
    unreadable
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// Returns how many of the lines are not as they were written.
pub(super) fn broken<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> usize {
    lines(bytes).filter(|line| parse::<T>(line).is_none()).count()
}

/// Reads a line that is as it was written.
fn parse<T: Serialize + DeserializeOwned>(line: &[u8]) -> Option<T> {
    Sealed::read_line(line).filter(|sealed| sealed.is_whole).map(|sealed| sealed.value)
}
