//! The history of a store: what was removed or brought back, when and why.
//!
//! Events only explain; no checkpoint depends on them. An event that cannot be read is skipped.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::FORMAT;
use crate::format::layout::{self, HISTORY};
use crate::format::sealed::Sealed;
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// The largest event that is read, in bytes.
const MAX_BYTES: u64 = yaml::MAX_BYTES as u64;

/// How many checkpoints one event names; more make several events.
const CHECKPOINTS_PER_EVENT: usize = 4_000;

/// How many events there may be before the older half is folded into one.
const MAX_EVENTS: usize = 200;

/// How often the history is listed again because events were folded meanwhile.
const MAX_LOOKS: u32 = 5;

/// Something that happened to the checkpoints of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The store format.
    pub format: u32,
    /// From 1.
    pub number: u64,
    pub time: Timestamp,
    pub event: EventKind,
    /// The retention policy that was applied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// Ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub checkpoints: Vec<EventCheckpoint>,
    /// Numbers of pruned checkpoints that are no longer named one by one, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ranges: Vec<Range>,
    /// How many files, for leftovers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub files: Option<u64>,
    /// Bytes that this frees, at once or after the grace period.
    pub bytes: u64,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Checkpoints were pruned.
    Pruned,
    /// Checkpoints were left out when others were copied here.
    LeftOut,
    /// Checkpoints were brought back.
    Undone,
    /// Leftovers were removed: objects that no checkpoint needs, and temporary files.
    RemovedLeftovers,
    /// In object storage: pruned checkpoints are deleted now, and cannot be brought back.
    Expired,
    /// Older events were combined.
    Folded,
    /// Something that only a later version does.
    #[serde(other)]
    Other,
}

/// A checkpoint of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCheckpoint {
    pub sequence: Sequence,
    /// The SHA-256 of its manifest.
    pub sha256: Digest,
    /// When it was pruned, in an event that combines others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<Timestamp>,
}

/// Consecutive numbers of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub first: Sequence,
    pub last: Sequence,
}

/// An event that is about to happen, to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub time: Timestamp,
    pub kind: EventKind,
    /// The retention policy that is applied.
    pub policy: Option<String>,
    /// Ascending.
    pub checkpoints: Vec<EventCheckpoint>,
    /// How many files, for leftovers.
    pub files: Option<u64>,
    /// Bytes that this frees.
    pub bytes: u64,
}

impl NewEvent {
    /// Makes an event about `checkpoints`, each with the SHA-256 of its manifest, ascending.
    pub fn of_checkpoints(
        time: Timestamp,
        kind: EventKind,
        checkpoints: impl IntoIterator<Item = (Sequence, Digest)>,
    ) -> NewEvent {
        let entry = |(sequence, sha256)| EventCheckpoint { sequence, sha256, time: None };
        let checkpoints = checkpoints.into_iter().map(entry).collect();
        NewEvent { time, kind, policy: None, checkpoints, files: None, bytes: 0 }
    }
}

/// The history of a store.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The events that can be read, ascending.
    pub events: Vec<Event>,
    /// The highest number of any event, readable or not.
    pub last: u64,
    /// The numbers of events that cannot be read.
    pub unreadable: Vec<u64>,
}

/// What the history says about a missing checkpoint: it was pruned, or left out of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Nothing if it was long ago.
    pub time: Option<Timestamp>,
    /// The SHA-256 of its manifest; nothing if it was long ago.
    pub sha256: Option<Digest>,
}

impl Event {
    /// Returns the checkpoints that it says were brought back.
    pub fn brought_back(&self) -> impl Iterator<Item = Sequence> {
        let is_undone = self.event == EventKind::Undone;
        self.checkpoints.iter().filter(move |_| is_undone).map(|checkpoint| checkpoint.sequence)
    }
}

impl History {
    /// Returns those of `checkpoints` that an event of the kind `kind`, `Expired` or `Undone`, does not concern, because
    /// one of the other kind came first since they were pruned. No two events have the same number.
    pub fn overruled(&self, checkpoints: &[Sequence], kind: EventKind) -> BTreeSet<Sequence> {
        let mut first: BTreeMap<Sequence, EventKind> = BTreeMap::new();
        for event in &self.events {
            for named in event.checkpoints.iter().map(|checkpoint| checkpoint.sequence) {
                match event.event {
                    // Pruned again after it was brought back.
                    EventKind::Pruned if first.get(&named) == Some(&EventKind::Undone) => drop(first.remove(&named)),
                    EventKind::Undone | EventKind::Expired => drop(first.entry(named).or_insert(event.event)),
                    _ => {}
                }
            }
        }
        let is_overruled = |sequence: &&Sequence| first.get(sequence).is_some_and(|first| *first != kind);
        checkpoints.iter().filter(is_overruled).copied().collect()
    }

    /// Returns the checkpoints that were pruned or left out, and not brought back.
    pub fn departures(&self) -> Departures {
        let mut departures = Departures::default();
        let mut expired = BTreeSet::new();
        for event in &self.events {
            match event.event {
                EventKind::Pruned | EventKind::LeftOut | EventKind::Folded | EventKind::Expired => {
                    if event.event == EventKind::Expired {
                        expired.extend(event.checkpoints.iter().map(|checkpoint| checkpoint.sequence));
                    }
                    departures.ranges.extend(event.ranges.iter().copied());
                    departures.named.extend(event.checkpoints.iter().map(|checkpoint| {
                        let time = checkpoint.time.unwrap_or(event.time);
                        (checkpoint.sequence, (time, checkpoint.sha256))
                    }));
                }
                EventKind::Undone => {
                    // One that came too late brought nothing back.
                    for sequence in event.brought_back().filter(|sequence| !expired.contains(sequence)) {
                        departures.named.remove(&sequence);
                    }
                }
                EventKind::RemovedLeftovers | EventKind::Other => {}
            }
        }
        departures
    }
}

/// The checkpoints that were pruned or left out, and not brought back.
#[derive(Debug, Clone, Default)]
pub struct Departures {
    named: BTreeMap<Sequence, (Timestamp, Digest)>,
    ranges: Vec<Range>,
}

impl Departures {
    /// Adds what a later look at the history says. What was explained then or is explained now has an explanation:
    /// a checkpoint may have been removed or brought back in between.
    #[must_use]
    pub fn or(mut self, later: Departures) -> Departures {
        self.named.extend(later.named);
        self.ranges.extend(later.ranges);
        self
    }

    /// Returns the departure of checkpoint `sequence`, if the history knows of one.
    pub fn of(&self, sequence: Sequence) -> Option<Departure> {
        if let Some(&(time, sha256)) = self.named.get(&sequence) {
            return Some(Departure { time: Some(time), sha256: Some(sha256) });
        }
        let in_range = self.ranges.iter().any(|range| (range.first..=range.last).contains(&sequence));
        in_range.then_some(Departure { time: None, sha256: None })
    }
}

impl Store {
    /// Reads the history of all replicas, which may have different events with one number if they were cut off from each
    /// other.
    ///
    /// Fails if no replica can be listed, or if the system refuses to read an event that no replica has intact.
    pub fn history(&self) -> Result<History, StoreError> {
        let mut reading = Reading::default();
        for _ in 0..MAX_LOOKS {
            reading = self.read_history()?;
            // Events that were folded since they were listed are in a newer one.
            if !reading.is_outdated {
                break;
            }
        }
        if let Some((_, error)) = reading.refused.pop_first() {
            return Err(error.into());
        }
        let found = reading.found;
        let last = found.keys().next_back().copied().unwrap_or(0);
        let unreadable = found.iter().filter(|(_, events)| events.is_empty()).map(|(number, _)| *number).collect();
        let events = found.into_values().flat_map(|mut events| {
            // One that is not as it was written counts only if there is no other.
            let whole = events.iter().filter(|event| event.is_whole).count();
            events.sort_by_key(|event| (!event.is_whole, event.value.time));
            events.truncate(whole.max(1));
            events.into_iter().map(|event| event.value)
        });
        Ok(History { events: events.collect(), last, unreadable })
    }

    fn read_history(&self) -> Result<Reading, StoreError> {
        let mut reading = Reading::default();
        let mut failed = Vec::new();
        for storage in self.storages() {
            match numbers(storage) {
                Ok(numbers) => numbers.into_iter().for_each(|number| reading.add(number, storage)),
                Err(error) => failed.push(error),
            }
        }
        if failed.len() == self.replicas.len() {
            return Err(failed.swap_remove(0).into());
        }
        Ok(reading)
    }

    /// Records an event in every replica that can be written to, durably, before it happens.
    ///
    /// The caller holds the lock of [`Store::lock_prune`]. An event of many checkpoints gets several numbers.
    pub fn record(&self, event: &NewEvent) -> Result<(), StoreError> {
        let is_without_locks = self.is_remote();
        for _ in 0..MAX_LOOKS {
            match self.record_next(event) {
                // Without locks, another process may record one at the same time.
                Err(StoreError::Storage(error)) if error.is_exists() && is_without_locks => {}
                recorded => return recorded,
            }
        }
        self.record_next(event)
    }

    fn record_next(&self, event: &NewEvent) -> Result<(), StoreError> {
        let parts: Vec<&[EventCheckpoint]> = match event.checkpoints.as_slice() {
            [] => vec![&[]],
            checkpoints => checkpoints.chunks(CHECKPOINTS_PER_EVENT).collect(),
        };
        let first = self.last_event()?.saturating_add(1);
        for (number, part) in (first..).zip(parts) {
            let event = Event {
                format: FORMAT,
                number,
                time: in_milliseconds(event.time),
                event: event.kind,
                policy: event.policy.clone(),
                checkpoints: part.to_vec(),
                ranges: Vec::new(),
                files: event.files,
                bytes: if number == first { event.bytes } else { 0 },
            };
            self.write_event(&event)?;
        }
        Ok(())
    }

    /// Folds the older events into one if there are many, so that a store that is pruned for years has a short history.
    /// Checkpoints in `named` and the newest others stay named one by one, so that a replica that is far behind is still
    /// known to be a copy; of the rest only the numbers are kept.
    pub fn fold_history(&self, named: &BTreeSet<Sequence>, now: Timestamp) -> Result<(), StoreError> {
        let mut count = 0;
        for storage in self.storages() {
            count = count.max(numbers(storage)?.len());
        }
        if count <= MAX_EVENTS {
            return Ok(());
        }
        let history = self.history()?;
        let older = &history.events[..history.events.len() - MAX_EVENTS / 2];
        let older = History { events: older.to_vec(), ..History::default() };
        let departures = older.departures();
        let mut all: Vec<_> = departures.named.iter().collect();
        all.sort_by_key(|(sequence, _)| (named.contains(sequence), **sequence));
        // An event that names more would be too large to be read again.
        let (folded, kept) = all.split_at(all.len().saturating_sub(CHECKPOINTS_PER_EVENT));
        let mut kept = kept.to_vec();
        kept.sort_by_key(|(sequence, _)| **sequence);
        let entry = |(&sequence, &(time, sha256))| EventCheckpoint { sequence, sha256, time: Some(time) };
        let mut ranges: Vec<Range> = departures.ranges.clone();
        ranges.extend(folded.iter().map(|(sequence, _)| Range { first: **sequence, last: **sequence }));
        let event = Event {
            format: FORMAT,
            number: history.last + 1,
            time: in_milliseconds(now),
            event: EventKind::Folded,
            policy: None,
            checkpoints: kept.into_iter().map(entry).collect(),
            ranges: merged(ranges),
            files: None,
            bytes: older.events.iter().fold(0, |sum, event| sum.saturating_add(event.bytes)),
        };
        self.write_event(&event)?;
        self.on_each(|storage| {
            for old in &older.events {
                if read(storage, old.number).is_none_or(|event| event.value != *old) {
                    continue;
                }
                match storage.delete(&layout::event(old.number)) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            Ok(storage.sync()?)
        })
    }

    fn write_event(&self, event: &Event) -> Result<(), StoreError> {
        let text = Sealed::write(event);
        self.on_each(|storage| {
            storage.create(&layout::event(event.number), text.as_bytes())?;
            Ok(storage.sync()?)
        })
    }

    pub(super) fn last_event(&self) -> Result<u64, StoreError> {
        let mut last = 0;
        for index in self.reading_order() {
            match numbers(self.replicas[index].storage().as_ref()) {
                Ok(numbers) => last = last.max(numbers.into_iter().max().unwrap_or(0)),
                Err(error) => self.lose_unless_last(index, error.into())?,
            }
        }
        Ok(last)
    }
}

/// Combines ranges that overlap or follow each other.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by_key(|range| range.first);
    let mut merged: Vec<Range> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.first.0 <= last.last.0.saturating_add(1) => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

pub(super) fn numbers(storage: &dyn Storage) -> Result<Vec<u64>, StorageError> {
    let directory = layout::directory(HISTORY);
    let entries = storage.list(Some(&directory))?;
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    Ok(files.filter_map(|entry| layout::parse_event(&entry.name)).collect())
}

fn read(storage: &dyn Storage, number: u64) -> Option<Sealed<Event>> {
    parse(number, &storage.get(&layout::event(number), MAX_BYTES).ok()?)
}

/// Reads an event that is as it was written, with its bytes.
pub(super) fn read_whole(storage: &dyn Storage, number: u64) -> Option<(Event, Bytes)> {
    let bytes = storage.get(&layout::event(number), MAX_BYTES).ok()?;
    let event = parse(number, &bytes).filter(|event| event.is_whole)?;
    Some((event.value, bytes))
}

/// The events as they are found in one replica after another.
#[derive(Default)]
struct Reading {
    /// Nothing for an event that is damaged in every replica so far. Replicas that were cut off from each other may have
    /// different events with the same number.
    found: BTreeMap<u64, Vec<Sealed<Event>>>,
    /// Events that the system refused to read, and that are not intact in any other replica so far.
    refused: BTreeMap<u64, StorageError>,
    /// Whether an event is gone that was listed a moment ago.
    is_outdated: bool,
}

impl Reading {
    fn add(&mut self, number: u64, storage: &dyn Storage) {
        match storage.get(&layout::event(number), MAX_BYTES) {
            Ok(bytes) => {
                let event = parse(number, &bytes);
                let events = self.found.entry(number).or_default();
                events.extend(event.filter(|event| !events.contains(event)));
                if !events.is_empty() {
                    self.refused.remove(&number);
                }
            }
            Err(error) if error.is_not_found() => self.is_outdated = true,
            Err(error) => {
                let events = self.found.entry(number).or_default();
                if error.is_inconclusive() && events.is_empty() {
                    self.refused.insert(number, error);
                }
            }
        }
    }
}

/// Returns the SHA-256 of the manifest of each checkpoint that one replica's events name. An event that is not as it
/// was written does not count.
pub fn named_in(storage: &dyn Storage) -> Result<BTreeMap<Sequence, Digest>, StorageError> {
    let mut named = BTreeMap::new();
    for number in numbers(storage)? {
        let bytes = match storage.get(&layout::event(number), MAX_BYTES) {
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

#[cfg(test)]
mod tests;
