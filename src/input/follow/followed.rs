//! One file that is followed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;

use crate::input::error::InputError;
use crate::input::follow::archive::Archive;
use crate::input::follow::directory::{Age, SeenFile, Siblings};
use crate::input::follow::file_id::FileId;
use crate::input::follow::proof::{Proof, prove};
use crate::input::follow::tail::Tail;
use crate::input::partition::Partition;
use crate::input::position::Position;

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
    pub(super) born: Option<SystemTime>,
    pub(super) tail: Tail,
    /// The records before its position at the start of the run, and their latest event time.
    pub(super) before: (u64, Option<i64>),
    /// Whether event time does not wait for it, because nothing has arrived for a while.
    pub(super) is_released: bool,
    /// Whether the paths and globs of the input match it.
    pub(super) is_listed: bool,
    /// Whether it has no name any more.
    pub(super) is_gone: bool,
    /// If it has none because it was compressed, the compressed file. `partition` has the name that it had before.
    pub(super) archive: Option<FileId>,
    /// Whether another file has its name, and its own new name is not known yet.
    pub(super) is_displaced: bool,
    /// Whether it was rotated and will not grow, so that its last line needs no line end.
    pub(super) is_complete: bool,
    pub(super) grown_at: Instant,
    pub(super) seen_at: Instant,
}

impl Followed {
    pub(super) fn new(
        seen: SeenFile,
        of: Arc<str>,
        number: u32,
        tail: Tail,
        before: (u64, Option<i64>),
        is_listed: bool,
    ) -> Followed {
        Followed {
            partition: Arc::new(seen.partition),
            path: seen.path,
            of,
            number,
            id: seen.id,
            age: seen.age,
            born: seen.born,
            tail,
            before,
            is_released: false,
            is_listed,
            is_gone: false,
            archive: None,
            is_displaced: false,
            is_complete: false,
            grown_at: Instant::now(),
            seen_at: Instant::now(),
        }
    }

    /// Returns whether it is the file that is being written: it has the name of its partition.
    pub(super) fn is_current(&self) -> bool {
        !self.is_gone && !self.is_displaced && *self.partition.name == *self.of
    }

    /// Returns what `siblings` have of it, or of the compressed file that was made of it. Its name and its age are not
    /// those that were known before if it was renamed since.
    pub(super) fn among<'a>(&self, siblings: &'a Siblings) -> Option<&'a SeenFile> {
        let find = |files: &'a [SeenFile], id| files.iter().find(|seen| seen.id == id);
        match self.archive {
            Some(id) => find(&siblings.packed, id),
            // Another file may have the identity of one that is gone.
            None if self.is_gone || self.is_displaced => None,
            None => find(&siblings.plain, self.id),
        }
    }

    pub(super) fn position(&self) -> Position {
        let name = if self.is_gone || self.is_displaced {
            // Another file may have its name by now, and positions need different names.
            gone_name(&self.of, self.id, self.born)
        } else {
            self.partition.name.clone()
        };
        let generation_of = (*name != *self.of).then(|| Arc::clone(&self.of));
        let partition = Partition { name, file_bytes: Some(self.tail.size()), ..(*self.partition).clone() };
        Position {
            partition: Arc::new(partition),
            message: None,
            stored: None,
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
        // The inode of an open file is not reused, but that of a file which is read in a compressed one may be.
        if self.tail.is_open() && !self.tail.is_packed() {
            return Ok(Proof::Same(None));
        }
        if self.born.zip(seen.born).is_some_and(|(before, now)| before != now) {
            return Ok(Proof::Other);
        }
        let is_same = seen.partition.name == self.partition.name && seen.size >= self.tail.size();
        if is_same || self.tail.offset() == 0 {
            return Ok(Proof::Same(None));
        }
        prove(seen, self.tail.offset(), &self.tail.prefix().clone().finish())
    }

    /// Records that it is gone because it was compressed. Unless it is open, it is read on in the compressed file.
    pub(super) fn continue_in(&mut self, archive: Archive) {
        self.archive = Some(archive.seen.id);
        self.age = archive.seen.age;
        self.partition = Arc::new(archive.seen.partition);
        if !self.tail.is_open() {
            self.tail.continue_in(archive.content, archive.bytes);
            self.is_complete = true;
        }
    }

    /// Updates the file to what was seen of it. Returns whether its position has another name now.
    pub(super) fn update(&mut self, seen: &SeenFile, is_listed: bool, now: Instant) -> Result<bool, InputError> {
        self.seen_at = now;
        let is_renamed = self.partition.name != seen.partition.name || self.is_gone || self.is_displaced;
        if is_renamed {
            self.partition = Arc::new(seen.partition.clone());
            self.path = seen.path.clone();
            self.is_gone = false;
            self.archive = None;
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

/// Returns the name of the position of a file that has no name of its own any more. Its inode may be reused, so the
/// time of its creation is part of it.
pub(super) fn gone_name(of: &str, id: FileId, born: Option<SystemTime>) -> String {
    match born.and_then(|born| Timestamp::try_from(born).ok()) {
        Some(born) => format!("{} {born})", gone_prefix(of, id.inode)),
        None => format!("{})", gone_prefix(of, id.inode)),
    }
}

/// Returns how the name of the position of such a file begins.
pub(super) fn gone_prefix(of: &str, inode: u64) -> String {
    format!("{of} (gone, inode {inode}")
}
