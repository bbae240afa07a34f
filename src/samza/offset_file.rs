//! The files that Samza keeps with the files of a local store.

use std::collections::BTreeMap;

use super::checkpoint::{Checkpoint, Offset, parse_offsets};
use super::error::FormatError;
use super::java_stream;
use super::partition::StreamPartition;

/// What a file with a store says, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OffsetFileKind {
    /// The V2 checkpoint that the files belong to.
    Checkpoint,
    /// The position in the changelog that the files have reached.
    Offset,
    /// The same, as older versions wrote it.
    OldOffset,
    /// The positions in the side inputs.
    SideInputs,
}

impl OffsetFileKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [OffsetFileKind; 4] =
        [OffsetFileKind::Checkpoint, OffsetFileKind::Offset, OffsetFileKind::OldOffset, OffsetFileKind::SideInputs];

    /// Returns the name of the file.
    pub fn file_name(self) -> &'static str {
        match self {
            OffsetFileKind::Checkpoint => "CHECKPOINT-V2",
            OffsetFileKind::Offset => "OFFSET-v2",
            OffsetFileKind::OldOffset => "OFFSET",
            OffsetFileKind::SideInputs => "SIDE-INPUT-OFFSETS",
        }
    }

    /// Returns the kind of a file.
    pub fn of(file_name: &str) -> Option<OffsetFileKind> {
        OffsetFileKind::ALL.into_iter().find(|kind| kind.file_name() == file_name)
    }
}

/// The contents of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffsetFile {
    Checkpoint(Checkpoint),
    /// Offsets by partition.
    Offsets(BTreeMap<StreamPartition, Offset>),
    /// The offset of the only changelog, which is not named.
    Bare(String),
}

impl OffsetFile {
    /// Parses a file. As for Samza, an offset file whose text is not a JSON object has the offset alone.
    pub fn parse(kind: OffsetFileKind, bytes: &[u8]) -> Result<OffsetFile, FormatError> {
        let text = java_stream::parse_text(bytes)?;
        if kind == OffsetFileKind::Checkpoint {
            return Checkpoint::parse_v2(text.as_bytes()).map(OffsetFile::Checkpoint);
        }
        if !text.trim_start().starts_with('{') {
            return Ok(OffsetFile::Bare(text));
        }
        let offsets = serde_json::from_str(&text).map_err(|error| FormatError::json(text.as_bytes(), &error))?;
        parse_offsets(offsets).map(OffsetFile::Offsets)
    }
}
