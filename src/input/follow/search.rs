//! The search for the files of positions: under their names, or in the same directory, also compressed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::follow::archive::{self, Archive, Sought};
use crate::input::follow::directory::{
    Age, SeenFile, Siblings, listed, may_be_generation, rotations, siblings, unpacked_name,
};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::{Files, MAX_SEARCHES, QUIET, SEARCH_PAUSE};
use crate::input::follow::followed::{gone_name, gone_prefix};
use crate::input::follow::proof::{Opened, Proof, prove};
use crate::input::listing::is_named;
use crate::input::note::InputNote;
use crate::input::resumed::PROVING_BYTES;
use crate::job::model::OnGone;

/// Where the file of a position is searched.
#[derive(Debug, Clone, Copy)]
pub(super) enum Where {
    Files(Among),
    Archives(Archives),
}

/// Which files are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Where it is or where a rotation leaves it: the inode proves it as well.
    SameFile,
    /// What else may have its content.
    Others,
}

/// Which compressed files are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archives {
    /// Those of files that were written to since the input was last looked at, and a little before.
    Recent,
    Older,
    /// Those of files of which nothing was read, and that have grown since the input was last looked at.
    Grown,
}

impl Where {
    /// All places, the most likely first.
    pub(super) const ALL: [Where; 5] = [
        Where::Files(Among::SameFile),
        Where::Archives(Archives::Recent),
        Where::Files(Among::Others),
        Where::Archives(Archives::Older),
        Where::Archives(Archives::Grown),
    ];
}

/// The file of a position, with what proves it.
pub(super) enum Found {
    File(Box<SeenFile>, Opened),
    /// It was compressed.
    Archive(Box<Archive>),
}

impl Found {
    fn id(&self) -> FileId {
        match self {
            Found::File(seen, _) => seen.id,
            Found::Archive(archive) => archive.seen.id,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Found::File(seen, _) => &seen.partition.name,
            Found::Archive(archive) => &archive.seen.partition.name,
        }
    }

    fn age(&self) -> Age {
        match self {
            Found::File(seen, _) => seen.age,
            Found::Archive(archive) => archive.seen.age,
        }
    }
}

/// What became of files that are gone.
#[derive(Default)]
pub(super) struct Notes {
    /// Partitions that were read to their ends.
    gone: Vec<String>,
    lost: Vec<InputNote>,
}

impl Notes {
    pub(super) fn finish(self) -> impl Iterator<Item = InputNote> {
        (!self.gone.is_empty()).then_some(InputNote::Gone(self.gone)).into_iter().chain(self.lost)
    }
}

/// A search for the files of positions.
pub(super) struct Search<'a> {
    files: &'a Files,
    listed: Vec<SeenFile>,
    /// The files in the directory of each partition.
    directories: HashMap<String, Siblings>,
    /// The files that were found. Each belongs to one position.
    used: HashSet<FileId>,
    /// How many times the files of each partition were rotated since, if they are numbered and one of them was found.
    rotations: HashMap<String, i64>,
}

impl Search<'_> {
    pub(super) fn new(files: &Files) -> Result<Search<'_>, InputError> {
        let mut search = Search {
            files,
            listed: Vec::new(),
            directories: HashMap::new(),
            used: HashSet::new(),
            rotations: HashMap::new(),
        };
        search.refresh()?;
        Ok(search)
    }

    fn refresh(&mut self) -> Result<(), InputError> {
        self.directories.clear();
        self.listed = listed(&self.files.input, &self.files.base)?;
        Ok(())
    }

    /// Finds the file of `row` at one place.
    pub(super) fn find(&mut self, row: &PositionRow, place: Where) -> Result<Option<Found>, InputError> {
        for _ in 0..MAX_SEARCHES {
            let sought = match place {
                Where::Files(among) => self.find_file(row, among)?,
                Where::Archives(among) => match self.find_archive(row, among)? {
                    Sought::Found(archive) => Sought::Found(Found::Archive(archive)),
                    Sought::Nothing => Sought::Nothing,
                    Sought::Moved => Sought::Moved,
                },
            };
            match sought {
                Sought::Found(found) => {
                    self.used.insert(found.id());
                    let of = row.logical();
                    if let Some((before, now)) = rotations(&row.partition, of).zip(rotations(found.name(), of)) {
                        self.rotations.insert(of.to_owned(), now - before);
                    }
                    return Ok(Some(found));
                }
                Sought::Nothing => break,
                Sought::Moved => {
                    std::thread::sleep(SEARCH_PAUSE);
                    self.refresh()?;
                }
            }
        }
        Ok(None)
    }

    /// Returns the file of `row`, if it is not compressed.
    fn find_file(&mut self, row: &PositionRow, among: Among) -> Result<Sought<Found>, InputError> {
        let mut sought = Sought::Nothing;
        for seen in self.candidates(row, among)? {
            match prove(&seen, row.offset, &row.fingerprint)? {
                Proof::Other if among == Among::SameFile && self.was_overwritten(row, &seen) => {
                    return Err(overwritten(row, &seen));
                }
                Proof::Other => {}
                Proof::Moved => sought = Sought::Moved,
                Proof::Same(opened) => return Ok(Sought::Found(Found::File(Box::new(seen), opened))),
            }
        }
        Ok(sought)
    }

    /// Returns whether `seen`, which begins with other bytes, is the file of `row` nevertheless: `copytruncate` of
    /// logrotate overwrites a file after it has made a copy, and what is written in between is lost.
    fn was_overwritten(&self, row: &PositionRow, seen: &SeenFile) -> bool {
        let is_known = seen.born.is_some() && self.files.since.is_some();
        is_known && seen.partition.name == row.partition && self.is_same_inode(row, seen, QUIET)
    }

    /// Returns whether the file of `row` had the inode of `seen`, and `seen` was created so long before the checkpoint
    /// that the inode was not reused.
    fn is_same_inode(&self, row: &PositionRow, seen: &SeenFile, margin: Duration) -> bool {
        let was_there = |(born, since): (SystemTime, SystemTime)| born + margin <= since;
        row.inode == Some(seen.id.inode) && seen.born.zip(self.files.since).is_none_or(was_there)
    }

    /// Returns the files that may be that of `row`, the most likely first.
    fn candidates(&mut self, row: &PositionRow, among: Among) -> Result<Vec<SeenFile>, InputError> {
        let of = row.logical();
        self.look(of)?;
        let all = self.listed.iter().chain(&self.directories[of].plain);
        let free = all.filter(|seen| !self.used.contains(&seen.id));
        let mut candidates: Vec<(u8, &SeenFile)> = free
            .filter_map(|seen| {
                let name = seen.partition.name.as_str();
                // The inode of a file that is gone may be reused, which its content shows if something was read.
                let is_same_inode = row.inode == Some(seen.id.inode)
                    && (row.offset > 0 || self.is_same_inode(row, seen, Duration::ZERO));
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
                    Among::Others if is_own_name && (row.offset > 0 || row.inode.is_none()) => 1,
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

    /// Returns the compressed file that was made of the file of `row`.
    fn find_archive(&mut self, row: &PositionRow, among: Archives) -> Result<Sought<Box<Archive>>, InputError> {
        let of = row.logical();
        let is_read = row.file_bytes.is_none_or(|bytes| bytes <= row.offset);
        if row.inode.is_none() || (is_read && row.offset == 0) {
            return Ok(Sought::Nothing);
        }
        // Nothing is left to read of it, but its copy must not be taken for a new file, as a recent one would be.
        let is_over = is_read && is_gone_name(row);
        if is_over && among != Archives::Recent {
            return Ok(Sought::Nothing);
        }
        self.look(of)?;
        let then = self.files.since.map(|since| Age::at(since.checked_sub(QUIET).unwrap_or(since)));
        let is_recent = |seen: &SeenFile| then.is_some_and(|then| !seen.age.is_before(&then));
        let is_among = |seen: &SeenFile| match among {
            Archives::Recent => is_recent(seen),
            Archives::Older => !is_recent(seen),
            Archives::Grown => row.offset == 0 && is_recent(seen) && self.is_renamed_to(row, seen.unpacked_name()),
        };
        let may_be_it = |seen: &&SeenFile| {
            let name = seen.partition.name.as_str();
            let is_named_alike = archive::may_be_of(name, of) || unpacked_name(name) == row.partition;
            is_named_alike && !self.used.contains(&seen.id) && is_among(seen)
        };
        let mut candidates: Vec<&SeenFile> = self.directories[of].packed.iter().filter(may_be_it).collect();
        // Files that were written later may begin alike.
        let is_itself = |seen: &SeenFile| row.partition == gone_name(of, seen.id, seen.born);
        candidates.sort_by_key(|seen| (!is_itself(seen), seen.age));
        archive::first(candidates.into_iter(), row.offset, &row.fingerprint, |archive| {
            let (is_itself, is_same_size) = (is_itself(&archive.seen), row.file_bytes == Some(archive.bytes));
            Ok(match among {
                Archives::Recent if is_over => archive.bytes == row.offset,
                Archives::Recent => is_itself || row.offset > 0 || is_same_size,
                // An older one that begins alike may be another generation, which was read long ago.
                Archives::Older => is_itself || row.offset >= PROVING_BYTES || (row.offset > 0 && is_same_size),
                Archives::Grown => row.file_bytes.is_some_and(|bytes| archive.bytes > bytes),
            })
        })
    }

    /// Returns whether the file of `row` has the name `name` now: a rotation renames all files of a log alike, or gives a
    /// date, which stays.
    fn is_renamed_to(&self, row: &PositionRow, name: &str) -> bool {
        let of = row.logical();
        match (rotations(&row.partition, of), rotations(name, of)) {
            (Some(before), Some(now)) => self.rotations.get(of) == Some(&(now - before)),
            _ => name == row.partition,
        }
    }

    fn look(&mut self, of: &str) -> Result<(), InputError> {
        if !self.directories.contains_key(of) {
            self.directories.insert(of.to_owned(), siblings(of, &self.files.base)?);
        }
        Ok(())
    }

    /// Returns the age of the file of `row` in the last listing of its directory, if that has it: ages are compared
    /// within one listing.
    pub(super) fn age(&self, found: &Found, row: &PositionRow) -> Age {
        let siblings = self.directories.get(row.logical());
        let mut all = siblings.into_iter().flat_map(|siblings| siblings.plain.iter().chain(&siblings.packed));
        all.find(|seen| seen.id == found.id()).map_or_else(|| found.age(), |seen| seen.age)
    }

    /// Returns whether a file has this name.
    fn is_known(&self, name: &str) -> bool {
        self.directories.values().flat_map(|siblings| &siblings.plain).any(|seen| seen.partition.name == name)
    }

    /// Returns whether another file has the name of the partition of `row`, and nothing was read of the one that had it.
    pub(super) fn is_replaced_unread(&self, row: &PositionRow) -> bool {
        row.offset == 0 && row.partition == row.logical() && self.is_known(&row.partition)
    }

    /// Lets the file of `row` go, which was not found, if it was read to its end or the job file says so.
    pub(super) fn let_go(&mut self, row: &PositionRow, notes: &mut Notes) -> Result<(), InputError> {
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
            (Some(seen), _) if seen.size < offset && self.is_same_inode(row, &seen, Duration::ZERO) => {
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

fn overwritten(row: &PositionRow, seen: &SeenFile) -> InputError {
    let (partition, offset) = (row.partition.clone(), row.offset);
    if seen.size < offset {
        InputError::Shrunk { partition, offset, found: seen.size }
    } else {
        InputError::Changed { partition, offset }
    }
}

/// Returns whether the file of `row` was gone when the position was written.
pub(super) fn is_gone_name(row: &PositionRow) -> bool {
    row.inode.is_some_and(|inode| row.partition.starts_with(&gone_prefix(row.logical(), inode)))
}
