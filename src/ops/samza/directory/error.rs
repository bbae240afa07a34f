//! Why a directory of RocksDB cannot be read.

use std::io;
use std::path::PathBuf;

/// Why a directory of RocksDB cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("this ckpt was built without the feature `rocksdb`, so it cannot read directories of RocksDB")]
    Unavailable,
    #[error("cannot read `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` has no {what}", path.display())]
    Missing { path: PathBuf, what: &'static str },
    /// A file that `ckpt` checks itself.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// What RocksDB says about the rest.
    #[error("cannot read the rows in `{}`: {reason}", path.display())]
    Rows { path: PathBuf, reason: String },
    #[error("`{}` has column families, which stores of Samza do not have: {}", path.display(), .names.join(", "))]
    Families { path: PathBuf, names: Vec<String> },
    #[error("a value in `{}` does not end with the time at which it was written, as `{options}` says", path.display())]
    NoTime { path: PathBuf, options: String },
}
