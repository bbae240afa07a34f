//! Records that are not applied: bad ones, and those that are too late for all their windows.

use crate::job::OnLate;

/// A bad record.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its number within the block, from 0.
    pub index: u64,
    /// The offset of its first byte in the partition.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its bytes; only their beginning when the run ends with it.
    pub bytes: Vec<u8>,
}

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
