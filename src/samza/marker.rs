//! Where the state of a store was, at a checkpoint.

use serde::Deserialize;

use super::checkpoint_id::CheckpointId;
use super::partition::StreamPartition;

/// The state of a store at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// A position in a changelog.
    Changelog {
        partition: StreamPartition,
        /// The last message that is part of the state; `None` if the changelog was empty.
        offset: Option<String>,
        /// The checkpoint, in V1, which keeps it with each changelog.
        id: Option<CheckpointId>,
    },
    /// A snapshot in a blob store.
    Snapshot {
        /// The id of the blob with the snapshot index.
        index: String,
    },
    /// What another state backend wrote.
    Other { text: String },
    /// A marker of a changelog that Samza cannot read.
    Unreadable { text: String },
}

/// The name of the backend that restores state from a changelog.
pub const CHANGELOG_BACKEND: &str = "org.apache.samza.storage.KafkaChangelogStateBackendFactory";
/// The name of the backend that restores state from a blob store.
pub const BLOB_BACKEND: &str = "org.apache.samza.storage.blobstore.BlobStoreStateBackendFactory";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ChangelogMarker {
    changelog_ssp: ChangelogPartition,
    changelog_offset: Option<String>,
}

#[derive(Deserialize)]
struct ChangelogPartition {
    system: String,
    stream: String,
    partition: u32,
}

impl Marker {
    /// Parses the marker that `backend` wrote into a V2 checkpoint.
    pub fn parse(backend: &str, text: &str) -> Marker {
        match backend {
            CHANGELOG_BACKEND => match serde_json::from_str::<ChangelogMarker>(text) {
                Ok(ChangelogMarker {
                    changelog_ssp: ChangelogPartition { system, stream, partition },
                    changelog_offset,
                }) => {
                    let partition = StreamPartition { system, stream, partition };
                    Marker::Changelog { partition, offset: changelog_offset, id: None }
                }
                Err(_) => Marker::Unreadable { text: text.to_owned() },
            },
            BLOB_BACKEND => Marker::Snapshot { index: text.to_owned() },
            _ => Marker::Other { text: text.to_owned() },
        }
    }

    /// Parses the offset of a changelog in a V1 checkpoint, `ID:OFFSET`. Returns `None` for the offset of an input.
    pub fn parse_changelog_offset(offset: &str) -> Option<(CheckpointId, Option<String>)> {
        let (id, offset) = offset.split_once(':')?;
        Some((id.parse().ok()?, (offset != "null").then(|| offset.to_owned())))
    }
}
