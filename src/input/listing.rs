//! The partitions: the files and objects that the paths and globs of a job file match.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

use crate::input::error::InputError;
use crate::input::globs;
use crate::input::object;
use crate::input::object::url::is_url;
use crate::input::partition::{Compression, Partition, Source};
use crate::input::stream::not_regular;
use crate::input::topic;
use crate::input::walk::{self, WalkError};
use crate::job::model::InputSpec;
use crate::values::file_name::readable;

/// Lists the partitions of `input`, sorted by name, each name once; those of a topic by number. Relative paths are relative to `base`.
///
/// A name is the path as written, without `.` and double slashes. A glob (`*`, `?`, `[a-z]`, `**`) does not match
/// hidden files and skips directories; its `**` does not follow links to directories. A path that exists as written is not a glob. Anything but a regular file is an
/// error.
pub fn partitions(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    if let Some(topic) = &input.topic {
        return topic::partitions(topic, base);
    }
    if input.files.iter().any(|file| file == "-") {
        return match input.files.as_slice() {
            [_] => Ok(vec![Partition::stdin()]),
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
    Ok(sorted(found))
}

/// Lists the partitions like [`partitions`], but a path or a glob may match nothing yet.
pub fn present(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    let mut found = Vec::new();
    for pattern in &input.files {
        find(pattern, base, &mut found)?;
    }
    Ok(sorted(found))
}

/// Lists the files whose names a rotation makes of those of the input: for `logs/*.log`, those that match
/// `logs/*.log.[0-9]*` and the like, and `logs/*.log.gz`. A name that is not UTF-8 has escapes.
pub(super) fn rotated(input: &InputSpec, base: &Path) -> Result<Vec<Partition>, InputError> {
    let mut found = Vec::new();
    for pattern in &input.files {
        let glob = if is_glob(pattern, base) { pattern.clone() } else { globs::literal(pattern) };
        for ending in ["[-._~][0-9]*", ".gz", ".zst"] {
            let paths = match walk::list(&format!("{glob}{ending}"), base) {
                Err(WalkError::Read { path, source }) => {
                    return Err(InputError::read(&path.display().to_string(), 0, source));
                }
                // Nothing can follow `**`, which matches those files anyway.
                Err(WalkError::Syntax(_)) => continue,
                Ok(paths) => paths,
            };
            for below in paths {
                let path = base.join(&below);
                let name = readable_name(&below).ok_or_else(|| not_utf8(pattern, &below))?;
                match fs::metadata(&path) {
                    Ok(metadata) => found.extend(regular(name, &path, &metadata)),
                    // It has just been removed, or is a link that leads nowhere.
                    Err(error) if error.kind() == io::ErrorKind::NotFound || path.is_symlink() => {}
                    Err(source) => return Err(InputError::read(&name, 0, source)),
                }
            }
        }
    }
    Ok(sorted(found))
}

/// Returns whether a path or glob of the input matches the partition `name`.
pub(super) fn matches(input: &InputSpec, name: &str) -> bool {
    input.files.iter().any(|pattern| matches_pattern(pattern, name))
}

/// Returns whether a path or glob of the job file matches the partition `name`.
pub(super) fn matches_pattern(pattern: &str, name: &str) -> bool {
    pattern_matches(pattern, Path::new(name))
}

/// Returns the names of the files that a path or glob of the job file matches, none if they cannot be listed. A bucket
/// is not asked.
pub fn names(pattern: &str, base: &Path) -> Vec<String> {
    if is_url(pattern) {
        return Vec::new();
    }
    let listed = of_pattern(pattern, base).map(sorted).unwrap_or_default();
    listed.into_iter().map(|partition| partition.name).collect()
}

/// Lists the partitions of one path or glob of the job file, which may be none.
pub(super) fn of_pattern(pattern: &str, base: &Path) -> Result<Vec<Partition>, InputError> {
    let mut found = Vec::new();
    match pattern {
        "-" => found.push(Partition::stdin()),
        pattern => find(pattern, base, &mut found)?,
    }
    Ok(found)
}

/// Returns whether the input names a partition by its path, and not by a glob.
pub(super) fn is_named(input: &InputSpec, name: &str) -> bool {
    input.files.iter().any(|pattern| tidy(Path::new(pattern)).is_some_and(|path| path == name))
}

fn pattern_matches(pattern: &str, path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    if is_url(pattern) || is_url(name) {
        return object::url::matches(pattern, name);
    }
    let (Some(pattern), Some(path)) = (tidy(Path::new(pattern)), tidy(path)) else { return false };
    pattern == path || globs::matches(&pattern, &path)
}

/// Leaves one partition of each file that has several names, such as a link and what it leads to.
///
/// A name that `is_known`, because a checkpoint has a position for it, always stays. Without one, the name that does
/// not go through a link stays, since a link may lead elsewhere later, and of several the first.
pub fn one_per_file(partitions: Vec<Partition>, base: &Path, is_known: impl Fn(&str) -> bool) -> Vec<Partition> {
    let id = |partition: &Partition| match &partition.source {
        Source::File(path) => fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino())),
        Source::Object(_) | Source::Stdin | Source::Topic | Source::Gone => None,
    };
    let mut names: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (index, partition) in partitions.iter().enumerate() {
        // What cannot be examined is reported when it is read.
        if let Some(id) = id(partition) {
            names.entry(id).or_default().push(index);
        }
    }
    let mut is_kept = vec![true; partitions.len()];
    for mut same in names.into_values().filter(|same| same.len() > 1) {
        let is_known = |index: &usize| is_known(&partitions[*index].name);
        let kept: Vec<usize> = if same.iter().any(is_known) {
            same.iter().copied().filter(is_known).collect()
        } else {
            same.sort_by_key(|index| (!is_real_path(&partitions[*index], base), *index));
            vec![same[0]]
        };
        same.iter().filter(|index| !kept.contains(index)).for_each(|index| is_kept[*index] = false);
    }
    partitions.into_iter().zip(is_kept).filter_map(|(partition, is_kept)| is_kept.then_some(partition)).collect()
}

/// Returns whether the name of a partition has no link and no `..` on the way from `base`.
fn is_real_path(partition: &Partition, base: &Path) -> bool {
    let base = if base == Path::new("") { Path::new(".") } else { base };
    let name = Path::new(&partition.name);
    let real = fs::canonicalize(base).and_then(|base| fs::canonicalize(base.join(name)).map(|path| (base, path)));
    real.is_ok_and(|(base, path)| path == base.join(name))
}

/// Sorts partitions by name, and leaves each once.
pub(super) fn sorted(mut found: Vec<Partition>) -> Vec<Partition> {
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// Returns whether a path of the job file is a glob: a path that exists as written is not.
fn is_glob(pattern: &str, base: &Path) -> bool {
    globs::has_wildcard(pattern) && fs::metadata(base.join(pattern)).is_err()
}

/// Adds the files or objects that the path or glob `pattern` matches, which may be none.
fn find(pattern: &str, base: &Path, found: &mut Vec<Partition>) -> Result<(), InputError> {
    if is_url(pattern) {
        return object::find(pattern, found);
    }
    if is_glob(pattern, base) {
        return find_glob(pattern, base, found);
    }
    match find_path(pattern, base) {
        Ok(partition) => found.push(partition),
        Err(InputError::NothingMatches { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Returns the partition with a name that [`partitions`] has returned before. Relative paths are relative to `base`.
pub fn partition(name: &str, base: &Path) -> Result<Partition, InputError> {
    match name {
        "-" => Ok(Partition::stdin()),
        url if is_url(url) => {
            let mut found = Vec::new();
            object::find(url, &mut found)?;
            let nothing = || InputError::NothingMatches { pattern: url.to_owned() };
            found.into_iter().find(|partition| partition.name == url).ok_or_else(nothing)
        }
        path => find_path(path, base),
    }
}

/// Returns whether the file at `path`, as written in the job file, is input of the job, or would be if it existed.
///
/// Objects are compared by their names only, which takes no request.
pub fn is_input(input: &InputSpec, base: &Path, path: &Path) -> bool {
    if input.files.iter().any(|pattern| pattern_matches(pattern, path)) {
        return true;
    }
    if path.to_str().is_some_and(is_url) {
        return false;
    }
    let same = |partition: &Partition| match (&partition.source, fs::canonicalize(base.join(path))) {
        (Source::File(file), Ok(path)) => fs::canonicalize(file).is_ok_and(|file| file == path),
        _ => false,
    };
    let mut patterns = input.files.iter().filter(|pattern| !is_url(pattern));
    patterns.any(|pattern| of_pattern(pattern, base).is_ok_and(|partitions| partitions.iter().any(same)))
}

/// Returns the file at a path that is not a glob.
fn find_path(path: &str, base: &Path) -> Result<Partition, InputError> {
    let name = tidy(Path::new(path)).unwrap_or_else(|| path.to_owned());
    match fs::metadata(base.join(path)) {
        Ok(found) => regular(name, &base.join(path), &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(InputError::NothingMatches { pattern: path.to_owned() })
        }
        Err(source) => Err(InputError::read(&name, 0, source)),
    }
}

/// Adds the files that the glob `pattern` matches.
fn find_glob(pattern: &str, base: &Path, found: &mut Vec<Partition>) -> Result<(), InputError> {
    let refuse = |reason: String| InputError::Glob { pattern: pattern.to_owned(), reason };
    let paths = walk::list(pattern, base).map_err(|error| match error {
        WalkError::Syntax(reason) => refuse(reason),
        WalkError::Read { path, source } => InputError::read(&path.display().to_string(), 0, source),
    })?;
    for below in paths {
        let name = tidy(&below).ok_or_else(|| not_utf8(pattern, &below))?;
        let path = base.join(&below);
        let read = |source| InputError::read(&name, 0, source);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(&path) {
                // It was removed after it was listed.
                Err(_) => continue,
                Ok(link) if link.is_symlink() => return Err(read(error)),
                // A rotation has just given the name to another file.
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

/// Returns the error of a glob that matches `path`, whose name cannot be that of a partition.
fn not_utf8(pattern: &str, path: &Path) -> InputError {
    let reason = format!("`{}` is not UTF-8", path.display());
    InputError::Glob { pattern: pattern.to_owned(), reason }
}

/// Returns the partition of the regular file `path`.
pub(super) fn regular(name: String, path: &Path, metadata: &fs::Metadata) -> Result<Partition, InputError> {
    if !metadata.is_file() {
        return Err(InputError::read(&name, 0, not_regular(metadata)));
    }
    let compression = Compression::of(path);
    let source = Source::File(path.to_owned());
    Ok(Partition { name, source, compression, file_bytes: Some(metadata.len()), etag: None })
}

/// Returns `path` with `/`, without `.` and double slashes, or `None` if it is not UTF-8.
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

/// Does the same for a file whose name may not be UTF-8. Its directory must be.
fn readable_name(path: &Path) -> Option<String> {
    let mut name = tidy(path.parent()?)?;
    if !name.is_empty() && !name.ends_with('/') {
        name.push('/');
    }
    name.push_str(&readable(path.file_name()?));
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::stream;
    use crate::job::model::{InputFormat, OnError, OnGone};

    fn list(files: &[&str], base: &Path) -> Result<Vec<String>, InputError> {
        Ok(partitions(&input(files), base)?.into_iter().map(|partition| partition.name).collect())
    }

    fn input(files: &[&str]) -> InputSpec {
        InputSpec {
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            topic: None,
            format: InputFormat::Json,
            types: vec![],
            on_error: OnError::Fail,
            max_bad: None,
            on_gone: OnGone::Stop,
            max_record_bytes: 1,
            follow: false,
            computed: vec![],
            nulls: vec![],
            numbers: None,
            encoding: crate::job::model::Encoding::Utf8,
        }
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
    fn an_object_is_input_if_its_address_matches() {
        let input = input(&["s3://data/in/*.jsonl", "data/*.jsonl"]);
        let base = tree();
        let is_input = |path: &str| is_input(&input, base.path(), Path::new(path));
        assert!(is_input("s3://data/in/a.jsonl") && is_input("data/new.jsonl"));
        assert!(!is_input("s3://data/out/a.jsonl") && !is_input("s3://other/in/a.jsonl") && !is_input("in/a.jsonl"));
        assert!(matches(&input, "s3://data/in/a.jsonl") && !matches(&input, "s3:/data/in/a.jsonl"));
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
            etag: None,
        };
        assert!(stream::open(&replaced).is_err());
    }
}
