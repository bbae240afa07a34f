//! The one order of the blocks of an input that ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::format::positions::PositionRow;
use crate::input::block::{BLOCK_BYTES, Block, BlockNumbers};
use crate::input::columns::Columns;
use crate::input::error::InputError;
use crate::input::lane::Lane;
use crate::input::object::ObjectReader;
use crate::input::partition::{Partition, Source};
use crate::input::position::Position;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::line::{is_line_end, late_line_end};
use crate::input::resumed::kept_position;
use crate::input::rules::BlockRules;
use crate::input::stream::open_regular;
use crate::job::model::{InputFormat, InputSpec};

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
}

/// How far one partition was read.
struct Progress {
    partition: Arc<Partition>,
    /// As in [`Position`].
    offset: u64,
    ended: bool,
    /// As in [`Position`], if there is no lane.
    prefix: Option<PrefixDigest>,
    /// Open while its group is read.
    lane: Option<Lane>,
    /// An object of which reading has begun, before its lane is opened.
    prepared: Option<Box<ObjectReader>>,
    /// Whether its columns were checked.
    has_columns: bool,
    /// As in [`Position`].
    record: u64,
    event_time: Option<i64>,
    /// The position of a file that is gone.
    kept: Option<Position>,
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
                if !progress.ended && progress.lane.is_none() {
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
        let mut block = lane.next_block(numbers, buffer)?;
        let has_more = lane.has_more()?;
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

impl Progress {
    /// Starts at the beginning of `partition`.
    fn new(partition: &Partition) -> Progress {
        let partition = Arc::new(partition.clone());
        Progress {
            partition,
            offset: 0,
            ended: false,
            prefix: None,
            lane: None,
            prepared: None,
            has_columns: false,
            record: 0,
            event_time: None,
            kept: None,
        }
    }

    /// Moves to the position `row`. Verifies that the bytes before it are the same.
    fn resume(&mut self, rules: &BlockRules, row: &PositionRow, had_bad_records: bool) -> Result<(), InputError> {
        (self.offset, self.record, self.event_time) = (row.offset, row.record, row.event_time);
        if self.partition.source == Source::Gone {
            self.ended = true;
            self.kept = Some(kept_position(Arc::clone(&self.partition), row));
            return Ok(());
        }
        if row.offset == 0 && !row.ended {
            // Nothing was read, so there is nothing to verify, and the file need not be opened yet.
            return Ok(());
        }
        let partition = Arc::clone(&self.partition);
        if let (Some(etag), Source::Object(url)) = (&row.etag, &partition.source)
            && row.offset > 0
            // Otherwise it is a compressed copy, which its content proves.
            && *url == row.partition
        {
            if (Some(etag), row.file_bytes) != (partition.etag.as_ref(), partition.file_bytes) {
                return Err(replaced(&partition, row, etag));
            }
            if row.ended || partition.is_seekable() {
                return self.resume_object(row);
            }
        }
        let found = match &partition.source {
            Source::File(path) if partition.is_seekable() => self.verify_file(path, row)?,
            _ => self.verify_by_reading(rules, row)?,
        };
        let may_be_in_quotes =
            had_bad_records && row.ended && found.has_more && matches!(rules.format, InputFormat::Csv { .. });
        let read = || Lane::ends_in_quotes(&partition, rules, row.offset);
        if may_be_in_quotes && found.is_in_quotes.map_or_else(read, Ok)? {
            return Err(InputError::Unquoted { partition: partition.name.clone(), offset: row.offset });
        }
        // If the last line was counted without a line end, it was complete only if one follows.
        let has_line_end = found.last_byte.is_none_or(|byte| byte == b'\n');
        let was_complete = has_line_end || is_line_end(&found.next_bytes);
        let is_in_header = self.lane.as_ref().is_some_and(Lane::is_in_header);
        if is_in_header && !row.ended {
            return Err(InputError::Changed { partition: partition.name.clone(), offset: row.offset });
        }
        if row.ended && found.has_more && !was_complete {
            return Err(InputError::Lengthened { partition: partition.name.clone(), offset: row.offset });
        }
        if !found.has_more {
            self.close();
        } else if row.ended && !has_line_end {
            self.skip_line_end(&found.next_bytes);
        }
        Ok(())
    }

    /// Moves to the position `row` of an object that is the one that was read. One that was read to its end takes no
    /// request.
    fn resume_object(&mut self, row: &PositionRow) -> Result<(), InputError> {
        if row.ended {
            self.prefix = Some(PrefixDigest::Finished(row.fingerprint));
            self.ended = true;
            return Ok(());
        }
        let prefix = PrefixDigest::of(&self.partition, row.offset)?;
        if prefix.clone().finish() != row.fingerprint {
            return Err(InputError::Changed { partition: row.partition.clone(), offset: row.offset });
        }
        self.prefix = Some(prefix);
        if self.partition.file_bytes == Some(row.offset) {
            self.close();
        }
        Ok(())
    }

    /// Starts to read an object from its beginning. Returns false if too much is being read ahead already.
    fn prepare(&mut self) -> Result<bool, InputError> {
        match &self.partition.source {
            Source::Object(url) if self.offset == 0 && !self.ended && self.lane.is_none() => {
                self.prepared = ObjectReader::prepare(&self.partition, url)?.map(Box::new);
                Ok(self.prepared.is_some())
            }
            _ => Ok(true),
        }
    }

    /// Skips the line end of a line that was read without it.
    fn skip_line_end(&mut self, next: &[u8]) {
        let count = late_line_end(next);
        self.offset += count as u64;
        if let Some(lane) = &mut self.lane {
            lane.skip(count);
        }
        if let Some(prefix) = &mut self.prefix {
            prefix.update(&next[..count]);
        }
    }

    /// Verifies the bytes before `row` by samples of the file at `path`.
    fn verify_file(&mut self, path: &Path, row: &PositionRow) -> Result<BoundaryBytes, InputError> {
        let name = &self.partition.name;
        let read = |source| InputError::read(name, row.offset, source);
        let mut file = open_regular(&self.partition, path)?;
        let found = file.metadata().map_err(read)?.len();
        if found < row.offset {
            return Err(InputError::Shrunk { partition: name.clone(), offset: row.offset, found });
        }
        let prefix = PrefixDigest::of_file(&mut file, row.offset).map_err(read)?;
        if prefix.clone().finish() != row.fingerprint {
            return Err(InputError::Changed { partition: name.clone(), offset: row.offset });
        }
        let last_byte = match row.offset.checked_sub(1) {
            None => None,
            Some(before) => bytes_at(&mut file, before, 1).map_err(read)?.pop(),
        };
        let next_bytes = bytes_at(&mut file, row.offset, 2).map_err(read)?;
        self.prefix = Some(prefix);
        Ok(BoundaryBytes { has_more: found > row.offset, last_byte, next_bytes, is_in_quotes: None })
    }

    /// Verifies the bytes before `row` by reading all of them.
    fn verify_by_reading(&mut self, rules: &BlockRules, row: &PositionRow) -> Result<BoundaryBytes, InputError> {
        let partition = &self.partition;
        let mut lane = Lane::open(partition, rules, row.offset)?;
        let prefix = if row.offset == 0 { PrefixDigest::new(partition) } else { lane.prefix().clone() };
        if prefix.finish() != row.fingerprint {
            return Err(InputError::Changed { partition: partition.name.clone(), offset: row.offset });
        }
        let next_bytes = lane.peek(2)?.to_vec();
        let (has_more, last_byte, is_in_quotes) = (!next_bytes.is_empty(), lane.last_byte(), Some(lane.is_in_quotes()));
        // Kept open, because a partition that can only be read from its beginning would have to be read again.
        self.lane = Some(lane);
        Ok(BoundaryBytes { has_more, last_byte, next_bytes, is_in_quotes })
    }

    /// Returns the lane, which is opened if needed, or `None` if the partition has ended.
    fn open(&mut self, rules: &BlockRules) -> Result<Option<&Lane>, InputError> {
        if self.ended {
            return Ok(None);
        }
        if self.lane.is_none() {
            let mut lane = match self.prepared.take() {
                Some(object) => Lane::open_prepared(&self.partition, rules, *object)?,
                None => Lane::open(&self.partition, rules, self.offset)?,
            };
            // A header that was written after the checkpoint is in the lane's digest, but not in the verified one.
            if let Some(prefix) = self.prefix.take().filter(|_| lane.offset() == self.offset) {
                lane.set_prefix(prefix);
            }
            if lane.is_in_header() {
                return Err(InputError::Changed { partition: self.partition.name.clone(), offset: self.offset });
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
            self.prefix = Some(lane.prefix().clone());
        }
        self.ended = true;
    }

    fn position(&self) -> Position {
        if let Some(kept) = &self.kept {
            return kept.clone();
        }
        let prefix = match &self.lane {
            // The lane may have read a header, which is not before the offset until the first record is handed out.
            _ if self.offset == 0 => None,
            Some(lane) => Some(lane.prefix().clone()),
            None => self.prefix.clone(),
        };
        Position {
            partition: Arc::clone(&self.partition),
            generation_of: None,
            inode: None,
            offset: self.offset,
            ended: self.ended,
            prefix: prefix.unwrap_or_else(|| PrefixDigest::new(&self.partition)),
            record: self.record,
            event_time: self.event_time,
        }
    }
}

fn replaced(partition: &Partition, row: &PositionRow, etag: &str) -> InputError {
    InputError::Replaced {
        partition: partition.name.clone(),
        offset: row.offset,
        expected: etag.to_owned(),
        found: partition.etag.clone().unwrap_or_default(),
    }
}

/// The bytes at a position of a file.
struct BoundaryBytes {
    /// Whether any bytes follow.
    has_more: bool,
    last_byte: Option<u8>,
    /// Up to two.
    next_bytes: Vec<u8>,
    /// Whether the position is inside quotes, if everything before it was read.
    is_in_quotes: Option<bool>,
}

/// Returns up to `count` bytes from `offset`, fewer only at the end of the file.
fn bytes_at(file: &mut File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
