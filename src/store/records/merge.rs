//! Merging histories: replicas that were cut off from each other may have given one number to different events.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::format::layout;
use crate::format::sealed::Sealed;
use crate::storage::{Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::records::history::{Departures, Event, EventKind, History, bytes, numbers, read_whole, whole};
use crate::store::store::Store;

impl Store {
    /// Tells whether the history of replica `index` differs from that of another that can be read.
    pub(in crate::store) fn history_differs(&self, index: usize) -> Result<bool, StoreError> {
        let own = events(self.replicas[index].storage().as_ref())?;
        let others = self.replicas.iter().enumerate().filter(|(other, _)| *other != index);
        let mut others = others.filter_map(|(_, replica)| events(replica.storage().as_ref()).ok());
        Ok(others.any(|other| other != own))
    }

    /// Gives each of `replicas` the events that the others have. Returns which of them failed, and why.
    ///
    /// If they have different events with one number, one event keeps it, and the others get new numbers. Of those that
    /// later events have overtaken in everything, only one is kept. What the history says of each checkpoint never
    /// changes, wherever the merge stops: the next one continues.
    ///
    /// The caller has copied the checkpoints that a merged history no longer explains.
    pub(in crate::store) fn merge_histories(&self, replicas: &BTreeSet<usize>) -> Vec<(usize, StoreError)> {
        let mut histories = Vec::new();
        let mut failed = Vec::new();
        for &index in replicas {
            match OwnEvents::read(self.replicas[index].storage().as_ref()) {
                Ok(own) => histories.push((index, own)),
                Err(error) => failed.push((index, error.into())),
            }
        }
        let merged = merged(histories.iter().map(|(_, own)| own));
        for (index, own) in histories {
            if let Err(error) = own.become_merged(self.replicas[index].storage().as_ref(), &merged) {
                failed.push((index, error.into()));
            }
        }
        failed
    }
}

/// The events of one replica, without the damaged ones, which are left to a repair.
struct OwnEvents {
    events: BTreeMap<u64, (Event, Bytes)>,
    /// The highest number of any event, damaged or not.
    last: u64,
}

impl OwnEvents {
    /// Fails if the system refuses to read one, which may overtake what the others say.
    fn read(storage: &dyn Storage) -> Result<OwnEvents, StorageError> {
        let numbers = numbers(storage)?;
        let last = numbers.iter().copied().max().unwrap_or(0);
        let mut events = BTreeMap::new();
        for number in numbers {
            match bytes(storage, number) {
                Ok(bytes) => events.extend(whole(number, bytes).map(|event| (number, event))),
                Err(error) if error.is_inconclusive() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(OwnEvents { events, last })
    }

    /// Makes the replica's events those of `merged`.
    ///
    /// The last one is written first, so that the replica always has the events that decide. An earlier event alone
    /// could say that a checkpoint was brought back which was pruned again.
    fn become_merged(&self, storage: &dyn Storage, merged: &BTreeMap<u64, Bytes>) -> Result<(), StorageError> {
        for (&number, bytes) in merged.iter().rev() {
            let path = layout::event(number);
            match self.events.get(&number) {
                Some((_, own)) if own == bytes => continue,
                Some(_) => storage.replace(&path, bytes)?,
                None => match storage.create(&path, bytes) {
                    Err(error) if !error.is_exists() => return Err(error),
                    _ => {}
                },
            }
            storage.sync()?;
        }
        Ok(())
    }
}

/// Returns the events that all replicas should have, by number.
fn merged<'a>(histories: impl Iterator<Item = &'a OwnEvents>) -> BTreeMap<u64, Bytes> {
    let mut all: BTreeMap<u64, Vec<&(Event, Bytes)>> = BTreeMap::new();
    let mut last = 0;
    for own in histories {
        last = last.max(own.last);
        for (&number, found) in &own.events {
            let events = all.entry(number).or_default();
            if !events.iter().any(|known| is_same(known, found)) {
                events.push(found);
            }
        }
    }
    let departures = departures(&all);
    let mut merged = BTreeMap::new();
    for (&number, events) in &all {
        let is_other = |(event, _): &&(Event, Bytes)| event.event == EventKind::Other;
        let is_overtaken = |(event, _): &&(Event, Bytes)| movable(event, &departures).is_none();
        let keeper = match events.iter().copied().filter(is_other).count() {
            0 => events.iter().copied().find(is_overtaken).unwrap_or(events[0]),
            1 => events.iter().copied().find(is_other).unwrap_or(events[0]),
            // They may say more than this version can write.
            _ => continue,
        };
        merged.insert(number, keeper.1.clone());
        for (event, _) in events.iter().filter(|event| !std::ptr::eq(**event, keeper)) {
            let Some(moved) = movable(event, &departures) else { continue };
            // A merge that was stopped may have written it already.
            let is_written = |(later, _): &&(Event, Bytes)| Event { number: later.number, ..moved.clone() } == *later;
            if !all.range(number + 1..).flat_map(|(_, events)| events).copied().any(|later| is_written(&later)) {
                last += 1;
                merged.insert(last, Sealed::write(&Event { number: last, ..moved }).into_bytes().into());
            }
        }
    }
    merged
}

fn is_same((event, bytes): &(Event, Bytes), (other, other_bytes): &(Event, Bytes)) -> bool {
    bytes == other_bytes || (event == other && event.event != EventKind::Other)
}

/// Returns what `events` say of the checkpoints, as [`Store::history`] orders them.
fn departures(events: &BTreeMap<u64, Vec<&(Event, Bytes)>>) -> Departures {
    let in_order = events.values().flat_map(|events| {
        let mut events: Vec<Event> = events.iter().map(|(event, _)| event.clone()).collect();
        events.sort_by_key(|event| event.time);
        events
    });
    History { events: in_order.collect(), ..History::default() }.departures()
}

/// Returns what of an event may follow all others: only the checkpoints that no later event says otherwise about.
/// Nothing if later events overtook all of it.
fn movable(event: &Event, departures: &Departures) -> Option<Event> {
    let mut moved = event.clone();
    moved.checkpoints.retain(|checkpoint| {
        let departure = departures.of(checkpoint.sequence).filter(|departure| departure.sha256.is_some());
        match event.event {
            EventKind::Pruned | EventKind::LeftOut | EventKind::Folded | EventKind::Expired => {
                departure.is_some_and(|departure| departure.time == checkpoint.time.or(Some(event.time)))
            }
            EventKind::Undone | EventKind::Kept => departure.is_none(),
            EventKind::RemovedLeftovers | EventKind::Other => true,
        }
    });
    let is_overtaken = moved.checkpoints.is_empty() && moved.ranges.is_empty() && !event.checkpoints.is_empty();
    (!is_overtaken).then_some(moved)
}

/// Returns the bytes of every event of a replica, as far as they can be read.
fn events(storage: &dyn Storage) -> Result<BTreeMap<u64, Option<Bytes>>, StorageError> {
    let read = |number| (number, read_whole(storage, number).map(|(_, bytes)| bytes));
    Ok(numbers(storage)?.into_iter().map(read).collect())
}
