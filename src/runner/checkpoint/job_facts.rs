//! What every checkpoint of a run says alike.

use std::time::{Duration, Instant};

use crate::format::key_shape::KeyShape;
use crate::format::manifest::{Mode, Routing};
use crate::format::positions::BatchEnds;
use crate::job::MaxBad;
use crate::runner::error::RunError;
use crate::runner::options::Share;
use crate::values::value::Column;

/// The facts about the job that its checkpoints record, or are made by.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// The job's name.
    pub job: String,
    /// The job's definition, as YAML.
    pub definition: String,
    pub mode: Mode,
    pub tasks: u32,
    pub shards: u32,
    pub routing: Routing,
    /// What keys consist of, if they have several parts.
    pub key: Option<KeyShape>,
    /// The columns of the state.
    pub columns: Vec<Column>,
    /// What this worker has, if it is one of several. Its partitions are its shards.
    pub share: Option<Share>,
    /// Where the batch ends, if this worker reads the topic to an end.
    pub batch: Option<BatchEnds>,
    /// How many bad records the job may leave out, if several workers share it. A run alone looks before each cut.
    pub max_bad: Option<MaxBad>,
    /// The size of the input's grid in bytes.
    pub block_bytes: u64,
    /// An attempt that takes longer is not committed.
    pub timeout: Option<Duration>,
    /// The id of the run, for the log of attempts.
    pub run: String,
    /// The threads that sort and encode, at least one.
    pub encoders: usize,
}

impl JobFacts {
    /// Returns whether each checkpoint holds all rows, and shares no object with others.
    pub fn takes_all(&self) -> bool {
        self.mode == Mode::Scheduled
    }

    /// Fails if an attempt that began at `begun` takes too long.
    pub(super) fn check_time(&self, begun: Instant) -> Result<(), RunError> {
        match self.timeout {
            Some(timeout) if begun.elapsed() > timeout => Err(RunError::CheckpointTimeout { timeout }),
            _ => Ok(()),
        }
    }
}
