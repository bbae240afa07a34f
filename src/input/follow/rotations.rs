//! Files that have lost the name of their partition, and those that had it after them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::input::error::InputError;
use crate::input::follow::archive::{self, Archive};
use crate::input::follow::directory::{
    Age, SeenFile, Siblings, bases, is_older_name, listed_rotated, may_be_generation, siblings,
};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::Files;
use crate::input::follow::followed::Followed;
use crate::input::follow::new_files::NewFile;
use crate::input::listing::matches;
use crate::input::note::InputNote;
use crate::input::partition::Compression;

/// How long after a file has taken the name of a rotated one to look for generations between the two.
const ROTATION: Duration = Duration::from_secs(10);

/// The directories of partitions, as they were seen in one scan.
pub(super) type Directories = HashMap<Arc<str>, Siblings>;

/// Forgets old rotations, and updates the ages of the others.
pub(super) fn update_rotations(files: &mut Files, now: Instant) {
    let (slots, generations) = (&files.slots, &files.generations);
    let has_current = |of: &Arc<str>| {
        let mut of_partition = generations.get(of).into_iter().flatten().filter_map(|stream| slots[*stream].file());
        of_partition.any(Followed::is_current)
    };
    files.rotations.retain(|of, rotation| {
        if let Some(file) = rotation.stream.and_then(|stream| slots[stream].file()) {
            rotation.age = file.age;
        }
        if rotation.until.is_none() && has_current(of) {
            rotation.until = Some(now + ROTATION);
        }
        rotation.until.is_none_or(|until| until > now)
    });
}

/// Returns the files that may have come between two generations, and that the input does not match.
///
/// Ages are compared within one listing of the directory, which `listed` are updated to: a file that is renamed has
/// another number, which decides if it was written to at the same time as another one.
pub(super) fn new_unlisted(
    files: &mut Files,
    listed: &mut [NewFile],
    directories: &mut Directories,
) -> Result<Vec<NewFile>, InputError> {
    // What a file has now decides whether a compressed one is its copy.
    if !files.rotations.is_empty() {
        files.poll()?;
    }
    let mut new: Vec<NewFile> = Vec::new();
    let mut copies = Vec::new();
    for (of, rotation) in &files.rotations {
        if !directories.contains_key(of) {
            directories.insert(Arc::clone(of), siblings(of, &files.base)?);
        }
        let siblings = &directories[of];
        let Siblings { plain, packed } = siblings;
        for new in listed.iter_mut().filter(|new| *new.of == **of) {
            if let Some(seen) = plain.iter().find(|seen| seen.id == new.seen.id) {
                new.seen = seen.clone();
            }
        }
        let is_new =
            |seen: &&SeenFile| !files.is_known(seen) && !listed.iter().chain(&new).any(|new| new.seen.id == seen.id);
        let last = rotation.stream.and_then(|stream| files.slots[stream].file()?.among(siblings));
        let age = last.map_or(rotation.age, |last| last.age);
        let is_younger = |seen: &&SeenFile| {
            seen.age > age && rotation.born.zip(seen.born).is_none_or(|(older, newer)| newer >= older)
        };
        let mut found: Vec<SeenFile> = plain.iter().filter(is_new).filter(is_younger).cloned().collect();
        found.retain(|seen| may_be_generation(&seen.partition.name, of));
        // While a file is being compressed, both exist.
        let is_whole = |seen: &&SeenFile| {
            let is_it = |plain: &SeenFile| plain.partition.name == seen.unpacked_name();
            archive::may_be_of(&seen.partition.name, of) && !plain.iter().any(is_it)
        };
        for seen in packed.iter().filter(is_new).filter(is_younger).filter(is_whole) {
            if last.is_some_and(|last| is_older_name(seen.unpacked_name(), last.unpacked_name(), of)) {
                continue;
            }
            match is_copy(files, of, seen)? {
                true => copies.push((seen.id, seen.born)),
                false => found.push(seen.clone()),
            }
        }
        new.extend(found.into_iter().map(|seen| NewFile { seen, of: of.to_string(), is_listed: false }));
    }
    files.finished.extend(copies);
    Ok(new)
}

/// Returns whether a compressed file has nothing but what is known of a file that is or was followed.
fn is_copy(files: &Files, of: &str, seen: &SeenFile) -> Result<bool, InputError> {
    for stream in files.generations.get(of).into_iter().flatten() {
        let Some(position) = files.slots[*stream].position() else { continue };
        // Of a file that is closed, only what was read is known.
        let is_open = files.slots[*stream].file().is_some_and(|file| file.tail.is_open());
        if position.offset == 0 && !is_open {
            continue;
        }
        let Some(archive) = Archive::open(seen, position.offset)? else { return Ok(false) };
        let size = position.partition.file_bytes.unwrap_or(0);
        if archive.bytes == 0 || archive.bytes > size || !archive.begins_with(&position.fingerprint()) {
            continue;
        }
        let agrees = |file: &Followed| file.tail.agrees_with(&file.partition, &archive.content, archive.bytes);
        if files.slots[*stream].file().map(agrees).transpose()?.unwrap_or(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the rotated files of partitions of which no file is known: they appeared and were rotated since the input
/// was last looked at, and the input does not match them.
pub(super) fn rotated_unseen(files: &mut Files, new: &[NewFile]) -> Result<Vec<NewFile>, InputError> {
    let mut found = Vec::new();
    let taken: HashSet<FileId> = new.iter().map(|new| new.seen.id).collect();
    let rotated = listed_rotated(&files.input, &files.base)?;
    let names: HashSet<String> =
        rotated.iter().chain(new.iter().map(|new| &new.seen)).map(|seen| seen.partition.name.clone()).collect();
    for seen in rotated {
        let is_known = files.is_known(&seen);
        if is_known || taken.contains(&seen.id) || files.unproven.contains(&seen.id) {
            continue;
        }
        let is_packed = seen.partition.compression != Compression::None;
        let name = seen.unpacked_name();
        // While a file is being compressed, both exist.
        if is_packed && names.contains(name) {
            continue;
        }
        let of = bases(name).find(|base| matches(&files.input, base));
        // A file with a date in its name is compressed without being rotated.
        let of = of.or_else(|| (is_packed && matches(&files.input, name)).then_some(name)).map(str::to_owned);
        let Some(of) = of else { continue };
        // Of a partition that is known, younger files are generations only after a rotation.
        if files.generations.contains_key(of.as_str()) {
            continue;
        }
        // A file that was compressed was created at that time, but its last change is that of its content.
        let is_unseen = |since| seen.born >= Some(since) && (!is_packed || seen.age > Age::at(since));
        match files.since.filter(|_| seen.born.is_some()) {
            Some(since) if is_unseen(since) => found.push(NewFile { seen, of, is_listed: false }),
            Some(_) => {}
            None if is_packed => {}
            None => {
                files.unproven.insert(seen.id);
                files.notes.push(InputNote::Unproven { file: seen.partition.name, partition: of });
            }
        }
    }
    Ok(found)
}
