//! The input: partitions, the one order of their blocks, and the proof that a resumed input is the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::format::positions::PositionRow;
use crate::runner::record::Header;
use crate::runner::spec::InputSpec;

/// The size of the grid that blocks are laid on, in bytes.
pub const BLOCK_BYTES: u64 = 256 * 1024;

/// How many partitions are read in turns at any time; the next in order takes the place of one that has ended.
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
    /// The partition, an index into the list that the reader was made with.
    pub partition: u32,
    /// The offset of the first byte in the partition, after decompression.
    pub offset: u64,
    /// The bytes. They end with a record's end.
    pub bytes: Vec<u8>,
    /// The names of the fields, for CSV.
    pub header: Option<Arc<Header>>,
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
    /// The hash of everything before `offset`, for what can only be read from its beginning.
    pub running: Option<Hasher>,
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
    /// The header line of a CSV file can not be used.
    #[error("input `{partition}`: {reason}")]
    Header {
        /// The partition.
        partition: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Lists the partitions of `input`, sorted by name, each once. Relative paths are below `base`.
pub fn partitions(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    let _ = (input, base);
    todo!()
}

/// Hands out the blocks of the partitions in the one order.
///
/// A block is the records that begin in one cell of a grid of [`BLOCK_BYTES`], and a partition's cells come one after another. Up to [`LANES`] partitions
/// are read in turns: the order of blocks is a function of the input alone. A cell in which no record begins gives no block and takes no number.
#[derive(Debug)]
pub struct BlockReader;

impl BlockReader {
    /// Begins where `start` says, a row a partition or fewer: a partition without a row is read from its beginning.
    ///
    /// `next_number` is the number of the first block. Proves that what lies before each position is what the checkpoint has read, and fails when it is not.
    /// The order goes on as if the run had not stopped.
    pub fn new(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
    ) -> Result<BlockReader, InputError> {
        let _ = (input, partitions, start, next_number);
        todo!()
    }

    /// Returns the next block, in `buffer` if it is large enough, or nothing at the end of the input.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, InputError> {
        let _ = buffer;
        todo!()
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        todo!()
    }

    /// Returns where each partition stands before the next block.
    pub fn places(&self) -> Vec<Place> {
        todo!()
    }
}

/// Returns the digest of what lies before `place` in `partition`.
///
/// Of a plain file: the samples that `docs/format.md` lists. Of what can only be read from its beginning: all of it, which [`Place::running`] has.
pub fn fingerprint(partition: &Partition, place: &Place) -> Result<Digest, InputError> {
    let _ = (partition, place);
    todo!()
}
