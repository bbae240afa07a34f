//! A checkpoint of one task, in both versions of its JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::checkpoint_id::CheckpointId;
use super::error::FormatError;
use super::marker::Marker;
use super::partition::StreamPartition;

/// The version of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Input offsets and changelog offsets in one map. The only version in checkpoint files.
    V1,
    /// Input offsets, and a marker per state backend and store.
    V2,
}

/// The offset of the last message that was processed; `None` if none was.
pub type Offset = Option<String>;

/// What a task needs to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub version: Version,
    /// `None` in V1 without changelogs.
    pub id: Option<CheckpointId>,
    pub inputs: BTreeMap<StreamPartition, Offset>,
    pub state: Vec<StoreState>,
}

/// The state of one store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreState {
    /// The name of the store; V1 names only the changelog.
    pub store: Option<String>,
    /// The class name of the state backend, in V2.
    pub backend: Option<String>,
    pub marker: Marker,
}

#[derive(Deserialize)]
struct Entry {
    system: String,
    stream: String,
    partition: Partition,
    offset: Offset,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Partition {
    Number(u32),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    checkpoint_id: String,
    input_offsets: BTreeMap<String, Offset>,
    state_checkpoint_markers: BTreeMap<String, BTreeMap<String, String>>,
    version: Option<u32>,
}

impl Checkpoint {
    /// Parses a V1 checkpoint. The keys of its map are not read: the entries say the same.
    pub fn parse_v1(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
        let entries: BTreeMap<String, Entry> =
            serde_json::from_slice(bytes).map_err(|error| FormatError::json(bytes, &error))?;
        let mut checkpoint = Checkpoint::new_v1();
        for entry in entries.into_values() {
            let partition = match &entry.partition {
                Partition::Number(number) => Some(*number),
                Partition::Text(text) => text.parse().ok(),
            };
            let partition =
                partition.ok_or_else(|| FormatError::new(0, format!("`{}` has a bad partition", entry.stream)))?;
            let partition = StreamPartition { system: entry.system, stream: entry.stream, partition };
            checkpoint.add(partition, entry.offset);
        }
        checkpoint.state.sort();
        Ok(checkpoint)
    }

    /// Makes a V1 checkpoint without offsets.
    pub(super) fn new_v1() -> Checkpoint {
        Checkpoint { version: Version::V1, id: None, inputs: BTreeMap::new(), state: Vec::new() }
    }

    /// Adds an offset to a V1 checkpoint: that of an input, or that of a changelog with the id of the checkpoint before it.
    pub(super) fn add(&mut self, partition: StreamPartition, offset: Offset) {
        match offset.as_deref().and_then(Marker::parse_changelog_offset) {
            Some((id, offset)) => {
                self.id = self.id.max(Some(id));
                let marker = Marker::Changelog { partition, offset, id: Some(id) };
                self.state.push(StoreState { store: None, backend: None, marker });
            }
            None => drop(self.inputs.insert(partition, offset)),
        }
    }

    /// Parses a V2 checkpoint.
    pub fn parse_v2(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
        let document: Document = serde_json::from_slice(bytes).map_err(|error| FormatError::json(bytes, &error))?;
        if document.version.is_some_and(|version| version != 2) {
            return Err(FormatError::new(0, format!("expected version 2, found {}", document.version.unwrap_or(0))));
        }
        let id = document.checkpoint_id.parse().map_err(|reason: String| FormatError::new(0, reason))?;
        let mut state: Vec<StoreState> = Vec::new();
        for (backend, stores) in document.state_checkpoint_markers {
            state.extend(stores.into_iter().map(|(store, text)| StoreState {
                store: Some(store),
                marker: Marker::parse(&backend, &text),
                backend: Some(backend.clone()),
            }));
        }
        state.sort();
        Ok(Checkpoint { version: Version::V2, id: Some(id), inputs: parse_offsets(document.input_offsets)?, state })
    }

    /// Parses a checkpoint of a known version.
    pub fn parse(version: Version, bytes: &[u8]) -> Result<Checkpoint, FormatError> {
        match version {
            Version::V1 => Checkpoint::parse_v1(bytes),
            Version::V2 => Checkpoint::parse_v2(bytes),
        }
    }

    /// Returns when the checkpoint was begun, as its id says.
    pub fn time(&self) -> Option<Timestamp> {
        self.id.and_then(CheckpointId::time)
    }

    /// Returns the position in each changelog.
    pub fn changelogs(&self) -> BTreeMap<&StreamPartition, Option<&str>> {
        self.state
            .iter()
            .filter_map(|state| match &state.marker {
                Marker::Changelog { partition, offset, .. } => Some((partition, offset.as_deref())),
                _ => None,
            })
            .collect()
    }
}

/// Parses the keys of a map of offsets, such as `kafka.page-views.7`.
pub(super) fn parse_offsets(
    offsets: BTreeMap<String, Offset>,
) -> Result<BTreeMap<StreamPartition, Offset>, FormatError> {
    let parse = |(key, offset): (String, Offset)| match StreamPartition::parse_key(&key) {
        Some(partition) => Ok((partition, offset)),
        None => Err(FormatError::new(0, format!("expected `system.stream.partition`, found `{key}`"))),
    };
    offsets.into_iter().map(parse).collect()
}
