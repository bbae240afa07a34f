//! What hands out the blocks of an input: one that ends, or one that goes on.

use super::follow::FollowReader;
use super::{Block, BlockReader, InputError, Stand};

/// Hands out blocks, one after another.
#[derive(Debug)]
pub enum Reader {
    /// Of files that are read to their ends; with the number that each partition has in the roster of a job without a key.
    Bounded(BlockReader, Option<Vec<u32>>),
    /// Of files that grow.
    Following(Box<FollowReader>),
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// A block.
    Block(Block),
    /// Nothing just now.
    Idle,
    /// Nothing ever.
    Ended,
}

/// What has changed between two blocks.
#[derive(Debug)]
pub enum Move {
    /// This stream stands elsewhere.
    To(usize, Box<Stand>),
    /// This stream is over, and no position will name it again.
    Over(usize),
}

impl Reader {
    /// Returns what comes next; a block in `buffer` if it is large enough.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Step, InputError> {
        match self {
            Reader::Bounded(reader, numbers) => match reader.next(buffer)? {
                None => Ok(Step::Ended),
                Some(block) => {
                    let partition = numbers.as_ref().map_or(block.partition, |list| list[block.partition as usize]);
                    Ok(Step::Block(Block { partition, ..block }))
                }
            },
            Reader::Following(reader) => Ok(reader.next_block()?.map_or(Step::Idle, Step::Block)),
        }
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        match self {
            Reader::Bounded(reader, _) => reader.next_number(),
            Reader::Following(reader) => reader.next_number(),
        }
    }

    /// Returns where each stream stands before the next block.
    pub fn stands(&self) -> Vec<Stand> {
        match self {
            Reader::Bounded(reader, _) => reader.stands(),
            Reader::Following(reader) => reader.stands(),
        }
    }

    /// Hands to `visit` what has changed since the last call.
    pub fn take_moves(&mut self, mut visit: impl FnMut(Move)) {
        match self {
            Reader::Bounded(reader, _) => reader.take_moved(|stream, stand| visit(Move::To(stream, Box::new(stand)))),
            Reader::Following(reader) => reader.take_moves(visit),
        }
    }

    /// Returns the bytes that lie in files and were not handed out, as far as they were looked at; nothing for an input that ends.
    pub fn unread_bytes(&self) -> Option<u64> {
        match self {
            Reader::Bounded(..) => None,
            Reader::Following(reader) => Some(reader.unread_bytes()),
        }
    }
}
