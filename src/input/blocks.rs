//! The one order of the input's blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::fingerprint::{Running, is_plain_file, sampled};
use super::lane::{Lane, Rules, open_regular};
use super::{BLOCK_BYTES, Block, InputError, LANES, Partition, Place, Source, Stand};
use crate::format::positions::PositionRow;
use crate::job::model::InputSpec;

/// Hands out the blocks of the partitions in the one order.
///
/// A block is the records that begin in one cell of a grid of [`BLOCK_BYTES`], and a partition's cells come one after
/// another. The partitions, in their order, are taken in groups of [`LANES`]; a group is read to its end before the
/// next begins. Within a group the next block is always that of the lowest cell, and of two partitions in the same cell
/// that of the first. So the order is that of (group, cell, partition): a function of the input alone, and what comes
/// next follows from the positions alone. A cell in which no record begins gives no block and takes no number.
pub struct BlockReader {
    partitions: Arc<[Partition]>,
    rules: Rules,
    lane_count: usize,
    states: Vec<State>,
    /// The group that is being read, or the one before, when it has ended.
    group: usize,
    next_number: u64,
    /// The partitions that may stand elsewhere since [`BlockReader::take_moved`] was called.
    moved: Vec<usize>,
    /// Partitions that have ended since the last block was handed out.
    released: Vec<u32>,
    /// The partitions, each for itself.
    shared: Vec<Arc<Partition>>,
    /// Records before the position of each at the start, and their largest time.
    records: Vec<(u64, Option<i64>)>,
}

/// How far one partition was read.
struct State {
    /// As [`Place::offset`].
    offset: u64,
    ended: bool,
    /// As [`Place::running`], when there is no lane.
    running: Option<Running>,
    /// While its group is read.
    lane: Option<Lane>,
}

/// The shape of the order, which tests make small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) block_bytes: u64,
    pub(super) lane_count: usize,
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next_number = self.next_number;
        f.debug_struct("BlockReader").field("next_number", &next_number).finish_non_exhaustive()
    }
}

impl BlockReader {
    /// Begins where `start` says, a row a partition or fewer: a partition without a row is read from its beginning.
    ///
    /// `next_number` is the number of the first block. Proves that what lies before each position is what the
    /// checkpoint has read, and fails when it is not. A file that has grown since it had ended is read on, but only if
    /// its last line had an end: else that line was counted before it was whole, and the file has
    /// [`InputError::Changed`]. The order goes on as if the run had not stopped.
    pub fn new(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
    ) -> Result<BlockReader, InputError> {
        let grid = Grid { block_bytes: BLOCK_BYTES, lane_count: LANES };
        BlockReader::with_grid(input, partitions, start, next_number, grid)
    }

    pub(super) fn with_grid(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
        grid: Grid,
    ) -> Result<BlockReader, InputError> {
        let rules = Rules {
            format: input.format.clone(),
            max_record_bytes: input.max_record_bytes,
            block_bytes: grid.block_bytes,
        };
        let by_name: HashMap<&str, usize> =
            partitions.iter().enumerate().map(|(index, partition)| (partition.name.as_str(), index)).collect();
        let mut states: Vec<State> =
            partitions.iter().map(|_| State { offset: 0, ended: false, running: None, lane: None }).collect();
        let mut records = vec![(0, None); partitions.len()];
        for row in start {
            let Some(&index) = by_name.get(row.partition.as_str()) else {
                // A rotated file that was read to its end may go.
                if row.ended && row.generation_of.is_some() {
                    continue;
                }
                return Err(InputError::Gone { partition: row.partition.clone(), offset: row.offset });
            };
            states[index] = State::proven(&partitions[index], &rules, row)?;
            records[index] = (row.record, row.event_time);
        }
        let shared = partitions.iter().cloned().map(Arc::new).collect();
        Ok(BlockReader {
            partitions,
            rules,
            lane_count: grid.lane_count,
            states,
            group: 0,
            next_number,
            moved: Vec::new(),
            released: Vec::new(),
            shared,
            records,
        })
    }

    /// Returns the next block, in `buffer` if it is large enough, or nothing at the end of the input.
    ///
    /// It is quickest when `buffer` is an earlier block's bytes as they were.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, InputError> {
        loop {
            let first = self.group * self.lane_count;
            if first >= self.states.len() {
                return Ok(None);
            }
            let after = self.states.len().min(first + self.lane_count);
            let mut lowest: Option<(u64, usize)> = None;
            for index in first..after {
                if !self.states[index].ended && self.states[index].lane.is_none() {
                    self.moved.push(index);
                }
                let had_ended = self.states[index].ended;
                let lane = self.states[index].open(&self.partitions[index], &self.rules)?;
                if lane.is_none() && !had_ended {
                    self.released.push(index as u32);
                }
                if let Some(lane) = lane
                    && lowest.is_none_or(|(cell, _)| lane.cell() < cell)
                {
                    lowest = Some((lane.cell(), index));
                }
            }
            match lowest {
                None => self.group += 1,
                Some((_, index)) => return self.next_of(index, buffer).map(Some),
            }
        }
    }

    fn next_of(&mut self, index: usize, buffer: Vec<u8>) -> Result<Block, InputError> {
        let state = &mut self.states[index];
        let lane = state.lane.as_mut().expect("the lane was opened when the partition was chosen");
        let piece = lane.next_piece(buffer)?;
        let header = lane.header();
        let has_more = lane.has_more()?;
        state.offset = piece.end_offset;
        if !has_more {
            state.close();
            self.released.push(index as u32);
        }
        self.moved.push(index);
        let number = self.next_number;
        self.next_number += 1;
        Ok(Block {
            number,
            partition: u32::try_from(index).expect("there are fewer partitions than 2^32"),
            stream: u32::try_from(index).expect("there are fewer partitions than 2^32"),
            offset: piece.offset,
            bytes: piece.bytes,
            end_offset: piece.end_offset,
            header,
            released: std::mem::take(&mut self.released),
        })
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns where each partition stands before the next block.
    pub fn places(&self) -> Vec<Place> {
        (0..self.states.len()).map(|index| self.place(index)).collect()
    }

    /// As [`BlockReader::places`], with all that a position says.
    pub fn stands(&self) -> Vec<Stand> {
        (0..self.states.len()).map(|index| self.stand(index)).collect()
    }

    /// Hands to `visit` where those partitions stand before the next block that have moved since the last call.
    pub fn take_moved(&mut self, mut visit: impl FnMut(usize, Stand)) {
        for index in std::mem::take(&mut self.moved) {
            visit(index, self.stand(index));
        }
    }

    fn stand(&self, index: usize) -> Stand {
        let partition = Arc::clone(&self.shared[index]);
        let (record, event_time) = self.records[index];
        Stand { partition, generation_of: None, inode: None, place: self.place(index), record, event_time }
    }

    fn place(&self, index: usize) -> Place {
        let state = &self.states[index];
        // A header that was read, but with no record behind it handed out, is not yet before the offset.
        let running = match &state.lane {
            _ if state.offset == 0 => None,
            Some(lane) => Some(lane.running().clone()),
            None => state.running.clone(),
        };
        let running = Some(running.unwrap_or_else(|| Running::new(&self.partitions[index])));
        Place { offset: state.offset, ended: state.ended, running }
    }
}

impl State {
    /// Takes up where `row` says, after it was proven that the bytes before it are the same.
    fn proven(partition: &Partition, rules: &Rules, row: &PositionRow) -> Result<State, InputError> {
        let changed = || InputError::Changed { partition: partition.name.clone(), offset: row.offset };
        let mut state = State { offset: row.offset, ended: false, running: None, lane: None };
        if row.offset == 0 && !row.ended {
            // Nothing was read: nothing is to be proven, and the file need not be opened yet.
            return Ok(state);
        }
        let (has_more, last_byte, next_byte) = match &partition.source {
            Source::File(path) if is_plain_file(partition) => {
                let read = |source| InputError::Read { partition: partition.name.clone(), offset: row.offset, source };
                let mut file = open_regular(partition, path)?;
                let found = file.metadata().map_err(read)?.len();
                if found < row.offset {
                    return Err(InputError::Shrunk { partition: partition.name.clone(), offset: row.offset, found });
                }
                let running = sampled(&mut file, row.offset).map_err(read)?;
                if running.clone().finish() != row.fingerprint {
                    return Err(changed());
                }
                state.running = Some(running);
                let last_byte = match row.offset.checked_sub(1) {
                    None => None,
                    Some(before) => byte_at(&mut file, before).map_err(read)?,
                };
                (found > row.offset, last_byte, byte_at(&mut file, row.offset).map_err(read)?)
            }
            _ => {
                let mut lane = Lane::open(partition, rules, row.offset)?;
                let running = if row.offset == 0 { Running::new(partition) } else { lane.running().clone() };
                if running.finish() != row.fingerprint {
                    return Err(changed());
                }
                let (has_more, last_byte, next_byte) = (lane.has_more()?, lane.last_byte(), lane.next_byte());
                // What can only be read from its beginning is not opened twice.
                state.lane = Some(lane);
                (has_more, last_byte, next_byte)
            }
        };
        // The last line was counted when it had no end. It was whole only if what came behind it is its end.
        let was_whole = last_byte.is_none_or(|byte| byte == b'\n') || matches!(next_byte, Some(b'\n' | b'\r'));
        if row.ended && has_more && !was_whole {
            return Err(InputError::Lengthened { partition: partition.name.clone(), offset: row.offset });
        }
        if !has_more {
            state.close();
        }
        Ok(state)
    }

    /// Returns the lane, which is opened if need be; nothing when the partition has ended.
    fn open(&mut self, partition: &Partition, rules: &Rules) -> Result<Option<&Lane>, InputError> {
        if self.ended {
            return Ok(None);
        }
        if self.lane.is_none() {
            let mut lane = Lane::open(partition, rules, self.offset)?;
            if let Some(running) = self.running.take() {
                lane.set_running(running);
            }
            let has_more = lane.has_more()?;
            self.lane = Some(lane);
            if !has_more {
                self.close();
            }
        }
        Ok(self.lane.as_ref())
    }

    /// Ends the partition.
    fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.offset = lane.offset();
            self.running = Some(lane.running().clone());
        }
        self.ended = true;
    }
}

/// Returns the byte at `offset`, unless the file ends there.
fn byte_at(file: &mut File, offset: u64) -> io::Result<Option<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut byte = [0];
    Ok((file.read(&mut byte)? == 1).then_some(byte[0]))
}

#[cfg(test)]
mod tests;
