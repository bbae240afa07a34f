//! The file where `ckpt verify --for` records when it read each object.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::error::CliError;
use crate::cli::replace_file::replace_file;
use crate::format::layout::ObjectName;
use crate::ops::verify::{ReadTimes, Report};
use crate::store::Store;

/// The version of the file.
const VERSION: u32 = 1;

/// The largest file that is read, in bytes: enough for more than two million objects.
const MAX_BYTES: u64 = 256 << 20;

/// What is known about objects that were not read this time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unread {
    /// Whether there is a state file that says when objects were read.
    pub(super) is_known: bool,
    /// How many were never read.
    pub(super) never: u64,
    /// When the one was read that was not read for the longest time.
    pub(super) oldest: Option<Timestamp>,
}

/// When each object was last found intact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadTimesFile {
    version: u32,
    /// By the absolute path of the replica.
    replicas: BTreeMap<String, BTreeMap<ObjectName, Timestamp>>,
}

impl ReadTimesFile {
    /// Reads the file, which may not exist yet.
    pub(super) fn load(path: &Path) -> Result<ReadTimesFile, CliError> {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ReadTimesFile { version: VERSION, replicas: BTreeMap::new() });
            }
            Err(error) => return Err(CliError::io("read", path, &error)),
        };
        let unfit = || CliError::usage(format!("`{}` is not a state file of `ckpt verify`", path.display()));
        let hint = "remove it to start over; every object is then read again";
        let read_times: ReadTimesFile =
            serde_json::from_slice(&bytes).map_err(|error| unfit().caused_by(&error).hint(hint))?;
        if read_times.version == VERSION { Ok(read_times) } else { Err(unfit().hint(hint)) }
    }

    /// Returns the times for the replicas of `store`.
    pub(super) fn of_store(&self, store: &Store) -> ReadTimes {
        let unavailable = store.unavailable.iter().map(|absent| &absent.storage);
        let places =
            store.replicas().iter().map(|replica| replica.storage()).chain(unavailable).map(|storage| storage.place());
        let known = places.filter_map(|place| {
            let times = self.replicas.get(&real(&place))?;
            Some((place, times.iter().map(|(object, time)| (*object, time.as_second())).collect()))
        });
        ReadTimes { places: known.collect() }
    }

    /// Records what was read at `now`, and drops objects that the store no longer needs.
    pub(super) fn update(&mut self, reports: &[Report], now: Timestamp) {
        for report in reports.iter().filter(|report| report.objects > 0) {
            let place = real(&report.place);
            let old = self.replicas.remove(&place).unwrap_or_default();
            let left = report.left.iter().filter_map(|object| Some((*object, *old.get(object)?)));
            let times = report.intact.iter().map(|object| (*object, now)).chain(left).collect();
            self.replicas.insert(place, times);
        }
    }

    /// Returns what is known about the objects of `report` that were not read.
    pub(super) fn unread(&self, report: &Report) -> Unread {
        let known = self.replicas.get(&real(&report.place));
        let times = report.left.iter().map(|object| known?.get(object).copied());
        let (read, never): (Vec<_>, Vec<_>) = times.partition(Option::is_some);
        Unread { is_known: true, never: never.len() as u64, oldest: read.into_iter().flatten().min() }
    }

    /// Writes the file. After a crash it is either the old or the new one, complete.
    pub(super) fn save(&self, path: &Path) -> Result<(), CliError> {
        let bytes = serde_json::to_vec(self).map_err(|error| CliError::io("write", path, &error.into()))?;
        replace_file(path, &bytes)
    }
}

/// Reads a regular file. Opening a pipe would wait for its writer, and a device may never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if found.len() > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found {}", found.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn real(place: &str) -> String {
    fs::canonicalize(place).map_or_else(|_| place.to_owned(), |path| path.display().to_string())
}
