//! Checks the small files beside the checkpoints: the store file, the list of replicas, pins, and the history.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::format::layout::{self, HISTORY, PINS, REPLICAS_FILE, STORE_FILE};
use crate::format::replicas_file::ReplicasFile;
use crate::format::store_file::StoreFile;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::verify::line_ends;
use crate::storage::{EntryKind, Storage, StorageError};
use crate::store::records::line_log::MAX_READ_BYTES;
use crate::store::records::{attempts, history, operations, pins};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// The small files of a replica.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Pins, events and `replicas.yaml`, by path; the SHA-256 of those that are as they were written.
    files: BTreeMap<String, Option<Digest>>,
}

/// Tells whether `bytes` are as they were written at `path`; nothing if that is not one of these files.
pub(in crate::ops) fn is_whole(path: &RelPath, bytes: &[u8]) -> Option<bool> {
    let path = path.as_str();
    match path.split_once('/') {
        None if path == STORE_FILE => Some(StoreFile::is_whole(bytes)),
        None if path == REPLICAS_FILE => Some(ReplicasFile::is_whole(bytes)),
        Some((PINS, name)) => layout::parse_pin(name).map(|sequence| pins::is_whole(sequence, bytes)),
        Some((HISTORY, name)) => layout::parse_event(name).map(|number| history::is_whole(number, bytes)),
        _ => None,
    }
}

impl Records {
    /// Reads every small file of a replica and checks it by itself.
    pub(super) fn check(storage: &dyn Storage, findings: &mut Findings) -> Result<Records, StorageError> {
        let mut records = Records::default();
        for (directory, code) in [
            (None, None),
            (Some(PINS), Some(FindingCode::PinDamaged)),
            (Some(HISTORY), Some(FindingCode::EventDamaged)),
        ] {
            let directory = directory.map(layout::directory);
            for entry in storage.list(directory.as_ref())? {
                let Ok(path) =
                    directory.as_ref().map_or_else(|| RelPath::new(&entry.name), |dir| dir.join(&entry.name))
                else {
                    continue;
                };
                if entry.kind != EntryKind::File {
                    continue;
                }
                if let Some(broken_lines) = log_reader(&entry.name).filter(|_| code == Some(FindingCode::EventDamaged))
                {
                    check_log(storage, &path, broken_lines, findings);
                    continue;
                }
                let bytes = match is_whole(&path, b"") {
                    None => continue,
                    Some(_) => storage.get(&path, yaml::MAX_BYTES as u64),
                };
                // Removed since it was listed, or nothing is known about it.
                if bytes.as_ref().is_err_and(|error| error.is_not_found() || findings.is_refusal(error)) {
                    continue;
                }
                let code = match path.as_str() {
                    STORE_FILE => FindingCode::StoreFileDamaged,
                    REPLICAS_FILE => FindingCode::ReplicasFileDamaged,
                    _ => code.expect("other files are in a directory"),
                };
                let is_intact = bytes.as_ref().is_ok_and(|bytes| is_whole(&path, bytes) == Some(true));
                let sha256 = bytes.as_ref().ok().filter(|_| is_intact).map(|bytes| Digest::of(bytes));
                // A store file that cannot be parsed has a finding already.
                if !is_intact && !findings.has(FindingCode::StoreFileDamaged, &path) {
                    let modified = |bytes: Bytes| {
                        let found = format!("modified ({} bytes)", bytes.len());
                        line_ends::explain(found, &bytes, |original| is_whole(&path, original) == Some(true))
                    };
                    let found = bytes.map_or_else(|error| in_one_line(&error), modified);
                    findings.add(code, &path, "the file as it was written", found, []);
                }
                if path.as_str() != STORE_FILE {
                    records.files.insert(path.to_string(), sha256);
                }
            }
        }
        records.check_numbers(findings);
        Ok(records)
    }

    /// Finds gaps in the numbers of the events.
    fn check_numbers(&self, findings: &mut Findings) {
        let numbers =
            self.files.keys().filter_map(|path| layout::parse_event(path.strip_prefix(HISTORY)?.strip_prefix('/')?));
        let numbers: BTreeSet<u64> = numbers.collect();
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return };
        for number in (*first..*last).filter(|number| !numbers.contains(number)).take(10) {
            findings.add(FindingCode::EventMissing, &layout::event(number), "an event", "nothing", []);
        }
    }
}

/// Returns what counts the broken lines of a file of `history/`, if it is one of a log.
fn log_reader(name: &str) -> Option<fn(&[u8]) -> usize> {
    if layout::parse_attempts(name).is_some() {
        return Some(attempts::broken_lines);
    }
    layout::parse_operations(name).map(|_| operations::broken_lines as fn(&[u8]) -> usize)
}

/// Counts the lines of a file of a log that are not as they were written.
fn check_log(storage: &dyn Storage, path: &RelPath, broken_lines: fn(&[u8]) -> usize, findings: &mut Findings) {
    let bytes = match storage.get(path, MAX_READ_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() || findings.is_refusal(&error) => return,
        Err(error) => {
            let found = in_one_line(&error);
            return findings.add(FindingCode::LogDamaged, path, "lines as they were written", found, []);
        }
    };
    let broken = broken_lines(&bytes);
    if broken > 0 {
        let found = format!("{broken} modified line{}", if broken == 1 { "" } else { "s" });
        let found = line_ends::explain(found, &bytes, |original| broken_lines(original) == 0);
        findings.add(FindingCode::LogDamaged, path, "lines as they were written", found, []);
    }
}

/// Finds files that a replica is missing and another one has. `others` are the records of all.
pub(super) fn compare(own: &Records, others: &[(String, &Records)], findings: &mut Findings) {
    for (place, other) in others {
        for (path, theirs) in &other.files {
            let ours = own.files.get(path).copied();
            let Ok(path) = RelPath::new(path) else { continue };
            // Damaged files have findings already. Pins and events may differ.
            let differs = path.as_str() == REPLICAS_FILE
                && ours.flatten().is_some()
                && theirs.is_some()
                && ours.flatten() != *theirs;
            if ours.is_some() && !differs {
                continue;
            }
            let code = match path.as_str() {
                REPLICAS_FILE => FindingCode::ReplicasFileDiffers,
                in_pins if in_pins.starts_with(PINS) => FindingCode::PinMissing,
                _ => FindingCode::EventMissing,
            };
            if !findings.has(code, &path) {
                findings.add(
                    code,
                    &path,
                    format!("the file that `{place}` has"),
                    if differs { "another" } else { "nothing" },
                    [],
                );
            }
        }
    }
}
