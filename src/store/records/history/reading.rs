//! Reading events: in one replica, and in one after another.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::format::FORMAT;
use crate::format::layout::{self, HISTORY};
use crate::format::sealed::Sealed;
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::records::history::event::{Event, EventKind};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// The largest event that is read, in bytes.
const MAX_BYTES: u64 = yaml::MAX_BYTES as u64;

pub(in crate::store::records) fn numbers(storage: &dyn Storage) -> Result<Vec<u64>, StorageError> {
    let directory = layout::directory(HISTORY);
    let entries = storage.list(Some(&directory))?;
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    Ok(files.filter_map(|entry| layout::parse_event(&entry.name)).collect())
}

pub(in crate::store::records) fn bytes(storage: &dyn Storage, number: u64) -> Result<Bytes, StorageError> {
    storage.get(&layout::event(number), MAX_BYTES)
}

pub(super) fn read(storage: &dyn Storage, number: u64) -> Option<Sealed<Event>> {
    parse(number, &bytes(storage, number).ok()?)
}

/// Reads an event that is as it was written, with its bytes.
pub(in crate::store::records) fn read_whole(storage: &dyn Storage, number: u64) -> Option<(Event, Bytes)> {
    whole(number, bytes(storage, number).ok()?)
}

/// Returns event `number` with its bytes, if they are as they were written.
pub(in crate::store::records) fn whole(number: u64, bytes: Bytes) -> Option<(Event, Bytes)> {
    let event = parse(number, &bytes).filter(|event| event.is_whole)?;
    Some((event.value, bytes))
}

/// The events as they are found in one replica after another.
#[derive(Default)]
pub(super) struct Reading {
    /// Nothing for an event that is damaged in every replica so far. Replicas that were cut off from each other may have
    /// different events with the same number.
    pub(super) found: BTreeMap<u64, Vec<Sealed<Event>>>,
    /// What a replica that counts refused to read. Another replica may have another event with that number, so its own
    /// decides nothing about this one.
    pub(super) refused: Option<StorageError>,
    /// Events that lost replicas refused to read, and that are not intact in any other replica so far.
    lost: BTreeMap<u64, StorageError>,
    /// Whether an event is gone that was listed a moment ago.
    pub(super) is_outdated: bool,
}

impl Reading {
    /// Adds event `number` of one replica, which may be lost: nothing is done there before it has caught up.
    pub(super) fn add(&mut self, number: u64, bytes: Result<Bytes, StorageError>, is_lost: bool) {
        match bytes {
            Ok(bytes) => {
                let event = parse(number, &bytes);
                let events = self.found.entry(number).or_default();
                events.extend(event.filter(|event| !events.contains(event)));
                if !events.is_empty() {
                    self.lost.remove(&number);
                }
            }
            Err(error) if error.is_not_found() => self.is_outdated = true,
            Err(error) => {
                let events = self.found.entry(number).or_default();
                match error.is_inconclusive() {
                    true if !is_lost => self.refuse(error),
                    true if events.is_empty() => drop(self.lost.insert(number, error)),
                    _ => {}
                }
            }
        }
    }

    /// Notes that a replica that counts refused to be read.
    pub(super) fn refuse(&mut self, error: StorageError) {
        self.refused.get_or_insert(error);
    }

    /// Returns what was refused that the history depends on.
    pub(super) fn into_refusal(mut self) -> Option<StorageError> {
        self.refused.or_else(|| Some(self.lost.pop_first()?.1))
    }
}

/// Returns the SHA-256 of the manifest of each checkpoint that one replica's events name. An event that is not as it
/// was written does not count.
pub fn named_in(storage: &dyn Storage) -> Result<BTreeMap<Sequence, Digest>, StorageError> {
    let mut named = BTreeMap::new();
    for number in numbers(storage)? {
        let bytes = match bytes(storage, number) {
            Ok(bytes) => bytes,
            Err(error) if error.is_refusal() => return Err(error),
            Err(_) => continue,
        };
        let event = parse(number, &bytes).filter(|event| event.is_whole).map(|event| event.value);
        if let Some(event) = event.filter(|event| event.event != EventKind::Other) {
            named.extend(event.checkpoints.into_iter().map(|checkpoint| (checkpoint.sequence, checkpoint.sha256)));
        }
    }
    Ok(named)
}

/// Tells whether `bytes` are event `number`, as it was written.
pub fn is_whole(number: u64, bytes: &[u8]) -> bool {
    parse(number, bytes).is_some_and(|event| event.is_whole)
}

/// Reads the bytes of the file at `path`, if it is an event that is as it was written.
pub fn whole_event(path: &RelPath, bytes: &[u8]) -> Option<Event> {
    let number = layout::parse_event(path.as_str().strip_prefix(HISTORY)?.strip_prefix('/')?)?;
    Some(parse(number, bytes).filter(|event| event.is_whole)?.value)
}

fn parse(number: u64, bytes: &[u8]) -> Option<Sealed<Event>> {
    Sealed::read(bytes).filter(|event: &Sealed<Event>| event.value.format == FORMAT && event.value.number == number)
}
