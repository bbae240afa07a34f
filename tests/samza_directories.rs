//! The rows in directories of RocksDB that Samza 1.8.0 wrote are read as they are, and damage never makes them fewer
//! without a word. `tests/samza/README.md` says how the directories were made.
//!
//! By default a sample of the bytes of each file is damaged; `CKPT_FAULTS=all` tries every byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ckpt::ops::samza::directory::{DirectoryContents, DirectoryError, read};
use serde_json::Value;

use crate::samza::{Golden, totals};
use crate::support::tree;

/// The clicks that `files.ProduceClicks` wrote for the job `rocks`, half of them into each of two partitions, and the
/// messages of a partition after which the job committed.
const CLICKS: u64 = 6600;
const COMMITTED: u64 = 2000;

/// Returns the directories below `under` whose names begin with `start`.
fn directories(golden: &Golden, under: &str, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(golden.path(under)).expect("listed").map(|entry| entry.expect("an entry").path());
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let mut found: Vec<PathBuf> = entries.filter(is_it).collect();
    found.sort();
    found
}

/// Returns the only directory of a snapshot of `task`.
fn snapshot(golden: &Golden, store: &str, task: &str) -> PathBuf {
    let found = directories(golden, &format!("rocks/stores/{store}"), &format!("{task}-"));
    assert_eq!(found.len(), 1);
    found[0].clone()
}

fn contents(path: &Path) -> DirectoryContents {
    read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json_rows(contents: &DirectoryContents) -> BTreeMap<String, Value> {
    let row = |(key, value): &(Vec<u8>, Vec<u8>)| {
        (String::from_utf8(key.clone()).expect("text"), serde_json::from_slice(value).expect("JSON"))
    };
    contents.rows.iter().map(row).collect()
}

#[test]
fn a_snapshot_has_the_state_at_its_checkpoint_and_the_files_in_use_are_ahead_of_it() {
    let golden = Golden::new();
    for (partition, task) in (0..).zip(["Partition_0", "Partition_1"]) {
        let at_checkpoint = contents(&snapshot(&golden, "totals", task));
        assert_eq!(json_rows(&at_checkpoint), totals(partition, COMMITTED));
        assert_eq!((at_checkpoint.expires, at_checkpoint.logged_bytes), (false, 0));
        assert!(at_checkpoint.unused.is_empty());
        let in_use = json_rows(&contents(&golden.path(&format!("rocks/stores/totals/{task}"))));
        let ahead = (COMMITTED + 1..=CLICKS / 2).find(|messages| totals(partition, *messages) == in_use);
        assert!(ahead.is_some(), "{in_use:?}");
    }
}

#[test]
fn the_time_that_expires_a_row_is_not_part_of_its_value() {
    let golden = Golden::new();
    for (partition, task) in (0..).zip(["Partition_0", "Partition_1"]) {
        let found = contents(&snapshot(&golden, "clicks", task));
        assert!(found.expires);
        let expected = totals(partition, COMMITTED).into_iter().map(|(user, total)| {
            (user.into_bytes(), total["clicks"].as_u64().expect("a number").to_be_bytes().to_vec())
        });
        assert_eq!(found.rows, expected.collect::<Vec<_>>());
    }
}

#[test]
fn rows_of_every_compression_and_of_a_write_ahead_log_are_read() {
    let golden = Golden::new();
    let expected: Vec<_> =
        (0..300u64).map(|number| (number.to_be_bytes().to_vec(), (number * number).to_be_bytes().to_vec())).collect();
    for store in ["none", "bzip2", "lz4", "lz4hc", "zlib", "logged"] {
        let found = contents(&golden.path(&format!("written/stores/{store}/Partition_0")));
        assert_eq!(found.rows, expected, "{store}");
        assert_eq!(found.logged_bytes > 0, store == "logged");
    }
}

#[test]
fn reading_changes_nothing() {
    let golden = Golden::new();
    let seen = |under: &str| {
        let files = tree(&golden.path(under));
        let times = files
            .keys()
            .map(|name| fs::metadata(golden.path(under).join(name)).expect("there").modified().expect("a time"));
        (times.collect::<Vec<_>>(), files)
    };
    for under in ["rocks/stores/totals", "rocks/stores/clicks", "written/stores/logged"] {
        let before = seen(under);
        for directory in directories(&golden, under, "Partition") {
            contents(&directory);
        }
        assert!(seen(under) == before, "{under}");
    }
}

/// The directories that are damaged: tables alone, tables with times in their values, files in use, and a log alone.
fn damaged(golden: &Golden) -> Vec<PathBuf> {
    vec![
        snapshot(golden, "totals", "Partition_0"),
        snapshot(golden, "clicks", "Partition_1"),
        golden.path("rocks/stores/totals/Partition_0"),
        golden.path("written/stores/logged/Partition_0"),
    ]
}

/// The files of a directory with their bytes, without those beside it that are not of RocksDB.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read(path).expect("readable")))
        .collect();
    found.retain(|(path, _)| !path.ends_with("CHECKPOINT-V2") && !path.to_string_lossy().contains("OFFSET"));
    found.sort();
    found
}

/// The positions at which a file is damaged.
fn positions(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let step = if std::env::var("CKPT_FAULTS").is_ok_and(|value| value == "all") { 1 } else { bytes.len() / 40 + 1 };
    (0..bytes.len()).step_by(step)
}

/// Fails unless damage was noticed or changed nothing.
fn check(directory: &Path, intact: &DirectoryContents, what: &str) {
    match read(directory) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(found) => {
            assert!(found == *intact || !found.unused.is_empty(), "{what}: fewer or other rows without a word")
        }
    }
}

#[test]
fn a_changed_byte_is_noticed_or_changes_nothing() {
    let golden = Golden::new();
    for directory in damaged(&golden) {
        let intact = contents(&directory);
        for (path, bytes) in files(&directory) {
            for at in positions(&bytes) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                fs::write(&path, changed).expect("written");
                check(&directory, &intact, &format!("{}, byte {at}", path.display()));
            }
            fs::write(&path, &bytes).expect("written");
        }
        assert_eq!(contents(&directory), intact);
    }
}

/// The type of the first record of a log says that the record is of an older file: RocksDB alone reads no row then.
#[test]
fn every_bit_in_the_head_of_a_log_counts() {
    let golden = Golden::new();
    let directory = golden.path("written/stores/logged/Partition_0");
    let path = directory.join("000005.log");
    let bytes = fs::read(&path).expect("readable");
    for bit in 0..7 * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, changed).expect("written");
        let error = read(&directory).expect_err("damaged");
        assert!(matches!(error, DirectoryError::Damaged { .. }), "bit {bit}: {error}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_noticed_or_changes_nothing() {
    let golden = Golden::new();
    for directory in damaged(&golden) {
        let intact = contents(&directory);
        for (path, bytes) in files(&directory) {
            for at in positions(&bytes) {
                // How many records a log had is not recorded.
                if path.extension().is_some_and(|extension| extension == "log") && ends(&bytes).contains(&at) {
                    continue;
                }
                fs::write(&path, &bytes[..at]).expect("written");
                check(&directory, &intact, &format!("{} cut short at {at}", path.display()));
            }
            fs::write(&path, &bytes).expect("written");
        }
    }
}

/// Where the records of a log that is shorter than a block end.
fn ends(log: &[u8]) -> Vec<usize> {
    let mut ends = vec![0];
    while let Some(header) = log.get(ends[ends.len() - 1]..).filter(|rest| rest.len() >= 7) {
        ends.push(ends[ends.len() - 1] + 7 + usize::from(u16::from_le_bytes([header[4], header[5]])));
    }
    ends
}

#[test]
fn a_missing_file_is_named_or_changes_nothing() {
    let golden = Golden::new();
    let mut messages = Vec::new();
    for directory in damaged(&golden) {
        let intact = contents(&directory);
        for (path, bytes) in files(&directory) {
            fs::remove_file(&path).expect("removed");
            check(&directory, &intact, &format!("without {}", path.display()));
            if let Err(error) = read(&directory) {
                messages.push(error.to_string());
            }
            fs::write(&path, bytes).expect("written");
        }
    }
    for part in ["has no file `CURRENT`", "has no manifest, which `CURRENT` names", "has no file `OPTIONS-NUMBER`"] {
        assert!(messages.iter().any(|message| message.ends_with(part)), "{part}: {messages:#?}");
    }
    let log = golden.path("written/stores/logged/Partition_0/000005.log");
    fs::remove_file(&log).expect("removed");
    let error = read(log.parent().expect("a parent")).expect_err("without the log");
    assert!(error.to_string().ends_with("has no write-ahead log"), "{error}");
}

#[test]
fn tables_that_the_manifest_does_not_name_are_reported() {
    let golden = Golden::new();
    let (from, to) = (golden.path("rocks/stores/totals/Partition_0"), snapshot(&golden, "totals", "Partition_0"));
    fs::copy(from.join("000015.sst"), to.join("000015.sst")).expect("copied");
    let found = contents(&to);
    assert_eq!(found.unused, ["000015.sst"]);
    assert_eq!(json_rows(&found), totals(0, COMMITTED));
}
