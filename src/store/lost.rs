//! A store that has lost its checkpoints: there are none, although some were committed.
//!
//! Such a store is not a new one. Someone has deleted them, or a replica that was being filled got no more than the
//! history. The latest checkpoint is never removed on purpose, so wherever an event or a log names any, there should be
//! one. What is not known to have had any is new: a run may have died before its first commit.

use crate::store::error::StoreError;
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::line_log::{LogKind, files, read_known};
use crate::store::records::operations::{Operation, OperationKind};
use crate::store::store::Store;
use crate::values::id::Sequence;

impl Store {
    /// Fails with [`StoreError::CheckpointsLost`] if the store has lost its checkpoints, see [`Store::newest_lost`].
    pub fn check_not_lost(&self) -> Result<(), StoreError> {
        match self.newest_lost()? {
            Some(sequence) => Err(StoreError::CheckpointsLost { place: self.place(), sequence }),
            None => Ok(()),
        }
    }

    /// Returns the newest checkpoint that the events and logs of the store name, if the store has no checkpoint in any
    /// replica. Reads nothing but a list if it has one.
    ///
    /// Fails if the system refuses to read a file that may name one.
    pub fn newest_lost(&self) -> Result<Option<Sequence>, StoreError> {
        if !self.sequences()?.is_empty() {
            return Ok(None);
        }
        let newest = self.history()?.newest_named().max(self.newest_logged()?);
        // Another process may have committed the first one meanwhile.
        Ok(newest.filter(|_| self.sequences().is_ok_and(|sequences| sequences.is_empty())))
    }

    /// Returns the newest checkpoint that a log says was committed, or that a run resumed from or ended with.
    fn newest_logged(&self) -> Result<Option<Sequence>, StoreError> {
        let mut newest = None;
        // One that cannot be listed, and so is away, has no part in this.
        let listed = self.storages().filter(|storage| files(*storage, LogKind::Attempts).is_ok());
        for storage in listed {
            read_known(storage, LogKind::Attempts, |attempt: Attempt| {
                newest = newest.max(attempt.sequence.filter(|_| attempt.outcome == AttemptOutcome::Committed));
            })?;
            read_known(storage, LogKind::Operations, |operation: Operation| {
                newest = newest.max(match operation.what {
                    OperationKind::Resumed { sequence, .. } | OperationKind::WentBack { sequence, .. } => {
                        Some(sequence)
                    }
                    OperationKind::Ended(end) | OperationKind::Stopped(end) => end.latest,
                    _ => None,
                });
            })?;
        }
        Ok(newest)
    }
}
