//! The partitions: which files the paths and globs of a job file name.

use std::fs;
use std::io;
use std::path::{Component, Path};

use super::{Compression, InputError, Partition, Source};
use crate::job::model::InputSpec;

/// Lists the partitions of `input`, sorted by name, each once. Relative paths are below `base`.
///
/// A name is the path as written, without `.` and double slashes. A glob (`*`, `?`, `[a-z]`, `**`) names no hidden
/// files and passes over directories; a path that exists as it is written is no glob. Only regular files are taken.
pub fn partitions(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    if input.files.iter().any(|file| file == "-") {
        return match input.files.as_slice() {
            [_] => Ok(vec![stdin()]),
            _ => Err(InputError::StdinNotAlone),
        };
    }
    let mut found = Vec::new();
    for pattern in &input.files {
        let before = found.len();
        find(pattern, base, &mut found)?;
        if found.len() == before {
            return Err(InputError::NothingMatches { pattern: pattern.clone() });
        }
    }
    if found.is_empty() {
        return Err(InputError::NothingMatches { pattern: input.files.join(" ") });
    }
    Ok(tidied(found))
}

/// As [`partitions`], of those files that are there: a path or a glob may name none yet.
pub fn present(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    let mut found = Vec::new();
    for pattern in &input.files {
        find(pattern, base, &mut found)?;
    }
    Ok(tidied(found))
}

fn tidied(mut found: Vec<Partition>) -> Vec<Partition> {
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// Adds the files that the path or glob `pattern` names, which may be none.
fn find(pattern: &str, base: &Path, found: &mut Vec<Partition>) -> Result<(), InputError> {
    let is_glob = pattern.contains(['*', '?', '[']) && fs::metadata(base.join(pattern)).is_err();
    if is_glob {
        return matches(pattern, base, found);
    }
    match named(pattern, base) {
        Ok(partition) => found.push(partition),
        Err(InputError::NothingMatches { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Returns the partition of this name, as [`partitions`] has listed it before. Relative paths are below `base`.
pub fn partition(name: &str, base: &Path) -> Result<Partition, InputError> {
    match name {
        "-" => Ok(stdin()),
        path => named(path, base),
    }
}

/// Tells whether the file at `path`, as the job file gives it, is input of the job, or would be once it is there.
pub fn is_input(input: &InputSpec, base: &Path, path: &Path) -> bool {
    let listed = |pattern: &String| {
        let (Some(pattern), Some(path)) = (tidy(Path::new(pattern)), tidy(path)) else { return false };
        pattern == path || glob::Pattern::new(&pattern).is_ok_and(|glob| glob.matches_with(&path, GLOB_OPTIONS))
    };
    let same = |partition: &Partition| match (&partition.source, fs::canonicalize(base.join(path))) {
        (Source::File(file), Ok(path)) => fs::canonicalize(file).is_ok_and(|file| file == path),
        _ => false,
    };
    input.files.iter().any(listed) || partitions(input, base).is_ok_and(|partitions| partitions.iter().any(same))
}

/// How globs match: `*` does not cross directories, and hidden files are only named by a dot.
const GLOB_OPTIONS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

fn stdin() -> Partition {
    Partition { name: "-".to_owned(), source: Source::Stdin, compression: Compression::None, file_bytes: None }
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
    for path in glob::glob_with(&whole, GLOB_OPTIONS).map_err(|error| refuse(error.to_string()))? {
        let path = path.map_err(|error| InputError::Read {
            partition: error.path().display().to_string(),
            offset: 0,
            source: error.into(),
        })?;
        let below = if is_relative { path.strip_prefix(base).unwrap_or(&path) } else { &path };
        let name = tidy(below).ok_or_else(|| refuse(format!("`{}` is not UTF-8", path.display())))?;
        let read = |source| InputError::Read { partition: name.clone(), offset: 0, source };
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(&path) {
                // Gone since it was listed.
                Err(_) => continue,
                Ok(link) if link.is_symlink() => return Err(read(error)),
                // A rotation has just given the name to the next file.
                Ok(metadata) => metadata,
            },
            found => found.map_err(read)?,
        };
        if !metadata.is_dir() {
            found.push(regular(name, &path, &metadata)?);
        }
    }
    Ok(())
}

pub(super) fn regular(name: String, path: &Path, metadata: &fs::Metadata) -> Result<Partition, InputError> {
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
pub(super) fn tidy(path: &Path) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::model::{InputFormat, OnError};

    fn list(files: &[&str], base: &Path) -> Result<Vec<String>, InputError> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let input = InputSpec {
            files,
            format: InputFormat::Json,
            types: vec![],
            on_error: OnError::Fail,
            max_record_bytes: 1,
            follow: false,
        };
        Ok(partitions(&input, base)?.into_iter().map(|partition| partition.name).collect())
    }

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::Builder::new().prefix("base[1]").tempdir().unwrap();
        fs::create_dir_all(directory.path().join("data/more.jsonl")).unwrap();
        for name in
            ["b.jsonl", "a.jsonl", "B.jsonl", ".hidden.jsonl", "c[1].jsonl", "more.jsonl/d.jsonl.gz", "e.jsonl.ZST"]
        {
            fs::write(directory.path().join("data").join(name), "{}\n").unwrap();
        }
        directory
    }

    #[test]
    fn partitions_are_sorted_by_name_and_there_once() {
        let base = tree();
        let base = base.path();
        let all = ["data/B.jsonl", "data/a.jsonl", "data/b.jsonl", "data/c[1].jsonl"];
        assert_eq!(list(&["data/*.jsonl"], base).unwrap(), all);
        assert_eq!(list(&["./data//*.jsonl", "data/a.jsonl", "data/./b.jsonl"], base).unwrap(), all);
        assert_eq!(list(&["data/c[1].jsonl"], base).unwrap(), ["data/c[1].jsonl"]);
        assert_eq!(list(&["data/.hidden.jsonl"], base).unwrap(), ["data/.hidden.jsonl"]);
        assert_eq!(list(&["data/**/*.gz"], base).unwrap(), ["data/more.jsonl/d.jsonl.gz"]);
        assert_eq!(list(&["data/../data/[ab].jsonl"], base).unwrap(), ["data/../data/a.jsonl", "data/../data/b.jsonl"]);
        let absolute = base.join("data/a.jsonl");
        let absolute = absolute.to_str().unwrap();
        assert_eq!(list(&[absolute], base).unwrap(), [absolute]);
        assert_eq!(list(&["-"], base).unwrap(), ["-"]);
    }

    #[test]
    fn compression_goes_by_the_ending() {
        let base = tree();
        let regular = |path: &str| {
            let path = base.path().join("data").join(path);
            regular(String::new(), &path, &fs::metadata(&path).unwrap()).unwrap()
        };
        assert_eq!(regular("a.jsonl").compression, Compression::None);
        assert_eq!(regular("more.jsonl/d.jsonl.gz").compression, Compression::Gzip);
        assert_eq!(regular("e.jsonl.ZST").compression, Compression::Zstd);
        assert_eq!(regular("a.jsonl").file_bytes, Some(3));
    }

    #[test]
    fn what_names_no_file_is_an_error() {
        let base = tree();
        let base = base.path();
        for missing in ["data/x.jsonl", "data/x*.jsonl", "nowhere/*", "data/more*"] {
            let error = list(&["data/a.jsonl", missing], base).unwrap_err();
            assert_eq!(error.to_string(), format!("no input: `{missing}` matches no file"));
        }
        assert!(matches!(list(&["data/[a"], base), Err(InputError::Glob { .. })));
        assert!(matches!(list(&["data/a**"], base), Err(InputError::Glob { .. })));
        assert!(matches!(list(&["-", "data/a.jsonl"], base), Err(InputError::StdinNotAlone)));
        assert!(matches!(list(&[], base), Err(InputError::NothingMatches { .. })));
        for special in ["data", "data/more.jsonl", "/dev/null"] {
            assert!(matches!(list(&[special], base), Err(InputError::Read { .. })), "{special}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_does_not_hang() {
        let base = tree();
        let path = base.path().join("data/pipe.jsonl");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for pattern in ["data/pipe.jsonl", "data/p*.jsonl"] {
            let error = list(&[pattern], base.path()).unwrap_err();
            assert!(
                matches!(&error, InputError::Read { partition, .. } if partition == "data/pipe.jsonl"),
                "{error:?}"
            );
        }
        let replaced = Partition {
            name: "p".to_owned(),
            source: Source::File(path),
            compression: Compression::None,
            file_bytes: None,
        };
        assert!(super::super::lane::open(&replaced).is_err());
    }
}
