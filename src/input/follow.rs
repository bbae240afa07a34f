//! Input that goes on: files that grow, rotate and appear while they are read.
//!
//! A file is known by its number in the file system while the run goes on, whatever its name becomes, and by its fingerprint after a restart. The files of
//! one name, one after another, are the *generations* of one partition: `app.log`, which was renamed to `app.log.1`, and the new `app.log`. The older is
//! read before the newer. Blocks are numbered as they come.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lane::Rules;
use super::{BLOCK_BYTES, Block, InputError, Move, Partition, Stand};
use crate::format::positions::PositionRow;
use crate::input::roster::Roster;
use crate::job::model::InputSpec;

mod resume;
mod scan;
mod tail;

use scan::{Age, Seen};
use tail::Tail;

/// How often the directories are looked at.
const SCAN_PAUSE: Duration = Duration::from_secs(1);
/// How long a rotated file must not have grown before its last line is taken without an end, and before a file that is gone is given up.
const QUIET: Duration = Duration::from_secs(10);
/// How long after a file has taken the name of one that was rotated is looked for generations between the two.
const ROTATION: Duration = Duration::from_secs(10);
/// The most files that are kept open.
const MAX_OPEN: usize = 512;
/// So many rotated files of a partition that are read and that no glob names keep a position.
const MAX_ROTATED: usize = 16;

/// The identity of a file as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Hands out blocks of files as they grow.
pub struct FollowReader {
    input: InputSpec,
    base: PathBuf,
    rules: Rules,
    /// The tasks of a job without a key.
    roster: Option<Arc<Roster>>,
    slots: Vec<Slot>,
    by_id: HashMap<FileId, usize>,
    /// The slots of each partition, the oldest first.
    generations: HashMap<Arc<str>, Vec<usize>>,
    /// Files beside the input that were read and are not to be read again.
    strangers: HashSet<FileId>,
    /// The last rotation of each partition.
    rotations: HashMap<Arc<str>, Rotation>,
    next_number: u64,
    moved: Vec<usize>,
    /// Streams that are over and held the watermark back.
    freed: Vec<u32>,
    /// The slot that is looked at first.
    turn: usize,
    next_scan: Instant,
}

/// A file that has lost the name of its partition. Files may have had that name since and lost it, too.
#[derive(Debug)]
struct Rotation {
    stream: usize,
    age: Age,
    /// Until when is looked for those; nothing while no file has the name.
    until: Option<Instant>,
}

/// What became of a stream.
#[derive(Debug)]
enum Slot {
    /// A file that is read on.
    File(Box<Followed>),
    /// The file is gone, but its position stays: it says which task the partition of a job without a key is.
    Kept(Box<Stand>),
    /// The file is read and gone.
    Over,
}

/// A file that is followed.
#[derive(Debug)]
struct Followed {
    /// Its name and place now, and its size.
    partition: Arc<Partition>,
    path: PathBuf,
    of: Arc<str>,
    /// The partition's number in the roster.
    number: u32,
    id: FileId,
    age: Age,
    tail: Tail,
    /// Records before its position when the run began, and their largest time.
    before: (u64, Option<i64>),
    /// Whether it does not hold the watermark back: nothing has come for a while.
    is_released: bool,
    /// Whether the input's paths and globs name it.
    is_listed: bool,
    /// Whether it has no name any more.
    is_gone: bool,
    /// Whether another file was seen under its name, and it was not seen yet under another.
    is_astray: bool,
    /// Whether it was rotated and will not grow: its last line needs no end.
    is_complete: bool,
    grown_at: Instant,
    seen_at: Instant,
}

impl Followed {
    /// Tells whether it is the file that is being written: it has the partition's name.
    fn is_current(&self) -> bool {
        !self.is_gone && !self.is_astray && *self.partition.name == *self.of
    }

    fn stand(&self) -> Stand {
        let ended = !self.is_current() && self.tail.is_read();
        let name = match self.is_gone || self.is_astray {
            // Another file may have its name by now, and each name stands for one position.
            true => format!("{} (gone, inode {})", self.of, self.id.inode),
            false => self.partition.name.clone(),
        };
        let generation_of = (*name != *self.of).then(|| Arc::clone(&self.of));
        let partition = Partition { name, file_bytes: Some(self.tail.size()), ..(*self.partition).clone() };
        Stand {
            partition: Arc::new(partition),
            generation_of,
            inode: Some(self.id.inode),
            place: self.tail.place(ended),
            record: self.before.0,
            event_time: self.before.1,
        }
    }
}

impl std::fmt::Debug for FollowReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next_number = self.next_number;
        f.debug_struct("FollowReader").field("next_number", &next_number).finish_non_exhaustive()
    }
}

impl FollowReader {
    /// Begins where `start` says: a file without a position is read from its beginning. `next_number` is the number of the first block.
    ///
    /// The file of each position is looked for by its fingerprint: under the name that it had, then among the files beside it, where a rotation puts it.
    /// Fails when it is nowhere and was not read to its end.
    pub fn new(
        input: &InputSpec,
        base: &Path,
        start: &[PositionRow],
        next_number: u64,
        roster: Option<Arc<Roster>>,
    ) -> Result<FollowReader, InputError> {
        let rules =
            Rules { format: input.format.clone(), max_record_bytes: input.max_record_bytes, block_bytes: BLOCK_BYTES };
        let mut reader = FollowReader {
            input: input.clone(),
            base: base.to_owned(),
            rules,
            roster,
            slots: Vec::new(),
            by_id: HashMap::new(),
            generations: HashMap::new(),
            strangers: HashSet::new(),
            rotations: HashMap::new(),
            next_number,
            moved: Vec::new(),
            freed: Vec::new(),
            turn: 0,
            next_scan: Instant::now(),
        };
        reader.resume(start)?;
        // What is there when the run begins holds the watermark back until it is read.
        reader.find_files(Instant::now())?;
        reader.moved.clear();
        Ok(reader)
    }

    /// Returns the next block, or nothing when nothing has arrived.
    pub fn next_block(&mut self) -> Result<Option<Block>, InputError> {
        if Instant::now() >= self.next_scan {
            self.scan()?;
            self.next_scan = Instant::now() + SCAN_PAUSE;
        }
        if let Some(block) = self.take_block()? {
            return Ok(Some(block));
        }
        self.poll()?;
        self.take_block()
    }

    /// Looks at the directories and returns where each file stands, with its size as it is now.
    pub fn look(&mut self) -> Result<Vec<Stand>, InputError> {
        self.scan()?;
        Ok(self.stands())
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns where each stream stands before the next block.
    pub fn stands(&self) -> Vec<Stand> {
        // When the run begins none is over.
        self.slots.iter().filter_map(Slot::stand).collect()
    }

    /// Hands to `visit` what has changed since the last call. Streams that are new come in the order of their numbers.
    pub fn take_moves(&mut self, mut visit: impl FnMut(Move)) {
        let mut moved = std::mem::take(&mut self.moved);
        moved.sort_unstable();
        moved.dedup();
        for stream in moved {
            match self.slots[stream].stand() {
                Some(stand) => visit(Move::To(stream, Box::new(stand))),
                None => visit(Move::Over(stream)),
            }
        }
    }

    /// Returns the bytes that lie in the files and were not handed out, as far as they were looked at.
    pub fn unread_bytes(&self) -> u64 {
        let unread = |slot: &Slot| slot.file().map_or(0, |file| file.tail.size().saturating_sub(file.tail.offset()));
        self.slots.iter().map(unread).sum()
    }

    /// Looks at the sizes of the files that are open.
    fn poll(&mut self) -> Result<(), InputError> {
        for slot in &mut self.slots {
            let Slot::File(file) = slot else { continue };
            if file.tail.poll(&file.partition)? {
                file.grown_at = Instant::now();
                file.is_complete = false;
            }
        }
        Ok(())
    }

    /// Returns a block of a file in which something has arrived; the files take turns.
    fn take_block(&mut self) -> Result<Option<Block>, InputError> {
        let count = self.slots.len();
        for step in 0..count {
            let stream = (self.turn + step) % count;
            let Slot::File(file) = &self.slots[stream] else { continue };
            if !file.tail.is_ready() || self.has_older(stream, &file.of) {
                continue;
            }
            let must_close = self.open_count() >= MAX_OPEN;
            let Slot::File(file) = &mut self.slots[stream] else { continue };
            if !file.tail.open(&file.partition, &file.path, file.id)? {
                // It was renamed since the directories were looked at.
                self.next_scan = Instant::now();
                continue;
            }
            let Some(piece) = file.tail.next_piece(&file.partition, file.is_complete)? else { continue };
            let block = Block {
                number: self.next_number,
                partition: file.number,
                stream: u32::try_from(stream).expect("there are fewer files than 2^32"),
                offset: piece.offset,
                bytes: piece.bytes,
                end_offset: piece.end_offset,
                header: file.tail.header(),
                released: Vec::new(),
            };
            file.is_released = false;
            if must_close && file.tail.is_read() {
                file.tail.close();
            }
            self.next_number += 1;
            self.moved.push(stream);
            self.turn = stream + 1;
            let released = self.release(stream);
            return Ok(Some(Block { released, ..block }));
        }
        Ok(None)
    }

    /// Returns the streams beside `giving` that do not hold the watermark back from now on: nothing has come into them for a while, or nothing will.
    fn release(&mut self, giving: usize) -> Vec<u32> {
        let mut released = std::mem::take(&mut self.freed);
        for (stream, slot) in self.slots.iter_mut().enumerate() {
            let Slot::File(file) = slot else { continue };
            let is_idle = file.grown_at.elapsed() >= QUIET || !file.is_current();
            if stream != giving && !file.is_released && is_idle && !file.tail.is_ready() {
                file.is_released = true;
                released.extend(u32::try_from(stream));
            }
        }
        released
    }

    /// Tells whether an older generation of the same partition has something to be read first.
    fn has_older(&self, stream: usize, of: &Arc<str>) -> bool {
        let generations = self.generations.get(of).map_or(&[][..], Vec::as_slice);
        let older = generations.iter().take_while(|other| **other != stream);
        older.filter_map(|other| self.slots[*other].file()).any(|file| file.tail.is_ready())
    }

    fn open_count(&self) -> usize {
        self.slots.iter().filter_map(Slot::file).filter(|file| file.tail.is_open()).count()
    }

    /// Adds a file as the newest generation of the partition `of`.
    fn add(
        &mut self,
        seen: Seen,
        of: &str,
        tail: Tail,
        before: (u64, Option<i64>),
        is_listed: bool,
    ) -> Result<(), InputError> {
        let number = match &self.roster {
            None => 0,
            Some(roster) => roster
                .number(of)
                .ok_or_else(|| InputError::TooMany { partition: of.to_owned(), tasks: roster.tasks() })?,
        };
        let of: Arc<str> = of.into();
        let stream = self.slots.len();
        self.by_id.insert(seen.id, stream);
        self.generations.entry(Arc::clone(&of)).or_default().push(stream);
        self.slots.push(Slot::File(Box::new(Followed {
            partition: Arc::new(seen.partition),
            path: seen.path,
            of,
            number,
            id: seen.id,
            age: seen.age,
            tail,
            before,
            is_released: false,
            is_listed,
            is_gone: false,
            is_astray: false,
            is_complete: false,
            grown_at: Instant::now(),
            seen_at: Instant::now(),
        })));
        self.moved.push(stream);
        Ok(())
    }
}

impl Slot {
    fn file(&self) -> Option<&Followed> {
        match self {
            Slot::File(file) => Some(file),
            Slot::Kept(_) | Slot::Over => None,
        }
    }

    fn stand(&self) -> Option<Stand> {
        match self {
            Slot::File(file) => Some(file.stand()),
            Slot::Kept(stand) => Some((**stand).clone()),
            Slot::Over => None,
        }
    }
}

/// Opens the file at `path` if it is the one called `id`.
fn open_if(partition: &Partition, path: &Path, id: FileId) -> Result<Option<File>, InputError> {
    let read = |source| InputError::Read { partition: partition.name.clone(), offset: 0, source };
    // To open a pipe would wait for its writer, so it is looked at first.
    match std::fs::metadata(path) {
        Ok(metadata) if FileId::of(&metadata) != id || !metadata.is_file() => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(read)?,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(read)?,
    };
    let metadata = file.metadata().map_err(read)?;
    Ok((FileId::of(&metadata) == id).then_some(file))
}
