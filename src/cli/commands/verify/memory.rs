//! The file in which `ckpt verify --for` keeps when it read each object.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::error::CliError;
use crate::format::layout::ObjectName;
use crate::ops::verify::{ReadTimes, Report};
use crate::store::Store;

/// The version of the file that is written and read.
const VERSION: u32 = 1;

/// The largest file that is read, in bytes: that of more than two million objects.
const MAX_BYTES: u64 = 256 << 20;

/// When each object was last found intact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    version: u32,
    /// By the absolute path of the replica.
    replicas: BTreeMap<String, BTreeMap<ObjectName, Timestamp>>,
}

impl Memory {
    /// Reads the file, which need not be there yet.
    pub(super) fn load(path: &Path) -> Result<Memory, CliError> {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Memory { version: VERSION, replicas: BTreeMap::new() });
            }
            Err(error) => return Err(CliError::io("read", path, &error)),
        };
        let unfit = || CliError::usage(format!("`{}` is no state of `ckpt verify`", path.display()));
        let hint = "remove it to begin anew; every object is then read once more";
        let memory: Memory = serde_json::from_slice(&bytes).map_err(|error| unfit().caused_by(&error).hint(hint))?;
        if memory.version == VERSION { Ok(memory) } else { Err(unfit().hint(hint)) }
    }

    /// Returns what is known of the replicas of `store`.
    pub(super) fn seen(&self, store: &Store) -> ReadTimes {
        let unavailable = store.unavailable.iter().map(|absent| &absent.storage);
        let places =
            store.replicas().iter().map(|replica| replica.storage()).chain(unavailable).map(|storage| storage.place());
        let known = places.filter_map(|place| {
            let times = self.replicas.get(&real(&place))?;
            Some((place, times.iter().map(|(object, time)| (*object, time.as_second())).collect()))
        });
        ReadTimes { places: known.collect() }
    }

    /// Notes what was read at `now`. What a store does not need any more is forgotten.
    pub(super) fn note(&mut self, reports: &[Report], now: Timestamp) {
        for report in reports.iter().filter(|report| report.objects > 0) {
            let place = real(&report.place);
            let old = self.replicas.remove(&place).unwrap_or_default();
            let left = report.left.iter().filter_map(|object| Some((*object, *old.get(object)?)));
            let times = report.intact.iter().map(|object| (*object, now)).chain(left).collect();
            self.replicas.insert(place, times);
        }
    }

    /// Writes the file: after a crash it is the old or the new, whole.
    pub(super) fn save(&self, path: &Path) -> Result<(), CliError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".tmp-{}", std::process::id()));
        let aside = Path::new(&aside);
        let write = || {
            let mut file = File::create(aside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(aside, path)
        };
        write().map_err(|error| {
            // The first error is the one to tell.
            let _ = fs::remove_file(aside);
            CliError::io("write", path, &error)
        })
    }
}

/// Returns the content of a regular file. To open a pipe would wait for its writer, and a device may have no end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if found.len() > MAX_BYTES {
        let message = format!("it has {} bytes, expected at most {MAX_BYTES}", found.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn real(place: &str) -> String {
    fs::canonicalize(place).map_or_else(|_| place.to_owned(), |path| path.display().to_string())
}
