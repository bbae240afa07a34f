//! The partitions of a job that resumes: those that exist, and those that were read and are gone.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::listing;
use crate::input::note::InputNote;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::position::Position;
use crate::input::prefix_digest::PrefixDigest;
use crate::job::model::{InputSpec, OnGone};

/// The partitions of a job that resumes.
#[derive(Debug)]
pub struct ResumedPartitions {
    /// Sorted by name. A partition that is gone has [`Source::Gone`], so that the order of the blocks stays the same.
    pub partitions: Vec<Partition>,
    /// The positions of files that are gone and were not read to their ends.
    pub lost: Vec<PositionRow>,
    /// The positions of files that seem to have other names now, under which they would be read again.
    pub renamed: Vec<PositionRow>,
}

impl ResumedPartitions {
    /// Lists the partitions of `input`, where `rows` are the newest positions of a checkpoint made at `created`.
    ///
    /// A file that was read to its end may be gone, or compressed: `NAME.gz` and `NAME.zst` that begin with what was
    /// read of `NAME` are that partition. A path or glob that matches nothing is an error, unless it matches the name
    /// of a position.
    pub fn list(
        input: &InputSpec,
        base: &Path,
        rows: &[PositionRow],
        created: SystemTime,
    ) -> Result<ResumedPartitions, InputError> {
        let known: HashSet<&str> = rows.iter().map(|row| row.partition.as_str()).collect();
        let mut partitions = Vec::new();
        for pattern in &input.files {
            match listing::of_pattern(pattern, base)? {
                found
                    if found.is_empty()
                        && !rows.iter().any(|row| listing::matches_pattern(pattern, &row.partition)) =>
                {
                    return Err(InputError::NothingMatches { pattern: pattern.clone() });
                }
                found => partitions.extend(found),
            }
        }
        let partitions = listing::one_per_file(listing::sorted(partitions), base, |name| known.contains(name));
        let partitions = compressed(partitions, rows, &known)?;
        let existing: HashSet<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
        let (new_objects, new): (Vec<&Partition>, Vec<&Partition>) = partitions
            .iter()
            .filter(|partition| !known.contains(partition.name.as_str()))
            .partition(|partition| matches!(partition.source, Source::Object(_)));
        let new_objects: HashSet<_> =
            new_objects.into_iter().map(|new| (new.etag.as_deref(), new.file_bytes)).collect();
        let (mut missing, mut lost, mut renamed) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            // A rotated file of an input that was followed may disappear.
            if existing.contains(row.partition.as_str()) || row.generation_of.is_some() {
                continue;
            }
            let is_copied = row.etag.is_some()
                && row.offset > 0
                && row.file_bytes >= Some(PROVING_BYTES)
                && new_objects.contains(&(row.etag.as_deref(), row.file_bytes));
            if is_copied || new.iter().any(|partition| is_renamed(row, partition, created)) {
                renamed.push(row.clone());
            } else if !was_read(row) {
                lost.push(row.clone());
            }
            missing.push(gone(row));
        }
        let partitions = listing::sorted(partitions.into_iter().chain(missing).collect());
        Ok(ResumedPartitions { partitions, lost, renamed })
    }

    /// Returns the files that must not be gone: those that were renamed, and unless the job allows it, those that were
    /// not read to their ends.
    pub fn missing(&self, input: &InputSpec) -> impl Iterator<Item = &PositionRow> {
        self.renamed.iter().chain(self.lost.iter().filter(|_| input.on_gone == OnGone::Stop))
    }

    /// Returns what people should know of the files that are gone.
    pub fn notes(&self) -> Vec<InputNote> {
        let is_lost = |name: &str| self.lost.iter().any(|row| row.partition == name);
        let gone = self.partitions.iter().filter(|partition| partition.source == Source::Gone);
        let read: Vec<String> =
            gone.filter(|partition| !is_lost(&partition.name)).map(|partition| partition.name.clone()).collect();
        let read = (!read.is_empty()).then_some(InputNote::Gone(read));
        let lost = self.lost.iter().map(|row| InputNote::Lost { partition: row.partition.clone(), offset: row.offset });
        read.into_iter().chain(lost).collect()
    }
}

/// Files that begin with this many equal bytes are the same by more than coincidence, and so are objects of this size
/// with the same ETag.
pub(super) const PROVING_BYTES: u64 = 4096;

/// Returns whether a file was read to its end. A followed file has no end: it was read as far as it was written.
fn was_read(row: &PositionRow) -> bool {
    row.ended || (row.inode.is_some() && row.file_bytes == Some(row.offset))
}

/// Returns whether the new file `partition` is the one of `row`, which is gone. The beginning of a small file proves that
/// only if the new one is as old.
fn is_renamed(row: &PositionRow, partition: &Partition, created: SystemTime) -> bool {
    let Source::File(path) = &partition.source else { return false };
    if row.offset == 0 || row.etag.is_some() {
        return false;
    }
    let born = fs::metadata(path).and_then(|metadata| metadata.created()).ok();
    let may_be_it = row.offset >= PROVING_BYTES || born.is_none_or(|born| born <= created);
    // What cannot be read is reported when it is read.
    may_be_it && PrefixDigest::of(partition, row.offset).is_ok_and(|digest| digest.finish() == row.fingerprint)
}

fn gone(row: &PositionRow) -> Partition {
    Partition {
        name: row.partition.clone(),
        source: Source::Gone,
        compression: Compression::of(Path::new(&row.partition)),
        file_bytes: row.file_bytes,
        etag: row.etag.clone(),
    }
}

/// Gives files that were compressed after they were read the names of their partitions, and leaves out those that are
/// copies of files that still exist.
fn compressed(
    partitions: Vec<Partition>,
    rows: &[PositionRow],
    known: &HashSet<&str>,
) -> Result<Vec<Partition>, InputError> {
    let read: HashMap<&Path, &PositionRow> =
        rows.iter().filter(|row| row.offset > 0).map(|row| (Path::new(&row.partition), row)).collect();
    let existing: HashSet<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
    let mut kept = Vec::new();
    for partition in &partitions {
        let may_be_copy = partition.compression != Compression::None && !known.contains(partition.name.as_str());
        let original = if may_be_copy { original(partition, &read)? } else { None };
        match original {
            None => kept.push(partition.clone()),
            Some(name) if existing.contains(name.as_str()) => {}
            Some(name) => kept.push(Partition { name, ..partition.clone() }),
        }
    }
    Ok(kept)
}

/// Returns the partition that a compressed file was made of, one of those that were `read`, which its content proves.
fn original(partition: &Partition, read: &HashMap<&Path, &PositionRow>) -> Result<Option<String>, InputError> {
    let Some(row) = read.get(Path::new(&partition.name).with_extension("").as_path()) else { return Ok(None) };
    let unpacked = Partition { name: row.partition.clone(), ..partition.clone() };
    match PrefixDigest::of(&unpacked, row.offset) {
        Ok(digest) => Ok((digest.finish() == row.fingerprint).then_some(unpacked.name)),
        Err(InputError::Shrunk { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the position of a file that is gone, which stays as it is.
pub(super) fn kept_position(partition: Arc<Partition>, row: &PositionRow) -> Position {
    Position {
        partition,
        message: None,
        stored: row.stored_fingerprint,
        generation_of: row.generation_of.as_deref().map(Arc::from),
        inode: row.inode,
        offset: row.offset,
        ended: true,
        prefix: PrefixDigest::Finished(row.fingerprint),
        record: row.record,
        event_time: row.event_time,
    }
}
