//! Scans of the directories: which files exist, which were renamed, which are new.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::input::error::InputError;
use crate::input::follow::directory::{
    SeenFile, bases, is_rotated_name, listed, listed_rotated, may_be_generation, siblings,
};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::{Files, QUIET, Rotation, Slot};
use crate::input::follow::followed::Followed;
use crate::input::follow::proof::Proof;
use crate::input::follow::replaced::{Outcome, resume_in};
use crate::input::follow::tail::Tail;
use crate::input::listing::matches;
use crate::input::note::InputNote;
use crate::job::model::OnGone;

/// How long after a file has taken the name of a rotated one to look for generations between the two.
const ROTATION: Duration = Duration::from_secs(10);
/// How many rotated files of a partition keep a position after they were read, if no glob matches them.
const MAX_ROTATED: usize = 16;

/// Scans the directories, and gives up files that are finished.
pub(super) fn scan(files: &mut Files) -> Result<(), InputError> {
    let now = Instant::now();
    find_files(files, now)?;
    finish_rotated(files, now);
    Ok(())
}

/// Scans the directories for new and renamed files.
pub(super) fn find_files(files: &mut Files, now: Instant) -> Result<(), InputError> {
    let listed = listed(&files.input, &files.base)?;
    let known: HashMap<FileId, &SeenFile> = listed.iter().map(|seen| (seen.id, seen)).collect();
    let mut lost = Vec::new();
    for stream in 0..files.slots.len() {
        let Slot::File(file) = &mut files.slots[stream] else { continue };
        match known.get(&file.id).map(|seen| Ok((seen, file.check_identity(seen)?))).transpose()? {
            Some((seen, Proof::Same(_))) => files.moved.extend(file.update(seen, true, now)?.then_some(stream)),
            // The next scan will find it.
            Some((_, Proof::Moved)) => {}
            Some((_, Proof::Other)) | None => lost.push(stream),
        }
    }
    let mut directories: HashMap<Arc<str>, Vec<SeenFile>> = HashMap::new();
    for &stream in &lost {
        find_lost(files, stream, &mut directories, now)?;
    }
    let mut new = new_listed(files, &listed);
    continue_replaced(files, &mut new)?;
    update_rotations(files, now);
    new.extend(new_unlisted(files, &new, &mut directories)?);
    new.extend(rotated_unseen(files, &new)?);
    new.sort_by(|a, b| a.seen.age.cmp(&b.seen.age).then_with(|| a.seen.partition.name.cmp(&b.seen.partition.name)));
    for NewFile { seen, of, is_listed } in new {
        // A file may have two names.
        if files.by_id.contains_key(&seen.id) {
            continue;
        }
        let mut tail = Tail::new(&files.rules, &seen.partition);
        tail.set_size(&seen.partition, seen.size)?;
        files.add(seen, &of, tail, (0, None), is_listed)?;
    }
    separate_names(files);
    Ok(())
}

/// A file that was not known before the scan.
struct NewFile {
    seen: SeenFile,
    /// The name of its partition.
    of: String,
    /// Whether the paths and globs of the input match it.
    is_listed: bool,
}

/// Returns the new files among those that the input matches.
fn new_listed(files: &Files, listed: &[SeenFile]) -> Vec<NewFile> {
    let names = listed.iter().map(|seen| seen.partition.name.as_str());
    let bases: Vec<&str> = files.generations.keys().map(|of| &**of).chain(names).collect();
    let is_new = |seen: &&SeenFile| !files.is_known(seen);
    let new = listed.iter().filter(is_new).map(|seen| {
        let name = seen.partition.name.as_str();
        let of = bases.iter().filter(|base| is_rotated_name(name, base)).min_by_key(|base| base.len());
        NewFile { seen: seen.clone(), of: of.map_or(name, |of| of).to_owned(), is_listed: true }
    });
    new.collect()
}

/// Returns the files that may have come between two generations, and that the input does not match.
fn new_unlisted(
    files: &Files,
    listed: &[NewFile],
    directories: &mut HashMap<Arc<str>, Vec<SeenFile>>,
) -> Result<Vec<NewFile>, InputError> {
    let mut new: Vec<NewFile> = Vec::new();
    for (of, Rotation { age, born, .. }) in &files.rotations {
        if !directories.contains_key(of) {
            directories.insert(Arc::clone(of), siblings(of, &files.base)?);
        }
        for seen in &directories[of] {
            let is_known = files.is_known(seen) || listed.iter().chain(&new).any(|new| new.seen.id == seen.id);
            let is_younger = seen.age > *age && born.zip(seen.born).is_none_or(|(older, newer)| newer >= older);
            if !is_known && is_younger && may_be_generation(&seen.partition.name, of) {
                new.push(NewFile { seen: seen.clone(), of: of.to_string(), is_listed: false });
            }
        }
    }
    Ok(new)
}

/// Continues the partitions whose files were replaced by copies, and takes those copies out of `new`.
fn continue_replaced(files: &mut Files, new: &mut Vec<NewFile>) -> Result<(), InputError> {
    let mut outcomes = Vec::new();
    for NewFile { seen, of, .. } in &*new {
        let is_named_alike = seen.partition.name == *of;
        outcomes.push(if is_named_alike { resume_in(files, seen)? } else { Outcome::New });
    }
    let mut outcomes = outcomes.into_iter();
    new.retain(|_| outcomes.next() == Some(Outcome::New));
    Ok(())
}

/// Returns the rotated files of partitions of which no file is known: they appeared and were rotated since the input
/// was last looked at, and the input does not match them.
fn rotated_unseen(files: &mut Files, new: &[NewFile]) -> Result<Vec<NewFile>, InputError> {
    let mut found = Vec::new();
    let taken: HashSet<FileId> = new.iter().map(|new| new.seen.id).collect();
    for seen in listed_rotated(&files.input, &files.base)? {
        let is_known = files.is_known(&seen);
        if is_known || taken.contains(&seen.id) || files.unproven.contains(&seen.id) {
            continue;
        }
        let of = bases(&seen.partition.name).find(|base| matches(&files.input, base)).map(str::to_owned);
        let Some(of) = of else { continue };
        // Of a partition that is known, younger files are generations only after a rotation.
        if files.generations.contains_key(of.as_str()) {
            continue;
        }
        match seen.born.zip(files.since) {
            Some((born, since)) if born >= since => found.push(NewFile { seen, of, is_listed: false }),
            Some(_) => {}
            None => {
                files.unproven.insert(seen.id);
                files.notes.push(InputNote::Unproven { file: seen.partition.name, partition: of });
            }
        }
    }
    Ok(found)
}

/// Forgets old rotations, and updates the ages of the others.
fn update_rotations(files: &mut Files, now: Instant) {
    let (slots, generations) = (&files.slots, &files.generations);
    let has_current = |of: &Arc<str>| {
        let mut of_partition = generations.get(of).into_iter().flatten().filter_map(|stream| slots[*stream].file());
        of_partition.any(Followed::is_current)
    };
    files.rotations.retain(|of, rotation| {
        if let Some(file) = slots[rotation.stream].file() {
            rotation.age = file.age;
        }
        if rotation.until.is_none() && has_current(of) {
            rotation.until = Some(now + ROTATION);
        }
        rotation.until.is_none_or(|until| until > now)
    });
}

/// Searches the directory of a file that the input does not match any more.
fn find_lost(
    files: &mut Files,
    stream: usize,
    directories: &mut HashMap<Arc<str>, Vec<SeenFile>>,
    now: Instant,
) -> Result<(), InputError> {
    let Slot::File(file) = &mut files.slots[stream] else { return Ok(()) };
    let of = Arc::clone(&file.of);
    if !directories.contains_key(&of) {
        directories.insert(Arc::clone(&of), siblings(&of, &files.base)?);
    }
    let was_current = file.is_current();
    let found = match directories[&of].iter().find(|seen| seen.id == file.id) {
        Some(seen) => match file.check_identity(seen)? {
            Proof::Same(_) => Some(seen),
            Proof::Moved => return Ok(()),
            Proof::Other => None,
        },
        None => None,
    };
    match found {
        Some(seen) => files.moved.extend(file.update(seen, false, now)?.then_some(stream)),
        None if file.is_gone => {}
        None => {
            if !file.tail.is_open() && !file.tail.is_read() {
                let (partition, offset) = (file.partition.name.clone(), file.tail.offset());
                if files.input.on_gone == OnGone::Stop {
                    return Err(InputError::Gone { partition, offset });
                }
                file.tail.give_up_rest();
                files.notes.push(InputNote::Lost { partition, offset });
            }
            file.is_gone = true;
            file.is_listed = false;
            files.moved.push(stream);
        }
    }
    if was_current && !file.is_current() {
        // If a rotation follows another one, files that came between them are still searched for.
        let rotation = Rotation { stream, age: file.age, born: file.born, until: None };
        files.rotations.entry(of).and_modify(|known| known.until = None).or_insert(rotation);
    }
    Ok(())
}

/// Makes sure that no two files have the same name: the file that was seen later has it.
fn separate_names(files: &mut Files) {
    let mut owners: HashMap<String, (Instant, usize)> = HashMap::new();
    let mut displaced = Vec::new();
    for (stream, slot) in files.slots.iter().enumerate() {
        let Some(file) = slot.file().filter(|file| !file.is_gone && !file.is_displaced) else { continue };
        let owner = (file.seen_at, stream);
        match owners.get_mut(&file.partition.name) {
            None => drop(owners.insert(file.partition.name.clone(), owner)),
            Some(other) => {
                displaced.push(owner.min(*other).1);
                *other = owner.max(*other);
            }
        }
    }
    for stream in displaced {
        if let Slot::File(file) = &mut files.slots[stream] {
            file.is_displaced = true;
            files.moved.push(stream);
        }
    }
}

/// Gives up files that were read and are gone, and lets the last lines of files that will not grow be taken.
fn finish_rotated(files: &mut Files, now: Instant) {
    for stream in 0..files.slots.len() {
        let Slot::File(file) = &mut files.slots[stream] else { continue };
        let is_quiet = now.duration_since(file.grown_at) >= QUIET;
        if file.is_current() || !is_quiet {
            continue;
        }
        if !file.tail.is_read() {
            if !file.is_complete {
                file.is_complete = true;
                file.tail.retry();
            }
        } else if file.is_gone {
            give_up(files, stream);
        }
    }
    let crowded: Vec<Vec<usize>> = files.generations.values().filter(|all| all.len() > MAX_ROTATED).cloned().collect();
    for generations in crowded {
        let is_done = |stream: &usize| {
            let file = files.slots[*stream].file();
            file.is_some_and(|file| !file.is_current() && !file.is_listed && file.tail.is_read())
        };
        let done: Vec<usize> = generations.into_iter().filter(is_done).collect();
        for stream in &done[..done.len().saturating_sub(MAX_ROTATED)] {
            files.finished.extend(files.slots[*stream].file().map(|file| (file.id, file.born)));
            give_up(files, *stream);
        }
    }
}

/// Forgets a file that was read. The position of the last file of a partition stays.
fn give_up(files: &mut Files, stream: usize) {
    let Slot::File(file) = &files.slots[stream] else { return };
    if !file.is_released {
        files.released.extend(u32::try_from(stream));
    }
    files.by_id.remove(&file.id);
    let generations = files.generations.entry(Arc::clone(&file.of)).or_default();
    let is_last = generations.len() == 1;
    files.slots[stream] = if is_last {
        Slot::Gone(Box::new(file.position()))
    } else {
        generations.retain(|other| *other != stream);
        Slot::Over
    };
    files.moved.push(stream);
}
