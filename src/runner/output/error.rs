//! Why an output file or a dead-letter file cannot be used.

use std::io;

use crate::format::error::TableError;
use crate::input::InputError;
use crate::kafka::KafkaError;
use crate::shape::HavingError;
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::id::Sequence;

/// Why an output file or a dead-letter file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write output `{path}`")]
    Write { path: String, source: io::Error },
    #[error("cannot write `{path}`")]
    DeadLetter { path: String, source: io::Error },
    /// Lines of a dead-letter file are missing.
    #[error("`{path}` has {found} bytes, but the checkpoint counts {expected}")]
    DeadLetterShort {
        path: String,
        /// The size in bytes that the checkpoint names.
        expected: u64,
        /// The size of the file in bytes.
        found: u64,
    },
    /// The path of a dead-letter file is taken by something else.
    #[error("refusing to overwrite `{path}`: not a dead-letter file")]
    DeadLetterTaken { path: String },
    /// A bucket did not do what it was asked to.
    #[error(transparent)]
    Bucket(#[from] StorageError),
    /// Another object has the name of an output.
    #[error("refusing to overwrite `{path}`: not the output of this checkpoint")]
    Taken { path: String },
    /// A committed checkpoint publishes an object that is neither staged nor in place.
    #[error("cannot publish `{path}`: `{staged}` is gone")]
    Gone { path: String, staged: String },
    /// A committed checkpoint publishes a staged file whose bytes are others now.
    #[error("cannot publish `{path}`: `{staged}` was altered")]
    Altered { path: String, staged: String },
    #[error(transparent)]
    Having(#[from] HavingError),
    /// The job file names a place that cannot be opened.
    #[error("{reason}")]
    Place { reason: String },
    /// A topic did not do what it was asked to.
    #[error(transparent)]
    Topic(#[from] KafkaError),
    /// The file with settings of a topic cannot be used.
    #[error(transparent)]
    TopicSettings(Box<InputError>),
    /// Messages that a checkpoint has staged cannot be read.
    #[error(transparent)]
    Staged(Box<StoreError>),
    /// Messages that a checkpoint has staged are none, although their bytes are those that their name promises.
    #[error("cannot read the staged messages of a checkpoint")]
    StagedTable(#[from] TableError),
    /// Another worker has made a checkpoint with messages that this one cannot send.
    #[error("checkpoint {sequence} has messages for topic `{topic}`, which is not the output of this worker")]
    OtherTopic { sequence: Sequence, topic: String },
    /// Another worker has made a checkpoint with a file that this one cannot publish.
    #[error("checkpoint {sequence} publishes `{path}`, which is not an output of this worker")]
    OtherFile { sequence: Sequence, path: String },
    /// Another worker writes its output to a place of its own.
    #[error(
        "cannot confirm that worker `{worker}`, which made checkpoint {sequence}, writes its output here: `{sign}` is missing"
    )]
    NotShared {
        worker: String,
        sequence: Sequence,
        /// The empty file that would show that it writes to the same place.
        sign: String,
    },
    /// The dead letters of a run alone are in a file that several workers cannot continue.
    #[error("several workers cannot continue `{path}`, the file of a run without `--worker`")]
    LinesOfRunAlone { path: String },
    /// It is unknown what a topic has.
    #[error("{}{reason}", unclear(.topic, .checkpoint.as_ref()))]
    Unclear {
        topic: String,
        /// The checkpoint whose messages it has or lacks, if there are any.
        checkpoint: Option<Sequence>,
        reason: String,
    },
}

impl OutputError {
    /// Returns whether another try may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            OutputError::Topic(error) => error.may_pass(),
            OutputError::Staged(_) => true,
            _ => false,
        }
    }
}

fn unclear(topic: &str, checkpoint: Option<&Sequence>) -> String {
    checkpoint.map_or_else(String::new, |checkpoint| {
        format!("cannot tell whether topic `{topic}` has the messages of checkpoint {}: ", checkpoint.0)
    })
}
