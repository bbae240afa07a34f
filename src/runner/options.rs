//! What a run needs to know besides the job, and how it is asked to stop.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::format::positions::BatchEnds;
use crate::runner::output::topic::AssumedOutput;
use crate::runner::process::processor::Processors;
use crate::runner::state::kept::KeptShards;
use crate::runner::storage_opener::StorageOpener;
use crate::runner::wall_clock::WallClock;
use crate::values::id::Sequence;

/// What a run needs to know besides the job.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of threads that parse and apply records, at least 1.
    pub threads: usize,
    /// Whether the run fails if there is no checkpoint to resume from.
    pub must_resume: bool,
    /// Whether the run skips damaged checkpoints and resumes from the newest intact one. Otherwise damage is an error.
    pub latest_good: bool,
    /// What to assume if it is unknown whether the topic of the output has the messages of the latest checkpoint. Otherwise
    /// that is an error.
    pub assumed_output: Option<AssumedOutput>,
    /// Who holds the store during the run, for the error message of another run.
    pub holder: String,
    pub clock: WallClock,
    /// Becomes the identity of a store that is created, and distinguishes this run from others.
    pub random: [u8; 16],
    /// The processors that jobs with `process: native:` may name.
    pub processors: Processors,
    /// Opens the store and its replicas.
    pub storages: StorageOpener,
    /// Additional environment variables for the programs of the job.
    pub environment: Vec<(OsString, OsString)>,
    /// What one of several workers has.
    pub share: Option<Arc<Share>>,
}

/// What one of several workers has.
#[derive(Debug, Clone)]
pub struct Share {
    /// The name of the worker.
    pub worker: String,
    /// The partitions that it reads, by their numbers, and whose tasks it has.
    pub partitions: BTreeSet<u32>,
    /// What it had loaded or made before, which is not loaded again.
    pub kept: Arc<KeptShards>,
    /// The batch that it may begin, if it reads the topic to an end.
    pub batch: Option<Arc<NewBatch>>,
}

/// The batch that one of several workers begins, unless another one was faster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Where the topic ended when the worker started.
    pub ends: BatchEnds,
    /// The checkpoint that was the latest then, if it had everything up to an end: the batch that it completed is not the
    /// worker's. A later one that is complete has completed the worker's own batch.
    pub after: Option<Sequence>,
}

/// Requests to a run, which may be set at any time.
#[derive(Debug, Default)]
pub struct Control {
    /// Make a last checkpoint and end.
    pub stop: Arc<AtomicBool>,
    /// Make a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
}

/// How often triggers are checked and the status is reported.
pub(crate) const TICK: Duration = Duration::from_millis(50);
