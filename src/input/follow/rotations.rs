//! Files that have lost the name of their partition, and those that had it after them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::input::error::InputError;
use crate::input::follow::archive::{self, Archive, unpacked_name};
use crate::input::follow::directory::{
    Age, SeenFile, Siblings, bases, is_older_name, listed_rotated, may_be_generation, siblings,
};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::Files;
use crate::input::follow::followed::Followed;
use crate::input::listing::matches;
use crate::input::note::InputNote;
use crate::input::partition::Compression;

/// How long after a file has taken the name of a rotated one to look for generations between the two.
const ROTATION: Duration = Duration::from_secs(10);

/// The directories of partitions, as they were seen in one scan.
pub(super) type Directories = HashMap<Arc<str>, Siblings>;

/// A file that was not known before the scan.
pub(super) struct NewFile {
    pub(super) seen: SeenFile,
    /// The name of its partition.
    pub(super) of: String,
    /// Whether the paths and globs of the input match it.
    pub(super) is_listed: bool,
}

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
pub(super) fn new_unlisted(
    files: &mut Files,
    listed: &[NewFile],
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
        let is_new =
            |seen: &&SeenFile| !files.is_known(seen) && !listed.iter().chain(&new).any(|new| new.seen.id == seen.id);
        let is_younger = |seen: &&SeenFile| {
            seen.age > rotation.age && rotation.born.zip(seen.born).is_none_or(|(older, newer)| newer >= older)
        };
        let mut found: Vec<SeenFile> = plain.iter().filter(is_new).filter(is_younger).cloned().collect();
        found.retain(|seen| may_be_generation(&seen.partition.name, of));
        // While a file is being compressed, both exist.
        let is_whole = |seen: &&SeenFile| {
            let before = unpacked_name(&seen.partition.name);
            archive::may_be_of(&seen.partition.name, of) && !plain.iter().any(|plain| plain.partition.name == before)
        };
        for seen in packed.iter().filter(is_new).filter(is_younger).filter(is_whole) {
            let last = rotation.stream.and_then(|stream| files.slots[stream].file());
            let last = last.and_then(|file| file.unpacked_name(siblings));
            let name = unpacked_name(&seen.partition.name);
            if last.is_some_and(|last| is_older_name(name, last, of)) {
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
        let Some(position) = files.slots[*stream].position().filter(|position| position.offset > 0) else { continue };
        let Some(archive) = Archive::open(seen, position.offset)? else { return Ok(false) };
        let size = position.partition.file_bytes.unwrap_or(0);
        if archive.bytes > size || !archive.begins_with(&position.fingerprint()) {
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
    for seen in listed_rotated(&files.input, &files.base)? {
        let is_known = files.is_known(&seen);
        if is_known || taken.contains(&seen.id) || files.unproven.contains(&seen.id) {
            continue;
        }
        let is_packed = seen.partition.compression != Compression::None;
        let name = if is_packed { unpacked_name(&seen.partition.name) } else { &seen.partition.name };
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
