//! Finding the files of the positions again: under their names, or in the same directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::follow::directory::{SeenFile, listed, may_be_generation, siblings};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::{Files, Rotation, Slot};
use crate::input::follow::proof::{Opened, Proof, prove};
use crate::input::follow::tail::Tail;
use crate::input::lane::Lane;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::position::Position;
use crate::input::prefix_digest::PrefixDigest;
use crate::job::model::InputFormat;

/// How often to search for a file while files are being renamed, and the pause in between.
const MAX_SEARCHES: usize = 50;
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// What became of the file of a position.
enum Found {
    Exists(Box<SeenFile>, Opened),
    /// It was read to its end, and is gone.
    Done,
}

/// Finds the files of `start` and makes them the first streams, the oldest generations first.
pub(super) fn resume(files: &mut Files, start: &[PositionRow]) -> Result<(), InputError> {
    let mut search = Search { files, listed: Vec::new(), directories: HashMap::new(), used: HashSet::new() };
    search.refresh()?;
    let mut existing = Vec::new();
    let mut done = Vec::new();
    // Positions with an inode come first, so that no other position takes their files.
    let mut rows: Vec<&PositionRow> = start.iter().collect();
    rows.sort_by_key(|row| row.inode.is_none());
    for row in rows {
        match search.find(row)? {
            Found::Exists(seen, opened) => existing.push((seen, opened, row)),
            Found::Done => done.push(row),
        }
    }
    // In a job without a key, the position of a partition says which task it has.
    let is_keyless = files.tasks.is_some();
    for row in done.into_iter().filter(|_| is_keyless) {
        let is_known = existing.iter().any(|(_, _, other)| other.logical() == row.logical());
        if !is_known && !files.generations.contains_key(row.logical()) {
            keep(files, row);
        }
    }
    existing.sort_by_key(|(seen, _, _)| seen.age);
    for (seen, opened, row) in existing {
        let (age, of) = (seen.age, row.logical());
        // A run that did not follow has counted the last record, although it was not whole.
        let is_csv = matches!(files.rules.format, InputFormat::Csv { .. });
        if is_csv
            && row.ended
            && seen.size > row.offset
            && Lane::ends_in_quotes(&seen.partition, &files.rules, row.offset)?
        {
            return Err(InputError::Unquoted { partition: row.partition.clone(), offset: row.offset });
        }
        let is_current = seen.partition.name == of;
        let mut tail = match opened {
            None => Tail::new(&files.rules, &seen.partition),
            Some((file, prefix)) => Tail::resume(&files.rules, &seen.partition, file, row.offset, prefix)?,
        };
        tail.set_size(&seen.partition, seen.size)?;
        // The first scan finds out whether the input still matches it.
        files.add(*seen, of, tail, (row.record, row.event_time), false)?;
        // Unless the newest known generation still has the name, others may have come and gone between the runs.
        let stream = files.slots.len() - 1;
        if is_current {
            files.rotations.remove(of);
        } else {
            files.rotations.insert(of.into(), Rotation { stream, age, until: None });
        }
    }
    Ok(())
}

/// Keeps the position of a file that is gone.
fn keep(files: &mut Files, row: &PositionRow) {
    let partition = Partition {
        name: row.partition.clone(),
        source: Source::File(files.base.join(&row.partition)),
        compression: Compression::None,
        file_bytes: row.file_bytes,
    };
    let position = Position {
        generation_of: row.generation_of.as_deref().map(Arc::from),
        inode: row.inode,
        offset: row.offset,
        ended: true,
        // Not used: since the offset stays, the next checkpoint repeats the fingerprint of the last one.
        prefix: PrefixDigest::new(&partition),
        record: row.record,
        event_time: row.event_time,
        partition: Arc::new(partition),
    };
    let stream = files.slots.len();
    files.generations.entry(row.logical().into()).or_default().push(stream);
    files.slots.push(Slot::Kept(Box::new(position)));
}

/// A search for the files of positions.
struct Search<'a> {
    files: &'a Files,
    listed: Vec<SeenFile>,
    /// The files in the directory of each partition.
    directories: HashMap<String, Vec<SeenFile>>,
    /// The files that were found. Each belongs to one position.
    used: HashSet<FileId>,
}

impl Search<'_> {
    fn refresh(&mut self) -> Result<(), InputError> {
        self.directories.clear();
        self.listed = listed(&self.files.input, &self.files.base)?;
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
                        return Ok(Found::Exists(Box::new(seen), opened));
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

    /// Returns the files that may be that of `row`, the most likely first.
    fn candidates(&mut self, row: &PositionRow) -> Result<Vec<SeenFile>, InputError> {
        let of = row.logical();
        if !self.directories.contains_key(of) {
            self.directories.insert(of.to_owned(), siblings(of, &self.files.base)?);
        }
        let all = self.listed.iter().chain(&self.directories[of]);
        let free: Vec<&SeenFile> = all.filter(|seen| !self.used.contains(&seen.id)).collect();
        let same_inode = free.iter().filter(|seen| row.inode.is_some_and(|inode| seen.id.inode == inode));
        let same_name = free.iter().filter(|seen| seen.partition.name == row.partition);
        // If nothing was read of a file, its content cannot identify it.
        let others = free.iter().filter(|seen| row.offset > 0 && may_be_generation(&seen.partition.name, of));
        Ok(same_inode.chain(same_name).chain(others).map(|seen| (*seen).clone()).collect())
    }

    /// Returns what it means that the file of `row` was not found.
    fn missing(&mut self, row: &PositionRow) -> Result<Found, InputError> {
        let (partition, offset) = (row.partition.clone(), row.offset);
        let has_unread = row.file_bytes.is_some_and(|bytes| bytes > offset);
        if (row.generation_of.is_some() || offset == 0) && !has_unread {
            return Ok(Found::Done);
        }
        let same_name = self.candidates(row)?.into_iter().find(|seen| seen.partition.name == row.partition);
        Err(match same_name {
            Some(seen) if row.inode == Some(seen.id.inode) && seen.size < offset => {
                InputError::Shrunk { partition, offset, found: seen.size }
            }
            Some(_) => InputError::RotatedAway { partition, offset },
            None => InputError::Gone { partition, offset },
        })
    }
}
