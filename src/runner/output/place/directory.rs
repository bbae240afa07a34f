//! Output files in a directory.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::format::manifest::Output;
use crate::runner::output::place::error::PlaceError;
use crate::runner::output::place::interface::{Found, OutputPlace};
use crate::runner::output::place::writer::PlaceWriter;
use crate::storage::durable::{create_replacing, flush_directory, flush_name, make_directory};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// The number of bytes that are written to a file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A directory, which is created with the first file.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl OutputPlace for Directory {
    fn shown(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn enclosing_store(&self) -> Result<Option<String>, PlaceError> {
        Ok(None)
    }

    /// Names that are not UTF-8 do not count. A missing directory has none.
    fn names(&self, beginning: &str) -> Result<Vec<String>, PlaceError> {
        let entries = match fs::read_dir(&self.0) {
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
        Ok(match fs::symlink_metadata(self.0.join(name)) {
            Ok(found) if found.is_file() => Found::File,
            Ok(_) => Found::Other,
            Err(_) => Found::Nothing,
        })
    }

    fn holds(&self, name: &str, output: &Output) -> Result<bool, PlaceError> {
        let path = self.0.join(name);
        // Opening a pipe would wait for its writer, and the job never writes links.
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() && found.len() == output.bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(Digest::of_reader(File::open(path)?)? == output.sha256)
    }

    fn is_copy(&self, _: &str, _: &str) -> Result<bool, PlaceError> {
        Ok(false)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn staging_name(&self, name: &str, sequence: Sequence) -> String {
        format!(".{name}.ckpt-{sequence}")
    }

    fn create(&self, staged: &str, _: Sequence) -> Result<PlaceWriter<'_>, PlaceError> {
        make_directory(&self.0)?;
        let file = create_replacing(&self.0.join(staged))?;
        Ok(PlaceWriter::File(BufWriter::with_capacity(BUFFER_BYTES, file), &self.0))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), PlaceError> {
        fs::rename(self.0.join(from), self.0.join(to))?;
        Ok(flush_directory(&self.0)?)
    }

    fn publish(&self, staged: &str, name: &str, _: Sequence, _: &Output) -> Result<(), PlaceError> {
        self.rename(staged, name)
    }

    /// No other run writes to the directory, so every file that is still staged is a stray.
    fn remove_strays(&self, staged: &[(String, Sequence)], _: Option<Sequence>) -> Result<(), PlaceError> {
        for (name, _) in staged {
            fs::remove_file(self.0.join(name))?;
        }
        if !self.0.exists() {
            return Ok(());
        }
        // This also flushes what an earlier run renamed just before it was killed.
        Ok(flush_directory(&self.0).and_then(|()| flush_name(&self.0))?)
    }
}
