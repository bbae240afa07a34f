//! Finding the files of the positions again: under their names, or beside them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::scan::{Seen, listed, may_be_generation, siblings};
use super::tail::Tail;
use super::{FileId, FollowReader, Rotation, Slot, open_if};
use crate::format::positions::PositionRow;
use crate::input::fingerprint::{Running, sampled};
use crate::input::{Compression, InputError, Partition, Place, Source, Stand};
use crate::values::digest::Digest;

/// What became of the file of a position.
enum Found {
    /// It is there.
    There(Box<Seen>, Opened),
    /// It was read to its end, and is gone.
    Done,
}

/// The file, open, and the digest of what lies before the position; nothing when nothing does.
type Opened = Option<(File, Running)>;

/// What a file is that may be that of a position.
pub(super) enum Proof {
    /// It begins with the same bytes.
    Same(Opened),
    /// It does not.
    Other,
    /// It was renamed or removed since it was seen.
    Moved,
}

/// So often is looked for a file while files are being renamed, with a pause between.
const MAX_SEARCHES: usize = 50;
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

impl FollowReader {
    /// Finds the files of `start` and makes them the first streams, each partition's oldest first.
    pub(super) fn resume(&mut self, start: &[PositionRow]) -> Result<(), InputError> {
        let mut search = Search { reader: self, listed: Vec::new(), directories: HashMap::new(), used: HashSet::new() };
        search.refresh()?;
        let mut there = Vec::new();
        let mut done = Vec::new();
        // Those that a file's number tells come first, so that no other position takes their files.
        let mut rows: Vec<&PositionRow> = start.iter().collect();
        rows.sort_by_key(|row| row.inode.is_none());
        for row in rows {
            match search.find(row)? {
                Found::There(seen, opened) => there.push((seen, opened, row)),
                Found::Done => done.push(row),
            }
        }
        // The position of a partition says which task it is.
        let is_keyless = self.roster.is_some();
        for row in done.into_iter().filter(|_| is_keyless) {
            let is_known = there.iter().any(|(_, _, other)| other.logical() == row.logical());
            if !is_known && !self.generations.contains_key(row.logical()) {
                self.keep(row);
            }
        }
        there.sort_by_key(|(seen, _, _)| seen.age);
        for (seen, opened, row) in there {
            let (age, of) = (seen.age, row.logical());
            let is_current = seen.partition.name == of;
            let mut tail = match opened {
                None => Tail::new(&self.rules, &seen.partition),
                Some((file, running)) => Tail::resume(&self.rules, &seen.partition, file, row.offset, running)?,
            };
            tail.set_size(&seen.partition, seen.size)?;
            // Whether the input still names it, the first look at the directories will tell.
            self.add(*seen, of, tail, (row.record, row.event_time), false)?;
            // Files may have come and gone while nobody looked, unless the newest that is known still has the name.
            let stream = self.slots.len() - 1;
            if is_current {
                self.rotations.remove(of);
            } else {
                self.rotations.insert(of.into(), Rotation { stream, age, until: None });
            }
        }
        Ok(())
    }

    /// Keeps the position of a file that is gone.
    fn keep(&mut self, row: &PositionRow) {
        let partition = Partition {
            name: row.partition.clone(),
            source: Source::File(self.base.join(&row.partition)),
            compression: Compression::None,
            file_bytes: row.file_bytes,
        };
        // The fingerprint is the one of the checkpoint before: the file is not there to make it.
        let place = Place { offset: row.offset, ended: true, running: Some(Running::new(&partition)) };
        let generation_of = row.generation_of.as_deref().map(Arc::from);
        let stand = Stand {
            partition: Arc::new(partition),
            generation_of,
            inode: row.inode,
            place,
            record: row.record,
            event_time: row.event_time,
        };
        let stream = self.slots.len();
        self.generations.entry(row.logical().into()).or_default().push(stream);
        self.slots.push(Slot::Kept(Box::new(stand)));
    }
}

/// What has been looked at in search of files.
struct Search<'a> {
    reader: &'a FollowReader,
    listed: Vec<Seen>,
    /// The files in the directory of each partition.
    directories: HashMap<String, Vec<Seen>>,
    /// Files that were found: each belongs to one position.
    used: HashSet<FileId>,
}

impl Search<'_> {
    fn refresh(&mut self) -> Result<(), InputError> {
        self.directories.clear();
        self.listed = listed(&self.reader.input, &self.reader.base)?;
        Ok(())
    }

    fn find(&mut self, row: &PositionRow) -> Result<Found, InputError> {
        for _ in 0..MAX_SEARCHES {
            let mut has_moved = false;
            for seen in self.candidates(row)? {
                match prove(&seen, row.offset, &row.fingerprint)? {
                    Proof::Other => {}
                    Proof::Moved => has_moved = true,
                    Proof::Same(opened) => {
                        self.used.insert(seen.id);
                        return Ok(Found::There(Box::new(seen), opened));
                    }
                }
            }
            if !has_moved {
                break;
            }
            std::thread::sleep(SEARCH_PAUSE);
            self.refresh()?;
        }
        self.missing(row)
    }

    /// Returns the files that may be that of `row`, the likeliest first.
    fn candidates(&mut self, row: &PositionRow) -> Result<Vec<Seen>, InputError> {
        let of = row.logical();
        if !self.directories.contains_key(of) {
            self.directories.insert(of.to_owned(), siblings(of, &self.reader.base)?);
        }
        let all = self.listed.iter().chain(&self.directories[of]);
        let free: Vec<&Seen> = all.filter(|seen| !self.used.contains(&seen.id)).collect();
        let same_number = free.iter().filter(|seen| row.inode.is_some_and(|inode| seen.id.inode == inode));
        let same_name = free.iter().filter(|seen| seen.partition.name == row.partition);
        // A file of which nothing was read has nothing to be told by.
        let others = free.iter().filter(|seen| row.offset > 0 && may_be_generation(&seen.partition.name, of));
        Ok(same_number.chain(same_name).chain(others).map(|seen| (*seen).clone()).collect())
    }

    /// Says what it means that the file of `row` is nowhere.
    fn missing(&mut self, row: &PositionRow) -> Result<Found, InputError> {
        let (partition, offset) = (row.partition.clone(), row.offset);
        let has_unread = row.file_bytes.is_some_and(|bytes| bytes > offset);
        if (row.generation_of.is_some() || offset == 0) && !has_unread {
            return Ok(Found::Done);
        }
        let named = self.candidates(row)?.into_iter().find(|seen| seen.partition.name == row.partition);
        Err(match named {
            Some(seen) if row.inode == Some(seen.id.inode) && seen.size < offset => {
                InputError::Shrunk { partition, offset, found: seen.size }
            }
            Some(_) => InputError::RotatedAway { partition, offset },
            None => InputError::Gone { partition, offset },
        })
    }
}

/// Tells whether the file `seen` begins with the `offset` bytes whose digest is `fingerprint`.
pub(super) fn prove(seen: &Seen, offset: u64, fingerprint: &Digest) -> Result<Proof, InputError> {
    if offset == 0 {
        return Ok(Proof::Same(None));
    }
    if seen.size < offset {
        return Ok(Proof::Other);
    }
    let Some(mut file) = open_if(&seen.partition, &seen.path, seen.id)? else { return Ok(Proof::Moved) };
    match sampled(&mut file, offset) {
        Ok(running) if running.clone().finish() == *fingerprint => Ok(Proof::Same(Some((file, running)))),
        Ok(_) => Ok(Proof::Other),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Proof::Other),
        Err(source) => Err(InputError::Read { partition: seen.partition.name.clone(), offset, source }),
    }
}
