//! Blocks: runs of whole records of one partition.

use std::sync::Arc;

use crate::input::messages::Messages;
use crate::input::record::header::Header;

/// The size of the cells in which blocks begin, in bytes.
pub const BLOCK_BYTES: u64 = 256 * 1024;

/// Whole records of one partition, numbered across the whole input in one order.
#[derive(Debug, Clone)]
pub struct Block {
    /// The number in the one order: 0, 1, 2 …
    pub number: u64,
    /// The partition. For a job without a key, its number among the [partition
    /// tasks](crate::input::partition_tasks::PartitionTasks); otherwise, for an input that ends, its index in the list
    /// that the reader was made with.
    pub partition: u32,
    /// The file that the block's records are counted for. For an input that ends, the index of the partition.
    pub stream: u32,
    /// The offset of the first byte in the partition, after decompression.
    pub offset: u64,
    /// The bytes up to the end of the last record. If that record is longer than allowed, only enough of it to show
    /// that.
    pub bytes: Vec<u8>,
    /// The offset after the last record, which `bytes` does not reach if that record is cut.
    pub end_offset: u64,
    /// Whether the block begins with the end of a line that was read without it, when the file ended there.
    pub continues_line: bool,
    /// The names of the fields, for CSV.
    pub header: Option<Arc<Header>>,
    /// The messages of a topic. Without them, the records are lines or rows of `bytes`.
    pub messages: Option<Box<Messages>>,
    /// Streams that have no more records, or none for now, once this block is applied. Event time does not wait for
    /// them until their next block.
    pub released: Vec<u32>,
}

/// The numbers that the next block gets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BlockNumbers {
    pub(super) number: u64,
    pub(super) partition: u32,
    pub(super) stream: u32,
}

impl BlockNumbers {
    /// Returns the block with these numbers that has the records from `offset` to `end_offset`.
    pub(super) fn block(self, offset: u64, end_offset: u64, bytes: Vec<u8>, header: Option<Arc<Header>>) -> Block {
        let BlockNumbers { number, partition, stream } = self;
        let (continues_line, messages, released) = (false, None, Vec::new());
        Block { number, partition, stream, offset, bytes, end_offset, continues_line, header, messages, released }
    }
}
