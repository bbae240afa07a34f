//! The history of a store: what was removed or brought back, when and why.
//!
//! Events only explain; no checkpoint depends on them. An event that cannot be read is skipped.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::format::FORMAT;
use crate::format::layout;
use crate::format::sealed::Sealed;
use crate::store::error::StoreError;
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::id::Sequence;
use crate::values::parallel;

mod departures;
mod event;
mod reading;

pub use departures::{Departure, Departures, History};
pub use event::{Event, EventCheckpoint, EventKind, NewEvent, Range};
use reading::{Reading, read};
pub(super) use reading::{bytes, numbers, read_whole, whole};
pub use reading::{is_whole, named_in, whole_event};

/// How many checkpoints one event names; more make several events.
const CHECKPOINTS_PER_EVENT: usize = 4_000;

/// How many events there may be before the older half is folded into one.
const MAX_EVENTS: usize = 200;

/// How often the history is listed again because events were folded meanwhile.
const MAX_LOOKS: u32 = 5;

impl Store {
    /// Reads the history of all replicas, which may have different events with one number if they were cut off from each
    /// other.
    ///
    /// Fails if no replica can be listed, or if the system refuses to read an event: no other replica proves what it says. Of
    /// a lost replica, that counts only for events that no other one has intact.
    pub fn history(&self) -> Result<History, StoreError> {
        self.history_without(&self.health.all_lost().into_keys().collect())
    }

    /// Reads the history as [`Store::history`] does, and fails if the system refuses to read any event of a lost replica,
    /// too, which is about to be caught up.
    pub fn whole_history(&self) -> Result<History, StoreError> {
        self.history_without(&BTreeSet::new())
    }

    fn history_without(&self, lost: &BTreeSet<usize>) -> Result<History, StoreError> {
        let mut reading = Reading::default();
        for _ in 0..MAX_LOOKS {
            reading = self.read_history(lost)?;
            // Events that were folded since they were listed are in a newer one.
            if !reading.is_outdated {
                break;
            }
        }
        let found = std::mem::take(&mut reading.found);
        if let Some(error) = reading.into_refusal() {
            return Err(error.into());
        }
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

    fn read_history(&self, lost: &BTreeSet<usize>) -> Result<Reading, StoreError> {
        let mut reading = Reading::default();
        let mut failed = Vec::new();
        for (index, storage) in self.storages().enumerate() {
            match numbers(storage) {
                Ok(numbers) => {
                    let is_lost = lost.contains(&index);
                    let read = |number: &u64| reading::bytes(storage, *number);
                    let events = parallel::map_on(self.readers_of(storage), &numbers, read);
                    numbers.into_iter().zip(events).for_each(|(number, bytes)| reading.add(number, bytes, is_lost));
                }
                Err(error) => failed.push((index, error)),
            }
        }
        if failed.len() == self.replicas.len() {
            return Err(failed.swap_remove(0).1.into());
        }
        for (index, error) in failed.into_iter().filter(|(index, _)| !lost.contains(index)) {
            // One whose checkpoints cannot be listed either is away.
            if error.is_inconclusive() && self.replicas[index].sequences().is_ok() {
                reading.refuse(error);
            }
        }
        Ok(reading)
    }

    /// Records an event in every replica that can be written to, durably, before it happens.
    ///
    /// The caller holds the lock of [`Store::lock_prune`]. An event of many checkpoints gets several numbers.
    pub fn record(&self, event: &NewEvent) -> Result<(), StoreError> {
        let is_remote = self.is_remote();
        for _ in 0..MAX_LOOKS {
            match self.record_next(event) {
                // Without locks, another process may record one at the same time.
                Err(StoreError::Storage(error)) if error.is_exists() && is_remote => {}
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

#[cfg(test)]
mod tests;
