//! Files that were not known before a scan.

use std::collections::HashSet;

use crate::input::error::InputError;
use crate::input::follow::archive::Archive;
use crate::input::follow::directory::{SeenFile, is_rotated_name};
use crate::input::follow::files::{Files, MAX_OPEN};
use crate::input::follow::tail::Tail;
use crate::input::partition::Compression;

/// A file that was not known before the scan.
pub(super) struct NewFile {
    pub(super) seen: SeenFile,
    /// The name of its partition.
    pub(super) of: String,
    /// Whether the paths and globs of the input match it.
    pub(super) is_listed: bool,
}

/// Returns the new files among those that the input matches.
pub(super) fn new_listed(files: &Files, listed: &[SeenFile]) -> Vec<NewFile> {
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

/// Adds new files, of which the older ones come first. Returns false if some are left to the next scan.
///
/// If one of them was renamed or compressed since it was seen, no file of its partition is added: none may be read
/// before an older one, nor twice.
pub(super) fn add_new(files: &mut Files, new: Vec<NewFile>) -> Result<bool, InputError> {
    let mut open_count = files.open_count();
    let mut ready = Vec::new();
    let mut moved = HashSet::new();
    for file in new {
        // A file may have two names.
        if files.is_known(&file.seen) || ready.iter().any(|(other, _): &(NewFile, _)| other.seen.id == file.seen.id) {
            continue;
        }
        match open_new(files, &file.seen)? {
            Some(mut opened) => {
                if let Opened::Plain(tail) = &mut opened {
                    // Whatever becomes of it, an open file can be read.
                    if open_count < MAX_OPEN { open_count += 1 } else { tail.close() }
                }
                ready.push((file, opened));
            }
            None => drop(moved.insert(file.of)),
        }
    }
    for (NewFile { seen, of, is_listed }, opened) in ready {
        if moved.contains(&of) {
            continue;
        }
        match opened {
            Opened::Plain(tail) => files.add(seen, &of, *tail, (0, None), is_listed)?,
            Opened::Packed(archive) => files.add_archive(*archive, &of, 0, (0, None))?,
        }
    }
    Ok(moved.is_empty())
}

/// A file that is read from its beginning.
enum Opened {
    Plain(Box<Tail>),
    Packed(Box<Archive>),
}

/// Opens a new file. Returns `None` if it was renamed or removed since it was seen.
fn open_new(files: &Files, seen: &SeenFile) -> Result<Option<Opened>, InputError> {
    if seen.partition.compression != Compression::None {
        return Ok(Archive::open(seen, 0)?.map(|archive| Opened::Packed(Box::new(archive))));
    }
    let mut tail = Tail::new(&files.rules, &seen.partition);
    if !tail.open(&seen.partition, &seen.path, seen.id)? {
        return Ok(None);
    }
    tail.set_size(&seen.partition, seen.size)?;
    Ok(Some(Opened::Plain(Box::new(tail))))
}
