//! Merging histories: replicas that were cut off from each other may have given one number to different events.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::format::layout;
use crate::format::sealed::Sealed;
use crate::storage::{Storage, StorageError};
use crate::store::error::StoreError;
use crate::store::records::history::{Event, EventKind, numbers, read_whole};
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
    /// If they have different events with one number, the first replica's event keeps it, and the others get new
    /// numbers. Whatever stops the merge, no event is lost, and the next one continues.
    pub(in crate::store) fn merge_histories(&self, replicas: &BTreeSet<usize>) -> Vec<(usize, StoreError)> {
        let mut merge = Merge { storages: Vec::new(), failed: Vec::new() };
        let mut all: BTreeSet<u64> = BTreeSet::new();
        for &index in replicas {
            let storage = self.replicas[index].storage().as_ref();
            match numbers(storage) {
                Ok(numbers) => {
                    all.extend(numbers);
                    merge.storages.push((index, storage));
                }
                Err(error) => merge.failed.push((index, error.into())),
            }
        }
        let mut last = all.last().copied().unwrap_or(0);
        for number in all {
            merge.number(number, &mut last);
        }
        merge.each(|storage| storage.sync());
        merge.failed
    }
}

/// A merge of the histories of replicas.
struct Merge<'a> {
    storages: Vec<(usize, &'a dyn Storage)>,
    failed: Vec<(usize, StoreError)>,
}

impl<'a> Merge<'a> {
    /// Gives every replica event `number`. `last` is the highest number of all.
    fn number(&mut self, number: u64, last: &mut u64) {
        // A damaged event is left to a repair.
        let events: BTreeMap<usize, (Event, Bytes)> =
            self.storages.iter().filter_map(|(index, storage)| Some((*index, read_whole(*storage, number)?))).collect();
        let Some((first, bytes)) = events.values().next() else { return };
        let mut others: Vec<&Event> = Vec::new();
        for (event, _) in events.values().filter(|(event, _)| event != first) {
            if event.event == EventKind::Other {
                // It may say more than this version can write.
                return;
            }
            if !others.contains(&event) {
                others.push(event);
            }
        }
        for other in others {
            *last = last.saturating_add(1);
            let moved = Event { number: *last, ..other.clone() };
            self.each(|storage| {
                // A merge that was stopped may have written it already.
                if has_later(storage, other)? {
                    return Ok(());
                }
                storage.create(&layout::event(moved.number), Sealed::write(&moved).as_bytes())?;
                storage.sync()
            });
        }
        let path = layout::event(number);
        self.each_with_index(|index, storage| match events.get(&index) {
            Some((event, _)) if event == first => Ok(()),
            Some(_) => storage.replace(&path, bytes),
            None => match storage.create(&path, bytes) {
                Err(error) if error.is_exists() => Ok(()),
                created => created,
            },
        });
    }

    fn each(&mut self, act: impl Fn(&'a dyn Storage) -> Result<(), StorageError>) {
        self.each_with_index(|_, storage| act(storage));
    }

    /// Calls `act` with every replica that has not failed.
    fn each_with_index(&mut self, act: impl Fn(usize, &'a dyn Storage) -> Result<(), StorageError>) {
        let failed = &mut self.failed;
        self.storages.retain(|&(index, storage)| match act(index, storage) {
            Ok(()) => true,
            Err(error) => {
                failed.push((index, error.into()));
                false
            }
        });
    }
}

/// Tells whether `event` is in the history under a later number too.
fn has_later(storage: &dyn Storage, event: &Event) -> Result<bool, StorageError> {
    let later = numbers(storage)?.into_iter().filter(|&later| later > event.number);
    let mut later = later.filter_map(|later| read_whole(storage, later));
    Ok(later.any(|(other, _)| Event { number: event.number, ..other } == *event))
}

/// Returns the bytes of every event of a replica, as far as they can be read.
fn events(storage: &dyn Storage) -> Result<BTreeMap<u64, Option<Bytes>>, StorageError> {
    let read = |number| (number, read_whole(storage, number).map(|(_, bytes)| bytes));
    Ok(numbers(storage)?.into_iter().map(read).collect())
}
