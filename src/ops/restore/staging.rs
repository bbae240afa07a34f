//! A directory that is filled beside its final place, over several attempts if need be.
//!
//! Beside the target `NAME` are `NAME.ckpt-restore`, the directory, and `NAME.ckpt-restore.journal`, which says what
//! it is for and which files in it are complete. The journal exists before the directory does, and the process that
//! fills the directory locks it. A complete directory is renamed to its final name, then the journal is removed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::ops::restore::error::{RestoreError, io_error};
use crate::storage::durable::{flush_directory, make_directory};
use crate::values::digest::Digest;
use crate::values::lock::lock;

/// The most that is read of a journal, in bytes; a line has about a hundred.
const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// The first word of every journal.
const HEAD: &str = "ckpt-restore-1";

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    /// Whether an earlier attempt wrote it.
    pub kept: bool,
}

pub(super) struct Staging {
    pub(super) path: PathBuf,
    journal_path: PathBuf,
    journal: Mutex<File>,
    recorded: HashMap<String, Record>,
    /// Whether the files are kept for the next attempt.
    is_kept: bool,
}

/// A file that an earlier attempt has completed.
struct Record {
    sha256: Digest,
    rows: u64,
    bytes: u64,
}

impl Staging {
    /// Continues an earlier attempt at the same `purpose`, a single line, or starts over. Creates the parent
    /// directories.
    ///
    /// Fails with [`RestoreError::InProgress`] if another process is filling the directory, and with
    /// [`RestoreError::TargetTaken`] if something else is in its place.
    pub(super) fn open(directory: &Path, purpose: &str) -> Result<Staging, RestoreError> {
        make_directory(parent_of(directory)).map_err(io_error("create", directory))?;
        let path = beside(directory, ".ckpt-restore");
        let journal_path = beside(directory, ".ckpt-restore.journal");
        let mut journal = open_journal(&journal_path)?;
        match journal.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RestoreError::InProgress { path: directory.to_owned() }),
            // A file system without locks: two attempts at once would overwrite each other with the same bytes.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &journal_path)(error)),
        }
        let mut text = Vec::new();
        let read = (&mut journal).take(MAX_JOURNAL_BYTES).read_to_end(&mut text);
        read.map_err(io_error("read", &journal_path))?;
        let text = String::from_utf8_lossy(&text);
        let head = format!("{HEAD} {purpose}");
        let is_same = complete_lines(&text).next() == Some(&head);
        let is_ours = complete_lines(&text).next().is_some_and(|line| line.starts_with(HEAD));
        let mut recorded = HashMap::new();
        match fs::symlink_metadata(&path) {
            Ok(found) if is_same && found.is_dir() => {
                recorded = complete_lines(&text).skip(1).filter_map(parse_record).collect();
            }
            Ok(found) if is_ours && found.is_dir() => {
                fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
                begin(&mut journal, &journal_path, &path, &head)?;
            }
            Ok(_) => {
                // Not made by a restore, so the journal was made just now.
                if text.is_empty() {
                    let _ = fs::remove_file(&journal_path);
                }
                return Err(RestoreError::TargetTaken { path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                begin(&mut journal, &journal_path, &path, &head)?;
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        }
        Ok(Staging { path, journal_path, journal: Mutex::new(journal), recorded, is_kept: false })
    }

    /// Returns the file `name` if an earlier attempt has completed it and its bytes are still the same.
    pub(super) fn completed(&self, name: &str) -> Option<ExportedFile> {
        let record = self.recorded.get(name)?;
        let path = self.path.join(name);
        let found = fs::symlink_metadata(&path).ok()?;
        let is_whole = found.is_file()
            && found.len() == record.bytes
            && Digest::of_reader(File::open(&path).ok()?).ok()? == record.sha256;
        is_whole.then(|| ExportedFile { name: name.to_owned(), rows: record.rows, bytes: record.bytes, kept: true })
    }

    /// Creates the file `name`, and replaces what an earlier attempt left of it.
    pub(super) fn create(&self, name: &str) -> Result<File, RestoreError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
            _ => {}
        }
        File::create_new(&path).map_err(io_error("create", &path))
    }

    /// Records that `file`, with this SHA-256, is complete and flushed.
    pub(super) fn record(&self, file: &ExportedFile, sha256: Digest) -> Result<(), RestoreError> {
        let line = format!("{sha256} {} {} {}\n", file.rows, file.bytes, file.name);
        let mut journal = lock(&self.journal);
        // One write: a line that a crash tears has no end, and does not count.
        journal.write_all(line.as_bytes()).map_err(io_error("write", &self.journal_path))
    }

    /// Keeps the files for the next attempt.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Flushes the directory and renames it to `directory`, where at most an empty directory may be.
    pub(super) fn put_in_place(self, directory: &Path) -> Result<(), RestoreError> {
        flush_directory(&self.path).map_err(io_error("flush", &self.path))?;
        if let Err(error) = fs::rename(&self.path, directory) {
            return Err(match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                    RestoreError::TargetTaken { path: directory.to_owned() }
                }
                _ => io_error("rename", &self.path)(error),
            });
        }
        flush_directory(parent_of(directory)).map_err(io_error("flush", parent_of(directory)))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // After the rename there is no directory with this name. Otherwise the first error is the one to report.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.journal_path);
    }
}

/// Returns `directory` with `ending` at the end of its name.
fn beside(directory: &Path, ending: &str) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    parent_of(directory).join(name)
}

fn open_journal(path: &Path) -> Result<File, RestoreError> {
    // Opening a pipe would wait for its writer, and a link, or a second name, could lead anywhere.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() || found.nlink() > 1) {
        return Err(RestoreError::TargetTaken { path: path.to_owned() });
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    opened.map_err(io_error("create", path))
}

/// Writes the first line of the journal, durably, then creates the directory.
fn begin(journal: &mut File, journal_path: &Path, path: &Path, head: &str) -> Result<(), RestoreError> {
    let written = journal.set_len(0).and_then(|()| journal.rewind());
    let written = written.and_then(|()| journal.write_all(format!("{head}\n").as_bytes()));
    written.and_then(|()| journal.sync_all()).map_err(io_error("write", journal_path))?;
    flush_directory(parent_of(journal_path)).map_err(io_error("flush", parent_of(journal_path)))?;
    fs::create_dir(path).map_err(io_error("create", path))
}

/// Returns the lines that have a line end.
fn complete_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

fn parse_record(line: &str) -> Option<(String, Record)> {
    let mut words = line.splitn(4, ' ');
    let sha256 = words.next()?.parse().ok()?;
    let (rows, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((words.next()?.to_owned(), Record { sha256, rows, bytes }))
}

fn parent_of(directory: &Path) -> &Path {
    directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(staging: &Staging, name: &str, bytes: &[u8]) {
        staging.create(name).unwrap().write_all(bytes).unwrap();
        let file = ExportedFile { name: name.to_owned(), rows: 7, bytes: bytes.len() as u64, kept: false };
        staging.record(&file, Digest::of(bytes)).unwrap();
    }

    /// Ends an attempt as a kill does.
    fn cut_short(mut staging: Staging) {
        staging.keep();
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_next_attempt_keeps_the_files_that_are_complete_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/out");
        let staging = Staging::open(&target, "x").unwrap();
        ["one", "two", "three"].iter().for_each(|name| write(&staging, name, name.as_bytes()));
        staging.create("four").unwrap().write_all(b"fo").unwrap();
        fs::write(staging.path.join("two"), "twO").unwrap();
        fs::remove_file(staging.path.join("three")).unwrap();
        cut_short(staging);
        assert_eq!(names(&dir.path().join("a/b")), ["out.ckpt-restore", "out.ckpt-restore.journal"]);

        let staging = Staging::open(&target, "x").unwrap();
        let kept = ExportedFile { name: "one".to_owned(), rows: 7, bytes: 3, kept: true };
        assert_eq!(staging.completed("one"), Some(kept));
        assert_eq!(["two", "three", "four", "five"].map(|name| staging.completed(name)), [None, None, None, None]);
        ["two", "three", "four"].iter().for_each(|name| write(&staging, name, name.as_bytes()));
        staging.put_in_place(&target).unwrap();
        assert_eq!(names(&dir.path().join("a/b")), ["out"]);
        assert_eq!(names(&target), ["four", "one", "three", "two"]);
    }

    #[test]
    fn another_purpose_starts_over_and_a_torn_line_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let staging = Staging::open(&target, "x").unwrap();
        write(&staging, "one", b"one");
        write(&staging, "two", b"two");
        let journal = staging.journal_path.clone();
        cut_short(staging);
        let text = fs::read_to_string(&journal).unwrap();
        fs::write(&journal, &text[..text.len() - 1]).unwrap();
        let staging = Staging::open(&target, "x").unwrap();
        assert!(staging.completed("one").is_some() && staging.completed("two").is_none());
        cut_short(staging);
        let staging = Staging::open(&target, "y").unwrap();
        assert!(staging.completed("one").is_none());
        assert_eq!(names(&staging.path), [""; 0]);
    }

    #[test]
    fn what_was_not_made_by_a_restore_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        fs::create_dir(dir.path().join("out.ckpt-restore")).unwrap();
        fs::write(dir.path().join("out.ckpt-restore/mine"), "mine").unwrap();
        assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
        assert_eq!(names(dir.path()), ["out.ckpt-restore"]);
        fs::write(dir.path().join("out.ckpt-restore.journal"), "mine\n").unwrap();
        assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::TargetTaken { .. })));
        assert_eq!(fs::read_to_string(dir.path().join("out.ckpt-restore/mine")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(dir.path().join("out.ckpt-restore.journal")).unwrap(), "mine\n");
    }

    #[test]
    fn two_attempts_at_once_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let staging = Staging::open(&target, "x").unwrap();
        assert!(matches!(Staging::open(&target, "x"), Err(RestoreError::InProgress { .. })));
        drop(staging);
        Staging::open(&target, "x").unwrap();
        assert_eq!(names(dir.path()), [""; 0], "an attempt that has failed leaves nothing");
    }
}
