//! How far each file of the input was read.

use std::sync::Arc;

use crate::format::positions::MessagePosition;
use crate::input::partition::Partition;
use crate::input::prefix_digest::PrefixDigest;
use crate::values::digest::Digest;

/// How far one file of the input was handed out as blocks.
#[derive(Debug, Clone)]
pub struct Position {
    /// The file, by its current name.
    pub partition: Arc<Partition>,
    /// For a rotated file, the partition that it belongs to.
    pub generation_of: Option<Arc<str>>,
    /// For a followed file, its inode.
    pub inode: Option<u64>,
    /// For a partition of a topic, where it is read next.
    pub message: Option<MessagePosition>,
    /// The bytes that were handed out, after decompression. Includes the header line of CSV. Of a topic, the bytes of
    /// the values, and one for each message.
    pub offset: u64,
    /// Whether the end was reached.
    pub ended: bool,
    /// The digest of a compressed file as it is stored, if its end was reached.
    pub stored: Option<Digest>,
    /// The digest of the bytes before `offset`.
    pub prefix: PrefixDigest,
    /// The records before the position at the start of the run.
    pub record: u64,
    /// The latest event time of those records, in milliseconds, for a job that uses it.
    pub event_time: Option<i64>,
}

/// A change of the positions between two blocks. Streams are numbered from 0.
#[derive(Debug)]
pub enum PositionChange {
    /// The stream is new, or has another position.
    Moved(usize, Box<Position>),
    /// The stream is over: it has no position any more.
    Over(usize),
}

impl Position {
    /// Returns the name of the partition that the file belongs to.
    pub fn logical(&self) -> &str {
        self.generation_of.as_deref().unwrap_or(&self.partition.name)
    }

    /// Returns whether it is in a followed file that has a line without an end, or unread lines.
    pub fn has_pending_bytes(&self) -> bool {
        self.inode.is_some() && self.partition.file_bytes > Some(self.offset)
    }

    /// Returns the fingerprint of the bytes before the position.
    pub fn fingerprint(&self) -> Digest {
        self.prefix.clone().finish()
    }
}
