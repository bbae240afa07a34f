//! The files in a directory of RocksDB, by what they are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::contents::CURRENT;
use super::error::DirectoryError;

/// The files that the rows depend on.
#[derive(Debug)]
pub(super) struct Files {
    pub manifest: PathBuf,
    /// The newest one.
    pub options: PathBuf,
    /// The write-ahead logs.
    pub logs: Vec<PathBuf>,
    /// The names of the tables, `.sst` files.
    pub tables: BTreeSet<String>,
}

impl Files {
    /// Lists `directory`. Fails if a file is missing that RocksDB always writes.
    pub(super) fn list(directory: &Path) -> Result<Files, DirectoryError> {
        let failed = |source| DirectoryError::Io { path: directory.to_owned(), source };
        let missing = |what| DirectoryError::Missing { path: directory.to_owned(), what };
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            names.insert(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        if !names.contains(CURRENT) {
            return Err(missing("file `CURRENT`"));
        }
        let path = directory.join(CURRENT);
        let current = read(&path)?;
        let manifest = std::str::from_utf8(&current).ok().and_then(|text| text.strip_suffix('\n'));
        let manifest = manifest.filter(|name| number(name, "MANIFEST-", "").is_some()).ok_or_else(|| {
            let found = String::from_utf8_lossy(&current).trim_end().to_owned();
            DirectoryError::Damaged { path, reason: format!("expected the name of a manifest, found `{found}`") }
        })?;
        if !names.contains(manifest) {
            return Err(missing("manifest, which `CURRENT` names"));
        }
        let numbered = |start, end| names.iter().filter(move |name| number(name, start, end).is_some());
        let options = numbered("OPTIONS-", "").max_by_key(|name| number(name, "OPTIONS-", ""));
        let options = options.ok_or_else(|| missing("file `OPTIONS-NUMBER`"))?;
        let logs: Vec<PathBuf> = numbered("", ".log").map(|name| directory.join(name)).collect();
        // Who opens a store to change it makes both. A snapshot has neither.
        if logs.is_empty() && names.contains("LOCK") {
            return Err(missing("write-ahead log"));
        }
        Ok(Files {
            manifest: directory.join(manifest),
            options: directory.join(options),
            logs,
            tables: numbered("", ".sst").cloned().collect(),
        })
    }
}

/// Returns the number between `start` and `end` in the name of a file.
fn number(name: &str, start: &str, end: &str) -> Option<u64> {
    let digits = name.strip_prefix(start)?.strip_suffix(end)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DirectoryError> {
    fs::read(path).map_err(|source| DirectoryError::Io { path: path.to_owned(), source })
}
