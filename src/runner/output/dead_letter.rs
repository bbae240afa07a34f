//! The dead-letter file: every bad record exactly once, despite crashes.
//!
//! A checkpoint names how many bytes of the file belong to it. Lines are appended and flushed before the commit. On
//! resume, the file is truncated to what the checkpoint names. After a roll back, that would lose lines that later
//! checkpoints name. These are kept in a file beside it, and come back when the job is rolled forward to one of those
//! checkpoints.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::format::manifest::{DeadLetter, Manifest};
use crate::runner::output::error::OutputError;
use crate::runner::rejected::Rejected;
use crate::storage::durable::{create_replacing, flush_name, make_directory};
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;

/// An open dead-letter file.
#[derive(Debug)]
pub struct DeadLetterFile {
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Whether the file may have more than `bytes` bytes, after a failed write.
    torn: bool,
}

/// A roll back that the current run is the first to resume from.
#[derive(Debug)]
pub struct RollBack {
    /// The checkpoint that was rolled back to.
    to: Sequence,
    /// The last checkpoint that a run made before the roll back.
    from: Manifest,
}

impl RollBack {
    /// Finds the roll back that made checkpoint `last`. Returns `None` if `last` is not one, or if the checkpoints
    /// before it are unknown. Fails if the system refuses to read one of them.
    pub fn find(store: &Store, last: &Manifest) -> Result<Option<RollBack>, StoreError> {
        let read = |sequence| match store.manifest(sequence) {
            Ok(committed) => Ok(Some(committed.manifest)),
            Err(error) if error.is_inconclusive() => Err(error),
            Err(_) => Ok(None),
        };
        let Some(mut to) = last.restored_from else { return Ok(None) };
        // A roll back to a roll back.
        while let Some(older) = read(to)?.and_then(|manifest| manifest.restored_from).filter(|older| *older < to) {
            to = older;
        }
        let mut from = last.clone();
        while from.restored_from.is_some() {
            let parent = from.parent.map(|parent| parent.sequence).filter(|parent| *parent < from.sequence);
            let Some(parent) = parent.map(read).transpose()?.flatten() else { return Ok(None) };
            from = parent;
        }
        Ok(Some(RollBack { to, from }))
    }

    /// Gives the file at `path`, named `name` in the job file, the content that `committed` names.
    ///
    /// The lines that the checkpoint before the roll back names are kept as `FILE.withdrawn-NUMBER`. Lines that are
    /// missing come from such a file of an earlier roll back.
    ///
    /// `part` returns what a manifest says about this file. Returns the checkpoint whose lines were kept by this call,
    /// and the path of the kept file. If a crash interrupts this, doing it again finishes it.
    pub fn apply(
        &self,
        name: &str,
        path: &Path,
        committed: Option<&DeadLetter>,
        part: impl Fn(&Manifest) -> Option<&DeadLetter>,
    ) -> Result<Option<(Sequence, PathBuf)>, OutputError> {
        let error = |source| OutputError::DeadLetter { path: path.display().to_string(), source };
        let bytes_of =
            |named: Option<&DeadLetter>| named.filter(|named| named.path == name).map_or(0, |named| named.bytes);
        let (bytes, before) = (bytes_of(committed), bytes_of(part(&self.from)));
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // Checkpoints are numbered in the order in which they were made. So those that follow the wanted one continue
        // its lines, up to the first roll back to before it, which has kept the lines of the last of them.
        let earlier = (self.to.0..self.from.sequence.0).map(|number| superseded_path(path, Sequence(number)));
        let earlier = earlier.into_iter().find(|kept| length(kept) >= bytes.max(1));
        let kept = superseded_path(path, self.from.sequence);
        let mut superseded = None;
        if (before > bytes || earlier.is_some()) && before > 0 && length(&kept) < before && length(path) >= before {
            copy_beginning(path, before, &kept, path).map_err(error)?;
            superseded = Some((self.from.sequence, kept.clone()));
        }
        // Otherwise the lines of the checkpoint before the roll back begin with those of the wanted one.
        let source = earlier.or_else(|| (length(&kept) >= bytes).then_some(kept));
        if let Some(source) = source.filter(|_| bytes > 0) {
            copy_beginning(&source, bytes, path, path).map_err(error)?;
        }
        Ok(superseded)
    }
}

fn superseded_path(path: &Path, sequence: Sequence) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{name}.withdrawn-{sequence}"))
}

/// Returns the path at which copies of the file at `path`, and those that take its place, are made. Opening the file removes
/// what a killed run has left there.
fn copy_path(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.ckpt-copy"))
}

/// Replaces `to` by the first `bytes` bytes of `from`, atomically and durably. Both belong to the file at `path`.
fn copy_beginning(from: &Path, bytes: u64, to: &Path, path: &Path) -> io::Result<()> {
    let copy = copy_path(path);
    let mut file = create_replacing(&copy)?;
    if io::copy(&mut File::open(from)?.take(bytes), &mut file)? < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.sync_all()?;
    std::fs::rename(&copy, to)?;
    flush_name(to)
}

#[derive(Serialize)]
struct Line<'a> {
    partition: &'a str,
    offset: u64,
    record: u64,
    reason: &'a str,
    data: &'a str,
}

impl DeadLetterFile {
    /// Checks whether [`DeadLetterFile::open`] would accept the file at `path`, without writing.
    ///
    /// Fails if the file is shorter than what `committed` names, because lines that a checkpoint counts are missing. Also
    /// fails if it would be emptied and is not a dead-letter file: by mistake, the job file may name the input itself.
    pub fn check(name: &str, path: &Path, committed: Option<&DeadLetter>) -> Result<(), OutputError> {
        let shown = || path.display().to_string();
        let bytes = committed_bytes(name, committed);
        let found = match std::fs::metadata(path) {
            // Opening a pipe would wait for its reader.
            Ok(found) if !found.is_file() => return Err(OutputError::DeadLetterTaken { path: shown() }),
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(OutputError::DeadLetter { path: shown(), source }),
        };
        if found < bytes {
            return Err(OutputError::DeadLetterShort { path: shown(), expected: bytes, found });
        }
        if bytes == 0 && found > 0 && !is_ours(path)? {
            return Err(OutputError::DeadLetterTaken { path: shown() });
        }
        Ok(())
    }

    /// Returns whether the file at `path` has lines of bad records, perhaps of an earlier run. One that cannot be read does
    /// not count.
    pub fn has_lines(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0) && is_ours(path).unwrap_or(false)
    }

    /// Opens the file at `path`, named `name` in the job file, and truncates it to what `committed` names, or to
    /// nothing without a checkpoint.
    ///
    /// Fails as [`DeadLetterFile::check`] does.
    pub fn open(name: &str, path: &Path, committed: Option<&DeadLetter>) -> Result<DeadLetterFile, OutputError> {
        let error = |source| OutputError::DeadLetter { path: path.display().to_string(), source };
        if let Some(parent) = path.parent() {
            make_directory(parent).map_err(error)?;
        }
        // A copy that a killed run has left.
        let _ = std::fs::remove_file(copy_path(path));
        DeadLetterFile::check(name, path, committed)?;
        let bytes = committed_bytes(name, committed);
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(error)?;
        // The name must be durable before a checkpoint relies on it.
        flush_name(path).map_err(error)?;
        file.set_len(bytes).map_err(error)?;
        file.seek(SeekFrom::Start(bytes)).map_err(error)?;
        Ok(DeadLetterFile { name: name.to_owned(), path: path.to_owned(), file, bytes, torn: false })
    }

    /// Returns the name of the file in the job file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many bytes of the file count.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends `lines`, flushes them, and returns the size of the file in bytes. After an error, none of the lines
    /// counts, and they can be appended again.
    pub fn append(&mut self, lines: &[u8]) -> Result<u64, OutputError> {
        if !lines.is_empty() {
            let written = self.write(lines);
            self.torn = written.is_err();
            written.map_err(|source| OutputError::DeadLetter { path: self.path.display().to_string(), source })?;
            self.bytes += lines.len() as u64;
        }
        Ok(self.bytes)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
        }
        self.file.write_all(lines)?;
        self.file.sync_data()
    }
}

/// The beginning of every line.
const BEGINNING: &[u8] = b"{\"partition\":\"";

/// Returns whether the file at `path` is empty or begins like a dead-letter file, possibly with a torn line.
fn is_ours(path: &Path) -> Result<bool, OutputError> {
    let mut beginning = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BEGINNING.len() as u64).read_to_end(&mut beginning))
        .map_err(|source| OutputError::DeadLetter { path: path.display().to_string(), source })?;
    Ok(BEGINNING.starts_with(&beginning))
}

/// Returns how many bytes of the file `name` belong to a checkpoint.
fn committed_bytes(name: &str, committed: Option<&DeadLetter>) -> u64 {
    committed.filter(|committed| committed.path == name).map_or(0, |committed| committed.bytes)
}

/// Appends the line of a bad record: JSON with its partition, offset, number, reason and data.
///
/// `first_record` is the number of the first record of its block. Bytes that are not UTF-8 are replaced.
pub fn append_line(lines: &mut Vec<u8>, partition: &str, first_record: u64, rejected: &Rejected) {
    let line = Line {
        partition,
        offset: rejected.offset,
        record: first_record + rejected.index,
        reason: &rejected.reason,
        data: &String::from_utf8_lossy(&rejected.bytes),
    };
    serde_json::to_writer(&mut *lines, &line).expect("writing JSON to memory does not fail");
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_written_through_a_link_that_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to, outside] = ["from", "to", "outside"].map(|name| dir.path().join(name));
        std::fs::write(&from, "one\ntwo\n").unwrap();
        std::fs::write(&outside, "theirs").unwrap();
        std::os::unix::fs::symlink(&outside, copy_path(&to)).unwrap();
        copy_beginning(&from, 4, &to, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "theirs");
    }

    #[test]
    fn what_is_left_of_a_copy_is_removed_wherever_the_copy_belongs() {
        let dir = tempfile::tempdir().unwrap();
        let [path, kept] = ["dead.jsonl", "dead.jsonl.withdrawn-00000002"].map(|name| dir.path().join(name));
        std::fs::write(&path, "").unwrap();
        // The disk is full, or the process dies, after the copy has begun.
        copy_beginning(&path, 1, &kept, &path).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        DeadLetterFile::open("dead.jsonl", &path, None).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn lines_written_after_the_checkpoint_are_truncated_on_resume() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/dead.jsonl");
        let mut file = DeadLetterFile::open("dead.jsonl", &path, None).unwrap();
        assert_eq!(file.append(b"one\n").unwrap(), 4);
        assert_eq!(file.append(b"two\n").unwrap(), 8);
        let committed = DeadLetter { path: "dead.jsonl".into(), bytes: 4 };
        let mut file = DeadLetterFile::open("dead.jsonl", &path, Some(&committed)).unwrap();
        assert_eq!(file.append(b"2\n").unwrap(), 6);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n2\n");
        let longer = DeadLetter { path: "dead.jsonl".into(), bytes: 7 };
        let short = DeadLetterFile::open("dead.jsonl", &path, Some(&longer)).unwrap_err();
        assert!(matches!(short, OutputError::DeadLetterShort { expected: 7, found: 6, .. }));
    }

    #[test]
    fn a_file_that_holds_something_else_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.jsonl");
        std::fs::write(&path, "{\"user\":1}\n").unwrap();
        let taken = DeadLetterFile::open("data.jsonl", &path, None).unwrap_err();
        assert!(matches!(taken, OutputError::DeadLetterTaken { .. }));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"user\":1}\n");
        let rejected = Rejected { index: 0, offset: 0, reason: "bad".into(), bytes: b"x".to_vec() };
        let mut lines = Vec::new();
        append_line(&mut lines, "data.jsonl", 0, &rejected);
        for torn in [lines.len(), 20, 5, 0] {
            std::fs::write(&path, &lines[..torn]).unwrap();
            DeadLetterFile::open("data.jsonl", &path, None).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"", "what a run left that never came to a checkpoint");
        }
    }
}
