//! Finding the files of the positions again, and making them the first streams.

use std::sync::Arc;

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::follow::directory::SeenFile;
use crate::input::follow::files::{Files, Rotation, Slot};
use crate::input::follow::followed::gone_prefix;
use crate::input::follow::search::{Found, Notes, Search, Where, is_gone_name};
use crate::input::follow::tail::Tail;
use crate::input::lane::Lane;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::position::Position;
use crate::input::resumed::kept_position;
use crate::job::model::InputFormat;

/// Finds the files of `start` and makes them the first streams, the oldest generations first.
pub(super) fn resume(files: &mut Files, start: &[PositionRow]) -> Result<(), InputError> {
    let mut search = Search::new(files)?;
    let mut existing = Vec::new();
    // No file is taken for another one as long as its own position may be searched. What proves most goes first.
    let mut rows: Vec<&PositionRow> = start.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.offset));
    for place in Where::ALL {
        for row in std::mem::take(&mut rows) {
            match search.find(row, place)? {
                Some(found) => existing.push((found, row)),
                None => rows.push(row),
            }
        }
    }
    let mut notes = Notes::default();
    let mut gone = Vec::new();
    let mut rotated = Vec::new();
    for row in rows {
        if row.partition == row.logical() {
            rotated.push(row);
        }
        if !search.is_replaced_unread(row) {
            search.let_go(row, &mut notes)?;
            gone.push(row);
        }
    }
    // What was read is kept as long as its partition has no file: a compressed file may be a copy of it.
    gone.retain(|row| {
        let mut same = existing.iter().filter(|(_, other)| other.logical() == row.logical()).peekable();
        same.peek().is_none() || (row.ended && same.all(|(found, _)| found.name() != row.logical()))
    });
    // Of the generations of a partition, the one that had its name was the last.
    gone.sort_by_key(|row| row.partition == row.logical());
    existing.sort_by_key(|(found, row)| search.age(found, row));
    files.notes.extend(notes.finish());
    for (found, row) in existing {
        add(files, found, row)?;
    }
    for row in gone {
        keep(files, row);
    }
    // What had the name of a partition is gone, and the files that came after it may be, too.
    for of in rotated.into_iter().map(PositionRow::logical) {
        if let (false, Some(since)) = (files.rotations.contains_key(of), files.since) {
            files.rotations.insert(of.into(), Rotation::unknown(since));
        }
    }
    Ok(())
}

/// Adds the file of `row` as the newest generation of its partition.
fn add(files: &mut Files, found: Found, row: &PositionRow) -> Result<(), InputError> {
    let (of, before) = (row.logical(), (row.record, row.event_time));
    let (age, born, is_current) = match &found {
        Found::File(seen, _) => (seen.age, seen.born, seen.partition.name == of),
        // It was created when it was compressed.
        Found::Archive(archive) => (archive.seen.age, None, false),
    };
    let stream = files.slots.len();
    match found {
        Found::Archive(archive) => files.add_archive(*archive, of, row.offset, before)?,
        Found::File(seen, opened) => {
            check_quotes(files, &seen, row)?;
            let mut tail = match opened {
                None => {
                    let mut tail = Tail::new(&files.rules, &seen.partition);
                    // If it was renamed, the first scan will find it.
                    tail.open(&seen.partition, &seen.path, seen.id)?;
                    tail
                }
                Some((file, prefix)) => Tail::resume(&files.rules, &seen.partition, file, row.offset, prefix)?,
            };
            tail.set_size(&seen.partition, seen.size)?;
            // The first scan finds out whether the input still matches it.
            files.add(*seen, of, tail, before, false)?;
        }
    }
    // Unless the newest known generation still has the name, others may have come and gone between the runs.
    if is_current {
        files.rotations.remove(of);
    } else {
        files.rotations.insert(of.into(), Rotation { stream: Some(stream), age, born, until: None });
    }
    Ok(())
}

/// Fails if a run that did not follow has counted the last record of a CSV file, although it was not whole.
fn check_quotes(files: &Files, seen: &SeenFile, row: &PositionRow) -> Result<(), InputError> {
    let is_csv = matches!(files.rules.format, InputFormat::Csv { .. });
    if is_csv && row.ended && seen.size > row.offset && Lane::ends_in_quotes(&seen.partition, &files.rules, row.offset)?
    {
        return Err(InputError::Unquoted { partition: row.partition.clone(), offset: row.offset });
    }
    Ok(())
}

/// Keeps the position of a file that is gone. It is known again if it comes back; and in a job without a key, the position
/// says which task the partition has.
fn keep(files: &mut Files, row: &PositionRow) {
    let of = row.logical();
    let inode = row.inode.unwrap_or(0);
    let name = if is_gone_name(row) { row.partition.clone() } else { format!("{})", gone_prefix(of, inode)) };
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
