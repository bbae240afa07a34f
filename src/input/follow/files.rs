//! The files that are followed, and what became of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::input::block::BLOCK_BYTES;
use crate::input::error::InputError;
use crate::input::follow::directory::{Age, SeenFile};
use crate::input::follow::file_id::FileId;
use crate::input::follow::proof::{Proof, prove};
use crate::input::follow::tail::Tail;
use crate::input::partition::Partition;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::position::Position;
use crate::input::rules::BlockRules;
use crate::job::model::InputSpec;

/// How long a rotated file must not have grown before its last line is taken without a line end, and before a file that
/// is gone is given up.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// All files that are or were followed. A stream is the index of its slot.
pub(super) struct Files {
    pub(super) input: InputSpec,
    pub(super) base: PathBuf,
    pub(super) rules: BlockRules,
    /// For a job without a key.
    pub(super) tasks: Option<Arc<PartitionTasks>>,
    pub(super) slots: Vec<Slot>,
    pub(super) by_id: HashMap<FileId, usize>,
    /// The streams of each partition, the oldest first.
    pub(super) generations: HashMap<Arc<str>, Vec<usize>>,
    /// Rotated files that were read and given up, so that they are not read again.
    pub(super) finished: HashSet<FileId>,
    /// The last rotation of each partition.
    pub(super) rotations: HashMap<Arc<str>, Rotation>,
    /// Streams whose position has changed since the last report.
    pub(super) moved: Vec<usize>,
    /// Streams that are over and that event time was still waiting for.
    pub(super) released: Vec<u32>,
}

/// A file that has lost the name of its partition. Further files may have had the name since and lost it, too.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) stream: usize,
    pub(super) age: Age,
    /// Until when to look for those files; `None` while no file has the name.
    pub(super) until: Option<Instant>,
}

/// What became of a stream.
#[derive(Debug)]
pub(super) enum Slot {
    File(Box<Followed>),
    /// The file is gone, but its position stays, because it says which task the partition of a job without a key has.
    Kept(Box<Position>),
    /// The file was read and is gone.
    Over,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// The file by its current name.
    pub(super) partition: Arc<Partition>,
    pub(super) path: PathBuf,
    /// The name of its partition.
    pub(super) of: Arc<str>,
    /// The partition's number among the partition tasks.
    pub(super) number: u32,
    pub(super) id: FileId,
    pub(super) age: Age,
    pub(super) tail: Tail,
    /// The records before its position at the start of the run, and their latest event time.
    pub(super) before: (u64, Option<i64>),
    /// Whether event time does not wait for it, because nothing has arrived for a while.
    pub(super) is_released: bool,
    /// Whether the paths and globs of the input match it.
    pub(super) is_listed: bool,
    /// Whether it has no name any more.
    pub(super) is_gone: bool,
    /// Whether another file has its name, and its own new name is not known yet.
    pub(super) is_displaced: bool,
    /// Whether it was rotated and will not grow, so that its last line needs no line end.
    pub(super) is_complete: bool,
    pub(super) grown_at: Instant,
    pub(super) seen_at: Instant,
}

impl Files {
    pub(super) fn new(input: &InputSpec, base: &Path, tasks: Option<Arc<PartitionTasks>>) -> Files {
        Files {
            input: input.clone(),
            base: base.to_owned(),
            rules: BlockRules::new(input, BLOCK_BYTES),
            tasks,
            slots: Vec::new(),
            by_id: HashMap::new(),
            generations: HashMap::new(),
            finished: HashSet::new(),
            rotations: HashMap::new(),
            moved: Vec::new(),
            released: Vec::new(),
        }
    }

    /// Adds a file as the newest generation of the partition `of`.
    pub(super) fn add(
        &mut self,
        seen: SeenFile,
        of: &str,
        tail: Tail,
        before: (u64, Option<i64>),
        is_listed: bool,
    ) -> Result<(), InputError> {
        let number = match &self.tasks {
            None => 0,
            Some(tasks) => tasks
                .number(of)
                .ok_or_else(|| InputError::TooMany { partition: of.to_owned(), tasks: tasks.tasks() })?,
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
            is_displaced: false,
            is_complete: false,
            grown_at: Instant::now(),
            seen_at: Instant::now(),
        })));
        self.moved.push(stream);
        Ok(())
    }

    /// Checks the sizes of the open files.
    pub(super) fn poll(&mut self) -> Result<(), InputError> {
        for slot in &mut self.slots {
            let Slot::File(file) = slot else { continue };
            if file.tail.poll(&file.partition)? {
                file.grown_at = Instant::now();
                file.is_complete = false;
            }
        }
        Ok(())
    }

    /// Returns the streams other than `giving` that event time no longer waits for: nothing has arrived in them for a
    /// while, or nothing will.
    pub(super) fn take_released(&mut self, giving: usize) -> Vec<u32> {
        let mut released = std::mem::take(&mut self.released);
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

    /// Returns whether an older generation of the same partition must be read first.
    pub(super) fn has_older(&self, stream: usize, of: &Arc<str>) -> bool {
        let generations = self.generations.get(of).map_or(&[][..], Vec::as_slice);
        let older = generations.iter().take_while(|other| **other != stream);
        older.filter_map(|other| self.slots[*other].file()).any(|file| file.tail.is_ready())
    }

    pub(super) fn open_count(&self) -> usize {
        self.slots.iter().filter_map(Slot::file).filter(|file| file.tail.is_open()).count()
    }

    /// Returns how many bytes of the files were not handed out when their sizes were last checked.
    pub(super) fn unread_bytes(&self) -> u64 {
        let unread = |slot: &Slot| slot.file().map_or(0, |file| file.tail.size().saturating_sub(file.tail.offset()));
        self.slots.iter().map(unread).sum()
    }
}

impl Slot {
    pub(super) fn file(&self) -> Option<&Followed> {
        match self {
            Slot::File(file) => Some(file),
            Slot::Kept(_) | Slot::Over => None,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Slot::File(file) => Some(file.position()),
            Slot::Kept(position) => Some((**position).clone()),
            Slot::Over => None,
        }
    }
}

impl Followed {
    /// Returns whether it is the file that is being written: it has the name of its partition.
    pub(super) fn is_current(&self) -> bool {
        !self.is_gone && !self.is_displaced && *self.partition.name == *self.of
    }

    pub(super) fn position(&self) -> Position {
        let name = if self.is_gone || self.is_displaced {
            // Another file may have its name by now, and positions need different names.
            format!("{} (gone, inode {})", self.of, self.id.inode)
        } else {
            self.partition.name.clone()
        };
        let generation_of = (*name != *self.of).then(|| Arc::clone(&self.of));
        let partition = Partition { name, file_bytes: Some(self.tail.size()), ..(*self.partition).clone() };
        Position {
            partition: Arc::new(partition),
            generation_of,
            inode: Some(self.id.inode),
            offset: self.tail.offset(),
            ended: !self.is_current() && self.tail.is_read(),
            prefix: self.tail.prefix().clone(),
            record: self.before.0,
            event_time: self.before.1,
        }
    }

    /// Checks whether `seen`, which has this file's inode, is this file: the inode of a removed file can be reused.
    pub(super) fn check_identity(&self, seen: &SeenFile) -> Result<Proof, InputError> {
        // The inode of an open file is not reused.
        let is_same =
            self.tail.is_open() || (seen.partition.name == self.partition.name && seen.size >= self.tail.size());
        if is_same || self.tail.offset() == 0 {
            return Ok(Proof::Same(None));
        }
        prove(seen, self.tail.offset(), &self.tail.prefix().clone().finish())
    }

    /// Updates the file to what was seen of it. Returns whether its position has another name now.
    pub(super) fn update(&mut self, seen: &SeenFile, is_listed: bool, now: Instant) -> Result<bool, InputError> {
        self.seen_at = now;
        let is_renamed = self.partition.name != seen.partition.name || self.is_gone || self.is_displaced;
        if is_renamed {
            self.partition = Arc::new(seen.partition.clone());
            self.path = seen.path.clone();
            self.is_gone = false;
            self.is_displaced = false;
        }
        self.is_listed = is_listed;
        self.age = seen.age;
        if seen.size != self.tail.size() {
            self.tail.set_size(&self.partition, seen.size)?;
            self.grown_at = now;
            self.is_complete = false;
        }
        Ok(is_renamed)
    }
}
