//! Reads a directory and checks what RocksDB does not.

use std::path::Path;

use super::contents::DirectoryContents;
use super::database::for_each_row;
use super::error::DirectoryError;
use super::files::{self, Files};
use super::log_file;

/// The earliest time that RocksDB accepts in front of the end of a value, in seconds since 1970.
const EARLIEST: i32 = 1_368_146_402;

/// Reads all rows in the directory at `path`, as they are there, whatever checkpoint they belong to.
///
/// Fails if a file is missing or damaged. RocksDB compares the sizes of all tables with the manifest, and the checksum
/// of each block that it reads. If a job changes the directory in the meantime, that can fail too. A write-ahead log that
/// ends between two records is not told from a whole one.
pub fn read(path: &Path) -> Result<DirectoryContents, DirectoryError> {
    let files = Files::list(path)?;
    let mut logged_bytes = 0;
    for log in [&files.manifest].into_iter().chain(&files.logs) {
        let bytes = files::read(log)?;
        log_file::check(&bytes).map_err(|fault| {
            let reason = format!("{}, at byte {}", fault.reason, fault.at);
            DirectoryError::Damaged { path: log.clone(), reason }
        })?;
        if *log != files.manifest {
            logged_bytes += bytes.len() as u64;
        }
    }
    let expires = expires(&files.options)?;
    let mut rows = Vec::new();
    let found = for_each_row(path, |key, value| rows.push((key.to_vec(), value.to_vec())));
    let found = found.map_err(|reason| DirectoryError::Rows { path: path.to_owned(), reason })?;
    if found.families != ["default"] {
        return Err(DirectoryError::Families { path: path.to_owned(), names: found.families });
    }
    if expires && rows.iter_mut().any(|(_, value)| take_time(value).is_none_or(|time| time < EARLIEST)) {
        let options = files.options.display().to_string();
        return Err(DirectoryError::NoTime { path: path.to_owned(), options });
    }
    let unused = files.tables.difference(&found.tables).cloned().collect();
    Ok(DirectoryContents { rows, expires, logged_bytes, unused })
}

/// Removes the time from the end of a value, and returns it.
fn take_time(value: &mut Vec<u8>) -> Option<i32> {
    let (rest, time) = value.split_last_chunk::<4>()?;
    let (length, time) = (rest.len(), i32::from_le_bytes(*time));
    value.truncate(length);
    Some(time)
}

/// Tells from the options whether the store was opened with a time to live.
fn expires(path: &Path) -> Result<bool, DirectoryError> {
    let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
    let mut factories = text.lines().filter_map(|line| line.trim().strip_prefix("compaction_filter_factory="));
    let found = factories.next().filter(|_| factories.next().is_none());
    let name = found.map(|found| found.trim_start_matches("{id=").split(';').next().unwrap_or_default());
    match name {
        Some("nullptr") => Ok(false),
        Some("TtlCompactionFilterFactory") => Ok(true),
        _ => {
            let found = found.map_or_else(|| "none".to_owned(), |found| format!("`{found}`"));
            let reason =
                format!("expected one `compaction_filter_factory`, of RocksDB's times to live or none, found {found}");
            Err(DirectoryError::Damaged { path: path.to_owned(), reason })
        }
    }
}
