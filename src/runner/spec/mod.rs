//! The job file: what it may say, and what it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::value::ColumnType;
use crate::yaml::{self, YamlError};

mod aggregate;
mod definition;
mod difference;
mod field;
mod keys;
mod read;

pub use aggregate::{AggregateFunction, AggregateSpec};
pub use difference::{Difference, differences};
pub use field::{ExpressionError, FieldPath};
pub use keys::KEYS;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The `where:` expression is taken as it stands: [`crate::runner::record::Filter`] compiles it, and [`SpecError::about`] says where it is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, SpecError> {
        let base = file.parent().unwrap_or(Path::new(""));
        yaml::parse(text).and_then(|root| read::job(&root, base)).map_err(|error| SpecError::new(file, error))
    }

    /// Reads the job file with the content `bytes`, found at `file`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<JobSpec, SpecError> {
        let text = yaml::decode(bytes).map_err(|error| SpecError::new(file, error))?;
        JobSpec::parse(text, file)
    }

    /// Returns the job as a job file with every default filled in: the same text for the same job, paths as written.
    ///
    /// [`JobSpec::parse`] of it gives this job again.
    pub fn definition(&self) -> String {
        definition::write(self)
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
        }
    }
}
