//! Files that were replaced by copies of themselves, or that are back.

use crate::input::error::InputError;
use crate::input::follow::content::Content;
use crate::input::follow::directory::{SeenFile, may_be_generation};
use crate::input::follow::file_id::open_if;
use crate::input::follow::files::{Files, Slot};
use crate::input::follow::proof::{Proof, prove};
use crate::input::follow::tail::Tail;
use crate::input::note::InputNote;
use crate::job::model::OnGone;

/// What became of a new file that has the name of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It begins with what was read of the partition's last file, and is read from there.
    Continued,
    /// It is another file.
    New,
    /// It was renamed or removed. The next scan will see what became of it.
    Moved,
}

/// Continues the partition that `seen` has the name of, if its last file is gone and begins with the same bytes.
pub(super) fn resume_in(files: &mut Files, seen: &SeenFile) -> Result<Outcome, InputError> {
    let name = seen.partition.name.as_str();
    let Some(&stream) = files.generations.get(name).and_then(|streams| streams.last()) else { return Ok(Outcome::New) };
    let (offset, fingerprint) = match &files.slots[stream] {
        // A rotated file still exists, and a new one may begin like it.
        Slot::File(file) if file.is_current() => return Ok(Outcome::New),
        // Nor can it be a copy of one that was compressed.
        Slot::File(file) if file.archive.is_some() => return Ok(Outcome::New),
        Slot::File(file) if !file.is_gone && may_be_generation(&file.partition.name, name) => return Ok(Outcome::New),
        Slot::File(file) => (file.tail.offset(), file.tail.prefix().clone().finish()),
        Slot::Gone(position) => (position.offset, position.fingerprint()),
        Slot::Over => return Ok(Outcome::New),
    };
    let copy = match prove(seen, offset, &fingerprint)? {
        Proof::Moved => return Ok(Outcome::Moved),
        Proof::Other => None,
        Proof::Same(Some(opened)) => Some(opened),
        Proof::Same(None) => None,
    };
    let begins_alike = match (&files.slots[stream], &copy) {
        (Slot::File(file), Some((copy, _))) => file.tail.rest_is_in(&file.partition, copy)?,
        (_, copy) => copy.is_some(),
    };
    match copy {
        Some((file, prefix)) if begins_alike => {
            let mut tail = Tail::resume(&files.rules, &seen.partition, file, offset, prefix)?;
            tail.set_size(&seen.partition, seen.size)?;
            files.replace(stream, seen.clone(), tail);
            Ok(Outcome::Continued)
        }
        _ if offset == 0 => resume_unread(files, seen, stream),
        _ => read_other(files, name, stream),
    }
}

/// Lets another file that has the name of a partition be read from its beginning.
///
/// If the partition's last file has just gone, further ones may have come and gone since, and their lines with them.
fn read_other(files: &mut Files, name: &str, stream: usize) -> Result<Outcome, InputError> {
    match &files.slots[stream] {
        Slot::File(file) if !file.is_gone => return Ok(Outcome::New),
        Slot::File(file) if files.input.on_gone == OnGone::Stop => {
            return Err(InputError::RotatedAway { partition: name.to_owned(), offset: file.tail.offset() });
        }
        Slot::File(_) | Slot::Gone(_) | Slot::Over => {}
    }
    files.notes.push(InputNote::Replaced { partition: name.to_owned() });
    Ok(Outcome::New)
}

/// Does the same for a file of which only the beginning of a line has arrived, if the new one begins with that, too.
fn resume_unread(files: &mut Files, seen: &SeenFile, stream: usize) -> Result<Outcome, InputError> {
    let Slot::File(file) = &files.slots[stream] else { return Ok(Outcome::New) };
    let Some(copy) = open_if(&seen.partition, &seen.path, seen.id)? else { return Ok(Outcome::Moved) };
    if file.tail.size() == 0 {
        return Ok(Outcome::New);
    }
    if !file.tail.rest_is_in(&file.partition, &Content::Plain(copy))? {
        return read_other(files, &seen.partition.name, stream);
    }
    let mut tail = Tail::new(&files.rules, &seen.partition);
    tail.set_size(&seen.partition, seen.size)?;
    files.replace(stream, seen.clone(), tail);
    Ok(Outcome::Continued)
}
