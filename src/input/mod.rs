//! The input: partitions, the one order of their blocks, and the proof that a resumed input is the same.

use std::path::PathBuf;
use std::sync::Arc;

use crate::input::record::Header;

mod blocks;
mod fingerprint;
mod follow;
mod lane;
mod partition;
mod reader;
pub mod record;
pub mod roster;
mod seek;

pub use blocks::BlockReader;
pub use fingerprint::{Running, fingerprint};
pub use follow::FollowReader;
pub use partition::{is_input, partition, partitions, present};
pub use reader::{Move, Reader, Step};
pub use seek::{SeekError, SeekTo, Sought, seek};

/// The size of the grid that blocks are laid on, in bytes.
pub const BLOCK_BYTES: u64 = 256 * 1024;

/// How many partitions are read in turns at any time: the partitions of the sorted list are taken in groups of so many.
pub const LANES: usize = 16;

/// A replayable source with a position of its own: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The path as the job file gives it, with `/`; `-` for standard input.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// How it is packed.
    pub compression: Compression,
    /// Its size as stored, when it was listed; nothing for standard input.
    pub file_bytes: Option<u64>,
}

/// Where a partition's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, which must be fed the same bytes again to resume.
    Stdin,
}

/// How a partition is packed, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.gz`, one member or several.
    Gzip,
    /// `.zst`, one frame or several.
    Zstd,
}

/// Whole records of one partition, with their place in the one order.
#[derive(Debug, Clone)]
pub struct Block {
    /// The place: 0, 1, 2 …
    pub number: u64,
    /// The partition: of an input that ends, an index into the list that the reader was made with; of one that is followed, a number of the
    /// roster, where there is one.
    pub partition: u32,
    /// What the block's records are counted with: its file. The same number as the partition for an input that ends.
    pub stream: u32,
    /// The offset of the first byte in the partition, after decompression.
    pub offset: u64,
    /// The bytes. They end with a record's end, unless the last record is longer than a record may be: then only so
    /// much of it is here as shows that.
    pub bytes: Vec<u8>,
    /// The offset behind the last record. More than `offset` and the bytes when the last record is cut.
    pub end_offset: u64,
    /// The names of the fields, for CSV.
    pub header: Option<Arc<Header>>,
    /// Partitions that give no more records, or none for now, when this block is applied: those that have ended with it, or since the block before. Event
    /// time does not wait for them until they give another block.
    pub released: Vec<u32>,
}

impl Block {
    /// Returns the offset behind the block in its partition.
    pub fn end_offset(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// Where a partition stands between two blocks.
#[derive(Debug, Clone)]
pub struct Place {
    /// Bytes handed out, after decompression; the header line of CSV included.
    pub offset: u64,
    /// Whether its end was reached.
    pub ended: bool,
    /// The digest of what was read before `offset`; nothing for a place that was not come to by reading.
    pub running: Option<Running>,
}

/// Where one file of the input stands: a row of the positions.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The file. Its name is the one that it has now.
    pub partition: Arc<Partition>,
    /// The partition that a rotated file belongs to, when it has another name.
    pub generation_of: Option<Arc<str>>,
    /// The file's number in its file system, of an input that is followed.
    pub inode: Option<u64>,
    /// How far it was handed out.
    pub place: Place,
    /// Records before the place, when the run began.
    pub record: u64,
    /// The largest time of those, in milliseconds, for a job that goes by time.
    pub event_time: Option<i64>,
}

impl Stand {
    /// Returns the name of the partition to which the file belongs.
    pub fn logical(&self) -> &str {
        self.generation_of.as_deref().unwrap_or(&self.partition.name)
    }
}

/// What is wrong with the input as a whole, or with one partition.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A path or glob of the job file names nothing.
    #[error("no input: `{pattern}` matches no file")]
    NothingMatches {
        /// The path or glob.
        pattern: String,
    },
    /// A glob is not well formed.
    #[error("`{pattern}` is no glob: {reason}")]
    Glob {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard input is listed with something else.
    #[error("`-`, standard input, can only be read alone")]
    StdinNotAlone,
    /// A partition can not be read.
    #[error("cannot read input `{partition}` at byte {offset}")]
    Read {
        /// The partition.
        partition: String,
        /// Where, after decompression.
        offset: u64,
        /// What the system or the decompressor said.
        source: std::io::Error,
    },
    /// A partition of the checkpoint is not among the input's.
    #[error("input `{partition}` is gone: the checkpoint has read {offset} bytes of it")]
    Gone {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
    },
    /// A partition is shorter than its position.
    #[error("input `{partition}` has shrunk: the checkpoint has read {offset} bytes of it, it has {found}")]
    Shrunk {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
        /// Its size now, after decompression.
        found: u64,
    },
    /// What lies before the position is not what was read.
    #[error(
        "input `{partition}` was replaced or changed: its first {offset} bytes are not those that the checkpoint has read"
    )]
    Changed {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
    },
    /// The last line had no end when it was read, and something other than its end came behind it.
    #[error(
        "input `{partition}` has grown in its last line: it had no end at byte {offset} when it was read, and may have been incomplete"
    )]
    Lengthened {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
    },
    /// A file that is followed has become shorter, or holds other bytes than those that were read.
    #[error("input `{partition}` was truncated or overwritten while it was followed: {offset} bytes of it were read")]
    Truncated {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
    },
    /// What was read of a file that is followed is in none of the files beside it.
    #[error(
        "input `{partition}` was rotated away: neither it nor a file beside it begins with the {offset} bytes that the checkpoint has read"
    )]
    RotatedAway {
        /// The partition.
        partition: String,
        /// How far it was read.
        offset: u64,
    },
    /// A job without a key has no task left for another partition.
    #[error("there is no task left for input `{partition}`: a job without a key follows at most {tasks} files")]
    TooMany {
        /// The partition.
        partition: String,
        /// The tasks.
        tasks: u32,
    },
    /// The header line of a CSV file can not be used.
    #[error("input `{partition}`: {reason}")]
    Header {
        /// The partition.
        partition: String,
        /// What is wrong with it.
        reason: String,
    },
}
