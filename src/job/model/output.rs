//! `output:`

use std::path::PathBuf;

use crate::job::model::topic::TopicSpec;
use crate::values::value::Column;

/// `output:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// `files:` a directory for the file `JOB.jsonl`, `JOB.csv` or `JOB.parquet`; with [`Emit::Changes`] and
    /// [`Emit::Rows`], for one file per checkpoint.
    pub files: PathBuf,
    /// `kafka:` a topic, which is written instead of files. Its `start` and `columns` mean nothing.
    pub topic: Option<TopicSpec>,
    /// `format: json | csv | parquet`, default json.
    pub format: OutputFormat,
    /// `emit: final | changes | rows`; default `rows` with `exec`, `changes` with `kafka`, otherwise `final`.
    pub emit: Emit,
    /// `columns:` the columns of the rows that a program emits; empty if they are any JSON objects.
    pub columns: Vec<Column>,
    /// `having:` an expression over the columns of the output; only the rows for which it is true are written.
    pub having: Option<String>,
}

/// Which rows an output has, and when they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// All rows, at the end of the input.
    Final,
    /// With each checkpoint, the rows that have changed since the previous one, or the windows that have closed.
    Changes,
    /// With each checkpoint, the rows that the program has emitted since the previous one.
    Rows,
}

/// The format of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// One JSON object per line.
    Json,
    /// CSV with a header line.
    Csv,
    /// An Apache Parquet table.
    Parquet,
}

impl OutputFormat {
    /// Returns the value of `format:` in a job file.
    pub fn name(self) -> &'static str {
        match self {
            OutputFormat::Json => "json",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }

    /// Returns the extension of the files.
    pub fn ending(self) -> &'static str {
        match self {
            OutputFormat::Json => "jsonl",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }
}

impl Emit {
    /// Returns whether each checkpoint publishes a file of its own.
    pub fn is_by_checkpoint(self) -> bool {
        matches!(self, Emit::Changes | Emit::Rows)
    }

    /// Returns the value of `emit:` in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Emit::Final => "final",
            Emit::Changes => "changes",
            Emit::Rows => "rows",
        }
    }
}
