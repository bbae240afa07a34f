//! What the JSON documents of several commands share.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::cli::error::CliError;
use crate::format::key_shape::KeyShape;
use crate::format::manifest::Output;
use crate::ops::stats::Sizes;
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::url::is_url;
use crate::values::value::Value;

/// The version of every document. Adding a field keeps it; changing or removing one makes a new version.
pub const VERSION: u32 = 1;

/// The error that ends a command.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    error: &'a str,
    others: &'a [String],
    causes: &'a [String],
    hints: &'a [String],
    exit_code: u8,
}

impl<'a> From<&'a CliError> for ErrorView<'a> {
    fn from(error: &'a CliError) -> ErrorView<'a> {
        let CliError { exit, message, others, causes, hints } = error;
        ErrorView { version: VERSION, error: message, others, causes, hints, exit_code: exit.code() }
    }
}

/// The start of a document about a store.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StoreHead {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    store: String,
}

impl StoreHead {
    /// Makes the head for `store`.
    pub fn new(store: &Store) -> StoreHead {
        StoreHead { version: VERSION, store: store.place() }
    }
}

/// The start of a document about a store and its job.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobHead {
    #[serde(flatten)]
    head: StoreHead,
    job: String,
    /// Replicas that are not read because they diverged, or because it is not known whether they did.
    diverged: Vec<DivergedView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DivergedView {
    store: String,
    reason: String,
}

impl JobHead {
    /// Makes the head for `store`.
    pub fn new(store: &Store) -> JobHead {
        let diverged = store.not_read.iter().cloned().map(|(store, reason)| DivergedView { store, reason });
        JobHead { head: StoreHead::new(store), job: store.file.job.clone(), diverged: diverged.collect() }
    }

    /// Returns the path of the store.
    pub fn store(&self) -> &str {
        &self.head.store
    }
}

/// The start of a document about one checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckpointHead {
    #[serde(flatten)]
    head: StoreHead,
    sequence: u64,
}

impl CheckpointHead {
    /// Makes the head for checkpoint `sequence` of `store`.
    pub fn new(store: &Store, sequence: Sequence) -> CheckpointHead {
        CheckpointHead { head: StoreHead::new(store), sequence: sequence.0 }
    }
}

/// The start of a document of a command that has `--dry-run`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryRunHead {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    dry_run: bool,
    store: String,
}

impl DryRunHead {
    /// Makes the head for `store`.
    pub fn new(store: &Store, dry_run: bool) -> DryRunHead {
        DryRunHead { version: VERSION, dry_run, store: store.place() }
    }
}

/// What a checkpoint shares with others, in bytes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharingView {
    shared_bytes: u64,
    /// What removing only this checkpoint would free.
    reclaimable_bytes: u64,
}

impl From<&Sizes> for SharingView {
    fn from(sizes: &Sizes) -> SharingView {
        SharingView { shared_bytes: sizes.shared_bytes, reclaimable_bytes: sizes.reclaimable_bytes }
    }
}

/// Returns a value as JSON. A number keeps all its digits; a JSON value that is not valid JSON becomes a string.
pub fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_json()).unwrap_or_else(|_| raw_text(&value.to_string()))
}

/// Returns the parts of a key by the names of their columns.
pub fn parts(shape: &KeyShape, values: &[Value]) -> BTreeMap<String, Box<RawValue>> {
    shape.columns().into_iter().map(|column| column.name).zip(values.iter().map(raw)).collect()
}

/// Returns the path of a file in the store or replica at `place`, which can be opened from the current directory.
pub fn path_in(place: &str, path: &str) -> String {
    if path.is_empty() { place.to_owned() } else { format!("{}/{path}", place.trim_end_matches('/')) }
}

/// Returns files that were published, with paths that can be opened from the current directory. `base` is the directory
/// of the job file.
pub fn published(base: &Path, outputs: &[Output]) -> Vec<Output> {
    outputs.iter().map(|output| Output { path: path_from(base, &output.path), ..output.clone() }).collect()
}

/// Returns `path` relative to `base`, unless it is absolute or a URL.
pub fn path_from(base: &Path, path: &str) -> String {
    if is_url(Path::new(path)) { path.to_owned() } else { base.join(path).display().to_string() }
}

/// Returns text as a JSON string.
pub fn raw_text(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("text is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_always_valid_json() {
        let json = |value: Value| raw(&value).get().to_owned();
        assert_eq!(json(Value::Json("{\"a\": 1.10}".to_owned())), "{\"a\": 1.10}");
        assert_eq!(json(Value::Json("{not".to_owned())), "\"{not\"");
        assert_eq!(json(Value::Sketch(vec![1, 2])), "\"sketch of 2 bytes\"");
        assert_eq!(json(Value::Null), "null");
    }
}
