//! The home of the crate `rocksdb`.

use std::collections::BTreeSet;
use std::path::Path;

use rocksdb::{DB, DBRecoveryMode, IteratorMode, Options, ReadOptions};

/// What a directory has besides its rows.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub families: Vec<String>,
    /// The names of the tables that the rows are in.
    pub tables: BTreeSet<String>,
}

/// Calls `each` with the rows in `directory`, in the order of their keys. Fails with what RocksDB says.
///
/// The directory is opened for reading only: RocksDB then creates no file, not even its own log, and takes no lock.
/// What the write-ahead logs have is added in memory. They have to be whole, as for Samza, which opens its stores with
/// `AbsoluteConsistency`: the default of RocksDB stops at the first record that it cannot read, without an error.
pub(super) fn for_each_row(directory: &Path, mut each: impl FnMut(&[u8], &[u8])) -> Result<Described, String> {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
    let families = DB::list_cf(&options, directory).map_err(rocksdb::Error::into_string)?;
    if families != ["default"] {
        return Ok(Described { families, ..Described::default() });
    }
    let database = DB::open_for_read_only(&options, directory, false).map_err(rocksdb::Error::into_string)?;
    let live = database.live_files().map_err(rocksdb::Error::into_string)?;
    let tables = live.into_iter().map(|file| file.name.trim_start_matches('/').to_owned()).collect();
    let mut reading = ReadOptions::default();
    reading.set_verify_checksums(true);
    reading.fill_cache(false);
    for row in database.iterator_opt(IteratorMode::Start, reading) {
        let (key, value) = row.map_err(rocksdb::Error::into_string)?;
        each(&key, &value);
    }
    Ok(Described { families, tables })
}
