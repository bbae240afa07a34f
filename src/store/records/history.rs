//! The history of a store: what was removed or brought back, when and why.
//!
//! Events only explain; no checkpoint depends on them. One that can not be read is passed over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::FORMAT;
use crate::format::layout::{self, HISTORY};
use crate::format::sealed::{is_sealed, seal};
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::{Store, StoreError, in_milliseconds};
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::yaml;

/// The most that is read of an event, in bytes.
const MAX_BYTES: u64 = yaml::MAX_BYTES as u64;

/// So many checkpoints are named by one event; more make several.
const CHECKPOINTS_PER_EVENT: usize = 4_000;

/// So many events are there before the older half is folded into one.
const MAX_EVENTS: usize = 200;

/// Something that happened to the checkpoints of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The store format.
    pub format: u32,
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: EventKind,
    /// The rules that it went by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// The checkpoints, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub checkpoints: Vec<EventCheckpoint>,
    /// Numbers of checkpoints that were pruned and are not named one by one any more, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ranges: Vec<Range>,
    /// Files, for leftovers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub files: Option<u64>,
    /// Bytes that it frees, at once or after the grace time.
    pub bytes: u64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Checkpoints were pruned.
    Pruned,
    /// They were left out when others were copied here.
    LeftOut,
    /// They were brought back.
    Undone,
    /// Leftovers were removed: objects that no checkpoint needs, and temporary files.
    RemovedLeftovers,
    /// Older events were put together.
    Folded,
    /// What a later version does.
    #[serde(other)]
    Other,
}

/// A checkpoint of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCheckpoint {
    /// Its number.
    pub sequence: Sequence,
    /// The SHA-256 of its manifest.
    pub sha256: Digest,
    /// When it was pruned, in an event that others were folded into.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time: Option<Timestamp>,
}

/// Numbers of checkpoints that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first.
    pub first: Sequence,
    /// The last.
    pub last: Sequence,
}

/// What is about to happen, to be written down.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The rules that it goes by.
    pub policy: Option<String>,
    /// The checkpoints, ascending.
    pub checkpoints: Vec<EventCheckpoint>,
    /// Files, for leftovers.
    pub files: Option<u64>,
    /// Bytes that it frees.
    pub bytes: u64,
}

/// The events of a store that can be read, ascending.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The events.
    pub events: Vec<Event>,
    /// The highest number that any event has, also one that can not be read.
    pub last: u64,
    /// The numbers of those that can not be read.
    pub unreadable: Vec<u64>,
}

/// What the history says of a checkpoint that is not there: it was pruned, or left out of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// When; nothing when that was long ago.
    pub time: Option<Timestamp>,
    /// The SHA-256 of its manifest; nothing when that was long ago.
    pub sha256: Option<Digest>,
}

impl History {
    /// Returns what was pruned or left out, and not brought back.
    pub fn departures(&self) -> Departures {
        let mut departures = Departures::default();
        for event in &self.events {
            match event.event {
                EventKind::Pruned | EventKind::LeftOut | EventKind::Folded => {
                    departures.ranges.extend(event.ranges.iter().copied());
                    departures.named.extend(event.checkpoints.iter().map(|checkpoint| {
                        let time = checkpoint.time.unwrap_or(event.time);
                        (checkpoint.sequence, (time, checkpoint.sha256))
                    }));
                }
                EventKind::Undone => {
                    for checkpoint in &event.checkpoints {
                        departures.named.remove(&checkpoint.sequence);
                    }
                }
                EventKind::RemovedLeftovers | EventKind::Other => {}
            }
        }
        departures
    }
}

/// What was pruned or left out, and not brought back.
#[derive(Debug, Clone, Default)]
pub struct Departures {
    named: BTreeMap<Sequence, (Timestamp, Digest)>,
    ranges: Vec<Range>,
}

impl Departures {
    /// Returns what is known of the departure of checkpoint `sequence`, if the history knows of one.
    pub fn of(&self, sequence: Sequence) -> Option<Departure> {
        if let Some(&(time, sha256)) = self.named.get(&sequence) {
            return Some(Departure { time: Some(time), sha256: Some(sha256) });
        }
        let in_range = self.ranges.iter().any(|range| (range.first..=range.last).contains(&sequence));
        in_range.then_some(Departure { time: None, sha256: None })
    }
}

impl Store {
    /// Reads the history, each event from the first replica that has it whole. Fails when no replica can be listed.
    pub fn history(&self) -> Result<History, StoreError> {
        let mut found: BTreeMap<u64, Option<Event>> = BTreeMap::new();
        let mut failed = Vec::new();
        for storage in &self.replicas {
            let numbers = match numbers(storage.as_ref()) {
                Ok(numbers) => numbers,
                Err(error) => {
                    failed.push(error);
                    continue;
                }
            };
            for number in numbers {
                let event = found.entry(number).or_default();
                if event.is_none() {
                    *event = read(storage.as_ref(), number);
                }
            }
        }
        if failed.len() == self.replicas.len() {
            return Err(failed.swap_remove(0).into());
        }
        let last = found.keys().next_back().copied().unwrap_or(0);
        let unreadable = found.iter().filter(|(_, event)| event.is_none()).map(|(number, _)| *number).collect();
        Ok(History { events: found.into_values().flatten().collect(), last, unreadable })
    }

    /// Writes an event down in every replica, for good, before it happens.
    ///
    /// The caller holds the lock of [`Store::lock_prune`]. Events of many checkpoints get several numbers.
    pub fn record(&self, event: &NewEvent) -> Result<(), StoreError> {
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

    /// Folds the older events into one when there are many, so that a store that is pruned for years has a short
    /// history. Checkpoints in `named` stay named one by one, the others only as numbers.
    pub fn fold_history(&self, named: &BTreeSet<Sequence>, now: Timestamp) -> Result<(), StoreError> {
        let history = self.history()?;
        if history.events.len() <= MAX_EVENTS {
            return Ok(());
        }
        let older = &history.events[..history.events.len() - MAX_EVENTS / 2];
        let older = History { events: older.to_vec(), ..History::default() };
        let departures = older.departures();
        let (kept, folded): (Vec<_>, Vec<_>) =
            departures.named.iter().partition(|(sequence, _)| named.contains(sequence));
        let entry = |(&sequence, &(time, sha256))| EventCheckpoint { sequence, sha256, time: Some(time) };
        let mut ranges: Vec<Range> = departures.ranges.clone();
        ranges.extend(folded.iter().map(|(sequence, _)| Range { first: **sequence, last: **sequence }));
        // The youngest: an event that takes so many would not be read again.
        let skipped = kept.len().saturating_sub(CHECKPOINTS_PER_EVENT);
        let event = Event {
            format: FORMAT,
            number: history.last + 1,
            time: in_milliseconds(now),
            event: EventKind::Folded,
            policy: None,
            checkpoints: kept.into_iter().skip(skipped).map(entry).collect(),
            ranges: merged(ranges),
            files: None,
            bytes: older.events.iter().fold(0, |sum, event| sum.saturating_add(event.bytes)),
        };
        self.write_event(&event)?;
        for storage in &self.replicas {
            for old in &older.events {
                match storage.delete(&layout::event(old.number)) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            storage.sync()?;
        }
        Ok(())
    }

    fn write_event(&self, event: &Event) -> Result<(), StoreError> {
        let text = seal(yaml::to_string(event));
        for storage in &self.replicas {
            storage.create(&layout::event(event.number), text.as_bytes())?;
            storage.sync()?;
        }
        Ok(())
    }

    fn last_event(&self) -> Result<u64, StoreError> {
        let mut last = 0;
        for storage in &self.replicas {
            last = last.max(numbers(storage.as_ref())?.into_iter().max().unwrap_or(0));
        }
        Ok(last)
    }
}

/// Puts together ranges that overlap or follow each other.
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

fn numbers(storage: &dyn Storage) -> Result<Vec<u64>, StorageError> {
    let directory = layout::directory(HISTORY);
    let entries = storage.list(Some(&directory))?;
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    Ok(files.filter_map(|entry| layout::parse_event(&entry.name)).collect())
}

fn read(storage: &dyn Storage, number: u64) -> Option<Event> {
    parse(number, &storage.get(&layout::event(number), MAX_BYTES).ok()?)
}

/// Tells whether `bytes` are event `number`, as it was written. One of the time before seals shows only some changes.
pub fn is_whole(number: u64, bytes: &[u8]) -> bool {
    parse(number, bytes).is_some_and(|event| is_sealed(bytes) || yaml::to_string(&event).as_bytes() == bytes)
}

fn parse(number: u64, bytes: &[u8]) -> Option<Event> {
    let event: Event = yaml::from_str(yaml::decode(bytes).ok()?).ok()?;
    (event.format == FORMAT && event.number == number).then_some(event)
}

#[cfg(test)]
mod tests;
