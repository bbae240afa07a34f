//! What a partition is.

use std::path::{Path, PathBuf};

/// A replayable source with a position of its own: a file, an object in a bucket, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The path as in the job file, with `/`; the URL of an object; `-` for standard input.
    pub name: String,
    pub source: Source,
    pub compression: Compression,
    /// The size as stored at the time it was listed; `None` for standard input.
    pub file_bytes: Option<u64>,
    /// For an object, its ETag at the time it was listed.
    pub etag: Option<String>,
}

/// Where the bytes of a partition come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// The object with this URL.
    Object(String),
    /// To resume, the same bytes must be piped in again.
    Stdin,
    /// A partition of a topic.
    Topic,
    /// A file or an object that was read and is gone.
    Gone,
}

/// How a partition is compressed, according to its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    /// `.gz`, with one or more members.
    Gzip,
    /// `.zst`, with one or more frames.
    Zstd,
}

impl Compression {
    /// Returns the compression that the extension of `path` stands for.
    pub(super) fn of(path: &Path) -> Compression {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some(ending) if ending.eq_ignore_ascii_case("gz") => Compression::Gzip,
            Some(ending) if ending.eq_ignore_ascii_case("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

impl Partition {
    /// Returns the partition of standard input.
    pub(super) fn stdin() -> Partition {
        let (source, compression) = (Source::Stdin, Compression::None);
        Partition { name: "-".to_owned(), source, compression, file_bytes: None, etag: None }
    }

    /// Returns whether reading can start at any offset, without reading what is before it.
    pub(super) fn is_seekable(&self) -> bool {
        self.compression == Compression::None && self.source != Source::Stdin
    }
}
