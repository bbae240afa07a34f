//! Records that are not applied: bad records and late records.

use std::fmt;

use crate::job::OnLate;

/// Where a record begins in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOffset {
    /// The offset of its first byte in a file, after decompression.
    Byte(u64),
    /// The offset of a message in a partition of a topic.
    Message(u64),
}

impl fmt::Display for RecordOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordOffset::Byte(offset) => write!(f, "byte {offset}"),
            RecordOffset::Message(offset) => write!(f, "offset {offset}"),
        }
    }
}

impl RecordOffset {
    /// Returns the offset of a message or of a record in a file.
    pub fn of(is_message: bool, offset: u64) -> RecordOffset {
        if is_message { RecordOffset::Message(offset) } else { RecordOffset::Byte(offset) }
    }

    pub fn number(self) -> u64 {
        match self {
            RecordOffset::Byte(offset) | RecordOffset::Message(offset) => offset,
        }
    }
}

/// A bad record.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The number of the record in its block, from 0.
    pub index: u64,
    /// The offset of the record's first byte in the partition.
    pub offset: u64,
    pub reason: String,
    /// The bytes of the record, or only their beginning if the record ends the run.
    pub bytes: Vec<u8>,
}

/// What a program has said about its records of a block.
#[derive(Debug)]
pub struct BlockAnswer {
    /// The number of the block.
    pub number: u64,
    /// The records that it has rejected.
    pub rejected: Vec<Rejected>,
}

/// A late record.
#[derive(Debug, Clone)]
pub struct LateRecord {
    pub block: u64,
    /// The stream of the record, as in [`crate::input::Block::stream`].
    pub stream: u32,
    /// The number in the partition of the first record of the block.
    pub first_record: u64,
    pub rejected: Rejected,
}

/// Returns how many bytes of a late record must be kept. Returns `None` if late records are only counted.
pub fn shown_bytes(on_late: &OnLate) -> Option<usize> {
    match on_late {
        OnLate::Drop => None,
        OnLate::Fail => Some(200),
        OnLate::DeadLetter(_) => Some(usize::MAX),
    }
}
