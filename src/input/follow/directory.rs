//! The files in a directory, and which of them may be generations of a partition.

use std::cmp::Ordering;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::input::error::InputError;
use crate::input::follow::file_id::FileId;
use crate::input::listing::{present, regular, rotated};
use crate::input::partition::{Compression, Partition, Source};
use crate::job::model::InputSpec;
use crate::values::file_name::readable;

/// How often to list a directory in which files are being renamed all the time.
const MAX_READS: usize = 50;

/// A file as it was seen in its directory.
#[derive(Debug, Clone)]
pub(super) struct SeenFile {
    pub(super) partition: Partition,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) size: u64,
    pub(super) age: Age,
    /// When it was created, where the file system says so.
    pub(super) born: Option<SystemTime>,
}

/// The age of a generation. The older file was written to earlier; if the times are equal, it has the larger number at
/// the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The number at the end of the name, or 0.
    rotation: u64,
}

impl Age {
    /// The age of a file that was last written to at `time`.
    pub(super) fn at(time: SystemTime) -> Age {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        Age { modified: (seconds, i64::from(since_epoch.subsec_nanos())), rotation: 0 }
    }

    /// Returns whether both were last written to at the same time.
    pub(super) fn is_same_time(&self, other: &Age) -> bool {
        self.modified == other.modified
    }

    /// Returns whether it was last written to before `other` was.
    pub(super) fn is_before(&self, other: &Age) -> bool {
        self.modified < other.modified
    }

    fn of(name: &str, metadata: &Metadata) -> Age {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let rotation = name[name.len() - digits..].parse().unwrap_or(0);
        Age { modified: (metadata.mtime(), metadata.mtime_nsec()), rotation }
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Age) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Age {
    /// The older file is less.
    fn cmp(&self, other: &Age) -> Ordering {
        self.modified.cmp(&other.modified).then(other.rotation.cmp(&self.rotation))
    }
}

impl SeenFile {
    fn new(partition: Partition, path: PathBuf, metadata: &Metadata) -> SeenFile {
        let (id, size, age) = (FileId::of(metadata), metadata.len(), Age::of(unpacked(&partition), metadata));
        SeenFile { partition, path, id, size, age, born: metadata.created().ok() }
    }

    /// Returns the name that it had before it was compressed, if it is.
    pub(super) fn unpacked_name(&self) -> &str {
        unpacked(&self.partition)
    }
}

fn unpacked(partition: &Partition) -> &str {
    match partition.compression {
        Compression::None => &partition.name,
        Compression::Gzip | Compression::Zstd => unpacked_name(&partition.name),
    }
}

/// Lists the existing files of the input, by name. Compressed files are left out, since they cannot be followed.
pub(super) fn listed(input: &InputSpec, base: &Path) -> Result<Vec<SeenFile>, InputError> {
    let mut seen = examine(present(input, base)?)?;
    seen.retain(|seen| seen.partition.compression == Compression::None);
    Ok(seen)
}

/// Lists the existing files whose names are those of rotated files of the input, compressed or not.
pub(super) fn listed_rotated(input: &InputSpec, base: &Path) -> Result<Vec<SeenFile>, InputError> {
    examine(rotated(input, base)?)
}

fn examine(partitions: Vec<Partition>) -> Result<Vec<SeenFile>, InputError> {
    let mut seen = Vec::new();
    for partition in partitions {
        let Source::File(path) = &partition.source else { continue };
        let path = path.clone();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(InputError::read(&partition.name, 0, source)),
            Ok(metadata) => seen.push(SeenFile::new(partition, path, &metadata)),
        }
    }
    Ok(seen)
}

/// The files in the directory of a partition.
#[derive(Debug)]
pub(super) struct Siblings {
    pub(super) plain: Vec<SeenFile>,
    /// The compressed ones.
    pub(super) packed: Vec<SeenFile>,
}

/// Lists the files in the directory of the partition `name`.
///
/// A file that is renamed during the listing may be missed, so it is repeated until two in a row are equal. A file whose
/// name is not UTF-8 has a name with escapes: what it is, its identity and its content decide.
pub(super) fn siblings(name: &str, base: &Path) -> Result<Siblings, InputError> {
    let mut before = read_directory(name, base)?;
    for _ in 0..MAX_READS {
        let now = read_directory(name, base)?;
        let is_same =
            before.len() == now.len() && before.iter().zip(&now).all(|(a, b)| (a.id, &a.path) == (b.id, &b.path));
        before = now;
        if is_same {
            break;
        }
    }
    let (plain, packed) = before.into_iter().partition(|seen| seen.partition.compression == Compression::None);
    Ok(Siblings { plain, packed })
}

fn read_directory(name: &str, base: &Path) -> Result<Vec<SeenFile>, InputError> {
    let above = name.rfind('/').map_or("", |at| &name[..=at]);
    let directory = base.join(above);
    let read = |source| InputError::read(name, 0, source);
    let entries = match fs::read_dir(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut seen = Vec::new();
    for entry in entries {
        let entry = entry.map_err(read)?;
        let (name, path) = (format!("{above}{}", readable(&entry.file_name())), entry.path());
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // It has just been removed, or is a link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound || path.is_symlink() => continue,
            Err(source) => return Err(InputError::read(&name, 0, source)),
        };
        let Ok(partition) = regular(name, &path, &metadata) else { continue };
        seen.push(SeenFile::new(partition, path, &metadata));
    }
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(seen)
}

/// Returns the name of a file before it was compressed: `app.log.1` for `app.log.1.gz`.
pub(super) fn unpacked_name(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(before, _)| before)
}

/// Returns the names that `name` may have been rotated from, the shortest first: `app.log` for `app.log.1` and
/// `app.log-20261122`, but none for `app.log-errors`.
pub(super) fn bases(name: &str) -> impl Iterator<Item = &str> {
    let directory = name.rfind('/').map_or(0, |at| at + 1);
    let at = name.char_indices().map(|(at, _)| at).filter(move |at| *at > directory);
    at.map(|at| name.split_at(at)).filter(|(_, rest)| is_rotation(rest)).map(|(base, _)| base)
}

/// Returns whether `name` is the name of a rotated file of `of`: a number or a date follows.
pub(super) fn is_rotated_name(name: &str, of: &str) -> bool {
    name.strip_prefix(of).is_some_and(is_rotation)
}

/// Returns whether the names of two rotated files of `of` say that `name` is the older one: `app.log.3` is older than
/// `app.log.2`, and `app.log-20261121` than `app.log-20261122`.
pub(super) fn is_older_name(name: &str, than: &str, of: &str) -> bool {
    let (Some(name), Some(than)) = (rotation(name, of), rotation(than, of)) else { return false };
    match (number(name), number(than)) {
        (Some(name), Some(than)) => name > than,
        (None, None) => name.len() == than.len() && name < than,
        _ => false,
    }
}

/// Returns how many times the file `name` was rotated, if files of `of` are numbered: once for `app.log.1`, and not at
/// all for `app.log`.
pub(super) fn rotations(name: &str, of: &str) -> Option<i64> {
    if name == of { Some(0) } else { rotation(name, of).and_then(number) }
}

/// Returns the number that a rotation has put into a name. A longer one is a date.
fn number(rotation: &str) -> Option<i64> {
    rotation[1..].parse().ok().filter(|_| rotation.len() <= 5)
}

/// Returns what a rotation has put into the name, with its separator.
fn rotation<'a>(name: &'a str, of: &str) -> Option<&'a str> {
    let middle = || {
        let (stem, ending) = of.rsplit_once('.').filter(|(_, ending)| !ending.contains('/'))?;
        name.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')
    };
    name.strip_prefix(of).filter(|rest| is_rotation(rest)).or_else(|| middle().filter(|rest| is_rotation(rest)))
}

/// Returns whether `rest` is what a rotation appends to a name.
fn is_rotation(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['.', '-', '_', '~']) else { return false };
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T' | 'Z');
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(is_part)
}

/// Does the same less strictly, for files that the input does not match: also accepts `app-20261122.log` and
/// `app.1.log`.
pub(super) fn may_be_generation(name: &str, of: &str) -> bool {
    rotation(name, of).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_recognized() {
        for (name, rotated, may_be) in [
            ("a/app.log.1", true, true),
            ("a/app.log-20261122", true, true),
            ("a/app.log.2026-11-22.7", true, true),
            ("a/app-20261122.log", false, true),
            ("a/app.1.log", false, true),
            ("a/app-errors.log", false, false),
            ("a/app.log-errors", false, false),
            ("a/app.log.wf", false, false),
            ("a/app.log.1.gz", false, false),
            ("a/app.log~", false, false),
            ("a/app.log", false, false),
            ("a/app.log.", false, false),
            ("a/other.log.1", false, false),
            ("b/app.log.1", false, false),
        ] {
            assert_eq!(
                (is_rotated_name(name, "a/app.log"), may_be_generation(name, "a/app.log")),
                (rotated, may_be),
                "{name}"
            );
        }
        assert!(may_be_generation("log.1", "log") && !may_be_generation("b", "a.b/log"));
        assert_eq!(bases("a.1/app.log.2026-11-22.7").next(), Some("a.1/app.log"));
        assert_eq!(bases("a.1/app.log-errors").next(), None);
    }

    #[test]
    fn names_say_which_rotated_file_is_older() {
        for (older, newer) in [
            ("app.log.3", "app.log.2"),
            ("app.log.10", "app.log.9"),
            ("app.log-20261121", "app.log-20261122"),
            ("app-20261121.log", "app-20261122.log"),
            ("app.2.log", "app.1.log"),
        ] {
            assert!(is_older_name(older, newer, "app.log") && !is_older_name(newer, older, "app.log"), "{older}");
        }
        // These do not say it.
        for (name, other) in [("app.log", "app.log.1"), ("app.log.1", "app.log-20261122"), ("app.log.1", "app.log.1")] {
            assert!(!is_older_name(name, other, "app.log") && !is_older_name(other, name, "app.log"), "{name}");
        }
        let counts = ["app.log", "app.log.3", "app.3.log", "app.log-20261122"].map(|name| rotations(name, "app.log"));
        assert_eq!(counts, [Some(0), Some(3), Some(3), None]);
    }

    #[test]
    fn the_older_file_is_less_and_numbers_break_ties() {
        let age = |modified: i64, rotation| Age { modified: (modified, 0), rotation };
        assert!(age(1, 0) < age(2, 9) && age(1, 2) < age(1, 1) && age(1, 1) < age(1, 0));
    }
}
