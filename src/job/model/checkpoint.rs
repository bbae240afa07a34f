//! `checkpoint:`

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::store::prune::policy::Policy;

/// `checkpoint:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSpec {
    /// `enabled:` default true.
    pub enabled: bool,
    /// `schedule:` default `1m` if neither `state_bytes` nor `records` is given; required in mode scheduled.
    pub schedule: Option<Schedule>,
    /// `state_bytes:` take a checkpoint once this much state has changed since the last one.
    pub state_bytes: Option<u64>,
    /// `records:` take a checkpoint once this many records were applied since the last one.
    pub records: Option<u64>,
    /// `min_pause:` between the end of one checkpoint and the start of the next, default none.
    pub min_pause: Duration,
    /// `jitter:` the longest random delay of a scheduled checkpoint, default none.
    pub jitter: Duration,
    /// `timeout:` of an attempt, default none.
    pub timeout: Option<Duration>,
    /// `tolerate:` how many attempts in a row may fail before the run stops, default 0.
    pub tolerate: u32,
    /// `mode:` default elided.
    pub mode: Mode,
    /// `priorities:`, `budget:` and `max_staleness:`, in mode priority only.
    pub priority: Option<PrioritySpec>,
    /// `store:` default `checkpoints/JOB`.
    pub store: PathBuf,
    /// `replicas:` default none.
    pub replicas: Vec<PathBuf>,
    /// `min_copies:` how many copies (the store and its replicas) must have a checkpoint before it counts; default all.
    pub min_copies: usize,
    /// `keep:` default everything.
    pub keep: Option<KeepSpec>,
}

/// `checkpoint: schedule:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// An interval: since the last checkpoint, or aligned to the clock in mode scheduled.
    Every(Duration),
    /// A cron expression, for mode scheduled. [`crate::job::calendar::Calendar::cron`] reads it.
    Cron(String),
}

/// `checkpoint: keep:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepSpec {
    /// Which checkpoints to keep. At least one rule is set.
    pub policy: Policy,
    /// `grace:` how long pruning can be undone, default `24h`.
    pub grace: Duration,
}

/// What mode priority checkpoints first, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrioritySpec {
    /// `priorities:` in the order of the file.
    pub classes: Vec<PriorityClass>,
    /// `budget:` about how many bytes of changed rows one checkpoint writes.
    pub budget_bytes: Option<u64>,
    /// `max_staleness:` the longest that a shard waits, default `10m`.
    pub max_staleness: Duration,
}

/// One class of shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityClass {
    /// `name:` for messages; default the selector.
    pub name: String,
    pub selector: Selector,
    /// `weight:` 1 to 1000, default 1. Heavier classes come first.
    pub weight: u32,
    /// `every:` 1 to 1000, default 1. The class is included in every Nth checkpoint.
    pub every: u32,
}

/// What belongs to a class. A shard belongs to the most important class that anything in it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `tasks:` the first and the last.
    Tasks(u32, u32),
    /// `key:` a CEL expression over `key`.
    Key(String),
    /// `partitions:` a glob, for a job without a key.
    Partitions(String),
    /// Everything that belongs to no other class.
    Others,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Tasks(first, last) if first == last => write!(f, "task {first}"),
            Selector::Tasks(first, last) => write!(f, "tasks {first}-{last}"),
            Selector::Key(expression) => f.write_str(expression),
            Selector::Partitions(glob) => f.write_str(glob),
            Selector::Others => f.write_str("others"),
        }
    }
}
