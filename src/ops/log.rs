//! `ckpt log`: what happened to a store.

use jiff::Timestamp;

use crate::format::manifest::Manifest;
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::history::Event;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;
use crate::values::parallel;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A run tried to make a checkpoint.
    Attempt(Attempt),
    /// A checkpoint that the log does not mention: a restore made it, it was copied here, or the line is lost.
    Checkpoint(Box<Manifest>),
    /// Checkpoints were removed or brought back.
    Event(Event),
}

impl Happening {
    pub fn time(&self) -> Timestamp {
        match self {
            Happening::Attempt(attempt) => attempt.time,
            Happening::Checkpoint(manifest) => manifest.created,
            Happening::Event(event) => event.time,
        }
    }

    /// Tells whether it is an attempt that failed.
    pub fn is_failure(&self) -> bool {
        matches!(self, Happening::Attempt(attempt) if attempt.outcome == AttemptOutcome::Failed)
    }
}

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

/// Which happenings are selected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// Only at that time or later.
    pub since: Option<Timestamp>,
    /// Only attempts that failed.
    pub failed: bool,
    /// Only that many of the newest.
    pub limit: Option<usize>,
}

/// Reads the history of `store`.
pub fn log(store: &Store, selection: &Selection) -> Result<Log, StoreError> {
    let attempts = store.attempts()?;
    let history = store.history()?;
    let mut logged: Vec<Sequence> = attempts.attempts.iter().filter_map(|attempt| attempt.sequence).collect();
    logged.sort_unstable();
    let mut unlogged = store.sequences()?;
    unlogged.retain(|sequence| logged.binary_search(sequence).is_err());
    // `ckpt list` and `ckpt verify` report checkpoints that cannot be read.
    let manifests = parallel::map_on(store.readers(), &unlogged, |&sequence| store.manifest(sequence).ok());
    let manifests =
        manifests.into_iter().flatten().map(|committed| Happening::Checkpoint(Box::new(committed.manifest)));
    let unreadable = attempts.unreadable + history.unreadable.len() as u64;
    let mut happenings: Vec<Happening> = attempts.attempts.into_iter().map(Happening::Attempt).collect();
    happenings.extend(manifests);
    happenings.extend(history.events.into_iter().map(Happening::Event));
    happenings.retain(|happening| {
        selection.since.is_none_or(|since| happening.time() >= since) && (!selection.failed || happening.is_failure())
    });
    happenings.sort_by_key(Happening::time);
    let older = happenings.len().saturating_sub(selection.limit.unwrap_or(usize::MAX));
    happenings.drain(..older);
    Ok(Log { happenings, dropped: attempts.dropped, unreadable, older })
}
