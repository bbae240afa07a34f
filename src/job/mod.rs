//! The job file: what it may say, and what it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::store::prune::policy::Policy;
use crate::values::value::ColumnType;
use crate::values::yaml;
use crate::values::yaml::YamlError;

mod aggregate;
pub mod calendar;
pub mod definition;
mod difference;
mod exec;
mod field;
mod given;
mod keys;
mod priority;
mod read;
mod time;
pub mod write;

pub use aggregate::{AggregateFunction, AggregateSpec};
pub use difference::{Difference, Effect, differences};
pub use exec::ExecSpec;
pub use field::{ExpressionError, FieldPath};
pub use given::{GivenInput, literal};
pub use keys::KEYS;
pub use priority::{PriorityClass, PrioritySpec, Selector, key_filter};
pub use time::{EventTime, OnLate, TimeUnit, TtlSpec, WindowSpec};

/// A job, as its file describes it. Paths are as written; [`JobSpec::resolve`] makes them usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// `job:` the name: letters, digits, `-`, `_` and `.`, at most 100, not beginning with `.` or `-`.
    pub job: String,
    /// `input:`
    pub input: InputSpec,
    /// `where:` a CEL expression; records for which it is not true are left out.
    pub filter: Option<String>,
    /// `key:` the field that routes; without it each partition is a task.
    pub key: Option<FieldPath>,
    /// `tasks:` 1 to 1,000,000, default 64; 0 without a key.
    pub tasks: u32,
    /// `process: aggregate:` in the order of the file; at least one, or else `exec`.
    pub aggregates: Vec<AggregateSpec>,
    /// `process: exec:` a program; then there are no aggregates.
    pub exec: Option<ExecSpec>,
    /// `process: native:` the name of a processor that the program has built in; then there is nothing else.
    pub native: Option<String>,
    /// `process: window:` the windows that each key has a row for; none: one row for all time.
    pub window: Option<WindowSpec>,
    /// `process: ttl:` how long a key stays without a record; none: for ever. Never together with windows.
    pub ttl: Option<TtlSpec>,
    /// `checkpoint:`
    pub checkpoint: CheckpointSpec,
    /// `output:`
    pub output: Option<OutputSpec>,
    /// The directory of the job file: what relative paths are relative to.
    pub base: PathBuf,
}

/// `input:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// `files:` one path, a glob, or a list of them, each once; `-` alone is standard input.
    pub files: Vec<String>,
    /// `format: json | csv | text`; default by the first file's ending (`.jsonl .ndjson .json`, `.csv .tsv`, `.txt .log`, before `.gz` or `.zst`).
    pub format: InputFormat,
    /// `types:` of fields, for `min`, `max`, `first` and `last`: `number`, `text`, `bool`, `int` or `json`. What is not here is told from the first records.
    pub types: Vec<(FieldPath, ColumnType)>,
    /// `on_error:` default `fail`.
    pub on_error: OnError,
    /// `max_record_bytes:` default 16 MiB: a longer record is a bad record.
    pub max_record_bytes: u64,
    /// `follow:` whether files are read on as they grow; default false.
    pub follow: bool,
}

/// How the bytes of a partition are split into records, and these into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFormat {
    /// A JSON object a line.
    Json,
    /// RFC 4180 with a header line; fields are named by it. `delimiter:` default `,`, a tab for `.tsv`.
    Csv {
        /// The byte between fields.
        delimiter: u8,
    },
    /// A line is a record with the one field `line`.
    Text,
    /// `format: text` with `split: words`: a line is a record, and each word (Unicode, UAX 29) in it is applied with the one field `word`.
    Words,
}

/// What happens to a bad record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// The run stops and names it.
    Fail,
    /// It is counted and left out.
    Skip,
    /// `dead_letter: FILE`: it is counted, left out, and appended to a file.
    DeadLetter(PathBuf),
}

/// `checkpoint:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSpec {
    /// `enabled:` default true.
    pub enabled: bool,
    /// `schedule:` default `1m` when neither `state_bytes` nor `records` is given; required in mode scheduled.
    pub schedule: Option<Schedule>,
    /// `state_bytes:` when so much state has changed since the last.
    pub state_bytes: Option<u64>,
    /// `records:` when so many records were applied since the last.
    pub records: Option<u64>,
    /// `min_pause:` between the end of one and the begin of the next, default none.
    pub min_pause: Duration,
    /// `jitter:` scheduled ones come up to so much later, default none.
    pub jitter: Duration,
    /// `timeout:` of an attempt to make a checkpoint; default none.
    pub timeout: Option<Duration>,
    /// `tolerate:` how many attempts in a row may fail before the run ends, default 0.
    pub tolerate: u32,
    /// `mode:` default elided.
    pub mode: Mode,
    /// `priorities:`, `budget:` and `max_staleness:`, in mode priority only.
    pub priority: Option<PrioritySpec>,
    /// `store:` default `checkpoints/JOB`.
    pub store: PathBuf,
    /// `replicas:` default none.
    pub replicas: Vec<PathBuf>,
    /// `min_copies:` of the store and its replicas, how many a checkpoint must be in before it counts; default all.
    pub min_copies: usize,
    /// `keep:` default everything.
    pub keep: Option<KeepSpec>,
}

/// `checkpoint: schedule:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// An interval: after the last one, or aligned to the clock in mode scheduled.
    Every(Duration),
    /// A cron expression, for mode scheduled. [`crate::job::calendar::Calendar::cron`] reads it.
    Cron(String),
}

/// `checkpoint: keep:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepSpec {
    /// Which checkpoints stay; it has a rule.
    pub policy: Policy,
    /// `grace:` how long the others can be brought back, default `24h`.
    pub grace: Duration,
}

/// `output:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// `files:` a directory, which gets the file `JOB.jsonl`, `JOB.csv` or `JOB.parquet`; one for each checkpoint with [`Emit::Changes`] and [`Emit::Rows`].
    pub files: PathBuf,
    /// `format: json | csv | parquet`, default json.
    pub format: OutputFormat,
    /// `emit: final | changes | rows`; default `rows` with `exec`, else `final`.
    pub emit: Emit,
}

/// Which rows an output has, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// All rows, when the input has ended.
    Final,
    /// With each checkpoint those that changed since the one before, or the windows that were closed.
    Changes,
    /// With each checkpoint those that the program has emitted since the one before.
    Rows,
}

/// The format of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A JSON object a line.
    Json,
    /// With a header line.
    Csv,
    /// An Apache Parquet table.
    Parquet,
}

/// What is wrong with a job file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SpecError {
    /// The job file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong: lower case, names in backquotes.
    pub message: String,
}

impl SpecError {
    /// Makes an error about a value that only a run can judge, such as a glob that matches no file.
    ///
    /// The place is that of the scalar `value` at `key`, which is a dotted path such as `input.files`; else that of the key, else the file's beginning.
    pub fn about(text: &str, file: &Path, key: &str, value: Option<&str>, message: impl Into<String>) -> SpecError {
        let mark = yaml::parse(text).ok().and_then(|root| read::find(&root, key, value));
        let (line, column) = mark.map_or((1, 1), |mark| (mark.line, mark.column));
        SpecError { file: file.display().to_string(), line, column, message: message.into() }
    }

    fn new(file: &Path, error: YamlError) -> SpecError {
        SpecError {
            file: file.display().to_string(),
            line: error.mark.line,
            column: error.mark.column,
            message: error.problem.to_string(),
        }
    }
}

impl JobSpec {
    /// Reads the job file `text`, found at `file`.
    ///
    /// The `where:` expression is taken as it stands: [`crate::input::record::Filter`] compiles it, and [`SpecError::about`] says where it is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, SpecError> {
        JobSpec::parse_given(text, file, GivenInput::None)
    }

    /// Reads the job file `text`, found at `file`, with other input than it names.
    pub fn parse_given(text: &str, file: &Path, input: GivenInput<'_>) -> Result<JobSpec, SpecError> {
        let base = file.parent().unwrap_or(Path::new(""));
        let mut root = yaml::parse(text).map_err(|error| SpecError::new(file, error))?;
        given::put(&mut root, input).and_then(|()| read::job(&root, base)).map_err(|error| SpecError::new(file, error))
    }

    /// Reads the job file with the content `bytes`, found at `file`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<JobSpec, SpecError> {
        JobSpec::from_bytes_given(bytes, file, GivenInput::None)
    }

    /// Reads the job file with the content `bytes`, found at `file`, with other input than it names.
    pub fn from_bytes_given(bytes: &[u8], file: &Path, input: GivenInput<'_>) -> Result<JobSpec, SpecError> {
        let text = yaml::decode(bytes).map_err(|error| SpecError::new(file, error))?;
        JobSpec::parse_given(text, file, input)
    }

    /// Returns the job as a job file with every default filled in: the same text for the same job, paths as written.
    ///
    /// [`JobSpec::parse`] of it gives this job again.
    pub fn definition(&self) -> String {
        write::write(self)
    }

    /// Returns `path` below the job file's directory, unless it is absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Returns the name of the first output column: the key's last name, or `partition` without a key.
    pub fn key_name(&self) -> &str {
        self.key.as_ref().map_or("partition", FieldPath::last_name)
    }
}

impl InputFormat {
    /// Returns the format's name in a job file; splitting text into words is not part of it.
    pub fn name(&self) -> &'static str {
        match self {
            InputFormat::Json => "json",
            InputFormat::Csv { .. } => "csv",
            InputFormat::Text | InputFormat::Words => "text",
        }
    }
}

impl OutputFormat {
    /// Returns the format's name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            OutputFormat::Json => "json",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }

    /// Returns the ending of the files' names.
    pub fn ending(self) -> &'static str {
        match self {
            OutputFormat::Json => "jsonl",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }
}

impl Emit {
    /// Tells whether each checkpoint publishes a file of its own.
    pub fn is_by_checkpoint(self) -> bool {
        matches!(self, Emit::Changes | Emit::Rows)
    }

    /// Returns the name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Emit::Final => "final",
            Emit::Changes => "changes",
            Emit::Rows => "rows",
        }
    }
}

#[cfg(test)]
mod tests;
