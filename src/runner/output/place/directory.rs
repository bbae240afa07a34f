//! Output files in a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::format::manifest::Output;
use crate::runner::output::place::error::PlaceError;
use crate::runner::output::place::interface::{Found, OutputPlace};
use crate::runner::output::place::strays::Strays;
use crate::runner::output::place::writer::PlaceWriter;
use crate::storage::durable::{create_replacing, flush_directory, flush_name, make_directory};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// The number of bytes that are written to a file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A directory, which is created with the first file.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Whether several workers publish in it.
    is_shared: bool,
    /// The files that one of them has staged and not published.
    staged: Strays,
}

impl Directory {
    pub(crate) fn new(path: PathBuf, is_shared: bool) -> Directory {
        Directory { path, is_shared, staged: Strays::default() }
    }

    /// Removes a staged file, unless another worker did.
    fn remove(&self, name: &str) -> Result<(), PlaceError> {
        match fs::remove_file(self.path.join(name)) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed?),
        }
    }
}

impl OutputPlace for Directory {
    fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn enclosing_store(&self) -> Result<Option<String>, PlaceError> {
        Ok(None)
    }

    /// Names that are not UTF-8 do not count. A missing directory has none.
    fn names(&self, beginning: &str) -> Result<Vec<String>, PlaceError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(other) => return Err(other.into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok().filter(|name| name.starts_with(beginning)));
        }
        Ok(names)
    }

    fn look(&self, name: &str) -> Result<Found, PlaceError> {
        Ok(match fs::symlink_metadata(self.path.join(name)) {
            Ok(found) if found.is_file() => Found::File,
            Ok(_) => Found::Other,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Found::Nothing,
            // It may be there: nothing may be built on its absence.
            Err(other) => return Err(other.into()),
        })
    }

    fn holds(&self, name: &str, output: &Output) -> Result<bool, PlaceError> {
        let path = self.path.join(name);
        // Opening a pipe would wait for its writer, and the job never writes links.
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() && found.len() == output.bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        match File::open(path) {
            Ok(file) => Ok(Digest::of_reader(file)? == output.sha256),
            // Another worker has just published it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is_copy(&self, _: &str, _: &str) -> Result<bool, PlaceError> {
        Ok(false)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn create(&self, staged: &str, sequence: Sequence) -> Result<PlaceWriter<'_>, PlaceError> {
        make_directory(&self.path)?;
        if self.is_shared {
            self.staged.add(staged, sequence);
        }
        let file = create_replacing(&self.path.join(staged))?;
        Ok(PlaceWriter::File(BufWriter::with_capacity(BUFFER_BYTES, file), &self.path))
    }

    fn mark(&self, name: &str) -> Result<(), PlaceError> {
        make_directory(&self.path)?;
        let path = self.path.join(name);
        OpenOptions::new().create(true).append(true).open(&path)?.sync_all()?;
        Ok(flush_name(&path)?)
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, PlaceError> {
        match fs::rename(self.path.join(from), self.path.join(to)) {
            Ok(()) => {}
            Err(missing) if missing.kind() == io::ErrorKind::NotFound && self.is_shared => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        flush_directory(&self.path)?;
        Ok(true)
    }

    fn publish(&self, staged: &str, name: &str, sequence: Sequence, _: &Output) -> Result<(), PlaceError> {
        if !self.rename(staged, name)? {
            // The worker that did it may have died before it was durable.
            flush_directory(&self.path)?;
        }
        self.staged.forget(staged);
        // What cannot be removed now is left to the next publication or the next start.
        let _ = self.staged.remove_up_to(sequence, |name| self.remove(name));
        Ok(())
    }

    fn remove_strays(&self, staged: &[(String, Sequence)], newest: Option<Sequence>) -> Result<(), PlaceError> {
        let newest = newest.or((!self.is_shared).then_some(Sequence(u64::MAX)));
        for (name, _) in staged.iter().filter(|(_, sequence)| newest.is_some_and(|newest| *sequence <= newest)) {
            self.remove(name)?;
        }
        if !self.path.exists() {
            return Ok(());
        }
        // This also flushes what an earlier run renamed just before it was killed.
        Ok(flush_directory(&self.path).and_then(|()| flush_name(&self.path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_system_refuses_to_look_at_is_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        let place = Directory::new(dir.path().join("out"), true);
        assert_eq!(place.look("a").unwrap(), Found::Nothing);
        place.mark("a").unwrap();
        assert_eq!(place.look("a").unwrap(), Found::File);
        place.look(&"a".repeat(300)).unwrap_err();
    }
}
