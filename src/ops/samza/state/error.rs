//! Why the state of a store cannot be read.

use std::io;
use std::path::PathBuf;

use crate::kafka::KafkaError;
use crate::samza::error::FormatError;
use crate::samza::serde::Serde;

/// Why the state of a store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("no task has state in a store `{store}`")]
    NoStore { store: String },
    #[error("the state of store `{store}` of task `{task}` is not in a changelog, but in {kept_in}")]
    NotInChangelog { task: String, store: String, kept_in: String },
    #[error(
        "the checkpoint of task `{task}` has the offset `{offset}` for its changelog `{changelog}`, expected a number"
    )]
    BadOffset { task: String, changelog: String, offset: String },
    /// The topic is not the one that the checkpoint is about, or it was cut off.
    #[error("the checkpoint of task `{task}` ends at offset {expected} of its changelog `{changelog}`, which {found}")]
    TooShort { task: String, changelog: String, expected: u64, found: String },
    #[error("the messages before offset {first} of the changelog `{changelog}` of task `{task}` were deleted")]
    Deleted { task: String, changelog: String, first: u64 },
    #[error(transparent)]
    Topic(#[from] KafkaError),
    #[error("cannot read `{}`", path.display())]
    Dump { path: PathBuf, source: io::Error },
    #[error("`{place}` is not a message that `kcat -J` printed")]
    BadLine { place: String, source: FormatError },
    #[error("`{place}` has offset {offset} of the changelog `{changelog}` after offset {before}")]
    NotAscending { place: String, changelog: String, offset: u64, before: u64 },
    #[error("`{place}` has a message without a key")]
    NoKey { place: String },
    #[error(
        "the {part} of key `{key}` in store `{store}` of task `{task}` is not what the serde `{}` writes: {reason}",
        .serde.name()
    )]
    Unreadable {
        task: String,
        store: String,
        /// The key as hexadecimal digits, or as what it says if its own serde reads it.
        key: String,
        part: &'static str,
        serde: Serde,
        reason: String,
    },
}
