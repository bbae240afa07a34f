//! What is wrong with a job file, and where.

use std::path::Path;

use crate::job::read::section::mark_of;
use crate::values::yaml;
use crate::values::yaml::YamlError;

/// What is wrong with a job file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct JobFileError {
    /// The job file, as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub message: String,
}

impl JobFileError {
    /// Returns an error about a value that only a run can check, such as a glob that matches no file.
    ///
    /// It points at the scalar `value` below `key`, a dotted path such as `input.files`; else at the key's value; else
    /// at the start of the file.
    pub fn about(text: &str, file: &Path, key: &str, value: Option<&str>, message: impl Into<String>) -> JobFileError {
        let mark = yaml::parse(text).ok().and_then(|root| mark_of(&root, key, value));
        let (line, column) = mark.map_or((1, 1), |mark| (mark.line, mark.column));
        JobFileError { file: file.display().to_string(), line, column, message: message.into() }
    }

    pub(super) fn new(file: &Path, error: YamlError) -> JobFileError {
        JobFileError {
            file: file.display().to_string(),
            line: error.mark.line,
            column: error.mark.column,
            message: error.problem.to_string(),
        }
    }
}
