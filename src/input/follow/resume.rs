//! Finding the files of the positions again: under their names, or in the same directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::follow::directory::{SeenFile, listed, may_be_generation, siblings};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::{Files, Rotation, Slot};
use crate::input::follow::followed::gone_name;
use crate::input::follow::proof::{Opened, Proof, prove};
use crate::input::follow::tail::Tail;
use crate::input::lane::Lane;
use crate::input::listing::is_named;
use crate::input::note::InputNote;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::position::Position;
use crate::input::resumed::kept_position;
use crate::job::model::{InputFormat, OnGone};

/// How often to search for a file while files are being renamed, and the pause in between.
const MAX_SEARCHES: usize = 50;
const SEARCH_PAUSE: Duration = Duration::from_millis(10);

/// The file of a position, with what proves it.
type Found = (Box<SeenFile>, Opened);

/// Where the file of a position is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Where it is or where a rotation leaves it: the inode proves it as well.
    SameFile,
    /// What else may have its content.
    Others,
}

/// Finds the files of `start` and makes them the first streams, the oldest generations first.
pub(super) fn resume(files: &mut Files, start: &[PositionRow]) -> Result<(), InputError> {
    let mut search = Search { files, listed: Vec::new(), directories: HashMap::new(), used: HashSet::new() };
    search.refresh()?;
    let mut existing = Vec::new();
    let mut gone = Vec::new();
    // No file is taken for another one as long as its own position may be searched.
    let mut rows: Vec<&PositionRow> = start.iter().collect();
    for among in [Among::SameFile, Among::Others] {
        for row in std::mem::take(&mut rows) {
            match search.find(row, among)? {
                Some((seen, opened)) => existing.push((seen, opened, row)),
                None => rows.push(row),
            }
        }
    }
    let mut notes = Notes::default();
    for row in rows {
        search.let_go(row, &mut notes)?;
        gone.push(row);
    }
    gone.retain(|row| !existing.iter().any(|(_, _, other)| other.logical() == row.logical()));
    // Of the generations of a partition, the one that had its name was the last.
    gone.sort_by_key(|row| row.partition != row.logical());
    for row in gone {
        if !files.generations.contains_key(row.logical()) {
            keep(files, row);
        }
    }
    files.notes.extend(notes.finish());
    existing.sort_by_key(|(seen, _, _)| seen.age);
    for (seen, opened, row) in existing {
        let (age, born, of) = (seen.age, seen.born, row.logical());
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
            files.rotations.insert(of.into(), Rotation { stream, age, born, until: None });
        }
    }
    Ok(())
}

/// What became of files that are gone.
#[derive(Default)]
struct Notes {
    /// Partitions that were read to their ends.
    gone: Vec<String>,
    lost: Vec<InputNote>,
}

impl Notes {
    fn finish(self) -> impl Iterator<Item = InputNote> {
        (!self.gone.is_empty()).then_some(InputNote::Gone(self.gone)).into_iter().chain(self.lost)
    }
}

/// Keeps the position of the last file of a partition, which is gone. It is known again if it comes back; and in a job
/// without a key, the position says which task the partition has.
fn keep(files: &mut Files, row: &PositionRow) {
    let of = row.logical();
    let name = gone_name(of, row.inode.unwrap_or(0));
    let partition = Partition {
        source: Source::File(files.base.join(&name)),
        name,
        compression: Compression::None,
        // What was not read of it will not be missed again.
        file_bytes: Some(row.offset),
        etag: None,
    };
    let position = Position { generation_of: Some(of.into()), ..kept_position(Arc::new(partition), row) };
    let stream = files.slots.len();
    files.generations.entry(of.into()).or_default().push(stream);
    files.slots.push(Slot::Gone(Box::new(position)));
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

    fn find(&mut self, row: &PositionRow, among: Among) -> Result<Option<Found>, InputError> {
        for _ in 0..MAX_SEARCHES {
            let mut has_moved = false;
            for seen in self.candidates(row, among)? {
                match prove(&seen, row.offset, &row.fingerprint)? {
                    Proof::Other => {}
                    Proof::Moved => has_moved = true,
                    Proof::Same(opened) => {
                        self.used.insert(seen.id);
                        return Ok(Some((Box::new(seen), opened)));
                    }
                }
            }
            if !has_moved {
                break;
            }
            std::thread::sleep(SEARCH_PAUSE);
            self.refresh()?;
        }
        Ok(None)
    }

    /// Returns the files that may be that of `row`, the most likely first.
    fn candidates(&mut self, row: &PositionRow, among: Among) -> Result<Vec<SeenFile>, InputError> {
        let of = row.logical();
        if !self.directories.contains_key(of) {
            self.directories.insert(of.to_owned(), siblings(of, &self.files.base)?);
        }
        let all = self.listed.iter().chain(&self.directories[of]);
        let free = all.filter(|seen| !self.used.contains(&seen.id));
        let mut candidates: Vec<(u8, &SeenFile)> = free
            .filter_map(|seen| {
                let name = seen.partition.name.as_str();
                let is_same_inode = row.inode == Some(seen.id.inode);
                let is_own_name = name == row.partition;
                // A file that is older than the position is not a copy of the one that was read. If nothing was read of a
                // file, its content cannot identify it.
                let born = row.inode.and(seen.born);
                let may_be_copy =
                    row.offset > 0 && born.zip(self.files.since).is_none_or(|(born, since)| born >= since);
                let was_gone = row.generation_of.is_some() && name == of && !self.is_known(&row.partition);
                let rank = match among {
                    Among::SameFile if is_same_inode && (is_own_name || may_be_generation(name, of)) => 0,
                    Among::SameFile => return None,
                    // An editor or `rsync` replaces a file by a copy, and may keep the old one under another name.
                    Among::Others if is_own_name => 1,
                    Among::Others if is_same_inode => 2,
                    Among::Others if may_be_copy && (was_gone || may_be_generation(name, of)) => 3,
                    Among::Others => return None,
                };
                Some((rank, seen))
            })
            .collect();
        candidates.sort_by_key(|(rank, _)| *rank);
        Ok(candidates.into_iter().map(|(_, seen)| seen.clone()).collect())
    }

    /// Returns whether a file has this name.
    fn is_known(&self, name: &str) -> bool {
        self.directories.values().flatten().any(|seen| seen.partition.name == name)
    }

    /// Lets the file of `row` go, which was not found, if it was read to its end or the job file says so.
    fn let_go(&mut self, row: &PositionRow, notes: &mut Notes) -> Result<(), InputError> {
        let (of, offset) = (row.logical(), row.offset);
        let same_name =
            self.candidates(row, Among::Others)?.into_iter().find(|seen| seen.partition.name == row.partition);
        let is_read = row.file_bytes.is_none_or(|bytes| bytes <= offset);
        let is_rotated = row.generation_of.is_some() || offset == 0;
        // A file that is named by its path is one that is being written to.
        if is_read && (is_rotated || (same_name.is_none() && !is_named(&self.files.input, of))) {
            if row.partition == of && offset > 0 {
                notes.gone.push(of.to_owned());
            }
            return Ok(());
        }
        let partition = row.partition.clone();
        match (same_name, self.files.input.on_gone) {
            (Some(seen), _) if row.inode == Some(seen.id.inode) && seen.size < offset => {
                Err(InputError::Shrunk { partition, offset, found: seen.size })
            }
            (Some(_), OnGone::Stop) => Err(InputError::RotatedAway { partition, offset }),
            (None, OnGone::Stop) => Err(InputError::Gone { partition, offset }),
            (_, OnGone::Warn) => {
                notes.lost.push(InputNote::Lost { partition, offset });
                Ok(())
            }
        }
    }
}
