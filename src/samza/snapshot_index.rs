//! The index of a snapshot in a blob store: which blobs are the files of a store.

use serde::{Deserialize, Deserializer};

use super::checkpoint_id::CheckpointId;
use super::error::FormatError;

/// The files of one store of one task, at one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotIndex {
    /// In milliseconds since 1970.
    pub creation_time_millis: i64,
    #[serde(rename = "snapshot-metadata")]
    pub owner: SnapshotOwner,
    #[serde(rename = "dir-index")]
    root: DirectoryIndex,
    /// The blob with the index that this one replaced.
    #[serde(rename = "prev-snapshot-index-blob-id")]
    pub previous: Option<String>,
}

/// What a snapshot belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotOwner {
    #[serde(deserialize_with = "checkpoint_id")]
    pub checkpoint_id: CheckpointId,
    pub job_name: String,
    pub job_id: String,
    pub task_name: String,
    pub store_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DirectoryIndex {
    dir_name: String,
    files_present: Vec<FileIndex>,
    sub_dirs_present: Vec<DirectoryIndex>,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileIndex {
    file_name: String,
    blobs: Vec<Blob>,
    #[serde(rename = "file-metadata")]
    metadata: FileMetadata,
    /// The CRC-32 of the whole file.
    pub checksum: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FileMetadata {
    size: u64,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Blob {
    pub blob_id: String,
    offset: u64,
}

impl FileIndex {
    /// Returns the parts, in the order in which they make the file.
    pub fn parts(&self) -> Vec<&Blob> {
        let mut parts: Vec<&Blob> = self.blobs.iter().collect();
        parts.sort_by_key(|blob| blob.offset);
        parts
    }

    /// Returns how many bytes the file has.
    pub fn size(&self) -> u64 {
        self.metadata.size
    }
}

impl SnapshotIndex {
    /// Parses an index.
    pub fn parse(bytes: &[u8]) -> Result<SnapshotIndex, FormatError> {
        serde_json::from_slice(bytes).map_err(|error| FormatError::json(bytes, &error))
    }

    /// Returns the files by path, those in subdirectories too. What was removed is left out: its blobs may be gone.
    pub fn files(&self) -> Vec<(String, &FileIndex)> {
        let mut files = Vec::new();
        self.root.collect("", &mut files);
        files
    }
}

impl DirectoryIndex {
    /// The parser limits how deep directories are nested.
    fn collect<'a>(&'a self, path: &str, files: &mut Vec<(String, &'a FileIndex)>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        files.extend(self.files_present.iter().map(|file| (below(&file.file_name), file)));
        self.sub_dirs_present.iter().for_each(|directory| directory.collect(&below(&directory.dir_name), files));
    }
}

fn checkpoint_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CheckpointId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
