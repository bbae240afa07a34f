//! What is added to a log while it is read.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

use crate::ops::log::happening::{Happening, Unended};
use crate::ops::log::read::{Selection, in_order, manifests};
use crate::store::records::line_log::Extent;
use crate::store::records::operations::Operation;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;

/// Reads a log again and again, and returns what is new.
#[derive(Debug)]
pub struct Follower {
    selection: Selection,
    /// What was returned, or left out.
    seen: HashSet<Key>,
    /// What may be logged in a moment: checkpoints without an attempt, and starts of runs without an origin.
    waiting: HashSet<Key>,
    /// The files of the history, and the checkpoints, when they were last read.
    found: Option<Found>,
}

/// The files of a history with their sizes, and the checkpoints of a store.
type Found = (BTreeSet<(String, u64)>, Vec<Sequence>);

/// What tells happenings apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Attempt(u64, Timestamp, String),
    Checkpoint(Sequence),
    Event(u64, Timestamp),
    /// A start is told once more if its run was killed.
    Start(Option<String>, u32, bool),
    Operation(Timestamp, Option<String>, String),
}

impl Key {
    fn of(happening: &Happening) -> Key {
        let of_operation = |operation: &Operation| (operation.time, operation.run.clone());
        match happening {
            Happening::Attempt(attempt) => Key::Attempt(attempt.number, attempt.time, attempt.run.clone()),
            Happening::Checkpoint(manifest) => Key::Checkpoint(manifest.sequence),
            Happening::Event(event) => Key::Event(event.number, event.time),
            Happening::Start(start) => {
                let is_killed = start.unended == Some(Unended::Killed);
                Key::Start(start.operation.run.clone(), start.operation.restart, is_killed)
            }
            Happening::Operation(operation) => {
                let (time, run) = of_operation(operation);
                Key::Operation(time, run, format!("{:?}", operation.what))
            }
        }
    }
}

impl Follower {
    /// Makes a follower that first returns what `selection` selects.
    pub fn new(selection: Selection) -> Follower {
        Follower { selection, seen: HashSet::new(), waiting: HashSet::new(), found: None }
    }

    /// Returns what is new in the log of `store` since the last call, the oldest first.
    pub fn next(&mut self, store: &Store) -> Result<Vec<Happening>, StoreError> {
        let found = (store.history_files()?, store.sequences()?);
        let is_first = self.found.is_none();
        if self.found.as_ref() == Some(&found) && self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        // Whatever is new is in the newest files.
        let extent = if is_first { Extent::Whole } else { Extent::Newest };
        let attempts = store.attempts(extent)?.attempts;
        self.seen.extend(attempts.iter().filter_map(|attempt| attempt.sequence).map(Key::Checkpoint));
        let unlogged = found.1.iter().copied().filter(|&sequence| !self.seen.contains(&Key::Checkpoint(sequence)));
        let manifests = manifests(store, &unlogged.collect::<Vec<_>>());
        let operations = store.operations(extent)?.operations;
        let mut new = in_order(store, operations, attempts, store.history()?.events, manifests);
        self.found = Some(found);
        let waited = std::mem::take(&mut self.waiting);
        new.retain(|happening| {
            let key = Key::of(happening);
            if self.seen.contains(&key) {
                return false;
            }
            let may_be_logged = match happening {
                Happening::Checkpoint(_) => true,
                Happening::Start(start) => start.origin.is_none() && start.unended == Some(Unended::Running),
                _ => false,
            };
            if may_be_logged && !is_first && !waited.contains(&key) {
                self.waiting.insert(key);
                return false;
            }
            self.seen.insert(key);
            self.selection.includes(happening)
        });
        let older = new.len().saturating_sub(self.selection.limit.filter(|_| is_first).unwrap_or(usize::MAX));
        new.drain(..older);
        Ok(new)
    }
}
