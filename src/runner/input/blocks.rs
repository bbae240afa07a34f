//! The one order of the input's blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::fingerprint::sampled;
use super::lane::{Lane, Rules, open_regular};
use super::{BLOCK_BYTES, Block, Compression, InputError, LANES, Partition, Place, Source};
use crate::digest::Hasher;
use crate::format::positions::PositionRow;
use crate::runner::spec::InputSpec;

/// Hands out the blocks of the partitions in the one order.
///
/// A block is the records that begin in one cell of a grid of [`BLOCK_BYTES`], and a partition's cells come one after another. The partitions, in their
/// order, are taken in groups of [`LANES`]; a group is read to its end before the next begins. Within a group the next block is always that of the lowest
/// cell, and of two partitions in the same cell that of the first. So the order is that of (group, cell, partition): a function of the input alone, and what
/// comes next follows from the positions alone. A cell in which no record begins gives no block and takes no number.
pub struct BlockReader {
    partitions: Arc<[Partition]>,
    rules: Rules,
    lane_count: usize,
    states: Vec<State>,
    /// The group that is being read, or the one before, when it has ended.
    group: usize,
    next_number: u64,
}

/// How far one partition was read.
struct State {
    /// As [`Place::offset`].
    offset: u64,
    ended: bool,
    /// As [`Place::running`], when there is no lane.
    running: Option<Hasher>,
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
    /// `next_number` is the number of the first block. Proves that what lies before each position is what the checkpoint has read, and fails when it is not.
    /// A file that has grown since it had ended is read on, but only if its last line had an end: else that line was counted before it was whole, and the
    /// file has [`InputError::Changed`]. The order goes on as if the run had not stopped.
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
        for row in start {
            let Some(&index) = by_name.get(row.partition.as_str()) else {
                return Err(InputError::Gone { partition: row.partition.clone(), offset: row.offset });
            };
            states[index] = State::proven(&partitions[index], &rules, row)?;
        }
        Ok(BlockReader { partitions, rules, lane_count: grid.lane_count, states, group: 0, next_number })
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
                if let Some(lane) = self.states[index].open(&self.partitions[index], &self.rules)?
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
        }
        let number = self.next_number;
        self.next_number += 1;
        Ok(Block {
            number,
            partition: u32::try_from(index).expect("there are fewer partitions than 2^32"),
            offset: piece.offset,
            bytes: piece.bytes,
            end_offset: piece.end_offset,
            header,
        })
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns where each partition stands before the next block.
    pub fn places(&self) -> Vec<Place> {
        let place = |(partition, state): (&Partition, &State)| {
            // A header that was read, but with no record behind it handed out, is not yet before the offset.
            let running = match &state.lane {
                _ if is_seekable(partition) => None,
                _ if state.offset == 0 => Some(Hasher::new()),
                Some(lane) => lane.running().cloned(),
                None => state.running.clone(),
            };
            Place { offset: state.offset, ended: state.ended, running }
        };
        self.partitions.iter().zip(&self.states).map(place).collect()
    }
}

fn is_seekable(partition: &Partition) -> bool {
    partition.compression == Compression::None && partition.source != Source::Stdin
}

impl State {
    /// Takes up where `row` says, after it was proven that the bytes before it are the same.
    fn proven(partition: &Partition, rules: &Rules, row: &PositionRow) -> Result<State, InputError> {
        let changed = || InputError::Changed { partition: partition.name.clone(), offset: row.offset };
        let mut state = State { offset: row.offset, ended: false, running: None, lane: None };
        let (has_more, last_byte) = match &partition.source {
            Source::File(path) if is_seekable(partition) => {
                let read = |source| InputError::Read { partition: partition.name.clone(), offset: row.offset, source };
                let mut file = open_regular(partition, path)?;
                let found = file.metadata().map_err(read)?.len();
                if found < row.offset {
                    return Err(InputError::Shrunk { partition: partition.name.clone(), offset: row.offset, found });
                }
                if sampled(&mut file, row.offset).map_err(read)? != row.fingerprint {
                    return Err(changed());
                }
                (found > row.offset, byte_before(&mut file, row.offset).map_err(read)?)
            }
            _ => {
                let mut lane = Lane::open(partition, rules, row.offset)?;
                let running = if row.offset == 0 { Hasher::new() } else { lane.running().cloned().unwrap_or_default() };
                if running.clone().finish() != row.fingerprint {
                    return Err(changed());
                }
                let (has_more, last_byte) = (lane.has_more()?, lane.last_byte());
                // What can only be read from its beginning is not opened twice.
                state.lane = Some(lane);
                (has_more, last_byte)
            }
        };
        if row.ended && has_more && last_byte.is_some_and(|byte| byte != b'\n') {
            return Err(changed());
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
            self.running = lane.running().cloned();
        }
        self.ended = true;
    }
}

/// Returns the byte before `offset`, unless that is 0.
fn byte_before(file: &mut File, offset: u64) -> io::Result<Option<u8>> {
    let Some(before) = offset.checked_sub(1) else { return Ok(None) };
    file.seek(SeekFrom::Start(before))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}
