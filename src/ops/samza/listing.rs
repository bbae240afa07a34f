//! The files below the paths that the user named.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use walkdir::WalkDir;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub path: PathBuf,
    pub bytes: u64,
    pub modified: Option<Timestamp>,
    /// Whether the user named it, rather than a directory above.
    pub is_named: bool,
}

/// All files, in the order of their paths.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub files: Vec<Listed>,
    /// The directories without the files in them.
    pub directories: Vec<PathBuf>,
    /// What the system refused to list, with its reasons.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// How deep directories may be nested. Links to directories are not followed, so there is no circle.
const MOST_DEPTH: usize = 64;

/// The most bytes of a file that is parsed as a whole.
pub(super) const MOST_BYTES: u64 = 256 << 20;

impl Listed {
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns the first bytes, to see what the file is.
    pub(super) fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        fs::File::open(&self.path)?.take(4096).read_to_end(&mut head)?;
        Ok(head)
    }

    /// Returns the contents of a file of limited size.
    pub(super) fn contents(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(&self.path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("expected at most {MOST_BYTES} bytes")));
        }
        Ok(bytes)
    }
}

impl Listing {
    /// Lists `path`, which may be a file, and everything below it.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            self.add_directory(path)?;
        } else if metadata.is_file() {
            self.add_file(path.to_owned(), &metadata, true);
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file or directory"));
        }
        Ok(())
    }

    fn add_directory(&mut self, path: &Path) -> io::Result<()> {
        for entry in WalkDir::new(path).max_depth(MOST_DEPTH + 1).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() && entry.depth() > MOST_DEPTH => {
                    let error = io::Error::other(format!("directories are nested deeper than {MOST_DEPTH}"));
                    self.refused.push((entry.into_path(), error));
                }
                Ok(entry) if entry.file_type().is_dir() => self.directories.push(entry.into_path()),
                Ok(entry) => {
                    if let Err(error) = self.add_entry(entry.path()) {
                        self.refused.push((entry.into_path(), error));
                    }
                }
                // The walk has named the directory before it finds that it cannot be read.
                Err(error) => {
                    let (refused, depth) = (error.path().unwrap_or(path).to_owned(), error.depth());
                    let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a circle of links"));
                    if depth == 0 {
                        return Err(error);
                    }
                    if self.directories.last() == Some(&refused) {
                        self.directories.pop();
                    }
                    self.refused.push((refused, error));
                }
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, path: &Path) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => self.add_file(path.to_owned(), &metadata, false),
            // A link that leads nowhere, or a file that was removed since.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, metadata: &fs::Metadata, is_named: bool) {
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        self.files.push(Listed { path, bytes: metadata.len(), modified, is_named });
    }
}
