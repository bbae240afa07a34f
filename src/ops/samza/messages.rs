//! The messages of a checkpoint topic. The last message of each task and version counts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::str::Utf8Error;

use super::finding::{SamzaCode, SamzaFinding};
use super::found::{Found, TaskCheckpoint};
use super::listing::{Listed, MOST_BYTES};
use crate::samza::checkpoint::{Checkpoint, Version};
use crate::samza::topic::Message;

/// The latest checkpoints by job, task and version.
pub(super) type Latest = BTreeMap<(Option<String>, String, Version), TaskCheckpoint>;

/// Reads the messages of a dump line by line.
pub(super) fn read(file: &Listed, found: &mut Found, latest: &mut Latest) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(&file.path)?);
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = lines.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        found.read_bytes += read as u64;
        if read as u64 == MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("line {number} is too long")));
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let message = match std::str::from_utf8(line) {
                Ok(text) => Message::parse(text).map_err(|error| error.to_string()),
                Err(error) => Err(not_text(error)),
            };
            add(&file.shown(), format!("{}:{number}", file.shown()), message, found, latest);
        }
    }
    Ok(())
}

/// Says why bytes are not text.
pub(super) fn not_text(error: Utf8Error) -> String {
    format!("bytes that are not UTF-8 after byte {}", error.valid_up_to())
}

/// Adds a message of `source`, which is at `place` there, or the reason why it cannot be read.
pub(super) fn add(
    source: &str,
    place: String,
    message: Result<Message, String>,
    found: &mut Found,
    latest: &mut Latest,
) {
    let damaged =
        |expected: &str, reason: String| SamzaFinding::new(SamzaCode::CheckpointDamaged, &place, expected, reason);
    let message = match message {
        Ok(message) => message,
        Err(reason) => return found.findings.push(damaged("a message with its key", reason)),
    };
    let Some(version) = message.key.version else { return };
    found.groupers.entry(source.to_owned()).or_default().insert(message.key.grouper);
    if let Some(name) = &message.job {
        found.ids.entry(name.job.clone()).or_default().insert(name.id.clone());
    }
    let key = (message.job.map(|name| name.job), message.key.task, version);
    // An older checkpoint does not count once there is a newer message, whatever is in it.
    latest.remove(&key);
    let Some(value) = message.value else { return };
    match Checkpoint::parse(version, value.as_bytes()) {
        Ok(checkpoint) => drop(latest.insert(key, TaskCheckpoint { checkpoint, place, written: message.written })),
        Err(error) => found.findings.push(damaged("a checkpoint", error.to_string()).of(&key.1)),
    }
}
