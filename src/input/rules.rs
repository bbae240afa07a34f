//! How the bytes of every partition are cut into blocks.

use crate::input::record::decoding::decode;
use crate::input::record::header::Header;
use crate::job::model::{Encoding, InputFormat, InputSpec};

/// What the blocks of a partition depend on, beside its bytes.
#[derive(Debug, Clone)]
pub(super) struct BlockRules {
    pub(super) format: InputFormat,
    pub(super) encoding: Encoding,
    pub(super) max_record_bytes: u64,
    /// The size of the cells in which blocks begin.
    pub(super) block_bytes: u64,
}

impl BlockRules {
    pub(super) fn new(input: &InputSpec, block_bytes: u64) -> BlockRules {
        BlockRules {
            format: input.format.clone(),
            encoding: input.encoding,
            max_record_bytes: input.max_record_bytes,
            block_bytes,
        }
    }

    /// Parses a header line. The error is a message.
    pub(super) fn header(&self, line: &[u8], delimiter: u8) -> Result<Header, String> {
        match decode(self.encoding, line) {
            Some(text) => Header::parse(text.as_bytes(), delimiter),
            None => Header::parse(line, delimiter),
        }
    }

    /// Returns how many bytes to read at once when it is unknown how many are needed.
    pub(super) fn chunk_bytes(&self) -> usize {
        usize::try_from(self.block_bytes / 4).unwrap_or(usize::MAX).clamp(1, 1 << 20)
    }

    /// Returns how many bytes to read past a cell, which usually reaches the end of its last record.
    pub(super) fn beyond_bytes(&self) -> usize {
        usize::try_from(self.block_bytes / 64).unwrap_or(usize::MAX).clamp(1, 1 << 20)
    }

    /// Returns how much of a record is kept: with a line end of two bytes, more than this is too long without it.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.max_record_bytes.saturating_add(2)
    }
}
