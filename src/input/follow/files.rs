//! The files that are followed, and what became of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::input::block::BLOCK_BYTES;
use crate::input::error::InputError;
use crate::input::follow::archive::Archive;
use crate::input::follow::directory::{Age, SeenFile};
use crate::input::follow::file_id::FileId;
use crate::input::follow::followed::Followed;
use crate::input::follow::tail::Tail;
use crate::input::note::InputNote;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::position::Position;
use crate::input::rules::BlockRules;
use crate::job::model::InputSpec;

/// How long a rotated file must not have grown before its last line is taken without a line end, and before a file that
/// is gone is given up.
pub(super) const QUIET: Duration = Duration::from_secs(10);
/// The most files that are kept open.
pub(super) const MAX_OPEN: usize = 512;
/// How often to search for a file while files are being renamed, and the pause in between.
pub(super) const MAX_SEARCHES: usize = 50;
pub(super) const SEARCH_PAUSE: Duration = Duration::from_millis(10);

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
    /// Files that were read and given up, so that they are not read again. The inode of one that is removed may be
    /// reused, so the time of its creation goes with it.
    pub(super) finished: HashSet<(FileId, Option<SystemTime>)>,
    /// The last rotation of each partition.
    pub(super) rotations: HashMap<Arc<str>, Rotation>,
    /// Streams whose position has changed since the last report.
    pub(super) moved: Vec<usize>,
    /// Streams that are over and that event time was still waiting for.
    pub(super) released: Vec<u32>,
    /// When the input was last looked at before the run, if that is known.
    pub(super) since: Option<SystemTime>,
    /// What nobody was told yet.
    pub(super) notes: Vec<InputNote>,
    /// Files that are not read because nothing proves what they are. The notes have them.
    pub(super) unproven: HashSet<FileId>,
}

/// The last file that had the name of a partition and lost it. Further files may have had the name since and lost it,
/// too.
#[derive(Debug)]
pub(super) struct Rotation {
    /// `None` if the file is gone and is not followed.
    pub(super) stream: Option<usize>,
    pub(super) age: Age,
    /// When it was created, as far as known.
    pub(super) born: Option<SystemTime>,
    /// Until when to look for those files; `None` while no file has the name.
    pub(super) until: Option<Instant>,
}

impl Rotation {
    /// Returns the rotation of a file of which only this is known: it still had the name when the input was last looked
    /// at, a while before `since`.
    pub(super) fn unknown(since: SystemTime) -> Rotation {
        let then = since.checked_sub(QUIET).unwrap_or(since);
        Rotation { stream: None, age: Age::at(then), born: Some(then), until: None }
    }
}

/// What became of a stream.
#[derive(Debug)]
pub(super) enum Slot {
    File(Box<Followed>),
    /// The newest file of its partition is gone. Its position stays, so that it is not read again if it comes back, nor in
    /// the compressed file that was made of it.
    Gone(Box<Position>),
    /// The file was read and is gone.
    Over,
}

impl Files {
    pub(super) fn new(
        input: &InputSpec,
        base: &Path,
        tasks: Option<Arc<PartitionTasks>>,
        since: Option<SystemTime>,
    ) -> Files {
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
            since,
            notes: Vec::new(),
            unproven: HashSet::new(),
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
        self.slots.push(Slot::File(Box::new(Followed::new(seen, of, number, tail, before, is_listed))));
        self.moved.push(stream);
        Ok(())
    }

    /// Adds a compressed file, which does not grow, as the newest generation of the partition `of`. It was opened for
    /// `offset`, where it is read on.
    pub(super) fn add_archive(
        &mut self,
        archive: Archive,
        of: &str,
        offset: u64,
        before: (u64, Option<i64>),
    ) -> Result<(), InputError> {
        let seen = archive.seen.clone();
        let tail = archive.into_tail(&self.rules, offset)?;
        self.add(seen, of, tail, before, false)?;
        if let Some(Slot::File(file)) = self.slots.last_mut() {
            file.is_gone = true;
            file.archive = Some(file.id);
            file.is_complete = true;
        }
        Ok(())
    }

    /// Continues a stream in another file, which begins with the bytes that were read of the stream.
    pub(super) fn replace(&mut self, stream: usize, seen: SeenFile, tail: Tail) {
        let (of, number, before) = match &self.slots[stream] {
            Slot::File(file) => {
                if self.by_id.get(&file.id) == Some(&stream) {
                    self.by_id.remove(&file.id);
                }
                self.finished.insert((file.id, file.born));
                (Arc::clone(&file.of), file.number, file.before)
            }
            Slot::Gone(position) => {
                let of: Arc<str> = position.logical().into();
                let number = self.tasks.as_ref().and_then(|tasks| tasks.number(&of)).unwrap_or(0);
                (of, number, (position.record, position.event_time))
            }
            Slot::Over => return,
        };
        self.rotations.remove(&of);
        self.by_id.insert(seen.id, stream);
        self.slots[stream] = Slot::File(Box::new(Followed::new(seen, of, number, tail, before, true)));
        self.moved.push(stream);
    }

    /// Returns whether the file is or was followed.
    pub(super) fn is_known(&self, seen: &SeenFile) -> bool {
        let followed = self.by_id.get(&seen.id).and_then(|stream| self.slots[*stream].file());
        // The inode of a file that is gone may be reused.
        let is_it = |file: &Followed| file.born.zip(seen.born).is_none_or(|(before, now)| before == now);
        followed.is_some_and(is_it) || self.finished.contains(&(seen.id, seen.born))
    }

    /// Checks the sizes of the open files.
    pub(super) fn poll(&mut self) -> Result<(), InputError> {
        for (stream, slot) in self.slots.iter_mut().enumerate() {
            let Slot::File(file) = slot else { continue };
            if file.tail.poll(&file.partition)? {
                file.grown_at = Instant::now();
                file.is_complete = false;
                // Its position has the size, which says whether there is a line that has no end yet.
                self.moved.push(stream);
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
            Slot::Gone(_) | Slot::Over => None,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Slot::File(file) => Some(file.position()),
            Slot::Gone(position) => Some((**position).clone()),
            Slot::Over => None,
        }
    }
}
