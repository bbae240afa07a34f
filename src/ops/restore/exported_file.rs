//! A file of an exported state.

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    /// Whether an earlier attempt wrote it.
    pub kept: bool,
}
