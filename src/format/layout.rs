//! The names of everything in a store, which are built and parsed only here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// The file that turns a directory into a store.
pub const STORE_FILE: &str = "store.yaml";
/// The file that a run locks while it writes. It names the holder.
pub const LOCK_FILE: &str = "lock";
/// The file that lists the replicas of the store.
pub const REPLICAS_FILE: &str = "replicas.yaml";
/// The directory of checkpoint directories.
pub const CHECKPOINTS: &str = "checkpoints";
/// The root of a checkpoint, inside its directory.
pub const MANIFEST_FILE: &str = "manifest.yaml";
/// The checksum list for `sha256sum -c`, beside the manifest.
pub const SUMS_FILE: &str = "SHA256SUMS";
/// The directory of objects.
pub const OBJECTS: &str = "objects/sha256";
/// The directory of damaged files that were replaced by good ones. Nothing reads it.
pub const DAMAGED: &str = "damaged";
/// The file that is locked while checkpoints are pruned or brought back, or pins change. It names the holder.
pub const PRUNE_LOCK_FILE: &str = "prune.lock";
/// The file that is locked while objects are deleted, or while a writer relies on an existing one.
pub const OBJECTS_LOCK_FILE: &str = "objects.lock";
/// The directory of pins.
pub const PINS: &str = "pins";
/// The directory of history events: what was removed, when and why.
pub const HISTORY: &str = "history";
/// The directory of requests to the run that holds the store, and of its answers.
pub const REQUESTS: &str = "requests";
/// The directory of pruned checkpoints that can still be brought back.
pub const PRUNED: &str = "pruned";

/// What an object contains, which is the extension of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    Parquet,
    Yaml,
}

impl fmt::Display for ObjectKind {
    /// Writes the extension, without the dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ObjectKind::Parquet => "parquet",
            ObjectKind::Yaml => "yaml",
        })
    }
}

/// The name of an object: the SHA-256 of its bytes and its kind, as in `3fa8….parquet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    pub digest: Digest,
    pub kind: ObjectKind,
}

/// A text that is not the name of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a SHA-256 and `.parquet` or `.yaml`, found {found:?}")]
pub struct ObjectNameError {
    /// The text, cut to 80 characters.
    pub found: String,
}

impl ObjectName {
    /// Returns the path of the object in a store: `objects/sha256/3f/3fa8….parquet`.
    pub fn path(&self) -> RelPath {
        let name = self.to_string();
        plain(format!("{OBJECTS}/{}/{name}", &name[..2]))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.digest, self.kind))
    }
}

impl FromStr for ObjectName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<ObjectName, ObjectNameError> {
        let parse = || {
            let (digest, ending) = text.split_once('.')?;
            let kind = match ending {
                "parquet" => ObjectKind::Parquet,
                "yaml" => ObjectKind::Yaml,
                _ => return None,
            };
            Some(ObjectName { digest: digest.parse().ok()?, kind })
        };
        parse().ok_or_else(|| ObjectNameError { found: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for ObjectName {
    type Error = ObjectNameError;

    fn try_from(text: String) -> Result<ObjectName, ObjectNameError> {
        text.parse()
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> String {
        name.to_string()
    }
}

/// Returns the path of [`STORE_FILE`].
pub fn store_file() -> RelPath {
    plain(STORE_FILE)
}

/// Returns the path of [`REPLICAS_FILE`].
pub fn replicas_file() -> RelPath {
    plain(REPLICAS_FILE)
}

/// Returns the path of [`LOCK_FILE`].
pub fn lock_file() -> RelPath {
    plain(LOCK_FILE)
}

/// Returns the path of [`PRUNE_LOCK_FILE`].
pub fn prune_lock_file() -> RelPath {
    plain(PRUNE_LOCK_FILE)
}

/// Returns the path of [`OBJECTS_LOCK_FILE`].
pub fn objects_lock_file() -> RelPath {
    plain(OBJECTS_LOCK_FILE)
}

/// Returns the path of a directory of a store, which is one of the constants above, such as [`PINS`].
pub fn directory(name: &'static str) -> RelPath {
    plain(name)
}

/// Returns the path of a file in `directory`, whose name is one of the constants above, such as [`MANIFEST_FILE`].
pub fn file_in(directory: &RelPath, name: &'static str) -> RelPath {
    plain(format!("{directory}/{name}"))
}

/// Returns where the `number`th damaged copy of an object is kept, from 1: `damaged/3fa8….parquet.1`.
pub fn damaged(object: ObjectName, number: u32) -> RelPath {
    plain(format!("{DAMAGED}/{object}.{number}"))
}

/// Returns where the `number`th damaged copy of another file is kept, from 1: `damaged/00000042-manifest.yaml.1`.
///
/// `path` is `store.yaml` or a file of a checkpoint.
pub fn damaged_file(path: &RelPath, number: u32) -> RelPath {
    let name = path.as_str().strip_prefix(CHECKPOINTS).unwrap_or(path.as_str());
    plain(format!("{DAMAGED}/{}.{number}", name.trim_start_matches('/').replace('/', "-")))
}

/// Returns the directory of checkpoint `sequence`: `checkpoints/00000042`.
pub fn checkpoint_dir(sequence: Sequence) -> RelPath {
    plain(format!("{CHECKPOINTS}/{sequence}"))
}

/// Returns the manifest of checkpoint `sequence`.
pub fn manifest(sequence: Sequence) -> RelPath {
    file_in(&checkpoint_dir(sequence), MANIFEST_FILE)
}

/// Returns the `SHA256SUMS` of checkpoint `sequence`.
pub fn sums(sequence: Sequence) -> RelPath {
    file_in(&checkpoint_dir(sequence), SUMS_FILE)
}

/// Returns the directory of checkpoint `sequence` after it was pruned: `pruned/00000042`.
pub fn pruned_dir(sequence: Sequence) -> RelPath {
    plain(format!("{PRUNED}/{sequence}"))
}

/// Returns the pin of checkpoint `sequence`: `pins/00000042.yaml`.
pub fn pin(sequence: Sequence) -> RelPath {
    plain(format!("{PINS}/{sequence}.yaml"))
}

/// Parses the file name of a pin.
pub fn parse_pin(name: &str) -> Option<Sequence> {
    name.strip_suffix(".yaml")?.parse().ok()
}

/// Returns history event `number`, from 1: `history/00000007.yaml`.
pub fn event(number: u64) -> RelPath {
    plain(format!("{HISTORY}/{number:08}.yaml"))
}

/// Parses the file name of a history event.
pub fn parse_event(name: &str) -> Option<u64> {
    name.strip_suffix(".yaml")?.parse().ok().map(|Sequence(number)| number)
}

/// Returns file `number` of the log of attempts, from 1: `history/attempts-00000001.jsonl`.
pub fn attempts(number: u64) -> RelPath {
    plain(format!("{HISTORY}/attempts-{number:08}.jsonl"))
}

/// Parses the name of a file of the log of attempts.
pub fn parse_attempts(name: &str) -> Option<u64> {
    name.strip_prefix("attempts-")?.strip_suffix(".jsonl")?.parse().ok().map(|Sequence(number)| number)
}

/// Returns file `number` of the log of operations, from 1: `history/operations-00000001.jsonl`.
pub fn operations(number: u64) -> RelPath {
    plain(format!("{HISTORY}/operations-{number:08}.jsonl"))
}

/// Parses the name of a file of the log of operations.
pub fn parse_operations(name: &str) -> Option<u64> {
    name.strip_prefix("operations-")?.strip_suffix(".jsonl")?.parse().ok().map(|Sequence(number)| number)
}

/// Returns request `id`, which is 32 hexadecimal digits: `requests/ID.yaml`.
pub fn request(id: &str) -> RelPath {
    plain(format!("{REQUESTS}/{id}.yaml"))
}

/// Returns the answer to request `id`: `requests/ID.answer.yaml`.
pub fn answer(id: &str) -> RelPath {
    plain(format!("{REQUESTS}/{id}.answer.yaml"))
}

/// Parses the file name of a request.
pub fn parse_request(name: &str) -> Option<String> {
    let id = name.strip_suffix(".yaml")?;
    (id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then(|| id.to_owned())
}

/// Returns the answer to request `id` of one of several workers, which 16 hexadecimal digits stand for:
/// `requests/ID.answer-WORKER.yaml`.
pub fn worker_answer(id: &str, worker: &str) -> RelPath {
    plain(format!("{REQUESTS}/{id}.answer-{worker}.yaml"))
}

/// Parses the file name of an answer, also of that of one of several workers.
pub fn parse_answer(name: &str) -> Option<String> {
    let (id, rest) = name.split_once(".answer")?;
    let worker = rest.strip_suffix(".yaml")?;
    let is_worker =
        |worker: &str| worker.len() == 16 && worker.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_answer = worker.is_empty() || worker.strip_prefix('-').is_some_and(is_worker);
    parse_request(&format!("{id}.yaml")).filter(|_| is_answer)
}

/// The size of the last line of a `SHA256SUMS` in bytes.
pub const MANIFEST_SUM_BYTES: u64 = 64 + 2 + MANIFEST_FILE.len() as u64 + 1;

/// Returns the `SHA256SUMS` of a checkpoint: one line for each of `objects`, which are sorted by name, then one for the
/// manifest.
pub fn sums_text(objects: impl IntoIterator<Item = ObjectName>, manifest: Digest) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str(&format!("{}  ../../{}\n", object.digest, object.path()));
    }
    text + &manifest_sum(manifest)
}

/// Returns the last line of a `SHA256SUMS`, which is that of the manifest.
pub fn manifest_sum(manifest: Digest) -> String {
    format!("{manifest}  {MANIFEST_FILE}\n")
}

/// Parses the last line of a `SHA256SUMS`. `end` is the end of the file, at least one byte more than that line, or all
/// of it.
pub fn parse_manifest_sum(end: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(end).ok()?.strip_suffix('\n')?;
    let line = text.rsplit('\n').next()?;
    line.strip_suffix(MANIFEST_FILE)?.strip_suffix("  ")?.parse().ok()
}

/// Parses a whole `SHA256SUMS`: the objects, strictly ascending, and the SHA-256 of the manifest.
///
/// Returns nothing if any byte differs from what [`sums_text`] writes.
pub fn parse_sums(bytes: &[u8]) -> Option<(Vec<ObjectName>, Digest)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split('\n');
    let manifest = lines.next_back()?.strip_suffix(MANIFEST_FILE)?.strip_suffix("  ")?.parse().ok()?;
    let object = |line: &str| {
        let (digits, path) = line.split_at_checked(64)?;
        let path = path.strip_prefix("  ../../")?.strip_prefix(OBJECTS)?.strip_prefix('/')?;
        let name = path.strip_prefix(digits.get(..2)?)?.strip_prefix('/')?;
        if name.get(..64)? == digits { name.parse().ok() } else { None }
    };
    let objects: Vec<ObjectName> = lines.map(object).collect::<Option<_>>()?;
    objects.is_sorted_by(|a, b| a < b).then_some((objects, manifest))
}

fn plain(path: impl Into<String>) -> RelPath {
    RelPath::new(path).expect("names in a store are plain")
}

#[cfg(test)]
mod tests;
