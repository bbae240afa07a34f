//! Listing the paths that a glob matches.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use crate::input::globs::{Part, matches_name};

/// Why a glob could not be listed.
#[derive(Debug)]
pub(super) enum WalkError {
    /// The glob has a syntax error.
    Syntax(String),
    /// A directory or a name in it could not be read.
    Read { path: PathBuf, source: io::Error },
}

/// Returns the paths that `glob` matches, without directories that the listing shows to be directories. Relative ones
/// are relative to `base`.
///
/// `**` does not enter hidden directories or links to directories, so a link to a parent directory is not a loop.
/// Other parts follow links. A directory that cannot be read is an error, since its files may match. A name that is
/// not UTF-8 is matched with U+FFFD for its invalid bytes.
pub(super) fn list(glob: &str, base: &Path) -> Result<Vec<PathBuf>, WalkError> {
    let parts = Part::split(glob).map_err(WalkError::Syntax)?;
    let mut found = Vec::new();
    // Only a directory has a slash behind it.
    if !glob.ends_with('/') {
        let start = if glob.starts_with('/') { Path::new("/") } else { Path::new("") };
        Walk { base, found: &mut found }.descend(start, &parts)?;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

struct Walk<'a> {
    base: &'a Path,
    found: &'a mut Vec<PathBuf>,
}

impl Walk<'_> {
    /// Adds what `parts` match in the directory `at`.
    fn descend(&mut self, at: &Path, parts: &[Part]) -> Result<(), WalkError> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        match part {
            Part::Literal(name) if rest.is_empty() => match fs::symlink_metadata(self.base.join(at).join(name)) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => self.found.push(at.join(name)),
                Err(error) if is_absent(&error) => {}
                Err(source) => return Err(WalkError::Read { path: at.join(name), source }),
            },
            Part::Literal(name) => self.descend(&at.join(name), rest)?,
            Part::Wildcard(pattern) => {
                for (name, file_type) in self.entries(at)? {
                    if !matches_name(pattern, &name.to_string_lossy()) {
                        continue;
                    }
                    let path = at.join(&name);
                    if rest.is_empty() {
                        if !file_type.is_dir() {
                            self.found.push(path);
                        }
                    } else if file_type.is_dir() || (file_type.is_symlink() && self.leads_to_directory(&path)?) {
                        self.descend(&path, rest)?;
                    }
                }
            }
            Part::Directories => {
                self.descend(at, rest)?;
                for (name, file_type) in self.entries(at)? {
                    if file_type.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
                        self.descend(&at.join(&name), parts)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the names in the directory `at`, sorted, or none if it is not a directory.
    fn entries(&self, at: &Path) -> Result<Vec<(OsString, FileType)>, WalkError> {
        let failed = |name: &OsStr, source| WalkError::Read { path: at.join(name), source };
        let directory = self.base.join(at);
        let listed = fs::read_dir(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory });
        let listed = match listed {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            listed => listed.map_err(|source| failed(OsStr::new(""), source))?,
        };
        let mut entries = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|source| failed(OsStr::new(""), source))?;
            match entry.file_type() {
                Ok(file_type) => entries.push((entry.file_name(), file_type)),
                // It was removed after it was listed.
                Err(error) if is_absent(&error) => {}
                Err(source) => return Err(failed(&entry.file_name(), source)),
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }

    /// Returns whether the link at `path` leads to a directory.
    fn leads_to_directory(&self, path: &Path) -> Result<bool, WalkError> {
        match fs::metadata(self.base.join(path)) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if is_absent(&error) || leads_to_itself(&error) => Ok(false),
            Err(source) => Err(WalkError::Read { path: path.to_owned(), source }),
        }
    }
}

/// Returns whether `error` says that a path does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns whether `error` says that a link leads to itself.
fn leads_to_itself(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}
