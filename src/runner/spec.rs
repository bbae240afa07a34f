//! The job file: what it may say, and what it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::value::ColumnType;

/// A job, as its file describes it. Paths are as written; [`JobSpec::resolve`] makes them usable.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// `job:` the name: letters, digits, `-`, `_` and `.`, at most 100, not beginning with `.` or `-`.
    pub job: String,
    /// `input:`
    pub input: InputSpec,
    /// `where:` a CEL expression; records for which it is not true are left out.
    pub filter: Option<String>,
    /// `key:` the field that routes; without it each partition is a task.
    pub key: Option<FieldPath>,
    /// `tasks:` 1 to 1,000,000, default 64; nothing without a key.
    pub tasks: u32,
    /// `process: aggregate:` in the order of the file, at least one.
    pub aggregates: Vec<AggregateSpec>,
    /// `checkpoint:`
    pub checkpoint: CheckpointSpec,
    /// `output:`
    pub output: Option<OutputSpec>,
    /// The directory of the job file: what relative paths are relative to.
    pub base: PathBuf,
}

/// `input:`
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// `files:` one path, a glob, or a list of them; `-` alone is standard input.
    pub files: Vec<String>,
    /// `format: json | csv | text`; default by the first file's ending (`.jsonl .ndjson .json`, `.csv .tsv`, `.txt .log`, before `.gz` or `.zst`).
    pub format: InputFormat,
    /// `types:` of fields, for `min`, `max`, `first` and `last`: `number`, `text`, `bool`, `int` or `json`. What is not here is told from the first records.
    pub types: Vec<(FieldPath, ColumnType)>,
    /// `on_error:` default `fail`.
    pub on_error: OnError,
    /// `max_record_bytes:` default 16 MiB: a longer record is a bad record.
    pub max_record_bytes: u64,
}

/// How the bytes of a partition are split into records, and these into fields.
#[derive(Debug, Clone, PartialEq)]
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

/// A field, perhaps inside others: `user.id`. A name with a dot or another special character in it is quoted: `"user.id"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    /// The names from the outside in, at least one.
    pub names: Vec<String>,
}

/// One aggregate: `spent: sum(amount)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateSpec {
    /// The column's name in state and output.
    pub name: String,
    /// What is computed.
    pub function: AggregateFunction,
    /// The field in parentheses; nothing for a plain `count`. `count(field)` counts the records in which the field is there and not null.
    pub field: Option<FieldPath>,
    /// `first(city by ts)`: what decides which comes first; else the order of the input.
    pub by: Option<FieldPath>,
    /// `sum(round(amount, 2))`: rounds each value half to even at so many decimal places before it is used.
    pub round: Option<u8>,
}

/// The functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// Records.
    Count,
    /// Exact sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Exact mean.
    Avg,
    /// The first.
    First,
    /// The last.
    Last,
    /// About how many different values: a HyperLogLog sketch.
    ApproxDistinct,
}

/// `checkpoint:`
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointSpec {
    /// `enabled:` default true.
    pub enabled: bool,
    /// `schedule:` an interval; default `1m` when `state_bytes` is not given either.
    pub schedule: Option<Duration>,
    /// `state_bytes:` when so much state has changed since the last.
    pub state_bytes: Option<u64>,
    /// `mode:` default elided.
    pub mode: Mode,
    /// `store:` default `checkpoints/JOB`.
    pub store: PathBuf,
    /// `replicas:` default none.
    pub replicas: Vec<PathBuf>,
}

/// `output:`
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// `files:` a directory, which gets the file `JOB.jsonl` or `JOB.csv`.
    pub files: PathBuf,
    /// `format: json | csv`, default json.
    pub format: OutputFormat,
}

/// The format of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A JSON object a line.
    Json,
    /// With a header line.
    Csv,
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

impl JobSpec {
    /// Reads the job file `text`, found at `file`.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, SpecError> {
        let _ = (text, file);
        todo!()
    }

    /// Returns `path` below the job file's directory, unless it is absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}
