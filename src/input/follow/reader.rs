//! The reader of an input that is followed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::format::positions::PositionRow;
use crate::input::block::{Block, BlockNumbers};
use crate::input::columns::Columns;
use crate::input::error::InputError;
use crate::input::follow::files::{Files, MAX_OPEN, Slot};
use crate::input::follow::{resume, scan};
use crate::input::note::InputNote;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::position::{Position, PositionChange};
use crate::job::model::InputSpec;

/// How often the directories are scanned.
const SCAN_PAUSE: Duration = Duration::from_secs(1);

/// Hands out blocks of files as they grow.
pub struct FollowReader {
    files: Files,
    columns: Columns,
    next_number: u64,
    /// The stream that is tried first.
    turn: usize,
    next_scan: Instant,
}

impl std::fmt::Debug for FollowReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next_number = self.next_number;
        f.debug_struct("FollowReader").field("next_number", &next_number).finish_non_exhaustive()
    }
}

impl FollowReader {
    /// Resumes from `start`. A file without a position is read from its beginning. `next_number` is the number of the
    /// first block.
    ///
    /// The file of each position is searched by its fingerprint: first under the name that it had, then in the same
    /// directory, where a rotation leaves it. Fails if it is not found and was not read to its end. A rotated file of a
    /// partition that was never seen is read if it was created at `since` or later; without that time it is only noted.
    pub fn new(
        input: &InputSpec,
        base: &Path,
        start: &[PositionRow],
        next_number: u64,
        tasks: Option<Arc<PartitionTasks>>,
        since: Option<SystemTime>,
    ) -> Result<FollowReader, InputError> {
        let mut files = Files::new(input, base, tasks, since);
        resume::resume(&mut files, start)?;
        // Event time waits for the files that exist at the start of the run until they are read.
        scan::find_files(&mut files, Instant::now())?;
        files.moved.clear();
        Ok(FollowReader { files, columns: Columns::default(), next_number, turn: 0, next_scan: Instant::now() })
    }

    /// Sets the columns that CSV files must have.
    pub fn with_columns(mut self, columns: Columns) -> FollowReader {
        self.columns = columns;
        self
    }

    /// Returns the next block, or `None` if nothing has arrived.
    pub fn next_block(&mut self) -> Result<Option<Block>, InputError> {
        if Instant::now() >= self.next_scan {
            scan::scan(&mut self.files)?;
            self.next_scan = Instant::now() + SCAN_PAUSE;
        }
        if let Some(block) = self.take_block()? {
            return Ok(Some(block));
        }
        self.files.poll()?;
        self.take_block()
    }

    /// Scans the directories, and returns the position of each file with its current size.
    pub fn look(&mut self) -> Result<Vec<Position>, InputError> {
        scan::scan(&mut self.files)?;
        Ok(self.positions())
    }

    /// Returns what people should know since the last call.
    pub fn take_notes(&mut self) -> Vec<InputNote> {
        std::mem::take(&mut self.files.notes)
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns the position of each stream before the next block.
    pub fn positions(&self) -> Vec<Position> {
        // At the start of a run no stream is over.
        self.files.slots.iter().filter_map(Slot::position).collect()
    }

    /// Passes to `visit` what has changed since the last call. New streams come in the order of their numbers.
    pub fn take_changes(&mut self, mut visit: impl FnMut(PositionChange)) {
        let mut moved = std::mem::take(&mut self.files.moved);
        moved.sort_unstable();
        moved.dedup();
        for stream in moved {
            match self.files.slots[stream].position() {
                Some(position) => visit(PositionChange::Moved(stream, Box::new(position))),
                None => visit(PositionChange::Over(stream)),
            }
        }
    }

    /// Returns how many bytes of the files were not handed out when their sizes were last checked.
    pub fn unread_bytes(&self) -> u64 {
        self.files.unread_bytes()
    }

    /// Returns a block of a file in which something has arrived. The files take turns.
    fn take_block(&mut self) -> Result<Option<Block>, InputError> {
        let count = self.files.slots.len();
        for step in 0..count {
            let stream = (self.turn + step) % count;
            let Slot::File(file) = &self.files.slots[stream] else { continue };
            if !file.tail.is_ready() || self.files.has_older(stream, &file.of) {
                continue;
            }
            let must_close = self.files.open_count() >= MAX_OPEN;
            let Slot::File(file) = &mut self.files.slots[stream] else { continue };
            if !file.tail.open(&file.partition, &file.path, file.id)? {
                // It was renamed since the last scan.
                self.next_scan = Instant::now();
                continue;
            }
            let numbers = BlockNumbers {
                number: self.next_number,
                partition: file.number,
                stream: u32::try_from(stream).expect("there are fewer files than 2^32"),
            };
            file.tail.check_columns(&file.partition, &self.columns)?;
            let Some(mut block) = file.tail.next_block(&file.partition, numbers, file.is_complete)? else { continue };
            file.is_released = false;
            if must_close && file.tail.is_read() {
                file.tail.close();
            }
            self.next_number += 1;
            self.files.moved.push(stream);
            self.turn = stream + 1;
            block.released = self.files.take_released(stream);
            return Ok(Some(block));
        }
        Ok(None)
    }
}
