//! Reads the logs of a store, and puts them in order.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::format::manifest::Manifest;
use crate::ops::log::happening::{Happening, Origin, Start, Unended};
use crate::store::records::attempts::Attempt;
use crate::store::records::history::Event;
use crate::store::records::line_log::Extent;
use crate::store::records::operations::{Operation, OperationKind};
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;

/// The history of a store, the oldest first.
#[derive(Debug, Default)]
pub struct Log {
    /// The selected happenings.
    pub happenings: Vec<Happening>,
    /// How many attempts were dropped from the log.
    pub dropped: u64,
    /// How many lines and events cannot be read.
    pub unreadable: u64,
    /// How many older happenings the limit left out.
    pub older: usize,
}

impl Log {
    /// Returns the selected attempts to make a checkpoint.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.happenings.iter().filter_map(|happening| match happening {
            Happening::Attempt(attempt) => Some(attempt),
            _ => None,
        })
    }

    /// Returns the selected operations, but for the starts of runs.
    pub fn operations(&self) -> impl DoubleEndedIterator<Item = &Operation> {
        self.happenings.iter().filter_map(|happening| match happening {
            Happening::Operation(operation) => Some(operation),
            _ => None,
        })
    }
}

/// Which happenings are selected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// Only at that time or later.
    pub since: Option<Timestamp>,
    /// Only what failed.
    pub failed: bool,
    /// Only that many of the newest.
    pub limit: Option<usize>,
}

impl Selection {
    pub(super) fn includes(&self, happening: &Happening) -> bool {
        self.since.is_none_or(|since| happening.time() >= since) && (!self.failed || happening.is_failure())
    }
}

/// Reads the history of `store`.
pub fn log(store: &Store, selection: &Selection) -> Result<Log, StoreError> {
    let attempts = store.attempts(Extent::Whole)?;
    let operations = store.operations(Extent::Whole)?;
    let history = store.history()?;
    let mut logged: Vec<Sequence> = attempts.attempts.iter().filter_map(|attempt| attempt.sequence).collect();
    logged.sort_unstable();
    let mut unlogged = store.sequences()?;
    unlogged.retain(|sequence| logged.binary_search(sequence).is_err());
    let manifests = manifests(store, &unlogged);
    let unreadable = attempts.unreadable + operations.unreadable + history.unreadable.len() as u64;
    let mut happenings = in_order(store, operations.operations, attempts.attempts, history.events, manifests);
    happenings.retain(|happening| selection.includes(happening));
    let older = happenings.len().saturating_sub(selection.limit.unwrap_or(usize::MAX));
    happenings.drain(..older);
    Ok(Log { happenings, dropped: attempts.dropped, unreadable, older })
}

/// Reads manifests of checkpoints that the log does not mention. `ckpt list` and `ckpt verify` report those that cannot
/// be read.
pub(super) fn manifests(store: &Store, unlogged: &[Sequence]) -> Vec<Manifest> {
    let read = parallel::map_on(store.readers(), unlogged, |&sequence| store.manifest(sequence).ok());
    read.into_iter().flatten().map(|committed| committed.manifest).collect()
}

/// Puts everything in the order of time.
pub(super) fn in_order(
    store: &Store,
    operations: Vec<Operation>,
    attempts: Vec<Attempt>,
    events: Vec<Event>,
    manifests: Vec<Manifest>,
) -> Vec<Happening> {
    let operations = operations_of(store, operations).into_iter();
    let (mut happenings, ends): (Vec<_>, Vec<_>) = operations.partition(|happening| !is_end(happening));
    // A run starts before its attempts, and ends after them, whatever the milliseconds say.
    happenings.extend(attempts.into_iter().map(Happening::Attempt));
    happenings.extend(manifests.into_iter().map(|manifest| Happening::Checkpoint(Box::new(manifest))));
    happenings.extend(events.into_iter().map(Happening::Event));
    happenings.extend(ends);
    happenings.sort_by_key(Happening::time);
    happenings
}

fn is_end(happening: &Happening) -> bool {
    matches!(happening, Happening::Operation(operation) if operation.what.is_end())
}

/// What the log says of one start of a run.
#[derive(Default)]
struct Known {
    has_started: bool,
    origin: Option<Origin>,
    has_ended: bool,
}

/// Joins what a run started from with its start, and finds out what became of runs without an end.
fn operations_of(store: &Store, operations: Vec<Operation>) -> Vec<Happening> {
    let id = |operation: &Operation| (operation.run.clone(), operation.restart);
    let mut known: HashMap<(Option<String>, u32), Known> = HashMap::new();
    for operation in &operations {
        let known = known.entry(id(operation)).or_default();
        match operation.what {
            OperationKind::Started { .. } => known.has_started = true,
            OperationKind::FromScratch => known.origin = Some(Origin::Scratch),
            OperationKind::Resumed { sequence, records } => {
                known.origin = Some(Origin::Checkpoint { sequence, records });
            }
            _ => known.has_ended |= operation.what.is_end(),
        }
    }
    let is_start = |operation: &&Operation| matches!(operation.what, OperationKind::Started { .. });
    let newest = operations.iter().rev().find(is_start).map(id);
    let mut happenings = Vec::new();
    for operation in operations {
        let (key, known) = (id(&operation), &known[&id(&operation)]);
        match &operation.what {
            OperationKind::Started { holder, .. } => {
                let is_newest = newest.as_ref() == Some(&key);
                let unended = (!known.has_ended).then(|| unended(store, holder, is_newest));
                happenings.push(Happening::Start(Start { operation, origin: known.origin, unended }));
            }
            OperationKind::FromScratch | OperationKind::Resumed { .. } if known.has_started => {}
            _ => happenings.push(Happening::Operation(operation)),
        }
    }
    happenings
}

/// Finds out what became of a run that has not ended. Where there are locks, only the newest can still be running.
fn unended(store: &Store, holder: &str, is_newest: bool) -> Unended {
    if !is_newest && !store.is_remote() {
        return Unended::Killed;
    }
    match store.is_held_by(holder) {
        Some(true) => Unended::Running,
        Some(false) => Unended::Killed,
        None => Unended::Unknown,
    }
}
