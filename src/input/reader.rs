//! The reader of an input, whether it ends or is followed.

use crate::input::block::Block;
use crate::input::block_reader::BlockReader;
use crate::input::error::InputError;
use crate::input::follow::FollowReader;
use crate::input::note::InputNote;
use crate::input::position::{Position, PositionChange};
use crate::input::topic::{PartitionLag, TopicReader};

/// Hands out blocks, one after another.
#[derive(Debug)]
pub enum Reader {
    /// Reads files to their ends.
    Bounded(Box<BlockReader>),
    /// Reads files as they grow.
    Following(Box<FollowReader>),
    /// Reads a topic.
    Topic(Box<TopicReader>),
}

/// The next step of a reader.
#[derive(Debug)]
pub enum Step {
    Block(Block),
    /// Nothing has arrived yet.
    Idle,
    /// The input has ended.
    Ended,
}

impl Reader {
    /// Returns the next step. A block uses `buffer` if it is large enough.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Step, InputError> {
        match self {
            Reader::Bounded(reader) => Ok(reader.next(buffer)?.map_or(Step::Ended, Step::Block)),
            Reader::Following(reader) => Ok(reader.next_block()?.map_or(Step::Idle, Step::Block)),
            Reader::Topic(reader) => Ok(match reader.next_block()? {
                Some(block) => Step::Block(block),
                None if reader.has_ended() => Step::Ended,
                None => Step::Idle,
            }),
        }
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        match self {
            Reader::Bounded(reader) => reader.next_number(),
            Reader::Following(reader) => reader.next_number(),
            Reader::Topic(reader) => reader.next_number(),
        }
    }

    /// Returns the position of each stream before the next block.
    pub fn positions(&self) -> Vec<Position> {
        match self {
            Reader::Bounded(reader) => reader.positions(),
            Reader::Following(reader) => reader.positions(),
            Reader::Topic(reader) => reader.positions(),
        }
    }

    /// Passes to `visit` what has changed since the last call.
    pub fn take_changes(&mut self, mut visit: impl FnMut(PositionChange)) {
        match self {
            Reader::Bounded(reader) => {
                reader.take_moved(|stream, position| visit(PositionChange::Moved(stream, Box::new(position))));
            }
            Reader::Following(reader) => reader.take_changes(visit),
            Reader::Topic(reader) => reader.take_changes(visit),
        }
    }

    /// Returns what people should know since the last call.
    pub fn take_notes(&mut self) -> Vec<InputNote> {
        match self {
            Reader::Bounded(_) => Vec::new(),
            Reader::Following(reader) => reader.take_notes(),
            Reader::Topic(reader) => reader.take_notes(),
        }
    }

    /// Returns how many messages of each partition of a topic were not handed out, if it is time to look again.
    pub fn take_partition_lags(&mut self) -> Option<Vec<PartitionLag>> {
        match self {
            Reader::Bounded(_) | Reader::Following(_) => None,
            Reader::Topic(reader) => reader.take_lags(),
        }
    }

    /// Returns how many bytes of the files were not handed out when their sizes were last checked, or `None` for an
    /// input that ends, or a topic.
    pub fn unread_bytes(&self) -> Option<u64> {
        match self {
            Reader::Bounded(_) | Reader::Topic(_) => None,
            Reader::Following(reader) => Some(reader.unread_bytes()),
        }
    }
}
