//! What is wrong with a job file, and where.

use std::fmt;
use std::path::Path;

use crate::input::record::FilterError;
use crate::job::read::section::{mark_of, node_of, unfit};
use crate::values::yaml;
use crate::values::yaml::{Mark, Node, YamlError};

/// What is wrong with a job file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFileError {
    /// The job file, as the user named it; or the setting of the command line, if `line` is 0.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub message: String,
    /// The further mistakes in the file, by place.
    pub others: Vec<JobFileError>,
}

impl std::error::Error for JobFileError {}

impl fmt::Display for JobFileError {
    /// Writes the place and the message, without the further mistakes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobFileError { file, line, column, message, .. } = self;
        match line {
            0 => write!(f, "`--set {file}`: {message}"),
            _ => write!(f, "{file}:{line}:{column}: {message}"),
        }
    }
}

impl JobFileError {
    /// Returns an error about a value that only a run can check, such as a glob that matches no file.
    ///
    /// It points at the scalar `value` below `key`, a dotted path such as `input.files`; else at the key's value; else
    /// at the start of the file.
    pub fn about(text: &str, file: &Path, key: &str, value: Option<&str>, message: impl Into<String>) -> JobFileError {
        let mark = yaml::parse(text).ok().and_then(|root| mark_of(&root, key, value));
        let (line, column) = mark.map_or((1, 1), |mark| (mark.line, mark.column));
        JobFileError { file: file.display().to_string(), line, column, message: message.into(), others: Vec::new() }
    }

    /// Returns an error about `where:`, at the character of the expression that `error` is about.
    pub fn about_filter(text: &str, file: &Path, error: &FilterError) -> JobFileError {
        JobFileError::new(file, &[], JobFileError::mistake_of_filter(text, error))
    }

    pub(super) fn mistake_of_filter(text: &str, error: &FilterError) -> YamlError {
        let root = yaml::parse(text).ok();
        let node = root.as_ref().and_then(|root| node_of(root, "where", None));
        // Variables move what follows them.
        let verbatim = node.and_then(Node::scalar).filter(|scalar| !scalar.text.contains("${"));
        let one = |error: FilterError| {
            let index = verbatim.and_then(|scalar| error.index_in(&scalar.text));
            match (node, index) {
                (Some(node), Some(index)) => {
                    unfit(yaml::place(text, node, index), format!("`where`: {}", error.reason))
                }
                (Some(node), None) => unfit(node.mark, format!("`where`: {error}")),
                (None, _) => unfit(Mark { line: 1, column: 1 }, format!("`where`: {error}")),
            }
        };
        YamlError::of_several(error.clone().each().into_iter().map(one)).expect("there is at least one")
    }

    /// Makes an error with a place in `file`, or in one of the `settings` of the command line.
    pub(super) fn new(file: &Path, settings: &[String], error: YamlError) -> JobFileError {
        let one = |error: YamlError| JobFileError {
            file: match error.mark {
                Mark { line: 0, column } => settings.get(column.wrapping_sub(1)).cloned().unwrap_or_default(),
                _ => file.display().to_string(),
            },
            line: error.mark.line,
            column: error.mark.column,
            message: error.problem.to_string(),
            others: Vec::new(),
        };
        let mut errors = error.each().into_iter().map(one);
        let first = errors.next().expect("there is at least one");
        JobFileError { others: errors.collect(), ..first }
    }
}
