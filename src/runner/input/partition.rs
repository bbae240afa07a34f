//! The partitions: which files the paths and globs of a job file name.

use std::fs;
use std::io;
use std::path::{Component, Path};

use super::{Compression, InputError, Partition, Source};
use crate::runner::spec::InputSpec;

/// Lists the partitions of `input`, sorted by name, each once. Relative paths are below `base`.
///
/// A name is the path as written, without `.` and double slashes. A glob (`*`, `?`, `[a-z]`, `**`) names no hidden files and passes over directories; a
/// path that exists as it is written is no glob. Only regular files are taken.
pub fn partitions(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    if input.files.iter().any(|file| file == "-") {
        return match input.files.as_slice() {
            [_] => Ok(vec![Partition {
                name: "-".to_owned(),
                source: Source::Stdin,
                compression: Compression::None,
                file_bytes: None,
            }]),
            _ => Err(InputError::StdinNotAlone),
        };
    }
    let mut found = Vec::new();
    for pattern in &input.files {
        let is_glob = pattern.contains(['*', '?', '[']) && fs::metadata(base.join(pattern)).is_err();
        if is_glob {
            matches(pattern, base, &mut found)?;
        } else {
            found.push(named(pattern, base)?);
        }
    }
    if found.is_empty() {
        return Err(InputError::NothingMatches { pattern: input.files.join(" ") });
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

/// Returns the file that the job file names by its path.
fn named(path: &str, base: &Path) -> Result<Partition, InputError> {
    let name = tidy(Path::new(path)).unwrap_or_else(|| path.to_owned());
    match fs::metadata(base.join(path)) {
        Ok(found) => regular(name, &base.join(path), &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(InputError::NothingMatches { pattern: path.to_owned() })
        }
        Err(source) => Err(InputError::Read { partition: name, offset: 0, source }),
    }
}

/// Adds the files that `pattern` names.
fn matches(pattern: &str, base: &Path, found: &mut Vec<Partition>) -> Result<(), InputError> {
    let refuse = |reason: String| InputError::Glob { pattern: pattern.to_owned(), reason };
    let is_relative = Path::new(pattern).is_relative();
    let whole = if is_relative && base != Path::new("") {
        let base = base
            .to_str()
            .ok_or_else(|| refuse("the directory of the job file has a name that is not UTF-8".to_owned()))?;
        format!("{}/{pattern}", glob::Pattern::escape(base))
    } else {
        pattern.to_owned()
    };
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let before = found.len();
    for path in glob::glob_with(&whole, options).map_err(|error| refuse(error.to_string()))? {
        let path = path.map_err(|error| InputError::Read {
            partition: error.path().display().to_string(),
            offset: 0,
            source: error.into(),
        })?;
        let below = if is_relative { path.strip_prefix(base).unwrap_or(&path) } else { &path };
        let name = tidy(below).ok_or_else(|| refuse(format!("`{}` is not UTF-8", path.display())))?;
        let read = |source| InputError::Read { partition: name.clone(), offset: 0, source };
        let metadata = fs::metadata(&path).map_err(read)?;
        if !metadata.is_dir() {
            found.push(regular(name, &path, &metadata)?);
        }
    }
    if found.len() == before {
        return Err(InputError::NothingMatches { pattern: pattern.to_owned() });
    }
    Ok(())
}

fn regular(name: String, path: &Path, metadata: &fs::Metadata) -> Result<Partition, InputError> {
    if !metadata.is_file() {
        return Err(InputError::Read { partition: name, offset: 0, source: not_regular(metadata) });
    }
    let compression = match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ending.eq_ignore_ascii_case("gz") => Compression::Gzip,
        Some(ending) if ending.eq_ignore_ascii_case("zst") => Compression::Zstd,
        _ => Compression::None,
    };
    Ok(Partition { name, source: Source::File(path.to_owned()), compression, file_bytes: Some(metadata.len()) })
}

/// The reason why what `metadata` is about, which is no regular file, is not read.
pub(super) fn not_regular(metadata: &fs::Metadata) -> io::Error {
    match metadata.is_dir() {
        true => io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"),
        false => io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
    }
}

/// Returns `path` with `/`, without `.` and double slashes, or nothing when it is not UTF-8.
fn tidy(path: &Path) -> Option<String> {
    let mut name = String::new();
    for component in path.components() {
        match component {
            Component::CurDir => continue,
            Component::RootDir => name.push('/'),
            other => {
                if !name.is_empty() && !name.ends_with('/') {
                    name.push('/');
                }
                name.push_str(other.as_os_str().to_str()?);
            }
        }
    }
    Some(name)
}
