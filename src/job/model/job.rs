//! The whole job.

use std::path::{Path, PathBuf};

use crate::format::key_shape::KeyShape;
use crate::values::url::is_url;

use crate::job::aggregate::AggregateSpec;
use crate::job::condition::Condition;
use crate::job::field::FieldPath;
use crate::job::model::checkpoint::CheckpointSpec;
use crate::job::model::input::{InputSpec, OnError};
use crate::job::model::key::KeyField;
use crate::job::model::output::OutputSpec;
use crate::job::model::process::{ExecSpec, OnLate, TtlSpec, WindowSpec};

/// A job, as its file describes it. Paths are as written; [`JobSpec::resolve`] makes them usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// `job:` the name: up to 100 letters, digits, `-`, `_` and `.`, not starting with `.` or `-`.
    pub job: String,
    pub input: InputSpec,
    /// `where:` a CEL expression; only records for which it is true are kept.
    pub filter: Option<String>,
    /// `key:` the fields that route records; without any, each partition is a task.
    pub key: Vec<KeyField>,
    /// `tasks:` 1 to 1,000,000, default 64; 0 without a key, and if each partition is a task.
    pub tasks: u32,
    /// `tasks: partitions` each partition of the topic is a task, and a record's task is its partition. Only with a key of
    /// one field.
    pub is_partitioned: bool,
    /// `process: aggregate:` in the order of the file. Empty only with `exec` or `native`.
    pub aggregates: Vec<AggregateSpec>,
    /// `process: delete:` the records that delete the row of their key. Only with `aggregates`. Excludes `window`.
    pub delete: Option<Condition>,
    /// `process: exec:` a program. Excludes `aggregates` and `native`.
    pub exec: Option<ExecSpec>,
    /// `process: native:` the name of a processor compiled into the runner. Excludes `aggregates` and `exec`.
    pub native: Option<String>,
    /// `process: window:` the windows in which each key has a row; without it each key has one row for all time.
    pub window: Option<WindowSpec>,
    /// `process: ttl:` how long a key stays without a record; without it forever. Excludes `window`.
    pub ttl: Option<TtlSpec>,
    pub checkpoint: CheckpointSpec,
    pub output: Option<OutputSpec>,
    /// The directory of the job file, which relative paths start from.
    pub base: PathBuf,
}

impl JobSpec {
    /// Returns `path` relative to the job file's directory, unless it is absolute or a URL. It has no `.` and no slash at its end,
    /// with which a directory could not be created.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        if is_url(path) { path.to_owned() } else { self.base.join(path).components().collect() }
    }

    /// Returns where the dead letters go, as the job file names it: a file, or a URL.
    pub fn dead_letters(&self) -> Option<&Path> {
        match &self.input.on_error {
            OnError::DeadLetter(path) => Some(path),
            OnError::Fail | OnError::Skip => None,
        }
    }

    /// Returns where the late records go, as the job file names it: a file, or a URL.
    pub fn late_records(&self) -> Option<&Path> {
        match &self.window.as_ref()?.on_late {
            OnLate::DeadLetter(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the fields of the key.
    pub fn key_fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.key.iter().map(|part| &part.field)
    }

    /// Returns the names of the first output columns: the last names of the key's fields, or `partition` without a key.
    pub fn key_names(&self) -> Vec<&str> {
        let names: Vec<&str> = self.key_fields().map(FieldPath::last_name).collect();
        if names.is_empty() { vec!["partition"] } else { names }
    }

    /// Returns what the keys of rows consist of, if the key has several fields and the state is not a program's.
    pub fn key_shape(&self) -> Option<KeyShape> {
        let parts = || self.key.iter().map(KeyField::part).collect();
        let has_parts = self.key.len() > 1 && self.exec.is_none();
        has_parts.then(|| KeyShape { parts: parts(), window: self.window.is_some() })
    }

    /// Returns the names of the columns that the output of the state has, without that of changes.
    pub fn output_columns(&self) -> Vec<String> {
        if let Some(exec) = &self.exec {
            let columns = exec.state_columns().into_iter().map(|column| column.name);
            return ["task", "key"].map(str::to_owned).into_iter().chain(columns).collect();
        }
        let of_windows = self.window.iter().flat_map(|_| WindowSpec::COLUMNS);
        let of_aggregates = self.aggregates.iter().map(|aggregate| aggregate.name.as_str());
        self.key_names().into_iter().chain(of_windows).chain(of_aggregates).map(str::to_owned).collect()
    }
}
