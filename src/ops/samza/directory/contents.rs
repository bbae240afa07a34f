//! What is in a directory of RocksDB.

/// The name of the file that every directory of RocksDB has, and that names its manifest.
pub const CURRENT: &str = "CURRENT";

/// What is in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryContents {
    /// Sorted by the bytes of the keys; all in memory.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether Samza expires rows, as `rocksdb.ttl.ms` says. It keeps a time in the last 4 bytes of each value, which
    /// are left out here.
    pub expires: bool,
    /// The bytes of write-ahead logs, whose changes are part of the rows.
    pub logged_bytes: u64,
    /// The tables that the manifest does not name, so their rows are left out.
    pub unused: Vec<String>,
}
