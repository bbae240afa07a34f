//! The one order of the blocks of an input that ends.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::positions::PositionRow;
use crate::input::block::{BLOCK_BYTES, Block, BlockNumbers};
use crate::input::columns::Columns;
use crate::input::error::InputError;
use crate::input::lane::Lane;
use crate::input::partition::Partition;
use crate::input::position::Position;
use crate::input::progress::Progress;
use crate::input::rules::BlockRules;
use crate::job::model::InputSpec;

/// How many partitions are read in turns.
const LANES: usize = 16;
/// Of how many groups after the one that is read the objects are being opened.
const GROUPS_AHEAD: usize = 3;

/// Hands out the blocks of the partitions in the one order.
///
/// A block has the records that begin in one cell of [`BLOCK_BYTES`] of a partition. The partitions, in their order,
/// form groups of 16, and a group is read to its end before the next one begins. Within a group the lowest cell comes
/// first, and in the same cell the first partition. So blocks are ordered by (group, cell, partition): a function of
/// the input alone, and the positions alone determine which block is next. A cell in which no record begins has no
/// block and no number.
pub struct BlockReader {
    rules: BlockRules,
    lane_count: usize,
    progress: Vec<Progress>,
    /// The group that is being read, or that has just ended.
    group: usize,
    next_number: u64,
    columns: Columns,
    /// For a job without a key, the number of each partition among the partition tasks.
    task_numbers: Option<Vec<u32>>,
    /// The partitions whose position may have changed since [`BlockReader::take_moved`] was called.
    moved: Vec<usize>,
    /// The partitions that have ended since the last block.
    released: Vec<u32>,
    /// How many partitions, counted from the first, need not be prepared any more.
    prepared: usize,
    /// Whether a block was handed out.
    has_given: bool,
    /// Whether a block may end early when standard input pauses.
    may_pause: bool,
}

/// The parameters of the order. Tests use small ones.
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
    /// Resumes from `start`, with at most one row per partition. A partition without a row is read from its beginning.
    ///
    /// `next_number` is the number of the first block. Verifies that the bytes before each position are those that the
    /// checkpoint has read. If a file has grown after its end was reached, reading continues there, unless its last
    /// line had no line end: that line was counted before it was complete, so the file has [`InputError::Lengthened`].
    /// The order of the blocks is the same as if the run had never stopped.
    pub fn new(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
    ) -> Result<BlockReader, InputError> {
        BlockReader::resuming(input, partitions, start, next_number, true)
    }

    /// Like [`BlockReader::new`]. If the input had no bad records so far, no file can have ended inside quotes, so a CSV
    /// file that has grown need not be read from its beginning to find that out.
    pub fn resuming(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
        had_bad_records: bool,
    ) -> Result<BlockReader, InputError> {
        let grid = Grid { block_bytes: BLOCK_BYTES, lane_count: LANES };
        BlockReader::with_grid(input, partitions, start, next_number, grid, had_bad_records)
    }

    /// Sets the number that the blocks of each partition have in a job without a key.
    pub fn with_task_numbers(mut self, task_numbers: Option<Vec<u32>>) -> BlockReader {
        self.task_numbers = task_numbers;
        self
    }

    /// Sets whether a block may end before its cell does, when standard input pauses. The records stay in their order,
    /// but where blocks end then depends on time.
    pub fn with_pauses(mut self, may_pause: bool) -> BlockReader {
        self.may_pause = may_pause;
        self
    }

    /// Sets the columns that CSV files must have.
    pub fn with_columns(mut self, columns: Columns) -> BlockReader {
        self.columns = columns;
        self
    }

    pub(super) fn with_grid(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
        grid: Grid,
        had_bad_records: bool,
    ) -> Result<BlockReader, InputError> {
        let rules = BlockRules::new(input, grid.block_bytes);
        let by_name: HashMap<&str, usize> =
            partitions.iter().enumerate().map(|(index, partition)| (partition.name.as_str(), index)).collect();
        let mut progress: Vec<Progress> = partitions.iter().map(Progress::new).collect();
        for row in start {
            let Some(&index) = by_name.get(row.partition.as_str()) else {
                // A rotated file may disappear once it was read to its end.
                if row.ended && row.generation_of.is_some() {
                    continue;
                }
                return Err(InputError::Gone { partition: row.partition.clone(), offset: row.offset });
            };
            progress[index].resume(&rules, row, had_bad_records)?;
        }
        Ok(BlockReader {
            rules,
            lane_count: grid.lane_count,
            progress,
            group: 0,
            next_number,
            columns: Columns::default(),
            task_numbers: None,
            moved: Vec::new(),
            released: Vec::new(),
            prepared: 0,
            has_given: false,
            may_pause: false,
        })
    }

    /// Returns the next block, in `buffer` if it is large enough, or `None` at the end of the input.
    ///
    /// It is fastest when `buffer` is the unchanged bytes of an earlier block.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, InputError> {
        loop {
            let first = self.group * self.lane_count;
            if first >= self.progress.len() {
                return Ok(None);
            }
            let after = self.progress.len().min(first + self.lane_count);
            self.prepare(after)?;
            let mut lowest: Option<(u64, usize)> = None;
            for index in first..after {
                let progress = &mut self.progress[index];
                if !progress.ended && progress.lane.as_ref().is_none_or(Lane::is_paused) {
                    self.moved.push(index);
                }
                let had_ended = progress.ended;
                match progress.open(&self.rules)? {
                    None if had_ended => {}
                    None => self.released.push(number(index)),
                    Some(lane) if lowest.is_none_or(|(cell, _)| lane.cell() < cell) => {
                        lowest = Some((lane.cell(), index));
                    }
                    Some(_) => {}
                }
            }
            match lowest {
                None => self.group += 1,
                Some((_, index)) => return self.next_of(index, buffer).map(Some),
            }
        }
    }

    /// Starts to read the objects of the group that ends before `after`, and then those of the next groups: an object
    /// that is opened only when its turn comes costs the time of a request.
    fn prepare(&mut self, after: usize) -> Result<(), InputError> {
        let groups_ahead = if self.has_given { GROUPS_AHEAD } else { 0 };
        let until = self.progress.len().min(after + groups_ahead * self.lane_count);
        while self.prepared < until && self.progress[self.prepared].prepare()? {
            self.prepared += 1;
        }
        // What is open by now needs no preparation.
        self.prepared = self.prepared.max(after);
        Ok(())
    }

    fn next_of(&mut self, index: usize, buffer: Vec<u8>) -> Result<Block, InputError> {
        let stream = number(index);
        let partition = self.task_numbers.as_ref().map_or(stream, |numbers| numbers[index]);
        let numbers = BlockNumbers { number: self.next_number, partition, stream };
        let progress = &mut self.progress[index];
        let lane = progress.lane.as_mut().expect("the lane was opened when the partition was chosen");
        // Only a file with records needs the columns. The position is still before them.
        if !progress.has_columns
            && let Some(header) = lane.header()
        {
            self.columns.check(&progress.partition.name, header)?;
        }
        progress.has_columns = true;
        lane.set_may_pause(self.may_pause);
        let mut block = lane.next_block(numbers, buffer)?;
        let has_more = lane.may_have_more()?;
        progress.offset = block.end_offset;
        if !has_more {
            progress.close();
            self.released.push(stream);
        }
        self.moved.push(index);
        self.has_given = true;
        self.next_number += 1;
        block.released = std::mem::take(&mut self.released);
        Ok(block)
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns the position of each partition before the next block.
    pub fn positions(&self) -> Vec<Position> {
        self.progress.iter().map(Progress::position).collect()
    }

    /// Passes to `visit` the positions that have changed since the last call.
    pub fn take_moved(&mut self, mut visit: impl FnMut(usize, Position)) {
        for index in std::mem::take(&mut self.moved) {
            visit(index, self.progress[index].position());
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer partitions than 2^32")
}

#[cfg(test)]
mod tests;
