//! Writing a staged file to a place.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::runner::output::place::error::PlaceError;
use crate::storage::durable::flush_directory;

/// Writes a staged file.
pub(crate) enum PlaceWriter<'a> {
    /// A file in the directory.
    File(BufWriter<File>, &'a Path),
    #[cfg(feature = "s3")]
    Object(crate::storage::bucket::objects::Upload<'a>),
}

impl PlaceWriter<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), PlaceError> {
        match self {
            PlaceWriter::File(file, _) => Ok(file.write_all(bytes)?),
            #[cfg(feature = "s3")]
            PlaceWriter::Object(object) => Ok(object.write(bytes)?),
        }
    }

    /// Flushes the file with its name: the checkpoint relies on both.
    pub(crate) fn finish(self) -> Result<(), PlaceError> {
        match self {
            PlaceWriter::File(file, dir) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                Ok(flush_directory(dir)?)
            }
            #[cfg(feature = "s3")]
            PlaceWriter::Object(object) => Ok(object.finish()?),
        }
    }
}
