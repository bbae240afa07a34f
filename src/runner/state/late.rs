//! Records that come after all their windows were closed.

use crate::job::OnLate;
use crate::runner::pipeline::worker::Rejected;

/// A late record.
#[derive(Debug, Clone)]
pub struct LateRecord {
    /// Its block.
    pub block: u64,
    /// What it is counted with, as [`crate::input::Block::stream`].
    pub stream: u32,
    /// The number of the first record of its block in the partition.
    pub first_record: u64,
    /// The record.
    pub rejected: Rejected,
}

/// How much of a late record is needed where it is found to be late.
pub fn shown_bytes(on_late: &OnLate) -> Option<usize> {
    match on_late {
        OnLate::Drop => None,
        OnLate::Fail => Some(200),
        OnLate::DeadLetter(_) => Some(usize::MAX),
    }
}
