//! What can happen to a store.

use jiff::Timestamp;

use crate::format::manifest::Manifest;
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::history::Event;
use crate::store::records::operations::{Operation, OperationKind};
use crate::values::id::Sequence;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A run tried to make a checkpoint.
    Attempt(Attempt),
    /// A checkpoint that the log does not mention: a restore made it, it was copied here, or the line is lost.
    Checkpoint(Box<Manifest>),
    /// Checkpoints were removed or brought back.
    Event(Event),
    /// A run started.
    Start(Start),
    /// Something else that a run or a repair did.
    Operation(Operation),
}

/// The start of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// What the log has of the start itself.
    pub operation: Operation,
    /// What the run started from; nothing if it did not come that far.
    pub origin: Option<Origin>,
    /// What became of a run whose end is not in the log.
    pub unended: Option<Unended>,
}

/// What a run starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Scratch,
    Checkpoint {
        sequence: Sequence,
        /// Records that the checkpoint counts.
        records: u64,
    },
}

/// What became of a run whose end is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unended {
    /// It is still running.
    Running,
    /// It was killed, or could not write to the store any more.
    Killed,
    /// One of the two.
    Unknown,
}

impl Happening {
    pub fn time(&self) -> Timestamp {
        match self {
            Happening::Attempt(attempt) => attempt.time,
            Happening::Checkpoint(manifest) => manifest.created,
            Happening::Event(event) => event.time,
            Happening::Start(start) => start.operation.time,
            Happening::Operation(operation) => operation.time,
        }
    }

    /// Tells whether it is an attempt or a run that failed, or a run that was killed.
    pub fn is_failure(&self) -> bool {
        match self {
            Happening::Attempt(attempt) => attempt.outcome == AttemptOutcome::Failed,
            Happening::Start(start) => start.unended == Some(Unended::Killed),
            Happening::Operation(operation) => matches!(operation.what, OperationKind::Failed { .. }),
            Happening::Checkpoint(_) | Happening::Event(_) => false,
        }
    }
}
