//! What a program was asked.

use std::sync::Arc;

use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::sources::Sources;
use crate::runner::rejected::Rejected;
use crate::runner::ticket::Ticket;

/// A request that the program has not answered yet.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) kind: RequestKind,
}

#[derive(Debug)]
pub(super) enum RequestKind {
    /// Records of a block.
    Batch(Batch),
    /// A checkpoint at the cut before this block.
    Checkpoint {
        cut: u64,
    },
    Tick,
}

/// The records of a block that the program was sent.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of the block.
    pub(super) block: u64,
    /// The line that was sent.
    pub(super) line: Arc<Vec<u8>>,
    pub(super) sources: Sources,
    /// The records that the program has rejected so far.
    pub(super) rejected: Vec<Rejected>,
    /// Returned when the batch is answered.
    pub(super) _ticket: Arc<Ticket>,
}

impl Request {
    /// Notes records that the program rejects: their indices in the batch, and why.
    pub(super) fn reject(&mut self, records: Vec<(usize, String)>) -> Result<(), ProgramFailure> {
        for (record, reason) in records {
            let RequestKind::Batch(batch) = &mut self.kind else {
                return Err(ProgramFailure::NoSuchRecord { record, records: 0 });
            };
            let Some(rejected) = batch.sources.rejected(record, reason) else {
                return Err(ProgramFailure::NoSuchRecord { record, records: batch.sources.count() });
            };
            batch.rejected.push(rejected);
        }
        Ok(())
    }
}
