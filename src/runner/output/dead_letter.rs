//! The dead-letter file: bad records, each once, whatever crashes in between.
//!
//! A checkpoint names how many bytes of the file belong to it. Lines are appended and flushed before the commit; on resume the file is cut
//! back to what the checkpoint names. After a roll back that would lose lines that later checkpoints name: they are kept beside the file, and put
//! back when the job is rolled forward to one of these.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::format::manifest::{DeadLetter, Manifest};
use crate::runner::error::RunError;
use crate::runner::rejected::Rejected;
use crate::storage::durable::{create_replacing, flush_name, make_directory};
use crate::store::Store;
use crate::values::id::Sequence;

/// An open dead-letter file.
#[derive(Debug)]
pub struct DeadLetterFile {
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Whether more than `bytes` may be there, of lines that could not be written whole.
    torn: bool,
}

/// A roll back that a run is the first to go on from.
#[derive(Debug)]
pub struct RollBack {
    /// The checkpoint whose content it goes on with.
    to: Sequence,
    /// The last checkpoint before the roll back that a run has made.
    from: Manifest,
}

impl RollBack {
    /// Finds the roll back that `last` is. Nothing when it is none, or when it can not be told what was before.
    pub fn find(store: &Store, last: &Manifest) -> Option<RollBack> {
        let read = |sequence| store.manifest(sequence).ok().map(|committed| committed.manifest);
        let mut to = last.restored_from?;
        // A roll back to a roll back.
        while let Some(older) = read(to).and_then(|manifest| manifest.restored_from).filter(|older| *older < to) {
            to = older;
        }
        let mut from = last.clone();
        while from.restored_from.is_some() {
            from = read(from.parent.map(|parent| parent.sequence).filter(|parent| *parent < from.sequence)?)?;
        }
        Some(RollBack { to, from })
    }

    /// Makes the file at `path`, named `name` in the job file, the one that `committed` has named: keeps what the checkpoint before the roll back
    /// names of it as `FILE.withdrawn-NUMBER`, and takes the lines from such a file of an earlier roll back where they are there.
    ///
    /// `part` tells which of the files it is. Returns the checkpoint whose lines were kept now, and where. When it is cut short, doing it
    /// again finishes it.
    pub fn apply(
        &self,
        name: &str,
        path: &Path,
        committed: Option<&DeadLetter>,
        part: impl Fn(&Manifest) -> Option<&DeadLetter>,
    ) -> Result<Option<(Sequence, PathBuf)>, RunError> {
        let error = |source| RunError::DeadLetter { path: path.display().to_string(), source };
        let bytes_of =
            |named: Option<&DeadLetter>| named.filter(|named| named.path == name).map_or(0, |named| named.bytes);
        let (bytes, before) = (bytes_of(committed), bytes_of(part(&self.from)));
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // Checkpoints are numbered as they are made, so those after the wanted one go on from it until the first roll back behind it, which has
        // kept the lines of the last of them.
        let earlier = (self.to.0..self.from.sequence.0).map(|number| withdrawn(path, Sequence(number)));
        let earlier = earlier.into_iter().find(|kept| length(kept) >= bytes.max(1));
        let kept = withdrawn(path, self.from.sequence);
        let mut told = None;
        if (before > bytes || earlier.is_some()) && before > 0 && length(&kept) < before && length(path) >= before {
            copy_beginning(path, before, &kept).map_err(error)?;
            told = Some((self.from.sequence, kept.clone()));
        }
        // Else the wanted one goes before the last of a run, whose lines begin with its own.
        let source = earlier.or_else(|| (length(&kept) >= bytes).then_some(kept));
        if let Some(source) = source.filter(|_| bytes > 0) {
            copy_beginning(&source, bytes, path).map_err(error)?;
        }
        Ok(told)
    }
}

fn withdrawn(path: &Path, sequence: Sequence) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{name}.withdrawn-{sequence}"))
}

/// Returns where a copy of the file at `path` is made.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.ckpt-copy"))
}

/// Puts the first `bytes` of `from` at `to`, whole or not at all, for good.
fn copy_beginning(from: &Path, bytes: u64, to: &Path) -> io::Result<()> {
    let aside = aside(to);
    let mut file = create_replacing(&aside)?;
    if io::copy(&mut File::open(from)?.take(bytes), &mut file)? < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.sync_all()?;
    std::fs::rename(&aside, to)?;
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
    /// Opens the file at `path`, named `name` in the job file, and cuts it back to what `committed` names; to nothing when there is no checkpoint.
    ///
    /// Fails when it is shorter than that: lines that a checkpoint counts are missing. Fails as well when it would be cut to nothing and is no
    /// dead-letter file: by a slip in the job file it may be the input itself.
    pub fn open(name: &str, path: &Path, committed: Option<&DeadLetter>) -> Result<DeadLetterFile, RunError> {
        let error = |source| RunError::DeadLetter { path: path.display().to_string(), source };
        if let Some(parent) = path.parent() {
            make_directory(parent).map_err(error)?;
        }
        // Of a run that was killed while it made a copy.
        let _ = std::fs::remove_file(aside(path));
        let bytes = committed.filter(|committed| committed.path == name).map_or(0, |committed| committed.bytes);
        if bytes > 0 && !path.exists() {
            return Err(RunError::DeadLetterShort { path: path.display().to_string(), expected: bytes, found: 0 });
        }
        // To open a pipe would wait for its reader.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(RunError::DeadLetterTaken { path: path.display().to_string() });
        }
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(error)?;
        let found = file.metadata().map_err(error)?.len();
        if found < bytes {
            return Err(RunError::DeadLetterShort { path: path.display().to_string(), expected: bytes, found });
        }
        if bytes == 0 && !is_ours(&mut file).map_err(error)? {
            return Err(RunError::DeadLetterTaken { path: path.display().to_string() });
        }
        // The name lasts before any checkpoint relies on it.
        flush_name(path).map_err(error)?;
        file.set_len(bytes).map_err(error)?;
        file.seek(SeekFrom::Start(bytes)).map_err(error)?;
        Ok(DeadLetterFile { name: name.to_owned(), path: path.to_owned(), file, bytes, torn: false })
    }

    /// Returns the name in the job file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends `lines`, flushes them, and returns the size of the file in bytes. After an error none of them counts, and they can be appended
    /// again.
    pub fn append(&mut self, lines: &[u8]) -> Result<u64, RunError> {
        if !lines.is_empty() {
            let written = self.write(lines);
            self.torn = written.is_err();
            written.map_err(|source| RunError::DeadLetter { path: self.path.display().to_string(), source })?;
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

/// How each line begins.
const BEGINNING: &[u8] = b"{\"partition\":\"";

/// Tells whether `file` is empty or begins as a dead-letter file does, whole or torn.
fn is_ours(file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(BEGINNING.len() as u64).read_to_end(&mut beginning)?;
    Ok(BEGINNING.starts_with(&beginning))
}

/// Appends the line of one bad record: JSON with partition, offset, record number, reason and the record itself.
///
/// `first_record` is the number of the first record of its block. What is no UTF-8 in the record is replaced.
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
        std::os::unix::fs::symlink(&outside, aside(&to)).unwrap();
        copy_beginning(&from, 4, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "theirs");
    }

    #[test]
    fn what_was_written_after_the_checkpoint_is_cut_off_on_resume() {
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
        assert!(matches!(short, RunError::DeadLetterShort { expected: 7, found: 6, .. }));
    }

    #[test]
    fn a_file_that_holds_something_else_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.jsonl");
        std::fs::write(&path, "{\"user\":1}\n").unwrap();
        let taken = DeadLetterFile::open("data.jsonl", &path, None).unwrap_err();
        assert!(matches!(taken, RunError::DeadLetterTaken { .. }));
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
