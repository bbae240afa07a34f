//! What a run needs to know besides the job, and how it is asked to stop.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;

use crate::runner::job_paths::Places;
use crate::runner::process::processor::Processors;

/// What a run needs to know besides the job.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of threads that parse and apply, at least 1.
    pub threads: usize,
    /// Whether a run that finds no checkpoint is an error.
    pub must_resume: bool,
    /// Whether a latest checkpoint that is damaged is left behind for the newest that is intact; else it is an error.
    pub latest_good: bool,
    /// Who holds the store while it runs, for the next one to be told.
    pub holder: String,
    /// Gives the time.
    pub clock: fn() -> Timestamp,
    /// Names a store that is created, and tells this run from others.
    pub random: [u8; 16],
    /// What jobs with `process: native:` may name.
    pub processors: Processors,
    /// How the places of the store are reached.
    pub places: Places,
    /// Variables that the programs of the job find in their environment besides.
    pub environment: Vec<(OsString, OsString)>,
}

/// What somebody outside asks of a run, at any time.
#[derive(Debug, Default)]
pub struct Control {
    /// Take a last checkpoint and end.
    pub stop: Arc<AtomicBool>,
    /// Take a checkpoint now.
    pub checkpoint: Arc<AtomicBool>,
}

/// How often triggers are looked at and the status is told.
pub(crate) const TICK: Duration = Duration::from_millis(50);
