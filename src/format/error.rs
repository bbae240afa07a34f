//! Why a file of a store cannot be read.

/// A Parquet table that is not what its place in a store asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The file is not readable as Parquet, or it claims sizes that its bytes cannot hold.
    #[error("is not a readable Parquet table: {reason}")]
    Unreadable { reason: String },
    /// The columns, written as SQL writes them, are not the expected ones.
    #[error("expected columns {expected}, found {found}")]
    Columns { expected: String, found: String },
    /// A row, numbered from 0, is not what the format allows.
    #[error("row {row}: {reason}")]
    Row { row: u64, reason: String },
}

/// A YAML document of a store that this version cannot use: a manifest, a store file or a list of replicas.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The document is larger than any that this program writes.
    #[error("expected at most {limit} bytes, found {found}")]
    TooLarge { limit: u64, found: u64 },
    /// The document names another store format.
    #[error("store format {found} is not known to this version, which reads format {}", crate::format::FORMAT)]
    Format { found: u64 },
    /// The document does not hold what it should; `reason` has the line and column where there is one.
    #[error("{reason}")]
    Malformed { reason: String },
}
