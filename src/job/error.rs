//! What is wrong with a job file, and where.

use std::path::Path;

use crate::input::record::FilterError;
use crate::job::read::section::{mark_of, node_of};
use crate::values::yaml;
use crate::values::yaml::{Mark, Node, YamlError};

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

    /// Returns an error about `where:`, at the character of the expression that `error` is about.
    pub fn about_filter(text: &str, file: &Path, error: &FilterError) -> JobFileError {
        let root = yaml::parse(text).ok();
        let node = root.as_ref().and_then(|root| node_of(root, "where", None));
        let index = node.and_then(Node::scalar).and_then(|scalar| error.index_in(&scalar.text));
        let (mark, message) = match (node, index) {
            (Some(node), Some(index)) => (yaml::place(text, node, index), format!("`where`: {}", error.reason)),
            (Some(node), None) => (node.mark, format!("`where`: {error}")),
            (None, _) => (Mark { line: 1, column: 1 }, format!("`where`: {error}")),
        };
        JobFileError { file: file.display().to_string(), line: mark.line, column: mark.column, message }
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
