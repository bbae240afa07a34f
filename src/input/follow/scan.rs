//! Scans of the directories: which files exist, which were renamed, which are new.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::input::error::InputError;
use crate::input::follow::archive::{self, Archive, Sought};
use crate::input::follow::directory::{SeenFile, listed, siblings, unpacked_name};
use crate::input::follow::file_id::FileId;
use crate::input::follow::files::{Files, MAX_SEARCHES, QUIET, Rotation, SEARCH_PAUSE, Slot};
use crate::input::follow::new_files::{NewFile, add_new, new_listed};
use crate::input::follow::proof::Proof;
use crate::input::follow::replaced::{Outcome, resume_in};
use crate::input::follow::rotations::{Directories, new_unlisted, rotated_unseen, update_rotations};
use crate::input::note::InputNote;
use crate::job::model::OnGone;

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
    for _ in 0..MAX_SEARCHES {
        if try_find_files(files, now)? {
            break;
        }
        std::thread::sleep(SEARCH_PAUSE);
    }
    Ok(())
}

/// Does so, and returns whether no new file was renamed meanwhile.
fn try_find_files(files: &mut Files, now: Instant) -> Result<bool, InputError> {
    let listed = listed(&files.input, &files.base)?;
    let known: HashMap<FileId, &SeenFile> = listed.iter().map(|seen| (seen.id, seen)).collect();
    let mut lost = Vec::new();
    for stream in 0..files.slots.len() {
        let Slot::File(file) = &mut files.slots[stream] else { continue };
        let was_current = file.is_current();
        match known.get(&file.id).map(|seen| Ok::<_, InputError>((seen, file.check_identity(seen)?))).transpose()? {
            Some((seen, Proof::Same(_))) => {
                files.moved.extend(file.update(seen, true, now)?.then_some(stream));
                if was_current {
                    note_rotation(files, stream);
                }
            }
            // The next scan will find it.
            Some((_, Proof::Moved)) => {}
            Some((_, Proof::Other)) | None => lost.push(stream),
        }
    }
    let mut directories = Directories::new();
    for &stream in &lost {
        find_lost(files, stream, &mut directories, now)?;
    }
    let mut new = new_listed(files, &listed);
    continue_replaced(files, &mut new)?;
    update_rotations(files, now);
    let unlisted = new_unlisted(files, &mut new, &mut directories)?;
    new.extend(unlisted);
    new.extend(rotated_unseen(files, &new)?);
    new.sort_by(|a, b| a.seen.age.cmp(&b.seen.age).then_with(|| a.seen.partition.name.cmp(&b.seen.partition.name)));
    let is_complete = add_new(files, new)?;
    separate_names(files);
    Ok(is_complete)
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

/// Searches the directory of a file that the input does not match any more.
fn find_lost(files: &mut Files, stream: usize, directories: &mut Directories, now: Instant) -> Result<(), InputError> {
    for _ in 0..MAX_SEARCHES {
        if try_find_lost(files, stream, directories, now)? {
            break;
        }
        std::thread::sleep(SEARCH_PAUSE);
        directories.clear();
    }
    Ok(())
}

/// Does so, and returns whether nothing was renamed meanwhile.
fn try_find_lost(
    files: &mut Files,
    stream: usize,
    directories: &mut Directories,
    now: Instant,
) -> Result<bool, InputError> {
    let Slot::File(file) = &files.slots[stream] else { return Ok(true) };
    let of = Arc::clone(&file.of);
    if !directories.contains_key(&of) {
        directories.insert(Arc::clone(&of), siblings(&of, &files.base)?);
    }
    let was_current = file.is_current();
    let mut is_reused = false;
    let found = match directories[&of].plain.iter().find(|seen| seen.id == file.id) {
        Some(seen) => match file.check_identity(seen)? {
            Proof::Same(_) => Some(seen),
            Proof::Moved => return Ok(false),
            Proof::Other => {
                is_reused = true;
                None
            }
        },
        None => None,
    };
    let was_gone = file.is_gone;
    // An open file still has all that the compressed one has, but that one must not be taken for a new file.
    let archive = match found {
        None if !was_gone => archive_of(files, stream, &directories[&of].packed)?,
        _ => Sought::Nothing,
    };
    let Slot::File(file) = &mut files.slots[stream] else { return Ok(true) };
    match found {
        Some(seen) => files.moved.extend(file.update(seen, false, now)?.then_some(stream)),
        None if was_gone => {}
        None => {
            if let Sought::Found(archive) = archive {
                files.finished.insert((archive.seen.id, archive.seen.born));
                file.continue_in(*archive);
            } else if let Sought::Moved = archive {
                return Ok(false);
            } else if !file.tail.is_open() && !file.tail.is_read() {
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
    if is_reused && files.by_id.get(&file.id) == Some(&stream) {
        files.by_id.remove(&file.id);
    }
    if was_current {
        note_rotation(files, stream);
    }
    Ok(true)
}

/// Notes that a file was rotated which was the current one of its partition, unless it still is.
fn note_rotation(files: &mut Files, stream: usize) {
    let Some(file) = files.slots[stream].file().filter(|file| !file.is_current()) else { return };
    // If a rotation follows another one, files that came between them are still searched for.
    let rotation = Rotation { stream: Some(stream), age: file.age, born: file.born, until: None };
    files.rotations.entry(Arc::clone(&file.of)).and_modify(|known| known.until = None).or_insert(rotation);
}

/// Finds the compressed file that was made of a file that is gone.
fn archive_of(files: &Files, stream: usize, packed: &[SeenFile]) -> Result<Sought<Box<Archive>>, InputError> {
    let Slot::File(file) = &files.slots[stream] else { return Ok(Sought::Nothing) };
    let (offset, size) = (file.tail.offset(), file.tail.size());
    if size == 0 {
        return Ok(Sought::Nothing);
    }
    let may_be_it = |seen: &&SeenFile| {
        let name = seen.partition.name.as_str();
        let is_named_alike = archive::may_be_of(name, &file.of) || unpacked_name(name) == file.partition.name;
        is_named_alike && !seen.age.is_before(&file.age) && !files.is_known(seen)
    };
    let mut candidates: Vec<&SeenFile> = packed.iter().filter(may_be_it).collect();
    // Files that were written later may begin alike.
    candidates.sort_by_key(|seen| seen.age);
    archive::first(candidates.into_iter(), offset, &file.tail.prefix().clone().finish(), |archive| {
        if file.tail.is_open() {
            let end = size.min(archive.bytes);
            return Ok(end > 0 && file.tail.agrees_with(&file.partition, &archive.content, end)?);
        }
        // Nothing of its content is known if nothing was read of it.
        Ok(offset > 0 || (archive.bytes == size && archive.seen.age.is_same_time(&file.age)))
    })
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
    forget_gone(files);
}

/// Forgets the files that are gone, except for the newest one of each partition: after a restart, its position says that the
/// compressed file that was made of it was read.
fn forget_gone(files: &mut Files) {
    for generations in files.generations.values_mut() {
        let newest = generations.last().copied();
        generations.retain(|stream| {
            let stays = Some(*stream) == newest || !matches!(files.slots[*stream], Slot::Gone(_));
            if !stays {
                files.slots[*stream] = Slot::Over;
                files.released.extend(u32::try_from(*stream));
                files.moved.push(*stream);
            }
            stays
        });
    }
}

/// Closes a file that was read. Its position stays until `forget_gone`.
fn give_up(files: &mut Files, stream: usize) {
    let Slot::File(file) = &files.slots[stream] else { return };
    if !file.is_released {
        files.released.extend(u32::try_from(stream));
    }
    if files.by_id.get(&file.id) == Some(&stream) {
        files.by_id.remove(&file.id);
    }
    files.slots[stream] = Slot::Gone(Box::new(file.position()));
    files.moved.push(stream);
}
